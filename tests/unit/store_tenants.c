/* The suite of the store: tenants, their keys and those of operators, secrets. */
#include <string.h>

#include "crypto/merkle.h"
#include "tests/unit/store_suite.h"

static struct error error;

STORE_TEST(meta_is_what_was_given) {
    struct store_meta given = store_fixture_meta(), found;
    int version = 0;
    ASSERT_OK(store_meta(store, &found, &error));
    cr_assert_str_eq(found.uid, given.uid);
    cr_assert_eq(found.created, given.created);
    cr_assert_str_eq(found.recipient, given.recipient);
    cr_assert_str_eq(found.verifier, given.verifier);
    ASSERT_OK(store_version(store, &version, &error));
    cr_assert_eq(version, store_version_known());
}

STORE_TEST(tenant_comes_back_as_it_went_in) {
    struct store_tenant given = store_fixture_tenant(1), found;
    given.wrapped_size = sizeof given.wrapped;
    for (size_t i = 0; i < given.wrapped_size; i++)
        given.wrapped[i] = (uint8_t)i;
    ASSERT_OK(store_tenant_create(store, &given, NULL, &error));
    cr_assert_gt(given.id, 0);
    ASSERT_OK(store_tenant_find(store, "tenant-1", &found, &error));
    cr_assert_eq(found.id, given.id);
    cr_assert_str_eq(found.uid, given.uid);
    cr_assert_str_eq(found.recipient, given.recipient);
    cr_assert_str_eq(found.note, given.note);
    cr_assert_eq(found.wrapped_size, given.wrapped_size);
    cr_assert_arr_eq(found.wrapped, given.wrapped, given.wrapped_size);
    cr_assert_eq(found.state, STORE_TENANT_ENABLED);
    cr_assert_eq(found.created, given.created);
    ASSERT_OK(store_tenant_set_state(store, given.id, STORE_TENANT_DISABLED, NULL, &error));
    ASSERT_OK(store_tenant_get(store, given.id, &found, &error));
    cr_assert_eq(found.state, STORE_TENANT_DISABLED);
}

STORE_TEST(tenant_that_is_not_there_is_not_found_and_outputs_stay) {
    struct store_tenant found = {.id = 42};
    ASSERT_STATUS(store_tenant_get(store, 7, &found, &error), STATUS_NOT_FOUND);
    ASSERT_STATUS(store_tenant_find(store, "nobody", &found, &error), STATUS_NOT_FOUND);
    cr_assert_eq(found.id, 42);
    ASSERT_STATUS(store_tenant_set_state(store, 7, STORE_TENANT_ENABLED, NULL, &error),
                  STATUS_NOT_FOUND);
    ASSERT_STATUS(store_tenant_delete(store, 7, NULL, &error), STATUS_NOT_FOUND);
}

STORE_TEST(values_of_the_wrong_form_are_refused) {
    struct store_tenant good = store_fixture_tenant(1), bad;
    bad = good, memcpy(bad.uid, "XYZ", 3);
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    bad = good, memcpy(bad.name, "../x", 5);
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    cr_assert(strstr(error.message, "tenant name"));
    bad = good, bad.name[0] = '\0';
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    bad = good, memcpy(bad.recipient, "ssh-rsa ", 8);
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    bad = good, bad.wrapped_size = 0;
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    bad = good, bad.note[0] = '\0';
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    bad = good, bad.created = 0;
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);
    bad = good, bad.state = (enum store_tenant_state)3;
    ASSERT_STATUS(store_tenant_create(store, &bad, NULL, &error), STATUS_INVALID);

    int64_t id = store_suite_tenant(store, 1);
    struct store_key key = store_fixture_key(1, id);
    key.scopes = SCOPE_ALL + 1;
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.scopes = 0;
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.expires = key.created;
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.id[0] = '\'';
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.maker[0] = '\'';
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);

    struct store_model model;
    ASSERT_STATUS(store_model_create(store, id, "a/b", "1", FIXTURE_NOW, &model, NULL, &error),
                  STATUS_INVALID);
    ASSERT_STATUS(store_model_create(store, id, "a", "", FIXTURE_NOW, &model, NULL, &error),
                  STATUS_INVALID);
    ASSERT_STATUS(store_model_create(store, id, "a", "1", 0, &model, NULL, &error), STATUS_INVALID);
}

STORE_TEST(names_may_come_back_and_uids_never) {
    struct store_tenant first = store_fixture_tenant(1), second = store_fixture_tenant(2);
    ASSERT_OK(store_tenant_create(store, &first, NULL, &error));
    memcpy(second.name, first.name, sizeof second.name);
    ASSERT_STATUS(store_tenant_create(store, &second, NULL, &error), STATUS_CONFLICT);
    cr_assert_eq(second.id, 0);
    ASSERT_OK(store_tenant_delete(store, first.id, NULL, &error));
    ASSERT_OK(store_tenant_create(store, &second, NULL, &error));
    cr_assert_neq(second.id, first.id);
    struct store_tenant again = store_fixture_tenant(1);
    memcpy(again.name, "other", 6);
    ASSERT_STATUS(store_tenant_create(store, &again, NULL, &error), STATUS_CONFLICT);
    cr_assert(strstr(error.message, "uid"));
}

static enum status count_tenant(void *context, const struct store_tenant *tenant, struct error *e) {
    int *count = context;
    struct store_tenant wanted = store_fixture_tenant(*count);
    if (strcmp(tenant->name, wanted.name) != 0)
        return status_fail(e, STATUS_INTERNAL, "found %s", tenant->name);
    ++*count;
    return STATUS_OK;
}

STORE_TEST(tenants_are_listed_in_order_and_a_callback_may_stop) {
    int count = 0;
    for (int i = 0; i < 5; i++)
        store_suite_tenant(store, i);
    ASSERT_OK(store_tenant_list(store, count_tenant, &count, &error));
    cr_assert_eq(count, 5);
    count = 2;
    ASSERT_STATUS(store_tenant_list(store, count_tenant, &count, &error), STATUS_INTERNAL);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(error.message, "found tenant-0");
    store_suite_tenant(store, 5); /* a stopped listing holds nothing up */
}

static enum status count_key(void *context, const struct store_key *key, struct error *e) {
    (void)key, (void)e;
    ++*(int *)context;
    return STATUS_OK;
}

STORE_TEST(keys_of_operators) {
    struct store_key key = store_fixture_key(1, 0), found = {.tenant = 42};
    int count = 0;
    key.scopes = SCOPE_METRICS | SCOPE_TENANTS_READ;
    ASSERT_OK(store_key_create(store, &key, NULL, &error));
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_CONFLICT);
    ASSERT_OK(store_key_find(store, key.id, &found, &error));
    cr_assert_eq(found.tenant, 0);
    cr_assert_eq(found.scopes, key.scopes);
    cr_assert_eq(memcmp(found.hash, key.hash, sizeof key.hash), 0);
    cr_assert_str_eq(found.label, key.label);
    cr_assert_str_eq(found.maker, "key0");
    ASSERT_OK(store_key_list(store, 0, count_key, &count, &error));
    cr_assert_eq(count, 0, "it is no tenant's");
    ASSERT_OK(store_key_list(store, STORE_OPERATORS, count_key, &count, &error));
    cr_assert_eq(count, 1);
    ASSERT_OK(store_key_revoke(store, key.id, FIXTURE_NOW + 5, NULL, &error));
    ASSERT_OK(store_key_revoke(store, key.id, FIXTURE_NOW + 9, NULL, &error));
    ASSERT_OK(store_key_find(store, key.id, &found, &error));
    cr_assert_eq(found.revoked, FIXTURE_NOW + 5);
    ASSERT_STATUS(store_key_revoke(store, "nobody", FIXTURE_NOW, NULL, &error), STATUS_NOT_FOUND);
    /* The two kinds have no scope in common, an id is one key's alone, and a tenant that is deleted
     * takes no operator's key along. */
    struct store_key tenants = store_fixture_key(2, 0), operators = store_fixture_key(3, 0);
    ASSERT_STATUS(store_key_create(store, &tenants, NULL, &error), STATUS_INVALID);
    operators.tenant = store_suite_tenant(store, 1);
    operators.scopes = SCOPE_METRICS;
    ASSERT_STATUS(store_key_create(store, &operators, NULL, &error), STATUS_INVALID);
    tenants = store_fixture_key(1, operators.tenant);
    cr_assert_str_eq(tenants.id, key.id);
    ASSERT_STATUS(store_key_create(store, &tenants, NULL, &error), STATUS_CONFLICT);
    ASSERT_OK(store_tenant_delete(store, operators.tenant, NULL, &error));
    ASSERT_OK(store_key_find(store, key.id, &found, &error));
}

STORE_TEST(keys) {
    int64_t a = store_suite_tenant(store, 1), b = store_suite_tenant(store, 2);
    struct store_key key = store_fixture_key(1, a), found = {.tenant = 42};
    key.expires = FIXTURE_NOW + 1000000;
    ASSERT_OK(store_key_create(store, &key, NULL, &error));
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_CONFLICT);
    struct store_key other = store_fixture_key(2, b);
    other.label[0] = '\0';
    ASSERT_OK(store_key_create(store, &other, NULL, &error));
    other = store_fixture_key(3, 99);
    ASSERT_STATUS(store_key_create(store, &other, NULL, &error), STATUS_NOT_FOUND);

    ASSERT_STATUS(store_key_find(store, "key9", &found, &error), STATUS_NOT_FOUND);
    cr_assert_eq(found.tenant, 42);
    ASSERT_OK(store_key_find(store, "key1", &found, &error));
    cr_assert_eq(found.tenant, a);
    cr_assert_eq(found.scopes, key.scopes);
    cr_assert_str_eq(found.maker, key.maker);
    cr_assert_eq(found.expires, key.expires);
    cr_assert_eq(found.revoked, 0);
    cr_assert_str_eq(found.label, "laptop");
    cr_assert_arr_eq(found.hash, key.hash, sizeof key.hash);

    ASSERT_OK(store_key_revoke(store, "key1", FIXTURE_NOW + 5, NULL, &error));
    ASSERT_OK(store_key_revoke(store, "key1", FIXTURE_NOW + 9, NULL, &error));
    ASSERT_OK(store_key_find(store, "key1", &found, &error));
    cr_assert_eq(found.revoked, FIXTURE_NOW + 5);
    ASSERT_STATUS(store_key_revoke(store, "key9", FIXTURE_NOW, NULL, &error), STATUS_NOT_FOUND);

    int count = 0;
    ASSERT_OK(store_key_list(store, a, count_key, &count, &error));
    cr_assert_eq(count, 1);
    ASSERT_OK(store_key_list(store, 0, count_key, &count, &error));
    cr_assert_eq(count, 3);
}

static enum status count_model(void *context, const struct store_model *model, struct error *e) {
    (void)model, (void)e;
    ++*(int *)context;
    return STATUS_OK;
}

STORE_TEST(deleting_a_tenant_takes_its_rows_and_leaves_the_log) {
    struct store_tenant tenant = store_fixture_tenant(1), kept = store_fixture_tenant(2);
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    ASSERT_OK(store_tenant_create(store, &kept, NULL, &error));
    struct store_key key = store_fixture_key(1, tenant.id), key2 = store_fixture_key(2, kept.id);
    ASSERT_OK(store_key_create(store, &key, NULL, &error));
    ASSERT_OK(store_key_create(store, &key2, NULL, &error));
    store_suite_ready(store, tenant.id, "m", "1", STORE_MODEL_READY);
    store_suite_ready(store, kept.id, "m", "1", STORE_MODEL_READY);
    struct audit_record record = store_fixture_record(tenant.uid);
    struct store_usage usage = {
        .tenant = tenant.id, .key = "key1", .model = "m/1", .day = 20000, .requests = 1};
    ASSERT_OK(store_audit_append(store, &record, 1, &usage, 1, &error));

    ASSERT_OK(store_tenant_delete(store, tenant.id, &record, &error));
    int keys = 0, models = 0;
    struct store_usage sum = {0};
    ASSERT_OK(store_key_list(store, 0, count_key, &keys, &error));
    ASSERT_OK(store_model_list(store, 0, count_model, &models, &error));
    ASSERT_OK(store_usage_list(store, tenant.id, 0, 99999, store_suite_sum_usage, &sum, &error));
    cr_assert_eq(keys, 1);
    cr_assert_eq(models, 1);
    cr_assert_eq(sum.requests, 0);
    uint64_t count = 0;
    ASSERT_OK(store_audit_count(store, tenant.uid, &count, &error));
    cr_assert_eq(count, 2);
    /* What was in flight when the tenant went is still recorded. */
    ASSERT_OK(store_audit_append(store, &record, 1, &usage, 1, &error));
    cr_assert_eq(record.seq, 2);
    ASSERT_OK(store_usage_list(store, tenant.id, 0, 99999, store_suite_sum_usage, &sum, &error));
    cr_assert_eq(sum.requests, 0);
}

STORE_TEST(a_key_may_have_a_certificate) {
    struct store_key key = store_fixture_key(1, store_suite_tenant(store, 1)), found;
    ASSERT_OK(store_key_create(store, &key, NULL, &error));
    ASSERT_OK(store_key_find(store, key.id, &found, &error));
    cr_assert_not(found.has_certificate);
    key = store_fixture_key(2, key.tenant);
    key.has_certificate = true;
    memset(key.certificate, 0xab, sizeof key.certificate);
    ASSERT_OK(store_key_create(store, &key, NULL, &error));
    ASSERT_OK(store_key_find(store, key.id, &found, &error));
    cr_assert(found.has_certificate);
    cr_assert_arr_eq(found.certificate, key.certificate, sizeof key.certificate);
}

STORE_TEST(a_secret_is_the_first_one_that_was_offered) {
    const uint8_t first[STORE_SECRET_SIZE] = {1}, second[STORE_SECRET_SIZE] = {2};
    uint8_t kept[STORE_SECRET_SIZE];
    ASSERT_OK(store_secret(store, "client", first, kept, &error));
    cr_assert_arr_eq(kept, first, sizeof kept);
    ASSERT_OK(store_secret(store, "client", second, kept, &error));
    cr_assert_arr_eq(kept, first, sizeof kept);
    ASSERT_OK(store_secret(store, "other", second, kept, &error));
    cr_assert_arr_eq(kept, second, sizeof kept);
    struct audit_record record = store_fixture_record("");
    ASSERT_OK(store_secret_replace(store, "client", second, &record, &error));
    ASSERT_OK(store_secret(store, "client", first, kept, &error));
    cr_assert_arr_eq(kept, second, sizeof kept);
    cr_assert_eq(store_suite_log_size(store), 1);
}
