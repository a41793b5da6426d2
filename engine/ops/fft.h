/* Discrete Fourier transforms of any length, in double.
 *
 * Powers of two by the radix-2 algorithm; other lengths by Bluestein's (a transform as a
 * convolution, by three transforms of a power of two at least 2n - 1 long).
 *
 * The caller gives the memory: fft_room doubles, any content, kept from fft_init to the last
 * fft_run. Threads: one caller at a time a plan. Sizes are trusted but for fft_room's check. */
#ifndef ENGINE_OPS_FFT_H
#define ENGINE_OPS_FFT_H

#include <stdbool.h>
#include <stddef.h>

struct fft {
    size_t n, m;   /* length; length of the inner transform, n where it is a power of two */
    double *roots; /* m/2 complex numbers */
    double *chirp, *kernel, *work;
    bool inverse;
};

/* Doubles of memory for length n; 0 where it does not fit. */
size_t fft_room(size_t n);
void fft_init(struct fft *f, size_t n, bool inverse, double *room);
/* Transforms x, n complex numbers as pairs, in place. The inverse divides by n. */
void fft_run(struct fft *f, double *x);

#endif
