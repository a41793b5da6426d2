/* com.microsoft.Tokenizer: strings cut into tokens along a new last axis, as scikit-learn's
 * exporter asks for.
 *
 * Tokens are what `tokenexp` matches, or what lies between matches of `separators` (each in turn;
 * one that is empty cuts between all characters); those of fewer characters than `mincharnum` are
 * left out. `mark` puts a token before the first and one after the last. Rows are filled up with
 * pad_value. Matches are the leftmost longest. */
#include "engine/ops/op.h"
#include "engine/ops/regex.h"
#include "engine/ops/utf8.h"

#define SEPARATORS_MAX 64

struct tokenizer {
    struct regex *expressions;
    size_t count;
    bool by_match, by_character;
};

/* ---- prepare ---- */

static enum status compile(struct op_ctx *c, struct regex *r, struct str pattern) {
    const char *why = NULL;
    r->steps = op_scratch_array(c, REGEX_MAX_STEPS, sizeof *r->steps);
    r->ranges = op_scratch_array(c, REGEX_MAX_RANGES, sizeof *r->ranges);
    if (!r->steps || !r->ranges)
        return op_no_memory(c);
    if (!regex_compile(r, pattern, &why))
        return op_fail(c, "a regular expression of the attributes is not served: %s", why);
    return STATUS_OK;
}

static enum status tokenizer_prepare(struct op_ctx *c) {
    struct regex made[SEPARATORS_MAX] = {0};
    const struct str *patterns = NULL;
    struct str one = op_attr_str(c, "tokenexp", "");
    struct tokenizer t = {.by_match = one.size > 0};
    size_t n = op_attr_strs(c, "separators", &patterns), size = sizeof t;
    if ((n > 0) == t.by_match)
        return op_fail(c, "exactly one of \"tokenexp\" and \"separators\" must be given");
    if (t.by_match) {
        patterns = &one;
        n = 1;
    }
    if (n > SEPARATORS_MAX)
        return op_fail(c, "attribute \"separators\" has %zu values, at most %d are served", n,
                       SEPARATORS_MAX);
    for (size_t i = 0; i < n; i++) {
        if (patterns[i].size == 0) {
            t.by_character = true;
            continue;
        }
        struct regex *r = &made[t.count++];
        enum status s = compile(c, r, patterns[i]);
        if (s != STATUS_OK)
            return s;
        size += sizeof *r + r->step_count * sizeof *r->steps + r->range_count * sizeof *r->ranges;
    }
    struct tokenizer *kept = op_state_new(c, size);
    if (!kept)
        return op_no_memory(c);
    *kept = t;
    kept->expressions = (struct regex *)(void *)(kept + 1);
    char *at = (char *)(kept->expressions + t.count);
    for (size_t i = 0; i < t.count; i++) {
        struct regex *r = &kept->expressions[i];
        *r = made[i];
        r->steps = (struct regex_step *)(void *)at;
        at += r->step_count * sizeof *r->steps;
        r->ranges = (struct regex_range *)(void *)at;
        at += r->range_count * sizeof *r->ranges;
        memcpy(r->steps, made[i].steps, r->step_count * sizeof *r->steps);
        memcpy(r->ranges, made[i].ranges, r->range_count * sizeof *r->ranges);
    }
    return STATUS_OK;
}

/* ---- run ---- */

/* Tokens of one string: counted, and written where `out` is not NULL. */
struct tokens {
    const struct tokenizer *t;
    uint32_t *room;
    int64_t least; /* characters */
    struct str *out;
    size_t count;
};

static void token(struct tokens *k, struct str s) {
    int64_t n = 0;
    for (size_t at = 0; at < s.size && n < k->least; n++)
        (void)utf8_next(s, &at);
    if (s.size == 0 || n < k->least)
        return;
    if (k->out)
        k->out[k->count] = s;
    k->count++;
}

/* What expression `level` and those after it leave of a piece. Recursion is as deep as there are
 * separators, SEPARATORS_MAX at most; it does not hang on the text. */
static void cut(struct tokens *k, struct str s, size_t level) {
    size_t at = 0, from = 0, start = 0, end = 0;
    if (level == k->t->count) {
        if (!k->t->by_character) {
            token(k, s);
            return;
        }
        for (size_t next = 0; next < s.size; at = next) {
            (void)utf8_next(s, &next);
            token(k, (struct str){s.data + at, next - at});
        }
        return;
    }
    const struct regex *r = &k->t->expressions[level];
    while (at < s.size && regex_find(r, s, at, k->room, &start, &end)) {
        if (start == end) { /* nothing was matched: go on after the next character */
            at = start;
            if (at < s.size)
                (void)utf8_next(s, &at);
            else
                break;
            continue;
        }
        if (k->t->by_match)
            token(k, (struct str){s.data + start, end - start});
        else
            cut(k, (struct str){s.data + from, start - from}, level + 1);
        at = from = end;
    }
    if (!k->t->by_match)
        cut(k, (struct str){s.data + from, s.size - from}, level + 1);
}

static enum status tokenizer_infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT(STRING));
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 1, 2);
    return s == STATUS_OK ? op_infer_in_run(c) : s;
}

static enum status tokenizer_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    const struct str *from = x->data;
    struct tokens k = {.t = op_state(c), .least = op_attr_int(c, "mincharnum", 1)};
    struct str pad = op_attr_str(c, "pad_value", "");
    size_t marks = op_attr_int(c, "mark", 0) ? 1 : 0, most = 0, room = 0;
    for (size_t i = 0; i < k.t->count; i++)
        if (regex_room(&k.t->expressions[i]) > room)
            room = regex_room(&k.t->expressions[i]);
    k.room = op_scratch_array(c, room, sizeof *k.room);
    if (!k.room)
        return op_no_memory(c);
    for (int64_t i = 0; i < x->count; i++) {
        if (from[i].size > UINT32_MAX)
            return op_fail(c, "a string of %zu bytes is too long", from[i].size);
        k.count = 0;
        cut(&k, from[i], 0);
        most = k.count > most ? k.count : most;
    }
    size_t width = most ? most + 2 * marks : 0; /* no tokens anywhere: no marks either */
    int64_t dims[3] = {x->dims[0], (int64_t)width, (int64_t)width};
    if (x->rank == 2)
        dims[1] = x->dims[1];
    struct tensor *y = NULL;
    enum status s = op_out_new(c, 0, DTYPE_STRING, x->rank + 1, dims, &y);
    if (s != STATUS_OK || !y || y->count == 0)
        return s;
    for (int64_t i = 0; i < x->count; i++) {
        struct str *row = (struct str *)y->data + (size_t)i * width;
        k.out = row + marks;
        k.count = 0;
        cut(&k, from[i], 0);
        if (marks) {
            row[0] = (struct str){"\002", 1};
            row[k.count + 1] = (struct str){"\003", 1};
        }
        for (size_t n = k.count + 2 * marks; n < width; n++)
            row[n] = pad;
    }
    return STATUS_OK;
}

const struct op_row op_family_tokenizer[] = {
    {.domain = "com.microsoft",
     .name = "Tokenizer",
     .since = 1,
     .infer = tokenizer_infer,
     .run = tokenizer_run,
     .prepare = tokenizer_prepare},
    OP_END,
};
