/* measure_density.c - measures of a flow's density: whether it is one, what it knows beyond a normal distribution, and
 * how much of it lies where the data's vanishes. */
#include "measures.h"

#include "distances.h"

#include <math.h>
#include <string.h>

/* --- mass ------------------------------------------------------------------------------------------------------------
 */

enum { CELLS = 200 /* a column; Lipman et al. 2023 is checked with as many */ };

/* Middles of the cells of a box around the rows, a quarter of their width further on every side; returns a cell's area.
 */
static double grid_of(int64_t rows, const double *values, double *out)
{
    double low[2], width[2];
    for (int j = 0; j < 2; j++) {
        double high = low[j] = values[j];
        for (int64_t i = 1; i < rows; i++) {
            low[j] = fmin(low[j], values[2 * i + j]);
            high = fmax(high, values[2 * i + j]);
        }
        width[j] = 1.5 * (high - low[j]);
        low[j] -= width[j] / 6;
    }
    for (int64_t i = 0; i < CELLS * CELLS; i++) {
        out[2 * i] = low[0] + width[0] * ((double)(i / CELLS) + 0.5) / CELLS;
        out[2 * i + 1] = low[1] + width[1] * ((double)(i % CELLS) + 0.5) / CELLS;
    }
    return width[0] * width[1] / (CELLS * CELLS);
}

tw_status measure_mass_error(const subject *s, measured *out)
{
    cli *c = s->c;
    const tw_ode_desc solver = solver_without_noise(c, &s->solver);
    score found;
    double mass = 0;
    double *grid = NULL, *log_density = NULL;
    tw_status status = TW_OK;
    if (s->h.columns != 2)
        TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "mass_error adds up a density of 2 columns, not of %d", s->h.columns));
    grid = tw_alloc(c->ctx, CELLS * CELLS, 2 * sizeof *grid);
    log_density = tw_alloc(c->ctx, CELLS * CELLS, sizeof *log_density);
    if (!grid || !log_density) TW_TRY(tw_fail_memory(c->ctx, CELLS * CELLS * 3 * sizeof *grid));
    double area = grid_of(s->h.rows, s->h.values, grid);
    TW_TRY(score_rows(c, &s->m, &solver, CELLS * CELLS, grid, NULL, log_density, &found));
    for (int64_t i = 0; i < CELLS * CELLS; i++) mass += exp(log_density[i]) * area;
    *out = (measured){fabs(mass - 1), 0};
done:
    tw_free(c->ctx, grid);
    tw_free(c->ctx, log_density);
    return status;
}

/* --- the normal distribution as a null --------------------------------------------------------------------------- */

/* Mean (columns) and lower triangle (columns, columns) of the root of the covariance, of rows. False: singular. */
static bool fit_normal(int64_t rows, int columns, const double *values, double *mean, double *root)
{
    int d = columns;
    memset(mean, 0, (size_t)d * sizeof *mean);
    memset(root, 0, (size_t)(d * d) * sizeof *root);
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < d; j++) mean[j] += values[i * d + j] / (double)rows;
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < d; j++)
            for (int k = 0; k <= j; k++)
                root[j * d + k] += (values[i * d + j] - mean[j]) * (values[i * d + k] - mean[k]) / (double)rows;
    for (int j = 0; j < d; j++) /* Cholesky, in place */
        for (int k = 0; k <= j; k++) {
            double sum = root[j * d + k];
            for (int i = 0; i < k; i++) sum -= root[j * d + i] * root[k * d + i];
            if (k == j && !(sum > 0)) return false;
            root[j * d + k] = k == j ? sqrt(sum) : sum / root[k * d + k];
        }
    return true;
}

/* Mean negative log-density of rows; `solved` (columns) is work memory. */
static double normal_nll(int64_t rows, int columns, const double *values, const double *mean, const double *root,
                         double *solved)
{
    int d = columns;
    double sum = 0, log_volume = d * log(2 * acos(-1)) / 2;
    for (int j = 0; j < d; j++) log_volume += log(root[j * d + j]);
    for (int64_t i = 0; i < rows; i++)
        for (int j = 0; j < d; j++) {
            double rest = values[i * d + j] - mean[j];
            for (int k = 0; k < j; k++) rest -= root[j * d + k] * solved[k];
            solved[j] = rest / root[j * d + j];
            sum += solved[j] * solved[j] / 2;
        }
    return log_volume + sum / (double)rows;
}

tw_status measure_nll_gain(const subject *s, measured *out)
{
    cli *c = s->c;
    const tw_dataset *training = s->h.training;
    score found;
    int64_t n;
    int d = s->h.columns;
    double *rows = NULL, *work = tw_alloc(c->ctx, (size_t)(d + 2), (size_t)d * sizeof *work);
    tw_status status = TW_OK;
    if (!work) TW_TRY(tw_fail_memory(c->ctx, (size_t)(d + 2) * (size_t)d * sizeof *work));
    if (!training) TW_TRY(tw_fail(c->ctx, TW_ERR_IO, "nll_gain needs the rows the flow was trained on"));
    if (!fit_normal(tw_dataset_rows(training, TW_PART_TRAIN), d, tw_dataset_values(training, TW_PART_TRAIN), work,
                    work + 2 * d))
        TW_TRY(tw_fail(c->ctx, TW_ERR_NUMERIC, "the covariance of the training rows is singular"));
    TW_TRY(score_held_out(s, &n, &rows, &found));
    *out = (measured){normal_nll(n, d, rows, work, work + 2 * d, work + d) - found.nll, (double)NAN};
done:
    tw_free(c->ctx, work);
    tw_free(c->ctx, rows);
    return status;
}

/* --- sharpness --------------------------------------------------------------------------------------------------- */

tw_status measure_outside(const subject *s, measured *out)
{
    const held_out *h = &s->h;
    comparison d = {.c = s->c, .m = &s->m, .held = h, .solver = s->solver};
    double log_density;
    int64_t outside = 0;
    tw_status status = TW_OK;
    if (!tw_dataset_log_density(h->data, h->values, &log_density))
        TW_TRY(tw_fail(s->c->ctx, TW_ERR_INVALID, "%s: its exact density is not known", h->label));
    TW_TRY(comparison_draw(&d));
    for (int64_t i = 0; i < d.samples_count; i++) {
        bool known = tw_dataset_log_density(h->data, d.samples + i * h->columns, &log_density);
        outside += !known || !isfinite(log_density);
    }
    *out = (measured){(double)outside / (double)d.samples_count, 0};
done:
    comparison_free(&d);
    return status;
}
