/* train/tables.c - see tables.h. */
#include "train/tables.h"

#include "base/file.h"
#include "base/philox.h"
#include "base/streams.h"
#include "data/dataset.h"
#include "flow/checksum.h"
#include "train/pixels.h"
#include "train/widths.h"

#include <math.h>
#include <string.h>

typedef struct making {
    tw_context *ctx;
    const tw_flow *flow;
    const tw_dataset *data;
    const tw_train_desc *options;
    tw_tables *t;
    int columns, numbers; /* of the data, of a state */
} making;

/* --- checks ------------------------------------------------------------------------------------------------------- */

/* Bytes are read as what the flow takes for pictures. */
static tw_status check_image(const tw_flow *flow, const tw_dataset *data)
{
    const tw_image *i = tw_dataset_image(data), *f = &flow->desc.image;
    if (!i || tw_image_equal(*i, *f)) return TW_OK;
    return tw_fail(flow->ctx, TW_ERR_SHAPE, "the data's pictures are %d x %d x %d, the flow's %d x %d x %d", i->height,
                   i->width, i->channels, f->height, f->width, f->channels);
}

static tw_status check_data(const tw_flow *flow, const tw_dataset *data, const tw_train_desc *options)
{
    int64_t rows = tw_dataset_rows(data, TW_PART_TRAIN);
    if (tw_dataset_columns(data) != flow->desc.columns)
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the data has %d columns and the flow %d", tw_dataset_columns(data),
                       flow->desc.columns);
    if (rows < 1) return tw_fail(flow->ctx, TW_ERR_INVALID, "the training part of the data has no rows");
    if ((options->flip || options->shift > 0) && flow->desc.image.height == 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "only pictures can be %s, and these rows are none",
                       options->flip ? "mirrored (flip)" : "moved (shift)");
    if (tw_dataset_conditions_count(data) != flow->desc.conditions_count)
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the data has %d conditions and the flow %d",
                       tw_dataset_conditions_count(data), flow->desc.conditions_count);
    if (rows > INT32_MAX)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "%lld training rows: at most %d can be drawn from",
                       (long long)rows, INT32_MAX);
    return check_image(flow, data);
}

static bool pairs_are_given(const tw_flow *flow)
{
    return strcmp(flow->piece[TW_PIECE_coupling].info->name, "given") == 0;
}

/* A flow begins at rows of a data set when its source says so. */
static tw_status check_source(const tw_flow *flow, const tw_dataset *data, const tw_dataset *source)
{
    bool wants = !tw_space_draws(&flow->space, flow->model.source), given = pairs_are_given(flow);
    if (wants != (source != NULL))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "the flow's source is '%s', and %s rows to begin at are given",
                       flow->desc.source, source ? "" : "no");
    if (given && !source)
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "the coupling 'given' needs a data set of source points, or a teacher");
    if (!source) return TW_OK;
    if (tw_dataset_columns(source) != flow->desc.columns)
        return tw_fail(flow->ctx, TW_ERR_SHAPE, "the source data has %d columns and the flow %d",
                       tw_dataset_columns(source), flow->desc.columns);
    if (given && tw_dataset_rows(source, TW_PART_ALL) != tw_dataset_rows(data, TW_PART_ALL))
        return tw_fail(flow->ctx, TW_ERR_SHAPE,
                       "the source data has %lld rows and the data %lld: given pairs go row by row",
                       (long long)tw_dataset_rows(source, TW_PART_ALL), (long long)tw_dataset_rows(data, TW_PART_ALL));
    return check_image(flow, source);
}

/* A teacher's pairs begin where it does, at draws of a source. */
static tw_status check_teacher(const tw_flow *flow, const tw_train_desc *options)
{
    const tw_flow *teacher = options->teacher;
    tw_context *ctx = flow->ctx;
    if (options->source)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "a teacher makes the pairs: a data set of source points has no meaning then");
    if (teacher->desc.columns != flow->desc.columns)
        return tw_fail(ctx, TW_ERR_SHAPE, "the teacher has %d columns and the flow %d", teacher->desc.columns,
                       flow->desc.columns);
    if (strcmp(teacher->desc.space, flow->desc.space) != 0)
        return tw_fail(ctx, TW_ERR_INVALID, "the teacher lives on space '%s' and the flow on '%s'", teacher->desc.space,
                       flow->desc.space);
    if (!tw_space_draws(&teacher->space, teacher->model.source) || strcmp(teacher->desc.source, flow->desc.source) != 0)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "the teacher begins at source '%s' and the flow at '%s': expected the same, and no data",
                       teacher->desc.source, flow->desc.source);
    if (!pairs_are_given(flow))
        return tw_fail(ctx, TW_ERR_INVALID,
                       "a teacher's pairs are taken as they are: the coupling is '%s', expected 'given'",
                       flow->desc.coupling);
    if (teacher->desc.conditions_count > 0 || flow->desc.conditions_count > 0)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "pairs of a teacher that is told conditions cannot be made");
    return TW_OK;
}

/* --- rows of data ------------------------------------------------------------------------------------------------- */

static void find_constants(const making *m, int64_t rows, const double *values)
{
    for (int j = 0; j < m->columns; j++) {
        m->t->constant[j] = 1;
        if (!m->flow->space.flat) m->t->constant[j] = 0;
        for (int64_t i = 1; i < rows && m->t->constant[j]; i++)
            if (values[i * m->columns + j] != values[j]) m->t->constant[j] = 0;
    }
}

/* Rows in normalised units. A column that never changes would be a point to squeeze all noise into, ever faster towards
 * t = 1: the network gets noise there instead, which is no work at all, and the flow puts the value back. `first`
 * counts rows over parts. */
static void normalise(const making *m, int64_t first, int64_t rows, const double *values, double *out)
{
    tw_normaliser_apply(&m->t->normaliser, rows, values, out);
    for (int j = 0; j < m->columns; j++) {
        tw_random random = {.seed = m->options->seed, .stream = TW_STREAM_STAND_IN + ((uint32_t)j << 8)};
        random.index = (uint64_t)first * 4; /* words a normal takes */
        for (int64_t i = 0; m->t->constant[j] && i < rows; i++) out[i * m->columns + j] = tw_random_normal(&random);
    }
}

/* Rows of a part as states, in floats. `first` counts rows over parts and data sets; their numbers in the file are not
 * known, for rows are dealt out to the parts. */
static tw_status state_rows(const making *m, const tw_dataset *data, tw_part part, int64_t first, float **out)
{
    int64_t rows = tw_dataset_rows(data, part), columns = m->columns, numbers = m->numbers;
    const double *values = tw_dataset_values(data, part);
    const tw_space *space = &m->flow->space;
    const tw_factor *bad = NULL;
    size_t bytes = (size_t)rows * (size_t)numbers * sizeof(float);
    tw_status status = TW_OK;
    double *row = tw_alloc(m->ctx, (size_t)columns, sizeof(double));
    double *state = tw_alloc(m->ctx, (size_t)numbers, sizeof(double));
    *out = tw_alloc_aligned(m->ctx, bytes);
    if (!*out || !row || !state) status = tw_fail_memory(m->ctx, bytes);
    for (int64_t i = 0; status == TW_OK && i < rows; i++) {
        normalise(m, first + i, 1, values + i * columns, row);
        bool fits = space->flat || (tw_space_is_mixed(space) ? tw_space_read_known(space, row, state, &bad)
                                                             : tw_space_read(space, row, state, &bad));
        if (!fits) status = tw_space_refuse(m->ctx, bad, -1, row, m->flow->desc.names);
        const double *from = space->flat ? row : state;
        for (int64_t j = 0; j < numbers; j++) (*out)[i * numbers + j] = (float)from[j];
    }
    tw_free(m->ctx, row);
    tw_free(m->ctx, state);
    return status;
}

/* Points of a part: pictures as they lie, tables normalised. */
static tw_status points_of(const making *m, const tw_dataset *data, tw_part part, int64_t first, int feed,
                           tw_table_set *set)
{
    size_t stride;
    set->packed[feed] = tw_dataset_bytes(data, part, &stride);
    return set->packed[feed] ? TW_OK : state_rows(m, data, part, first, &set->feed[feed]);
}

/* Conditions of a part as the network takes them; none when the flow is told nothing. */
static tw_status condition_rows(const making *m, tw_part part, float **out)
{
    int64_t rows = tw_dataset_rows(m->data, part);
    int count = m->flow->desc.conditions_count;
    const double *values = tw_dataset_condition_values(m->data, part);
    if (count == 0) return TW_OK;
    size_t bytes = (size_t)tw_max_i64(rows, 1) * (size_t)count * sizeof(float);
    tw_status status = TW_OK;
    double *row = tw_alloc(m->ctx, (size_t)count, sizeof(double));
    *out = tw_alloc_aligned(m->ctx, bytes);
    if (!*out || !row) status = tw_fail_memory(m->ctx, bytes);
    for (int64_t i = 0; status == TW_OK && i < rows; i++) {
        status = tw_conditions_take(m->ctx, count, m->flow->desc.conditions, -1, values + i * count, row);
        for (int j = 0; j < count; j++) (*out)[i * count + j] = (float)row[j];
    }
    tw_free(m->ctx, row);
    return status;
}

static tw_status part_of(const making *m, tw_part part, int64_t first, tw_table_set *set)
{
    const tw_dataset *source = m->options->source;
    int64_t all = tw_dataset_rows(m->data, TW_PART_ALL);
    tw_status status = TW_OK;
    set->rows = tw_dataset_rows(m->data, part);
    if (set->rows == 0) return TW_OK;
    TW_TRY(points_of(m, m->data, part, first, TW_FEED_DATA, set));
    TW_TRY(condition_rows(m, part, &set->feed[TW_FEED_CONDITION]));
    set->runs_on = m->data->runs_on && m->flow->space.symbols > 0 && !m->flow->space.ragged && !source &&
                   m->flow->desc.conditions_count == 0 && set->rows <= INT32_MAX / m->numbers;
    if (!source) return TW_OK;
    /* held-out rows of its own, or the training ones when it has none */
    if (tw_dataset_rows(source, part) == 0) part = TW_PART_TRAIN;
    set->source_rows = tw_dataset_rows(source, part);
    TW_TRY(points_of(m, source, part, all, TW_FEED_SOURCE, set));
done:
    return status;
}

/* By the rows; of pictures the same for every pixel, and a corner that never changes is a pixel like others. Beside
 * tokens numbers come standardised, as some may be missing. */
static tw_status fit_normaliser(const making *m)
{
    int64_t rows = tw_dataset_rows(m->data, TW_PART_TRAIN);
    const double *values = tw_dataset_values(m->data, TW_PART_TRAIN);
    if (m->flow->desc.image.height > 0 && m->flow->space.flat)
        return tw_normaliser_make(m->ctx, m->columns, TW_PIXEL_MIDDLE, TW_PIXEL_MIDDLE, &m->t->normaliser);
    if (tw_space_is_mixed(&m->flow->space)) return tw_normaliser_make(m->ctx, m->columns, 0, 1, &m->t->normaliser);
    find_constants(m, rows, values);
    return tw_normaliser_fit(m->ctx, rows, m->columns, values, &m->t->normaliser);
}

static tw_status read_data(const making *m)
{
    int64_t rows = tw_dataset_rows(m->data, TW_PART_TRAIN);
    tw_status status = TW_OK;
    TW_TRY(fit_normaliser(m));
    tw_space_keep_units(&m->flow->space, m->t->normaliser.shift, m->t->normaliser.scale);
    TW_TRY(part_of(m, TW_PART_TRAIN, 0, &m->t->train));
    TW_TRY(part_of(m, TW_PART_VALIDATION, rows, &m->t->held));
done:
    return status;
}

/* --- what is made of rows before the first step ------------------------------------------------------------------- */

typedef struct rows_made {
    const tw_train_desc *options;
    int64_t before, all; /* rows of pieces made before this one, and of all */
} rows_made;

static int on_made(void *user, int64_t done, int64_t piece)
{
    const rows_made *m = user;
    tw_train_progress now = {.steps = m->options->steps, .making = (double)(m->before + done) / (double)m->all};
    (void)piece;
    return m->options->on_progress ? m->options->on_progress(m->options->user, &now) : 0;
}

/* --- pairs of a teacher ------------------------------------------------------------------------------------------- */

/* Pairs number `first` and on: source points by seed, and where the teacher takes them. */
static tw_status make_pairs(const making *m, int64_t first, int64_t rows, rows_made *made, tw_table_set *set)
{
    enum { LOT = 8192 };
    int64_t lot = tw_min_i64(rows, LOT), columns = m->numbers;
    size_t bytes = (size_t)rows * (size_t)columns * sizeof(float);
    const tw_piece *source = m->flow->model.source;
    tw_sample_desc how = {.on_progress = on_made, .user = made};
    tw_status status = TW_OK;
    float *x0 = set->feed[TW_FEED_SOURCE] = tw_alloc_aligned(m->ctx, bytes);
    float *x1 = set->feed[TW_FEED_DATA] = tw_alloc_aligned(m->ctx, bytes);
    double *points = tw_alloc(m->ctx, (size_t)(lot * columns), sizeof(double));
    if (!x0 || !x1 || !points) TW_TRY(tw_fail_memory(m->ctx, bytes));
    set->rows = set->source_rows = rows;
    for (int64_t begin = 0; begin < rows; begin += lot) {
        int64_t count = tw_min_i64(lot, rows - begin), at = begin * columns;
        made->before = first + begin;
        for (int64_t i = 0; i < count; i++)
            tw_space_draw_row(&m->flow->space, source, m->options->seed, TW_STREAM_TEACHER, first + begin + i,
                              points + i * columns);
        for (int64_t i = 0; i < count * columns; i++) x0[at + i] = (float)points[i];
        TW_TRY(tw_flow_carry(m->options->teacher, &how, count, points));
        for (int64_t i = 0; i < count * columns; i++) x1[at + i] = (float)points[i];
    }
done:
    tw_free(m->ctx, points);
    return status;
}

static tw_status ask_teacher(const making *m)
{
    const tw_flow *teacher = m->options->teacher;
    const tw_normaliser *n = &teacher->normaliser;
    bool validates = tw_dataset_rows(m->data, TW_PART_VALIDATION) > 0;
    int64_t pairs = m->options->pairs, few = 10, more = validates ? (pairs + few - 1) / few : 0;
    size_t columns = (size_t)m->columns;
    rows_made made = {.options = m->options, .all = pairs + more};
    tw_status status = TW_OK;
    TW_TRY(tw_normaliser_make(m->ctx, m->columns, 0, 1, &m->t->normaliser));
    memcpy(m->t->normaliser.shift, n->shift, columns * sizeof(double));
    memcpy(m->t->normaliser.scale, n->scale, columns * sizeof(double));
    memcpy(m->t->constant, teacher->constant, columns * sizeof(int));
    TW_TRY(make_pairs(m, 0, pairs, &made, &m->t->train));
    if (validates) TW_TRY(make_pairs(m, pairs, more, &made, &m->t->held));
done:
    return status;
}

/* --- whole numbers ------------------------------------------------------------------------------------------------ */

/* Width of a whole number in the flow's units; a column that never changes has one value. */
static tw_status dequantise(const making *m)
{
    const double *values = tw_dataset_values(m->data, TW_PART_ALL); /* NULL: pictures, which are whole */
    int64_t rows = tw_dataset_rows(m->data, TW_PART_ALL);
    if (!m->options->dequantise) return TW_OK;
    tw_status status = tw_flow_need_flat(m->flow, "dequantised rows");
    if (status != TW_OK) return status;
    if (m->options->teacher)
        return tw_fail(m->ctx, TW_ERR_INVALID, "a teacher's pairs are no whole numbers: they cannot be dequantised");
    for (int64_t i = 0; values && i < rows * m->columns; i++)
        if (values[i] != floor(values[i]))
            return tw_fail(m->ctx, TW_ERR_INVALID, "column '%s' holds %g: only whole numbers can be dequantised",
                           tw_dataset_name(m->data, (int)(i % m->columns)), values[i]);
    m->t->noise = tw_alloc(m->ctx, (size_t)m->columns, sizeof *m->t->noise);
    if (!m->t->noise) return tw_fail_memory(m->ctx, (size_t)m->columns * sizeof *m->t->noise);
    for (int j = 0; j < m->columns; j++)
        m->t->noise[j] = m->t->constant[j] ? 0 : (float)(1 / m->t->normaliser.scale[j]);
    return TW_OK;
}

/* --- rows that are drawn around ----------------------------------------------------------------------------------- */

static tw_status find_widths(const making *m)
{
    tw_table_set *const sets[] = {&m->t->train, &m->t->held};
    const int count = m->flow->method->rules->own_path && m->t->held.rows > 0 ? 2 : 1; /* others spread no held rows */
    rows_made made = {.options = m->options};
    tw_status status = TW_OK;
    if (m->options->smooth == 0) return TW_OK;
    if (!m->t->train.feed[TW_FEED_DATA] || m->options->teacher)
        return tw_fail(m->ctx, TW_ERR_UNSUPPORTED, "smooth is for tables, not for %s",
                       m->options->teacher ? "pairs of a teacher" : "pictures");
    for (int i = 0; i < count; i++) made.all += sets[i]->rows;
    for (int i = 0; i < count && status == TW_OK; i++) {
        tw_table_set *set = sets[i];
        status = tw_widths_make(m->ctx, &m->flow->space, m->t->constant, set->rows, m->numbers, set->feed[TW_FEED_DATA],
                                m->options->smooth, on_made, &made, &set->feed[TW_FEED_WIDTH]);
        made.before += set->rows;
    }
    return status;
}

/* --- all of it ---------------------------------------------------------------------------------------------------- */

static uint64_t hash_set(uint64_t hash, const making *m, const tw_table_set *set)
{
    for (int f = 0; f < TW_FEEDS; f++) {
        int64_t rows = f == TW_FEED_SOURCE ? set->source_rows : set->rows;
        int columns = f == TW_FEED_CONDITION ? m->flow->desc.conditions_count : f == TW_FEED_WIDTH ? 1 : m->numbers;
        if (set->feed[f]) hash = tw_checksum(hash, set->feed[f], (size_t)rows * (size_t)columns * sizeof(float));
        if (set->packed[f]) hash = tw_checksum(hash, set->packed[f], 4 * (size_t)(rows * tw_pixel_words(columns)));
    }
    return hash;
}

tw_status tw_tables_make(tw_flow *flow, const tw_dataset *data, const tw_train_desc *options, tw_tables *out_tables)
{
    making m = {.ctx = flow->ctx,
                .flow = flow,
                .data = data,
                .options = options,
                .t = out_tables,
                .columns = flow->desc.columns,
                .numbers = flow->space.numbers};
    tw_status status = TW_OK;
    *out_tables = (tw_tables){.constant = NULL};
    TW_TRY(check_data(flow, data, options));
    TW_TRY(options->teacher ? check_teacher(flow, options) : check_source(flow, data, options->source));
    out_tables->constant = tw_alloc(flow->ctx, (size_t)m.columns, sizeof(int));
    if (!out_tables->constant) TW_TRY(tw_fail_memory(flow->ctx, (size_t)m.columns * sizeof(int)));
    TW_TRY(options->teacher ? ask_teacher(&m) : read_data(&m));
    TW_TRY(dequantise(&m));
    TW_TRY(find_widths(&m));
    out_tables->hash = hash_set(hash_set((uint64_t)m.columns, &m, &out_tables->train), &m, &out_tables->held);
done:
    return status;
}

void tw_table_set_feeds(const tw_table_set *set, const void *out_feed[TW_FEEDS])
{
    for (int f = 0; f < TW_FEEDS; f++)
        out_feed[f] = set->packed[f] ? (const void *)set->packed[f] : (const void *)set->feed[f];
}

void tw_table_set_point(const tw_table_set *set, int feed, int64_t row, int columns, float *out)
{
    const uint8_t *bytes = set->packed[feed] ? set->packed[feed] + row * 4 * tw_pixel_words(columns) : NULL;
    if (!bytes) memcpy(out, set->feed[feed] + row * columns, (size_t)columns * sizeof *out);
    for (int j = 0; bytes && j < columns; j++) out[j] = (float)((bytes[j] - TW_PIXEL_MIDDLE) / TW_PIXEL_MIDDLE);
}

void tw_table_set_free(tw_context *ctx, tw_table_set *set)
{
    for (int f = 0; f < TW_FEEDS; f++) tw_free_aligned(ctx, set->feed[f]);
    *set = (tw_table_set){0};
}

void tw_tables_free(tw_context *ctx, tw_tables *tables)
{
    tw_table_set_free(ctx, &tables->train);
    tw_table_set_free(ctx, &tables->held);
    tw_normaliser_free(ctx, &tables->normaliser);
    tw_free(ctx, tables->constant);
    tw_free(ctx, tables->noise);
    *tables = (tw_tables){.constant = NULL};
}
