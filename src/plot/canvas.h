/* plot/canvas.h - a white picture to draw on: colours, text that cannot fail, soft points, and the way into a PNG file.
 * Lengths are in logical pixels; the file has twice as many in each direction, for sharp text on dense screens. */
#ifndef TW_PLOT_CANVAS_H
#define TW_PLOT_CANVAS_H

#include "io/png.h"

#include <cairo.h>

typedef struct tw_colour {
    double r, g, b;
} tw_colour;

extern const tw_colour tw_ink, tw_muted, tw_grid, tw_rule;
/* Colours that people with any colour vision can tell apart (Okabe, Ito 2008), by index, repeating. */
tw_colour tw_palette(int index);
/* A hue by angle, of constant lightness and chroma (Ottosson's OKLCH, 2020). */
tw_colour tw_colour_wheel(double angle);
tw_colour tw_mix(tw_colour a, tw_colour b, double share_of_b);

typedef struct tw_canvas {
    tw_context *ctx;
    cairo_surface_t *surface;
    cairo_t *cr;
    double width, height;
    bool text; /* false where the machine has no usable font: pictures then go without words */
} tw_canvas;

TW_NODISCARD tw_status tw_canvas_open(tw_context *ctx, double width, double height, tw_canvas *out_canvas);
/* Writes the PNG beside its name and renames it. The canvas has to be closed either way. */
TW_NODISCARD tw_status tw_canvas_save(tw_canvas *canvas, const char *path);
void tw_canvas_close(tw_canvas *canvas);

/* Likewise a moving picture of `frames` frames, each the canvas as it is when it is added, the last one shown longest;
 * tw_png_commit ends it. */
TW_NODISCARD tw_status tw_canvas_film(const tw_canvas *canvas, const char *path, int frames, tw_png *out_film);
TW_NODISCARD tw_status tw_canvas_shoot(tw_canvas *canvas, tw_png *film);
/* White again. */
void tw_canvas_clear(tw_canvas *canvas);

typedef enum tw_align { TW_ALIGN_LEFT, TW_ALIGN_CENTRE, TW_ALIGN_RIGHT } tw_align;
typedef struct tw_font {
    double size;
    bool bold, upright; /* upright: turned a quarter to the left, for vertical axes */
    tw_colour colour;
    tw_align align;
    double room; /* longer texts are cut and end in an ellipsis; 0: no limit */
} tw_font;

/* Writes text (bytes that are not UTF-8 become '?') with its baseline at (x, y). NULL writes nothing. */
void tw_canvas_text(tw_canvas *canvas, double x, double y, tw_font font, const char *text);
double tw_canvas_text_width(tw_canvas *canvas, tw_font font, const char *text);

void tw_canvas_line(tw_canvas *canvas, double x0, double y0, double x1, double y1, double width, tw_colour colour);
void tw_canvas_box(tw_canvas *canvas, double x, double y, double w, double h, double width, tw_colour colour);
void tw_canvas_fill(tw_canvas *canvas, double x, double y, double w, double h, tw_colour colour, double alpha);

/* A picture with its upper left corner at (x, y), each of its pixels a square of `size` pixels of the file. Numbers 0
 * to 255; those outside are clipped, what is no number is a pale chequer. */
void tw_canvas_picture(tw_canvas *canvas, double x, double y, tw_image image, int size, const double *values);

/* Soft round points, drawn straight into the pixels (ten times cairo's speed). Between begin and end nothing else is
 * drawn; points are clipped to the box. */
typedef struct tw_points {
    tw_canvas *canvas;
    unsigned char *pixels;
    int stride, left, top, right, bottom;
    double radius, alpha; /* radius in pixels of the file */
} tw_points;

tw_points tw_points_begin(tw_canvas *canvas, double x, double y, double w, double h, double radius, double alpha);
void tw_points_add(const tw_points *points, double x, double y, tw_colour colour);
void tw_points_end(const tw_points *points);

#endif
