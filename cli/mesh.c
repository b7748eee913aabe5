/* mesh.c - `thalweg mesh`: what a surface is like, points drawn on it, and a picture of them. */
#include "cli.h"
#include "files.h"
#include "surface.h"

#include "plot/plot.h"

#include <thalweg/mesh.h>

static const char *const names[] = {"x", "y", "z"};

static tw_status draw_points(cli *c, tw_mesh *mesh, double *function, double *density, double *points)
{
    const settings *s = &c->set;
    int64_t n = opt_int(s, OPT_N_POINTS);
    const char *out = opt_text(s, OPT_OUT_POINTS), *picture = opt_text(s, OPT_PLOT);
    tw_status status = TW_OK;
    if (opt_given(s, OPT_EIGENFUNCTION)) TW_TRY(surface_eigenfunction(mesh, opt_int(s, OPT_EIGENFUNCTION), function));
    TW_TRY(tw_mesh_draw(mesh, opt_given(s, OPT_EIGENFUNCTION) ? function : NULL, opt_seed(s, OPT_SEED), n, points));
    if (out) TW_TRY(write_csv(c->ctx, out, 3, names, NULL, n, points));
    if (out) cli_say(c, "points   %s, %lld rows", out, (long long)n);
    if (!picture) return TW_OK;
    TW_TRY(tw_plot_mesh_density(c->ctx, mesh, n, points, density));
    TW_TRY(tw_plot_mesh(c->ctx, picture, mesh, 1, &(tw_surface){"points", density}));
    cli_say(c, "picture  %s", picture);
done:
    return status;
}

static void tell(cli *c, const tw_mesh_info *info)
{
    cli_say(c, "mesh     %lld vertices, %lld faces, %lld edges of its boundary, %lld %s, Euler characteristic %lld",
            (long long)info->vertices, (long long)info->faces, (long long)info->boundary_edges,
            (long long)info->components, info->components == 1 ? "part" : "parts", (long long)info->euler);
    cli_say(c, "area     %g, centre %g, %g, %g, radius of inertia %g", info->area, info->centre[0], info->centre[1],
            info->centre[2], info->size);
}

static int tell_json(const tw_mesh_info *info)
{
    cJSON *object = cJSON_CreateObject();
    json_int(object, "vertices", info->vertices);
    json_int(object, "faces", info->faces);
    json_int(object, "boundary_edges", info->boundary_edges);
    json_int(object, "components", info->components);
    json_int(object, "euler", info->euler);
    json_number(object, "area", info->area);
    return json_print(object);
}

int run_mesh(cli *c)
{
    const char *path = opt_text(&c->set, OPT_MESH_FILE);
    tw_mesh *mesh = NULL;
    double *function = NULL, *points = NULL;
    int result = EXIT_DONE;
    if (!path) return cli_usage("mesh needs a FILE: .obj, .off or .ply (thalweg mesh --help)");
    tw_status status = cli_start(c);
    if (status == TW_OK) status = tw_mesh_read(c->ctx, path, &mesh);
    if (status != TW_OK) return cli_exit(c, status);
    const tw_mesh_info *info = tw_mesh_about(mesh);
    size_t n = (size_t)opt_int(&c->set, OPT_N_POINTS), vertices = (size_t)info->vertices;
    function = tw_alloc(c->ctx, 2 * vertices, sizeof *function);
    points = tw_alloc(c->ctx, 3 * n, sizeof *points);
    if (!c->json) tell(c, info);
    status = function && points ? draw_points(c, mesh, function, function + vertices, points)
                                : tw_fail(c->ctx, TW_ERR_MEMORY, "no memory for %zu points", n);
    if (status != TW_OK)
        result = cli_exit(c, status);
    else if (c->json)
        result = tell_json(info);
    tw_free(c->ctx, function);
    tw_free(c->ctx, points);
    tw_mesh_destroy(mesh);
    return result;
}
