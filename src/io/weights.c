/* io/weights.c - see weights.h. */
#include "io/weights.h"

#include "base/file.h"
#include "io/half.h"

#include <stdio.h>
#include <string.h>

static bool is_safetensors(const char *path)
{
    unsigned char head[9] = {0};
    FILE *file = fopen(path, "rb");
    size_t got = file ? fread(head, 1, sizeof head, file) : 0;
    if (file) fclose(file);
    return got == sizeof head && head[8] == '{'; /* the JSON header behind its length */
}

tw_status tw_weights_read(tw_context *ctx, const char *path, tw_weights *out_weights)
{
    tw_weights w = {.ctx = ctx, .path = path, .torch = !is_safetensors(path)};
    tw_status status = w.torch ? tw_torch_read(ctx, path, &w.archive) : tw_safetensors_read(ctx, path, &w.tensors);
    if (status != TW_OK) return status;
    w.count = w.torch ? w.archive.count : w.tensors.count;
    *out_weights = w;
    return TW_OK;
}

void tw_weights_free(tw_weights *weights)
{
    if (!weights->ctx) return;
    tw_safetensors_free(weights->ctx, &weights->tensors);
    tw_torch_free(&weights->archive);
    *weights = (tw_weights){0};
}

tw_weight_info tw_weights_at(const tw_weights *weights, int64_t index)
{
    if (weights->torch) {
        const tw_torch_tensor *t = &weights->archive.tensor[index];
        return (tw_weight_info){t->name, t->dtype, t->shape};
    }
    const tw_tensor *t = &weights->tensors.tensor[index];
    return (tw_weight_info){t->name, t->dtype, t->shape};
}

/* --- numbers of each type ------------------------------------------------------------------------------------------
 */

static float brain(uint16_t bits)
{
    uint32_t wide = (uint32_t)bits << 16;
    float out;
    memcpy(&out, &wide, sizeof out);
    return out;
}

#define READ(type, value)                                                                                              \
    for (int64_t i = 0; i < count; i++) {                                                                              \
        type v;                                                                                                        \
        memcpy(&v, from + (size_t)i * sizeof v, sizeof v);                                                             \
        out[i] = (float)(value);                                                                                       \
    }

/* False for a type of no numbers we know. */
static bool convert(const char *dtype, const char *from, int64_t count, float *out)
{
    if (strcmp(dtype, "F32") == 0)
        memcpy(out, from, (size_t)count * sizeof(float));
    else if (strcmp(dtype, "F64") == 0)
        READ(double, v)
    else if (strcmp(dtype, "F16") == 0)
        READ(uint16_t, tw_half(v))
    else if (strcmp(dtype, "BF16") == 0)
        READ(uint16_t, brain(v))
    else if (strcmp(dtype, "U64") == 0)
        READ(uint64_t, v)
    else if (strcmp(dtype, "U32") == 0)
        READ(uint32_t, v)
    else if (strcmp(dtype, "U16") == 0)
        READ(uint16_t, v)
    else if (strcmp(dtype, "I64") == 0)
        READ(int64_t, v)
    else if (strcmp(dtype, "I32") == 0)
        READ(int32_t, v)
    else if (strcmp(dtype, "I16") == 0)
        READ(int16_t, v)
    else if (strcmp(dtype, "I8") == 0)
        READ(int8_t, v)
    else if (strcmp(dtype, "U8") == 0 || strcmp(dtype, "BOOL") == 0)
        READ(uint8_t, v)
    else
        return false;
    return true;
}

tw_status tw_weights_get(tw_weights *weights, int64_t index, float *out)
{
    tw_context *ctx = weights->ctx;
    tw_weight_info info = tw_weights_at(weights, index);
    int64_t count = tw_shape_size(info.shape);
    size_t bytes = (size_t)count * tw_safetensors_dtype_size(info.dtype);
    const char *from = weights->torch ? NULL : weights->tensors.tensor[index].data;
    char *copy = NULL;
    tw_status status = TW_OK;
    if (weights->torch) {
        from = copy = tw_alloc(ctx, bytes, 1);
        if (!copy) return tw_fail_memory(ctx, bytes);
        TW_TRY(tw_torch_elements(&weights->archive, index, copy));
    }
    if (!convert(info.dtype, from, count, out))
        status =
            tw_fail(ctx, TW_ERR_DTYPE, "%s: tensor '%s' is %s, expected numbers", weights->path, info.name, info.dtype);
done:
    tw_free(ctx, copy);
    return status;
}
