#include "tests/unit/store_suite.h"

static struct error error;

struct store *store_suite_open_memory(const char *folder) {
    (void)folder;
    struct store *store = NULL;
    struct store_meta meta = store_fixture_meta();
    ASSERT_OK(store_open_memory(&meta, &store, &error));
    return store;
}

struct store *store_suite_open_sqlite(const char *folder) {
    struct store *store = NULL;
    struct store_meta meta = store_fixture_meta();
    ASSERT_OK(store_create(folder, &meta, &error));
    ASSERT_OK(store_open(folder, &store, &error));
    return store;
}

void store_suite_run(struct store *(*open)(const char *folder),
                     void (*check)(struct store *store)) {
    char *folder = store_fixture_folder();
    struct store *store = open(folder);
    check(store);
    store_close(store);
    store_fixture_remove(folder);
}

uint64_t store_suite_log_size(struct store *store) {
    uint64_t size = 0;
    ASSERT_OK(store_audit_size(store, &size, &error));
    return size;
}

enum status store_suite_sum_usage(void *context, const struct store_usage *usage, struct error *e) {
    (void)e;
    struct store_usage *sum = context;
    sum->day = usage->day;
    sum->requests += usage->requests;
    sum->bytes_out += usage->bytes_out;
    sum->errors++;
    return STATUS_OK;
}

int64_t store_suite_tenant(struct store *store, int n) {
    struct store_tenant tenant = store_fixture_tenant(n);
    ASSERT_OK(store_tenant_create(store, &tenant, NULL, &error));
    return tenant.id;
}

struct store_model store_suite_ready(struct store *store, int64_t tenant, const char *name,
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
