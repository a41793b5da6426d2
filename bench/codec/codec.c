/* How fast tensors are read from JSON and printed to it, beside strtof, printf and Jansson.
 *
 *   bench-codec [ROUNDS [MOST]]
 *
 * In each round every contender has its turn with the same numbers, so all meet the same machine;
 * the medians of the rounds (11) are printed, in nanoseconds of processor time a number, and as the
 * ratio to the C library's. Where MOST is given, the exit status is 1 if a request of 150,528
 * numbers takes more than MOST times what strtof takes. */
#include "bench/codec/contenders.h"
#include "server/front/json_writer.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IMAGE 150528 /* 3 x 224 x 224 */
#define SMALL 64
#define ROUNDS_MAX 101
#define TURN_NS 4e6 /* a turn repeats its work until so much time has passed */

struct contender {
    const char *name;
    double (*run)(const struct job *job);
};

/* How numbers are written: with the fewest digits that make the float, or the double that Python
 * makes of it; or as pixels. And how the request is laid out. */
enum form { SHORTEST, PYTHON, BYTE_VALUES };
enum layout { FLAT, NESTED, DATA_FIRST };

static _Noreturn void stop(const char *why) {
    fprintf(stderr, "bench-codec: %s\n", why);
    exit(2);
}

static void *memory(size_t size) {
    void *made = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!made)
        stop("no memory");
    memset(made, 0, size);
    return made;
}

static void append(struct job *job, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void append(struct job *job, const char *format, ...) {
    va_list args;
    va_start(args, format);
    int n = vsnprintf(job->body + job->body_size, 128, format, args);
    va_end(args);
    job->body_size += (size_t)n;
}

static void append_number(struct job *job, enum form form, size_t i) {
    if (form == BYTE_VALUES) {
        append(job, "%d", (int)(fabs(job->wide[i]) * 100) % 256);
        return;
    }
    struct buf out = buf_of(job->body + job->body_size, JSON_WRITER_NUMBER_MAX);
    if (!(form == SHORTEST ? json_writer_f32(&out, job->narrow[i])
                           : json_writer_f64(&out, (double)job->narrow[i])))
        stop("not finite");
    job->body_size += out.size;
}

/* Rows of 224 or of all, separators as Python's json module writes them. */
static void append_data(struct job *job, enum form form, enum layout layout) {
    size_t row = layout == NESTED ? 224 : job->count;
    append(job, "\"data\": %s", layout == NESTED ? "[[[[" : "[");
    job->data = job->body_size;
    for (size_t i = 0; i < job->count; i++) {
        if (i && i % (row * 224) == 0)
            append(job, "]], [[");
        else if (i && i % row == 0)
            append(job, "], [");
        else if (i)
            append(job, ", ");
        append_number(job, form, i);
    }
    append(job, "%s", layout == NESTED ? "]]]]" : "]");
}

static struct job job_of(size_t count, enum form form, enum layout layout) {
    struct job job = {.count = count};
    char signature[256];
    if (count == IMAGE)
        snprintf(signature, sizeof signature, "[1,3,224,224]");
    else
        snprintf(signature, sizeof signature, "[1,%zu]", count);
    char model[512];
    snprintf(model, sizeof model,
             "{\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\",\"shape\":%s}],\"outputs\":"
             "[{\"name\":\"y\",\"datatype\":\"FP32\",\"shape\":[1]}]}",
             signature);
    struct oip_signature *parsed = NULL;
    struct error error;
    if (oip_signature_parse(model, strlen(model), &parsed, &error) != STATUS_OK)
        stop(error.message);
    job.signature = parsed;
    float *narrow = memory(count * sizeof *narrow);
    double *wide = memory(count * sizeof *wide);
    uint64_t state = 88172645463325252u;
    for (size_t i = 0; i < count; i++) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        /* A normalised image: about -2.2 to 2.7. */
        narrow[i] = (float)((double)(state >> 11) * 0x1p-53 * 4.9 - 2.2);
        wide[i] = (double)(state >> 11) * 0x1p-53 * 4.9 - 2.2;
    }
    job.narrow = narrow;
    job.wide = wide;
    job.area_size = count * 8 + 64;
    job.area = memory(job.area_size);
    job.out_size = count * 33 + 64;
    job.out = memory(job.out_size);
    job.body = memory(count * 32 + 512);
    append(&job, "{\"inputs\": [{");
    if (layout == DATA_FIRST)
        append_data(&job, form, layout);
    append(&job, "%s\"name\": \"x\", \"shape\": %s, \"datatype\": \"FP32\"",
           layout == DATA_FIRST ? ", " : "", signature);
    if (layout != DATA_FIRST) {
        append(&job, ", ");
        append_data(&job, form, layout);
    }
    append(&job, "}]}");
    return job;
}

static void job_free(struct job *job) {
    oip_signature_free((struct oip_signature *)job->signature);
    free((void *)job->narrow);
    free((void *)job->wide);
    free(job->area);
    free(job->out);
    free(job->body);
}

static double now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* Nanoseconds of one run. */
static double turn(const struct contender *contender, const struct job *job, double *sum) {
    double begin = now_ns(), passed;
    int runs = 0;
    do {
        *sum = contender->run(job);
        runs++;
        passed = now_ns() - begin;
    } while (passed < TURN_NS);
    return passed / runs;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define CONTENDERS_MAX 4
/* Prints a line for each contender, the first being what the others are compared with; returns the
 * second's ratio to it. */
static double compare(const char *title, const struct job *job, const struct contender *contenders,
                      int count, int rounds, bool same) {
    static double times[CONTENDERS_MAX][ROUNDS_MAX];
    double sums[CONTENDERS_MAX], median[CONTENDERS_MAX];
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < count; i++)
            times[i][round] = turn(&contenders[i], job, &sums[i]);
    printf("%s\n", title);
    for (int i = 0; i < count; i++) {
        if (same && sums[i] != sums[0])
            stop("the contenders do not agree");
        qsort(times[i], (size_t)rounds, sizeof times[i][0], ascending);
        median[i] = times[i][rounds / 2];
        printf("  %-22s %9.1f us %7.2f ns a number   %5.2f\n", contenders[i].name, median[i] / 1000,
               median[i] / (double)job->count, median[i] / median[0]);
    }
    return median[1] / median[0];
}

int main(int argc, char **argv) {
    int rounds = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 11;
    double most = argc > 2 ? strtod(argv[2], NULL) : 0, worst = 0;
    if (argc > 3 || rounds < 1 || rounds > ROUNDS_MAX || most < 0)
        stop("usage: bench-codec [ROUNDS (1 to 101) [MOST]]");
    static const struct contender read[] = {
        {"strtof", contender_strtof},
        {"ours, whole request", contender_request},
        {"Jansson, whole request", contender_jansson},
    };
    static const struct {
        const char *title;
        size_t count;
        enum form form;
        enum layout layout;
    } reads[] = {
        {"read 150,528 floats, as short as can be", IMAGE, SHORTEST, FLAT},
        {"read 150,528 floats, printed as doubles", IMAGE, PYTHON, FLAT},
        {"read 150,528 floats, printed as doubles, nested", IMAGE, PYTHON, NESTED},
        {"read 150,528 floats, printed as doubles, data first", IMAGE, PYTHON, DATA_FIRST},
        {"read 150,528 floats, whole numbers 0 to 255", IMAGE, BYTE_VALUES, FLAT},
        {"read 64 floats, printed as doubles", SMALL, PYTHON, FLAT},
    };
    printf("medians of %d rounds; last column: ratio to the first line\n", rounds);
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        struct job job = job_of(reads[i].count, reads[i].form, reads[i].layout);
        double ratio = compare(reads[i].title, &job, read, 3, rounds, true);
        if (job.count == IMAGE && ratio > worst)
            worst = ratio;
        job_free(&job);
    }
    static const struct contender narrow[] = {
        {"printf %.9g", contender_printf_9},
        {"ours, FP32", contender_print_f32},
    };
    static const struct contender wide[] = {
        {"printf %.17g", contender_printf_17},
        {"ours, FP64", contender_print_f64},
        {"Jansson", contender_jansson_print},
    };
    struct job job = job_of(IMAGE, BYTE_VALUES, FLAT);
    compare("print 150,528 floats", &job, narrow, 2, rounds, false);
    compare("print 150,528 doubles", &job, wide, 3, rounds, false);
    job_free(&job);
    if (most > 0 && worst > most) {
        printf("reading took %.2f times strtof's time, more than %.2f\n", worst, most);
        return 1;
    }
    return 0;
}
