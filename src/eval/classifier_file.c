/* eval/classifier_file.c - a classifier as a .safetensors file: its weights by name, what it judges in the metadata. */
#include "eval/classifier_inside.h"
#include "io/safetensors.h"

#include <stdio.h>
#include <string.h>

enum { KEYS = 3 };
static const char *const keys[KEYS] = {"thalweg", "pictures", "data"};

static void pictures_text(tw_image image, int classes, char *out, size_t size)
{
    snprintf(out, size, "%d x %d x %d, %d classes", image.height, image.width, image.channels, classes);
}

tw_status tw_classifier_save(const tw_classifier *c, const char *path, const char *data)
{
    int count = tw_params_count(c->params);
    char pictures[96];
    const char *value[KEYS] = {"classifier", pictures, data};
    tw_tensor *tensor = tw_alloc(c->ctx, (size_t)count, sizeof *tensor);
    if (!tensor) return tw_fail_memory(c->ctx, (size_t)count * sizeof *tensor);
    pictures_text(c->image, c->classes, pictures, sizeof pictures);
    for (int i = 0; i < count; i++) {
        tw_shape shape = tw_shape_at(tw_params_value(c->params, i));
        tensor[i] = (tw_tensor){.name = (char *)(uintptr_t)tw_params_name(c->params, i),
                                .dtype = "F32",
                                .shape = shape,
                                .data = c->weights + tw_params_offset(c->params, i),
                                .size = (size_t)tw_shape_size(shape) * sizeof(float)};
    }
    tw_status status = tw_safetensors_write(c->ctx, path, count, tensor, KEYS, keys, value);
    tw_free(c->ctx, tensor);
    return status;
}

static tw_status check_word(tw_context *ctx, const char *path, const tw_tensor_file *file, const char *key,
                            const char *wanted)
{
    const char *found = tw_safetensors_metadata(file, key);
    if (found && strcmp(found, wanted) == 0) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID, "%s: the classifier of other data (%s: %.100s)", path, key,
                   found ? found : "not said");
}

tw_status tw_classifier_load(tw_context *ctx, const char *path, tw_image image, int classes, const char *data,
                             tw_classifier **out_classifier)
{
    tw_tensor_file file = {0};
    tw_classifier *c = NULL;
    char pictures[96];
    tw_status status = TW_OK;
    pictures_text(image, classes, pictures, sizeof pictures);
    TW_TRY(tw_safetensors_read(ctx, path, &file));
    TW_TRY(check_word(ctx, path, &file, keys[0], "classifier"));
    TW_TRY(check_word(ctx, path, &file, keys[1], pictures));
    TW_TRY(check_word(ctx, path, &file, keys[2], data));
    TW_TRY(tw_classifier_create(ctx, image, classes, &c));
    for (int i = 0; i < tw_params_count(c->params); i++) {
        int64_t size = tw_shape_size(tw_shape_at(tw_params_value(c->params, i)));
        const void *from = NULL;
        TW_TRY(tw_safetensors_get(ctx, &file, path, tw_params_name(c->params, i), "F32", size, &from));
        memcpy(c->weights + tw_params_offset(c->params, i), from, (size_t)size * sizeof(float));
    }
    *out_classifier = c;
    c = NULL;
done:
    tw_classifier_destroy(c);
    tw_safetensors_free(ctx, &file);
    return status;
}
