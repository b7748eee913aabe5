/* pictures.c - see pictures.h. Models of more than two columns that are no pictures show their first two. */
#include "pictures.h"

#include "files.h"
#include "signals.h"
#include "tokens.h"

#include "base/file.h"
#include "flow/flow.h"
#include "io/npy.h"
#include "io/png.h"
#include "plot/plot.h"

#include <ctype.h>
#include <math.h>
#include <string.h>

enum {
    MAX_FRAMES = 100,
    DRAWN_ROWS = 4000,
    MOVING_ROWS = 1000,
    MOST_TILES = 1024,
    CLASS_ACROSS = 12,
    MOST_STILLS = 12,
    STILL_LINES = 10
};

static bool has_image(const tw_flow_desc *about)
{
    return about->image.height > 0 && (about->image.channels == 1 || about->image.channels == 3);
}

bool is_pictures(const model *m)
{
    return has_image(m->about) && m->flow->normaliser.shift[0] == TW_PIXEL_MIDDLE;
}

bool shows_pictures(const model *m)
{
    return has_image(m->about) && (is_pictures(m) || is_tokens(m));
}

int class_condition(const tw_flow_desc *about)
{
    for (int k = 0; k < about->conditions_count; k++)
        if (about->conditions[k].classes > 0) return k;
    return -1;
}

/* The class of a row, -1: none that is known. */
static int class_of_row(const drawn *d, int64_t row)
{
    int condition = class_condition(d->m->about), told = d->m->about->conditions_count;
    if (condition < 0 || !d->conditions) return -1;
    double value = d->conditions[(d->same ? 0 : row * told) + condition];
    return isnan(value) ? -1 : (int)value;
}

static const char *class_name(const drawn *d, int class)
{
    return class < 0 ? NULL : d->m->about->conditions[class_condition(d->m->about)].level[class];
}

/* --- which tile shows which row ---------------------------------------------------------------------------------- */

typedef struct arrangement {
    int64_t across, down;
    int64_t *order;
    const char **lines; /* NULL: no words */
} arrangement;

static void arrangement_free(tw_context *ctx, arrangement *a)
{
    tw_free(ctx, a->order);
    tw_free(ctx, a->lines);
    *a = (arrangement){0};
}

static tw_status arrangement_make(tw_context *ctx, int64_t across, int64_t down, bool words, arrangement *out)
{
    arrangement a = {.across = across, .down = down};
    a.order = tw_alloc(ctx, (size_t)(across * down), sizeof *a.order);
    if (words) a.lines = tw_alloc(ctx, (size_t)down, sizeof *a.lines);
    if (!a.order || (words && !a.lines)) {
        arrangement_free(ctx, &a);
        return tw_fail_memory(ctx, (size_t)(across * down) * sizeof *a.order);
    }
    for (int64_t k = 0; k < across * down; k++) a.order[k] = -1;
    *out = a;
    return TW_OK;
}

/* Each class in lines of its own, in the order of the classes. */
static tw_status by_class(tw_context *ctx, const drawn *d, int64_t shown, arrangement *out)
{
    int classes = d->m->about->conditions[class_condition(d->m->about)].classes;
    int64_t most = 1, down = 0, line = 0;
    tw_status status = TW_OK;
    int64_t *count = tw_alloc(ctx, (size_t)classes, sizeof *count);
    if (!count) return tw_fail_memory(ctx, (size_t)classes * sizeof *count);
    for (int64_t i = 0; i < shown; i++)
        if (class_of_row(d, i) >= 0) most = tw_max_i64(most, ++count[class_of_row(d, i)]);
    int64_t across = tw_min_i64(most, tw_max_i64(CLASS_ACROSS, shown / 32));
    for (int k = 0; k < classes; k++) down += (count[k] + across - 1) / across;
    TW_TRY(arrangement_make(ctx, across, tw_max_i64(down, 1), true, out));
    for (int k = 0; k < classes; k++) {
        int64_t at = line * across;
        if (count[k] > 0) out->lines[line] = class_name(d, k);
        for (int64_t i = 0; i < shown; i++)
            if (class_of_row(d, i) == k) out->order[at++] = i;
        line += (count[k] + across - 1) / across;
    }
done:
    tw_free(ctx, count);
    return status;
}

/* Two rows that were given at the ends of a line, what lies between them between them. */
static tw_status by_ends(tw_context *ctx, const drawn *d, int64_t shown, arrangement *out)
{
    int64_t stride = d->between + 1, lines = tw_max_i64(1, (tw_min_i64(d->n, shown) - 1) / stride);
    tw_status status = arrangement_make(ctx, stride + 1, lines, false, out);
    for (int64_t k = 0; status == TW_OK && k < lines * (stride + 1); k++)
        out->order[k] = k / (stride + 1) * stride + k % (stride + 1);
    return status;
}

/* At most `most` tiles. */
static tw_status arrange(tw_context *ctx, const drawn *d, int64_t most, arrangement *out)
{
    int64_t shown = tw_min_i64(d->n, most), across = (int64_t)ceil(sqrt((double)shown));
    if (d->between > 0) return by_ends(ctx, d, shown, out);
    if (d->conditions && !d->same && class_condition(d->m->about) >= 0) return by_class(ctx, d, shown, out);
    tw_status status = arrangement_make(ctx, across, (shown + across - 1) / across, false, out);
    for (int64_t k = 0; status == TW_OK && k < shown; k++) out->order[k] = k;
    return status;
}

static tw_tiles tiles_of(const drawn *d, const arrangement *a, const char *title)
{
    return (tw_tiles){.title = title,
                      .image = d->m->about->image,
                      .across = a->across,
                      .down = a->down,
                      .count = d->n,
                      .values = d->rows,
                      .order = a->order,
                      .lines = a->lines};
}

/* --- drawing ----------------------------------------------------------------------------------------------------- */

/* What was seen, what became of it, and what it had been. */
static tw_status plot_restored(tw_context *ctx, const char *path, const drawn *d)
{
    enum { MOST_LINES = 10, ACROSS = 12 };
    int64_t shown = tw_min_i64(d->n, MOST_LINES * ACROSS), lines = tw_min_i64(shown, MOST_LINES);
    tw_tiles tiles = {.title = "observed",
                      .image = d->m->about->image,
                      .across = (shown + lines - 1) / lines,
                      .down = lines,
                      .count = shown,
                      .values = d->seen};
    tw_tiles groups[3] = {tiles, tiles, tiles};
    groups[1].title = "samples";
    groups[1].values = d->rows;
    groups[2].title = "before";
    groups[2].values = d->truth;
    return tw_plot_tiles(ctx, path, d->truth ? 3 : 2, groups);
}

tw_status plot_samples(tw_context *ctx, const char *path, const drawn *d)
{
    tw_cloud cloud = {"samples", d->n, d->rows};
    if (shows_pictures(d->m) && d->seen) return plot_restored(ctx, path, d);
    if (!shows_pictures(d->m)) return tw_plot_clouds(ctx, path, d->m->about->columns, d->m->about->names, 1, &cloud);
    arrangement a = {0};
    tw_status status = arrange(ctx, d, MOST_TILES, &a);
    tw_tiles tiles = tiles_of(d, &a, d->same ? class_name(d, class_of_row(d, 0)) : NULL);
    if (status == TW_OK) status = tw_plot_tiles(ctx, path, 1, &tiles);
    arrangement_free(ctx, &a);
    return status;
}

tw_status plot_both(tw_context *ctx, const char *path, const char *title, const drawn *d, const char *other_title,
                    const drawn *other)
{
    tw_cloud clouds[] = {{title, d->n, d->rows}, {other_title, other->n, other->rows}};
    if (!shows_pictures(d->m)) return tw_plot_clouds(ctx, path, d->m->about->columns, d->m->about->names, 2, clouds);
    arrangement a = {0}, b = {0};
    tw_status status = arrange(ctx, d, MOST_TILES, &a);
    if (status == TW_OK) status = arrange(ctx, other, MOST_TILES, &b);
    tw_tiles groups[] = {tiles_of(d, &a, title), tiles_of(other, &b, other_title)};
    if (status == TW_OK) status = tw_plot_tiles(ctx, path, 2, groups);
    arrangement_free(ctx, &a);
    arrangement_free(ctx, &b);
    return status;
}

/* A line for each of a few rows, a column for each of a few times. */
static tw_status plot_stills(tw_context *ctx, const char *path, const drawn *d, int frames)
{
    int shown = frames < MOST_STILLS ? frames : MOST_STILLS;
    int64_t lines = tw_min_i64(d->n, STILL_LINES);
    bool words = d->conditions && class_condition(d->m->about) >= 0;
    char time[MOST_STILLS][24];
    const char *heads[MOST_STILLS];
    arrangement a = {0};
    tw_status status = arrangement_make(ctx, shown, lines, words, &a);
    if (status != TW_OK) return status;
    for (int k = 0; k < shown; k++) {
        int64_t frame = ((int64_t)k * (frames - 1) + (shown - 1) / 2) / (shown - 1);
        snprintf(time[k], sizeof time[k], "t = %.2f", (double)frame / (frames - 1));
        heads[k] = time[k];
        for (int64_t i = 0; i < lines; i++) a.order[i * shown + k] = frame * d->n + i;
    }
    for (int64_t i = 0; words && i < lines; i++) a.lines[i] = class_name(d, class_of_row(d, i));
    tw_tiles tiles = tiles_of(d, &a, NULL);
    tiles.count = d->n * frames;
    tiles.heads = heads;
    status = tw_plot_tiles(ctx, path, 1, &tiles);
    arrangement_free(ctx, &a);
    return status;
}

static tw_status move_tiles(tw_context *ctx, const char *path, const drawn *d, int frames, const double *times)
{
    enum { MOST_MOVING = 256 };
    arrangement a = {0};
    tw_status status = arrange(ctx, d, MOST_MOVING, &a);
    tw_tiles tiles = tiles_of(d, &a, NULL);
    if (status == TW_OK) status = tw_plot_tiles_moving(ctx, path, &tiles, frames, times);
    arrangement_free(ctx, &a);
    return status;
}

tw_status plot_flow(tw_context *ctx, const char *path, const drawn *d, int frames, bool moving)
{
    tw_cloud cloud[MAX_FRAMES];
    double time[MAX_FRAMES];
    char title[MAX_FRAMES][24];
    const tw_flow_desc *about = d->m->about;
    int columns = about->columns, other = columns > 1;
    if (frames > MAX_FRAMES) frames = MAX_FRAMES;
    for (int k = 0; k < frames; k++) {
        time[k] = (double)k / (frames - 1);
        snprintf(title[k], sizeof title[k], "t = %.2f", time[k]);
        cloud[k] = (tw_cloud){title[k], tw_min_i64(d->n, moving ? MOVING_ROWS : DRAWN_ROWS),
                              d->rows + (int64_t)k * d->n * columns};
    }
    if (shows_pictures(d->m))
        return moving ? move_tiles(ctx, path, d, frames, time) : plot_stills(ctx, path, d, frames);
    if (moving) return tw_plot_points_moving(ctx, path, columns, about->names, 0, other, frames, time, cloud);
    return tw_plot_frames(ctx, path, columns, about->names, 0, other, frames, time, cloud);
}

/* --- files ------------------------------------------------------------------------------------------------------- */

static void to_bytes(int64_t count, const double *values, unsigned char *out)
{
    for (int64_t i = 0; i < count; i++) out[i] = (unsigned char)(fmin(255, fmax(0, values[i])) + 0.5);
}

/* "00012-Ankle-boot.png": what is no letter, digit or dot of a class becomes a dash. */
static bool picture_name(const drawn *d, int64_t row, const char *folder, char *out, size_t size)
{
    char name[160];
    const char *class = class_name(d, class_of_row(d, row));
    int length =
        snprintf(name, sizeof name, "%05lld%s%.100s", (long long)row + 1, class ? "-" : "", class ? class : "");
    for (int i = 6; i < length; i++)
        if (!isalnum((unsigned char)name[i]) && name[i] != '.') name[i] = '-';
    snprintf(name + length, sizeof name - (size_t)length, ".png");
    return path_join(out, size, folder, name);
}

tw_status write_picture_folder(tw_context *ctx, const char *folder, const drawn *d)
{
    tw_image image = d->m->about->image;
    int columns = d->m->about->columns;
    char path[MODEL_PATH];
    tw_new_folder made = {0};
    tw_status status = TW_OK;
    unsigned char *bytes = tw_alloc(ctx, (size_t)columns, 1);
    if (!bytes) return tw_fail_memory(ctx, (size_t)columns);
    TW_TRY(tw_new_folder_open(ctx, folder, &made));
    for (int64_t i = 0; i < d->n; i++) {
        if (!picture_name(d, i, made.temporary, path, sizeof path))
            TW_TRY(tw_fail(ctx, TW_ERR_IO, "'%s': the path is too long", folder));
        to_bytes(columns, d->rows + i * columns, bytes);
        TW_TRY(tw_png_write(ctx, path, image.width, image.height, image.channels, bytes));
        if (signals_caught()) TW_TRY(tw_fail(ctx, TW_ERR_CANCELLED, "stopped"));
    }
    TW_TRY(tw_new_folder_commit(&made));
done:
    tw_new_folder_abandon(&made);
    tw_free(ctx, bytes);
    return status;
}

tw_status write_picture_array(tw_context *ctx, const char *path, const drawn *d)
{
    tw_image image = d->m->about->image;
    int64_t numbers = d->n * d->m->about->columns;
    unsigned char *bytes = tw_alloc(ctx, (size_t)numbers, 1);
    if (!bytes) return tw_fail_memory(ctx, (size_t)numbers);
    to_bytes(numbers, d->rows, bytes);
    tw_status status =
        tw_npy_write_bytes(ctx, path, tw_shape_of(d->n, image.height, image.width, image.channels), bytes);
    tw_free(ctx, bytes);
    return status;
}
