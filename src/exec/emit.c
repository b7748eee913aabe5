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

/* --- order: elementwise nodes of one depth that share a value are a tile program ------------------------------------
 */

typedef struct order_key {
    int32_t depth, node;
    int64_t size;  /* elementwise: elements; others -1 */
    int32_t first; /* first node of its tile program; others: itself */
} order_key;

static int by_depth(const void *x, const void *y)
{
    const order_key *a = x, *b = y;
    if (a->depth != b->depth) return a->depth < b->depth ? -1 : 1;
    if (a->size != b->size) return a->size < b->size ? -1 : 1;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return a->node < b->node ? -1 : a->node > b->node;
}

typedef struct order {
    tw_build *b;
    int32_t count;
    order_key *keys;
    int32_t *first;  /* node -> a node of its tile program with a smaller number, or itself */
    int32_t *reader; /* value -> the last elementwise node of the region that touched it, or -1 */
    int32_t *reads;  /* value -> reads by nodes of the region that wait to be emitted */
    bool *waits;     /* node of the region, not emitted yet */
} order;

static int32_t first_of(const order *o, int32_t node)
{
    while (o->first[node] != node) node = o->first[node];
    return node;
}

/* Node i reads or replaces `value`: it belongs to the program of others that do. */
static void touch(order *o, int32_t i, int32_t value)
{
    const tw_build *b = o->b;
    int32_t other = o->reader[value];
    if (other >= 0 && b->value[other].depth == b->value[i].depth && tw_node_size(b, other) == tw_node_size(b, i)) {
        int32_t p = first_of(o, other), q = first_of(o, i);
        o->first[tw_max_i64(p, q)] = (int32_t)tw_min_i64(p, q);
    }
    o->reader[value] = i;
}

/* The input that node i is written over, -1 when there is none after `output`; outputs are looked through in turn. */
static int32_t replaced_by(const tw_build *b, int32_t i, int *output)
{
    while (b->overwrites && *output < b->p->outputs_count) {
        int o = (*output)++;
        if (b->overwrites[o] >= 0 && b->base[b->outputs[o].id] == i) return b->inputs[b->overwrites[o]].id;
    }
    return -1;
}

static void join_touching(order *o)
{
    const tw_build *b = o->b;
    for (int32_t at = 0; at < o->count; at++) {
        int32_t i = o->keys[at].node;
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k);
            o->reads[view.source]++;
            if (o->keys[at].size >= 0 && view.stretch < 0) touch(o, i, view.source);
        }
        if (o->keys[at].size < 0) continue;
        touch(o, i, i);
        if (!b->value[i].output) continue;
        for (int output = 0, input; (input = replaced_by(b, i, &output)) >= 0;) touch(o, i, input);
    }
    for (int32_t at = 0; at < o->count; at++) o->keys[at].first = first_of(o, o->keys[at].node);
}

/* One past the last key of the tile program that begins at key `at`. */
static int32_t end_of(const order *o, int32_t at)
{
    int32_t end = at;
    while (end < o->count && o->keys[end].first == o->keys[at].first) end++;
    return end;
}

static void count_reads(order *o, int32_t begin, int32_t end, int32_t step)
{
    for (int32_t at = begin; at < end; at++)
        for (int k = 0; k < tw_at_id(o->b, o->keys[at].node)->args_count; k++)
            o->reads[tw_view_of(o->b, o->keys[at].node, k).source] += step;
}

/* All arguments of a tile program are there, and nobody else still wants what it replaces. */
static bool is_ready(order *o, int32_t begin, int32_t end)
{
    const tw_build *b = o->b;
    bool ready = true;
    count_reads(o, begin, end, -1);
    for (int32_t at = begin; at < end && ready; at++) {
        int32_t i = o->keys[at].node;
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            int32_t source = tw_view_of(b, i, k).source;
            if (o->waits[source] && first_of(o, source) != o->keys[begin].first) ready = false;
        }
        if (!b->value[i].output) continue;
        for (int output = 0, input; (input = replaced_by(b, i, &output)) >= 0;)
            if (o->reads[input] > 0) ready = false;
    }
    count_reads(o, begin, end, 1);
    return ready;
}

/* Adds to the nodes of the program the reductions it does (regions.c); they stand one depth behind it. */
static int32_t add_reductions(order *o, int32_t begin, int32_t end, int32_t *group)
{
    const tw_build *b = o->b;
    int32_t count = end - begin, all = count;
    for (int32_t at = end; at < o->count && o->keys[at].depth <= o->keys[begin].depth + 1; at++) {
        int32_t i = o->keys[at].node;
        if (!b->value[i].in_tile || first_of(o, tw_view_of(b, i, 0).source) != o->keys[begin].first) continue;
        group[all++] = i;
        count_reads(o, at, at + 1, -1);
        o->waits[i] = false;
    }
    return all - count;
}

static tw_status emit_program(order *o, tw_region *region, int32_t begin, int32_t end, int32_t *group)
{
    tw_build *b = o->b;
    count_reads(o, begin, end, -1);
    for (int32_t at = begin; at < end; at++) {
        group[at - begin] = o->keys[at].node;
        o->waits[o->keys[at].node] = false;
    }
    if (o->keys[begin].size == 0) return TW_OK;
    tw_inst *inst = tw_new_inst(b, region, group[0], &tw_tile_kind);
    if (!inst) return TW_ERR_MEMORY;
    inst->work = (double)o->keys[begin].size * (end - begin) * 2;
    tw_status status = tw_emit_tile(b, region, end - begin, add_reductions(o, begin, end, group), group);
    for (int32_t at = begin; at < end && status == TW_OK; at++)
        if (b->value[o->keys[at].node].output) status = tw_emit_packing(b, region, o->keys[at].node);
    return status;
}

/* In order of depth, but for tile programs that one instruction made ready: they follow it while its result is in the
 * cache (an optimiser behind the gradient of its weight, not behind those of all weights). */
static tw_status emit_in_order(order *o, tw_region *region, int32_t *group)
{
    tw_build *b = o->b;
    tw_status status = TW_OK;
    for (int32_t at = 0; at < o->count;) {
        const order_key *key = &o->keys[at];
        int32_t end = end_of(o, at);
        if (key->size >= 0) {
            if (o->waits[key->node]) TW_TRY(emit_program(o, region, at, end, group));
            at = end;
            continue;
        }
        if (b->value[key->node].in_tile) {
            at = end;
            continue;
        }
        bool several = (tw_op_table[tw_at_id(b, key->node)->op].flags & TW_OPF_PRODUCER) != 0;
        if (several || tw_node_size(b, key->node) > 0) TW_TRY(emit_node(b, region, key->node));
        count_reads(o, at, end, -1);
        o->waits[key->node] = false;
        at = end;
        for (int32_t next = at; next < o->count && !b->thrifty && o->keys[next].depth <= key->depth + 1; next = end) {
            end = end_of(o, next);
            if (o->keys[next].depth == key->depth + 1 && o->keys[next].size > 0 && o->waits[o->keys[next].node] &&
                is_ready(o, next, end))
                TW_TRY(emit_program(o, region, next, end, group));
        }
    }
done:
    return status;
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
    size_t n = (size_t)b->n;
    order o = {.b = b,
               .keys = tw_alloc(b->ctx, n, sizeof *o.keys),
               .first = tw_alloc(b->ctx, n, sizeof *o.first),
               .reader = tw_alloc(b->ctx, n, sizeof *o.reader),
               .reads = tw_alloc(b->ctx, n, sizeof *o.reads),
               .waits = tw_alloc(b->ctx, n, sizeof *o.waits)};
    int32_t *group = tw_alloc(b->ctx, n, sizeof *group);
    if (!o.keys || !o.first || !o.reader || !o.reads || !o.waits || !group) TW_TRY(tw_fail_memory(b->ctx, n));
    for (int32_t i = 0; i < b->n; i++) {
        o.first[i] = i;
        o.reader[i] = -1;
        o.waits[i] = b->value[i].computed && b->value[i].region == number;
        if (o.waits[i])
            o.keys[o.count++] = (order_key){b->value[i].depth, i, tw_is_elementwise(b, i) ? tw_node_size(b, i) : -1, i};
    }
    qsort(o.keys, (size_t)o.count, sizeof *o.keys, by_depth);
    join_touching(&o);
    qsort(o.keys, (size_t)o.count, sizeof *o.keys, by_depth);
    region->inst_begin = b->p->insts_count;
    TW_TRY(emit_in_order(&o, region, group));
    TW_TRY(late_last(b, region));
    for (int32_t i = 0; i < region->inst_count; i++) {
        const tw_inst *inst = &b->p->insts[region->inst_begin + i];
        region->work += inst->work;
        if (inst->scratch_bytes > b->p->scratch_bytes) b->p->scratch_bytes = inst->scratch_bytes;
    }
done:
    tw_free(b->ctx, o.keys);
    tw_free(b->ctx, o.first);
    tw_free(b->ctx, o.reader);
    tw_free(b->ctx, o.reads);
    tw_free(b->ctx, o.waits);
    tw_free(b->ctx, group);
    return status;
}
