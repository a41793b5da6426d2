/* A model, loaded: open, look at it, run it.
 *
 * bytes -> graph -> plan -> outputs. Opens no file and no socket. All memory that holds anything of
 * the model or of a request comes from the caller's two sources: `secret` for weights (converted
 * and packed tensors; asked for a few large regions, each sized first), `memory` for bookkeeping,
 * plans and activations. The model's bytes themselves must stay readable, in the caller's secret
 * memory, for as long as the session lives: aligned tensors and all names are used where they are.
 *
 * A run's outputs belong to the session and are valid until session_release, which wipes every
 * activation; there is one run at a time, and no second before the first is released.
 *
 * Failure: STATUS_INVALID (a malformed model; inputs that do not fit, an index out of range),
 * STATUS_UNSERVABLE (well-formed, not served: every operator that is missing is named at once),
 * STATUS_TOO_LARGE (a bound on memory), STATUS_DEADLINE. Messages may be shown to the tenant.
 *
 * Threads: a session is used by one thread at a time; inside a run it uses its own pool.
 * Input: model and tensors are hostile. */
#ifndef ENGINE_SESSION_H
#define ENGINE_SESSION_H

#include "engine/model/external.h"
#include "engine/model/memory.h"
#include "engine/model/tensor.h"

#include <stdbool.h>
#include <stdint.h>

struct session;

struct session_options {
    struct memory memory;
    struct memory secret;
    size_t threads;     /* 0: one */
    size_t max_weights; /* bytes from `secret`; 0: no bound but size_t */
    size_t max_memory;  /* bytes of activations; 0: 4 GiB */
    uint64_t max_trips; /* of one Loop or Scan; 0: LIMITS_TRIPS */
    size_t plans;       /* input-shape combinations remembered; 0: 8 */
    /* Domains that operators may be of ("ai.onnx", ...), ending with NULL; NULL: all that are
     * served. Needed while opening only. A model with others is STATUS_UNSERVABLE, and each is
     * named. */
    const char *const *domains;
    /* Bytes of the model, or of the files beside it, that nobody reads again once the weights in
     * them are packed: they may be wiped and given back. Called while the session is opened, also
     * where that fails later. NULL: they stay. */
    void (*discard)(void *ctx, const void *data, size_t size);
    void *discard_ctx;
    struct external external; /* files beside the model, which must stay readable like it */
    /* Outputs that are sequences of maps are tensors with labels instead: engine/maps.h. */
    bool maps_as_tensors;
};

struct session_port {
    struct str name;
    struct type_info type; /* -1 for a dimension that varies; rank -1: not declared */
    /* What the columns of an output are called that was a sequence of maps: `label_count` of one of
     * the two. */
    const int64_t *label_ints;
    const struct str *label_strings;
    size_t label_count;
};

struct session_facts {
    int64_t ir_version, opset; /* opset of ai.onnx, 0 where not imported */
    struct str producer;
    size_t nodes;        /* as read, functions expanded, subgraphs included */
    size_t live_nodes;   /* of the main graph, after folding */
    int64_t parameters;  /* elements of initialisers, Constants and ai.onnx.ml operators' lists */
    size_t tensor_bytes; /* of these */
    size_t secret_bytes; /* held from `secret` */
    size_t graph_bytes;  /* held for bookkeeping */
};

/* Facts of one combination of input shapes. */
struct session_cost {
    size_t static_nodes, dynamic_nodes;
    size_t activation_bytes; /* of the planned region */
    uint64_t multiply_adds;  /* of convolutions, products and recurrent layers with known shapes */
};

MUST_USE enum status session_open(struct str bytes, const struct session_options *options,
                                  struct session **out, struct error *error);
void session_free(struct session *s); /* releases a run that is still open; NULL is fine */

size_t session_input_count(const struct session *s);
size_t session_output_count(const struct session *s);
const struct session_port *session_input(const struct session *s, size_t i);
const struct session_port *session_output(const struct session *s, size_t i);
void session_inspect(const struct session *s, struct session_facts *out);
/* `fn` is called once for each operator in use, with how many nodes use it. */
void session_operators(const struct session *s,
                       void (*fn)(void *arg, struct str domain, struct str name, size_t count),
                       void *arg);

/* inputs[i] is for session_input(s, i); their data must stay as it is until session_release.
 * outputs[i] receives session_output(s, i). deadline: CLOCK_MONOTONIC in nanoseconds, 0 for none;
 * it is looked at between operators. On failure nothing is open and nothing needs a release. */
MUST_USE enum status session_run(struct session *s, const struct value *inputs, size_t input_count,
                                 uint64_t deadline, struct value *outputs, size_t output_count,
                                 struct error *error);
void session_release(struct session *s);

/* What a run with these inputs (data may be NULL) would take, without running it. */
MUST_USE enum status session_cost(struct session *s, const struct value *inputs, size_t input_count,
                                  struct session_cost *out, struct error *error);

/* Calls `fn` for each node of the main graph that is not served as it stands, with the reason: for
 * inspection, so that all is said at once and not only what comes first (engine/survey.h). */
MUST_USE enum status session_survey(struct session *s, void (*fn)(void *arg, const char *why),
                                    void *arg, struct error *error);

#endif
