/* When something that died is started again: after 100 ms, then twice as long each time up to 30 s;
 * a minute of health forgets it. Times are milliseconds of CLOCK_MONOTONIC. */
#ifndef SERVER_LAUNCH_BACKOFF_H
#define SERVER_LAUNCH_BACKOFF_H

#include <stdint.h>

#define BACKOFF_FIRST_MS 100
#define BACKOFF_MOST_MS 30000
#define BACKOFF_HEALTHY_MS 60000

struct backoff {
    uint32_t next_ms;    /* how long the next pause is; 0: BACKOFF_FIRST_MS */
    uint64_t started_at; /* when it last started */
    uint64_t not_before; /* when it may start again */
};

void backoff_started(struct backoff *backoff, uint64_t now);
/* It died: returns the pause, which ends at not_before. */
uint32_t backoff_died(struct backoff *backoff, uint64_t now);
/* True once nothing needs remembering: the pause is over and long past. */
int backoff_forgotten(const struct backoff *backoff, uint64_t now);

uint64_t backoff_now(void);

#endif
