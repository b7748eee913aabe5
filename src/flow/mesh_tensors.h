/* flow/mesh_tensors.h - a flow's mesh within its model file: vertices, faces and the eigenpairs of its distance. */
#ifndef TW_FLOW_MESH_TENSORS_H
#define TW_FLOW_MESH_TENSORS_H

#include "io/safetensors.h"

#include <thalweg/mesh.h>

enum { TW_MESH_TENSORS = 4 };

/* They point into the mesh. */
void tw_mesh_tensors(const tw_mesh *mesh, tw_tensor out[TW_MESH_TENSORS]);
/* *out_mesh NULL where the file has none. */
TW_NODISCARD tw_status tw_mesh_of_tensors(tw_context *ctx, const char *path, const tw_tensor_file *file,
                                          tw_mesh **out_mesh);

#endif
