/* GET /metrics: with an operator's key as with every path; without a ticket where it came over the
 * listener that is for this alone. Front's own numbers, then the ledger's, as that wrote them. */
#include "server/front/exchange.h"
#include "server/front/handlers.h"
#include "server/front/metrics.h"

void handle_metrics(struct exchange *e) {
    struct error error = {0};
    struct message figures;
    struct buf page;
    if (exchange_answer_room(e, METRICS_MAX, &page, &error) != STATUS_OK) {
        exchange_fail(e, &error);
        return;
    }
    metrics_write(e->thread->front, &page);
    /* Without a ledger the page has what front knows: that is what there is to see then. */
    if (channel_measure(&e->thread->channel, &figures, &error) == STATUS_OK)
        buf_bytes(&page, figures.measured.figures.data, figures.measured.figures.size);
    e->content_type = METRICS_TYPE;
    if (e->has_ticket)
        exchange_succeed(e, &page);
    else
        exchange_answer(e, 200, &page, false, 0);
}
