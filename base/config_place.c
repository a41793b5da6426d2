#include "base/config_place.h"

#include <stdbool.h>
#include <string.h>
#include <yaml.h>

struct walk {
    const char *setting;
    size_t group; /* length of its group's name, 0: none */
    unsigned depth;
    bool key;    /* what comes next at this depth is a key */
    bool inside; /* of the setting's group */
    unsigned line, column;
    bool value; /* the next event is the setting's value */
    struct config_place place;
};

static bool is_text(const yaml_event_t *event, const char *text, size_t size) {
    return event->data.scalar.length == size && memcmp(event->data.scalar.value, text, size) == 0;
}

static void at_scalar(struct walk *w, const yaml_event_t *event) {
    const char *name = w->setting + (w->group ? w->group + 1 : 0);
    bool top = w->depth == 1 && w->key, second = w->depth == 2 && w->key && w->inside;
    if (top && w->group)
        w->inside = is_text(event, w->setting, w->group);
    if ((top && !w->group) || second)
        if (is_text(event, name, strlen(name))) {
            w->line = (unsigned)event->start_mark.line + 1;
            w->column = (unsigned)event->start_mark.column + 1;
            w->value = true;
        }
    if (w->depth <= 2)
        w->key = !w->key;
}

static void at_event(struct walk *w, const yaml_event_t *event) {
    if (w->value)
        w->place = (struct config_place){(unsigned)event->start_mark.line + 1,
                                         (unsigned)event->start_mark.column + 1};
    w->value = false;
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        at_scalar(w, event);
        break;
    case YAML_MAPPING_START_EVENT:
    case YAML_SEQUENCE_START_EVENT:
        w->depth++;
        w->key = w->depth <= 2 && event->type == YAML_MAPPING_START_EVENT;
        break;
    case YAML_MAPPING_END_EVENT:
    case YAML_SEQUENCE_END_EVENT:
        w->depth--;
        w->key = w->depth <= 2; /* what has ended was a value */
        break;
    default:
        break;
    }
}

static struct walk find(const void *bytes, size_t size, const char *setting) {
    const char *dot = strchr(setting, '.');
    struct walk walk = {.setting = setting, .group = dot ? (size_t)(dot - setting) : 0};
    yaml_parser_t parser;
    bool more = true;
    if (!yaml_parser_initialize(&parser))
        return walk;
    yaml_parser_set_input_string(&parser, bytes, size);
    while (more && walk.place.line == 0) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
            break;
        at_event(&walk, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return walk;
}

unsigned config_place_line(const void *bytes, size_t size, const char *setting, unsigned *column) {
    const struct walk walk = find(bytes, size, setting);
    if (column && walk.line)
        *column = walk.column;
    return walk.line;
}

struct config_place config_place_value(const void *bytes, size_t size, const char *setting) {
    return find(bytes, size, setting).place;
}

/* Whether the next node is the key of a mapping, by depth. Deeper than any text that is taken goes,
 * libcyaml refuses what stands there by itself. */
#define DEPTH_MAX 16
struct nesting {
    unsigned depth;
    bool mapping[DEPTH_MAX], key[DEPTH_MAX];
};

/* True where `event` begins a list or mapping in the place of a key, for which libcyaml has no
 * words. */
static bool complex_key(struct nesting *n, yaml_event_type_t type) {
    const bool begins = type == YAML_MAPPING_START_EVENT || type == YAML_SEQUENCE_START_EVENT;
    const bool ends = type == YAML_MAPPING_END_EVENT || type == YAML_SEQUENCE_END_EVENT;
    if (ends && n->depth)
        n->depth--;
    const bool known = n->depth > 0 && n->depth <= DEPTH_MAX && n->mapping[n->depth - 1];
    if (begins) {
        if (known && n->key[n->depth - 1])
            return true;
        if (n->depth < DEPTH_MAX) {
            n->mapping[n->depth] = type == YAML_MAPPING_START_EVENT;
            n->key[n->depth] = true;
        }
        n->depth++;
    } else if (known && (ends || type == YAML_SCALAR_EVENT || type == YAML_ALIAS_EVENT))
        n->key[n->depth - 1] = !n->key[n->depth - 1];
    return false;
}

enum status config_place_whole(const void *bytes, size_t size, const char *what,
                               struct error *error) {
    enum status status = STATUS_OK;
    unsigned documents = 0;
    struct nesting nesting = {0};
    yaml_parser_t parser;
    bool more = true;
    if (!yaml_parser_initialize(&parser))
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    yaml_parser_set_input_string(&parser, bytes, size);
    while (more && status == STATUS_OK) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event))
            break;
        const size_t line = event.start_mark.line + 1, column = event.start_mark.column + 1;
        if (event.type == YAML_DOCUMENT_START_EVENT && ++documents > 1)
            status =
                status_fail(error, STATUS_INVALID,
                            "%s: line %zu: a second document begins; the file is one", what, line);
        else if (event.type == YAML_SCALAR_EVENT &&
                 memchr(event.data.scalar.value, '\0', event.data.scalar.length))
            status = status_fail(error, STATUS_INVALID, "%s: line %zu: a value has a zero byte",
                                 what, line);
        else if (complex_key(&nesting, event.type))
            status = status_fail(error, STATUS_INVALID,
                                 "%s: line %zu, column %zu: found a list or mapping as a key, "
                                 "expected a name",
                                 what, line, column);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    return status;
}
