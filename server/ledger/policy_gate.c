#include "server/ledger/policy_gate.h"

#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static enum status check_network(const struct policy *policy, const struct message_admit *message,
                                 struct error *error) {
    char client[MESSAGE_CLIENT_MAX + 1];
    uint8_t address[16];
    if (policy->network_count == 0)
        return STATUS_OK;
    if (bytes_to_text(message->client, client, sizeof client) && network_address(client, address))
        for (size_t i = 0; i < policy->network_count; i++)
            if (network_contains(&policy->networks[i], address))
                return STATUS_OK;
    return status_fail(error, STATUS_FORBIDDEN, "the API key may not be used from this network");
}

static enum status check_connection(const struct policy *policy,
                                    const struct directory_caller *caller,
                                    const struct message_admit *message, struct error *error) {
    if (message->tls < policy->tls)
        return status_fail(error, STATUS_FORBIDDEN,
                           "the tenant's policy asks for TLS 1.%u, and this connection is TLS 1.%u",
                           (unsigned)policy->tls - 10,
                           message->tls >= 10 ? (unsigned)message->tls - 10 : 0);
    if (!caller->has_certificate && policy->certificates == POLICY_CERTIFICATES_REQUIRED)
        return status_fail(error, STATUS_FORBIDDEN,
                           "the tenant's policy takes only API keys that were made for a client "
                           "certificate");
    if (caller->has_certificate &&
        (message->certificate.size != sizeof caller->certificate ||
         !secret_equal(message->certificate.data, caller->certificate, sizeof caller->certificate)))
        return status_fail(error, STATUS_FORBIDDEN,
                           "the API key works only with the client certificate that it was made "
                           "for");
    return STATUS_OK;
}

enum status policy_gate_check(const struct policy *policy, const struct directory_caller *caller,
                              const struct message_admit *message, uint32_t scope,
                              struct error *error) {
    enum status status = check_network(policy, message, error);
    if (status == STATUS_OK)
        status = check_connection(policy, caller, message, error);
    if (status != STATUS_OK)
        return status;
    /* Of scopes that are no tenant's, policies say nothing. */
    const uint32_t outside = scope & SCOPE_ALL & ~(uint32_t)policy->scopes;
    if (outside) {
        char names[SCOPE_TEXT_MAX];
        scope_format(outside, names);
        return status_fail(error, STATUS_FORBIDDEN,
                           "the tenant's policy does not allow the scope %s", names);
    }
    if (message->action == ACTION_INFER && policy->body_bytes &&
        message->content_length > policy->body_bytes)
        return status_fail(error, STATUS_TOO_LARGE,
                           "the body has %" PRIu64 " bytes, the limit is %" PRIu64,
                           message->content_length, policy->body_bytes);
    return STATUS_OK;
}

uint64_t policy_gate_model_bytes(const struct policy *policy, uint64_t configured) {
    return policy->model_bytes && policy->model_bytes < configured ? policy->model_bytes
                                                                   : configured;
}

struct ticket_terms policy_gate_terms(const struct policy *policy) {
    return (struct ticket_terms){.domains = (uint32_t)policy->domains,
                                 .memory = (uint8_t)policy->memory,
                                 .body_bytes = policy->body_bytes,
                                 .deadline_ms = (uint32_t)policy->deadline_ms};
}

/* Two requests of one tenant from one address have the same hash; those of two tenants have not,
 * so that nobody can follow a client from one tenant's log into another's. */
static void hash_client(const uint8_t secret[STORE_SECRET_SIZE], const char *tenant,
                        const char *client, char text[MESSAGE_CLIENT_MAX + 1]) {
    uint8_t hash[HASH_SIZE];
    char what[STORE_UID_LENGTH + 1 + MESSAGE_CLIENT_MAX + 1];
    struct buf out = buf_of(what, sizeof what);
    buf_string(&out, tenant);
    buf_u8(&out, ' ');
    buf_string(&out, client);
    hash_blake2b(secret, STORE_SECRET_SIZE, what, out.size, hash);
    _Static_assert(MESSAGE_CLIENT_MAX >= 2 + 32, "room for 128 bits in hexadecimal");
    memcpy(text, "h:", 2);
    encoding_hex(hash, 16, text + 2);
}

/* FNV-1a: places entries only. */
static uint32_t place_of(const char *tenant, const char *client) {
    uint32_t place = 2166136261u;
    for (; *tenant; tenant++)
        place = (place ^ (uint8_t)*tenant) * 16777619u;
    for (; *client; client++)
        place = (place ^ (uint8_t)*client) * 16777619u;
    return (place ^ place >> 16) % POLICY_GATE_HASHES;
}

static void replace_client(struct policy_gate *gate, struct commit_record *record) {
    const uint32_t i = place_of(record->tenant, record->client);
    if (strcmp(gate->hashes[i].client, record->client) != 0 ||
        strcmp(gate->hashes[i].tenant, record->tenant) != 0) {
        memcpy(gate->hashes[i].tenant, record->tenant, sizeof record->tenant);
        memcpy(gate->hashes[i].client, record->client, sizeof record->client);
        hash_client(gate->secret, record->tenant, record->client, gate->hashes[i].hash);
    }
    memcpy(record->client, gate->hashes[i].hash, sizeof record->client);
}

void policy_gate_renew(struct policy_gate *gate, const uint8_t secret[STORE_SECRET_SIZE]) {
    memset(gate->hashes, 0, sizeof gate->hashes);
    memcpy(gate->secret, secret, sizeof gate->secret);
}

void policy_gate_address(const struct policy_gate *gate, char client[MESSAGE_CLIENT_MAX + 1]) {
    char hash[MESSAGE_CLIENT_MAX + 1] = "";
    hash_client(gate->secret, "", client, hash);
    memcpy(client, hash, sizeof hash);
}

/* Listed, so that an act that is added later keeps its target. */
static bool only_reads(enum message_action action) {
    switch (action) {
    case ACTION_SERVER_METADATA:
    case ACTION_METADATA:
    case ACTION_MODEL_READY:
    case ACTION_INFER:
    case ACTION_INDEX:
    case ACTION_RECIPIENT:
    case ACTION_AUDIT:
    case ACTION_CONFIG:
    case ACTION_STATISTICS:
    case ACTION_USAGE:
    case ACTION_KEY_READ:
    case ACTION_NOT_OFFERED:
    case ACTION_UNROUTED:
        return true;
    default:
        return false;
    }
}

void policy_gate_record(struct policy_gate *gate, const struct policy *policy,
                        enum message_action action, struct commit_record *record) {
    if (!policy) {
        record->client[0] = record->request[0] = '\0';
        return;
    }
    if (policy->client == POLICY_CLIENT_NONE)
        record->client[0] = '\0';
    else if (policy->client == POLICY_CLIENT_HASH && record->client[0])
        replace_client(gate, record);
    if (policy->detail == POLICY_DETAIL_MINIMAL) {
        record->request[0] = '\0';
        record->hide_target = only_reads(action);
    }
}

static enum status count_model(void *context, const struct store_model *model,
                               struct error *error) {
    (void)model, (void)error;
    ++*(uint64_t *)context;
    return STATUS_OK;
}

/* The policy that the tenant has now. */
static enum status load_policy(struct store *store, int64_t tenant, struct policy *policy,
                               struct error *error) {
    struct store_tenant *row = malloc(sizeof *row);
    struct store_policy *text = malloc(sizeof *text);
    enum status status = row && text ? store_tenant_get(store, tenant, row, error)
                                     : status_fail(error, STATUS_UNAVAILABLE, "memory is short");
    if (status == STATUS_OK)
        status = store_policy_find(store, row->policy, text, error);
    if (status == STATUS_OK)
        status = policy_parse(text->text, strlen(text->text), policy, error);
    free(text);
    free(row);
    return status;
}

enum status policy_gate_scopes(struct store *store, int64_t tenant, uint32_t scopes,
                               struct error *error) {
    struct policy policy;
    char names[SCOPE_TEXT_MAX];
    enum status status = load_policy(store, tenant, &policy, error);
    if (status != STATUS_OK || !(scopes & ~(uint32_t)policy.scopes))
        return status;
    scope_format(scopes & ~(uint32_t)policy.scopes, names);
    return status_fail(error, STATUS_FORBIDDEN,
                       "scopes: the tenant's policy \"%s\" does not allow %s", policy.name, names);
}

enum status policy_gate_models(struct store *store, int64_t tenant, struct error *error) {
    struct policy policy;
    uint64_t count = 0;
    enum status status = load_policy(store, tenant, &policy, error);
    if (status == STATUS_OK && policy.models)
        status = store_model_list(store, tenant, count_model, &count, error);
    if (status == STATUS_OK && policy.models && count >= policy.models)
        status = status_fail(error, STATUS_FORBIDDEN,
                             "%" PRIu64 " model versions are stored, the tenant's policy allows "
                             "%" PRIu64 ": delete one first",
                             count, policy.models);
    return status;
}
