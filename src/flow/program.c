/* flow/program.c - a flow's velocity with its divergence or score, and the transpose of its derivative, as compiled
 * programs.
 *
 * The exact divergence (tw_divergence) shares the velocity's own evaluation: a row costs one and D tangents in a single
 * sweep. On a manifold the network's answer does not change across the tangent space, so that the trace is that of the
 * tangent space alone. */
#include "flow/crew.h"
#include "flow/jumping.h"

/* Rows a block holds: enough for products to run near their peak, few enough for several blocks a thread and, with D
 * tangents a row, for the cache. */
static int64_t block_rows(const tw_flow *flow, tw_flow_second second)
{
    int tangents = flow->probes.count > 0 ? flow->probes.count : flow->space.numbers;
    if (!tw_flow_diverges(second)) return 256;
    return tw_max_i64(8, tw_min_i64(256, 512 / tangents / 8 * 8));
}

/* Of u: exact, or along the signs that are given for each row. */
static tw_status divergence_of(const tw_flow *flow, tw_val x, tw_val u, tw_val signs, tw_val *out)
{
    tw_divergence_desc desc = {.trace = TW_TRACE_HUTCHINSON, .probes = flow->probes.count, .vectors = signs};
    tw_status status = tw_divergence(x, u, flow->probes.count > 0 ? &desc : NULL, out);
    tw_val more = tw_space_compression(&flow->space, x, u);
    if (status == TW_OK && !tw_is_none(more)) *out = tw_add(*out, more);
    return status;
}

/* w' du/dx, and w' du/dtheta for every parameter when they are wanted, in place of u; with a divergence, given beside
 * u, the same of both. */
static tw_status pull_of(const tw_flow_program *p, tw_val x, tw_val w, tw_val *outputs)
{
    int count = tw_flow_pulls_weights(p->second) ? tw_params_count(p->params) : 0;
    int pulled = 1 + tw_flow_diverges(p->second);
    int64_t columns = tw_last_dim(x);
    tw_val of[2] = {outputs[0], outputs[1]}, along[2] = {w};
    if (pulled > 1) {
        along[0] = tw_slice(w, 1, 0, columns);
        along[1] = tw_reshape(tw_slice(w, 1, columns, columns + 1), tw_shape_of(p->rows));
    }
    outputs[0] = x;
    for (int i = 0; i < count; i++) outputs[1 + i] = tw_params_value(p->params, i);
    return tw_vjp(1 + count, outputs, pulled, of, along, outputs);
}

/* The derivative of u, and of the divergence behind it, along v in their place. */
static tw_status push_of(const tw_flow_program *p, tw_val x, tw_val v, tw_val *outputs)
{
    int pushed = 1 + tw_flow_diverges(p->second);
    const tw_val of[2] = {outputs[0], outputs[1]};
    tw_status status = tw_jvp(1, &x, &v, pushed, of, outputs);
    for (int i = 0; status == TW_OK && i < pushed; i++)
        if (tw_is_none(outputs[i])) outputs[i] = tw_zeros_like(of[i]);
    return status;
}

/* What the row that stands first, or second, is told, as the network sees it. */
static tw_val features_of(const tw_flow *flow, int row, tw_val condition)
{
    int told = flow->desc.conditions_count;
    if (tw_is_none(condition)) return condition;
    return tw_conditions_features(told, flow->desc.conditions, tw_slice(condition, 1, row * told, (row + 1) * told));
}

tw_status tw_flow_bind_guide(const tw_flow *guide, tw_graph *graph, tw_dtype dtype, tw_val condition,
                             tw_flow_binding *out_binding, tw_params **out_params)
{
    int told = guide->desc.conditions_count;
    tw_status status = tw_params_create(guide->ctx, graph, dtype, out_params);
    *out_binding = (tw_flow_binding){
        .flow = guide, .params = *out_params, .condition = features_of(guide, 0, told > 0 ? condition : TW_NONE)};
    return status;
}

static tw_status build(tw_flow *flow, tw_flow_program *p)
{
    static const char *const names[] = {"the velocity",
                                        "velocity and divergence",
                                        "velocity and score",
                                        "velocities that share attention",
                                        "the velocity's derivative",
                                        "the derivative of velocity and divergence",
                                        "the velocity's transpose",
                                        "the velocity's transpose, with weights",
                                        "the transpose of velocity and divergence",
                                        "the transpose of velocity and divergence, with weights"};
    tw_context *ctx = flow->ctx;
    tw_dtype dtype = p->wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
    tw_val *inputs = NULL, *outputs = NULL;
    bool *constants = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(ctx, &p->graph));
    TW_TRY(tw_params_create(ctx, p->graph, dtype, &p->params));
    tw_flow_binding binding = {.params = p->params, .flow = flow}, guide;
    int told = p->told;
    tw_val condition = TW_NONE;
    if (told > 0) condition = tw_input(p->graph, "condition", dtype, tw_shape_of(p->rows, told));
    binding.condition = features_of(flow, 0, condition);
    if (flow->guide.flow) {
        TW_TRY(tw_flow_bind_guide(flow->guide.flow, p->graph, dtype, condition, &guide, &p->guide_params));
        binding.guide = &guide;
    }
    tw_model model = tw_flow_model(flow, &binding);
    tw_val x = tw_input(p->graph, "x", dtype, tw_shape_of(p->rows, p->numbers));
    tw_val t = tw_input(p->graph, "t", dtype, tw_shape_of(p->rows));
    tw_val u, along = TW_NONE, probes = TW_NONE; /* more inputs a row */
    u = p->second == TW_FLOW_SHARED ? tw_flow_shared_velocity(flow, &model, features_of(flow, 1, condition), x, t)
                                    : tw_flow_velocity(flow, &model, x, t);
    TW_TRY(tw_graph_check(p->graph));
    bool diverges = tw_flow_diverges(p->second), pulls = tw_flow_pulls(p->second), pushes = tw_flow_pushes(p->second);
    if (pulls || pushes)
        along = tw_input(p->graph, "along", dtype, tw_shape_of(p->rows, flow->space.numbers + (pulls && diverges)));
    if (diverges && flow->probes.count > 0)
        probes = tw_input(p->graph, "probes", dtype, tw_shape_of(p->rows, flow->probes.count, flow->space.numbers));
    int own = tw_params_count(p->params), count = own + (p->guide_params ? tw_params_count(p->guide_params) : 0);
    int given = 2 + (told > 0) + !tw_is_none(along) + !tw_is_none(probes);
    inputs = tw_alloc(ctx, (size_t)(count + given), sizeof(*inputs));
    outputs = tw_alloc(ctx, (size_t)count + 2, sizeof(*outputs));
    constants = tw_alloc(ctx, (size_t)(count + given), sizeof(*constants));
    if (!inputs || !outputs || !constants) TW_TRY(tw_fail_memory(ctx, (size_t)(count + given) * sizeof(*inputs)));
    outputs[0] = u;
    p->outputs_count = 1;
    if (diverges) TW_TRY(divergence_of(flow, x, u, probes, &outputs[1]));
    if (p->second == TW_FLOW_SCORE) outputs[1] = tw_flow_score(flow, &model, x, t);
    if ((diverges && !pulls) || p->second == TW_FLOW_SCORE) p->outputs_count = 2;
    if (pushes) TW_TRY(push_of(p, x, along, outputs));
    if (pulls) TW_TRY(pull_of(p, x, along, outputs));
    if (tw_flow_pulls_weights(p->second)) p->outputs_count += own;
    TW_TRY(tw_graph_check(p->graph));
    for (int i = 0; i < count; i++) {
        inputs[i] = i < own ? tw_params_value(p->params, i) : tw_params_value(p->guide_params, i - own);
        constants[i] = true; /* programs are dropped when weights change */
    }
    inputs[count] = x;
    inputs[count + 1] = t;
    if (told > 0) inputs[count + 2] = condition;
    if (pulls || pushes) inputs[count + 2 + (told > 0)] = along;
    if (!tw_is_none(probes)) inputs[count + given - 1] = probes;
    p->inputs_count = count + given;
    tw_program_desc desc = {.name = names[p->second],
                            .inputs_count = count + given,
                            .inputs = inputs,
                            .outputs_count = p->outputs_count,
                            .outputs = outputs,
                            .rows = p->rows,
                            .constants = constants,
                            .block_rows = p->rows};
    TW_TRY(tw_program_compile(ctx, &desc, &p->program));
done:
    tw_free(ctx, inputs);
    tw_free(ctx, outputs);
    tw_free(ctx, constants);
    return status;
}

tw_status tw_flow_bind_weights(const tw_flow *flow, const tw_params *params, bool wide, void **copy,
                               const void **inputs)
{
    int64_t size = tw_params_size(params);
    size_t element = wide ? sizeof(double) : sizeof(float);
    if (wide) {
        double *made = *copy = tw_alloc_aligned(flow->ctx, (size_t)size * sizeof(double));
        if (!made) return tw_fail_memory(flow->ctx, (size_t)size * sizeof(double));
        for (int64_t i = 0; i < size; i++) made[i] = (double)flow->weights[i];
    }
    const char *base = wide ? *copy : (const void *)flow->weights;
    for (int i = 0; i < tw_params_count(params); i++) inputs[i] = base + (size_t)tw_params_offset(params, i) * element;
    return TW_OK;
}

static tw_status bind_inputs(const tw_flow *flow, tw_flow_program *p)
{
    p->inputs = tw_alloc(flow->ctx, (size_t)p->inputs_count, sizeof(void *));
    if (!p->inputs) return tw_fail_memory(flow->ctx, (size_t)p->inputs_count * sizeof(void *));
    tw_status status = tw_flow_bind_weights(flow, p->params, p->wide, &p->weights, p->inputs);
    if (status != TW_OK || !p->guide_params) return status;
    return tw_flow_bind_weights(flow->guide.flow, p->guide_params, p->wide, &p->guide_weights,
                                p->inputs + tw_params_count(p->params));
}

static void destroy(tw_context *ctx, tw_flow_program *p)
{
    if (!p) return;
    tw_crew_destroy(p->crew);
    tw_program_destroy(p->program);
    tw_params_destroy(p->params);
    tw_params_destroy(p->guide_params);
    tw_graph_destroy(p->graph);
    tw_free_aligned(ctx, p->weights);
    tw_free_aligned(ctx, p->guide_weights);
    tw_free(ctx, p->inputs);
    tw_free(ctx, p);
}

tw_status tw_flow_program_get(tw_flow *flow, tw_flow_second second, bool wide, tw_flow_program **out_program)
{
    tw_flow_program **slot = &flow->program[second][wide];
    tw_status status = TW_OK;
    if (flow->space.symbols > 0 || tw_space_is_mixed(&flow->space))
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "a flow of tokens jumps: it has no velocity");
    if (!*slot) {
        tw_flow_program *p = tw_alloc(flow->ctx, 1, sizeof(*p));
        if (!p) return tw_fail_memory(flow->ctx, sizeof(*p));
        int abreast = second == TW_FLOW_SHARED ? 2 : 1;
        *p = (tw_flow_program){.second = second,
                               .wide = wide,
                               .rows = block_rows(flow, second),
                               .numbers = abreast * flow->space.numbers,
                               .told = abreast * flow->desc.conditions_count};
        status = build(flow, p);
        if (status == TW_OK) status = bind_inputs(flow, p);
        if (status != TW_OK) {
            destroy(flow->ctx, p);
            return status;
        }
        *slot = p;
    }
    *out_program = *slot;
    return status;
}

void tw_flow_programs_drop(tw_flow *flow)
{
    tw_token_crew_destroy(flow->token_crew);
    flow->token_crew = NULL;
    /* those with something beside the velocity first: their crews also run the ones without */
    for (int i = 2 * TW_FLOW_SECONDS - 1; i >= 0; i--) {
        destroy(flow->ctx, flow->program[i / 2][i % 2]);
        flow->program[i / 2][i % 2] = NULL;
    }
}
