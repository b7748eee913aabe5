/* report.c - see report.h. */
#include "report.h"

#include "sequences.h"
#include "tokens.h"

#include "base/order.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- columns -------------------------------------------------------------------------------------------------------
 */

/* The value with a share `p` of the sorted values below it, linear between neighbours. */
static double quantile(const double *sorted, int64_t n, double p)
{
    double place = p * (double)(n - 1);
    int64_t low = (int64_t)place, high = tw_min_i64(low + 1, n - 1);
    return sorted[low] + (place - (double)low) * (sorted[high] - sorted[low]);
}

tw_status summarise(tw_context *ctx, int columns, int64_t rows, const double *values, column_summary *out)
{
    double *sorted = tw_alloc(ctx, (size_t)rows, sizeof *sorted);
    if (!sorted) return tw_fail_memory(ctx, (size_t)rows * sizeof *sorted);
    for (int j = 0; j < columns; j++) {
        double mean = 0, squares = 0;
        for (int64_t i = 0; i < rows; i++) {
            double delta = values[i * columns + j] - mean;
            mean += delta / (double)(i + 1);
            squares += delta * (values[i * columns + j] - mean);
            sorted[i] = values[i * columns + j];
        }
        qsort(sorted, (size_t)rows, sizeof *sorted, tw_by_value);
        out[j] =
            (column_summary){mean,
                             rows > 1 ? sqrt(squares / (double)(rows - 1)) : (double)NAN,
                             {quantile(sorted, rows, 0.05), quantile(sorted, rows, 0.5), quantile(sorted, rows, 0.95)}};
    }
    tw_free(ctx, sorted);
    return TW_OK;
}

/* --- text ------------------------------------------------------------------------------------------------------------
 */

static void add_distance(tw_text *out, const char *name, const distance *d)
{
    char value[48], floor_text[48];
    if (!isfinite(d->value)) return; /* not measured */
    snprintf(value, sizeof value, isfinite(d->value_sd) ? "%.5g +- %.2g" : "%.5g", d->value, d->value_sd);
    if (isfinite(d->floor))
        snprintf(floor_text, sizeof floor_text, isfinite(d->floor_sd) ? "%.5g +- %.2g" : "%.5g", d->floor, d->floor_sd);
    else
        snprintf(floor_text, sizeof floor_text, "not known");
    tw_text_add(out, "  %-22s %-22s %-22s", name, value, floor_text);
    if (isfinite(d->floor) && d->floor > 0) tw_text_add(out, " %.2f", d->value / d->floor);
    tw_text_add(out, "\n");
}

static void add_distances(const report *r, tw_text *out)
{
    char count[32];
    tw_text_add(out, "\nDistances (%s, %s rows on each side, mean of %d)\n  %-22s %-22s %-22s %s\n",
                r->compared->curved             ? "along the space"
                : strcmp(r->units, "data") == 0 ? "original columns"
                                                : "standardised columns",
                human_count((double)r->compared->pairs, count, sizeof count), r->compared->repeats, "",
                "samples to held-out", "training to held-out", "ratio");
    add_distance(out, "energy distance", &r->compared->of[DISTANCE_ENERGY]);
    add_distance(out, "2-Wasserstein", &r->compared->of[DISTANCE_W2]);
    add_distance(out, "sliced 2-Wasserstein", &r->compared->of[DISTANCE_SLICED]);
}

static void add_summary(tw_text *out, const char *name, const char *what, const column_summary *s)
{
    tw_text_add(out, "  %-20.20s %-8s %12.6g %12.6g %12.6g %12.6g %12.6g\n", name, what, s->mean, s->sd, s->quantile[0],
                s->quantile[1], s->quantile[2]);
}

static void add_columns(const report *r, tw_text *out)
{
    tw_text_add(out, "\nColumns\n  %-20s %-8s %12s %12s %12s %12s %12s\n", "", "", "mean", "sd", "5 %", "median",
                "95 %");
    for (int j = 0; j < r->held->columns; j++) {
        add_summary(out, r->m->about->names[j], "data", &r->of_data[j]);
        add_summary(out, "", "samples", &r->of_samples[j]);
    }
}

void report_text(const report *r, tw_text *out)
{
    char rows[32], count[32];
    bool symbols = is_tokens(r->m);
    double each = r->score.nll / r->held->columns;
    tw_text_add(out, "%s against %s (%s rows, %d columns)\n\n", r->m->shown, r->held->label,
                human_count((double)r->held->rows, rows, sizeof rows), r->held->columns);
    if (r->score.n > 0)
        tw_text_add(out, "Negative log-likelihood  %s%.5f +- %.5f nats a row (%s rows)\n", at_most(r->m), r->score.nll,
                    r->score.error, human_count((double)r->score.n, count, sizeof count));
    else
        tw_text_add(out, "No likelihood: the density of the rows it begins at is not known\n");
    if (isfinite(r->exact)) tw_text_add(out, "  of the exact density   %.5f\n", r->exact);
    if (symbols && r->score.n > 0 && !is_sequences(r->m))
        tw_text_add(out, "  of a token             %s%.5f nats, %.5f bits; perplexity %.4f\n", at_most(r->m), each,
                    each / log(2), exp(each));
    else if (isfinite(r->score.bits_per_dim))
        tw_text_add(out, "  bits per dimension     %.5f +- %.5f%s\n", r->score.bits_per_dim, r->score.bits_error,
                    r->score.draws > 0 ? " at most, by dequantisation" : "");
    if (isfinite(r->counted) && is_sequences(r->m))
        tw_text_add(out, "  told by counting       %.5f nats a row (n-grams of order %d)\n", r->counted, COUNTED_ORDER);
    else if (isfinite(r->counted))
        tw_text_add(out, "  told by counting       %.5f nats a row, %.5f bits a token (n-grams of order %d)\n",
                    r->counted, r->counted / r->held->columns / log(2), COUNTED_ORDER);
    if (!symbols) add_distances(r, out);
    if (r->judged) judgement_text(r->judged, out);
    if (r->fid) fid_text(r->fid, out);
    if (r->lines) lines_text(r->lines, out);
    if (r->of_data) add_columns(r, out);
    if (r->compared->sampling.nfe > 0)
        tw_text_add(out, "\nSampling: %lld network evaluations a row at most, %.1f on average\n",
                    (long long)r->compared->sampling.nfe, r->compared->sampling.nfe_mean);
    else
        tw_text_add(out, "\nSamples: those of a file\n");
}

/* --- JSON ------------------------------------------------------------------------------------------------------------
 */

static void add_distance_json(cJSON *object, const char *name, const distance *d)
{
    char key[64];
    json_number(object, name, d->value);
    snprintf(key, sizeof key, "%s_floor", name);
    json_number(object, key, d->floor);
    snprintf(key, sizeof key, "%s_sd", name);
    json_number(object, key, d->value_sd);
    snprintf(key, sizeof key, "%s_floor_sd", name);
    json_number(object, key, d->floor_sd);
}

static cJSON *summary_json(const column_summary *s)
{
    cJSON *object = cJSON_CreateObject();
    json_number(object, "mean", s->mean);
    json_number(object, "sd", s->sd);
    json_number(object, "q05", s->quantile[0]);
    json_number(object, "q50", s->quantile[1]);
    json_number(object, "q95", s->quantile[2]);
    return object;
}

static cJSON *columns_json(const report *r)
{
    cJSON *columns = cJSON_CreateArray();
    for (int j = 0; j < r->held->columns; j++) {
        cJSON *column = cJSON_CreateObject();
        json_text(column, "name", r->m->about->names[j]);
        cJSON_AddItemToObject(column, "data", summary_json(&r->of_data[j]));
        cJSON_AddItemToObject(column, "samples", summary_json(&r->of_samples[j]));
        cJSON_AddItemToArray(columns, column);
    }
    return columns;
}

cJSON *report_json(const report *r)
{
    cJSON *object = cJSON_CreateObject();
    if (r->score.n > 0) score_json(object, &r->score, r->exact);
    json_number(object, "nll_ngrams", r->counted);
    add_distance_json(object, "energy_distance", &r->compared->of[DISTANCE_ENERGY]);
    add_distance_json(object, "w2", &r->compared->of[DISTANCE_W2]);
    add_distance_json(object, "sliced_w2", &r->compared->of[DISTANCE_SLICED]);
    json_int(object, "pairs", r->compared->pairs);
    json_int(object, "repeats", r->compared->repeats);
    json_text(object, "units", r->compared->curved ? "space" : r->units);
    json_text(object, "model", r->m->path);
    json_text(object, "data", r->held->label);
    json_int(object, "rows", r->held->rows);
    if (r->of_data) cJSON_AddItemToObject(object, "columns", columns_json(r));
    if (r->judged) judgement_json(r->judged, object);
    if (r->fid) fid_json(r->fid, object);
    if (r->lines) lines_json(r->lines, object);
    json_int(object, "nfe", r->compared->sampling.nfe);
    json_number(object, "seconds", r->seconds);
    json_text(object, "report", r->report_path);
    json_text(object, "clouds", r->clouds_path);
    json_text(object, "flow", r->flow_path);
    json_text(object, "density", r->density_path);
    json_text(object, "samples", r->samples_path);
    return object;
}
