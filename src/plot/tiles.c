/* plot/tiles.c - pictures side by side in lines, with words above and beside them: what image models draw, still or
 * moving. A tile is at least SIDE pixels of the file wide, so that 28 x 28 pixels can be seen, and pixels stay square:
 * nothing is smoothed that the model did not smooth. */
#include "plot/canvas.h"
#include "plot/plot.h"

#include <math.h>
#include <stdio.h>

enum { SIDE = 80, MOST_SIDE = 16000, MOST_WORDS = 130 };
static const double edge = 16, gap = 2, between = 22, head_high = 15, title_high = 24;

static const tw_font title_font = {.size = 12, .bold = true, .colour = {0.13, 0.15, 0.17}};
static const tw_font head_font = {.size = 8.5, .colour = {0.42, 0.45, 0.49}, .align = TW_ALIGN_CENTRE};
static const tw_font line_font = {
    .size = 9.5, .colour = {0.13, 0.15, 0.17}, .align = TW_ALIGN_RIGHT, .room = MOST_WORDS};

/* Where things are, in logical pixels. */
typedef struct layout {
    int size;      /* of a picture's pixel, in pixels of the file */
    double w, h;   /* of a tile */
    double labels; /* width of the words beside lines */
    double top, width, height;
} layout;

/* Of a group: its tiles, or its title when that is wider. */
static double group_width(tw_canvas *canvas, const layout *l, const tw_tiles *t)
{
    return ceil(fmax((double)t->across * (l->w + gap) - gap, tw_canvas_text_width(canvas, title_font, t->title)));
}

/* Rooms for words cannot be known without a font: a canvas of one pixel has it. */
static tw_status measure_words(tw_context *ctx, int count, const tw_tiles *groups, layout *l)
{
    const tw_tiles *first = &groups[0];
    tw_canvas canvas = {0};
    double widest = 0;
    tw_status status = tw_canvas_open(ctx, 1, 1, &canvas);
    if (status != TW_OK) return status;
    for (int64_t k = 0; first->lines && k < first->down; k++)
        widest = fmax(widest, tw_canvas_text_width(&canvas, line_font, first->lines[k]));
    if (first->lines) l->labels = fmin(widest, MOST_WORDS) + 8;
    l->width = ceil(edge + l->labels) + edge - between;
    for (int g = 0; g < count; g++) l->width += group_width(&canvas, l, &groups[g]) + between;
    tw_canvas_close(&canvas);
    return TW_OK;
}

static tw_status lay_out(tw_context *ctx, int count, const tw_tiles *groups, layout *out)
{
    tw_image image = groups[0].image;
    int64_t longer = tw_max_i64(image.height, image.width);
    layout l = {.size = (int)tw_max_i64(1, (SIDE + longer - 1) / tw_max_i64(longer, 1))};
    bool titles = false, heads = false;
    double lines = 0;
    for (int g = 0; g < count; g++) {
        const tw_tiles *t = &groups[g];
        if (t->across < 1 || t->down < 1 || t->image.height < 1 || t->image.height != image.height ||
            t->image.width != image.width || (t->image.channels != 1 && t->image.channels != 3))
            return tw_fail(
                ctx, TW_ERR_INVALID, "a picture of %lld x %lld tiles of %d x %d pixels and %d channels (1 or 3)",
                (long long)t->across, (long long)t->down, t->image.width, t->image.height, t->image.channels);
        titles |= t->title != NULL;
        heads |= t->heads != NULL;
        lines = fmax(lines, (double)t->down);
    }
    l.w = image.width * l.size / 2.0;
    l.h = image.height * l.size / 2.0;
    l.top = edge + titles * title_high + heads * head_high;
    l.height = l.top + lines * (l.h + gap) - gap + edge;
    tw_status status = measure_words(ctx, count, groups, &l);
    if (status == TW_OK && fmax(l.width, l.height) > MOST_SIDE)
        status = tw_fail(ctx, TW_ERR_INVALID, "a picture of tiles would be %.0f x %.0f pixels: ask for fewer",
                         2 * l.width, 2 * l.height);
    if (status == TW_OK) *out = l;
    return status;
}

static int64_t shown_at(const tw_tiles *t, int64_t tile)
{
    int64_t k = t->order ? t->order[tile] : tile;
    return k < t->count ? k : -1;
}

/* One group from `left` on; pictures from `values`. */
static void draw_group(tw_canvas *canvas, const layout *l, const tw_tiles *t, double left, const char *title,
                       const double *values)
{
    int64_t numbers = (int64_t)t->image.height * t->image.width * t->image.channels;
    double head_at = l->top - 6;
    tw_canvas_text(canvas, left, edge + 10, title_font, title);
    for (int64_t j = 0; t->heads && j < t->across; j++) {
        tw_font font = head_font;
        font.room = l->w;
        tw_canvas_text(canvas, left + (double)j * (l->w + gap) + l->w / 2, head_at, font, t->heads[j]);
    }
    for (int64_t i = 0; i < t->down; i++) {
        double y = l->top + (double)i * (l->h + gap);
        if (t->lines) tw_canvas_text(canvas, left - 8, y + l->h / 2 + 3.4, line_font, t->lines[i]);
        for (int64_t j = 0; j < t->across; j++) {
            int64_t k = shown_at(t, i * t->across + j);
            double x = left + (double)j * (l->w + gap);
            if (k >= 0) tw_canvas_picture(canvas, x, y, t->image, l->size, values + k * numbers);
        }
    }
}

tw_status tw_plot_tiles(tw_context *ctx, const char *path, int count, const tw_tiles *groups)
{
    layout l;
    tw_canvas canvas = {0};
    tw_status status = TW_OK;
    if (count < 1) return tw_fail(ctx, TW_ERR_INVALID, "a picture of tiles needs a group of them");
    TW_TRY(lay_out(ctx, count, groups, &l));
    TW_TRY(tw_canvas_open(ctx, l.width, l.height, &canvas));
    double left = ceil(edge + l.labels);
    for (int g = 0; g < count; g++) {
        tw_tiles t = groups[g];
        if (g > 0) t.lines = NULL;
        draw_group(&canvas, &l, &t, left, t.title, t.values);
        left += group_width(&canvas, &l, &groups[g]) + between;
    }
    TW_TRY(tw_canvas_save(&canvas, path));
done:
    tw_canvas_close(&canvas);
    return status;
}

tw_status tw_plot_tiles_moving(tw_context *ctx, const char *path, const tw_tiles *tiles, int frames,
                               const double *times)
{
    layout l;
    tw_canvas canvas = {0};
    tw_png film = {0};
    tw_tiles t = *tiles;
    tw_status status = TW_OK;
    int64_t numbers = (int64_t)t.image.height * t.image.width * t.image.channels;
    t.title = ""; /* room for the time */
    TW_TRY(lay_out(ctx, 1, &t, &l));
    TW_TRY(tw_canvas_open(ctx, fmax(l.width, 90), l.height, &canvas));
    TW_TRY(tw_canvas_film(&canvas, path, frames, &film));
    for (int k = 0; k < frames; k++) {
        char title[48];
        snprintf(title, sizeof title, "t = %.2f", times[k]);
        tw_canvas_clear(&canvas);
        draw_group(&canvas, &l, &t, ceil(edge + l.labels), title, t.values + k * t.count * numbers);
        TW_TRY(tw_canvas_shoot(&canvas, &film));
    }
    TW_TRY(tw_png_commit(&film));
done:
    tw_png_abandon(&film);
    tw_canvas_close(&canvas);
    return status;
}
