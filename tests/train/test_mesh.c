/* Flows on a mesh: trained towards the positive part of an eigenfunction, they come close to its entropy, their
 * densities integrate to one, samples are on the mesh, and a file holds all of it. */
#include "flow/flow.h"
#include "support/context.h"
#include "support/meshes.h"

#include <thalweg/train.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROWS = 4000, POINTS = 500, PAIRS = 40, TARGET = 2 };

static const char *const names[] = {"x", "y", "z"};

typedef struct world {
    tw_mesh *mesh;
    double *height; /* the function at the vertices */
    double rows[3 * ROWS];
} world;

static tw_flow_desc desc_of(const world *w)
{
    return (tw_flow_desc){.columns = 3,
                          .names = names,
                          .space = "mesh:0",
                          .path = "biharmonic:40",
                          .mesh = w->mesh,
                          .network = {.width = 64, .depth = 2},
                          .seed = 1};
}

static int open_world(void **state)
{
    static world w;
    if (!tw_mesh_has_solver()) return 0;
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    w.mesh = mesh_of(ctx, raw_potato(3));
    const tw_mesh_info *info = tw_mesh_about(w.mesh);
    if (tw_mesh_find_eigenpairs(w.mesh, PAIRS) != TW_OK) return -1;
    w.height = malloc((size_t)info->vertices * sizeof(double));
    for (int64_t v = 0; v < info->vertices; v++) w.height[v] = info->eigenfunction[v * PAIRS + TARGET];
    if (tw_mesh_draw(w.mesh, w.height, 1, ROWS, w.rows) != TW_OK) return -1;
    *state = &w;
    return 0;
}

static int close_world(void **state)
{
    world *w = *state;
    if (!w) return 0;
    tw_context *ctx = w->mesh->ctx;
    tw_mesh_destroy(w->mesh);
    free(w->height);
    tw_context_destroy(ctx);
    return 0;
}

/* Entropy of max(height, 0) by its values at points that are uniform: -int p log p. */
static double entropy(const world *w)
{
    enum { N = 40000 };
    double *x = malloc(3 * N * sizeof(double)), sum = 0, of_logs = 0;
    assert_int_equal(tw_mesh_draw(w->mesh, NULL, 5, N, x), TW_OK);
    for (int i = 0; i < N; i++) {
        tw_mesh_place at = tw_mesh_find(w->mesh, x + 3 * i, NULL);
        double h = 0;
        for (int k = 0; k < 3; k++) h += at.share[k] * w->height[w->mesh->face[3 * at.face + k]];
        if (!(h > 0)) continue;
        sum += h / N;
        of_logs += h * log(h) / N;
    }
    free(x);
    return log(sum * w->mesh->info.area) - of_logs / sum;
}

static tw_flow *trained(const world *w)
{
    tw_context *ctx = w->mesh->ctx;
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    tw_flow_desc desc = desc_of(w);
    assert_int_equal(tw_dataset_from_memory(ctx, ROWS, 3, w->rows, names, NULL, &data), TW_OK);
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    tw_train_desc options = {.steps = 800, .batch = 128, .lr = 4e-3, .seed = 2, .ema = 0.99};
    assert_int_equal(tw_train(flow, data, &options, NULL), TW_OK);
    tw_dataset_destroy(data);
    return flow;
}

static void test_a_flow_on_a_mesh(void **state)
{
    const world *w = *state;
    if (!w) skip();
    static double x[3 * POINTS], again[3 * POINTS], density[POINTS], other[POINTS];
    tw_context *ctx = w->mesh->ctx;
    tw_flow *flow = trained(w), *loaded = NULL;
    tw_sample_desc how = {.solver = {.method = "rk4", .steps = 20}, .seed = 3};
    double nll = 0, mass = 0;
    assert_int_equal(tw_log_density(flow, POINTS, w->rows, &how, density, NULL), TW_OK);
    for (int i = 0; i < POINTS; i++) nll -= density[i] / POINTS;
    double least = entropy(w);
    print_message("negative log-likelihood %.3f nats, entropy %.3f, uniform %.3f\n", nll, least,
                  log(w->mesh->info.area));
    assert_true(nll < least + 0.25 && nll > least - 0.08);
    assert_int_equal(tw_mesh_draw(w->mesh, NULL, 7, POINTS, x), TW_OK);
    assert_int_equal(tw_log_density(flow, POINTS, x, &how, density, NULL), TW_OK);
    for (int i = 0; i < POINTS; i++) mass += exp(density[i]) * w->mesh->info.area / POINTS;
    print_message("mass %.4f\n", mass);
    assert_true(fabs(mass - 1) < 0.1); /* of 800 points: standard deviation about 0.03 */
    assert_int_equal(tw_sample(flow, POINTS, &how, x, NULL, NULL), TW_OK);
    double positive = 0;
    for (int i = 0; i < POINTS; i++) {
        double square, h = 0;
        tw_mesh_place at = tw_mesh_find(w->mesh, x + 3 * i, &square);
        assert_true(square < 1e-20);
        for (int k = 0; k < 3; k++) h += at.share[k] * w->height[w->mesh->face[3 * at.face + k]];
        positive += h > -0.02 ? 1.0 / POINTS : 0;
    }
    assert_true(positive > 0.95);
    char path[64];
    snprintf(path, sizeof path, "mesh-%d.safetensors", (int)getpid());
    assert_int_equal(tw_flow_save(flow, path), TW_OK);
    assert_int_equal(tw_flow_load(ctx, path, &loaded), TW_OK);
    unlink(path);
    assert_int_equal(tw_sample(loaded, POINTS, &how, again, NULL, NULL), TW_OK);
    assert_memory_equal(x, again, sizeof x);
    assert_int_equal(tw_log_density(flow, 100, w->rows, &how, density, NULL), TW_OK);
    assert_int_equal(tw_log_density(loaded, 100, w->rows, &how, other, NULL), TW_OK);
    assert_memory_equal(density, other, 100 * sizeof(double));
    tw_flow_destroy(loaded);
    tw_flow_destroy(flow);
}

static void test_what_does_not_go_with_a_mesh_is_refused(void **state)
{
    const world *w = *state;
    if (!w) skip();
    tw_flow *flow = NULL;
    tw_context *ctx = w->mesh->ctx;
    struct {
        const char *says;
        tw_flow_desc desc;
    } bad[6];
    for (int i = 0; i < 6; i++) bad[i].desc = desc_of(w);
    bad[0].says = "space 'mesh' without a mesh";
    bad[0].desc.mesh = NULL;
    bad[1].says = "path 'geodesic' on space 'mesh'";
    bad[1].desc.path = "geodesic";
    bad[2].says = "source 'wrapped'";
    bad[2].desc.source = "wrapped";
    bad[3].says = "takes three columns, x, y and z";
    bad[3].desc.columns = 2;
    bad[4].says = "path 'biharmonic'";
    bad[4].desc.space = "euclidean";
    bad[5].says = "a mesh is a space of its own";
    bad[5].desc.space = "mesh*3";
    bad[5].desc.path = "geodesic";
    for (int i = 0; i < 6; i++) {
        assert_int_not_equal(tw_flow_create(ctx, &bad[i].desc, &flow), TW_OK);
        if (!strstr(tw_context_error(ctx), bad[i].says)) print_message("%s\n", tw_context_error(ctx));
        assert_non_null(strstr(tw_context_error(ctx), bad[i].says));
    }
    const double off[6] = {9, 9, 9, 9, 9, 8};
    tw_dataset *data = NULL;
    tw_flow_desc desc = desc_of(w);
    assert_int_equal(tw_dataset_from_memory(ctx, 2, 3, off, names, &(tw_dataset_desc){.split = {1, 0, 0}}, &data),
                     TW_OK);
    assert_int_equal(tw_flow_create(ctx, &desc, &flow), TW_OK);
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1}, NULL), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "expected a point on the mesh"));
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_flow_on_a_mesh),
        cmocka_unit_test(test_what_does_not_go_with_a_mesh_is_refused),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
