#include "tests/onnx/case.h"

#include "engine/model/proto.h"
#include "engine/session.h"
#include "tests/onnx/compare.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define MAX_PORTS 256

static void *acquire(void *ctx, size_t size) {
    (void)ctx;
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return p == MAP_FAILED ? NULL : p;
}

static void release(void *ctx, void *data, size_t size) {
    (void)ctx;
    munmap(data, size);
}

/* Weights that were packed must not be read from the model's bytes any more. */
static void poison(void *ctx, const void *data, size_t size) {
    (void)ctx;
    memset((void *)(uintptr_t)data, 0xff, size);
}

static bool read_file(struct arena *a, const char *path, struct str *out) {
    struct stat st;
    FILE *f = fopen(path, "rb");
    if (!f)
        return false;
    bool ok = fstat(fileno(f), &st) == 0;
    char *bytes = ok ? arena_alloc(a, (size_t)st.st_size) : NULL;
    ok = bytes && fread(bytes, 1, (size_t)st.st_size, f) == (size_t)st.st_size;
    fclose(f);
    if (ok)
        *out = (struct str){bytes, (size_t)st.st_size};
    return ok;
}

struct run {
    struct arena *arena;
    struct session *session;
    const struct case_tolerance *tolerance;
    char *reason;
    size_t size;
    bool light;
    bool random; /* only types and shapes are compared */
};

static bool fail(const struct run *r, const char *what, const char *detail) {
    snprintf(r->reason, r->size, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return false;
}

/* Cases whose values are random by definition: they are run, and types and shapes compared; the
 * distributions are the unit test engine_random's. */
static const struct {
    const char *prefix, *reason;
} random_cases[] = {
    {"test_bernoulli", "random values: type and shape are right, the reference is another draw"},
    {"test_training_dropout", "dropped at random: type and shape are right, the reference is "
                              "another draw"},
};

static const char *name_of(const char *folder) {
    const char *slash = strrchr(folder, '/');
    return slash ? slash + 1 : folder;
}

static const char *random_reason(const char *folder) {
    const char *name = name_of(folder);
    for (size_t i = 0; i < sizeof random_cases / sizeof *random_cases; i++)
        if (strncmp(name, random_cases[i].prefix, strlen(random_cases[i].prefix)) == 0 &&
            strstr(name, "zero_ratio") == NULL)
            return random_cases[i].reason;
    return NULL;
}

/* The references of these were computed in single precision: where the result is 0 by symmetry (the
 * imaginary part at the Nyquist frequency of a real signal) they have their own error, 1.9e-7. */
static double least_atol(const char *folder, double otherwise) {
    const char *name = name_of(folder);
    const bool is_inverse =
        strcmp(name, "test_dft_inverse") == 0 || strcmp(name, "test_dft_inverse_opset19") == 0;
    return is_inverse && otherwise < 2e-7 ? 2e-7 : otherwise;
}

/* The references of these round to 16 bits after every step, sums included; the engine sums in
 * float and rounds what an operator gives. They lie within two units in the last place of one
 * another. */
static double least_ulp(const char *folder, double otherwise) {
    const char *name = name_of(folder);
    const bool stepwise = strncmp(name, "test_attention_", 15) == 0 &&
                          (strstr(name, "_bf16") || strstr(name, "_fp16"));
    return stepwise && otherwise < 2 ? 2 : otherwise;
}

/* Old test data writes the bits of bfloat16 as uint16. True where this is such a tensor. */
static bool mend_type(const struct type_info *type, struct value *v) {
    if (type->kind != VALUE_TENSOR || type->dtype != DTYPE_BFLOAT16 || v->kind != VALUE_TENSOR ||
        v->tensor.dtype != DTYPE_UINT16)
        return false;
    v->tensor.dtype = DTYPE_BFLOAT16;
    return true;
}

/* Old data for CastLike gives the second input, of which the type alone matters, as one element
 * where the model declares a shape: the element is repeated. Left alone in every other case. */
static bool mend_shape(const struct run *r, const struct type_info *type, struct value *v) {
    const struct tensor *t = &v->tensor;
    struct tensor full;
    if (type->kind != VALUE_TENSOR || v->kind != VALUE_TENSOR || t->rank != 1 || t->count != 1 ||
        type->rank <= 1 || t->dtype == DTYPE_STRING)
        return true;
    for (int d = 0; d < type->rank; d++)
        if (type->dims[d] < 1)
            return true;
    if (tensor_shape(&full, t->dtype, type->rank, type->dims, NULL) != STATUS_OK)
        return true;
    full.data = arena_alloc(r->arena, full.bytes);
    for (int64_t i = 0; full.data && i < full.count; i++)
        memcpy((char *)full.data + (size_t)i * t->bytes, t->data, t->bytes);
    v->tensor = full;
    return full.data || fail(r, "memory", NULL);
}

/* FOLDER/KIND_I.pb as the type of the port; false with a reason. *there: the file exists. *cut: it
 * is old bfloat16 data, whose values were cut, not rounded. */
static bool read_value(const struct run *r, const char *set, const char *kind, size_t i,
                       const struct type_info *type, struct value *out, bool *there, bool *cut) {
    char path[4096];
    struct str bytes;
    struct error error = {0};
    struct wire_path wire = {.error = &error};
    snprintf(path, sizeof path, "%s%s%s_%zu.pb", set, r->light ? "_" : "/", kind, i);
    *out = (struct value){.kind = VALUE_NONE};
    *there = read_file(r->arena, path, &bytes);
    if (!*there)
        return true;
    (void)wire_enter(&wire, kind, (int64_t)i);
    if (proto_value(&wire, bytes, type, r->arena, out) != STATUS_OK)
        return fail(r, "the test data cannot be read", error.message);
    if (mend_type(type, out))
        *cut = true;
    return strcmp(kind, "input") != 0 || mend_shape(r, type, out);
}

/* The light models come without inputs: every one is arange(n) / n, in float. */
static bool make_input(const struct run *r, const struct session_port *port, struct value *out) {
    const struct type_info *t = &port->type;
    struct error error = {0};
    *out = (struct value){.kind = VALUE_TENSOR};
    if (t->dtype != DTYPE_FLOAT ||
        tensor_shape(&out->tensor, t->dtype, t->rank, t->dims, &error) != STATUS_OK)
        return fail(r, "no input can be made", error.message);
    float *data = out->tensor.data = arena_alloc(r->arena, out->tensor.bytes);
    for (int64_t i = 0; data && i < out->tensor.count; i++)
        data[i] = (float)i / (float)out->tensor.count;
    return data || fail(r, "memory", NULL);
}

/* `set` is a folder with the inputs and outputs of one run; or, for a light model, what the names
 * of its outputs begin with. */
static bool run_set(const struct run *r, const char *set) {
    struct value inputs[MAX_PORTS] = {{0}}, outputs[MAX_PORTS] = {{0}}, want;
    size_t n = session_input_count(r->session), m = session_output_count(r->session);
    struct error error = {0};
    bool there = false, any = false, cut = false;
    if (n > MAX_PORTS || m > MAX_PORTS)
        return fail(r, "too many inputs or outputs", NULL);
    for (size_t i = 0; i < n && r->light; i++)
        if (!make_input(r, session_input(r->session, i), &inputs[i]))
            return false;
    for (size_t i = 0; i < n && !r->light; i++)
        if (!read_value(r, set, "input", i, &session_input(r->session, i)->type, &inputs[i], &there,
                        &cut))
            return false;
    if (session_run(r->session, inputs, n, 0, outputs, m, &error) != STATUS_OK)
        return fail(r, "run", error.message);
    bool ok = true;
    for (size_t i = 0; ok && i < m; i++) {
        char inner[512], what[64];
        struct case_tolerance tolerance = *r->tolerance;
        cut = false;
        ok = read_value(r, set, "output", i, &session_output(r->session, i)->type, &want, &there,
                        &cut);
        any = any || there;
        if (!ok || !there)
            continue;
        snprintf(what, sizeof what, "output %zu", i);
        if (cut && tolerance.ulp < 1)
            tolerance.ulp = 1;
        const bool same = r->random
                              ? compare_kinds(&outputs[i], &want, inner, sizeof inner)
                              : compare_values(&outputs[i], &want, &tolerance, inner, sizeof inner);
        if (!same)
            ok = fail(r, what, inner);
    }
    session_release(r->session);
    return ok && !any ? fail(r, "no reference output is there", NULL) : ok;
}

enum case_result case_run(const char *folder, const struct case_tolerance *t, char *reason,
                          size_t size) {
    struct memory memory = {acquire, release, NULL};
    struct arena arena;
    struct error error = {0};
    struct str bytes;
    char path[4096];
    enum case_result result = CASE_FAIL;
    const char *random = random_reason(folder);
    struct case_tolerance tolerance = *t;
    tolerance.atol = least_atol(folder, t->atol);
    tolerance.ulp = least_ulp(folder, t->ulp);
    struct run r = {.arena = &arena,
                    .tolerance = &tolerance,
                    .reason = reason,
                    .size = size,
                    .random = random != NULL};
    const struct session_options options = {
        .memory = memory, .secret = memory, .threads = 1, .discard = poison};
    arena_init(&arena, memory, (size_t)1 << 20, SIZE_MAX, "test data");
    r.light = strlen(folder) > 5 && strcmp(folder + strlen(folder) - 5, ".onnx") == 0;
    snprintf(path, sizeof path, "%s%s", folder, r.light ? "" : "/model.onnx");
    if (!read_file(&arena, path, &bytes)) {
        (void)fail(&r, "model.onnx cannot be read", NULL);
        goto out;
    }
    if (session_open(bytes, &options, &r.session, &error) != STATUS_OK) {
        const bool training = strstr(error.message, "ai.onnx.preview.training") != NULL;
        result = training ? CASE_SKIP : CASE_FAIL;
        if (training)
            (void)fail(&r, "operators of the training preview domain are not for inference", NULL);
        else
            (void)fail(&r, "load", error.message);
        goto out;
    }
    size_t sets = 0;
    if (r.light) {
        snprintf(path, sizeof path, "%.*s", (int)strlen(folder) - 5, folder);
        if (run_set(&r, path))
            result = CASE_PASS;
        goto out;
    }
    for (;; sets++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/test_data_set_%zu", folder, sets);
        if (stat(path, &st) != 0)
            break;
        if (!run_set(&r, path))
            goto out;
    }
    if (sets == 0)
        (void)fail(&r, "no test_data_set_0", NULL);
    else if (random)
        (void)fail(&r, random, NULL);
    if (sets > 0)
        result = random ? CASE_SKIP : CASE_PASS;
out:
    session_free(r.session);
    arena_free(&arena);
    return result;
}
