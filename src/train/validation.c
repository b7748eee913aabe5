/* train/validation.c - see validation.h. */
#include "train/validation.h"

#include "base/philox.h"
#include "base/streams.h"
#include "path/density.h"

#include <math.h>
#include <string.h>

enum { FEWEST = 4096, MOST = 8192, NUMBERS = 1 << 22, MOST_INPUTS = 6 /* beside weights */ };

/* Rows of a block: enough for products to run well, and few enough for a block of pictures or texts to take no longer
 * than a few steps of training. */
static int64_t block_rows(int64_t draws, int columns)
{
    const int64_t numbers = 1 << 12, fewest = 16, most = 1024;
    return tw_min_i64(draws, tw_max_i64(fewest, tw_min_i64(most, numbers / columns)));
}

/* The stride by which draws go round the rows: those of any length have every part of them, where rows follow each
 * other (of a book the first are too much like what was trained on), and every row equally often, to within one. */
static int64_t stride_of(int64_t rows)
{
    int64_t stride = tw_max_i64(1, (int64_t)(0.41421356237309505 * (double)rows)); /* not that of the times */
    while (tw_gcd((uint64_t)stride, (uint64_t)rows) != 1) stride++;
    return stride;
}

/* Source point i, for a held-out row: drawn by seed, or a row of the table of them. */
static void source_point(const tw_flow *flow, const tw_table_set *held, const tw_batch_desc *batch, uint64_t seed,
                         int64_t i, int64_t held_row, double *row, float *out)
{
    int columns = flow->space.numbers;
    if (held->source_rows > 0) {
        tw_random random = {.seed = seed, .stream = TW_STREAM_EVAL, .index = (uint64_t)i * 4};
        int64_t at = batch->given ? held_row : tw_random_below(&random, held->source_rows);
        tw_table_set_point(held, TW_FEED_SOURCE, at, columns, out);
        return;
    }
    tw_space_draw_row(&flow->space, flow->model.source, seed, TW_STREAM_EVAL, i, row);
    for (int j = 0; j < columns; j++) out[j] = (float)row[j];
}

/* Pairs of held-out rows, their times spread by the golden ratio, its source points
 * and noise by seed; then paired as the training pairs its batches. */
static tw_status make_draws(tw_flow *flow, const tw_table_set *held, const tw_batch_desc *batch, uint64_t seed,
                            tw_validation *v)
{
    tw_context *ctx = flow->ctx;
    int columns = v->columns, told = flow->desc.conditions_count;
    size_t numbers = (size_t)v->draws * (size_t)columns;
    v->x0 = tw_alloc_aligned(ctx, numbers * sizeof(float));
    v->x1 = tw_alloc_aligned(ctx, numbers * sizeof(float));
    v->u = tw_alloc_aligned(ctx, (size_t)v->draws * sizeof(float));
    size_t noises = numbers * (size_t)flow->method->rules->noise;
    if (noises) v->z = tw_alloc_aligned(ctx, noises * sizeof(float));
    if (told > 0) v->condition = tw_alloc_aligned(ctx, (size_t)v->draws * (size_t)told * sizeof(float));
    const float *widths = held->feed[TW_FEED_WIDTH];
    if (widths) v->width = tw_alloc_aligned(ctx, (size_t)v->draws * sizeof(float));
    v->loss = tw_alloc_aligned(ctx, (size_t)v->rows * sizeof(float));
    double *source = tw_alloc(ctx, (size_t)columns, sizeof(double));
    if (!v->x0 || !v->x1 || !v->u || (noises && !v->z) || (told > 0 && !v->condition) || (widths && !v->width) ||
        !v->loss || !source) {
        tw_free(ctx, source);
        return tw_fail_memory(ctx, numbers * sizeof(float));
    }
    tw_random dequantise = {.seed = seed, .stream = TW_STREAM_TRAIN_DEQUANTISE};
    int64_t stride = stride_of(held->rows), row = 0;
    for (int64_t i = 0; i < v->draws; i++, row = (row + stride) % held->rows) {
        const double golden = 0.61803398874989484820;
        double place = ((double)i + 0.5) * golden;
        v->u[i] = (float)(place - floor(place));
        source_point(flow, held, batch, seed, i, row, source, v->x0 + i * columns);
        tw_table_set_point(held, TW_FEED_DATA, row, columns, v->x1 + i * columns);
        for (int j = 0; batch->noise && j < columns; j++)
            v->x1[i * columns + j] += batch->noise[j] * (float)(tw_random_uniform(&dequantise) - 0.5);
        if (widths) v->width[i] = widths[row];
        if (told > 0)
            memcpy(v->condition + i * told, held->feed[TW_FEED_CONDITION] + row * told, (size_t)told * sizeof(float));
    }
    tw_random random = {.seed = seed, .stream = TW_STREAM_TRAIN_NOISE};
    for (size_t i = 0; i < noises; i++) v->z[i] = (float)tw_random_normal(&random);
    tw_free(ctx, source);
    if (!tw_producer_needed(flow)) return TW_OK;
    return tw_producer_pair_blocks(flow, batch, seed, v->draws, v->x0, v->x1, v->condition);
}

static tw_status build(tw_flow *flow, tw_validation *v)
{
    tw_context *ctx = flow->ctx;
    tw_val *inputs = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(ctx, &v->graph));
    TW_TRY(tw_params_create(ctx, v->graph, TW_DTYPE_F32, &v->params));
    tw_flow_binding binding = {.params = v->params, .flow = flow, .condition = TW_NONE};
    int told = flow->desc.conditions_count;
    tw_val condition = TW_NONE;
    if (told > 0) condition = tw_input(v->graph, "condition", TW_DTYPE_F32, tw_shape_of(v->rows, told));
    binding.condition = tw_conditions_features(told, flow->desc.conditions, condition);
    tw_model model = tw_flow_model(flow, &binding);
    tw_shape points = tw_shape_of(v->rows, v->columns);
    tw_shape noises = tw_shape_of(v->rows, (int64_t)flow->method->rules->noise * v->columns);
    tw_val u = tw_input(v->graph, "u", TW_DTYPE_F32, tw_shape_of(v->rows));
    tw_draws draws = {.x0 = tw_input(v->graph, "x0", TW_DTYPE_F32, points),
                      .x1 = tw_input(v->graph, "x1", TW_DTYPE_F32, points),
                      .t = tw_density_times(&flow->piece[TW_PIECE_time_density], model.schedule, u),
                      .z = v->z ? tw_input(v->graph, "z", TW_DTYPE_F32, noises) : TW_NONE,
                      .width = v->width ? tw_input(v->graph, "width", TW_DTYPE_F32, tw_shape_of(v->rows, 1)) : TW_NONE};
    tw_val loss = flow->method->rules->row_loss(&model, &draws);
    TW_TRY(tw_graph_check(v->graph));
    int count = tw_params_count(v->params), data = 3;
    inputs = tw_alloc(ctx, (size_t)(count + MOST_INPUTS), sizeof(tw_val));
    v->inputs = tw_alloc(ctx, (size_t)(count + MOST_INPUTS), sizeof(void *));
    if (!inputs || !v->inputs) TW_TRY(tw_fail_memory(ctx, (size_t)(count + MOST_INPUTS) * sizeof(tw_val)));
    for (int i = 0; i < count; i++) inputs[i] = tw_params_value(v->params, i);
    inputs[count] = draws.x0;
    inputs[count + 1] = draws.x1;
    inputs[count + 2] = u;
    if (v->z) inputs[count + data++] = draws.z;
    if (v->width) inputs[count + data++] = draws.width;
    if (told > 0) inputs[count + data++] = condition;
    tw_program_desc desc = {.name = "validation",
                            .inputs_count = count + data,
                            .inputs = inputs,
                            .outputs_count = 1,
                            .outputs = &loss,
                            .rows = v->rows};
    TW_TRY(tw_program_compile(ctx, &desc, &v->program));
    TW_TRY(tw_state_create(v->program, 0, &v->state));
done:
    tw_free(ctx, inputs);
    return status;
}

tw_status tw_validation_create(tw_flow *flow, const tw_table_set *held, const tw_batch_desc *batch, uint64_t seed,
                               tw_validation *out_validation)
{
    int columns = flow->space.numbers;
    int64_t draws = tw_max_i64(FEWEST, tw_min_i64(held->rows, MOST));
    draws = tw_max_i64(1, tw_min_i64(draws, NUMBERS / columns));
    tw_validation v = {.ctx = flow->ctx,
                       .columns = columns,
                       .noise = flow->method->rules->noise,
                       .conditions = flow->desc.conditions_count,
                       .draws = draws,
                       .rows = block_rows(draws, columns)};
    tw_status status = TW_OK;
    TW_TRY(make_draws(flow, held, batch, seed, &v));
    TW_TRY(build(flow, &v));
    *out_validation = v;
    v.ctx = NULL;
done:
    tw_validation_destroy(&v);
    return status;
}

void tw_validation_destroy(tw_validation *v)
{
    tw_context *ctx = v->ctx;
    if (!ctx) return;
    tw_state_destroy(v->state);
    tw_program_destroy(v->program);
    tw_params_destroy(v->params);
    tw_graph_destroy(v->graph);
    tw_free_aligned(ctx, v->x0);
    tw_free_aligned(ctx, v->x1);
    tw_free_aligned(ctx, v->u);
    tw_free_aligned(ctx, v->z);
    tw_free_aligned(ctx, v->condition);
    tw_free_aligned(ctx, v->width);
    tw_free_aligned(ctx, v->loss);
    tw_free(ctx, v->inputs);
    *v = (tw_validation){0};
}

tw_status tw_validation_run(tw_validation *v, const float *weights, int64_t draws, tw_validation_watch watch,
                            void *user, double *out_loss)
{
    int count = tw_params_count(v->params);
    double sum = 0;
    for (int i = 0; i < count; i++) v->inputs[i] = weights + tw_params_offset(v->params, i);
    for (int64_t begin = 0; begin < draws; begin += v->rows) {
        int64_t rows = tw_min_i64(v->rows, draws - begin);
        v->inputs[count] = v->x0 + begin * v->columns;
        v->inputs[count + 1] = v->x1 + begin * v->columns;
        v->inputs[count + 2] = v->u + begin;
        int at = count + 3;
        if (v->z) v->inputs[at++] = v->z + begin * v->columns * v->noise;
        if (v->width) v->inputs[at++] = v->width + begin;
        if (v->condition) v->inputs[at] = v->condition + begin * v->conditions;
        tw_status status = tw_program_run(v->state, v->inputs, (void *[]){v->loss}, rows);
        if (status != TW_OK) return status;
        for (int64_t i = 0; i < rows; i++) sum += (double)v->loss[i];
        if (!watch(user, (double)(begin + rows) / (double)draws)) return TW_ERR_CANCELLED;
    }
    *out_loss = sum / (double)draws;
    return TW_OK;
}
