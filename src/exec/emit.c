/* exec/emit.c - instructions of a region: one list in order of depth, elementwise groups as tile programs. */
#include "exec/build.h"

#include <stdlib.h>

tw_place tw_place_in(const tw_build *b, const tw_region *region, int32_t source, bool whole)
{
    tw_place place = b->value[source].place;
    place.row_bytes = whole ? 0 : tw_node_bytes(b, source) / region->rows;
    return place;
}

static tw_inst *new_inst(tw_build *b, tw_region *region, int32_t node, tw_inst_kind kind)
{
    tw_program *p = b->p;
    if (tw_grow(b->ctx, &p->insts, &b->insts_capacity, p->insts_count + 1, sizeof *p->insts) != TW_OK) return NULL;
    tw_inst *inst = &p->insts[p->insts_count++];
    *inst = (tw_inst){.kind = kind, .node = node, .dtype = tw_at_id(b, node)->dtype, .depth = b->value[node].depth};
    inst->dst = tw_place_in(b, region, node, region->rows == 1);
    inst->per_row = tw_node_size(b, node) / region->rows;
    region->inst_count++;
    return inst;
}

static tw_place arg_place(const tw_build *b, const tw_region *region, int32_t node, int k)
{
    tw_view view = tw_view_of(b, node, k);
    return tw_place_in(b, region, view.source, view.whole);
}

/* Strides of a contiguous array, in elements. */
static void contiguous(tw_shape shape, int64_t *stride)
{
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.dim[i];
    }
}

/* A strided copy whose axis 0 has dim[0]/rows entries a row of the region. */
static tw_status emit_copy(tw_build *b, tw_region *region, int32_t node, int k, const int64_t *dim,
                           const int64_t *src_stride, int64_t src_offset, const int64_t *dst_stride, int64_t dst_offset)
{
    tw_inst *inst = new_inst(b, region, node, TW_INST_COPY);
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = arg_place(b, region, node, k);
    inst->rank = tw_at_id(b, node)->shape.rank;
    for (int i = 0; i < inst->rank; i++) {
        inst->dim[i] = dim[i];
        inst->src_stride[i] = src_stride[i];
        inst->dst_stride[i] = dst_stride[i];
    }
    if (inst->rank == 0) {
        inst->rank = 1;
        inst->dim[0] = inst->src_stride[0] = inst->dst_stride[0] = 1;
    }
    if (region->rows > 1) inst->dim[0] /= region->rows;
    inst->src_offset = src_offset;
    inst->dst_offset = dst_offset;
    return TW_OK;
}

static tw_status emit_rearrange(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    tw_shape in = tw_at_id(b, tw_node_args(b->g, node)[0])->shape, out = node->shape;
    int64_t src[TW_MAX_RANK], dst[TW_MAX_RANK], step[TW_MAX_RANK], offset = 0;
    contiguous(in, src);
    contiguous(out, dst);
    for (int i = 0; i < out.rank; i++) {
        switch (node->op) {
        case TW_OP_transpose:
            step[i] = src[at->axis[i]];
            break;
        case TW_OP_slice:
            step[i] = src[i] * at->stride[i];
            offset += src[i] * at->begin[i];
            break;
        case TW_OP_reverse:
            step[i] = i == at->axis[0] ? -src[i] : src[i];
            if (i == at->axis[0]) offset += src[i] * (in.dim[i] - 1);
            break;
        default:
            step[i] = in.dim[i] == 1 && out.dim[i] != 1 ? 0 : src[i];
            break; /* broadcast */
        }
    }
    return emit_copy(b, region, id, 0, out.dim, step, offset, dst, 0);
}

static tw_status emit_concat(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    int axis = tw_node_attr(b->g, node)->axis[0];
    int64_t dst[TW_MAX_RANK], offset = 0;
    contiguous(node->shape, dst);
    for (int k = 0; k < node->args_count; k++) {
        tw_shape part = tw_at_id(b, tw_node_args(b->g, node)[k])->shape;
        int64_t src[TW_MAX_RANK];
        contiguous(part, src);
        if (tw_shape_size(part) > 0) {
            tw_status status = emit_copy(b, region, id, k, part.dim, src, 0, dst, offset * dst[axis]);
            if (status != TW_OK) return status;
        }
        offset += part.dim[axis];
    }
    return TW_OK;
}

static tw_status emit_pad(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    tw_shape in = tw_at_id(b, tw_node_args(b->g, node)[0])->shape;
    int64_t src[TW_MAX_RANK], dst[TW_MAX_RANK], dim[TW_MAX_RANK], step[TW_MAX_RANK], from = 0, to = 0;
    tw_inst *fill = new_inst(b, region, id, TW_INST_FILL);
    if (!fill) return TW_ERR_MEMORY;
    fill->value = at->value;
    contiguous(in, src);
    contiguous(node->shape, dst);
    for (int i = 0; i < in.rank; i++) {
        int64_t stride = at->stride[i] + 1, low = at->begin[i];
        int64_t first = low < 0 ? (-low + stride - 1) / stride : 0;
        int64_t end = node->shape.dim[i] - low <= 0 ? 0 : (node->shape.dim[i] - low - 1) / stride + 1;
        dim[i] = tw_min_i64(end, in.dim[i]) - first;
        if (dim[i] <= 0) return TW_OK;
        from += first * src[i];
        to += (low + first * stride) * dst[i];
        step[i] = stride * dst[i];
    }
    return emit_copy(b, region, id, 0, dim, src, from, step, to);
}

/* Axes before, in and after the reduced or running run of axes. */
static void split_axes(tw_shape shape, uint32_t mask, int64_t *outer, int64_t *middle, int64_t *inner)
{
    *outer = *middle = *inner = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (mask >> i & 1)
            *middle *= shape.dim[i];
        else if (mask >> i)
            *outer *= shape.dim[i];
        else
            *inner *= shape.dim[i];
    }
}

static tw_status emit_reduction(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    int32_t arg = tw_node_args(b->g, node)[0];
    tw_shape shape = tw_at_id(b, arg)->shape;
    bool by_axis = node->op == TW_OP_argmax || node->op == TW_OP_cumsum;
    int64_t outer, middle, inner;
    split_axes(shape, by_axis ? 1u << at->axis[0] : at->axis_mask, &outer, &middle, &inner);
    tw_inst *inst = new_inst(b, region, id, TW_INST_SUM_INNER);
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = arg_place(b, region, id, 0);
    inst->dtype = tw_at_id(b, arg)->dtype;
    if (inst->dtype != TW_DTYPE_F32 && inst->dtype != TW_DTYPE_F64)
        return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "%s of %s values cannot be compiled: only f32 and f64",
                       tw_op_table[node->op].name, tw_dtype_name((tw_dtype)inst->dtype));
    inst->k = middle;
    inst->n = inner;
    inst->m = outer;
    if (b->value[id].sums) {
        inst->kind = TW_INST_SUM_ROWS;
        inst->k = middle / region->rows;
        return TW_OK;
    }
    if (region->rows > 1) inst->m = outer / region->rows;
    switch (node->op) {
    case TW_OP_sum:
        inst->kind = inner == 1 ? TW_INST_SUM_INNER : TW_INST_SUM_OUTER;
        break;
    case TW_OP_reduce_max:
        inst->kind = inner == 1 ? TW_INST_MAX_INNER : TW_INST_MAX_OUTER;
        break;
    case TW_OP_argmax:
        inst->kind = TW_INST_ARGMAX;
        break;
    default:
        inst->kind = TW_INST_CUMSUM;
        break;
    }
    return TW_OK;
}

static tw_status emit_dot(tw_build *b, tw_region *region, int32_t id)
{
    tw_dot dot = tw_dot_of(b->g, tw_at_id(b, id));
    tw_inst *inst = new_inst(b, region, id, TW_INST_GEMM);
    if (!inst) return TW_ERR_MEMORY;
    if (inst->dtype != TW_DTYPE_F32 && inst->dtype != TW_DTYPE_F64)
        return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "dot_general of %s values cannot be compiled: only f32 and f64",
                       tw_dtype_name((tw_dtype)inst->dtype));
    inst->arg[0] = arg_place(b, region, id, 0);
    inst->arg[1] = arg_place(b, region, id, 1);
    inst->ta = dot.ta;
    inst->tb = dot.tb;
    inst->m = dot.m;
    inst->n = dot.n;
    inst->k = dot.k;
    inst->batch = dot.batch;
    if (b->value[id].sums) {
        inst->kind = TW_INST_GEMM_SUM;
        inst->k /= region->rows;
    } else if (tw_node_attr(b->g, tw_at_id(b, id))->batch_count > 0) {
        inst->kind = TW_INST_GEMM_BATCH;
        inst->batch /= region->rows;
    } else if (region->rows > 1) {
        inst->m /= region->rows;
    }
    region->work += 2.0 * (double)(dot.batch * dot.m) * (double)dot.n * (double)dot.k;
    return TW_OK;
}

static tw_status emit_other(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    static const struct {
        uint8_t op, kind;
    } kinds[] = {{TW_OP_iota, TW_INST_IOTA},
                 {TW_OP_random_bits, TW_INST_RANDOM},
                 {TW_OP_take_rows, TW_INST_TAKE},
                 {TW_OP_scatter_add_rows, TW_INST_SCATTER}};
    for (int i = 0; i < TW_COUNT(kinds); i++) {
        if (kinds[i].op != node->op) continue;
        tw_inst *inst = new_inst(b, region, id, (tw_inst_kind)kinds[i].kind);
        if (!inst) return TW_ERR_MEMORY;
        for (int k = 0; k < node->args_count; k++) inst->arg[k] = arg_place(b, region, id, k);
        if (node->op == TW_OP_iota) split_axes(node->shape, 1u << at->axis[0], &inst->m, &inst->k, &inst->n);
        if (node->op == TW_OP_random_bits) inst->stream = at->number;
        if (node->op == TW_OP_take_rows || node->op == TW_OP_scatter_add_rows) {
            tw_shape table =
                node->op == TW_OP_take_rows ? tw_at_id(b, tw_node_args(b->g, node)[0])->shape : node->shape;
            tw_shape index = tw_at_id(b, tw_node_args(b->g, node)[1])->shape;
            inst->m = table.dim[0];                                           /* rows of the table */
            inst->n = table.dim[0] ? tw_shape_size(table) / table.dim[0] : 0; /* elements of a table row */
            inst->k = tw_shape_size(index) / (node->op == TW_OP_take_rows ? region->rows : 1);
            if (node->op == TW_OP_scatter_add_rows && node->dtype != TW_DTYPE_F32 && node->dtype != TW_DTYPE_F64)
                return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "scatter_add_rows of %s values cannot be compiled",
                               tw_dtype_name((tw_dtype)node->dtype));
        }
        return TW_OK;
    }
    return tw_fail(b->ctx, TW_ERR_INTERNAL, "no instruction for op %s", tw_op_table[node->op].name);
}

static tw_status emit_node(tw_build *b, tw_region *region, int32_t id)
{
    switch (tw_at_id(b, id)->op) {
    case TW_OP_transpose:
    case TW_OP_slice:
    case TW_OP_reverse:
    case TW_OP_broadcast:
        return emit_rearrange(b, region, id);
    case TW_OP_concat:
        return emit_concat(b, region, id);
    case TW_OP_pad:
        return emit_pad(b, region, id);
    case TW_OP_sum:
    case TW_OP_reduce_max:
    case TW_OP_argmax:
    case TW_OP_cumsum:
        return emit_reduction(b, region, id);
    case TW_OP_dot_general:
        return emit_dot(b, region, id);
    default:
        return emit_other(b, region, id);
    }
}

typedef struct order_key {
    int32_t depth, node;
    int64_t size; /* elementwise: elements, so that equal sizes meet; others -1 */
} order_key;

static int by_depth(const void *x, const void *y)
{
    const order_key *a = x, *b = y;
    if (a->depth != b->depth) return a->depth < b->depth ? -1 : 1;
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

tw_status tw_emit_region(tw_build *b, int32_t number)
{
    tw_status status = TW_OK;
    tw_region *region = &b->p->regions[number];
    order_key *keys = tw_alloc(b->ctx, (size_t)b->n, sizeof *keys);
    int32_t *group = tw_alloc(b->ctx, (size_t)b->n, sizeof *group), count = 0;
    if (!keys || !group) TW_TRY(tw_fail_memory(b->ctx, (size_t)b->n * sizeof *keys));
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].computed && b->value[i].region == number)
            keys[count++] = (order_key){b->value[i].depth, i, tw_is_elementwise(b, i) ? tw_node_size(b, i) : -1};
    qsort(keys, (size_t)count, sizeof *keys, by_depth);
    region->inst_begin = b->p->insts_count;
    for (int32_t i = 0; i < count;) {
        if (keys[i].size < 0) {
            if (tw_node_size(b, keys[i].node) > 0) TW_TRY(emit_node(b, region, keys[i].node));
            i++;
            continue;
        }
        int32_t members = 0, j = i;
        while (j < count && keys[j].depth == keys[i].depth && keys[j].size == keys[i].size)
            group[members++] = keys[j++].node;
        if (keys[i].size > 0) {
            tw_inst *inst = new_inst(b, region, group[0], TW_INST_TILE);
            if (!inst) TW_TRY(TW_ERR_MEMORY);
            region->work += (double)keys[i].size * members * 2;
            TW_TRY(tw_emit_tile(b, region, members, group));
        }
        i = j;
    }
done:
    tw_free(b->ctx, keys);
    tw_free(b->ctx, group);
    return status;
}
