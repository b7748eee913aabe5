/* exec/op_index.c - rows of tables by number: take_rows, scatter_add_rows. */
#include "exec/inst.h"

/* The table of take_rows is read whole. */
bool tw_sliced_take(const tw_graph *g, const tw_node *node, int k)
{
    (void)g;
    (void)node;
    return k == 1;
}

/* Row numbers are clamped into the table. */
static int64_t clamp_index(const void *index, int64_t i, int64_t rows)
{
    int64_t v = ((const int32_t *)index)[i];
    return v < 0 ? 0 : v >= rows ? rows - 1 : v;
}

static void run_take(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *table = tw_block_at(b, &inst->arg[0]);
    const void *index = tw_block_at(b, &inst->arg[1]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    size_t bytes = (size_t)inst->n * tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < b->rows * inst->k; i++)
        memcpy(out + (size_t)i * bytes, table + (size_t)clamp_index(index, i, inst->m) * bytes, bytes);
}

static void run_scatter(const tw_block *b, const tw_inst *inst)
{
    const void *rows = tw_block_at(b, &inst->arg[0]), *index = tw_block_at(b, &inst->arg[1]);
    void *out = tw_block_at(b, &inst->dst);
    memset(out, 0, (size_t)(inst->m * inst->n) * tw_dtype_size((tw_dtype)inst->dtype));
    for (int64_t i = 0; i < inst->k; i++) {
        int64_t to = clamp_index(index, i, inst->m) * inst->n;
        for (int64_t j = 0; j < inst->n; j++) {
            if (inst->dtype == TW_DTYPE_F32)
                ((float *)out)[to + j] += ((const float *)rows)[i * inst->n + j];
            else
                ((double *)out)[to + j] += ((const double *)rows)[i * inst->n + j];
        }
    }
}

static const tw_inst_kind take_kind = {.name = "take", .run = run_take};
static const tw_inst_kind scatter_kind = {.name = "scatter", .run = run_scatter};

/* m rows of a table of n elements each, k indices a row of the region */
tw_status tw_emit_index(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    bool take = node->op == TW_OP_take_rows;
    if (!take && !tw_dtype_is_real((tw_dtype)node->dtype))
        return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "scatter_add_rows of %s values cannot be compiled",
                       tw_dtype_name((tw_dtype)node->dtype));
    tw_inst *inst = tw_new_inst(b, region, id, take ? &take_kind : &scatter_kind);
    if (!inst) return TW_ERR_MEMORY;
    const int32_t *args = tw_node_args(b->g, node);
    tw_shape table = take ? tw_at_id(b, args[0])->shape : node->shape, index = tw_at_id(b, args[1])->shape;
    for (int k = 0; k < 2; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->m = table.dim[0];
    inst->n = table.dim[0] ? tw_shape_size(table) / table.dim[0] : 0;
    inst->k = tw_shape_size(index) / (take ? region->rows : 1);
    return TW_OK;
}
