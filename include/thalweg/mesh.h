/* thalweg/mesh.h - triangle meshes as spaces: surfaces in R^3 whose points are x, y, z on one of the faces.
 *
 * A mesh is oriented and a manifold, with or without a boundary: an edge belongs to one or two faces, which run along
 * it in opposite directions. Its spectrum is that of the Laplace-Beltrami operator of functions linear in each face:
 * cotangent stiffness L and lumped mass M, L phi = lambda M phi (Pinkall, Polthier 1993; Meyer et al. 2003). */
#ifndef THALWEG_MESH_H
#define THALWEG_MESH_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_mesh tw_mesh;

typedef struct tw_mesh_info {
    int64_t vertices, faces, boundary_edges, components;
    int64_t euler;               /* characteristic: vertices - edges + faces */
    const double *vertex;        /* (vertices, 3), valid as long as the mesh */
    const int32_t *face;         /* (faces, 3): numbers of vertices from 0 */
    double area;                 /* of all faces */
    double centre[3], size;      /* mean of its points, and their root mean square distance from it */
    int64_t eigenpairs;          /* those known so far, without the constant one */
    const double *eigenvalue;    /* (eigenpairs), ascending */
    const double *eigenfunction; /* (vertices, eigenpairs), of which M-products are those of unit vectors */
} tw_mesh_info;

/* From arrays, which are copied. Fails where a face has no area, a vertex no face, an edge more than two faces, and
 * where neighbours are turned opposite ways: which, is in the sentence. */
TW_NODISCARD TW_API tw_status tw_mesh_create(tw_context *ctx, int64_t vertices, const double *vertex, int64_t faces,
                                             const int32_t *face, tw_mesh **out_mesh);
/* From an .obj, .off or .ply file (plain or gzip). Polygons are cut into fans of triangles. */
TW_NODISCARD TW_API tw_status tw_mesh_read(tw_context *ctx, const char *path, tw_mesh **out_mesh);
TW_API void tw_mesh_destroy(tw_mesh *mesh);
TW_API const tw_mesh_info *tw_mesh_about(const tw_mesh *mesh);

/* The point of the mesh closest to x, and how far that is. */
TW_API double tw_mesh_closest(const tw_mesh *mesh, const double x[3], double out[3]);
/* Draws n points (n,3): uniform by area, or with a density proportional to the positive part of a function that is
 * given at the vertices and linear in each face. The same for a seed on every machine. Fails where the function is
 * nowhere positive. */
TW_NODISCARD TW_API tw_status tw_mesh_draw(const tw_mesh *mesh, const double *function, uint64_t seed, int64_t n,
                                           double *out);
/* Makes the first `count` eigenpairs known, the constant one not counted, by ARPACK (TW_ERR_UNSUPPORTED in a library
 * built without it). Does nothing where as many are known. */
TW_NODISCARD TW_API tw_status tw_mesh_find_eigenpairs(tw_mesh *mesh, int64_t count);

#ifdef __cplusplus
}
#endif
#endif
