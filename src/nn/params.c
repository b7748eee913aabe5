/* nn/params.c - the named parameters of a network and the scopes they are made in.
 *
 * A parameter is a graph input of its own; all of them lie one behind another in one flat array, each at a multiple of
 * 16 elements (64 bytes of f32), so that optimiser, averaging and files see one block of numbers and kernels see
 * aligned pieces of it. Names are paths ("block.2.in.weight"); asking again for a name returns the same input, which is
 * how weights are shared. */
#include "base/base.h"
#include "base/philox.h"
#include "base/streams.h"
#include "graph/node.h"
#include "nn/sharing.h"

#include <thalweg/nn.h>

#include <stdio.h>
#include <string.h>

typedef struct entry {
    char *name;
    tw_val value;
    tw_shape shape;
    tw_init init;
    double scale;
    int64_t offset;
} entry;

typedef struct attention {
    int32_t path;
    tw_val values;
} attention;

struct tw_params {
    tw_context *ctx;
    tw_graph *graph;
    tw_dtype dtype;
    entry *entries;
    int64_t count, capacity;
    char **paths; /* paths[0] is "" */
    int64_t paths_count, paths_capacity;
    int64_t size, learned;
    tw_training training; /* key TW_NONE: none */
    int drops;            /* calls of tw_drop */
    attention *attentions;
    int64_t attentions_count, attentions_capacity;
    bool take; /* values of attention: of all layers from this one on */
    int64_t take_from;
};

/* "path.name", "path.name.index" or "name" at the root; NULL when memory is used up. */
static char *join(tw_context *ctx, const char *path, const char *name, int index)
{
    size_t size = strlen(path) + strlen(name) + 16;
    char *text = tw_alloc(ctx, size, 1);
    if (!text) return NULL;
    int length = snprintf(text, size, "%s%s%s", path, path[0] ? "." : "", name);
    if (index >= 0) snprintf(text + length, size - (size_t)length, ".%d", index);
    return text;
}

/* Number of a path, made when new; text is taken over. */
static int32_t add_path(tw_params *params, char *text)
{
    if (!text) goto memory;
    for (int64_t i = 0; i < params->paths_count; i++) {
        if (strcmp(params->paths[i], text) != 0) continue;
        tw_graph_set_place(params->graph, text);
        tw_free(params->ctx, text);
        return (int32_t)i;
    }
    if (tw_grow(params->ctx, &params->paths, &params->paths_capacity, params->paths_count + 1, sizeof(char *)) != TW_OK)
        goto memory;
    params->paths[params->paths_count] = text;
    tw_graph_set_place(params->graph, text);
    return (int32_t)params->paths_count++;
memory:
    tw_free(params->ctx, text);
    tw_graph_fail(params->graph, TW_ERR_MEMORY, "out of memory while naming parameters");
    return 0;
}

tw_status tw_params_create(tw_context *ctx, tw_graph *graph, tw_dtype dtype, tw_params **out_params)
{
    if (dtype != TW_DTYPE_F32 && dtype != TW_DTYPE_F64)
        return tw_fail(ctx, TW_ERR_DTYPE, "parameters are f32 or f64, not %s", tw_dtype_name(dtype));
    tw_params *params = tw_alloc(ctx, 1, sizeof(*params));
    if (!params) return tw_fail_memory(ctx, sizeof(*params));
    *params = (tw_params){.ctx = ctx, .graph = graph, .dtype = dtype, .training = {TW_NONE, TW_NONE}};
    tw_status status = tw_grow(ctx, &params->paths, &params->paths_capacity, 1, sizeof(char *));
    if (status == TW_OK) {
        params->paths[0] = tw_strdup(ctx, "");
        if (params->paths[0])
            params->paths_count = 1;
        else
            status = tw_fail_memory(ctx, 1);
    }
    if (status != TW_OK) {
        tw_params_destroy(params);
        return status;
    }
    *out_params = params;
    return TW_OK;
}

void tw_params_destroy(tw_params *params)
{
    if (!params) return;
    tw_context *ctx = params->ctx;
    for (int64_t i = 0; i < params->count; i++) tw_free(ctx, params->entries[i].name);
    for (int64_t i = 0; i < params->paths_count; i++) tw_free(ctx, params->paths[i]);
    tw_free(ctx, params->entries);
    tw_free(ctx, params->paths);
    tw_free(ctx, params->attentions);
    tw_free(ctx, params);
}

int tw_params_count(const tw_params *params)
{
    return (int)params->count;
}
const char *tw_params_name(const tw_params *params, int index)
{
    return params->entries[index].name;
}
tw_val tw_params_value(const tw_params *params, int index)
{
    return params->entries[index].value;
}
int64_t tw_params_offset(const tw_params *params, int index)
{
    return params->entries[index].offset;
}
int64_t tw_params_size(const tw_params *params)
{
    return params->size;
}
int64_t tw_params_parameters(const tw_params *params)
{
    return params->learned;
}

void tw_params_train(tw_params *params, tw_training training)
{
    params->training = training;
    params->drops = 0;
}

bool tw_params_recompute(const tw_params *params)
{
    return params->training.recompute;
}

tw_val tw_drop(tw_scope scope, tw_val x, double probability)
{
    tw_params *p = scope.params;
    if (tw_is_none(x) || tw_is_none(p->training.key) || probability == 0) return x;
    uint32_t stream = TW_STREAM_DROPOUT + ((uint32_t)p->drops++ << 8);
    return tw_dropout(x, probability, p->training.key, p->training.counter, stream);
}

void tw_params_share(tw_params *params, bool take, int layers)
{
    params->take = take;
    params->take_from = layers > 0 ? params->attentions_count - layers : 0;
}

int tw_params_attentions(const tw_params *params)
{
    return (int)params->attentions_count;
}

tw_val tw_shared_values(tw_scope scope, tw_val v)
{
    tw_params *p = scope.params;
    int64_t i = 0;
    if (tw_is_none(v)) return v;
    while (i < p->attentions_count && p->attentions[i].path != scope.path) i++;
    if (p->take) return i >= p->take_from && i < p->attentions_count ? p->attentions[i].values : v;
    if (tw_grow(p->ctx, &p->attentions, &p->attentions_capacity, i + 1, sizeof(attention)) != TW_OK)
        return tw_graph_fail(p->graph, TW_ERR_MEMORY, "out of memory while building attention");
    p->attentions[i] = (attention){scope.path, v};
    p->attentions_count = tw_max_i64(p->attentions_count, i + 1);
    return v;
}

tw_scope tw_scope_root(tw_params *params)
{
    return (tw_scope){params, 0};
}

tw_scope tw_in(tw_scope scope, const char *name)
{
    tw_params *params = scope.params;
    return (tw_scope){params, add_path(params, join(params->ctx, params->paths[scope.path], name, -1))};
}

tw_scope tw_at(tw_scope scope, const char *name, int index)
{
    tw_params *params = scope.params;
    return (tw_scope){params, add_path(params, join(params->ctx, params->paths[scope.path], name, index))};
}

static tw_val find(const tw_params *params, const char *name, tw_shape shape)
{
    for (int64_t i = 0; i < params->count; i++) {
        const entry *e = &params->entries[i];
        if (strcmp(e->name, name) != 0) continue;
        if (tw_shape_equal(e->shape, shape)) return e->value;
        return tw_graph_fail(params->graph, TW_ERR_SHAPE,
                             "parameter %s: asked for again with another shape (%lld elements, was %lld)", name,
                             (long long)tw_shape_size(shape), (long long)tw_shape_size(e->shape));
    }
    return TW_NONE;
}

tw_val tw_param(tw_scope scope, const char *name, tw_shape shape, tw_init init, double scale)
{
    tw_params *params = scope.params;
    char *full = join(params->ctx, params->paths[scope.path], name, -1);
    tw_val value = TW_NONE;
    if (!full) goto memory;
    tw_graph_set_place(params->graph, full);
    int64_t known = params->count;
    value = find(params, full, shape);
    if (!tw_is_none(value) || tw_graph_check(params->graph) != TW_OK) {
        tw_free(params->ctx, full);
        return value;
    }
    if (tw_grow(params->ctx, &params->entries, &params->capacity, known + 1, sizeof(entry)) != TW_OK) goto memory;
    value = tw_input(params->graph, full, params->dtype, shape);
    params->entries[params->count++] =
        (entry){.name = full, .value = value, .shape = shape, .init = init, .scale = scale, .offset = params->size};
    int64_t elements = tw_shape_size(shape);
    params->learned += elements;
    params->size += tw_aligned(elements * (int64_t)sizeof(float)) / (int64_t)sizeof(float);
    return value;
memory:
    tw_free(params->ctx, full);
    return tw_graph_fail(params->graph, TW_ERR_MEMORY, "out of memory while making parameter %s", name);
}

static void init_entry(const entry *e, tw_random random, float *out)
{
    int64_t elements = tw_shape_size(e->shape);
    for (int64_t i = 0; i < elements; i++) {
        switch (e->init) {
        case TW_INIT_ZERO:
            out[i] = 0.0f;
            break;
        case TW_INIT_ONE:
            out[i] = 1.0f;
            break;
        case TW_INIT_UNIFORM:
            out[i] = (float)(e->scale * (2 * tw_random_uniform(&random) - 1));
            break;
        case TW_INIT_NORMAL:
            out[i] = (float)(e->scale * tw_random_normal(&random));
            break;
        }
    }
}

void tw_params_init(const tw_params *params, uint64_t seed, float *flat)
{
    for (int64_t i = 0; i < params->count; i++) {
        tw_random random = {.seed = seed, .stream = TW_STREAM_INIT + ((uint32_t)i << 8)};
        init_entry(&params->entries[i], random, flat + params->entries[i].offset);
    }
}
