#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "admin/commands.h"
#include "admin/files.h"
#include "admin/model_file.h"
#include "admin/npy.h"
#include "admin/output.h"

/* Arrays and values, one for each input of the model. */
struct inputs {
    struct npy *arrays;
    struct value *values;
    size_t count;
};

static void free_inputs(struct inputs *inputs) {
    for (size_t i = 0; inputs->arrays && i < inputs->count; i++)
        npy_free(&inputs->arrays[i]);
    free(inputs->arrays);
    free(inputs->values);
}

static enum status find_input(const struct session *session, const char *name, size_t length,
                              size_t *found, struct error *error) {
    for (size_t i = 0; i < session_input_count(session); i++) {
        struct str have = session_input(session, i)->name;
        if (have.size == length && memcmp(have.data, name, length) == 0) {
            *found = i;
            return STATUS_OK;
        }
    }
    return status_fail(error, STATUS_INVALID, "--input: the model has no input \"%.*s\"",
                       (int)length, name);
}

/* "NAME=FILE": the name ends at the first "=". */
static enum status read_input(const struct session *session, const char *word,
                              struct inputs *inputs, struct error *error) {
    const char *equals = strchr(word, '=');
    size_t i = 0;
    if (!equals || equals == word || !equals[1])
        return status_fail(error, STATUS_INVALID, "--input: found \"%s\", expected NAME=FILE.npy",
                           word);
    enum status status = find_input(session, word, (size_t)(equals - word), &i, error);
    if (status != STATUS_OK)
        return status;
    if (inputs->values[i].kind != VALUE_NONE)
        return status_fail(error, STATUS_INVALID, "--input: \"%.*s\" is given twice",
                           (int)(equals - word), word);
    status = npy_read(equals + 1, &inputs->arrays[i], error);
    if (status == STATUS_OK)
        inputs->values[i] =
            (struct value){.kind = VALUE_TENSOR, .tensor = inputs->arrays[i].tensor};
    return status;
}

static enum status read_inputs(const struct options *options, const struct session *session,
                               struct inputs *inputs, struct error *error) {
    inputs->count = session_input_count(session);
    inputs->arrays = calloc(inputs->count + 1, sizeof *inputs->arrays);
    inputs->values = calloc(inputs->count + 1, sizeof *inputs->values);
    if (!inputs->arrays || !inputs->values)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = STATUS_OK;
    for (size_t i = 0; i < options->value_count && status == STATUS_OK; i++)
        if (strcmp(options->values[i].row->name, "input") == 0)
            status = read_input(session, options->values[i].value, inputs, error);
    for (size_t i = 0; i < inputs->count && status == STATUS_OK; i++) {
        const struct session_port *port = session_input(session, i);
        if (inputs->values[i].kind == VALUE_NONE && !port->type.optional)
            status = status_fail(error, STATUS_INVALID, "input \"%.*s\" is missing: give --input",
                                 (int)port->name.size, port->name.data);
    }
    return status;
}

static bool harmless(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_' || c == '.';
}

/* DIR/<name><suffix>.npy. The name is the model's, so from outside: characters that a path could
 * misread become '_', and such a name gets the output's number, so that no two meet. */
static enum status write_tensor(const char *dir, struct str name, size_t index, const char *suffix,
                                const struct tensor *tensor, json_t *files, struct error *error) {
    char file[200], number[24] = "", dims[128];
    size_t length = name.size < 100 ? name.size : 100;
    bool changed = length != name.size || length == 0;
    for (size_t i = 0; i < length; i++) {
        bool fine = harmless(name.data[i]) && (i || name.data[i] != '.');
        file[i] = fine ? name.data[i] : '_';
        changed = changed || !fine;
    }
    if (changed)
        snprintf(number, sizeof number, "#%zu", index);
    snprintf(file + length, sizeof file - length, "%s%s.npy", number, suffix);
    char *path = files_join(dir, file, error);
    if (!path)
        return STATUS_UNAVAILABLE;
    enum status status = npy_write(path, tensor, error);
    if (status == STATUS_OK &&
        json_array_append_new(
            files, json_pack("{s:s%,s:s,s:s,s:s}", "output", name.data, name.size, "file", path,
                             "datatype", dtype_name(tensor->dtype), "shape",
                             tensor_dims_text(tensor->dims, tensor->rank, dims, sizeof dims))) != 0)
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    free(path);
    return status;
}

/* A tensor is one file; a sequence is one a tensor, numbered; a map is its keys and its values. */
static enum status write_value(const char *dir, struct str name, size_t index,
                               const struct value *value, json_t *files, struct error *error) {
    static const char *const halves[] = {".keys", ".values"};
    char suffix[64];
    enum status status = STATUS_OK;
    if (value->kind == VALUE_TENSOR)
        return write_tensor(dir, name, index, "", &value->tensor, files, error);
    if (value->kind == VALUE_MAP) {
        for (size_t h = 0; h < 2 && status == STATUS_OK; h++)
            status =
                write_tensor(dir, name, index, halves[h], &value->items[h].tensor, files, error);
        return status;
    }
    for (size_t i = 0; value->kind == VALUE_SEQUENCE && i < value->count && status == STATUS_OK;
         i++) {
        const struct value *item = &value->items[i];
        for (size_t h = 0; h < (item->kind == VALUE_MAP ? 2 : 1) && status == STATUS_OK; h++) {
            bool map = item->kind == VALUE_MAP;
            snprintf(suffix, sizeof suffix, ".%zu%s", i, map ? halves[h] : "");
            status = write_tensor(dir, name, index, suffix,
                                  map ? &item->items[h].tensor : &item->tensor, files, error);
        }
    }
    return status;
}

static enum status write_outputs(const char *dir, const struct session *session,
                                 const struct value *outputs, json_t *files, struct error *error) {
    enum status status = files_make_folder(dir, true, error);
    for (size_t i = 0; i < session_output_count(session) && status == STATUS_OK; i++)
        status = write_value(dir, session_output(session, i)->name, i, &outputs[i], files, error);
    return status;
}

static enum status run(struct cli *cli, struct error *error) {
    static const struct output_field fields[] = {
        {"output", "output", OUTPUT_TEXT},
        {"datatype", "datatype", OUTPUT_TEXT},
        {"shape", "shape", OUTPUT_TEXT},
        {"file", "file", OUTPUT_TEXT},
    };
    const char *dir = NULL;
    long long threads = 1;
    struct model_file *file = NULL;
    struct inputs inputs = {0};
    struct value *outputs = NULL;
    json_t *files = json_array(), *result = NULL;
    struct timespec start, end;
    enum status status = options_required(&cli->options, "output", &dir, error);
    if (status == STATUS_OK)
        status = options_number(&cli->options, "threads", 1, 256, 1, &threads, error);
    if (status == STATUS_OK)
        status = model_file_open(cli->options.positional[0], &file, error);
    if (status == STATUS_OK)
        status = model_file_load(file, (size_t)threads, error);
    if (status != STATUS_OK)
        goto out;
    struct session *session = model_file_session(file);
    status = read_inputs(&cli->options, session, &inputs, error);
    if (status != STATUS_OK)
        goto out;
    outputs = calloc(session_output_count(session) + 1, sizeof *outputs);
    if (!outputs || !files) {
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        goto out;
    }
    clock_gettime(CLOCK_MONOTONIC, &start);
    status = session_run(session, inputs.values, inputs.count, 0, outputs,
                         session_output_count(session), error);
    clock_gettime(CLOCK_MONOTONIC, &end);
    if (status != STATUS_OK)
        goto out;
    status = write_outputs(dir, session, outputs, files, error);
    session_release(session);
    if (status != STATUS_OK)
        goto out;
    result = json_pack("{s:O,s:I}", "outputs", files, "microseconds",
                       (json_int_t)(end.tv_sec - start.tv_sec) * 1000000 +
                           (end.tv_nsec - start.tv_nsec) / 1000);
    status = result ? output_table(cli, result, "outputs", fields, sizeof fields / sizeof fields[0],
                                   "no outputs", error)
                    : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
out:
    json_decref(result);
    json_decref(files);
    free(outputs);
    free_inputs(&inputs);
    model_file_close(file);
    return status;
}

static const struct options_row rows[] = {
    {"input", 'i', "NAME=FILE.npy", "an input of the model; once for each", true},
    {"output", 'o', "DIR", "folder for the outputs, NAME.npy each", false},
    {"threads", 0, "NUMBER", "compute threads (default 1)", false},
};

const struct cli_command run_command = {
    .name = "run",
    .positional = "FILE|DIR",
    .least = 1,
    .most = 1,
    .rows = rows,
    .row_count = sizeof rows / sizeof rows[0],
    .summary = "run a model once, offline, with the engine that serves",
    .help = "The model is an ONNX file, a bundle (.tar), or a folder with model.onnx.",
    .run = run,
};
