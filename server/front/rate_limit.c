#include "server/front/rate_limit.h"

#include <inttypes.h>

void rate_limit_write(const struct rate_limit *limit, struct buf *out) {
    if (!limit->known)
        return;
    buf_printf(out, "RateLimit-Policy: \"requests\";q=%" PRIu64 ";w=%" PRIu32 "\r\n", limit->quota,
               limit->window_s);
    buf_printf(out, "RateLimit: \"requests\";r=%" PRIu64 ";t=%" PRIu32 "\r\n", limit->left,
               limit->reset_s);
}
