/* libFuzzer target: the text of a recipient note. There is one way to write each, so what parses is
 * written again as the same bytes. */
#include "base/recipient_text.h"
#include "base/name.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    uint8_t *copy = fuzz_copy(data, size), *again = fuzz_copy(data, size);
    struct recipient_text parts, untouched;
    struct error error;
    memset(&parts, 0xa5, sizeof parts);
    memset(&error, 0xa5, sizeof error);
    memcpy(&untouched, &parts, sizeof parts);
    if (recipient_text_parse(bytes_of(copy, size), &parts, &error) == STATUS_OK) {
        struct buf out = buf_of(again, size);
        FUZZ_REQUIRE(size <= RECIPIENT_TEXT_MAX);
        FUZZ_REQUIRE(parts.tenant.size == MESSAGE_UID_MAX);
        FUZZ_REQUIRE(name_valid((const char *)parts.name.data, parts.name.size));
        memset(again, 0, size);
        FUZZ_REQUIRE(recipient_text_write(&parts, &out, &error) == STATUS_OK);
        FUZZ_REQUIRE(out.size == size && memcmp(copy, again, size) == 0);
    } else {
        FUZZ_REQUIRE(memcmp(&parts, &untouched, sizeof parts) == 0);
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
    }
    free(copy);
    free(again);
    return 0;
}
