/* libFuzzer target: bytes as a tar archive, and as the list of a bundle's members. What is accepted
 * lies inside the input, has names that a member may have, and is found again. */
#include "bundle/tar.h"
#include "bundle/member.h"
#include "tests/fuzz/fuzz.h"

/* Checksums are what a fuzzer cannot guess: each block that could be a header gets its own, unless
 * the input's first byte says to leave it as it is. */
static void mend(uint8_t *data, size_t size) {
    for (size_t at = 0; at + TAR_BLOCK <= size; at += TAR_BLOCK) {
        unsigned sum = 8 * ' ';
        char text[16];
        if (memcmp(data + at + 257, "ustar", 5) != 0)
            continue;
        for (size_t i = 0; i < TAR_BLOCK; i++)
            sum += i >= 148 && i < 156 ? 0 : data[at + i];
        snprintf(text, sizeof text, "%06o", sum);
        memcpy(data + at + 148, text, 7);
        data[at + 155] = ' ';
    }
}

static void check_members(const uint8_t *data, size_t size) {
    struct tar tar = tar_of(data, size);
    struct tar_member m;
    struct error error;
    bool more = true;
    size_t count = 0;
    while (more) {
        memset(&error, 0xa5, sizeof error);
        if (tar_next(&tar, &m, &more, &error) != STATUS_OK) {
            FUZZ_REQUIRE(fuzz_explained(error.message, sizeof error.message));
            return;
        }
        if (!more)
            break;
        FUZZ_REQUIRE(m.name_size >= 1 && m.name_size <= TAR_NAME_MAX);
        FUZZ_REQUIRE(m.name[m.name_size] == '\0' && strlen(m.name) == m.name_size);
        FUZZ_REQUIRE(m.data >= data && m.data <= data + size);
        FUZZ_REQUIRE(m.size <= (size_t)(data + size - m.data));
        FUZZ_REQUIRE(!m.is_folder || m.size == 0);
        FUZZ_REQUIRE(++count <= size / TAR_BLOCK);
    }
    FUZZ_REQUIRE(size % TAR_BLOCK == 0);
}

static void check_list(const uint8_t *data, size_t size) {
    struct member_list list = {0};
    struct error error;
    memset(&error, 0xa5, sizeof error);
    if (member_list_read((struct str){(const char *)data, size}, &list, &error) != STATUS_OK) {
        FUZZ_REQUIRE(list.members == NULL && fuzz_explained(error.message, sizeof error.message));
        return;
    }
    for (size_t i = 0; i < list.count; i++) {
        struct str name = {list.members[i].name, list.members[i].name_size};
        FUZZ_REQUIRE(member_name(&name, NULL) == STATUS_OK);
        FUZZ_REQUIRE(name.data == list.members[i].name && name.data[0] != '/');
        const struct member *found = member_find(&list, name);
        FUZZ_REQUIRE(list.members[i].is_folder ? found == NULL : found == &list.members[i]);
    }
    (void)!member_all_used(&list, NULL);
    member_list_free(&list);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size == 0)
        return 0;
    uint8_t *copy = fuzz_copy(data + 1, size - 1);
    if (data[0] != '!')
        mend(copy, size - 1);
    check_members(copy, size - 1);
    check_list(copy, size - 1);
    free(copy);
    return 0;
}
