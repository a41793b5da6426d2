/* GRU (ONNX operator GRU; gates in the order update z, reset r, hidden h):
 *
 *   z = f(Xt Wz' + Ht-1 Rz' + Wbz + Rbz)      r alike
 *   h = g(Xt Wh' + (r . Ht-1) Rh' + Rbh + Wbh)             linear_before_reset = 0
 *   h = g(Xt Wh' + r . (Ht-1 Rh' + Rbh) + Wbh)             linear_before_reset = 1
 *   Ht = (1 - z) . h + z . Ht-1
 *
 * R is packed in two parts, [z, r] and [h], as the second product waits for r. */
#include "engine/ops/recurrent.h"

enum { GATE_Z, GATE_R, GATE_H, GATES };

static const struct recurrent_form form = {
    .gates = GATES, .activations = 2, .defaults = {"Sigmoid", "Tanh"}, .split = GATE_H};

struct job {
    struct recurrent_run *run;
    float *reset; /* r . Ht-1, [dirs][batch][hidden] */
    bool linear_first;
};

/* z and r of one batch entry; g holds the recurrence's part, and for linear_before_reset that of h
 * too. */
static void gates_step(const struct job *j, size_t dir, const float *product, float *g,
                       const float *hidden, float *reset) {
    const struct recurrent *r = j->run->r;
    const size_t n = r->hidden;
    const float *bias = j->run->bias ? j->run->bias + dir * 2 * GATES * n : NULL;
    for (size_t k = 0; k < 2 * n; k++)
        g[k] += product[k] + (bias ? bias[k] + bias[GATES * n + k] : 0.0f);
    recurrent_clip(r->clip, g, 2 * n);
    recurrent_activate(&r->activations[dir][0], g, 2 * n);
    if (!j->linear_first)
        for (size_t k = 0; k < n; k++)
            reset[k] = g[GATE_R * n + k] * hidden[k];
}

/* h and the new state; g + GATE_H * n holds the product with Rh. */
static void hidden_step(const struct job *j, size_t dir, const float *product, float *g,
                        float *hidden) {
    const struct recurrent *r = j->run->r;
    const size_t n = r->hidden;
    const float *bias = j->run->bias ? j->run->bias + dir * 2 * GATES * n : NULL;
    const float *wb = bias ? bias + GATE_H * n : NULL, *rb = bias ? wb + GATES * n : NULL;
    const float *z = g + GATE_Z * n, *reset = g + GATE_R * n;
    float *h = g + GATE_H * n;
    for (size_t k = 0; k < n; k++) {
        const float recurrence = h[k] + (rb ? rb[k] : 0.0f);
        h[k] = product[GATE_H * n + k] + (wb ? wb[k] : 0.0f) +
               (j->linear_first ? reset[k] * recurrence : recurrence);
    }
    recurrent_clip(r->clip, h, n);
    recurrent_activate(&r->activations[dir][1], h, n);
    for (size_t k = 0; k < n; k++)
        hidden[k] = (1.0f - z[k]) * h[k] + z[k] * hidden[k];
}

static void run_direction(void *arg, size_t d) {
    const struct job *j = arg;
    const struct recurrent_run *run = j->run;
    const struct recurrent *r = run->r;
    const size_t n = r->hidden, wide = GATES * n;
    const struct dense *zr = &run->weights.r[d][0], *rh = &run->weights.r[d][1];
    float *hidden = run->hidden + d * r->batch * n, *reset = j->reset + d * r->batch * n;
    float *gates = run->gates + d * r->batch * wide;
    const float *products = run->products + d * r->seq * r->batch * wide;
    for (size_t s = 0; s < r->seq; s++) {
        size_t t = 0;
        dense_apply(run->pool, zr, r->batch, hidden, n, NULL, false, gates, wide);
        for (size_t b = 0; b < r->batch; b++)
            if (recurrent_time(run, d, b, s, &t))
                gates_step(j, d, products + recurrent_row(r, t, b) * wide, gates + b * wide,
                           hidden + b * n, reset + b * n);
        dense_apply(run->pool, rh, r->batch, j->linear_first ? hidden : reset, n, NULL, false,
                    gates + GATE_H * n, wide);
        for (size_t b = 0; b < r->batch; b++)
            if (recurrent_time(run, d, b, s, &t)) {
                hidden_step(j, d, products + recurrent_row(r, t, b) * wide, gates + b * wide,
                            hidden + b * n);
                recurrent_emit(run, d, t, b, hidden + b * n);
            }
    }
}

static enum status run(struct op_ctx *c) {
    struct recurrent r;
    struct recurrent_run run;
    struct job j = {.run = &run, .linear_first = op_attr_int(c, "linear_before_reset", 0) != 0};
    enum status s = recurrent_open(c, &r, &run);
    if (s != STATUS_OK)
        return s;
    const size_t count = r.dirs * r.batch * r.hidden;
    j.reset = op_scratch_array(c, count, sizeof *j.reset);
    if (!j.reset)
        return op_no_memory(c);
    /* Entries whose sequence has ended keep their place in the product, so it must be readable. */
    memset(j.reset, 0, count * sizeof *j.reset);
    recurrent_each(c, &run, run_direction, &j);
    return recurrent_close(c, &run);
}

const struct op_row op_family_gru[] = {
    {.name = "GRU",
     .since = 1,
     .infer = recurrent_infer,
     .run = run,
     .prepare = recurrent_prepare,
     .pack_size = recurrent_pack_size,
     .form = &form},
    OP_END,
};
