/* graph/cond.c - cond: one of two functions, chosen by a bool while running.
 *
 *     arguments  condition, operands       results  those of both functions
 *
 * The tangent is a cond between the tangents of both, the transpose a cond between the transposes: a result (or
 * operand) that varies in one of them only is zero in the other. */
#include "graph/function.h"
#include "graph/reference.h"
#include "graph/rules.h"

void tw_cond(tw_graph *g, tw_val condition, tw_build_fn yes, tw_build_fn no, void *user, int args_count,
             const tw_val *args, int results_count, tw_val *out_results)
{
    tw_attr attr = {0};
    tw_val made = tw_val_of(g, -1), *all = tw_alloc(g->ctx, (size_t)args_count + 1, sizeof *all);
    tw_type *types = tw_alloc(g->ctx, (size_t)args_count, sizeof *types);
    if (!all || !types) tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: cond with %d arguments", args_count);
    if (g->status == TW_OK) {
        all[0] = condition;
        for (int i = 0; i < args_count; i++) all[1 + i] = args[i];
        for (int i = 0; i < args_count; i++) types[i] = tw_type_of(args[i]);
        attr.function[0] = tw_body_write(g, "cond", yes, user, args_count, types, results_count);
        attr.function[1] = tw_body_write(g, "cond", no, user, args_count, types, results_count);
        made = tw_produce(g, TW_OP_cond, &attr, args_count + 1, all);
    }
    tw_parts(made, results_count, out_results);
    tw_free(g->ctx, all);
    tw_free(g->ctx, types);
}

bool tw_infer_cond(tw_draft *d)
{
    const tw_function *f[2];
    for (int i = 0; i < 2; i++) {
        f[i] = tw_graph_function(d->graph, d->attr.function[i]);
        if (f[i] && f[i]->graph && d->count > 0) continue;
        tw_graph_fail(d->graph, TW_ERR_INVALID, "cond: no condition or no such function");
        return false;
    }
    tw_type condition = tw_type_of(d->args[0]);
    if (condition.dtype != TW_DTYPE_BOOL || condition.shape.rank != 0) {
        tw_graph_fail(d->graph, TW_ERR_DTYPE, "cond: the condition is %s%s, not one bool",
                      tw_dtype_name(condition.dtype), tw_shape_show(condition.shape).text);
        return false;
    }
    if (!tw_infer_arguments(d, f[0], 1) || !tw_infer_arguments(d, f[1], 1)) return false;
    bool same = f[0]->outputs_count == f[1]->outputs_count;
    for (int k = 0; same && k < f[0]->outputs_count; k++) {
        tw_type yes = tw_function_output(f[0], k), no = tw_function_output(f[1], k);
        if (tw_type_equal(yes, no)) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "cond: result %d is %s%s if the condition holds, %s%s if not", k + 1,
                      tw_dtype_name(yes.dtype), tw_shape_show(yes.shape).text, tw_dtype_name(no.dtype),
                      tw_shape_show(no.shape).text);
        return false;
    }
    if (same) return tw_infer_nothing(d);
    tw_graph_fail(d->graph, TW_ERR_INVALID, "cond: %d results if the condition holds, %d if not", f[0]->outputs_count,
                  f[1]->outputs_count);
    return false;
}

int tw_results_cond(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    return tw_results_call(g, node, k, out_type);
}

/* --- derivatives: both bodies are written side by side, then closed with the same inputs and outputs --- */

typedef struct branch {
    const tw_function *f;
    tw_graph *body;
    tw_val *in, *x, *t, *out; /* inputs in order, primal inputs, tangents or cotangents, what the transform gave */
} branch;

typedef struct rule {
    tw_graph *g;
    int inputs, outputs, most;
    branch side[2];
    tw_val *args; /* of the new node, the condition first */
    int taken;
    tw_val *results, *memory;
} rule;

static bool rule_begin(rule *r, tw_val node)
{
    const tw_node *n = tw_node_at(node);
    *r = (rule){.g = node.graph};
    for (int s = 0; s < 2; s++) r->side[s].f = tw_node_function(r->g, n, s);
    r->inputs = r->side[0].f->inputs_count;
    r->outputs = r->side[0].f->outputs_count;
    r->most = 2 * (r->inputs + r->outputs) + 1;
    r->memory = tw_alloc(r->g->ctx, 10 * (size_t)r->most, sizeof *r->memory);
    if (!r->memory) {
        tw_graph_fail(r->g, TW_ERR_MEMORY, "out of memory: cond of functions of %d inputs", r->inputs);
        return false;
    }
    tw_val *at = r->memory;
    for (int s = 0; s < 2; s++) {
        branch *b = &r->side[s];
        b->in = at;
        b->x = b->in + r->most;
        b->t = b->x + r->most;
        b->out = b->t + r->most;
        at = b->out + r->most;
    }
    r->args = at;
    r->results = at + r->most;
    r->args[0] = tw_val_of(r->g, tw_node_args(r->g, n)[0]);
    for (int s = 0; s < 2; s++) r->side[s].body = tw_body_begin(r->g);
    return r->side[0].body && r->side[1].body;
}

static void rule_end(rule *r)
{
    for (int s = 0; s < 2; s++) tw_graph_destroy(r->side[s].body);
    tw_free(r->g->ctx, r->memory);
}

/* One more input of both bodies, standing for `arg`. */
static void take(rule *r, tw_val arg, bool primal, int at)
{
    for (int s = 0; s < 2; s++) {
        branch *b = &r->side[s];
        b->in[r->taken] = tw_input(b->body, "", tw_dtype_at(arg), tw_shape_at(arg));
        (primal ? b->x : b->t)[at] = b->in[r->taken];
    }
    r->args[++r->taken] = arg;
}

/* Closes both bodies over the outputs that either has, zeros where one has none; `types` of f's outputs or inputs.
 * Sets results[k] to the part of the new node, none where neither has any. */
static void rule_node(rule *r, int count, const tw_val *like)
{
    tw_attr attr = {0};
    int kept = 0;
    for (int k = 0; k < count; k++) {
        bool there = r->side[0].out[k].id >= 0 || r->side[1].out[k].id >= 0;
        r->results[k] = tw_val_of(r->g, there ? kept : -1);
        if (!there) continue;
        for (int s = 0; s < 2; s++) {
            tw_val found = r->side[s].out[k];
            tw_type type = tw_type_of(like[k]);
            if (found.id < 0) found = tw_full(r->side[s].body, type.dtype, type.shape, 0.0);
            r->side[s].out[kept] = found;
        }
        kept++;
    }
    for (int s = 0; s < 2; s++) {
        branch *b = &r->side[s];
        tw_graph *body = b->body;
        b->body = NULL;
        attr.function[s] = tw_body_end(r->g, "cond", body, r->taken, b->in, kept, b->out);
    }
    tw_val made = kept > 0 ? tw_produce(r->g, TW_OP_cond, &attr, r->taken + 1, r->args) : TW_NONE;
    for (int k = 0; k < count; k++)
        if (r->results[k].id >= 0) r->results[k] = made.id < 0 ? made : tw_part_at(made, r->results[k].id);
}

tw_val tw_jvp_cond(tw_val node, const tw_val *x, const tw_val *t)
{
    rule r;
    tw_val tuple = TW_NONE;
    if (rule_begin(&r, node)) {
        for (int i = 0; i < r.inputs; i++) take(&r, x[1 + i], true, i);
        for (int i = 0; i < r.inputs; i++) {
            r.side[0].t[i] = r.side[1].t[i] = TW_NONE;
            if (t[1 + i].id >= 0) take(&r, t[1 + i], false, i);
        }
        for (int s = 0; s < 2; s++) {
            branch *b = &r.side[s];
            tw_function_tangents(b->f, b->body, b->x, b->t, b->out);
        }
        rule_node(&r, r.outputs, r.side[0].f->outputs);
        bool any = false;
        for (int k = 0; k < r.outputs; k++) {
            tw_type type = tw_function_output(r.side[0].f, k);
            any = any || r.results[k].id >= 0;
            if (r.results[k].id < 0) r.results[k] = tw_full(r.g, type.dtype, type.shape, 0.0);
        }
        if (any) tuple = tw_tuple(r.g, r.outputs, r.results);
    }
    rule_end(&r);
    return tuple;
}

void tw_transpose_cond(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    rule r;
    if (wanted[0]) {
        tw_graph_fail(node.graph, TW_ERR_INVALID, "linear_transpose: a condition depends on the inputs");
        return;
    }
    if (rule_begin(&r, node)) {
        for (int i = 0; i < r.inputs; i++)
            if (!wanted[1 + i]) take(&r, x[1 + i], true, i);
        for (int k = 0; k < r.outputs; k++) {
            tw_val given = tw_part_or_none(ct, k);
            r.side[0].t[k] = r.side[1].t[k] = TW_NONE;
            if (given.id >= 0) take(&r, given, false, k);
        }
        for (int s = 0; s < 2; s++) {
            branch *b = &r.side[s];
            tw_function_cotangents(b->f, b->body, b->x, wanted + 1, b->t, b->out);
        }
        rule_node(&r, r.inputs, r.side[0].f->inputs);
        for (int i = 0; i < r.inputs; i++)
            if (wanted[1 + i]) out[1 + i] = r.results[i];
    }
    rule_end(&r);
}

tw_status tw_produce_cond(tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    return tw_reference_function(tw_node_function(g, node, args[0][0] != 0.0 ? 0 : 1), args + 1, out);
}
