/* flow/program.c - a flow's velocity, and its divergence, as compiled programs.
 *
 * div u = sum_d e_d . (du/dx) e_d: one forward derivative of the velocity along a stand-in tangent, batched over the D
 * unit vectors behind the row axis. The part of the network that does not depend on the tangent is computed once, so a
 * row costs one evaluation and D tangents in a single sweep. */
#include "flow/flow.h"

/* Rows a block holds: enough for products to run near their peak, few enough for several blocks a thread and, with D
 * tangents a row, for the cache. */
static int64_t block_rows(int columns, bool divergence)
{
    if (!divergence) return 256;
    return tw_max_i64(8, tw_min_i64(256, 512 / columns / 8 * 8));
}

static tw_val unit_vectors(tw_graph *g, tw_dtype dtype, int64_t rows, int64_t columns)
{
    tw_shape square = tw_shape_of(columns, columns);
    tw_val eye = tw_cast(tw_eq(tw_iota(g, TW_DTYPE_I32, square, 0), tw_iota(g, TW_DTYPE_I32, square, 1)), dtype);
    return tw_broadcast_to(tw_expand_dim(eye, 0), tw_shape_of(rows, columns, columns));
}

static tw_status build_divergence(tw_val x, tw_val u, tw_val *out_divergence)
{
    tw_graph *g = x.graph;
    tw_status status = TW_OK;
    tw_val stand_in = tw_input(g, "tangent", tw_dtype_at(x), tw_shape_at(x)), du = TW_NONE, all = TW_NONE;
    TW_TRY(tw_jvp(1, &x, &stand_in, 1, &u, &du));
    if (tw_is_none(du)) {
        *out_divergence = tw_full(g, tw_dtype_at(x), tw_shape_of(tw_dim(x, 0)), 0);
        goto done;
    }
    tw_val units = unit_vectors(g, tw_dtype_at(x), tw_dim(x, 0), tw_dim(x, 1));
    TW_TRY(tw_vmap_rows(1, &stand_in, &units, 1, &du, &all));
    *out_divergence = tw_sum(tw_mul(all, units), 2, (const int[]){1, 2});
done:
    return status;
}

static tw_status build(tw_flow *flow, tw_flow_program *p)
{
    tw_context *ctx = flow->ctx;
    tw_dtype dtype = p->wide ? TW_DTYPE_F64 : TW_DTYPE_F32;
    tw_val *inputs = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(ctx, &p->graph));
    TW_TRY(tw_params_create(ctx, p->graph, dtype, &p->params));
    tw_flow_binding binding = {p->params, &flow->desc};
    tw_model model = tw_flow_model(flow, &binding);
    tw_val x = tw_input(p->graph, "x", dtype, tw_shape_of(p->rows, flow->desc.columns));
    tw_val t = tw_input(p->graph, "t", dtype, tw_shape_of(p->rows));
    tw_val outputs[2] = {flow->method->rules->velocity(&model, x, t), TW_NONE};
    TW_TRY(tw_graph_check(p->graph));
    if (p->divergence) TW_TRY(build_divergence(x, outputs[0], &outputs[1]));
    int count = tw_params_count(p->params);
    inputs = tw_alloc(ctx, (size_t)count + 2, sizeof(*inputs));
    if (!inputs) TW_TRY(tw_fail_memory(ctx, ((size_t)count + 2) * sizeof(*inputs)));
    for (int i = 0; i < count; i++) inputs[i] = tw_params_value(p->params, i);
    inputs[count] = x;
    inputs[count + 1] = t;
    p->inputs_count = count + 2;
    tw_program_desc desc = {.inputs_count = count + 2,
                            .inputs = inputs,
                            .outputs_count = p->divergence ? 2 : 1,
                            .outputs = outputs,
                            .rows = p->rows,
                            .block_rows = p->rows};
    TW_TRY(tw_program_compile(ctx, &desc, &p->program));
done:
    tw_free(ctx, inputs);
    return status;
}

/* Points the parameter inputs at the flow's weights, or at a copy in double. */
static tw_status bind_weights(tw_flow *flow, tw_flow_program *p)
{
    tw_context *ctx = flow->ctx;
    int64_t size = tw_params_size(p->params);
    size_t element = p->wide ? sizeof(double) : sizeof(float);
    p->inputs = tw_alloc(ctx, (size_t)p->inputs_count, sizeof(void *));
    if (!p->inputs) return tw_fail_memory(ctx, (size_t)p->inputs_count * sizeof(void *));
    if (p->wide) {
        double *copy = tw_alloc_aligned(ctx, (size_t)size * sizeof(double));
        if (!copy) return tw_fail_memory(ctx, (size_t)size * sizeof(double));
        for (int64_t i = 0; i < size; i++) copy[i] = (double)flow->weights[i];
        p->weights = copy;
    }
    const char *base = p->wide ? p->weights : (const void *)flow->weights;
    for (int i = 0; i < tw_params_count(p->params); i++)
        p->inputs[i] = base + (size_t)tw_params_offset(p->params, i) * element;
    return TW_OK;
}

static void destroy(tw_context *ctx, tw_flow_program *p)
{
    if (!p) return;
    tw_program_destroy(p->program);
    tw_params_destroy(p->params);
    tw_graph_destroy(p->graph);
    tw_free_aligned(ctx, p->weights);
    tw_free(ctx, p->inputs);
    tw_free(ctx, p);
}

tw_status tw_flow_program_get(tw_flow *flow, bool divergence, bool wide, tw_flow_program **out_program)
{
    tw_flow_program **slot = &flow->program[divergence][wide];
    tw_status status = TW_OK;
    if (!*slot) {
        tw_flow_program *p = tw_alloc(flow->ctx, 1, sizeof(*p));
        if (!p) return tw_fail_memory(flow->ctx, sizeof(*p));
        *p = (tw_flow_program){
            .divergence = divergence, .wide = wide, .rows = block_rows(flow->desc.columns, divergence)};
        status = build(flow, p);
        if (status == TW_OK) status = bind_weights(flow, p);
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
    for (int i = 0; i < 4; i++) {
        destroy(flow->ctx, flow->program[i / 2][i % 2]);
        flow->program[i / 2][i % 2] = NULL;
    }
}
