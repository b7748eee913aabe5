/* flow/crew.c - see crew.h. */
#include "flow/crew.h"

#include "base/pool.h"
#include "solve/ode.h"
#include "solve/sampler.h"
#include "solve/sde.h"

#include <math.h>
#include <string.h>

/* Makes worker i unless it is there. */
static tw_status ready(const tw_crew *crew, int i)
{
    return tw_worker_make(crew->flow, crew->program, crew->bare, &crew->worker[i]);
}

tw_status tw_crew_get(tw_flow *flow, tw_flow_second second, bool wide, tw_crew **out_crew)
{
    tw_context *ctx = flow->ctx;
    tw_flow_program *program = NULL, *bare = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_flow_program_get(flow, second, wide, &program));
    if (second == TW_FLOW_DIVERGENCE) TW_TRY(tw_flow_program_get(flow, TW_FLOW_ALONE, wide, &bare));
    if (!program->crew) {
        int count = tw_pool_threads(ctx->pool);
        tw_crew *crew = tw_alloc(ctx, 1, sizeof(*crew));
        tw_worker *worker = tw_alloc(ctx, (size_t)count, sizeof(*worker));
        if (!crew || !worker) {
            tw_free(ctx, crew);
            tw_free(ctx, worker);
            TW_TRY(tw_fail_memory(ctx, (size_t)count * sizeof(*worker)));
        }
        *crew = (tw_crew){.flow = flow,
                          .program = program,
                          .bare = bare,
                          .count = count,
                          .worker = worker,
                          .columns = program->numbers + program->told};
        if (tw_flow_diverges(second)) crew->columns += 1 + (flow->probes.count > 0);
        program->crew = crew;
    }
    *out_crew = program->crew;
done:
    return status;
}

void tw_crew_destroy(tw_crew *crew)
{
    if (!crew) return;
    tw_context *ctx = crew->flow->ctx;
    for (int i = 0; i < crew->count; i++) tw_worker_free(ctx, &crew->worker[i]);
    tw_free(ctx, crew->worker);
    tw_free(ctx, crew);
}

tw_status tw_crew_ready(tw_crew *crew, int count)
{
    tw_status status = TW_OK;
    for (int i = 0; i < count && status == TW_OK; i++) {
        status = ready(crew, i);
        if (status != TW_OK) break;
        crew->worker[i].probes = crew->flow->probes;
        tw_worker_drop_solver(crew->flow->ctx,
                              &crew->worker[i]); /* a field of a worker's own solver may leave the divergence out */
    }
    return status;
}

tw_status tw_crew_field(tw_crew *crew, int64_t rows, const double *t, const double *x, double *out_dx)
{
    tw_status status = ready(crew, 0);
    return status == TW_OK ? tw_worker_field(&crew->worker[0], rows, t, x, out_dx) : status;
}

/* --- solving ---------------------------------------------------------------------------------------------------- */

typedef struct block {
    tw_status status;
    tw_ode_stats stats;
    char error[400];
} block;

typedef struct wave {
    tw_crew *crew;
    int64_t first, rows, size; /* number of the first block; rows of the whole set, of a block */
    double *state, *ends;      /* of all rows */
    const tw_crew_noise *noise;
    block *blocks;
} wave;
static void solve_block(void *user, int64_t item, int thread)
{
    wave *w = user;
    tw_worker *worker = &w->crew->worker[thread];
    int64_t begin = (w->first + item) * w->size, rows = tw_min_i64(w->size, w->rows - begin);
    block *b = &w->blocks[item];
    *b = (block){0};
    double *state = w->state + begin * w->crew->columns;
    tw_ode_output output = {.ends = w->ends ? w->ends + begin : NULL};
    if (w->noise)
        b->status = tw_noise_run(worker, w->noise, begin, rows, w->rows, w->crew->columns, state, &b->stats, b->error,
                                 sizeof(b->error));
    else if (worker->sampler)
        b->status = tw_sampler_run(worker->sampler, tw_worker_field, worker, rows, state, &b->stats, b->error,
                                   sizeof(b->error));
    else
        b->status = tw_ode_run_output(worker->ode, tw_worker_field, worker, rows, state, &output, &b->stats, b->error,
                                      sizeof(b->error));
}

/* Rows move in the space of the flow; what rides along with them are numbers. */
static void chart_go(void *user, int64_t rows, const double *y, const double *v, double *out_z)
{
    const tw_crew *crew = user;
    int64_t columns = crew->columns;
    for (int64_t i = 0; i < rows; i++, y += columns, v += columns, out_z += columns) {
        tw_space_exp(&crew->flow->space, y, v, out_z);
        for (int64_t j = crew->flow->space.numbers; j < columns; j++) out_z[j] = y[j] + v[j];
    }
}

static void chart_pull(void *user, int64_t rows, const double *y, const double *v, const double *z, double *k)
{
    const tw_crew *crew = user;
    int64_t columns = crew->columns;
    for (int64_t i = 0; i < rows; i++, y += columns, v += columns, z += columns, k += columns)
        tw_space_pull(&crew->flow->space, y, v, z, k, k);
}

/* A sampler that asks nothing at its end goes on to the path's, where the flow itself cannot be asked. */
static double landing(const tw_flow *flow, const tw_ode_desc *solver)
{
    double low, high;
    tw_flow_interval(flow, &low, &high);
    if (solver->t1 == high && solver->t0 < high) return 1;
    return solver->t1 == low && solver->t0 > low ? 0 : solver->t1;
}

/* Such methods ask for products with the Jacobian. */
static bool is_implicit(const char *method)
{
    for (int i = 0; method && tw_implicit_tableau_at(i); i++)
        if (strcmp(method, tw_implicit_tableau_at(i)->info.name) == 0) return true;
    return false;
}

/* The first `count` workers, each with a solver. */
static tw_status make_ready(tw_crew *crew, const tw_ode_desc *solver, const tw_crew_noise *noise, int64_t rows,
                            int count)
{
    tw_context *ctx = crew->flow->ctx;
    tw_status status = TW_OK;
    tw_ode_desc desc = *solver;
    bool integrated = crew->program->second == TW_FLOW_DIVERGENCE;
    const tw_ode_chart chart = {chart_go, chart_pull, crew};
    tw_crew *pushing = NULL;
    if (desc.error_columns == 0) desc.error_columns = crew->program->numbers + integrated;
    if (!crew->flow->space.flat) desc.chart = &chart;
    if (is_implicit(desc.method)) {
        tw_flow_second second = integrated ? TW_FLOW_PUSH_DENSITY : TW_FLOW_PUSH;
        TW_TRY(tw_crew_get(crew->flow, second, crew->program->wide, &pushing));
        TW_TRY(tw_crew_ready(pushing, count));
        desc.jvp = tw_worker_push;
    }
    for (int i = 0; i < count; i++) {
        tw_worker *w = &crew->worker[i];
        TW_TRY(ready(crew, i));
        w->probes = crew->flow->probes;
        w->push = pushing ? &pushing->worker[i] : NULL;
        tw_worker_drop_solver(ctx, w);
        if (noise)
            TW_TRY(tw_noise_ready(ctx, w, noise, rows));
        else if (tw_sampler_find(desc.method))
            TW_TRY(tw_sampler_create(ctx, &desc, tw_flow_schedule(crew->flow), landing(crew->flow, &desc), rows,
                                     w->columns, crew->columns, &w->sampler));
        else
            TW_TRY(tw_ode_create(ctx, &desc, rows, crew->columns, &w->ode));
    }
done:
    return status;
}

int64_t tw_crew_block(const tw_crew *crew, int64_t n)
{
    enum { FEWEST = 16, BLOCKS = 8 };
    int64_t share = (n + BLOCKS - 1) / BLOCKS;
    share = (share + FEWEST - 1) / FEWEST * FEWEST;
    return tw_max_i64(1, tw_min_i64(crew->program->rows, share));
}

void tw_crew_add_stats(tw_ode_stats *sum, const tw_ode_stats *part, double share)
{
    sum->nfe = tw_max_i64(sum->nfe, part->nfe);
    sum->nfe_mean += part->nfe_mean * share;
    sum->evaluations += part->evaluations;
    sum->calls += part->calls;
    sum->jvps += part->jvps;
    sum->accepted += part->accepted;
    sum->rejected += part->rejected;
    sum->failed += part->failed;
}

/* Folds a wave into *stats; the sentence of the first block that failed goes to *first (which keeps an earlier one). */
static tw_status fold_wave(const wave *w, int64_t blocks, tw_ode_stats *stats, block *first)
{
    for (int64_t i = 0; i < blocks; i++) {
        const block *b = &w->blocks[i];
        int64_t begin = (w->first + i) * w->size, rows = tw_min_i64(w->size, w->rows - begin);
        tw_crew_add_stats(stats, &b->stats, (double)rows / (double)w->rows);
        if (b->status == TW_OK) continue;
        if (b->status != TW_ERR_NUMERIC)
            return tw_fail(w->crew->flow->ctx, b->status, "rows %lld to %lld: %s", (long long)begin + 1,
                           (long long)(begin + rows), b->error);
        if (first->status == TW_OK) {
            *first = *b;
            first->stats.calls = begin;
        }
    }
    return TW_OK;
}

tw_status tw_crew_solve(tw_crew *crew, const tw_ode_desc *solver, const tw_crew_noise *noise, int64_t n, double *state,
                        double *ends, tw_rows_progress_fn on_progress, void *user, tw_ode_stats *stats)
{
    tw_context *ctx = crew->flow->ctx;
    tw_ode_stats total = {0};
    int64_t size = tw_crew_block(crew, n), blocks = (n + size - 1) / size, per_wave = (int64_t)crew->count * 2;
    block first = {0};
    wave w = {.crew = crew, .rows = n, .size = size, .state = state, .ends = ends, .noise = noise};
    tw_status status = TW_OK;
    w.blocks = tw_alloc(ctx, (size_t)per_wave, sizeof(block));
    if (!w.blocks) TW_TRY(tw_fail_memory(ctx, (size_t)per_wave * sizeof(block)));
    TW_TRY(make_ready(crew, solver, noise, size, blocks > 1 ? crew->count : 1));
    for (w.first = 0; w.first < blocks; w.first += per_wave) {
        int64_t count = tw_min_i64(per_wave, blocks - w.first);
        tw_pool_run(ctx->pool, count, solve_block, &w);
        TW_TRY(fold_wave(&w, count, &total, &first));
        int64_t done = tw_min_i64(n, (w.first + count) * size);
        if (on_progress && on_progress(user, done, n) != 0)
            TW_TRY(tw_fail(ctx, TW_ERR_CANCELLED, "stopped after %lld of %lld rows", (long long)done, (long long)n));
    }
    total.nfe += stats->nfe; /* stages of one journey: what a row saw adds up */
    tw_crew_add_stats(stats, &total, 1);
    if (first.status != TW_OK)
        TW_TRY(tw_fail(ctx, first.status, "%lld of %lld rows failed; in the block from row %lld: %s",
                       (long long)total.failed, (long long)n, (long long)first.stats.calls + 1, first.error));
done:
    tw_free(ctx, w.blocks);
    return status;
}
