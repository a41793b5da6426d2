#include "base/mailbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define WORDS (MAILBOX_BOXES / 64)
#define SEALS (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

enum box_state { BOX_IDLE, BOX_ASKED, BOX_ANSWERED };

struct box {
    _Atomic uint32_t state; /* futex of the asking thread */
    uint32_t size;
    uint8_t bytes[MAILBOX_BYTES];
};

struct shared {
    _Atomic uint32_t asleep; /* the answering side waits for the bell */
    uint32_t reserved[15];
    _Atomic uint64_t asked[WORDS]; /* boxes with a question that was not taken */
    struct box boxes[MAILBOX_BOXES];
};

struct mailbox {
    struct shared *shared;
    int bell; /* the asking side's; -1 on the other */
    _Atomic unsigned references;
    _Atomic bool closed;
    unsigned word;            /* where mailbox_next looks first: every box has its turn */
    uint64_t pending;         /* taken from asked[word], not given out yet */
    _Atomic uint32_t claimed; /* boxes given out */
};

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout) {
    return syscall(SYS_futex, word, op, value, timeout, NULL, 0);
}

static enum status map(int memory, struct mailbox **mailbox, struct error *error) {
    struct mailbox *m = calloc(1, sizeof *m);
    void *base =
        m ? mmap(NULL, sizeof(struct shared), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0)
          : MAP_FAILED;
    if (base == MAP_FAILED) {
        free(m);
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for the mailbox");
    }
    madvise(base, sizeof(struct shared), MADV_DONTDUMP);
    madvise(base, sizeof(struct shared), MADV_DONTFORK);
    m->shared = base;
    m->bell = -1;
    atomic_store(&m->references, 1);
    *mailbox = m;
    return STATUS_OK;
}

enum status mailbox_new(struct mailbox **mailbox, int *memory, int *bell, struct error *error) {
    enum status status = STATUS_OK;
    int event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    int fd = memfd_create("strongroom-mailbox", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (event < 0 || fd < 0 || ftruncate(fd, sizeof(struct shared)) != 0 ||
        fcntl(fd, F_ADD_SEALS, SEALS) != 0)
        status = status_fail(error, STATUS_UNAVAILABLE, "no memory for the mailbox");
    if (status == STATUS_OK)
        status = map(fd, mailbox, error);
    if (status != STATUS_OK) {
        if (event >= 0)
            close(event);
        if (fd >= 0)
            close(fd);
        return status;
    }
    *memory = fd;
    *bell = event;
    return STATUS_OK;
}

enum status mailbox_attach(int memory, int bell, struct mailbox **mailbox, struct error *error) {
    int seals = fcntl(memory, F_GET_SEALS);
    off_t size = lseek(memory, 0, SEEK_END);
    if (seals < 0 || (seals & SEALS) != SEALS || size != (off_t)sizeof(struct shared))
        return status_fail(error, STATUS_INVALID, "the mailbox has the wrong size or seals");
    enum status status = map(memory, mailbox, error);
    if (status == STATUS_OK)
        (*mailbox)->bell = bell;
    return status;
}

struct mailbox *mailbox_hold(struct mailbox *mailbox) {
    atomic_fetch_add(&mailbox->references, 1);
    return mailbox;
}

void mailbox_release(struct mailbox *m) {
    if (!m || atomic_fetch_sub(&m->references, 1) != 1)
        return;
    munmap(m->shared, sizeof *m->shared);
    if (m->bell >= 0)
        close(m->bell);
    free(m);
}

/* --- asking side --- */

uint32_t mailbox_claim(struct mailbox *m) {
    uint32_t box = atomic_load(&m->claimed);
    while (box < MAILBOX_BOXES && !atomic_compare_exchange_weak(&m->claimed, &box, box + 1))
        ;
    return box < MAILBOX_BOXES ? box : MAILBOX_NONE;
}

uint8_t *mailbox_space(struct mailbox *m, uint32_t box) {
    return m->shared->boxes[box].bytes;
}

void mailbox_again(struct mailbox *m, uint32_t box) {
    atomic_fetch_or(&m->shared->asked[box / 64], UINT64_C(1) << box % 64);
}

void mailbox_ask(struct mailbox *m, uint32_t box, size_t size) {
    struct box *b = &m->shared->boxes[box];
    const uint64_t one = 1;
    b->size = (uint32_t)size;
    atomic_store_explicit(&b->state, BOX_ASKED, memory_order_release);
    /* Sequentially consistent, as is mailbox_sleep: either it sees the question, or we see that it
     * sleeps. */
    mailbox_again(m, box);
    if (atomic_load(&m->shared->asleep) && atomic_exchange(&m->shared->asleep, 0))
        (void)!write(m->bell, &one, sizeof one); /* full is rung enough */
}

/* What lay in the box is nobody's business afterwards. */
static bool copy_out(struct box *b, void *out, size_t *size) {
    const uint32_t length = b->size;
    if (length > MAILBOX_BYTES)
        return false;
    memcpy(out, b->bytes, length);
    memset(b->bytes, 0, length);
    *size = length;
    return true;
}

/* The question may still lie there, and nobody will take it away. */
static enum status give_up(struct box *b, enum status status, const char *why,
                           struct error *error) {
    memset(b->bytes, 0, sizeof b->bytes);
    return status_fail(error, status, "%s", why);
}

enum status mailbox_wait(struct mailbox *m, uint32_t box, unsigned seconds, void *out, size_t *size,
                         struct error *error) {
    struct box *b = &m->shared->boxes[box];
    /* In steps: a close between our look at it and our sleep wakes nobody. */
    const struct timespec step = {.tv_sec = 1};
    while (atomic_load_explicit(&b->state, memory_order_acquire) == BOX_ASKED) {
        if (atomic_load(&m->closed))
            return give_up(b, STATUS_UNAVAILABLE, "nobody answers any more", error);
        if (futex(&b->state, FUTEX_WAIT, BOX_ASKED, &step) != 0 && errno == ETIMEDOUT &&
            seconds-- == 0)
            return give_up(b, STATUS_DEADLINE, "no answer has come", error);
    }
    if (!copy_out(b, out, size))
        return status_fail(error, STATUS_INVALID, "the answer is longer than its box");
    atomic_store_explicit(&b->state, BOX_IDLE, memory_order_relaxed);
    return STATUS_OK;
}

void mailbox_close(struct mailbox *m) {
    atomic_store(&m->closed, true);
    const uint32_t claimed = atomic_load(&m->claimed);
    for (uint32_t box = 0; box < claimed; box++)
        futex(&m->shared->boxes[box].state, FUTEX_WAKE, 1, NULL);
}

bool mailbox_closed(const struct mailbox *m) {
    return atomic_load(&m->closed);
}

/* --- answering side --- */

uint32_t mailbox_next(struct mailbox *m) {
    for (unsigned i = 0; !m->pending && i < WORDS; i++) {
        m->word = (m->word + 1) % WORDS;
        if (atomic_load_explicit(&m->shared->asked[m->word], memory_order_relaxed))
            m->pending = atomic_exchange(&m->shared->asked[m->word], 0);
    }
    if (!m->pending)
        return MAILBOX_NONE;
    const uint32_t bit = (uint32_t)__builtin_ctzll(m->pending);
    m->pending &= m->pending - 1;
    return m->word * 64 + bit;
}

bool mailbox_take(struct mailbox *m, uint32_t box, void *out, size_t *size) {
    struct box *b = &m->shared->boxes[box];
    return atomic_load_explicit(&b->state, memory_order_acquire) == BOX_ASKED &&
           copy_out(b, out, size);
}

void mailbox_answer(struct mailbox *m, uint32_t box, const void *packet, size_t size) {
    struct box *b = &m->shared->boxes[box];
    memcpy(b->bytes, packet, size);
    b->size = (uint32_t)size;
    atomic_store_explicit(&b->state, BOX_ANSWERED, memory_order_release);
    futex(&b->state, FUTEX_WAKE, 1, NULL);
}

bool mailbox_sleep(struct mailbox *m) {
    atomic_store(&m->shared->asleep, 1);
    bool asked = m->pending != 0;
    for (unsigned w = 0; w < WORDS && !asked; w++)
        asked = atomic_load(&m->shared->asked[w]) != 0;
    if (asked)
        atomic_store(&m->shared->asleep, 0);
    return !asked;
}

void mailbox_wake(struct mailbox *m) {
    atomic_store_explicit(&m->shared->asleep, 0, memory_order_relaxed);
}
