#include "bundle/member.h"

#include <stdlib.h>

#include "base/sort.h"
#include "bundle/tar.h"
#include "bundle/text.h"
#include "engine/model/graph.h"

static enum status bad_name(struct str name, const char *why, struct error *error) {
    char text[100];
    return status_fail(error, STATUS_INVALID, "the bundle's file \"%s\": its name %s",
                       graph_name_text(name, text, sizeof text), why);
}

enum status member_name(struct str *name, struct error *error) {
    struct str n = *name;
    if (n.size >= 2 && n.data[0] == '.' && n.data[1] == '/')
        n = (struct str){n.data + 2, n.size - 2};
    if (n.size == 0 || n.size > TAR_NAME_MAX)
        return bad_name(*name, "is empty or longer than 255 bytes", error);
    if (n.data[0] == '/')
        return bad_name(*name, "is absolute, expected one relative to the bundle", error);
    if (text_check(n, false) != TEXT_FINE)
        return bad_name(*name, "is not UTF-8 without control characters", error);
    if (memchr(n.data, '\\', n.size))
        return bad_name(*name, "has a backslash", error);
    for (size_t from = 0, i = 0; i <= n.size; i++) {
        if (i < n.size && n.data[i] != '/')
            continue;
        size_t length = i - from;
        if (length == 0)
            return bad_name(*name, "has an empty part", error);
        if (n.data[from] == '.' && (length == 1 || (length == 2 && n.data[from + 1] == '.')))
            return bad_name(*name, "has a part \".\" or \"..\"", error);
        from = i + 1;
    }
    *name = n;
    return STATUS_OK;
}

static int by_name(const void *a, const void *b) {
    const struct member *x = a, *y = b;
    size_t n = x->name_size < y->name_size ? x->name_size : y->name_size;
    int order = memcmp(x->name, y->name, n);
    return order ? order : x->name_size == y->name_size ? 0 : x->name_size < y->name_size ? -1 : 1;
}

static int by_place(const void *a, const void *b, void *context) {
    (void)context;
    return by_name(a, b);
}

static enum status add(struct member_list *list, size_t *capacity, const struct tar_member *from,
                       struct error *error) {
    struct str name = {from->name, from->name_size};
    if (from->is_folder && name.size && name.data[name.size - 1] == '/')
        name.size--;
    if (from->is_folder && str_is(name, "."))
        return STATUS_OK;
    enum status status = member_name(&name, error);
    if (status != STATUS_OK)
        return status;
    if (list->count == MEMBER_COUNT_MAX)
        return status_fail(error, STATUS_UNSERVABLE, "the bundle has more than %d files",
                           MEMBER_COUNT_MAX);
    if (list->count == *capacity) {
        size_t wanted = *capacity ? *capacity * 2 : 16;
        struct member *bigger = realloc(list->members, wanted * sizeof *bigger);
        if (!bigger)
            return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        list->members = bigger;
        *capacity = wanted;
    }
    char *copy = malloc(name.size);
    if (!copy)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    memcpy(copy, name.data, name.size);
    list->members[list->count++] = (struct member){.name = copy,
                                                   .name_size = name.size,
                                                   .bytes = {(const char *)from->data, from->size},
                                                   .is_folder = from->is_folder};
    return STATUS_OK;
}

/* Sorted, equal names are neighbours. */
static enum status check_names(const struct member_list *list, struct error *error) {
    for (size_t i = 1; i < list->count; i++)
        if (by_name(&list->members[i - 1], &list->members[i]) == 0)
            return bad_name((struct str){list->members[i].name, list->members[i].name_size},
                            "is there twice", error);
    return STATUS_OK;
}

enum status member_list_read(struct str archive, struct member_list *list, struct error *error) {
    struct tar tar = tar_of(archive.data, archive.size);
    struct member_list made = {0};
    struct tar_member next;
    size_t capacity = 0;
    bool more = true;
    enum status status;
    while ((status = tar_next(&tar, &next, &more, error)) == STATUS_OK && more)
        if ((status = add(&made, &capacity, &next, error)) != STATUS_OK)
            break;
    if (status == STATUS_OK)
        sort_heap(made.members, made.count, sizeof *made.members, by_place, NULL);
    if (status == STATUS_OK)
        status = check_names(&made, error);
    if (status == STATUS_OK)
        *list = made;
    else
        member_list_free(&made);
    return status;
}

void member_list_free(struct member_list *list) {
    for (size_t i = 0; i < list->count; i++)
        free(list->members[i].name);
    free(list->members);
    *list = (struct member_list){0};
}

/* Where `name` is, or would be. */
static size_t place_of(const struct member_list *list, const struct member *name) {
    size_t low = 0, high = list->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (by_name(&list->members[middle], name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

const struct member *member_find(struct member_list *list, struct str name) {
    const struct member wanted = {.name = (char *)(uintptr_t)name.data, .name_size = name.size};
    size_t at = place_of(list, &wanted);
    if (at == list->count || by_name(&list->members[at], &wanted) != 0 ||
        list->members[at].is_folder)
        return NULL;
    list->members[at].used = true;
    return &list->members[at];
}

/* Does a file lie in the folder? What begins with "FOLDER/" follows it in the order, though other
 * names ("FOLDER-2") may stand between. */
static bool holds_file(const struct member_list *list, size_t folder) {
    const struct member *f = &list->members[folder];
    for (size_t i = folder + 1; i < list->count; i++) {
        const struct member *m = &list->members[i];
        if (m->name_size <= f->name_size || memcmp(m->name, f->name, f->name_size) != 0)
            return false;
        if (m->name[f->name_size] == '/' && !m->is_folder)
            return true;
    }
    return false;
}

enum status member_all_used(const struct member_list *list, struct error *error) {
    for (size_t i = 0; i < list->count; i++) {
        const struct member *m = &list->members[i];
        const struct str name = {m->name, m->name_size};
        char text[100];
        if (m->is_folder ? holds_file(list, i) : m->used)
            continue;
        return status_fail(error, STATUS_INVALID,
                           m->is_folder
                               ? "the bundle's folder \"%s\": no file of the bundle lies in it"
                               : "the bundle's file \"%s\": neither the model nor manifest.yaml "
                                 "refers to it",
                           graph_name_text(name, text, sizeof text));
    }
    return STATUS_OK;
}
