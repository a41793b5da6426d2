/* Project Wycheproof's files for every primitive that crypto/ composes, through our own wrappers.
 * A case whose sizes our interface cannot express (a nonce that is not 12 bytes, a signature that
 * is not 64) counts as refused, and must be one that the file calls invalid. */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/crypto.h"
#include "crypto/ed25519.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/x25519.h"
#include "tests/vectors/vectors.h"

struct bytes {
    uint8_t *data;
    size_t size;
};

static struct bytes field(const json_t *object, const char *name) {
    const char *text = json_string_value(json_object_get(object, name));
    if (!text) {
        fprintf(stderr, "no field %s\n", name);
        exit(1);
    }
    struct bytes b;
    b.data = vectors_unhex(text, &b.size);
    return b;
}

static const char *result_of(const json_t *test) {
    return json_string_value(json_object_get(test, "result"));
}

static bool valid(const json_t *test) {
    return !strcmp(result_of(test), "valid");
}

static bool same(struct bytes a, const uint8_t *b, size_t size) {
    return a.size == size && !memcmp(a.data, b, size);
}

static bool run_x25519(const json_t *group, const json_t *test) {
    (void)group;
    struct bytes public_key = field(test, "public"), secret = field(test, "private"),
                 shared = field(test, "shared");
    uint8_t out[32], zero[32] = {0};
    bool ok = public_key.size == 32 && secret.size == 32 && shared.size == 32;
    if (ok && same(shared, zero, sizeof zero)) /* low order: to be refused */
        ok = !x25519_shared(secret.data, public_key.data, out) && !valid(test);
    else if (ok)
        ok = x25519_shared(secret.data, public_key.data, out) && same(shared, out, sizeof out);
    free(public_key.data);
    free(secret.data);
    free(shared.data);
    return ok;
}

static bool run_aead(const json_t *group, const json_t *test) {
    struct bytes key = field(test, "key"), nonce = field(test, "iv"), extra = field(test, "aad"),
                 message = field(test, "msg"), sealed = field(test, "ct"), tag = field(test, "tag");
    (void)group;
    bool ok;
    uint8_t *whole = malloc(sealed.size + tag.size + 1), *out = malloc(message.size + 17);
    memcpy(whole, sealed.data, sealed.size);
    memcpy(whole + sealed.size, tag.data, tag.size);
    if (key.size != AEAD_KEY_SIZE || nonce.size != AEAD_NONCE_SIZE || tag.size != AEAD_TAG_SIZE) {
        ok = !valid(test);
    } else if (valid(test)) {
        aead_seal(key.data, nonce.data, extra.data, extra.size, message.data, message.size, out);
        ok = !memcmp(out, whole, message.size + AEAD_TAG_SIZE) &&
             aead_open(key.data, nonce.data, extra.data, extra.size, whole,
                       sealed.size + AEAD_TAG_SIZE, out) &&
             !memcmp(out, message.data, message.size);
    } else {
        memset(out, 0, message.size + 17);
        ok = !aead_open(key.data, nonce.data, extra.data, extra.size, whole,
                        sealed.size + AEAD_TAG_SIZE, out);
        for (size_t i = 0; i < message.size; i++)
            ok &= out[i] == 0;
    }
    free(whole);
    free(out);
    free(key.data);
    free(nonce.data);
    free(extra.data);
    free(message.data);
    free(sealed.data);
    free(tag.data);
    return ok;
}

static bool run_hkdf(const json_t *group, const json_t *test) {
    (void)group;
    struct bytes key = field(test, "ikm"), salt = field(test, "salt"), info = field(test, "info"),
                 want = field(test, "okm");
    size_t size = (size_t)json_integer_value(json_object_get(test, "size"));
    uint8_t *out = malloc(size + 1);
    enum status status = hkdf_sha256(key.data, key.size, salt.data, salt.size, info.data, info.size,
                                     out, size, NULL);
    bool ok = valid(test) ? status == STATUS_OK && same(want, out, size) : status == STATUS_INVALID;
    free(out);
    free(key.data);
    free(salt.data);
    free(info.data);
    free(want.data);
    return ok;
}

static bool run_hmac(const json_t *group, const json_t *test) {
    struct bytes key = field(test, "key"), message = field(test, "msg"), tag = field(test, "tag");
    size_t size = (size_t)json_integer_value(json_object_get(group, "tagSize")) / 8;
    uint8_t out[HASH_SIZE];
    hash_hmac_sha256(key.data, key.size, message.data, message.size, out);
    bool matches = size <= sizeof out && same(tag, out, size);
    bool ok = matches == valid(test);
    if (size == HASH_SIZE && tag.size == HASH_SIZE)
        ok &= hash_hmac_sha256_verify(key.data, key.size, message.data, message.size, tag.data) ==
              valid(test);
    free(key.data);
    free(message.data);
    free(tag.data);
    return ok;
}

static bool run_ed25519(const json_t *group, const json_t *test) {
    struct bytes key = field(json_object_get(group, "publicKey"), "pk"),
                 message = field(test, "msg"), signature = field(test, "sig");
    bool verified = key.size == ED25519_PUBLIC_SIZE && signature.size == ED25519_SIGNATURE_SIZE &&
                    ed25519_verify(key.data, message.data, message.size, signature.data);
    bool ok = verified == valid(test);
    free(key.data);
    free(message.data);
    free(signature.data);
    return ok;
}

/* One row per file. */
static const struct suite {
    const char *file;
    bool (*run)(const json_t *group, const json_t *test);
} suites[] = {
    {"x25519_test.json", run_x25519},    {"chacha20_poly1305_test.json", run_aead},
    {"hkdf_sha256_test.json", run_hkdf}, {"hmac_sha256_test.json", run_hmac},
    {"ed25519_test.json", run_ed25519},
};

static int run_suite(const char *folder, const struct suite *suite) {
    size_t size;
    uint8_t *text = vectors_load(folder, suite->file, &size);
    json_error_t reason;
    json_t *root = text ? json_loadb((const char *)text, size, 0, &reason) : NULL;
    free(text);
    if (!root) {
        fprintf(stderr, "FAIL %s: cannot be read\n", suite->file);
        return 1;
    }
    unsigned passed = 0, failed = 0;
    size_t i, j;
    json_t *group, *test;
    json_array_foreach(json_object_get(root, "testGroups"), i, group) {
        json_array_foreach(json_object_get(group, "tests"), j, test) {
            if (suite->run(group, test)) {
                passed++;
                continue;
            }
            failed++;
            fprintf(stderr, "FAIL %s case %lld (%s): %s\n", suite->file,
                    (long long)json_integer_value(json_object_get(test, "tcId")), result_of(test),
                    json_string_value(json_object_get(test, "comment")));
        }
    }
    long long announced = json_integer_value(json_object_get(root, "numberOfTests"));
    json_decref(root);
    printf("%s: %u passed, %u failed, of %lld\n", suite->file, passed, failed, announced);
    return failed != 0 || announced != (long long)passed || passed == 0;
}

int main(void) {
    const char *folder = vectors_folder("STRONGROOM_WYCHEPROOF", "vectors/wycheproof");
    if (!folder) {
        printf("SKIP wycheproof: no folder of its files (STRONGROOM_WYCHEPROOF)\n");
        return VECTORS_SKIP;
    }
    struct error error;
    if (crypto_init(&error) != STATUS_OK)
        return 1;
    int failed = 0;
    for (size_t i = 0; i < sizeof suites / sizeof *suites; i++)
        failed |= run_suite(folder, &suites[i]);
    return failed;
}
