/* flow/crew.c - see crew.h. */
#include "flow/crew.h"

#include "base/pool.h"
#include "solve/ode.h"
#include "solve/sampler.h"
#include "solve/sde.h"

#include <math.h>
#include <string.h>

/* --- a worker ------------------------------------------------------------------------------------------------- */

/* `columns` of the state's, from `first`, in the program's number type. */
static void take(const tw_worker *w, int64_t rows, int64_t stride, int64_t first, int64_t columns, const double *state,
                 void *out)
{
    for (int64_t i = 0; i < rows; i++) {
        const double *row = state + i * stride + first;
        if (w->program->wide)
            memcpy((double *)out + i * columns, row, (size_t)columns * sizeof(double));
        else
            for (int64_t j = 0; j < columns; j++) ((float *)out)[i * columns + j] = (float)row[j];
    }
}

static double number(const tw_worker *w, const void *array, int64_t i)
{
    return w->program->wide ? ((const double *)array)[i] : (double)((const float *)array)[i];
}

static void unpack(const tw_worker *w, bool divergence, int64_t rows, int64_t stride, double *out)
{
    for (int64_t i = 0; i < rows; i++) {
        double *row = out + i * stride;
        for (int64_t j = 0; j < w->columns; j++) row[j] = number(w, w->u, i * w->columns + j);
        if (tw_flow_diverges(w->program->second)) row[w->columns] = divergence ? number(w, w->second, i) : 0;
        for (int64_t j = stride - w->conditions - (w->vectors != NULL); j < stride; j++) row[j] = 0;
    }
}

/* Of every row at its time; its number rides in the state behind the divergence. */
static void draw_probes(const tw_worker *w, int64_t rows, int64_t stride, const double *t, const double *state)
{
    size_t size = (size_t)w->probes.count * (size_t)w->columns * (w->program->wide ? sizeof(double) : sizeof(float));
    for (int64_t i = 0; i < rows; i++)
        tw_probes_draw(&w->probes, (int64_t)state[i * stride + w->columns + 1], t[i], w->columns, w->program->wide,
                       (char *)w->vectors + (size_t)i * size);
}

static int64_t stride_of(const tw_worker *w)
{
    return w->columns + tw_flow_diverges(w->program->second) + (w->vectors != NULL) + w->conditions;
}

/* `count` rows of the state into the program's inputs: x, t and what rides along. */
static void take_rows(const tw_worker *w, int64_t count, const double *t, const double *x)
{
    int64_t told = w->conditions, stride = stride_of(w);
    take(w, count, 1, 0, 1, t, w->t);
    take(w, count, stride, 0, w->columns, x, w->x);
    if (told > 0) take(w, count, stride, stride - told, told, x, w->condition);
}

tw_status tw_worker_field(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    tw_worker *w = user;
    int64_t stride = stride_of(w);
    void *outputs[2] = {w->u, w->second};
    bool bare = w->bare && w->ode && w->ode->weightless;
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        take_rows(w, count, t + begin, x + begin * stride);
        if (w->vectors && !bare) draw_probes(w, count, stride, t + begin, x + begin * stride);
        tw_status status =
            tw_program_run(bare ? w->bare_state : w->state, bare ? w->bare_inputs : w->inputs, outputs, count);
        if (status != TW_OK) return status;
        unpack(w, !bare, count, stride, out_dx + begin * stride);
    }
    return TW_OK;
}

/* J v, for solvers: user is the worker of the field. */
static tw_status push(void *user, int64_t rows, const double *t, const double *x, const double *v, double *out_jv)
{
    tw_worker *w = ((tw_worker *)user)->push;
    void *outputs[2] = {w->u, w->second};
    int64_t stride = stride_of(w);
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        take_rows(w, count, t + begin, x + begin * stride);
        take(w, count, stride, 0, w->columns, v + begin * stride, w->along);
        if (w->vectors) draw_probes(w, count, stride, t + begin, x + begin * stride);
        tw_status status = tw_program_run(w->state, w->inputs, outputs, count);
        if (status != TW_OK) return status;
        unpack(w, true, count, stride, out_jv + begin * stride);
    }
    return TW_OK;
}

/* Adds the parameters' gradients of a block. */
static void add_gradients(const tw_worker *w, double *dweights)
{
    const tw_params *params = w->program->params;
    for (int i = 0; i < tw_params_count(params); i++) {
        int64_t at = tw_params_offset(params, i), size = tw_shape_size(tw_shape_at(tw_params_value(params, i)));
        for (int64_t j = at; j < at + size; j++) dweights[j] += number(w, w->gradients, j);
    }
}

tw_status tw_worker_pull(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                         double *dweights)
{
    tw_worker *worker = user;
    int64_t stride = stride_of(worker), pulled = worker->columns + tw_flow_diverges(worker->program->second);
    for (int64_t begin = 0; begin < rows; begin += worker->program->rows) {
        int64_t count = tw_min_i64(rows - begin, worker->program->rows);
        take_rows(worker, count, t + begin, x + begin * stride);
        take(worker, count, stride, 0, pulled, w + begin * stride, worker->along);
        if (worker->vectors) draw_probes(worker, count, stride, t + begin, x + begin * stride);
        tw_status status = tw_program_run(worker->state, worker->inputs, worker->outputs, count);
        if (status != TW_OK) return status;
        unpack(worker, false, count, stride, out_dx + begin * stride);
        if (dweights) add_gradients(worker, dweights);
    }
    return TW_OK;
}

/* u + w/2 s, for sampling with noise: rows are those of the block, none missing. Without noise the score, which may be
 * beyond numbers, has no part in it. */
static tw_status drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    tw_worker *w = user;
    void *outputs[2] = {w->u, w->second};
    int64_t columns = w->columns, told = w->conditions;
    double half = 0.5 * tw_diffusion_at(w->diffusion, t[0]); /* the same time for all */
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        take(w, count, 1, 0, 1, t + begin, w->t);
        take(w, count, columns, 0, columns, x + begin * columns, w->x);
        if (told > 0) take(w, count, columns + told, 0, told, w->told + begin * (columns + told), w->condition);
        tw_status status = tw_program_run(w->state, w->inputs, outputs, count);
        if (status != TW_OK) return status;
        for (int64_t i = 0; i < count * columns; i++) {
            double pull = half > 0 ? half * number(w, w->second, i) : 0;
            out[begin * columns + i] = number(w, w->u, i) + pull;
        }
    }
    return TW_OK;
}

static tw_status spread(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const tw_worker *w = user;
    double root = sqrt(tw_diffusion_at(w->diffusion, t[0]));
    (void)x;
    for (int64_t i = 0; i < rows * w->columns; i++) out[i] = root;
    return TW_OK;
}

static void drop_solver(tw_context *ctx, tw_worker *w)
{
    tw_ode_destroy(w->ode);
    tw_sampler_destroy(w->sampler);
    tw_sde_destroy(w->sde);
    tw_free(ctx, w->rows);
    w->ode = NULL;
    w->sampler = NULL;
    w->sde = NULL;
    w->rows = NULL;
}

static void worker_free(tw_context *ctx, tw_worker *w)
{
    drop_solver(ctx, w);
    tw_state_destroy(w->state);
    tw_state_destroy(w->bare_state);
    tw_free_aligned(ctx, w->x);
    tw_free_aligned(ctx, w->u);
    tw_free_aligned(ctx, w->t);
    tw_free_aligned(ctx, w->second);
    tw_free_aligned(ctx, w->along);
    tw_free_aligned(ctx, w->condition);
    tw_free_aligned(ctx, w->vectors);
    tw_free(ctx, w->inputs);
    tw_free(ctx, w->bare_inputs);
    tw_free_aligned(ctx, w->gradients);
    tw_free(ctx, w->outputs);
    *w = (tw_worker){0};
}

/* The program's inputs with the worker's x, t and conditions behind the parameters; NULL when memory is used up. */
static const void **inputs_of(tw_context *ctx, const tw_worker *w, const tw_flow_program *program)
{
    bool along = tw_flow_pushes(program->second) || tw_flow_pulls(program->second);
    const void *probes = tw_flow_diverges(program->second) ? w->vectors : NULL;
    int parameters = program->inputs_count - 2 - (w->conditions > 0) - along - (probes != NULL);
    const void **inputs = tw_alloc(ctx, (size_t)program->inputs_count, sizeof(void *));
    if (!inputs) return NULL;
    memcpy(inputs, program->inputs, (size_t)parameters * sizeof(void *));
    inputs[parameters] = w->x;
    inputs[parameters + 1] = w->t;
    if (w->conditions > 0) inputs[parameters + 2] = w->condition;
    if (along) inputs[parameters + 2 + (w->conditions > 0)] = w->along;
    if (probes) inputs[program->inputs_count - 1] = probes;
    return inputs;
}

/* Where a program that pulls writes: u, then the parameters' gradients. */
static tw_status make_outputs(tw_context *ctx, const tw_flow_program *program, tw_worker *w)
{
    size_t element = program->wide ? sizeof(double) : sizeof(float);
    size_t bytes = (size_t)tw_params_size(program->params) * element;
    w->outputs = tw_alloc(ctx, (size_t)program->outputs_count, sizeof(void *));
    if (!w->outputs) return tw_fail_memory(ctx, (size_t)program->outputs_count * sizeof(void *));
    w->outputs[0] = w->u;
    if (program->outputs_count == 1) return TW_OK;
    w->gradients = tw_alloc_aligned(ctx, bytes);
    if (!w->gradients) return tw_fail_memory(ctx, bytes);
    for (int i = 0; i + 1 < program->outputs_count; i++)
        w->outputs[i + 1] = (char *)w->gradients + (size_t)tw_params_offset(program->params, i) * element;
    return TW_OK;
}

/* Makes worker `w` unless it is there. */
static tw_status worker_ready(const tw_crew *crew, tw_worker *w)
{
    const tw_flow_program *program = crew->program, *bare = crew->bare;
    tw_context *ctx = crew->flow->ctx;
    if (w->program) return TW_OK;
    size_t rows = (size_t)program->rows, columns = (size_t)crew->flow->space.numbers;
    size_t element = program->wide ? sizeof(double) : sizeof(float);
    tw_status status = TW_OK;
    size_t told = (size_t)crew->flow->desc.conditions_count;
    *w = (tw_worker){.bare = bare, .columns = crew->flow->space.numbers, .conditions = (int)told};
    TW_TRY(tw_state_create(program->program, 1, &w->state));
    if (bare) TW_TRY(tw_state_create(bare->program, 1, &w->bare_state));
    w->x = tw_alloc_aligned(ctx, rows * columns * element);
    w->u = tw_alloc_aligned(ctx, rows * columns * element);
    w->t = tw_alloc_aligned(ctx, rows * element);
    bool along = tw_flow_pushes(program->second) || tw_flow_pulls(program->second);
    if (program->second) w->second = tw_alloc_aligned(ctx, rows * element * columns);
    if (along) w->along = tw_alloc_aligned(ctx, rows * element * (columns + 1));
    if (told > 0) w->condition = tw_alloc_aligned(ctx, rows * told * element);
    size_t probes = tw_flow_diverges(program->second) ? (size_t)crew->flow->probes.count : 0;
    if (probes > 0 && !(w->vectors = tw_alloc_aligned(ctx, rows * probes * columns * element)))
        TW_TRY(tw_fail_memory(ctx, rows * probes * columns * element));
    w->inputs = inputs_of(ctx, w, program);
    if (bare) w->bare_inputs = inputs_of(ctx, w, bare);
    if (!w->x || !w->u || !w->t || !w->inputs || (program->second && !w->second) || (along && !w->along) ||
        (bare && !w->bare_inputs) || (told > 0 && !w->condition))
        TW_TRY(tw_fail_memory(ctx, rows * columns * element));
    if (tw_flow_pulls(program->second)) TW_TRY(make_outputs(ctx, program, w));
    w->program = program;
done:
    if (status != TW_OK) worker_free(ctx, w);
    return status;
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
                          .columns = flow->space.numbers + flow->desc.conditions_count};
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
    for (int i = 0; i < crew->count; i++) worker_free(ctx, &crew->worker[i]);
    tw_free(ctx, crew->worker);
    tw_free(ctx, crew);
}

tw_status tw_crew_ready(tw_crew *crew, int count)
{
    tw_status status = TW_OK;
    for (int i = 0; i < count && status == TW_OK; i++) {
        status = worker_ready(crew, &crew->worker[i]);
        if (status != TW_OK) break;
        crew->worker[i].probes = crew->flow->probes;
        drop_solver(crew->flow->ctx,
                    &crew->worker[i]); /* a field of a worker's own solver may leave the divergence out */
    }
    return status;
}

tw_status tw_crew_field(tw_crew *crew, int64_t rows, const double *t, const double *x, double *out_dx)
{
    tw_status status = worker_ready(crew, &crew->worker[0]);
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
    double *state;
    const tw_crew_noise *noise;
    block *blocks;
} wave;

/* Rows of x between the state and an array without conditions. */
static void copy_rows(int64_t rows, int64_t columns, int64_t from_stride, const double *from, int64_t to_stride,
                      double *to)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * to_stride, from + i * from_stride, (size_t)columns * sizeof(double));
}

static tw_status run_with_noise(const wave *w, tw_worker *worker, int64_t begin, int64_t rows, block *b)
{
    tw_sde_stats s;
    int64_t columns = worker->columns, stride = w->crew->columns;
    double *state = w->state + begin * stride, *x = worker->rows ? worker->rows : state;
    double *log_prob = w->noise->log_prob;
    const tw_sde_out out = {.stride = w->rows, .log_prob = log_prob ? log_prob + begin : NULL};
    worker->told = state + columns;
    if (x != state) copy_rows(rows, columns, stride, state, columns, x);
    tw_status status = tw_sde_run(worker->sde, begin, rows, x, &out, &s, b->error, sizeof(b->error));
    if (x != state) copy_rows(rows, columns, columns, x, stride, state);
    b->stats = (tw_ode_stats){.nfe = s.drift_evaluations,
                              .nfe_mean = (double)s.drift_evaluations,
                              .evaluations = s.drift_evaluations * rows,
                              .calls = s.drift_evaluations,
                              .accepted = s.steps * rows,
                              .failed = s.failed};
    return status;
}

static void solve_block(void *user, int64_t item, int thread)
{
    wave *w = user;
    tw_worker *worker = &w->crew->worker[thread];
    int64_t begin = (w->first + item) * w->size, rows = tw_min_i64(w->size, w->rows - begin);
    block *b = &w->blocks[item];
    *b = (block){0};
    double *state = w->state + begin * w->crew->columns;
    if (w->noise)
        b->status = run_with_noise(w, worker, begin, rows, b);
    else if (worker->sampler)
        b->status = tw_sampler_run(worker->sampler, tw_worker_field, worker, rows, state, &b->stats, b->error,
                                   sizeof(b->error));
    else
        b->status =
            tw_ode_run(worker->ode, tw_worker_field, worker, rows, state, &b->stats, b->error, sizeof(b->error));
}

static tw_status ready_for_noise(tw_context *ctx, tw_worker *w, const tw_crew_noise *noise, int64_t rows)
{
    tw_status status = TW_OK;
    /* the noise does not depend on x: both senses are one, and any method can */
    const tw_sde_method *method = tw_sde_method_find(noise->solver.method);
    tw_sde_equation equation = {.sense = method && !method->info.ito ? TW_SDE_STRATONOVICH : TW_SDE_ITO,
                                .columns = w->columns,
                                .drift = drift,
                                .diffusion = spread,
                                .user = w};
    w->diffusion = noise->diffusion;
    TW_TRY(tw_sde_create(ctx, &equation, &noise->solver, rows, &w->sde));
    if (w->conditions > 0) {
        w->rows = tw_alloc(ctx, (size_t)rows * (size_t)w->columns, sizeof(double));
        if (!w->rows) TW_TRY(tw_fail_memory(ctx, (size_t)rows * (size_t)w->columns * sizeof(double)));
    }
done:
    return status;
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
    if (desc.error_columns == 0) desc.error_columns = crew->flow->space.numbers + integrated;
    if (!crew->flow->space.flat) desc.chart = &chart;
    if (is_implicit(desc.method)) {
        tw_flow_second second = integrated ? TW_FLOW_PUSH_DENSITY : TW_FLOW_PUSH;
        TW_TRY(tw_crew_get(crew->flow, second, crew->program->wide, &pushing));
        TW_TRY(tw_crew_ready(pushing, count));
        desc.jvp = push;
    }
    for (int i = 0; i < count; i++) {
        tw_worker *w = &crew->worker[i];
        TW_TRY(worker_ready(crew, w));
        w->probes = crew->flow->probes;
        w->push = pushing ? &pushing->worker[i] : NULL;
        drop_solver(ctx, w);
        if (noise)
            TW_TRY(ready_for_noise(ctx, w, noise, rows));
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
                        tw_rows_progress_fn on_progress, void *user, tw_ode_stats *stats)
{
    tw_context *ctx = crew->flow->ctx;
    tw_ode_stats total = {0};
    int64_t size = tw_crew_block(crew, n), blocks = (n + size - 1) / size, per_wave = (int64_t)crew->count * 2;
    block first = {0};
    wave w = {.crew = crew, .rows = n, .size = size, .state = state, .noise = noise};
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
