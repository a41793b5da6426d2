/* The table of routes against the description of the API: the same paths and methods, the same
 * scopes, and what is open in the one is open in the other. */
#include "server/front/openapi.h"
#include "server/front/routes.h"
#include "store/scope.h"

#include <criterion/criterion.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#define SCOPE_NONE 0u
static const uint32_t scope_of[ACTION_COUNT] = {
#define ROW(NAME, scope, text) [ACTION_##NAME] = SCOPE_##scope,
    MESSAGE_ACTIONS(ROW)
#undef ROW
};

static json_t *document(void) {
    size_t size;
    json_error_t error;
    const void *bytes = openapi_document(&size);
    json_t *root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &error);
    cr_assert(root, "line %d: %s", error.line, error.text);
    return root;
}

/* "/v1/keys/{k}" as the description writes it: "/v1/keys/{key}". */
static void described(const char *pattern, char out[256]) {
    static const struct {
        const char *ours, *theirs;
    } names[] = {{"{m}", "{model}"}, {"{v}", "{version}"}, {"{k}", "{key}"}, {"{r}", "{region}"}};
    size_t used = 0;
    while (*pattern) {
        const char *text = NULL;
        for (size_t i = 0; i < 4 && !text; i++)
            if (strncmp(pattern, names[i].ours, 3) == 0)
                text = names[i].theirs;
        cr_assert_lt(used + 16, 256);
        if (text) {
            memcpy(out + used, text, strlen(text));
            used += strlen(text);
            pattern += 3;
        } else {
            out[used++] = *pattern++;
        }
    }
    out[used] = '\0';
}

static const json_t *operation(const json_t *root, const struct route *route) {
    char path[256], method[16];
    size_t i = 0;
    described(route->pattern, path);
    for (; route->method[i]; i++)
        method[i] = (char)(route->method[i] | 0x20);
    method[i] = '\0';
    return json_object_get(json_object_get(json_object_get(root, "paths"), path), method);
}

Test(front_routes, every_route_is_described) {
    json_t *root = document();
    size_t count;
    const struct route *routes = routes_table(&count);
    for (size_t i = 0; i < count; i++) {
        const struct route *r = &routes[i];
        const json_t *o = operation(root, r);
        char scope[SCOPE_TEXT_MAX];
        cr_assert(o, "%s %s is not described", r->method, r->pattern);
        scope_format(scope_of[r->action], scope);
        const char *wanted = r->open ? "none" : scope[0] ? scope : "any";
        const char *found = json_string_value(json_object_get(o, "x-strongroom-scope"));
        cr_expect_str_eq(found, wanted, "%s %s", r->method, r->pattern);
        cr_expect_eq(json_array_size(json_object_get(o, "security")) == 0, r->open, "%s %s",
                     r->method, r->pattern);
        /* What takes no query has no parameters in it; what takes some describes them. */
        bool queried = false;
        size_t n;
        json_t *parameter;
        json_array_foreach(json_object_get(o, "parameters"), n, parameter) {
            const char *in = json_string_value(json_object_get(parameter, "in"));
            queried = queried || (in && strcmp(in, "query") == 0);
        }
        if (r->action != ACTION_NOT_OFFERED)
            cr_expect_eq(queried, r->takes_query, "%s %s", r->method, r->pattern);
    }
    json_decref(root);
}

Test(front_routes, everything_that_is_described_is_a_route) {
    json_t *root = document(), *methods, *value;
    size_t count, operations = 0;
    const char *path, *method;
    const struct route *routes = routes_table(&count);
    json_object_foreach(json_object_get(root, "paths"), path, methods) {
        json_object_foreach(methods, method, value) {
            bool found = false;
            if (strcmp(method, "parameters") == 0)
                continue;
            operations++;
            for (size_t i = 0; i < count && !found; i++)
                found = operation(root, &routes[i]) == value;
            cr_expect(found, "%s %s is no route", method, path);
        }
    }
    cr_expect_eq(operations, count);
    json_decref(root);
}

Test(front_routes, literals_come_before_names) {
    struct route_match m;
    struct error error = {0};
    cr_assert_eq(routes_match("GET", "/v2/models/stats", &m, &error), STATUS_OK);
    cr_expect_eq(m.route->action, ACTION_STATISTICS);
    cr_expect_str_empty(m.model);
    cr_assert_eq(routes_match("GET", "/v2/models/stats/versions/1", &m, &error), STATUS_OK);
    cr_expect_str_eq(m.model, "stats");
    cr_assert_eq(routes_match("POST", "/v2/models/stats", &m, &error), STATUS_METHOD);
    cr_expect_str_eq(m.allow, "GET, HEAD");
    cr_assert_eq(routes_match("DELETE", "/v1/keys", &m, &error), STATUS_METHOD);
    cr_expect_str_eq(m.allow, "GET, HEAD, POST");
    cr_assert_eq(routes_match("DELETE", "/v1/keys/abcdefghijkl", &m, &error), STATUS_OK);
    cr_expect_str_eq(m.key, "abcdefghijkl");
    cr_expect_eq(routes_match("GET", "/v1/keys/a!b", &m, &error), STATUS_NOT_FOUND);
    cr_expect_eq(routes_match("GET", "/v1/keys/", &m, &error), STATUS_NOT_FOUND);
    cr_expect_eq(routes_match("GET", "/v2/systemsharedmemory/region//status", &m, &error),
                 STATUS_INVALID);
    cr_expect_eq(routes_match("GET", "/v2/systemsharedmemory/region/a!b/status", &m, &error),
                 STATUS_OK);
}
