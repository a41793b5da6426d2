#include "server/front/patience.h"

#include <sys/socket.h>
#include <time.h>

#define STEP_MS 100

static struct {
    pthread_mutex_t lock;
    struct patience *first;
} all = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void look_at(struct patience *p, uint64_t now_ns) {
    uint64_t until = atomic_load(&p->until_ns);
    if (!until || now_ns < until)
        return;
    pthread_mutex_lock(&p->lock);
    /* Only under the lock is the descriptor certain to be the one that was meant. */
    if (atomic_load(&p->until_ns) == until) {
        (void)shutdown(p->socket, SHUT_RD);
        atomic_store(&p->until_ns, 0);
    }
    pthread_mutex_unlock(&p->lock);
}

static void *watch(void *context) {
    (void)context;
    for (;;) {
        const struct timespec step = {.tv_nsec = STEP_MS * 1000000L};
        struct timespec now;
        nanosleep(&step, NULL);
        clock_gettime(CLOCK_MONOTONIC, &now);
        uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
        pthread_mutex_lock(&all.lock);
        for (struct patience *p = all.first; p; p = p->next)
            look_at(p, now_ns);
        pthread_mutex_unlock(&all.lock);
    }
    return NULL;
}

enum status patience_watch(struct error *error) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, watch, NULL) != 0)
        return status_fail(error, STATUS_UNAVAILABLE, "connections cannot be watched");
    pthread_detach(thread);
    return STATUS_OK;
}

void patience_add(struct patience *p) {
    pthread_mutex_init(&p->lock, NULL);
    p->socket = -1;
    pthread_mutex_lock(&all.lock);
    p->next = all.first;
    all.first = p;
    pthread_mutex_unlock(&all.lock);
}

void patience_remove(struct patience *p) {
    pthread_mutex_lock(&all.lock);
    struct patience **at = &all.first;
    while (*at && *at != p)
        at = &(*at)->next;
    if (*at)
        *at = p->next;
    pthread_mutex_unlock(&all.lock);
    pthread_mutex_destroy(&p->lock);
}

void patience_begin(struct patience *p, int socket, uint64_t until_ns) {
    pthread_mutex_lock(&p->lock);
    p->socket = socket;
    atomic_store(&p->until_ns, until_ns);
    pthread_mutex_unlock(&p->lock);
}

void patience_end(struct patience *p) {
    pthread_mutex_lock(&p->lock);
    atomic_store(&p->until_ns, 0);
    p->socket = -1;
    pthread_mutex_unlock(&p->lock);
}
