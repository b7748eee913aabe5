/* data/picture_fit.c - a picture brought to another size: cut to the middle of the wanted proportions, then each axis
 * by itself. Downwards a pixel is the mean of the area it covers (what PIL calls BOX), upwards bilinear between
 * centres. */
#include "data/pictures.h"

#include <math.h>
#include <string.h>

/* Which pixels of a line of `in`, from `offset` on, make pixel i of `out`: `count` from `first`, with weights. */
typedef struct span {
    int first, count;
    float *weight;
} span;

static void area_span(double scale, int i, int in, span *s)
{
    double begin = i * scale, end = begin + scale;
    s->first = (int)floor(begin + 1e-9);
    int last = (int)ceil(end - 1e-9);
    if (last > in) last = in;
    s->count = last - s->first;
    for (int k = 0; k < s->count; k++) {
        double low = fmax(begin, s->first + k), high = fmin(end, s->first + k + 1);
        s->weight[k] = (float)((high - low) / scale);
    }
}

static void linear_span(double scale, int i, int in, span *s)
{
    double at = fmin(fmax((i + 0.5) * scale - 0.5, 0), in - 1);
    s->first = (int)floor(at);
    if (s->first > in - 2) s->first = in - 2 > 0 ? in - 2 : 0;
    s->count = in > 1 ? 2 : 1;
    s->weight[0] = (float)(1 - (at - s->first));
    if (s->count > 1) s->weight[1] = (float)(at - s->first);
}

static void make_spans(int in, int out, span *spans, float *weights)
{
    double scale = (double)in / out;
    int room = (int)ceil(scale) + 2;
    for (int i = 0; i < out; i++) {
        spans[i].weight = weights + (int64_t)i * room;
        if (scale > 1)
            area_span(scale, i, in, &spans[i]);
        else
            linear_span(scale, i, in, &spans[i]);
    }
}

typedef struct fitting {
    int top, left, height, width; /* the part of the picture that is kept */
    span *rows, *columns;
    float *weights, *lines; /* lines: the kept part, resized along its lines: (height, to.width, channels) */
} fitting;

static void keep_middle(tw_image from, tw_image to, fitting *f)
{
    double width = (double)from.height * to.width / to.height;
    f->height = from.height;
    f->width = (int)fmin(from.width, fmax(1, round(width)));
    if (width > from.width)
        f->height = (int)fmax(1, fmin(from.height, round((double)from.width * to.height / to.width)));
    f->top = (from.height - f->height) / 2;
    f->left = (from.width - f->width) / 2;
}

static uint8_t to_byte(float x)
{
    return (uint8_t)(x <= 0 ? 0 : x >= 255 ? 255 : (int)(x + 0.5F));
}

static void put(const float *x, int channels, tw_image to, uint8_t *out)
{
    if (channels == to.channels)
        for (int c = 0; c < channels; c++) out[c] = to_byte(x[c]);
    else if (channels == 1)
        for (int c = 0; c < to.channels; c++) out[c] = to_byte(x[0]);
    else
        out[0] = to_byte(0.299F * x[0] + 0.587F * x[1] + 0.114F * x[2]);
}

static void run(const fitting *f, tw_image from, const uint8_t *pixels, tw_image to, uint8_t *out)
{
    int c = from.channels;
    for (int y = 0; y < f->height; y++)
        for (int x = 0; x < to.width; x++) {
            const span *s = &f->columns[x];
            float *line = f->lines + ((int64_t)y * to.width + x) * c;
            for (int k = 0; k < c; k++) line[k] = 0;
            for (int i = 0; i < s->count; i++) {
                const uint8_t *p = pixels + (((int64_t)(f->top + y) * from.width) + f->left + s->first + i) * c;
                for (int k = 0; k < c; k++) line[k] += s->weight[i] * (float)p[k];
            }
        }
    for (int y = 0; y < to.height; y++)
        for (int x = 0; x < to.width; x++) {
            const span *s = &f->rows[y];
            float sum[4] = {0};
            for (int i = 0; i < s->count; i++)
                for (int k = 0; k < c; k++)
                    sum[k] += s->weight[i] * f->lines[((int64_t)(s->first + i) * to.width + x) * c + k];
            put(sum, c, to, out + ((int64_t)y * to.width + x) * to.channels);
        }
}

tw_status tw_picture_fit(tw_context *ctx, tw_image from, const uint8_t *pixels, tw_image to, uint8_t *out_pixels)
{
    if (tw_image_equal(from, to)) {
        memcpy(out_pixels, pixels, (size_t)tw_image_size(to));
        return TW_OK;
    }
    fitting f = {0};
    tw_status status = TW_OK;
    keep_middle(from, to, &f);
    size_t room_x = (size_t)ceil((double)f.width / to.width) + 2,
           room_y = (size_t)ceil((double)f.height / to.height) + 2;
    size_t weights = room_x * (size_t)to.width + room_y * (size_t)to.height;
    f.columns = tw_alloc(ctx, (size_t)to.width, sizeof(span));
    f.rows = tw_alloc(ctx, (size_t)to.height, sizeof(span));
    f.weights = tw_alloc(ctx, weights, sizeof(float));
    f.lines = tw_alloc(ctx, (size_t)f.height * (size_t)to.width * (size_t)from.channels, sizeof(float));
    if (!f.columns || !f.rows || !f.weights || !f.lines) TW_TRY(tw_fail_memory(ctx, weights * sizeof(float)));
    make_spans(f.width, to.width, f.columns, f.weights);
    make_spans(f.height, to.height, f.rows, f.weights + room_x * (size_t)to.width);
    run(&f, from, pixels, to, out_pixels);
done:
    tw_free(ctx, f.columns);
    tw_free(ctx, f.rows);
    tw_free(ctx, f.weights);
    tw_free(ctx, f.lines);
    return status;
}
