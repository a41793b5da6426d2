/* API keys, signed notes, the Merkle tree, key derivation, encodings. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "crypto/apikey.h"
#include "crypto/bech32.h"
#include "crypto/crypto.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/hkdf.h"
#include "crypto/merkle.h"
#include "crypto/note.h"

static struct error error;

static void start(void) {
    cr_assert_eq(crypto_init(&error), STATUS_OK);
}
TestSuite(tokens, .init = start);

/* ---- API keys ---- */

Test(tokens, apikey_round_trip) {
    char seen[APIKEY_SIZE] = "";
    for (unsigned i = 0; i < 200; i++) {
        struct apikey key, parsed;
        char text[APIKEY_SIZE];
        uint8_t hash[APIKEY_HASH_SIZE];
        apikey_generate(&key, text);
        cr_assert_eq(strlen(text), APIKEY_LENGTH);
        cr_assert_str_neq(text, seen);
        memcpy(seen, text, sizeof seen);
        cr_assert_eq(apikey_parse(text, strlen(text), &parsed, &error), STATUS_OK);
        cr_assert_eq(memcmp(&key, &parsed, sizeof key), 0);
        cr_assert(apikey_id_valid(key.id, strlen(key.id)));
        cr_assert_eq(memcmp(text + 3, key.id, APIKEY_ID_LENGTH), 0);
        apikey_hash(&key, hash);
        cr_assert(apikey_verify(&parsed, hash));
        cr_assert(!apikey_verify_absent(&parsed));
        hash[i % sizeof hash] ^= (uint8_t)(1 << i % 8);
        cr_assert(!apikey_verify(&parsed, hash));
    }
}

/* The checksum is zlib's CRC-32 in base32, so anyone's scanner can tell a key from noise. */
Test(tokens, apikey_checksum_is_crc32) {
    struct apikey key;
    char text[APIKEY_SIZE];
    apikey_generate(&key, text);
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)text, APIKEY_LENGTH - 8);
    char expected[8] = "";
    for (unsigned i = 0; i < 7; i++)
        expected[i] =
            "abcdefghijklmnopqrstuvwxyz234567"[((uint64_t)crc << 3) >> (5 * (6 - i)) & 31];
    cr_assert_str_eq(text + APIKEY_LENGTH - 7, expected);
}

Test(tokens, apikey_every_changed_character_is_refused) {
    struct apikey key, parsed;
    char text[APIKEY_SIZE];
    struct error first = {0};
    apikey_generate(&key, text);
    memset(&parsed, 0x5a, sizeof parsed);
    struct apikey before = parsed;
    cr_assert_eq(apikey_parse("", 0, &parsed, &first), STATUS_UNAUTHENTICATED);
    for (size_t i = 0; i < APIKEY_LENGTH; i++)
        for (int c = 0; c < 256; c++) {
            char was = text[i];
            if ((unsigned char)was == c)
                continue;
            text[i] = (char)c;
            cr_assert_eq(apikey_parse(text, APIKEY_LENGTH, &parsed, &error),
                         STATUS_UNAUTHENTICATED);
            cr_assert_str_eq(error.message, first.message, "one message for every fault");
            text[i] = was;
        }
    for (size_t n = 0; n < APIKEY_LENGTH; n++)
        cr_assert_eq(apikey_parse(text, n, &parsed, &error), STATUS_UNAUTHENTICATED);
    cr_assert_eq(apikey_parse(text, APIKEY_SIZE, &parsed, &error), STATUS_UNAUTHENTICATED);
    cr_assert_eq(memcmp(&parsed, &before, sizeof parsed), 0, "untouched on failure");
}

/* A right checksum over bits that stand for nothing: one text for one key. */
Test(tokens, apikey_unused_bits_must_be_zero) {
    struct apikey key;
    char text[APIKEY_SIZE];
    apikey_generate(&key, text);
    text[67] = (char)(text[67] == 'a' ? 'b' : text[67] + 1);
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)text, APIKEY_LENGTH - 8);
    for (unsigned i = 0; i < 7; i++)
        text[APIKEY_LENGTH - 7 + i] =
            "abcdefghijklmnopqrstuvwxyz234567"[((uint64_t)crc << 3) >> (5 * (6 - i)) & 31];
    cr_assert_eq(apikey_parse(text, APIKEY_LENGTH, &key, &error), STATUS_UNAUTHENTICATED);
}

Test(tokens, apikey_stored_hash_does_not_authenticate) {
    struct apikey key, forged;
    char text[APIKEY_SIZE];
    uint8_t hash[APIKEY_HASH_SIZE], plain[APIKEY_HASH_SIZE];
    apikey_generate(&key, text);
    apikey_hash(&key, hash);
    forged = key;
    memcpy(forged.secret, hash, sizeof forged.secret);
    cr_assert(!apikey_verify(&forged, hash));
    hash_blake2b(NULL, 0, key.secret, sizeof key.secret, plain);
    cr_assert_neq(memcmp(plain, hash, sizeof hash), 0, "the hash is keyed and names the key id");
    struct apikey renamed = key;
    renamed.id[0] = (char)(renamed.id[0] == 'a' ? 'b' : 'a');
    cr_assert(!apikey_verify(&renamed, hash));
}

/* ---- Merkle tree: the reference leaves and heads of Certificate Transparency ---- */

static const struct {
    const char *leaf; /* hex */
    const char *root; /* of the tree up to and with it */
} reference[] = {
    {"", "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"},
    {"00", "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"},
    {"10", "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"},
    {"2021", "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"},
    {"3031", "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"},
    {"40414243", "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"},
    {"5051525354555657", "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c"},
    {"606162636465666768696a6b6c6d6e6f",
     "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"},
};

static void root_hex(const struct merkle_tree *tree, char *out) {
    uint8_t root[MERKLE_SIZE];
    merkle_root(tree, root);
    encoding_hex(root, sizeof root, out);
}

Test(tokens, merkle_reference_heads) {
    struct merkle_tree tree = {0};
    char hex[ENCODING_HEX_SIZE(MERKLE_SIZE)];
    root_hex(&tree, hex);
    cr_assert_str_eq(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    for (size_t i = 0; i < sizeof reference / sizeof *reference; i++) {
        uint8_t data[16], leaf[MERKLE_SIZE];
        size_t size = strlen(reference[i].leaf) / 2;
        cr_assert(encoding_unhex(reference[i].leaf, 2 * size, data, size));
        merkle_leaf(data, size, leaf);
        merkle_append(&tree, leaf);
        root_hex(&tree, hex);
        cr_assert_str_eq(hex, reference[i].root);
        cr_assert_eq(tree.size, i + 1);
    }
}

/* RFC 6962, 2.1, as it is written: split at the largest power of two below the size. */
static void by_definition(uint8_t (*leaves)[MERKLE_SIZE], size_t n, uint8_t out[MERKLE_SIZE]) {
    if (n == 1) {
        memcpy(out, leaves[0], MERKLE_SIZE);
        return;
    }
    size_t k = 1;
    while (2 * k < n)
        k *= 2;
    uint8_t left[MERKLE_SIZE], right[MERKLE_SIZE];
    by_definition(leaves, k, left);
    by_definition(leaves + k, n - k, right);
    merkle_node(left, right, out);
}

Test(tokens, merkle_agrees_with_the_definition_at_every_size) {
    static uint8_t leaves[300][MERKLE_SIZE];
    struct merkle_tree tree = {0};
    for (size_t n = 1; n <= 300; n++) {
        uint8_t root[MERKLE_SIZE], want[MERKLE_SIZE];
        merkle_leaf(&n, sizeof n, leaves[n - 1]);
        merkle_append(&tree, leaves[n - 1]);
        merkle_root(&tree, root);
        by_definition(leaves, n, want);
        cr_assert_eq(memcmp(root, want, sizeof root), 0, "size %zu", n);
    }
}

/* ---- signed notes: the example of golang.org/x/mod/sumdb/note, and of the C2SP page ---- */

static const char signer_key[] =
    "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
static const char verifier_key[] =
    "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
static const char text[] = "If you think cryptography is the answer to your problem,\n"
                           "then you don't know what your problem is.\n";
static const char signature[] =
    "\n\xe2\x80\x94 PeterNeumann "
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
    "\n";

Test(tokens, note_published_example) {
    struct note_signer signer;
    struct note_verifier verifier;
    char key[NOTE_SIGNER_KEY_SIZE], note[1024];
    cr_assert_eq(note_signer_parse(signer_key, strlen(signer_key), &signer, &error), STATUS_OK,
                 "%s", error.message);
    cr_assert_eq(note_verifier_parse(verifier_key, strlen(verifier_key), &verifier, &error),
                 STATUS_OK);
    cr_assert_eq(signer.verifier.id, 0xc74f20a3);
    struct buf out = buf_of(key, sizeof key);
    note_signer_format(&signer, &out);
    cr_assert(out.size == strlen(signer_key) && !memcmp(key, signer_key, out.size));
    out = buf_of(key, sizeof key);
    note_verifier_format(&signer.verifier, &out);
    cr_assert(out.size == strlen(verifier_key) && !memcmp(key, verifier_key, out.size));

    out = buf_of(note, sizeof note);
    cr_assert_eq(note_sign(&signer, text, strlen(text), &out, &error), STATUS_OK);
    cr_assert_eq(out.size, strlen(text) + strlen(signature));
    cr_assert_eq(memcmp(note, text, strlen(text)), 0);
    cr_assert_eq(memcmp(note + strlen(text), signature, strlen(signature)), 0);
    size_t length = 0;
    cr_assert_eq(note_verify(&verifier, note, out.size, &length, &error), STATUS_OK, "%s",
                 error.message);
    cr_assert_eq(length, strlen(text));
}

Test(tokens, note_every_change_is_refused) {
    struct note_verifier verifier;
    char note[512];
    size_t size = strlen(text) + strlen(signature), length = 99;
    memcpy(note, text, strlen(text));
    memcpy(note + strlen(text), signature, strlen(signature));
    cr_assert_eq(note_verifier_parse(verifier_key, strlen(verifier_key), &verifier, &error),
                 STATUS_OK);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        note[bit / 8] ^= (char)(1 << bit % 8);
        cr_assert_neq(note_verify(&verifier, note, size, &length, &error), STATUS_OK);
        note[bit / 8] ^= (char)(1 << bit % 8);
    }
    for (size_t n = 0; n < size; n++)
        cr_assert_neq(note_verify(&verifier, note, n, &length, &error), STATUS_OK);
    cr_assert_eq(length, 99, "untouched on failure");
    cr_assert_eq(note_verify(&verifier, note, size, &length, &error), STATUS_OK);
}

Test(tokens, note_signatures_by_others_are_ignored) {
    struct note_signer mine, other;
    struct note_verifier published;
    char note[2048];
    size_t length;
    cr_assert_eq(note_generate("strongroom.example/log", &mine, &error), STATUS_OK);
    cr_assert_eq(note_generate("strongroom.example/log", &other, &error), STATUS_OK);
    struct buf out = buf_of(note, sizeof note);
    /* An empty line in the text: the last one of the note counts. */
    cr_assert_eq(note_sign(&mine, "a\n\nb\n", 5, &out, &error), STATUS_OK);
    buf_string(&out, signature + 1);
    cr_assert_eq(note_verify(&mine.verifier, note, out.size, &length, &error), STATUS_OK, "%s",
                 error.message);
    cr_assert_eq(length, 5);
    cr_assert_eq(note_verify(&other.verifier, note, out.size, &length, &error), STATUS_FORBIDDEN);
    cr_assert_eq(note_verifier_parse(verifier_key, strlen(verifier_key), &published, &error),
                 STATUS_OK);
    cr_assert_eq(note_verify(&published, note, out.size, &length, &error), STATUS_FORBIDDEN);
}

Test(tokens, note_bad_texts_names_and_keys) {
    struct note_signer signer;
    char note[1024];
    cr_assert_eq(note_generate("", &signer, &error), STATUS_INVALID);
    cr_assert_eq(note_generate("a b", &signer, &error), STATUS_INVALID);
    cr_assert_eq(note_generate("a+b", &signer, &error), STATUS_INVALID);
    cr_assert_eq(note_generate("ok", &signer, &error), STATUS_OK);
    static const char *const bad[] = {
        "",           "no newline", "tab\t\n",        "\r\n",
        "\xff\xfe\n", "\xc0\xaf\n", "\xed\xa0\x80\n", "cut \xe2\x80\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct buf out = buf_of(note, sizeof note);
        cr_assert_eq(note_sign(&signer, bad[i], strlen(bad[i]), &out, &error), STATUS_INVALID);
        cr_assert_eq(out.size, 0);
    }
    struct buf out = buf_of(note, 100);
    cr_assert_eq(note_sign(&signer, "a\n", 2, &out, &error), STATUS_TOO_LARGE);

    /* Every part of a key, and every change in one, is no key. */
    struct note_verifier verifier;
    const size_t n = sizeof verifier_key - 1;
    for (size_t i = 0; i < n; i++) {
        char changed[sizeof verifier_key];
        memcpy(changed, verifier_key, sizeof changed);
        changed[i]++;
        cr_assert_eq(note_verifier_parse(changed, n, &verifier, &error), STATUS_INVALID);
        cr_assert_eq(note_verifier_parse(verifier_key, i, &verifier, &error), STATUS_INVALID);
        if (i)
            cr_assert_eq(note_verifier_parse(verifier_key + i, n - i, &verifier, &error),
                         STATUS_INVALID);
    }
    for (size_t i = 0; i < sizeof signer_key - 1; i++) {
        char changed[sizeof signer_key];
        memcpy(changed, signer_key, sizeof changed);
        changed[i]++;
        cr_assert_eq(note_signer_parse(changed, sizeof signer_key - 1, &signer, &error),
                     STATUS_INVALID);
    }
}

/* ---- HKDF: RFC 5869, appendix A, cases 1 to 3 ---- */

static void hkdf_case(const char *key, const char *salt, const char *info, const char *want) {
    uint8_t k[128], s[128], i[128], out[128];
    char hex[257];
    size_t size = strlen(want) / 2;
    cr_assert(encoding_unhex(key, strlen(key), k, strlen(key) / 2));
    cr_assert(encoding_unhex(salt, strlen(salt), s, strlen(salt) / 2));
    cr_assert(encoding_unhex(info, strlen(info), i, strlen(info) / 2));
    cr_assert_eq(hkdf_sha256(k, strlen(key) / 2, s, strlen(salt) / 2, i, strlen(info) / 2, out,
                             size, &error),
                 STATUS_OK);
    encoding_hex(out, size, hex);
    cr_assert_str_eq(hex, want);
}

Test(tokens, hkdf_rfc5869) {
    hkdf_case(
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "000102030405060708090a0b0c",
        "f0f1f2f3f4f5f6f7f8f9",
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
    hkdf_case("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f2021222324252627"
              "28292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f404142434445464748494a4b4c4d4e4f",
              "606162636465666768696a6b6c6d6e6f707172737475767778797a7b7c7d7e7f8081828384858687"
              "88898a8b8c8d8e8f909192939495969798999a9b9c9d9e9fa0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
              "b0b1b2b3b4b5b6b7b8b9babbbcbdbebfc0c1c2c3c4c5c6c7c8c9cacbcccdcecfd0d1d2d3d4d5d6d7"
              "d8d9dadbdcdddedfe0e1e2e3e4e5e6e7e8e9eaebecedeeeff0f1f2f3f4f5f6f7f8f9fafbfcfdfeff",
              "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c59045a99cac7827271cb"
              "41c65e590e09da3275600c2f09b8367793a9aca3db71cc30c58179ec3e87c14c01d5c1f3434f1d87");
    hkdf_case(
        "0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b0b", "", "",
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8");
    uint8_t out[1];
    cr_assert_eq(hkdf_sha256("k", 1, NULL, 0, NULL, 0, out, HKDF_MAX + 1, &error), STATUS_INVALID);
}

/* ---- encodings ---- */

Test(tokens, base64_is_strict) {
    uint8_t out[8];
    size_t size;
    static const char *const unpadded_bad[] = {"Zg==", "Zh",  "Z",   "Zm9",   "Zg\n",
                                               " Zg",  "Zg ", "Z-8", "Zm9v\n"};
    static const char *const padded_bad[] = {"Zg",   "Zg=",  "Zh==",     "Zg===",   "Zg==\n",
                                             "====", "Z===", "Zm9v====", "Zm9v\r\n"};
    for (size_t i = 0; i < sizeof unpadded_bad / sizeof *unpadded_bad; i++)
        cr_assert(!encoding_unbase64(unpadded_bad[i], strlen(unpadded_bad[i]), ENCODING_UNPADDED,
                                     out, sizeof out, &size),
                  "%s", unpadded_bad[i]);
    for (size_t i = 0; i < sizeof padded_bad / sizeof *padded_bad; i++)
        cr_assert(!encoding_unbase64(padded_bad[i], strlen(padded_bad[i]), ENCODING_PADDED, out,
                                     sizeof out, &size),
                  "%s", padded_bad[i]);
    cr_assert(encoding_unbase64("Zm9vYg==", 8, ENCODING_PADDED, out, sizeof out, &size));
    cr_assert(size == 4 && !memcmp(out, "foob", 4));
    cr_assert(encoding_unbase64("Zm9vYg", 6, ENCODING_UNPADDED, out, 4, &size));
    cr_assert(!encoding_unbase64("Zm9vYg", 6, ENCODING_UNPADDED, out, 3, &size), "no room");
    for (int c = 0; c < 256; c++) {
        const char any[4] = {'A', 'A', 'A', (char)c};
        bool letter = c < 128 && c > 0 &&
                      strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", c);
        cr_assert_eq(encoding_unbase64(any, 4, ENCODING_UNPADDED, out, sizeof out, &size), letter,
                     "byte %d", c);
    }
    char text_out[ENCODING_BASE64_SIZE(4)];
    cr_assert_eq(encoding_base64("foob", 4, ENCODING_UNPADDED, text_out), 6);
    cr_assert_str_eq(text_out, "Zm9vYg");
}

Test(tokens, hex_is_strict) {
    uint8_t out[4];
    cr_assert(encoding_unhex("00fF", 4, out, 2));
    cr_assert(out[0] == 0 && out[1] == 255);
    cr_assert(!encoding_unhex("00f", 3, out, 2));
    cr_assert(!encoding_unhex("00fg", 4, out, 2));
    cr_assert(!encoding_unhex("00ff00", 6, out, 2));
    cr_assert(!encoding_unhex("0:ff", 4, out, 2));
}

/* BIP 173's valid string with an empty data part of hrp "a", and a long one. */
Test(tokens, bech32_published_strings) {
    uint8_t data[64];
    char out[128];
    cr_assert_eq(bech32_decode("A12UEL5L", 8, "a", data, 0, &error), STATUS_OK);
    cr_assert_eq(bech32_decode("a12uel5l", 8, "a", data, 0, &error), STATUS_OK);
    cr_assert_eq(bech32_decode("a12UEL5L", 8, "a", data, 0, &error), STATUS_INVALID);
    cr_assert_eq(bech32_decode("A1G7SGD8", 8, "a", data, 0, &error), STATUS_INVALID);
    const char valid[] = "abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw";
    cr_assert_eq(bech32_decode(valid, strlen(valid), "abcdef", data, 20, &error), STATUS_OK);
    bech32_encode("abcdef", data, 20, false, out);
    cr_assert_str_eq(out, valid);
    cr_assert_eq(bech32_decode(valid, strlen(valid), "abcdeg", data, 20, &error), STATUS_INVALID);
    cr_assert_eq(bech32_decode(valid, strlen(valid), "abcdef", data, 19, &error), STATUS_INVALID);
}
