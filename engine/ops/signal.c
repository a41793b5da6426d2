/* DFT, STFT: transforms of a signal whose last dimension is 1 (real) or 2 (real and imaginary). */
#include "engine/ops/fft.h"
#include "engine/ops/op.h"
#include "engine/ops/real.h"

static enum status signal_check(struct op_ctx *c, int least) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, least, TENSOR_MAX_RANK);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t parts = x->dims[x->rank - 1];
    if (parts != 1 && parts != 2)
        return op_fail(c, "the last dimension is %lld, must be 1 (real) or 2 (complex)",
                       (long long)parts);
    return STATUS_OK;
}

static enum status plan_new(struct op_ctx *c, size_t n, bool inverse, struct fft *f, double **x) {
    size_t room = fft_room(n);
    double *memory = room ? op_scratch_array(c, room, sizeof *memory) : NULL;
    *x = room ? op_scratch_array(c, n, 2 * sizeof **x) : NULL;
    if (!memory || !*x)
        return op_no_memory(c);
    fft_init(f, n, inverse, memory);
    return STATUS_OK;
}

/* ---- DFT ---- */

struct dft {
    int axis;
    int64_t length, bins; /* of the transform; that are kept */
    bool real; /* backwards from the first half of a spectrum, whose other half mirrors it */
};

static enum status dft_of(struct op_ctx *c, struct dft *d) {
    const struct tensor *x = op_in(c, 0);
    int64_t axis = 1;
    enum status s = STATUS_OK;
    if (op_opset(c) < 20) {
        axis = op_attr_int(c, "axis", 1);
    } else if (op_in(c, 2)) {
        s = op_in_int(c, 2, &axis);
    } else {
        axis = -2;
    }
    if (s == STATUS_OK)
        s = op_axis(c, "axis", axis, x->rank, &d->axis);
    if (s == STATUS_OK && d->axis == x->rank - 1)
        return op_fail(c, "the axis is the last dimension, which holds the parts of a number");
    if (s != STATUS_OK)
        return s;
    d->real = op_attr_int(c, "onesided", 0) != 0 && op_attr_int(c, "inverse", 0) != 0;
    d->length = x->dims[d->axis];
    if (d->real)
        d->length = d->length < 2 ? 1 : 2 * (d->length - 1);
    if (op_in(c, 1))
        s = op_in_int(c, 1, &d->length);
    if (s == STATUS_OK && d->length < 1)
        return op_fail(c, "the length of the transform is %lld, must be at least 1",
                       (long long)d->length);
    d->bins = !d->real && op_attr_int(c, "onesided", 0) ? d->length / 2 + 1 : d->length;
    return s;
}

static enum status dft_infer(struct op_ctx *c) {
    struct dft d = {0};
    enum status s = signal_check(c, 2);
    if (s != STATUS_OK)
        return s;
    bool unknown = (op_in(c, 1) && !op_in(c, 1)->data) ||
                   (op_opset(c) >= 20 && op_in(c, 2) && !op_in(c, 2)->data);
    if (unknown)
        return op_infer_later(c);
    s = dft_of(c, &d);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0);
    int64_t dims[TENSOR_MAX_RANK];
    for (int i = 0; i < x->rank; i++)
        dims[i] = i == d.axis ? d.bins : i == x->rank - 1 ? 2 - d.real : x->dims[i];
    return op_infer(c, 0, x->dtype, x->rank, dims);
}

/* The second half of the spectrum of a real signal: the conjugate of the first. */
static void mirror(double *line, size_t length) {
    for (size_t k = length / 2 + 1; k < length; k++) {
        line[2 * k] = line[2 * (length - k)];
        line[2 * k + 1] = -line[2 * (length - k) + 1];
    }
}

static enum status dft_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct dft d = {0};
    struct fft f;
    const double *from = NULL;
    double *line = NULL, *to = NULL;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = dft_of(c, &d);
    if (s == STATUS_OK)
        s = plan_new(c, (size_t)d.length, op_attr_int(c, "inverse", 0) != 0, &f, &line);
    if (s == STATUS_OK)
        s = real_in(c, 0, &from);
    if (s == STATUS_OK)
        s = real_out(c, 0, &to);
    if (s != STATUS_OK)
        return s;
    size_t parts = (size_t)x->dims[x->rank - 1], dim = (size_t)x->dims[d.axis];
    size_t inner = (size_t)tensor_span(x, d.axis + 1, x->rank - 1), bins = (size_t)d.bins;
    size_t length = (size_t)d.length, width = d.real ? 1 : 2,
           lines = (size_t)y->count / width / bins;
    for (size_t i = 0; i < lines; i++) {
        const double *x_line = from + (i / inner * dim * inner + i % inner) * parts;
        double *y_line = to + (i / inner * bins * inner + i % inner) * width;
        for (size_t k = 0; k < length; k++) { /* cut, or filled up with zeros */
            line[2 * k] = k < dim ? x_line[k * inner * parts] : 0;
            line[2 * k + 1] = k < dim && parts == 2 ? x_line[k * inner * parts + 1] : 0;
        }
        if (d.real)
            mirror(line, length);
        fft_run(&f, line);
        for (size_t k = 0; k < bins; k++)
            memcpy(y_line + k * inner * width, line + 2 * k, width * sizeof *line);
    }
    real_out_done(c, 0, to);
    return STATUS_OK;
}

/* ---- STFT: frames of the signal, each times the window and transformed ---- */

struct stft {
    int64_t step, length, frames, bins;
};

static enum status stft_of(struct op_ctx *c, struct stft *q) {
    const struct tensor *x = op_in(c, 0), *window = op_in(c, 2);
    enum status s = op_in_int(c, 1, &q->step);
    q->length = window ? window->count : 0;
    if (s == STATUS_OK && op_in(c, 3))
        s = op_in_int(c, 3, &q->length);
    if (s != STATUS_OK)
        return s;
    if (q->step < 1 || q->length < 1)
        return op_fail(c, "frames of %lld, %lld apart: both must be at least 1",
                       (long long)q->length, (long long)q->step);
    if (window && window->count != q->length)
        return op_fail(c, "the window has %lld elements, a frame %lld: must be as many",
                       (long long)window->count, (long long)q->length);
    int64_t n = x->dims[1];
    q->frames = n < q->length ? 0 : (n - q->length) / q->step + 1;
    q->bins = op_attr_int(c, "onesided", 1) ? q->length / 2 + 1 : q->length;
    return STATUS_OK;
}

static enum status stft_infer(struct op_ctx *c) {
    struct stft q = {0};
    enum status s = signal_check(c, 2);
    if (s == STATUS_OK)
        s = op_need(c, 1);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 3, 3);
    if (s == STATUS_OK)
        s = op_need_rank(c, 2, 1, 1);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 2, DT_FLOATS);
    if (s != STATUS_OK)
        return s;
    if (!op_in(c, 1)->data || (op_in(c, 3) && !op_in(c, 3)->data))
        return op_infer_later(c);
    s = stft_of(c, &q);
    if (s == STATUS_OK)
        s = op_infer(c, 0, op_in(c, 0)->dtype, 4,
                     (int64_t[]){op_in(c, 0)->dims[0], q.frames, q.bins, 2});
    return s;
}

static enum status stft_run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *y = op_out(c, 0);
    struct stft q = {0};
    struct fft f;
    const double *from = NULL, *window = NULL;
    double *line = NULL, *to = NULL;
    if (!y || y->count == 0)
        return STATUS_OK;
    enum status s = stft_of(c, &q);
    if (s == STATUS_OK)
        s = plan_new(c, (size_t)q.length, false, &f, &line);
    if (s == STATUS_OK)
        s = real_in(c, 0, &from);
    if (s == STATUS_OK && op_in(c, 2))
        s = real_in(c, 2, &window);
    if (s == STATUS_OK)
        s = real_out(c, 0, &to);
    if (s != STATUS_OK)
        return s;
    size_t parts = (size_t)x->dims[2], n = (size_t)x->dims[1], bins = (size_t)q.bins;
    size_t frames = (size_t)q.frames, length = (size_t)q.length;
    for (size_t i = 0; i < (size_t)x->dims[0] * frames; i++) {
        const double *frame = from + (i / frames * n + i % frames * (size_t)q.step) * parts;
        for (size_t k = 0; k < length; k++) {
            double w = window ? window[k] : 1;
            line[2 * k] = w * frame[k * parts];
            line[2 * k + 1] = parts == 2 ? w * frame[k * parts + 1] : 0;
        }
        fft_run(&f, line);
        memcpy(to + i * 2 * bins, line, 2 * bins * sizeof *to);
    }
    real_out_done(c, 0, to);
    return STATUS_OK;
}

const struct op_row op_family_signal[] = {
    {.name = "DFT", .since = 17, .infer = dft_infer, .run = dft_run},
    {.name = "STFT", .since = 17, .infer = stft_infer, .run = stft_run},
    OP_END,
};
