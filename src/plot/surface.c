/* plot/surface.c - a surface seen from two sides, coloured by a function of its vertices: triangles in a buffer of
 * depths, without perspective, lit from above the eye; four points of it a pixel, so that edges are soft. */
#include "plot/plot.h"

#include "plot/axis.h"
#include "plot/canvas.h"
#include "space/mesh.h"

#include <math.h>
#include <string.h>

enum { SIDE = 360 /* pixels of the file */, FINE = 2 * SIDE, VIEWS = 2 };

typedef struct picture {
    const tw_mesh_info *mesh;
    double turn[9], reach;
    const double *value; /* at the vertices */
    double most;
    double *upright;       /* (vertices,3) normals, turned */
    double *seen;          /* (vertices,3) where they are in the picture, and how near */
    double *near;          /* (FINE,FINE) */
    double *fine, *pixels; /* (FINE,FINE,3), (SIDE,SIDE,3) */
} picture;

/* From pale over orange to dark red. */
static void colour_of(double share, double *rgb)
{
    static const double stop[5][3] = {{226, 230, 232}, {252, 205, 126}, {236, 122, 60}, {176, 32, 58}, {72, 8, 60}};
    double at = fmin(fmax(share, 0), 1) * 4;
    int i = (int)fmin(at, 3);
    for (int j = 0; j < 3; j++) rgb[j] = stop[i][j] + (at - i) * (stop[i + 1][j] - stop[i][j]);
}

/* About the vertical axis (y) and then towards the eye. */
static void look_from(picture *p, double round, double above)
{
    double c = cos(round), s = sin(round), d = cos(above), e = sin(above);
    const double turn[9] = {c, 0, -s, -e * s, d, -e * c, d * s, e, d * c};
    memcpy(p->turn, turn, sizeof turn);
}

static void turn(const picture *p, const double *v, double *out)
{
    for (int i = 0; i < 3; i++) out[i] = p->turn[3 * i] * v[0] + p->turn[3 * i + 1] * v[1] + p->turn[3 * i + 2] * v[2];
}

static void place_vertices(picture *p)
{
    const tw_mesh_info *m = p->mesh;
    memset(p->upright, 0, (size_t)(3 * m->vertices) * sizeof(double));
    for (int64_t v = 0; v < m->vertices; v++) {
        double from[3];
        for (int j = 0; j < 3; j++) from[j] = m->vertex[3 * v + j] - m->centre[j];
        turn(p, from, p->seen + 3 * v);
    }
    for (int64_t f = 0; f < m->faces; f++) {
        const double *a = p->seen + 3 * m->face[3 * f], *b = p->seen + 3 * m->face[3 * f + 1],
                     *c = p->seen + 3 * m->face[3 * f + 2];
        for (int j = 0; j < 3; j++) {
            int k = (j + 1) % 3, l = (j + 2) % 3;
            double n = (b[k] - a[k]) * (c[l] - a[l]) - (b[l] - a[l]) * (c[k] - a[k]);
            for (int i = 0; i < 3; i++) p->upright[3 * m->face[3 * f + i] + j] += n;
        }
    }
    for (int64_t v = 0; v < m->vertices; v++) {
        double *n = p->upright + 3 * v, length = sqrt(n[0] * n[0] + n[1] * n[1] + n[2] * n[2]);
        for (int j = 0; j < 3 && length > 0; j++) n[j] /= length;
        p->seen[3 * v] = FINE * (0.5 + 0.5 * p->seen[3 * v] / p->reach);
        p->seen[3 * v + 1] = FINE * (0.5 - 0.5 * p->seen[3 * v + 1] / p->reach);
    }
}

/* A point of a face, by shares of its corners. */
static void shade(picture *p, const int32_t *corner, const double *share, double *rgb)
{
    const double light[3] = {0.35, 0.55, 0.76};
    double value = 0, lit = 0;
    for (int i = 0; i < 3; i++) {
        value += share[i] * p->value[corner[i]];
        for (int j = 0; j < 3; j++) lit += share[i] * p->upright[3 * corner[i] + j] * light[j];
    }
    colour_of(p->most > 0 ? value / p->most : 0, rgb);
    for (int j = 0; j < 3; j++) rgb[j] *= 0.5 + 0.5 * fmax(lit, 0);
}

static void draw_face(picture *p, int64_t face)
{
    const int32_t *corner = p->mesh->face + 3 * face;
    const double *a = p->seen + 3 * corner[0], *b = p->seen + 3 * corner[1], *c = p->seen + 3 * corner[2];
    double area = (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]);
    int left = (int)fmax(fmin(a[0], fmin(b[0], c[0])), 0), right = (int)fmin(fmax(a[0], fmax(b[0], c[0])), FINE - 1);
    int top = (int)fmax(fmin(a[1], fmin(b[1], c[1])), 0), bottom = (int)fmin(fmax(a[1], fmax(b[1], c[1])), FINE - 1);
    if (area == 0) return;
    for (int y = top; y <= bottom; y++)
        for (int x = left; x <= right; x++) {
            double u = x + 0.5, v = y + 0.5, share[3];
            share[1] = ((u - a[0]) * (c[1] - a[1]) - (v - a[1]) * (c[0] - a[0])) / area;
            share[2] = ((b[0] - a[0]) * (v - a[1]) - (b[1] - a[1]) * (u - a[0])) / area;
            share[0] = 1 - share[1] - share[2];
            if (share[0] < 0 || share[1] < 0 || share[2] < 0) continue;
            double near = share[0] * a[2] + share[1] * b[2] + share[2] * c[2], *depth = p->near + (int64_t)y * FINE + x;
            if (near <= *depth) continue;
            *depth = near;
            shade(p, corner, share, p->fine + 3 * ((int64_t)y * FINE + x));
        }
}

static void draw_view(picture *p, double round)
{
    look_from(p, round, 0.3);
    place_vertices(p);
    for (int64_t i = 0; i < (int64_t)FINE * FINE; i++) {
        p->near[i] = -(double)INFINITY;
        for (int j = 0; j < 3; j++) p->fine[3 * i + j] = 255;
    }
    for (int64_t f = 0; f < p->mesh->faces; f++) draw_face(p, f);
    for (int y = 0; y < SIDE; y++)
        for (int x = 0; x < SIDE; x++)
            for (int j = 0; j < 3; j++) {
                const double *first = p->fine + 3 * ((int64_t)2 * y * FINE + 2 * x) + j, *second = first + 3 * FINE;
                p->pixels[3 * ((int64_t)y * SIDE + x) + j] = 0.25 * (first[0] + first[3] + second[0] + second[3]);
            }
}

static tw_status make_room(tw_context *ctx, picture *p)
{
    size_t vertices = (size_t)p->mesh->vertices, fine = (size_t)FINE * FINE;
    p->upright = tw_alloc(ctx, 3 * vertices, sizeof(double));
    p->seen = tw_alloc(ctx, 3 * vertices, sizeof(double));
    p->near = tw_alloc(ctx, fine, sizeof(double));
    p->fine = tw_alloc(ctx, 3 * fine, sizeof(double));
    p->pixels = tw_alloc(ctx, 3 * (size_t)SIDE * SIDE, sizeof(double));
    if (p->upright && p->seen && p->near && p->fine && p->pixels) return TW_OK;
    return tw_fail_memory(ctx, 3 * fine * sizeof(double));
}

tw_status tw_plot_mesh(tw_context *ctx, const char *path, const tw_mesh *mesh, int count, const tw_surface *surfaces)
{
    const double gap = 12, head = 28, side = SIDE / 2;
    picture p = {.mesh = tw_mesh_about(mesh)};
    tw_canvas canvas = {0};
    tw_status status = TW_OK;
    for (int64_t v = 0; v < p.mesh->vertices; v++) {
        double square = 0;
        for (int j = 0; j < 3; j++) square += pow(p.mesh->vertex[3 * v + j] - p.mesh->centre[j], 2);
        p.reach = fmax(p.reach, 1.02 * sqrt(square));
    }
    TW_TRY(make_room(ctx, &p));
    TW_TRY(tw_canvas_open(ctx, gap + count * VIEWS * (side + gap), head + side + gap, &canvas));
    for (int64_t v = 0; v < p.mesh->vertices; v++) p.seen[v] = surfaces[count - 1].value[v];
    p.most = tw_quantile(p.mesh->vertices, p.seen, 0.999);
    for (int i = 0; i < count; i++) {
        double x = gap + i * VIEWS * (side + gap);
        p.value = surfaces[i].value;
        tw_canvas_text(&canvas, x, 20, (tw_font){.size = 13, .bold = true, .colour = tw_ink, .room = VIEWS * side},
                       surfaces[i].title);
        for (int k = 0; k < VIEWS; k++, x += side + gap) {
            draw_view(&p, k == 0 ? 0.6 : 0.6 + 3.14159265358979323846);
            tw_canvas_picture(&canvas, x, head, (tw_image){SIDE, SIDE, 3}, 1, p.pixels);
        }
    }
    status = tw_canvas_save(&canvas, path);
done:
    tw_canvas_close(&canvas);
    tw_free(ctx, p.upright);
    tw_free(ctx, p.seen);
    tw_free(ctx, p.near);
    tw_free(ctx, p.fine);
    tw_free(ctx, p.pixels);
    return status;
}

/* Each point is shared out among the corners of its face; then a few times with neighbours, half of what is there each
 * time, by edges. */
tw_status tw_plot_mesh_density(tw_context *ctx, const tw_mesh *mesh, int64_t rows, const double *points, double *out)
{
    enum { TIMES = 4 };
    const tw_mesh_info *m = tw_mesh_about(mesh);
    double *mass = tw_alloc(ctx, (size_t)(3 * m->vertices), sizeof(double));
    if (!mass) return tw_fail_memory(ctx, (size_t)(3 * m->vertices) * sizeof(double));
    double *mean = mass + m->vertices, *beside = mean + m->vertices;
    memset(out, 0, (size_t)m->vertices * sizeof(double));
    for (int64_t i = 0; i < rows; i++) {
        tw_mesh_place at = tw_mesh_find(mesh, points + 3 * i, NULL);
        for (int k = 0; k < 3; k++) out[m->face[3 * at.face + k]] += at.share[k] / (double)rows;
    }
    for (int64_t i = 0; i < 3 * m->faces; i++) mass[m->face[i]] += tw_mesh_area(mesh, i / 3) / 3;
    for (int64_t v = 0; v < m->vertices; v++) out[v] /= mass[v];
    for (int n = 0; n < TIMES; n++) {
        memset(mean, 0, (size_t)(2 * m->vertices) * sizeof(double));
        for (int64_t i = 0; i < 3 * m->faces; i++) {
            int32_t a = m->face[i], b = m->face[i / 3 * 3 + (i + 1) % 3];
            mean[a] += mass[b] * out[b];
            beside[a] += mass[b];
            mean[b] += mass[a] * out[a];
            beside[b] += mass[a];
        }
        for (int64_t v = 0; v < m->vertices; v++) out[v] = 0.5 * out[v] + 0.5 * mean[v] / beside[v];
    }
    tw_free(ctx, mass);
    return TW_OK;
}
