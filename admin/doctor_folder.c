#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "admin/certificate.h"
#include "admin/connection.h"
#include "admin/doctor.h"

#define DAY 86400
/* Of the disk that the data folder is on. Below the one uploads are refused
 * (server/ledger/upload.c), below the other soon everything. */
#define SPACE_RESERVED ((uint64_t)64 << 20)
#define SPACE_NEEDED ((uint64_t)256 << 10)

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

/* Records need little; uploads leave 64 MiB or a sixteenth of the disk for them. */
static void check_space(struct doctor *doctor, const char *path) {
    struct statvfs disk;
    if (statvfs(path, &disk) != 0) {
        doctor_say(doctor, "disk space", DOCTOR_BAD, "%s: %s", path, strerror(errno));
        return;
    }
    const uint64_t all = (uint64_t)disk.f_blocks * disk.f_frsize;
    const uint64_t left = (uint64_t)disk.f_bavail * disk.f_frsize;
    const uint64_t reserve = all / 16 < SPACE_RESERVED ? all / 16 : SPACE_RESERVED;
    const enum doctor_verdict verdict = left < SPACE_NEEDED ? DOCTOR_BAD
                                        : left < reserve    ? DOCTOR_WEAK
                                                            : DOCTOR_OK;
    static const char *const consequences[] = {
        "", ": models cannot be uploaded", ": records cannot be written, and nothing is answered"};
    const bool little = left < (uint64_t)1 << 20;
    doctor_say(doctor, "disk space", verdict, "%" PRIu64 " %s of %" PRIu64 " MiB are free%s",
               left >> (little ? 10 : 20), little ? "KiB" : "MiB", all >> 20,
               consequences[verdict]);
}

void doctor_folder(struct doctor *doctor, const struct config *config) {
    doctor_say(doctor, "configuration", DOCTOR_OK, "understood; listens on %s%s", config->listen[0],
               config->listen_count > 1 ? " and more" : "");
    check_data_folder(doctor, config->data);
    check_space(doctor, config->data);
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
    if (facts && connection_is_server(connection))
        doctor_say(doctor, "audit log",
                   json_is_false(json_object_get(facts, "recording")) ? DOCTOR_BAD : DOCTOR_OK,
                   json_is_false(json_object_get(facts, "recording"))
                       ? "cannot be written: every request is answered 503 until it can be"
                       : "the running server writes it");
    json_decref(facts);
}
