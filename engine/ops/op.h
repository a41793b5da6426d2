/* How operators are written: a row in a table, and the context its functions see.
 *
 * Each file engine/ops/FAMILY.c may define one table `const struct op_row op_family_FAMILY[]`, with
 * one row for each operator and version whose behaviour differs, closed by OP_END. The build
 * collects the tables by that name (engine/CMakeLists.txt); nothing else is edited.
 *
 * Life of a node:
 *   prepare  once, at load, optional. Attributes and constant inputs are known (op_in gives a
 *            tensor whose data is not NULL for those, dims and dtype too; NULL data, and rank -1,
 *            for all others). Parses attributes into op_state_new's struct, packs constant weights
 *            into op_weights_alloc's memory. `pack_size` tells beforehand how much that will be.
 *   infer    for every new combination of input shapes, before run. All input shapes are concrete
 *            and known; an input's VALUE is known only where op_in(c, i)->data is not NULL. Sets
 *            type and shape of each output with op_infer. Where an output's shape hangs on a value
 *            that is not known, it returns op_infer_later(c): infer is then called again just
 *            before run, with all values known. Where the shape is known only by computing
 *            (NonZero, Unique, ...), it returns op_infer_in_run(c), to the same effect, and run
 *            itself makes the outputs with op_out_new.
 *   run      computes. All inputs have data. op_out(c, i) gives the output's tensor, with memory of
 *            any content, or NULL if nobody reads it. Outputs never overlap inputs, except under
 *            OP_IN_PLACE and OP_VIEW.
 * infer and run may be called at load or planning already, when all inputs are constant.
 *
 * The shape rule and the checks of types, ranks and attributes belong in infer: run may rely on
 * them. Every index taken from tensor data is checked on both sides in run: op_fail, never a read.
 * Sizes come from base/checked.h. No function keeps state outside op_state; no malloc.
 *
 * Threads: one node at a time; op_parallel uses the session's pool inside a run. */
#ifndef ENGINE_OPS_OP_H
#define ENGINE_OPS_OP_H

#include "base/checked.h"
#include "engine/kernels/threads.h"
#include "engine/model/graph.h"
#include "engine/model/half.h"
#include "engine/model/memory.h"
#include "engine/model/tensor.h"

struct op_ctx;

typedef enum status op_fn(struct op_ctx *c);

enum op_flags {
    OP_IN_PLACE = 1,   /* output 0 may be the memory of an input with as many bytes: element k of
                          the output is written after element k of that input was last read */
    OP_VIEW = 2,       /* output 0 has the bytes of input 0, in another shape: run calls op_view */
    OP_SHAPE_ONLY = 4, /* reads shapes, never input data: may run at planning (Shape, Size) */
    OP_RANDOM = 8,     /* gives another result each time: never folded */
    OP_CONTROL = 16,   /* has subgraphs: never planned ahead */
    OP_SEQUENCE = 32,  /* has sequences, maps or optionals among its inputs or outputs */
};

struct op_row {
    const char *domain; /* NULL: ai.onnx; else "ai.onnx.ml", "ai.onnx.preview", "com.microsoft" */
    const char *name;
    int since; /* first opset with this behaviour; the row with the greatest since that is not
                  past the model's opset is taken */
    int until; /* last opset that has the operator at all; 0: still there */
    op_fn *infer;
    op_fn *run;
    op_fn *prepare;                        /* may be NULL */
    size_t (*pack_size)(struct op_ctx *c); /* bytes of op_weights_alloc; may be NULL */
    unsigned flags;
    const void *form; /* what tells this row from others with the same functions: op_form */
};

#define OP_END                                                                                     \
    { .name = NULL }

/* The row for an operator at an opset, or NULL. "" and "ai.onnx" are the same domain. */
const struct op_row *op_find(struct str domain, struct str name, int64_t opset);

/* `form` of the node's row, where its functions serve several rows. */
const void *op_form(const struct op_ctx *c);

/* ---- inputs and outputs ---- */
size_t op_in_count(const struct op_ctx *c); /* as written in the model, absent ones included */
size_t op_out_count(const struct op_ctx *c);
/* Input i, or NULL where it is absent (left out, past the end, or not a tensor). */
const struct tensor *op_in(const struct op_ctx *c, size_t i);
/* The same as a value: sequences, maps, optionals. NULL where left out. */
const struct value *op_in_value(const struct op_ctx *c, size_t i);
bool op_in_constant(const struct op_ctx *c, size_t i); /* the same in every run of the model */
bool op_out_wanted(const struct op_ctx *c, size_t i);
/* In run: the output, or NULL where it is not wanted. */
struct tensor *op_out(struct op_ctx *c, size_t i);

/* ---- in infer ---- */
/* Output i is a tensor of this type and shape. An output that is not wanted is ignored. */
MUST_USE enum status op_infer(struct op_ctx *c, size_t i, enum dtype dtype, int rank,
                              const int64_t *dims);
MUST_USE enum status op_infer_like(struct op_ctx *c, size_t i, const struct tensor *t);
/* Both give STATUS_OK, to be returned; op_infer_in_run serves as an infer function itself. */
MUST_USE enum status op_infer_later(struct op_ctx *c);
MUST_USE enum status op_infer_in_run(struct op_ctx *c);

/* ---- in run, for outputs that infer did not shape ---- */
/* Make output i a tensor of this shape, in run memory. *out may be NULL where the caller does not
 * need it; it is set to NULL, and nothing is made, where the output is not wanted. */
MUST_USE enum status op_out_new(struct op_ctx *c, size_t i, enum dtype dtype, int rank,
                                const int64_t *dims, struct tensor **out);
/* Output i becomes that value: tensors inside are shared, not copied; they must be inputs of this
 * node, or come from op_alloc. */
void op_out_value(struct op_ctx *c, size_t i, const struct value *v);
/* OP_VIEW: copies the bytes of `from` to output i, unless they are there already. */
MUST_USE enum status op_view(struct op_ctx *c, size_t i, const struct tensor *from);

/* ---- memory ---- */
/* Lives as long as the node's outputs: string bytes, parts of sequences. NULL, with the error set,
 * where the budget is exhausted: return op_no_memory(c). */
void *op_alloc(struct op_ctx *c, size_t size);
void *op_alloc_array(struct op_ctx *c, size_t count, size_t size); /* product checked */
/* Lives until this call of run (or infer, prepare) returns. */
void *op_scratch(struct op_ctx *c, size_t size);
void *op_scratch_array(struct op_ctx *c, size_t count, size_t size);
/* In prepare: for the packed form of weights (secret memory), lives as long as the model. */
void *op_weights_alloc(struct op_ctx *c, size_t size);
/* In prepare: input i was packed, and no later call of infer or run reads its data (its type and
 * shape stay): the bytes may be gone then. */
void op_packed(struct op_ctx *c, size_t i);
/* In prepare: makes the node's zeroed state, lives as long as the model. */
void *op_state_new(struct op_ctx *c, size_t size);
void *op_state(const struct op_ctx *c);
enum status op_no_memory(struct op_ctx *c);

/* ---- attributes ----
 * Of the wrong type: the default is given, and the call of prepare, infer or run fails afterwards
 * with a message that names the attribute. So nobody needs to check. */
bool op_attr_has(struct op_ctx *c, const char *name);
int64_t op_attr_int(struct op_ctx *c, const char *name, int64_t otherwise);
float op_attr_float(struct op_ctx *c, const char *name, float otherwise);
struct str op_attr_str(struct op_ctx *c, const char *name, const char *otherwise);
size_t op_attr_ints(struct op_ctx *c, const char *name, const int64_t **values); /* 0: absent */
size_t op_attr_floats(struct op_ctx *c, const char *name, const float **values);
size_t op_attr_strs(struct op_ctx *c, const char *name, const struct str **values);
const struct tensor *op_attr_tensor(struct op_ctx *c, const char *name); /* NULL: absent */
const struct graph *op_attr_graph(struct op_ctx *c, const char *name);

/* ---- checks, all give STATUS_INVALID with a message ---- */
enum status op_fail(struct op_ctx *c, const char *format, ...) PRINTF_LIKE(2, 3);
int64_t op_opset(const struct op_ctx *c); /* version in force of the node's domain */
/* Input i is there and is a tensor; from then on op_in(c, i) is not NULL. */
MUST_USE enum status op_need(struct op_ctx *c, size_t i);
/* Inputs 0..n-1 are all there. */
MUST_USE enum status op_need_all(struct op_ctx *c, size_t n);
/* dtype of input i (where present) is one of `mask`: DT(FLOAT) | DT(DOUBLE), DT_REAL, ... */
MUST_USE enum status op_need_dtype(struct op_ctx *c, size_t i, uint32_t mask);
/* dtype of input i (where present) is that of input `like`, which is present. */
MUST_USE enum status op_need_same(struct op_ctx *c, size_t i, size_t like);
/* An attribute that names an element type, one of `mask`. */
MUST_USE enum status op_attr_dtype(struct op_ctx *c, const char *name, enum dtype otherwise,
                                   uint32_t mask, enum dtype *out);
/* Input i has from `least` to `most` dimensions. */
MUST_USE enum status op_need_rank(struct op_ctx *c, size_t i, int least, int most);
/* -rank <= axis < rank: writes it as 0..rank-1. */
MUST_USE enum status op_axis(struct op_ctx *c, const char *what, int64_t axis, int rank, int *out);
/* A list of integers in input i (int64 or int32, rank 0 or 1), values known: copied into out[0..n)
 * with n at most max. */
MUST_USE enum status op_in_ints(struct op_ctx *c, size_t i, int64_t *out, size_t max, size_t *n);
/* A scalar, or a tensor of one element, of any real type, as int64 or double. */
MUST_USE enum status op_in_int(struct op_ctx *c, size_t i, int64_t *out);
MUST_USE enum status op_in_double(struct op_ctx *c, size_t i, double *out);

#define DT(name) ((uint32_t)1 << DTYPE_##name)
#define DT_FLOATS (DT(FLOAT) | DT(DOUBLE) | DT(FLOAT16) | DT(BFLOAT16))
#define DT_SIGNED (DT(INT8) | DT(INT16) | DT(INT32) | DT(INT64))
#define DT_UNSIGNED (DT(UINT8) | DT(UINT16) | DT(UINT32) | DT(UINT64))
#define DT_INTS (DT_SIGNED | DT_UNSIGNED)
#define DT_TINY_FLOATS (DT(FLOAT8E4M3FN) | DT(FLOAT8E4M3FNUZ) | DT(FLOAT8E5M2) | DT(FLOAT8E5M2FNUZ))
#define DT_REAL (DT_FLOATS | DT_INTS)
#define DT_ANY (~(uint32_t)0)

/* ---- narrow floats: compute in float, store in the tensor's type ---- */
/* Input i as float: its own data for FLOAT, else widened into scratch (float16, bfloat16, double).
 */
MUST_USE enum status op_in_f32(struct op_ctx *c, size_t i, const float **out);
/* Where to write output i as float: its own data for FLOAT, else scratch, which op_out_f32_done
 * narrows into the output. *out is NULL where the output is not wanted. */
MUST_USE enum status op_out_f32(struct op_ctx *c, size_t i, float **out);
void op_out_f32_done(struct op_ctx *c, size_t i, const float *values);
/* Input 0 and output 0 at once, for operators of one of each. */
MUST_USE enum status op_pair_f32(struct op_ctx *c, const float **from, float **to);

/* ---- work ---- */

/* Multiply-adds, or comparisons, below which a task is not worth waking another thread for: some
 * 20 microseconds of work, a few times what the waking costs. */
#define OP_SHARED_WORK ((size_t)1 << 17)
void op_parallel(struct op_ctx *c, size_t n, size_t grain, threads_fn *fn, void *arg);
struct threads *op_threads(const struct op_ctx *c);

/* ---- subgraphs (control flow) ---- */
/* Run a subgraph of this node: inputs[0..n) for its inputs; outputs[0..m) receive its outputs,
 * which live as long as this node's outputs. outputs[i] is read first: VALUE_NONE, or a tensor of
 * an earlier call whose memory is written over if the new one has the same type and shape. Checks
 * the deadline. */
MUST_USE enum status op_subgraph(struct op_ctx *c, const struct graph *g,
                                 const struct value *inputs, size_t n, struct value *outputs,
                                 size_t m);

/* The context itself: set up by the executor, and by a unit test that calls one operator. Operators
 * use the functions above. */
struct op_env {
    struct threads *threads;
    enum status (*subgraph)(struct op_ctx *c, const struct graph *g, const struct value *inputs,
                            size_t n, struct value *outputs, size_t m);
    void *run;          /* the executor's */
    uint64_t max_trips; /* bound on iterations of one Loop or Scan */
};

enum op_shape_state { OP_SHAPE_KNOWN, OP_SHAPE_LATER, OP_SHAPE_IN_RUN };

struct op_ctx {
    const struct node *node;
    const struct value **in; /* in[i] NULL: left out; its tensor's data may be NULL in infer */
    const bool *in_constant; /* may be NULL: none is */
    bool *packed;            /* op_packed: in prepare only, may be NULL */
    struct value *out;       /* out[i].kind VALUE_NONE before infer */
    size_t in_count, out_count;
    enum op_shape_state state;
    struct arena *heap;    /* op_alloc */
    struct arena *scratch; /* op_scratch */
    struct arena *weights; /* op_weights_alloc: in prepare only */
    struct arena *graph;   /* op_state_new: in prepare only */
    const struct op_env *env;
    const char *bad_attribute; /* name of one that was asked for with another type */
    bool bad_type;             /* an input has a type that the operator does not take */
    int64_t opset;
    struct error *error;
};

#endif
