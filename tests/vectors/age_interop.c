/* Both directions against the `age` and `age-keygen` programs, with armor, with passphrases (over a
 * pseudo-terminal, since age asks there), with our identity files, and the way back that needs none
 * of our programs: `cat header payload | age -d -i identity`, before and after a rewrap. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "crypto/age.h"
#include "crypto/armor.h"
#include "crypto/crypto.h"
#include "crypto/random.h"
#include "crypto/secret.h"
#include "tests/vectors/vectors.h"

static const char *const passphrase = "correct horse battery staple";
static char folder[] = "/tmp/strongroom-age-XXXXXX";
static unsigned passed, failed;

static void check(bool ok, const char *what, size_t size) {
    if (ok)
        passed++;
    else
        failed++, fprintf(stderr, "FAIL %s (%zu bytes)\n", what, size);
}

static bool save(const char *name, const void *data, size_t size) {
    int fd = open(name, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    bool ok = fd >= 0 && write(fd, data, size) == (ssize_t)size;
    if (fd >= 0)
        close(fd);
    return ok;
}

static bool holds(const char *name, const void *data, size_t size) {
    size_t found;
    uint8_t *bytes = vectors_load(".", name, &found);
    bool same = bytes && found == size && !memcmp(bytes, data, size);
    free(bytes);
    return same;
}

static int wait_for(pid_t pid) {
    int status;
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* Run a program with files as its standard input and output; its exit status. */
static int run(const char *in, const char *out, char *const argv[]) {
    pid_t pid = fork();
    if (pid == 0) {
        int from = open(in, O_RDONLY), to = open(out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
        int quiet = open("/dev/null", O_WRONLY);
        if (dup2(from, 0) == 0 && dup2(to, 1) == 1 && dup2(quiet, 2) == 2)
            execvp(argv[0], argv);
        _exit(127);
    }
    return wait_for(pid);
}

/* Run a program on a terminal and answer each of its prompts with the passphrase. */
static int run_on_terminal(unsigned prompts, char *const argv[]) {
    int terminal;
    pid_t pid = forkpty(&terminal, NULL, NULL, NULL);
    if (pid == 0) {
        execvp(argv[0], argv);
        _exit(127);
    }
    char text[256];
    struct pollfd ready = {.fd = terminal, .events = POLLIN};
    while (poll(&ready, 1, 60000) == 1) {
        ssize_t n = read(terminal, text, sizeof text - 1);
        if (n <= 0)
            break;
        text[n] = '\0';
        if (strstr(text, ": ") && prompts > 0) {
            prompts--;
            dprintf(terminal, "%s\n", passphrase);
        }
    }
    close(terminal);
    return prompts == 0 ? wait_for(pid) : (wait_for(pid), -1);
}

static uint8_t *seal(const struct age_to *to, const uint8_t *plain, size_t size, size_t *sealed) {
    size_t capacity = AGE_HEADER_MAX + stream_sealed_size(size);
    uint8_t *file = malloc(capacity);
    struct error error;
    if (age_encrypt_bytes(to, plain, size, file, capacity, sealed, &error) != STATUS_OK) {
        fprintf(stderr, "sealing: %s\n", error.message);
        exit(1);
    }
    return file;
}

static bool opens(const char *name, const struct age_keys *keys, const uint8_t *plain,
                  size_t size) {
    size_t file_size = 0, got = 0;
    uint8_t *file = vectors_load(".", name, &file_size), *out = malloc(size + 1);
    struct error error;
    bool ok = file &&
              age_decrypt_bytes(keys, file, file_size, out, size, &got, &error) == STATUS_OK &&
              got == size && !memcmp(out, plain, size);
    free(file);
    free(out);
    return ok;
}

static void with_recipient(const struct age_identity *identity, char *recipient, uint8_t *plain,
                           size_t size) {
    const struct age_to to = {.recipients = &identity->recipient, .count = 1};
    const struct age_keys keys = {.identities = identity, .count = 1};
    size_t sealed;
    uint8_t *file = seal(&to, plain, size, &sealed);
    save("plain", plain, size);

    save("ours.age", file, sealed);
    char *decrypt[] = {"age", "-d", "-i", "key", "ours.age", NULL};
    check(!run("/dev/null", "out", decrypt) && holds("out", plain, size), "age opens ours", size);

    char *text = malloc(armor_encoded_size(sealed));
    armor_encode(file, sealed, text);
    save("ours.age", text, armor_encoded_size(sealed));
    check(!run("/dev/null", "out", decrypt) && holds("out", plain, size), "age opens ours in armor",
          size);
    free(text);
    free(file);

    char *encrypt[] = {"age", "-r", recipient, "-o", "theirs.age", "plain", NULL};
    check(!run("/dev/null", "out", encrypt) && opens("theirs.age", &keys, plain, size),
          "we open age's", size);
    char *armored[] = {"age", "-a", "-r", recipient, "-o", "theirs.age", "plain", NULL};
    check(!run("/dev/null", "out", armored) && opens("theirs.age", &keys, plain, size),
          "we open age's in armor", size);
}

/* `cat header payload | age -d -i identity`, with a real pipe. */
static bool by_hand(const char *header, const char *payload, char *identity, const uint8_t *plain,
                    size_t size) {
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    pid_t cat = fork();
    if (cat == 0) {
        dup2(ends[1], 1);
        close(ends[0]);
        close(ends[1]);
        execlp("cat", "cat", header, payload, (char *)NULL);
        _exit(127);
    }
    pid_t age = fork();
    if (age == 0) {
        int out = open("out", O_WRONLY | O_CREAT | O_TRUNC, 0600);
        dup2(ends[0], 0);
        dup2(out, 1);
        close(ends[0]);
        close(ends[1]);
        execlp("age", "age", "-d", "-i", identity, (char *)NULL);
        _exit(127);
    }
    close(ends[0]);
    close(ends[1]);
    bool ok = wait_for(cat) == 0;
    return wait_for(age) == 0 && ok && holds("out", plain, size);
}

static void header_and_payload(uint8_t *plain, size_t size) {
    struct error error;
    struct age_identity *first = age_x25519_generate(&error), *second = age_x25519_generate(&error);
    uint8_t *file_key = secret_alloc(AGE_FILE_KEY_SIZE, &error);
    uint8_t *text = secret_alloc(1024, &error), *header = malloc(AGE_HEADER_MAX);
    /* Our own identity files, tenant and all. */
    struct buf b = buf_of(text, 1024);
    age_keyfile_write(&b, first, "acme", NULL);
    save("first", b.data, b.size);
    b = buf_of(text, 1024);
    age_keyfile_write(&b, second, NULL, NULL);
    save("second", b.data, b.size);

    const struct age_to to = {.recipients = &first->recipient, .count = 1};
    size_t sealed, length = 0;
    uint8_t *file = seal(&to, plain, size, &sealed);
    check(age_header_length(file, sealed, &length, &error) == STATUS_OK && length > 0,
          "the split is found", size);
    save("header", file, length);
    save("payload", file + length, sealed - length);
    check(by_hand("header", "payload", "first", plain, size), "cat header payload | age -d", size);

    /* The keeper's step and a new header: the payload stays as it is. */
    const struct age_keys keys = {.identities = first, .count = 1};
    const struct age_to other = {.recipients = &second->recipient, .count = 1};
    struct buf rewrapped = buf_of(header, AGE_HEADER_MAX);
    check(age_file_key(file, length, false, &keys, file_key, &error) == STATUS_OK &&
              age_wrap(&rewrapped, &other, file_key, &error) == STATUS_OK,
          "rewrap", size);
    save("header", rewrapped.data, rewrapped.size);
    check(by_hand("header", "payload", "second", plain, size), "the same after a rewrap", size);
    check(!by_hand("header", "payload", "first", plain, size), "and not with the old identity",
          size);
    free(file);
    free(header);
    secret_free(text);
    secret_free(file_key);
    secret_free(first);
    secret_free(second);
}

static void with_passphrase(uint8_t *plain, size_t size) {
    const struct age_to to = {
        .passphrase = passphrase, .passphrase_size = strlen(passphrase), .work = 12};
    const struct age_keys keys = {.passphrase = passphrase, .passphrase_size = strlen(passphrase)};
    size_t sealed;
    uint8_t *file = seal(&to, plain, size, &sealed);
    save("ours.age", file, sealed);
    free(file);
    unlink("out");
    char *decrypt[] = {"age", "-d", "-o", "out", "ours.age", NULL};
    check(!run_on_terminal(1, decrypt) && holds("out", plain, size),
          "age opens ours with a passphrase", size);
    save("plain", plain, size);
    char *encrypt[] = {"age", "-p", "-o", "theirs.age", "plain", NULL};
    check(!run_on_terminal(2, encrypt) && opens("theirs.age", &keys, plain, size),
          "we open age's with a passphrase", size);
}

int main(void) {
    struct error error = {0};
    if (!mkdtemp(folder) || chdir(folder) != 0 || crypto_init(&error) != STATUS_OK)
        return 1;
    char *keygen[] = {"age-keygen", "-o", "key", NULL};
    int made = run("/dev/null", "out", keygen);
    if (made == 127) {
        unlink("out");
        if (chdir("/") == 0)
            rmdir(folder);
        printf("SKIP age interoperation: the programs age and age-keygen are not installed\n");
        return VECTORS_SKIP;
    }
    size_t length = 0;
    uint8_t *text = vectors_load(".", "key", &length);
    struct age_keyfile *keyfile = NULL;
    check(text && age_keyfile_parse((const char *)text, length, &keyfile, &error) == STATUS_OK,
          "we read age-keygen's file", length);
    if (!keyfile)
        return 1;
    text[length] = '\0'; /* vectors_load leaves room for it */
    char recipient[AGE_X25519_RECIPIENT_SIZE];
    age_x25519_recipient_format(&keyfile->identities[0].recipient, recipient);
    check(strstr((char *)text, recipient) != NULL, "the recipient is the one age-keygen names", 0);
    free(text);

    static const size_t sizes[] = {0, 1, 1000, 65535, 65536, 65537, 131072, 300000};
    uint8_t *plain = malloc(300000);
    random_bytes(plain, 300000);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        with_recipient(&keyfile->identities[0], recipient, plain, sizes[i]);
        header_and_payload(plain, sizes[i]);
    }
    with_passphrase(plain, 70000);
    free(plain);
    secret_free(keyfile);
    static const char *const left[] = {"key",   "plain",  "ours.age", "theirs.age", "out",
                                       "first", "second", "header",   "payload"};
    for (size_t i = 0; i < sizeof left / sizeof *left; i++)
        unlink(left[i]);
    if (chdir("/") != 0 || rmdir(folder) != 0)
        fprintf(stderr, "the temporary folder stays\n");
    printf("age interoperation: %u passed, %u failed\n", passed, failed);
    return failed != 0 || passed == 0;
}
