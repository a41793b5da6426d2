#include "bundle/text.h"

size_t text_sequence(const uint8_t *s, size_t size) {
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    if ((s[0] >= 0x80 && s[0] < 0xc2) || s[0] > 0xf4 || n > size)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((s[i] & 0xc0) != 0x80)
            return 0;
    if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] > 0x9f) ||
        (s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] > 0x8f))
        return 0;
    return n;
}

enum text_fault text_check(struct str text, bool lines) {
    const uint8_t *s = (const uint8_t *)text.data;
    for (size_t i = 0; i < text.size;) {
        size_t n = text_sequence(s + i, text.size - i);
        if (n == 0)
            return TEXT_NOT_UTF8;
        bool c1 = n == 2 && s[i] == 0xc2 && s[i + 1] < 0xa0; /* U+0080 to U+009F */
        if ((s[i] < 0x20 && !(lines && (s[i] == '\n' || s[i] == '\t'))) || s[i] == 0x7f || c1)
            return TEXT_CONTROL;
        i += n;
    }
    return TEXT_FINE;
}
