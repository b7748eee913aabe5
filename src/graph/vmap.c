/* graph/vmap.c - batching: the same function of K samples at once, one pass over the nodes, one rule per op.
 *
 * vmap puts the samples first. vmap_rows puts them behind the rows of a row-wise function, so that all K tangents of a
 * row are neighbours and one pass over blocks of rows serves them (exact divergence: K basis vectors). A value that
 * does not depend on the inputs keeps its shape where the op allows it - weights in a product - and is stretched where
 * it must meet batched ones. */
#include "graph/vmap.h"

tw_val tw_batch_refuse(const tw_batch *b, const tw_draft *d, const char *why)
{
    return tw_graph_fail(b->g, TW_ERR_UNSUPPORTED, "%s: %s %s", b->who, tw_op_table[d->op].name, why);
}

static tw_shape insert_dim(tw_shape shape, int at, int64_t dim)
{
    tw_shape out = {.rank = shape.rank + 1 > TW_MAX_RANK ? -1 : shape.rank + 1};
    for (int i = 0; i < out.rank; i++) out.dim[i] = i < at ? shape.dim[i] : i == at ? dim : shape.dim[i - 1];
    return out;
}

tw_shape tw_batch_shape(const tw_batch *b, tw_shape shape)
{
    return insert_dim(shape, b->at, b->size);
}

static bool begins_with_rows(const tw_batch *b, tw_shape shape)
{
    return b->at == 0 || (shape.rank >= 1 && shape.dim[0] == b->rows);
}

/* What was stretched over rows is stretched once, not twice. */
tw_val tw_batch_stretch(const tw_batch *b, tw_val x)
{
    if (x.id < 0) return x;
    tw_shape shape = tw_shape_at(x);
    if (!begins_with_rows(b, shape))
        return tw_graph_fail(b->g, TW_ERR_UNSUPPORTED, "%s: a value of shape %s does not begin with the %lld rows",
                             b->who, tw_shape_show(shape).text, (long long)b->rows);
    if (tw_node_at(x)->op == TW_OP_broadcast) x = tw_val_of(b->g, tw_node_at(x)->args[0]);
    return tw_broadcast_to(tw_reshape(x, insert_dim(tw_shape_at(x), b->at, 1)), tw_batch_shape(b, shape));
}

void tw_batch_stretch_args(const tw_batch *b, int count)
{
    for (int k = 0; k < count; k++)
        if (!b->batched[k]) b->args[k] = tw_batch_stretch(b, b->args[k]);
}

/* Composites that have no rule are batched by their bodies. */
static tw_val write_out_others(const tw_draft *d)
{
    return tw_vmap_rule(d->op) ? TW_NONE : tw_write_out(d);
}

static int32_t visit(tw_batch *b, int32_t id)
{
    const tw_node *n = tw_node_of(b->g, id);
    const int32_t *ids = tw_node_args(b->g, n);
    for (int k = 0; k < n->args_count; k++) {
        b->batched[k] = b->reach[ids[k]];
        b->args[k] = tw_val_of(b->g, b->batched[k] ? b->map[ids[k]] : ids[k]);
    }
    b->node = tw_val_of(b->g, id);
    tw_draft d = tw_draft_of(b->node, b->args);
    if (!(tw_op_table[d.op].flags & TW_OPF_PRODUCER) && !begins_with_rows(b, d.shape))
        return tw_graph_fail(b->g, TW_ERR_UNSUPPORTED, "%s: %s makes %s, which does not begin with the %lld rows",
                             b->who, tw_op_table[d.op].name, tw_shape_show(d.shape).text, (long long)b->rows)
            .id;
    tw_vmap_fn rule = tw_vmap_rule(d.op);
    return (rule ? rule(b, &d) : tw_batch_refuse(b, &d, "has no rule")).id;
}

static tw_status check_inputs(tw_batch *b, int count, const tw_val *inputs, const tw_val *replacements)
{
    for (int i = 0; i < count; i++) {
        tw_shape x = tw_shape_at(inputs[i]), r = tw_shape_at(replacements[i]);
        if (i == 0 && x.rank >= b->at && r.rank > b->at) {
            b->rows = b->at ? x.dim[0] : 0;
            b->size = r.dim[b->at];
        }
        bool fits = x.rank >= b->at && begins_with_rows(b, x) && tw_shape_equal(r, tw_batch_shape(b, x)) &&
                    tw_dtype_at(inputs[i]) == tw_dtype_at(replacements[i]);
        if (fits) continue;
        return tw_fail(b->g->ctx, TW_ERR_SHAPE, "%s: input %d is %s%s, its replacement %s%s", b->who, i + 1,
                       tw_dtype_name(tw_dtype_at(inputs[i])), tw_shape_show(x).text,
                       tw_dtype_name(tw_dtype_at(replacements[i])), tw_shape_show(r).text);
    }
    return TW_OK;
}

static tw_status batch_create(tw_batch *b, int inputs_count, const tw_val *inputs, const tw_val *replacements)
{
    tw_graph *g = b->g;
    size_t count = (size_t)g->count, args = (size_t)tw_graph_max_args(g);
    b->reach = tw_alloc(g->ctx, count, sizeof *b->reach);
    b->map = tw_alloc(g->ctx, count, sizeof *b->map);
    b->args = tw_alloc(g->ctx, args, sizeof *b->args);
    b->batched = tw_alloc(g->ctx, args, sizeof *b->batched);
    if (!b->reach || !b->map || !b->args || !b->batched) return tw_fail_memory(g->ctx, count * sizeof *b->map);
    for (size_t id = 0; id < count; id++) b->map[id] = -1;
    for (int i = 0; i < inputs_count; i++) b->map[inputs[i].id] = replacements[i].id;
    tw_mark_dependent(g, inputs_count, inputs, b->reach);
    return TW_OK;
}

static tw_status run(tw_batch *b, int inputs_count, const tw_val *inputs, const tw_val *replacements, int outputs_count,
                     const tw_val *outputs, tw_val *out_outputs)
{
    bool *need = NULL;
    tw_val *given = NULL;
    tw_graph *same = NULL;
    for (int k = 0; inputs_count == 0 && k < outputs_count; k++) out_outputs[k] = outputs[k];
    if (inputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of(b->who, inputs_count, inputs, &b->g);
    if (status != TW_OK) return status;
    tw_graph *g = b->g;
    TW_TRY(tw_graph_of(b->who, inputs_count, replacements, &same));
    if (outputs_count > 0 && same == g) TW_TRY(tw_graph_of(b->who, outputs_count, outputs, &same));
    if (same != g) TW_TRY(tw_fail(g->ctx, TW_ERR_INVALID, "%s: values of two graphs", b->who));
    TW_TRY(check_inputs(b, inputs_count, inputs, replacements));
    given = tw_alloc(g->ctx, (size_t)outputs_count, sizeof *given);
    if (!given) TW_TRY(tw_fail_memory(g->ctx, sizeof *given));
    TW_TRY(tw_rewrite(write_out_others, inputs_count, inputs, outputs_count, outputs, given));
    outputs = given;
    TW_TRY(batch_create(b, inputs_count, inputs, replacements));
    int64_t count = g->count;
    need = tw_alloc(g->ctx, (size_t)count, sizeof *need);
    if (!need) TW_TRY(tw_fail_memory(g->ctx, (size_t)count));
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, need);
    for (int32_t id = 0; id < count && g->status == TW_OK; id++)
        if (need[id] && b->reach[id] && b->map[id] < 0) b->map[id] = visit(b, id);
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++)
        if (!b->reach[outputs[k].id] && b->map[outputs[k].id] < 0)
            b->map[outputs[k].id] = tw_batch_stretch(b, outputs[k]).id;
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++) out_outputs[k] = tw_val_of(g, b->map[outputs[k].id]);
done:
    tw_free(g->ctx, need);
    tw_free(g->ctx, given);
    tw_free(g->ctx, b->reach);
    tw_free(g->ctx, b->map);
    tw_free(g->ctx, b->args);
    tw_free(g->ctx, b->batched);
    return status;
}

tw_status tw_vmap(int inputs_count, const tw_val *inputs, const tw_val *replacements, int outputs_count,
                  const tw_val *outputs, tw_val *out_outputs)
{
    tw_batch b = {.who = "vmap", .at = 0};
    return run(&b, inputs_count, inputs, replacements, outputs_count, outputs, out_outputs);
}

tw_status tw_vmap_rows(int inputs_count, const tw_val *inputs, const tw_val *replacements, int outputs_count,
                       const tw_val *outputs, tw_val *out_outputs)
{
    tw_batch b = {.who = "vmap_rows", .at = 1};
    return run(&b, inputs_count, inputs, replacements, outputs_count, outputs, out_outputs);
}
