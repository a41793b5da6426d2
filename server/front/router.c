#include "server/front/router.h"

#include <stdio.h>
#include <string.h>

#define SEGMENTS_MAX 10

struct segment {
    const char *text;
    size_t size;
};

static int hex(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* One segment, decoded behind `out`; false where it is malformed or does not fit. */
static bool decode_segment(const char *from, size_t size, char *out, size_t room, size_t *length) {
    size_t n = 0;
    for (size_t i = 0; i < size; i++) {
        int c = (unsigned char)from[i];
        if (c == '%') {
            int high = i + 2 < size ? hex(from[i + 1]) : -1;
            int low = i + 2 < size ? hex(from[i + 2]) : -1;
            if (high < 0 || low < 0)
                return false;
            c = high * 16 + low;
            i += 2;
        }
        if (c <= 0x20 || c >= 0x7f || c == '/' || c == '\\' || n == room)
            return false;
        out[n++] = (char)c;
    }
    if (n == 0 || (n == 1 && out[0] == '.') || (n == 2 && out[0] == '.' && out[1] == '.'))
        return false;
    *length = n;
    return true;
}

/* Split and decode; a trailing slash leaves one empty last segment, which matches nothing. */
static enum status split(const char *path, char text[ROUTER_PATH_MAX],
                         struct segment segments[SEGMENTS_MAX], size_t *count,
                         struct error *error) {
    size_t used = 0, n = 0;
    bool too_many = false;
    if (path[0] != '/')
        return status_fail(error, STATUS_INVALID, "the path does not begin with /");
    if (strlen(path) >= ROUTER_PATH_MAX)
        return status_fail(error, STATUS_INVALID, "the path is longer than %d bytes",
                           ROUTER_PATH_MAX - 1);
    for (const char *at = path + 1;;) {
        size_t size = strcspn(at, "/"), length = 0;
        bool last = at[size] == '\0';
        if (!(last && size == 0) &&
            !decode_segment(at, size, text + used, ROUTER_PATH_MAX - used, &length))
            return status_fail(error, STATUS_INVALID,
                               "the path is malformed: empty or dot segments, control characters "
                               "and bad escapes are refused");
        if (n < SEGMENTS_MAX)
            segments[n++] = (struct segment){text + used, length};
        else
            too_many = true;
        used += length;
        if (last)
            break;
        at += size + 1;
    }
    *count = too_many ? 0 : n;
    return STATUS_OK;
}

static bool take_name(const struct segment *segment, char out[NAME_MAX_LENGTH + 1]) {
    if (!name_valid(segment->text, segment->size))
        return false;
    memcpy(out, segment->text, segment->size);
    out[segment->size] = '\0';
    return true;
}

static bool pattern_matches(const char *pattern, const struct segment *segments, size_t count,
                            struct route_match *match) {
    size_t i = 0;
    for (const char *at = pattern; *at; i++) {
        at++; /* the slash */
        size_t size = strcspn(at, "/");
        if (i == count)
            return false;
        if (size == 3 && memcmp(at, "{m}", 3) == 0) {
            if (!take_name(&segments[i], match->model))
                return false;
        } else if (size == 3 && memcmp(at, "{v}", 3) == 0) {
            if (!take_name(&segments[i], match->version))
                return false;
        } else if (size == 3 && memcmp(at, "{k}", 3) == 0) {
            if (!take_name(&segments[i], match->key))
                return false;
        } else if (size == 3 && memcmp(at, "{r}", 3) == 0) {
            if (!segments[i].size)
                return false;
        } else if (size != segments[i].size || memcmp(at, segments[i].text, size) != 0) {
            return false;
        }
        at += size;
    }
    return i == count;
}

enum status router_match(const struct route *table, size_t count, const char *method,
                         const char *path, struct route_match *match, struct error *error) {
    char text[ROUTER_PATH_MAX], allow[ROUTER_ALLOW_MAX] = "";
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count = 0;
    enum status status = split(path, text, segments, &segment_count, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        struct route_match found = {.route = &table[i]};
        if (!pattern_matches(table[i].pattern, segments, segment_count, &found))
            continue;
        if (strcmp(table[i].method, method) == 0) {
            *match = found;
            return STATUS_OK;
        }
        /* Two patterns may match one path: /v2/models/stats is also a model's name. */
        size_t used = strlen(allow);
        if (strstr(allow, table[i].method))
            continue;
        snprintf(allow + used, sizeof allow - used, used ? ", %s" : "%s", table[i].method);
    }
    *match = (struct route_match){0};
    if (!allow[0])
        return status_fail(error, STATUS_NOT_FOUND, "there is nothing at this path");
    memcpy(match->allow, allow, sizeof allow);
    return status_fail(error, STATUS_METHOD, "this path takes %s", allow);
}
