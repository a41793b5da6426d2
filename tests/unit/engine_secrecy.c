/* Weights stay in the secret source: after load and after runs, no readable memory of the process
 * outside of it, and outside of the model's own bytes, holds a run of known weights. */
#include "engine/kernels/gemm.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define RUN 8 /* consecutive weights that make a marker: 32 bytes */
#define REGIONS 64
#define X_MOST 70000

struct region {
    char *start;
    size_t size;
};

static struct region secret[REGIONS];
static size_t secret_count;

static void *secret_acquire(void *ctx, size_t size) {
    (void)ctx;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (p == MAP_FAILED || secret_count == REGIONS)
        return NULL;
    secret[secret_count++] = (struct region){p, size};
    return p;
}

static void secret_release(void *ctx, void *data, size_t size) {
    (void)ctx;
    for (size_t i = 0; i < secret_count; i++)
        if (secret[i].start == data)
            secret[i] = secret[--secret_count];
    munmap(data, size);
}

/* Weights that no computation gives by chance: a counter in the mantissa. */
static void fill(float *w, size_t n) {
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0x3c000000u | (uint32_t)(i * 2654435761u >> 9 & 0x7fffffu);
        memcpy(&w[i], &bits, 4);
    }
}

static bool is_secret(const char *at) {
    for (size_t i = 0; i < secret_count; i++)
        if (at >= secret[i].start && at < secret[i].start + secret[i].size)
            return true;
    return false;
}

/* Copies of the marker in memory that is not secret; `marker` is kept inverted so that it is not
 * itself one. */
static size_t scan(const uint8_t *inverted, size_t size, size_t *where_secret) {
    uint8_t first = (uint8_t)~inverted[0];
    size_t found = 0;
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    cr_assert_not_null(maps);
    while (fgets(line, sizeof line, maps)) {
        unsigned long from = 0, to = 0;
        char mode[8] = "";
        if (sscanf(line, "%lx-%lx %7s", &from, &to, mode) != 3 || mode[0] != 'r' ||
            strstr(line, "[v"))
            continue;
        const uint8_t *p = (const uint8_t *)from, *end = (const uint8_t *)to - size;
        for (; p <= end && (p = memchr(p, first, (size_t)(end - p) + 1)); p++) {
            size_t same = 1;
            while (same < size && (p[same] ^ inverted[same]) == 0xff)
                same++;
            if (same < size)
                continue;
            if (is_secret((const char *)p))
                ++*where_secret;
            else
                found++;
        }
    }
    fclose(maps);
    return found;
}

struct plan {
    const char *name, *node;
    int64_t x[4], w[4];
    int x_rank, w_rank;
    const char *inputs;
    const char *attribute; /* an integer one, or NULL */
    int64_t attribute_value;
    int64_t r[3]; /* recurrent weights, of three dimensions; 0: none */
};

/* Messages are built by value: wipe what that left on the stack. */
static __attribute__((noinline)) void scrub_stack(void) {
    char room[256 << 10];
    memset(room, 0, sizeof room);
    __asm__ volatile("" : : "r"(room) : "memory");
}

static struct message big_tensor(const char *name, int rank, const int64_t *dims, const float *data,
                                 size_t size) {
    return model_tensor(name, DTYPE_FLOAT, rank, dims, data, size);
}

/* The model's bytes in secret memory; nothing of them is left elsewhere but on the stack. */
static __attribute__((noinline)) char *build(const struct plan *p, const float *w, size_t count,
                                             size_t *size) {
    static struct message g, m, t;
    g.size = 0;
    struct message node = model_node(p->node, p->inputs, "y");
    if (p->attribute)
        model_attribute_int(&node, p->attribute, p->attribute_value);
    model_put(&g, GRAPH_NODE, &node);
    if (p->r[0]) {
        t = big_tensor("r", 3, p->r, w, (size_t)(p->r[0] * p->r[1] * p->r[2]) * 4);
        model_put(&g, GRAPH_INITIALIZER, &t);
    }
    t = big_tensor("w", p->w_rank, p->w, w, count * 4);
    model_put(&g, GRAPH_INITIALIZER, &t);
    t = model_value("x", DTYPE_FLOAT, p->x_rank, p->x);
    model_put(&g, GRAPH_INPUT, &t);
    t = model_value("y", DTYPE_FLOAT, 0, NULL);
    model_put(&g, GRAPH_OUTPUT, &t);
    m = model_of(&g, 17);
    char *bytes = secret_acquire(NULL, m.size);
    cr_assert_not_null(bytes);
    memcpy(bytes, m.bytes, m.size);
    *size = m.size;
    memset(&g, 0, sizeof g);
    memset(&m, 0, sizeof m);
    memset(&t, 0, sizeof t);
    return bytes;
}

/* Build, load and run one weight-bearing operator, with the model's bytes in secret memory. */
static void check(const struct plan *p) {
    static float w[1024], x[X_MOST];
    uint8_t rows[RUN * 4], columns[RUN * 4];
    struct counted counted = {0};
    const struct session_options options = {.memory = model_memory(&counted),
                                            .secret = {secret_acquire, secret_release, NULL},
                                            .threads = 2};
    int64_t count = 1, xs = 1;
    for (int d = 0; d < p->w_rank; d++)
        count *= p->w[d];
    for (int d = 0; d < p->x_rank; d++)
        xs *= p->x[d];
    cr_assert(count <= 1024 && xs <= X_MOST);
    fill(w, (size_t)count);
    for (int64_t i = 0; i < xs; i++)
        x[i] = (float)i;
    /* Both orders that a packing may keep: along the last dimension, and along the first. */
    size_t step = (size_t)(p->w[0] > 1 ? count / p->w[0] : p->w[p->w_rank - 1]);
    for (size_t i = 0; i < RUN; i++)
        for (size_t b = 0; b < 4; b++) {
            rows[i * 4 + b] = (uint8_t) ~((const uint8_t *)&w[step + i])[b];
            columns[i * 4 + b] = (uint8_t) ~((const uint8_t *)&w[i * step + 1])[b];
        }
    size_t size = 0;
    char *bytes = build(p, w, (size_t)count, &size);
    memset(w, 0, sizeof w);
    scrub_stack();
    struct session *s = NULL;
    struct error error = {0};
    cr_assert_eq(session_open((struct str){bytes, size}, &options, &s, &error), STATUS_OK, "%s: %s",
                 p->name, error.message);
    struct value in = {.kind = VALUE_TENSOR}, out = {0};
    cr_assert_eq(tensor_shape(&in.tensor, DTYPE_FLOAT, p->x_rank, p->x, NULL), STATUS_OK);
    in.tensor.data = x;
    for (int turn = 0; turn < 2; turn++) {
        size_t inside = 0, outside = 0;
        cr_assert_eq(session_run(s, &in, 1, 0, &out, 1, &error), STATUS_OK, "%s: %s", p->name,
                     error.message);
        outside = scan(rows, sizeof rows, &inside) + scan(columns, sizeof columns, &inside);
        cr_expect_eq(outside, 0, "%s: weights lie in %zu places outside", p->name, outside);
        cr_expect_gt(inside, 0, "%s: the scan does not find the weights at all", p->name);
        session_release(s);
    }
    session_free(s);
    secret_release(NULL, bytes, size);
}

/* Large enough that OpenBLAS would pack its operands (small products it computes in place). */
Test(secrecy, weights_are_found_in_secret_memory_only) {
    static const struct plan plans[] = {
        {"one row times weights", "MatMul", {1, 32}, {32, 32}, 2, 2, "x w", NULL, 0, {0}},
        {"many rows times weights", "MatMul", {1100, 32}, {32, 32}, 2, 2, "x w", NULL, 0, {0}},
        {"batched times weights", "MatMul", {4, 300, 32}, {32, 32}, 3, 2, "x w", NULL, 0, {0}},
        {"weights on the left", "MatMul", {32, 1100}, {32, 32}, 2, 2, "w x", NULL, 0, {0}},
        {"Gemm", "Gemm", {1100, 32}, {32, 32}, 2, 2, "x w", NULL, 0, {0}},
        {"Gemm transposed", "Gemm", {1100, 32}, {32, 32}, 2, 2, "x w", "transB", 1, {0}},
        {"convolution 3x3", "Conv", {1, 4, 43, 43}, {16, 4, 3, 3}, 4, 4, "x w", NULL, 0, {0}},
        {"convolution 1x1", "Conv", {1, 16, 64, 64}, {16, 16, 1, 1}, 4, 4, "x w", NULL, 0, {0}},
        {"transposed convolution",
         "ConvTranspose",
         {1, 16, 64, 64},
         {16, 16, 1, 1},
         4,
         4,
         "x w",
         NULL,
         0,
         {0}},
        {"LSTM", "LSTM", {9, 120, 16}, {1, 32, 16}, 3, 3, "x w r", "hidden_size", 8, {1, 32, 8}},
        {"GRU", "GRU", {9, 120, 16}, {1, 24, 16}, 3, 3, "x w r", "hidden_size", 8, {1, 24, 8}},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        check(&plans[i]);
}

/* The test of the test: a product through OpenBLAS does leave weights behind, and the scan sees
 * them. */
Test(secrecy, the_scan_sees_what_openblas_leaves_behind) {
    enum { M = 512, N = 64, K = 64 };
    static float a[M * K], c[M * N];
    uint8_t rows[RUN * 4];
    float *w = secret_acquire(NULL, N * K * sizeof *w);
    cr_assert_not_null(w);
    fill(w, N * K);
    for (size_t i = 0; i < RUN * 4; i++)
        rows[i] = (uint8_t) ~((const uint8_t *)&w[N])[i];
    const struct gemm_shape g = {false, false, M, N, K, K, N, N};
    size_t inside = 0;
    cr_expect_eq(scan(rows, sizeof rows, &inside), 0);
    gemm_f32(&g, 1, a, w, 0, c);
    cr_expect_gt(scan(rows, sizeof rows, &inside), 0);
    secret_release(NULL, w, N * K * sizeof *w);
}
