#include "admin/model_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/checked.h"

#define MODEL_MAX ((off_t)16 << 30)

struct model_file {
    uint8_t *bytes; /* must outlive the session */
    size_t size;
    struct session *session;
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

static enum status read_file(const char *path, struct model_file *file, struct error *error) {
    struct stat s;
    enum status status = STATUS_OK;
    size_t have = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_fail(error, errno == ENOENT ? STATUS_NOT_FOUND : STATUS_FORBIDDEN, "%s: %s",
                           path, strerror(errno));
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size <= 0 || s.st_size > MODEL_MAX) {
        status = status_fail(error, STATUS_INVALID, "%s: not a file of 1 byte to 16 GiB", path);
        goto out;
    }
    file->size = (size_t)s.st_size;
    file->bytes = acquire(NULL, file->size);
    if (!file->bytes) {
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: out of memory", path);
        goto out;
    }
    while (have < file->size) {
        ssize_t n = read(fd, file->bytes + have, file->size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0) {
            status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path,
                                 n < 0 ? strerror(errno) : "it became shorter while it was read");
            break;
        }
        have += (size_t)n;
    }
out:
    close(fd);
    return status;
}

/* No ONNX file begins like this: 'a' and '-' are no tags of a model's fields. */
static bool is_sealed(const struct model_file *file) {
    static const char *const marks[] = {"age-encryption.org/",
                                        "-----BEGIN AGE ENCRYPTED FILE-----"};
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        size_t length = strlen(marks[i]);
        if (file->size >= length && memcmp(file->bytes, marks[i], length) == 0)
            return true;
    }
    return false;
}

enum status model_file_open(const char *path, size_t threads, struct model_file **file,
                            struct error *error) {
    const struct memory memory = {.acquire = acquire, .release = release};
    const struct session_options options = {.memory = memory, .secret = memory, .threads = threads};
    struct model_file *made = calloc(1, sizeof *made);
    if (!made)
        return status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    enum status status = read_file(path, made, error);
    if (status == STATUS_OK && is_sealed(made))
        status = status_fail(error, STATUS_INVALID,
                             "%s: the file is sealed (age): only who holds the identity that it is "
                             "sealed to can look into it; give the ONNX file it was made from",
                             path);
    if (status == STATUS_OK) {
        const struct str bytes = {(const char *)made->bytes, made->size};
        status = session_open(bytes, &options, &made->session, error);
        if (status != STATUS_OK)
            status_prefix(error, "%s: ", path);
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
    session_free(file->session);
    free(file->bytes);
    free(file);
}

struct session *model_file_session(struct model_file *file) {
    return file->session;
}

size_t model_file_size(const struct model_file *file) {
    return file->size;
}
