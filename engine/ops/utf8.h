/* UTF-8, and upper and lower case of the scripts that have the distinction in simple form: Latin
 * (basic, Latin-1, Extended-A), Greek, Cyrillic, Armenian. One code point maps to one code point;
 * others stay as they are.
 *
 * Input: any bytes. A byte that is not part of well-formed UTF-8 is a code point of its own,
 * UTF8_BAD + byte, and is written back as that byte. Pure functions. */
#ifndef ENGINE_OPS_UTF8_H
#define ENGINE_OPS_UTF8_H

#include "engine/model/tensor.h"

#define UTF8_BAD 0x110000u
#define UTF8_MAX 4 /* bytes of one code point */

/* Reads a code point at *at < s.size and moves *at past it. */
uint32_t utf8_next(struct str s, size_t *at);
/* Writes 1 to UTF8_MAX bytes, returns how many. */
size_t utf8_put(uint32_t c, char *to);
uint32_t utf8_lower(uint32_t c);
uint32_t utf8_upper(uint32_t c);
/* Letter, digit or underscore, in ASCII. */
bool utf8_is_word(uint32_t c);

#endif
