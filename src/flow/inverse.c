/* flow/inverse.c - methods of linear inverse problems: what each asks of the residual of the data point expected
 * (flow/inverses.def), and where it begins.
 *
 * OT-ODE begins late, at alpha A'y + sigma eps in its paper. Here A'y is replaced by a draw of the posterior that data
 * N(0, I) would have - flows see standardised data -, by Matheron's rule z + A'(S + A A')^{-1}(y - A z - e): with the
 * mean and the spread that are right for such data, so that beginning late then costs nothing at all. */
#include "flow/inverse.h"

#include "flow/flow.h"
#include "flow/journey.h"
#include "flow/observation.h"
#include "flow/steer.h"

#include "base/streams.h"

#include <math.h>
#include <string.h>

/* spread < 0: of no account; over: divide by the length of the residual. */
typedef struct ask {
    double spread, factor;
    bool over;
} ask;

static ask ot_ode_ask(const double *value, const tw_steer_step *s)
{
    double alpha = s->at.alpha, sigma = s->at.sigma, size2 = alpha * alpha + sigma * sigma;
    (void)value;
    return (ask){.spread = sigma * sigma / size2, .factor = s->rate * s->h};
}

static ask pigdm_ask(const double *value, const tw_steer_step *s)
{
    double alpha = s->at.alpha, sigma = s->at.sigma, size2 = alpha * alpha + sigma * sigma;
    ask a = ot_ode_ask(value, s);
    a.factor *= sqrt(alpha / size2);
    return a;
}

static ask dps_ask(const double *value, const tw_steer_step *s)
{
    (void)s;
    return (ask){.spread = -1, .factor = 2 * value[0], .over = true};
}

static ask flowchef_ask(const double *value, const tw_steer_step *s)
{
    (void)s;
    return (ask){.spread = -1, .factor = 2 * value[0]};
}

static ask descent_ask(const double *value, const tw_steer_step *s)
{
    return flowchef_ask(value, s);
}

static const struct {
    tw_piece_info info;
    ask (*ask)(const double *value, const tw_steer_step *s);
    bool pulled;
} inverses[] = {
#define TW_INVERSE(name, about, source, pulled, parameters) {{#name, about, source, parameters}, name##_ask, pulled},
#include "flow/inverses.def"
};

const tw_piece_info *tw_inverse_list(int index)
{
    return index >= 0 && index < TW_COUNT(inverses) ? &inverses[index].info : NULL;
}

typedef struct problem {
    tw_observation observation;
    tw_piece piece;
} problem;

static tw_status push(const void *user, const tw_steer_step *step, int64_t first, int64_t rows, double *x1, double *out)
{
    const problem *p = user;
    const tw_observation *o = &p->observation;
    const ask a = inverses[p->piece.row].ask(p->piece.value, step);
    for (int64_t i = 0; i < rows; i++) {
        double *g = out + i * o->columns,
               length = sqrt(tw_observation_pull(o, first + i, x1 + i * o->columns, a.spread, NULL, g));
        double factor = a.over ? a.factor / fmax(length, 1e-12) : a.factor;
        for (int j = 0; j < o->columns; j++) g[j] *= factor;
    }
    return TW_OK;
}

/* Rows where the walk begins, at time t. */
static tw_status begin(tw_flow *flow, const problem *p, double t, int64_t n, uint64_t seed, double *x)
{
    const tw_observation *o = &p->observation;
    const tw_piece *source = flow->model.source;
    tw_schedule_point at = tw_schedule_at(tw_flow_schedule(flow), t);
    int columns = o->columns;
    double *noise = tw_alloc(flow->ctx, 2 * (size_t)columns + (size_t)o->width, sizeof(double));
    if (!noise) return tw_fail_memory(flow->ctx, (size_t)columns * sizeof(double));
    double *g = noise, *z = noise + columns, *e = z + columns;
    for (int64_t i = 0; i < n; i++) {
        double *row = x + i * columns;
        tw_source_row(source, seed, TW_STREAM_SAMPLE, i, columns, row);
        tw_source_row(source, seed, TW_STREAM_GUESS, i, columns, z);
        tw_source_row(source, seed, TW_STREAM_GUESS + (1 << 8), i, o->width, e);
        for (int k = 0; k < o->width; k++) e[k] *= sqrt(o->variance[k]);
        tw_observation_pull(o, i, z, 1, e, g);
        for (int j = 0; j < columns; j++) row[j] = at.alpha * (z[j] + g[j]) + at.sigma * row[j];
    }
    tw_free(flow->ctx, noise);
    return TW_OK;
}

/* What was observed without noise is known, not sampled. */
static void put_back(const tw_flow *flow, int64_t n, const tw_inverse_desc *desc, double *out)
{
    int columns = flow->desc.columns;
    for (int64_t i = 0; i < n * columns; i++) {
        double known = desc->observed[desc->same_observed ? i % columns : i];
        if (!isnan(known) && !flow->constant[i % columns]) out[i] = known;
    }
}

tw_status tw_flow_inverse(tw_flow *flow, int64_t n, const tw_sample_desc *desc, const tw_inverse_desc *inverse,
                          double *out, tw_ode_stats *out_stats)
{
    problem p = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_steer_check(flow, n, desc));
    if (strcmp(flow->desc.source, "normal") != 0)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "inverse problems need a flow of source 'normal', not '%s'",
                       flow->desc.source));
    TW_TRY(
        tw_piece_read(flow->ctx, "inverse", inverse->method ? inverse->method : "ot_ode", tw_inverse_list, &p.piece));
    TW_TRY(tw_observation_make(flow, n, inverse, &p.observation));
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    tw_steering steering = {.push = push, .user = &p, .pulled = inverses[p.piece.row].pulled};
    bool late = strcmp(p.piece.info->parameters[0].name, "start") == 0;
    tw_ode_desc times = {.t0 = late ? p.piece.value[0] : 0, .t1 = 1};
    tw_journey_hold(flow, &times);
    steering.start = times.t0;
    TW_TRY(begin(flow, &p, times.t0, n, desc ? desc->seed : 0, out));
    TW_TRY(tw_steer(flow, n, desc, &steering, out, out_stats));
    tw_flow_to_data_units(flow, n, out, out);
    if (inverse->noise == 0 && !inverse->matrix) put_back(flow, n, inverse, out);
done:
    tw_observation_free(flow->ctx, &p.observation);
    tw_piece_free(flow->ctx, &p.piece);
    return status;
}
