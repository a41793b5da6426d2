#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"
#include "store/store.h"
#include "tenancy/command.h"
#include "tests/unit/store_fixture.h"

static struct error error;

#define RECIPIENT "age1v0zexmj59qngkxynldcvrzrqwqel9x4qxekdu7lrpceqns5ta90q53fmkf"
#define UID_A "0123456789abcdef0123456789abcdef"
#define UID_B "fedcba9876543210fedcba9876543210"
#define HASH "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

/* What the hooks were told, in the order in which they were. */
struct told {
    int64_t now;
    bool refuse_to_sign;
    struct tenancy_change changes[32];
    char keys[32][STORE_KEY_ID_MAX + 1];
    size_t change_count;
    int64_t removed[32];
    size_t removed_count;
};

static int64_t now(void *context) {
    return ++((struct told *)context)->now;
}

static enum status sign(void *context, const struct store_tenant *tenant, char *note,
                        size_t note_size, struct error *e) {
    struct told *told = context;
    if (told->refuse_to_sign)
        return status_fail(e, STATUS_FORBIDDEN, "the identity is another tenant's");
    snprintf(note, note_size, "%s %s %s\n", tenant->uid, tenant->name, tenant->recipient);
    return STATUS_OK;
}

static void changed(void *context, const struct tenancy_change *change) {
    struct told *told = context;
    if (change->key)
        strncpy(told->keys[told->change_count], change->key, STORE_KEY_ID_MAX);
    told->changes[told->change_count++] = *change;
}

static void remove_payload(void *context, int64_t model) {
    struct told *told = context;
    told->removed[told->removed_count++] = model;
}

static const struct tenancy_hooks hooks = {now, sign, changed, remove_payload};
static struct told told;
static struct tenancy tenancy;

static void set_up(void) {
    struct store_meta meta = store_fixture_meta();
    cr_assert_eq(crypto_init(&error), STATUS_OK);
    told = (struct told){.now = FIXTURE_NOW};
    tenancy = (struct tenancy){.hooks = &hooks, .context = &told, .client = "uid 0"};
    cr_assert_eq(store_open_memory(&meta, &tenancy.store, &error), STATUS_OK);
}

static void tear_down(void) {
    store_close(tenancy.store);
}

TestSuite(tenancy, .init = set_up, .fini = tear_down);

/* Carry out a request made by json_pack's rules; its result, or NULL and `error`. */
static enum status last;
static json_t *run(const char *format, ...) {
    va_list args;
    va_start(args, format);
    json_error_t where;
    json_t *request = json_vpack_ex(&where, 0, format, args), *response = NULL;
    va_end(args);
    cr_assert_not_null(request, "%s", where.text);
    memset(&error, 0, sizeof error);
    last = tenancy_execute(&tenancy, request, &response, &error);
    json_decref(request);
    cr_assert_eq(last == STATUS_OK, response != NULL);
    return response;
}

static json_t *must(json_t *response) {
    cr_assert_eq(last, STATUS_OK, "%s", error.message);
    return response;
}

static void fails(json_t *response, enum status status, const char *part) {
    cr_assert_null(response);
    cr_assert_eq(last, status, "%d %s", last, error.message);
    cr_assert(strstr(error.message, part), "%s", error.message);
}

static const char *text(const json_t *object, const char *name) {
    const char *value = json_string_value(json_object_get(object, name));
    cr_assert_not_null(value, "%s", name);
    return value;
}

static json_int_t integer(const json_t *object, const char *name) {
    cr_assert(json_is_integer(json_object_get(object, name)), "%s", name);
    return json_integer_value(json_object_get(object, name));
}

static json_t *create(const char *name, const char *uid) {
    return run("{s:s,s:s,s:s,s:s,s:s}", "command", "tenant.create", "name", name, "uid", uid,
               "recipient", RECIPIENT, "wrapped", "d3JhcHBlZA==");
}

static json_t *create_key(const char *tenant, const char *id) {
    return run("{s:s,s:s,s:s,s:s,s:s}", "command", "key.create", "tenant", tenant, "id", id, "hash",
               HASH, "scopes", "infer,models:read");
}

static json_t *on_tenant(const char *command, const char *tenant) {
    return run("{s:s,s:s}", "command", command, "tenant", tenant);
}

static int64_t add_model(const char *tenant, const char *name, const char *version) {
    struct store_tenant row;
    struct store_model model;
    cr_assert_eq(store_tenant_find(tenancy.store, tenant, &row, &error), STATUS_OK);
    cr_assert_eq(
        store_model_create(tenancy.store, row.id, name, version, FIXTURE_NOW, &model, NULL, &error),
        STATUS_OK);
    return model.id;
}

/* Action and target of the newest record, which must be an operator's. */
static void recorded(const char *action, const char *target, const char *tenant_uid) {
    json_t *list = must(run("{s:s,s:i}", "command", "audit.list", "limit", 1));
    json_t *record = json_object_get(json_array_get(json_object_get(list, "records"), 0), "record");
    cr_assert_str_eq(text(record, "action"), action);
    cr_assert_str_eq(text(record, "target"), target);
    cr_assert_str_eq(text(record, "tenant"), tenant_uid);
    cr_assert_str_eq(text(record, "key"), "operator");
    cr_assert_str_eq(text(record, "client"), "uid 0");
    cr_assert_str_eq(text(record, "outcome"), "ok");
    json_decref(list);
}

Test(tenancy, tenant_life) {
    json_t *r = must(create("acme", UID_A));
    cr_assert_str_eq(text(r, "uid"), UID_A);
    cr_assert_str_eq(text(r, "state"), "enabled");
    cr_assert_str_eq(text(r, "note"), UID_A " acme " RECIPIENT "\n");
    json_decref(r);
    recorded("tenant.create", "acme", UID_A);
    cr_assert_eq(told.changes[0].event, TENANCY_TENANT_CREATED);

    json_decref(must(create_key("acme", "abcdefghijkl")));
    int64_t model = add_model("acme", "digits", "1"), second = add_model("acme", "digits", "2");
    r = must(on_tenant("tenant.show", "acme"));
    cr_assert_eq(integer(r, "keys"), 1);
    cr_assert_eq(integer(r, "models"), 2);
    cr_assert_eq(integer(r, "records"), 2);
    json_decref(r);

    r = must(on_tenant("tenant.disable", "acme"));
    cr_assert_str_eq(text(r, "state"), "disabled");
    json_decref(r);
    recorded("tenant.disable", "acme", UID_A);
    cr_assert_eq(told.changes[2].event, TENANCY_TENANT_DISABLED);
    cr_assert_eq(told.changes[2].tenant, 1);
    r = must(on_tenant("tenant.enable", "acme"));
    cr_assert_str_eq(text(r, "state"), "enabled");
    json_decref(r);

    json_decref(must(create("other", UID_B)));
    r = must(run("{s:s}", "command", "tenant.list"));
    cr_assert_eq(json_array_size(json_object_get(r, "tenants")), 2);
    json_decref(r);

    told.change_count = 0;
    r = must(on_tenant("tenant.delete", "acme"));
    cr_assert_eq(integer(r, "models"), 2);
    json_decref(r);
    recorded("tenant.delete", "acme", UID_A);
    cr_assert_eq(told.change_count, 1);
    cr_assert_eq(told.changes[0].event, TENANCY_TENANT_DELETED);
    cr_assert_eq(told.removed_count, 2);
    cr_assert_eq(told.removed[0], model);
    cr_assert_eq(told.removed[1], second);
    fails(on_tenant("tenant.show", "acme"), STATUS_NOT_FOUND, "no such tenant");
}

Test(tenancy, what_the_keeper_does_not_sign_is_not_made) {
    told.refuse_to_sign = true;
    fails(create("acme", UID_A), STATUS_FORBIDDEN, "another tenant's");
    cr_assert_eq(told.change_count, 0);
    json_t *r = must(run("{s:s}", "command", "status"));
    cr_assert_eq(integer(r, "tenants"), 0);
    cr_assert_eq(integer(r, "records"), 0);
    json_decref(r);
}

Test(tenancy, bad_tenants_are_refused_and_named) {
    fails(create(UID_A, UID_B), STATUS_INVALID, "could be taken for a uid");
    fails(create("a/b", UID_A), STATUS_INVALID, "name");
    fails(create("acme", "XYZ"), STATUS_INVALID, "uid");
    fails(run("{s:s,s:s,s:s,s:s,s:s}", "command", "tenant.create", "name", "a", "uid", UID_A,
              "recipient", "age1qqqq", "wrapped", "AA=="),
          STATUS_INVALID, "recipient");
    fails(run("{s:s,s:s,s:s,s:s,s:s}", "command", "tenant.create", "name", "a", "uid", UID_A,
              "recipient", RECIPIENT, "wrapped", "%%"),
          STATUS_INVALID, "wrapped");
    fails(run("{s:s,s:s,s:s,s:s}", "command", "tenant.create", "name", "a", "uid", UID_A,
              "recipient", RECIPIENT),
          STATUS_INVALID, "wrapped: is missing");
    json_decref(must(create("acme", UID_A)));
    fails(create("acme", UID_B), STATUS_CONFLICT, "name exists");
    fails(create("acme2", UID_A), STATUS_CONFLICT, "uid");
    cr_assert_eq(told.change_count, 1);
}

Test(tenancy, key_life) {
    json_decref(must(create("acme", UID_A)));
    json_t *r = must(create_key("acme", "abcdefghijkl"));
    cr_assert_str_eq(text(r, "scopes"), "models:read,infer");
    cr_assert_str_eq(text(r, "tenant"), "acme");
    cr_assert_null(json_object_get(r, "hash"));
    json_decref(r);
    recorded("key.create", "abcdefghijkl", UID_A);
    fails(create_key("acme", "abcdefghijkl"), STATUS_CONFLICT, "exists");
    fails(create_key("nobody", "abcdefghijkm"), STATUS_NOT_FOUND, "tenant");
    fails(create_key("acme", "short"), STATUS_INVALID, "id");
    fails(run("{s:s,s:s,s:s,s:s,s:s,s:s}", "command", "key.create", "tenant", "acme", "id",
              "abcdefghijkm", "hash", HASH, "scopes", "infer", "label", "my key"),
          STATUS_INVALID, "label: found \"my key\", expected");
    fails(run("{s:s,s:s,s:s,s:s,s:s}", "command", "key.create", "tenant", "acme", "id",
              "abcdefghijkm", "hash", "00", "scopes", "infer"),
          STATUS_INVALID, "hash");
    fails(run("{s:s,s:s,s:s,s:s,s:s}", "command", "key.create", "tenant", "acme", "id",
              "abcdefghijkm", "hash", HASH, "scopes", "root"),
          STATUS_INVALID, "\"root\" is not a scope");
    fails(run("{s:s,s:s,s:s,s:s,s:s,s:i}", "command", "key.create", "tenant", "acme", "id",
              "abcdefghijkm", "hash", HASH, "scopes", "infer", "expires", 5),
          STATUS_INVALID, "expires");

    r = must(run("{s:s}", "command", "key.list"));
    cr_assert_eq(json_array_size(json_object_get(r, "keys")), 1);
    json_decref(r);
    told.change_count = 0;
    r = must(run("{s:s,s:s}", "command", "key.revoke", "id", "abcdefghijkl"));
    json_int_t revoked = integer(r, "revoked");
    cr_assert_gt(revoked, FIXTURE_NOW);
    json_decref(r);
    recorded("key.revoke", "abcdefghijkl", UID_A);
    cr_assert_eq(told.changes[0].event, TENANCY_KEY_REVOKED);
    cr_assert_str_eq(told.keys[0], "abcdefghijkl");
    r = must(run("{s:s,s:s}", "command", "key.revoke", "id", "abcdefghijkl"));
    cr_assert_eq(integer(r, "revoked"), revoked, "the first time stays");
    json_decref(r);
    fails(run("{s:s,s:s}", "command", "key.revoke", "id", "zzzzzzzzzzzz"), STATUS_NOT_FOUND, "key");
}

Test(tenancy, model_life) {
    json_decref(must(create("acme", UID_A)));
    json_decref(must(create("other", UID_B)));
    int64_t id = add_model("acme", "digits", "9");
    add_model("acme", "digits", "10");
    json_t *r =
        must(run("{s:s,s:s,s:s}", "command", "model.show", "tenant", "acme", "model", "digits"));
    cr_assert_str_eq(text(r, "version"), "10");
    cr_assert_str_eq(text(r, "state"), "uploading");
    json_decref(r);
    fails(run("{s:s,s:s,s:s}", "command", "model.show", "tenant", "other", "model", "digits"),
          STATUS_NOT_FOUND, "model");
    fails(run("{s:s,s:s,s:s}", "command", "model.remove", "tenant", "acme", "model", "digits"),
          STATUS_INVALID, "version: is missing");
    told.change_count = 0;
    r = must(run("{s:s,s:s,s:s,s:s}", "command", "model.remove", "tenant", "acme", "model",
                 "digits", "version", "9"));
    json_decref(r);
    recorded("model.remove", "digits/9", UID_A);
    cr_assert_eq(told.changes[0].event, TENANCY_MODEL_REMOVED);
    cr_assert_eq(told.changes[0].model, id);
    cr_assert_eq(told.removed_count, 1);
    cr_assert_eq(told.removed[0], id);
    r = must(on_tenant("model.list", "acme"));
    cr_assert_eq(json_array_size(json_object_get(r, "models")), 1);
    json_decref(r);
    r = must(on_tenant("model.list", "other"));
    cr_assert_eq(json_array_size(json_object_get(r, "models")), 0);
    json_decref(r);
}

Test(tenancy, records_of_a_tenant_are_found_by_uid_and_not_by_name) {
    json_decref(must(create("acme", UID_A)));
    json_decref(must(on_tenant("tenant.delete", "acme")));
    json_decref(must(create("acme", UID_B)));
    json_t *r = must(on_tenant("audit.list", "acme"));
    cr_assert_eq(json_array_size(json_object_get(r, "records")), 1, "not its namesake's");
    cr_assert_eq(integer(r, "size"), 3);
    json_decref(r);
    r = must(on_tenant("audit.list", UID_A));
    cr_assert_eq(json_array_size(json_object_get(r, "records")), 2, "of the one that is gone");
    json_decref(r);
    fails(on_tenant("audit.list", "00000000000000000000000000000000"), STATUS_NOT_FOUND,
          "no records of the uid");
    fails(on_tenant("audit.list", "nobody"), STATUS_NOT_FOUND, "no such tenant");
    r = must(run("{s:s,s:i,s:i}", "command", "audit.list", "limit", 2, "before", 2));
    json_t *rows = json_object_get(r, "records");
    cr_assert_eq(json_array_size(rows), 2);
    cr_assert_eq(integer(json_object_get(json_array_get(rows, 0), "record"), "seq"), 1);
    cr_assert_eq(strlen(text(json_array_get(rows, 0), "leaf")), 64);
    json_decref(r);
    fails(run("{s:s,s:i}", "command", "audit.list", "limit", 0), STATUS_INVALID, "limit");
    fails(run("{s:s,s:s}", "command", "audit.list", "limit", "9"), STATUS_INVALID, "limit");
}

static void use(const char *tenant, const char *key, int32_t day, int64_t requests) {
    struct store_tenant row;
    cr_assert_eq(store_tenant_find(tenancy.store, tenant, &row, &error), STATUS_OK);
    const struct store_usage usage = {.tenant = row.id,
                                      .key = key,
                                      .model = "m/1",
                                      .day = day,
                                      .requests = requests,
                                      .errors = 1,
                                      .compute_us = 20,
                                      .bytes_in = 300,
                                      .bytes_out = 4000};
    cr_assert_eq(store_audit_append(tenancy.store, NULL, 0, &usage, 1, &error), STATUS_OK, "%s",
                 error.message);
}

Test(tenancy, usage_is_listed_by_tenant_and_day) {
    json_decref(must(create("a", UID_A)));
    json_decref(must(create("b", UID_B)));
    use("a", "k1", 20000, 5);
    use("a", "k1", 20001, 6);
    use("b", "k2", 20001, 7);
    json_t *r = must(run("{s:s}", "command", "usage.list"));
    json_t *rows = json_object_get(r, "usage");
    cr_assert_eq(json_array_size(rows), 3);
    const json_t *first = json_array_get(rows, 0);
    cr_assert_str_eq(text(first, "tenant"), "a");
    cr_assert_str_eq(text(first, "day"), "2024-10-04");
    cr_assert_str_eq(text(first, "key"), "k1");
    cr_assert_str_eq(text(first, "model"), "m/1");
    cr_assert_eq(integer(first, "requests"), 5);
    cr_assert_eq(integer(first, "errors"), 1);
    cr_assert_eq(integer(first, "compute_us"), 20);
    cr_assert_eq(integer(first, "bytes_in"), 300);
    cr_assert_eq(integer(first, "bytes_out"), 4000);
    json_decref(r);
    r = must(on_tenant("usage.list", "b"));
    cr_assert_eq(json_array_size(json_object_get(r, "usage")), 1);
    json_decref(r);
    r = must(run("{s:s,s:i,s:i}", "command", "usage.list", "first", 20001, "last", 20001));
    cr_assert_eq(json_array_size(json_object_get(r, "usage")), 2);
    json_decref(r);
    fails(on_tenant("usage.list", "nobody"), STATUS_NOT_FOUND, "no such tenant");
    fails(run("{s:s,s:i,s:i}", "command", "usage.list", "first", 2, "last", 1), STATUS_INVALID,
          "first");
    fails(run("{s:s,s:i}", "command", "usage.list", "first", -1), STATUS_INVALID, "first");
}

Test(tenancy, what_is_not_known_is_refused) {
    fails(run("{s:s}", "command", "tenant.explode"), STATUS_INVALID, "tenant.explode");
    fails(run("{s:i}", "command", 3), STATUS_INVALID, "command");
    fails(run("{}"), STATUS_INVALID, "command: is missing");
    fails(run("[]"), STATUS_INVALID, "object");
    fails(run("{s:s,s:s}", "command", "status", "verbose", "yes"), STATUS_INVALID, "verbose");
    fails(run("{s:s,s:i}", "command", "tenant.show", "tenant", 5), STATUS_INVALID,
          "must be a text");
}

Test(tenancy, lines_of_the_admin_socket) {
    size_t length = 0;
    static const char status[] = "{\"command\":\"status\"}";
    static const char revoke[] = "{\"command\":\"key.revoke\",\"id\":\"x\"}";
    char *line = tenancy_answer(&tenancy, status, strlen(status), &length);
    cr_assert_eq(line[length - 1], '\n');
    cr_assert_eq(strchr(line, '\n'), line + length - 1, "one line");
    json_t *result = NULL;
    cr_assert_eq(tenancy_read_answer(line, length, &result, &error), STATUS_OK);
    cr_assert_eq(integer(result, "tenants"), 0);
    json_decref(result);
    free(line);

    line = tenancy_answer(&tenancy, revoke, strlen(revoke), &length);
    result = NULL;
    cr_assert_eq(tenancy_read_answer(line, length, &result, &error), STATUS_NOT_FOUND);
    cr_assert_str_eq(error.message, "no such key");
    cr_assert_null(result);
    free(line);
    static const char *const bad[] = {"", "{", "{} {}", "\xff",
                                      "{\"command\":\"a\",\"command\":\"b\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        line = tenancy_answer(&tenancy, bad[i], strlen(bad[i]), &length);
        cr_assert_eq(tenancy_read_answer(line, length, &result, &error), STATUS_INVALID);
        free(line);
    }
    cr_assert_eq(tenancy_read_answer("{\"ok\":1}", 8, &result, &error), STATUS_INTERNAL);
    cr_assert_eq(tenancy_read_answer("nonsense", 8, &result, &error), STATUS_INTERNAL);
}

static json_t *set_policy(const char *text) {
    return run("{s:s,s:s}", "command", "policy.set", "text", text);
}

/* Targets of the newest `count` records, newest first, one a line. */
static void newest(int count, char *lines, size_t size) {
    json_t *list = must(run("{s:s,s:i}", "command", "audit.list", "limit", count));
    lines[0] = '\0';
    for (size_t i = 0; i < json_array_size(json_object_get(list, "records")); i++) {
        const json_t *record =
            json_object_get(json_array_get(json_object_get(list, "records"), i), "record");
        snprintf(lines + strlen(lines), size - strlen(lines), "%s %s\n", text(record, "action"),
                 text(record, "target"));
    }
    json_decref(list);
}

Test(tenancy, a_policy_is_set_and_each_change_is_recorded) {
    char lines[1024];
    json_t *made = must(set_policy("name: p\nlimits: {models: 3}\nnetworks: [10.0.0.0/8]\n"));
    cr_assert_eq(integer(made, "fields"), 2);
    json_decref(made);
    cr_assert_eq(told.changes[told.change_count - 1].event, TENANCY_POLICY_CHANGED);
    newest(3, lines, sizeof lines);
    cr_assert_str_eq(lines, "policy.set p limits.models: - -> 3\n"
                            "policy.set p networks: added 10.0.0.0/8\n"
                            "policy.set p\n");
    json_decref(must(set_policy("name: p\nlimits: {models: 4}\nnetworks: [\"::/0\"]\n")));
    newest(4, lines, sizeof lines);
    cr_assert_str_eq(lines, "policy.set p limits.models: 3 -> 4\n"
                            "policy.set p networks: added ::/0\n"
                            "policy.set p networks: removed 10.0.0.0/8\n"
                            "policy.set p\n");
    json_t *shown = must(run("{s:s,s:s}", "command", "policy.show", "policy", "p"));
    cr_assert_str_eq(text(json_object_get(shown, "values"), "limits.models"), "4");
    cr_assert(strstr(text(shown, "text"), "models: 4"));
    json_decref(shown);
    fails(set_policy("name: p\nlimits: {models: none}\n"), STATUS_INVALID, "line 2, column 18");
    tenancy.tls_minimum = 13;
    fails(set_policy("name: p\ntls: 1.2\n"), STATUS_INVALID, "may only raise");
    json_decref(must(run("{s:s,s:s}", "command", "policy.remove", "policy", "p")));
    fails(run("{s:s,s:s}", "command", "policy.show", "policy", "p"), STATUS_NOT_FOUND, "policy");
}

Test(tenancy, a_tenant_is_given_a_policy_that_bounds_its_keys) {
    char lines[1024];
    json_decref(must(create("acme", UID_A)));
    json_decref(must(set_policy("name: narrow\nscopes: [models:read]\n")));
    fails(run("{s:s,s:s,s:s}", "command", "tenant.set-policy", "tenant", "acme", "policy", "none"),
          STATUS_NOT_FOUND, "policy");
    json_decref(must(run("{s:s,s:s,s:s}", "command", "tenant.set-policy", "tenant", "acme",
                         "policy", "narrow")));
    newest(1, lines, sizeof lines);
    cr_assert_str_eq(lines, "tenant.set-policy acme: standard -> narrow\n");
    fails(create_key("acme", "abcdefghijkl"), STATUS_FORBIDDEN, "does not allow infer");
    fails(run("{s:s,s:s}", "command", "policy.remove", "policy", "narrow"), STATUS_CONFLICT,
          "has this policy");
    json_t *shown = must(on_tenant("tenant.show", "acme"));
    cr_assert_str_eq(text(shown, "policy"), "narrow");
    json_decref(shown);
    json_t *list = must(run("{s:s}", "command", "policy.list"));
    const json_t *rows = json_object_get(list, "policies");
    cr_assert_eq(json_array_size(rows), 4);
    cr_assert_eq(integer(json_array_get(rows, 3), "tenants"), 1);
    json_decref(list);
    json_t *other =
        must(run("{s:s,s:s,s:s,s:s,s:s,s:s}", "command", "tenant.create", "name", "globex", "uid",
                 UID_B, "recipient", RECIPIENT, "wrapped", "d3JhcHBlZA==", "policy", "trial"));
    cr_assert_str_eq(text(other, "policy"), "trial");
    json_decref(other);
}

Test(tenancy, a_key_may_be_made_for_a_client_certificate) {
    json_decref(must(create("acme", UID_A)));
    json_t *key =
        must(run("{s:s,s:s,s:s,s:s,s:s,s:s}", "command", "key.create", "tenant", "acme", "id",
                 "abcdefghijkl", "hash", HASH, "scopes", "infer", "certificate", HASH));
    cr_assert_str_eq(text(key, "certificate"), HASH);
    json_decref(key);
    fails(run("{s:s,s:s,s:s,s:s,s:s,s:s}", "command", "key.create", "tenant", "acme", "id",
              "abcdefghijkm", "hash", HASH, "scopes", "infer", "certificate", "ab"),
          STATUS_INVALID, "certificate: must be 64 hexadecimal digits");
}

static json_t *create_operator(const char *id) {
    return run("{s:s,s:s,s:s,s:s}", "command", "operator.create", "id", id, "hash", HASH, "scopes",
               "tenants:read");
}

/* A key is looked for among the tenants' first: one with an operator's id would put that out. */
Test(tenancy, an_id_is_of_a_tenants_key_or_of_an_operators) {
    json_decref(must(create("acme", UID_A)));
    json_decref(must(create_operator("abcdefghijkl")));
    fails(create_key("acme", "abcdefghijkl"), STATUS_CONFLICT, "a key with this id exists");
    json_decref(must(create_key("acme", "abcdefghijkm")));
    fails(create_operator("abcdefghijkm"), STATUS_CONFLICT, "a key with this id exists");
}

static json_t *create_operator_until(const char *id, int64_t expires) {
    return run("{s:s,s:s,s:s,s:s,s:I}", "command", "operator.create", "id", id, "hash", HASH,
               "scopes", "operators:write", "expires", (json_int_t)expires);
}

static int64_t expiry(const json_t *key) {
    return json_integer_value(json_object_get(key, "expires"));
}

/* Or who has a key for an hour makes one for good in it. */
Test(tenancy, an_operator_key_makes_none_that_outlives_it) {
    const int64_t end = now(&told) + 3600 * INT64_C(1000000);
    json_decref(must(create_operator_until("abcdefghijkl", end)));
    const struct tenancy_operator by = {"abcdefghijkl", SCOPE_OPERATORS_WRITE};
    tenancy.by = &by;
    json_t *open = must(create_operator_until("abcdefghijkm", 0));
    json_t *shorter = must(create_operator_until("abcdefghijkn", end - 1));
    cr_expect_eq(expiry(open), end);
    cr_expect_eq(expiry(shorter), end - 1);
    fails(create_operator_until("abcdefghijko", end + 1), STATUS_FORBIDDEN,
          "expires: an operator key makes none that lives longer than itself");
    tenancy.by = NULL;
    json_t *unbounded = must(create_operator_until("abcdefghijkp", 0));
    cr_expect_eq(expiry(unbounded), 0);
    json_decref(open);
    json_decref(shorter);
    json_decref(unbounded);
}
