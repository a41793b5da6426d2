#include "engine/model/wire.h"

#include <stdarg.h>
#include <stdio.h>

uint64_t wire_varint(struct cursor *c) {
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t byte = cursor_u8(c);
        if (c->failed)
            return 0;
        v |= (uint64_t)(byte & 0x7f) << shift;
        if (!(byte & 0x80))
            return v;
    }
    c->failed = true;
    return 0;
}

struct cursor wire_cursor(struct str bytes) {
    return cursor_of(bytes.data, bytes.size);
}

bool wire_next(struct cursor *c, struct wire_field *f) {
    if (c->failed || cursor_left(c) == 0)
        return false;
    uint64_t key = wire_varint(c);
    *f = (struct wire_field){.number = (uint32_t)(key >> 3), .type = (enum wire_type)(key & 7)};
    if (c->failed || key >> 3 == 0 || key >> 3 > 0x1fffffff) {
        c->failed = true;
        return false;
    }
    switch (f->type) {
    case WIRE_VARINT:
        f->value = wire_varint(c);
        break;
    case WIRE_FIXED64:
        f->value = cursor_u64(c);
        break;
    case WIRE_FIXED32:
        f->value = cursor_u32(c);
        break;
    case WIRE_BYTES: {
        uint64_t size = wire_varint(c);
        if (c->failed || size > cursor_left(c)) {
            c->failed = true;
            return false;
        }
        f->bytes.data = (const char *)cursor_take(c, (size_t)size);
        f->bytes.size = (size_t)size;
        break;
    }
    default: /* groups (3, 4) are not in the schema */
        c->failed = true;
    }
    return !c->failed;
}

bool wire_count(const struct wire_field *f, enum wire_type element, size_t *count) {
    if (f->type == element) {
        *count = 1;
        return true;
    }
    if (f->type != WIRE_BYTES)
        return false;
    if (element == WIRE_VARINT) {
        size_t n = 0;
        /* Each varint has exactly one byte without the continuation bit, its last. */
        for (size_t i = 0; i < f->bytes.size; i++)
            n += !((uint8_t)f->bytes.data[i] & 0x80);
        if (f->bytes.size > 0 && (uint8_t)f->bytes.data[f->bytes.size - 1] & 0x80)
            return false;
        *count = n;
        return true;
    }
    size_t size = element == WIRE_FIXED32 ? 4 : 8;
    *count = f->bytes.size / size;
    return f->bytes.size % size == 0;
}

bool wire_enter(struct wire_path *p, const char *name, int64_t index) {
    if (p->depth == LIMITS_PATH)
        return false;
    p->names[p->depth] = name;
    p->indices[p->depth] = index;
    p->depth++;
    return true;
}

void wire_leave(struct wire_path *p) {
    p->depth--;
}

enum status wire_fail(const struct wire_path *p, enum status status, const char *format, ...) {
    char path[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < p->depth; i++) {
        int n = p->indices[i] < 0
                    ? snprintf(path + used, sizeof path - used, "%s%s", i ? "." : "", p->names[i])
                    : snprintf(path + used, sizeof path - used, "%s%s[%lld]", i ? "." : "",
                               p->names[i], (long long)p->indices[i]);
        if (n < 0 || (size_t)n >= sizeof path - used)
            break;
        used += (size_t)n;
    }
    va_list args;
    va_start(args, format);
    status = status_vfail(p->error, status, format, args);
    va_end(args);
    if (p->error)
        status = status_prefix(p->error, "%s: ", path);
    return status;
}

enum status wire_expect(const struct wire_path *p, const struct wire_field *f, enum wire_type type,
                        const char *name) {
    if (f->type == type)
        return STATUS_OK;
    return wire_fail(p, STATUS_INVALID, "field %s has wire type %d, the ONNX schema says %d", name,
                     (int)f->type, (int)type);
}

enum status wire_malformed(const struct wire_path *p) {
    return wire_fail(p, STATUS_INVALID, "the bytes are not a protobuf message");
}
