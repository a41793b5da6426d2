#include "tests/vectors/vectors.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "crypto/encoding.h"

const char *vectors_folder(const char *variable, const char *inside) {
    static char path[4096];
    const char *given = getenv(variable);
    const char *shared = getenv("STRONGROOM_SHARED");
    struct stat st;
    if (given)
        snprintf(path, sizeof path, "%s", given);
    else
        snprintf(path, sizeof path, "%s/%s", shared ? shared : STRONGROOM_SHARED, inside);
    return stat(path, &st) == 0 && S_ISDIR(st.st_mode) ? path : NULL;
}

uint8_t *vectors_load(const char *folder, const char *name, size_t *size) {
    char path[8192];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    uint8_t *data = NULL;
    struct stat st;
    if (fstat(fileno(f), &st) == 0 && S_ISREG(st.st_mode)) {
        data = malloc((size_t)st.st_size + 1);
        if (data && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size) {
            *size = (size_t)st.st_size;
        } else {
            free(data);
            data = NULL;
        }
    }
    fclose(f);
    return data;
}

uint8_t *vectors_unhex(const char *text, size_t *size) {
    size_t n = strlen(text) / 2;
    uint8_t *data = malloc(n + 1);
    if (!data || !encoding_unhex(text, strlen(text), data, n)) {
        fprintf(stderr, "not hex: %s\n", text);
        exit(1);
    }
    *size = n;
    return data;
}
