/* age in pieces: headers, keys, armor, identity files, payloads, limits, and that outputs stay
 * untouched on failure. The published kit is in tests/vectors. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/age.h"
#include "crypto/armor.h"
#include "crypto/bech32.h"
#include "crypto/commitment.h"
#include "crypto/crypto.h"
#include "crypto/random.h"
#include "crypto/secret.h"

static struct error error;
static const uint8_t file_key[AGE_FILE_KEY_SIZE] = "YELLOW SUBMARIN";

static void start(void) {
    cr_assert_eq(crypto_init(&error), STATUS_OK);
}
TestSuite(age, .init = start);

/* The example identity and recipient of the format's own text. */
Test(age, specification_example) {
    const char text[] =
        "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    struct age_identity *identity = secret_alloc(sizeof *identity, NULL);
    cr_assert_eq(age_x25519_identity_parse(text, strlen(text), identity, &error), STATUS_OK);
    for (size_t i = 0; i < 32; i++)
        cr_assert_eq(identity->secret[i], 0x42);
    char recipient[AGE_X25519_RECIPIENT_SIZE], again[AGE_X25519_IDENTITY_SIZE];
    age_x25519_recipient_format(&identity->recipient, recipient);
    cr_assert_str_eq(recipient, "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj");
    age_x25519_identity_format(identity, again);
    cr_assert_str_eq(again, text);
    struct age_recipient parsed;
    cr_assert_eq(age_x25519_recipient_parse(recipient, strlen(recipient), &parsed, &error),
                 STATUS_OK);
    cr_assert_eq(memcmp(&parsed, &identity->recipient, sizeof parsed), 0);
    secret_free(identity);
}

Test(age, every_changed_character_of_a_key_is_refused) {
    const char text[] = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj";
    struct age_recipient parsed, before;
    memset(&parsed, 0x5a, sizeof parsed);
    before = parsed;
    for (size_t i = 0; i < sizeof text - 1; i++)
        for (int c = 1; c < 256; c++) {
            char changed[sizeof text];
            memcpy(changed, text, sizeof text);
            if ((unsigned char)changed[i] == c)
                continue;
            changed[i] = (char)c;
            cr_assert_eq(age_x25519_recipient_parse(changed, sizeof text - 1, &parsed, &error),
                         STATUS_INVALID);
        }
    for (size_t n = 0; n < sizeof text - 1; n++)
        cr_assert_eq(age_x25519_recipient_parse(text, n, &parsed, &error), STATUS_INVALID);
    cr_assert_eq(memcmp(&parsed, &before, sizeof parsed), 0, "untouched on failure");
    /* All upper case is Bech32 too, but no recipient. */
    char upper[sizeof text];
    for (size_t i = 0; i < sizeof text; i++)
        upper[i] = (char)(text[i] >= 'a' && text[i] <= 'z' ? text[i] - 32 : text[i]);
    cr_assert_eq(age_x25519_recipient_parse(upper, sizeof text - 1, &parsed, &error),
                 STATUS_INVALID);
}

Test(age, recipient_of_low_order_is_refused) {
    const uint8_t zero[32] = {0};
    char text[AGE_X25519_RECIPIENT_SIZE];
    struct age_recipient parsed;
    bech32_encode("age", zero, sizeof zero, false, text);
    cr_assert_eq(age_x25519_recipient_parse(text, strlen(text), &parsed, &error), STATUS_INVALID);
    memset(&parsed, 0, sizeof parsed);
    uint8_t room[512];
    struct buf out = buf_of(room, sizeof room);
    cr_assert_eq(age_x25519_wrap(&out, &parsed, file_key, &error), STATUS_INVALID);
}

static size_t make_header(const struct age_recipient *recipients, size_t count, uint8_t *bytes,
                          size_t capacity) {
    struct buf out = buf_of(bytes, capacity);
    const struct age_to to = {.recipients = recipients, .count = count};
    cr_assert_eq(age_wrap(&out, &to, file_key, &error), STATUS_OK, "%s", error.message);
    return out.size;
}

Test(age, every_flipped_bit_of_a_header_is_refused) {
    struct age_identity *identity = age_x25519_generate(&error);
    uint8_t header[1024], key[AGE_FILE_KEY_SIZE];
    size_t size = make_header(&identity->recipient, 1, header, sizeof header);
    const struct age_keys keys = {.identities = identity, .count = 1};
    cr_assert_eq(age_file_key(header, size, false, &keys, key, &error), STATUS_OK);
    cr_assert_eq(memcmp(key, file_key, sizeof key), 0);
    memset(key, 0x5a, sizeof key);
    for (size_t bit = 0; bit < 8 * size; bit++) {
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_neq(age_file_key(header, size, false, &keys, key, &error), STATUS_OK, "bit %zu",
                      bit);
        header[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    for (size_t n = 0; n < size; n++)
        cr_assert_eq(age_file_key(header, n, false, &keys, key, &error), STATUS_INVALID);
    for (size_t i = 0; i < sizeof key; i++)
        cr_assert_eq(key[i], 0x5a, "untouched on failure");
    cr_assert_eq(age_file_key(header, size, false, &keys, key, &error), STATUS_OK);
    header[size] = 'x';
    cr_assert_eq(age_file_key(header, size + 1, false, &keys, key, &error), STATUS_INVALID);
    cr_assert_eq(age_file_key(header, size + 1, true, &keys, key, &error), STATUS_OK);
    secret_free(identity);
}

Test(age, keeper_caps_stanzas_and_refuses_passphrases) {
    struct age_identity *identity = age_x25519_generate(&error);
    struct age_recipient many[AGE_HEADER_STANZAS + 1];
    uint8_t *header = malloc(AGE_HEADER_MAX), key[AGE_FILE_KEY_SIZE];
    for (size_t i = 0; i <= AGE_HEADER_STANZAS; i++)
        many[i] = identity->recipient;
    struct age_keys keys = {.identities = identity, .count = 1, .max_stanzas = 4};
    size_t size = make_header(many, 4, header, AGE_HEADER_MAX);
    cr_assert_eq(age_file_key(header, size, false, &keys, key, &error), STATUS_OK);
    size = make_header(many, 5, header, AGE_HEADER_MAX);
    cr_assert_eq(age_file_key(header, size, false, &keys, key, &error), STATUS_TOO_LARGE);
    keys.max_stanzas = 0;
    size = make_header(many, AGE_HEADER_STANZAS, header, AGE_HEADER_MAX);
    cr_assert_eq(age_file_key(header, size, false, &keys, key, &error), STATUS_OK);
    struct buf out = buf_of(header, AGE_HEADER_MAX);
    struct age_to to = {.recipients = many, .count = AGE_HEADER_STANZAS + 1};
    cr_assert_eq(age_wrap(&out, &to, file_key, &error), STATUS_TOO_LARGE);
    cr_assert_eq(out.size, 0);

    to = (struct age_to){.passphrase = "open", .passphrase_size = 4, .work = 4};
    cr_assert_eq(age_wrap(&out, &to, file_key, &error), STATUS_OK);
    cr_assert_eq(age_file_key(header, out.size, false, &keys, key, &error), STATUS_FORBIDDEN);
    cr_assert_not_null(strstr(error.message, "passphrase"));
    keys.passphrase = "open";
    keys.passphrase_size = 4;
    cr_assert_eq(age_file_key(header, out.size, false, &keys, key, &error), STATUS_OK);
    keys.max_work = 3;
    cr_assert_eq(age_file_key(header, out.size, false, &keys, key, &error), STATUS_INVALID);
    keys.max_work = 0;
    keys.passphrase = "shut";
    cr_assert_eq(age_file_key(header, out.size, false, &keys, key, &error), STATUS_FORBIDDEN);
    /* Both at once, or neither: no such file. */
    to.recipients = many;
    to.count = 1;
    cr_assert_eq(age_wrap(&out, &to, file_key, &error), STATUS_INVALID);
    to = (struct age_to){0};
    cr_assert_eq(age_wrap(&out, &to, file_key, &error), STATUS_INVALID);
    free(header);
    secret_free(identity);
}

Test(age, header_length_is_bounded) {
    size_t length = 9;
    char *endless = malloc(AGE_HEADER_MAX + 1);
    const char version[] = "age-encryption.org/v1\n-> x\n";
    memset(endless, 'A', AGE_HEADER_MAX + 1);
    memcpy(endless, version, sizeof version - 1);
    cr_assert_eq(age_header_length(endless, AGE_HEADER_MAX - 1, &length, &error), STATUS_OK);
    cr_assert_eq(length, 0);
    cr_assert_eq(age_header_length(endless, AGE_HEADER_MAX, &length, &error), STATUS_TOO_LARGE);
    cr_assert_eq(age_header_length("PK\3\4", 4, &length, &error), STATUS_INVALID);
    cr_assert_eq(age_header_length("", 0, &length, &error), STATUS_OK);
    free(endless);
}

Test(age, wrap_says_when_there_is_no_room) {
    struct age_identity *identity = age_x25519_generate(&error);
    const struct age_to to = {.recipients = &identity->recipient, .count = 1};
    uint8_t room[1024];
    size_t size = make_header(&identity->recipient, 1, room, sizeof room);
    for (size_t n = 0; n < size; n++) {
        struct buf out = buf_of(room, n);
        cr_assert_eq(age_wrap(&out, &to, file_key, &error), STATUS_TOO_LARGE);
        cr_assert_eq(out.size, 0);
    }
    secret_free(identity);
}

/* ---- payloads ---- */

struct payload {
    uint8_t *plain, *sealed, *out;
    size_t size, sealed_size;
};

static struct payload payload_of(size_t size) {
    struct payload p = {.size = size, .sealed_size = stream_sealed_size(size)};
    p.plain = malloc(size + 1);
    p.out = malloc(size + 1);
    p.sealed = malloc(p.sealed_size + 1);
    random_bytes(p.plain, size);
    struct stream_bytes in = {p.plain, size, 0}, out = {p.sealed, p.sealed_size, 0};
    cr_assert_eq(stream_encrypt(file_key, stream_bytes_read, &in, stream_bytes_write, &out, &error),
                 STATUS_OK);
    cr_assert_eq(out.offset, p.sealed_size, "stream_sealed_size tells the size");
    uint64_t plain;
    cr_assert_eq(stream_plain_size(p.sealed_size, &plain, &error), STATUS_OK);
    cr_assert_eq(plain, size);
    return p;
}

static void payload_free(struct payload *p) {
    free(p->plain);
    free(p->sealed);
    free(p->out);
}

static enum status in_order(struct payload *p, size_t sealed_size) {
    struct stream_bytes in = {p->sealed, sealed_size, 0}, out = {p->out, p->size, 0};
    memset(p->out, 0xa5, p->size);
    enum status status =
        stream_decrypt(file_key, stream_bytes_read, &in, stream_bytes_write, &out, &error);
    if (status == STATUS_OK)
        cr_assert(out.offset == p->size && !memcmp(p->out, p->plain, p->size));
    return status;
}

static enum status threaded(struct payload *p, unsigned threads) {
    struct stream_bytes in = {p->sealed, p->sealed_size, 0};
    const struct stream_source source = {
        .read_at = stream_bytes_read_at, .context = &in, .size = p->sealed_size};
    memset(p->out, 0xa5, p->size);
    enum status status =
        stream_decrypt_parallel(file_key, &source, p->out, p->size, threads, &error);
    if (status == STATUS_OK)
        cr_assert_eq(memcmp(p->out, p->plain, p->size), 0);
    else
        for (size_t i = 0; i < p->size; i++)
            cr_assert_eq(p->out[i], 0, "nothing is left of a payload that failed");
    return status;
}

Test(age, payloads_of_every_awkward_size) {
    static const size_t sizes[] = {0,      1,      65535,  65536,  65537, 131071,
                                   131072, 131073, 300000, 655360, 16};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct payload p = payload_of(sizes[i]);
        cr_assert_eq(in_order(&p, p.sealed_size), STATUS_OK, "%s", error.message);
        for (unsigned threads = 0; threads < 5; threads++)
            cr_assert_eq(threaded(&p, threads), STATUS_OK, "%s", error.message);
        payload_free(&p);
    }
}

Test(age, every_flipped_bit_of_a_payload_is_refused) {
    struct payload p = payload_of(100);
    for (size_t bit = 0; bit < 8 * p.sealed_size; bit++) {
        p.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
        cr_assert_eq(in_order(&p, p.sealed_size), STATUS_UNSERVABLE);
        cr_assert_eq(threaded(&p, 1), STATUS_UNSERVABLE);
        p.sealed[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    cr_assert_eq(threaded(&p, 1), STATUS_OK);
    payload_free(&p);
}

Test(age, every_truncation_is_refused) {
    struct payload p = payload_of(100);
    for (size_t n = 0; n < p.sealed_size; n++) {
        cr_assert_eq(in_order(&p, n), STATUS_UNSERVABLE);
        uint64_t plain = 7;
        struct stream_bytes in = {p.sealed, n, 0};
        const struct stream_source source = {
            .read_at = stream_bytes_read_at, .context = &in, .size = n};
        if (stream_plain_size(n, &plain, &error) == STATUS_OK)
            cr_assert_eq(stream_decrypt_parallel(file_key, &source, p.out, plain, 2, &error),
                         STATUS_UNSERVABLE);
    }
    payload_free(&p);
    /* At a chunk's edge, too. */
    p = payload_of(3 * STREAM_CHUNK_SIZE);
    for (size_t chunks = 0; chunks < 3; chunks++)
        cr_assert_eq(
            in_order(&p, STREAM_NONCE_SIZE + chunks * (STREAM_CHUNK_SIZE + STREAM_TAG_SIZE)),
            STATUS_UNSERVABLE);
    payload_free(&p);
}

Test(age, chunks_swapped_repeated_or_spliced_are_refused) {
    enum { STEP = STREAM_CHUNK_SIZE + STREAM_TAG_SIZE };
    uint8_t *spare = malloc(STEP);
    struct payload p = payload_of(4 * STREAM_CHUNK_SIZE);
    uint8_t *first = p.sealed + STREAM_NONCE_SIZE, *second = first + STEP;
    memcpy(spare, first, STEP);
    memcpy(first, second, STEP);
    cr_assert_eq(in_order(&p, p.sealed_size), STATUS_UNSERVABLE, "repeated");
    cr_assert_eq(threaded(&p, 2), STATUS_UNSERVABLE);
    memcpy(second, spare, STEP);
    cr_assert_eq(in_order(&p, p.sealed_size), STATUS_UNSERVABLE, "swapped");
    cr_assert_eq(threaded(&p, 2), STATUS_UNSERVABLE);
    struct payload other = payload_of(4 * STREAM_CHUNK_SIZE);
    memcpy(first, other.sealed + STREAM_NONCE_SIZE, STEP);
    memcpy(second, other.sealed + STREAM_NONCE_SIZE + STEP, STEP);
    cr_assert_eq(in_order(&p, p.sealed_size), STATUS_UNSERVABLE, "spliced");
    cr_assert_eq(threaded(&p, 2), STATUS_UNSERVABLE);
    payload_free(&p);
    payload_free(&other);
    free(spare);
}

static enum status refuse_nonce(void *context, const uint8_t nonce[STREAM_NONCE_SIZE],
                                struct error *e) {
    memcpy(context, nonce, STREAM_NONCE_SIZE);
    return status_fail(e, STATUS_CONFLICT, "another model");
}

Test(age, commitment_is_checked_before_a_byte_is_decrypted) {
    struct payload p = payload_of(1000);
    uint8_t nonce[STREAM_NONCE_SIZE] = {0}, a[COMMITMENT_SIZE], b[COMMITMENT_SIZE];
    struct stream_bytes in = {p.sealed, p.sealed_size, 0};
    const struct stream_source source = {.read_at = stream_bytes_read_at,
                                         .context = &in,
                                         .size = p.sealed_size,
                                         .check = refuse_nonce,
                                         .check_context = nonce};
    memset(p.out, 0xa5, p.size);
    cr_assert_eq(stream_decrypt_parallel(file_key, &source, p.out, p.size, 2, &error),
                 STATUS_CONFLICT);
    cr_assert_eq(memcmp(nonce, p.sealed, sizeof nonce), 0);
    commitment_compute(file_key, nonce, a);
    commitment_compute(file_key, nonce, b);
    cr_assert(commitment_equal(a, b));
    nonce[0] ^= 1;
    commitment_compute(file_key, nonce, b);
    cr_assert(!commitment_equal(a, b));
    cr_assert_eq(stream_decrypt_parallel(file_key, &source, p.out, p.size - 1, 2, &error),
                 STATUS_INVALID);
    payload_free(&p);
}

Test(age, another_payload_under_the_same_key_is_another_model) {
    struct payload p = payload_of(1000), other = payload_of(1000);
    struct commitment_expectation first = {.file_key = file_key}, later = {.file_key = file_key};
    struct stream_bytes in = {p.sealed, p.sealed_size, 0};
    struct stream_source source = {.read_at = stream_bytes_read_at,
                                   .context = &in,
                                   .size = p.sealed_size,
                                   .check = commitment_check,
                                   .check_context = &first};
    cr_assert_eq(stream_decrypt_parallel(file_key, &source, p.out, p.size, 1, &error), STATUS_OK);
    later.expected = first.found;
    source.check_context = &later;
    cr_assert_eq(stream_decrypt_parallel(file_key, &source, p.out, p.size, 1, &error), STATUS_OK);
    in.data = other.sealed;
    memset(p.out, 0xa5, p.size);
    cr_assert_eq(stream_decrypt_parallel(file_key, &source, p.out, p.size, 1, &error),
                 STATUS_UNSERVABLE);
    for (size_t i = 0; i < p.size; i++)
        cr_assert_eq(p.out[i], 0xa5, "nothing was decrypted");
    payload_free(&p);
    payload_free(&other);
}

/* HKDF-SHA-256 by Python's hmac module over the documented label. */
Test(age, commitment_is_the_documented_one) {
    static const uint8_t want[COMMITMENT_SIZE] = {0x7a, 0x04, 0xa5, 0x76, 0x2e, 0x22, 0x50, 0x63,
                                                  0x19, 0xe7, 0x5d, 0x67, 0x8f, 0xe9, 0xf9, 0x78,
                                                  0x67, 0xed, 0xfe, 0x2e, 0x57, 0x2b, 0x13, 0x10,
                                                  0x9b, 0x2b, 0x99, 0x48, 0x0e, 0x55, 0xa1, 0x52};
    uint8_t key[16], nonce[16], out[COMMITMENT_SIZE];
    for (uint8_t i = 0; i < 16; i++) {
        key[i] = i;
        nonce[i] = (uint8_t)(16 + i);
    }
    commitment_compute(key, nonce, out);
    cr_assert_eq(memcmp(out, want, sizeof out), 0);
}

/* ---- armor, identity files, whole files ---- */

Test(age, armor_round_trip_and_strictness) {
    uint8_t data[200], out[256];
    random_bytes(data, sizeof data);
    for (size_t n = 1; n <= sizeof data; n++) {
        size_t length = armor_encoded_size(n), size = 0;
        char text[1024];
        armor_encode(data, n, text);
        cr_assert(armor_detect(text, length));
        cr_assert_geq(armor_decoded_max(length), n);
        cr_assert_eq(armor_decode(text, length, out, sizeof out, &size, &error), STATUS_OK, "%s",
                     error.message);
        cr_assert(size == n && !memcmp(out, data, n));
        cr_assert_eq(armor_decode(text, length, out, n - 1, &size, &error), STATUS_TOO_LARGE);
        for (size_t cut = 0; cut + 1 < length; cut++)
            cr_assert_eq(armor_decode(text, cut, out, sizeof out, &size, &error), STATUS_INVALID);
    }
    cr_assert(!armor_detect("age-encryption.org/v1\n", 22));
    cr_assert(!armor_detect("", 0));
}

Test(age, identity_files) {
    struct age_identity *identity = age_x25519_generate(&error);
    char *text = secret_alloc(4096, &error);
    struct buf out = buf_of(text, 4096);
    age_keyfile_write(&out, identity, "acme", "acme-name");
    cr_assert(!out.failed);
    struct age_keyfile *file = NULL;
    cr_assert_eq(age_keyfile_parse(text, out.size, &file, &error), STATUS_OK, "%s", error.message);
    cr_assert_eq(file->count, 1);
    cr_assert_str_eq(file->tenant, "acme");
    cr_assert_str_eq(file->name, "acme-name");
    cr_assert_eq(memcmp(&file->identities[0], identity, sizeof *identity), 0);
    secret_free(file);
    file = NULL;

    age_keyfile_write(&out, identity, "acme", "acme-name");
    cr_assert_eq(age_keyfile_parse(text, out.size, &file, &error), STATUS_OK);
    cr_assert_eq(file->count, 2);
    secret_free(file);
    file = NULL;
    age_keyfile_write(&out, identity, "globex", NULL);
    cr_assert_eq(age_keyfile_parse(text, out.size, &file, &error), STATUS_INVALID);
    cr_assert_not_null(strstr(error.message, "line 9"), "%s", error.message);
    cr_assert_null(file);
    out.size = 0;
    age_keyfile_write(&out, identity, "acme", "acme-name");
    age_keyfile_write(&out, identity, "acme", "other-name");
    cr_assert_eq(age_keyfile_parse(text, out.size, &file, &error), STATUS_INVALID);
    cr_assert_not_null(strstr(error.message, "line 6"), "%s", error.message);
    cr_assert_null(file);
    out.size = 0;
    age_keyfile_write(&out, identity, "acme", NULL);
    cr_assert_eq(age_keyfile_parse(text, out.size, &file, &error), STATUS_OK, "%s", error.message);
    cr_assert_str_eq(file->name, "");
    secret_free(file);
    file = NULL;

    const char *bad[] = {"",           "# only a comment\n", "AGE-SECRET-KEY-1\n",
                         "age1qqqq\n", "# tenant: ../x\n",   "# name: a b\n"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_assert_eq(age_keyfile_parse(bad[i], strlen(bad[i]), &file, &error), STATUS_INVALID);
    char damaged[AGE_X25519_IDENTITY_SIZE];
    age_x25519_identity_format(identity, damaged);
    damaged[40] = damaged[40] == 'Q' ? 'P' : 'Q';
    cr_assert_eq(age_keyfile_parse(damaged, strlen(damaged), &file, &error), STATUS_INVALID);
    damaged[30] = '\0';
    cr_assert_null(strstr(error.message, damaged + 17), "an error never quotes a secret");
    secret_free(text);
    secret_free(identity);
}

Test(age, whole_files_in_memory) {
    struct age_identity *identity = age_x25519_generate(&error),
                        *stranger = age_x25519_generate(&error);
    const struct age_to to = {.recipients = &identity->recipient, .count = 1};
    struct age_keys keys = {.identities = identity, .count = 1};
    uint8_t file[2048], out[64] = {0};
    size_t size = 0, got = 99;
    cr_assert_eq(age_encrypt_bytes(&to, "hello", 5, file, sizeof file, &size, &error), STATUS_OK);
    cr_assert_eq(age_encrypt_bytes(&to, "hello", 5, file + 1024, 100, &got, &error),
                 STATUS_TOO_LARGE);
    cr_assert_eq(got, 99);
    cr_assert_eq(age_decrypt_bytes(&keys, file, size, out, 4, &got, &error), STATUS_TOO_LARGE);
    cr_assert_eq(age_decrypt_bytes(&keys, file, size, out, sizeof out, &got, &error), STATUS_OK);
    cr_assert_eq(got, 5);
    cr_assert_eq(memcmp(out, "hello", 5), 0);
    keys.identities = stranger;
    cr_assert_eq(age_decrypt_bytes(&keys, file, size, out, sizeof out, &got, &error),
                 STATUS_FORBIDDEN);
    secret_free(identity);
    secret_free(stranger);
}
