#include "crypto/stream.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/aead.h"
#include "crypto/hkdf.h"
#include "crypto/random.h"
#include "crypto/secret.h"

enum { SEALED_CHUNK = STREAM_CHUNK_SIZE + STREAM_TAG_SIZE, THREADS_MAX = 64 };
_Static_assert(STREAM_TAG_SIZE == AEAD_TAG_SIZE, "one tag");

static void payload_key(const uint8_t file_key[AGE_FILE_KEY_SIZE],
                        const uint8_t nonce[STREAM_NONCE_SIZE], uint8_t key[AEAD_KEY_SIZE]) {
    hkdf_key(file_key, AGE_FILE_KEY_SIZE, nonce, STREAM_NONCE_SIZE, "payload", key);
}

/* Eleven bytes of big-endian counter, of which eight are more than any file needs, and the flag. */
static void chunk_nonce(uint64_t index, bool final, uint8_t nonce[AEAD_NONCE_SIZE]) {
    memset(nonce, 0, AEAD_NONCE_SIZE);
    for (unsigned i = 0; i < 8; i++)
        nonce[10 - i] = (uint8_t)(index >> (8 * i));
    nonce[AEAD_NONCE_SIZE - 1] = final;
}

static bool open_chunk(const uint8_t key[AEAD_KEY_SIZE], uint64_t index, bool final,
                       const uint8_t *sealed, size_t size, uint8_t *plain) {
    uint8_t nonce[AEAD_NONCE_SIZE];
    chunk_nonce(index, final, nonce);
    return aead_open(key, nonce, NULL, 0, sealed, size, plain);
}

static enum status damaged(struct error *error, const char *what) {
    return status_fail(error, STATUS_UNSERVABLE, "sealed payload: %s", what);
}

static enum status chunk_damaged(struct error *error, uint64_t index) {
    return status_fail(error, STATUS_UNSERVABLE,
                       "sealed payload: chunk %llu does not verify: altered, cut, moved, or sealed "
                       "under another key",
                       (unsigned long long)index);
}

enum status stream_plain_size(uint64_t size, uint64_t *plain, struct error *error) {
    if (size < STREAM_NONCE_SIZE + STREAM_TAG_SIZE)
        return damaged(error, "cut: too short to hold anything");
    uint64_t body = size - STREAM_NONCE_SIZE;
    uint64_t chunks = body / SEALED_CHUNK + (body % SEALED_CHUNK != 0);
    uint64_t last = body - (chunks - 1) * SEALED_CHUNK;
    if (last < STREAM_TAG_SIZE)
        return damaged(error, "cut: its last chunk is incomplete");
    if (last == STREAM_TAG_SIZE && chunks > 1)
        return damaged(error, "its last chunk is empty");
    *plain = body - chunks * STREAM_TAG_SIZE;
    return STATUS_OK;
}

uint64_t stream_sealed_size(uint64_t plain) {
    uint64_t chunks = plain / STREAM_CHUNK_SIZE + (plain % STREAM_CHUNK_SIZE != 0);
    return STREAM_NONCE_SIZE + plain + (chunks ? chunks : 1) * STREAM_TAG_SIZE;
}

/* ---- in order, one thread ---- */

/* Buffers of one pass. One byte more than a chunk is read ahead, to know whether more follows. */
struct pass {
    uint8_t *sealed; /* SEALED_CHUNK + 1, ordinary memory: ciphertext */
    struct secrets {
        uint8_t key[AEAD_KEY_SIZE];
        uint8_t plain[STREAM_CHUNK_SIZE + 1];
    } * secrets;
};

static enum status pass_begin(struct pass *pass, struct error *error) {
    pass->sealed = malloc(SEALED_CHUNK + 1);
    if (!pass->sealed)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    pass->secrets = secret_alloc(sizeof *pass->secrets, error);
    return pass->secrets ? STATUS_OK : STATUS_UNAVAILABLE;
}

static void pass_end(struct pass *pass) {
    secret_free(pass->secrets);
    free(pass->sealed);
}

/* One chunk of `size` bytes; *final becomes true with the flagged one. What verifies is written
 * even where what follows will show the payload to be damaged, as age does. */
static enum status decrypt_chunk(struct pass *pass, uint64_t index, size_t size, bool *final,
                                 stream_write write, void *context, struct error *error) {
    const uint8_t *key = pass->secrets->key;
    uint8_t *plain = pass->secrets->plain;
    if (size < STREAM_TAG_SIZE)
        return damaged(error, "cut: its last chunk is incomplete or missing");
    if (size == SEALED_CHUNK && open_chunk(key, index, false, pass->sealed, size, plain))
        return write(context, plain, STREAM_CHUNK_SIZE, error);
    if (!open_chunk(key, index, true, pass->sealed, size, plain))
        return chunk_damaged(error, index);
    if (size == STREAM_TAG_SIZE && index > 0)
        return damaged(error, "its last chunk is empty");
    *final = true;
    return size == STREAM_TAG_SIZE ? STATUS_OK
                                   : write(context, plain, size - STREAM_TAG_SIZE, error);
}

enum status stream_decrypt(const uint8_t file_key[AGE_FILE_KEY_SIZE], stream_read read,
                           void *read_context, stream_write write, void *write_context,
                           struct error *error) {
    struct pass pass = {0};
    uint8_t nonce[STREAM_NONCE_SIZE];
    size_t got = 0, held = 0;
    bool final = false, more = true;
    enum status status = pass_begin(&pass, error);
    if (status == STATUS_OK)
        status = read(read_context, nonce, sizeof nonce, &got, error);
    if (status == STATUS_OK && got < sizeof nonce)
        status = damaged(error, "cut: too short to hold anything");
    if (status == STATUS_OK)
        payload_key(file_key, nonce, pass.secrets->key);
    for (uint64_t index = 0; status == STATUS_OK && more; index++) {
        status = read(read_context, pass.sealed + held, SEALED_CHUNK + 1 - held, &got, error);
        if (status != STATUS_OK)
            break;
        held += got;
        more = held > SEALED_CHUNK;
        status = decrypt_chunk(&pass, index, more ? SEALED_CHUNK : held, &final, write,
                               write_context, error);
        if (status == STATUS_OK && final && more)
            status = damaged(error, "bytes follow its last chunk");
        pass.sealed[0] = pass.sealed[SEALED_CHUNK];
        held = 1;
    }
    if (status == STATUS_OK && !final)
        status = damaged(error, "cut: its last chunk is missing");
    pass_end(&pass);
    return status;
}

enum status stream_encrypt(const uint8_t file_key[AGE_FILE_KEY_SIZE], stream_read read,
                           void *read_context, stream_write write, void *write_context,
                           struct error *error) {
    struct pass pass = {0};
    uint8_t nonce[STREAM_NONCE_SIZE];
    size_t got = 0, held = 0;
    bool more = true;
    enum status status = pass_begin(&pass, error);
    if (status != STATUS_OK)
        goto out;
    random_bytes(nonce, sizeof nonce);
    payload_key(file_key, nonce, pass.secrets->key);
    status = write(write_context, nonce, sizeof nonce, error);
    uint8_t *plain = pass.secrets->plain;
    for (uint64_t index = 0; status == STATUS_OK && more; index++) {
        status = read(read_context, plain + held, STREAM_CHUNK_SIZE + 1 - held, &got, error);
        if (status != STATUS_OK)
            break;
        held += got;
        more = held > STREAM_CHUNK_SIZE;
        size_t size = more ? STREAM_CHUNK_SIZE : held;
        uint8_t at[AEAD_NONCE_SIZE];
        chunk_nonce(index, !more, at);
        aead_seal(pass.secrets->key, at, NULL, 0, plain, size, pass.sealed);
        status = write(write_context, pass.sealed, size + STREAM_TAG_SIZE, error);
        plain[0] = plain[STREAM_CHUNK_SIZE];
        held = 1;
    }
out:
    pass_end(&pass);
    return status;
}

/* ---- in any order, several threads ---- */

struct job {
    const struct stream_source *source;
    const uint8_t *key;
    uint8_t *out;
    uint64_t plain_size;
    uint64_t chunks;
    atomic_uint_fast64_t next; /* the next chunk nobody has taken */
    atomic_bool failed;        /* others stop at their next chunk */
    pthread_mutex_t lock;      /* of the two below */
    enum status status;
    struct error error;
};

struct hand {
    struct job *job;
    uint8_t *sealed; /* SEALED_CHUNK */
    pthread_t thread;
    bool started;
};

static void job_fail(struct job *job, enum status status, const struct error *error) {
    pthread_mutex_lock(&job->lock);
    if (job->status == STATUS_OK) {
        job->status = status;
        job->error = *error;
    }
    pthread_mutex_unlock(&job->lock);
    atomic_store(&job->failed, true);
}

static void *take_chunks(void *context) {
    struct hand *hand = context;
    struct job *job = hand->job;
    struct error error = {0};
    while (!atomic_load(&job->failed)) {
        uint64_t index = atomic_fetch_add(&job->next, 1);
        if (index >= job->chunks)
            break;
        bool final = index == job->chunks - 1;
        uint64_t from = index * STREAM_CHUNK_SIZE;
        size_t size = (size_t)(final ? job->plain_size - from : STREAM_CHUNK_SIZE);
        enum status status =
            job->source->read_at(job->source->context, STREAM_NONCE_SIZE + index * SEALED_CHUNK,
                                 hand->sealed, size + STREAM_TAG_SIZE, &error);
        if (status == STATUS_OK && !open_chunk(job->key, index, final, hand->sealed,
                                               size + STREAM_TAG_SIZE, job->out + from))
            status = chunk_damaged(&error, index);
        if (status != STATUS_OK)
            job_fail(job, status, &error);
    }
    return NULL;
}

static enum status run_job(struct job *job, unsigned threads, struct error *error) {
    struct hand hands[THREADS_MAX] = {{0}};
    uint8_t *buffers = malloc((size_t)threads * SEALED_CHUNK);
    if (!buffers)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    for (unsigned i = 0; i < threads; i++)
        hands[i] = (struct hand){.job = job, .sealed = buffers + (size_t)i * SEALED_CHUNK};
    for (unsigned i = 1; i < threads; i++)
        hands[i].started = pthread_create(&hands[i].thread, NULL, take_chunks, &hands[i]) == 0;
    take_chunks(&hands[0]);
    for (unsigned i = 1; i < threads; i++)
        if (hands[i].started)
            pthread_join(hands[i].thread, NULL);
    free(buffers);
    if (job->status != STATUS_OK && error)
        *error = job->error;
    return job->status;
}

/* The nonce, what the caller says to it, and the key that follows from it. */
static enum status source_key(const uint8_t file_key[AGE_FILE_KEY_SIZE],
                              const struct stream_source *source, uint8_t key[AEAD_KEY_SIZE],
                              struct error *error) {
    uint8_t nonce[STREAM_NONCE_SIZE];
    enum status status = source->read_at(source->context, 0, nonce, sizeof nonce, error);
    if (status == STATUS_OK && source->check)
        status = source->check(source->check_context, nonce, error);
    if (status == STATUS_OK)
        payload_key(file_key, nonce, key);
    return status;
}

enum status stream_decrypt_parallel(const uint8_t file_key[AGE_FILE_KEY_SIZE],
                                    const struct stream_source *source, void *out, size_t out_size,
                                    unsigned threads, struct error *error) {
    uint64_t plain_size;
    enum status status = stream_plain_size(source->size, &plain_size, error);
    if (status != STATUS_OK)
        return status;
    if (plain_size != out_size)
        return status_fail(error, STATUS_INVALID,
                           "sealed payload: %llu bytes of plaintext, the buffer has %zu",
                           (unsigned long long)plain_size, out_size);
    uint8_t *key = secret_alloc(AEAD_KEY_SIZE, error);
    if (!key)
        return STATUS_UNAVAILABLE;
    uint64_t chunks = plain_size / STREAM_CHUNK_SIZE + (plain_size % STREAM_CHUNK_SIZE != 0);
    struct job job = {.source = source,
                      .key = key,
                      .out = out,
                      .plain_size = plain_size,
                      .chunks = chunks ? chunks : 1,
                      .lock = PTHREAD_MUTEX_INITIALIZER};
    if (threads > THREADS_MAX)
        threads = THREADS_MAX;
    if (threads > job.chunks)
        threads = (unsigned)job.chunks;
    status = source_key(file_key, source, key, error);
    if (status == STATUS_OK) {
        status = run_job(&job, threads ? threads : 1, error);
        if (status != STATUS_OK)
            secret_wipe(out, out_size);
    }
    secret_free(key);
    return status;
}

/* ---- memory as source and sink ---- */

enum status stream_bytes_read_at(void *context, uint64_t offset, void *data, size_t size,
                                 struct error *error) {
    const struct stream_bytes *bytes = context;
    if (offset > bytes->size || size > bytes->size - offset)
        return damaged(error, "cut");
    memcpy(data, bytes->data + offset, size);
    return STATUS_OK;
}

enum status stream_bytes_read(void *context, void *data, size_t size, size_t *got,
                              struct error *error) {
    (void)error;
    struct stream_bytes *bytes = context;
    size_t left = bytes->size - bytes->offset;
    *got = size < left ? size : left;
    if (*got)
        memcpy(data, bytes->data + bytes->offset, *got);
    bytes->offset += *got;
    return STATUS_OK;
}

enum status stream_bytes_write(void *context, const void *data, size_t size, struct error *error) {
    struct stream_bytes *bytes = context;
    if (size > bytes->size - bytes->offset)
        return status_fail(error, STATUS_TOO_LARGE, "more than the %zu bytes there is room for",
                           bytes->size);
    if (size)
        memcpy(bytes->data + bytes->offset, data, size);
    bytes->offset += size;
    return STATUS_OK;
}
