/* plot/marginals.c - the columns of two tables, a small panel each: see tables.h. */
#include "plot/tables.h"

#include "plot/panel.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ACROSS = 4, MOST_BINS = 40, MOST_BARS = 9 };
static const double cell_width = 236, cell_height = 168, panel_height = 104;

typedef struct grid {
    tw_canvas canvas;
    const tw_records *of[2]; /* real, synthetic */
    const char *const *note;
} grid;

static tw_panel panel_at(grid *g, int c)
{
    return (tw_panel){.canvas = &g->canvas,
                      .x = 34 + c % ACROSS * cell_width,
                      .y = 66 + c / ACROSS * cell_height,
                      .w = cell_width - 46,
                      .h = panel_height};
}

static void draw_words(grid *g, const tw_panel *p, int c)
{
    tw_font name = {.size = 10, .bold = true, .colour = tw_ink, .room = p->w};
    tw_font note = {.size = 8, .colour = tw_muted, .room = p->w};
    tw_canvas_text(&g->canvas, p->x, p->y - 17, name, g->of[0]->column[c].name);
    tw_canvas_text(&g->canvas, p->x, p->y - 6, note, g->note[c]);
}

/* --- numbers ---------------------------------------------------------------------------------------------------------
 */

static tw_status draw_numbers(grid *g, int c)
{
    tw_panel p = panel_at(g, c);
    tw_context *ctx = g->canvas.ctx;
    int64_t rows = tw_max_i64(g->of[0]->rows, g->of[1]->rows), there[2] = {0};
    double height[2][MOST_BINS], most = 0;
    tw_status status = TW_OK;
    double *value = tw_alloc(ctx, 2 * (size_t)rows, sizeof *value);
    if (!value) return tw_fail_memory(ctx, 2 * (size_t)rows * sizeof *value);
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < g->of[s]->rows; i++) {
            double v = g->of[s]->column[c].value[i];
            if (!isnan(v)) value[s * rows + there[s]++] = v;
        }
    TW_TRY(tw_axis_of_values(ctx, there[0], value, 1, &p.horizontal));
    int bins = (int)tw_min_i64(MOST_BINS, tw_histogram_bins(there[0]));
    for (int s = 0; s < 2; s++) {
        for (int b = 0; b < bins; b++) height[s][b] = 0;
        if (there[s] > 0) tw_histogram(p.horizontal, there[s], value + s * rows, 1, bins, height[s]);
        for (int b = 0; b < bins; b++) most = fmax(most, height[s][b]);
    }
    p.vertical = (tw_axis){0, most > 0 ? 1.1 * most : 1, false};
    tw_panel_frame(&p, (tw_frame_style){.lines_up = true, .labels_below = true, .size = 7.5});
    for (int s = 0; s < 2; s++) tw_panel_steps(&p, bins, height[s], tw_palette(s), s == 0);
    draw_words(g, &p, c);
done:
    tw_free(ctx, value);
    return status;
}

/* --- categories ------------------------------------------------------------------------------------------------------
 */

typedef struct bar {
    double share[2];
    int level; /* the number of levels: missing */
} bar;

static int by_share(const void *a, const void *b)
{
    const bar *x = a, *y = b;
    return x->share[0] != y->share[0] ? (x->share[0] < y->share[0]) - (x->share[0] > y->share[0])
                                      : (x->level > y->level) - (x->level < y->level);
}

static void draw_bar(grid *g, const tw_panel *p, int at, int bars, const bar *b, const char *label, double most)
{
    double step = p->w / bars, x = p->x + at * step, width = 0.36 * step;
    for (int s = 0; s < 2; s++) {
        double h = p->h * b->share[s] / most, left = x + step / 2 + (s - 1) * width;
        tw_canvas_fill(&g->canvas, left, p->y + p->h - h, width, h, tw_palette(s), s == 0 ? 0.35 : 0.85);
    }
    tw_font font = {.size = 7, .colour = tw_muted, .align = TW_ALIGN_CENTRE, .room = step};
    tw_canvas_text(&g->canvas, x + step / 2, p->y + p->h + 11, font, label);
}

static tw_status draw_categories(grid *g, int c)
{
    tw_panel p = panel_at(g, c);
    tw_context *ctx = g->canvas.ctx;
    const tw_record_column *column = &g->of[0]->column[c];
    int levels = column->levels, bars = levels + 1;
    bar *b = tw_alloc(ctx, (size_t)bars, sizeof *b), rest = {{0}, 0};
    if (!b) return tw_fail_memory(ctx, (size_t)bars * sizeof *b);
    for (int k = 0; k < bars; k++) b[k].level = k;
    for (int s = 0; s < 2; s++)
        for (int64_t i = 0; i < g->of[s]->rows; i++) {
            double v = g->of[s]->column[c].value[i];
            b[isnan(v) ? levels : (int)v].share[s] += 1 / (double)g->of[s]->rows;
        }
    qsort(b, (size_t)bars, sizeof *b, by_share);
    while (bars > 1 && b[bars - 1].share[0] + b[bars - 1].share[1] == 0) bars--;
    int shown = bars <= MOST_BARS ? bars : MOST_BARS - 1;
    for (int k = shown; k < bars; k++)
        for (int s = 0; s < 2; s++) rest.share[s] += b[k].share[s];
    double most = 0;
    for (int s = 0; s < 2; s++) {
        for (int k = 0; k < shown; k++) most = fmax(most, b[k].share[s]);
        most = fmax(most, rest.share[s]);
    }
    tw_canvas_line(&g->canvas, p.x, p.y + p.h, p.x + p.w, p.y + p.h, 1, tw_rule);
    int all = shown + (shown < bars);
    for (int k = 0; k < shown; k++) {
        char number[16];
        snprintf(number, sizeof number, "%d", b[k].level + 1);
        const char *label = b[k].level == levels ? "missing" : column->level ? column->level[b[k].level] : number;
        draw_bar(g, &p, k, all, &b[k], label, 1.1 * most);
    }
    if (shown < bars) draw_bar(g, &p, shown, all, &rest, "others", 1.1 * most);
    draw_words(g, &p, c);
    tw_free(ctx, b);
    return TW_OK;
}

tw_status tw_plot_marginals(tw_context *ctx, const char *path, const tw_records *real, const tw_records *synthetic,
                            const char *const *note)
{
    grid g = {.of = {real, synthetic}, .note = note};
    int columns = real->columns, down = (columns + ACROSS - 1) / ACROSS, across = columns < ACROSS ? columns : ACROSS;
    tw_status status = TW_OK;
    TW_TRY(tw_records_check_alike(ctx, real, synthetic));
    TW_TRY(tw_canvas_open(ctx, 20 + across * cell_width, 36 + down * cell_height, &g.canvas));
    const tw_key keys[2] = {{"held-out", tw_palette(0), true}, {"synthetic", tw_palette(1), false}};
    tw_legend(&g.canvas, 34, 24, 2, keys);
    for (int c = 0; c < columns; c++) TW_TRY(real->column[c].levels ? draw_categories(&g, c) : draw_numbers(&g, c));
    TW_TRY(tw_canvas_save(&g.canvas, path));
done:
    tw_canvas_close(&g.canvas);
    return status;
}
