/* Pictures of anything, in files that are whole or not there: PNG signature and size, points where they belong, broken
 * data, machines without fonts, folders that cannot be written. */
#include "plot/plot.h"

#include "base/philox.h"
#include "support/limited_memory.h"

#include <cairo.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* fontconfig keeps its configuration for the life of the process and loses some of it; nothing of ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}

static tw_context *ctx;
static char folder[64], path[128];

static int open_all(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/thalweg-plot-XXXXXX");
    if (!mkdtemp(folder)) return 1;
    snprintf(path, sizeof path, "%s/a.png", folder);
    ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    return ctx ? 0 : 1;
}

static int close_all(void **state)
{
    (void)state;
    unlink(path);
    int left = rmdir(folder); /* fails when a temporary file was left behind */
    tw_context_destroy(ctx);
    return left;
}

static void assert_png(int width, int height)
{
    static const unsigned char signature[8] = {0x89, 'P', 'N', 'G', '\r', '\n', 0x1a, '\n'};
    unsigned char head[24];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    fclose(file);
    assert_memory_equal(head, signature, sizeof signature);
    int w = head[16] << 24 | head[17] << 16 | head[18] << 8 | head[19];
    int h = head[20] << 24 | head[21] << 16 | head[22] << 8 | head[23];
    if (width) assert_int_equal(w, width);
    if (height) assert_int_equal(h, height);
    assert_true(w >= 1200 && w <= 4000 && h >= 240 && h <= 6000);
}

/* Share of pixels that are coloured, not grey, in a part of the picture given by shares of its sides. */
static double coloured(double x0, double y0, double x1, double y1)
{
    cairo_surface_t *image = cairo_image_surface_create_from_png(path);
    assert_int_equal(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
    int w = cairo_image_surface_get_width(image), h = cairo_image_surface_get_height(image);
    const unsigned char *pixels = cairo_image_surface_get_data(image);
    int64_t found = 0, all = 0;
    for (int y = (int)(y0 * h); y < (int)(y1 * h); y++)
        for (int x = (int)(x0 * w); x < (int)(x1 * w); x++) {
            const unsigned char *p = pixels + (int64_t)y * cairo_image_surface_get_stride(image) + 4 * (int64_t)x;
            int least = p[0] < p[1] ? p[0] : p[1], most = p[0] > p[1] ? p[0] : p[1];
            least = p[2] < least ? p[2] : least, most = p[2] > most ? p[2] : most;
            found += most - least > 40;
            all++;
        }
    cairo_surface_destroy(image);
    return (double)found / (double)all;
}

static double *normals(int64_t count)
{
    tw_random r = {.seed = 3, .stream = 1};
    double *x = malloc((size_t)(count > 0 ? count : 1) * sizeof *x);
    for (int64_t i = 0; i < count; i++) x[i] = tw_random_normal(&r);
    return x;
}

static void points_stand_where_they_belong(void **state)
{
    (void)state;
    /* Corners, often enough not to count as far points, define the axes; a crowd sits in the upper left quarter. */
    double x[2 * 1080];
    tw_random r = {.seed = 1, .stream = 1};
    for (int i = 0; i < 80; i++) x[2 * i] = i % 2 ? 1 : -1, x[2 * i + 1] = i % 4 < 2 ? 1 : -1;
    for (int i = 80; i < 1080; i++) {
        x[2 * i] = -0.9 + 0.7 * tw_random_uniform(&r);
        x[2 * i + 1] = 0.2 + 0.7 * tw_random_uniform(&r);
    }
    assert_int_equal(tw_plot_clouds(ctx, path, 2, NULL, 1, &(tw_cloud){"crowd", 1080, x}), TW_OK);
    assert_png(1280, 0);
    assert_true(coloured(0.15, 0.15, 0.45, 0.4) > 0.1);
    assert_true(coloured(0.6, 0.15, 0.9, 0.4) == 0);
    assert_true(coloured(0.15, 0.6, 0.45, 0.85) == 0);
    /* Named as a map, longitude goes across: the crowd moves to the lower right. */
    const char *map[] = {"Latitude", "LON"};
    assert_int_equal(tw_plot_clouds(ctx, path, 2, map, 1, &(tw_cloud){"crowd", 1080, x}), TW_OK);
    assert_true(coloured(0.6, 0.6, 0.9, 0.85) > 0.1);
    assert_true(coloured(0.15, 0.15, 0.45, 0.4) == 0);
}

static void every_kind_of_picture_is_drawn(void **state)
{
    (void)state;
    enum { MOST = 60000 };
    double *x = normals(9 * MOST), times[20];
    static const int64_t rows[] = {0, 1, 3000, MOST};
    const char *names[9] = {"a", NULL, "c", "", "e", "f", "g", "h", "i"};
    tw_cloud frames[20];
    for (int s = 0; s < TW_COUNT(rows); s++)
        for (int columns = 1; columns <= 9; columns++) {
            bool drawn = columns <= 3 || (columns == 9 && rows[s] < 5000);
            if (!drawn) continue;
            int count = 1 + columns % 3 + (columns == 2 ? 4 : 0);
            for (int k = 0; k < 20; k++)
                frames[k] = (tw_cloud){k % 2 ? "samples" : NULL, rows[s], x}, times[k] = k / 19.0;
            assert_int_equal(tw_plot_clouds(ctx, path, columns, columns % 2 ? names : NULL, count, frames), TW_OK);
            assert_png(0, 0);
            assert_int_equal(tw_plot_frames(ctx, path, columns, columns % 2 ? names : NULL, 0, columns - 1,
                                            1 + 19 % columns, times, frames),
                             TW_OK);
            assert_png(0, 0);
        }
    assert_int_equal(tw_plot_frames(ctx, path, 2, names, 0, 1, 20, times, frames), TW_OK);
    assert_png(0, 0);
    free(x);
}

static void broken_numbers_are_left_out(void **state)
{
    (void)state;
    static const double odd[] = {(double)NAN, HUGE_VAL, -HUGE_VAL, 1e308, -1e308, 5e-324, 0, -0.0};
    enum { ROWS = 500 };
    for (int columns = 1; columns <= 3; columns++)
        for (int kind = 0; kind < 4; kind++) {
            double *x = normals(ROWS * columns), times[3] = {0, (double)NAN, 1e9};
            for (int i = 0; i < ROWS * columns; i++) {
                if (kind == 0 && i % 5 == 0) x[i] = odd[i / 5 % TW_COUNT(odd)];
                if (kind == 1) x[i] = (double)NAN;
                if (kind == 2) x[i] = 7.5;
                if (kind == 3) x[i] = odd[i % TW_COUNT(odd)];
            }
            tw_cloud clouds[3] = {{"a", ROWS, x}, {"b", ROWS, x}, {"c", 0, NULL}};
            assert_int_equal(tw_plot_clouds(ctx, path, columns, NULL, 3, clouds), TW_OK);
            assert_png(0, 0);
            assert_int_equal(tw_plot_frames(ctx, path, columns, NULL, 0, columns - 1, 3, times, clouds), TW_OK);
            assert_png(0, 0);
            tw_curve curves[2] = {{"y", ROWS, x, x}, {"none", 0, NULL, NULL}};
            if (columns > 1) {
                free(x);
                continue;
            }
            assert_int_equal(tw_plot_curves(ctx, path, "t", "x", "y", 2, curves), TW_OK);
            assert_png(1600, 940);
            free(x);
        }
}

static void curves_short_and_long(void **state)
{
    (void)state;
    enum { LONG = 100000 };
    double *x = malloc(sizeof(double) * LONG), *y = normals(LONG);
    for (int i = 0; i < LONG; i++) x[i] = i, y[i] = exp(y[i]) * exp(-i / 20000.0);
    y[5] = (double)NAN, y[LONG / 2] = (double)NAN;
    for (int64_t count = 1; count <= LONG; count *= 10) {
        tw_curve curves[2] = {{"batch", count, x, y}, {"again", count, x, y}};
        assert_int_equal(tw_plot_curves(ctx, path, "training", "step", "loss", 2, curves), TW_OK);
        assert_png(1600, 940);
        assert_true(coloured(0.1, 0.15, 0.97, 0.86) > 1e-6);
    }
    assert_int_equal(tw_plot_curves(ctx, path, NULL, NULL, NULL, 0, NULL), TW_OK);
    free(x), free(y);
}

static void any_text_is_survived(void **state)
{
    (void)state;
    double x[4] = {0, 0, 1, 1};
    char very_long[3000];
    memset(very_long, 'w', sizeof very_long - 1);
    very_long[sizeof very_long - 1] = 0;
    const char *texts[] = {"\xff\xfe", "a\tb\n", "\xc3", "\xe2\x82", "\xf0\x9f\x8c\x8a", "\xed\xa0\x80", "", very_long};
    for (int k = 0; k < TW_COUNT(texts); k++) {
        const char *names[2] = {texts[k], texts[k]};
        assert_int_equal(tw_plot_clouds(ctx, path, 2, names, 1, &(tw_cloud){texts[k], 2, x}), TW_OK);
        assert_png(0, 0);
        tw_curve curves[2] = {{texts[k], 2, x, x}, {texts[k], 2, x, x}};
        assert_int_equal(tw_plot_curves(ctx, path, texts[k], texts[k], texts[k], 2, curves), TW_OK);
    }
}

static void the_same_picture_twice(void **state)
{
    (void)state;
    double *x = normals(6000);
    char *bytes[2] = {NULL, NULL};
    size_t sizes[2] = {0, 0};
    for (int again = 0; again < 2; again++) {
        assert_int_equal(tw_plot_clouds(ctx, path, 3, NULL, 1, &(tw_cloud){"a", 2000, x}), TW_OK);
        FILE *file = fopen(path, "rb");
        bytes[again] = malloc(1 << 22);
        sizes[again] = fread(bytes[again], 1, 1 << 22, file);
        fclose(file);
    }
    assert_int_equal(sizes[0], sizes[1]);
    assert_memory_equal(bytes[0], bytes[1], sizes[0]);
    free(bytes[0]), free(bytes[1]), free(x);
}

static void folders_that_cannot_be_written(void **state)
{
    (void)state;
    double x[2] = {0, 1};
    tw_cloud cloud = {"a", 1, x};
    tw_curve curve = {"a", 2, x, x};
    char missing[200];
    snprintf(missing, sizeof missing, "%s/no/such/folder.png", folder);
    assert_int_equal(tw_plot_clouds(ctx, missing, 2, NULL, 1, &cloud), TW_ERR_IO);
    assert_non_null(strstr(tw_context_error(ctx), "folder.png"));
    assert_int_equal(tw_plot_curves(ctx, missing, "t", "x", "y", 1, &curve), TW_ERR_IO);
    assert_int_equal(tw_plot_frames(ctx, missing, 2, NULL, 0, 1, 1, NULL, &cloud), TW_ERR_IO);
    assert_int_equal(tw_plot_clouds(ctx, folder, 2, NULL, 1, &cloud), TW_ERR_IO);
    assert_int_equal(tw_plot_clouds(ctx, path, 2, NULL, 0, &cloud), TW_ERR_INVALID);
    assert_int_equal(tw_plot_frames(ctx, path, 2, NULL, 0, 2, 1, NULL, &cloud), TW_ERR_INVALID);
    assert_int_equal(tw_plot_frames(ctx, path, 2, NULL, -1, 1, 1, NULL, &cloud), TW_ERR_INVALID);
}

static void machines_without_fonts(void **state)
{
    (void)state;
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        double x[6] = {0, 0, 1, 1, 2, 4};
        setenv("FONTCONFIG_FILE", "/dev/null", 1);
        setenv("FONTCONFIG_PATH", "/nonexistent", 1);
        tw_context *own = tw_context_create(&(tw_context_desc){.threads = 1});
        tw_status status = tw_plot_clouds(own, path, 2, (const char *[]){"a", "b"}, 1, &(tw_cloud){"title", 3, x});
        _exit(status == TW_OK ? 0 : 1);
    }
    int result = -1;
    assert_int_equal(waitpid(child, &result, 0), child);
    assert_true(WIFEXITED(result) && WEXITSTATUS(result) == 0);
    assert_png(0, 0);
}

typedef struct picture {
    int kind;
    const double *values; /* 3 * 20100 */
} picture;

static tw_status draw(tw_context *own, void *user)
{
    const picture *p = user;
    const double *x = p->values, times[2] = {0, 1};
    tw_cloud clouds[2] = {{"a", 20100, x}, {"b", 40, x}};
    tw_curve curve = {"a", 40, x, x};
    return p->kind < 3    ? tw_plot_clouds(own, path, p->kind + 1, NULL, 2, clouds)
           : p->kind == 3 ? tw_plot_curves(own, path, "t", "x", "y", 1, &curve)
                          : tw_plot_frames(own, path, 3, NULL, 0, 2, 2, times, clouds);
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    double *x = normals(3 * 20100);
    for (int kind = 0; kind < 5; kind++) run_with_limited_memory(draw, &(picture){kind, x});
    free(x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_without_fonts), /* first: before fontconfig has loaded anything */
        cmocka_unit_test(points_stand_where_they_belong), cmocka_unit_test(every_kind_of_picture_is_drawn),
        cmocka_unit_test(broken_numbers_are_left_out),    cmocka_unit_test(curves_short_and_long),
        cmocka_unit_test(any_text_is_survived),           cmocka_unit_test(the_same_picture_twice),
        cmocka_unit_test(folders_that_cannot_be_written), cmocka_unit_test(every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, open_all, close_all);
}
