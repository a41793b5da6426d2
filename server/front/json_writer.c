#include "server/front/json_writer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the well-formed UTF-8 sequence at `at`, or 0 (Unicode 15, table 3-7). */
static size_t utf8_length(const uint8_t *at, size_t left) {
    uint8_t c = at[0];
    if (c < 0x80)
        return 1;
    size_t length = c >= 0xc2 && c <= 0xdf ? 2 : c >= 0xe0 && c <= 0xef ? 3 : 4;
    if (c < 0xc2 || c > 0xf4 || left < length)
        return 0;
    if ((c == 0xe0 && at[1] < 0xa0) || (c == 0xed && at[1] > 0x9f) || (c == 0xf0 && at[1] < 0x90) ||
        (c == 0xf4 && at[1] > 0x8f))
        return 0;
    for (size_t i = 1; i < length; i++)
        if ((at[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

bool json_writer_is_utf8(const void *text, size_t size) {
    const uint8_t *at = text;
    while (size) {
        size_t length = utf8_length(at, size);
        if (!length)
            return false;
        at += length;
        size -= length;
    }
    return true;
}

static void write_escape(struct buf *b, uint8_t c) {
    static const char digits[] = "0123456789abcdef";
    char escape[7] = {'\\', 'u', '0', '0', digits[c >> 4], digits[c & 15], '\0'};
    switch (c) {
    case '"':
    case '\\':
        escape[1] = (char)c;
        escape[2] = '\0';
        break;
    case '\n':
        escape[1] = 'n';
        escape[2] = '\0';
        break;
    case '\r':
        escape[1] = 'r';
        escape[2] = '\0';
        break;
    case '\t':
        escape[1] = 't';
        escape[2] = '\0';
        break;
    }
    buf_string(b, escape);
}

void json_writer_string(struct buf *b, const void *text, size_t size) {
    const uint8_t *at = text;
    buf_u8(b, '"');
    while (size) {
        size_t plain = 0;
        while (plain < size && at[plain] >= 0x20 && at[plain] != '"' && at[plain] != '\\') {
            size_t length = utf8_length(at + plain, size - plain);
            if (!length)
                break;
            plain += length;
        }
        if (plain)
            buf_bytes(b, at, plain);
        at += plain;
        size -= plain;
        if (!size)
            break;
        if (*at >= 0x80)
            buf_string(b, "\xef\xbf\xbd");
        else
            write_escape(b, *at);
        at++;
        size--;
    }
    buf_u8(b, '"');
}

/* Decimal digits, most significant first; returns how many. */
static size_t digits_of(uint64_t value, char out[20]) {
    char reversed[20];
    size_t count = 0;
    do {
        reversed[count++] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    for (size_t i = 0; i < count; i++)
        out[i] = reversed[count - 1 - i];
    return count;
}

void json_writer_u64(struct buf *b, uint64_t value) {
    char digits[20];
    size_t count = digits_of(value, digits);
    buf_bytes(b, digits, count);
}

void json_writer_i64(struct buf *b, int64_t value) {
    char digits[21];
    digits[0] = '-';
    size_t count = digits_of(value < 0 ? 0 - (uint64_t)value : (uint64_t)value, digits + 1);
    if (value < 0)
        buf_bytes(b, digits, count + 1);
    else
        buf_bytes(b, digits + 1, count);
}

/* Write digits * 10^exponent, digits not 0. Plain notation where it is short, else an exponent.
 * A whole number keeps ".0", so that a reader that types values by their form sees a float. */
static void write_decimal(struct buf *b, bool negative, uint64_t digits, int exponent) {
    char text[JSON_WRITER_NUMBER_MAX + 8], d[20];
    size_t at = 0;
    while (digits % 10 == 0) {
        digits /= 10;
        exponent++;
    }
    int count = (int)digits_of(digits, d);
    int point = count + exponent; /* digits before the decimal point */
    if (negative)
        text[at++] = '-';
    if (point > 0 && point <= 17) {
        for (int i = 0; i < point; i++)
            text[at++] = i < count ? d[i] : '0';
        text[at++] = '.';
        for (int i = point; i < count; i++)
            text[at++] = d[i];
        if (point >= count)
            text[at++] = '0';
    } else if (point <= 0 && point > -5) {
        text[at++] = '0';
        text[at++] = '.';
        for (int i = point; i < 0; i++)
            text[at++] = '0';
        for (int i = 0; i < count; i++)
            text[at++] = d[i];
    } else {
        text[at++] = d[0];
        if (count > 1) {
            text[at++] = '.';
            for (int i = 1; i < count; i++)
                text[at++] = d[i];
        }
        text[at++] = 'e';
        if (point - 1 < 0)
            text[at++] = '-';
        at += digits_of((uint64_t)(point - 1 < 0 ? 1 - point : point - 1), text + at);
    }
    buf_bytes(b, text, at);
}

static const double powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* 10^scale * value rounded to an integer, and that integer / 10^scale: both powers are exact
 * doubles, so the way back is the correctly rounded value of the decimal. */
static inline double scaled(double value, int scale) {
    return scale < 0 ? value / powers[-scale] : value * powers[scale];
}
static inline double unscaled(double digits, int scale) {
    return scale < 0 ? digits * powers[-scale] : digits / powers[scale];
}

/* Number of decimal digits before the point of a value in [1e-22, 1e22], give or take one. */
static int magnitude(double value) {
    int exponent;
    (void)frexp(value, &exponent);
    return (int)floor((exponent - 1) * 0.30102999566398120) + 1;
}

/* The values that the quick way leaves: the C library's correctly rounded conversions. */
static void write_slowly(struct buf *b, double value, int from, int to, bool narrow) {
    char text[JSON_WRITER_NUMBER_MAX + 8];
    for (int precision = from; precision <= to; precision++) {
        snprintf(text, sizeof text, "%.*e", precision - 1, value);
        bool same = narrow ? strtof(text, NULL) == (float)value : strtod(text, NULL) == value;
        if (same || precision == to)
            break;
    }
    uint64_t digits = 0;
    int fraction = 0;
    bool after_point = false;
    const char *at = text;
    for (; *at && *at != 'e'; at++) {
        if (*at == '.') {
            after_point = true;
            continue;
        }
        digits = digits * 10 + (uint64_t)(*at - '0');
        fraction += after_point;
    }
    int exponent = *at ? (int)strtol(at + 1, NULL, 10) : 0;
    write_decimal(b, false, digits, exponent - fraction);
}

bool json_writer_f32(struct buf *b, float value) {
    if (!isfinite(value))
        return false;
    if (value == 0) {
        buf_string(b, signbit(value) ? "-0.0" : "0.0");
        return true;
    }
    double size = fabs((double)value);
    bool negative = value < 0;
    if (size >= 1e-10 && size < 1e15) {
        int whole = magnitude(size);
        /* Six digits always survive, nine always suffice (FLT_DIG, FLT_DECIMAL_DIG). */
        for (int precision = 6; precision <= 10; precision++) {
            int scale = precision - whole;
            double digits = nearbyint(scaled(size, scale));
            if ((float)unscaled(digits, scale) == (float)size) {
                write_decimal(b, negative, (uint64_t)digits, -scale);
                return true;
            }
        }
    }
    if (negative)
        buf_u8(b, '-');
    write_slowly(b, size, 6, 9, true);
    return true;
}

bool json_writer_f64(struct buf *b, double value) {
    if (!isfinite(value))
        return false;
    if (value == 0) {
        buf_string(b, signbit(value) ? "-0.0" : "0.0");
        return true;
    }
    double size = fabs(value);
    bool negative = value < 0;
    if (size >= 1e-6 && size < 1e15) {
        int scale = 15 - magnitude(size);
        double digits = nearbyint(scaled(size, scale));
        if (digits <= 0x1p53 && unscaled(digits, scale) == size) {
            write_decimal(b, negative, (uint64_t)digits, -scale);
            return true;
        }
    }
    if (negative)
        buf_u8(b, '-');
    write_slowly(b, size, 15, 17, false);
    return true;
}
