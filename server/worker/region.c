#include "server/worker/region.h"

#include "base/log.h"
#include "base/message_table.h"
#include "crypto/secret.h"

#include <linux/capability.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static bool lock_activations;

void region_init(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    struct rlimit limit;
    lock_activations =
        (syscall(SYS_capget, &header, data) == 0 && (data[0].effective & (1u << CAP_IPC_LOCK))) ||
        (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur == RLIM_INFINITY);
}

bool region_locks(void) {
    return lock_activations;
}

/* --- secret: a region is found again by its address ------------------------------------------- */

struct secret_region {
    struct secret_region *next;
    struct secret_arena *arena;
    void *data;
};
static struct secret_region *secret_regions;
static pthread_mutex_t secret_mutex = PTHREAD_MUTEX_INITIALIZER;

const struct secret_options *region_options(uint8_t memory) {
    static const struct secret_options locked = {.allow_unlocked = false};
    static const struct secret_options secret = {.first = SECRET_MEMFD, .only_first = true};
    return memory == MESSAGE_MEMORY_SECRET   ? &secret
           : memory == MESSAGE_MEMORY_LOCKED ? &locked
                                             : NULL;
}

enum status region_refused(uint64_t load, uint8_t memory, uint64_t bytes, struct error *error) {
    const unsigned long long mib = (bytes + (1 << 20) - 1) >> 20;
    log_error("a model does not get its memory load=%llu reason=\"%s\"", (unsigned long long)load,
              error->message);
    if (memory != MESSAGE_MEMORY_CONFIGURED)
        return status_fail(error, STATUS_UNSERVABLE,
                           "the tenant's policy asks for %s memory, and %llu MiB of it cannot be "
                           "had on this server",
                           memory == MESSAGE_MEMORY_SECRET ? "secret" : "locked", mib);
    return status_fail(error, STATUS_UNAVAILABLE,
                       "the model needs %llu MiB of locked memory, more than this server gives a "
                       "tenant",
                       mib);
}

static void *secret_acquire(void *context, size_t size) {
    struct secret_region *region = calloc(1, sizeof *region);
    struct error error = {0};
    if (!region || secret_arena_new(size, context, &region->arena, &error) != STATUS_OK ||
        !(region->data = secret_arena_alloc(region->arena, size))) {
        log_error("no memory for weights: %s", error.status ? error.message : "out of memory");
        if (region)
            secret_arena_free(region->arena);
        free(region);
        return NULL;
    }
    void *data = region->data;
    pthread_mutex_lock(&secret_mutex);
    region->next = secret_regions;
    secret_regions = region;
    pthread_mutex_unlock(&secret_mutex);
    return data;
}

static void secret_release(void *context, void *data, size_t size) {
    struct secret_region **at = &secret_regions, *region;
    (void)context;
    (void)size;
    pthread_mutex_lock(&secret_mutex);
    while ((region = *at) && region->data != data)
        at = &region->next;
    if (region)
        *at = region->next;
    pthread_mutex_unlock(&secret_mutex);
    if (region)
        secret_arena_free(region->arena);
    free(region);
}

struct memory region_secret(uint8_t memory) {
    return (struct memory){secret_acquire, secret_release,
                           (void *)(uintptr_t)region_options(memory)};
}

/* --- activations ------------------------------------------------------------------------------ */

static size_t pages(size_t size) {
    return (size + 4095) & ~(size_t)4095;
}

static void *activation_acquire(void *context, size_t size) {
    (void)context;
    if (size == 0 || size > SIZE_MAX / 2)
        return NULL;
    void *data =
        mmap(NULL, pages(size), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (data == MAP_FAILED)
        return NULL;
    if (madvise(data, pages(size), MADV_DONTDUMP) != 0 ||
        madvise(data, pages(size), MADV_DONTFORK) != 0 ||
        (lock_activations && mlock2(data, pages(size), MLOCK_ONFAULT) != 0)) {
        munmap(data, pages(size));
        return NULL;
    }
    return data;
}

static void activation_release(void *context, void *data, size_t size) {
    (void)context;
    if (!data)
        return;
    secret_wipe(data, size);
    munmap(data, pages(size));
}

struct memory region_activation(void) {
    return (struct memory){activation_acquire, activation_release, NULL};
}
