/* graph/while.c - while: a loop that ends when its carry says so.
 *
 *     arguments  consts | carries     condition, body  functions of consts and carries     results  the last carries
 *
 * The tangent is a loop over the carry and its tangent together, stopped by the primal condition. There is no
 * transpose: what it needs of every step would not fit in memory known in advance. */
#include "graph/function.h"
#include "graph/reference.h"
#include "graph/rules.h"

#include <string.h>

void tw_while(tw_graph *g, tw_build_fn condition, tw_build_fn body, void *user, int consts_count, const tw_val *consts,
              int carries_count, const tw_val *init, tw_val *out_carries)
{
    int count = consts_count + carries_count;
    tw_attr attr = {.consts = consts_count, .carries = carries_count};
    tw_val made = tw_val_of(g, -1), *args = tw_alloc(g->ctx, (size_t)count, sizeof *args);
    tw_type *types = tw_alloc(g->ctx, (size_t)count, sizeof *types);
    if (!args || !types) tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: while with %d arguments", count);
    if (g->status == TW_OK) {
        for (int i = 0; i < count; i++) args[i] = i < consts_count ? consts[i] : init[i - consts_count];
        for (int i = 0; i < count; i++) types[i] = tw_type_of(args[i]);
        attr.function[0] = tw_body_write(g, "while", condition, user, count, types, 1);
        attr.function[1] = tw_body_write(g, "while", body, user, count, types, carries_count);
        made = tw_produce(g, TW_OP_while, &attr, count, args);
    }
    tw_parts(made, carries_count, out_carries);
    tw_free(g->ctx, args);
    tw_free(g->ctx, types);
}

bool tw_infer_while(tw_draft *d)
{
    const tw_function *condition = tw_graph_function(d->graph, d->attr.function[0]);
    const tw_function *body = tw_graph_function(d->graph, d->attr.function[1]);
    int consts = d->attr.consts, carries = d->attr.carries;
    if (!condition || !condition->graph || !body || !body->graph || consts < 0 || carries < 0 ||
        consts + (int64_t)carries != d->count || body->outputs_count != carries || condition->outputs_count != 1) {
        tw_graph_fail(d->graph, TW_ERR_INVALID,
                      "while: %d arguments, %d consts and %d carries do not fit the functions", d->count, consts,
                      carries);
        return false;
    }
    if (!tw_infer_arguments(d, condition, 0) || !tw_infer_arguments(d, body, 0)) return false;
    tw_type holds = tw_function_output(condition, 0);
    if (holds.dtype != TW_DTYPE_BOOL || holds.shape.rank != 0) {
        tw_graph_fail(d->graph, TW_ERR_DTYPE, "while: the condition is %s%s, not one bool", tw_dtype_name(holds.dtype),
                      tw_shape_show(holds.shape).text);
        return false;
    }
    for (int k = 0; k < carries; k++) {
        tw_type before = tw_function_input(body, consts + k), after = tw_function_output(body, k);
        if (tw_type_equal(before, after)) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "while: carry %d is %s%s before a step and %s%s after it", k + 1,
                      tw_dtype_name(before.dtype), tw_shape_show(before.shape).text, tw_dtype_name(after.dtype),
                      tw_shape_show(after.shape).text);
        return false;
    }
    return tw_infer_nothing(d);
}

int tw_results_while(const tw_graph *g, const tw_node *node, int k, tw_type *out_type)
{
    const tw_function *body = tw_node_function(g, node, 1);
    if (k >= 0 && k < body->outputs_count) *out_type = tw_function_output(body, k);
    return body->outputs_count;
}

/* --- forward derivative --- */

/* Inputs of the joint functions in order: consts, tangents of consts, carries, tangents of carries. Values and tangents
 * by input of the primal function go to x and t. Returns the number of inputs. */
static int joint_inputs(tw_graph *to, const tw_function *f, const bool *active, int consts, tw_val *in, tw_val *x,
                        tw_val *t)
{
    int count = 0;
    for (int part = 0; part < 4; part++) {
        bool carries = part >= 2, tangents = part % 2 == 1;
        for (int i = carries ? consts : 0; i < (carries ? f->inputs_count : consts); i++) {
            if (tangents && !active[i]) continue;
            tw_type type = tw_function_input(f, i);
            (tangents ? t : x)[i] = in[count++] = tw_input(to, "", type.dtype, type.shape);
        }
    }
    return count;
}

typedef struct rule {
    tw_graph *g;
    const tw_function *condition, *body;
    int consts, carries, inputs;
    tw_val *in, *x, *t, *out, *tangents; /* each with room for all inputs and outputs twice */
    bool *active, *varies;
} rule;

static bool rule_begin(rule *r, tw_val node)
{
    const tw_attr *attr = tw_node_attr(node.graph, tw_node_at(node));
    *r = (rule){.g = node.graph, .consts = attr->consts, .carries = attr->carries};
    r->condition = tw_node_function(r->g, tw_node_at(node), 0);
    r->body = tw_node_function(r->g, tw_node_at(node), 1);
    r->inputs = r->consts + r->carries;
    size_t room = 2 * (size_t)r->inputs + 1;
    r->in = tw_alloc(r->g->ctx, 5 * room, sizeof *r->in);
    r->active = tw_alloc(r->g->ctx, 2 * room, sizeof *r->active);
    if (!r->in || !r->active) {
        tw_graph_fail(r->g, TW_ERR_MEMORY, "out of memory: while with %d arguments", r->inputs);
        return false;
    }
    r->x = r->in + room;
    r->t = r->x + room;
    r->out = r->t + room;
    r->tangents = r->out + room;
    r->varies = r->active + room;
    return true;
}

static bool spread_activity(rule *r)
{
    for (bool grown = true; grown;) {
        grown = false;
        if (!tw_function_varies(r->body, r->active, r->varies)) {
            tw_graph_fail(r->g, TW_ERR_MEMORY, "out of memory: while with %d arguments", r->inputs);
            return false;
        }
        for (int k = 0; k < r->carries; k++) {
            if (!r->varies[k] || r->active[r->consts + k]) continue;
            r->active[r->consts + k] = grown = true;
        }
    }
    return true;
}

static int32_t joint_condition(rule *r)
{
    tw_graph *to = tw_body_begin(r->g);
    if (!to) return -1;
    int count = joint_inputs(to, r->condition, r->active, r->consts, r->in, r->x, r->t);
    tw_function_inline(r->condition, to, r->x, r->out);
    return tw_body_end(r->g, "while", to, count, r->in, 1, r->out);
}

/* New carries, then the new tangents of those that are active. */
static int32_t joint_body(rule *r)
{
    tw_graph *to = tw_body_begin(r->g);
    if (!to) return -1;
    tw_no_values(to, r->inputs, r->t);
    int count = joint_inputs(to, r->body, r->active, r->consts, r->in, r->x, r->t), outputs = r->carries;
    tw_function_inline(r->body, to, r->x, r->out);
    tw_function_tangents(r->body, to, r->x, r->t, r->tangents);
    for (int k = 0; k < r->carries; k++) {
        tw_type type = tw_function_output(r->body, k);
        if (!r->active[r->consts + k]) continue;
        tw_val tangent = r->tangents[k];
        r->out[outputs++] = tangent.id < 0 ? tw_full(to, type.dtype, type.shape, 0.0) : tangent;
    }
    return tw_body_end(r->g, "while", to, count, r->in, outputs, r->out);
}

/* The arguments in the order of joint_inputs; tangents of carries that start from nothing are zeros. */
static int joint_arguments(rule *r, const tw_val *x, const tw_val *t, tw_attr *attr)
{
    int count = 0;
    for (int part = 0; part < 4; part++) {
        bool carries = part >= 2, tangents = part % 2 == 1;
        for (int i = carries ? r->consts : 0; i < (carries ? r->inputs : r->consts); i++) {
            if (tangents && !r->active[i]) continue;
            r->in[count++] = !tangents ? x[i] : t[i].id >= 0 ? t[i] : tw_zeros_like(x[i]);
        }
        if (part == 1) attr->consts = count;
    }
    attr->carries = count - attr->consts;
    return count;
}

tw_val tw_jvp_while(tw_val node, const tw_val *x, const tw_val *t)
{
    rule r;
    tw_val tuple = TW_NONE;
    if (rule_begin(&r, node)) {
        bool any = false;
        for (int i = 0; i < r.inputs; i++) r.active[i] = t[i].id >= 0;
        if (spread_activity(&r)) {
            tw_attr attr = {.function = {joint_condition(&r), joint_body(&r)}};
            int count = joint_arguments(&r, x, t, &attr), at = r.carries;
            tw_val made = tw_produce(r.g, TW_OP_while, &attr, count, r.in);
            for (int k = 0; k < r.carries; k++) {
                tw_type type = tw_function_output(r.body, k);
                bool there = r.active[r.consts + k];
                any = any || there;
                r.out[k] = there && made.id >= 0 ? tw_part_at(made, at++) : tw_full(r.g, type.dtype, type.shape, 0.0);
            }
            if (any) tuple = tw_tuple(r.g, r.carries, r.out);
        }
    }
    tw_free(r.g->ctx, r.in);
    tw_free(r.g->ctx, r.active);
    return tuple;
}

void tw_transpose_while(tw_val node, const tw_val *x, const bool *wanted, tw_val ct, tw_val *out)
{
    (void)x;
    (void)wanted;
    (void)ct;
    (void)out;
    tw_graph_fail(node.graph, TW_ERR_UNSUPPORTED,
                  "linear_transpose: a while loop cannot be reversed, its number of steps is not known: use a scan");
}

/* --- reference --- */

tw_status tw_produce_while(tw_graph *g, const tw_node *node, const double *const *args, double *out)
{
    const tw_function *condition = tw_node_function(g, node, 0), *body = tw_node_function(g, node, 1);
    int consts = tw_node_attr(g, node)->consts;
    int64_t size = tw_results_size(g, node);
    tw_status status = TW_OK;
    double holds = 0.0, *made = tw_alloc(g->ctx, (size_t)size, sizeof *made), *at = out;
    const double **in = tw_alloc(g->ctx, (size_t)node->args_count, sizeof *in);
    if (!made || !in) TW_TRY(tw_fail_memory(g->ctx, (size_t)size * sizeof *made));
    for (int i = 0; i < node->args_count; i++) {
        in[i] = args[i];
        if (i < consts) continue;
        int64_t elements = tw_shape_size(tw_function_input(body, i).shape);
        if (elements) memcpy(at, args[i], (size_t)elements * sizeof *out);
        in[i] = at;
        at += elements;
    }
    for (;;) {
        TW_TRY(tw_reference_function(condition, in, &holds));
        if (holds == 0.0) break;
        TW_TRY(tw_reference_function(body, in, made));
        if (size) memcpy(out, made, (size_t)size * sizeof *out);
    }
done:
    tw_free(g->ctx, made);
    tw_free(g->ctx, in);
    return status;
}
