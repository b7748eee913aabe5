/* plot/clouds.c - sets of points beside each other: histograms laid over each other for one column, scatter plots side
 * by side for two, a corner plot for more. Axes are shared and come from the first set, so that the eye compares
 * places. */
#include "plot/plot.h"

#include "plot/corner.h"
#include "plot/panel.h"

#include <ctype.h>
#include <math.h>
#include <string.h>
#include <strings.h>

enum { ACROSS = 4 };

static const char *name_of(const char *const *names, int column)
{
    return names && names[column] ? names[column] : NULL;
}

bool tw_is_latitude_longitude(const char *const *names, int i, int j)
{
    const char *a = name_of(names, i), *b = name_of(names, j);
    return a && b && strncasecmp(a, "lat", 3) == 0 && strncasecmp(b, "lon", 3) == 0;
}

static tw_status draw_one_column(tw_context *ctx, const char *path, const char *const *names, int count,
                                 const tw_cloud *clouds)
{
    tw_status status = TW_OK;
    tw_canvas canvas = {0};
    tw_panel p = {.x = 64, .y = 56, .w = 712, .h = 320, .vertical = {0, 0, false}};
    int bins = tw_histogram_bins(clouds[0].rows);
    tw_key keys[16];
    int shown = count < TW_COUNT(keys) ? count : TW_COUNT(keys);
    double *height = tw_alloc(ctx, (size_t)shown, (size_t)bins * sizeof *height);
    if (!height) return tw_fail_memory(ctx, (size_t)(shown * bins) * sizeof *height);
    TW_TRY(tw_axis_of_values(ctx, clouds[0].rows, clouds[0].values, 1, &p.horizontal));
    for (int k = 0; k < shown; k++) {
        tw_histogram(p.horizontal, clouds[k].rows, clouds[k].values, 1, bins, height + k * bins);
        for (int b = 0; b < bins; b++) p.vertical.high = fmax(p.vertical.high, 1.08 * height[k * bins + b]);
        keys[k] = (tw_key){clouds[k].title, tw_palette(k), k == 0};
    }
    if (!(p.vertical.high > 0)) p.vertical.high = 1;
    TW_TRY(tw_canvas_open(ctx, 800, 440, &canvas));
    p.canvas = &canvas;
    tw_frame_style style = {.labels_below = true, .labels_left = true, .lines_across = true, .lines_up = true};
    style.name_below = name_of(names, 0);
    style.name_left = "density";
    tw_panel_frame(&p, style);
    for (int k = 0; k < shown; k++) tw_panel_steps(&p, bins, height + k * bins, tw_palette(k), k == 0);
    tw_legend(&canvas, p.x, 36, shown, keys);
    TW_TRY(tw_canvas_save(&canvas, path));
done:
    tw_canvas_close(&canvas);
    tw_free(ctx, height);
    return status;
}

/* Height over width of a panel: true to scale where the two ranges are of one kind, otherwise nearly square. */
static double shape_of(tw_axis horizontal, tw_axis vertical)
{
    double ratio = (vertical.high - vertical.low) / (horizontal.high - horizontal.low);
    return ratio > 0.33 && ratio < 1.6 ? ratio : 0.85;
}

static void draw_words(const tw_panel *p, const tw_cloud *cloud, int i, int j)
{
    char words[160];
    tw_font title = {.size = 12, .bold = true, .colour = tw_ink, .room = p->w};
    tw_font small = {.size = 9, .colour = tw_muted, .room = p->w};
    tw_tally_text(tw_panel_tally(p, cloud->rows, 2, cloud->values, i, j), words, sizeof words);
    tw_canvas_text(p->canvas, p->x, p->y - 23, title, cloud->title);
    tw_canvas_text(p->canvas, p->x, p->y - 9, small, words);
}

static tw_status draw_two_columns(tw_context *ctx, const char *path, const char *const *names, int count,
                                  const tw_cloud *clouds)
{
    tw_status status = TW_OK;
    tw_canvas canvas = {0};
    tw_axis horizontal, vertical;
    int i = tw_is_latitude_longitude(names, 0, 1) ? 1 : 0, j = 1 - i;
    int across = count < ACROSS ? count : ACROSS, down = (count + across - 1) / across;
    double left = 60, gap = 26, top = 52, below = 46, width = across == 1 ? 640 : across == 2 ? 980 : 1180;
    TW_TRY(tw_axis_of_values(ctx, clouds[0].rows, clouds[0].values + i, 2, &horizontal));
    TW_TRY(tw_axis_of_values(ctx, clouds[0].rows, clouds[0].values + j, 2, &vertical));
    if (i == 1) { /* a map: nothing on the sphere is far away */
        horizontal = tw_axis_of_all(clouds[0].rows, clouds[0].values + i, 2);
        vertical = tw_axis_of_all(clouds[0].rows, clouds[0].values + j, 2);
    }
    double shape = shape_of(horizontal, vertical);
    if (across == 1 && shape < 0.7) width = 800;
    double w = (width - left - 22 - gap * (across - 1)) / across, h = w * shape;
    TW_TRY(tw_canvas_open(ctx, width, down * (top + h) + below + 6, &canvas));
    for (int k = 0; k < count; k++) {
        int column = k % across, row = k / across;
        tw_panel p = {.canvas = &canvas, .x = left + column * (w + gap), .y = top + row * (h + top), .w = w, .h = h};
        p.horizontal = horizontal;
        p.vertical = vertical;
        bool lowest = k + across >= count;
        tw_frame_style style = {
            .labels_below = lowest, .labels_left = column == 0, .lines_across = true, .lines_up = true};
        style.name_below = lowest ? name_of(names, i) : NULL;
        style.name_left = column == 0 ? name_of(names, j) : NULL;
        tw_panel_frame(&p, style);
        TW_TRY(tw_panel_scatter(&p, clouds[k].rows, 2, clouds[k].values, i, j, tw_palette(k)));
        style = (tw_frame_style){0};
        if (clouds[k].rows > 20000) tw_panel_frame(&p, style); /* a density covers the frame */
        draw_words(&p, &clouds[k], i, j);
    }
    TW_TRY(tw_canvas_save(&canvas, path));
done:
    tw_canvas_close(&canvas);
    return status;
}

tw_status tw_plot_clouds(tw_context *ctx, const char *path, int columns, const char *const *names, int count,
                         const tw_cloud *clouds)
{
    if (count < 1 || columns < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "a picture of points needs a set of points and a column, not %d and %d",
                       count, columns);
    if (columns == 1) return draw_one_column(ctx, path, names, count, clouds);
    if (columns == 2) return draw_two_columns(ctx, path, names, count, clouds);
    return tw_plot_corner(ctx, path, columns, names, count, clouds);
}
