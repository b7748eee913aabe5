/* exec/emit.c - instructions of a region: one list in order of depth, elementwise groups as tile programs, anything
 * else by the table of ops. */
#include "exec/inst.h"

#include <stdlib.h>

tw_place tw_place_in(const tw_build *b, const tw_region *region, int32_t source, bool whole)
{
    tw_place place = b->value[source].place;
    place.row_bytes = whole ? 0 : tw_node_bytes(b, source) / region->rows;
    return place;
}

tw_inst *tw_new_inst(tw_build *b, tw_region *region, int32_t node, const tw_inst_kind *kind)
{
    tw_program *p = b->p;
    if (tw_grow(b->ctx, &p->insts, &b->insts_capacity, p->insts_count + 1, sizeof *p->insts) != TW_OK) return NULL;
    tw_inst *inst = &p->insts[p->insts_count++];
    *inst = (tw_inst){.kind = kind, .node = node, .dtype = tw_at_id(b, node)->dtype, .depth = b->value[node].depth};
    inst->dst = tw_place_in(b, region, node, region->rows == 1 || region->pieces);
    inst->per_row = tw_node_size(b, node) / region->rows;
    region->inst_count++;
    return inst;
}

int32_t tw_new_place(tw_build *b, tw_place place)
{
    tw_program *p = b->p;
    if (tw_grow(b->ctx, &p->places, &b->places_capacity, p->places_count + 1, sizeof *p->places) != TW_OK) return -1;
    p->places[p->places_count] = place;
    return p->places_count++;
}

tw_place tw_arg_place(const tw_build *b, const tw_region *region, int32_t node, int k)
{
    tw_view view = tw_view_of(b, node, k);
    tw_place place = tw_place_in(b, region, view.source, view.whole);
    if (view.slice >= 0) {
        const tw_node *slice = tw_at_id(b, view.slice);
        int64_t begin = tw_node_attr(b->g, slice)->begin[slice->shape.rank - 1];
        place.skip = begin * (int64_t)tw_dtype_size((tw_dtype)slice->dtype);
    }
    return place;
}

void tw_contiguous(tw_shape shape, int64_t *stride)
{
    int64_t step = 1;
    for (int i = shape.rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= shape.dim[i];
    }
}

void tw_split_axes(tw_shape shape, uint32_t mask, int64_t *outer, int64_t *middle, int64_t *inner)
{
    *outer = *middle = *inner = 1;
    for (int i = 0; i < shape.rank; i++) {
        if (mask >> i & 1)
            *middle *= shape.dim[i];
        else if (mask >> i)
            *outer *= shape.dim[i];
        else
            *inner *= shape.dim[i];
    }
}

static tw_status emit_node(tw_build *b, tw_region *region, int32_t id)
{
    int op = tw_at_id(b, id)->op;
    if (!tw_exec_table[op].emit)
        return tw_fail(b->ctx, TW_ERR_INTERNAL, "no instruction for op %s", tw_op_table[op].name);
    return tw_exec_table[op].emit(b, region, id);
}

typedef struct order_key {
    int32_t depth, node;
    int64_t size; /* elementwise: elements, so that equal sizes meet; others -1 */
} order_key;

static int by_depth(const void *x, const void *y)
{
    const order_key *a = x, *b = y;
    if (a->depth != b->depth) return a->depth < b->depth ? -1 : 1;
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

/* Nothing in a region reads a sum over its rows, so the late instructions can follow all others. */
static tw_status late_last(tw_build *b, tw_region *region)
{
    tw_inst *insts = &b->p->insts[region->inst_begin], *moved;
    int32_t early = 0;
    for (int32_t i = 0; i < region->inst_count; i++) region->late += tw_is_late(b, insts[i].node);
    if (region->late == 0) return TW_OK;
    moved = tw_alloc(b->ctx, (size_t)region->late, sizeof *moved);
    if (!moved) return tw_fail_memory(b->ctx, (size_t)region->late * sizeof *moved);
    for (int32_t i = 0, late = 0; i < region->inst_count; i++) {
        if (tw_is_late(b, insts[i].node))
            moved[late++] = insts[i];
        else
            insts[early++] = insts[i];
    }
    memcpy(insts + early, moved, (size_t)region->late * sizeof *moved);
    tw_free(b->ctx, moved);
    return TW_OK;
}

tw_status tw_emit_region(tw_build *b, int32_t number)
{
    tw_status status = TW_OK;
    tw_region *region = &b->p->regions[number];
    order_key *keys = tw_alloc(b->ctx, (size_t)b->n, sizeof *keys);
    int32_t *group = tw_alloc(b->ctx, (size_t)b->n, sizeof *group), count = 0;
    if (!keys || !group) TW_TRY(tw_fail_memory(b->ctx, (size_t)b->n * sizeof *keys));
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].computed && b->value[i].region == number)
            keys[count++] = (order_key){b->value[i].depth, i, tw_is_elementwise(b, i) ? tw_node_size(b, i) : -1};
    qsort(keys, (size_t)count, sizeof *keys, by_depth);
    region->inst_begin = b->p->insts_count;
    for (int32_t i = 0; i < count;) {
        if (keys[i].size < 0) {
            bool several = (tw_op_table[tw_at_id(b, keys[i].node)->op].flags & TW_OPF_PRODUCER) != 0;
            if (several || tw_node_size(b, keys[i].node) > 0) TW_TRY(emit_node(b, region, keys[i].node));
            i++;
            continue;
        }
        int32_t members = 0, j = i;
        while (j < count && keys[j].depth == keys[i].depth && keys[j].size == keys[i].size)
            group[members++] = keys[j++].node;
        if (keys[i].size > 0) {
            tw_inst *inst = tw_new_inst(b, region, group[0], &tw_tile_kind);
            if (!inst) TW_TRY(TW_ERR_MEMORY);
            inst->work = (double)keys[i].size * members * 2;
            TW_TRY(tw_emit_tile(b, region, members, group));
        }
        i = j;
    }
    TW_TRY(late_last(b, region));
    for (int32_t i = 0; i < region->inst_count; i++) {
        const tw_inst *inst = &b->p->insts[region->inst_begin + i];
        region->work += inst->work;
        if (inst->scratch_bytes > b->p->scratch_bytes) b->p->scratch_bytes = inst->scratch_bytes;
    }
done:
    tw_free(b->ctx, keys);
    tw_free(b->ctx, group);
    return status;
}
