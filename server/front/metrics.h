/* The page of GET /metrics, in Prometheus' text format 0.0.4. No name of a tenant, model or key is
 * in it: who may read it may read it for the whole server.
 *
 * Threads: any; each number is read at its own moment. */
#ifndef FRONT_METRICS_H
#define FRONT_METRICS_H

#include "base/buf.h"

struct front;

#define METRICS_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define METRICS_MAX 65536 /* bytes of the page, more than it takes */

void metrics_write(struct front *front, struct buf *out);

#endif
