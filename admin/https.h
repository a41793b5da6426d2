/* One request to a Strongroom server over HTTPS, with an API key.
 *
 * libcurl does HTTP and TLS (1.2 or newer, certificate and name checked, no redirects, HTTPS only,
 * a bounded answer). It keeps a copy of the request's headers, and so of the API key, in ordinary
 * memory for the length of the call; ours is wiped. Input: the server's answer is untrusted. */
#ifndef ADMIN_HTTPS_H
#define ADMIN_HTTPS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

#define HTTPS_ANSWER_MAX (64 * 1024)

struct https_request {
    const char *server; /* https://host:port */
    const char *path;   /* "/v1/recipient" */
    const char *cacert; /* PEM file to trust instead of the system's authorities; may be NULL */
    const char *key;    /* the API key, terminated, in secret memory */
    int body;           /* descriptor to PUT from where it stands, or -1 for a GET */
    uint64_t body_size;
    void (*sent)(uint64_t bytes); /* told while the body leaves; may be NULL */
};

struct https_answer {
    size_t size;
    char bytes[HTTPS_ANSWER_MAX];
};

/* STATUS_OK where the server answered 200 or 201. Its own refusal comes back as the status that
 * its code stands for, with its message; a body that it does not want is not sent: it is asked
 * with 100-continue first. A GET has a minute; a PUT ends where nothing moves for ten. */
MUST_USE enum status https_call(const struct https_request *request, struct https_answer *answer,
                                struct error *error);

#endif
