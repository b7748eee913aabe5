/* Any bytes as a tokeniser - its text, or with a brace in front another program's JSON -, up to a zero byte; what
 * follows is encoded by it and decoded, and, after a brace, also is its list of merges. Without a zero byte: trained on
 * the bytes, which then have to come back. */
#include "data/tokeniser.h"

#include <thalweg/graph.h>
#include <thalweg/tokens.h>

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

static void there_and_back(tw_context *ctx, const tw_tokeniser *t, const char *text, size_t size, bool known)
{
    int32_t *tokens = malloc((size + 1) * sizeof *tokens);
    char *back = malloc(size + 1);
    int64_t count;
    tw_status status = tw_tokeniser_encode(ctx, t, NULL, 1, text, size, tokens, &count);
    if (known && status != TW_OK) abort();
    if (status == TW_OK) {
        size_t length = tw_tokeniser_decode(t, tokens, count, true, back, size + 1);
        if (known && (length != size || memcmp(back, text, size) != 0)) abort();
    }
    free(tokens);
    free(back);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static tw_context *ctx;
    if (!ctx) ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    tw_tokeniser *t = NULL;
    const char *text = (const char *)bytes, *rest = size ? memchr(text, 0, size) : NULL;
    if (!rest) {
        for (int kind = 0; size && tw_tokeniser_list(kind); kind++) {
            tw_tokeniser_desc desc = {.kind = tw_tokeniser_list(kind)->name, .symbols = kind & 1 ? 0 : 300};
            if (tw_tokeniser_train(ctx, &desc, text, size, &t) != TW_OK) continue;
            there_and_back(ctx, t, text, size, tw_tokeniser_symbols(t) < 300 || desc.symbols == 0);
            tw_tokeniser_destroy(t);
        }
        return 0;
    }
    size_t length = (size_t)(rest - text), left = size - length - 1;
    tw_status status = TW_OK;
    if (text[0] != '{')
        status = tw_tokeniser_from_text(ctx, "m", text, &t);
    else
        status = tw_tokeniser_parse(ctx, "m", text, length, left & 1 ? "m" : NULL, rest + 1, left, NULL, &t);
    if (status != TW_OK) {
        if (!tw_context_error(ctx)[0]) abort();
        return 0;
    }
    char *again = NULL;
    if (tw_tokeniser_to_text(ctx, t, &again) != TW_OK) abort();
    tw_string_free(ctx, again);
    there_and_back(ctx, t, rest, left + 1, false);
    tw_tokeniser_destroy(t);
    return 0;
}
