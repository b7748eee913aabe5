/* exec/op_custom.c - calls that leave the engine: custom functions in C, sums over a group of processes. */
#include "exec/control.h"
#include "exec/inst.h"
#include "graph/function.h"

/* --- custom functions --- */

static int64_t rows_of(tw_shape shape)
{
    return shape.rank > 0 ? shape.dim[0] : -1;
}

/* Row by row when the function says so and all results have the same rows. */
tw_row_kind tw_rows_custom(const tw_graph *g, const tw_node *node)
{
    const tw_function *f = tw_node_function(g, node, 0);
    int64_t rows = -1;
    if (!f->custom.by_rows) return TW_ROW_WHOLE;
    for (int k = 0; k < f->outputs_count; k++) {
        tw_type type = {0};
        tw_op_table[node->op].results(g, node, k, &type);
        if (k == 0) rows = rows_of(type.shape);
        if (rows_of(type.shape) != rows) return TW_ROW_WHOLE;
    }
    return rows < 1 ? TW_ROW_WHOLE : TW_ROW_SLICED;
}

bool tw_sliced_custom(const tw_graph *g, const tw_node *node, int k)
{
    tw_type type = {0};
    tw_op_table[node->op].results(g, node, 0, &type);
    return rows_of(tw_node_of(g, tw_node_args(g, node)[k])->shape) == rows_of(type.shape);
}

static void run_custom(const tw_block *b, const tw_inst *inst)
{
    const tw_control *c = &b->p->controls[inst->control];
    const tw_place *places = &b->p->places[inst->places_begin];
    tw_array arrays[2 * TW_CUSTOM_MAX];
    int count = c->args + c->results;
    memcpy(arrays, c->arrays, (size_t)count * sizeof *arrays);
    unsigned char *spare = b->scratch; /* where results go that nobody reads */
    for (int k = 0; k < count; k++) {
        tw_array *a = &arrays[k];
        if (c->sliced[k]) a->shape.dim[0] = a->shape.dim[0] / b->region->rows * b->rows;
        a->data = tw_block_at(b, &places[k]);
        if (a->data || places[k].home != TW_HOME_NONE) continue;
        a->data = spare;
        spare += c->size[k];
    }
    c->custom->evaluate(c->custom->user, c->args, arrays, arrays + c->args);
}

static const tw_inst_kind custom_kind = {.name = "custom", .run = run_custom};

tw_status tw_emit_custom(tw_build *b, tw_region *region, int32_t id)
{
    tw_control *c = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_emit_producer(b, region, id, &custom_kind, &c));
    tw_inst *inst = &b->p->insts[b->p->insts_count - 1];
    size_t count = (size_t)c->args + (size_t)c->results, bytes = count * (sizeof *c->arrays + sizeof *c->size + 1);
    c->custom = &tw_node_function(b->g, tw_at_id(b, id), 0)->custom;
    c->memory = tw_alloc(b->ctx, bytes + 1, 1);
    if (!c->memory) TW_TRY(tw_fail_memory(b->ctx, bytes));
    c->arrays = c->memory;
    c->size = (int64_t *)(void *)(c->arrays + count);
    c->sliced = (bool *)(c->size + count);
    for (int k = 0; k < (int)count; k++) {
        const int32_t *args = tw_node_args(b->g, tw_at_id(b, id));
        tw_type type =
            k < c->args ? tw_type_of(tw_val_of(b->g, args[k])) : tw_result_type(tw_val_of(b->g, id), k - c->args);
        bool by_row = k >= c->args || tw_sliced_custom(b->g, tw_at_id(b, id), k);
        c->sliced[k] = region->rows > 1 && by_row;
        c->arrays[k] = (tw_array){.dtype = type.dtype, .shape = type.shape};
        c->size[k] = tw_aligned(tw_shape_size(type.shape) * (int64_t)tw_dtype_size(type.dtype));
        bool unread = b->p->places[inst->places_begin + k].home == TW_HOME_NONE;
        if (k >= c->args && unread) inst->scratch_bytes += c->size[k];
    }
done:
    return status;
}

/* --- sums over processes --- */

static void run_all_reduce(const tw_block *b, const tw_inst *inst)
{
    const tw_context *ctx = b->p->ctx;
    size_t size = tw_dtype_size((tw_dtype)inst->dtype);
    void *out = tw_block_at(b, &inst->dst);
    memcpy(out, tw_block_at(b, &inst->arg[0]), (size_t)inst->per_row * size);
    ctx->all_reduce(ctx->all_reduce_user, out, inst->per_row, size);
}

static const tw_inst_kind all_reduce_kind = {.name = "all_reduce", .run = run_all_reduce};

tw_status tw_emit_all_reduce(tw_build *b, tw_region *region, int32_t id)
{
    tw_inst *inst = tw_new_inst(b, region, id, &all_reduce_kind);
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = tw_arg_place(b, region, id, 0);
    return TW_OK;
}

/* Its producer has written it. */
tw_status tw_emit_part(tw_build *b, tw_region *region, int32_t id)
{
    (void)b;
    (void)region;
    (void)id;
    return TW_OK;
}
