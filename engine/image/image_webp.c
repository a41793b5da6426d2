/* WebP, lossy and lossless, with libwebp. Transparency is dropped. An animation is refused. */
#include "engine/image/image.h"

#include <webp/decode.h>

enum image_result image_webp_decode(struct image_job *job) {
    WebPBitstreamFeatures f;
    if (WebPGetFeatures(job->data, job->size, &f) != VP8_STATUS_OK || f.has_animation ||
        f.width <= 0 || f.height <= 0)
        return IMAGE_BAD;
    enum image_result r = image_begin(job, (size_t)f.width, (size_t)f.height);
    if (r != IMAGE_OK)
        return r;
    const size_t bytes = job->width * job->height * 3;
    return WebPDecodeRGBInto(job->data, job->size, job->rgb, bytes, f.width * 3) ? IMAGE_OK
                                                                                 : IMAGE_BAD;
}
