/* C2SP signed notes (https://c2sp.org/signed-note), Ed25519 only (signature type 0x01).
 *
 *   verifier key  <name>+<8 hex digits of the key id>+<base64 of 0x01 || public key>
 *   signer key    PRIVATE+KEY+<name>+<8 hex digits>+<base64 of 0x01 || seed>
 *   note          text, an empty line, then lines "— <name> <base64 of key id || signature>"
 * These are the forms of golang.org/x/mod/sumdb/note, whose tools read ours.
 *
 * Signers, and the text of a signer key, stand in secret memory of the caller. Notes and keys from
 * outside are untrusted: STATUS_INVALID where malformed, STATUS_FORBIDDEN where no signature by the
 * verifier is there or one does not verify. */
#ifndef CRYPTO_NOTE_H
#define CRYPTO_NOTE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

#define NOTE_NAME_SIZE 129          /* name with its NUL */
#define NOTE_VERIFIER_KEY_SIZE 192  /* text of a verifier key with its NUL, at most */
#define NOTE_SIGNER_KEY_SIZE 208    /* text of a signer key with its NUL, at most */
#define NOTE_MAX (1024 * 1024)      /* bytes of a note */
#define NOTE_SIGNATURES 64          /* signature lines looked at */
#define NOTE_SIGNATURE_LINE_MAX 256 /* bytes that note_sign adds to the text, at most */

struct note_verifier {
    char name[NOTE_NAME_SIZE];
    uint32_t id;
    uint8_t key[32];
};
struct note_signer {
    struct note_verifier verifier;
    uint8_t secret[64];
};

/* A fresh key. The name: 1 to 128 bytes of visible ASCII without '+'. */
MUST_USE enum status note_generate(const char *name, struct note_signer *signer,
                                   struct error *error);
MUST_USE enum status note_signer_parse(const char *text, size_t length, struct note_signer *signer,
                                       struct error *error);
/* Secret text. Overflow shows as out->failed; no NUL is written. */
void note_signer_format(const struct note_signer *signer, struct buf *out);
MUST_USE enum status note_verifier_parse(const char *text, size_t length,
                                         struct note_verifier *verifier, struct error *error);
void note_verifier_format(const struct note_verifier *verifier, struct buf *out);

/* Append text, empty line and signature line to `out`. The text ends in a newline, is UTF-8, and
 * has no other control character: STATUS_INVALID otherwise; STATUS_TOO_LARGE where out is full. */
MUST_USE enum status note_sign(const struct note_signer *signer, const char *text, size_t length,
                               struct buf *out, struct error *error);
/* *text_length becomes the length of the text at the front of the note, once a signature by this
 * verifier has verified; signatures by others are ignored. */
MUST_USE enum status note_verify(const struct note_verifier *verifier, const char *note,
                                 size_t length, size_t *text_length, struct error *error);

#endif
