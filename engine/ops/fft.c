#include "engine/ops/fft.h"

#include "base/checked.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846

static size_t power_for(size_t n) {
    if ((n & (n - 1)) == 0)
        return n;
    size_t m = 1;
    while (m < 2 * n - 1)
        m *= 2;
    return m;
}

size_t fft_room(size_t n) {
    if (n == 0)
        return 1;
    if (n > SIZE_MAX / 64)
        return 0;
    size_t m = power_for(n);
    return m == n ? n : m + 2 * n + 2 * m + 2 * m;
}

/* In place; `sign` -1 forwards, 1 backwards, unscaled. roots[k] = exp(-2 pi i k / m). */
static void power_of_two(size_t m, const double *roots, double sign, double *x) {
    for (size_t i = 1, j = 0; i < m; i++) { /* to bit-reversed order */
        size_t bit = m >> 1;
        for (; j & bit; bit >>= 1)
            j ^= bit;
        j ^= bit;
        if (i < j)
            for (size_t k = 0; k < 2; k++) {
                double t = x[2 * i + k];
                x[2 * i + k] = x[2 * j + k];
                x[2 * j + k] = t;
            }
    }
    for (size_t half = 1; half < m; half *= 2) {
        size_t step = m / (2 * half);
        for (size_t start = 0; start < m; start += 2 * half)
            for (size_t k = 0; k < half; k++) {
                double re = roots[2 * k * step], im = -sign * roots[2 * k * step + 1];
                double *a = x + 2 * (start + k), *b = a + 2 * half;
                double br = b[0] * re - b[1] * im, bi = b[0] * im + b[1] * re;
                b[0] = a[0] - br;
                b[1] = a[1] - bi;
                a[0] += br;
                a[1] += bi;
            }
    }
}

void fft_init(struct fft *f, size_t n, bool inverse, double *room) {
    *f = (struct fft){.n = n, .m = n ? power_for(n) : 0, .inverse = inverse, .roots = room};
    size_t m = f->m;
    for (size_t k = 0; k < m / 2; k++) {
        double angle = -2 * PI * (double)k / (double)m;
        f->roots[2 * k] = cos(angle);
        f->roots[2 * k + 1] = sin(angle);
    }
    if (m == n)
        return;
    f->chirp = room + m;
    f->kernel = f->chirp + 2 * n;
    f->work = f->kernel + 2 * m;
    memset(f->kernel, 0, 2 * m * sizeof *f->kernel);
    /* chirp[k] = exp(-+ pi i k^2 / n); k^2 is kept below 2n, so that the angle is exact */
    for (size_t k = 0, square = 0; k < n; square = (square + 2 * k + 1) % (2 * n), k++) {
        double angle = (inverse ? PI : -PI) * (double)square / (double)n;
        f->chirp[2 * k] = cos(angle);
        f->chirp[2 * k + 1] = sin(angle);
        size_t at[2] = {k, k ? m - k : 0};
        for (int i = 0; i < 2; i++) {
            f->kernel[2 * at[i]] = cos(angle);
            f->kernel[2 * at[i] + 1] = -sin(angle);
        }
    }
    power_of_two(m, f->roots, -1, f->kernel);
}

static void multiply(const double *a, const double *b, double *out) {
    double re = a[0] * b[0] - a[1] * b[1], im = a[0] * b[1] + a[1] * b[0];
    out[0] = re;
    out[1] = im;
}

void fft_run(struct fft *f, double *x) {
    size_t n = f->n, m = f->m;
    if (m == n) {
        power_of_two(m, f->roots, f->inverse ? 1 : -1, x);
    } else {
        memset(f->work, 0, 2 * m * sizeof *f->work);
        for (size_t k = 0; k < n; k++)
            multiply(x + 2 * k, f->chirp + 2 * k, f->work + 2 * k);
        power_of_two(m, f->roots, -1, f->work);
        for (size_t k = 0; k < m; k++)
            multiply(f->work + 2 * k, f->kernel + 2 * k, f->work + 2 * k);
        power_of_two(m, f->roots, 1, f->work);
        for (size_t k = 0; k < n; k++) {
            multiply(f->work + 2 * k, f->chirp + 2 * k, x + 2 * k);
            x[2 * k] /= (double)m;
            x[2 * k + 1] /= (double)m;
        }
    }
    for (size_t k = 0; f->inverse && k < 2 * n; k++)
        x[k] /= (double)n;
}
