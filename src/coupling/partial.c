/* coupling/partial.c - the cheapest pairs of a part of the batch, exactly (Chapel, Alaya, Gasso: Partial optimal
 * transport with applications on positive-unlabeled learning, NeurIPS 2020).
 *
 * Of n points k = round(mass n) a side are paired. A further source and a further data point take the n - k that are
 * left on either side for nothing, but not each other: transport of whole masses, whose real moves are the k pairs. */
#include "coupling/assignment.h"
#include "coupling/couple.h"
#include "coupling/network_simplex.h"

#include <math.h>
#include <string.h>

size_t tw_couple_partial_bytes(int64_t n)
{
    size_t rows = (size_t)n + 1, work = tw_transport_bytes(n + 1, n + 1), whole = tw_assignment_bytes(n);
    return (work > whole ? work : whole) + 2 * rows * sizeof(tw_move) + 2 * rows * sizeof(int64_t) + 4 * 64;
}

typedef struct wider {
    int64_t n;
    const double *cost;
    double forbidden;
} wider;

static void give_row(void *user, int64_t i, double *row)
{
    const wider *w = user;
    if (i < w->n)
        memcpy(row, w->cost + i * w->n, (size_t)w->n * sizeof *row);
    else
        memset(row, 0, (size_t)w->n * sizeof *row);
    row[w->n] = i < w->n ? 0 : w->forbidden;
}

/* The k cheapest pairs that share no point, at the front of `source` and `data`. */
static void choose(const tw_block *block, int64_t k)
{
    int64_t n = block->n, *masses, found = 0;
    char *at = block->work;
    tw_move *moves = tw_work_take(&at, (size_t)(2 * n + 2) * sizeof *moves);
    masses = tw_work_take(&at, (size_t)(n + 1) * sizeof *masses);
    wider w = {.n = n, .cost = block->cost};
    tw_transport t = {.n = n + 1, .m = n + 1, .supply = masses, .demand = masses, .row = give_row, .user = &w};
    double most = 0;
    for (int64_t i = 0; i < n * n; i++) most = fmax(most, fabs(block->cost[i]));
    w.forbidden = most > 0 ? 2 * most : 1;
    for (int64_t i = 0; i < n; i++) masses[i] = 1;
    masses[n] = n - k;
    int64_t count = tw_transport_run(&t, at, moves, NULL, NULL);
    for (int64_t m = 0; m < count; m++) {
        if (moves[m].row == n || moves[m].column == n) continue;
        block->data[found] = moves[m].row;
        block->source[found++] = moves[m].column;
    }
}

/* n pairs of the k chosen ones, each floor(n/k) or ceil(n/k) times; which of both is drawn (systematic sampling). From
 * the last to the first, so that a pair is not overwritten before it was read: pair p comes from a place at most p. */
static void repeat(const tw_block *block, int64_t k)
{
    double first = tw_random_uniform(block->random);
    for (int64_t p = block->n - 1; p >= 0; p--) {
        int64_t from = tw_min_i64((int64_t)(((double)p + first) / (double)block->n * (double)k), k - 1);
        block->source[p] = block->source[from];
        block->data[p] = block->data[from];
    }
}

tw_status tw_couple_partial(const tw_block *block)
{
    int64_t n = block->n, k = tw_max_i64(1, llround(block->desc->mass * (double)n));
    if (k == n) {
        tw_assignment_run(n, block->cost, block->work, block->source, NULL, NULL);
        return TW_OK;
    }
    choose(block, k);
    repeat(block, k);
    return TW_OK;
}
