/* graph/vmap_rules.c - how each op is batched. A rule changes the draft of the node into that of the batched node.
 *
 * With the new axis behind the rows (at 1), axis 0 is the rows: rules refuse what mixes them. */
#include "graph/vmap.h"

#include "graph/function.h"

static tw_val stretched(const tw_batch *b, tw_draft *d)
{
    tw_batch_stretch_args(b, d->count);
    return tw_graph_append(d);
}

static tw_val moved(const tw_batch *b, tw_draft *d)
{
    tw_attr from = d->attr;
    bool windowed = d->op == TW_OP_slice || d->op == TW_OP_pad;
    if (b->at == 1) {
        if (windowed && (from.begin[0] != 0 || from.end[0] != 0 || (d->op == TW_OP_pad && from.stride[0] != 0)))
            return tw_batch_refuse(b, d, "changes the rows");
        if (d->op == TW_OP_slice && d->shape.dim[0] != tw_dim(b->args[0], 0))
            return tw_batch_refuse(b, d, "changes the rows");
        if (d->op == TW_OP_transpose && from.axis[0] != 0) return tw_batch_refuse(b, d, "moves the row axis");
    }
    d->shape = tw_batch_shape(b, d->shape);
    for (int i = 0; i < d->shape.rank; i++) {
        bool added = i == b->at;
        int old = i < b->at ? i : i - 1;
        if (windowed) {
            d->attr.begin[i] = added ? 0 : from.begin[old];
            d->attr.end[i] = added ? 0 : from.end[old];
            d->attr.stride[i] = added ? (d->op == TW_OP_slice) : from.stride[old];
        } else if (d->op == TW_OP_transpose) {
            d->attr.axis[i] = (int8_t)(added ? i : tw_batch_axis(b, from.axis[old]));
        }
    }
    return tw_graph_append(d);
}

static tw_val along_axis(const tw_batch *b, tw_draft *d)
{
    if (d->attr.axis[0] < b->at) return tw_batch_refuse(b, d, "works along the rows");
    d->attr.axis[0]++;
    return stretched(b, d);
}

/* A scale or shift of each sample's own, (K,trailing), as it meets a batched value of `rank` axes. */
static tw_val own_affine(const tw_batch *b, tw_val a, int rank)
{
    tw_shape shape = tw_shape_at(a), wide = {.rank = rank};
    for (int i = 0; i < rank; i++) wide.dim[i] = 1;
    for (int i = 1; i < shape.rank; i++) wide.dim[rank - i] = shape.dim[shape.rank - i];
    wide.dim[0] = b->size;
    return tw_reshape(a, wide);
}

/* Scale and shift stay as they are where samples share them; their own meet the samples outside of the node. */
static tw_val normalised(const tw_batch *b, tw_draft *d)
{
    bool tangent = d->op == TW_OP_normalise_tangent;
    int count = d->count, first = tangent ? 2 : 1, rank = d->shape.rank + 1;
    if (d->attr.axis[0] < b->at) return tw_batch_refuse(b, d, "works along the rows");
    bool own = (count > first && b->batched[first]) || (count > 2 && b->batched[2]), before = d->attr.option > 1;
    if (own && b->at == 1) return tw_batch_refuse(b, d, "mixes the rows");
    for (int k = 0; k < first; k++)
        if (!b->batched[k]) b->args[k] = tw_batch_stretch(b, b->args[k]);
    d->attr.axis[0]++;
    if (!own) return tw_graph_append(d);
    d->count = first;
    if (tangent) d->attr.option &= 1u;
    for (int k = first; k < count; k++)
        if (b->batched[k]) b->args[k] = own_affine(b, b->args[k], rank);
    if (tangent && before) b->args[1] = tw_mul(b->args[1], b->args[2]);
    tw_val y = tw_graph_append(d);
    if (!tangent || !before) y = tw_mul(y, b->args[first]);
    return !tangent && count > 2 ? tw_add(y, b->args[2]) : y;
}

static tw_val reduced(const tw_batch *b, tw_draft *d)
{
    if (b->at == 1 && (d->attr.axis_mask & 1u)) return tw_batch_refuse(b, d, "reduces over the rows");
    d->attr.axis_mask <<= 1;
    return tw_graph_append(d);
}

static tw_val move_axis(tw_val x, int from, int to)
{
    int8_t permutation[TW_MAX_RANK] = {0};
    int rank = tw_shape_at(x).rank, next = 0;
    for (int i = 0; i < rank && i < TW_MAX_RANK; i++) {
        next += next == from;
        permutation[i] = (int8_t)(i == to ? from : next++);
    }
    return from == to ? x : tw_transpose_axes(x, permutation);
}

static void shift_axes(const tw_batch *b, int8_t *axes, int count)
{
    for (int i = 0; i < count; i++) axes[i] = (int8_t)tw_batch_axis(b, axes[i]);
}

/* Both arguments batched: the new axis is a batch axis, the first or right behind the rows. */
static void insert_batch_axis(const tw_batch *b, tw_attr *attr)
{
    for (int i = attr->batch_count + attr->contract_count; i > b->at; i--) {
        attr->axis[i] = attr->axis[i - 1];
        attr->axis_b[i] = attr->axis_b[i - 1];
    }
    attr->axis[b->at] = attr->axis_b[b->at] = (int8_t)b->at;
    attr->batch_count++;
}

/* Rows stay apart when they are paired (a batch axis of both) or free in the one argument that has them. */
static bool rows_apart(const tw_batch *b, const tw_attr *attr, int free_a)
{
    int batches = attr->batch_count, used = batches + attr->contract_count;
    if (b->at == 0 || (batches > 0 && attr->axis[0] == 0 && attr->axis_b[0] == 0)) return true;
    if (batches > 0 || (b->batched[0] && b->batched[1]) || (b->batched[1] && free_a > 0)) return false;
    const int8_t *axis = b->batched[0] ? attr->axis : attr->axis_b;
    for (int i = 0; i < used; i++)
        if (axis[i] == 0) return false;
    return true;
}

/* Batched on one side only, the new axis is the first, or second, of the axes free there. */
static tw_val product(const tw_batch *b, tw_draft *d)
{
    tw_attr *attr = &d->attr;
    int batches = attr->batch_count, used = batches + attr->contract_count;
    int free_a = tw_shape_at(b->args[0]).rank - (b->batched[0] ? 1 : 0) - used;
    bool both = b->batched[0] && b->batched[1];
    if (!rows_apart(b, attr, free_a) || (both && used >= TW_MAX_RANK)) return tw_batch_refuse(b, d, "mixes the rows");
    if (b->batched[0]) shift_axes(b, attr->axis, used);
    if (b->batched[1]) shift_axes(b, attr->axis_b, used);
    if (both) insert_batch_axis(b, attr);
    tw_val made = tw_graph_append(d);
    if (made.id < 0 || both || (b->at == 1 && batches == 0)) return made;
    return move_axis(made, b->batched[0] ? batches : batches + free_a, b->at);
}

/* K tables of `count` rows become one of K count rows: index (B) or (K,B), clamped as the op would, then moved to the
 * sample's part. */
static tw_val index_of_stacked(const tw_batch *b, tw_val index, bool batched, int64_t count)
{
    tw_dtype dtype = tw_dtype_at(index);
    if (!batched) index = tw_batch_stretch(b, index);
    tw_val last = tw_full_like(index, (double)tw_max_i64(count - 1, 0));
    index = tw_min(index, last);
    if (dtype == TW_DTYPE_I32) index = tw_max(index, tw_zeros_like(index));
    tw_val sample = tw_iota(b->g, dtype, tw_shape_at(index), 0);
    index = tw_add(index, tw_muls(sample, (double)count));
    return tw_reshape(index, tw_shape_of(tw_shape_size(tw_shape_at(index))));
}

/* (K,N,...) -> (K N,...) */
static tw_val merge_front(tw_val x)
{
    tw_shape shape = tw_shape_at(x), merged = {.rank = shape.rank - 1};
    for (int i = 0; i < merged.rank; i++) merged.dim[i] = i == 0 ? shape.dim[0] * shape.dim[1] : shape.dim[i + 1];
    return tw_reshape(x, merged);
}

/* K samples are K times as many rows. */
static tw_val more_rows(const tw_batch *b, tw_draft *d)
{
    tw_shape shape = tw_batch_shape(b, d->shape);
    tw_batch_stretch_args(b, d->count);
    for (int k = 0; k < d->count; k++) b->args[k] = merge_front(b->args[k]);
    return tw_reshape(tw_graph_append(d), shape);
}

static bool too_many_rows(const tw_batch *b, int64_t count)
{
    int64_t all;
    return __builtin_mul_overflow(count, b->size, &all) || all > INT32_MAX;
}

static tw_val taken(const tw_batch *b, tw_draft *d)
{
    tw_shape shape = tw_batch_shape(b, d->shape);
    if (!b->batched[0]) {
        tw_val index = tw_reshape(b->args[1], tw_shape_of(tw_shape_size(tw_shape_at(b->args[1]))));
        return tw_reshape(tw_take_rows(b->args[0], index), shape);
    }
    if (b->at == 1) return tw_batch_refuse(b, d, "takes rows of a table that depends on the inputs");
    int64_t count = tw_dim(b->args[0], 1);
    if (too_many_rows(b, count)) return tw_batch_refuse(b, d, "has too many rows in all");
    tw_val index = index_of_stacked(b, b->args[1], b->batched[1], count);
    return tw_reshape(tw_take_rows(merge_front(b->args[0]), index), shape);
}

static tw_val scattered(const tw_batch *b, tw_draft *d)
{
    int64_t count = d->shape.dim[0];
    if (b->at == 1) return tw_batch_refuse(b, d, "mixes the rows");
    if (too_many_rows(b, count)) return tw_batch_refuse(b, d, "has too many rows in all");
    tw_val rows = merge_front(b->batched[0] ? b->args[0] : tw_batch_stretch(b, b->args[0]));
    tw_val index = index_of_stacked(b, b->args[1], b->batched[1], count);
    return tw_reshape(tw_scatter_add_rows(rows, index, count * b->size), tw_batch_shape(b, d->shape));
}

/* (...,C) with the samples anywhere -> (...,K C): the samples' channels side by side. */
static tw_val samples_as_channels(const tw_batch *b, tw_val x, bool batched)
{
    if (!batched) x = tw_batch_stretch(b, x);
    x = move_axis(x, b->at, tw_shape_at(x).rank - 2);
    tw_shape shape = tw_shape_at(x);
    int last = shape.rank - 2;
    shape.dim[last] *= shape.dim[last + 1];
    shape.rank--;
    return tw_reshape(x, shape);
}

/* Images of K samples are K times as many images; where the weights differ too, the samples are groups of channels. */
static tw_val convolved(const tw_batch *b, tw_draft *d)
{
    tw_shape shape = tw_batch_shape(b, d->shape);
    int64_t groups;
    if (d->op != TW_OP_conv_weights && !b->batched[1]) {
        b->args[0] = merge_front(b->args[0]);
        d->shape.dim[0] = tw_dim(b->args[0], 0);
        return tw_reshape(tw_graph_append(d), shape);
    }
    if (b->at == 1) return tw_batch_refuse(b, d, "mixes the rows");
    if (b->size == 0) return tw_full(b->g, d->dtype, shape, 0.0);
    if (__builtin_mul_overflow((int64_t)d->attr.number, b->size, &groups) || groups > INT32_MAX)
        return tw_batch_refuse(b, d, "has too many groups in all");
    for (int k = 0; k < 2; k++) b->args[k] = samples_as_channels(b, b->args[k], b->batched[k]);
    int last = d->shape.rank - 1;
    int64_t channels = d->shape.dim[last];
    d->shape.dim[last] = channels * b->size;
    d->attr.number = (uint32_t)groups;
    tw_val made = tw_graph_append(d);
    tw_shape split = d->shape;
    split.rank++;
    split.dim[last] = b->size;
    split.dim[last + 1] = channels;
    return move_axis(tw_reshape(made, split), last, b->at);
}

/* The arguments of sample k. */
static void arguments_of(const tw_batch *b, int count, int64_t k, tw_val *out)
{
    for (int i = 0; i < count; i++) {
        out[i] = b->args[i];
        if (!b->batched[i]) continue;
        tw_shape shape = {.rank = tw_shape_at(out[i]).rank - 1};
        for (int j = 0; j < shape.rank; j++) shape.dim[j] = tw_dim(out[i], j + 1);
        out[i] = tw_reshape(tw_slice(out[i], 0, k, k + 1), shape);
    }
}

static tw_val joined(const tw_batch *b, tw_type type, tw_val *samples)
{
    tw_shape one = tw_batch_shape(b, type.shape);
    if (b->size == 0 || one.rank < 0) return tw_full(b->g, type.dtype, one, 0.0);
    one.dim[0] = 1;
    for (int64_t k = 0; k < b->size; k++) samples[k] = tw_reshape(samples[k], one);
    return b->g->status == TW_OK ? tw_concat(0, (int)b->size, samples) : tw_val_of(b->g, -1);
}

/* Sample by sample, joined again: for ops whose kernels know no samples. Costs K nodes. */
static tw_val one_by_one(const tw_batch *b, tw_draft *d)
{
    tw_graph *g = b->g;
    bool several = tw_op_table[d->op].flags & TW_OPF_PRODUCER;
    if (b->at == 1) return tw_batch_refuse(b, d, "cannot be batched behind the rows");
    int results = several ? tw_results_count(b->node) : 1;
    size_t count = (size_t)b->size, args = (size_t)d->count;
    tw_val *parts = tw_alloc(g->ctx, count * (size_t)results + args + (size_t)results, sizeof *parts);
    if (!parts) return tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: %s of %zu samples", b->who, count);
    tw_val *own = parts + count * (size_t)results, *all = own + args, made = TW_NONE;
    for (size_t k = 0; k < count; k++) {
        tw_draft sample = *d;
        arguments_of(b, d->count, (int64_t)k, own);
        sample.args = own;
        made = tw_graph_append(&sample);
        for (size_t r = 0; r < (size_t)results; r++) parts[r * count + k] = several ? tw_part_at(made, (int)r) : made;
    }
    for (size_t r = 0; r < (size_t)results; r++) {
        tw_type type = several ? tw_result_type(b->node, (int)r) : tw_type_of(b->node);
        all[r] = joined(b, type, parts + r * count);
    }
    made = g->status != TW_OK ? tw_val_of(g, -1) : several ? tw_tuple(g, results, all) : all[0];
    tw_free(g->ctx, parts);
    return made;
}

static tw_val part_of(const tw_batch *b, tw_draft *d)
{
    (void)b;
    return tw_graph_append(d);
}

/* What waits for samples is samples. */
static tw_val behind(const tw_batch *b, tw_draft *d)
{
    if (!b->batched[0]) b->args[0] = tw_batch_stretch(b, b->args[0]);
    return tw_graph_append(d);
}

/* The result's shape is part of the draft. */
static tw_val along_axis_shaped(const tw_batch *b, tw_draft *d)
{
    d->shape = tw_batch_shape(b, d->shape);
    return along_axis(b, d);
}

static tw_val matrices(const tw_batch *b, tw_draft *d)
{
    if (b->at == 1 && d->shape.rank < 3) return tw_batch_refuse(b, d, "mixes the rows");
    return stretched(b, d);
}

/* A window has all of the new axis. */
static tw_val windowed(const tw_batch *b, tw_draft *d)
{
    int start = d->count - 1;
    bool slice = d->op == TW_OP_dynamic_slice;
    tw_shape whole = tw_shape_at(b->args[0]), window = slice ? d->shape : tw_shape_at(b->args[1]);
    if (b->batched[start]) return one_by_one(b, d);
    if (b->at == 1 && window.dim[0] != whole.dim[0]) return tw_batch_refuse(b, d, "changes the rows");
    for (int k = 0; k < start; k++)
        if (!b->batched[k]) b->args[k] = tw_batch_stretch(b, b->args[k]);
    d->shape = tw_batch_shape(b, d->shape);
    tw_val begin = b->args[start], none = tw_full(b->g, TW_DTYPE_I32, tw_shape_of(1), 0.0);
    int rank = (int)tw_dim(begin, 0);
    b->args[start] = b->at == 0
                         ? tw_concat2(0, none, begin)
                         : tw_concat(0, 3, (tw_val[]){tw_slice(begin, 0, 0, 1), none, tw_slice(begin, 0, 1, rank)});
    return tw_graph_append(d);
}

tw_vmap_fn tw_vmap_rule(tw_op op)
{
    static const tw_vmap_fn rules[TW_OP_COUNT] = {
        [TW_OP_random_bits] = one_by_one,
        [TW_OP_reshape] = moved,
        [TW_OP_transpose] = moved,
        [TW_OP_broadcast] = moved,
        [TW_OP_slice] = moved,
        [TW_OP_pad] = moved,
        [TW_OP_reverse] = along_axis,
        [TW_OP_concat] = along_axis,
        [TW_OP_sum] = reduced,
        [TW_OP_reduce_max] = reduced,
        [TW_OP_argmax] = along_axis,
        [TW_OP_cumsum] = along_axis,
        [TW_OP_fft] = reduced,
        [TW_OP_rfft] = along_axis,
        [TW_OP_irfft] = along_axis_shaped,
        [TW_OP_cholesky] = matrices,
        [TW_OP_lu] = matrices,
        [TW_OP_triangular_solve] = matrices,
        [TW_OP_dynamic_slice] = windowed,
        [TW_OP_dynamic_update_slice] = windowed,
        [TW_OP_take_along_axis] = along_axis,
        [TW_OP_scatter_add_along_axis] = along_axis_shaped,
        [TW_OP_argsort] = along_axis_shaped,
        [TW_OP_dot_general] = product,
        [TW_OP_take_rows] = taken,
        [TW_OP_scatter_add_rows] = scattered,
        [TW_OP_softmax] = along_axis,
        [TW_OP_softmax_tangent] = along_axis,
        [TW_OP_log_softmax] = along_axis,
        [TW_OP_log_softmax_tangent] = along_axis,
        [TW_OP_log_softmax_cotangent] = along_axis,
        [TW_OP_logsumexp] = along_axis,
        [TW_OP_normalise] = normalised,
        [TW_OP_normalise_tangent] = normalised,
        [TW_OP_conv] = convolved,
        [TW_OP_conv_input] = convolved,
        [TW_OP_conv_weights] = convolved,
        [TW_OP_barrier] = behind,
        [TW_OP_all_reduce_sum] = stretched,
        [TW_OP_part] = part_of,
        [TW_OP_tuple] = stretched,
        [TW_OP_call] = tw_vmap_call,
        [TW_OP_cond] = tw_vmap_cond,
        [TW_OP_scan] = tw_vmap_scan,
        [TW_OP_while] = tw_vmap_while,
        [TW_OP_custom_call] = one_by_one,
        [TW_OP_attention] = more_rows,
        [TW_OP_attention_tangent] = more_rows,
        [TW_OP_attention_gradient] = more_rows,
    };
    return tw_op_table[op].flags & TW_OPF_ELEMENTWISE ? stretched : rules[op];
}
