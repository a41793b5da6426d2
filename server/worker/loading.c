#include "server/worker/loading.h"

#include "crypto/secret.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct loading *loading_find(const struct loading_table *table, uint64_t load) {
    for (size_t i = 0; i < LOADING_MAX; i++)
        if (table->entries[i] && table->entries[i]->load == load)
            return table->entries[i];
    return NULL;
}

static struct loading *find_or_make(struct loading_table *table, uint64_t load, uint64_t now_ms,
                                    struct error *error) {
    struct loading *found = loading_find(table, load);
    if (found)
        return found;
    for (size_t i = 0; i < LOADING_MAX; i++)
        if (!table->entries[i]) {
            if (!(found = calloc(1, sizeof *found)))
                break;
            *found = (struct loading){.load = load, .began_ms = now_ms, .payload = -1};
            table->entries[i] = found;
            return found;
        }
    status_fail(error, STATUS_UNAVAILABLE, "too many models are being loaded at once");
    return NULL;
}

static uint8_t *copy(struct bytes from) {
    uint8_t *to = malloc(from.size ? from.size : 1);
    if (to && from.size)
        memcpy(to, from.data, from.size);
    return to;
}

struct loading *loading_asked(struct loading_table *table, const struct message_load *ask,
                              uint64_t now_ms, struct error *error) {
    if (ask->memory > MESSAGE_MEMORY_SECRET) {
        status_fail(error, STATUS_INTERNAL, "the memory that is asked for is of no kind");
        return NULL;
    }
    if (ask->commitment.size != 0 && ask->commitment.size != COMMITMENT_SIZE) {
        status_fail(error, STATUS_INTERNAL, "the recorded commitment has the wrong size");
        return NULL;
    }
    struct loading *l = find_or_make(table, ask->load, now_ms, error);
    if (!l)
        return NULL;
    uint8_t *header = copy(ask->header), *wrapped = copy(ask->wrapped);
    if (l->asked || !header || !wrapped) {
        status_fail(error, STATUS_UNAVAILABLE,
                    l->asked ? "the model is being loaded already" : "out of memory");
        free(header);
        free(wrapped);
        return NULL;
    }
    l->asked = true;
    l->model = ask->model;
    l->payload_bytes = ask->payload_bytes;
    l->domains = ask->domains;
    l->memory = ask->memory;
    l->header = header;
    l->header_size = ask->header.size;
    l->wrapped = wrapped;
    l->wrapped_size = ask->wrapped.size;
    l->committed = ask->commitment.size == COMMITMENT_SIZE;
    if (l->committed)
        memcpy(l->commitment, ask->commitment.data, COMMITMENT_SIZE);
    return l;
}

struct loading *loading_payload(struct loading_table *table, uint64_t load, int payload,
                                uint64_t now_ms, struct error *error) {
    struct loading *l = find_or_make(table, load, now_ms, error);
    if (!l)
        return NULL;
    if (l->payload >= 0) {
        status_fail(error, STATUS_INVALID, "the payload is here already");
        return NULL;
    }
    l->payload = payload;
    return l;
}

struct loading *loading_key(struct loading_table *table, uint64_t load, struct bytes file_key,
                            struct error *error) {
    struct loading *l = loading_find(table, load);
    if (!l || !l->asked || l->file_key || file_key.size != AGE_FILE_KEY_SIZE) {
        status_fail(error, STATUS_INVALID, "nobody asked for that key");
        return NULL;
    }
    if (!(l->file_key = secret_alloc(AGE_FILE_KEY_SIZE, error)))
        return NULL;
    memcpy(l->file_key, file_key.data, AGE_FILE_KEY_SIZE);
    free(l->header);
    free(l->wrapped);
    l->header = l->wrapped = NULL;
    return l;
}

bool loading_complete(const struct loading *loading) {
    return loading->asked && loading->payload >= 0 && loading->file_key;
}

struct loading *loading_orphan(const struct loading_table *table, uint64_t now_ms) {
    for (size_t i = 0; i < LOADING_MAX; i++)
        if (table->entries[i] && !table->entries[i]->asked &&
            now_ms - table->entries[i]->began_ms >= LOADING_PATIENCE_MS)
            return table->entries[i];
    return NULL;
}

struct loading *loading_late(const struct loading_table *table, uint64_t now_ms) {
    for (size_t i = 0; i < LOADING_MAX; i++)
        if (table->entries[i] && table->entries[i]->asked &&
            now_ms - table->entries[i]->began_ms >= LOADING_PATIENCE_MS)
            return table->entries[i];
    return NULL;
}

void loading_take(struct loading_table *table, struct loading *loading) {
    for (size_t i = 0; i < LOADING_MAX; i++)
        if (table->entries[i] == loading)
            table->entries[i] = NULL;
}

void loading_free(struct loading *loading) {
    if (!loading)
        return;
    if (loading->payload >= 0)
        close(loading->payload);
    secret_free(loading->file_key);
    free(loading->header);
    free(loading->wrapped);
    free(loading);
}
