/* libFuzzer target: everything of crypto/ that parses bytes from outside and answers without a
 * password: age headers and the search for their end, armor, identity files, keys, signed notes,
 * payload sizes. The first byte chooses the parser; what parses must also hold together. */
#include "crypto/age.h"
#include "crypto/apikey.h"
#include "crypto/armor.h"
#include "crypto/crypto.h"
#include "crypto/note.h"
#include "crypto/secret.h"
#include "tests/fuzz/fuzz.h"

static struct age_identity identity;

int LLVMFuzzerInitialize(int *argc, char ***argv) {
    (void)argc;
    (void)argv;
    static const uint8_t secret[32] = {0x42};
    FUZZ_REQUIRE(crypto_init(NULL) == STATUS_OK);
    secret_configure(&(struct secret_options){.allow_unlocked = true, .first = SECRET_UNLOCKED});
    age_x25519_identity(secret, &identity);
    return 0;
}

static void fuzz_header(const uint8_t *data, size_t size) {
    struct age_header header;
    struct error error;
    size_t length = 0;
    enum status found = age_header_length(data, size, &length, &error);
    if (age_header_parse(data, size, &header, &error) == STATUS_OK) {
        FUZZ_REQUIRE(found == STATUS_OK && length == header.size && header.size <= size);
        FUZZ_REQUIRE(header.count >= 1 && header.count <= AGE_HEADER_STANZAS);
        for (size_t i = 0; i < header.count; i++) {
            const struct age_stanza *stanza = &header.stanzas[i];
            size_t n = 0;
            FUZZ_REQUIRE(age_header_argument(stanza, stanza->argument_count - 1, &n) && n > 0);
            FUZZ_REQUIRE(!age_header_argument(stanza, stanza->argument_count, &n));
            uint8_t *body = malloc(stanza->body_size + 1);
            FUZZ_REQUIRE(body && age_header_body(stanza, body, stanza->body_size));
            free(body);
        }
    }
    const struct age_keys keys = {.identities = &identity, .count = 1};
    uint8_t key[AGE_FILE_KEY_SIZE];
    (void)!age_file_key(data, size, true, &keys, key, &error);
}

static void fuzz_armor(const uint8_t *data, size_t size) {
    uint8_t *out = malloc(size + 1), *again = malloc(size + 1);
    size_t n = 0, m = 0;
    FUZZ_REQUIRE(out && again);
    if (armor_decode(data, size, out, size, &n, NULL) == STATUS_OK) {
        FUZZ_REQUIRE(n <= armor_decoded_max(size));
        char *text = malloc(armor_encoded_size(n));
        FUZZ_REQUIRE(text != NULL);
        armor_encode(out, n, text);
        FUZZ_REQUIRE(armor_decode(text, armor_encoded_size(n), again, size, &m, NULL) == STATUS_OK);
        FUZZ_REQUIRE(m == n && !memcmp(out, again, n));
        free(text);
    }
    free(out);
    free(again);
}

static void fuzz_keys(const uint8_t *data, size_t size) {
    struct age_keyfile *file = NULL;
    struct age_recipient recipient;
    struct apikey key;
    struct error error;
    const char *text = (const char *)data;
    if (age_keyfile_parse(text, size, &file, &error) == STATUS_OK)
        FUZZ_REQUIRE(file->count >= 1 && file->count <= AGE_KEYFILE_IDENTITIES);
    secret_free(file);
    (void)!age_x25519_recipient_parse(text, size, &recipient, &error);
    (void)!apikey_parse(text, size, &key, &error);
}

static void fuzz_note(const uint8_t *data, size_t size) {
    static const char key[] = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    struct note_verifier verifier, other;
    struct note_signer signer;
    size_t length = 0;
    FUZZ_REQUIRE(note_verifier_parse(key, sizeof key - 1, &verifier, NULL) == STATUS_OK);
    if (note_verify(&verifier, (const char *)data, size, &length, NULL) == STATUS_OK)
        FUZZ_REQUIRE(length > 0 && length < size && data[length - 1] == '\n');
    (void)!note_verifier_parse((const char *)data, size, &other, NULL);
    (void)!note_signer_parse((const char *)data, size, &signer, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const parsers[])(const uint8_t *, size_t) = {fuzz_header, fuzz_armor, fuzz_keys,
                                                               fuzz_note};
    if (size == 0)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    parsers[data[0] % 4](copy, size - 1);
    free(copy);
    return 0;
}
