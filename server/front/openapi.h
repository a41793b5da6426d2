/* The description of the API (OpenAPI 3.1), as server/front/openapi.json has it: compiled in, so
 * that what is served is what was tested. Threads: constant. */
#ifndef FRONT_OPENAPI_H
#define FRONT_OPENAPI_H

#include <stddef.h>

const void *openapi_document(size_t *size);

#endif
