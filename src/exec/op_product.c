/* exec/op_product.c - matrix products: rows times a whole matrix, sums over rows of outer products, one product a row.
 */
#include "exec/inst.h"

/* --- rows --- */

tw_row_kind tw_rows_dot(const tw_graph *g, const tw_node *node)
{
    const tw_attr *at = tw_node_attr(g, node);
    tw_dot dot = tw_dot_of(g, node);
    if (at->batch_count > 0) return TW_ROW_SLICED;
    if (dot.ta) return dot.tb ? TW_ROW_WHOLE : TW_ROW_SUMS;
    return tw_node_of(g, tw_node_args(g, node)[0])->shape.rank > at->contract_count ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

bool tw_sliced_dot(const tw_graph *g, const tw_node *node, int k)
{
    return k == 0 || tw_node_attr(g, node)->batch_count > 0 || tw_dot_of(g, node).ta;
}

/* --- running --- */

static void gemm(const tw_block *b, const tw_inst *inst, int64_t m, int64_t k, const void *x, const void *y,
                 bool accumulate, void *c)
{
    const tw_gemm *g = b->p->gemm;
    int64_t lda = inst->ta ? m : k, ldb = inst->tb ? k : inst->n;
    if (m == 0 || inst->n == 0) return;
    if (inst->dtype == TW_DTYPE_F32)
        g->f32(inst->ta, inst->tb, m, inst->n, k, x, lda, y, ldb, accumulate, c, inst->n, b->workspace);
    else
        g->f64(inst->ta, inst->tb, m, inst->n, k, x, lda, y, ldb, accumulate, c, inst->n, b->workspace);
}

/* rows x whole: C (rows*m, n) = op(A) op(B) */
static void run_product(const tw_block *b, const tw_inst *inst)
{
    gemm(b, inst, inst->m * b->rows, inst->k, tw_block_at(b, &inst->arg[0]), tw_block_at(b, &inst->arg[1]), false,
         tw_block_at(b, &inst->dst));
}

/* Sum over rows of outer products: C (m, n) += A^T B. A is stored (rows*k, m): its leading dimension is m whatever the
 * number of rows. */
static void run_product_sum(const tw_block *b, const tw_inst *inst)
{
    gemm(b, inst, inst->m, inst->k * b->rows, tw_block_at(b, &inst->arg[0]), tw_block_at(b, &inst->arg[1]), !b->first,
         tw_block_at(b, &inst->dst));
}

/* One product per row and batch index. */
static void run_product_batch(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]), *y = tw_block_at(b, &inst->arg[1]);
    unsigned char *c = tw_block_at(b, &inst->dst);
    int64_t size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < inst->batch * b->rows; i++)
        gemm(b, inst, inst->m, inst->k, x + i * inst->m * inst->k * size, y + i * inst->k * inst->n * size, false,
             c + i * inst->m * inst->n * size);
}

static void print_product(const tw_inst *inst, tw_text *text)
{
    tw_text_add(text, " %s%s m=%lld n=%lld k=%lld batch=%lld", inst->ta ? "T" : "N", inst->tb ? "T" : "N",
                (long long)inst->m, (long long)inst->n, (long long)inst->k, (long long)inst->batch);
}

static const tw_inst_kind product_kind = {.name = "gemm", .run = run_product, .print = print_product};
static const tw_inst_kind product_sum_kind = {.name = "gemm_sum", .run = run_product_sum, .print = print_product};
static const tw_inst_kind product_batch_kind = {.name = "gemm_batch", .run = run_product_batch, .print = print_product};

/* --- emitting --- */

tw_status tw_emit_dot(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_dot dot = tw_dot_of(b->g, node);
    bool sums = b->value[id].sums, batched = tw_node_attr(b->g, node)->batch_count > 0;
    if (!tw_dtype_is_real((tw_dtype)node->dtype))
        return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "dot_general of %s values cannot be compiled: only f32 and f64",
                       tw_dtype_name((tw_dtype)node->dtype));
    tw_inst *inst = tw_new_inst(b, region, id,
                                sums      ? &product_sum_kind
                                : batched ? &product_batch_kind
                                          : &product_kind);
    if (!inst) return TW_ERR_MEMORY;
    inst->arg[0] = tw_arg_place(b, region, id, 0);
    inst->arg[1] = tw_arg_place(b, region, id, 1);
    inst->ta = dot.ta;
    inst->tb = dot.tb;
    inst->m = dot.m;
    inst->n = dot.n;
    inst->k = dot.k;
    inst->batch = dot.batch;
    if (sums)
        inst->k /= region->rows;
    else if (batched)
        inst->batch /= region->rows;
    else
        inst->m /= region->rows;
    inst->work = 2.0 * (double)(dot.batch * dot.m) * (double)dot.n * (double)dot.k;
    return TW_OK;
}
