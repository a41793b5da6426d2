#include "engine/cost.h"

enum kind { CONV, CONV_TRANSPOSED, PRODUCT, GEMM, RECURRENT, ATTENTION, PROJECTED, HEADS };

static const struct {
    const char *name;
    enum kind kind;
    size_t w;           /* input with the weights, or the keys */
    size_t past;        /* input with the keys of earlier steps; 0: none */
    const char *domain; /* NULL: any */
} table[] = {
    {"Conv", CONV, 1, 0, NULL},
    {"FusedConv", CONV, 1, 0, NULL},
    {"ConvInteger", CONV, 1, 0, NULL},
    {"QLinearConv", CONV, 3, 0, NULL},
    {"ConvTranspose", CONV_TRANSPOSED, 1, 0, NULL},
    {"ConvTransposeWithDynamicPads", CONV_TRANSPOSED, 1, 0, NULL},
    {"MatMul", PRODUCT, 1, 0, NULL},
    {"MatMulInteger", PRODUCT, 1, 0, NULL},
    {"QLinearMatMul", PRODUCT, 3, 0, NULL},
    {"FusedMatMul", GEMM, 1, 0, NULL},
    {"MatMulNBits", PRODUCT, 1, 0, NULL},
    {"DynamicQuantizeMatMul", PRODUCT, 1, 0, NULL},
    {"MatMulIntegerToFloat", PRODUCT, 1, 0, NULL},
    {"Gemm", GEMM, 1, 0, NULL},
    {"FusedGemm", GEMM, 1, 0, NULL},
    {"QGemm", GEMM, 3, 0, NULL},
    {"LSTM", RECURRENT, 1, 0, NULL},
    {"GRU", RECURRENT, 1, 0, NULL},
    {"RNN", RECURRENT, 1, 0, NULL},
    {"DynamicQuantizeLSTM", RECURRENT, 1, 0, NULL},
    {"Attention", PROJECTED, 1, 4, "com.microsoft"},
    {"QAttention", PROJECTED, 1, 8, NULL},
    {"Attention", ATTENTION, 1, 4, NULL},
    {"MultiHeadAttention", ATTENTION, 1, 6, NULL},
    {"GroupQueryAttention", HEADS, 0, 3, NULL},
};

static const struct tensor *tensor_at(const struct plan_node *pn, size_t i) {
    return i < pn->node->input_count && pn->in[i] && pn->in[i]->kind == VALUE_TENSOR
               ? &pn->in[i]->tensor
               : NULL;
}

/* Keys that a query sees: new ones, and those of earlier steps. */
static uint64_t keys_of(const struct tensor *k, const struct tensor *past) {
    const int64_t fresh = k->rank == 4 ? k->dims[2] : k->rank > 1 ? k->dims[1] : 0;
    return (uint64_t)fresh + (uint64_t)(past && past->rank > 2 ? past->dims[past->rank - 2] : 0);
}

static uint64_t by_kind(enum kind kind, uint64_t outs, const struct plan_node *pn,
                        const struct tensor *a, const struct tensor *w, const struct tensor *past) {
    const struct tensor *r = tensor_at(pn, 2), *y = &pn->out[0].tensor;
    const uint64_t count = (uint64_t)a->count;
    switch (kind) {
    case CONV:
        return w->dims[0] > 0 ? outs * (uint64_t)(w->count / w->dims[0]) : 0;
    case CONV_TRANSPOSED:
        return w->dims[0] > 0 ? count * (uint64_t)(w->count / w->dims[0]) : 0;
    case PRODUCT:
        return outs * (uint64_t)a->dims[a->rank - 1];
    case GEMM: { /* either operand may be transposed: what is left of A is the depth */
        const int64_t rows = y->rank > 1 ? y->dims[y->rank - 2] : 1;
        const int64_t last = a->dims[a->rank - 1], first = a->rank > 1 ? a->dims[a->rank - 2] : 1;
        return outs * (uint64_t)(rows > 0 && first != rows && last == rows ? first : last);
    }
    case RECURRENT:
        return r && a->rank == 3
                   ? (uint64_t)(a->dims[0] * a->dims[1]) * (uint64_t)(w->count + r->count)
                   : 0;
    case PROJECTED:
        return a->dims[a->rank - 1] > 0
                   ? count / (uint64_t)a->dims[a->rank - 1] * (uint64_t)w->count +
                         2 * outs * keys_of(a, past)
                   : 0;
    case ATTENTION:
        return (count + outs) * keys_of(w, past);
    case HEADS:
        return 2 * outs * keys_of(a, past);
    }
    return 0;
}

uint64_t cost_of(const struct plan_node *pn) {
    const struct node *n = pn->node;
    const struct value *out = n->output_count > 0 ? &pn->out[0] : NULL;
    for (size_t i = 0; out && out->kind == VALUE_TENSOR && i < sizeof table / sizeof *table; i++) {
        if (!str_is(n->op_type, table[i].name) ||
            (table[i].domain && !str_is(n->domain, table[i].domain)))
            continue;
        const struct tensor *a = tensor_at(pn, 0), *w = tensor_at(pn, table[i].w);
        if (!w && table[i].kind == ATTENTION)
            w = a; /* query, keys and values in one */
        if (!a || !w || a->rank < 1 || w->rank < 1)
            return 0;
        return by_kind(table[i].kind, (uint64_t)out->tensor.count, pn, a, w,
                       table[i].past ? tensor_at(pn, table[i].past) : NULL);
    }
    return 0;
}
