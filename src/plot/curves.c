/* plot/curves.c - curves with a legend above, so that it never hides them. Of long curves, as the loss of every batch,
 * the range in each column of pixels is drawn pale and the mean over it: noise stays visible and hides nothing. */
#include "plot/plot.h"

#include "plot/panel.h"

#include <math.h>

enum { MOST_CURVES = 14 };

typedef struct extent {
    double low, high, least_positive;
    bool any;
} extent;

static void stretch(extent *e, double v)
{
    if (!e->any) *e = (extent){v, v, HUGE_VAL, true};
    e->low = fmin(e->low, v);
    e->high = fmax(e->high, v);
    if (v > 0) e->least_positive = fmin(e->least_positive, v);
}

static bool usable(double x, double y)
{
    return fabs(x) <= 1e300 && fabs(y) <= 1e300;
}

/* Logarithmic when every value is positive and they span two decades. */
static void choose_axes(tw_panel *p, int count, const tw_curve *curves)
{
    extent ex = {0}, ey = {0};
    for (int k = 0; k < count; k++)
        for (int64_t i = 0; i < curves[k].count; i++)
            if (usable(curves[k].x[i], curves[k].y[i])) {
                stretch(&ex, curves[k].x[i]);
                stretch(&ey, curves[k].y[i]);
            }
    p->horizontal = p->vertical = (tw_axis){0, 1, false};
    if (!ex.any) return;
    p->horizontal = ex.high > ex.low ? (tw_axis){ex.low, ex.high, false} : tw_axis_widen(ex.low, ex.high, 0);
    if (ey.low > 0 && ey.high >= 100 * ey.low)
        p->vertical = (tw_axis){ey.low / 1.3, ey.high * 1.3, true};
    else
        p->vertical = tw_axis_widen(ey.low, ey.high, 0.06);
}

static void draw_pieces(const tw_panel *p, const tw_curve *curve)
{
    cairo_t *cr = p->canvas->cr;
    bool pen_down = false;
    for (int64_t i = 0; i < curve->count; i++) {
        if (!usable(curve->x[i], curve->y[i])) {
            pen_down = false;
            continue;
        }
        double x = tw_panel_x(p, curve->x[i]), y = tw_panel_y(p, curve->y[i]);
        bool alone = !pen_down && (i + 1 == curve->count || !usable(curve->x[i + 1], curve->y[i + 1]));
        if (pen_down)
            cairo_line_to(cr, x, y);
        else
            cairo_move_to(cr, x, y);
        if (alone) cairo_line_to(cr, x + 0.01, y); /* a dot, by its round ends */
        pen_down = true;
    }
    cairo_stroke(cr);
}

/* Range and mean of the points [begin, end) as they lie on the page. */
typedef struct heap {
    double x, low, high, mean;
} heap;

/* Gathers points that fall into one column `width` wide, from *i on; false at a gap or the end. */
static bool gather(const tw_panel *p, const tw_curve *curve, double width, int64_t *i, heap *out)
{
    double count = 0, column = 0;
    for (; *i < curve->count && usable(curve->x[*i], curve->y[*i]); (*i)++) {
        double x = tw_panel_x(p, curve->x[*i]), y = tw_panel_y(p, curve->y[*i]);
        if (count == 0) {
            column = floor(x / width);
            *out = (heap){(column + 0.5) * width, y, y, 0};
        }
        if (floor(x / width) != column) break;
        count++;
        out->low = fmin(out->low, y);
        out->high = fmax(out->high, y);
        out->mean += (y - out->mean) / count;
    }
    return count > 0;
}

static void draw_long(const tw_panel *p, const tw_curve *curve, tw_colour colour)
{
    cairo_t *cr = p->canvas->cr;
    heap h;
    cairo_set_line_width(cr, 0.55);
    cairo_set_source_rgba(cr, colour.r, colour.g, colour.b, 0.3);
    for (int64_t i = 0; i < curve->count;) {
        if (!gather(p, curve, 0.5, &i, &h)) {
            i++;
            continue;
        }
        cairo_move_to(cr, h.x, h.low - 0.25);
        cairo_line_to(cr, h.x, h.high + 0.25);
    }
    cairo_stroke(cr);
    cairo_set_line_width(cr, 1.4);
    cairo_set_source_rgb(cr, colour.r, colour.g, colour.b);
    for (int64_t i = 0; i < curve->count;) {
        bool joined = gather(p, curve, 3, &i, &h);
        if (joined)
            cairo_line_to(cr, h.x, h.mean);
        else
            i++, cairo_new_sub_path(cr);
    }
    cairo_stroke(cr);
}

tw_status tw_plot_curves(tw_context *ctx, const char *path, const char *title, const char *x_label, const char *y_label,
                         int count, const tw_curve *curves)
{
    tw_status status = TW_OK;
    tw_canvas canvas = {0};
    tw_key keys[MOST_CURVES];
    tw_panel p = {.canvas = &canvas, .x = 72, .y = 62, .w = 704, .h = 350};
    if (count == 1) p.y = 46, p.h = 366; /* no legend */
    if (count < 0) return tw_fail(ctx, TW_ERR_INVALID, "a picture of %d curves", count);
    TW_TRY(tw_canvas_open(ctx, 800, 470, &canvas));
    choose_axes(&p, count, curves);
    tw_frame_style style = {.labels_below = true, .labels_left = true, .lines_across = true, .lines_up = true};
    style.name_below = x_label;
    style.name_left = y_label;
    tw_panel_frame(&p, style);
    cairo_save(canvas.cr);
    cairo_rectangle(canvas.cr, p.x, p.y - 1, p.w + 2, p.h + 2);
    cairo_clip(canvas.cr);
    cairo_set_line_join(canvas.cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_cap(canvas.cr, CAIRO_LINE_CAP_ROUND);
    for (int k = 0; k < count; k++) {
        tw_colour colour = tw_palette(k);
        if (k < MOST_CURVES) keys[k] = (tw_key){curves[k].label, colour, false};
        cairo_set_source_rgb(canvas.cr, colour.r, colour.g, colour.b);
        cairo_set_line_width(canvas.cr, 1.6);
        if (curves[k].count > 3 * (int64_t)p.w)
            draw_long(&p, &curves[k], colour);
        else
            draw_pieces(&p, &curves[k]);
    }
    cairo_restore(canvas.cr);
    tw_canvas_text(&canvas, p.x, 28, (tw_font){.size = 13, .bold = true, .colour = tw_ink, .room = p.w}, title);
    if (count > 1) tw_legend(&canvas, p.x, 49, count < MOST_CURVES ? count : MOST_CURVES, keys);
    TW_TRY(tw_canvas_save(&canvas, path));
done:
    tw_canvas_close(&canvas);
    return status;
}
