#include "admin/mapped.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* Takes over `file`. */
static enum status map(int file, const char *name, struct mapped *mapped, struct error *error) {
    struct stat s;
    void *data = NULL;
    enum status status = STATUS_OK;
    if (fstat(file, &s) != 0 || !S_ISREG(s.st_mode))
        status = status_fail(error, STATUS_INVALID, "%s: not a regular file", name);
    else if (s.st_size > 0 &&
             (data = mmap(NULL, (size_t)s.st_size, PROT_READ, MAP_PRIVATE, file, 0)) == MAP_FAILED)
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", name, strerror(errno));
    if (status == STATUS_OK)
        *mapped = (struct mapped){.data = data ? data : "", .size = (size_t)s.st_size};
    close(file);
    return status;
}

static enum status refused(const char *name, struct error *error) {
    switch (errno) {
    case ENOENT:
    case ENOTDIR:
        return status_fail(error, STATUS_NOT_FOUND, "%s: %s", name, strerror(errno));
    case ELOOP:
    case EXDEV:
        return status_fail(error, STATUS_INVALID,
                           "%s: a symbolic link, or behind one: put the file itself there", name);
    default:
        return status_fail(error, STATUS_FORBIDDEN, "%s: %s", name, strerror(errno));
    }
}

enum status mapped_open(const char *path, struct mapped *mapped, struct error *error) {
    int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    return file < 0 ? refused(path, error) : map(file, path, mapped, error);
}

enum status mapped_beneath(int folder, const char *name, struct mapped *mapped,
                           struct error *error) {
    const struct open_how how = {.flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK,
                                 .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
    int file = (int)syscall(SYS_openat2, folder, name, &how, sizeof how);
    return file < 0 ? refused(name, error) : map(file, name, mapped, error);
}

void mapped_close(struct mapped *mapped) {
    if (mapped->size)
        munmap((void *)(uintptr_t)mapped->data, mapped->size);
    *mapped = (struct mapped){0};
}

void mapped_forget(const struct mapped *mapped, size_t offset, size_t size) {
    if (offset < mapped->size)
        (void)madvise((void *)(uintptr_t)(mapped->data + offset),
                      size < mapped->size - offset ? size : mapped->size - offset, MADV_DONTNEED);
}
