/* tests/support/meshes.h - meshes made by formulas: a sphere from an icosahedron whose faces are cut in four `levels`
 * times, a torus, a square, and a closed surface without symmetries. */
#ifndef TESTS_SUPPORT_MESHES_H
#define TESTS_SUPPORT_MESHES_H

#include <thalweg/mesh.h>

#include <math.h>
#include <stdlib.h>

typedef struct raw_mesh {
    int64_t vertices, faces;
    double *vertex;
    int32_t *face;
} raw_mesh;

static inline void to_sphere(double *x)
{
    double length = sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]);
    for (int j = 0; j < 3; j++) x[j] /= length;
}

/* The number of the vertex in the middle of an edge, made when it is new; edges are few enough to look through. */
static inline int32_t middle_vertex(raw_mesh *m, int32_t *known, int64_t *count, int32_t a, int32_t b)
{
    int32_t low = a < b ? a : b, high = a < b ? b : a;
    for (int64_t i = *count - 1; i >= 0; i--)
        if (known[3 * i] == low && known[3 * i + 1] == high) return known[3 * i + 2];
    double *x = m->vertex + 3 * m->vertices;
    for (int j = 0; j < 3; j++) x[j] = m->vertex[3 * a + j] + m->vertex[3 * b + j];
    to_sphere(x);
    int32_t *k = known + 3 * (*count)++;
    k[0] = low;
    k[1] = high;
    k[2] = (int32_t)m->vertices;
    return (int32_t)m->vertices++;
}

static inline raw_mesh raw_sphere(int levels)
{
    const double g = 1.61803398874989484820;
    const double corner[12][3] = {{-1, g, 0},  {1, g, 0},  {-1, -g, 0}, {1, -g, 0}, {0, -1, g},  {0, 1, g},
                                  {0, -1, -g}, {0, 1, -g}, {g, 0, -1},  {g, 0, 1},  {-g, 0, -1}, {-g, 0, 1}};
    const int32_t first[20][3] = {{0, 11, 5},  {0, 5, 1},  {0, 1, 7},  {0, 7, 10}, {0, 10, 11}, {1, 5, 9}, {5, 11, 4},
                                  {11, 10, 2}, {10, 7, 6}, {7, 1, 8},  {3, 9, 4},  {3, 4, 2},   {3, 2, 6}, {3, 6, 8},
                                  {3, 8, 9},   {4, 9, 5},  {2, 4, 11}, {6, 2, 10}, {8, 6, 7},   {9, 8, 1}};
    int64_t faces = 20, all = 20;
    for (int l = 0; l < levels; l++) all *= 4;
    raw_mesh m = {12, 20, calloc((size_t)(3 * (all / 2 + 2)), sizeof(double)),
                  calloc((size_t)(3 * all), sizeof(int32_t))};
    for (int i = 0; i < 12; i++) {
        for (int j = 0; j < 3; j++) m.vertex[3 * i + j] = corner[i][j];
        to_sphere(m.vertex + 3 * i);
    }
    for (int i = 0; i < 60; i++) m.face[i] = first[i / 3][i % 3];
    for (int l = 0; l < levels; l++, faces *= 4) {
        int32_t *known = calloc((size_t)(9 * faces), sizeof(int32_t)),
                *next = calloc((size_t)(12 * faces), sizeof(int32_t));
        int64_t count = 0;
        for (int64_t f = 0; f < faces; f++) {
            int32_t *c = m.face + 3 * f, mid[3];
            for (int i = 0; i < 3; i++) mid[i] = middle_vertex(&m, known, &count, c[i], c[(i + 1) % 3]);
            const int32_t four[12] = {c[0], mid[0], mid[2], c[1],   mid[1], mid[0],
                                      c[2], mid[2], mid[1], mid[0], mid[1], mid[2]};
            for (int i = 0; i < 12; i++) next[12 * f + i] = four[i];
        }
        for (int64_t i = 0; i < 12 * faces; i++) m.face[i] = next[i];
        free(known);
        free(next);
    }
    m.faces = faces;
    return m;
}

/* `around` x `across` quadrilaterals, each cut in two. */
static inline raw_mesh raw_torus(int around, int across)
{
    const double turn = 6.28318530717958647693;
    raw_mesh m = {around * across, 2 * around * across, NULL, NULL};
    m.vertex = calloc((size_t)(3 * m.vertices), sizeof(double));
    m.face = calloc((size_t)(3 * m.faces), sizeof(int32_t));
    for (int i = 0; i < around; i++)
        for (int j = 0; j < across; j++) {
            double a = turn * i / around, b = turn * j / across, *x = m.vertex + 3 * (i * across + j);
            x[0] = (2 + cos(b)) * cos(a);
            x[1] = (2 + cos(b)) * sin(a);
            x[2] = sin(b);
            int right = (i + 1) % around * across, up = (j + 1) % across;
            const int32_t two[6] = {i * across + j, right + j, right + up, i * across + j, right + up, i * across + up};
            for (int k = 0; k < 6; k++) m.face[6 * (i * across + j) + k] = two[k];
        }
    return m;
}

/* Of side 1, n x n squares, each cut in two. */
static inline raw_mesh raw_square(int n)
{
    raw_mesh m = {(n + 1) * (n + 1), 2 * n * n, NULL, NULL};
    m.vertex = calloc((size_t)(3 * m.vertices), sizeof(double));
    m.face = calloc((size_t)(3 * m.faces), sizeof(int32_t));
    for (int i = 0; i <= n; i++)
        for (int j = 0; j <= n; j++) {
            double *x = m.vertex + 3 * (i * (n + 1) + j);
            x[0] = (double)i / n;
            x[1] = (double)j / n;
            if (i == n || j == n) continue;
            int32_t a = i * (n + 1) + j, b = a + n + 1;
            const int32_t two[6] = {a, b, b + 1, a, b + 1, a + 1};
            for (int k = 0; k < 6; k++) m.face[6 * (i * n + j) + k] = two[k];
        }
    return m;
}

/* A sphere with dents and bumps, longer one way. */
static inline raw_mesh raw_potato(int levels)
{
    raw_mesh m = raw_sphere(levels);
    for (int64_t v = 0; v < m.vertices; v++) {
        double *x = m.vertex + 3 * v;
        double r = 1 + 0.25 * sin(3 * x[0] + 1) * cos(2 * x[1]) + 0.15 * sin(4 * x[2] - x[0]);
        x[0] *= 1.4 * r;
        x[1] *= r;
        x[2] *= 0.8 * r;
    }
    return m;
}

static inline tw_mesh *mesh_of(tw_context *ctx, raw_mesh raw)
{
    tw_mesh *mesh = NULL;
    tw_status status = tw_mesh_create(ctx, raw.vertices, raw.vertex, raw.faces, raw.face, &mesh);
    free(raw.vertex);
    free(raw.face);
    return status == TW_OK ? mesh : NULL;
}

#endif
