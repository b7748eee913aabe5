/* density_map.c - see density_map.h. */
#include "density_map.h"

#include "score.h"

#include "flow/flow.h"
#include "plot/plot.h"

#include <math.h>
#include <string.h>

enum { ACROSS = 96, DOWN_GLOBE = 48, DOWN_TORUS = 96, POINTS = 5000 };

/* A picture's tolerance: its colours tell less. */
static const double tolerance = 1e-3;

static const tw_factor *only_factor(const model *m)
{
    const tw_space *space = &m->flow->space;
    return !space->flat && space->count == 1 && space->columns == 2 ? &space->factor[0] : NULL;
}

bool has_density_map(const model *m)
{
    const tw_factor *f = only_factor(m);
    bool globe = f && strncmp(m->about->space, "sphere", 6) == 0;
    if (m->about->mesh) return strcmp(m->about->source, "data") != 0;
    return (globe || (f && f->manifold == TW_MANIFOLD_torus)) && strcmp(m->about->source, "data") != 0;
}

/* Middles of the cells, in data units. */
static void fill_grid(const tw_factor *f, bool globe, int down, double *out)
{
    for (int j = 0; j < down; j++)
        for (int i = 0; i < ACROSS; i++, out += 2) {
            double a = (i + 0.5) / ACROSS, b = (j + 0.5) / down;
            out[f->swapped] = globe ? 360 * a - 180 : f->low + f->period * a;
            out[!f->swapped] = globe ? 180 * b - 90 : f->low + f->period * b;
        }
}

/* At the vertices, beside that of samples and of the data. */
static tw_status draw_mesh(cli *c, const model *m, const tw_ode_desc *solver, const held_out *held, int64_t samples_count,
                           const double *samples, const char *path)
{
    const tw_mesh_info *info = tw_mesh_about(m->about->mesh);
    size_t vertices = (size_t)info->vertices;
    score found;
    tw_status status = TW_OK;
    double *value = tw_alloc(c->ctx, 3 * vertices, sizeof *value);
    if (!value) return tw_fail_memory(c->ctx, 3 * vertices * sizeof *value);
    tw_surface surfaces[] = {
        {"density", value}, {"samples", value + vertices}, {"held-out data", value + 2 * vertices}};
    TW_TRY(score_rows(c, m, solver, info->vertices, info->vertex, NULL, value, &found));
    for (size_t v = 0; v < vertices; v++) value[v] = exp(value[v]);
    TW_TRY(tw_plot_mesh_density(c->ctx, m->about->mesh, samples_count, samples, value + vertices));
    TW_TRY(tw_plot_mesh_density(c->ctx, m->about->mesh, held->rows, held->values, value + 2 * vertices));
    status = tw_plot_mesh(c->ctx, path, m->about->mesh, TW_COUNT(surfaces), surfaces);
done:
    tw_free(c->ctx, value);
    return status;
}

tw_status draw_density_map(cli *c, const model *m, const tw_ode_desc *solver, const held_out *held,
                           int64_t samples_count, const double *samples, const char *path)
{
    const tw_factor *f = only_factor(m);
    if (m->about->mesh) return draw_mesh(c, m, solver, held, samples_count, samples, path);
    bool globe = f->manifold == TW_MANIFOLD_sphere;
    int down = globe ? DOWN_GLOBE : DOWN_TORUS;
    int64_t cells = (int64_t)ACROSS * down;
    tw_ode_desc coarse = *solver;
    score found;
    tw_status status = TW_OK;
    double *grid = tw_alloc(c->ctx, (size_t)cells, 2 * sizeof *grid);
    double *log_density = tw_alloc(c->ctx, (size_t)cells, sizeof *log_density);
    if (!grid || !log_density) TW_TRY(tw_fail_memory(c->ctx, (size_t)cells * 3 * sizeof *grid));
    coarse.rtol = coarse.atol = tolerance;
    fill_grid(f, globe, down, grid);
    TW_TRY(score_rows(c, m, &coarse, cells, grid, NULL, log_density, &found));
    tw_density_map map = {ACROSS, down, log_density, !globe, f->swapped};
    tw_cloud clouds[] = {{"density and held-out data", tw_min_i64(held->rows, POINTS), held->values},
                         {"density and samples", tw_min_i64(samples_count, POINTS), samples}};
    if (globe)
        TW_TRY(tw_plot_globe(c->ctx, path, &map, &clouds[0]));
    else
        TW_TRY(tw_plot_torus(c->ctx, path, m->about->names, f->low, f->period, &map, 2, clouds));
done:
    tw_free(c->ctx, grid);
    tw_free(c->ctx, log_density);
    return status;
}
