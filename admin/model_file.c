#include "admin/model_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/mapped.h"
#include "base/checked.h"
#include "bundle/member.h"
#include "bundle/tar.h"
#include "engine/model/graph.h"

#define FORGET_STEP ((size_t)16 << 20) /* of what was streamed stays mapped in */

struct part {
    char *name;
    struct mapped mapped;
};

/* Where model_file_read stands. */
struct position {
    size_t part;
    uint64_t in_part; /* header, data and padding counted */
    uint64_t given, size;
};

struct model_file {
    char *path;
    struct mapped mapped; /* a file */
    int folder;           /* -1: it is a file */
    struct part *parts;   /* of a folder */
    size_t part_count, part_capacity;
    struct error problem; /* of a part that is there and cannot be taken */
    struct bundle *bundle;
    struct position at;
};

static void *acquire(void *context, size_t size) {
    size_t rounded;
    (void)context;
    return checked_align(size ? size : 1, MEMORY_ALIGN, &rounded)
               ? aligned_alloc(MEMORY_ALIGN, rounded)
               : NULL;
}

static void release(void *context, void *data, size_t size) {
    (void)context, (void)size;
    free(data);
}

/* No ONNX file begins like this: 'a' and '-' are no tags of a model's fields. */
static bool is_sealed(const struct mapped *mapped) {
    static const char *const marks[] = {"age-encryption.org/",
                                        "-----BEGIN AGE ENCRYPTED FILE-----"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t length = strlen(marks[i]);
        if (mapped->size >= length && memcmp(mapped->data, marks[i], length) == 0)
            return true;
    }
    return false;
}

static struct str mapped_str(const struct mapped *mapped) {
    return (struct str){mapped->data, mapped->size};
}

/* --- a folder's files ------------------------------------------------------------------------- */

static const struct part *find_part(const struct model_file *file, struct str name) {
    for (size_t i = 0; i < file->part_count; i++)
        if (str_is(name, file->parts[i].name))
            return &file->parts[i];
    return NULL;
}

/* NULL, and the reason in file->problem unless the file is simply not there. */
static const struct part *add_part(struct model_file *file, struct str name) {
    struct part part = {.name = strndup(name.data, name.size)};
    struct error *problem = &file->problem;
    if (file->part_count == file->part_capacity) {
        size_t wanted = file->part_capacity ? file->part_capacity * 2 : 16;
        struct part *bigger = realloc(file->parts, wanted * sizeof *bigger);
        if (bigger) {
            file->parts = bigger;
            file->part_capacity = wanted;
        }
    }
    if (!part.name || file->part_count == file->part_capacity) {
        (void)!status_fail(problem, STATUS_UNAVAILABLE, "out of memory");
        goto failed;
    }
    if (file->part_count == MEMBER_COUNT_MAX) {
        (void)!status_fail(problem, STATUS_UNSERVABLE, "the bundle has more than %d files",
                           MEMBER_COUNT_MAX);
        goto failed;
    }
    struct error error = {0};
    enum status status = mapped_beneath(file->folder, part.name, &part.mapped, &error);
    if (status == STATUS_OK) {
        file->parts[file->part_count] = part;
        return &file->parts[file->part_count++];
    }
    if (status != STATUS_NOT_FOUND && problem->status == STATUS_OK)
        *problem = error;
failed:
    free(part.name);
    return NULL;
}

/* As struct external wants it. The name is one that a member may have. */
static bool find(void *context, struct str name, struct str *bytes) {
    struct model_file *file = context;
    const struct part *part = find_part(file, name);
    if (!part)
        part = add_part(file, name);
    if (part)
        *bytes = mapped_str(&part->mapped);
    return part != NULL;
}

/* --- opening ---------------------------------------------------------------------------------- */

enum status model_file_open(const char *path, struct model_file **file, struct error *error) {
    struct stat s;
    struct model_file *made = calloc(1, sizeof *made);
    if (!made || !(made->path = strdup(path))) {
        free(made);
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    }
    made->folder = -1;
    enum status status = STATUS_OK;
    if (stat(path, &s) == 0 && S_ISDIR(s.st_mode)) {
        made->folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (made->folder < 0)
            status = status_fail(error, STATUS_FORBIDDEN, "%s: %s", path, strerror(errno));
    } else {
        status = mapped_open(path, &made->mapped, error);
        if (status == STATUS_OK && made->mapped.size == 0)
            status = status_fail(error, STATUS_INVALID, "%s: the file is empty", path);
        if (status == STATUS_OK && is_sealed(&made->mapped))
            status =
                status_fail(error, STATUS_INVALID,
                            "%s: the file is sealed (age): only who holds the identity that it is "
                            "sealed to can look into it; give the ONNX file it was made from",
                            path);
    }
    if (status == STATUS_OK)
        *file = made;
    else
        model_file_close(made);
    return status;
}

void model_file_close(struct model_file *file) {
    if (!file)
        return;
    model_file_unload(file);
    for (size_t i = 0; i < file->part_count; i++) {
        mapped_close(&file->parts[i].mapped);
        free(file->parts[i].name);
    }
    free(file->parts);
    mapped_close(&file->mapped);
    if (file->folder >= 0)
        close(file->folder);
    free(file->path);
    free(file);
}

/* By name, so that the same folder gives the same archive. */
static int by_name(const void *a, const void *b) {
    return strcmp(((const struct part *)a)->name, ((const struct part *)b)->name);
}

/* What is there and cannot be taken is a failure, also where it could have been left out; and says
 * more than that it is not there. */
static enum status explain(struct model_file *file, enum status status, struct error *error) {
    if (file->part_count)
        qsort(file->parts, file->part_count, sizeof *file->parts, by_name);
    if (file->problem.status != STATUS_OK)
        status = status_fail(error, file->problem.status, "%s", file->problem.message);
    if (status != STATUS_OK)
        (void)!status_prefix(error, "%s: ", file->path);
    return status;
}

enum status model_file_load(struct model_file *file, size_t threads, struct error *error) {
    const struct memory memory = {.acquire = acquire, .release = release};
    const struct session_options options = {.memory = memory, .secret = memory, .threads = threads};
    const struct external files = {.find = find, .ctx = file};
    enum status status =
        file->folder >= 0 ? bundle_open_files(&files, &options, &file->bundle, error)
                          : bundle_open(mapped_str(&file->mapped), &options, &file->bundle, error);
    return explain(file, status, error);
}

enum status model_file_refer(struct model_file *file, struct error *error) {
    const struct external files = {.find = find, .ctx = file};
    return file->folder < 0 ? STATUS_OK : explain(file, bundle_refer(&files, error), error);
}

void model_file_unload(struct model_file *file) {
    bundle_free(file->bundle);
    file->bundle = NULL;
}

struct bundle *model_file_bundle(const struct model_file *file) {
    return file->bundle;
}

struct session *model_file_session(const struct model_file *file) {
    return file->bundle ? bundle_session(file->bundle) : NULL;
}

/* --- the bytes to seal ------------------------------------------------------------------------ */

static uint64_t part_size(const struct part *part, uint8_t header[TAR_HEADER_MAX],
                          size_t *header_size) {
    *header_size = tar_header(part->name, part->mapped.size, header);
    return *header_size + part->mapped.size + tar_padding(part->mapped.size);
}

uint64_t model_file_size(const struct model_file *file) {
    uint8_t header[TAR_HEADER_MAX];
    size_t header_size;
    uint64_t size = TAR_END_SIZE;
    if (file->folder < 0)
        return file->mapped.size;
    for (size_t i = 0; i < file->part_count; i++)
        size += part_size(&file->parts[i], header, &header_size);
    return size;
}

/* Bytes of the mapped file at *at, as many as fit; what was given long ago need not stay in. */
static size_t give_mapped(const struct mapped *mapped, uint64_t at, void *data, size_t room) {
    size_t n = mapped->size - at < room ? (size_t)(mapped->size - at) : room;
    memcpy(data, mapped->data + at, n);
    if (at / FORGET_STEP != (at + n) / FORGET_STEP)
        mapped_forget(mapped, at / FORGET_STEP * FORGET_STEP, FORGET_STEP);
    return n;
}

/* The next bytes of the archive, at least one where there are any. */
static size_t give_part(struct model_file *file, uint8_t *data, size_t room) {
    const struct part *part = &file->parts[file->at.part];
    uint8_t header[TAR_HEADER_MAX];
    size_t header_size, n;
    uint64_t size = part_size(part, header, &header_size), at = file->at.in_part;
    if (at < header_size) {
        n = header_size - at < room ? header_size - (size_t)at : room;
        memcpy(data, header + at, n);
    } else if (at - header_size < part->mapped.size) {
        n = give_mapped(&part->mapped, at - header_size, data, room);
    } else {
        n = size - at < room ? (size_t)(size - at) : room;
        memset(data, 0, n);
    }
    file->at.in_part += n;
    if (file->at.in_part == size) {
        file->at.part++;
        file->at.in_part = 0;
    }
    return n;
}

enum status model_file_read(void *context, void *data, size_t size, size_t *got,
                            struct error *error) {
    struct model_file *file = context;
    if (file->at.given == 0)
        file->at.size = model_file_size(file);
    uint64_t left = file->at.size - file->at.given;
    size_t have = 0, wanted = left < size ? (size_t)left : size;
    (void)error;
    while (have < wanted) {
        uint8_t *to = (uint8_t *)data + have;
        size_t n = wanted - have;
        if (file->folder < 0)
            n = give_mapped(&file->mapped, file->at.given, to, n);
        else if (file->at.part < file->part_count)
            n = give_part(file, to, n);
        else
            memset(to, 0, n); /* the end of the archive */
        have += n;
        file->at.given += n;
    }
    *got = have;
    return STATUS_OK;
}

/* --- telling ---------------------------------------------------------------------------------- */

bool model_file_is_folder(const struct model_file *file) {
    return file->folder >= 0;
}

const char *model_file_member(const struct model_file *file, size_t index, uint64_t *size) {
    if (index >= file->part_count)
        return NULL;
    *size = file->parts[index].mapped.size;
    return file->parts[index].name;
}

/* Is it, or does it hold, a file of the bundle? */
static bool is_taken(const struct model_file *file, const char *name) {
    size_t length = strlen(name);
    for (size_t i = 0; i < file->part_count; i++)
        if (strncmp(file->parts[i].name, name, length) == 0 &&
            (file->parts[i].name[length] == '\0' || file->parts[i].name[length] == '/'))
            return true;
    return false;
}

enum status model_file_left_out(const struct model_file *file,
                                void (*fn)(void *context, const char *name), void *context,
                                struct error *error) {
    struct dirent **names = NULL;
    int count = scandir(file->path, &names, NULL, alphasort);
    if (count < 0)
        return status_fail(error, STATUS_UNAVAILABLE, "%s: %s", file->path, strerror(errno));
    for (int i = 0; i < count; i++) {
        const char *name = names[i]->d_name;
        if (strcmp(name, ".") != 0 && strcmp(name, "..") != 0 && !is_taken(file, name))
            fn(context, name);
        free(names[i]);
    }
    free(names);
    return STATUS_OK;
}
