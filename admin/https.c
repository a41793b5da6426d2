#include "admin/https.h"

#include <curl/curl.h>
#include <errno.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "crypto/secret.h"

#define CONNECT_SECONDS 15L
#define TOTAL_SECONDS 60L
#define STALLED_SECONDS 600L
#define CONTINUE_MILLISECONDS 5000L
#define SEND_SIZE (256L * 1024)
#define HEADER_MAX 256

struct call {
    const struct https_request *request;
    struct https_answer *answer;
    uint64_t sent;
    int read_error; /* errno of the body's file */
    bool too_long, short_body;
};

static size_t collect(char *data, size_t one, size_t count, void *context) {
    struct call *call = context;
    size_t size = one * count;
    if (size > sizeof call->answer->bytes - call->answer->size) {
        call->too_long = true;
        return 0;
    }
    memcpy(call->answer->bytes + call->answer->size, data, size);
    call->answer->size += size;
    return size;
}

static size_t give(char *out, size_t one, size_t count, void *context) {
    struct call *call = context;
    uint64_t left = call->request->body_size - call->sent;
    size_t size = one * count < left ? one * count : (size_t)left;
    ssize_t n;
    do
        n = read(call->request->body, out, size);
    while (n < 0 && errno == EINTR);
    if (n < 0 || (n == 0 && size)) {
        call->read_error = n < 0 ? errno : 0;
        call->short_body = true;
        return CURL_READFUNC_ABORT;
    }
    call->sent += (uint64_t)n;
    if (call->request->sent)
        call->request->sent(call->sent);
    return (size_t)n;
}

static enum status status_of_http(long code) {
    for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++)
        if (status_http((enum status)i) == code)
            return (enum status)i;
    return STATUS_UNAVAILABLE;
}

static enum status refused(long code, const struct https_answer *answer, struct error *error) {
    json_t *body = json_loadb(answer->bytes, answer->size, 0, NULL);
    const char *text = json_string_value(json_object_get(body, "error"));
    enum status status = status_fail(error, status_of_http(code), "the server answered %ld: %.900s",
                                     code, text ? text : "(no reason given)");
    json_decref(body);
    return status;
}

/* Every option matters, so one that libcurl refuses is a failure. */
static bool set_options(CURL *curl, struct call *call, const char *url, struct curl_slist *headers,
                        char *reason) {
    const char *cacert = call->request->cacert;
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (!cacert || curl_easy_setopt(curl, CURLOPT_CAINFO, cacert) == CURLE_OK) &&
           curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, call) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason) == CURLE_OK;
}

static bool set_body(CURL *curl, struct call *call) {
    if (call->request->body < 0)
        return curl_easy_setopt(curl, CURLOPT_TIMEOUT, TOTAL_SECONDS) == CURLE_OK;
    return curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->request->body_size) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_UPLOAD_BUFFERSIZE, SEND_SIZE) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_EXPECT_100_TIMEOUT_MS, CONTINUE_MILLISECONDS) ==
               CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, STALLED_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_READFUNCTION, give) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_READDATA, call) == CURLE_OK;
}

static void drop_headers(struct curl_slist *headers) {
    for (struct curl_slist *h = headers; h; h = h->next)
        secret_wipe(h->data, strlen(h->data));
    curl_slist_free_all(headers);
}

/* The key's line first; NULL where memory is short. */
static struct curl_slist *make_headers(const struct https_request *request, struct error *error) {
    char *line = secret_alloc(HEADER_MAX, error);
    if (!line)
        return NULL;
    snprintf(line, HEADER_MAX, "Authorization: Bearer %s", request->key);
    struct curl_slist *headers = curl_slist_append(NULL, line), *more = headers;
    secret_free(line);
    if (headers && request->body >= 0)
        more = curl_slist_append(headers, "Expect: 100-continue");
    if (more && request->body >= 0)
        more = curl_slist_append(headers, "Content-Type: application/octet-stream");
    if (!more) {
        drop_headers(headers);
        headers = NULL;
    }
    return headers;
}

static enum status perform(CURL *curl, struct call *call, struct error *error) {
    const struct https_request *request = call->request;
    char url[1024], reason[CURL_ERROR_SIZE] = "";
    enum status status = STATUS_OK;
    long code = 0;
    size_t length = strlen(request->server);
    while (length && request->server[length - 1] == '/')
        length--;
    if (strncmp(request->server, "https://", 8) != 0 ||
        snprintf(url, sizeof url, "%.*s%s", (int)length, request->server, request->path) >=
            (int)sizeof url)
        return status_fail(error, STATUS_INVALID,
                           "--server: found \"%.200s\", expected https://HOST:PORT",
                           request->server);
    struct curl_slist *headers = make_headers(request, error);
    if (!headers || !set_options(curl, call, url, headers, reason) || !set_body(curl, call)) {
        status = status_fail(error, STATUS_INTERNAL, "the HTTPS client cannot be set up");
        goto out;
    }
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (call->too_long)
        status = status_fail(error, STATUS_TOO_LARGE, "the server's answer is too long");
    else if (call->short_body)
        status = status_fail(error, STATUS_UNAVAILABLE, "the file cannot be read: %s",
                             call->read_error ? strerror(call->read_error)
                                              : "it became shorter while it was sent");
    else if (code >= 300 && call->answer->size) /* a refusal may come before the body is gone */
        status = refused(code, call->answer, error);
    else if (result != CURLE_OK)
        status = status_fail(error, STATUS_UNAVAILABLE, "%.200s: %s", request->server,
                             reason[0] ? reason : curl_easy_strerror(result));
    else if (code != 200 && code != 201)
        status = refused(code, call->answer, error);
out:
    drop_headers(headers);
    return status;
}

enum status https_call(const struct https_request *request, struct https_answer *answer,
                       struct error *error) {
    struct call call = {.request = request, .answer = answer};
    CURL *curl = NULL;
    answer->size = 0;
    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(curl = curl_easy_init()))
        return status_fail(error, STATUS_UNAVAILABLE, "the HTTPS client cannot be started");
    enum status status = perform(curl, &call, error);
    curl_easy_cleanup(curl);
    return status;
}
