/* plot/canvas.c - see plot/canvas.h. Text is tried out on a scratch surface first: on a machine without fonts cairo
 * would otherwise put the whole drawing into an error state. */
#include "plot/canvas.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { SCALE = 2 };
static const char family[] = "sans-serif";

const tw_colour tw_ink = {0.13, 0.15, 0.17}, tw_muted = {0.42, 0.45, 0.49}, tw_grid = {0.925, 0.935, 0.945},
                tw_rule = {0.80, 0.82, 0.85};

tw_colour tw_palette(int index)
{
    static const tw_colour colours[] = {{0, 0.447, 0.698},     {0.835, 0.369, 0}, {0, 0.620, 0.451},
                                        {0.800, 0.475, 0.655}, {0.902, 0.624, 0}, {0.337, 0.706, 0.914},
                                        {0.35, 0.35, 0.35}};
    return colours[(unsigned)index % (unsigned)TW_COUNT(colours)];
}

tw_colour tw_mix(tw_colour a, tw_colour b, double share_of_b)
{
    double s = share_of_b;
    return (tw_colour){a.r + (b.r - a.r) * s, a.g + (b.g - a.g) * s, a.b + (b.b - a.b) * s};
}

static double to_srgb(double linear)
{
    double v = fmin(1, fmax(0, linear));
    return v <= 0.0031308 ? 12.92 * v : 1.055 * pow(v, 1 / 2.4) - 0.055;
}

tw_colour tw_colour_wheel(double angle)
{
    double a = 0.125 * cos(angle), b = 0.125 * sin(angle), lightness = 0.66;
    double l = lightness + 0.3963377774 * a + 0.2158037573 * b;
    double m = lightness - 0.1055613458 * a - 0.0638541728 * b;
    double s = lightness - 0.0894841775 * a - 1.2914855480 * b;
    l = l * l * l, m = m * m * m, s = s * s * s;
    return (tw_colour){to_srgb(4.0767416621 * l - 3.3077115913 * m + 0.2309699292 * s),
                       to_srgb(-1.2684380046 * l + 2.6097574011 * m - 0.3413193965 * s),
                       to_srgb(-0.0041960863 * l - 0.7034186147 * m + 1.7076147010 * s)};
}

static bool text_works(void)
{
    cairo_surface_t *surface = cairo_image_surface_create(CAIRO_FORMAT_ARGB32, 16, 16);
    cairo_t *cr = cairo_create(surface);
    cairo_text_extents_t extents = {0};
    cairo_select_font_face(cr, family, CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(cr, 10);
    cairo_text_extents(cr, "0", &extents);
    cairo_move_to(cr, 2, 12);
    cairo_show_text(cr, "0");
    bool works = cairo_status(cr) == CAIRO_STATUS_SUCCESS && extents.x_advance > 0;
    cairo_destroy(cr);
    cairo_surface_destroy(surface);
    return works;
}

static tw_status fail_cairo(tw_context *ctx, cairo_status_t status)
{
    return tw_fail(ctx, status == CAIRO_STATUS_NO_MEMORY ? TW_ERR_MEMORY : TW_ERR_INTERNAL,
                   "the picture could not be drawn: %s", cairo_status_to_string(status));
}

tw_status tw_canvas_open(tw_context *ctx, double width, double height, tw_canvas *out_canvas)
{
    tw_canvas c = {.ctx = ctx, .width = ceil(width), .height = ceil(height)};
    c.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)c.width * SCALE, (int)c.height * SCALE);
    c.cr = cairo_create(c.surface);
    cairo_status_t status = cairo_status(c.cr);
    if (status != CAIRO_STATUS_SUCCESS) {
        tw_canvas_close(&c);
        return fail_cairo(ctx, status);
    }
    cairo_scale(c.cr, SCALE, SCALE);
    tw_canvas_clear(&c);
    c.text = text_works();
    *out_canvas = c;
    return TW_OK;
}

void tw_canvas_close(tw_canvas *canvas)
{
    if (canvas->cr) cairo_destroy(canvas->cr);
    if (canvas->surface) cairo_surface_destroy(canvas->surface);
    *canvas = (tw_canvas){0};
}

tw_status tw_canvas_film(const tw_canvas *canvas, const char *path, int frames, tw_png *out_film)
{
    return tw_png_open(canvas->ctx, path, cairo_image_surface_get_width(canvas->surface),
                       cairo_image_surface_get_height(canvas->surface), 3, frames, out_film);
}

tw_status tw_canvas_shoot(tw_canvas *canvas, tw_png *film)
{
    enum { FIRST = 500, EACH = 80, LAST = 2000 }; /* milliseconds */
    int shown = film->written + 1 == film->frames ? LAST : film->written == 0 ? FIRST : EACH;
    cairo_status_t drawn = cairo_status(canvas->cr);
    if (drawn != CAIRO_STATUS_SUCCESS) return fail_cairo(canvas->ctx, drawn);
    cairo_surface_flush(canvas->surface);
    const unsigned char *from = cairo_image_surface_get_data(canvas->surface);
    int64_t stride = cairo_image_surface_get_stride(canvas->surface), pixels = (int64_t)film->width * film->height;
    unsigned char *rgb = tw_alloc(canvas->ctx, (size_t)pixels, 3);
    if (!rgb) return tw_fail_memory(canvas->ctx, (size_t)pixels * 3);
    for (int64_t i = 0; i < pixels; i++) {
        const void *at = from + i / film->width * stride + 4 * (i % film->width);
        uint32_t pixel = *(const uint32_t *)at;
        for (int c = 0; c < 3; c++) rgb[3 * i + c] = (unsigned char)(pixel >> (16 - 8 * c));
    }
    tw_status status = tw_png_add(film, rgb, 3 * (int64_t)film->width, shown);
    tw_free(canvas->ctx, rgb);
    return status;
}

tw_status tw_canvas_save(tw_canvas *canvas, const char *path)
{
    tw_status status = TW_OK;
    tw_png png = {0};
    TW_TRY(tw_canvas_film(canvas, path, 1, &png));
    TW_TRY(tw_canvas_shoot(canvas, &png));
    TW_TRY(tw_png_commit(&png));
done:
    tw_png_abandon(&png);
    return status;
}

void tw_canvas_clear(tw_canvas *canvas)
{
    cairo_set_source_rgb(canvas->cr, 1, 1, 1);
    cairo_paint(canvas->cr);
}

/* Copies at most size - 1 bytes of text as clean UTF-8: cairo refuses anything else for good. */
static void clean(const char *text, char *out, size_t size)
{
    size_t length = 0;
    for (const unsigned char *s = (const unsigned char *)text; *s;) {
        int n = tw_utf8_length((const char *)s, strnlen((const char *)s, 4));
        if (length + (size_t)(n ? n : 1) >= size) break;
        if (n == 0 || *s < 0x20 || *s == 0x7F) {
            out[length++] = *s < 0x20 ? ' ' : '?';
            s++;
            continue;
        }
        memcpy(out + length, s, (size_t)n);
        length += (size_t)n;
        s += n;
    }
    out[length] = 0;
}

static double advance_of(tw_canvas *canvas, const char *text)
{
    cairo_text_extents_t extents = {0};
    cairo_text_extents(canvas->cr, text, &extents);
    return extents.x_advance;
}

/* Cuts whole characters from the end until text and ellipsis fit. */
static void shorten(tw_canvas *canvas, char *text, double room)
{
    static const char ellipsis[] = "\xE2\x80\xA6";
    size_t length = strlen(text);
    if (room <= 0 || advance_of(canvas, text) <= room) return;
    do {
        while (length > 0 && ((unsigned char)text[--length] & 0xC0) == 0x80) continue;
        memcpy(text + length, ellipsis, sizeof ellipsis);
    } while (length > 0 && advance_of(canvas, text) > room);
}

static void choose_font(tw_canvas *canvas, tw_font font)
{
    cairo_select_font_face(canvas->cr, family, CAIRO_FONT_SLANT_NORMAL,
                           font.bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(canvas->cr, font.size);
    cairo_set_source_rgb(canvas->cr, font.colour.r, font.colour.g, font.colour.b);
}

double tw_canvas_text_width(tw_canvas *canvas, tw_font font, const char *text)
{
    char cleaned[260];
    if (!canvas->text || !text) return 0;
    clean(text, cleaned, sizeof cleaned - 4);
    choose_font(canvas, font);
    return advance_of(canvas, cleaned);
}

void tw_canvas_text(tw_canvas *canvas, double x, double y, tw_font font, const char *text)
{
    char cleaned[260];
    if (!canvas->text || !text) return;
    clean(text, cleaned, sizeof cleaned - 4); /* room for an ellipsis */
    choose_font(canvas, font);
    shorten(canvas, cleaned, font.room);
    double share = font.align == TW_ALIGN_LEFT ? 0 : font.align == TW_ALIGN_CENTRE ? 0.5 : 1;
    cairo_save(canvas->cr);
    cairo_translate(canvas->cr, x, y);
    if (font.upright) cairo_rotate(canvas->cr, -1.57079632679489662);
    cairo_move_to(canvas->cr, -share * advance_of(canvas, cleaned), 0);
    cairo_show_text(canvas->cr, cleaned);
    cairo_restore(canvas->cr);
    cairo_new_path(canvas->cr);
}

void tw_canvas_line(tw_canvas *canvas, double x0, double y0, double x1, double y1, double width, tw_colour colour)
{
    cairo_set_source_rgb(canvas->cr, colour.r, colour.g, colour.b);
    cairo_set_line_width(canvas->cr, width);
    cairo_move_to(canvas->cr, x0, y0);
    cairo_line_to(canvas->cr, x1, y1);
    cairo_stroke(canvas->cr);
}

void tw_canvas_box(tw_canvas *canvas, double x, double y, double w, double h, double width, tw_colour colour)
{
    cairo_set_source_rgb(canvas->cr, colour.r, colour.g, colour.b);
    cairo_set_line_width(canvas->cr, width);
    cairo_rectangle(canvas->cr, x, y, w, h);
    cairo_stroke(canvas->cr);
}

void tw_canvas_fill(tw_canvas *canvas, double x, double y, double w, double h, tw_colour colour, double alpha)
{
    cairo_set_source_rgba(canvas->cr, colour.r, colour.g, colour.b, alpha);
    cairo_rectangle(canvas->cr, x, y, w, h);
    cairo_fill(canvas->cr);
}

/* 0xRRGGBB of a picture's pixel, or of the chequer (2 x 2 squares of a pixel). */
static uint32_t pixel_of(const double *value, int channels, int chequer)
{
    uint32_t pixel = 0;
    for (int c = 0; c < 3; c++) {
        double v = value[channels == 3 ? c : 0];
        if (isnan(v)) v = chequer ? 225 : 205;
        pixel = pixel << 8 | (uint32_t)(fmin(255, fmax(0, v)) + 0.5);
    }
    return pixel;
}

void tw_canvas_picture(tw_canvas *canvas, double x, double y, tw_image image, int size, const double *values)
{
    cairo_surface_flush(canvas->surface);
    unsigned char *pixels = cairo_image_surface_get_data(canvas->surface);
    int64_t stride = cairo_image_surface_get_stride(canvas->surface);
    int left = (int)(x * SCALE), top = (int)(y * SCALE), wide = image.width * size, high = image.height * size;
    wide = (int)tw_min_i64(wide, cairo_image_surface_get_width(canvas->surface) - left);
    high = (int)tw_min_i64(high, cairo_image_surface_get_height(canvas->surface) - top);
    for (int py = 0; pixels && py < high; py++)
        for (int px = 0; px < wide; px++) {
            const double *value = values + ((int64_t)(py / size) * image.width + px / size) * image.channels;
            int chequer = (2 * px / size + 2 * py / size) & 1;
            *(uint32_t *)(void *)(pixels + (top + py) * stride + 4 * (int64_t)(left + px)) =
                0xFF000000u | pixel_of(value, image.channels, chequer);
        }
    cairo_surface_mark_dirty(canvas->surface);
}

tw_points tw_points_begin(tw_canvas *canvas, double x, double y, double w, double h, double radius, double alpha)
{
    cairo_surface_flush(canvas->surface);
    int wide = cairo_image_surface_get_width(canvas->surface), high = cairo_image_surface_get_height(canvas->surface);
    return (tw_points){.canvas = canvas,
                       .pixels = cairo_image_surface_get_data(canvas->surface),
                       .stride = cairo_image_surface_get_stride(canvas->surface),
                       .left = (int)fmax(0, x * SCALE),
                       .top = (int)fmax(0, y * SCALE),
                       .right = (int)fmin(wide, (x + w) * SCALE),
                       .bottom = (int)fmin(high, (y + h) * SCALE),
                       .radius = radius * SCALE,
                       .alpha = alpha};
}

void tw_points_add(const tw_points *p, double x, double y, tw_colour colour)
{
    double cx = x * SCALE, cy = y * SCALE, reach = p->radius + 1;
    if (!p->pixels || !(cx > p->left - reach && cx < p->right + reach)) return;
    if (!(cy > p->top - reach && cy < p->bottom + reach)) return;
    int x0 = (int)fmax(p->left, floor(cx - reach)), x1 = (int)fmin(p->right - 1, cx + reach);
    int y0 = (int)fmax(p->top, floor(cy - reach)), y1 = (int)fmin(p->bottom - 1, cy + reach);
    double channel[3] = {255 * colour.b, 255 * colour.g, 255 * colour.r}; /* as bytes lie on little-endian machines */
    for (int py = y0; py <= y1; py++)
        for (int px = x0; px <= x1; px++) {
            double dx = px + 0.5 - cx, dy = py + 0.5 - cy;
            double cover = p->alpha * fmin(1, fmax(0, p->radius + 0.5 - sqrt(dx * dx + dy * dy)));
            if (cover <= 0) continue;
            uint32_t *pixel = (uint32_t *)(void *)(p->pixels + (int64_t)py * p->stride + 4 * (int64_t)px);
            uint32_t now = 0;
            for (int c = 0; c < 3; c++) {
                double old = (double)(*pixel >> (8 * c) & 255u);
                now |= (uint32_t)(old + (channel[c] - old) * cover + 0.5) << (8 * c);
            }
            *pixel = now | 0xFF000000u;
        }
}

void tw_points_end(const tw_points *points)
{
    cairo_surface_mark_dirty(points->canvas->surface);
}
