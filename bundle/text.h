/* Text from outside: is it UTF-8 (RFC 3629: shortest form, no surrogates, nothing past U+10FFFF)
 * without control characters?
 *
 * Threads: any. Input: hostile. */
#ifndef BUNDLE_TEXT_H
#define BUNDLE_TEXT_H

#include "engine/model/tensor.h"

enum text_fault { TEXT_FINE, TEXT_NOT_UTF8, TEXT_CONTROL };

/* Bytes of the sequence at s[0..size), 0 where there is none; size is at least 1. */
size_t text_sequence(const uint8_t *s, size_t size);
/* `lines`: '\n' and '\t' are fine. */
enum text_fault text_check(struct str text, bool lines);

#endif
