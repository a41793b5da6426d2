/* The tensor ring, with its two sides in two processes, as in the server. */
#include "base/ring.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SLOT_BYTES 65536

static uint64_t in_ms(uint64_t ms) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec + ms * 1000000u;
}

static struct ring *attach(int fd, uint32_t slots) {
    struct ring *ring = NULL;
    struct error error;
    cr_assert_eq(ring_attach(fd, slots, SLOT_BYTES, false, &ring, &error), STATUS_OK, "%s",
                 error.message);
    return ring;
}

static int create(uint32_t slots) {
    int fd = -1;
    struct error error;
    cr_assert_eq(ring_create(slots, SLOT_BYTES, &fd, &error), STATUS_OK, "%s", error.message);
    return fd;
}

/* Doubles each number of the input. Returns how many requests it served. */
static int double_all(struct ring *ring, int timeout_ms) {
    static _Thread_local struct ring_request request;
    static _Thread_local struct ring_response response;
    uint32_t slot;
    int served = 0;
    while (ring_next(ring, timeout_ms, &slot)) {
        struct error error = {0};
        response.status = (uint32_t)ring_take(ring, slot, &request, &error);
        response.output_count = 0;
        response.output_end = 0;
        if (response.status == STATUS_OK) {
            size_t count = request.inputs[0].bytes / 4;
            uint32_t *in = (uint32_t *)(void *)(ring_data(ring, slot) + request.inputs[0].offset);
            uint64_t start = (request.input_end + RING_ALIGN - 1) / RING_ALIGN * RING_ALIGN;
            uint32_t *out = (uint32_t *)(void *)(ring_data(ring, slot) + start);
            for (size_t i = 0; i < count; i++)
                out[i] = in[i] * 2;
            response.outputs[0] = request.inputs[0];
            response.outputs[0].offset = start;
            response.output_count = 1;
            response.output_end = start + request.inputs[0].bytes;
        }
        memcpy(response.message, error.message, sizeof response.message);
        ring_complete(ring, slot, &response);
        served++;
    }
    return served;
}

static void fill(struct ring *ring, uint32_t slot, uint32_t first, uint32_t count) {
    struct ring_request *request = ring_request_of(ring, slot);
    uint32_t *in = (uint32_t *)(void *)ring_data(ring, slot);
    for (uint32_t i = 0; i < count; i++)
        in[i] = first + i;
    *request = (struct ring_request){.model = 7, .input_count = 1, .input_end = count * 4};
    request->inputs[0] =
        (struct ring_tensor){.type = 12, .rank = 1, .dims = {count}, .bytes = count * 4};
}

static void ask(struct ring *ring, uint32_t slot, uint32_t first) {
    struct ring_response response;
    struct error error = {0};
    fill(ring, slot, first, 100);
    ring_submit(ring, slot);
    cr_assert_eq(ring_wait(ring, slot, in_ms(10000), &response, &error), STATUS_OK, "%s",
                 error.message);
    cr_assert_eq(response.status, STATUS_OK, "%s", response.message);
    cr_assert_eq(response.output_count, 1);
    const uint32_t *out =
        (const uint32_t *)(const void *)(ring_data(ring, slot) + response.outputs[0].offset);
    for (uint32_t i = 0; i < 100; i++)
        cr_assert_eq(out[i], 2 * (first + i));
    ring_wipe(ring, slot, response.output_end);
}

Test(ring, two_processes) {
    int fd = create(4), status;
    pid_t child = fork();
    if (child == 0) {
        struct ring *ring = NULL;
        if (ring_attach(fd, 4, SLOT_BYTES, false, &ring, NULL) != STATUS_OK)
            _exit(100);
        _exit(double_all(ring, 2000) == 1000 ? 0 : 1);
    }
    struct ring *ring = attach(fd, 4);
    for (uint32_t i = 0; i < 1000; i++) /* more than a lap of the queue */
        ask(ring, i % 4, i);
    waitpid(child, &status, 0);
    cr_assert_eq(status, 0);
    ring_free(ring);
    close(fd);
}

/* --- many threads on both sides: nothing is lost, nothing is served twice --------------------- */

#define CROWD 6
#define EACH 3000
static struct ring *front_side, *worker_side;
static _Atomic int served;

static void *asker(void *context) {
    uint32_t slot = (uint32_t)(uintptr_t)context;
    for (uint32_t i = 0; i < EACH; i++)
        ask(front_side, slot, slot * 1000 + i);
    return NULL;
}

static void *worker(void *context) {
    (void)context;
    served += double_all(worker_side, 20000);
    return NULL;
}

Test(ring, many_threads, .timeout = 60) {
    int fd = create(CROWD);
    pthread_t askers[CROWD], workers[3];
    front_side = attach(fd, CROWD);
    worker_side = attach(fd, CROWD);
    for (size_t i = 0; i < 3; i++)
        pthread_create(&workers[i], NULL, worker, NULL);
    for (size_t i = 0; i < CROWD; i++)
        pthread_create(&askers[i], NULL, asker, (void *)i);
    for (size_t i = 0; i < CROWD; i++)
        pthread_join(askers[i], NULL);
    ring_stop(worker_side); /* wakes those that wait 20 s */
    for (size_t i = 0; i < 3; i++)
        pthread_join(workers[i], NULL);
    cr_assert_eq(served, CROWD * EACH);
    ring_free(front_side);
    ring_free(worker_side);
    close(fd);
}

/* --- waiting ---------------------------------------------------------------------------------- */

Test(ring, a_wait_ends_at_the_deadline) {
    int fd = create(1);
    struct ring *ring = attach(fd, 1);
    struct ring_response response;
    memset(&response, 7, sizeof response);
    fill(ring, 0, 0, 1);
    ring_submit(ring, 0);
    uint64_t before = in_ms(0);
    cr_assert_eq(ring_wait(ring, 0, in_ms(50), &response, NULL), STATUS_DEADLINE);
    cr_assert_geq(in_ms(0) - before, 45 * 1000000u);
    cr_assert_eq(((unsigned char *)&response)[0], 7, "untouched on failure");
    ring_free(ring);
    close(fd);
}

static void *announce(void *context) {
    usleep(50000);
    ring_worker_gone(context);
    return NULL;
}

Test(ring, a_dead_worker_wakes_who_waits) {
    int fd = create(1);
    struct ring *ring = attach(fd, 1);
    struct ring_response response;
    pthread_t thread;
    fill(ring, 0, 0, 1);
    ring_submit(ring, 0);
    pthread_create(&thread, NULL, announce, ring);
    uint64_t before = in_ms(0);
    cr_assert_eq(ring_wait(ring, 0, in_ms(10000), &response, NULL), STATUS_UNAVAILABLE);
    cr_assert_lt(in_ms(0) - before, 5000ull * 1000000u);
    pthread_join(thread, NULL);
    cr_assert_eq(ring_wait(ring, 0, in_ms(10000), &response, NULL), STATUS_UNAVAILABLE);
    ring_free(ring);
    close(fd);
}

/* --- neither side believes the other ---------------------------------------------------------- */

Test(ring, a_request_that_lies_is_refused) {
    int fd = create(2);
    struct ring *ring = attach(fd, 2);
    struct ring_request taken, *request = ring_request_of(ring, 1);
    struct error error;
    struct {
        const char *what;
        struct ring_request request;
    } lies[] = {
        {"count", {.input_count = RING_TENSORS_MAX + 1}},
        {"end", {.input_end = SLOT_BYTES + 1}},
        {"offset", {.input_count = 1, .input_end = 64, .inputs = {{.offset = 128}}}},
        {"alignment", {.input_count = 1, .input_end = 64, .inputs = {{.offset = 4, .bytes = 4}}}},
        {"bytes", {.input_count = 1, .input_end = 64, .inputs = {{.bytes = 65}}}},
        {"overflow",
         {.input_count = 1,
          .input_end = 64,
          .inputs = {{.offset = UINT64_MAX - 63, .bytes = 128}}}},
        {"rank", {.input_count = 1, .inputs = {{.rank = RING_RANK_MAX + 1}}}},
        {"dimension", {.input_count = 1, .inputs = {{.rank = 1, .dims = {-1}}}}},
        {"index", {.input_count = 1, .inputs = {{.index = RING_TENSORS_MAX}}}},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        *request = lies[i].request;
        cr_expect_eq(ring_take(ring, 1, &taken, &error), STATUS_INVALID, "%s", lies[i].what);
    }
    *request = (struct ring_request){.input_count = 1, .input_end = 64, .inputs = {{.bytes = 64}}};
    cr_expect_eq(ring_take(ring, 1, &taken, &error), STATUS_OK);
    ring_free(ring);
    close(fd);
}

Test(ring, an_answer_that_lies_is_refused) {
    int fd = create(1);
    struct ring *front = attach(fd, 1), *back = attach(fd, 1);
    struct ring_response heard, answer;
    struct {
        const char *what;
        struct ring_response response;
    } lies[] = {
        {"status", {.status = STATUS_COUNT}},
        {"end", {.output_end = SLOT_BYTES + 1}},
        {"offset", {.output_count = 1, .output_end = 64, .outputs = {{.offset = 128}}}},
        {"bytes", {.output_count = 1, .output_end = 64, .outputs = {{.bytes = 65}}}},
        {"rank", {.output_count = 1, .outputs = {{.rank = 99}}}},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        fill(front, 0, 0, 1);
        ring_submit(front, 0);
        answer = lies[i].response;
        ring_complete(back, 0, &answer);
        cr_expect_eq(ring_wait(front, 0, in_ms(1000), &heard, NULL), STATUS_INTERNAL, "%s",
                     lies[i].what);
    }
    ring_free(front);
    ring_free(back);
    close(fd);
}

Test(ring, the_memory_is_what_was_agreed) {
    int fd = create(2);
    struct ring *ring = NULL;
    cr_assert_eq(ftruncate(fd, 4096), -1, "the size is sealed");
    cr_assert_eq(ring_attach(fd, 3, SLOT_BYTES, false, &ring, NULL), STATUS_INVALID);
    cr_assert_eq(ring_attach(fd, 2, SLOT_BYTES + 4096, false, &ring, NULL), STATUS_INVALID);
    cr_assert_null(ring);
    int plain = memfd_create("plain", MFD_CLOEXEC);
    size_t size;
    cr_assert_eq(ring_size(2, SLOT_BYTES, &size, NULL), STATUS_OK);
    cr_assert_eq(ftruncate(plain, (off_t)size), 0);
    cr_assert_eq(ring_attach(plain, 2, SLOT_BYTES, false, &ring, NULL), STATUS_INVALID,
                 "not sealed");
    cr_assert_eq(ring_size(0, SLOT_BYTES, &size, NULL), STATUS_INVALID);
    cr_assert_eq(ring_size(RING_SLOTS_MAX + 1, SLOT_BYTES, &size, NULL), STATUS_INVALID);
    cr_assert_eq(ring_size(2, UINT64_MAX, &size, NULL), STATUS_INVALID);
    ring_free(NULL);
    close(plain);
    close(fd);
}

Test(ring, a_wiped_slot_holds_nothing) {
    int fd = create(1);
    struct ring *ring = attach(fd, 1);
    memset(ring_data(ring, 0), 0x5a, SLOT_BYTES);
    ring_wipe(ring, 0, SLOT_BYTES);
    for (size_t i = 0; i < SLOT_BYTES; i++)
        cr_assert_eq(ring_data(ring, 0)[i], 0);
    ring_free(ring);
    close(fd);
}
