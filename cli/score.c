/* score.c - `thalweg score`: how likely rows are under a flow. */
#include "score.h"

#include "files.h"
#include "kinds.h"
#include "pictures.h"
#include "sequences.h"
#include "signals.h"
#include "tokens.h"

#include "base/file.h"
#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- used by eval too -------------------------------------------------------------------------------------------- */

int64_t scored_rows(const model *m)
{
    enum { MOST_ROWS = 10000, FEWEST_ROWS = 100, TOKENS = 25600 };
    if (is_pictures(m)) return FEWEST_ROWS;
    if (!is_tokens(m)) return MOST_ROWS;
    return tw_max_i64(FEWEST_ROWS, tw_min_i64(MOST_ROWS, TOKENS / m->about->columns));
}

/* `count` different numbers below `rows` in an order that is drawn: Fisher and Yates, as far as needed. NULL: no
 * memory.
 */
static int64_t *random_order(cli *c, uint64_t draw, int64_t rows, int64_t count)
{
    tw_random random = {.seed = opt_seed(&c->set, OPT_SEED), .stream = TW_STREAM_EVAL, .index = draw << 40};
    int64_t *order = tw_alloc(c->ctx, (size_t)rows, sizeof *order);
    if (!order) return NULL;
    for (int64_t i = 0; i < rows; i++) order[i] = i;
    for (int64_t i = 0; i < count; i++) {
        int64_t j = count == rows ? i : i + tw_random_below(&random, rows - i), row = order[j];
        order[j] = order[i];
        order[i] = row;
    }
    return order;
}

double *random_rows(cli *c, uint64_t draw, int columns, int64_t rows, const double *values, int64_t count)
{
    int64_t *order = random_order(c, draw, rows, count);
    double *out = order ? tw_alloc(c->ctx, (size_t)count, (size_t)columns * sizeof *out) : NULL;
    for (int64_t i = 0; out && i < count; i++)
        memcpy(out + i * columns, values + order[i] * columns, (size_t)columns * sizeof *out);
    tw_free(c->ctx, order);
    return out;
}

double *random_rows_of(cli *c, uint64_t draw, const tw_dataset *data, tw_part part, int64_t count)
{
    int columns = tw_dataset_columns(data);
    int64_t *order = random_order(c, draw, tw_dataset_rows(data, part), count);
    double *out = order ? tw_alloc(c->ctx, (size_t)count, (size_t)columns * sizeof *out) : NULL;
    for (int64_t i = 0; out && i < count; i++)
        if (tw_dataset_read(data, part, order[i], 1, out + i * columns) != TW_OK) {
            tw_free(c->ctx, out);
            out = NULL;
        }
    tw_free(c->ctx, order);
    return out;
}

double *random_conditions(cli *c, uint64_t draw, const held_out *held, const tw_flow_desc *about, int64_t count)
{
    return held->conditions ? random_rows(c, draw, about->conditions_count, held->rows, held->conditions, count) : NULL;
}

/* Data of whole numbers: then a density in units of 1 is a probability and has bits. */
static bool is_whole(int64_t rows, int columns, const double *values)
{
    for (int64_t i = 0; i < rows * columns; i++)
        if (values[i] != floor(values[i])) return false;
    return true;
}

/* Mean negative log-density and its standard error. */
static void summarise_scores(int64_t rows, const double *log_density, score *s)
{
    double mean = 0, squares = 0;
    for (int64_t i = 0; i < rows; i++) mean -= log_density[i] / (double)rows;
    for (int64_t i = 0; i < rows; i++) squares += (log_density[i] + mean) * (log_density[i] + mean);
    s->nll = mean;
    s->error = rows > 1 ? sqrt(squares / (double)(rows - 1) / (double)rows) : (double)NAN;
}

/* Whether rows are numbers whose unit is 1, so that a density is a probability: angles and coordinates have none. */
static bool has_units(const model *m)
{
    return (is_tokens(m) && !is_sequences(m)) || strncmp(m->about->space, "euclidean", 9) == 0;
}

/* In units of 1, the pixels' of pictures, a nat a row is so many bits a column. */
static void summarise_bits(bool whole, const model *m, score *s)
{
    double nat = whole && has_units(m) ? 1 / (m->about->columns * log(2)) : (double)NAN;
    s->bits_per_dim = s->nll * nat;
    s->bits_error = s->error * nat;
}

int probes_of(const cli *c, const model *m)
{
    if (opt_given(&c->set, OPT_PROBES)) return (int)opt_int(&c->set, OPT_PROBES);
    return is_pictures(m) ? 1 : 0;
}

/* As they are. */
static tw_status score_plain(cli *c, const model *m, const tw_ode_desc *solver, int64_t rows, const double *values,
                             const double *conditions, double *out_log_density, score *out_score)
{
    tw_status status = TW_OK;
    row_bar bar = {.c = c, .label = "score"};
    tw_sample_desc desc = {.solver = *solver,
                           .seed = opt_seed(&c->set, OPT_SEED),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .conditions = conditions,
                           .probes = probes_of(c, m),
                           .probe_kind = opt_text(&c->set, OPT_PROBE_KIND),
                           .on_progress = on_rows,
                           .user = &bar};
    score s = {.n = rows};
    progress_begin(&c->progress);
    signals_watch();
    TW_TRY(tw_log_density(m->flow, rows, values, &desc, out_log_density, &s.stats));
    s.seconds = tw_clock() - c->progress.begun;
    summarise_scores(rows, out_log_density, &s);
    summarise_bits(is_whole(rows, m->about->columns, values), m, &s);
    *out_score = s;
done:
    signals_release();
    progress_clear(&c->progress);
    return status;
}

double exact_nll(const tw_dataset *data, int64_t rows, int columns, const double *values)
{
    double sum = 0, log_density;
    if (tw_dataset_conditions_count(data) > 0)
        return (double)NAN; /* known of the rows alone, not of what they are told */
    for (int64_t i = 0; i < rows; i++) {
        if (!tw_dataset_log_density(data, values + i * columns, &log_density)) return (double)NAN;
        sum -= log_density;
    }
    return sum / (double)rows;
}

/* --- whole numbers ------------------------------------------------------------------------------------------------ */

/* Scores rows + u, u uniform in [-1/2, 1/2), `draws` times: by Jensen's inequality the mean is a bound on the
 * log-probability of the whole numbers (Theis, van den Oord, Bethge 2016). log_density (rows) becomes the mean of each
 * row. */
static tw_status score_dequantised(cli *c, const model *m, const tw_ode_desc *solver, int64_t rows,
                                   const double *values, const double *conditions, int64_t draws,
                                   double *out_log_density, score *out_score)
{
    int columns = m->about->columns;
    size_t numbers = (size_t)rows * (size_t)columns;
    score mean = {0};
    double seconds = 0;
    tw_status status = TW_OK;
    double *noisy = tw_alloc(c->ctx, numbers, sizeof *noisy), *one = tw_alloc(c->ctx, (size_t)rows, sizeof *one);
    if (!noisy || !one) TW_TRY(tw_fail_memory(c->ctx, numbers * sizeof *noisy));
    if (!is_whole(rows, columns, values))
        TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "--dequantise: the rows are not whole numbers"));
    for (int64_t i = 0; i < rows; i++) out_log_density[i] = 0;
    for (int64_t k = 0; k < draws; k++) {
        tw_random random = {.seed = opt_seed(&c->set, OPT_SEED), .stream = TW_STREAM_DEQUANTISE};
        random.index = (uint64_t)k << 44;
        for (size_t i = 0; i < numbers; i++) { /* columns that never change have one value, of probability 1 */
            double u = tw_random_uniform(&random) - 0.5;
            noisy[i] = values[i] + (tw_flow_is_constant(m->flow, (int)(i % (size_t)columns)) ? 0 : u);
        }
        TW_TRY(score_plain(c, m, solver, rows, noisy, conditions, one, &mean));
        seconds += mean.seconds;
        for (int64_t i = 0; i < rows; i++) out_log_density[i] += one[i] / (double)draws;
    }
    mean.seconds = seconds;
    mean.draws = draws;
    summarise_scores(rows, out_log_density, &mean);
    summarise_bits(true, m, &mean);
    *out_score = mean;
done:
    tw_free(c->ctx, noisy);
    tw_free(c->ctx, one);
    return status;
}

tw_status score_rows(cli *c, const model *m, const tw_ode_desc *solver, int64_t rows, const double *values,
                     const double *conditions, double *out_log_density, score *out_score)
{
    enum { PICTURE_DRAWS = 5 };
    bool asked = opt_given(&c->set, OPT_DEQUANTISE);
    int64_t draws = asked ? opt_int(&c->set, OPT_DEQUANTISE) : is_pictures(m) ? PICTURE_DRAWS : 0;
    if (asked && !has_units(m))
        return tw_fail(c->ctx, TW_ERR_INVALID, "--dequantise is for rows of whole numbers, not for space '%s'",
                       m->about->space);
    if (draws > 0 && (asked || is_whole(rows, m->about->columns, values)))
        return score_dequantised(c, m, solver, rows, values, conditions, draws, out_log_density, out_score);
    return score_plain(c, m, solver, rows, values, conditions, out_log_density, out_score);
}

/* --- the verb ---------------------------------------------------------------------------------------------------- */

typedef struct scoring {
    cli *c;
    model m;
    held_out held;
    double *rows, *conditions, *log_density;
    score score;
    double exact;
} scoring;

static tw_status take_rows(scoring *s)
{
    cli *c = s->c;
    int64_t limit = opt_int(&c->set, OPT_N_SCORE), n = s->held.rows;
    bool file = opt_given(&c->set, OPT_DATA) && !is_builtin(opt_text(&c->set, OPT_DATA));
    if (limit == 0 && !file) limit = scored_rows(&s->m);
    if (limit > 0 && limit < n) n = limit;
    s->rows = random_rows(c, 0, s->held.columns, s->held.rows, s->held.values, n);
    s->conditions = random_conditions(c, 0, &s->held, s->m.about, n);
    s->log_density = tw_alloc(c->ctx, (size_t)n, sizeof(double));
    s->score.n = n;
    if (!s->rows || !s->log_density || (s->held.conditions && !s->conditions))
        return tw_fail_memory(c->ctx, (size_t)n * sizeof(double));
    return TW_OK;
}

static void tell(const scoring *s)
{
    char rows[32], time[32];
    cli *c = s->c;
    cli_say(c, "%s: %s rows scored in %s", s->held.label, human_count((double)s->score.n, rows, sizeof rows),
            human_time(s->score.seconds, time, sizeof time));
    if (is_sequences(&s->m)) {
        cli_say(c, "negative log-likelihood  at most %.5f +- %.5f nats a line", s->score.nll, s->score.error);
    } else if (is_tokens(&s->m)) {
        double each = s->score.nll / s->held.columns;
        cli_say(c, "negative log-likelihood  %s%.5f +- %.5f nats a row", at_most(&s->m), s->score.nll, s->score.error);
        cli_say(c, "of a token               %s%.5f nats, %.5f bits; perplexity %.4f", at_most(&s->m), each,
                each / log(2), exp(each));
    } else
        cli_say(c, "negative log-likelihood  %.5f +- %.5f nats a row", s->score.nll, s->score.error);
    if (isfinite(s->exact)) cli_say(c, "of the exact density     %.5f", s->exact);
    if (isfinite(s->score.bits_per_dim) && !is_tokens(&s->m))
        cli_say(c, "bits per dimension       %.5f +- %.5f%s", s->score.bits_per_dim, s->score.bits_error,
                s->score.draws > 0 ? " at most, by dequantisation" : "");
    if (opt_text(&c->set, OPT_PER_ROW)) cli_say(c, "each row's log-density -> %s", opt_text(&c->set, OPT_PER_ROW));
}

void score_json(cJSON *object, const score *s, double exact)
{
    json_number(object, "nll", s->nll);
    json_int(object, "n", s->n);
    json_number(object, "nll_error", s->error);
    json_number(object, "bits_per_dim", s->bits_per_dim);
    json_number(object, "bits_per_dim_error", s->bits_error);
    json_number(object, "nll_exact", exact);
}

static int print_json(const scoring *s)
{
    cJSON *object = cJSON_CreateObject();
    score_json(object, &s->score, s->exact);
    json_int(object, "columns", s->held.columns);
    json_int(object, "nfe", s->score.stats.nfe);
    json_int(object, "accepted", s->score.stats.accepted);
    json_int(object, "rejected", s->score.stats.rejected);
    json_number(object, "seconds", s->score.seconds);
    json_number(object, "rows_per_second", (double)s->score.n / s->score.seconds);
    json_text(object, "data", s->held.label);
    json_text(object, "model", s->m.path);
    json_text(object, "per_row", opt_text(&s->c->set, OPT_PER_ROW));
    return json_print(object);
}

int run_score(cli *c)
{
    scoring s = {.c = c};
    tw_ode_desc solver;
    tw_status status = TW_OK;
    int result;
    const char *per_row = opt_text(&c->set, OPT_PER_ROW);
    static const char *const per_row_names[] = {"log_density"};
    if (!solver_of(c, &solver)) return EXIT_USAGE;
    TW_TRY(cli_start(c));
    if (per_row) TW_TRY(check_writable_file(c->ctx, per_row));
    result = model_open(c, &s.m);
    if (result != EXIT_DONE) goto done;
    if (!options_suit(c, &s.m)) {
        result = EXIT_USAGE;
        goto done;
    }
    TW_TRY(solver_suit(c, &s.m, &solver));
    TW_TRY(held_out_open(c, &s.m, false, &s.held));
    TW_TRY(take_rows(&s));
    TW_TRY(score_rows(c, &s.m, &solver, s.score.n, s.rows, s.conditions, s.log_density, &s.score));
    s.exact = exact_nll(s.held.data, s.score.n, s.held.columns, s.rows);
    if (per_row) TW_TRY(write_csv(c->ctx, per_row, 1, per_row_names, NULL, s.score.n, s.log_density));
    tell(&s);
    result = c->json ? print_json(&s) : EXIT_DONE;
done:
    if (status != TW_OK) result = cli_exit(c, status);
    tw_free(c->ctx, s.rows);
    tw_free(c->ctx, s.conditions);
    tw_free(c->ctx, s.log_density);
    held_out_close(&s.held);
    model_close(&s.m);
    return result;
}
