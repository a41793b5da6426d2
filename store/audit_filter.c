#include "store/audit_filter.h"

#include <string.h>

#include "base/buf.h"
#include "store/audit_record.h"

/* `prefix` and the value as a string, without its closing quote where `open`. */
static enum status write_needle(const char *field, const char *prefix, const char *value, bool open,
                                char text[AUDIT_FILTER_NEEDLE_MAX], size_t *size,
                                struct error *error) {
    struct buf out = buf_of(text, AUDIT_FILTER_NEEDLE_MAX);
    buf_string(&out, prefix);
    if (audit_record_string(value, &out, NULL) != STATUS_OK)
        return status_fail(error, STATUS_INVALID, "%s: not a text that a record could have", field);
    *size = out.size - open;
    return STATUS_OK;
}

static enum status add(struct audit_filter *f, const char *field, const char *prefix,
                       const char *value, bool open, struct error *error) {
    if (!value)
        return STATUS_OK;
    enum status status = write_needle(field, prefix, value, open, f->needles[f->count].text,
                                      &f->needles[f->count].size, error);
    f->count += status == STATUS_OK;
    return status;
}

/* The target of what is done to a model is its name, mostly with a version. */
static enum status add_model(struct audit_filter *f, const char *model, struct error *error) {
    char folder[STORE_MODEL_NAME_MAX + 2];
    if (!model)
        return STATUS_OK;
    size_t length = strlen(model);
    if (length > STORE_MODEL_NAME_MAX)
        return status_fail(error, STATUS_INVALID, "model: longer than %d bytes",
                           STORE_MODEL_NAME_MAX);
    enum status status = add(f, "model", "{\"action\":", "model.", true, error);
    if (status == STATUS_OK)
        status = add(f, "model", ",\"target\":", model, false, error);
    if (status != STATUS_OK || strchr(model, '/'))
        return status;
    memcpy(folder, model, length);
    memcpy(folder + length, "/", 2);
    return write_needle("model", ",\"target\":", folder, true, f->needles[f->count - 1].other,
                        &f->needles[f->count - 1].other_size, error);
}

enum status audit_filter_prepare(const struct store_audit_filter *filter,
                                 struct audit_filter *prepared, struct error *error) {
    enum status status;
    memset(prepared, 0, sizeof *prepared);
    prepared->from = filter->from;
    prepared->to = filter->to;
    if ((status = add(prepared, "action", "{\"action\":", filter->action, false, error)) ||
        (status = add(prepared, "key", ",\"key\":", filter->key, false, error)) ||
        (status = add(prepared, "outcome", ",\"outcome\":", filter->outcome, false, error)) ||
        (status = add(prepared, "request", ",\"request\":", filter->request, false, error)))
        return status;
    return add_model(prepared, filter->model, error);
}

static bool holds(const struct store_audit_row *row, const char *text, size_t size) {
    return memmem(row->record, row->size, text, size) != NULL;
}

bool audit_filter_matches(const struct audit_filter *filter, const struct store_audit_row *row) {
    if (row->time < filter->from || (filter->to && row->time >= filter->to))
        return false;
    for (size_t i = 0; i < filter->count; i++)
        if (!holds(row, filter->needles[i].text, filter->needles[i].size) &&
            !(filter->needles[i].other_size &&
              holds(row, filter->needles[i].other, filter->needles[i].other_size)))
            return false;
    return true;
}
