/* ArrayFeatureExtractor, FeatureVectorizer, DictVectorizer, CastMap, ZipMap (ai.onnx.ml): rows put
 * together and taken apart, maps made and read.
 *
 * A map is two 1-D tensors of one length, keys and values. */
#include "engine/ops/indices.h"
#include "engine/ops/ml_common.h"
#include "engine/ops/sort.h"

#include <stdio.h>
#include <stdlib.h>

#define ML "ai.onnx.ml"

/* ---- ArrayFeatureExtractor: columns by number ---- */

static enum status extractor_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(INT64));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *columns = op_in(c, 1);
    int64_t dims[TENSOR_MAX_RANK] = {1};
    int rank = x->rank == 1 ? 2 : x->rank; /* one row stays a row */
    for (int i = 0; i + 1 < x->rank; i++)
        dims[i] = x->dims[i];
    dims[rank - 1] = columns->count;
    return op_infer(c, 0, x->dtype, rank, dims);
}

static enum status extractor_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *columns = op_in(c, 1);
    struct tensor *y = op_out(c, 0);
    int64_t width = x->dims[x->rank - 1], n = columns->count;
    for (int64_t k = 0; k < n; k++) {
        int64_t column = index_at(columns, k);
        if (column < 0 || column >= width)
            return op_fail(c, "index %lld is outside the %lld columns", (long long)column,
                           (long long)width);
    }
    if (!y || y->count == 0)
        return STATUS_OK;
    size_t size = dtype_size(x->dtype);
    for (int64_t i = 0; i < y->count; i++)
        memcpy((char *)y->data + (size_t)i * size,
               (const char *)x->data + (size_t)(i / n * width + index_at(columns, i % n)) * size,
               size);
    return STATUS_OK;
}

/* ---- FeatureVectorizer: inputs side by side, as float ---- */

static enum status vectorizer_infer(struct op_ctx *c) {
    const int64_t *widths = NULL;
    size_t n = op_attr_ints(c, "inputdimensions", &widths);
    int64_t dims[2] = {0, 0};
    enum status s = op_need_all(c, op_in_count(c));
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < op_in_count(c); i++) {
        s = op_need_dtype(c, i, ML_NUMBERS);
        if (s == STATUS_OK)
            s = op_need_rank(c, i, 1, 2);
        if (s != STATUS_OK)
            return s;
        const struct tensor *x = op_in(c, i);
        int64_t rows = x->rank == 1 ? 1 : x->dims[0], width = x->dims[x->rank - 1];
        if (i == 0)
            dims[0] = rows;
        if (rows != dims[0] || (i < n && widths[i] != width))
            return op_fail(c, "input %zu has %lld rows of %lld features, must have %lld of %lld", i,
                           (long long)rows, (long long)width, (long long)dims[0],
                           (long long)(i < n ? widths[i] : width));
        if (__builtin_add_overflow(dims[1], width, &dims[1]))
            return op_no_memory(c);
    }
    return op_infer(c, 0, DTYPE_FLOAT, 2, dims);
}

static enum status vectorizer_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    int64_t at = 0, total = y->dims[1];
    for (size_t i = 0; i < op_in_count(c); i++) {
        const struct tensor *x = op_in(c, i);
        int64_t width = x->dims[x->rank - 1];
        const float *from = NULL;
        enum status s = ml_common_floats(c, i, &from);
        if (s != STATUS_OK)
            return s;
        for (int64_t k = 0; k < x->count; k++)
            ((float *)y->data)[k / width * total + at + k % width] = from[k];
        at += width;
    }
    return STATUS_OK;
}

/* ---- maps as input ---- */

/* Input 0 as a map with keys of one of `keys`; both tensors are checked. */
static enum status map_in(struct op_ctx *c, uint32_t keys, const struct tensor **key,
                          const struct tensor **value) {
    const struct value *v = op_in_value(c, 0);
    if (!v || v->kind != VALUE_MAP || v->count < 2)
        return op_fail(c, "the input must be a map");
    const struct tensor *k = &v->items[0].tensor, *x = &v->items[1].tensor;
    if (v->items[0].kind != VALUE_TENSOR || v->items[1].kind != VALUE_TENSOR ||
        !((1u << k->dtype) & keys) || k->count != x->count)
        return op_fail(c,
                       "the map's keys are %s, %lld of them for %lld values: not what is asked "
                       "for",
                       dtype_name(k->dtype), (long long)k->count, (long long)x->count);
    *key = k;
    *value = x;
    return STATUS_OK;
}

/* ---- DictVectorizer ---- */

static enum status dict_run(struct op_ctx *c) {
    const struct tensor *key = NULL, *value = NULL;
    struct tensor *y = NULL;
    struct ml_labels words = {0};
    enum status s = ml_common_labels(c, "int64_vocabulary", "string_vocabulary", &words);
    if (s == STATUS_OK)
        s = map_in(c, words.strings ? DT(STRING) : DT(INT64), &key, &value);
    if (s != STATUS_OK)
        return s;
    if (!((1u << value->dtype) & (DT(INT64) | DT(FLOAT) | DT(DOUBLE) | DT(STRING))))
        return op_fail(c, "the map's values are %s, which is not served", dtype_name(value->dtype));
    s = op_out_new(c, 0, value->dtype, 2, (int64_t[]){1, (int64_t)words.count}, &y);
    if (s != STATUS_OK || !y)
        return s;
    size_t size = dtype_size(y->dtype);
    memset(y->data, 0, y->bytes); /* zeros, and strings of no length */
    for (int64_t i = 0; i < key->count; i++)
        for (size_t k = 0; k < words.count; k++) {
            bool same = words.strings
                            ? str_equal(words.strings[k], ((const struct str *)key->data)[i])
                            : words.ints[k] == ((const int64_t *)key->data)[i];
            if (same)
                memcpy((char *)y->data + k * size, (const char *)value->data + (size_t)i * size,
                       size);
        }
    return STATUS_OK;
}

/* ---- CastMap: the values of an int64 map, in the order of their keys ---- */

static bool key_before(const void *ctx, int64_t a, int64_t b) {
    const int64_t *keys = ctx;
    return keys[a] < keys[b];
}

/* A string as a number; false where it is not one. Numbers longer than the room are none. */
static bool parse_number(struct str s, double *out) {
    char text[64], *end = NULL;
    if (s.size == 0 || s.size >= sizeof text)
        return false;
    memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    *out = strtod(text, &end);
    return end == text + s.size;
}

static enum status cast_one(struct op_ctx *c, const struct tensor *from, int64_t i,
                            struct tensor *y, int64_t k) {
    if (y->dtype == DTYPE_STRING && from->dtype == DTYPE_STRING) {
        ((struct str *)y->data)[k] = ((const struct str *)from->data)[i];
        return STATUS_OK;
    }
    double v = 0;
    if (from->dtype == DTYPE_FLOAT)
        v = (double)((const float *)from->data)[i];
    else if (!parse_number(((const struct str *)from->data)[i], &v))
        return op_fail(c, "value %lld of the map is not a number", (long long)i);
    if (y->dtype == DTYPE_FLOAT) {
        ((float *)y->data)[k] = (float)v;
    } else if (y->dtype == DTYPE_INT64) {
        ((int64_t *)y->data)[k] = index_from_double(v);
    } else {
        char *text = op_alloc(c, 32);
        if (!text)
            return op_no_memory(c);
        int n = snprintf(text, 32, "%.9g", v);
        ((struct str *)y->data)[k] = (struct str){text, n > 0 ? (size_t)n : 0};
    }
    return STATUS_OK;
}

static enum status cast_map_run(struct op_ctx *c) {
    static const char *const casts[] = {"TO_FLOAT", "TO_STRING", "TO_INT64"};
    static const char *const forms[] = {"DENSE", "SPARSE"};
    static const enum dtype types[] = {DTYPE_FLOAT, DTYPE_STRING, DTYPE_INT64};
    const struct tensor *key = NULL, *value = NULL;
    struct tensor *y = NULL;
    size_t cast = 0, form = 0;
    enum status s = map_in(c, DT(INT64), &key, &value);
    if (s == STATUS_OK)
        s = ml_common_choice(c, "cast_to", casts, 3, 0, &cast);
    if (s == STATUS_OK)
        s = ml_common_choice(c, "map_form", forms, 2, 0, &form);
    if (s != STATUS_OK)
        return s;
    if (value->dtype != DTYPE_FLOAT && value->dtype != DTYPE_STRING)
        return op_fail(c, "the map's values are %s, must be float32 or string",
                       dtype_name(value->dtype));
    int64_t size = form ? op_attr_int(c, "max_map", 1) : key->count;
    if (size < 0)
        return op_fail(c, "attribute \"max_map\" is %lld, must not be negative", (long long)size);
    s = op_out_new(c, 0, types[cast], 2, (int64_t[]){1, size}, &y);
    if (s != STATUS_OK || !y)
        return s;
    memset(y->data, 0, y->bytes);
    const int64_t *keys = key->data;
    int64_t *order = op_scratch_array(c, (size_t)key->count, sizeof *order);
    int64_t *spare = op_scratch_array(c, (size_t)key->count, sizeof *spare);
    if (!order || !spare)
        return op_no_memory(c);
    for (int64_t i = 0; i < key->count; i++)
        order[i] = i;
    sort_positions(order, spare, (size_t)key->count, key_before, keys);
    for (int64_t i = 0; s == STATUS_OK && i < key->count; i++) {
        int64_t at = form ? keys[order[i]] : i;
        if (at < 0 || at >= size)
            return op_fail(c, "key %lld of the map is outside 0 to %lld", (long long)at,
                           (long long)size - 1);
        s = cast_one(c, value, order[i], y, at);
    }
    return s;
}

/* ---- ZipMap: a map for each row ---- */

static enum status zip_infer(struct op_ctx *c) {
    struct ml_rows rows = {0};
    struct ml_labels labels = {0};
    enum status s = ml_common_rows(c, DT(FLOAT), &rows);
    if (s == STATUS_OK)
        s = ml_common_labels(c, "classlabels_int64s", "classlabels_strings", &labels);
    if (s != STATUS_OK)
        return s;
    if ((size_t)rows.width != labels.count)
        return op_fail(c, "rows have %lld values for %zu labels: must be as many",
                       (long long)rows.width, labels.count);
    return op_infer_in_run(c);
}

static enum status zip_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct ml_rows rows = {0};
    struct ml_labels labels = {0};
    enum status s = zip_infer(c);
    if (s == STATUS_OK)
        s = ml_common_rows(c, DT(FLOAT), &rows);
    if (s == STATUS_OK)
        s = ml_common_labels(c, "classlabels_int64s", "classlabels_strings", &labels);
    if (s != STATUS_OK || !op_out_wanted(c, 0))
        return s;
    struct tensor keys, value;
    s = tensor_shape(&keys, ml_common_label_dtype(&labels), 1, &rows.width, c->error);
    if (s == STATUS_OK)
        s = tensor_shape(&value, DTYPE_FLOAT, 1, &rows.width, c->error);
    if (s != STATUS_OK)
        return s;
    size_t n = (size_t)rows.n, items = 0;
    struct value *maps = op_alloc_array(c, n, sizeof *maps);
    if (!checked_mul(n, 2, &items))
        return op_no_memory(c);
    struct value *parts = op_alloc_array(c, items, sizeof *parts);
    float *values = op_alloc(c, x->bytes);
    keys.data = op_alloc(c, keys.bytes);
    if (!maps || !parts || !values || !keys.data)
        return op_no_memory(c);
    memcpy(values, x->data, x->bytes);
    for (size_t k = 0; k < labels.count; k++)
        ml_common_label_put(&labels, &keys, (int64_t)k, k);
    for (size_t i = 0; i < n; i++) {
        value.data = values + i * labels.count;
        parts[2 * i] = (struct value){.kind = VALUE_TENSOR, .tensor = keys};
        parts[2 * i + 1] = (struct value){.kind = VALUE_TENSOR, .tensor = value};
        maps[i] = (struct value){.kind = VALUE_MAP, .items = &parts[2 * i], .count = 2};
    }
    struct value out = {
        .kind = VALUE_SEQUENCE, .items = maps, .count = n, .item_dtype = DTYPE_FLOAT};
    op_out_value(c, 0, &out);
    return STATUS_OK;
}

const struct op_row op_family_ml_feature[] = {
    {.domain = ML,
     .name = "ArrayFeatureExtractor",
     .since = 1,
     .infer = extractor_infer,
     .run = extractor_run},
    {.domain = ML,
     .name = "FeatureVectorizer",
     .since = 1,
     .infer = vectorizer_infer,
     .run = vectorizer_run},
    {.domain = ML,
     .name = "DictVectorizer",
     .since = 1,
     .infer = op_infer_in_run,
     .run = dict_run,
     .flags = OP_SEQUENCE},
    {.domain = ML,
     .name = "CastMap",
     .since = 1,
     .infer = op_infer_in_run,
     .run = cast_map_run,
     .flags = OP_SEQUENCE},
    {.domain = ML,
     .name = "ZipMap",
     .since = 1,
     .infer = zip_infer,
     .run = zip_run,
     .flags = OP_SEQUENCE},
    OP_END,
};
