#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "admin/commands.h"
#include "admin/model_file.h"
#include "admin/output.h"

static json_t *text_of(struct str s) {
    json_t *text = json_stringn(s.data ? s.data : "", s.size);
    return text ? text : json_string("(not UTF-8)");
}

static const char *kind_name(enum value_kind kind) {
    switch (kind) {
    case VALUE_TENSOR:
        return "tensor";
    case VALUE_SEQUENCE:
        return "sequence";
    case VALUE_MAP:
        return "map";
    case VALUE_NONE:
        break;
    }
    return "undeclared";
}

static json_t *shape_of(const struct type_info *type) {
    json_t *shape = json_array();
    for (int i = 0; i < type->rank; i++)
        if (type->dims[i] < 0 && type->symbols[i].size)
            json_array_append_new(shape, text_of(type->symbols[i]));
        else
            json_array_append_new(shape, json_integer(type->dims[i]));
    return shape;
}

static json_t *describe_port(const struct session_port *port) {
    json_t *row = json_pack("{s:o,s:s,s:s}", "name", text_of(port->name), "kind",
                            kind_name(port->type.kind), "datatype", dtype_name(port->type.dtype));
    if (row && port->type.rank >= 0)
        json_object_set_new(row, "shape", shape_of(&port->type));
    return row;
}

static json_t *describe_ports(const struct session *session, size_t count,
                              const struct session_port *(*port)(const struct session *, size_t)) {
    json_t *rows = json_array();
    for (size_t i = 0; i < count; i++)
        json_array_append_new(rows, describe_port(port(session, i)));
    return rows;
}

static void add_labels(const struct bundle *bundle, json_t *outputs) {
    for (size_t i = 0; i < json_array_size(outputs); i++) {
        size_t count;
        const struct str *texts = bundle_labels(bundle, i, &count);
        json_t *labels = texts ? json_array() : NULL;
        for (size_t k = 0; labels && k < count; k++)
            json_array_append_new(labels, text_of(texts[k]));
        if (labels)
            json_object_set_new(json_array_get(outputs, i), "labels", labels);
    }
}

static void add_operator(void *context, struct str domain, struct str name, size_t count) {
    char key[160];
    snprintf(key, sizeof key, "%.*s%s%.*s", (int)domain.size, domain.data, domain.size ? "." : "",
             (int)name.size, name.data);
    json_object_set_new(context, key, json_integer((json_int_t)count));
}

/* What one run takes where every dimension that varies is 1. Nothing where that cannot be known. */
static void add_cost(struct session *session, json_t *result) {
    const size_t count = session_input_count(session);
    struct value *inputs = calloc(count ? count : 1, sizeof *inputs);
    struct session_cost cost;
    bool known = inputs != NULL;
    for (size_t i = 0; known && i < count; i++) {
        const struct type_info *type = &session_input(session, i)->type;
        int64_t dims[TENSOR_MAX_RANK] = {0};
        for (int d = 0; d < type->rank; d++)
            dims[d] = type->dims[d] < 0 ? 1 : type->dims[d];
        inputs[i].kind = VALUE_TENSOR;
        known = type->kind == VALUE_TENSOR && type->rank >= 0 &&
                tensor_shape(&inputs[i].tensor, type->dtype, type->rank, dims, NULL) == STATUS_OK;
    }
    if (known && session_cost(session, inputs, count, &cost, NULL) == STATUS_OK) {
        json_object_set_new(result, "activation_bytes",
                            json_integer((json_int_t)cost.activation_bytes));
        json_object_set_new(result, "multiply_adds", json_integer((json_int_t)cost.multiply_adds));
    }
    free(inputs);
}

static void add_refused(void *context, const char *why) {
    json_t *text = json_string(why);
    json_array_append_new(context, text ? text : json_string("(not UTF-8)"));
}

static json_t *describe(struct model_file *file) {
    struct session *session = model_file_session(file);
    struct session_facts facts;
    json_t *operators = json_object();
    session_inspect(session, &facts);
    session_operators(session, add_operator, operators);
    json_t *result = json_pack(
        "{s:I,s:I,s:I,s:o,s:I,s:I,s:I,s:I,s:o,s:o,s:o}", "file_bytes",
        (json_int_t)model_file_size(file), "ir_version", (json_int_t)facts.ir_version, "opset",
        (json_int_t)facts.opset, "producer", text_of(facts.producer), "nodes",
        (json_int_t)facts.nodes, "parameters", (json_int_t)facts.parameters, "tensor_bytes",
        (json_int_t)facts.tensor_bytes, "secret_bytes", (json_int_t)facts.secret_bytes, "inputs",
        describe_ports(session, session_input_count(session), session_input), "outputs",
        describe_ports(session, session_output_count(session), session_output), "operators",
        operators);
    const char *documentation = bundle_documentation(model_file_bundle(file));
    json_t *refused = json_array();
    if (result && refused && session_survey(session, add_refused, refused, NULL) == STATUS_OK &&
        json_array_size(refused))
        json_object_set(result, "not_served", refused);
    json_decref(refused);
    if (result)
        add_cost(session, result);
    add_labels(model_file_bundle(file), json_object_get(result, "outputs"));
    if (result && documentation)
        json_object_set_new(result, "documentation", json_string(documentation));
    return result;
}

static void print_shape(const json_t *row) {
    const json_t *shape = json_object_get(row, "shape"), *dim;
    size_t i;
    if (!shape) {
        printf("  any shape");
        return;
    }
    printf("  [");
    json_array_foreach(shape, i, dim) {
        fputs(i ? "," : "", stdout);
        if (json_is_string(dim))
            printf("%s", json_string_value(dim));
        else
            printf("%" JSON_INTEGER_FORMAT, json_integer_value(dim));
    }
    putchar(']');
}

/* As many as fit a line. */
static void print_labels(const json_t *labels) {
    const json_t *label;
    size_t i, width = 0;
    json_array_foreach(labels, i, label) {
        const char *text = json_string_value(label);
        if (i && width + strlen(text) > 40) {
            printf(" ... (%zu labels)", json_array_size(labels));
            return;
        }
        width += strlen(text) + 2;
        printf("%s%s", i ? ", " : "  ", text);
    }
}

/* Paragraphs of text from outside; their characters were checked when it was parsed. */
static void print_documentation(const char *text) {
    printf("documentation\n");
    while (*text) {
        size_t length = strcspn(text, "\n");
        printf("  %.*s\n", (int)length, text);
        text += length + (text[length] == '\n');
    }
}

static void print_refused(const json_t *refused) {
    const json_t *why;
    size_t i;
    if (json_array_size(refused))
        printf("not served\n");
    json_array_foreach(refused, i, why) printf("  %s\n", json_string_value(why));
}

static void print_ports(const json_t *result, const char *member) {
    const json_t *row;
    size_t i;
    printf("%s\n", member);
    json_array_foreach(json_object_get(result, member), i, row) {
        printf("  %s  %s", json_string_value(json_object_get(row, "name")),
               json_string_value(json_object_get(row, "datatype")));
        print_shape(row);
        print_labels(json_object_get(row, "labels"));
        putchar('\n');
    }
}

static enum status inspect(struct cli *cli, struct error *error) {
    static const struct output_field fields[] = {
        {"file", "file_bytes", OUTPUT_BYTES},
        {"producer", "producer", OUTPUT_TEXT},
        {"IR version", "ir_version", OUTPUT_NUMBER},
        {"opset", "opset", OUTPUT_NUMBER},
        {"nodes", "nodes", OUTPUT_NUMBER},
        {"parameters", "parameters", OUTPUT_NUMBER},
        {"weights", "tensor_bytes", OUTPUT_BYTES},
        {"secret memory", "secret_bytes", OUTPUT_BYTES},
        {"activations", "activation_bytes", OUTPUT_BYTES},
        {"multiply-adds", "multiply_adds", OUTPUT_NUMBER},
    };
    struct model_file *file = NULL;
    enum status status = model_file_open(cli->options.positional[0], &file, error);
    if (status == STATUS_OK)
        status = model_file_load(file, 1, error);
    if (status != STATUS_OK) {
        model_file_close(file);
        return status;
    }
    json_t *result = describe(file);
    model_file_close(file);
    if (!result)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    status = output_facts(cli, result, fields, sizeof fields / sizeof fields[0], error);
    if (status == STATUS_OK && !cli->json) {
        const char *name;
        json_t *count;
        if (json_object_get(result, "documentation"))
            print_documentation(json_string_value(json_object_get(result, "documentation")));
        print_ports(result, "inputs");
        print_ports(result, "outputs");
        printf("operators\n");
        json_object_foreach(json_object_get(result, "operators"), name, count)
            printf("  %s  %" JSON_INTEGER_FORMAT "\n", name, json_integer_value(count));
        print_refused(json_object_get(result, "not_served"));
        status = output_done(error);
    }
    const size_t refused = json_array_size(json_object_get(result, "not_served"));
    if (status == STATUS_OK && refused)
        status =
            status_fail(error, STATUS_UNSERVABLE, "%zu node%s not served as %s", refused,
                        refused == 1 ? " is" : "s are", refused == 1 ? "it stands" : "they stand");
    json_decref(result);
    return status;
}

const struct cli_command inspect_command = {
    .name = "inspect",
    .positional = "FILE|DIR",
    .least = 1,
    .most = 1,
    .summary = "what a model takes, gives and is made of, and whether it can be served",
    .help = "The model is an ONNX file, a bundle (.tar), or a folder with model.onnx.\n"
            "Activations and multiply-adds are those of one run where every dimension that varies "
            "is 1. All operators, types and attributes that are not served are named at once.",
    .run = inspect,
};
