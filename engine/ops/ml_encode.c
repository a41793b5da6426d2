/* LabelEncoder, CategoryMapper, OneHotEncoder (ai.onnx.ml): elements looked up in a list of keys.
 *
 * The keys' positions are sorted once, at load; a lookup is a binary search. Of equal keys the last
 * one counts. Float keys: NaN equals NaN. */
#include "engine/ops/indices.h"
#include "engine/ops/ml_common.h"
#include "engine/ops/sort.h"

#define ML "ai.onnx.ml"
#define ENCODER_TYPES                                                                              \
    (DT(STRING) | DT(INT64) | DT(FLOAT) | DT(INT32) | DT(INT16) | DT(DOUBLE) | DT(BOOL))

/* A list of an attribute: as it stands there, whatever its type. */
struct list {
    enum dtype dtype;
    const void *data;
    size_t count;
};

struct encoder {
    struct list keys, values, otherwise; /* values of no type: the position is the value */
    int64_t *order;                      /* positions of the keys, ascending */
    int64_t default_int;
    float default_float;
    struct str default_string;
    struct encoder *back; /* CategoryMapper: from values to keys; else NULL */
};

/* ---- comparing ---- */

static int str_order(const struct str *a, const struct str *b) {
    size_t n = a->size < b->size ? a->size : b->size;
    int k = n ? memcmp(a->data, b->data, n) : 0;
    return k ? k : (a->size > b->size) - (a->size < b->size);
}

/* NaN stands after all numbers. */
static int real_order(double a, double b) {
    bool a_nan = a != a, b_nan = b != b;
    if (a_nan || b_nan)
        return a_nan - b_nan;
    return (a > b) - (a < b);
}

static int element_order(enum dtype dtype, const void *a, int64_t i, const void *b, int64_t j) {
#define ORDER(T) (((const T *)a)[i] > ((const T *)b)[j]) - (((const T *)a)[i] < ((const T *)b)[j])
    switch (dtype) {
    case DTYPE_STRING:
        return str_order((const struct str *)a + i, (const struct str *)b + j);
    case DTYPE_INT64:
        return ORDER(int64_t);
    case DTYPE_INT32:
        return ORDER(int32_t);
    case DTYPE_INT16:
        return ORDER(int16_t);
    case DTYPE_FLOAT:
        return real_order((double)((const float *)a)[i], (double)((const float *)b)[j]);
    case DTYPE_DOUBLE:
        return real_order(((const double *)a)[i], ((const double *)b)[j]);
    default:
        return ORDER(uint8_t);
    }
#undef ORDER
}

static bool key_before(const void *ctx, int64_t a, int64_t b) {
    const struct list *keys = ctx;
    return element_order(keys->dtype, keys->data, a, keys->data, b) < 0;
}

/* Position of element i of x among the keys, -1: not there. */
static int64_t key_find(const struct encoder *e, const void *x, int64_t i) {
    size_t low = 0, high = e->keys.count; /* the last key that is not past the element */
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (element_order(e->keys.dtype, e->keys.data, e->order[middle], x, i) <= 0)
            low = middle + 1;
        else
            high = middle;
    }
    if (low == 0)
        return -1;
    int64_t k = e->order[low - 1];
    return element_order(e->keys.dtype, e->keys.data, k, x, i) == 0 ? k : -1;
}

/* ---- attributes ---- */

/* PREFIX_strings, _int64s, _floats or _tensor: the one that is there. */
static enum status list_of(struct op_ctx *c, const char *strings, const char *ints,
                           const char *floats, const char *tensor, struct list *out) {
    struct list l = {0};
    const struct str *s = NULL;
    const int64_t *i = NULL;
    const float *f = NULL;
    int found = 0;
    size_t n = op_attr_strs(c, strings, &s);
    if (n) {
        l = (struct list){DTYPE_STRING, s, n};
        found++;
    }
    n = op_attr_ints(c, ints, &i);
    if (n) {
        l = (struct list){DTYPE_INT64, i, n};
        found++;
    }
    n = floats ? op_attr_floats(c, floats, &f) : 0;
    if (n) {
        l = (struct list){DTYPE_FLOAT, f, n};
        found++;
    }
    if (tensor && op_attr_has(c, tensor)) {
        const struct tensor *t = op_attr_tensor(c, tensor);
        if (!t || !t->data || !((1u << t->dtype) & ENCODER_TYPES))
            return op_fail(c, "attribute \"%s\" has a type that is not served", tensor);
        l = (struct list){t->dtype, t->data, (size_t)t->count};
        found++;
    }
    if (found != 1)
        return op_fail(c, "of the attributes \"%s\", \"%s\" and the like %d are given, must be one",
                       strings, ints, found);
    *out = l;
    return STATUS_OK;
}

static void encoder_fill(struct encoder *e, struct list keys, struct list values, int64_t *order,
                         int64_t *spare) {
    e->keys = keys;
    e->values = values;
    e->order = order;
    for (size_t i = 0; i < keys.count; i++)
        e->order[i] = (int64_t)i;
    sort_positions(e->order, spare, keys.count, key_before, &e->keys);
    e->default_int = -1;
    e->default_string = (struct str){"_Unused", 7};
}

static enum status encoder_new(struct op_ctx *c, struct list keys, struct list values, bool both,
                               struct encoder **out) {
    size_t size = 0, ways = both ? 2 : 1;
    if (!checked_mul(keys.count, sizeof(int64_t), &size) ||
        !checked_add(size, sizeof(struct encoder), &size) || !checked_mul(size, ways, &size))
        return op_no_memory(c);
    struct encoder *e = op_state_new(c, size);
    int64_t *spare = op_scratch_array(c, keys.count, sizeof *spare);
    if (!e || !spare)
        return op_no_memory(c);
    int64_t *order = (int64_t *)(void *)(e + ways);
    encoder_fill(e, keys, values, order, spare);
    if (both) {
        e->back = e + 1;
        encoder_fill(e->back, values, keys, order + keys.count, spare);
    }
    *out = e;
    return STATUS_OK;
}

static void encoder_defaults(struct op_ctx *c, struct encoder *e) {
    e->default_int = op_attr_int(c, "default_int64", -1);
    e->default_float = op_attr_float(c, "default_float", -0.0f);
    e->default_string = op_attr_str(c, "default_string", "_Unused");
    if (e->back)
        e->back->default_string = e->default_string;
}

/* ---- LabelEncoder ---- */

/* Up to version 1: a list of strings, whose positions are the integers. */
static enum status classes_prepare(struct op_ctx *c) {
    const struct str *classes = NULL;
    size_t n = op_attr_strs(c, "classes_strings", &classes);
    struct encoder *e = NULL;
    enum status s =
        encoder_new(c, (struct list){DTYPE_STRING, classes, n}, (struct list){0}, false, &e);
    if (s == STATUS_OK)
        encoder_defaults(c, e);
    return s;
}

static enum status label_prepare(struct op_ctx *c) {
    struct list keys = {0}, values = {0};
    struct encoder *e = NULL;
    enum status s = list_of(c, "keys_strings", "keys_int64s", "keys_floats", "keys_tensor", &keys);
    if (s == STATUS_OK)
        s = list_of(c, "values_strings", "values_int64s", "values_floats", "values_tensor",
                    &values);
    if (s != STATUS_OK)
        return s;
    if (keys.count != values.count)
        return op_fail(c, "there are %zu keys and %zu values: must be as many", keys.count,
                       values.count);
    s = encoder_new(c, keys, values, false, &e);
    if (s != STATUS_OK)
        return s;
    encoder_defaults(c, e);
    if (op_attr_has(c, "default_tensor")) {
        const struct tensor *t = op_attr_tensor(c, "default_tensor");
        if (!t || !t->data || t->count != 1 || t->dtype != values.dtype)
            return op_fail(c, "attribute \"default_tensor\" must have one element, of the values' "
                              "type");
        e->otherwise = (struct list){t->dtype, t->data, 1};
    }
    return STATUS_OK;
}

static enum status encoder_infer(struct op_ctx *c) {
    const struct encoder *e = op_state(c);
    enum status s = op_need(c, 0);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    enum dtype to = e->values.dtype;
    if (e->values.dtype == DTYPE_NONE) { /* both ways: from strings to positions, or back */
        to = x->dtype == DTYPE_STRING ? DTYPE_INT64 : DTYPE_STRING;
        s = op_need_dtype(c, 0, DT(STRING) | DT(INT64));
    } else {
        s = op_need_dtype(c, 0, (uint32_t)1 << e->keys.dtype);
    }
    if (s == STATUS_OK)
        s = op_infer(c, 0, to, x->rank, x->dims);
    return s;
}

static void put_default(const struct encoder *e, struct tensor *y, int64_t i) {
    if (e->otherwise.count) {
        size_t size = dtype_size(y->dtype);
        memcpy((char *)y->data + (size_t)i * size, e->otherwise.data, size);
        return;
    }
    switch (y->dtype) {
    case DTYPE_STRING:
        ((struct str *)y->data)[i] = e->default_string;
        break;
    case DTYPE_INT64:
        ((int64_t *)y->data)[i] = e->default_int;
        break;
    case DTYPE_INT32:
        ((int32_t *)y->data)[i] = (int32_t)e->default_int;
        break;
    case DTYPE_INT16:
        ((int16_t *)y->data)[i] = (int16_t)e->default_int;
        break;
    case DTYPE_FLOAT:
        ((float *)y->data)[i] = e->default_float;
        break;
    case DTYPE_DOUBLE:
        ((double *)y->data)[i] = (double)e->default_float;
        break;
    default:
        ((uint8_t *)y->data)[i] = e->default_int != 0;
    }
}

static void put_position(const struct encoder *e, const struct tensor *x, struct tensor *y,
                         int64_t i) {
    if (x->dtype == DTYPE_STRING) {
        int64_t k = key_find(e, x->data, i);
        ((int64_t *)y->data)[i] = k < 0 ? e->default_int : k;
        return;
    }
    int64_t k = ((const int64_t *)x->data)[i];
    bool in_range = k >= 0 && (uint64_t)k < e->keys.count;
    ((struct str *)y->data)[i] =
        in_range ? ((const struct str *)e->keys.data)[k] : e->default_string;
}

static void encode(const struct encoder *e, const struct tensor *x, struct tensor *y) {
    if (!y)
        return;
    size_t size = dtype_size(y->dtype);
    for (int64_t i = 0; i < x->count; i++) {
        if (e->values.dtype == DTYPE_NONE) {
            put_position(e, x, y, i);
            continue;
        }
        int64_t k = key_find(e, x->data, i);
        if (k < 0)
            put_default(e, y, i);
        else
            memcpy((char *)y->data + (size_t)i * size,
                   (const char *)e->values.data + (size_t)k * size, size);
    }
}

static enum status encoder_run(struct op_ctx *c) {
    encode(op_state(c), op_in(c, 0), op_out(c, 0));
    return STATUS_OK;
}

/* ---- CategoryMapper: strings to integers, or back, by two parallel lists ---- */

/* Which way hangs on the type of the input, which is not known yet: the state has both. */
static enum status mapper_prepare(struct op_ctx *c) {
    const struct str *strings = NULL;
    const int64_t *ints = NULL;
    size_t n = op_attr_strs(c, "cats_strings", &strings);
    if (n != op_attr_ints(c, "cats_int64s", &ints))
        return op_fail(c, "attributes \"cats_strings\" and \"cats_int64s\" must be as long as "
                          "each other");
    struct list s = {DTYPE_STRING, strings, n}, i = {DTYPE_INT64, ints, n};
    struct encoder *e = NULL;
    enum status status = encoder_new(c, s, i, true, &e);
    if (status == STATUS_OK)
        encoder_defaults(c, e);
    return status;
}

static const struct encoder *mapper_of(struct op_ctx *c) {
    const struct encoder *e = op_state(c);
    return op_in(c, 0)->dtype == DTYPE_INT64 ? e->back : e;
}

static enum status mapper_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(STRING) | DT(INT64));
    const struct tensor *x = op_in(c, 0);
    if (s == STATUS_OK)
        s = op_infer(c, 0, x->dtype == DTYPE_INT64 ? DTYPE_STRING : DTYPE_INT64, x->rank, x->dims);
    return s;
}

static enum status mapper_run(struct op_ctx *c) {
    encode(mapper_of(c), op_in(c, 0), op_out(c, 0));
    return STATUS_OK;
}

/* ---- OneHotEncoder ---- */

static enum status onehot_prepare(struct op_ctx *c) {
    struct list keys = {0};
    struct encoder *e = NULL;
    enum status s = list_of(c, "cats_strings", "cats_int64s", NULL, NULL, &keys);
    return s == STATUS_OK ? encoder_new(c, keys, (struct list){0}, false, &e) : s;
}

static enum status onehot_infer(struct op_ctx *c) {
    const struct encoder *e = op_state(c);
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, e->keys.dtype == DTYPE_STRING ? DT(STRING) : ML_NUMBERS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 0, TENSOR_MAX_RANK - 1);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    dims[x->rank] = (int64_t)e->keys.count;
    return op_infer(c, 0, DTYPE_FLOAT, x->rank + 1, dims);
}

static int64_t onehot_find(const struct encoder *e, const struct tensor *x, int64_t i) {
    int64_t key = 0;
    switch (x->dtype) {
    case DTYPE_STRING:
        return key_find(e, x->data, i);
    case DTYPE_FLOAT:
        key = index_from_double((double)((const float *)x->data)[i]);
        break;
    case DTYPE_DOUBLE:
        key = index_from_double(((const double *)x->data)[i]);
        break;
    default:
        key = index_at(x, i);
    }
    return key_find(e, &key, 0);
}

static enum status onehot_run(struct op_ctx *c) {
    const struct encoder *e = op_state(c);
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    bool lenient = op_attr_int(c, "zeros", 1) != 0;
    if (!y)
        return STATUS_OK;
    memset(y->data, 0, y->bytes);
    for (int64_t i = 0; i < x->count; i++) {
        int64_t k = onehot_find(e, x, i);
        if (k >= 0)
            ((float *)y->data)[i * (int64_t)e->keys.count + k] = 1;
        else if (!lenient)
            return op_fail(c, "element %lld is not one of the %zu categories", (long long)i,
                           e->keys.count);
    }
    return STATUS_OK;
}

const struct op_row op_family_ml_encode[] = {
    {.domain = ML,
     .name = "LabelEncoder",
     .since = 1,
     .infer = encoder_infer,
     .run = encoder_run,
     .prepare = classes_prepare},
    {.domain = ML,
     .name = "LabelEncoder",
     .since = 2,
     .infer = encoder_infer,
     .run = encoder_run,
     .prepare = label_prepare},
    {.domain = ML,
     .name = "CategoryMapper",
     .since = 1,
     .infer = mapper_infer,
     .run = mapper_run,
     .prepare = mapper_prepare},
    {.domain = ML,
     .name = "OneHotEncoder",
     .since = 1,
     .infer = onehot_infer,
     .run = onehot_run,
     .prepare = onehot_prepare},
    OP_END,
};
