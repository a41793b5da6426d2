#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/commands.h"
#include "admin/https.h"
#include "admin/key_file.h"
#include "admin/output.h"
#include "admin/progress.h"
#include "base/name.h"
#include "crypto/age_header.h"
#include "crypto/secret.h"

static uint64_t whole; /* bytes of the file under way, for the word that follows the last one */

static void show_sent(uint64_t sent) {
    progress_at(sent);
    if (sent == whole)
        progress_wait("sent; the server opens the model");
}

/* A model that was never sealed must not leave this machine, so what is no age file is not sent. */
static enum status check_sealed(int fd, const char *path, uint64_t *size, struct error *error) {
    struct stat s;
    size_t length = 0;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode))
        return status_fail(error, STATUS_INVALID, "%s: expected a regular file", path);
    uint8_t *head = malloc(AGE_HEADER_MAX);
    if (!head)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    ssize_t n = pread(fd, head, AGE_HEADER_MAX, 0);
    enum status status =
        n < 0 ? status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno))
              : age_header_length(head, (size_t)n, &length, error);
    free(head);
    if (status == STATUS_INVALID || status == STATUS_TOO_LARGE ||
        (status == STATUS_OK && length == 0))
        return status_fail(error, STATUS_INVALID,
                           "%s: found no age file, and only sealed models are sent: "
                           "`strongroom seal` makes one",
                           path);
    if (status == STATUS_OK)
        *size = (uint64_t)s.st_size;
    return status;
}

static enum status read_name(const struct options *options, const char *option, const char **name,
                             struct error *error) {
    enum status status = options_required(options, option, name, error);
    if (status == STATUS_OK && !name_valid(*name, strlen(*name)))
        status = status_fail(error, STATUS_INVALID,
                             "--%s: found \"%.80s\", expected a letter or digit, then up to %d "
                             "letters, digits, \".\", \"_\" or \"-\"",
                             option, *name, NAME_MAX_LENGTH - 1);
    return status;
}

static enum status report(const struct cli *cli, const char *model, const char *version,
                          uint64_t size, struct error *error) {
    static const struct output_field fields[] = {
        {"model", "model", OUTPUT_TEXT},
        {"version", "version", OUTPUT_TEXT},
        {"state", "state", OUTPUT_STATE},
        {"sent", "sealed_bytes", OUTPUT_BYTES},
    };
    json_t *facts = json_pack("{s:s,s:s,s:s,s:I}", "model", model, "version", version, "state",
                              "ready", "sealed_bytes", (json_int_t)size);
    if (!facts)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = output_facts(cli, facts, fields, sizeof fields / sizeof fields[0], error);
    json_decref(facts);
    return status;
}

static enum status upload(struct cli *cli, struct error *error) {
    const struct options *options = &cli->options;
    const char *file = options->positional[0], *model = NULL, *version = NULL;
    struct https_request request = {
        .cacert = options_value(options, "cacert"), .body = -1, .sent = show_sent};
    char path[2 * NAME_MAX_LENGTH + 64], *key = NULL;
    struct https_answer *answer = malloc(sizeof *answer);
    enum status status = answer ? read_name(options, "model", &model, error)
                                : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK)
        status = read_name(options, "version", &version, error);
    if (status == STATUS_OK)
        status = options_required(options, "server", &request.server, error);
    if (status != STATUS_OK)
        goto out;
    snprintf(path, sizeof path, "/v2/repository/models/%s/versions/%s", model, version);
    request.path = path;
    request.body = open(file, O_RDONLY | O_CLOEXEC);
    if (request.body < 0) {
        status = status_fail(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_UNAVAILABLE,
                             "%s: %s", file, strerror(errno));
        goto out;
    }
    status = check_sealed(request.body, file, &request.body_size, error);
    if (status == STATUS_OK)
        status = key_file_read(options, &key, error);
    if (status != STATUS_OK)
        goto out;
    request.key = key;
    whole = request.body_size;
    progress_start(cli, "uploading", whole);
    status = https_call(&request, answer, error);
    progress_end();
    if (status == STATUS_OK)
        status = report(cli, model, version, request.body_size, error);
out:
    if (request.body >= 0)
        close(request.body);
    secret_free(key);
    free(answer);
    return status;
}

static const struct options_row rows[] = {
    {"model", 'm', "NAME", "the name that it shall have on the server; required", false},
    {"version", 0, "VERSION", "and the version; one that exists is never replaced; required",
     false},
    {"server", 0, "URL", "https://HOST:PORT; required", false},
    {"key-file", 0, "FILE", "API key with models:write (or set $STRONGROOM_KEY)", false},
    {"cacert", 0, "FILE", "trust this certificate instead of the system's authorities", false},
};

const struct cli_command upload_command = {
    .name = "upload",
    .positional = "FILE.age",
    .least = 1,
    .most = 1,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "send a sealed model to a server, which opens it once and serves it",
    .help = "The server is asked first, so that a file it does not want is not sent. It answers\n"
            "once the tenant's worker has opened the whole model: the command ends well where the\n"
            "model is ready, and with the server's reason where it is refused.",
    .example = "upload digits.age --model digits --version 1 --server https://host:8443 "
               "--key-file acme.key --cacert cert.pem",
    .run = upload,
};
