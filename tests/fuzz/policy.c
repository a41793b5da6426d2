/* libFuzzer target: a policy. What is accepted lies in the ranges of its table, can be shown, and
 * its networks are read as they are written. */
#include "tenancy/policy.h"
#include "store/scope.h"
#include "tests/fuzz/fuzz.h"

static void check_number(uint64_t value, uint64_t low, uint64_t high) {
    FUZZ_REQUIRE(value == 0 || (value >= low && value <= high));
}

static void check(const struct policy *p) {
    FUZZ_REQUIRE(memchr(p->name, '\0', sizeof p->name) && name_valid(p->name, strlen(p->name)));
    FUZZ_REQUIRE(p->scopes && !(p->scopes & ~(uint64_t)SCOPE_ALL));
    FUZZ_REQUIRE(p->tls == 0 || p->tls == 12 || p->tls == 13);
    FUZZ_REQUIRE(p->domains && p->domains < 8);
    FUZZ_REQUIRE(p->memory <= POLICY_MEMORY_SECRET && p->detail <= POLICY_DETAIL_MINIMAL &&
                 p->client <= POLICY_CLIENT_NONE && p->certificates <= 1);
    check_number(p->body_bytes, 1024, UINT64_C(1) << 32);
    check_number(p->model_bytes, 1024, UINT64_C(1) << 40);
    check_number(p->models, 1, 1000000);
    check_number(p->deadline_ms, 1, 3600000);
    FUZZ_REQUIRE(p->network_count <= POLICY_NETWORKS_MAX);
    for (size_t i = 0; i < p->network_count; i++) {
        char text[NETWORK_TEXT_MAX];
        struct network again;
        network_format(&p->networks[i], text);
        FUZZ_REQUIRE(network_parse(text, &again, NULL) == STATUS_OK);
        FUZZ_REQUIRE(network_equal(&again, &p->networks[i]));
        FUZZ_REQUIRE(network_contains(&again, p->networks[i].address));
    }
    for (size_t i = 0; i < policy_fields_count; i++) {
        char value[POLICY_VALUE_MAX];
        policy_value(p, &policy_fields[i], value);
        FUZZ_REQUIRE(strlen(value) > 0 && strlen(value) < sizeof value);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static struct policy policy, untouched;
    struct error error;
    uint8_t *copy = fuzz_copy(data, size);
    memset(&policy, 0xa5, sizeof policy);
    memset(&error, 0xa5, sizeof error);
    memcpy(&untouched, &policy, sizeof policy);
    if (policy_parse(copy, size, &policy, &error) == STATUS_OK) {
        check(&policy);
    } else {
        FUZZ_REQUIRE(memcmp(&policy, &untouched, sizeof policy) == 0);
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
    }
    free(copy);
    return 0;
}
