#include "admin/key_file.h"

#include <stdlib.h>
#include <string.h>

#include "admin/files.h"
#include "crypto/apikey.h"
#include "crypto/secret.h"

#define KEY_VARIABLE "STRONGROOM_KEY"
#define KEY_FILE_MAX 1024

enum status key_file_read(const struct options *options, char **key, struct error *error) {
    const char *path = options_value(options, "key-file");
    const char *variable = getenv(KEY_VARIABLE);
    uint8_t *bytes = NULL;
    size_t size = 0;
    enum status status = STATUS_OK;
    if (path) {
        status = files_read_secret(path, "key file", KEY_FILE_MAX, &bytes, &size, error);
    } else if (variable) {
        size = strlen(variable);
        bytes = secret_alloc(size + 1, error);
        if (bytes)
            memcpy(bytes, variable, size);
        else
            status = STATUS_UNAVAILABLE;
    } else {
        status =
            status_fail(error, STATUS_INVALID,
                        "--server takes an API key: give --key-file FILE or set " KEY_VARIABLE);
    }
    if (status != STATUS_OK)
        return status;
    while (size && strchr(" \t\r\n", bytes[size - 1]))
        size--;
    bytes[size] = '\0';
    struct apikey *parsed = secret_alloc(sizeof *parsed, error);
    status = parsed ? apikey_parse((const char *)bytes, size, parsed, error) : STATUS_UNAVAILABLE;
    if (status == STATUS_UNAUTHENTICATED)
        status = status_fail(error, STATUS_INVALID, "%s: that is not an API key (sr_...)",
                             path ? path : KEY_VARIABLE);
    secret_free(parsed);
    if (status == STATUS_OK)
        *key = (char *)bytes;
    else
        secret_free(bytes);
    return status;
}
