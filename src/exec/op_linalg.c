/* exec/op_linalg.c - factorisations and triangular solves, matrix by matrix. */
#include "cpu/linalg.h"
#include "exec/inst.h"

/* Leading axes are rows; a single matrix is worked on as a whole. */
tw_row_kind tw_rows_matrices(const tw_graph *g, const tw_node *node)
{
    (void)g;
    return node->shape.rank > 2 ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

/* batch matrices of n rows for a row of the region; k right-hand sides, rank = form of a solve */
static void run_cholesky(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *a = tw_block_at(b, &inst->arg[0]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t step = inst->n * inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < inst->batch * b->rows; i++)
        b->p->cpu->cholesky[inst->dtype](inst->n, a + i * step, out + i * step, b->scratch);
}

static void run_lu(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *a = tw_block_at(b, &inst->arg[0]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t line = inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < inst->batch * b->rows; i++)
        b->p->cpu->lu[inst->dtype](inst->n, a + i * inst->n * line, out + i * (inst->n + 1) * line, b->scratch);
}

static void run_triangular(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *a = tw_block_at(b, &inst->arg[0]), *right = tw_block_at(b, &inst->arg[1]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t line = inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < inst->batch * b->rows; i++)
        b->p->cpu->solve_triangular[inst->dtype](inst->rank, inst->n, inst->k, a + i * inst->n * line,
                                                 right + i * inst->k * line, out + i * inst->k * line, b->scratch);
}

static const tw_inst_kind cholesky_kind = {.name = "cholesky", .run = run_cholesky};
static const tw_inst_kind lu_kind = {.name = "lu", .run = run_lu};
static const tw_inst_kind triangular_kind = {.name = "triangular_solve", .run = run_triangular};

tw_status tw_emit_linalg(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    bool solves = node->op == TW_OP_triangular_solve;
    tw_shape shape = tw_at_id(b, tw_node_args(b->g, node)[0])->shape;
    int64_t n = shape.dim[shape.rank - 1];
    size_t element = tw_dtype_size((tw_dtype)node->dtype);
    tw_inst *inst = tw_new_inst(b, region, id,
                                solves                       ? &triangular_kind
                                : node->op == TW_OP_cholesky ? &cholesky_kind
                                                             : &lu_kind);
    if (!inst) return TW_ERR_MEMORY;
    for (int k = 0; k < node->args_count; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->n = n;
    inst->batch = tw_shape_size(shape) / (n * n) / region->rows;
    inst->work = (double)tw_shape_size(shape) * (double)n / 2.0;
    inst->scratch_bytes =
        (int64_t)(node->op == TW_OP_cholesky ? tw_cholesky_scratch(n, element) : tw_lu_scratch(n, element));
    if (!solves) return TW_OK;
    inst->rank = (int)tw_node_attr(b->g, node)->number;
    inst->k = node->shape.dim[node->shape.rank - (inst->rank & TW_TRIANGLE_RIGHT ? 2 : 1)];
    inst->work = (double)tw_shape_size(shape) * (double)inst->k;
    inst->scratch_bytes = (int64_t)tw_triangular_scratch(n, inst->k, element);
    return TW_OK;
}
