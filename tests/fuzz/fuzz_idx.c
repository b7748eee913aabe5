/* Any bytes as an IDX file; what is promised is there, and pictures of it can be brought to a size. */
#include "data/pictures.h"
#include "io/idx.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* As a set of pictures, from a file in memory. */
static void open_set(tw_context *ctx, const uint8_t *bytes, size_t size)
{
    char path[64];
    tw_pictures pictures = {0};
    bool found = false;
    int file = memfd_create("x", 0);
    if (file < 0 || write(file, bytes, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", file);
    if (tw_pictures_open(ctx, path, &(tw_dataset_desc){.size = 5}, &pictures, &found) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
    } else if (found) {
        tw_pictures_free(&pictures);
    }
    close(file);
}

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
    open_set(ctx, bytes, size);
    return sum < 0 ? -1 : 0;
}
