/* StringNormalizer, StringConcat, StringSplit, RegexFullMatch.
 *
 * New strings are made in memory that lives as long as the outputs; pieces of an input are shared
 * with it. */
#include "engine/ops/broadcast.h"
#include "engine/ops/op.h"
#include "engine/ops/regex.h"
#include "engine/ops/utf8.h"

/* ---- StringNormalizer: stop words left out, then one case for all ---- */

enum case_action { CASE_NONE, CASE_LOWER, CASE_UPPER };

static enum status case_of(struct op_ctx *c, enum case_action *out) {
    struct str s = op_attr_str(c, "case_change_action", "NONE");
    if (!str_is(s, "NONE") && !str_is(s, "LOWER") && !str_is(s, "UPPER"))
        return op_fail(c,
                       "attribute \"case_change_action\" is \"%.*s\", must be LOWER, UPPER or "
                       "NONE",
                       (int)(s.size < 32 ? s.size : 32), s.data);
    *out = str_is(s, "LOWER") ? CASE_LOWER : str_is(s, "UPPER") ? CASE_UPPER : CASE_NONE;
    return STATUS_OK;
}

static enum status normalizer_infer(struct op_ctx *c) {
    enum case_action action = CASE_NONE;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(STRING));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, 2);
    if (s == STATUS_OK)
        s = case_of(c, &action);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    if (x->rank == 2 && x->dims[0] != 1)
        return op_fail(c, "input has %lld rows, must have one", (long long)x->dims[0]);
    return op_infer_in_run(c);
}

static bool same_folded(struct str a, struct str b) {
    size_t i = 0, k = 0;
    while (i < a.size && k < b.size)
        if (utf8_lower(utf8_next(a, &i)) != utf8_lower(utf8_next(b, &k)))
            return false;
    return i == a.size && k == b.size;
}

static enum status change_case(struct op_ctx *c, enum case_action action, struct str from,
                               struct str *out) {
    size_t room = 0, n = 0;
    if (action == CASE_NONE) {
        *out = from;
        return STATUS_OK;
    }
    if (!checked_mul(from.size, UTF8_MAX, &room))
        return op_no_memory(c);
    char *to = op_alloc(c, room);
    if (!to)
        return op_no_memory(c);
    for (size_t i = 0; i < from.size;) {
        uint32_t ch = utf8_next(from, &i);
        n += utf8_put(action == CASE_LOWER ? utf8_lower(ch) : utf8_upper(ch), to + n);
    }
    *out = (struct str){to, n};
    return STATUS_OK;
}

static enum status normalizer_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    const struct str *from = x->data, *stop = NULL;
    size_t stops = op_attr_strs(c, "stopwords", &stop);
    bool exact = op_attr_int(c, "is_case_sensitive", 0) != 0;
    enum case_action action = CASE_NONE;
    enum status s = case_of(c, &action);
    bool *keep = op_scratch_array(c, (size_t)x->count, sizeof *keep);
    if (s != STATUS_OK)
        return s;
    if (!keep)
        return op_no_memory(c);
    int64_t kept = 0;
    for (int64_t i = 0; i < x->count; i++) {
        keep[i] = true;
        for (size_t k = 0; keep[i] && k < stops; k++)
            keep[i] = exact ? !str_equal(from[i], stop[k]) : !same_folded(from[i], stop[k]);
        kept += keep[i];
    }
    /* nothing left: one empty string */
    int64_t n = kept ? kept : 1, dims[2] = {1, n};
    struct tensor *y = NULL;
    s = op_out_new(c, 0, DTYPE_STRING, x->rank, x->rank == 1 ? &n : dims, &y);
    if (s != STATUS_OK || !y)
        return s;
    struct str *to = y->data;
    to[0] = (struct str){"", 0};
    for (int64_t i = 0; s == STATUS_OK && i < x->count; i++)
        if (keep[i])
            s = change_case(c, action, from[i], to++);
    return s;
}

/* ---- StringConcat ---- */

static enum status concat_infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(STRING));
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT(STRING));
    if (s == STATUS_OK)
        s = broadcast_infer(c, 2, DTYPE_STRING);
    return s;
}

static enum status join(struct op_ctx *c, struct str a, struct str b, struct str *out) {
    size_t n = 0;
    if (!checked_add(a.size, b.size, &n))
        return op_no_memory(c);
    char *to = op_alloc(c, n);
    if (!to)
        return op_no_memory(c);
    if (a.size)
        memcpy(to, a.data, a.size);
    if (b.size)
        memcpy(to + a.size, b.data, b.size);
    *out = (struct str){to, n};
    return STATUS_OK;
}

static enum status concat_run(struct op_ctx *c) {
    const struct tensor *in[2] = {op_in(c, 0), op_in(c, 1)};
    const struct str *a = in[0]->data, *b = in[1]->data;
    struct tensor *y = op_out(c, 0);
    struct broadcast plan;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = STATUS_OK;
    struct str *to = y->data;
    broadcast_plan(&plan, y, in, 2);
    for (int64_t row = 0; row < plan.rows; row++) {
        int64_t at[BROADCAST_MAX];
        broadcast_row(&plan, row, at);
        for (int64_t i = 0; s == STATUS_OK && i < plan.inner; i++)
            s = join(c, a[at[0] + i * plan.inner_stride[0]], b[at[1] + i * plan.inner_stride[1]],
                     to++);
    }
    return s;
}

/* ---- StringSplit: as Python's str.split ---- */

static bool is_space(char ch) {
    return ch == ' ' || (ch >= '\t' && ch <= '\r');
}

/* The next piece of *rest, cut off it; false where nothing is left. `whole`: all of the rest. */
static bool next_piece(struct str *rest, struct str delimiter, bool whole, struct str *out) {
    const char *p = rest->data;
    size_t n = rest->size, at = 0;
    if (delimiter.size == 0) {
        while (n > 0 && is_space(*p))
            p++, n--;
        if (n == 0)
            return false;
        while (at < n && (whole || !is_space(p[at])))
            at++;
        *out = (struct str){p, at};
        *rest = (struct str){p + at, n - at};
        return true;
    }
    if (!p) /* the last piece was taken */
        return false;
    const char *hit = whole || n == 0 ? NULL : memmem(p, n, delimiter.data, delimiter.size);
    if (!hit) {
        *out = *rest;
        *rest = (struct str){NULL, 0};
        return true;
    }
    at = (size_t)(hit - p);
    *out = (struct str){p, at};
    *rest = (struct str){hit + delimiter.size, n - at - delimiter.size};
    return true;
}

static int64_t pieces_of(struct str s, struct str delimiter, int64_t most, struct str *out) {
    struct str rest = {s.data ? s.data : "", s.size}, piece;
    int64_t n = 0;
    while (next_piece(&rest, delimiter, n == most, &piece)) {
        if (out)
            out[n] = piece;
        n++;
    }
    return n;
}

static enum status split_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(STRING));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 0, TENSOR_MAX_RANK - 1);
    return s == STATUS_OK ? op_infer_in_run(c) : s;
}

static enum status split_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    const struct str *from = x->data;
    struct str delimiter = op_attr_str(c, "delimiter", "");
    int64_t most = op_attr_has(c, "maxsplit") ? op_attr_int(c, "maxsplit", 0) : INT64_MAX;
    int64_t width = 0, dims[TENSOR_MAX_RANK];
    struct tensor *y = NULL, *counts = NULL;
    if (most < 0)
        most = INT64_MAX;
    for (int64_t i = 0; i < x->count; i++) {
        int64_t n = pieces_of(from[i], delimiter, most, NULL);
        width = n > width ? n : width;
    }
    for (int i = 0; i < x->rank; i++)
        dims[i] = x->dims[i];
    dims[x->rank] = width;
    enum status s = op_out_new(c, 0, DTYPE_STRING, x->rank + 1, dims, &y);
    if (s == STATUS_OK)
        s = op_out_new(c, 1, DTYPE_INT64, x->rank, dims, &counts);
    if (s != STATUS_OK)
        return s;
    for (int64_t i = 0; i < x->count; i++) {
        struct str *to = y ? (struct str *)y->data + i * width : NULL;
        int64_t n = pieces_of(from[i], delimiter, most, to);
        for (int64_t k = n; to && k < width; k++)
            to[k] = (struct str){"", 0};
        if (counts)
            ((int64_t *)counts->data)[i] = n;
    }
    return STATUS_OK;
}

/* ---- RegexFullMatch ---- */

static enum status regex_prepare(struct op_ctx *c) {
    struct str pattern = op_attr_str(c, "pattern", "");
    const char *why = NULL;
    struct regex r = {
        .steps = op_scratch_array(c, REGEX_MAX_STEPS, sizeof *r.steps),
        .ranges = op_scratch_array(c, REGEX_MAX_RANGES, sizeof *r.ranges),
    };
    if (!r.steps || !r.ranges)
        return op_no_memory(c);
    if (!regex_compile(&r, pattern, &why))
        return op_fail(c, "attribute \"pattern\" is not a regular expression that is served: %s",
                       why);
    /* now that the size is known, a copy that lives as long as the model */
    size_t steps = r.step_count * sizeof *r.steps, ranges = r.range_count * sizeof *r.ranges;
    struct regex *kept = op_state_new(c, sizeof *kept + steps + ranges);
    if (!kept)
        return op_no_memory(c);
    *kept = r;
    kept->steps = (struct regex_step *)(void *)(kept + 1);
    kept->ranges = (struct regex_range *)(void *)((char *)(kept + 1) + steps);
    memcpy(kept->steps, r.steps, steps);
    memcpy(kept->ranges, r.ranges, ranges);
    return STATUS_OK;
}

static enum status regex_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(STRING));
    if (s == STATUS_OK)
        s = op_infer(c, 0, DTYPE_BOOL, op_in(c, 0)->rank, op_in(c, 0)->dims);
    return s;
}

static enum status regex_run(struct op_ctx *c) {
    const struct regex *r = op_state(c);
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    uint32_t *room = op_scratch_array(c, regex_room(r), sizeof *room);
    if (!room)
        return op_no_memory(c);
    for (int64_t i = 0; i < x->count; i++)
        ((uint8_t *)y->data)[i] = regex_matches(r, ((const struct str *)x->data)[i], room);
    return STATUS_OK;
}

const struct op_row op_family_strings[] = {
    {.name = "StringNormalizer", .since = 10, .infer = normalizer_infer, .run = normalizer_run},
    {.name = "StringConcat", .since = 20, .infer = concat_infer, .run = concat_run},
    {.name = "StringSplit", .since = 20, .infer = split_infer, .run = split_run},
    {.name = "RegexFullMatch",
     .since = 20,
     .infer = regex_infer,
     .run = regex_run,
     .prepare = regex_prepare},
    OP_END,
};
