/* The operator table: all families, looked up by domain, name and opset. */
#include "engine/ops/registry.h"

#define OP_FAMILY(name) extern const struct op_row op_family_##name[];
#include "engine/ops/families.inc"
#undef OP_FAMILY

static const struct op_row *const families[] = {
#define OP_FAMILY(name) op_family_##name,
#include "engine/ops/families.inc"
#undef OP_FAMILY
};

static bool same_domain(const char *row, struct str domain) {
    if (!row)
        return domain.size == 0 || str_is(domain, "ai.onnx");
    return str_is(domain, row);
}

const struct op_row *op_find(struct str domain, struct str name, int64_t opset) {
    const struct op_row *best = NULL;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const struct op_row *r = families[f]; r->name; r++)
            if (str_is(name, r->name) && same_domain(r->domain, domain) && r->since <= opset &&
                (r->until == 0 || opset <= r->until) && (!best || r->since > best->since))
                best = r;
    return best;
}

size_t registry_count(void) {
    size_t n = 0;
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const struct op_row *r = families[f]; r->name; r++)
            n++;
    return n;
}

const struct op_row *registry_row(size_t i) {
    for (size_t f = 0; f < sizeof families / sizeof *families; f++)
        for (const struct op_row *r = families[f]; r->name; r++)
            if (i-- == 0)
                return r;
    return NULL;
}
