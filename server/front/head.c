#include "server/front/head.h"

#include <string.h>
#include <strings.h>

/* A host, with a port perhaps; no name of a user in front of it (RFC 9110, section 4.2.4). */
static bool authority(const char *text, size_t size) {
    if (size == 0 || text[0] == ':')
        return false;
    for (size_t i = 0; i < size; i++)
        if (text[i] == '@' || text[i] == '\\' || (unsigned char)text[i] <= 0x20 ||
            (unsigned char)text[i] >= 0x7f)
            return false;
    return true;
}

enum status head_target(const char *method, const char *target, bool secure, const char **path,
                        struct error *error) {
    static const char https[] = "https://", http[] = "http://";
    if (strcmp(target, "*") == 0) {
        if (strcmp(method, "OPTIONS") != 0)
            return status_fail(error, STATUS_INVALID, "the target * is for OPTIONS alone");
        *path = HEAD_WHOLE_SERVER;
        return STATUS_OK;
    }
    if (strcmp(method, "CONNECT") == 0) {
        if (!authority(target, strcspn(target, "/")) || strchr(target, '/'))
            return status_fail(error, STATUS_INVALID, "the target of CONNECT is a host and a port");
        *path = HEAD_WHOLE_SERVER;
        return STATUS_OK;
    }
    const char *scheme = secure ? https : http;
    if (strncasecmp(target, scheme, strlen(scheme)) != 0)
        return status_fail(error, STATUS_INVALID,
                           "the target is neither a path, which begins with /, nor an address that "
                           "begins with %s",
                           scheme);
    target += strlen(scheme);
    size_t size = strcspn(target, "/");
    if (!authority(target, size))
        return status_fail(error, STATUS_INVALID, "the target's host is malformed");
    *path = target[size] ? target + size : "/";
    return STATUS_OK;
}

bool head_split(char *lines, struct screen_field *fields, size_t room, size_t *count) {
    size_t n = 0;
    while (lines[0] != '\0' && !(lines[0] == '\r' && lines[1] == '\0')) {
        char *end = strchr(lines, '\r'), *colon = strchr(lines, ':');
        if (n == room)
            *count = n;
        if (n == room || !end || end[1] != '\n' || !colon || colon > end)
            return false;
        *colon = *end = '\0';
        char *value = colon + 1;
        value += strspn(value, " \t");
        fields[n++] = (struct screen_field){lines, value};
        lines = end + 2;
    }
    *count = n;
    return true;
}
