#include "tests/unit/store_fixture.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

char *store_fixture_folder(void) {
    const char *base = getenv("TMPDIR");
    char *path = NULL;
    if (asprintf(&path, "%s/strongroom-store-XXXXXX", base ? base : "/tmp") < 0 || !mkdtemp(path))
        abort();
    return path;
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw) {
    (void)s, (void)type, (void)ftw;
    return remove(path);
}

void store_fixture_remove(char *folder) {
    nftw(folder, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
    free(folder);
}

struct store_meta store_fixture_meta(void) {
    return (struct store_meta){
        .uid = "00112233445566778899aabbccddeeff",
        .created = FIXTURE_NOW,
        .recipient = "age1rootrootrootroot",
        .verifier = "strongroom+01234567+AAAA",
    };
}

struct store_tenant store_fixture_tenant(int n) {
    struct store_tenant tenant = {
        .recipient = "age1tenanttenant",
        .wrapped = "wrapped identity",
        .wrapped_size = 16,
        .note = "a signed note\n",
        .state = STORE_TENANT_ENABLED,
        .created = FIXTURE_NOW + n,
    };
    snprintf(tenant.uid, sizeof tenant.uid, "%032x", (unsigned)n);
    snprintf(tenant.name, sizeof tenant.name, "tenant-%d", n);
    return tenant;
}

struct store_key store_fixture_key(int n, int64_t tenant) {
    struct store_key key = {
        .tenant = tenant,
        .label = "laptop",
        .maker = "key0",
        .scopes = SCOPE_INFER | SCOPE_MODELS_READ,
        .created = FIXTURE_NOW + n,
    };
    snprintf(key.id, sizeof key.id, "key%d", n);
    memset(key.hash, n, sizeof key.hash);
    return key;
}

struct audit_record store_fixture_record(const char *tenant_uid) {
    return (struct audit_record){
        .time = FIXTURE_NOW,
        .salt = {1, 2, 3},
        .tenant = tenant_uid,
        .key = "operator",
        .action = "test",
        .target = "target",
        .outcome = "ok",
        .request = "",
        .units = 0,
        .client = "",
    };
}
