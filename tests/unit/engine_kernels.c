#include "engine/kernels/gemm.h"
#include "engine/kernels/gemm_packed.h"
#include "engine/model/half.h"
#include "engine/model/layout.h"
#include "tests/unit/engine_model.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static unsigned seed = 1;

static float noise(void) {
    seed = seed * 1103515245u + 12345u;
    return (float)(seed >> 8 & 0xffff) / 32768.0f - 1.0f;
}

static float *noise_array(size_t n) {
    float *p = malloc((n ? n : 1) * sizeof *p);
    for (size_t i = 0; i < n; i++)
        p[i] = noise();
    return p;
}

/* ---- packed products against the definition, in double ---- */

struct shape {
    size_t m, n, k;
};

/* Edges of every tile: 1, just below, at, and just above 4, 8, 16, 32. */
static const struct shape shapes[] = {
    {1, 1, 1},   {1, 33, 7},   {2, 31, 64}, {3, 8, 1},   {4, 16, 5}, {7, 32, 9},   {8, 32, 100},
    {9, 33, 17}, {33, 65, 40}, {5, 100, 0}, {64, 7, 30}, {65, 5, 3}, {31, 64, 31}, {100, 49, 27}};

static double product(const float *a, const float *b, size_t i, size_t j, size_t k, size_t lda,
                      size_t b_row, size_t b_column) {
    double sum = 0;
    for (size_t at = 0; at < k; at++)
        sum += (double)a[i * lda + at] * (double)b[at * b_row + j * b_column];
    return sum;
}

static void check_packed(struct threads *pool, struct shape s, bool right, bool transposed,
                         bool accumulate) {
    /* Leading dimensions larger than needed, so that a wrong stride shows. */
    size_t lda = s.k + 3, ldb = s.n + 5, ldc = s.n + 2;
    float *a = noise_array(s.m * lda), *b = noise_array((s.k + 1) * ldb);
    float *c = noise_array(s.m * ldc), *bias = noise_array(right ? s.n : s.m);
    float *before = malloc(s.m * ldc * sizeof *before);
    memcpy(before, c, s.m * ldc * sizeof *before);
    const float *weight = right ? b : a;
    size_t rows = right ? s.k : s.m, columns = right ? s.n : s.k, ld = right ? ldb : lda;
    float *turned = malloc((rows * columns + 1) * sizeof *turned);
    for (size_t i = 0; transposed && i < rows; i++)
        for (size_t j = 0; j < columns; j++)
            turned[j * rows + i] = weight[i * ld + j];
    size_t bytes = right ? gemm_packed_right_size(s.k, s.n) : gemm_packed_left_size(s.m, s.k);
    float *packed = aligned_alloc(64, (bytes + 64) / 64 * 64);
    if (right)
        gemm_packed_right_pack(s.k, s.n, transposed ? turned : b, transposed ? rows : ldb,
                               transposed, packed);
    else
        gemm_packed_left_pack(s.m, s.k, transposed ? turned : a, transposed ? rows : lda,
                              transposed, packed);
    const struct gemm_packed_shape g = {s.m, s.n, s.k, right ? lda : ldb, ldc, accumulate};
    if (right)
        gemm_packed_right(pool, &g, a, packed, bias, c);
    else
        gemm_packed_left(pool, &g, packed, b, bias, c);
    for (size_t i = 0; i < s.m; i++)
        for (size_t j = 0; j < ldc; j++) {
            float was = before[i * ldc + j], is = c[i * ldc + j];
            double want = (double)was;
            if (j < s.n)
                want = product(a, b, i, j, s.k, lda, ldb, 1) + (double)(right ? bias[j] : bias[i]) +
                       (accumulate ? (double)was : 0);
            cr_assert_float_eq((double)is, want, 1e-4, "%s %zux%zux%zu at %zu,%zu: %g not %g",
                               right ? "right" : "left", s.m, s.n, s.k, i, j, (double)is, want);
        }
    free(a);
    free(b);
    free(c);
    free(bias);
    free(before);
    free(turned);
    free(packed);
}

Test(kernels, packed_products_are_right_at_every_edge) {
    struct threads *pool = NULL;
    cr_assert_eq(threads_new(3, &pool, NULL), STATUS_OK);
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        for (int way = 0; way < 8; way++)
            check_packed(way & 1 ? pool : NULL, shapes[i], (way & 1) != 0, (way & 2) != 0,
                         (way & 4) != 0);
    check_packed(pool, (struct shape){130, 200, 150}, true, false, false);
    check_packed(pool, (struct shape){130, 200, 150}, false, false, false);
    threads_free(pool);
    cr_expect_eq(gemm_packed_right_size(SIZE_MAX / 2, 100), 0, "an overflow of sizes");
    cr_expect_eq(strncmp(gemm_packed_kernel(), "gemm_f32_", 9), 0);
}

Test(kernels, products_of_activations_are_right) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct shape s = shapes[i];
        float *a = noise_array(s.m * s.k), *b = noise_array(s.k * s.n), *c = noise_array(s.m * s.n);
        for (int way = 0; way < 2; way++) {
            bool turn = way == 1;
            const struct gemm_shape g = {
                false, turn, s.m, s.n, s.k, s.k ? s.k : 1, turn ? (s.k ? s.k : 1) : s.n, s.n};
            gemm_f32(&g, 2, a, b, 0, c);
            for (size_t r = 0; r < s.m; r++)
                for (size_t j = 0; j < s.n; j++)
                    cr_assert_float_eq(
                        (double)c[r * s.n + j],
                        2 * product(a, b, r, j, s.k, s.k, turn ? 1 : s.n, turn ? s.k : 1), 1e-4);
        }
        free(a);
        free(b);
        free(c);
    }
}

/* Heads of attention and tiles of a convolution are products side by side. What is shared between
 * the calls shows only now and then, so there are many. */
enum { SIDE = 64, INNER = 320, PRODUCTS = 20000 };

struct side_by_side {
    const float *a, *b, *expected;
    atomic_int wrong;
};

static void one_product(void *arg, size_t begin, size_t end) {
    struct side_by_side *s = arg;
    const struct gemm_shape g = gemm_shape_of(SIDE, SIDE, INNER, false, false);
    float c[SIDE * SIDE];
    for (size_t i = begin; i < end; i++) {
        gemm_f32(&g, 1, s->a, s->b, 0, c);
        for (size_t k = 0; k < SIDE * SIDE; k++)
            if (!(fabsf(c[k] - s->expected[k]) < 1e-3f)) {
                atomic_fetch_add(&s->wrong, 1);
                break;
            }
    }
}

Test(kernels, products_side_by_side_do_not_meet) {
    struct threads *pool = NULL;
    cr_assert_eq(threads_new(3, &pool, NULL), STATUS_OK);
    float *a = noise_array(SIDE * INNER), *b = noise_array(INNER * SIDE), expected[SIDE * SIDE];
    for (size_t r = 0; r < SIDE; r++)
        for (size_t j = 0; j < SIDE; j++)
            expected[r * SIDE + j] = (float)product(a, b, r, j, INNER, INNER, SIDE, 1);
    struct side_by_side s = {.a = a, .b = b, .expected = expected};
    threads_for(pool, PRODUCTS, 1, one_product, &s);
    cr_assert_eq(atomic_load(&s.wrong), 0, "%d of %d are wrong", atomic_load(&s.wrong), PRODUCTS);
    free(a);
    free(b);
    threads_free(pool);
}

/* ---- threads ---- */

struct marks {
    atomic_int count[1000];
};

static void mark(void *arg, size_t begin, size_t end) {
    struct marks *m = arg;
    for (size_t i = begin; i < end; i++)
        atomic_fetch_add(&m->count[i], 1);
}

Test(kernels, every_index_is_given_out_exactly_once) {
    static struct marks m;
    for (size_t count = 1; count <= 4; count++) {
        struct threads *pool = NULL;
        cr_assert_eq(threads_new(count, &pool, NULL), STATUS_OK);
        for (size_t n = 0; n <= 1000; n += 37)
            for (size_t grain = 1; grain < 600; grain = grain * 5 + 1) {
                memset(&m, 0, sizeof m);
                threads_for(pool, n, grain, mark, &m);
                for (size_t i = 0; i < 1000; i++)
                    cr_assert_eq(atomic_load(&m.count[i]), i < n ? 1 : 0);
            }
        threads_free(pool);
    }
    struct threads *none = NULL;
    cr_expect_eq(threads_new(0, &none, NULL), STATUS_INVALID);
    cr_expect_eq(threads_new(THREADS_MAX + 1, &none, NULL), STATUS_INVALID);
    cr_expect_null(none);
    threads_free(NULL);
}

/* ---- narrow floats ---- */

Test(kernels, every_half_survives_the_round_trip) {
    for (unsigned h = 0; h < 0x10000; h++) {
        float f = half_to_float((uint16_t)h), b = half_bf16_to_float((uint16_t)h);
        if (isnan(f))
            cr_assert(isnan(half_to_float(half_from_float(f))));
        else
            cr_assert_eq(half_from_float(f), h);
        if (isnan(b))
            cr_assert(isnan(half_bf16_to_float(half_bf16_from_float(b))));
        else
            cr_assert_eq(half_bf16_from_float(b), h);
    }
}

Test(kernels, halves_round_to_nearest_even) {
    cr_expect_eq(half_from_float(1.0f + 0x1p-11f), 0x3c00, "a tie goes to the even one");
    cr_expect_eq(half_from_float(1.0f + 3 * 0x1p-11f), 0x3c02);
    cr_expect_eq(half_from_float(65519.0f), 0x7bff);
    cr_expect_eq(half_from_float(65520.0f), 0x7c00);
    cr_expect_eq(half_from_float(0x1p-25f), 0, "half of the least subnormal is a tie");
    cr_expect_eq(half_from_float(0x1.8p-25f), 1);
    cr_expect_eq(half_from_float(-0x1p-24f), 0x8001);
    cr_expect_eq(half_from_double(1.0 + 0x1p-11 + 0x1p-40), 0x3c01, "no double rounding");
    cr_expect_eq(half_bf16_from_float(1.0f + 0x1p-8f), 0x3f80);
    cr_expect_eq(half_bf16_from_float(1.0f + 3 * 0x1p-8f), 0x3f82);
}

Test(kernels, every_eight_bit_float_survives_the_round_trip) {
    for (int t = DTYPE_FLOAT8E4M3FN; t <= DTYPE_FLOAT8E5M2FNUZ; t++)
        for (unsigned v = 0; v < 256; v++) {
            float f = half_f8_to_float((enum dtype)t, (uint8_t)v);
            if (isnan(f))
                cr_assert(isnan(
                    half_f8_to_float((enum dtype)t, half_f8_from_float((enum dtype)t, f, false))));
            else
                cr_assert_eq(half_f8_from_float((enum dtype)t, f, false), v, "type %d code %u", t,
                             v);
        }
    cr_expect_eq(half_f8_to_float(DTYPE_FLOAT8E4M3FN, 0x7e), 448.0f);
    cr_expect_eq(half_f8_from_float(DTYPE_FLOAT8E4M3FN, 1e6f, true), 0x7e);
    cr_expect(isnan(
        half_f8_to_float(DTYPE_FLOAT8E4M3FN, half_f8_from_float(DTYPE_FLOAT8E4M3FN, 1e6f, false))));
}

/* ---- layout ---- */

Test(kernels, buffers_that_live_together_never_overlap) {
    static struct layout_item items[300];
    struct counted source = {0};
    struct arena scratch;
    arena_init(&scratch, model_memory(&source), 1 << 16, 1 << 24, "scratch");
    for (int round = 0; round < 50; round++) {
        size_t total = 0, sum = 0, n = 300;
        for (size_t i = 0; i < n; i++) {
            int32_t life = (int32_t)(fabsf(noise()) * 20);
            size_t size = (size_t)(fabsf(noise()) * 3000);
            items[i] = (struct layout_item){(int32_t)i / 2, (int32_t)i / 2 + life, size, SIZE_MAX};
            sum += (size + 63) / 64 * 64 + 64;
        }
        cr_assert_eq(layout_assign(items, n, &scratch, &total, NULL), STATUS_OK);
        cr_expect_lt(total, sum / 3, "nothing is reused: %zu of %zu", total, sum);
        for (size_t i = 0; i < n; i++) {
            cr_assert_eq(items[i].offset % LAYOUT_ALIGN, 0);
            cr_assert_leq(items[i].offset + items[i].size, total);
            for (size_t j = 0; j < i; j++) {
                bool together = items[j].death >= items[i].birth;
                bool apart = items[j].offset + items[j].size <= items[i].offset ||
                             items[i].offset + items[i].size <= items[j].offset;
                cr_assert(apart || !together || items[i].size == 0 || items[j].size == 0);
            }
        }
    }
    struct layout_item huge[2] = {{0, 1, SIZE_MAX / 2, 0}, {0, 1, SIZE_MAX / 2 + 2, 0}};
    size_t total = 7;
    cr_expect_eq(layout_assign(huge, 2, &scratch, &total, NULL), STATUS_TOO_LARGE);
    cr_expect_eq(total, 7);
    arena_free(&scratch);
    cr_expect_eq(source.live, 0);
}

/* ---- arenas ---- */

Test(kernels, arenas_wipe_reuse_and_keep_to_their_budget) {
    struct counted source = {0};
    struct arena a;
    arena_init(&a, model_memory(&source), 4096, 64 << 10, "tests");
    char *kept = arena_alloc(&a, 100);
    struct arena_mark mark = arena_mark(&a);
    cr_assert_eq((uintptr_t)kept % MEMORY_ALIGN, 0);
    memset(kept, 1, 100);
    char *small = arena_alloc(&a, 100), *large = arena_alloc(&a, 20000);
    memset(small, 2, 100);
    memset(large, 3, 20000);
    arena_reset(&a, mark);
    for (int i = 0; i < 100; i++)
        cr_assert(kept[i] == 1 && small[i] == 0 && large[i] == 0);
    cr_expect_eq(arena_alloc(&a, 100), small, "the memory is used again");
    size_t acquired = source.acquired;
    cr_expect_eq(arena_alloc(&a, 20000), large);
    cr_expect_eq(source.acquired, acquired);
    cr_expect_null(arena_alloc(&a, 64 << 10));
    cr_expect_null(arena_alloc(&a, SIZE_MAX));
    cr_expect_null(arena_array(&a, SIZE_MAX / 2, 3));
    /* What a reset keeps does not count against a larger request. */
    arena_reset(&a, mark);
    cr_expect_not_null(arena_alloc(&a, 50000));
    arena_clear(&a);
    arena_trim(&a);
    cr_expect_eq(source.live, 0);
    cr_expect_eq(a.held, 0);
    arena_free(&a);
    arena_free(NULL);
}
