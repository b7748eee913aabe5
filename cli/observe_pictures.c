/* observe_pictures.c - what was observed of pictures: parts of them (--mask), or what an operator made of them, which
 * is turned into measures (flow/operator.c). With --degrade whole pictures are given and worsened here first. */
#include "files.h"
#include "observe.h"
#include "pictures.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

static int64_t numbers_of(tw_image image)
{
    return (int64_t)image.height * image.width * image.channels;
}

/* All pictures of a file or folder, brought to this size when it holds pictures; rows of as many numbers otherwise. */
static tw_status read_pictures(cli *c, const char *path, tw_image image, int64_t *out_rows, double **out_values)
{
    enum { NAME = 16 };
    int columns = (int)numbers_of(image);
    tw_dataset *data = NULL;
    double split[3], *values = NULL;
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    tw_status status = TW_OK;
    char *memory = tw_alloc(c->ctx, (size_t)columns, NAME);
    const char **names = tw_alloc(c->ctx, (size_t)columns, sizeof *names);
    if (!memory || !names) TW_TRY(tw_fail_memory(c->ctx, (size_t)columns * NAME));
    for (int j = 0; j < columns; j++) {
        snprintf(memory + j * NAME, NAME, "x%d", j + 1);
        names[j] = memory + j * NAME;
    }
    desc.missing = TW_MISSING_KEEP;
    desc.known_image = image;
    TW_TRY(tw_dataset_open_like(c->ctx, path, &desc, columns, names, &data));
    show_notes(c, data);
    int64_t rows = tw_dataset_rows(data, TW_PART_ALL);
    values = tw_alloc(c->ctx, (size_t)rows, (size_t)columns * sizeof *values);
    if (!values) TW_TRY(tw_fail_memory(c->ctx, (size_t)rows * (size_t)columns * sizeof *values));
    TW_TRY(tw_dataset_read(data, TW_PART_ALL, 0, rows, values));
    *out_values = values;
    *out_rows = rows;
    values = NULL;
done:
    tw_free(c->ctx, values);
    tw_dataset_destroy(data);
    tw_free(c->ctx, memory);
    tw_free(c->ctx, names);
    return status;
}

/* n rows of them, again from the top when there are fewer. */
static tw_status read_repeated(cli *c, const char *path, tw_image image, int64_t *n, double **out_values)
{
    int64_t rows = 0, numbers = numbers_of(image);
    double *read = NULL;
    tw_status status = TW_OK;
    TW_TRY(read_pictures(c, path, image, &rows, &read));
    if (*n == 0) *n = rows;
    *out_values = tw_alloc(c->ctx, (size_t)*n, (size_t)numbers * sizeof(double));
    if (!*out_values) TW_TRY(tw_fail_memory(c->ctx, (size_t)(*n * numbers) * sizeof(double)));
    repeat_rows(*n, (int)numbers, rows, read, *out_values);
done:
    tw_free(c->ctx, read);
    return status;
}

/* By noise of --noise. */
static void worsen(cli *c, int64_t n, int64_t numbers, double *values)
{
    double deviation = opt_number(&c->set, OPT_NOISE);
    tw_random random = {.seed = opt_seed(&c->set, OPT_SEED), .stream = TW_STREAM_DEGRADE};
    for (int64_t i = 0; i < n * numbers && deviation > 0; i++) values[i] += deviation * tw_random_normal(&random);
}

/* What is bright in --mask is not seen. */
static tw_status hide(cli *c, tw_image image, int64_t n, double *values)
{
    const char *path = opt_text(&c->set, OPT_MASK);
    tw_image one = {image.height, image.width, 1};
    int64_t pixels = numbers_of(one), count = n;
    double *mask = NULL;
    if (!path) return TW_OK;
    tw_status status = read_repeated(c, path, one, &count, &mask);
    double most = 0;
    for (int64_t i = 0; status == TW_OK && i < n * pixels; i++) most = fmax(most, mask[i]);
    if (status == TW_OK && most <= 127)
        status = tw_fail(c->ctx, TW_ERR_INVALID,
                         "--mask: '%s' hides nothing: no pixel is above 127 (the brightest is %g); white, 255, hides",
                         path, most);
    for (int64_t i = 0; status == TW_OK && i < n * pixels; i++)
        for (int k = 0; k < image.channels && mask[i] > 127; k++) values[i * image.channels + k] = (double)NAN;
    tw_free(c->ctx, mask);
    return status;
}

/* A picture an operator made, enlarged to the size of those it was made of: for drawing. */
static void enlarge(tw_image from, const double *picture, tw_image to, double *out)
{
    for (int y = 0; y < to.height; y++)
        for (int x = 0; x < to.width; x++)
            for (int k = 0; k < to.channels; k++) {
                int64_t pixel = (int64_t)(y * from.height / to.height) * from.width + x * from.width / to.width;
                *out++ = picture[pixel * from.channels + (from.channels == to.channels ? k : 0)];
            }
}

static tw_status measure(cli *c, const model *m, tw_operator *op, int64_t *n, observed *o)
{
    tw_image image = m->about->image, made = tw_operator_image(op);
    int64_t columns = m->about->columns, measures = tw_operator_measures(op);
    const char *path = opt_text(&c->set, OPT_OBSERVE);
    double *made_of = NULL;
    tw_status status = TW_OK;
    if (opt_flag(&c->set, OPT_DEGRADE)) {
        TW_TRY(read_repeated(c, path, image, n, &o->truth));
        made_of = tw_alloc(c->ctx, (size_t)*n, (size_t)measures * sizeof *made_of);
        if (!made_of) TW_TRY(tw_fail_memory(c->ctx, (size_t)(*n * measures) * sizeof *made_of));
        for (int64_t i = 0; i < *n; i++) TW_TRY(tw_operator_apply(op, o->truth + i * columns, made_of + i * measures));
        worsen(c, *n, measures, made_of);
    } else {
        TW_TRY(read_repeated(c, path, made, n, &made_of));
    }
    o->measures = (int)measures;
    o->matrix = tw_alloc(c->ctx, (size_t)measures, (size_t)columns * sizeof(double));
    o->values = tw_alloc(c->ctx, (size_t)*n, (size_t)measures * sizeof(double));
    o->seen = tw_alloc(c->ctx, (size_t)*n, (size_t)columns * sizeof(double));
    if (!o->matrix || !o->values || !o->seen) TW_TRY(tw_fail_memory(c->ctx, (size_t)(*n * columns) * sizeof(double)));
    memcpy(o->matrix, tw_operator_matrix(op), (size_t)(measures * columns) * sizeof(double));
    for (int64_t i = 0; i < *n; i++) {
        TW_TRY(tw_operator_measure(op, made_of + i * measures, o->values + i * measures));
        enlarge(made, made_of + i * measures, image, o->seen + i * columns);
    }
done:
    tw_free(c->ctx, made_of);
    return status;
}

/* Their pixels, as far as they are seen. */
static tw_status see(cli *c, const model *m, int64_t *n, observed *o)
{
    int64_t columns = m->about->columns;
    tw_status status = TW_OK;
    TW_TRY(read_repeated(c, opt_text(&c->set, OPT_OBSERVE), m->about->image, n, &o->values));
    size_t row = (size_t)columns * sizeof(double), bytes = (size_t)*n * row;
    bool degrade = opt_flag(&c->set, OPT_DEGRADE);
    o->seen = tw_alloc(c->ctx, (size_t)*n, row);
    if (degrade) o->truth = tw_alloc(c->ctx, (size_t)*n, row);
    if (!o->seen || (degrade && !o->truth)) TW_TRY(tw_fail_memory(c->ctx, bytes));
    if (degrade) {
        memcpy(o->truth, o->values, bytes);
        worsen(c, *n, columns, o->values);
    }
    TW_TRY(hide(c, m->about->image, *n, o->values));
    memcpy(o->seen, o->values, bytes);
done:
    return status;
}

tw_status observe_pictures(cli *c, const model *m, int64_t *n, observed *out)
{
    const char *name = opt_text(&c->set, OPT_OPERATOR);
    tw_operator *op = NULL;
    tw_status status = TW_OK;
    if (!name) return see(c, m, n, out);
    if (opt_given(&c->set, OPT_MASK)) return tw_fail(c->ctx, TW_ERR_INVALID, "--mask and --operator: give one of them");
    TW_TRY(tw_operator_create(c->ctx, name, m->about->image, &op));
    TW_TRY(measure(c, m, op, n, out));
done:
    tw_operator_destroy(op);
    return status;
}
