/* Tokenisers of other programs: every token as Hugging Face tokenizers makes it, the same merges from the same text,
 * and what is refused. Golden values: tests/golden/tokens.py. */
#include <thalweg/graph.h>
#include <thalweg/tokens.h>

#include "base/base.h"
#include "data/tokeniser.h"
#include "golden/tokens.inc"
#include "support/context.h"
#include "support/limited_memory.h"

#include <stdio.h>
#include <string.h>

#define FILES TW_SOURCE_DIR "/tests/data/files/"

static tw_tokeniser *open_file(tw_context *ctx, const char *path, const char *merges, const bool *special)
{
    tw_tokeniser *t = NULL;
    if (tw_tokeniser_open(ctx, path, merges, special, &t) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return t;
}

static void assert_golden(tw_context *ctx, const tw_tokeniser *t, bool with_added)
{
    static int32_t tokens[4096];
    static char back[4096];
    for (int i = 0; i < TW_COUNT(golden_tokens); i++) {
        const char *text = golden_tokens[i].text;
        size_t size = golden_tokens[i].size;
        int64_t count = -1;
        if (!with_added && strstr(text, "<|end")) continue;
        if (tw_tokeniser_encode(ctx, t, NULL, 1, text, size, tokens, &count) != TW_OK)
            fail_msg("%s", tw_context_error(ctx));
        assert_int_equal(count, golden_tokens[i].count);
        assert_memory_equal(tokens, golden_tokens[i].tokens, (size_t)count * sizeof *tokens);
        assert_int_equal(tw_tokeniser_decode(t, tokens, count, false, back, sizeof back), size);
        assert_memory_equal(back, text, size);
    }
}

static void tokens_are_the_peers(void **state)
{
    bool mask[TW_SPECIALS] = {[TW_SPECIAL_MASK] = true};
    tw_tokeniser *t = open_file(*state, FILES "bpe.json", NULL, mask), *copy = NULL;
    assert_int_equal(tw_tokeniser_symbols(t), GOLDEN_LEARNED + 2);
    assert_int_equal(tw_tokeniser_special(t, TW_SPECIAL_MASK), GOLDEN_LEARNED + 2);
    assert_golden(*state, t, true);
    char *text = NULL;
    assert_int_equal(tw_tokeniser_to_text(*state, t, &text), TW_OK);
    assert_int_equal(tw_tokeniser_from_text(*state, "m", text, &copy), TW_OK);
    assert_golden(*state, copy, true);
    tw_string_free(*state, text);
    tw_tokeniser_destroy(copy);
    tw_tokeniser_destroy(t);
    t = open_file(*state, FILES "bpe-vocab.json", FILES "bpe-merges.txt", NULL);
    assert_int_equal(tw_tokeniser_size(t), GOLDEN_LEARNED);
    assert_golden(*state, t, false);
    tw_tokeniser_destroy(t);
}

/* Trained here on the same text: the same symbols with the same numbers, the same merges. */
static void merges_are_the_peers(void **state)
{
    tw_tokeniser *theirs = open_file(*state, FILES "bpe-vocab.json", FILES "bpe-merges.txt", NULL), *ours = NULL;
    tw_tokeniser_desc desc = {.kind = "bpe", .symbols = GOLDEN_LEARNED};
    assert_int_equal(tw_tokeniser_train(*state, &desc, golden_tokens[0].text, golden_tokens[0].size, &ours), TW_OK);
    char *a = NULL, *b = NULL;
    assert_int_equal(tw_tokeniser_to_text(*state, theirs, &a), TW_OK);
    assert_int_equal(tw_tokeniser_to_text(*state, ours, &b), TW_OK);
    assert_string_equal(a, b);
    tw_string_free(*state, a);
    tw_string_free(*state, b);
    tw_tokeniser_destroy(ours);
    tw_tokeniser_destroy(theirs);
}

#define LETTERS "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"bc\":4"
#define WORDS   "\"pre_tokenizer\":{\"type\":\"ByteLevel\",\"add_prefix_space\":false}"
#define JSON(vocab, merges, more)                                                                                      \
    "{" WORDS ",\"model\":{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}" more "}"

static tw_status parse(tw_context *ctx, const char *json, const char *merges, tw_tokeniser **out_tokeniser)
{
    return tw_tokeniser_parse(ctx, "t.json", json, strlen(json), merges ? "m.txt" : NULL, merges,
                              merges ? strlen(merges) : 0, NULL, out_tokeniser);
}

/* Of a merge that stands twice the later place counts: measured there, [0, 4]. */
static void later_merge_counts(void **state)
{
    static const char *const merges[] = {NULL, "#version: 0.2\na b\nb c\na b\n", "a b\r\nb c\r\na b"};
    for (int i = 0; i < 3; i++) {
        tw_tokeniser *t = NULL;
        int32_t tokens[3];
        int64_t count;
        const char *json = i ? LETTERS "}" : JSON(LETTERS "}", "[\"a b\",[\"b\",\"c\"],\"a b\"]", "");
        if (parse(*state, json, merges[i], &t) != TW_OK) fail_msg("%s", tw_context_error(*state));
        assert_int_equal(tw_tokeniser_encode(*state, t, NULL, 1, "abc", 3, tokens, &count), TW_OK);
        assert_int_equal(count, 2);
        assert_int_equal(tokens[0], 0);
        assert_int_equal(tokens[1], 4);
        assert_int_equal(tw_tokeniser_encode(*state, t, NULL, 1, "abd", 3, tokens, &count), TW_ERR_INVALID);
        assert_string_equal(tw_context_error(*state), "text:1: 'd' is not among the 5 symbols of the tokeniser (bpe)");
        tw_tokeniser_destroy(t);
    }
}

/* GPT-2's two files do not say that <|end|> is taken whole, but no merge makes it. */
static void what_no_merge_makes_is_whole(void **state)
{
    tw_tokeniser *t = NULL;
    int32_t tokens[20];
    int64_t count;
    assert_int_equal(parse(*state, LETTERS ",\"<|end|>\":5}", "a b\nb c\n", &t), TW_OK);
    assert_int_equal(tw_tokeniser_encode(*state, t, NULL, 1, "a<|end|>ab", 10, tokens, &count), TW_OK);
    assert_int_equal(count, 3);
    assert_int_equal(tokens[1], 5);
    assert_int_equal(tokens[2], 3);
    tw_tokeniser_destroy(t);
}

static void refused(void **state)
{
    static const struct {
        const char *json, *merges, *error;
    } cases[] = {
        {"[1]", NULL, "t.json: it is no JSON object"},
        {"{\"model\":", NULL, "t.json: it is no JSON object"},
        {"{" WORDS "}", NULL, "t.json: expected an object of tokens and their numbers"},
        {"{" WORDS ",\"normalizer\":{\"type\":\"NFC\"}}", NULL, "t.json: its normalizer is not supported, only none"},
        {"{" WORDS ",\"model\":{\"type\":\"WordPiece\"}}", NULL, "t.json: its model is not supported, only BPE"},
        {"{\"model\":{\"type\":\"BPE\"}}", NULL, "t.json: its pre_tokenizer is not supported, only ByteLevel"},
        {JSON("{\"a\":0,\"b\":2}", "[]", ""), NULL, "t.json: the number of token 'b' is not one from 0 to 1"},
        {JSON("{\"a\":0,\"b\":0}", "[]", ""), NULL, "t.json: two tokens have the number 0"},
        {JSON("{\"a\":0,\"\xE6\x97\xA5\":1}", "[]", ""), NULL,
         "t.json: token '\xE6\x97\xA5' is not written in GPT-2's characters for bytes"},
        {JSON("{}", "[]", ""), NULL, "t.json: a tokeniser needs at least one symbol"},
        {JSON(LETTERS "}", "[\"ab\"]", ""), NULL,
         "t.json: 'ab' is no merge, expected two tokens and a blank between them"},
        {JSON(LETTERS "}", "[\"a d\"]", ""), NULL, "t.json: merge 'a' with 'd' is not of two tokens"},
        {JSON(LETTERS "}", "[\"a c\"]", ""), NULL, "t.json: a merge makes 'ac', which is no symbol"},
        {JSON(LETTERS "}", "[[\"a\"]]", ""), NULL, "t.json: expected merges of two tokens each"},
        {JSON(LETTERS "}", "{}", ""), NULL, "t.json: expected a list of merges"},
        {JSON(LETTERS "}", "[]", ",\"added_tokens\":[{\"id\":5,\"content\":\"<x>\",\"lstrip\":true}]"), NULL,
         "t.json: added token '<x>' has 'lstrip', which is not supported"},
        {JSON(LETTERS "}", "[]", ",\"added_tokens\":[{\"id\":7,\"content\":\"<x>\"}]"), NULL,
         "t.json: the number of token '<x>' is not one from 0 to 5"},
        {LETTERS "}", "ab\n", "m.txt: 'ab' is no merge, expected two tokens and a blank between them"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_tokeniser *t = NULL;
        assert_int_not_equal(parse(*state, cases[i].json, cases[i].merges, &t), TW_OK);
        assert_string_equal(tw_context_error(*state), cases[i].error);
        assert_null(t);
    }
}

static tw_status parse_in_little_memory(tw_context *ctx, void *user)
{
    tw_tokeniser *t = NULL;
    tw_status status = parse(ctx, user, NULL, &t);
    tw_tokeniser_destroy(t);
    return status;
}

static void little_memory(void **state)
{
    (void)state;
    const char *json = JSON(LETTERS "}", "[\"a b\",\"b c\"]", ",\"added_tokens\":[{\"id\":5,\"content\":\"<x>\"}]");
    run_with_limited_memory(parse_in_little_memory, (void *)json);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tokens_are_the_peers),
        cmocka_unit_test(merges_are_the_peers),
        cmocka_unit_test(later_merge_counts),
        cmocka_unit_test(what_no_merge_makes_is_whole),
        cmocka_unit_test(refused),
        cmocka_unit_test(little_memory),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
