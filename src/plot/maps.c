/* plot/maps.c - densities on closed surfaces: the globe from two sides and flattened to true areas (Mollweide 1805),
 * and the torus as a square of two angles, a Ramachandran plot. What is drawn is the density's root, so that half a
 * colour is a quarter of the densest. */
#include "plot/plot.h"

#include "plot/panel.h"

#include <math.h>
#include <string.h>

static const double degree = 3.14159265358979323846 / 180, pi = 3.14159265358979323846;

/* --- colours ------------------------------------------------------------------------------------------------------ */

typedef struct shade {
    const tw_density_map *map;
    double full; /* log-density of the darkest colour */
} shade;

/* All but one in 200 cells are lighter than the darkest colour. */
static tw_status shade_of(tw_context *ctx, const tw_density_map *map, shade *out)
{
    int64_t cells = (int64_t)map->across * map->down, kept = 0;
    double *sorted = tw_alloc(ctx, (size_t)cells, sizeof *sorted);
    if (!sorted) return tw_fail_memory(ctx, (size_t)cells * sizeof *sorted);
    for (int64_t i = 0; i < cells; i++)
        if (isfinite(map->log_density[i])) sorted[kept++] = map->log_density[i];
    *out = (shade){map, kept > 0 ? tw_quantile(kept, sorted, 0.995) : 0};
    tw_free(ctx, sorted);
    return TW_OK;
}

/* Between the middles of cells, in shares of the two axes; round the sides, and at the globe's poles to the nearest. */
static double between(const tw_density_map *m, double a, double b)
{
    double x = a * m->across - 0.5, y = b * m->down - 0.5, sum = 0;
    int x0 = (int)floor(x), y0 = (int)floor(y);
    for (int j = 0; j < 2; j++)
        for (int i = 0; i < 2; i++) {
            int column = (x0 + i + m->across) % m->across, row = y0 + j;
            row = m->closed_above ? (row + m->down) % m->down : row < 0 ? 0 : row >= m->down ? m->down - 1 : row;
            double share = (i ? x - x0 : 1 - (x - x0)) * (j ? y - y0 : 1 - (y - y0));
            if (share > 0) sum += share * m->log_density[(int64_t)row * m->across + column];
        }
    return sum;
}

static void colour_at(const shade *s, double a, double b, double out[3])
{
    const tw_colour pale = {0.97, 0.97, 0.98}, dark = {0.10, 0.13, 0.30};
    double level = exp(0.5 * (between(s->map, a, b) - s->full));
    level = isfinite(level) ? fmin(1, level) : 0;
    tw_colour middle = tw_palette(0);
    tw_colour c = level < 0.5 ? tw_mix(pale, middle, 2 * level) : tw_mix(middle, dark, 2 * level - 1);
    out[0] = 255 * c.r, out[1] = 255 * c.g, out[2] = 255 * c.b;
}

/* --- projections: places on the globe in degrees, and in a box from -1 to 1 ------------------------------------------
 */

typedef struct projection {
    bool (*from)(const struct projection *p, double u, double v, double *lon, double *lat);
    bool (*to)(const struct projection *p, double lon, double lat, double *u, double *v);
    double right[3], up[3], facing[3]; /* of a globe seen from far away */
} projection;

static bool globe_from(const projection *p, double u, double v, double *lon, double *lat)
{
    double rest = 1 - u * u - v * v, x[3];
    if (rest < 0) return false;
    for (int i = 0; i < 3; i++) x[i] = u * p->right[i] + v * p->up[i] + sqrt(rest) * p->facing[i];
    *lon = atan2(x[1], x[0]) / degree;
    *lat = asin(fmax(-1, fmin(1, x[2]))) / degree;
    return true;
}

static bool globe_to(const projection *p, double lon, double lat, double *u, double *v)
{
    const double x[3] = {cos(lat * degree) * cos(lon * degree), cos(lat * degree) * sin(lon * degree),
                         sin(lat * degree)};
    double depth = 0;
    *u = *v = 0;
    for (int i = 0; i < 3; i++) *u += x[i] * p->right[i], *v += x[i] * p->up[i], depth += x[i] * p->facing[i];
    return depth > 0;
}

/* Turned so that this place is in the middle and north is up. */
static projection globe(double lon, double lat)
{
    double a = lon * degree, b = lat * degree;
    return (projection){.from = globe_from,
                        .to = globe_to,
                        .right = {-sin(a), cos(a), 0},
                        .up = {-sin(b) * cos(a), -sin(b) * sin(a), cos(b)},
                        .facing = {cos(b) * cos(a), cos(b) * sin(a), sin(b)}};
}

static bool flat_from(const projection *p, double u, double v, double *lon, double *lat)
{
    double angle = asin(fmax(-1, fmin(1, v)));
    (void)p;
    *lat = asin(fmax(-1, fmin(1, (2 * angle + sin(2 * angle)) / pi))) / degree;
    *lon = 180 * u / cos(angle);
    return fabs(u) <= cos(angle);
}

static bool flat_to(const projection *p, double lon, double lat, double *u, double *v)
{
    double angle = lat * degree, target = pi * sin(lat * degree);
    (void)p;
    for (int i = 0; i < 20; i++) { /* Newton; at the poles slowly, to where a pixel no longer tells */
        double slope = 2 + 2 * cos(2 * angle);
        if (slope < 1e-9) break;
        angle -= (2 * angle + sin(2 * angle) - target) / slope;
    }
    *u = lon / 180 * cos(angle);
    *v = sin(angle);
    return true;
}

/* --- drawing ------------------------------------------------------------------------------------------------------ */

typedef struct box {
    double x, y, w, h;
} box;

static tw_status paint(tw_canvas *canvas, const projection *p, box b, const shade *s)
{
    int wide = (int)(2 * b.w), high = (int)(2 * b.h);
    double *values = tw_alloc(canvas->ctx, (size_t)wide * (size_t)high * 3, sizeof *values), lon, lat;
    if (!values) return tw_fail_memory(canvas->ctx, (size_t)wide * (size_t)high * 3 * sizeof *values);
    for (int y = 0; y < high; y++)
        for (int x = 0; x < wide; x++) {
            double *out = values + ((size_t)y * (size_t)wide + (size_t)x) * 3;
            out[0] = out[1] = out[2] = 255;
            if (p->from(p, 2 * (x + 0.5) / wide - 1, 1 - 2 * (y + 0.5) / high, &lon, &lat))
                colour_at(s, (lon + 180) / 360, (lat + 90) / 180, out);
        }
    tw_canvas_picture(canvas, b.x, b.y, (tw_image){high, wide, 3}, 1, values);
    tw_free(canvas->ctx, values);
    return TW_OK;
}

static bool place(const projection *p, box b, double lon, double lat, double *x, double *y)
{
    double u, v;
    if (!p->to(p, lon, lat, &u, &v)) return false;
    *x = b.x + b.w * (1 + u) / 2;
    *y = b.y + b.h * (1 - v) / 2;
    return true;
}

/* A line of the graticule: one coordinate stands, the other goes from low to high. */
static void draw_line(tw_canvas *canvas, const projection *p, box b, bool meridian, double at, double low, double high)
{
    enum { PIECES = 60 };
    double x[2], y[2];
    bool seen = false;
    for (int i = 0; i <= PIECES; i++) {
        double along = low + (high - low) * i / PIECES;
        bool now = place(p, b, meridian ? at : along, meridian ? along : at, &x[1], &y[1]);
        if (seen && now) tw_canvas_line(canvas, x[0], y[0], x[1], y[1], 0.35, tw_rule);
        seen = now, x[0] = x[1], y[0] = y[1];
    }
}

static void draw_graticule(tw_canvas *canvas, const projection *p, box b)
{
    for (int lon = -180; lon <= 180; lon += 30) draw_line(canvas, p, b, true, lon, -89.9, 89.9);
    for (int lat = -60; lat <= 60; lat += 30) draw_line(canvas, p, b, false, lat, -180, 180);
}

static void draw_points(tw_canvas *canvas, const projection *p, box b, const tw_density_map *m, const tw_cloud *cloud)
{
    tw_points points = tw_points_begin(canvas, b.x, b.y, b.w, b.h, 0.7, 0.55);
    for (int64_t r = 0; r < cloud->rows; r++) {
        double x, y;
        const double *row = cloud->values + 2 * r;
        if (isfinite(row[0]) && isfinite(row[1]) && place(p, b, row[m->swapped], row[!m->swapped], &x, &y))
            tw_points_add(&points, x, y, tw_palette(1));
    }
    tw_points_end(&points);
}

/* The place around which the points lie. */
static void middle_of(const tw_density_map *m, const tw_cloud *cloud, double *lon, double *lat)
{
    double sum[3] = {0};
    for (int64_t r = 0; r < cloud->rows; r++) {
        double a = cloud->values[2 * r + m->swapped] * degree, b = cloud->values[2 * r + !m->swapped] * degree;
        if (!isfinite(a) || !isfinite(b)) continue;
        sum[0] += cos(b) * cos(a), sum[1] += cos(b) * sin(a), sum[2] += sin(b);
    }
    *lon = atan2(sum[1], sum[0]) / degree;
    *lat = atan2(sum[2], hypot(sum[0], sum[1])) / degree;
}

tw_status tw_plot_globe(tw_context *ctx, const char *path, const tw_density_map *map, const tw_cloud *points)
{
    enum { SIZE = 320, GAP = 20, TOP = 44 };
    tw_canvas canvas = {0};
    shade s;
    double lon, lat;
    tw_status status = TW_OK;
    const box boxes[] = {{GAP, TOP, SIZE, SIZE},
                         {2 * GAP + SIZE, TOP, SIZE, SIZE},
                         {GAP, TOP + SIZE + GAP, 2 * SIZE + GAP, SIZE + GAP / 2}};
    TW_TRY(shade_of(ctx, map, &s));
    middle_of(map, points, &lon, &lat);
    const projection views[] = {globe(lon, lat), globe(lon + 180, -lat), {.from = flat_from, .to = flat_to}};
    TW_TRY(tw_canvas_open(ctx, 2 * SIZE + 3 * GAP, TOP + 2 * SIZE + 3 * GAP, &canvas));
    tw_font title = {.size = 12, .bold = true, .colour = tw_ink, .room = 2 * SIZE};
    tw_canvas_text(&canvas, GAP, 26, title, points->title);
    for (int i = 0; i < TW_COUNT(views); i++) {
        TW_TRY(paint(&canvas, &views[i], boxes[i], &s));
        draw_graticule(&canvas, &views[i], boxes[i]);
        draw_points(&canvas, &views[i], boxes[i], map, points);
    }
    TW_TRY(tw_canvas_save(&canvas, path));
done:
    tw_canvas_close(&canvas);
    return status;
}

/* --- the torus -----------------------------------------------------------------------------------------------------
 */

static tw_status paint_square(tw_canvas *canvas, const tw_panel *p, const shade *s)
{
    int wide = (int)(2 * p->w), high = (int)(2 * p->h);
    double *values = tw_alloc(canvas->ctx, (size_t)wide * (size_t)high * 3, sizeof *values);
    if (!values) return tw_fail_memory(canvas->ctx, (size_t)wide * (size_t)high * 3 * sizeof *values);
    for (int y = 0; y < high; y++)
        for (int x = 0; x < wide; x++)
            colour_at(s, (x + 0.5) / wide, 1 - (y + 0.5) / high, values + ((size_t)y * (size_t)wide + (size_t)x) * 3);
    tw_canvas_picture(canvas, p->x, p->y, (tw_image){high, wide, 3}, 1, values);
    tw_free(canvas->ctx, values);
    return TW_OK;
}

tw_status tw_plot_torus(tw_context *ctx, const char *path, const char *const *names, double low, double period,
                        const tw_density_map *map, int count, const tw_cloud *clouds)
{
    enum { SIZE = 320, LEFT = 60, GAP = 26, TOP = 52, BELOW = 46 };
    tw_canvas canvas = {0};
    shade s;
    tw_status status = TW_OK;
    if (count < 1) return tw_fail(ctx, TW_ERR_INVALID, "a picture of a torus needs points");
    TW_TRY(shade_of(ctx, map, &s));
    TW_TRY(tw_canvas_open(ctx, LEFT + count * (SIZE + GAP), TOP + SIZE + BELOW, &canvas));
    for (int k = 0; k < count; k++) {
        tw_panel p = {.canvas = &canvas,
                      .x = LEFT + k * (SIZE + GAP),
                      .y = TOP,
                      .w = SIZE,
                      .h = SIZE,
                      .horizontal = {low, low + period, false},
                      .vertical = {low, low + period, false}};
        TW_TRY(paint_square(&canvas, &p, &s));
        TW_TRY(tw_panel_scatter(&p, clouds[k].rows < 5000 ? clouds[k].rows : 5000, 2, clouds[k].values, 0, 1,
                                tw_palette(1)));
        tw_panel_frame(&p, (tw_frame_style){.labels_below = true,
                                            .labels_left = k == 0,
                                            .name_below = names ? names[0] : NULL,
                                            .name_left = names && k == 0 ? names[1] : NULL});
        tw_canvas_text(&canvas, p.x, p.y - 12, (tw_font){.size = 12, .bold = true, .colour = tw_ink, .room = p.w},
                       clouds[k].title);
    }
    TW_TRY(tw_canvas_save(&canvas, path));
done:
    tw_canvas_close(&canvas);
    return status;
}
