/* data/bpe_train.c - finding the merges: pairs keep how often they stand side by side and the words they were seen in;
 * a heap holds them by count as it was when they were put in, and one that has changed since is put back. */
#include "data/bpe.h"

#include <string.h>

typedef struct pair {
    int64_t times;
    int32_t *word; /* where it was seen; it may have gone since, and words may come twice */
    int64_t words, capacity;
    bool grown; /* since the last merge */
} pair;

typedef struct candidate {
    int64_t times;
    int32_t pair;
} candidate;

typedef struct training {
    tw_context *ctx;
    int32_t *token; /* every word's tokens, one word behind another */
    int64_t *start, *length;
    const int64_t *times;
    tw_merges key; /* the pairs that were ever seen; a pair's number is its rank there */
    pair *pair;
    int64_t pair_capacity;
    candidate *heap;
    int64_t heap_count, heap_capacity;
    int32_t *grown;
    int64_t grown_count, grown_capacity;
} training;

/* Which of two goes first: the more frequent one, then by numbers. */
static bool before(const training *t, const candidate *a, const candidate *b)
{
    if (a->times != b->times) return a->times > b->times;
    const tw_merge *x = &t->key.item[a->pair], *y = &t->key.item[b->pair];
    return x->left != y->left ? x->left < y->left : x->right < y->right;
}

#define HEAP_WORK training
#define HEAP_ITEM candidate
#include "data/heap.inc"

static tw_status push(training *t, int32_t number)
{
    tw_status status = tw_grow(t->ctx, &t->heap, &t->heap_capacity, t->heap_count + 1, sizeof(candidate));
    if (status == TW_OK) heap_insert(t, (candidate){t->pair[number].times, number});
    return status;
}

/* A pair was found in a word. */
static tw_status gain(training *t, int32_t left, int32_t right, int32_t word)
{
    tw_status status = TW_OK;
    TW_TRY(tw_merges_add(t->ctx, &t->key, (tw_merge){left, right, 0}));
    int32_t number = tw_merges_find(&t->key, left, right);
    TW_TRY(tw_grow(t->ctx, &t->pair, &t->pair_capacity, number + 1, sizeof(pair)));
    pair *p = &t->pair[number];
    p->times += t->times[word];
    if (p->words == 0 || p->word[p->words - 1] != word) {
        TW_TRY(tw_grow(t->ctx, &p->word, &p->capacity, p->words + 1, sizeof(int32_t)));
        p->word[p->words++] = word;
    }
    if (!p->grown) {
        TW_TRY(tw_grow(t->ctx, &t->grown, &t->grown_capacity, t->grown_count + 1, sizeof(int32_t)));
        t->grown[t->grown_count++] = number;
        p->grown = true;
    }
done:
    return status;
}

static void lose(training *t, int32_t left, int32_t right, int32_t word)
{
    t->pair[tw_merges_find(&t->key, left, right)].times -= t->times[word];
}

static tw_status push_grown(training *t)
{
    tw_status status = TW_OK;
    for (int64_t i = 0; i < t->grown_count && status == TW_OK; i++) {
        t->pair[t->grown[i]].grown = false;
        status = push(t, t->grown[i]);
    }
    t->grown_count = 0;
    return status;
}

static tw_status merge_in_word(training *t, tw_merge merge, int32_t word)
{
    tw_status status = TW_OK;
    int32_t *token = t->token + t->start[word];
    int64_t n = t->length[word], out = 0;
    for (int64_t i = 0; i < n; i++) {
        if (i + 1 == n || token[i] != merge.left || token[i + 1] != merge.right) {
            token[out++] = token[i];
            continue;
        }
        if (out) {
            lose(t, token[out - 1], merge.left, word);
            TW_TRY(gain(t, token[out - 1], merge.result, word));
        }
        if (i + 2 < n) {
            lose(t, merge.right, token[i + 2], word);
            TW_TRY(gain(t, merge.result, token[i + 2], word));
        }
        token[out++] = merge.result;
        i++;
    }
    t->length[word] = out;
done:
    return status;
}

/* Words as bytes, and the pairs in them. */
static tw_status start(training *t, const tw_symbols *pieces)
{
    tw_status status = TW_OK;
    int32_t place_of[256];
    for (int place = 0; place < 256; place++) {
        uint32_t code;
        place_of[tw_gpt2_byte(place, &code)] = place;
    }
    size_t words = (size_t)tw_max_i64(pieces->count, 1);
    t->token = tw_alloc(t->ctx, (size_t)tw_max_i64(pieces->bytes_count, 1), sizeof(int32_t));
    t->start = tw_alloc(t->ctx, words, sizeof(int64_t));
    t->length = tw_alloc(t->ctx, words, sizeof(int64_t));
    if (!t->token || !t->start || !t->length)
        return tw_fail_memory(t->ctx, (size_t)pieces->bytes_count * sizeof(int32_t));
    for (int64_t i = 0; i < pieces->bytes_count; i++) t->token[i] = place_of[(uint8_t)pieces->bytes[i]];
    for (int32_t word = 0; word < pieces->count; word++) {
        t->start[word] = word ? pieces->end[word - 1] : 0;
        t->length[word] = pieces->end[word] - t->start[word];
        for (int64_t i = t->start[word]; i + 1 < pieces->end[word]; i++)
            TW_TRY(gain(t, t->token[i], t->token[i + 1], word));
    }
    TW_TRY(push_grown(t));
done:
    return status;
}

/* The pair becomes one symbol wherever it stands. Two pairs may spell the same symbol, which is one then. */
static tw_status merge_pair(training *t, int32_t number, tw_symbols *symbols, tw_merges *merges)
{
    tw_status status = TW_OK;
    tw_merge merge = t->key.item[number];
    size_t left, right;
    const char *first = tw_symbol_bytes(symbols, merge.left, &left);
    const char *second = tw_symbol_bytes(symbols, merge.right, &right);
    char *both = tw_alloc(t->ctx, left + right, 1);
    if (!both) return tw_fail_memory(t->ctx, left + right);
    memcpy(both, first, left);
    memcpy(both + left, second, right);
    TW_TRY(tw_symbols_take(t->ctx, symbols, both, left + right, &merge.result));
    TW_TRY(tw_merges_add(t->ctx, merges, merge));
    int64_t seen = t->pair[number].words;
    for (int64_t i = 0; i < seen; i++) TW_TRY(merge_in_word(t, merge, t->pair[number].word[i]));
    t->pair[number].times = 0;
    TW_TRY(push_grown(t));
done:
    tw_free(t->ctx, both);
    return status;
}

tw_status tw_bpe_train(tw_context *ctx, const tw_symbols *pieces, const int64_t *times, int64_t limit,
                       int64_t min_count, tw_symbols *symbols, tw_merges *merges)
{
    training t = {.ctx = ctx, .times = times};
    tw_status status = start(&t, pieces);
    while (status == TW_OK && symbols->count < limit && t.heap_count) {
        candidate c = heap_take(&t);
        int64_t now = t.pair[c.pair].times;
        if (now != c.times) {
            if (now > 0) status = push(&t, c.pair);
        } else if (now < tw_max_i64(min_count, 1)) {
            break;
        } else {
            status = merge_pair(&t, c.pair, symbols, merges);
        }
    }
    for (int64_t i = 0; i < t.key.count && i < t.pair_capacity; i++) tw_free(ctx, t.pair[i].word);
    tw_merges_free(ctx, &t.key);
    tw_free(ctx, t.pair);
    tw_free(ctx, t.heap);
    tw_free(ctx, t.grown);
    tw_free(ctx, t.token);
    tw_free(ctx, t.start);
    tw_free(ctx, t.length);
    return status;
}
