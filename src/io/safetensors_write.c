/* io/safetensors_write.c - writing: the format allows no gaps between tensors, so alignment comes from order: types
 * with large elements lie first. The header is padded with blanks so that the data begin at a multiple of 8. */
#include "io/safetensors.h"

#include "base/file.h"
#include "base/text.h"

#include <string.h>

static tw_status check_tensor(tw_context *ctx, const char *path, const tw_tensor *t)
{
    const char *name = t->name ? t->name : "";
    size_t bytes = tw_safetensors_dtype_size(t->dtype);
    if (!*name || strcmp(name, "__metadata__") == 0)
        return tw_fail(ctx, TW_ERR_INVALID, "%s: a tensor cannot be named '%s'", path, name);
    if (bytes == 0)
        return tw_fail(ctx, TW_ERR_DTYPE, "%s: tensor '%s': unknown number type '%.8s'", path, name, t->dtype);
    if (t->shape.rank < 0 || t->shape.rank > TW_MAX_RANK)
        return tw_fail(ctx, TW_ERR_SHAPE, "%s: tensor '%s' has %d dimensions", path, name, (int)t->shape.rank);
    bool overflow = false;
    for (int i = 0; i < t->shape.rank; i++)
        overflow |= t->shape.dim[i] < 0 || __builtin_mul_overflow(bytes, (size_t)t->shape.dim[i], &bytes);
    if (overflow || bytes != t->size)
        return tw_fail(ctx, TW_ERR_SHAPE, "%s: tensor '%s': its %zu bytes are not what its shape and type say", path,
                       name, t->size);
    return TW_OK;
}

static bool appears_before(const tw_tensor *tensor, int index)
{
    for (int i = 0; i < index; i++)
        if (strcmp(tensor[i].name, tensor[index].name) == 0) return true;
    return false;
}

/* Byte offsets of the data, in four sweeps: elements of 8, 4, 2, 1 bytes. */
static size_t lay_out(int count, const tw_tensor *tensor, size_t *offset)
{
    size_t at = 0;
    for (size_t width = 8; width; width /= 2)
        for (int i = 0; i < count; i++)
            if (tw_safetensors_dtype_size(tensor[i].dtype) == width) {
                offset[i] = at;
                at += tensor[i].size;
            }
    return at;
}

static void add_metadata(tw_text *text, int count, const char *const *key, const char *const *value)
{
    tw_text_add(text, "\"__metadata__\":{");
    for (int i = 0; i < count; i++) {
        if (i) tw_text_add(text, ",");
        tw_text_add_json_string(text, key[i]);
        tw_text_add(text, ":");
        tw_text_add_json_string(text, value[i]);
    }
    tw_text_add(text, "}");
}

static void add_tensor(tw_text *text, const tw_tensor *t, size_t offset)
{
    tw_text_add_json_string(text, t->name);
    tw_text_add(text, ":{\"dtype\":\"%s\",\"shape\":[", t->dtype);
    for (int i = 0; i < t->shape.rank; i++) tw_text_add(text, i ? ",%lld" : "%lld", (long long)t->shape.dim[i]);
    tw_text_add(text, "],\"data_offsets\":[%zu,%zu]}", offset, offset + t->size);
}

static tw_status write_all(tw_writer *writer, const tw_text *header, int count, const tw_tensor *tensor)
{
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)((uint64_t)header->length >> (8 * i));
    tw_status status = TW_OK;
    TW_TRY(tw_writer_write(writer, length, sizeof length));
    TW_TRY(tw_writer_write(writer, header->data, header->length));
    for (size_t width = 8; width; width /= 2)
        for (int i = 0; i < count; i++)
            if (tensor[i].size && tw_safetensors_dtype_size(tensor[i].dtype) == width)
                TW_TRY(tw_writer_write(writer, tensor[i].data, tensor[i].size));
done:
    return status;
}

tw_status tw_safetensors_write(tw_context *ctx, const char *path, int count, const tw_tensor *tensor, int keys_count,
                               const char *const *key, const char *const *value)
{
    tw_status status = TW_OK;
    tw_text header = tw_text_new(ctx);
    tw_writer writer = {0};
    size_t *offset = tw_alloc(ctx, (size_t)tw_max_i64(count, 1), sizeof(size_t));
    if (!offset) {
        status = tw_fail_memory(ctx, (size_t)count * sizeof(size_t));
        goto done;
    }
    for (int i = 0; i < count; i++) {
        TW_TRY(check_tensor(ctx, path, &tensor[i]));
        if (!appears_before(tensor, i)) continue;
        status = tw_fail(ctx, TW_ERR_INVALID, "%s: two tensors are named '%s'", path, tensor[i].name);
        goto done;
    }
    lay_out(count, tensor, offset);
    tw_text_add(&header, "{");
    if (keys_count > 0) add_metadata(&header, keys_count, key, value);
    for (int i = 0; i < count; i++) {
        if (i || keys_count > 0) tw_text_add(&header, ",");
        add_tensor(&header, &tensor[i], offset[i]);
    }
    tw_text_add(&header, "}");
    while (header.length % 8 != 0 && !header.failed) tw_text_add(&header, " ");
    TW_TRY(tw_text_check(&header));
    TW_TRY(tw_writer_open(ctx, path, &writer));
    TW_TRY(write_all(&writer, &header, count, tensor));
    status = tw_writer_commit(&writer);
done:
    tw_writer_abandon(&writer);
    tw_text_free(&header);
    tw_free(ctx, offset);
    return status;
}
