/* libFuzzer target: commands of the admin socket, a line each, over a fresh store in memory. Every
 * line is answered with one line that the CLI can read, and every change is in the audit log. */
#include <stdio.h>

#include "crypto/crypto.h"
#include "tenancy/command.h"
#include "tests/fuzz/fuzz.h"

#define NOW INT64_C(1750000000000000)

static struct {
    int64_t now;
    size_t changes;
} told;

static int64_t now(void *context) {
    (void)context;
    return ++told.now;
}

static enum status sign(void *context, const struct store_tenant *tenant, char *note,
                        size_t note_size, struct error *error) {
    (void)context, (void)error;
    snprintf(note, note_size, "%s %s\n", tenant->uid, tenant->recipient);
    return STATUS_OK;
}

static void changed(void *context, const struct tenancy_change *change) {
    (void)context;
    FUZZ_REQUIRE(change->tenant > 0 && strlen(change->tenant_uid) == STORE_UID_LENGTH);
    told.changes++;
}

static void remove_payload(void *context, int64_t model) {
    (void)context;
    FUZZ_REQUIRE(model > 0);
}

static const struct tenancy_hooks hooks = {now, sign, changed, remove_payload};

/* A tenant with a key and with a model in each state, for commands to find. */
static void furnish(struct store *store) {
    struct store_tenant tenant = {.uid = "0123456789abcdef0123456789abcdef",
                                  .name = "acme",
                                  .recipient = "age1tenanttenant",
                                  .wrapped = "wrapped identity",
                                  .wrapped_size = 16,
                                  .note = "a signed note\n",
                                  .state = STORE_TENANT_ENABLED,
                                  .created = NOW};
    FUZZ_REQUIRE(store_tenant_create(store, &tenant, NULL, NULL) == STATUS_OK);
    struct store_key key = {
        .id = "k1", .tenant = tenant.id, .label = "ci", .scopes = SCOPE_INFER, .created = NOW};
    FUZZ_REQUIRE(store_key_create(store, &key, NULL, NULL) == STATUS_OK);
    for (int i = 0; i < 3; i++) {
        const uint8_t commitment[STORE_COMMITMENT_SIZE] = {1};
        struct store_model model;
        const char version[] = {(char)('1' + i), '\0'};
        FUZZ_REQUIRE(store_model_create(store, tenant.id, "m", version, NOW, &model, NULL, NULL) ==
                     STATUS_OK);
        if (i > 0)
            FUZZ_REQUIRE(store_model_complete(store, model.id, "header", 6, 100, NULL, NULL) ==
                         STATUS_OK);
        if (i > 1)
            FUZZ_REQUIRE(store_model_ready(store, model.id, commitment, NULL, NULL) == STATUS_OK);
    }
}

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    FUZZ_REQUIRE(crypto_init(NULL) == STATUS_OK);
    return 0;
}

static void run(struct tenancy *tenancy, const uint8_t *line, size_t size) {
    char *copy = fuzz_copy(line, size);
    struct error error;
    size_t before = told.changes, length = 0;
    uint64_t records = 0, records_after = 0;
    json_t *result = NULL;
    FUZZ_REQUIRE(store_audit_size(tenancy->store, &records, NULL) == STATUS_OK);
    char *answer = tenancy_answer(tenancy, copy, size, &length);
    FUZZ_REQUIRE(answer != NULL);
    FUZZ_REQUIRE(length >= 2 && memchr(answer, '\n', length) == answer + length - 1);
    memset(&error, 0xa5, sizeof error);
    enum status status = tenancy_read_answer(answer, length, &result, &error);
    FUZZ_REQUIRE(status != STATUS_INTERNAL && status != STATUS_UNAVAILABLE);
    if (status == STATUS_OK)
        FUZZ_REQUIRE(json_is_object(result));
    else
        FUZZ_REQUIRE(!result && fuzz_explained(error.message, sizeof error.message));
    FUZZ_REQUIRE(store_audit_size(tenancy->store, &records_after, NULL) == STATUS_OK);
    FUZZ_REQUIRE(records_after - records == told.changes - before);
    FUZZ_REQUIRE(told.changes == before || (status == STATUS_OK && told.changes == before + 1));
    json_decref(result);
    free(answer);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static const struct store_meta meta = {.uid = "00112233445566778899aabbccddeeff",
                                           .created = NOW,
                                           .recipient = "age1rootrootrootroot",
                                           .verifier = "strongroom+01234567+AAAA"};
    struct tenancy tenancy = {.hooks = &hooks, .client = "uid 0"};
    told.now = NOW;
    told.changes = 0;
    FUZZ_REQUIRE(store_open_memory(&meta, &tenancy.store, NULL) == STATUS_OK);
    furnish(tenancy.store);
    while (size) {
        const uint8_t *end = memchr(data, '\n', size);
        size_t length = end ? (size_t)(end - data) : size;
        run(&tenancy, data, length);
        length += end ? 1 : 0;
        data += length;
        size -= length;
    }
    store_close(tenancy.store);
    return 0;
}
