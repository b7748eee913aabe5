/* data/schema_code.c - cells as codes for a model and back: where codes lie, normal scores, tokens, the state space. */
#include "data/schema.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>

static tw_kind_sort sort_of(const tw_schema_column *c)
{
    return tw_kind_list((int)c->kind)->sort;
}

/* Another column speaks for it. */
static bool follows(const tw_schema_column *c)
{
    return c->group >= 0 && c->rank > 0;
}

int tw_schema_group_size(const tw_schema *schema, int column)
{
    int count = 0;
    for (int i = 0; i < schema->columns; i++) count += i == column || schema->column[i].group == column;
    return count;
}

/* The column that has a rank in the group of the one that speaks. */
static int member(const tw_schema *schema, int column, int rank)
{
    if (rank == 0) return column;
    for (int i = 0; i < schema->columns; i++)
        if (schema->column[i].group == column && schema->column[i].rank == rank) return i;
    return column;
}

static bool has_gaps(const tw_schema *schema, int column)
{
    bool gaps = false;
    for (int i = 0; i < schema->columns; i++)
        gaps = gaps || ((i == column || schema->column[i].group == column) && schema->column[i].gaps > 0);
    return gaps;
}

/* --- where codes lie --------------------------------------------------------------------------------------------- */

void tw_schema_lay_out(tw_schema *schema)
{
    int next = 0;
    for (int i = 0; i < schema->columns; i++) {
        tw_schema_column *c = &schema->column[i];
        c->number = c->token = -1;
        c->symbols = c->levels + c->spikes + c->open + has_gaps(schema, i);
        if (follows(c) || sort_of(c) == TW_SORT_OF_NOTHING) c->symbols = 0;
        if (!c->open || follows(c)) continue;
        c->number = next;
        next += tw_schema_group_size(schema, i);
    }
    for (int i = 0; i < schema->columns; i++) { /* one that follows may stand before the one that speaks */
        tw_schema_column *c = &schema->column[i];
        if (follows(c)) c->number = schema->column[c->group].number + c->rank;
    }
    schema->numbers = next;
    for (int i = 0; i < schema->columns; i++)
        if (schema->column[i].symbols > 1) schema->column[i].token = next++;
    schema->codes = next;
}

const char *tw_schema_code_name(const tw_schema *schema, int code)
{
    for (int i = 0; i < schema->columns; i++)
        if (schema->column[i].number == code || schema->column[i].token == code) return schema->column[i].name;
    return "";
}

/* The column whose number or token a code is. */
static const tw_schema_column *column_of_code(const tw_schema *schema, int code)
{
    for (int i = 0; i < schema->columns; i++)
        if (schema->column[i].number == code || schema->column[i].token == code) return &schema->column[i];
    return NULL;
}

/* The factor that begins at a code, and how many codes it takes. */
static int write_factor(const tw_schema *schema, int code, tw_text *text)
{
    const tw_schema_column *c = column_of_code(schema, code);
    int count = 1;
    if (code >= schema->numbers) {
        while (code + count < schema->codes && column_of_code(schema, code + count)->symbols == c->symbols) count++;
        tw_text_add(text, "tokens:%d*%d", c->symbols, count);
    } else if (c->group >= 0) {
        count = tw_schema_group_size(schema, c->group);
        tw_text_add(text, "%s*%d", c->kind == TW_KIND_share ? "simplex" : "sphere", count);
    } else if (c->kind == TW_KIND_degrees) {
        tw_text_add(text, "torus:360,%d*1", c->low < 0 ? -180 : 0);
    } else if (c->kind == TW_KIND_radians) {
        if (c->low < 0)
            tw_text_add(text, "radians*1");
        else
            tw_text_add(text, "torus:6.283185307179586,0*1");
    } else {
        while (code + count < schema->numbers && sort_of(column_of_code(schema, code + count)) == TW_SORT_OF_NUMBERS)
            count++;
        tw_text_add(text, "euclidean*%d", count);
    }
    return count;
}

void tw_schema_space(const tw_schema *schema, tw_text *text)
{
    for (int code = 0; code < schema->codes;) {
        if (code > 0) tw_text_add(text, " + ");
        code += write_factor(schema, code, text);
    }
}

/* --- scores ------------------------------------------------------------------------------------------------------ */

static int spike_of(const tw_schema_column *c, double value)
{
    for (int i = 0; i < c->spikes; i++)
        if (c->spike[i] == value) return i;
    return -1;
}

/* A number of equal steps, spread over its step. */
static double spread(const tw_schema_column *c, int column, double value, uint64_t seed, int64_t row)
{
    tw_random random = {.seed = seed, .stream = TW_STREAM_SPREAD + ((uint32_t)column << 8), .index = 2 * (uint64_t)row};
    return c->step > 0 ? value + c->step * (tw_random_uniform(&random) - 0.5) : value;
}

tw_status tw_schema_fit(tw_schema *schema, const tw_cells *cells, int64_t rows, uint64_t seed)
{
    tw_context *ctx = schema->ctx;
    tw_status status = TW_OK;
    double *values = tw_alloc(ctx, (size_t)tw_max_i64(rows, 1), sizeof *values);
    if (!values) return tw_fail_memory(ctx, (size_t)rows * sizeof *values);
    for (int i = 0; i < schema->columns; i++) {
        tw_schema_column *c = &schema->column[i];
        int64_t count = 0;
        tw_quantiles_free(ctx, &c->quantiles);
        if (!c->open || sort_of(c) != TW_SORT_OF_NUMBERS) continue;
        for (int64_t r = 0; r < rows; r++) {
            double v = cells->value[r * cells->columns + i];
            if (!isnan(v) && spike_of(c, v) < 0) values[count++] = spread(c, i, v, seed, r);
        }
        if (count == 0) values[count++] = c->low_open; /* all such rows are held out */
        TW_TRY(tw_quantiles_fit(ctx, count, values, &c->quantiles));
    }
done:
    tw_free(ctx, values);
    return status;
}

/* --- rows -------------------------------------------------------------------------------------------------------- */

/* The token of a cell that is there. */
static int token_of(const tw_schema_column *c, double cell)
{
    if (sort_of(c) == TW_SORT_OF_LEVELS) return (int)cell;
    int spike = spike_of(c, cell), best = 0;
    if (spike >= 0) return c->open + spike;
    for (int i = 1; !c->open && i < c->spikes; i++) /* a value not seen before: the nearest */
        if (fabs(c->spike[i] - cell) < fabs(c->spike[best] - cell)) best = i;
    return c->open ? 0 : best;
}

/* The cells of a point, in the order of its codes: a place as it is, shares with a sum of 1. False: one is missing. */
static bool point_of(const tw_schema *schema, int column, const double *cells, double *out)
{
    int count = tw_schema_group_size(schema, column);
    double sum = 0;
    for (int k = 0; k < count; k++) sum += out[k] = cells[member(schema, column, k)];
    if (schema->column[column].kind != TW_KIND_share) return !isnan(sum);
    for (int k = 0; k < count; k++) out[k] /= sum;
    return sum > 0;
}

void tw_schema_encode(const tw_schema *schema, const double *cells, uint64_t seed, int64_t row, bool unknown,
                      double *out_codes)
{
    for (int i = 0; i < schema->columns; i++) {
        const tw_schema_column *c = &schema->column[i];
        if (follows(c) || sort_of(c) == TW_SORT_OF_NOTHING) continue;
        bool together = c->group >= 0,
             missing = together ? !point_of(schema, i, cells, out_codes + c->number) : isnan(cells[i]);
        int token = missing ? c->symbols - 1 : token_of(c, cells[i]);
        bool number = !missing && c->open && token == 0;
        if (c->token >= 0) out_codes[c->token] = missing && unknown ? (double)NAN : token;
        if (c->number < 0) continue;
        for (int k = 0; !number && k < tw_schema_group_size(schema, i); k++) out_codes[c->number + k] = (double)NAN;
        if (!number || together) continue;
        bool line = sort_of(c) == TW_SORT_OF_NUMBERS;
        out_codes[c->number] = line ? tw_quantiles_score(&c->quantiles, spread(c, i, cells[i], seed, row)) : cells[i];
    }
}

/* A number as it could be in the file. */
static double settle(const tw_schema_column *c, double value)
{
    if (c->step > 0) value = c->low_open + c->step * floor((value - c->low_open) / c->step + 0.5);
    return sort_of(c) == TW_SORT_OF_NUMBERS ? fmin(fmax(value, c->low_open), c->high_open) : value;
}

/* Rounded down, but for what is whole up to rounding. */
static double units_of(double value)
{
    return floor(value + 1e-6);
}

/* Parts of one whole, `count` of them by their columns, scaled to a sum and written with as many digits as the file
 * has: what rounding down leaves goes to those that lost most by it (Hamilton's method). */
static void settle_shares(const tw_schema_column *c, int count, const int *column, double total, double *cells)
{
    double sum = 0, whole = 0, unit = c->decimals < 0 ? 1e-9 : pow(10, -c->decimals);
    for (int k = 0; k < count; k++) sum += cells[column[k]];
    if (!(sum >= 0)) return;
    for (int k = 0; k < count; k++) {
        double share = sum > 0 ? cells[column[k]] / sum : 1.0 / count;
        cells[column[k]] = share * total / unit;
        whole += units_of(cells[column[k]]);
    }
    for (int64_t left = (int64_t)floor(total / unit - whole + 0.5); left > 0; left--) {
        int most = column[0];
        for (int k = 1; k < count; k++)
            if (cells[column[k]] - units_of(cells[column[k]]) > cells[most] - units_of(cells[most])) most = column[k];
        cells[most] = units_of(cells[most]) + 1;
    }
    for (int k = 0; k < count; k++) cells[column[k]] = units_of(cells[column[k]]) * unit;
}

/* Those of a group that speaks which `known` (NULL: none) does not have, sharing what the others leave. */
static void settle_group(const tw_schema *schema, int speaker, const double *known, double *cells)
{
    enum { MOST = 256 };
    const tw_schema_column *c = &schema->column[speaker];
    int column[MOST], count = 0, size = tw_schema_group_size(schema, speaker);
    double total = c->total;
    for (int k = 0; k < size && count < MOST; k++) {
        int at = member(schema, speaker, k);
        if (known && !isnan(known[at]))
            total -= known[at];
        else
            column[count++] = at;
    }
    if (count > 0) settle_shares(c, count, column, fmax(total, 0), cells);
}

void tw_schema_agree(const tw_schema *schema, const double *known, double *cells)
{
    for (int i = 0; i < schema->columns; i++)
        if (schema->column[i].kind == TW_KIND_share && !follows(&schema->column[i]))
            settle_group(schema, i, known, cells);
}

void tw_schema_decode(const tw_schema *schema, const double *codes, double *out_cells)
{
    for (int i = 0; i < schema->columns; i++) {
        const tw_schema_column *c = &schema->column[i], *speaker = follows(c) ? &schema->column[c->group] : c;
        out_cells[i] = (double)NAN;
        if (sort_of(c) == TW_SORT_OF_NOTHING) continue;
        double said = speaker->token >= 0 ? codes[speaker->token] : 0;
        if (isnan(said)) continue;
        int token = (int)said;
        if (sort_of(c) == TW_SORT_OF_LEVELS) {
            if (token < c->levels) out_cells[i] = token;
        } else if (token == 0 && speaker->open) {
            double code = codes[c->number];
            bool line = sort_of(c) == TW_SORT_OF_NUMBERS, share = c->kind == TW_KIND_share;
            out_cells[i] = line    ? settle(c, tw_quantiles_value(&c->quantiles, code))
                           : share ? code * c->total
                                   : settle(c, code);
        } else if (token - c->open < c->spikes) {
            out_cells[i] = c->spike[token - c->open];
        }
    }
    tw_schema_agree(schema, NULL, out_cells);
}
