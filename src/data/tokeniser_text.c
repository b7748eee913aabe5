/* data/tokeniser_text.c - a tokeniser as text: words between blanks, in a fixed order.
 *
 *   thalweg-tokens 1  kind NAME  special N name ...  symbols N symbol ...  merges N left right ...  whole N token ...
 *
 * Bytes of a symbol that are not printable ASCII, and backslashes, are written \xNN. */
#include "data/tokeniser.h"

#include "base/text.h"

#include <thalweg/graph.h>

#include <stdlib.h>
#include <string.h>

enum { VERSION = 1 };

tw_status tw_tokeniser_to_text(tw_context *ctx, const tw_tokeniser *tokeniser, char **out_text)
{
    const tw_tokeniser *t = tokeniser;
    tw_text text = tw_text_new(ctx);
    int specials = 0;
    for (int i = 0; i < TW_SPECIALS; i++) specials += t->has[i];
    tw_text_add(&text, "thalweg-tokens %d\nkind %s\nspecial %d", VERSION, t->kind->info.name, specials);
    for (int i = 0; i < TW_SPECIALS; i++)
        if (t->has[i]) tw_text_add(&text, " %s", tw_special_name((tw_special)i));
    tw_text_add(&text, "\nsymbols %lld\n", (long long)t->symbols.count);
    for (int64_t i = 0; i < t->symbols.count; i++) {
        size_t size;
        const char *bytes = tw_symbol_bytes(&t->symbols, i, &size);
        for (size_t k = 0; k < size; k++) {
            unsigned char c = (unsigned char)bytes[k];
            tw_text_add(&text, c > 0x20 && c < 0x7F && c != '\\' ? "%c" : "\\x%02X", c);
        }
        tw_text_add_bytes(&text, " ", 1);
    }
    tw_text_add(&text, "\nmerges %lld\n", (long long)t->merges.count);
    for (int64_t i = 0; i < t->merges.count; i++)
        tw_text_add(&text, "%d %d ", t->merges.item[i].left, t->merges.item[i].right);
    tw_text_add(&text, "\nwhole %lld", (long long)t->whole_count);
    for (int64_t i = 0; i < t->whole_count; i++) tw_text_add(&text, " %d", t->whole[i]);
    tw_text_add_bytes(&text, "\n", 1);
    tw_status status = tw_text_check(&text);
    if (status == TW_OK)
        *out_text = text.data;
    else
        tw_text_free(&text);
    return status;
}

/* The text being read: the word it stands at. */
typedef struct cursor {
    tw_context *ctx;
    const char *label, *word;
    size_t size;
} cursor;

static void next_word(cursor *c)
{
    c->word += c->size;
    c->word += strspn(c->word, " \n");
    c->size = strcspn(c->word, " \n");
}

static tw_status fail_word(const cursor *c, const char *expected)
{
    if (c->size == 0)
        return tw_fail(c->ctx, TW_ERR_FORMAT, "%s: the tokeniser ends early, expected %s", c->label, expected);
    return tw_fail(c->ctx, TW_ERR_FORMAT, "%s: the tokeniser says '%.*s', expected %s", c->label,
                   c->size > 40 ? 40 : (int)c->size, c->word, expected);
}

static tw_status read_number(cursor *c, int64_t high, const char *expected, int64_t *out_value)
{
    int64_t value = 0;
    for (size_t i = 0; i < c->size; i++) {
        if (c->word[i] < '0' || c->word[i] > '9' || i > 9) return fail_word(c, expected);
        value = 10 * value + (c->word[i] - '0');
    }
    if (c->size == 0 || value > high) return fail_word(c, expected);
    next_word(c);
    *out_value = value;
    return TW_OK;
}

static tw_status read_heading(cursor *c, const char *heading, int64_t high, int64_t *out_count)
{
    if (c->size != strlen(heading) || memcmp(c->word, heading, c->size) != 0) return fail_word(c, heading);
    next_word(c);
    return read_number(c, high, "a count", out_count);
}

/* The word that the cursor stands at, zero-terminated and cut to fit. */
static tw_piece_shown word_of(const cursor *c)
{
    tw_piece_shown word = {{0}};
    memcpy(word.text, c->word, c->size < sizeof word.text ? c->size : sizeof word.text - 1);
    return word;
}

static tw_status read_kind(cursor *c, tw_tokeniser **out_tokeniser)
{
    if (c->size != 4 || memcmp(c->word, "kind", 4) != 0) return fail_word(c, "kind");
    next_word(c);
    tw_status status = tw_tokeniser_new(c->ctx, word_of(c).text, out_tokeniser);
    if (status == TW_ERR_INVALID) return fail_word(c, "the name of a kind");
    next_word(c);
    return status;
}

static tw_status read_special(cursor *c, tw_tokeniser *t)
{
    int which = 0;
    while (which < TW_SPECIALS && strcmp(word_of(c).text, tw_special_name((tw_special)which)) != 0) which++;
    if (which == TW_SPECIALS || t->has[which]) return fail_word(c, "the name of a special token, once");
    t->has[which] = true;
    next_word(c);
    return TW_OK;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static tw_status read_symbol(cursor *c, tw_tokeniser *t)
{
    if (c->size == 0) return fail_word(c, "a symbol");
    char small[256], *bytes = c->size <= sizeof small ? small : tw_alloc(c->ctx, c->size, 1);
    if (!bytes) return tw_fail_memory(c->ctx, c->size);
    tw_status status = TW_OK;
    size_t size = 0;
    for (size_t i = 0; i < c->size && status == TW_OK; i++) {
        bytes[size++] = c->word[i];
        if (c->word[i] != '\\') continue;
        int high = i + 3 < c->size && c->word[i + 1] == 'x' ? hex_digit(c->word[i + 2]) : -1;
        int low = high >= 0 ? hex_digit(c->word[i + 3]) : -1;
        if (low < 0) status = fail_word(c, "\\xNN for a byte");
        bytes[size - 1] = (char)(high * 16 + low);
        i += 3;
    }
    int32_t number = 0;
    int64_t before = t->symbols.count;
    if (status == TW_OK) status = tw_symbols_take(c->ctx, &t->symbols, bytes, size, &number);
    if (status == TW_OK && number != before) status = fail_word(c, "each symbol once");
    if (status == TW_OK) next_word(c);
    if (bytes != small) tw_free(c->ctx, bytes);
    return status;
}

static tw_status read_merge(cursor *c, tw_tokeniser *t)
{
    int64_t left, right, limit = t->symbols.count - 1;
    tw_status status = read_number(c, limit, "the number of a symbol", &left);
    if (status == TW_OK) status = read_number(c, limit, "the number of a symbol", &right);
    return status == TW_OK ? tw_tokeniser_add_merge(t, c->label, (int32_t)left, (int32_t)right) : status;
}

static tw_status read_all(cursor *c, tw_tokeniser **out_tokeniser)
{
    tw_status status = TW_OK;
    tw_tokeniser *t = NULL;
    int64_t count, value;
    TW_TRY(read_heading(c, "thalweg-tokens", INT32_MAX, &value));
    if (value != VERSION)
        return tw_fail(c->ctx, TW_ERR_UNSUPPORTED, "%s: a tokeniser of version %lld, this program reads version %d",
                       c->label, (long long)value, VERSION);
    TW_TRY(read_kind(c, &t));
    TW_TRY(read_heading(c, "special", TW_SPECIALS, &count));
    for (int64_t i = 0; i < count; i++) TW_TRY(read_special(c, t));
    TW_TRY(read_heading(c, "symbols", TW_SYMBOLS_MAX, &count));
    for (int64_t i = 0; i < count; i++) TW_TRY(read_symbol(c, t));
    TW_TRY(read_heading(c, "merges", TW_SYMBOLS_MAX, &count));
    for (int64_t i = 0; i < count; i++) TW_TRY(read_merge(c, t));
    TW_TRY(read_heading(c, "whole", t->symbols.count, &count));
    for (int64_t i = 0; i < count; i++) {
        TW_TRY(read_number(c, t->symbols.count - 1, "the number of a symbol", &value));
        TW_TRY(tw_tokeniser_add_whole(t, (int32_t)value));
    }
    if (c->size) TW_TRY(fail_word(c, "the end"));
    TW_TRY(tw_tokeniser_settle(t, c->label));
    *out_tokeniser = t;
    t = NULL;
done:
    tw_tokeniser_destroy(t);
    return status;
}

tw_status tw_tokeniser_from_text(tw_context *ctx, const char *label, const char *text, tw_tokeniser **out_tokeniser)
{
    cursor c = {.ctx = ctx, .label = label, .word = text};
    next_word(&c);
    return read_all(&c, out_tokeniser);
}
