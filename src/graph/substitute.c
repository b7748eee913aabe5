/* graph/substitute.c - the same function of other arguments: what depends on the inputs is made again, the rest shared.
 */
#include "graph/node.h"

static tw_status check_replacements(tw_graph *g, int count, const tw_val *inputs, const tw_val *replacements)
{
    for (int i = 0; i < count; i++) {
        tw_shape x = tw_shape_at(inputs[i]), r = tw_shape_at(replacements[i]);
        if (tw_shape_equal(x, r) && tw_dtype_at(inputs[i]) == tw_dtype_at(replacements[i])) continue;
        return tw_fail(g->ctx, TW_ERR_SHAPE, "substitute: input %d is %s%s, its replacement %s%s", i + 1,
                       tw_dtype_name(tw_dtype_at(inputs[i])), tw_shape_show(x).text,
                       tw_dtype_name(tw_dtype_at(replacements[i])), tw_shape_show(r).text);
    }
    return TW_OK;
}

bool tw_map_args(tw_graph *g, int32_t id, const int32_t *map, tw_val *args)
{
    const tw_node *n = tw_node_of(g, id);
    const int32_t *ids = tw_node_args(g, n);
    bool changed = false;
    for (int k = 0; k < n->args_count; k++) {
        args[k] = tw_val_of(g, map[ids[k]]);
        changed = changed || map[ids[k]] != ids[k];
    }
    return changed;
}

/* Makes node `id` again on mapped arguments when one of them changed. */
static int32_t remake(tw_graph *g, int32_t id, const int32_t *map, tw_val *args)
{
    return tw_map_args(g, id, map, args) ? tw_graph_remake(tw_val_of(g, id), args).id : id;
}

tw_status tw_substitute(int inputs_count, const tw_val *inputs, const tw_val *replacements, int outputs_count,
                        const tw_val *outputs, tw_val *out_outputs)
{
    tw_graph *g = NULL, *same = NULL;
    for (int k = 0; inputs_count == 0 && k < outputs_count; k++) out_outputs[k] = outputs[k];
    if (inputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of("substitute", inputs_count, inputs, &g);
    if (status != TW_OK) return status;
    bool *need = NULL;
    int32_t *map = NULL;
    tw_val *args = NULL;
    TW_TRY(tw_graph_of("substitute", inputs_count, replacements, &same));
    if (outputs_count > 0 && same == g) TW_TRY(tw_graph_of("substitute", outputs_count, outputs, &same));
    if (same != g) TW_TRY(tw_fail(g->ctx, TW_ERR_INVALID, "substitute: values of two graphs"));
    TW_TRY(check_replacements(g, inputs_count, inputs, replacements));
    int64_t count = g->count;
    need = tw_alloc(g->ctx, (size_t)count, sizeof *need);
    map = tw_alloc(g->ctx, (size_t)count, sizeof *map);
    args = tw_alloc(g->ctx, (size_t)tw_graph_max_args(g), sizeof *args);
    if (!need || !map || !args) TW_TRY(tw_fail_memory(g->ctx, (size_t)count * sizeof *map));
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, need);
    for (int64_t id = 0; id < count; id++) map[id] = -1;
    for (int i = 0; i < inputs_count; i++) map[inputs[i].id] = replacements[i].id;
    for (int32_t id = 0; id < count && g->status == TW_OK; id++)
        if (map[id] < 0) map[id] = need[id] ? remake(g, id, map, args) : id;
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++) out_outputs[k] = tw_val_of(g, map[outputs[k].id]);
done:
    tw_free(g->ctx, need);
    tw_free(g->ctx, map);
    tw_free(g->ctx, args);
    return status;
}
