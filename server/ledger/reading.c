#include "server/ledger/reading.h"

#include "base/instant.h"
#include "server/ledger/key_act.h"
#include "server/ledger/page.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Records looked at for one page: a search that finds little must not hold the desk for long. */
#define AUDIT_SCAN_MAX 50000u

static void take_result(struct act *act, char *text, size_t size) {
    act->result = text;
    act->result_size = size;
}

/* --- models -------------------------------------------------------------------------------- */

struct index {
    struct page page;
    bool ready_only;
};

static enum status add_model(void *context, const struct store_model *model, struct error *error) {
    struct index *index = context;
    bool ready = model->state == STORE_MODEL_READY && !model->unloaded;
    if (index->ready_only && !ready)
        return STATUS_OK;
    const char *reason = ready                               ? ""
                         : model->state == STORE_MODEL_READY ? "unloaded"
                                                             : store_model_state_name(model->state);
    enum status status = page_add_value(
        &index->page,
        json_pack("{s:s, s:s, s:s, s:s}", "name", model->name, "version", model->version, "state",
                  ready ? "READY" : "UNAVAILABLE", "reason", reason),
        error);
    /* Triton's index has no pages. */
    return status == STATUS_RATE ? status_fail(error, STATUS_TOO_LARGE,
                                               "the list of models does not fit into one answer")
                                 : status;
}

void reading_index(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct index index = {.ready_only = act->question.ready};
    act->status = page_open(&index.page, "[", UINT32_MAX, &act->error);
    if (act->status == STATUS_OK)
        act->status = store_model_list(store, act->tenant, add_model, &index, &act->error);
    if (act->status == STATUS_OK) {
        buf_u8(&index.page.out, ']');
        take_result(act, index.page.text, index.page.out.size);
        index.page.text = NULL;
    }
    page_drop(&index.page);
}

struct versions {
    struct page page;
    const char *name;
};

static enum status add_version(void *context, const struct store_model *model,
                               struct error *error) {
    struct versions *versions = context;
    if (strcmp(model->name, versions->name) != 0 || model->state != STORE_MODEL_READY ||
        model->unloaded)
        return STATUS_OK;
    enum status status = page_add_value(&versions->page, json_string(model->version), error);
    return status == STATUS_RATE ? status_fail(error, STATUS_TOO_LARGE,
                                               "the model's versions do not fit into one answer")
                                 : status;
}

void reading_versions(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct versions versions = {.name = act->name};
    act->status = page_open(&versions.page, "[", UINT32_MAX, &act->error);
    if (act->status == STATUS_OK)
        act->status = store_model_list(store, act->tenant, add_version, &versions, &act->error);
    if (act->status == STATUS_OK) {
        buf_u8(&versions.page.out, ']');
        take_result(act, versions.page.text, versions.page.out.size);
        versions.page.text = NULL;
    }
    page_drop(&versions.page);
}

/* --- recipient ----------------------------------------------------------------------------- */

void reading_recipient(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct store_tenant *tenant = malloc(sizeof *tenant);
    json_t *o = NULL;
    act->status = tenant ? store_tenant_get(store, act->tenant, tenant, &act->error)
                         : status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    if (act->status == STATUS_OK) {
        o = json_pack("{s:s, s:s, s:s}", "tenant", tenant->name, "recipient", tenant->recipient,
                      "note", tenant->note);
        act->result = o ? json_dumps(o, JSON_COMPACT) : NULL;
        act->result_size = act->result ? strlen(act->result) : 0;
        if (!act->result)
            act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    }
    json_decref(o);
    free(tenant);
}

/* --- audit --------------------------------------------------------------------------------- */

struct records {
    struct page page;
    uint64_t last; /* seq of the last one on the page */
};

/* Records are canonical JSON already: they go out as they are, so that leaves can be checked. */
static enum status add_record(void *context, const struct store_audit_row *row,
                              struct error *error) {
    struct records *records = context;
    (void)error;
    if (!page_add(&records->page, row->record, row->size))
        return STATUS_RATE;
    records->last = row->seq;
    return STATUS_OK;
}

static const char *given(const char *text) {
    return text[0] ? text : NULL;
}

void reading_audit(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    const struct act_question *q = &act->question;
    const struct store_audit_filter filter = {.key = given(q->key),
                                              .action = given(q->action),
                                              .outcome = given(q->outcome),
                                              .request = given(q->request),
                                              .model = given(q->model),
                                              .from = (int64_t)q->from,
                                              .to = (int64_t)q->to};
    struct records records = {0};
    uint64_t next = 0;
    char text[24];
    act->status = page_open(&records.page, "{\"records\":[", q->limit, &act->error);
    if (act->status == STATUS_OK)
        act->status = store_audit_find(
            store, act->record.tenant, &filter, q->before ? q->before : UINT64_MAX, AUDIT_SCAN_MAX,
            q->limit ? q->limit : 1, add_record, &records, &next, &act->error);
    if (act->status == STATUS_RATE) { /* full before `limit` was reached */
        act->status = STATUS_OK;
        next = records.last;
    }
    if (act->status == STATUS_OK) {
        size_t size;
        snprintf(text, sizeof text, "%" PRIu64, next);
        char *page = page_close(&records.page, next ? text : NULL, &size);
        take_result(act, page, size);
    }
    page_drop(&records.page);
}

/* --- usage --------------------------------------------------------------------------------- */

struct usage {
    struct page page;
    const struct act_question *question;
    bool resumes; /* behind this row: */
    int32_t day;
    char key[AUDIT_RECORD_KEY_MAX + 1], model[STORE_MODEL_NAME_MAX + 1];
    bool more;
    char next[MESSAGE_CURSOR_MAX + 4]; /* the last row on the page, as JSON */
};

static bool copy(char *to, size_t room, const char *from, size_t size) {
    if (size >= room)
        return false;
    memcpy(to, from, size);
    to[size] = '\0';
    return true;
}

/* "2026-11-23/KEY/NAME/VERSION": a row that a page ended with. */
static enum status resume(struct usage *usage, const char *after, struct error *error) {
    char day[16];
    const char *key = strchr(after, '/'), *model = key ? strchr(key + 1, '/') : NULL;
    if (!model || !copy(day, sizeof day, after, (size_t)(key - after)) ||
        !instant_parse_day(day, &usage->day) ||
        !copy(usage->key, sizeof usage->key, key + 1, (size_t)(model - key - 1)) ||
        !copy(usage->model, sizeof usage->model, model + 1, strlen(model + 1)))
        return status_fail(error, STATUS_INVALID, "after: not what a page gave as next");
    usage->resumes = true;
    return STATUS_OK;
}

/* In the order of the store: by day, key, model. */
static bool was_shown(const struct usage *usage, const struct store_usage *row) {
    if (!usage->resumes)
        return false;
    if (row->day != usage->day)
        return row->day < usage->day;
    int order = strcmp(row->key, usage->key);
    return order ? order < 0 : strcmp(row->model, usage->model) <= 0;
}

static bool is_wanted(const struct act_question *q, const struct store_usage *row) {
    size_t length = strlen(q->model);
    if (q->key[0] && strcmp(q->key, row->key) != 0)
        return false;
    return !length || strcmp(row->model, q->model) == 0 ||
           (strncmp(row->model, q->model, length) == 0 && row->model[length] == '/' &&
            !strchr(q->model, '/'));
}

static enum status add_usage(void *context, const struct store_usage *row, struct error *error) {
    struct usage *usage = context;
    char day[INSTANT_TEXT_SIZE], name[STORE_MODEL_NAME_MAX + 1];
    if (was_shown(usage, row) || !is_wanted(usage->question, row))
        return STATUS_OK;
    size_t length = strcspn(row->model, "/");
    if (!copy(name, sizeof name, row->model, length))
        return status_fail(error, STATUS_INTERNAL, "usage of a model has no name");
    const char *version = row->model[length] ? row->model + length + 1 : "";
    instant_format_day(row->day, day);
    enum status status = page_add_value(
        &usage->page,
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:I, s:I, s:I}", "day", day, "key", row->key,
                  "model", name, "version", version, "requests", (json_int_t)row->requests,
                  "errors", (json_int_t)row->errors, "compute_us", (json_int_t)row->compute_us,
                  "bytes_in", (json_int_t)row->bytes_in, "bytes_out", (json_int_t)row->bytes_out),
        error);
    usage->more = status == STATUS_RATE;
    if (status == STATUS_OK)
        snprintf(usage->next, sizeof usage->next, "\"%.10s/%.64s/%.129s\"", day, row->key,
                 row->model);
    return status;
}

void reading_usage(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    const struct act_question *q = &act->question;
    struct usage usage = {.question = q};
    char opening[96], first[INSTANT_TEXT_SIZE], last[INSTANT_TEXT_SIZE];
    int32_t from = (int32_t)(q->from > INT32_MAX ? INT32_MAX : q->from);
    int32_t to = (int32_t)(q->to > INT32_MAX ? INT32_MAX : q->to);
    instant_format_day(from, first);
    instant_format_day(to, last);
    snprintf(opening, sizeof opening, "{\"from\":\"%.10s\",\"to\":\"%.10s\",\"usage\":[", first,
             last);
    act->status = q->after[0] ? resume(&usage, q->after, &act->error) : STATUS_OK;
    if (act->status == STATUS_OK)
        act->status = page_open(&usage.page, opening, q->limit, &act->error);
    if (act->status == STATUS_OK)
        act->status =
            store_usage_list(store, act->tenant, from, to, add_usage, &usage, &act->error);
    if (act->status == STATUS_RATE && usage.more)
        act->status = STATUS_OK;
    if (act->status == STATUS_OK) {
        size_t size;
        char *page = page_close(&usage.page, usage.more ? usage.next : NULL, &size);
        take_result(act, page, size);
    }
    page_drop(&usage.page);
}

/* --- keys ---------------------------------------------------------------------------------- */

struct keys {
    struct page page;
    const char *after; /* an id, until it was seen; NULL then */
    bool more;
    char next[STORE_KEY_ID_MAX + 4];
};

static enum status add_key(void *context, const struct store_key *key, struct error *error) {
    struct keys *keys = context;
    if (keys->after) {
        if (strcmp(keys->after, key->id) == 0)
            keys->after = NULL;
        return STATUS_OK;
    }
    enum status status = page_add_value(&keys->page, key_act_json(key), error);
    keys->more = status == STATUS_RATE;
    if (status == STATUS_OK)
        snprintf(keys->next, sizeof keys->next, "\"%s\"", key->id);
    return status;
}

static void show_key(struct act *act, struct store *store) {
    struct store_key key;
    json_t *o = NULL;
    act->status = key_act_find(store, act->tenant, act->question.key, &key, &act->error);
    if (act->status != STATUS_OK)
        return;
    o = key_act_json(&key);
    act->result = o ? json_dumps(o, JSON_COMPACT) : NULL;
    act->result_size = act->result ? strlen(act->result) : 0;
    if (!act->result)
        act->status = status_fail(&act->error, STATUS_UNAVAILABLE, "memory is short");
    json_decref(o);
}

void reading_keys(struct commit_job *job, struct store *store) {
    struct act *act = (struct act *)job;
    struct keys keys = {.after = given(act->question.after)};
    if (act->question.key[0]) {
        show_key(act, store);
        return;
    }
    act->status = page_open(&keys.page, "{\"keys\":[", act->question.limit, &act->error);
    if (act->status == STATUS_OK)
        act->status = store_key_list(store, act->tenant, add_key, &keys, &act->error);
    if (act->status == STATUS_RATE && keys.more)
        act->status = STATUS_OK;
    if (act->status == STATUS_OK && keys.after)
        act->status =
            status_fail(&act->error, STATUS_INVALID, "after: not what a page gave as next");
    if (act->status == STATUS_OK) {
        size_t size;
        char *page = page_close(&keys.page, keys.more ? keys.next : NULL, &size);
        take_result(act, page, size);
    }
    page_drop(&keys.page);
}
