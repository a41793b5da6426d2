#include "engine/model/graph.h"

const struct attribute *graph_node_attribute(const struct node *n, const char *name) {
    for (size_t i = 0; i < n->attribute_count; i++)
        if (str_is(n->attributes[i].name, name))
            return &n->attributes[i];
    return NULL;
}

const char *graph_name_text(struct str name, char *text, size_t size) {
    size_t n = name.size < size - 1 ? name.size : size - 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)name.data[i];
        text[i] = ch >= 0x20 && ch < 0x7f ? (char)ch : '?';
    }
    text[n] = '\0';
    return text;
}
