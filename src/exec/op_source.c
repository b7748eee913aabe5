/* exec/op_source.c - values out of nothing: counting along an axis, random bits. */
#include "exec/inst.h"

/* 0, 1, ... k - 1, each n times, and again: the first of these periods is counted, the others are copies of it. */
static void run_iota(const tw_block *b, const tw_inst *inst)
{
    unsigned char *out = tw_block_at(b, &inst->dst);
    const tw_dtype dtype = (tw_dtype)inst->dtype;
    const int64_t begin = b->row * inst->per_row, count = b->rows * inst->per_row, period = inst->k * inst->n;
    const size_t size = tw_dtype_size(dtype);
    for (int64_t i = 0, same; i < tw_min_i64(count, period); i += same) {
        double value;
        same = tw_min_i64(inst->n - (begin + i) % inst->n, count - i);
        tw_store_element(&value, dtype, 0, (double)((begin + i) / inst->n % inst->k));
        tw_fill(out + (size_t)i * size, &value, same, size);
    }
    for (int64_t done = period; done < count; done *= 2)
        memcpy(out + (size_t)done * size, out, (size_t)tw_min_i64(done, count - done) * size);
}

static void run_random(const tw_block *b, const tw_inst *inst)
{
    b->p->cpu->philox(tw_block_at(b, &inst->arg[0]), tw_block_at(b, &inst->arg[1]), inst->stream,
                      b->row * inst->per_row, b->rows * inst->per_row, tw_block_at(b, &inst->dst));
}

static const tw_inst_kind iota_kind = {.name = "iota", .run = run_iota};
static const tw_inst_kind random_kind = {.name = "random", .run = run_random};

tw_status tw_emit_iota(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_inst *inst = tw_new_inst(b, region, id, &iota_kind);
    if (!inst) return TW_ERR_MEMORY;
    tw_split_axes(node->shape, 1u << tw_node_attr(b->g, node)->axis[0], &inst->m, &inst->k, &inst->n);
    return TW_OK;
}

tw_status tw_emit_random(tw_build *b, tw_region *region, int32_t id)
{
    tw_inst *inst = tw_new_inst(b, region, id, &random_kind);
    if (!inst) return TW_ERR_MEMORY;
    for (int k = 0; k < 2; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->stream = tw_node_attr(b->g, tw_at_id(b, id))->number;
    return TW_OK;
}
