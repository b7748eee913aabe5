/* graph/function.c - see function.h. */
#include "graph/function.h"

#include <string.h>

/* --- life --- */

void tw_function_release(tw_function *f)
{
    if (!f || --f->references > 0) return;
    tw_graph_destroy(f->graph);
    tw_free(f->ctx, f->inputs);
    tw_free(f->ctx, f);
}

int32_t tw_graph_adopt(tw_graph *g, tw_function *f)
{
    for (int64_t i = 0; i < g->functions_count; i++)
        if (g->functions[i] == f) return (int32_t)i;
    if (tw_grow(g->ctx, &g->functions, &g->functions_capacity, g->functions_count + 1, sizeof *g->functions) != TW_OK) {
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a graph of %lld functions could not grow",
                      (long long)g->functions_count);
        return -1;
    }
    f->references++;
    g->functions[g->functions_count] = f;
    return (int32_t)g->functions_count++;
}

tw_function *tw_graph_function(const tw_graph *g, int32_t number)
{
    return number < 0 || number >= g->functions_count ? NULL : g->functions[number];
}

tw_function *tw_node_function(const tw_graph *g, const tw_node *node, int i)
{
    return tw_graph_function(g, tw_node_attr(g, node)->function[i]);
}

static int32_t depth_of(const tw_graph *body)
{
    int32_t depth = 0;
    for (int64_t i = 0; i < body->functions_count; i++)
        if (body->functions[i]->depth > depth) depth = body->functions[i]->depth;
    return depth + 1;
}

/* Every input that outputs depend on is among the inputs, and none is named twice. */
static tw_status check_closed(tw_graph *body, int inputs_count, const tw_val *inputs, int outputs_count,
                              const tw_val *outputs)
{
    tw_status status = TW_OK;
    bool *need = tw_alloc(body->ctx, 2 * (size_t)body->count, sizeof *need), *given = need + body->count;
    if (!need) return tw_fail_memory(body->ctx, 2 * (size_t)body->count);
    for (int i = 0; i < inputs_count; i++) {
        if (given[inputs[i].id]) TW_TRY(tw_fail(body->ctx, TW_ERR_INVALID, "input %d is named twice", i + 1));
        given[inputs[i].id] = true;
    }
    tw_mark_between(body, inputs_count, inputs, outputs_count, outputs, need);
    for (int64_t id = 0; id < body->count; id++)
        if (need[id] && body->nodes[id].op == TW_OP_input && !given[id])
            TW_TRY(tw_fail(body->ctx, TW_ERR_INVALID, "it depends on '%s', which is not one of its inputs",
                           body->names + tw_node_attr(body, &body->nodes[id])->name));
done:
    tw_free(body->ctx, need);
    return status;
}

static tw_status check_values(tw_graph *body, int count, const tw_val *values, const char *what)
{
    for (int i = 0; i < count; i++) {
        if (values[i].graph != body || values[i].id < 0)
            return tw_fail(body->ctx, TW_ERR_INVALID, "%s %d is %s", what, i + 1,
                           values[i].id < 0 ? "none" : "a value of another graph: hand it over as an argument");
        if (tw_op_table[tw_node_at(values[i])->op].flags & TW_OPF_PRODUCER)
            return tw_fail(body->ctx, TW_ERR_INVALID, "%s %d is a node of several results", what, i + 1);
    }
    return TW_OK;
}

tw_status tw_function_close(tw_graph *body, int inputs_count, const tw_val *inputs, int outputs_count,
                            const tw_val *outputs, tw_function **out_function)
{
    tw_context *ctx = body->ctx;
    tw_function *f = NULL;
    tw_status status = TW_OK;
    size_t count = (size_t)inputs_count + (size_t)outputs_count;
    TW_TRY(tw_graph_check(body));
    TW_TRY(check_values(body, inputs_count, inputs, "input"));
    TW_TRY(check_values(body, outputs_count, outputs, "output"));
    TW_TRY(check_closed(body, inputs_count, inputs, outputs_count, outputs));
    if (depth_of(body) > TW_FUNCTION_DEPTH_MAX)
        TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "functions are nested more than %d deep", TW_FUNCTION_DEPTH_MAX));
    f = tw_alloc(ctx, 1, sizeof *f);
    if (!f) TW_TRY(tw_fail_memory(ctx, sizeof *f));
    f->inputs = tw_alloc(ctx, count, sizeof *f->inputs);
    if (!f->inputs) TW_TRY(tw_fail_memory(ctx, count * sizeof *f->inputs));
    f->ctx = ctx;
    f->references = 1;
    f->depth = depth_of(body);
    f->outputs = f->inputs + inputs_count;
    f->inputs_count = inputs_count;
    f->outputs_count = outputs_count;
    for (int i = 0; i < inputs_count; i++) f->inputs[i] = inputs[i];
    for (int k = 0; k < outputs_count; k++) f->outputs[k] = outputs[k];
    f->graph = body;
    *out_function = f;
    return TW_OK;
done:
    tw_free(ctx, f);
    tw_graph_destroy(body);
    return status;
}

/* --- bodies written while a rule or builder works on a graph --- */

tw_graph *tw_body_begin(tw_graph *g)
{
    tw_graph *body = NULL;
    if (g->status != TW_OK) return NULL;
    tw_status status = tw_graph_create(g->ctx, &body);
    if (status != TW_OK) {
        tw_graph_fail(g, status, "%s", tw_context_error(g->ctx));
        return NULL;
    }
    memcpy(body->place, g->place, sizeof body->place);
    return body;
}

int32_t tw_body_end(tw_graph *g, const char *who, tw_graph *body, int inputs_count, const tw_val *inputs,
                    int outputs_count, const tw_val *outputs)
{
    tw_function *f = NULL;
    tw_status status = tw_function_close(body, inputs_count, inputs, outputs_count, outputs, &f);
    if (status != TW_OK) {
        tw_graph_fail(g, status, "%s: %s", who, tw_context_error(g->ctx));
        return -1;
    }
    int32_t number = tw_graph_adopt(g, f);
    tw_function_release(f);
    return number;
}

int32_t tw_body_write(tw_graph *g, const char *who, tw_build_fn body, void *user, int inputs_count,
                      const tw_type *inputs, int outputs_count)
{
    tw_graph *to = tw_body_begin(g);
    if (!to) return -1;
    size_t count = (size_t)inputs_count + (size_t)outputs_count;
    tw_val *values = tw_alloc(g->ctx, count, sizeof *values);
    if (!values) {
        tw_graph_destroy(to);
        tw_graph_fail(g, TW_ERR_MEMORY, "out of memory: a function of %d inputs", inputs_count);
        return -1;
    }
    for (int i = 0; i < inputs_count; i++) values[i] = tw_input(to, "", inputs[i].dtype, inputs[i].shape);
    tw_no_values(to, outputs_count, values + inputs_count);
    if (to->status == TW_OK) body(user, to, values, values + inputs_count);
    int32_t number = tw_body_end(g, who, to, inputs_count, values, outputs_count, values + inputs_count);
    tw_free(g->ctx, values);
    return number;
}

/* --- writing a body elsewhere --- */

void tw_adopt_functions(tw_graph *to, const tw_graph *from, tw_draft *d)
{
    if (to == from || !(tw_op_table[d->op].flags & TW_OPF_PRODUCER)) return;
    for (int i = 0; i < TW_COUNT(d->attr.function); i++) {
        tw_function *f = tw_graph_function(from, d->attr.function[i]);
        if (f) d->attr.function[i] = tw_graph_adopt(to, f);
    }
}

tw_val tw_transplant(tw_graph *to, const tw_graph *from, int32_t id, const tw_val *args)
{
    const tw_node *n = tw_node_of(from, id);
    if (n->op == TW_OP_const) return tw_const_data(to, (tw_dtype)n->dtype, n->shape, tw_node_data(from, n));
    tw_draft d = {.graph = to,
                  .op = (tw_op)n->op,
                  .count = n->args_count,
                  .args = args,
                  .dtype = (tw_dtype)n->dtype,
                  .shape = n->shape};
    if (n->attr >= 0) d.attr = from->attrs[n->attr];
    if (n->attr >= 0) tw_adopt_functions(to, from, &d);
    return tw_graph_append(&d);
}

bool tw_function_inline(const tw_function *f, tw_graph *to, const tw_val *args, tw_val *out)
{
    const tw_graph *from = f->graph;
    tw_no_values(to, f->outputs_count, out);
    if (to->status != TW_OK) return false;
    size_t count = (size_t)from->count, most = (size_t)tw_graph_max_args(from);
    bool *need = tw_alloc(to->ctx, count, sizeof *need);
    tw_val *map = tw_alloc(to->ctx, count + most, sizeof *map), *mapped = map + count;
    if (!need || !map) tw_graph_fail(to, TW_ERR_MEMORY, "out of memory: a function of %d nodes", (int)from->count);
    if (to->status == TW_OK) {
        tw_no_values(to, (int)count, map);
        tw_mark_between(from, f->inputs_count, f->inputs, f->outputs_count, f->outputs, need);
        for (int i = 0; i < f->inputs_count; i++) map[f->inputs[i].id] = args[i];
        for (int i = 0; i < f->inputs_count; i++) need[f->inputs[i].id] = false;
    }
    for (int32_t id = 0; id < from->count && to->status == TW_OK; id++) {
        if (!need[id]) continue;
        const tw_node *n = tw_node_of(from, id);
        for (int k = 0; k < n->args_count; k++) mapped[k] = map[tw_node_args(from, n)[k]];
        map[id] = tw_transplant(to, from, id, mapped);
    }
    for (int k = 0; k < f->outputs_count && to->status == TW_OK; k++) out[k] = map[f->outputs[k].id];
    tw_free(to->ctx, need);
    tw_free(to->ctx, map);
    return to->status == TW_OK;
}

/* A transform of `to` failed: its sentence becomes the graph's. */
static bool settle(tw_graph *to, tw_status status)
{
    if (status != TW_OK) tw_graph_fail(to, status, "%s", tw_context_error(to->ctx));
    return to->status == TW_OK;
}

/* The arguments that may be differentiated, in front: returns how many, their places in `at`. */
static int present(int count, const tw_val *values, const bool *wanted, int *at)
{
    int found = 0;
    for (int i = 0; i < count; i++)
        if (wanted ? wanted[i] : values[i].id >= 0) at[found++] = i;
    return found;
}

bool tw_function_tangents(const tw_function *f, tw_graph *to, const tw_val *args, const tw_val *tangents, tw_val *out)
{
    size_t inputs = (size_t)f->inputs_count, outputs = (size_t)f->outputs_count;
    tw_val *primal = tw_alloc(to->ctx, outputs + 2 * inputs, sizeof *primal);
    int *at = tw_alloc(to->ctx, inputs, sizeof *at);
    if (!primal || !at) settle(to, tw_fail_memory(to->ctx, (outputs + 2 * inputs) * sizeof *primal));
    if (to->status == TW_OK && tw_function_inline(f, to, args, primal)) {
        tw_val *x = primal + outputs, *t = x + inputs;
        int count = present(f->inputs_count, tangents, NULL, at);
        for (int i = 0; i < count; i++) {
            x[i] = args[at[i]];
            t[i] = tangents[at[i]];
        }
        settle(to, tw_jvp(count, x, t, f->outputs_count, primal, out));
    }
    if (to->status != TW_OK) tw_no_values(to, f->outputs_count, out);
    tw_free(to->ctx, primal);
    tw_free(to->ctx, at);
    return to->status == TW_OK;
}

bool tw_function_cotangents(const tw_function *f, tw_graph *to, tw_val *args, const bool *wanted,
                            const tw_val *cotangents, tw_val *out)
{
    size_t inputs = (size_t)f->inputs_count, outputs = (size_t)f->outputs_count;
    tw_val *made = tw_alloc(to->ctx, outputs + 2 * inputs, sizeof *made), *x = made + outputs, *c = x + inputs;
    int *at = tw_alloc(to->ctx, inputs, sizeof *at);
    tw_no_values(to, f->inputs_count, out);
    if (!made || !at) settle(to, tw_fail_memory(to->ctx, (outputs + 2 * inputs) * sizeof *made));
    int count = to->status == TW_OK ? present(f->inputs_count, args, wanted, at) : 0;
    for (int i = 0; i < count; i++) {
        tw_type type = tw_function_input(f, at[i]);
        args[at[i]] = x[i] = tw_input(to, "placeholder", type.dtype, type.shape);
    }
    if (to->status == TW_OK && tw_function_inline(f, to, args, made)) {
        settle(to, tw_linear_transpose(count, x, f->outputs_count, made, cotangents, c));
        for (int i = 0; i < count && to->status == TW_OK; i++) out[at[i]] = c[i];
    }
    tw_free(to->ctx, made);
    tw_free(to->ctx, at);
    return to->status == TW_OK;
}

/* --- what depends on what --- */

static bool differentiable(const tw_node *n)
{
    const tw_op_info *op = &tw_op_table[n->op];
    if (op->flags & TW_OPF_PRODUCER) return true;
    return !(op->flags & TW_OPF_NO_DERIVATIVE) && tw_dtype_has_tangent((tw_dtype)n->dtype);
}

bool tw_function_varies(const tw_function *f, const bool *active, bool *varies)
{
    const tw_graph *g = f->graph;
    bool *reach = tw_alloc(f->ctx, (size_t)g->count, sizeof *reach);
    if (!reach) return false;
    for (int i = 0; i < f->inputs_count; i++) reach[f->inputs[i].id] = active[i];
    for (int64_t id = 0; id < g->count; id++) {
        const tw_node *n = &g->nodes[id];
        const int32_t *args = tw_node_args(g, n);
        for (int k = 0; k < n->args_count && differentiable(n) && !reach[id]; k++) reach[id] = reach[args[k]];
    }
    for (int k = 0; k < f->outputs_count; k++) varies[k] = reach[f->outputs[k].id];
    tw_free(f->ctx, reach);
    return true;
}

bool tw_function_uses(tw_graph *body, int inputs_count, const tw_val *inputs, int outputs_count, const tw_val *outputs,
                      bool *used)
{
    for (int i = 0; i < inputs_count; i++) used[i] = true;
    if (body->status != TW_OK) return false;
    for (int k = 0; k < outputs_count; k++)
        if (outputs[k].graph != body || outputs[k].id < 0) return false; /* closing says what is wrong */
    bool *need = tw_alloc(body->ctx, (size_t)body->count, sizeof *need);
    if (!need) return settle(body, tw_fail_memory(body->ctx, (size_t)body->count));
    tw_mark_needed(body, outputs_count, outputs, need);
    for (int i = 0; i < inputs_count; i++) used[i] = inputs[i].id >= 0 && need[inputs[i].id];
    tw_free(body->ctx, need);
    return true;
}

/* --- types --- */

tw_shape tw_stacked(tw_shape shape, int64_t count)
{
    tw_shape out = {.rank = shape.rank < 0 || shape.rank >= TW_MAX_RANK ? -1 : shape.rank + 1, .dim = {count}};
    for (int i = 1; i < out.rank; i++) out.dim[i] = shape.dim[i - 1];
    return out;
}

tw_type tw_type_of(tw_val v)
{
    return (tw_type){tw_dtype_at(v), tw_shape_at(v)};
}

bool tw_type_equal(tw_type a, tw_type b)
{
    return a.dtype == b.dtype && tw_shape_equal(a.shape, b.shape);
}

bool tw_infer_arguments(tw_draft *d, const tw_function *f, int first)
{
    const char *who = tw_op_table[d->op].name;
    if (d->count - first != f->inputs_count) {
        tw_graph_fail(d->graph, TW_ERR_INVALID, "%s: %d arguments for a function of %d", who, d->count - first,
                      f->inputs_count);
        return false;
    }
    for (int i = 0; i < f->inputs_count; i++) {
        tw_type given = tw_type_of(d->args[first + i]), taken = tw_function_input(f, i);
        if (tw_type_equal(given, taken)) continue;
        tw_graph_fail(d->graph, TW_ERR_SHAPE, "%s: argument %d is %s%s, the function takes %s%s", who, i + 1,
                      tw_dtype_name(given.dtype), tw_shape_show(given.shape).text, tw_dtype_name(taken.dtype),
                      tw_shape_show(taken.shape).text);
        return false;
    }
    return true;
}
