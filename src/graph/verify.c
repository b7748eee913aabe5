/* graph/verify.c - the invariants of a graph, checked from scratch. For tests and fuzzing. */
#include "graph/function.h"

static tw_status broken(tw_graph *g, int32_t id, const char *what)
{
    const tw_node *n = tw_node_of(g, id);
    const char *name = n->op < TW_OP_COUNT ? tw_op_table[n->op].name : "?";
    return tw_fail(g->ctx, TW_ERR_INTERNAL, "graph_verify: node %d (%s): %s", id, name, what);
}

static tw_status check_structure(tw_graph *g, int32_t id)
{
    const tw_node *n = tw_node_of(g, id);
    if (n->op >= TW_OP_COUNT) return broken(g, id, "unknown op");
    const tw_op_info *op = &tw_op_table[n->op];
    if (op->arity >= 0 && n->args_count != op->arity) return broken(g, id, "wrong number of arguments");
    if (n->args_count > TW_MAX_ARGS && (n->args[0] < 0 || n->args[0] + (int64_t)n->args_count > g->extra_count))
        return broken(g, id, "argument list out of range");
    const int32_t *args = tw_node_args(g, n);
    for (int k = 0; k < n->args_count; k++)
        if (args[k] < 0 || args[k] >= id) return broken(g, id, "an argument comes after it");
    if ((op->flags & TW_OPF_COMMUTES) && args[0] > args[1]) return broken(g, id, "arguments out of order");
    if (((op->flags & TW_OPF_ATTR) != 0) != (n->attr >= 0)) return broken(g, id, "attributes missing or too many");
    if (n->attr >= g->attrs_count) return broken(g, id, "attributes out of range");
    int64_t bytes = tw_shape_size(n->shape) * (int64_t)tw_dtype_size((tw_dtype)n->dtype);
    if (n->op == TW_OP_const && tw_node_attr(g, n)->data + bytes > g->data_count)
        return broken(g, id, "constant out of range");
    return TW_OK;
}

/* Inference gives again what the node stores, and hash-consing finds the node itself. */
static tw_status check_meaning(tw_graph *g, int32_t id, tw_val *args)
{
    tw_node n = *tw_node_of(g, id);
    const int32_t *ids = tw_node_args(g, tw_node_of(g, id));
    for (int k = 0; k < n.args_count; k++) args[k] = tw_val_of(g, ids[k]);
    tw_draft d = tw_draft_of(tw_val_of(g, id), args);
    if (!tw_op_table[n.op].infer(&d)) return broken(g, id, "inference refuses it");
    if (d.dtype != (tw_dtype)n.dtype || !tw_shape_equal(d.shape, n.shape))
        return broken(g, id, "inference finds another type");
    if (n.op == TW_OP_input || n.op == TW_OP_const) return TW_OK;
    int64_t count = g->count;
    tw_val again = tw_graph_append_as_is(&d);
    if (again.id != id || g->count != count) return broken(g, id, "an equal node was made twice");
    return TW_OK;
}

static tw_status verify(tw_graph *g)
{
    tw_status status = tw_graph_check(g);
    if (status != TW_OK) return status;
    tw_val *args = NULL;
    int64_t count = g->count;
    for (int32_t id = 0; id < count; id++) TW_TRY(check_structure(g, id));
    args = tw_alloc(g->ctx, (size_t)tw_graph_max_args(g), sizeof *args);
    if (!args) TW_TRY(tw_fail_memory(g->ctx, sizeof *args));
    for (int32_t id = 0; id < count; id++) TW_TRY(check_meaning(g, id, args));
done:
    tw_free(g->ctx, args);
    return status;
}

tw_status tw_graph_verify(tw_graph *g)
{
    tw_status status = verify(g);
    for (int64_t i = 0; i < g->functions_count && status == TW_OK; i++)
        if (g->functions[i]->graph) status = verify(g->functions[i]->graph);
    return status;
}
