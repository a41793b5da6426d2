#include "engine/ops/recurrent.h"

#define POOL_WORK ((size_t)1 << 22) /* multiply-adds of a step worth handing to other threads */

/* ---- attributes and shapes ---- */

static enum status parse_direction(struct op_ctx *c, struct recurrent *r) {
    const struct str name = op_attr_str(c, "direction", "forward");
    if (str_is(name, "forward")) {
        r->dirs = 1;
    } else if (str_is(name, "reverse")) {
        r->dirs = 1;
        r->reverse[0] = true;
    } else if (str_is(name, "bidirectional")) {
        r->dirs = 2;
        r->reverse[1] = true;
    } else {
        return op_fail(c, "direction must be forward, reverse or bidirectional");
    }
    return STATUS_OK;
}

static enum status parse_activations(struct op_ctx *c, struct recurrent *r) {
    const struct str *names = NULL;
    const float *alphas = NULL, *betas = NULL;
    const size_t count = op_attr_strs(c, "activations", &names);
    size_t alpha_count = op_attr_floats(c, "activation_alpha", &alphas);
    size_t beta_count = op_attr_floats(c, "activation_beta", &betas);
    const size_t each = r->form->activations;
    if (count != 0 && count != each * r->dirs)
        return op_fail(c, "activations has %zu names, expected %zu", count, each * r->dirs);
    for (size_t i = 0; i < each * r->dirs; i++) {
        const char *usual = r->form->defaults[i % each];
        const struct str name = count ? names[i] : (struct str){usual, strlen(usual)};
        struct recurrent_activation *a = &r->activations[i / each][i % each];
        bool alpha = false, beta = false;
        if (!recurrent_activation_named(name, a, &alpha, &beta))
            return op_fail(c, "activation %zu is not one that the operator knows", i);
        /* The lists hold values for those activations only that take one. */
        if (alpha && alpha_count > 0) {
            a->alpha = *alphas++;
            alpha_count--;
        }
        if (beta && beta_count > 0) {
            a->beta = *betas++;
            beta_count--;
        }
    }
    return STATUS_OK;
}

static enum status check_shape(struct op_ctx *c, size_t i, int rank, const int64_t *dims) {
    const struct tensor *t = op_in(c, i);
    if (!t)
        return STATUS_OK;
    if (t->rank == rank && memcmp(t->dims, dims, (size_t)rank * sizeof *dims) == 0)
        return STATUS_OK;
    char found[64], expected[64];
    return op_fail(c, "input %zu has shape %s, expected %s", i,
                   tensor_dims_text(t->dims, t->rank, found, sizeof found),
                   tensor_dims_text(dims, rank, expected, sizeof expected));
}

static enum status parse(struct op_ctx *c, const struct recurrent_form *form, struct recurrent *r) {
    const struct tensor *x = op_in(c, 0), *w = op_in(c, 1);
    *r = (struct recurrent){.form = form, .clip = op_attr_float(c, "clip", 0.0f)};
    enum status s = parse_direction(c, r);
    if (s == STATUS_OK)
        s = parse_activations(c, r);
    if (s == STATUS_OK && (x->rank != 3 || w->rank != 3 || op_in(c, 2)->rank != 3))
        return op_fail(c, "X, W and R must have 3 dimensions");
    if (s != STATUS_OK)
        return s;
    r->batch_first = op_attr_int(c, "layout", 0) != 0;
    const int64_t hidden = op_attr_int(c, "hidden_size", op_in(c, 2)->dims[2]);
    if (hidden < 1 || hidden > INT32_MAX)
        return op_fail(c, "hidden_size is %lld, expected at least 1", (long long)hidden);
    const int64_t dirs = (int64_t)r->dirs, rows = (int64_t)form->gates * hidden;
    const int64_t seq = x->dims[r->batch_first], batch = x->dims[!r->batch_first];
    s = check_shape(c, 1, 3, (int64_t[]){dirs, rows, x->dims[2]});
    if (s == STATUS_OK)
        s = check_shape(c, 2, 3, (int64_t[]){dirs, rows, hidden});
    if (s == STATUS_OK)
        s = check_shape(c, 3, 2, (int64_t[]){dirs, 2 * rows});
    if (s == STATUS_OK)
        s = check_shape(c, 4, 1, (int64_t[]){batch});
    const int64_t state[3] = {r->batch_first ? batch : dirs, r->batch_first ? dirs : batch, hidden};
    if (s == STATUS_OK)
        s = check_shape(c, 5, 3, state);
    if (s == STATUS_OK && form->gates == 4) {
        s = check_shape(c, 6, 3, state);
        if (s == STATUS_OK)
            s = check_shape(c, 7, 2, (int64_t[]){dirs, 3 * hidden});
    }
    r->seq = (size_t)seq;
    r->batch = (size_t)batch;
    r->input = (size_t)x->dims[2];
    r->hidden = (size_t)hidden;
    return s;
}

enum status recurrent_infer(struct op_ctx *c) {
    const struct recurrent_form *form = op_form(c);
    enum status s = op_need_all(c, 3);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    for (size_t i = 1; i < 8 && s == STATUS_OK; i++)
        s = i == 4 ? op_need_dtype(c, i, DT(INT32)) : op_need_same(c, i, 0);
    struct recurrent r;
    if (s == STATUS_OK)
        s = parse(c, form, &r);
    if (s != STATUS_OK)
        return s;
    const enum dtype dtype = op_in(c, 0)->dtype;
    const int64_t dirs = (int64_t)r.dirs, seq = (int64_t)r.seq, batch = (int64_t)r.batch,
                  hidden = (int64_t)r.hidden;
    const int64_t y[2][4] = {{seq, dirs, batch, hidden}, {batch, seq, dirs, hidden}};
    const int64_t h[2][3] = {{dirs, batch, hidden}, {batch, dirs, hidden}};
    s = op_infer(c, 0, dtype, 4, y[r.batch_first]);
    if (s == STATUS_OK)
        s = op_infer(c, 1, dtype, 3, h[r.batch_first]);
    if (s == STATUS_OK && form->cell)
        s = op_infer(c, 2, dtype, 3, h[r.batch_first]);
    return s;
}

/* ---- weights ---- */

static bool constant(const struct op_ctx *c, size_t i, size_t gates) {
    const struct tensor *t = op_in(c, i);
    return t && op_in_constant(c, i) && !op_in_constant(c, 0) && t->dtype == DTYPE_FLOAT &&
           t->rank == 3 && t->count > 0 && t->dims[0] <= RECURRENT_DIRECTIONS &&
           t->dims[1] % (int64_t)gates == 0;
}

/* The matrices of W (i 1) or R (i 2), plain, from their data. */
static void describe(const struct op_ctx *c, const struct recurrent_form *form, size_t i,
                     const float *data, struct recurrent_weights *out) {
    const struct tensor *t = op_in(c, i);
    const size_t rows = (size_t)t->dims[1], k = (size_t)t->dims[2];
    const size_t first = i == 2 && form->split ? rows / form->gates * form->split : rows;
    for (size_t d = 0; d < (size_t)t->dims[0]; d++, data += rows * k) {
        const struct dense one = {.k = k, .n = first, .ldw = k, .transposed = true, .plain = data};
        if (i == 1)
            out->w[d] = one;
        else
            out->r[d][0] = one;
        if (first < rows) {
            out->r[d][1] = one;
            out->r[d][1].n = rows - first;
            out->r[d][1].plain = data + first * k;
        }
    }
}

static bool add_size(size_t *total, const struct dense *d) {
    const size_t size = dense_pack_size(d->k, d->n);
    size_t rounded = 0;
    return checked_align(size, MEMORY_ALIGN, &rounded) && checked_add(*total, rounded, total);
}

size_t recurrent_pack_size(struct op_ctx *c) {
    const struct recurrent_form *form = op_form(c);
    size_t total = 0;
    for (size_t i = 1; i <= 2; i++) {
        struct recurrent_weights w = {0};
        if (!constant(c, i, form->gates))
            continue;
        describe(c, form, i, op_in(c, i)->data, &w);
        for (size_t d = 0; d < RECURRENT_DIRECTIONS; d++)
            if (!add_size(&total, &w.w[d]) || !add_size(&total, &w.r[d][0]) ||
                !add_size(&total, &w.r[d][1]))
                return 0;
    }
    return total;
}

enum status recurrent_prepare(struct op_ctx *c) {
    const struct recurrent_form *form = op_form(c);
    struct recurrent_weights *w = op_state_new(c, sizeof *w);
    if (!w)
        return op_no_memory(c);
    enum status s = STATUS_OK;
    for (size_t i = 1; i <= 2 && s == STATUS_OK; i++) {
        if (!constant(c, i, form->gates))
            continue;
        describe(c, form, i, op_in(c, i)->data, w);
        for (size_t d = 0; d < RECURRENT_DIRECTIONS && s == STATUS_OK; d++) {
            if (i == 1) {
                s = dense_pack(c, &w->w[d]);
                continue;
            }
            s = dense_pack(c, &w->r[d][0]);
            if (s == STATUS_OK)
                s = dense_pack(c, &w->r[d][1]);
        }
        /* As open_weights asks: the other matrices have the same shape. */
        if (s == STATUS_OK && (i == 1 ? &w->w[0] : &w->r[0][0])->packed)
            op_packed(c, i);
    }
    return s;
}

static enum status open_weights(struct op_ctx *c, const struct recurrent_form *form,
                                struct recurrent_weights *out) {
    const struct recurrent_weights *packed = op_state(c);
    *out = packed ? *packed : (struct recurrent_weights){0};
    for (size_t i = 1; i <= 2; i++) {
        if ((i == 1 ? &out->w[0] : &out->r[0][0])->packed)
            continue;
        const float *data = NULL;
        enum status s = op_in_f32(c, i, &data);
        if (s != STATUS_OK)
            return s;
        describe(c, form, i, data, out);
    }
    return STATUS_OK;
}

/* ---- run ---- */

static enum status open_lengths(struct op_ctx *c, const struct recurrent *r,
                                struct recurrent_run *run) {
    const struct tensor *t = op_in(c, 4);
    if (!t)
        return STATUS_OK;
    const int32_t *lengths = t->data;
    bool all = true;
    for (size_t b = 0; b < r->batch; b++) {
        if (lengths[b] < 0 || (size_t)lengths[b] > r->seq)
            return op_fail(c, "sequence_lens has %d, expected 0 to %zu", (int)lengths[b], r->seq);
        all = all && (size_t)lengths[b] == r->seq;
    }
    run->lengths = all ? NULL : lengths;
    return STATUS_OK;
}

enum status recurrent_state(struct op_ctx *c, const struct recurrent *r, size_t i, float **out) {
    const size_t n = r->hidden;
    float *state = op_scratch_array(c, r->dirs * r->batch, n * sizeof *state);
    if (!state)
        return op_no_memory(c);
    if (!op_in(c, i)) {
        memset(state, 0, r->dirs * r->batch * n * sizeof *state);
        *out = state;
        return STATUS_OK;
    }
    const float *from = NULL;
    enum status s = op_in_f32(c, i, &from);
    if (s != STATUS_OK)
        return s;
    for (size_t d = 0; d < r->dirs; d++)
        for (size_t b = 0; b < r->batch; b++) {
            const size_t at = r->batch_first ? b * r->dirs + d : d * r->batch + b;
            memcpy(state + (d * r->batch + b) * n, from + at * n, n * sizeof *state);
        }
    *out = state;
    return STATUS_OK;
}

enum status recurrent_open(struct op_ctx *c, struct recurrent *r, struct recurrent_run *run) {
    const struct recurrent_form *form = op_form(c);
    *run = (struct recurrent_run){.r = r};
    enum status s = parse(c, form, r);
    if (s == STATUS_OK)
        s = open_weights(c, form, &run->weights);
    if (s == STATUS_OK)
        s = open_lengths(c, r, run);
    if (s == STATUS_OK)
        s = op_in_f32(c, 0, &run->x);
    if (s == STATUS_OK && op_in(c, 3))
        s = op_in_f32(c, 3, &run->bias);
    if (s == STATUS_OK)
        s = recurrent_state(c, r, 5, &run->hidden);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &run->y);
    if (s != STATUS_OK)
        return s;
    const size_t rows = r->seq * r->batch, wide = form->gates * r->hidden;
    size_t each = 0, all = 0;
    if (!checked_mul(rows, wide, &each) || !checked_mul(each, r->dirs, &all))
        return op_no_memory(c);
    run->products = op_scratch_array(c, all, sizeof *run->products);
    run->gates = op_scratch_array(c, r->dirs * r->batch, wide * sizeof *run->gates);
    if (!run->products || !run->gates)
        return op_no_memory(c);
    for (size_t d = 0; d < r->dirs; d++)
        dense_apply(op_threads(c), &run->weights.w[d], rows, run->x, r->input, NULL, false,
                    run->products + d * each, wide);
    if (run->y && run->lengths)
        memset(run->y, 0, rows * r->dirs * r->hidden * sizeof *run->y);
    if (r->dirs == 1 && r->batch * wide * r->hidden >= POOL_WORK)
        run->pool = op_threads(c);
    return STATUS_OK;
}

struct each {
    recurrent_direction *fn;
    void *arg;
};

static void run_directions(void *arg, size_t begin, size_t end) {
    const struct each *each = arg;
    for (size_t d = begin; d < end; d++)
        each->fn(each->arg, d);
}

void recurrent_each(struct op_ctx *c, const struct recurrent_run *run, recurrent_direction *fn,
                    void *arg) {
    struct each each = {fn, arg};
    if (run->pool)
        run_directions(&each, 0, run->r->dirs); /* the products inside use the pool */
    else
        op_parallel(c, run->r->dirs, 1, run_directions, &each);
}

enum status recurrent_store(struct op_ctx *c, const struct recurrent *r, size_t i,
                            const float *state) {
    float *to = NULL;
    enum status s = op_out_f32(c, i, &to);
    if (s != STATUS_OK || !to)
        return s;
    const size_t n = r->hidden;
    for (size_t d = 0; d < r->dirs; d++)
        for (size_t b = 0; b < r->batch; b++) {
            const size_t at = r->batch_first ? b * r->dirs + d : d * r->batch + b;
            memcpy(to + at * n, state + (d * r->batch + b) * n, n * sizeof *to);
        }
    op_out_f32_done(c, i, to);
    return STATUS_OK;
}

enum status recurrent_close(struct op_ctx *c, const struct recurrent_run *run) {
    if (run->y)
        op_out_f32_done(c, 0, run->y);
    return recurrent_store(c, run->r, 1, run->hidden);
}

bool recurrent_time(const struct recurrent_run *run, size_t dir, size_t b, size_t s, size_t *t) {
    const size_t length = run->lengths ? (size_t)run->lengths[b] : run->r->seq;
    if (s >= length)
        return false;
    *t = run->r->reverse[dir] ? length - 1 - s : s;
    return true;
}

void recurrent_emit(const struct recurrent_run *run, size_t dir, size_t t, size_t b,
                    const float *hidden) {
    const struct recurrent *r = run->r;
    if (!run->y)
        return;
    const size_t at =
        r->batch_first ? (b * r->seq + t) * r->dirs + dir : (t * r->dirs + dir) * r->batch + b;
    memcpy(run->y + at * r->hidden, hidden, r->hidden * sizeof *hidden);
}
