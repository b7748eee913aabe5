/* train/step.c - see step.h. */
#include "train/step.h"

#include "base/streams.h"
#include "path/density.h"

#include <string.h>

/* --- the graph ---------------------------------------------------------------------------------------------------- */

/* Numbers uniform in (0,1). Stratified: one in each of `batch` equal intervals, so that the loss varies less from batch
 * to batch than with independent ones; over a random order of rows each is uniform. */
static tw_val draw_uniform(const tw_step_graph *s, const tw_step_desc *desc)
{
    tw_shape shape = tw_shape_of(desc->batch);
    tw_val bits = tw_random_bits(s->key, s->counter, TW_STREAM_TRAIN_TIME, shape);
    tw_val uniform = tw_bits_to_uniform(bits, desc->dtype);
    if (desc->independent_times) return uniform;
    return tw_muls(tw_add(tw_iota(s->graph, desc->dtype, shape, 0), uniform), 1 / (double)desc->batch);
}

/* Standard normal numbers for methods that ask for them, or none. */
static tw_val draw_noise(const tw_step_graph *s, const tw_step_desc *desc, const tw_method_rules *rules, tw_shape shape)
{
    if (!rules->noise) return TW_NONE;
    return tw_bits_to_normal(tw_random_bits(s->key, s->counter, TW_STREAM_TRAIN_NOISE, shape), desc->dtype);
}

tw_batch_desc tw_step_batch(const tw_flow *flow, const tw_step_desc *desc)
{
    return (tw_batch_desc){.batch = desc->batch,
                           .columns = flow->space.numbers,
                           .rows = desc->rows,
                           .source_rows = desc->source_rows,
                           .given = strcmp(flow->piece[TW_PIECE_coupling].info->name, "given") == 0,
                           .conditions = flow->desc.conditions_count,
                           .dtype = desc->dtype,
                           .image = flow->desc.image,
                           .packed = {desc->packed[0], desc->packed[1], desc->packed[2]},
                           .runs_on = desc->runs_on,
                           .noise = desc->noise,
                           .smooth = desc->smooth,
                           .kernels = flow->method->rules->own_path,
                           .shift = desc->shift,
                           .flip = desc->flip};
}

/* What the network sees of the conditions: a share of the rows nothing, so that it also learns to do without. */
static tw_val tell(const tw_flow *flow, const tw_step_desc *desc, const tw_step_graph *s, tw_val raw)
{
    tw_val features = tw_conditions_features(flow->desc.conditions_count, flow->desc.conditions, raw);
    if (tw_is_none(features) || !(desc->dropout > 0)) return features;
    tw_val bits = tw_random_bits(s->key, s->counter, TW_STREAM_TRAIN_TELL, tw_shape_of(desc->batch, 1));
    tw_val uniform = tw_bits_to_uniform(bits, desc->dtype);
    tw_val told = tw_gt(uniform, tw_full(s->graph, desc->dtype, TW_SCALAR, desc->dropout));
    return tw_mul(features, tw_cast(told, desc->dtype));
}

/* What a batch is trained on: its draws, and what the network is told of each row. */
typedef struct told_draws {
    tw_draws draws;
    tw_val condition;
} told_draws;

static told_draws draw_batch(tw_flow *flow, const tw_step_desc *desc, tw_step_graph *s, const tw_model *model)
{
    const tw_method_rules *rules = flow->method->rules;
    tw_batch_desc about = tw_step_batch(flow, desc);
    tw_batch batch;
    if (desc->fed) {
        batch = tw_batch_inputs(s->graph, &about, s->feed);
    } else {
        tw_batch_tables(s->graph, &about, s->feed);
        batch = tw_batch_draw(model->space, model->source, &about, s->feed, s->key, s->counter);
    }
    tw_val condition = tell(flow, desc, s, batch.condition);
    tw_draws draws = {
        .x1 = batch.x1,
        .x0 = batch.x0,
        .width = batch.width,
        .data = batch.data,
        .all_widths = batch.all_widths,
        .t = tw_density_times(&flow->piece[TW_PIECE_time_density], model->schedule, draw_uniform(s, desc)),
        .z = draw_noise(s, desc, rules, tw_shape_of(desc->batch, (int64_t)rules->noise * flow->space.numbers))};
    return (told_draws){draws, condition};
}

/* Rows of one piece, which are not there before `token` is. */
static tw_val piece_of(tw_val x, int64_t begin, int64_t end, tw_val token)
{
    if (tw_is_none(x)) return x;
    tw_val rows = tw_slice(x, 0, begin, end);
    return tw_is_none(token) ? rows : tw_barrier(rows, token);
}

static told_draws take_piece(const told_draws *all, int64_t begin, int64_t end, tw_val token)
{
    return (told_draws){.draws = {.x1 = piece_of(all->draws.x1, begin, end, token),
                                  .x0 = piece_of(all->draws.x0, begin, end, token),
                                  .t = piece_of(all->draws.t, begin, end, token),
                                  .z = piece_of(all->draws.z, begin, end, token),
                                  .width = piece_of(all->draws.width, begin, end, token),
                                  .data = all->draws.data,
                                  .all_widths = all->draws.all_widths},
                        .condition = piece_of(all->condition, begin, end, token)};
}

static tw_status alloc_parameters(tw_context *ctx, tw_step_graph *s)
{
    size_t count = (size_t)tw_params_count(s->params);
    s->params_count = (int)count;
    s->gradients = tw_alloc(ctx, count, sizeof(tw_val));
    s->old = tw_alloc(ctx, count, sizeof(tw_moments));
    s->new = tw_alloc(ctx, count, sizeof(tw_moments));
    s->coded = tw_alloc(ctx, 2, sizeof(tw_moment8));
    if (!s->gradients || !s->old || !s->new || !s->coded) return tw_fail_memory(ctx, count * sizeof(tw_moments));
    tw_moment8_init(true, &s->coded[0]);
    tw_moment8_init(false, &s->coded[1]);
    return TW_OK;
}

/* Adds a piece's gradients to those of the pieces before it. */
static tw_status add_gradients(tw_context *ctx, const tw_step_graph *s, tw_val loss, bool first)
{
    tw_status status = TW_OK;
    tw_val *gradient = tw_alloc(ctx, (size_t)s->params_count, sizeof *gradient);
    if (!gradient) return tw_fail_memory(ctx, (size_t)s->params_count * sizeof *gradient);
    for (int i = 0; i < s->params_count; i++) gradient[i] = s->old[i].weight;
    TW_TRY(tw_grad(loss, s->params_count, gradient, gradient));
    for (int i = 0; i < s->params_count; i++)
        s->gradients[i] = first ? gradient[i] : tw_add(s->gradients[i], gradient[i]);
done:
    tw_free(ctx, gradient);
    return status;
}

/* The mean loss of a batch and its gradients. Rows are summed last, so that the program can work block of rows by block
 * of rows. A batch in pieces gives the same sums; each piece waits for the gradients of the one before it, so that
 * memory is that of one. */
static tw_status build_gradients(tw_flow *flow, const tw_step_desc *desc, tw_step_graph *s, tw_flow_binding *binding)
{
    tw_model model = tw_flow_model(flow, binding);
    int pieces = desc->pieces > 1 ? desc->pieces : 1;
    int64_t rows = desc->batch / pieces;
    told_draws all = draw_batch(flow, desc, s, &model);
    tw_val token = TW_NONE;
    tw_status status = TW_OK;
    for (int k = 0; k < pieces; k++) {
        told_draws piece = pieces > 1 ? take_piece(&all, k * rows, (k + 1) * rows, token) : all;
        binding->condition = piece.condition;
        tw_val loss = tw_mean_axis(flow->method->rules->row_loss(&model, &piece.draws), 0);
        if (pieces > 1) loss = tw_muls(loss, 1.0 / pieces);
        TW_TRY(tw_graph_check(s->graph));
        if (k == 0) {
            TW_TRY(alloc_parameters(flow->ctx, s));
            for (int i = 0; i < s->params_count; i++) s->old[i].weight = tw_params_value(s->params, i);
        }
        TW_TRY(add_gradients(flow->ctx, s, loss, k == 0));
        s->loss = k == 0 ? loss : tw_add(s->loss, loss);
        if (k + 1 < pieces) token = tw_square_of_all(s->params_count, s->gradients);
    }
done:
    return status;
}

static tw_status build_update(const tw_step_desc *desc, tw_step_graph *s)
{
    tw_val square = tw_square_of_all(s->params_count, s->gradients);
    s->norm = tw_sqrt(square);
    tw_val go = tw_is_finite(square);
    s->finite = tw_cast(go, desc->dtype);
    tw_update update = {.beta1 = desc->beta1,
                        .beta2 = desc->beta2,
                        .epsilon = desc->epsilon,
                        .weight_decay = desc->weight_decay,
                        .rate = s->rate,
                        .correction1 = s->correction1,
                        .correction2 = s->correction2,
                        .average = s->average,
                        .scale = tw_clip_scale(square, desc->clip),
                        .go = go,
                        .coded = s->coded};
    for (int i = 0; i < s->params_count; i++) {
        tw_val weight = s->old[i].weight;
        int moments = s->optimiser->moments;
        s->old[i].first = moments > 0 ? tw_optimiser_state(s->optimiser, "first", weight) : TW_NONE;
        s->old[i].second = moments > 1 ? tw_optimiser_state(s->optimiser, "second", weight) : TW_NONE;
        s->old[i].average = tw_input(s->graph, "average", desc->dtype, tw_shape_at(weight));
        s->new[i] = tw_optimiser_update(s->optimiser, &update, s->old[i], s->gradients[i]);
    }
    return tw_graph_check(s->graph);
}

tw_status tw_step_graph_build(tw_flow *flow, const tw_step_desc *desc, tw_step_graph *out_graph)
{
    tw_context *ctx = flow->ctx;
    tw_step_graph s = {.optimiser = desc->optimiser ? desc->optimiser : tw_optimiser_at(0)};
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(ctx, &s.graph));
    TW_TRY(tw_params_create(ctx, s.graph, desc->dtype, &s.params));
    s.key = tw_input(s.graph, "key", TW_DTYPE_U32, tw_shape_of(2));
    s.counter = tw_input(s.graph, "counter", TW_DTYPE_U32, tw_shape_of(2));
    s.rate = tw_input(s.graph, "rate", desc->dtype, TW_SCALAR);
    s.average = tw_input(s.graph, "average_decay", desc->dtype, TW_SCALAR);
    s.correction1 = tw_input(s.graph, "correction1", desc->dtype, TW_SCALAR);
    s.correction2 = tw_input(s.graph, "correction2", desc->dtype, TW_SCALAR);
    tw_params_train(s.params, (tw_training){.key = s.key, .counter = s.counter, .recompute = desc->recompute});
    tw_flow_binding binding = {.params = s.params, .flow = flow, .condition = TW_NONE};
    TW_TRY(build_gradients(flow, desc, &s, &binding));
    if (tw_params_size(s.params) != tw_params_size(flow->params) ||
        tw_params_count(s.params) != tw_params_count(flow->params))
        TW_TRY(tw_fail(ctx, TW_ERR_INTERNAL, "the method trains other parameters than the flow keeps"));
    TW_TRY(build_update(desc, &s));
    *out_graph = s;
    s = (tw_step_graph){0};
done:
    tw_step_graph_free(ctx, &s);
    return status;
}

void tw_step_graph_free(tw_context *ctx, tw_step_graph *s)
{
    tw_free(ctx, s->gradients);
    tw_free(ctx, s->old);
    tw_free(ctx, s->new);
    tw_params_destroy(s->params);
    tw_graph_destroy(s->graph);
    tw_free(ctx, s->coded);
    *s = (tw_step_graph){0};
}

/* --- the program ------------------------------------------------------------------------------------------------- */

enum { HEAD_INPUTS = 6, HEAD_OUTPUTS = 3 };

/* Inputs in order: the head, what is fed, the flat arrays. */
static int feeds_of(const tw_step_graph *s)
{
    int count = 0;
    for (int f = 0; f < TW_FEEDS; f++) count += !tw_is_none(s->feed[f]);
    return count;
}

static tw_val moment(const tw_moments *m, int kind)
{
    return kind == TW_WEIGHTS ? m->weight : kind == TW_FIRST ? m->first : kind == TW_SECOND ? m->second : m->average;
}

/* Bytes of an array within a flat one, those of weights as tw_params_offset has them. */
static size_t bytes_of(tw_val v)
{
    return (size_t)tw_aligned(tw_shape_size(tw_shape_at(v)) * (int64_t)tw_dtype_size(tw_dtype_at(v)));
}

static tw_status compile(tw_context *ctx, tw_products products, tw_step *step)
{
    const tw_step_graph *s = &step->graph;
    int n = s->params_count, flats = tw_flats_of(s->optimiser);
    int first = HEAD_INPUTS + feeds_of(s), inputs_count = first + flats * n, outputs_count = HEAD_OUTPUTS + flats * n;
    tw_status status = TW_OK;
    tw_val *inputs = tw_alloc(ctx, (size_t)inputs_count, sizeof(tw_val));
    tw_val *outputs = tw_alloc(ctx, (size_t)outputs_count, sizeof(tw_val));
    int *overwrites = tw_alloc(ctx, (size_t)outputs_count, sizeof(int));
    bool *constants = tw_alloc(ctx, (size_t)inputs_count, sizeof(bool)); /* but for this program itself */
    if (!inputs || !outputs || !overwrites || !constants)
        TW_TRY(tw_fail_memory(ctx, (size_t)outputs_count * sizeof(tw_val)));
    const tw_val head_in[HEAD_INPUTS] = {s->key, s->counter, s->rate, s->average, s->correction1, s->correction2};
    const tw_val head_out[HEAD_OUTPUTS] = {s->loss, s->norm, s->finite};
    memcpy(inputs, head_in, sizeof(head_in));
    for (int f = 0, at = HEAD_INPUTS; f < TW_FEEDS; f++)
        if (!tw_is_none(s->feed[f])) inputs[at++] = s->feed[f];
    memcpy(outputs, head_out, sizeof(head_out));
    for (int i = 0; i < HEAD_OUTPUTS; i++) overwrites[i] = -1;
    for (int kind = 0; kind < flats; kind++)
        for (int i = 0; i < n; i++) {
            inputs[first + kind * n + i] = moment(&s->old[i], kind);
            constants[first + kind * n + i] = true;
            outputs[HEAD_OUTPUTS + kind * n + i] = moment(&s->new[i], kind);
            overwrites[HEAD_OUTPUTS + kind * n + i] = first + kind * n + i;
        }
    tw_program_desc desc = {.name = "the training step",
                            .inputs_count = inputs_count,
                            .inputs = inputs,
                            .outputs_count = outputs_count,
                            .outputs = outputs,
                            .overwrites = overwrites,
                            .constants = constants,
                            .products = products};
    TW_TRY(tw_program_compile(ctx, &desc, &step->program));
    TW_TRY(tw_state_create(step->program, 0, &step->state));
done:
    tw_free(ctx, inputs);
    tw_free(ctx, outputs);
    tw_free(ctx, overwrites);
    tw_free(ctx, constants);
    return status;
}

/* Points inputs and outputs at the arrays of `step`, which must not move any more. */
static tw_status bind(tw_step *step, const void *const feed[TW_FEEDS])
{
    tw_context *ctx = step->ctx;
    int n = step->graph.params_count, flats = tw_flats_of(step->graph.optimiser);
    int first = HEAD_INPUTS + feeds_of(&step->graph);
    for (int kind = 0; kind < flats; kind++) {
        for (int i = 0; i < n; i++) step->flat_bytes[kind] += bytes_of(moment(&step->graph.old[i], kind));
        step->flat[kind] = tw_alloc_aligned(ctx, step->flat_bytes[kind]);
        if (!step->flat[kind]) return tw_fail_memory(ctx, step->flat_bytes[kind]);
    }
    step->inputs = tw_alloc(ctx, (size_t)(first + flats * n), sizeof(void *));
    step->outputs = tw_alloc(ctx, (size_t)(HEAD_OUTPUTS + flats * n), sizeof(void *));
    if (!step->inputs || !step->outputs) return tw_fail_memory(ctx, (size_t)n * sizeof(void *));
    const void *head_in[HEAD_INPUTS] = {step->key,      step->counter,      &step->rate,
                                        &step->average, &step->correction1, &step->correction2};
    void *head_out[HEAD_OUTPUTS] = {&step->loss, &step->norm, &step->finite};
    memcpy(step->inputs, head_in, sizeof(head_in));
    tw_step_feed(step, feed);
    memcpy(step->outputs, head_out, sizeof(head_out));
    for (int kind = 0; kind < flats; kind++) {
        unsigned char *piece = (unsigned char *)step->flat[kind];
        for (int i = 0; i < n; i++) {
            step->inputs[first + kind * n + i] = piece;
            step->outputs[HEAD_OUTPUTS + kind * n + i] = piece;
            piece += bytes_of(moment(&step->graph.old[i], kind));
        }
    }
    return TW_OK;
}

void tw_step_feed(tw_step *step, const void *const feed[TW_FEEDS])
{
    for (int f = 0, at = HEAD_INPUTS; f < TW_FEEDS; f++)
        if (!tw_is_none(step->graph.feed[f])) step->inputs[at++] = feed[f];
}

tw_status tw_step_create(tw_flow *flow, const tw_step_desc *desc, const void *const feed[TW_FEEDS], uint64_t seed,
                         tw_step *out_step)
{
    tw_step *step = out_step;
    tw_status status = TW_OK;
    *step = (tw_step){
        .ctx = flow->ctx, .key = {(uint32_t)seed, (uint32_t)(seed >> 32)}, .beta1 = desc->beta1, .beta2 = desc->beta2};
    TW_TRY(tw_step_graph_build(flow, desc, &step->graph));
    TW_TRY(compile(flow->ctx, desc->products, step));
    TW_TRY(bind(step, feed));
done:
    if (status != TW_OK) tw_step_destroy(step);
    return status;
}

void tw_step_destroy(tw_step *step)
{
    tw_context *ctx = step->ctx;
    if (!ctx) return;
    tw_state_destroy(step->state);
    tw_program_destroy(step->program);
    tw_step_graph_free(ctx, &step->graph);
    for (int kind = 0; kind < TW_FLATS; kind++) tw_free_aligned(ctx, step->flat[kind]);
    tw_free(ctx, step->inputs);
    tw_free(ctx, step->outputs);
    *step = (tw_step){0};
}

size_t tw_step_moment_bytes(const tw_step *step)
{
    return step->flat_bytes[TW_FIRST] + step->flat_bytes[TW_SECOND];
}

tw_status tw_step_run(tw_step *step, int64_t number, int64_t update, double rate, double average)
{
    step->counter[0] = (uint32_t)number;
    step->counter[1] = (uint32_t)((uint64_t)number >> 32);
    step->rate = (float)rate;
    step->average = (float)average;
    step->correction1 = tw_update_correction(step->beta1, update);
    step->correction2 = tw_update_correction(step->beta2, update);
    return tw_program_run(step->state, step->inputs, step->outputs, 0);
}
