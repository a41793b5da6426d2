/* com.microsoft MurmurHash3: each element's hash, of 32 bits, as the hashing trick of recommenders
 * and of scikit-learn's FeatureHasher wants it: MurmurHash3_x86_32 (A. Appleby, in the public
 * domain) over the bytes of a string or of a number, little end first.
 *
 * It is no secret and no check: whoever wants two strings of one hash makes them. */
#include "engine/ops/op.h"

#define HASHED                                                                                     \
    (DT(STRING) | DT(INT32) | DT(UINT32) | DT(INT64) | DT(UINT64) | DT(FLOAT) | DT(DOUBLE))

static uint32_t turn(uint32_t x, int by) {
    return x << by | x >> (32 - by);
}

static uint32_t stir(uint32_t k) {
    return turn(k * 0xcc9e2d51U, 15) * 0x1b873593U;
}

static uint32_t hash(const unsigned char *p, size_t n, uint32_t h) {
    const size_t whole = n & ~(size_t)3;
    uint32_t rest = 0;
    for (size_t i = 0; i < whole; i += 4) {
        uint32_t k =
            p[i] | (uint32_t)p[i + 1] << 8 | (uint32_t)p[i + 2] << 16 | (uint32_t)p[i + 3] << 24;
        h = turn(h ^ stir(k), 13) * 5 + 0xe6546b64U;
    }
    for (size_t i = n; i > whole; i--)
        rest = rest << 8 | p[i - 1];
    h ^= stir(rest) ^ (uint32_t)n; /* of nothing, stir makes nothing */
    h = (h ^ h >> 16) * 0x85ebca6bU;
    h = (h ^ h >> 13) * 0xc2b2ae35U;
    return h ^ h >> 16;
}

static enum status infer(struct op_ctx *c) {
    enum status s = op_need(c, 0);
    if (s == STATUS_OK)
        s = op_need_dtype(c, 0, HASHED);
    if (s != STATUS_OK)
        return s;
    int64_t seed = op_attr_int(c, "seed", 0);
    if (seed < INT32_MIN || seed > UINT32_MAX)
        return op_fail(c, "attribute \"seed\" is %lld, must have 32 bits", (long long)seed);
    const struct tensor *x = op_in(c, 0);
    return op_infer(c, 0, op_attr_int(c, "positive", 1) ? DTYPE_UINT32 : DTYPE_INT32, x->rank,
                    x->dims);
}

/* Elements of n bytes, 4 or 8. */
static void hash_number(const struct tensor *x, size_t n, uint32_t seed, uint32_t *y) {
    const unsigned char *at = x->data;
    unsigned char bytes[sizeof(uint64_t)];
    for (int64_t i = 0; i < x->count; i++, at += n) {
        uint64_t bits = 0;
        uint32_t half = 0;
        if (n == sizeof half) {
            memcpy(&half, at, sizeof half);
            bits = half;
        } else {
            memcpy(&bits, at, sizeof bits);
        }
        for (size_t k = 0; k < n; k++)
            bytes[k] = (unsigned char)(bits >> 8 * k);
        y[i] = hash(bytes, n, seed);
    }
}

static enum status run(struct op_ctx *c) {
    const struct tensor *x = op_in(c, 0);
    struct tensor *out = op_out(c, 0);
    const uint32_t seed = (uint32_t)op_attr_int(c, "seed", 0);
    if (!out)
        return STATUS_OK;
    uint32_t *y = out->data; /* the same bits as signed */
    if (x->dtype == DTYPE_STRING) {
        const struct str *s = x->data;
        for (int64_t i = 0; i < x->count; i++)
            y[i] = hash((const unsigned char *)s[i].data, s[i].size, seed);
    } else {
        hash_number(x, dtype_size(x->dtype), seed, y);
    }
    return STATUS_OK;
}

const struct op_row op_family_murmur_hash[] = {
    {.domain = "com.microsoft", .name = "MurmurHash3", .since = 1, .infer = infer, .run = run},
    OP_END,
};
