#include "engine/model/limits.h"
#include "engine/model/reader.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <string.h>

#define LIMITS_DEPTH_TESTED (LIMITS_GRAPH_DEPTH + 2)

static struct counted source;
static struct arena graph_arena, weights_arena;
static struct error error;

static void open_arenas(void) {
    memset(&source, 0, sizeof source);
    memset(&error, 0, sizeof error);
    arena_init(&graph_arena, model_memory(&source), 1 << 16, 64 << 20, "the graph");
    arena_init(&weights_arena, model_memory(&source), 1 << 16, 64 << 20, "the weights");
}

static void close_arenas(void) {
    arena_free(&graph_arena);
    arena_free(&weights_arena);
    cr_expect_eq(source.live, 0);
}

TestSuite(reader, .init = open_arenas, .fini = close_arenas);

static enum status read_bytes(struct str bytes, struct model **out) {
    size_t need = 0;
    enum status s = reader_measure(bytes, NULL, &need, &error);
    if (s != STATUS_OK)
        return s;
    size_t before = weights_arena.used;
    s = reader_read(bytes, NULL, &graph_arena, &weights_arena, out, &error);
    if (s == STATUS_OK)
        cr_expect_eq(weights_arena.used - before, need, "measured %zu, took %zu", need,
                     weights_arena.used - before);
    return s;
}

static enum status read_graph(const struct message *graph, struct model **out) {
    static struct message m;
    m = model_of(graph, 17);
    return read_bytes(model_str(&m), out);
}

static void put(struct message *graph, uint32_t field, struct message inner) {
    model_put(graph, field, &inner);
}

static struct message relu_graph(void) {
    struct message g = {.size = 0};
    put(&g, GRAPH_NODE, model_node("Relu", "x", "y"));
    put(&g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 1, (int64_t[]){2}));
    put(&g, GRAPH_OUTPUT, model_value("y", DTYPE_FLOAT, 1, (int64_t[]){2}));
    return g;
}

Test(reader, reads_values_nodes_and_types) {
    struct message g = relu_graph();
    struct model *m = NULL;
    cr_assert_eq(read_graph(&g, &m), STATUS_OK, "%s", error.message);
    cr_expect_eq(m->graph->node_count, 1);
    cr_expect_eq(m->graph->value_count, 2);
    cr_expect(str_is(m->graph->nodes[0].op_type, "Relu"));
    cr_expect_eq(m->graph->nodes[0].opset, 17);
    cr_expect_eq(m->graph->values[m->graph->outputs[0]].producer, 0);
}

Test(reader, every_truncation_and_many_corruptions_end_in_a_status) {
    struct message g = relu_graph(), m;
    static const float data[3] = {1, 2, 3};
    put(&g, GRAPH_INITIALIZER,
        model_tensor("w", DTYPE_FLOAT, 1, (int64_t[]){3}, data, sizeof data));
    m = model_of(&g, 17);
    for (size_t size = 0; size < m.size; size++) {
        struct model *out = NULL;
        /* A copy of its own size, so that a sanitizer sees a read past the end. */
        char *copy = malloc(size ? size : 1);
        memcpy(copy, m.bytes, size);
        enum status s = read_bytes((struct str){copy, size}, &out);
        cr_expect(s != STATUS_OK || size + 4 > m.size - 8, "a cut at %zu is read", size);
        free(copy);
    }
    for (size_t at = 0; at < m.size; at++)
        for (int bit = 0; bit < 8; bit++) {
            struct model *out = NULL;
            struct message bad = m;
            bad.bytes[at] ^= (uint8_t)(1 << bit);
            enum status s = read_bytes(model_str(&bad), &out);
            cr_expect(s == STATUS_OK || s == STATUS_INVALID || s == STATUS_UNSERVABLE ||
                      s == STATUS_TOO_LARGE);
            arena_clear(&graph_arena);
            arena_clear(&weights_arena);
        }
}

Test(reader, errors_name_the_path) {
    struct message g = relu_graph();
    struct model *m = NULL;
    put(&g, GRAPH_NODE, model_node("Relu", "nowhere", "z"));
    cr_expect_eq(read_graph(&g, &m), STATUS_INVALID);
    cr_expect_str_eq(error.message,
                     "model.graph.node[1]: input[0] \"nowhere\" is not made by an earlier node, an "
                     "input or an initializer");
    g = relu_graph();
    put(&g, GRAPH_NODE, model_node("Neg", "x", "y"));
    cr_expect_eq(read_graph(&g, &m), STATUS_INVALID);
    cr_expect_str_eq(error.message, "model.graph.node[1]: the name \"y\" is given to two values");
    cr_expect_null(m);
}

Test(reader, tensors_that_lie_about_their_size_are_refused) {
    static const float data[3] = {1, 2, 3};
    static const struct {
        enum dtype dtype;
        int64_t dims[2];
        const char *message;
    } cases[] = {
        {DTYPE_FLOAT,
         {2, 2},
         "model.graph.initializer[0]: raw_data has 12 bytes, its shape needs "
         "16"},
        {DTYPE_FLOAT, {-1, 3}, "model.graph.initializer[0]: shape [-1,3] has a negative dimension"},
        {DTYPE_FLOAT,
         {INT64_MAX, 4},
         "model.graph.initializer[0]: a tensor of shape "
         "[9223372036854775807,4] is too large"},
        {(enum dtype)99, {1, 3}, "model.graph.initializer[0]: data_type 99 is not known"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct message g = relu_graph();
        struct model *m = NULL;
        put(&g, GRAPH_INITIALIZER,
            model_tensor("w", cases[i].dtype, 2, cases[i].dims, data, sizeof data));
        cr_expect_neq(read_graph(&g, &m), STATUS_OK);
        cr_expect_str_eq(error.message, cases[i].message);
    }
}

Test(reader, external_data_without_files_and_bad_bools_are_refused) {
    struct message g = relu_graph(), t = {.size = 0}, entry = {.size = 0};
    struct model *m = NULL;
    model_text(&entry, 1, "location");
    model_text(&entry, 2, "../../etc/passwd");
    model_int(&t, 2, DTYPE_FLOAT);
    model_text(&t, 8, "w");
    model_put(&t, 13, &entry);
    model_int(&t, 14, 1);
    put(&g, GRAPH_INITIALIZER, t);
    cr_expect_eq(read_graph(&g, &m), STATUS_UNSERVABLE);
    cr_expect(strstr(error.message, "external data") != NULL, "%s", error.message);
    g = relu_graph();
    put(&g, GRAPH_INITIALIZER, model_tensor("w", DTYPE_BOOL, 0, NULL, "\2", 1));
    cr_expect_eq(read_graph(&g, &m), STATUS_INVALID);
    cr_expect(strstr(error.message, "not 0 or 1") != NULL, "%s", error.message);
}

Test(reader, int4_is_unpacked_with_its_sign) {
    struct message g = relu_graph();
    struct model *m = NULL;
    put(&g, GRAPH_INITIALIZER, model_tensor("w", DTYPE_INT4, 1, (int64_t[]){3}, "\xf1\x08", 2));
    cr_assert_eq(read_graph(&g, &m), STATUS_OK, "%s", error.message);
    const int8_t *v = m->graph->values[0].initial->tensor.data;
    cr_expect_eq(v[0], 1);
    cr_expect_eq(v[1], -1);
    cr_expect_eq(v[2], -8);
}

Test(reader, subgraphs_capture_outer_values_through_every_level) {
    struct message inner = {.size = 0}, outer = {.size = 0}, g = relu_graph();
    struct message if_inner = model_node("If", "c", "r"), if_outer = model_node("If", "c", "q");
    struct model *m = NULL;
    put(&inner, GRAPH_NODE, model_node("Neg", "y", "n"));
    put(&inner, GRAPH_OUTPUT, model_value("n", DTYPE_FLOAT, 1, (int64_t[]){2}));
    model_attribute_graph(&if_inner, "then_branch", &inner);
    put(&outer, GRAPH_NODE, if_inner);
    put(&outer, GRAPH_OUTPUT, model_value("r", DTYPE_FLOAT, 1, (int64_t[]){2}));
    model_attribute_graph(&if_outer, "then_branch", &outer);
    put(&g, GRAPH_INPUT, model_value("c", DTYPE_BOOL, 0, NULL));
    put(&g, GRAPH_NODE, if_outer);
    cr_assert_eq(read_graph(&g, &m), STATUS_OK, "%s", error.message);
    cr_expect_eq(m->graph_count, 3);
    const struct node *n = &m->graph->nodes[1];
    cr_expect_eq(n->implicit_count, 2, "c and y are read from inside");
    const struct graph *first = n->attributes[0].g;
    cr_expect_eq(first->capture_count, 2);
    cr_expect_eq(first->nodes[0].attributes[0].g->capture_count, 1);
}

Test(reader, nesting_is_bounded) {
    static struct message levels[LIMITS_DEPTH_TESTED];
    struct model *m = NULL;
    for (size_t i = 0; i < LIMITS_DEPTH_TESTED; i++) {
        levels[i].size = 0;
        if (i > 0) {
            struct message n = model_node("If", "c", "r");
            model_attribute_graph(&n, "then_branch", &levels[i - 1]);
            put(&levels[i], GRAPH_NODE, n);
        }
    }
    struct message g = relu_graph(), n = model_node("If", "x", "q");
    model_attribute_graph(&n, "then_branch", &levels[LIMITS_DEPTH_TESTED - 1]);
    put(&g, GRAPH_NODE, n);
    cr_expect_eq(read_graph(&g, &m), STATUS_UNSERVABLE);
    cr_expect(strstr(error.message, "deep") != NULL, "%s", error.message);
}

Test(reader, functions_are_expanded_where_they_are_called) {
    /* twice(a) = a + a, called with names of the caller's. */
    struct message fn = {.size = 0}, import = {.size = 0}, own = {.size = 0}, m, g = {.size = 0};
    model_text(&fn, 1, "Twice");
    model_text(&fn, 4, "a");
    model_text(&fn, 5, "b");
    put(&fn, 7, model_node("Add", "a a", "b"));
    model_int(&import, 2, 14);
    model_put(&fn, 9, &import);
    model_text(&fn, 10, "org.example");
    put(&g, GRAPH_NODE, model_node_in("org.example", "Twice", "x", "t"));
    put(&g, GRAPH_NODE, model_node_in("org.example", "Twice", "t", "y"));
    put(&g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 1, (int64_t[]){2}));
    put(&g, GRAPH_OUTPUT, model_value("y", DTYPE_FLOAT, 1, (int64_t[]){2}));
    m = model_of(&g, 17);
    model_text(&own, 1, "org.example");
    model_int(&own, 2, 1);
    model_put(&m, 8, &own);
    model_put(&m, 25, &fn);
    struct model *out = NULL;
    cr_assert_eq(read_bytes(model_str(&m), &out), STATUS_OK, "%s", error.message);
    cr_expect_eq(out->graph->node_count, 2);
    cr_expect(str_is(out->graph->nodes[1].op_type, "Add"));
    cr_expect_eq(out->graph->nodes[1].opset, 14, "the function's own opset");
    cr_expect_eq(out->graph->nodes[1].inputs[0], out->graph->nodes[0].outputs[0]);
    cr_expect(str_is(out->graph->output_names[0], "y"));
}

Test(reader, an_attribute_has_only_the_array_that_its_type_says) {
    struct message g = relu_graph(), inner = {.size = 0}, a = {.size = 0};
    struct message n = model_node("If", "x", "q");
    struct model *m = NULL;
    put(&inner, GRAPH_NODE, model_node("Neg", "y", "n"));
    model_text(&a, 1, "then_branch");
    model_put(&a, 6, &inner);
    for (uint64_t i = 0; i < 5; i++)
        model_int(&a, 8, i);
    model_int(&a, 20, 7); /* INTS, though a graph is there too */
    model_put(&n, 5, &a);
    put(&g, GRAPH_NODE, n);
    cr_assert_eq(read_graph(&g, &m), STATUS_OK, "%s", error.message);
    const struct node *node = &m->graph->nodes[1];
    cr_expect_eq(node->attributes[0].count, 5);
    cr_expect_null(node->attributes[0].graphs);
    cr_expect_null(node->attributes[0].g);
    cr_expect_eq(node->implicit_count, 0);
}
