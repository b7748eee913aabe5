/* exec/op_index.c - elements chosen by values: rows of tables by number, elements along an axis by number, windows that
 * begin where a value says. Numbers are clamped into what they count. */
#include "exec/inst.h"

static int64_t clamp(int64_t at, int64_t last)
{
    return at < 0 ? 0 : at > last ? last : at;
}

/* i32 numbers can be negative, u32 ones large. */
static int64_t index_at(const void *index, tw_dtype dtype, int64_t i, int64_t count)
{
    return clamp(dtype == TW_DTYPE_I32 ? ((const int32_t *)index)[i] : (int64_t)((const uint32_t *)index)[i],
                 count - 1);
}

/* to[j * step] += from[j * step], j < n; sums of whole numbers wrap */
static void add_elements(tw_dtype dtype, int64_t n, const void *from, void *to)
{
    if (dtype == TW_DTYPE_F32)
        for (int64_t j = 0; j < n; j++) ((float *)to)[j] += ((const float *)from)[j];
    else if (dtype == TW_DTYPE_F64)
        for (int64_t j = 0; j < n; j++) ((double *)to)[j] += ((const double *)from)[j];
    else
        for (int64_t j = 0; j < n; j++) ((uint32_t *)to)[j] += ((const uint32_t *)from)[j];
}

/* --- rows of a table: m rows of n elements each, k numbers a row of the region --- */

/* The table of take_rows is read whole. */
bool tw_sliced_take(const tw_graph *g, const tw_node *node, int k)
{
    (void)g;
    (void)node;
    return k == 1;
}

static void run_take(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *table = tw_block_at(b, &inst->arg[0]);
    const void *index = tw_block_at(b, &inst->arg[1]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t bytes = inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t i = 0; i < b->rows * inst->k; i++)
        memcpy(out + i * bytes, table + index_at(index, (tw_dtype)inst->rank, i, inst->m) * bytes, (size_t)bytes);
}

static void run_scatter(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *rows = tw_block_at(b, &inst->arg[0]);
    const void *index = tw_block_at(b, &inst->arg[1]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t bytes = inst->n * (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    memset(out, 0, (size_t)(inst->m * bytes));
    for (int64_t i = 0; i < inst->k; i++)
        add_elements((tw_dtype)inst->dtype, inst->n, rows + i * bytes,
                     out + index_at(index, (tw_dtype)inst->rank, i, inst->m) * bytes);
}

static const tw_inst_kind take_kind = {.name = "take", .run = run_take};
static const tw_inst_kind scatter_kind = {.name = "scatter", .run = run_scatter};

tw_status tw_emit_index(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    bool take = node->op == TW_OP_take_rows;
    tw_inst *inst = tw_new_inst(b, region, id, take ? &take_kind : &scatter_kind);
    if (!inst) return TW_ERR_MEMORY;
    const int32_t *args = tw_node_args(b->g, node);
    tw_shape table = take ? tw_at_id(b, args[0])->shape : node->shape, index = tw_at_id(b, args[1])->shape;
    for (int k = 0; k < 2; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->rank = tw_at_id(b, args[1])->dtype;
    inst->m = table.dim[0];
    inst->n = table.dim[0] ? tw_shape_size(table) / table.dim[0] : 0;
    inst->k = tw_shape_size(index) / (take ? region->rows : 1);
    return TW_OK;
}

/* --- along an axis: m outer, k numbers, n inner of a row of the region, batch = elements of the other side ------- */

/* Along the rows, take reads the data whole and numbers row by row; scatter needs everything. */
tw_row_kind tw_rows_scatter_along(const tw_graph *g, const tw_node *node)
{
    return tw_node_attr(g, node)->axis[0] == 0 ? TW_ROW_WHOLE : TW_ROW_SLICED;
}

bool tw_sliced_take_along(const tw_graph *g, const tw_node *node, int k)
{
    return k == 1 || tw_node_attr(g, node)->axis[0] != 0;
}

static void run_take_along(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    const void *index = tw_block_at(b, &inst->arg[1]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t outer = inst->ta ? 1 : inst->m * b->rows, lines = inst->ta ? inst->k * b->rows : inst->k;
    size_t size = tw_dtype_size((tw_dtype)inst->dtype);
    for (int64_t o = 0, i = 0; o < outer; o++)
        for (int64_t k = 0; k < lines; k++)
            for (int64_t j = 0; j < inst->n; j++, i++) {
                int64_t at = index_at(index, (tw_dtype)inst->rank, i, inst->batch);
                memcpy(out + i * (int64_t)size, x + ((o * inst->batch + at) * inst->n + j) * (int64_t)size, size);
            }
}

static void run_scatter_along(const tw_block *b, const tw_inst *inst)
{
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    const void *index = tw_block_at(b, &inst->arg[1]);
    unsigned char *out = tw_block_at(b, &inst->dst);
    int64_t outer = inst->m * b->rows, size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    memset(out, 0, (size_t)(outer * inst->batch * inst->n * size));
    for (int64_t o = 0, i = 0; o < outer; o++)
        for (int64_t k = 0; k < inst->k; k++)
            for (int64_t j = 0; j < inst->n; j++, i++) {
                int64_t at = index_at(index, (tw_dtype)inst->rank, i, inst->batch);
                add_elements((tw_dtype)inst->dtype, 1, x + i * size,
                             out + ((o * inst->batch + at) * inst->n + j) * size);
            }
}

static const tw_inst_kind take_along_kind = {.name = "take_along", .run = run_take_along};
static const tw_inst_kind scatter_along_kind = {.name = "scatter_along", .run = run_scatter_along};

tw_status tw_emit_along(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    bool take = node->op == TW_OP_take_along_axis;
    int axis = tw_node_attr(b->g, node)->axis[0];
    const int32_t *args = tw_node_args(b->g, node);
    tw_inst *inst = tw_new_inst(b, region, id, take ? &take_along_kind : &scatter_along_kind);
    if (!inst) return TW_ERR_MEMORY;
    for (int k = 0; k < 2; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    tw_split_axes(tw_at_id(b, args[1])->shape, 1u << axis, &inst->m, &inst->k, &inst->n);
    inst->rank = tw_at_id(b, args[1])->dtype;
    inst->batch = take ? tw_at_id(b, args[0])->shape.dim[axis] : node->shape.dim[axis];
    inst->ta = take && axis == 0; /* the numbers of a block of rows, into all of the data */
    if (inst->ta)
        inst->k /= region->rows;
    else
        inst->m /= region->rows;
    return TW_OK;
}

/* --- windows: dim[] of the window, src_stride[] of the whole, batch = rank, k = places of the first axis to the row --- */

/* Rows stay rows when the window has all of them. */
tw_row_kind tw_rows_window(const tw_graph *g, const tw_node *node)
{
    int window = node->op == TW_OP_dynamic_slice ? 0 : 1;
    tw_shape other = tw_node_of(g, tw_node_args(g, node)[window])->shape;
    return node->shape.rank > 0 && other.dim[0] == node->shape.dim[0] ? TW_ROW_SLICED : TW_ROW_WHOLE;
}

bool tw_sliced_window(const tw_graph *g, const tw_node *node, int k)
{
    (void)g;
    return k < node->args_count - 1;
}

/* Where the window begins in the whole, in elements; `whole[]` are the sizes of the whole, src_offset unused. */
static int64_t window_begin(const tw_inst *inst, const int32_t *start)
{
    int64_t at = 0;
    for (int i = 0; i < inst->rank; i++) /* dst_stride: the last place a window can begin at */
        at += clamp(start[i], inst->dst_stride[i]) * inst->src_stride[i];
    return at;
}

static void copy_window(const tw_block *b, const tw_inst *inst, const unsigned char *from, const int64_t *from_stride,
                        unsigned char *to, const int64_t *to_stride)
{
    int64_t dim[TW_MAX_RANK];
    memcpy(dim, inst->dim, sizeof dim);
    dim[0] *= b->rows;
    tw_cpu_copy(tw_dtype_size((tw_dtype)inst->dtype), inst->rank, dim, from, from_stride, to, to_stride);
}

static void packed_strides(const tw_inst *inst, int64_t *stride)
{
    int64_t step = 1;
    for (int i = inst->rank - 1; i >= 0; i--) {
        stride[i] = step;
        step *= inst->dim[i];
    }
}

static void run_window(const tw_block *b, const tw_inst *inst)
{
    int64_t stride[TW_MAX_RANK], size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    const unsigned char *x = tw_block_at(b, &inst->arg[0]);
    packed_strides(inst, stride);
    copy_window(b, inst, x + window_begin(inst, tw_block_at(b, &inst->arg[1])) * size, inst->src_stride,
                tw_block_at(b, &inst->dst), stride);
}

static void run_window_update(const tw_block *b, const tw_inst *inst)
{
    int64_t stride[TW_MAX_RANK], size = (int64_t)tw_dtype_size((tw_dtype)inst->dtype);
    unsigned char *out = tw_block_at(b, &inst->dst);
    packed_strides(inst, stride);
    memcpy(out, tw_block_at(b, &inst->arg[0]), (size_t)(inst->per_row * b->rows * size));
    copy_window(b, inst, tw_block_at(b, &inst->arg[1]), stride,
                out + window_begin(inst, tw_block_at(b, &inst->arg[2])) * size, inst->src_stride);
}

static const tw_inst_kind window_kind = {.name = "window", .run = run_window, .light = true};
static const tw_inst_kind window_update_kind = {.name = "window_update", .run = run_window_update, .light = true};

tw_status tw_emit_window(tw_build *b, tw_region *region, int32_t id)
{
    const tw_node *node = tw_at_id(b, id);
    const int32_t *args = tw_node_args(b->g, node);
    bool slice = node->op == TW_OP_dynamic_slice;
    tw_shape whole = slice ? tw_at_id(b, args[0])->shape : node->shape;
    tw_shape window = slice ? node->shape : tw_at_id(b, args[1])->shape;
    tw_inst *inst = tw_new_inst(b, region, id, slice ? &window_kind : &window_update_kind);
    if (!inst) return TW_ERR_MEMORY;
    for (int k = 0; k < node->args_count; k++) inst->arg[k] = tw_arg_place(b, region, id, k);
    inst->rank = whole.rank;
    tw_contiguous(whole, inst->src_stride);
    for (int i = 0; i < whole.rank; i++) {
        inst->dim[i] = window.dim[i];
        inst->dst_stride[i] = whole.dim[i] - window.dim[i];
    }
    if (region->rows > 1) inst->dim[0] /= region->rows;
    return TW_OK;
}
