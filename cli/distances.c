/* distances.c - see distances.h. */
#include "distances.h"

#include "begin.h"
#include "pictures.h"
#include "score.h"
#include "signals.h"
#include "texts.h"
#include "tokens.h"

#include "coupling/assignment.h"
#include "flow/flow.h"

#include <math.h>
#include <string.h>

enum { DRAW_PAIRS = 1 /* and up, three a repeat; 0 is the likelihood's */, FEWEST_SAMPLES = 1000 };

static int64_t training_rows(const comparison *d)
{
    return d->held->training && !d->halves ? tw_dataset_rows(d->held->training, TW_PART_TRAIN) : 0;
}

/* Distances between few rows are noisy and cheap: averaged over more draws. */
static int repeats_for(int64_t pairs)
{
    int64_t wanted = 6000 / pairs;
    return wanted < 3 ? 3 : wanted > 30 ? 30 : (int)wanted;
}

/* On a manifold distances are along it: numbers of columns tell little of angles across their cut, or of two
 * quaternions of one rotation. Points of a mesh are compared in space. */
static bool is_curved(const comparison *d)
{
    const tw_space *space = &d->m->flow->space;
    return !space->flat && space->symbols == 0 && !tw_space_is_mixed(space) && !space->factor[0].mesh;
}

/* Columns divided by their standard deviation over the training rows (held-out rows when those are not at hand). */
static tw_status fit_scale(comparison *d)
{
    const held_out *h = d->held;
    if (strcmp(opt_text(&d->c->set, OPT_UNITS), "data") == 0 || d->curved) return TW_OK;
    if (is_pictures(d->m))
        return tw_normaliser_make(d->c->ctx, h->columns, TW_PIXEL_MIDDLE, TW_PIXEL_MIDDLE, &d->scale);
    if (training_rows(d) > 0)
        return tw_normaliser_fit(d->c->ctx, training_rows(d), h->columns, tw_dataset_values(h->training, TW_PART_TRAIN),
                                 &d->scale);
    return tw_normaliser_fit(d->c->ctx, h->rows, h->columns, h->values, &d->scale);
}

tw_status comparison_settle(comparison *d, int64_t most_pairs)
{
    cli *c = d->c;
    d->curved = is_curved(d);
    d->pairs = tw_min_i64(opt_int(&c->set, OPT_PAIRS), d->halves ? d->held->rows / 2 : d->held->rows);
    d->pairs = tw_min_i64(d->pairs, most_pairs);
    if (is_tokens(d->m) && !opt_given(&c->set, OPT_PAIRS)) d->pairs = tw_min_i64(d->pairs, scored_rows(d->m));
    if (training_rows(d) > 0) d->pairs = tw_min_i64(d->pairs, training_rows(d));
    if (d->pairs < 1) return tw_fail(c->ctx, TW_ERR_INVALID, "%s: too few rows for a distance", d->held->label);
    d->repeats = (int)opt_int(&c->set, OPT_REPEATS);
    const bool costly = is_pictures(d->m) || is_tokens(d->m);
    if (d->repeats == 0) d->repeats = costly ? 1 : repeats_for(d->pairs);
    d->samples_count = tw_max_i64(d->pairs * d->repeats, costly ? 1 : FEWEST_SAMPLES);
    return fit_scale(d);
}

/* Samples that somebody else made; as many pairs as there are rows for. */
static tw_status read_samples(comparison *d, const char *path)
{
    cli *c = d->c;
    const tw_flow_desc *about = d->m->about;
    double split[3];
    tw_dataset *data = NULL;
    tw_dataset_desc desc = dataset_desc_of(&c->set, split);
    tw_status status = TW_OK;
    desc.columns = desc.drop = desc.conditions = NULL;
    desc.known_image = about->image;
    desc.bins = model_bins(d->m);
    TW_TRY(is_texts(d->m) ? open_text_like(c, d->m, path, false, &data)
                          : tw_dataset_open_like(c->ctx, path, &desc, about->columns, about->names, &data));
    show_notes(c, data);
    int64_t rows = tw_dataset_rows(data, TW_PART_ALL);
    d->repeats = (int)tw_max_i64(1, tw_min_i64(d->repeats, rows / d->pairs));
    d->pairs = tw_min_i64(d->pairs, rows);
    d->samples_count = rows;
    d->samples = tw_alloc(c->ctx, (size_t)rows, (size_t)about->columns * sizeof *d->samples);
    if (!d->samples) TW_TRY(tw_fail_memory(c->ctx, (size_t)rows * (size_t)about->columns * sizeof *d->samples));
    TW_TRY(tw_dataset_read(data, TW_PART_ALL, 0, rows, d->samples));
done:
    tw_dataset_destroy(data);
    return status;
}

tw_status comparison_draw(comparison *d)
{
    cli *c = d->c;
    row_bar bar = {.c = c, .label = "sample"};
    begin b = {0};
    tw_sample_desc desc = {.solver = d->solver,
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .jumps = opt_number(&c->set, OPT_JUMPS),
                           .diffusion = opt_flag(&c->set, OPT_SDE) ? opt_text(&c->set, OPT_DIFFUSION) : NULL,
                           .on_progress = on_rows,
                           .user = &bar};
    const tw_token_options jumps = {.tolerance = c->verb->letter == 'E' ? opt_number(&c->set, OPT_TOLERANCE) : 0};
    size_t row = (size_t)d->held->columns * sizeof(double);
    tw_status status = TW_OK;
    if (is_tokens(d->m)) desc.tokens = &jumps;
    TW_TRY(comparison_settle(d, INT64_MAX));
    const char *given = c->verb->letter == 'E' ? opt_text(&c->set, OPT_SAMPLES) : NULL;
    if (given) return read_samples(d, given);
    TW_TRY(begin_open(c, d->m, d->held, d->samples_count, &b));
    begin_set(&b, &desc);
    d->samples = tw_alloc(c->ctx, (size_t)d->samples_count, row);
    if (!d->samples) TW_TRY(tw_fail_memory(c->ctx, (size_t)d->samples_count * row));
    progress_begin(&c->progress);
    signals_watch();
    status = tw_sample(d->m->flow, d->samples_count, &desc, d->samples, NULL, &d->sampling);
    signals_release();
    progress_clear(&c->progress);
done:
    begin_close(c, &b);
    return status;
}

/* Rows in the units of the distances; NULL stays NULL. */
static double *scale_rows(comparison *d, int64_t count, double *rows)
{
    if (rows && d->scale.columns) tw_normaliser_apply(&d->scale, count, rows, rows);
    return rows;
}

/* A draw of `count` different rows in the units of the distances. NULL: no memory. */
static double *scaled_rows(comparison *d, uint64_t draw, int64_t rows, const double *values, int64_t count)
{
    return scale_rows(d, count, random_rows(d->c, draw, d->held->columns, rows, values, count));
}

static double mean_of_all(int64_t n, const double *x)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += x[i];
    return sum / (double)n;
}

/* Of the cheapest pairs of rows by distances (n, n), the root of the mean of their `power`. */
static tw_status match(tw_context *ctx, int64_t n, double *apart, int power, double *out)
{
    tw_status status = TW_OK;
    double sum = 0;
    int64_t *pair = tw_alloc(ctx, (size_t)n, sizeof *pair);
    if (!pair) return tw_fail_memory(ctx, (size_t)n * sizeof *pair);
    for (int64_t i = 0; power == 2 && i < n * n; i++) apart[i] *= apart[i];
    TW_TRY(tw_assignment_solve(ctx, n, apart, pair, NULL, NULL));
    for (int64_t i = 0; i < n; i++) sum += apart[i * n + pair[i]] / (double)n;
    *out = power == 2 ? sqrt(sum) : sum;
done:
    tw_free(ctx, pair);
    return status;
}

/* Sliced distances are of flat spaces alone. */
static tw_status measure_along(comparison *d, unsigned kinds, const double *a, const double *b, double *out)
{
    tw_context *ctx = d->c->ctx;
    const tw_flow *flow = d->m->flow;
    int64_t n = d->pairs;
    tw_status status = TW_OK;
    double *apart = tw_alloc(ctx, (size_t)n, (size_t)n * sizeof *apart);
    if (!apart) return tw_fail_memory(ctx, (size_t)(n * n) * sizeof *apart);
    if (kinds & 1u << DISTANCE_ENERGY) {
        TW_TRY(tw_flow_distances(flow, n, a, n, a, apart));
        double within = mean_of_all(n * n, apart);
        TW_TRY(tw_flow_distances(flow, n, b, n, b, apart));
        within += mean_of_all(n * n, apart);
        TW_TRY(tw_flow_distances(flow, n, a, n, b, apart));
        out[DISTANCE_ENERGY] = fmax(0, 2 * mean_of_all(n * n, apart) - within);
    } else
        TW_TRY(tw_flow_distances(flow, n, a, n, b, apart));
    if (kinds & 1u << DISTANCE_W1) TW_TRY(match(ctx, n, apart, 1, &out[DISTANCE_W1]));
    if (kinds & 1u << DISTANCE_W2) TW_TRY(match(ctx, n, apart, 2, &out[DISTANCE_W2]));
done:
    tw_free(ctx, apart);
    return status;
}

static tw_status measure(comparison *d, unsigned kinds, const double *a, const double *b, double *out)
{
    if (d->curved) return measure_along(d, kinds, a, b, out);
    tw_context *ctx = d->c->ctx;
    int columns = d->held->columns, projections = (int)opt_int(&d->c->set, OPT_PROJECTIONS);
    int64_t n = d->pairs;
    uint64_t seed = opt_seed(&d->c->set, OPT_SEED);
    tw_status status = TW_OK;
    if (kinds & 1u << DISTANCE_ENERGY) TW_TRY(tw_energy_distance(ctx, columns, n, a, n, b, &out[DISTANCE_ENERGY]));
    if (kinds & 1u << DISTANCE_W2) TW_TRY(tw_wasserstein2(ctx, columns, n, a, b, NULL, &out[DISTANCE_W2]));
    if (kinds & 1u << DISTANCE_W1) TW_TRY(tw_wasserstein(ctx, 1, columns, n, a, n, b, &out[DISTANCE_W1]));
    if (kinds & 1u << DISTANCE_SLICED)
        TW_TRY(tw_sliced_wasserstein2(ctx, columns, n, a, n, b, projections, seed, &out[DISTANCE_SLICED]));
done:
    return status;
}

static double mean_of(int n, const double *x)
{
    double sum = 0;
    for (int i = 0; i < n; i++) sum += x[DISTANCE_COUNT * i];
    return sum / n;
}

static double sd_of(int n, const double *x)
{
    double mean = mean_of(n, x), squares = 0;
    for (int i = 0; i < n; i++) squares += (x[DISTANCE_COUNT * i] - mean) * (x[DISTANCE_COUNT * i] - mean);
    return n > 1 ? sqrt(squares / (n - 1)) : (double)NAN;
}

static tw_status one_repeat(comparison *d, unsigned kinds, int k, double *value, double *floor_value)
{
    const held_out *h = d->held;
    uint64_t draw = DRAW_PAIRS + 3 * (uint64_t)k;
    tw_status status = TW_OK;
    double *held = scaled_rows(d, draw, h->rows, h->values, d->pairs * (d->halves ? 2 : 1));
    double *samples = scaled_rows(d, draw + 1, d->pairs, d->samples + (int64_t)k * d->pairs * h->columns, d->pairs);
    double *training = NULL;
    if (training_rows(d) > 0)
        training = scale_rows(d, d->pairs, random_rows_of(d->c, draw + 2, h->training, TW_PART_TRAIN, d->pairs));
    if (!held || !samples || (training_rows(d) > 0 && !training))
        TW_TRY(tw_fail_memory(d->c->ctx, (size_t)(d->pairs * h->columns) * sizeof *held));
    TW_TRY(measure(d, kinds, samples, held, value));
    if (training) TW_TRY(measure(d, kinds, training, held, floor_value));
    if (d->halves) TW_TRY(measure(d, kinds, held + d->pairs * h->columns, held, floor_value));
done:
    tw_free(d->c->ctx, held);
    tw_free(d->c->ctx, samples);
    tw_free(d->c->ctx, training);
    return status;
}

tw_status comparison_measure(comparison *d, unsigned kinds)
{
    cli *c = d->c;
    int n = DISTANCE_COUNT * d->repeats;
    tw_status status = TW_OK;
    double *values = tw_alloc(c->ctx, 2 * (size_t)n, sizeof *values);
    if (!values) return tw_fail_memory(c->ctx, 2 * (size_t)n * sizeof *values);
    double *floors = values + n;
    for (int i = 0; i < 2 * n; i++) values[i] = (double)NAN;
    progress_begin(&c->progress);
    for (int k = 0; kinds && k < d->repeats; k++) {
        progress_show(&c->progress, "distances", (double)k / d->repeats, "energy, 2-Wasserstein, sliced", true);
        TW_TRY(one_repeat(d, kinds, k, values + DISTANCE_COUNT * k, floors + DISTANCE_COUNT * k));
    }
    progress_clear(&c->progress);
    for (int i = 0; i < DISTANCE_COUNT; i++)
        d->of[i] = (distance){mean_of(d->repeats, values + i), sd_of(d->repeats, values + i),
                              mean_of(d->repeats, floors + i), sd_of(d->repeats, floors + i)};
done:
    tw_free(c->ctx, values);
    return status;
}

void comparison_free(comparison *d)
{
    if (!d->c) return;
    tw_free(d->c->ctx, d->samples);
    tw_normaliser_free(d->c->ctx, &d->scale);
    d->samples = NULL;
}
