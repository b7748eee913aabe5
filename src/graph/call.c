/* graph/call.c - call: a function as one node; checkpoint: one whose body is computed again on the way back; barrier.
 *
 * The tangent of call f is call f', its transpose call f'^T: the bodies are transformed, the graph that calls them
 * grows by one node. Compilation writes the bodies in place of the calls, where equal nodes meet again and nothing is
 * computed twice - except behind a barrier: the transpose of a checkpointed call reads its residual arguments through
 * barriers on the cotangent, so that its body can neither be merged with the forward pass nor start before the
 * cotangent is there. */
#include "graph/function.h"
#include "graph/reference.h"
#include "graph/rules.h"

/* --- builders --- */

static tw_val call(tw_graph *g, const char *who, tw_build_fn body, void *user, int args_count, const tw_val *args,
                   int results_count, bool recompute)
{
    tw_attr attr = {.recompute = recompute};
    tw_type *types = tw_alloc(g->ctx, (size_t)args_count, sizeof *types);
    if (!types) return tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: %s with %d arguments", who, args_count);
    for (int i = 0; i < args_count; i++) types[i] = tw_type_of(args[i]);
    attr.function[0] = tw_body_write(g, who, body, user, args_count, types, results_count);
    tw_free(g->ctx, types);
    return tw_produce(g, TW_OP_call, &attr, args_count, args);
}

void tw_call(tw_graph *g, tw_build_fn body, void *user, int args_count, const tw_val *args, int results_count,
             tw_val *out_results)
{
    tw_parts(call(g, "call", body, user, args_count, args, results_count, false), results_count, out_results);
}

void tw_checkpoint(tw_graph *g, tw_build_fn body, void *user, int args_count, const tw_val *args, int results_count,
                   tw_val *out_results)
{
    tw_parts(call(g, "checkpoint", body, user, args_count, args, results_count, true), results_count, out_results);
}

tw_val tw_barrier(tw_val x, tw_val token)
{
    tw_draft d = {.op = TW_OP_barrier, .count = 2, .args = (tw_val[]){x, token}};
    return tw_graph_append(&d);
}

tw_val tw_all_reduce_sum(tw_val x)
{
    tw_draft d = {.op = TW_OP_all_reduce_sum, .count = 1, .args = &x};
    return tw_graph_append(&d);
}

/* --- barrier, all_reduce_sum --- */

bool tw_infer_barrier(tw_draft *d)
{
    d->dtype = tw_dtype_at(d->args[0]);
    d->shape = tw_shape_at(d->args[0]);
    return true;
}

tw_val tw_jvp_barrier(tw_val y, const tw_val *x, const tw_val *t)
{
    (void)y;
    (void)x;
    return t[0];
}

void tw_transpose_barrier(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)x;
    if (wanted[0]) out[0] = ct;
}

/* Each process holds its own x and the same sum: a cotangent of the sum reaches the x of every process, so the
 * cotangents of all processes add up. */
void tw_transpose_all_reduce_sum(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)node;
    (void)x;
    (void)wanted;
    out[0] = tw_all_reduce_sum(ct);
}

/* --- call --- */

bool tw_infer_call(tw_draft *d)
{
    const tw_function *f = tw_graph_function(d->graph, d->attr.function[0]);
    if (f && f->graph) return tw_infer_arguments(d, f, 0) && tw_infer_nothing(d);
    tw_graph_fail(d->graph, TW_ERR_INVALID, "call: no such function");
    return false;
}

int tw_results_call(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    const tw_function *f = tw_node_function(g, node, 0);
    if (k >= 0 && k < f->outputs_count) *out_type = tw_function_output(f, k);
    return f->outputs_count;
}

/* Arrays of one rule, in one piece of memory. */
typedef struct rule {
    tw_graph *g, *body;
    const tw_function *f;
    int inputs, outputs;
    tw_val *x, *t, *out; /* in the body: inputs, their tangents or cotangents, outputs */
    tw_val *in, *args;   /* what the new function takes, what the new node is given */
    tw_val *results;     /* the tuple */
    int taken;
    bool *used;
} rule;

static bool rule_begin(rule *r, tw_val node)
{
    *r = (rule){.g = node.graph, .f = tw_node_function(node.graph, tw_node_at(node), 0)};
    r->inputs = r->f->inputs_count;
    r->outputs = r->f->outputs_count;
    size_t inputs = (size_t)r->inputs, outputs = (size_t)r->outputs, total = inputs + outputs;
    r->x = tw_alloc(r->g->ctx, 8 * total, sizeof *r->x);
    r->used = tw_alloc(r->g->ctx, 2 * total, sizeof *r->used); /* beside `in` */
    if (!r->x || !r->used)
        tw_graph_fail(r->g, TW_ERR_MEMORY, "out of memory: call of a function of %d inputs", r->inputs);
    else
        r->body = tw_body_begin(r->g);
    if (!r->body) return false;
    r->t = r->x + total;
    r->out = r->t + total;
    r->in = r->out + total;
    r->args = r->in + 2 * total;
    r->results = r->args + 2 * total;
    return true;
}

/* Values of the body in front that have an argument of the calling graph beside them become inputs of the function. */
static void take(rule *r, tw_val in, tw_val arg)
{
    r->in[r->taken] = in;
    r->args[r->taken++] = arg;
}

/* Leaves out the inputs nothing depends on; the cotangents or tangents at the end too. */
static tw_val rule_node(rule *r, const tw_attr *from, int outputs_count)
{
    tw_attr attr = {.recompute = from->recompute};
    int kept = 0;
    (void)tw_function_uses(r->body, r->taken, r->in, outputs_count, r->out, r->used);
    for (int i = 0; i < r->taken; i++) {
        if (!r->used[i]) continue;
        r->in[kept] = r->in[i];
        r->args[kept++] = r->args[i];
    }
    attr.function[0] = tw_body_end(r->g, "call", r->body, kept, r->in, outputs_count, r->out);
    r->body = NULL;
    return tw_produce(r->g, TW_OP_call, &attr, kept, r->args);
}

static void rule_end(rule *r)
{
    tw_graph_destroy(r->body);
    tw_free(r->g->ctx, r->x);
    tw_free(r->g->ctx, r->used);
}

static tw_val input_like(tw_graph *body, tw_val v)
{
    return tw_input(body, "", tw_dtype_at(v), tw_shape_at(v));
}

tw_val tw_jvp_call(tw_val node, const tw_val *x, const tw_val *t)
{
    rule r;
    tw_val made = TW_NONE;
    tw_attr attr = *tw_node_attr(node.graph, tw_node_at(node));
    if (rule_begin(&r, node)) {
        for (int i = 0; i < r.inputs; i++) take(&r, r.x[i] = input_like(r.body, x[i]), x[i]);
        for (int i = 0; i < r.inputs; i++) {
            r.t[i] = TW_NONE;
            if (t[i].id >= 0) take(&r, r.t[i] = input_like(r.body, t[i]), t[i]);
        }
        tw_val *tangents = r.results;
        tw_function_tangents(r.f, r.body, r.x, r.t, tangents);
        int count = 0;
        for (int k = 0; k < r.outputs; k++)
            if (tangents[k].id >= 0) r.out[count++] = tangents[k];
        tw_val call_node = count > 0 || r.body->status != TW_OK ? rule_node(&r, &attr, count) : TW_NONE;
        for (int k = 0, at = 0; k < r.outputs; k++) {
            tw_type type = tw_function_output(r.f, k);
            bool there = tangents[k].id >= 0;
            tangents[k] =
                there && call_node.id >= 0 ? tw_part_at(call_node, at++) : tw_full(r.g, type.dtype, type.shape, 0.0);
        }
        if (count > 0) made = tw_tuple(r.g, r.outputs, tangents);
    }
    rule_end(&r);
    return made;
}

/* Residual arguments of a checkpointed call are read behind a barrier on the cotangent. */
void tw_transpose_call(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    rule r;
    tw_attr attr = *tw_node_attr(node.graph, tw_node_at(node));
    if (rule_begin(&r, node)) {
        tw_val token = TW_NONE, *cotangents = r.results;
        for (int k = 0; k < r.outputs; k++) {
            tw_val given = tw_part_or_none(ct, k);
            r.t[k] = TW_NONE;
            if (given.id < 0) continue;
            token = given;
            take(&r, r.t[k] = input_like(r.body, given), given);
        }
        for (int i = 0; i < r.inputs; i++) {
            r.x[i] = TW_NONE;
            if (wanted[i]) continue;
            tw_val arg = attr.recompute ? tw_barrier(x[i], token) : x[i];
            take(&r, r.x[i] = input_like(r.body, x[i]), arg);
        }
        tw_function_cotangents(r.f, r.body, r.x, wanted, r.t, cotangents);
        int count = 0;
        for (int i = 0; i < r.inputs; i++)
            if (cotangents[i].id >= 0) r.out[count++] = cotangents[i];
        tw_val call_node = count > 0 || r.body->status != TW_OK ? rule_node(&r, &attr, count) : TW_NONE;
        for (int i = 0, at = 0; i < r.inputs; i++)
            if (cotangents[i].id >= 0 && call_node.id >= 0) out[i] = tw_part_at(call_node, at++);
    }
    rule_end(&r);
}

tw_status tw_produce_call(tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    return tw_reference_function(tw_node_function(g, node, 0), args, out);
}
