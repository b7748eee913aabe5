/* exec/print.c - a program as text: stages, regions, blocks, instructions, memory. */
#include "base/text.h"
#include "exec/program.h"

static const char *const kind_names[] = {"tile",     "gemm",      "gemm_sum",  "gemm_batch", "sum_inner", "sum_outer",
                                         "sum_rows", "max_inner", "max_outer", "argmax",     "cumsum",    "copy",
                                         "fill",     "iota",      "random",    "take",       "scatter"};

static void print_place(tw_text *t, const tw_place *place)
{
    static const char *const names[] = {"-", "in", "out", "const", "global", "local", "partial"};
    tw_text_add(t, " %s", names[place->home]);
    if (place->home == TW_HOME_INPUT || place->home == TW_HOME_OUTPUT)
        tw_text_add(t, "%d", place->index);
    else if (place->home != TW_HOME_NONE)
        tw_text_add(t, "+%lld", (long long)place->offset);
    if (place->row_bytes) tw_text_add(t, "/%lld", (long long)place->row_bytes);
}

static void print_inst(const tw_program *p, tw_text *t, const tw_inst *inst)
{
    tw_text_add(t, "    %-10s", kind_names[inst->kind]);
    if (inst->kind == TW_INST_TILE) {
        tw_text_add(t, " %lld a row, %d registers:", (long long)inst->per_row, inst->slots);
        for (int32_t i = 0; i < inst->tile_count; i++) {
            const tw_tile_inst *tile = &p->tiles[inst->tile_begin + i];
            const tw_node *node = tw_node_of(p->graph, tile->node);
            tw_text_add(t, " %%%d=%s", tile->node, tw_op_table[node->op].name);
            if (tile->dst.place >= 0) print_place(t, &p->places[tile->dst.place]);
        }
        tw_text_add(t, "\n");
        return;
    }
    tw_text_add(t, " %%%d", inst->node);
    if (inst->kind <= TW_INST_GEMM_BATCH)
        tw_text_add(t, " %s%s m=%lld n=%lld k=%lld batch=%lld", inst->ta ? "T" : "N", inst->tb ? "T" : "N",
                    (long long)inst->m, (long long)inst->n, (long long)inst->k, (long long)inst->batch);
    tw_text_add(t, " :");
    print_place(t, &inst->dst);
    tw_text_add(t, " <-");
    for (int k = 0; k < 3; k++)
        if (inst->arg[k].home != TW_HOME_NONE) print_place(t, &inst->arg[k]);
    tw_text_add(t, "\n");
}

tw_status tw_program_print(const tw_program *p, char **out_text)
{
    tw_text t = tw_text_new(p->ctx);
    tw_text_add(&t, "program: %d stages, %d regions, %d instructions, %lld bytes shared, %lld a thread\n",
                p->stages_count, p->regions_count, p->insts_count, (long long)p->global_bytes,
                (long long)(p->local_bytes + p->register_bytes));
    for (int32_t i = 0; i < p->regions_count; i++) {
        const tw_region *r = &p->regions[i];
        tw_text_add(&t, "stage %d: %lld rows%s, %lld blocks of %lld in %lld chunks, %lld bytes local\n", r->stage,
                    (long long)r->rows, r->batch ? " (batch)" : "", (long long)r->blocks, (long long)r->block_rows,
                    (long long)r->chunks, (long long)r->local_bytes);
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
