#include "tenancy/policy.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "store/scope.h"

static const struct policy_word scope_words[] = {{"models:read", SCOPE_MODELS_READ},
                                                 {"models:write", SCOPE_MODELS_WRITE},
                                                 {"infer", SCOPE_INFER},
                                                 {"audit:read", SCOPE_AUDIT_READ},
                                                 {"usage:read", SCOPE_USAGE_READ},
                                                 {"keys:write", SCOPE_KEYS_WRITE},
                                                 {NULL, 0}};
static const struct policy_word tls_words[] = {{"1.2", 12}, {"1.3", 13}, {NULL, 0}};
static const struct policy_word certificate_words[] = {{"optional", POLICY_CERTIFICATES_OPTIONAL},
                                                       {"required", POLICY_CERTIFICATES_REQUIRED},
                                                       {NULL, 0}};
static const struct policy_word domain_words[] = {{"ai.onnx", POLICY_DOMAIN_ONNX},
                                                  {"ai.onnx.ml", POLICY_DOMAIN_ML},
                                                  {"com.microsoft", POLICY_DOMAIN_MICROSOFT},
                                                  {NULL, 0}};
static const struct policy_word memory_words[] = {{"configured", POLICY_MEMORY_CONFIGURED},
                                                  {"locked", POLICY_MEMORY_LOCKED},
                                                  {"secret", POLICY_MEMORY_SECRET},
                                                  {NULL, 0}};
static const struct policy_word detail_words[] = {
    {"full", POLICY_DETAIL_FULL}, {"minimal", POLICY_DETAIL_MINIMAL}, {NULL, 0}};
static const struct policy_word client_words[] = {{"hash", POLICY_CLIENT_HASH},
                                                  {"plain", POLICY_CLIENT_PLAIN},
                                                  {"none", POLICY_CLIENT_NONE},
                                                  {NULL, 0}};

#define AT(member) offsetof(struct policy, member)
const struct policy_field policy_fields[] = {
    {"name", POLICY_KIND_NAME, AT(name), 0, 0, NULL, "required",
     "what tenants are given it by: a letter or digit, then letters, digits, `.`, `_`, `-`"},
    {"scopes", POLICY_KIND_SET, AT(scopes), 0, 0, scope_words, "all of them",
     "scopes that the tenant's keys may be given, and may use if they have them"},
    {"networks", POLICY_KIND_NETWORKS, AT(networks), 0, 0, NULL, "every network",
     "networks (CIDR, IPv4 and IPv6) that a key may be used from; from elsewhere it is refused "
     "with 403"},
    {"tls", POLICY_KIND_CHOICE, AT(tls), 0, 0, tls_words, "what the listener asks for",
     "lowest TLS version of a connection; it may not be below the listener's"},
    {"certificates", POLICY_KIND_CHOICE, AT(certificates), 0, 0, certificate_words, "optional",
     "`required`: a key works only if it was made for a client certificate, which must come along"},
    {"limits.body_bytes", POLICY_KIND_NUMBER, AT(body_bytes), 1024, UINT64_C(1) << 32, NULL,
     "the configuration's", "bytes of an inference request's body; more is 413"},
    {"limits.model_bytes", POLICY_KIND_NUMBER, AT(model_bytes), 1024, UINT64_C(1) << 40, NULL,
     "the configuration's", "bytes of a sealed model; more is 413 before any of it is read"},
    {"limits.models", POLICY_KIND_NUMBER, AT(models), 1, 1000000, NULL, "no limit",
     "model versions that are stored at once; a further upload is 403"},
    {"limits.deadline_ms", POLICY_KIND_NUMBER, AT(deadline_ms), 1, 3600000, NULL,
     "the configuration's", "milliseconds that a model may run for one request; past it is 504"},
    {"models.domains", POLICY_KIND_SET, AT(domains), 0, 0, domain_words, "all of them",
     "domains that a model's operators may be of; 422 names each operator that is of another"},
    {"models.memory", POLICY_KIND_CHOICE, AT(memory), 0, 0, memory_words, "configured",
     "weakest memory for weights: `secret` (memfd_secret), `locked`, or what the configuration "
     "allows; a model that does not get it is 422"},
    {"audit.detail", POLICY_KIND_CHOICE, AT(detail), 0, 0, detail_words, "full",
     "`minimal`: records leave out the request id, and of what only reads or infers, the target; "
     "every act stays a record"},
    {"audit.client", POLICY_KIND_CHOICE, AT(client), 0, 0, client_words, "hash",
     "the client's address in records: a hash under a key of this store, the address, or nothing"},
};
const size_t policy_fields_count = sizeof policy_fields / sizeof policy_fields[0];

static uint64_t number_at(const struct policy *policy, const struct policy_field *field) {
    uint64_t value;
    memcpy(&value, (const char *)policy + field->offset, sizeof value);
    return value;
}

static void list_words(const struct policy_word *words, uint64_t bits, const char *between,
                       struct buf *out) {
    bool first = true;
    for (; words->word; words++) {
        if (!(bits & words->value))
            continue;
        buf_string(out, first ? "" : between);
        buf_string(out, words->word);
        first = false;
    }
}

struct policy policy_of_nothing(void) {
    struct policy policy = {.scopes = SCOPE_ALL};
    for (const struct policy_word *w = domain_words; w->word; w++)
        policy.domains |= w->value;
    return policy;
}

void policy_value(const struct policy *policy, const struct policy_field *field,
                  char text[POLICY_VALUE_MAX]) {
    const struct policy none = policy_of_nothing();
    struct buf out = buf_of(text, POLICY_VALUE_MAX - 1);
    switch (field->kind) {
    case POLICY_KIND_NAME:
        buf_string(&out, policy->name);
        break;
    case POLICY_KIND_NETWORKS:
        if (policy->network_count)
            buf_printf(&out, "%" PRIu64 " network%s", policy->network_count,
                       policy->network_count == 1 ? "" : "s");
        break;
    case POLICY_KIND_NUMBER:
        if (number_at(policy, field) != number_at(&none, field))
            buf_printf(&out, "%" PRIu64, number_at(policy, field));
        break;
    case POLICY_KIND_SET:
        if (number_at(policy, field) != number_at(&none, field))
            list_words(field->words, number_at(policy, field), ",", &out);
        break;
    case POLICY_KIND_CHOICE:
        for (const struct policy_word *w = field->words; w->word; w++)
            if (w->value == number_at(policy, field) && w->value != number_at(&none, field))
                buf_string(&out, w->word);
        break;
    }
    if (out.size == 0)
        buf_string(&out, "-");
    text[out.size] = '\0';
}

void policy_document(const struct policy_field *field, char *text, size_t size) {
    struct buf out = buf_of(text, size - 1);
    buf_printf(&out, "| `%s` | ", field->path);
    switch (field->kind) {
    case POLICY_KIND_NAME:
        buf_string(&out, "a name");
        break;
    case POLICY_KIND_NUMBER:
        buf_printf(&out, "a whole number, %" PRIu64 " to %" PRIu64, field->low, field->high);
        break;
    case POLICY_KIND_NETWORKS:
        buf_printf(&out, "a list of networks, at most %d", POLICY_NETWORKS_MAX);
        break;
    case POLICY_KIND_SET:
        buf_string(&out, "a list of ");
        for (const struct policy_word *w = field->words; w->word; w++)
            buf_printf(&out, "%s`%s`", w == field->words ? "" : ", ", w->word);
        break;
    case POLICY_KIND_CHOICE:
        for (const struct policy_word *w = field->words; w->word; w++)
            buf_printf(&out, "%s`%s`", w == field->words ? "" : w[1].word ? ", " : " or ", w->word);
        break;
    }
    buf_printf(&out, " | %s | %s |", field->without, field->doc);
    text[out.size] = '\0';
}
