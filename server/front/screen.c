#include "server/front/screen.h"

#include <string.h>
#include <strings.h>

/* Fields that are looked at. Those from ACCEPT_ENCODING on say nothing where they are repeated; any
 * other may stand once only. */
enum field {
    CONTENT_LENGTH,
    TRANSFER_ENCODING,
    HOST,
    AUTHORIZATION,
    API_KEY,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    EXPECT,
    JSON_SIZE,
    REQUEST_ID,
    TIMEOUT,
    SIGNATURE,
    ACCEPT_ENCODING,
    TRACEPARENT,
    TRACESTATE,
    FIELD_COUNT
};

static const char *const field_names[FIELD_COUNT] = {
    [CONTENT_LENGTH] = "Content-Length",
    [TRANSFER_ENCODING] = "Transfer-Encoding",
    [HOST] = "Host",
    [AUTHORIZATION] = "Authorization",
    [API_KEY] = "X-Api-Key",
    [CONTENT_TYPE] = "Content-Type",
    [CONTENT_ENCODING] = "Content-Encoding",
    [EXPECT] = "Expect",
    [JSON_SIZE] = "Inference-Header-Content-Length",
    [REQUEST_ID] = "X-Request-Id",
    [TIMEOUT] = "X-Request-Timeout-Ms",
    [SIGNATURE] = "X-Model-Signature",
    [ACCEPT_ENCODING] = "Accept-Encoding",
    [TRACEPARENT] = "traceparent",
    [TRACESTATE] = "tracestate",
};

static bool is_token(const char *text) {
    if (!*text)
        return false;
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (!alnum && !strchr("!#$%&'*+-.^_`|~", c))
            return false;
    }
    return true;
}

static bool has_control(const char *text) {
    for (; *text; text++)
        if (((unsigned char)*text < 0x20 && *text != '\t') || *text == 0x7f)
            return true;
    return false;
}

/* Digits only, at most 18 of them: no sign, no space, no list. */
static bool whole_number(const char *text, uint64_t *out) {
    uint64_t value = 0;
    size_t size = strlen(text);
    if (!size || size > 18)
        return false;
    for (size_t i = 0; i < size; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (uint64_t)(text[i] - '0');
    }
    *out = value;
    return true;
}

/* Is `option` among the comma-separated words of `list`? */
static bool list_has(const char *list, const char *option) {
    size_t wanted = strlen(option);
    while (*list) {
        list += strspn(list, " \t,");
        size_t size = strcspn(list, " \t,");
        if (size == wanted && strncasecmp(list, option, size) == 0)
            return true;
        list += size;
    }
    return false;
}

static void take_request_id(const char *value, struct screen *screen) {
    size_t size = value ? strlen(value) : 0;
    if (!size || size > MESSAGE_REQUEST_ID_MAX)
        return;
    for (size_t i = 0; i < size; i++) {
        char c = value[i];
        if (!((c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              c == '-' || c == '_' || c == '.'))
            return;
    }
    memcpy(screen->request_id, value, size + 1);
}

static void take_trace(const char *parent, const char *state, struct screen *screen) {
    if (!parent || !trace_parent_valid(parent))
        return;
    memcpy(screen->traceparent, parent, SCREEN_TRACEPARENT_SIZE);
    screen->traceparent[SCREEN_TRACEPARENT_SIZE] = '\0';
    if (state && trace_state_valid(state))
        screen->tracestate = state;
}

/* `Bearer <key>` or the bare key. Another scheme is no key: the answer is 401 then. */
static enum status take_token(const char *const found[FIELD_COUNT], struct screen *screen,
                              struct error *error) {
    const char *authorization = found[AUTHORIZATION], *key = found[API_KEY];
    if (authorization && key)
        return status_fail(error, STATUS_INVALID,
                           "both Authorization and X-Api-Key are given; send one");
    if (authorization) {
        if (strncasecmp(authorization, "Bearer ", 7) != 0)
            return STATUS_OK;
        key = authorization + 7;
        key += strspn(key, " ");
    }
    if (!key)
        return STATUS_OK;
    size_t size = strlen(key);
    while (size && (key[size - 1] == ' ' || key[size - 1] == '\t'))
        size--;
    if (size > 0 && size <= MESSAGE_TOKEN_MAX) {
        screen->token = key;
        screen->token_size = size;
    }
    return STATUS_OK;
}

static enum status take_framing(const char *method, const char *const found[FIELD_COUNT],
                                struct screen *screen, struct error *error) {
    if (found[TRANSFER_ENCODING] && found[CONTENT_LENGTH])
        return status_fail(error, STATUS_INVALID,
                           "both Content-Length and Transfer-Encoding are given");
    if (found[TRANSFER_ENCODING])
        return status_fail(error, STATUS_LENGTH_REQUIRED,
                           "Transfer-Encoding is not taken; send Content-Length");
    if (found[CONTENT_LENGTH]) {
        if (!whole_number(found[CONTENT_LENGTH], &screen->content_length))
            return status_fail(error, STATUS_INVALID, "Content-Length is not a number");
        screen->has_length = true;
    }
    /* A method that no path has gets its 401 or 405, whatever comes with it. */
    if (screen->content_length && (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0 ||
                                   strcmp(method, "DELETE") == 0))
        return status_fail(error, STATUS_INVALID, "%.16s takes no body", method);
    if (found[EXPECT]) {
        if (strcasecmp(found[EXPECT], "100-continue") != 0)
            return status_fail(error, STATUS_INVALID, "Expect can only be 100-continue");
        screen->expects_continue = true;
    }
    return STATUS_OK;
}

static enum status take_numbers(const char *const found[FIELD_COUNT], struct screen *screen,
                                struct error *error) {
    static const struct {
        enum field field;
        size_t flag, value;
    } numbers[] = {
        {JSON_SIZE, offsetof(struct screen, has_json_size), offsetof(struct screen, json_size)},
        {TIMEOUT, offsetof(struct screen, has_timeout), offsetof(struct screen, timeout_ms)},
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        const char *text = found[numbers[i].field];
        if (!text)
            continue;
        if (!whole_number(text, (uint64_t *)((char *)screen + numbers[i].value)))
            return status_fail(error, STATUS_INVALID, "%s is not a number",
                               field_names[numbers[i].field]);
        *(bool *)((char *)screen + numbers[i].flag) = true;
    }
    return STATUS_OK;
}

static enum status collect(const struct screen_field *fields, size_t count,
                           const char *found[FIELD_COUNT], const char **connection,
                           struct error *error) {
    unsigned repeated = 0;
    for (size_t i = 0; i < count; i++) {
        if (!is_token(fields[i].name))
            return status_fail(error, STATUS_INVALID, "a header has a malformed name");
        if (has_control(fields[i].value))
            return status_fail(error, STATUS_INVALID, "a header holds a control character");
        if (strcasecmp(fields[i].name, "Connection") == 0)
            *connection = fields[i].value;
        for (size_t f = 0; f < FIELD_COUNT; f++) {
            if (strcasecmp(fields[i].name, field_names[f]) != 0)
                continue;
            if (found[f] && f < ACCEPT_ENCODING)
                return status_fail(error, STATUS_INVALID, "the header %s is repeated",
                                   field_names[f]);
            if (found[f])
                repeated |= 1u << f;
            found[f] = fields[i].value;
        }
    }
    for (size_t f = ACCEPT_ENCODING; f < FIELD_COUNT; f++)
        if (repeated >> f & 1)
            found[f] = NULL;
    return STATUS_OK;
}

enum status screen_headers(const char *method, const char *version,
                           const struct screen_field *fields, size_t count, struct screen *screen,
                           struct error *error) {
    const char *found[FIELD_COUNT] = {0}, *connection = NULL;
    bool old = strcmp(version, "1.0") == 0;
    struct screen s = {0};
    enum status status;
    *screen = s;
    if (count > SCREEN_HEADERS_MAX)
        return status_fail(error, STATUS_INVALID, "more than %d headers", SCREEN_HEADERS_MAX);
    status = collect(fields, count, found, &connection, error);
    take_request_id(found[REQUEST_ID], screen);
    take_trace(found[TRACEPARENT], found[TRACESTATE], screen);
    if (status != STATUS_OK)
        return status;
    if (!old && (!found[HOST] || !*found[HOST]))
        return status_fail(error, STATUS_INVALID, "the header Host is missing");
    status = take_framing(method, found, &s, error);
    if (status == STATUS_OK)
        status = take_token(found, &s, error);
    if (status == STATUS_OK)
        status = take_numbers(found, &s, error);
    if (status != STATUS_OK)
        return status;
    s.wants_close = connection ? !list_has(connection, "keep-alive") : old;
    s.coding = compress_coding_of(found[CONTENT_ENCODING]);
    s.encoded = s.coding != COMPRESS_IDENTITY;
    s.accepts = compress_accepted(found[ACCEPT_ENCODING]);
    s.content_type = found[CONTENT_TYPE];
    s.has_signature = found[SIGNATURE] != NULL;
    memcpy(s.request_id, screen->request_id, sizeof s.request_id);
    memcpy(s.traceparent, screen->traceparent, sizeof s.traceparent);
    s.tracestate = screen->tracestate;
    *screen = s;
    return STATUS_OK;
}

bool screen_type_known(const char *type) {
    static const char *const known[] = {SCREEN_TYPE_JSON, SCREEN_TYPE_BYTES, SCREEN_TYPE_FORM,
                                        SCREEN_TYPE_TEXT};
    if (!type)
        return true;
    size_t size = strcspn(type, "; \t"); /* parameters change nothing */
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strlen(known[i]) == size && strncasecmp(type, known[i], size) == 0)
            return true;
    return false;
}
