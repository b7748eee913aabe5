/* io/mesh_file.h - triangle meshes as files: Wavefront .obj, .off, and .ply (ascii and binary_little_endian). What is
 * no vertex and no face is passed over; polygons are cut into fans. */
#ifndef TW_IO_MESH_FILE_H
#define TW_IO_MESH_FILE_H

#include "base/base.h"

typedef struct tw_mesh_arrays {
    int64_t vertices, faces;
    double *vertex; /* (vertices, 3) */
    int32_t *face;  /* (faces, 3), numbers of vertices from 0, not checked */
    int64_t vertex_capacity, face_capacity;
} tw_mesh_arrays;

/* The format is told by the first bytes; plain or gzip. Errors name path and line. Free with tw_mesh_arrays_free. */
TW_NODISCARD tw_status tw_mesh_file_read(tw_context *ctx, const char *path, tw_mesh_arrays *out_mesh);
/* The same from memory; `bytes` end with a zero byte behind `size`. */
TW_NODISCARD tw_status tw_mesh_file_parse(tw_context *ctx, const char *label, const char *bytes, size_t size,
                                          tw_mesh_arrays *out_mesh);
void tw_mesh_arrays_free(tw_context *ctx, tw_mesh_arrays *mesh);

#endif
