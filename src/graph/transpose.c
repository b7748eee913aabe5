/* graph/transpose.c - the transpose of a linear map: one rule per linear op, one pass from outputs to inputs.
 *
 * Reverse differentiation is this applied to the tangents of jvp.c, so the two modes cannot disagree. A rule is only
 * ever asked for arguments that depend on the inputs of the map (`wanted`); everything else is a constant of it. */
#include "graph/function.h"
#include "graph/rules.h"

static const tw_attr *attr_of(tw_val node)
{
    return tw_node_attr(node.graph, tw_node_at(node));
}

static void not_bilinear(tw_val node)
{
    tw_graph_fail(node.graph, TW_ERR_INVALID, "linear_transpose: both arguments of %s depend on the inputs",
                  tw_op_table[tw_node_at(node)->op].name);
}

/* --- elementwise --- */

void tw_transpose_neg(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)x;
    if (wanted[0]) out[0] = tw_neg(ct);
}

void tw_transpose_add(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)x;
    if (wanted[0]) out[0] = ct;
    if (wanted[1]) out[1] = ct;
}

void tw_transpose_sub(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)x;
    if (wanted[0]) out[0] = ct;
    if (wanted[1]) out[1] = tw_neg(ct);
}

void tw_transpose_mul(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    if (wanted[0] && wanted[1])
        not_bilinear(node);
    else if (wanted[0])
        out[0] = tw_mul(ct, x[1]);
    else
        out[1] = tw_mul(ct, x[0]);
}

void tw_transpose_div(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    if (wanted[1])
        tw_graph_fail(node.graph, TW_ERR_INVALID, "linear_transpose: a divisor depends on the inputs");
    else
        out[0] = tw_div(ct, x[1]);
}

void tw_transpose_select(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_val zeros = tw_zeros_like(ct);
    if (wanted[0]) tw_graph_fail(node.graph, TW_ERR_INVALID, "linear_transpose: a condition depends on the inputs");
    if (wanted[1]) out[1] = tw_select(x[0], ct, zeros);
    if (wanted[2]) out[2] = tw_select(x[0], zeros, ct);
}

void tw_transpose_cast(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)wanted;
    if (tw_dtype_is_real(tw_dtype_at(x[0])) && tw_dtype_is_real(tw_dtype_at(node)))
        out[0] = tw_cast(ct, tw_dtype_at(x[0]));
}

/* --- shape --- */

void tw_transpose_reshape(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)wanted;
    out[0] = tw_reshape(ct, tw_shape_at(x[0]));
}

void tw_transpose_transpose(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int8_t inverse[TW_MAX_RANK] = {0};
    const tw_attr *attr = attr_of(node);
    (void)wanted;
    for (int i = 0; i < tw_shape_at(x[0]).rank; i++) inverse[attr->axis[i]] = (int8_t)i;
    out[0] = tw_transpose_axes(ct, inverse);
}

void tw_transpose_broadcast(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_shape from = tw_shape_at(x[0]), to = tw_shape_at(node);
    uint32_t mask = 0;
    (void)wanted;
    for (int i = 0; i < from.rank; i++)
        if (from.dim[i] != to.dim[i]) mask |= 1u << i;
    out[0] = tw_reshape(tw_sum_mask(ct, mask), from);
}

/* Each element goes back where it was taken from; zeros elsewhere. */
void tw_transpose_slice(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_shape from = tw_shape_at(x[0]), to = tw_shape_at(node);
    const tw_attr *attr = attr_of(node);
    int64_t low[TW_MAX_RANK], high[TW_MAX_RANK], interior[TW_MAX_RANK];
    (void)wanted;
    for (int i = 0; i < from.rank; i++) {
        int64_t span = to.dim[i] > 0 ? (to.dim[i] - 1) * attr->stride[i] + 1 : 0;
        low[i] = attr->begin[i];
        high[i] = from.dim[i] - low[i] - span;
        interior[i] = to.dim[i] > 1 ? attr->stride[i] - 1 : 0;
    }
    out[0] = tw_pad(ct, 0.0, low, high, interior);
}

/* Undoes the crops with zeros, then takes every (interior + 1)-th element. */
void tw_transpose_pad(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_shape from = tw_shape_at(x[0]);
    tw_attr attr = *attr_of(node);
    int64_t low[TW_MAX_RANK], high[TW_MAX_RANK], begin[TW_MAX_RANK], stride[TW_MAX_RANK];
    (void)wanted;
    for (int i = 0; i < from.rank; i++) {
        low[i] = tw_max_i64(-attr.begin[i], 0);
        high[i] = tw_max_i64(-attr.end[i], 0);
        begin[i] = tw_max_i64(attr.begin[i], 0);
        stride[i] = from.dim[i] > 1 ? attr.stride[i] + 1 : 1;
    }
    out[0] = tw_slice_given(tw_pad(ct, 0.0, low, high, NULL), begin, stride, from);
}

void tw_transpose_reverse(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)x;
    (void)wanted;
    out[0] = tw_graph_remake(node, &ct);
}

void tw_transpose_concat(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int axis = attr_of(node)->axis[0], count = tw_node_at(node)->args_count;
    int64_t begin[TW_MAX_RANK] = {0};
    for (int k = 0; k < count; k++) {
        tw_shape part = tw_shape_at(x[k]);
        if (wanted[k]) out[k] = tw_slice_given(ct, begin, NULL, part);
        begin[axis] += part.dim[axis];
    }
}

/* --- reductions --- */

void tw_transpose_sum(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)wanted;
    out[0] = tw_spread(ct, attr_of(node)->axis_mask, tw_shape_at(x[0]));
}

void tw_transpose_cumsum(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    int axis = attr_of(node)->axis[0];
    (void)x;
    (void)wanted;
    out[0] = tw_reverse(tw_cumsum(tw_reverse(ct, axis), axis), axis);
}

/* --- contraction --- */

/* One side of a product as lists of axes: batch, contracted, free (ascending). */
typedef struct side {
    tw_val value;
    const int8_t *axis; /* batch axes, then contracted ones */
    int8_t free[TW_MAX_RANK];
    int free_count;
} side;

static side make_side(tw_val value, const int8_t *axis, int used)
{
    side s = {.value = value, .axis = axis};
    uint32_t mask = 0;
    for (int i = 0; i < used; i++) mask |= 1u << axis[i];
    for (int i = 0; i < tw_shape_at(value).rank; i++)
        if (!(mask & 1u << i)) s.free[s.free_count++] = (int8_t)i;
    return s;
}

/* Axis `axis` of `s` counted among the contracted axes in ascending order. */
static int rank_of_contracted(const side *s, int batches, int contractions, int axis)
{
    int rank = 0;
    for (int i = 0; i < contractions; i++) rank += s->axis[batches + i] < axis;
    return rank;
}

/* The cotangent of `mine`: contract the output's cotangent with `other` over the free axes of `other`. The factors are
 * taken in the order that leaves the axes as `mine` has them, when one does; otherwise a transpose follows.
 * `first` is the position in the output of the axes free in `other`. */
static tw_val transpose_side(const side *mine, const side *other, int batches, int contractions, tw_val ct, int first)
{
    int8_t permutation[2][TW_MAX_RANK] = {{0}};
    tw_attr attr = {.batch_count = (int8_t)batches, .contract_count = (int8_t)other->free_count};
    for (int i = 0; i < batches; i++) {
        attr.axis[i] = (int8_t)i;
        attr.axis_b[i] = other->axis[i];
    }
    for (int i = 0; i < other->free_count; i++) {
        attr.axis[batches + i] = (int8_t)(first + i);
        attr.axis_b[batches + i] = other->free[i];
    }
    /* Where in the product each axis of `mine` lies: [0] cotangent times other, [1] other times cotangent. The product
     * keeps other's contracted axes in ascending order. */
    for (int i = 0; i < batches; i++) permutation[0][mine->axis[i]] = permutation[1][mine->axis[i]] = (int8_t)i;
    for (int i = 0; i < mine->free_count; i++) {
        permutation[0][mine->free[i]] = (int8_t)(batches + i);
        permutation[1][mine->free[i]] = (int8_t)(batches + contractions + i);
    }
    for (int i = 0; i < contractions; i++) {
        int at = batches + rank_of_contracted(other, batches, contractions, other->axis[batches + i]);
        permutation[0][mine->axis[batches + i]] = (int8_t)(at + mine->free_count);
        permutation[1][mine->axis[batches + i]] = (int8_t)at;
    }
    bool swap = true;
    for (int i = 0; i < tw_shape_at(mine->value).rank; i++) swap = swap && permutation[1][i] == i;
    tw_val factors[2] = {swap ? other->value : ct, swap ? ct : other->value};
    tw_draft d = {.op = TW_OP_dot_general, .count = 2, .args = factors, .attr = attr};
    for (int i = 0; swap && i < batches + other->free_count; i++) {
        d.attr.axis[i] = attr.axis_b[i];
        d.attr.axis_b[i] = attr.axis[i];
    }
    return tw_transpose_axes(tw_graph_append(&d), permutation[swap ? 1 : 0]);
}

void tw_transpose_dot_general(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_attr attr = *attr_of(node);
    int batches = attr.batch_count, contractions = attr.contract_count;
    side a = make_side(x[0], attr.axis, batches + contractions);
    side b = make_side(x[1], attr.axis_b, batches + contractions);
    if (wanted[0] && wanted[1])
        not_bilinear(node);
    else if (wanted[0])
        out[0] = transpose_side(&a, &b, batches, contractions, ct, batches + a.free_count);
    else
        out[1] = transpose_side(&b, &a, batches, contractions, ct, batches);
}

void tw_transpose_take_rows(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    if (wanted[0]) out[0] = tw_scatter_add_rows(ct, x[1], tw_shape_at(x[0]).dim[0]);
}

void tw_transpose_scatter_add_rows(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    if (wanted[0]) out[0] = tw_take_rows(ct, x[1]);
}

/* --- the pass --- */

typedef struct pass {
    tw_graph *g;
    int64_t count;
    bool *reach;    /* depends on the inputs */
    bool *is_input; /* where the pass ends */
    int32_t *cotangent;
    tw_val *args, *results;
    bool *wanted;
} pass;

static void accumulate(pass *p, int32_t id, tw_val cotangent)
{
    if (cotangent.id < 0) return;
    tw_val sum = p->cotangent[id] < 0 ? cotangent : tw_add(tw_val_of(p->g, p->cotangent[id]), cotangent);
    p->cotangent[id] = sum.id;
}

/* The cotangents of a producer's parts as a tuple, zeros where there is none; none when there are none at all. Parts come
 * after their producer, so all that exist have been visited. */
static tw_val cotangent_of_producer(pass *p, int32_t id)
{
    tw_graph *g = p->g;
    tw_val producer = tw_val_of(g, id), tuple = TW_NONE;
    int count = tw_results_count(producer);
    tw_val *parts = tw_alloc(g->ctx, (size_t)count, sizeof *parts);
    if (!parts) return tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: linear_transpose of %d results", count);
    bool any = false;
    for (int k = 0; k < count && g->status == TW_OK; k++) {
        /* as it is: a part of a tuple would become the value, whose cotangent goes its own way */
        tw_draft d = {.op = TW_OP_part, .count = 1, .args = &producer, .attr = {.number = (uint32_t)k}};
        tw_val part = tw_graph_append_as_is(&d);
        bool known = part.id >= 0 && part.id < p->count && !p->is_input[part.id];
        bool there = known && p->cotangent[part.id] >= 0;
        tw_type type = tw_result_type(producer, k);
        parts[k] = there ? tw_val_of(g, p->cotangent[part.id]) : tw_full(g, type.dtype, type.shape, 0.0);
        any = any || there;
    }
    if (any) tuple = tw_tuple(g, count, parts);
    tw_free(g->ctx, parts);
    return tuple;
}

/* Hands the cotangent of a node on to its arguments. */
static void visit(pass *p, int32_t id, tw_val cotangent)
{
    tw_graph *g = p->g;
    const tw_node *n = tw_node_of(g, id);
    const tw_op_info *op = &tw_op_table[n->op];
    const int32_t *ids = tw_node_args(g, n);
    int count = n->args_count;
    for (int k = 0; k < count; k++) {
        p->args[k] = tw_val_of(g, ids[k]);
        p->results[k] = TW_NONE;
        p->wanted[k] = p->reach[ids[k]];
    }
    for (int k = 0; (op->flags & TW_OPF_COMPOSITE) && k < count; k++)
        if (p->wanted[k] && !(k < 32 && op->linear >> k & 1)) {
            tw_graph_fail(g, TW_ERR_INVALID, "linear_transpose: %s is not linear in argument %d", op->name, k + 1);
            return;
        }
    if (!op->transpose) {
        tw_graph_fail(g, TW_ERR_INVALID, "linear_transpose: %s is not linear", op->name);
        return;
    }
    op->transpose(tw_val_of(g, id), p->args, p->wanted, cotangent, p->results);
    for (int k = 0; k < count; k++)
        if (p->wanted[k]) accumulate(p, p->args[k].id, p->results[k]);
}

static tw_status check_cotangents(tw_graph *g, int count, const tw_val *outputs, const tw_val *cotangents)
{
    for (int k = 0; k < count; k++) {
        if (cotangents[k].id < 0) continue;
        if (cotangents[k].graph != g || cotangents[k].id >= g->count)
            return tw_fail(g->ctx, TW_ERR_INVALID, "linear_transpose: cotangent %d is of another graph", k + 1);
        tw_shape y = tw_shape_at(outputs[k]), ct = tw_shape_at(cotangents[k]);
        if (!tw_shape_equal(y, ct) || tw_dtype_at(outputs[k]) != tw_dtype_at(cotangents[k]))
            return tw_fail(g->ctx, TW_ERR_SHAPE, "linear_transpose: output %d is %s%s, its cotangent %s%s", k + 1,
                           tw_dtype_name(tw_dtype_at(outputs[k])), tw_shape_show(y).text,
                           tw_dtype_name(tw_dtype_at(cotangents[k])), tw_shape_show(ct).text);
    }
    return TW_OK;
}

static tw_status pass_create(pass *p, tw_graph *g)
{
    size_t count = (size_t)g->count, args = (size_t)tw_graph_max_args(g);
    *p = (pass){.g = g, .count = g->count};
    p->reach = tw_alloc(g->ctx, 2 * count, sizeof *p->reach);
    p->cotangent = tw_alloc(g->ctx, count, sizeof *p->cotangent);
    p->args = tw_alloc(g->ctx, 2 * args, sizeof *p->args);
    p->wanted = tw_alloc(g->ctx, args, sizeof *p->wanted);
    if (!p->reach || !p->cotangent || !p->args || !p->wanted) return tw_fail_memory(g->ctx, count);
    p->is_input = p->reach + count;
    p->results = p->args + args;
    for (size_t id = 0; id < count; id++) p->cotangent[id] = -1;
    return TW_OK;
}

tw_status tw_linear_transpose(int inputs_count, const tw_val *inputs, int outputs_count, const tw_val *outputs,
                              const tw_val *cotangents, tw_val *out_cotangents)
{
    tw_graph *g = NULL, *same = NULL;
    pass p = {0};
    if (inputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of("linear_transpose", inputs_count, inputs, &g);
    if (status != TW_OK) return status;
    if (outputs_count > 0) TW_TRY(tw_graph_of("linear_transpose", outputs_count, outputs, &same));
    if (same && same != g) TW_TRY(tw_fail(g->ctx, TW_ERR_INVALID, "linear_transpose: values of two graphs"));
    TW_TRY(check_cotangents(g, outputs_count, outputs, cotangents));
    TW_TRY(pass_create(&p, g));
    tw_mark_dependent(g, inputs_count, inputs, p.reach);
    for (int i = 0; i < inputs_count; i++) p.is_input[inputs[i].id] = true;
    for (int k = 0; k < outputs_count; k++)
        if (p.reach[outputs[k].id]) accumulate(&p, outputs[k].id, cotangents[k]);
    for (int32_t id = (int32_t)p.count - 1; id >= 0 && g->status == TW_OK; id--) {
        if (!p.reach[id] || p.is_input[id]) continue;
        int op = tw_node_of(g, id)->op;
        bool several = (tw_op_table[op].flags & TW_OPF_PRODUCER) != 0;
        tw_val cotangent = several ? cotangent_of_producer(&p, id) : tw_val_of(g, p.cotangent[id]);
        if (cotangent.id >= 0 && op != TW_OP_part) visit(&p, id, cotangent);
    }
    TW_TRY(tw_graph_check(g));
    for (int i = 0; i < inputs_count; i++) {
        int32_t id = p.cotangent[inputs[i].id];
        out_cotangents[i] = id < 0 ? TW_NONE : tw_val_of(g, id);
    }
done:
    tw_free(g->ctx, p.reach);
    tw_free(g->ctx, p.cotangent);
    tw_free(g->ctx, p.args);
    tw_free(g->ctx, p.wanted);
    return status;
}
