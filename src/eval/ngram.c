/* eval/ngram.c - sequences told by counting: an interpolated n-gram model, what a learned one must beat (Witten, Bell
 * 1991, The zero-frequency problem; Chen, Goodman 1999, An empirical study of smoothing techniques, eq. 2.11).
 *
 *   p(w | h) = (c(h w) + T(h) p(w | h')) / (c(h) + T(h))
 *
 * for the n - 1 tokens h before w, of which h' lacks the first: c counts, T(h) is how many different tokens came after
 * h, and where nothing is left of h stands 1 / K. Counts are kept by a hash of 64 bits of what was counted: two of ten
 * million have the same one with probability 3e-6. */
#include "base/base.h"

#include <thalweg/eval.h>

#include <math.h>
#include <string.h>

enum { MOST_ORDER = 16 };

/* Of a context how often it came and with how many tokens behind it; of a context and a token how often. */
typedef struct tally {
    uint64_t key; /* 0: free */
    uint32_t count, kinds;
} tally;

struct tw_ngram {
    tw_context *ctx;
    int order, symbols;
    tally *slot; /* `slots`, a power of two */
    int64_t slots, used;
};

/* The finaliser of MurmurHash3 (Appleby). */
static uint64_t mix(uint64_t h)
{
    h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
    h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53;
    return h ^ h >> 33;
}

static uint64_t key_with(uint64_t key, int64_t token)
{
    return mix(key + (uint64_t)token + 0x9e3779b97f4a7c15);
}

/* The slot of a key: its own, or a free one. */
static tally *find(const tw_ngram *m, uint64_t key)
{
    uint64_t mask = (uint64_t)m->slots - 1, at = (key | 1) & mask;
    while (m->slot[at].key && m->slot[at].key != (key | 1)) at = (at + 1) & mask;
    return &m->slot[at];
}

static tw_status grow(tw_ngram *m)
{
    tw_ngram larger = *m;
    larger.slots = m->slots ? 2 * m->slots : 1 << 12;
    larger.slot = tw_alloc(m->ctx, (size_t)larger.slots, sizeof(tally));
    if (!larger.slot) return tw_fail_memory(m->ctx, (size_t)larger.slots * sizeof(tally));
    for (int64_t i = 0; i < m->slots; i++)
        if (m->slot[i].key) *find(&larger, m->slot[i].key) = m->slot[i];
    tw_free(m->ctx, m->slot);
    *m = larger;
    return TW_OK;
}

/* Counts one more of a key; *out_new: the first. */
static tw_status add(tw_ngram *m, uint64_t key, bool *out_new)
{
    if (2 * m->used >= m->slots) {
        tw_status status = grow(m);
        if (status != TW_OK) return status;
    }
    tally *t = find(m, key);
    *out_new = t->key == 0;
    m->used += t->key == 0;
    t->key = key | 1;
    t->count++;
    return TW_OK;
}

/* Keys of the contexts of place i by their length, out[0] that of none; returns how many there are. */
static int contexts(const tw_ngram *m, const double *row, int i, uint64_t out[MOST_ORDER])
{
    int most = i < m->order - 1 ? i : m->order - 1;
    out[0] = mix(1);
    for (int n = 1; n <= most; n++) out[n] = key_with(out[n - 1], (int64_t)row[i - n]);
    return most + 1;
}

static uint64_t with_next(uint64_t context, double token)
{
    return key_with(~context, (int64_t)token);
}

static tw_status count_row(tw_ngram *m, int columns, const double *row)
{
    uint64_t context[MOST_ORDER];
    bool new_token, new_context;
    for (int i = 0; i < columns; i++)
        for (int n = contexts(m, row, i, context) - 1; n >= 0; n--) {
            tw_status status = add(m, with_next(context[n], row[i]), &new_token);
            if (status == TW_OK) status = add(m, context[n], &new_context);
            if (status != TW_OK) return status;
            find(m, context[n])->kinds += new_token;
        }
    return TW_OK;
}

tw_status tw_ngram_create(tw_context *ctx, int order, int symbols, int64_t rows, int columns, const double *tokens,
                          tw_ngram **out_ngram)
{
    tw_status status = TW_OK;
    if (order < 1 || order > MOST_ORDER || symbols < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "n-grams of order %d of %d symbols: expected orders 1 to %d", order,
                       symbols, MOST_ORDER);
    tw_ngram *m = tw_alloc(ctx, 1, sizeof(*m));
    if (!m) return tw_fail_memory(ctx, sizeof(*m));
    *m = (tw_ngram){.ctx = ctx, .order = order, .symbols = symbols};
    TW_TRY(grow(m));
    for (int64_t r = 0; r < rows; r++) TW_TRY(count_row(m, columns, tokens + r * columns));
    *out_ngram = m;
    m = NULL;
done:
    tw_ngram_destroy(m);
    return status;
}

void tw_ngram_destroy(tw_ngram *ngram)
{
    if (!ngram) return;
    tw_free(ngram->ctx, ngram->slot);
    tw_free(ngram->ctx, ngram);
}

double tw_ngram_nll(const tw_ngram *ngram, int columns, const double *row)
{
    uint64_t context[MOST_ORDER];
    double sum = 0;
    for (int i = 0; i < columns; i++) {
        double p = 1.0 / ngram->symbols;
        int count = contexts(ngram, row, i, context);
        for (int n = 0; n < count; n++) {
            const tally *h = find(ngram, context[n]), *hw = find(ngram, with_next(context[n], row[i]));
            if (h->count > 0) p = (hw->count + h->kinds * p) / ((double)h->count + h->kinds);
        }
        sum -= log(p);
    }
    return sum;
}
