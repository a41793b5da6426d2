/* The age test kit (C2SP/CCTV): every file is decrypted in the steps that different processes of
 * the project do, and each step must fail exactly where the kit says. Files that need the
 * post-quantum hybrid identity, which is not spoken here, must be refused: as "no match", or as
 * the header failure that the kit itself expects where even the general grammar, or an X25519
 * stanza beside the hybrid one, is broken (two files). */
#include <dirent.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "crypto/age.h"
#include "crypto/armor.h"
#include "crypto/crypto.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/secret.h"
#include "tests/vectors/vectors.h"

enum { KIT_FILES = 143, KIT_HYBRID = 19, PLAIN_MAX = 64 << 20 };

struct vector {
    const char *name;
    char expect[32];
    char payload[65]; /* SHA-256 in hex, "" where none is given */
    struct age_identity *identities;
    size_t identity_count;
    char passphrase[128];
    bool hybrid, armored, compressed;
    bool no_match; /* found so */
    uint8_t *file;
    size_t size;
};

static int complain(const struct vector *v, const char *what, const char *found) {
    fprintf(stderr, "FAIL %s: %s: %s (the kit expects %s)\n", v->name, what, found, v->expect);
    return 1;
}

static uint8_t *inflate_all(const uint8_t *data, size_t size, size_t *out_size) {
    uint8_t *out = malloc(PLAIN_MAX);
    uLongf n = PLAIN_MAX;
    if (!out || uncompress(out, &n, data, (uLong)size) != Z_OK) {
        fprintf(stderr, "zlib refused a vector\n");
        exit(1);
    }
    *out_size = n;
    return out;
}

static void take_field(struct vector *v, const char *key, const char *value) {
    if (!strcmp(key, "expect"))
        snprintf(v->expect, sizeof v->expect, "%s", value);
    else if (!strcmp(key, "payload"))
        snprintf(v->payload, sizeof v->payload, "%s", value);
    else if (!strcmp(key, "passphrase"))
        snprintf(v->passphrase, sizeof v->passphrase, "%s", value);
    else if (!strcmp(key, "armored"))
        v->armored = true;
    else if (!strcmp(key, "compressed"))
        v->compressed = true;
    else if (!strcmp(key, "identity") && !strncmp(value, "AGE-SECRET-KEY-PQ-", 18))
        v->hybrid = true;
    else if (!strcmp(key, "identity")) {
        struct error error;
        if (age_x25519_identity_parse(value, strlen(value), &v->identities[v->identity_count++],
                                      &error) != STATUS_OK) {
            fprintf(stderr, "%s: identity: %s\n", v->name, error.message);
            exit(1);
        }
    }
}

/* Lines "key: value" up to an empty one; what follows is the file. */
static void split(struct vector *v, uint8_t *data, size_t size) {
    size_t at = 0;
    for (;;) {
        uint8_t *end = memchr(data + at, '\n', size - at);
        if (!end)
            exit(complain(v, "no age file in it", "nothing"));
        *end = '\0';
        char *line = (char *)data + at;
        at = (size_t)(end - data) + 1;
        if (*line == '\0')
            break;
        char *colon = strstr(line, ": ");
        if (colon) {
            *colon = '\0';
            take_field(v, line, colon + 2);
        }
    }
    if (v->compressed) {
        v->file = inflate_all(data + at, size - at, &v->size);
    } else {
        v->file = malloc(size - at + 1);
        memcpy(v->file, data + at, size - at);
        v->size = size - at;
    }
}

/* The same header length must come out however the bytes arrive, and never early. */
static bool lengths_agree(const uint8_t *file, size_t header_size) {
    size_t length = 1;
    for (size_t n = 0; n < header_size; n++)
        if (age_header_length(file, n, &length, NULL) != STATUS_OK || length != 0)
            return false;
    return age_header_length(file, header_size, &length, NULL) == STATUS_OK &&
           length == header_size;
}

static int check_hash(const struct vector *v, const uint8_t *plain, size_t size) {
    uint8_t hash[HASH_SIZE];
    char hex[ENCODING_HEX_SIZE(HASH_SIZE)];
    if (!v->payload[0])
        return size ? complain(v, "plaintext was released", "none is expected") : 0;
    hash_sha256(plain, size, hash);
    encoding_hex(hash, sizeof hash, hex);
    return strcmp(hex, v->payload) ? complain(v, "hash of the released plaintext", hex) : 0;
}

/* Chunks in any order on three threads: the same verdict, and nothing kept on failure. */
static int check_parallel(const struct vector *v, const uint8_t *file_key, uint8_t *payload,
                          size_t size) {
    bool good = !strcmp(v->expect, "success");
    struct stream_bytes bytes = {.data = payload, .size = size};
    struct stream_source source = {
        .read_at = stream_bytes_read_at, .context = &bytes, .size = size};
    uint64_t plain_size;
    struct error error = {0};
    if (stream_plain_size(size, &plain_size, &error) != STATUS_OK)
        return good ? complain(v, "threaded, size", error.message) : 0;
    int failed = 0;
    for (unsigned threads = 1; threads <= 3; threads += 2) {
        uint8_t *out = malloc(plain_size + 1);
        memset(out, 0xa5, plain_size);
        enum status status =
            stream_decrypt_parallel(file_key, &source, out, plain_size, threads, &error);
        if (good && status != STATUS_OK)
            failed |= complain(v, "threaded", error.message);
        else if (good)
            failed |= check_hash(v, out, plain_size);
        else if (status != STATUS_UNSERVABLE)
            failed |= complain(v, "threaded", status_name(status));
        for (size_t i = 0; !good && i < plain_size; i++)
            if (out[i]) {
                failed |= complain(v, "threaded", "plaintext left after a failure");
                break;
            }
        free(out);
    }
    return failed;
}

static const char *run_payload(const struct vector *v, const uint8_t *file_key, uint8_t *payload,
                               size_t size, int *failed) {
    struct stream_bytes in = {.data = payload, .size = size};
    struct stream_bytes out = {.data = malloc(size + 1), .size = size};
    struct error error = {0};
    enum status status =
        stream_decrypt(file_key, stream_bytes_read, &in, stream_bytes_write, &out, &error);
    *failed |= check_hash(v, out.data, out.offset);
    *failed |= check_parallel(v, file_key, payload, size);
    free(out.data);
    return status == STATUS_OK           ? "success"
           : status == STATUS_UNSERVABLE ? "payload failure"
                                         : status_name(status);
}

/* What became of it, in the kit's words. */
static const char *run_steps(const struct vector *v, uint8_t *file, size_t size,
                             const struct age_keys *keys, int *failed) {
    struct age_header header;
    struct error error = {0};
    if (age_header_parse(file, size, &header, &error) != STATUS_OK)
        return "header failure";
    if (!lengths_agree(file, header.size))
        *failed |= complain(v, "age_header_length", "disagrees with the parser");
    uint8_t *file_key = secret_alloc(AGE_FILE_KEY_SIZE, &error);
    const char *outcome;
    /* The keeper's call: header bytes alone. */
    switch (age_file_key(file, header.size, false, keys, file_key, &error)) {
    case STATUS_OK:
        /* The kit counts the nonce to the header; here it is the front of the payload. */
        if (size - header.size < STREAM_NONCE_SIZE) {
            const char *payload =
                run_payload(v, file_key, file + header.size, size - header.size, failed);
            outcome = strcmp(payload, "payload failure") ? payload : "header failure";
            break;
        }
        outcome = run_payload(v, file_key, file + header.size, size - header.size, failed);
        break;
    case STATUS_FORBIDDEN:
        outcome = "no match";
        break;
    case STATUS_UNSERVABLE:
        outcome = "HMAC failure";
        break;
    case STATUS_INVALID:
        outcome = "header failure";
        break;
    default:
        outcome = error.message;
    }
    secret_free(file_key);
    return outcome;
}

static int run(struct vector *v) {
    int failed = 0;
    const char *outcome = NULL;
    struct age_keys keys = {.identities = v->identities,
                            .count = v->identity_count,
                            .passphrase = v->passphrase[0] ? v->passphrase : NULL,
                            .passphrase_size = strlen(v->passphrase)};
    uint8_t *binary = NULL;
    size_t binary_size = v->size;
    if (v->armored) {
        binary = malloc(v->size + 1);
        if (armor_decode(v->file, v->size, binary, v->size, &binary_size, NULL) != STATUS_OK)
            outcome = "armor failure";
    }
    if (!outcome)
        outcome = run_steps(v, binary ? binary : v->file, binary_size, &keys, &failed);
    bool broken = !strcmp(v->expect, "header failure") && !strcmp(outcome, "header failure");
    const char *wanted = v->hybrid && !broken ? "no match" : v->expect;
    v->no_match = !strcmp(outcome, "no match");
    if (strcmp(outcome, wanted) != 0)
        failed |= complain(v, "outcome", outcome);

    /* The whole-file call agrees. */
    uint8_t *out = malloc(v->size + 1);
    size_t out_size = 0;
    bool opened =
        age_decrypt_bytes(&keys, v->file, v->size, out, v->size, &out_size, NULL) == STATUS_OK;
    if (opened != !strcmp(wanted, "success"))
        failed |= complain(v, "whole file", opened ? "opened" : "refused");
    if (opened)
        failed |= check_hash(v, out, out_size);
    free(out);
    free(binary);
    return failed;
}

int main(void) {
    const char *folder = vectors_folder("STRONGROOM_AGE_VECTORS", "vectors/age/testdata");
    if (!folder) {
        printf("SKIP age vectors: no folder of the age test kit (STRONGROOM_AGE_VECTORS)\n");
        return VECTORS_SKIP;
    }
    struct error error;
    if (crypto_init(&error) != STATUS_OK)
        return 1;
    DIR *dir = opendir(folder);
    struct dirent *entry;
    unsigned files = 0, passed = 0, failed = 0, hybrid_refused = 0, no_match = 0;
    while (dir && (entry = readdir(dir))) {
        size_t size;
        uint8_t *data = entry->d_name[0] == '.' ? NULL : vectors_load(folder, entry->d_name, &size);
        if (!data)
            continue;
        files++;
        struct vector v = {.name = entry->d_name,
                           .identities = secret_alloc(8 * sizeof(struct age_identity), &error)};
        split(&v, data, size);
        if (run(&v))
            failed++;
        else if (v.hybrid)
            hybrid_refused++, no_match += v.no_match;
        else
            passed++;
        free(v.file);
        free(data);
        secret_free(v.identities);
    }
    if (dir)
        closedir(dir);
    printf("age vectors: %u passed, %u failed, %u hybrid refused (%u as no match), %u files\n",
           passed, failed, hybrid_refused, no_match, files);
    if (files == KIT_FILES && (passed != KIT_FILES - KIT_HYBRID || hybrid_refused != KIT_HYBRID)) {
        fprintf(stderr, "FAIL: of %d files, %d must pass and %d be refused\n", KIT_FILES,
                KIT_FILES - KIT_HYBRID, KIT_HYBRID);
        return 1;
    }
    return failed || files == 0;
}
