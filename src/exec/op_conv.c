/* exec/op_conv.c - convolutions: images by rows, their weights whole; the gradient in the weights sums over rows. */
#include "cpu/conv.h"
#include "exec/inst.h"

bool tw_sliced_conv(const tw_graph *g, const tw_node *node, int k)
{
    (void)g;
    return k == 0 || node->op == TW_OP_conv_weights;
}

tw_row_kind tw_rows_conv_weights(const tw_graph *g, const tw_node *node)
{
    (void)g;
    (void)node;
    return TW_ROW_SUMS;
}

static void run_conv(const tw_block *b, const tw_inst *inst)
{
    const tw_conv_plan *plan = inst->plan;
    plan->run(plan, inst->m * b->rows, tw_block_at(b, &inst->arg[0]), tw_block_at(b, &inst->arg[1]), !b->first,
              tw_block_at(b, &inst->dst), b->scratch);
}

static void destroy_conv(tw_context *ctx, tw_inst *inst)
{
    tw_conv_plan_destroy(ctx, inst->plan);
}

static void print_conv(const tw_inst *inst, tw_text *text)
{
    tw_text_add(text, " %s, %lld images a row", ((const tw_conv_plan *)inst->plan)->name, (long long)inst->m);
}

static const tw_inst_kind kinds[] = {
    [TW_CONV_FORWARD] = {.name = "conv", .run = run_conv, .print = print_conv, .destroy = destroy_conv},
    [TW_CONV_BACK] = {.name = "conv_input", .run = run_conv, .print = print_conv, .destroy = destroy_conv},
    [TW_CONV_WEIGHTS] = {.name = "conv_weights", .run = run_conv, .print = print_conv, .destroy = destroy_conv},
};

tw_status tw_emit_conv(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_conv_pass pass = node->op == TW_OP_conv         ? TW_CONV_FORWARD
                        : node->op == TW_OP_conv_input ? TW_CONV_BACK
                                                       : TW_CONV_WEIGHTS;
    tw_conv_sizes z = tw_conv_sizes_of(b->g, node);
    tw_conv_plan *plan = NULL;
    tw_status status = tw_conv_plan_create(b->ctx, pass, (tw_dtype)node->dtype, &z, z.n, b->p->rows > 0, &plan);
    if (status != TW_OK) return status;
    tw_inst *inst = tw_new_inst(b, region, id, &kinds[pass]);
    if (!inst) {
        tw_conv_plan_destroy(b->ctx, plan);
        return TW_ERR_MEMORY;
    }
    inst->plan = plan;
    inst->scratch_bytes = (int64_t)plan->scratch_bytes;
    inst->arg[0] = tw_arg_place(b, region, id, 0);
    inst->arg[1] = tw_arg_place(b, region, id, 1);
    inst->m = z.n / region->rows;
    inst->work = 2.0 * (double)z.n * (double)(z.c / z.groups) * (double)z.o;
    inst->height = 1;
    for (int i = 0; i < TW_MAX_SPATIAL; i++) {
        inst->height *= z.result[i];
        inst->work *= (double)z.result[i] * (double)z.kernel[i];
    }
    return TW_OK;
}
