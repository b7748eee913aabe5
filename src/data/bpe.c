/* data/bpe.c - merges and their use: a piece is a list of tokens, the pairs that could be merged wait in a heap by rank
 * and place. A pair is looked at again when its turn comes, as its neighbours may have changed. */
#include "data/bpe.h"

#include <string.h>

enum { FIRST_SLOTS = 1024 };

typedef struct tw_bpe_link {
    int32_t token; /* -1: merged into the one before */
    int64_t previous, next;
} link;

typedef struct tw_bpe_candidate {
    int32_t rank, left, right;
    int64_t at;
} candidate;

/* --- the list of merges ------------------------------------------------------------------------------------------ */

static int64_t find_slot(const tw_merges *m, int32_t left, int32_t right)
{
    uint64_t key = ((uint64_t)(uint32_t)left << 32 | (uint32_t)right) * 0x9E3779B97F4A7C15u;
    int64_t at = (int64_t)((key ^ key >> 29) & (uint64_t)(m->slots - 1));
    for (; m->slot[at]; at = (at + 1) & (m->slots - 1))
        if (m->item[m->slot[at] - 1].left == left && m->item[m->slot[at] - 1].right == right) break;
    return at;
}

static tw_status grow_slots(tw_context *ctx, tw_merges *m)
{
    int64_t slots = m->slots ? 2 * m->slots : FIRST_SLOTS;
    int32_t *slot = tw_alloc(ctx, (size_t)slots, sizeof *slot);
    if (!slot) return tw_fail_memory(ctx, (size_t)slots * sizeof *slot);
    tw_free(ctx, m->slot);
    m->slot = slot;
    m->slots = slots;
    for (int64_t i = 0; i < m->count; i++) slot[find_slot(m, m->item[i].left, m->item[i].right)] = (int32_t)i + 1;
    return TW_OK;
}

tw_status tw_merges_add(tw_context *ctx, tw_merges *merges, tw_merge merge)
{
    tw_status status = TW_OK;
    if (2 * merges->count >= merges->slots) TW_TRY(grow_slots(ctx, merges));
    int64_t at = find_slot(merges, merge.left, merge.right);
    if (merges->slot[at]) return TW_OK;
    TW_TRY(tw_grow(ctx, &merges->item, &merges->capacity, merges->count + 1, sizeof(tw_merge)));
    merges->item[merges->count++] = merge;
    merges->slot[at] = (int32_t)merges->count;
done:
    return status;
}

int32_t tw_merges_find(const tw_merges *merges, int32_t left, int32_t right)
{
    return merges->slots ? merges->slot[find_slot(merges, left, right)] - 1 : -1;
}

void tw_merges_free(tw_context *ctx, tw_merges *merges)
{
    tw_free(ctx, merges->item);
    tw_free(ctx, merges->slot);
    *merges = (tw_merges){0};
}

uint8_t tw_gpt2_byte(int place, uint32_t *out_code)
{
    enum { PRINTABLE = 94 + 12 + 82 }; /* ! to ~, 0xA1 to 0xAC, 0xAE to 0xFF */
    int rest = place - PRINTABLE;
    int byte = place < 94            ? '!' + place
               : place < 106         ? 0xA1 + place - 94
               : place < PRINTABLE   ? 0xAE + place - 106
               : rest <= ' '         ? rest
               : rest < ' ' + 1 + 34 ? 0x7F + rest - ' ' - 1
                                     : 0xAD;
    *out_code = (uint32_t)(rest < 0 ? byte : 256 + rest);
    return (uint8_t)byte;
}

/* --- merging a piece --------------------------------------------------------------------------------------------- */

static bool before(const tw_bpe *work, const candidate *a, const candidate *b)
{
    (void)work;
    return a->rank != b->rank ? a->rank < b->rank : a->at < b->at;
}

#define HEAP_WORK tw_bpe
#define HEAP_ITEM candidate
#include "data/heap.inc"

/* Puts the pair that begins at a link into the heap, if it can be merged. There is room: see tw_bpe_merge. */
static void offer(tw_bpe *w, const tw_merges *merges, int64_t at)
{
    if (at < 0 || w->link[at].next < 0) return;
    candidate c = {.left = w->link[at].token, .right = w->link[w->link[at].next].token, .at = at};
    c.rank = tw_merges_find(merges, c.left, c.right);
    if (c.rank < 0) return;
    heap_insert(w, c);
}

tw_status tw_bpe_merge(tw_context *ctx, tw_bpe *work, const tw_merges *merges, int32_t *tokens, int64_t *count)
{
    tw_status status = TW_OK;
    int64_t n = *count;
    if (n < 2) return TW_OK;
    TW_TRY(tw_grow(ctx, &work->link, &work->link_capacity, n, sizeof(link)));
    /* n - 1 pairs at first, and each of at most n - 1 merges makes two new ones */
    TW_TRY(tw_grow(ctx, &work->heap, &work->heap_capacity, 3 * n, sizeof(candidate)));
    work->heap_count = 0;
    for (int64_t i = 0; i < n; i++) work->link[i] = (link){tokens[i], i - 1, i + 1 < n ? i + 1 : -1};
    for (int64_t i = 0; i < n; i++) offer(work, merges, i);
    while (work->heap_count) {
        candidate c = heap_take(work);
        link *here = &work->link[c.at];
        if (here->token != c.left || here->next < 0 || work->link[here->next].token != c.right) continue;
        link *gone = &work->link[here->next];
        here->token = merges->item[c.rank].result;
        here->next = gone->next;
        gone->token = -1;
        if (here->next >= 0) work->link[here->next].previous = c.at;
        offer(work, merges, here->previous);
        offer(work, merges, c.at);
    }
    *count = 0;
    for (int64_t i = 0; i >= 0; i = work->link[i].next) tokens[(*count)++] = work->link[i].token;
done:
    return status;
}

void tw_bpe_free(tw_context *ctx, tw_bpe *work)
{
    tw_free(ctx, work->link);
    tw_free(ctx, work->heap);
    *work = (tw_bpe){0};
}
