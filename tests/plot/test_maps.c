/* Densities on closed surfaces: darkest where they are greatest, in the middle of a globe that faces the points, at the
 * right place of the flat one, whichever column is the latitude; white outside; a torus whose sides meet. */
#include "plot/plot.h"

#include "support/context.h"

#include <cairo.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

/* fontconfig keeps its configuration for the life of the process and loses some of it; nothing of ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}

enum { ACROSS = 72, DOWN = 36 };
static const double degree = 3.14159265358979323846 / 180;
static char path[] = "/tmp/thalweg-maps-XXXXXX";
static double density[ACROSS * DOWN];

/* One hill around a place. */
static void hill(double lon, double lat)
{
    for (int j = 0; j < DOWN; j++)
        for (int i = 0; i < ACROSS; i++) {
            double a = (-180 + 360 * (i + 0.5) / ACROSS) * degree, b = (-90 + 180 * (j + 0.5) / DOWN) * degree;
            double cosine = sin(b) * sin(lat * degree) + cos(b) * cos(lat * degree) * cos(a - lon * degree);
            density[j * ACROSS + i] = 20 * (cosine - 1);
        }
}

/* Mean of the three colours at a place in logical pixels; pictures have twice as many. */
static double light_at(cairo_surface_t *s, double x, double y)
{
    const unsigned char *p = cairo_image_surface_get_data(s) + (int)(2 * y) * cairo_image_surface_get_stride(s);
    p += 4 * (int)(2 * x);
    return (p[0] + p[1] + p[2]) / 3.0;
}

static void test_a_globe_faces_its_points(void **state)
{
    const double point[2][2] = {{100, 30}, {30, 100}}; /* either column first */
    hill(100, 30);
    for (int swapped = 0; swapped < 2; swapped++) {
        const tw_density_map map = {ACROSS, DOWN, density, false, swapped};
        const tw_cloud facing = {"hill", 1, point[swapped]};
        assert_int_equal(tw_plot_globe(*state, path, &map, &facing), TW_OK);
        cairo_surface_t *s = cairo_image_surface_create_from_png(path);
        assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
        /* globes of 320 at (20, 44) and (360, 44), the flat one of 660 x 330 at (20, 384) */
        assert_true(light_at(s, 180 + 6, 204 + 6) < 150 && light_at(s, 520 + 6, 204 + 6) > 235);
        assert_true(light_at(s, 22, 46) == 255 && light_at(s, 22, 386) == 255);
        double angle = 0.4122; /* 2 angle + sin 2 angle = pi sin 30 degrees */
        assert_true(light_at(s, 20 + 330 * (1 + 100 / 180.0 * cos(angle)) + 4, 384 + 165 * (1 - sin(angle)) + 4) < 150);
        cairo_surface_destroy(s);
    }
}

static void test_a_torus_is_a_square_whose_sides_meet(void **state)
{
    enum { N = 40 };
    static double square[N * N];
    const char *const names[] = {"phi", "psi"};
    const double points[2] = {-90, -90};
    for (int j = 0; j < N; j++) /* a hill at the corner, seen in all four */
        for (int i = 0; i < N; i++)
            square[j * N + i] = 6 * (cos(2 * 180 * degree * (i + 0.5) / N) + cos(2 * 180 * degree * (j + 0.5) / N));
    const tw_density_map map = {N, N, square, true, false};
    const tw_cloud clouds[] = {{"data", 1, points}, {"samples", 1, points}};
    assert_int_equal(tw_plot_torus(*state, path, names, -180, 360, &map, 2, clouds), TW_OK);
    cairo_surface_t *s = cairo_image_surface_create_from_png(path);
    assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
    for (int k = 0; k < 2; k++) { /* squares of 320 at (60 + 346 k, 52) */
        double x = 60 + 346 * k, y = 52;
        for (int corner = 0; corner < 4; corner++)
            assert_true(light_at(s, x + (corner % 2 ? 316 : 4), y + (corner / 2 ? 316 : 4)) < 130);
        assert_true(light_at(s, x + 163, y + 163) > 235);
    }
    cairo_surface_destroy(s);
    assert_int_equal(tw_plot_torus(*state, path, names, -180, 360, &map, 0, clouds), TW_ERR_INVALID);
}

static void test_broken_densities_are_pale(void **state)
{
    for (int i = 0; i < ACROSS * DOWN; i++) density[i] = (double)NAN;
    const tw_density_map map = {ACROSS, DOWN, density, false, false};
    assert_int_equal(tw_plot_globe(*state, path, &map, &(tw_cloud){"none", 0, NULL}), TW_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_globe_faces_its_points),
        cmocka_unit_test(test_a_torus_is_a_square_whose_sides_meet),
        cmocka_unit_test(test_broken_densities_are_pale),
    };
    int made = mkstemp(path);
    if (made >= 0) close(made);
    int failed = cmocka_run_group_tests(tests, open_context, close_context);
    unlink(path);
    return failed;
}
