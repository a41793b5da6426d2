/* Which bytes of a model are given back once its weights are packed: those that nobody reads again,
 * each once, and no others. */
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <string.h>

#define SIDE 16

static struct error error;
static _Alignas(64) float file[4][SIDE * SIDE];
static const void *discarded[8];
static size_t discards;

static void discard(void *ctx, const void *data, size_t size) {
    cr_expect_eq(ctx, &discards);
    cr_expect_eq(size, sizeof file[0]);
    cr_assert_lt(discards, 8);
    discarded[discards++] = data;
    memset((void *)(uintptr_t)data, 0xff, size); /* NaN: seen in every answer that reads it */
}

/* The file's name is the number of the matrix. */
static bool find(void *ctx, struct str location, struct str *bytes) {
    (void)ctx;
    *bytes = (struct str){(const char *)file[location.data[0] - '0'], sizeof file[0]};
    return true;
}

static void put_weights(struct message *g, const char *name, const char *matrix) {
    struct message t = {.size = 0}, entry = {.size = 0};
    model_int(&t, 1, SIDE);
    model_int(&t, 1, SIDE);
    model_int(&t, 2, DTYPE_FLOAT);
    model_text(&t, 8, name);
    model_text(&entry, 1, "location");
    model_text(&entry, 2, matrix);
    model_put(&t, 13, &entry);
    model_int(&t, 14, 1);
    model_put(g, GRAPH_INITIALIZER, &t);
}

/* Nodes "OP inputs > output", the weights "NAME=MATRIX"; y is what a run gives for ones. */
struct plan {
    const char *nodes[4][3];
    const char *weights[3][2];
    const char *output;
    size_t wanted;   /* how many are given back */
    int matrices[3]; /* which */
    float y;         /* of the first element */
};

static void check(const struct plan *p) {
    struct counted counted = {0};
    const struct session_options options = {.memory = model_memory(&counted),
                                            .secret = model_memory(&counted),
                                            .discard = discard,
                                            .discard_ctx = &discards,
                                            .external = {.find = find}};
    static struct message g, m;
    struct message part;
    static float x[SIDE * SIDE];
    struct value in = {.kind = VALUE_TENSOR}, out[2];
    struct session *s = NULL;
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < SIDE * SIDE; i++)
            file[k][i] = (float)(k + 1);
    for (size_t i = 0; i < SIDE * SIDE; i++)
        x[i] = 1;
    discards = 0;
    g.size = 0;
    for (size_t i = 0; i < 4 && p->nodes[i][0]; i++) {
        part = model_node(p->nodes[i][0], p->nodes[i][1], p->nodes[i][2]);
        model_put(&g, GRAPH_NODE, &part);
    }
    for (size_t i = 0; i < 3 && p->weights[i][0]; i++)
        put_weights(&g, p->weights[i][0], p->weights[i][1]);
    part = model_value("x", DTYPE_FLOAT, 2, (int64_t[]){SIDE, SIDE});
    model_put(&g, GRAPH_INPUT, &part);
    part = model_value(p->output, DTYPE_FLOAT, 2, (int64_t[]){SIDE, SIDE});
    model_put(&g, GRAPH_OUTPUT, &part);
    if (strcmp(p->output, "y") != 0) {
        part = model_value("y", DTYPE_FLOAT, 2, (int64_t[]){SIDE, SIDE});
        model_put(&g, GRAPH_OUTPUT, &part);
    }
    m = model_of(&g, 17);
    cr_assert_eq(session_open(model_str(&m), &options, &s, &error), STATUS_OK, "%s", error.message);
    cr_expect_eq(discards, p->wanted, "%s: %zu", p->nodes[0][1], discards);
    for (size_t i = 0; i < p->wanted && i < discards; i++)
        cr_expect_eq(discarded[i], file[p->matrices[i]], "%s: %zu", p->nodes[0][1], i);
    cr_assert_eq(tensor_shape(&in.tensor, DTYPE_FLOAT, 2, (int64_t[]){SIDE, SIDE}, &error),
                 STATUS_OK);
    in.tensor.data = x;
    size_t outputs = session_output_count(s);
    cr_assert_eq(session_run(s, &in, 1, 0, out, outputs, &error), STATUS_OK, "%s", error.message);
    cr_expect_float_eq(*(float *)out[outputs - 1].tensor.data, p->y, 1e-3, "%s: %f", p->nodes[0][1],
                       (double)*(float *)out[outputs - 1].tensor.data);
    session_release(s);
    session_free(s);
    cr_expect_eq(counted.live, 0);
}

Test(spent, what_nobody_reads_again_is_given_back_once) {
    static const struct plan plans[] = {
        {.nodes = {{"MatMul", "x a", "y"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .wanted = 1,
         .matrices = {0},
         .y = 16},
        {.nodes = {{"MatMul", "a x", "y"}},
         .weights = {{"a", "1"}},
         .output = "y",
         .wanted = 1,
         .matrices = {1},
         .y = 32},
        {.nodes = {{"Gemm", "x a", "y"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .wanted = 1,
         .matrices = {0},
         .y = 16},
        /* Not packed: read in every run. */
        {.nodes = {{"Add", "x a", "y"}}, .weights = {{"a", "1"}}, .output = "y", .y = 3},
        /* Packed by one, read by another, in either order. */
        {.nodes = {{"MatMul", "x a", "t"}, {"Add", "t a", "y"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .y = 17},
        {.nodes = {{"Add", "x a", "t"}, {"MatMul", "t a", "y"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .y = 32},
        /* Packed by both: given back when the second has it. */
        {.nodes = {{"MatMul", "x a", "t"}, {"MatMul", "t a", "y"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .wanted = 1,
         .matrices = {0},
         .y = 256},
        /* Two names for the same bytes. */
        {.nodes = {{"MatMul", "x a", "t"}, {"Add", "t b", "y"}},
         .weights = {{"a", "0"}, {"b", "0"}},
         .output = "y",
         .y = 17},
        {.nodes = {{"MatMul", "x a", "t"}, {"MatMul", "t b", "y"}},
         .weights = {{"a", "0"}, {"b", "0"}},
         .output = "y",
         .wanted = 1,
         .matrices = {0},
         .y = 256},
        /* A copy of them was made at load. */
        {.nodes = {{"Identity", "a", "b"}, {"MatMul", "x a", "t"}, {"Add", "t b", "y"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .wanted = 1,
         .matrices = {0},
         .y = 17},
        /* The model gives such a copy out itself. */
        {.nodes = {{"Identity", "a", "w"}, {"MatMul", "x a", "y"}},
         .weights = {{"a", "0"}},
         .output = "w",
         .wanted = 1,
         .matrices = {0},
         .y = 16},
        /* Who reads it is never run. */
        {.nodes = {{"MatMul", "x a", "y"}, {"Add", "x a", "unread"}},
         .weights = {{"a", "0"}},
         .output = "y",
         .wanted = 1,
         .matrices = {0},
         .y = 16},
        {.nodes = {{"MatMul", "x a", "t"}, {"MatMul", "t b", "u"}, {"MatMul", "u c", "y"}},
         .weights = {{"a", "2"}, {"b", "0"}, {"c", "3"}},
         .output = "y",
         .wanted = 3,
         .matrices = {2, 0, 3},
         .y = 48 * 16 * 64},
    };
    for (size_t i = 0; i < sizeof plans / sizeof *plans; i++)
        check(&plans[i]);
}
