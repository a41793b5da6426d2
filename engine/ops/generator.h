/* Random numbers for the operators that are random by definition.
 *
 * With the attribute `seed`, every run gives the same numbers; without, the seed of a run comes
 * from the system. The generator is xoshiro256** (Blackman and Vigna, "Scrambled linear
 * pseudorandom number generators", 2018), its state filled by splitmix64: good statistics, not
 * secrecy. The specification does not say which numbers a seed gives.
 *
 * Threads: a generator belongs to one. */
#ifndef ENGINE_OPS_GENERATOR_H
#define ENGINE_OPS_GENERATOR_H

#include "engine/ops/op.h"

struct generator {
    uint64_t s[4];
    double spare; /* the second of a pair of normal numbers */
    bool has_spare;
};

/* Seeded by the attribute of the node, a float or an integer, or by the system. */
MUST_USE enum status generator_new(struct op_ctx *c, struct generator *g);
/* From 0, included, to 1, excluded: 53 bits. */
double generator_uniform(struct generator *g);
/* Mean 0, deviation 1. */
double generator_normal(struct generator *g);

#endif
