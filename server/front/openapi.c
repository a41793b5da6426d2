#include "server/front/openapi.h"

#include <stdint.h>

static const uint8_t document[] = {
#include "server/front/openapi_bytes.h"
};

const void *openapi_document(size_t *size) {
    *size = sizeof document;
    return document;
}
