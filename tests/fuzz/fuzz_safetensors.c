/* Any bytes as a safetensors file; what is accepted is read to its last byte. */
#include "io/safetensors.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_tensor_file file;
    if (tw_safetensors_parse(ctx, "x", bytes, size, &file) != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    unsigned sum = 0;
    for (int i = 0; i < file.count; i++) {
        const unsigned char *data = file.tensor[i].data;
        if ((uintptr_t)data % tw_safetensors_dtype_size(file.tensor[i].dtype)) abort();
        if (tw_safetensors_find(&file, file.tensor[i].name) != &file.tensor[i]) abort();
        for (size_t k = 0; k < file.tensor[i].size; k++) sum += data[k];
    }
    tw_safetensors_free(ctx, &file);
    return sum == 0xFFFFFFFFu ? -1 : 0;
}
