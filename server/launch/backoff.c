#include "server/launch/backoff.h"

#include <time.h>

uint64_t backoff_now(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void backoff_started(struct backoff *backoff, uint64_t now) {
    backoff->started_at = now;
}

uint32_t backoff_died(struct backoff *backoff, uint64_t now) {
    if (backoff->next_ms == 0 || now - backoff->started_at >= BACKOFF_HEALTHY_MS)
        backoff->next_ms = BACKOFF_FIRST_MS;
    uint32_t pause = backoff->next_ms;
    backoff->next_ms = pause * 2 < BACKOFF_MOST_MS ? pause * 2 : BACKOFF_MOST_MS;
    backoff->not_before = now + pause;
    return pause;
}

int backoff_forgotten(const struct backoff *backoff, uint64_t now) {
    return now >= backoff->not_before + BACKOFF_HEALTHY_MS;
}
