/* From the bytes of a ModelProto to a graph.
 *
 * Two walks: reader_measure adds up what the tensors and arrays of the model need besides the bytes
 * they already have, so that the caller can size the arena for weights first; reader_read then
 * builds the graph. Model-local functions are expanded where they are called. Both are bounded
 * (model/limits.h) and check every size and offset; an error names the field's path. The recursion
 * into subgraphs and functions is at most LIMITS_GRAPH_DEPTH deep.
 *
 * `external` (may be NULL) finds the files beside the model that its tensors name.
 *
 * Ownership: bookkeeping lies in `graph`, tensors and attribute arrays in `weights`; names and
 * aligned tensors point into `bytes` and into those files. All must outlive the model. Nothing is
 * freed here.
 *
 * Threads: none shared. Input: hostile. */
#ifndef ENGINE_MODEL_READER_H
#define ENGINE_MODEL_READER_H

#include "engine/model/external.h"
#include "engine/model/graph.h"
#include "engine/model/memory.h"

struct opset {
    struct str domain; /* "" for ai.onnx */
    int64_t version;
};

struct model {
    int64_t ir_version, model_version;
    struct str producer, producer_version, domain;
    const struct opset *opsets;
    size_t opset_count;
    struct graph *graph;
    size_t graph_count; /* the main graph and all subgraphs; ids are below this */
    size_t node_count;  /* in all of them */
    int64_t parameters; /* elements of initialisers, Constants and ai.onnx.ml operators' lists */
    size_t tensor_bytes;
};

/* `need` receives the bytes that reader_read will take from the arena for weights. */
MUST_USE enum status reader_measure(struct str bytes, const struct external *external, size_t *need,
                                    struct error *error);
MUST_USE enum status reader_read(struct str bytes, const struct external *external,
                                 struct arena *graph, struct arena *weights, struct model **out,
                                 struct error *error);

#endif
