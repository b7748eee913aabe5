/* solve/sde_gradient.c - gradients of a loss of the end with respect to where the solution began and to the equation's
 * parameters, by transposed derivatives of drift and diffusion:
 *
 *   discrete  the exact derivative of the scheme. A step of a table is linear in the values of f and g, so its
 * transpose walks the stages backwards with the same weights; states of all steps are kept. Reversible Heun recomputes
 *             its states backwards instead (Kidger et al. 2021, algorithm 2), in memory that does not grow.
 *   adjoint   the stochastic adjoint (Li, Wong, Chen, Duvenaud: Scalable gradients for SDEs, 2020, eq. 8) in
 *             Stratonovich's sense, da = -a f_x dt - a g_x o dW and likewise for the parameters, beside the state, by
 *             the midpoint rule backwards on the same path. Agrees with the other as steps shrink; nothing is kept. An
 *             equation in Ito's sense is put in Stratonovich's first. */
#include "solve/sde_convert.h"

#include <string.h>

/* Work memory of one block. */
typedef struct way_back {
    double *states;                                     /* discrete: (steps, block, columns) */
    double *x, *middle;                                 /* states under way */
    double *df[TW_SDE_STAGES], *dg[TW_SDE_STAGES], *dx; /* cotangents of the fields, of a state */
    double *a, *mate, *half;   /* of the state, of reversible Heun's second one, of the adjoint's middle */
    double *dparams, *ignored; /* the caller's; the same to be thrown away */
    void *memory;
} way_back;

static tw_status make_memory(tw_sde *sde, tw_sde_gradient_kind kind, way_back *w)
{
    int stages = sde->tableau ? sde->tableau->stages : 1;
    int64_t states = sde->block * sde->columns, diffusions = sde->block * sde->width, kept = 0, total = 0;
    if (kind == TW_SDE_DISCRETE && sde->tableau && __builtin_mul_overflow(states, sde->steps, &kept))
        kept = INT64_MAX / 16;
    if (__builtin_add_overflow(kept, (6 + 2 * stages) * states + stages * diffusions + sde->equation.params, &total) ||
        total > INT64_MAX / 16)
        return tw_fail(sde->ctx, TW_ERR_MEMORY, "states of %lld steps of an SDE do not fit in memory",
                       (long long)sde->steps);
    double *at = w->memory = tw_alloc_aligned(sde->ctx, (size_t)total * sizeof *at);
    if (!at) return tw_fail_memory(sde->ctx, (size_t)total * sizeof *at);
    double **of_states[] = {&w->x, &w->middle, &w->dx, &w->a, &w->mate, &w->half};
    for (int i = 0; i < TW_COUNT(of_states); i++, at += states) *of_states[i] = at;
    for (int i = 0; i < stages; i++, at += states) w->df[i] = at;
    for (int i = 0; i < stages; i++, at += states) sde->at[i] = at;
    for (int i = 0; i < stages; i++, at += diffusions) w->dg[i] = at;
    w->ignored = at;
    w->states = at + sde->equation.params;
    return TW_OK;
}

static tw_status transposed(tw_sde *sde, const way_back *w, double t, const double *x, int stage, double *dparams)
{
    const tw_sde_equation *e = &sde->equation;
    return e->vjp(e->user, sde->rows, tw_sde_times(sde, t), x, w->df[stage], w->dg[stage], w->dx, dparams);
}

/* Cotangents of fields in a state that is h sum a_j f_j + sum_j g_j u_j, from that of the state. */
static void spread(tw_sde *sde, const way_back *w, const tw_sde_weights *weights, int stages, double h,
                   const double *da)
{
    int64_t count = sde->rows * sde->columns;
    for (int j = 0; j < stages; j++) {
        if (weights->a[j] != 0) tw_sde_add(h * weights->a[j], da, count, w->df[j]);
        const double *u = tw_sde_weighted(sde, weights->b[j]);
        if (u) tw_sde_outer(sde, 1, da, u, w->dg[j]);
    }
}

static void clear(const tw_sde *sde, const way_back *w, int stage)
{
    memset(w->df[stage], 0, (size_t)(sde->rows * sde->columns) * sizeof(double));
    memset(w->dg[stage], 0, (size_t)(sde->rows * sde->width) * sizeof(double));
}

/* --- discrete ----------------------------------------------------------------------------------------------------- */

static tw_status step_back(tw_sde *sde, const way_back *w, double t, double next, const double *x)
{
    const tw_sde_tableau *tableau = sde->tableau;
    int64_t count = sde->rows * sde->columns;
    double h = next - t;
    tw_status status = TW_OK;
    TW_TRY(tw_sde_step(sde, t, next, x)); /* the states of its stages and the controls */
    for (int s = 0; s < tableau->stages; s++) clear(sde, w, s);
    spread(sde, w, &tableau->end, tableau->stages, h, w->a);
    for (int s = tableau->stages - 1; s >= 0; s--) {
        double at = tw_sde_stage_time(tableau, s, t, next);
        TW_TRY(transposed(sde, w, at, s > 0 ? sde->at[s] : x, s, w->dparams));
        tw_sde_add(1, w->dx, count, w->a);
        spread(sde, w, &tableau->stage[s].from, s, h, w->dx);
    }
done:
    return status;
}

static tw_status discrete(tw_sde *sde, const way_back *w)
{
    int64_t count = sde->rows * sde->columns, n = 0;
    tw_status status = TW_OK;
    for (n = 0; n < sde->steps; n++) {
        memcpy(w->states + n * count, w->x, (size_t)count * sizeof(double));
        if (n + 1 == sde->steps) break;
        TW_TRY(tw_sde_step(sde, sde->times[n], sde->times[n + 1], w->x));
        memcpy(w->x, sde->z, (size_t)count * sizeof(double));
    }
    for (n = sde->steps - 1; n >= 0; n--)
        TW_TRY(step_back(sde, w, sde->times[n], sde->times[n + 1], w->states + n * count));
done:
    return status;
}

/* --- reversible Heun ------------------------------------------------------------------------------------------------
 *
 * df, dg hold the cotangents of the fields at the second state, which serve two steps. */

static tw_status reversible_back(tw_sde *sde, const way_back *w, double t, double next)
{
    int64_t count = sde->rows * sde->columns;
    double h = next - t, *a = w->a, *mate = w->mate;
    const double *u = sde->control[TW_CONTROL_W];
    tw_status status = TW_OK;
    tw_sde_controls(sde, NULL, t, next);
    tw_sde_add(0.5 * h, a, count, w->df[0]);
    tw_sde_outer(sde, 0.5, a, u, w->dg[0]);
    TW_TRY(transposed(sde, w, next, sde->mate, 0, w->dparams));
    tw_sde_add(1, w->dx, count, mate);
    clear(sde, w, 0);
    tw_sde_add(0.5 * h, a, count, w->df[0]);
    tw_sde_add(h, mate, count, w->df[0]);
    tw_sde_outer(sde, 0.5, a, u, w->dg[0]);
    tw_sde_outer(sde, 1, mate, u, w->dg[0]);
    tw_sde_add(2, mate, count, a);
    for (int64_t i = 0; i < count; i++) mate[i] = -mate[i];
    TW_TRY(tw_sde_step_reversible(sde, next, t, w->x));
    memcpy(w->x, sde->z, (size_t)count * sizeof(double));
done:
    return status;
}

static tw_status reversible(tw_sde *sde, const way_back *w)
{
    int64_t count = sde->rows * sde->columns;
    const double *times = sde->times;
    tw_status status = TW_OK;
    TW_TRY(tw_sde_start_reversible(sde, times[0], w->x));
    for (int64_t n = 0; n < sde->steps; n++) {
        TW_TRY(tw_sde_step_reversible(sde, times[n], times[n + 1], w->x));
        memcpy(w->x, sde->z, (size_t)count * sizeof(double));
    }
    clear(sde, w, 0);
    memset(w->mate, 0, (size_t)count * sizeof(double));
    for (int64_t n = sde->steps - 1; n >= 0; n--) TW_TRY(reversible_back(sde, w, times[n], times[n + 1]));
    TW_TRY(transposed(sde, w, times[0], sde->mate, 0, w->dparams)); /* where both states were one */
    tw_sde_add(1, w->dx, count, w->a);
    tw_sde_add(1, w->mate, count, w->a);
done:
    return status;
}

/* --- adjoint ------------------------------------------------------------------------------------------------------ */

/* df, dg = -h a, -a dW^T for a step of length h backwards. */
static tw_status drift_of_adjoint(tw_sde *sde, const way_back *w, double t, double h, const double *x, const double *a,
                                  double *dparams)
{
    clear(sde, w, 0);
    tw_sde_add(-h, a, sde->rows * sde->columns, w->df[0]);
    tw_sde_outer(sde, -1, a, sde->control[TW_CONTROL_W], w->dg[0]);
    return transposed(sde, w, t, x, 0, dparams);
}

static tw_status move(tw_sde *sde, double t, double h, double part, const double *at, const double *x, double *out)
{
    int64_t count = sde->rows * sde->columns;
    tw_status status = TW_OK;
    TW_TRY(tw_sde_drift(sde, t, at, sde->f[0]));
    TW_TRY(tw_sde_diffusion(sde, t, at, sde->g[0]));
    if (out != x) memcpy(out, x, (size_t)count * sizeof *out);
    tw_sde_add(part * h, sde->f[0], count, out);
    tw_sde_apply(sde, part, sde->g[0], sde->control[TW_CONTROL_W], out);
done:
    return status;
}

static tw_status adjoint(tw_sde *sde, const way_back *w)
{
    int64_t count = sde->rows * sde->columns;
    tw_status status = TW_OK;
    for (int64_t n = sde->steps; n > 0; n--) {
        double t = sde->times[n], h = sde->times[n - 1] - t, middle = t + 0.5 * h;
        tw_sde_controls(sde, NULL, t, sde->times[n - 1]);
        TW_TRY(move(sde, t, h, 0.5, w->x, w->x, w->middle));
        TW_TRY(drift_of_adjoint(sde, w, t, h, w->x, w->a, w->ignored));
        memcpy(w->half, w->a, (size_t)count * sizeof(double));
        tw_sde_add(0.5, w->dx, count, w->half);
        TW_TRY(move(sde, middle, h, 1, w->middle, w->x, w->x));
        TW_TRY(drift_of_adjoint(sde, w, middle, h, w->middle, w->half, w->dparams));
        tw_sde_add(1, w->dx, count, w->a);
    }
done:
    return status;
}

/* --- all ---------------------------------------------------------------------------------------------------------- */

static tw_status check(tw_context *ctx, const tw_sde_equation *e)
{
    if (!e->vjp || e->params < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "a gradient through an SDE needs the equation's vjp");
    if (e->derivative)
        return tw_fail(
            ctx, TW_ERR_UNSUPPORTED,
            "a gradient through Milstein's method with a derivative given would need its derivative: give none");
    return TW_OK;
}

tw_status tw_sde_gradient(tw_context *ctx, const tw_sde_equation *equation, const tw_sde_desc *desc,
                          tw_sde_gradient_kind kind, int64_t rows, const double *x, double *a, double *dparams)
{
    tw_status status = TW_OK;
    tw_sde *sde = NULL;
    tw_sde_converted *converted = NULL;
    way_back w = {.dparams = dparams};
    int64_t first_row = desc ? desc->first_row : 0;
    TW_TRY(check(ctx, equation));
    TW_TRY(tw_sde_create(ctx, equation, desc, tw_min_i64(rows, tw_sde_block(equation)), &sde));
    if (sde->walk)
        TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "a gradient goes through steps that are given: no tolerances"));
    TW_TRY(make_memory(sde, kind, &w));
    if (kind == TW_SDE_ADJOINT && equation->sense == TW_SDE_ITO && equation->noise != TW_SDE_ADDITIVE)
        TW_TRY(tw_sde_convert(ctx, equation, sde->block, &converted, &sde->equation));
    ctx->error[0] = 0;
    for (int64_t first = 0; first < rows; first += sde->block) {
        size_t bytes = (size_t)(tw_min_i64(sde->block, rows - first) * sde->columns) * sizeof(double);
        sde->row = first_row + first;
        sde->rows = tw_min_i64(sde->block, rows - first);
        memcpy(w.x, x + first * sde->columns, bytes);
        memcpy(w.a, a + first * sde->columns, bytes);
        status = kind == TW_SDE_ADJOINT ? adjoint(sde, &w) : sde->tableau ? discrete(sde, &w) : reversible(sde, &w);
        if (status != TW_OK) break;
        memcpy(a + first * sde->columns, w.a, bytes);
    }
    /* A field that shares this context has already said what went wrong. */
    if (status != TW_OK && ctx->error[0] == 0)
        tw_fail(ctx, status, "the gradient of %s: a field could not be evaluated (%s)", sde->method->info.name,
                tw_status_text(status));
done:
    if (sde) tw_free_aligned(ctx, w.memory);
    tw_sde_converted_destroy(ctx, converted);
    tw_sde_destroy(sde);
    return status;
}
