#include "admin/fetch.h"

#include <curl/curl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/recipient_text.h"
#include "crypto/secret.h"

#define ANSWER_MAX (64 * 1024)
#define CONNECT_SECONDS 15L
#define TOTAL_SECONDS 60L
#define HEADER_MAX 256

struct answer {
    char bytes[ANSWER_MAX];
    size_t size;
    bool too_long;
};

static size_t collect(char *data, size_t one, size_t count, void *context) {
    struct answer *answer = context;
    size_t size = one * count;
    if (size > sizeof answer->bytes - answer->size) {
        answer->too_long = true;
        return 0;
    }
    memcpy(answer->bytes + answer->size, data, size);
    answer->size += size;
    return size;
}

static enum status status_of_http(long code) {
    for (int i = STATUS_OK + 1; i < STATUS_COUNT; i++)
        if (status_http((enum status)i) == code)
            return (enum status)i;
    return STATUS_UNAVAILABLE;
}

static enum status refused(long code, const struct answer *answer, struct error *error) {
    json_t *body = json_loadb(answer->bytes, answer->size, 0, NULL);
    const char *text = json_string_value(json_object_get(body, "error"));
    enum status status = status_fail(error, status_of_http(code), "the server answered %ld: %.512s",
                                     code, text ? text : "(no reason given)");
    json_decref(body);
    return status;
}

/* Every option matters, so one that libcurl refuses is a failure. */
static bool set_options(CURL *curl, const struct fetch_source *source, const char *url,
                        struct curl_slist *headers, struct answer *answer, char *reason) {
    return curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_SSLVERSION, (long)CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
           (!source->cacert ||
            curl_easy_setopt(curl, CURLOPT_CAINFO, source->cacert) == CURLE_OK) &&
           curl_easy_setopt(curl, CURLOPT_NOPROXY, "localhost,127.0.0.1,::1") == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, CONNECT_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_TIMEOUT, TOTAL_SECONDS) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_WRITEDATA, answer) == CURLE_OK &&
           curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, reason) == CURLE_OK;
}

static enum status perform(CURL *curl, const struct fetch_source *source, struct answer *answer,
                           struct error *error) {
    char url[1024], reason[CURL_ERROR_SIZE] = "";
    struct curl_slist *headers = NULL;
    enum status status = STATUS_OK;
    long code = 0;
    size_t length = strlen(source->url);
    while (length && source->url[length - 1] == '/')
        length--;
    if (strncmp(source->url, "https://", 8) != 0 ||
        snprintf(url, sizeof url, "%.*s/v1/recipient", (int)length, source->url) >= (int)sizeof url)
        return status_fail(error, STATUS_INVALID,
                           "--server: found \"%.200s\", expected https://HOST:PORT", source->url);
    char *line = secret_alloc(HEADER_MAX, error);
    if (!line)
        return STATUS_UNAVAILABLE;
    snprintf(line, HEADER_MAX, "Authorization: Bearer %s", source->key);
    headers = curl_slist_append(NULL, line);
    secret_free(line);
    if (!headers || !set_options(curl, source, url, headers, answer, reason)) {
        status = status_fail(error, STATUS_INTERNAL, "the HTTPS client cannot be set up");
        goto out;
    }
    CURLcode result = curl_easy_perform(curl);
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    if (answer->too_long)
        status = status_fail(error, STATUS_TOO_LARGE, "the server's answer is too long");
    else if (result != CURLE_OK)
        status = status_fail(error, STATUS_UNAVAILABLE, "%.200s: %s", source->url,
                             reason[0] ? reason : curl_easy_strerror(result));
    else if (code != 200)
        status = refused(code, answer, error);
out:
    if (headers && headers->data)
        secret_wipe(headers->data, strlen(headers->data));
    curl_slist_free_all(headers);
    return status;
}

static void copy_part(char *out, size_t size, struct bytes part) {
    snprintf(out, size, "%.*s", (int)part.size, (const char *)part.data);
}

/* 32 hexadecimal digits are a uid: no tenant can be created with such a name. */
static bool is_meant(const char *meant, const struct fetch_target *target) {
    return strcmp(meant, name_is_uid(meant) ? target->uid : target->name) == 0;
}

/* What the note says is the answer; what stands beside it in the JSON is for people. */
static enum status believe(const struct answer *answer, const struct fetch_source *source,
                           struct fetch_target *target, struct error *error) {
    struct note_verifier verifier;
    struct recipient_text parts;
    struct age_recipient parsed;
    struct fetch_target found;
    size_t length = 0;
    enum status status =
        note_verifier_parse(source->verifier, strlen(source->verifier), &verifier, error);
    if (status != STATUS_OK) {
        status_prefix(error, "--verifier: ");
        return status;
    }
    json_t *body = json_loadb(answer->bytes, answer->size, JSON_REJECT_DUPLICATES, NULL);
    const char *note = json_string_value(json_object_get(body, "note"));
    if (!note) {
        status = status_fail(error, STATUS_INVALID, "the server's answer holds no signed note");
        goto out;
    }
    status = note_verify(&verifier, note, strlen(note), &length, error);
    if (status != STATUS_OK) {
        status_prefix(error, "the recipient is not signed by the key that --verifier names, so "
                             "nothing is sealed to it: ");
        goto out;
    }
    status = recipient_text_parse(bytes_of(note, length), &parts, error);
    if (status != STATUS_OK)
        goto out;
    copy_part(found.recipient, sizeof found.recipient, parts.recipient);
    copy_part(found.name, sizeof found.name, parts.name);
    copy_part(found.uid, sizeof found.uid, parts.tenant);
    status = age_x25519_recipient_parse(found.recipient, strlen(found.recipient), &parsed, error);
    if (status == STATUS_OK && !is_meant(source->tenant, &found))
        status = status_fail(error, STATUS_FORBIDDEN,
                             "--tenant says \"%.64s\", and the server's signed note is for the "
                             "tenant \"%s\" (uid %s): nothing is sealed to it. Is the API key "
                             "another tenant's? If not, the server's store was tampered with",
                             source->tenant, found.name, found.uid);
    if (status == STATUS_OK)
        *target = found;
out:
    json_decref(body);
    return status;
}

enum status fetch_recipient(const struct fetch_source *source, struct fetch_target *target,
                            struct error *error) {
    struct answer *answer = calloc(1, sizeof *answer);
    CURL *curl = NULL;
    enum status status = STATUS_OK;
    if (!answer || curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK || !(curl = curl_easy_init()))
        status = status_fail(error, STATUS_UNAVAILABLE, "the HTTPS client cannot be started");
    if (status == STATUS_OK)
        status = perform(curl, source, answer, error);
    if (status == STATUS_OK)
        status = believe(answer, source, target, error);
    curl_easy_cleanup(curl);
    free(answer);
    return status;
}
