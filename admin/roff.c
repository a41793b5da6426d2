#include "admin/roff.h"

#include <stdbool.h>
#include <string.h>

#define LINE 72

static void put(FILE *to, char c) {
    switch (c) {
    case '\\':
        fputs("\\e", to);
        break;
    case '-': /* a hyphen would not be found again where it is copied */
        fputs("\\-", to);
        break;
    case '^':
        fputs("\\(ha", to);
        break;
    case '~':
        fputs("\\(ti", to);
        break;
    case '\'':
        fputs("\\(aq", to);
        break;
    case '`':
        fputs("\\(ga", to);
        break;
    default:
        fputc(c, to);
    }
}

void roff_word(FILE *to, const char *text) {
    for (; *text; text++)
        put(to, *text);
}

/* Lines kept as they are, each beginning with a space; where they end is the answer. */
static const char *kept(FILE *to, const char *text) {
    fputs(".RS 2\n.nf\n", to);
    while (*text == ' ') {
        size_t length = strcspn(text, "\n");
        for (size_t i = strspn(text, " "); i < length; i++)
            put(to, text[i]);
        fputc('\n', to);
        text += length;
        text += *text == '\n';
    }
    fputs(".fi\n.RE\n", to);
    return text;
}

void roff_text(FILE *to, const char *text) {
    size_t at = 0;
    bool bold = false;
    while (*text) {
        if (at == 0 && *text == ' ') {
            text = kept(to, text);
            continue;
        }
        if (*text == '\n') {
            bool paragraph = text[1] == '\n';
            text += paragraph ? 2 : 1;
            if (at && (paragraph || *text == ' ')) {
                fputc('\n', to);
                at = 0;
            }
            if (paragraph && *text != ' ')
                fputs(".PP\n", to);
            continue;
        }
        if (*text == ' ') {
            text++;
            continue;
        }
        size_t length = strcspn(text, " \n");
        if (at && at + 1 + length > LINE) {
            fputc('\n', to);
            at = 0;
        }
        if (at)
            fputc(' ', to), at++;
        else if (*text == '.')
            fputs("\\&", to);
        for (size_t i = 0; i < length; i++) {
            if (text[i] == '`') {
                bold = !bold;
                fputs(bold ? "\\fB" : "\\fR", to);
            } else {
                put(to, text[i]);
            }
        }
        at += length;
        text += length;
        if (text[-1] == '.' && *text) { /* a sentence ends its line, as roff wants it */
            fputc('\n', to);
            at = 0;
            text += strspn(text, " ");
        }
    }
    if (at)
        fputc('\n', to);
}
