/* flow/flow.c - making a flow from names, its description and its facts. */
#include "flow/flow.h"

#include "nn/network.h"
#include "nn/piece.h"

#include <thalweg/coupling.h>

#include <stdio.h>
#include <string.h>

const tw_piece_info *tw_piece_list(const char *kind, int index)
{
    static const struct {
        const char *kind;
        tw_piece_at at;
    } tables[] = {
        {"methods", tw_method_list},   {"spaces", tw_space_list},       {"sources", tw_source_list},
        {"paths", tw_path_list},       {"schedules", tw_schedule_list}, {"couplings", tw_coupling_list},
        {"networks", tw_network_list},
    };
    for (int i = 0; i < TW_COUNT(tables); i++)
        if (strcmp(tables[i].kind, kind) == 0) return tables[i].at(index);
    return NULL;
}

static tw_val call_network(void *user, tw_val x, tw_val t)
{
    const tw_flow_binding *binding = user;
    tw_scope scope = tw_in(tw_scope_root(binding->params), "network");
    return tw_network(scope, &binding->desc->network, x, t, TW_NONE, binding->desc->columns);
}

tw_model tw_flow_model(const tw_flow *flow, tw_flow_binding *binding)
{
    tw_model model = flow->model;
    model.network = call_network;
    model.user = binding;
    return model;
}

/* Looks every name up; fills desc with the table's own strings. */
static tw_status find_pieces(tw_flow *flow, const tw_flow_desc *desc)
{
    tw_context *ctx = flow->ctx;
    const tw_piece_info *method, *space, *source, *path, *schedule, *coupling;
    tw_status status = TW_OK;
    TW_TRY(tw_piece_find(ctx, "method", desc->method ? desc->method : "fm", tw_method_list, &method));
    TW_TRY(tw_piece_find(ctx, "space", desc->space ? desc->space : "euclidean", tw_space_list, &space));
    TW_TRY(tw_piece_find(ctx, "source", desc->source ? desc->source : "normal", tw_source_list, &source));
    TW_TRY(tw_piece_find(ctx, "path", desc->path ? desc->path : "affine", tw_path_list, &path));
    TW_TRY(tw_piece_find(ctx, "schedule", desc->schedule ? desc->schedule : "condot", tw_schedule_list, &schedule));
    TW_TRY(
        tw_piece_find(ctx, "coupling", desc->coupling ? desc->coupling : "independent", tw_coupling_list, &coupling));
    if (strcmp(coupling->name, "independent") != 0) {
        status = tw_fail(ctx, TW_ERR_UNSUPPORTED, "training with the coupling '%s' is not there yet", coupling->name);
        goto done;
    }
    flow->method = (const tw_method *)method;
    flow->model = (tw_model){.space = (const tw_space *)space,
                             .source = (const tw_source *)source,
                             .path = (const tw_path *)path,
                             .schedule = (const tw_schedule *)schedule};
    flow->desc.method = method->name;
    flow->desc.space = space->name;
    flow->desc.source = source->name;
    flow->desc.path = path->name;
    flow->desc.schedule = schedule->name;
    flow->desc.coupling = coupling->name;
done:
    return status;
}

static tw_status copy_columns(tw_flow *flow, const tw_flow_desc *desc)
{
    tw_context *ctx = flow->ctx;
    size_t columns = (size_t)desc->columns;
    char **names = tw_alloc(ctx, columns, sizeof(char *));
    flow->desc.names = (const char *const *)names;
    int *decimals = tw_alloc(ctx, columns, sizeof(int));
    flow->desc.decimals = decimals;
    flow->constant = tw_alloc(ctx, columns, sizeof(int));
    flow->normaliser = (tw_normaliser){.columns = desc->columns,
                                       .shift = tw_alloc(ctx, columns, sizeof(double)),
                                       .scale = tw_alloc(ctx, columns, sizeof(double))};
    if (!names || !decimals || !flow->constant || !flow->normaliser.shift || !flow->normaliser.scale)
        return tw_fail_memory(ctx, columns * sizeof(char *));
    flow->desc.columns = desc->columns;
    for (int i = 0; i < desc->columns; i++) {
        char number[24];
        snprintf(number, sizeof(number), "x%d", i + 1);
        names[i] = tw_strdup(ctx, desc->names ? desc->names[i] : number);
        if (!names[i]) return tw_fail_memory(ctx, 1);
        decimals[i] = desc->decimals ? desc->decimals[i] : -1;
        flow->normaliser.scale[i] = 1;
    }
    return TW_OK;
}

/* The network built once on two rows: its parameters' names and shapes are the layout of the weights. */
static tw_status make_layout(tw_flow *flow)
{
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(flow->ctx, &flow->graph));
    TW_TRY(tw_params_create(flow->ctx, flow->graph, TW_DTYPE_F32, &flow->params));
    tw_flow_binding binding = {flow->params, &flow->desc};
    tw_model model = tw_flow_model(flow, &binding);
    tw_val x = tw_input(flow->graph, "x", TW_DTYPE_F32, tw_shape_of(2, flow->desc.columns));
    tw_val t = tw_input(flow->graph, "t", TW_DTYPE_F32, tw_shape_of(2));
    model.network(model.user, x, t);
    TW_TRY(tw_graph_check(flow->graph));
done:
    return status;
}

tw_status tw_flow_create_empty(tw_context *ctx, const tw_flow_desc *desc, tw_flow **out_flow)
{
    if (desc->columns < 1 || desc->columns > TW_FLOW_MAX_COLUMNS)
        return tw_fail(ctx, TW_ERR_INVALID, "a flow of %d columns: expected 1 to %d", desc->columns,
                       TW_FLOW_MAX_COLUMNS);
    tw_status status = TW_OK;
    tw_flow *flow = tw_alloc(ctx, 1, sizeof(*flow));
    if (!flow) return tw_fail_memory(ctx, sizeof(*flow));
    flow->ctx = ctx;
    flow->desc.seed = desc->seed;
    TW_TRY(find_pieces(flow, desc));
    TW_TRY(tw_network_complete(ctx, &desc->network, &flow->desc.network));
    TW_TRY(copy_columns(flow, desc));
    TW_TRY(make_layout(flow));
    *out_flow = flow;
    flow = NULL;
done:
    tw_flow_destroy(flow);
    return status;
}

tw_status tw_flow_alloc_weights(tw_flow *flow)
{
    size_t bytes = (size_t)tw_params_size(flow->params) * sizeof(float);
    flow->weights = tw_alloc_aligned(flow->ctx, bytes);
    return flow->weights ? TW_OK : tw_fail_memory(flow->ctx, bytes);
}

tw_status tw_flow_create(tw_context *ctx, const tw_flow_desc *desc, tw_flow **out_flow)
{
    tw_flow *flow = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_flow_create_empty(ctx, desc, &flow));
    TW_TRY(tw_flow_alloc_weights(flow));
    tw_params_init(flow->params, desc->seed, flow->weights);
    *out_flow = flow;
    flow = NULL;
done:
    tw_flow_destroy(flow);
    return status;
}

void tw_flow_destroy(tw_flow *flow)
{
    if (!flow) return;
    tw_context *ctx = flow->ctx;
    tw_flow_programs_drop(flow);
    for (int i = 0; flow->desc.names && i < flow->desc.columns; i++)
        tw_free(ctx, (char *)(uintptr_t)flow->desc.names[i]);
    tw_free(ctx, (void *)(uintptr_t)flow->desc.names);
    tw_free(ctx, (void *)(uintptr_t)flow->desc.decimals);
    tw_normaliser_free(ctx, &flow->normaliser);
    for (int64_t i = 0; i < flow->facts_count; i++) {
        tw_free(ctx, flow->facts[i].name);
        tw_free(ctx, flow->facts[i].value);
    }
    tw_free(ctx, flow->facts);
    tw_free(ctx, flow->constant);
    tw_free_aligned(ctx, flow->weights);
    tw_params_destroy(flow->params);
    tw_graph_destroy(flow->graph);
    tw_free(ctx, flow->curve_step);
    tw_free(ctx, flow->curve_loss);
    tw_free(ctx, flow);
}

const tw_flow_desc *tw_flow_about(const tw_flow *flow)
{
    return &flow->desc;
}

int64_t tw_flow_parameters(const tw_flow *flow)
{
    return tw_params_parameters(flow->params);
}

const char *tw_flow_fact(const tw_flow *flow, const char *name)
{
    for (int64_t i = 0; i < flow->facts_count; i++)
        if (strcmp(flow->facts[i].name, name) == 0) return flow->facts[i].value;
    return NULL;
}

tw_status tw_flow_set_fact(tw_flow *flow, const char *name, const char *value)
{
    tw_context *ctx = flow->ctx;
    char *copy = tw_strdup(ctx, value), *key = NULL;
    if (!copy) goto memory;
    for (int64_t i = 0; i < flow->facts_count; i++) {
        if (strcmp(flow->facts[i].name, name) != 0) continue;
        tw_free(ctx, flow->facts[i].value);
        flow->facts[i].value = copy;
        return TW_OK;
    }
    key = tw_strdup(ctx, name);
    if (!key) goto memory;
    if (tw_grow(ctx, &flow->facts, &flow->facts_capacity, flow->facts_count + 1, sizeof(tw_fact)) != TW_OK) goto memory;
    flow->facts[flow->facts_count++] = (tw_fact){key, copy};
    return TW_OK;
memory:
    tw_free(ctx, key);
    tw_free(ctx, copy);
    return tw_fail_memory(ctx, strlen(name) + strlen(value) + 2);
}
