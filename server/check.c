#include "server/check.h"

#include "base/status.h"
#include "server/front/tls.h"
#include "server/keeper/keyring.h"
#include "server/keeper/unseal.h"
#include "server/launch/resources.h"
#include "server/ledger/store_check.h"

#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

struct check {
    const char *path; /* of the configuration */
    const struct config *config;
    const struct keyring *keys;
    enum status status; /* of the first finding */
};

static void say(void *context, const char *field, const struct error *error) {
    const struct check *check = context;
    unsigned column = 0, line = field[0] ? config_line(check->path, field, &column) : 0;
    if (line)
        fprintf(stderr, "strongroomd: %s:%u:%u: %s\n", check->path, line, column, error->message);
    else
        fprintf(stderr, "strongroomd: %s%s%s\n", field[0] ? check->path : "", field[0] ? ": " : "",
                error->message);
}

static void say_fault(void *path, unsigned line, unsigned column, const char *message) {
    fprintf(stderr, "strongroomd: %s:%u:%u: %s\n", (const char *)path, line, column, message);
}

size_t check_text(const char *path) {
    return config_survey(path, say_fault, (void *)(uintptr_t)path);
}

/* --- the store -------------------------------------------------------------------------------- */

static void say_store(void *context, const struct error *error) {
    say(context, "data", error);
}

static enum status open_identity(void *context, const char *uid, struct bytes wrapped,
                                 struct error *error) {
    const struct check *check = context;
    return unseal_check(check->keys, uid, wrapped, error);
}

/* With the keys at hand: what is stored must open with them. */
static enum status check_store(void *context, const struct keyring *keys, struct error *error) {
    struct check *check = context;
    (void)error;
    check->keys = keys;
    struct store_check store = {
        .config = check->config, .say = say_store, .open = open_identity, .context = check};
    store_check_run(&store);
    check->status = store.status;
    if (store.running)
        printf("a server has the store, which was not looked at: `strongroom doctor` asks it\n");
    else if (store.note[0])
        printf("%s\n", store.note);
    else if (store.status == STATUS_OK)
        printf("the store is whole: %zu policies understood, %zu tenants' identities opened\n",
               store.policies, store.tenants);
    return STATUS_OK; /* said already */
}

/* The files can be read: do they make a server? */
static enum status check_tls(struct check *check, const char **field, struct error *error) {
    const struct config *config = check->config;
    struct tls_files files = {-1, -1, -1};
    SSL_CTX *context = NULL;
    enum status status = resources_file(config, config->tls_certificate, "tls.certificate", false,
                                        &files.certificate, error);
    if (status == STATUS_OK)
        status = resources_file(config, config->tls_key, "tls.key", true, &files.key, error);
    if (status == STATUS_OK && config->tls_client_ca[0])
        status = resources_file(config, config->tls_client_ca, "tls.client_ca", false,
                                &files.client_ca, error);
    if (status == STATUS_OK)
        status = tls_context(&files, config->tls_minimum, &context, field, error);
    SSL_CTX_free(context);
    tls_close(&files);
    return status;
}

static enum status check_keys(struct check *check, const char **field, struct error *error) {
    const struct config *config = check->config;
    int root = -1, signing = -1;
    *field = "root.identity";
    enum status status = resources_file(config, config->root_identity, *field, true, &root, error);
    if (status == STATUS_OK) {
        *field = "signing.key";
        status = resources_file(config, config->signing_key, *field, true, &signing, error);
    }
    if (status == STATUS_OK)
        status = keyring_check(root, signing, config->worker.allow_unlocked_memory, field,
                               check_store, check, error);
    if (root >= 0)
        close(root);
    if (signing >= 0)
        close(signing);
    return status;
}

int check_run(const char *path, const struct config *config) {
    struct error error;
    struct check check = {.path = path, .config = config};
    const char *field = "tls.certificate";
    enum status first = resources_check(config, say, &check, &error);
    if (first != STATUS_OK)
        return status_exit(first);
    enum status (*const each[])(struct check *, const char **, struct error *) = {check_tls,
                                                                                  check_keys};
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        enum status status = each[i](&check, &field, &error);
        if (status != STATUS_OK) {
            (void)status_prefix(&error, "%s: ", field);
            say(&check, field, &error);
            first = first == STATUS_OK ? status : first;
        }
    }
    if (first == STATUS_OK)
        first = check.status;
    if (first == STATUS_OK)
        printf("the configuration is good\n");
    return status_exit(first);
}
