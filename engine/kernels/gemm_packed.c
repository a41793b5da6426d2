#include "engine/kernels/gemm_packed.h"

#include "base/checked.h"

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

/* The tile of the kernel, largest of all: 8 rows of 32 columns. */
#define TILE_MAX ((size_t)8 * 32)
#define ROWS_A_UNIT 4                /* row tiles that one piece of work covers */
#define SPLIT_WORK ((size_t)1 << 16) /* multiply-adds worth giving to another thread */

/* tile[r][c] = sum over k of a[r * a_row + k * a_step] * b[k * b_step + c], for r < rows and all
 * `columns` of the kernel; tile rows are `columns` apart. */
typedef void tile_fn(size_t rows, size_t k, const float *a, size_t a_row, size_t a_step,
                     const float *b, size_t b_step, float *tile);

/* The same for all rows of a packed panel and half the columns, one vector, of a wide tile. */
typedef void half_fn(size_t k, const float *panel, const float *b, size_t b_step, float *tile);

struct kernel {
    const char *name;
    size_t rows, columns; /* of a tile: also the widths of the packed panels */
    tile_fn *tile;
    half_fn *half;
};

/* TILE(suffix, target, lanes, rows): a family of inlined bodies with a constant row count, and the
 * switch over them. Two vectors wide; unaligned loads, since B may be an activation. */
#define TILE(suffix, target_attribute, lanes)                                                      \
    typedef float suffix##_v __attribute__((vector_size(lanes * 4)));                              \
    typedef float suffix##_u __attribute__((vector_size(lanes * 4), aligned(4)));                  \
    target_attribute static inline __attribute__((always_inline)) void suffix##_rows(              \
        const size_t rows, size_t k, const float *a, size_t a_row, size_t a_step, const float *b,  \
        size_t b_step, float *tile) {                                                              \
        suffix##_v sum[8][2] = {{{0}}};                                                            \
        for (size_t at = 0; at < k; at++) {                                                        \
            const suffix##_v left = *(const suffix##_u *)b,                                        \
                             right = *(const suffix##_u *)(b + lanes);                             \
            _Pragma("GCC unroll 8") for (size_t r = 0; r < rows; r++) {                            \
                const float x = a[r * a_row];                                                      \
                sum[r][0] += x * left;                                                             \
                sum[r][1] += x * right;                                                            \
            }                                                                                      \
            a += a_step;                                                                           \
            b += b_step;                                                                           \
        }                                                                                          \
        _Pragma("GCC unroll 8") for (size_t r = 0; r < rows; r++) {                                \
            *(suffix##_u *)(tile + r * 2 * lanes) = sum[r][0];                                     \
            *(suffix##_u *)(tile + r * 2 * lanes + lanes) = sum[r][1];                             \
        }                                                                                          \
    }

/* HALF(suffix, target, lanes, rows): uses the types of TILE. */
#define HALF(suffix, target_attribute, lanes, panel_rows)                                          \
    target_attribute static void suffix##_half(size_t k, const float *panel, const float *b,       \
                                               size_t b_step, float *tile) {                       \
        suffix##_v sum[panel_rows] = {{0}};                                                        \
        for (size_t at = 0; at < k; at++) {                                                        \
            const suffix##_v x = *(const suffix##_u *)b;                                           \
            _Pragma("GCC unroll 8") for (size_t r = 0; r < panel_rows; r++) sum[r] +=              \
                panel[r] * x;                                                                      \
            panel += panel_rows;                                                                   \
            b += b_step;                                                                           \
        }                                                                                          \
        _Pragma("GCC unroll 8") for (size_t r = 0; r < panel_rows; r++) *                          \
            (suffix##_u *)(tile + r * 2 * lanes) = sum[r];                                         \
    }

#define ROW_CASE(suffix, n)                                                                        \
    case n:                                                                                        \
        suffix##_rows(n, k, a, a_row, a_step, b, b_step, tile);                                    \
        break;

#define TILE_PARAMETERS                                                                            \
    size_t rows, size_t k, const float *a, size_t a_row, size_t a_step, const float *b,            \
        size_t b_step, float *tile

#define NO_TARGET
TILE(generic, NO_TARGET, 4)
HALF(generic, NO_TARGET, 4, 4)

static void gemm_f32_4x8_generic(TILE_PARAMETERS) {
    switch (rows) {
        ROW_CASE(generic, 1)
        ROW_CASE(generic, 2)
        ROW_CASE(generic, 3)
    default:
        generic_rows(4, k, a, a_row, a_step, b, b_step, tile);
    }
}

static const struct kernel kernel_generic = {"gemm_f32_4x8_generic", 4, 8, gemm_f32_4x8_generic,
                                             generic_half};

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma")))
TILE(avx2, AVX2, 8)
TILE(avx512, AVX512, 16)
HALF(avx2, AVX2, 8, 4)
HALF(avx512, AVX512, 16, 8)

AVX2 static void gemm_f32_4x16_avx2(TILE_PARAMETERS) {
    switch (rows) {
        ROW_CASE(avx2, 1)
        ROW_CASE(avx2, 2)
        ROW_CASE(avx2, 3)
    default:
        avx2_rows(4, k, a, a_row, a_step, b, b_step, tile);
    }
}

AVX512 static void gemm_f32_8x32_avx512(TILE_PARAMETERS) {
    switch (rows) {
        ROW_CASE(avx512, 1)
        ROW_CASE(avx512, 2)
        ROW_CASE(avx512, 3)
        ROW_CASE(avx512, 4)
        ROW_CASE(avx512, 5)
        ROW_CASE(avx512, 6)
        ROW_CASE(avx512, 7)
    default:
        avx512_rows(8, k, a, a_row, a_step, b, b_step, tile);
    }
}

static const struct kernel kernel_avx2 = {"gemm_f32_4x16_avx2", 4, 16, gemm_f32_4x16_avx2,
                                          avx2_half};
static const struct kernel kernel_avx512 = {"gemm_f32_8x32_avx512", 8, 32, gemm_f32_8x32_avx512,
                                            avx512_half};
#endif

static const struct kernel *best(void) {
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq"))
        return &kernel_avx512;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return &kernel_avx2;
#endif
    return &kernel_generic;
}

/* Whole numbers, so that every order of summation gives the same: any difference is a fault of the
 * processor, the compiler or ours. */
static bool is_right(const struct kernel *k) {
    float a[8 * 5], b[5 * 32], tile[TILE_MAX];
    for (size_t i = 0; i < sizeof a / sizeof *a; i++)
        a[i] = (float)(i * 7 % 11) - 5;
    for (size_t i = 0; i < sizeof b / sizeof *b; i++)
        b[i] = (float)(i * 5 % 13) - 6;
    for (size_t rows = 1; rows <= k->rows; rows++) {
        k->tile(rows, 5, a, 5, 1, b, k->columns, tile);
        for (size_t r = 0; r < rows; r++)
            for (size_t c = 0; c < k->columns; c++) {
                float sum = 0;
                for (size_t at = 0; at < 5; at++)
                    sum += a[r * 5 + at] * b[at * k->columns + c];
                if (tile[r * k->columns + c] != sum)
                    return false;
            }
    }
    k->half(5, a, b, k->columns, tile);
    for (size_t r = 0; r < k->rows; r++)
        for (size_t c = 0; c < k->columns / 2; c++) {
            float sum = 0;
            for (size_t at = 0; at < 5; at++)
                sum += a[at * k->rows + r] * b[at * k->columns + c];
            if (tile[r * k->columns + c] != sum)
                return false;
        }
    return true;
}

/* The kernel for this processor, checked once before its first use. Two threads may both check;
 * they find the same. */
static const struct kernel *chosen(void) {
    static const struct kernel *_Atomic current;
    const struct kernel *k = atomic_load_explicit(&current, memory_order_acquire);
    if (k)
        return k;
    k = best();
    if (!is_right(k))
        k = &kernel_generic;
    atomic_store_explicit(&current, k, memory_order_release);
    return k;
}

const char *gemm_packed_kernel(void) {
    return chosen()->name;
}

/* ---- packing: panels of `width` rows or columns, zero-padded, k-major inside ---- */

static size_t panels(size_t n, size_t width) {
    return n / width + (n % width != 0);
}

static size_t packed_size(size_t n, size_t k, size_t width) {
    size_t bytes = 0;
    if (!checked_mul(panels(n, width), width, &bytes) || !checked_mul(bytes, k, &bytes) ||
        !checked_mul(bytes, sizeof(float), &bytes))
        return 0;
    return bytes;
}

/* Element (i, at) of the packed side, i over n and at over k, lies at w[i * i_step + at * k_step].
 */
static void pack(size_t n, size_t k, size_t width, const float *w, size_t i_step, size_t k_step,
                 float *packed) {
    for (size_t first = 0; first < n; first += width) {
        size_t have = n - first < width ? n - first : width;
        for (size_t at = 0; at < k; at++, packed += width)
            for (size_t i = 0; i < width; i++)
                packed[i] = i < have ? w[(first + i) * i_step + at * k_step] : 0.0f;
    }
}

size_t gemm_packed_right_size(size_t k, size_t n) {
    return packed_size(n, k, chosen()->columns);
}

size_t gemm_packed_left_size(size_t m, size_t k) {
    return packed_size(m, k, chosen()->rows);
}

void gemm_packed_right_pack(size_t k, size_t n, const float *w, size_t ldw, bool transposed,
                            float *packed) {
    pack(n, k, chosen()->columns, w, transposed ? ldw : 1, transposed ? 1 : ldw, packed);
}

void gemm_packed_left_pack(size_t m, size_t k, const float *w, size_t ldw, bool transposed,
                           float *packed) {
    pack(m, k, chosen()->rows, w, transposed ? 1 : ldw, transposed ? ldw : 1, packed);
}

/* ---- products ---- */

struct job {
    const struct kernel *kernel;
    const struct gemm_packed_shape *g;
    const float *in, *packed, *bias;
    float *c;
    size_t row_units; /* pieces that the rows are cut into, for each panel of columns */
};

/* tile[0..rows) x columns [skip, skip + columns) into C at (row, column). */
static void store(const struct job *j, const float *tile, size_t stride, size_t rows,
                  size_t columns, size_t skip, size_t row, size_t column, bool bias_by_row) {
    for (size_t r = 0; r < rows; r++) {
        const float *from = tile + r * stride + skip;
        float *to = j->c + (row + r) * j->g->ldc + column;
        if (j->g->accumulate)
            for (size_t i = 0; i < columns; i++)
                to[i] += from[i];
        else
            memcpy(to, from, columns * sizeof *to);
        if (j->bias && bias_by_row) {
            const float b = j->bias[row + r];
            for (size_t i = 0; i < columns; i++)
                to[i] += b;
        } else if (j->bias) {
            for (size_t i = 0; i < columns; i++)
                to[i] += j->bias[column + i];
        }
    }
}

static size_t least(size_t a, size_t b) {
    return a < b ? a : b;
}

static void right_range(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct gemm_packed_shape *g = j->g;
    const size_t mr = j->kernel->rows, nr = j->kernel->columns;
    float tile[TILE_MAX];
    for (size_t unit = begin; unit < end; unit++) {
        size_t column = unit / j->row_units * nr;
        size_t row = unit % j->row_units * mr * ROWS_A_UNIT;
        size_t last = least(g->m, row + mr * ROWS_A_UNIT);
        const float *panel = j->packed + column * g->k;
        for (; row < last; row += mr) {
            size_t rows = least(mr, last - row);
            j->kernel->tile(rows, g->k, j->in + row * g->ld_in, g->ld_in, 1, panel, nr, tile);
            store(j, tile, nr, rows, least(nr, g->n - column), 0, row, column, false);
        }
    }
}

/* Dot products of one column of B with all rows of a packed panel: rows are the lanes, and four
 * sums side by side hide the latency of the additions. */
#define NARROW(rows)                                                                               \
    static void narrow_##rows(const float *panel, const float *b, size_t b_step, size_t k,         \
                              float *out) {                                                        \
        typedef float lanes __attribute__((vector_size(rows * 4)));                                \
        typedef float loose __attribute__((vector_size(rows * 4), aligned(4)));                    \
        lanes sum[4] = {{0}};                                                                      \
        size_t at = 0;                                                                             \
        for (; at + 4 <= k; at += 4)                                                               \
            for (size_t i = 0; i < 4; i++)                                                         \
                sum[i] += *(const loose *)(panel + (at + i) * rows) * b[(at + i) * b_step];        \
        for (; at < k; at++)                                                                       \
            sum[0] += *(const loose *)(panel + at * rows) * b[at * b_step];                        \
        *(loose *)out = (sum[0] + sum[1]) + (sum[2] + sum[3]);                                     \
    }
NARROW(4)
NARROW(8)

/* Fewer columns than a tile has. */
static void narrow_columns(const struct job *j, const float *panel, size_t column, size_t columns,
                           float *tile) {
    const struct gemm_packed_shape *g = j->g;
    const size_t mr = j->kernel->rows, nr = j->kernel->columns;
    for (size_t c = 0; c < columns; c++) {
        float sum[8];
        const float *b = j->in + column + c;
        if (mr == 8)
            narrow_8(panel, b, g->ld_in, g->k, sum);
        else
            narrow_4(panel, b, g->ld_in, g->k, sum);
        for (size_t r = 0; r < mr; r++)
            tile[r * nr + c] = sum[r];
    }
}

/* At least half the columns of a tile, and not all: two vectors, which overlap in the middle. */
static void half_columns(const struct job *j, const float *panel, float *tile) {
    const struct gemm_packed_shape *g = j->g;
    const size_t lanes = j->kernel->columns / 2, second = g->n - lanes;
    j->kernel->half(g->k, panel, j->in, g->ld_in, tile);
    if (second)
        j->kernel->half(g->k, panel, j->in + second, g->ld_in, tile + second);
}

static void left_range(void *arg, size_t begin, size_t end) {
    const struct job *j = arg;
    const struct gemm_packed_shape *g = j->g;
    const size_t mr = j->kernel->rows, nr = j->kernel->columns;
    float tile[TILE_MAX];
    for (size_t unit = begin; unit < end; unit++) {
        size_t column = unit / j->row_units * nr;
        size_t row = unit % j->row_units * mr * ROWS_A_UNIT;
        size_t last = least(g->m, row + mr * ROWS_A_UNIT), columns = least(nr, g->n - column);
        /* The last strip reads whole vectors by starting earlier: what it computes twice is not
         * stored twice. */
        size_t skip = columns < nr && g->n >= nr ? nr - columns : 0;
        for (; row < last; row += mr) {
            const float *panel = j->packed + row * g->k;
            if (g->n < nr / 2)
                narrow_columns(j, panel, column, columns, tile);
            else if (g->n < nr)
                half_columns(j, panel, tile);
            else
                j->kernel->tile(mr, g->k, panel, 1, mr, j->in + column - skip, g->ld_in, tile);
            store(j, tile, nr, least(mr, last - row), columns, skip, row, column, true);
        }
    }
}

static void run(struct threads *pool, struct job *j, threads_fn *range) {
    const struct gemm_packed_shape *g = j->g;
    j->kernel = chosen();
    if (g->m == 0 || g->n == 0)
        return;
    j->row_units = panels(g->m, j->kernel->rows * ROWS_A_UNIT);
    size_t work = j->kernel->rows * ROWS_A_UNIT * j->kernel->columns * (g->k + 1);
    threads_for(pool, panels(g->n, j->kernel->columns) * j->row_units, SPLIT_WORK / work + 1, range,
                j);
}

void gemm_packed_right(struct threads *pool, const struct gemm_packed_shape *g, const float *a,
                       const float *packed, const float *bias, float *c) {
    struct job j = {.g = g, .in = a, .packed = packed, .bias = bias, .c = c};
    run(pool, &j, right_range);
}

void gemm_packed_left(struct threads *pool, const struct gemm_packed_shape *g, const float *packed,
                      const float *b, const float *bias, float *c) {
    struct job j = {.g = g, .in = b, .packed = packed, .bias = bias, .c = c};
    run(pool, &j, left_range);
}
