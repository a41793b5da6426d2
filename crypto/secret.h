/* Secret memory: the only place where keys and weights stand in the clear.
 *
 * A region is one anonymous mapping with a PROT_NONE page on either side, not inherited by fork
 * (MADV_DONTFORK) and not in a core (MADV_DONTDUMP). There are three kinds, best first:
 *   SECRET_MEMFD     memfd_secret(2), its descriptor closed once mapped: outside the kernel's own
 *                    map, so neither ptrace, /proc/PID/mem nor process_vm_readv reach it
 *   SECRET_LOCKED    mlock2(2): never swapped, but readable by a debugger that may attach
 *   SECRET_UNLOCKED  ordinary memory that may be swapped; only where the options allow it
 * The first two count against RLIMIT_MEMLOCK (8 MiB for ordinary users) unless CAP_IPC_LOCK is
 * held; the error says how much was wanted and what the limit is.
 *
 * System calls used, so that a sandbox can name them: memfd_secret, ftruncate, mmap (no PROT_EXEC),
 * munmap, mprotect, madvise, mlock2, mincore, close, prlimit64; prefault also makes threads. No
 * file is opened, so all of it works once a sandbox is on.
 *
 * Ownership: the caller frees what it was given; freeing wipes first. Threads: an arena belongs to
 * one thread at a time, its memory to whoever the caller likes; secret_alloc and secret_free may be
 * called from any thread. After fork the child has none of it: touching it there faults. */
#ifndef CRYPTO_SECRET_H
#define CRYPTO_SECRET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define SECRET_ALIGNMENT 64 /* of every arena allocation: one cache line, one AVX-512 register */

enum secret_kind { SECRET_MEMFD, SECRET_LOCKED, SECRET_UNLOCKED };

struct secret_options {
    bool allow_unlocked;    /* accept SECRET_UNLOCKED where nothing better can be had */
    enum secret_kind first; /* the best kind to try; SECRET_MEMFD (0) tries all, in order */
    bool only_first;        /* that kind or none */
};

/* "memfd_secret", "locked", "unlocked": for `doctor` and logs. */
const char *secret_kind_name(enum secret_kind kind);

/* ---- arenas: one per model, sized first, never growing ---- */

struct secret_arena;

/* An arena of at least `size` bytes (rounded up to pages), all zero. `options` NULL means the
 * process-wide options (secret_configure). STATUS_UNAVAILABLE where no allowed kind can be had,
 * STATUS_INVALID on a size of 0 or one that overflows. */
MUST_USE enum status secret_arena_new(size_t size, const struct secret_options *options,
                                      struct secret_arena **arena, struct error *error);
/* The same, made of a few thousand parts at most, so that secret_arena_discard can give memory
 * back. Each part is a mapping of the process (vm.max_map_count): for what will be discarded. */
MUST_USE enum status secret_arena_new_in_parts(size_t size, const struct secret_options *options,
                                               struct secret_arena **arena, struct error *error);
/* Wipe and unmap. NULL is fine. */
void secret_arena_free(struct secret_arena *arena);

/* `size` bytes aligned to SECRET_ALIGNMENT, zero when the arena is new, reset or rewound; NULL
 * where they do not fit. */
MUST_USE void *secret_arena_alloc(struct secret_arena *arena, size_t size);
/* Where the arena stands; rewind wipes and gives back everything allocated after that mark. */
size_t secret_arena_mark(const struct secret_arena *arena);
void secret_arena_rewind(struct secret_arena *arena, size_t mark);
/* Wipe all and start again, keeping the pages that are there: a recycled arena need not fault. */
void secret_arena_reset(struct secret_arena *arena);
/* Fault in the first `size` bytes with up to `threads` threads (0 and 1: the caller alone): a page
 * of memfd_secret costs 16 to 29 microseconds, so ask for what will be used and no more. Pages
 * that are there already keep what they hold. */
void secret_arena_prefault(struct secret_arena *arena, size_t size, unsigned threads);

/* Wipe these bytes of an allocation, and give their memory back where that goes: whole parts of
 * memfd_secret, whole pages of the other kinds.
 * Nobody may read or write them from then on, or fault them in. Bytes outside of the arena's
 * allocations are left alone: false. */
bool secret_arena_discard(struct secret_arena *arena, const void *data, size_t size);
size_t secret_arena_size(const struct secret_arena *arena); /* bytes it can hold */
size_t secret_arena_held(const struct secret_arena *arena); /* the same, less what was given back */
size_t secret_arena_used(const struct secret_arena *arena); /* bytes allocated, padding counted */
enum secret_kind secret_arena_kind(const struct secret_arena *arena);

/* ---- small secrets: keys, passphrases ---- */

/* What secret_alloc, and secret_arena_new without options, accept; set once at start. The default
 * is the strict one. */
void secret_configure(const struct secret_options *options);

/* `size` zero bytes, aligned to 16, in a region of their own that ends at its guard page (an
 * overrun faults). NULL, with the reason in `error`, on failure. Costs a page: for keys, not for
 * every request. */
MUST_USE void *secret_alloc(size_t size, struct error *error);
/* Wipe and unmap; NULL is fine. `secret` must come from secret_alloc. */
void secret_free(void *secret);

/* Zero memory in a way that no compiler removes. */
void secret_wipe(void *data, size_t size);
/* Equal in time that depends on `size` alone. */
bool secret_equal(const void *a, const void *b, size_t size);

/* ---- what this machine offers ---- */

struct secret_probe {
    bool memfd_secret;     /* the kernel offers it */
    bool lock_capability;  /* CAP_IPC_LOCK is effective: the limit does not bind */
    uint64_t lock_limit;   /* RLIMIT_MEMLOCK in bytes, UINT64_MAX for none */
    bool obtained;         /* a page could be had under the strict options */
    enum secret_kind kind; /* which, where obtained */
};
void secret_probe(struct secret_probe *probe);

#endif
