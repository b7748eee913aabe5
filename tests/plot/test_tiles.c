/* Pictures in tiles: every pixel where it belongs and as bright as it was, groups beside each other, words only where
 * they were asked for, broken numbers, and animations of as many frames as times. */
#include "plot/plot.h"

#include "support/context.h"
#include "support/limited_memory.h"

#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* fontconfig keeps its configuration for the life of the process and loses some of it; nothing of ours. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:libfontconfig";
}

static char path[64];

typedef struct image {
    cairo_surface_t *surface;
    int width, height;
} image;

static image open_image(void)
{
    cairo_surface_t *s = cairo_image_surface_create_from_png(path);
    assert_int_equal(cairo_surface_status(s), CAIRO_STATUS_SUCCESS);
    return (image){s, cairo_image_surface_get_width(s), cairo_image_surface_get_height(s)};
}

/* 0xRRGGBB */
static uint32_t at(const image *i, int x, int y)
{
    assert_true(x >= 0 && x < i->width && y >= 0 && y < i->height);
    const unsigned char *p = cairo_image_surface_get_data(i->surface) + y * cairo_image_surface_get_stride(i->surface);
    return *(const uint32_t *)(const void *)(p + 4 * x) & 0xFFFFFF;
}

/* Tiles of 20 x 40 numbers enlarged twice: 40 x 80 pixels of the file, 4 apart, from 32 on. */
enum { H = 40, W = 20, SIZE = 2, EDGE = 32, GAP = 4, PITCH_X = W * SIZE + GAP, PITCH_Y = H * SIZE + GAP };

static void pixels_stand_where_they_belong(void **state)
{
    enum { COUNT = 6 };
    static double values[COUNT * H * W * 3];
    for (int k = 0; k < COUNT; k++)
        for (int y = 0; y < H; y++)
            for (int x = 0; x < W; x++) {
                double *p = values + ((k * H + y) * W + x) * 3;
                p[0] = 6 * y, p[1] = 12 * x, p[2] = 40 * k;
            }
    const int64_t order[] = {5, 0, 1, -1, 3, 4}; /* 2 lines of 3, one empty */
    tw_tiles tiles = {.image = {H, W, 3}, .across = 3, .down = 2, .count = COUNT, .values = values, .order = order};
    assert_int_equal(tw_plot_tiles(*state, path, 1, &tiles), TW_OK);
    image i = open_image();
    assert_int_equal(i.width, 2 * EDGE + 3 * PITCH_X - GAP);
    assert_int_equal(i.height, 2 * EDGE + 2 * PITCH_Y - GAP);
    for (int t = 0; t < 6; t++)
        for (int y = 0; y < H * SIZE; y++)
            for (int x = 0; x < W * SIZE; x++) {
                int k = (int)order[t];
                uint32_t want = (uint32_t)(6 * (y / SIZE) << 16 | 12 * (x / SIZE) << 8 | 40 * k);
                if (k < 0) want = 0xFFFFFF;
                assert_int_equal(at(&i, EDGE + t % 3 * PITCH_X + x, EDGE + t / 3 * PITCH_Y + y), want);
            }
    assert_int_equal(at(&i, EDGE + W * SIZE + 1, EDGE + 5), 0xFFFFFF);
    cairo_surface_destroy(i.surface);
}

static void numbers_are_clipped_and_rounded(void **state)
{
    double values[8 * 8] = {-20, 300, 99.5, 99.4, (double)NAN, HUGE_VAL, -HUGE_VAL, 255};
    tw_tiles tiles = {.image = {8, 8, 1}, .across = 1, .down = 1, .count = 1, .values = values};
    assert_int_equal(tw_plot_tiles(*state, path, 1, &tiles), TW_OK);
    image i = open_image();
    const uint32_t want[8] = {0, 0xFFFFFF, 0x646464, 0x636363, 0, 0xFFFFFF, 0, 0xFFFFFF};
    for (int k = 0; k < 8; k++)
        if (k != 4) assert_int_equal(at(&i, EDGE + 10 * k + 5, EDGE + 5), want[k]);
    assert_int_not_equal(at(&i, EDGE + 42, EDGE + 2), at(&i, EDGE + 47, EDGE + 2)); /* a chequer */
    cairo_surface_destroy(i.surface);
}

static bool has_ink(const image *i, int left, int top, int right, int bottom)
{
    for (int y = top; y < bottom; y++)
        for (int x = left; x < right; x++)
            if (at(i, x, y) != 0xFFFFFF) return true;
    return false;
}

static void words_and_groups(void **state)
{
    double white[6 * 64];
    for (int k = 0; k < 6 * 64; k++) white[k] = 255;
    const char *heads[] = {"t = 0", "t = 1"}, *lines[] = {"Trouser", "a name that is much too long to stand there"};
    tw_tiles groups[2] = {{.image = {8, 8, 1}, .across = 2, .down = 2, .count = 4, .values = white},
                          {.image = {8, 8, 1}, .across = 1, .down = 1, .count = 1, .values = white}};
    assert_int_equal(tw_plot_tiles(*state, path, 2, groups), TW_OK);
    image bare = open_image();
    assert_false(has_ink(&bare, 0, 0, bare.width, bare.height));
    groups[0].title = "samples";
    groups[0].heads = heads;
    groups[0].lines = lines;
    assert_int_equal(tw_plot_tiles(*state, path, 2, groups), TW_OK);
    image i = open_image();
    assert_true(i.width > bare.width && i.width < bare.width + 320 && i.height > bare.height);
    assert_true(has_ink(&i, 0, i.height / 2, i.width - bare.width, i.height));          /* beside the lines */
    assert_true(has_ink(&i, i.width - bare.width, 0, i.width, i.height - bare.height)); /* above */
    cairo_surface_destroy(i.surface);
    cairo_surface_destroy(bare.surface);
    groups[1].image.width = 7;
    assert_int_equal(tw_plot_tiles(*state, path, 2, groups), TW_ERR_INVALID);
    groups[0].image.channels = 2;
    assert_int_equal(tw_plot_tiles(*state, path, 1, groups), TW_ERR_INVALID);
    groups[0].image = (tw_image){8, 8, 1};
    groups[0].across = 1000000;
    assert_int_equal(tw_plot_tiles(*state, path, 1, groups), TW_ERR_INVALID);
    assert_int_equal(tw_plot_tiles(*state, path, 0, groups), TW_ERR_INVALID);
}

/* Frames an animated picture says it has. */
static int frames_of_file(void)
{
    unsigned char head[64];
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_int_equal(fread(head, 1, sizeof head, file), sizeof head);
    fclose(file);
    assert_memory_equal(head + 37, "acTL", 4);
    return head[43] << 8 | head[44];
}

static void flows_move(void **state)
{
    enum { FRAMES = 5 };
    double values[FRAMES * 64], times[FRAMES], points[FRAMES * 20];
    tw_cloud clouds[FRAMES];
    for (int k = 0; k < FRAMES * 64; k++) values[k] = 4 * (k % 64) + k / 64;
    for (int k = 0; k < FRAMES * 20; k++) points[k] = sin(k);
    for (int k = 0; k < FRAMES; k++) times[k] = 0.25 * k, clouds[k] = (tw_cloud){NULL, 10, points + 20 * k};
    tw_tiles tiles = {.image = {8, 8, 1}, .across = 1, .down = 1, .count = 1, .values = values};
    assert_int_equal(tw_plot_tiles_moving(*state, path, &tiles, FRAMES, times), TW_OK);
    assert_int_equal(frames_of_file(), FRAMES);
    for (int columns = 1; columns <= 2; columns++) {
        assert_int_equal(tw_plot_points_moving(*state, path, columns, NULL, 0, columns - 1, FRAMES, times, clouds),
                         TW_OK);
        assert_int_equal(frames_of_file(), FRAMES);
        image i = open_image(); /* the first frame */
        assert_true(i.width >= 800 && i.height >= 400);
        cairo_surface_destroy(i.surface);
    }
    assert_int_equal(tw_plot_points_moving(*state, path, 1, NULL, 0, 0, 0, times, clouds), TW_ERR_INVALID);
}

static tw_status draw(tw_context *ctx, void *user)
{
    double values[2 * 64] = {0}, times[2] = {0, 1};
    const char *lines[] = {"a"};
    tw_tiles tiles = {.image = {8, 8, 1}, .across = 1, .down = 1, .count = 1, .values = values, .lines = lines};
    return user ? tw_plot_tiles_moving(ctx, path, &tiles, 2, times) : tw_plot_tiles(ctx, path, 1, &tiles);
}

static void every_allocation_may_fail(void **state)
{
    run_with_limited_memory(draw, NULL);
    run_with_limited_memory(draw, state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_stand_where_they_belong), cmocka_unit_test(numbers_are_clipped_and_rounded),
        cmocka_unit_test(words_and_groups), cmocka_unit_test(flows_move), cmocka_unit_test(every_allocation_may_fail)};
    snprintf(path, sizeof path, "/tmp/thalweg-test-tiles-%d.png", (int)getpid());
    int failed = cmocka_run_group_tests(tests, open_context, close_context);
    unlink(path);
    return failed;
}
