/* coupling/network_simplex.c - the primal simplex method on spanning trees (Dantzig 1951; Cunningham 1976; Orlin 1997).
 *
 * Basic moves form a tree over rows and columns. Its first form comes from giving every row's mass to the cheapest
 * columns that are open; pivots bring in the cheapest of a group of rows that does not pay its price (block search, a
 * row of costs at a time in vectors) and take out the last blocking arc of the cycle seen from its apex, which keeps
 * the tree strongly feasible (every arc without flow leads up), so that degenerate pivots cannot go round for ever.
 *
 * Mass always moves from a row to a column: the arc between a node and its parent leads up when the node is a row and
 * down when it is a column, and needs no sign. Masses are whole numbers, so flows are exact. Strong feasibility of the
 * first tree is had by computing with masses + epsilon for every node but the root, epsilon counted apart, and the
 * root, a column, taking what is left when all other columns are full. */
#include "coupling/network_simplex.h"

#include "coupling/couple.h"
#include "coupling/scan.h"

#include <math.h>

/* Reduced costs above -TIGHT * the greatest cost are roundings of prices, which are sums along the tree. */
#define TIGHT 0x1p-49
/* More than any cost: the root's when rows look for a column. */
#define LAST 1e290

typedef struct simplex {
    const tw_transport *t;
    const tw_scan_loops *scan;
    int32_t n, nodes, root; /* columns are nodes n, n + 1, ... */
    /* the tree: parent (-1: none), depth, and the children of a node in a list */
    int32_t *parent, *depth, *child, *next, *before, *stack;
    int64_t *flow;         /* on the arc to the parent */
    double *arc_cost;      /* of it */
    double *price;         /* of rows, then of columns; minus infinity for columns outside the tree */
    double *row;           /* one row of costs, when they are not all there */
    int64_t *mass, *units; /* of the first tree: what a node has left */
    double scale;
} simplex;

static const double *row_of(const simplex *s, int64_t i)
{
    if (s->t->cost) return s->t->cost + i * s->t->m;
    s->t->row(s->t->user, i, s->row);
    return s->row;
}

/* ---- the tree ---- */

static void hang(simplex *s, int32_t node, int32_t parent)
{
    s->parent[node] = parent;
    s->before[node] = -1;
    s->next[node] = s->child[parent];
    if (s->next[node] >= 0) s->before[s->next[node]] = node;
    s->child[parent] = node;
}

static void unhang(simplex *s, int32_t node)
{
    int32_t before = s->before[node], next = s->next[node];
    if (before >= 0)
        s->next[before] = next;
    else
        s->child[s->parent[node]] = next;
    if (next >= 0) s->before[next] = before;
}

/* Depth and price of all nodes below `top`, whose own are right, from the costs of the arcs. */
static void price_below(simplex *s, int32_t top)
{
    int32_t count = 0;
    s->stack[count++] = top;
    while (count > 0) {
        int32_t node = s->stack[--count];
        for (int32_t c = s->child[node]; c >= 0; c = s->next[c]) {
            s->depth[c] = s->depth[node] + 1;
            s->price[c] = s->arc_cost[c] - s->price[node];
            s->stack[count++] = c;
        }
    }
}

/* Prices of a subtree after its top's changed by `change`: those of the top's side by as much, the others' by minus
 * that. Sums of their own would differ by roundings from those of arcs and costs; price_below repairs that now and
 * then.
 */
static void shift_below(simplex *s, int32_t top, double change)
{
    bool top_is_row = top < s->n;
    int32_t count = 0;
    s->stack[count++] = top;
    while (count > 0) {
        int32_t node = s->stack[--count];
        s->depth[node] = s->depth[s->parent[node]] + 1;
        s->price[node] += (node < s->n) == top_is_row ? change : -change;
        for (int32_t c = s->child[node]; c >= 0; c = s->next[c]) s->stack[count++] = c;
    }
}

/* ---- the first tree ---- */

/* What is moved between row i and column j: everything the one with less has left. That one is done, and becomes a
 * child of the other. Returns whether it was the row. */
static bool move_all(simplex *s, int32_t i, int32_t j, double cost)
{
    int64_t *mass = s->mass, *units = s->units;
    bool row_ends = j == s->root || mass[i] < mass[j] || (mass[i] == mass[j] && units[i] < units[j]);
    int32_t ends = row_ends ? i : j, stays = row_ends ? j : i;
    s->flow[ends] = mass[ends];
    s->arc_cost[ends] = cost;
    mass[stays] -= mass[ends];
    units[stays] -= units[ends];
    hang(s, ends, stays);
    return row_ends;
}

static void plant(simplex *s)
{
    const tw_transport *t = s->t;
    double *open = s->price + s->n; /* 0; minus infinity: full */
    s->root = -1;
    for (int32_t v = 0; v < s->nodes; v++) {
        s->mass[v] = v < s->n ? t->supply[v] : t->demand[v - s->n];
        s->units[v] = v < s->n ? 1 : -1;
        s->child[v] = s->parent[v] = -1;
        if (v >= s->n && s->mass[v] > 0) s->root = v;
        if (v >= s->n) open[v - s->n] = s->mass[v] > 0 ? 0 : -HUGE_VAL;
    }
    if (s->root < 0) return;
    open[s->root - s->n] = -LAST;
    for (int32_t i = 0; i < s->n; i++) {
        const double *row = row_of(s, i);
        for (bool row_ends = false; !row_ends;) {
            int32_t j = s->n + (int32_t)s->scan->two_least(t->m, row, open).first;
            row_ends = move_all(s, i, j, row[j - s->n]);
            if (!row_ends) open[j - s->n] = -HUGE_VAL;
        }
    }
    for (int32_t v = s->n; v < s->nodes; v++) s->price[v] = s->parent[v] < 0 ? -HUGE_VAL : 0;
    s->price[s->root] = 0;
    s->depth[s->root] = 0;
    price_below(s, s->root);
}

/* ---- pivots ---- */

typedef struct arc {
    int32_t row, column;
    double cost, reduced;
} arc;

/* The cheapest arc of row *at, or of the next one that has any below its price; false when no row has. */
static bool price_rows(simplex *s, int32_t *at, arc *out)
{
    const double *price = s->price + s->n;
    for (int32_t seen = 0; seen < s->n; seen++) {
        int32_t i = *at, j = 0;
        const double *row = row_of(s, i);
        double least = s->scan->least(s->t->m, row, price);
        if (least - s->price[i] < -TIGHT * s->scale) {
            while (row[j] - price[j] != least) j++;
            *out = (arc){i, s->n + j, row[j], least - s->price[i]};
            return true;
        }
        *at = i + 1 < s->n ? i + 1 : 0;
    }
    return false;
}

/* The arc that leaves when mass goes round by the entering one: its child node, and how much mass. Going up from the
 * row, arcs of rows carry less; going up from the column, those of columns. The last of equals on the way from the apex
 * down to the row, over and up from the column. */
static int32_t find_leaving(const simplex *s, const arc *enters, int32_t *out_apex, int64_t *out_mass)
{
    int32_t a = enters->row, b = enters->column, below_row = -1, below_column = -1;
    int64_t least_row = INT64_MAX, least_column = INT64_MAX;
    while (a != b) {
        if (s->depth[a] >= s->depth[b]) {
            if (a < s->n && s->flow[a] < least_row) least_row = s->flow[a], below_row = a;
            a = s->parent[a];
        } else {
            if (b >= s->n && s->flow[b] <= least_column) least_column = s->flow[b], below_column = b;
            b = s->parent[b];
        }
    }
    *out_apex = a;
    *out_mass = tw_min_i64(least_row, least_column);
    return least_column <= least_row ? below_column : below_row;
}

static void push(simplex *s, const arc *enters, int32_t apex, int64_t mass)
{
    for (int32_t v = enters->row; v != apex; v = s->parent[v]) s->flow[v] += v < s->n ? -mass : mass;
    for (int32_t v = enters->column; v != apex; v = s->parent[v]) s->flow[v] += v < s->n ? mass : -mass;
}

/* Hangs the part below the leaving arc onto the entering one, by its end `inner` in that part. */
static void rehang(simplex *s, int32_t inner, int32_t outer, int32_t leaving, double cost, int64_t mass)
{
    int32_t node = inner, parent = outer;
    for (;;) {
        int32_t above = s->parent[node];
        int64_t flow = s->flow[node];
        double arc_cost = s->arc_cost[node];
        unhang(s, node);
        hang(s, node, parent);
        s->flow[node] = mass;
        s->arc_cost[node] = cost;
        if (node == leaving) return;
        parent = node, node = above, mass = flow, cost = arc_cost;
    }
}

static void pivot(simplex *s, const arc *enters)
{
    int32_t apex;
    int64_t mass;
    int32_t leaving = find_leaving(s, enters, &apex, &mass);
    if (mass > 0) push(s, enters, apex, mass);
    int32_t v = enters->row;
    while (v != apex && v != leaving) v = s->parent[v];
    bool row_side = v == leaving && v != apex;
    int32_t inner = row_side ? enters->row : enters->column, outer = row_side ? enters->column : enters->row;
    rehang(s, inner, outer, leaving, enters->cost, mass);
    shift_below(s, inner, enters->reduced);
}

/* Pivots until no arc is below its price even with prices made afresh. */
static void improve(simplex *s)
{
    int32_t at = 0, fresh = 0;
    for (arc enters;;) {
        if (!price_rows(s, &at, &enters)) {
            if (fresh == 0) return;
            price_below(s, s->root);
            fresh = 0;
            continue;
        }
        pivot(s, &enters);
        if (++fresh < s->nodes) continue;
        price_below(s, s->root);
        fresh = 0;
    }
}

/* ---- around it ---- */

size_t tw_transport_bytes(int64_t n, int64_t m)
{
    return (size_t)(n + m) * (6 * sizeof(int32_t) + 5 * sizeof(int64_t)) + (size_t)m * sizeof(double) + 13 * 64;
}

static simplex place(const tw_transport *t, void *work)
{
    simplex s = {.t = t, .scan = tw_scan_best(), .n = (int32_t)t->n, .nodes = (int32_t)(t->n + t->m)};
    char *at = work;
    size_t nodes = (size_t)s.nodes, ints = nodes * sizeof(int32_t), longs = nodes * sizeof(int64_t);
    int32_t **lists[] = {&s.parent, &s.depth, &s.child, &s.next, &s.before, &s.stack};
    for (int k = 0; k < TW_COUNT(lists); k++) *lists[k] = tw_work_take(&at, ints);
    s.flow = tw_work_take(&at, longs);
    s.mass = tw_work_take(&at, longs);
    s.units = tw_work_take(&at, longs);
    s.arc_cost = tw_work_take(&at, longs);
    s.price = tw_work_take(&at, longs);
    s.row = tw_work_take(&at, (size_t)t->m * sizeof(double));
    for (int64_t i = 0; i < t->n; i++) {
        const double *row = row_of(&s, i);
        for (int64_t j = 0; j < t->m; j++) s.scale = fmax(s.scale, fabs(row[j]));
    }
    return s;
}

/* Prices of columns without mass: as much as they may be. */
static void price_empty_columns(const simplex *s, double *row_price, double *column_price)
{
    for (int64_t j = 0; j < s->t->m; j++) column_price[j] = HUGE_VAL;
    for (int64_t i = 0; i < s->t->n; i++) {
        const double *row = row_of(s, i);
        for (int64_t j = 0; j < s->t->m; j++) column_price[j] = fmin(column_price[j], row[j] - row_price[i]);
    }
    for (int64_t j = 0; j < s->t->m; j++)
        if (s->root >= 0 && !isinf(s->price[s->n + j])) column_price[j] = s->price[s->n + j];
}

int64_t tw_transport_run(const tw_transport *t, void *work, tw_move *moves, double *row_price, double *column_price)
{
    simplex s = place(t, work);
    int64_t count = 0;
    plant(&s);
    if (s.root >= 0) improve(&s);
    for (int32_t v = 0; v < s.nodes; v++) {
        int32_t parent = s.parent[v];
        if (parent < 0 || s.flow[v] == 0) continue;
        moves[count++] = (tw_move){v < s.n ? v : parent, (v < s.n ? parent : v) - s.n, s.flow[v]};
    }
    if (!row_price) return count;
    for (int64_t i = 0; i < t->n; i++) row_price[i] = s.root < 0 ? 0 : s.price[i];
    price_empty_columns(&s, row_price, column_price);
    return count;
}

static tw_status check(tw_context *ctx, const tw_transport *t, double *row)
{
    int64_t sums[2] = {0, 0};
    for (int side = 0; side < 2; side++)
        for (int64_t i = 0; i < (side == 0 ? t->n : t->m); i++) {
            int64_t mass = side == 0 ? t->supply[i] : t->demand[i];
            if (mass < 0 || __builtin_add_overflow(sums[side], mass, &sums[side]) || sums[side] > INT64_MAX / 2)
                return tw_fail(ctx, TW_ERR_INVALID,
                               "%s %lld of a transport is %lld: masses are at least 0, and below 2^62 together",
                               side == 0 ? "supply" : "demand", (long long)i, (long long)mass);
        }
    if (sums[0] != sums[1])
        return tw_fail(ctx, TW_ERR_INVALID, "a transport of %lld to %lld: the masses must be equal", (long long)sums[0],
                       (long long)sums[1]);
    for (int64_t i = 0; i < t->n; i++) {
        if (!t->cost) t->row(t->user, i, row);
        for (int64_t j = 0; j < t->m; j++) {
            double cost = t->cost ? t->cost[i * t->m + j] : row[j];
            if (!(fabs(cost) <= 1e280))
                return tw_fail(ctx, TW_ERR_NUMERIC, "the cost of row %lld with column %lld is %g, not a finite number",
                               (long long)i, (long long)j, cost);
        }
    }
    return TW_OK;
}

tw_status tw_transport_solve(tw_context *ctx, const tw_transport *t, tw_move *moves, double *row_price,
                             double *column_price, int64_t *out_count)
{
    tw_status status = TW_OK;
    if (t->n < 1 || t->m < 1 || t->n > INT32_MAX / 2 || t->m > INT32_MAX / 2)
        return tw_fail(ctx, TW_ERR_INVALID, "a transport of %lld rows to %lld columns", (long long)t->n,
                       (long long)t->m);
    size_t bytes = tw_transport_bytes(t->n, t->m);
    void *work = tw_alloc_aligned(ctx, bytes);
    if (!work) return tw_fail_memory(ctx, bytes);
    TW_TRY(check(ctx, t, work));
    *out_count = tw_transport_run(t, work, moves, row_price, column_price);
done:
    tw_free_aligned(ctx, work);
    return status;
}

tw_status tw_transport_masses(tw_context *ctx, int64_t n, const double *mass, int64_t total, int64_t *out)
{
    double sum = 0, reached = 0;
    int64_t given = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!(mass[i] >= 0) || isinf(mass[i]))
            return tw_fail(ctx, TW_ERR_NUMERIC, "mass %lld is %g: expected finite numbers of at least 0", (long long)i,
                           mass[i]);
        sum += mass[i];
    }
    if (!(sum > 0) || isinf(sum)) return tw_fail(ctx, TW_ERR_NUMERIC, "the masses add up to %g", sum);
    for (int64_t i = 0; i < n; i++) { /* differences of rounded running sums: what is missing never piles up */
        reached += mass[i];
        int64_t until = i == n - 1 ? total : tw_min_i64(total, llround(reached / sum * (double)total));
        out[i] = until - given;
        given = until;
    }
    return TW_OK;
}
