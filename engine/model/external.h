/* Weights that lie beside the model: TensorProto.external_data, as ExternalData.md of the ONNX
 * project describes it. The engine opens nothing: whoever opens the model gives a lookup, and what
 * it finds is used where it lies, like raw data inside the model.
 *
 * Of the keys, location is required, offset and length are checked against the file, and length
 * against the tensor's shape. checksum (SHA-1 of the whole file) is refused, since it is not looked
 * at: a sealed file is authenticated as a whole. Two tensors may share a range (tied weights) or
 * have nothing in common; ranges that overlap in part are refused.
 *
 * Ownership: the files must stay as they are for as long as the model lives. Input: hostile. */
#ifndef ENGINE_MODEL_EXTERNAL_H
#define ENGINE_MODEL_EXTERNAL_H

#include "engine/model/memory.h"
#include "engine/model/wire.h"

#define EXTERNAL_LOCATION_MAX 255 /* bytes */

struct external {
    /* The bytes of the file of that name; false where there is none. NULL: there are no files. The
     * name is the model's, so hostile. */
    bool (*find)(void *ctx, struct str location, struct str *bytes);
    void *ctx;
};

struct external_range {
    const char *start;
    size_t size;
};

/* What a reader knows while it reads: hangs on its wire_path. */
struct external_reading {
    struct external files;
    struct arena *arena; /* for the list */
    struct external_range *ranges;
    size_t count, capacity;
};

/* The entries of one tensor. */
struct external_place {
    struct str location;
    uint64_t offset, length;
    bool has_location, has_offset, has_length;
};

/* One StringStringEntryProto. */
MUST_USE enum status external_entry(struct wire_path *p, struct str entry,
                                    struct external_place *place);
/* The bytes that the place stands for. */
MUST_USE enum status external_find(struct wire_path *p, const struct external_place *place,
                                   struct str *bytes);
/* Remember that these bytes are in use. */
MUST_USE enum status external_use(struct wire_path *p, struct str bytes);
/* After all are in use: do any two overlap in part? Sorts the list. */
MUST_USE enum status external_check(struct wire_path *p);

#endif
