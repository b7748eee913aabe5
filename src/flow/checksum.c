/* flow/checksum.c - multiply and fold, eight bytes at a time (the idea of FNV-1a with wider words). */
#include "flow/checksum.h"

#include <stdio.h>
#include <string.h>

static uint64_t mix(uint64_t hash, uint64_t word)
{
    hash = (hash ^ word) * 0x9FB21C651E98DF25u;
    return hash ^ (hash >> 29);
}

uint64_t tw_checksum(uint64_t hash, const void *data, size_t size)
{
    const unsigned char *bytes = data;
    hash = mix(hash, (uint64_t)size + 0x7477u);
    for (; size >= 8; size -= 8, bytes += 8) {
        uint64_t word;
        memcpy(&word, bytes, 8);
        hash = mix(hash, word);
    }
    uint64_t word = 0;
    if (size > 0) memcpy(&word, bytes, size);
    return mix(mix(hash, word), 0);
}

uint64_t tw_checksum_tensors(int count, const tw_tensor *tensor, int keys_count, const char *const *key,
                             const char *const *value)
{
    uint64_t sum = 0;
    for (int i = 0; i < count; i++) {
        uint64_t hash = tw_checksum(1, tensor[i].name, strlen(tensor[i].name));
        hash = tw_checksum(hash, tensor[i].dtype, strlen(tensor[i].dtype));
        hash = tw_checksum(hash, tensor[i].shape.dim, (size_t)tensor[i].shape.rank * sizeof(int64_t));
        sum += tw_checksum(hash, tensor[i].data, tensor[i].size);
    }
    for (int i = 0; i < keys_count; i++) {
        if (strcmp(key[i], "checksum") == 0) continue;
        sum += tw_checksum(tw_checksum(2, key[i], strlen(key[i])), value[i], strlen(value[i]));
    }
    return sum;
}

tw_checksum_text tw_checksum_show(uint64_t hash)
{
    tw_checksum_text text;
    snprintf(text.text, sizeof(text.text), "%016llx", (unsigned long long)hash);
    return text;
}

tw_status tw_checksum_verify(tw_context *ctx, const char *path, const tw_tensor_file *file)
{
    const char *stated = tw_safetensors_metadata(file, "checksum");
    if (!stated) return tw_fail(ctx, TW_ERR_FORMAT, "%s: its metadata lacks 'checksum'", path);
    uint64_t hash = tw_checksum_tensors(file->count, file->tensor, file->keys_count, (const char *const *)file->key,
                                        (const char *const *)file->value);
    if (strcmp(tw_checksum_show(hash).text, stated) == 0) return TW_OK;
    return tw_fail(ctx, TW_ERR_FORMAT, "%s: damaged: its contents do not match its checksum", path);
}
