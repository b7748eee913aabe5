/* data/tokeniser.c - the table of kinds; what is made of symbols, merges and special tokens. */
#include "data/tokeniser.h"

#include "base/text.h"

#include <stdio.h>
#include <string.h>

static const tw_tokeniser_kind_row kinds[] = {
#define TW_TOKENISER(name, piece, flags, about, source) {{#name, about, source}, tw_cut_##piece, flags},
#include "data/tokenisers.def"
#undef TW_TOKENISER
};

static const char names_of_kinds[] = ""
#define TW_TOKENISER(name, piece, flags, about, source) ", " #name
#include "data/tokenisers.def"
#undef TW_TOKENISER
    ;

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
                       nearest ? "did you mean " : "there are ", nearest ? nearest : names_of_kinds + 2);
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

tw_piece_shown tw_show_piece(const char *piece, size_t size)
{
    tw_piece_shown shown;
    if (size == 1 && ((unsigned char)*piece < 0x20 || (unsigned char)*piece >= 0x7F))
        snprintf(shown.text, sizeof shown.text, "byte 0x%02X", (unsigned)(unsigned char)*piece);
    else
        snprintf(shown.text, sizeof shown.text, "'%.*s'%s", size > 40 ? 40 : (int)size, piece, size > 40 ? "..." : "");
    return shown;
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
