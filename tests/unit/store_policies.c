/* The suite of the store: policies and who has them. */
#include <stdio.h>
#include <string.h>

#include "crypto/merkle.h"
#include "tests/unit/store_suite.h"

static struct error error;

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
    const uint64_t before = store_suite_log_size(store);
    ASSERT_OK(store_policy_set(store, &mine, records, 2, &error));
    cr_assert_eq(store_suite_log_size(store), before + 2);
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
    const uint64_t before = store_suite_log_size(store);
    ASSERT_STATUS(store_tenant_set_policy(store, tenant.id, "none", &record, &error),
                  STATUS_NOT_FOUND);
    cr_assert_eq(store_suite_log_size(store), before);

    struct store_tenant other = store_fixture_tenant(2);
    memcpy(other.policy, "none", 5);
    ASSERT_STATUS(store_tenant_create(store, &other, NULL, &error), STATUS_NOT_FOUND);
    cr_assert_str_eq(error.message, "there is no such policy");
    memcpy(other.policy, "strict", 7);
    ASSERT_OK(store_tenant_create(store, &other, NULL, &error));
    ASSERT_OK(store_tenant_delete(store, tenant.id, NULL, &error));
    ASSERT_OK(store_policy_delete(store, "trial", NULL, &error));
}
