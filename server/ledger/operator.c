#include "server/ledger/operator.h"

#include "base/log.h"
#include "crypto/secret.h"
#include "server/ledger/statistics.h"
#include "tenancy/command.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

struct errand {
    struct ledger *ledger;
    struct operator_effect *effect;
};

static int64_t now(void *context) {
    (void)context;
    return ledger_now_us();
}

static enum status sign_recipient(void *context, const struct store_tenant *tenant, char *note,
                                  size_t note_size, struct error *error) {
    struct errand *errand = context;
    const struct message_sign_recipient question = {
        .tenant = bytes_text(tenant->uid),
        .name = bytes_text(tenant->name),
        .recipient = bytes_text(tenant->recipient),
        .wrapped = bytes_of(tenant->wrapped, tenant->wrapped_size)};
    return keeper_link_sign(errand->ledger->keeper, &question, note, note_size, error);
}

static void changed(void *context, const struct tenancy_change *change) {
    struct errand *errand = context;
    directory_changed(errand->ledger->directory);
    if (change->event == TENANCY_TENANT_DISABLED || change->event == TENANCY_TENANT_DELETED) {
        errand->effect->stop_tenant = change->tenant;
    } else if (change->event == TENANCY_MODEL_REMOVED) {
        errand->effect->unload_tenant = change->tenant;
        errand->effect->unload_model = change->model;
    } else if (change->event == TENANCY_CLIENT_KEY_CHANGED) {
        errand->effect->new_client_key = true;
        memcpy(errand->effect->client_key, change->secret, STORE_SECRET_SIZE);
    }
}

static void remove_payload(void *context, int64_t model) {
    struct errand *errand = context;
    char path[48];
    snprintf(path, sizeof path, "models/%" PRId64, model);
    if (unlinkat(errand->ledger->store_folder, path, 0) != 0 && errno != ENOENT)
        log_error("a removed model's file stays: %s", strerror(errno));
}

char *operator_execute(struct ledger *ledger, struct store *store, const char *client,
                       const struct tenancy_operator *by, const char *request, size_t request_size,
                       size_t *answer_size, struct operator_effect *effect) {
    static const struct tenancy_hooks hooks = {.now = now,
                                               .sign_recipient = sign_recipient,
                                               .changed = changed,
                                               .remove_payload = remove_payload};
    *effect = (struct operator_effect){0};
    struct errand errand = {ledger, effect};
    struct tenancy tenancy = {.store = store,
                              .hooks = &hooks,
                              .context = &errand,
                              .client = client,
                              .by = by,
                              .unrecorded = commit_failing(ledger->commit),
                              .tls_minimum = ledger->config->tls_minimum};
    return tenancy_answer(&tenancy, request, request_size, answer_size);
}

void operator_settle(struct ledger *ledger, struct operator_effect *effect) {
    if (effect->new_client_key) {
        policy_gate_renew(&ledger->gate, effect->client_key);
        secret_wipe(effect->client_key, sizeof effect->client_key);
        log_info("addresses are hashed under a new key from now on");
    }
    if (effect->stop_tenant)
        workers_stop(ledger, effect->stop_tenant);
    if (effect->unload_model) {
        workers_unload(ledger, effect->unload_tenant, effect->unload_model, STATUS_NOT_FOUND);
        statistics_forget(ledger->statistics, effect->unload_model);
    }
}
