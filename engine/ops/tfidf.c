/* TfIdfVectorizer: how often each n-gram of a pool comes in a row.
 *
 * The pool holds the 1-grams, then the 2-grams, ...; ngram_counts says where each length starts.
 * For each length the n-grams are sorted once, at load; a row's windows are looked up by binary
 * search. */
#include "engine/ops/indices.h"
#include "engine/ops/op.h"
#include "engine/ops/sort.h"

enum mode { TF, IDF, TFIDF };

/* The n-grams of one length. */
struct grams {
    size_t length, count;
    size_t pool;    /* where the first one starts in the pool */
    size_t first;   /* its number among all n-grams */
    int64_t *order; /* numbers 0..count-1, ascending by content */
};

struct vectorizer {
    const struct str *strings; /* the pool: one of the two */
    const int64_t *ints;
    const int64_t *columns; /* of each n-gram */
    const float *weights;   /* NULL: all 1 */
    int64_t width;
    size_t least, most, skips;
    enum mode mode;
    struct grams *grams; /* lengths 1..lengths */
    size_t lengths;
};

/* ---- comparing ---- */

/* A run of items, `step` apart: of the pool, or of a row. */
struct items {
    const struct str *strings;
    const int64_t *i64;
    const int32_t *i32;
    size_t step;
};

static int item_order(const struct items *a, size_t i, const struct items *b, size_t k) {
    i *= a->step;
    k *= b->step;
    if (a->strings) {
        const struct str *x = a->strings + i, *y = b->strings + k;
        size_t n = x->size < y->size ? x->size : y->size;
        int o = n ? memcmp(x->data, y->data, n) : 0;
        return o ? o : (x->size > y->size) - (x->size < y->size);
    }
    int64_t x = a->i32 ? a->i32[i] : a->i64[i], y = b->i32 ? b->i32[k] : b->i64[k];
    return (x > y) - (x < y);
}

static int gram_order(const struct items *a, const struct items *b, size_t length) {
    int o = 0;
    for (size_t i = 0; o == 0 && i < length; i++)
        o = item_order(a, i, b, i);
    return o;
}

static struct items pool_items(const struct vectorizer *v, const struct grams *g, int64_t number) {
    size_t at = g->pool + (size_t)number * g->length;
    return (struct items){.strings = v->strings ? v->strings + at : NULL,
                          .i64 = v->ints ? v->ints + at : NULL,
                          .step = 1};
}

struct ordering {
    const struct vectorizer *v;
    const struct grams *g;
};

static bool gram_before(const void *ctx, int64_t a, int64_t b) {
    const struct ordering *o = ctx;
    struct items x = pool_items(o->v, o->g, a), y = pool_items(o->v, o->g, b);
    return gram_order(&x, &y, o->g->length) < 0;
}

/* ---- attributes ---- */

static enum status grams_of(struct op_ctx *c, struct vectorizer *v, size_t pool_size,
                            const int64_t *starts, size_t columns, int64_t *orders) {
    size_t number = 0;
    for (size_t i = 0; i < v->lengths; i++) {
        int64_t start = starts[i], end = i + 1 < v->lengths ? starts[i + 1] : (int64_t)pool_size;
        int64_t length = (int64_t)i + 1;
        if (start < 0 || end < start || (uint64_t)end > pool_size || (end - start) % length != 0)
            return op_fail(c,
                           "attribute \"ngram_counts\" gives %lld-grams from %lld to %lld of "
                           "%zu",
                           (long long)length, (long long)start, (long long)end, pool_size);
        struct grams *g = &v->grams[i];
        *g = (struct grams){.length = i + 1,
                            .count = (size_t)((end - start) / length),
                            .pool = (size_t)start,
                            .first = number,
                            .order = orders + number};
        number += g->count;
        if (number > columns)
            break;
        int64_t *spare = op_scratch_array(c, g->count, sizeof *spare);
        if (!spare)
            return op_no_memory(c);
        for (size_t k = 0; k < g->count; k++)
            g->order[k] = (int64_t)k;
        sort_positions(g->order, spare, g->count, gram_before, &(struct ordering){v, g});
    }
    if (number != columns)
        return op_fail(c,
                       "attribute \"ngram_indexes\" has %zu values, the pool more or fewer "
                       "n-grams",
                       columns);
    return STATUS_OK;
}

static enum status mode_of(struct op_ctx *c, enum mode *out) {
    struct str s = op_attr_str(c, "mode", "");
    if (!str_is(s, "TF") && !str_is(s, "IDF") && !str_is(s, "TFIDF"))
        return op_fail(c, "attribute \"mode\" is \"%.*s\", must be TF, IDF or TFIDF",
                       (int)(s.size < 32 ? s.size : 32), s.data);
    *out = str_is(s, "TF") ? TF : str_is(s, "IDF") ? IDF : TFIDF;
    return STATUS_OK;
}

static enum status lengths_of(struct op_ctx *c, struct vectorizer *v) {
    int64_t least = op_attr_int(c, "min_gram_length", 0),
            most = op_attr_int(c, "max_gram_length", 0);
    int64_t skips = op_attr_int(c, "max_skip_count", -1);
    if (least < 1 || most < least || most > INT32_MAX || skips < 0 || skips > INT32_MAX)
        return op_fail(c, "n-grams of %lld to %lld items, skipping up to %lld, cannot be counted",
                       (long long)least, (long long)most, (long long)skips);
    v->least = (size_t)least;
    v->most = (size_t)most;
    v->skips = (size_t)skips;
    return STATUS_OK;
}

static enum status tfidf_prepare(struct op_ctx *c) {
    struct vectorizer t = {0};
    const int64_t *starts = NULL;
    size_t strings = op_attr_strs(c, "pool_strings", &t.strings);
    size_t ints = op_attr_ints(c, "pool_int64s", &t.ints), pool = strings ? strings : ints;
    size_t columns = op_attr_ints(c, "ngram_indexes", &t.columns);
    size_t weights = op_attr_floats(c, "weights", &t.weights);
    t.lengths = op_attr_ints(c, "ngram_counts", &starts);
    if ((strings > 0) == (ints > 0))
        return op_fail(c, "exactly one of \"pool_strings\" and \"pool_int64s\" must be given");
    if (weights && weights != columns)
        return op_fail(c, "attribute \"weights\" has %zu values, must have %zu", weights, columns);
    if (strings)
        t.ints = NULL;
    else
        t.strings = NULL;
    if (!weights)
        t.weights = NULL;
    for (size_t i = 0; i < columns; i++) {
        if (t.columns[i] < 0 || t.columns[i] > INT32_MAX)
            return op_fail(c, "attribute \"ngram_indexes\" has %lld, out of range",
                           (long long)t.columns[i]);
        t.width = t.columns[i] >= t.width ? t.columns[i] + 1 : t.width;
    }
    enum status s = mode_of(c, &t.mode);
    if (s == STATUS_OK)
        s = lengths_of(c, &t);
    if (s != STATUS_OK)
        return s;
    size_t a = 0, b = 0, size = 0;
    if (!checked_mul(t.lengths, sizeof *t.grams, &a) || !checked_mul(pool, sizeof(int64_t), &b) ||
        !checked_add(a, b, &size) || !checked_add(size, sizeof t, &size))
        return op_no_memory(c);
    struct vectorizer *v = op_state_new(c, size);
    if (!v)
        return op_no_memory(c);
    *v = t;
    v->grams = (struct grams *)(void *)(v + 1);
    return grams_of(c, v, pool, starts, columns, (int64_t *)(void *)(v->grams + t.lengths));
}

/* ---- running ---- */

static enum status tfidf_infer(struct op_ctx *c) {
    const struct vectorizer *v = op_state(c);
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, v->strings ? DT(STRING) : INDEX_TYPES);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 0, 2);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[2] = {v->width, v->width};
    if (x->rank == 2)
        dims[0] = x->dims[0];
    return op_infer(c, 0, DTYPE_FLOAT, x->rank == 2 ? 2 : 1, dims);
}

/* Number of the n-gram among those of its length, -1: none. Of equal ones the first. */
static int64_t gram_find(const struct vectorizer *v, const struct grams *g,
                         const struct items *window) {
    size_t low = 0, high = g->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct items known = pool_items(v, g, g->order[middle]);
        if (gram_order(&known, window, g->length) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == g->count)
        return -1;
    struct items known = pool_items(v, g, g->order[low]);
    return gram_order(&known, window, g->length) == 0 ? g->order[low] : -1;
}

static void count_row(const struct vectorizer *v, const struct tensor *x, size_t start, size_t n,
                      float *out) {
    for (size_t length = v->least; length <= v->most && length <= v->lengths; length++) {
        const struct grams *g = &v->grams[length - 1];
        size_t skips = length == 1 ? 0 : v->skips; /* single items: skipping changes nothing */
        for (size_t skip = 0; skip <= skips && (length - 1) * (skip + 1) < n; skip++)
            for (size_t i = 0; i + (length - 1) * (skip + 1) < n; i++) {
                size_t at = start + i;
                struct items window = {.step = skip + 1};
                if (x->dtype == DTYPE_STRING)
                    window.strings = (const struct str *)x->data + at;
                else if (x->dtype == DTYPE_INT32)
                    window.i32 = (const int32_t *)x->data + at;
                else
                    window.i64 = (const int64_t *)x->data + at;
                int64_t k = gram_find(v, g, &window);
                if (k < 0)
                    continue;
                size_t number = g->first + (size_t)k;
                float w = v->weights ? v->weights[number] : 1;
                float *to = &out[v->columns[number]];
                *to = v->mode == TF ? *to + 1 : v->mode == IDF ? w : *to + w;
            }
    }
}

static enum status tfidf_run(struct op_ctx *c) {
    const struct vectorizer *v = op_state(c);
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    memset(y->data, 0, y->bytes);
    size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1;
    size_t n = x->rank == 0 ? 1 : (size_t)x->dims[x->rank - 1];
    for (size_t r = 0; r < rows; r++)
        count_row(v, x, r * n, n, (float *)y->data + r * (size_t)v->width);
    return STATUS_OK;
}

const struct op_row op_family_tfidf[] = {
    {.name = "TfIdfVectorizer",
     .since = 9,
     .infer = tfidf_infer,
     .run = tfidf_run,
     .prepare = tfidf_prepare},
    OP_END,
};
