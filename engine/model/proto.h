/* TensorProto, TypeProto, SequenceProto and the like (onnx.proto): from wire form to struct tensor,
 * struct type_info, struct value.
 *
 * A tensor's raw bytes are used where they are if they lie aligned; else, and for every other
 * encoding, the elements are converted into `arena`. The same holds for external data, found by way
 * of the path (model/external.h). bool must be 0 or 1.
 *
 * Ownership: results point into the input and the arena, and live as long as both. Input: hostile.
 */
#ifndef ENGINE_MODEL_PROTO_H
#define ENGINE_MODEL_PROTO_H

#include "engine/model/graph.h"
#include "engine/model/memory.h"
#include "engine/model/wire.h"

/* Bytes of the arena that proto_tensor will take for this TensorProto, added to *need. */
MUST_USE enum status proto_tensor_measure(struct wire_path *p, struct str bytes, size_t *need);
MUST_USE enum status proto_tensor(struct wire_path *p, struct str bytes, struct arena *arena,
                                  struct graph_tensor *out);
MUST_USE enum status proto_type(struct wire_path *p, struct str bytes, struct type_info *out);
/* SparseTensorProto, as the dense tensor it stands for. */
MUST_USE enum status proto_sparse_tensor(struct wire_path *p, struct str bytes, struct arena *arena,
                                         struct graph_tensor *out);
MUST_USE enum status proto_sparse_measure(struct wire_path *p, struct str bytes, size_t *need);
/* A value of a test data set: TensorProto, SequenceProto or OptionalProto, as `type` says. */
MUST_USE enum status proto_value(struct wire_path *p, struct str bytes,
                                 const struct type_info *type, struct arena *arena,
                                 struct value *out);

#endif
