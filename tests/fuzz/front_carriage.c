/* libFuzzer target: how a request is carried. The first byte chooses: a compressed body (the second
 * byte says in what pieces it comes, the third how much room there is), Content-Encoding and
 * Accept-Encoding, traceparent, tracestate. What is decompressed must be what zlib itself gives. */
#include "server/front/compress.h"
#include "server/front/trace.h"
#include "tests/fuzz/fuzz.h"

#include <zlib.h>

#define ROOM_MAX 65536

static uint8_t room[COMPRESS_IN_ROOM];

/* zlib with the heap, all at once; -1 where it is not one whole stream that fits. */
static long reference(int window_bits, const uint8_t *data, size_t size, uint8_t *out,
                      size_t capacity) {
    z_stream s = {0};
    FUZZ_REQUIRE(inflateInit2(&s, window_bits) == Z_OK);
    s.next_in = (Bytef *)(uintptr_t)data;
    s.avail_in = (unsigned)size;
    s.next_out = out;
    s.avail_out = (unsigned)capacity;
    int result = inflate(&s, Z_FINISH);
    long used = result == Z_STREAM_END && s.avail_in == 0 ? (long)(capacity - s.avail_out) : -1;
    inflateEnd(&s);
    return used;
}

static enum status grow(struct compress_sink *sink, struct error *why) {
    (void)why;
    sink->room += sink->capacity - sink->room > 100 ? 100 : sink->capacity - sink->room;
    return STATUS_OK;
}

static void fuzz_inflate(enum compress_coding coding, const uint8_t *data, size_t size) {
    if (size < 2)
        return;
    size_t step = 1 + data[0], capacity = (size_t)data[1] << 8;
    uint8_t *out = malloc(capacity + 1), *other = malloc(capacity + 1);
    struct compress_in *in = NULL;
    struct error error;
    memset(&error, 0xa5, sizeof error);
    FUZZ_REQUIRE(out && other);
    struct compress_sink sink = {
        .data = out, .room = capacity & 1023, .capacity = capacity, .grow = grow};
    data += 2;
    size -= 2;
    FUZZ_REQUIRE(compress_in_begin(room, coding, &in, &error) == STATUS_OK);
    enum status status = STATUS_OK;
    for (size_t at = 0; at < size && status == STATUS_OK; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *piece = fuzz_copy(data + at, n);
        status = compress_in_take(in, piece, n, &sink, &error);
        FUZZ_REQUIRE(sink.used <= sink.room && sink.room <= capacity);
        free(piece);
    }
    if (status == STATUS_OK)
        status = compress_in_end(in, &sink, &error);
    compress_in_close(in);
    if (status != STATUS_OK)
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
    long expected = reference(coding == COMPRESS_GZIP ? 31 : 15, data, size, other, capacity);
    if (expected >= 0)
        FUZZ_REQUIRE(status == STATUS_OK && sink.used == (size_t)expected &&
                     memcmp(out, other, sink.used) == 0);
    else if (coding == COMPRESS_DEFLATE)
        FUZZ_REQUIRE(status != STATUS_OK);
    free(out);
    free(other);
}

static void fuzz_parent(const char *text) {
    static struct trace_random random;
    char next[TRACE_PARENT_SIZE + 1];
    if (!trace_parent_valid(text))
        return;
    FUZZ_REQUIRE(trace_parent_next(&random, text, next));
    FUZZ_REQUIRE(trace_parent_valid(next) && strlen(next) == TRACE_PARENT_SIZE);
    FUZZ_REQUIRE(memcmp(next + 2, text + 2, 34) == 0);
}

static void fuzz_state(const char *text) {
    if (!trace_state_valid(text))
        return;
    FUZZ_REQUIRE(strlen(text) <= TRACE_STATE_MAX && strchr(text, '='));
    for (; *text; text++) /* it goes into an answer's head as it is */
        FUZZ_REQUIRE((*text >= 0x20 && *text <= 0x7e) || *text == '\t');
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 1)
        return 0;
    char *text = fuzz_text(data + 1, size - 1);
    switch (data[0]) {
    case 'G':
        fuzz_inflate(COMPRESS_GZIP, data + 1, size - 1);
        break;
    case 'D':
        fuzz_inflate(COMPRESS_DEFLATE, data + 1, size - 1);
        break;
    case 'P':
        fuzz_parent(text);
        break;
    case 'S':
        fuzz_state(text);
        break;
    default:
        FUZZ_REQUIRE(compress_coding_of(text) <= COMPRESS_UNKNOWN);
        FUZZ_REQUIRE(compress_accepted(text) < COMPRESS_UNKNOWN);
        break;
    }
    free(text);
    return 0;
}
