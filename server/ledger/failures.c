#include "server/ledger/failures.h"

#include "base/log.h"

#include <stdlib.h>
#include <string.h>

#define SOURCES_MAX 256u
#define MINUTE_US INT64_C(60000000)

struct source {
    char client[MESSAGE_CLIENT_MAX + 1];
    uint64_t count[2]; /* for a bad key; malformed */
};

struct failures {
    int64_t since; /* start of the minute that is counted; 0 before the first flush */
    uint32_t used;
    uint64_t other[2];
    struct source sources[SOURCES_MAX];
};

enum status failures_new(struct failures **failures, struct error *error) {
    struct failures *f = calloc(1, sizeof *f);
    if (!f)
        return status_fail(error, STATUS_UNAVAILABLE, "no memory to count failures");
    *failures = f;
    return STATUS_OK;
}

void failures_free(struct failures *failures) {
    free(failures);
}

void failures_count(struct failures *f, struct bytes client, bool malformed) {
    char name[MESSAGE_CLIENT_MAX + 1];
    if (bytes_to_text(client, name, sizeof name)) {
        for (uint32_t i = 0; i < f->used; i++)
            if (strcmp(f->sources[i].client, name) == 0) {
                f->sources[i].count[malformed]++;
                return;
            }
        if (f->used < SOURCES_MAX) {
            struct source *s = &f->sources[f->used++];
            *s = (struct source){0};
            memcpy(s->client, name, sizeof name);
            s->count[malformed] = 1;
            return;
        }
    }
    f->other[malformed]++;
}

/* `gate`: to hash the client's address with, NULL where it stays as it is. */
static void record(struct commit *commit, const struct policy_gate *gate, int64_t now_us,
                   const char *client, bool malformed, uint64_t count) {
    struct commit_record r = {
        .time = now_us,
        .action = malformed ? message_action_name(ACTION_MALFORMED) : "authentication.failed",
        .outcome = status_name(malformed ? STATUS_INVALID : STATUS_UNAUTHENTICATED),
        .units = count};
    if (!count)
        return;
    memcpy(r.client, client, strlen(client) + 1);
    if (gate)
        policy_gate_address(gate, r.client);
    if (!commit_append(commit, &r))
        log_warn("a count of failures was not recorded, the queue is full");
}

/* What is no address: "uid 1000" of the admin socket. */
static bool is_address(const char *client) {
    return client[0] && client[strspn(client, "0123456789abcdefABCDEF:.")] == '\0';
}

void failures_flush(struct failures *f, struct commit *commit, const struct policy_gate *gate,
                    int64_t now_us, bool force) {
    if (!f->since)
        f->since = now_us;
    if (!force && now_us - f->since < MINUTE_US)
        return;
    f->since = now_us;
    for (int malformed = 0; malformed < 2; malformed++) {
        for (uint32_t i = 0; i < f->used; i++)
            record(commit, is_address(f->sources[i].client) ? gate : NULL, now_us,
                   f->sources[i].client, malformed, f->sources[i].count[malformed]);
        record(commit, NULL, now_us, "other", malformed, f->other[malformed]);
        f->other[malformed] = 0;
    }
    f->used = 0;
}
