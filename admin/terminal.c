#include "admin/terminal.h"

#include <langinfo.h>
#include <locale.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#define WIDTH_DEFAULT 80
#define WIDTH_MAX 100000

enum color { COLOR_AUTO, COLOR_ALWAYS, COLOR_NEVER };

static enum color color = COLOR_AUTO;
static bool utf8; /* the locale's encoding */

enum status terminal_start(const char *when, struct error *error) {
    static const char *const names[] = {"auto", "always", "never"};
    /* wcwidth asks the locale, and C knows ASCII alone. */
    if (!setlocale(LC_CTYPE, "") || strcmp(nl_langinfo(CODESET), "UTF-8") != 0)
        setlocale(LC_CTYPE, "C.UTF-8");
    else
        utf8 = true;
    for (size_t i = 0; when && i < sizeof names / sizeof names[0]; i++)
        if (strcmp(when, names[i]) == 0) {
            color = (enum color)i;
            return STATUS_OK;
        }
    if (when)
        return status_fail(error, STATUS_INVALID,
                           "--color: found \"%s\", expected auto, always or never", when);
    return STATUS_OK;
}

bool terminal_is(FILE *stream) {
    return isatty(fileno(stream)) == 1;
}

bool terminal_redraws(FILE *stream) {
    const char *term = getenv("TERM");
    return terminal_is(stream) && term && *term && strcmp(term, "dumb") != 0;
}

size_t terminal_width(FILE *stream) {
    struct winsize size = {0};
    const char *columns = getenv("COLUMNS");
    long wanted = columns ? strtol(columns, NULL, 10) : 0;
    if (!terminal_is(stream))
        return 0;
    if (wanted <= 0 && ioctl(fileno(stream), TIOCGWINSZ, &size) == 0)
        wanted = size.ws_col;
    if (wanted <= 0)
        wanted = WIDTH_DEFAULT;
    if (wanted > WIDTH_MAX)
        wanted = WIDTH_MAX;
    return wanted < TERMINAL_WIDTH_MIN ? TERMINAL_WIDTH_MIN : (size_t)wanted;
}

static bool colored(FILE *stream) {
    const char *no = getenv("NO_COLOR");
    return color == COLOR_ALWAYS ||
           (color == COLOR_AUTO && terminal_redraws(stream) && !(no && *no));
}

const char *terminal_on(FILE *stream, enum terminal_style style) {
    static const char *const codes[] = {
        [TERMINAL_PLAIN] = "",        [TERMINAL_STRONG] = "\033[1m", [TERMINAL_FAINT] = "\033[2m",
        [TERMINAL_GOOD] = "\033[32m", [TERMINAL_WARN] = "\033[33m",  [TERMINAL_BAD] = "\033[1;31m",
    };
    return colored(stream) ? codes[style] : "";
}

const char *terminal_off(FILE *stream) {
    return colored(stream) ? "\033[0m" : "";
}

/* Bytes of the character at `text`, and the character; one byte and U+FFFD where it is no UTF-8. */
static size_t decode(const char *text, uint32_t *character) {
    const uint8_t *s = (const uint8_t *)text;
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80       ? 1
                    : s[0] >> 5 == 6  ? 2
                    : s[0] >> 4 == 14 ? 3
                    : s[0] >> 3 == 30 ? 4
                                      : 0;
    *character = 0xfffd;
    if (length <= 1) {
        if (length)
            *character = s[0];
        return 1;
    }
    uint32_t c = s[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if (s[i] >> 6 != 2)
            return 1;
        c = c << 6 | (s[i] & 0x3f);
    }
    if (c < least[length] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
        return 1;
    *character = c;
    return length;
}

/* Characters that move the cursor, turn the direction, or are there and not seen. */
static bool harmful(uint32_t c) {
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0xad || c == 0x61c ||
           (c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2060 && c <= 0x206f) || c == 0xfeff || c == 0xfffd ||
           (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

void terminal_clean(char *text) {
    char *out = text;
    for (size_t n; *text; text += n) {
        uint32_t c;
        n = decode(text, &c);
        /* Where the locale is not UTF-8, a terminal would show other characters in its place. */
        if (harmful(c) || (c >= 0x80 && !utf8 && terminal_is(stdout))) {
            *out++ = '?';
        } else {
            memmove(out, text, n);
            out += n;
        }
    }
    *out = '\0';
}

static size_t columns_of(uint32_t c) {
    int columns = c < 0x80 ? 1 : wcwidth((wchar_t)c);
    return columns < 0 ? 1 : (size_t)columns;
}

size_t terminal_columns(const char *text) {
    size_t columns = 0;
    for (size_t n; *text; text += n) {
        uint32_t c;
        n = decode(text, &c);
        columns += columns_of(c);
    }
    return columns;
}

void terminal_cut(char *text, size_t size, size_t columns) {
    const char *ellipsis = utf8 ? "\xe2\x80\xa6" : "~";
    size_t used = 0, at = 0;
    if (terminal_columns(text) <= columns || columns == 0)
        return;
    for (size_t n; text[at]; at += n) {
        uint32_t c;
        n = decode(text + at, &c);
        if (used + columns_of(c) + 1 > columns || at + n + 4 > size)
            break;
        used += columns_of(c);
    }
    /* What is gone took at least the column that the ellipsis takes, not as many bytes. */
    if (at + strlen(ellipsis) < size)
        memcpy(text + at, ellipsis, strlen(ellipsis) + 1);
}

static size_t print_columns(FILE *to, const char *text, size_t length) {
    size_t columns = 0;
    for (size_t at = 0, n; at < length; at += n) {
        uint32_t c;
        n = decode(text + at, &c);
        columns += columns_of(c);
    }
    fwrite(text, 1, length, to);
    return columns;
}

void terminal_wrap(FILE *to, const char *text, size_t indent, size_t width) {
    size_t at = indent;
    bool fresh = true; /* nothing stands on this line */
    while (*text) {
        if (*text == '\n') {
            bool paragraph = text[1] == '\n';
            if (paragraph || text[1] == ' ') {
                fprintf(to, "%s%*s", paragraph ? "\n\n" : "\n", (int)indent, "");
                at = indent;
                fresh = true;
            }
            text += paragraph ? 2 : 1;
            if (*text == ' ') { /* kept as it stands */
                size_t length = strcspn(text, "\n");
                at += print_columns(to, text, length);
                text += length;
                fresh = false;
                if (*text == '\n' && text[1] != '\n' && text[1] != ' ') {
                    fprintf(to, "\n%*s", (int)indent, "");
                    at = indent;
                    fresh = true;
                    text++;
                }
            }
            continue;
        }
        if (*text == ' ') {
            text++;
            continue;
        }
        size_t length = strcspn(text, " \n"), columns = 0;
        for (size_t i = 0, n; i < length; i += n) {
            uint32_t c;
            n = decode(text + i, &c);
            columns += columns_of(c);
        }
        if (!fresh && width && at + 1 + columns > width) {
            fprintf(to, "\n%*s", (int)indent, "");
            at = indent;
            fresh = true;
        }
        if (!fresh) {
            putc(' ', to);
            at++;
        }
        at += print_columns(to, text, length);
        fresh = false;
        text += length;
    }
}
