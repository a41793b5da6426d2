/* The suite of the store: every test of it runs against every backend, each in its own process with
 * a store of its own. */
#ifndef TESTS_UNIT_STORE_SUITE_H
#define TESTS_UNIT_STORE_SUITE_H

#include <criterion/criterion.h>

#include "tests/unit/store_fixture.h"

/* For files that have a `static struct error error`. */
#define ASSERT_OK(call) cr_assert_eq((call), STATUS_OK, "%s", error.message)
#define ASSERT_STATUS(call, wanted) cr_assert_eq((call), (wanted), "%s", error.message)

/* STORE_TEST(name) { ... `store` ... } */
#define STORE_TEST(name)                                                                           \
    static void check_##name(struct store *store);                                                 \
    Test(store_memory, name) {                                                                     \
        store_suite_run(store_suite_open_memory, check_##name);                                    \
    }                                                                                              \
    Test(store_sqlite, name) {                                                                     \
        store_suite_run(store_suite_open_sqlite, check_##name);                                    \
    }                                                                                              \
    static void check_##name(struct store *store)

struct store *store_suite_open_memory(const char *folder);
struct store *store_suite_open_sqlite(const char *folder);
void store_suite_run(struct store *(*open)(const char *folder), void (*check)(struct store *store));

/* Records in the log. */
uint64_t store_suite_log_size(struct store *store);
/* For store_usage_list: into a struct store_usage, whose `errors` count the rows. */
enum status store_suite_sum_usage(void *context, const struct store_usage *usage, struct error *e);
/* The row ids of a tenant made from `n`, and a model in that state. */
int64_t store_suite_tenant(struct store *store, int n);
struct store_model store_suite_ready(struct store *store, int64_t tenant, const char *name,
                                     const char *version, enum store_model_state state);

#endif
