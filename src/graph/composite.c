/* graph/composite.c - ops written in other ops: the rules every composite has for nothing, from its body.
 *
 * A composite stays one node until compilation, so that a kernel may do it at once; what kind of value it makes, its
 * tangent, its transpose and its reference value all follow from the body. Families (activations, softmax, ...) have
 * files of their own, with the rules that are shorter or faster than the derived ones. */
#include "graph/rules.h"

static tw_val fail_from(tw_graph *g, tw_status status)
{
    return status == TW_OK ? tw_val_of(g, -1) : tw_graph_fail(g, status, "%s", tw_context_error(g->ctx));
}

/* A node's body on inputs of its own, so that equal arguments, or one that occurs inside another, stay apart. */
typedef struct detached {
    tw_graph *g;
    int count;
    tw_val *slots, *spare; /* an input per argument; room for as many values */
    tw_val body;
} detached;

static bool detach(tw_val node, detached *out)
{
    const tw_node *n = tw_node_at(node);
    detached d = {.g = node.graph, .count = n->args_count};
    d.slots = tw_alloc(d.g->ctx, 2 * (size_t)d.count, sizeof *d.slots);
    *out = d;
    if (!d.slots) {
        tw_graph_fail(d.g, TW_ERR_MEMORY, "out of memory: derivative of %s", tw_op_table[n->op].name);
        return false;
    }
    out->spare = d.slots + d.count;
    for (int k = 0; k < d.count; k++) {
        tw_val arg = tw_val_of(d.g, tw_node_args(d.g, tw_node_at(node))[k]);
        out->slots[k] = tw_input(d.g, "", tw_dtype_at(arg), tw_shape_at(arg));
    }
    tw_draft call = tw_draft_of(node, out->slots);
    out->body = d.g->status == TW_OK ? tw_op_table[call.op].body(&call) : tw_val_of(d.g, -1);
    return d.g->status == TW_OK;
}

/* What was made on the inputs of its own, on the arguments x. */
static tw_val attach(const detached *d, const tw_val *x, tw_val value)
{
    if (value.id < 0) return value;
    tw_val out = TW_NONE;
    tw_status status = tw_substitute(d->count, d->slots, x, 1, &value, &out);
    return status == TW_OK ? out : fail_from(d->g, status);
}

bool tw_infer_body(tw_draft *d)
{
    tw_val body = tw_op_table[d->op].body(d);
    if (body.id < 0) return false;
    d->dtype = tw_dtype_at(body);
    d->shape = tw_shape_at(body);
    return true;
}

/* The node itself with the tangents in place of the arguments it is linear in: a kernel for it serves its derivative.
 */
static tw_val linear_part(tw_val y, const tw_val *x, const tw_val *t, tw_val *spare)
{
    const tw_node *n = tw_node_at(y);
    unsigned linear = tw_op_table[n->op].linear;
    bool any = false;
    for (int k = 0; k < n->args_count; k++) {
        bool here = k < 32 && linear >> k & 1;
        any = any || (here && t[k].id >= 0);
        spare[k] = here ? t[k] : x[k];
    }
    if (!any) return TW_NONE;
    for (int k = 0, count = n->args_count; k < count; k++)
        if (spare[k].id < 0) spare[k] = tw_zeros_like(x[k]);
    return tw_graph_remake(y, spare);
}

/* The rest, by forward differentiation of the body. */
static tw_val curved_part(const detached *d, unsigned linear, const tw_val *x, const tw_val *t)
{
    tw_val tangent = TW_NONE;
    bool any = false;
    for (int k = 0; k < d->count; k++) {
        d->spare[k] = k < 32 && linear >> k & 1 ? TW_NONE : t[k];
        any = any || d->spare[k].id >= 0;
    }
    if (!any) return TW_NONE;
    tw_status status = tw_jvp(d->count, d->slots, d->spare, 1, &d->body, &tangent);
    return status == TW_OK ? attach(d, x, tangent) : fail_from(d->g, status);
}

tw_val tw_jvp_body(tw_val y, const tw_val *x, const tw_val *t)
{
    detached d;
    unsigned linear = tw_op_table[tw_node_at(y)->op].linear;
    tw_val tangent = TW_NONE;
    if (detach(y, &d)) {
        tw_val curved = curved_part(&d, linear, x, t);
        tangent = tw_sum_present(linear_part(y, x, t, d.spare), curved);
    }
    tw_free(d.g->ctx, d.slots);
    return d.g->status == TW_OK ? tangent : tw_val_of(d.g, -1);
}

/* One factor f'(x) of an elementwise function of one argument: a single array to keep for the way back. */
tw_val tw_jvp_factor(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_graph *g = y.graph;
    tw_draft call = tw_draft_of(y, x);
    tw_val body = tw_op_table[call.op].body(&call), one = tw_ones_like(x[0]), factor = TW_NONE;
    if (g->status != TW_OK) return tw_val_of(g, -1);
    tw_status status = tw_jvp(1, x, &one, 1, &body, &factor);
    if (status != TW_OK) return fail_from(g, status);
    return factor.id < 0 ? TW_NONE : tw_mul(t[0], factor);
}

void tw_transpose_body(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    detached d;
    int count = 0;
    tw_val *inputs = NULL;
    if (!detach(node, &d)) goto done;
    inputs = tw_alloc(d.g->ctx, (size_t)d.count, sizeof *inputs);
    if (!inputs) {
        tw_graph_fail(d.g, TW_ERR_MEMORY, "out of memory: transpose of %s", tw_op_table[tw_node_at(node)->op].name);
        goto done;
    }
    for (int k = 0; k < d.count; k++)
        if (wanted[k]) inputs[count++] = d.slots[k];
    tw_status status = tw_linear_transpose(count, inputs, 1, &d.body, &ct, d.spare);
    if (status != TW_OK) fail_from(d.g, status);
    for (int k = 0, at = 0; k < d.count && status == TW_OK; k++)
        if (wanted[k]) out[k] = attach(&d, x, d.spare[at++]);
done:
    tw_free(d.g->ctx, inputs);
    tw_free(d.g->ctx, d.slots);
}

/* --- down to primitives --- */

tw_val tw_write_out(const tw_draft *d)
{
    return tw_op_table[d->op].flags & TW_OPF_COMPOSITE ? tw_op_table[d->op].body(d) : TW_NONE;
}

/* Node `id` on mapped arguments; what is made again passes through g->rewrite by itself. */
static int32_t rewrite_node(tw_graph *g, int32_t id, const int32_t *map, tw_val *args)
{
    if (tw_map_args(g, id, map, args)) return tw_graph_remake(tw_val_of(g, id), args).id;
    tw_draft same = tw_draft_of(tw_val_of(g, id), args);
    int32_t instead = g->rewrite(&same).id;
    return instead < 0 ? id : instead;
}

tw_status tw_rewrite(tw_rewrite_fn rewrite, int inputs_count, const tw_val *inputs, int outputs_count,
                     const tw_val *outputs, tw_val *out_outputs)
{
    tw_graph *g = NULL;
    if (outputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of("rewrite", outputs_count, outputs, &g);
    if (status != TW_OK) return status;
    int64_t count = g->count;
    bool *need = tw_alloc(g->ctx, (size_t)count, sizeof *need);
    int32_t *map = tw_alloc(g->ctx, (size_t)count, sizeof *map);
    tw_val *args = tw_alloc(g->ctx, (size_t)tw_graph_max_args(g), sizeof *args);
    if (!need || !map || !args) TW_TRY(tw_fail_memory(g->ctx, (size_t)count * sizeof *map));
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, need);
    for (int i = 0; i < inputs_count; i++) need[inputs[i].id] = false;
    g->rewrite = rewrite;
    for (int32_t id = 0; id < count && g->status == TW_OK; id++)
        map[id] = need[id] ? rewrite_node(g, id, map, args) : id;
    g->rewrite = NULL;
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++) out_outputs[k] = tw_val_of(g, map[outputs[k].id]);
done:
    tw_free(g->ctx, need);
    tw_free(g->ctx, map);
    tw_free(g->ctx, args);
    return status;
}
