#include "engine/session.h"

#include "engine/cost.h"

#include "engine/executor.h"
#include "engine/load.h"
#include "engine/maps.h"
#include "engine/signature.h"
#include "engine/survey.h"

#include <stdio.h>

#define GRAPH_STEP ((size_t)256 << 10)
#define GRAPH_BUDGET ((size_t)1 << 30)
#define OPERATORS_MOST 1024 /* more than the table has rows */
#define MEMORY_DEFAULT ((size_t)4 << 30)

struct session {
    struct session_options options;
    struct arena graph, weights; /* `graph` holds this struct */
    struct model *model;
    struct session_port *inputs, *outputs;
    struct threads *threads;
    struct executor executor;
    bool open; /* a run that was not released */
};

/* ---- opening ---- */

static enum status make_ports(struct session *s, const int32_t *ids, size_t count,
                              struct session_port **out, struct error *error) {
    const struct graph *g = s->model->graph;
    struct session_port *ports = arena_array(&s->graph, count, sizeof *ports);
    if (!ports)
        return arena_exhausted(&s->graph, count * sizeof *ports, error);
    memset(ports, 0, count * sizeof *ports);
    for (size_t i = 0; i < count; i++) {
        ports[i].name = g->values[ids[i]].name;
        ports[i].type = g->values[ids[i]].type;
    }
    *out = ports;
    return STATUS_OK;
}

static enum status check_inputs(const struct session *s, struct error *error) {
    char name[80];
    for (size_t i = 0; i < s->model->graph->input_count; i++) {
        const struct session_port *p = &s->inputs[i];
        if (p->type.kind == VALUE_NONE || (p->type.kind == VALUE_TENSOR && !p->type.dtype))
            return status_fail(error, STATUS_UNSERVABLE, "input \"%s\": no type is declared",
                               graph_name_text(p->name, name, sizeof name));
    }
    if (s->model->graph->output_count == 0)
        return status_fail(error, STATUS_UNSERVABLE, "the model has no outputs");
    return STATUS_OK;
}

static enum status complete_outputs(struct session *s, struct error *error) {
    const struct graph *g = s->model->graph;
    const struct type_info **inputs = arena_array(&s->graph, g->input_count, sizeof *inputs);
    struct type_info **outputs = arena_array(&s->graph, g->output_count, sizeof *outputs);
    if (!inputs || !outputs)
        return arena_exhausted(&s->graph, g->output_count * sizeof *outputs, error);
    for (size_t i = 0; i < g->input_count; i++)
        inputs[i] = &s->inputs[i].type;
    for (size_t i = 0; i < g->output_count; i++)
        outputs[i] = &s->outputs[i].type;
    enum status st = signature_complete(&s->executor, g, inputs, outputs, error);
    /* ZipMap takes floats, whether or not planning came so far. */
    for (size_t i = 0; i < g->output_count; i++)
        if (s->outputs[i].label_count > 0 && s->outputs[i].type.kind == VALUE_NONE) {
            outputs[i]->kind = VALUE_TENSOR;
            outputs[i]->dtype = DTYPE_FLOAT;
            outputs[i]->rank = -1;
        }
    return st;
}

static enum status open_model(struct session *s, struct str bytes, struct error *error) {
    size_t need = 0;
    enum status st = reader_measure(bytes, &s->options.external, &need, error);
    if (st == STATUS_OK && need > 0)
        st = arena_reserve(&s->weights, need, error);
    if (st == STATUS_OK)
        st = reader_read(bytes, &s->options.external, &s->graph, &s->weights, &s->model, error);
    struct graph *g = st == STATUS_OK ? s->model->graph : NULL;
    if (st == STATUS_OK)
        st = make_ports(s, g->inputs, g->input_count, &s->inputs, error);
    if (st == STATUS_OK)
        st = make_ports(s, g->outputs, g->output_count, &s->outputs, error);
    for (size_t i = 0; st == STATUS_OK && i < g->output_count; i++)
        s->outputs[i].name = g->output_names[i];
    if (st == STATUS_OK && s->options.maps_as_tensors)
        maps_replace(g, s->outputs);
    if (st == STATUS_OK)
        st = check_inputs(s, error);
    if (st == STATUS_OK)
        st = threads_new(s->options.threads, &s->threads, error);
    const struct executor_options options = {s->options.memory, s->options.max_memory,
                                             s->options.plans, s->options.max_trips, s->threads};
    if (st == STATUS_OK)
        st = executor_init(&s->executor, &options, s->model, &s->graph, error);
    const struct load_context load = {
        s->model,           &s->graph, &s->weights,        &s->executor.scratch,  &s->executor.env,
        s->options.domains, error,     s->options.discard, s->options.discard_ctx};
    if (st == STATUS_OK)
        st = load_model(&load);
    return st == STATUS_OK ? complete_outputs(s, error) : st;
}

enum status session_open(struct str bytes, const struct session_options *options,
                         struct session **out, struct error *error) {
    struct arena graph;
    arena_init(&graph, options->memory, GRAPH_STEP, GRAPH_BUDGET, "the graph");
    struct session *s = arena_zalloc(&graph, sizeof *s);
    if (!s) {
        enum status st = arena_exhausted(&graph, sizeof *s, error);
        arena_free(&graph);
        return st;
    }
    s->graph = graph;
    s->options = *options;
    if (s->options.threads == 0)
        s->options.threads = 1;
    if (s->options.max_weights == 0)
        s->options.max_weights = SIZE_MAX;
    if (s->options.max_memory == 0)
        s->options.max_memory = MEMORY_DEFAULT;
    if (s->options.max_trips == 0)
        s->options.max_trips = LIMITS_TRIPS;
    if (s->options.plans == 0)
        s->options.plans = 8;
    arena_init(&s->weights, options->secret, 0, s->options.max_weights, "the weights");
    enum status st = open_model(s, bytes, error);
    if (st != STATUS_OK) {
        session_free(s);
        return st;
    }
    executor_reset(&s->executor);
    *out = s;
    return STATUS_OK;
}

void session_free(struct session *s) {
    if (!s)
        return;
    executor_free(&s->executor);
    threads_free(s->threads);
    arena_free(&s->weights);
    struct arena graph = s->graph; /* the session lies inside it */
    arena_free(&graph);
}

/* ---- looking ---- */

size_t session_input_count(const struct session *s) {
    return s->model->graph->input_count;
}

size_t session_output_count(const struct session *s) {
    return s->model->graph->output_count;
}

const struct session_port *session_input(const struct session *s, size_t i) {
    return &s->inputs[i];
}

const struct session_port *session_output(const struct session *s, size_t i) {
    return &s->outputs[i];
}

void session_inspect(const struct session *s, struct session_facts *out) {
    const struct model *m = s->model;
    memset(out, 0, sizeof *out);
    out->ir_version = m->ir_version;
    for (size_t i = 0; i < m->opset_count; i++)
        if (m->opsets[i].domain.size == 0 || str_is(m->opsets[i].domain, "ai.onnx"))
            out->opset = m->opsets[i].version;
    out->producer = m->producer;
    out->nodes = m->node_count;
    for (size_t k = 0; k < m->graph->node_count; k++)
        out->live_nodes += !m->graph->nodes[k].folded && !m->graph->nodes[k].dead;
    out->parameters = m->parameters;
    out->tensor_bytes = m->tensor_bytes;
    out->secret_bytes = s->weights.held;
    out->graph_bytes = s->graph.held;
}

void session_operators(const struct session *s,
                       void (*fn)(void *arg, struct str domain, struct str name, size_t count),
                       void *arg) {
    const struct graph *g = s->model->graph;
    struct {
        const struct node *first;
        size_t count;
    } used[OPERATORS_MOST];
    size_t n = 0;
    for (size_t k = 0; k < g->node_count; k++) {
        size_t at = 0;
        while (at < n && used[at].first->row != g->nodes[k].row)
            at++;
        if (at == OPERATORS_MOST)
            continue;
        if (at == n) {
            used[n].first = &g->nodes[k];
            used[n++].count = 0;
        }
        used[at].count++;
    }
    for (size_t i = 0; i < n; i++)
        fn(arg, used[i].first->domain, used[i].first->op_type, used[i].count);
}

/* ---- running ---- */

static enum status bad_shape(const struct session_port *p, const struct tensor *t, const char *what,
                             struct error *error) {
    char name[80], found[160], wanted[160];
    return status_fail(error, STATUS_INVALID, "input \"%s\": shape %s %s, the model takes %s",
                       graph_name_text(p->name, name, sizeof name),
                       tensor_dims_text(t->dims, t->rank, found, sizeof found), what,
                       tensor_dims_text(p->type.dims, p->type.rank, wanted, sizeof wanted));
}

static enum status check_input(const struct session_port *p, const struct value *v,
                               struct error *error) {
    char name[80], what[64];
    (void)graph_name_text(p->name, name, sizeof name);
    if (v->kind == VALUE_NONE && p->type.optional)
        return STATUS_OK;
    if (v->kind == VALUE_NONE)
        return status_fail(error, STATUS_INVALID, "input \"%s\" is missing", name);
    if (v->kind != p->type.kind)
        return status_fail(error, STATUS_INVALID, "input \"%s\": not a %s", name,
                           p->type.kind == VALUE_TENSOR ? "tensor"
                           : p->type.kind == VALUE_MAP  ? "map"
                                                        : "sequence");
    if (v->kind != VALUE_TENSOR)
        return STATUS_OK;
    const struct tensor *t = &v->tensor;
    if (t->dtype != p->type.dtype)
        return status_fail(error, STATUS_INVALID,
                           "input \"%s\": element type %s, the model takes %s", name,
                           dtype_name(t->dtype), dtype_name(p->type.dtype));
    if (p->type.rank < 0)
        return STATUS_OK;
    if (t->rank != p->type.rank) {
        (void)snprintf(what, sizeof what, "has %d dimension%s", t->rank, t->rank == 1 ? "" : "s");
        return bad_shape(p, t, what, error);
    }
    for (int d = 0; d < t->rank; d++)
        if (p->type.dims[d] >= 0 && t->dims[d] != p->type.dims[d]) {
            (void)snprintf(what, sizeof what, "differs in dimension %d", d);
            return bad_shape(p, t, what, error);
        }
    return STATUS_OK;
}

static enum status check_run(const struct session *s, const struct value *inputs, size_t count,
                             struct error *error) {
    if (s->open)
        return status_fail(error, STATUS_CONFLICT, "a run is open already");
    if (count != session_input_count(s))
        return status_fail(error, STATUS_INVALID, "%zu inputs are given, the model takes %zu",
                           count, session_input_count(s));
    for (size_t i = 0; i < count; i++) {
        enum status st = check_input(&s->inputs[i], &inputs[i], error);
        if (st != STATUS_OK)
            return st;
    }
    return STATUS_OK;
}

enum status session_run(struct session *s, const struct value *inputs, size_t input_count,
                        uint64_t deadline, struct value *outputs, size_t output_count,
                        struct error *error) {
    enum status st = check_run(s, inputs, input_count, error);
    if (st != STATUS_OK)
        return st;
    if (output_count != session_output_count(s))
        return status_fail(error, STATUS_INVALID,
                           "room for %zu outputs is given, the model has %zu", output_count,
                           session_output_count(s));
    struct value *results = arena_array(&s->executor.heaps[0], output_count, sizeof *results);
    if (!results)
        return arena_exhausted(&s->executor.heaps[0], output_count * sizeof *results, error);
    st = executor_run(&s->executor, s->model->graph, inputs, input_count, deadline, results, error);
    if (st != STATUS_OK) {
        executor_reset(&s->executor);
        return st;
    }
    memcpy(outputs, results, output_count * sizeof *results);
    s->open = true;
    return STATUS_OK;
}

void session_release(struct session *s) {
    executor_reset(&s->executor);
    s->open = false;
}

/* ---- cost ---- */

enum status session_survey(struct session *s, void (*fn)(void *arg, const char *why), void *arg,
                           struct error *error) {
    const struct graph *g = s->model->graph;
    struct arena *scratch = &s->executor.scratch;
    const struct arena_mark mark = arena_mark(scratch);
    const struct type_info **types = arena_array(scratch, g->input_count, sizeof *types);
    if (!types)
        return arena_exhausted(scratch, g->input_count * sizeof *types, error);
    for (size_t i = 0; i < g->input_count; i++)
        types[i] = &s->inputs[i].type;
    enum status st = survey_graph(&s->executor, g, types, fn, arg, error);
    arena_reset(scratch, mark);
    return st;
}

enum status session_cost(struct session *s, const struct value *inputs, size_t input_count,
                         struct session_cost *out, struct error *error) {
    const struct plan *p = NULL;
    enum status st = check_run(s, inputs, input_count, error);
    if (st == STATUS_OK)
        st = executor_plan(&s->executor, s->model->graph, inputs, input_count, &p, error);
    if (st != STATUS_OK)
        return st;
    struct session_cost c = {.static_nodes = p->static_nodes,
                             .dynamic_nodes = p->dynamic_nodes,
                             .activation_bytes = p->region};
    for (size_t k = 0; k < p->graph->node_count; k++)
        if (p->nodes[k].kind == PLAN_STATIC)
            c.multiply_adds += cost_of(&p->nodes[k]);
    *out = c;
    return STATUS_OK;
}
