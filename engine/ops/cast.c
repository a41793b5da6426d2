/* Cast and CastLike: any type to any other, strings included. */
#include "engine/ops/convert.h"
#include "engine/ops/op.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 64 /* of one number as a string */

static bool castable(enum dtype t) {
    return t == DTYPE_STRING || convert_possible(t, DTYPE_FLOAT);
}

static enum status infer(struct op_ctx *c, enum dtype to) {
    const struct tensor *x = op_in(c, 0);
    if (!castable(x->dtype) || !castable(to))
        return op_fail(c, "a cast from %s to %s is not served", dtype_name(x->dtype),
                       dtype_name(to));
    return op_infer(c, 0, to, x->rank, x->dims);
}

static enum status cast_infer(struct op_ctx *c) {
    enum dtype to = DTYPE_NONE;
    enum status s = op_need(c, 0);
    /* Opset 1 to 5 wrote the type as a string; that is refused. */
    if (s == STATUS_OK)
        s = op_attr_dtype(c, "to", DTYPE_NONE, DT_ANY, &to);
    return s == STATUS_OK ? infer(c, to) : s;
}

static enum status cast_like_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    return s == STATUS_OK ? infer(c, op_in(c, 1)->dtype) : s;
}

/* Shortest decimal that reads back as the same number: what numpy prints. */
static void float_text(double v, bool single, char *text) {
    if (isnan(v) || isinf(v)) {
        snprintf(text, TEXT_MAX, "%s", isnan(v) ? "NaN" : v > 0 ? "INF" : "-INF");
        return;
    }
    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, TEXT_MAX, "%.*g", digits, v);
        double back = strtod(text, NULL);
        if (back == v || (single && strtof(text, NULL) == (float)v))
            break;
    }
    if (!strpbrk(text, ".e") && strlen(text) + 3 < TEXT_MAX)
        memcpy(text + strlen(text), ".0", 3);
}

static bool is_packed_integer(enum dtype t) {
    return t == DTYPE_INT4 || t == DTYPE_UINT4 || t == DTYPE_INT2 || t == DTYPE_UINT2;
}

static void number_text(const struct tensor *x, int64_t i, char *text) {
    double f = 0;
    int64_t n = 0;
    const char *at = (const char *)x->data + (size_t)i * dtype_size(x->dtype);
    if (x->dtype == DTYPE_BOOL) {
        snprintf(text, TEXT_MAX, "%s", *at ? "True" : "False");
    } else if (dtype_is_integer(x->dtype) || is_packed_integer(x->dtype)) {
        convert_elements(x->dtype, at, DTYPE_INT64, &n, 1, true);
        if (x->dtype == DTYPE_UINT64)
            snprintf(text, TEXT_MAX, "%" PRIu64, (uint64_t)n);
        else
            snprintf(text, TEXT_MAX, "%" PRId64, n);
    } else {
        convert_elements(x->dtype, at, DTYPE_DOUBLE, &f, 1, true);
        float_text(f, x->dtype != DTYPE_DOUBLE, text);
    }
}

static enum status to_strings(struct op_ctx *c, const struct tensor *x, struct tensor *y) {
    struct str *out = y->data;
    for (int64_t i = 0; i < x->count; i++) {
        char text[TEXT_MAX];
        number_text(x, i, text);
        size_t length = strlen(text);
        char *bytes = op_alloc(c, length);
        if (!bytes)
            return op_no_memory(c);
        memcpy(bytes, text, length);
        out[i] = (struct str){bytes, length};
    }
    return STATUS_OK;
}

static enum status from_string(struct op_ctx *c, struct str s, enum dtype to, void *at) {
    char text[TEXT_MAX + 1], *end = NULL;
    if (s.size == 0 || s.size > TEXT_MAX)
        return op_fail(c, "a string of %zu bytes is not a number", s.size);
    memcpy(text, s.data, s.size);
    text[s.size] = '\0';
    errno = 0;
    if (dtype_is_integer(to)) {
        int64_t n = strtoll(text, &end, 10);
        if (*end == '\0' && errno == 0) {
            convert_elements(DTYPE_INT64, &n, to, at, 1, true);
            return STATUS_OK;
        }
    }
    double f = strtod(text, &end);
    if (end == text || *end != '\0')
        return op_fail(c, "a string is not a number");
    float single = strtof(text, NULL);
    /* Not through double: that would round twice. */
    if (to == DTYPE_FLOAT)
        memcpy(at, &single, sizeof single);
    else
        convert_elements(DTYPE_DOUBLE, &f, to, at, 1, true);
    return STATUS_OK;
}

/* FLOAT8E8M0 holds powers of two: the attribute says which one for what lies between two. */
static enum status to_powers(struct op_ctx *c, const struct tensor *x, uint8_t *y, bool saturate) {
    const struct str mode = op_attr_str(c, "round_mode", "up");
    enum half_round round = HALF_UP;
    if (str_is(mode, "down"))
        round = HALF_DOWN;
    else if (str_is(mode, "nearest"))
        round = HALF_NEAREST;
    else if (!str_is(mode, "up"))
        return op_fail(c, "round_mode must be \"up\", \"down\" or \"nearest\"");
    for (int64_t i = 0; i < x->count; i++) {
        float f = 0;
        convert_elements(x->dtype, (const char *)x->data + (size_t)i * dtype_size(x->dtype),
                         DTYPE_FLOAT, &f, 1, true);
        y[i] = half_e8m0_from_float(f, saturate, round);
    }
    return STATUS_OK;
}

static enum status cast_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    if (x->dtype == DTYPE_STRING && y->dtype == DTYPE_STRING)
        return op_view(c, 0, x);
    if (y->dtype == DTYPE_STRING)
        return to_strings(c, x, y);
    if (x->dtype == DTYPE_STRING) {
        for (int64_t i = 0; i < x->count; i++) {
            enum status s = from_string(c, ((const struct str *)x->data)[i], y->dtype,
                                        (char *)y->data + (size_t)i * dtype_size(y->dtype));
            if (s != STATUS_OK)
                return s;
        }
        return STATUS_OK;
    }
    const bool saturate = op_attr_int(c, "saturate", 1) != 0;
    if (y->dtype == DTYPE_FLOAT8E8M0 && x->dtype != DTYPE_FLOAT8E8M0)
        return to_powers(c, x, y->data, saturate);
    convert_elements(x->dtype, x->data, y->dtype, y->data, (size_t)x->count, saturate);
    return STATUS_OK;
}

const struct op_row op_family_cast[] = {
    {.name = "Cast", .since = 6, .infer = cast_infer, .run = cast_run},
    {.name = "CastLike", .since = 15, .infer = cast_like_infer, .run = cast_run},
    OP_END,
};
