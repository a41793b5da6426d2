/* The front's screens: paths, headers, and the outline of an upload. */
#include "server/front/head.h"
#include "server/front/refusals.h"
#include "server/front/router.h"
#include "server/front/screen.h"
#include "server/front/sources.h"
#include "server/front/upload_split.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct route table[] = {
    {.method = "GET", .pattern = "/v2"},
    {.method = "GET", .pattern = "/v2/models/{m}"},
    {.method = "GET", .pattern = "/v2/models/{m}/versions/{v}"},
    {.method = "POST", .pattern = "/v2/models/{m}/infer"},
    {.method = "PUT", .pattern = "/v2/repository/models/{m}/versions/{v}"},
    {.method = "DELETE", .pattern = "/v2/repository/models/{m}/versions/{v}"},
};

static enum status match(const char *method, const char *path, struct route_match *found) {
    struct error error = {0};
    enum status status =
        router_match(table, sizeof table / sizeof *table, method, path, found, &error);
    cr_expect(status == STATUS_OK || error.message[0], "no message for %s", path);
    return status;
}

Test(front_router, finds_exactly_what_is_there) {
    struct route_match m;
    cr_assert_eq(match("GET", "/v2", &m), STATUS_OK);
    cr_assert_eq(match("GET", "/v2/models/a-b.c_1/versions/3", &m), STATUS_OK);
    cr_expect_str_eq(m.model, "a-b.c_1");
    cr_expect_str_eq(m.version, "3");
    cr_assert_eq(match("GET", "/v2/models/%61%2Db", &m), STATUS_OK);
    cr_expect_str_eq(m.model, "a-b");
    static const char *const unknown[] = {
        "/",
        "/v2/",
        "/v2zzz",
        "/V2",
        "/v2/models",
        "/v2/models/",
        "/v2/models/-a",
        "/v2/models/a/b/c/d/e/f/g/h/i/j/k/l",
        "/v2/models/a/versions",
        "/v2/models/a!b",
        "/v2/models/a/",
    };
    for (size_t i = 0; i < sizeof unknown / sizeof *unknown; i++)
        cr_expect_eq(match("GET", unknown[i], &m), STATUS_NOT_FOUND, "%s", unknown[i]);
    char path[200] = "/v2/models/";
    memset(path + 11, 'a', 65);
    cr_expect_eq(match("GET", path, &m), STATUS_NOT_FOUND);
    path[11 + 64] = '\0';
    cr_expect_eq(match("GET", path, &m), STATUS_OK);
}

Test(front_router, malformed_paths_are_refused) {
    struct route_match m;
    static const char *const bad[] = {
        "",
        "v2",
        "**",
        "//v2",
        "/v2//models",
        "/v2/.",
        "/v2/..",
        "/v2/../v2",
        "/v2/%2e%2E/v2",
        "/v2/%00",
        "/v2/a%00b",
        "/v2/%0a",
        "/v2/%2f",
        "/v2/%5C",
        "/v2/%",
        "/v2/%4",
        "/v2/%zz",
        "/v2/%c3%a4",
        "/v2/\xc3\xa4",
        "/v2/a b",
        "/v2/\\",
        "/v2/models/a%20b",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_eq(match("GET", bad[i], &m), STATUS_INVALID, "%s", bad[i]);
    char path[2000];
    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    cr_expect_eq(match("GET", path, &m), STATUS_INVALID);
}

Test(front_router, a_wrong_method_is_told_the_right_ones) {
    struct route_match m;
    cr_assert_eq(match("GET", "/v2/repository/models/a/versions/1", &m), STATUS_METHOD);
    cr_expect_str_eq(m.allow, "PUT, DELETE");
    cr_expect_null(m.route);
    cr_expect_eq(match("TRACE", "/v2", &m), STATUS_METHOD);
    cr_expect_str_eq(m.allow, "GET, HEAD");
    cr_expect_eq(match("OPTIONS", "*", &m), STATUS_METHOD);
    cr_expect_str_eq(m.allow, "GET, HEAD, POST, PUT, DELETE");
    cr_expect_eq(match("GET", "*", &m), STATUS_METHOD);
    cr_expect_null(m.route);
}

Test(front_router, a_method_that_nobody_knows) {
    struct route_match m;
    static const char *const methods[] = {"get", "BREW", "PROPFIND", "", "GETT"};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        cr_expect_eq(match(methods[i], "/v2", &m), STATUS_UNIMPLEMENTED, "%s", methods[i]);
        cr_expect_eq(match(methods[i], "/nowhere", &m), STATUS_UNIMPLEMENTED, "%s", methods[i]);
        cr_expect_str_empty(m.allow);
    }
}

Test(front_router, head_is_get) {
    struct route_match m;
    cr_assert_eq(match("HEAD", "/v2/models/a", &m), STATUS_OK);
    cr_expect_eq(m.route, &table[1]);
    cr_expect_eq(match("HEAD", "/v2/models/a/infer", &m), STATUS_METHOD);
    cr_expect_str_eq(m.allow, "POST");
}

Test(front_router, names_that_are_none_are_told_the_rule) {
    struct error why = {0};
    struct route_match m;
    static const struct {
        const char *path, *what;
    } cases[] = {
        {"/v2/models/-a", ": the name of a model is a letter or digit, then up to 63"},
        {"/v2/models/a/versions/", ": a version is a letter or digit, then up to 63"},
        {"/v2/models/-a/nothing", "there is nothing at this path"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(
            router_match(table, sizeof table / sizeof *table, "GET", cases[i].path, &m, &why),
            STATUS_NOT_FOUND);
        cr_expect(strstr(why.message, cases[i].what), "%s", why.message);
        cr_expect_eq(!strchr(why.message, ':'), cases[i].what[0] != ':', "%s", why.message);
    }
}

/* --- what the library leaves --------------------------------------------------------------- */

Test(front_head, targets) {
    static const struct {
        const char *method, *target, *path; /* NULL: refused */
        bool plain;
    } cases[] = {
        {"GET", "https://h/v2", "/v2", false},
        {"GET", "HTTPS://h:8443/v2/", "/v2/", false},
        {"GET", "https://[::1]:8443/v2", "/v2", false},
        {"GET", "https://h", "/", false},
        {"GET", "https://h//v2", "//v2", false},
        {"GET", "http://h/metrics", "/metrics", true},
        {"OPTIONS", "*", "*", false},
        {"CONNECT", "h:443", "*", false},
        {"GET", "*", NULL, false},
        {"OPTIONS", "**", NULL, false},
        {"CONNECT", "h/x", NULL, false},
        {"CONNECT", "", NULL, false},
        {"GET", "", NULL, false},
        {"GET", "v2", NULL, false},
        {"GET", "http://h/v2", NULL, false},
        {"GET", "https://h/v2", NULL, true},
        {"GET", "ws://h/v2", NULL, false},
        {"GET", "https:/h/v2", NULL, false},
        {"GET", "https:///v2", NULL, false},
        {"GET", "https://", NULL, false},
        {"GET", "https://:443/v2", NULL, false},
        {"GET", "https://u:p@h/v2", NULL, false},
        {"GET", "https://h\\@i/v2", NULL, false},
        {"GET", "https://h\x80/v2", NULL, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *path = "untouched";
        struct error why = {0};
        enum status status =
            head_target(cases[i].method, cases[i].target, !cases[i].plain, &path, &why);
        cr_expect_eq(status, cases[i].path ? STATUS_OK : STATUS_INVALID, "%s", cases[i].target);
        cr_expect_str_eq(path, cases[i].path ? cases[i].path : "untouched", "%s", cases[i].target);
    }
}

/* As the library leaves it: the last LF is a zero. */
static bool splits(const char *lines, size_t room, struct screen_field *fields, size_t *count) {
    static char text[256];
    snprintf(text, sizeof text, "%s", lines);
    return head_split(text, fields, room, count);
}

Test(front_head, lines) {
    struct screen_field f[3];
    size_t count = 9;
    cr_assert(splits("A:b\r\nC-d: \t e f \r\nG:\r\n\r", 3, f, &count));
    cr_expect_eq(count, 3);
    cr_expect_str_eq(f[0].name, "A");
    cr_expect_str_eq(f[0].value, "b");
    cr_expect_str_eq(f[1].name, "C-d");
    cr_expect_str_eq(f[1].value, "e f ");
    cr_expect_str_eq(f[2].value, "");
    cr_assert(splits("", 3, f, &count));
    cr_expect_eq(count, 0);
    static const char *const bad[] = {"A\r\nB:c\r\n\r", "A:b\r\n c\r\n\r", "A:b",
                                      "A:b\r",          "A:b\rc\r\n\r",    "A:b\r\n\n",
                                      "A:b\r\nC",       "\r\nA:b\r\n\r"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        count = 9;
        cr_expect_not(splits(bad[i], 3, f, &count) && count == 9, "%s", bad[i]);
        cr_expect_eq(count, 9, "%s", bad[i]);
    }
    cr_expect_not(splits("A:b\r\nA:b\r\nA:b\r\nA:b\r\n\r", 3, f, &count));
    cr_expect_eq(count, 3);
}

Test(front_screen, types_of_bodies) {
    static const char *const good[] = {"application/json", "Application/JSON; charset=utf-8",
                                       "application/octet-stream",
                                       "application/x-www-form-urlencoded", "text/plain;x=y"};
    static const char *const bad[] = {"",
                                      "text/xml",
                                      "application/jsonx",
                                      "application",
                                      "application/json,text/plain",
                                      "multipart/form-data; b=x"};
    cr_expect(screen_type_known(NULL));
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        cr_expect(screen_type_known(good[i]), "%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(screen_type_known(bad[i]), "%s", bad[i]);
}

/* --- headers ------------------------------------------------------------------------------- */

static struct screen screen;
static struct error error;

/* `lines`: name, value, name, value, ..., NULL; Host is added. */
static enum status screened(const char *method, const char *const *lines) {
    struct screen_field fields[80] = {{"Host", "h"}};
    size_t count = 1;
    for (; *lines; lines += 2)
        fields[count++] = (struct screen_field){lines[0], lines[1]};
    error = (struct error){0};
    return screen_headers(method, "1.1", fields, count, &screen, &error);
}
#define LINES(...) ((const char *const[]){__VA_ARGS__, NULL})

Test(front_screen, good_requests_pass) {
    cr_assert_eq(screened("POST", LINES("content-length", "12", "AUTHORIZATION", "bearer  sr_x ",
                                        "Expect", "100-Continue", "X-Request-Id", "a.b-C_9",
                                        "Inference-Header-Content-Length", "7", "traceparent",
                                        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")),
                 STATUS_OK);
    cr_expect(screen.has_length && screen.content_length == 12);
    cr_expect(screen.token_size == 4 && memcmp(screen.token, "sr_x", 4) == 0);
    cr_expect(screen.expects_continue && screen.has_json_size && screen.json_size == 7);
    cr_expect_str_eq(screen.request_id, "a.b-C_9");
    cr_expect_eq(strlen(screen.traceparent), 55);
    cr_expect_not(screen.wants_close);
    cr_assert_eq(screened("GET", LINES("X-Api-Key", "k", "Connection", "TE, close")), STATUS_OK);
    cr_expect(screen.token_size == 1 && screen.wants_close && !screen.has_length);
    cr_assert_eq(screened("GET", LINES("Authorization", "Basic abc", "X-Request-Id", "a b")),
                 STATUS_OK);
    cr_expect_null(screen.token);
    cr_expect_str_empty(screen.request_id);
}

Test(front_screen, ambiguous_requests_do_not) {
    static const struct {
        enum status status;
        const char *lines[5];
    } cases[] = {
        {STATUS_INVALID, {"Content-Length", "5", "Transfer-Encoding", "chunked"}},
        {STATUS_LENGTH_REQUIRED, {"Transfer-Encoding", "chunked"}},
        {STATUS_LENGTH_REQUIRED, {"Transfer-Encoding", "identity"}},
        {STATUS_INVALID, {"Content-Length", "5x"}},
        {STATUS_INVALID, {"Content-Length", "+5"}},
        {STATUS_INVALID, {"Content-Length", "-5"}},
        {STATUS_INVALID, {"Content-Length", "5, 5"}},
        {STATUS_INVALID, {"Content-Length", ""}},
        {STATUS_INVALID, {"Content-Length", " 5"}},
        {STATUS_INVALID, {"Content-Length", "0x5"}},
        {STATUS_INVALID, {"Content-Length", "99999999999999999999"}},
        {STATUS_INVALID, {"Content-Length", "5", "content-length", "5"}},
        {STATUS_INVALID, {"Authorization", "Bearer a", "Authorization", "Bearer a"}},
        {STATUS_INVALID, {"Authorization", "Bearer a", "X-Api-Key", "a"}},
        {STATUS_INVALID, {"X-Api-Key", "a", "x-api-key", "a"}},
        {STATUS_INVALID, {"Host", "other"}},
        {STATUS_INVALID, {"Expect", "200-ok"}},
        {STATUS_INVALID, {"Bad Name", "x"}},
        {STATUS_INVALID, {"", "x"}},
        {STATUS_INVALID, {"X-A", "a\x01"}},
        {STATUS_INVALID, {"Inference-Header-Content-Length", "-1"}},
        {STATUS_INVALID, {"Inference-Header-Content-Length", "ten"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        cr_expect_eq(screened("POST", cases[i].lines), cases[i].status, "%s: %s", cases[i].lines[0],
                     cases[i].lines[1]);
        cr_expect(error.message[0] != '\0');
    }
    cr_expect_eq(screened("GET", LINES("Content-Length", "1")), STATUS_INVALID);
    struct screen_field many[SCREEN_HEADERS_MAX + 1];
    for (size_t i = 0; i <= SCREEN_HEADERS_MAX; i++)
        many[i] = (struct screen_field){i ? "X" : "Host", "y"};
    cr_expect_eq(screen_headers("GET", "1.1", many, SCREEN_HEADERS_MAX, &screen, &error),
                 STATUS_OK);
    cr_expect_eq(screen_headers("GET", "1.1", many, SCREEN_HEADERS_MAX + 1, &screen, &error),
                 STATUS_INVALID);
    cr_expect_eq(screen_headers("GET", "1.1", many + 1, 1, &screen, &error), STATUS_INVALID);
    cr_expect_eq(screen_headers("GET", "1.0", many + 1, 1, &screen, &error), STATUS_OK);
    cr_expect(screen.wants_close);
}

/* --- uploads ------------------------------------------------------------------------------- */

static uint8_t header[MESSAGE_HEADER_MAX];

/* The whole text in steps of `step` bytes; what reached the payload is put behind `payload`. */
static enum status split_all(const char *text, size_t size, size_t step, uint8_t *payload,
                             size_t *payload_size, size_t *header_size) {
    struct upload_split split = upload_split_of(header);
    enum status status = STATUS_OK;
    error = (struct error){0};
    *payload_size = 0;
    for (size_t at = 0; at < size && status == STATUS_OK; at += step) {
        size_t n = size - at < step ? size - at : step, got = 0;
        const uint8_t *part;
        uint8_t *exact = malloc(n);
        memcpy(exact, text + at, n);
        status = upload_split_take(&split, exact, n, &part, &got, &error);
        if (status == STATUS_OK) {
            memcpy(payload + *payload_size, part, got);
            *payload_size += got;
        }
        free(exact);
    }
    *header_size = split.header_size;
    return status == STATUS_OK ? upload_split_end(&split, &error) : status;
}

Test(front_upload, splits_wherever_the_pieces_end) {
    static const char file[] = "age-encryption.org/v1\n-> X25519 abc\nbody\n--- mac\nPAY--- \nLOAD";
    static const char want[] = "PAY--- \nLOAD";
    uint8_t payload[128];
    size_t payload_size, header_size;
    for (size_t step = 1; step <= sizeof file; step++) {
        cr_assert_eq(split_all(file, sizeof file - 1, step, payload, &payload_size, &header_size),
                     STATUS_OK, "%s", error.message);
        cr_expect_eq(payload_size, sizeof want - 1);
        cr_expect_eq(memcmp(payload, want, payload_size), 0);
        cr_expect_eq(header_size, sizeof file - sizeof want);
        cr_expect_eq(memcmp(header, file, header_size), 0);
    }
}

Test(front_upload, what_is_no_sealed_model_is_told_so) {
    static const struct {
        const char *file, *says;
    } cases[] = {
        {"", "not an age v1 file"},
        {"age-encryption.org/v1", "not an age v1 file"},
        {"age-encryption.org/v2\n", "not an age v1 file"},
        {"\x08\x07onnx", "not an age v1 file"},
        {"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl", "armoured"},
        {"age-encryption.org/v1\n-> X25519 a\nb\n", "ends inside its age header"},
        {"age-encryption.org/v1\n---\n", "ends inside its age header"},
        {"age-encryption.org/v1\n--- mac", "ends inside its age header"},
    };
    uint8_t payload[128];
    size_t payload_size, header_size;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (size_t step = 1; step < 64; step += 31) {
            cr_expect_eq(split_all(cases[i].file, strlen(cases[i].file), step, payload,
                                   &payload_size, &header_size),
                         STATUS_INVALID, "%s", cases[i].file);
            cr_expect(strstr(error.message, cases[i].says) != NULL, "%s: %s", cases[i].file,
                      error.message);
        }
    size_t size = MESSAGE_HEADER_MAX + 100;
    char *long_file = malloc(size);
    memset(long_file, 'a', size);
    memcpy(long_file, "age-encryption.org/v1\n", 22);
    uint8_t *room = malloc(size);
    cr_expect_eq(split_all(long_file, size, 1000, room, &payload_size, &header_size),
                 STATUS_INVALID);
    cr_expect(strstr(error.message, "longer than") != NULL);
    free(room);
    free(long_file);
}

Test(front_sources, each_address_has_its_share) {
    struct sources *sources = sources_new(4, 2);
    struct source *a[3], *b[2];
    cr_assert(sources_enter(sources, "192.0.2.1", &a[0]));
    cr_assert(sources_enter(sources, "192.0.2.1", &a[1]));
    cr_expect_not(sources_enter(sources, "192.0.2.1", &a[2]));
    cr_expect(sources_enter(sources, "192.0.2.2", &b[0]));
    cr_expect_eq(sources_count(sources), 4);
    sources_leave(sources, a[2]);
    sources_leave(sources, a[1]);
    cr_expect(sources_enter(sources, "192.0.2.1", &a[1]));
    sources_leave(sources, a[0]);
    sources_leave(sources, a[1]);
    sources_leave(sources, b[0]);
    sources_leave(sources, NULL);
    cr_expect_eq(sources_count(sources), 0);
    sources_free(sources);
}

Test(front_refusals, a_source_that_fails_too_often_waits_for_its_minute) {
    struct refusals *refusals = refusals_new(64, 3);
    for (int i = 0; i < 2; i++)
        cr_expect_not(refusals_count(refusals, "192.0.2.1", 1000));
    cr_expect_eq(refusals_wait(refusals, "192.0.2.1", 1000), 0);
    cr_expect(refusals_count(refusals, "192.0.2.1", 2000), "the third is the last");
    cr_expect_not(refusals_count(refusals, "192.0.2.1", 2000), "and is told of once");
    cr_expect_eq(refusals_wait(refusals, "192.0.2.1", 1000 + 30000), 31);
    cr_expect_eq(refusals_wait(refusals, "192.0.2.2", 2000), 0);
    cr_expect_eq(refusals_wait(refusals, "192.0.2.1", 1000 + REFUSALS_WINDOW_MS), 0);
    refusals_free(refusals);
}

Test(front_refusals, many_sources_do_not_hide_one) {
    struct refusals *refusals = refusals_new(16, 10);
    for (int i = 0; i < 12; i++)
        refusals_count(refusals, "192.0.2.1", 5);
    for (int i = 0; i < 1000; i++) {
        char other[16];
        snprintf(other, sizeof other, "10.0.%d.%d", i / 250, i % 250);
        refusals_count(refusals, other, 6);
    }
    cr_expect_gt(refusals_wait(refusals, "192.0.2.1", 7), 0);
    refusals_free(refusals);
    refusals_free(NULL);
}
