#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/output.h"
#include "tenancy/command.h"

static const struct output_field fields[] = {
    {"seq", "record.seq", OUTPUT_NUMBER},        {"time", "record.time", OUTPUT_TIME},
    {"tenant", "record.tenant", OUTPUT_TEXT},    {"key", "record.key", OUTPUT_WHOLE},
    {"action", "record.action", OUTPUT_WHOLE},   {"target", "record.target", OUTPUT_TEXT},
    {"outcome", "record.outcome", OUTPUT_STATE}, {"units", "record.units", OUTPUT_NUMBER},
    {"client", "record.client", OUTPUT_TEXT},
};

/* For people: in place of the uid the name, where the tenant still exists. */
static enum status put_names(struct connection *connection, const json_t *records,
                             struct error *error) {
    json_t *listed = NULL, *names = json_object();
    const json_t *row;
    size_t i;
    enum status status =
        connection_call(connection, json_pack("{s:s}", "command", "tenant.list"), &listed, error);
    if (status != STATUS_OK)
        goto out;
    json_array_foreach(json_object_get(listed, "tenants"), i, row) {
        const char *uid = json_string_value(json_object_get(row, "uid"));
        if (uid)
            json_object_set(names, uid, json_object_get(row, "name"));
    }
    json_array_foreach(records, i, row) {
        json_t *record = json_object_get(row, "record");
        const char *uid = json_string_value(json_object_get(record, "tenant"));
        json_t *name = uid ? json_object_get(names, uid) : NULL;
        if (name)
            json_object_set(record, "tenant", name);
    }
out:
    json_decref(listed);
    json_decref(names);
    return status;
}

static enum status list(struct cli *cli, struct error *error) {
    long long limit = 0, before = 0;
    struct connection *connection = NULL;
    json_t *result = NULL;
    enum status status =
        options_number(&cli->options, "limit", 1, TENANCY_AUDIT_LIMIT_MAX, 50, &limit, error);
    if (status == STATUS_OK)
        status = options_number(&cli->options, "before", 0, AUDIT_RECORD_INTEGER_MAX,
                                AUDIT_RECORD_INTEGER_MAX, &before, error);
    if (status != STATUS_OK)
        return status;
    status = connection_open(cli, &connection, error);
    if (status == STATUS_OK)
        status = connection_call(connection,
                                 json_pack("{s:s,s:s*,s:I,s:I}", "command", "audit.list", "tenant",
                                           options_value(&cli->options, "tenant"), "limit",
                                           (json_int_t)limit, "before", (json_int_t)before),
                                 &result, error);
    if (status == STATUS_OK && !cli->json)
        status = put_names(connection, json_object_get(result, "records"), error);
    connection_close(connection);
    if (status == STATUS_OK)
        status = output_table(cli, result, "records", fields, sizeof fields / sizeof fields[0],
                              "no records", error);
    json_decref(result);
    return status;
}

static const struct options_row rows[] = {
    {"tenant", 't', "NAME|UID", "only records of this tenant; of a deleted one, by its uid", false},
    {"limit", 'n', "NUMBER", "how many, at most 1000 (default 50)", false},
    {"before", 0, "SEQ", "only records older than this one", false},
};

const struct cli_command audit_command = {
    .name = "audit list",
    .positional = "",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "records of the audit log, newest first",
    .help = "A record names its tenant by uid: a name can come back, a uid never does. The table\n"
            "shows the name where the tenant still exists; --json gives the records whole, each\n"
            "with its leaf hash.",
    .example = "audit list --tenant acme --limit 20",
    .run = list,
};

static const struct output_field rotated[] = {{"rotated", "rotated", OUTPUT_TIME}};

static enum status rotate(struct cli *cli, struct error *error) {
    struct connection *connection = NULL;
    json_t *result = NULL;
    enum status status = connection_open(cli, &connection, error);
    if (status == STATUS_OK)
        status = connection_call(connection, json_pack("{s:s}", "command", "client-key.rotate"),
                                 &result, error);
    connection_close(connection);
    if (status == STATUS_OK)
        status = output_facts(cli, result, rotated, 1, error);
    json_decref(result);
    return status;
}

const struct cli_command audit_key_command = {
    .name = "audit rotate-client-key",
    .positional = "",
    .summary = "hash clients' addresses under a new key from now on",
    .help =
        "Records stay as they are. The key that their hashes were made with is overwritten in the\n"
        "store, so nobody can try addresses against them any more, and an address has another\n"
        "hash from now on: what it did before and after cannot be told to be one client's. For\n"
        "root and the server's user; it is recorded as client-key.rotate.",
    .example = "audit rotate-client-key",
    .run = rotate,
};
