/* plot/panel.c - see plot/panel.h. */
#include "plot/panel.h"

#include "base/order.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST_DOTS = 20000, MOST_BINS = 120 };

static double snap(double v)
{
    return floor(v * 2) / 2 + 0.25;
} /* sharp lines of one pixel of the file */

void tw_panel_frame(const tw_panel *p, tw_frame_style style)
{
    tw_ticks below, left;
    tw_font font = {.size = style.size > 0 ? style.size : 9, .colour = tw_muted};
    tw_axis_ticks(p->horizontal, fmin(10, p->w / (5.5 * font.size)), &below);
    tw_axis_ticks(p->vertical, fmin(10, p->h / (4.5 * font.size)), &left);
    for (int k = 0; k < below.count; k++) {
        double x = tw_panel_x(p, below.at[k]);
        if (style.lines_up) tw_canvas_line(p->canvas, snap(x), p->y, snap(x), p->y + p->h, 0.5, tw_grid);
        font.align = TW_ALIGN_CENTRE;
        if (style.labels_below) tw_canvas_text(p->canvas, x, p->y + p->h + 1.6 * font.size, font, below.label[k]);
    }
    double widest = 0;
    for (int k = 0; k < left.count; k++) {
        double y = tw_panel_y(p, left.at[k]);
        if (style.lines_across) tw_canvas_line(p->canvas, p->x, snap(y), p->x + p->w, snap(y), 0.5, tw_grid);
        font.align = TW_ALIGN_RIGHT;
        if (!style.labels_left) continue;
        tw_canvas_text(p->canvas, p->x - 0.7 * font.size, y + 0.36 * font.size, font, left.label[k]);
        widest = fmax(widest, tw_canvas_text_width(p->canvas, font, left.label[k]));
    }
    tw_canvas_box(p->canvas, snap(p->x), snap(p->y), p->w, p->h, 0.5, tw_rule);
    tw_font name = {.size = font.size + 1, .colour = tw_ink, .align = TW_ALIGN_CENTRE, .room = p->w};
    double drop = style.labels_below ? 3.5 : 1.9,
           shift = style.labels_left ? widest + 1.9 * font.size : 0.9 * font.size;
    tw_canvas_text(p->canvas, p->x + p->w / 2, p->y + p->h + drop * font.size, name, style.name_below);
    name.upright = true;
    name.room = p->h;
    tw_canvas_text(p->canvas, p->x - shift, p->y + p->h / 2, name, style.name_left);
}

double tw_point_radius(int64_t rows)
{
    return fmin(3, fmax(0.85, 9 * pow((double)tw_max_i64(rows, 1), -0.26)));
}

double tw_point_alpha(int64_t rows)
{
    return fmin(0.85, fmax(0.22, 9 * pow((double)tw_max_i64(rows, 1), -0.36)));
}

static void draw_dots(const tw_panel *p, int64_t rows, int columns, const double *values, int i, int j,
                      tw_colour colour)
{
    double alpha = tw_point_alpha(rows);
    tw_points points = tw_points_begin(p->canvas, p->x, p->y, p->w, p->h, tw_point_radius(rows), alpha);
    for (int64_t r = 0; r < rows; r++) {
        double u = values[r * columns + i], v = values[r * columns + j];
        if (isfinite(u) && isfinite(v)) tw_points_add(&points, tw_panel_x(p, u), tw_panel_y(p, v), colour);
    }
    tw_points_end(&points);
}

/* Weights 1 2 1 along rows and along columns: hides the grain of single bins, the more often the fewer points they
 * hold. */
static void smooth(double *bins, double *spare, int across, int down, int times)
{
    int count = across * down;
    for (int pass = 0; pass < 2 * times; pass++) {
        int step = pass % 2 ? across : 1;
        for (int k = 0; k < count; k++) {
            bool first = pass % 2 ? k < across : k % across == 0;
            bool last = pass % 2 ? k >= count - across : k % across == across - 1;
            double before = first ? bins[k] : bins[k - step], after = last ? bins[k] : bins[k + step];
            spare[k] = 0.25 * before + 0.5 * bins[k] + 0.25 * after;
        }
        memcpy(bins, spare, (size_t)count * sizeof *bins);
    }
}

/* White through the colour to a darker shade; square roots, as densities span decades. */
static uint32_t shade(double share, tw_colour colour)
{
    const tw_colour white = {1, 1, 1}, dark = {0.4 * colour.r, 0.4 * colour.g, 0.4 * colour.b};
    double s = sqrt(fmin(1, share));
    tw_colour c = s < 0.75 ? tw_mix(white, colour, s / 0.75) : tw_mix(colour, dark, (s - 0.75) / 0.25);
    return 0xFF000000u | (uint32_t)(255 * c.r + 0.5) << 16 | (uint32_t)(255 * c.g + 0.5) << 8 |
           (uint32_t)(255 * c.b + 0.5);
}

static void paint_bins(const tw_panel *p, const double *bins, double full, int across, int down, tw_colour colour)
{
    cairo_surface_t *image = cairo_image_surface_create(CAIRO_FORMAT_RGB24, across, down);
    unsigned char *pixels = cairo_image_surface_get_data(image);
    cairo_t *cr = p->canvas->cr;
    if (cairo_surface_status(image) == CAIRO_STATUS_SUCCESS && pixels) {
        int stride = cairo_image_surface_get_stride(image);
        cairo_surface_flush(image);
        for (int y = 0; y < down; y++)
            for (int x = 0; x < across; x++)
                *(uint32_t *)(void *)(pixels + (int64_t)y * stride + 4 * (int64_t)x) =
                    shade(bins[y * across + x] / full, colour);
        cairo_surface_mark_dirty(image);
        cairo_save(cr);
        cairo_rectangle(cr, p->x, p->y, p->w, p->h);
        cairo_clip(cr);
        cairo_translate(cr, p->x, p->y);
        cairo_scale(cr, p->w / across, p->h / down);
        cairo_set_source_surface(cr, image, 0, 0);
        cairo_pattern_set_extend(cairo_get_source(cr), CAIRO_EXTEND_PAD);
        cairo_paint(cr);
        cairo_restore(cr);
    }
    cairo_surface_destroy(image);
}

static tw_status draw_density(const tw_panel *p, int64_t rows, int columns, const double *values, int i, int j,
                              tw_colour colour)
{
    /* Bins of a logical pixel, wider while there are few points for them. */
    double size = fmin(3, fmax(1, sqrt(2e5 / (double)rows)));
    int across = (int)fmax(1, p->w / size), down = (int)fmax(1, p->h / size), used = 0;
    size_t count = (size_t)across * (size_t)down;
    double *bins = tw_alloc(p->canvas->ctx, 2 * count, sizeof *bins);
    if (!bins) return tw_fail_memory(p->canvas->ctx, 2 * count * sizeof *bins);
    for (int64_t r = 0; r < rows; r++) {
        double u = tw_axis_at(p->horizontal, values[r * columns + i]) * across;
        double v = (1 - tw_axis_at(p->vertical, values[r * columns + j])) * down;
        if (u >= 0 && u < across && v >= 0 && v < down) bins[(int)v * across + (int)u] += 1;
    }
    double each = (double)rows / (0.3 * (double)count); /* points to a bin, when a third of the bins have some */
    smooth(bins, bins + count, across, down, each > 40 ? 1 : each > 10 ? 2 : 3);
    double *sorted = bins + count;
    for (size_t k = 0; k < count; k++)
        if (bins[k] > 0) sorted[used++] = bins[k];
    qsort(sorted, (size_t)used, sizeof *sorted, tw_by_value);
    double full = used ? 1.5 * sorted[(int)(0.995 * (used - 1))] : 1;
    paint_bins(p, bins, full, across, down, colour);
    tw_free(p->canvas->ctx, bins);
    return TW_OK;
}

tw_status tw_panel_scatter(const tw_panel *panel, int64_t rows, int columns, const double *values, int i, int j,
                           tw_colour colour)
{
    if (rows > MOST_DOTS) return draw_density(panel, rows, columns, values, i, j, colour);
    draw_dots(panel, rows, columns, values, i, j, colour);
    return TW_OK;
}

tw_tally tw_panel_tally(const tw_panel *p, int64_t rows, int columns, const double *values, int i, int j)
{
    tw_tally t = {0};
    for (int64_t r = 0; r < rows; r++) {
        double u = values[r * columns + i], v = values[r * columns + j];
        if (!isfinite(u) || !isfinite(v))
            t.broken++;
        else if (u < p->horizontal.low || u > p->horizontal.high || v < p->vertical.low || v > p->vertical.high)
            t.outside++;
        else
            t.inside++;
    }
    return t;
}

void tw_tally_text(tw_tally t, char *out, size_t size)
{
    char total[40], outside[40], broken[40];
    tw_count_text(t.inside + t.outside + t.broken, total, sizeof total);
    tw_count_text(t.outside, outside, sizeof outside);
    tw_count_text(t.broken, broken, sizeof broken);
    size_t length = (size_t)snprintf(out, size, "%s point%s", total, t.inside + t.outside + t.broken == 1 ? "" : "s");
    if (t.outside && length < size) length += (size_t)snprintf(out + length, size - length, ", %s outside", outside);
    if (t.broken && length < size) snprintf(out + length, size - length, ", %s not finite", broken);
}

int tw_histogram_bins(int64_t rows)
{
    return (int)fmin(MOST_BINS, fmax(10, 2.2 * cbrt((double)rows)));
}

void tw_histogram(tw_axis axis, int64_t rows, const double *values, int64_t stride, int bins, double *out_height)
{
    double total = 0, width = (axis.high - axis.low) / bins;
    for (int b = 0; b < bins; b++) out_height[b] = 0;
    for (int64_t r = 0; r < rows; r++) {
        if (!isfinite(values[r * stride])) continue;
        double at = tw_axis_at(axis, values[r * stride]) * bins;
        total++;
        if (at >= 0 && at < bins) out_height[(int)at]++;
    }
    for (int b = 0; b < bins; b++) out_height[b] /= fmax(total, 1) * width;
}

void tw_panel_steps(const tw_panel *p, int bins, const double *height, tw_colour colour, bool filled)
{
    cairo_t *cr = p->canvas->cr;
    double base = p->y + p->h;
    cairo_save(cr);
    cairo_rectangle(cr, p->x, p->y, p->w, p->h + 1);
    cairo_clip(cr);
    cairo_move_to(cr, p->x, base);
    for (int b = 0; b < bins; b++) {
        double y = tw_panel_y(p, height[b]);
        cairo_line_to(cr, p->x + p->w * b / bins, y);
        cairo_line_to(cr, p->x + p->w * (b + 1) / bins, y);
    }
    cairo_line_to(cr, p->x + p->w, base);
    cairo_set_source_rgba(cr, colour.r, colour.g, colour.b, filled ? 0.22 : 0);
    cairo_fill_preserve(cr);
    cairo_set_source_rgb(cr, colour.r, colour.g, colour.b);
    cairo_set_line_width(cr, filled ? 0.8 : 1.4);
    cairo_set_line_join(cr, CAIRO_LINE_JOIN_ROUND);
    cairo_stroke(cr);
    cairo_restore(cr);
}

double tw_legend(tw_canvas *canvas, double x, double y, int count, const tw_key *keys)
{
    double begin = x;
    tw_font font = {.size = 10, .colour = tw_ink, .room = 240};
    for (int k = 0; k < count && canvas->text; k++) {
        if (!keys[k].label || !keys[k].label[0]) continue;
        if (keys[k].filled)
            tw_canvas_fill(canvas, x, y - 7.5, 14, 8, keys[k].colour, 0.35);
        else
            tw_canvas_line(canvas, x, y - 3.5, x + 14, y - 3.5, 2, keys[k].colour);
        tw_canvas_text(canvas, x + 19, y, font, keys[k].label);
        x += 19 + fmin(font.room, tw_canvas_text_width(canvas, font, keys[k].label)) + 18;
    }
    return x - begin;
}
