#include "server/check.h"

#include "base/status.h"
#include "server/front/tls.h"
#include "server/keeper/keyring.h"
#include "server/launch/resources.h"

#include <stdio.h>
#include <unistd.h>

static void say(void *context, const char *field, const struct error *error) {
    const char *path = context;
    unsigned line = field[0] ? config_line(path, field) : 0;
    if (line)
        fprintf(stderr, "strongroomd: %s: line %u: %s\n", path, line, error->message);
    else
        fprintf(stderr, "strongroomd: %s%s%s\n", field[0] ? path : "", field[0] ? ": " : "",
                error->message);
}

/* The files can be read: do they make a server? */
static enum status check_tls(const struct config *config, const char **field, struct error *error) {
    struct tls_files files = {-1, -1, -1};
    SSL_CTX *context = NULL;
    enum status status = resources_file(config->tls_certificate, "tls.certificate", false,
                                        &files.certificate, error);
    if (status == STATUS_OK)
        status = resources_file(config->tls_key, "tls.key", true, &files.key, error);
    if (status == STATUS_OK && config->tls_client_ca[0])
        status =
            resources_file(config->tls_client_ca, "tls.client_ca", false, &files.client_ca, error);
    if (status == STATUS_OK)
        status = tls_context(&files, config->tls_minimum, &context, field, error);
    SSL_CTX_free(context);
    tls_close(&files);
    return status;
}

static enum status check_keys(const struct config *config, const char **field,
                              struct error *error) {
    int root = -1, signing = -1;
    *field = "root.identity";
    enum status status = resources_file(config->root_identity, *field, true, &root, error);
    if (status == STATUS_OK) {
        *field = "signing.key";
        status = resources_file(config->signing_key, *field, true, &signing, error);
    }
    if (status == STATUS_OK)
        status = keyring_check(root, signing, config->worker.allow_unlocked_memory, field, error);
    if (root >= 0)
        close(root);
    if (signing >= 0)
        close(signing);
    return status;
}

int check_run(const char *path, const struct config *config) {
    struct error error;
    const char *field = "tls.certificate";
    enum status status = resources_check(config, say, (void *)(uintptr_t)path, &error);
    if (status != STATUS_OK)
        return status_exit(status);
    status = check_tls(config, &field, &error);
    if (status == STATUS_OK)
        status = check_keys(config, &field, &error);
    if (status == STATUS_OK) {
        printf("the configuration is good\n");
    } else {
        (void)status_prefix(&error, "%s: ", field);
        say((void *)(uintptr_t)path, field, &error);
    }
    return status_exit(status);
}
