/* data/levels.c - see levels.h. FNV-1a with linear probing: columns have few levels, rows are many. */
#include "data/levels.h"

#include "base/text.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_SLOTS = 64 };

static uint64_t hash_of(const char *text)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (; *text; text++) h = (h ^ (unsigned char)*text) * 0x100000001b3u;
    return h;
}

/* The slot that holds the text, or the free one where it belongs. */
static int64_t find_slot(const tw_levels *levels, const char *text)
{
    int64_t at = (int64_t)(hash_of(text) & (uint64_t)(levels->slots - 1));
    while (levels->slot[at] && strcmp(levels->item[levels->slot[at] - 1], text) != 0) at = (at + 1) % levels->slots;
    return at;
}

static tw_status grow(tw_context *ctx, tw_levels *levels)
{
    int64_t slots = levels->slots ? 2 * levels->slots : FIRST_SLOTS;
    int32_t *slot = tw_alloc(ctx, (size_t)slots, sizeof *slot);
    if (!slot) return tw_fail_memory(ctx, (size_t)slots * sizeof *slot);
    tw_free(ctx, levels->slot);
    levels->slot = slot;
    levels->slots = slots;
    for (int64_t i = 0; i < levels->count; i++) slot[find_slot(levels, levels->item[i])] = (int32_t)i + 1;
    return TW_OK;
}

tw_status tw_levels_take(tw_context *ctx, tw_levels *levels, const char *text, int *out_number)
{
    tw_status status = TW_OK;
    if (2 * levels->count >= levels->slots) TW_TRY(grow(ctx, levels));
    int64_t at = find_slot(levels, text);
    *out_number = levels->slot[at] - 1;
    if (levels->slot[at] || levels->count == TW_LEVELS_MAX) return TW_OK;
    TW_TRY(tw_grow(ctx, &levels->item, &levels->capacity, levels->count + 1, sizeof(char *)));
    char *copy = tw_strdup(ctx, text);
    if (!copy) return tw_fail_memory(ctx, strlen(text) + 1);
    *out_number = (int)levels->count;
    levels->item[levels->count++] = copy;
    levels->slot[at] = (int32_t)levels->count;
done:
    return status;
}

typedef struct place {
    char *text;
    int number;
} place;

static int compare_places(const void *a, const void *b)
{
    const place *x = a, *y = b;
    double p, q;
    bool first = tw_parse_double(x->text, strlen(x->text), &p), second = tw_parse_double(y->text, strlen(y->text), &q);
    if (first && second && p != q) return p < q ? -1 : 1;
    if (first != second) return first ? -1 : 1;
    return strcmp(x->text, y->text);
}

tw_status tw_levels_sort(tw_context *ctx, tw_levels *levels, int *out_new)
{
    place *order = tw_alloc(ctx, (size_t)tw_max_i64(levels->count, 1), sizeof *order);
    if (!order) return tw_fail_memory(ctx, (size_t)levels->count * sizeof *order);
    for (int i = 0; i < (int)levels->count; i++) order[i] = (place){levels->item[i], i};
    qsort(order, (size_t)levels->count, sizeof *order, compare_places);
    for (int i = 0; i < (int)levels->count; i++) {
        levels->item[i] = order[i].text;
        out_new[order[i].number] = i;
    }
    tw_free(ctx, order);
    if (levels->slot) memset(levels->slot, 0, (size_t)levels->slots * sizeof *levels->slot);
    for (int64_t i = 0; i < levels->count; i++) levels->slot[find_slot(levels, levels->item[i])] = (int32_t)i + 1;
    return TW_OK;
}

void tw_levels_free(tw_context *ctx, tw_levels *levels)
{
    for (int64_t i = 0; i < levels->count; i++) tw_free(ctx, levels->item[i]);
    tw_free(ctx, levels->item);
    tw_free(ctx, levels->slot);
    *levels = (tw_levels){0};
}
