#include "engine/ops/generator.h"

#include <math.h>
#include <sys/random.h>

static uint64_t rotate(uint64_t x, int k) {
    return x << k | x >> (64 - k);
}

static uint64_t next(struct generator *g) {
    uint64_t *s = g->s, result = rotate(s[1] * 5, 7) * 9, t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate(s[3], 45);
    return result;
}

double generator_uniform(struct generator *g) {
    return (double)(next(g) >> 11) * 0x1p-53;
}

/* By the polar method (Marsaglia and Bray, 1964). */
double generator_normal(struct generator *g) {
    if (g->has_spare) {
        g->has_spare = false;
        return g->spare;
    }
    double u, v, r;
    do {
        u = 2 * generator_uniform(g) - 1;
        v = 2 * generator_uniform(g) - 1;
        r = u * u + v * v;
    } while (r >= 1 || r == 0);
    double f = sqrt(-2 * log(r) / r);
    g->spare = v * f;
    g->has_spare = true;
    return u * f;
}

enum status generator_new(struct op_ctx *c, struct generator *g) {
    uint64_t seed = 0;
    const struct attribute *a = graph_node_attribute(c->node, "seed");
    if (a && a->type == ATTR_INT) { /* as Dropout has it */
        seed = (uint64_t)a->i;
    } else if (a) {
        float f = op_attr_float(c, "seed", 0);
        uint32_t bits = 0;
        memcpy(&bits, &f, sizeof bits);
        seed = bits;
    } else if (getrandom(&seed, sizeof seed, GRND_NONBLOCK) != (ssize_t)sizeof seed) {
        return op_fail(c, "the system gave no seed for random numbers");
    }
    *g = (struct generator){0};
    for (int i = 0; i < 4; i++) {
        uint64_t z = (seed += 0x9e3779b97f4a7c15u);
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
        z = (z ^ z >> 27) * 0x94d049bb133111ebu;
        g->s[i] = z ^ z >> 31;
    }
    return STATUS_OK;
}
