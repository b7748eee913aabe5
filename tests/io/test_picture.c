/* PNG and JPEG: pixels of files that Pillow wrote (files/make_pictures.py) by their formula; every cut and every
 * damaged byte is refused with a sentence or decodes to a whole picture. */
#include "io/picture.h"

#include "base/file.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <stdlib.h>
#include <string.h>

#define FILES TW_SOURCE_DIR "/tests/io/files/"

static const struct {
    const char *name;
    int channels, tolerance;
} cases[] = {{"rgb.png", 3, 0},  {"grey.png", 1, 0}, {"grey16.png", 1, 0},      {"palette.png", 3, 0},
             {"rgba.png", 3, 0}, {"rgb.jpg", 3, 6},  {"progressive.jpg", 3, 6}, {"grey.jpg", 1, 3}};

static bool can_read(const char *name)
{
    bool jpeg = strstr(name, ".jpg") != NULL;
    return tw_picture_kind_at(jpeg ? 1 : 0).library != NULL;
}

static char *load(tw_context *ctx, const char *name, size_t *out_size)
{
    char path[300], *bytes = NULL;
    snprintf(path, sizeof path, FILES "%s", name);
    assert_int_equal(tw_file_read(ctx, path, false, 0, &bytes, out_size), TW_OK);
    return bytes;
}

static void pixels_are_those_that_were_written(void **state)
{
    for (int i = 0; i < TW_COUNT(cases); i++) {
        size_t size;
        tw_picture p = {0};
        if (!can_read(cases[i].name)) continue;
        char *bytes = load(*state, cases[i].name, &size);
        assert_true(tw_picture_is(bytes, size));
        if (tw_picture_decode(*state, cases[i].name, bytes, size, &p) != TW_OK)
            fail_msg("%s", tw_context_error(*state));
        assert_true(p.image.height == 6 && p.image.width == 5 && p.image.channels == cases[i].channels);
        for (int y = 0; y < 6; y++)
            for (int x = 0; x < 5; x++)
                for (int c = 0; c < cases[i].channels; c++) {
                    int expected = 10 * y + 20 * x + 40 * c;
                    if (strcmp(cases[i].name, "rgba.png") == 0 && x == 4) expected = 255; /* clear: white shows */
                    int got = p.pixels[(5 * y + x) * cases[i].channels + c];
                    if (abs(got - expected) > cases[i].tolerance)
                        fail_msg("%s: %d at %d %d %d, expected %d", cases[i].name, got, y, x, c, expected);
                }
        tw_free(*state, p.pixels);
        tw_free(*state, bytes);
    }
}

static void damaged_files_are_refused(void **state)
{
    for (int i = 0; i < TW_COUNT(cases); i++) {
        size_t size;
        if (!can_read(cases[i].name)) continue;
        char *bytes = load(*state, cases[i].name, &size);
        for (size_t cut = 0; cut < size - (strstr(cases[i].name, "png") ? 12 : 2);
             cut++) { /* end marks are not needed */
            tw_picture p = {0};
            char *part = malloc(cut + 1); /* so that a sanitizer sees what is read behind it */
            memcpy(part, bytes, cut);
            tw_status status = tw_picture_decode(*state, "x", part, cut, &p);
            if (status == TW_OK) fail_msg("%s: whole after %zu of %zu bytes", cases[i].name, cut, size);
            assert_true(tw_context_error(*state)[0] == 'x');
            free(part);
        }
        for (size_t at = 0; at < size; at++) {
            tw_picture p = {0};
            bytes[at] ^= 0x55;
            if (tw_picture_decode(*state, "x", bytes, size, &p) == TW_OK) {
                assert_non_null(p.pixels);
                tw_free(*state, p.pixels);
            }
            bytes[at] ^= 0x55;
        }
        tw_free(*state, bytes);
    }
}

static void other_kinds_are_named(void **state)
{
    tw_picture p;
    size_t size;
    assert_int_equal(tw_picture_decode(*state, "x.gif", "GIF89a....", 10, &p), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(*state), "x.gif: neither a PNG nor a JPEG file");
    if (!can_read("cmyk.jpg")) return;
    char *bytes = load(*state, "cmyk.jpg", &size);
    assert_int_equal(tw_picture_decode(*state, "cmyk.jpg", bytes, size, &p), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(*state), "cmyk.jpg: a JPEG file of 4 components (1 and 3 are read)");
    tw_free(*state, bytes);
    assert_null(tw_picture_kind_at(2).name);
}

/* A sound progressive JPEG of 8 x 8 grey pixels and so many scans: ten for each coefficient, which is 0. Every code is
 * one bit (category 0, end of block). */
static size_t make_scans(int scans, uint8_t *out)
{
    uint8_t head[] = {0xFF, 0xD8, 0xFF, 0xDB, 0, 67, 0, [71] = 0xFF, 0xC2, 0, 11, 8, 0, 8, 0, 8, 1, 1, 0x11, 0};
    static const uint8_t codes[2][22] = {{0xFF, 0xC4, 0, 20, 0x00, 1}, {0xFF, 0xC4, 0, 20, 0x10, 1}};
    static const uint8_t scan[] = {0xFF, 0xDA, 0, 8, 1, 1, 0};
    size_t at = sizeof head;
    memset(head + 7, 1, 64);
    memcpy(out, head, sizeof head);
    memcpy(out + at, codes, sizeof codes);
    at += sizeof codes;
    for (int i = 0; i < scans; i++) {
        int k = i ? 1 + (i - 1) / 10 : 0, low = i ? 9 - (i - 1) % 10 : 0, high = i && low < 9 ? low + 1 : 0;
        memcpy(out + at, scan, sizeof scan);
        at += sizeof scan;
        out[at++] = (uint8_t)k;
        out[at++] = (uint8_t)k;
        out[at++] = (uint8_t)(high << 4 | low);
        out[at++] = 0x7F;
    }
    memcpy(out + at, (uint8_t[]){0xFF, 0xD9}, 2);
    return at + 2;
}

static void scans_are_counted(void **state)
{
    static uint8_t bytes[20000];
    tw_picture p = {0};
    if (!can_read(".jpg")) return;
    if (tw_picture_decode(*state, "x", bytes, make_scans(500, bytes), &p) != TW_OK)
        fail_msg("%s", tw_context_error(*state));
    for (int i = 0; i < 64; i++) assert_int_equal(p.pixels[i], 128);
    tw_free(*state, p.pixels);
    assert_int_equal(tw_picture_decode(*state, "x", bytes, make_scans(501, bytes), &p), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(*state), "x: not a sound JPEG file: more than 500 scans");
}

/* The header promises more pixels than are unpacked. */
static void large_pictures_are_refused(void **state)
{
    static uint8_t bytes[20000];
    tw_picture p = {0};
    if (!can_read(".jpg")) return;
    size_t size = make_scans(1, bytes);
    memcpy(bytes + 76, (uint8_t[]){0x20, 0, 0x20, 1}, 4);
    assert_int_equal(tw_picture_decode(*state, "x", bytes, size, &p), TW_ERR_FORMAT);
    assert_string_equal(tw_context_error(*state), "x: a picture of 8192 x 8193 pixels");
}

static tw_status decode_all(tw_context *ctx, void *user)
{
    (void)user;
    tw_status status = TW_OK;
    for (int i = 0; i < TW_COUNT(cases) && status == TW_OK; i++) {
        char path[300], *bytes = NULL;
        size_t size;
        tw_picture p = {0};
        if (!can_read(cases[i].name)) continue;
        snprintf(path, sizeof path, FILES "%s", cases[i].name);
        status = tw_file_read(ctx, path, false, 0, &bytes, &size);
        if (status == TW_OK) status = tw_picture_decode(ctx, path, bytes, size, &p);
        tw_free(ctx, p.pixels);
        tw_free(ctx, bytes);
    }
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    run_with_limited_memory(decode_all, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pixels_are_those_that_were_written),
        cmocka_unit_test(damaged_files_are_refused),
        cmocka_unit_test(other_kinds_are_named),
        cmocka_unit_test(scans_are_counted),
        cmocka_unit_test(large_pictures_are_refused),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
