#include "tests/unit/engine_model.h"

#include <stdlib.h>
#include <string.h>

static void put_byte(struct message *m, uint8_t byte) {
    if (m->size == sizeof m->bytes)
        abort();
    m->bytes[m->size++] = byte;
}

static void put_varint(struct message *m, uint64_t v) {
    for (; v >= 0x80; v >>= 7)
        put_byte(m, (uint8_t)(v | 0x80));
    put_byte(m, (uint8_t)v);
}

void model_int(struct message *m, uint32_t field, uint64_t value) {
    put_varint(m, (uint64_t)field << 3);
    put_varint(m, value);
}

void model_bytes(struct message *m, uint32_t field, const void *data, size_t size) {
    put_varint(m, (uint64_t)field << 3 | 2);
    put_varint(m, size);
    for (size_t i = 0; i < size; i++)
        put_byte(m, ((const uint8_t *)data)[i]);
}

void model_text(struct message *m, uint32_t field, const char *text) {
    model_bytes(m, field, text, strlen(text));
}

void model_put(struct message *m, uint32_t field, const struct message *inner) {
    model_bytes(m, field, inner->bytes, inner->size);
}

static void put_names(struct message *m, uint32_t field, const char *names) {
    while (*names) {
        size_t n = strcspn(names, " ");
        bool omitted = n == 1 && names[0] == '-';
        model_bytes(m, field, names, omitted ? 0 : n);
        names += n;
        names += *names == ' ';
    }
}

struct message model_node_in(const char *domain, const char *op, const char *inputs,
                             const char *outputs) {
    struct message m = {.size = 0};
    put_names(&m, 1, inputs);
    put_names(&m, 2, outputs);
    model_text(&m, 4, op);
    if (domain)
        model_text(&m, 7, domain);
    return m;
}

struct message model_node(const char *op, const char *inputs, const char *outputs) {
    return model_node_in(NULL, op, inputs, outputs);
}

void model_attribute_int(struct message *node, const char *name, int64_t value) {
    struct message a = {.size = 0};
    model_text(&a, 1, name);
    model_int(&a, 3, (uint64_t)value);
    model_int(&a, 20, 2);
    model_put(node, 5, &a);
}

void model_attribute_graph(struct message *node, const char *name, const struct message *graph) {
    struct message a = {.size = 0};
    model_text(&a, 1, name);
    model_put(&a, 6, graph);
    model_int(&a, 20, 5);
    model_put(node, 5, &a);
}

struct message model_value(const char *name, enum dtype dtype, int rank, const int64_t *dims) {
    struct message shape = {.size = 0}, tensor = {.size = 0}, type = {.size = 0}, m = {.size = 0};
    for (int d = 0; d < rank; d++) {
        struct message dim = {.size = 0};
        if (dims[d] < 0)
            model_text(&dim, 2, "n");
        else
            model_int(&dim, 1, (uint64_t)dims[d]);
        model_put(&shape, 1, &dim);
    }
    model_int(&tensor, 1, dtype);
    model_put(&tensor, 2, &shape);
    model_put(&type, 1, &tensor);
    model_text(&m, 1, name);
    model_put(&m, 2, &type);
    return m;
}

struct message model_tensor(const char *name, enum dtype dtype, int rank, const int64_t *dims,
                            const void *data, size_t size) {
    struct message m = {.size = 0};
    for (int d = 0; d < rank; d++)
        model_int(&m, 1, (uint64_t)dims[d]);
    model_int(&m, 2, dtype);
    model_text(&m, 8, name);
    model_bytes(&m, 9, data, size);
    return m;
}

struct message model_of(const struct message *graph, int64_t opset) {
    struct message m = {.size = 0}, import = {.size = 0};
    model_int(&m, 1, 8);
    model_int(&import, 2, (uint64_t)opset);
    model_put(&m, 7, graph);
    model_put(&m, 8, &import);
    return m;
}

static void *acquire(void *ctx, size_t size) {
    struct counted *c = ctx;
    c->acquired++;
    if (c->refuse_after && c->acquired >= c->refuse_after)
        return NULL;
    void *p = aligned_alloc(64, (size + 63) / 64 * 64);
    if (!p)
        return NULL;
    /* Whoever reads before writing sees this. */
    memset(p, 0xa5, size);
    c->live++;
    c->last = p;
    c->last_size = size;
    return p;
}

static void release(void *ctx, void *data, size_t size) {
    struct counted *c = ctx;
    memset(data, 0, size);
    c->live--;
    free(data);
}

struct memory model_memory(struct counted *c) {
    return (struct memory){acquire, release, c};
}

struct str model_str(const struct message *m) {
    return (struct str){(const char *)m->bytes, m->size};
}
