/* surface.h - triangle meshes as data: points drawn on one, uniform by area or with a density proportional to the positive
 * part of an eigenfunction, which is known exactly. */
#ifndef THALWEG_CLI_SURFACE_H
#define THALWEG_CLI_SURFACE_H

#include "options.h"

#include <thalweg/data.h>
#include <thalweg/mesh.h>

/* By its name: .obj, .off or .ply, .gz too. */
bool is_mesh_file(const char *path);
/* The mesh that data lives on, NULL: none. It is the data itself where that is a mesh. */
const char *mesh_of(const settings *s);
/* Values at the vertices (vertices) of eigenfunction number k, from 1. */
TW_NODISCARD tw_status surface_eigenfunction(tw_mesh *mesh, int64_t k, double *out);
/* --rows points of the mesh in a file, by --eigenfunction and --seed; columns x, y, z. */
TW_NODISCARD tw_status surface_open(tw_context *ctx, const settings *s, const char *path, const tw_dataset_desc *desc,
                                    tw_dataset **out_data);

#endif
