/* plot/associations.c - two matrices of associations and their difference as squares of colour: see tables.h. */
#include "plot/tables.h"

#include "plot/canvas.h"

#include <math.h>

static const tw_colour positive = {0.70, 0.09, 0.17}, negative = {0.13, 0.40, 0.67}, none = {1, 1, 1};
static const double room = 96; /* for names */

/* -1 to 1; white is nothing. */
static tw_colour colour_of(double v)
{
    return tw_mix(none, v < 0 ? negative : positive, fmin(1, fabs(v)));
}

typedef struct matrices {
    tw_canvas canvas;
    const tw_records *records;
    double cell, top;
} matrices;

static void draw_matrix(matrices *m, double x, const char *title, const double *a, const double *less, bool names)
{
    int n = m->records->columns;
    double size = n * m->cell;
    tw_font head = {.size = 12, .bold = true, .colour = tw_ink};
    tw_canvas_text(&m->canvas, x, m->top - 10, head, title);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            double v = a[i * n + j] - (less ? less[i * n + j] : 0);
            tw_canvas_fill(&m->canvas, x + j * m->cell, m->top + i * m->cell, m->cell, m->cell, colour_of(v), 1);
        }
    tw_canvas_box(&m->canvas, x, m->top, size, size, 1, tw_rule);
    for (int i = 0; i < n; i++) {
        const char *name = m->records->column[i].name;
        tw_font beside = {.size = 8, .colour = tw_muted, .align = TW_ALIGN_RIGHT, .room = room - 8};
        tw_font below = beside;
        below.upright = true;
        if (names) tw_canvas_text(&m->canvas, x - 6, m->top + (i + 0.5) * m->cell + 3, beside, name);
        tw_canvas_text(&m->canvas, x + (i + 0.5) * m->cell + 3, m->top + size + 6, below, name);
    }
}

tw_status tw_plot_associations(tw_context *ctx, const char *path, const tw_records *records, const double *real,
                               const double *synthetic)
{
    int n = records->columns;
    matrices m = {.records = records, .cell = fmin(40, fmax(8, 280.0 / n)), .top = 36};
    double size = fmax(60, n * m.cell), gap = 24;
    tw_status status = tw_canvas_open(ctx, room + 3 * size + 2 * gap + 16, m.top + n * m.cell + room + 8, &m.canvas);
    if (status != TW_OK) return status;
    draw_matrix(&m, room, "held-out", real, NULL, true);
    draw_matrix(&m, room + size + gap, "synthetic", synthetic, NULL, false);
    draw_matrix(&m, room + 2 * (size + gap), "difference", synthetic, real, false);
    status = tw_canvas_save(&m.canvas, path);
    tw_canvas_close(&m.canvas);
    return status;
}
