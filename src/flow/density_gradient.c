/* flow/density_gradient.c - log-densities and their derivatives, back through the way from data to source. With l(x, z)
 * the integral of the divergence along it, log p(x) = log p_0(z) + l: the derivative begins at the source as that of
 * log p_0, and 1 for the integral, which the transpose of (u, div u) takes back to the data (Chen et al. 2018, Neural
 * ODEs; Grathwohl et al. 2019, FFJORD). */
#include "flow/gradient.h"
#include "flow/likelihood.h"

#include <string.h>

typedef struct request {
    tw_flow *flow;
    const tw_density_gradient_desc *desc;
    int64_t n;
    const double *x;
    double *log_density; /* NULL: not wanted */
    double *dx;
    double *flat;   /* of the weights, as tw_params lays them out; NULL: not wanted */
    double *at_end; /* (n, crew columns) where the journeys ended */
    tw_ode_stats stats;
} request;

/* At the source: densities, and the state becomes what the loss's derivative is there. */
static tw_status turn(request *r, const tw_journey *j)
{
    int64_t columns = r->flow->desc.columns, stride = j->crew->columns;
    size_t bytes = (size_t)r->n * (size_t)stride * sizeof(double);
    if (r->log_density) tw_likelihood_take(j, r->x, r->log_density);
    r->at_end = tw_alloc(r->flow->ctx, (size_t)tw_max_i64(r->n, 1), (size_t)stride * sizeof(double));
    if (!r->at_end) return tw_fail_memory(r->flow->ctx, bytes);
    memcpy(r->at_end, j->state, bytes);
    tw_likelihood_slope(j, j->state);
    for (int64_t i = 0; r->desc->slopes && i < r->n; i++)
        for (int64_t k = 0; k <= columns; k++) j->state[i * stride + k] *= r->desc->slopes[i];
    return TW_OK;
}

static void take(const request *r, const tw_journey *j)
{
    const tw_flow *flow = r->flow;
    int64_t columns = flow->desc.columns;
    for (int64_t i = 0; i < r->n; i++)
        for (int64_t k = 0; k < columns; k++)
            r->dx[i * columns + k] =
                flow->constant[k] ? 0 : j->state[i * j->crew->columns + k] / flow->normaliser.scale[k];
}

static tw_status by_tape(request *r)
{
    const tw_flow_gradient_desc desc = {.sample = r->desc->sample, .memory = r->desc->memory};
    tw_two_way w = {0};
    tw_status status = TW_OK;
    TW_TRY(tw_two_way_open(r->flow, &desc, true, r->n, r->flat != NULL, &w));
    TW_TRY(tw_likelihood_give(&w.journey, r->x));
    TW_TRY(tw_two_way_travel(&w, false, NULL));
    TW_TRY(turn(r, &w.journey));
    TW_TRY(tw_two_way_travel(&w, true, r->flat));
    take(r, &w.journey);
    r->stats = w.stats;
done:
    if (w.flow) tw_two_way_close(&w);
    return status;
}

static tw_status by_adjoint(request *r)
{
    const tw_sample_desc *s = r->desc->sample;
    tw_flow *flow = r->flow;
    tw_journey j = {0};
    tw_crew *back = NULL;
    tw_ode_desc solver;
    tw_ode_stats stats;
    tw_status status = TW_OK;
    TW_TRY(tw_likelihood_solver(flow, s, &solver));
    TW_TRY(tw_journey_begin(flow, s, TW_FLOW_DIVERGENCE, r->n, NULL, &j));
    TW_TRY(tw_likelihood_give(&j, r->x));
    TW_TRY(tw_journey_travel(&j, &solver, NULL, s));
    TW_TRY(turn(r, &j));
    TW_TRY(tw_crew_get(flow, tw_two_way_back(true, r->flat != NULL), s && s->double_precision, &back));
    TW_TRY(tw_crew_ready(j.crew, 1));
    TW_TRY(tw_crew_ready(back, 1));
    tw_both_ways workers = {&j.crew->worker[0], &back->worker[0]};
    tw_ode_equation equation = tw_both_ways_equation(j.crew, r->flat != NULL);
    equation.user = &workers;
    const tw_ode_adjoint_desc adjoint = {.solver = &solver, .seminorm = r->desc->seminorm};
    TW_TRY(tw_ode_adjoint(flow->ctx, &adjoint, &equation, r->n, r->at_end, j.state, r->flat, &stats));
    tw_crew_add_stats(&j.stats, &stats, 1);
    take(r, &j);
    r->stats = j.stats;
done:
    tw_journey_end(&j);
    return status;
}

tw_status tw_log_density_gradient(tw_flow *flow, const tw_density_gradient_desc *desc, int64_t n, const double *x,
                                  double *out_log_density, double *out_dx, double *dweights, tw_ode_stats *out_stats)
{
    static const tw_density_gradient_desc standard;
    request r = {.flow = flow, .desc = desc ? desc : &standard, .n = n, .x = x, .dx = out_dx};
    size_t size = (size_t)tw_params_size(flow->params), rows = (size_t)tw_max_i64(n, 1);
    tw_status status = TW_OK;
    if (n < 0) TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "a gradient of %lld rows", (long long)n));
    TW_TRY(tw_flow_need_flat(flow, "gradients of log-densities"));
    if (dweights && !(r.flat = tw_alloc(flow->ctx, size, sizeof *r.flat)))
        TW_TRY(tw_fail_memory(flow->ctx, size * sizeof *r.flat));
    if (out_log_density && !(r.log_density = tw_alloc(flow->ctx, rows, sizeof *r.log_density)))
        TW_TRY(tw_fail_memory(flow->ctx, rows * sizeof *r.log_density));
    TW_TRY(r.desc->adjoint ? by_adjoint(&r) : by_tape(&r));
    if (out_log_density) memcpy(out_log_density, r.log_density, (size_t)n * sizeof *out_log_density);
    if (dweights) tw_two_way_close_up(flow->params, r.flat, dweights);
    if (out_stats) *out_stats = r.stats;
done:
    tw_free(flow->ctx, r.flat);
    tw_free(flow->ctx, r.log_density);
    tw_free(flow->ctx, r.at_end);
    return status;
}
