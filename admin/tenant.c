#include <string.h>

#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/output.h"
#include "crypto/age.h"
#include "crypto/encoding.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "store/types.h"

#define IDENTITY_FILE_MAX 1024

static const struct output_field fields[] = {
    {"name", "name", OUTPUT_TEXT},         {"state", "state", OUTPUT_STATE},
    {"policy", "policy", OUTPUT_TEXT},     {"uid", "uid", OUTPUT_TEXT},
    {"created", "created", OUTPUT_TIME},   {"recipient", "recipient", OUTPUT_TEXT},
    {"keys", "keys", OUTPUT_NUMBER},       {"models", "models", OUTPUT_NUMBER},
    {"records", "records", OUTPUT_NUMBER},
};
#define FACTS (sizeof fields / sizeof fields[0])
#define COLUMNS 6

/* A new identity whose plaintext names the tenant, sealed to the root's recipient, as base64 in
 * `wrapped`. The identity itself stands in secret memory and nowhere else, and is gone when this
 * returns: only who holds the root identity can bring it back. */
static enum status make_identity(const char *uid, const char *name, const char *root_recipient,
                                 char recipient[AGE_X25519_RECIPIENT_SIZE], char *wrapped,
                                 struct error *error) {
    struct age_recipient root;
    uint8_t sealed[STORE_WRAPPED_MAX];
    size_t size = 0;
    struct age_identity *identity = age_x25519_generate(error);
    char *text = identity ? secret_alloc(IDENTITY_FILE_MAX, error) : NULL;
    struct buf out = buf_of(text, text ? IDENTITY_FILE_MAX : 0);
    const struct age_to to = {.recipients = &root, .count = 1};
    enum status status =
        text ? age_x25519_recipient_parse(root_recipient, strlen(root_recipient), &root, error)
             : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        goto out;
    age_keyfile_write(&out, identity, uid, name);
    if (out.failed) {
        status = status_fail(error, STATUS_INTERNAL, "the identity does not fit");
        goto out;
    }
    status = age_encrypt_bytes(&to, text, out.size, sealed, sizeof sealed, &size, error);
    if (status != STATUS_OK)
        goto out;
    encoding_base64(sealed, size, ENCODING_PADDED, wrapped);
    age_x25519_recipient_format(&identity->recipient, recipient);
out:
    secret_free(text);
    secret_free(identity);
    return status;
}

static enum status create(struct cli *cli, struct error *error) {
    const char *name = cli->options.positional[0];
    uint8_t random[STORE_UID_LENGTH / 2];
    char uid[STORE_UID_LENGTH + 1], recipient[AGE_X25519_RECIPIENT_SIZE];
    static char wrapped[ENCODING_BASE64_SIZE(STORE_WRAPPED_MAX)];
    struct connection *connection = NULL;
    json_t *facts = NULL, *tenant = NULL;
    random_bytes(random, sizeof random);
    encoding_hex(random, sizeof random, uid);
    enum status status = connection_open(cli, &connection, error);
    if (status == STATUS_OK)
        status =
            connection_call(connection, json_pack("{s:s}", "command", "status"), &facts, error);
    if (status != STATUS_OK)
        goto out;
    const char *root = json_string_value(json_object_get(facts, "root_recipient"));
    status = root ? make_identity(uid, name, root, recipient, wrapped, error)
                  : status_fail(error, STATUS_INTERNAL, "the store names no root recipient");
    if (status == STATUS_OK)
        status =
            connection_call(connection,
                            json_pack("{s:s,s:s,s:s,s:s,s:s,s:s*}", "command", "tenant.create",
                                      "name", name, "uid", uid, "recipient", recipient, "wrapped",
                                      wrapped, "policy", options_value(&cli->options, "policy")),
                            &tenant, error);
    if (status == STATUS_OK)
        status = output_facts(cli, tenant, fields, FACTS, error);
out:
    json_decref(facts);
    json_decref(tenant);
    connection_close(connection);
    return status;
}

static enum status list(struct cli *cli, struct error *error) {
    json_t *result = NULL;
    enum status status =
        connection_once(cli, json_pack("{s:s}", "command", "tenant.list"), &result, error);
    if (status == STATUS_OK)
        status = output_table(cli, result, "tenants", fields, COLUMNS, "no tenants", error);
    json_decref(result);
    return status;
}

static enum status act(struct cli *cli, const char *command, struct error *error) {
    json_t *result = NULL;
    enum status status = connection_once(
        cli, json_pack("{s:s,s:s}", "command", command, "tenant", cli->options.positional[0]),
        &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, fields, FACTS, error);
    json_decref(result);
    return status;
}

static enum status show(struct cli *cli, struct error *error) {
    return act(cli, "tenant.show", error);
}

static enum status disable(struct cli *cli, struct error *error) {
    return act(cli, "tenant.disable", error);
}

static enum status enable(struct cli *cli, struct error *error) {
    return act(cli, "tenant.enable", error);
}

static enum status delete (struct cli *cli, struct error *error) {
    static const struct output_field gone[] =
        {
            {"deleted", "tenant", OUTPUT_TEXT},
            {"uid", "uid", OUTPUT_TEXT},
            {"models removed", "models", OUTPUT_NUMBER},
        };
    json_t *result = NULL;
    enum status status = connection_once(cli,
                                         json_pack("{s:s,s:s}", "command", "tenant.delete",
                                                   "tenant", cli->options.positional[0]),
                                         &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, gone, sizeof gone / sizeof gone[0], error);
    json_decref(result);
    return status;
}

static const struct options_row create_rows[] = {
    {"policy", 'p', "NAME", "what it may do at most (default standard); see `policy list`", false},
};

const struct cli_command tenant_commands[COMMANDS_TENANT] = {
    {.name = "tenant create",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .rows = create_rows,
     .row_count = 1,
     .summary = "make a tenant with an identity of its own",
     .example = "tenant create acme",
     .help = "The identity is made here, sealed to the root and stored; models are sealed to the\n"
             "recipient that is printed.",
     .run = create},
    {.name = "tenant list", .positional = "", .summary = "all tenants", .run = list},
    {.name = "tenant show",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .summary = "one tenant, and how much it has",
     .run = show},
    {.name = "tenant disable",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .summary = "refuse its keys and stop its workers",
     .run = disable},
    {.name = "tenant enable",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .summary = "serve a disabled tenant again",
     .run = enable},
    {.name = "tenant delete",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .summary = "remove a tenant, its identity, keys, models and usage",
     .destroys = "its identity, keys, models and usage for good: what is sealed to it can then be "
                 "opened by nobody",
     .help = "Its audit records stay. Copies of the store made before still hold the sealed\n"
             "identity: destroy them too where it must be gone for good.",
     .run = delete},
};
