/* Any bytes as a pickle, and as a checkpoint of PyTorch. */
#include "io/pickle.h"
#include "io/torch_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static unsigned read_archive(tw_context *ctx, const uint8_t *bytes, size_t size)
{
    tw_torch_file file;
    unsigned sum = 0;
    if (tw_torch_parse(ctx, "x", bytes, size, &file) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    for (int64_t i = 0; i < file.count; i++) {
        unsigned char *out = malloc((size_t)tw_shape_size(file.tensor[i].shape) * 8 + 1);
        if (tw_torch_elements(&file, i, out) == TW_OK) sum += out[0];
        free(out);
    }
    tw_torch_free(&file);
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    bool is_zip = size >= 2 && bytes[0] == 'P' && bytes[1] == 'K',
         is_old = size >= 4 && bytes[2] == 0x8a && bytes[3] == 10;
    if (is_zip || is_old) return read_archive(ctx, bytes, size) == 0xFFFFFFFFu ? -1 : 0;
    tw_pickle pickle;
    if (tw_pickle_parse(ctx, "x", bytes, size, &pickle) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    if (pickle.root < 0 || pickle.root >= pickle.values) abort();
    for (int64_t i = 0; i < pickle.cells; i++) /* every reference leads somewhere */
        if (pickle.cell[i].value < 0 || pickle.cell[i].value >= pickle.values) abort();
    tw_pickle_free(&pickle);
    return 0;
}
