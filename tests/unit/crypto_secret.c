/* Secret memory: what may be reached, what faults, what is wiped, what an error says. */
#include <criterion/criterion.h>
#include <linux/capability.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/crypto.h"
#include "crypto/secret.h"

static const char marker[] = "the marker of this test: 32 byte";

/* Stands before the C library's: when armed, looks at what a mapping holds as it goes away. */
static bool watching;
static unsigned unmapped, found;

int munmap(void *address, size_t size) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (watching && size > 2 * page) {
        unmapped++;
        if (memmem((uint8_t *)address + page, size - 2 * page, marker, sizeof marker))
            found++;
    }
    return (int)syscall(SYS_munmap, address, size);
}

static size_t page(void) {
    return (size_t)sysconf(_SC_PAGESIZE);
}

static struct secret_arena *arena_of(size_t size, enum secret_kind kind) {
    const struct secret_options options = {.first = kind, .allow_unlocked = true};
    struct secret_arena *arena = NULL;
    struct error error = {0};
    cr_assert_eq(secret_arena_new(size, &options, &arena, &error), STATUS_OK, "%s", error.message);
    return arena;
}

/* memfd_secret is off before kernel 6.5 unless asked for at boot: such a machine says so by name.
 */
static bool memfd_here(void) {
    struct secret_probe probe;
    secret_probe(&probe);
    if (!probe.memfd_secret)
        cr_skip("memfd_secret is not offered by this kernel");
    return probe.memfd_secret;
}

/* True where touching that byte in a child process ends it with a fault. */
static bool faults(volatile uint8_t *byte, bool write) {
    pid_t pid = fork();
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        if (write)
            *byte = 1;
        else
            (void)*byte;
        _exit(0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    return WIFSIGNALED(status) && (WTERMSIG(status) == SIGSEGV || WTERMSIG(status) == SIGBUS);
}

static ssize_t read_as_another_would(void *from, void *to, size_t size) {
    struct iovec local = {to, size}, remote = {from, size};
    return process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
}

Test(secret, arena_is_aligned_zero_and_bounded) {
    for (enum secret_kind kind = SECRET_MEMFD; kind <= SECRET_UNLOCKED; kind++) {
        struct secret_arena *arena = arena_of(3 * page() - 1, kind);
        cr_assert_eq(secret_arena_size(arena), 3 * page());
        uint8_t *a = secret_arena_alloc(arena, 1), *b = secret_arena_alloc(arena, 65);
        cr_assert_eq((uintptr_t)a % SECRET_ALIGNMENT, 0);
        cr_assert_eq(b - a, 64);
        cr_assert_eq(secret_arena_used(arena), 192);
        for (size_t i = 0; i < 65; i++)
            cr_assert_eq(b[i], 0);
        cr_assert_null(secret_arena_alloc(arena, 3 * page()));
        cr_assert_null(secret_arena_alloc(arena, SIZE_MAX));
        cr_assert_eq(secret_arena_used(arena), 192);
        cr_assert_not_null(secret_arena_alloc(arena, 3 * page() - 192));
        cr_assert_null(secret_arena_alloc(arena, 1));
        secret_arena_free(arena);
    }
    secret_arena_free(NULL);
}

Test(secret, sizes_that_are_none_are_refused) {
    struct secret_arena *arena = (void *)marker;
    struct error error;
    cr_assert_eq(secret_arena_new(0, NULL, &arena, &error), STATUS_INVALID);
    cr_assert_eq(secret_arena_new(SIZE_MAX - 10, NULL, &arena, &error), STATUS_INVALID);
    cr_assert_eq((void *)arena, (void *)marker, "outputs are untouched on failure");
    cr_assert_null(secret_alloc(SIZE_MAX - 10, &error));
}

static sigjmp_buf fault_seen;

static void on_fault(int number) {
    siglongjmp(fault_seen, number);
}

/* The same in this process. */
static bool faults_here(volatile uint8_t *byte, bool write) {
    struct sigaction action = {.sa_handler = on_fault}, before;
    sigaction(SIGSEGV, &action, &before);
    bool seen = sigsetjmp(fault_seen, 1) != 0;
    if (!seen && write)
        *byte = 1;
    else if (!seen)
        (void)*byte;
    sigaction(SIGSEGV, &before, NULL);
    return seen;
}

Test(secret, guard_pages_on_both_sides) {
    for (enum secret_kind kind = SECRET_MEMFD; kind <= SECRET_UNLOCKED; kind++) {
        struct secret_arena *arena = arena_of(2 * page(), kind);
        uint8_t *base = secret_arena_alloc(arena, 2 * page());
        for (int write = 0; write < 2; write++) {
            cr_assert(faults_here(base - 1, write));
            cr_assert(!faults_here(base, write));
            cr_assert(!faults_here(base + 2 * page() - 1, write));
            cr_assert(faults_here(base + 2 * page(), write));
        }
        secret_arena_free(arena);
    }
}

Test(secret, small_secret_overrun_faults) {
    uint8_t *key = secret_alloc(32, NULL);
    cr_assert_eq((uintptr_t)key % 16, 0);
    cr_assert(!faults_here(key + 31, true));
    cr_assert(faults_here(key + 32, true));
    cr_assert(faults_here(key + 32, false));
    secret_free(key);
}

Test(secret, child_gets_none_of_it) {
    uint8_t *key = secret_alloc(32, NULL);
    key[0] = 1;
    cr_assert(faults(key, false));
    for (enum secret_kind kind = SECRET_MEMFD; kind <= SECRET_UNLOCKED; kind++) {
        struct secret_arena *arena = arena_of(page(), kind);
        uint8_t *p = secret_arena_alloc(arena, page());
        *p = 1;
        cr_assert(faults(p, false), "kind %s", secret_kind_name(kind));
        secret_arena_free(arena);
    }
    secret_free(key);
}

Test(secret, memfd_is_out_of_reach_of_process_vm_readv) {
    if (!memfd_here())
        return;
    char copy[sizeof marker], plain[sizeof marker];
    memcpy(plain, marker, sizeof marker);
    cr_assert_eq(read_as_another_would(plain, copy, sizeof copy), (ssize_t)sizeof copy,
                 "the probe itself works");
    struct secret_arena *arena = arena_of(page(), SECRET_MEMFD);
    cr_assert_eq(secret_arena_kind(arena), SECRET_MEMFD);
    char *p = secret_arena_alloc(arena, sizeof marker);
    memcpy(p, marker, sizeof marker);
    cr_assert_eq(read_as_another_would(p, copy, sizeof copy), -1);
    char *key = secret_alloc(sizeof marker, NULL);
    memcpy(key, marker, sizeof marker);
    cr_assert_eq(read_as_another_would(key, copy, sizeof copy), -1);
    secret_free(key);
    secret_arena_free(arena);
}

Test(secret, wiped_when_rewound_reset_and_freed) {
    for (enum secret_kind kind = SECRET_MEMFD; kind <= SECRET_UNLOCKED; kind++) {
        struct secret_arena *arena = arena_of(8 * page(), kind);
        char *kept = secret_arena_alloc(arena, sizeof marker);
        memcpy(kept, marker, sizeof marker);
        size_t mark = secret_arena_mark(arena);
        char *wiped = secret_arena_alloc(arena, 5 * page());
        for (size_t i = 0; i < 5; i++)
            memcpy(wiped + i * page() + 17, marker, sizeof marker);
        secret_arena_rewind(arena, mark);
        cr_assert_null(memmem(wiped, 5 * page(), marker, sizeof marker));
        cr_assert_eq(memcmp(kept, marker, sizeof marker), 0);
        cr_assert_eq((void *)secret_arena_alloc(arena, 1), (void *)wiped);
        secret_arena_reset(arena);
        cr_assert_eq(secret_arena_used(arena), 0);
        cr_assert_null(memmem(kept, 6 * page(), marker, sizeof marker));

        char *last = secret_arena_alloc(arena, 2 * page());
        memcpy(last + page(), marker, sizeof marker);
        unmapped = found = 0;
        watching = true;
        secret_arena_free(arena);
        watching = false;
        cr_assert_eq(unmapped, 1, "the watch saw it go");
        cr_assert_eq(found, 0);
    }
    char *key = secret_alloc(100, NULL);
    memcpy(key, marker, sizeof marker);
    unmapped = found = 0;
    watching = true;
    secret_free(key);
    watching = false;
    cr_assert_eq(unmapped, 1);
    cr_assert_eq(found, 0);
    secret_free(NULL);
}

Test(secret, the_watch_finds_what_is_left) {
    char *p = mmap(NULL, 3 * page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(p + page(), marker, sizeof marker);
    watching = true;
    munmap(p, 3 * page());
    watching = false;
    cr_assert_eq(found, 1);
}

Test(secret, wiping_leaves_untouched_pages_alone) {
    struct secret_arena *arena = arena_of(512 * page(), SECRET_LOCKED);
    uint8_t *p = secret_arena_alloc(arena, 512 * page());
    p[100 * page()] = 1;
    secret_arena_reset(arena);
    unsigned char present[512];
    cr_assert_eq(mincore(p, 512 * page(), present), 0);
    size_t count = 0;
    for (size_t i = 0; i < 512; i++)
        count += present[i] & 1;
    cr_assert_eq(count, 1);
    secret_arena_free(arena);
}

Test(secret, prefault_brings_what_was_asked_for_and_keeps_what_is_there) {
    for (unsigned threads = 0; threads <= 3; threads++) {
        struct secret_arena *arena = arena_of(64 * page(), SECRET_MEMFD);
        uint8_t *p = secret_arena_alloc(arena, 64 * page());
        p[5 * page()] = 77;
        secret_arena_prefault(arena, 20 * page() - 1, threads);
        unsigned char present[64];
        cr_assert_eq(mincore(p, 64 * page(), present), 0);
        size_t count = 0;
        for (size_t i = 0; i < 64; i++)
            count += present[i] & 1;
        cr_assert_eq(count, 20);
        cr_assert_eq(p[5 * page()], 77);
        secret_arena_prefault(arena, SIZE_MAX, threads);
        secret_arena_free(arena);
    }
}

static void limit_lockable(rlim_t bytes) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    cr_assert_eq(syscall(SYS_capget, &header, data), 0);
    data[0].effective &= ~(1U << CAP_IPC_LOCK);
    cr_assert_eq(syscall(SYS_capset, &header, data), 0);
    const struct rlimit limit = {bytes, bytes};
    cr_assert_eq(setrlimit(RLIMIT_MEMLOCK, &limit), 0);
}

Test(secret, past_the_limit_the_error_says_how_much_and_what_limit) {
    limit_lockable(64 << 10);
    struct secret_arena *arena = NULL;
    struct error error = {0};
    cr_assert_eq(secret_arena_new(1 << 20, NULL, &arena, &error), STATUS_UNAVAILABLE);
    cr_assert_null(arena);
    cr_assert_not_null(strstr(error.message, "1024 KiB wanted"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "64 KiB can be locked"), "%s", error.message);
    cr_assert_not_null(strstr(error.message, "RLIMIT_MEMLOCK"));

    const struct secret_options weak = {.allow_unlocked = true};
    cr_assert_eq(secret_arena_new(1 << 20, &weak, &arena, &error), STATUS_OK);
    cr_assert_eq(secret_arena_kind(arena), SECRET_UNLOCKED);
    secret_arena_free(arena);

    /* Keys still find room, and give it back. */
    for (unsigned i = 0; i < 100; i++) {
        void *key = secret_alloc(64, &error);
        cr_assert_not_null(key, "%s", error.message);
        secret_free(key);
    }
    struct secret_probe probe;
    secret_probe(&probe);
    cr_assert_eq(probe.lock_limit, 64 << 10);
    cr_assert(!probe.lock_capability);
    cr_assert(probe.obtained);
    cr_assert_leq(probe.kind, SECRET_LOCKED);
}

Test(secret, with_no_lockable_memory_keys_are_refused_unless_allowed) {
    limit_lockable(0);
    struct error error = {0};
    cr_assert_null(secret_alloc(32, &error));
    cr_assert_eq(error.status, STATUS_UNAVAILABLE);
    struct secret_probe probe;
    secret_probe(&probe);
    cr_assert(!probe.obtained);
    secret_configure(&(struct secret_options){.allow_unlocked = true});
    void *key = secret_alloc(32, &error);
    cr_assert_not_null(key);
    secret_free(key);
}

Test(secret, no_descriptor_stays_open) {
    int before = dup(0);
    close(before);
    struct secret_arena *arena = arena_of(page(), SECRET_MEMFD);
    void *key = secret_alloc(1, NULL);
    int after = dup(0);
    cr_assert_eq(before, after);
    close(after);
    secret_free(key);
    secret_arena_free(arena);
}

Test(secret, equal_and_wipe) {
    uint8_t a[32], b[32];
    memset(a, 7, sizeof a);
    memset(b, 7, sizeof b);
    cr_assert(secret_equal(a, b, sizeof a));
    b[31] ^= 0x80;
    cr_assert(!secret_equal(a, b, sizeof a));
    cr_assert(secret_equal(a, b, 0));
    secret_wipe(a, sizeof a);
    memset(b, 0, sizeof b);
    cr_assert_eq(memcmp(a, b, sizeof a), 0);
    cr_assert_str_eq(secret_kind_name(SECRET_MEMFD), "memfd_secret");
}

/* --- giving back a part ------------------------------------------------------------------------
 */

static struct secret_arena *parts_of(size_t size, enum secret_kind kind) {
    const struct secret_options options = {.first = kind, .allow_unlocked = true};
    struct secret_arena *arena = NULL;
    struct error error;
    cr_assert_eq(secret_arena_new_in_parts(size, &options, &arena, &error), STATUS_OK, "%s",
                 error.message);
    return arena;
}

static size_t locked_kib(void) {
    char line[128];
    size_t kib = 0;
    FILE *f = fopen("/proc/self/status", "r");
    cr_assert_not_null(f);
    while (fgets(line, sizeof line, f))
        (void)sscanf(line, "VmLck: %zu", &kib);
    fclose(f);
    return kib;
}

Test(secret, a_part_is_given_back_and_its_neighbours_stay) {
    const size_t size = (size_t)5 << 20, from = 100, length = ((size_t)3 << 20) + 77;
    for (enum secret_kind kind = SECRET_MEMFD; kind <= SECRET_UNLOCKED; kind++) {
        struct secret_arena *arena = parts_of(size, kind);
        uint8_t *p = secret_arena_alloc(arena, size);
        if (secret_arena_kind(arena) != kind) { /* refused here: another kind took its place */
            secret_arena_free(arena);
            continue;
        }
        memset(p, 0x5e, size);
        size_t before = locked_kib();
        cr_expect_not(secret_arena_discard(arena, p - 1, 10), "below");
        cr_expect_not(secret_arena_discard(arena, p + size - 5, 10), "past the end");
        cr_expect_not(secret_arena_discard(arena, marker, 10), "elsewhere");
        cr_expect_eq(secret_arena_held(arena), size);
        cr_assert(secret_arena_discard(arena, p + from, length));
        cr_expect_eq(p[from - 1], 0x5e);
        cr_expect_eq(p[from + length], 0x5e);
        cr_expect_eq(p[from], 0, "wiped, where the memory itself could not go");
        cr_expect_eq(p[from + length - 1], 0);
        size_t held = secret_arena_held(arena);
        cr_expect_lt(held, size - length + ((size_t)1 << 20), "%s: %zu held",
                     secret_kind_name(kind), held);
        if (kind == SECRET_MEMFD)
            cr_expect_eq(before - locked_kib(), (size - held) / 1024);
        secret_arena_free(arena);
    }
}

Test(secret, what_was_given_back_cannot_be_read) {
    const size_t size = (size_t)2 << 20;
    struct secret_arena *arena = parts_of(size, SECRET_MEMFD);
    uint8_t *p = secret_arena_alloc(arena, size);
    p[0] = 1;
    if (secret_arena_kind(arena) == SECRET_MEMFD) {
        cr_assert(secret_arena_discard(arena, p, size));
        cr_expect_eq(secret_arena_held(arena), 0);
        cr_expect(faults_here(p, false));
    }
    secret_arena_free(arena);
}
