/* flow/import.c - weights of peers' networks into a flow and back (thalweg/import.h).
 *
 * A class that stands for being told nothing is a row r of the embedding which every row without a class adds to the
 * embedding of time: here r is a part of that embedding's bias, and the other rows are differences from it. */
#include "flow/architecture.h"
#include "graph/node.h"
#include "nn/dit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static const char scope[] = "network.";

/* --- which of the networks in a file -------------------------------------------------------------------------------
 */

/* How much a prefix is wanted: averaged weights most, then the shortest. */
static int wanted(const char *prefix, size_t length)
{
    bool average = false, optimiser = false;
    for (size_t i = 0; i + 3 <= length; i++) {
        average = average || strncmp(prefix + i, "ema", 3) == 0;
        optimiser = optimiser || strncmp(prefix + i, "opt", 3) == 0;
    }
    return (average ? 2000 : 1000) - (int)tw_min_i64((int64_t)length, 900) - (optimiser ? 1000 : 0);
}

/* The best prefix of a tensor called `name`: a copy to be freed. */
static tw_status find_prefix(tw_context *ctx, const tw_weights *w, const char *name, const char *as, char **out_prefix)
{
    const char *best = NULL;
    size_t best_length = 0, own = strlen(name);
    int found = 0;
    for (int64_t i = 0; i < w->count; i++) {
        const char *full = tw_weights_at(w, i).name;
        size_t length = strlen(full);
        if (length < own || strcmp(full + length - own, name) != 0) continue;
        length -= own;
        if (length > 0 && full[length - 1] != '.') continue;
        found++;
        if (best && wanted(full, length) <= wanted(best, best_length)) continue;
        best = full;
        best_length = length;
    }
    if (!found)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: no network of architecture '%s': there is no tensor '%s'", w->path, as,
                       name);
    char *prefix = tw_alloc(ctx, best_length + 1, 1);
    if (!prefix) return tw_fail_memory(ctx, best_length + 1);
    memcpy(prefix, best, best_length);
    if (found > 1) tw_report(ctx, TW_LOG_INFO, "%s: of %d networks the one at '%s'", w->path, found, prefix);
    *out_prefix = prefix;
    return TW_OK;
}

/* --- numbers -------------------------------------------------------------------------------------------------------
 */

typedef struct job {
    tw_context *ctx;
    const tw_architecture *a;
    tw_state_dict dict;
    tw_weights *weights;
    tw_flow *flow;
    float *memory; /* of one tensor */
} job;

static int find_parameter(const tw_flow *flow, const char *name)
{
    for (int i = 0; i < tw_params_count(flow->params); i++) {
        const char *full = tw_params_name(flow->params, i);
        if (strncmp(full, scope, strlen(scope)) == 0 && strcmp(full + strlen(scope), name) == 0) return i;
    }
    return -1;
}

static float *parameter(const tw_flow *flow, int index)
{
    return flow->weights + tw_params_offset(flow->params, index);
}

static tw_foreign tensor_of(const job *j, int index)
{
    const char *name = tw_params_name(j->flow->params, index) + strlen(scope);
    return tw_architecture_tensor(j->a, &j->flow->desc.network, name,
                                  tw_shape_at(tw_params_value(j->flow->params, index)));
}

static bool same_numbers(tw_shape a, tw_shape b)
{
    /* a convolution of one pixel may be kept as a linear layer, and the reverse */
    while (a.rank > 2 && a.dim[a.rank - 1] == 1) a.rank--;
    while (b.rank > 2 && b.dim[b.rank - 1] == 1) b.rank--;
    return tw_shape_equal(a, b);
}

/* The averages of flow_matching's EMA lie beside the network, "shadow_params.0" and on, in its parameters' order. */
static int64_t averaged(const job *j, int64_t index)
{
    size_t length = strlen(j->dict.prefix), inner = strlen("model.");
    if (length < inner || strcmp(j->dict.prefix + length - inner, "model.") != 0) return index;
    char name[600];
    int64_t before = 0;
    for (int64_t i = 0; i < index; i++)
        before += strncmp(tw_weights_at(j->weights, i).name, j->dict.prefix, length) == 0;
    snprintf(name, sizeof name, "%.*sshadow_params.%lld", (int)(length - inner), j->dict.prefix, (long long)before);
    for (int64_t i = 0; i < j->weights->count; i++)
        if (strcmp(tw_weights_at(j->weights, i).name, name) == 0) return i;
    return index;
}

static tw_status read_parameter(job *j, int index)
{
    tw_foreign f = tensor_of(j, index);
    int64_t at = tw_state_dict_find(&j->dict, f.name);
    if (at < 0)
        return tw_fail(j->ctx, TW_ERR_FORMAT, "%s: tensor '%s%s' is missing", j->weights->path, j->dict.prefix, f.name);
    tw_weight_info info = tw_weights_at(j->weights, at = averaged(j, at));
    if (!same_numbers(info.shape, f.theirs))
        return tw_fail(j->ctx, TW_ERR_SHAPE, "%s: tensor '%s' is %s, expected %s", j->weights->path, info.name,
                       tw_shape_show(info.shape).text, tw_shape_show(f.theirs).text);
    tw_status status = tw_weights_get(j->weights, at, j->memory);
    if (status != TW_OK) return status;
    tw_foreign_copy(&f, j->memory, parameter(j->flow, index), true);
    return TW_OK;
}

/* The null class, last in memory, goes from the table to the bias. */
static tw_status move_null_class(job *j)
{
    int table = find_parameter(j->flow, j->a->table), bias = find_parameter(j->flow, j->a->bias);
    if (!j->a->null_class || table < 0 || bias < 0) return TW_OK;
    tw_status status = read_parameter(j, table); /* once more, for the row behind the others */
    if (status != TW_OK) return status;
    tw_shape s = tw_shape_at(tw_params_value(j->flow->params, table));
    int64_t classes = s.dim[0], width = s.dim[1];
    const float *row = j->memory + classes * width;
    float *to = parameter(j->flow, table), *sum = parameter(j->flow, bias);
    for (int64_t i = 0; i < classes * width; i++) to[i] -= row[i % width];
    for (int64_t i = 0; i < width; i++) sum[i] += row[i];
    return TW_OK;
}

/* Positions that are sines and cosines are said, not kept. */
static bool has_waves(const job *j, const tw_flow_desc *d)
{
    int64_t at = tw_state_dict_find(&j->dict, "pos_embed");
    int height = d->image.height / d->network.patch, width = d->image.width / d->network.patch;
    int64_t count = (int64_t)height * width * d->network.width;
    if (at < 0 || tw_shape_size(tw_weights_at(j->weights, at).shape) != count || d->network.width % 4) return false;
    double *waves = tw_alloc(j->ctx, (size_t)count, sizeof *waves), off = 0;
    if (!waves || tw_weights_get(j->weights, at, j->memory) != TW_OK) {
        tw_free(j->ctx, waves);
        return false;
    }
    tw_dit_positions(height, width, d->network.width, waves);
    for (int64_t i = 0; i < count; i++) off = fmax(off, fabs((double)j->memory[i] - waves[i]));
    tw_free(j->ctx, waves);
    return off < 1e-4; /* rounding of angles in single precision */
}

/* --- in ------------------------------------------------------------------------------------------------------------
 */

static tw_status alloc_memory(job *j)
{
    int64_t most = 1;
    for (int64_t i = 0; i < j->weights->count; i++)
        most = tw_max_i64(most, tw_shape_size(tw_weights_at(j->weights, i).shape));
    j->memory = tw_alloc(j->ctx, (size_t)most, sizeof(float));
    return j->memory ? TW_OK : tw_fail_memory(j->ctx, (size_t)most * sizeof(float));
}

/* Condition "class" with levels "0", "1", ...; memory is the caller's. */
static void name_classes(int classes, char (*text)[12], const char **level, tw_condition *out)
{
    for (int i = 0; i < classes; i++) {
        snprintf(text[i], sizeof text[i], "%d", i);
        level[i] = text[i];
    }
    *out = (tw_condition){.name = "class", .classes = classes, .level = level};
}

static tw_status create(job *j, const tw_import_desc *desc)
{
    tw_flow_desc d = desc->flow;
    tw_condition told = {0};
    int classes = 0;
    char(*text)[12] = NULL;
    const char **level = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_architecture_infer(j->a, &j->dict, &d, &classes));
    if (d.network.learn_positions && d.network.patch > 0 && has_waves(j, &d)) d.network.learn_positions = 0;
    int64_t columns = (int64_t)d.image.height * d.image.width * d.image.channels;
    if (columns < 1 || columns > TW_FLOW_MAX_COLUMNS)
        TW_TRY(tw_fail(j->ctx, TW_ERR_INVALID, "%s: images of %d x %d pixels and %d channels, expected 1 to %d numbers",
                       j->weights->path, d.image.height, d.image.width, d.image.channels, TW_FLOW_MAX_COLUMNS));
    d.columns = (int)columns;
    if (classes > 0) {
        text = tw_alloc(j->ctx, (size_t)classes, sizeof *text);
        level = tw_alloc(j->ctx, (size_t)classes, sizeof *level);
        if (!text || !level) TW_TRY(tw_fail_memory(j->ctx, (size_t)classes * sizeof *text));
        name_classes(classes, text, level, &told);
        d.conditions = &told;
        d.conditions_count = 1;
    }
    TW_TRY(tw_flow_create_empty(j->ctx, &d, &j->flow));
    TW_TRY(tw_flow_alloc_weights(j->flow));
done:
    tw_free(j->ctx, text);
    tw_free(j->ctx, level);
    return status;
}

static void set_units(tw_flow *flow, const tw_import_desc *desc)
{
    int channels = flow->desc.image.channels;
    bool pixels = desc->scale == 0 && (channels == 1 || channels == 3);
    for (int i = 0; i < flow->desc.columns; i++) {
        flow->normaliser.shift[i] = pixels ? 127.5 : desc->shift;
        flow->normaliser.scale[i] = pixels ? 127.5 : desc->scale > 0 ? desc->scale : 1;
    }
}

tw_status tw_flow_import(tw_context *ctx, const char *path, const tw_import_desc *desc, tw_flow **out_flow)
{
    tw_weights weights = {0};
    job j = {.ctx = ctx, .weights = &weights};
    char *prefix = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_architecture_find(ctx, desc->as ? desc->as : "", &j.a));
    TW_TRY(tw_weights_read(ctx, path, &weights));
    if (!desc->prefix) TW_TRY(find_prefix(ctx, &weights, j.a->sign, desc->as, &prefix));
    j.dict = (tw_state_dict){.ctx = ctx, .weights = &weights, .prefix = prefix ? prefix : desc->prefix};
    if (tw_state_dict_find(&j.dict, j.a->sign) < 0)
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: no network at '%s': tensor '%s' is missing", path, j.dict.prefix,
                       j.a->sign));
    TW_TRY(alloc_memory(&j));
    TW_TRY(create(&j, desc));
    for (int i = 0; i < tw_params_count(j.flow->params); i++) TW_TRY(read_parameter(&j, i));
    TW_TRY(move_null_class(&j));
    set_units(j.flow, desc);
    TW_TRY(tw_flow_set_fact(j.flow, "imported", j.a->info.name));
    *out_flow = j.flow;
    j.flow = NULL;
done:
    tw_flow_destroy(j.flow);
    tw_free(ctx, j.memory);
    tw_free(ctx, prefix);
    tw_weights_free(&weights);
    return status;
}

/* --- out -----------------------------------------------------------------------------------------------------------
 */

static tw_tensor make_tensor(const char *name, tw_shape shape, const float *data)
{
    return (tw_tensor){.name = (char *)(uintptr_t)name,
                       .dtype = "F32",
                       .shape = shape,
                       .data = data,
                       .size = (size_t)tw_shape_size(shape) * sizeof(float)};
}

/* Sines and cosines as the originals keep them. */
static tw_status add_positions(const tw_flow *flow, float **out_data, tw_tensor *out)
{
    const tw_network_desc *n = &flow->desc.network;
    int height = n->image.height / n->patch, width = n->image.width / n->patch;
    int64_t count = (int64_t)height * width * n->width;
    double *wide = tw_alloc(flow->ctx, (size_t)count, sizeof *wide);
    float *data = tw_alloc(flow->ctx, (size_t)count, sizeof *data);
    if (wide && data) {
        tw_dit_positions(height, width, n->width, wide);
        for (int64_t i = 0; i < count; i++) data[i] = (float)wide[i];
    }
    tw_free(flow->ctx, wide);
    *out_data = data;
    *out = make_tensor("pos_embed", tw_shape_of(1, (int64_t)height * width, n->width), data);
    return wide && data ? TW_OK : tw_fail_memory(flow->ctx, (size_t)count * sizeof *wide);
}

static tw_status check_export(const tw_flow *flow, const tw_architecture *a)
{
    tw_context *ctx = flow->ctx;
    const tw_flow_desc *d = &flow->desc;
    if (strcmp(d->network.kind, a->network) != 0)
        return tw_fail(ctx, TW_ERR_INVALID, "architecture '%s' has network '%s', the flow '%s'", a->info.name,
                       a->network, d->network.kind);
    if (d->conditions_count > 1 || (d->conditions_count == 1 && d->conditions[0].classes == 0))
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "architecture '%s' is told one class, the flow other conditions",
                       a->info.name);
    for (int i = 0; i < tw_params_count(flow->params); i++)
        if (strncmp(tw_params_name(flow->params, i), scope, strlen(scope)) != 0)
            return tw_fail(ctx, TW_ERR_UNSUPPORTED, "method '%s' trains more than the network ('%s')",
                           flow->method->info.name, tw_params_name(flow->params, i));
    return TW_OK;
}

tw_status tw_flow_export(tw_flow *flow, const char *as, const char *path)
{
    tw_context *ctx = flow->ctx;
    job j = {.ctx = ctx, .flow = flow};
    int count = tw_params_count(flow->params);
    tw_tensor *tensor = tw_alloc(ctx, (size_t)count + 1, sizeof *tensor);
    float **data = tw_alloc(ctx, (size_t)count + 1, sizeof *data);
    tw_status status = TW_OK;
    if (!tensor || !data) TW_TRY(tw_fail_memory(ctx, (size_t)count * sizeof *tensor));
    TW_TRY(tw_architecture_find(ctx, as ? as : "", &j.a));
    TW_TRY(check_export(flow, j.a));
    for (int i = 0; i < count; i++) {
        tw_foreign f = tensor_of(&j, i);
        data[i] = tw_alloc(ctx, (size_t)tw_shape_size(f.theirs), sizeof(float)); /* zeros: the row of a null class */
        if (!data[i]) TW_TRY(tw_fail_memory(ctx, (size_t)tw_shape_size(f.theirs) * sizeof(float)));
        tw_foreign_copy(&f, parameter(flow, i), data[i], false);
        tensor[i] = make_tensor(f.name, f.theirs, data[i]);
    }
    int all = count;
    if (strcmp(j.a->network, "dit") == 0 && !flow->desc.network.learn_positions)
        TW_TRY(add_positions(flow, &data[count], &tensor[all++]));
    const char *keys[] = {"format", "made_by"}, *values[] = {"pt", "Thalweg " TW_VERSION};
    TW_TRY(tw_safetensors_write(ctx, path, all, tensor, 2, keys, values));
done:
    for (int i = 0; data && i <= count; i++) tw_free(ctx, data[i]);
    tw_free(ctx, data);
    tw_free(ctx, tensor);
    return status;
}
