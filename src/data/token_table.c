/* data/token_table.c - rows of tokens: one block of numbers, two bytes each where they fit, and where each row begins.
 * Rows of one length and ragged ones are the same thing; an order of the rows moves their beginnings only. */
#include "data/token_table.h"

#include "base/philox.h"
#include "base/streams.h"

#include <string.h>

tw_status tw_tokens_new(tw_context *ctx, int size, tw_tokens **out_tokens)
{
    tw_tokens *t = tw_alloc(ctx, 1, sizeof *t);
    if (!t) return tw_fail_memory(ctx, sizeof *t);
    t->ctx = ctx;
    t->size = size;
    t->wide = size > 1 << 16;
    *out_tokens = t;
    return TW_OK;
}

void tw_tokens_destroy(tw_tokens *tokens)
{
    if (!tokens) return;
    tw_context *ctx = tokens->ctx;
    tw_notes_free(ctx, &tokens->notes);
    tw_free(ctx, tokens->token);
    tw_free(ctx, tokens->row);
    tw_free(ctx, tokens->value);
    tw_free(ctx, tokens);
}

tw_status tw_tokens_append(tw_tokens *tokens, int64_t count, const int32_t *values)
{
    size_t bytes = tokens->wide ? sizeof(int32_t) : sizeof(uint16_t);
    tw_status status = tw_grow(tokens->ctx, &tokens->token, &tokens->token_capacity, tokens->count + count, bytes);
    if (status != TW_OK || count == 0) return status;
    if (tokens->wide)
        memcpy((int32_t *)tokens->token + tokens->count, values, (size_t)count * sizeof(int32_t));
    uint16_t *narrow = (uint16_t *)tokens->token + tokens->count;
    for (int64_t i = 0; !tokens->wide && i < count; i++) narrow[i] = (uint16_t)values[i];
    tokens->count += count;
    return TW_OK;
}

tw_status tw_tokens_end_row(tw_tokens *tokens, int64_t begin, int64_t length)
{
    tw_status status =
        tw_grow(tokens->ctx, &tokens->row, &tokens->row_capacity, tokens->rows + 1, sizeof(tw_token_row));
    if (status != TW_OK) return status;
    tokens->row[tokens->rows] = (tw_token_row){begin, length, tokens->rows};
    tokens->records = ++tokens->rows;
    return TW_OK;
}

tw_status tw_tokens_chunk(tw_tokens *tokens, const tw_tokens_desc *desc, int64_t begin)
{
    int64_t width = desc->chunk, at = begin, left = tokens->count - at;
    tw_status status = TW_OK;
    for (; left >= width && status == TW_OK; at += width, left -= width) status = tw_tokens_end_row(tokens, at, width);
    if (status != TW_OK || left == 0) return status;
    if (desc->keep_tail) return tw_tokens_end_row(tokens, at, left);
    tokens->left_over += left;
    return TW_OK;
}

/* Fisher-Yates, as tables of numbers are put in order. */
static void shuffle(tw_tokens *tokens, uint64_t seed)
{
    tw_random random = {.seed = seed, .stream = TW_STREAM_SPLIT};
    for (int64_t i = tokens->rows - 1; i > 0; i--) {
        int64_t j = tw_random_below(&random, i + 1);
        tw_token_row swap = tokens->row[i];
        tokens->row[i] = tokens->row[j];
        tokens->row[j] = swap;
    }
}

tw_status tw_tokens_settle(tw_tokens *tokens, const char *label, const tw_tokens_desc *desc)
{
    if (tokens->rows == 0) return tw_fail(tokens->ctx, TW_ERR_FORMAT, "%s: not one row of tokens", label);
    if (desc) {
        tw_status status = tw_split_sizes(tokens->ctx, tokens->rows, desc->split, tokens->part_rows);
        if (status != TW_OK) return status;
        if (desc->chunk == 0) shuffle(tokens, desc->seed);
        if (tokens->left_over)
            status = tw_note(tokens->ctx, &tokens->notes,
                             "%lld tokens at the ends of files are left out, they do not fill rows of %lld",
                             (long long)tokens->left_over, (long long)desc->chunk);
        if (status != TW_OK) return status;
    }
    tokens->least = tokens->row[0].length;
    for (int64_t r = 0; r < tokens->rows; r++) {
        tokens->width = tw_max_i64(tokens->width, tokens->row[r].length);
        tokens->least = tw_min_i64(tokens->least, tokens->row[r].length);
    }
    return TW_OK;
}

tw_status tw_tokens_from_memory(tw_context *ctx, int64_t rows, int64_t width, const int64_t *lengths,
                                const int32_t *tokens, int size, const tw_tokens_desc *desc, tw_tokens **out_tokens)
{
    static const tw_tokens_desc no_wishes;
    tw_tokens *t = NULL;
    tw_status status = TW_OK;
    if (rows < 1 || size < 1 || (!lengths && width < 0))
        return tw_fail(ctx, TW_ERR_INVALID, "tokens: %lld rows over %d symbols hold nothing", (long long)rows, size);
    TW_TRY(tw_tokens_new(ctx, size, &t));
    for (int64_t r = 0; r < rows; r++) {
        int64_t length = lengths ? lengths[r] : width, begin = t->count;
        if (length < 0)
            TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "tokens: row %lld has %lld tokens", (long long)r, (long long)length));
        for (int64_t i = 0; i < length; i++)
            if (tokens[begin + i] < 0 || tokens[begin + i] >= size)
                TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "tokens: row %lld holds %d, expected 0 to %d", (long long)r,
                               tokens[begin + i], size - 1));
        TW_TRY(tw_tokens_append(t, length, tokens + begin));
        TW_TRY(tw_tokens_end_row(t, begin, length));
    }
    TW_TRY(tw_tokens_settle(t, "tokens", desc ? desc : &no_wishes));
    *out_tokens = t;
    t = NULL;
done:
    tw_tokens_destroy(t);
    return status;
}

/* --- looking at it ------------------------------------------------------------------------------------------------ */

/* Parts lie one behind the other. */
static int64_t first_row(const tw_tokens *tokens, tw_part part)
{
    int64_t first = 0;
    for (int before = 0; part != TW_PART_ALL && before < (int)part; before++) first += tokens->part_rows[before];
    return first;
}

int64_t tw_tokens_rows(const tw_tokens *tokens, tw_part part)
{
    return part == TW_PART_ALL ? tokens->rows : tokens->part_rows[part];
}

int64_t tw_tokens_width(const tw_tokens *tokens)
{
    return tokens->width;
}

int64_t tw_tokens_least(const tw_tokens *tokens)
{
    return tokens->least;
}

int tw_tokens_size(const tw_tokens *tokens)
{
    return tokens->size;
}

const double *tw_tokens_values(const tw_tokens *tokens)
{
    return tokens->value;
}

const char *tw_tokens_note(const tw_tokens *tokens, int index)
{
    return index >= 0 && index < tokens->notes.count ? tokens->notes.item[index] : NULL;
}

void tw_tokens_gather(const tw_tokens *tokens, tw_part part, int64_t count, const int64_t *rows, int64_t width,
                      int32_t padding, int32_t *out_tokens, int32_t *out_lengths)
{
    int64_t first = first_row(tokens, part);
    for (int64_t i = 0; i < count; i++) {
        tw_token_row row = tokens->row[first + rows[i]];
        int64_t length = tw_min_i64(row.length, width);
        const uint16_t *narrow = tokens->token;
        const int32_t *wide = tokens->token;
        int32_t *out = out_tokens + i * width;
        if (tokens->wide)
            for (int64_t k = 0; k < length; k++) out[k] = wide[row.begin + k];
        else
            for (int64_t k = 0; k < length; k++) out[k] = narrow[row.begin + k];
        for (int64_t k = length; k < width; k++) out[k] = padding;
        if (out_lengths) out_lengths[i] = (int32_t)length;
    }
}
