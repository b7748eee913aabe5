/* data/tokeniser_gpt2.c - byte-level tokenisers of other programs: `tokenizer.json` (Hugging Face tokenizers) and
 * `vocab.json` with `merges.txt` (GPT-2). Both write a byte as a printable character (tw_gpt2_byte). Whatever would
 * make their tokens others than ours - normalisers, other words, prefixes - is refused by name.
 *
 * Of a merge that stands twice in a list the later place counts, as it does there. */
#include "data/tokeniser.h"

#include "base/file.h"
#include "base/text.h"

#include <cjson/cJSON.h>

#include <string.h>

enum { FILE_LIMIT = 1 << 26, CODES = 256 + 68 };

typedef struct reading {
    tw_context *ctx;
    const char *path;
    tw_tokeniser *t;
    int16_t byte_of[CODES]; /* the byte that a code point is written for, -1: none */
    const cJSON **token;    /* (count) by number */
    bool *added;            /* (count) taken whole, and written as it is */
    int64_t count;
    tw_text bytes;
} reading;

static void learn_codes(reading *r)
{
    for (int code = 0; code < CODES; code++) r->byte_of[code] = -1;
    for (int place = 0; place < 256; place++) {
        uint32_t code;
        uint8_t byte = tw_gpt2_byte(place, &code);
        r->byte_of[code] = byte;
    }
}

/* The bytes that printable characters stand for, into r->bytes; false when one stands for none. */
static bool unmask(reading *r, const char *text, size_t size)
{
    r->bytes.length = 0;
    for (size_t at = 0; at < size;) {
        int length = tw_utf8_length(text + at, size - at);
        const unsigned char *s = (const unsigned char *)text + at;
        unsigned code = length == 1 ? s[0] : length == 2 ? (s[0] & 0x1Fu) << 6 | (s[1] & 0x3Fu) : CODES;
        if (code >= CODES || r->byte_of[code] < 0) return false;
        tw_text_add_bytes(&r->bytes, &(char){(char)r->byte_of[code]}, 1);
        at += (size_t)length;
    }
    return r->bytes.length > 0;
}

/* --- the vocabulary ----------------------------------------------------------------------------------------------- */

static tw_status place_token(reading *r, const cJSON *id, const cJSON *token, bool added)
{
    const char *name = added ? token->valuestring : token->string;
    if (!cJSON_IsNumber(id) || id->valuedouble < 0 || id->valuedouble >= (double)r->count ||
        id->valuedouble != (double)(int64_t)id->valuedouble)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: the number of token '%.40s' is not one from 0 to %lld", r->path,
                       name, (long long)r->count - 1);
    int64_t number = (int64_t)id->valuedouble;
    if (r->token[number] && !(added && !r->added[number]))
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: two tokens have the number %lld", r->path, (long long)number);
    r->token[number] = token;
    r->added[number] = added;
    return TW_OK;
}

/* Options of an added token that change where it is found. */
static tw_status check_added(reading *r, const cJSON *item)
{
    static const char *const options[] = {"single_word", "lstrip", "rstrip"};
    const cJSON *content = cJSON_GetObjectItemCaseSensitive(item, "content");
    if (!cJSON_IsString(content) || !content->valuestring[0])
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: an added token without content", r->path);
    for (int i = 0; i < TW_COUNT(options); i++)
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(item, options[i])))
            return tw_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s: added token '%.40s' has '%s', which is not supported",
                           r->path, content->valuestring, options[i]);
    if (strchr(content->valuestring, '\n'))
        return tw_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s: an added token with a line end in it is not supported",
                       r->path);
    return TW_OK;
}

/* Room for the tokens by number. An added one may have a number of its own or be one of the vocabulary, too. */
static tw_status count_tokens(reading *r, const cJSON *vocabulary, const cJSON *added)
{
    tw_status status = TW_OK;
    tw_symbols names = {0};
    const cJSON *item;
    int32_t number;
    cJSON_ArrayForEach(item, vocabulary)
    {
        r->count += 1;
        TW_TRY(tw_symbols_take(r->ctx, &names, item->string, strlen(item->string), &number));
    }
    cJSON_ArrayForEach(item, added)
    {
        TW_TRY(check_added(r, item));
        const char *text = cJSON_GetObjectItemCaseSensitive(item, "content")->valuestring;
        r->count += tw_symbols_find(&names, text, strlen(text)) < 0;
    }
    r->token = tw_alloc(r->ctx, (size_t)tw_max_i64(r->count, 1), sizeof(cJSON *));
    r->added = tw_alloc(r->ctx, (size_t)tw_max_i64(r->count, 1), sizeof(bool));
    if (!r->token || !r->added) TW_TRY(tw_fail_memory(r->ctx, (size_t)r->count * sizeof(cJSON *)));
done:
    tw_symbols_free(r->ctx, &names);
    return status;
}

/* Symbols in the order of their numbers, from an object of tokens and a list of added ones (NULL: none). */
static tw_status read_vocabulary(reading *r, const cJSON *vocabulary, const cJSON *added)
{
    tw_status status = TW_OK;
    const cJSON *item;
    if (!cJSON_IsObject(vocabulary))
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: expected an object of tokens and their numbers", r->path);
    TW_TRY(count_tokens(r, vocabulary, added));
    cJSON_ArrayForEach(item, vocabulary) TW_TRY(place_token(r, item, item, false));
    cJSON_ArrayForEach(item, added)
    {
        TW_TRY(place_token(r, cJSON_GetObjectItemCaseSensitive(item, "id"),
                           cJSON_GetObjectItemCaseSensitive(item, "content"), true));
    }
    for (int64_t i = 0; i < r->count; i++) {
        int32_t number;
        if (!r->token[i])
            return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: no token has the number %lld", r->path, (long long)i);
        const char *text = r->added[i] ? r->token[i]->valuestring : r->token[i]->string;
        size_t size = strlen(text);
        bool written = r->added[i] || unmask(r, text, size);
        TW_TRY(tw_text_check(&r->bytes));
        if (!written)
            return tw_fail(r->ctx, TW_ERR_UNSUPPORTED,
                           "%s: token '%.40s' is not written in GPT-2's characters for bytes", r->path, text);
        if (r->added[i])
            TW_TRY(tw_symbols_take(r->ctx, &r->t->symbols, text, size, &number));
        else
            TW_TRY(tw_symbols_take(r->ctx, &r->t->symbols, r->bytes.data, r->bytes.length, &number));
        if (number != i)
            return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: tokens %d and %lld are the same bytes", r->path, number,
                           (long long)i);
        if (r->added[i]) TW_TRY(tw_tokeniser_add_whole(r->t, number));
    }
done:
    return status;
}

/* --- merges ------------------------------------------------------------------------------------------------------- */

/* Adds a merge to those found so far, unless it is there: `found` is filled from the last to the first. */
static tw_status take_merge(reading *r, tw_merges *found, const char *left, size_t left_size, const char *right,
                            size_t right_size)
{
    tw_merge merge = {-1, -1, 0};
    if (unmask(r, left, left_size)) merge.left = tw_symbols_find(&r->t->symbols, r->bytes.data, r->bytes.length);
    if (unmask(r, right, right_size)) merge.right = tw_symbols_find(&r->t->symbols, r->bytes.data, r->bytes.length);
    tw_status status = tw_text_check(&r->bytes);
    if (status != TW_OK) return status;
    if (merge.left < 0 || merge.right < 0)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: merge '%.*s' with '%.*s' is not of two tokens", r->path,
                       left_size > 40 ? 40 : (int)left_size, left, right_size > 40 ? 40 : (int)right_size, right);
    return tw_merges_add(r->ctx, found, merge);
}

/* "left right" */
static tw_status take_merge_text(reading *r, tw_merges *found, const char *text, size_t size)
{
    const char *blank = memchr(text, ' ', size);
    if (!blank)
        return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: '%.*s' is no merge, expected two tokens and a blank between them",
                       r->path, size > 40 ? 40 : (int)size, text);
    size_t left = (size_t)(blank - text);
    return take_merge(r, found, text, left, blank + 1, size - left - 1);
}

static tw_status keep_merges(reading *r, const tw_merges *found)
{
    tw_status status = TW_OK;
    for (int64_t i = found->count; i-- > 0 && status == TW_OK;)
        status = tw_tokeniser_add_merge(r->t, r->path, found->item[i].left, found->item[i].right);
    return status;
}

/* A list of "left right" or ["left", "right"]. */
static tw_status read_merge_list(reading *r, const cJSON *merges)
{
    tw_status status = TW_OK;
    tw_merges found = {0};
    if (!cJSON_IsArray(merges)) return tw_fail(r->ctx, TW_ERR_FORMAT, "%s: expected a list of merges", r->path);
    /* cJSON's lists are walked backwards from the last, which the first names as the one before it */
    const cJSON *last = merges->child ? merges->child->prev : NULL;
    for (const cJSON *item = last; item; item = item == merges->child ? NULL : item->prev) {
        const cJSON *left = cJSON_GetArrayItem(item, 0), *right = cJSON_GetArrayItem(item, 1);
        if (cJSON_IsString(item))
            TW_TRY(take_merge_text(r, &found, item->valuestring, strlen(item->valuestring)));
        else if (cJSON_IsArray(item) && cJSON_IsString(left) && cJSON_IsString(right))
            TW_TRY(take_merge(r, &found, left->valuestring, strlen(left->valuestring), right->valuestring,
                              strlen(right->valuestring)));
        else
            TW_TRY(tw_fail(r->ctx, TW_ERR_FORMAT, "%s: expected merges of two tokens each", r->path));
    }
    TW_TRY(keep_merges(r, &found));
done:
    tw_merges_free(r->ctx, &found);
    return status;
}

/* Lines "left right"; the first may be "#version: ...". */
static tw_status read_merge_lines(reading *r, const char *text, size_t size)
{
    tw_status status = TW_OK;
    tw_merges found = {0};
    for (size_t end = size; end > 0;) {
        size_t begin = end;
        while (begin > 0 && text[begin - 1] != '\n') begin--;
        size_t length = end - begin - (end > begin && text[end - 1] == '\r');
        bool heading = begin == 0 && length >= 8 && memcmp(text, "#version", 8) == 0;
        if (length && !heading) TW_TRY(take_merge_text(r, &found, text + begin, length));
        end = begin ? begin - 1 : 0;
    }
    TW_TRY(keep_merges(r, &found));
done:
    tw_merges_free(r->ctx, &found);
    return status;
}

/* What no merge makes and is no byte can only be meant whole: <|endoftext|>. */
static tw_status find_whole(reading *r)
{
    tw_status status = TW_OK;
    bool *made = tw_alloc(r->ctx, (size_t)r->t->symbols.count, sizeof *made);
    if (!made) return tw_fail_memory(r->ctx, (size_t)r->t->symbols.count);
    for (int64_t i = 0; i < r->t->merges.count; i++) made[r->t->merges.item[i].result] = true;
    for (int32_t i = 0; i < r->t->symbols.count && status == TW_OK; i++) {
        size_t size;
        tw_symbol_bytes(&r->t->symbols, i, &size);
        if (size > 1 && !made[i]) status = tw_tokeniser_add_whole(r->t, i);
    }
    tw_free(r->ctx, made);
    return status;
}

/* --- tokenizer.json ----------------------------------------------------------------------------------------------- */

static tw_status fail_part(reading *r, const char *part, const char *only)
{
    return tw_fail(r->ctx, TW_ERR_UNSUPPORTED, "%s: its %s is not supported, only %s", r->path, part, only);
}

static bool is_type(const cJSON *part, const char *type)
{
    const cJSON *name = cJSON_GetObjectItemCaseSensitive(part, "type");
    return cJSON_IsString(name) && strcmp(name->valuestring, type) == 0;
}

/* Everything that would make tokens others than the ones found here. */
static tw_status check_parts(reading *r, const cJSON *root, const cJSON *model)
{
    static const char *const plain[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    static const char *const off[] = {"byte_fallback", "ignore_merges"};
    const cJSON *words = cJSON_GetObjectItemCaseSensitive(root, "pre_tokenizer");
    const cJSON *normalizer = cJSON_GetObjectItemCaseSensitive(root, "normalizer");
    const cJSON *type = cJSON_GetObjectItemCaseSensitive(model, "type");
    if (normalizer && !cJSON_IsNull(normalizer)) return fail_part(r, "normalizer", "none");
    if (type && !is_type(model, "BPE")) return fail_part(r, "model", "BPE");
    if (!is_type(words, "ByteLevel")) return fail_part(r, "pre_tokenizer", "ByteLevel");
    if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(words, "add_prefix_space")))
        return fail_part(r, "add_prefix_space", "false");
    if (cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(words, "use_regex"))) return fail_part(r, "use_regex", "true");
    for (int i = 0; i < TW_COUNT(plain); i++) {
        const cJSON *item = cJSON_GetObjectItemCaseSensitive(model, plain[i]);
        if (cJSON_IsString(item) && item->valuestring[0]) return fail_part(r, plain[i], "none");
    }
    for (int i = 0; i < TW_COUNT(off); i++)
        if (cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(model, off[i]))) return fail_part(r, off[i], "false");
    return TW_OK;
}

static tw_status read_tokenizer(reading *r, const cJSON *root)
{
    const cJSON *model = cJSON_GetObjectItemCaseSensitive(root, "model");
    tw_status status = check_parts(r, root, model);
    if (status == TW_OK)
        status = read_vocabulary(r, cJSON_GetObjectItemCaseSensitive(model, "vocab"),
                                 cJSON_GetObjectItemCaseSensitive(root, "added_tokens"));
    if (status == TW_OK) status = read_merge_list(r, cJSON_GetObjectItemCaseSensitive(model, "merges"));
    return status;
}

static tw_status read_pair(reading *r, const cJSON *root, const char *merges_path, const char *merges, size_t size)
{
    tw_status status = read_vocabulary(r, root, NULL);
    r->path = merges_path;
    if (status == TW_OK) status = read_merge_lines(r, merges, size);
    return status == TW_OK ? find_whole(r) : status;
}

tw_status tw_tokeniser_parse(tw_context *ctx, const char *path, const char *json, size_t size, const char *merges_path,
                             const char *merges, size_t merges_size, const bool special[TW_SPECIALS],
                             tw_tokeniser **out_tokeniser)
{
    tw_status status = TW_OK;
    reading r = {.ctx = ctx, .path = path, .bytes = tw_text_new(ctx)};
    const char *end = NULL;
    cJSON *root = cJSON_ParseWithLengthOpts(json, size, &end, false);
    if (!cJSON_IsObject(root)) {
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: it is no JSON object", path);
        goto done;
    }
    learn_codes(&r);
    TW_TRY(tw_tokeniser_new(ctx, "bpe", &r.t));
    if (special) memcpy(r.t->has, special, sizeof r.t->has);
    TW_TRY(merges_path ? read_pair(&r, root, merges_path, merges, merges_size) : read_tokenizer(&r, root));
    TW_TRY(tw_tokeniser_settle(r.t, path));
    *out_tokeniser = r.t;
    r.t = NULL;
done:
    cJSON_Delete(root);
    tw_text_free(&r.bytes);
    tw_free(ctx, r.token);
    tw_free(ctx, r.added);
    tw_tokeniser_destroy(r.t);
    return status;
}

tw_status tw_tokeniser_open(tw_context *ctx, const char *path, const char *merges_path, const bool special[TW_SPECIALS],
                            tw_tokeniser **out_tokeniser)
{
    char *json = NULL, *merges = NULL;
    size_t size = 0, merges_size = 0;
    tw_status status = tw_file_read(ctx, path, true, FILE_LIMIT, &json, &size);
    if (status == TW_OK && merges_path)
        status = tw_file_read(ctx, merges_path, true, FILE_LIMIT, &merges, &merges_size);
    if (status == TW_OK)
        status = tw_tokeniser_parse(ctx, path, json, size, merges_path, merges, merges_size, special, out_tokeniser);
    tw_free(ctx, json);
    tw_free(ctx, merges);
    return status;
}
