/* flow/flow.c - making a flow from names, its description and its facts. */
#include "flow/flow.h"

#include "flow/factors.h"
#include "nn/network.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* Ones among zeros (B, T (K + 1)) of tokens (B,T), a mask among them. */
static tw_val ones_of(const tw_factor *f, tw_val x)
{
    int64_t states = f->symbols + 1;
    tw_val state = tw_iota(x.graph, tw_dtype_at(x), tw_shape_of(1, 1, states), 2);
    tw_val ones = tw_cast(tw_eq(tw_expand_dim(x, 2), state), tw_dtype_at(x));
    return tw_reshape(ones, tw_shape_of(tw_dim(x, 0), f->numbers * states));
}

/* Of a product with tokens: numbers, tokens and which numbers are known -> velocities and logits. */
static tw_val call_mixed(const tw_flow_binding *binding, tw_scope scope, tw_val x, tw_val t)
{
    const tw_space *space = &binding->flow->space, moving = tw_space_of_moving(space);
    int numbers = moving.numbers, count = 0;
    tw_val *parts = tw_alloc(binding->flow->ctx, (size_t)space->count + 2, sizeof *parts), at = TW_NONE;
    if (!parts) return tw_graph_fail(x.graph, TW_ERR_MEMORY, "no memory for the factors of a product");
    if (numbers > 0) {
        at = tw_space_project_rows(&moving, tw_slice(x, 1, 0, numbers));
        parts[count++] = tw_space_features(&moving, at);
        parts[count++] = tw_slice(x, 1, space->numbers, space->numbers + numbers);
    }
    for (int i = space->moving; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        parts[count++] = ones_of(f, tw_slice(x, 1, f->number, f->number + f->numbers));
    }
    tw_val features = count > 1 ? tw_concat(1, count, parts) : parts[0];
    tw_free(binding->flow->ctx, parts);
    tw_val y = tw_network(scope, &binding->flow->desc.network, features, t, binding->condition, space->outputs);
    if (numbers == 0) return y;
    tw_val v = tw_space_lift(&moving, at, tw_slice(y, 1, 0, moving.outputs));
    return tw_concat2(1, v, tw_slice(y, 1, moving.outputs, space->outputs));
}

static tw_val call_network(void *user, tw_val x, tw_val t)
{
    const tw_flow_binding *binding = user;
    tw_scope scope = tw_in(tw_scope_root(binding->params), "network");
    int heads = binding->flow->method->rules->heads;
    const tw_space *space = &binding->flow->space;
    if (tw_space_is_mixed(space)) return call_mixed(binding, scope, x, t);
    if (space->symbols > 0) {
        const tw_method_rules *rules = binding->flow->method->rules;
        int64_t outputs = rules->token_outputs ? rules->token_outputs(&binding->flow->model) : space->symbols;
        return tw_network(scope, &binding->flow->desc.network, x, t, binding->condition, outputs);
    }
    x = tw_space_project_rows(space, x); /* derivatives across the tangent space are zero then */
    tw_val y = tw_network(scope, &binding->flow->desc.network, tw_space_features(space, x), t, binding->condition,
                          (int64_t)space->outputs * (heads > 1 ? heads : 1));
    return tw_space_lift(space, x, y);
}

/* Linear in sines and cosines of time, 0 at first (Karras et al. 2024). */
static tw_val call_uncertainty(void *user, tw_val t)
{
    enum { FEATURES = 32 };
    const tw_flow_binding *binding = user;
    tw_scope scope = tw_in(tw_scope_root(binding->params), "uncertainty");
    tw_val h = tw_linear_init(scope, tw_time_features(t, FEATURES), 1, TW_INIT_ZERO, 0);
    return tw_sum_axis(h, 1);
}

static tw_val call_balance(void *user, int64_t count)
{
    const tw_flow_binding *binding = user;
    tw_scope scope = tw_in(tw_scope_root(binding->params), "balance");
    return tw_param(scope, "log_loss", tw_shape_of(count), TW_INIT_ZERO, 0);
}

tw_model tw_flow_model(const tw_flow *flow, tw_flow_binding *binding)
{
    tw_model model = flow->model;
    model.network = call_network;
    model.uncertainty = call_uncertainty;
    model.balance = call_balance;
    model.user = binding;
    return model;
}

/* Reads every piece; fills desc with their texts. */
static tw_status find_pieces(tw_flow *flow, const tw_flow_desc *desc)
{
    tw_piece *piece = flow->piece;
    tw_status status = tw_flow_pieces_read(flow->ctx, desc, piece);
    if (status != TW_OK) return status;
    for (int i = 0; i < TW_PIECE_COUNT; i++) *tw_flow_piece_name(&flow->desc, i) = piece[i].text;
    flow->method = (const tw_method *)piece[TW_PIECE_method].info;
    flow->model = (tw_model){.space = &flow->space,
                             .source = &piece[TW_PIECE_source],
                             .path = (const tw_path *)piece[TW_PIECE_path].info,
                             .schedule = &piece[TW_PIECE_schedule],
                             .method = &piece[TW_PIECE_method],
                             .loss = &piece[TW_PIECE_loss],
                             .weight = &piece[TW_PIECE_weight],
                             .gamma = &piece[TW_PIECE_gamma],
                             .predict = (tw_prediction)piece[TW_PIECE_predict].row};
    return TW_OK;
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

/* Rounded one by one, columns that say something only together may say nothing any more. */
static void keep_digits(tw_flow *flow)
{
    int *decimals = (int *)(uintptr_t)flow->desc.decimals;
    for (int i = 0; i < flow->space.count; i++) {
        const tw_factor *f = &flow->space.factor[i];
        for (int c = 0; f->form->joint && c < f->columns; c++) decimals[f->column + c] = -1;
    }
}

static tw_status take_image(tw_flow *flow, const tw_flow_desc *desc)
{
    const tw_image *i = &desc->image;
    int64_t numbers = (int64_t)i->height * i->width * i->channels;
    flow->desc.image = *i;
    if (i->height == 0 || (i->height > 0 && i->width > 0 && i->channels > 0 && numbers == desc->columns)) return TW_OK;
    return tw_fail(flow->ctx, TW_ERR_SHAPE, "pictures of %d x %d pixels and %d channels do not have %d columns",
                   i->height, i->width, i->channels, desc->columns);
}

/* The mesh of a space of that name, with the eigenpairs its path needs. */
static tw_status take_mesh(tw_flow *flow, tw_mesh *mesh)
{
    const tw_piece *path = &flow->piece[TW_PIECE_path];
    bool wanted = flow->space.count > 0 && flow->space.factor[0].surface;
    tw_status status = TW_OK;
    if (wanted != (mesh != NULL))
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       wanted ? "space 'mesh' without a mesh (train --mesh FILE)"
                              : "a mesh, and the space is not 'mesh'");
    if (!wanted) return TW_OK;
    flow->desc.mesh = tw_mesh_share(mesh);
    int64_t pairs = tw_min_i64((int64_t)path->value[0], tw_mesh_about(mesh)->vertices - 2); /* of a coarse one all */
    status = tw_mesh_find_eigenpairs(mesh, pairs);
    if (status != TW_OK) return status;
    tw_spectral kind = ((const tw_path *)path->info)->spectral;
    status = tw_premetric_create(flow->ctx, mesh, kind, path->count > 1 ? path->value[1] : 0, pairs, &flow->premetric);
    if (status == TW_OK) tw_space_on_mesh(&flow->space, mesh, flow->premetric);
    return status;
}

/* The path of a flow of sequences. */
static void make_edit_path(tw_flow *flow)
{
    bool empty = strcmp(flow->piece[TW_PIECE_source].info->name, "empty") == 0;
    if (!empty) tw_space_widen(&flow->space);
    flow->edits = (tw_edit_path){.symbols = flow->space.symbols,
                                 .inserts_only = empty,
                                 .schedule = flow->model.schedule,
                                 .alignment = flow->model.path->alignment};
    flow->model.edits = &flow->edits;
}

/* Places of symbols, which only path 'metric' looks at. */
static tw_status take_embedding(tw_flow *flow, const tw_flow_desc *desc)
{
    int symbols = desc->embedding_symbols, width = desc->embedding_width;
    if (!desc->embedding) return TW_OK;
    if (strcmp(flow->piece[TW_PIECE_path].info->name, "metric") != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "an embedding is for path 'metric', not for '%s'",
                       flow->piece[TW_PIECE_path].info->name);
    if (symbols != flow->space.symbols || width < 1)
        return tw_fail(flow->ctx, TW_ERR_SHAPE,
                       "an embedding of %d symbols as %d numbers each, and there are %d symbols", symbols, width,
                       flow->space.symbols);
    size_t count = (size_t)symbols * (size_t)width;
    double *copy = tw_alloc(flow->ctx, count, sizeof *copy);
    if (!copy) return tw_fail_memory(flow->ctx, count * sizeof *copy);
    memcpy(copy, desc->embedding, count * sizeof *copy);
    flow->desc.embedding = copy;
    flow->desc.embedding_symbols = symbols;
    flow->desc.embedding_width = width;
    return TW_OK;
}

/* The path of a flow of tokens. */
static tw_status make_token_path(tw_flow *flow)
{
    const tw_piece *path = &flow->piece[TW_PIECE_path];
    int symbols = flow->space.symbols;
    bool masks = strcmp(flow->piece[TW_PIECE_source].info->name, "mask") == 0;
    if (symbols == 0) return TW_OK;
    flow->tokens = (tw_token_path){.symbols = symbols, .states = symbols + masks, .schedule = flow->model.schedule};
    flow->model.tokens = &flow->tokens;
    if (strcmp(path->info->name, "mixture") == 0) {
        flow->tokens.uniform = strcmp(flow->piece[TW_PIECE_source].info->name, "uniform") == 0;
        flow->tokens.noise = path->value[0];
        return TW_OK;
    }
    enum { MOST_LEVELS = 4096 };
    if (symbols < 2 || symbols > MOST_LEVELS)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "path 'metric' of %d symbols: expected 2 to %d", symbols,
                       MOST_LEVELS);
    flow->token_distance = tw_alloc(flow->ctx, (size_t)symbols * (size_t)symbols, sizeof(double));
    if (!flow->token_distance) return tw_fail_memory(flow->ctx, (size_t)symbols * (size_t)symbols * sizeof(double));
    tw_token_distances(symbols, flow->desc.embedding_width, flow->desc.embedding, path->value[2], flow->token_distance);
    for (int i = 0; i < symbols * symbols; i++)
        if (i % (symbols + 1) && !(flow->token_distance[i] > 0 && isfinite(flow->token_distance[i])))
            return tw_fail(flow->ctx, TW_ERR_INVALID,
                           "the embedding puts symbols %d and %d at one place, or a distance apart that is no number",
                           i / symbols, i % symbols);
    flow->tokens.distance = flow->token_distance;
    flow->tokens.scale = path->value[0];
    flow->tokens.power = path->value[1];
    return TW_OK;
}

/* The loss built once on two rows: its parameters' names and shapes are the layout of the weights. */
static tw_status make_layout(tw_flow *flow)
{
    const tw_method_rules *rules = flow->method->rules;
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(flow->ctx, &flow->graph));
    TW_TRY(tw_params_create(flow->ctx, flow->graph, TW_DTYPE_F32, &flow->params));
    tw_flow_binding binding = {.params = flow->params, .flow = flow, .condition = TW_NONE};
    int told = flow->desc.conditions_count;
    if (told > 0)
        binding.condition = tw_conditions_features(
            told, flow->desc.conditions, tw_input(flow->graph, "condition", TW_DTYPE_F32, tw_shape_of(2, told)));
    tw_model model = tw_flow_model(flow, &binding);
    tw_shape points = tw_shape_of(2, flow->space.numbers), times = tw_shape_of(2);
    tw_draws draws = {.x0 = tw_input(flow->graph, "x0", TW_DTYPE_F32, points),
                      .x1 = tw_input(flow->graph, "x1", TW_DTYPE_F32, points),
                      .t = tw_input(flow->graph, "t", TW_DTYPE_F32, times),
                      .z = TW_NONE};
    tw_shape noises = tw_shape_of(2, (int64_t)rules->noise * flow->space.numbers);
    if (rules->noise > 0) draws.z = tw_input(flow->graph, "z", TW_DTYPE_F32, noises);
    rules->row_loss(&model, &draws);
    TW_TRY(tw_graph_check(flow->graph));
done:
    return status;
}

/* Pictures of a size that a patch_unet is best at. */
static bool suits_patches(const tw_image *image)
{
    enum { SMALLEST = 16, UNIT = 4 };
    return image->height >= SMALLEST && image->width >= SMALLEST && image->height % UNIT == 0 &&
           image->width % UNIT == 0;
}

/* Pieces that are of some factors only. */
static tw_status check_factors(const tw_flow *flow)
{
    const tw_method_rules *rules = flow->method->rules;
    const tw_piece *source = &flow->piece[TW_PIECE_source];
    const char *space = flow->piece[TW_PIECE_space].text;
    if (rules->covers && !rules->covers(&flow->space))
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "method '%s' takes %s, not all that is in space '%s'",
                       flow->method->info.name, rules->takes, space);
    if (tw_source_rules_of(source)->simplex && !tw_space_is_shares(&flow->space))
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "source '%s' takes shares, not all that is in space '%s'",
                       source->info->name, space);
    return TW_OK;
}

tw_status tw_flow_create_empty(tw_context *ctx, const tw_flow_desc *desc, tw_flow **out_flow)
{
    enum { FEW_TOKENS = 16 }; /* that a perceptron sees whole */
    if (desc->columns < 1 || desc->columns > TW_FLOW_MAX_COLUMNS)
        return tw_fail(ctx, TW_ERR_INVALID, "a flow of %d columns: expected 1 to %d", desc->columns,
                       TW_FLOW_MAX_COLUMNS);
    tw_status status = TW_OK;
    tw_flow *flow = tw_alloc(ctx, 1, sizeof(*flow));
    if (!flow) return tw_fail_memory(ctx, sizeof(*flow));
    flow->ctx = ctx;
    flow->desc.seed = desc->seed;
    TW_TRY(find_pieces(flow, desc));
    TW_TRY(take_image(flow, desc));
    TW_TRY(copy_columns(flow, desc));
    TW_TRY(tw_space_make(ctx, &flow->piece[TW_PIECE_space], desc->columns, desc->names, &flow->space));
    keep_digits(flow);
    TW_TRY(take_mesh(flow, desc->mesh));
    TW_TRY(check_factors(flow));
    if (flow->method->rules->own_path && desc->conditions_count > 0)
        TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "method '%s' takes no conditions: its densities are means over all rows of a batch",
                       flow->method->info.name));
    TW_TRY(take_embedding(flow, desc));
    TW_TRY(tw_flow_take_factors(flow, desc));
    bool ragged = flow->space.ragged;
    if (ragged)
        make_edit_path(flow);
    else
        TW_TRY(make_token_path(flow));
    tw_network_desc network = desc->network;
    network.image = desc->image;
    network.states = ragged ? flow->space.symbols + TW_EDIT_SPECIALS : flow->tokens.states;
    network.blank = ragged ? flow->space.symbols : 0;
    if (flow->method->rules->ordered) network.causal = 1;
    if (!network.kind && network.states > 0 && (ragged || network.causal || desc->columns > FEW_TOKENS))
        network.kind = "ddit";
    if (!network.kind && suits_patches(&desc->image)) network.kind = "patch_unet";
    TW_TRY(tw_network_complete(ctx, &network, &flow->desc.network));
    if (desc->image.height > 0 && flow->space.symbols == 0) TW_TRY(tw_flow_need_flat(flow, "pictures"));
    tw_condition *conditions = NULL;
    TW_TRY(tw_conditions_copy(ctx, desc->conditions_count, desc->conditions, &conditions));
    flow->desc.conditions = conditions;
    flow->desc.conditions_count = desc->conditions_count;
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
    tw_conditions_release(ctx, flow->desc.conditions_count, (tw_condition *)(uintptr_t)flow->desc.conditions);
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
    for (int i = 0; i < TW_PIECE_COUNT; i++) tw_piece_free(ctx, &flow->piece[i]);
    tw_flow_free_factors(flow);
    tw_space_free(ctx, &flow->space);
    tw_premetric_destroy(flow->premetric);
    tw_mesh_destroy(flow->desc.mesh);
    tw_free(ctx, flow->token_distance);
    tw_free(ctx, (void *)(uintptr_t)flow->desc.embedding);
    tw_free(ctx, flow->moving);
    tw_piece_free(ctx, &flow->other_schedule);
    tw_piece_free(ctx, &flow->guidance.piece);
    tw_free(ctx, flow);
}

const tw_flow_desc *tw_flow_about(const tw_flow *flow)
{
    return &flow->desc;
}

bool tw_flow_is_constant(const tw_flow *flow, int column)
{
    return column >= 0 && column < flow->desc.columns && flow->constant[column];
}

int64_t tw_flow_parameters(const tw_flow *flow)
{
    return tw_params_parameters(flow->params);
}

int tw_flow_numbers(const tw_flow *flow)
{
    return flow->space.numbers;
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
