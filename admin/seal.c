#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/commands.h"
#include "admin/fetch.h"
#include "admin/files.h"
#include "admin/key_file.h"
#include "admin/model_file.h"
#include "admin/output.h"
#include "admin/progress.h"
#include "base/name.h"
#include "crypto/age.h"
#include "crypto/secret.h"

struct pipe_ends {
    int in, out;
    uint64_t read, written;
};

static enum status read_plain(void *context, void *data, size_t size, size_t *got,
                              struct error *error) {
    struct pipe_ends *ends = context;
    size_t have = 0;
    while (have < size) {
        ssize_t n = read(ends->in, (uint8_t *)data + have, size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "the model cannot be read: %s",
                               strerror(errno));
        if (n == 0)
            break;
        have += (size_t)n;
    }
    ends->read += have;
    progress_at(ends->read);
    *got = have;
    return STATUS_OK;
}

static enum status write_sealed(void *context, const void *data, size_t size, struct error *error) {
    struct pipe_ends *ends = context;
    ends->written += size;
    return files_write_all(ends->out, data, size, error);
}

static enum status ask_server(const struct options *options, struct fetch_target *target,
                              struct error *error) {
    struct fetch_source source = {.url = options_value(options, "server"),
                                  .cacert = options_value(options, "cacert")};
    char *key = NULL;
    enum status status = options_required(options, "verifier", &source.verifier, error);
    if (status == STATUS_OK)
        status = options_required(options, "tenant", &source.tenant, error);
    if (status == STATUS_OK)
        status = key_file_read(options, &key, error);
    source.key = key;
    if (status == STATUS_OK)
        status = fetch_recipient(&source, target, error);
    secret_free(key);
    return status;
}

static enum status find_target(const struct options *options, struct fetch_target *target,
                               struct error *error) {
    const char *recipient = options_value(options, "recipient");
    struct age_recipient parsed;
    if (!recipient == !options_value(options, "server"))
        return status_fail(error, STATUS_INVALID,
                           "give either --recipient age1... or --server URL, not %s",
                           recipient ? "both" : "neither");
    if (!recipient)
        return ask_server(options, target, error);
    if (options_value(options, "tenant"))
        return status_fail(error, STATUS_INVALID,
                           "--tenant goes with --server: a --recipient does not say whose it is");
    enum status status = age_x25519_recipient_parse(recipient, strlen(recipient), &parsed, error);
    if (status == STATUS_OK)
        age_x25519_recipient_format(&parsed, target->recipient);
    return status;
}

/* Into FILE.partial, which becomes FILE once all of it is on the disk: a cut seal is never taken
 * for a whole one, and what is there is replaced only where that was asked for. */
static enum status seal_file(const struct cli *cli, const char *in, const char *out, bool replace,
                             const struct fetch_target *target, struct pipe_ends *ends,
                             struct error *error) {
    struct age_recipient recipient;
    const struct age_to to = {.recipients = &recipient, .count = 1};
    char *partial = NULL;
    bool made = false;
    enum status status =
        age_x25519_recipient_parse(target->recipient, strlen(target->recipient), &recipient, error);
    if (status != STATUS_OK)
        return status;
    if (asprintf(&partial, "%s.partial", out) < 0)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    *ends = (struct pipe_ends){.in = open(in, O_RDONLY | O_CLOEXEC), .out = -1};
    if (ends->in < 0) {
        status = status_fail(error, STATUS_NOT_FOUND, "%s: %s", in, strerror(errno));
        goto out;
    }
    ends->out = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (ends->out < 0) {
        status = status_fail(error, errno == EEXIST ? STATUS_CONFLICT : STATUS_UNAVAILABLE,
                             "%s: %s", partial, strerror(errno));
        goto out;
    }
    made = true;
    struct stat plain;
    progress_start(cli, "sealing", fstat(ends->in, &plain) == 0 ? (uint64_t)plain.st_size : 0);
    status = age_encrypt(&to, read_plain, ends, write_sealed, ends, error);
    progress_end();
    if (status == STATUS_OK && fsync(ends->out) != 0)
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", partial, strerror(errno));
    if (status == STATUS_OK && (replace ? rename(partial, out) : link(partial, out)) != 0)
        status = status_fail(error, errno == EEXIST ? STATUS_CONFLICT : STATUS_UNAVAILABLE,
                             "%s: %s", out, strerror(errno));
out:
    if (made)
        unlink(partial);
    if (ends->in >= 0)
        close(ends->in);
    if (ends->out >= 0)
        close(ends->out);
    free(partial);
    return status;
}

static enum status check_model(const char *path, struct error *error) {
    struct model_file *file = NULL;
    enum status status = model_file_open(path, 1, &file, error);
    model_file_close(file);
    if (status == STATUS_INVALID || status == STATUS_UNSERVABLE)
        status_prefix(error, "the server would refuse this model (--no-check seals it anyway): ");
    return status;
}

static enum status seal(struct cli *cli, struct error *error) {
    static const struct output_field fields[] = {
        {"sealed", "file", OUTPUT_TEXT},
        {"size", "sealed_bytes", OUTPUT_BYTES},
        {"recipient", "recipient", OUTPUT_TEXT},
        {"tenant", "tenant", OUTPUT_TEXT},
        {"uid", "uid", OUTPUT_TEXT},
    };
    const char *in = cli->options.positional[0];
    const char *out = options_value(&cli->options, "output");
    bool replace = options_flag(&cli->options, "force");
    struct fetch_target target = {0};
    struct pipe_ends ends;
    char *own_name = NULL;
    if (!out) {
        if (asprintf(&own_name, "%s.age", in) < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        out = own_name;
    }
    enum status status =
        !replace && access(out, F_OK) == 0
            ? status_fail(error, STATUS_CONFLICT, "%s exists: --force replaces it", out)
            : STATUS_OK;
    if (status == STATUS_OK && !options_flag(&cli->options, "no-check"))
        status = check_model(in, error);
    if (status == STATUS_OK)
        status = find_target(&cli->options, &target, error);
    if (status == STATUS_OK)
        status = seal_file(cli, in, out, replace, &target, &ends, error);
    if (status == STATUS_OK) {
        json_t *facts = json_pack("{s:s,s:s,s:I,s:I}", "file", out, "recipient", target.recipient,
                                  "plain_bytes", (json_int_t)ends.read, "sealed_bytes",
                                  (json_int_t)ends.written);
        if (facts && target.name[0]) {
            json_object_set_new(facts, "tenant", json_string(target.name));
            json_object_set_new(facts, "uid", json_string(target.uid));
        }
        status = facts ? output_facts(cli, facts, fields, sizeof fields / sizeof fields[0], error)
                       : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        json_decref(facts);
    }
    free(own_name);
    return status;
}

static const struct options_row rows[] = {
    {"output", 'o', "FILE", "the sealed file (default MODEL.age)", false},
    {"force", 'f', NULL, "replace the sealed file where it exists", false},
    {"recipient", 'r', "age1...", "seal to this recipient", false},
    {"server", 0, "URL", "ask this server for the recipient of the key's tenant", false},
    {"tenant", 't', "NAME|UID", "with --server: whose recipient it must be; the uid is surer",
     false},
    {"key-file", 0, "FILE", "API key with models:write (or set $STRONGROOM_KEY)", false},
    {"verifier", 0, "KEY", "the server's verifier key, had out of band (`strongroom init`)", false},
    {"cacert", 0, "FILE", "trust this certificate instead of the system's authorities", false},
    {"no-check", 0, NULL, "do not load the model with the engine first", false},
};

const struct cli_command seal_command = {
    .name = "seal",
    .positional = "MODEL.onnx",
    .least = 1,
    .most = 1,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "encrypt a model to a tenant's recipient",
    .help =
        "The result is an ordinary age file. A recipient from a server is used only where its\n"
        "note is signed by --verifier and is for --tenant. Have both out of band. A uid is the\n"
        "surer: a name can come back for another tenant, a uid never does.",
    .run = seal,
};
