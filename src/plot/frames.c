/* plot/frames.c - a flow in stills, or moving: the same points at successive times. Each keeps the hue of its direction
 * at the start, so that one sees where every part of the source has gone. */
#include "plot/plot.h"

#include "plot/corner.h"
#include "plot/panel.h"

#include <math.h>
#include <stdio.h>

enum { ACROSS = 8, MOST_POINTS = 20000, BINS = 40 };

typedef struct strip {
    tw_canvas canvas;
    int columns, i, j, count, across, down;
    const char *const *names;
    const double *times;
    const tw_cloud *frames;
    tw_axis horizontal, vertical;
    double left, top, gap, w, h;
} strip;

static tw_status choose_axis(tw_context *ctx, const strip *s, int column, tw_axis *out_axis)
{
    bool any = false;
    *out_axis = (tw_axis){0, 1, false};
    for (int k = 0; k < s->count; k++) {
        tw_axis one;
        if (s->frames[k].rows == 0) continue;
        tw_status status = tw_axis_of_values(ctx, s->frames[k].rows, s->frames[k].values + column, s->columns, &one);
        if (status != TW_OK) return status;
        *out_axis = any ? tw_axis_join(*out_axis, one) : one;
        any = true;
    }
    return TW_OK;
}

/* Of an animation all are in one place. */
static tw_panel panel_at(strip *s, int k)
{
    int column = k % s->across, row = k / s->across % s->down;
    return (tw_panel){.canvas = &s->canvas,
                      .x = s->left + column * (s->w + s->gap),
                      .y = s->top + row * (s->h + s->top),
                      .w = s->w,
                      .h = s->h,
                      .horizontal = s->horizontal,
                      .vertical = s->vertical};
}

static void draw_frame(strip *s, const tw_panel *p, int k)
{
    char words[48];
    bool lowest = k + s->across >= s->count || s->across == 1, first = k % s->across == 0;
    tw_frame_style style = {.lines_across = s->columns > 1, .lines_up = true, .size = 7.5, .labels_below = lowest};
    style.labels_left = first && s->columns > 1;
    if (s->names && s->columns > 1 && first) style.name_left = s->names[s->j];
    if (s->names && lowest) style.name_below = s->names[s->i];
    tw_panel_frame(p, style);
    snprintf(words, sizeof words, "t = %.3g", s->times ? s->times[k] : (double)k);
    const char *title = s->frames[k].title ? s->frames[k].title : words;
    tw_canvas_text(&s->canvas, p->x, p->y - 7, (tw_font){.size = 9.5, .colour = tw_ink, .room = p->w}, title);
}

/* Middle of the finite points of the first frame. */
static void middle_of(const strip *s, double *out_u, double *out_v)
{
    double u = 0, v = 0, count = 0;
    for (int64_t r = 0; r < s->frames[0].rows; r++) {
        const double *x = s->frames[0].values + r * s->columns;
        if (!isfinite(x[s->i]) || !isfinite(x[s->j])) continue;
        count++;
        u += (x[s->i] - u) / count;
        v += (x[s->j] - v) / count;
    }
    *out_u = u, *out_v = v;
}

static void draw_points(strip *s, const tw_panel *p, int k)
{
    const tw_cloud *frame = &s->frames[k], *start = &s->frames[0];
    int64_t step = 1 + frame->rows / (MOST_POINTS + 1), drawn = frame->rows / step;
    double u, v, shrink = s->w < 160 ? 0.7 : 1;
    middle_of(s, &u, &v);
    tw_points points = tw_points_begin(&s->canvas, p->x, p->y, p->w, p->h, shrink * tw_point_radius(drawn),
                                       fmin(0.85, 1.5 * tw_point_alpha(drawn)));
    for (int64_t r = 0; r < frame->rows; r += step) {
        const double *x = frame->values + r * s->columns;
        const double *from = r < start->rows ? start->values + r * s->columns : x;
        double angle = atan2(from[s->j] - v, from[s->i] - u);
        if (!isfinite(x[s->i]) || !isfinite(x[s->j])) continue;
        tw_points_add(&points, tw_panel_x(p, x[s->i]), tw_panel_y(p, x[s->j]),
                      tw_colour_wheel(isfinite(angle) ? angle : 0));
    }
    tw_points_end(&points);
}

static void count_frame(const strip *s, int k, double height[BINS])
{
    tw_histogram(s->horizontal, s->frames[k].rows, s->frames[k].values + s->i, s->columns, BINS, height);
}

/* As high as the highest histogram of all. */
static tw_axis choose_heights(const strip *s)
{
    double height[BINS], most = 0;
    for (int k = 0; k < s->count; k++) {
        count_frame(s, k, height);
        for (int b = 0; b < BINS; b++) most = fmax(most, height[b]);
    }
    return (tw_axis){0, most > 0 ? 1.08 * most : 1, false};
}

static void draw_one(strip *s, int k)
{
    tw_panel p = panel_at(s, k);
    draw_frame(s, &p, k);
    if (s->columns > 1) {
        draw_points(s, &p, k);
        return;
    }
    double height[BINS];
    count_frame(s, k, height);
    tw_panel_steps(&p, BINS, height, tw_palette(0), true);
}

static void place(strip *s, int count)
{
    /* Rows of equal length, at most eight long. */
    s->down = (count + ACROSS - 1) / ACROSS;
    s->across = (count + s->down - 1) / s->down;
    s->left = s->columns > 1 ? 48 : 22, s->top = 28, s->gap = 9;
    double width = fmin(1200, fmax(640, s->left + 20 + s->across * 215.0));
    s->w = (width - s->left - 20 - s->gap * (s->across - 1)) / s->across;
    double shape = (s->vertical.high - s->vertical.low) / (s->horizontal.high - s->horizontal.low);
    s->h = s->w * (s->columns > 1 && shape > 0.33 && shape < 1.6 ? shape : 1);
}

/* Axes, places of `count` panels, a canvas for them. */
static tw_status open_strip(tw_context *ctx, strip *s, int count)
{
    tw_status status = TW_OK;
    TW_TRY(choose_axis(ctx, s, s->i, &s->horizontal));
    if (s->columns == 1)
        s->vertical = choose_heights(s);
    else
        TW_TRY(choose_axis(ctx, s, s->j, &s->vertical));
    place(s, count);
    status = tw_canvas_open(ctx, s->left + 20 + s->across * (s->w + s->gap) - s->gap, s->down * (s->top + s->h) + 38,
                            &s->canvas);
done:
    return status;
}

static tw_status make_strip(tw_context *ctx, int columns, const char *const *names, int i, int j, int count,
                            const double *times, const tw_cloud *frames, strip *out)
{
    if (count < 1 || columns < 1 || i < 0 || i >= columns || (columns > 1 && (j < 0 || j >= columns)))
        return tw_fail(ctx, TW_ERR_INVALID, "a strip of %d frames of columns %d and %d, of %d", count, i, j, columns);
    bool turn = columns > 1 && tw_is_latitude_longitude(names, i, j);
    *out = (strip){.columns = columns, .i = turn ? j : i, .j = columns == 1 ? 0 : turn ? i : j, .count = count};
    out->names = names, out->times = times, out->frames = frames;
    return TW_OK;
}

tw_status tw_plot_frames(tw_context *ctx, const char *path, int columns, const char *const *names, int i, int j,
                         int count, const double *times, const tw_cloud *frames)
{
    strip s = {0};
    tw_status status = TW_OK;
    TW_TRY(make_strip(ctx, columns, names, i, j, count, times, frames, &s));
    TW_TRY(open_strip(ctx, &s, count));
    for (int k = 0; k < count; k++) draw_one(&s, k);
    TW_TRY(tw_canvas_save(&s.canvas, path));
done:
    tw_canvas_close(&s.canvas);
    return status;
}

tw_status tw_plot_points_moving(tw_context *ctx, const char *path, int columns, const char *const *names, int i, int j,
                                int count, const double *times, const tw_cloud *frames)
{
    strip s = {0};
    tw_png film = {0};
    tw_status status = TW_OK;
    TW_TRY(make_strip(ctx, columns, names, i, j, count, times, frames, &s));
    TW_TRY(open_strip(ctx, &s, 1));
    TW_TRY(tw_canvas_film(&s.canvas, path, count, &film));
    for (int k = 0; k < count; k++) {
        tw_canvas_clear(&s.canvas);
        draw_one(&s, k);
        TW_TRY(tw_canvas_shoot(&s.canvas, &film));
    }
    TW_TRY(tw_png_commit(&film));
done:
    tw_png_abandon(&film);
    tw_canvas_close(&s.canvas);
    return status;
}
