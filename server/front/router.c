#include "server/front/router.h"

#include "server/front/head.h"

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
                               "the path is malformed: what stands between its slashes is one or "
                               "more printable ASCII characters, escaped or not, but no space, / "
                               "or \\, and is neither . nor ..");
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

/* A name that cannot be one matches nothing; what it would have named is told in `misnamed`. */
static bool pattern_matches(const char *pattern, const struct segment *segments, size_t count,
                            struct route_match *match, const char **misnamed) {
    const char *wrong = NULL;
    size_t i = 0;
    for (const char *at = pattern; *at; i++) {
        at++; /* the slash */
        size_t size = strcspn(at, "/");
        if (i == count)
            return false;
        if (size == 3 && memcmp(at, "{m}", 3) == 0) {
            if (!take_name(&segments[i], match->model))
                wrong = "the name of a model";
        } else if (size == 3 && memcmp(at, "{v}", 3) == 0) {
            if (!take_name(&segments[i], match->version))
                wrong = "a version";
        } else if (size == 3 && memcmp(at, "{k}", 3) == 0) {
            if (!take_name(&segments[i], match->key))
                wrong = "the id of a key";
        } else if (size == 3 && memcmp(at, "{r}", 3) == 0) {
            if (!segments[i].size)
                return false;
        } else if (size != segments[i].size || memcmp(at, segments[i].text, size) != 0) {
            return false;
        }
        at += size;
    }
    if (i != count)
        return false;
    if (wrong)
        *misnamed = wrong;
    return !wrong;
}

static void add_method(char allow[ROUTER_ALLOW_MAX], const char *method) {
    size_t used = strlen(allow);
    if (!strstr(allow, method))
        snprintf(allow + used, ROUTER_ALLOW_MAX - used, used ? ", %s" : "%s", method);
    /* Where GET is there, HEAD is (RFC 9110, section 9.1). */
    if (strcmp(method, "GET") == 0)
        add_method(allow, "HEAD");
}

static enum status no_such(const char *method, const char *path, const char *misnamed,
                           const char allow[ROUTER_ALLOW_MAX], struct error *error) {
    static const char *const known[] = {"GET",     "HEAD",    "POST",  "PUT",  "DELETE",
                                        "CONNECT", "OPTIONS", "TRACE", "PATCH"};
    bool is_known = false;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        is_known = is_known || strcmp(method, known[i]) == 0;
    if (!is_known)
        return status_fail(error, STATUS_UNIMPLEMENTED, "the method %.32s is not known here",
                           method);
    if (path[0] != '/')
        return status_fail(error, STATUS_METHOD, "the server's paths take %s", allow);
    if (allow[0])
        return status_fail(error, STATUS_METHOD, "this path takes %s", allow);
    if (misnamed)
        return status_fail(error, STATUS_NOT_FOUND,
                           "there is nothing at this path: %s is a letter or digit, then up to "
                           "%d letters, digits, '.', '_' and '-'",
                           misnamed, NAME_MAX_LENGTH - 1);
    return status_fail(error, STATUS_NOT_FOUND, "there is nothing at this path");
}

enum status router_match(const struct route *table, size_t count, const char *method,
                         const char *path, struct route_match *match, struct error *error) {
    char text[ROUTER_PATH_MAX], allow[ROUTER_ALLOW_MAX] = "";
    struct segment segments[SEGMENTS_MAX];
    size_t segment_count = 0;
    const bool whole = strcmp(path, HEAD_WHOLE_SERVER) == 0;
    const char *wanted = strcmp(method, "HEAD") == 0 ? "GET" : method, *misnamed = NULL;
    enum status status = whole ? STATUS_OK : split(path, text, segments, &segment_count, error);
    if (status != STATUS_OK)
        return status;
    for (size_t i = 0; i < count; i++) {
        struct route_match found = {.route = &table[i]};
        if (!whole &&
            !pattern_matches(table[i].pattern, segments, segment_count, &found, &misnamed))
            continue;
        if (!whole && strcmp(table[i].method, wanted) == 0) {
            *match = found;
            return STATUS_OK;
        }
        /* Two patterns may match one path: /v2/models/stats is also a model's name. */
        add_method(allow, table[i].method);
    }
    *match = (struct route_match){0};
    status = no_such(method, path, misnamed, allow, error);
    if (status == STATUS_METHOD)
        memcpy(match->allow, allow, sizeof allow);
    return status;
}
