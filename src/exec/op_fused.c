/* exec/op_fused.c - composites with a kernel of their own: softmax and its kin, normalisation, rotation by position.
 *
 * Kernels take whole lines: arrays along their last axis, or an image. What is along another axis is left to the body.
 */
#include "exec/inst.h"

static int axis_of(const tw_graph *g, const tw_node *node)
{
    return tw_node_attr(g, node)->axis[0];
}

/* --- rows --- */

/* Lines along the last axis: rows are whole lines unless there is one line only. */
tw_row_kind tw_rows_lines(const tw_graph *g, const tw_node *node)
{
    return tw_node_of(g, tw_node_args(g, node)[0])->shape.rank > 1 ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

tw_row_kind tw_rows_normalise(const tw_graph *g, const tw_node *node)
{
    return axis_of(g, node) > 0 ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

tw_row_kind tw_rows_normalise_scale(const tw_graph *g, const tw_node *node)
{
    return axis_of(g, node) > 0 ? TW_ROW_SUMS : TW_ROW_WHOLE;
}

bool tw_sliced_normalise(const tw_graph *g, const tw_node *node, int k)
{
    (void)g;
    return k == 0 || (k == 1 && node->op != TW_OP_normalise);
}

bool tw_sliced_rotary(const tw_graph *g, const tw_node *node, int k)
{
    return k == 0 || axis_of(g, node) == 0;
}

bool tw_keeps_last_axis(const tw_draft *d)
{
    return d->attr.axis[0] == tw_shape_at(d->args[0]).rank - 1;
}

/* By groups: a scale of channels only, and of as many as scratch memory may hold numbers of. */
bool tw_keeps_normalise(const tw_draft *d)
{
    if (tw_shape_size(tw_shape_at(d->args[0])) == 0) return false; /* the scale's cotangent is not empty */
    if (d->attr.number == 1) return true;
    int rank = 1;
    if (d->op == TW_OP_normalise && d->count > 1) rank = tw_shape_at(d->args[1]).rank;
    if (d->op == TW_OP_normalise_tangent && d->count > 2) rank = tw_shape_at(d->args[2]).rank;
    if (d->op == TW_OP_normalise_scale) rank = d->shape.rank;
    return rank == 1 && tw_last_dim(d->args[0]) <= 65536;
}

/* --- running: as tw_fused, of one row of the region: m lines of n elements, the rest below --- */

static tw_fused fused_of(const tw_block *b, const tw_inst *inst)
{
    tw_fused f = {.lines = inst->m * b->rows, .n = inst->n, .centred = inst->ta, .interleaved = inst->tb};
    f.scale_first = inst->tb;
    f.start = b->first || inst->dst.home != TW_HOME_PARTIAL;
    f.period = inst->dim[0];
    f.pixels = inst->dim[1];
    f.channels = inst->dim[2];
    f.groups = inst->dim[3];
    f.epsilon = f.ignored = inst->value;
    f.inner = inst->dim[4];
    f.positions = inst->dim[5] > 0 ? inst->dim[5] : inst->dim[6] * b->rows;
    return f;
}

static void run_fused(const tw_block *b, const tw_inst *inst)
{
    tw_fused f = fused_of(b, inst);
    const void *arg[3];
    for (int k = 0; k < 3; k++) arg[k] = inst->arg[k].home == TW_HOME_NONE ? NULL : tw_block_at(b, &inst->arg[k]);
    b->p->cpu->fused[inst->stream][inst->dtype == TW_DTYPE_F64](&f, arg, tw_block_at(b, &inst->dst), b->scratch);
}

static const tw_inst_kind kinds[TW_FUSED_COUNT] = {
    [TW_FUSED_SOFTMAX] = {.name = "softmax", .run = run_fused, .light = true},
    [TW_FUSED_SOFTMAX_TANGENT] = {.name = "softmax_tangent", .run = run_fused, .light = true},
    [TW_FUSED_LOG_SOFTMAX] = {.name = "log_softmax", .run = run_fused, .light = true},
    [TW_FUSED_LOG_SOFTMAX_TANGENT] = {.name = "log_softmax_tangent", .run = run_fused, .light = true},
    [TW_FUSED_LOG_SOFTMAX_COTANGENT] = {.name = "log_softmax_cotangent", .run = run_fused, .light = true},
    [TW_FUSED_LOGSUMEXP] = {.name = "logsumexp", .run = run_fused, .light = true},
    [TW_FUSED_CROSS_ENTROPY] = {.name = "cross_entropy", .run = run_fused, .light = true},
    [TW_FUSED_CROSS_ENTROPY_GRADIENT] = {.name = "cross_entropy_gradient", .run = run_fused, .light = true},
    [TW_FUSED_NORMALISE] = {.name = "normalise", .run = run_fused, .light = true},
    [TW_FUSED_NORMALISE_TANGENT] = {.name = "normalise_tangent", .run = run_fused, .light = true},
    [TW_FUSED_NORMALISE_SCALE] = {.name = "normalise_scale", .run = run_fused, .light = true},
    [TW_FUSED_GROUP_NORMALISE] = {.name = "group_normalise", .run = run_fused, .light = true},
    [TW_FUSED_GROUP_NORMALISE_TANGENT] = {.name = "group_normalise_tangent", .run = run_fused, .light = true},
    [TW_FUSED_GROUP_NORMALISE_SCALE] = {.name = "group_normalise_scale", .run = run_fused, .light = true},
    [TW_FUSED_ROTARY] = {.name = "rotary", .run = run_fused, .light = true},
};

/* --- emitting --- */

/* Kernel of an op; those of groups come in the same order. */
static tw_fused_op kernel_of(int op)
{
    static const uint8_t kernels[TW_OP_COUNT] = {
        [TW_OP_softmax] = TW_FUSED_SOFTMAX,
        [TW_OP_softmax_tangent] = TW_FUSED_SOFTMAX_TANGENT,
        [TW_OP_log_softmax] = TW_FUSED_LOG_SOFTMAX,
        [TW_OP_log_softmax_tangent] = TW_FUSED_LOG_SOFTMAX_TANGENT,
        [TW_OP_log_softmax_cotangent] = TW_FUSED_LOG_SOFTMAX_COTANGENT,
        [TW_OP_logsumexp] = TW_FUSED_LOGSUMEXP,
        [TW_OP_cross_entropy] = TW_FUSED_CROSS_ENTROPY,
        [TW_OP_cross_entropy_gradient] = TW_FUSED_CROSS_ENTROPY_GRADIENT,
        [TW_OP_normalise] = TW_FUSED_NORMALISE,
        [TW_OP_normalise_tangent] = TW_FUSED_NORMALISE_TANGENT,
        [TW_OP_normalise_scale] = TW_FUSED_NORMALISE_SCALE,
        [TW_OP_rotary] = TW_FUSED_ROTARY,
    };
    return (tw_fused_op)kernels[op];
}

/* Lines of `n` elements of the first argument; `cost` flops an element. */
static tw_inst *emit_lines(tw_build *b, tw_region *region, int32_t id, tw_fused_op kernel, int64_t n, double cost)
{
    const tw_node *node = tw_at_id(b, id);
    const int32_t *args = tw_node_args(b->g, node);
    tw_inst *inst = tw_new_inst(b, region, id, &kinds[kernel]);
    if (!inst) return NULL;
    int64_t size = tw_node_size(b, args[0]);
    for (int k = 0; k < node->args_count; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->dtype = tw_at_id(b, args[0])->dtype;
    inst->stream = kernel;
    inst->n = n;
    inst->m = size / n / region->rows;
    inst->k = inst->m; /* elements of a row are k n: how many rows make a block */
    inst->work = cost * (double)size;
    return inst;
}

tw_status tw_emit_lines(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_shape shape = tw_at_id(b, tw_node_args(b->g, node)[0])->shape;
    tw_inst *inst = emit_lines(b, region, id, kernel_of(node->op), shape.dim[shape.rank - 1], 20.0);
    if (!inst) return TW_ERR_MEMORY;
    inst->value = tw_node_attr(b->g, node)->value;
    return TW_OK;
}

/* Elements of the scale, or of a line when there is none. */
static int64_t scale_size(const tw_build *b, const tw_node *node, int64_t n)
{
    const int32_t *args = tw_node_args(b->g, node);
    if (node->op == TW_OP_normalise_scale) return tw_shape_size(node->shape);
    int at = node->op == TW_OP_normalise ? 1 : 2;
    return node->args_count > at ? tw_node_size(b, args[at]) : n;
}

tw_status tw_emit_normalise(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    tw_shape x = tw_at_id(b, tw_node_args(b->g, node)[0])->shape;
    tw_fused_op kernel = kernel_of(node->op);
    int64_t n = 1, channels = x.dim[x.rank - 1], size = (int64_t)tw_dtype_size((tw_dtype)node->dtype);
    for (int i = at->axis[0]; i < x.rank; i++) n *= x.dim[i];
    if (at->number > 1) kernel += TW_FUSED_GROUP_NORMALISE - TW_FUSED_NORMALISE;
    tw_inst *inst = emit_lines(b, region, id, kernel, n, 8.0);
    if (!inst) return TW_ERR_MEMORY;
    inst->value = at->value;
    inst->ta = at->option & 1u;
    inst->tb = (at->option & 2u) != 0;
    inst->dim[0] = scale_size(b, node, n);
    inst->dim[1] = n / channels;
    inst->dim[2] = channels;
    inst->dim[3] = at->number;
    if (at->number > 1)
        inst->scratch_bytes = TW_FUSED_CHANNEL_NUMBERS * channels * size;
    else if (inst->tb)
        inst->scratch_bytes = n * size;
    return TW_OK;
}

/* Lines are (outer, positions, inner); a row of the region has some of the first, or of the positions. */
tw_status tw_emit_rotary(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    int axis = axis_of(b->g, node), last = node->shape.rank - 1;
    tw_inst *inst = emit_lines(b, region, id, TW_FUSED_ROTARY, node->shape.dim[last], 4.0);
    if (!inst) return TW_ERR_MEMORY;
    inst->tb = tw_node_attr(b->g, node)->option == TW_ROTARY_INTERLEAVED;
    inst->dim[4] = 1;
    for (int i = axis + 1; i < last; i++) inst->dim[4] *= node->shape.dim[i];
    inst->dim[5] = axis > 0 ? node->shape.dim[axis] : 0;
    inst->dim[6] = axis > 0 ? 0 : node->shape.dim[axis] / region->rows;
    return TW_OK;
}
