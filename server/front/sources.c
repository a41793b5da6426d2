#include "server/front/sources.h"

#include "base/message.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct source {
    char address[MESSAGE_CLIENT_MAX + 1];
    uint32_t open;
};

struct sources {
    pthread_mutex_t lock;
    size_t capacity, count;
    uint32_t per_source;
    struct source entries[];
};

struct sources *sources_new(size_t capacity, uint32_t per_source) {
    struct sources *s = calloc(1, sizeof *s + capacity * sizeof s->entries[0]);
    if (!s)
        return NULL;
    pthread_mutex_init(&s->lock, NULL);
    s->capacity = capacity;
    s->per_source = per_source;
    return s;
}

void sources_free(struct sources *sources) {
    if (!sources)
        return;
    pthread_mutex_destroy(&sources->lock);
    free(sources);
}

/* As many entries as connections, so a linear search is short and there is always a free one. */
bool sources_enter(struct sources *sources, const char *address, struct source **source) {
    struct source *found = NULL, *unused = NULL;
    bool within = true;
    pthread_mutex_lock(&sources->lock);
    for (size_t i = 0; i < sources->capacity && !found; i++) {
        struct source *entry = &sources->entries[i];
        if (!entry->open)
            unused = unused ? unused : entry;
        else if (strncmp(entry->address, address, MESSAGE_CLIENT_MAX) == 0)
            found = entry;
    }
    if (!found && unused) {
        found = unused;
        memset(found->address, 0, sizeof found->address);
        memcpy(found->address, address, strnlen(address, MESSAGE_CLIENT_MAX));
    }
    if (found) {
        found->open++;
        sources->count++;
        within = found->open <= sources->per_source;
    }
    pthread_mutex_unlock(&sources->lock);
    *source = found;
    return within && found;
}

void sources_leave(struct sources *sources, struct source *source) {
    if (!source)
        return;
    pthread_mutex_lock(&sources->lock);
    source->open--;
    sources->count--;
    pthread_mutex_unlock(&sources->lock);
}

uint32_t sources_over(struct sources *sources, const struct source *source) {
    pthread_mutex_lock(&sources->lock);
    uint32_t open = source->open;
    pthread_mutex_unlock(&sources->lock);
    return open > sources->per_source ? open - sources->per_source : 0;
}

size_t sources_count(struct sources *sources) {
    pthread_mutex_lock(&sources->lock);
    size_t count = sources->count;
    pthread_mutex_unlock(&sources->lock);
    return count;
}
