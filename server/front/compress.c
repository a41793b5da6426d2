#include "server/front/compress.h"

#include <stdalign.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>

#define GZIP_ID1 0x1f /* the first byte of a member */

/* Takes from the room's start to its end, and nothing is given back before the room is. */
struct arena {
    uint8_t *data;
    size_t capacity, used;
};

struct compress_in {
    z_stream stream;
    struct arena arena;
    enum compress_coding coding;
    bool ended; /* the stream, or one member of it, is complete */
};

static void *take(void *opaque, unsigned count, unsigned size) {
    struct arena *arena = opaque;
    size_t bytes;
    if (__builtin_mul_overflow((size_t)count, size, &bytes) ||
        __builtin_add_overflow(bytes, alignof(max_align_t) - 1, &bytes))
        return NULL;
    bytes &= ~(alignof(max_align_t) - 1);
    if (bytes > arena->capacity - arena->used)
        return NULL;
    void *at = arena->data + arena->used;
    arena->used += bytes;
    return at;
}

static void give_back(void *opaque, void *address) {
    (void)opaque;
    (void)address;
}

static int window_bits(enum compress_coding coding) {
    return coding == COMPRESS_GZIP ? MAX_WBITS + 16 : MAX_WBITS;
}

/* --- names --------------------------------------------------------------------------------- */

static enum compress_coding named(const char *text, size_t size) {
    static const struct {
        const char *name;
        enum compress_coding coding;
    } codings[] = {
        {"identity", COMPRESS_IDENTITY},
        {"gzip", COMPRESS_GZIP},
        {"x-gzip", COMPRESS_GZIP}, /* the same (RFC 9110, 8.4.1.3) */
        {"deflate", COMPRESS_DEFLATE},
    };
    for (size_t i = 0; i < sizeof codings / sizeof *codings; i++)
        if (strlen(codings[i].name) == size && strncasecmp(codings[i].name, text, size) == 0)
            return codings[i].coding;
    return COMPRESS_UNKNOWN;
}

const char *compress_name(enum compress_coding coding) {
    return coding == COMPRESS_GZIP ? "gzip" : coding == COMPRESS_DEFLATE ? "deflate" : "identity";
}

static size_t without_end(const char *text, size_t size) {
    while (size && (text[size - 1] == ' ' || text[size - 1] == '\t'))
        size--;
    return size;
}

enum compress_coding compress_coding_of(const char *content_encoding) {
    if (!content_encoding)
        return COMPRESS_IDENTITY;
    content_encoding += strspn(content_encoding, " \t");
    return named(content_encoding, without_end(content_encoding, strlen(content_encoding)));
}

/* A weight in thousandths: 0, 0.5, 0.123, 1.000; -1 where it is none. */
static int weight_of(const char *text, size_t size) {
    if (size == 0 || size > 5 || (text[0] != '0' && text[0] != '1') || (size > 1 && text[1] != '.'))
        return -1;
    int value = text[0] == '1' ? 1000 : 0, unit = 100;
    for (size_t i = 2; i < size; i++, unit /= 10) {
        if (text[i] < '0' || text[i] > '9')
            return -1;
        value += (text[i] - '0') * unit;
    }
    return value <= 1000 ? value : -1;
}

/* One element: `gzip`, `gzip;q=0.5`. False where it is malformed. */
static bool element_of(const char *text, size_t size, int weights[COMPRESS_UNKNOWN], int *others) {
    const char *semicolon = memchr(text, ';', size);
    size_t name = without_end(text, semicolon ? (size_t)(semicolon - text) : size);
    int weight = 1000;
    if (semicolon) {
        const char *q = semicolon + 1, *end = text + size;
        while (q < end && (*q == ' ' || *q == '\t'))
            q++;
        if (end - q < 3 || (q[0] != 'q' && q[0] != 'Q') || q[1] != '=')
            return false;
        weight = weight_of(q + 2, without_end(q + 2, (size_t)(end - q - 2)));
    }
    if (weight < 0 || name == 0)
        return false;
    if (name == 1 && *text == '*') {
        *others = weight;
        return true;
    }
    enum compress_coding coding = named(text, name);
    if (coding != COMPRESS_UNKNOWN)
        weights[coding] = weight;
    return true;
}

enum compress_coding compress_accepted(const char *accept_encoding) {
    int weights[COMPRESS_UNKNOWN] = {-1, -1, -1}, others = -1;
    if (!accept_encoding)
        return COMPRESS_IDENTITY;
    for (const char *at = accept_encoding;;) {
        at += strspn(at, " \t");
        size_t whole = strcspn(at, ","), size = without_end(at, whole);
        if (size && !element_of(at, size, weights, &others))
            return COMPRESS_IDENTITY;
        if (!at[whole])
            break;
        at += whole + 1;
    }
    int gzip = weights[COMPRESS_GZIP] >= 0 ? weights[COMPRESS_GZIP] : others;
    int deflate = weights[COMPRESS_DEFLATE] >= 0 ? weights[COMPRESS_DEFLATE] : others;
    int best = gzip > deflate ? gzip : deflate;
    if (best <= 0 || weights[COMPRESS_IDENTITY] > best)
        return COMPRESS_IDENTITY;
    return gzip >= deflate ? COMPRESS_GZIP : COMPRESS_DEFLATE;
}

/* --- in ------------------------------------------------------------------------------------ */

enum status compress_in_begin(void *room, enum compress_coding coding, struct compress_in **in,
                              struct error *error) {
    struct arena arena = {.data = room, .capacity = COMPRESS_IN_ROOM};
    struct compress_in *c = take(&arena, 1, sizeof *c);
    if (!c)
        return status_fail(error, STATUS_INTERNAL, "internal error");
    memset(c, 0, sizeof *c);
    c->arena = arena;
    c->coding = coding;
    c->stream.zalloc = take;
    c->stream.zfree = give_back;
    c->stream.opaque = &c->arena;
    if (inflateInit2(&c->stream, window_bits(coding)) != Z_OK) {
        compress_in_close(c);
        return status_fail(error, STATUS_INTERNAL, "internal error");
    }
    *in = c;
    return STATUS_OK;
}

static enum status too_large(size_t capacity, struct error *error) {
    return status_fail(error, STATUS_TOO_LARGE,
                       "the body is larger than %zu bytes when it is decompressed, the limit",
                       capacity);
}

enum status compress_in_take(struct compress_in *c, const uint8_t *bytes, size_t size,
                             struct compress_sink *sink, struct error *error) {
    z_stream *s = &c->stream;
    enum status status = STATUS_OK;
    bool held = false; /* zlib has taken all and may have more to write than there was room for */
    while ((size || held) && status == STATUS_OK) {
        if (sink->used == sink->room && sink->room < sink->capacity &&
            (status = sink->grow(sink, error)) != STATUS_OK)
            break;
        unsigned in = size < UINT32_MAX ? (unsigned)size : UINT32_MAX;
        size_t left = sink->room - sink->used;
        unsigned room = left < UINT32_MAX ? (unsigned)left : UINT32_MAX;
        /* Another member may follow, and nothing else (RFC 1952, section 2.2). */
        if (c->ended &&
            (c->coding != COMPRESS_GZIP || *bytes != GZIP_ID1 || inflateReset(s) != Z_OK))
            return status_fail(error, STATUS_INVALID,
                               "%zu bytes or more are left over after the compressed body", size);
        c->ended = false;
        s->next_in = (Bytef *)(uintptr_t)bytes;
        s->avail_in = in;
        s->next_out = sink->data + sink->used;
        s->avail_out = room;
        int result = inflate(s, Z_NO_FLUSH);
        bytes += in - s->avail_in;
        size -= in - s->avail_in;
        sink->used += room - s->avail_out;
        c->ended = result == Z_STREAM_END;
        held = !c->ended && s->avail_out == 0 && sink->room < sink->capacity;
        if (result == Z_BUF_ERROR) { /* nothing can be done: no room, or nothing was held */
            if (size || sink->used == sink->capacity)
                status = too_large(sink->capacity, error);
        } else if (result != Z_OK && result != Z_STREAM_END) {
            status = status_fail(error, STATUS_INVALID,
                                 "the body is not %s: its compressed data are malformed",
                                 compress_name(c->coding));
        }
    }
    s->next_in = NULL;
    s->next_out = NULL;
    return status;
}

enum status compress_in_end(const struct compress_in *c, const struct compress_sink *sink,
                            struct error *error) {
    if (c->ended)
        return STATUS_OK;
    if (sink->used == sink->capacity)
        return too_large(sink->capacity, error);
    return status_fail(error, STATUS_INVALID, "the body ends inside its %s data",
                       compress_name(c->coding));
}

void compress_in_close(struct compress_in *c) {
    if (c)
        explicit_bzero(c->arena.data, c->arena.used);
}

/* --- out ----------------------------------------------------------------------------------- */

bool compress_out(void *room, enum compress_coding coding, const uint8_t *bytes, size_t size,
                  uint8_t *out, size_t capacity, size_t *written) {
    struct arena arena = {.data = room, .capacity = COMPRESS_OUT_ROOM};
    z_stream s = {.zalloc = take, .zfree = give_back, .opaque = &arena};
    bool fits = false;
    if (size > UINT32_MAX || capacity > UINT32_MAX)
        return false;
    /* The fastest level: what it leaves is not worth the others' time on a line of today. */
    if (deflateInit2(&s, Z_BEST_SPEED, Z_DEFLATED, window_bits(coding), 8, Z_DEFAULT_STRATEGY) ==
        Z_OK) {
        s.next_in = (Bytef *)(uintptr_t)bytes;
        s.avail_in = (unsigned)size;
        s.next_out = out;
        s.avail_out = (unsigned)capacity;
        fits = deflate(&s, Z_FINISH) == Z_STREAM_END;
        if (fits)
            *written = capacity - s.avail_out;
    }
    explicit_bzero(arena.data, arena.used);
    explicit_bzero(&s, sizeof s);
    return fits;
}
