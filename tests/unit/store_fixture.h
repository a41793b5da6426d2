/* What the store's suites share: a store in a fresh folder, and rows to put into it. */
#ifndef TESTS_UNIT_STORE_FIXTURE_H
#define TESTS_UNIT_STORE_FIXTURE_H

#include "store/store.h"

#define FIXTURE_NOW INT64_C(1750000000000000)

/* A fresh folder; removed with what is in it by store_fixture_remove, which frees the name. */
char *store_fixture_folder(void);
void store_fixture_remove(char *folder);

struct store_meta store_fixture_meta(void);
/* A valid tenant whose uid and name are made from `n`. */
struct store_tenant store_fixture_tenant(int n);
struct store_key store_fixture_key(int n, int64_t tenant);
/* A valid record of action "test", of this tenant uid. */
struct audit_record store_fixture_record(const char *tenant_uid);

#endif
