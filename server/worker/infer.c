#include "server/worker/infer.h"

#include "base/log.h"
#include "crypto/secret.h"
#include "server/worker/region.h"
#include "server/worker/tensors.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define INPUT_STEP ((size_t)64 << 10)
#define SHORT_US                                                                                   \
    500 /* a run that others may wait for: some ten times what waking one of them costs */
#define INPUT_KEPT ((size_t)8 << 20) /* memory for inputs that a thread keeps between requests */

struct infer {
    struct infer_options options;
    _Atomic bool leaving;
    pthread_mutex_t taking; /* held by the thread that takes from the ring */
    unsigned count;
    pthread_t threads[];
};

/* What one thread needs for one request, kept from one to the next. */
struct runner {
    const struct infer_options *options;
    pthread_mutex_t *taking;
    bool leads; /* holds `taking` */
    struct arena inputs;
    struct ring_request request;
    struct ring_response response;
    struct value *values; /* RING_TENSORS_MAX inputs */
};

static uint64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static enum status late(struct error *error) {
    return status_fail(error, STATUS_DEADLINE, "the deadline passed before the model could run");
}

/* The session is ours: run it and put its outputs into the slot. */
static enum status run_session(struct runner *r, uint32_t slot, struct resident *model,
                               uint64_t deadline, struct error *error) {
    const struct session *session = model->session;
    size_t input_count = session_input_count(session);
    size_t output_count = session_output_count(session);
    struct value *outputs = arena_array(&r->inputs, output_count, sizeof *outputs);
    if (!outputs)
        return arena_exhausted(&r->inputs, output_count * sizeof *outputs, error);
    uint64_t began = now_ns();
    if (began >= deadline)
        return late(error);
    enum status status =
        session_run(model->session, r->values, input_count, deadline, outputs, output_count, error);
    uint64_t took = (now_ns() - began) / 1000;
    r->response.compute_us = took;
    uint32_t usual = atomic_load_explicit(&model->usual_us, memory_order_relaxed);
    took = took < UINT32_MAX / 4 ? took : UINT32_MAX / 4;
    usual = usual ? (uint32_t)((3 * (uint64_t)usual + took) / 4) : (uint32_t)took;
    atomic_store_explicit(&model->usual_us, usual ? usual : 1, memory_order_relaxed);
    if (status != STATUS_OK)
        return status;
    const struct tensors_out to = {.session = session,
                                   .outputs = model->outputs,
                                   .output_count = model->output_count,
                                   .wanted = r->request.outputs_wanted,
                                   .data = ring_data(r->options->ring, slot),
                                   .start = r->request.input_end,
                                   .capacity = ring_slot_bytes(r->options->ring)};
    status = tensors_out(&to, outputs, &r->response, error);
    session_release(model->session);
    return status;
}

static enum status run_model(struct runner *r, uint32_t slot, struct resident *model,
                             uint64_t deadline, struct error *error) {
    struct timespec until = {.tv_sec = (time_t)(deadline / 1000000000u),
                             .tv_nsec = (long)(deadline % 1000000000u)};
    enum status status =
        tensors_in(model->session, &r->request, ring_data(r->options->ring, slot), &r->inputs,
                   r->values, session_input_count(model->session), error);
    if (status != STATUS_OK)
        return status;
    if (pthread_mutex_clocklock(&model->running, CLOCK_MONOTONIC, &until) != 0)
        return late(error);
    status = run_session(r, slot, model, deadline, error);
    pthread_mutex_unlock(&model->running);
    return status;
}

static void lead(struct runner *r, bool leads) {
    if (leads && !r->leads)
        pthread_mutex_lock(r->taking);
    else if (!leads && r->leads)
        pthread_mutex_unlock(r->taking);
    r->leads = leads;
}

static enum status answer(struct runner *r, uint32_t slot, struct error *error) {
    uint64_t most = now_ns() + r->options->deadline_ms * 1000000u;
    enum status status = ring_take(r->options->ring, slot, &r->request, error);
    if (status != STATUS_OK)
        return status;
    uint64_t deadline = r->request.deadline_ns;
    if (deadline == 0 || deadline > most)
        deadline = most;
    struct resident *model = resident_get(r->options->table, r->request.model);
    if (!model)
        return status_fail(error, STATUS_UNAVAILABLE, "the model was unloaded");
    uint32_t usual = atomic_load_explicit(&model->usual_us, memory_order_relaxed);
    if (usual == 0 || usual > SHORT_US)
        lead(r, false);
    status = run_model(r, slot, model, deadline, error);
    resident_release(r->options->table, model);
    return status;
}

/* Strings take 16 bytes of views for 4 of input at least: eight times a slot is room for all. */
static void begin_inputs(struct runner *r) {
    arena_free(&r->inputs);
    arena_init(&r->inputs, region_activation(), INPUT_STEP,
               (size_t)ring_slot_bytes(r->options->ring) * 8, "the request");
}

static void serve(struct runner *r, uint32_t slot) {
    struct error error = {0};
    r->response.output_count = 0;
    r->response.compute_us = r->response.output_end = 0;
    memset(r->response.message, 0, sizeof r->response.message);
    enum status status = answer(r, slot, &error);
    r->response.status = (uint32_t)status;
    if (status != STATUS_OK) {
        r->response.output_count = 0; /* output_end stays: front wipes up to there */
        memcpy(r->response.message, error.message, sizeof r->response.message);
    }
    ring_complete(r->options->ring, slot, &r->response);
    arena_clear(&r->inputs);
    if (r->inputs.held > INPUT_KEPT)
        begin_inputs(r);
    /* The count is front's word and may be the reason why the request was refused. */
    const uint32_t used = r->request.input_count;
    secret_wipe(r->values, (used < RING_TENSORS_MAX ? used : RING_TENSORS_MAX) * sizeof *r->values);
}

static void *run(void *context) {
    struct infer *infer = context;
    struct runner *r = calloc(1, sizeof *r);
    uint32_t slot;
    if (!r || !(r->values = calloc(RING_TENSORS_MAX, sizeof *r->values))) {
        log_error("out of memory: one thread fewer serves requests");
        free(r);
        return NULL;
    }
    r->options = &infer->options;
    r->taking = &infer->taking;
    begin_inputs(r);
    while (!atomic_load(&infer->leaving)) {
        lead(r, true);
        if (ring_next(r->options->ring, 60000, &slot))
            serve(r, slot);
    }
    lead(r, false);
    arena_free(&r->inputs);
    free(r->values);
    free(r);
    return NULL;
}

static void join(struct infer *infer) {
    atomic_store(&infer->leaving, true);
    ring_stop(infer->options.ring);
    for (unsigned i = 0; i < infer->count; i++)
        pthread_join(infer->threads[i], NULL);
    pthread_mutex_destroy(&infer->taking);
}

enum status infer_new(const struct infer_options *options, struct infer **infer,
                      struct error *error) {
    struct infer *made = calloc(1, sizeof *made + options->threads * sizeof *made->threads);
    if (!made)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    made->options = *options;
    pthread_mutex_init(&made->taking, NULL);
    while (made->count < options->threads &&
           pthread_create(&made->threads[made->count], NULL, run, made) == 0)
        made->count++;
    if (made->count < options->threads) {
        join(made);
        free(made);
        return status_fail(error, STATUS_UNAVAILABLE, "no more threads can be made");
    }
    *infer = made;
    return STATUS_OK;
}

void infer_free(struct infer *infer) {
    if (!infer)
        return;
    join(infer);
    ring_free(infer->options.ring);
    free(infer);
}
