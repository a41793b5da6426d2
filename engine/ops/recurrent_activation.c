/* The activations that LSTM, GRU and RNN may name. */
#include "engine/ops/fast_math.h"
#include "engine/ops/recurrent.h"

#include <strings.h>

struct named {
    const char *name;
    struct recurrent_activation a; /* with the specification's defaults */
    bool alpha, beta;              /* takes them */
};

static const struct named table[] = {
    {"Affine", {RECURRENT_AFFINE, 1.0f, 0.0f}, true, true},
    {"Relu", {RECURRENT_RELU, 0, 0}, false, false},
    {"Tanh", {RECURRENT_TANH, 0, 0}, false, false},
    {"Sigmoid", {RECURRENT_SIGMOID, 0, 0}, false, false},
    {"LeakyRelu", {RECURRENT_LEAKY_RELU, 0.01f, 0}, true, false},
    {"ThresholdedRelu", {RECURRENT_THRESHOLDED_RELU, 1.0f, 0}, true, false},
    {"ScaledTanh", {RECURRENT_SCALED_TANH, 1.0f, 1.0f}, true, true},
    {"HardSigmoid", {RECURRENT_HARD_SIGMOID, 0.2f, 0.5f}, true, true},
    {"Elu", {RECURRENT_ELU, 1.0f, 0}, true, false},
    {"Softsign", {RECURRENT_SOFTSIGN, 0, 0}, false, false},
    {"Softplus", {RECURRENT_SOFTPLUS, 0, 0}, false, false},
};

bool recurrent_activation_named(struct str name, struct recurrent_activation *out, bool *alpha,
                                bool *beta) {
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        if (strlen(table[i].name) == name.size &&
            strncasecmp(table[i].name, name.data, name.size) == 0) {
            *out = table[i].a;
            *alpha = table[i].alpha;
            *beta = table[i].beta;
            return true;
        }
    return false;
}

void recurrent_clip(float limit, float *x, size_t n) {
    if (limit <= 0)
        return;
    for (size_t i = 0; i < n; i++) {
        const float v = x[i] > limit ? limit : x[i];
        x[i] = v < -limit ? -limit : v;
    }
}

#define EACH(expression)                                                                           \
    for (size_t i = 0; i < n; i++) {                                                               \
        const float v = x[i];                                                                      \
        x[i] = (expression);                                                                       \
    }                                                                                              \
    break

void recurrent_activate(const struct recurrent_activation *f, float *x, size_t n) {
    const float a = f->alpha, b = f->beta;
    switch (f->kind) {
    case RECURRENT_AFFINE:
        EACH(a * v + b);
    case RECURRENT_RELU:
        EACH(v > 0 ? v : 0);
    case RECURRENT_TANH:
        fast_tanh(x, n);
        break;
    case RECURRENT_SIGMOID:
        fast_sigmoid(x, n);
        break;
    case RECURRENT_LEAKY_RELU:
        EACH(v >= 0 ? v : a * v);
    case RECURRENT_THRESHOLDED_RELU:
        EACH(v > a ? v : 0);
    case RECURRENT_SCALED_TANH:
        EACH(a * fast_tanhf(b * v));
    case RECURRENT_HARD_SIGMOID:
        EACH(fminf(1.0f, fmaxf(0.0f, a * v + b)));
    case RECURRENT_ELU:
        EACH(v >= 0 ? v : a * expm1f(v));
    case RECURRENT_SOFTSIGN:
        EACH(v / (1.0f + fabsf(v)));
    case RECURRENT_SOFTPLUS:
        EACH(v > 20.0f ? v : log1pf(expf(v)));
    }
}
