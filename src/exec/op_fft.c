/* exec/op_fft.c - Fourier transforms along axes: one instruction an axis, its plan among the program's constants. */
#include "cpu/fft.h"
#include "exec/inst.h"

#include <math.h>

tw_row_kind tw_rows_fft(const tw_graph *g, const tw_node *node)
{
    const tw_attr *at = tw_node_attr(g, node);
    bool along_rows = node->op == TW_OP_fft ? at->axis_mask & 1 : at->axis[0] == 0;
    return along_rows ? TW_ROW_WHOLE : TW_ROW_SLICED;
}

/* m outer, k points, n inner elements of a row; arg 1 is the plan. ta: inverse; rank: the kind. */
static void run_fft(const tw_block *b, const tw_inst *inst)
{
    tw_fft_job job = {.plan = tw_block_at(b, &inst->arg[1]),
                      .kind = (tw_fft_kind)inst->rank,
                      .inverse = inst->ta,
                      .outer = inst->m * b->rows,
                      .n = inst->k,
                      .inner = inst->n,
                      .scale = inst->value,
                      .src = tw_block_at(b, &inst->arg[0]),
                      .dst = tw_block_at(b, &inst->dst),
                      .scratch = b->scratch};
    b->p->cpu->fft[inst->dtype](&job);
}

static void print_fft(const tw_inst *inst, tw_text *text)
{
    static const char *const names[] = {"complex", "real", "to_real"};
    tw_text_add(text, " %s%s outer=%lld n=%lld inner=%lld", names[inst->rank], inst->ta ? " inverse" : "",
                (long long)inst->m, (long long)inst->k, (long long)inst->n);
}

static const tw_inst_kind fft_kind = {.name = "fft", .run = run_fft, .print = print_fft};

/* A plan among the constants of the lowered graph; made once for each length in use. */
static tw_status store_plan(tw_build *b, int64_t n, bool real, tw_dtype dtype, tw_place *out_place)
{
    tw_status status = TW_OK;
    size_t bytes = tw_fft_plan_bytes(n, real, dtype);
    void *work = tw_alloc(b->ctx, tw_fft_work_bytes(n, real), 1);
    if (!work) TW_TRY(tw_fail_memory(b->ctx, tw_fft_work_bytes(n, real)));
    int64_t offset = tw_graph_store(b->g, NULL, (int64_t)bytes);
    if (offset < 0) TW_TRY(tw_graph_check(b->g));
    tw_fft_plan_make(n, real, dtype, b->g->data + offset, work);
    *out_place = (tw_place){.home = TW_HOME_CONST, .index = -1, .offset = offset};
done:
    tw_free(b->ctx, work);
    return status;
}

static tw_status emit_axis(tw_build *b, tw_region *region, int32_t id, tw_fft_kind kind, int axis, int64_t n,
                           tw_inst **out_inst)
{
    const tw_node *node = tw_at_id(b, id);
    bool real = kind != TW_FFT_COMPLEX;
    int64_t outer, length, inner;
    tw_place plan;
    tw_status status = store_plan(b, n, real, (tw_dtype)node->dtype, &plan);
    if (status != TW_OK) return status;
    tw_inst *inst = tw_new_inst(b, region, id, &fft_kind);
    if (!inst) return TW_ERR_MEMORY;
    tw_split_axes(node->shape, 1u << axis, &outer, &length, &inner);
    inst->arg[0] = tw_arg_place(b, region, id, 0);
    inst->arg[1] = plan;
    inst->rank = (int)kind;
    inst->m = outer / region->rows;
    inst->k = n;
    inst->n = kind == TW_FFT_TO_REAL ? inner : inner / 2;
    inst->value = 1.0;
    inst->scratch_bytes = (int64_t)tw_fft_scratch_bytes(n, real, (tw_dtype)node->dtype);
    inst->work = 5.0 * (double)(outer * inst->n * n) * log2((double)n + 1.0);
    *out_inst = inst;
    return TW_OK;
}

tw_status tw_emit_fft(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_attr at = *tw_node_attr(b->g, node);
    tw_inst *inst = NULL;
    tw_status status = TW_OK;
    if (node->op == TW_OP_fft) {
        for (int axis = node->shape.rank - 2; axis >= 0; axis--) {
            if (!(at.axis_mask & 1u << axis)) continue;
            bool first = inst == NULL;
            TW_TRY(emit_axis(b, region, id, TW_FFT_COMPLEX, axis, tw_at_id(b, id)->shape.dim[axis], &inst));
            if (!first) inst->arg[0] = inst->dst; /* the other axes in place */
            inst->ta = at.number != 0;
        }
    } else {
        bool forward = node->op == TW_OP_rfft;
        tw_shape real = forward ? tw_at_id(b, tw_node_args(b->g, node)[0])->shape : node->shape;
        TW_TRY(
            emit_axis(b, region, id, forward ? TW_FFT_REAL : TW_FFT_TO_REAL, at.axis[0], real.dim[at.axis[0]], &inst));
        inst->ta = !forward;
    }
    inst->value = at.value;
done:
    return status;
}
