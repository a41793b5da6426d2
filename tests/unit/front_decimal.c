/* Numbers between decimal and binary: always the nearest, always the shortest, both ways. What is
 * right is what the C library makes of the same text. */
#include "server/front/decimal_exact.h"
#include "server/front/decimal_powers.h"
#include "server/front/decimal_shortest.h"
#include "server/front/json_reader.h"

#include <criterion/criterion.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The sanitizers make the C library's conversions slow; there a sample is enough. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define MILLION 100000
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define MILLION 100000
#endif
#ifndef MILLION
#define MILLION 1000000
#endif

static uint64_t state = 88172645463325252u;
static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static float float_of(uint32_t bits) {
    float f;
    memcpy(&f, &bits, sizeof f);
    return f;
}

static double double_of(uint64_t bits) {
    double d;
    memcpy(&d, &bits, sizeof d);
    return d;
}

static struct json_number number_of(const char *text) {
    struct json_reader r = json_reader_of(text, strlen(text));
    struct json_number n = {0};
    struct error error;
    cr_assert_eq(json_reader_number(&r, &n, &error), STATUS_OK, "%s: %s", text, error.message);
    cr_assert_eq(n.size, strlen(text), "%s", text);
    return n;
}

/* Read as float and double, bit by bit what the C library reads; out of range where it says
 * infinity. */
static void check_read(const char *text) {
    struct json_number n = number_of(text);
    float narrow = 7, wanted_narrow = strtof(text, NULL);
    double wide = 7, wanted_wide = strtod(text, NULL);
    cr_assert_eq(json_number_f32(&n, &narrow), isfinite(wanted_narrow) != 0, "%s", text);
    cr_assert_eq(json_number_f64(&n, &wide), isfinite(wanted_wide) != 0, "%s", text);
    if (!isfinite(wanted_narrow))
        wanted_narrow = 7; /* untouched on failure */
    if (!isfinite(wanted_wide))
        wanted_wide = 7;
    cr_assert_eq(memcmp(&narrow, &wanted_narrow, sizeof narrow), 0, "%s: %.9g, wanted %.9g", text,
                 (double)narrow, (double)wanted_narrow);
    cr_assert_eq(memcmp(&wide, &wanted_wide, sizeof wide), 0, "%s: %.17g, wanted %.17g", text, wide,
                 wanted_wide);
}

Test(front_decimal, random_digits_round_as_the_c_library_rounds) {
    char text[160];
    for (int i = 0; i < MILLION; i++) {
        uint64_t digits = next_random() >> next_random() % 64;
        int form = (int)(next_random() % 4), size;
        int spread = next_random() % 4 ? 60 : 700;
        int exponent = (int)(next_random() % (unsigned)spread) - spread / 2;
        if (form == 0)
            size = snprintf(text, sizeof text, "%llu", (unsigned long long)digits);
        else if (form == 1)
            size = snprintf(text, sizeof text, "%llu.%llu", (unsigned long long)digits % 1000,
                            (unsigned long long)next_random() >> next_random() % 64);
        else
            size = snprintf(text, sizeof text, "-0.%0*d%llu%llu", (int)(next_random() % 30) + 1, 0,
                            (unsigned long long)digits, (unsigned long long)next_random());
        if (form % 2)
            snprintf(text + size, sizeof text - (size_t)size, "%c%+d", form == 1 ? 'e' : 'E',
                     exponent);
        check_read(text);
    }
}

/* The points half-way between two floats, in full, and a little to either side of them. */
static void check_half(const char *half, int digits) {
    char text[1200];
    check_read(half);
    snprintf(text, sizeof text, "%s", half);
    char *last = strpbrk(text, "e");
    char tail[16] = "";
    if (last)
        snprintf(tail, sizeof tail, "%s", last);
    size_t end = last ? (size_t)(last - text) : strlen(text);
    snprintf(text + end, sizeof text - end, "%s00000000000000000000001%s",
             strchr(half, '.') ? "" : ".", tail);
    check_read(text);
    if (digits > 1) {
        text[end] = '\0'; /* one less in the last place, a lot of nines behind it */
        size_t at = end - 1;
        while (at && (text[at] == '0' || text[at] == '.'))
            at--;
        if (text[at] > '0' && text[at] <= '9' && strchr(half, '.') && at > (size_t)1) {
            text[at]--;
            for (size_t k = at + 1; k < end; k++)
                text[k] = '9';
            snprintf(text + end, sizeof text - end, "999999999999999%s", tail);
            check_read(text);
        }
    }
}

Test(front_decimal, half_way_points_go_to_the_even_neighbour) {
    char text[1200];
    for (int i = 0; i < MILLION / 10; i++) {
        uint32_t bits = (uint32_t)(next_random() % 0x7f000000);
        float low = float_of(bits), high = float_of(bits + 1);
        double half = ((double)low + (double)high) / 2; /* exact */
        int digits = (int)(next_random() % 130);
        snprintf(text, sizeof text, "%.*e", digits, half);
        check_half(text, digits);
        snprintf(text, sizeof text, "%.160f", half);
        check_half(text, 160);
    }
    for (int i = 0; i < MILLION / 50; i++) {
        /* Doubles with few bits below the point, so that the half is short in decimal. */
        uint64_t low = (next_random() >> 12) | UINT64_C(1) << 52;
        int places = (int)(next_random() % 40);
        long double half = ldexpl((long double)low + 0.5L, -places);
        snprintf(text, sizeof text, "%.*Lf", places + 1, half);
        check_half(text, places + 1);
    }
}

Test(front_decimal, the_ends_of_the_range) {
    static const char *const texts[] = {
        "0", "-0", "0.0", "-0.0e5", "0e400", "0e-400", "0e99999999999999999999",
        "1e99999999999999999999", "-1e-99999999999999999999", "1e400", "1e-400", "1e38", "1e39",
        /* the largest float, and the half above it */
        "3.4028234663852886e38", "3.40282356779733661637539395458142568447e38",
        "3.40282356779733661637539395458142568448e38", "3.4028235677973367e38",
        "340282356779733661637539395458142568447", "340282356779733661637539395458142568448",
        /* the smallest float, and the half below it */
        "1.4012984643248171e-45", "1e-45", "7.006492321624085e-46", "7.0064923216240862e-46",
        "7.006492321624085354618647916449580656401309709382578858785341419448955413429303e-46",
        "7.006492321624085354618647916449580656401309709382578858785341419448955413429302e-46",
        "7.006492321624085354618647916449580656401309709382578858785341419448955413429304e-46",
        "7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319"
        "094181060791015625e-46",
        "7.00649232162408535461864791644958065640130970938257885878534141944895541342930300743319"
        "094181060791015626e-46",
        "1.17549435e-38", "1.1754943508222875e-38", "1.1754942807573643e-38", "1.1754942e-38",
        /* doubles: largest, half above, smallest, half below, first normal number */
        "1.7976931348623157e308", "1.7976931348623158e308", "1.797693134862315807e308",
        "1.7976931348623158079372897140530341507e308", "1.7976931348623159e308", "1.8e308",
        "4.9e-324", "5e-324", "2.4703282292062327e-324", "2.4703282292062328e-324",
        "2.47032822920623272e-324", "2.47032822920623273e-324", "2.4703282292062327208e-324",
        "2.4703282292062327209e-324", "2.47032822920623272088284396434110686e-324",
        "2.47032822920623272088284396434110687e-324", "2.2250738585072014e-308",
        "2.2250738585072011e-308", "2.2250738585072012e-308",
        /* known to have been read wrongly, or without end, by others */
        "2.2250738585072011360574097967091319759348195463516456400e-308", "9007199254740993",
        "9007199254740992.9999999999999999", "9007199254740993.00000000000000000001", "16777217",
        "16777217.0", "16777216.999999999999999999999", "1.00000005960464477539062499999",
        "1.000000059604644775390625", "1.00000005960464477539062500001", "8388608.5", "8388609.5",
        "4503599627370496.5", "4503599627370497.5", "0.500000029802322387695312500", "6.8e-6",
        "1448997445238699", "17.0e22", "123456789012345678901234567890e-10", "18446744073709551615",
        "18446744073709551616", "1844674407370955161600000", "9999999999999999999",
        "99999999999999999999", "0.00000000000000000000000000000000001"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_read(texts[i]);
    /* As long as a number may be, with its one digit at the far end. */
    char text[JSON_NUMBER_MAX + 1];
    memset(text, '0', JSON_NUMBER_MAX);
    text[JSON_NUMBER_MAX] = '\0';
    text[1] = '.';
    text[JSON_NUMBER_MAX - 1] = '1';
    check_read(text);
    memset(text, '9', JSON_NUMBER_MAX);
    memcpy(text + JSON_NUMBER_MAX - 5, "e-200", 5);
    check_read(text);
    memcpy(text + JSON_NUMBER_MAX - 5, "e-831", 5);
    check_read(text);
    text[1] = '.';
    memcpy(text + JSON_NUMBER_MAX - 5, "e+308", 5);
    check_read(text);
}

Test(front_decimal, exact_comparison) {
    static const struct {
        const char *text;
        uint64_t significand;
        int exponent, order;
    } cases[] = {
        {"1", 1, 0, 0},
        {"-0.5", 1, -1, 0},
        {"0.50000000000000000000000000000000000000000001", 1, -1, 1},
        {"0.49999999999999999999999999999999999999999999", 1, -1, -1},
        {"1e22", UINT64_C(10000000000000000), 0, 1},
        {"1e3", 125, 3, 0},
        {"1.0E+2", 25, 2, 0},
        {"15e-1", 3, -1, 0},
        {"16777217", 33554434, -1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(decimal_exact_compare((const uint8_t *)cases[i].text, strlen(cases[i].text),
                                           cases[i].significand, cases[i].exponent),
                     cases[i].order, "%s", cases[i].text);
}

Test(front_decimal, powers_are_those_of_ten) {
    cr_expect_eq(decimal_powers_of(0).high, UINT64_C(1) << 63);
    cr_expect_eq(decimal_powers_of(27).high, UINT64_C(7450580596923828125) << 1);
    for (int q = DECIMAL_POWERS_LEAST; q <= DECIMAL_POWERS_MOST; q++) {
        struct decimal_power p = decimal_powers_of(q);
        cr_expect(p.high >> 63);
        cr_expect(p.high < UINT64_MAX - (UINT64_C(1) << 50), "10^%d: products may overflow", q);
        /* The exponent is right where the first 64 bits give the value. */
        long double value = ldexpl((long double)p.high, decimal_powers_log2(q) - 63);
        char text[16];
        snprintf(text, sizeof text, "1e%d", q);
        long double ratio = value / strtold(text, NULL);
        cr_expect(fabsl(ratio - 1) < 0x1p-62L, "10^%d", q);
        /* Ten times a power is the next: the bits that were cut off are less than ten units. */
        if (q == DECIMAL_POWERS_MOST)
            continue;
        struct decimal_power next = decimal_powers_of(q + 1);
        __uint128_t here = (__uint128_t)p.high << 64 | p.low;
        __uint128_t there = (__uint128_t)next.high << 64 | next.low;
        int shift = decimal_powers_log2(q + 1) - decimal_powers_log2(q);
        __uint128_t tenth = there / 10, rest = there % 10;
        __uint128_t back = (tenth << shift) + ((rest << shift) + 9) / 10;
        __uint128_t apart = back > here ? back - here : here - back;
        cr_expect(apart <= 2, "10^%d", q);
    }
}

/* `digits` * 10^`exponent` reads back as the value, no shorter number does, and of those with as
 * many digits it is the nearest: the one that rounding to so many digits gives, where that reads
 * back (the C library rounds correctly). */
static void check_short(struct decimal_short d, double value, bool narrow) {
    char text[64], rounded[64];
    snprintf(text, sizeof text, "%llue%d", (unsigned long long)d.digits, d.exponent);
    double back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
    cr_assert_eq(back, value, "%.17g became %s", value, text);
    cr_assert(d.digits % 10 != 0, "%s", text);
    int count = 0;
    for (uint64_t rest = d.digits; rest; rest /= 10)
        count++;
    snprintf(rounded, sizeof rounded, "%.*e", count - 1, value);
    back = narrow ? (double)strtof(rounded, NULL) : strtod(rounded, NULL);
    if (back == value)
        cr_assert_eq(strtold(rounded, NULL), strtold(text, NULL), "%s is not as near as %s", text,
                     rounded);
    if (count == 1)
        return;
    /* With one digit less, the two nearest numbers lie below and above: neither reads back. */
    uint64_t shorter = d.digits / 10;
    for (uint64_t k = shorter; k <= shorter + 1; k++) {
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)k, d.exponent + 1);
        back = narrow ? (double)strtof(text, NULL) : strtod(text, NULL);
        cr_assert(back != value, "%.17g is as well %s, not %llue%d", value, text,
                  (unsigned long long)d.digits, d.exponent);
    }
}

Test(front_decimal, a_million_floats_come_back_and_are_as_short_as_can_be) {
    for (int i = 0; i < MILLION; i++) {
        float f = float_of((uint32_t)(next_random() % 0x7f7fffff) + 1);
        if (i % 4 == 0) /* of everyday size */
            f = (float)((double)(next_random() >> 11) * 0x1p-53 * 4.9 + 0x1p-40);
        check_short(decimal_shortest_f32(f), (double)f, true);
    }
}

Test(front_decimal, a_million_doubles_come_back_and_are_as_short_as_can_be) {
    for (int i = 0; i < MILLION; i++) {
        double d = double_of(next_random() % UINT64_C(0x7fefffffffffffff) + 1);
        if (i % 4 == 0)
            d = (double)(next_random() >> 11) * 0x1p-53 * 4.9 + 0x1p-40;
        else if (i % 4 == 1)
            d = (double)((next_random() >> 11) + 1) / 4096;
        check_short(decimal_shortest_f64(d), d, false);
    }
}

Test(front_decimal, powers_of_two_and_their_neighbours) {
    for (uint32_t exponent = 0; exponent < 255; exponent++)
        for (uint32_t away = 0; away < 5; away++) {
            uint32_t bits = (exponent << 23) + away - 2;
            if (bits - 1 < 0x7f7fffff)
                check_short(decimal_shortest_f32(float_of(bits)), (double)float_of(bits), true);
        }
    for (uint64_t exponent = 0; exponent < 2047; exponent++)
        for (uint64_t away = 0; away < 5; away++) {
            uint64_t bits = (exponent << 52) + away - 2;
            if (bits - 1 < UINT64_C(0x7fefffffffffffff))
                check_short(decimal_shortest_f64(double_of(bits)), double_of(bits), false);
        }
    for (uint64_t whole = 1; whole < UINT64_C(1) << 62; whole += whole / 7 + 1) {
        check_short(decimal_shortest_f64((double)whole), (double)whole, false);
        check_short(decimal_shortest_f32((float)whole), (double)(float)whole, true);
    }
    for (int exponent = -323; exponent <= 308; exponent++) {
        char text[16];
        snprintf(text, sizeof text, "1e%d", exponent);
        struct decimal_short d = decimal_shortest_f64(strtod(text, NULL));
        cr_expect(d.digits == 1 && d.exponent == exponent, "%s became %llue%d", text,
                  (unsigned long long)d.digits, d.exponent);
    }
}
