/* flow/mesh_tensors.c - see mesh_tensors.h. */
#include "flow/mesh_tensors.h"

#include "space/mesh.h"

#include <math.h>
#include <stdio.h>

static const struct {
    const char *name, *dtype;
    size_t element;
} kinds[TW_MESH_TENSORS] = {{"mesh.vertex", "F64", sizeof(double)},
                            {"mesh.face", "I32", sizeof(int32_t)},
                            {"mesh.eigenvalue", "F64", sizeof(double)},
                            {"mesh.eigenfunction", "F64", sizeof(double)}};

void tw_mesh_tensors(const tw_mesh *mesh, tw_tensor out[TW_MESH_TENSORS])
{
    const tw_mesh_info *info = tw_mesh_about(mesh);
    const void *data[] = {info->vertex, info->face, info->eigenvalue, info->eigenfunction};
    const tw_shape shape[] = {tw_shape_of(info->vertices, 3), tw_shape_of(info->faces, 3), tw_shape_of(info->eigenpairs),
                              tw_shape_of(info->vertices, info->eigenpairs)};
    for (int i = 0; i < TW_MESH_TENSORS; i++) {
        out[i] = (tw_tensor){.name = (char *)(uintptr_t)kinds[i].name,
                             .shape = shape[i],
                             .data = data[i],
                             .size = (size_t)tw_shape_size(shape[i]) * kinds[i].element};
        snprintf(out[i].dtype, sizeof out[i].dtype, "%s", kinds[i].dtype);
    }
}

static tw_status check_finite(tw_context *ctx, const char *path, int64_t count, const double *x, double low)
{
    for (int64_t i = 0; i < count; i++)
        if (!(x[i] > low) || !isfinite(x[i]))
            return tw_fail(ctx, TW_ERR_FORMAT, "%s: the eigenpairs of its mesh are none", path);
    return TW_OK;
}

tw_status tw_mesh_of_tensors(tw_context *ctx, const char *path, const tw_tensor_file *file, tw_mesh **out_mesh)
{
    const tw_tensor *first = tw_safetensors_find(file, kinds[0].name);
    const void *data[TW_MESH_TENSORS];
    int64_t size[TW_MESH_TENSORS];
    tw_mesh *mesh = NULL;
    tw_status status = TW_OK;
    *out_mesh = NULL;
    if (!first) return TW_OK;
    for (int i = 0; i < TW_MESH_TENSORS; i++) {
        TW_TRY(tw_safetensors_get(ctx, file, path, kinds[i].name, kinds[i].dtype, -1, &data[i]));
        size[i] = tw_shape_size(tw_safetensors_find(file, kinds[i].name)->shape);
    }
    int64_t vertices = size[0] / 3, faces = size[1] / 3, pairs = size[2];
    if (size[0] != 3 * vertices || size[1] != 3 * faces || pairs < 1 || pairs >= vertices || size[3] != vertices * pairs)
        TW_TRY(tw_fail(ctx, TW_ERR_FORMAT, "%s: the shapes of its mesh do not fit each other", path));
    TW_TRY(check_finite(ctx, path, pairs, data[2], 0));
    TW_TRY(check_finite(ctx, path, size[3], data[3], -(double)INFINITY));
    TW_TRY(tw_mesh_create(ctx, vertices, data[0], faces, data[1], &mesh));
    TW_TRY(tw_mesh_set_eigenpairs(mesh, pairs, data[2], data[3]));
    *out_mesh = mesh;
    mesh = NULL;
done:
    tw_mesh_destroy(mesh);
    return status;
}
