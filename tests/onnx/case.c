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
};

static bool fail(const struct run *r, const char *what, const char *detail) {
    snprintf(r->reason, r->size, "%s%s%s", what, detail ? ": " : "", detail ? detail : "");
    return false;
}

/* FOLDER/KIND_I.pb as the type of the port; false with a reason. *there: the file exists. */
static bool read_value(const struct run *r, const char *set, const char *kind, size_t i,
                       const struct type_info *type, struct value *out, bool *there) {
    char path[4096];
    struct str bytes;
    struct error error = {0};
    struct wire_path wire = {.error = &error};
    snprintf(path, sizeof path, "%s/%s_%zu.pb", set, kind, i);
    *out = (struct value){.kind = VALUE_NONE};
    *there = read_file(r->arena, path, &bytes);
    if (!*there)
        return true;
    (void)wire_enter(&wire, kind, (int64_t)i);
    if (proto_value(&wire, bytes, type, r->arena, out) != STATUS_OK)
        return fail(r, "the test data cannot be read", error.message);
    return true;
}

static bool run_set(const struct run *r, const char *set) {
    struct value inputs[MAX_PORTS] = {{0}}, outputs[MAX_PORTS] = {{0}}, want;
    size_t n = session_input_count(r->session), m = session_output_count(r->session);
    struct error error = {0};
    bool there = false, any = false;
    if (n > MAX_PORTS || m > MAX_PORTS)
        return fail(r, "too many inputs or outputs", NULL);
    for (size_t i = 0; i < n; i++)
        if (!read_value(r, set, "input", i, &session_input(r->session, i)->type, &inputs[i],
                        &there))
            return false;
    if (session_run(r->session, inputs, n, 0, outputs, m, &error) != STATUS_OK)
        return fail(r, "run", error.message);
    bool ok = true;
    for (size_t i = 0; ok && i < m; i++) {
        char inner[512], what[64];
        ok = read_value(r, set, "output", i, &session_output(r->session, i)->type, &want, &there);
        any = any || there;
        if (!ok || !there)
            continue;
        snprintf(what, sizeof what, "output %zu", i);
        if (!compare_values(&outputs[i], &want, r->tolerance, inner, sizeof inner))
            ok = fail(r, what, inner);
    }
    session_release(r->session);
    return ok && !any ? fail(r, "no reference output is there", NULL) : ok;
}

static bool is_skipped(const char *message) {
    /* The training preview domain is outside of what an inference engine serves. */
    return strstr(message, "ai.onnx.preview.training") != NULL;
}

enum case_result case_run(const char *folder, const struct case_tolerance *t, char *reason,
                          size_t size) {
    struct memory memory = {acquire, release, NULL};
    struct arena arena;
    struct error error = {0};
    struct str bytes;
    char path[4096];
    enum case_result result = CASE_FAIL;
    struct run r = {&arena, NULL, t, reason, size};
    const struct session_options options = {.memory = memory, .secret = memory, .threads = 1};
    arena_init(&arena, memory, (size_t)1 << 20, SIZE_MAX, "test data");
    snprintf(path, sizeof path, "%s/model.onnx", folder);
    if (!read_file(&arena, path, &bytes)) {
        (void)fail(&r, "model.onnx cannot be read", NULL);
        goto out;
    }
    if (session_open(bytes, &options, &r.session, &error) != STATUS_OK) {
        if (is_skipped(error.message))
            result = CASE_SKIP;
        (void)fail(&r, "load", error.message);
        goto out;
    }
    size_t sets = 0;
    for (;; sets++) {
        struct stat st;
        snprintf(path, sizeof path, "%s/test_data_set_%zu", folder, sets);
        if (stat(path, &st) != 0)
            break;
        if (!run_set(&r, path))
            goto out;
    }
    if (sets > 0)
        result = CASE_PASS;
    else
        (void)fail(&r, "no test_data_set_0", NULL);
out:
    session_free(r.session);
    arena_free(&arena);
    return result;
}
