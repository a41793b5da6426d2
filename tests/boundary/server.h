/* A running strongroomd for boundary tests: real launch, keeper and worker; the fixtures of
 * fixture_ledger.c and fixture_front.c in place of the other two. Everything lies in a temporary
 * folder that is removed at the end. Failures end the test at once. */
#ifndef TESTS_BOUNDARY_SERVER_H
#define TESTS_BOUNDARY_SERVER_H

#include "base/message.h"
#include "crypto/age.h"
#include "crypto/note.h"

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_MARKER "Strongroom-weights-marker-012345" /* 32 bytes */
#define SERVER_ACME "0123456789abcdef0123456789abcdef"
#define SERVER_GLOBEX "fedcba9876543210fedcba9876543210"

struct server {
    char folder[64];
    const char *program; /* what is started: the fixtures' server, unless set */
    pid_t pid;
    int admin;
    int log;    /* read end of its standard error */
    int ready;  /* read end of its standard output */
    char *text; /* all of the log so far */
    size_t size;
    struct age_identity *root, *acme, *globex;
    struct note_verifier verifier;
};

/* Folder, keys, configuration and files: header-NAME, payload-NAME for models a and b (sealed to
 * acme) and g (sealed to globex); wrapped-acme, wrapped-globex, and wrapped-nameless (acme's uid,
 * no name). */
void server_prepare(struct server *s);
/* A folder as `strongroom init` makes it, and the real strongroomd. */
void server_prepare_real(struct server *s, const char *strongroom, const char *strongroomd);
/* Start, and wait for "ready"; connects to the admin socket. */
void server_start(struct server *s);
/* Start what is expected to fail: returns its exit status. */
int server_fails(struct server *s);
/* SIGTERM; returns the exit status, and has checked that no child is left. */
int server_stop(struct server *s);
void server_remove(struct server *s);

/* One command to the fixture ledger; the answer is valid until the next one. */
const char *server_ask(struct server *s, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/* Wait until the log holds the text (after `from`); returns the position behind it. */
size_t server_log_has(struct server *s, size_t from, const char *text);
/* The newest process of that role (by "started role=..." in the log). */
pid_t server_pid(struct server *s, const char *role);
/* Put bytes into a file of the folder. */
void server_file(struct server *s, const char *name, const void *data, size_t size);
/* The bytes of a file of the folder; *data is malloc'd. */
size_t server_read(struct server *s, const char *name, uint8_t **data);
/* Seal a model to a recipient and write header-NAME and payload-NAME. */
void server_seal(struct server *s, const char *name, const struct age_recipient *to,
                 const void *plain, size_t size);
/* The ONNX model y = x + w with 1024 float32 of the marker (of `shift` more in its first byte). */
size_t server_model(uint8_t *out, size_t capacity, uint8_t shift);

#endif
