#include "tests/fuzz/front_json.h"

#include <errno.h>
#include <math.h>

#include "server/front/json_reader.h"
#include "tests/fuzz/front_jansson.h"
#include "tests/fuzz/fuzz.h"

/* Our limits, which Jansson does not have. */
static bool is_limit(const char *message) {
    return strstr(message, "nested deeper") || strstr(message, "a number longer");
}

static void check_string(const uint8_t *data, size_t size, const char *wanted, size_t wanted_size) {
    struct json_reader reader = json_reader_of(data, size);
    struct json_text text;
    struct error error;
    size_t length = 0;
    FUZZ_REQUIRE(json_reader_string(&reader, &text, &error) == STATUS_OK);
    uint8_t *decoded = fuzz_copy(text.data, text.size);
    FUZZ_REQUIRE(json_text_decode(&text, decoded, text.size, &length));
    FUZZ_REQUIRE(length == wanted_size && memcmp(decoded, wanted, length) == 0);
    FUZZ_REQUIRE(length == 0 || !json_text_decode(&text, decoded, length - 1, &length));
    FUZZ_REQUIRE(json_text_is(&text, wanted) == (strlen(wanted) == wanted_size));
    free(decoded);
}

void front_json_text(const uint8_t *data, size_t size) {
    struct json_reader reader = json_reader_of(data, size);
    struct front_jansson theirs = front_jansson_load(data, size);
    struct error error = {.message = ""};
    enum status status = json_reader_skip(&reader, &error);
    if (status == STATUS_OK)
        status = json_reader_end(&reader, &error);
    if (memchr(data, '\0', size)) {
        FUZZ_REQUIRE(status != STATUS_OK); /* Jansson lets one pass behind a number */
    } else if (status == STATUS_OK) {
        FUZZ_REQUIRE(theirs.accepted || theirs.at_limit);
        if (theirs.string)
            check_string(data, size, theirs.string, theirs.size);
    } else {
        FUZZ_REQUIRE(error.message[0] && (!theirs.accepted || is_limit(error.message)));
    }
    free(theirs.string);
}

void front_json_number(const uint8_t *data, size_t size) {
    struct json_reader reader = json_reader_of(data, size);
    struct json_number number;
    struct error error;
    if (json_reader_number(&reader, &number, &error) != STATUS_OK)
        return;
    char *text = fuzz_text(number.text, number.size), *end;
    double wide = 0, wanted_wide = strtod(text, &end);
    FUZZ_REQUIRE(*end == '\0');
    float narrow = 0, wanted_narrow = strtof(text, NULL);
    bool has_wide = json_number_f64(&number, &wide), has_narrow = json_number_f32(&number, &narrow);
    FUZZ_REQUIRE(has_wide == isfinite(wanted_wide) && has_narrow == isfinite(wanted_narrow));
    FUZZ_REQUIRE(!has_wide || memcmp(&wide, &wanted_wide, sizeof wide) == 0);
    FUZZ_REQUIRE(!has_narrow || memcmp(&narrow, &wanted_narrow, sizeof narrow) == 0);

    bool whole = !strpbrk(text, ".eE");
    int64_t i = 0;
    errno = 0;
    long long wanted_i = strtoll(text, NULL, 10);
    FUZZ_REQUIRE(json_number_i64(&number, &i) == (whole && errno == 0));
    FUZZ_REQUIRE(!whole || errno || i == wanted_i);
    uint64_t u = 0;
    errno = 0;
    unsigned long long wanted_u = strtoull(text, NULL, 10);
    /* strtoull takes -1 for its complement; a reader of unsigned numbers takes -0 at most. */
    bool good_u = whole && errno == 0 && (text[0] != '-' || wanted_u == 0);
    FUZZ_REQUIRE(json_number_u64(&number, &u) == good_u);
    FUZZ_REQUIRE(!good_u || u == wanted_u);
    free(text);
}
