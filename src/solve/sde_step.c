/* solve/sde_step.c - one step of a stochastic Runge-Kutta table for the rows of a block, and of the reversible Heun
 * method (Kidger, Foster, Li, Lyons: Efficient and accurate gradients for neural SDEs, 2021, algorithm 1), which keeps
 * a second state:
 *
 *   y~' = 2 y - y~ + f(t, y~) h + g(t, y~) dW      y' = y + (f(t, y~) + f(t', y~')) h/2 + (g(t, y~) + g(t', y~')) dW/2
 *
 * and is its own inverse: the same step from (y', y~') with -h, -dW leads back. */
#include "solve/sde.h"

#include <math.h>
#include <string.h>

/* --- the fields --------------------------------------------------------------------------------------------------- */

const double *tw_sde_times(tw_sde *sde, double t)
{
    for (int64_t i = 0; i < sde->rows; i++) sde->t[i] = t;
    return sde->t;
}

tw_status tw_sde_drift(tw_sde *sde, double t, const double *x, double *out_f)
{
    sde->stats.drift_evaluations++;
    return sde->equation.drift(sde->equation.user, sde->rows, tw_sde_times(sde, t), x, out_f);
}

tw_status tw_sde_diffusion(tw_sde *sde, double t, const double *x, double *out_g)
{
    sde->stats.diffusion_evaluations++;
    return sde->equation.diffusion(sde->equation.user, sde->rows, tw_sde_times(sde, t), x, out_g);
}

/* --- what diffusions are multiplied by -----------------------------------------------------------------------------
 */

static bool uses(const tw_sde_weights *weights, tw_sde_control control)
{
    for (int j = 0; j < TW_SDE_STAGES; j++)
        if (weights->b[j][control] != 0) return true;
    return false;
}

void tw_sde_needs(const tw_sde *sde, const tw_sde_tableau *tableau, bool out[TW_CONTROLS])
{
    for (int k = 0; k < TW_CONTROLS; k++) {
        out[k] =
            tableau && (uses(&tableau->end, (tw_sde_control)k) || (k == TW_CONTROL_W2 && sde->equation.derivative));
        for (int s = 0; tableau && s < tableau->stages; s++) out[k] |= uses(&tableau->stage[s].from, (tw_sde_control)k);
    }
}

void tw_sde_fill_controls(tw_sde *sde, const bool needed[TW_CONTROLS], double h, int64_t first, int64_t count)
{
    double root = sqrt(fabs(h)), ito = sde->equation.sense == TW_SDE_ITO ? h : 0;
    const double *w = sde->control[TW_CONTROL_W] + first;
    double *area = sde->control[TW_CONTROL_AREA] + first, *w2 = sde->control[TW_CONTROL_W2] + first;
    double *w3 = sde->control[TW_CONTROL_W3] + first, *roots = sde->control[TW_CONTROL_ROOT] + first;
    if (needed[TW_CONTROL_ROOT])
        for (int64_t i = 0; i < count; i++) roots[i] = root;
    if (needed[TW_CONTROL_W2])
        for (int64_t i = 0; i < count; i++) w2[i] = (w[i] * w[i] - ito) / (2 * root);
    if (needed[TW_CONTROL_AREA])
        for (int64_t i = 0; i < count; i++) area[i] += 0.5 * w[i];
    if (needed[TW_CONTROL_W3])
        for (int64_t i = 0; i < count; i++) w3[i] = (w[i] * w[i] / h - 3) * w[i] / 6;
}

void tw_sde_controls(tw_sde *sde, const tw_sde_tableau *tableau, double t, double next)
{
    bool needed[TW_CONTROLS];
    tw_sde_needs(sde, tableau, needed);
    tw_brownian_increment(sde->brownian, sde->row, sde->rows, t, next, sde->control[TW_CONTROL_W],
                          needed[TW_CONTROL_AREA] ? sde->control[TW_CONTROL_AREA] : NULL);
    tw_sde_fill_controls(sde, needed, next - t, 0, sde->rows * sde->noises);
}

const double *tw_sde_weighted(tw_sde *sde, const double b[TW_CONTROLS])
{
    int64_t count = sde->rows * sde->noises;
    int terms = 0, last = 0;
    for (int k = 0; k < TW_CONTROLS; k++)
        if (b[k] != 0) terms++, last = k;
    if (terms == 0) return NULL;
    if (terms == 1 && b[last] == 1) return sde->control[last];
    memset(sde->sum, 0, (size_t)count * sizeof *sde->sum);
    for (int k = 0; k < TW_CONTROLS; k++)
        if (b[k] != 0) tw_sde_add(b[k], sde->control[k], count, sde->sum);
    return sde->sum;
}

void tw_sde_apply(const tw_sde *sde, double scale, const double *g, const double *u, double *restrict out)
{
    int64_t columns = sde->columns, noises = sde->noises, count = sde->rows * columns;
    if (sde->equation.noise == TW_SDE_DIAGONAL) {
        for (int64_t i = 0; i < count; i++) out[i] += scale * (g[i] * u[i]);
    } else if (sde->equation.noise == TW_SDE_SCALAR) {
        for (int64_t r = 0; r < sde->rows; r++, out += columns, g += columns)
            for (int64_t i = 0; i < columns; i++) out[i] += scale * (g[i] * u[r]);
    } else {
        for (int64_t i = 0; i < count; i++, g += noises) {
            const double *of_row = u + i / columns * noises;
            double dot = 0;
            for (int64_t k = 0; k < noises; k++) dot += g[k] * of_row[k];
            out[i] += scale * dot;
        }
    }
}

void tw_sde_outer(const tw_sde *sde, double scale, const double *a, const double *u, double *restrict out)
{
    int64_t columns = sde->columns, noises = sde->noises, count = sde->rows * columns;
    if (sde->equation.noise == TW_SDE_DIAGONAL) {
        for (int64_t i = 0; i < count; i++) out[i] += scale * (a[i] * u[i]);
    } else if (sde->equation.noise == TW_SDE_SCALAR) {
        for (int64_t r = 0; r < sde->rows; r++, out += columns, a += columns)
            for (int64_t i = 0; i < columns; i++) out[i] += scale * (a[i] * u[r]);
    } else {
        for (int64_t i = 0; i < count; i++, out += noises)
            for (int64_t k = 0; k < noises; k++) out[k] += scale * (a[i] * u[i / columns * noises + k]);
    }
}

/* --- a step ---------------------------------------------------------------------------------------------------------
 */

/* out = x + h sum a_j f_j + sum_j g_j u_j */
static void combine(tw_sde *sde, const tw_sde_weights *weights, double h, const double *x, double *out)
{
    int64_t count = sde->rows * sde->columns;
    memcpy(out, x, (size_t)count * sizeof *out);
    for (int j = 0; j < TW_SDE_STAGES; j++) {
        if (weights->a[j] != 0) tw_sde_add(h * weights->a[j], sde->f[j], count, out);
        const double *u = tw_sde_weighted(sde, weights->b[j]);
        if (u) tw_sde_apply(sde, 1, sde->g[j], u, out);
    }
}

/* Milstein's term by the derivative given: (sum_j g_j dg/dx_j) I_11. */
static tw_status add_derivative(tw_sde *sde, double t, double h, const double *x)
{
    double root = sqrt(fabs(h));
    const double *u = sde->control[TW_CONTROL_W2];
    tw_status status = sde->equation.derivative(sde->equation.user, sde->rows, tw_sde_times(sde, t), x, sde->v);
    if (status == TW_OK) tw_sde_apply(sde, root, sde->v, u, sde->z);
    return status;
}

/* f and g of a stage at its state x; where rows have steps of their own, h f. */
static tw_status evaluate(tw_sde *sde, int stage, double t, double next, const double *x)
{
    const tw_sde_tableau *tableau = sde->tableau;
    double c = tableau->stage[stage].c, *f = sde->f[stage];
    tw_status status = TW_OK;
    if (!sde->from) {
        double at = tw_sde_stage_time(tableau, stage, t, next);
        if (tableau->stage[stage].f) TW_TRY(tw_sde_drift(sde, at, x, f));
        if (tableau->stage[stage].g) TW_TRY(tw_sde_diffusion(sde, at, x, sde->g[stage]));
        return TW_OK;
    }
    for (int64_t r = 0; r < sde->rows; r++)
        sde->t[r] = c == 1 ? sde->to[r] : sde->from[r] + c * (sde->to[r] - sde->from[r]);
    if (tableau->stage[stage].f) {
        sde->stats.drift_evaluations++;
        TW_TRY(sde->equation.drift(sde->equation.user, sde->rows, sde->t, x, f));
        for (int64_t i = 0; i < sde->rows * sde->columns; i++)
            f[i] *= sde->to[i / sde->columns] - sde->from[i / sde->columns];
    }
    if (tableau->stage[stage].g) {
        sde->stats.diffusion_evaluations++;
        TW_TRY(sde->equation.diffusion(sde->equation.user, sde->rows, sde->t, x, sde->g[stage]));
    }
done:
    return status;
}

tw_status tw_sde_step(tw_sde *sde, double t, double next, const double *x)
{
    const tw_sde_tableau *tableau = sde->tableau;
    double h = sde->from ? 1 : next - t;
    tw_status status = TW_OK;
    if (!sde->from) tw_sde_controls(sde, tableau, t, next);
    for (int s = 0; s < tableau->stages; s++) {
        double *state = sde->at[s] ? sde->at[s] : sde->z;
        if (s > 0) combine(sde, &tableau->stage[s].from, h, x, state);
        TW_TRY(evaluate(sde, s, t, next, s > 0 ? state : x));
    }
    combine(sde, &tableau->end, h, x, sde->z);
    if (sde->equation.derivative) TW_TRY(add_derivative(sde, t, h, x));
done:
    return status;
}

tw_status tw_sde_start_reversible(tw_sde *sde, double t, const double *x)
{
    tw_status status = TW_OK;
    memcpy(sde->mate, x, (size_t)(sde->rows * sde->columns) * sizeof *x);
    TW_TRY(tw_sde_drift(sde, t, sde->mate, sde->f[0]));
    TW_TRY(tw_sde_diffusion(sde, t, sde->mate, sde->g[0]));
done:
    return status;
}

tw_status tw_sde_step_reversible(tw_sde *sde, double t, double next, const double *x)
{
    int64_t count = sde->rows * sde->columns;
    double h = next - t, *z = sde->z, *mate = sde->mate;
    const double *w = sde->control[TW_CONTROL_W];
    tw_status status = TW_OK;
    tw_sde_controls(sde, NULL, t, next);
    for (int64_t i = 0; i < count; i++) mate[i] = 2 * x[i] - mate[i];
    tw_sde_add(h, sde->f[0], count, mate);
    tw_sde_apply(sde, 1, sde->g[0], w, mate);
    memcpy(z, x, (size_t)count * sizeof *z);
    for (int half = 0; half < 2; half++) {
        tw_sde_add(0.5 * h, sde->f[0], count, z);
        tw_sde_apply(sde, 0.5, sde->g[0], w, z);
        if (half) break;
        TW_TRY(tw_sde_drift(sde, next, mate, sde->f[0]));
        TW_TRY(tw_sde_diffusion(sde, next, mate, sde->g[0]));
    }
done:
    return status;
}
