/* exec/compile.c - the passes in order, and the program's life. */
#include "exec/control.h"
#include "exec/dump.h"
#include "exec/profile.h"
#include "exec/inst.h"

#include <stdio.h>
#include <string.h>

static tw_status check_desc(tw_context *ctx, const tw_program_desc *desc)
{
    for (int i = 0; desc->overwrites && i < desc->outputs_count; i++) {
        int input = desc->overwrites[i];
        if (input < 0) continue;
        if (input >= desc->inputs_count)
            return tw_fail(ctx, TW_ERR_INVALID, "output %d overwrites input %d, which does not exist", i, input);
        tw_val in = desc->inputs[input], out = desc->outputs[i];
        if (tw_dtype_at(in) != tw_dtype_at(out) || !tw_shape_equal(tw_shape_at(in), tw_shape_at(out)))
            return tw_fail(ctx, TW_ERR_SHAPE, "output %d cannot overwrite input %d: shape or dtype differ", i, input);
        for (int j = 0; j < i; j++)
            if (desc->overwrites[j] == input)
                return tw_fail(ctx, TW_ERR_INVALID, "outputs %d and %d overwrite the same input", j, i);
    }
    return TW_OK;
}

static tw_status prepare(tw_build *b, const tw_program_desc *desc, bool *row_inputs)
{
    tw_program *p = b->p;
    tw_status status = TW_OK;
    b->n = (int32_t)b->g->count;
    b->value = tw_alloc(b->ctx, (size_t)b->n, sizeof *b->value);
    b->base = tw_alloc(b->ctx, (size_t)b->n, sizeof *b->base);
    b->after = tw_alloc(b->ctx, (size_t)b->n, sizeof *b->after);
    b->input_number = tw_alloc(b->ctx, (size_t)b->n, sizeof *b->input_number);
    if (!b->value || !b->base || !b->after || !b->input_number)
        TW_TRY(tw_fail_memory(b->ctx, (size_t)b->n * sizeof *b->value));
    for (int32_t i = 0; i < b->n; i++) b->input_number[i] = -1;
    for (int i = 0; i < p->inputs_count; i++) {
        tw_shape shape = tw_shape_at(b->inputs[i]);
        b->input_number[b->inputs[i].id] = i;
        row_inputs[i] = desc->rows > 0 && shape.rank > 0 && shape.dim[0] == desc->rows;
        if (desc->row_inputs) row_inputs[i] = row_inputs[i] && desc->row_inputs[i];
    }
    b->row_inputs = row_inputs;
done:
    return status;
}

tw_status tw_program_compile(tw_context *ctx, const tw_program_desc *desc, tw_program **out_program)
{
    tw_status status = TW_OK;
    tw_build b = {
        .ctx = ctx, .unplanned = desc->unplanned, .asked_block_rows = desc->block_rows, .overwrites = desc->overwrites,
        .constants = desc->constants};
    bool *row_inputs = NULL;
    size_t inputs = (size_t)tw_max_i64(desc->inputs_count, 1), outputs = (size_t)tw_max_i64(desc->outputs_count, 1);
    tw_program *p = tw_alloc(ctx, 1, sizeof *p);
    if (!p) return tw_fail_memory(ctx, sizeof *p);
    b.p = p;
    p->ctx = ctx;
    snprintf(p->name, sizeof p->name, "%s", desc->name ? desc->name : "");
    p->cpu = tw_cpu_best();
    p->gemm = desc->rows > 0 ? tw_gemm_rowwise() : tw_gemm_best();
    p->bf16 = desc->products == TW_PRODUCTS_BF16;
    p->product[TW_DTYPE_F32] = tw_cpu_product(p->bf16 ? TW_PRODUCT_BF16 : TW_PRODUCT_F32);
    p->product[TW_DTYPE_F64] = tw_cpu_product(TW_PRODUCT_F64);
    p->inputs_count = desc->inputs_count;
    p->outputs_count = desc->outputs_count;
    p->rows = desc->rows;
    b.inputs = tw_alloc(ctx, inputs, sizeof *b.inputs);
    b.outputs = tw_alloc(ctx, outputs, sizeof *b.outputs);
    row_inputs = tw_alloc(ctx, inputs, sizeof *row_inputs);
    if (!b.inputs || !b.outputs || !row_inputs) TW_TRY(tw_fail_memory(ctx, inputs * sizeof *b.inputs));
    TW_TRY(check_desc(ctx, desc));
    TW_TRY(tw_lower(ctx, desc, &p->graph, b.inputs, b.outputs));
    b.g = p->graph;
    TW_TRY(prepare(&b, desc, row_inputs));
    tw_dump_graph(&b);
    TW_TRY(tw_build_regions(&b));
    TW_TRY(tw_build_storage(&b));
    for (int32_t r = 0; r < p->regions_count; r++) {
        TW_TRY(tw_emit_region(&b, r));
        TW_TRY(tw_plan_region(&b, r));
    }
    TW_TRY(tw_plan_global(&b));
    tw_dump_plan(&b);
    if (ctx->profile) TW_TRY(tw_profile_create(p));
    *out_program = p;
    p = NULL;
done:
    tw_program_destroy(p);
    tw_free(ctx, b.inputs);
    tw_free(ctx, b.outputs);
    tw_free(ctx, row_inputs);
    tw_free(ctx, b.value);
    tw_free(ctx, b.base);
    tw_free(ctx, b.after);
    tw_free(ctx, b.input_number);
    return status;
}

void tw_program_destroy(tw_program *p)
{
    if (!p) return;
    tw_context *ctx = p->ctx;
    if (p->profile) tw_profile_tell(p);
    tw_free(ctx, p->profile);
    for (int32_t i = 0; i < p->insts_count; i++)
        if (p->insts[i].kind->destroy) p->insts[i].kind->destroy(ctx, &p->insts[i]);
    tw_graph_destroy(p->graph);
    tw_free(ctx, p->regions);
    tw_free(ctx, p->insts);
    tw_free(ctx, p->tiles);
    tw_free(ctx, p->loads);
    tw_free(ctx, p->places);
    tw_free(ctx, p->combines);
    tw_free(ctx, p->prepacks);
    tw_free(ctx, p->finals);
    for (int32_t i = 0; i < p->children_count; i++) tw_program_destroy(p->children[i]);
    tw_free(ctx, p->children);
    for (int32_t i = 0; i < p->controls_count; i++) tw_free(ctx, p->controls[i].memory);
    tw_free(ctx, p->controls);
    tw_free(ctx, p);
}
