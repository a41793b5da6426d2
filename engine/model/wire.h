/* The protobuf wire form (protobuf.dev, "Encoding"), read in place from a cursor.
 *
 *     struct wire_field f;
 *     while (wire_next(&c, &f))
 *         switch (f.number) ...
 *     if (c.failed) ...malformed
 *
 * A path of field names goes along for messages: "model.graph.node[3].attribute[0].t".
 *
 * Nothing is copied or owned. Input: hostile. */
#ifndef ENGINE_MODEL_WIRE_H
#define ENGINE_MODEL_WIRE_H

#include "base/buf.h"
#include "engine/model/limits.h"
#include "engine/model/tensor.h"

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

struct wire_field {
    uint32_t number;
    enum wire_type type;
    uint64_t value;   /* WIRE_VARINT, WIRE_FIXED64, WIRE_FIXED32 */
    struct str bytes; /* WIRE_BYTES */
};

/* The next field; false at the end, and, with c->failed set, where the bytes are malformed (short,
 * a varint past 10 bytes, field number 0, groups). */
bool wire_next(struct cursor *c, struct wire_field *f);
/* A varint without a tag, for packed fields; 0 and c->failed where malformed. */
uint64_t wire_varint(struct cursor *c);
struct cursor wire_cursor(struct str bytes);
/* Elements of a repeated numeric field in one occurrence of it: packed or single. False where the
 * bytes are not a whole number of elements of `element` (WIRE_VARINT, WIRE_FIXED32, WIRE_FIXED64),
 * or the field has another type. */
bool wire_count(const struct wire_field *f, enum wire_type element, size_t *count);

struct external_reading;

struct wire_path {
    const char *names[LIMITS_PATH];
    int64_t indices[LIMITS_PATH]; /* -1: not repeated */
    size_t depth;
    struct error *error;
    struct external_reading *external; /* files beside the model; NULL: there are none */
};

/* False where messages are nested too deep. */
bool wire_enter(struct wire_path *p, const char *name, int64_t index);
void wire_leave(struct wire_path *p);
/* "PATH: message". `status` is STATUS_INVALID for malformed, STATUS_UNSERVABLE for well-formed but
 * not served. */
enum status wire_fail(const struct wire_path *p, enum status status, const char *format, ...)
    PRINTF_LIKE(3, 4);
/* Error where the field has another wire type than the schema says. */
MUST_USE enum status wire_expect(const struct wire_path *p, const struct wire_field *f,
                                 enum wire_type type, const char *name);
enum status wire_malformed(const struct wire_path *p);

#endif
