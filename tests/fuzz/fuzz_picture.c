/* Any bytes as a PNG or JPEG file: refused with a sentence, or every pixel is there. */
#include "io/picture.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_picture p;
    if (tw_picture_decode(ctx, "x", bytes, size, &p) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    int64_t count = (int64_t)p.image.height * p.image.width * p.image.channels, sum = 0;
    for (int64_t i = 0; i < count; i++) sum += p.pixels[i];
    tw_free(ctx, p.pixels);
    return sum < 0 ? -1 : 0;
}
