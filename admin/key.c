#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/certificate.h"
#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/files.h"
#include "admin/output.h"
#include "crypto/apikey.h"
#include "crypto/encoding.h"
#include "crypto/secret.h"

#define DAYS_MAX 36500

static const struct output_field fields[] = {
    {"id", "id", OUTPUT_WHOLE},
    {"tenant", "tenant", OUTPUT_TEXT},
    {"scopes", "scopes", OUTPUT_TEXT},
    {"label", "label", OUTPUT_TEXT},
    {"created", "created", OUTPUT_TIME},
    {"expires", "expires", OUTPUT_TIME},
    {"revoked", "revoked", OUTPUT_TIME},
    {"maker", "created_by", OUTPUT_WHOLE},
    {"certificate", "certificate", OUTPUT_TEXT},
};
#define FIELDS (sizeof fields / sizeof fields[0])

static const struct output_field operator_fields[] = {
    {"id", "id", OUTPUT_WHOLE},
    {"scopes", "scopes", OUTPUT_TEXT},
    {"label", "label", OUTPUT_TEXT},
    {"created", "created", OUTPUT_TIME},
    {"expires", "expires", OUTPUT_TIME},
    {"revoked", "revoked", OUTPUT_TIME},
    {"maker", "created_by", OUTPUT_WHOLE},
};
#define OPERATOR_FIELDS (sizeof operator_fields / sizeof operator_fields[0])

/* A key as it was made: both the struct and the text are secret. */
struct fresh {
    struct apikey key;
    char text[APIKEY_SIZE];
};

/* "30d", "12h", "90m" from now; 0, never, where the option was not given. */
static enum status read_expiry(const struct options *options, int64_t *expires,
                               struct error *error) {
    static const struct {
        char unit;
        int64_t seconds;
    } units[] = {{'d', 86400}, {'h', 3600}, {'m', 60}};
    const char *text = options_value(options, "expires");
    char *end = NULL;
    if (!text) {
        *expires = 0;
        return STATUS_OK;
    }
    errno = 0;
    long long number = isdigit((unsigned char)text[0]) ? strtoll(text, &end, 10) : 0;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (end && end[0] == units[i].unit && end[1] == '\0' && !errno && number > 0 &&
            number <= DAYS_MAX * INT64_C(86400) / units[i].seconds) {
            *expires = ((int64_t)time(NULL) + number * units[i].seconds) * 1000000;
            return STATUS_OK;
        }
    return status_fail(error, STATUS_INVALID,
                       "--expires: found \"%s\", expected a time from now such as 30d, 12h or 90m",
                       text);
}

/* The key leaves once, straight from secret memory to where it was asked for: no stream's buffer
 * and no JSON value ever holds it. */
static enum status give_out(struct cli *cli, const struct fresh *fresh, const json_t *row,
                            struct error *error) {
    const char *path = options_value(&cli->options, "output");
    bool only = options_flag(&cli->options, "key-only");
    enum status status = STATUS_OK;
    if (only && !path) {
        status = files_write_all(STDOUT_FILENO, fresh->text, APIKEY_LENGTH, error);
        return status == STATUS_OK ? files_write_all(STDOUT_FILENO, "\n", 1, error) : status;
    }
    if (!path) {
        const char *before = cli->json ? "{\"key\":\"" : "key      ";
        const char *after = cli->json ? "\"," : "\n";
        status = files_write_all(STDOUT_FILENO, before, strlen(before), error);
        if (status == STATUS_OK)
            status = files_write_all(STDOUT_FILENO, fresh->text, APIKEY_LENGTH, error);
        if (status == STATUS_OK)
            status = files_write_all(STDOUT_FILENO, after, strlen(after), error);
    }
    if (status != STATUS_OK)
        return status;
    if (!cli->json) {
        status = output_facts(cli, row, fields, FIELDS, error);
        fputs(path ? "" : "This is the only time that the key is shown: it is stored nowhere.\n",
              stderr);
        return status;
    }
    char *rest = json_dumps(row, JSON_COMPACT);
    if (!rest)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    printf("%s\n", path ? rest : rest + 1); /* the brace is there already */
    free(rest);
    return output_done(error);
}

static enum status write_key_file(const char *path, const struct fresh *fresh,
                                  struct error *error) {
    char *line = secret_alloc(APIKEY_SIZE, error);
    if (!line)
        return STATUS_UNAVAILABLE;
    memcpy(line, fresh->text, APIKEY_LENGTH);
    line[APIKEY_LENGTH] = '\n';
    enum status status = files_write_new(path, line, APIKEY_SIZE, 0600, error);
    secret_free(line);
    return status;
}

static json_t *make_request(const struct cli *cli, const struct fresh *fresh, const char *tenant,
                            const char *scopes, int64_t expires, const char *certificate) {
    uint8_t hash[APIKEY_HASH_SIZE];
    char hex[ENCODING_HEX_SIZE(APIKEY_HASH_SIZE)];
    const char *label = options_value(&cli->options, "label");
    apikey_hash(&fresh->key, hash);
    encoding_hex(hash, sizeof hash, hex);
    return json_pack("{s:s,s:s*,s:s,s:s,s:s,s:s*,s:s*,s:I}", "command",
                     tenant ? "key.create" : "operator.create", "tenant", tenant, "id",
                     fresh->key.id, "hash", hex, "scopes", scopes, "label", label, "certificate",
                     certificate, "expires", (json_int_t)expires);
}

/* A key of `tenant`, or of an operator where that is NULL. */
static enum status create_for(struct cli *cli, const char *tenant, struct error *error) {
    const char *scopes = NULL, *path = options_value(&cli->options, "output");
    const char *given = tenant ? options_value(&cli->options, "certificate") : NULL;
    char certificate[CERTIFICATE_FINGERPRINT_SIZE];
    int64_t expires = 0;
    struct connection *connection = NULL;
    struct fresh *fresh = NULL;
    json_t *row = NULL;
    bool file_made = false;
    enum status status = options_required(&cli->options, "scopes", &scopes, error);
    if (status == STATUS_OK)
        status = read_expiry(&cli->options, &expires, error);
    if (status == STATUS_OK && given)
        status = certificate_fingerprint(given, certificate, error);
    if (status == STATUS_OK)
        status = connection_open(cli, &connection, error);
    if (status != STATUS_OK)
        goto out;
    fresh = secret_alloc(sizeof *fresh, error);
    if (!fresh) {
        status = STATUS_UNAVAILABLE;
        goto out;
    }
    apikey_generate(&fresh->key, fresh->text);
    /* The file first: a key that is stored and was never seen would be of no use to anyone. */
    if (path) {
        status = write_key_file(path, fresh, error);
        file_made = status == STATUS_OK;
    }
    if (status == STATUS_OK)
        status = connection_call(
            connection,
            make_request(cli, fresh, tenant, scopes, expires, given ? certificate : NULL), &row,
            error);
    if (status == STATUS_OK)
        status = give_out(cli, fresh, row, error);
    else if (file_made)
        unlink(path);
out:
    json_decref(row);
    secret_free(fresh);
    connection_close(connection);
    return status;
}

static enum status create(struct cli *cli, struct error *error) {
    const char *tenant = NULL;
    enum status status = options_required(&cli->options, "tenant", &tenant, error);
    return status == STATUS_OK ? create_for(cli, tenant, error) : status;
}

static enum status create_operator(struct cli *cli, struct error *error) {
    return create_for(cli, NULL, error);
}

static enum status list_operators(struct cli *cli, struct error *error) {
    json_t *result = NULL;
    enum status status =
        connection_once(cli, json_pack("{s:s}", "command", "operator.list"), &result, error);
    if (status == STATUS_OK)
        status =
            output_table(cli, result, "keys", operator_fields, OPERATOR_FIELDS, "no keys", error);
    json_decref(result);
    return status;
}

static enum status list(struct cli *cli, struct error *error) {
    json_t *result = NULL;
    enum status status = connection_once(cli,
                                         json_pack("{s:s,s:s*}", "command", "key.list", "tenant",
                                                   options_value(&cli->options, "tenant")),
                                         &result, error);
    if (status == STATUS_OK)
        status = output_table(cli, result, "keys", fields, FIELDS, "no keys", error);
    json_decref(result);
    return status;
}

static enum status revoke_with(struct cli *cli, const char *command, struct error *error) {
    const char *id = cli->options.positional[0];
    json_t *result = NULL;
    if (!apikey_id_valid(id, strlen(id)))
        return status_fail(error, STATUS_INVALID,
                           "that is not a key id: it has %d letters and digits, and is the part of "
                           "a key after \"sr_\"",
                           APIKEY_ID_LENGTH);
    enum status status =
        connection_once(cli, json_pack("{s:s,s:s}", "command", command, "id", id), &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, fields, FIELDS, error);
    json_decref(result);
    return status;
}

static enum status revoke_key(struct cli *cli, struct error *error) {
    return revoke_with(cli, "key.revoke", error);
}

static enum status revoke_operator(struct cli *cli, struct error *error) {
    return revoke_with(cli, "operator.revoke", error);
}

static const struct options_row create_operator_rows[] = {
    {"scopes", 's', "OPERATOR-SCOPES",
     "what it may do, separated by commas: metrics, tenants:read, tenants:write, keys:write, "
     "models:write, audit:read, "
     "policies:write, operators:write; required",
     false},
    {"expires", 0, "TIME", "from now: 30d, 12h, 90m; without it the key does not expire", false},
    {"label", 0, "TEXT", "a name for people", false},
    {"key-only", 0, NULL, "print the key and nothing else", false},
    {"output", 'o', "FILE", "write the key to a new file of mode 0600, and do not show it", false},
};

static const struct options_row create_rows[] = {
    {"tenant", 't', "NAME", "whose key; required", false},
    {"scopes", 's', "SCOPES",
     "what it may do, separated by commas: models:read, models:write, infer, audit:read, "
     "usage:read, keys:write; "
     "required",
     false},
    {"expires", 0, "TIME", "from now: 30d, 12h, 90m; without it the key does not expire", false},
    {"label", 0, "TEXT", "a name for people", false},
    {"certificate", 0, "FILE",
     "works only with this client certificate: a PEM file, or its SHA-256 in hexadecimal", false},
    {"key-only", 0, NULL, "print the key and nothing else", false},
    {"output", 'o', "FILE", "write the key to a new file of mode 0600, and do not show it", false},
};

static const struct options_row list_rows[] = {
    {"tenant", 't', "NAME", "only this tenant's", false},
};

const struct cli_command key_commands[COMMANDS_KEY] = {
    {.name = "key create",
     .positional = "",
     .rows = create_rows,
     .row_count = sizeof create_rows / sizeof create_rows[0],
     .summary = "make an API key; it is shown once and stored never",
     .example = "key create --tenant acme --scopes models:read,infer --expires 90d -o acme.key",
     .run = create},
    {.name = "key list",
     .positional = "",
     .rows = list_rows,
     .row_count = 1,
     .summary = "keys by id, revoked and expired ones too",
     .run = list},
    {.name = "key revoke",
     .positional = "ID",
     .least = 1,
     .most = 1,
     .summary = "refuse a key from the next request on",
     .help =
         "ID is the part of the key after \"sr_\", and what `strongroom key list` shows. It\n"
         "does not ask first: a key that has leaked is to stop at once, and another is made\n"
         "with `strongroom key create`. Keys that it made go on: `strongroom key list` names the\n"
         "maker of each; revoke those too.",
     .example = "key revoke mq2kz6tw7q4a",
     .run = revoke_key},
};

const struct cli_command operator_commands[COMMANDS_OPERATOR] = {
    {.name = "operator-key create",
     .positional = "",
     .rows = create_operator_rows,
     .row_count = sizeof create_operator_rows / sizeof create_operator_rows[0],
     .summary = "make a key for an operator who is not root; shown once, stored never",
     .help = "With STRONGROOM_OPERATOR_KEY naming a file with the key, its scopes allow commands\n"
             "over the admin socket (STRONGROOM_SOCKET, or the folder's) and, for metrics, GET\n"
             "/metrics over HTTPS.",
     .run = create_operator},
    {.name = "operator-key list",
     .positional = "",
     .summary = "operators' keys by id, revoked and expired ones too",
     .run = list_operators},
    {.name = "operator-key revoke",
     .positional = "ID",
     .least = 1,
     .most = 1,
     .summary = "refuse an operator's key from the next command on",
     .run = revoke_operator},
};
