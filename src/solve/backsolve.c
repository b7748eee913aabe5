/* solve/backsolve.c - the adjoint equation, solved backwards beside the state (Chen, Rubanova, Bettencourt, Duvenaud
 * 2018, algorithm 1):
 *
 *   dx/dt = f     da/dt = -a' df/dx     dq/dt = -a' df/dtheta, q the gradient in theta
 *
 * Nothing depends on q, so its error need not shorten a step (Kidger, Chen, Lyons 2021, "Hey, that's not an ODE"): the
 * seminorm leaves its columns out. A row of the system holds x, a of a row; with parameters, of which all rows share
 * the integral, one row holds all x, all a, q. */
#include "solve/ode.h"

#include <thalweg/adjoint.h>

#include <limits.h>
#include <string.h>

typedef struct backwards {
    tw_ode_equation equation;
    int64_t group;          /* rows of the equation in a row of the system */
    int64_t rows;           /* of the system */
    int columns;            /* of the system */
    double *x, *a, *dx, *t; /* rows of the equation in one piece */
    double *state;          /* (rows, columns) */
    void *memory;
} backwards;

/* Arrays of a group in a row of the system: its part `part` of x, a. */
static double *part_of(const backwards *b, double *state, int64_t row, int part)
{
    return state + row * b->columns + part * b->group * b->equation.columns;
}

static size_t part_bytes(const backwards *b)
{
    return (size_t)(b->group * b->equation.columns) * sizeof(double);
}

static tw_status field(void *user, int64_t rows, const double *t, const double *state, double *out)
{
    backwards *b = user;
    const tw_ode_equation *e = &b->equation;
    int64_t size = b->group * e->columns, all = rows * b->group;
    size_t bytes = part_bytes(b);
    double *dq = e->params > 0 ? out + 2 * size : NULL;
    tw_status status = TW_OK;
    for (int64_t i = 0; i < rows; i++) {
        const double *row = state + i * b->columns;
        memcpy(b->x + i * size, row, bytes);
        memcpy(b->a + i * size, row + size, bytes);
        for (int64_t j = 0; j < b->group; j++) b->t[i * b->group + j] = t[i];
    }
    TW_TRY(e->field(e->user, all, b->t, b->x, b->dx));
    for (int64_t i = 0; i < rows; i++) memcpy(part_of(b, out, i, 0), b->dx + i * size, bytes);
    if (dq) memset(dq, 0, (size_t)e->params * sizeof *dq);
    TW_TRY(e->vjp(e->user, all, b->t, b->x, b->a, b->dx, dq));
    for (int64_t i = 0; i < rows; i++) {
        double *da = part_of(b, out, i, 1);
        for (int64_t j = 0; j < size; j++) da[j] = -b->dx[i * size + j];
    }
    for (int64_t p = 0; p < e->params; p++) dq[p] = -dq[p];
done:
    return status;
}

static tw_status make_memory(tw_context *ctx, int64_t rows, backwards *b)
{
    const tw_ode_equation *e = &b->equation;
    int64_t size = 0, columns = 0;
    b->group = e->params > 0 ? rows : 1;
    b->rows = e->params > 0 ? 1 : rows;
    if (__builtin_mul_overflow(b->group, 2 * (int64_t)e->columns, &columns) ||
        __builtin_add_overflow(columns, e->params, &columns) || columns > INT_MAX ||
        __builtin_mul_overflow(b->rows, columns, &size) || size > INT64_MAX / 64)
        return tw_fail(ctx, TW_ERR_MEMORY, "the adjoint of %lld rows with %lld parameters is too large",
                       (long long)rows, (long long)e->params);
    b->columns = (int)columns;
    int64_t part = rows * e->columns, total = size + 3 * part + rows;
    double *at = b->memory = tw_alloc_aligned(ctx, (size_t)total * sizeof *at);
    if (!at) return tw_fail_memory(ctx, (size_t)total * sizeof *at);
    b->state = at;
    b->x = at + size;
    b->a = b->x + part;
    b->dx = b->a + part;
    b->t = b->dx + part;
    return TW_OK;
}

/* Between the caller's arrays and a part of the system. */
static void exchange(const backwards *b, int part, double *rows, bool out)
{
    size_t bytes = part_bytes(b);
    for (int64_t i = 0; i < b->rows && bytes > 0; i++) {
        double *inside = part_of(b, b->state, i, part), *outside = rows + i * b->group * b->equation.columns;
        memcpy(out ? outside : inside, out ? inside : outside, bytes);
    }
}

/* What the error is the largest of: those of the state, its adjoint, and q unless left out. */
static void measure(const backwards *b, bool seminorm, int parts[3])
{
    parts[0] = parts[1] = (int)(b->group * b->equation.columns);
    parts[2] = seminorm ? 0 : (int)b->equation.params;
}

/* Puts the state right on a time and takes the loss's derivative with respect to it. */
static void meet(const backwards *b, const double *x, const double *dx)
{
    int64_t size = b->group * b->equation.columns;
    for (int64_t i = 0; i < b->rows * size; i++) {
        *(part_of(b, b->state, i / size, 0) + i % size) = x[i];
        *(part_of(b, b->state, i / size, 1) + i % size) += dx[i];
    }
}

static void add_stats(tw_ode_stats *sum, const tw_ode_stats *part)
{
    sum->nfe += part->nfe;
    sum->nfe_mean += part->nfe_mean;
    sum->evaluations += part->evaluations;
    sum->calls += part->calls;
    sum->accepted += part->accepted;
    sum->rejected += part->rejected;
    sum->failed += part->failed;
}

static tw_status go(tw_context *ctx, backwards *b, tw_ode_desc *way, double from, double to, tw_ode_stats *stats)
{
    tw_ode_stats part = {0};
    if (from == to) return TW_OK;
    way->t0 = from;
    way->t1 = to;
    tw_status status = tw_ode_solve(ctx, way, field, b, b->rows, b->columns, b->state, &part);
    add_stats(stats, &part);
    return status;
}

static tw_status check(tw_context *ctx, const tw_ode_adjoint_desc *desc, const tw_ode_equation *e, int64_t rows,
                       const double *dparams)
{
    const tw_ode_desc *s = desc->solver;
    tw_ode *ode = NULL;
    if (!e->field || !e->vjp || e->params < 0 || e->columns < 0 || rows < 0 || (e->params > 0 && !dparams))
        return tw_fail(ctx, TW_ERR_INVALID, "an adjoint needs a field, its vjp and an array for %lld parameters",
                       (long long)e->params);
    if (s->events_count > 0 || s->time_grid)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "an adjoint takes no events and no time_grid");
    if (s->chart) return tw_fail(ctx, TW_ERR_UNSUPPORTED, "no gradients of solutions on a manifold");
    if (s->times_count > 0 && (!desc->states || !desc->dstates))
        return tw_fail(ctx, TW_ERR_INVALID, "an adjoint with times needs the states there and their derivatives");
    tw_status status = tw_ode_create(ctx, s, 1, e->columns, &ode);
    tw_ode_destroy(ode);
    return status;
}

tw_status tw_ode_adjoint(tw_context *ctx, const tw_ode_adjoint_desc *desc, const tw_ode_equation *equation,
                         int64_t rows, double *x, double *a, double *dparams, tw_ode_stats *out_stats)
{
    static const tw_ode_desc standard;
    static const tw_ode_adjoint_desc none;
    tw_status status = TW_OK;
    backwards b = {.equation = *equation};
    tw_ode_stats stats = {0};
    tw_ode_adjoint_desc d = desc ? *desc : none;
    if (!d.solver) d.solver = &standard;
    TW_TRY(check(ctx, &d, equation, rows, dparams));
    TW_TRY(make_memory(ctx, rows, &b));
    tw_ode_desc way = *d.solver;
    double t0 = way.t0, at = way.t0 == 0 && way.t1 == 0 ? 1 : way.t1;
    way.times_count = 0;
    way.times = NULL;
    way.error_columns = 0;
    measure(&b, d.seminorm, way.error_parts);
    exchange(&b, 0, x, false);
    exchange(&b, 1, a, false);
    for (int64_t i = d.solver->times_count - 1; i >= 0; i--) {
        double time = d.solver->times[i];
        int64_t size = rows * equation->columns;
        TW_TRY(go(ctx, &b, &way, at, time, &stats));
        meet(&b, d.states + i * size, d.dstates + i * size);
        at = time;
    }
    TW_TRY(go(ctx, &b, &way, at, t0, &stats));
    exchange(&b, 0, x, true);
    exchange(&b, 1, a, true);
    const double *q = b.state + 2 * b.group * equation->columns;
    for (int64_t p = 0; p < equation->params; p++) dparams[p] += q[p];
done:
    if (out_stats) *out_stats = stats;
    tw_free_aligned(ctx, b.memory);
    return status;
}
