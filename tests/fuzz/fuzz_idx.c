/* Any bytes as an IDX file; what is promised is there. */
#include "io/idx.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_idx array;
    if (tw_idx_parse(ctx, "x", bytes, size, &array) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    int64_t count = 1, sum = 0;
    for (int i = 0; i < array.rank; i++) count *= array.dim[i];
    for (int64_t i = 0; i < count; i++) sum += array.bytes[i];
    return sum < 0 ? -1 : 0;
}
