/* graph/part.c - nodes of several results: producers, tuples of given values, and the parts that project them.
 *
 * A producer has no elements of its own; `part` number k is its k-th result. Derivatives of producers are producers too,
 * so the passes of jvp.c and transpose.c stay passes over single nodes: the tangent of a producer holds the tangents of
 * its results, and its cotangent is a tuple of theirs. A tuple holds zeros for what is missing; part of tuple is simply
 * the value. */
#include "graph/function.h"
#include "graph/rules.h"

#include <string.h>

bool tw_infer_nothing(tw_draft *d)
{
    d->dtype = TW_DTYPE_BOOL;
    d->shape = tw_shape_of(0);
    return true;
}

void tw_no_values(tw_graph *g, int count, tw_val *out)
{
    for (int k = 0; k < count; k++) out[k] = tw_val_of(g, -1);
}

/* --- results --- */

static int results_of(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    return tw_op_table[node->op].results(g, node, k, out_type);
}

int tw_results_count(tw_val producer)
{
    return results_of(producer.graph, tw_node_at(producer), -1, NULL);
}

tw_type tw_result_type(tw_val producer, int k)
{
    tw_type type = {0};
    results_of(producer.graph, tw_node_at(producer), k, &type);
    return type;
}

static int64_t size_before(const tw_graph *g, const tw_node *node, int end)
{
    int64_t size = 0;
    for (int k = 0; k < end; k++) {
        tw_type type = {0};
        results_of(g, node, k, &type);
        size += tw_shape_size(type.shape);
    }
    return size;
}

int64_t tw_results_size(const tw_graph *g, const tw_node *node)
{
    return size_before(g, node, results_of(g, node, -1, NULL));
}

/* --- building --- */

tw_val tw_part_at(tw_val producer, int k)
{
    tw_draft d = {.op = TW_OP_part, .count = 1, .args = &producer};
    d.attr.number = (uint32_t)k;
    return tw_graph_append(&d);
}

tw_val tw_produce(tw_graph *g, tw_op op, const tw_attr *attr, int args_count, const tw_val *args)
{
    tw_draft d = {.graph = g, .op = op, .count = args_count, .args = args};
    if (attr) d.attr = *attr;
    return g->status == TW_OK ? tw_graph_append(&d) : tw_val_of(g, -1);
}

tw_val tw_tuple(tw_graph *g, int count, const tw_val *values)
{
    return tw_produce(g, TW_OP_tuple, NULL, count, values);
}

void tw_parts(tw_val producer, int count, tw_val *out)
{
    for (int k = 0; k < count; k++) out[k] = producer.id < 0 ? producer : tw_part_at(producer, k);
}

tw_val tw_part_or_none(tw_val tuple, int k)
{
    tw_val part = tw_part_at(tuple, k);
    if (part.id < 0 || !tw_node_is_full_of(part.graph, part.id, 0.0)) return part;
    return tw_val_of(part.graph, -1);
}

/* --- part --- */

bool tw_infer_part(tw_draft *d)
{
    const tw_node *from = tw_node_at(d->args[0]);
    tw_type type = {0};
    if (!(tw_op_table[from->op].flags & TW_OPF_PRODUCER)) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "part: %s has one result", tw_op_table[from->op].name);
        return false;
    }
    int count = results_of(d->graph, from, -1, NULL);
    if (d->attr.number >= (uint32_t)count) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "part: %s has %d results, no number %u", tw_op_table[from->op].name,
                      count, d->attr.number);
        return false;
    }
    results_of(d->graph, from, (int)d->attr.number, &type);
    d->dtype = type.dtype;
    d->shape = type.shape;
    return true;
}

tw_val tw_jvp_part(tw_val node, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_part_or_none(t[0], (int)tw_node_attr(node.graph, tw_node_at(node))->number);
}

/* Never asked: the pass collects the cotangents of all parts for the producer. */
void tw_transpose_part(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)x;
    (void)wanted;
    (void)ct;
    (void)out;
}

void tw_eval_part(const tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    const tw_node *from = tw_node_of(g, tw_node_args(g, node)[0]);
    int64_t begin = size_before(g, from, (int)tw_node_attr(g, node)->number), size = tw_shape_size(node->shape);
    if (size) memcpy(out, args[0] + begin, (size_t)size * sizeof *out);
}

/* --- tuple --- */

bool tw_infer_tuple(tw_draft *d)
{
    return tw_infer_nothing(d);
}

int tw_results_tuple(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    if (k >= 0 && k < node->args_count) {
        const tw_node *value = tw_node_of(g, tw_node_args(g, node)[k]);
        *out_type = (tw_type){(tw_dtype)value->dtype, value->shape};
    }
    return node->args_count;
}

tw_val tw_jvp_tuple(tw_val node, const tw_val *x, const tw_val *t)
{
    tw_graph *g = node.graph;
    int count = tw_node_at(node)->args_count;
    tw_val *values = tw_alloc(g->ctx, (size_t)count, sizeof *values);
    if (!values) return tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a tuple of %d values", count);
    for (int i = 0; i < count; i++) values[i] = t[i].id < 0 ? tw_zeros_like(x[i]) : t[i];
    tw_val out = tw_tuple(g, count, values);
    tw_free(g->ctx, values);
    return out;
}

void tw_transpose_tuple(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int count = tw_node_at(node)->args_count;
    (void)x;
    for (int i = 0; i < count; i++)
        if (wanted[i]) out[i] = tw_part_or_none(ct, i);
}

tw_status tw_produce_tuple(tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    for (int i = 0; i < node->args_count; i++) {
        int64_t size = tw_shape_size(tw_node_of(g, tw_node_args(g, node)[i])->shape);
        if (size) memcpy(out, args[i], (size_t)size * sizeof *out);
        out += size;
    }
    return TW_OK;
}
