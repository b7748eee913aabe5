/* What is written as PNG is what cairo reads; animations are chunks in the order and with the numbers that the standard
 * asks for, and every frame unpacks to its pixels. */
#include "io/png.h"

#include "base/philox.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <cairo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

static char path[64];

/* Flat, sloping and noisy parts, so that every filter wins somewhere. */
static void fill(int width, int height, int channels, int shift, unsigned char *out)
{
    tw_random r = {.seed = 5, .stream = 1};
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++)
            for (int c = 0; c < channels; c++) {
                int value = y < height / 3 ? 40 * c + 9 * x : y < height / 2 ? 200 - c : 7 * y + 3 * c + shift;
                if (y > 3 * height / 4) value = (int)tw_random_below(&r, 256);
                out[(y * width + x) * channels + c] = (unsigned char)value;
            }
}

static void stills_are_read_by_cairo(void **state)
{
    static const int sides[][2] = {{1, 1}, {28, 28}, {3, 50}, {300, 7}};
    static unsigned char pixels[300 * 50 * 3];
    for (int s = 0; s < TW_COUNT(sides); s++)
        for (int channels = 1; channels <= 3; channels += 2) {
            int width = sides[s][0], height = sides[s][1];
            fill(width, height, channels, 0, pixels);
            assert_int_equal(tw_png_write(*state, path, width, height, channels, pixels), TW_OK);
            cairo_surface_t *image = cairo_image_surface_create_from_png(path);
            assert_int_equal(cairo_surface_status(image), CAIRO_STATUS_SUCCESS);
            assert_int_equal(cairo_image_surface_get_width(image), width);
            assert_int_equal(cairo_image_surface_get_height(image), height);
            for (int y = 0; y < height; y++)
                for (int x = 0; x < width; x++) {
                    const unsigned char *p =
                        cairo_image_surface_get_data(image) + y * cairo_image_surface_get_stride(image) + 4 * x;
                    const unsigned char *q = pixels + (y * width + x) * channels;
                    for (int c = 0; c < 3; c++) assert_int_equal(p[2 - c], q[channels == 3 ? c : 0]);
                }
            cairo_surface_destroy(image);
        }
}

static uint32_t u32(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* Undoes filters none, sub and up. */
static void unfilter(int size, int channels, int height, const unsigned char *lines, unsigned char *out)
{
    for (int y = 0; y < height; y++) {
        const unsigned char *line = lines + y * (size + 1);
        unsigned char *now = out + y * size;
        assert_true(line[0] <= 2);
        for (int i = 0; i < size; i++) {
            int left = line[0] == 1 && i >= channels ? now[i - channels] : 0;
            int up = line[0] == 2 && y > 0 ? now[i - size] : 0;
            now[i] = (unsigned char)(line[1 + i] + left + up);
        }
    }
}

static void animations_are_as_the_standard_says(void **state)
{
    enum { WIDTH = 20, HEIGHT = 12, FRAMES = 4, SIZE = 3 * WIDTH };
    unsigned char pixels[FRAMES][HEIGHT * SIZE], lines[HEIGHT * (SIZE + 1)], got[HEIGHT * SIZE];
    tw_png png;
    char *bytes = NULL;
    size_t size = 0;
    assert_int_equal(tw_png_open(*state, path, WIDTH, HEIGHT, 3, FRAMES, &png), TW_OK);
    for (int k = 0; k < FRAMES; k++) {
        fill(WIDTH, HEIGHT, 3, 11 * k, pixels[k]);
        assert_int_equal(tw_png_add(&png, pixels[k], SIZE, 40 + k), TW_OK);
    }
    assert_int_equal(tw_png_add(&png, pixels[0], SIZE, 40), TW_ERR_INVALID);
    assert_int_equal(tw_png_commit(&png), TW_OK);
    assert_int_equal(tw_file_read(*state, path, false, 0, &bytes, &size), TW_OK);
    char order[64] = "";
    uint32_t sequence = 0;
    int frame = 0;
    for (const unsigned char *at = (unsigned char *)bytes + 8; at < (unsigned char *)bytes + size;) {
        uint32_t length = u32(at);
        const unsigned char *data = at + 8;
        assert_int_equal(u32(data + length), crc32(crc32(0, NULL, 0), at + 4, length + 4));
        strncat(order, (const char *)at + 4, 1);
        if (memcmp(at + 4, "fcTL", 4) == 0) {
            assert_int_equal(u32(data), sequence++);
            assert_int_equal(u32(data + 4), WIDTH);
            assert_int_equal(u32(data + 8), HEIGHT);
            assert_int_equal(data[20] << 8 | data[21], 40 + frame);
            assert_int_equal(data[22] << 8 | data[23], 1000);
        }
        bool first = memcmp(at + 4, "IDAT", 4) == 0, later = memcmp(at + 4, "fdAT", 4) == 0;
        if (later) assert_int_equal(u32(data), sequence++);
        if (first || later) {
            uLongf unpacked = sizeof lines;
            assert_int_equal(uncompress(lines, &unpacked, data + 4 * later, length - 4 * later), Z_OK);
            assert_int_equal(unpacked, sizeof lines);
            unfilter(SIZE, 3, HEIGHT, lines, got);
            assert_memory_equal(got, pixels[frame++], sizeof got);
        }
        at = data + length + 4;
    }
    assert_string_equal(order, "IafIffffffI"); /* IHDR acTL, fcTL IDAT, fcTL fdAT thrice, IEND */
    assert_int_equal(frame, FRAMES);
    tw_free(*state, bytes);
}

static void wrong_pictures_are_refused(void **state)
{
    unsigned char pixel[3] = {1, 2, 3};
    tw_png png = {0};
    unlink(path);
    assert_int_equal(tw_png_write(*state, path, 0, 1, 1, pixel), TW_ERR_INVALID);
    assert_int_equal(tw_png_write(*state, path, 1, 1, 2, pixel), TW_ERR_INVALID);
    assert_int_equal(tw_png_open(*state, path, 1, 1, 3, 0, &png), TW_ERR_INVALID);
    assert_int_equal(tw_png_open(*state, path, 1, 1, 3, 2, &png), TW_OK);
    assert_int_equal(tw_png_add(&png, pixel, 3, 0), TW_OK);
    assert_int_equal(tw_png_commit(&png), TW_ERR_INVALID);
    assert_int_equal(access(path, F_OK), -1);
    tw_png_abandon(&png); /* once more does no harm */
    assert_int_equal(tw_png_write(*state, "/nowhere/a.png", 1, 1, 3, pixel), TW_ERR_IO);
}

static tw_status write_two(tw_context *ctx, void *user)
{
    unsigned char pixels[12] = {0};
    tw_png png = {0};
    tw_status status = TW_OK;
    (void)user;
    TW_TRY(tw_png_open(ctx, path, 2, 2, 3, 2, &png));
    for (int k = 0; k < 2; k++) TW_TRY(tw_png_add(&png, pixels, 6, 100));
    TW_TRY(tw_png_commit(&png));
done:
    tw_png_abandon(&png);
    return status;
}

static void every_allocation_may_fail(void **state)
{
    (void)state;
    run_with_limited_memory(write_two, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stills_are_read_by_cairo), cmocka_unit_test(animations_are_as_the_standard_says),
        cmocka_unit_test(wrong_pictures_are_refused), cmocka_unit_test(every_allocation_may_fail)};
    snprintf(path, sizeof path, "/tmp/thalweg-test-png-%d.png", (int)getpid());
    int failed = cmocka_run_group_tests(tests, open_context, close_context);
    unlink(path);
    return failed;
}
