/* Parts of the worker by themselves: tensors between ring and engine, signatures, the table of
 * loads. What comes from front, ledger and models is not believed here. */
#include "base/buf.h"
#include "base/sandbox.h"
#include "crypto/secret.h"
#include "engine/kernels/gemm.h"
#include "server/worker/loading.h"
#include "server/worker/plaintext.h"
#include "server/worker/region.h"
#include "server/worker/signature.h"
#include "server/worker/tensors.h"
#include "tests/boundary/onnx_bytes.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static uint8_t model[16384], slot[4096];
static struct bundle *bundle;
static struct session *session;
static struct arena arena;
static struct error error;

static void open_model(const char *input, unsigned type, int64_t dimension) {
    const struct onnx_bytes bytes = {.operation = "Identity",
                                     .input = input,
                                     .output = "out",
                                     .type = type,
                                     .dimension = dimension};
    const struct secret_options unlocked = {.allow_unlocked = true};
    secret_configure(&unlocked);
    const struct session_options options = {.memory = region_activation(),
                                            .secret = region_secret(MESSAGE_MEMORY_CONFIGURED)};
    size_t size = onnx_bytes_write(&bytes, model, sizeof model);
    cr_assert_gt(size, 0);
    cr_assert_eq(bundle_open((struct str){(const char *)model, size}, &options, &bundle, &error),
                 STATUS_OK, "%s", error.message);
    session = bundle_session(bundle);
    arena_init(&arena, region_activation(), 4096, 1 << 20, "the request");
}

static void close_model(void) {
    bundle_free(bundle);
    arena_free(&arena);
    session = NULL;
}

static enum status take(const struct ring_request *request, struct value *value) {
    arena_clear(&arena);
    return tensors_in(session, request, slot, &arena, value, 1, &error);
}

Test(worker, numbers_in_and_out) {
    float numbers[] = {1.5f, -2, 3};
    struct value in[1], out[1];
    struct ring_request request = {
        .input_count = 1,
        .input_end = 12,
        .outputs_wanted = 1,
        .inputs = {{.type = DTYPE_FLOAT, .rank = 1, .dims = {3}, .bytes = 12}}};
    static struct ring_response response;
    const uint32_t outputs[] = {0};
    open_model("x", DTYPE_FLOAT, -1);
    memcpy(slot, numbers, sizeof numbers);
    cr_assert_eq(take(&request, in), STATUS_OK, "%s", error.message);
    memset(slot, 0xee, 12); /* what changes in the shared memory now changes nothing here */
    cr_assert_eq(memcmp(in[0].tensor.data, numbers, sizeof numbers), 0);
    cr_assert_eq(session_run(session, in, 1, 0, out, 1, &error), STATUS_OK, "%s", error.message);
    struct tensors_out to = {.session = session,
                             .outputs = outputs,
                             .output_count = 1,
                             .wanted = 1,
                             .data = slot,
                             .start = 12,
                             .capacity = sizeof slot};
    cr_assert_eq(tensors_out(&to, out, &response, &error), STATUS_OK, "%s", error.message);
    cr_assert_eq(response.output_count, 1);
    cr_assert_eq(response.outputs[0].offset, 64, "aligned, behind the inputs");
    cr_assert_eq(response.output_end, 76);
    cr_assert_eq(memcmp(slot + 64, numbers, sizeof numbers), 0);
    to.capacity = 75;
    cr_assert_eq(tensors_out(&to, out, &response, &error), STATUS_TOO_LARGE);
    cr_assert_eq(response.output_end, 12, "nothing was written behind the inputs");
    /* The second does not fit: front must learn how far the first went, to wipe it. */
    const uint32_t both[] = {0, 0};
    to.outputs = both;
    to.output_count = 2;
    to.wanted = 3;
    to.capacity = 100;
    cr_assert_eq(tensors_out(&to, out, &response, &error), STATUS_TOO_LARGE);
    cr_assert_eq(response.output_end, 76);
    to.wanted = 0;
    cr_assert_eq(tensors_out(&to, out, &response, &error), STATUS_OK);
    cr_assert_eq(response.output_count, 0);
    session_release(session);
    close_model();
}

Test(worker, inputs_that_lie) {
    struct value in[1];
    open_model("x", DTYPE_FLOAT, -1);
    struct {
        const char *what;
        struct ring_tensor tensor;
    } lies[] = {
        {"bytes", {.type = DTYPE_FLOAT, .rank = 1, .dims = {3}, .bytes = 8}},
        {"overflow", {.type = DTYPE_FLOAT, .rank = 2, .dims = {INT64_MAX, 4}, .bytes = 8}},
        {"type", {.type = 99, .rank = 1, .dims = {2}, .bytes = 8}},
        {"no type", {.type = 0, .rank = 1, .dims = {2}, .bytes = 8}},
        {"index", {.index = 1, .type = DTYPE_FLOAT, .rank = 1, .dims = {2}, .bytes = 8}},
        {"strings", {.type = DTYPE_STRING, .rank = 1, .dims = {INT64_MAX / 32}, .bytes = 8}},
    };
    for (size_t i = 0; i < sizeof lies / sizeof *lies; i++) {
        struct ring_request request = {
            .input_count = 1, .input_end = 64, .inputs = {lies[i].tensor}};
        cr_expect_eq(take(&request, in), STATUS_INVALID, "%s", lies[i].what);
    }
    struct ring_request twice = {
        .input_count = 2,
        .input_end = 64,
        .inputs = {{.type = DTYPE_FLOAT, .rank = 1, .dims = {1}, .bytes = 4},
                   {.type = DTYPE_FLOAT, .rank = 1, .dims = {1}, .bytes = 4}}};
    cr_expect_eq(take(&twice, in), STATUS_INVALID);
    cr_expect_str_eq(error.message, "input \"x\" is given twice");
    close_model();
}

static void put_strings(const char *const *texts, size_t count, struct ring_request *request) {
    struct buf b = buf_of(slot, sizeof slot);
    for (size_t i = 0; i < count; i++) {
        buf_u32(&b, (uint32_t)strlen(texts[i]));
        buf_string(&b, texts[i]);
    }
    *request = (struct ring_request){.input_count = 1, .input_end = b.size};
    request->inputs[0] = (struct ring_tensor){
        .type = DTYPE_STRING, .rank = 1, .dims = {(int64_t)count}, .bytes = b.size};
}

Test(worker, strings_in_and_out) {
    static const char *const texts[] = {"one", "", "three"};
    struct ring_request request;
    struct value in[1], out[1];
    static struct ring_response response;
    const uint32_t outputs[] = {0};
    open_model("x", DTYPE_STRING, -1);
    put_strings(texts, 3, &request);
    cr_assert_eq(take(&request, in), STATUS_OK, "%s", error.message);
    cr_assert_eq(session_run(session, in, 1, 0, out, 1, &error), STATUS_OK, "%s", error.message);
    const struct tensors_out to = {.session = session,
                                   .outputs = outputs,
                                   .output_count = 1,
                                   .wanted = 1,
                                   .data = slot,
                                   .start = request.input_end,
                                   .capacity = sizeof slot};
    cr_assert_eq(tensors_out(&to, out, &response, &error), STATUS_OK, "%s", error.message);
    cr_assert_eq(response.outputs[0].bytes, request.input_end);
    cr_assert_eq(memcmp(slot, slot + response.outputs[0].offset, request.input_end), 0);
    session_release(session);
    /* A length that goes past the end, one too few, a byte left over. */
    slot[0] = 200;
    cr_expect_eq(take(&request, in), STATUS_INVALID);
    slot[0] = 3;
    request.inputs[0].dims[0] = 2;
    cr_expect_eq(take(&request, in), STATUS_INVALID);
    request.inputs[0].dims[0] = 3;
    request.inputs[0].bytes++;
    request.input_end++;
    cr_expect_eq(take(&request, in), STATUS_INVALID);
    close_model();
}

Test(worker, booleans_are_zero_or_one) {
    struct value in[1];
    struct ring_request request = {
        .input_count = 1,
        .input_end = 3,
        .inputs = {{.type = DTYPE_BOOL, .rank = 1, .dims = {3}, .bytes = 3}}};
    open_model("x", DTYPE_BOOL, 3);
    memcpy(slot, "\0\1\377", 3);
    cr_assert_eq(take(&request, in), STATUS_OK);
    cr_assert_eq(memcmp(in[0].tensor.data, "\0\1\1", 3), 0);
    close_model();
}

Test(worker, signatures_are_json_whatever_the_names) {
    char text[512];
    const uint32_t outputs[] = {0};
    struct buf out = buf_of(text, sizeof text);
    open_model("a\"b\\cd\xc3\xa9", DTYPE_INT64, -1);
    cr_assert_eq(signature_write(bundle, outputs, 1, &out, &error), STATUS_OK, "%s", error.message);
    buf_u8(&out, 0);
    cr_assert_str_eq(text, "{\"platform\":\"onnx_onnxv1\",\"inputs\":[{\"name\":"
                           "\"a\\\"b\\\\cd\xc3\xa9\",\"datatype\":\"INT64\",\"shape\":[-1]}"
                           "],\"outputs\":[{\"name\":\"out\",\"datatype\":\"INT64\","
                           "\"shape\":[-1]}]}");
    close_model();
    static const char *const bad[] = {"a\x80",    "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80",
                                      "\xe2\x82", "a\nb",     "\x7f",         "\x01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        open_model(bad[i], DTYPE_INT64, 2);
        out = buf_of(text, sizeof text);
        cr_expect_eq(signature_write(bundle, outputs, 1, &out, &error), STATUS_UNSERVABLE, "%zu",
                     i);
        close_model();
    }
    open_model("x", DTYPE_INT64, 2);
    out = buf_of(text, sizeof text);
    cr_expect_eq(signature_write(bundle, outputs, 0, &out, &error), STATUS_UNSERVABLE,
                 "nothing that could be answered");
    close_model();
    open_model("x", DTYPE_FLOAT8E5M2, 2);
    out = buf_of(text, sizeof text);
    cr_expect_eq(signature_write(bundle, outputs, 1, &out, &error), STATUS_UNSERVABLE);
    close_model();
}

/* --- the engine in the sandbox ------------------------------------------------------------------
 */

static void *multiply(void *failed) {
    enum { SIDE = 300 };
    float *a = calloc(SIDE * SIDE, sizeof *a), *b = calloc(SIDE * SIDE, sizeof *b);
    float *c = calloc(SIDE * SIDE, sizeof *c);
    double *d = calloc(SIDE * SIDE, sizeof *d);
    for (int i = 0; i < SIDE * SIDE; i++)
        a[i] = b[i] = 1;
    for (size_t m = 1; m <= SIDE; m += 299) {
        const struct gemm_shape shape = {
            .m = m, .n = SIDE, .k = SIDE, .lda = SIDE, .ldb = SIDE, .ldc = SIDE};
        gemm_f32(&shape, 1, a, b, 0, c);
        gemm_f64(&shape, 1, d, d, 0, d);
        if (c[0] != SIDE)
            *(_Atomic int *)failed = 1;
    }
    free(a);
    free(b);
    free(c);
    free(d);
    return NULL;
}

/* OpenBLAS gets its buffers at its first products, and more of them in more threads, by calls that
 * the sandbox refuses: it must go on without. */
Test(worker, products_need_no_warming_up) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        _Atomic int failed = 0;
        pthread_t threads[3];
        if (sandbox_enter(ROLE_WORKER, NULL, 0, &error) != STATUS_OK)
            _exit(2);
        for (int i = 0; i < 3; i++)
            if (pthread_create(&threads[i], NULL, multiply, (void *)&failed) != 0)
                _exit(3);
        multiply((void *)&failed);
        for (int i = 0; i < 3; i++)
            pthread_join(threads[i], NULL);
        _exit(failed);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0, "status %x", (unsigned)status);
}

/* --- loads that are not whole ------------------------------------------------------------------
 */

static const uint8_t key_bytes[AGE_FILE_KEY_SIZE] = "0123456789abcdef";
static struct loading_table table;

static struct message_load ask_for(uint64_t load) {
    return (struct message_load){.load = load,
                                 .model = 7,
                                 .header = bytes_text("header"),
                                 .wrapped = bytes_text("wrapped"),
                                 .payload_bytes = 100};
}

Test(worker, a_load_is_whole_in_any_order) {
    const struct secret_options unlocked = {.allow_unlocked = true};
    secret_configure(&unlocked);
    const struct message_load ask = ask_for(1);
    const struct bytes key = bytes_of(key_bytes, sizeof key_bytes);
    int payload = open("/dev/null", O_RDONLY);
    /* A key nobody asked for is not kept. */
    cr_assert_null(loading_key(&table, 1, key, &error));
    struct loading *l = loading_payload(&table, 1, payload, 0, &error);
    cr_assert_not_null(l);
    cr_assert_null(loading_key(&table, 1, key, &error));
    cr_assert_eq(loading_asked(&table, &ask, 0, &error), l);
    cr_assert_not(loading_complete(l));
    cr_assert_null(loading_key(&table, 1, bytes_of("short", 5), &error));
    cr_assert_eq(loading_key(&table, 1, key, &error), l);
    cr_assert(loading_complete(l));
    cr_assert_null(l->header, "not needed any more");
    cr_assert_null(loading_key(&table, 1, key, &error), "only once");
    cr_assert_null(loading_asked(&table, &ask, 0, &error), "only once");
    cr_assert_null(loading_payload(&table, 1, payload, 0, &error), "only once");
    loading_take(&table, l);
    cr_assert_null(loading_find(&table, 1));
    loading_free(l);
    cr_assert_eq(fcntl(payload, F_GETFD), -1, "closed");
    loading_free(NULL);
}

Test(worker, the_table_of_loads_is_bounded_and_forgets) {
    for (uint64_t i = 0; i < LOADING_MAX; i++) {
        const struct message_load ask = ask_for(i);
        cr_assert_not_null(loading_asked(&table, &ask, i, &error));
    }
    const struct message_load more = ask_for(1000);
    cr_assert_null(loading_asked(&table, &more, 0, &error));
    cr_assert_eq(error.status, STATUS_UNAVAILABLE);
    cr_assert_null(loading_late(&table, LOADING_PATIENCE_MS - 1));
    struct loading *late = loading_late(&table, LOADING_PATIENCE_MS);
    cr_assert_eq(late->load, 0);
    loading_take(&table, late);
    loading_free(late);
    cr_assert_not_null(loading_asked(&table, &more, 0, &error));
    struct message_load odd = ask_for(2000);
    odd.commitment = bytes_of(key_bytes, 16);
    cr_assert_null(loading_asked(&table, &odd, 0, &error), "a commitment has 32 bytes or none");
}

/* A payload whose LOAD never comes: ledger did not ask, so nothing may be said to it. */
Test(worker, a_payload_that_nobody_asked_for_is_dropped_in_silence) {
    struct loading *orphan = loading_payload(&table, 1, open("/dev/null", O_RDONLY), 0, &error);
    const struct message_load ask = ask_for(2);
    cr_assert_not_null(orphan);
    cr_assert_not_null(loading_asked(&table, &ask, 0, &error));
    cr_assert_null(loading_orphan(&table, LOADING_PATIENCE_MS - 1));
    cr_assert_eq(loading_orphan(&table, LOADING_PATIENCE_MS), orphan);
    cr_assert_eq(loading_late(&table, LOADING_PATIENCE_MS)->load, 2, "that one was asked for");
    loading_take(&table, orphan);
    loading_free(orphan);
    cr_assert_null(loading_orphan(&table, LOADING_PATIENCE_MS));
}

/* The machine's limits are the operator's business: the tenant learns what its model needs. */
Test(worker, too_little_locked_memory_is_said_without_the_machine) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {65536, 65536};
        const struct secret_options strict = {0};
        struct plaintext plaintext = {0};
        struct loading loading = {.load = 7, .payload = memfd_create("payload", MFD_CLOEXEC)};
        loading.payload_bytes = (1 << 20) + 16 + 16 * 16;
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(2);
        secret_configure(&strict);
        loading.file_key = secret_alloc(AGE_FILE_KEY_SIZE, &error);
        if (ftruncate(loading.payload, (off_t)loading.payload_bytes) != 0 || !loading.file_key ||
            setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
            _exit(3);
        if (plaintext_open(&loading, 1, &plaintext, &error) != STATUS_UNAVAILABLE)
            _exit(4);
        _exit(strcmp(error.message, "the model needs 1 MiB of locked memory, more than this server "
                                    "gives a tenant") != 0);
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert_eq(status, 0, "status %x", (unsigned)status);
}

/* What a policy asks for is not given up because the configuration would be content with less. */
static int open_with_too_little(uint8_t memory) {
    int status;
    pid_t child = fork();
    if (child == 0) {
        const struct rlimit limit = {65536, 65536};
        const struct secret_options lax = {.allow_unlocked = true};
        struct plaintext plaintext = {0};
        struct loading loading = {
            .load = 7, .memory = memory, .payload = memfd_create("payload", MFD_CLOEXEC)};
        loading.payload_bytes = (1 << 20) + 16 + 16 * 16;
        if (geteuid() == 0 && setresuid(65534, 65534, 65534) != 0)
            _exit(200);
        secret_configure(&lax);
        loading.file_key = secret_alloc(AGE_FILE_KEY_SIZE, &error);
        if (ftruncate(loading.payload, (off_t)loading.payload_bytes) != 0 || !loading.file_key ||
            setrlimit(RLIMIT_MEMLOCK, &limit) != 0)
            _exit(201);
        _exit((int)plaintext_open(&loading, 1, &plaintext, &error));
    }
    cr_assert_eq(waitpid(child, &status, 0), child);
    cr_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

Test(worker, a_policy_that_asks_for_better_memory_gets_it_or_refuses) {
    /* Zeros do not decrypt: that is what is said once there is memory. */
    cr_expect_eq(open_with_too_little(MESSAGE_MEMORY_CONFIGURED), STATUS_INVALID);
    cr_expect_eq(open_with_too_little(MESSAGE_MEMORY_LOCKED), STATUS_UNSERVABLE);
    cr_expect_eq(open_with_too_little(MESSAGE_MEMORY_SECRET), STATUS_UNSERVABLE);
}
