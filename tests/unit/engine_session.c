#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <string.h>

/* A run has three regions to keep apart: what the model is, what a session holds, what a run holds.
 */
struct fixture {
    struct counted memory, secret;
    struct session_options options;
    struct session *session;
    struct error error;
};

static void prepare(struct fixture *f) {
    memset(f, 0, sizeof *f);
    f->options.memory = model_memory(&f->memory);
    f->options.secret = model_memory(&f->secret);
    f->options.threads = 2;
}

static enum status open_graph(struct fixture *f, const struct message *graph, int64_t opset) {
    static struct message model; /* must outlive the session */
    model = model_of(graph, opset);
    return session_open(model_str(&model), &f->options, &f->session, &f->error);
}

static void put(struct message *graph, uint32_t field, struct message inner) {
    model_put(graph, field, &inner);
}

static struct value floats(float *data, int rank, const int64_t *dims) {
    struct value v = {.kind = VALUE_TENSOR};
    cr_assert_eq(tensor_shape(&v.tensor, DTYPE_FLOAT, rank, dims, NULL), STATUS_OK);
    v.tensor.data = data;
    return v;
}

/* y = relu(x W + b), with a batch size that varies. */
static void dense_graph(struct message *g) {
    static const float w[6] = {1, -1, 2, 0.5f, 3, -2}, b[2] = {0.25f, -0.5f};
    g->size = 0;
    put(g, GRAPH_NODE, model_node("MatMul", "x w", "p"));
    put(g, GRAPH_NODE, model_node("Add", "p b", "s"));
    put(g, GRAPH_NODE, model_node("Relu", "s", "y"));
    put(g, GRAPH_INITIALIZER, model_tensor("w", DTYPE_FLOAT, 2, (int64_t[]){3, 2}, w, sizeof w));
    put(g, GRAPH_INITIALIZER, model_tensor("b", DTYPE_FLOAT, 1, (int64_t[]){2}, b, sizeof b));
    put(g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 2, (int64_t[]){-1, 3}));
    put(g, GRAPH_OUTPUT, model_value("y", DTYPE_FLOAT, 2, (int64_t[]){-1, 2}));
}

Test(session, computes_and_gives_its_signature) {
    struct fixture f;
    static struct message g;
    prepare(&f);
    dense_graph(&g);
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK, "%s", f.error.message);
    cr_expect_eq(session_input_count(f.session), 1);
    cr_expect_eq(session_output_count(f.session), 1);
    const struct session_port *port = session_input(f.session, 0);
    cr_expect(str_is(port->name, "x"));
    cr_expect_eq(port->type.rank, 2);
    cr_expect_eq(port->type.dims[0], -1);
    cr_expect_eq(port->type.dims[1], 3);
    float x[6] = {1, 2, 3, -1, 0, 2};
    struct value in = floats(x, 2, (int64_t[]){2, 3}), out = {0};
    cr_assert_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_OK, "%s",
                 f.error.message);
    cr_assert_eq(out.tensor.rank, 2);
    cr_expect_eq(out.tensor.dims[0], 2);
    const float want[4] = {14.25f, 0, 5.25f, 0}, *y = out.tensor.data;
    for (int i = 0; i < 4; i++)
        cr_expect_float_eq(y[i], want[i], 1e-6, "%d: %g", i, (double)y[i]);
    session_release(f.session);
    session_free(f.session);
    cr_expect_eq(f.memory.live, 0);
    cr_expect_eq(f.secret.live, 0);
}

Test(session, steady_state_takes_no_memory_and_a_release_wipes) {
    struct fixture f;
    static struct message g;
    prepare(&f);
    dense_graph(&g);
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK);
    float x[6] = {1, 2, 3, -1, 0, 2};
    struct value in = floats(x, 2, (int64_t[]){2, 3}), out = {0};
    cr_assert_eq(session_run(f.session, &in, 1, 0, &out, 1, NULL), STATUS_OK);
    const float *y = out.tensor.data;
    cr_expect_neq(y[0], 0.0f);
    session_release(f.session);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(y[i], 0.0f, "an activation is left after the release");
    size_t before = f.memory.acquired + f.secret.acquired;
    for (int i = 0; i < 20; i++) {
        cr_assert_eq(session_run(f.session, &in, 1, 0, &out, 1, NULL), STATUS_OK);
        session_release(f.session);
    }
    cr_expect_eq(f.memory.acquired + f.secret.acquired, before);
    session_free(f.session);
}

Test(session, many_shapes_do_not_pile_up) {
    struct fixture f;
    static struct message g;
    static float x[3 * 64];
    prepare(&f);
    f.options.plans = 4;
    dense_graph(&g);
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK);
    size_t live = 0;
    for (int64_t n = 1; n <= 64; n++) {
        struct value in = floats(x, 2, (int64_t[]){n, 3}), out = {0};
        cr_assert_eq(session_run(f.session, &in, 1, 0, &out, 1, NULL), STATUS_OK);
        cr_expect_eq(out.tensor.dims[0], n);
        session_release(f.session);
        if (n == 8)
            live = f.memory.live;
    }
    cr_expect_eq(f.memory.live, live, "plans of old shapes are kept");
    session_free(f.session);
}

Test(session, inputs_that_do_not_fit_are_named) {
    struct fixture f;
    static struct message g;
    float x[12] = {0};
    prepare(&f);
    dense_graph(&g);
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK);
    struct value in = floats(x, 3, (int64_t[]){1, 2, 3}), out = {.kind = VALUE_SEQUENCE};
    cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_INVALID);
    cr_expect_str_eq(f.error.message,
                     "input \"x\": shape [1,2,3] has 3 dimensions, the model takes [-1,3]");
    cr_expect_eq(out.kind, VALUE_SEQUENCE, "an output was touched");
    in = floats(x, 2, (int64_t[]){3, 4});
    cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_INVALID);
    in = floats(x, 2, (int64_t[]){4, 3});
    in.tensor.dtype = DTYPE_INT32;
    cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_INVALID);
    cr_expect_eq(session_run(f.session, &in, 0, 0, &out, 1, &f.error), STATUS_INVALID);
    /* An empty batch is a batch. */
    in = floats(x, 2, (int64_t[]){0, 3});
    cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_OK);
    cr_expect_eq(out.tensor.count, 0);
    cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_CONFLICT);
    session_release(f.session);
    session_free(f.session);
}

Test(session, every_operator_that_is_not_served_is_named_at_once) {
    struct fixture f;
    static struct message g;
    prepare(&f);
    g.size = 0;
    put(&g, GRAPH_NODE, model_node("NoSuchOperator", "x", "a"));
    put(&g, GRAPH_NODE, model_node_in("org.example", "Other", "a", "b"));
    put(&g, GRAPH_NODE, model_node("NoSuchOperator", "b", "y"));
    put(&g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 1, (int64_t[]){1}));
    put(&g, GRAPH_OUTPUT, model_value("y", DTYPE_FLOAT, 1, (int64_t[]){1}));
    cr_expect_eq(open_graph(&f, &g, 17), STATUS_UNSERVABLE);
    cr_expect_str_eq(f.error.message, "2 operators are not served: ai.onnx.NoSuchOperator (opset "
                                      "17), org.example.Other (opset 0)");
    cr_expect_null(f.session);
    cr_expect_eq(f.memory.live, 0);
    cr_expect_eq(f.secret.live, 0);
    cr_expect_eq(open_graph(&f, &g, 1000), STATUS_UNSERVABLE);
    cr_expect(strstr(f.error.message, "opset 1000") != NULL, "%s", f.error.message);
}

Test(session, an_index_out_of_range_is_an_error_of_the_request) {
    struct fixture f;
    static struct message g;
    static const float table[4] = {1, 2, 3, 4};
    prepare(&f);
    g.size = 0;
    put(&g, GRAPH_NODE, model_node("Gather", "table i", "y"));
    put(&g, GRAPH_INITIALIZER,
        model_tensor("table", DTYPE_FLOAT, 1, (int64_t[]){4}, table, sizeof table));
    put(&g, GRAPH_INPUT, model_value("i", DTYPE_INT64, 1, (int64_t[]){-1}));
    put(&g, GRAPH_OUTPUT, model_value("y", DTYPE_FLOAT, 1, (int64_t[]){-1}));
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK, "%s", f.error.message);
    static const int64_t bad[] = {4, -5, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 4; i++) {
        int64_t index = bad[i];
        struct value in = {.kind = VALUE_TENSOR}, out = {0};
        cr_assert_eq(tensor_shape(&in.tensor, DTYPE_INT64, 1, (int64_t[]){1}, NULL), STATUS_OK);
        in.tensor.data = &index;
        cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_INVALID);
        cr_expect(strstr(f.error.message, "Gather: indices[0]") == f.error.message, "%s",
                  f.error.message);
        index = -4;
        cr_expect_eq(session_run(f.session, &in, 1, 0, &out, 1, &f.error), STATUS_OK);
        cr_expect_eq(*(float *)out.tensor.data, 1.0f);
        session_release(f.session);
    }
    session_free(f.session);
}

/* sum = 0; for (i = 0; i < n; i++) sum += x, in a Loop whose body reads x from outside. */
static void loop_graph(struct message *g) {
    static struct message body, node;
    static const float zero = 0;
    body.size = 0;
    put(&body, GRAPH_NODE, model_node("Identity", "keep", "keep_out"));
    put(&body, GRAPH_NODE, model_node("Add", "sum x", "sum_out"));
    put(&body, GRAPH_INPUT, model_value("i", DTYPE_INT64, 0, NULL));
    put(&body, GRAPH_INPUT, model_value("keep", DTYPE_BOOL, 0, NULL));
    put(&body, GRAPH_INPUT, model_value("sum", DTYPE_FLOAT, 1, (int64_t[]){-1}));
    put(&body, GRAPH_OUTPUT, model_value("keep_out", DTYPE_BOOL, 0, NULL));
    put(&body, GRAPH_OUTPUT, model_value("sum_out", DTYPE_FLOAT, 1, (int64_t[]){-1}));
    put(&body, GRAPH_OUTPUT, model_value("sum_out", DTYPE_FLOAT, 1, (int64_t[]){-1}));
    g->size = 0;
    node = model_node("Loop", "n - zero", "total history");
    model_attribute_graph(&node, "body", &body);
    put(g, GRAPH_NODE, node);
    put(g, GRAPH_INITIALIZER,
        model_tensor("zero", DTYPE_FLOAT, 1, (int64_t[]){1}, &zero, sizeof zero));
    put(g, GRAPH_INPUT, model_value("n", DTYPE_INT64, 0, NULL));
    put(g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 1, (int64_t[]){1}));
    put(g, GRAPH_OUTPUT, model_value("total", DTYPE_FLOAT, 1, (int64_t[]){1}));
    put(g, GRAPH_OUTPUT, model_value("history", DTYPE_FLOAT, 2, (int64_t[]){-1, 1}));
}

static enum status run_loop(struct fixture *f, int64_t trips, uint64_t deadline,
                            struct value *out) {
    static int64_t n;
    static float x;
    n = trips;
    x = 0.5f;
    struct value in[2] = {{.kind = VALUE_TENSOR}, {0}};
    cr_assert_eq(tensor_shape(&in[0].tensor, DTYPE_INT64, 0, NULL, NULL), STATUS_OK);
    in[0].tensor.data = &n;
    in[1] = floats(&x, 1, (int64_t[]){1});
    return session_run(f->session, in, 2, deadline, out, 2, &f->error);
}

Test(session, loops_run_and_are_bounded) {
    struct fixture f;
    static struct message g;
    struct value out[2] = {{0}, {0}};
    prepare(&f);
    f.options.max_trips = 1000;
    loop_graph(&g);
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK, "%s", f.error.message);
    cr_assert_eq(run_loop(&f, 10, 0, out), STATUS_OK, "%s", f.error.message);
    cr_expect_eq(*(float *)out[0].tensor.data, 5.0f);
    cr_expect_eq(out[1].tensor.dims[0], 10);
    cr_expect_eq(((float *)out[1].tensor.data)[2], 1.5f);
    session_release(f.session);
    cr_assert_eq(run_loop(&f, 0, 0, out), STATUS_OK, "%s", f.error.message);
    cr_expect_eq(*(float *)out[0].tensor.data, 0.0f);
    cr_expect_eq(out[1].tensor.count, 0);
    session_release(f.session);
    cr_expect_eq(run_loop(&f, 1001, 0, out), STATUS_INVALID);
    cr_expect(strstr(f.error.message, "iterations") != NULL, "%s", f.error.message);
    cr_expect_eq(run_loop(&f, 10, 1, out), STATUS_DEADLINE);
    cr_assert_eq(run_loop(&f, 1000, 0, out), STATUS_OK);
    session_release(f.session);
    size_t before = f.memory.acquired;
    cr_assert_eq(run_loop(&f, 1000, 0, out), STATUS_OK);
    cr_expect_eq(f.memory.acquired, before, "a loop takes memory in the steady state");
    session_release(f.session);
    session_free(f.session);
    cr_expect_eq(f.memory.live, 0);
}

Test(session, memory_budgets_hold) {
    struct fixture f;
    static struct message g;
    static float x[3];
    prepare(&f);
    f.options.max_memory = 2 << 20;
    g.size = 0;
    put(&g, GRAPH_NODE, model_node("Expand", "x shape", "big"));
    put(&g, GRAPH_NODE, model_node("Relu", "big", "y"));
    put(&g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 1, (int64_t[]){1}));
    put(&g, GRAPH_INPUT, model_value("shape", DTYPE_INT64, 1, (int64_t[]){2}));
    put(&g, GRAPH_OUTPUT, model_value("y", DTYPE_FLOAT, 2, (int64_t[]){-1, -1}));
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK, "%s", f.error.message);
    int64_t shape[2] = {1 << 20, 1 << 20};
    struct value in[2] = {floats(x, 1, (int64_t[]){1}), {.kind = VALUE_TENSOR}}, out = {0};
    cr_assert_eq(tensor_shape(&in[1].tensor, DTYPE_INT64, 1, (int64_t[]){2}, NULL), STATUS_OK);
    in[1].tensor.data = shape;
    cr_expect_eq(session_run(f.session, in, 2, 0, &out, 1, &f.error), STATUS_TOO_LARGE);
    shape[0] = shape[1] = INT64_MAX;
    cr_expect_eq(session_run(f.session, in, 2, 0, &out, 1, &f.error), STATUS_INVALID);
    shape[0] = 2;
    shape[1] = 3;
    cr_expect_eq(session_run(f.session, in, 2, 0, &out, 1, &f.error), STATUS_OK, "%s",
                 f.error.message);
    cr_expect_eq(out.tensor.count, 6);
    session_release(f.session);
    session_free(f.session);
}

Test(session, every_refusal_of_memory_is_an_error_and_leaks_nothing) {
    static struct message g;
    float x[6] = {1, 2, 3, -1, 0, 2};
    bool succeeded = false;
    dense_graph(&g);
    for (size_t at = 1; at < 40 && !succeeded; at++) {
        struct fixture f;
        struct value in = floats(x, 2, (int64_t[]){2, 3}), out = {0};
        prepare(&f);
        f.memory.refuse_after = at;
        enum status s = open_graph(&f, &g, 17);
        if (s == STATUS_OK) {
            s = session_run(f.session, &in, 1, 0, &out, 1, &f.error);
            succeeded = s == STATUS_OK;
            session_free(f.session);
        }
        cr_expect(succeeded || s == STATUS_TOO_LARGE, "%d %s", (int)s, f.error.message);
        cr_expect_eq(f.memory.live, 0);
        cr_expect_eq(f.secret.live, 0);
    }
    cr_expect(succeeded);
}

Test(session, weights_come_from_the_secret_source_alone) {
    struct fixture f;
    static struct message g;
    prepare(&f);
    f.secret.refuse_after = 1;
    dense_graph(&g);
    cr_expect_eq(open_graph(&f, &g, 17), STATUS_TOO_LARGE);
    cr_expect(strstr(f.error.message, "weights") != NULL, "%s", f.error.message);
}

Test(session, types_of_undeclared_outputs_are_found) {
    struct fixture f;
    static struct message g;
    struct message bare = {.size = 0};
    static const int64_t shape[3] = {0, 1, -1};
    prepare(&f);
    g.size = 0;
    put(&g, GRAPH_NODE, model_node("Reshape", "x shape", "r"));
    put(&g, GRAPH_NODE, model_node("Shape", "r", "s"));
    put(&g, GRAPH_NODE, model_node("NonZero", "r", "z"));
    put(&g, GRAPH_INITIALIZER,
        model_tensor("shape", DTYPE_INT64, 1, (int64_t[]){3}, shape, sizeof shape));
    put(&g, GRAPH_INPUT, model_value("x", DTYPE_FLOAT, 2, (int64_t[]){-1, 4}));
    for (const char *name = "rsz"; *name; name++) {
        bare.size = 0;
        model_bytes(&bare, 1, name, 1);
        model_put(&g, GRAPH_OUTPUT, &bare);
    }
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK, "%s", f.error.message);
    const struct type_info *r = &session_output(f.session, 0)->type;
    const struct type_info *s = &session_output(f.session, 1)->type;
    cr_expect_eq(r->rank, 3);
    cr_expect_eq(r->dtype, DTYPE_FLOAT);
    cr_expect(r->dims[0] == -1 && r->dims[1] == 1 && r->dims[2] == 4);
    cr_expect(s->rank == 1 && s->dims[0] == 3 && s->dtype == DTYPE_INT64);
    cr_expect_eq(session_output(f.session, 2)->type.rank, -1, "this shape hangs on values");
    session_free(f.session);
}

Test(session, facts_and_costs) {
    struct fixture f;
    static struct message g;
    struct session_facts facts;
    struct session_cost cost;
    prepare(&f);
    dense_graph(&g);
    cr_assert_eq(open_graph(&f, &g, 17), STATUS_OK);
    session_inspect(f.session, &facts);
    cr_expect_eq(facts.parameters, 8);
    cr_expect_eq(facts.nodes, 3);
    cr_expect_eq(facts.opset, 17);
    struct value in = floats(NULL, 2, (int64_t[]){5, 3});
    cr_assert_eq(session_cost(f.session, &in, 1, &cost, &f.error), STATUS_OK, "%s",
                 f.error.message);
    cr_expect_eq(cost.multiply_adds, 5 * 3 * 2);
    cr_expect_eq(cost.static_nodes, 3);
    /* Add and Relu work in place of the product. */
    cr_expect_eq(cost.activation_bytes, 64);
    session_free(f.session);
}
