/* data/token_read.c - files into rows of tokens: texts block by block, columns of texts row by row; numbers are read in
 * token_numbers.c. */
#include "data/text_stream.h"
#include "data/token_table.h"
#include "data/tokeniser.h"

#include "io/csv.h"

#include <stdlib.h>
#include <string.h>

typedef struct reading {
    tw_context *ctx;
    const tw_tokens_desc *desc;
    const char *path;
    tw_tokens *tokens;
    int32_t *encoded;
    int64_t capacity;
    int64_t records;             /* lines or fields so far */
    int64_t cut, dropped, empty; /* rows, for the notes */
    int column;                  /* of texts, from 0; -1: not found yet */
} reading;

/* --- rows ---------------------------------------------------------------------------------------------------- */

/* What `count` encoded tokens between begin and end make, if they are not too many. */
static tw_status take_row(reading *r, int64_t count, int64_t line)
{
    const tw_tokens_desc *desc = r->desc;
    int32_t begin = tw_tokeniser_special(desc->tokeniser, TW_SPECIAL_BEGIN);
    int32_t end = tw_tokeniser_special(desc->tokeniser, TW_SPECIAL_END);
    int64_t length = count + (begin >= 0) + (end >= 0), first = r->tokens->count;
    if (desc->longest && length > desc->longest) {
        if (desc->too_long == TW_LONG_ERROR)
            return tw_fail(r->ctx, TW_ERR_INVALID, "%s:%lld: %lld tokens, at most %lld are allowed", r->path,
                           (long long)line, (long long)length, (long long)desc->longest);
        if (desc->too_long == TW_LONG_DROP) {
            r->dropped++;
            return TW_OK;
        }
        r->cut++;
        count -= length - desc->longest;
    }
    tw_status status = TW_OK;
    if (begin >= 0) TW_TRY(tw_tokens_append(r->tokens, 1, &begin));
    TW_TRY(tw_tokens_append(r->tokens, count, r->encoded));
    if (end >= 0) TW_TRY(tw_tokens_append(r->tokens, 1, &end));
    TW_TRY(tw_tokens_end_row(r->tokens, first, r->tokens->count - first));
    r->tokens->row[r->tokens->rows - 1].record = r->records - 1;
done:
    return status;
}

static tw_status encode(reading *r, int64_t line, const char *text, size_t size, int64_t *out_count)
{
    tw_status status = tw_grow(r->ctx, &r->encoded, &r->capacity, (int64_t)size + 1, sizeof(int32_t));
    if (status != TW_OK) return status;
    return tw_tokeniser_encode(r->ctx, r->desc->tokeniser, r->path, line, text, size, r->encoded, out_count);
}

/* One line or field. */
static tw_status take_text(reading *r, int64_t line, const char *text, size_t size)
{
    int64_t count;
    r->records++;
    if (size == 0) {
        r->empty++;
        return TW_OK;
    }
    tw_status status = encode(r, line, text, size, &count);
    return status == TW_OK ? take_row(r, count, line) : status;
}

/* --- texts -------------------------------------------------------------------------------------------------------- */

static tw_status take_lines(reading *r, const tw_text_stream *block)
{
    tw_status status = TW_OK;
    int64_t line = block->line;
    for (size_t at = 0; at < block->size && status == TW_OK; line++) {
        const char *end = memchr(block->text + at, '\n', block->size - at);
        size_t length = (end ? (size_t)(end - block->text) : block->size) - at, next = at + length + 1;
        if (length && block->text[at + length - 1] == '\r') length--;
        status = take_text(r, line, block->text + at, length);
        at = next;
    }
    return status;
}

static tw_status read_text(reading *r)
{
    tw_text_stream stream = {0};
    tw_status status = tw_text_stream_open(r->ctx, r->path, r->desc->chunk == 0, &stream);
    while (status == TW_OK) {
        int64_t count = 0;
        TW_TRY(tw_text_stream_next(&stream));
        if (stream.size == 0) break;
        if (r->desc->chunk == 0) {
            TW_TRY(take_lines(r, &stream));
            continue;
        }
        TW_TRY(encode(r, stream.line, stream.text, stream.size, &count));
        TW_TRY(tw_tokens_append(r->tokens, count, r->encoded));
    }
done:
    tw_text_stream_close(&stream);
    return status;
}

/* --- a column of texts -------------------------------------------------------------------------------------------- */

static tw_status find_column(reading *r, int count, const tw_csv_field *fields)
{
    const char *wanted = r->desc->column;
    r->column = tw_csv_find_column(count, fields, wanted, r->desc->header != TW_HEADER_NO);
    if (r->column >= 0) return TW_OK;
    return tw_fail(r->ctx, TW_ERR_INVALID, "%s: there is no column '%s' among its %d", r->path, wanted, count);
}

static tw_status take_fields(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    reading *r = user;
    if (row == 0) {
        tw_status status = find_column(r, count, fields);
        if (status != TW_OK || r->desc->header != TW_HEADER_NO) return status;
    }
    if (r->column >= count)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s:%lld: %d fields, expected at least %d", r->path, (long long)line,
                       count, r->column + 1);
    return take_text(r, line, fields[r->column].text, fields[r->column].length);
}

static tw_status read_column(reading *r)
{
    r->column = -1;
    return tw_csv_read(r->ctx, r->path, &(tw_csv_desc){0}, take_fields, r, NULL);
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static tw_status check_desc(tw_context *ctx, int count, const tw_tokens_desc *desc)
{
    if (count < 1) return tw_fail(ctx, TW_ERR_INVALID, "tokens: no file was named");
    if (desc->chunk < 0 || desc->longest < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "tokens: lengths of rows are whole numbers from 0");
    const tw_tokeniser *t = desc->tokeniser;
    int ends =
        t ? (tw_tokeniser_special(t, TW_SPECIAL_BEGIN) >= 0) + (tw_tokeniser_special(t, TW_SPECIAL_END) >= 0) : 0;
    if (desc->longest && desc->longest < ends)
        return tw_fail(ctx, TW_ERR_INVALID, "tokens: rows of at most %lld do not hold the tokens for begin and end",
                       (long long)desc->longest);
    if (t && desc->column && desc->chunk)
        return tw_fail(ctx, TW_ERR_INVALID, "tokens: texts of a column are rows of their own and are not chunked");
    return TW_OK;
}

static tw_status read_texts(reading *r, int count, const char *const *paths)
{
    tw_status status = tw_tokens_new(r->ctx, tw_tokeniser_size(r->desc->tokeniser), &r->tokens);
    for (int i = 0; i < count && status == TW_OK; i++) {
        r->path = paths[i];
        int64_t begin = r->tokens->count;
        status = r->desc->column ? read_column(r) : read_text(r);
        if (status == TW_OK && r->desc->chunk) status = tw_tokens_chunk(r->tokens, r->desc, begin);
    }
    if (status == TW_OK && !r->desc->chunk) r->tokens->records = r->records;
    return status;
}

static tw_status note_rows(reading *r)
{
    const struct {
        int64_t count;
        const char *what;
    } kinds[] = {{r->empty, "empty lines or fields are left out"},
                 {r->dropped, "rows are left out as they are too long"},
                 {r->cut, "rows are cut as they are too long"}};
    tw_status status = TW_OK;
    for (int i = 0; i < TW_COUNT(kinds) && status == TW_OK; i++)
        if (kinds[i].count)
            status = tw_note(r->ctx, &r->tokens->notes, "%lld %s", (long long)kinds[i].count, kinds[i].what);
    return status;
}

tw_status tw_tokens_open(tw_context *ctx, int count, const char *const *paths, const tw_tokens_desc *desc,
                         tw_tokens **out_tokens)
{
    reading r = {.ctx = ctx, .desc = desc};
    tw_status status = TW_OK;
    TW_TRY(check_desc(ctx, count, desc));
    r.path = paths[0];
    if (desc->tokeniser)
        TW_TRY(read_texts(&r, count, paths));
    else
        TW_TRY(tw_tokens_read_numbers(ctx, count, paths, desc, &r.tokens));
    TW_TRY(note_rows(&r));
    TW_TRY(tw_tokens_settle(r.tokens, paths[0], desc));
    *out_tokens = r.tokens;
    r.tokens = NULL;
done:
    tw_free(ctx, r.encoded);
    tw_tokens_destroy(r.tokens);
    return status;
}
