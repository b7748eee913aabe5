/* data/tokeniser_train.c - the symbols of a text: pieces are counted block by block, then chosen, put in order, and,
 * for bpe, merged. */
#include "data/tokeniser.h"

#include "data/text_stream.h"

#include <stdlib.h>
#include <string.h>

/* Pieces and how often each came. */
typedef struct tallied {
    tw_context *ctx;
    tw_symbols pieces;
    int64_t *times;
    int64_t capacity;
} tallied;

static tw_status count_pieces(tallied *tally, tw_cut_fn cut, const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = cut(text + at, size - at);
        int32_t number;
        tw_status status = tw_symbols_take(tally->ctx, &tally->pieces, text + at, length, &number);
        if (status == TW_OK) status = tw_grow(tally->ctx, &tally->times, &tally->capacity, number + 1, sizeof(int64_t));
        if (status != TW_OK) return status;
        tally->times[number]++;
        at += length;
    }
    return TW_OK;
}

typedef struct choice {
    const char *bytes;
    size_t size;
    int64_t times;
} choice;

static int compare_bytes(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    return tw_bytes_compare(x->bytes, x->size, y->bytes, y->size);
}

static int compare_times(const void *a, const void *b)
{
    const choice *x = a, *y = b;
    return x->times != y->times ? (x->times < y->times ? 1 : -1) : compare_bytes(a, b);
}

/* Every piece that came often enough is a symbol, but the most frequent ones only. */
static tw_status choose_symbols(tw_tokeniser *t, const tw_tokeniser_desc *desc, const tallied *tally)
{
    tw_status status = TW_OK;
    int64_t count = 0, pieces = tally->pieces.count;
    choice *list = tw_alloc(t->ctx, (size_t)tw_max_i64(pieces, 1), sizeof *list);
    if (!list) return tw_fail_memory(t->ctx, (size_t)pieces * sizeof *list);
    for (int64_t i = 0; i < pieces; i++) {
        if (tally->times[i] < desc->min_count) continue;
        list[count] = (choice){.times = tally->times[i]};
        list[count].bytes = tw_symbol_bytes(&tally->pieces, i, &list[count].size);
        count++;
    }
    qsort(list, (size_t)count, sizeof *list, compare_times);
    if (desc->symbols) count = tw_min_i64(count, desc->symbols);
    if (!(t->kind->flags & TW_TOKENISER_BY_COUNT)) qsort(list, (size_t)count, sizeof *list, compare_bytes);
    for (int64_t i = 0; i < count; i++) {
        int32_t number;
        TW_TRY(tw_symbols_take(t->ctx, &t->symbols, list[i].bytes, list[i].size, &number));
    }
done:
    tw_free(t->ctx, list);
    return status;
}

/* All 256 bytes: in GPT-2's order where they are merged. */
static tw_status take_bytes(tw_tokeniser *t)
{
    for (int i = 0; i < 256; i++) {
        uint32_t code;
        char byte = t->kind->flags & TW_TOKENISER_MERGES ? (char)tw_gpt2_byte(i, &code) : (char)i;
        int32_t number;
        tw_status status = tw_symbols_take(t->ctx, &t->symbols, &byte, 1, &number);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static tw_status check_desc(tw_context *ctx, const tw_tokeniser_desc *desc, const tw_tokeniser_kind_row *kind)
{
    if (desc->min_count < 0 || desc->symbols < 0 || desc->symbols > TW_SYMBOLS_MAX)
        return tw_fail(ctx, TW_ERR_INVALID, "min_count and symbols of a tokeniser are whole numbers from 0");
    if (kind->flags & TW_TOKENISER_ALL_BYTES && desc->symbols && desc->symbols < 256)
        return tw_fail(ctx, TW_ERR_INVALID, "a tokeniser of kind %s has the 256 bytes as symbols, %lld are too few",
                       kind->info.name, (long long)desc->symbols);
    return TW_OK;
}

/* From files, or from one text when there are none. */
static tw_status train(tw_context *ctx, const tw_tokeniser_desc *desc, int files, const char *const *paths,
                       const char *text, size_t size, tw_tokeniser **out_tokeniser)
{
    tw_tokeniser *t = NULL;
    tw_text_stream stream = {0};
    tallied tally = {.ctx = ctx};
    tw_status status = TW_OK;
    TW_TRY(tw_tokeniser_new(ctx, desc->kind ? desc->kind : "characters", &t));
    TW_TRY(check_desc(ctx, desc, t->kind));
    memcpy(t->has, desc->special, sizeof t->has);
    bool counts = t->kind->flags & TW_TOKENISER_MERGES || !(t->kind->flags & TW_TOKENISER_ALL_BYTES);
    if (counts) TW_TRY(count_pieces(&tally, t->kind->cut, text, size));
    for (int i = 0; counts && i < files; i++) {
        TW_TRY(tw_text_stream_open(ctx, paths[i], false, &stream));
        do {
            TW_TRY(tw_text_stream_next(&stream));
            TW_TRY(count_pieces(&tally, t->kind->cut, stream.text, stream.size));
        } while (stream.size);
        tw_text_stream_close(&stream);
    }
    if (t->kind->flags & TW_TOKENISER_ALL_BYTES)
        TW_TRY(take_bytes(t));
    else
        TW_TRY(choose_symbols(t, desc, &tally));
    if (t->kind->flags & TW_TOKENISER_MERGES)
        TW_TRY(tw_bpe_train(ctx, &tally.pieces, tally.times, desc->symbols ? desc->symbols : 1024, desc->min_count,
                            &t->symbols, &t->merges));
    TW_TRY(tw_tokeniser_settle(t, files ? paths[0] : "text"));
    *out_tokeniser = t;
    t = NULL;
done:
    tw_text_stream_close(&stream);
    tw_symbols_free(ctx, &tally.pieces);
    tw_free(ctx, tally.times);
    tw_tokeniser_destroy(t);
    return status;
}

tw_status tw_tokeniser_train(tw_context *ctx, const tw_tokeniser_desc *desc, const char *text, size_t size,
                             tw_tokeniser **out_tokeniser)
{
    return train(ctx, desc, 0, NULL, text, size, out_tokeniser);
}

tw_status tw_tokeniser_train_files(tw_context *ctx, const tw_tokeniser_desc *desc, int count, const char *const *paths,
                                   tw_tokeniser **out_tokeniser)
{
    return train(ctx, desc, count, paths, "", 0, out_tokeniser);
}
