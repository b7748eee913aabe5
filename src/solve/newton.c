/* solve/newton.c - Jacobians of rows, by the caller's products with vectors or by differences, and linear systems by
 * LU. Few unknowns are factored densely, row by row; many go to GMRES (solve/gmres.c), which needs products only. */
#include "solve/newton.h"

#include "cpu/linalg.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { DENSE_UNKNOWNS = 64, STANDARD_VECTORS = 30 };

static void lay_out(const tw_ode *ode, tw_newton *n, tw_layout *l)
{
    const size_t real = sizeof(double);
    int64_t block = ode->block, columns = ode->columns, unknowns = n->unknowns, vectors = n->vectors;
    int64_t dense = vectors ? 0 : block;
    n->list = tw_layout_take(l, block, 1, sizeof(int64_t));
    n->t = tw_layout_take(l, block, n->group, real);
    n->x = tw_layout_take(l, block, unknowns, real);
    n->dx = tw_layout_take(l, block, unknowns, real);
    n->base = tw_layout_take(l, ode->desc.jvp ? 0 : block, columns, real);
    n->right = tw_layout_take(l, block, unknowns, real);
    n->last = tw_layout_take(l, block, 1, real);
    n->jacobian = tw_layout_take(l, dense, columns * columns, real);
    n->factor = tw_layout_take(l, dense, (unknowns + 1) * unknowns, real);
    n->matrix = tw_layout_take(l, dense ? unknowns : 0, unknowns, real);
    n->turned = tw_layout_take(l, unknowns, 1, real);
    n->scratch = tw_layout_take(l, dense ? 1 : 0, (int64_t)tw_lu_scratch(unknowns, real), 1);
    block = vectors ? block : 0;
    n->basis = tw_layout_take(l, block * (vectors + 1), unknowns, real);
    n->upper = tw_layout_take(l, block * vectors, vectors + 1, real);
    n->cosine = tw_layout_take(l, block, vectors + 1, real);
    n->sine = tw_layout_take(l, block, vectors + 1, real);
    n->residual = tw_layout_take(l, block, vectors + 1, real);
    n->used = tw_layout_take(l, block, 1, sizeof(int));
    n->open = tw_layout_take(l, block, 1, sizeof(int64_t));
    n->rows = tw_layout_take(l, block, 1, sizeof(int64_t));
    n->step = tw_layout_take(l, ode->block, unknowns, real);
    n->image = tw_layout_take(l, ode->block, unknowns, real);
}

tw_status tw_newton_create(tw_ode *ode)
{
    const tw_tableau *table = ode->table;
    tw_newton *n = tw_alloc(ode->ctx, 1, sizeof *n);
    if (!n) return tw_fail_memory(ode->ctx, sizeof *n);
    ode->newton = n;
    n->group = 1;
    for (int i = 0; i < table->info.stages; i++)
        for (int j = i + 1; j < table->info.stages; j++)
            if (table->a[i][j] != 0) n->group = table->info.stages;
    n->unknowns = n->group * ode->columns;
    if (ode->desc.krylov > 0 || n->unknowns > DENSE_UNKNOWNS)
        n->vectors = (int)tw_min_i64(ode->desc.krylov ? ode->desc.krylov : STANDARD_VECTORS, n->unknowns);
    tw_layout l = {0};
    lay_out(ode, n, &l);
    if (l.overflow)
        return tw_fail(ode->ctx, TW_ERR_MEMORY,
                       "an implicit method over %lld rows of %d columns does not fit in memory", (long long)ode->block,
                       ode->columns);
    n->memory = tw_alloc_aligned(ode->ctx, (size_t)l.used);
    if (!n->memory) return tw_fail_memory(ode->ctx, (size_t)l.used);
    l = (tw_layout){.base = n->memory};
    lay_out(ode, n, &l);
    return TW_OK;
}

void tw_newton_destroy(tw_context *ctx, tw_newton *newton)
{
    if (!newton) return;
    tw_free_aligned(ctx, newton->memory);
    tw_free(ctx, newton);
}

/* The length of a difference along v at x: half the digits of a double, of x or where that is smaller of the size at
 * which atol takes over from rtol; a field computed in less needs the longer one asked for. */
static double difference(const tw_ode *ode, const double *x, const double *v)
{
    double size = 0, at = 0, given = ode->desc.difference;
    for (int c = 0; c < ode->columns; c++) {
        double w = fabs(v[c]);
        size = w > size ? w : size;
        at = w > 0 && fabs(x[c]) > at ? fabs(x[c]) : at;
    }
    if (size == 0) return 1;
    return (given > 0 ? given * fmax(1, at) : sqrt(DBL_EPSILON) * fmax(ode->desc.atol / ode->desc.rtol, at)) / size;
}

/* step turned into states beside the starts, the field there into slopes. */
static tw_status by_differences(tw_ode *ode, int64_t count, const int64_t *rows, int each)
{
    tw_status status = TW_OK;
    tw_newton *n = ode->newton;
    int columns = ode->columns;
    for (int64_t i = 0; i < count * each; i++) {
        int64_t a = rows[i / each];
        double *v = n->step + i * columns, length = difference(ode, ode->y + a * columns, v);
        for (int c = 0; c < columns; c++) n->x[i * columns + c] = ode->y[a * columns + c] + length * v[c];
        ode->nfe[a]++;
    }
    TW_TRY(tw_ode_call(ode, count * each, n->t, n->x, n->image));
    for (int64_t i = 0; i < count * each; i++) {
        int64_t a = rows[i / each];
        const double *y = ode->y + a * columns, *start = n->base + a * columns;
        double *to = n->image + i * columns, length = difference(ode, y, n->step + i * columns);
        for (int c = 0; c < columns; c++) to[c] = (to[c] - start[c]) / length;
    }
done:
    return status;
}

tw_status tw_newton_product(tw_ode *ode, int64_t count, const int64_t *rows, int each)
{
    tw_newton *n = ode->newton;
    int64_t columns = ode->columns;
    for (int64_t i = 0; i < count * each; i++) n->t[i] = ode->t[rows[i / each]];
    if (!ode->desc.jvp) return by_differences(ode, count, rows, each);
    for (int64_t i = 0; i < count * each; i++)
        memcpy(n->x + i * columns, ode->y + rows[i / each] * columns, (size_t)columns * sizeof(double));
    ode->stats.jvps += count * each;
    return ode->desc.jvp(ode->user, count * each, n->t, n->x, n->step, n->image);
}

tw_status tw_newton_jacobian(tw_ode *ode)
{
    tw_status status = TW_OK;
    tw_newton *n = ode->newton;
    int64_t columns = ode->columns, active = ode->active;
    /* the derivative handed on by the step before is good to the tolerance, too little for differences */
    if (!ode->desc.jvp) {
        TW_TRY(tw_ode_call(ode, active, ode->t, ode->y, n->base));
        for (int64_t a = 0; a < active; a++) ode->nfe[a]++;
    }
    if (n->vectors) goto done;
    for (int64_t a = 0; a < active; a++) n->list[a] = a;
    for (int64_t j = 0; j < columns; j++) {
        memset(n->step, 0, (size_t)(active * columns) * sizeof(double));
        for (int64_t a = 0; a < active; a++) n->step[a * columns + j] = 1;
        TW_TRY(tw_newton_product(ode, active, n->list, 1));
        for (int64_t a = 0; a < active; a++)
            for (int64_t i = 0; i < columns; i++)
                n->jacobian[(a * columns + i) * columns + j] = n->image[a * columns + i];
    }
done:
    return status;
}

void tw_newton_factor(tw_ode *ode, tw_stage_square square)
{
    tw_newton *n = ode->newton;
    int64_t columns = ode->columns, size = square.size * columns;
    const tw_cpu *cpu = tw_cpu_best();
    if (n->vectors) return;
    for (int64_t a = 0; a < ode->active; a++) {
        const double *jacobian = n->jacobian + a * columns * columns;
        for (int64_t i = 0; i < size; i++)
            for (int64_t j = 0; j < size; j++) {
                double weight = ode->h[a] * square.a[i / columns * TW_TABLEAU_STAGES + j / columns];
                n->matrix[i * size + j] = (i == j) - weight * jacobian[i % columns * columns + j % columns];
            }
        cpu->lu[1](size, n->matrix, n->factor + a * (n->unknowns + 1) * n->unknowns, n->scratch);
    }
}

/* x of L U x = b, b's rows in the order that follows the factors. */
static void substitute(int64_t size, const double *factor, const double *b, double *x)
{
    const double *order = factor + size * size;
    for (int64_t i = 0; i < size; i++) {
        double sum = b[(int64_t)order[i]];
        for (int64_t j = 0; j < i; j++) sum -= factor[i * size + j] * x[j];
        x[i] = sum;
    }
    for (int64_t i = size - 1; i >= 0; i--) {
        double sum = x[i];
        for (int64_t j = i + 1; j < size; j++) sum -= factor[i * size + j] * x[j];
        x[i] = sum / factor[i * size + i];
    }
}

tw_status tw_newton_solve(tw_ode *ode, tw_stage_square square)
{
    tw_newton *n = ode->newton;
    int64_t size = (int64_t)square.size * ode->columns;
    if (n->vectors) return tw_gmres_solve(ode, square);
    for (int64_t i = 0; i < n->count; i++) {
        double *right = n->right + i * size;
        substitute(size, n->factor + n->list[i] * (n->unknowns + 1) * n->unknowns, right, n->turned);
        memcpy(right, n->turned, (size_t)size * sizeof(double));
    }
    return TW_OK;
}
