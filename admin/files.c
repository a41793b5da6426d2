#include "admin/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/secret.h"

static enum status status_of_errno(int reason) {
    switch (reason) {
    case ENOENT:
    case ENOTDIR:
        return STATUS_NOT_FOUND;
    case EACCES:
    case EPERM:
        return STATUS_FORBIDDEN;
    case EEXIST:
        return STATUS_CONFLICT;
    default:
        return STATUS_UNAVAILABLE;
    }
}

enum status files_read_secret(const char *path, const char *what, size_t max, uint8_t **bytes,
                              size_t *size, struct error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        int reason = errno;
        return status_fail(error, status_of_errno(reason), "%s: %s: %s", what, path,
                           strerror(reason));
    }
    enum status status = STATUS_UNAVAILABLE;
    uint8_t *memory = secret_alloc(max + 1, error);
    size_t have = 0;
    while (memory) {
        ssize_t n = read(fd, memory + have, max + 1 - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            status =
                status_fail(error, STATUS_UNAVAILABLE, "%s: %s: %s", what, path, strerror(errno));
        else if (n == 0)
            status = STATUS_OK;
        else if ((have += (size_t)n) > max)
            status = status_fail(error, STATUS_TOO_LARGE, "%s: %s has more than %zu bytes", what,
                                 path, max);
        else
            continue;
        break;
    }
    close(fd);
    if (status == STATUS_OK) {
        *bytes = memory;
        *size = have;
    } else {
        secret_free(memory);
    }
    return status;
}

enum status files_write_all(int fd, const void *bytes, size_t size, struct error *error) {
    const uint8_t *at = bytes;
    while (size) {
        ssize_t n = write(fd, at, size);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return status_fail(error, STATUS_UNAVAILABLE, "cannot write: %s", strerror(errno));
        at += n;
        size -= (size_t)n;
    }
    return STATUS_OK;
}

enum status files_write_new(const char *path, const void *bytes, size_t size, mode_t mode,
                            struct error *error) {
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode);
    if (fd < 0) {
        int reason = errno;
        return status_fail(error, status_of_errno(reason), "%s: %s", path, strerror(reason));
    }
    enum status status = files_write_all(fd, bytes, size, error);
    if (status == STATUS_OK && (fchmod(fd, mode) != 0 || fsync(fd) != 0))
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (close(fd) != 0 && status == STATUS_OK)
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno));
    if (status != STATUS_OK)
        unlink(path);
    return status;
}

enum status files_make_folder(const char *path, bool exists_ok, struct error *error) {
    struct stat s;
    if (mkdir(path, 0700) == 0)
        return STATUS_OK;
    int reason = errno;
    if (reason == EEXIST && exists_ok && stat(path, &s) == 0 && S_ISDIR(s.st_mode))
        return STATUS_OK;
    return status_fail(error, status_of_errno(reason), "%s: %s", path, strerror(reason));
}

char *files_join(const char *dir, const char *name, struct error *error) {
    char *path = NULL;
    if (asprintf(&path, "%s/%s", dir, name) < 0) {
        status_fail(error, STATUS_UNAVAILABLE, "out of memory");
        return NULL;
    }
    return path;
}
