/* plot/corner.c - a corner plot: the diagonal compares the columns one by one, below it stands the first set, above it
 * the last one mirrored, so that a good model looks symmetric. */
#include "plot/corner.h"

#include "plot/panel.h"

#include <math.h>
#include <stdio.h>

enum { MOST_COLUMNS = 6 };

typedef struct corner {
    tw_canvas canvas;
    int columns, shown; /* of the data; drawn */
    const char *const *names;
    int count;
    const tw_cloud *clouds;
    tw_axis axes[MOST_COLUMNS];
    double cell, gap, left, top;
} corner;

static const char *column_name(const corner *c, int column, char *spare, size_t size)
{
    if (c->names && c->names[column]) return c->names[column];
    snprintf(spare, size, "x%d", column + 1);
    return spare;
}

static tw_panel cell_at(corner *c, int row, int column)
{
    return (tw_panel){.canvas = &c->canvas,
                      .x = c->left + column * (c->cell + c->gap),
                      .y = c->top + row * (c->cell + c->gap),
                      .w = c->cell,
                      .h = c->cell,
                      .horizontal = c->axes[column],
                      .vertical = c->axes[row]};
}

static tw_status draw_diagonal(corner *c, int k)
{
    tw_panel p = cell_at(c, k, k);
    const tw_cloud *sets[2] = {&c->clouds[0], &c->clouds[c->count - 1]};
    int bins = (int)fmin(40, tw_histogram_bins(c->clouds[0].rows)), drawn = c->count > 1 ? 2 : 1;
    double height[2][40], most = 0;
    char spare[16];
    for (int s = 0; s < drawn; s++) {
        tw_histogram(p.horizontal, sets[s]->rows, sets[s]->values + k, c->columns, bins, height[s]);
        for (int b = 0; b < bins; b++) most = fmax(most, height[s][b]);
    }
    p.vertical = (tw_axis){0, most > 0 ? 1.3 * most : 1, false};
    tw_panel_frame(&p, (tw_frame_style){.lines_up = true, .labels_below = k == c->shown - 1, .size = 7.5});
    for (int s = 0; s < drawn; s++) tw_panel_steps(&p, bins, height[s], tw_palette(s), s == 0);
    tw_font font = {.size = 9, .bold = true, .colour = tw_ink, .room = p.w - 12};
    tw_canvas_text(&c->canvas, p.x + 6, p.y + 13, font, column_name(c, k, spare, sizeof spare));
    return TW_OK;
}

static tw_status draw_pair(corner *c, int row, int column)
{
    const bool lower = row > column;
    const tw_cloud *cloud = lower ? &c->clouds[0] : &c->clouds[c->count - 1];
    tw_panel p = cell_at(c, row, column);
    if (!lower && c->count == 1) return TW_OK;
    tw_frame_style style = {.lines_across = true, .lines_up = true, .size = 7.5};
    style.labels_below = row == c->shown - 1;
    style.labels_left = column == 0;
    tw_panel_frame(&p, style);
    tw_status status =
        tw_panel_scatter(&p, cloud->rows, c->columns, cloud->values, column, row, tw_palette(lower ? 0 : 1));
    if (cloud->rows > 20000) tw_panel_frame(&p, (tw_frame_style){0});
    return status;
}

static void draw_head(corner *c)
{
    tw_key keys[2] = {{c->clouds[0].title, tw_palette(0), true}, {c->clouds[c->count - 1].title, tw_palette(1), false}};
    double x = c->left + tw_legend(&c->canvas, c->left, 26, c->count > 1 ? 2 : 1, keys);
    if (c->shown == c->columns) return;
    char words[64];
    tw_font font = {.size = 9, .colour = tw_muted};
    snprintf(words, sizeof words, "first %d of %d columns", c->shown, c->columns);
    tw_canvas_text(&c->canvas, x, 26, font, words);
}

tw_status tw_plot_corner(tw_context *ctx, const char *path, int columns, const char *const *names, int count,
                         const tw_cloud *clouds)
{
    tw_status status = TW_OK;
    corner c = {.columns = columns, .names = names, .count = count, .clouds = clouds, .gap = 7, .left = 48, .top = 42};
    c.shown = columns < MOST_COLUMNS ? columns : MOST_COLUMNS;
    double width = c.shown < 5 ? 820 : 1040;
    c.cell = floor((width - c.left - 18 - c.gap * (c.shown - 1)) / c.shown);
    for (int k = 0; k < c.shown; k++)
        TW_TRY(tw_axis_of_values(ctx, clouds[0].rows, clouds[0].values + k, columns, &c.axes[k]));
    TW_TRY(tw_canvas_open(ctx, width, c.top + c.shown * (c.cell + c.gap) + 24, &c.canvas));
    draw_head(&c);
    for (int row = 0; row < c.shown; row++)
        for (int column = 0; column < c.shown; column++)
            TW_TRY(row == column ? draw_diagonal(&c, row) : draw_pair(&c, row, column));
    TW_TRY(tw_canvas_save(&c.canvas, path));
done:
    tw_canvas_close(&c.canvas);
    return status;
}
