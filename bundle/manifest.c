#include "bundle/manifest.h"

#include <cyaml/cyaml.h>

#include "base/config_place.h"
#include "base/config_report.h"
#include "bundle/tar.h"
#include "bundle/text.h"

#define OPTIONAL (CYAML_FLAG_POINTER | CYAML_FLAG_OPTIONAL)
#define WORD_MAX 64

static const cyaml_schema_field_t labels_fields[] = {
    CYAML_FIELD_STRING_PTR("output", CYAML_FLAG_POINTER, struct manifest_labels, output, 1,
                           TAR_NAME_MAX),
    CYAML_FIELD_STRING_PTR("file", CYAML_FLAG_POINTER, struct manifest_labels, file, 1,
                           TAR_NAME_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t labels_entry = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_DEFAULT, struct manifest_labels, labels_fields)};
static const cyaml_schema_field_t manifest_fields[] = {
    CYAML_FIELD_STRING_PTR("documentation", OPTIONAL, struct manifest, documentation, 0,
                           MANIFEST_DOCUMENTATION_MAX),
    CYAML_FIELD_STRING_PTR("batching", OPTIONAL, struct manifest, batching, 0, WORD_MAX),
    CYAML_FIELD_STRING_PTR("precision", OPTIONAL, struct manifest, precision, 0, WORD_MAX),
    CYAML_FIELD_SEQUENCE_COUNT("labels", OPTIONAL, struct manifest, labels, label_count,
                               &labels_entry, 0, MANIFEST_LABELS_MAX),
    CYAML_FIELD_END};
static const cyaml_schema_value_t manifest_schema = {
    CYAML_VALUE_MAPPING(CYAML_FLAG_POINTER, struct manifest, manifest_fields)};

static struct str str_of(const char *text) {
    return (struct str){text, strlen(text)};
}

/* "manifest.yaml: line 3, column 11: field: " in front of what is wrong with the field's value. */
static enum status at(struct str yaml, const char *field, struct error *error) {
    const struct config_place place = config_place_value(yaml.data, yaml.size, field);
    return status_prefix(error, "manifest.yaml: line %u, column %u: %s: ", place.line, place.column,
                         field);
}

/* A value of which this version knows one only. */
static enum status one_value(struct str yaml, const char *field, const char *found,
                             const char *only, const char *why, struct error *error) {
    if (!found || strcmp(found, only) == 0)
        return STATUS_OK;
    if (text_check(str_of(found), false) != TEXT_FINE)
        found = "(not text)";
    (void)status_fail(error, STATUS_UNSERVABLE, "found \"%s\", expected \"%s\": %s", found, only,
                      why);
    return at(yaml, field, error);
}

static enum status check(const struct manifest *m, struct str yaml, struct error *error) {
    enum status status = one_value(yaml, "batching", m->batching, "off",
                                   "this version runs requests one by one", error);
    if (status == STATUS_OK)
        status = one_value(yaml, "precision", m->precision, "float32",
                           "this version computes with nothing less", error);
    if (status != STATUS_OK)
        return status;
    if (m->documentation && text_check(str_of(m->documentation), true) != TEXT_FINE) {
        (void)status_fail(error, STATUS_INVALID, "it has control characters");
        return at(yaml, "documentation", error);
    }
    for (unsigned i = 0; i < m->label_count; i++)
        for (unsigned k = 0; k < i; k++)
            if (strcmp(m->labels[i].output, m->labels[k].output) == 0) {
                (void)status_fail(error, STATUS_INVALID,
                                  "entries %u and %u are for the same output", k, i);
                return at(yaml, "labels", error);
            }
    return STATUS_OK;
}

static const cyaml_config_t plain = {.mem_fn = cyaml_mem, .flags = CYAML_CFG_NO_ALIAS};

enum status manifest_parse(struct str yaml, struct manifest **manifest, struct error *error) {
    struct config_report report = {0};
    cyaml_config_t how = plain;
    struct manifest *made = NULL;
    enum status status;
    how.log_fn = config_report_collect;
    how.log_ctx = &report;
    how.log_level = CYAML_LOG_WARNING;
    if (yaml.size > MANIFEST_BYTES_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "manifest.yaml has %zu bytes, at most %d",
                           yaml.size, MANIFEST_BYTES_MAX);
    if ((status = config_place_whole(yaml.data, yaml.size, "manifest.yaml", error)) != STATUS_OK)
        return status;
    cyaml_err_t e = cyaml_load_data((const uint8_t *)yaml.data, yaml.size, &how, &manifest_schema,
                                    (cyaml_data_t **)&made, NULL);
    if (e != CYAML_OK) {
        status = config_report_say(&report, e, "manifest.yaml", error);
        goto out;
    }
    if (!made)
        status = status_fail(error, STATUS_INVALID,
                             "manifest.yaml is empty: leave it out where there is nothing to say");
    else
        status = check(made, yaml, error);
    if (status == STATUS_OK) {
        *manifest = made;
        made = NULL;
    }
out:
    manifest_free(made);
    return status;
}

void manifest_free(struct manifest *manifest) {
    if (manifest)
        (void)cyaml_free(&plain, &manifest_schema, manifest, 0);
}
