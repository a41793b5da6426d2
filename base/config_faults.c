#include "base/config_faults.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <yaml.h>

#include "base/config.h"
#include "base/config_settings.h"
#include "base/suggest.h"

#define PATH_MAX_HERE 120 /* of a setting's name, for messages */

struct survey {
    yaml_document_t *document;
    config_fault *say;
    void *context;
    size_t count;
    uint64_t connections, per_source; /* 0: not given, or wrong */
    yaml_mark_t per_source_mark;
};

static void fault(struct survey *s, yaml_mark_t at, const char *format, ...) PRINTF_LIKE(3, 4);
static void fault(struct survey *s, yaml_mark_t at, const char *format, ...) {
    char message[ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(message, sizeof message, format, args);
    va_end(args);
    s->count++;
    s->say(s->context, (unsigned)at.line + 1, (unsigned)at.column + 1, message);
}

/* A scalar's text; NULL where the node is none, or has a zero byte in it. */
static const char *text_of(const yaml_node_t *node) {
    if (node->type != YAML_SCALAR_NODE ||
        memchr(node->data.scalar.value, '\0', node->data.scalar.length))
        return NULL;
    return (const char *)node->data.scalar.value;
}

/* What stands there, for "found ...": the text in quotes, or what it is instead. */
static const char *found(const yaml_node_t *node, char out[80]) {
    const char *text = text_of(node);
    if (node->type == YAML_MAPPING_NODE)
        return "settings (name: value)";
    if (node->type == YAML_SEQUENCE_NODE)
        return "a list";
    if (!text || !*text)
        return text ? "nothing" : "a value with a zero byte";
    snprintf(out, 80, "\"%.70s\"", text);
    return out;
}

/* As libcyaml reads them: decimal, octal and hexadecimal, nothing before or after. */
static bool number(const char *text, uint64_t *out) {
    uint64_t value = 0;
    unsigned base = 10;
    if (text[0] == '0' && text[1]) {
        base = text[1] == 'x' || text[1] == 'X' ? 16 : 8;
        text += base == 16 ? 2 : 1;
    }
    if (!*text)
        return false;
    for (; *text; text++) {
        const unsigned char c = (unsigned char)*text | 0x20;
        const unsigned digit = *text >= '0' && *text <= '9' ? (unsigned)(*text - '0')
                               : c >= 'a' && c <= 'f'       ? (unsigned)(c - 'a') + 10
                                                            : 99;
        if (digit >= base || value > (UINT64_MAX - digit) / base)
            return false;
        value = value * base + digit;
    }
    *out = value;
    return true;
}

static void look_at_text(struct survey *s, const struct config_setting *setting,
                         const yaml_node_t *node, size_t most) {
    char what[80];
    const char *text = text_of(node);
    if (!text || !*text)
        fault(s, node->start_mark, "%s: found %s, expected a value", setting->name,
              found(node, what));
    else if (strlen(text) > most)
        fault(s, node->start_mark, "%s: found %zu bytes, expected at most %zu", setting->name,
              strlen(text), most);
}

static void look_at_address(struct survey *s, const char *name, bool loopback,
                            const yaml_node_t *node) {
    char host[CONFIG_ADDRESS_MAX], what[80];
    uint16_t port;
    const char *text = text_of(node);
    bool good = text && config_address(text, host, sizeof host, &port, NULL) == STATUS_OK;
    if (good && loopback)
        good = strncmp(host, "127.", 4) == 0 || strcmp(host, "::1") == 0;
    if (!good)
        fault(s, node->start_mark,
              loopback ? "%s: found %s, expected a loopback address and a port such as "
                         "127.0.0.1:9090 or [::1]:9090"
                       : "%s: found %s, expected ADDRESS:PORT such as 127.0.0.1:8443 or "
                         "[::1]:8443",
              name, found(node, what));
}

static void look_at_addresses(struct survey *s, const char *name, const yaml_node_t *node) {
    char what[80];
    if (node->type != YAML_SEQUENCE_NODE) {
        fault(s, node->start_mark, "%s: found %s, expected a list", name, found(node, what));
        return;
    }
    const yaml_node_item_t *item = node->data.sequence.items.start;
    const size_t count = (size_t)(node->data.sequence.items.top - item);
    if (count < 1 || count > CONFIG_LISTEN_MAX)
        fault(s, node->start_mark, "%s: found %zu entries, expected 1 to %d", name, count,
              CONFIG_LISTEN_MAX);
    for (; item < node->data.sequence.items.top; item++)
        look_at_address(s, name, false, yaml_document_get_node(s->document, *item));
}

static void look_at_value(struct survey *s, const struct config_setting *setting,
                          const yaml_node_t *node) {
    char what[80];
    const char *text = text_of(node);
    uint64_t value = 0;
    switch (setting->kind) {
    case CONFIG_ADDRESSES:
        look_at_addresses(s, setting->name, node);
        return;
    case CONFIG_ADDRESS:
        look_at_address(s, setting->name, true, node);
        return;
    case CONFIG_PATH:
        look_at_text(s, setting, node, CONFIG_PATH_MAX - 1);
        return;
    case CONFIG_TEXT:
        look_at_text(s, setting, node, CONFIG_NAME_MAX - 1);
        return;
    case CONFIG_VERSION:
        if (!text || (strcmp(text, "1.2") != 0 && strcmp(text, "1.3") != 0))
            fault(s, node->start_mark, "%s: found %s, expected 1.2 or 1.3", setting->name,
                  found(node, what));
        return;
    case CONFIG_TRUTH:
        if (!text || (strcmp(text, "true") != 0 && strcmp(text, "false") != 0))
            fault(s, node->start_mark, "%s: found %s, expected true or false", setting->name,
                  found(node, what));
        return;
    case CONFIG_U32:
    case CONFIG_U64:
        if (!text || !number(text, &value) || value < setting->least || value > setting->most)
            fault(s, node->start_mark,
                  "%s: found %s, expected a whole number from %" PRIu64 " to %" PRIu64,
                  setting->name, found(node, what), setting->least, setting->most);
        else if (strcmp(setting->name, "limits.connections") == 0)
            s->connections = value;
        else if (strcmp(setting->name, "limits.connections_per_source") == 0)
            s->per_source = value, s->per_source_mark = node->start_mark;
        return;
    }
}

/* --- names ------------------------------------------------------------------------------------ */

static const struct config_setting *find_setting(const char *name) {
    for (size_t i = 0; i < config_settings_count; i++)
        if (strcmp(config_settings[i].name, name) == 0)
            return &config_settings[i];
    return NULL;
}

static bool is_group(const char *name) {
    const size_t length = strlen(name);
    for (size_t i = 0; i < config_settings_count; i++)
        if (strncmp(config_settings[i].name, name, length) == 0 &&
            config_settings[i].name[length] == '.')
            return true;
    return false;
}

static bool stood_before(const struct survey *s, const yaml_node_t *mapping,
                         const yaml_node_pair_t *pair, const char *name) {
    for (const yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < pair; p++) {
        const char *other = text_of(yaml_document_get_node(s->document, p->key));
        if (other && strcmp(other, name) == 0)
            return true;
    }
    return false;
}

static void unknown(struct survey *s, const yaml_node_t *key, const char *name) {
    struct suggest suggest = suggest_begin(name);
    for (size_t i = 0; i < config_settings_count; i++)
        suggest_offer(&suggest, config_settings[i].name);
    fault(s, key->start_mark,
          suggest.best ? "%s: there is no such setting; did you mean %s?"
                       : "%s: there is no such setting",
          name, suggest.best);
}

/* The settings of one mapping: the whole text (`group` NULL) or a group. A group has no groups, so
 * this calls itself once at most. */
static void look_at_mapping(struct survey *s, const char *group, const yaml_node_t *mapping) {
    char what[80], name[PATH_MAX_HERE];
    if (mapping->type != YAML_MAPPING_NODE) {
        fault(s, mapping->start_mark, "%s%sfound %s, expected settings (name: value)",
              group ? group : "", group ? ": " : "", found(mapping, what));
        return;
    }
    for (const yaml_node_pair_t *pair = mapping->data.mapping.pairs.start;
         pair < mapping->data.mapping.pairs.top; pair++) {
        const yaml_node_t *key = yaml_document_get_node(s->document, pair->key);
        const yaml_node_t *value = yaml_document_get_node(s->document, pair->value);
        const char *text = text_of(key);
        if (!text) {
            fault(s, key->start_mark, "%s%sfound %s, expected the name of a setting",
                  group ? group : "", group ? ": " : "", found(key, what));
            continue;
        }
        snprintf(name, sizeof name, "%s%s%.64s", group ? group : "", group ? "." : "", text);
        const struct config_setting *setting = find_setting(name);
        if (stood_before(s, mapping, pair, text))
            fault(s, key->start_mark, "%s: stands there twice", name);
        else if (setting && !(strchr(text, '.')))
            look_at_value(s, setting, value);
        else if (!group && is_group(text))
            look_at_mapping(s, text, value);
        else
            unknown(s, key, name);
    }
}

/* The one pair of values that must go together. */
static void look_at_connections(struct survey *s) {
    uint64_t most = s->connections;
    if (!most)
        most = find_setting("limits.connections")->number;
    if (s->per_source > most)
        fault(s, s->per_source_mark,
              "limits.connections_per_source: found %" PRIu64 ", expected at most "
              "limits.connections, which is %" PRIu64,
              s->per_source, most);
}

/* An alias names what stands elsewhere: refused by config_parse, so the document has none. */
static bool find_alias(struct survey *s, const void *bytes, size_t size) {
    yaml_parser_t parser;
    bool more = true, any = false;
    if (!yaml_parser_initialize(&parser))
        return false;
    yaml_parser_set_input_string(&parser, bytes, size);
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
            break;
        if (event.type == YAML_ALIAS_EVENT) {
            fault(s, event.start_mark, "found an alias, expected the value itself");
            any = true;
        }
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return any;
}

size_t config_faults(const void *bytes, size_t size, config_fault *say, void *context) {
    yaml_parser_t parser;
    yaml_document_t document;
    struct survey survey = {.document = &document, .say = say, .context = context};
    if (find_alias(&survey, bytes, size) || !yaml_parser_initialize(&parser))
        return survey.count;
    yaml_parser_set_input_string(&parser, bytes, size);
    if (!yaml_parser_load(&parser, &document)) {
        fault(&survey, parser.problem_mark, "%s", parser.problem ? parser.problem : "not YAML");
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&document);
        if (root)
            look_at_mapping(&survey, NULL, root);
        look_at_connections(&survey);
        yaml_document_delete(&document);
    }
    yaml_parser_delete(&parser);
    return survey.count;
}
