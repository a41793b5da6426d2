#include "engine/ops/regex.h"

#include "engine/ops/utf8.h"

#include <string.h>

/* Steps fall through to the next one; the end of the program is success. Jumps are relative, so
 * that a piece of program can be moved and copied. */
enum kind {
    SET,      /* one code point in ranges[a..a+b) */
    SPLIT,    /* go on at +a and at +b */
    JUMP,     /* go on at +a */
    AT_START, /* before the text, or a line of it where `flag` */
    AT_END,
    AT_WORD, /* at the edge of a word; not at one where `flag` */
};

/* ---- parsing ---- */

struct flags {
    bool fold, lines, dot_all;
};

struct group {
    size_t start, branch; /* where the group, and its last alternative, begin */
    int32_t exits;        /* the last of the JUMPs out of alternatives, linked by their `a`; -1 */
    struct flags flags;
};

struct parser {
    struct regex *r;
    struct str text;
    size_t at;
    const char *why;
    struct group groups[REGEX_MAX_DEPTH];
    size_t depth;
    struct flags flags;
};

static bool fail(struct parser *p, const char *why) {
    p->why = why;
    return false;
}

static bool emit(struct parser *p, enum kind kind, bool flag, int32_t a, int32_t b) {
    if (p->r->step_count == REGEX_MAX_STEPS)
        return fail(p, "it is too long");
    p->r->steps[p->r->step_count++] = (struct regex_step){(uint8_t)kind, flag, a, b};
    return true;
}

/* Makes room for one step in front of the piece that starts at `at` and ends the program. */
static bool insert(struct parser *p, size_t at, enum kind kind, int32_t a, int32_t b) {
    if (!emit(p, kind, false, a, b))
        return false;
    struct regex_step *s = p->r->steps;
    memmove(s + at + 1, s + at, (p->r->step_count - 1 - at) * sizeof *s);
    s[at] = (struct regex_step){(uint8_t)kind, false, a, b};
    return true;
}

static bool add_range(struct parser *p, uint32_t first, uint32_t last) {
    if (p->r->range_count == REGEX_MAX_RANGES)
        return fail(p, "its classes are too long");
    p->r->ranges[p->r->range_count++] = (struct regex_range){first, last};
    return true;
}

/* A range, and under `fold` the other case of each of its letters. Wide ranges have both cases. */
static bool add_folded(struct parser *p, uint32_t first, uint32_t last) {
    bool ok = add_range(p, first, last);
    if (!p->flags.fold || last - first > 0x400)
        return ok;
    for (uint32_t c = first; ok && c <= last; c++) {
        uint32_t lower = utf8_lower(c), upper = utf8_upper(c);
        if (lower != c)
            ok = add_range(p, lower, lower);
        if (ok && upper != c)
            ok = add_range(p, upper, upper);
    }
    return ok;
}

static const struct regex_range digits[] = {{'0', '9'}};
static const struct regex_range spaces[] = {{'\t', '\n'}, {'\f', '\r'}, {' ', ' '}};
static const struct regex_range words[] = {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}};

/* All that the n ascending ranges leave out. */
static bool add_others(struct parser *p, const struct regex_range *list, size_t n) {
    uint32_t from = 0;
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++) {
        if (list[i].first > from)
            ok = add_range(p, from, list[i].first - 1);
        from = list[i].last + 1;
    }
    return ok && add_range(p, from, UINT32_MAX);
}

static bool add_list(struct parser *p, const struct regex_range *list, size_t n, bool others) {
    if (others)
        return add_others(p, list, n);
    bool ok = true;
    for (size_t i = 0; ok && i < n; i++)
        ok = add_range(p, list[i].first, list[i].last);
    return ok;
}

/* \d \s \w and their negations; false where c is none of them (*known says which). */
static bool add_perl(struct parser *p, uint32_t c, bool *known) {
    bool others = c < 'a';
    *known = true;
    switch (c) {
    case 'd':
    case 'D':
        return add_list(p, digits, 1, others);
    case 's':
    case 'S':
        return add_list(p, spaces, 3, others);
    case 'w':
    case 'W':
        return add_list(p, words, 4, others);
    default:
        *known = false;
        return true;
    }
}

static bool more(const struct parser *p) {
    return p->at < p->text.size;
}

static bool take(struct parser *p, const char *text) {
    size_t n = strlen(text);
    if (p->text.size - p->at < n || memcmp(p->text.data + p->at, text, n) != 0)
        return false;
    p->at += n;
    return true;
}

static int hex(char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* \xHH, \x{H...}: past the x. */
static bool escape_hex(struct parser *p, uint32_t *out) {
    bool braces = take(p, "{");
    uint32_t v = 0;
    int n = 0;
    for (; more(p) && (braces ? n < 6 : n < 2) && hex(p->text.data[p->at]) >= 0; n++)
        v = v * 16 + (uint32_t)hex(p->text.data[p->at++]);
    if (n == 0 || (!braces && n != 2) || (braces && !take(p, "}")) || v > 0x10ffff)
        return fail(p, "a \\x in it is not a character");
    *out = v;
    return true;
}

/* A character after a backslash that stands for itself or for a control character. */
static bool escape_char(struct parser *p, uint32_t c, uint32_t *out) {
    static const char names[] = "tnrfva", codes[] = "\t\n\r\f\v\a";
    const char *at = c && c < 0x80 ? strchr(names, (int)c) : NULL;
    if (c == 'x')
        return escape_hex(p, out);
    if (at) {
        *out = (uint32_t)codes[at - names];
        return true;
    }
    if (c < 0x80 && utf8_is_word(c) && c != '_')
        return fail(p, "it has an escape that is not known");
    *out = c;
    return true;
}

/* [:alpha:] inside a class; *known says whether there was one. */
static bool add_posix(struct parser *p, bool *known) {
    static const struct {
        const char *name;
        struct regex_range list[4];
        size_t n;
    } sets[] = {
        {"alnum", {{'0', '9'}, {'A', 'Z'}, {'a', 'z'}}, 3},
        {"alpha", {{'A', 'Z'}, {'a', 'z'}}, 2},
        {"ascii", {{0, 127}}, 1},
        {"blank", {{'\t', '\t'}, {' ', ' '}}, 2},
        {"cntrl", {{0, 31}, {127, 127}}, 2},
        {"digit", {{'0', '9'}}, 1},
        {"graph", {{'!', '~'}}, 1},
        {"lower", {{'a', 'z'}}, 1},
        {"print", {{' ', '~'}}, 1},
        {"punct", {{'!', '/'}, {':', '@'}, {'[', '`'}, {'{', '~'}}, 4},
        {"space", {{'\t', '\r'}, {' ', ' '}}, 2},
        {"upper", {{'A', 'Z'}}, 1},
        {"word", {{'0', '9'}, {'A', 'Z'}, {'_', '_'}, {'a', 'z'}}, 4},
        {"xdigit", {{'0', '9'}, {'A', 'F'}, {'a', 'f'}}, 3},
    };
    *known = false;
    if (!take(p, "[:"))
        return true;
    bool others = take(p, "^");
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++) {
        size_t at = p->at;
        if (take(p, sets[i].name) && take(p, ":]")) {
            *known = true;
            return add_list(p, sets[i].list, sets[i].n, others);
        }
        p->at = at;
    }
    return fail(p, "it has a [: :] class that is not known");
}

/* One character of a class, or a perl class (then *set). */
static bool class_item(struct parser *p, uint32_t *c, bool *set) {
    *set = false;
    *c = utf8_next(p->text, &p->at);
    if (*c != '\\')
        return true;
    if (!more(p))
        return fail(p, "it ends in a backslash");
    *c = utf8_next(p->text, &p->at);
    return add_perl(p, *c, set) && (*set || escape_char(p, *c, c));
}

static bool class_of(struct parser *p) {
    size_t first = p->r->range_count;
    bool others = take(p, "^");
    for (bool start = true;; start = false) {
        bool known = false, set = false;
        uint32_t from = 0, to = 0;
        if (!more(p))
            return fail(p, "a [ in it is not closed");
        if (!start && take(p, "]"))
            break;
        if (!add_posix(p, &known))
            return false;
        if (known)
            continue;
        if (!class_item(p, &from, &set))
            return false;
        if (set)
            continue;
        to = from;
        bool range = p->text.size - p->at >= 2 && p->text.data[p->at] == '-' &&
                     p->text.data[p->at + 1] != ']';
        if (range) {
            p->at++;
            if (!class_item(p, &to, &set))
                return false;
            if (set || to < from)
                return fail(p, "a range in a class of it runs backwards");
        }
        if (!add_folded(p, from, to))
            return false;
    }
    return emit(p, SET, others, (int32_t)first, (int32_t)(p->r->range_count - first));
}

static bool one_char(struct parser *p, uint32_t c) {
    size_t first = p->r->range_count;
    return add_folded(p, c, c) &&
           emit(p, SET, false, (int32_t)first, (int32_t)(p->r->range_count - first));
}

static bool dot(struct parser *p) {
    static const struct regex_range newline[] = {{'\n', '\n'}};
    size_t first = p->r->range_count;
    bool ok = p->flags.dot_all ? add_range(p, 0, UINT32_MAX) : add_others(p, newline, 1);
    return ok && emit(p, SET, false, (int32_t)first, (int32_t)(p->r->range_count - first));
}

/* After a backslash outside a class. */
static bool escape(struct parser *p) {
    bool known = false;
    size_t first = p->r->range_count;
    if (!more(p))
        return fail(p, "it ends in a backslash");
    uint32_t c = utf8_next(p->text, &p->at);
    if (c == 'A')
        return emit(p, AT_START, false, 0, 0);
    if (c == 'z')
        return emit(p, AT_END, false, 0, 0);
    if (c == 'b' || c == 'B')
        return emit(p, AT_WORD, c == 'B', 0, 0);
    if (!add_perl(p, c, &known))
        return false;
    if (known)
        return emit(p, SET, false, (int32_t)first, (int32_t)(p->r->range_count - first));
    return escape_char(p, c, &c) && one_char(p, c);
}

/* ---- groups ---- */

/* (?i) (?ims-s:...) (?P<name>...): past "(?". Sets *opens where a group begins. */
static bool group_head(struct parser *p, struct flags *flags, bool *opens) {
    *opens = true;
    if (take(p, "P<") || take(p, "<")) {
        while (more(p) && utf8_is_word((uint8_t)p->text.data[p->at]))
            p->at++;
        return take(p, ">") || fail(p, "the name of a group in it is not closed");
    }
    bool value = true;
    while (more(p)) {
        char c = p->text.data[p->at++];
        if (c == ':')
            return true;
        if (c == ')') {
            *opens = false;
            return true;
        }
        if (c == '-' && value)
            value = false;
        else if (c == 'i')
            flags->fold = value;
        else if (c == 'm')
            flags->lines = value;
        else if (c == 's')
            flags->dot_all = value;
        else if (c != 'U') /* lazy or not is all one to a whole match */
            break;
    }
    return fail(p, "it has a kind of group that is not known");
}

static bool group_open(struct parser *p) {
    struct flags inner = p->flags;
    bool opens = true;
    if (take(p, "?") && !group_head(p, &inner, &opens))
        return false;
    if (!opens) {
        p->flags = inner;
        return true;
    }
    if (p->depth == REGEX_MAX_DEPTH)
        return fail(p, "its groups are too deep");
    p->groups[p->depth++] = (struct group){p->r->step_count, p->r->step_count, -1, p->flags};
    p->flags = inner;
    return true;
}

/* The alternative that was read is one way, what follows another. */
static bool alternative(struct parser *p) {
    struct group *g = &p->groups[p->depth - 1];
    size_t length = p->r->step_count - g->branch;
    if (!insert(p, g->branch, SPLIT, 1, (int32_t)(length + 2)) ||
        !emit(p, JUMP, false, g->exits, 0))
        return false;
    g->exits = (int32_t)(p->r->step_count - 1);
    g->branch = p->r->step_count;
    return true;
}

static size_t group_close(struct parser *p) {
    struct group *g = &p->groups[--p->depth];
    for (int32_t i = g->exits; i >= 0;) {
        int32_t before = p->r->steps[i].a;
        p->r->steps[i].a = (int32_t)p->r->step_count - i;
        i = before;
    }
    p->flags = g->flags;
    return g->start;
}

/* ---- repetition ---- */

static bool copy(struct parser *p, size_t start, size_t length) {
    if (REGEX_MAX_STEPS - p->r->step_count < length)
        return fail(p, "it is too long");
    memcpy(p->r->steps + p->r->step_count, p->r->steps + start, length * sizeof *p->r->steps);
    p->r->step_count += length;
    return true;
}

/* The piece from `start` on, `least` to `most` times; most -1: without end. */
static bool repeat(struct parser *p, size_t start, int least, int most) {
    size_t length = p->r->step_count - start;
    if (most == 0) {
        p->r->step_count = start;
        return true;
    }
    if (least == 0 && most < 0)
        return insert(p, start, SPLIT, 1, (int32_t)(length + 2)) &&
               emit(p, JUMP, false, -(int32_t)(length + 1), 0);
    bool ok = true;
    for (int i = 1; ok && i < least; i++)
        ok = copy(p, start, length);
    if (ok && most < 0)
        return emit(p, SPLIT, false, -(int32_t)length, 1);
    size_t once = start;
    if (ok && least == 0)
        ok = insert(p, start, SPLIT, 1, (int32_t)(length + 1));
    for (int i = least ? least : 1; ok && i < most; i++) {
        if (least == 0) {
            ok = copy(p, once, length + 1);
        } else {
            ok = emit(p, SPLIT, false, 1, (int32_t)(length + 1)) && copy(p, once, length);
        }
    }
    return ok;
}

/* {n} {n,} {n,m}: false, with nothing taken, where it is not one (then it is text). */
static bool braces(struct parser *p, int *least, int *most) {
    size_t start = p->at;
    int values[2] = {-1, -1};
    bool comma = false;
    for (p->at++; more(p); p->at++) {
        char c = p->text.data[p->at];
        int *v = &values[comma];
        if (c >= '0' && c <= '9') {
            *v = (*v < 0 ? 0 : *v) * 10 + (c - '0');
            if (*v > REGEX_MAX_REPEAT + 1)
                *v = REGEX_MAX_REPEAT + 1;
        } else if (c == ',' && !comma && values[0] >= 0) {
            comma = true;
        } else {
            break;
        }
    }
    if (values[0] < 0 || !take(p, "}")) {
        p->at = start;
        return false;
    }
    *least = values[0];
    *most = comma ? values[1] : values[0];
    return true;
}

/* A * + ? or {} after the piece from `start` on, if there is one. */
static bool quantifier(struct parser *p, size_t start, bool *found) {
    int least = 0, most = -1;
    *found = true;
    if (take(p, "*")) {
        least = 0;
    } else if (take(p, "+")) {
        least = 1;
    } else if (take(p, "?")) {
        most = 1;
    } else if (!more(p) || p->text.data[p->at] != '{' || !braces(p, &least, &most)) {
        *found = false;
        return true;
    }
    take(p, "?"); /* lazy: all one to a whole match */
    if (least > REGEX_MAX_REPEAT || most > REGEX_MAX_REPEAT || (most >= 0 && most < least))
        return fail(p, "a repetition in it is out of range");
    return repeat(p, start, least, most);
}

/* One piece; *start is where its program begins. */
static bool piece(struct parser *p, size_t *start, bool *repeatable) {
    *start = p->r->step_count;
    *repeatable = true;
    uint32_t c = utf8_next(p->text, &p->at);
    switch (c) {
    case '(':
        *repeatable = false;
        return group_open(p);
    case ')':
        if (p->depth == 1)
            return fail(p, "a ) in it has no (");
        *start = group_close(p);
        return true;
    case '|':
        *repeatable = false;
        return alternative(p);
    case '[':
        return class_of(p);
    case '.':
        return dot(p);
    case '^':
        return emit(p, AT_START, p->flags.lines, 0, 0);
    case '$':
        return emit(p, AT_END, p->flags.lines, 0, 0);
    case '\\':
        return escape(p);
    case '*':
    case '+':
    case '?':
        return fail(p, "a repetition in it has nothing to repeat");
    default:
        return one_char(p, c);
    }
}

bool regex_compile(struct regex *r, struct str pattern, const char **why) {
    struct parser p = {.r = r, .text = pattern, .depth = 1};
    r->step_count = r->range_count = 0;
    p.groups[0] = (struct group){.exits = -1};
    bool ok = true;
    while (ok && more(&p)) {
        size_t start = 0;
        bool repeatable = false, found = false;
        ok = piece(&p, &start, &repeatable);
        if (ok && repeatable)
            ok = quantifier(&p, start, &found);
        if (ok && found && more(&p) && memchr("*+?", p.text.data[p.at], 3))
            ok = fail(&p, "a repetition in it is repeated");
    }
    if (ok && p.depth != 1)
        ok = fail(&p, "a ( in it is not closed");
    if (ok)
        group_close(&p);
    *why = p.why;
    return ok;
}

/* ---- matching ---- */

struct place {
    struct str text;
    size_t at;
    uint32_t before, after; /* code points around it; UINT32_MAX at the ends */
};

static bool assertion(const struct regex_step *s, const struct place *w) {
    bool start = w->before == UINT32_MAX, end = w->after == UINT32_MAX;
    switch (s->kind) {
    case AT_START:
        return start || (s->flag && w->before == '\n');
    case AT_END:
        return end || (s->flag && w->after == '\n');
    default:
        return (utf8_is_word(w->before) != utf8_is_word(w->after)) != s->flag;
    }
}

static bool in_set(const struct regex *r, const struct regex_step *s, uint32_t c) {
    for (int32_t i = 0; i < s->b; i++)
        if (c >= r->ranges[s->a + i].first && c <= r->ranges[s->a + i].last)
            return !s->flag;
    return s->flag;
}

/* A set of SET steps, each with where its match began, and which steps were seen on the way (a
 * stamp for each). */
struct threads_set {
    uint32_t *list, *start, *stack, *seen;
    size_t count;
    uint32_t stamp;
    bool end; /* the end of the program was reached */
};

/* Adds all that can be reached from `from` without reading a character. Steps that are in the set
 * already stay as they are: what was added first counts. */
static void follow(const struct regex *r, struct threads_set *t, size_t from, uint32_t start,
                   const struct place *w) {
    size_t depth = 0;
    t->stack[depth++] = (uint32_t)from;
    while (depth > 0) {
        size_t i = t->stack[--depth];
        if (i == r->step_count) {
            t->end = true;
            continue;
        }
        if (t->seen[i] == t->stamp)
            continue;
        t->seen[i] = t->stamp;
        const struct regex_step *s = &r->steps[i];
        if (s->kind == SET) {
            t->start[t->count] = start;
            t->list[t->count++] = (uint32_t)i;
        } else if (s->kind == SPLIT || s->kind == JUMP) {
            t->stack[depth++] = (uint32_t)((int64_t)i + s->a);
        } else if (assertion(s, w)) {
            t->stack[depth++] = (uint32_t)(i + 1);
        }
        if (s->kind == SPLIT)
            t->stack[depth++] = (uint32_t)((int64_t)i + s->b);
    }
}

/* Lays out regex_room's numbers: a step is expanded once for each character, so 2n + 1 places of
 * stack are enough. `other` receives a second list. */
static struct threads_set set_new(size_t n, uint32_t *room, struct threads_set *other) {
    struct threads_set t = {
        .list = room, .start = room + n, .seen = room + 2 * n, .stack = room + 5 * n, .stamp = 1};
    other->list = room + 3 * n;
    other->start = room + 4 * n;
    memset(t.seen, 0, n * sizeof *t.seen);
    return t;
}

/* Empties the set for the next character; the old one's lists go to `old`. */
static void set_turn(struct threads_set *t, struct threads_set *old) {
    uint32_t *list = t->list, *start = t->start;
    t->list = old->list;
    t->start = old->start;
    old->list = list;
    old->start = start;
    old->count = t->count;
    t->count = 0;
    t->end = false;
    t->stamp++;
}

bool regex_matches(const struct regex *r, struct str text, uint32_t *room) {
    struct threads_set old = {0}, now = set_new(r->step_count, room, &old);
    struct place w = {.text = text, .before = UINT32_MAX, .after = UINT32_MAX};
    size_t at = 0;
    uint32_t c = text.size ? utf8_next(text, &at) : UINT32_MAX;
    w.after = c;
    follow(r, &now, 0, 0, &w);
    while (c != UINT32_MAX && now.count > 0) {
        uint32_t after = at < text.size ? utf8_next(text, &at) : UINT32_MAX;
        set_turn(&now, &old);
        w.before = c;
        w.after = after;
        for (size_t i = 0; i < old.count; i++)
            if (in_set(r, &r->steps[old.list[i]], c))
                follow(r, &now, old.list[i] + 1, 0, &w);
        c = after;
    }
    return c == UINT32_MAX && now.end;
}

static uint32_t code_before(struct str text, size_t at) {
    size_t p = at;
    uint32_t c = UINT32_MAX;
    for (int i = 0; i < UTF8_MAX && p > 0; i++) {
        size_t end = --p;
        if (((uint8_t)text.data[p] & 0xc0) != 0x80 || i == UTF8_MAX - 1) {
            c = utf8_next(text, &end);
            break;
        }
    }
    return c;
}

/* Matches that begin earlier come first in the set, so they win where ways meet. */
bool regex_find(const struct regex *r, struct str text, size_t from, uint32_t *room, size_t *start,
                size_t *end) {
    struct threads_set old = {0}, now = set_new(r->step_count, room, &old);
    struct place w = {.text = text, .before = code_before(text, from)};
    bool found = false;
    size_t here = from, at = from; /* at: past the code point that starts here */
    for (;;) {
        uint32_t c = here < text.size ? utf8_next(text, &at) : UINT32_MAX;
        w.after = c;
        /* the threads that read the last code point, then a new one that begins here */
        for (size_t i = 0; i < old.count; i++) {
            if (found && old.start[i] > *start)
                break;
            if (!in_set(r, &r->steps[old.list[i]], w.before))
                continue;
            now.end = false;
            follow(r, &now, old.list[i] + 1, old.start[i], &w);
            if (now.end) {
                found = true;
                *start = old.start[i];
                *end = here;
            }
        }
        if (!found) {
            now.end = false;
            follow(r, &now, 0, (uint32_t)here, &w);
            if (now.end) {
                found = true;
                *start = *end = here;
            }
        }
        if (c == UINT32_MAX || (now.count == 0 && found))
            return found;
        set_turn(&now, &old);
        w.before = c;
        here = at;
    }
}
