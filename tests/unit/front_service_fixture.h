/* The front as a process of its own, in its sandbox, with this test as its launch, its ledger and
 * its worker, and a TLS client to talk to it. One at a time. */
#ifndef TESTS_UNIT_FRONT_SERVICE_FIXTURE_H
#define TESTS_UNIT_FRONT_SERVICE_FIXTURE_H

#include "base/message.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What the ledger of the test has seen, and how it behaves. */
struct fixture_ledger {
    pthread_mutex_t lock;
    unsigned admitted, refused, performed, settled, undelivered;
    uint8_t action; /* of the last ADMIT */
    char token[64], model[65], version[65], request[65], client[64];
    uint8_t outcome; /* of the last SETTLE */
    uint64_t units, bytes_in;
    uint8_t slot_stuck;
    bool slot_dirty; /* something was left in the slot when SETTLE came */
    uint32_t limit;  /* of the last PERFORM */
    uint64_t before, payload_bytes;
    size_t header_size, payload_seen;
    uint8_t payload_head[16];
    bool refuse_settlement; /* the log cannot be written */
    uint64_t model_handle;  /* of the next ADMITTED; 0: 7 */
    bool channel_blocks;    /* a channel came that could make ledger wait for a thread of front */
};
extern struct fixture_ledger fixture_ledger;

/* Start and stop; with_worker: also introduce worker 1, which has model 7 (x: FP32 [-1,3], y: FP32
 * [-1], the sums of the rows; negative infinity as first value ends the worker). Returns the
 * front's exit status, or -1. */
void fixture_start(bool with_worker);
int fixture_stop(void);
/* Tell the front to finish; fixture_stop then waits for it. */
void fixture_drain(void);
/* The ledger tells whether it can write its log. */
void fixture_recording(bool good);
/* The worker tells the signature of one more model. */
void fixture_tell(uint64_t model, const char *signature);
/* The worker's socket closes, as when it dies. */
void fixture_kill_worker(void);
pid_t fixture_pid(void);

struct client;
struct client *client_open(void);
void client_close(struct client *client);
void client_send(struct client *client, const void *bytes, size_t size);
/* One whole answer (head and Content-Length bytes of body), terminated; its status, or 0 where
 * the server closed or said nothing for five seconds. 100 Continue is an answer of its own. */
int client_receive(struct client *client, char *answer, size_t room, size_t *size);
/* True where the server has closed the connection (waits for up to two seconds). */
bool client_closed(struct client *client);
/* Open, send, receive, close. An answer to HEAD has no body. */
int client_ask(const char *request, char *answer, size_t room);

#endif
