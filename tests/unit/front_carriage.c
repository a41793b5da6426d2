/* How a request and its answer are carried: compressed bodies, traces, limits, counts. */
#include "server/front/budget.h"
#include "server/front/compress.h"
#include "server/front/counters.h"
#include "server/front/rate_limit.h"
#include "server/front/scratch.h"
#include "server/front/trace.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

static struct error error;
static uint8_t in_room[COMPRESS_IN_ROOM], out_room[COMPRESS_OUT_ROOM];

/* Made with the library alone, so that a mistake on both sides shows. */
static size_t pack(int window_bits, const void *data, size_t size, uint8_t *out, size_t room) {
    z_stream s = {0};
    cr_assert_eq(deflateInit2(&s, 9, Z_DEFLATED, window_bits, 9, Z_DEFAULT_STRATEGY), Z_OK);
    s.next_in = (Bytef *)(uintptr_t)data;
    s.avail_in = (unsigned)size;
    s.next_out = out;
    s.avail_out = (unsigned)room;
    cr_assert_eq(deflate(&s, Z_FINISH), Z_STREAM_END);
    deflateEnd(&s);
    return room - s.avail_out;
}

static size_t growth;

static enum status grow(struct compress_sink *sink, struct error *why) {
    if (!growth)
        return status_fail(why, STATUS_UNAVAILABLE, "no more");
    sink->room = sink->capacity - sink->room > growth ? sink->room + growth : sink->capacity;
    return STATUS_OK;
}

/* In pieces of `step` bytes, into room that grows by `step` and some; the room for zlib must be
 * clean afterwards. */
static enum status unpack(enum compress_coding coding, const uint8_t *bytes, size_t size,
                          size_t step, uint8_t *out, size_t capacity, size_t *used) {
    struct compress_in *in = NULL;
    memset(in_room, 0, sizeof in_room);
    *used = 0;
    error.message[0] = '\0';
    cr_assert_eq(compress_in_begin(in_room, coding, &in, &error), STATUS_OK);
    struct compress_sink sink = {.data = out, .room = 0, .capacity = capacity, .grow = grow};
    growth = step + 7;
    enum status status = STATUS_OK;
    for (size_t at = 0; at < size && status == STATUS_OK; at += step) {
        size_t n = size - at < step ? size - at : step;
        uint8_t *exact = malloc(n);
        memcpy(exact, bytes + at, n);
        status = compress_in_take(in, exact, n, &sink, &error);
        free(exact);
    }
    if (status == STATUS_OK)
        status = compress_in_end(in, &sink, &error);
    *used = sink.used;
    compress_in_close(in);
    for (size_t i = 0; i < sizeof in_room; i++)
        cr_assert_eq(in_room[i], 0, "byte %zu of the room is left", i);
    return status;
}

static void fill(uint8_t *data, size_t size) {
    uint32_t state = 1;
    for (size_t i = 0; i < size; i++) {
        state = state * 1664525u + 1013904223u;
        data[i] = (uint8_t)("0123456789,."[state >> 28 & 7] + (i % 97 == 0));
    }
}

Test(front_compress, bodies_come_out_as_they_were) {
    static uint8_t plain[100000], packed[200000], out[100001];
    const struct {
        enum compress_coding coding;
        int bits;
    } codings[] = {{COMPRESS_GZIP, 31}, {COMPRESS_DEFLATE, 15}};
    fill(plain, sizeof plain);
    for (size_t c = 0; c < 2; c++) {
        size_t size = pack(codings[c].bits, plain, sizeof plain, packed, sizeof packed), used;
        for (size_t step = 1; step < 40000; step = step * 5 + 1) {
            cr_assert_eq(unpack(codings[c].coding, packed, size, step, out, sizeof out, &used),
                         STATUS_OK, "%s", error.message);
            cr_assert(used == sizeof plain && memcmp(out, plain, used) == 0);
        }
        /* Into exactly as much room as is needed, and into one byte less. */
        cr_expect_eq(unpack(codings[c].coding, packed, size, 999, out, sizeof plain, &used),
                     STATUS_OK);
        cr_expect_eq(unpack(codings[c].coding, packed, size, 999, out, sizeof plain - 1, &used),
                     STATUS_TOO_LARGE);
        cr_expect_eq(used, sizeof plain - 1);
        cr_expect(strstr(error.message, "larger than 99999 bytes") != NULL, "%s", error.message);
        cr_expect_eq(unpack(3 - codings[c].coding, packed, size, 999, out, sizeof out, &used),
                     STATUS_INVALID, "the other coding is taken");
        for (size_t cut = 0; cut < size; cut += cut < 20 || cut + 20 > size ? 1 : 997)
            cr_expect_eq(unpack(codings[c].coding, packed, cut, size, out, sizeof out, &used),
                         STATUS_INVALID, "cut at %zu", cut);
        packed[size - 1] ^= 1; /* of the checksum, or of the length */
        cr_expect_eq(unpack(codings[c].coding, packed, size, size, out, sizeof out, &used),
                     STATUS_INVALID);
        packed[size - 1] ^= 1;
        packed[size] = 'x';
        cr_expect_eq(unpack(codings[c].coding, packed, size + 1, size, out, sizeof out, &used),
                     STATUS_INVALID);
        cr_expect(error.message[0] != '\0');
    }
}

Test(front_compress, nothing_is_written_without_room) {
    static uint8_t plain[100000], packed[4096], out[100000];
    struct compress_in *in = NULL;
    struct compress_sink sink = {.data = out, .room = 500, .capacity = sizeof out, .grow = grow};
    size_t size = pack(31, plain, sizeof plain, packed, sizeof packed);
    memset(out, 0xa5, sizeof out);
    growth = 0;
    cr_assert_eq(compress_in_begin(in_room, COMPRESS_GZIP, &in, &error), STATUS_OK);
    cr_expect_eq(compress_in_take(in, packed, size, &sink, &error), STATUS_UNAVAILABLE);
    cr_expect_str_eq(error.message, "no more");
    cr_expect_eq(sink.used, 500);
    cr_expect_eq(out[499], 0);
    cr_expect_eq(out[500], 0xa5);
    compress_in_close(in);
}

/* One alone half, two a third each; whoever has nothing always finds room. */
Test(front_budget, nobody_has_more_than_what_is_left) {
    static struct budget b = {.limit = 1200};
    cr_assert_eq(budget_take(&b, 1, 0, 601, &error), STATUS_TOO_LARGE);
    cr_assert_eq(budget_take(&b, 1, 500, 101, &error), STATUS_TOO_LARGE);
    cr_assert_eq(budget_take(&b, 1, UINT64_MAX, UINT64_MAX, &error), STATUS_TOO_LARGE);
    cr_assert_eq(budget_take(&b, 1, 0, 600, &error), STATUS_OK);
    cr_assert_eq(budget_take(&b, 1, 0, 1, &error), STATUS_UNAVAILABLE);
    cr_assert_eq(budget_take(&b, 2, 0, 301, &error), STATUS_UNAVAILABLE);
    cr_assert_eq(budget_take(&b, 2, 0, 300, &error), STATUS_OK);
    cr_assert_eq(budget_take(&b, 3, 0, 150, &error), STATUS_OK);
    budget_give(&b, 1, 600);
    cr_assert_eq(budget_take(&b, 2, 0, 75, &error), STATUS_OK);
    budget_give(&b, 2, 375);
    budget_give(&b, 3, 150);
    cr_expect_eq(b.used, 0);
    for (size_t i = 0; i < BUDGET_SHARES; i++)
        cr_expect_eq(b.of[i], 0);
    cr_expect_eq(b.refused, 5);
}

Test(front_budget, scratch_asks_beyond_its_standing_part_and_gives_back) {
    static struct budget b = {.limit = 64 << 20};
    struct scratch s = {0};
    const size_t mib = 1 << 20;
    cr_assert_eq(scratch_take(&s, 9 * mib, &error), STATUS_OK);
    cr_assert_eq(scratch_allow(&s, &b, 7, 0, mib, &error), STATUS_OK);
    cr_expect_eq(b.used, 0);
    cr_assert_eq(scratch_allow(&s, &b, 7, 0, mib + 1, &error), STATUS_OK);
    cr_expect_eq(b.used, mib);
    cr_assert_eq(scratch_allow(&s, &b, 7, 0, 9 * mib, &error), STATUS_OK);
    cr_expect_eq(b.used, 8 * mib);
    scratch_trim(&s, 3 * mib);
    cr_expect_eq(b.used, 2 * mib);
    cr_assert_eq(scratch_allow(&s, &b, 7, 31 * mib, 9 * mib, &error), STATUS_TOO_LARGE);
    cr_expect_eq(b.used, 2 * mib);
    scratch_wipe(&s, 3 * mib);
    cr_expect_eq(b.used, 0);
    cr_expect_eq(b.of[7], 0);
    scratch_free(&s);
}

Test(front_compress, gzip_may_have_members) {
    static uint8_t packed[4096], out[64];
    size_t size = pack(31, "first,", 6, packed, sizeof packed), used;
    size += pack(31, "", 0, packed + size, sizeof packed - size);
    size += pack(31, "second", 6, packed + size, sizeof packed - size);
    for (size_t step = 1; step <= size; step++) {
        cr_assert_eq(unpack(COMPRESS_GZIP, packed, size, step, out, sizeof out, &used), STATUS_OK);
        cr_expect(used == 12 && memcmp(out, "first,second", 12) == 0);
    }
}

Test(front_compress, a_bomb_ends_at_the_bound) {
    const size_t size = 64 << 20, capacity = 1 << 20;
    uint8_t *zeros = calloc(1, size), *packed = malloc(1 << 20), *out = malloc(capacity + 64);
    size_t bomb = pack(31, zeros, size, packed, 1 << 20), used;
    cr_assert_lt(bomb, size / 900);
    memset(out + capacity, 0xa5, 64);
    cr_expect_eq(unpack(COMPRESS_GZIP, packed, bomb, 16384, out, capacity, &used),
                 STATUS_TOO_LARGE);
    cr_expect_eq(used, capacity);
    for (size_t i = 0; i < 64; i++)
        cr_expect_eq(out[capacity + i], 0xa5);
    free(zeros);
    free(packed);
    free(out);
}

Test(front_compress, what_goes_out_comes_back) {
    static uint8_t plain[50000], packed[50000], out[50000];
    size_t size, used;
    fill(plain, sizeof plain);
    for (enum compress_coding coding = COMPRESS_GZIP; coding <= COMPRESS_DEFLATE; coding++) {
        memset(out_room, 0, sizeof out_room);
        cr_assert(
            compress_out(out_room, coding, plain, sizeof plain, packed, sizeof packed, &size));
        cr_expect_lt(size, sizeof plain * 3 / 4);
        for (size_t i = 0; i < sizeof out_room; i++)
            cr_assert_eq(out_room[i], 0, "byte %zu of the room is left", i);
        cr_expect_eq(unpack(coding, packed, size, size, out, sizeof out, &used), STATUS_OK);
        cr_expect(used == sizeof plain && memcmp(out, plain, used) == 0);
        size = 7;
        cr_expect_not(compress_out(out_room, coding, plain, sizeof plain, packed, 1000, &size));
        cr_expect_eq(size, 7);
    }
}

Test(front_compress, encodings_are_read_as_the_rfc_says) {
    static const struct {
        const char *field;
        enum compress_coding coding;
    } sent[] = {
        {NULL, COMPRESS_IDENTITY},        {"identity", COMPRESS_IDENTITY},
        {"gzip", COMPRESS_GZIP},          {"GZip ", COMPRESS_GZIP},
        {"x-gzip", COMPRESS_GZIP},        {"deflate", COMPRESS_DEFLATE},
        {"br", COMPRESS_UNKNOWN},         {"", COMPRESS_UNKNOWN},
        {"gzip, gzip", COMPRESS_UNKNOWN}, {"gzip,", COMPRESS_UNKNOWN},
        {"gzip;q=1", COMPRESS_UNKNOWN},   {"gzipx", COMPRESS_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof sent / sizeof *sent; i++)
        cr_expect_eq(compress_coding_of(sent[i].field), sent[i].coding, "%s", sent[i].field);
    static const struct {
        const char *field;
        enum compress_coding coding;
    } accepted[] = {
        {NULL, COMPRESS_IDENTITY},
        {"", COMPRESS_IDENTITY},
        {"gzip", COMPRESS_GZIP},
        {"deflate", COMPRESS_DEFLATE},
        {"deflate, gzip", COMPRESS_GZIP},
        {"gzip;q=0.5, deflate", COMPRESS_DEFLATE},
        {"gzip;q=0, deflate;q=0", COMPRESS_IDENTITY},
        {"gzip;q=0, *", COMPRESS_DEFLATE},
        {"*;q=0.1", COMPRESS_GZIP},
        {"*;q=0", COMPRESS_IDENTITY},
        {"br", COMPRESS_IDENTITY},
        {"br;q=1.0, gzip;q=0.001", COMPRESS_GZIP},
        {"identity, gzip;q=0.5", COMPRESS_IDENTITY},
        {"identity;q=0.5, gzip;q=0.5", COMPRESS_GZIP},
        {"identity;q=0, gzip;q=0.5", COMPRESS_GZIP},
        {"gzip ; q=0.2 ,\t*;Q=0", COMPRESS_GZIP},
        {"gzip;q=1.5", COMPRESS_IDENTITY},
        {"gzip;q=0.1234", COMPRESS_IDENTITY},
        {"gzip;q=", COMPRESS_IDENTITY},
        {"gzip;q", COMPRESS_IDENTITY},
        {"gzip;level=9", COMPRESS_IDENTITY},
        {";q=1", COMPRESS_IDENTITY},
        {"gzip;q=-1", COMPRESS_IDENTITY},
        {",,gzip,,", COMPRESS_GZIP},
    };
    for (size_t i = 0; i < sizeof accepted / sizeof *accepted; i++)
        cr_expect_eq(compress_accepted(accepted[i].field), accepted[i].coding, "%s",
                     accepted[i].field);
}

/* --- traces -------------------------------------------------------------------------------- */

#define TRACE "0af7651916cd43dd8448eb211c80319c"
#define SPAN "b7ad6b7169203331"

Test(front_trace, parents_are_checked) {
    static const char *const good[] = {
        "00-" TRACE "-" SPAN "-01",
        "00-" TRACE "-" SPAN "-ff",
        "01-" TRACE "-" SPAN "-00",
        "fe-" TRACE "-" SPAN "-00-more",
    };
    static const char *const bad[] = {
        "",
        "00",
        "00-" TRACE "-" SPAN "-0",
        "00-" TRACE "-" SPAN "-01-",
        "00-" TRACE "-" SPAN "-01-more",
        "01-" TRACE "-" SPAN "-01more",
        "ff-" TRACE "-" SPAN "-01",
        "0g-" TRACE "-" SPAN "-01",
        "00-00000000000000000000000000000000-" SPAN "-01",
        "00-" TRACE "-0000000000000000-01",
        "00-0AF7651916cd43dd8448eb211c80319c-" SPAN "-01",
        "00_" TRACE "-" SPAN "-01",
        "00-" TRACE "_" SPAN "-01",
        "00-" TRACE "-" SPAN "_01",
        " 00-" TRACE "-" SPAN "-01",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(trace_parent_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(trace_parent_valid(bad[i]), "%s", bad[i]);
}

Test(front_trace, the_next_parent_keeps_the_trace) {
    struct trace_random random = {.left = 0};
    char out[TRACE_PARENT_SIZE + 1], again[TRACE_PARENT_SIZE + 1];
    static const struct {
        const char *flags, *next;
    } flags[] = {{"00", "00"}, {"01", "01"}, {"02", "00"},
                 {"0a", "00"}, {"fb", "01"}, {"f9", "01"}};
    for (size_t i = 0; i < sizeof flags / sizeof *flags; i++) {
        char caller[TRACE_PARENT_SIZE + 1] = "cc-" TRACE "-" SPAN "-";
        memcpy(caller + 53, flags[i].flags, 3);
        cr_assert(trace_parent_next(&random, caller, out));
        cr_expect(trace_parent_valid(out) && strlen(out) == TRACE_PARENT_SIZE);
        cr_expect_eq(memcmp(out, "00-" TRACE "-", 36), 0);
        cr_expect_neq(memcmp(out + 36, SPAN, 16), 0);
        cr_expect_str_eq(out + 53, flags[i].next);
    }
    for (int i = 0; i < 100; i++) {
        cr_assert(trace_parent_next(&random, NULL, out) && trace_parent_next(&random, NULL, again));
        cr_expect(trace_parent_valid(out));
        cr_expect_neq(memcmp(out, again, 35), 0);
        cr_expect_str_eq(out + 53, "00");
    }
    char id[TRACE_ID_SIZE + 1], other[TRACE_ID_SIZE + 1];
    cr_assert(trace_request_id(&random, id) && trace_request_id(&random, other));
    cr_expect(strlen(id) == TRACE_ID_SIZE && strcmp(id, other) != 0);
}

Test(front_trace, states_are_checked) {
    char longest[TRACE_STATE_MAX + 2] = "a=";
    static const char *const good[] = {
        "a=1", "congo=t61rcWkgMzE, rojo=00f067aa0ba902b7", "a=1,,b=2", "t@v/1-*_=x y!~", "1a=b",
    };
    static const char *const bad[] = {
        "", ",", "a", "a=", "=1", "A=1", "a=1=2", "a =1", "-a=1", "a=\x80", "a=1\x01", "a=1;b",
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(trace_state_valid(good[i]), "%s", good[i]);
    for (size_t i = 0; i + 1 < sizeof bad / sizeof *bad; i++)
        cr_expect_not(trace_state_valid(bad[i]), "%s", bad[i]);
    memset(longest + 2, 'v', 256);
    cr_expect(trace_state_valid(longest));
    longest[2 + 256] = 'v';
    cr_expect_not(trace_state_valid(longest));
    char many[34 * 4 + 1] = "";
    for (int i = 0; i < 33; i++) {
        cr_expect_eq(trace_state_valid(many), i > 0, "%d members", i);
        memcpy(many + strlen(many), i ? ",a=b" : "a=b", i ? 5 : 4);
    }
    cr_expect_not(trace_state_valid(many));
}

/* --- limits and counts --------------------------------------------------------------------- */

Test(front_rate_limit, nothing_is_told_where_nothing_is_known) {
    char text[RATE_LIMIT_TEXT_MAX] = "";
    struct buf out = buf_of(text, sizeof text - 1);
    rate_limit_write(&(struct rate_limit){.quota = 9}, &out);
    cr_expect_eq(out.size, 0);
    rate_limit_write(&(struct rate_limit){true, 100, 60, 7, 12}, &out);
    cr_expect_str_eq(text, "RateLimit-Policy: \"requests\";q=100;w=60\r\n"
                           "RateLimit: \"requests\";r=7;t=12\r\n");
    out = buf_of(text, sizeof text - 1);
    rate_limit_write(&(struct rate_limit){true, UINT64_MAX, UINT32_MAX, UINT64_MAX, UINT32_MAX},
                     &out);
    cr_expect_not(out.failed);
}

Test(front_counters, each_request_in_its_place) {
    static struct counters c;
    counters_add(&c, &(struct counters_request){COUNTERS_INFER, 200, 10, 20, 99000});
    counters_add(&c, &(struct counters_request){COUNTERS_INFER, 504, 1, 2, 40000000000});
    counters_add(&c, &(struct counters_request){COUNTERS_INFER, COUNTERS_ABORTED, 5, 0, 100000});
    counters_add(&c, &(struct counters_request){COUNTERS_OTHER, 299, 0, 0, 100001});
    uint64_t requests = 0, timed = 0;
    for (size_t row = 0; row < COUNTERS_STATUSES; row++) {
        int status = counters_status(row);
        requests += c.of[COUNTERS_INFER].requests[row];
        cr_expect_eq(c.of[COUNTERS_INFER].requests[row],
                     status == 200 || status == 504 || status == 499, "%d", status);
    }
    cr_expect_eq(requests, 3);
    cr_expect_eq(c.of[COUNTERS_INFER].aborted, 1);
    cr_expect_eq(c.of[COUNTERS_INFER].bytes_in, 16);
    cr_expect_eq(c.of[COUNTERS_INFER].bytes_out, 22);
    cr_expect_eq(c.of[COUNTERS_INFER].duration_ns, 40000199000);
    cr_expect_eq(c.of[COUNTERS_INFER].durations[0], 2);
    for (size_t i = 0; i < COUNTERS_BUCKETS; i++)
        timed += c.of[COUNTERS_INFER].durations[i];
    cr_expect_eq(timed, 2, "longer than every bucket");
    cr_expect_eq(counters_status(COUNTERS_STATUSES - 1), 0);
    cr_expect_eq(c.of[COUNTERS_OTHER].requests[COUNTERS_STATUSES - 1], 1);
    cr_expect_eq(c.of[COUNTERS_OTHER].durations[1], 1);
    for (size_t i = 1; i < COUNTERS_BUCKETS; i++)
        cr_expect_gt(counters_bound_ns(i), counters_bound_ns(i - 1));
    for (enum counters_class i = 0; i < COUNTERS_CLASSES; i++)
        for (enum counters_class j = 0; j < i; j++)
            cr_expect_str_neq(counters_class_name(i), counters_class_name(j));
}
