/* graph/reference.c - runs a graph node by node with the reference kernels; a value is freed after its last use. */
#include "graph/reference.h"

#include <string.h>

typedef struct run {
    tw_graph *g;
    int64_t count;
    double **values;
    int32_t *last_use; /* the last needed node that reads this one; count for outputs */
    bool *need;
    const double **args;
} run;

static tw_status make_value(run *r, int32_t id, double **out_value)
{
    const tw_node *n = tw_node_of(r->g, id);
    bool several = (tw_op_table[n->op].flags & TW_OPF_PRODUCER) != 0;
    size_t size = (size_t)(several ? tw_results_size(r->g, n) : tw_shape_size(n->shape));
    *out_value = tw_alloc(r->g->ctx, size, sizeof **out_value);
    return *out_value ? TW_OK : tw_fail_memory(r->g->ctx, size * sizeof **out_value);
}

static void find_last_uses(run *r, int outputs_count, const tw_val *outputs)
{
    for (int32_t id = 0; id < r->count; id++) {
        const tw_node *n = tw_node_of(r->g, id);
        const int32_t *args = tw_node_args(r->g, n);
        for (int k = 0; r->need[id] && k < n->args_count; k++) r->last_use[args[k]] = id;
    }
    for (int k = 0; k < outputs_count; k++) r->last_use[outputs[k].id] = (int32_t)r->count;
}

/* A composite without a kernel of its own: its body, on a graph of its own. */
static tw_status evaluate_body(run *r, int32_t id, double *result)
{
    tw_graph *g = NULL;
    tw_context *ctx = r->g->ctx;
    tw_status status = tw_graph_create(ctx, &g);
    if (status != TW_OK) return status;
    const tw_node *n = tw_node_of(r->g, id);
    const int32_t *ids = tw_node_args(r->g, n);
    tw_val *args = tw_alloc(ctx, (size_t)n->args_count, sizeof *args);
    if (!args) TW_TRY(tw_fail_memory(ctx, sizeof *args));
    for (int k = 0; k < n->args_count; k++) {
        const tw_node *arg = tw_node_of(r->g, ids[k]);
        args[k] = tw_input(g, "", (tw_dtype)arg->dtype, arg->shape);
    }
    tw_draft call = tw_draft_of(tw_val_of(r->g, id), args);
    call.graph = g;
    tw_val body = tw_op_table[n->op].body(&call);
    TW_TRY(tw_graph_check(g));
    TW_TRY(tw_reference_run(ctx, n->args_count, args, r->args, 1, &body, &result));
done:
    tw_free(ctx, args);
    tw_graph_destroy(g);
    return status;
}

static tw_status evaluate(run *r, int32_t id)
{
    const tw_node *n = tw_node_of(r->g, id);
    const int32_t *args = tw_node_args(r->g, n);
    if (n->op == TW_OP_input)
        return tw_fail(r->g->ctx, TW_ERR_INVALID, "reference_run: input %s has no value",
                       r->g->names + tw_node_attr(r->g, n)->name);
    tw_status status = make_value(r, id, &r->values[id]);
    if (status != TW_OK) return status;
    for (int k = 0; k < n->args_count; k++) r->args[k] = r->values[args[k]];
    if (tw_op_table[n->op].produce)
        status = tw_op_table[n->op].produce(r->g, n, r->args, r->values[id]);
    else if (tw_op_table[n->op].evaluate)
        tw_op_table[n->op].evaluate(r->g, n, r->args, r->values[id]);
    else
        status = evaluate_body(r, id, r->values[id]);
    if (status != TW_OK) return status;
    for (int k = 0; k < n->args_count; k++) {
        if (r->last_use[args[k]] != id) continue;
        tw_free(r->g->ctx, r->values[args[k]]);
        r->values[args[k]] = NULL;
    }
    return status;
}

static tw_status run_nodes(run *r, int inputs_count, const tw_val *inputs, const double *const *values)
{
    tw_status status = TW_OK;
    for (int i = 0; i < inputs_count && status == TW_OK; i++) {
        double **value = &r->values[inputs[i].id];
        if (*value) continue;
        status = make_value(r, inputs[i].id, value);
        size_t size = (size_t)tw_shape_size(tw_shape_at(inputs[i]));
        if (status == TW_OK && size) memcpy(*value, values[i], size * sizeof **value);
    }
    for (int32_t id = 0; id < r->count && status == TW_OK; id++) {
        bool given = false;
        for (int i = 0; i < inputs_count && !given; i++) given = inputs[i].id == id;
        if (r->need[id] && !given) status = evaluate(r, id);
    }
    return status;
}

tw_status tw_reference_run(tw_context *ctx, int inputs_count, const tw_val *inputs, const double *const *values,
                           int outputs_count, const tw_val *outputs, double *const *results)
{
    run r = {0};
    tw_graph *g = NULL;
    if (outputs_count == 0) return TW_OK;
    tw_status status = tw_graph_of("reference_run", outputs_count, outputs, &g);
    if (status == TW_OK && inputs_count > 0) status = tw_graph_of("reference_run", inputs_count, inputs, &r.g);
    if (status != TW_OK) return status;
    if (r.g && r.g != g) return tw_fail(ctx, TW_ERR_INVALID, "reference_run: values of two graphs");
    r = (run){.g = g, .count = g->count};
    r.values = tw_alloc(g->ctx, (size_t)r.count, sizeof *r.values);
    r.last_use = tw_alloc(g->ctx, (size_t)r.count, sizeof *r.last_use);
    r.need = tw_alloc(g->ctx, (size_t)r.count, sizeof *r.need);
    r.args = tw_alloc(g->ctx, (size_t)tw_graph_max_args(g), sizeof *r.args);
    if (!r.values || !r.last_use || !r.need || !r.args) TW_TRY(tw_fail_memory(ctx, (size_t)r.count));
    tw_mark_between(g, inputs_count, inputs, outputs_count, outputs, r.need);
    find_last_uses(&r, outputs_count, outputs);
    TW_TRY(run_nodes(&r, inputs_count, inputs, values));
    for (int k = 0; k < outputs_count; k++) {
        size_t size = (size_t)tw_shape_size(tw_shape_at(outputs[k]));
        if (size) memcpy(results[k], r.values[outputs[k].id], size * sizeof **results);
    }
done:
    for (int64_t id = 0; r.values && id < r.count; id++) tw_free(g->ctx, r.values[id]);
    tw_free(g->ctx, r.values);
    tw_free(g->ctx, r.last_use);
    tw_free(g->ctx, r.need);
    tw_free(g->ctx, r.args);
    return status;
}

tw_status tw_reference_function(const tw_function *f, const double *const *args, double *out)
{
    double **results = tw_alloc(f->ctx, (size_t)f->outputs_count, sizeof *results);
    if (!results) return tw_fail_memory(f->ctx, (size_t)f->outputs_count * sizeof *results);
    for (int k = 0; k < f->outputs_count; k++) {
        results[k] = out;
        out += tw_shape_size(tw_function_output(f, k).shape);
    }
    tw_status status =
        tw_reference_run(f->ctx, f->inputs_count, f->inputs, args, f->outputs_count, f->outputs, results);
    tw_free(f->ctx, results);
    return status;
}
