/* "did you mean": the word of a list that a mistyped one most likely stands for.
 *
 * The distance is that of optimal string alignment: insertions, deletions, replacements and swaps
 * of neighbours, one each. Words of any origin; nothing is kept. */
#ifndef BASE_SUGGEST_H
#define BASE_SUGGEST_H

#include <stddef.h>

/* Words longer than this are never suggested and get no suggestion. */
#define SUGGEST_LENGTH_MAX 63

struct suggest {
    const char *word; /* what was typed; borrowed */
    const char *best; /* borrowed from who offered it; NULL where nothing is near enough */
    size_t distance;
};

/* Begin, then offer every word that would be right, then read `best`: the nearest, the first of
 * those that are as near. Near enough are words one change away, or two where the typed word has
 * five letters or more, or three from nine on; and words that it begins, from two letters on. */
struct suggest suggest_begin(const char *word);
void suggest_offer(struct suggest *suggest, const char *candidate);

size_t suggest_distance(const char *a, const char *b);

#endif
