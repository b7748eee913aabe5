/* Tokenisers: there and back for any bytes, what is cut where, what is not known, merges against merges found by the
 * definition, a tokeniser as text and back. Peers' values are in test_gpt2.c. */
#include <thalweg/tokens.h>

#include "base/base.h"
#include "base/philox.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <thalweg/graph.h>

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static tw_tokeniser *train(tw_context *ctx, const tw_tokeniser_desc *desc, const char *text, size_t size)
{
    tw_tokeniser *t = NULL;
    if (tw_tokeniser_train(ctx, desc, text, size, &t) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return t;
}

/* Encodes and decodes; the bytes must be the same. Returns how many tokens it was. */
static int64_t there_and_back(tw_context *ctx, const tw_tokeniser *t, const char *text, size_t size, int32_t *tokens)
{
    int64_t count = -1;
    if (tw_tokeniser_encode(ctx, t, NULL, 1, text, size, tokens, &count) != TW_OK)
        fail_msg("%s", tw_context_error(ctx));
    assert_true(count >= 0 && count <= (int64_t)size);
    for (int64_t i = 0; i < count; i++) assert_true(tokens[i] >= 0 && tokens[i] < tw_tokeniser_symbols(t));
    char *back = malloc(size + 1);
    assert_int_equal(tw_tokeniser_decode(t, tokens, count, true, back, size + 1), size);
    assert_memory_equal(back, text, size);
    assert_int_equal(back[size], 0);
    free(back);
    return count;
}

/* Text with everything in it that could go wrong: blanks and line ends of all sorts, letters of one to four bytes,
 * accents, marks, stray bytes, cut-off characters, zero bytes, brackets that never close. */
static size_t make_text(char *text, size_t capacity, uint64_t seed)
{
    static const char *const parts[] = {"the",
                                        " ",
                                        "  ",
                                        "\n",
                                        "\r\n",
                                        "\t",
                                        "don't",
                                        "we'll",
                                        "'",
                                        "Ünï",
                                        "日本",
                                        "١٢",
                                        "\xF0\x9F\x99\x82",
                                        "\xFF",
                                        "\xC3",
                                        "\xE2\x82",
                                        "[nH+]",
                                        "[",
                                        "]",
                                        "Cl",
                                        "%12",
                                        "%1",
                                        "3.14",
                                        "_x",
                                        "\\",
                                        "\xC2\xA0",
                                        "e\xCC\x81",
                                        ",",
                                        "...",
                                        "\xED\xA0\x80"};
    tw_random random = {.seed = seed, .stream = 3};
    size_t size = 0;
    while (size + 8 < capacity) {
        int64_t pick = tw_random_below(&random, TW_COUNT(parts) + 1);
        if (pick == TW_COUNT(parts)) {
            text[size++] = 0;
            continue;
        }
        size_t length = strlen(parts[pick]);
        memcpy(text + size, parts[pick], length);
        size += length;
    }
    return size;
}

static void any_bytes_come_back(void **state)
{
    char text[4000];
    int32_t tokens[4000], again[4000];
    for (int kind = 0; tw_tokeniser_list(kind); kind++) {
        for (uint64_t seed = 0; seed < 20; seed++) {
            size_t size = make_text(text, sizeof text, seed);
            tw_tokeniser_desc desc = {.kind = tw_tokeniser_list(kind)->name};
            desc.special[TW_SPECIAL_MASK] = seed & 1;
            tw_tokeniser *t = train(*state, &desc, text, size), *copy = NULL;
            int64_t count = there_and_back(*state, t, text, size, tokens);
            char *kept = NULL, *kept_again = NULL;
            assert_int_equal(tw_tokeniser_to_text(*state, t, &kept), TW_OK);
            if (tw_tokeniser_from_text(*state, "m", kept, &copy) != TW_OK) fail_msg("%s", tw_context_error(*state));
            assert_int_equal(tw_tokeniser_to_text(*state, copy, &kept_again), TW_OK);
            assert_string_equal(kept, kept_again);
            assert_int_equal(there_and_back(*state, copy, text, size, again), count);
            assert_memory_equal(tokens, again, (size_t)count * sizeof *tokens);
            assert_int_equal(tw_tokeniser_size(copy), tw_tokeniser_symbols(t) + (int)(seed & 1));
            assert_int_equal(tw_tokeniser_special(copy, TW_SPECIAL_MASK), seed & 1 ? tw_tokeniser_symbols(t) : -1);
            tw_string_free(*state, kept);
            tw_string_free(*state, kept_again);
            tw_tokeniser_destroy(copy);
            tw_tokeniser_destroy(t);
        }
    }
}

/* The pieces of a text, each between bars, by a tokeniser that learned its symbols from the same text. */
static void assert_pieces(tw_context *ctx, const char *kind, const char *text, const char *expected)
{
    int32_t tokens[200];
    char shown[400] = "|";
    tw_tokeniser *t = train(ctx, &(tw_tokeniser_desc){.kind = kind}, text, strlen(text));
    int64_t count = there_and_back(ctx, t, text, strlen(text), tokens);
    for (int64_t i = 0; i < count; i++) {
        size_t size, at = strlen(shown);
        const char *bytes = tw_tokeniser_symbol(t, tokens[i], &size);
        snprintf(shown + at, sizeof shown - at, "%.*s|", (int)size, bytes);
    }
    assert_string_equal(shown, expected);
    tw_tokeniser_destroy(t);
}

static void cuts(void **state)
{
    assert_pieces(*state, "characters", "aé日🙂\n", "|a|é|日|🙂|\n|");
    assert_pieces(*state, "words", "It isn't a  dog's 'bone', x_1 = 3.5\n",
                  "|It|isn't|a| | |dog's| |'|bone|'|,| |x_1| |=| |3|.|5|\n|");
    assert_pieces(*state, "smiles", "C[C@@H](Cl)c1cc(Br)[nH]c1%12CCB",
                  "|C|[C@@H]|(|Cl|)|c|1|c|c|(|Br|)|[nH]|c|1|%12|C|C|B|");
    assert_pieces(*state, "smiles", "[CC\n]N%1", "|[|C|C|\n|]|N|%|1|");
    /* no pair comes twice: pieces stay bytes */
    assert_pieces(*state, "bytes", "ab c", "|a|b| |c|");
}

static void orders_and_limits(void **state)
{
    const char *text = "b a b c b a";
    size_t size;
    tw_tokeniser *t = train(*state, &(tw_tokeniser_desc){.kind = "words", .min_count = 2}, text, strlen(text));
    assert_int_equal(tw_tokeniser_symbols(t), 3); /* blank 5, b 3, a 2: by count */
    assert_memory_equal(tw_tokeniser_symbol(t, 0, &size), " ", 1);
    assert_memory_equal(tw_tokeniser_symbol(t, 1, &size), "b", 1);
    assert_memory_equal(tw_tokeniser_symbol(t, 2, &size), "a", 1);
    assert_null(tw_tokeniser_symbol(t, 3, &size));
    assert_null(tw_tokeniser_symbol(t, -1, &size));
    tw_tokeniser_destroy(t);
    t = train(*state, &(tw_tokeniser_desc){.symbols = 2}, text,
              strlen(text)); /* characters: the frequent ones by bytes */
    assert_int_equal(tw_tokeniser_symbols(t), 2);
    assert_memory_equal(tw_tokeniser_symbol(t, 0, &size), " ", 1);
    assert_memory_equal(tw_tokeniser_symbol(t, 1, &size), "b", 1);
    tw_tokeniser_destroy(t);
}

static void unknown_symbols(void **state)
{
    tw_context *ctx = *state;
    int32_t tokens[20];
    int64_t count = 77;
    tw_tokeniser *t = train(ctx, &(tw_tokeniser_desc){0}, "ab\n", 3);
    assert_int_equal(tw_tokeniser_encode(ctx, t, "x.txt", 5, "a\nb\n\xE2\x82\xAC", 7, tokens, &count), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "x.txt:7: '€' is not among the 3 symbols of the tokeniser (characters)");
    assert_int_equal(count, 77);
    assert_int_equal(tw_tokeniser_encode(ctx, t, NULL, 1, "\xFF", 1, tokens, &count), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx),
                        "text:1: byte 0xFF is not among the 3 symbols of the tokeniser (characters)");
    tw_tokeniser_destroy(t);

    tw_tokeniser_desc desc = {.special = {true, true, true, true, true}};
    t = train(ctx, &desc, "ab\n", 3);
    assert_int_equal(tw_tokeniser_size(t), 8);
    assert_int_equal(tw_tokeniser_special(t, TW_SPECIAL_UNKNOWN), 3);
    assert_int_equal(tw_tokeniser_special(t, TW_SPECIAL_MASK), 7);
    assert_int_equal(tw_tokeniser_encode(ctx, t, NULL, 1, "axb", 3, tokens, &count), TW_OK);
    assert_int_equal(count, 3);
    assert_int_equal(tokens[1], 3);
    char text[40];
    int32_t row[] = {4, 1, 7, 3, 2, 99, 5, 1, 6};
    assert_int_equal(tw_tokeniser_decode(t, row, 9, false, text, sizeof text), strlen("a<unknown>b"));
    assert_string_equal(text, "a<unknown>b");
    tw_tokeniser_decode(t, row, 9, true, text, sizeof text);
    assert_string_equal(text, "<begin>a<mask><unknown>b<?>");
    assert_int_equal(tw_tokeniser_decode(t, row, 9, false, text, 4), 11); /* as much as fits, and the whole length */
    assert_string_equal(text, "a<u");
    assert_int_equal(tw_tokeniser_decode(t, row, 9, false, NULL, 0), 11);
    tw_tokeniser_destroy(t);

    desc.kind = "words";
    t = train(ctx, &desc, "the old man", 11);
    assert_int_equal(tw_tokeniser_encode(ctx, t, NULL, 1, "the odd man", 11, tokens, &count), TW_OK);
    assert_int_equal(count, 3);
    tw_tokeniser_decode(t, tokens, 3, false, text, sizeof text);
    assert_string_equal(text, "the <unknown> man");
    tw_tokeniser_destroy(t);
}

/* The definition, without any index: count all pairs of all words, take the most frequent, replace, again. */
typedef struct plain_word {
    int32_t token[16];
    int length;
    int64_t times;
} plain_word;

static bool plain_step(plain_word *word, int words, int next, int32_t out_pair[2])
{
    enum { LIMIT = 400 };
    static int64_t times[LIMIT][LIMIT];
    memset(times, 0, sizeof times);
    for (int w = 0; w < words; w++)
        for (int i = 0; i + 1 < word[w].length; i++) times[word[w].token[i]][word[w].token[i + 1]] += word[w].times;
    int64_t best = 0;
    for (int32_t a = 0; a < LIMIT; a++)
        for (int32_t b = 0; b < LIMIT; b++)
            if (times[a][b] > best) best = times[out_pair[0] = a][out_pair[1] = b];
    for (int w = 0; w < words; w++) {
        int length = 0;
        for (int i = 0; i < word[w].length; i++) {
            bool here =
                i + 1 < word[w].length && word[w].token[i] == out_pair[0] && word[w].token[i + 1] == out_pair[1];
            word[w].token[length++] = here ? next : word[w].token[i];
            i += here;
        }
        word[w].length = length;
    }
    return best > 0;
}

static void merges_by_definition(void **state)
{
    enum { WORDS = 40 };
    for (uint64_t seed = 0; seed < 20; seed++) {
        tw_random random = {.seed = seed, .stream = 4};
        plain_word word[WORDS];
        char text[20000];
        size_t size = 0;
        for (int w = 0; w < WORDS; w++) { /* different letters to begin with, so that all words are different */
            word[w].length = 2 + (int)tw_random_below(&random, 12);
            word[w].times = 1 + tw_random_below(&random, 9);
            char letters[16];
            for (int i = 0; i < word[w].length; i++)
                letters[i] = (char)('a' + (i == 0 ? w % 13 : i == 1 ? w / 13 : (int)tw_random_below(&random, 3)));
            for (int i = 0; i < word[w].length; i++) word[w].token[i] = letters[i] - '!';
            for (int64_t k = 0; k < word[w].times; k++) {
                memcpy(text + size, letters, (size_t)word[w].length);
                size += (size_t)word[w].length;
                text[size++] = '\n';
            }
        }
        tw_tokeniser *t = train(*state, &(tw_tokeniser_desc){.kind = "bpe", .symbols = 300}, text, size);
        for (int next = 256; next < tw_tokeniser_symbols(t); next++) {
            int32_t pair[2] = {-1, -1};
            assert_true(plain_step(word, WORDS, next, pair));
            size_t length, left, right;
            const char *bytes = tw_tokeniser_symbol(t, next, &length);
            const char *a = tw_tokeniser_symbol(t, pair[0], &left), *b = tw_tokeniser_symbol(t, pair[1], &right);
            assert_int_equal(length, left + right);
            assert_memory_equal(bytes, a, left);
            assert_memory_equal(bytes + left, b, right);
        }
        assert_int_equal(tw_tokeniser_symbols(t), 300);
        tw_tokeniser_destroy(t);
    }
}

/* A run of one letter is no trouble, however long. */
static void long_runs(void **state)
{
    enum { N = 1 << 19 };
    char *text = malloc(N);
    int32_t *tokens = malloc(N * sizeof *tokens);
    memset(text, 'a', N);
    tw_tokeniser *t = train(*state, &(tw_tokeniser_desc){.kind = "bpe", .symbols = 266}, text, N);
    assert_int_equal(there_and_back(*state, t, text, N, tokens), N >> 10);
    tw_tokeniser_destroy(t);
    free(text);
    free(tokens);
}

/* Files in blocks give what the text in one gives: of 3 MiB, long lines and blank ones. */
static void files_in_blocks(void **state)
{
    enum { N = 3 << 20 };
    char *text = malloc(N + 64), path[] = "/tmp/tokens-XXXXXX";
    size_t size = 0;
    for (uint64_t seed = 0; size + 5000 < N; seed++) {
        size += make_text(text + size, 4000, seed % 7);
        if (seed % 50 == 3) memset(text + size, '\n', 40), size += 40;
    }
    int fd = mkstemp(path);
    assert_true(fd >= 0 && write(fd, text, size) == (ssize_t)size);
    close(fd);
    for (int kind = 0; tw_tokeniser_list(kind); kind++) {
        tw_tokeniser_desc desc = {.kind = tw_tokeniser_list(kind)->name, .symbols = 400};
        tw_tokeniser *t = train(*state, &desc, text, size), *from_file = NULL;
        const char *paths[] = {path};
        if (tw_tokeniser_train_files(*state, &desc, 1, paths, &from_file) != TW_OK)
            fail_msg("%s", tw_context_error(*state));
        char *a = NULL, *b = NULL;
        assert_int_equal(tw_tokeniser_to_text(*state, t, &a), TW_OK);
        assert_int_equal(tw_tokeniser_to_text(*state, from_file, &b), TW_OK);
        assert_string_equal(a, b);
        tw_string_free(*state, a);
        tw_string_free(*state, b);
        tw_tokeniser_destroy(t);
        tw_tokeniser_destroy(from_file);
    }
    unlink(path);
    free(text);
}

/* A file whose first block ends behind white space of several kinds is learned from and encoded as its whole text is.
 */
static void white_space_between_blocks(void **state)
{
    static const char *const ends[] = {"\n\n", " \n", "\r\n", "  \n", "\t \n\n",
                                       "\n",   ".\n", "[\n",  "'\n",  "\xC2\xA0\n"};
    enum { N = 1 << 20 };
    char *text = malloc(N + 200);
    for (int i = 0; i < TW_COUNT(ends); i++) {
        char path[] = "/tmp/tokens-XXXXXX";
        size_t size = 0, length = strlen(ends[i]);
        while (size + length + 2 < N) text[size] = "a."[size % 2], size++; /* pieces of one byte: nothing to merge */
        memcpy(text + size, ends[i], length);
        size += length;
        for (int k = 0; k < 100; k++) text[size++] = "a."[k % 2];
        char sample[100];
        int sampled = snprintf(sample, sizeof sample, "a.%s%s%s%sa", ends[i], ends[i], ends[i], ends[i]);
        int fd = mkstemp(path);
        assert_true(fd >= 0 && write(fd, text, size) == (ssize_t)size);
        close(fd);
        for (int kind = 0; tw_tokeniser_list(kind); kind++) {
            tw_tokeniser_desc desc = {.kind = tw_tokeniser_list(kind)->name};
            if (i % 4 && strcmp(desc.kind, "bpe") != 0) continue; /* they hardly look ahead */
            tw_tokeniser *t = train(*state, &desc, text, size), *from_file = NULL;
            tw_tokens *rows = NULL;
            const char *paths[] = {path};
            int64_t count = 0;
            int32_t *tokens = malloc((size + 1) * sizeof *tokens), *read = malloc((size + 1) * sizeof *read);
            if (tw_tokeniser_train_files(*state, &desc, 1, paths, &from_file) != TW_OK)
                fail_msg("%s", tw_context_error(*state));
            char *a = NULL, *b = NULL;
            assert_int_equal(tw_tokeniser_to_text(*state, t, &a), TW_OK);
            assert_int_equal(tw_tokeniser_to_text(*state, from_file, &b), TW_OK);
            assert_string_equal(a, b);
            tw_tokeniser_destroy(t);
            t = train(*state, &desc, sample, (size_t)sampled); /* merges white space */
            assert_int_equal(tw_tokeniser_encode(*state, t, NULL, 1, text, size, tokens, &count), TW_OK);
            tw_tokens_desc whole = {.tokeniser = t, .chunk = count, .split = {1, 0, 0}};
            if (tw_tokens_open(*state, 1, paths, &whole, &rows) != TW_OK)
                fail_msg("%s, border %d: %s", desc.kind, i, tw_context_error(*state));
            assert_int_equal(tw_tokens_rows(rows, TW_PART_ALL), 1);
            tw_tokens_gather(rows, TW_PART_ALL, 1, (int64_t[]){0}, count, -1, read, NULL);
            if (memcmp(tokens, read, (size_t)count * sizeof *read) != 0 || tw_tokens_note(rows, 0))
                fail_msg("%s: other tokens at border %d", desc.kind, i);
            tw_string_free(*state, a);
            tw_string_free(*state, b);
            tw_tokens_destroy(rows);
            tw_tokeniser_destroy(t);
            tw_tokeniser_destroy(from_file);
            free(tokens);
            free(read);
        }
        unlink(path);
    }
    free(text);
}

static void bad_descriptions(void **state)
{
    tw_context *ctx = *state;
    tw_tokeniser *t = NULL;
    assert_int_equal(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){.kind = "smile"}, "a", 1, &t), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "there is no tokeniser 'smile'; did you mean smiles");
    assert_int_equal(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){.kind = "bpe", .symbols = 255}, "a", 1, &t),
                     TW_ERR_INVALID);
    assert_int_equal(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){.min_count = -1}, "a", 1, &t), TW_ERR_INVALID);
    assert_int_equal(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){0}, "", 0, &t), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "text: a tokeniser needs at least one symbol");
    const char *paths[] = {"/nowhere/x.txt"};
    assert_int_equal(tw_tokeniser_train_files(ctx, &(tw_tokeniser_desc){0}, 1, paths, &t), TW_ERR_IO);
    assert_string_equal(tw_context_error(ctx), "cannot open '/nowhere/x.txt': No such file or directory");
    assert_null(t);
}

static void bad_texts(void **state)
{
    static const struct {
        const char *text, *error;
    } cases[] = {
        {"", "m: the tokeniser ends early, expected thalweg-tokens"},
        {"thalweg-tokens 2", "m: a tokeniser of version 2, this program reads version 1"},
        {"thalweg-tokens 1 kind runes special 0", "m: the tokeniser says 'runes', expected the name of a kind"},
        {"thalweg-tokens 1 kind bytes special 2 mask mask symbols 1 a merges 0 whole 0",
         "m: the tokeniser says 'mask', expected the name of a special token, once"},
        {"thalweg-tokens 1 kind bytes special 0 symbols 2 a a merges 0 whole 0",
         "m: the tokeniser says 'a', expected each symbol once"},
        {"thalweg-tokens 1 kind bytes special 0 symbols 1 \\x4 merges 0 whole 0",
         "m: the tokeniser says '\\x4', expected \\xNN for a byte"},
        {"thalweg-tokens 1 kind bytes special 0 symbols 99999999999 a",
         "m: the tokeniser says '99999999999', expected a count"},
        {"thalweg-tokens 1 kind bpe special 0 symbols 2 a b merges 1 0 2 whole 0",
         "m: the tokeniser says '2', expected the number of a symbol"},
        {"thalweg-tokens 1 kind bpe special 0 symbols 2 a b merges 1 0 1 whole 0",
         "m: a merge makes 'ab', which is no symbol"},
        {"thalweg-tokens 1 kind bytes special 0 symbols 0 merges 0 whole 0",
         "m: a tokeniser needs at least one symbol"},
        {"thalweg-tokens 1 kind bytes special 0 symbols 1 a merges 0 whole 0 more",
         "m: the tokeniser says 'more', expected the end"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_tokeniser *t = NULL;
        assert_int_not_equal(tw_tokeniser_from_text(*state, "m", cases[i].text, &t), TW_OK);
        assert_string_equal(tw_context_error(*state), cases[i].error);
        assert_null(t);
    }
}

static tw_status work_in_little_memory(tw_context *ctx, void *user)
{
    tw_status status = TW_OK;
    tw_tokeniser *t = NULL, *copy = NULL;
    char *text = NULL;
    int32_t tokens[60];
    int64_t count;
    const char *learned = "low lower lowest low lowly newer newest";
    TW_TRY(tw_tokeniser_train(ctx, &(tw_tokeniser_desc){.kind = user, .symbols = 262}, learned, 39, &t));
    TW_TRY(tw_tokeniser_to_text(ctx, t, &text));
    TW_TRY(tw_tokeniser_from_text(ctx, "m", text, &copy));
    TW_TRY(tw_tokeniser_encode(ctx, copy, NULL, 1, learned, 39, tokens, &count));
done:
    if (text) tw_string_free(ctx, text);
    tw_tokeniser_destroy(t);
    tw_tokeniser_destroy(copy);
    return status;
}

static void little_memory(void **state)
{
    (void)state;
    run_with_limited_memory(work_in_little_memory, (void *)"bpe");
    run_with_limited_memory(work_in_little_memory, (void *)"words");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_bytes_come_back),  cmocka_unit_test(cuts),
        cmocka_unit_test(orders_and_limits),    cmocka_unit_test(unknown_symbols),
        cmocka_unit_test(merges_by_definition), cmocka_unit_test(long_runs),
        cmocka_unit_test(files_in_blocks),      cmocka_unit_test(white_space_between_blocks),
        cmocka_unit_test(bad_descriptions),     cmocka_unit_test(bad_texts),
        cmocka_unit_test(little_memory),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
