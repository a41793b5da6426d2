/* Regular expressions in RE2's syntax, matched in time proportional to pattern times text.
 *
 * A pattern becomes a program of simple steps; matching follows all ways through it at once
 * (Thompson, "Regular Expression Search Algorithm", 1968), so no pattern is slow. What RE2 knows
 * and this does not is refused when the pattern is read: Unicode classes (\p{..}), \C, and
 * repetition above 1000. There are no back references, as in RE2.
 *
 * Memory is the caller's: arrays of the two limits below, for a program. Threads: a program is
 * read-only once compiled, the room of a match is its own.
 * Input: patterns and texts are hostile. */
#ifndef ENGINE_OPS_REGEX_H
#define ENGINE_OPS_REGEX_H

#include "engine/model/tensor.h"

#define REGEX_MAX_STEPS 8192
#define REGEX_MAX_RANGES 8192
#define REGEX_MAX_DEPTH 64 /* groups within groups */
#define REGEX_MAX_REPEAT 1000

struct regex_range {
    uint32_t first, last;
};

struct regex_step {
    uint8_t kind;
    bool flag;    /* a class is negated; an assertion too */
    int32_t a, b; /* SPLIT, JUMP: where to go, relative; SET: first range, how many */
};

struct regex {
    struct regex_step *steps;   /* REGEX_MAX_STEPS */
    struct regex_range *ranges; /* REGEX_MAX_RANGES */
    size_t step_count, range_count;
};

/* Compiles into r's arrays. On failure *why is a reason for people. */
MUST_USE bool regex_compile(struct regex *r, struct str pattern, const char **why);
/* How many numbers of room the two functions below need; any content. */
static inline size_t regex_room(const struct regex *r) {
    return 7 * (r->step_count + 1);
}
/* Whether all of the text matches. */
bool regex_matches(const struct regex *r, struct str text, uint32_t *room);
/* The leftmost match that starts at `from` or later, and of those the longest; text.size is at most
 * UINT32_MAX, and `from` is where a code point starts. */
bool regex_find(const struct regex *r, struct str text, size_t from, uint32_t *room, size_t *start,
                size_t *end);

#endif
