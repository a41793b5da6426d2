#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "admin/certificate.h"
#include "admin/commands.h"
#include "admin/files.h"
#include "admin/output.h"
#include "base/config.h"
#include "base/config_settings.h"
#include "crypto/age.h"
#include "crypto/encoding.h"
#include "crypto/note.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "store/store.h"

#define CERTIFICATE_DAYS 825

static const char configuration[] =
    "# The configuration of a Strongroom server. What is left out has its default; an unknown\n"
    "# setting is an error. Relative paths are relative to the folder of this file.\n"
    "\n"
    "# Addresses to listen on: a number and a port, [::1]:8443 for IPv6.\n"
    "listen:\n"
    "  - \"%s\"\n"
    "\n"
    "# Folder of the store and of sealed models.\n"
    "data: .\n"
    "\n"
    "tls:\n"
    "  certificate: tls/cert.pem\n"
    "  key: tls/key.pem\n"
    "  # also: client_ca, minimum_version (`strongroomd --settings`)\n"
    "\n"
    "# The age identity that everything is sealed to. Keep a copy where nobody else finds it.\n"
    "root:\n"
    "  identity: keys/root.txt\n"
    "\n"
    "# The key that signs recipients and checkpoints, sealed to the root.\n"
    "signing:\n"
    "  key: keys/signing.age\n"
    "\n"
    "%s";

static const char unlocked[] =
    "# Weights may stand in memory that can be swapped: `strongroom doctor` shows it.\n"
    "worker:\n"
    "  allow_unlocked_memory: true\n"
    "\n";

/* Settings that the text above has, or that a comment in the file is not the place for. */
static const char *const written[] = {
    "listen",      "data",          "tls.certificate",     "tls.key", "root.identity",
    "signing.key", "tls.client_ca", "tls.minimum_version", NULL};

/* What init makes beside files. */
struct made {
    struct store_meta meta;
    char name[NOTE_NAME_SIZE]; /* of the signing key */
};

static enum status empty_or_absent(const char *dir, struct error *error) {
    DIR *folder = opendir(dir);
    if (!folder)
        return errno == ENOENT ? files_make_folder(dir, false, error)
                               : status_fail(error, STATUS_INVALID, "%s: %s", dir, strerror(errno));
    bool empty = true;
    for (struct dirent *entry; (entry = readdir(folder));)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            empty = false;
    closedir(folder);
    if (!empty)
        return status_fail(error, STATUS_CONFLICT,
                           "%s is not empty: init makes a new folder and changes none", dir);
    if (chmod(dir, 0700) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "%s: %s", dir, strerror(errno));
    return STATUS_OK;
}

static int remove_entry(const char *path, const struct stat *s, int type, struct FTW *ftw) {
    (void)s, (void)type;
    return ftw->level == 0 ? 0 : remove(path);
}

/* The root identity into its file, its recipient into meta. The identity is `root`'s, in secret
 * memory. */
static enum status make_root(const struct age_identity *root, struct store_meta *meta,
                             struct error *error) {
    enum { FILE_MAX = 1024 };
    char *text = secret_alloc(FILE_MAX, error);
    if (!text)
        return STATUS_UNAVAILABLE;
    struct buf out = buf_of(text, FILE_MAX);
    age_keyfile_write(&out, root, NULL, NULL);
    enum status status = out.failed
                             ? status_fail(error, STATUS_INTERNAL, "the root identity does not fit")
                             : files_write_new("keys/root.txt", text, out.size, 0600, error);
    if (status == STATUS_OK)
        age_x25519_recipient_format(&root->recipient, meta->recipient);
    secret_free(text);
    return status;
}

static enum status make_signer(const struct age_identity *root, struct made *made,
                               struct error *error) {
    uint8_t sealed[2048];
    size_t size = 0;
    struct note_signer *signer = secret_alloc(sizeof *signer, error);
    char *text = signer ? secret_alloc(NOTE_SIGNER_KEY_SIZE + 1, error) : NULL;
    enum status status = text ? note_generate(made->name, signer, error) : STATUS_UNAVAILABLE;
    if (status != STATUS_OK)
        goto out;
    struct buf out = buf_of(text, NOTE_SIGNER_KEY_SIZE + 1);
    struct buf verifier = buf_of(made->meta.verifier, sizeof made->meta.verifier - 1);
    note_signer_format(signer, &out);
    buf_u8(&out, '\n');
    note_verifier_format(&signer->verifier, &verifier);
    if (out.failed || verifier.failed) {
        status = status_fail(error, STATUS_INTERNAL, "the signing key does not fit");
        goto out;
    }
    const struct age_to to = {.recipients = &root->recipient, .count = 1};
    status = age_encrypt_bytes(&to, text, out.size, sealed, sizeof sealed, &size, error);
    if (status == STATUS_OK)
        status = files_write_new("keys/signing.age", sealed, size, 0600, error);
    buf_u8(&verifier, '\n'); /* the file ends its line; the text in meta does not */
    if (status == STATUS_OK)
        status = files_write_new("keys/verifier.txt", verifier.data, verifier.size, 0644, error);
    made->meta.verifier[verifier.size - 1] = '\0';
out:
    secret_free(text);
    secret_free(signer);
    return status;
}

static enum status make_configuration(const char *listen, bool allow_unlocked,
                                      struct error *error) {
    char text[8192];
    struct config checked;
    struct buf out = buf_of(text, sizeof text);
    buf_printf(&out, configuration, listen, allow_unlocked ? unlocked : "");
    buf_string(&out, "# What else there is, with the defaults:\n");
    config_settings_yaml(written, &out);
    if (out.failed)
        return status_fail(error, STATUS_INVALID, "--listen: the address is too long");
    enum status status = config_parse(text, out.size, "/", &checked, error);
    return status == STATUS_OK ? files_write_new("strongroom.yaml", text, out.size, 0600, error)
                               : status;
}

/* In the folder already, so that paths are short and the names below are all there is. */
static enum status make_all(const struct cli *cli, struct made *made, struct error *error) {
    const char *listen = options_value(&cli->options, "listen");
    bool allow_unlocked = options_flag(&cli->options, "allow-unlocked-memory");
    const struct secret_options memory = {.allow_unlocked = allow_unlocked};
    uint8_t random[STORE_UID_LENGTH / 2];
    secret_configure(&memory);
    random_bytes(random, sizeof random);
    encoding_hex(random, sizeof random, made->meta.uid);
    made->meta.created = (int64_t)time(NULL) * 1000000;
    snprintf(made->name, sizeof made->name, "strongroom/%s", made->meta.uid);

    struct age_identity *root = age_x25519_generate(error);
    enum status status = root ? files_make_folder("keys", false, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_OK)
        status = files_make_folder("tls", false, error);
    if (status == STATUS_OK)
        status = files_make_folder("models", false, error);
    if (status == STATUS_OK)
        status = make_configuration(listen ? listen : "127.0.0.1:8443", allow_unlocked, error);
    if (status == STATUS_OK)
        status = make_root(root, &made->meta, error);
    if (status == STATUS_OK)
        status = make_signer(root, made, error);
    if (status == STATUS_OK)
        status = certificate_make("tls/cert.pem", "tls/key.pem", CERTIFICATE_DAYS, error);
    if (status == STATUS_OK)
        status = store_create(".", &made->meta, error);
    secret_free(root);
    return status;
}

static enum status report(const struct cli *cli, const char *dir, const struct made *made,
                          struct error *error) {
    static const struct output_field fields[] = {
        {"folder", "folder", OUTPUT_TEXT},
        {"root recipient", "root_recipient", OUTPUT_TEXT},
        {"verifier key", "verifier", OUTPUT_TEXT},
    };
    json_t *facts =
        json_pack("{s:s,s:s,s:s,s:s}", "folder", dir, "root_recipient", made->meta.recipient,
                  "verifier", made->meta.verifier, "store", made->meta.uid);
    if (!facts)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = output_facts(cli, facts, fields, sizeof fields / sizeof fields[0], error);
    json_decref(facts);
    if (status != STATUS_OK || cli->json)
        return status;
    printf(
        "\n"
        "Keep:\n"
        "  keys/root.txt    opens every model and the signing key. Without it nothing can be\n"
        "                   opened again: copy it to a safe place off this machine.\n"
        "  the verifier key (keys/verifier.txt) tenants check with it that a recipient is really\n"
        "                   this server's (`strongroom seal --verifier`): hand it to them out\n"
        "                   of band.\n"
        "The TLS certificate is self-signed and ends in %d days: tls/cert.pem is what clients\n"
        "trust until you put in one of your own.\n",
        CERTIFICATE_DAYS);
    return output_done(error);
}

static enum status init(struct cli *cli, struct error *error) {
    const char *dir = cli->options.positional_count ? cli->options.positional[0] : cli->data;
    struct made made = {0};
    umask(077);
    enum status status = empty_or_absent(dir, error);
    if (status != STATUS_OK)
        return status;
    int before = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (before < 0 || chdir(dir) != 0) {
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", dir, strerror(errno));
    } else {
        status = make_all(cli, &made, error);
        /* It was empty when this began: what is in it now is ours, and half of it is of no use. */
        if (status != STATUS_OK)
            nftw(".", remove_entry, 8, FTW_DEPTH | FTW_PHYS);
        if (fchdir(before) != 0 && status == STATUS_OK)
            status = status_fail(error, STATUS_INTERNAL, "cannot go back: %s", strerror(errno));
    }
    if (before >= 0)
        close(before);
    return status == STATUS_OK ? report(cli, dir, &made, error) : status;
}

static const struct options_row rows[] = {
    {"listen", 0, "ADDRESS:PORT", "where the server will listen (default 127.0.0.1:8443)", false},
    {"allow-unlocked-memory", 0, NULL,
     "write into the configuration that weights may stand in memory that can be swapped", false},
};

const struct cli_command init_command = {
    .name = "init",
    .positional = "[DIR]",
    .most = 1,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "make the folder of a new server: keys, certificate, store, configuration",
    .run = init,
};
