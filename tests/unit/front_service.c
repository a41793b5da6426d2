/* The front as a whole: its process, in its sandbox, behind TLS. */
#include "front_service_fixture.h"

#include "base/status.h"
#include "server/front/routes.h"

#include <criterion/criterion.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define KEY "Authorization: Bearer good\r\n"
#define HOST "Host: h\r\n"

static char answer[1 << 16];

static int PRINTF_LIKE(1, 2) ask(const char *format, ...) {
    char request[8192];
    va_list args;
    va_start(args, format);
    vsnprintf(request, sizeof request, format, args);
    va_end(args);
    return client_ask(request, answer, sizeof answer);
}

static bool says(const char *text) {
    return strstr(answer, text) != NULL;
}

Test(front_service, nothing_answers_without_a_key_but_health) {
    static const char *const methods[] = {"GET",  "POST",    "PUT",  "DELETE",
                                          "HEAD", "OPTIONS", "PATCH"};
    static const char *const paths[] = {
        "/v2",
        "/v2/models/a",
        "/v2/models/a/versions/1",
        "/v2/models/a/ready",
        "/v2/models/a/infer",
        "/v2/repository/index",
        "/v2/repository/models/a/load",
        "/v2/repository/models/a/versions/1",
        "/v1/recipient",
        "/v1/audit",
        "/",
        "/nothing",
        "/metrics",
    };
    fixture_start(false);
    for (size_t m = 0; m < sizeof methods / sizeof *methods; m++)
        for (size_t p = 0; p < sizeof paths / sizeof *paths; p++)
            cr_expect_eq(ask("%s %s HTTP/1.1\r\n" HOST "\r\n", methods[m], paths[p]), 401, "%s %s",
                         methods[m], paths[p]);
    cr_expect(says("WWW-Authenticate: Bearer"));
    cr_expect(says("{\"error\":\"a valid API key is required\"}"));
    cr_expect_eq(ask("GET /v2 HTTP/1.1\r\n" HOST "Authorization: Bearer wrong\r\n\r\n"), 401);
    cr_expect_eq(ask("GET /v2 HTTP/1.1\r\n" HOST "X-Api-Key: narrow\r\n\r\n"), 403);
    cr_expect_eq(fixture_ledger.admitted, 0);
    cr_expect_eq(ask("GET /v2/health/live HTTP/1.1\r\n" HOST "\r\n"), 200);
    cr_expect(says("{\"live\":true,\"ready\":true}"));
    cr_expect_eq(ask("GET /v2/health/ready HTTP/1.1\r\n" HOST "\r\n"), 200);
    cr_expect_eq(fixture_stop(), 0);
}

/* The status of readiness, when it has become that, or what it is after two seconds. */
static int readiness(int wanted) {
    int status = 0;
    for (int i = 0; i < 100 && status != wanted; i++) {
        poll(NULL, 0, 20);
        status = ask("GET /v2/health/ready HTTP/1.1\r\n" HOST "\r\n");
    }
    return status;
}

Test(front_service, it_is_not_ready_while_nothing_can_be_recorded) {
    fixture_start(false);
    fixture_recording(false);
    cr_expect_eq(readiness(503), 503);
    cr_expect(says("Retry-After: 1") && says("cannot be recorded"));
    cr_expect_eq(ask("GET /v2/health/live HTTP/1.1\r\n" HOST "\r\n"), 200);
    cr_expect(says("{\"live\":true,\"ready\":false}"));
    fixture_recording(true);
    cr_expect_eq(readiness(200), 200);
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, with_a_key_the_routes_answer) {
    fixture_start(true);
    cr_expect_eq(ask("GET /v2 HTTP/1.1\r\n" HOST KEY "X-Request-Id: my-id\r\n\r\n"), 200);
    cr_expect(says("\"name\":\"strongroom\"") && says("binary_tensor_data"));
    cr_expect(says("X-Request-Id: my-id\r\n"));
    cr_expect_str_eq(fixture_ledger.request, "my-id");
    cr_expect_str_eq(fixture_ledger.client, "127.0.0.1");
    cr_expect_eq(fixture_ledger.settled, 1);
    cr_expect_eq(ask("GET /v2/models/sum HTTP/1.1\r\n" HOST "X-Api-Key: good\r\n\r\n"), 200);
    cr_expect(says("{\"name\":\"sum\",\"versions\":[\"3\"],\"platform\":\"onnx_onnxv1\",\"inputs\":"
                   "[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[-1,3]}]"));
    cr_expect_str_eq(fixture_ledger.model, "sum");
    cr_expect_eq(ask("GET /v2/models/sum/versions/9/ready HTTP/1.1\r\n" HOST KEY "\r\n"), 200);
    cr_expect_str_eq(fixture_ledger.version, "9");
    cr_expect_eq(fixture_ledger.action, ACTION_MODEL_READY);
    cr_expect_eq(ask("POST /v2/repository/index HTTP/1.1\r\n" HOST KEY "\r\n"), 200);
    cr_expect(says("{\"done\":true}"));
    cr_expect_eq(ask("POST /v2/repository/models/a/load HTTP/1.1\r\n" HOST KEY
                     "Content-Length: 2\r\n\r\n{}"),
                 200);
    cr_expect_eq(ask("POST /v2/repository/models/a/unload HTTP/1.1\r\n" HOST KEY
                     "Content-Length: 42\r\n\r\n{\"parameters\":{\"unload_dependents\":false}}"),
                 200);
    cr_expect_eq(ask("POST /v2/repository/models/a/load HTTP/1.1\r\n" HOST KEY
                     "Content-Length: 27\r\n\r\n{\"parameters\":{\"config\":1}}"),
                 400);
    cr_expect_eq(ask("GET /v1/audit?limit=7&before=99 HTTP/1.1\r\n" HOST KEY "\r\n"), 200);
    cr_expect_eq(fixture_ledger.limit, 7);
    cr_expect_eq(fixture_ledger.before, 99);
    cr_expect_eq(ask("GET /v1/audit?limit=0 HTTP/1.1\r\n" HOST KEY "\r\n"), 400);
    cr_expect_eq(ask("GET /v1/audit?tenant=x HTTP/1.1\r\n" HOST KEY "\r\n"), 400);
    cr_expect_eq(ask("GET /v2?x=1 HTTP/1.1\r\n" HOST KEY "\r\n"), 400);
    cr_expect_eq(ask("GET /nothing HTTP/1.1\r\n" HOST KEY "\r\n"), 404);
    cr_expect_eq(fixture_ledger.action, ACTION_UNROUTED);
    cr_expect_eq(fixture_ledger.outcome, STATUS_NOT_FOUND);
    cr_expect_eq(ask("DELETE /v2 HTTP/1.1\r\n" HOST KEY "\r\n"), 405);
    cr_expect(says("Allow: GET, HEAD\r\n"));
    cr_expect_eq(fixture_ledger.admitted, fixture_ledger.performed + fixture_ledger.settled,
                 "a ticket is left open");
    cr_expect_not(fixture_ledger.channel_blocks);
    cr_expect_eq(fixture_stop(), 0);
}

#define INFER "POST /v2/models/sum/infer HTTP/1.1\r\n" HOST KEY

static int infer(const char *body) {
    return ask(INFER "Content-Length: %zu\r\n\r\n%s", strlen(body), body);
}

Test(front_service, inference_in_both_forms) {
    fixture_start(true);
    static const char body[] = "{\"id\":\"q\",\"inputs\":[{\"name\":\"x\",\"shape\":[2,3],"
                               "\"datatype\":\"FP32\",\"data\":[[1,2,3.5],[4,5,6]]}]}";
    cr_assert_eq(infer(body), 200, "%s", answer);
    cr_expect(says("{\"model_name\":\"sum\",\"model_version\":\"3\",\"id\":\"q\",\"outputs\":["
                   "{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[2],\"data\":[6.5,15.0]}]}"),
              "%s", answer);
    cr_expect_eq(fixture_ledger.units, 2);
    cr_expect_eq(fixture_ledger.bytes_in, sizeof body - 1);
    cr_expect_eq(fixture_ledger.outcome, STATUS_OK);

    static const char json[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":12}}],\"parameters\":{\"binary_data_output\":true}}";
    char request[1024];
    float x[3] = {1, 2, 4}, y;
    size_t size;
    int head = snprintf(request, sizeof request,
                        INFER "Inference-Header-Content-Length: %zu\r\n"
                              "Content-Length: %zu\r\n\r\n%s",
                        sizeof json - 1, sizeof json - 1 + 12, json);
    memcpy(request + head, x, 12);
    struct client *client = client_open();
    for (int round = 0; round < 3; round++) { /* the connection stays */
        client_send(client, request, (size_t)head + 12);
        cr_assert_eq(client_receive(client, answer, sizeof answer, &size), 200, "%s", answer);
        cr_expect(says("Inference-Header-Content-Length: ") && says("octet-stream"));
        memcpy(&y, answer + size - 4, 4);
        cr_expect_eq(y, 7);
    }
    client_close(client);

    cr_expect_eq(infer("{\"inputs\":[]}"), 400);
    cr_expect(says("{\"error\":\"input \\\"x\\\" is missing\"}"), "%s", answer);
    cr_expect_eq(fixture_ledger.outcome, STATUS_INVALID);
    cr_expect_eq(infer("{\"inputs\":"), 400);
    cr_expect_eq(infer("{\"inputs\":[{\"name\":\"x\",\"shape\":[4,3],\"datatype\":\"FP32\","
                       "\"data\":[1,1,1,1,1,1,1,1,1,1,1,x"),
                 400);
    cr_expect_not(fixture_ledger.slot_dirty, "a request was left in its slot");
    cr_expect_eq(ask(INFER "\r\n"), 411);
    cr_expect_eq(ask(INFER "Content-Length: 9999999\r\n\r\n"), 413);
    cr_expect_eq(ask(INFER "Content-Encoding: br\r\nContent-Length: 2\r\n\r\n{}"), 415);
    cr_expect_eq(fixture_ledger.admitted, fixture_ledger.settled, "a ticket is left open");
    cr_expect_eq(fixture_ledger.undelivered, 0);
    cr_expect_eq(fixture_stop(), 0);
}

/* What a tenant names its tensors is its own affair, and costs its other models nothing. */
Test(front_service, a_signature_that_cannot_be_used_spoils_its_model_alone) {
    static const char good[] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":"
                               "\"FP32\",\"data\":[1,2,4]}]}";
    static const char *const bad[] = {
        "{\"inputs\":[],\"outputs\":[]}", "nonsense",
        "{\"inputs\":[{\"name\":\"a\\u0000b\",\"datatype\":\"FP32\",\"shape\":[1]}],"
        "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1]}]}"};
    fixture_start(true);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fixture_tell(100 + i, bad[i]);
        fixture_ledger.model_handle = 100 + i;
        cr_expect_eq(infer(good), 422, "%s", answer);
        cr_expect(says("cannot be served"), "%s", answer);
        fixture_ledger.model_handle = 0;
        cr_expect_eq(infer(good), 200, "%s", answer);
    }
    /* A worker that has had more models than front remembers is no liar either. */
    for (uint64_t i = 0; i < 1100; i++)
        fixture_tell(1000 + i,
                     "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":[3]}],"
                     "\"outputs\":[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1]}]}");
    fixture_ledger.model_handle = 2099;
    cr_expect_eq(ask("GET /v2/models/sum HTTP/1.1\r\n" HOST KEY "\r\n"), 200, "%s", answer);
    cr_expect_eq(fixture_stop(), 0);
}

/* An id of one request must not tell how many others there were. */
Test(front_service, request_ids_do_not_count) {
    static const char request[] = "GET /v2/health/live HTTP/1.1\r\n" HOST "\r\n";
    char ids[20][33];
    fixture_start(false);
    struct client *client = client_open();
    for (size_t i = 0; i < 20; i++) {
        client_send(client, request, sizeof request - 1);
        cr_assert_eq(client_receive(client, answer, sizeof answer, NULL), 200);
        const char *id = strstr(answer, "X-Request-Id: ");
        cr_assert_not_null(id);
        cr_assert_eq(sscanf(id, "X-Request-Id: %32[0-9a-f]\r", ids[i]), 1);
        cr_assert_eq(strlen(ids[i]), 32);
        for (size_t j = 0; j < i; j++) {
            cr_expect_neq(memcmp(ids[i], ids[j], 8), 0, "the same beginning");
            cr_expect_neq(memcmp(ids[i] + 24, ids[j] + 24, 8), 0, "the same end");
        }
    }
    client_close(client);
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, no_record_no_answer) {
    fixture_start(true);
    fixture_ledger.refuse_settlement = true;
    cr_expect_eq(infer("{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\","
                       "\"data\":[1,2,4]}]}"),
                 503);
    cr_expect_not(says("outputs"), "the output got out: %s", answer);
    cr_expect(says("Retry-After: "));
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, a_dead_worker_is_503) {
    fixture_start(true);
    /* A value that JSON has and that FP32 turns into its smallest infinity is refused, so the
     * binary form carries it; the worker of the test dies of it. */
    static const char json[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\",\"parameters\":"
        "{\"binary_data_size\":12}}]}";
    char request[1024];
    static const unsigned char x[12] = {0, 0, 0x80, 0xff};
    int head = snprintf(request, sizeof request,
                        INFER "Inference-Header-Content-Length: %zu\r\n"
                              "Content-Length: %zu\r\n\r\n%s",
                        sizeof json - 1, sizeof json - 1 + 12, json);
    memcpy(request + head, x, 12);
    struct client *client = client_open();
    client_send(client, request, (size_t)head + 12);
    cr_expect_eq(client_receive(client, answer, sizeof answer, NULL), 503, "%s", answer);
    client_close(client);
    cr_expect_eq(fixture_ledger.outcome, STATUS_UNAVAILABLE);
    cr_expect_eq(fixture_ledger.slot_stuck, 0, "it is dead, it does not hang");
    cr_expect_not(fixture_ledger.slot_dirty, "the request was left in the dead worker's ring");
    cr_expect_eq(ask("GET /v2/models/sum HTTP/1.1\r\n" HOST KEY "\r\n"), 503);
    cr_expect_eq(ask("GET /v2 HTTP/1.1\r\n" HOST KEY "\r\n"), 200, "others notice");
    cr_expect_eq(fixture_stop(), 0);
}

/* Requests that servers have disagreed about: one answer and a close, never two answers. */
Test(front_service, ambiguous_requests_get_one_answer_and_a_close) {
    static const char *const requests[] = {
        "POST /v2/models/a/infer HTTP/1.1\r\n" HOST KEY
        "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nX",
        "POST /v2/models/a/infer HTTP/1.1\r\n" HOST KEY
        "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        "POST /v2/models/a/infer HTTP/1.1\r\n" HOST KEY "Content-Length: 5x\r\n\r\nhello",
        "POST /v2/models/a/infer HTTP/1.1\r\n" HOST KEY "Content-Length: +5\r\n\r\nhello",
        "POST /v2/models/a/infer HTTP/1.1\r\n" HOST KEY "Content-Length: -5\r\n\r\nhello",
        "POST /v2/models/a/infer HTTP/1.1\r\n" HOST KEY
        "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello",
        "GET /v2 HTTP/1.1\r\n" HOST KEY "Content-Length: 4\r\n\r\nbody",
        "GET /v2 HTTP/1.1\r\n" KEY "\r\n",
        "GET /v2 HTTP/1.1\r\n" HOST HOST KEY "\r\n",
        "GET /v2 HTTP/1.1\r\n" HOST KEY KEY "\r\n",
        "GET /v2 HTTP/1.1\r\n" HOST KEY "X-Api-Key: good\r\n\r\n",
        "GET /v2/%00 HTTP/1.1\r\n" HOST KEY "\r\n",
        "GET //v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        "GET /v2/../v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        "GET /v2 HTTP/9.9\r\n" HOST KEY "\r\n",
        "NONSENSE\r\n\r\n",
        "GET  /v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        "GET /v2  HTTP/1.1\r\n" HOST KEY "\r\n",
        "GET /v2 HTTP/1.1\r\n " HOST KEY "\r\n",
        "\r\nGET /v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        "\r\n\r\nGET /v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        "\n\nGET /v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        " GET /v2 HTTP/1.1\r\n" HOST KEY "\r\n",
        "GET /v2 HTTP/1.1\r\nno colon\r\n\r\n",
    };
    fixture_start(true);
    for (size_t i = 0; i < sizeof requests / sizeof *requests; i++) {
        struct client *client = client_open();
        client_send(client, requests[i], strlen(requests[i]));
        static const char second[] = "GET /v2/health/live HTTP/1.1\r\n" HOST "\r\n";
        client_send(client, second, sizeof second - 1);
        int status = client_receive(client, answer, sizeof answer, NULL);
        cr_expect(status == 400 || status == 411, "%zu: %d\n%s", i, status, requests[i]);
        cr_expect(says("{\"error\":\""), "%zu: %s", i, answer);
        cr_expect(says("Connection: close"), "%zu: %s", i, answer);
        cr_expect(client_closed(client), "%zu: stays open\n%s", i, requests[i]);
        client_close(client);
    }
    char many[8192] = "GET /v2 HTTP/1.1\r\n" HOST;
    size_t length = strlen(many);
    for (int i = 0; i < 70; i++)
        length += (size_t)snprintf(many + length, sizeof many - length, "X-A: b\r\n");
    snprintf(many + length, sizeof many - length, "%s\r\n", KEY);
    cr_expect_eq(ask("%s", many), 400);
    cr_expect_eq(fixture_ledger.admitted, 0, "something was admitted");
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, the_body_waits_for_the_authorisation) {
    fixture_start(true);
    static const char body[] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":"
                               "\"FP32\",\"data\":[1,2,4]}]}";
    char head[512];
    snprintf(head, sizeof head, INFER "Expect: 100-continue\r\nContent-Length: %zu\r\n\r\n",
             sizeof body - 1);
    struct client *client = client_open();
    client_send(client, head, strlen(head));
    cr_assert_eq(client_receive(client, answer, sizeof answer, NULL), 100);
    client_send(client, body, sizeof body - 1);
    cr_expect_eq(client_receive(client, answer, sizeof answer, NULL), 200);
    client_close(client);
    client = client_open();
    static const char refused[] = "PUT /v2/repository/models/a/versions/1 HTTP/1.1\r\n" HOST
                                  "Expect: 100-continue\r\nContent-Length: 5000000\r\n\r\n";
    client_send(client, refused, sizeof refused - 1);
    cr_expect_eq(client_receive(client, answer, sizeof answer, NULL), 401);
    cr_expect(client_closed(client));
    client_close(client);
    /* A body that stops half-way: an answer in bounded time, and the ticket is settled. */
    client = client_open();
    static const char half[] = INFER "Content-Length: 1000\r\n\r\n{\"inputs\"";
    client_send(client, half, sizeof half - 1);
    for (int i = 0; i < 10 && fixture_ledger.settled < 2; i++)
        poll(NULL, 0, 1000);
    cr_expect_eq(fixture_ledger.settled, 2);
    cr_expect_neq(fixture_ledger.outcome, STATUS_OK);
    client_close(client);
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, uploads_are_split) {
    static const char header[] = "age-encryption.org/v1\n-> X25519 abc\nbody\n--- mac\n";
    size_t payload = 3000000, size = sizeof header - 1 + payload;
    char *file = malloc(size), head[512];
    memcpy(file, header, sizeof header - 1);
    for (size_t i = 0; i < payload; i++)
        file[sizeof header - 1 + i] = (char)(i * 7);
    fixture_start(false);
    snprintf(head, sizeof head,
             "PUT /v2/repository/models/a/versions/1 HTTP/1.1\r\n" HOST KEY
             "Content-Length: %zu\r\n\r\n",
             size);
    struct client *client = client_open();
    client_send(client, head, strlen(head));
    client_send(client, file, size);
    cr_assert_eq(client_receive(client, answer, sizeof answer, NULL), 200, "%s", answer);
    cr_expect_eq(fixture_ledger.header_size, sizeof header - 1);
    cr_expect_eq(fixture_ledger.payload_bytes, payload);
    cr_expect_eq(fixture_ledger.payload_seen, payload);
    cr_expect_eq(memcmp(fixture_ledger.payload_head, file + sizeof header - 1, 16), 0);
    client_close(client);
    free(file);
    cr_expect_eq(ask("PUT /v2/repository/models/a/versions/1 HTTP/1.1\r\n" HOST KEY
                     "Content-Length: 40\r\n\r\n-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n"),
                 400);
    cr_expect(says("armoured"), "%s", answer);
    cr_expect_eq(fixture_ledger.outcome, STATUS_INVALID);
    cr_expect_eq(ask("PUT /v2/repository/models/a/versions/1 HTTP/1.1\r\n" HOST KEY
                     "X-Model-Signature: abc\r\nContent-Length: 4\r\n\r\nonnx"),
                 400);
    cr_expect_eq(ask("PUT /v2/repository/models/a/versions/1 HTTP/1.1\r\n" HOST KEY
                     "Content-Length: 99999999\r\n\r\n"),
                 413);
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, connections_have_a_limit) {
    struct client *clients[16];
    fixture_start(false);
    static const char request[] = "GET /v2/health/live HTTP/1.1\r\n" HOST "\r\n";
    int turned_away = 0, served = 0;
    for (size_t i = 0; i < 14; i++) {
        clients[i] = client_open();
        client_send(clients[i], request, sizeof request - 1);
        int status = client_receive(clients[i], answer, sizeof answer, NULL);
        served += status == 200;
        turned_away += status == 429;
    }
    cr_expect_eq(served, 12);
    cr_expect_eq(turned_away, 2);
    for (size_t i = 0; i < 14; i++)
        client_close(clients[i]);
    cr_expect_eq(fixture_stop(), 0);
}

Test(front_service, draining_ends_the_process) {
    fixture_start(false);
    struct client *client = client_open();
    fixture_drain();
    client_close(client);
    cr_expect_eq(fixture_stop(), 0);
}
