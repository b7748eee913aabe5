/* graph/custom.c - functions in C as nodes: their own shapes, evaluation and derivatives, by callbacks.
 *
 * The descriptor is one of the graph's functions, without a body. The tangent of a custom call is whatever its jvp
 * callback builds, usually another custom call that is linear and has a transpose callback. */
#include "graph/function.h"
#include "graph/rules.h"

#include <string.h>

static bool same(const tw_custom *a, const tw_custom *b)
{
    return strcmp(a->name, b->name) == 0 && a->user == b->user && a->results_count == b->results_count &&
           a->infer == b->infer && a->evaluate == b->evaluate && a->jvp == b->jvp && a->transpose == b->transpose &&
           a->by_rows == b->by_rows;
}

/* The number of the custom function in g, added when new; -1 and g failed otherwise. */
static int32_t declare(tw_graph *g, const tw_custom *custom)
{
    if (g->status != TW_OK) return -1;
    if (!custom->name || !custom->infer || !custom->evaluate || custom->results_count < 0 ||
        custom->results_count > TW_CUSTOM_MAX) {
        tw_graph_fail(g, TW_ERR_INVALID, "custom function %s: needs a name, infer and evaluate, and at most %d results",
                      custom->name ? custom->name : "without name", TW_CUSTOM_MAX);
        return -1;
    }
    for (int32_t i = 0; i < g->functions_count; i++) {
        const tw_function *f = g->functions[i];
        if (f->graph || strcmp(f->custom.name, custom->name) != 0) continue;
        if (same(&f->custom, custom)) return i;
        tw_graph_fail(g, TW_ERR_INVALID, "custom function %s: another one is called so in this graph", custom->name);
        return -1;
    }
    tw_function *f = tw_alloc(g->ctx, 1, sizeof *f);
    if (!f) {
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: custom function %s", custom->name);
        return -1;
    }
    *f = (tw_function){.ctx = g->ctx, .references = 1, .depth = 1, .custom = *custom};
    f->outputs_count = custom->results_count;
    int32_t number = tw_graph_adopt(g, f);
    tw_function_release(f);
    return number;
}

tw_status tw_custom_declare(tw_graph *g, const tw_custom *custom)
{
    (void)declare(g, custom);
    return tw_graph_check(g);
}

void tw_custom_call(tw_graph *g, const tw_custom *custom, int args_count, const tw_val *args, tw_val *out_results)
{
    tw_attr attr = {.function = {declare(g, custom)}};
    tw_val made = tw_produce(g, TW_OP_custom_call, &attr, args_count, args);
    tw_parts(made, custom->results_count, out_results);
}

/* --- types --- */

bool tw_infer_custom_call(tw_draft *d)
{
    tw_array args[TW_CUSTOM_MAX] = {{0}}, results[TW_CUSTOM_MAX] = {{0}};
    const tw_function *f = tw_graph_function(d->graph, d->attr.function[0]);
    if (!f || f->graph || d->count > TW_CUSTOM_MAX) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "custom_call: no such function, or more than %d arguments",
                      TW_CUSTOM_MAX);
        return false;
    }
    for (int i = 0; i < d->count; i++)
        args[i] = (tw_array){.dtype = tw_dtype_at(d->args[i]), .shape = tw_shape_at(d->args[i])};
    if (!f->custom.infer(f->custom.user, d->count, args, results)) {
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "custom_call: %s refuses these %d arguments", f->custom.name, d->count);
        return false;
    }
    for (int k = 0; k < f->outputs_count; k++) {
        if (tw_shape_is_valid(results[k].shape) && results[k].dtype >= 0 && results[k].dtype < TW_DTYPE_COUNT) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "custom_call: result %d of %s has no shape an array can have", k + 1,
                      f->custom.name);
        return false;
    }
    return tw_infer_nothing(d);
}

int tw_results_custom_call(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    const tw_function *f = tw_node_function(g, node, 0);
    if (k >= 0 && k < f->outputs_count) {
        tw_array args[TW_CUSTOM_MAX] = {{0}}, results[TW_CUSTOM_MAX] = {{0}};
        const int32_t *ids = tw_node_args(g, node);
        for (int i = 0; i < node->args_count; i++)
            args[i] =
                (tw_array){.dtype = (tw_dtype)tw_node_of(g, ids[i])->dtype, .shape = tw_node_of(g, ids[i])->shape};
        (void)f->custom.infer(f->custom.user, node->args_count, args, results);
        *out_type = (tw_type){results[k].dtype, results[k].shape};
    }
    return f->outputs_count;
}

/* --- derivatives: the callbacks', checked --- */

static bool fits(tw_graph *g, const char *name, const char *what, int i, tw_val given, tw_val like)
{
    if (given.id < 0 || g->status != TW_OK) return g->status == TW_OK;
    bool good = given.graph == g && given.id < g->count && tw_type_equal(tw_type_of(given), tw_type_of(like));
    if (!good)
        tw_graph_fail(g, TW_ERR_SHAPE, "custom_call: %s gives %s %d another type than %s%s", name, what, i + 1,
                      tw_dtype_name(tw_dtype_at(like)), tw_shape_show(tw_shape_at(like)).text);
    return good;
}

tw_val tw_jvp_custom_call(tw_val node, const tw_val *x, const tw_val *t)
{
    tw_graph *g = node.graph;
    const tw_function *f = tw_node_function(g, tw_node_at(node), 0);
    tw_val results[TW_CUSTOM_MAX], tangents[TW_CUSTOM_MAX];
    int args_count = tw_node_at(node)->args_count, count = f->outputs_count;
    if (!f->custom.jvp)
        return tw_graph_fail(g, TW_ERR_UNSUPPORTED, "jvp: custom function %s has no derivative", f->custom.name);
    tw_parts(node, count, results);
    tw_no_values(g, count, tangents);
    f->custom.jvp(f->custom.user, g, args_count, x, results, t, tangents);
    bool any = false;
    for (int k = 0; k < count; k++) {
        if (!fits(g, f->custom.name, "tangent", k, tangents[k], results[k])) return tw_val_of(g, -1);
        any = any || tangents[k].id >= 0;
        if (tangents[k].id < 0) tangents[k] = tw_zeros_like(results[k]);
    }
    return any ? tw_tuple(g, count, tangents) : tw_val_of(g, -1);
}

void tw_transpose_custom_call(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    tw_graph *g = node.graph;
    const tw_function *f = tw_node_function(g, tw_node_at(node), 0);
    tw_val cotangents[TW_CUSTOM_MAX];
    int args_count = tw_node_at(node)->args_count;
    if (!f->custom.transpose) {
        tw_graph_fail(g, TW_ERR_INVALID, "linear_transpose: custom function %s is not linear", f->custom.name);
        return;
    }
    for (int k = 0; k < f->outputs_count; k++) cotangents[k] = tw_part_or_none(ct, k);
    f->custom.transpose(f->custom.user, g, args_count, x, wanted, cotangents, out);
    for (int i = 0; i < args_count; i++)
        if (wanted[i] && !fits(g, f->custom.name, "cotangent", i, out[i], x[i])) return;
}

/* --- reference: real arrays are handed over as f64, whole numbers in their own type --- */

static size_t bytes_of(tw_type type)
{
    size_t size = tw_dtype_is_real(type.dtype) ? sizeof(double) : tw_dtype_size(type.dtype);
    return (size_t)tw_shape_size(type.shape) * size + 1;
}

static bool make_array(tw_graph *g, tw_type type, tw_array *out_array)
{
    *out_array = (tw_array){.dtype = tw_dtype_is_real(type.dtype) ? TW_DTYPE_F64 : type.dtype, .shape = type.shape};
    out_array->data = tw_alloc(g->ctx, bytes_of(type), 1);
    return out_array->data != NULL;
}

tw_status tw_produce_custom_call(tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    const tw_function *f = tw_node_function(g, node, 0);
    tw_array in[TW_CUSTOM_MAX] = {{0}}, made[TW_CUSTOM_MAX] = {{0}};
    tw_status status = TW_OK;
    for (int i = 0; i < node->args_count; i++) {
        const tw_node *arg = tw_node_of(g, tw_node_args(g, node)[i]);
        tw_type type = {(tw_dtype)arg->dtype, arg->shape};
        if (!make_array(g, type, &in[i])) TW_TRY(tw_fail_memory(g->ctx, bytes_of(type)));
        for (int64_t e = 0, size = tw_shape_size(type.shape); e < size; e++)
            tw_store_element(in[i].data, in[i].dtype, e, args[i][e]);
    }
    for (int k = 0; k < f->outputs_count; k++) {
        tw_type type = {0};
        tw_results_custom_call(g, node, k, &type);
        if (!make_array(g, type, &made[k])) TW_TRY(tw_fail_memory(g->ctx, bytes_of(type)));
    }
    f->custom.evaluate(f->custom.user, node->args_count, in, made);
    for (int k = 0; k < f->outputs_count; k++)
        for (int64_t e = 0, size = tw_shape_size(made[k].shape); e < size; e++)
            *out++ = tw_load_element(made[k].data, made[k].dtype, e);
done:
    for (int i = 0; i < TW_CUSTOM_MAX; i++) {
        tw_free(g->ctx, in[i].data);
        tw_free(g->ctx, made[i].data);
    }
    return status;
}
