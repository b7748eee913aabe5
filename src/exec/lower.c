/* exec/lower.c - the graph again, ready for instructions: only needed nodes, composites without a kernel replaced by
 * their bodies (so that a function and its derivative share their parts), sums over scattered axes split, products
 * brought to a form GEMM takes. */
#include "exec/inst.h"
#include "graph/conv.h"
#include "graph/function.h"

static tw_dot dot_shape(const tw_attr *at, tw_shape a, tw_shape b)
{
    int nb = at->batch_count, nc = at->contract_count;
    tw_dot dot = {.regular = true, .batch = 1, .m = 1, .n = 1, .k = 1};
    bool lead_a = true, trail_a = true, lead_b = true, trail_b = true;
    for (int i = 0; i < nb; i++) {
        if (at->axis[i] != i || at->axis_b[i] != i) dot.regular = false;
        dot.batch *= a.dim[at->axis[i]];
    }
    for (int i = 0; i < nc; i++) {
        int ca = at->axis[nb + i], cb = at->axis_b[nb + i];
        dot.k *= a.dim[ca];
        if (ca != nb + i) lead_a = false;
        if (ca != a.rank - nc + i) trail_a = false;
        if (cb != nb + i) lead_b = false;
        if (cb != b.rank - nc + i) trail_b = false;
    }
    if (!(lead_a || trail_a) || !(lead_b || trail_b)) dot.regular = false;
    dot.ta = !trail_a;
    dot.tb = !lead_b;
    uint32_t used_a = 0, used_b = 0;
    for (int i = 0; i < nb + nc; i++) {
        used_a |= 1u << at->axis[i];
        used_b |= 1u << at->axis_b[i];
    }
    for (int i = 0; i < a.rank; i++)
        if (!(used_a >> i & 1)) dot.m *= a.dim[i];
    for (int i = 0; i < b.rank; i++)
        if (!(used_b >> i & 1)) dot.n *= b.dim[i];
    return dot;
}

tw_dot tw_dot_of(const tw_graph *g, const tw_node *node)
{
    const int32_t *args = tw_node_args(g, node);
    return dot_shape(tw_node_attr(g, node), tw_node_of(g, args[0])->shape, tw_node_of(g, args[1])->shape);
}

/* An irregular product: operands transposed to (batch, free, contracted) and (batch, contracted, free). */
static tw_val regular_dot(const tw_attr *at, tw_val a, tw_val b)
{
    int nb = at->batch_count, nc = at->contract_count;
    int perm_a[TW_MAX_RANK], perm_b[TW_MAX_RANK], batch[TW_MAX_RANK], ca[TW_MAX_RANK], cb[TW_MAX_RANK];
    tw_shape sa = tw_shape_at(a), sb = tw_shape_at(b);
    uint32_t used_a = 0, used_b = 0;
    int na = 0, nb_axes = 0;
    for (int i = 0; i < nb + nc; i++) {
        used_a |= 1u << at->axis[i];
        used_b |= 1u << at->axis_b[i];
    }
    for (int i = 0; i < nb; i++) {
        batch[i] = i;
        perm_a[na++] = at->axis[i];
        perm_b[nb_axes++] = at->axis_b[i];
    }
    for (int i = 0; i < sa.rank; i++)
        if (!(used_a >> i & 1)) perm_a[na++] = i;
    for (int i = 0; i < nc; i++) {
        ca[i] = na;
        cb[i] = nb_axes;
        perm_a[na++] = at->axis[nb + i];
        perm_b[nb_axes++] = at->axis_b[nb + i];
    }
    for (int i = 0; i < sb.rank; i++)
        if (!(used_b >> i & 1)) perm_b[nb_axes++] = i;
    return tw_dot_general(tw_transpose(a, perm_a), tw_transpose(b, perm_b), nb, batch, batch, nc, ca, cb);
}

/* A product of bf16 values: widening is exact, f32 is what they add up in. */
static tw_val widened_dot(const tw_draft *d)
{
    tw_draft wide = *d;
    tw_val args[2] = {tw_cast(d->args[0], TW_DTYPE_F32), tw_cast(d->args[1], TW_DTYPE_F32)};
    wide.args = args;
    return tw_graph_append(&wide);
}

/* Axes of a mask as contiguous runs; reduces one run at a time, last axes first. */
static tw_val reduce_runs(tw_op op, tw_val x, uint32_t mask)
{
    tw_shape shape = tw_shape_at(x);
    for (int i = shape.rank - 1; i >= 0 && !tw_is_none(x);) {
        if (!(mask >> i & 1)) {
            i--;
            continue;
        }
        int axes[TW_MAX_RANK], count = 0;
        while (i >= 0 && (mask >> i & 1)) axes[count++] = i--;
        x = op == TW_OP_sum ? tw_sum(x, count, axes) : tw_reduce_max(x, count, axes);
    }
    return x;
}

static bool mask_is_run(uint32_t mask)
{
    if (!mask) return true;
    while (!(mask & 1)) mask >>= 1;
    return (mask & (mask + 1)) == 0;
}

/* The body in place of the call: what it computes and the graph has already is found again. */
static tw_val inlined(const tw_draft *d)
{
    const tw_function *f = tw_graph_function(d->graph, d->attr.function[0]);
    tw_val *results = tw_alloc(d->graph->ctx, (size_t)f->outputs_count, sizeof *results), tuple = TW_NONE;
    if (!results)
        return tw_graph_fail(d->graph, TW_ERR_MEMORY, "out of memory: a call of %d results", f->outputs_count);
    if (tw_function_inline(f, d->graph, d->args, results)) tuple = tw_tuple(d->graph, f->outputs_count, results);
    tw_free(d->graph->ctx, results);
    return tuple;
}

/* What a node becomes as it is made in the lowered graph; none: it stays. Bodies of composites pass through here too.
 */
static tw_val lowered(const tw_draft *d)
{
    const tw_op_info *op = &tw_op_table[d->op];
    if ((op->flags & TW_OPF_COMPOSITE) && !tw_exec_keeps(d)) return op->body(d);
    if (d->op == TW_OP_dot_general && tw_dtype_at(d->args[0]) == TW_DTYPE_BF16) return widened_dot(d);
    if (d->op == TW_OP_dot_general && !dot_shape(&d->attr, tw_shape_at(d->args[0]), tw_shape_at(d->args[1])).regular)
        return regular_dot(&d->attr, d->args[0], d->args[1]);
    if (d->op == TW_OP_conv || d->op == TW_OP_conv_input || d->op == TW_OP_conv_weights) return tw_conv_as_product(d);
    if (d->op == TW_OP_call) return inlined(d);
    if (d->op == TW_OP_all_reduce_sum && !d->graph->ctx->all_reduce) return d->args[0];
    if ((d->op == TW_OP_sum || d->op == TW_OP_reduce_max) && !mask_is_run(d->attr.axis_mask))
        return reduce_runs(d->op, d->args[0], d->attr.axis_mask);
    return TW_NONE;
}

static tw_val copy_node(tw_graph *to, const tw_graph *from, const tw_node *node, const tw_val *args)
{
    const tw_attr *at = tw_node_attr(from, node);
    if (node->op == TW_OP_const) return tw_const_data(to, (tw_dtype)node->dtype, node->shape, tw_node_data(from, node));
    tw_draft draft = {.graph = to,
                      .op = (tw_op)node->op,
                      .count = node->args_count,
                      .args = args,
                      .dtype = (tw_dtype)node->dtype,
                      .shape = node->shape};
    if (at) draft.attr = *at;
    tw_adopt_functions(to, from, &draft);
    return to->rewrite ? tw_graph_append(&draft) : tw_graph_append_as_is(&draft);
}

/* What the outputs need of their graph, again in the empty graph `to`. An input may be any node: what lies behind it is
 * cut off. The new inputs and outputs may take the place of the old. */
static tw_status copy_needed(tw_graph *to, int inputs_count, const tw_val *inputs, int outputs_count,
                             const tw_val *outputs, tw_val *new_inputs, tw_val *new_outputs)
{
    tw_status status = TW_OK;
    const tw_graph *from = outputs[0].graph;
    tw_context *ctx = to->ctx;
    bool *need = tw_alloc(ctx, (size_t)from->count, sizeof *need);
    tw_val *map = tw_alloc(ctx, (size_t)from->count, sizeof *map);
    tw_val *args = tw_alloc(ctx, (size_t)tw_graph_max_args(from), sizeof *args);
    if (!need || !map || !args) TW_TRY(tw_fail_memory(ctx, (size_t)from->count));
    for (int64_t i = 0; i < from->count; i++) map[i] = TW_NONE;
    tw_mark_between(from, inputs_count, inputs, outputs_count, outputs, need);
    for (int i = 0; i < inputs_count; i++) {
        tw_val *input = &map[inputs[i].id];
        if (!tw_is_none(*input)) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "input %d is given twice", i));
        new_inputs[i] = *input = tw_input(to, "", tw_dtype_at(inputs[i]), tw_shape_at(inputs[i]));
    }
    TW_TRY(tw_graph_check(to));
    for (int64_t i = 0; i < from->count; i++) {
        const tw_node *node = tw_node_of(from, (int32_t)i);
        if (!need[i] || !tw_is_none(map[i])) continue;
        if (node->op == TW_OP_input)
            TW_TRY(tw_fail(ctx, TW_ERR_INVALID,
                           "the outputs depend on input '%s', which is not among the program's inputs",
                           from->names + tw_node_attr(from, node)->name));
        for (int k = 0; k < node->args_count; k++) args[k] = map[tw_node_args(from, node)[k]];
        map[i] = copy_node(to, from, node, args);
        TW_TRY(tw_graph_check(to));
    }
    for (int i = 0; i < outputs_count; i++) new_outputs[i] = map[outputs[i].id];
done:
    tw_free(ctx, need);
    tw_free(ctx, map);
    tw_free(ctx, args);
    return status;
}

/* The number of the input an output is, perhaps in another shape; -1 for none. */
static int input_behind(const tw_program_desc *desc, const tw_val *inputs, tw_val v)
{
    while (tw_node_at(v)->op == TW_OP_reshape || tw_node_at(v)->op == TW_OP_stop_gradient)
        v = tw_val_of(v.graph, tw_node_at(v)->args[0]);
    for (int i = 0; i < desc->inputs_count; i++)
        if (inputs[i].id == v.id) return i;
    return -1;
}

/* An output that is an input whose buffer another output takes becomes a copy, made before. */
static tw_status copy_overwritten(const tw_program_desc *desc, const tw_val *inputs, tw_val *outputs)
{
    for (int o = 0; desc->overwrites && o < desc->outputs_count; o++) {
        int input = input_behind(desc, inputs, outputs[o]);
        bool taken = false;
        for (int k = 0; k < desc->outputs_count; k++)
            taken = taken || (input >= 0 && k != o && desc->overwrites[k] == input);
        if (!taken) continue;
        tw_draft copy = {.op = TW_OP_broadcast, .count = 1, .args = &outputs[o], .shape = tw_shape_at(outputs[o])};
        outputs[o] = tw_graph_append_as_is(&copy);
        tw_status status = tw_graph_check(inputs[input].graph);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

/* Twice: the second copy leaves out what rewriting made and did not use in the end. */
tw_status tw_lower(tw_context *ctx, const tw_program_desc *desc, tw_graph **out_graph, tw_val *inputs, tw_val *outputs)
{
    tw_status status = TW_OK;
    if (desc->outputs_count < 1 || !desc->outputs)
        return tw_fail(ctx, TW_ERR_INVALID, "a program needs at least one output");
    tw_graph *from = desc->outputs[0].graph, *written = NULL, *to = NULL;
    if (!from) return tw_fail(ctx, TW_ERR_INVALID, "output 0 of the program is not a value");
    TW_TRY(tw_graph_check(from));
    for (int i = 0; i < desc->inputs_count; i++)
        if (desc->inputs[i].graph != from) return tw_fail(ctx, TW_ERR_INVALID, "input %d is of another graph", i);
    for (int i = 0; i < desc->outputs_count; i++)
        if (desc->outputs[i].graph != from || tw_is_none(desc->outputs[i]))
            return tw_fail(ctx, TW_ERR_INVALID, "output %d is of another graph or no value", i);
    TW_TRY(tw_graph_create(ctx, &written));
    TW_TRY(tw_graph_create(ctx, &to));
    written->rewrite = lowered;
    TW_TRY(copy_needed(written, desc->inputs_count, desc->inputs, desc->outputs_count, desc->outputs, inputs, outputs));
    TW_TRY(copy_needed(to, desc->inputs_count, inputs, desc->outputs_count, outputs, inputs, outputs));
    TW_TRY(copy_overwritten(desc, inputs, outputs));
    *out_graph = to;
    to = NULL;
done:
    tw_graph_destroy(written);
    tw_graph_destroy(to);
    return status;
}
