#include "bundle/tar.h"

#include <stdio.h>
#include <string.h>

#define OCTAL_MOST 077777777777u /* eleven digits: what the size field of ustar can hold */

/* Offsets and widths of the fields of a header block. */
enum {
    NAME = 0,
    NAME_SIZE = 100,
    MODE = 100,
    UID = 108,
    GID = 116,
    SIZE = 124,
    SIZE_SIZE = 12,
    MTIME = 136,
    SUM = 148,
    SUM_SIZE = 8,
    TYPE = 156,
    MAGIC = 257,
    PREFIX = 345,
    PREFIX_SIZE = 155,
    REST = 500,
};

static const char magic_posix[8] = {'u', 's', 't', 'a', 'r', 0, '0', '0'};
static const char magic_gnu[8] = {'u', 's', 't', 'a', 'r', ' ', ' ', 0};

bool tar_is(const void *data, size_t size) {
    return size >= TAR_BLOCK && memcmp((const uint8_t *)data + MAGIC, "ustar", 5) == 0;
}

struct tar tar_of(const void *data, size_t size) {
    return (struct tar){.at = cursor_of(data, size)};
}

static enum status fail(const struct tar *tar, struct error *error, const char *what) {
    return status_fail(error, STATUS_INVALID, "the tar archive is malformed: header %zu: %s",
                       tar->headers, what);
}

static bool all_zero(const uint8_t *data, size_t size) {
    uint8_t any = 0;
    for (size_t i = 0; i < size; i++)
        any |= data[i];
    return any == 0;
}

/* Octal digits, perhaps after spaces, ended by NUL or space and nothing else; or GNU's binary form,
 * whose first byte is 0x80. */
static bool read_number(const uint8_t *field, size_t width, uint64_t *out) {
    uint64_t v = 0;
    size_t i = 0, digits = 0;
    if (field[0] == 0x80) {
        if (width <= 8 || !all_zero(field + 1, width - 9))
            return false;
        for (i = width - 8; i < width; i++)
            v = v << 8 | field[i];
        *out = v;
        return true;
    }
    while (i < width && field[i] == ' ')
        i++;
    for (; i < width && field[i] >= '0' && field[i] <= '7'; i++, digits++)
        v = v << 3 | (uint64_t)(field[i] - '0'); /* at most 12 digits: 36 bits */
    for (; i < width; i++)
        if (field[i] != '\0' && field[i] != ' ')
            return false;
    if (digits == 0)
        return false;
    *out = v;
    return true;
}

static uint64_t checksum(const uint8_t block[TAR_BLOCK]) {
    uint64_t sum = SUM_SIZE * ' ';
    for (size_t i = 0; i < TAR_BLOCK; i++)
        sum += i >= SUM && i < SUM + SUM_SIZE ? 0 : block[i];
    return sum;
}

/* Text up to the first NUL or the field's end, after which only NULs may follow; false where not.
 */
static bool read_text(const uint8_t *field, size_t width, size_t *length) {
    size_t n = strnlen((const char *)field, width);
    *length = n;
    return all_zero(field + n, width - n);
}

static enum status read_name(const struct tar *tar, const uint8_t *block, struct tar_member *m,
                             struct error *error) {
    size_t name = 0, prefix = 0;
    bool posix = memcmp(block + MAGIC, magic_posix, sizeof magic_posix) == 0;
    if (!posix && memcmp(block + MAGIC, magic_gnu, sizeof magic_gnu) != 0)
        return fail(tar, error, "it is neither of the ustar nor of GNU's form");
    if (!read_text(block + NAME, NAME_SIZE, &name) || name == 0)
        return fail(tar, error, "its name is empty or has bytes after its end");
    if (posix ? !read_text(block + PREFIX, PREFIX_SIZE, &prefix) ||
                    !all_zero(block + REST, TAR_BLOCK - REST)
              : !all_zero(block + PREFIX, TAR_BLOCK - PREFIX))
        return fail(tar, error, "there are bytes where the form has none");
    if (prefix + 1 + name > TAR_NAME_MAX)
        return fail(tar, error, "its name is longer than 255 bytes");
    struct buf text = buf_of(m->name, TAR_NAME_MAX);
    if (prefix) {
        buf_bytes(&text, block + PREFIX, prefix);
        buf_u8(&text, '/');
    }
    buf_bytes(&text, block + NAME, name);
    m->name[text.size] = '\0';
    m->name_size = text.size;
    return STATUS_OK;
}

/* --- pax records ------------------------------------------------------------------------------ */

struct pax {
    bool pending; /* a pax header was read: a member must follow */
    const char *path;
    size_t path_size;
    bool has_size;
    uint64_t size;
};

static bool decimal(const char *text, size_t length, uint64_t *out) {
    uint64_t v = 0;
    if (length == 0)
        return false;
    for (size_t i = 0; i < length; i++) {
        unsigned digit = (unsigned)(unsigned char)text[i] - '0';
        if (digit > 9 || __builtin_mul_overflow(v, 10u, &v) || __builtin_add_overflow(v, digit, &v))
            return false;
    }
    *out = v;
    return true;
}

static bool is_key(const char *key, size_t size, const char *word) {
    return strlen(word) == size && memcmp(key, word, size) == 0;
}

static bool is_harmless(const char *key, size_t size) {
    static const char *const words[] = {"atime", "mtime", "ctime", "uid",
                                        "gid",   "uname", "gname", "comment"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (is_key(key, size, words[i]))
            return true;
    return false;
}

static enum status pax_record(const struct tar *tar, const char *key, size_t key_size,
                              const char *value, size_t value_size, bool global, struct pax *pax,
                              struct error *error) {
    if (is_harmless(key, key_size))
        return STATUS_OK;
    if (!global && is_key(key, key_size, "path")) {
        if (value_size == 0 || value_size > TAR_NAME_MAX || memchr(value, '\0', value_size))
            return fail(tar, error, "its pax path is not 1 to 255 bytes of text");
        pax->path = value;
        pax->path_size = value_size;
        return STATUS_OK;
    }
    if (!global && is_key(key, key_size, "size")) {
        if (!decimal(value, value_size, &pax->size))
            return fail(tar, error, "its pax size is not a number");
        pax->has_size = true;
        return STATUS_OK;
    }
    return fail(tar, error,
                "it has a pax record that is not taken: only path, size, owners, times and "
                "comments are");
}

/* "LENGTH key=value\n", LENGTH counting all of it. */
static enum status read_pax(const struct tar *tar, const uint8_t *data, size_t size, bool global,
                            struct pax *pax, struct error *error) {
    const char *at = (const char *)data, *end = at + size;
    while (at < end) {
        const char *space = memchr(at, ' ', (size_t)(end - at));
        uint64_t length = 0;
        if (!space || at[0] == '0' || !decimal(at, (size_t)(space - at), &length) ||
            length > (size_t)(end - at) || length < (size_t)(space - at) + 2 ||
            at[length - 1] != '\n')
            return fail(tar, error, "a pax record's length is wrong");
        const char *last = at + length - 1, *key = space + 1;
        const char *equals = key < last ? memchr(key, '=', (size_t)(last - key)) : NULL;
        if (!equals || equals == key)
            return fail(tar, error, "a pax record is not key=value");
        enum status status = pax_record(tar, key, (size_t)(equals - key), equals + 1,
                                        (size_t)(last - equals - 1), global, pax, error);
        if (status != STATUS_OK)
            return status;
        at += length;
    }
    return STATUS_OK;
}

/* --- members ---------------------------------------------------------------------------------- */

static const char *refused_type(uint8_t type) {
    switch (type) {
    case '1':
        return "it is a hard link: only regular files and folders are taken";
    case '2':
        return "it is a symbolic link: only regular files and folders are taken";
    case '3':
    case '4':
        return "it is a device: only regular files and folders are taken";
    case '6':
        return "it is a named pipe: only regular files and folders are taken";
    case 'L':
    case 'K':
        return "it is a long name in GNU's own form: write the archive with --format=pax";
    case 'S':
        return "it is a sparse file: write the archive without --sparse";
    default:
        return "it is of a type that is not known: only regular files and folders are taken";
    }
}

static const uint8_t *take_data(struct tar *tar, uint64_t size, struct error *error) {
    size_t left = cursor_left(&tar->at), padding = tar_padding(size);
    if (size > left || padding > left - size) {
        (void)!fail(tar, error, "its data goes past the end of the archive");
        return NULL;
    }
    const uint8_t *data = cursor_take(&tar->at, (size_t)size);
    if (!all_zero(cursor_take(&tar->at, padding), padding)) {
        (void)!fail(tar, error, "the padding after its data is not zero");
        return NULL;
    }
    return data;
}

static enum status read_end(struct tar *tar, struct error *error) {
    size_t left = cursor_left(&tar->at);
    if (left < TAR_BLOCK)
        return fail(tar, error, "the archive ends without two blocks of zeros");
    if (left % TAR_BLOCK || !all_zero(cursor_take(&tar->at, left), left))
        return fail(tar, error, "there is something after the end of the archive");
    return STATUS_OK;
}

/* A header's block, checked; NULL, and STATUS_OK in *status, at the end. */
static const uint8_t *next_block(struct tar *tar, bool inside, enum status *status,
                                 struct error *error) {
    const uint8_t *block = cursor_take(&tar->at, TAR_BLOCK);
    uint64_t sum;
    tar->headers++;
    *status = STATUS_OK;
    if (!block) {
        *status = fail(tar, error, "the archive ends without two blocks of zeros");
    } else if (all_zero(block, TAR_BLOCK)) {
        *status = inside ? fail(tar, error, "a pax header stands before no member")
                         : read_end(tar, error);
        block = NULL;
    } else if (!read_number(block + SUM, SUM_SIZE, &sum) || sum != checksum(block)) {
        *status = fail(tar, error, "its checksum is wrong");
        block = NULL;
    }
    return block;
}

enum status tar_next(struct tar *tar, struct tar_member *member, bool *more, struct error *error) {
    struct tar_member m = {0};
    struct pax pax = {0};
    for (;;) {
        enum status status;
        uint64_t size = 0;
        const uint8_t *block = next_block(tar, pax.pending, &status, error);
        if (!block) {
            if (status == STATUS_OK)
                *more = false;
            return status;
        }
        uint8_t type = block[TYPE];
        bool folder = type == '5', header = type == 'x' || type == 'g';
        if (!header && !folder && type != '0' && type != '\0')
            return fail(tar, error, refused_type(type));
        if ((status = read_name(tar, block, &m, error)) != STATUS_OK)
            return status;
        if (!read_number(block + SIZE, SIZE_SIZE, &size))
            return fail(tar, error, "its size is not a number");
        if (header && pax.pending)
            return fail(tar, error, "a pax header stands before another one");
        if (!header && pax.has_size)
            size = pax.size;
        if (folder && size)
            return fail(tar, error, "it is a folder that has data");
        const uint8_t *data = take_data(tar, size, error);
        if (!data)
            return STATUS_INVALID;
        if (header) {
            pax.pending = type == 'x';
            if ((status = read_pax(tar, data, (size_t)size, type == 'g', &pax, error)) != STATUS_OK)
                return status;
            continue;
        }
        if (pax.path) {
            memcpy(m.name, pax.path, pax.path_size);
            m.name[pax.path_size] = '\0';
            m.name_size = pax.path_size;
        }
        m.is_folder = folder;
        m.data = data;
        m.size = (size_t)size;
        *member = m;
        *more = true;
        return STATUS_OK;
    }
}

/* --- writing ---------------------------------------------------------------------------------- */

static void put_octal(uint8_t *field, size_t width, uint64_t value) {
    for (size_t i = width - 1; i-- > 0; value >>= 3)
        field[i] = (uint8_t)('0' + (value & 7));
    field[width - 1] = '\0';
}

static void put_block(uint8_t block[TAR_BLOCK], const char *name, uint64_t size, char type) {
    memset(block, 0, TAR_BLOCK);
    memcpy(block + NAME, name, strnlen(name, NAME_SIZE));
    put_octal(block + MODE, 8, 0644);
    put_octal(block + UID, 8, 0);
    put_octal(block + GID, 8, 0);
    put_octal(block + SIZE, SIZE_SIZE, size);
    put_octal(block + MTIME, 12, 0);
    block[TYPE] = (uint8_t)type;
    memcpy(block + MAGIC, magic_posix, sizeof magic_posix);
    put_octal(block + SUM, SUM_SIZE - 1, checksum(block));
    block[SUM + SUM_SIZE - 1] = ' ';
}

/* The length counts its own digits: both records here have 2 or 3 of them. */
static void put_record(struct buf *out, const char *key, const char *value) {
    size_t rest = 3 + strlen(key) + strlen(value); /* the space, '=' and '\n' */
    size_t total = rest + 1;
    for (size_t digits = 1, bound = 10; total >= bound; digits++, bound *= 10)
        total = rest + digits + 1;
    buf_printf(out, "%zu %s=%s\n", total, key, value);
}

size_t tar_header(const char *name, uint64_t size, uint8_t out[TAR_HEADER_MAX]) {
    bool long_name = strlen(name) > NAME_SIZE, large = size > OCTAL_MOST;
    if (!long_name && !large) {
        put_block(out, name, size, '0');
        return TAR_BLOCK;
    }
    struct buf records = buf_of(out + TAR_BLOCK, TAR_BLOCK);
    memset(out, 0, TAR_HEADER_MAX);
    if (long_name)
        put_record(&records, "path", name);
    if (large) {
        char number[24];
        snprintf(number, sizeof number, "%llu", (unsigned long long)size);
        put_record(&records, "size", number);
    }
    put_block(out, "pax-header", records.size, 'x');
    put_block(out + (size_t)2 * TAR_BLOCK, name, large ? 0 : size, '0');
    return TAR_HEADER_MAX;
}

size_t tar_padding(uint64_t size) {
    return (size_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}
