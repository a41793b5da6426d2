/* Einsum: sums of products over named dimensions.
 *
 * Two operands of floating point are one batch of matrix products: dimensions that both operands
 * and the output have are the batch, those of one operand and the output its rows or columns, those
 * of both that the output lacks the depth; operands are laid out anew for it. Everything else is a
 * plain loop over output and summed dimensions: doubles, or integers that wrap. */
#include "engine/kernels/gemm.h"
#include "engine/ops/real.h"
#include "engine/ops/types.h"

#define LETTERS 52
#define LABELS (LETTERS + TENSOR_MAX_RANK) /* and the dimensions of the ellipsis */
#define OPERANDS_MAX 16

/* One term: the labels of its dimensions. */
struct term {
    int rank;
    uint8_t labels[TENSOR_MAX_RANK];
};

struct einsum {
    size_t operands;
    struct term in[OPERANDS_MAX], out;
    int64_t size[LABELS]; /* -1: not seen */
    uint8_t summed[LABELS];
    int summed_count;
    int ellipsis; /* dimensions that it stands for */
};

static int letter(char ch) {
    if (ch >= 'a' && ch <= 'z')
        return ch - 'a';
    return ch >= 'A' && ch <= 'Z' ? 26 + ch - 'A' : -1;
}

/* Reads labels up to a comma, "->" or the end. *dots: where the ellipsis stands, -1: nowhere. */
static enum status read_term(struct op_ctx *c, struct str text, size_t *at, struct term *t,
                             int *dots) {
    t->rank = 0;
    *dots = -1;
    while (*at < text.size && text.data[*at] != ',' && text.data[*at] != '-') {
        const char ch = text.data[*at];
        if (ch == ' ') {
            (*at)++;
        } else if (ch == '.') {
            if (text.size - *at < 3 || memcmp(text.data + *at, "...", 3) != 0 || *dots >= 0)
                return op_fail(c, "equation: a dot outside a single ellipsis");
            *dots = t->rank;
            *at += 3;
        } else {
            const int label = letter(ch);
            if (label < 0 || t->rank == TENSOR_MAX_RANK)
                return op_fail(c, "equation: a term must be at most %d letters", TENSOR_MAX_RANK);
            t->labels[t->rank++] = (uint8_t)label;
            (*at)++;
        }
    }
    return STATUS_OK;
}

/* Puts the labels of `count` ellipsis dimensions, the last of those there are, at `dots`. */
static enum status expand(struct op_ctx *c, struct term *t, int dots, int count) {
    if (dots < 0)
        return STATUS_OK;
    if (count < 0 || t->rank + count > TENSOR_MAX_RANK)
        return op_fail(c, "equation: a term has more than %d dimensions", TENSOR_MAX_RANK);
    memmove(t->labels + dots + count, t->labels + dots, (size_t)(t->rank - dots));
    for (int i = 0; i < count; i++)
        t->labels[dots + i] = (uint8_t)(LABELS - count + i);
    t->rank += count;
    return STATUS_OK;
}

static enum status bind(struct op_ctx *c, struct einsum *e, size_t i) {
    const struct tensor *x = op_in(c, i);
    if (e->in[i].rank != x->rank)
        return op_fail(c, "equation: term %zu has %d dimensions, the input %d", i, e->in[i].rank,
                       x->rank);
    for (int d = 0; d < x->rank; d++) {
        int64_t *size = &e->size[e->in[i].labels[d]];
        if (*size >= 0 && *size != x->dims[d] && *size != 1 && x->dims[d] != 1)
            return op_fail(c, "equation: one label stands for %lld and %lld", (long long)*size,
                           (long long)x->dims[d]);
        *size = *size < 0 || *size == 1 ? x->dims[d] : *size;
    }
    return STATUS_OK;
}

/* Without "->": labels that occur once, in alphabetic order, capitals first, after the ellipsis. */
static enum status implicit_output(struct op_ctx *c, struct einsum *e) {
    int times[LETTERS] = {0};
    for (size_t i = 0; i < e->operands; i++)
        for (int d = 0; d < e->in[i].rank; d++)
            if (e->in[i].labels[d] < LETTERS)
                times[e->in[i].labels[d]]++;
    for (int i = 0; i < LETTERS; i++) {
        const int label = (i + 26) % LETTERS;
        if (times[label] != 1)
            continue;
        if (e->out.rank == TENSOR_MAX_RANK)
            return op_fail(c, "equation: the output has more than %d dimensions", TENSOR_MAX_RANK);
        e->out.labels[e->out.rank++] = (uint8_t)label;
    }
    return expand(c, &e->out, 0, e->ellipsis);
}

static enum status check_output(struct op_ctx *c, struct einsum *e) {
    bool kept[LABELS] = {false};
    for (int d = 0; d < e->out.rank; d++) {
        const int label = e->out.labels[d];
        if (e->size[label] < 0 || kept[label])
            return op_fail(c, "equation: the output names a label twice, or one of no input");
        kept[label] = true;
    }
    for (int label = 0; label < LABELS; label++)
        if (e->size[label] >= 0 && !kept[label])
            e->summed[e->summed_count++] = (uint8_t)label;
    return STATUS_OK;
}

static enum status parse(struct op_ctx *c, struct einsum *e) {
    const struct str text = op_attr_str(c, "equation", "");
    int dots[OPERANDS_MAX], out_dots = -1;
    size_t at = 0;
    *e = (struct einsum){.operands = op_in_count(c)};
    if (e->operands < 1 || e->operands > OPERANDS_MAX)
        return op_fail(c, "there are %zu inputs, expected 1 to %d", e->operands, OPERANDS_MAX);
    for (int i = 0; i < LABELS; i++)
        e->size[i] = -1;
    for (size_t i = 0; i < e->operands; i++) {
        enum status s = read_term(c, text, &at, &e->in[i], &dots[i]);
        if (s != STATUS_OK)
            return s;
        const bool last = i + 1 == e->operands;
        const bool comma = at < text.size && text.data[at] == ',';
        if (comma == last)
            return op_fail(c, "equation: the number of terms is not that of inputs, %zu",
                           e->operands);
        at += comma;
        const int count = op_in(c, i)->rank - e->in[i].rank;
        if (dots[i] >= 0 && count > e->ellipsis)
            e->ellipsis = count;
        s = expand(c, &e->in[i], dots[i], count);
        if (s == STATUS_OK)
            s = bind(c, e, i);
        if (s != STATUS_OK)
            return s;
    }
    enum status s = STATUS_OK;
    if (at == text.size) {
        s = implicit_output(c, e);
    } else {
        if (text.size - at < 2 || text.data[at + 1] != '>')
            return op_fail(c, "equation: \"->\" expected after the terms");
        at += 2;
        s = read_term(c, text, &at, &e->out, &out_dots);
        if (s == STATUS_OK && at != text.size)
            return op_fail(c, "equation: text after the output");
        if (s == STATUS_OK)
            s = expand(c, &e->out, out_dots, e->ellipsis);
    }
    return s == STATUS_OK ? check_output(c, e) : s;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, op_in_count(c));
    if (s == STATUS_OK)
        s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL);
    for (size_t i = 1; i < op_in_count(c) && s == STATUS_OK; i++)
        s = op_need_same(c, i, 0);
    struct einsum e;
    if (s == STATUS_OK)
        s = parse(c, &e);
    if (s != STATUS_OK)
        return s;
    int64_t dims[TENSOR_MAX_RANK];
    for (int d = 0; d < e.out.rank; d++)
        dims[d] = e.size[e.out.labels[d]];
    return op_infer(c, 0, op_in(c, 0)->dtype, e.out.rank, dims);
}

/* Distance between neighbours along each label in an operand: 0 where it lacks it or is 1 there;
 * a label that occurs twice walks the diagonal. */
static void strides(const struct term *t, const struct tensor *x, int64_t out[LABELS]) {
    int64_t stride = 1;
    memset(out, 0, LABELS * sizeof *out);
    for (int d = x->rank - 1; d >= 0; d--) {
        if (x->dims[d] != 1)
            out[t->labels[d]] += stride;
        stride *= x->dims[d];
    }
}

/* ---- plain loops ---- */

struct loop {
    int count;
    int64_t size[LABELS];
    int64_t stride[OPERANDS_MAX][LABELS];
};

static void add_label(const struct einsum *e, int label, int64_t all[OPERANDS_MAX][LABELS],
                      struct loop *l) {
    l->size[l->count] = e->size[label];
    for (size_t i = 0; i < e->operands; i++)
        l->stride[i][l->count] = all[i][label];
    l->count++;
}

/* Next position: moves the offsets of all operands; false after the last. */
static bool advance(const struct loop *l, size_t operands, int64_t *at, int64_t *offset) {
    for (int d = l->count - 1; d >= 0; d--) {
        for (size_t i = 0; i < operands; i++)
            offset[i] += l->stride[i][d];
        if (++at[d] < l->size[d])
            return true;
        for (size_t i = 0; i < operands; i++)
            offset[i] -= l->stride[i][d] * l->size[d];
        at[d] = 0;
    }
    return false;
}

#define PLAIN(suffix, type)                                                                        \
    static void plain_##suffix(const struct loop *outer, const struct loop *inner,                 \
                               size_t operands, const type *const *x, type *y) {                   \
        int64_t at[LABELS] = {0}, offset[OPERANDS_MAX] = {0};                                      \
        do {                                                                                       \
            int64_t in[LABELS] = {0}, off[OPERANDS_MAX];                                           \
            memcpy(off, offset, sizeof off);                                                       \
            type sum = 0;                                                                          \
            do {                                                                                   \
                type product = x[0][off[0]];                                                       \
                for (size_t i = 1; i < operands; i++)                                              \
                    product *= x[i][off[i]];                                                       \
                sum += product;                                                                    \
            } while (advance(inner, operands, in, off));                                           \
            *y++ = sum;                                                                            \
        } while (advance(outer, operands, at, offset));                                            \
    }
PLAIN(f64, double)
PLAIN(u64, uint64_t)

static void widen_int(const struct tensor *x, uint64_t *to) {
#define CASE(name, type)                                                                           \
    case DTYPE_##name:                                                                             \
        for (int64_t i = 0; i < x->count; i++)                                                     \
            to[i] = (uint64_t)((const type *)x->data)[i];                                          \
        break;
    switch (x->dtype) {
        TYPES_INT(CASE)
    default:
        break;
    }
#undef CASE
}

static void narrow_int(const uint64_t *from, struct tensor *y) {
#define CASE(name, type)                                                                           \
    case DTYPE_##name:                                                                             \
        for (int64_t i = 0; i < y->count; i++)                                                     \
            ((type *)y->data)[i] = (type)from[i];                                                  \
        break;
    switch (y->dtype) {
        TYPES_INT(CASE)
    default:
        break;
    }
#undef CASE
}

static enum status run_plain(struct op_ctx *c, const struct einsum *e) {
    struct tensor *y = op_out(c, 0);
    int64_t all[OPERANDS_MAX][LABELS];
    struct loop outer = {0}, inner = {0};
    const bool whole = dtype_is_integer(y->dtype);
    const double *x[OPERANDS_MAX] = {NULL};
    const uint64_t *n[OPERANDS_MAX] = {NULL};
    for (size_t i = 0; i < e->operands; i++) {
        strides(&e->in[i], op_in(c, i), all[i]);
        if (!whole) {
            enum status s = real_in(c, i, &x[i]);
            if (s != STATUS_OK)
                return s;
            continue;
        }
        uint64_t *to = op_scratch_array(c, (size_t)op_in(c, i)->count, sizeof *to);
        if (!to)
            return op_no_memory(c);
        widen_int(op_in(c, i), to);
        n[i] = to;
    }
    for (int d = 0; d < e->out.rank; d++)
        add_label(e, e->out.labels[d], all, &outer);
    for (int d = 0; d < e->summed_count; d++)
        add_label(e, e->summed[d], all, &inner);
    if (whole) {
        uint64_t *to = op_scratch_array(c, (size_t)y->count, sizeof *to);
        if (!to)
            return op_no_memory(c);
        plain_u64(&outer, &inner, e->operands, n, to);
        narrow_int(to, y);
        return STATUS_OK;
    }
    double *to = NULL;
    enum status s = real_out(c, 0, &to);
    if (s != STATUS_OK)
        return s;
    plain_f64(&outer, &inner, e->operands, x, to);
    real_out_done(c, 0, to);
    return STATUS_OK;
}

/* ---- matrix products ---- */

/* Labels of a kind, outermost first, and the product of their sizes. */
struct axis_set {
    int count;
    uint8_t labels[LABELS];
    int64_t size;
};

static void push(struct axis_set *s, const struct einsum *e, int label) {
    s->labels[s->count++] = (uint8_t)label;
    s->size *= e->size[label];
}

static bool has(const struct term *t, int label) {
    for (int d = 0; d < t->rank; d++)
        if (t->labels[d] == label)
            return true;
    return false;
}

/* Sorts the labels; false where a label is summed over one operand alone, which is no product. */
static bool sort_labels(const struct einsum *e, struct axis_set set[4]) {
    for (int i = 0; i < 4; i++)
        set[i] = (struct axis_set){.size = 1};
    for (int d = 0; d < e->out.rank; d++) {
        const int label = e->out.labels[d];
        const bool a = has(&e->in[0], label), b = has(&e->in[1], label);
        push(&set[a && b ? 0 : a ? 1 : 2], e, label);
    }
    for (int d = 0; d < e->summed_count; d++) {
        if (!has(&e->in[0], e->summed[d]) || !has(&e->in[1], e->summed[d]))
            return false;
        push(&set[3], e, e->summed[d]);
    }
    return true;
}

/* Copies x with strides `from` by label into the order of three label sets, or, `back`, a tensor in
 * that order into the places that the strides say. */
static void reorder(const struct einsum *e, const struct axis_set *const sets[3],
                    const int64_t from[LABELS], const float *x, float *y, bool back) {
    struct loop l = {0};
    for (int s = 0; s < 3; s++)
        for (int i = 0; i < sets[s]->count; i++) {
            l.size[l.count] = e->size[sets[s]->labels[i]];
            l.stride[0][l.count++] = from[sets[s]->labels[i]];
        }
    int64_t at[LABELS] = {0}, offset = 0, i = 0;
    do {
        if (back)
            y[offset] = x[i++];
        else
            y[i++] = x[offset];
    } while (advance(&l, 1, at, &offset));
}

struct product {
    struct gemm_shape g;
    const float *a, *b;
    float *y;
};

static void run_products(void *arg, size_t begin, size_t end) {
    const struct product *p = arg;
    for (size_t i = begin; i < end; i++)
        gemm_f32(&p->g, 1.0f, p->a + i * p->g.m * p->g.k, p->b + i * p->g.k * p->g.n, 0.0f,
                 p->y + i * p->g.m * p->g.n);
}

static enum status run_product(struct op_ctx *c, const struct einsum *e, struct axis_set set[4]) {
    const struct axis_set *batch = &set[0], *rows = &set[1], *columns = &set[2], *depth = &set[3];
    const size_t n = (size_t)batch->size;
    struct product p = {.g = gemm_shape_of((size_t)rows->size, (size_t)columns->size,
                                           (size_t)depth->size, false, false)};
    const float *a = NULL, *b = NULL;
    float *y = NULL;
    enum status s = op_in_f32(c, 0, &a);
    if (s == STATUS_OK)
        s = op_in_f32(c, 1, &b);
    if (s == STATUS_OK)
        s = op_out_f32(c, 0, &y);
    if (s != STATUS_OK)
        return s;
    size_t a_size = 0, b_size = 0;
    if (!checked_mul(n * p.g.m, p.g.k, &a_size) || !checked_mul(n * p.g.n, p.g.k, &b_size))
        return op_no_memory(c);
    float *pa = op_scratch_array(c, a_size, sizeof *pa);
    float *pb = op_scratch_array(c, b_size, sizeof *pb);
    p.y = op_scratch_array(c, n * p.g.m * p.g.n, sizeof *p.y);
    if (!pa || !pb || !p.y)
        return op_no_memory(c);
    int64_t stride[LABELS];
    strides(&e->in[0], op_in(c, 0), stride);
    reorder(e, (const struct axis_set *const[]){batch, rows, depth}, stride, a, pa, false);
    strides(&e->in[1], op_in(c, 1), stride);
    reorder(e, (const struct axis_set *const[]){batch, depth, columns}, stride, b, pb, false);
    p.a = pa;
    p.b = pb;
    op_parallel(c, n, 1, run_products, &p);
    strides(&e->out, op_out(c, 0), stride);
    reorder(e, (const struct axis_set *const[]){batch, rows, columns}, stride, p.y, y, true);
    op_out_f32_done(c, 0, y);
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct einsum e;
    enum status s = parse(c, &e);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < e.operands; i++)
        if (op_in(c, i)->count == 0) { /* a sum of nothing */
            memset(y->data, 0, y->bytes);
            return STATUS_OK;
        }
    struct axis_set set[4];
    if (e.operands == 2 && dtype_is_float(y->dtype) && y->dtype != DTYPE_DOUBLE &&
        sort_labels(&e, set))
        return run_product(c, &e, set);
    return run_plain(c, &e);
}

const struct op_row op_family_einsum[] = {
    {.name = "Einsum", .since = 12, .infer = infer, .run = run},
    OP_END,
};
