/* How a role starts. `strongroomd` is started by launch once per role, by fork and exec, and a role
 * inherits nothing but the descriptors of this table; main.c puts them into a struct role_start,
 * marks them close-on-exec, closes everything else, and calls `<role>_main`.
 *
 *   role    0, 1       2    3       4              5                6             7 and on
 *   keeper  /dev/null  log  launch  configuration  root identity    signing key
 *   ledger  /dev/null  log  launch  configuration  store folder     admin socket
 *   front   /dev/null  log  launch  configuration  TLS certificate  TLS key       client CA*,
 * listening sockets, metrics* worker  /dev/null  log  launch  configuration
 *
 * Those with a star are there where the configuration names them.
 *
 * `launch` is a SOCK_SEQPACKET socket for the messages between launch and any role. Everything
 * else (sockets between roles, rings) arrives there as a message: KEEPER_LEDGER, FRONT_WORKER, ...
 * A worker gets WORKER_KEEPER, WORKER_LEDGER and WORKER_FRONT once it has said READY, in any order.
 *
 * The configuration is the struct that launch has loaded and checked, in a sealed memfd (both ends
 * are the same binary); main.c copies it and closes the descriptor before the role runs.
 *
 * What a role does, in this order: read what it needs from its descriptors and close them, warm
 * whatever a library must do once, sandbox_enter, threads, message_send_ready, serve. It returns
 * the exit status: 0 after DRAIN or when launch is gone, 1 after an error that it has logged.
 *
 * Descriptors that are -1 do not belong to the role. The role owns those that are not, but for
 * `launch`, which stays open until the process ends. */
#ifndef BASE_ROLE_H
#define BASE_ROLE_H

#include "base/message.h"

#include <stddef.h>
#include <stdint.h>

#define ROLE_LISTENERS_MAX 8

/* The fixed numbers, for launch (which puts descriptors there) and main.c (which finds them). */
#define ROLE_DESCRIPTOR_LOG 2
#define ROLE_DESCRIPTOR_LAUNCH 3
#define ROLE_DESCRIPTOR_CONFIG 4
#define ROLE_DESCRIPTOR_FIRST 5 /* of the role's own */

struct config;

struct role_start {
    enum role role;
    const struct config *config;
    int launch;
    int root_identity;  /* keeper: a file or a pipe, to be read to its end */
    int signing_key;    /* keeper: the same; an age file sealed to the root */
    int store_folder;   /* ledger: O_DIRECTORY, for Landlock and for locks */
    int admin_listener; /* ledger: listening Unix stream socket, non-blocking */
    int tls_certificate;
    int tls_key;
    int tls_client_ca;                 /* front: -1 where the configuration names none */
    int metrics_listener;              /* front: loopback, without TLS; the same */
    int listeners[ROLE_LISTENERS_MAX]; /* front: bound and listening, non-blocking, in the order of
                                          the configuration */
    size_t listener_count;
    uint32_t worker; /* worker: its number, for logs */
};

int keeper_main(const struct role_start *start);
int ledger_main(const struct role_start *start);
int front_main(const struct role_start *start);
int worker_main(const struct role_start *start);

/* "keeper" ... as --role takes it; ROLE_ANY where it is none that can be started so. */
enum role role_of_name(const char *name);

#endif
