/* What LSTM, GRU and RNN share: shapes, directions, sequence lengths, activations, weights.
 *
 * All three work alike: the input's part of every gate, for all time steps, is one large product;
 * then each step adds the product of the last hidden state with the recurrence weights. Directions
 * are independent and run side by side. Constant float32 weights are packed at load.
 *
 * Rows of X, and of its product, stay in the order the layout gives (recurrent_row), so nothing is
 * ever transposed. Everything is computed in float; double is narrowed on the way in. */
#ifndef ENGINE_OPS_RECURRENT_H
#define ENGINE_OPS_RECURRENT_H

#include "engine/ops/dense.h"

#define RECURRENT_DIRECTIONS 2
#define RECURRENT_ACTIVATIONS 3

enum recurrent_kind {
    RECURRENT_AFFINE,
    RECURRENT_RELU,
    RECURRENT_TANH,
    RECURRENT_SIGMOID,
    RECURRENT_LEAKY_RELU,
    RECURRENT_THRESHOLDED_RELU,
    RECURRENT_SCALED_TANH,
    RECURRENT_HARD_SIGMOID,
    RECURRENT_ELU,
    RECURRENT_SOFTSIGN,
    RECURRENT_SOFTPLUS,
};

struct recurrent_activation {
    enum recurrent_kind kind;
    float alpha, beta;
};

/* What tells the three operators apart: the `form` of their rows. */
struct recurrent_form {
    size_t gates;                                /* 4, 3, 1 */
    size_t activations;                          /* per direction: 3, 2, 1 */
    const char *defaults[RECURRENT_ACTIVATIONS]; /* their names */
    bool cell;    /* output 2 is the cell state, inputs 6 and 7 are initial_c and P */
    size_t split; /* gates of R in its first packed part; the others are the second. 0: one part */
};

struct recurrent {
    const struct recurrent_form *form;
    size_t dirs, seq, batch, input, hidden;
    bool batch_first; /* layout 1 */
    bool reverse[RECURRENT_DIRECTIONS];
    float clip; /* 0: none */
    struct recurrent_activation activations[RECURRENT_DIRECTIONS][RECURRENT_ACTIVATIONS];
};

struct recurrent_weights {
    struct dense w[RECURRENT_DIRECTIONS];
    struct dense r[RECURRENT_DIRECTIONS][2]; /* the second with k 0 where there is one part */
};

/* One run, as a step function sees it. Arrays of state are [dirs][batch][hidden]. */
struct recurrent_run {
    const struct recurrent *r;
    struct recurrent_weights weights;
    const float *x;
    const float *bias;  /* B as given, [dirs][2 * gates * hidden], or NULL */
    float *products;    /* X * W, [dirs][seq * batch][gates * hidden] */
    float *gates;       /* scratch, [dirs][batch][gates * hidden] */
    float *hidden;      /* state; initial_h at first */
    const int *lengths; /* per batch entry, 0..seq; NULL: all are seq */
    float *y;           /* output 0 as float, NULL where not wanted */
    struct threads *pool;
};

/* infer, pack_size and prepare of all three rows. */
MUST_USE enum status recurrent_infer(struct op_ctx *c);
size_t recurrent_pack_size(struct op_ctx *c);
MUST_USE enum status recurrent_prepare(struct op_ctx *c);

/* Reads everything, computes `products`; the bias is added by the caller's cell, not here. y is
 * zeroed where lengths differ. */
MUST_USE enum status recurrent_open(struct op_ctx *c, struct recurrent *r,
                                    struct recurrent_run *run);
/* A state input [dirs, batch, hidden] (layout 1: [batch, dirs, hidden]) as [dirs][batch][hidden]
 * in scratch; zeros where it is absent. */
MUST_USE enum status recurrent_state(struct op_ctx *c, const struct recurrent *r, size_t i,
                                     float **out);
/* Runs fn for each direction, side by side where the pool is not needed inside. */
typedef void recurrent_direction(void *arg, size_t direction);
void recurrent_each(struct op_ctx *c, const struct recurrent_run *run, recurrent_direction *fn,
                    void *arg);
/* Stores output 0 and the last hidden state as output 1. */
MUST_USE enum status recurrent_close(struct op_ctx *c, const struct recurrent_run *run);
/* Stores a state as output i. */
MUST_USE enum status recurrent_store(struct op_ctx *c, const struct recurrent *r, size_t i,
                                     const float *state);

/* Time step that batch entry b takes at step s of the direction; false past the entry's end. */
bool recurrent_time(const struct recurrent_run *run, size_t dir, size_t b, size_t s, size_t *t);
/* Row of X, and of products, for time t. */
static inline size_t recurrent_row(const struct recurrent *r, size_t t, size_t b) {
    return r->batch_first ? b * r->seq + t : t * r->batch + b;
}
/* Copies a hidden state of one batch entry to output 0. */
void recurrent_emit(const struct recurrent_run *run, size_t dir, size_t t, size_t b,
                    const float *hidden);

void recurrent_clip(float limit, float *x, size_t n);
void recurrent_activate(const struct recurrent_activation *a, float *x, size_t n);
/* By name (any case), with default parameters; false where there is none of that name. */
bool recurrent_activation_named(struct str name, struct recurrent_activation *out, bool *alpha,
                                bool *beta);

#endif
