/* solve/sampler.c - see sampler.h.
 *
 * With y = x / scale and a time tau of the path's own, the flow of an affine path is dy/dtau = F, and F is something a
 * network can predict - no term is left that is known beforehand (Lu et al. 2022; Zhang, Chen 2023):
 *
 *   F           scale                   tau
 *   x_1         sigma                   alpha / sigma
 *   x_0         alpha                   sigma / alpha
 *   x_1 - x_0   alpha + sigma           alpha / (alpha + sigma)
 *   v           |alpha, sigma|          the angle of alpha to sigma, v = (sigma x_1 - alpha x_0) / |alpha, sigma|
 *   velocity    1                       t
 *
 * A sampler extrapolates F from its last steps, by a polynomial of a place that need not be tau, and integrates that
 * over the step; a corrector does so again with F at the end. `half`: the slope over a step counts as if its mean were
 * that of its middle, as the papers of DPM-Solver++ and UniPC have it. */
#include "solve/sampler.h"

#include "solve/ode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { NODES = 3, TAYLOR_MARGIN_INVERSE = 100 };

typedef enum { F_X1, F_X0, F_DIFFERENCE, F_V, F_VELOCITY, F_TAYLOR } prediction;
typedef enum { PLACE_TIME, PLACE_LOG, PLACE_CLOCK } place; /* tau, log tau, t */

typedef struct rule {
    tw_ode_method_info info;
    prediction predicts;
    place place;
    int nodes, corrector; /* values of F used; 0: no corrector */
    bool half;
} rule;

static const rule rules[] = {
#define TW_SAMPLER(name, about, source, order, evaluations, predicts, place, nodes, corrector, half)                   \
    {{#name, about, source, order, evaluations, false, 0, false}, F_##predicts, PLACE_##place, nodes, corrector, half},
#include "solve/samplers.def"
};

const tw_ode_method_info *tw_sampler_at(int index)
{
    return index >= 0 && index < TW_COUNT(rules) ? &rules[index].info : NULL;
}

static const rule *find(const char *name)
{
    for (int i = 0; name && i < TW_COUNT(rules); i++)
        if (strcmp(rules[i].info.name, name) == 0) return &rules[i];
    return NULL;
}

const tw_ode_method_info *tw_sampler_find(const char *name)
{
    const rule *r = find(name);
    return r ? &r->info : NULL;
}

bool tw_sampler_lands(const tw_ode_method_info *sampler)
{
    const rule *r = find(sampler->name);
    return r && r->predicts < F_VELOCITY;
}

/* --- a point of the path ------------------------------------------------------------------------------------------ */

typedef struct point {
    double t, tau, place, scale;
    tw_schedule_point at;
} point;

struct tw_sampler {
    tw_context *ctx;
    const rule *rule;
    const tw_schedule *schedule;
    int64_t block, steps;
    int moving, columns;
    void *memory;
    double *times;      /* (steps + 1) */
    double *clock;      /* (block) */
    double *u, *next;   /* (block, columns) */
    double *x1, *x0;    /* what the last evaluation says */
    double *f[NODES];   /* F, the newest first */
    double node[NODES]; /* and their places */
    int nodes;
};

static double place_of(const tw_sampler *s, double tau, double t)
{
    switch (s->rule->place) {
    case PLACE_LOG:
        return log(tau);
    case PLACE_CLOCK:
        return t;
    default:
        return tau;
    }
}

static point point_at(const tw_sampler *s, double t)
{
    point p = {.t = t, .tau = t, .scale = 1, .at = tw_schedule_at(s->schedule, t)};
    double a = p.at.alpha, b = p.at.sigma;
    switch (s->rule->predicts) {
    case F_X1:
        p.scale = b;
        p.tau = a / b;
        break;
    case F_X0:
        p.scale = a;
        p.tau = b / a;
        break;
    case F_DIFFERENCE:
        p.scale = a + b;
        p.tau = a / (a + b);
        break;
    case F_V:
        p.scale = hypot(a, b);
        p.tau = atan2(a, b);
        break;
    default:
        break;
    }
    p.place = place_of(s, p.tau, t);
    return p;
}

/* --- weights -------------------------------------------------------------------------------------------------------
 */

/* t at a tau within a step; only noise is extrapolated in t. */
static double clock_at(const tw_sampler *s, double tau)
{
    return s->rule->place == PLACE_CLOCK ? tw_schedule_time(s->schedule, -2 * log(tau)) : 0;
}

/* Gauss's eight points on [-1,1]: exact for polynomials of tau, and to ten digits for those of log tau and t over steps
 * that change tau by less than a factor of five. */
static const double gauss_place[] = {0.18343464249564980494, 0.52553240991632898582, 0.79666647741362673959,
                                     0.96028985649753623168};
static const double gauss_share[] = {0.36268378337836198297, 0.31370664587788728734, 0.22238103445337447054,
                                     0.10122853629037625915};

/* w[i] = the integral over tau of the polynomial that is 1 at node i and 0 at the others. */
static void integrate(const tw_sampler *s, const point *from, const point *to, int count, const double *node, double *w)
{
    double middle = 0.5 * (from->tau + to->tau), half = 0.5 * (to->tau - from->tau);
    memset(w, 0, (size_t)count * sizeof *w);
    if (count == 1) {
        w[0] = 2 * half;
        return;
    }
    for (int q = 0; q < 8; q++) {
        double tau = middle + half * (q % 2 ? gauss_place[q / 2] : -gauss_place[q / 2]);
        double p = place_of(s, tau, clock_at(s, tau));
        for (int i = 0; i < count; i++) {
            double basis = half * gauss_share[q / 2];
            for (int j = 0; j < count; j++)
                if (j != i) basis *= (p - node[j]) / (node[i] - node[j]);
            w[i] += basis;
        }
    }
}

/* Weights of values at `node`; `base` is the one where the step begins, of two. */
static void weigh(const tw_sampler *s, const point *from, const point *to, int count, const double *node, int base,
                  double *w)
{
    if (!s->rule->half || count != 2) {
        integrate(s, from, to, count, node, w);
        return;
    }
    double whole = to->tau - from->tau;
    w[1 - base] = 0.5 * whole * (to->place - node[base]) / (node[1 - base] - node[base]);
    w[base] = whole - w[1 - base];
}

/* Whether the rule's own variables are numbers all along the step. */
static bool regular(const point *from, const point *to)
{
    return from->scale > 0 && to->scale > 0 && isfinite(from->tau) && isfinite(to->tau);
}

/* --- steps ---------------------------------------------------------------------------------------------------------
 */

static tw_status ask(tw_sampler *s, tw_field_fn field, void *user, int64_t rows, double t, const double *x, double *out)
{
    for (int64_t i = 0; i < rows; i++) s->clock[i] = t;
    return field(user, rows, s->clock, x, out);
}

/* u = alpha' x_1 + sigma' x_0 and x = alpha x_1 + sigma x_0, solved for both points. Where the path stands still these
 * are one equation, and the least points are taken (path/convert.h). */
static void split(tw_sampler *s, int64_t rows, const tw_schedule_point *at, const double *x)
{
    tw_schedule_point still = {at->alpha, at->sigma, at->sigma, -at->alpha};
    double d = at->d_alpha * at->sigma - at->d_sigma * at->alpha;
    if (d == 0) {
        memset(s->u, 0, (size_t)(rows * s->columns) * sizeof *s->u);
        at = &still;
        d = at->alpha * at->alpha + at->sigma * at->sigma;
    }
    for (int64_t i = 0; i < rows * s->columns; i++) {
        s->x1[i] = (at->sigma * s->u[i] - at->d_sigma * x[i]) / d;
        s->x0[i] = (at->d_alpha * x[i] - at->alpha * s->u[i]) / d;
    }
}

/* Makes room for the newest F and fills it. */
static void remember(tw_sampler *s, int64_t rows, const point *p)
{
    int64_t keep = tw_max_i64(s->rule->nodes, s->rule->corrector);
    double *oldest = s->f[NODES - 1], a = 1, b = 0, size = hypot(p->at.alpha, p->at.sigma);
    for (int j = NODES - 1; j > 0; j--) {
        s->f[j] = s->f[j - 1];
        s->node[j] = s->node[j - 1];
    }
    s->f[0] = oldest;
    s->node[0] = p->place;
    /* a place at infinity tells a polynomial nothing */
    s->nodes = s->nodes > 0 && !isfinite(s->node[1]) ? 1 : (int)tw_min_i64(s->nodes + 1, keep);
    if (s->rule->predicts >= F_VELOCITY) {
        memcpy(oldest, s->u, (size_t)(rows * s->columns) * sizeof *oldest);
        return;
    }
    if (s->rule->predicts == F_X0) a = 0, b = 1;
    if (s->rule->predicts == F_DIFFERENCE) b = -1;
    if (s->rule->predicts == F_V) a = p->at.sigma / size, b = -p->at.alpha / size;
    for (int64_t i = 0; i < rows * s->columns; i++) oldest[i] = a * s->x1[i] + b * s->x0[i];
}

static tw_status evaluate(tw_sampler *s, tw_field_fn field, void *user, int64_t rows, const point *p, const double *x)
{
    tw_status status = ask(s, field, user, rows, p->t, x, s->u);
    if (status != TW_OK) return status;
    if (s->rule->predicts < F_VELOCITY) split(s, rows, &p->at, x);
    remember(s, rows, p);
    return TW_OK;
}

/* next = scale (x / scale + sum of w F), of the columns that move. */
static void advance(const tw_sampler *s, int64_t rows, const point *from, const point *to, int first, int count,
                    const double *w, const double *x)
{
    double ratio = to->scale / from->scale;
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = r * s->columns; i < r * s->columns + s->moving; i++) {
            double sum = 0;
            for (int j = 0; j < count; j++) sum += w[j] * s->f[first + j][i];
            s->next[i] = ratio * x[i] + to->scale * sum;
        }
}

/* next = alpha x_1 + sigma x_0: the step of order 1 of every rule, without a division. */
static void land(const tw_sampler *s, int64_t rows, const point *to)
{
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = r * s->columns; i < r * s->columns + s->moving; i++)
            s->next[i] = to->at.alpha * s->x1[i] + to->at.sigma * s->x0[i];
}

/* x + h u + h^2/2 u', u' along the path by a difference that stays within the step. */
static tw_status taylor(tw_sampler *s, tw_field_fn field, void *user, int64_t rows, const point *from, const point *to,
                        const double *x)
{
    double h = to->t - from->t, d = copysign(fmin(1.0 / TAYLOR_MARGIN_INVERSE, fabs(h)), h);
    double w[] = {h};
    for (int64_t i = 0; i < rows * s->columns; i++) s->x1[i] = x[i] + d * s->f[0][i];
    tw_status status = ask(s, field, user, rows, fabs(d) < fabs(h) ? from->t + d : to->t, s->x1, s->x0);
    advance(s, rows, from, to, 0, 1, w, x);
    for (int64_t r = 0; r < rows; r++)
        for (int64_t i = r * s->columns; i < r * s->columns + s->moving; i++)
            s->next[i] += 0.5 * h * (h / d) * (s->x0[i] - s->f[0][i]);
    return status;
}

static tw_status predict(tw_sampler *s, tw_field_fn field, void *user, int64_t rows, const point *from, const point *to,
                         const double *x)
{
    double w[NODES];
    if (s->rule->predicts == F_TAYLOR) return taylor(s, field, user, rows, from, to, x);
    if (!regular(from, to)) {
        land(s, rows, to);
        return TW_OK;
    }
    int count = isfinite(from->place) && isfinite(to->place) ? (int)tw_min_i64(s->nodes, s->rule->nodes) : 1;
    weigh(s, from, to, count, s->node, 0, w);
    advance(s, rows, from, to, 0, count, w, x);
    return TW_OK;
}

/* next again, with F at its end, which is the newest. */
static void correct(tw_sampler *s, int64_t rows, const point *from, const point *to, const double *x)
{
    double w[NODES];
    int count = (int)tw_min_i64(s->nodes, s->rule->corrector);
    if (count < 2 || !regular(from, to)) return;
    weigh(s, from, to, count, s->node, 1, w);
    advance(s, rows, from, to, 0, count, w, x);
}

static tw_status journey(tw_sampler *s, tw_field_fn field, void *user, int64_t rows, double *x, tw_ode_stats *stats)
{
    tw_status status = TW_OK;
    const rule *r = s->rule;
    size_t bytes = (size_t)(rows * s->columns) * sizeof *x;
    point from = point_at(s, s->times[0]);
    s->nodes = 0;
    memcpy(s->next, x, bytes);
    TW_TRY(evaluate(s, field, user, rows, &from, x));
    stats->nfe = 1;
    for (int64_t n = 0; n < s->steps; n++) {
        point to = point_at(s, s->times[n + 1]);
        bool last = n + 1 == s->steps;
        TW_TRY(predict(s, field, user, rows, &from, &to, x));
        stats->nfe += r->predicts == F_TAYLOR;
        if (!last || (r->corrector && !tw_sampler_lands(&r->info))) {
            TW_TRY(evaluate(s, field, user, rows, &to, s->next));
            stats->nfe++;
            if (r->corrector) correct(s, rows, &from, &to, x);
        }
        memcpy(x, s->next, bytes);
        from = to;
    }
done:
    return status;
}

/* --- making and running ----------------------------------------------------------------------------------------------
 */

static tw_status count_steps(tw_context *ctx, const tw_ode_desc *d, int64_t *out_steps)
{
    enum { STANDARD = 50, MOST = 1000000 };
    double steps = d->steps > 0 ? d->steps : STANDARD, span = fabs(d->t1 - d->t0);
    if ((d->steps != 0) + (d->step_size != 0) + (d->time_grid != NULL) > 1)
        return tw_fail(ctx, TW_ERR_INVALID, "give the sampler steps, step_size or time_grid, not both");
    if (!(d->steps >= 0 && d->step_size >= 0))
        return tw_fail(ctx, TW_ERR_INVALID, "%d steps of size %g of a sampler", d->steps, d->step_size);
    if (d->step_size > 0) steps = fmax(1, ceil(span / d->step_size - 1e-6));
    if (d->time_grid) steps = (double)d->time_grid_count - 1;
    if (!(steps >= 1 && steps <= MOST))
        return tw_fail(ctx, TW_ERR_INVALID, "%.0f steps of a sampler: expected 1 to %d", steps, MOST);
    *out_steps = (int64_t)steps;
    return TW_OK;
}

static void fill_times(tw_sampler *s, const tw_ode_desc *d, double end)
{
    for (int64_t n = 0; n < s->steps; n++) {
        double way = d->step_size > 0 ? copysign((double)n * d->step_size, d->t1 - d->t0)
                                      : (d->t1 - d->t0) * ((double)n / (double)s->steps);
        s->times[n] = d->time_grid ? d->time_grid[n] : d->t0 + way;
    }
    s->times[s->steps] = tw_sampler_lands(&s->rule->info) ? end : d->time_grid ? d->time_grid[s->steps] : d->t1;
}

static void lay_out(tw_sampler *s, tw_layout *l)
{
    double **arrays[] = {&s->u, &s->next, &s->x1, &s->x0, &s->f[0], &s->f[1], &s->f[2]};
    for (int i = 0; i < TW_COUNT(arrays); i++) *arrays[i] = tw_layout_take(l, s->block, s->columns, sizeof(double));
    s->clock = tw_layout_take(l, s->block, 1, sizeof(double));
    s->times = tw_layout_take(l, s->steps + 1, 1, sizeof(double));
}

tw_status tw_sampler_create(tw_context *ctx, const tw_ode_desc *solver, const tw_schedule *schedule, double end,
                            int64_t rows, int moving, int columns, tw_sampler **out_sampler)
{
    tw_status status = TW_OK;
    tw_layout l = {0};
    tw_sampler *s = tw_alloc(ctx, 1, sizeof *s);
    if (!s) return tw_fail_memory(ctx, sizeof *s);
    *s = (tw_sampler){.ctx = ctx,
                      .rule = find(solver->method),
                      .schedule = schedule,
                      .block = rows,
                      .moving = moving,
                      .columns = columns};
    if (!s->rule) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "no sampler is called '%s'", solver->method));
    TW_TRY(count_steps(ctx, solver, &s->steps));
    lay_out(s, &l);
    if (l.overflow)
        TW_TRY(tw_fail(ctx, TW_ERR_MEMORY, "a sampler of %lld rows does not fit in memory", (long long)rows));
    s->memory = tw_alloc_aligned(ctx, (size_t)l.used);
    if (!s->memory) TW_TRY(tw_fail_memory(ctx, (size_t)l.used));
    l = (tw_layout){.base = s->memory};
    lay_out(s, &l);
    fill_times(s, solver, end);
    *out_sampler = s;
    s = NULL;
done:
    tw_sampler_destroy(s);
    return status;
}

void tw_sampler_destroy(tw_sampler *sampler)
{
    if (!sampler) return;
    tw_free_aligned(sampler->ctx, sampler->memory);
    tw_free(sampler->ctx, sampler);
}

tw_status tw_sampler_run(tw_sampler *s, tw_field_fn field, void *user, int64_t rows, double *x, tw_ode_stats *out_stats,
                         char *error, size_t size)
{
    const char *name = s->rule->info.name;
    tw_ode_stats stats = {0};
    int64_t first = -1;
    bool still = s->times[0] == s->times[s->steps];
    tw_status status = still || rows == 0 ? TW_OK : journey(s, field, user, rows, x, &stats);
    for (int64_t r = 0; r < rows && status == TW_OK; r++) {
        if (tw_ode_finite(x + r * s->columns, s->moving)) continue;
        stats.failed++;
        if (first < 0) first = r;
    }
    stats.nfe_mean = (double)stats.nfe;
    stats.calls = stats.nfe;
    stats.evaluations = stats.nfe * rows;
    stats.accepted = still ? 0 : s->steps * rows;
    if (out_stats) *out_stats = stats;
    if (status != TW_OK && error)
        snprintf(error, size, "%s: the field could not be evaluated (%s)", name, tw_status_text(status));
    if (stats.failed == 0) return status;
    if (error)
        snprintf(error, size, "%s: %lld of %lld rows did not stay finite; the first is row %lld", name,
                 (long long)stats.failed, (long long)rows, (long long)first);
    return TW_ERR_NUMERIC;
}
