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
    struct model_file *in;
    int out;
    uint64_t read, written;
};

static enum status read_plain(void *context, void *data, size_t size, size_t *got,
                              struct error *error) {
    struct pipe_ends *ends = context;
    enum status status = model_file_read(ends->in, data, size, got, error);
    if (status == STATUS_OK)
        ends->read += *got;
    progress_at(ends->read);
    return status;
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
static enum status seal_file(const struct cli *cli, struct model_file *in, const char *out,
                             bool replace, const struct fetch_target *target,
                             struct pipe_ends *ends, struct error *error) {
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
    *ends = (struct pipe_ends){.in = in, .out = -1};
    ends->out = open(partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (ends->out < 0) {
        status = status_fail(error, errno == EEXIST ? STATUS_CONFLICT : STATUS_UNAVAILABLE,
                             "%s: %s", partial, strerror(errno));
        goto out;
    }
    made = true;
    progress_start(cli, "sealing", model_file_size(in));
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
    if (ends->out >= 0)
        close(ends->out);
    free(partial);
    return status;
}

/* Opens the model, and finds out what belongs to it. The engine's memory is given back before
 * anything is sealed. */
static enum status open_model(const char *path, bool check, struct model_file **file,
                              struct error *error) {
    enum status status = model_file_open(path, file, error);
    if (status != STATUS_OK)
        return status;
    if (!check)
        return model_file_refer(*file, error);
    status = model_file_load(*file, 1, error);
    model_file_unload(*file);
    if (status == STATUS_INVALID || status == STATUS_UNSERVABLE)
        status_prefix(error, "the server would refuse this model (--no-check seals it anyway): ");
    return status;
}

static void add_name(void *context, const char *name) {
    json_array_append_new(context, json_string(name));
}

/* Which files of a folder are in the bundle, and which are not. */
static enum status add_files(const struct model_file *file, json_t *facts, struct error *error) {
    json_t *members = json_array(), *left_out = json_array();
    const char *name;
    uint64_t size;
    for (size_t i = 0; (name = model_file_member(file, i, &size)); i++)
        json_array_append_new(members,
                              json_pack("{s:s,s:I}", "name", name, "bytes", (json_int_t)size));
    enum status status = model_file_left_out(file, add_name, left_out, error);
    json_object_set_new(facts, "files", members);
    json_object_set_new(facts, "left_out", left_out);
    return status;
}

/* Names of the disk: control characters are not for a terminal. */
static void print_name(const char *title, const char *name) {
    printf("%s  ", title);
    for (; *name; name++)
        putchar((unsigned char)*name < 0x20 || *name == 0x7f ? '?' : *name);
    putchar('\n');
}

static void print_files(const json_t *facts) {
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(facts, "files"), i, row)
        print_name(i ? "     " : "files", json_string_value(json_object_get(row, "name")));
    json_array_foreach(json_object_get(facts, "left_out"), i, row)
        print_name(i ? "        " : "left out", json_string_value(row));
}

static enum status tell(struct cli *cli, const char *out, const struct model_file *file,
                        const struct fetch_target *target, const struct pipe_ends *ends,
                        struct error *error) {
    static const struct output_field fields[] = {
        {"sealed", "file", OUTPUT_TEXT},
        {"size", "sealed_bytes", OUTPUT_BYTES},
        {"recipient", "recipient", OUTPUT_TEXT},
        {"tenant", "tenant", OUTPUT_TEXT},
        {"uid", "uid", OUTPUT_TEXT},
    };
    enum status status = STATUS_OK;
    json_t *facts =
        json_pack("{s:s,s:s,s:I,s:I}", "file", out, "recipient", target->recipient, "plain_bytes",
                  (json_int_t)ends->read, "sealed_bytes", (json_int_t)ends->written);
    if (!facts)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (target->name[0]) {
        json_object_set_new(facts, "tenant", json_string(target->name));
        json_object_set_new(facts, "uid", json_string(target->uid));
    }
    if (model_file_is_folder(file))
        status = add_files(file, facts, error);
    if (status == STATUS_OK)
        status = output_facts(cli, facts, fields, sizeof fields / sizeof fields[0], error);
    if (status == STATUS_OK && !cli->json) {
        print_files(facts);
        status = output_done(error);
    }
    json_decref(facts);
    return status;
}

static enum status seal(struct cli *cli, struct error *error) {
    const char *in = cli->options.positional[0];
    const char *out = options_value(&cli->options, "output");
    bool replace = options_flag(&cli->options, "force");
    struct fetch_target target = {0};
    struct model_file *file = NULL;
    struct pipe_ends ends;
    char *own_name = NULL;
    size_t length = strlen(in);
    while (length > 1 && in[length - 1] == '/')
        length--;
    if (!out) {
        if (asprintf(&own_name, "%.*s.age", (int)length, in) < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        out = own_name;
    }
    enum status status =
        !replace && access(out, F_OK) == 0
            ? status_fail(error, STATUS_CONFLICT, "%s exists: --force replaces it", out)
            : STATUS_OK;
    if (status == STATUS_OK)
        status = open_model(in, !options_flag(&cli->options, "no-check"), &file, error);
    if (status == STATUS_OK)
        status = find_target(&cli->options, &target, error);
    if (status == STATUS_OK)
        status = seal_file(cli, file, out, replace, &target, &ends, error);
    if (status == STATUS_OK)
        status = tell(cli, out, file, &target, &ends, error);
    model_file_close(file);
    free(own_name);
    return status;
}

static const struct options_row rows[] = {
    {"output", 'o', "FILE", "the sealed file (default: the name with .age behind it)", false},
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
    .positional = "FILE|DIR",
    .least = 1,
    .most = 1,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "encrypt a model to a tenant's recipient",
    .help =
        "A model is an ONNX file, a bundle (.tar), or a folder with model.onnx: then the bundle "
        "is\n"
        "made of it, its data files, manifest.yaml and the labels that this one names, and of\n"
        "nothing else. The result is an ordinary age file. A recipient from a server is used only "
        "where its\n"
        "note is signed by --verifier and is for --tenant. Have both out of band. A uid is the\n"
        "surer: a name can come back for another tenant, a uid never does.",
    .run = seal,
};
