/* libFuzzer target: the configuration file. What is accepted lies in the ranges that base/config.h
 * names, with absolute paths and addresses that can be listened on. */
#include "base/config.h"
#include "tests/fuzz/fuzz.h"

static void check_path(const char path[CONFIG_PATH_MAX]) {
    FUZZ_REQUIRE(path[0] == '/' && memchr(path, '\0', CONFIG_PATH_MAX) != NULL);
}

static void check(const struct config *c) {
    FUZZ_REQUIRE(c->listen_count >= 1 && c->listen_count <= CONFIG_LISTEN_MAX);
    for (size_t i = 0; i < c->listen_count; i++) {
        char host[CONFIG_ADDRESS_MAX];
        uint16_t port;
        FUZZ_REQUIRE(memchr(c->listen[i], '\0', CONFIG_ADDRESS_MAX) != NULL);
        FUZZ_REQUIRE(config_address(c->listen[i], host, sizeof host, &port, NULL) == STATUS_OK);
    }
    check_path(c->data);
    check_path(c->tls_certificate);
    check_path(c->tls_key);
    check_path(c->root_identity);
    check_path(c->signing_key);
    FUZZ_REQUIRE(c->user_base >= 1000);
    FUZZ_REQUIRE(c->worker.slots >= 1 && c->worker.slots <= 256);
    FUZZ_REQUIRE(c->limits.body_bytes >= 1024 && c->limits.body_bytes <= (uint64_t)4 << 30);
    FUZZ_REQUIRE(c->limits.connections >= 1 && c->limits.connections_per_source >= 1);
    FUZZ_REQUIRE(c->limits.connections_per_source <= c->limits.connections);
    FUZZ_REQUIRE(c->tls_minimum == 12 || c->tls_minimum == 13);
    FUZZ_REQUIRE(c->drain.time_ms >= 1000 && c->limits.failures_per_source >= 1);
    if (c->tls_client_ca[0])
        check_path(c->tls_client_ca);
    if (c->admin_socket[0])
        check_path(c->admin_socket);
    FUZZ_REQUIRE(c->metrics_listen[0] == '\0' || strncmp(c->metrics_listen, "127.", 4) == 0 ||
                 strncmp(c->metrics_listen, "[::1]:", 6) == 0);
    FUZZ_REQUIRE(c->limits.deadline_ms >= 1 && c->limits.request_timeout_ms >= 100);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct config config, untouched;
    struct error error;
    uint8_t *copy = fuzz_copy(data, size);
    memset(&config, 0xa5, sizeof config);
    memset(&error, 0xa5, sizeof error);
    memcpy(&untouched, &config, sizeof config);
    if (config_parse(copy, size, "/etc/strongroom", &config, &error) == STATUS_OK) {
        check(&config);
    } else {
        FUZZ_REQUIRE(memcmp(&config, &untouched, sizeof config) == 0);
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
    }
    free(copy);
    return 0;
}
