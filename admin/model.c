#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/output.h"

static const struct output_field fields[] = {
    {"tenant", "tenant", OUTPUT_TEXT},
    {"model", "name", OUTPUT_TEXT},
    {"version", "version", OUTPUT_TEXT},
    {"state", "state", OUTPUT_STATE},
    {"size", "payload_bytes", OUTPUT_BYTES},
    {"created", "created", OUTPUT_TIME},
    {"file", "id", OUTPUT_NUMBER},
    {"header", "header_bytes", OUTPUT_BYTES},
    {"commitment", "commitment", OUTPUT_TEXT},
};
#define FIELDS (sizeof fields / sizeof fields[0])
#define COLUMNS 7

static enum status list(struct cli *cli, struct error *error) {
    json_t *result = NULL;
    enum status status = connection_once(cli,
                                         json_pack("{s:s,s:s*}", "command", "model.list", "tenant",
                                                   options_value(&cli->options, "tenant")),
                                         &result, error);
    if (status == STATUS_OK)
        status = output_table(cli, result, "models", fields, COLUMNS, "no models", error);
    json_decref(result);
    return status;
}

static enum status act(struct cli *cli, const char *command, const char *version,
                       struct error *error) {
    const char *tenant = NULL;
    json_t *result = NULL;
    enum status status = options_required(&cli->options, "tenant", &tenant, error);
    if (status != STATUS_OK)
        return status;
    status = connection_once(cli,
                             json_pack("{s:s,s:s,s:s,s:s*}", "command", command, "tenant", tenant,
                                       "model", cli->options.positional[0], "version", version),
                             &result, error);
    if (status == STATUS_OK)
        status = output_facts(cli, result, fields, FIELDS, error);
    json_decref(result);
    return status;
}

static enum status show(struct cli *cli, struct error *error) {
    return act(cli, "model.show", options_value(&cli->options, "version"), error);
}

static enum status remove_model(struct cli *cli, struct error *error) {
    const char *version = NULL;
    enum status status = options_required(&cli->options, "version", &version, error);
    return status == STATUS_OK ? act(cli, "model.remove", version, error) : status;
}

static const struct options_row rows[] = {
    {"tenant", 't', "NAME", "whose models; `show` and `remove` want it", false},
    {"version", 0, "VERSION", "which one; `show` takes the latest without it", false},
};

const struct cli_command model_commands[COMMANDS_MODEL] = {
    {.name = "model list",
     .positional = "",
     .rows = rows,
     .row_count = 1,
     .summary = "models and their states",
     .run = list},
    {.name = "model show",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .rows = rows,
     .row_count = 2,
     .summary = "one version of a model",
     .run = show},
    {.name = "model remove",
     .positional = "NAME",
     .least = 1,
     .most = 1,
     .rows = rows,
     .row_count = 2,
     .summary = "unload and delete one version of a model",
     .destroys = "this version of the model",
     .needs = {"tenant", "version"},
     .example = "model remove digits --tenant acme --version 1",
     .run = remove_model},
};
