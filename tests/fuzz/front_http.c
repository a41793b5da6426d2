/* libFuzzer target: what the front reads of HTTP before a body is decoded. The first byte chooses
 * between the screen of the headers, the router with the real table, a query, and the split of an
 * upload. */
#include <strings.h>

#include "base/instant.h"
#include "base/name.h"
#include "server/front/handlers.h"
#include "server/front/query.h"
#include "server/front/routes.h"
#include "server/front/screen.h"
#include "server/front/upload_split.h"
#include "tests/fuzz/fuzz.h"

/* The table of routes names its handlers; finding a route must not call one. */
#define UNREACHED(name)                                                                            \
    void name(struct exchange *exchange) {                                                         \
        (void)exchange;                                                                            \
        abort();                                                                                   \
    }
UNREACHED(handle_health_live)
UNREACHED(handle_health_ready)
UNREACHED(handle_model_server)
UNREACHED(handle_model_metadata)
UNREACHED(handle_model_ready)
UNREACHED(handle_infer)
UNREACHED(handle_repository_index)
UNREACHED(handle_repository_load)
UNREACHED(handle_repository_unload)
UNREACHED(handle_repository_delete)
UNREACHED(handle_upload)
UNREACHED(handle_tenant_recipient)
UNREACHED(handle_tenant_audit)
UNREACHED(handle_tenant_usage)
UNREACHED(handle_model_config)
UNREACHED(handle_model_statistics)
UNREACHED(handle_key_list)
UNREACHED(handle_key_show)
UNREACHED(handle_key_create)
UNREACHED(handle_key_revoke)
UNREACHED(handle_never_memory)
UNREACHED(handle_never_trace)
UNREACHED(handle_never_logging)
UNREACHED(handle_openapi)
UNREACHED(handle_metrics)

/* --- headers ------------------------------------------------------------------------------- */

/* Cut `*at` at the next `mark`, put a zero there, and step over it. */
static char *cut(char **at, char mark) {
    char *begin = *at, *end = strchr(begin, mark);
    if (end)
        *end = '\0';
    *at = end ? end + 1 : begin + strlen(begin);
    return begin;
}

static size_t count_of(const struct screen_field *fields, size_t count, const char *name) {
    size_t found = 0;
    for (size_t i = 0; i < count; i++)
        found += strcasecmp(fields[i].name, name) == 0;
    return found;
}

static void check_screen(const struct screen *s, const struct screen_field *fields, size_t count) {
    static const char *const once[] = {"Content-Length", "Host", "Authorization", "X-Api-Key",
                                       "Content-Type"};
    for (size_t i = 0; i < sizeof once / sizeof *once; i++)
        FUZZ_REQUIRE(count_of(fields, count, once[i]) <= 1);
    FUZZ_REQUIRE(count <= SCREEN_HEADERS_MAX && !count_of(fields, count, "Transfer-Encoding"));
    FUZZ_REQUIRE(s->has_length == (count_of(fields, count, "Content-Length") == 1));
    FUZZ_REQUIRE(s->has_length || s->content_length == 0);
    FUZZ_REQUIRE(s->content_length < UINT64_C(1000000000000000000));
    FUZZ_REQUIRE(!s->token || (s->token_size >= 1 && s->token_size <= MESSAGE_TOKEN_MAX &&
                               strnlen(s->token, s->token_size) == s->token_size));
    FUZZ_REQUIRE(
        !(count_of(fields, count, "Authorization") && count_of(fields, count, "X-Api-Key")));
    FUZZ_REQUIRE(strlen(s->request_id) <= MESSAGE_REQUEST_ID_MAX);
    FUZZ_REQUIRE(!s->traceparent[0] || strlen(s->traceparent) == SCREEN_TRACEPARENT_SIZE);
}

/* Method, version, then a field a line, name and value parted by a colon. */
static void fuzz_screen(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *at = text;
    struct screen_field fields[SCREEN_HEADERS_MAX + 4];
    struct screen screen;
    struct error error;
    size_t count = 0;
    const char *method = cut(&at, '\n'), *version = cut(&at, '\n');
    while (*at && count < sizeof fields / sizeof *fields) {
        char *line = cut(&at, '\n');
        fields[count].name = cut(&line, ':');
        fields[count++].value = line;
    }
    memset(&error, 0xa5, sizeof error);
    if (screen_headers(method, version, fields, count, &screen, &error) == STATUS_OK)
        check_screen(&screen, fields, count);
    else
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message) && !screen.token);
    free(text);
}

/* --- paths --------------------------------------------------------------------------------- */

/* The pattern with its names put in, which is what an unescaped path of this route looks like. */
static void expand(const struct route_match *match, char out[ROUTER_PATH_MAX]) {
    size_t n = 0;
    for (const char *at = match->route->pattern; *at;) {
        const char *name = NULL;
        if (strncmp(at, "{m}", 3) == 0)
            name = match->model;
        else if (strncmp(at, "{v}", 3) == 0)
            name = match->version;
        else if (strncmp(at, "{k}", 3) == 0)
            name = match->key;
        else if (strncmp(at, "{r}", 3) == 0)
            name = "r"; /* any segment does, and is not kept */
        if (name) {
            FUZZ_REQUIRE(name_valid(name, strlen(name)));
            memcpy(out + n, name, strlen(name));
            n += strlen(name);
            at += 3;
        } else {
            out[n++] = *at++;
        }
    }
    out[n] = '\0';
}

/* "METHOD path". */
static void fuzz_router(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size), *path = text;
    const char *method = cut(&path, ' ');
    struct route_match match, again;
    struct error error;
    memset(&error, 0xa5, sizeof error);
    enum status status = routes_match(method, path, &match, &error);
    if (status == STATUS_OK) {
        char plain[ROUTER_PATH_MAX];
        const char *served = strcmp(method, "HEAD") == 0 ? "GET" : method;
        FUZZ_REQUIRE(strcmp(match.route->method, served) == 0);
        expand(&match, plain);
        FUZZ_REQUIRE(strchr(path, '%') || strstr(match.route->pattern, "{r}") ||
                     strcmp(path, plain) == 0);
        FUZZ_REQUIRE(routes_match(method, plain, &again, &error) == STATUS_OK);
        FUZZ_REQUIRE(again.route == match.route && strcmp(again.model, match.model) == 0 &&
                     strcmp(again.version, match.version) == 0 &&
                     strcmp(again.key, match.key) == 0);
    } else {
        FUZZ_REQUIRE(status == STATUS_INVALID || status == STATUS_NOT_FOUND ||
                     status == STATUS_METHOD || status == STATUS_UNIMPLEMENTED);
        FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
        FUZZ_REQUIRE(status != STATUS_METHOD || match.allow[0]);
    }
    free(text);
}

/* --- queries ------------------------------------------------------------------------------- */

static void fuzz_query(const uint8_t *data, size_t size) {
    char *text = fuzz_text(data, size);
    struct query_value v[3] = {{.name = "limit"}, {.name = "from"}, {.name = "day"}};
    struct error error;
    uint64_t number = 77, time = 77;
    int32_t day = 77;
    memset(&error, 0xa5, sizeof error);
    enum status status = query_parse(text, v, 3, &error);
    if (status == STATUS_OK) {
        for (size_t i = 0; i < 3; i++)
            FUZZ_REQUIRE(!v[i].given || (v[i].text[0] && strlen(v[i].text) <= QUERY_VALUE_MAX));
        if ((status = query_number(&v[0], 5, 99, &number, &error)) == STATUS_OK)
            FUZZ_REQUIRE(number >= 5 && number <= 99);
        else
            FUZZ_REQUIRE(number == 77);
        if (status == STATUS_OK && (status = query_time(&v[1], &time, &error)) != STATUS_OK)
            FUZZ_REQUIRE(time == 77);
        if (status == STATUS_OK && (status = query_day(&v[2], &day, &error)) == STATUS_OK &&
            v[2].given) {
            char again[INSTANT_TEXT_SIZE];
            instant_format_day(day, again);
            FUZZ_REQUIRE(strcmp(again, v[2].text) == 0);
        }
    }
    if (status != STATUS_OK)
        FUZZ_REQUIRE(status == STATUS_INVALID &&
                     fuzz_explained(error.message, sizeof error.message));
    free(text);
}

/* --- uploads ------------------------------------------------------------------------------- */

struct split {
    uint8_t *header, *payload;
    size_t header_size, payload_size;
    bool good;
};

static struct split split_in(const uint8_t *data, size_t size, size_t step) {
    struct split s = {.header = malloc(MESSAGE_HEADER_MAX), .payload = malloc(size + 1)};
    struct upload_split split = upload_split_of(s.header);
    struct error error;
    enum status status = STATUS_OK;
    FUZZ_REQUIRE(s.header && s.payload);
    for (size_t at = 0; status == STATUS_OK && at < size; at += step) {
        const uint8_t *payload = NULL;
        size_t part = size - at < step ? size - at : step, left = 0;
        status = upload_split_take(&split, data + at, part, &payload, &left, &error);
        if (status != STATUS_OK)
            break;
        FUZZ_REQUIRE(left <= part && payload == data + at + part - left);
        memcpy(s.payload + s.payload_size, payload, left);
        s.payload_size += left;
    }
    if (status == STATUS_OK)
        status = upload_split_end(&split, &error);
    s.header_size = split.header_size;
    s.good = status == STATUS_OK;
    return s;
}

/* However the bytes arrive, the outcome is the same, and header and payload are the file. */
static void fuzz_upload(const uint8_t *data, size_t size) {
    static const char first[] = "age-encryption.org/v1\n";
    if (!size)
        return;
    size_t step = data[0] ? data[0] : 1;
    struct split whole = split_in(data + 1, size - 1, size),
                 parts = split_in(data + 1, size - 1, step);
    FUZZ_REQUIRE(whole.good == parts.good);
    if (whole.good) {
        FUZZ_REQUIRE(whole.header_size == parts.header_size &&
                     whole.payload_size == parts.payload_size &&
                     whole.header_size + whole.payload_size == size - 1);
        FUZZ_REQUIRE(memcmp(whole.header, data + 1, whole.header_size) == 0 &&
                     memcmp(parts.header, data + 1, whole.header_size) == 0);
        FUZZ_REQUIRE(memcmp(whole.payload, data + 1 + whole.header_size, whole.payload_size) == 0 &&
                     memcmp(parts.payload, whole.payload, whole.payload_size) == 0);
        FUZZ_REQUIRE(memcmp(whole.header, first, sizeof first - 1) == 0 &&
                     whole.header[whole.header_size - 1] == '\n');
    }
    free(whole.header);
    free(whole.payload);
    free(parts.header);
    free(parts.payload);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!size)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    switch (data[0]) {
    case 'P':
        fuzz_router(copy, size - 1);
        break;
    case 'Q':
        fuzz_query(copy, size - 1);
        break;
    case 'U':
        fuzz_upload(copy, size - 1);
        break;
    default:
        fuzz_screen(copy, size - 1);
        break;
    }
    free(copy);
    return 0;
}
