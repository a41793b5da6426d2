#include "base/name.h"

#include <string.h>

static bool alphanumeric(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool name_valid(const char *text, size_t length) {
    if (length == 0 || length > NAME_MAX_LENGTH || !alphanumeric(text[0]))
        return false;
    for (size_t i = 1; i < length; i++)
        if (!alphanumeric(text[i]) && text[i] != '.' && text[i] != '_' && text[i] != '-')
            return false;
    return true;
}

bool name_is_uid(const char *text) {
    return strspn(text, "0123456789abcdef") == 32 && text[32] == '\0';
}
