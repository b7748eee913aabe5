/* solve/sde_run.c - driving blocks of rows through the steps, and what is gathered between them: states at times,
 * log-densities of transitions, the divergence of paths. */
#include "solve/sde.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BLOCK_ELEMENTS = 1 << 13 }; /* of the state */

int64_t tw_sde_block(const tw_sde_equation *equation)
{
    return tw_max_i64(1, BLOCK_ELEMENTS / tw_max_i64(1, equation->columns));
}

/* Where the results of a block go. */
typedef struct course {
    const tw_sde_out *out;
    double *x;            /* the block's rows */
    int64_t first, total; /* of the caller's arrays: the block's first row, all rows */
    int64_t saved;        /* states written */
    double before;        /* length of the step before */
} course;

void tw_sde_break(tw_sde *sde, int64_t r, double t, const char *why)
{
    if (sde->broken[r]) return;
    sde->broken[r] = 1;
    sde->stats.failed++;
    if (sde->failure.why && sde->failure.row <= sde->row + r) return;
    sde->failure.row = sde->row + r;
    sde->failure.t = t;
    sde->failure.why = why;
}

static void find_broken(tw_sde *sde, double t)
{
    double whole = 0;
    const double *z = sde->z;
    int64_t columns = sde->columns;
    for (int64_t i = 0; i < sde->rows * columns; i++) whole += 0 * z[i];
    if (whole == 0) return;
    for (int64_t r = 0; r < sde->rows; r++) {
        double sum = 0;
        for (int64_t i = r * columns; i < (r + 1) * columns; i++) sum += 0 * z[i];
        if (sum != 0) tw_sde_break(sde, r, t, "a value that is not finite");
    }
}

static void save_states(const tw_sde *sde, course *c, double t)
{
    const tw_sde_out *out = c->out;
    size_t bytes = (size_t)(sde->rows * sde->columns) * sizeof(double);
    for (; c->saved < out->times_count && out->times[c->saved] == t; c->saved++)
        memcpy(out->states + (c->saved * c->total + c->first) * sde->columns, c->x, bytes);
}

/* The integrand of the divergence at the beginning of a step of length h, or at the end of all (h = 0); x is where f[0]
 * and g[0] were evaluated. */
static tw_status add_kl(tw_sde *sde, course *c, double t, double h, const double *x)
{
    double *kl = c->out->kl + c->first;
    double weight = sde->tableau == tw_sde_euler_tableau() ? h : 0.5 * (c->before + h);
    tw_status status = sde->equation.other_drift(sde->equation.user, sde->rows, tw_sde_times(sde, t), x, sde->other);
    if (status != TW_OK) return status;
    tw_sde_kl_rate(sde, t, sde->f[0], sde->other, sde->g[0], sde->rate);
    tw_sde_add(weight, sde->rate, sde->rows, kl);
    return TW_OK;
}

static tw_status one_step(tw_sde *sde, course *c, int64_t n, double t, double next)
{
    const tw_sde_out *out = c->out;
    tw_status status = TW_OK;
    double h = next - t;
    if (sde->tableau) {
        TW_TRY(tw_sde_step(sde, t, next, c->x));
        if (out->kl) TW_TRY(add_kl(sde, c, t, h, c->x));
    } else {
        if (out->kl) TW_TRY(add_kl(sde, c, t, h, sde->mate));
        TW_TRY(tw_sde_step_reversible(sde, t, next, c->x));
    }
    find_broken(sde, next);
    if (out->log_prob)
        tw_sde_log_prob(sde, t, h, c->x, sde->f[0], sde->g[0], sde->z, out->log_prob + n * c->total + c->first);
    memcpy(c->x, sde->z, (size_t)(sde->rows * sde->columns) * sizeof *c->x);
    c->before = h;
    sde->stats.steps++;
done:
    return status;
}

/* Both ends of the integral count half in the trapezoidal rule. */
static tw_status end_kl(tw_sde *sde, course *c, double t)
{
    tw_status status = TW_OK;
    if (sde->tableau == tw_sde_euler_tableau()) return TW_OK;
    if (sde->tableau) {
        TW_TRY(tw_sde_drift(sde, t, c->x, sde->f[0]));
        TW_TRY(tw_sde_diffusion(sde, t, c->x, sde->g[0]));
    }
    TW_TRY(add_kl(sde, c, t, 0, sde->tableau ? c->x : sde->mate));
done:
    return status;
}

static tw_status run_block(tw_sde *sde, course *c)
{
    const tw_sde_out *out = c->out;
    const double *times = sde->times;
    double t = times[0], direction = times[sde->steps] < t ? -1 : 1;
    tw_status status = TW_OK;
    memset(sde->broken, 0, (size_t)sde->rows);
    if (sde->walk) return tw_sde_walk_block(sde, out, c->first, c->total, c->x);
    if (out->kl) memset(out->kl + c->first, 0, (size_t)sde->rows * sizeof(double));
    if (!sde->tableau) TW_TRY(tw_sde_start_reversible(sde, t, c->x));
    save_states(sde, c, t);
    for (int64_t n = 0; n < sde->steps; n++) {
        if (out->log_prob) memset(out->log_prob + n * c->total + c->first, 0, (size_t)sde->rows * sizeof(double));
        while (t != times[n + 1]) {
            double next = times[n + 1];
            if (c->saved < out->times_count && direction * (next - out->times[c->saved]) > 0)
                next = out->times[c->saved];
            TW_TRY(one_step(sde, c, n, t, next));
            t = next;
            save_states(sde, c, t);
        }
    }
    if (out->kl) TW_TRY(end_kl(sde, c, t));
done:
    return status;
}

static const char *refusal(const tw_sde *sde, const tw_sde_out *out)
{
    double t0 = sde->times[0], t1 = sde->times[sde->steps], direction = t1 < t0 ? -1 : 1, last = t0;
    if (out->times_count > 0 && (!out->times || !out->states)) return "states at times are asked for without arrays";
    for (int64_t i = 0; i < out->times_count; i++) {
        double t = out->times[i];
        if (!(direction * (t - last) >= 0 && direction * (t1 - t) >= 0))
            return "states are asked for at times that are out of order or beyond the solution's";
        last = t;
    }
    if (out->log_prob && sde->tableau != tw_sde_euler_tableau())
        return "log_prob is that of Euler-Maruyama's transitions: the method must be euler";
    if (out->log_prob && t1 < t0) return "log_prob needs a solution that runs forwards";
    if (out->kl && !sde->equation.other_drift) return "kl needs the other drift";
    if (sde->walk && (out->kl || out->log_prob))
        return "log_prob and kl are those of steps that are given: no tolerances";
    return NULL;
}

static tw_status tell(const tw_sde *sde, tw_status status, int64_t rows, char *error, size_t size)
{
    const char *name = sde->method->info.name;
    if (status != TW_OK) {
        if (error) snprintf(error, size, "%s: a field could not be evaluated (%s)", name, tw_status_text(status));
    } else if (sde->stats.failed) {
        status = TW_ERR_NUMERIC;
        if (error)
            snprintf(error, size, "%s lost %lld of %lld rows; the first is row %lld at t=%.6g: %s", name,
                     (long long)sde->stats.failed, (long long)rows, (long long)sde->failure.row, sde->failure.t,
                     sde->failure.why);
    }
    return status;
}

tw_status tw_sde_run(tw_sde *sde, int64_t row, int64_t rows, double *x, const tw_sde_out *out, tw_sde_stats *out_stats,
                     char *error, size_t size)
{
    static const tw_sde_out nothing = {0};
    tw_status status = TW_OK;
    if (!out) out = &nothing;
    const char *why = refusal(sde, out);
    if (why) {
        if (error) snprintf(error, size, "%s", why);
        return TW_ERR_INVALID;
    }
    sde->stats = (tw_sde_stats){0};
    sde->failure.why = NULL;
    for (int64_t first = 0; first < rows && status == TW_OK; first += sde->block) {
        course c = {
            .out = out, .x = x + first * sde->columns, .first = first, .total = out->stride ? out->stride : rows};
        sde->row = row + first;
        sde->rows = tw_min_i64(sde->block, rows - first);
        if (!sde->walk) sde->stats.steps = 0;
        status = run_block(sde, &c);
    }
    status = tell(sde, status, rows, error, size);
    if (out_stats) *out_stats = sde->stats;
    return status;
}

tw_status tw_sde_solve(tw_context *ctx, const tw_sde_equation *equation, const tw_sde_desc *desc, int64_t rows,
                       double *x, const tw_sde_out *out, tw_sde_stats *out_stats)
{
    tw_status status = TW_OK;
    tw_sde *sde = NULL;
    char error[sizeof ctx->error];
    if (rows < 0 || (rows > 0 && !x))
        return tw_fail(ctx, TW_ERR_INVALID, "an SDE needs rows to start from, not %lld", (long long)rows);
    if (out && (out->kl || out->log_prob)) TW_TRY(tw_sde_check_invertible(ctx, equation, out->kl ? "kl" : "log_prob"));
    TW_TRY(tw_sde_create(ctx, equation, desc, tw_min_i64(rows, tw_sde_block(equation)), &sde));
    ctx->error[0] = 0;
    status = tw_sde_run(sde, desc ? desc->first_row : 0, rows, x, out, out_stats, error, sizeof error);
    /* A field that shares this context has already said what went wrong. */
    if (status != TW_OK && ctx->error[0] == 0) tw_fail(ctx, status, "%s", error);
done:
    tw_sde_destroy(sde);
    return status;
}

tw_status tw_sde_transition_log_prob(tw_context *ctx, const tw_sde_equation *equation, double t, double h, int64_t rows,
                                     const double *x, const double *y, double *out_log_prob)
{
    const tw_sde_desc desc = {.method = "euler", .t0 = t, .t1 = t + h, .steps = 1};
    tw_status status = TW_OK;
    tw_sde *sde = NULL;
    TW_TRY(tw_sde_check_invertible(ctx, equation, "log_prob"));
    if (!(h > 0)) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "a transition needs a step above 0, not %g", h));
    TW_TRY(tw_sde_create(ctx, equation, &desc, rows, &sde));
    sde->rows = rows;
    memset(out_log_prob, 0, (size_t)rows * sizeof *out_log_prob);
    TW_TRY(tw_sde_drift(sde, t, x, sde->f[0]));
    TW_TRY(tw_sde_diffusion(sde, t, x, sde->g[0]));
    tw_sde_log_prob(sde, t, h, x, sde->f[0], sde->g[0], y, out_log_prob);
    if (sde->stats.failed)
        TW_TRY(tw_fail(ctx, TW_ERR_NUMERIC, "%lld of %lld transitions have no density: %s",
                       (long long)sde->stats.failed, (long long)rows, sde->failure.why));
done:
    tw_sde_destroy(sde);
    return status;
}
