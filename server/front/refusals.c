#include "server/front/refusals.h"

#include "base/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define NEIGHBOURS 16 /* entries that an address may lie in */

struct entry {
    char address[MESSAGE_CLIENT_MAX + 1];
    uint32_t count; /* 0: free */
    uint64_t until; /* the end of its minute */
};

struct refusals {
    pthread_mutex_t lock;
    size_t capacity;
    uint32_t per_window;
    struct entry entries[];
};

struct refusals *refusals_new(size_t sources, uint32_t per_window) {
    size_t capacity = sources < NEIGHBOURS ? NEIGHBOURS : sources;
    struct refusals *r = calloc(1, sizeof *r + capacity * sizeof r->entries[0]);
    if (!r)
        return NULL;
    pthread_mutex_init(&r->lock, NULL);
    r->capacity = capacity;
    r->per_window = per_window;
    return r;
}

void refusals_free(struct refusals *refusals) {
    if (!refusals)
        return;
    pthread_mutex_destroy(&refusals->lock);
    free(refusals);
}

/* FNV-1a: places entries only. */
static size_t place(const struct refusals *r, const char *address) {
    uint32_t hash = 2166136261u;
    for (; *address; address++)
        hash = (hash ^ (uint8_t)*address) * 16777619u;
    return hash % r->capacity;
}

/* The entry of that address, or NULL and the best one to give it. */
static struct entry *find(struct refusals *r, const char *address, uint64_t now,
                          struct entry **spare) {
    size_t at = place(r, address);
    *spare = NULL;
    for (size_t i = 0; i < NEIGHBOURS; i++) {
        struct entry *e = &r->entries[(at + i) % r->capacity];
        if (e->count && now >= e->until)
            e->count = 0;
        if (e->count && strncmp(e->address, address, MESSAGE_CLIENT_MAX) == 0)
            return e;
        if (!*spare || e->count < (*spare)->count)
            *spare = e;
    }
    return NULL;
}

bool refusals_count(struct refusals *refusals, const char *address, uint64_t now) {
    struct entry *spare;
    pthread_mutex_lock(&refusals->lock);
    struct entry *e = find(refusals, address, now, &spare);
    if (!e) {
        e = spare;
        *e = (struct entry){.until = now + REFUSALS_WINDOW_MS};
        memcpy(e->address, address, strnlen(address, MESSAGE_CLIENT_MAX));
    }
    if (e->count < UINT32_MAX)
        e->count++;
    bool last = e->count == refusals->per_window;
    pthread_mutex_unlock(&refusals->lock);
    return last;
}

uint32_t refusals_wait(struct refusals *refusals, const char *address, uint64_t now) {
    struct entry *spare;
    uint32_t seconds = 0;
    pthread_mutex_lock(&refusals->lock);
    const struct entry *e = find(refusals, address, now, &spare);
    if (e && e->count >= refusals->per_window)
        seconds = (uint32_t)((e->until - now) / 1000) + 1;
    pthread_mutex_unlock(&refusals->lock);
    return seconds;
}
