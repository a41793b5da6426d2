#include "server/ledger/store_check.h"

#include "store/store.h"
#include "tenancy/policy.h"

#include <stdio.h>
#include <string.h>

static void found(struct store_check *check, enum status status, const struct error *error) {
    if (check->status == STATUS_OK)
        check->status = status;
    check->say(check->context, error);
}

static enum status look_at_policy(void *context, const struct store_policy *row,
                                  struct error *error) {
    struct store_check *check = context;
    struct policy policy;
    struct error why;
    (void)error;
    check->policies++;
    enum status status = policy_parse(row->text, strlen(row->text), &policy, &why);
    if (status == STATUS_OK)
        status = policy_check_listener(&policy, check->config->tls_minimum, &why);
    if (status != STATUS_OK) {
        (void)status_prefix(&why, "data: the stored policy \"%s\": ", row->name);
        found(check, status, &why);
    }
    return STATUS_OK;
}

static enum status look_at_tenant(void *context, const struct store_tenant *row,
                                  struct error *error) {
    struct store_check *check = context;
    struct error why;
    (void)error;
    check->tenants++;
    enum status status =
        check->open(check->context, row->uid, bytes_of(row->wrapped, row->wrapped_size), &why);
    if (status != STATUS_OK) {
        (void)status_prefix(&why, "data: the stored tenant \"%s\": ", row->name);
        found(check, status, &why);
    }
    return STATUS_OK;
}

void store_check_run(struct store_check *check) {
    struct store *store = NULL;
    struct error error;
    int version = 0;
    enum status status = store_inspect(check->config->data, &check->running, &store, &error);
    if (check->running)
        return;
    if (status == STATUS_OK)
        status = store_version(store, &version, &error);
    if (status == STATUS_OK && version < store_version_known()) {
        snprintf(check->note, sizeof check->note,
                 "the store is of version %d: the next start brings it to version %d", version,
                 store_version_known());
        goto out;
    }
    if (status == STATUS_OK)
        status = store_policy_list(store, look_at_policy, check, &error);
    if (status == STATUS_OK)
        status = store_tenant_list(store, look_at_tenant, check, &error);
    if (status != STATUS_OK) {
        (void)status_prefix(&error, "data: ");
        found(check, status, &error);
    }
out:
    store_close(store);
}
