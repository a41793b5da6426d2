#include "server/front/json_writer.h"

#include "server/front/decimal_shortest.h"
#include "server/front/json_scan.h"

#include <math.h>
#include <string.h>

/* Plain notation has at most so many digits before the point, and at most four zeros behind it:
 * a sign, "0.", the zeros and 17 digits stay below JSON_WRITER_NUMBER_MAX. */
#define PLAIN_POINT_MOST 17
#define PLAIN_POINT_LEAST (-4)

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
    const uint8_t *at = size ? text : (const void *)"", *end = at + size;
    while ((at = json_scan_plain(at, end)) < end) {
        size_t length = utf8_length(at, (size_t)(end - at));
        if (!length)
            return false;
        at += length;
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
    const uint8_t *at = size ? text : (const void *)"", *end = at + size;
    buf_u8(b, '"');
    for (;;) {
        const uint8_t *begin = at;
        size_t length = 0;
        while ((at = json_scan_plain(at, end)) < end && *at >= 0x80 &&
               (length = utf8_length(at, (size_t)(end - at))) != 0)
            at += length;
        if (at > begin)
            buf_bytes(b, begin, (size_t)(at - begin));
        if (at == end)
            break;
        if (*at >= 0x80)
            buf_string(b, "\xef\xbf\xbd");
        else
            write_escape(b, *at);
        at++;
    }
    buf_u8(b, '"');
}

/* --- numbers ------------------------------------------------------------------------------- */

/* 20 characters are the most that 64 bits have. */
#define DIGITS_MAX 20

/* Decimal digits into the end of out[DIGITS_MAX]; returns how many. Two at a time, since each step
 * waits for the division before. */
static size_t put_digits(uint64_t value, char out[DIGITS_MAX]) {
    static const char pairs[] = "00010203040506070809101112131415161718192021222324"
                                "25262728293031323334353637383940414243444546474849"
                                "50515253545556575859606162636465666768697071727374"
                                "75767778798081828384858687888990919293949596979899";
    size_t at = DIGITS_MAX;
    while (value >= 100) {
        at -= 2;
        memcpy(out + at, pairs + 2 * (value % 100), 2);
        value /= 100;
    }
    if (value >= 10) {
        at -= 2;
        memcpy(out + at, pairs + 2 * value, 2);
    } else {
        out[--at] = (char)('0' + value);
    }
    return DIGITS_MAX - at;
}

static void write_whole(struct buf *b, bool negative, uint64_t value) {
    char text[1 + DIGITS_MAX];
    size_t count = put_digits(value, text + 1);
    char *begin = text + 1 + DIGITS_MAX - count;
    if (negative)
        *--begin = '-';
    buf_bytes(b, begin, count + negative);
}

void json_writer_u64(struct buf *b, uint64_t value) {
    write_whole(b, false, value);
}

void json_writer_i64(struct buf *b, int64_t value) {
    write_whole(b, value < 0, value < 0 ? 0 - (uint64_t)value : (uint64_t)value);
}

/* Digits with DIGITS_MAX bytes that may be read behind them, so that they can be copied by a fixed
 * number of bytes, which takes two instructions where a length takes a call. */
struct digits {
    char text[2 * DIGITS_MAX];
    const char *first;
    int count;
};

static inline void digits_of(struct digits *d, uint64_t value) {
    size_t count = put_digits(value, d->text);
    d->first = d->text + DIGITS_MAX - count;
    d->count = (int)count;
}

static inline char *put(char *out, const char *digits, int count) {
    memcpy(out, digits, DIGITS_MAX);
    return out + count;
}

static inline char *put_zeros(char *out, int count) {
    memset(out, '0', DIGITS_MAX);
    return out + count;
}

/* Plain notation where it is short, else an exponent. A whole number keeps ".0", so that a reader
 * that types values by their form sees a float. */
static void write_float(struct buf *b, bool negative, struct decimal_short value) {
    char text[JSON_WRITER_NUMBER_MAX + DIGITS_MAX], *out = text;
    struct digits d = {.count = 0};
    digits_of(&d, value.digits);
    int point = d.count + value.exponent; /* digits before the decimal point */
    *out = '-';
    out += negative;
    if (point > 0 && point <= PLAIN_POINT_MOST) {
        int before = point < d.count ? point : d.count;
        out = put(out, d.first, before);
        if (before < point)
            out = put_zeros(out, point - before);
        *out++ = '.';
        if (before < d.count)
            out = put(out, d.first + before, d.count - before);
        else
            *out++ = '0';
    } else if (point <= 0 && point >= PLAIN_POINT_LEAST) {
        *out++ = '0';
        *out++ = '.';
        out = put_zeros(out, -point);
        out = put(out, d.first, d.count);
    } else {
        *out++ = d.first[0];
        if (d.count > 1) {
            *out++ = '.';
            out = put(out, d.first + 1, d.count - 1);
        }
        *out++ = 'e';
        if (point < 1)
            *out++ = '-';
        digits_of(&d, (uint64_t)(point < 1 ? 1 - point : point - 1));
        out = put(out, d.first, d.count);
    }
    buf_bytes(b, text, (size_t)(out - text));
}

bool json_writer_f32(struct buf *b, float value) {
    if (!isfinite(value))
        return false;
    if (value == 0)
        buf_string(b, signbit(value) ? "-0.0" : "0.0");
    else
        write_float(b, value < 0, decimal_shortest_f32(value));
    return true;
}

bool json_writer_f64(struct buf *b, double value) {
    if (!isfinite(value))
        return false;
    if (value == 0)
        buf_string(b, signbit(value) ? "-0.0" : "0.0");
    else
        write_float(b, value < 0, decimal_shortest_f64(value));
    return true;
}
