/* What the libFuzzer targets share. A target gives the bytes to the real code and then checks what
 * the code's header promises; a promise that is not kept aborts, which libFuzzer reports with the
 * input. Bytes are handed on as copies of their own size, so that a read past the end is seen. */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerInitialize(int *argc, char ***argv);

/* Whatever is false here is a fault of ours. */
#define FUZZ_REQUIRE(truth)                                                                        \
    do {                                                                                           \
        if (!(truth))                                                                              \
            fuzz_fail(__FILE__, __LINE__, #truth);                                                 \
    } while (0)

static inline _Noreturn void fuzz_fail(const char *file, int line, const char *truth) {
    fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, truth);
    abort();
}

static inline void *fuzz_copy(const void *data, size_t size) {
    void *copy = malloc(size ? size : 1);
    FUZZ_REQUIRE(copy != NULL);
    if (size)
        memcpy(copy, data, size);
    return copy;
}

static inline char *fuzz_text(const void *data, size_t size) {
    char *text = malloc(size + 1);
    FUZZ_REQUIRE(text != NULL);
    if (size)
        memcpy(text, data, size);
    text[size] = '\0';
    return text;
}

/* Is there a message, and does it end? `message` was filled with a byte that is not zero. */
static inline bool fuzz_explained(const char *message, size_t capacity) {
    return message[0] != '\0' && memchr(message, '\0', capacity) != NULL;
}

#endif
