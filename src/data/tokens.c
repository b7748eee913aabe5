/* data/tokens.c - text into tokens and back. Whole symbols first, the text between them is cut into pieces, a piece is
 * a symbol or is merged from bytes. */
#include "data/tokeniser.h"

#include <string.h>

/* --- text into tokens -------------------------------------------------------------------------------------------- */

/* One text on its way. */
typedef struct encoding {
    tw_context *ctx;
    const tw_tokeniser *t;
    const char *name, *text; /* whole text, for the line of an error */
    int64_t first_line;
    tw_bpe bpe;
    int32_t *out;
    int64_t count;
} encoding;

static tw_status take_unknown(encoding *e, const char *piece, size_t size)
{
    int token = tw_tokeniser_special(e->t, TW_SPECIAL_UNKNOWN);
    if (token >= 0) {
        e->out[e->count++] = token;
        return TW_OK;
    }
    int64_t line = e->first_line;
    for (const char *at = e->text; at < piece; at++) line += *at == '\n';
    return tw_fail(e->ctx, TW_ERR_INVALID, "%s:%lld: %s is not among the %lld symbols of the tokeniser (%s)", e->name,
                   (long long)line, tw_show_piece(piece, size).text, (long long)e->t->symbols.count,
                   e->t->kind->info.name);
}

static tw_status take_piece(encoding *e, const char *piece, size_t size)
{
    const tw_tokeniser *t = e->t;
    if (!(t->kind->flags & TW_TOKENISER_MERGES)) {
        int32_t symbol = size == 1 ? t->byte[(uint8_t)*piece] : tw_symbols_find(&t->symbols, piece, size);
        if (symbol < 0) return take_unknown(e, piece, size);
        e->out[e->count++] = symbol;
        return TW_OK;
    }
    int64_t first = e->count, count = 0;
    for (size_t i = 0; i < size; i++) {
        int32_t symbol = t->byte[(uint8_t)piece[i]];
        tw_status status = symbol < 0 ? take_unknown(e, piece + i, 1) : TW_OK;
        if (status != TW_OK) return status;
        if (symbol >= 0) e->out[e->count++] = symbol;
    }
    count = e->count - first;
    tw_status status = tw_bpe_merge(e->ctx, &e->bpe, &t->merges, e->out + first, &count);
    e->count = first + count;
    return status;
}

/* Cuts a part of the text that holds no whole symbol. */
static tw_status take_pieces(encoding *e, const char *text, size_t size)
{
    bool joins = e->t->kind->flags & TW_TOKENISER_JOINS, after_word = false;
    tw_cut_fn cut = e->t->kind->cut;
    for (size_t at = 0; at < size;) {
        size_t length = cut(text + at, size - at);
        bool implied = joins && after_word && length == 1 && text[at] == ' ' && at + 1 < size &&
                       tw_is_word(text + at + 1, size - at - 1);
        if (!implied) {
            tw_status status = take_piece(e, text + at, length);
            if (status != TW_OK) return status;
        }
        after_word = joins && tw_is_word(text + at, length);
        at += length;
    }
    return TW_OK;
}

/* The longest whole symbol that the text begins with, -1: none. */
static int32_t whole_at(const tw_tokeniser *t, const char *text, size_t size, size_t *out_length)
{
    int32_t found = -1;
    *out_length = 0;
    for (int64_t i = 0; t->whole_begins[(uint8_t)*text] && i < t->whole_count; i++) {
        size_t length;
        const char *bytes = tw_symbol_bytes(&t->symbols, t->whole[i], &length);
        if (length > size || length <= *out_length || memcmp(bytes, text, length) != 0) continue;
        found = t->whole[i];
        *out_length = length;
    }
    return found;
}

tw_status tw_tokeniser_encode(tw_context *ctx, const tw_tokeniser *tokeniser, const char *name, int64_t first_line,
                              const char *text, size_t size, int32_t *out_tokens, int64_t *out_count)
{
    encoding e = {.ctx = ctx,
                  .t = tokeniser,
                  .name = name ? name : "text",
                  .text = text,
                  .first_line = first_line,
                  .out = out_tokens};
    tw_status status = TW_OK;
    size_t from = 0;
    for (size_t at = 0; tokeniser->whole_count && at < size;) {
        size_t length;
        int32_t whole = whole_at(tokeniser, text + at, size - at, &length);
        if (whole >= 0) {
            TW_TRY(take_pieces(&e, text + from, at - from));
            e.out[e.count++] = whole;
            from = at + length;
        }
        at += whole >= 0 ? length : 1;
    }
    TW_TRY(take_pieces(&e, text + from, size - from));
    *out_count = e.count;
done:
    tw_bpe_free(ctx, &e.bpe);
    return status;
}

/* --- and back ---------------------------------------------------------------------------------------------------- */

/* What a token that is no symbol is shown as. */
static const char *special_text(const tw_tokeniser *t, int32_t token, bool show)
{
    static const char *const shown[] = {"<unknown>", "<begin>", "<end>", "<padding>", "<mask>"};
    for (int which = 0; which < TW_SPECIALS; which++)
        if (tw_tokeniser_special(t, which) == token) return show || which == TW_SPECIAL_UNKNOWN ? shown[which] : "";
    return show ? "<?>" : "";
}

size_t tw_tokeniser_decode(const tw_tokeniser *tokeniser, const int32_t *tokens, int64_t count, bool show,
                           char *out_text, size_t capacity)
{
    bool joins = tokeniser->kind->flags & TW_TOKENISER_JOINS, after_word = false;
    int end = tw_tokeniser_special(tokeniser, TW_SPECIAL_END);
    int unknown = tw_tokeniser_special(tokeniser, TW_SPECIAL_UNKNOWN);
    size_t length = 0;
    for (int64_t i = 0; i < count && tokens[i] != end; i++) {
        size_t size;
        const char *bytes = tw_tokeniser_symbol(tokeniser, tokens[i], &size);
        if (!bytes) {
            bytes = special_text(tokeniser, tokens[i], show);
            size = strlen(bytes);
        }
        bool word = joins && (tw_is_word(bytes, size) || tokens[i] == unknown);
        if (word && after_word && length++ + 1 < capacity) out_text[length - 1] = ' ';
        for (size_t k = 0; k < size; k++)
            if (length++ + 1 < capacity) out_text[length - 1] = bytes[k];
        after_word = word;
    }
    if (capacity) out_text[length < capacity ? length : capacity - 1] = 0;
    return length;
}
