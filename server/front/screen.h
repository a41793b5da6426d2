/* What a request's headers must look like before anything else is done with it: the rules that
 * keep this server and anything in front of it of one mind about where a request ends.
 *
 * The library below has split the headers already; what it lets pass although it should not
 * (Content-Length beside Transfer-Encoding, lengths such as `5x`, repeated fields, anything past
 * its 64th header) is refused here, and the connection is closed after a refusal.
 *
 * Source: RFC 9110 and RFC 9112 (section 6.3 for lengths). Threads: pure. Input: untrusted. */
#ifndef FRONT_SCREEN_H
#define FRONT_SCREEN_H

#include "base/message.h"
#include "base/status.h"
#include "server/front/compress.h"
#include "server/front/trace.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCREEN_HEADERS_MAX 60
#define SCREEN_TRACEPARENT_SIZE TRACE_PARENT_SIZE
/* What a body may be called. The first two fit; the other two are what programs write by themselves
 * where nobody has told them: curl the one, Triton's asyncio client the other. */
#define SCREEN_TYPE_JSON "application/json"
#define SCREEN_TYPE_BYTES "application/octet-stream"
#define SCREEN_TYPE_FORM "application/x-www-form-urlencoded"
#define SCREEN_TYPE_TEXT "text/plain"
#define SCREEN_TYPES                                                                               \
    SCREEN_TYPE_JSON ", " SCREEN_TYPE_BYTES ", " SCREEN_TYPE_FORM ", " SCREEN_TYPE_TEXT

struct screen_field {
    const char *name, *value;
};

/* What the headers say, once they have passed. Pointers into the fields. */
struct screen {
    bool has_length;
    uint64_t content_length;
    bool expects_continue;
    bool wants_close; /* `Connection: close`, or an old client that did not ask to stay */
    bool encoded;     /* a Content-Encoding other than identity */
    enum compress_coding coding;  /* of the body, by Content-Encoding */
    enum compress_coding accepts; /* for the answer, by Accept-Encoding */
    const char *token;            /* the API key as presented, or NULL */
    size_t token_size;
    const char *content_type; /* or NULL */
    bool has_json_size;       /* Inference-Header-Content-Length */
    uint64_t json_size;
    bool has_timeout; /* X-Request-Timeout-Ms */
    uint64_t timeout_ms;
    bool has_signature;                            /* X-Model-Signature */
    char request_id[MESSAGE_REQUEST_ID_MAX + 1];   /* the caller's if it sent a sane one, else "" */
    char traceparent[SCREEN_TRACEPARENT_SIZE + 1]; /* the caller's if it is valid, else "" */
    const char *tracestate;                        /* the caller's if both are valid, or NULL */
};

/* STATUS_INVALID or STATUS_LENGTH_REQUIRED; `screen` then holds only what names the
 * request: request_id, traceparent and tracestate. */
MUST_USE enum status screen_headers(const char *method, const char *version,
                                    const struct screen_field *fields, size_t count,
                                    struct screen *screen, struct error *error);

/* Is this Content-Type (NULL: none) one of SCREEN_TYPES, with any parameters? What the body is, its
 * route and its lengths decide; another type says that the client meant something else. */
bool screen_type_known(const char *type);

#endif
