/* data/tokeniser.c - the table of kinds, and text into tokens and back. */
#include "data/tokeniser.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const tw_tokeniser_kind_row kinds[] = {
#define TW_TOKENISER(name, piece, flags, about, source) {{#name, about, source}, tw_cut_##piece, flags},
#include "data/tokenisers.def"
#undef TW_TOKENISER
};

static const char *const special_names[] = {"unknown", "begin", "end", "padding", "mask"};

const tw_tokeniser_info *tw_tokeniser_list(int index)
{
    return index >= 0 && index < TW_COUNT(kinds) ? &kinds[index].info : NULL;
}

const char *tw_special_name(tw_special which)
{
    return (int)which >= 0 && which < TW_SPECIALS ? special_names[which] : NULL;
}

/* --- made and unmade --------------------------------------------------------------------------------------------- */

tw_status tw_tokeniser_new(tw_context *ctx, const char *kind, tw_tokeniser **out_tokeniser)
{
    const char *names[TW_COUNT(kinds)];
    const tw_tokeniser_kind_row *found = NULL;
    for (int i = 0; i < TW_COUNT(kinds); i++) {
        names[i] = kinds[i].info.name;
        if (strcmp(kind, names[i]) == 0) found = &kinds[i];
    }
    if (!found) {
        const char *nearest = tw_nearest_name(kind, names, TW_COUNT(kinds));
        return tw_fail(ctx, TW_ERR_INVALID, "there is no tokeniser '%.40s'; %s%s", kind,
                       nearest ? "did you mean " : "there are bytes, characters, words, bpe, smiles",
                       nearest ? nearest : "");
    }
    tw_tokeniser *t = tw_alloc(ctx, 1, sizeof *t);
    if (!t) return tw_fail_memory(ctx, sizeof *t);
    t->ctx = ctx;
    t->kind = found;
    *out_tokeniser = t;
    return TW_OK;
}

void tw_tokeniser_destroy(tw_tokeniser *tokeniser)
{
    if (!tokeniser) return;
    tw_context *ctx = tokeniser->ctx;
    tw_symbols_free(ctx, &tokeniser->symbols);
    tw_merges_free(ctx, &tokeniser->merges);
    tw_free(ctx, tokeniser->whole);
    tw_free(ctx, tokeniser);
}

tw_status tw_tokeniser_settle(tw_tokeniser *tokeniser, const char *label)
{
    if (tokeniser->symbols.count == 0)
        return tw_fail(tokeniser->ctx, TW_ERR_INVALID, "%s: a tokeniser needs at least one symbol", label);
    for (int byte = 0; byte < 256; byte++)
        tokeniser->byte[byte] = tw_symbols_find(&tokeniser->symbols, &(char){(char)byte}, 1);
    return TW_OK;
}

tw_status tw_tokeniser_add_whole(tw_tokeniser *tokeniser, int32_t symbol)
{
    size_t size;
    const char *bytes = tw_symbol_bytes(&tokeniser->symbols, symbol, &size);
    tw_status status = tw_grow(tokeniser->ctx, &tokeniser->whole, &tokeniser->whole_capacity,
                               tokeniser->whole_count + 1, sizeof(int32_t));
    if (status != TW_OK || size == 0) return status;
    tokeniser->whole[tokeniser->whole_count++] = symbol;
    tokeniser->whole_begins[(uint8_t)bytes[0]] = true;
    return TW_OK;
}

tw_status tw_tokeniser_add_merge(tw_tokeniser *tokeniser, const char *label, int32_t left, int32_t right)
{
    tw_context *ctx = tokeniser->ctx;
    size_t first, second;
    const char *a = tw_symbol_bytes(&tokeniser->symbols, left, &first);
    const char *b = tw_symbol_bytes(&tokeniser->symbols, right, &second);
    char small[256], *both = first + second <= sizeof small ? small : tw_alloc(ctx, first + second, 1);
    if (!both) return tw_fail_memory(ctx, first + second);
    memcpy(both, a, first);
    memcpy(both + first, b, second);
    tw_merge merge = {left, right, tw_symbols_find(&tokeniser->symbols, both, first + second)};
    tw_status status = merge.result >= 0 ? tw_merges_add(ctx, &tokeniser->merges, merge)
                                         : tw_fail(ctx, TW_ERR_FORMAT, "%s: a merge makes %s, which is no symbol",
                                                   label, tw_show_piece(both, first + second).text);
    if (both != small) tw_free(ctx, both);
    return status;
}

const char *tw_tokeniser_kind(const tw_tokeniser *tokeniser)
{
    return tokeniser->kind->info.name;
}

int tw_tokeniser_symbols(const tw_tokeniser *tokeniser)
{
    return (int)tokeniser->symbols.count;
}

int tw_tokeniser_size(const tw_tokeniser *tokeniser)
{
    int size = tw_tokeniser_symbols(tokeniser);
    for (int i = 0; i < TW_SPECIALS; i++) size += tokeniser->has[i];
    return size;
}

int tw_tokeniser_special(const tw_tokeniser *tokeniser, tw_special which)
{
    if ((int)which < 0 || which >= TW_SPECIALS || !tokeniser->has[which]) return -1;
    int token = tw_tokeniser_symbols(tokeniser);
    for (int i = 0; i < (int)which; i++) token += tokeniser->has[i];
    return token;
}

const char *tw_tokeniser_symbol(const tw_tokeniser *tokeniser, int token, size_t *out_size)
{
    if (token < 0 || token >= tokeniser->symbols.count) return NULL;
    return tw_symbol_bytes(&tokeniser->symbols, token, out_size);
}

/* --- text into tokens -------------------------------------------------------------------------------------------- */

tw_piece_shown tw_show_piece(const char *piece, size_t size)
{
    tw_piece_shown shown;
    if (size == 1 && ((unsigned char)*piece < 0x20 || (unsigned char)*piece >= 0x7F))
        snprintf(shown.text, sizeof shown.text, "byte 0x%02X", (unsigned)(unsigned char)*piece);
    else
        snprintf(shown.text, sizeof shown.text, "'%.*s'%s", size > 40 ? 40 : (int)size, piece, size > 40 ? "..." : "");
    return shown;
}

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
        int32_t symbol = tw_symbols_find(&t->symbols, piece, size);
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
