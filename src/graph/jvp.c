/* graph/jvp.c - forward differentiation: one rule per op that is not linear, one linear pass over the nodes.
 *
 * A missing tangent is zero and costs nothing. Rules multiply a tangent by a factor made of primal values only, so that
 * the part that depends on tangents stays linear and can be transposed (transpose.c). */
#include "graph/rules.h"

static bool has(tw_val tangent)
{
    return tangent.id >= 0;
}

tw_val tw_sum_present(tw_val a, tw_val b)
{
    return !has(a) ? b : !has(b) ? a : tw_add(a, b);
}

tw_val tw_tangent_zeros(tw_val v)
{
    return tw_full(v.graph, tw_dtype_tangent(tw_dtype_at(v)), tw_shape_at(v), 0.0);
}

tw_val tw_tangent_or_zeros(tw_val tangent, tw_val v)
{
    return has(tangent) ? tangent : tw_tangent_zeros(v);
}

/* --- one argument: tangent times f'(x), y = f(x) --- */

tw_val tw_jvp_exp(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_mul(t[0], y);
}

tw_val tw_jvp_expm1(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_exp(x[0]));
}

tw_val tw_jvp_log(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_div(t[0], x[0]);
}

tw_val tw_jvp_log1p(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_div(t[0], tw_adds(x[0], 1.0));
}

tw_val tw_jvp_sin(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_cos(x[0]));
}

tw_val tw_jvp_cos(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_neg(tw_sin(x[0])));
}

tw_val tw_jvp_tanh(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_mul(t[0], tw_sub(tw_ones_like(y), tw_square(y)));
}

tw_val tw_jvp_erf(tw_val y, const tw_val *x, const tw_val *t)
{
    const double two_over_sqrt_pi = 1.12837916709551257390;
    (void)y;
    return tw_mul(t[0], tw_muls(tw_exp(tw_neg(tw_square(x[0]))), two_over_sqrt_pi));
}

tw_val tw_jvp_sqrt(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_mul(t[0], tw_div(tw_full_like(y, 0.5), y));
}

tw_val tw_jvp_rsqrt(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_mul(t[0], tw_muls(tw_mul(y, tw_square(y)), -0.5));
}

tw_val tw_jvp_abs(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_mul(t[0], tw_sign(x[0]));
}

tw_val tw_jvp_sigmoid(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_mul(t[0], tw_mul(y, tw_sub(tw_ones_like(y), y)));
}

/* --- more arguments --- */

tw_val tw_jvp_add(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    (void)x;
    return tw_sum_present(t[0], t[1]);
}

tw_val tw_jvp_sub(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    (void)x;
    if (!has(t[1])) return t[0];
    return has(t[0]) ? tw_sub(t[0], t[1]) : tw_neg(t[1]);
}

tw_val tw_jvp_mul(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    return tw_sum_present(has(t[0]) ? tw_mul(t[0], x[1]) : TW_NONE, has(t[1]) ? tw_mul(t[1], x[0]) : TW_NONE);
}

/* d(a/b) = da/b - db y/b */
tw_val tw_jvp_div(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_val from_a = has(t[0]) ? tw_div(t[0], x[1]) : TW_NONE;
    if (!has(t[1])) return from_a;
    tw_val from_b = tw_mul(t[1], tw_div(y, x[1]));
    return has(from_a) ? tw_sub(from_a, from_b) : tw_neg(from_b);
}

tw_val tw_jvp_pow(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_val by_base = TW_NONE, by_exponent = TW_NONE;
    if (has(t[0])) by_base = tw_mul(t[0], tw_mul(x[1], tw_pow(x[0], tw_adds(x[1], -1.0))));
    if (has(t[1])) by_exponent = tw_mul(t[1], tw_mul(y, tw_log(x[0])));
    return tw_sum_present(by_base, by_exponent);
}

/* At a tie the second argument wins, so that max(x, 0) has derivative 0 at 0. */
tw_val tw_jvp_max(tw_val y, const tw_val *x, const tw_val *t)
{
    return tw_select(tw_lt(x[1], x[0]), tw_tangent_or_zeros(t[0], y), tw_tangent_or_zeros(t[1], y));
}

tw_val tw_jvp_min(tw_val y, const tw_val *x, const tw_val *t)
{
    return tw_select(tw_lt(x[0], x[1]), tw_tangent_or_zeros(t[0], y), tw_tangent_or_zeros(t[1], y));
}

tw_val tw_jvp_select(tw_val y, const tw_val *x, const tw_val *t)
{
    return tw_select(x[0], tw_tangent_or_zeros(t[1], y), tw_tangent_or_zeros(t[2], y));
}

/* --- shape, reductions, contraction --- */

tw_val tw_jvp_pad(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    tw_draft d = tw_draft_of(y, t);
    d.attr.value = 0.0;
    return tw_graph_append(&d);
}

tw_val tw_jvp_concat(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_graph *g = y.graph;
    int count = tw_node_at(y)->args_count;
    tw_val *parts = tw_alloc(g->ctx, (size_t)count, sizeof *parts);
    if (!parts) return tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: concat of %d parts", count);
    for (int i = 0; i < count; i++) parts[i] = tw_tangent_or_zeros(t[i], x[i]);
    tw_val out = tw_graph_remake(y, parts);
    tw_free(g->ctx, parts);
    return out;
}

/* The tangents of the elements that reach the maximum, averaged when several do. */
tw_val tw_jvp_reduce_max(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_shape shape = tw_shape_at(x[0]);
    uint32_t mask = tw_node_attr(y.graph, tw_node_at(y))->axis_mask;
    tw_val hit = tw_cast(tw_eq(x[0], tw_spread(y, mask, shape)), tw_dtype_at(y));
    tw_val weight = tw_div(hit, tw_spread(tw_sum_mask(hit, mask), mask, shape));
    return tw_sum_mask(tw_mul(t[0], weight), mask);
}

/* Products and convolutions: each argument's tangent in its place. */
tw_val tw_jvp_bilinear(tw_val y, const tw_val *x, const tw_val *t)
{
    tw_val from_a = TW_NONE, from_b = TW_NONE;
    if (has(t[0])) from_a = tw_graph_remake(y, (tw_val[]){t[0], tw_cast(x[1], tw_dtype_at(t[0]))});
    if (has(t[1])) from_b = tw_graph_remake(y, (tw_val[]){tw_cast(x[0], tw_dtype_at(t[1])), t[1]});
    return tw_sum_present(from_a, from_b);
}

/* Rounding moves with what is rounded. */
tw_val tw_jvp_cast(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)x;
    return tw_cast(t[0], tw_dtype_tangent(tw_dtype_at(y)));
}

/* Linear in the rows, which the index only picks. */
tw_val tw_jvp_indexed(tw_val y, const tw_val *x, const tw_val *t)
{
    return tw_graph_remake(y, (tw_val[]){t[0], x[1]});
}

/* --- the pass --- */

/* The tangent of node `id`, whose arguments' tangents are known. */
static tw_val node_tangent(tw_graph *g, int32_t id, const int32_t *tangent_of, tw_val *args, tw_val *tangents)
{
    const tw_node *n = tw_node_of(g, id);
    const tw_op_info *op = &tw_op_table[n->op];
    bool any = false;
    bool real = tw_dtype_has_tangent((tw_dtype)n->dtype) || (op->flags & TW_OPF_PRODUCER);
    if ((op->flags & TW_OPF_NO_DERIVATIVE) || !real) return TW_NONE;
    const int32_t *ids = tw_node_args(g, n);
    for (int k = 0; k < n->args_count; k++) {
        args[k] = tw_val_of(g, ids[k]);
        tangents[k] = tw_val_of(g, tangent_of[ids[k]]);
        any = any || has(tangents[k]);
    }
    if (!any) return TW_NONE;
    tw_val node = tw_val_of(g, id);
    if (op->jvp) return op->jvp(node, args, tangents);
    if (op->flags & TW_OPF_LINEAR) return tw_graph_remake(node, tangents);
    return tw_graph_fail(g, TW_ERR_INTERNAL, "jvp: %s has no rule", op->name);
}

static tw_status check_tangents(tw_graph *g, int count, const tw_val *inputs, const tw_val *tangents)
{
    for (int i = 0; i < count; i++) {
        if (!has(tangents[i])) continue;
        if (tangents[i].graph != g || tangents[i].id >= g->count)
            return tw_fail(g->ctx, TW_ERR_INVALID, "jvp: tangent %d is a value of another graph", i + 1);
        if (!tw_dtype_has_tangent(tw_dtype_at(inputs[i])))
            return tw_fail(g->ctx, TW_ERR_DTYPE, "jvp: input %d is %s and can have no tangent", i + 1,
                           tw_dtype_name(tw_dtype_at(inputs[i])));
        tw_shape x = tw_shape_at(inputs[i]), t = tw_shape_at(tangents[i]);
        if (!tw_shape_equal(x, t) || tw_dtype_tangent(tw_dtype_at(inputs[i])) != tw_dtype_at(tangents[i]))
            return tw_fail(g->ctx, TW_ERR_SHAPE, "jvp: input %d is %s%s, its tangent %s%s", i + 1,
                           tw_dtype_name(tw_dtype_at(inputs[i])), tw_shape_show(x).text,
                           tw_dtype_name(tw_dtype_at(tangents[i])), tw_shape_show(t).text);
    }
    return TW_OK;
}

/* Sets tangent_of[] for the inputs; an input named twice moves by the sum. is_input marks where the pass must not look.
 */
static void seed_tangents(int count, const tw_val *inputs, const tw_val *tangents, int32_t *tangent_of, bool *is_input)
{
    for (int i = 0; i < count; i++) {
        int32_t id = inputs[i].id;
        is_input[id] = true;
        if (has(tangents[i]))
            tangent_of[id] = tw_sum_present(tw_val_of(inputs[i].graph, tangent_of[id]), tangents[i]).id;
    }
}

tw_status tw_jvp(int inputs_count, const tw_val *inputs, const tw_val *tangents, int outputs_count,
                 const tw_val *outputs, tw_val *out_tangents)
{
    tw_graph *g = NULL;
    for (int k = 0; inputs_count == 0 && k < outputs_count; k++) out_tangents[k] = TW_NONE;
    if (inputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of("jvp", inputs_count, inputs, &g);
    if (status != TW_OK) return status;
    tw_graph *same = NULL;
    if (outputs_count > 0) status = tw_graph_of("jvp", outputs_count, outputs, &same);
    if (same && same != g) status = tw_fail(g->ctx, TW_ERR_INVALID, "jvp: values of two graphs");
    if (status == TW_OK) status = check_tangents(g, inputs_count, inputs, tangents);
    if (status != TW_OK) return status;
    int64_t count = g->count, args_max = tw_graph_max_args(g);
    bool *need = tw_alloc(g->ctx, (size_t)count, sizeof *need);
    bool *is_input = tw_alloc(g->ctx, (size_t)count, sizeof *is_input);
    int32_t *tangent_of = tw_alloc(g->ctx, (size_t)count, sizeof *tangent_of);
    tw_val *args = tw_alloc(g->ctx, 2 * (size_t)args_max, sizeof *args);
    if (!need || !is_input || !tangent_of || !args) {
        status = tw_fail_memory(g->ctx, (size_t)count);
        goto done;
    }
    for (int64_t id = 0; id < count; id++) tangent_of[id] = -1;
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, need);
    seed_tangents(inputs_count, inputs, tangents, tangent_of, is_input);
    for (int32_t id = 0; id < count && g->status == TW_OK; id++)
        if (need[id] && !is_input[id]) tangent_of[id] = node_tangent(g, id, tangent_of, args, args + args_max).id;
    TW_TRY(tw_graph_check(g));
    for (int k = 0; k < outputs_count; k++) {
        int32_t id = tangent_of[outputs[k].id];
        out_tangents[k] = id < 0 ? TW_NONE : tw_val_of(g, id);
    }
done:
    tw_free(g->ctx, need);
    tw_free(g->ctx, is_input);
    tw_free(g->ctx, tangent_of);
    tw_free(g->ctx, args);
    return status;
}
