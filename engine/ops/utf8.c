#include "engine/ops/utf8.h"

uint32_t utf8_next(struct str s, size_t *at) {
    const uint8_t *p = (const uint8_t *)s.data + *at;
    size_t left = s.size - *at;
    *at += 1;
    if (p[0] < 0x80)
        return p[0];
    size_t more = p[0] >= 0xf0 && p[0] < 0xf5 ? 3 : p[0] >= 0xe0 && p[0] < 0xf0 ? 2 : 1;
    if (p[0] < 0xc2 || p[0] >= 0xf5 || left <= more)
        return UTF8_BAD + p[0];
    uint32_t c = p[0] & (0x3fu >> more);
    for (size_t i = 1; i <= more; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return UTF8_BAD + p[0];
        c = c << 6 | (p[i] & 0x3fu);
    }
    static const uint32_t least[] = {0, 0x80, 0x800, 0x10000};
    if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000))
        return UTF8_BAD + p[0];
    *at += more;
    return c;
}

size_t utf8_put(uint32_t c, char *to) {
    if (c >= UTF8_BAD) {
        to[0] = (char)(c - UTF8_BAD);
        return 1;
    }
    if (c < 0x80) {
        to[0] = (char)c;
        return 1;
    }
    size_t more = c < 0x800 ? 1 : c < 0x10000 ? 2 : 3;
    static const uint32_t lead[] = {0, 0xc0, 0xe0, 0xf0};
    to[0] = (char)(lead[more] | c >> 6 * more);
    for (size_t i = 1; i <= more; i++)
        to[i] = (char)(0x80 | (c >> 6 * (more - i) & 0x3f));
    return more + 1;
}

/* Ranges of capital letters. step 1: the small one is `away` further. step 2: capitals and small
 * letters alternate, the capital first. */
static const struct {
    uint32_t first, last, away, step;
} cases[] = {
    {'A', 'Z', 32, 1},     {0xc0, 0xd6, 32, 1},    {0xd8, 0xde, 32, 1},    {0x100, 0x12f, 1, 2},
    {0x132, 0x137, 1, 2},  {0x139, 0x148, 1, 2},   {0x14a, 0x177, 1, 2},   {0x179, 0x17e, 1, 2},
    {0x386, 0x386, 38, 1}, {0x388, 0x38a, 37, 1},  {0x38c, 0x38c, 64, 1},  {0x38e, 0x38f, 63, 1},
    {0x391, 0x3a1, 32, 1}, {0x3a3, 0x3ab, 32, 1},  {0x400, 0x40f, 80, 1},  {0x410, 0x42f, 32, 1},
    {0x460, 0x481, 1, 2},  {0x48a, 0x4bf, 1, 2},   {0x4c1, 0x4ce, 1, 2},   {0x4d0, 0x52f, 1, 2},
    {0x531, 0x556, 48, 1}, {0x1e00, 0x1e95, 1, 2}, {0x1ea0, 0x1eff, 1, 2},
};

uint32_t utf8_lower(uint32_t c) {
    if (c == 0x178)
        return 0xff;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (c >= cases[i].first && c <= cases[i].last && (c - cases[i].first) % cases[i].step == 0)
            return c + cases[i].away;
    return c;
}

uint32_t utf8_upper(uint32_t c) {
    if (c == 0xff)
        return 0x178;
    if (c == 0x3c2) /* final sigma */
        return 0x3a3;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint32_t big = c - cases[i].away;
        if (c >= cases[i].away && big >= cases[i].first && big <= cases[i].last &&
            (big - cases[i].first) % cases[i].step == 0)
            return big;
    }
    return c;
}

bool utf8_is_word(uint32_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}
