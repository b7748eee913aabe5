/* exec/ops.c - the table of ops: how rows of a result depend on rows of its arguments, and who emits its instructions.
 */
#include "exec/inst.h"

tw_row_kind tw_rows_whole(const tw_graph *g, const tw_node *node)
{
    (void)g;
    (void)node;
    return TW_ROW_WHOLE;
}

bool tw_sliced_none(const tw_graph *g, const tw_node *node, int k)
{
    (void)g;
    (void)node;
    (void)k;
    return false;
}

/* Functions of the families op_*.c, named by the table only. */
tw_row_kind tw_rows_axis(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_slice(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_pad(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_transpose(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_sum(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_reduce(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_dot(const tw_graph *g, const tw_node *node);
bool tw_sliced_broadcast(const tw_graph *g, const tw_node *node, int k);
bool tw_sliced_dot(const tw_graph *g, const tw_node *node, int k);
bool tw_strided_dot(const tw_graph *g, const tw_node *node, int k, const tw_node *slice);
bool tw_sliced_take(const tw_graph *g, const tw_node *node, int k);
tw_status tw_emit_rearrange(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_concat(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_pad(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_reduction(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_dot(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_conv_weights(const tw_graph *g, const tw_node *node);
bool tw_sliced_conv(const tw_graph *g, const tw_node *node, int k);
tw_status tw_emit_conv(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_index(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_scatter_along(const tw_graph *g, const tw_node *node);
bool tw_sliced_take_along(const tw_graph *g, const tw_node *node, int k);
tw_status tw_emit_along(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_window(const tw_graph *g, const tw_node *node);
bool tw_sliced_window(const tw_graph *g, const tw_node *node, int k);
tw_status tw_emit_window(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_argsort(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_fft(const tw_graph *g, const tw_node *node);
tw_status tw_emit_fft(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_matrices(const tw_graph *g, const tw_node *node);
tw_status tw_emit_linalg(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_iota(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_random(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_lines(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_normalise(const tw_graph *g, const tw_node *node);
tw_row_kind tw_rows_normalise_scale(const tw_graph *g, const tw_node *node);
bool tw_sliced_normalise(const tw_graph *g, const tw_node *node, int k);
bool tw_sliced_rotary(const tw_graph *g, const tw_node *node, int k);
bool tw_keeps_last_axis(const tw_draft *d);
bool tw_keeps_normalise(const tw_draft *d);
tw_status tw_emit_lines(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_normalise(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_rotary(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_attention(const tw_graph *g, const tw_node *node);
bool tw_sliced_attention(const tw_graph *g, const tw_node *node, int k);
int64_t tw_pieces_attention(const tw_graph *g, const tw_node *node);
bool tw_strided_attention(const tw_graph *g, const tw_node *node, int k, const tw_node *slice);
tw_status tw_emit_attention(tw_build *b, tw_region *region, int32_t id);
tw_row_kind tw_rows_custom(const tw_graph *g, const tw_node *node);
bool tw_sliced_custom(const tw_graph *g, const tw_node *node, int k);
tw_status tw_emit_custom(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_loop(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_all_reduce(tw_build *b, tw_region *region, int32_t id);
tw_status tw_emit_part(tw_build *b, tw_region *region, int32_t id);

#define ATTENTION                                                                                                      \
    {                                                                                                                  \
        .rows = tw_rows_attention, .sliced = tw_sliced_attention, .pieces = tw_pieces_attention,                       \
        .strided = tw_strided_attention, .emit = tw_emit_attention                                                     \
    }

const tw_exec_op tw_exec_table[TW_OP_COUNT] = {
    /* sources */
    [TW_OP_iota] = {.emit = tw_emit_iota},
    [TW_OP_random_bits] = {.sliced = tw_sliced_none, .emit = tw_emit_random},
    /* moving */
    [TW_OP_reshape] = {.rows = tw_rows_whole}, /* an alias: never asked */
    [TW_OP_transpose] = {.rows = tw_rows_transpose, .emit = tw_emit_rearrange},
    [TW_OP_broadcast] = {.sliced = tw_sliced_broadcast, .emit = tw_emit_rearrange},
    [TW_OP_slice] = {.rows = tw_rows_slice, .emit = tw_emit_rearrange},
    [TW_OP_pad] = {.rows = tw_rows_pad, .emit = tw_emit_pad},
    [TW_OP_reverse] = {.rows = tw_rows_axis, .emit = tw_emit_rearrange},
    [TW_OP_concat] = {.rows = tw_rows_axis, .emit = tw_emit_concat},
    /* along axes */
    [TW_OP_sum] = {.rows = tw_rows_sum, .emit = tw_emit_reduction},
    [TW_OP_reduce_max] = {.rows = tw_rows_reduce, .emit = tw_emit_reduction},
    [TW_OP_argmax] = {.rows = tw_rows_axis, .emit = tw_emit_reduction},
    [TW_OP_cumsum] = {.rows = tw_rows_axis, .emit = tw_emit_reduction},
    /* products, indexing */
    [TW_OP_dot_general] = {.rows = tw_rows_dot, .sliced = tw_sliced_dot, .strided = tw_strided_dot, .emit = tw_emit_dot, .late = true},
    [TW_OP_conv] = {.sliced = tw_sliced_conv, .emit = tw_emit_conv},
    [TW_OP_conv_input] = {.sliced = tw_sliced_conv, .emit = tw_emit_conv},
    [TW_OP_conv_weights] = {.rows = tw_rows_conv_weights, .emit = tw_emit_conv},
    [TW_OP_take_rows] = {.sliced = tw_sliced_take, .emit = tw_emit_index},
    [TW_OP_scatter_add_rows] = {.rows = tw_rows_whole, .emit = tw_emit_index},
    [TW_OP_take_along_axis] = {.sliced = tw_sliced_take_along, .emit = tw_emit_along},
    [TW_OP_scatter_add_along_axis] = {.rows = tw_rows_scatter_along, .emit = tw_emit_along},
    [TW_OP_dynamic_slice] = {.rows = tw_rows_window, .sliced = tw_sliced_window, .emit = tw_emit_window},
    [TW_OP_dynamic_update_slice] = {.rows = tw_rows_window, .sliced = tw_sliced_window, .emit = tw_emit_window},
    [TW_OP_argsort] = {.rows = tw_rows_axis, .emit = tw_emit_argsort},
    /* Fourier transforms, linear algebra */
    [TW_OP_fft] = {.rows = tw_rows_fft, .emit = tw_emit_fft},
    [TW_OP_rfft] = {.rows = tw_rows_fft, .emit = tw_emit_fft},
    [TW_OP_irfft] = {.rows = tw_rows_fft, .emit = tw_emit_fft},
    [TW_OP_cholesky] = {.rows = tw_rows_matrices, .emit = tw_emit_linalg},
    [TW_OP_lu] = {.rows = tw_rows_matrices, .emit = tw_emit_linalg},
    [TW_OP_triangular_solve] = {.rows = tw_rows_matrices, .emit = tw_emit_linalg},
    /* composites with kernels */
    [TW_OP_gelu] = {.tile = true},
    [TW_OP_gelu_slope] = {.tile = true},
    [TW_OP_attention] = ATTENTION,
    [TW_OP_attention_tangent] = ATTENTION,
    [TW_OP_attention_gradient] = ATTENTION,
    [TW_OP_softmax] = {.rows = tw_rows_lines, .emit = tw_emit_lines, .keeps = tw_keeps_last_axis},
    [TW_OP_softmax_tangent] = {.rows = tw_rows_lines, .emit = tw_emit_lines, .keeps = tw_keeps_last_axis},
    [TW_OP_log_softmax] = {.rows = tw_rows_lines, .emit = tw_emit_lines, .keeps = tw_keeps_last_axis},
    [TW_OP_log_softmax_tangent] = {.rows = tw_rows_lines, .emit = tw_emit_lines, .keeps = tw_keeps_last_axis},
    [TW_OP_log_softmax_cotangent] = {.rows = tw_rows_lines, .emit = tw_emit_lines, .keeps = tw_keeps_last_axis},
    [TW_OP_logsumexp] = {.rows = tw_rows_lines, .emit = tw_emit_lines, .keeps = tw_keeps_last_axis},
    [TW_OP_cross_entropy] = {.rows = tw_rows_lines, .emit = tw_emit_lines},
    [TW_OP_cross_entropy_gradient] = {.rows = tw_rows_lines, .emit = tw_emit_lines},
    [TW_OP_normalise] = {.rows = tw_rows_normalise,
                         .sliced = tw_sliced_normalise,
                         .emit = tw_emit_normalise,
                         .keeps = tw_keeps_normalise},
    [TW_OP_normalise_tangent] = {.rows = tw_rows_normalise,
                                 .sliced = tw_sliced_normalise,
                                 .emit = tw_emit_normalise,
                                 .keeps = tw_keeps_normalise},
    [TW_OP_normalise_scale] = {.rows = tw_rows_normalise_scale,
                               .sliced = tw_sliced_normalise,
                               .emit = tw_emit_normalise,
                               .keeps = tw_keeps_normalise},
    [TW_OP_rotary] = {.sliced = tw_sliced_rotary, .emit = tw_emit_rotary},
    /* control; parts lie where their producer lies */
    [TW_OP_barrier] = {.rows = tw_rows_whole}, /* an alias: never asked */
    [TW_OP_part] = {.emit = tw_emit_part},
    [TW_OP_cond] = {.rows = tw_rows_whole, .alone = true, .emit = tw_emit_loop},
    [TW_OP_scan] = {.rows = tw_rows_whole, .alone = true, .emit = tw_emit_loop},
    [TW_OP_while] = {.rows = tw_rows_whole, .alone = true, .emit = tw_emit_loop},
    [TW_OP_custom_call] = {.rows = tw_rows_custom, .sliced = tw_sliced_custom, .emit = tw_emit_custom},
    [TW_OP_all_reduce_sum] = {.rows = tw_rows_whole, .alone = true, .emit = tw_emit_all_reduce},
};

bool tw_exec_keeps(const tw_draft *draft)
{
    const tw_exec_op *op = &tw_exec_table[draft->op];
    return op->tile || (op->emit && (!op->keeps || op->keeps(draft)));
}
