#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/output.h"
#include "tenancy/command.h"

static const struct output_field fields[] = {
    {"seq", "record.seq", OUTPUT_NUMBER},       {"time", "record.time", OUTPUT_TIME},
    {"tenant", "record.tenant", OUTPUT_TEXT},   {"key", "record.key", OUTPUT_TEXT},
    {"action", "record.action", OUTPUT_TEXT},   {"target", "record.target", OUTPUT_TEXT},
    {"outcome", "record.outcome", OUTPUT_TEXT}, {"units", "record.units", OUTPUT_NUMBER},
    {"client", "record.client", OUTPUT_TEXT},
};

static enum status list(struct cli *cli, struct error *error) {
    long long limit = 0, before = 0;
    json_t *result = NULL;
    enum status status =
        options_number(&cli->options, "limit", 1, TENANCY_AUDIT_LIMIT_MAX, 50, &limit, error);
    if (status == STATUS_OK)
        status = options_number(&cli->options, "before", 0, AUDIT_RECORD_INTEGER_MAX,
                                AUDIT_RECORD_INTEGER_MAX, &before, error);
    if (status != STATUS_OK)
        return status;
    status = connection_once(cli,
                             json_pack("{s:s,s:s*,s:I,s:I}", "command", "audit.list", "tenant",
                                       options_value(&cli->options, "tenant"), "limit",
                                       (json_int_t)limit, "before", (json_int_t)before),
                             &result, error);
    if (status == STATUS_OK)
        status = output_table(cli, result, "records", fields, sizeof fields / sizeof fields[0],
                              "no records", error);
    json_decref(result);
    return status;
}

static const struct options_row rows[] = {
    {"tenant", 't', "NAME", "only records of this tenant", false},
    {"limit", 'n', "NUMBER", "how many, at most 1000 (default 50)", false},
    {"before", 0, "SEQ", "only records older than this one", false},
};

const struct cli_command audit_command = {
    .name = "audit list",
    .positional = "",
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "records of the audit log, newest first",
    .help = "A record names its tenant by uid (`tenant list` shows them): a name can come back,\n"
            "a uid never does. --json gives the records whole, each with its leaf hash.",
    .run = list,
};
