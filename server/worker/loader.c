#include "server/worker/loader.h"

#include "base/log.h"

#include <pthread.h>
#include <stdlib.h>

struct waiting {
    struct waiting *next;
    struct loading *loading;
    bool unwanted;
};

struct loader {
    struct loader_options options;
    pthread_t thread;
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    struct waiting *first; /* the one that is being opened stays first until it is done */
    bool leaving;
};

static enum status open_one(struct loader *l, struct loading *loading, struct resident **resident,
                            struct error *error) {
    struct plaintext plaintext = {0};
    enum status status = plaintext_open(loading, l->options.resident.threads, &plaintext, error);
    if (status == STATUS_OK)
        status = resident_open(loading, &plaintext, &l->options.resident, resident, error);
    plaintext_free(&plaintext);
    return status;
}

/* The entry leaves the queue before the model enters the table: an UNLOAD finds it in one of them.
 */
static bool finish(struct loader *l, struct waiting *done, struct resident *resident) {
    pthread_mutex_lock(&l->mutex);
    bool wanted = !done->unwanted;
    l->first = done->next;
    if (wanted && resident)
        resident_add(l->options.table, resident);
    pthread_mutex_unlock(&l->mutex);
    return wanted;
}

static void load(struct loader *l, struct waiting *next) {
    struct loading *loading = next->loading;
    struct resident *resident = NULL;
    struct error error = {0};
    enum status status = open_one(l, loading, &resident, &error);
    if (status == STATUS_OK)
        links_signature(l->options.links, resident);
    bool wanted = finish(l, next, resident);
    if (status != STATUS_OK) {
        /* The message may quote the model's own names: it is for its tenant, not for the log. */
        log_warn("a model was not loaded load=%llu reason=%s", (unsigned long long)loading->load,
                 status_name(status));
        links_load_failed(l->options.links, loading->load, &error);
    } else if (!wanted) {
        status_fail(&error, STATUS_UNAVAILABLE, "the model was unloaded");
        links_load_failed(l->options.links, loading->load, &error);
    } else {
        log_info("loaded load=%llu model=%llu secret_bytes=%llu", (unsigned long long)loading->load,
                 (unsigned long long)resident->handle, (unsigned long long)resident->secret_bytes);
        links_loaded(l->options.links, loading->load, resident);
    }
    resident_release(l->options.table, resident);
    loading_free(loading);
    free(next);
}

static void *run(void *context) {
    struct loader *l = context;
    for (;;) {
        pthread_mutex_lock(&l->mutex);
        while (!l->first && !l->leaving)
            pthread_cond_wait(&l->changed, &l->mutex);
        struct waiting *next = l->leaving ? NULL : l->first;
        pthread_mutex_unlock(&l->mutex);
        if (!next)
            return NULL;
        load(l, next);
    }
}

enum status loader_new(const struct loader_options *options, struct loader **loader,
                       struct error *error) {
    struct loader *made = calloc(1, sizeof *made);
    if (!made)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    made->options = *options;
    pthread_mutex_init(&made->mutex, NULL);
    pthread_cond_init(&made->changed, NULL);
    if (pthread_create(&made->thread, NULL, run, made) != 0) {
        free(made);
        return status_fail(error, STATUS_UNAVAILABLE, "no more threads can be made");
    }
    *loader = made;
    return STATUS_OK;
}

void loader_give(struct loader *l, struct loading *loading) {
    struct waiting *last = calloc(1, sizeof *last), **at = &l->first;
    if (!last) {
        struct error error;
        status_fail(&error, STATUS_UNAVAILABLE, "out of memory");
        links_load_failed(l->options.links, loading->load, &error);
        loading_free(loading);
        return;
    }
    last->loading = loading;
    pthread_mutex_lock(&l->mutex);
    while (*at)
        at = &(*at)->next;
    *at = last;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->mutex);
}

void loader_unload(struct loader *l, uint64_t handle) {
    pthread_mutex_lock(&l->mutex);
    for (struct waiting *w = l->first; w; w = w->next)
        if (w->loading->model == handle)
            w->unwanted = true;
    resident_remove(l->options.table, handle);
    pthread_mutex_unlock(&l->mutex);
}

void loader_free(struct loader *l) {
    if (!l)
        return;
    pthread_mutex_lock(&l->mutex);
    l->leaving = true;
    pthread_cond_signal(&l->changed);
    pthread_mutex_unlock(&l->mutex);
    pthread_join(l->thread, NULL);
    for (struct waiting *w = l->first, *next; w; w = next) {
        next = w->next;
        loading_free(w->loading);
        free(w);
    }
    pthread_mutex_destroy(&l->mutex);
    pthread_cond_destroy(&l->changed);
    free(l);
}
