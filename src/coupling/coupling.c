/* coupling/coupling.c - the table of couplings, and the coupler: checks a batch, cuts it into blocks of equal labels,
 * makes the costs of each and has the kind pair it.
 *
 * Conditions add their weighted squared distance to the cost (Cheng, Schwing: The curse of conditions, 2025): without
 * it a source chosen for its data point would tell the condition, which sampling cannot know. Labels are the limit of
 * an infinite weight. */
#include "coupling/couple.h"
#include "coupling/cost.h"
#include "base/streams.h"
#include "base/text.h"
#include "nn/piece.h"

#include <math.h>
#include <string.h>

/* Bytes of matrices and numbers of draws (2^24 words a step) stay countable. */
enum { MOST_POINTS = 1 << 20, MOST_COLUMNS = INT32_MAX };

static const tw_coupling couplings[] = {
#define TW_COUPLING(name, flags, about, source, parameters)                                                            \
    {{#name, about, source, parameters}, flags, tw_couple_##name##_bytes, tw_couple_##name},
#include "coupling/couplings.def"
};

/* Parameters by name, as fields of a description. */
static const struct {
    const char *name;
    size_t field;
} fields[] = {
#define FIELD(name)                                                                                                    \
    {                                                                                                                  \
#name, offsetof(tw_coupling_desc, name)                                                                        \
    }
    FIELD(reg), FIELD(epsilon), FIELD(tolerance), FIELD(iterations), FIELD(tau), FIELD(mass), FIELD(condition_weight),
#undef FIELD
};

const tw_coupling_info *tw_coupling_list(int index)
{
    return index >= 0 && index < TW_COUNT(couplings) ? &couplings[index].info : NULL;
}

struct tw_coupler {
    tw_context *ctx;
    const tw_coupling *kind;
    tw_coupling_desc desc;
    void *work; /* costs' and kinds', one after the other */
    double *cost;
    float *gathered[4];                                           /* points and conditions of one block */
    int64_t *data_order, *source_order, *pair_source, *pair_data; /* within blocks */
};

/* A parameter of the piece stands in a field that is zero. */
static tw_status settle(tw_context *ctx, const tw_piece *piece, int index, tw_coupling_desc *desc)
{
    const tw_piece_parameter *p = &piece->info->parameters[index];
    for (int k = 0; k < TW_COUNT(fields); k++) {
        double value;
        if (strcmp(fields[k].name, p->name) != 0) continue;
        memcpy(&value, (const char *)desc + fields[k].field, sizeof value);
        if (value == 0) value = piece->value[index];
        if (!(value >= p->low && value <= p->high))
            return tw_fail(ctx, TW_ERR_INVALID, "the coupling's %s is %g: expected %g to %g", p->name, value, p->low,
                           p->high);
        memcpy((char *)desc + fields[k].field, &value, sizeof value);
        return TW_OK;
    }
    return tw_fail(ctx, TW_ERR_INTERNAL, "no field for the coupling's %s", p->name);
}

static tw_status complete(tw_context *ctx, const tw_coupling_desc *desc, const tw_piece *piece,
                          tw_coupling_desc *out_desc)
{
    *out_desc = *desc;
    if (desc->most_points < 1 || desc->most_points > MOST_POINTS)
        return tw_fail(ctx, TW_ERR_INVALID, "a coupling of %lld points: expected 1 to %lld",
                       (long long)desc->most_points, (long long)MOST_POINTS);
    if (desc->columns < 1 || desc->columns > MOST_COLUMNS || desc->condition_columns < 0 ||
        desc->condition_columns > MOST_COLUMNS)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "a coupling of points of %lld columns and conditions of %lld: expected at most %lld",
                       (long long)desc->columns, (long long)desc->condition_columns, (long long)MOST_COLUMNS);
    for (int i = 0; piece->info->parameters[i].name; i++) {
        tw_status status = settle(ctx, piece, i, out_desc);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

static tw_status make_memory(tw_coupler *c)
{
    bool costs = c->kind->flags & TW_COUPLING_COSTS;
    int64_t n = c->desc.most_points, columns[2] = {costs ? c->desc.columns : 0, costs ? c->desc.condition_columns : 0};
    size_t row = (size_t)n * sizeof(int64_t), cost = costs ? (size_t)n * row : 0;
    size_t cost_work = costs ? tw_cost_bytes(n, tw_max_i64(columns[0], columns[1])) : 0;
    size_t kind_work = c->kind->bytes(n), work = cost_work > kind_work ? cost_work : kind_work;
    size_t floats = (size_t)(2 * n * (columns[0] + columns[1])) * sizeof(float);
    size_t total = work + cost + floats + 4 * row + 10 * 64;
    char *at = c->work = tw_alloc_aligned(c->ctx, total);
    if (!at) return tw_fail_memory(c->ctx, total);
    at += (work + 63) & ~(size_t)63;
    c->cost = tw_work_take(&at, cost);
    for (int k = 0; k < 4; k++) c->gathered[k] = tw_work_take(&at, (size_t)(n * columns[k / 2]) * sizeof(float));
    c->data_order = tw_work_take(&at, row);
    c->source_order = tw_work_take(&at, row);
    c->pair_source = tw_work_take(&at, row);
    c->pair_data = tw_work_take(&at, row);
    return TW_OK;
}

tw_status tw_coupler_create(tw_context *ctx, const tw_coupling_desc *desc, tw_coupler **out_coupler)
{
    tw_status status = TW_OK;
    tw_piece piece = {0};
    tw_coupler *c = tw_alloc(ctx, 1, sizeof *c);
    if (!c) return tw_fail_memory(ctx, sizeof *c);
    c->ctx = ctx;
    TW_TRY(tw_piece_read(ctx, "coupling", desc->kind ? desc->kind : "independent", tw_coupling_list, &piece));
    c->kind = (const tw_coupling *)piece.info;
    TW_TRY(complete(ctx, desc, &piece, &c->desc));
    c->desc.kind = piece.info->name;
    TW_TRY(make_memory(c));
    *out_coupler = c;
    c = NULL;
done:
    tw_piece_free(ctx, &piece);
    tw_coupler_destroy(c);
    return status;
}

void tw_coupler_destroy(tw_coupler *c)
{
    if (!c) return;
    tw_free_aligned(c->ctx, c->work);
    tw_free(c->ctx, c);
}

bool tw_coupling_keeps_data(const tw_coupler *coupler)
{
    return coupler->kind->flags & TW_COUPLING_DATA;
}

/* ---- one batch ---- */

static tw_status check_numbers(tw_context *ctx, const char *what, int64_t rows, int64_t columns, const float *values)
{
    for (int64_t i = 0; i < rows * columns; i++)
        if (!isfinite(values[i]))
            return tw_fail(ctx, TW_ERR_NUMERIC, "%s row %lld is %g in column %lld: expected finite numbers", what,
                           (long long)(i / columns), (double)values[i], (long long)(i % columns));
    return TW_OK;
}

static tw_status check_batch(const tw_coupler *c, const tw_coupling_batch *b)
{
    tw_status status = TW_OK;
    int64_t n = b->points, conditions = c->desc.condition_columns;
    if (n < 0 || n > c->desc.most_points)
        return tw_fail(c->ctx, TW_ERR_INVALID, "a batch of %lld points: the coupling was made for at most %lld",
                       (long long)n, (long long)c->desc.most_points);
    if (!(c->kind->flags & TW_COUPLING_COSTS)) return TW_OK;
    TW_TRY(check_numbers(c->ctx, "source", n, c->desc.columns, b->source));
    TW_TRY(check_numbers(c->ctx, "data", n, c->desc.columns, b->data));
    if (conditions > 0 && !b->data_condition)
        return tw_fail(c->ctx, TW_ERR_INVALID, "a batch without the conditions the coupling was made for");
    if (conditions > 0) TW_TRY(check_numbers(c->ctx, "condition", n, conditions, b->data_condition));
    if (conditions > 0 && b->source_condition)
        TW_TRY(check_numbers(c->ctx, "source condition", n, conditions, b->source_condition));
done:
    return status;
}

static bool before(const int64_t *label, int64_t a, int64_t b)
{
    return label[a] < label[b] || (label[a] == label[b] && a < b);
}

static void sink(const int64_t *label, int64_t *order, int64_t at, int64_t count)
{
    for (int64_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(label, order[child], order[child + 1])) child++;
        if (!before(label, order[at], order[child])) return;
        int64_t kept = order[at];
        order[at] = order[child];
        order[child] = kept;
    }
}

/* Rows by label, then by number: heapsort, which needs no memory. Without labels as they are. */
static void order_rows(int64_t n, const int64_t *label, int64_t *order)
{
    for (int64_t i = 0; i < n; i++) order[i] = i;
    if (!label) return;
    for (int64_t i = n / 2; i-- > 0;) sink(label, order, i, n);
    for (int64_t last = n - 1; last > 0; last--) {
        int64_t top = order[0];
        order[0] = order[last];
        order[last] = top;
        sink(label, order, 0, last);
    }
}

static void gather(int64_t n, int64_t columns, const int64_t *rows, const float *values, float *out)
{
    for (int64_t i = 0; i < n; i++)
        memcpy(out + i * columns, values + rows[i] * columns, (size_t)columns * sizeof *out);
}

static tw_status make_costs(tw_coupler *c, const tw_coupling_batch *b, int64_t first, int64_t n)
{
    const int64_t *sources = c->source_order + first, *data = c->data_order + first;
    int64_t columns = c->desc.columns, conditions = c->desc.condition_columns;
    gather(n, columns, sources, b->source, c->gathered[0]);
    gather(n, columns, data, b->data, c->gathered[1]);
    if (!c->desc.cost) {
        tw_cost_squares(n, columns, c->gathered[0], c->gathered[1], 1, false, c->work, c->cost);
    } else {
        c->desc.cost(c->desc.cost_user, n, columns, c->gathered[0], c->gathered[1], c->cost);
        for (int64_t i = 0; i < n * n; i++)
            if (!(fabs(c->cost[i]) <= 1e100))
                return tw_fail(c->ctx, TW_ERR_NUMERIC,
                               "the cost of data row %lld with source row %lld is %g: expected finite numbers",
                               (long long)data[i / n], (long long)sources[i % n], c->cost[i]);
    }
    if (conditions == 0 || c->desc.condition_weight == 0) return TW_OK;
    gather(n, conditions, sources, b->source_condition ? b->source_condition : b->data_condition, c->gathered[2]);
    gather(n, conditions, data, b->data_condition, c->gathered[3]);
    tw_cost_squares(n, conditions, c->gathered[2], c->gathered[3], c->desc.condition_weight, true, c->work, c->cost);
    return TW_OK;
}

/* Pairs the block of rows [first, first + n) of the orders; results in rows of the batch at the same places. */
static tw_status pair_block(tw_coupler *c, const tw_coupling_batch *b, int64_t first, int64_t n, tw_random *random)
{
    tw_status status = TW_OK;
    int64_t *source = c->pair_source + first, *data = c->pair_data + first;
    tw_block block = {.ctx = c->ctx,
                      .n = n,
                      .columns = c->desc.columns,
                      .cost = c->cost,
                      .desc = &c->desc,
                      .random = random,
                      .work = c->work,
                      .source = source,
                      .data = data};
    for (int64_t k = 0; k < n; k++) data[k] = k;
    if (c->kind->flags & TW_COUPLING_COSTS) TW_TRY(make_costs(c, b, first, n));
    TW_TRY(c->kind->pair(&block));
    for (int64_t k = 0; k < n; k++) {
        source[k] = c->source_order[first + source[k]];
        data[k] = c->data_order[first + data[k]];
    }
done:
    return status;
}

static tw_status pair_all(tw_coupler *c, const tw_coupling_batch *b)
{
    tw_status status = TW_OK;
    int64_t n = b->points;
    const int64_t *label = b->data_label, *source_label = b->source_label ? b->source_label : label;
    /* 2^24 words a step: two for every pair and one more */
    tw_random random = {.seed = c->desc.seed, .stream = TW_STREAM_COUPLING, .index = b->step << 24};
    order_rows(n, label, c->data_order);
    order_rows(n, label ? source_label : NULL, c->source_order);
    for (int64_t i = 0; label && i < n; i++)
        if (label[c->data_order[i]] != source_label[c->source_order[i]])
            return tw_fail(c->ctx, TW_ERR_INVALID,
                           "label %lld does not occur equally often in the sources and the data of the batch",
                           (long long)tw_min_i64(label[c->data_order[i]], source_label[c->source_order[i]]));
    for (int64_t first = 0, end; first < n; first = end) {
        for (end = first + 1; end < n && (!label || label[c->data_order[end]] == label[c->data_order[first]]);) end++;
        TW_TRY(pair_block(c, b, first, end - first, &random));
    }
done:
    return status;
}

tw_status tw_coupler_pair(tw_coupler *c, const tw_coupling_batch *b, int64_t *out_source, int64_t *out_data)
{
    tw_status status = TW_OK;
    bool keeps = c->kind->flags & TW_COUPLING_DATA;
    if (!keeps && !out_data)
        return tw_fail(c->ctx, TW_ERR_INVALID, "the coupling '%s' chooses data rows, too: give it a place for them",
                       c->kind->info.name);
    TW_TRY(check_batch(c, b));
    TW_TRY(pair_all(c, b));
    for (int64_t k = 0; k < b->points; k++) {
        int64_t at = keeps ? c->pair_data[k] : k;
        out_source[at] = c->pair_source[k];
        if (out_data) out_data[at] = c->pair_data[k];
    }
done:
    return status;
}
