/* A general JSON library; apart, because its names for kinds of values are also our reader's. */
#include "bench/codec/contenders.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

static _Noreturn void fail(const char *who, const char *why) {
    fprintf(stderr, "%s: %s\n", who, why);
    exit(1);
}

static size_t take(const json_t *value, float *out, size_t done, size_t count) {
    size_t index;
    json_t *element;
    if (json_is_array(value)) {
        json_array_foreach(value, index, element) done = take(element, out, done, count);
        return done;
    }
    if (done == count || !json_is_number(value))
        fail("jansson", "unexpected data");
    out[done] = (float)json_number_value(value);
    return done + 1;
}

double contender_jansson(const struct job *job) {
    json_error_t error;
    json_t *root = json_loadb(job->body, job->body_size, 0, &error);
    if (!root)
        fail("jansson", error.text);
    float *out = (float *)(void *)job->area;
    const json_t *input = json_array_get(json_object_get(root, "inputs"), 0);
    if (take(json_object_get(input, "data"), out, 0, job->count) != job->count)
        fail("jansson", "too few numbers");
    json_decref(root);
    return (double)out[job->count - 1];
}

double contender_jansson_print(const struct job *job) {
    json_t *array = json_array();
    for (size_t i = 0; i < job->count; i++)
        if (json_array_append_new(array, json_real(job->wide[i])) != 0)
            fail("jansson", "no memory");
    size_t size = json_dumpb(array, job->out, job->out_size, JSON_COMPACT);
    json_decref(array);
    return (double)size;
}
