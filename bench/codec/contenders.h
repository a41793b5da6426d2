/* What the codec's benchmark compares: each contender does the same work on the same numbers, and
 * returns a sum of what it made, so that nothing is left out and results can be compared.
 *
 * A job's memory is the caller's and is used by one contender at a time. A contender that fails
 * ends the program with a message: a benchmark of something that does not work is none. */
#ifndef BENCH_CODEC_CONTENDERS_H
#define BENCH_CODEC_CONTENDERS_H

#include "server/front/oip_signature.h"

#include <stddef.h>
#include <stdint.h>

struct job {
    const struct oip_signature *signature;
    size_t count;
    const float *narrow; /* `count` values */
    const double *wide;
    char *body; /* a request, ended by a 0 byte */
    size_t body_size;
    size_t data;   /* where its first number begins in `body` */
    uint8_t *area; /* aligned for a ring's slot */
    size_t area_size;
    char *out; /* where is printed */
    size_t out_size;
};

double contender_strtof(const struct job *job);
double contender_strtod(const struct job *job);
/* The whole of a request: parsed, checked against the model, decoded into the slot. */
double contender_request(const struct job *job);
/* The same body with a general JSON library, and its numbers taken out of the tree. */
double contender_jansson(const struct job *job);

/* Printing returns the number of bytes. */
double contender_print_f32(const struct job *job);
double contender_print_f64(const struct job *job);
double contender_printf_9(const struct job *job);
double contender_printf_17(const struct job *job);
double contender_jansson_print(const struct job *job);

#endif
