/* The suite of the store: records, searching them, the tree over them, readers. */
#include <string.h>

#include "crypto/merkle.h"
#include "tests/unit/store_suite.h"

static struct error error;

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
    cr_assert_eq(store_suite_log_size(store), 0);
    ASSERT_OK(store_audit_append(store, group, 3, NULL, 0, &error));
    cr_assert_eq(group[0].seq, 0);
    cr_assert_eq(group[2].seq, 2);
    struct store_tenant tenant = store_fixture_tenant(1);
    struct audit_record act = store_fixture_record(tenant.uid);
    ASSERT_OK(store_tenant_create(store, &tenant, &act, &error));
    cr_assert_eq(act.seq, 3);
    ASSERT_OK(store_audit_append(store, group, 3, NULL, 0, &error));
    cr_assert_eq(group[0].seq, 4);
    cr_assert_eq(store_suite_log_size(store), 7);
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
    cr_assert_eq(store_suite_log_size(store), 1);
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
    cr_assert_eq(store_suite_log_size(store), 2);
    struct store_usage sum = {0};
    ASSERT_OK(store_usage_list(store, tenant.id, 0, 99999, store_suite_sum_usage, &sum, &error));
    cr_assert_eq(sum.requests, 0);
}

STORE_TEST(a_reader_sees_what_is_committed_and_changes_nothing) {
    struct store *reader = NULL;
    ASSERT_OK(store_open_reader(store, &reader, &error));
    int64_t id = store_suite_tenant(store, 1);
    struct store_tenant found = store_fixture_tenant(2);
    ASSERT_STATUS(store_tenant_create(reader, &found, NULL, &error), STATUS_INTERNAL);
    struct audit_record record = store_fixture_record("a");
    ASSERT_STATUS(store_audit_append(reader, &record, 1, NULL, 0, &error), STATUS_INTERNAL);
    ASSERT_OK(store_audit_append(store, &record, 1, NULL, 0, &error));
    ASSERT_OK(store_tenant_get(reader, id, &found, &error));
    cr_assert_eq(store_suite_log_size(reader), 1);
    struct store_meta meta;
    ASSERT_OK(store_meta(reader, &meta, &error));
    store_close(reader);
}
