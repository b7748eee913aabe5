/* flow/metadata.c - see metadata.h. */
#include "flow/metadata.h"

#include "base/text.h"
#include "flow/checksum.h"
#include "nn/fields.h"

#include <cjson/cJSON.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- writing ---------------------------------------------------------------------------------------------------- */

void tw_metadata_add(tw_metadata *m, const char *key, const char *value)
{
    if (m->status != TW_OK) return;
    m->status = tw_grow(m->ctx, &m->key, &m->key_capacity, m->count + 1, sizeof(char *));
    if (m->status == TW_OK) m->status = tw_grow(m->ctx, &m->value, &m->value_capacity, m->count + 1, sizeof(char *));
    if (m->status != TW_OK) return;
    char *k = tw_strdup(m->ctx, key), *v = tw_strdup(m->ctx, value);
    if (!k || !v) {
        tw_free(m->ctx, k);
        tw_free(m->ctx, v);
        m->status = tw_fail_memory(m->ctx, strlen(key) + strlen(value) + 2);
        return;
    }
    m->key[m->count] = k;
    m->value[m->count++] = v;
}

/* Adds a text under construction and frees it. */
static void add_text(tw_metadata *m, const char *key, tw_text *text)
{
    if (m->status == TW_OK) m->status = tw_text_check(text);
    if (m->status == TW_OK) tw_metadata_add(m, key, text->data ? text->data : "");
    tw_text_free(text);
}

void tw_metadata_add_int(tw_metadata *m, const char *key, int64_t value)
{
    tw_text text = tw_text_new(m->ctx);
    tw_text_add(&text, "%lld", (long long)value);
    add_text(m, key, &text);
}

void tw_metadata_add_double(tw_metadata *m, const char *key, double value)
{
    tw_text text = tw_text_new(m->ctx);
    tw_text_add_double(&text, value, false);
    add_text(m, key, &text);
}

void tw_metadata_add_names(tw_metadata *m, const char *key, int count, const char *const *names)
{
    tw_text text = tw_text_new(m->ctx);
    for (int i = 0; i < count; i++) {
        tw_text_add(&text, "%s", i == 0 ? "[" : ", ");
        tw_text_add_json_string(&text, names[i]);
    }
    tw_text_add(&text, "]");
    add_text(m, key, &text);
}

void tw_metadata_add_ints(tw_metadata *m, const char *key, int count, const int *values)
{
    tw_text text = tw_text_new(m->ctx);
    for (int i = 0; i < count; i++) tw_text_add(&text, "%s%d", i == 0 ? "[" : ", ", values[i]);
    tw_text_add(&text, "]");
    add_text(m, key, &text);
}

void tw_metadata_add_network(tw_metadata *m, const tw_network_desc *network)
{
    int count;
    const tw_field_default *fields = tw_network_fields_of(network->kind, &count);
    tw_metadata_add(m, "network.kind", network->kind);
    for (int i = 0; i < count; i++) {
        char key[64], text[TW_FIELD_TEXT];
        snprintf(key, sizeof(key), "network.%s", tw_network_fields[fields[i].field].name);
        tw_field_write(network, (int)fields[i].field, text);
        tw_metadata_add(m, key, text);
    }
}

void tw_metadata_free(tw_metadata *m)
{
    for (int64_t i = 0; i < m->count; i++) {
        tw_free(m->ctx, m->key[i]);
        tw_free(m->ctx, m->value[i]);
    }
    tw_free(m->ctx, m->key);
    tw_free(m->ctx, m->value);
    *m = (tw_metadata){.ctx = m->ctx};
}

tw_status tw_metadata_write(tw_metadata *m, const char *path, int count, const tw_tensor *tensor)
{
    uint64_t hash =
        tw_checksum_tensors(count, tensor, (int)m->count, (const char *const *)m->key, (const char *const *)m->value);
    tw_metadata_add(m, "checksum", tw_checksum_show(hash).text);
    if (m->status != TW_OK) return m->status;
    return tw_safetensors_write(m->ctx, path, count, tensor, (int)m->count, (const char *const *)m->key,
                                (const char *const *)m->value);
}

/* --- reading ---------------------------------------------------------------------------------------------------- */

tw_status tw_metadata_text(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                           const char **out_value)
{
    const char *value = tw_safetensors_metadata(file, key);
    if (!value) return tw_fail(ctx, TW_ERR_FORMAT, "%s: its metadata lacks '%s'", path, key);
    *out_value = value;
    return TW_OK;
}

tw_status tw_metadata_int(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key, int64_t low,
                          int64_t high, int64_t *out_value)
{
    const char *text = NULL;
    int64_t value;
    tw_status status = tw_metadata_text(ctx, path, file, key, &text);
    if (status != TW_OK) return status;
    if (!tw_parse_int(text, &value) || value < low || value > high)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s' is '%.40s', expected a whole number from %lld to %lld",
                       path, key, text, (long long)low, (long long)high);
    *out_value = value;
    return TW_OK;
}

tw_status tw_metadata_seed(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                           uint64_t *out_value)
{
    const char *text = NULL;
    char *end = NULL;
    tw_status status = tw_metadata_text(ctx, path, file, key, &text);
    if (status != TW_OK) return status;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || errno != 0)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s' is '%.40s', expected a seed", path, key, text);
    *out_value = value;
    return TW_OK;
}

tw_status tw_metadata_double(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                             double *out_value)
{
    const char *text = NULL;
    tw_status status = tw_metadata_text(ctx, path, file, key, &text);
    if (status != TW_OK) return status;
    if (!tw_parse_double(text, strlen(text), out_value))
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s' is '%.40s', expected a number", path, key, text);
    return TW_OK;
}

tw_status tw_metadata_network(tw_context *ctx, const char *path, const tw_tensor_file *file,
                              tw_network_desc *out_network)
{
    tw_network_desc network = {0};
    int count;
    tw_status status = tw_metadata_text(ctx, path, file, "network.kind", &network.kind);
    if (status != TW_OK) return status;
    const tw_field_default *fields = tw_network_fields_of(network.kind, &count);
    for (int i = 0; i < count; i++) {
        const char *text = NULL;
        char key[64], why[256];
        snprintf(key, sizeof(key), "network.%s", tw_network_fields[fields[i].field].name);
        if (tw_network_fields[fields[i].field].type == TW_FIELD_FLAG && !tw_safetensors_metadata(file, key))
            continue; /* it was written before there was this choice, which is then not made */
        status = tw_metadata_text(ctx, path, file, key, &text);
        if (status != TW_OK) return status;
        if (tw_field_read(ctx, (int)fields[i].field, text, &network) == TW_OK) continue;
        snprintf(why, sizeof(why), "%s", tw_context_error(ctx));
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s': %s", path, key, why);
    }
    *out_network = network;
    return TW_OK;
}

static tw_status parse_array(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                             cJSON **out_array)
{
    const char *text = NULL;
    tw_status status = tw_metadata_text(ctx, path, file, key, &text);
    if (status != TW_OK) return status;
    cJSON *array = cJSON_ParseWithOpts(text, NULL, true);
    if (!cJSON_IsArray(array)) {
        cJSON_Delete(array);
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s' is not a JSON array", path, key);
    }
    *out_array = array;
    return TW_OK;
}

tw_status tw_metadata_names(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key, int limit,
                            int *out_count, char ***out_names)
{
    cJSON *array = NULL;
    char **names = NULL;
    int count = 0;
    tw_status status = TW_OK;
    TW_TRY(parse_array(ctx, path, file, key, &array));
    int size = cJSON_GetArraySize(array);
    if (size < 1 || size > limit)
        TW_TRY(
            tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s' has %d entries, expected 1 to %d", path, key, size, limit));
    names = tw_alloc(ctx, (size_t)size, sizeof(char *));
    if (!names) TW_TRY(tw_fail_memory(ctx, (size_t)size * sizeof(char *)));
    for (const cJSON *item = array->child; item; item = item->next) {
        if (!cJSON_IsString(item))
            TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s': entry %d is not a string", path, key, count + 1));
        names[count] = tw_strdup(ctx, item->valuestring);
        if (!names[count]) TW_TRY(tw_fail_memory(ctx, strlen(item->valuestring) + 1));
        count++;
    }
    *out_count = count;
    *out_names = names;
    names = NULL;
done:
    for (int i = 0; names && i < count; i++) tw_free(ctx, names[i]);
    tw_free(ctx, names);
    cJSON_Delete(array);
    return status;
}

tw_status tw_metadata_ints(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key, int count,
                           int low, int high, int *out_values)
{
    cJSON *array = NULL;
    int i = 0;
    tw_status status = parse_array(ctx, path, file, key, &array);
    if (status != TW_OK) return status;
    if (cJSON_GetArraySize(array) != count)
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s' has %d entries, expected %d", path, key,
                       cJSON_GetArraySize(array), count));
    for (const cJSON *item = array->child; item; item = item->next, i++) {
        double value = cJSON_IsNumber(item) ? item->valuedouble : (double)low - 1;
        if (!(value >= low && value <= high) || value != (double)(int)value)
            TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata '%s': entry %d is not a whole number from %d to %d", path,
                           key, i + 1, low, high));
        out_values[i] = (int)value;
    }
done:
    cJSON_Delete(array);
    return status;
}

tw_status tw_metadata_format(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *what,
                             const char *format, int version)
{
    const char *stated = tw_safetensors_metadata(file, "format");
    int64_t number;
    if (!stated || strcmp(stated, format) != 0)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: not a Thalweg %s (its metadata says format '%.40s', expected '%s')",
                       path, what, stated ? stated : "", format);
    const char *text = tw_safetensors_metadata(file, "format_version");
    if (!text || !tw_parse_int(text, &number) || number < 1)
        return tw_fail(ctx, TW_ERR_FORMAT, "%s: metadata 'format_version' is '%.40s', expected a whole number", path,
                       text ? text : "");
    if (number > version)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "%s: written in format version %lld by a newer Thalweg (%.40s); this one reads up to version %d",
                       path, (long long)number,
                       tw_safetensors_metadata(file, "thalweg_version")
                           ? tw_safetensors_metadata(file, "thalweg_version")
                           : "unknown",
                       version);
    return TW_OK;
}
