/* LSTM (ONNX operator LSTM; gates in the order input, output, forget, cell):
 *
 *   i = f(Xt Wi' + Ht-1 Ri' + Pi . Ct-1 + Wbi + Rbi)      o, with Ct instead of Ct-1
 *   f = f(Xt Wf' + Ht-1 Rf' + Pf . Ct-1 + Wbf + Rbf)      (1 - i where input_forget)
 *   c = g(Xt Wc' + Ht-1 Rc' + Wbc + Rbc)
 *   Ct = f . Ct-1 + i . c,  Ht = o . h(Ct)
 *
 * `clip` bounds the inputs of the gates; the input of h is not bounded (ONNX Runtime's reading). */
#include "engine/ops/recurrent.h"

enum { GATE_I, GATE_O, GATE_F, GATE_C, GATES };

static const struct recurrent_form form = {
    .gates = GATES, .activations = 3, .defaults = {"Sigmoid", "Tanh", "Tanh"}, .cell = true};

struct job {
    struct recurrent_run *run;
    float *cell;       /* state, [dirs][batch][hidden] */
    float *bias;       /* Wb + Rb, [dirs][gates * hidden], or NULL */
    const float *peep; /* [dirs][3 * hidden] in the order i, o, f, or NULL */
    float *squashed;   /* h(Ct), [dirs][hidden] */
    bool input_forget;
};

static void add(float *to, const float *from, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += from[i];
}

static void add_product(float *to, const float *a, const float *b, size_t n) {
    for (size_t i = 0; i < n; i++)
        to[i] += a[i] * b[i];
}

/* One step of one batch entry; g holds the recurrence's part of the gates. */
static void cell_step(const struct job *j, size_t dir, const float *product, float *g, float *cell,
                      float *hidden) {
    const struct recurrent *r = j->run->r;
    const struct recurrent_activation *a = r->activations[dir];
    const size_t n = r->hidden;
    const float *peep = j->peep ? j->peep + dir * 3 * n : NULL;
    float *i = g + GATE_I * n, *o = g + GATE_O * n, *f = g + GATE_F * n, *u = g + GATE_C * n;
    float *squashed = j->squashed + dir * n;
    add(g, product, GATES * n);
    if (j->bias)
        add(g, j->bias + dir * GATES * n, GATES * n);
    if (peep) {
        add_product(i, peep, cell, n);
        add_product(f, peep + 2 * n, cell, n);
    }
    recurrent_clip(r->clip, i, n);
    recurrent_clip(r->clip, f, 2 * n);
    recurrent_activate(&a[0], i, n);
    if (j->input_forget)
        for (size_t k = 0; k < n; k++)
            f[k] = 1.0f - i[k];
    else
        recurrent_activate(&a[0], f, n);
    recurrent_activate(&a[1], u, n);
    for (size_t k = 0; k < n; k++)
        cell[k] = f[k] * cell[k] + i[k] * u[k];
    if (peep)
        add_product(o, peep + n, cell, n);
    recurrent_clip(r->clip, o, n);
    recurrent_activate(&a[0], o, n);
    memcpy(squashed, cell, n * sizeof *cell);
    recurrent_activate(&a[2], squashed, n);
    for (size_t k = 0; k < n; k++)
        hidden[k] = o[k] * squashed[k];
}

static void run_direction(void *arg, size_t d) {
    const struct job *j = arg;
    const struct recurrent_run *run = j->run;
    const struct recurrent *r = run->r;
    const size_t n = r->hidden, wide = GATES * n;
    float *hidden = run->hidden + d * r->batch * n, *cell = j->cell + d * r->batch * n;
    float *gates = run->gates + d * r->batch * wide;
    const float *products = run->products + d * r->seq * r->batch * wide;
    for (size_t s = 0; s < r->seq; s++) {
        dense_apply(run->pool, &run->weights.r[d][0], r->batch, hidden, n, NULL, false, gates,
                    wide);
        for (size_t b = 0; b < r->batch; b++) {
            size_t t = 0;
            if (!recurrent_time(run, d, b, s, &t))
                continue;
            cell_step(j, d, products + recurrent_row(r, t, b) * wide, gates + b * wide,
                      cell + b * n, hidden + b * n);
            recurrent_emit(run, d, t, b, hidden + b * n);
        }
    }
}

static enum status run(struct op_ctx *c) {
    struct recurrent r;
    struct recurrent_run run;
    struct job j = {.run = &run, .input_forget = op_attr_int(c, "input_forget", 0) != 0};
    enum status s = recurrent_open(c, &r, &run);
    if (s == STATUS_OK)
        s = recurrent_state(c, &r, 6, &j.cell);
    if (s == STATUS_OK && op_in(c, 7))
        s = op_in_f32(c, 7, &j.peep);
    if (s != STATUS_OK)
        return s;
    const size_t wide = GATES * r.hidden;
    j.squashed = op_scratch_array(c, r.dirs * r.hidden, sizeof *j.squashed);
    j.bias = op_scratch_array(c, r.dirs * wide, sizeof *j.bias);
    if (!j.squashed || !j.bias)
        return op_no_memory(c);
    for (size_t d = 0; run.bias && d < r.dirs; d++)
        for (size_t k = 0; k < wide; k++)
            j.bias[d * wide + k] = run.bias[2 * d * wide + k] + run.bias[(2 * d + 1) * wide + k];
    if (!run.bias)
        j.bias = NULL;
    recurrent_each(c, &run, run_direction, &j);
    s = recurrent_close(c, &run);
    return s == STATUS_OK ? recurrent_store(c, &r, 2, j.cell) : s;
}

const struct op_row op_family_lstm[] = {
    {.name = "LSTM",
     .since = 1,
     .infer = recurrent_infer,
     .run = run,
     .prepare = recurrent_prepare,
     .pack_size = recurrent_pack_size,
     .form = &form},
    OP_END,
};
