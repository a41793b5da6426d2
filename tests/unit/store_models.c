/* The suite of the store: models, which version is the latest, unloading, usage. */
#include <string.h>

#include "crypto/merkle.h"
#include "tests/unit/store_suite.h"

static struct error error;

STORE_TEST(model_states_only_go_forward) {
    int64_t tenant = store_suite_tenant(store, 1);
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
    int64_t t = store_suite_tenant(store, 1), other = store_suite_tenant(store, 2);
    struct store_model model;
    ASSERT_STATUS(store_model_find(store, t, "m", NULL, &model, &error), STATUS_NOT_FOUND);
    store_suite_ready(store, t, "m", "9", STORE_MODEL_READY);
    store_suite_ready(store, t, "m", "10", STORE_MODEL_READY);
    store_suite_ready(store, t, "m", "2", STORE_MODEL_READY);
    store_suite_ready(store, other, "m", "77", STORE_MODEL_READY);
    cr_assert_str_eq(latest(store, t, "m"), "10");
    store_suite_ready(store, t, "m", "11", STORE_MODEL_PENDING);
    cr_assert_str_eq(latest(store, t, "m"), "10", "one that cannot answer does not take over");
    store_suite_ready(store, t, "m", "18446744073709551617", STORE_MODEL_READY);
    cr_assert_str_eq(latest(store, t, "m"), "18446744073709551617");
    store_suite_ready(store, t, "m", "beta", STORE_MODEL_READY);
    store_suite_ready(store, t, "m", "3", STORE_MODEL_READY);
    cr_assert_str_eq(latest(store, t, "m"), "3", "not all are numbers: the one made last");
    store_suite_ready(store, t, "n", "2", STORE_MODEL_PENDING);
    store_suite_ready(store, t, "n", "1", STORE_MODEL_UPLOADING);
    cr_assert_str_eq(latest(store, t, "n"), "2");

    ASSERT_OK(store_model_find(store, t, "m", "9", &model, &error));
    cr_assert_str_eq(model.version, "9");
    ASSERT_STATUS(store_model_find(store, t, "m", "77", &model, &error), STATUS_NOT_FOUND);
    ASSERT_STATUS(store_model_find(store, other, "m", "9", &model, &error), STATUS_NOT_FOUND);
}

STORE_TEST(usage_adds_up_by_day_key_and_model) {
    int64_t t = store_suite_tenant(store, 1);
    struct store_usage usage[] = {
        {t, "k1", "m/1", 20001, 1, 0, 10, 100, 1000}, {t, "k1", "m/1", 20001, 2, 1, 20, 200, 2000},
        {t, "k2", "m/1", 20001, 4, 0, 0, 0, 4000},    {t, "k1", "m/2", 20001, 8, 0, 0, 0, 8000},
        {t, "k1", "m/1", 20000, 16, 0, 0, 0, 16000},  {t, "k1", "m/1", 20002, 32, 0, 0, 0, 0},
    };
    ASSERT_OK(store_audit_append(store, NULL, 0, usage, 6, &error));
    ASSERT_OK(store_audit_append(store, NULL, 0, usage, 1, &error));
    struct store_usage sum = {0};
    ASSERT_OK(store_usage_list(store, t, 20000, 20001, store_suite_sum_usage, &sum, &error));
    cr_assert_eq(sum.errors, 4, "rows");
    cr_assert_eq(sum.requests, 1 + 1 + 2 + 4 + 8 + 16);
    cr_assert_eq(sum.bytes_out, 32000);
    cr_assert_eq(sum.day, 20001, "in the order of days");
    usage[0].requests = -1;
    ASSERT_STATUS(store_audit_append(store, NULL, 0, usage, 1, &error), STATUS_INVALID);
}

static enum status count_unloaded(void *context, const struct store_model *model, struct error *e) {
    (void)e;
    *(unsigned *)context = *(unsigned *)context * 2 + model->unloaded;
    return STATUS_OK;
}

STORE_TEST(an_unload_is_of_all_versions_that_there_are) {
    struct store_model model;
    unsigned flags = 1;
    int64_t a = store_suite_tenant(store, 1), b = store_suite_tenant(store, 2);
    store_suite_ready(store, a, "m", "1", STORE_MODEL_READY);
    store_suite_ready(store, b, "m", "1", STORE_MODEL_READY);
    store_suite_ready(store, a, "n", "1", STORE_MODEL_READY);
    store_suite_ready(store, a, "m", "2", STORE_MODEL_READY);
    struct audit_record act = store_fixture_record("a");
    ASSERT_OK(store_model_set_unloaded(store, a, "m", true, &act, &error));
    cr_expect_eq(store_suite_log_size(store), 1);
    ASSERT_OK(store_model_list(store, 0, count_unloaded, &flags, &error));
    cr_expect_eq(flags, 0x19, "the first and the last");
    ASSERT_OK(store_model_find(store, a, "m", NULL, &model, &error));
    cr_expect(model.unloaded);
    store_suite_ready(store, a, "m", "3", STORE_MODEL_READY);
    ASSERT_OK(store_model_find(store, a, "m", NULL, &model, &error));
    cr_expect(!model.unloaded, "a new version was not unloaded");
    ASSERT_OK(store_model_set_unloaded(store, a, "m", false, NULL, &error));
    flags = 1;
    ASSERT_OK(store_model_list(store, 0, count_unloaded, &flags, &error));
    cr_expect_eq(flags, 0x20);
    ASSERT_STATUS(store_model_set_unloaded(store, b, "n", true, &act, &error), STATUS_NOT_FOUND);
    cr_expect_eq(store_suite_log_size(store), 1, "no act, no record");
}
