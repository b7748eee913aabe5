/* exec/plan.c - memory: which values get bytes, where they live, and offsets by live ranges (largest first, lowest
 * gap). */
#include "exec/inst.h"

#include <stdlib.h>

enum { ALIGN = 64 };

static int by_size(const void *x, const void *y)
{
    const tw_lease *a = x, *b = y;
    if (a->bytes != b->bytes) return a->bytes > b->bytes ? -1 : 1;
    if (a->first != b->first) return a->first < b->first ? -1 : 1;
    return a->tag < b->tag ? -1 : a->tag > b->tag;
}

int64_t tw_pack(int32_t count, tw_lease *leases, bool apart)
{
    int64_t total = 0;
    qsort(leases, (size_t)count, sizeof *leases, by_size);
    for (int32_t i = 0; i < count; i++) {
        tw_lease *lease = &leases[i];
        int64_t offset = apart ? total : 0;
        /* raise the offset past every placed lease it would overlap, until it stays */
        for (bool moved = !apart; moved;) {
            moved = false;
            for (int32_t j = 0; j < i; j++) {
                const tw_lease *other = &leases[j];
                if (other->last < lease->first || other->first > lease->last) continue;
                if (offset < other->offset + tw_aligned(other->bytes) &&
                    other->offset < offset + tw_aligned(lease->bytes)) {
                    offset = other->offset + tw_aligned(other->bytes);
                    moved = true;
                }
            }
        }
        lease->offset = offset;
        if (offset + tw_aligned(lease->bytes) > total) total = offset + tw_aligned(lease->bytes);
    }
    return total;
}

/* The instruction of a tile that reads the arguments of node i: its own, or - a product that only an addition needs -
 * that of the addition, which may take it over (tile.c). */
static int32_t reader_of(const tw_build *b, int32_t i)
{
    if (tw_at_id(b, i)->op != TW_OP_mul || b->value[i].uses != 1) return i;
    for (int32_t j = i + 1; j < b->n; j++) {
        const tw_node *node = tw_at_id(b, j);
        if (!b->value[j].computed || (node->op != TW_OP_add && node->op != TW_OP_sub)) continue;
        if (tw_view_of(b, j, 0).source == i || tw_view_of(b, j, 1).source == i) return j;
    }
    return i;
}

/* May output i be written over its input while the program runs? Every reader of the old value must be done, or be
 * reading the very element that is being replaced. */
static bool overwrite_is_safe(const tw_build *b, int output)
{
    int32_t writer = b->base[b->outputs[output].id], input = b->inputs[b->overwrites[output]].id;
    bool part = tw_at_id(b, writer)->op == TW_OP_part; /* written when its producer runs, and that one still reads */
    int32_t runs = part ? tw_node_args(b->g, tw_at_id(b, writer))[0] : writer;
    const tw_value *w = &b->value[runs];
    if (w->in_tile) return false; /* it runs before its depth: with the tile program of its argument */
    for (int32_t i = 0; i < b->n; i++) {
        const tw_value *v = &b->value[i];
        if (!v->computed) continue;
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k);
            if (view.source != input) continue;
            if (part && i == runs) return false;
            if (v->stage < w->stage) continue;
            if (w->sums || v->stage > w->stage || v->region != w->region) {
                if (w->sums && v->stage == w->stage) continue; /* sums are written after the stage */
                return false;
            }
            if (v->depth < w->depth && !tw_is_late(b, i) && (!view.whole || v->rows == 1)) continue;
            bool same_tile = v->depth == w->depth && view.stretch < 0 && tw_is_elementwise(b, i) &&
                             tw_is_elementwise(b, writer) && tw_node_size(b, i) == tw_node_size(b, writer);
            if (!same_tile || reader_of(b, i) > writer) return false;
        }
    }
    /* another output that copies the input at the end would see the new value */
    for (int o = 0; o < b->p->outputs_count; o++)
        if (b->base[b->outputs[o].id] == input) return false;
    return true;
}

static void count_reads(tw_build *b)
{
    for (int32_t i = 0; i < b->n; i++) {
        tw_value *v = &b->value[i];
        v->last_stage = v->stage;
        if (v->computed && (!tw_is_elementwise(b, i) || v->output)) v->stored = true;
    }
    for (int32_t i = 0; i < b->n; i++) {
        const tw_value *v = &b->value[i];
        if (!v->computed) continue;
        for (int k = 0; k < tw_at_id(b, i)->args_count; k++) {
            tw_view view = tw_view_of(b, i, k);
            tw_value *s = &b->value[view.source];
            s->uses++;
            if (!s->computed) continue;
            if (v->stage > s->last_stage) s->last_stage = v->stage;
            if (v->region != s->region) s->place.home = TW_HOME_GLOBAL;
            bool fused = v->in_tile || (v->region == s->region && v->depth == s->depth && view.stretch < 0 &&
                                        tw_is_elementwise(b, i) && tw_is_elementwise(b, view.source) &&
                                        tw_node_size(b, i) == tw_node_size(b, view.source));
            if (!fused) s->stored = true;
        }
    }
}

static tw_status add_final(tw_build *b, int output, tw_place src, int64_t rows_bytes, int64_t bytes)
{
    tw_program *p = b->p;
    tw_status status = tw_grow(b->ctx, &p->finals, &b->finals_capacity, p->finals_count + 1, sizeof *p->finals);
    if (status != TW_OK) return status;
    p->finals[p->finals_count++] = (tw_final_copy){
        .src = src, .dst = {.home = TW_HOME_OUTPUT, .index = output, .row_bytes = rows_bytes}, .bytes = bytes};
    return TW_OK;
}

tw_status tw_build_storage(tw_build *b)
{
    tw_program *p = b->p;
    tw_status status = TW_OK;
    count_reads(b);
    for (int32_t i = 0; i < b->n; i++) {
        tw_value *v = &b->value[i];
        if (b->input_number[i] >= 0)
            v->place = (tw_place){.home = TW_HOME_INPUT, .index = b->input_number[i]};
        else if (tw_at_id(b, i)->op == TW_OP_const)
            v->place = (tw_place){.home = TW_HOME_CONST, .index = i};
        else if (v->computed && v->place.home == TW_HOME_NONE)
            v->place = (tw_place){.home = v->sums ? TW_HOME_GLOBAL : TW_HOME_LOCAL, .index = i};
        else
            v->place.index = i;
    }
    for (int o = 0; o < p->outputs_count; o++) {
        int32_t source = b->base[b->outputs[o].id];
        tw_value *v = &b->value[source];
        v->uses++;
        bool direct = v->computed && v->place.home != TW_HOME_OUTPUT;
        if (direct && b->overwrites && b->overwrites[o] >= 0) direct = overwrite_is_safe(b, o);
        if (direct) {
            v->place = (tw_place){.home = TW_HOME_OUTPUT, .index = o};
            continue;
        }
        if (v->computed && v->place.home == TW_HOME_LOCAL) v->place.home = TW_HOME_GLOBAL;
        if (v->place.home == TW_HOME_GLOBAL) v->last_stage = p->stages_count;
        int64_t bytes = tw_node_bytes(b, source);
        TW_TRY(add_final(b, o, v->place, v->batch && p->rows > 0 ? bytes / p->rows : 0, bytes));
    }
    /* a later output may have taken a value's home after an earlier copy was noted */
    for (int32_t i = 0; i < p->finals_count; i++) {
        tw_final_copy *f = &p->finals[i];
        f->src = b->value[b->base[b->outputs[f->dst.index].id]].place;
    }
done:
    return status;
}

/* Live ranges, in instructions, of the region's local values. */
static int32_t local_leases(tw_build *b, int32_t number, int64_t rows, int64_t strip, tw_lease *leases)
{
    const tw_region *region = &b->p->regions[number];
    int32_t count = 0;
    for (int32_t i = 0; i < b->n; i++) {
        const tw_value *v = &b->value[i];
        if (!v->computed || !v->stored || v->region != number || v->place.home != TW_HOME_LOCAL || v->first < 0)
            continue;
        if (v->host >= 0) continue;
        leases[count++] = (tw_lease){.bytes = tw_node_bytes(b, i) / region->rows * (v->kept ? rows : strip),
                                     .first = v->kept ? 0 : v->first,
                                     .last = v->kept ? region->inst_count : v->until,
                                     .tag = i};
    }
    return count;
}

static void touch(tw_build *b, const tw_place *place, int32_t at)
{
    if (place->home != TW_HOME_LOCAL) return;
    tw_value *v = &b->value[place->index];
    if (v->first < 0 || at < v->first) v->first = at;
    if (at > v->last) v->last = at;
}

static void live_ranges(tw_build *b, int32_t number)
{
    const tw_program *p = b->p;
    const tw_region *region = &p->regions[number];
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].region == number) b->value[i].first = b->value[i].last = -1, b->value[i].kept = false;
    for (int32_t at = 0; at < region->inst_count; at++) {
        const tw_inst *inst = &p->insts[region->inst_begin + at];
        if (inst->kind != &tw_tile_kind) {
            touch(b, &inst->dst, at);
            for (int k = 0; k < TW_INST_ARGS; k++) {
                touch(b, &inst->arg[k], at);
                if (tw_is_late(b, inst->node) && inst->arg[k].home == TW_HOME_LOCAL)
                    b->value[inst->arg[k].index].kept = true;
            }
            for (int32_t k = 0; k < inst->places_count; k++) touch(b, &p->places[inst->places_begin + k], at);
            continue;
        }
        for (int32_t t = 0; t < inst->tile_count; t++) {
            const tw_tile_inst *tile = &p->tiles[inst->tile_begin + t];
            if (tile->dst.place >= 0) touch(b, &p->places[tile->dst.place], at);
            for (int k = 0; k < 3; k++)
                if (tile->arg[k].place >= 0) touch(b, &p->places[tile->arg[k].place], at);
        }
        for (int32_t l = 0; l < inst->load_count; l++) touch(b, &p->places[p->loads[inst->load_begin + l].place], at);
    }
}

/* Rows of a block and of its strips. Strips: what an instruction writes should be in the second cache (0.5 to 1 MiB)
 * when the next reads it, 112 rows are whole tiles of our products. Blocks: eight share well between two to eight
 * threads; with late instructions the longer the better, as far as what is kept for them fits the third cache. */
enum {
    STRIP_BYTES = 2 << 20,
    STRIP_ROWS = 112,
    BLOCK_BYTES = 10 << 20,
    BLOCK_ROWS = 512,
    ROWS_MIN = 32,
    ELEMENTS = 16384
};

static int64_t at_most(int64_t rows, int64_t bytes, int64_t row_bytes)
{
    int64_t fit = row_bytes > 0 ? bytes / row_bytes : rows;
    return rows <= fit ? rows : fit >= 16 ? fit / 16 * 16 : tw_max_i64(fit, 1);
}

/* Rows of products that one row of the region is, by its heaviest instruction: an image or a text is many. */
static int64_t height_of(const tw_program *p, const tw_region *region)
{
    const tw_inst *heaviest = &p->insts[region->inst_begin];
    for (int32_t i = 1; i < region->inst_count; i++)
        if (p->insts[region->inst_begin + i].work > heaviest->work) heaviest = &p->insts[region->inst_begin + i];
    return region->inst_count > 0 ? tw_max_i64(heaviest->height, 1) : 1;
}

static int64_t whole_grains(const tw_region *region, int64_t rows)
{
    return region->grain > 0 ? (rows + region->grain - 1) / region->grain * region->grain : rows;
}

static void choose_rows(tw_region *region, int64_t asked, int64_t height, int64_t strip_bytes, int64_t kept_bytes,
                        int64_t widest, bool heavy)
{
    int64_t block, strip;
    if (region->pieces) {
        block = strip = 1;
    } else if (!heavy) {
        block = strip = tw_max_i64(ELEMENTS / tw_max_i64(widest, 1), 1);
    } else {
        int64_t step = tw_max_i64(16 / height, 1), least = tw_max_i64(ROWS_MIN / height, 1);
        block = tw_max_i64(((region->rows + 7) / 8 + step - 1) / step * step, least);
        strip = at_most(STRIP_ROWS, STRIP_BYTES, strip_bytes);
        block =
            region->late ? at_most(tw_min_i64(block, BLOCK_ROWS), BLOCK_BYTES, kept_bytes) : tw_min_i64(block, strip);
        if (asked > 0) block = asked;
    }
    block = whole_grains(region, block);
    if (region->grain > 0) strip = tw_max_i64(strip / region->grain, 1) * region->grain;
    region->block_rows = tw_max_i64(tw_min_i64(block, region->rows), 1);
    region->strip_rows = tw_max_i64(tw_min_i64(strip, region->block_rows), 1);
}

static void choose_chunks(tw_build *b, int32_t number)
{
    tw_region *region = &b->p->regions[number];
    int64_t bytes = 0, most = 8;
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].computed && b->value[i].sums && b->value[i].region == number) bytes += tw_node_bytes(b, i);
    /* copies of the sums are kept within 128 MiB; two are always allowed */
    while (most > 2 && bytes * most > (int64_t)128 << 20) most /= 2;
    int64_t blocks = (region->rows + region->block_rows - 1) / region->block_rows;
    /* chunks of as many rows, whole blocks or not: threads end together */
    int64_t even = whole_grains(region, (region->rows + most - 1) / most);
    region->chunk_rows = region->sums && blocks > most ? even : region->block_rows;
    region->chunks = (region->rows + region->chunk_rows - 1) / region->chunk_rows;
}

tw_status tw_plan_region(tw_build *b, int32_t number)
{
    tw_program *p = b->p;
    tw_region *region = &p->regions[number];
    tw_status status = TW_OK;
    bool heavy = false;
    int64_t widest = 1;
    tw_lease *leases = tw_alloc(b->ctx, (size_t)b->n, sizeof *leases);
    if (!leases) TW_TRY(tw_fail_memory(b->ctx, (size_t)b->n * sizeof *leases));
    for (int32_t i = 0; i < region->inst_count; i++) {
        const tw_inst *inst = &p->insts[region->inst_begin + i];
        if (!inst->kind->light) heavy = true;
        widest = tw_max_i64(widest, inst->per_row);
        if (inst->kind->light && inst->kind != &tw_tile_kind) widest = tw_max_i64(widest, inst->k * inst->n);
    }
    live_ranges(b, number);
    tw_share_places(b, number);
    /* exact bytes of a row, without rounding up: first of what lives for a strip, then of what lives for the block */
    int32_t count = local_leases(b, number, 0, ALIGN, leases);
    int64_t strip_bytes = tw_pack(count, leases, false) / ALIGN, kept_bytes = 0; /* blocks are the same unplanned */
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].region == number && b->value[i].kept) kept_bytes += tw_node_bytes(b, i) / region->rows;
    choose_rows(region, b->asked_block_rows, height_of(p, region), strip_bytes, kept_bytes, widest, heavy);
    choose_chunks(b, number);
    count = local_leases(b, number, region->block_rows, region->strip_rows, leases);
    region->local_bytes = tw_pack(count, leases, b->unplanned);
    for (int32_t i = 0; i < count; i++) b->value[leases[i].tag].place.offset = leases[i].offset;
    tw_settle_shared(b, number);
    if (region->local_bytes > p->local_bytes) p->local_bytes = region->local_bytes;
done:
    tw_free(b->ctx, leases);
    return status;
}

static tw_status add_combine(tw_build *b, int32_t node)
{
    tw_program *p = b->p;
    const tw_value *v = &b->value[node];
    tw_status status = tw_grow(b->ctx, &p->combines, &b->combines_capacity, p->combines_count + 1, sizeof *p->combines);
    if (status != TW_OK) return status;
    p->combines[p->combines_count++] = (tw_combine){.stage = v->stage,
                                                    .region = v->region,
                                                    .src = {.home = TW_HOME_PARTIAL, .index = node},
                                                    .dst = v->place,
                                                    .elements = tw_node_size(b, node),
                                                    .dtype = tw_at_id(b, node)->dtype};
    return TW_OK;
}

static void settle(const tw_build *b, tw_place *place)
{
    if (place->home == TW_HOME_CONST && place->index >= 0)
        place->offset = tw_node_attr(b->g, tw_at_id(b, place->index))->data;
    if (place->home != TW_HOME_LOCAL && place->home != TW_HOME_GLOBAL) return;
    place->offset = b->value[place->index].place.offset;
    if (place->home == TW_HOME_LOCAL && b->value[place->index].kept) place->home = TW_HOME_BLOCK;
}

/* Offsets are known: write them into every place of the program. */
static void settle_all(tw_build *b)
{
    tw_program *p = b->p;
    for (int32_t i = 0; i < p->insts_count; i++) {
        tw_inst *inst = &p->insts[i];
        settle(b, &inst->dst);
        for (int k = 0; k < TW_INST_ARGS; k++) settle(b, &inst->arg[k]);
        if (inst->kind != &tw_tile_kind && b->value[inst->node].sums)
            for (int32_t c = 0; c < p->combines_count; c++)
                if (p->combines[c].src.index == inst->node) inst->dst = p->combines[c].src;
    }
    for (int32_t i = 0; i < p->places_count; i++) settle(b, &p->places[i]);
    for (int32_t i = 0; i < p->combines_count; i++) settle(b, &p->combines[i].dst);
    for (int32_t i = 0; i < p->finals_count; i++) settle(b, &p->finals[i].src);
    for (int32_t i = 0; i < p->prepacks_count; i++) settle(b, &p->prepacks[i].src);
}

tw_status tw_plan_global(tw_build *b)
{
    tw_program *p = b->p;
    tw_status status = TW_OK;
    int32_t count = 0;
    size_t most = 2 * (size_t)b->n + (size_t)p->prepacks_count + 1;
    tw_lease *leases = tw_alloc(b->ctx, most, sizeof *leases);
    if (!leases) TW_TRY(tw_fail_memory(b->ctx, most * sizeof *leases));
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].computed && b->value[i].sums) TW_TRY(add_combine(b, i));
    for (int32_t i = 0; i < b->n; i++) {
        const tw_value *v = &b->value[i];
        if (!v->computed || !v->stored || v->place.home != TW_HOME_GLOBAL) continue;
        leases[count++] = (tw_lease){.bytes = tw_node_bytes(b, i), .first = v->stage, .last = v->last_stage, .tag = i};
    }
    for (int32_t i = 0; i < p->combines_count; i++) {
        tw_combine *c = &p->combines[i];
        c->src.chunk_bytes = tw_aligned(tw_node_bytes(b, c->src.index));
        leases[count++] = (tw_lease){.bytes = c->src.chunk_bytes * p->regions[c->region].chunks,
                                     .first = c->stage,
                                     .last = c->stage,
                                     .tag = -1 - i};
    }
    for (int32_t i = 0; i < p->prepacks_count; i++)
        leases[count++] = (tw_lease){.bytes = p->prepacks[i].bytes,
                                     .first = p->prepacks[i].constant ? 0 : p->prepacks[i].stage,
                                     .last = p->prepacks[i].constant ? p->stages_count : p->prepacks[i].last_stage,
                                     .tag = b->n + i};
    p->global_bytes = tw_pack(count, leases, b->unplanned);
    for (int32_t i = 0; i < count; i++) {
        int32_t tag = leases[i].tag;
        if (tag >= b->n)
            p->prepacks[tag - b->n].offset = leases[i].offset;
        else if (tag >= 0)
            b->value[tag].place.offset = leases[i].offset;
        else
            p->combines[-1 - tag].src.offset = leases[i].offset;
    }
    settle_all(b);
done:
    tw_free(b->ctx, leases);
    return status;
}
