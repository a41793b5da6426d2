/* What the HTTP library leaves of a request's head: targets that are no paths, which it drops
 * without an answer, and the headers of a method that it does not know, which it does not split.
 *
 * Threads: pure. Input: untrusted. Nothing is allocated; what is found points into the head. */
#ifndef FRONT_HEAD_H
#define FRONT_HEAD_H

#include "base/status.h"
#include "server/front/screen.h"

#include <stdbool.h>
#include <stddef.h>

/* The path that no route has and every path's methods belong to: that of `OPTIONS *`. */
#define HEAD_WHOLE_SERVER "*"

/* What a target other than a path asks for (RFC 9112, section 3.2): of an absolute-form its path,
 * of `OPTIONS *` and of CONNECT's authority-form HEAD_WHOLE_SERVER. `target` has lost its query.
 * An absolute-form's host is not compared with anything, as that of the header Host is not: this
 * server has one set of routes, whatever it is called. Its scheme must be the connection's.
 * STATUS_INVALID for everything else. */
MUST_USE enum status head_target(const char *method, const char *target, bool secure,
                                 const char **path, struct error *error);

/* Split the header lines at `lines` in place, each of which ends with CRLF; the text ends after the
 * CR of the empty line. False where a line is not `name:value`, or there are more than `room`: then
 * so many have been split, and *count says so. */
MUST_USE bool head_split(char *lines, struct screen_field *fields, size_t room, size_t *count);

#endif
