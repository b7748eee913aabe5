/* exec/op_reduce.c - instructions along axes: sums, maxima, argmax, running sums. */
#include "exec/inst.h"

/* --- rows --- */

tw_row_kind tw_rows_sum(const tw_graph *g, const tw_node *node)
{
    return tw_node_attr(g, node)->axis_mask & 1 ? TW_ROW_SUMS : TW_ROW_SLICED;
}

tw_row_kind tw_rows_reduce(const tw_graph *g, const tw_node *node)
{
    return tw_node_attr(g, node)->axis_mask & 1 ? TW_ROW_WHOLE : TW_ROW_SLICED;
}

int64_t tw_line_of(const tw_build *b, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    int64_t outer, middle, inner;
    if (node->op != TW_OP_sum && node->op != TW_OP_reduce_max) return 0;
    tw_split_axes(tw_at_id(b, tw_node_args(b->g, node)[0])->shape, tw_node_attr(b->g, node)->axis_mask, &outer, &middle,
                  &inner);
    return inner == 1 ? middle : 0;
}

/* --- running: m outer, k reduced, n inner elements of a row --- */

static void run_sum_inner(const tw_block *b, const tw_inst *inst)
{
    b->p->cpu->sum_inner[inst->dtype](tw_block_at(b, &inst->arg[0]), inst->m * b->rows, inst->k,
                                      tw_block_at(b, &inst->dst));
}

static void run_max_inner(const tw_block *b, const tw_inst *inst)
{
    b->p->cpu->max_inner[inst->dtype](tw_block_at(b, &inst->arg[0]), inst->m * b->rows, inst->k,
                                      tw_block_at(b, &inst->dst));
}

static void run_sum_outer(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype), step = inst->k * inst->n * size;
    for (int64_t i = 0; i < inst->m * b->rows; i++)
        b->p->cpu->sum_outer[inst->dtype](x + i * step, inst->k, inst->n, false, out + i * inst->n * size);
}

static void run_max_outer(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype), step = inst->k * inst->n * size;
    for (int64_t i = 0; i < inst->m * b->rows; i++)
        b->p->cpu->max_outer[inst->dtype](x + i * step, inst->k, inst->n, out + i * inst->n * size);
}

static void run_cumsum(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t step = inst->k * inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < inst->m * b->rows; i++)
        b->p->cpu->cumsum_outer[inst->dtype](x + i * step, inst->k, inst->n, out + i * step);
}

/* Over all leading axes: added to what earlier blocks of the chunk left. */
static void run_sum_rows(const tw_block *b, const tw_inst *inst)
{
    const tw_cpu *cpu = b->p->cpu;
    const void *x = tw_block_at(b, &inst->arg[0]);
    void *out = tw_block_at(b, &inst->dst);
    if (inst->n == 1) {
        double sum, before = 0.0; /* room for either type */
        cpu->sum_inner[inst->dtype](x, 1, inst->k * b->rows, &sum);
        if (!b->first) memcpy(&before, out, tw_dtype_size((tw_dtype)inst->dtype));
        cpu->tile[TW_TILE_ADD][inst->dtype](out, &before, &sum, &sum, 1);
    } else {
        cpu->sum_outer[inst->dtype](x, inst->k * b->rows, inst->n, !b->first, out);
    }
}

/* First of the largest along the middle axis. */
static void run_argmax(const tw_block *b, const tw_inst *inst)
{
    const tw_cpu *cpu = b->p->cpu;
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    int32_t *out = tw_block_at(b, &inst->dst);
    int64_t outer = inst->m * b->rows, step = inst->k * inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    if (inst->n == 1) {
        cpu->argmax_inner[inst->dtype](x, outer, inst->k, out);
        return;
    }
    for (int64_t i = 0; i < outer; i++)
        cpu->argmax_outer[inst->dtype](x + i * step, inst->k, inst->n, out + i * inst->n);
}

static const tw_inst_kind sum_inner_kind = {.name = "sum_inner", .run = run_sum_inner, .light = true};
static const tw_inst_kind sum_outer_kind = {.name = "sum_outer", .run = run_sum_outer};
static const tw_inst_kind sum_rows_kind = {.name = "sum_rows", .run = run_sum_rows, .light = true};
static const tw_inst_kind max_inner_kind = {.name = "max_inner", .run = run_max_inner};
static const tw_inst_kind max_outer_kind = {.name = "max_outer", .run = run_max_outer};
static const tw_inst_kind argmax_kind = {.name = "argmax", .run = run_argmax};
static const tw_inst_kind cumsum_kind = {.name = "cumsum", .run = run_cumsum};

/* --- emitting --- */

static const tw_inst_kind *kind_of(int op, bool innermost)
{
    switch (op) {
    case TW_OP_sum:
        return innermost ? &sum_inner_kind : &sum_outer_kind;
    case TW_OP_reduce_max:
        return innermost ? &max_inner_kind : &max_outer_kind;
    case TW_OP_argmax:
        return &argmax_kind;
    default:
        return &cumsum_kind;
    }
}

tw_status tw_emit_reduction(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const tw_attr *at = tw_node_attr(b->g, node);
    int32_t arg = tw_node_args(b->g, node)[0];
    tw_dtype dtype = (tw_dtype)tw_at_id(b, arg)->dtype;
    bool by_axis = node->op == TW_OP_argmax || node->op == TW_OP_cumsum, sums = b->value[id].sums;
    int64_t outer, middle, inner;
    tw_split_axes(tw_at_id(b, arg)->shape, by_axis ? 1u << at->axis[0] : at->axis_mask, &outer, &middle, &inner);
    tw_inst *inst = tw_new_inst(b, region, id, sums ? &sum_rows_kind : kind_of(node->op, inner == 1));
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = tw_arg_place(b, region, id, 0);
    inst->dtype = (uint8_t)dtype;
    inst->k = sums ? middle / region->rows : middle;
    inst->n = inner;
    inst->m = sums || region->rows == 1 ? outer : outer / region->rows;
    return TW_OK;
}
