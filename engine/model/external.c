#include "engine/model/external.h"

#include "base/sort.h"
#include "engine/model/graph.h"

/* Decimal digits and nothing else: the format gives numbers as text. */
static bool parse_number(struct str text, uint64_t *out) {
    uint64_t v = 0;
    if (text.size == 0)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)(unsigned char)text.data[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *out = v;
    return true;
}

static enum status add_number(struct wire_path *p, const char *key, struct str value, uint64_t *out,
                              bool *has) {
    char text[40];
    if (*has)
        return wire_fail(p, STATUS_INVALID, "external_data: %s is given twice", key);
    if (!parse_number(value, out))
        return wire_fail(p, STATUS_INVALID,
                         "external_data: %s is \"%s\", expected a whole number of bytes", key,
                         graph_name_text(value, text, sizeof text));
    *has = true;
    return STATUS_OK;
}

enum status external_entry(struct wire_path *p, struct str entry, struct external_place *place) {
    struct cursor c = wire_cursor(entry);
    struct str key = {NULL, 0}, value = {NULL, 0};
    struct wire_field f;
    while (wire_next(&c, &f)) {
        if ((f.number == 1 || f.number == 2) && f.type != WIRE_BYTES)
            return wire_fail(p, STATUS_INVALID, "external_data: an entry is not key and value");
        if (f.number == 1)
            key = f.bytes;
        else if (f.number == 2)
            value = f.bytes;
    }
    if (c.failed)
        return wire_malformed(p);
    if (str_is(key, "location")) {
        if (place->has_location)
            return wire_fail(p, STATUS_INVALID, "external_data: location is given twice");
        place->location = value;
        place->has_location = true;
        return STATUS_OK;
    }
    if (str_is(key, "offset"))
        return add_number(p, "offset", value, &place->offset, &place->has_offset);
    if (str_is(key, "length"))
        return add_number(p, "length", value, &place->length, &place->has_length);
    if (str_is(key, "checksum"))
        return wire_fail(p, STATUS_UNSERVABLE,
                         "external_data: a checksum is not checked by this version and must be "
                         "left out (what is sealed is authenticated as a whole)");
    char text[60];
    return wire_fail(p, STATUS_INVALID,
                     "external_data: there is no key \"%s\", expected location, offset or length",
                     graph_name_text(key, text, sizeof text));
}

enum status external_find(struct wire_path *p, const struct external_place *place,
                          struct str *bytes) {
    const struct external *files = p->external ? &p->external->files : NULL;
    struct str file = {NULL, 0}, location = place->location;
    char text[EXTERNAL_LOCATION_MAX + 1];
    if (!place->has_location)
        return wire_fail(p, STATUS_INVALID, "external_data: location is missing");
    (void)graph_name_text(location, text, sizeof text);
    if (location.size == 0 || location.size > EXTERNAL_LOCATION_MAX)
        return wire_fail(p, STATUS_INVALID,
                         "external_data: location has %zu bytes, expected 1 to %d", location.size,
                         EXTERNAL_LOCATION_MAX);
    if (!files || !files->find)
        return wire_fail(p, STATUS_UNSERVABLE,
                         "the external data \"%s\" is not here: the model was given as one file; "
                         "seal the folder with model.onnx and its data files",
                         text);
    if (!files->find(files->ctx, location, &file))
        return wire_fail(p, STATUS_INVALID,
                         "external_data: there is no file \"%s\" beside the model", text);
    if (place->offset > file.size)
        return wire_fail(p, STATUS_INVALID,
                         "external_data: offset %llu is past the end of \"%s\" (%zu bytes)",
                         (unsigned long long)place->offset, text, file.size);
    size_t left = file.size - (size_t)place->offset;
    if (place->has_length && place->length > left)
        return wire_fail(p, STATUS_INVALID,
                         "external_data: %llu bytes from offset %llu go past the end of \"%s\" "
                         "(%zu bytes)",
                         (unsigned long long)place->length, (unsigned long long)place->offset, text,
                         file.size);
    bytes->data = file.data + place->offset;
    bytes->size = place->has_length ? (size_t)place->length : left;
    return STATUS_OK;
}

enum status external_use(struct wire_path *p, struct str bytes) {
    struct external_reading *r = p->external;
    if (bytes.size == 0)
        return STATUS_OK;
    if (r->count == r->capacity) {
        size_t wanted = r->capacity ? r->capacity * 2 : 64;
        struct external_range *bigger = arena_array(r->arena, wanted, sizeof *bigger);
        if (!bigger)
            return arena_exhausted(r->arena, wanted * sizeof *bigger, p->error);
        if (r->count)
            memcpy(bigger, r->ranges, r->count * sizeof *bigger);
        r->ranges = bigger;
        r->capacity = wanted;
    }
    r->ranges[r->count++] = (struct external_range){bytes.data, bytes.size};
    return STATUS_OK;
}

static int by_place(const void *a, const void *b, void *context) {
    const struct external_range *x = a, *y = b;
    (void)context;
    if (x->start != y->start)
        return x->start < y->start ? -1 : 1;
    return x->size == y->size ? 0 : x->size < y->size ? -1 : 1;
}

enum status external_check(struct wire_path *p) {
    struct external_reading *r = p->external;
    if (!r || r->count < 2)
        return STATUS_OK;
    sort_heap(r->ranges, r->count, sizeof *r->ranges, by_place, NULL);
    for (size_t i = 1; i < r->count; i++) {
        const struct external_range *a = &r->ranges[i - 1], *b = &r->ranges[i];
        /* Up to here nothing overlaps in part, so the one before ends last of all. */
        bool same = a->start == b->start && a->size == b->size;
        if (!same && (size_t)(b->start - a->start) < a->size)
            return wire_fail(p, STATUS_INVALID,
                             "external_data: the bytes of two tensors overlap in part");
    }
    return STATUS_OK;
}
