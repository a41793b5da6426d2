#include "engine/model/reader.h"

#include "base/checked.h"
#include "engine/model/proto.h"
#include "engine/model/reader_attribute.h"
#include "engine/model/reader_scope.h"

enum {
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_FUNCTION = 25,
    GRAPH_NODE = 1,
    GRAPH_NAME = 2,
    GRAPH_INITIALIZER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE_INFO = 13,
    GRAPH_SPARSE_INITIALIZER = 15,
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP_TYPE = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
    FUNCTION_NAME = 1,
    FUNCTION_INPUT = 4,
    FUNCTION_OUTPUT = 5,
    FUNCTION_NODE = 7,
    FUNCTION_OPSET = 9,
    FUNCTION_DOMAIN = 10,
    FUNCTION_ATTRIBUTE_PROTO = 11,
};

struct function {
    struct str domain, name, bytes;
    const struct opset *opsets;
    size_t opset_count;
};

struct reader {
    struct wire_path path;
    struct arena *graph, *weights;
    struct model *model;
    struct function *functions;
    size_t function_count;
};

static enum status no_memory(struct reader *r, size_t size) {
    return arena_exhausted(r->graph, size, r->path.error);
}

static enum status enter(struct reader *r, const char *name, int64_t index) {
    if (wire_enter(&r->path, name, index))
        return STATUS_OK;
    return wire_fail(&r->path, STATUS_INVALID, "messages are nested too deep");
}

/* ---- measuring ---- */

static enum status measure_graph(struct wire_path *p, struct str bytes, size_t depth, size_t *need);

static enum status measure_node(struct wire_path *p, struct str bytes, size_t depth, size_t *need) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status s = STATUS_OK;
    while (s == STATUS_OK && wire_next(&c, &f))
        if (f.number == NODE_ATTRIBUTE && f.type == WIRE_BYTES)
            s = reader_attribute_measure(p, f.bytes, need, measure_graph, depth);
    return s == STATUS_OK && c.failed ? wire_malformed(p) : s;
}

/* Graphs and functions: both keep their nodes in a field of the number given. */
static enum status measure_nodes(struct wire_path *p, struct str bytes, uint32_t node_field,
                                 size_t depth, size_t *need) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status s = STATUS_OK;
    int64_t node = 0, initial = 0;
    bool graph = node_field == GRAPH_NODE;
    if (depth > LIMITS_GRAPH_DEPTH)
        return wire_fail(p, STATUS_UNSERVABLE, "subgraphs are nested more than %d deep",
                         LIMITS_GRAPH_DEPTH);
    while (s == STATUS_OK && wire_next(&c, &f)) {
        const char *name = NULL;
        if (f.type != WIRE_BYTES)
            continue;
        if (f.number == node_field)
            name = "node";
        else if (graph && f.number == GRAPH_INITIALIZER)
            name = "initializer";
        else if (graph && f.number == GRAPH_SPARSE_INITIALIZER)
            name = "sparse_initializer";
        if (!name)
            continue;
        if (!wire_enter(p, name, f.number == node_field ? node++ : initial++))
            return wire_fail(p, STATUS_INVALID, "messages are nested too deep");
        s = f.number == node_field          ? measure_node(p, f.bytes, depth, need)
            : f.number == GRAPH_INITIALIZER ? proto_tensor_measure(p, f.bytes, need)
                                            : proto_sparse_measure(p, f.bytes, need);
        wire_leave(p);
    }
    return s == STATUS_OK && c.failed ? wire_malformed(p) : s;
}

static enum status measure_graph(struct wire_path *p, struct str bytes, size_t depth,
                                 size_t *need) {
    return measure_nodes(p, bytes, GRAPH_NODE, depth, need);
}

enum status reader_measure(struct str bytes, const struct external *external, size_t *need,
                           struct error *error) {
    struct external_reading files = {.files = external ? *external : (struct external){0}};
    struct wire_path p = {.error = error, .external = &files};
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status s = STATUS_OK;
    size_t total = 0;
    (void)wire_enter(&p, "model", -1);
    while (s == STATUS_OK && wire_next(&c, &f)) {
        if (f.type != WIRE_BYTES)
            continue;
        if (f.number == MODEL_GRAPH) {
            (void)wire_enter(&p, "graph", -1);
            s = measure_nodes(&p, f.bytes, GRAPH_NODE, 0, &total);
            wire_leave(&p);
        } else if (f.number == MODEL_FUNCTION) {
            s = measure_nodes(&p, f.bytes, FUNCTION_NODE, 0, &total);
        }
    }
    if (s == STATUS_OK && c.failed)
        s = wire_malformed(&p);
    if (s == STATUS_OK)
        *need = total;
    return s;
}

/* ---- small messages ---- */

/* Occurrences of a bytes field. */
static size_t count_field(struct str bytes, uint32_t number) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    size_t n = 0;
    while (wire_next(&c, &f))
        n += f.number == number && f.type == WIRE_BYTES;
    return n;
}

static enum status read_opsets(struct reader *r, struct str bytes, uint32_t number,
                               const struct opset **out, size_t *count) {
    size_t n = count_field(bytes, number), at = 0;
    if (n > LIMITS_OPSETS)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "%zu opset_import entries, at most %d", n,
                         LIMITS_OPSETS);
    struct opset *opsets = arena_array(r->graph, n, sizeof *opsets);
    if (!opsets)
        return no_memory(r, n * sizeof *opsets);
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    while (wire_next(&c, &f)) {
        if (f.number != number || f.type != WIRE_BYTES)
            continue;
        struct cursor o = wire_cursor(f.bytes);
        struct wire_field v;
        while (wire_next(&o, &v)) {
            if (v.number == 1 && v.type == WIRE_BYTES)
                opsets[at].domain = v.bytes;
            else if (v.number == 2 && v.type == WIRE_VARINT)
                opsets[at].version = (int64_t)v.value;
        }
        if (o.failed)
            return wire_malformed(&r->path);
        at++;
    }
    *out = opsets;
    *count = n;
    return STATUS_OK;
}

struct value_info {
    struct str name;
    struct type_info type;
};

static enum status read_value_info(struct reader *r, struct str bytes, struct value_info *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status s = STATUS_OK;
    memset(out, 0, sizeof *out);
    out->type.rank = -1;
    while (s == STATUS_OK && wire_next(&c, &f)) {
        if (f.number == 1 && (s = wire_expect(&r->path, &f, WIRE_BYTES, "name")) == STATUS_OK)
            out->name = f.bytes;
        else if (f.number == 2 && (s = wire_expect(&r->path, &f, WIRE_BYTES, "type")) == STATUS_OK)
            s = proto_type(&r->path, f.bytes, &out->type);
    }
    return s == STATUS_OK && c.failed ? wire_malformed(&r->path) : s;
}

static enum status find(struct reader *r, struct reader_scope *s, struct str name, int32_t *value) {
    return reader_scope_find(&r->path, r->graph, s, name, value);
}

static enum status new_value(struct reader *r, struct reader_scope *s, struct str name,
                             int32_t *value) {
    enum status status = reader_scope_value(&r->path, r->graph, s, name, value);
    return status == STATUS_OK ? reader_scope_bind(&r->path, r->graph, s, name, *value) : status;
}

/* ---- nodes ---- */

static enum status read_graph(struct reader *r, struct reader_scope *outer, struct str bytes,
                              struct graph **out);
static enum status read_node(struct reader *r, struct reader_scope *s, struct str bytes);

/* The simple fields of a NodeProto, and the arrays of names. */
struct node_proto {
    struct node node;
    struct str *inputs, *outputs;
    size_t input_count, output_count, attribute_count;
};

static enum status read_node_fields(struct reader *r, struct str bytes, struct node_proto *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    size_t inputs = count_field(bytes, NODE_INPUT), outputs = count_field(bytes, NODE_OUTPUT);
    memset(out, 0, sizeof *out);
    if (inputs > LIMITS_NODE_VALUES || outputs > LIMITS_NODE_VALUES)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "%zu inputs and %zu outputs, at most %d each",
                         inputs, outputs, LIMITS_NODE_VALUES);
    out->inputs = arena_array(r->graph, inputs + outputs, sizeof *out->inputs);
    if (!out->inputs)
        return no_memory(r, (inputs + outputs) * sizeof *out->inputs);
    out->outputs = out->inputs + inputs;
    while (wire_next(&c, &f)) {
        if (f.number > NODE_DOMAIN)
            continue;
        enum status s = wire_expect(&r->path, &f, WIRE_BYTES, "of a node");
        if (s != STATUS_OK)
            return s;
        if (f.number == NODE_INPUT)
            out->inputs[out->input_count++] = f.bytes;
        else if (f.number == NODE_OUTPUT)
            out->outputs[out->output_count++] = f.bytes;
        else if (f.number == NODE_NAME)
            out->node.name = f.bytes;
        else if (f.number == NODE_OP_TYPE)
            out->node.op_type = f.bytes;
        else if (f.number == NODE_DOMAIN)
            out->node.domain = f.bytes;
        else if (f.number == NODE_ATTRIBUTE)
            out->attribute_count++;
    }
    if (c.failed)
        return wire_malformed(&r->path);
    if (out->attribute_count > LIMITS_ATTRIBUTES)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "%zu attributes, at most %d",
                         out->attribute_count, LIMITS_ATTRIBUTES);
    return STATUS_OK;
}

static enum status read_inputs(struct reader *r, struct reader_scope *s, struct node_proto *n) {
    int32_t *ids = arena_array(r->graph, n->input_count, sizeof *ids);
    if (!ids)
        return no_memory(r, n->input_count * sizeof *ids);
    for (size_t i = 0; i < n->input_count; i++) {
        ids[i] = -1;
        if (n->inputs[i].size == 0)
            continue;
        enum status status = find(r, s, n->inputs[i], &ids[i]);
        if (status != STATUS_OK)
            return status;
        if (ids[i] == READER_SCOPE_ABSENT) {
            ids[i] = -1;
        } else if (ids[i] < 0) {
            char text[80];
            return wire_fail(&r->path, STATUS_INVALID,
                             "input[%zu] \"%s\" is not made by an earlier node, an input or an "
                             "initializer",
                             i, graph_name_text(n->inputs[i], text, sizeof text));
        }
    }
    n->node.inputs = ids;
    n->node.input_count = n->input_count;
    return STATUS_OK;
}

static enum status read_outputs(struct reader *r, struct reader_scope *s, struct node_proto *n) {
    int32_t *ids = arena_array(r->graph, n->output_count, sizeof *ids);
    if (!ids)
        return no_memory(r, n->output_count * sizeof *ids);
    for (size_t i = 0; i < n->output_count; i++) {
        ids[i] = -1;
        if (n->outputs[i].size == 0)
            continue;
        enum status status = new_value(r, s, n->outputs[i], &ids[i]);
        if (status != STATUS_OK)
            return status;
    }
    n->node.outputs = ids;
    n->node.output_count = n->output_count;
    return STATUS_OK;
}

/* Replace a reference by the calling node's attribute; *keep is false where the caller left it
 * out, and the operator's default is meant. */
static void dereference(const struct reader_scope *s, struct str ref, struct attribute *a,
                        bool *keep) {
    *keep = false;
    for (size_t i = 0; s->call && i < s->call->attribute_count; i++)
        if (str_equal(s->call->attributes[i].name, ref)) {
            struct str name = a->name;
            *a = s->call->attributes[i];
            a->name = name;
            *keep = true;
        }
}

static enum status read_attributes(struct reader *r, struct reader_scope *s, struct str bytes,
                                   uint32_t number, size_t count, struct node *node) {
    const struct reader_attribute_into into = {&r->path, r->graph, r->weights, r, s, read_graph};
    struct attribute *all = arena_array(r->graph, count, sizeof *all);
    if (!all)
        return no_memory(r, count * sizeof *all);
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    int64_t at = 0;
    while (wire_next(&c, &f)) {
        if (f.number != number)
            continue;
        struct str ref;
        struct attribute a;
        bool keep = true;
        enum status status = enter(r, "attribute", at++);
        if (status == STATUS_OK)
            status = reader_attribute_read(&into, f.bytes, &a, &ref);
        if (status != STATUS_OK)
            return status;
        if (ref.data)
            dereference(s, ref, &a, &keep);
        if (keep)
            all[node->attribute_count++] = a;
        wire_leave(&r->path);
    }
    node->attributes = all;
    return STATUS_OK;
}

/* The values of this graph that the node's subgraphs read. */
static enum status collect_implicit(struct reader *r, struct reader_scope *s, struct node *node) {
    size_t n = 0;
    for (size_t i = 0; i < node->attribute_count; i++)
        for (size_t k = 0; k < node->attributes[i].count && node->attributes[i].graphs; k++)
            n += node->attributes[i].graphs[k]->capture_count;
    if (n == 0)
        return STATUS_OK;
    int32_t *ids = arena_array(r->graph, n, sizeof *ids);
    if (!ids)
        return no_memory(r, n * sizeof *ids);
    for (size_t i = 0; i < node->attribute_count; i++)
        for (size_t k = 0; k < node->attributes[i].count && node->attributes[i].graphs; k++) {
            const struct graph *g = node->attributes[i].graphs[k];
            /* A subgraph attribute that a function's caller gave was read in the caller's scope,
             * whose values are in the same graph. */
            if (g->parent != s->build->graph)
                return wire_fail(&r->path, STATUS_UNSERVABLE,
                                 "a subgraph is handed to a function inside another graph");
            for (size_t j = 0; j < g->capture_count; j++)
                ids[node->implicit_count++] = g->captures[j].outer;
        }
    node->implicit = ids;
    return STATUS_OK;
}

static const struct function *find_function(const struct reader *r, const struct node *n) {
    for (size_t i = 0; i < r->function_count; i++)
        if (str_equal(r->functions[i].name, n->op_type) &&
            str_equal(r->functions[i].domain, n->domain))
            return &r->functions[i];
    return NULL;
}

/* Names of a FUNCTION_INPUT or FUNCTION_OUTPUT field, one by one. */
static bool next_name(struct cursor *c, uint32_t number, struct str *name) {
    struct wire_field f;
    while (wire_next(c, &f))
        if (f.number == number && f.type == WIRE_BYTES) {
            *name = f.bytes;
            return true;
        }
    return false;
}

/* Attributes that the caller left out and the function gives a default for. */
static enum status default_attributes(struct reader *r, struct reader_scope *s, struct str bytes,
                                      struct node *call) {
    size_t n = count_field(bytes, FUNCTION_ATTRIBUTE_PROTO);
    struct node defaults = {0};
    if (n == 0)
        return STATUS_OK;
    if (n > LIMITS_ATTRIBUTES)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "%zu attributes, at most %d", n,
                         LIMITS_ATTRIBUTES);
    enum status status = read_attributes(r, s, bytes, FUNCTION_ATTRIBUTE_PROTO, n, &defaults);
    if (status != STATUS_OK)
        return status;
    struct attribute *all = arena_array(r->graph, n + call->attribute_count, sizeof *all);
    if (!all)
        return no_memory(r, (n + call->attribute_count) * sizeof *all);
    size_t count = call->attribute_count;
    if (count > 0)
        memcpy(all, call->attributes, count * sizeof *all);
    for (size_t i = 0; i < defaults.attribute_count; i++) {
        bool given = false;
        for (size_t k = 0; k < call->attribute_count; k++)
            given = given || str_equal(all[k].name, defaults.attributes[i].name);
        if (!given)
            all[count++] = defaults.attributes[i];
    }
    call->attributes = all;
    call->attribute_count = count;
    return STATUS_OK;
}

/* A call of a model-local function: its nodes, in the caller's graph, under names of their own. */
static enum status expand(struct reader *r, struct reader_scope *s, struct node_proto *n,
                          const struct function *fn) {
    struct reader_scope body = {.build = s->build,
                                .opsets = fn->opsets,
                                .opset_count = fn->opset_count,
                                .call = &n->node,
                                .depth = s->depth + 1};
    if (body.depth > LIMITS_GRAPH_DEPTH)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "functions call each other more than %d deep",
                         LIMITS_GRAPH_DEPTH);
    enum status status = default_attributes(r, s, fn->bytes, &n->node);
    struct cursor c = wire_cursor(fn->bytes);
    struct str name;
    for (size_t i = 0; status == STATUS_OK && next_name(&c, FUNCTION_INPUT, &name); i++) {
        int32_t value = i < n->node.input_count && n->node.inputs[i] >= 0 ? n->node.inputs[i]
                                                                          : READER_SCOPE_ABSENT;
        status = reader_scope_bind(&r->path, r->graph, &body, name, value);
    }
    struct wire_field f;
    c = wire_cursor(fn->bytes);
    for (int64_t i = 0; status == STATUS_OK && wire_next(&c, &f);) {
        if (f.number != FUNCTION_NODE || f.type != WIRE_BYTES)
            continue;
        status = enter(r, "function.node", i++);
        if (status == STATUS_OK)
            status = read_node(r, &body, f.bytes);
        if (status == STATUS_OK)
            wire_leave(&r->path);
    }
    c = wire_cursor(fn->bytes);
    for (size_t i = 0; status == STATUS_OK && next_name(&c, FUNCTION_OUTPUT, &name); i++) {
        int32_t value = -1;
        if (i >= n->output_count || n->outputs[i].size == 0)
            continue;
        status = find(r, &body, name, &value);
        if (status == STATUS_OK && value < 0)
            status =
                wire_fail(&r->path, STATUS_INVALID, "the function does not make its output %zu", i);
        if (status == STATUS_OK)
            status = reader_scope_bind(&r->path, r->graph, s, n->outputs[i], value);
    }
    return status;
}

/* Trees, support vectors and the like keep what they learned in lists of attributes. */
static void count_learned(struct reader *r, const struct node *n) {
    for (size_t i = 0; i < n->attribute_count; i++) {
        const struct attribute *a = &n->attributes[i];
        size_t each = a->type == ATTR_FLOATS ? sizeof *a->floats
                      : a->type == ATTR_INTS ? sizeof *a->ints
                                             : 0;
        if (each) {
            r->model->parameters += (int64_t)a->count;
            r->model->tensor_bytes += a->count * each;
        } else if (a->type == ATTR_TENSOR) {
            r->model->parameters += (int64_t)a->tensors->tensor.count;
            r->model->tensor_bytes += a->tensors->tensor.bytes;
        }
    }
}

static enum status read_node(struct reader *r, struct reader_scope *s, struct str bytes) {
    struct node_proto n;
    enum status status = read_node_fields(r, bytes, &n);
    if (status == STATUS_OK)
        status = read_inputs(r, s, &n);
    if (status == STATUS_OK)
        status = read_attributes(r, s, bytes, NODE_ATTRIBUTE, n.attribute_count, &n.node);
    if (status != STATUS_OK)
        return status;
    if (r->model->node_count++ >= LIMITS_NODES)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "the model has more than %d nodes",
                         LIMITS_NODES);
    const struct function *fn = find_function(r, &n.node);
    if (fn)
        return expand(r, s, &n, fn);
    n.node.opset = reader_scope_opset(s, n.node.domain);
    /* Some exporters write every weight as a Constant. */
    if (str_is(n.node.domain, "ai.onnx.ml") || str_is(n.node.op_type, "Constant"))
        count_learned(r, &n.node);
    status = collect_implicit(r, s, &n.node);
    if (status == STATUS_OK)
        status = read_outputs(r, s, &n);
    return status == STATUS_OK ? reader_scope_node(&r->path, r->graph, s, &n.node) : status;
}

/* ---- graphs ---- */

static enum status read_initial(struct reader *r, struct reader_scope *s,
                                const struct wire_field *f) {
    struct graph_tensor *t = arena_zalloc(r->graph, sizeof *t);
    struct value *constant = arena_zalloc(r->graph, sizeof *constant);
    int32_t id = -1;
    if (!t || !constant)
        return no_memory(r, sizeof *t);
    enum status status = f->number == GRAPH_INITIALIZER
                             ? proto_tensor(&r->path, f->bytes, r->weights, t)
                             : proto_sparse_tensor(&r->path, f->bytes, r->weights, t);
    if (status == STATUS_OK && t->name.size == 0)
        status = wire_fail(&r->path, STATUS_INVALID, "an initializer has no name");
    if (status == STATUS_OK)
        status = new_value(r, s, t->name, &id);
    if (status != STATUS_OK)
        return status;
    *constant = (struct value){.kind = VALUE_TENSOR, .tensor = t->tensor};
    struct graph_value *v = &s->build->graph->values[id];
    v->initial = t;
    v->constant = constant;
    r->model->parameters += t->tensor.count;
    r->model->tensor_bytes += t->tensor.bytes;
    return STATUS_OK;
}

/* An input that has an initialiser is the constant, as in models before IR version 4: it is not an
 * input of the session. */
static enum status read_input(struct reader *r, struct reader_scope *s, struct str bytes) {
    struct value_info info;
    int32_t id = -1;
    enum status status = read_value_info(r, bytes, &info);
    if (status != STATUS_OK)
        return status;
    struct graph *g = s->build->graph;
    struct reader_scope own = *s;
    own.outer = NULL;
    status = reader_scope_find(&r->path, r->graph, &own, info.name, &id);
    if (status != STATUS_OK)
        return status;
    if (id >= 0 && g->values[id].initial && !s->outer) {
        g->values[id].type = info.type;
        return STATUS_OK;
    }
    status = new_value(r, s, info.name, &id);
    if (status != STATUS_OK)
        return status;
    g->values[id].type = info.type;
    g->values[id].is_input = true;
    g->inputs[g->input_count++] = id;
    return STATUS_OK;
}

static enum status read_output(struct reader *r, struct reader_scope *s, struct str bytes) {
    struct value_info info;
    int32_t id = -1;
    enum status status = read_value_info(r, bytes, &info);
    if (status == STATUS_OK)
        status = find(r, s, info.name, &id);
    if (status != STATUS_OK)
        return status;
    struct graph *g = s->build->graph;
    if (id < 0) {
        char text[80];
        return wire_fail(&r->path, STATUS_INVALID, "nothing makes the output \"%s\"",
                         graph_name_text(info.name, text, sizeof text));
    }
    if (info.type.kind != VALUE_NONE)
        g->values[id].type = info.type;
    g->values[id].is_output = true;
    g->output_names[g->output_count] = info.name;
    g->outputs[g->output_count++] = id;
    return STATUS_OK;
}

static enum status read_known_type(struct reader *r, struct reader_scope *s, struct str bytes) {
    struct value_info info;
    enum status status = read_value_info(r, bytes, &info);
    if (status != STATUS_OK)
        return status;
    struct graph *g = s->build->graph;
    /* A hint only: looked up without making captures. */
    struct reader_scope own = *s;
    int32_t id = -1;
    own.outer = NULL;
    status = reader_scope_find(&r->path, r->graph, &own, info.name, &id);
    if (status == STATUS_OK && id >= 0 && g->values[id].type.kind == VALUE_NONE)
        g->values[id].type = info.type;
    return status;
}

/* All occurrences of one field of the graph, in order. */
static enum status each(struct reader *r, struct reader_scope *s, struct str bytes,
                        uint32_t number) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    enum status status = STATUS_OK;
    int64_t at = 0;
    while (status == STATUS_OK && wire_next(&c, &f)) {
        if (f.number != number)
            continue;
        const char *name = number == GRAPH_NODE          ? "node"
                           : number == GRAPH_INPUT       ? "input"
                           : number == GRAPH_OUTPUT      ? "output"
                           : number == GRAPH_VALUE_INFO  ? "value_info"
                           : number == GRAPH_INITIALIZER ? "initializer"
                                                         : "sparse_initializer";
        status = enter(r, name, at++);
        if (status == STATUS_OK)
            status = wire_expect(&r->path, &f, WIRE_BYTES, name);
        if (status != STATUS_OK)
            break;
        status = number == GRAPH_NODE         ? read_node(r, s, f.bytes)
                 : number == GRAPH_INPUT      ? read_input(r, s, f.bytes)
                 : number == GRAPH_OUTPUT     ? read_output(r, s, f.bytes)
                 : number == GRAPH_VALUE_INFO ? read_known_type(r, s, f.bytes)
                                              : read_initial(r, s, &f);
        /* On failure the path stays, for the message was made with it already. */
        if (status == STATUS_OK)
            wire_leave(&r->path);
    }
    return status == STATUS_OK && c.failed ? wire_malformed(&r->path) : status;
}

static enum status read_graph(struct reader *r, struct reader_scope *outer, struct str bytes,
                              struct graph **out) {
    struct graph *g = arena_zalloc(r->graph, sizeof *g);
    size_t inputs = count_field(bytes, GRAPH_INPUT), outputs = count_field(bytes, GRAPH_OUTPUT);
    if (!g || !(g->inputs = arena_array(r->graph, inputs, sizeof *g->inputs)) ||
        !(g->outputs = arena_array(r->graph, outputs, sizeof *g->outputs)) ||
        !(g->output_names = arena_array(r->graph, outputs, sizeof *g->output_names)))
        return no_memory(r, (inputs + outputs) * sizeof *g->inputs);
    struct reader_graph build = {.graph = g};
    struct reader_scope scope = {.build = &build,
                                 .outer = outer,
                                 .opsets = outer ? outer->opsets : r->model->opsets,
                                 .opset_count = outer ? outer->opset_count : r->model->opset_count,
                                 .call = outer ? outer->call : NULL,
                                 .depth = outer ? outer->depth + 1 : 0};
    if (scope.depth > LIMITS_GRAPH_DEPTH)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "subgraphs are nested more than %d deep",
                         LIMITS_GRAPH_DEPTH);
    g->parent = outer ? outer->build->graph : NULL;
    g->id = r->model->graph_count++;
    enum status s = enter(r, outer ? "g" : "graph", -1);
    static const uint32_t order[] = {GRAPH_INITIALIZER, GRAPH_SPARSE_INITIALIZER,
                                     GRAPH_INPUT,       GRAPH_NODE,
                                     GRAPH_OUTPUT,      GRAPH_VALUE_INFO};
    for (size_t i = 0; s == STATUS_OK && i < sizeof order / sizeof *order; i++)
        s = each(r, &scope, bytes, order[i]);
    if (s != STATUS_OK)
        return s;
    wire_leave(&r->path);
    *out = g;
    return STATUS_OK;
}

/* ---- the model ---- */

static enum status read_function(struct reader *r, struct str bytes, struct function *out) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    *out = (struct function){.bytes = bytes};
    while (wire_next(&c, &f)) {
        if (f.number == FUNCTION_NAME && f.type == WIRE_BYTES)
            out->name = f.bytes;
        else if (f.number == FUNCTION_DOMAIN && f.type == WIRE_BYTES)
            out->domain = f.bytes;
    }
    if (c.failed)
        return wire_malformed(&r->path);
    return read_opsets(r, bytes, FUNCTION_OPSET, &out->opsets, &out->opset_count);
}

static enum status read_functions(struct reader *r, struct str bytes) {
    size_t n = count_field(bytes, MODEL_FUNCTION);
    if (n > LIMITS_FUNCTIONS)
        return wire_fail(&r->path, STATUS_UNSERVABLE, "%zu functions, at most %d", n,
                         LIMITS_FUNCTIONS);
    r->functions = arena_array(r->graph, n, sizeof *r->functions);
    if (!r->functions)
        return no_memory(r, n * sizeof *r->functions);
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    while (wire_next(&c, &f)) {
        if (f.number != MODEL_FUNCTION || f.type != WIRE_BYTES)
            continue;
        enum status s = enter(r, "functions", (int64_t)r->function_count);
        if (s == STATUS_OK)
            s = read_function(r, f.bytes, &r->functions[r->function_count++]);
        if (s != STATUS_OK)
            return s;
        wire_leave(&r->path);
    }
    return STATUS_OK;
}

static enum status read_model_fields(struct reader *r, struct str bytes, struct str *graph) {
    struct cursor c = wire_cursor(bytes);
    struct wire_field f;
    struct model *m = r->model;
    size_t graphs = 0;
    while (wire_next(&c, &f)) {
        if (f.number == 1 && f.type == WIRE_VARINT)
            m->ir_version = (int64_t)f.value;
        else if (f.number == 2 && f.type == WIRE_BYTES)
            m->producer = f.bytes;
        else if (f.number == 3 && f.type == WIRE_BYTES)
            m->producer_version = f.bytes;
        else if (f.number == 4 && f.type == WIRE_BYTES)
            m->domain = f.bytes;
        else if (f.number == 5 && f.type == WIRE_VARINT)
            m->model_version = (int64_t)f.value;
        else if (f.number == MODEL_GRAPH && f.type == WIRE_BYTES && graphs++ == 0)
            *graph = f.bytes;
    }
    if (c.failed)
        return wire_malformed(&r->path);
    if (graphs != 1)
        return wire_fail(&r->path, STATUS_INVALID,
                         "%zu graphs are given, an ONNX model has exactly one", graphs);
    return STATUS_OK;
}

enum status reader_read(struct str bytes, const struct external *external, struct arena *graph,
                        struct arena *weights, struct model **out, struct error *error) {
    struct external_reading files = {.files = external ? *external : (struct external){0},
                                     .arena = graph};
    struct reader r = {
        .path = {.error = error, .external = &files}, .graph = graph, .weights = weights};
    struct str main_graph = {NULL, 0};
    r.model = arena_zalloc(graph, sizeof *r.model);
    if (!r.model)
        return no_memory(&r, sizeof *r.model);
    (void)wire_enter(&r.path, "model", -1);
    enum status s = read_model_fields(&r, bytes, &main_graph);
    if (s == STATUS_OK)
        s = read_opsets(&r, bytes, MODEL_OPSET, &r.model->opsets, &r.model->opset_count);
    if (s == STATUS_OK)
        s = read_functions(&r, bytes);
    if (s == STATUS_OK)
        s = read_graph(&r, NULL, main_graph, &r.model->graph);
    if (s == STATUS_OK)
        s = external_check(&r.path);
    if (s == STATUS_OK)
        *out = r.model;
    return s;
}
