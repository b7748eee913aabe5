/* exec/op_product.c - matrix products: rows times a whole matrix, sums over rows of outer products, one product a row.
 *
 * A whole second operand is packed once before the stage, for all blocks. The gradient of a weight (A' B, summed over
 * rows) comes in two forms. Of many rows: every block adds its part to the chunk's copy of the result, and the copies
 * are added up afterwards. Of few rows compared with the size of the result: the copies would cost more than the rows,
 * so the rows of the *result* are shared out, each block computing some for all rows of A and B; what follows, usually
 * an optimiser, then finds them in its cache. */
#include "exec/inst.h"

/* --- rows --- */

/* A' B with few rows to sum over: writing and reading A and B costs less than partial copies of the result. */
static bool by_result(const tw_graph *g, const tw_node *node)
{
    tw_dot dot = tw_dot_of(g, node);
    if (!dot.ta || dot.tb || tw_node_attr(g, node)->batch_count > 0 || dot.m < 16 || dot.n < 16) return false;
    return (double)dot.k * (double)(dot.m + dot.n) <= 4.0 * (double)dot.m * (double)dot.n;
}

tw_row_kind tw_rows_dot(const tw_graph *g, const tw_node *node)
{
    const tw_attr *at = tw_node_attr(g, node);
    tw_dot dot = tw_dot_of(g, node);
    if (at->batch_count > 0 || by_result(g, node)) return TW_ROW_SLICED;
    if (dot.ta) return dot.tb ? TW_ROW_WHOLE : TW_ROW_SUMS;
    return tw_node_of(g, tw_node_args(g, node)[0])->shape.rank > at->contract_count ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

bool tw_sliced_dot(const tw_graph *g, const tw_node *node, int k)
{
    if (by_result(g, node)) return false;
    return k == 0 || tw_node_attr(g, node)->batch_count > 0 || tw_dot_of(g, node).ta;
}

/* --- running --- */

static void gemm(const tw_block *b, const tw_inst *inst, int64_t m, int64_t k, const void *x, int64_t lda,
                 const void *y, bool accumulate, void *c, tw_ahead *ahead)
{
    const tw_program *p = b->p;
    const void *packed = inst->arg[2].home == TW_HOME_PACKED ? tw_block_at(b, &inst->arg[2]) : NULL;
    int64_t ldb = inst->tb ? k : inst->n;
    if (m == 0 || inst->n == 0) return;
    if (packed || p->bf16 || inst->dtype == TW_DTYPE_F64)
        p->product[inst->dtype]->run(inst->ta, inst->tb, m, inst->n, k, x, lda, y, ldb, packed, accumulate, c, inst->n,
                                     b->scratch, ahead);
    else
        p->gemm->f32(inst->ta, inst->tb, m, inst->n, k, x, lda, y, ldb, accumulate, c, inst->n, b->scratch);
}

/* How far the rows of A are apart: it may be a part of wider ones. */
static int64_t lda_of(const tw_inst *inst, int64_t width)
{
    return inst->lda > 0 ? inst->lda : width;
}

/* rows x whole: C (rows*m, n) = op(A) op(B) */
static void run_product(const tw_block *b, const tw_inst *inst)
{
    int64_t m = inst->m * b->rows;
    gemm(b, inst, m, inst->k, tw_block_at(b, &inst->arg[0]), lda_of(inst, inst->ta ? m : inst->k),
         tw_block_at(b, &inst->arg[1]), false, tw_block_at(b, &inst->dst), NULL);
}

/* Sum over rows of outer products: C (m, n) += A^T B. A is stored (rows*k, m): its leading dimension does not depend on
 * the number of rows. */
static void run_product_sum(const tw_block *b, const tw_inst *inst)
{
    gemm(b, inst, inst->m, inst->k * b->rows, tw_block_at(b, &inst->arg[0]), lda_of(inst, inst->m),
         tw_block_at(b, &inst->arg[1]), !b->first, tw_block_at(b, &inst->dst), NULL);
}

/* The rows that the tile program behind the instruction reads from arrays outside the region: an optimiser's weights
 * and moments, which a training step meets once and has to fetch from far away. */
static tw_ahead wanted_next(const tw_block *b, const tw_inst *inst)
{
    tw_ahead ahead = {.count = 0};
    const tw_inst *next = inst + 1;
    if (next >= &b->p->insts[b->region->inst_begin + b->region->inst_count] || next->kind != &tw_tile_kind)
        return ahead;
    for (int32_t t = 0; t < next->tile_count; t++)
        for (int k = 0; k < 3; k++) {
            const tw_tile_operand *arg = &b->p->tiles[next->tile_begin + t].arg[k];
            const tw_place *place = arg->place >= 0 ? &b->p->places[arg->place] : NULL;
            if (!place || place->home != TW_HOME_INPUT || ahead.count == TW_AHEAD_RANGES) continue;
            const char *at = tw_block_at(b, place);
            if (ahead.count > 0 && ahead.range[ahead.count - 1].at == at) continue;
            ahead.range[ahead.count].at = at;
            ahead.range[ahead.count++].bytes = b->rows * place->row_bytes;
        }
    return ahead;
}

/* Some rows of such a sum over everything: columns of A, m a row of the region. */
static void run_product_part(const tw_block *b, const tw_inst *inst)
{
    tw_ahead ahead = wanted_next(b, inst);
    const char *a = tw_block_at(b, &inst->arg[0]);
    a += b->row * inst->m * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    gemm(b, inst, inst->m * b->rows, inst->k, a, inst->m * b->region->rows, tw_block_at(b, &inst->arg[1]), false,
         tw_block_at(b, &inst->dst), &ahead);
}

/* One product per row and batch index. */
static void run_product_batch(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]), *y = tw_block_at(b, &inst->arg[1]);
    unsigned char *c = tw_block_at(b, &inst->dst);
    int64_t size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype), lda = inst->ta ? inst->m : inst->k;
    for (int64_t i = 0; i < inst->batch * b->rows; i++)
        gemm(b, inst, inst->m, inst->k, x + i * inst->m * inst->k * size, lda, y + i * inst->k * inst->n * size, false,
             c + i * inst->m * inst->n * size, NULL);
}

static void print_product(const tw_inst *inst, tw_text *text)
{
    tw_text_add(text, " %s%s m=%lld n=%lld k=%lld batch=%lld", inst->ta ? "T" : "N", inst->tb ? "T" : "N",
                (long long)inst->m, (long long)inst->n, (long long)inst->k, (long long)inst->batch);
}

static const tw_inst_kind product_kind = {.name = "gemm", .run = run_product, .print = print_product};
static const tw_inst_kind product_part_kind = {.name = "gemm_part", .run = run_product_part, .print = print_product};
static const tw_inst_kind product_batch_kind = {.name = "gemm_batch", .run = run_product_batch, .print = print_product};
static const tw_inst_kind product_sum_kind = {.name = "gemm_sum", .run = run_product_sum, .print = print_product};

/* --- emitting --- */

/* Is argument `source` (k x n, or n x k when tb) worth packing beforehand for all `rows` rows of products? */
static bool worth_packing(const tw_build *b, const tw_inst *inst, int32_t source, int64_t rows)
{
    const tw_product *product = b->p->product[inst->dtype];
    const tw_value *v = &b->value[source];
    if (!b->p->gemm->packs || inst->arg[1].row_bytes != 0 || v->batch) return false;
    if (v->computed && v->stage >= b->value[inst->node].stage) return false; /* not there before the stage */
    return rows > 32 && product->packed_bytes(inst->n, inst->k) > 0;
}

/* --- weights that the program itself replaces are packed again where they are replaced --- */

int32_t tw_writer_over(const tw_build *b, int number)
{
    for (int o = 0; b->overwrites && o < b->p->outputs_count; o++)
        if (b->overwrites[o] == number) return b->base[b->outputs[o].id];
    return -1;
}

/* Can the rows of the stored matrix (rows x columns) be packed as `writer` makes them? */
static bool packs_as_written(const tw_build *b, int32_t writer, int64_t rows, int64_t columns)
{
    const tw_value *v = &b->value[writer];
    return v->computed && v->place.home == TW_HOME_OUTPUT && tw_is_elementwise(b, writer) && v->rows == rows &&
           !v->batch && !v->sums && !v->pieced && !v->alone && tw_node_size(b, writer) == rows * columns;
}

/* An operand that is there packed when the next run begins: what nobody changes, or changes only here. */
static bool stays_packed(const tw_build *b, int32_t source, const tw_inst *inst)
{
    int number = b->input_number[source];
    if (!b->constants || number < 0 || !b->constants[number]) return false;
    int32_t writer = tw_writer_over(b, number);
    return writer < 0 || packs_as_written(b, writer, inst->tb ? inst->n : inst->k, inst->tb ? inst->k : inst->n);
}

static void run_pack(const tw_block *b, const tw_inst *inst)
{
    const tw_prepack *q = &b->p->prepacks[inst->arg[0].index];
    int64_t width = q->tb ? q->k : q->n;
    const char *written = tw_block_at(b, &inst->dst);
    q->product->pack(q->tb, q->n, q->k, written - b->row * inst->dst.row_bytes, width, tw_block_at(b, &inst->arg[0]),
                     b->row, b->row + b->rows);
}

static const tw_inst_kind pack_kind = {.name = "pack", .run = run_pack, .light = true};

tw_status tw_emit_packing(tw_build *b, tw_region *region, int32_t writer)
{
    tw_program *p = b->p;
    for (int32_t i = 0; i < p->prepacks_count; i++) {
        const tw_prepack *q = &p->prepacks[i];
        if (!q->constant || q->conv || b->input_number[q->node] < 0) continue;
        if (tw_writer_over(b, b->input_number[q->node]) != writer) continue;
        tw_inst *inst = tw_new_inst(b, region, writer, &pack_kind);
        if (!inst) return TW_ERR_MEMORY;
        inst->arg[0] = (tw_place){.home = TW_HOME_PACKED, .index = i};
        region->grain = TW_PACK_ROWS;
    }
    return TW_OK;
}

/* The packed form of the instruction's second operand: one for all its readers. */
static tw_status pack_before(tw_build *b, const tw_region *region, int32_t source, tw_inst *inst)
{
    tw_program *p = b->p;
    const tw_product *product = p->product[inst->dtype];
    int32_t i = 0;
    while (i < p->prepacks_count && (p->prepacks[i].node != source || p->prepacks[i].tb != inst->tb ||
                                     p->prepacks[i].n != inst->n || p->prepacks[i].k != inst->k))
        i++;
    if (i == p->prepacks_count) {
        tw_status status =
            tw_grow(b->ctx, &p->prepacks, &b->prepacks_capacity, p->prepacks_count + 1, sizeof *p->prepacks);
        if (status != TW_OK) return status;
        p->prepacks[p->prepacks_count++] = (tw_prepack){.product = product,
                                                        .src = inst->arg[1],
                                                        .node = source,
                                                        .stage = region->stage,
                                                        .last_stage = region->stage,
                                                        .tb = inst->tb,
                                                        .constant = stays_packed(b, source, inst),
                                                        .n = inst->n,
                                                        .k = inst->k,
                                                        .bytes = (int64_t)product->packed_bytes(inst->n, inst->k)};
    }
    p->prepacks[i].last_stage = region->stage; /* regions come in the order of stages */
    inst->arg[2] = (tw_place){.home = TW_HOME_PACKED, .index = i};
    return TW_OK;
}

/* A slice of wider rows as A: its rows must be those of A as it is stored. */
bool tw_strided_dot(const tw_graph *g, const tw_node *node, int k, const tw_node *slice)
{
    tw_dot dot = tw_dot_of(g, node);
    if (k != 0 || tw_node_attr(g, node)->batch_count > 0 || by_result(g, node)) return false;
    return slice->dtype == node->dtype && tw_last(slice->shape) == (dot.ta ? dot.m : dot.k);
}

tw_status tw_emit_dot(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    tw_dot dot = tw_dot_of(b->g, node);
    bool sums = b->value[id].sums, batched = tw_node_attr(b->g, node)->batch_count > 0;
    if (!tw_dtype_is_real((tw_dtype)node->dtype))
        return tw_fail(b->ctx, TW_ERR_UNSUPPORTED, "dot_general of %s values cannot be compiled: only f32 and f64",
                       tw_dtype_name((tw_dtype)node->dtype));
    tw_inst *inst = tw_new_inst(b, region, id,
                                sums                    ? &product_sum_kind
                                : batched               ? &product_batch_kind
                                : by_result(b->g, node) ? &product_part_kind
                                                        : &product_kind);
    if (!inst) return TW_ERR_MEMORY;
    inst->scratch_bytes = (int64_t)b->p->gemm->workspace;
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
    inst->height = batched ? dot.m : sums ? inst->k : inst->m;
    tw_view a = tw_view_of(b, id, 0);
    if (a.slice >= 0) inst->lda = tw_last(tw_at_id(b, tw_node_args(b->g, tw_at_id(b, a.slice))[0])->shape);
    inst->work = 2.0 * (double)(dot.batch * dot.m) * (double)dot.n * (double)dot.k;
    int32_t source = tw_view_of(b, id, 1).source;
    if (sums || batched || !worth_packing(b, inst, source, dot.m)) return TW_OK;
    return pack_before(b, region, source, inst);
}
