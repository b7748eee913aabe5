/* data/picture_set.c - a data set of pictures: labels become a condition, rows are split, columns get their names.
 *
 * The labels are made a table of one column for a while, so that choosing, checking and matching classes is what tables
 * do. */
#include "data/dataset.h"

#include <string.h>

/* The labels as a table with the column "class", which has no rows of its own when there are none. */
static tw_status label_table(tw_pictures *p, tw_table *out_labels)
{
    static const char *const names[] = {"class"};
    double *label = p->label;
    p->label = NULL;
    if (!label) return tw_table_init(out_labels, p->ctx, p->path, 0);
    tw_status status = tw_table_take_array(p->ctx, p->path, p->rows, 1, label, names, out_labels);
    if (status != TW_OK) return status;
    tw_table_column *class = &out_labels->column[0];
    class->numbers = 0;
    class->texts = p->rows;
    class->levels = p->levels;
    p->levels = (tw_levels){0};
    return TW_OK;
}

/* Keeps the labels that are wanted, by name or as a model has them; those there are when nobody says anything. */
static tw_status choose_labels(tw_table *labels, const tw_dataset_desc *desc, bool like, int *out_count)
{
    tw_context *ctx = labels->ctx;
    int *list = NULL, count = 0;
    bool unsaid = !like && !desc->conditions;
    bool wanted = like ? desc->known_conditions_count > 0 : desc->conditions && strcmp(desc->conditions, "none") != 0;
    tw_status status = TW_OK;
    if (wanted && labels->columns == 0)
        return tw_fail(ctx, TW_ERR_INVALID, "%s: no labels lie beside the pictures, so there is no condition",
                       labels->path);
    for (int i = 0; like && i < desc->known_conditions_count; i++)
        if (strcmp(desc->known_conditions[i].name, "class") != 0)
            return tw_fail(ctx, TW_ERR_INVALID, "%s: no '%s', which the model needs; there is 'class'", labels->path,
                           desc->known_conditions[i].name);
    tw_dataset_desc class = {.conditions = wanted || (unsaid && labels->columns > 0) ? "class" : NULL};
    TW_TRY(tw_conditions_choose(labels, like || unsaid ? &class : desc, &list, &count));
    TW_TRY(tw_conditions_check(labels, TW_MISSING_AUTO, list, count));
    TW_TRY(tw_table_keep(labels, list, count));
    *out_count = count;
done:
    tw_free(ctx, list);
    return status;
}

static tw_status check_wishes(const tw_pictures *p, const tw_dataset_desc *desc, int columns)
{
    tw_image i = p->image;
    if (columns > 0 && columns != tw_image_size(i))
        return tw_fail(p->ctx, TW_ERR_SHAPE, "%s: pictures of %d x %d x %d where the model's rows are %d numbers",
                       p->path, i.height, i.width, i.channels, columns);
    if (desc->columns || desc->drop)
        return tw_fail(p->ctx, TW_ERR_INVALID, "%s: pictures keep every pixel: no --columns, no --drop", p->path);
    return TW_OK;
}

/* Rows that no model is tested on go. */
static void keep_test_rows(tw_pictures *p)
{
    int64_t before = p->rows - p->test_rows;
    if (p->test_rows == 0) return;
    memmove(p->bytes, p->bytes + (size_t)before * p->stride, (size_t)p->test_rows * p->stride);
    if (p->label) memmove(p->label, p->label + before, (size_t)p->test_rows * sizeof *p->label);
    p->rows = p->test_rows;
}

/* Files for testing are the test part as they are; the shares of training and validation are then of the other rows. */
static tw_status split(tw_pictures *p, tw_table *labels, const tw_dataset_desc *desc, int64_t out_rows[3])
{
    double share[3];
    int64_t rows = p->rows - p->test_rows;
    memcpy(share, desc->split, sizeof share);
    if (p->test_rows > 0 && share[0] == 0 && share[1] == 0 && share[2] == 0) share[0] = 0.9, share[1] = 0.1;
    if (p->test_rows > 0) share[0] += share[2], share[2] = 0;
    tw_status status = tw_split_sizes(p->ctx, rows, share, out_rows);
    if (status == TW_OK) status = tw_split_order(p->ctx, p->bytes, rows, p->stride, desc->seed);
    if (status == TW_OK && labels->columns > 0)
        status = tw_split_order(p->ctx, labels->values, rows, (size_t)labels->stride * sizeof(double), desc->seed);
    out_rows[TW_PART_TEST] += p->test_rows;
    return status;
}

static tw_status name_columns(tw_dataset *d)
{
    tw_pictures *p = &d->pictures;
    tw_status status = tw_table_init(&d->table, d->ctx, p->path, (int)tw_image_size(p->image));
    if (status == TW_OK) status = tw_columns_name(&d->table, NULL);
    if (status != TW_OK) return status;
    d->table.rows = p->rows;
    d->table.notes = p->notes;
    p->notes = (tw_notes){0};
    return TW_OK;
}

/* Bytes become tokens, bins of 0 to 256 unless others are asked for, and the set a table of them that is still known to
 * show pictures. */
static tw_status to_levels(tw_dataset *d, const tw_bins *bins)
{
    tw_table *table = &d->table;
    tw_pictures *p = &d->pictures;
    const tw_image image = p->image;
    size_t row = (size_t)table->columns * sizeof(double), limit = tw_table_limit();
    if ((uint64_t)p->rows > limit / row)
        return tw_table_fail_size(d->ctx, table->path, (double)p->rows * (double)row, limit);
    double *values = tw_alloc(d->ctx, (size_t)tw_max_i64(p->rows, 1), row);
    if (!values) return tw_fail_memory(d->ctx, (size_t)p->rows * row);
    table->storage = table->values = values;
    table->stride = table->columns;
    tw_status status = tw_dataset_read(d, TW_PART_ALL, 0, p->rows, values);
    if (status != TW_OK) return status;
    tw_pictures_free(p);
    d->pictures = (tw_pictures){.ctx = d->ctx, .image = image};
    d->bins = *bins;
    if (d->bins.low == 0 && d->bins.high == 0) d->bins.high = 256;
    return tw_table_bin(table, table->columns, &d->bins);
}

tw_status tw_picture_set_make(tw_context *ctx, tw_pictures *pictures, const tw_dataset_desc *desc, int columns,
                              const char *const *names, tw_dataset **out_dataset)
{
    tw_table labels = {0};
    tw_status status = TW_OK;
    bool like = names != NULL;
    int count = 0;
    tw_dataset *d = tw_alloc(ctx, 1, sizeof *d);
    if (!d) {
        tw_pictures_free(pictures);
        return tw_fail_memory(ctx, sizeof *d);
    }
    d->ctx = ctx;
    d->pictures = *pictures;
    *pictures = (tw_pictures){0};
    TW_TRY(check_wishes(&d->pictures, desc, like ? columns - desc->known_conditions_count : 0));
    if (like) keep_test_rows(&d->pictures);
    TW_TRY(label_table(&d->pictures, &labels));
    TW_TRY(choose_labels(&labels, desc, like, &count));
    if (like)
        d->part_rows[TW_PART_TEST] = d->pictures.rows;
    else
        TW_TRY(split(&d->pictures, &labels, desc, d->part_rows));
    TW_TRY(tw_conditions_split(&labels, count, d->part_rows[TW_PART_TRAIN], like ? desc->known_conditions : NULL,
                               &d->conditions));
    TW_TRY(name_columns(d));
    if (desc->bins.count != 0) TW_TRY(to_levels(d, &desc->bins));
    *out_dataset = d;
    d = NULL;
done:
    tw_table_free(&labels);
    tw_dataset_destroy(d);
    return status;
}
