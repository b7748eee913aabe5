/* cpu/conv_job.c - cutting a convolution (conv_job.h): index arithmetic only, the same for every number type. */
#include "cpu/conv_job.h"

#include <string.h>

enum { WINDOW_BYTES = 384 * 1024, BAND_PIXELS = 1024 };

/* --- lines --- */

static tw_conv_line line_forward(const tw_conv_sizes *z, int axis)
{
    return (tw_conv_line){.source = z->image[axis],
                          .target = z->result[axis],
                          .count = z->result[axis],
                          .jump = 1,
                          .step = z->stride[axis],
                          .offset = -z->low[axis],
                          .delta = z->dilation[axis],
                          .taps = z->kernel[axis],
                          .tap_step = 1};
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* Weight k reaches image pixel r + j*stride from result (r + low - k*dilation)/stride + j, where that is whole. Taken
 * from the last weight to the first, so that source pixels ascend. */
static tw_conv_line line_back(const tw_conv_sizes *z, int axis, int64_t r)
{
    int64_t s = z->stride[axis], d = z->dilation[axis], every = s / common_divisor(s, d), k = 0;
    int64_t last = tw_min_i64(every, z->kernel[axis]);
    tw_conv_line l = {.source = z->result[axis],
                      .target = z->image[axis],
                      .count = (z->image[axis] - r + s - 1) / s,
                      .first = r,
                      .jump = s,
                      .step = 1,
                      .delta = 1};
    while (k < last && (r + z->low[axis] - k * d) % s != 0) k++;
    if (k == last) return l;
    l.taps = (z->kernel[axis] - 1 - k) / every + 1;
    l.delta = every * d / s;
    l.tap = k + (l.taps - 1) * every;
    l.tap_step = -every;
    l.offset = (r + z->low[axis] - l.tap * d) / s;
    return l;
}

/* Source pixels from the first to the last that `count` target pixels read. */
static int64_t extent(const tw_conv_line *l, int64_t count)
{
    return l->taps == 0 || count == 0 ? 0 : (count - 1) * l->step + (l->taps - 1) * l->delta + 1;
}

static bool inside(const tw_conv_line *l)
{
    return l->offset >= 0 && l->offset + extent(l, l->count) <= l->source;
}

/* --- jobs --- */

int64_t tw_conv_phases(tw_conv_pass pass, const tw_conv_sizes *z, int axis)
{
    return pass == TW_CONV_BACK ? tw_min_i64(z->stride[axis], z->image[axis]) : 1;
}

static void set_strides(tw_conv_job *j)
{
    const tw_conv_line *d = &j->line[0], *h = &j->line[1], *w = &j->line[2];
    j->rows = h->count;
    if (j->direct) {
        j->row = w->source * j->channels;
        j->plane = h->source * j->row;
        j->image = d->source * j->plane;
        j->plane *= d->delta;
        return;
    }
    j->row = extent(w, w->count) * j->channels;
    int64_t budget = WINDOW_BYTES / j->size, each = tw_max_i64(j->row * d->taps, 1);
    if (extent(h, h->count) > budget / each) {
        int64_t fit = tw_max_i64(budget / each - extent(h, 1), 0) / h->step + 1;
        j->rows = tw_min_i64(h->count, fit);
    }
    j->plane = extent(h, j->rows) * j->row;
    j->image = d->taps * j->plane;
}

/* Small images share a band: the gradient in the weights wants long sums. */
static int64_t images_of_band(const tw_conv_job *j, int64_t images)
{
    if (j->rows < j->line[1].count || j->line[0].count > 1 || j->depthwise) return 1;
    int64_t fit = j->direct || j->image == 0 ? images : WINDOW_BYTES / j->size / j->image;
    int64_t enough = BAND_PIXELS / tw_max_i64(j->rows * j->line[2].count, 1);
    return tw_max_i64(tw_min_i64(tw_min_i64(fit, enough), images), 1);
}

void tw_conv_job_make(tw_conv_job *j, tw_conv_pass pass, const tw_conv_sizes *z, const int64_t *phase, int64_t images,
                      size_t size)
{
    bool back = pass == TW_CONV_BACK, weights = pass == TW_CONV_WEIGHTS;
    *j = (tw_conv_job){.groups = z->groups,
                       .channels = back ? z->o : z->c,
                       .targets = back ? z->c : z->o,
                       .size = (int64_t)size,
                       .images = 1};
    for (int i = 0; i < TW_MAX_SPATIAL; i++) {
        j->line[i] = back ? line_back(z, i, phase[i]) : line_forward(z, i);
        j->kernel[i] = z->kernel[i];
    }
    const tw_conv_line *w = &j->line[2];
    j->from = j->channels / j->groups;
    j->to = j->targets / j->groups;
    j->depthwise = j->groups > 1 && j->from == 1 && j->to == 1;
    j->direct = inside(&j->line[0]) && inside(&j->line[1]) && inside(w) && !(weights && j->to <= TW_CONV_FEW);
    j->merged = j->groups == 1 && (w->delta == 1 || w->taps <= 1);
    set_strides(j);
    j->depth = j->merged ? w->taps * j->from : j->from;
    j->segments = j->line[0].taps * j->line[1].taps * (j->merged ? tw_min_i64(w->taps, 1) : w->taps);
    if (weights) j->images = images_of_band(j, images);
    int64_t columns = TW_CONV_PANEL / j->size, pixels = j->images * j->rows * w->count;
    int64_t tables = 2 * (pixels + j->segments) + j->images * j->rows;
    int64_t panel = weights        ? pixels * columns
                    : j->depthwise ? j->segments * j->channels
                                   : j->segments * j->depth * columns;
    j->panel_at = tw_aligned(tables * (int64_t)sizeof(int64_t));
    j->window_at = j->panel_at + tw_aligned(panel * j->size);
    j->bytes = j->window_at + (j->direct ? 0 : tw_aligned(j->images * j->image * j->size)) + TW_CONV_PANEL;
}

int64_t tw_conv_job_bytes(tw_conv_pass pass, const tw_conv_sizes *z, int64_t images, size_t size)
{
    int64_t most = 0, phase[TW_MAX_SPATIAL], phases[TW_MAX_SPATIAL];
    for (int i = 0; i < TW_MAX_SPATIAL; i++) phases[i] = tw_conv_phases(pass, z, i);
    for (phase[0] = 0; phase[0] < phases[0]; phase[0]++)
        for (phase[1] = 0; phase[1] < phases[1]; phase[1]++)
            for (phase[2] = 0; phase[2] < phases[2]; phase[2]++) {
                tw_conv_job j;
                tw_conv_job_make(&j, pass, z, phase, images, size);
                most = tw_max_i64(most, j.bytes);
            }
    return most;
}

int64_t tw_conv_packed_bytes(tw_conv_pass pass, const tw_conv_sizes *z, size_t size)
{
    int64_t all = 0, phase[TW_MAX_SPATIAL], phases[TW_MAX_SPATIAL];
    if (pass == TW_CONV_WEIGHTS) return 0;
    for (int i = 0; i < TW_MAX_SPATIAL; i++) phases[i] = tw_conv_phases(pass, z, i);
    for (phase[0] = 0; phase[0] < phases[0]; phase[0]++)
        for (phase[1] = 0; phase[1] < phases[1]; phase[1]++)
            for (phase[2] = 0; phase[2] < phases[2]; phase[2]++) {
                tw_conv_job j;
                tw_conv_job_make(&j, pass, z, phase, 1, size);
                all += tw_conv_packed(&j, TW_CONV_PANEL / (int64_t)size) * (int64_t)size;
            }
    return all;
}

/* --- windows --- */

/* One row of the window: zeros, what there is of the source's row, zeros. */
static void fill_row(const tw_conv_job *j, const unsigned char *src, unsigned char *to)
{
    const tw_conv_line *w = &j->line[2];
    int64_t pixel = j->channels * j->size, width = extent(w, w->count);
    int64_t begin = tw_min_i64(tw_max_i64(-w->offset, 0), width);
    int64_t end = tw_max_i64(tw_min_i64(w->source - w->offset, width), begin);
    memset(to, 0, (size_t)(begin * pixel));
    if (src)
        memcpy(to + begin * pixel, src + (begin + w->offset) * pixel, (size_t)((end - begin) * pixel));
    else
        memset(to + begin * pixel, 0, (size_t)((end - begin) * pixel));
    memset(to + end * pixel, 0, (size_t)((width - end) * pixel));
}

const void *tw_conv_window(const tw_conv_job *j, const void *src, int64_t images, int64_t plane, int64_t row,
                           int64_t rows, void *scratch)
{
    const tw_conv_line *d = &j->line[0], *h = &j->line[1], *w = &j->line[2];
    int64_t line = w->source * j->channels * j->size, first = plane * d->step + d->offset,
            top = row * h->step + h->offset, height = extent(h, rows);
    if (j->direct)
        return (const unsigned char *)src + ((first * h->source + top) * w->source + w->offset) * j->channels * j->size;
    unsigned char *window = (unsigned char *)scratch + j->window_at;
    for (int64_t i = 0; i < images; i++)
        for (int64_t t = 0; t < d->taps; t++)
            for (int64_t y = 0; y < height; y++) {
                int64_t z = first + t * d->delta, at = top + y;
                bool there = z >= 0 && z < d->source && at >= 0 && at < h->source;
                const unsigned char *from = (const unsigned char *)src + ((i * d->source + z) * h->source + at) * line;
                fill_row(j, there ? from : NULL, window + (i * j->image + t * j->plane + y * j->row) * j->size);
            }
    return window;
}

/* --- tables --- */

void tw_conv_pixels(const tw_conv_job *j, int64_t *source, int64_t *target)
{
    const tw_conv_line *h = &j->line[1], *w = &j->line[2];
    for (int64_t y = 0, at = 0; y < j->rows; y++)
        for (int64_t x = 0; x < w->count; x++, at++) {
            source[at] = y * h->step * j->row + x * w->step * j->channels;
            target[at] = (y * h->jump * w->target + x * w->jump) * j->targets;
        }
}

static int64_t segments_across(const tw_conv_job *j)
{
    return j->merged ? tw_min_i64(j->line[2].taps, 1) : j->line[2].taps;
}

void tw_conv_segments(const tw_conv_job *j, int64_t *source)
{
    const tw_conv_line *d = &j->line[0], *h = &j->line[1], *w = &j->line[2];
    int64_t across = segments_across(j), at = 0;
    for (int64_t a = 0; a < d->taps; a++)
        for (int64_t b = 0; b < h->taps; b++)
            for (int64_t c = 0; c < across; c++)
                source[at++] = a * j->plane + b * h->delta * j->row + c * w->delta * j->channels;
}

int64_t tw_conv_weight(const tw_conv_job *j, int64_t segment)
{
    const tw_conv_line *d = &j->line[0], *h = &j->line[1], *w = &j->line[2];
    int64_t across = segments_across(j), c = segment % across, b = segment / across % h->taps;
    int64_t a = segment / across / h->taps;
    return ((d->tap + a * d->tap_step) * j->kernel[1] + h->tap + b * h->tap_step) * j->kernel[2] + w->tap +
           c * w->tap_step;
}

int64_t tw_conv_packed(const tw_conv_job *j, int64_t columns)
{
    if (j->depthwise || j->to <= TW_CONV_FEW) return 0;
    return j->groups * ((j->to + columns - 1) / columns) * j->segments * j->depth * columns;
}

int64_t tw_conv_target(const tw_conv_job *j, int64_t plane, int64_t row)
{
    const tw_conv_line *d = &j->line[0], *h = &j->line[1], *w = &j->line[2];
    return (((d->first + plane * d->jump) * h->target + h->first + row * h->jump) * w->target + w->first) * j->targets;
}
