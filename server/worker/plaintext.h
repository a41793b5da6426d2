/* From a sealed payload to its plaintext in secret memory: size it, check the commitment, decrypt
 * chunk by chunk on several threads straight into the arena.
 *
 * The descriptor came through front, so nothing about it is believed: its size must be the one
 * that ledger recorded, and every chunk must verify under the file key. Where a commitment was
 * recorded it is checked before a byte is decrypted: age does not say who sealed a file, so without
 * that anyone who knows the recipient could put another model in the place of this one. Front can
 * change the file while it is read; then a chunk does not verify, and nothing of it is used. */
#ifndef SERVER_WORKER_PLAINTEXT_H
#define SERVER_WORKER_PLAINTEXT_H

#include "crypto/commitment.h"
#include "crypto/secret.h"
#include "server/worker/loading.h"

struct plaintext {
    struct secret_arena *arena;
    void *data;
    size_t size;
    uint8_t commitment[COMMITMENT_SIZE]; /* of what was opened */
};

/* `loading` is complete; its payload and file key are closed and wiped on every path. */
MUST_USE enum status plaintext_open(struct loading *loading, unsigned threads,
                                    struct plaintext *plaintext, struct error *error);
/* A session's discard (engine/session.h); `plaintext` is a struct plaintext. Other bytes than the
 * model's are left alone. */
void plaintext_discard(void *plaintext, const void *data, size_t size);
void plaintext_free(struct plaintext *plaintext); /* wipes; a struct of zeros and NULL are fine */

#endif
