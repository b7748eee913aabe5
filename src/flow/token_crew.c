/* flow/token_crew.c - the program of a flow that jumps, the workers that run it, and blocks of rows shared out among
 * them: see jumping.h. */
#include "flow/jumping.h"

#include "base/pool.h"
#include "solve/superposition.h"

/* Rows whose logits are a few megabytes, and enough of them for products to run well. */
static int64_t block_rows(const tw_token_crew *crew)
{
    const int64_t numbers = 1 << 19, most = 256;
    return tw_max_i64(1, tw_min_i64(most, numbers / crew->answers));
}

static void measure(tw_token_crew *crew)
{
    const tw_space *space = &crew->flow->space;
    tw_space moving = tw_space_of_moving(space);
    bool mixed = tw_space_is_mixed(space);
    crew->width = space->numbers + (mixed ? moving.numbers : 0);
    crew->answers = mixed ? moving.numbers + space->outputs - moving.outputs : space->numbers * space->symbols;
    if (space->ragged) crew->answers = (space->numbers + 1) * tw_edit_outputs(&crew->flow->edits);
    if (crew->flow->method->rules->jumps) crew->answers = tw_superposition_answers(space->numbers);
    crew->rows = block_rows(crew);
}

/* What a network says, as the solver of its kind of flow takes it, (B, answers). */
static tw_val answer_of(const tw_flow *flow, const tw_flow *whose, const tw_model *model, tw_val x, tw_val t)
{
    tw_val answer =
        tw_space_is_mixed(&flow->space) ? tw_model_answer(model, x, t) : tw_method_logits(whose->method, model, x, t);
    int64_t rows = tw_shape_at(x).dim[0];
    return tw_reshape(answer, tw_shape_of(rows, tw_shape_size(tw_shape_at(answer)) / rows));
}

static tw_status build(tw_token_crew *crew)
{
    tw_flow *flow = crew->flow;
    tw_context *ctx = flow->ctx;
    int told = flow->desc.conditions_count;
    const tw_method_rules *rules = flow->method->rules;
    const tw_flow *guide = rules->jumps ? NULL : flow->guide.flow;
    tw_val *inputs = NULL;
    bool *constants = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(ctx, &crew->graph));
    TW_TRY(tw_params_create(ctx, crew->graph, TW_DTYPE_F32, &crew->params));
    tw_flow_binding binding = {.params = crew->params, .flow = flow}, guiding;
    tw_val condition = TW_NONE;
    if (told > 0) condition = tw_input(crew->graph, "condition", TW_DTYPE_F32, tw_shape_of(crew->rows, told));
    binding.condition = tw_conditions_features(told, flow->desc.conditions, condition);
    if (guide) {
        TW_TRY(tw_flow_bind_guide(guide, crew->graph, TW_DTYPE_F32, condition, &guiding, &crew->guide_params));
        binding.guide = &guiding;
    }
    tw_model model = tw_flow_model(flow, &binding);
    tw_val x = tw_input(crew->graph, "x", TW_DTYPE_F32, tw_shape_of(crew->rows, crew->width));
    tw_val t = tw_input(crew->graph, "t", TW_DTYPE_F32, tw_shape_of(crew->rows));
    tw_val answer = rules->jumps ? rules->jumps(&model, x, t) : tw_flow_guided(flow, &model, x, t, answer_of);
    TW_TRY(tw_graph_check(crew->graph));
    int own = tw_params_count(crew->params), count = own + (guide ? tw_params_count(crew->guide_params) : 0);
    crew->inputs_count = count + 2 + (told > 0);
    inputs = tw_alloc(ctx, (size_t)crew->inputs_count, sizeof(*inputs));
    constants = tw_alloc(ctx, (size_t)crew->inputs_count, sizeof(*constants));
    if (!inputs || !constants) TW_TRY(tw_fail_memory(ctx, (size_t)crew->inputs_count * sizeof(*inputs)));
    for (int i = 0; i < count; i++) {
        inputs[i] = i < own ? tw_params_value(crew->params, i) : tw_params_value(crew->guide_params, i - own);
        constants[i] = true;
    }
    inputs[count] = x;
    inputs[count + 1] = t;
    if (told > 0) inputs[count + 2] = condition;
    tw_program_desc desc = {.name = "what is said of jumps",
                            .inputs_count = crew->inputs_count,
                            .inputs = inputs,
                            .outputs_count = 1,
                            .outputs = &answer,
                            .rows = crew->rows,
                            .constants = constants,
                            .block_rows = crew->rows};
    TW_TRY(tw_program_compile(ctx, &desc, &crew->program));
done:
    tw_free(ctx, inputs);
    tw_free(ctx, constants);
    return status;
}

static tw_status make_worker(tw_token_crew *crew, tw_token_worker *w)
{
    const tw_flow *flow = crew->flow;
    tw_context *ctx = flow->ctx;
    size_t rows = (size_t)crew->rows, numbers = rows * (size_t)flow->space.numbers;
    size_t told = (size_t)flow->desc.conditions_count;
    int count = tw_params_count(crew->params);
    w->crew = crew;
    tw_status status = tw_state_create(crew->program, 1, &w->state);
    if (status != TW_OK) return status;
    w->inputs = tw_alloc(ctx, (size_t)crew->inputs_count, sizeof(void *));
    w->x = tw_alloc_aligned(ctx, rows * (size_t)crew->width * sizeof(float));
    w->t = tw_alloc_aligned(ctx, rows * sizeof(float));
    w->told = tw_alloc_aligned(ctx, (rows * told + 1) * sizeof(float));
    w->tokens = tw_alloc(ctx, numbers, sizeof(int32_t));
    w->known = tw_alloc(ctx, numbers, 1);
    w->bound = tw_alloc(ctx, rows, sizeof(double));
    w->point = tw_alloc(ctx, (size_t)flow->space.numbers, sizeof(double));
    w->held = tw_alloc(ctx, rows, sizeof(int32_t));
    if (!w->point || !w->held) return tw_fail_memory(ctx, rows * sizeof(int32_t));
    if (!w->inputs || !w->x || !w->t || !w->told || !w->tokens || !w->known || !w->bound)
        return tw_fail_memory(ctx, numbers * sizeof(float));
    status = tw_flow_bind_weights(flow, crew->params, false, NULL, w->inputs);
    if (status == TW_OK && crew->guide_params) {
        status = tw_flow_bind_weights(flow->guide.flow, crew->guide_params, false, NULL, w->inputs + count);
        count += tw_params_count(crew->guide_params);
    }
    if (status != TW_OK) return status;
    w->inputs[count] = w->x;
    w->inputs[count + 1] = w->t;
    if (told > 0) w->inputs[count + 2] = w->told;
    return TW_OK;
}

tw_status tw_token_crew_get(tw_flow *flow, tw_token_crew **out_crew)
{
    tw_context *ctx = flow->ctx;
    tw_status status = TW_OK;
    tw_token_crew *crew = flow->token_crew;
    if (!crew) {
        crew = tw_alloc(ctx, 1, sizeof(*crew));
        if (!crew) return tw_fail_memory(ctx, sizeof(*crew));
        *crew = (tw_token_crew){.flow = flow};
        measure(crew);
        int count = tw_pool_threads(ctx->pool);
        crew->worker = tw_alloc(ctx, (size_t)count, sizeof(*crew->worker));
        if (!crew->worker) TW_TRY(tw_fail_memory(ctx, (size_t)count * sizeof(*crew->worker)));
        crew->count = count;
        TW_TRY(build(crew));
        for (int i = 0; i < count; i++) TW_TRY(make_worker(crew, &crew->worker[i]));
        flow->token_crew = crew;
    }
    *out_crew = crew;
    crew = NULL;
done:
    tw_token_crew_destroy(crew);
    return status;
}

void tw_token_crew_destroy(tw_token_crew *crew)
{
    if (!crew) return;
    tw_context *ctx = crew->flow->ctx;
    for (int i = 0; crew->worker && i < crew->count; i++) {
        tw_token_worker *w = &crew->worker[i];
        tw_jump_destroy(w->jump);
        tw_edit_chain_destroy(w->chain);
        tw_state_destroy(w->state);
        tw_free(ctx, w->inputs);
        tw_free_aligned(ctx, w->x);
        tw_free_aligned(ctx, w->t);
        tw_free_aligned(ctx, w->told);
        tw_free(ctx, w->tokens);
        tw_free(ctx, w->known);
        tw_free(ctx, w->bound);
        tw_free(ctx, w->point);
        tw_free(ctx, w->held);
        tw_free(ctx, w->predicted);
        tw_free(ctx, w->row);
        tw_free(ctx, w->memory);
    }
    tw_free(ctx, crew->worker);
    tw_program_destroy(crew->program);
    tw_params_destroy(crew->params);
    tw_params_destroy(crew->guide_params);
    tw_graph_destroy(crew->graph);
    tw_free(ctx, crew);
}

tw_status tw_token_worker_predicts(tw_token_worker *w)
{
    const tw_token_crew *crew = w->crew;
    size_t rows = (size_t)crew->rows, answers = (size_t)crew->answers;
    if (!w->predicted) w->predicted = tw_alloc(crew->flow->ctx, rows * answers, sizeof(float));
    if (!w->row) w->row = tw_alloc(crew->flow->ctx, rows, sizeof(int64_t));
    return w->predicted && w->row ? TW_OK : tw_fail_memory(crew->flow->ctx, rows * answers * sizeof(float));
}

void tw_token_worker_tell(tw_token_worker *w, int64_t count, const int64_t *row)
{
    int64_t told = w->crew->flow->desc.conditions_count;
    for (int64_t i = 0; i < count * told; i++)
        w->told[i] = w->conditions ? (float)w->conditions[row[i / told] * told + i % told] : (float)TW_UNTOLD;
}

tw_status tw_token_worker_ask(tw_token_worker *w, int64_t count, float *out)
{
    return tw_program_run(w->state, w->inputs, (void *[]){out}, count);
}

tw_status tw_token_worker_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                 float *out)
{
    tw_token_worker *w = user;
    const tw_token_crew *crew = w->crew;
    int64_t tokens = crew->flow->space.numbers;
    for (int64_t begin = 0; begin < rows; begin += crew->rows) {
        int64_t count = tw_min_i64(crew->rows, rows - begin);
        for (int64_t i = 0; i < count; i++) w->t[i] = (float)t[begin + i];
        for (int64_t i = 0; i < count * tokens; i++) w->x[i] = (float)x[begin * tokens + i];
        tw_token_worker_tell(w, count, row + begin);
        tw_status status = tw_token_worker_ask(w, count, out + begin * crew->answers);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

/* --- blocks ------------------------------------------------------------------------------------------------------- */

/* As many blocks as there are workers. */
typedef struct wave {
    tw_token_crew *crew;
    int64_t n, size, first; /* rows; of a block; the number of the first block */
    const double *conditions;
    tw_token_block block;
    void *user;
    tw_jump_stats *stats; /* of each block */
    tw_status *status;
} wave;

static void run_block(void *user, int64_t item, int thread)
{
    wave *v = user;
    tw_token_worker *w = &v->crew->worker[thread];
    int64_t begin = (v->first + item) * v->size, rows = tw_min_i64(v->size, v->n - begin);
    w->conditions = v->conditions ? v->conditions + begin * v->crew->flow->desc.conditions_count : NULL;
    v->stats[item] = (tw_jump_stats){0};
    v->status[item] = v->block(v->user, w, begin, rows, &v->stats[item]);
}

static const char *reason(tw_status status)
{
    if (status == TW_ERR_NUMERIC) return "the network's answer is no numbers";
    if (status == TW_ERR_UNSUPPORTED) return "more steps than can be counted: a larger tolerance takes fewer";
    return status == TW_ERR_MEMORY ? "not enough memory" : "the network could not be run";
}

/* Few rows are shared out, too: into so many parts that threads have enough of them, unless products would be too small
 * to run well. */
static int64_t rows_of_block(const tw_token_crew *crew, int64_t n)
{
    const int64_t parts = 16, tokens = 1024;
    int64_t fewest = (tokens + crew->width - 1) / crew->width;
    return tw_min_i64(crew->rows, tw_max_i64(fewest, (n + parts - 1) / parts));
}

tw_status tw_token_crew_run(tw_token_crew *crew, const tw_sample_desc *desc, int64_t n, const double *conditions,
                            tw_token_block block, void *user, tw_ode_stats *total)
{
    tw_context *ctx = crew->flow->ctx;
    int64_t size = rows_of_block(crew, n), blocks = (n + size - 1) / size, most = 0;
    wave v = {.crew = crew, .n = n, .size = size, .conditions = conditions, .block = block, .user = user};
    tw_status status = TW_OK;
    v.stats = tw_alloc(ctx, (size_t)crew->count, sizeof *v.stats);
    v.status = tw_alloc(ctx, (size_t)crew->count, sizeof *v.status);
    if (!v.stats || !v.status) TW_TRY(tw_fail_memory(ctx, (size_t)crew->count * sizeof *v.stats));
    for (v.first = 0; v.first < blocks; v.first += crew->count) {
        int64_t count = tw_min_i64(crew->count, blocks - v.first), done = tw_min_i64(n, (v.first + count) * size);
        tw_pool_run(ctx->pool, count, run_block, &v);
        for (int64_t i = 0; i < count; i++) {
            most = tw_max_i64(most, v.stats[i].nfe);
            total->nfe_mean += (double)v.stats[i].evaluations / (double)n;
            total->evaluations += v.stats[i].evaluations;
            total->calls += v.stats[i].calls;
            if (v.status[i] != TW_OK)
                TW_TRY(tw_fail(ctx, v.status[i], "rows %lld and on: %s", (long long)((v.first + i) * size) + 1,
                               reason(v.status[i])));
        }
        if (desc->on_progress && desc->on_progress(desc->user, done, n) != 0)
            TW_TRY(tw_fail(ctx, TW_ERR_CANCELLED, "stopped after %lld of %lld rows", (long long)done, (long long)n));
    }
    total->nfe += most;
done:
    tw_free(ctx, v.stats);
    tw_free(ctx, v.status);
    return status;
}
