/* exec/op_move.c - instructions that move elements: transpose, slice, reverse, broadcast, concat as strided copies, pad
 * as a fill and a copy. */
#include "exec/inst.h"

/* --- rows --- */

tw_row_kind tw_rows_axis(const tw_graph *g, const tw_node *node)
{
    return tw_node_attr(g, node)->axis[0] == 0 ? TW_ROW_WHOLE : TW_ROW_SLICED;
}

tw_row_kind tw_rows_slice(const tw_graph *g, const tw_node *node)
{
    const tw_attr *at = tw_node_attr(g, node);
    const tw_node *a = tw_node_of(g, tw_node_args(g, node)[0]);
    bool all = at->begin[0] == 0 && at->stride[0] == 1 && node->shape.dim[0] == a->shape.dim[0];
    return all ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

tw_row_kind tw_rows_pad(const tw_graph *g, const tw_node *node)
{
    const tw_attr *at = tw_node_attr(g, node);
    return at->begin[0] == 0 && at->end[0] == 0 && at->stride[0] == 0 ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

tw_row_kind tw_rows_transpose(const tw_graph *g, const tw_node *node)
{
    return tw_node_attr(g, node)->axis[0] == 0 ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

bool tw_sliced_broadcast(const tw_graph *g, const tw_node *node, int k)
{
    (void)k;
    return tw_node_of(g, tw_node_args(g, node)[0])->shape.dim[0] == node->shape.dim[0];
}

/* --- running --- */

static void run_fill(const tw_block *b, const tw_inst *inst)
{
    double value;
    tw_store_element(&value, (tw_dtype)inst->dtype, 0, inst->value);
    tw_fill(tw_block_at(b, &inst->dst), &value, b->rows * inst->per_row, tw_dtype_size((tw_dtype)inst->dtype));
}

static void run_copy(const tw_block *b, const tw_inst *inst)
{
    unsigned char *out = tw_block_at(b, &inst->dst), *in = tw_block_at(b, &inst->arg[0]);
    int64_t dim[TW_MAX_RANK], size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    memcpy(dim, inst->dim, sizeof dim);
    dim[0] *= b->rows;
    tw_cpu_copy((size_t)size, inst->rank, dim, in + inst->src_offset * size, inst->src_stride,
                out + inst->dst_offset * size, inst->dst_stride);
}

static const tw_inst_kind fill_kind = {.name = "fill", .run = run_fill};
static const tw_inst_kind copy_kind = {.name = "copy", .run = run_copy};

/* --- emitting --- */

/* A strided copy whose axis 0 has dim[0]/rows entries a row of the region. */
static tw_status emit_copy(tw_build *b, tw_region *region, int32_t node, int k, const int64_t *dim,
                           const int64_t *src_stride, int64_t src_offset, const int64_t *dst_stride, int64_t dst_offset)
{
    tw_inst *inst = tw_new_inst(b, region, node, &copy_kind);
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = tw_arg_place(b, region, node, k);
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

tw_status tw_emit_rearrange(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    tw_shape in = tw_at_id(b, tw_node_args(b->g, node)[0])->shape, out = node->shape;
    int64_t src[TW_MAX_RANK], dst[TW_MAX_RANK], step[TW_MAX_RANK], offset = 0;
    tw_contiguous(in, src);
    tw_contiguous(out, dst);
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

tw_status tw_emit_concat(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    int axis = tw_node_attr(b->g, node)->axis[0];
    int64_t dst[TW_MAX_RANK], offset = 0;
    tw_contiguous(node->shape, dst);
    for (int k = 0; k < node->args_count; k++) {
        tw_shape part = tw_at_id(b, tw_node_args(b->g, node)[k])->shape;
        int64_t src[TW_MAX_RANK];
        tw_contiguous(part, src);
        if (tw_shape_size(part) > 0) {
            tw_status status = emit_copy(b, region, id, k, part.dim, src, 0, dst, offset * dst[axis]);
            if (status != TW_OK) return status;
        }
        offset += part.dim[axis];
    }
    return TW_OK;
}

tw_status tw_emit_pad(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    tw_shape in = tw_at_id(b, tw_node_args(b->g, node)[0])->shape;
    int64_t src[TW_MAX_RANK], dst[TW_MAX_RANK], dim[TW_MAX_RANK], step[TW_MAX_RANK], from = 0, to = 0;
    tw_inst *fill = tw_new_inst(b, region, id, &fill_kind);
    if (!fill) return TW_ERR_MEMORY;
    fill->value = at->value;
    tw_contiguous(in, src);
    tw_contiguous(node->shape, dst);
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
