/* graph/vmap.c - batching of row-wise functions: every value (R,...) that depends on the inputs becomes (R,K,...).
 *
 * The new axis stands behind the rows, so that all K tangents of a row are neighbours and one pass over blocks of rows
 * serves them (exact divergence: K basis vectors). A value that does not depend on the inputs keeps its shape where the
 * op allows it - weights in a product - and is stretched along K where it must meet batched ones. */
#include "graph/node.h"

typedef struct batch {
    tw_graph *g;
    int64_t rows, size; /* R, K */
    bool *reach;        /* depends on the inputs, therefore batched */
    int32_t *map;
    tw_val *args; /* of the node at hand: batched where reach says so, as they were otherwise */
    bool *batched;
} batch;

static tw_val refuse(const batch *b, const tw_draft *d, const char *why)
{
    return tw_graph_fail(b->g, TW_ERR_UNSUPPORTED, "vmap_rows: %s %s", tw_op_table[d->op].name, why);
}

/* (R,...) -> (R,dim,...) */
static tw_shape insert_dim(tw_shape shape, int64_t dim)
{
    tw_shape out = {.rank = shape.rank + 1 > TW_MAX_RANK ? -1 : shape.rank + 1};
    for (int i = 0; i < out.rank; i++) out.dim[i] = i == 0 ? shape.dim[0] : i == 1 ? dim : shape.dim[i - 1];
    return out;
}

/* An unbatched (R,...) value as (R,K,...). What was stretched over rows is stretched once, not twice. */
static tw_val stretch(const batch *b, tw_val x)
{
    tw_shape shape = tw_shape_at(x), target = insert_dim(shape, b->size);
    if (shape.rank < 1 || shape.dim[0] != b->rows)
        return tw_graph_fail(b->g, TW_ERR_UNSUPPORTED,
                             "vmap_rows: a value of shape %s does not begin with the %lld rows",
                             tw_shape_show(shape).text, (long long)b->rows);
    if (tw_node_at(x)->op == TW_OP_broadcast) x = tw_val_of(b->g, tw_node_at(x)->args[0]);
    return tw_broadcast_to(tw_reshape(x, insert_dim(tw_shape_at(x), 1)), target);
}

static void stretch_args(const batch *b, int count)
{
    for (int k = 0; k < count; k++)
        if (!b->batched[k]) b->args[k] = stretch(b, b->args[k]);
}

/* Rules change the draft of the node - on unbatched arguments - to that of the batched node. */

static tw_val batch_moved(const batch *b, tw_draft *d)
{
    tw_attr from = d->attr;
    tw_shape arg = tw_shape_at(b->args[0]);
    bool windowed = d->op == TW_OP_slice || d->op == TW_OP_pad;
    if (windowed && (from.begin[0] != 0 || from.end[0] != 0 || (d->op == TW_OP_pad && from.stride[0] != 0)))
        return refuse(b, d, "changes the rows");
    if (d->op == TW_OP_transpose && from.axis[0] != 0) return refuse(b, d, "moves the row axis");
    if (d->op == TW_OP_slice && d->shape.dim[0] != arg.dim[0]) return refuse(b, d, "changes the rows");
    for (int i = d->shape.rank; i >= 1 && i + 1 <= TW_MAX_RANK; i--) {
        bool added = i == 1;
        if (windowed) {
            d->attr.begin[i] = added ? 0 : from.begin[i - 1];
            d->attr.end[i] = added ? 0 : from.end[i - 1];
            d->attr.stride[i] = added ? (d->op == TW_OP_slice) : from.stride[i - 1];
        } else if (d->op == TW_OP_transpose) {
            d->attr.axis[i] = (int8_t)(added ? 1 : from.axis[i - 1] + 1);
        }
    }
    d->shape = insert_dim(d->shape, b->size);
    return tw_graph_append(d);
}

static tw_val batch_along_axis(const batch *b, tw_draft *d)
{
    if (d->attr.axis[0] == 0) return refuse(b, d, "works along the rows");
    stretch_args(b, d->count);
    d->attr.axis[0]++;
    return tw_graph_append(d);
}

static tw_val batch_reduced(const batch *b, tw_draft *d)
{
    if (d->attr.axis_mask & 1u) return refuse(b, d, "reduces over the rows");
    d->attr.axis_mask <<= 1;
    return tw_graph_append(d);
}

/* x with axis `from` moved to position 1. */
static tw_val move_to_1(tw_val x, int from)
{
    int8_t permutation[TW_MAX_RANK] = {0};
    int rank = tw_shape_at(x).rank;
    for (int i = 0; i < rank && i < TW_MAX_RANK; i++)
        permutation[i] = (int8_t)(i == 0 ? 0 : i == 1 ? from : i <= from ? i - 1 : i);
    return tw_transpose_axes(x, permutation);
}

/* Axes of a batched argument: those behind the rows shift by one. */
static void shift_axes(int8_t *axes, int count)
{
    for (int i = 0; i < count; i++)
        if (axes[i] > 0) axes[i]++;
}

/* Both arguments batched: the new axis is a batch axis right behind the rows. */
static void insert_batch_axis(tw_attr *attr)
{
    int used = attr->batch_count + attr->contract_count;
    for (int i = used; i > 1; i--) {
        attr->axis[i] = attr->axis[i - 1];
        attr->axis_b[i] = attr->axis_b[i - 1];
    }
    attr->axis[1] = attr->axis_b[1] = 1;
    attr->batch_count++;
}

static tw_val batch_dot_general(const batch *b, tw_draft *d)
{
    tw_attr *attr = &d->attr;
    int batches = attr->batch_count, used = batches + attr->contract_count;
    int free_a = tw_shape_at(b->args[0]).rank - (b->batched[0] ? 1 : 0) - used;
    bool rows_paired = batches > 0 && attr->axis[0] == 0 && attr->axis_b[0] == 0;
    bool both = b->batched[0] && b->batched[1];
    bool free_in_a = b->batched[0] && batches == 0, free_in_b = b->batched[1] && batches == 0 && free_a == 0;
    for (int i = 0; i < used; i++) {
        free_in_a = free_in_a && attr->axis[i] != 0;
        free_in_b = free_in_b && attr->axis_b[i] != 0;
    }
    if (both ? !rows_paired || used >= TW_MAX_RANK : !rows_paired && !free_in_a && !free_in_b)
        return refuse(b, d, "mixes the rows");
    if (b->batched[0]) shift_axes(attr->axis, used);
    if (b->batched[1]) shift_axes(attr->axis_b, used);
    if (both) insert_batch_axis(attr);
    tw_val product = tw_graph_append(d);
    if (product.id < 0 || both || !rows_paired) return product;
    return move_to_1(product, b->batched[0] ? batches : batches + free_a);
}

static tw_val batch_take_rows(const batch *b, tw_draft *d)
{
    if (b->batched[0]) return refuse(b, d, "takes rows of a table that depends on the inputs");
    tw_val index = tw_reshape(b->args[1], tw_shape_of(b->rows * b->size));
    return tw_reshape(tw_take_rows(b->args[0], index), insert_dim(d->shape, b->size));
}

static tw_val batch_node(const batch *b, tw_draft *d)
{
    if (tw_op_table[d->op].flags & TW_OPF_ELEMENTWISE) {
        stretch_args(b, d->count);
        return tw_graph_append(d);
    }
    switch (d->op) {
    case TW_OP_reshape:
    case TW_OP_broadcast:
    case TW_OP_transpose:
    case TW_OP_slice:
    case TW_OP_pad:
        return batch_moved(b, d);
    case TW_OP_reverse:
    case TW_OP_cumsum:
    case TW_OP_argmax:
    case TW_OP_concat:
        return batch_along_axis(b, d);
    case TW_OP_sum:
    case TW_OP_reduce_max:
        return batch_reduced(b, d);
    case TW_OP_dot_general:
        return batch_dot_general(b, d);
    case TW_OP_take_rows:
        return batch_take_rows(b, d);
    default:
        return refuse(b, d, "has no rule");
    }
}

static int32_t visit(batch *b, int32_t id)
{
    const tw_node *n = tw_node_of(b->g, id);
    const int32_t *ids = tw_node_args(b->g, n);
    for (int k = 0; k < n->args_count; k++) {
        b->batched[k] = b->reach[ids[k]];
        b->args[k] = tw_val_of(b->g, b->batched[k] ? b->map[ids[k]] : ids[k]);
    }
    tw_draft d = tw_draft_of(tw_val_of(b->g, id), b->args);
    if (d.shape.rank < 1 || d.shape.dim[0] != b->rows)
        return tw_graph_fail(b->g, TW_ERR_UNSUPPORTED,
                             "vmap_rows: %s makes %s, which does not begin with the %lld rows", tw_op_table[d.op].name,
                             tw_shape_show(d.shape).text, (long long)b->rows)
            .id;
    return batch_node(b, &d).id;
}

static tw_status check_inputs(batch *b, int count, const tw_val *inputs, const tw_val *replacements)
{
    for (int i = 0; i < count; i++) {
        tw_shape x = tw_shape_at(inputs[i]), r = tw_shape_at(replacements[i]);
        if (i == 0 && x.rank >= 1 && r.rank >= 2) {
            b->rows = x.dim[0];
            b->size = r.dim[1];
        }
        bool fits = x.rank >= 1 && x.dim[0] == b->rows && tw_shape_equal(r, insert_dim(x, b->size)) &&
                    tw_dtype_at(inputs[i]) == tw_dtype_at(replacements[i]);
        if (fits) continue;
        return tw_fail(b->g->ctx, TW_ERR_SHAPE, "vmap_rows: input %d is %s%s, its replacement %s%s", i + 1,
                       tw_dtype_name(tw_dtype_at(inputs[i])), tw_shape_show(x).text,
                       tw_dtype_name(tw_dtype_at(replacements[i])), tw_shape_show(r).text);
    }
    return TW_OK;
}

static tw_status batch_create(batch *b, int inputs_count, const tw_val *inputs, const tw_val *replacements)
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

tw_status tw_vmap_rows(int inputs_count, const tw_val *inputs, const tw_val *replacements, int outputs_count,
                       const tw_val *outputs, tw_val *out_outputs)
{
    batch b = {0};
    bool *need = NULL;
    tw_graph *same = NULL;
    tw_status status = tw_graph_of("vmap_rows", inputs_count, inputs, &b.g);
    if (status != TW_OK) return status;
    tw_graph *g = b.g;
    TW_TRY(tw_graph_of("vmap_rows", inputs_count, replacements, &same));
    if (outputs_count > 0 && same == g) TW_TRY(tw_graph_of("vmap_rows", outputs_count, outputs, &same));
    if (same != g) TW_TRY(tw_fail(g->ctx, TW_ERR_INVALID, "vmap_rows: values of two graphs"));
    TW_TRY(check_inputs(&b, inputs_count, inputs, replacements));
    TW_TRY(batch_create(&b, inputs_count, inputs, replacements));
    int64_t count = g->count;
    need = tw_alloc(g->ctx, (size_t)count, sizeof *need);
    if (!need) TW_TRY(tw_fail_memory(g->ctx, (size_t)count));
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, need);
    for (int32_t id = 0; id < count && g->status == TW_OK; id++)
        if (need[id] && b.reach[id] && b.map[id] < 0) b.map[id] = visit(&b, id);
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++)
        if (!b.reach[outputs[k].id] && b.map[outputs[k].id] < 0) b.map[outputs[k].id] = stretch(&b, outputs[k]).id;
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++) out_outputs[k] = tw_val_of(g, b.map[outputs[k].id]);
done:
    tw_free(g->ctx, need);
    tw_free(g->ctx, b.reach);
    tw_free(g->ctx, b.map);
    tw_free(g->ctx, b.args);
    tw_free(g->ctx, b.batched);
    return status;
}
