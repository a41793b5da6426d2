/* HannWindow, HammingWindow, BlackmanWindow, MelWeightMatrix: tables made from a few numbers. */
#include "engine/ops/indices.h"
#include "engine/ops/op.h"
#include "engine/ops/real.h"

#include <math.h>

#define PI 3.14159265358979323846
#define BINS_MAX (1 << 24)

/* ---- windows: a0 - a1 cos(2 pi k / n) + a2 cos(4 pi k / n) ---- */

static enum status window_infer(struct op_ctx *c) {
    enum dtype type = DTYPE_NONE;
    int64_t size = 0;
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, INDEX_TYPES);
    if (s == STATUS_OK)
        s = op_attr_dtype(c, "output_datatype", DTYPE_FLOAT, DT_REAL, &type);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 0)->data)
        return op_infer_later(c);
    s = op_in_int(c, 0, &size);
    if (s == STATUS_OK && size < 0)
        return op_fail(c, "the size is %lld, must not be negative", (long long)size);
    return s == STATUS_OK ? op_infer(c, 0, type, 1, &size) : s;
}

static enum status window_run(struct op_ctx *c, double a0, double a1, double a2) {
    struct tensor *y = op_out(c, 0);
    if (!y)
        return STATUS_OK;
    int64_t n = op_attr_int(c, "periodic", 1) ? y->count : y->count - 1;
    for (int64_t k = 0; k < y->count; k++) {
        double t = n > 0 ? 2 * PI * (double)k / (double)n : PI; /* one point: the middle */
        real_put(y, k, a0 - a1 * cos(t) + a2 * cos(2 * t));
    }
    return STATUS_OK;
}

static enum status hann_run(struct op_ctx *c) {
    return window_run(c, 0.5, 0.5, 0);
}
static enum status hamming_run(struct op_ctx *c) {
    return window_run(c, 25.0 / 46.0, 21.0 / 46.0, 0);
}
static enum status blackman_run(struct op_ctx *c) {
    return window_run(c, 0.42, 0.5, 0.08);
}

/* ---- MelWeightMatrix: triangles evenly apart on the mel scale, over the bins of a DFT ---- */

struct mel {
    int64_t bands, bins, length, rate;
    double low, high;
};

static enum status mel_of(struct op_ctx *c, struct mel *m) {
    enum status s = op_in_int(c, 0, &m->bands);
    if (s == STATUS_OK)
        s = op_in_int(c, 1, &m->length);
    if (s == STATUS_OK)
        s = op_in_int(c, 2, &m->rate);
    if (s == STATUS_OK)
        s = op_in_double(c, 3, &m->low);
    if (s == STATUS_OK)
        s = op_in_double(c, 4, &m->high);
    if (s != STATUS_OK)
        return s;
    if (m->bands < 0 || m->bands > BINS_MAX || m->length < 0 || m->length > BINS_MAX ||
        m->rate < 1 || !(m->low >= 0) || !(m->high >= m->low) || !isfinite(m->high))
        return op_fail(c, "%lld bands from %g to %g Hz of %lld samples at %lld Hz cannot be made",
                       (long long)m->bands, m->low, m->high, (long long)m->length,
                       (long long)m->rate);
    m->bins = m->length / 2 + 1;
    return STATUS_OK;
}

static enum status mel_infer(struct op_ctx *c) {
    enum dtype type = DTYPE_NONE;
    struct mel m = {0};
    enum status s = op_need_all(c, 5);
    if (s == STATUS_OK)
        s = op_attr_dtype(c, "output_datatype", DTYPE_FLOAT, DT_REAL, &type);
    if (s != STATUS_OK)
        return s;
    for (size_t i = 0; i < 5; i++)
        if (!op_in(c, i)->data)
            return op_infer_later(c);
    s = mel_of(c, &m);
    return s == STATUS_OK ? op_infer(c, 0, type, 2, (int64_t[]){m.bins, m.bands}) : s;
}

/* Bin of the DFT where edge k of the bands lies. */
static int64_t mel_edge(const struct mel *m, int64_t k) {
    double low = 2595 * log10(1 + m->low / 700), high = 2595 * log10(1 + m->high / 700);
    double mel = low + (double)k * (high - low) / (double)(m->bands + 2);
    double hertz = 700 * (pow(10, mel / 2595) - 1);
    return index_from_double(floor((double)(m->length + 1) * hertz / (double)m->rate));
}

static enum status mel_run(struct op_ctx *c) {
    struct tensor *y = op_out(c, 0);
    struct mel m = {0};
    if (!y)
        return STATUS_OK;
    enum status s = mel_of(c, &m);
    if (s != STATUS_OK)
        return s;
    memset(y->data, 0, y->bytes);
    for (int64_t i = 0; i < m.bands; i++) {
        int64_t left = mel_edge(&m, i), middle = mel_edge(&m, i + 1), right = mel_edge(&m, i + 2);
        if (right > m.bins || middle >= m.bins)
            return op_fail(c, "band %lld reaches past half of the sample rate", (long long)i);
        if (middle == left)
            real_put(y, middle * m.bands + i, 1);
        for (int64_t k = left; middle > left && k <= middle; k++)
            real_put(y, k * m.bands + i, (double)(k - left) / (double)(middle - left));
        for (int64_t k = middle; right > middle && k < right; k++)
            real_put(y, k * m.bands + i, (double)(right - k) / (double)(right - middle));
    }
    return STATUS_OK;
}

const struct op_row op_family_signal_window[] = {
    {.name = "HannWindow", .since = 17, .infer = window_infer, .run = hann_run},
    {.name = "HammingWindow", .since = 17, .infer = window_infer, .run = hamming_run},
    {.name = "BlackmanWindow", .since = 17, .infer = window_infer, .run = blackman_run},
    {.name = "MelWeightMatrix", .since = 17, .infer = mel_infer, .run = mel_run},
    OP_END,
};
