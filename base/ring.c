#include "base/ring.h"

#include "base/checked.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096u
/* Past this many bytes a used slot's pages are given back rather than kept warm. */
#define KEEP_BYTES (1u << 20)

enum slot_state { SLOT_IDLE, SLOT_SUBMITTED, SLOT_DONE };

/* Lies at the start of the shared memory. The queue cannot overflow: a slot stands in it at most
 * once, since ledger gives a slot to one request at a time; a front that lies about that can only
 * hurt requests of the same ring. */
struct shared {
    _Atomic uint32_t tail;     /* next queue entry to fill, counts up */
    _Atomic uint32_t doorbell; /* futex of the worker */
    _Atomic uint32_t gone;     /* the worker died */
    _Atomic uint32_t sleepers; /* threads of the worker that wait for the doorbell */
    /* Lap and slot + 1 (queue_entry), 0 before the first lap. An entry is never cleared: that would
     * race with the front filling the same place a lap later. */
    _Atomic uint32_t queue[RING_SLOTS_MAX];
};

struct slot {
    _Atomic uint32_t state; /* futex of the waiting front thread */
    uint32_t reserved;
    struct ring_request request;
    struct ring_response response;
};

struct ring {
    uint8_t *base;
    size_t size;
    uint32_t slots;
    uint64_t slot_bytes;
    size_t slot_stride, first_slot, header_bytes;
    _Atomic uint32_t head; /* the worker's read position; private to this process */
    _Atomic bool stopped;  /* ring_stop was called; private to this process */
};

static size_t up(size_t value) {
    return (value + PAGE - 1) & ~(size_t)(PAGE - 1);
}

static long futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout) {
    /* FUTEX_WAIT_BITSET takes an absolute CLOCK_MONOTONIC time. */
    return syscall(SYS_futex, word, op, value, timeout, NULL, FUTEX_BITSET_MATCH_ANY);
}

static struct timespec at(uint64_t ns) {
    return (struct timespec){.tv_sec = (time_t)(ns / 1000000000u),
                             .tv_nsec = (long)(ns % 1000000000u)};
}

static uint64_t now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

enum status ring_size(uint32_t slots, uint64_t slot_bytes, size_t *size, struct error *error) {
    size_t stride, all;
    if (slots == 0 || slots > RING_SLOTS_MAX)
        return status_fail(error, STATUS_INVALID, "worker slots: found %u, expected 1 to %u", slots,
                           RING_SLOTS_MAX);
    if (!checked_align(slot_bytes, PAGE, &stride) ||
        !checked_add(stride, up(sizeof(struct slot)), &stride) ||
        !checked_mul(stride, slots, &all) || !checked_add(all, up(sizeof(struct shared)), &all) ||
        all > (size_t)1 << 46)
        return status_fail(error, STATUS_INVALID, "worker slots: the ring is too large");
    *size = all;
    return STATUS_OK;
}

enum status ring_create(uint32_t slots, uint64_t slot_bytes, int *descriptor, struct error *error) {
    size_t size;
    enum status status = ring_size(slots, slot_bytes, &size, error);
    if (status != STATUS_OK)
        return status;
    int fd = memfd_create("strongroom-ring", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0) {
        if (fd >= 0)
            close(fd);
        return status_fail(error, STATUS_UNAVAILABLE, "no shared memory for a worker's ring");
    }
    *descriptor = fd;
    return STATUS_OK;
}

enum status ring_attach(int descriptor, uint32_t slots, uint64_t slot_bytes, bool lock,
                        struct ring **ring, struct error *error) {
    size_t size;
    enum status status = ring_size(slots, slot_bytes, &size, error);
    if (status != STATUS_OK)
        return status;
    int seals = fcntl(descriptor, F_GET_SEALS);
    off_t have = lseek(descriptor, 0, SEEK_END);
    if (seals < 0 || !(seals & F_SEAL_SHRINK) || have < 0 || (size_t)have != size)
        return status_fail(error, STATUS_INVALID, "the ring's memory has the wrong size or seals");
    struct ring *r = calloc(1, sizeof *r);
    void *base =
        r ? mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0) : MAP_FAILED;
    if (base == MAP_FAILED) {
        free(r);
        return status_fail(error, STATUS_UNAVAILABLE, "no memory to map a worker's ring");
    }
    madvise(base, size, MADV_DONTDUMP);
    madvise(base, size, MADV_DONTFORK);
    if (lock && mlock2(base, size, MLOCK_ONFAULT) != 0) {
        munmap(base, size);
        free(r);
        return status_fail(error, STATUS_UNAVAILABLE,
                           "the ring of %zu bytes cannot be locked in memory", size);
    }
    r->base = base;
    r->size = size;
    r->slots = slots;
    r->slot_bytes = slot_bytes;
    r->header_bytes = up(sizeof(struct slot));
    r->slot_stride = r->header_bytes + up(slot_bytes);
    r->first_slot = up(sizeof(struct shared));
    *ring = r;
    return STATUS_OK;
}

void ring_free(struct ring *ring) {
    if (!ring)
        return;
    munmap(ring->base, ring->size);
    free(ring);
}

uint32_t ring_slots(const struct ring *ring) {
    return ring->slots;
}

uint64_t ring_slot_bytes(const struct ring *ring) {
    return ring->slot_bytes;
}

static struct shared *shared_of(struct ring *ring) {
    return (struct shared *)(void *)ring->base;
}

static struct slot *slot_of(struct ring *ring, uint32_t slot) {
    return (struct slot *)(void *)(ring->base + ring->first_slot + ring->slot_stride * slot);
}

uint8_t *ring_data(struct ring *ring, uint32_t slot) {
    return (uint8_t *)slot_of(ring, slot) + ring->header_bytes;
}

struct ring_request *ring_request_of(struct ring *ring, uint32_t slot) {
    return &slot_of(ring, slot)->request;
}

/* What stands at a position of the queue: the lap tells a new entry from the one before it. */
static uint32_t queue_entry(uint32_t position, uint32_t slot_plus_one) {
    return position / RING_SLOTS_MAX << 9 | slot_plus_one;
}

void ring_submit(struct ring *ring, uint32_t slot) {
    struct shared *shared = shared_of(ring);
    atomic_store_explicit(&slot_of(ring, slot)->state, SLOT_SUBMITTED, memory_order_release);
    uint32_t position = atomic_fetch_add_explicit(&shared->tail, 1, memory_order_relaxed);
    atomic_store_explicit(&shared->queue[position % RING_SLOTS_MAX],
                          queue_entry(position, slot + 1), memory_order_release);
    /* Sequentially consistent, as is the sleeper's side: either we see that it sleeps, or its wait
     * sees that the bell has rung. */
    atomic_fetch_add(&shared->doorbell, 1);
    if (atomic_load(&shared->sleepers))
        futex(&shared->doorbell, FUTEX_WAKE, 1, NULL);
}

/* Tensors must lie in [start, end) of the data area, aligned, with sane ranks. */
static bool tensors_sane(const struct ring_tensor *tensors, uint32_t count, uint64_t start,
                         uint64_t end) {
    for (uint32_t i = 0; i < count; i++) {
        const struct ring_tensor *t = &tensors[i];
        uint64_t stop;
        if (t->rank > RING_RANK_MAX || t->index >= RING_TENSORS_MAX || t->offset % RING_ALIGN ||
            t->offset < start || __builtin_add_overflow(t->offset, t->bytes, &stop) || stop > end)
            return false;
        for (uint32_t d = 0; d < t->rank; d++)
            if (t->dims[d] < 0)
                return false;
    }
    return true;
}

enum status ring_wait(struct ring *ring, uint32_t slot, uint64_t until_ns,
                      struct ring_response *response, struct error *error) {
    struct slot *s = slot_of(ring, slot);
    struct shared *shared = shared_of(ring);
    struct timespec until = at(until_ns);
    uint32_t state;
    while ((state = atomic_load_explicit(&s->state, memory_order_acquire)) != SLOT_DONE) {
        /* On any other word the futex would not sleep and the deadline would never be seen. */
        if (state != SLOT_SUBMITTED)
            return status_fail(error, STATUS_INTERNAL,
                               "the model's worker gave a malformed answer");
        if (atomic_load(&shared->gone))
            return status_fail(error, STATUS_UNAVAILABLE,
                               "the model's worker stopped while it ran this request");
        long n = futex(&s->state, FUTEX_WAIT_BITSET, SLOT_SUBMITTED, &until);
        if (n < 0 && errno == ETIMEDOUT &&
            atomic_load_explicit(&s->state, memory_order_acquire) != SLOT_DONE)
            return status_fail(error, STATUS_DEADLINE, "the deadline passed while the model ran");
    }
    /* Copy once, then look at the copy alone. Only the used descriptors are copied. */
    struct ring_response *shared_response = &s->response;
    memcpy(response, shared_response, offsetof(struct ring_response, outputs));
    response->message[sizeof response->message - 1] = '\0';
    uint64_t input_end = s->request.input_end;
    if (response->status >= STATUS_COUNT || response->output_count > RING_TENSORS_MAX ||
        response->output_end > ring->slot_bytes)
        return status_fail(error, STATUS_INTERNAL, "the model's worker gave a malformed answer");
    memcpy(response->outputs, shared_response->outputs,
           response->output_count * sizeof(struct ring_tensor));
    if (!tensors_sane(response->outputs, response->output_count, 0, response->output_end) ||
        input_end > ring->slot_bytes)
        return status_fail(error, STATUS_INTERNAL, "the model's worker gave a malformed answer");
    return STATUS_OK;
}

void ring_wipe(struct ring *ring, uint32_t slot, uint64_t used_bytes) {
    struct slot *s = slot_of(ring, slot);
    if (used_bytes > ring->slot_bytes)
        used_bytes = ring->slot_bytes;
    uint8_t *data = ring_data(ring, slot);
    size_t keep = used_bytes < KEEP_BYTES ? (size_t)used_bytes : KEEP_BYTES;
    memset(data, 0, keep);
    /* Punching a hole frees the pages; the kernel zeroes them before anyone sees them again. */
    if (used_bytes > keep && madvise(data + keep, up((size_t)used_bytes - keep), MADV_REMOVE) != 0)
        memset(data + keep, 0, (size_t)used_bytes - keep);
    uint32_t inputs = s->request.input_count, outputs = s->response.output_count;
    memset(s->request.inputs, 0,
           (inputs < RING_TENSORS_MAX ? inputs : RING_TENSORS_MAX) * sizeof *s->request.inputs);
    memset(s->response.outputs, 0,
           (outputs < RING_TENSORS_MAX ? outputs : RING_TENSORS_MAX) * sizeof *s->response.outputs);
    memset(&s->request, 0, offsetof(struct ring_request, inputs));
    memset(&s->response, 0, offsetof(struct ring_response, outputs));
    atomic_store_explicit(&s->state, SLOT_IDLE, memory_order_release);
    /* The compiler must not see these stores as dead. */
    __asm__ volatile("" ::: "memory");
}

void ring_worker_gone(struct ring *ring) {
    atomic_store(&shared_of(ring)->gone, 1);
    for (uint32_t i = 0; i < ring->slots; i++)
        futex(&slot_of(ring, i)->state, FUTEX_WAKE, INT_MAX, NULL);
}

bool ring_next(struct ring *ring, int timeout_ms, uint32_t *slot) {
    struct shared *shared = shared_of(ring);
    struct timespec until = at(now_ns() + (uint64_t)timeout_ms * 1000000u);
    for (;;) {
        uint32_t bell = atomic_load_explicit(&shared->doorbell, memory_order_acquire);
        if (atomic_load(&ring->stopped))
            return false;
        uint32_t position = atomic_load_explicit(&ring->head, memory_order_relaxed);
        uint32_t entry =
            atomic_load_explicit(&shared->queue[position % RING_SLOTS_MAX], memory_order_acquire);
        uint32_t number = entry & 511;
        if (number && entry == queue_entry(position, number)) {
            /* Several executor threads may read: whoever moves the head has the entry. */
            if (!atomic_compare_exchange_strong(&ring->head, &position, position + 1))
                continue;
            if (number - 1 >= ring->slots)
                continue;
            *slot = number - 1;
            return true;
        }
        atomic_fetch_add(&shared->sleepers, 1);
        long n = futex(&shared->doorbell, FUTEX_WAIT_BITSET, bell, &until);
        int why = errno;
        atomic_fetch_sub(&shared->sleepers, 1);
        if (n < 0 && why == ETIMEDOUT)
            return false;
    }
}

void ring_stop(struct ring *ring) {
    atomic_store(&ring->stopped, true);
    atomic_fetch_add(&shared_of(ring)->doorbell, 1);
    futex(&shared_of(ring)->doorbell, FUTEX_WAKE, INT_MAX, NULL);
}

enum status ring_take(struct ring *ring, uint32_t slot, struct ring_request *request,
                      struct error *error) {
    struct slot *s = slot_of(ring, slot);
    memcpy(request, &s->request, offsetof(struct ring_request, inputs));
    if (request->input_count > RING_TENSORS_MAX || request->input_end > ring->slot_bytes)
        return status_fail(error, STATUS_INVALID, "the request's header is malformed");
    memcpy(request->inputs, s->request.inputs, request->input_count * sizeof *request->inputs);
    if (!tensors_sane(request->inputs, request->input_count, 0, request->input_end))
        return status_fail(error, STATUS_INVALID, "the request's header is malformed");
    return STATUS_OK;
}

void ring_complete(struct ring *ring, uint32_t slot, const struct ring_response *response) {
    struct slot *s = slot_of(ring, slot);
    memcpy(&s->response, response, offsetof(struct ring_response, outputs));
    memcpy(s->response.outputs, response->outputs,
           response->output_count * sizeof *response->outputs);
    atomic_store_explicit(&s->state, SLOT_DONE, memory_order_release);
    futex(&s->state, FUTEX_WAKE, 1, NULL);
}
