#include <stdio.h>
#include <time.h>

#include "tenancy/arguments.h"
#include "tenancy/handlers.h"

/* Days since 1970-01-01 that have four digits of a year: until 9999-12-31. */
#define DAY_MAX 2932896

struct listing {
    json_t *rows;
    const char *tenant; /* name; borrowed */
};

static json_t *day_text(int32_t day) {
    char text[32];
    struct tm parts;
    time_t seconds = (time_t)day * 86400;
    if (!gmtime_r(&seconds, &parts) || strftime(text, sizeof text, "%Y-%m-%d", &parts) == 0)
        return NULL;
    return json_string(text);
}

static enum status add_row(void *context, const struct store_usage *usage, struct error *error) {
    struct listing *listing = context;
    json_t *row =
        json_pack("{s:s,s:o,s:s,s:s,s:I,s:I,s:I,s:I,s:I}", "tenant", listing->tenant, "day",
                  day_text(usage->day), "key", usage->key, "model", usage->model, "requests",
                  (json_int_t)usage->requests, "errors", (json_int_t)usage->errors, "compute_us",
                  (json_int_t)usage->compute_us, "bytes_in", (json_int_t)usage->bytes_in,
                  "bytes_out", (json_int_t)usage->bytes_out);
    if (json_array_append_new(listing->rows, row) != 0)
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

static enum status add_tenant(void *context, const struct store_tenant *tenant,
                              struct error *error) {
    if (json_array_append_new(context, json_pack("{s:s,s:I}", "name", tenant->name, "id",
                                                 (json_int_t)tenant->id)) != 0)
        return handlers_no_memory(NULL, error);
    return STATUS_OK;
}

/* The tenants that are meant first, then each one's usage: a row of a listing must not ask the
 * store for more. */
static enum status find_tenants(struct tenancy *tenancy, const json_t *request, json_t *tenants,
                                struct error *error) {
    struct store_tenant tenant;
    if (!json_object_get(request, "tenant"))
        return store_tenant_list(tenancy->store, add_tenant, tenants, error);
    enum status status = handlers_tenant_named(tenancy, request, &tenant, error);
    return status == STATUS_OK ? add_tenant(tenants, &tenant, error) : status;
}

enum status handlers_usage_list(struct tenancy *tenancy, const json_t *request, json_t **response,
                                struct error *error) {
    int64_t first = 0, last = 0;
    struct listing listing = {.rows = json_array()};
    json_t *tenants = json_array(), *tenant;
    size_t i;
    enum status status = listing.rows && tenants ? STATUS_OK : handlers_no_memory(NULL, error);
    if (status == STATUS_OK)
        status = arguments_optional_integer(request, "first", 0, DAY_MAX, 0, &first, error);
    if (status == STATUS_OK)
        status = arguments_optional_integer(request, "last", 0, DAY_MAX, DAY_MAX, &last, error);
    if (status == STATUS_OK && first > last)
        status = status_fail(error, STATUS_INVALID, "first: must not be after last");
    if (status == STATUS_OK)
        status = find_tenants(tenancy, request, tenants, error);
    json_array_foreach(tenants, i, tenant) {
        if (status != STATUS_OK)
            break;
        listing.tenant = json_string_value(json_object_get(tenant, "name"));
        status = store_usage_list(tenancy->store, json_integer_value(json_object_get(tenant, "id")),
                                  (int32_t)first, (int32_t)last, add_row, &listing, error);
    }
    if (status == STATUS_OK)
        status = handlers_respond(json_pack("{s:O}", "usage", listing.rows), response, error);
    json_decref(listing.rows);
    json_decref(tenants);
    return status;
}
