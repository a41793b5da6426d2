/* Regular expressions, UTF-8 and case, Fourier transforms, sorting. */
#include "engine/ops/fft.h"
#include "engine/ops/regex.h"
#include "engine/ops/sort.h"
#include "engine/ops/utf8.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static struct str text(const char *s) {
    return (struct str){s, strlen(s)};
}

static struct regex_step steps[REGEX_MAX_STEPS];
static struct regex_range ranges[REGEX_MAX_RANGES];
static uint32_t room[7 * (REGEX_MAX_STEPS + 1)];

Test(regex, matches_all_of_a_text_or_nothing) {
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"", "", true},
        {"", "a", false},
        {"abc", "abc", true},
        {"abc", "abcd", false},
        {"a|b|cd", "cd", true},
        {"a|b|cd", "c", false},
        {"(a|b)*c", "ababc", true},
        {"(|a)+", "aaa", true},
        {"((a*)*)*", "aaab", false},
        {"a?", "", true},
        {"a{2,3}", "a", false},
        {"a{2,3}", "aaa", true},
        {"a{2,3}", "aaaa", false},
        {"a{2,}", "aaaaa", true},
        {"a{0}b", "b", true},
        {"a{0,2}b", "aab", true},
        {"(ab){3}", "ababab", true},
        {"(a|bc){2,3}", "bcabc", true},
        {"a{,2}", "a{,2}", true},
        {".", "\n", false},
        {"(?s).", "\n", true},
        {".", "\xc3\xa4", true},
        {"[^a]", "\xe2\x82\xac", true},
        {"[a-c-]+", "a-c", true},
        {"[]a]+", "]a]", true},
        {"[^]a]", "]", false},
        {"\\d+\\s\\w*", "12 a_1", true},
        {"\\D", "1", false},
        {"[\\W\\d]", "1", true},
        {"[[:alpha:]_]+", "ab_", true},
        {"[[:^digit:]]", "1", false},
        {"(?i)stra\xc3\x9f"
         "e",
         "STRA\xc3\x9f"
         "E",
         true},
        {"(?i)\xc3\xa4", "\xc3\x84", true},
        {"(?i:a)b", "AB", false},
        {"(?P<name>x)y", "xy", true},
        {"\\x41\\x{20ac}", "A\xe2\x82\xac", true},
        {"\\.\\*\\\\", ".*\\", true},
        {"a\\b b", "a b", true},
        {"a\\bb", "ab", false},
        {"^a$", "a", true},
        {"a^b", "ab", false},
        {"(?m)a$\n^b", "a\nb", true},
        {"a$\n^b", "a\nb", false},
        {"a+?b*?", "aab", true},
        {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "a.b@gmail.com", true},
        {"(\\W|^)[\\w.\\-]{0,25}@(yahoo|gmail)\\.com(\\W|$)", "a.b@hotmail.com", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct regex r = {.steps = steps, .ranges = ranges};
        const char *why = NULL;
        cr_assert(regex_compile(&r, text(cases[i].pattern), &why), "%s: %s", cases[i].pattern, why);
        cr_expect_eq(regex_matches(&r, text(cases[i].text), room), cases[i].matches, "%s on %s",
                     cases[i].pattern, cases[i].text);
    }
}

Test(regex, refuses_what_it_does_not_know) {
    static const char *const patterns[] = {
        "(",      ")",       "a)",   "[",     "[a",      "[b-a]",           "*",
        "a**",    "\\",      "\\q",  "\\pL",  "\\x4",    "\\x{}",           "\\x{110000}",
        "a{3,2}", "a{1001}", "(?z)", "(?P<n", "[[:x:]]", "(a{1000}){1000}", "[a-\\d]",
    };
    for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
        struct regex r = {.steps = steps, .ranges = ranges};
        const char *why = NULL;
        cr_expect(!regex_compile(&r, text(patterns[i]), &why), "%s", patterns[i]);
        cr_expect_not_null(why, "%s", patterns[i]);
    }
    char deep[2 * REGEX_MAX_DEPTH + 2];
    memset(deep, '(', REGEX_MAX_DEPTH + 1);
    memset(deep + REGEX_MAX_DEPTH + 1, ')', REGEX_MAX_DEPTH + 1);
    struct regex r = {.steps = steps, .ranges = ranges};
    const char *why = NULL;
    cr_expect(!regex_compile(&r, (struct str){deep, sizeof deep}, &why));
}

Test(regex, finds_the_leftmost_longest) {
    static const struct {
        const char *pattern, *text;
        size_t from, start, end; /* start > end: none */
    } cases[] = {
        {"[a-z]+", "12 abc de", 0, 3, 6},
        {"[a-z]+", "12 abc de", 6, 7, 9},
        {"[a-z]+", "12 34", 0, 1, 0},
        {"a|ab|abc", "xabcd", 0, 1, 4},
        {"abc|b", "abd", 0, 1, 2},
        {"abcd|bc", "abce", 0, 1, 3},
        {"x*", "yxx", 0, 0, 0},
        {"\\bb", "ab b", 0, 3, 4},
        {"\\bb", "ab b", 1, 3, 4},
        {"^b", "ab", 1, 1, 0},
        {"b$", "bab", 0, 2, 3},
        {"\xc3\xa4+",
         "a\xc3\xa4\xc3\xa4"
         "b",
         0, 1, 5},
        {"a.*c|b", "abab", 0, 1, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct regex r = {.steps = steps, .ranges = ranges};
        const char *why = NULL;
        size_t start = 99, end = 99;
        cr_assert(regex_compile(&r, text(cases[i].pattern), &why), "%s", cases[i].pattern);
        bool found = regex_find(&r, text(cases[i].text), cases[i].from, room, &start, &end);
        cr_expect_eq(found, cases[i].start <= cases[i].end, "%s", cases[i].pattern);
        if (found)
            cr_expect(start == cases[i].start && end == cases[i].end, "%s: %zu to %zu",
                      cases[i].pattern, start, end);
    }
}

Test(regex, time_does_not_explode) {
    struct regex r = {.steps = steps, .ranges = ranges};
    const char *why = NULL;
    char subject[5000];
    memset(subject, 'a', sizeof subject);
    cr_assert(regex_compile(&r, text("(a|aa|a?a)*(a*)*b"), &why), "%s", why);
    cr_expect(!regex_matches(&r, (struct str){subject, sizeof subject}, room));
}

Test(utf8, gives_back_every_byte) {
    static const char bytes[] =
        "a\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80\xff\xc3(\xed\xa0\x80\xc0\xaf\xe2\x82";
    struct str s = {bytes, sizeof bytes - 1};
    static const uint32_t want[] = {'a', 0xe4, 0x20ac, 0x1f600, UTF8_BAD + 0xff, UTF8_BAD + 0xc3,
                                    '('};
    char back[UTF8_MAX * sizeof bytes];
    size_t at = 0, n = 0, size = 0;
    while (at < s.size) {
        uint32_t c = utf8_next(s, &at);
        if (n < sizeof want / sizeof *want)
            cr_expect_eq(c, want[n], "%zu: %x", n, c);
        else
            cr_expect_geq(c, UTF8_BAD); /* surrogates, overlong, cut short */
        n++;
        size += utf8_put(c, back + size);
    }
    cr_expect_eq(size, s.size);
    cr_expect_eq(memcmp(back, bytes, size), 0);
}

Test(utf8, changes_case) {
    static const uint32_t pairs[][2] = {{'A', 'a'},     {0xc4, 0xe4},   {0x100, 0x101},
                                        {0x178, 0xff},  {0x139, 0x13a}, {0x391, 0x3b1},
                                        {0x410, 0x430}, {0x401, 0x451}, {0x531, 0x561}};
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        cr_expect_eq(utf8_lower(pairs[i][0]), pairs[i][1], "%x", pairs[i][0]);
        cr_expect_eq(utf8_upper(pairs[i][1]), pairs[i][0], "%x", pairs[i][1]);
        cr_expect_eq(utf8_lower(pairs[i][1]), pairs[i][1]);
        cr_expect_eq(utf8_upper(pairs[i][0]), pairs[i][0]);
    }
    static const uint32_t same[] = {'1', '[', '{', 0xd7, 0xf7, 0xdf, 0x20ac, 0x1f600};
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        cr_expect(utf8_lower(same[i]) == same[i] && utf8_upper(same[i]) == same[i]);
}

Test(fft, agrees_with_the_definition_for_any_length) {
    static const size_t lengths[] = {1, 2, 3, 5, 8, 12, 17, 64, 100, 127};
    for (size_t t = 0; t < 2 * sizeof lengths / sizeof *lengths; t++) {
        size_t n = lengths[t / 2];
        bool inverse = t % 2;
        double *memory = malloc(fft_room(n) * sizeof *memory);
        double *x = malloc(2 * n * sizeof *x), *y = malloc(2 * n * sizeof *y);
        struct fft f;
        cr_assert(memory && x && y);
        for (size_t i = 0; i < 2 * n; i++)
            x[i] = y[i] = sin((double)(i * i + 1));
        fft_init(&f, n, inverse, memory);
        for (int again = 0; again < 2; again++) { /* a plan can be used more than once */
            memcpy(y, x, 2 * n * sizeof *y);
            fft_run(&f, y);
        }
        for (size_t k = 0; k < n; k++) {
            double re = 0, im = 0, scale = inverse ? 1 / (double)n : 1;
            for (size_t i = 0; i < n; i++) {
                double a = (inverse ? 2 : -2) * acos(-1) * (double)(i * k % n) / (double)n;
                re += x[2 * i] * cos(a) - x[2 * i + 1] * sin(a);
                im += x[2 * i] * sin(a) + x[2 * i + 1] * cos(a);
            }
            cr_expect_float_eq(y[2 * k], re * scale, 1e-11 * (double)n, "%zu of %zu", k, n);
            cr_expect_float_eq(y[2 * k + 1], im * scale, 1e-11 * (double)n, "%zu of %zu", k, n);
        }
        free(memory);
        free(x);
        free(y);
    }
}

static bool before_tens(const void *ctx, int64_t a, int64_t b) {
    const int *values = ctx;
    return values[a] / 10 < values[b] / 10;
}

Test(sort, is_stable) {
    int values[100];
    int64_t order[100], spare[100];
    for (int n = 0; n <= 100; n++) {
        for (int i = 0; i < n; i++) {
            values[i] = i * 7919 % 101;
            order[i] = i;
        }
        sort_positions(order, spare, (size_t)n, before_tens, values);
        for (int i = 1; i < n; i++) {
            int a = values[order[i - 1]] / 10, b = values[order[i]] / 10;
            cr_expect(a < b || (a == b && order[i - 1] < order[i]));
        }
    }
}
