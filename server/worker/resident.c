#include "server/worker/resident.h"

#include "base/message.h"
#include "server/worker/region.h"
#include "server/worker/signature.h"

#include <stdlib.h>
#include <string.h>

struct resident_table {
    pthread_mutex_t mutex;
    struct resident *first;
};

static void destroy(struct resident *r) {
    if (!r)
        return;
    bundle_free(r->bundle); /* before the bytes that it points into */
    plaintext_free(&r->plaintext);
    pthread_mutex_destroy(&r->running);
    free(r->signature);
    free(r);
}

/* --- opening ---------------------------------------------------------------------------------- */

static enum status choose_outputs(struct resident *r, struct error *error) {
    size_t count = session_output_count(r->session);
    for (size_t i = 0; i < count; i++) {
        const struct type_info *type = &session_output(r->session, i)->type;
        if (type->kind != VALUE_TENSOR || !signature_datatype(type->dtype))
            continue;
        if (r->output_count == RING_TENSORS_MAX)
            return status_fail(error, STATUS_UNSERVABLE, "the model has more than %d outputs",
                               RING_TENSORS_MAX);
        r->outputs[r->output_count++] = (uint32_t)i;
    }
    if (r->output_count == 0)
        return status_fail(error, STATUS_UNSERVABLE,
                           "no output of the model is of a type that an answer can carry");
    return STATUS_OK;
}

static enum status make_signature(struct resident *r, struct error *error) {
    char *text = malloc(MESSAGE_RESULT_MAX);
    struct buf out = buf_of(text, text ? MESSAGE_RESULT_MAX : 0);
    if (!text)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = signature_write(r->bundle, r->outputs, r->output_count, &out, error);
    if (status == STATUS_OK && !(r->signature = malloc(out.size)))
        status = status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    if (status == STATUS_OK) {
        memcpy(r->signature, text, out.size);
        r->signature_size = out.size;
    }
    free(text);
    return status;
}

/* Domains of operators that the model may use, as the engine takes them. */
static void allow_domains(uint32_t bits, const char *names[4]) {
    static const struct {
        uint32_t bit;
        const char *name;
    } known[] = {{MESSAGE_DOMAIN_ONNX, "ai.onnx"},
                 {MESSAGE_DOMAIN_ML, "ai.onnx.ml"},
                 {MESSAGE_DOMAIN_MICROSOFT, "com.microsoft"}};
    size_t count = 0;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (bits & known[i].bit)
            names[count++] = known[i].name;
    names[count] = NULL;
}

enum status resident_open(const struct loading *loading, struct plaintext *plaintext,
                          const struct resident_options *options, struct resident **out,
                          struct error *error) {
    const char *domains[4];
    allow_domains(loading->domains, domains);
    const struct session_options session = {.memory = region_activation(),
                                            .secret = region_secret(loading->memory),
                                            .domains = domains,
                                            .threads = options->threads,
                                            .max_memory = options->memory_bytes,
                                            .maps_as_tensors = true,
                                            .discard = plaintext_discard,
                                            .discard_ctx = plaintext};
    const struct str bytes = {plaintext->data, plaintext->size};
    struct session_facts facts;
    struct resident *r = calloc(1, sizeof *r);
    enum status status;
    if (!r)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&r->running, NULL);
    r->handle = loading->model;
    r->references = 1;
    if ((status = bundle_open(bytes, &session, &r->bundle, error)) != STATUS_OK)
        goto out;
    r->session = bundle_session(r->bundle);
    if ((status = choose_outputs(r, error)) != STATUS_OK ||
        (status = make_signature(r, error)) != STATUS_OK)
        goto out;
    session_inspect(r->session, &facts);
    r->secret_bytes = secret_arena_held(plaintext->arena) + facts.secret_bytes;
    r->plaintext = *plaintext;
    *plaintext = (struct plaintext){0};
    *out = r;
    r = NULL;
out:
    destroy(r);
    return status;
}

/* --- the table -------------------------------------------------------------------------------- */

enum status resident_table_new(struct resident_table **table, struct error *error) {
    struct resident_table *made = calloc(1, sizeof *made);
    if (!made)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    pthread_mutex_init(&made->mutex, NULL);
    *table = made;
    return STATUS_OK;
}

void resident_table_free(struct resident_table *table) {
    if (!table)
        return;
    for (struct resident *r = table->first, *next; r; r = next) {
        next = r->next;
        destroy(r);
    }
    pthread_mutex_destroy(&table->mutex);
    free(table);
}

/* Takes the handle's model out of the list; the caller drops the table's reference. */
static struct resident *unlink_handle(struct resident_table *table, uint64_t handle) {
    struct resident **at = &table->first, *found;
    while ((found = *at) && found->handle != handle)
        at = &found->next;
    if (found)
        *at = found->next;
    return found;
}

void resident_add(struct resident_table *table, struct resident *resident) {
    pthread_mutex_lock(&table->mutex);
    struct resident *old = unlink_handle(table, resident->handle);
    resident->references++;
    resident->next = table->first;
    table->first = resident;
    pthread_mutex_unlock(&table->mutex);
    resident_release(table, old);
}

struct resident *resident_get(struct resident_table *table, uint64_t handle) {
    pthread_mutex_lock(&table->mutex);
    struct resident *r = table->first;
    while (r && r->handle != handle)
        r = r->next;
    if (r)
        r->references++;
    pthread_mutex_unlock(&table->mutex);
    return r;
}

void resident_remove(struct resident_table *table, uint64_t handle) {
    pthread_mutex_lock(&table->mutex);
    struct resident *r = unlink_handle(table, handle);
    pthread_mutex_unlock(&table->mutex);
    resident_release(table, r);
}

void resident_release(struct resident_table *table, struct resident *resident) {
    if (!resident)
        return;
    pthread_mutex_lock(&table->mutex);
    bool last = --resident->references == 0;
    pthread_mutex_unlock(&table->mutex);
    if (last)
        destroy(resident);
}

void resident_each(struct resident_table *table,
                   void (*fn)(void *context, const struct resident *resident), void *context) {
    pthread_mutex_lock(&table->mutex);
    for (const struct resident *r = table->first; r; r = r->next)
        fn(context, r);
    pthread_mutex_unlock(&table->mutex);
}
