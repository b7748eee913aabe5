/* coupling/assignment.c - the linear assignment problem: prices by auction, then exactness by shortest paths.
 *
 * Bertsekas: The auction algorithm (Annals of OR 14, 1988) with falling bids epsilon brings the column prices close to
 * their optimum; Dijkstra in reduced costs from every row without a column then finishes exactly (Jonker, Volgenant:
 * Computing 38, 1987). The textbook start of the latter leaves most rows free when 2-D points are clustered: 200 000
 * scans of a row at n = 1024, against 33 000 with prices from the auction. The auction's bids are bounded, as it only
 * has to be good: the answer does not depend on it. */
#include "coupling/assignment.h"

#include "base/order.h"
#include "coupling/scan.h"

#include <math.h>
#include <stdlib.h>

/* Sums of costs and bids must not overflow. */
#define MOST 1e280

/* How many auctions may follow when those down to the spread over n left long paths. */
enum { MOST_FINER = 4 };

typedef struct solver {
    int64_t n;
    const double *cost;
    const tw_scan_loops *scan;
    double *price;                 /* of columns */
    double *key, *final;           /* distances: of open columns, of finished ones */
    double *saved;                 /* prices of finished columns */
    int64_t *column_of, *row_of;   /* -1: free */
    int64_t *parent, *done, *free; /* parent rows; finished columns in order; rows without a column */
} solver;

/* Column minima as first prices, so that constants of columns do not count as differences between choices. */
static void reduce_columns(solver *s)
{
    for (int64_t j = 0; j < s->n; j++) s->price[j] = s->cost[j];
    for (int64_t i = 1; i < s->n; i++) {
        const double *row = s->cost + i * s->n;
        for (int64_t j = 0; j < s->n; j++) s->price[j] = row[j] < s->price[j] ? row[j] : s->price[j];
    }
}

/* By how much choices differ: the median over rows of median less least reduced cost, from at most 32 choices of 32
 * rows. The mean would let one far point set the scale. */
static double spread_of(const solver *s)
{
    enum { MOST_TAKEN = 32 };
    int64_t n = s->n, take = n < MOST_TAKEN ? n : MOST_TAKEN;
    double differences[MOST_TAKEN], sample[MOST_TAKEN], greatest = 0;
    for (int64_t r = 0; r < take; r++) {
        const double *row = s->cost + r * n / take * n;
        for (int64_t k = 0; k < take; k++) {
            int64_t j = k * n / take;
            sample[k] = row[j] - s->price[j];
        }
        qsort(sample, (size_t)take, sizeof *sample, tw_by_value);
        differences[r] = sample[take / 2] - sample[0];
        greatest = fmax(greatest, sample[take - 1] - sample[0]);
    }
    qsort(differences, (size_t)take, sizeof *differences, tw_by_value);
    return differences[take / 2] > 0 ? differences[take / 2] : greatest;
}

/* One auction at a fixed epsilon from an empty assignment: rows in turn take their best column and lower its price
 * until it is worth epsilon less than their second best. Returns the bids left of the budget, 0 when it ran out. */
static int64_t auction(solver *s, double epsilon, int64_t budget)
{
    int64_t n = s->n, head = 0, waiting = n;
    for (int64_t i = 0; i < n; i++) {
        s->column_of[i] = s->row_of[i] = -1;
        s->free[i] = i;
    }
    while (waiting > 0 && budget > 0) {
        int64_t i = s->free[head];
        head = head + 1 < n ? head + 1 : 0;
        waiting--;
        budget--;
        tw_least two = s->scan->two_least(n, s->cost + i * n, s->price);
        int64_t j = two.first, driven = s->row_of[j];
        s->price[j] -= two.next - two.least + epsilon;
        s->row_of[j] = i;
        s->column_of[i] = j;
        if (driven < 0) continue;
        int64_t tail = head + waiting++;
        s->column_of[driven] = -1;
        s->free[tail < n ? tail : tail - n] = driven;
    }
    return budget;
}

/* Auctions from half the spread down to the spread over n, five times finer each time. Leaves the last epsilon and how
 * many bids may still be made. */
static void price_columns(solver *s, double *epsilon, int64_t *budget)
{
    reduce_columns(s);
    double spread = spread_of(s), last = spread / (double)s->n;
    *epsilon = 0;
    *budget = 256 * s->n;
    if (!(spread > 0)) return; /* every row is indifferent: bids would never end */
    for (double next = 0.5 * spread; *budget > 0; next = fmax(0.2 * next, last)) {
        *budget = auction(s, next, *budget);
        *epsilon = next;
        if (next <= last) break;
    }
}

/* Keeps the pairs whose column is really the row's best at the prices; lists the other rows as free. */
static int64_t keep_tight_pairs(solver *s)
{
    int64_t free = 0;
    for (int64_t i = 0; i < s->n; i++) {
        const double *row = s->cost + i * s->n;
        int64_t j = s->column_of[i];
        if (j >= 0 && row[j] - s->price[j] <= s->scan->two_least(s->n, row, s->price).least) continue;
        if (j >= 0) s->row_of[j] = -1;
        s->column_of[i] = -1;
        s->free[free++] = i;
    }
    return free;
}

/* Shortest path in reduced costs from a free row to a free column; returns that column. Prices of finished columns come
 * back changed so that every reduced cost on the path is zero. */
static int64_t shortest_path(solver *s, int64_t from, int64_t *columns)
{
    int64_t n = s->n, done = 0, end;
    for (int64_t j = 0; j < n; j++) {
        s->key[j] = HUGE_VAL;
        s->parent[j] = from;
    }
    end = s->scan->relax(n, s->cost + from * n, s->price, 0, from, s->key, s->parent, s->row_of);
    while (s->row_of[end] >= 0) {
        int64_t j = end, i = s->row_of[j];
        double distance = s->key[j], offset = s->cost[i * n + j] - s->price[j] - distance;
        s->done[done] = j;
        s->final[done] = distance;
        s->saved[done++] = s->price[j];
        s->key[j] = HUGE_VAL;
        s->price[j] = -HUGE_VAL;
        end = s->scan->relax(n, s->cost + i * n, s->price, offset, i, s->key, s->parent, s->row_of);
    }
    *columns += done;
    for (int64_t k = 0; k < done; k++) s->price[s->done[k]] = s->saved[k] + (s->final[k] - s->key[end]);
    return end;
}

static void augment(solver *s, int64_t from, int64_t end)
{
    int64_t i;
    do {
        i = s->parent[end];
        s->row_of[end] = i;
        int64_t before = s->column_of[i];
        s->column_of[i] = end;
        end = before;
    } while (i != from);
}

static tw_status check_costs(tw_context *ctx, int64_t n, const double *cost)
{
    if (n < 0) return tw_fail(ctx, TW_ERR_INVALID, "an assignment of %lld rows", (long long)n);
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            if (!(fabs(cost[i * n + j]) <= MOST))
                return tw_fail(ctx, TW_ERR_NUMERIC, "the cost of row %lld with column %lld is %g, not a finite number",
                               (long long)i, (long long)j, cost[i * n + j]);
    }
    return TW_OK;
}

/* A column for every row without one. Gives up when `hasty` and paths are long: prices are then known too roughly for
 * differences that count, as within clusters far smaller than the distances between them. */
static bool finish(solver *s, bool hasty)
{
    enum { PILOT = 32, LONG = 24 };
    int64_t free = keep_tight_pairs(s), columns = 0;
    for (int64_t k = 0; k < free; k++) {
        int64_t end = shortest_path(s, s->free[k], &columns);
        augment(s, s->free[k], end);
        if (hasty && k + 1 >= PILOT && columns > LONG * (k + 1)) return false;
    }
    return true;
}

static void solve(solver *s)
{
    double epsilon = 0;
    int64_t budget = 0;
    for (int64_t i = 0; i < s->n; i++) s->column_of[i] = s->row_of[i] = -1;
    if (s->n > 1) price_columns(s, &epsilon, &budget);
    for (int finer = 0; !finish(s, finer < MOST_FINER && epsilon > 0 && budget > 0); finer++)
        budget = auction(s, epsilon *= 0.2, budget);
}

size_t tw_assignment_bytes(int64_t n)
{
    return (size_t)n * (4 * sizeof(double) + 5 * sizeof(int64_t));
}

void tw_assignment_run(int64_t n, const double *cost, void *work, int64_t *out_column, double *row_price,
                       double *column_price)
{
    solver s = {.n = n, .cost = cost, .scan = tw_scan_best()};
    double *numbers = work;
    int64_t *integers = (int64_t *)(numbers + 4 * n);
    s.price = numbers, s.key = numbers + n, s.final = numbers + 2 * n, s.saved = numbers + 3 * n;
    s.column_of = integers, s.row_of = integers + n, s.parent = integers + 2 * n;
    s.done = integers + 3 * n, s.free = integers + 4 * n;
    if (n > 0) solve(&s);
    for (int64_t i = 0; i < n; i++) {
        out_column[i] = s.column_of[i];
        if (row_price) row_price[i] = cost[i * n + s.column_of[i]] - s.price[s.column_of[i]];
        if (column_price) column_price[i] = s.price[i];
    }
}

tw_status tw_assignment_solve(tw_context *ctx, int64_t n, const double *cost, int64_t *out_column, double *row_price,
                              double *column_price)
{
    tw_status status = TW_OK;
    TW_TRY(check_costs(ctx, n, cost));
    void *work = tw_alloc_aligned(ctx, tw_assignment_bytes(n));
    if (!work) return tw_fail_memory(ctx, tw_assignment_bytes(n));
    tw_assignment_run(n, cost, work, out_column, row_price, column_price);
    tw_free_aligned(ctx, work);
done:
    return status;
}
