#include "admin/npy.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "admin/files.h"
#include "base/buf.h"
#include "base/checked.h"

#define HEADER_MAX 65536
#define FILE_MAX ((off_t)4 << 30)

static const struct {
    const char *code; /* after the byte order */
    enum dtype dtype;
} types[] = {
    {"b1", DTYPE_BOOL},   {"i1", DTYPE_INT8},    {"u1", DTYPE_UINT8},  {"i2", DTYPE_INT16},
    {"u2", DTYPE_UINT16}, {"i4", DTYPE_INT32},   {"u4", DTYPE_UINT32}, {"i8", DTYPE_INT64},
    {"u8", DTYPE_UINT64}, {"f2", DTYPE_FLOAT16}, {"f4", DTYPE_FLOAT},  {"f8", DTYPE_DOUBLE},
};

/* What the header says. */
struct header {
    enum dtype dtype;
    char text;    /* 'U' or 'S' for strings, else 0 */
    size_t width; /* of a string, in its characters */
    int rank;
    int64_t dims[TENSOR_MAX_RANK];
};

static enum status bad(const char *path, const char *why, struct error *error) {
    return status_fail(error, STATUS_INVALID, "%s: %s", path, why);
}

/* The value after 'name': in the dictionary; NULL where it is not there. */
static const char *find_member(const char *text, const char *name) {
    char quoted[32];
    snprintf(quoted, sizeof quoted, "'%s'", name);
    const char *at = strstr(text, quoted);
    if (!at)
        return NULL;
    at += strlen(quoted);
    at += strspn(at, " ");
    if (*at++ != ':')
        return NULL;
    return at + strspn(at, " ");
}

static enum status read_descr(const char *path, const char *at, struct header *header,
                              struct error *error) {
    char code[16] = "";
    const char *end = at && *at == '\'' ? strchr(at + 1, '\'') : NULL;
    if (!end || end - at - 1 < 3 || (size_t)(end - at - 1) >= sizeof code)
        return bad(path, "the element type is not one that is read here", error);
    memcpy(code, at + 1, (size_t)(end - at - 1));
    if (code[0] == '>')
        return bad(path, "big-endian arrays are not read: use .astype(a.dtype.newbyteorder('<'))",
                   error);
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(code + 1, types[i].code) == 0) {
            header->dtype = types[i].dtype;
            return STATUS_OK;
        }
    char *rest = NULL;
    unsigned long width = isdigit((unsigned char)code[2]) ? strtoul(code + 2, &rest, 10) : 0;
    if ((code[1] != 'U' && code[1] != 'S') || !rest || *rest || width > 1u << 20)
        return status_fail(error, STATUS_INVALID, "%s: elements of type %s are not read here", path,
                           code);
    header->dtype = DTYPE_STRING;
    header->text = code[1];
    header->width = width;
    return STATUS_OK;
}

static enum status read_shape(const char *path, const char *at, struct header *header,
                              struct error *error) {
    if (!at || *at++ != '(')
        return bad(path, "the header names no shape", error);
    for (;;) {
        char *end = NULL;
        at += strspn(at, " ,");
        if (*at == ')')
            return STATUS_OK;
        errno = 0;
        long long dim = isdigit((unsigned char)*at) ? strtoll(at, &end, 10) : -1;
        if (dim < 0 || errno || header->rank == TENSOR_MAX_RANK)
            return bad(path, "the shape is not read here", error);
        header->dims[header->rank++] = dim;
        at = end;
    }
}

/* Steps over the preamble and reads the dictionary. */
static enum status read_header(const char *path, struct cursor *in, struct header *header,
                               struct error *error) {
    const uint8_t *magic = cursor_take(in, 6);
    uint8_t major = cursor_u8(in);
    (void)cursor_u8(in);
    size_t length = major == 1 ? cursor_u16(in) : cursor_u32(in);
    if (!magic || memcmp(magic, "\x93NUMPY", 6) != 0 || major < 1 || major > 3 ||
        length > HEADER_MAX)
        return bad(path, "not a .npy file", error);
    const uint8_t *text = cursor_take(in, length);
    char *copy = text ? strndup((const char *)text, length) : NULL;
    if (!copy)
        return bad(path, "the header is cut off", error);
    const char *order = find_member(copy, "fortran_order");
    enum status status = read_descr(path, find_member(copy, "descr"), header, error);
    if (status == STATUS_OK && (!order || strncmp(order, "False", 5) != 0))
        status =
            bad(path, "arrays in Fortran order are not read: use numpy.ascontiguousarray", error);
    if (status == STATUS_OK)
        status = read_shape(path, find_member(copy, "shape"), header, error);
    free(copy);
    return status;
}

/* One code point as UTF-8; 0 where it is none. */
static size_t put_utf8(uint32_t c, char out[4]) {
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xc0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        if (c >= 0xd800 && c <= 0xdfff)
            return 0;
        out[0] = (char)(0xe0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    if (c > 0x10ffff)
        return 0;
    out[0] = (char)(0xf0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Elements of fixed width, padded with zeros, to strings with a length. */
static enum status read_strings(const char *path, struct cursor *in, const struct header *header,
                                struct npy *npy, struct error *error) {
    size_t character = header->text == 'U' ? 4 : 1, count = (size_t)npy->tensor.count, room, rows;
    struct str *out = NULL;
    if (!checked_mul(count, header->width * 4, &room) ||
        !checked_mul(count, header->width * character, &rows) || rows != cursor_left(in))
        return bad(path, "the data is not as long as the header says", error);
    npy->strings = malloc(room + 1);
    npy->data = out = calloc(count + 1, sizeof *out);
    if (!npy->strings || !npy->data)
        return status_fail(error, STATUS_UNAVAILABLE, "%s: out of memory", path);
    char *at = npy->strings;
    for (size_t i = 0; i < count; i++) {
        char *start = at, *end = at;
        for (size_t j = 0; j < header->width; j++) {
            uint32_t c = header->text == 'U' ? cursor_u32(in) : cursor_u8(in);
            size_t n = 1;
            if (header->text == 'U')
                n = put_utf8(c, at);
            else
                *at = (char)c;
            if (n == 0)
                return bad(path, "a text holds what is no Unicode character", error);
            at += n;
            if (c)
                end = at;
        }
        out[i] = (struct str){start, (size_t)(end - start)};
        at = end;
    }
    return STATUS_OK;
}

static enum status read_numbers(const char *path, struct cursor *in, struct npy *npy,
                                struct error *error) {
    size_t size = npy->tensor.bytes, rounded;
    if (size != cursor_left(in))
        return bad(path, "the data is not as long as the header says", error);
    if (!checked_align(size ? size : 1, 64, &rounded) || !(npy->data = aligned_alloc(64, rounded)))
        return status_fail(error, STATUS_UNAVAILABLE, "%s: out of memory", path);
    const uint8_t *bytes = cursor_take(in, size);
    if (size)
        memcpy(npy->data, bytes, size);
    return STATUS_OK;
}

static enum status read_bytes(const char *path, uint8_t **bytes, size_t *size,
                              struct error *error) {
    struct stat s;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return status_fail(error, STATUS_NOT_FOUND, "%s: %s", path, strerror(errno));
    enum status status = STATUS_OK;
    uint8_t *made = NULL;
    size_t have = 0;
    if (fstat(fd, &s) != 0 || !S_ISREG(s.st_mode) || s.st_size > FILE_MAX)
        status = bad(path, "not a file of at most 4 GiB", error);
    else if (!(made = malloc((size_t)s.st_size + 1)))
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: out of memory", path);
    while (status == STATUS_OK && have < (size_t)s.st_size) {
        ssize_t n = read(fd, made + have, (size_t)s.st_size - have);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            status = bad(path, "it cannot be read whole", error);
        else
            have += (size_t)n;
    }
    close(fd);
    if (status == STATUS_OK) {
        *bytes = made;
        *size = have;
    } else {
        free(made);
    }
    return status;
}

enum status npy_read(const char *path, struct npy *npy, struct error *error) {
    struct npy made = {0};
    struct header header = {0};
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum status status = read_bytes(path, &bytes, &size, error);
    if (status != STATUS_OK)
        return status;
    struct cursor in = cursor_of(bytes, size);
    status = read_header(path, &in, &header, error);
    if (status == STATUS_OK && (status = tensor_shape(&made.tensor, header.dtype, header.rank,
                                                      header.dims, error)) != STATUS_OK)
        status_prefix(error, "%s: ", path);
    if (status == STATUS_OK)
        status = header.text ? read_strings(path, &in, &header, &made, error)
                             : read_numbers(path, &in, &made, error);
    if (status == STATUS_OK) {
        made.tensor.data = made.data;
        *npy = made;
    } else {
        npy_free(&made);
    }
    free(bytes);
    return status;
}

void npy_free(struct npy *npy) {
    free(npy->data);
    free(npy->strings);
    *npy = (struct npy){0};
}

/* The element's code; strings are as wide as the widest. */
static void element_code(const struct tensor *tensor, char code[32], size_t *width) {
    *width = 0;
    if (tensor->dtype == DTYPE_STRING) {
        const struct str *strings = tensor->data;
        *width = 1;
        for (int64_t i = 0; i < tensor->count; i++)
            if (strings[i].size > *width)
                *width = strings[i].size;
        snprintf(code, 32, "|S%zu", *width);
        return;
    }
    snprintf(code, 32, "%s", dtype_size(tensor->dtype) == 2 ? "<u2" : "|u1");
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (types[i].dtype == tensor->dtype)
            snprintf(code, 32, "%c%s", dtype_size(tensor->dtype) == 1 ? '|' : '<', types[i].code);
}

static enum status write_strings(int fd, const struct tensor *tensor, size_t width,
                                 struct error *error) {
    const struct str *strings = tensor->data;
    char *row = malloc(width);
    enum status status = row ? STATUS_OK : status_fail(error, STATUS_UNAVAILABLE, "out of memory");
    for (int64_t i = 0; i < tensor->count && status == STATUS_OK; i++) {
        memset(row, 0, width);
        memcpy(row, strings[i].data, strings[i].size);
        status = files_write_all(fd, row, width, error);
    }
    free(row);
    return status;
}

enum status npy_write(const char *path, const struct tensor *tensor, struct error *error) {
    char header[512], code[32];
    size_t width = 0;
    struct buf out = buf_of(header, sizeof header);
    element_code(tensor, code, &width);
    buf_bytes(&out, "\x93NUMPY\x01\x00", 8);
    buf_u16(&out, 0); /* the length, known below */
    buf_printf(&out, "{'descr': '%s', 'fortran_order': False, 'shape': (", code);
    for (int i = 0; i < tensor->rank; i++)
        buf_printf(&out, "%lld,", (long long)tensor->dims[i]);
    buf_string(&out, "), }");
    while (!out.failed && (out.size + 1) % 64)
        buf_u8(&out, ' ');
    buf_u8(&out, '\n');
    if (out.failed)
        return bad(path, "the shape does not fit into a header", error);
    header[8] = (char)((out.size - 10) & 0xff);
    header[9] = (char)((out.size - 10) >> 8);

    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0)
        return status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno));
    enum status status = files_write_all(fd, header, out.size, error);
    if (status == STATUS_OK)
        status = tensor->dtype == DTYPE_STRING
                     ? write_strings(fd, tensor, width, error)
                     : files_write_all(fd, tensor->data, tensor->bytes, error);
    if (close(fd) != 0 && status == STATUS_OK)
        status = status_fail(error, STATUS_UNAVAILABLE, "%s: %s", path, strerror(errno));
    return status;
}
