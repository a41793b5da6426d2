/* The one suite of the store: every test runs against every backend. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/merkle.h"
#include "store/store.h"
#include "tests/unit/store_fixture.h"

static struct error error;

#define ASSERT_OK(call) cr_assert_eq((call), STATUS_OK, "%s", error.message)
#define ASSERT_STATUS(call, wanted) cr_assert_eq((call), (wanted), "%s", error.message)

static struct store *open_memory(const char *folder) {
    (void)folder;
    struct store *store = NULL;
    struct store_meta meta = store_fixture_meta();
    ASSERT_OK(store_open_memory(&meta, &store, &error));
    return store;
}

static struct store *open_sqlite(const char *folder) {
    struct store *store = NULL;
    struct store_meta meta = store_fixture_meta();
    ASSERT_OK(store_create(folder, &meta, &error));
    ASSERT_OK(store_open(folder, &store, &error));
    return store;
}

static void run(struct store *(*open)(const char *folder), void (*check)(struct store *store)) {
    char *folder = store_fixture_folder();
    struct store *store = open(folder);
    check(store);
    store_close(store);
    store_fixture_remove(folder);
}

#define STORE_TEST(name)                                                                           \
    static void check_##name(struct store *store);                                                 \
    Test(store_memory, name) {                                                                     \
        run(open_memory, check_##name);                                                            \
    }                                                                                              \
    Test(store_sqlite, name) {                                                                     \
        run(open_sqlite, check_##name);                                                            \
    }                                                                                              \
    static void check_##name(struct store *store)

static uint64_t log_size(struct store *store) {
    uint64_t size = 0;
    ASSERT_OK(store_audit_size(store, &size, &error));
    return size;
}

static int64_t add_tenant(struct store *store, int n) {
    struct store_tenant tenant = store_fixture_tenant(n);
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    return tenant.id;
}

static struct store_model add_ready(struct store *store, int64_t tenant, const char *name,
                                    const char *version, enum store_model_state state) {
    struct store_model model;
    const uint8_t commitment[STORE_COMMITMENT_SIZE] = {9};
    ASSERT_OK(store_model_create(store, tenant, name, version, FIXTURE_NOW, &model, NULL, &error));
    if (state != STORE_MODEL_UPLOADING)
        ASSERT_OK(store_model_complete(store, model.id, "header", 6, 100, NULL, &error));
    if (state == STORE_MODEL_READY)
        ASSERT_OK(store_model_ready(store, model.id, commitment, NULL, &error));
    return model;
}

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

    int64_t id = add_tenant(store, 1);
    struct store_key key = store_fixture_key(1, id);
    key.scopes = SCOPE_ALL + 1;
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.scopes = 0;
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.expires = key.created;
    ASSERT_STATUS(store_key_create(store, &key, NULL, &error), STATUS_INVALID);
    key = store_fixture_key(1, id), key.id[0] = '\'';
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
        add_tenant(store, i);
    ASSERT_OK(store_tenant_list(store, count_tenant, &count, &error));
    cr_assert_eq(count, 5);
    count = 2;
    ASSERT_STATUS(store_tenant_list(store, count_tenant, &count, &error), STATUS_INTERNAL);
    cr_assert_eq(count, 2);
    cr_assert_str_eq(error.message, "found tenant-0");
    add_tenant(store, 5); /* a stopped listing holds nothing up */
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
    operators.tenant = add_tenant(store, 1);
    operators.scopes = SCOPE_METRICS;
    ASSERT_STATUS(store_key_create(store, &operators, NULL, &error), STATUS_INVALID);
    tenants = store_fixture_key(1, operators.tenant);
    cr_assert_str_eq(tenants.id, key.id);
    ASSERT_STATUS(store_key_create(store, &tenants, NULL, &error), STATUS_CONFLICT);
    ASSERT_OK(store_tenant_delete(store, operators.tenant, NULL, &error));
    ASSERT_OK(store_key_find(store, key.id, &found, &error));
}

STORE_TEST(keys) {
    int64_t a = add_tenant(store, 1), b = add_tenant(store, 2);
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

STORE_TEST(model_states_only_go_forward) {
    int64_t tenant = add_tenant(store, 1);
    const uint8_t commitment[STORE_COMMITMENT_SIZE] = {1, 2, 3};
    static uint8_t header[STORE_HEADER_MAX], out[STORE_HEADER_MAX];
    memset(header, 0xa5, sizeof header);
    struct store_model model, found;
    size_t size = 0;
    ASSERT_OK(store_model_create(store, tenant, "m", "1", FIXTURE_NOW, &model, NULL, &error));
    cr_assert_eq(model.state, STORE_MODEL_UPLOADING);
    ASSERT_STATUS(store_model_create(store, tenant, "m", "1", FIXTURE_NOW, &found, NULL, &error),
                  STATUS_CONFLICT);
    ASSERT_STATUS(store_model_create(store, 99, "m", "1", FIXTURE_NOW, &found, NULL, &error),
                  STATUS_NOT_FOUND);
    ASSERT_STATUS(store_model_ready(store, model.id, commitment, NULL, &error), STATUS_CONFLICT);
    cr_assert_str_eq(error.message, "the model is uploading, must be pending for this step");
    ASSERT_STATUS(store_model_complete(store, model.id, header, 0, 1, NULL, &error),
                  STATUS_INVALID);
    ASSERT_STATUS(store_model_complete(store, model.id, header, sizeof header + 1, 1, NULL, &error),
                  STATUS_INVALID);
    ASSERT_STATUS(store_model_complete(store, model.id, header, 1, 0, NULL, &error),
                  STATUS_INVALID);

    ASSERT_OK(store_model_complete(store, model.id, header, sizeof header, 12345, NULL, &error));
    ASSERT_STATUS(store_model_complete(store, model.id, header, 1, 1, NULL, &error),
                  STATUS_CONFLICT);
    ASSERT_OK(store_model_get(store, model.id, &found, &error));
    cr_assert_eq(found.state, STORE_MODEL_PENDING);
    cr_assert_eq(found.header_size, sizeof header);
    cr_assert_eq(found.payload_size, 12345);
    cr_assert_not(found.has_commitment);
    ASSERT_STATUS(store_model_header(store, model.id, out, sizeof out - 1, &size, &error),
                  STATUS_TOO_LARGE);
    cr_assert_eq(size, 0);
    ASSERT_OK(store_model_header(store, model.id, out, sizeof out, &size, &error));
    cr_assert_eq(size, sizeof header);
    cr_assert_arr_eq(out, header, sizeof header);

    ASSERT_OK(store_model_ready(store, model.id, commitment, NULL, &error));
    ASSERT_OK(store_model_get(store, model.id, &found, &error));
    cr_assert_eq(found.state, STORE_MODEL_READY);
    cr_assert(found.has_commitment);
    cr_assert_arr_eq(found.commitment, commitment, sizeof commitment);
    ASSERT_STATUS(store_model_ready(store, model.id, commitment, NULL, &error), STATUS_CONFLICT);

    ASSERT_OK(store_model_delete(store, model.id, NULL, &error));
    ASSERT_STATUS(store_model_delete(store, model.id, NULL, &error), STATUS_NOT_FOUND);
    ASSERT_STATUS(store_model_get(store, model.id, &found, &error), STATUS_NOT_FOUND);
    int64_t old = model.id;
    ASSERT_OK(store_model_create(store, tenant, "m", "1", FIXTURE_NOW, &model, NULL, &error));
    cr_assert_gt(model.id, old); /* it names a file: never again */
}

static const char *latest(struct store *store, int64_t tenant, const char *name) {
    static struct store_model model;
    ASSERT_OK(store_model_find(store, tenant, name, NULL, &model, &error));
    return model.version;
}

STORE_TEST(latest_version) {
    int64_t t = add_tenant(store, 1), other = add_tenant(store, 2);
    struct store_model model;
    ASSERT_STATUS(store_model_find(store, t, "m", NULL, &model, &error), STATUS_NOT_FOUND);
    add_ready(store, t, "m", "9", STORE_MODEL_READY);
    add_ready(store, t, "m", "10", STORE_MODEL_READY);
    add_ready(store, t, "m", "2", STORE_MODEL_READY);
    add_ready(store, other, "m", "77", STORE_MODEL_READY);
    cr_assert_str_eq(latest(store, t, "m"), "10");
    add_ready(store, t, "m", "11", STORE_MODEL_PENDING);
    cr_assert_str_eq(latest(store, t, "m"), "10", "one that cannot answer does not take over");
    add_ready(store, t, "m", "18446744073709551617", STORE_MODEL_READY);
    cr_assert_str_eq(latest(store, t, "m"), "18446744073709551617");
    add_ready(store, t, "m", "beta", STORE_MODEL_READY);
    add_ready(store, t, "m", "3", STORE_MODEL_READY);
    cr_assert_str_eq(latest(store, t, "m"), "3", "not all are numbers: the one made last");
    add_ready(store, t, "n", "2", STORE_MODEL_PENDING);
    add_ready(store, t, "n", "1", STORE_MODEL_UPLOADING);
    cr_assert_str_eq(latest(store, t, "n"), "2");

    ASSERT_OK(store_model_find(store, t, "m", "9", &model, &error));
    cr_assert_str_eq(model.version, "9");
    ASSERT_STATUS(store_model_find(store, t, "m", "77", &model, &error), STATUS_NOT_FOUND);
    ASSERT_STATUS(store_model_find(store, other, "m", "9", &model, &error), STATUS_NOT_FOUND);
}

static enum status count_model(void *context, const struct store_model *model, struct error *e) {
    (void)model, (void)e;
    ++*(int *)context;
    return STATUS_OK;
}

static enum status sum_usage(void *context, const struct store_usage *usage, struct error *e) {
    (void)e;
    struct store_usage *sum = context;
    sum->day = usage->day;
    sum->requests += usage->requests;
    sum->bytes_out += usage->bytes_out;
    sum->errors++;
    return STATUS_OK;
}

STORE_TEST(deleting_a_tenant_takes_its_rows_and_leaves_the_log) {
    struct store_tenant tenant = store_fixture_tenant(1), kept = store_fixture_tenant(2);
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    ASSERT_OK(store_tenant_create(store, &kept, NULL, &error));
    struct store_key key = store_fixture_key(1, tenant.id), key2 = store_fixture_key(2, kept.id);
    ASSERT_OK(store_key_create(store, &key, NULL, &error));
    ASSERT_OK(store_key_create(store, &key2, NULL, &error));
    add_ready(store, tenant.id, "m", "1", STORE_MODEL_READY);
    add_ready(store, kept.id, "m", "1", STORE_MODEL_READY);
    struct audit_record record = store_fixture_record(tenant.uid);
    struct store_usage usage = {
        .tenant = tenant.id, .key = "key1", .model = "m/1", .day = 20000, .requests = 1};
    ASSERT_OK(store_audit_append(store, &record, 1, &usage, 1, &error));

    ASSERT_OK(store_tenant_delete(store, tenant.id, &record, &error));
    int keys = 0, models = 0;
    struct store_usage sum = {0};
    ASSERT_OK(store_key_list(store, 0, count_key, &keys, &error));
    ASSERT_OK(store_model_list(store, 0, count_model, &models, &error));
    ASSERT_OK(store_usage_list(store, tenant.id, 0, 99999, sum_usage, &sum, &error));
    cr_assert_eq(keys, 1);
    cr_assert_eq(models, 1);
    cr_assert_eq(sum.requests, 0);
    uint64_t count = 0;
    ASSERT_OK(store_audit_count(store, tenant.uid, &count, &error));
    cr_assert_eq(count, 2);
    /* What was in flight when the tenant went is still recorded. */
    ASSERT_OK(store_audit_append(store, &record, 1, &usage, 1, &error));
    cr_assert_eq(record.seq, 2);
    ASSERT_OK(store_usage_list(store, tenant.id, 0, 99999, sum_usage, &sum, &error));
    cr_assert_eq(sum.requests, 0);
}

STORE_TEST(usage_adds_up_by_day_key_and_model) {
    int64_t t = add_tenant(store, 1);
    struct store_usage usage[] = {
        {t, "k1", "m/1", 20001, 1, 0, 10, 100, 1000}, {t, "k1", "m/1", 20001, 2, 1, 20, 200, 2000},
        {t, "k2", "m/1", 20001, 4, 0, 0, 0, 4000},    {t, "k1", "m/2", 20001, 8, 0, 0, 0, 8000},
        {t, "k1", "m/1", 20000, 16, 0, 0, 0, 16000},  {t, "k1", "m/1", 20002, 32, 0, 0, 0, 0},
    };
    ASSERT_OK(store_audit_append(store, NULL, 0, usage, 6, &error));
    ASSERT_OK(store_audit_append(store, NULL, 0, usage, 1, &error));
    struct store_usage sum = {0};
    ASSERT_OK(store_usage_list(store, t, 20000, 20001, sum_usage, &sum, &error));
    cr_assert_eq(sum.errors, 4, "rows");
    cr_assert_eq(sum.requests, 1 + 1 + 2 + 4 + 8 + 16);
    cr_assert_eq(sum.bytes_out, 32000);
    cr_assert_eq(sum.day, 20001, "in the order of days");
    usage[0].requests = -1;
    ASSERT_STATUS(store_audit_append(store, NULL, 0, usage, 1, &error), STATUS_INVALID);
}

struct seen {
    uint64_t seqs[64];
    size_t count;
    char last[AUDIT_RECORD_MAX + 1];
};

static enum status see_record(void *context, const struct store_audit_row *row, struct error *e) {
    struct seen *seen = context;
    uint8_t leaf[AUDIT_RECORD_LEAF_SIZE];
    merkle_leaf(row->record, row->size, leaf);
    if (memcmp(leaf, row->leaf, sizeof leaf) != 0)
        return status_fail(e, STATUS_INTERNAL, "leaf of %zu", (size_t)row->seq);
    seen->seqs[seen->count++] = row->seq;
    memcpy(seen->last, row->record, row->size);
    seen->last[row->size] = '\0';
    return STATUS_OK;
}

STORE_TEST(records_are_numbered_from_zero_without_a_gap) {
    struct audit_record group[3] = {store_fixture_record("a"), store_fixture_record("b"),
                                    store_fixture_record("a")};
    cr_assert_eq(log_size(store), 0);
    ASSERT_OK(store_audit_append(store, group, 3, NULL, 0, &error));
    cr_assert_eq(group[0].seq, 0);
    cr_assert_eq(group[2].seq, 2);
    struct store_tenant tenant = store_fixture_tenant(1);
    struct audit_record act = store_fixture_record(tenant.uid);
    ASSERT_OK(store_tenant_create(store, &tenant, &act, &error));
    cr_assert_eq(act.seq, 3);
    ASSERT_OK(store_audit_append(store, group, 3, NULL, 0, &error));
    cr_assert_eq(group[0].seq, 4);
    cr_assert_eq(log_size(store), 7);
}

STORE_TEST(records_are_listed_newest_first) {
    struct audit_record group[10];
    for (int i = 0; i < 10; i++)
        group[i] = store_fixture_record(i % 2 ? "b" : "a");
    ASSERT_OK(store_audit_append(store, group, 10, NULL, 0, &error));
    struct seen seen = {0};
    ASSERT_OK(store_audit_list(store, "a", UINT64_MAX, 3, see_record, &seen, &error));
    cr_assert_eq(seen.count, 3);
    cr_assert_eq(seen.seqs[0], 8);
    cr_assert_eq(seen.seqs[2], 4);
    seen.count = 0;
    ASSERT_OK(store_audit_list(store, "a", 4, 50, see_record, &seen, &error));
    cr_assert_eq(seen.count, 2);
    cr_assert_eq(seen.seqs[0], 2);
    seen.count = 0;
    ASSERT_OK(store_audit_list(store, NULL, UINT64_MAX, 50, see_record, &seen, &error));
    cr_assert_eq(seen.count, 10);
    cr_assert(strstr(seen.last, "\"seq\":0,"));
    seen.count = 0;
    ASSERT_OK(store_audit_list(store, "nobody", UINT64_MAX, 50, see_record, &seen, &error));
    ASSERT_OK(store_audit_list(store, "a", 0, 50, see_record, &seen, &error));
    ASSERT_OK(store_audit_list(store, "a", UINT64_MAX, 0, see_record, &seen, &error));
    cr_assert_eq(seen.count, 0);
    uint64_t count = 0;
    ASSERT_OK(store_audit_count(store, "b", &count, &error));
    cr_assert_eq(count, 5);
    ASSERT_OK(store_audit_count(store, NULL, &count, &error));
    cr_assert_eq(count, 10);
}

/* Twelve records of two tenants; their seqs are 0 to 11, "a" has the even ones. */
static void add_searchable(struct store *store) {
    static const char *const actions[] = {"model.infer", "model.infer", "key.create"};
    static const char *const targets[] = {"digits/1", "digits-2/1", "digits"};
    for (int i = 0; i < 12; i++) {
        struct audit_record r = store_fixture_record(i % 2 ? "b" : "a");
        r.time = FIXTURE_NOW + i;
        r.key = i < 6 ? "key1" : "key2";
        r.action = actions[i / 2 % 3];
        r.target = targets[i / 2 % 3];
        r.outcome = i % 4 ? "ok" : "invalid";
        r.request = i == 4 ? "a\"b,\\\",\"key\":\"key9\"" : "plain";
        ASSERT_OK(store_audit_append(store, &r, 1, NULL, 0, &error));
    }
}

/* The seqs that a filter finds, newest first, as digits of base 16. */
static unsigned found(struct store *store, struct store_audit_filter filter) {
    struct seen seen = {0};
    uint64_t next = 99;
    unsigned all = 0;
    ASSERT_OK(store_audit_find(store, "a", &filter, UINT64_MAX, 100, 50, see_record, &seen, &next,
                               &error));
    cr_assert_eq(next, 0);
    for (size_t i = 0; i < seen.count; i++)
        all = all * 16 + (unsigned)seen.seqs[i];
    return all;
}
#define FOUND(...) found(store, (struct store_audit_filter){__VA_ARGS__})

STORE_TEST(records_are_found_by_what_stands_in_them) {
    add_searchable(store);
    cr_expect_eq(FOUND(0), 0xa86420);
    cr_expect_eq(FOUND(.key = "key1"), 0x420);
    cr_expect_eq(FOUND(.key = "key"), 0);
    cr_expect_eq(FOUND(.action = "model.infer"), 0x8620);
    cr_expect_eq(FOUND(.outcome = "invalid"), 0x840);
    cr_expect_eq(FOUND(.outcome = "invalid", .action = "key.create"), 0x4);
    cr_expect_eq(FOUND(.model = "digits"), 0x60, "not digits-2, and not the key of that name");
    cr_expect_eq(FOUND(.model = "digits/1"), 0x60);
    cr_expect_eq(FOUND(.model = "digits/"), 0);
    cr_expect_eq(FOUND(.model = "digits-2"), 0x82);
    cr_expect_eq(FOUND(.from = FIXTURE_NOW + 4), 0xa864);
    cr_expect_eq(FOUND(.to = FIXTURE_NOW + 4), 0x20);
    cr_expect_eq(FOUND(.from = FIXTURE_NOW + 2, .to = FIXTURE_NOW + 3), 0x2);
    cr_expect_eq(FOUND(.request = "plain"), 0xa8620);
    cr_expect_eq(FOUND(.request = "a\"b,\\\",\"key\":\"key9\""), 0x4);
    cr_expect_eq(FOUND(.key = "key9"), 0, "what stands inside a text is no member");
    cr_expect_eq(FOUND(.outcome = "ok\",\"request\":\"plain"), 0);
    struct seen seen = {0};
    uint64_t next = 7;
    const struct store_audit_filter bad = {.action = "\xff"};
    ASSERT_STATUS(
        store_audit_find(store, "a", &bad, UINT64_MAX, 9, 9, see_record, &seen, &next, &error),
        STATUS_INVALID);
    cr_expect_eq(next, 7);
}

STORE_TEST(a_search_goes_on_where_it_stopped) {
    const struct store_audit_filter filter = {.action = "model.infer"}, none = {.key = "none"};
    struct seen seen = {0};
    uint64_t next = UINT64_MAX;
    add_searchable(store);
    ASSERT_OK(
        store_audit_find(store, "a", &filter, next, 100, 3, see_record, &seen, &next, &error));
    cr_expect_eq(seen.count, 3);
    cr_expect_eq(next, 2);
    struct audit_record later = store_fixture_record("a");
    later.action = "model.infer";
    ASSERT_OK(store_audit_append(store, &later, 1, NULL, 0, &error));
    ASSERT_OK(
        store_audit_find(store, "a", &filter, next, 100, 3, see_record, &seen, &next, &error));
    cr_expect_eq(seen.count, 4, "what is new does not move older pages");
    cr_expect_eq(seen.seqs[3], 0);
    cr_expect_eq(next, 0);

    /* A bounded look: nothing found, and where to look on. */
    next = UINT64_MAX;
    int calls = 0;
    do
        ASSERT_OK(
            store_audit_find(store, "a", &none, next, 2, 3, see_record, &seen, &next, &error));
    while (++calls < 10 && next);
    cr_expect_eq(calls, 4, "7 records, 2 at a time");
    cr_expect_eq(seen.count, 4);
}

static enum status count_unloaded(void *context, const struct store_model *model, struct error *e) {
    (void)e;
    *(unsigned *)context = *(unsigned *)context * 2 + model->unloaded;
    return STATUS_OK;
}

STORE_TEST(an_unload_is_of_all_versions_that_there_are) {
    struct store_model model;
    unsigned flags = 1;
    int64_t a = add_tenant(store, 1), b = add_tenant(store, 2);
    add_ready(store, a, "m", "1", STORE_MODEL_READY);
    add_ready(store, b, "m", "1", STORE_MODEL_READY);
    add_ready(store, a, "n", "1", STORE_MODEL_READY);
    add_ready(store, a, "m", "2", STORE_MODEL_READY);
    struct audit_record act = store_fixture_record("a");
    ASSERT_OK(store_model_set_unloaded(store, a, "m", true, &act, &error));
    cr_expect_eq(log_size(store), 1);
    ASSERT_OK(store_model_list(store, 0, count_unloaded, &flags, &error));
    cr_expect_eq(flags, 0x19, "the first and the last");
    ASSERT_OK(store_model_find(store, a, "m", NULL, &model, &error));
    cr_expect(model.unloaded);
    add_ready(store, a, "m", "3", STORE_MODEL_READY);
    ASSERT_OK(store_model_find(store, a, "m", NULL, &model, &error));
    cr_expect(!model.unloaded, "a new version was not unloaded");
    ASSERT_OK(store_model_set_unloaded(store, a, "m", false, NULL, &error));
    flags = 1;
    ASSERT_OK(store_model_list(store, 0, count_unloaded, &flags, &error));
    cr_expect_eq(flags, 0x20);
    ASSERT_STATUS(store_model_set_unloaded(store, b, "n", true, &act, &error), STATUS_NOT_FOUND);
    cr_expect_eq(log_size(store), 1, "no act, no record");
}

static enum status grow_tree(void *context, uint64_t seq, const uint8_t *leaf, struct error *e) {
    struct merkle_tree *tree = context;
    if (seq != tree->size)
        return status_fail(e, STATUS_INTERNAL, "seq");
    merkle_append(tree, leaf);
    return STATUS_OK;
}

static void observe(void *context, const struct audit_record *records, size_t count) {
    struct merkle_tree *tree = context;
    for (size_t i = 0; i < count; i++) {
        cr_assert_eq(records[i].seq, tree->size);
        merkle_append(tree, records[i].leaf);
    }
}

STORE_TEST(the_observer_and_the_leaves_give_the_same_tree) {
    struct merkle_tree seen = {0}, stored = {0};
    store_audit_observe(store, observe, &seen);
    struct audit_record group[5];
    for (int i = 0; i < 5; i++) {
        group[i] = store_fixture_record("a");
        group[i].units = i;
    }
    ASSERT_OK(store_audit_append(store, group, 5, NULL, 0, &error));
    struct store_tenant tenant = store_fixture_tenant(1);
    ASSERT_OK(store_tenant_create(store, &tenant, &group[0], &error));
    struct store_key key = store_fixture_key(1, tenant.id);
    ASSERT_OK(store_key_create(store, &key, &group[1], &error));
    ASSERT_STATUS(store_key_create(store, &key, &group[1], &error), STATUS_CONFLICT);
    ASSERT_OK(store_key_revoke(store, "key1", FIXTURE_NOW, &group[2], &error));
    ASSERT_OK(store_tenant_set_state(store, tenant.id, STORE_TENANT_DISABLED, &group[3], &error));
    ASSERT_OK(store_tenant_delete(store, tenant.id, &group[4], &error));
    cr_assert_eq(seen.size, 10);
    ASSERT_OK(store_audit_leaves(store, 0, grow_tree, &stored, &error));
    uint8_t a[MERKLE_SIZE], b[MERKLE_SIZE];
    merkle_root(&seen, a);
    merkle_root(&stored, b);
    cr_assert_eq(stored.size, 10);
    cr_assert_arr_eq(a, b, sizeof a);
    store_audit_observe(store, NULL, NULL);
}

STORE_TEST(an_act_that_fails_leaves_no_record_and_a_bad_record_no_act) {
    struct store_tenant tenant = store_fixture_tenant(1), same = store_fixture_tenant(2);
    struct audit_record record = store_fixture_record(tenant.uid), bad = record;
    ASSERT_OK(store_tenant_create(store, &tenant, &record, &error));
    memcpy(same.name, tenant.name, sizeof same.name);
    record.seq = 99;
    memset(record.leaf, 0x5a, sizeof record.leaf);
    struct audit_record before = record;
    ASSERT_STATUS(store_tenant_create(store, &same, &record, &error), STATUS_CONFLICT);
    cr_assert_eq(memcmp(&before, &record, sizeof before), 0, "outputs are untouched");
    cr_assert_eq(log_size(store), 1);
    /* The uid of an attempt that failed was not used up. */
    memcpy(same.name, "fresh", 6);

    bad.client = "\xc3";
    ASSERT_STATUS(store_tenant_create(store, &same, &bad, &error), STATUS_INVALID);
    ASSERT_STATUS(store_tenant_delete(store, tenant.id, &bad, &error), STATUS_INVALID);
    ASSERT_OK(store_tenant_get(store, tenant.id, &tenant, &error));
    ASSERT_OK(store_tenant_create(store, &same, &record, &error));
    cr_assert_eq(record.seq, 1);

    struct audit_record group[3] = {store_fixture_record("a"), bad, store_fixture_record("a")};
    struct store_usage usage = {.tenant = tenant.id, .key = "k", .model = "m/1", .requests = 1};
    group[0].seq = 1234;
    ASSERT_STATUS(store_audit_append(store, group, 3, &usage, 1, &error), STATUS_INVALID);
    cr_assert_eq(group[0].seq, 1234);
    cr_assert_eq(log_size(store), 2);
    struct store_usage sum = {0};
    ASSERT_OK(store_usage_list(store, tenant.id, 0, 99999, sum_usage, &sum, &error));
    cr_assert_eq(sum.requests, 0);
}

STORE_TEST(a_reader_sees_what_is_committed_and_changes_nothing) {
    struct store *reader = NULL;
    ASSERT_OK(store_open_reader(store, &reader, &error));
    int64_t id = add_tenant(store, 1);
    struct store_tenant found = store_fixture_tenant(2);
    ASSERT_STATUS(store_tenant_create(reader, &found, NULL, &error), STATUS_INTERNAL);
    struct audit_record record = store_fixture_record("a");
    ASSERT_STATUS(store_audit_append(reader, &record, 1, NULL, 0, &error), STATUS_INTERNAL);
    ASSERT_OK(store_audit_append(store, &record, 1, NULL, 0, &error));
    ASSERT_OK(store_tenant_get(reader, id, &found, &error));
    cr_assert_eq(log_size(reader), 1);
    struct store_meta meta;
    ASSERT_OK(store_meta(reader, &meta, &error));
    store_close(reader);
}

/* ---- policies ---- */

static struct store_policy policy_of(const char *name, const char *text) {
    struct store_policy policy = {.changed = FIXTURE_NOW};
    snprintf(policy.name, sizeof policy.name, "%s", name);
    snprintf(policy.text, sizeof policy.text, "%s", text);
    return policy;
}

static enum status add_policy_name(void *context, const struct store_policy *policy,
                                   struct error *e) {
    (void)e;
    char *names = context;
    snprintf(names + strlen(names), 200 - strlen(names), "%s ", policy->name);
    return STATUS_OK;
}

STORE_TEST(policies_are_shipped_replaced_listed_and_removed) {
    struct store_policy found, mine = policy_of("mine", "name: mine\n");
    char names[200] = "";
    ASSERT_OK(store_policy_find(store, "strict", &found, &error));
    cr_assert(strstr(found.text, "\nname: strict\n"), "%s", found.text);
    cr_assert_eq(found.changed, 0);
    ASSERT_STATUS(store_policy_find(store, "mine", &found, &error), STATUS_NOT_FOUND);
    struct audit_record records[] = {store_fixture_record(""), store_fixture_record("")};
    const uint64_t before = log_size(store);
    ASSERT_OK(store_policy_set(store, &mine, records, 2, &error));
    cr_assert_eq(log_size(store), before + 2);
    cr_assert_eq(records[1].seq, before + 1);
    mine = policy_of("mine", "name: mine\n# again\n");
    mine.changed++;
    ASSERT_OK(store_policy_set(store, &mine, NULL, 0, &error));
    ASSERT_OK(store_policy_find(store, "mine", &found, &error));
    cr_assert_str_eq(found.text, mine.text);
    cr_assert_eq(found.changed, mine.changed);
    ASSERT_OK(store_policy_list(store, add_policy_name, names, &error));
    cr_assert_str_eq(names, "standard strict trial mine ");
    ASSERT_OK(store_policy_delete(store, "mine", NULL, &error));
    ASSERT_STATUS(store_policy_delete(store, "mine", NULL, &error), STATUS_NOT_FOUND);
    ASSERT_STATUS(store_policy_delete(store, "standard", NULL, &error), STATUS_CONFLICT);
    ASSERT_OK(store_policy_find(store, "standard", &found, &error));
}

STORE_TEST(a_policy_that_a_record_does_not_fit_is_not_set) {
    struct store_policy found, mine = policy_of("mine", "name: mine\n");
    struct audit_record record = store_fixture_record("");
    record.target = "\xff";
    ASSERT_STATUS(store_policy_set(store, &mine, &record, 1, &error), STATUS_INVALID);
    ASSERT_STATUS(store_policy_find(store, "mine", &found, &error), STATUS_NOT_FOUND);
    mine = policy_of("not a name", "x");
    ASSERT_STATUS(store_policy_set(store, &mine, NULL, 0, &error), STATUS_INVALID);
    mine = policy_of("mine", "");
    ASSERT_STATUS(store_policy_set(store, &mine, NULL, 0, &error), STATUS_INVALID);
}

STORE_TEST(a_tenant_has_a_policy_that_is_there) {
    struct store_tenant tenant = store_fixture_tenant(1), found;
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    ASSERT_OK(store_tenant_get(store, tenant.id, &found, &error));
    cr_assert_str_eq(found.policy, "standard");
    struct audit_record record = store_fixture_record(tenant.uid);
    ASSERT_OK(store_tenant_set_policy(store, tenant.id, "trial", &record, &error));
    ASSERT_OK(store_tenant_find(store, tenant.name, &found, &error));
    cr_assert_str_eq(found.policy, "trial");
    ASSERT_STATUS(store_policy_delete(store, "trial", NULL, &error), STATUS_CONFLICT);
    ASSERT_STATUS(store_tenant_set_policy(store, tenant.id, "none", NULL, &error),
                  STATUS_NOT_FOUND);
    ASSERT_STATUS(store_tenant_set_policy(store, 4711, "trial", NULL, &error), STATUS_NOT_FOUND);
    const uint64_t before = log_size(store);
    ASSERT_STATUS(store_tenant_set_policy(store, tenant.id, "none", &record, &error),
                  STATUS_NOT_FOUND);
    cr_assert_eq(log_size(store), before);

    struct store_tenant other = store_fixture_tenant(2);
    memcpy(other.policy, "none", 5);
    ASSERT_STATUS(store_tenant_create(store, &other, NULL, &error), STATUS_NOT_FOUND);
    cr_assert_str_eq(error.message, "there is no such policy");
    memcpy(other.policy, "strict", 7);
    ASSERT_OK(store_tenant_create(store, &other, NULL, &error));
    ASSERT_OK(store_tenant_delete(store, tenant.id, NULL, &error));
    ASSERT_OK(store_policy_delete(store, "trial", NULL, &error));
}

STORE_TEST(a_key_may_have_a_certificate) {
    struct store_key key = store_fixture_key(1, add_tenant(store, 1)), found;
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
}
