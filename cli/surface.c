/* surface.c - see surface.h. */
#include "surface.h"

#include "files.h"

#include "data/dataset.h"
#include "space/mesh.h"

#include <math.h>

enum { ROWS = 50000 /* unless told */ };

bool is_mesh_file(const char *path)
{
    static const char *const ends[] = {".obj", ".off", ".ply", ".obj.gz", ".off.gz", ".ply.gz"};
    for (int i = 0; path && i < TW_COUNT(ends); i++)
        if (has_ending(path, ends[i])) return true;
    return false;
}

const char *mesh_of(const settings *s)
{
    const char *data = opt_text(s, OPT_DATA);
    return opt_given(s, OPT_MESH) ? opt_text(s, OPT_MESH) : is_mesh_file(data) ? data : NULL;
}

tw_status surface_eigenfunction(tw_mesh *mesh, int64_t k, double *out)
{
    const tw_mesh_info *info = tw_mesh_about(mesh);
    tw_status status = tw_mesh_find_eigenpairs(mesh, k);
    for (int64_t v = 0; status == TW_OK && v < info->vertices; v++)
        out[v] = info->eigenfunction[v * info->eigenpairs + k - 1];
    return status;
}

/* --- how dense its points are ---------------------------------------------------------------------------------------- */

typedef struct density {
    tw_mesh *mesh;
    double *function; /* (vertices), NULL: uniform */
    double mass;      /* integral of its positive part, or the area */
} density;

static void density_free(tw_context *ctx, void *user)
{
    density *d = user;
    if (!d) return;
    tw_mesh_destroy(d->mesh);
    tw_free(ctx, d->function);
    tw_free(ctx, d);
}

/* Mean of the positive part of what is linear in a triangle with these values at its corners. */
static double positive_mean(const double value[3])
{
    double sum = value[0] + value[1] + value[2];
    int above = 0, odd = 0; /* the corner that is on its own side */
    for (int i = 0; i < 3; i++) above += value[i] > 0;
    if (above == 0 || above == 3) return above ? sum / 3 : 0;
    while ((value[odd] > 0) != (above == 1)) odd++;
    double a = value[odd], b = value[(odd + 1) % 3], c = value[(odd + 2) % 3];
    double cut = a * a * a / (3 * (a - b) * (a - c)); /* of the part on that side */
    return above == 1 ? cut : sum / 3 - cut;
}

static double mass_of(const density *d)
{
    const tw_mesh_info *info = tw_mesh_about(d->mesh);
    double sum = 0, value[3];
    if (!d->function) return info->area;
    for (int64_t f = 0; f < info->faces; f++) {
        for (int i = 0; i < 3; i++) value[i] = d->function[info->face[3 * f + i]];
        sum += positive_mean(value) * tw_mesh_area(d->mesh, f);
    }
    return sum;
}

static double log_density(const void *user, const double *x)
{
    const density *d = user;
    double value = d->function ? 0 : 1;
    if (d->function) {
        tw_mesh_place at = tw_mesh_find(d->mesh, x, NULL);
        const int32_t *corner = tw_mesh_about(d->mesh)->face + 3 * at.face;
        for (int i = 0; i < 3; i++) value += at.share[i] * d->function[corner[i]];
    }
    return log(fmax(value, 0) / d->mass);
}

/* --- the data ---------------------------------------------------------------------------------------------------------- */

tw_status surface_open(tw_context *ctx, const settings *s, const char *path, const tw_dataset_desc *desc,
                       tw_dataset **out_data)
{
    static const char *const names[] = {"x", "y", "z"};
    size_t n = opt_given(s, OPT_ROWS) ? (size_t)opt_int(s, OPT_ROWS) : ROWS;
    tw_status status = TW_OK;
    tw_dataset *data = NULL;
    double *points = NULL;
    density *d = tw_alloc(ctx, 1, sizeof *d);
    if (!d) return tw_fail_memory(ctx, sizeof *d);
    TW_TRY(tw_mesh_read(ctx, path, &d->mesh));
    if (opt_given(s, OPT_EIGENFUNCTION)) {
        size_t vertices = (size_t)tw_mesh_about(d->mesh)->vertices;
        d->function = tw_alloc(ctx, vertices, sizeof *d->function);
        if (!d->function) TW_TRY(tw_fail_memory(ctx, vertices * sizeof *d->function));
        TW_TRY(surface_eigenfunction(d->mesh, opt_int(s, OPT_EIGENFUNCTION), d->function));
    }
    d->mass = mass_of(d);
    points = tw_alloc(ctx, n, 3 * sizeof *points);
    if (!points) TW_TRY(tw_fail_memory(ctx, n * 3 * sizeof *points));
    TW_TRY(tw_mesh_draw(d->mesh, d->function, desc->seed, (int64_t)n, points));
    TW_TRY(tw_dataset_from_memory(ctx, (int64_t)n, 3, points, names, desc, &data));
    tw_dataset_know_density(data, &(tw_known_density){.log_density = log_density, .free = density_free, .user = d});
    d = NULL;
    *out_data = data;
done:
    tw_free(ctx, points);
    density_free(ctx, d);
    return status;
}
