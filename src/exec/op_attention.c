/* exec/op_attention.c - attention, its tangent and its gradient: a batch row at a time, by the kernels of
 * cpu/attention.h. q, k, v and their tangents are read where they lie when they are parts of a wider last axis (of one
 * projection, say). */
#include "exec/inst.h"

/* Arguments in order: q, k, v; then */
enum { Y = 3, DY = 4, DQ = 4 };

static int mask_number(int op)
{
    return op == TW_OP_attention ? 3 : op == TW_OP_attention_tangent ? 7 : 5;
}

/* --- rows --- */

static double flops_of(const tw_graph *g, const tw_node *node)
{
    const int32_t *args = tw_node_args(g, node);
    const int64_t *q = tw_node_of(g, args[0])->shape.dim, *v = tw_node_of(g, args[2])->shape.dim;
    double products = node->op == TW_OP_attention ? 2.0 : 5.0;
    return products * (double)(q[0] * q[1]) * (double)(v[1] * v[2]) * (double)(q[3] + v[3]);
}

/* A batch of few, long rows would leave threads without work: its heads are pieces then. Long is what takes some
 * milliseconds; shorter rows had better stay with what comes before and after them. */
static const double LONG = 2e8;

int64_t tw_pieces_attention(const tw_graph *g, const tw_node *node)
{
    const int64_t *q = tw_node_of(g, tw_node_args(g, node)[0])->shape.dim;
    bool few = q[0] == 1 || (q[0] < 8 && flops_of(g, node) > LONG * (double)q[0]);
    return few && q[0] > 0 && q[2] > 1 ? q[0] * q[2] : 1;
}

tw_row_kind tw_rows_attention(const tw_graph *g, const tw_node *node)
{
    return tw_pieces_attention(g, node) > 1 ? TW_ROW_WHOLE : TW_ROW_SLICED;
}

bool tw_sliced_attention(const tw_graph *g, const tw_node *node, int k)
{
    (void)k;
    return tw_pieces_attention(g, node) == 1;
}

/* dim: queries, keys, heads, depth, width; src_stride[k] and dst_stride[k]: how far the tokens of argument k are from
 * each other, and the heads; batch: rows of the batch in one row of the region. ta: causal; tb: a mask of lengths;
 * k: number of the mask, 0: none; m: elements of the result a row of the batch; n: of a token of it. */
static tw_attention_shape shape_of(const tw_inst *inst)
{
    return (tw_attention_shape){.queries = inst->dim[0],
                                .keys = inst->dim[1],
                                .heads = inst->dim[2],
                                .depth = inst->dim[3],
                                .width = inst->dim[4],
                                .scale = inst->value,
                                .causal = inst->ta};
}

/* --- running --- */

/* Argument k for row i of the block, which has `tokens` tokens. */
static tw_tokens tokens_at(const tw_block *b, const tw_inst *inst, int k, int64_t i, int64_t tokens)
{
    int64_t size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype), step = inst->src_stride[k];
    const unsigned char *at = tw_block_at(b, &inst->arg[k]);
    return (tw_tokens){.at = at + i * tokens * step * size, .step = step, .head = inst->dst_stride[k]};
}

static void add_mask(const tw_block *b, const tw_inst *inst, int64_t i, tw_attention_row *row)
{
    row->length = inst->dim[1];
    if (inst->k == 0) return;
    const unsigned char *mask = tw_block_at(b, &inst->arg[inst->k]);
    if (inst->tb)
        row->length = ((const int32_t *)(const void *)mask)[i];
    else
        row->visible = mask + i * inst->dim[1];
}

/* Heads [first, first + heads) of row i of the block. */
static void run_row(const tw_block *b, const tw_inst *inst, tw_attention_kind kind, int64_t i, int64_t first,
                    int64_t heads)
{
    tw_attention_shape a = shape_of(inst);
    unsigned char *out = tw_block_at(b, &inst->dst);
    tw_attention_row row = {.q = tokens_at(b, inst, 0, i, a.queries),
                            .k = tokens_at(b, inst, 1, i, a.keys),
                            .v = tokens_at(b, inst, 2, i, a.keys),
                            .first = first,
                            .heads = heads,
                            .out = out + i * inst->m * (int64_t)tw_dtype_size((tw_dtype)inst->dtype),
                            .out_step = inst->n,
                            .scratch = b->scratch};
    if (kind != TW_ATTENTION_FORWARD) row.y = tokens_at(b, inst, Y, i, a.queries);
    if (kind == TW_ATTENTION_TANGENT) {
        row.dq = tokens_at(b, inst, DQ, i, a.queries);
        row.dk = tokens_at(b, inst, DQ + 1, i, a.keys);
        row.dv = tokens_at(b, inst, DQ + 2, i, a.keys);
    }
    if (kind == TW_ATTENTION_GRADIENT) {
        row.dy = tokens_at(b, inst, DY, i, a.queries);
        row.outputs_only = row.dy.step == a.heads * a.width;
    }
    add_mask(b, inst, i, &row);
    b->p->cpu->attention[kind][inst->dtype == TW_DTYPE_F64](&a, &row);
}

/* Rows of a block are rows of the batch, or heads where the region works in pieces. */
static void run(const tw_block *b, const tw_inst *inst, tw_attention_kind kind)
{
    int64_t heads = inst->dim[2];
    if (!b->region->pieces)
        for (int64_t i = 0; i < inst->batch * b->rows; i++) run_row(b, inst, kind, i, 0, heads);
    else
        for (int64_t i = b->row; i < b->row + b->rows; i++) run_row(b, inst, kind, i / heads, i % heads, 1);
}

static void run_forward(const tw_block *b, const tw_inst *inst)
{
    run(b, inst, TW_ATTENTION_FORWARD);
}
static void run_tangent(const tw_block *b, const tw_inst *inst)
{
    run(b, inst, TW_ATTENTION_TANGENT);
}
static void run_gradient(const tw_block *b, const tw_inst *inst)
{
    run(b, inst, TW_ATTENTION_GRADIENT);
}

static void print_attention(const tw_inst *inst, tw_text *text)
{
    tw_text_add(text, " queries=%lld keys=%lld heads=%lld depth=%lld width=%lld%s", (long long)inst->dim[0],
                (long long)inst->dim[1], (long long)inst->dim[2], (long long)inst->dim[3], (long long)inst->dim[4],
                inst->ta ? " causal" : "");
}

static const tw_inst_kind kinds[] = {
    [TW_ATTENTION_FORWARD] = {.name = "attention", .run = run_forward, .print = print_attention},
    [TW_ATTENTION_TANGENT] = {.name = "attention_tangent", .run = run_tangent, .print = print_attention},
    [TW_ATTENTION_GRADIENT] = {.name = "attention_gradient", .run = run_gradient, .print = print_attention},
};

/* --- emitting --- */

/* A slice (B,T,H*D) or (B,T,H,D) of a wider last axis still has its tokens, and in them its heads, equally far apart.
 */
bool tw_strided_attention(const tw_graph *g, const tw_node *node, int k, const tw_node *slice)
{
    const tw_node *arg = tw_node_of(g, tw_node_args(g, node)[k]);
    int64_t last = slice->shape.rank > 0 ? slice->shape.dim[slice->shape.rank - 1] : 0;
    if (k == Y || k >= mask_number(node->op) || (k == DY && node->op == TW_OP_attention_gradient)) return false;
    return arg->shape.rank == 4 && (last == arg->shape.dim[3] || last == arg->shape.dim[2] * arg->shape.dim[3]);
}

static void place_tokens(tw_build *b, tw_region *region, int32_t id, int k, int64_t token, int64_t head, tw_inst *inst)
{
    tw_view view = tw_view_of(b, id, k);
    inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->src_stride[k] = token;
    inst->dst_stride[k] = head;
    if (view.slice < 0) return;
    const tw_node *slice = tw_at_id(b, view.slice);
    int64_t part = tw_last(slice->shape), whole = tw_last(tw_at_id(b, tw_node_args(b->g, slice)[0])->shape);
    inst->src_stride[k] = token / part * whole;
    if (part == head) inst->dst_stride[k] = whole;
}

tw_status tw_emit_attention(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const int32_t *args = tw_node_args(b->g, node);
    const tw_attr *at = tw_node_attr(b->g, node);
    int mask = mask_number(node->op);
    tw_attention_kind kind = mask == 3   ? TW_ATTENTION_FORWARD
                             : mask == 7 ? TW_ATTENTION_TANGENT
                                         : TW_ATTENTION_GRADIENT;
    tw_shape q = tw_at_id(b, args[0])->shape, v = tw_at_id(b, args[2])->shape;
    tw_inst *inst = tw_new_inst(b, region, id, &kinds[kind]);
    if (!inst) return TW_ERR_MEMORY;
    int64_t dim[5] = {q.dim[1], v.dim[1], q.dim[2], q.dim[3], v.dim[3]};
    memcpy(inst->dim, dim, sizeof dim);
    inst->value = at->value;
    inst->ta = at->number != 0;
    inst->batch = q.dim[0] / region->rows;
    inst->n = tw_last(node->shape);
    inst->m = tw_node_size(b, id) / q.dim[0];
    for (int k = 0; k < mask; k++) {
        const tw_node *arg = tw_at_id(b, args[k]);
        int64_t head = arg->shape.rank == 4 ? arg->shape.dim[3] : v.dim[3];
        place_tokens(b, region, id, k, tw_shape_size(arg->shape) / tw_max_i64(arg->shape.dim[0] * arg->shape.dim[1], 1),
                     head, inst);
    }
    if (node->args_count > mask) {
        inst->k = mask;
        inst->arg[mask] = tw_arg_place(b, region, id, mask);
        inst->tb = tw_at_id(b, args[mask])->dtype == TW_DTYPE_I32;
    }
    tw_attention_shape a = shape_of(inst);
    inst->height = dim[0];
    inst->work = flops_of(b->g, node);
    inst->scratch_bytes = (int64_t)tw_attention_scratch(&a, kind, tw_dtype_size((tw_dtype)node->dtype));
    return TW_OK;
}
