/* Inference: body -> the slot of the worker's ring -> outputs -> answer.
 *
 * The slot is ours from ADMITTED until SETTLE, so it is wiped before that: whoever gets it next
 * finds nothing. A worker that does not give the slot back in time keeps it, and ledger is told.
 * The ring of a worker that is gone stays mapped as long as the request borrows it, so that one is
 * wiped as well. */
#include "base/checked.h"
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/oip_response.h"

#include <string.h>

/* A worker watches the deadline itself, between operators; what is later than this has hung. */
#define GRACE_NS 5000000000u

struct infer {
    struct exchange *exchange;
    struct borrowed model;
    const uint8_t *body;
    size_t size;
    struct oip_area area;
    uint64_t deadline_ns;
    uint64_t units, compute_us;
    uint64_t decoding_ns, decoded_ns, waited_ns, encoded_ns; /* when; 0: it did not come to that */
    size_t slot_used;
    bool slot_stuck;
    struct buf answer;
    bool binary;
    size_t json_size;
};

static uint64_t deadline_of(const struct exchange *e, uint64_t timeout_us) {
    uint64_t limit_us = (uint64_t)exchange_deadline_ms(e) * 1000u;
    if (e->screen.has_timeout && e->screen.timeout_ms < limit_us / 1000)
        limit_us = e->screen.timeout_ms * 1000u;
    if (timeout_us && timeout_us < limit_us)
        limit_us = timeout_us;
    return e->started_ns + limit_us * 1000u;
}

static void submit(struct infer *x) {
    struct exchange *e = x->exchange;
    const struct oip_request *request = &e->thread->request;
    struct ring_request *to = ring_request_of(x->model.ring, e->slot);
    to->model = e->model;
    to->deadline_ns = x->deadline_ns;
    to->outputs_wanted = oip_request_wanted(request);
    to->input_count = request->input_count;
    to->reserved = 0;
    to->input_end = x->area.used;
    memcpy(to->inputs, request->inputs, request->input_count * sizeof *to->inputs);
    ring_submit(x->model.ring, e->slot);
}

/* What the worker said about a failure, in its words where they are fit to show. */
static enum status worker_failed(const struct ring_response *response, struct error *error) {
    char message[ERROR_MESSAGE_MAX];
    memcpy(message, response->message, sizeof message);
    message[sizeof message - 1] = '\0';
    enum status status = response->status < STATUS_COUNT && response->status != STATUS_OK
                             ? (enum status)response->status
                             : STATUS_INTERNAL;
    return status_fail(error, status, "%s", message[0] ? message : status_text(status));
}

static enum status wait_answer(struct infer *x, struct error *error) {
    struct exchange *e = x->exchange;
    struct ring_response *response = &e->thread->response;
    enum status status =
        ring_wait(x->model.ring, e->slot, x->deadline_ns + GRACE_NS, response, error);
    if (status == STATUS_DEADLINE || status == STATUS_UNAVAILABLE) {
        /* The slot of a worker that is gone goes with its ring; only one that hangs keeps it. */
        x->slot_stuck = status == STATUS_DEADLINE;
        return status_fail(error, status,
                           status == STATUS_DEADLINE ? "the model did not answer in time"
                                                     : "the model's process ended; try again");
    }
    if (status != STATUS_OK)
        return status;
    /* The worker's word, so at most what the deadline leaves room for. */
    const uint64_t most_us =
        (uint64_t)e->thread->front->config->limits.deadline_ms * 1000u + GRACE_NS / 1000u;
    x->compute_us = response->compute_us < most_us ? response->compute_us : most_us;
    if (response->output_end > x->slot_used)
        x->slot_used = (size_t)response->output_end;
    return response->status == STATUS_OK ? STATUS_OK : worker_failed(response, error);
}

/* Working memory for outputs that are asked for as classes. */
static enum status take_ranks(struct exchange *e, struct oip_response *response,
                              struct error *error) {
    size_t size, count = oip_response_ranks(response);
    if (!count)
        return STATUS_OK;
    if (!checked_mul(count, sizeof *response->ranks, &size))
        return status_fail(error, STATUS_TOO_LARGE, "the answer is too large");
    enum status status = scratch_take(&e->thread->work, size, error);
    if (status == STATUS_OK)
        status = exchange_allow(e, &e->thread->work, size, error);
    if (status != STATUS_OK)
        return status;
    response->ranks = (struct classification_rank *)(void *)e->thread->work.data;
    if (size > e->work_used)
        e->work_used = size;
    return STATUS_OK;
}

static enum status encode(struct infer *x, struct error *error) {
    struct exchange *e = x->exchange;
    struct oip_response response = {
        .signature = x->model.signature,
        .request = &e->thread->request,
        .answer = &e->thread->response,
        .data = x->area.data,
        .model = e->match.model,
        .version = e->version,
    };
    size_t bound;
    enum status status = oip_response_check(&response, &bound, error);
    if (status == STATUS_OK)
        status = exchange_answer_room(e, bound, &x->answer, error);
    if (status == STATUS_OK)
        status = take_ranks(e, &response, error);
    if (status == STATUS_OK)
        status = oip_response_write(&response, &x->answer, &x->json_size, &x->binary, error);
    if (status != STATUS_OK)
        e->answer_used = EXCHANGE_HEAD_MAX + x->answer.size;
    /* A client that takes long to read holds what it is sent, not what it might have been. */
    scratch_trim(&e->thread->answer, EXCHANGE_HEAD_MAX + x->answer.size);
    return status;
}

/* From the body in memory to the encoded answer. Whatever happens, the slot is wiped, unless it is
 * still the worker's. */
static enum status run(struct infer *x, struct error *error) {
    struct exchange *e = x->exchange;
    struct ring *ring = x->model.ring;
    if (e->slot >= ring_slots(ring))
        return status_fail(error, STATUS_INTERNAL, "internal error");
    x->area = (struct oip_area){ring_data(ring, e->slot), (size_t)ring_slot_bytes(ring), 0, 0};
    struct oip_request *request = &e->thread->request;
    size_t json_size = OIP_JSON_ONLY;
    if (e->screen.has_json_size)
        json_size = e->screen.json_size < SIZE_MAX ? (size_t)e->screen.json_size : SIZE_MAX - 1;
    x->decoding_ns = exchange_now_ns();
    enum status status = oip_request_parse(x->model.signature, x->body, x->size, json_size,
                                           &x->area, request, error);
    x->slot_used = x->area.touched;
    if (status == STATUS_OK)
        status = oip_request_check_model(request, e->match.model, e->version, error);
    if (status == STATUS_OK) {
        const struct ring_tensor *first = &request->inputs[0];
        /* Without bytes the first dimension may be whatever the client likes to be counted. */
        x->units = !first->rank ? 1 : first->bytes ? (uint64_t)first->dims[0] : 0;
        x->deadline_ns = deadline_of(e, request->timeout_us);
        if (exchange_now_ns() >= x->deadline_ns)
            status = status_fail(error, STATUS_DEADLINE, "the deadline passed before the run");
    }
    if (status == STATUS_OK) {
        x->decoded_ns = exchange_now_ns();
        submit(x);
        status = wait_answer(x, error);
        x->waited_ns = exchange_now_ns();
    }
    if (status == STATUS_OK)
        status = encode(x, error);
    x->encoded_ns = exchange_now_ns();
    if (!x->slot_stuck)
        ring_wipe(ring, e->slot, x->slot_used);
    return status;
}

static uint32_t us_between(uint64_t from_ns, uint64_t to_ns, uint64_t less_us) {
    uint64_t us = from_ns && to_ns > from_ns ? (to_ns - from_ns) / 1000 : 0;
    us = us > less_us ? us - less_us : 0;
    return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void handle_infer(struct exchange *e) {
    struct infer x = {.exchange = e};
    struct error error = {0};
    struct workers *workers = &e->thread->front->workers;
    enum status status = workers_borrow(workers, e->worker, e->model, &x.model, &error);
    if (status == STATUS_OK)
        status = exchange_body(e, exchange_body_limit(e), &x.body, &x.size, &error);
    if (status == STATUS_OK)
        status = run(&x, &error);
    workers_return(workers, &x.model);
    explicit_bzero(e->thread->request.id, sizeof e->thread->request.id);

    struct message_settle settle = {
        .outcome = (uint8_t)status,
        .units = status == STATUS_OK ? x.units : 0,
        .compute_us = x.compute_us,
        .bytes_out = status == STATUS_OK ? x.answer.size : 0,
        .decode_us = us_between(x.decoding_ns, x.decoded_ns, 0),
        .queue_us = us_between(x.decoded_ns, x.waited_ns, x.compute_us),
        .encode_us = us_between(x.waited_ns, x.encoded_ns, 0),
        .slot_stuck = x.slot_stuck,
    };
    struct error unrecorded = {0};
    if (exchange_settle(e, &settle, &unrecorded) != STATUS_OK) {
        e->answer_used = EXCHANGE_HEAD_MAX + x.answer.size;
        scratch_wipe(&e->thread->answer, e->answer_used);
        exchange_error(e, unrecorded.status, unrecorded.message, 0);
    } else if (status != STATUS_OK) {
        scratch_wipe(&e->thread->answer, e->answer_used);
        exchange_error(e, error.status, error.message, 0);
    } else {
        exchange_answer(e, 200, &x.answer, x.binary, x.json_size);
    }
}
