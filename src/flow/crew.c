/* flow/crew.c - see crew.h. */
#include "flow/crew.h"

#include "base/pool.h"

#include <string.h>

/* --- a worker ------------------------------------------------------------------------------------------------- */

static void pack(const tw_worker *w, int64_t rows, int64_t stride, const double *t, const double *x)
{
    int64_t columns = w->columns;
    if (w->program->wide) {
        memcpy(w->t, t, (size_t)rows * sizeof(double));
        for (int64_t i = 0; i < rows; i++)
            memcpy((double *)w->x + i * columns, x + i * stride, (size_t)columns * sizeof(double));
        return;
    }
    float *xs = w->x, *ts = w->t;
    for (int64_t i = 0; i < rows; i++) {
        ts[i] = (float)t[i];
        for (int64_t j = 0; j < columns; j++) xs[i * columns + j] = (float)x[i * stride + j];
    }
}

static double number(const tw_worker *w, const void *array, int64_t i)
{
    return w->program->wide ? ((const double *)array)[i] : (double)((const float *)array)[i];
}

static void unpack(const tw_worker *w, int64_t rows, int64_t stride, double *out)
{
    for (int64_t i = 0; i < rows; i++) {
        for (int64_t j = 0; j < w->columns; j++) out[i * stride + j] = number(w, w->u, i * w->columns + j);
        if (w->divergence) out[i * stride + w->columns] = number(w, w->divergence, i);
    }
}

static tw_status field(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    tw_worker *w = user;
    int64_t stride = w->columns + (w->divergence ? 1 : 0);
    void *outputs[2] = {w->u, w->divergence};
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        pack(w, count, stride, t + begin, x + begin * stride);
        tw_status status = tw_program_run(w->state, w->inputs, outputs, count);
        if (status != TW_OK) return status;
        unpack(w, count, stride, out_dx + begin * stride);
    }
    return TW_OK;
}

static tw_status worker_init(tw_flow *flow, tw_flow_program *program, tw_worker *w)
{
    tw_context *ctx = flow->ctx;
    size_t rows = (size_t)program->rows, columns = (size_t)flow->desc.columns;
    size_t element = program->wide ? sizeof(double) : sizeof(float);
    *w = (tw_worker){.program = program, .columns = flow->desc.columns};
    tw_status status = tw_state_create(program->program, 1, &w->state);
    if (status != TW_OK) return status;
    w->x = tw_alloc_aligned(ctx, rows * columns * element);
    w->u = tw_alloc_aligned(ctx, rows * columns * element);
    w->t = tw_alloc_aligned(ctx, rows * element);
    if (program->divergence) w->divergence = tw_alloc_aligned(ctx, rows * element);
    w->inputs = tw_alloc(ctx, (size_t)program->inputs_count, sizeof(void *));
    if (!w->x || !w->u || !w->t || !w->inputs || (program->divergence && !w->divergence))
        return tw_fail_memory(ctx, rows * columns * element);
    memcpy(w->inputs, program->inputs, (size_t)(program->inputs_count - 2) * sizeof(void *));
    w->inputs[program->inputs_count - 2] = w->x;
    w->inputs[program->inputs_count - 1] = w->t;
    return TW_OK;
}

static void worker_free(tw_context *ctx, tw_worker *w)
{
    tw_ode_destroy(w->ode);
    tw_state_destroy(w->state);
    tw_free_aligned(ctx, w->x);
    tw_free_aligned(ctx, w->u);
    tw_free_aligned(ctx, w->t);
    tw_free_aligned(ctx, w->divergence);
    tw_free(ctx, w->inputs);
}

tw_status tw_crew_create(tw_flow *flow, bool divergence, bool wide, tw_crew *out_crew)
{
    tw_crew crew = {
        .flow = flow, .count = tw_pool_threads(flow->ctx->pool), .columns = flow->desc.columns + (divergence ? 1 : 0)};
    tw_status status = TW_OK;
    TW_TRY(tw_flow_program_get(flow, divergence, wide, &crew.program));
    crew.worker = tw_alloc(flow->ctx, (size_t)crew.count, sizeof(tw_worker));
    if (!crew.worker) TW_TRY(tw_fail_memory(flow->ctx, (size_t)crew.count * sizeof(tw_worker)));
    for (int i = 0; i < crew.count; i++) TW_TRY(worker_init(flow, crew.program, &crew.worker[i]));
    *out_crew = crew;
    crew.worker = NULL;
done:
    tw_crew_destroy(&crew);
    return status;
}

void tw_crew_destroy(tw_crew *crew)
{
    for (int i = 0; crew->worker && i < crew->count; i++) worker_free(crew->flow->ctx, &crew->worker[i]);
    tw_free(crew->flow->ctx, crew->worker);
    crew->worker = NULL;
}

tw_status tw_crew_field(tw_crew *crew, int64_t rows, const double *t, const double *x, double *out_dx)
{
    return field(&crew->worker[0], rows, t, x, out_dx);
}

/* --- solving ---------------------------------------------------------------------------------------------------- */

typedef struct block {
    tw_status status;
    tw_ode_stats stats;
    char error[400];
} block;

typedef struct wave {
    tw_crew *crew;
    int64_t first, rows; /* rows of the whole set */
    double *state;
    block *blocks;
} wave;

static void solve_block(void *user, int64_t item, int thread)
{
    wave *w = user;
    tw_worker *worker = &w->crew->worker[thread];
    int64_t size = w->crew->program->rows, begin = (w->first + item) * size;
    block *b = &w->blocks[item];
    *b = (block){0};
    b->status = tw_ode_run(worker->ode, field, worker, tw_min_i64(size, w->rows - begin),
                           w->state + begin * w->crew->columns, &b->stats, b->error, sizeof(b->error));
}

static tw_status make_solvers(tw_crew *crew, const tw_ode_desc *solver)
{
    for (int i = 0; i < crew->count; i++) {
        tw_ode_destroy(crew->worker[i].ode);
        crew->worker[i].ode = NULL;
        tw_status status =
            tw_ode_create(crew->flow->ctx, solver, crew->program->rows, crew->columns, &crew->worker[i].ode);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static void add_stats(tw_ode_stats *sum, const tw_ode_stats *part, double share)
{
    sum->nfe = tw_max_i64(sum->nfe, part->nfe);
    sum->nfe_mean += part->nfe_mean * share;
    sum->evaluations += part->evaluations;
    sum->calls += part->calls;
    sum->accepted += part->accepted;
    sum->rejected += part->rejected;
    sum->failed += part->failed;
}

/* Folds a wave into *stats; the sentence of the first block that failed goes to *first (which keeps an earlier one). */
static tw_status fold_wave(const wave *w, int64_t blocks, tw_ode_stats *stats, block *first)
{
    int64_t size = w->crew->program->rows;
    for (int64_t i = 0; i < blocks; i++) {
        const block *b = &w->blocks[i];
        int64_t begin = (w->first + i) * size, rows = tw_min_i64(size, w->rows - begin);
        add_stats(stats, &b->stats, (double)rows / (double)w->rows);
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

tw_status tw_crew_solve(tw_crew *crew, const tw_ode_desc *solver, int64_t n, double *state,
                        tw_rows_progress_fn on_progress, void *user, tw_ode_stats *stats)
{
    tw_context *ctx = crew->flow->ctx;
    tw_ode_stats total = {0};
    int64_t blocks = (n + crew->program->rows - 1) / crew->program->rows, per_wave = (int64_t)crew->count * 2;
    block first = {0};
    wave w = {.crew = crew, .rows = n, .state = state};
    tw_status status = TW_OK;
    w.blocks = tw_alloc(ctx, (size_t)per_wave, sizeof(block));
    if (!w.blocks) TW_TRY(tw_fail_memory(ctx, (size_t)per_wave * sizeof(block)));
    TW_TRY(make_solvers(crew, solver));
    for (w.first = 0; w.first < blocks; w.first += per_wave) {
        int64_t count = tw_min_i64(per_wave, blocks - w.first);
        tw_pool_run(ctx->pool, count, solve_block, &w);
        TW_TRY(fold_wave(&w, count, &total, &first));
        int64_t done = tw_min_i64(n, (w.first + count) * crew->program->rows);
        if (on_progress && on_progress(user, done, n) != 0)
            TW_TRY(tw_fail(ctx, TW_ERR_CANCELLED, "stopped after %lld of %lld rows", (long long)done, (long long)n));
    }
    total.nfe += stats->nfe; /* stages of one journey: what a row saw adds up */
    add_stats(stats, &total, 1);
    if (first.status != TW_OK)
        TW_TRY(tw_fail(ctx, first.status, "%lld of %lld rows failed; in the block from row %lld: %s",
                       (long long)total.failed, (long long)n, (long long)first.stats.calls + 1, first.error));
done:
    tw_free(ctx, w.blocks);
    return status;
}
