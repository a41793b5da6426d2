/* GridSample: the input read at coordinates from a grid, interpolated, for any number of spatial
 * dimensions.
 *
 * The rule, for each grid point: coordinates from -1..1 become pixels; for nearest they are rounded
 * (half to even); a coordinate past the border is brought back as padding_mode says; then every
 * pixel that interpolation asks for and that lies outside is 0, the nearest at the border, or its
 * mirror image. Coordinates are computed in double; values in float, or
 * in double for double and for whole numbers, where a fraction is cut off. */
#include "engine/ops/real.h"

#include <math.h>

enum mode { NEAREST, LINEAR, CUBIC };
enum padding { ZEROS, BORDER, REFLECTION };

#define SPATIAL_MAX 3
#define TAPS_MAX 4
#define CUBIC_A (-0.75)

struct options {
    enum mode mode;
    enum padding padding;
    bool align;
};

static enum status parse(struct op_ctx *c, struct options *o) {
    const struct str mode = op_attr_str(c, "mode", "linear");
    const struct str padding = op_attr_str(c, "padding_mode", "zeros");
    *o = (struct options){.align = op_attr_int(c, "align_corners", 0) != 0};
    if (str_is(mode, "nearest"))
        o->mode = NEAREST;
    else if (str_is(mode, "linear") || str_is(mode, "bilinear"))
        o->mode = LINEAR;
    else if (str_is(mode, "cubic") || str_is(mode, "bicubic"))
        o->mode = CUBIC;
    else
        return op_fail(c, "mode must be nearest, linear or cubic");
    if (str_is(padding, "zeros"))
        o->padding = ZEROS;
    else if (str_is(padding, "border"))
        o->padding = BORDER;
    else if (str_is(padding, "reflection"))
        o->padding = REFLECTION;
    else
        return op_fail(c, "padding_mode must be zeros, border or reflection");
    return STATUS_OK;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need_all(c, 2);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, DT_REAL | DT(BOOL));
    if (s == STATUS_OK)
        s = op_need_dtype(c, 1, DT_FLOATS);
    if (s == STATUS_OK)
        s = op_need_rank(c, 0, 3, 2 + SPATIAL_MAX);
    struct options o;
    if (s == STATUS_OK)
        s = parse(c, &o);
    if (s != STATUS_OK)
        return s;
    const struct tensor *x = op_in(c, 0), *grid = op_in(c, 1);
    const int n = x->rank - 2;
    if (grid->rank != x->rank || grid->dims[0] != x->dims[0] || grid->dims[n + 1] != n)
        return op_fail(c, "the grid must have %d dimensions, the first %lld, the last %d", x->rank,
                       (long long)x->dims[0], n);
    int64_t dims[TENSOR_MAX_RANK] = {x->dims[0], x->dims[1]};
    for (int d = 0; d < n; d++) {
        dims[2 + d] = grid->dims[1 + d];
        if (x->dims[2 + d] == 0)
            return op_fail(c, "dimension %d of the input is empty", 2 + d);
    }
    return op_infer(c, 0, x->dtype, x->rank, dims);
}

/* Mirrored at both borders as often as it takes. */
static double reflect(double x, double least, double most) {
    const double range = most - least;
    if (!(range > 0))
        return least;
    const double past = x < least ? least - x : x > most ? x - most : 0;
    if (past == 0)
        return x;
    const double times = floor(past / range), rest = past - times * range;
    const bool even = fmod(times, 2) == 0;
    return (x < least) == even ? least + rest : most - rest;
}

static double clamp(double x, double least, double most) {
    return x >= least ? (x <= most ? x : most) : least;
}

/* Pixels and weights along one dimension; index -1 is a zero. */
struct taps {
    size_t count;
    int64_t index[TAPS_MAX];
    double weight[TAPS_MAX];
};

static int64_t pixel(const struct options *o, double at, int64_t size) {
    const double last = (double)size - 1;
    if (at >= 0 && at <= last)
        return (int64_t)at;
    if (o->padding == ZEROS)
        return -1;
    if (o->padding == REFLECTION)
        at = o->align ? reflect(at, 0, last) : reflect(at, -0.5, last + 0.5);
    return (int64_t)clamp(trunc(at), 0, last);
}

static double cubic(double x) {
    x = fabs(x);
    if (x <= 1)
        return ((CUBIC_A + 2) * x - (CUBIC_A + 3)) * x * x + 1;
    return x < 2 ? ((CUBIC_A * x - 5 * CUBIC_A) * x + 8 * CUBIC_A) * x - 4 * CUBIC_A : 0;
}

static void find_taps(const struct options *o, double grid, int64_t size, struct taps *t) {
    const double last = (double)size - 1;
    double x = o->align ? (grid + 1) / 2 * last : ((grid + 1) * (double)size - 1) / 2;
    const double least = o->align ? 0 : -0.5, most = o->align ? last : last + 0.5;
    if (o->mode == NEAREST)
        x = rint(x);
    if (!isfinite(x)) {
        /* No place: nothing of the input, unless the border stands for all that is outside. */
        x = o->padding == ZEROS ? -8 : 0;
    } else if (!(x >= least && x <= most)) {
        if (o->padding == BORDER)
            x = clamp(x, 0, last);
        else if (o->padding == REFLECTION)
            x = reflect(x, least, most);
    }
    const double base = floor(x), ratio = x - base;
    t->count = o->mode == NEAREST ? 1 : o->mode == LINEAR ? 2 : 4;
    const double first = o->mode == CUBIC ? -1 : 0;
    for (size_t i = 0; i < t->count; i++) {
        const double offset = first + (double)i;
        t->weight[i] = o->mode == NEAREST  ? 1
                       : o->mode == LINEAR ? 1 - fabs(offset - ratio)
                                           : cubic(offset - ratio);
        t->index[i] = pixel(o, base + offset, size);
    }
    if (o->mode == NEAREST)
        t->index[0] = pixel(o, rint(x), size);
}

struct job {
    struct options o;
    int n;
    int64_t size[SPATIAL_MAX]; /* of the input */
    int64_t space, points, channels;
    const void *x;
    const float *grid; /* NULL where it is double */
    const double *grid_wide;
    void *y;
};

/* The weights of all taps of a point, multiplied out: index into a plane and weight, zeros left
 * out. Returns how many. */
static size_t flatten(const struct job *j, size_t point, int64_t *index, double *weight) {
    struct taps taps[SPATIAL_MAX];
    for (int d = 0; d < j->n; d++) {
        /* The grid gives x first, which is the last dimension. */
        const size_t at = point * (size_t)j->n + (size_t)(j->n - 1 - d);
        find_taps(&j->o, j->grid ? (double)j->grid[at] : j->grid_wide[at], j->size[d], &taps[d]);
    }
    size_t count = 1;
    index[0] = 0;
    weight[0] = 1;
    for (int d = 0; d < j->n; d++) {
        /* Grow in place from the back, so that nothing is overwritten before it is read. */
        const size_t each = taps[d].count;
        for (size_t i = count; i-- > 0;)
            for (size_t t = each; t-- > 0;) {
                const bool zero = index[i] < 0 || taps[d].index[t] < 0;
                const int64_t at = zero ? -1 : index[i] * j->size[d] + taps[d].index[t];
                const double w = weight[i] * taps[d].weight[t];
                index[i * each + t] = at;
                weight[i * each + t] = w;
            }
        count *= each;
    }
    size_t kept = 0;
    for (size_t i = 0; i < count; i++)
        if (index[i] >= 0) {
            index[kept] = index[i];
            weight[kept++] = weight[i];
        }
    return kept;
}

#define POINTS(suffix, type)                                                                       \
    static void points_##suffix(void *arg, size_t begin, size_t end) {                             \
        const struct job *j = arg;                                                                 \
        int64_t index[TAPS_MAX * TAPS_MAX * TAPS_MAX];                                             \
        double weight[TAPS_MAX * TAPS_MAX * TAPS_MAX];                                             \
        for (size_t p = begin; p < end; p++) {                                                     \
            const size_t kept = flatten(j, p, index, weight);                                      \
            const int64_t batch = (int64_t)p / j->points;                                          \
            const type *x = (const type *)j->x + batch * j->channels * j->space;                   \
            type *y = (type *)j->y + batch * j->channels * j->points + (int64_t)p % j->points;     \
            for (int64_t ch = 0; ch < j->channels; ch++, x += j->space, y += j->points) {          \
                double sum = 0;                                                                    \
                for (size_t i = 0; i < kept; i++)                                                  \
                    sum += weight[i] * (double)x[index[i]];                                        \
                *y = (type)sum;                                                                    \
            }                                                                                      \
        }                                                                                          \
    }
POINTS(f32, float)
POINTS(f64, double)

static enum status run_wide(struct op_ctx *c, struct job *j, size_t all) {
    const double *from = NULL;
    double *to = NULL;
    enum status s = real_in(c, 0, &from);
    if (s == STATUS_OK)
        s = real_out(c, 0, &to);
    if (s != STATUS_OK)
        return s;
    j->x = from;
    j->y = to;
    op_parallel(c, all, 64, points_f64, j);
    real_out_done(c, 0, to);
    return STATUS_OK;
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0), *grid = op_in(c, 1);
    struct tensor *y = op_out(c, 0);
    if (!y || y->count == 0)
        return STATUS_OK;
    struct job j = {.n = x->rank - 2,
                    .space = tensor_span(x, 2, x->rank),
                    .points = tensor_span(y, 2, y->rank),
                    .channels = x->dims[1]};
    memcpy(j.size, x->dims + 2, (size_t)j.n * sizeof *j.size);
    enum status s = parse(c, &j.o);
    if (s == STATUS_OK && grid->dtype == DTYPE_DOUBLE)
        j.grid_wide = grid->data;
    else if (s == STATUS_OK)
        s = op_in_f32(c, 1, &j.grid);
    const size_t all = (size_t)(x->dims[0] * j.points);
    if (s == STATUS_OK && x->dtype == DTYPE_DOUBLE) {
        j.x = x->data;
        j.y = y->data;
        op_parallel(c, all, 64, points_f64, &j);
        return STATUS_OK;
    }
    if (s == STATUS_OK && !dtype_is_float(x->dtype))
        return run_wide(c, &j, all);
    const float *from = NULL;
    float *to = NULL;
    if (s == STATUS_OK)
        s = op_pair_f32(c, &from, &to);
    if (s != STATUS_OK)
        return s;
    j.x = from;
    j.y = to;
    op_parallel(c, all, 64, points_f32, &j);
    op_out_f32_done(c, 0, to);
    return STATUS_OK;
}

const struct op_row op_family_grid_sample[] = {
    {.name = "GridSample", .since = 16, .infer = infer, .run = run},
    OP_END,
};
