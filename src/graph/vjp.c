/* graph/vjp.c - reverse mode, gradient, Hessian-vector product: compositions of jvp and linear transpose.
 *
 * vjp gives the inputs placeholder tangents, runs forward mode, and transposes the map from placeholders to output
 * tangents. The placeholders are dead afterwards: a rule multiplies them by primal factors only, and only the
 * factors survive. */
#include "graph/node.h"

/* Forward mode along placeholders; *out_count pairs of output tangent and cotangent that are both present go to pairs.
 */
static tw_status linearize(tw_graph *g, int inputs_count, const tw_val *inputs, int outputs_count,
                           const tw_val *outputs, const tw_val *cotangents, tw_val *placeholders, tw_val *tangents,
                           tw_val *pairs, int *out_count)
{
    for (int i = 0; i < inputs_count; i++) {
        tw_dtype dtype = tw_dtype_at(inputs[i]);
        placeholders[i] = tw_dtype_has_tangent(dtype)
                              ? tw_input(g, "tangent", tw_dtype_tangent(dtype), tw_shape_at(inputs[i]))
                              : TW_NONE;
    }
    tw_status status = tw_graph_check(g);
    if (status == TW_OK) status = tw_jvp(inputs_count, inputs, placeholders, outputs_count, outputs, tangents);
    if (status != TW_OK) return status;
    int count = 0;
    for (int k = 0; k < outputs_count; k++) {
        if (tangents[k].id < 0 || cotangents[k].id < 0) continue;
        tangents[count] = tangents[k];
        pairs[count++] = cotangents[k];
    }
    *out_count = count;
    return TW_OK;
}

/* The transpose over the placeholders that exist; integers among the inputs have none. */
static tw_status transpose_present(tw_graph *g, int inputs_count, tw_val *placeholders, int count,
                                   const tw_val *tangents, const tw_val *cotangents, tw_val *results)
{
    int present = 0;
    for (int i = 0; i < inputs_count; i++) {
        results[i] = TW_NONE;
        if (placeholders[i].id >= 0) present++;
    }
    if (present == 0 || count == 0) return TW_OK;
    tw_val *packed = tw_alloc(g->ctx, 2 * (size_t)present, sizeof *packed);
    if (!packed) return tw_fail_memory(g->ctx, 2 * (size_t)present * sizeof *packed);
    for (int i = 0, at = 0; i < inputs_count; i++)
        if (placeholders[i].id >= 0) packed[at++] = placeholders[i];
    tw_status status = tw_linear_transpose(present, packed, count, tangents, cotangents, packed + present);
    for (int i = 0, at = present; i < inputs_count && status == TW_OK; i++)
        if (placeholders[i].id >= 0) results[i] = packed[at++];
    tw_free(g->ctx, packed);
    return status;
}

tw_status tw_vjp(int inputs_count, const tw_val *inputs, int outputs_count, const tw_val *outputs,
                 const tw_val *cotangents, tw_val *out_cotangents)
{
    tw_graph *g = NULL, *same = NULL;
    tw_val *scratch = NULL;
    if (inputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of("vjp", inputs_count, inputs, &g);
    if (status != TW_OK) return status;
    if (outputs_count > 0) TW_TRY(tw_graph_of("vjp", outputs_count, outputs, &same));
    scratch = tw_alloc(g->ctx, 2 * (size_t)inputs_count + 2 * (size_t)outputs_count, sizeof *scratch);
    if (!scratch) TW_TRY(tw_fail_memory(g->ctx, sizeof *scratch));
    tw_val *placeholders = scratch, *results = scratch + inputs_count;
    tw_val *tangents = results + inputs_count, *pairs = tangents + outputs_count;
    int count = 0;
    TW_TRY(
        linearize(g, inputs_count, inputs, outputs_count, outputs, cotangents, placeholders, tangents, pairs, &count));
    TW_TRY(transpose_present(g, inputs_count, placeholders, count, tangents, pairs, results));
    for (int i = 0; i < inputs_count; i++)
        if (results[i].id < 0) results[i] = tw_tangent_zeros(inputs[i]);
    TW_TRY(tw_graph_check(g));
    for (int i = 0; i < inputs_count; i++) out_cotangents[i] = results[i];
done:
    tw_free(g->ctx, scratch);
    return status;
}

tw_status tw_grad(tw_val scalar, int inputs_count, const tw_val *inputs, tw_val *out_gradients)
{
    tw_graph *g = NULL;
    tw_status status = tw_graph_of("grad", 1, &scalar, &g);
    if (status != TW_OK) return status;
    if (tw_shape_size(tw_shape_at(scalar)) != 1 || !tw_dtype_is_real(tw_dtype_at(scalar)))
        return tw_fail(g->ctx, TW_ERR_SHAPE, "grad: the value to differentiate is %s%s, not one real number",
                       tw_dtype_name(tw_dtype_at(scalar)), tw_shape_show(tw_shape_at(scalar)).text);
    tw_val one = tw_ones_like(scalar);
    if (one.id < 0) return tw_graph_check(g);
    return tw_vjp(inputs_count, inputs, 1, &scalar, &one, out_gradients);
}

tw_status tw_value_and_grad(tw_graph *g, tw_build_fn body, void *user, int args_count, const tw_val *args,
                            tw_val *out_value, tw_val *out_gradients)
{
    tw_val value = TW_NONE;
    tw_status status = tw_graph_check(g);
    if (status != TW_OK) return status;
    body(user, g, args, &value);
    status = tw_graph_check(g);
    if (status == TW_OK && value.graph != g)
        status = tw_fail(g->ctx, TW_ERR_INVALID, "value_and_grad: the function has no value in this graph");
    if (status == TW_OK) status = tw_grad(value, args_count, args, out_gradients);
    if (status == TW_OK) *out_value = value;
    return status;
}

tw_status tw_hvp(tw_val scalar, int inputs_count, const tw_val *inputs, const tw_val *vectors, tw_val *out_products)
{
    tw_graph *g = NULL;
    tw_status status = tw_graph_of("hvp", 1, &scalar, &g);
    if (status != TW_OK) return status;
    tw_val *gradients = tw_alloc(g->ctx, 2 * (size_t)inputs_count, sizeof *gradients);
    if (!gradients) return tw_fail_memory(g->ctx, 2 * (size_t)inputs_count * sizeof *gradients);
    tw_val *products = gradients + inputs_count;
    TW_TRY(tw_grad(scalar, inputs_count, inputs, gradients));
    TW_TRY(tw_jvp(inputs_count, inputs, vectors, inputs_count, gradients, products));
    for (int i = 0; i < inputs_count; i++)
        if (products[i].id < 0) products[i] = tw_tangent_zeros(inputs[i]);
    TW_TRY(tw_graph_check(g));
    for (int i = 0; i < inputs_count; i++) out_products[i] = products[i];
done:
    tw_free(g->ctx, gradients);
    return status;
}
