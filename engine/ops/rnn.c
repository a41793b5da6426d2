/* RNN (ONNX operator RNN): Ht = f(Xt W' + Ht-1 R' + Wb + Rb). */
#include "engine/ops/recurrent.h"

static const struct recurrent_form form = {.gates = 1, .activations = 1, .defaults = {"Tanh"}};

static void run_direction(void *arg, size_t d) {
    const struct recurrent_run *run = arg;
    const struct recurrent *r = run->r;
    const size_t n = r->hidden;
    float *hidden = run->hidden + d * r->batch * n, *gates = run->gates + d * r->batch * n;
    const float *products = run->products + d * r->seq * r->batch * n;
    const float *bias = run->bias ? run->bias + d * 2 * n : NULL;
    for (size_t s = 0; s < r->seq; s++) {
        dense_apply(run->pool, &run->weights.r[d][0], r->batch, hidden, n, NULL, false, gates, n);
        for (size_t b = 0; b < r->batch; b++) {
            size_t t = 0;
            if (!recurrent_time(run, d, b, s, &t))
                continue;
            const float *product = products + recurrent_row(r, t, b) * n;
            float *h = hidden + b * n;
            for (size_t k = 0; k < n; k++)
                h[k] = gates[b * n + k] + product[k] + (bias ? bias[k] + bias[n + k] : 0.0f);
            recurrent_clip(r->clip, h, n);
            recurrent_activate(&r->activations[d][0], h, n);
            recurrent_emit(run, d, t, b, h);
        }
    }
}

static enum status run(struct op_ctx *c) {
    struct recurrent r;
    struct recurrent_run run;
    enum status s = recurrent_open(c, &r, &run);
    if (s != STATUS_OK)
        return s;
    recurrent_each(c, &run, run_direction, &run);
    return recurrent_close(c, &run);
}

const struct op_row op_family_rnn[] = {
    {.name = "RNN",
     .since = 1,
     .infer = recurrent_infer,
     .run = run,
     .prepare = recurrent_prepare,
     .pack_size = recurrent_pack_size,
     .form = &form},
    OP_END,
};
