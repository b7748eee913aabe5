/* flow/steer.c - see steer.h; and rewards. Blocks of rows go through all steps each in one thread, as when sampling. */
#include "flow/steer.h"

#include "flow/journey.h"

#include "base/pool.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

enum { STEPS = 100 };

/* Memory of a thread, for a block: of the solver's stride, but for x1 and g. */
typedef struct hand {
    double *time, *u, *x1, *g, *pull, *pulled;
} hand;

typedef struct walk {
    tw_journey journey;
    tw_crew *back; /* NULL unless pulled */
    const tw_steering *steering;
    const tw_schedule *schedule;
    double t0, t1;
    int64_t steps, block, first; /* rows of a block; number of the first block of the wave */
    hand *hand;
    tw_status *status; /* of the blocks of a wave */
} walk;

tw_status tw_steer_check(tw_flow *flow, int64_t n, const tw_sample_desc *d)
{
    if (n < 0) return tw_fail(flow->ctx, TW_ERR_INVALID, "%lld rows asked for", (long long)n);
    if (strcmp(flow->model.path->info.name, "affine") != 0)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED,
                       "steering needs the data point that a velocity means: an affine "
                       "path, not '%s'",
                       flow->model.path->info.name);
    if (!d) return TW_OK;
    if (d->solver.method && strcmp(d->solver.method, "euler") != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "a steered flow takes Euler's steps, not those of '%s'",
                       d->solver.method);
    if (d->solver.steps < 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%d steps: expected at least 1", d->solver.steps);
    if (d->diffusion || d->jumps != 0 || d->frames > 1 || d->from || d->held || d->log_density || d->log_prob || d->grid ||
        d->solver.step_size > 0 || d->solver.rtol > 0 || d->solver.atol > 0)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED,
                       "a steered flow takes equal steps from noise: without diffusion, jumps, frames, densities, grid, step "
                       "size, tolerances, rows to begin at or columns held");
    return TW_OK;
}

static tw_steer_step step_at(const walk *w, int64_t number)
{
    double h = (w->t1 - w->t0) / (double)w->steps, t = w->t0 + h * (double)number;
    tw_steer_step s = {.t = t, .h = h, .at = tw_schedule_at(w->schedule, t)};
    tw_schedule_point p = s.at.alpha > 0 ? s.at : tw_schedule_at(w->schedule, t + h / 2);
    s.rate = p.sigma * (p.sigma * p.d_alpha / p.alpha - p.d_sigma);
    s.plain = s.at.sigma * (s.at.sigma * s.at.d_alpha - s.at.alpha * s.at.d_sigma) /
              (s.at.alpha * s.at.alpha + s.at.sigma * s.at.sigma);
    return s;
}

/* J' g with x1-hat = a x + b u, in *out of the state's stride. */
static tw_status pull_back(const walk *w, tw_worker *worker, hand *m, int64_t rows, double a, double b, const double *x)
{
    int64_t columns = worker->columns, stride = w->journey.crew->columns;
    memset(m->pull, 0, (size_t)(rows * stride) * sizeof(double));
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++) m->pull[i * stride + j] = b * m->g[i * columns + j];
    tw_status status = tw_worker_pull(worker, rows, m->time, x, m->pull, m->pulled, NULL);
    for (int64_t i = 0; i < rows; i++)
        for (int64_t j = 0; j < columns; j++)
            m->g[i * columns + j] = a * m->g[i * columns + j] + m->pulled[i * stride + j];
    return status;
}

static tw_status walk_block(const walk *w, int thread, int64_t begin, int64_t rows)
{
    tw_crew *crew = w->journey.crew;
    hand *m = &w->hand[thread];
    int64_t columns = w->journey.flow->desc.columns, stride = crew->columns;
    double *x = w->journey.state + begin * stride;
    tw_status status = TW_OK;
    for (int64_t k = 0; status == TW_OK && k < w->steps; k++) {
        const tw_steer_step s = step_at(w, k);
        double d = s.at.alpha * s.at.d_sigma - s.at.sigma * s.at.d_alpha, a = s.at.d_sigma / d, b = -s.at.sigma / d;
        for (int64_t i = 0; i < rows; i++) m->time[i] = s.t;
        TW_TRY(tw_worker_field(&crew->worker[thread], rows, m->time, x, m->u));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                m->x1[i * columns + j] = a * x[i * stride + j] + b * m->u[i * stride + j];
        TW_TRY(w->steering->push(w->steering->user, &s, begin, rows, m->x1, m->g));
        if (w->back) TW_TRY(pull_back(w, &w->back->worker[thread], m, rows, a, b, x));
        for (int64_t i = 0; i < rows; i++)
            for (int64_t j = 0; j < columns; j++)
                x[i * stride + j] += s.h * m->u[i * stride + j] + m->g[i * columns + j];
    }
done:
    return status;
}

static void walk_item(void *user, int64_t item, int thread)
{
    walk *w = user;
    int64_t begin = (w->first + item) * w->block;
    w->status[item] = walk_block(w, thread, begin, tw_min_i64(w->block, w->journey.n - begin));
}

static void hands_free(tw_context *ctx, walk *w, int threads)
{
    for (int i = 0; w->hand && i < threads; i++) tw_free(ctx, w->hand[i].time);
    tw_free(ctx, w->hand);
    tw_free(ctx, w->status);
}

static tw_status hands_make(tw_context *ctx, walk *w, int threads)
{
    size_t rows = (size_t)w->block, stride = (size_t)w->journey.crew->columns;
    w->hand = tw_alloc(ctx, (size_t)threads, sizeof(hand));
    w->status = tw_alloc(ctx, (size_t)threads * 2, sizeof(tw_status));
    if (!w->hand || !w->status) return tw_fail_memory(ctx, (size_t)threads * sizeof(hand));
    for (int i = 0; i < threads; i++) {
        double *all = tw_alloc(ctx, rows * (1 + 5 * stride), sizeof(double));
        if (!all) return tw_fail_memory(ctx, rows * (1 + 5 * stride) * sizeof(double));
        size_t size = rows * stride;
        double *u = all + rows;
        w->hand[i] = (hand){all, u, u + size, u + 2 * size, u + 3 * size, u + 4 * size};
    }
    return TW_OK;
}

static tw_status walk_all(tw_context *ctx, walk *w, int threads, const tw_sample_desc *desc)
{
    int64_t n = w->journey.n, blocks = (n + w->block - 1) / w->block, wave = 2 * (int64_t)threads;
    for (w->first = 0; w->first < blocks; w->first += wave) {
        int64_t count = tw_min_i64(wave, blocks - w->first), done = tw_min_i64(n, (w->first + count) * w->block);
        tw_pool_run(ctx->pool, count, walk_item, w);
        for (int64_t i = 0; i < count; i++)
            if (w->status[i] != TW_OK)
                return tw_fail(ctx, w->status[i], "steering stopped in the rows from %lld on (%s)",
                               (long long)((w->first + i) * w->block) + 1, tw_status_text(w->status[i]));
        if (desc && desc->on_progress && desc->on_progress(desc->user, done, n) != 0)
            return tw_fail(ctx, TW_ERR_CANCELLED, "stopped after %lld of %lld rows", (long long)done, (long long)n);
    }
    return TW_OK;
}

static tw_status check_finite(tw_context *ctx, int64_t n, int64_t columns, const double *x)
{
    int64_t failed = 0;
    for (int64_t i = 0; i < n; i++) {
        bool finite = true;
        for (int64_t j = 0; j < columns; j++) finite &= isfinite(x[i * columns + j]);
        failed += !finite;
    }
    if (failed == 0) return TW_OK;
    return tw_fail(ctx, TW_ERR_NUMERIC, "%lld of %lld rows left the numbers: steer less, or in more steps",
                   (long long)failed, (long long)n);
}

tw_status tw_steer(tw_flow *flow, int64_t n, const tw_sample_desc *desc, const tw_steering *steering, double *x,
                   tw_ode_stats *out_stats)
{
    tw_context *ctx = flow->ctx;
    tw_ode_desc times = {.t0 = steering->start, .t1 = 1};
    walk w = {.steering = steering, .schedule = tw_flow_schedule(flow)};
    int threads = tw_pool_threads(ctx->pool);
    tw_status status = TW_OK;
    tw_journey_hold(flow, &times);
    w.t0 = times.t0;
    w.t1 = times.t1;
    w.steps = desc && desc->solver.steps > 0 ? desc->solver.steps : STEPS;
    TW_TRY(tw_journey_begin(flow, desc, TW_FLOW_ALONE, n, x, &w.journey));
    if (steering->pulled) TW_TRY(tw_crew_get(flow, TW_FLOW_PULL, desc && desc->double_precision, &w.back));
    w.block = tw_crew_block(w.journey.crew, n);
    TW_TRY(tw_crew_ready(w.journey.crew, threads));
    if (w.back) TW_TRY(tw_crew_ready(w.back, threads));
    TW_TRY(hands_make(ctx, &w, threads));
    tw_journey_give(&w.journey, x);
    TW_TRY(walk_all(ctx, &w, threads, desc));
    tw_journey_take(&w.journey, x);
    TW_TRY(check_finite(ctx, n, flow->desc.columns, x));
    int64_t nfe = w.steps * (w.back ? 2 : 1); /* the way back computes the network again */
    if (out_stats)
        *out_stats =
            (tw_ode_stats){.nfe = nfe, .nfe_mean = (double)nfe, .evaluations = nfe * n, .accepted = w.steps * n};
done:
    hands_free(ctx, &w, threads);
    if (w.journey.flow) tw_journey_end(&w.journey);
    return status;
}

/* --- rewards ----------------------------------------------------------------------------------------------------- */

typedef struct rewarded {
    const tw_flow *flow;
    const tw_reward_desc *desc;
} rewarded;

static tw_status push_reward(const void *user, const tw_steer_step *s, int64_t first, int64_t rows, double *x1,
                             double *out)
{
    const rewarded *r = user;
    int64_t columns = r->flow->desc.columns;
    tw_flow_to_data_units(r->flow, rows, x1, x1);
    if (r->desc->gradient(r->desc->user, first, rows, s->t, x1, out) != 0) return TW_ERR_CANCELLED;
    double factor = r->desc->strength * s->h * (r->desc->skip_network ? s->plain : s->rate);
    for (int64_t i = 0; i < rows * columns; i++) {
        int64_t j = i % columns;
        out[i] *= r->flow->constant[j] ? 0 : factor * r->flow->normaliser.scale[j];
    }
    return TW_OK;
}

tw_status tw_sample_rewarded(tw_flow *flow, int64_t n, const tw_sample_desc *desc, const tw_reward_desc *reward,
                             double *out, tw_ode_stats *out_stats)
{
    const tw_piece *source = flow->model.source;
    const rewarded user = {flow, reward};
    const tw_steering steering = {.push = push_reward, .user = &user, .pulled = !reward->skip_network};
    int columns = flow->desc.columns;
    tw_status status = TW_OK;
    TW_TRY(tw_steer_check(flow, n, desc));
    if (!reward->gradient || !isfinite(reward->strength))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "a reward needs its gradient and a finite strength"));
    if (!tw_source_rules_of(source)->draw_row)
        TW_TRY(tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "rewards steer flows that begin at noise, not at data"));
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    double scale = tw_journey_scale(flow);
    for (int64_t i = 0; i < n; i++)
        tw_source_row(source, desc ? desc->seed : 0, TW_STREAM_SAMPLE, i, columns, out + i * columns);
    for (int64_t i = 0; i < n * columns; i++) out[i] *= scale;
    TW_TRY(tw_steer(flow, n, desc, &steering, out, out_stats));
    tw_flow_to_data_units(flow, n, out, out);
done:
    return status;
}
