/* exec/op_sort.c - the order of elements along an axis. */
#include "cpu/sort.h"
#include "exec/inst.h"

/* m outer, k elements, n inner of a row; batch places are wanted. */
static void run_argsort(const tw_block *b, const tw_inst *inst)
{
    tw_sort_order((tw_dtype)inst->dtype, tw_block_at(b, &inst->arg[0]), inst->m * b->rows, inst->k, inst->n,
                  inst->batch, inst->ta, tw_block_at(b, &inst->dst), b->scratch);
}

static const tw_inst_kind argsort_kind = {.name = "argsort", .run = run_argsort};

tw_status tw_emit_argsort(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id), *arg = tw_at_id(b, tw_node_args(b->g, node)[0]);
    const tw_attr *at = tw_node_attr(b->g, node);
    tw_inst *inst = tw_new_inst(b, region, id, &argsort_kind);
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = tw_arg_place(b, region, id, 0);
    inst->dtype = arg->dtype;
    tw_split_axes(arg->shape, 1u << at->axis[0], &inst->m, &inst->k, &inst->n);
    inst->m /= region->rows;
    inst->batch = node->shape.dim[at->axis[0]];
    inst->ta = at->number != 0;
    inst->scratch_bytes = (int64_t)tw_sort_scratch_bytes(inst->k);
    inst->work = 20.0 * (double)tw_shape_size(arg->shape);
    return TW_OK;
}
