#include "crypto/note.h"

#include <stdbool.h>
#include <string.h>

#include "crypto/ed25519.h"
#include "crypto/encoding.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "crypto/secret.h"

enum { TYPE_ED25519 = 0x01, ID_SIZE = 4, KEY_BYTES = 1 + 32 };

static const char signer_mark[] = "PRIVATE+KEY+";
static const char dash[] = "\xe2\x80\x94 "; /* em dash and space */

static uint32_t big_endian(const uint8_t b[ID_SIZE]) {
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

static bool name_ok(const char *name, size_t length) {
    if (length == 0 || length >= NOTE_NAME_SIZE)
        return false;
    for (size_t i = 0; i < length; i++)
        if (name[i] <= ' ' || name[i] > '~' || name[i] == '+')
            return false;
    return true;
}

/* The first four bytes of SHA-256(name || newline || type || public key). */
static uint32_t key_id(const char *name, size_t length, const uint8_t key[32]) {
    const uint8_t middle[2] = {'\n', TYPE_ED25519};
    uint8_t hash[HASH_SIZE];
    struct hash_state state;
    hash_start(&state);
    hash_update(&state, name, length);
    hash_update(&state, middle, sizeof middle);
    hash_update(&state, key, 32);
    hash_final(&state, hash);
    return big_endian(hash);
}

static void set_verifier(struct note_verifier *verifier, const char *name, size_t length,
                         const uint8_t key[32]) {
    memset(verifier, 0, sizeof *verifier);
    memcpy(verifier->name, name, length);
    memcpy(verifier->key, key, 32);
    verifier->id = key_id(name, length, key);
}

/* "<name>+<hash>+<base64 of type || 32 bytes>". */
static bool parse_key(const char *text, size_t length, size_t *name_length, uint32_t *id,
                      uint8_t bytes[32]) {
    const char *plus = memchr(text, '+', length);
    if (!plus)
        return false;
    size_t n = (size_t)(plus - text), rest = length - n;
    uint8_t hash[ID_SIZE], typed[KEY_BYTES];
    size_t got = 0;
    /* '+', 8 digits, '+', base64 */
    bool ok = name_ok(text, n) && rest > 10 && plus[9] == '+' &&
              encoding_unhex(plus + 1, 8, hash, sizeof hash) &&
              encoding_unbase64(plus + 10, rest - 10, ENCODING_PADDED, typed, sizeof typed, &got) &&
              got == sizeof typed && typed[0] == TYPE_ED25519;
    for (size_t i = 1; ok && i <= 8; i++)
        ok = !(plus[i] >= 'A' && plus[i] <= 'F');
    if (ok) {
        *name_length = n;
        *id = big_endian(hash);
        memcpy(bytes, typed + 1, 32);
    }
    secret_wipe(typed, sizeof typed);
    return ok;
}

static void format_key(const char *name, uint32_t id, const uint8_t bytes[32], struct buf *out) {
    uint8_t typed[KEY_BYTES] = {TYPE_ED25519};
    char text[ENCODING_BASE64_SIZE(KEY_BYTES)];
    memcpy(typed + 1, bytes, 32);
    encoding_base64(typed, sizeof typed, ENCODING_PADDED, text);
    const uint8_t hash[ID_SIZE] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16), (uint8_t)(id >> 8),
                                   (uint8_t)id};
    char digits[ENCODING_HEX_SIZE(ID_SIZE)];
    encoding_hex(hash, sizeof hash, digits);
    buf_string(out, name);
    buf_u8(out, '+');
    buf_string(out, digits);
    buf_u8(out, '+');
    buf_string(out, text);
    secret_wipe(typed, sizeof typed);
    secret_wipe(text, sizeof text);
}

static void set_signer(struct note_signer *signer, const char *name, size_t length,
                       const uint8_t seed[32]) {
    uint8_t key[32];
    ed25519_from_seed(seed, signer->secret, key);
    set_verifier(&signer->verifier, name, length, key);
}

enum status note_generate(const char *name, struct note_signer *signer, struct error *error) {
    size_t length = strlen(name);
    if (!name_ok(name, length))
        return status_fail(error, STATUS_INVALID,
                           "name of a signing key: 1 to %d visible ASCII characters without '+'",
                           NOTE_NAME_SIZE - 1);
    uint8_t seed[32];
    random_bytes(seed, sizeof seed);
    set_signer(signer, name, length, seed);
    secret_wipe(seed, sizeof seed);
    return STATUS_OK;
}

enum status note_signer_parse(const char *text, size_t length, struct note_signer *signer,
                              struct error *error) {
    const size_t mark = sizeof signer_mark - 1;
    uint8_t seed[32], secret[64], key[32];
    size_t name_length = 0;
    uint32_t id = 0;
    bool ok = length > mark && memcmp(text, signer_mark, mark) == 0 &&
              parse_key(text + mark, length - mark, &name_length, &id, seed);
    if (ok) {
        ed25519_from_seed(seed, secret, key);
        ok = key_id(text + mark, name_length, key) == id;
    }
    if (ok)
        set_signer(signer, text + mark, name_length, seed);
    secret_wipe(seed, sizeof seed);
    secret_wipe(secret, sizeof secret);
    return ok ? STATUS_OK
              : status_fail(error, STATUS_INVALID,
                            "signing key: not \"PRIVATE+KEY+<name>+<id>+<base64>\" of an Ed25519 "
                            "key with its own id");
}

void note_signer_format(const struct note_signer *signer, struct buf *out) {
    buf_string(out, signer_mark);
    /* The seed is the first half of the secret. */
    format_key(signer->verifier.name, signer->verifier.id, signer->secret, out);
}

enum status note_verifier_parse(const char *text, size_t length, struct note_verifier *verifier,
                                struct error *error) {
    uint8_t key[32];
    size_t name_length;
    uint32_t id;
    if (!parse_key(text, length, &name_length, &id, key) || key_id(text, name_length, key) != id)
        return status_fail(error, STATUS_INVALID,
                           "verifier key: not \"<name>+<id>+<base64>\" of an Ed25519 key with its "
                           "own id");
    set_verifier(verifier, text, name_length, key);
    return STATUS_OK;
}

void note_verifier_format(const struct note_verifier *verifier, struct buf *out) {
    format_key(verifier->name, verifier->id, verifier->key, out);
}

/* Length of the UTF-8 character at the front, in its shortest form and no surrogate; 0 for none. */
static size_t utf8_length(const uint8_t *p, size_t left) {
    if (p[0] < 0x80)
        return 1;
    size_t n = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || left < n)
        return 0;
    for (size_t i = 1; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return n;
}

static bool text_ok(const char *text, size_t length) {
    const uint8_t *p = (const uint8_t *)text;
    for (size_t at = 0; at < length;) {
        if (p[at] < ' ' && p[at] != '\n')
            return false;
        size_t n = utf8_length(p + at, length - at);
        if (n == 0)
            return false;
        at += n;
    }
    return true;
}

enum status note_sign(const struct note_signer *signer, const char *text, size_t length,
                      struct buf *out, struct error *error) {
    if (length == 0 || text[length - 1] != '\n' || !text_ok(text, length))
        return status_fail(error, STATUS_INVALID,
                           "note: its text must be UTF-8 that ends in a newline, without other "
                           "control characters");
    if (out->failed || out->capacity - out->size < NOTE_SIGNATURE_LINE_MAX ||
        length > out->capacity - out->size - NOTE_SIGNATURE_LINE_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "note: %zu bytes of text do not fit", length);
    const uint32_t id = signer->verifier.id;
    uint8_t blob[ID_SIZE + ED25519_SIGNATURE_SIZE] = {(uint8_t)(id >> 24), (uint8_t)(id >> 16),
                                                      (uint8_t)(id >> 8), (uint8_t)id};
    ed25519_sign(signer->secret, text, length, blob + ID_SIZE);
    char encoded[ENCODING_BASE64_SIZE(sizeof blob)];
    encoding_base64(blob, sizeof blob, ENCODING_PADDED, encoded);
    buf_bytes(out, text, length);
    buf_u8(out, '\n');
    buf_string(out, dash);
    buf_string(out, signer->verifier.name);
    buf_u8(out, ' ');
    buf_string(out, encoded);
    buf_u8(out, '\n');
    return STATUS_OK;
}

enum signature { SIGNATURE_MALFORMED, SIGNATURE_OTHER, SIGNATURE_WRONG, SIGNATURE_RIGHT };

/* One signature line without its newline, over text[0..text_length). */
static enum signature check_line(const struct note_verifier *verifier, const char *line,
                                 size_t length, const char *text, size_t text_length) {
    const size_t mark = sizeof dash - 1;
    if (length <= mark || memcmp(line, dash, mark) != 0)
        return SIGNATURE_MALFORMED;
    line += mark;
    length -= mark;
    const char *space = memchr(line, ' ', length);
    if (!space || space == line || memchr(line, '+', (size_t)(space - line)))
        return SIGNATURE_MALFORMED;
    size_t name_length = (size_t)(space - line);
    size_t encoded = length - name_length - 1;
    /* Another's signature may be of any algorithm, and longer than ours: its text is not decoded.
     */
    if (encoded == 0)
        return SIGNATURE_MALFORMED;
    if (name_length != strlen(verifier->name) || memcmp(line, verifier->name, name_length) != 0)
        return SIGNATURE_OTHER;
    uint8_t blob[ID_SIZE + ED25519_SIGNATURE_SIZE];
    size_t got;
    uint8_t id[6];
    if (encoded < 8 || !encoding_unbase64(space + 1, 8, ENCODING_PADDED, id, sizeof id, &got))
        return SIGNATURE_MALFORMED;
    if (got < ID_SIZE || big_endian(id) != verifier->id)
        return SIGNATURE_OTHER;
    if (!encoding_unbase64(space + 1, encoded, ENCODING_PADDED, blob, sizeof blob, &got) ||
        got != sizeof blob)
        return SIGNATURE_MALFORMED;
    return ed25519_verify(verifier->key, text, text_length, blob + ID_SIZE) ? SIGNATURE_RIGHT
                                                                            : SIGNATURE_WRONG;
}

/* Where the signature lines begin: after the last empty line. 0 for nowhere. */
static size_t find_signatures(const char *note, size_t length) {
    for (size_t i = length; i >= 2; i--)
        if (note[i - 1] == '\n' && note[i - 2] == '\n')
            return i;
    return 0;
}

enum status note_verify(const struct note_verifier *verifier, const char *note, size_t length,
                        size_t *text_length, struct error *error) {
    if (length > NOTE_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "note: %zu bytes, at most %d", length,
                           NOTE_MAX);
    size_t at = find_signatures(note, length);
    if (at < 3 || at == length || note[length - 1] != '\n' || !text_ok(note, length))
        return status_fail(error, STATUS_INVALID,
                           "note: not text, an empty line, and signature lines");
    size_t text = at - 1; /* the empty line is no part of it */
    bool found = false;
    for (size_t count = 0; at < length; count++) {
        const char *end = memchr(note + at, '\n', length - at);
        size_t n = (size_t)(end - (note + at));
        if (count == NOTE_SIGNATURES)
            return status_fail(error, STATUS_TOO_LARGE, "note: more than %d signatures",
                               NOTE_SIGNATURES);
        switch (check_line(verifier, note + at, n, note, text)) {
        case SIGNATURE_MALFORMED:
            return status_fail(error, STATUS_INVALID, "note: signature %zu is malformed",
                               count + 1);
        case SIGNATURE_WRONG:
            return status_fail(error, STATUS_FORBIDDEN,
                               "note: the signature by \"%s\" does not verify", verifier->name);
        case SIGNATURE_RIGHT:
            found = true;
            break;
        case SIGNATURE_OTHER:
            break;
        }
        at += n + 1;
    }
    if (!found)
        return status_fail(error, STATUS_FORBIDDEN, "note: no signature by \"%s\" with its key",
                           verifier->name);
    *text_length = text;
    return STATUS_OK;
}
