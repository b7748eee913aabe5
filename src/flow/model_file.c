/* flow/model_file.c - a flow as one .safetensors file.
 *
 * The tensors are the network's parameters by name (F32), the normaliser's shift and scale (F64), a mesh and an
 * embedding (F64); the metadata holds every piece by name, the columns, the facts and a checksum. Reading checks
 * everything before it allocates by what it read. */
#include "flow/flow.h"

#include "data/levels.h"
#include "flow/checksum.h"
#include "flow/mesh_tensors.h"
#include "flow/metadata.h"

#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

static const char fact_prefix[] = "fact.";

/* "condition.1.name", and its classes or its mean and scale; as many as there are. */
static void describe_conditions(const tw_flow_desc *d, tw_metadata *m)
{
    char key[64];
    for (int i = 0; i < d->conditions_count; i++) {
        const tw_condition *c = &d->conditions[i];
        snprintf(key, sizeof(key), "condition.%d.name", i + 1);
        tw_metadata_add(m, key, c->name);
        if (c->classes > 0) {
            snprintf(key, sizeof(key), "condition.%d.classes", i + 1);
            tw_metadata_add_names(m, key, c->classes, c->level);
            continue;
        }
        snprintf(key, sizeof(key), "condition.%d.mean", i + 1);
        tw_metadata_add_double(m, key, c->mean);
        snprintf(key, sizeof(key), "condition.%d.scale", i + 1);
        tw_metadata_add_double(m, key, c->scale);
    }
}

static void describe(const tw_flow *flow, tw_metadata *m)
{
    const tw_flow_desc *d = &flow->desc;
    char seed[32];
    snprintf(seed, sizeof(seed), "%llu", (unsigned long long)d->seed);
    tw_metadata_add(m, "format", "thalweg-flow");
    tw_metadata_add_int(m, "format_version", TW_FLOW_FORMAT_VERSION);
    tw_metadata_add(m, "thalweg_version", TW_VERSION);
    for (int i = 0; i < TW_PIECE_COUNT; i++) tw_metadata_add(m, tw_flow_piece_at(i)->field, flow->piece[i].text);
    if (d->factor_schedules) tw_metadata_add(m, "factor_schedules", d->factor_schedules);
    if (d->factor_weights) tw_metadata_add(m, "factor_weights", d->factor_weights);
    tw_metadata_add_network(m, &d->network);
    if (d->image.height > 0)
        tw_metadata_add_ints(m, "image", 3, (const int[]){d->image.height, d->image.width, d->image.channels});
    tw_metadata_add(m, "seed", seed);
    tw_metadata_add_names(m, "columns", d->columns, d->names);
    tw_metadata_add_ints(m, "decimals", d->columns, d->decimals);
    tw_metadata_add_ints(m, "constant", d->columns, flow->constant);
    describe_conditions(d, m);
    for (int64_t i = 0; i < flow->facts_count; i++) {
        char key[256];
        snprintf(key, sizeof(key), "%s%s", fact_prefix, flow->facts[i].name);
        tw_metadata_add(m, key, flow->facts[i].value);
    }
}

static tw_tensor make_tensor(const char *name, const char *dtype, tw_shape shape, const void *data, size_t element)
{
    tw_tensor tensor = {
        .name = (char *)(uintptr_t)name, .shape = shape, .data = data, .size = (size_t)tw_shape_size(shape) * element};
    snprintf(tensor.dtype, sizeof(tensor.dtype), "%s", dtype);
    return tensor;
}

/* Behind parameters and normaliser: those of a mesh, an embedding. */
static int more_tensors(const tw_flow *flow)
{
    return (flow->desc.mesh ? TW_MESH_TENSORS : 0) + (flow->desc.embedding != NULL);
}

tw_status tw_flow_save(tw_flow *flow, const char *path)
{
    tw_context *ctx = flow->ctx;
    tw_metadata metadata = {.ctx = ctx};
    int count = tw_params_count(flow->params), all = count + 2 + more_tensors(flow);
    tw_status status = TW_OK;
    tw_tensor *tensors = tw_alloc(ctx, (size_t)all, sizeof(tw_tensor));
    if (!tensors) return tw_fail_memory(ctx, (size_t)all * sizeof(tw_tensor));
    for (int i = 0; i < count; i++)
        tensors[i] = make_tensor(tw_params_name(flow->params, i), "F32", tw_shape_at(tw_params_value(flow->params, i)),
                                 flow->weights + tw_params_offset(flow->params, i), sizeof(float));
    tw_shape columns = tw_shape_of(flow->desc.columns);
    tensors[count] = make_tensor("normaliser.shift", "F64", columns, flow->normaliser.shift, sizeof(double));
    tensors[count + 1] = make_tensor("normaliser.scale", "F64", columns, flow->normaliser.scale, sizeof(double));
    if (flow->desc.mesh) tw_mesh_tensors(flow->desc.mesh, tensors + count + 2);
    if (flow->desc.embedding)
        tensors[all - 1] =
            make_tensor("path.embedding", "F64", tw_shape_of(flow->desc.embedding_symbols, flow->desc.embedding_width),
                        flow->desc.embedding, sizeof(double));
    describe(flow, &metadata);
    TW_TRY(tw_metadata_write(&metadata, path, all, tensors));
done:
    tw_metadata_free(&metadata);
    tw_free(ctx, tensors);
    return status;
}

/* --- loading ----------------------------------------------------------------------------------------------------- */

static tw_status read_names(tw_context *ctx, const char *path, const tw_tensor_file *file, tw_flow_desc *desc)
{
    tw_status status = TW_OK;
    /* format 1 knew the pieces up to the coupling */
    for (int i = 0; i < TW_PIECE_COUNT; i++) {
        const char *field = tw_flow_piece_at(i)->field, **name = tw_flow_piece_name(desc, i);
        if (i > TW_PIECE_coupling && !tw_safetensors_metadata(file, field)) continue;
        TW_TRY(tw_metadata_text(ctx, path, file, field, name));
        if (strchr(*name, '@'))
            TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: %s '%.60s' names a file: a model holds its numbers", path, field,
                           *name));
    }
    desc->factor_schedules = tw_safetensors_metadata(file, "factor_schedules");
    desc->factor_weights = tw_safetensors_metadata(file, "factor_weights");
    TW_TRY(tw_metadata_network(ctx, path, file, &desc->network));
    TW_TRY(tw_metadata_seed(ctx, path, file, "seed", &desc->seed));
done:
    return status;
}

/* Rows that are pictures say so. */
static tw_status read_image(tw_context *ctx, const char *path, const tw_tensor_file *file, tw_image *out)
{
    int size[3];
    if (!tw_safetensors_metadata(file, "image")) return TW_OK;
    tw_status status = tw_metadata_ints(ctx, path, file, "image", 3, 1, TW_FLOW_MAX_COLUMNS, size);
    if (status == TW_OK) *out = (tw_image){size[0], size[1], size[2]};
    return status;
}

static tw_status read_condition(tw_context *ctx, const char *path, const tw_tensor_file *file, int number,
                                tw_condition *out)
{
    char key[64];
    const char *name = NULL;
    tw_status status = TW_OK;
    snprintf(key, sizeof(key), "condition.%d.name", number);
    TW_TRY(tw_metadata_text(ctx, path, file, key, &name));
    if (!(out->name = tw_strdup(ctx, name))) TW_TRY(tw_fail_memory(ctx, strlen(name) + 1));
    snprintf(key, sizeof(key), "condition.%d.classes", number);
    if (tw_safetensors_metadata(file, key)) {
        char **levels = NULL;
        TW_TRY(tw_metadata_names(ctx, path, file, key, TW_LEVELS_MAX, &out->classes, &levels));
        out->level = (const char *const *)levels;
        return TW_OK;
    }
    snprintf(key, sizeof(key), "condition.%d.mean", number);
    TW_TRY(tw_metadata_double(ctx, path, file, key, &out->mean));
    snprintf(key, sizeof(key), "condition.%d.scale", number);
    TW_TRY(tw_metadata_double(ctx, path, file, key, &out->scale));
    if (!isfinite(out->mean) || !(out->scale > 0) || !isfinite(out->scale))
        TW_TRY(
            tw_fail(ctx, TW_ERR_FORMAT, "%s: condition '%s' has no finite mean and positive scale", path, out->name));
done:
    return status;
}

static tw_status read_conditions(tw_context *ctx, const char *path, const tw_tensor_file *file, tw_flow_desc *desc)
{
    char key[64];
    int count = 0;
    tw_status status = TW_OK;
    do snprintf(key, sizeof(key), "condition.%d.name", ++count);
    while (tw_safetensors_metadata(file, key));
    if (--count == 0) return TW_OK;
    tw_condition *conditions = tw_alloc(ctx, (size_t)count, sizeof(*conditions));
    if (!conditions) return tw_fail_memory(ctx, (size_t)count * sizeof(*conditions));
    desc->conditions = conditions;
    desc->conditions_count = count;
    for (int i = 0; i < count; i++) TW_TRY(read_condition(ctx, path, file, i + 1, &conditions[i]));
done:
    return status;
}

/* It stays where the file has it. */
static tw_status read_embedding(tw_context *ctx, const char *path, const tw_tensor_file *file, tw_flow_desc *desc)
{
    const tw_tensor *tensor = tw_safetensors_find(file, "path.embedding");
    const void *data = NULL;
    if (!tensor) return TW_OK;
    tw_status status = tw_safetensors_get(ctx, file, path, tensor->name, "F64", -1, &data);
    if (status != TW_OK) return status;
    if (tensor->shape.rank != 2 || tensor->shape.dim[0] > INT_MAX || tensor->shape.dim[1] > INT_MAX)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: its embedding is no table", path);
    desc->embedding = data;
    desc->embedding_symbols = (int)tensor->shape.dim[0];
    desc->embedding_width = (int)tensor->shape.dim[1];
    return TW_OK;
}

/* A flow without weights, from the metadata; the sentence of a piece this version does not know names the file. */
static tw_status read_description(tw_context *ctx, const char *path, const tw_tensor_file *file, tw_flow **out_flow)
{
    tw_flow_desc desc = {0};
    char **names = NULL;
    int *decimals = NULL;
    tw_status status = TW_OK;
    TW_TRY(read_names(ctx, path, file, &desc));
    TW_TRY(tw_metadata_names(ctx, path, file, "columns", TW_FLOW_MAX_COLUMNS, &desc.columns, &names));
    decimals = tw_alloc(ctx, (size_t)desc.columns, sizeof(int));
    if (!decimals) TW_TRY(tw_fail_memory(ctx, (size_t)desc.columns * sizeof(int)));
    TW_TRY(tw_metadata_ints(ctx, path, file, "decimals", desc.columns, -1, 17, decimals));
    desc.names = (const char *const *)names;
    desc.decimals = decimals;
    TW_TRY(read_image(ctx, path, file, &desc.image));
    TW_TRY(read_conditions(ctx, path, file, &desc));
    TW_TRY(tw_mesh_of_tensors(ctx, path, file, &desc.mesh));
    TW_TRY(read_embedding(ctx, path, file, &desc));
    status = tw_flow_create_empty(ctx, &desc, out_flow);
    if (status != TW_OK && status != TW_ERR_MEMORY) {
        char why[700];
        snprintf(why, sizeof(why), "%s", tw_context_error(ctx));
        status = tw_fail(ctx, TW_ERR_FORMAT, "%s: %s", path, why);
    }
done:
    for (int i = 0; names && i < desc.columns; i++) tw_free(ctx, names[i]);
    tw_free(ctx, names);
    tw_free(ctx, decimals);
    tw_mesh_destroy(desc.mesh); /* which the flow shares */
    tw_conditions_release(ctx, desc.conditions_count, (tw_condition *)(uintptr_t)desc.conditions);
    return status;
}

static tw_status read_normaliser(const char *path, const tw_tensor_file *file, tw_flow *flow)
{
    tw_context *ctx = flow->ctx;
    int columns = flow->desc.columns;
    const void *shift = NULL, *scale = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_safetensors_get(ctx, file, path, "normaliser.shift", "F64", columns, &shift));
    TW_TRY(tw_safetensors_get(ctx, file, path, "normaliser.scale", "F64", columns, &scale));
    TW_TRY(tw_metadata_ints(ctx, path, file, "constant", columns, 0, 1, flow->constant));
    memcpy(flow->normaliser.shift, shift, (size_t)columns * sizeof(double));
    memcpy(flow->normaliser.scale, scale, (size_t)columns * sizeof(double));
    for (int i = 0; i < columns; i++)
        if (!isfinite(flow->normaliser.shift[i]) || !isfinite(flow->normaliser.scale[i]) ||
            !(flow->normaliser.scale[i] > 0))
            TW_TRY(tw_fail(ctx, TW_ERR_FORMAT,
                           "%s: the normaliser of column '%s' is not a finite shift and a positive scale", path,
                           flow->desc.names[i]));
done:
    return status;
}

static tw_status read_weights(const char *path, const tw_tensor_file *file, tw_flow *flow)
{
    tw_context *ctx = flow->ctx;
    int count = tw_params_count(flow->params);
    const void *data = NULL;
    tw_status status = TW_OK;
    for (int i = 0; i < count; i++) {
        const char *name = tw_params_name(flow->params, i);
        tw_shape shape = tw_shape_at(tw_params_value(flow->params, i));
        TW_TRY(tw_safetensors_get(ctx, file, path, name, "F32", tw_shape_size(shape), &data));
        if (!tw_shape_equal(tw_safetensors_find(file, name)->shape, shape))
            TW_TRY(
                tw_fail(ctx, TW_ERR_SHAPE, "%s: tensor '%s' has another shape than the network described", path, name));
    }
    int all = count + 2 + more_tensors(flow);
    if (file->count != all)
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: %d tensors, expected %d for the network described", path, file->count,
                       all));
    TW_TRY(tw_flow_alloc_weights(flow));
    for (int i = 0; i < count; i++) {
        const tw_tensor *tensor = tw_safetensors_find(file, tw_params_name(flow->params, i));
        memcpy(flow->weights + tw_params_offset(flow->params, i), tensor->data, tensor->size);
    }
done:
    return status;
}

static tw_status read_facts(const tw_tensor_file *file, tw_flow *flow)
{
    size_t prefix = sizeof(fact_prefix) - 1;
    for (int i = 0; i < file->keys_count; i++) {
        if (strncmp(file->key[i], fact_prefix, prefix) != 0) continue;
        tw_status status = tw_flow_set_fact(flow, file->key[i] + prefix, file->value[i]);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

tw_status tw_flow_load(tw_context *ctx, const char *path, tw_flow **out_flow)
{
    tw_tensor_file file = {0};
    tw_flow *flow = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_safetensors_read(ctx, path, &file));
    TW_TRY(tw_metadata_format(ctx, path, &file, "model", "thalweg-flow", TW_FLOW_FORMAT_VERSION));
    TW_TRY(read_description(ctx, path, &file, &flow));
    TW_TRY(read_normaliser(path, &file, flow));
    TW_TRY(read_weights(path, &file, flow));
    TW_TRY(tw_checksum_verify(ctx, path, &file));
    TW_TRY(read_facts(&file, flow));
    *out_flow = flow;
    flow = NULL;
done:
    tw_flow_destroy(flow);
    tw_safetensors_free(ctx, &file);
    return status;
}
