/* eval/boost_tree.c - growing a tree leaf by leaf, the most gainful split first: see boost_tree.h.
 *
 * A leaf holds its rows as a stretch of one list and, for each column and bin, the sums of their slopes. After a split
 * the smaller child's sums are counted and the larger child's are what is left of the parent's. Columns do not depend
 * on each other: a thread takes a column, so sums are added in the order of rows whatever the threads. */
#include "eval/boost_tree.h"

#include "base/pool.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const double smallest_hessian = 1e-3; /* of a child; below, its value would be a quotient of noise */
enum { CATEGORY_ROWS = 10, SMOOTHING = 10, ROWS_WORTH_THREADS = 4096 };

typedef struct bin_sum {
    double gradient, hessian;
    int64_t rows;
} bin_sum;

typedef struct split {
    double gain; /* 0: none */
    int column;
    tw_bin_set goes_left;
} split;

typedef struct leaf {
    int64_t begin, end; /* of the list */
    int node;
    bin_sum *sums; /* (columns, TW_BINS) */
    bin_sum all;
    split best;
} leaf;

struct tw_grower {
    tw_context *ctx;
    const tw_binning *bins;
    const uint8_t *codes;
    int64_t rows, count, fewest;
    int leaves, columns;
    double rate;
    const int64_t *row;
    /* list of places in `row`, cut into the stretches of leaves; of what goes right while it is parted */
    int32_t *list, *aside;
    tw_slope *slopes; /* of the rows of one leaf, in its order */
    const tw_slope *slope;
    bin_sum *sums; /* (leaves, columns, TW_BINS) */
    leaf *leaf;
    split *found; /* (2, columns): of the two children looked at */
    leaf *counted, *rest;
};

static int64_t row_of(const tw_grower *g, int32_t place)
{
    return g->row ? g->row[place] : place;
}

static bin_sum plus(bin_sum a, bin_sum b)
{
    return (bin_sum){a.gradient + b.gradient, a.hessian + b.hessian, a.rows + b.rows};
}

static bin_sum minus(bin_sum a, bin_sum b)
{
    return (bin_sum){a.gradient - b.gradient, a.hessian - b.hessian, a.rows - b.rows};
}

/* --- the best split of a leaf by one column ---------------------------------------------------------------------- */

/* What the loss falls by when a leaf takes its best value, but for a factor. */
static double worth(bin_sum s)
{
    return s.gradient * s.gradient / s.hessian;
}

/* Takes the split into `left` and the rest when it is better than what is known; `bins` bins of `order` (NULL: the
 * first ones) go left, and what is missing with `missing`. */
static void consider(const tw_grower *g, const leaf *l, bin_sum left, int bins, const uint8_t *order, bool missing,
                     split *best)
{
    bin_sum right = minus(l->all, left);
    if (left.rows < g->fewest || right.rows < g->fewest) return;
    if (left.hessian < smallest_hessian || right.hessian < smallest_hessian) return;
    double gain = worth(left) + worth(right) - worth(l->all);
    if (!(gain > best->gain)) return;
    best->gain = gain;
    best->goes_left = (tw_bin_set){{0}};
    for (int b = 0; b < bins; b++) {
        int bin = order ? order[b] : b;
        best->goes_left.word[bin >> 6] |= (uint64_t)1 << (bin & 63);
    }
    if (missing) best->goes_left.word[TW_BIN_MISSING >> 6] |= (uint64_t)1 << (TW_BIN_MISSING & 63);
}

static void split_numbers(const tw_grower *g, const leaf *l, int bins, const bin_sum *sums, split *best)
{
    bool gaps = sums[TW_BIN_MISSING].rows > 0;
    bin_sum left = {0};
    for (int b = 0; b < bins - !gaps; b++) {
        left = plus(left, sums[b]);
        consider(g, l, left, b + 1, NULL, false, best);
    }
    left = sums[TW_BIN_MISSING];
    for (int b = 0; gaps && b < bins - 1; b++) {
        left = plus(left, sums[b]);
        consider(g, l, left, b + 1, NULL, true, best);
    }
}

typedef struct graded {
    double slope;
    uint8_t bin;
} graded;

static int by_slope(const void *a, const void *b)
{
    const graded *x = a, *y = b;
    return x->slope != y->slope ? (x->slope > y->slope) - (x->slope < y->slope) : (x->bin > y->bin) - (x->bin < y->bin);
}

/* Of all ways to part categories the best is among those that cut them in the order of their mean slopes (Fisher, On
 * grouping for maximum homogeneity, 1958). Rare ones would be cut by chance and go right; what is missing is one of
 * them. */
static void split_categories(const tw_grower *g, const leaf *l, const bin_sum *sums, split *best)
{
    graded grade[TW_BINS];
    uint8_t order[TW_BINS];
    int count = 0;
    double rows_of_hessian = (double)l->all.rows / l->all.hessian;
    for (int b = 0; b < TW_BINS; b++)
        if (sums[b].rows > 0 && sums[b].hessian * rows_of_hessian >= CATEGORY_ROWS)
            grade[count++] = (graded){sums[b].gradient / (sums[b].hessian + SMOOTHING), (uint8_t)b};
    qsort(grade, (size_t)count, sizeof *grade, by_slope);
    for (int side = 0; side < 2; side++) {
        bin_sum left = {0};
        for (int k = 0; k < count; k++) order[k] = grade[side ? count - 1 - k : k].bin;
        for (int k = 0; k < (count + 1) / 2; k++) {
            left = plus(left, sums[order[k]]);
            consider(g, l, left, k + 1, order, false, best);
        }
    }
}

static split split_column(const tw_grower *g, const leaf *l, int column)
{
    split best = {.column = column};
    const bin_sum *sums = l->sums + column * TW_BINS;
    if (g->bins->column[column].levels)
        split_categories(g, l, sums, &best);
    else
        split_numbers(g, l, g->bins->column[column].bins, sums, &best);
    return best;
}

/* --- sums -----------------------------------------------------------------------------------------------------------
 */

/* One column: counts a child, leaves the rest to the other, looks for both their splits. */
static void count_column(void *user, int64_t item, int thread)
{
    tw_grower *g = user;
    const leaf *l = g->counted;
    bin_sum *sums = l->sums + item * TW_BINS;
    const uint8_t *codes = g->codes + item * g->rows;
    (void)thread;
    memset(sums, 0, TW_BINS * sizeof *sums);
    for (int64_t i = l->begin; i < l->end; i++) {
        bin_sum *s = &sums[codes[row_of(g, g->list[i])]];
        s->gradient += g->slopes[i - l->begin].gradient;
        s->hessian += g->slopes[i - l->begin].hessian;
        s->rows++;
    }
    g->found[item] = split_column(g, l, (int)item);
    if (!g->rest) return;
    bin_sum *others = g->rest->sums + item * TW_BINS;
    for (int b = 0; b < TW_BINS; b++) others[b] = minus(others[b], sums[b]);
    g->found[g->columns + item] = split_column(g, g->rest, (int)item);
}

static void choose(const tw_grower *g, const split *found, leaf *l)
{
    l->best = (split){0};
    for (int c = 0; c < g->columns; c++)
        if (found[c].gain > l->best.gain) l->best = found[c];
}

/* Counts the rows of one leaf and finds its split, and that of `rest`, which holds the sums of both (NULL: none). */
static void look(tw_grower *g, leaf *counted, leaf *rest)
{
    int64_t count = counted->end - counted->begin;
    counted->all = (bin_sum){.rows = count};
    for (int64_t i = 0; i < count; i++) {
        g->slopes[i] = g->slope[g->list[counted->begin + i]];
        counted->all.gradient += g->slopes[i].gradient;
        counted->all.hessian += g->slopes[i].hessian;
    }
    if (rest) rest->all = minus(rest->all, counted->all);
    g->counted = counted;
    g->rest = rest;
    tw_pool_run(count >= ROWS_WORTH_THREADS ? g->ctx->pool : NULL, g->columns, count_column, g);
    choose(g, g->found, counted);
    if (rest) choose(g, g->found + g->columns, rest);
}

/* --- growing --------------------------------------------------------------------------------------------------------
 */

/* Puts the rows that go left in front, both sides in their order; where the right side begins. */
static int64_t part(tw_grower *g, const leaf *l)
{
    const uint8_t *codes = g->codes + l->best.column * g->rows;
    int64_t left = l->begin, right = 0;
    for (int64_t i = l->begin; i < l->end; i++) {
        int32_t place = g->list[i];
        if (tw_bin_set_has(&l->best.goes_left, codes[row_of(g, place)]))
            g->list[left++] = place;
        else
            g->aside[right++] = place;
    }
    memcpy(g->list + left, g->aside, (size_t)right * sizeof *g->list);
    return left;
}

/* Splits a leaf into itself and a new one. */
static void split_leaf(tw_grower *g, leaf *l, leaf *fresh, tw_tree_node *node, int nodes)
{
    int64_t middle = part(g, l);
    node[l->node] = (tw_tree_node){.column = l->best.column, .left = nodes, .goes_left = l->best.goes_left};
    *fresh = (leaf){.begin = middle, .end = l->end, .node = nodes + 1, .sums = fresh->sums};
    l->end = middle;
    l->node = nodes;
    if (l->end - l->begin > fresh->end - fresh->begin) {
        look(g, fresh, l);
        return;
    }
    bin_sum *spare = fresh->sums; /* the parent's sums go to the larger child */
    fresh->sums = l->sums;
    fresh->all = l->all;
    l->sums = spare;
    look(g, l, fresh);
}

int tw_grower_grow(tw_grower *g, const tw_slope *slope, double *prediction, int stride, tw_tree_node *node)
{
    int leaves = 1, nodes = 1;
    size_t sums = (size_t)g->columns * TW_BINS;
    g->slope = slope;
    for (int64_t i = 0; i < g->count; i++) g->list[i] = (int32_t)i;
    for (int k = 0; k < g->leaves; k++) g->leaf[k].sums = g->sums + (size_t)k * sums;
    g->leaf[0] = (leaf){.end = g->count, .sums = g->leaf[0].sums};
    look(g, &g->leaf[0], NULL);
    while (leaves < g->leaves) {
        int best = 0;
        for (int k = 1; k < leaves; k++)
            if (g->leaf[k].best.gain > g->leaf[best].best.gain) best = k;
        if (!(g->leaf[best].best.gain > 0)) break;
        split_leaf(g, &g->leaf[best], &g->leaf[leaves], node, nodes);
        leaves++;
        nodes += 2;
    }
    for (int k = 0; k < leaves; k++) {
        const leaf *l = &g->leaf[k];
        double value = l->all.hessian > 0 ? -g->rate * l->all.gradient / l->all.hessian : 0;
        node[l->node] = (tw_tree_node){.column = -1, .value = value};
        for (int64_t i = l->begin; i < l->end; i++) prediction[g->list[i] * stride] += value;
    }
    return nodes;
}

tw_status tw_grower_make(tw_context *ctx, const tw_boost_desc *desc, const tw_binning *bins, int64_t rows,
                         const uint8_t *codes, int64_t count, const int64_t *row, tw_grower **out_grower)
{
    tw_grower *g = tw_alloc(ctx, 1, sizeof *g);
    if (!g) return tw_fail_memory(ctx, sizeof *g);
    size_t n = (size_t)count, columns = (size_t)bins->columns;
    *g = (tw_grower){.ctx = ctx, .bins = bins, .codes = codes, .rows = rows, .count = count, .row = row};
    g->columns = bins->columns;
    g->leaves = desc->leaves;
    g->fewest = desc->fewest;
    g->rate = desc->rate;
    g->list = tw_alloc(ctx, n, sizeof *g->list);
    g->aside = tw_alloc(ctx, n, sizeof *g->aside);
    g->slopes = tw_alloc(ctx, n, sizeof *g->slopes);
    g->sums = tw_alloc(ctx, (size_t)g->leaves * columns, TW_BINS * sizeof *g->sums);
    g->leaf = tw_alloc(ctx, (size_t)g->leaves, sizeof *g->leaf);
    g->found = tw_alloc(ctx, 2 * columns, sizeof *g->found);
    if (!g->list || !g->aside || !g->slopes || !g->sums || !g->leaf || !g->found) {
        size_t most = (size_t)g->leaves * columns * TW_BINS * sizeof *g->sums;
        tw_grower_destroy(g);
        return tw_fail_memory(ctx, most);
    }
    *out_grower = g;
    return TW_OK;
}

void tw_grower_destroy(tw_grower *g)
{
    if (!g) return;
    tw_context *ctx = g->ctx;
    tw_free(ctx, g->list);
    tw_free(ctx, g->aside);
    tw_free(ctx, g->slopes);
    tw_free(ctx, g->sums);
    tw_free(ctx, g->leaf);
    tw_free(ctx, g->found);
    tw_free(ctx, g);
}
