/* Vectors of 16 floats in the compilers' own notation, and choosing among functions compiled for
 * several instruction sets. A function over such vectors is a macro with the set's attribute:
 * vectors are taken apart for the instruction set of the function that is being compiled, before
 * anything is inlined. They are passed by pointer only. */
#ifndef ENGINE_OPS_FAST_VECTOR_H
#define ENGINE_OPS_FAST_VECTOR_H

#include <stdint.h>
#include <string.h>

#define FAST_LANES 16
typedef float fast_v __attribute__((vector_size(64)));
typedef int32_t fast_i __attribute__((vector_size(64)));
typedef uint32_t fast_u __attribute__((vector_size(64)));

/* mask ? a : b, lane by lane; a mask is what a comparison of vectors gives. */
#define FAST_SELECT(mask, a, b) ((fast_v)(((fast_i)(a) & (mask)) | ((fast_i)(b) & ~(mask))))

#define FAST_AVX2 __attribute__((target("avx2,fma")))
#define FAST_AVX512 __attribute__((target("avx512f,avx512vl,avx512bw,avx512dq,fma")))

/* FAST_SETS(TEMPLATE): TEMPLATE(suffix, attribute) for each set there is; FAST_CHOOSE(name): the
 * function name_suffix for this processor. */
#ifdef __x86_64__
#define FAST_SETS(template)                                                                        \
    template(plain, ) template(avx2, FAST_AVX2) template(avx512, FAST_AVX512)
#define FAST_CHOOSE(name)                                                                          \
    (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&                    \
             __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq")              \
         ? name##_avx512                                                                           \
     : __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") ? name##_avx2               \
                                                                       : name##_plain)
#else
#define FAST_SETS(template) template(plain, )
#define FAST_CHOOSE(name) name##_plain
#endif

#endif
