#include "engine/kernels/threads.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

struct threads {
    size_t count; /* the caller's included */
    size_t started;
    pthread_mutex_t lock;
    pthread_cond_t wake, done;
    unsigned long generation; /* of the work below; a worker that saw it takes part once */
    size_t busy;              /* workers still inside the work below */
    bool stop;
    threads_fn *fn;
    void *arg;
    size_t n, chunk;
    atomic_size_t next;
    pthread_t handles[THREADS_MAX];
};

static void take_part(struct threads *p) {
    for (;;) {
        size_t begin = atomic_fetch_add_explicit(&p->next, p->chunk, memory_order_relaxed);
        if (begin >= p->n)
            return;
        size_t end = p->n - begin < p->chunk ? p->n : begin + p->chunk;
        p->fn(p->arg, begin, end);
    }
}

static void *worker(void *arg) {
    struct threads *p = arg;
    unsigned long seen = 0;
    pthread_mutex_lock(&p->lock);
    for (;;) {
        while (!p->stop && p->generation == seen)
            pthread_cond_wait(&p->wake, &p->lock);
        if (p->stop)
            break;
        seen = p->generation;
        pthread_mutex_unlock(&p->lock);
        take_part(p);
        pthread_mutex_lock(&p->lock);
        if (--p->busy == 0)
            pthread_cond_signal(&p->done);
    }
    pthread_mutex_unlock(&p->lock);
    return NULL;
}

enum status threads_new(size_t count, struct threads **out, struct error *error) {
    if (count < 1 || count > THREADS_MAX)
        return status_fail(error, STATUS_INVALID, "threads: %zu, must be 1 to %d", count,
                           THREADS_MAX);
    /* Holds no model data, so it need not come from the session's memory. */
    struct threads *p = calloc(1, sizeof *p);
    if (!p)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory for threads");
    p->count = count;
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->wake, NULL);
    pthread_cond_init(&p->done, NULL);
    for (; p->started + 1 < count; p->started++)
        if (pthread_create(&p->handles[p->started], NULL, worker, p) != 0) {
            threads_free(p);
            return status_fail(error, STATUS_UNAVAILABLE, "a thread could not be started");
        }
    *out = p;
    return STATUS_OK;
}

void threads_free(struct threads *p) {
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stop = true;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    for (size_t i = 0; i < p->started; i++)
        pthread_join(p->handles[i], NULL);
    pthread_cond_destroy(&p->done);
    pthread_cond_destroy(&p->wake);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

size_t threads_count(const struct threads *p) {
    return p ? p->count : 1;
}

void threads_for(struct threads *p, size_t n, size_t grain, threads_fn *fn, void *arg) {
    if (n == 0)
        return;
    if (grain == 0)
        grain = 1;
    if (!p || p->started == 0 || n / 2 < grain) {
        fn(arg, 0, n);
        return;
    }
    /* Four ranges a thread: enough to even out a late starter. */
    size_t chunk = n / (p->count * 4);
    if (chunk < grain)
        chunk = grain;
    pthread_mutex_lock(&p->lock);
    p->fn = fn;
    p->arg = arg;
    p->n = n;
    p->chunk = chunk;
    atomic_store_explicit(&p->next, 0, memory_order_relaxed);
    p->busy = p->started;
    p->generation++;
    pthread_cond_broadcast(&p->wake);
    pthread_mutex_unlock(&p->lock);
    take_part(p);
    pthread_mutex_lock(&p->lock);
    while (p->busy > 0)
        pthread_cond_wait(&p->done, &p->lock);
    pthread_mutex_unlock(&p->lock);
}
