#include "admin/doctor.h"

#include <stdarg.h>
#include <stdio.h>

#include "admin/commands.h"
#include "admin/connection.h"
#include "admin/folder.h"
#include "admin/output.h"

void doctor_say(struct doctor *doctor, const char *check, enum doctor_verdict verdict,
                const char *format, ...) {
    static const char *const names[] = {"ok", "weak", "bad"};
    char reason[512];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    json_array_append_new(doctor->lines, json_pack("{s:s,s:s,s:s}", "check", check, "verdict",
                                                   names[verdict], "reason", reason));
    doctor->counts[verdict]++;
}

static enum status doctor(struct cli *cli, struct error *error) {
    static const struct output_field fields[] = {
        {"verdict", "verdict", OUTPUT_STATE},
        {"check", "check", OUTPUT_TEXT},
        {"reason", "reason", OUTPUT_PROSE},
    };
    struct doctor doctor = {.lines = json_array()};
    struct config config;
    struct error reason, unconnected;
    struct connection *connection = NULL;
    if (!doctor.lines)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    bool configured = folder_config(cli, &config, &reason) == STATUS_OK;
    if (configured && connection_open(cli, &connection, &unconnected) != STATUS_OK)
        connection = NULL;
    doctor_machine(&doctor, configured && config.worker.allow_unlocked_memory,
                   connection ? connection_server_pid(connection) : 0);
    if (configured) {
        doctor_folder(&doctor, &config);
        doctor_store(&doctor, connection, &unconnected);
    } else {
        doctor_say(&doctor, "configuration", DOCTOR_BAD, "%s", reason.message);
    }
    connection_close(connection);
    json_t *result =
        json_pack("{s:O,s:i,s:i,s:i}", "checks", doctor.lines, "ok", doctor.counts[DOCTOR_OK],
                  "weak", doctor.counts[DOCTOR_WEAK], "bad", doctor.counts[DOCTOR_BAD]);
    json_decref(doctor.lines);
    if (!result)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = output_table(cli, result, "checks", fields,
                                      sizeof fields / sizeof fields[0], "nothing", error);
    json_decref(result);
    if (status == STATUS_OK && doctor.counts[DOCTOR_BAD])
        status =
            status_fail(error, STATUS_UNAVAILABLE, "%u of the checks %s bad",
                        doctor.counts[DOCTOR_BAD], doctor.counts[DOCTOR_BAD] == 1 ? "is" : "are");
    return status;
}

const struct cli_command doctor_command = {
    .name = "doctor",
    .positional = "",
    .summary = "what this machine and this folder offer, and what is weaker than it could be",
    .help = "Each line is ok, weak (it works and protects less; the reason says what) or bad. The\n"
            "exit status is 8 where a line is bad.",
    .run = doctor,
};
