#include "store/audit_record.h"

#include <inttypes.h>
#include <string.h>

#include "crypto/merkle.h"

/* Length of the UTF-8 sequence at `p`, 0 where it is none (RFC 3629, section 4). The text ends with
 * a zero byte, which is no continuation byte, so nothing after it is read. */
static size_t sequence_length(const uint8_t *p) {
    uint8_t low = 0x80, high = 0xbf;
    size_t length;
    if (p[0] < 0x80)
        return 1;
    if (p[0] >= 0xc2 && p[0] <= 0xdf) {
        length = 2;
    } else if (p[0] >= 0xe0 && p[0] <= 0xef) {
        length = 3;
        if (p[0] == 0xe0)
            low = 0xa0; /* shorter forms exist */
        if (p[0] == 0xed)
            high = 0x9f; /* surrogates */
    } else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
        length = 4;
        if (p[0] == 0xf0)
            low = 0x90;
        if (p[0] == 0xf4)
            high = 0x8f; /* above U+10FFFF */
    } else {
        return 0;
    }
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < length; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return length;
}

static bool utf8_valid(const char *text) {
    const uint8_t *p = (const uint8_t *)text;
    while (*p) {
        size_t length = sequence_length(p);
        if (length == 0)
            return false;
        p += length;
    }
    return true;
}

/* The two-character escapes of RFC 8785, section 3.2.2.2; 0 where there is none. */
static char short_escape(uint8_t c) {
    switch (c) {
    case '\b':
        return 'b';
    case '\t':
        return 't';
    case '\n':
        return 'n';
    case '\f':
        return 'f';
    case '\r':
        return 'r';
    case '"':
        return '"';
    case '\\':
        return '\\';
    default:
        return 0;
    }
}

static void write_string(const char *text, struct buf *out) {
    static const char digits[] = "0123456789abcdef";
    const char *run = text;
    buf_u8(out, '"');
    for (; *text; text++) {
        uint8_t c = (uint8_t)*text;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_bytes(out, run, (size_t)(text - run));
        run = text + 1;
        char escape = short_escape(c);
        buf_u8(out, '\\');
        if (escape) {
            buf_u8(out, (uint8_t)escape);
        } else {
            buf_string(out, "u00");
            buf_u8(out, (uint8_t)digits[c >> 4]);
            buf_u8(out, (uint8_t)digits[c & 15]);
        }
    }
    buf_bytes(out, run, (size_t)(text - run));
    buf_u8(out, '"');
}

enum status audit_record_string(const char *text, struct buf *out, struct error *error) {
    size_t start = out->size;
    if (!utf8_valid(text))
        return status_fail(error, STATUS_INVALID, "text is not UTF-8");
    write_string(text, out);
    if (out->failed) {
        out->size = start;
        return status_fail(error, STATUS_TOO_LARGE, "text is too long: %zu bytes", strlen(text));
    }
    return STATUS_OK;
}

static enum status check_text(const char *member, const char *text, size_t max,
                              struct error *error) {
    if (!text)
        return status_fail(error, STATUS_INVALID, "audit record: %s is missing", member);
    size_t length = strnlen(text, max + 1);
    if (length > max)
        return status_fail(error, STATUS_INVALID, "audit record: %s is longer than %zu bytes",
                           member, max);
    if (!utf8_valid(text))
        return status_fail(error, STATUS_INVALID, "audit record: %s is not UTF-8", member);
    return STATUS_OK;
}

static enum status check_integer(const char *member, int64_t value, struct error *error) {
    if (value < 0 || value > AUDIT_RECORD_INTEGER_MAX)
        return status_fail(error, STATUS_INVALID,
                           "audit record: %s is %" PRId64 ", must be from 0 to 2^53 - 1", member,
                           value);
    return STATUS_OK;
}

enum status audit_record_check(const struct audit_record *r, struct error *error) {
    const struct {
        const char *member;
        const char *text;
        size_t max;
    } texts[] = {
        {"tenant", r->tenant, AUDIT_RECORD_TENANT_MAX},
        {"key", r->key, AUDIT_RECORD_KEY_MAX},
        {"action", r->action, AUDIT_RECORD_ACTION_MAX},
        {"target", r->target, AUDIT_RECORD_TARGET_MAX},
        {"outcome", r->outcome, AUDIT_RECORD_OUTCOME_MAX},
        {"request", r->request, AUDIT_RECORD_REQUEST_MAX},
        {"client", r->client, AUDIT_RECORD_CLIENT_MAX},
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        enum status status = check_text(texts[i].member, texts[i].text, texts[i].max, error);
        if (status != STATUS_OK)
            return status;
    }
    if (r->action[0] == '\0')
        return status_fail(error, STATUS_INVALID, "audit record: action is empty");
    enum status status = check_integer("time", r->time, error);
    if (status != STATUS_OK)
        return status;
    return check_integer("units", r->units, error);
}

static void write_member(struct buf *out, const char *prefix, const char *text) {
    buf_string(out, prefix);
    write_string(text, out);
}

static void write_integer(struct buf *out, const char *prefix, uint64_t value) {
    char digits[20];
    size_t n = sizeof digits;
    do {
        digits[--n] = (char)('0' + value % 10);
        value /= 10;
    } while (value);
    buf_string(out, prefix);
    buf_bytes(out, digits + n, sizeof digits - n);
}

static void write_hex(struct buf *out, const uint8_t *data, size_t size) {
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        buf_u8(out, (uint8_t)digits[data[i] >> 4]);
        buf_u8(out, (uint8_t)digits[data[i] & 15]);
    }
}

enum status audit_record_write(const struct audit_record *r, uint64_t seq, struct buf *out,
                               struct error *error) {
    enum status status = audit_record_check(r, error);
    if (status != STATUS_OK)
        return status;
    if (seq > (uint64_t)AUDIT_RECORD_INTEGER_MAX)
        return status_fail(error, STATUS_INVALID, "audit record: seq is over 2^53 - 1");
    size_t start = out->size;
    write_member(out, "{\"action\":", r->action);
    write_member(out, ",\"client\":", r->client);
    write_member(out, ",\"key\":", r->key);
    write_member(out, ",\"outcome\":", r->outcome);
    write_member(out, ",\"request\":", r->request);
    buf_string(out, ",\"salt\":\"");
    write_hex(out, r->salt, sizeof r->salt);
    write_integer(out, "\",\"seq\":", seq);
    write_member(out, ",\"target\":", r->target);
    write_member(out, ",\"tenant\":", r->tenant);
    write_integer(out, ",\"time\":", (uint64_t)r->time);
    write_integer(out, ",\"units\":", (uint64_t)r->units);
    write_integer(out, ",\"v\":", AUDIT_RECORD_VERSION);
    buf_u8(out, '}');
    if (out->failed) {
        out->size = start;
        return status_fail(error, STATUS_TOO_LARGE, "audit record does not fit");
    }
    return STATUS_OK;
}

void audit_record_leaf(const uint8_t *bytes, size_t size, uint8_t leaf[AUDIT_RECORD_LEAF_SIZE]) {
    merkle_leaf(bytes, size, leaf);
}
