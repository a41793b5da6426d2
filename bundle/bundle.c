#include "bundle/bundle.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/checked.h"
#include "bundle/labels.h"
#include "bundle/manifest.h"
#include "bundle/member.h"
#include "bundle/tar.h"
#include "engine/model/graph.h"
#include "engine/model/reader.h"

#define MODEL "model.onnx"
#define MANIFEST "manifest.yaml"

struct label_set {
    struct labels labels;
    size_t output; /* of the session */
};

struct bundle {
    struct member_list members; /* of an archive */
    struct manifest *manifest;
    struct session *session;
    struct label_set *labels; /* one for each entry of the manifest */
    struct label_set *own;    /* the model's own */
    size_t own_count;
};

static struct str str_of(const char *text) {
    return (struct str){text, strlen(text)};
}

static bool find(const struct external *files, const char *name, struct str *bytes) {
    return files->find(files->ctx, str_of(name), bytes);
}

/* What the model may name: any file of the bundle but these two. */
static bool find_external(void *ctx, struct str location, struct str *bytes) {
    const struct external *files = ctx;
    return member_name(&location, NULL) == STATUS_OK && !str_is(location, MODEL) &&
           !str_is(location, MANIFEST) && files->find(files->ctx, location, bytes);
}

static bool find_member(void *ctx, struct str name, struct str *bytes) {
    const struct member *m = member_find(ctx, name);
    if (m)
        *bytes = m->bytes;
    return m != NULL;
}

/* --- manifest and labels ---------------------------------------------------------------------- */

static enum status read_manifest(const struct external *files, struct manifest **manifest,
                                 struct error *error) {
    struct str yaml;
    return find(files, MANIFEST, &yaml) ? manifest_parse(yaml, manifest, error) : STATUS_OK;
}

static enum status find_labels(const struct external *files, const struct manifest_labels *entry,
                               char text[TAR_NAME_MAX + 1], struct str *bytes,
                               struct error *error) {
    struct str name = str_of(entry->file);
    enum status status = member_name(&name, error);
    if (status != STATUS_OK)
        return status_prefix(error, MANIFEST ": labels: ");
    (void)graph_name_text(name, text, TAR_NAME_MAX + 1);
    if (str_is(name, MODEL) || str_is(name, MANIFEST) || !files->find(files->ctx, name, bytes))
        return status_fail(error, STATUS_INVALID,
                           MANIFEST ": labels: there is no file \"%s\" of labels in the bundle",
                           text);
    return STATUS_OK;
}

/* How many classes the output's type says it has; -1 where that varies. The first of several
 * dimensions counts the rows. */
static int64_t classes_of(const struct type_info *type) {
    int64_t count = 1;
    if (type->rank < 1)
        return type->rank < 0 ? -1 : 1;
    for (int d = type->rank > 1; d < type->rank; d++)
        if (type->dims[d] < 0 || __builtin_mul_overflow(count, type->dims[d], &count))
            return -1;
    return count;
}

static enum status find_output(const struct session *session, const char *name, size_t *output,
                               struct error *error) {
    char text[100];
    for (size_t i = 0; i < session_output_count(session); i++) {
        const struct session_port *port = session_output(session, i);
        if (str_is(port->name, name)) {
            if (port->type.kind != VALUE_TENSOR)
                break;
            *output = i;
            return STATUS_OK;
        }
    }
    return status_fail(error, STATUS_INVALID,
                       MANIFEST ": labels: the model has no output \"%s\" that is a tensor",
                       graph_name_text(str_of(name), text, sizeof text));
}

/* Before the session is opened, which may discard what its external data is made of. */
static enum status read_labels(struct bundle *b, const struct external *files,
                               struct error *error) {
    size_t count = b->manifest ? b->manifest->label_count : 0;
    char text[TAR_NAME_MAX + 1];
    struct str bytes;
    enum status status = STATUS_OK;
    if (count == 0)
        return STATUS_OK;
    if (!(b->labels = calloc(count, sizeof *b->labels)))
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    for (size_t i = 0; i < count && status == STATUS_OK; i++) {
        status = find_labels(files, &b->manifest->labels[i], text, &bytes, error);
        if (status == STATUS_OK)
            status = labels_parse(bytes, text, &b->labels[i].labels, error);
    }
    return status;
}

static enum status place_labels(struct bundle *b, struct error *error) {
    enum status status = STATUS_OK;
    for (unsigned i = 0; b->labels && i < b->manifest->label_count; i++) {
        const struct manifest_labels *entry = &b->manifest->labels[i];
        struct label_set *set = &b->labels[i];
        char file[100], output[100];
        if ((status = find_output(b->session, entry->output, &set->output, error)) != STATUS_OK)
            return status;
        int64_t classes = classes_of(&session_output(b->session, set->output)->type);
        if (classes >= 0 && (uint64_t)classes != set->labels.count)
            return status_fail(
                error, STATUS_INVALID, "%s has %zu labels, the output \"%s\" has %lld classes",
                graph_name_text(str_of(entry->file), file, sizeof file), set->labels.count,
                graph_name_text(str_of(entry->output), output, sizeof output), (long long)classes);
    }
    return STATUS_OK;
}

/* --- labels that the model has in itself ------------------------------------------------------ */

/* One a line. False where they do not fit, or one has a line end in it. */
static bool write_labels(const struct session_port *port, struct buf *out) {
    for (size_t k = 0; k < port->label_count; k++) {
        if (port->label_ints)
            buf_printf(out, "%" PRId64, port->label_ints[k]);
        else if (memchr(port->label_strings[k].data, '\n', port->label_strings[k].size))
            return false;
        else
            buf_bytes(out, port->label_strings[k].data, port->label_strings[k].size);
        buf_u8(out, '\n');
    }
    return !out->failed;
}

/* All outputs' together have the room of one file of labels. What is not fit is left out: the model
 * can be served without. */
static enum status own_labels(struct bundle *b, struct error *error) {
    size_t outputs = session_output_count(b->session), left = LABELS_BYTES_MAX;
    enum status status = STATUS_OK;
    char *text = NULL;
    for (size_t i = 0; i < outputs; i++)
        b->own_count += session_output(b->session, i)->label_count > 0;
    if (b->own_count == 0)
        return STATUS_OK;
    text = malloc(LABELS_BYTES_MAX);
    b->own = calloc(b->own_count, sizeof *b->own);
    b->own_count = 0;
    if (!text || !b->own) {
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        goto out;
    }
    for (size_t i = 0; i < outputs; i++) {
        const struct session_port *port = session_output(b->session, i);
        struct buf lines = buf_of(text, left);
        struct label_set *set = &b->own[b->own_count];
        struct error ignored;
        int64_t classes = classes_of(&port->type);
        if (port->label_count == 0 || (classes >= 0 && (uint64_t)classes != port->label_count) ||
            !write_labels(port, &lines) ||
            labels_parse((struct str){text, lines.size}, "", &set->labels, &ignored) != STATUS_OK ||
            set->labels.count != port->label_count)
            continue;
        set->output = i;
        b->own_count++;
        left -= lines.size;
    }
out:
    free(text);
    return status;
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum status no_model(struct error *error) {
    return status_fail(error, STATUS_INVALID, "the bundle has no file " MODEL);
}

static enum status open_files(struct bundle *b, const struct external *files,
                              const struct session_options *options, struct error *error) {
    struct session_options with = *options;
    struct str model;
    with.external = (struct external){.find = find_external, .ctx = (void *)(uintptr_t)files};
    if (!find(files, MODEL, &model))
        return no_model(error);
    enum status status = read_manifest(files, &b->manifest, error);
    if (status == STATUS_OK)
        status = read_labels(b, files, error);
    if (status == STATUS_OK)
        status = session_open(model, &with, &b->session, error);
    return status == STATUS_OK ? place_labels(b, error) : status;
}

static enum status open_archive(struct bundle *b, struct str bytes,
                                const struct session_options *options, struct error *error) {
    const struct external files = {.find = find_member, .ctx = &b->members};
    enum status status = member_list_read(bytes, &b->members, error);
    if (status == STATUS_OK)
        status = open_files(b, &files, options, error);
    return status == STATUS_OK ? member_all_used(&b->members, error) : status;
}

enum status bundle_open(struct str bytes, const struct session_options *options,
                        struct bundle **bundle, struct error *error) {
    struct bundle *b = calloc(1, sizeof *b);
    if (!b)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = tar_is(bytes.data, bytes.size)
                             ? open_archive(b, bytes, options, error)
                             : session_open(bytes, options, &b->session, error);
    if (status == STATUS_OK)
        status = own_labels(b, error);
    if (status == STATUS_OK)
        *bundle = b;
    else
        bundle_free(b);
    return status;
}

enum status bundle_open_files(const struct external *files, const struct session_options *options,
                              struct bundle **bundle, struct error *error) {
    struct bundle *b = calloc(1, sizeof *b);
    if (!b)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = open_files(b, files, options, error);
    if (status == STATUS_OK)
        status = own_labels(b, error);
    if (status == STATUS_OK)
        *bundle = b;
    else
        bundle_free(b);
    return status;
}

void bundle_free(struct bundle *bundle) {
    if (!bundle)
        return;
    for (size_t i = 0; bundle->labels && i < bundle->manifest->label_count; i++)
        labels_free(&bundle->labels[i].labels);
    free(bundle->labels);
    for (size_t i = 0; i < bundle->own_count; i++)
        labels_free(&bundle->own[i].labels);
    free(bundle->own);
    session_free(bundle->session);
    manifest_free(bundle->manifest);
    member_list_free(&bundle->members);
    free(bundle);
}

enum status bundle_refer(const struct external *files, struct error *error) {
    const struct external external = {.find = find_external, .ctx = (void *)(uintptr_t)files};
    char text[TAR_NAME_MAX + 1];
    struct manifest *manifest = NULL;
    struct str bytes;
    size_t need;
    if (!find(files, MODEL, &bytes))
        return no_model(error);
    enum status status = reader_measure(bytes, &external, &need, error);
    if (status == STATUS_OK)
        status = read_manifest(files, &manifest, error);
    for (unsigned i = 0; status == STATUS_OK && manifest && i < manifest->label_count; i++)
        status = find_labels(files, &manifest->labels[i], text, &bytes, error);
    manifest_free(manifest);
    return status;
}

/* --- looking ---------------------------------------------------------------------------------- */

struct session *bundle_session(const struct bundle *bundle) {
    return bundle->session;
}

const char *bundle_documentation(const struct bundle *bundle) {
    const char *text = bundle->manifest ? bundle->manifest->documentation : NULL;
    return text && text[0] ? text : NULL;
}

const struct str *bundle_labels(const struct bundle *bundle, size_t output, size_t *count) {
    for (size_t i = 0; bundle->labels && i < bundle->manifest->label_count; i++)
        if (bundle->labels[i].output == output) {
            *count = bundle->labels[i].labels.count;
            return bundle->labels[i].labels.texts;
        }
    for (size_t i = 0; i < bundle->own_count; i++)
        if (bundle->own[i].output == output) {
            *count = bundle->own[i].labels.count;
            return bundle->own[i].labels.texts;
        }
    *count = 0;
    return NULL;
}
