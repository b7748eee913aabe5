/* exec/print.c - a program as text: stages, regions, blocks, instructions, memory. */
#include "exec/inst.h"

static void print_place(tw_text *t, const tw_place *place)
{
    static const char *const names[] = {"-", "in", "out", "const", "global", "local", "block", "partial", "packed"};
    tw_text_add(t, " %s", names[place->home]);
    if (place->home == TW_HOME_INPUT || place->home == TW_HOME_OUTPUT)
        tw_text_add(t, "%d", place->index);
    else if (place->home != TW_HOME_NONE)
        tw_text_add(t, "+%lld", (long long)place->offset);
    if (place->skip) tw_text_add(t, "+%lld", (long long)place->skip);
    if (place->row_bytes) tw_text_add(t, "/%lld", (long long)place->row_bytes);
}

void tw_inst_describe(const tw_program *p, const tw_inst *inst, tw_text *t)
{
    tw_text_add(t, "%s", inst->kind->name);
    if (inst->kind->print) inst->kind->print(inst, t);
    for (int32_t i = 0; i < inst->tile_count; i++)
        tw_text_add(t, " %s", tw_op_table[tw_node_of(p->graph, p->tiles[inst->tile_begin + i].node)->op].name);
    if (inst->kind != &tw_tile_kind) tw_text_add(t, " %lld a row", (long long)inst->per_row);
}

static void print_inst(const tw_program *p, tw_text *t, const tw_inst *inst)
{
    tw_text_add(t, "    %-10s", inst->kind->name);
    if (inst->kind != &tw_tile_kind) tw_text_add(t, " %%%d", inst->node);
    if (inst->kind->print) inst->kind->print(inst, t);
    for (int32_t i = 0; i < inst->tile_count; i++) {
        const tw_tile_inst *tile = &p->tiles[inst->tile_begin + i];
        tw_text_add(t, " %%%d=%s", tile->node, tw_op_table[tw_node_of(p->graph, tile->node)->op].name);
        if (tile->dst.place >= 0) print_place(t, &p->places[tile->dst.place]);
    }
    if (inst->kind != &tw_tile_kind) {
        tw_text_add(t, " :");
        print_place(t, &inst->dst);
        tw_text_add(t, " <-");
        for (int k = 0; k < TW_INST_ARGS; k++)
            if (inst->arg[k].home != TW_HOME_NONE) print_place(t, &inst->arg[k]);
    }
    tw_text_add(t, "\n");
}

tw_status tw_program_print(const tw_program *p, char **out_text)
{
    tw_text t = tw_text_new(p->ctx);
    tw_text_add(&t, "program: %d stages, %d regions, %d instructions, %lld bytes shared, %lld a thread\n",
                p->stages_count, p->regions_count, p->insts_count, (long long)p->global_bytes,
                (long long)(p->local_bytes + p->register_bytes + p->scratch_bytes));
    for (int32_t i = 0; i < p->regions_count; i++) {
        const tw_region *r = &p->regions[i];
        tw_text_add(&t, "stage %d: %lld rows%s, %lld chunks of %lld in blocks of %lld, %lld bytes local\n", r->stage,
                    (long long)r->rows, r->batch ? " (batch)" : "", (long long)r->chunks, (long long)r->chunk_rows,
                    (long long)r->block_rows, (long long)r->local_bytes);
        for (int32_t k = 0; k < r->inst_count; k++) print_inst(p, &t, &p->insts[r->inst_begin + k]);
    }
    for (int32_t i = 0; i < p->combines_count; i++)
        tw_text_add(&t, "combine %%%d after stage %d\n", p->combines[i].src.index, p->combines[i].stage);
    tw_text_add(&t, "%d copies at the end\n", p->finals_count);
    tw_status status = tw_text_check(&t);
    if (status == TW_OK)
        *out_text = t.data;
    else
        tw_text_free(&t);
    return status;
}
