/* solve/implicit.c - steps whose stages are solutions of equations: k_i = f(t + c_i h, y + h sum_j a_ij k_j).
 *
 * Simplified Newton with the Jacobian at the start of the step (Hairer, Wanner: Solving ODEs II, IV.8), for all stages
 * at once where the table is full and one after another where it is triangular. Unknown are the derivatives themselves:
 * they are what the rest of the solver wants, and every correction has gone through the inverse matrix, which damps
 * what a stiff field makes of rounding. Rows leave the iteration one by one; only those left are evaluated. */
#include "solve/newton.h"

#include <math.h>
#include <string.h>

/* Sizes of corrections are measured in parts of the tolerance, or where there is none in parts of what doubles can
 * tell. A field computed in less than double stops improving before: that is accepted up to `noise`. */
typedef struct limits {
    double small, noise;
    int iterations;
} limits;

static const limits adaptive_limits = {.small = 0.01, .noise = 0.5, .iterations = 12};
static const limits fixed_limits = {.small = 1, .noise = 1e9, .iterations = 50};
static const double fixed_unit = 1e-14;

/* States of the stages of every row of the list. */
static void stage_states(tw_ode *ode, int first, int size)
{
    tw_newton *n = ode->newton;
    int64_t columns = ode->columns;
    for (int64_t i = 0; i < n->count; i++) {
        int64_t a = n->list[i];
        for (int s = 0; s < size; s++) {
            const tw_ode_terms *terms = &ode->stage[first + s];
            double *x = n->x + (i * size + s) * columns;
            n->t[i * size + s] = tw_ode_node(ode->t[a], ode->table->c[first + s], ode->h[a], ode->t_next[a]);
            for (int64_t c = 0; c < columns; c++) {
                double sum = 0;
                for (int j = 0; j < terms->count; j++)
                    sum += terms->weight[j] * ode->k[terms->stage[j]][a * columns + c];
                x[c] = ode->y[a * columns + c] + ode->h[a] * sum;
            }
        }
        ode->nfe[a] += size;
    }
}

/* right = f - k. */
static void residuals(tw_ode *ode, int first, int size)
{
    tw_newton *n = ode->newton;
    int64_t columns = ode->columns;
    for (int64_t i = 0; i < n->count; i++)
        for (int s = 0; s < size; s++) {
            const double *k = ode->k[first + s] + n->list[i] * columns;
            int64_t at = (i * size + s) * columns;
            for (int64_t c = 0; c < columns; c++) n->right[at + c] = n->dx[at + c] - k[c];
        }
}

/* Adds packed row i's corrections; their size. */
static double correct(tw_ode *ode, int64_t i, int first, int size)
{
    const tw_newton *n = ode->newton;
    const tw_ode_desc *d = &ode->desc;
    int64_t columns = ode->columns, a = n->list[i];
    const double *y = ode->y + a * columns;
    double sum = 0;
    for (int s = 0; s < size; s++) {
        const double *by = n->right + (i * size + s) * columns;
        double *k = ode->k[first + s] + a * columns;
        for (int64_t c = 0; c < columns; c++) {
            double unit = ode->adaptive ? d->atol + d->rtol * fabs(y[c]) : fixed_unit * (1 + fabs(y[c]));
            double r = c < ode->error_columns ? ode->h[a] * by[c] / unit : 0;
            k[c] += by[c];
            sum += r * r + 0 * by[c];
        }
    }
    return sqrt(sum / (size * ode->error_columns));
}

typedef enum verdict { OPEN, SOLVED, HOPELESS } verdict;

static verdict judge(const limits *l, int iteration, double size, double last)
{
    if (!isfinite(size)) return HOPELESS;
    if (size <= l->small) return SOLVED;
    if (iteration == 0) return OPEN;
    double rate = size / last;
    if (rate < 1 && rate / (1 - rate) * size <= l->small) return SOLVED;
    if (rate > 0.9 && size <= l->noise) return SOLVED;
    return rate > 2 ? HOPELESS : OPEN;
}

/* Solves the equations of stages first .. first + size - 1 for all rows that are well so far. */
static tw_status solve_stages(tw_ode *ode, int first, tw_stage_square square)
{
    tw_status status = TW_OK;
    tw_newton *n = ode->newton;
    const limits *l = ode->adaptive ? &adaptive_limits : &fixed_limits;
    size_t bytes = (size_t)(ode->active * ode->columns) * sizeof(double);
    for (int s = 0; s < square.size; s++) memcpy(ode->k[first + s], ode->k[ode->begin], bytes);
    n->count = 0;
    for (int64_t a = 0; a < ode->active; a++)
        if (ode->bad[a] != TW_ODE_NO_SOLUTION) n->list[n->count++] = a;
    for (int iteration = 0; iteration < l->iterations && n->count > 0; iteration++) {
        stage_states(ode, first, square.size);
        TW_TRY(tw_ode_call(ode, n->count * square.size, n->t, n->x, n->dx));
        residuals(ode, first, square.size);
        TW_TRY(tw_newton_solve(ode, square));
        int64_t open = 0;
        for (int64_t i = 0; i < n->count; i++) {
            int64_t a = n->list[i];
            double size = correct(ode, i, first, square.size);
            verdict v = judge(l, iteration, size, n->last[a]);
            n->last[a] = size;
            if (v == HOPELESS) ode->bad[a] = TW_ODE_NO_SOLUTION;
            if (v == OPEN) n->list[open++] = a;
        }
        n->count = open;
    }
    for (int64_t i = 0; i < n->count; i++) ode->bad[n->list[i]] = TW_ODE_NO_SOLUTION;
done:
    return status;
}

/* The error estimate without h, in ode->square: filtered, so that it stays small where the field is stiff. */
static tw_status estimate(tw_ode *ode, double factored)
{
    tw_status status = TW_OK;
    tw_newton *n = ode->newton;
    const tw_tableau *table = ode->table;
    int64_t count = ode->active * ode->columns;
    const double *start = ode->k[ode->begin];
    double filter = table->filter > 0 ? table->filter : factored;
    for (int64_t begin = 0; begin < count; begin += TW_ODE_TILE) {
        int size = (int)tw_min_i64(TW_ODE_TILE, count - begin);
        tw_ode_weigh(ode, &ode->error, begin, size, ode->square + begin);
        for (int i = 0; i < size; i++) ode->square[begin + i] -= table->filter * start[begin + i];
    }
    if (filter != factored) tw_newton_factor(ode, (tw_stage_square){1, &filter});
    n->count = ode->active;
    for (int64_t a = 0; a < ode->active; a++) n->list[a] = a;
    memcpy(n->right, ode->square, (size_t)count * sizeof(double));
    TW_TRY(tw_newton_solve(ode, (tw_stage_square){1, &filter}));
    memcpy(ode->square, n->right, (size_t)count * sizeof(double));
done:
    return status;
}

tw_status tw_ode_step_implicit(tw_ode *ode)
{
    tw_status status = TW_OK;
    const tw_tableau *table = ode->table;
    int group = ode->newton->group, columns = ode->columns;
    double factored = 0;
    memset(ode->bad, TW_ODE_WENT_WELL, (size_t)ode->active);
    TW_TRY(tw_newton_jacobian(ode));
    for (int s = 0; s < table->info.stages; s += group) {
        tw_stage_square square = {group, &table->a[s][s]};
        if (table->a[s][s] == 0) continue; /* the derivative at the start, which is known */
        if (square.a[0] != factored) tw_newton_factor(ode, square);
        factored = square.a[0];
        TW_TRY(solve_stages(ode, s, square));
    }
    if (ode->adaptive) TW_TRY(estimate(ode, group == 1 ? factored : 0));
    tw_ode_combine(ode, &ode->solution, ode->z);
    for (int64_t a = 0; a < ode->active; a++)
        for (int c = 0; c < columns && ode->bad[a] == TW_ODE_NO_SOLUTION; c++) ode->z[a * columns + c] = (double)NAN;
done:
    return status;
}
