#include "tenancy/policy.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

/* Known of, and not enforced by this version: refused, never stored. A name stands for everything
 * in its section too. */
static const struct {
    const char *path, *what;
} unenforced[] = {
    {"rates", "limits of requests per time"},
    {"budgets", "budgets per day or month"},
    {"limits.requests", "limits of requests at once"},
    {"limits.resident_models", "limits of models in memory"},
    {"weight", "shares of the processor"},
    {"audit.durability", "records that are not durable before the answer leaves"},
    {"audit.retention_days", "pruning of the log"},
    {"models.signatures", "signatures on models"},
};

struct parse {
    yaml_document_t *document;
    struct policy policy;
    uint32_t seen; /* bit i: field i; the table has fewer than 32 */
};

static enum status fail_at(yaml_mark_t mark, struct error *error, const char *format, ...)
    PRINTF_LIKE(3, 4);
static enum status fail_at(yaml_mark_t mark, struct error *error, const char *format, ...) {
    va_list args;
    va_start(args, format);
    status_vfail(error, STATUS_INVALID, format, args);
    va_end(args);
    if (error)
        status_prefix(error, "line %zu, column %zu: ", mark.line + 1, mark.column + 1);
    return STATUS_INVALID;
}

static const char *kind_of(const yaml_node_t *node) {
    return node->type == YAML_MAPPING_NODE    ? "fields (name: value)"
           : node->type == YAML_SEQUENCE_NODE ? "a list"
                                              : "a single value";
}

/* A scalar's text; NULL where it is none, has a zero byte or more than any value has. */
static const char *scalar(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE || node->data.scalar.length > 200 ||
        memchr(node->data.scalar.value, '\0', node->data.scalar.length))
        return NULL;
    return (const char *)node->data.scalar.value;
}

static void name_words(const struct policy_word *words, char *text, size_t size) {
    size_t used = 0;
    text[0] = '\0';
    for (const struct policy_word *w = words; w->word; w++) {
        int n = snprintf(text + used, size - used, "%s%s", w == words ? "" : ", ", w->word);
        if (n > 0 && (size_t)n < size - used)
            used += (size_t)n;
    }
}

static const struct policy_word *find_word(const struct policy_word *words, const char *text) {
    for (; words->word; words++)
        if (strcmp(words->word, text) == 0)
            return words;
    return NULL;
}

static void put(struct policy *policy, const struct policy_field *field, uint64_t value) {
    memcpy((char *)policy + field->offset, &value, sizeof value);
}

static enum status read_number(const struct policy_field *field, const yaml_node_t *node,
                               struct policy *policy, struct error *error) {
    const char *text = scalar(node);
    size_t digits = text ? strspn(text, "0123456789") : 0;
    uint64_t value = 0;
    bool good = digits > 0 && digits < 20 && !text[digits] && (digits == 1 || text[0] != '0');
    for (size_t i = 0; good && i < digits; i++)
        value = value * 10 + (uint64_t)(text[i] - '0');
    if (!good || value < field->low || value > field->high)
        return fail_at(node->start_mark, error,
                       "%s: found %s%.60s%s, expected a whole number from %" PRIu64 " to %" PRIu64,
                       field->path, text ? "\"" : "", text ? text : kind_of(node), text ? "\"" : "",
                       field->low, field->high);
    put(policy, field, value);
    return STATUS_OK;
}

static enum status read_choice(const struct policy_field *field, const yaml_node_t *node,
                               struct policy *policy, struct error *error) {
    char known[200];
    const char *text = scalar(node);
    const struct policy_word *word = text ? find_word(field->words, text) : NULL;
    if (!word) {
        name_words(field->words, known, sizeof known);
        return fail_at(node->start_mark, error, "%s: found %s%.60s%s, expected one of %s",
                       field->path, text ? "\"" : "", text ? text : kind_of(node), text ? "\"" : "",
                       known);
    }
    put(policy, field, word->value);
    return STATUS_OK;
}

static enum status read_name(const struct policy_field *field, const yaml_node_t *node,
                             struct policy *policy, struct error *error) {
    const char *text = scalar(node);
    if (!text || !name_valid(text, strlen(text)))
        return fail_at(node->start_mark, error,
                       "%s: found %s%.60s%s, expected a letter or digit, then up to %d letters, "
                       "digits, \".\", \"_\" or \"-\"",
                       field->path, text ? "\"" : "", text ? text : kind_of(node), text ? "\"" : "",
                       NAME_MAX_LENGTH - 1);
    memcpy(policy->name, text, strlen(text) + 1);
    return STATUS_OK;
}

static enum status add_word(const struct policy_field *field, const yaml_node_t *item,
                            uint64_t *bits, struct error *error) {
    char known[200];
    const char *text = scalar(item);
    const struct policy_word *word = text ? find_word(field->words, text) : NULL;
    if (!word) {
        name_words(field->words, known, sizeof known);
        return fail_at(item->start_mark, error, "%s: found %s%.60s%s, known are %s", field->path,
                       text ? "\"" : "", text ? text : kind_of(item), text ? "\"" : "", known);
    }
    if (*bits & word->value)
        return fail_at(item->start_mark, error, "%s: \"%s\" stands there twice", field->path, text);
    *bits |= word->value;
    return STATUS_OK;
}

static enum status add_network(const struct policy_field *field, const yaml_node_t *item,
                               struct policy *policy, struct error *error) {
    const char *text = scalar(item);
    struct network network;
    struct error why = {0};
    if (!text)
        return fail_at(item->start_mark, error, "%s: found %s, expected a network", field->path,
                       kind_of(item));
    if (network_parse(text, &network, &why) != STATUS_OK)
        return fail_at(item->start_mark, error, "%s: %s", field->path, why.message);
    for (size_t i = 0; i < policy->network_count; i++)
        if (network_equal(&policy->networks[i], &network))
            return fail_at(item->start_mark, error, "%s: \"%.55s\" stands there twice", field->path,
                           text);
    if (policy->network_count == POLICY_NETWORKS_MAX)
        return fail_at(item->start_mark, error, "%s: more than %d networks", field->path,
                       POLICY_NETWORKS_MAX);
    policy->networks[policy->network_count++] = network;
    return STATUS_OK;
}

static enum status read_list(struct parse *p, const struct policy_field *field,
                             const yaml_node_t *node, struct error *error) {
    uint64_t bits = 0;
    if (node->type != YAML_SEQUENCE_NODE)
        return fail_at(node->start_mark, error, "%s: found %s, expected a list", field->path,
                       kind_of(node));
    const yaml_node_item_t *item = node->data.sequence.items.start;
    const yaml_node_item_t *end = node->data.sequence.items.top;
    if (item == end)
        return fail_at(node->start_mark, error,
                       "%s: the list is empty; leave the field out for: %s", field->path,
                       field->without);
    for (; item < end; item++) {
        const yaml_node_t *entry = yaml_document_get_node(p->document, *item);
        enum status status = field->kind == POLICY_KIND_SET
                                 ? add_word(field, entry, &bits, error)
                                 : add_network(field, entry, &p->policy, error);
        if (status != STATUS_OK)
            return status;
    }
    if (field->kind == POLICY_KIND_SET)
        put(&p->policy, field, bits);
    return STATUS_OK;
}

static enum status read_field(struct parse *p, size_t index, const yaml_node_t *key,
                              const yaml_node_t *node, struct error *error) {
    const struct policy_field *field = &policy_fields[index];
    if (p->seen & (UINT32_C(1) << index))
        return fail_at(key->start_mark, error, "%s: stands there twice", field->path);
    p->seen |= UINT32_C(1) << index;
    if (field->offset == offsetof(struct policy, tls)) {
        p->policy.tls_line = (uint32_t)node->start_mark.line + 1;
        p->policy.tls_column = (uint32_t)node->start_mark.column + 1;
    }
    switch (field->kind) {
    case POLICY_KIND_NAME:
        return read_name(field, node, &p->policy, error);
    case POLICY_KIND_NUMBER:
        return read_number(field, node, &p->policy, error);
    case POLICY_KIND_CHOICE:
        return read_choice(field, node, &p->policy, error);
    case POLICY_KIND_SET:
    case POLICY_KIND_NETWORKS:
        break;
    }
    return read_list(p, field, node, error);
}

/* The first field of the section of that name; policy_fields_count where there is none. */
static size_t find_section(const char *path) {
    size_t length = strlen(path), i = 0;
    while (i < policy_fields_count && (strncmp(policy_fields[i].path, path, length) != 0 ||
                                       policy_fields[i].path[length] != '.'))
        i++;
    return i;
}

static enum status refuse_field(const char *path, const yaml_node_t *key, struct error *error) {
    for (size_t i = 0; i < sizeof unenforced / sizeof unenforced[0]; i++)
        if (strcmp(unenforced[i].path, path) == 0)
            return fail_at(key->start_mark, error,
                           "%s: this version does not enforce %s, so the field is refused", path,
                           unenforced[i].what);
    return fail_at(key->start_mark, error, "there is no field \"%s\"", path);
}

/* The fields of one mapping: the whole document (`section` NULL) or a section of it. A section has
 * no sections, so this calls itself once at most. */
static enum status read_mapping(struct parse *p, const char *section, const yaml_node_t *node,
                                struct error *error) {
    uint32_t sections = 0; /* bit i: the one that begins with field i */
    if (node->type != YAML_MAPPING_NODE)
        return fail_at(node->start_mark, error, "%s%sfound %s, expected fields (name: value)",
                       section ? section : "", section ? ": " : "", kind_of(node));
    for (const yaml_node_pair_t *pair = node->data.mapping.pairs.start;
         pair < node->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(p->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(p->document, pair->value);
        const char *text = scalar(key);
        char path[280];
        size_t index = 0, first;
        enum status status;
        if (!text)
            return fail_at(key->start_mark, error, "found %s where a field's name belongs",
                           kind_of(key));
        snprintf(path, sizeof path, "%s%s%.64s", section ? section : "", section ? "." : "", text);
        while (index < policy_fields_count && strcmp(policy_fields[index].path, path) != 0)
            index++;
        if (index < policy_fields_count && strchr(text, '.') == NULL) {
            status = read_field(p, index, key, value, error);
        } else if (!section && (first = find_section(path)) < policy_fields_count) {
            if (sections & (UINT32_C(1) << first))
                return fail_at(key->start_mark, error, "%s: stands there twice", path);
            sections |= UINT32_C(1) << first;
            status = read_mapping(p, path, value, error);
        } else {
            status = refuse_field(path, key, error);
        }
        if (status != STATUS_OK)
            return status;
    }
    return STATUS_OK;
}

static enum status read_document(yaml_parser_t *parser, yaml_document_t *document,
                                 struct policy *policy, struct error *error) {
    struct parse p = {.document = document, .policy = policy_of_nothing()};
    const yaml_node_t *root = yaml_document_get_root_node(document);
    yaml_document_t rest;
    if (!root)
        return status_fail(error, STATUS_INVALID, "line 1, column 1: the policy is empty");
    enum status status = read_mapping(&p, NULL, root, error);
    if (status != STATUS_OK)
        return status;
    if (!p.policy.name[0])
        return fail_at(root->start_mark, error, "name: is missing");
    if (!yaml_parser_load(parser, &rest))
        return fail_at(parser->problem_mark, error, "%s", parser->problem);
    const yaml_node_t *second = yaml_document_get_root_node(&rest);
    yaml_mark_t mark = second ? second->start_mark : rest.start_mark;
    yaml_document_delete(&rest);
    if (second)
        return fail_at(mark, error, "a second document; a policy is one");
    *policy = p.policy;
    return STATUS_OK;
}

/* What is no text at all libyaml tells by its offset. Columns are characters, as in its marks. */
static yaml_mark_t mark_of(const void *text, size_t size, size_t offset) {
    const uint8_t *bytes = text;
    yaml_mark_t mark = {0};
    for (size_t i = 0; i < offset && i < size; i++)
        if (bytes[i] == '\n') {
            mark.line++;
            mark.column = 0;
        } else if ((bytes[i] & 0xc0) != 0x80) {
            mark.column++;
        }
    return mark;
}

enum status policy_parse(const void *text, size_t size, struct policy *policy,
                         struct error *error) {
    yaml_parser_t parser;
    yaml_document_t document;
    enum status status;
    if (size > POLICY_TEXT_MAX)
        return status_fail(error, STATUS_TOO_LARGE, "the policy has %zu bytes, at most %d", size,
                           POLICY_TEXT_MAX);
    if (!yaml_parser_initialize(&parser))
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, text, size);
    if (!yaml_parser_load(&parser, &document)) {
        status =
            parser.error == YAML_MEMORY_ERROR
                ? status_fail(error, STATUS_UNAVAILABLE, "out of memory")
            : parser.error == YAML_READER_ERROR
                ? fail_at(mark_of(text, size, parser.problem_offset), error, "%s", parser.problem)
                : fail_at(parser.problem_mark, error, "%s", parser.problem);
    } else {
        status = read_document(&parser, &document, policy, error);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return status;
}

enum status policy_check_listener(const struct policy *policy, unsigned tls_minimum,
                                  struct error *error) {
    if (policy->tls && tls_minimum && policy->tls < tls_minimum)
        return status_fail(
            error, STATUS_INVALID,
            "line %" PRIu32 ", column %" PRIu32
            ": tls: found \"1.%u\", and the listener takes 1.%u at least: a policy may "
            "only raise that",
            policy->tls_line, policy->tls_column, (unsigned)policy->tls - 10, tls_minimum - 10);
    return STATUS_OK;
}
