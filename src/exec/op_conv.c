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
    const void *packed = inst->arg[2].home == TW_HOME_PACKED ? tw_block_at(b, &inst->arg[2]) : NULL;
    plan->run(plan, inst->m * b->rows, tw_block_at(b, &inst->arg[0]), tw_block_at(b, &inst->arg[1]), packed, !b->first,
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

#define KIND(text)                                                                                                     \
    {                                                                                                                  \
        .name = text, .run = run_conv, .print = print_conv, .destroy = destroy_conv                                    \
    }
static const tw_inst_kind kinds[] = {
    [TW_CONV_FORWARD] = KIND("conv"),
    [TW_CONV_BACK] = KIND("conv_input"),
    [TW_CONV_WEIGHTS] = KIND("conv_weights"),
};
#undef KIND

/* Weights that many blocks read are packed once, before the stage. */
static tw_status pack_before(tw_build *b, const tw_region *region, int32_t id, tw_inst *inst)
{
    tw_program *p = b->p;
    const tw_conv_plan *plan = inst->plan;
    int32_t source = b->base[tw_node_args(b->g, tw_at_id(b, id))[1]], number = b->input_number[source];
    if (plan->packed_bytes == 0 || region->rows == 1 || b->value[source].batch) return TW_OK;
    tw_status status = tw_grow(b->ctx, &p->prepacks, &b->prepacks_capacity, p->prepacks_count + 1, sizeof *p->prepacks);
    if (status != TW_OK) return status;
    inst->arg[2] = (tw_place){.home = TW_HOME_PACKED, .index = p->prepacks_count};
    p->prepacks[p->prepacks_count++] =
        (tw_prepack){.conv = plan,
                     .src = inst->arg[1],
                     .node = source,
                     .stage = region->stage,
                     .last_stage = region->stage,
                     .constant = b->constants && number >= 0 && b->constants[number] && tw_writer_over(b, number) < 0,
                     .bytes = (int64_t)plan->packed_bytes};
    return TW_OK;
}

tw_status tw_emit_conv(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_conv_pass pass = node->op == TW_OP_conv         ? TW_CONV_FORWARD
                        : node->op == TW_OP_conv_input ? TW_CONV_BACK
                                                       : TW_CONV_WEIGHTS;
    tw_conv_sizes z = tw_conv_sizes_of(b->g, node);
    tw_conv_plan *plan = NULL;
    tw_product_kind kind = node->dtype == TW_DTYPE_F64 ? TW_PRODUCT_F64 : b->p->bf16 ? TW_PRODUCT_BF16 : TW_PRODUCT_F32;
    tw_status status = tw_conv_plan_create(b->ctx, pass, kind, &z, z.n, b->p->rows > 0, &plan);
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
    return pass == TW_CONV_WEIGHTS ? TW_OK : pack_before(b, region, id, inst);
}
