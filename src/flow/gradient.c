/* flow/gradient.c - see gradient.h: samples from source points, the loss of them, and its derivative back through every
 * step. Blocks of rows go with one thread each, as they do in sampling; parameters' gradients are summed block after
 * block. */
#include "flow/gradient.h"

#include "base/pool.h"
#include "flow/likelihood.h"

#include <string.h>

struct tw_leg {
    tw_status status;
    tw_ode_stats stats;
    char error[400];
};

enum { WAVE = 16 }; /* blocks whose gradients in the weights are held at once */

/* --- a block -------------------------------------------------------------------------------------------------------
 */

static tw_status field(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    return tw_worker_field(((tw_both_ways *)user)->there, rows, t, x, out_dx);
}

static tw_status pull(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                      double *dweights)
{
    return tw_worker_pull(((tw_both_ways *)user)->back, rows, t, x, w, out_dx, dweights);
}

tw_ode_equation tw_both_ways_equation(const tw_crew *there, bool weights)
{
    return (tw_ode_equation){.columns = there->columns,
                             .params = weights ? tw_params_size(there->flow->params) : 0,
                             .field = field,
                             .vjp = pull};
}

typedef struct wave {
    tw_two_way *w;
    int64_t first;
    bool back;
} wave;

static void run_block(void *user, int64_t item, int thread)
{
    const wave *v = user;
    tw_two_way *w = v->w;
    int64_t number = v->first + item, begin = number * w->block, rows = tw_min_i64(w->block, w->n - begin);
    struct tw_leg *leg = &w->leg[number];
    tw_ode_tape *tape = w->tape[number];
    double *state = w->journey.state + begin * w->journey.crew->columns;
    double *gradients = w->weights ? w->gradients + item * tw_params_size(w->flow->params) : NULL;
    tape->equation.user = &w->workers[thread];
    leg->status = v->back
                      ? tw_ode_tape_gradient(tape, NULL, state, gradients, &leg->stats, leg->error, sizeof leg->error)
                      : tw_ode_tape_run(tape, rows, state, NULL, &leg->stats, leg->error, sizeof leg->error);
}

tw_status tw_two_way_travel(tw_two_way *w, bool back, double *dweights)
{
    tw_context *ctx = w->flow->ctx;
    int64_t size = tw_params_size(w->flow->params);
    for (int64_t first = 0; first < w->blocks; first += WAVE) {
        int64_t count = tw_min_i64(WAVE, w->blocks - first);
        wave v = {.w = w, .first = first, .back = back};
        if (back && w->weights) memset(w->gradients, 0, (size_t)(count * size) * sizeof(double));
        tw_pool_run(ctx->pool, count, run_block, &v);
        for (int64_t i = 0; back && w->weights && i < count * size; i++) dweights[i % size] += w->gradients[i];
    }
    for (int64_t i = 0; i < w->blocks; i++) {
        int64_t begin = i * w->block, rows = tw_min_i64(w->block, w->n - begin);
        tw_crew_add_stats(&w->stats, &w->leg[i].stats, (double)rows / (double)w->n);
        if (w->leg[i].status != TW_OK)
            return tw_fail(ctx, w->leg[i].status, "rows %lld to %lld: %s", (long long)begin + 1,
                           (long long)(begin + rows), w->leg[i].error);
    }
    return TW_OK;
}

/* --- all rows ------------------------------------------------------------------------------------------------------
 */

static tw_status check(const tw_two_way *w)
{
    tw_context *ctx = w->flow->ctx;
    const tw_sample_desc *s = w->desc.sample;
    if (w->n < 0 || (!w->density && !w->desc.loss))
        return tw_fail(ctx, TW_ERR_INVALID, "a gradient of %lld rows needs a loss", (long long)w->n);
    if (s && (s->diffusion || s->jumps != 0 || s->frames > 1 || s->from || s->log_density || s->log_prob))
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "a gradient goes %s: without diffusion, jumps, frames, densities or rows to begin at",
                       w->density ? "from data to the source" : "from source points to samples");
    return tw_flow_need_flat(w->flow, "gradients");
}

static tw_status make_memory(tw_two_way *w)
{
    tw_context *ctx = w->flow->ctx;
    size_t n = (size_t)tw_max_i64(w->n, 1), row = (size_t)w->flow->desc.columns * sizeof(double);
    size_t blocks = (size_t)tw_max_i64(w->blocks, 1);
    size_t parameters = (size_t)tw_params_size(w->flow->params) * sizeof(double);
    w->told = tw_alloc(ctx, n, (size_t)w->journey.crew->columns * sizeof(double));
    w->x1 = tw_alloc(ctx, n, row);
    w->dx = tw_alloc(ctx, n, row);
    w->tape = tw_alloc(ctx, blocks, sizeof(tw_ode_tape *));
    w->leg = tw_alloc(ctx, blocks, sizeof(struct tw_leg));
    w->workers = tw_alloc(ctx, (size_t)w->back->count, sizeof(tw_both_ways));
    if (w->weights) w->gradients = tw_alloc(ctx, blocks < WAVE ? blocks : WAVE, parameters);
    if (!w->told || !w->x1 || !w->dx || !w->tape || !w->leg || !w->workers || (w->weights && !w->gradients))
        return tw_fail_memory(ctx, n * row);
    return TW_OK;
}

static tw_status make_tapes(tw_two_way *w, tw_ode_desc *solver)
{
    tw_crew *there = w->journey.crew;
    tw_status status = TW_OK;
    tw_ode_equation equation = tw_both_ways_equation(there, w->weights);
    if (solver->error_columns == 0) solver->error_columns = w->flow->desc.columns + w->density;
    int threads = w->blocks > 1 ? there->count : 1;
    TW_TRY(tw_crew_ready(there, threads));
    TW_TRY(tw_crew_ready(w->back, threads));
    for (int i = 0; i < threads; i++) w->workers[i] = (tw_both_ways){&there->worker[i], &w->back->worker[i]};
    size_t share = w->desc.memory > 0 ? w->desc.memory / (size_t)tw_max_i64(w->blocks, 1) + 1 : 0;
    for (int64_t i = 0; i < w->blocks; i++)
        TW_TRY(tw_ode_tape_create(w->flow->ctx, solver, &equation, tw_min_i64(w->block, w->n - i * w->block), share,
                                  &w->tape[i]));
done:
    return status;
}

/* The solver of the way there: its times, its grid. */
static tw_status make_solver(tw_two_way *w, tw_ode_desc *out_solver)
{
    const tw_sample_desc *s = w->desc.sample;
    tw_flow *flow = w->flow;
    tw_status status = TW_OK;
    if (w->density) return tw_likelihood_solver(flow, s, out_solver);
    *out_solver = tw_journey_solver(s);
    TW_TRY(tw_journey_check(flow, out_solver));
    if (out_solver->t0 != 0)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "a gradient begins at the source, t=0, not at t=%g", out_solver->t0));
    TW_TRY(tw_flow_use_schedule(flow, s ? s->schedule : NULL));
    tw_journey_hold(flow, out_solver);
    TW_TRY(tw_flow_grid_make(flow, s ? s->grid : NULL, out_solver, &w->grid));
    tw_flow_grid_use(&w->grid, out_solver);
done:
    return status;
}

tw_flow_second tw_two_way_back(bool density, bool weights)
{
    if (density) return weights ? TW_FLOW_PULL_DENSITY_ALL : TW_FLOW_PULL_DENSITY;
    return weights ? TW_FLOW_PULL_ALL : TW_FLOW_PULL;
}

tw_status tw_two_way_open(tw_flow *flow, const tw_flow_gradient_desc *desc, bool density, int64_t n, bool weights,
                          tw_two_way *w)
{
    const tw_sample_desc *s = desc->sample;
    tw_ode_desc solver;
    tw_status status = TW_OK;
    *w = (tw_two_way){.flow = flow, .desc = *desc, .n = n, .weights = weights, .density = density};
    TW_TRY(check(w));
    TW_TRY(make_solver(w, &solver));
    w->scale = tw_journey_scale(flow);
    TW_TRY(tw_journey_begin(flow, s, density ? TW_FLOW_DIVERGENCE : TW_FLOW_ALONE, n, NULL, &w->journey));
    TW_TRY(tw_crew_get(flow, tw_two_way_back(density, weights), s && s->double_precision, &w->back));
    w->block = tw_crew_block(w->journey.crew, n);
    w->blocks = (n + w->block - 1) / w->block;
    TW_TRY(make_memory(w));
    size_t bytes = (size_t)n * (size_t)w->journey.crew->columns * sizeof(double);
    if (w->journey.state)
        memcpy(w->told, w->journey.state, bytes);
    else
        w->journey.state = tw_alloc(flow->ctx, (size_t)tw_max_i64(n, 1), (size_t)flow->desc.columns * sizeof(double));
    w->journey.owned = true;
    if (!w->journey.state) TW_TRY(tw_fail_memory(flow->ctx, bytes));
    TW_TRY(make_tapes(w, &solver));
done:
    if (status != TW_OK) tw_two_way_close(w);
    return status;
}

void tw_two_way_close(tw_two_way *w)
{
    tw_context *ctx = w->flow->ctx;
    for (int64_t i = 0; w->tape && i < w->blocks; i++) tw_ode_tape_destroy(w->tape[i]);
    tw_free(ctx, w->tape);
    tw_free(ctx, w->leg);
    tw_free(ctx, w->workers);
    tw_free(ctx, w->told);
    tw_free(ctx, w->x1);
    tw_free(ctx, w->dx);
    tw_free(ctx, w->gradients);
    tw_flow_grid_free(ctx, &w->grid);
    if (w->journey.flow) tw_journey_end(&w->journey);
    *w = (tw_two_way){.flow = w->flow};
}

tw_status tw_two_way_run(tw_two_way *w, const double *x0, double *out_loss, double *out_dx0, double *dweights)
{
    tw_flow *flow = w->flow;
    int64_t columns = flow->desc.columns, count = w->n * columns;
    tw_status status = TW_OK;
    memcpy(w->journey.state, w->told, (size_t)w->n * (size_t)w->journey.crew->columns * sizeof(double));
    for (int64_t i = 0; i < count; i++) w->dx[i] = w->scale * x0[i];
    tw_journey_give(&w->journey, w->dx);
    TW_TRY(tw_two_way_travel(w, false, NULL));
    tw_journey_take(&w->journey, w->x1);
    tw_flow_to_data_units(flow, w->n, w->x1, w->x1);
    flow->ctx->error[0] = 0;
    status = w->desc.loss(w->desc.user, w->n, w->x1, out_loss, w->dx);
    if (status != TW_OK) {
        if (flow->ctx->error[0] == 0)
            tw_fail(flow->ctx, status, "the loss of samples failed (%s)", tw_status_text(status));
        return status;
    }
    for (int64_t i = 0; i < count; i++) {
        int64_t j = i % columns;
        w->dx[i] *= flow->constant[j] ? 0 : flow->normaliser.scale[j];
    }
    memset(w->journey.state, 0, (size_t)w->n * (size_t)w->journey.crew->columns * sizeof(double));
    tw_journey_give(&w->journey, w->dx);
    TW_TRY(tw_two_way_travel(w, true, dweights));
    tw_journey_take(&w->journey, out_dx0);
    for (int64_t i = 0; i < count; i++) out_dx0[i] *= w->scale;
done:
    return status;
}

void tw_two_way_close_up(const tw_params *params, const double *flat, double *dweights)
{
    for (int i = 0; i < tw_params_count(params); i++) {
        int64_t size = tw_shape_size(tw_shape_at(tw_params_value(params, i)));
        const double *from = flat + tw_params_offset(params, i);
        for (int64_t j = 0; j < size; j++) *dweights++ += from[j];
    }
}

tw_status tw_flow_gradient(tw_flow *flow, const tw_flow_gradient_desc *desc, int64_t n, const double *x0,
                           double *out_x1, double *out_loss, double *out_dx0, double *dweights, tw_ode_stats *out_stats)
{
    tw_two_way w = {0};
    double *flat = NULL;
    tw_status status = TW_OK;
    size_t size = (size_t)tw_params_size(flow->params);
    if (dweights && !(flat = tw_alloc(flow->ctx, size, sizeof *flat)))
        return tw_fail_memory(flow->ctx, size * sizeof *flat);
    TW_TRY(tw_two_way_open(flow, desc, false, n, dweights != NULL, &w));
    TW_TRY(tw_two_way_run(&w, x0, out_loss, out_dx0, flat));
    if (out_x1) memcpy(out_x1, w.x1, (size_t)n * (size_t)flow->desc.columns * sizeof(double));
    if (dweights) tw_two_way_close_up(flow->params, flat, dweights);
    if (out_stats) *out_stats = w.stats;
done:
    if (w.flow) tw_two_way_close(&w);
    tw_free(flow->ctx, flat);
    return status;
}
