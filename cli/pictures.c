/* pictures.c - see pictures.h. Models of more than two columns show their first two. */
#include "pictures.h"

#include "plot/plot.h"

enum { MAX_FRAMES = 100, DRAWN_ROWS = 4000 };

tw_status plot_flow(tw_context *ctx, const char *path, const model *m, int frames, int64_t n, const double *rows)
{
    tw_cloud cloud[MAX_FRAMES];
    double time[MAX_FRAMES];
    char title[MAX_FRAMES][24];
    int columns = m->about->columns;
    if (frames > MAX_FRAMES) frames = MAX_FRAMES;
    for (int k = 0; k < frames; k++) {
        time[k] = (double)k / (frames - 1);
        snprintf(title[k], sizeof title[k], "t = %.2f", time[k]);
        cloud[k] = (tw_cloud){title[k], tw_min_i64(n, DRAWN_ROWS), rows + (int64_t)k * n * columns};
    }
    return tw_plot_frames(ctx, path, columns, m->about->names, 0, columns > 1 ? 1 : 0, frames, time, cloud);
}
