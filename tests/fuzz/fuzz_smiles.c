/* Any bytes as a molecule: a fault lies within the text. */
#include "base/base.h"

#include <thalweg/smiles.h>

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_smiles_fault fault;
    if (tw_smiles_check(ctx, (const char *)bytes, size, &fault) != TW_OK) abort();
    if (fault.what && (fault.at < 0 || fault.at > (int64_t)size)) abort();
    return 0;
}
