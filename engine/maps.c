#include "engine/maps.h"

static const struct node *zip_of(const struct graph *g, int32_t value) {
    int32_t producer = g->values[value].producer;
    const struct node *n = producer >= 0 ? &g->nodes[producer] : NULL;
    bool is_zip = n && str_is(n->domain, "ai.onnx.ml") && str_is(n->op_type, "ZipMap") &&
                  n->input_count == 1 && n->inputs[0] >= 0;
    return is_zip ? n : NULL;
}

/* Just one of the two attributes, as the operator itself wants it. */
static bool labels_of(const struct node *n, struct session_port *port) {
    const struct attribute *ints = graph_node_attribute(n, "classlabels_int64s");
    const struct attribute *strings = graph_node_attribute(n, "classlabels_strings");
    size_t n_ints = ints && ints->type == ATTR_INTS ? ints->count : 0;
    size_t n_strings = strings && strings->type == ATTR_STRINGS ? strings->count : 0;
    if ((n_ints > 0) == (n_strings > 0))
        return false;
    port->label_count = n_ints ? n_ints : n_strings;
    port->label_ints = n_ints ? ints->ints : NULL;
    port->label_strings = n_ints ? NULL : strings->strings;
    return true;
}

void maps_replace(struct graph *g, struct session_port *ports) {
    for (size_t i = 0; i < g->output_count; i++) {
        const struct node *zip = zip_of(g, g->outputs[i]);
        if (!zip || !labels_of(zip, &ports[i]))
            continue;
        g->values[g->outputs[i]].is_output = false;
        g->outputs[i] = zip->inputs[0];
        g->values[zip->inputs[0]].is_output = true;
        ports[i].type = g->values[zip->inputs[0]].type;
    }
    /* The value of a map that was an output twice over is one still. */
    for (size_t i = 0; i < g->output_count; i++)
        g->values[g->outputs[i]].is_output = true;
}
