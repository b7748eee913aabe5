/* space/mesh.c - a triangle mesh from vertices and faces: which faces are neighbours, normals, areas; points drawn on
 * it.
 *
 * Normals of vertices are means of the faces' weighted by angles, which do not depend on how a surface is cut into
 * triangles (Thuermer, Wuethrich 1998). */
#include "space/mesh.h"

#include "base/philox.h"
#include "base/streams.h"
#include "io/mesh_file.h"
#include "space/space.h"
#include "space/vector3.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const double *tw_mesh_corner(const tw_mesh *mesh, int64_t face, int corner)
{
    return mesh->vertex + 3 * (int64_t)mesh->face[3 * face + corner];
}

double tw_mesh_area(const tw_mesh *mesh, int64_t face)
{
    return mesh->below[face + 1] - mesh->below[face];
}

void tw_mesh_point(const tw_mesh *mesh, const tw_mesh_place *place, double out[3])
{
    for (int j = 0; j < 3; j++) {
        out[j] = 0;
        for (int i = 0; i < 3; i++) out[j] += place->share[i] * tw_mesh_corner(mesh, place->face, i)[j];
    }
}

/* n x (edge opposite the corner) / twice the area. */
void tw_mesh_slopes(const tw_mesh *mesh, int64_t face, double out[9])
{
    double twice = 2 * tw_mesh_area(mesh, face);
    for (int i = 0; i < 3; i++) {
        double edge[3];
        v3_sub(tw_mesh_corner(mesh, face, (i + 2) % 3), tw_mesh_corner(mesh, face, (i + 1) % 3), edge);
        v3_cross(mesh->normal + 3 * face, edge, out + 3 * i);
        v3_scale(1 / twice, out + 3 * i, out + 3 * i);
    }
}

tw_mesh_place tw_mesh_cross(const tw_mesh *mesh, const tw_mesh_place *place, int corner, int *out_corner)
{
    tw_mesh_place other = {.face = mesh->across[3 * place->face + corner]};
    for (int j = 0; j < 3; j++) {
        int32_t vertex = mesh->face[3 * other.face + j];
        bool found = false;
        for (int i = 0; i < 3; i++)
            if (i != corner && mesh->face[3 * place->face + i] == vertex) {
                other.share[j] = place->share[i];
                found = true;
            }
        if (!found) *out_corner = j;
    }
    return other;
}

/* --- neighbours ------------------------------------------------------------------------------------------------------
 */

typedef struct side {
    int32_t low, high, face;
    int8_t corner;
    bool upwards; /* the face goes along it from low to high */
} side;

static int by_ends(const void *a, const void *b)
{
    const side *x = a, *y = b;
    if (x->low != y->low) return x->low < y->low ? -1 : 1;
    if (x->high != y->high) return x->high < y->high ? -1 : 1;
    return x->face < y->face ? -1 : x->face > y->face;
}

static tw_status join_sides(tw_mesh *m, int64_t count, const side *s)
{
    for (int64_t i = 0; i < count;) {
        int64_t end = i + 1;
        while (end < count && s[end].low == s[i].low && s[end].high == s[i].high) end++;
        if (end - i > 2)
            return tw_fail(m->ctx, TW_ERR_INVALID,
                           "mesh: the edge of vertices %d and %d belongs to %d faces, expected at most 2", s[i].low + 1,
                           s[i].high + 1, (int)(end - i));
        if (end - i == 2 && s[i].upwards == s[i + 1].upwards)
            return tw_fail(m->ctx, TW_ERR_INVALID,
                           "mesh: faces %d and %d are turned opposite ways (expected all corners "
                           "counterclockwise, seen from outside)",
                           s[i].face + 1, s[i + 1].face + 1);
        m->info.boundary_edges += end - i == 1;
        m->across[3 * s[i].face + s[i].corner] = end - i == 2 ? s[i + 1].face : -1;
        if (end - i == 2) m->across[3 * s[i + 1].face + s[i + 1].corner] = s[i].face;
        i = end;
    }
    int64_t edges = (count + m->info.boundary_edges) / 2;
    m->info.euler = m->info.vertices - edges + m->info.faces;
    return TW_OK;
}

static tw_status find_neighbours(tw_mesh *m)
{
    int64_t count = 3 * m->info.faces;
    side *s = tw_alloc(m->ctx, (size_t)count, sizeof *s);
    if (!s) return tw_fail_memory(m->ctx, (size_t)count * sizeof *s);
    for (int64_t i = 0; i < count; i++) {
        int64_t f = i / 3;
        int corner = (int)(i % 3);
        int32_t a = m->face[3 * f + (corner + 1) % 3], b = m->face[3 * f + (corner + 2) % 3];
        s[i] = (side){a < b ? a : b, a < b ? b : a, (int32_t)f, (int8_t)corner, a < b};
    }
    qsort(s, (size_t)count, sizeof *s, by_ends);
    tw_status status = join_sides(m, count, s);
    tw_free(m->ctx, s);
    return status;
}

static tw_status find_rings(tw_mesh *m)
{
    int64_t vertices = m->info.vertices, count = 3 * m->info.faces;
    for (int64_t i = 0; i < count; i++) m->begin[m->face[i] + 1]++;
    for (int64_t v = 0; v < vertices; v++) {
        if (m->begin[v + 1] == 0)
            return tw_fail(m->ctx, TW_ERR_INVALID, "mesh: vertex %lld belongs to no face", (long long)v + 1);
        m->begin[v + 1] += m->begin[v];
    }
    for (int64_t i = count - 1; i >= 0; i--) m->ring[--m->begin[m->face[i] + 1]] = (int32_t)(i / 3);
    memmove(m->begin, m->begin + 1, (size_t)vertices * sizeof *m->begin);
    m->begin[vertices] = (int32_t)count;
    return TW_OK;
}

/* Parts that no edge joins, by a walk from each face not yet seen. */
static tw_status count_components(tw_mesh *m)
{
    int64_t faces = m->info.faces, waiting = 0;
    int32_t *stack = tw_alloc(m->ctx, (size_t)faces, sizeof *stack);
    bool *seen = tw_alloc(m->ctx, (size_t)faces, sizeof *seen);
    for (int64_t f = 0; stack && seen && f < faces; f++) {
        if (seen[f]) continue;
        m->info.components++;
        seen[f] = true;
        stack[waiting++] = (int32_t)f;
        while (waiting > 0) {
            int64_t at = stack[--waiting];
            for (int i = 0; i < 3; i++) {
                int32_t next = m->across[3 * at + i];
                if (next < 0 || seen[next]) continue;
                seen[next] = true;
                stack[waiting++] = next;
            }
        }
    }
    bool made = stack && seen;
    tw_free(m->ctx, stack);
    tw_free(m->ctx, seen);
    return made ? TW_OK : tw_fail_memory(m->ctx, (size_t)faces * sizeof *stack);
}

/* --- measures --------------------------------------------------------------------------------------------------------
 */

static tw_status measure_faces(tw_mesh *m)
{
    for (int64_t f = 0; f < m->info.faces; f++) {
        double a[3], b[3], *n = m->normal + 3 * f;
        v3_sub(tw_mesh_corner(m, f, 1), tw_mesh_corner(m, f, 0), a);
        v3_sub(tw_mesh_corner(m, f, 2), tw_mesh_corner(m, f, 0), b);
        v3_cross(a, b, n);
        double twice = sqrt(v3_dot(n, n));
        if (!(twice > 1e-14 * (v3_dot(a, a) + v3_dot(b, b))) || !isfinite(twice))
            return tw_fail(m->ctx, TW_ERR_INVALID, "mesh: face %lld has no area", (long long)f + 1);
        v3_scale(1 / twice, n, n);
        m->below[f + 1] = m->below[f] + 0.5 * twice;
    }
    m->info.area = m->below[m->info.faces];
    return TW_OK;
}

static void measure_normals(tw_mesh *m)
{
    for (int64_t f = 0; f < m->info.faces; f++)
        for (int i = 0; i < 3; i++) {
            double a[3], b[3], across[3];
            v3_sub(tw_mesh_corner(m, f, (i + 1) % 3), tw_mesh_corner(m, f, i), a);
            v3_sub(tw_mesh_corner(m, f, (i + 2) % 3), tw_mesh_corner(m, f, i), b);
            v3_cross(a, b, across);
            double angle = atan2(sqrt(v3_dot(across, across)), v3_dot(a, b));
            v3_add(m->upright + 3 * (int64_t)m->face[3 * f + i], angle, m->normal + 3 * f);
        }
    for (int64_t v = 0; v < m->info.vertices; v++) {
        double *n = m->upright + 3 * v, square = v3_dot(n, n);
        if (square > 0) v3_scale(1 / sqrt(square), n, n);
    }
}

/* Integrals over faces of x and of |x - centre|^2, which a quadratic's are by the middles of edges. */
static void measure_whole(tw_mesh *m)
{
    double square = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int64_t f = 0; f < m->info.faces; f++)
            for (int i = 0; i < 3; i++) {
                double middle[3] = {0}, share = tw_mesh_area(m, f) / m->info.area / 3;
                v3_add(middle, 0.5, tw_mesh_corner(m, f, i));
                v3_add(middle, 0.5, tw_mesh_corner(m, f, (i + 1) % 3));
                if (pass == 0) v3_add(m->info.centre, share, middle);
                v3_add(middle, -1, m->info.centre);
                if (pass == 1) square += share * v3_dot(middle, middle);
            }
    m->info.size = sqrt(square);
}

/* --- making and ending -----------------------------------------------------------------------------------------------
 */

static tw_status check_arrays(tw_context *ctx, int64_t vertices, const double *vertex, int64_t faces,
                              const int32_t *face)
{
    enum { MOST = 1 << 24 };
    if (vertices < 3 || faces < 1 || vertices > MOST || faces > MOST)
        return tw_fail(ctx, TW_ERR_INVALID, "mesh: %lld vertices and %lld faces, expected 3 and 1 at least, %d at most",
                       (long long)vertices, (long long)faces, MOST);
    for (int64_t i = 0; i < 3 * vertices; i++)
        if (!isfinite(vertex[i]))
            return tw_fail(ctx, TW_ERR_INVALID, "mesh: vertex %lld is not finite", (long long)i / 3 + 1);
    for (int64_t f = 0; f < faces; f++) {
        const int32_t *c = face + 3 * f;
        for (int i = 0; i < 3; i++)
            if (c[i] < 0 || c[i] >= vertices)
                return tw_fail(ctx, TW_ERR_INVALID, "mesh: face %lld has vertex %lld of %lld", (long long)f + 1,
                               (long long)c[i] + 1, (long long)vertices);
        if (c[0] == c[1] || c[1] == c[2] || c[2] == c[0])
            return tw_fail(ctx, TW_ERR_INVALID, "mesh: face %lld has a vertex twice", (long long)f + 1);
    }
    return TW_OK;
}

static tw_status alloc_arrays(tw_mesh *m)
{
    tw_context *ctx = m->ctx;
    size_t vertices = (size_t)m->info.vertices, faces = (size_t)m->info.faces;
    m->vertex = tw_alloc(ctx, 3 * vertices, sizeof(double));
    m->upright = tw_alloc(ctx, 3 * vertices, sizeof(double));
    m->face = tw_alloc(ctx, 3 * faces, sizeof(int32_t));
    m->across = tw_alloc(ctx, 3 * faces, sizeof(int32_t));
    m->ring = tw_alloc(ctx, 3 * faces, sizeof(int32_t));
    m->begin = tw_alloc(ctx, vertices + 1, sizeof(int32_t));
    m->normal = tw_alloc(ctx, 3 * faces, sizeof(double));
    m->below = tw_alloc(ctx, faces + 1, sizeof(double));
    if (m->vertex && m->upright && m->face && m->across && m->ring && m->begin && m->normal && m->below) return TW_OK;
    return tw_fail_memory(ctx, 3 * (vertices + faces) * sizeof(double));
}

tw_status tw_mesh_create(tw_context *ctx, int64_t vertices, const double *vertex, int64_t faces, const int32_t *face,
                         tw_mesh **out_mesh)
{
    tw_status status = check_arrays(ctx, vertices, vertex, faces, face);
    if (status != TW_OK) return status;
    tw_mesh *m = tw_alloc(ctx, 1, sizeof *m);
    if (!m) return tw_fail_memory(ctx, sizeof *m);
    m->ctx = ctx;
    m->references = 1;
    m->info.vertices = vertices;
    m->info.faces = faces;
    TW_TRY(alloc_arrays(m));
    memcpy(m->vertex, vertex, 3 * (size_t)vertices * sizeof(double));
    memcpy(m->face, face, 3 * (size_t)faces * sizeof(int32_t));
    m->info.vertex = m->vertex;
    m->info.face = m->face;
    TW_TRY(find_neighbours(m));
    TW_TRY(find_rings(m));
    TW_TRY(measure_faces(m));
    TW_TRY(count_components(m));
    measure_normals(m);
    measure_whole(m);
    TW_TRY(tw_mesh_build_boxes(m));
    tw_mesh_make_calls(m);
    *out_mesh = m;
    m = NULL;
done:
    tw_mesh_destroy(m);
    return status;
}

tw_mesh *tw_mesh_share(tw_mesh *mesh)
{
    mesh->references++;
    return mesh;
}

void tw_mesh_destroy(tw_mesh *m)
{
    if (!m || --m->references > 0) return;
    tw_context *ctx = m->ctx;
    tw_free(ctx, m->vertex);
    tw_free(ctx, m->upright);
    tw_free(ctx, m->face);
    tw_free(ctx, m->across);
    tw_free(ctx, m->ring);
    tw_free(ctx, m->begin);
    tw_free(ctx, m->normal);
    tw_free(ctx, m->below);
    tw_free(ctx, m->box);
    tw_free(ctx, m->order);
    tw_free(ctx, m->eigenvalue);
    tw_free(ctx, m->eigenfunction);
    tw_free(ctx, m);
}

const tw_mesh_info *tw_mesh_about(const tw_mesh *mesh)
{
    return &mesh->info;
}

tw_status tw_mesh_set_eigenpairs(tw_mesh *m, int64_t count, const double *value, const double *function)
{
    size_t numbers = (size_t)count * (size_t)m->info.vertices;
    double *values = tw_alloc(m->ctx, (size_t)count, sizeof(double)),
           *functions = tw_alloc(m->ctx, numbers, sizeof(double));
    if (!values || !functions) {
        tw_free(m->ctx, values);
        tw_free(m->ctx, functions);
        return tw_fail_memory(m->ctx, numbers * sizeof(double));
    }
    memcpy(values, value, (size_t)count * sizeof(double));
    memcpy(functions, function, numbers * sizeof(double));
    tw_free(m->ctx, m->eigenvalue);
    tw_free(m->ctx, m->eigenfunction);
    m->info.eigenpairs = count;
    m->info.eigenvalue = m->eigenvalue = values;
    m->info.eigenfunction = m->eigenfunction = functions;
    return TW_OK;
}

/* --- draws -----------------------------------------------------------------------------------------------------------
 */

/* The face in which a share of a sum that grows from face to face is. */
static int64_t face_of(const double *below, int64_t faces, double target)
{
    int64_t low = 0, high = faces - 1;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (below[middle + 1] > target)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

void tw_mesh_uniform(const tw_mesh *m, const double *z, double *out)
{
    double u[3];
    for (int j = 0; j < 3; j++) u[j] = tw_normal_share(z[j]);
    double root = sqrt(u[1]);
    tw_mesh_place at = {.face = face_of(m->below, m->info.faces, m->info.area * u[0]),
                        .share = {1 - root, root * (1 - u[2]), root * u[2]}};
    tw_mesh_point(m, &at, out);
}

/* Faces by their area times the largest value at a corner; places within them are refused by the value there. */
tw_status tw_mesh_draw(const tw_mesh *m, const double *function, uint64_t seed, int64_t n, double *out)
{
    tw_random random = {.seed = seed, .stream = TW_STREAM_MESH};
    int64_t faces = m->info.faces;
    double *below = tw_alloc(m->ctx, (size_t)faces + 1, sizeof(double));
    if (!below) return tw_fail_memory(m->ctx, (size_t)faces * sizeof(double));
    for (int64_t f = 0; f < faces; f++) {
        double most = function ? 0 : 1;
        for (int i = 0; function && i < 3; i++) most = fmax(most, function[m->face[3 * f + i]]);
        below[f + 1] = below[f] + most * tw_mesh_area(m, f);
    }
    bool some = below[faces] > 0 && isfinite(below[faces]);
    for (int64_t i = 0; some && i < n;) {
        tw_mesh_place at = {.face = face_of(below, faces, below[faces] * tw_random_uniform(&random))};
        double root = sqrt(tw_random_uniform(&random)), v = tw_random_uniform(&random),
               accept = tw_random_uniform(&random);
        at.share[0] = 1 - root;
        at.share[1] = root * (1 - v);
        at.share[2] = root * v;
        double value = 0, most = (below[at.face + 1] - below[at.face]) / tw_mesh_area(m, at.face);
        for (int k = 0; function && k < 3; k++) value += at.share[k] * function[m->face[3 * at.face + k]];
        if (function && accept * most > value) continue;
        tw_mesh_point(m, &at, out + 3 * i++);
    }
    tw_free(m->ctx, below);
    return some ? TW_OK : tw_fail(m->ctx, TW_ERR_INVALID, "mesh: a density that is nowhere positive");
}

tw_status tw_mesh_read(tw_context *ctx, const char *path, tw_mesh **out_mesh)
{
    tw_mesh_arrays arrays;
    tw_status status = tw_mesh_file_read(ctx, path, &arrays);
    if (status != TW_OK) return status;
    status = tw_mesh_create(ctx, arrays.vertices, arrays.vertex, arrays.faces, arrays.face, out_mesh);
    tw_mesh_arrays_free(ctx, &arrays);
    if (status == TW_OK || status == TW_ERR_MEMORY) return status;
    char why[700];
    snprintf(why, sizeof why, "%s", tw_context_error(ctx));
    return tw_fail(ctx, status, "%s: %s", path, why);
}
