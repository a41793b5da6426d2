/* Operators called directly, without a session: maps, trees, encoders. */
#include "engine/ops/op.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <math.h>

#define ATTRIBUTES 24

struct call {
    struct counted counted;
    struct arena heap, scratch, weights, graph;
    struct attribute attributes[ATTRIBUTES];
    struct node node;
    struct op_ctx c;
    const struct value *in[4];
    struct value values[4], out[2];
    struct op_env env;
    struct error error;
};

static const int32_t two_outputs[] = {0, 1};

static void call_start(struct call *k) {
    memset(k, 0, sizeof *k);
    struct memory m = model_memory(&k->counted);
    arena_init(&k->heap, m, 4096, SIZE_MAX, "test");
    arena_init(&k->scratch, m, 4096, SIZE_MAX, "test");
    arena_init(&k->weights, m, 4096, SIZE_MAX, "test");
    arena_init(&k->graph, m, 4096, SIZE_MAX, "test");
    k->node.attributes = k->attributes;
    k->node.outputs = two_outputs;
}

static void call_end(struct call *k) {
    arena_free(&k->heap);
    arena_free(&k->scratch);
    arena_free(&k->weights);
    arena_free(&k->graph);
    cr_expect_eq(k->counted.live, 0);
}

static struct attribute *attribute(struct call *k, const char *name, enum attr_type type) {
    cr_assert_lt(k->node.attribute_count, ATTRIBUTES);
    struct attribute *a = &k->attributes[k->node.attribute_count++];
    a->name = (struct str){name, strlen(name)};
    a->type = type;
    return a;
}

static void set_int(struct call *k, const char *name, int64_t v) {
    attribute(k, name, ATTR_INT)->i = v;
}

static void set_str(struct call *k, const char *name, const char *v) {
    attribute(k, name, ATTR_STRING)->s = (struct str){v, strlen(v)};
}

static void set_ints(struct call *k, const char *name, const int64_t *v, size_t n) {
    struct attribute *a = attribute(k, name, ATTR_INTS);
    a->ints = v;
    a->count = n;
}

static void set_floats(struct call *k, const char *name, const float *v, size_t n) {
    struct attribute *a = attribute(k, name, ATTR_FLOATS);
    a->floats = v;
    a->count = n;
}

static void set_strs(struct call *k, const char *name, const struct str *v, size_t n) {
    struct attribute *a = attribute(k, name, ATTR_STRINGS);
    a->strings = v;
    a->count = n;
}

static void input(struct call *k, size_t i, enum dtype dtype, int rank, const int64_t *dims,
                  const void *data) {
    k->values[i].kind = VALUE_TENSOR;
    cr_assert_eq(tensor_shape(&k->values[i].tensor, dtype, rank, dims, NULL), STATUS_OK);
    k->values[i].tensor.data = (void *)(uintptr_t)data;
    k->in[i] = &k->values[i];
    if (k->c.in_count <= i)
        k->c.in_count = i + 1;
}

/* prepare (once), infer, run. */
static enum status call_run(struct call *k, const char *op, int64_t opset, size_t outputs) {
    struct str domain = {"ai.onnx.ml", 10}, name = {op, strlen(op)};
    const struct op_row *row = op_find(domain, name, opset);
    cr_assert_not_null(row, "%s", op);
    k->c = (struct op_ctx){.node = &k->node,
                           .in = k->in,
                           .out = k->out,
                           .in_count = k->c.in_count,
                           .out_count = outputs,
                           .heap = &k->heap,
                           .scratch = &k->scratch,
                           .weights = &k->weights,
                           .graph = &k->graph,
                           .env = &k->env,
                           .opset = opset,
                           .error = &k->error};
    k->node.output_count = outputs;
    enum status s = row->prepare && !k->node.state ? row->prepare(&k->c) : STATUS_OK;
    if (s == STATUS_OK)
        s = row->infer(&k->c);
    for (size_t i = 0; s == STATUS_OK && k->c.state == OP_SHAPE_KNOWN && i < outputs; i++)
        if (k->out[i].kind == VALUE_TENSOR) {
            k->out[i].tensor.data = arena_alloc(&k->heap, k->out[i].tensor.bytes);
            cr_assert_not_null(k->out[i].tensor.data);
        }
    if (s == STATUS_OK)
        s = row->run(&k->c);
    return s;
}

/* ---- maps ---- */

Test(ml, zip_map_makes_maps_that_others_read) {
    struct call zip, dict;
    static const struct str labels[] = {{"no", 2}, {"yes", 3}},
                            words[] = {{"yes", 3}, {"x", 1}, {"no", 2}};
    static const float x[] = {0.25f, 0.75f, 1, 0};
    call_start(&zip);
    set_strs(&zip, "classlabels_strings", labels, 2);
    input(&zip, 0, DTYPE_FLOAT, 2, (int64_t[]){2, 2}, x);
    cr_assert_eq(call_run(&zip, "ZipMap", 1, 1), STATUS_OK, "%s", zip.error.message);
    cr_assert_eq(zip.out[0].kind, VALUE_SEQUENCE);
    cr_assert_eq(zip.out[0].count, 2);
    const struct value *second = &zip.out[0].items[1];
    cr_assert_eq(second->kind, VALUE_MAP);
    cr_expect(str_is(((const struct str *)second->items[0].tensor.data)[1], "yes"));
    cr_expect_eq(((const float *)second->items[1].tensor.data)[0], 1);

    call_start(&dict);
    set_strs(&dict, "string_vocabulary", words, 3);
    dict.in[0] = &zip.out[0].items[0];
    dict.c.in_count = 1;
    cr_assert_eq(call_run(&dict, "DictVectorizer", 1, 1), STATUS_OK, "%s", dict.error.message);
    const float *y = dict.out[0].tensor.data;
    cr_expect(y[0] == 0.75f && y[1] == 0 && y[2] == 0.25f);
    call_end(&dict);
    call_end(&zip);
}

Test(ml, cast_map_orders_by_key) {
    struct call zip, cast;
    static const int64_t labels[] = {5, 0, 2};
    static const float x[] = {1.5f, 2.5f, 3.5f};
    call_start(&zip);
    set_ints(&zip, "classlabels_int64s", labels, 3);
    input(&zip, 0, DTYPE_FLOAT, 1, (int64_t[]){3}, x);
    cr_assert_eq(call_run(&zip, "ZipMap", 1, 1), STATUS_OK, "%s", zip.error.message);
    for (int sparse = 0; sparse < 2; sparse++) {
        call_start(&cast);
        cast.in[0] = &zip.out[0].items[0];
        cast.c.in_count = 1;
        set_str(&cast, "map_form", sparse ? "SPARSE" : "DENSE");
        set_int(&cast, "max_map", 6);
        cr_assert_eq(call_run(&cast, "CastMap", 1, 1), STATUS_OK, "%s", cast.error.message);
        const float *y = cast.out[0].tensor.data,
                    want[2][6] = {{2.5f, 3.5f, 1.5f}, {2.5f, 0, 3.5f, 0, 0, 1.5f}};
        cr_assert_eq(cast.out[0].tensor.count, sparse ? 6 : 3);
        for (int i = 0; i < (sparse ? 6 : 3); i++)
            cr_expect_eq(y[i], want[sparse][i], "%d %d", sparse, i);
        call_end(&cast);
    }
    call_start(&cast); /* key 5 does not fit */
    cast.in[0] = &zip.out[0].items[0];
    cast.c.in_count = 1;
    set_str(&cast, "map_form", "SPARSE");
    set_int(&cast, "max_map", 5);
    cr_expect_eq(call_run(&cast, "CastMap", 1, 1), STATUS_INVALID);
    call_end(&cast);
    call_end(&zip);
}

/* ---- trees: one comparison with a leaf of 1 where it holds, of 2 where not ---- */

struct stump {
    struct str modes[3];
    int64_t tree[3], node[3], feature[3], on_true[3], on_false[3], missing[3];
    int64_t leaf_tree[2], leaf_node[2], target[2];
    float value[3], weight[2];
};

static void stump_of(struct stump *s, const char *mode, bool missing) {
    *s = (struct stump){
        .modes = {{mode, strlen(mode)}, {"LEAF", 4}, {"LEAF", 4}},
        .node = {0, 1, 2},
        .on_true = {1},
        .on_false = {2},
        .missing = {missing},
        .leaf_node = {1, 2},
        .value = {1.5f},
        .weight = {1, 2},
    };
}

static void stump_set(struct call *k, const struct stump *s) {
    set_ints(k, "nodes_treeids", s->tree, 3);
    set_ints(k, "nodes_nodeids", s->node, 3);
    set_ints(k, "nodes_featureids", s->feature, 3);
    set_ints(k, "nodes_truenodeids", s->on_true, 3);
    set_ints(k, "nodes_falsenodeids", s->on_false, 3);
    set_ints(k, "nodes_missing_value_tracks_true", s->missing, 3);
    set_strs(k, "nodes_modes", s->modes, 3);
    set_floats(k, "nodes_values", s->value, 3);
    set_ints(k, "target_treeids", s->leaf_tree, 2);
    set_ints(k, "target_nodeids", s->leaf_node, 2);
    set_ints(k, "target_ids", s->target, 2);
    set_floats(k, "target_weights", s->weight, 2);
    set_int(k, "n_targets", 1);
}

static bool holds(int mode, double x, double v) {
    const bool all[] = {x <= v, x<v, x >= v, x> v, x == v, x != v};
    return all[mode];
}

Test(ml, every_comparison_and_missing_value) {
    static const char *const modes[] = {"BRANCH_LEQ", "BRANCH_LT", "BRANCH_GTE",
                                        "BRANCH_GT",  "BRANCH_EQ", "BRANCH_NEQ"};
    static const float x32[] = {1, 1.5f, 2, NAN, -INFINITY, INFINITY};
    static const double x64[] = {1, 1.5, 2, NAN, -INFINITY, INFINITY};
    for (int t = 0; t < 24; t++) {
        struct call k;
        struct stump stump;
        int mode = t / 4;
        bool missing = t & 1, wide = t & 2;
        stump_of(&stump, modes[mode], missing);
        call_start(&k);
        stump_set(&k, &stump);
        input(&k, 0, wide ? DTYPE_DOUBLE : DTYPE_FLOAT, 2, (int64_t[]){6, 1},
              wide ? (const void *)x64 : x32);
        cr_assert_eq(call_run(&k, "TreeEnsembleRegressor", 3, 1), STATUS_OK, "%s", k.error.message);
        for (int i = 0; i < 6; i++) {
            bool yes = holds(mode, x64[i], 1.5) || (isnan(x64[i]) && missing);
            cr_expect_eq(((const float *)k.out[0].tensor.data)[i], yes ? 1 : 2,
                         "%s missing %d at %g", modes[mode], missing, x64[i]);
        }
        call_end(&k);
    }
}

static enum status stump_run(struct stump *s) {
    struct call k;
    static const float x[] = {0};
    call_start(&k);
    stump_set(&k, s);
    input(&k, 0, DTYPE_FLOAT, 2, (int64_t[]){1, 1}, x);
    enum status status = call_run(&k, "TreeEnsembleRegressor", 3, 1);
    cr_expect(status == STATUS_OK || k.error.message[0] != '\0');
    call_end(&k);
    return status;
}

Test(ml, trees_that_are_none_are_refused) {
    struct stump s;
    stump_of(&s, "BRANCH_LT", false);
    cr_expect_eq(stump_run(&s), STATUS_OK);
    s.on_true[0] = 7; /* no such node */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.on_true[0] = 0; /* its own child */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.on_true[0] = 2; /* both sides the same */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.node[2] = 1; /* an id twice */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.tree[2] = 1; /* the child is in another tree */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.feature[0] = 1; /* the row has one feature */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.feature[0] = -1;
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH_LT", false);
    s.target[1] = 1; /* there is one target */
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
    stump_of(&s, "BRANCH", false);
    cr_expect_eq(stump_run(&s), STATUS_INVALID);
}

/* 0 and 1 compare for 1 and 2, each with `shared` where they are equal; 2 compares for 3. */
static enum status chain_run(int64_t shared, int64_t last, float *y) {
    static const int64_t tree[5], node[] = {0, 1, 2, 3, 4}, feature[5], zeros[2], leaf[] = {3, 4};
    static const float value[] = {1, 2, 3, 0, 0}, weight[] = {10, 20}, x[] = {1, 2, 3, 4};
    static const struct str modes[] = {
        {"BRANCH_EQ", 9}, {"BRANCH_EQ", 9}, {"BRANCH_EQ", 9}, {"LEAF", 4}, {"LEAF", 4}};
    const int64_t on_true[] = {shared, shared, shared, 0, 0}, on_false[] = {1, 2, last, 0, 0};
    struct call k;
    call_start(&k);
    set_ints(&k, "nodes_treeids", tree, 5);
    set_ints(&k, "nodes_nodeids", node, 5);
    set_ints(&k, "nodes_featureids", feature, 5);
    set_ints(&k, "nodes_truenodeids", on_true, 5);
    set_ints(&k, "nodes_falsenodeids", on_false, 5);
    set_strs(&k, "nodes_modes", modes, 5);
    set_floats(&k, "nodes_values", value, 5);
    set_ints(&k, "target_treeids", zeros, 2);
    set_ints(&k, "target_nodeids", leaf, 2);
    set_ints(&k, "target_ids", zeros, 2);
    set_floats(&k, "target_weights", weight, 2);
    input(&k, 0, DTYPE_FLOAT, 2, (int64_t[]){4, 1}, x);
    enum status status = call_run(&k, "TreeEnsembleRegressor", 3, 1);
    for (int i = 0; status == STATUS_OK && i < 4; i++)
        y[i] = ((const float *)k.out[0].tensor.data)[i];
    call_end(&k);
    return status;
}

Test(ml, branches_may_be_shared_but_lead_back_nowhere) {
    float y[4] = {0};
    cr_assert_eq(chain_run(3, 4, y), STATUS_OK);
    cr_expect(y[0] == 10 && y[1] == 10 && y[2] == 10 && y[3] == 20);
    cr_expect_eq(chain_run(3, 1, y), STATUS_INVALID); /* to a branch above */
    cr_expect_eq(chain_run(3, 2, y), STATUS_INVALID); /* to itself */
    cr_expect_eq(chain_run(3, 0, y), STATUS_INVALID); /* to the root: none is left */
}

/* A row's result must not depend on the rows beside it: 1, 3 and 70 rows take other ways. */
Test(ml, a_row_does_not_depend_on_its_batch) {
    enum { ROWS = 70, TREES = 19 };
    static int64_t tree[3 * TREES], node[3 * TREES], feature[3 * TREES], on_true[3 * TREES],
        on_false[3 * TREES], leaf_tree[2 * TREES], leaf_node[2 * TREES], target[2 * TREES];
    static float value[3 * TREES], weight[2 * TREES], x[ROWS * 4];
    static struct str modes[3 * TREES];
    for (int i = 0; i < 3 * TREES; i++) {
        tree[i] = i / 3;
        node[i] = i % 3;
        feature[i] = i / 3 % 4;
        on_true[i] = 1;
        on_false[i] = 2;
        value[i] = (float)sin(i);
        modes[i] = i % 3 ? (struct str){"LEAF", 4} : (struct str){"BRANCH_LEQ", 10};
    }
    for (int i = 0; i < 2 * TREES; i++) {
        leaf_tree[i] = i / 2;
        leaf_node[i] = 1 + i % 2;
        weight[i] = (float)cos(i * 3);
    }
    for (int i = 0; i < ROWS * 4; i++)
        x[i] = (float)sin(i * 5);
    float all[ROWS];
    for (int pass = 0; pass < 3; pass++) {
        static const int batch[] = {ROWS, 1, 3};
        for (int first = 0; first + batch[pass] <= ROWS; first += batch[pass]) {
            struct call k;
            call_start(&k);
            set_ints(&k, "nodes_treeids", tree, 3 * TREES);
            set_ints(&k, "nodes_nodeids", node, 3 * TREES);
            set_ints(&k, "nodes_featureids", feature, 3 * TREES);
            set_ints(&k, "nodes_truenodeids", on_true, 3 * TREES);
            set_ints(&k, "nodes_falsenodeids", on_false, 3 * TREES);
            set_strs(&k, "nodes_modes", modes, 3 * TREES);
            set_floats(&k, "nodes_values", value, 3 * TREES);
            set_ints(&k, "target_treeids", leaf_tree, 2 * TREES);
            set_ints(&k, "target_nodeids", leaf_node, 2 * TREES);
            set_ints(&k, "target_ids", target, 2 * TREES);
            set_floats(&k, "target_weights", weight, 2 * TREES);
            input(&k, 0, DTYPE_FLOAT, 2, (int64_t[]){batch[pass], 4}, x + first * 4);
            cr_assert_eq(call_run(&k, "TreeEnsembleRegressor", 3, 1), STATUS_OK, "%s",
                         k.error.message);
            const float *y = k.out[0].tensor.data;
            for (int i = 0; i < batch[pass]; i++) {
                double want = 0;
                for (int t = 0; t < TREES; t++)
                    want += (double)weight[2 * t + (x[(first + i) * 4 + t % 4] > value[3 * t])];
                if (pass == 0)
                    all[i] = y[i];
                cr_expect_eq(y[i], all[first + i]);
                cr_expect_float_eq(y[i], want, 1e-5);
            }
            call_end(&k);
        }
    }
}

/* ---- encoders ---- */

Test(ml, the_last_of_equal_keys_counts) {
    struct call k;
    static const int64_t keys[] = {3, 1, 3, 2}, values[] = {10, 20, 30, 40}, x[] = {1, 2, 3, 4};
    static const int64_t want[] = {20, 40, 30, -9};
    call_start(&k);
    set_ints(&k, "keys_int64s", keys, 4);
    set_ints(&k, "values_int64s", values, 4);
    set_int(&k, "default_int64", -9);
    input(&k, 0, DTYPE_INT64, 1, (int64_t[]){4}, x);
    cr_assert_eq(call_run(&k, "LabelEncoder", 4, 1), STATUS_OK, "%s", k.error.message);
    for (int i = 0; i < 4; i++)
        cr_expect_eq(((const int64_t *)k.out[0].tensor.data)[i], want[i], "%d", i);
    call_end(&k);
}

Test(ml, columns_outside_the_row_are_refused) {
    static const float x[] = {1, 2, 3};
    static const int64_t bad[] = {-1, 3, INT64_MIN, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        struct call k;
        call_start(&k);
        input(&k, 0, DTYPE_FLOAT, 1, (int64_t[]){3}, x);
        input(&k, 1, DTYPE_INT64, 1, (int64_t[]){1}, &bad[i]);
        cr_expect_eq(call_run(&k, "ArrayFeatureExtractor", 1, 1), STATUS_INVALID);
        call_end(&k);
    }
}
