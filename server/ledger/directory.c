#include "server/ledger/directory.h"

#include "base/log.h"
#include "crypto/apikey.h"
#include "crypto/secret.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#define ENTRIES 1024u /* of each kind, direct-mapped */
#define POLICY_ENTRIES 64u

struct key_entry {
    bool used;
    struct store_key key;
    struct directory_caller caller;
};

struct model_entry {
    bool used;
    int64_t tenant;
    char name[NAME_MAX_LENGTH + 1], version[NAME_MAX_LENGTH + 1];
    struct store_model model;
};

struct policy_entry {
    bool used;
    char name[NAME_MAX_LENGTH + 1];
    struct policy policy;
};

struct directory {
    struct store *reader;
    _Atomic uint64_t changes; /* counts up with every change of the store */
    uint64_t seen;
    struct key_entry keys[ENTRIES];
    struct model_entry models[ENTRIES];
    struct policy_entry policies[POLICY_ENTRIES];
    struct policy nothing; /* what holds without a tenant */
};

/* FNV-1a: places entries only. */
static uint32_t mix(uint32_t hash, const char *text) {
    for (; *text; text++)
        hash = (hash ^ (uint8_t)*text) * 16777619u;
    return hash * 16777619u;
}

enum status directory_new(struct store *reader, struct directory **directory, struct error *error) {
    struct directory *d = calloc(1, sizeof *d);
    if (!d)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for the directory");
    d->reader = reader;
    d->nothing = policy_of_nothing();
    *directory = d;
    return STATUS_OK;
}

void directory_free(struct directory *directory) {
    free(directory);
}

void directory_changed(struct directory *directory) {
    atomic_fetch_add(&directory->changes, 1);
}

static void forget_if_changed(struct directory *d) {
    uint64_t changes = atomic_load(&d->changes);
    if (changes == d->seen)
        return;
    d->seen = changes;
    for (size_t i = 0; i < ENTRIES; i++)
        d->keys[i].used = d->models[i].used = false;
    for (size_t i = 0; i < POLICY_ENTRIES; i++)
        d->policies[i].used = false;
}

static enum status find_key(struct directory *d, const char *id, const struct key_entry **found,
                            struct error *error) {
    struct key_entry *e = &d->keys[mix(2166136261u, id) % ENTRIES];
    if (e->used && strcmp(e->key.id, id) == 0) {
        *found = e;
        return STATUS_OK;
    }
    struct store_key key;
    struct store_tenant tenant = {.state = STORE_TENANT_ENABLED};
    enum status status = store_key_find(d->reader, id, &key, error);
    if (status == STATUS_OK && key.tenant)
        status = store_tenant_get(d->reader, key.tenant, &tenant, error);
    if (status != STATUS_OK)
        return status;
    e->used = true;
    e->key = key;
    e->caller = (struct directory_caller){.tenant = tenant.id,
                                          .scopes = key.scopes,
                                          .tenant_enabled = tenant.state == STORE_TENANT_ENABLED,
                                          .is_operator = key.tenant == 0};
    memcpy(e->caller.tenant_uid, tenant.uid, sizeof tenant.uid);
    memcpy(e->caller.tenant_name, tenant.name, sizeof tenant.name);
    memcpy(e->caller.key, key.id, sizeof key.id);
    memcpy(e->caller.policy, tenant.policy, sizeof tenant.policy);
    e->caller.has_certificate = key.has_certificate;
    memcpy(e->caller.certificate, key.certificate, sizeof key.certificate);
    *found = e;
    return STATUS_OK;
}

enum status directory_authenticate(struct directory *d, struct bytes token, int64_t now,
                                   struct directory_caller *caller, struct error *error) {
    struct apikey presented;
    struct error ignored;
    const struct key_entry *entry = NULL;
    bool good = false;
    forget_if_changed(d);
    enum status status = apikey_parse((const char *)token.data, token.size, &presented, &ignored);
    if (status != STATUS_OK)
        goto refuse;
    status = find_key(d, presented.id, &entry, error);
    if (status == STATUS_OK)
        good = apikey_verify(&presented, entry->key.hash) && !entry->key.revoked &&
               (!entry->key.expires || entry->key.expires > now);
    else if (status == STATUS_NOT_FOUND)
        good = apikey_verify_absent(&presented);
    secret_wipe(&presented, sizeof presented);
    if (status != STATUS_OK && status != STATUS_NOT_FOUND)
        return status;
    if (!good)
        goto refuse;
    *caller = entry->caller;
    return STATUS_OK;
refuse:
    return status_fail(error, STATUS_UNAUTHENTICATED, "%s", status_text(STATUS_UNAUTHENTICATED));
}

enum status directory_operator(struct directory *d, const char *id, int64_t now, uint32_t *scopes,
                               struct error *error) {
    const struct key_entry *entry = NULL;
    forget_if_changed(d);
    enum status status = find_key(d, id, &entry, error);
    if (status == STATUS_OK && entry->caller.is_operator && !entry->key.revoked &&
        (!entry->key.expires || entry->key.expires > now)) {
        *scopes = entry->key.scopes;
        return STATUS_OK;
    }
    return status == STATUS_OK || status == STATUS_NOT_FOUND
               ? status_fail(error, STATUS_UNAUTHENTICATED,
                             "the operator key is not valid any more")
               : status;
}

enum status directory_model(struct directory *d, int64_t tenant, const char *name,
                            const char *version, struct store_model *model, struct error *error) {
    forget_if_changed(d);
    struct model_entry *e =
        &d->models[mix(mix((uint32_t)tenant * 2654435761u, name), version) % ENTRIES];
    if (e->used && e->tenant == tenant && strcmp(e->name, name) == 0 &&
        strcmp(e->version, version) == 0) {
        *model = e->model;
        return STATUS_OK;
    }
    struct store_model found;
    enum status status =
        store_model_find(d->reader, tenant, name, version[0] ? version : NULL, &found, error);
    if (status == STATUS_NOT_FOUND && version[0])
        return status_fail(error, STATUS_NOT_FOUND, "model \"%s\" version \"%s\" is not found",
                           name, version);
    if (status == STATUS_NOT_FOUND)
        return status_fail(error, STATUS_NOT_FOUND, "model \"%s\" is not found", name);
    if (status != STATUS_OK)
        return status;
    e->used = true;
    e->tenant = tenant;
    memcpy(e->name, name, strlen(name) + 1);
    memcpy(e->version, version, strlen(version) + 1);
    e->model = found;
    *model = found;
    return STATUS_OK;
}

enum status directory_policy(struct directory *d, const char *name, const struct policy **policy,
                             struct error *error) {
    forget_if_changed(d);
    if (!name[0]) {
        *policy = &d->nothing;
        return STATUS_OK;
    }
    struct policy_entry *e = &d->policies[mix(2166136261u, name) % POLICY_ENTRIES];
    if (!e->used || strcmp(e->name, name) != 0) {
        struct store_policy row;
        struct error why = {0};
        enum status status = store_policy_find(d->reader, name, &row, &why);
        if (status == STATUS_OK)
            status = policy_parse(row.text, strlen(row.text), &e->policy, &why);
        if (status != STATUS_OK) {
            log_error("a policy cannot be acted on name=%s reason=\"%s\"", name, why.message);
            e->used = false;
            return status_fail(error, STATUS_UNAVAILABLE, "the tenant's policy cannot be read");
        }
        e->used = true;
        memcpy(e->name, name, strlen(name) + 1);
    }
    *policy = &e->policy;
    return STATUS_OK;
}
