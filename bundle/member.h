/* The members of a bundle's archive: names checked, found by name, and marked when they are used.
 *
 * A name is relative, of parts that are neither empty nor "." nor "..", in UTF-8 without control
 * characters and backslashes; a leading "./" is dropped. No two members have the same name. Folders
 * may stand in the archive where a member lies in them; they are not members.
 *
 * Ownership: the list is the caller's (member_list_free), the data stays in the archive. Failure:
 * STATUS_INVALID. Threads: one owner. Input: hostile. */
#ifndef BUNDLE_MEMBER_H
#define BUNDLE_MEMBER_H

#include "engine/model/tensor.h"

#define MEMBER_COUNT_MAX 4096

struct member {
    char *name;
    size_t name_size;
    struct str bytes;
    bool is_folder;
    bool used;
};

struct member_list {
    struct member *members; /* sorted by name */
    size_t count;
};

/* Is it a name that a member may have? *name loses its leading "./". */
MUST_USE enum status member_name(struct str *name, struct error *error);

MUST_USE enum status member_list_read(struct str archive, struct member_list *list,
                                      struct error *error);
void member_list_free(struct member_list *list);
/* The file of that name, which is then used; NULL where there is none. */
const struct member *member_find(struct member_list *list, struct str name);
/* Fails where a file was not used, or a folder has no file in it. */
MUST_USE enum status member_all_used(const struct member_list *list, struct error *error);

#endif
