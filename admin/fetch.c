#include "admin/fetch.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/https.h"
#include "base/recipient_text.h"

static void copy_part(char *out, size_t size, struct bytes part) {
    snprintf(out, size, "%.*s", (int)part.size, (const char *)part.data);
}

/* 32 hexadecimal digits are a uid: no tenant can be created with such a name. */
static bool is_meant(const char *meant, const struct fetch_target *target) {
    return strcmp(meant, name_is_uid(meant) ? target->uid : target->name) == 0;
}

/* What the note says is the answer; what stands beside it in the JSON is for people. */
static enum status believe(const struct https_answer *answer, const struct fetch_source *source,
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
    const struct https_request request = {.server = source->url,
                                          .path = "/v1/recipient",
                                          .cacert = source->cacert,
                                          .key = source->key,
                                          .body = -1};
    struct https_answer *answer = malloc(sizeof *answer);
    enum status status = answer ? https_call(&request, answer, error)
                                : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK)
        status = believe(answer, source, target, error);
    free(answer);
    return status;
}
