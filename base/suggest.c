#include "base/suggest.h"

#include <stdint.h>
#include <string.h>

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

size_t suggest_distance(const char *a, const char *b) {
    size_t rows[3][SUGGEST_LENGTH_MAX + 1];
    size_t *before = rows[0], *last = rows[1], *now = rows[2];
    size_t m = strlen(a), n = strlen(b);
    if (m > SUGGEST_LENGTH_MAX || n > SUGGEST_LENGTH_MAX)
        return SIZE_MAX;
    memset(rows, 0, sizeof rows);
    for (size_t j = 0; j <= n; j++)
        last[j] = j;
    for (size_t i = 1; i <= m; i++) {
        now[0] = i;
        for (size_t j = 1; j <= n; j++) {
            size_t replaced = last[j - 1] + (a[i - 1] != b[j - 1]);
            now[j] = least(replaced, least(last[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], before[j - 2] + 1);
        }
        size_t *free_row = before;
        before = last;
        last = now;
        now = free_row;
    }
    return last[n];
}

struct suggest suggest_begin(const char *word) {
    return (struct suggest){.word = word, .distance = SIZE_MAX};
}

void suggest_offer(struct suggest *suggest, const char *candidate) {
    size_t length = strlen(suggest->word);
    size_t allowed = length >= 9 ? 3 : length >= 5 ? 2 : 1;
    size_t distance = suggest_distance(suggest->word, candidate);
    /* The beginning of a word is no fault of the fingers, and says more than two letters changed.
     */
    if (length >= 2 && strncmp(suggest->word, candidate, length) == 0)
        distance = least(distance, 1);
    if (distance > allowed || distance >= strlen(candidate) || distance >= suggest->distance)
        return;
    suggest->best = candidate;
    suggest->distance = distance;
}
