#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/certificate.h"
#include "admin/connection.h"
#include "admin/doctor.h"

#define DAY 86400

/* A file that only its owner may touch. */
static void check_secret_file(struct doctor *doctor, const char *check, const char *path) {
    struct stat s;
    if (stat(path, &s) != 0)
        doctor_say(doctor, check, DOCTOR_BAD, "%s: %s", path, strerror(errno));
    else if (!S_ISREG(s.st_mode))
        doctor_say(doctor, check, DOCTOR_BAD, "%s is not a file", path);
    else if (s.st_mode & 077)
        doctor_say(doctor, check, DOCTOR_BAD, "%s has mode %04o: others may use it; chmod 600",
                   path, (unsigned)s.st_mode & 07777);
    else if (access(path, R_OK) != 0)
        doctor_say(doctor, check, DOCTOR_BAD, "%s belongs to another user (uid %u)", path,
                   (unsigned)s.st_uid);
    else
        doctor_say(doctor, check, DOCTOR_OK, "mode %04o, for its owner alone",
                   (unsigned)s.st_mode & 07777);
}

static void check_data_folder(struct doctor *doctor, const char *path) {
    struct stat s;
    if (stat(path, &s) != 0 || !S_ISDIR(s.st_mode))
        doctor_say(doctor, "data folder", DOCTOR_BAD, "%s: no such folder", path);
    else if (s.st_mode & 022)
        doctor_say(doctor, "data folder", DOCTOR_BAD, "mode %04o: others may write it; chmod 700",
                   (unsigned)s.st_mode & 07777);
    else if (s.st_mode & 055)
        doctor_say(doctor, "data folder", DOCTOR_WEAK, "mode %04o: others may look in; chmod 700",
                   (unsigned)s.st_mode & 07777);
    else
        doctor_say(doctor, "data folder", DOCTOR_OK, "mode %04o, owner uid %u",
                   (unsigned)s.st_mode & 07777, (unsigned)s.st_uid);
}

static void check_certificate(struct doctor *doctor, const char *path) {
    int64_t seconds = 0;
    struct error error;
    if (certificate_remaining(path, &seconds, &error) != STATUS_OK)
        doctor_say(doctor, "TLS certificate", DOCTOR_BAD, "%s", error.message);
    else if (seconds <= 0)
        doctor_say(doctor, "TLS certificate", DOCTOR_BAD, "it ended %" PRId64 " days ago",
                   -seconds / DAY);
    else
        doctor_say(doctor, "TLS certificate", seconds < 30 * DAY ? DOCTOR_WEAK : DOCTOR_OK,
                   "ends in %" PRId64 " days", seconds / DAY);
}

void doctor_folder(struct doctor *doctor, const struct config *config) {
    doctor_say(doctor, "configuration", DOCTOR_OK, "understood; listens on %s%s", config->listen[0],
               config->listen_count > 1 ? " and more" : "");
    check_data_folder(doctor, config->data);
    check_secret_file(doctor, "root identity", config->root_identity);
    check_secret_file(doctor, "signing key", config->signing_key);
    check_secret_file(doctor, "TLS key", config->tls_key);
    check_certificate(doctor, config->tls_certificate);
}

void doctor_store(struct doctor *doctor, struct connection *connection, const struct error *why) {
    struct error error;
    json_t *facts = NULL;
    if (!connection) {
        doctor_say(doctor, "store", DOCTOR_BAD, "%s", why->message);
        return;
    }
    doctor_say(doctor, "server", DOCTOR_OK,
               connection_is_server(connection) ? "running, and answers" : "not running");
    if (connection_call(connection, json_pack("{s:s}", "command", "status"), &facts, &error) !=
        STATUS_OK)
        doctor_say(doctor, "store", DOCTOR_BAD, "%s", error.message);
    else
        doctor_say(doctor, "store", DOCTOR_OK,
                   "version %" JSON_INTEGER_FORMAT ": %" JSON_INTEGER_FORMAT
                   " tenants, %" JSON_INTEGER_FORMAT " keys, %" JSON_INTEGER_FORMAT
                   " models, %" JSON_INTEGER_FORMAT " audit records",
                   json_integer_value(json_object_get(facts, "store_version")),
                   json_integer_value(json_object_get(facts, "tenants")),
                   json_integer_value(json_object_get(facts, "keys")),
                   json_integer_value(json_object_get(facts, "models")),
                   json_integer_value(json_object_get(facts, "records")));
    json_decref(facts);
}
