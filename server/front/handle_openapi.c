/* GET /openapi.json: the description of this API, open to all. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/openapi.h"

void handle_openapi(struct exchange *e) {
    size_t size;
    const void *document = openapi_document(&size);
    exchange_answer_json(e, 200, document, size);
}
