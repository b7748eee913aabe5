/* Any bytes as an array or an archive of arrays. */
#include "io/npy.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_npy array;
    tw_npy_bytes as_bytes;
    bool found;
    if (tw_npy_find_bytes(ctx, "x", bytes, size, NULL, 1, &as_bytes, &found) == TW_OK && found) {
        int64_t length = tw_shape_size(as_bytes.shape), total = 0;
        for (int64_t i = 0; i < length; i++) total += as_bytes.bytes[i];
        tw_npy_bytes_free(ctx, &as_bytes);
        if (total < 0) abort();
    }
    bool zip = size >= 2 && bytes[0] == 'P' && bytes[1] == 'K';
    tw_status status = zip ? tw_npz_parse(ctx, "x", bytes, size, size & 1 ? "x" : NULL, &array)
                           : tw_npy_parse(ctx, "x", bytes, size, &array);
    if (status != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    int64_t count = 1;
    double sum = 0;
    for (int i = 0; i < array.shape.rank; i++) count *= array.shape.dim[i];
    for (int64_t i = 0; i < count; i++) sum += array.value[i]; /* every element is there */
    tw_npy_free(ctx, &array);
    return sum == 0.123456789 ? -1 : 0;
}
