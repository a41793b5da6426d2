#include "server/front/trace.h"

#include <string.h>
#include <sys/random.h>

#define TRACE_BYTES 16
#define SPAN_BYTES 8
/* Where the parts of a traceparent begin: 00-<trace>-<parent>-<flags>. */
#define TRACE_AT 3
#define SPAN_AT 36
#define FLAGS_AT 53
#define STATE_MEMBERS_MAX 32
#define STATE_PART_MAX 256 /* of a key, and of a value */

static bool is_hex(char c) {
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
}

static bool all_zero(const char *text, size_t size) {
    for (size_t i = 0; i < size; i++)
        if (text[i] != '0')
            return false;
    return true;
}

/* A version after 00 may have more behind the flags, after a dash; ff is none. */
bool trace_parent_valid(const char *value) {
    size_t size = strlen(value);
    if (size < TRACE_PARENT_SIZE || memcmp(value, "ff", 2) == 0)
        return false;
    if (size > TRACE_PARENT_SIZE &&
        (memcmp(value, "00", 2) == 0 || value[TRACE_PARENT_SIZE] != '-'))
        return false;
    for (size_t i = 0; i < TRACE_PARENT_SIZE; i++) {
        bool dash = i == TRACE_AT - 1 || i == SPAN_AT - 1 || i == FLAGS_AT - 1;
        if (dash ? value[i] != '-' : !is_hex(value[i]))
            return false;
    }
    return !all_zero(value + TRACE_AT, 2 * TRACE_BYTES) &&
           !all_zero(value + SPAN_AT, 2 * SPAN_BYTES);
}

static bool key_character(char c, bool first) {
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
        return true;
    return !first && (c == '_' || c == '-' || c == '*' || c == '/' || c == '@');
}

/* `key=value`, without the spaces around it. */
static bool state_member(const char *text, size_t size) {
    const char *equals = memchr(text, '=', size);
    size_t key = equals ? (size_t)(equals - text) : 0;
    if (!key || key > STATE_PART_MAX || size - key - 1 == 0 || size - key - 1 > STATE_PART_MAX)
        return false;
    for (size_t i = 0; i < key; i++)
        if (!key_character(text[i], i == 0))
            return false;
    for (size_t i = key + 1; i < size; i++)
        if (text[i] < 0x20 || text[i] > 0x7e || text[i] == '=')
            return false;
    return true;
}

bool trace_state_valid(const char *value) {
    unsigned members = 0;
    if (strlen(value) > TRACE_STATE_MAX)
        return false;
    for (const char *at = value;;) {
        size_t whole = strcspn(at, ","), size = whole;
        const char *text = at;
        while (size && (*text == ' ' || *text == '\t')) {
            text++;
            size--;
        }
        while (size && (text[size - 1] == ' ' || text[size - 1] == '\t'))
            size--;
        /* An empty member is allowed, and counts for nothing. */
        if (size && (!state_member(text, size) || ++members > STATE_MEMBERS_MAX))
            return false;
        if (!at[whole])
            return members > 0;
        at += whole + 1;
    }
}

static bool draw(struct trace_random *random, size_t count, char *hex) {
    static const char digits[] = "0123456789abcdef";
    if (random->left < count) {
        /* At most 256 bytes, once the system has started: always whole (getrandom(2)). */
        if (getrandom(random->bytes, sizeof random->bytes, 0) != (ssize_t)sizeof random->bytes)
            return false;
        random->left = sizeof random->bytes;
    }
    uint8_t *bytes = random->bytes + (random->left -= count);
    for (size_t i = 0; i < 2 * count; i++)
        hex[i] = digits[bytes[i / 2] >> (4 - i % 2 * 4) & 15];
    explicit_bzero(bytes, count);
    return true;
}

bool trace_request_id(struct trace_random *random, char out[TRACE_ID_SIZE + 1]) {
    out[0] = '\0';
    if (!draw(random, TRACE_ID_SIZE / 2, out))
        return false;
    out[TRACE_ID_SIZE] = '\0';
    return true;
}

bool trace_parent_next(struct trace_random *random, const char *caller,
                       char out[TRACE_PARENT_SIZE + 1]) {
    char text[TRACE_PARENT_SIZE + 1] = "00-00000000000000000000000000000000-0000000000000000-00";
    out[0] = '\0';
    if (caller) {
        memcpy(text + TRACE_AT, caller + TRACE_AT, 2 * TRACE_BYTES);
        /* Of the flags, this version knows the lowest bit: sampled. */
        char low = caller[FLAGS_AT + 1];
        text[FLAGS_AT + 1] = (char)('0' + ((low >= 'a' ? low - 'a' : low - '0') & 1));
    } else if (!draw(random, TRACE_BYTES, text + TRACE_AT)) {
        return false;
    }
    if (!draw(random, SPAN_BYTES, text + SPAN_AT) || all_zero(text + SPAN_AT, 2 * SPAN_BYTES))
        return false;
    memcpy(out, text, sizeof text);
    return true;
}
