#include "store/check.h"

#include <inttypes.h>
#include <string.h>

#include "store/audit_record.h"

#define LOWER_HEX "0123456789abcdef"
#define ALPHANUMERIC "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"

static enum status check_uid(const char *uid, struct error *error) {
    if (strnlen(uid, STORE_UID_LENGTH + 1) != STORE_UID_LENGTH ||
        strspn(uid, LOWER_HEX) != STORE_UID_LENGTH)
        return status_fail(error, STATUS_INVALID, "uid: must be %d lower-case hex digits",
                           STORE_UID_LENGTH);
    return STATUS_OK;
}

static enum status check_recipient(const char *recipient, struct error *error) {
    size_t length = strnlen(recipient, STORE_RECIPIENT_MAX + 1);
    if (length > STORE_RECIPIENT_MAX || length < 8 || strncmp(recipient, "age1", 4) != 0 ||
        recipient[strspn(recipient, "abcdefghijklmnopqrstuvwxyz0123456789")] != '\0')
        return status_fail(error, STATUS_INVALID,
                           "recipient: must be an age recipient, \"age1...\"");
    return STATUS_OK;
}

enum status check_name(const char *field, const char *text, struct error *error) {
    size_t length = text ? strnlen(text, NAME_MAX_LENGTH + 1) : 0;
    if (!text || !name_valid(text, length))
        return status_fail(error, STATUS_INVALID,
                           "%s: must be a letter or digit, then up to %d letters, digits, "
                           "\".\", \"_\" or \"-\"",
                           field, NAME_MAX_LENGTH - 1);
    return STATUS_OK;
}

enum status check_time(const char *field, int64_t time, struct error *error) {
    if (time <= 0 || time > AUDIT_RECORD_INTEGER_MAX)
        return status_fail(error, STATUS_INVALID,
                           "%s: %" PRId64 " is not a time in microseconds since 1970", field, time);
    return STATUS_OK;
}

enum status check_meta(const struct store_meta *meta, struct error *error) {
    enum status status = check_uid(meta->uid, error);
    if (status == STATUS_OK)
        status = check_time("created", meta->created, error);
    if (status == STATUS_OK)
        status = check_recipient(meta->recipient, error);
    if (status == STATUS_OK &&
        (meta->verifier[0] == '\0' ||
         strnlen(meta->verifier, sizeof meta->verifier) == sizeof meta->verifier))
        status = status_fail(error, STATUS_INVALID, "verifier: must be 1 to %d bytes",
                             STORE_VERIFIER_MAX);
    return status;
}

enum status check_tenant_state(enum store_tenant_state state, struct error *error) {
    if (state != STORE_TENANT_ENABLED && state != STORE_TENANT_DISABLED)
        return status_fail(error, STATUS_INVALID, "state: must be enabled or disabled");
    return STATUS_OK;
}

enum status check_tenant(const struct store_tenant *tenant, struct error *error) {
    enum status status = check_uid(tenant->uid, error);
    if (status == STATUS_OK)
        status = check_name("tenant name", tenant->name, error);
    if (status == STATUS_OK)
        status = check_name("policy", tenant->policy, error);
    if (status == STATUS_OK)
        status = check_recipient(tenant->recipient, error);
    if (status == STATUS_OK)
        status = check_tenant_state(tenant->state, error);
    if (status == STATUS_OK)
        status = check_time("created", tenant->created, error);
    if (status != STATUS_OK)
        return status;
    if (tenant->wrapped_size == 0 || tenant->wrapped_size > STORE_WRAPPED_MAX)
        return status_fail(error, STATUS_INVALID, "wrapped identity: %zu bytes, must be 1 to %d",
                           tenant->wrapped_size, STORE_WRAPPED_MAX);
    size_t note = strnlen(tenant->note, sizeof tenant->note);
    if (note == 0 || note > STORE_NOTE_MAX)
        return status_fail(error, STATUS_INVALID, "signed note: must be 1 to %d bytes",
                           STORE_NOTE_MAX);
    return STATUS_OK;
}

enum status check_policy(const struct store_policy *policy, struct error *error) {
    enum status status = check_name("policy", policy->name, error);
    if (status == STATUS_OK)
        status = check_time("changed", policy->changed, error);
    if (status != STATUS_OK)
        return status;
    size_t length = strnlen(policy->text, sizeof policy->text);
    if (length == 0 || length > STORE_POLICY_TEXT_MAX)
        return status_fail(error, STATUS_INVALID, "policy text: must be 1 to %d bytes",
                           STORE_POLICY_TEXT_MAX);
    return STATUS_OK;
}

enum status check_key(const struct store_key *key, struct error *error) {
    const uint32_t among = key->tenant ? SCOPE_ALL : SCOPE_OPERATOR_ALL;
    size_t length = strnlen(key->id, STORE_KEY_ID_MAX + 1);
    if (length == 0 || length > STORE_KEY_ID_MAX || strspn(key->id, ALPHANUMERIC) != length)
        return status_fail(error, STATUS_INVALID, "key id: must be 1 to %d letters and digits",
                           STORE_KEY_ID_MAX);
    length = strnlen(key->maker, sizeof key->maker);
    if (length == sizeof key->maker || strspn(key->maker, ALPHANUMERIC) != length)
        return status_fail(error, STATUS_INVALID, "maker: must be at most %d letters and digits",
                           STORE_KEY_MAKER_MAX);
    if (key->scopes == 0 || (key->scopes & ~among))
        return status_fail(error, STATUS_INVALID, "scopes: none, or one that is not known");
    enum status status = key->label[0] ? check_name("label", key->label, error) : STATUS_OK;
    if (status == STATUS_OK)
        status = check_time("created", key->created, error);
    if (status == STATUS_OK && key->expires != 0)
        status = check_time("expires", key->expires, error);
    if (status == STATUS_OK && key->revoked != 0)
        status = check_time("revoked", key->revoked, error);
    if (status == STATUS_OK && key->expires != 0 && key->expires <= key->created)
        status = status_fail(error, STATUS_INVALID, "expires: must be later than now");
    return status;
}

enum status check_sealed(size_t header_size, int64_t payload_size, struct error *error) {
    if (header_size == 0 || header_size > STORE_HEADER_MAX)
        return status_fail(error, STATUS_INVALID, "header: %zu bytes, must be 1 to %d", header_size,
                           STORE_HEADER_MAX);
    if (payload_size <= 0 || payload_size > STORE_PAYLOAD_MAX)
        return status_fail(error, STATUS_INVALID,
                           "payload: %" PRId64 " bytes, must be 1 to %" PRId64, payload_size,
                           STORE_PAYLOAD_MAX);
    return STATUS_OK;
}

enum status check_usage(const struct store_usage *usage, struct error *error) {
    if (!usage->key || strnlen(usage->key, AUDIT_RECORD_KEY_MAX + 1) > AUDIT_RECORD_KEY_MAX ||
        !usage->model || strnlen(usage->model, STORE_MODEL_NAME_MAX + 1) > STORE_MODEL_NAME_MAX)
        return status_fail(error, STATUS_INVALID, "usage: key or model is missing or too long");
    const int64_t counts[] = {usage->requests, usage->errors, usage->compute_us, usage->bytes_in,
                              usage->bytes_out};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (counts[i] < 0 || counts[i] > AUDIT_RECORD_INTEGER_MAX)
            return status_fail(error, STATUS_INVALID,
                               "usage: a count is negative or over 2^53 - 1");
    return STATUS_OK;
}
