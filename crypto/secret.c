#include "crypto/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/checked.h"

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED 24 /* Linux 5.18 */
#endif
#ifndef MLOCK_ONFAULT
#define MLOCK_ONFAULT 1
#endif

enum {
    PAGES_ASKED = 1024, /* pages whose presence is asked for at once */
    PREFAULT_THREADS = 64,
    PARTS = 4096, /* of one region, at most: each is a mapping, of which a process has 65530 */
    SMALL_ALIGNMENT = 16,
    SMALL_HEADER = 64, /* in front of what secret_alloc returns */
};

static const size_t part_least = (size_t)256 << 10;
static const uint64_t small_magic = UINT64_C(0x5ec4e7a110c47ed1);

/* The usable bytes; a guard page lies on either side. */
struct region {
    uint8_t *base;
    size_t size;
    size_t part; /* of SECRET_MEMFD: each so long but the last is a file of its own */
    enum secret_kind kind;
};

struct secret_arena {
    struct region region;
    size_t used;
    size_t given_back;
};

struct small_header {
    uint64_t magic;
    struct region region;
};
_Static_assert(sizeof(struct small_header) <= SMALL_HEADER, "the header fits");

static struct secret_options configured;

static size_t page_size(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

const char *secret_kind_name(enum secret_kind kind) {
    switch (kind) {
    case SECRET_MEMFD:
        return "memfd_secret";
    case SECRET_LOCKED:
        return "locked";
    case SECRET_UNLOCKED:
        return "unlocked";
    }
    return "unknown";
}

/* memfd_secret has no way to give back a part of one file, so what may be given back in parts is
 * made of several. */
static size_t part_of(size_t size) {
    size_t part = part_least;
    while (size / part >= PARTS)
        part *= 2;
    return part;
}

static bool map_memfd(uint8_t *base, size_t size) {
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    if (fd < 0)
        return false;
    bool ok = ftruncate(fd, (off_t)size) == 0 &&
              mmap(base, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) != MAP_FAILED;
    int saved = errno;
    close(fd);
    errno = saved;
    return ok;
}

/* Put memory of this kind over the reserved addresses; false, with errno, where it cannot be had.
 * The reservation then may be replaced, but is still one mapping to be tried again. */
static bool region_fill(uint8_t *base, size_t size, size_t part, enum secret_kind kind) {
    const int access = PROT_READ | PROT_WRITE;
    if (kind == SECRET_MEMFD) {
        for (size_t at = 0; at < size; at += part)
            if (!map_memfd(base + at, size - at < part ? size - at : part))
                return false;
        return true;
    }
    if (mmap(base, size, access, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
        return false;
    if (madvise(base, size, MADV_DONTDUMP) != 0)
        return false;
    /* On fault, not at once: a page that is never used costs neither time nor memory. */
    return kind != SECRET_LOCKED || syscall(SYS_mlock2, base, size, MLOCK_ONFAULT) == 0;
}

static enum status region_refused(size_t size, int cause, struct error *error) {
    struct rlimit limit = {0};
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY &&
        (cause == EAGAIN || cause == ENOMEM || cause == EPERM))
        return status_fail(error, STATUS_UNAVAILABLE,
                           "secret memory: %zu KiB wanted, at most %" PRIu64
                           " KiB can be locked in all (RLIMIT_MEMLOCK); raise the limit, grant "
                           "CAP_IPC_LOCK, or allow unlocked memory in the configuration",
                           (size + 1023) / 1024, (uint64_t)limit.rlim_cur / 1024);
    return status_fail(error, STATUS_UNAVAILABLE,
                       "secret memory: %zu KiB wanted, the system refused them: %s",
                       (size + 1023) / 1024, strerror(cause));
}

static enum status region_map(size_t wanted, bool in_parts, const struct secret_options *options,
                              struct region *region, struct error *error) {
    if (!options)
        options = &configured;
    size_t page = page_size(), size, whole;
    if (wanted == 0 || !checked_align(wanted, page, &size) ||
        !checked_add(size, 2 * page, &whole) || size > (size_t)INT64_MAX)
        return status_fail(error, STATUS_INVALID, "secret memory: no region of %zu bytes", wanted);
    uint8_t *reserved =
        mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return region_refused(wanted, errno, error);
    uint8_t *base = reserved + page;
    const size_t part = in_parts ? part_of(size) : size;
    enum secret_kind last = options->only_first       ? options->first
                            : options->allow_unlocked ? SECRET_UNLOCKED
                                                      : SECRET_LOCKED;
    int cause = EPERM;
    for (enum secret_kind kind = options->first; kind <= last; kind++) {
        if (region_fill(base, size, part, kind) && madvise(base, size, MADV_DONTFORK) == 0) {
            *region = (struct region){.base = base, .size = size, .part = part, .kind = kind};
            return STATUS_OK;
        }
        cause = errno;
    }
    munmap(reserved, whole);
    return region_refused(wanted, cause, error);
}

static void region_unmap(struct region *region) {
    size_t page = page_size();
    munmap(region->base - page, region->size + 2 * page);
}

/* Wipe [from, to) of the region. Pages that were never touched are zero and stay away: to fault
 * them in only to clear them would cost seconds per gigabyte. Unlocked pages may be in swap, where
 * nobody can tell them from untouched ones, so those are all written. */
static void region_wipe(const struct region *region, size_t from, size_t to) {
    size_t page = page_size();
    if (region->kind == SECRET_UNLOCKED) {
        secret_wipe(region->base + from, to - from);
        return;
    }
    unsigned char present[PAGES_ASKED];
    size_t at = from;
    while (at < to) {
        size_t first = at / page * page;
        size_t end = first + PAGES_ASKED * page;
        if (end > region->size)
            end = region->size;
        bool known = mincore(region->base + first, end - first, present) == 0;
        for (size_t p = first; p < end && p < to; p += page) {
            if (known && !(present[(p - first) / page] & 1))
                continue;
            size_t start = p < from ? from : p;
            size_t stop = p + page < to ? p + page : to;
            secret_wipe(region->base + start, stop - start);
        }
        at = end;
    }
}

static enum status arena_new(size_t size, bool in_parts, const struct secret_options *options,
                             struct secret_arena **arena, struct error *error) {
    struct region region;
    enum status status = region_map(size, in_parts, options, &region, error);
    if (status != STATUS_OK)
        return status;
    struct secret_arena *made = calloc(1, sizeof *made);
    if (!made) {
        region_unmap(&region);
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    }
    made->region = region;
    *arena = made;
    return STATUS_OK;
}

enum status secret_arena_new(size_t size, const struct secret_options *options,
                             struct secret_arena **arena, struct error *error) {
    return arena_new(size, false, options, arena, error);
}

enum status secret_arena_new_in_parts(size_t size, const struct secret_options *options,
                                      struct secret_arena **arena, struct error *error) {
    return arena_new(size, true, options, arena, error);
}

void secret_arena_free(struct secret_arena *arena) {
    if (!arena)
        return;
    region_wipe(&arena->region, 0, arena->used);
    region_unmap(&arena->region);
    free(arena);
}

void *secret_arena_alloc(struct secret_arena *arena, size_t size) {
    size_t room;
    if (!checked_align(size, SECRET_ALIGNMENT, &room) || room > arena->region.size - arena->used)
        return NULL;
    void *p = arena->region.base + arena->used;
    arena->used += room;
    return p;
}

size_t secret_arena_mark(const struct secret_arena *arena) {
    return arena->used;
}

void secret_arena_rewind(struct secret_arena *arena, size_t mark) {
    if (mark >= arena->used)
        return;
    region_wipe(&arena->region, mark, arena->used);
    arena->used = mark;
}

void secret_arena_reset(struct secret_arena *arena) {
    secret_arena_rewind(arena, 0);
}

struct slice {
    uint8_t *base;
    size_t size;
    size_t page;
};

static void *prefault_slice(void *context) {
    const struct slice *slice = context;
    /* A write that changes nothing: a read would map the shared zero page in ordinary memory. */
    for (size_t at = 0; at < slice->size; at += slice->page)
        __atomic_fetch_or(slice->base + at, 0, __ATOMIC_RELAXED);
    return NULL;
}

void secret_arena_prefault(struct secret_arena *arena, size_t size, unsigned threads) {
    size_t page = page_size();
    if (size > arena->region.size)
        size = arena->region.size;
    size_t pages = (size + page - 1) / page;
    if (threads > PREFAULT_THREADS)
        threads = PREFAULT_THREADS;
    if (threads > pages)
        threads = (unsigned)pages;
    if (threads < 1)
        threads = 1;
    struct slice slices[PREFAULT_THREADS];
    pthread_t ids[PREFAULT_THREADS];
    bool started[PREFAULT_THREADS] = {false};
    for (unsigned i = 0; i < threads; i++) {
        size_t begin = pages * i / threads, end = pages * (i + 1) / threads;
        slices[i] = (struct slice){arena->region.base + begin * page, (end - begin) * page, page};
        started[i] = i > 0 && pthread_create(&ids[i], NULL, prefault_slice, &slices[i]) == 0;
    }
    for (unsigned i = 0; i < threads; i++)
        if (!started[i])
            prefault_slice(&slices[i]);
    for (unsigned i = 0; i < threads; i++)
        if (started[i])
            pthread_join(ids[i], NULL);
}

/* The whole multiples of `unit` within [from, to), the end of the region being one. */
static void round_inwards(const struct region *region, size_t unit, size_t *from, size_t *to) {
    *from = (*from + unit - 1) / unit * unit;
    if (*to != region->size)
        *to = *to / unit * unit;
}

bool secret_arena_discard(struct secret_arena *arena, const void *data, size_t size) {
    const struct region *region = &arena->region;
    uintptr_t at = (uintptr_t)data, base = (uintptr_t)region->base;
    if (at < base || at - base > arena->used || size > arena->used - (at - base))
        return false;
    size_t from = at - base, to = from + size;
    region_wipe(region, from, to);
    if (to == arena->used)
        to = region->size; /* what is left of the last page belongs to nobody */
    round_inwards(region, region->kind == SECRET_MEMFD ? region->part : page_size(), &from, &to);
    if (from >= to)
        return true;
    bool gone = false;
    if (region->kind == SECRET_MEMFD) /* no access: a read of what is gone shall not go unseen */
        gone = mmap(region->base + from, to - from, PROT_NONE,
                    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) != MAP_FAILED &&
               madvise(region->base + from, to - from, MADV_DONTFORK) == 0;
    else
        gone = madvise(region->base + from, to - from,
                       region->kind == SECRET_LOCKED ? MADV_DONTNEED_LOCKED : MADV_DONTNEED) == 0;
    if (gone)
        arena->given_back += to - from;
    return true;
}

size_t secret_arena_held(const struct secret_arena *arena) {
    return arena->region.size - arena->given_back;
}

size_t secret_arena_size(const struct secret_arena *arena) {
    return arena->region.size;
}

size_t secret_arena_used(const struct secret_arena *arena) {
    return arena->used;
}

enum secret_kind secret_arena_kind(const struct secret_arena *arena) {
    return arena->region.kind;
}

void secret_configure(const struct secret_options *options) {
    configured = *options;
}

void *secret_alloc(size_t size, struct error *error) {
    size_t room, whole;
    if (!checked_align(size ? size : 1, SMALL_ALIGNMENT, &room) ||
        !checked_add(room, SMALL_HEADER, &whole)) {
        (void)status_fail(error, STATUS_INVALID, "secret memory: no region of %zu bytes", size);
        return NULL;
    }
    struct region region;
    if (region_map(whole, false, NULL, &region, error) != STATUS_OK)
        return NULL;
    /* At the end of the region, so that an overrun meets the guard page at once. */
    uint8_t *secret = region.base + region.size - room;
    struct small_header header = {.magic = small_magic, .region = region};
    memcpy(secret - SMALL_HEADER, &header, sizeof header);
    return secret;
}

void secret_free(void *secret) {
    if (!secret)
        return;
    struct small_header header;
    memcpy(&header, (uint8_t *)secret - SMALL_HEADER, sizeof header);
    if (header.magic != small_magic)
        abort(); /* not from secret_alloc, or overwritten: our own fault, and nothing to save */
    secret_wipe(header.region.base, header.region.size);
    region_unmap(&header.region);
}

void secret_wipe(void *data, size_t size) {
    if (size)
        explicit_bzero(data, size);
}

bool secret_equal(const void *a, const void *b, size_t size) {
    return sodium_memcmp(a, b, size) == 0;
}

static bool lock_capability(void) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {{0}};
    if (syscall(SYS_capget, &header, data) != 0)
        return false;
    return data[CAP_TO_INDEX(CAP_IPC_LOCK)].effective & CAP_TO_MASK(CAP_IPC_LOCK);
}

void secret_probe(struct secret_probe *probe) {
    struct secret_probe found = {.lock_limit = UINT64_MAX};
    int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);
    found.memfd_secret = fd >= 0;
    if (fd >= 0)
        close(fd);
    found.lock_capability = lock_capability();
    struct rlimit limit;
    if (getrlimit(RLIMIT_MEMLOCK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        found.lock_limit = limit.rlim_cur;
    const struct secret_options strict = {0};
    struct region region;
    if (region_map(1, false, &strict, &region, NULL) == STATUS_OK) {
        found.obtained = true;
        found.kind = region.kind;
        region_unmap(&region);
    }
    *probe = found;
}
