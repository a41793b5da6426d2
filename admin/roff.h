/* Text in the language of man pages (man(7)): every character stands for itself, and lines of the
 * source stay short. */
#ifndef ADMIN_ROFF_H
#define ADMIN_ROFF_H

#include <stdio.h>

/* One word or label: no newline. */
void roff_word(FILE *to, const char *text);
/* Sentences, filled: '\n' is a space, an empty line parts paragraphs, lines that begin with a space
 * stay as they are, and what stands in backticks is bold. Ends its line. */
void roff_text(FILE *to, const char *text);

#endif
