/* The C library and ours. */
#include "bench/codec/contenders.h"

#include "server/front/json_writer.h"
#include "server/front/oip_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Noreturn void fail(const char *who, const char *why) {
    fprintf(stderr, "%s: %s\n", who, why);
    exit(1);
}

/* Brackets, commas and spaces between two numbers are passed over as cheaply as can be. */
#define BETWEEN(c) ((c) == ',' || (c) == ' ' || (c) == '[' || (c) == ']')

double contender_strtof(const struct job *job) {
    char *at = job->body + job->data;
    float *out = (float *)(void *)job->area;
    for (size_t i = 0; i < job->count; i++) {
        while (BETWEEN(*at))
            at++;
        out[i] = strtof(at, &at);
    }
    return (double)out[job->count - 1];
}

double contender_strtod(const struct job *job) {
    char *at = job->body + job->data;
    double *out = (double *)(void *)job->area;
    for (size_t i = 0; i < job->count; i++) {
        while (BETWEEN(*at))
            at++;
        out[i] = strtod(at, &at);
    }
    return out[job->count - 1];
}

double contender_request(const struct job *job) {
    static struct oip_request request;
    struct error error;
    struct oip_area area = {.data = job->area, .capacity = job->area_size};
    if (oip_request_parse(job->signature, (const uint8_t *)job->body, job->body_size, OIP_JSON_ONLY,
                          &area, &request, &error) != STATUS_OK)
        fail("request", error.message);
    const uint8_t *last = job->area + request.inputs[0].offset + request.inputs[0].bytes;
    float narrow;
    double wide;
    memcpy(&narrow, last - sizeof narrow, sizeof narrow);
    memcpy(&wide, last - sizeof wide, sizeof wide);
    return request.inputs[0].bytes == 4 * job->count ? (double)narrow : wide;
}

double contender_print_f32(const struct job *job) {
    struct buf out = buf_of(job->out, job->out_size);
    for (size_t i = 0; i < job->count; i++) {
        buf_u8(&out, ',');
        if (!json_writer_f32(&out, job->narrow[i]))
            fail("print", "not finite");
    }
    return out.failed ? 0 : (double)out.size;
}

double contender_print_f64(const struct job *job) {
    struct buf out = buf_of(job->out, job->out_size);
    for (size_t i = 0; i < job->count; i++) {
        buf_u8(&out, ',');
        if (!json_writer_f64(&out, job->wide[i]))
            fail("print", "not finite");
    }
    return out.failed ? 0 : (double)out.size;
}

double contender_printf_9(const struct job *job) {
    char *at = job->out;
    for (size_t i = 0; i < job->count; i++)
        at += snprintf(at, 32, ",%.9g", (double)job->narrow[i]);
    return (double)(at - job->out);
}

double contender_printf_17(const struct job *job) {
    char *at = job->out;
    for (size_t i = 0; i < job->count; i++)
        at += snprintf(at, 32, ",%.17g", job->wide[i]);
    return (double)(at - job->out);
}
