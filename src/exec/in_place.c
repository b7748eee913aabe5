/* exec/in_place.c - results written over arguments that nobody needs any more.
 *
 * An elementwise program reads element i of an argument and writes element i of a result; when the argument dies there
 * and has as many bytes, both may live in one place. Inside the program the last instruction to read the argument must
 * come before the one that writes the result, or be it. Chains of such values share the place of the first. */
#include "exec/inst.h"

static int32_t place_of(const tw_build *b, int32_t value)
{
    while (b->value[value].host >= 0) value = b->value[value].host;
    return value;
}

static int32_t local_value(const tw_program *p, int32_t place)
{
    return place >= 0 && p->places[place].home == TW_HOME_LOCAL ? p->places[place].index : -1;
}

/* The last instruction of the tile program that reads `value` element by element; -1 when a load reads it otherwise. */
static int32_t last_read(const tw_program *p, const tw_inst *inst, int32_t value)
{
    int32_t last = -1;
    for (int32_t l = 0; l < inst->load_count; l++)
        if (local_value(p, p->loads[inst->load_begin + l].place) == value) return -1;
    for (int32_t t = 0; t < inst->tile_count; t++)
        for (int k = 0; k < 3; k++)
            if (local_value(p, p->tiles[inst->tile_begin + t].arg[k].place) == value) last = t;
    return last;
}

static bool may_host(const tw_build *b, const tw_inst *inst, int32_t at, int32_t argument, int32_t result,
                     int32_t written)
{
    const tw_value *a = &b->value[argument], *r = &b->value[result];
    if (a->kept || r->kept) return false; /* of strips and of the block: different places */
    if (a->region != r->region || a->last != at || a->hosts || tw_node_bytes(b, argument) != tw_node_bytes(b, result))
        return false;
    int32_t read = last_read(b->p, inst, argument);
    return read >= 0 && read <= written;
}

static void share_tile(tw_build *b, const tw_inst *inst, int32_t at)
{
    const tw_program *p = b->p;
    for (int32_t t = 0; t < inst->tile_count; t++) {
        int32_t result = local_value(p, p->tiles[inst->tile_begin + t].dst.place);
        if (p->tiles[inst->tile_begin + t].reduce) continue;
        if (result < 0 || b->value[result].first != at) continue;
        for (int32_t u = 0; u <= t && b->value[result].host < 0; u++)
            for (int k = 0; k < 3 && b->value[result].host < 0; k++) {
                int32_t argument = local_value(p, p->tiles[inst->tile_begin + u].arg[k].place);
                if (argument < 0 || argument == result || !may_host(b, inst, at, argument, result, t)) continue;
                b->value[result].host = argument;
                b->value[argument].hosts = true;
            }
    }
}

void tw_share_places(tw_build *b, int32_t number)
{
    const tw_region *region = &b->p->regions[number];
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].region == number) {
            b->value[i].host = -1;
            b->value[i].hosts = false;
            b->value[i].until = b->value[i].last;
        }
    for (int32_t at = 0; at < region->inst_count && !b->unplanned; at++) {
        const tw_inst *inst = &b->p->insts[region->inst_begin + at];
        if (inst->kind == &tw_tile_kind) share_tile(b, inst, at);
    }
    for (int32_t i = 0; i < b->n; i++) {
        if (b->value[i].region != number || b->value[i].host < 0) continue;
        tw_value *root = &b->value[place_of(b, i)];
        if (b->value[i].last > root->until) root->until = b->value[i].last;
    }
}

void tw_settle_shared(tw_build *b, int32_t number)
{
    for (int32_t i = 0; i < b->n; i++)
        if (b->value[i].region == number && b->value[i].host >= 0)
            b->value[i].place.offset = b->value[place_of(b, i)].place.offset;
}
