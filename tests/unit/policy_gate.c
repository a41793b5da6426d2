/* What the ledger makes of a policy: who may pass, and what a record says of him. The whole server
 * is tested in tests/e2e/policy.py; here is what it takes several machines or TLS versions to show.
 */
#include "server/ledger/policy_gate.h"
#include "crypto/crypto.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

static struct error error;
static struct policy policy;
static struct directory_caller caller;
static const uint8_t presented[STORE_CERTIFICATE_SIZE] = {1, 2, 3};

static void set_up(void) {
    cr_assert_eq(crypto_init(&error), STATUS_OK);
    policy = policy_of_nothing();
    caller = (struct directory_caller){.scopes = SCOPE_ALL};
}

TestSuite(gate, .init = set_up);

static struct message_admit admit(const char *client) {
    return (struct message_admit){
        .action = ACTION_INFER, .client = bytes_text(client), .content_length = 5000, .tls = 13};
}

static enum status check(const struct message_admit *message) {
    memset(&error, 0, sizeof error);
    return policy_gate_check(&policy, &caller, message, SCOPE_INFER, &error);
}

Test(gate, without_fields_everything_passes) {
    struct message_admit m = admit("192.0.2.1");
    m.tls = 12;
    cr_expect_eq(check(&m), STATUS_OK, "%s", error.message);
    m.client = bytes_text("");
    cr_expect_eq(check(&m), STATUS_OK, "%s", error.message);
}

Test(gate, foreign_networks_are_refused) {
    struct message_admit m = admit("192.0.2.1");
    cr_assert_eq(network_parse("192.0.2.0/24", &policy.networks[0], &error), STATUS_OK);
    cr_assert_eq(network_parse("2001:db8::/32", &policy.networks[1], &error), STATUS_OK);
    policy.network_count = 2;
    cr_expect_eq(check(&m), STATUS_OK);
    m.client = bytes_text("2001:db8:1::9");
    cr_expect_eq(check(&m), STATUS_OK);
    m.client = bytes_text("::ffff:192.0.2.200");
    cr_expect_eq(check(&m), STATUS_OK);
    static const char *const foreign[] = {"192.0.3.1", "2001:db9::1", "::1", "", "other"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        m.client = bytes_text(foreign[i]);
        cr_expect_eq(check(&m), STATUS_FORBIDDEN, "%s", foreign[i]);
        cr_expect_str_eq(error.message, "the API key may not be used from this network");
    }
}

Test(gate, an_old_tls_is_refused) {
    struct message_admit m = admit("192.0.2.1");
    policy.tls = 13;
    cr_expect_eq(check(&m), STATUS_OK);
    m.tls = 12;
    cr_expect_eq(check(&m), STATUS_FORBIDDEN);
    cr_expect_str_eq(error.message, "the tenant's policy asks for TLS 1.3, and this connection is "
                                    "TLS 1.2");
    m.tls = 0;
    cr_expect_eq(check(&m), STATUS_FORBIDDEN);
    policy.tls = 12;
    m.tls = 12;
    cr_expect_eq(check(&m), STATUS_OK);
}

Test(gate, a_key_for_a_certificate_works_with_that_alone) {
    struct message_admit m = admit("192.0.2.1");
    const uint8_t other[STORE_CERTIFICATE_SIZE] = {1, 2, 4};
    caller.has_certificate = true;
    memcpy(caller.certificate, presented, sizeof presented);
    cr_expect_eq(check(&m), STATUS_FORBIDDEN, "none came along");
    m.certificate = bytes_of(other, sizeof other);
    cr_expect_eq(check(&m), STATUS_FORBIDDEN, "another came along");
    cr_expect_str_eq(error.message, "the API key works only with the client certificate that it "
                                    "was made for");
    m.certificate = bytes_of(presented, 31);
    cr_expect_eq(check(&m), STATUS_FORBIDDEN, "a part of it came along");
    m.certificate = bytes_of(presented, sizeof presented);
    cr_expect_eq(check(&m), STATUS_OK, "%s", error.message);
    policy.certificates = POLICY_CERTIFICATES_REQUIRED;
    cr_expect_eq(check(&m), STATUS_OK);
    caller.has_certificate = false;
    cr_expect_eq(check(&m), STATUS_FORBIDDEN, "a key for any certificate is none");
}

Test(gate, scopes_and_sizes_are_bounded) {
    struct message_admit m = admit("192.0.2.1");
    policy.body_bytes = 5000;
    cr_expect_eq(check(&m), STATUS_OK);
    policy.body_bytes = 4999;
    cr_expect_eq(check(&m), STATUS_TOO_LARGE);
    cr_expect_str_eq(error.message, "the body has 5000 bytes, the limit is 4999");
    m.action = ACTION_UPLOAD; /* has a limit of its own */
    cr_expect_eq(check(&m), STATUS_OK);
    cr_expect_eq(policy_gate_model_bytes(&policy, 100), 100);
    policy.model_bytes = 50;
    cr_expect_eq(policy_gate_model_bytes(&policy, 100), 50);
    cr_expect_eq(policy_gate_model_bytes(&policy, 40), 40, "a policy widens nothing");
    policy.scopes = SCOPE_MODELS_READ;
    cr_expect_eq(check(&m), STATUS_FORBIDDEN);
    cr_expect_str_eq(error.message, "the tenant's policy does not allow the scope infer");
    cr_expect_eq(policy_gate_check(&policy, &caller, &m, UINT32_C(1) << 20, &error), STATUS_OK,
                 "a scope that is no tenant's is not a policy's to refuse");
}

/* --- records ---------------------------------------------------------------------------------- */

static struct commit_record record_of(const char *tenant, const char *client,
                                      enum message_action action, uint8_t secret_byte) {
    static struct policy_gate gate;
    struct commit_record r = {.target = "m/1", .request = "abc"};
    if (gate.secret[0] != secret_byte) {
        gate = (struct policy_gate){.hashes = {{.tenant = ""}}};
        memset(gate.secret, secret_byte, sizeof gate.secret);
    }
    snprintf(r.tenant, sizeof r.tenant, "%s", tenant);
    snprintf(r.client, sizeof r.client, "%s", client);
    policy_gate_record(&gate, &policy, action, &r);
    return r;
}

Test(gate, a_client_is_hashed_under_a_key_and_for_each_tenant) {
    const struct commit_record a = record_of("aa", "192.0.2.1", ACTION_INFER, 1);
    cr_expect_eq(strlen(a.client), 34);
    cr_expect_eq(strncmp(a.client, "h:", 2), 0);
    cr_expect_str_eq(a.client, record_of("aa", "192.0.2.1", ACTION_INFER, 1).client);
    cr_expect_str_neq(a.client, record_of("aa", "192.0.2.2", ACTION_INFER, 1).client);
    cr_expect_str_neq(a.client, record_of("bb", "192.0.2.1", ACTION_INFER, 1).client);
    cr_expect_str_neq(a.client, record_of("aa", "192.0.2.1", ACTION_INFER, 2).client);
    cr_expect_str_eq(record_of("aa", "", ACTION_INFER, 1).client, "");
    /* More than are remembered: each is what it was, whatever was remembered in its place. */
    for (int round = 0; round < 2; round++) {
        static char seen[2048][MESSAGE_CLIENT_MAX + 1];
        for (int i = 0; i < 2048; i++) {
            char client[32];
            snprintf(client, sizeof client, "10.0.%d.%d", i / 256, i % 256);
            const struct commit_record r = record_of("aa", client, ACTION_INFER, 1);
            if (round == 0)
                memcpy(seen[i], r.client, sizeof r.client);
            cr_assert_str_eq(r.client, seen[i]);
            cr_assert(i == 0 || strcmp(seen[i], seen[i - 1]) != 0);
        }
    }
    policy.client = POLICY_CLIENT_PLAIN;
    cr_expect_str_eq(record_of("aa", "192.0.2.1", ACTION_INFER, 1).client, "192.0.2.1");
    policy.client = POLICY_CLIENT_NONE;
    cr_expect_str_eq(record_of("aa", "192.0.2.1", ACTION_INFER, 1).client, "");
}

Test(gate, minimal_leaves_out_what_is_no_act) {
    struct commit_record r = record_of("aa", "192.0.2.1", ACTION_INFER, 1);
    cr_expect_str_eq(r.request, "abc");
    cr_expect_str_eq(commit_audit_record(&r).target, "m/1");
    policy.detail = POLICY_DETAIL_MINIMAL;
    r = record_of("aa", "192.0.2.1", ACTION_INFER, 1);
    cr_expect_str_eq(r.request, "");
    cr_expect_str_eq(r.target, "m/1", "usage counts by model all the same");
    cr_expect_str_eq(commit_audit_record(&r).target, "");
    r = record_of("aa", "192.0.2.1", ACTION_DELETE, 1);
    cr_expect_str_eq(r.request, "");
    cr_expect_str_eq(commit_audit_record(&r).target, "m/1", "what was deleted stays known");
}

Test(gate, without_a_policy_nothing_of_the_caller_is_kept) {
    static struct policy_gate gate;
    struct commit_record r = {.request = "abc", .client = "192.0.2.1"};
    policy_gate_record(&gate, NULL, ACTION_INFER, &r);
    cr_expect_str_eq(r.client, "");
    cr_expect_str_eq(r.request, "");
}

/* --- from the store --------------------------------------------------------------------------- */

static struct store *memory(void) {
    static const struct store_meta meta = {.uid = "00112233445566778899aabbccddeeff",
                                           .created = 1,
                                           .recipient = "age1root",
                                           .verifier = "test+00000000+key"};
    struct store *store = NULL;
    cr_assert_eq(store_open_memory(&meta, &store, &error), STATUS_OK, "%s", error.message);
    return store;
}

static void set(struct store *store, const char *name, const char *text) {
    struct store_policy row = {.changed = 1};
    snprintf(row.name, sizeof row.name, "%s", name);
    snprintf(row.text, sizeof row.text, "%s", text);
    cr_assert_eq(store_policy_set(store, &row, NULL, 0, &error), STATUS_OK, "%s", error.message);
}

Test(gate, a_change_holds_once_the_directory_is_told) {
    struct store *store = memory();
    struct directory *directory;
    const struct policy *found = NULL;
    cr_assert_eq(directory_new(store, &directory, &error), STATUS_OK);
    set(store, "p", "name: p\nlimits: {models: 3}\n");
    cr_assert_eq(directory_policy(directory, "p", &found, &error), STATUS_OK);
    cr_expect_eq(found->models, 3);
    set(store, "p", "name: p\nlimits: {models: 4}\n");
    directory_changed(directory);
    cr_assert_eq(directory_policy(directory, "p", &found, &error), STATUS_OK);
    cr_expect_eq(found->models, 4);
    /* Of a newer version, or damaged: nothing passes, rather than everything. */
    set(store, "p", "name: p\nrates: {}\n");
    directory_changed(directory);
    cr_expect_eq(directory_policy(directory, "p", &found, &error), STATUS_UNAVAILABLE);
    cr_expect_eq(directory_policy(directory, "none", &found, &error), STATUS_UNAVAILABLE);
    cr_expect_eq(directory_policy(directory, "", &found, &error), STATUS_OK);
    cr_expect_eq(found->scopes, SCOPE_ALL);
    directory_free(directory);
    store_close(store);
}

Test(gate, models_are_counted) {
    struct store *store = memory();
    struct store_tenant t = {.state = STORE_TENANT_ENABLED,
                             .uid = "0123456789abcdef0123456789abcdef",
                             .name = "acme",
                             .recipient = "age1tenant",
                             .wrapped_size = 1,
                             .note = "n\n",
                             .created = 1,
                             .policy = "two"};
    struct store_model model;
    set(store, "two", "name: two\nlimits: {models: 2}\n");
    cr_assert_eq(store_tenant_create(store, &t, NULL, &error), STATUS_OK, "%s", error.message);
    for (int i = 0; i < 2; i++) {
        char version[8];
        snprintf(version, sizeof version, "%d", i);
        cr_expect_eq(policy_gate_models(store, t.id, &error), STATUS_OK, "%s", error.message);
        cr_assert_eq(store_model_create(store, t.id, "m", version, 1, &model, NULL, &error),
                     STATUS_OK);
    }
    cr_expect_eq(policy_gate_models(store, t.id, &error), STATUS_FORBIDDEN);
    cr_expect_str_eq(error.message, "2 model versions are stored, the tenant's policy allows 2: "
                                    "delete one first");
    cr_assert_eq(store_model_delete(store, model.id, NULL, &error), STATUS_OK);
    cr_expect_eq(policy_gate_models(store, t.id, &error), STATUS_OK);
    store_close(store);
}
