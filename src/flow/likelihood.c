/* flow/likelihood.c - likelihoods: the flow integrated from data to source beside its divergence.
 *
 *   log p_1(x(1)) = log p_0(x(0)) - int_0^1 div u_t(x(t)) dt             (Chen et al. 2018, Neural ODEs, eq. 8)
 *
 * then from normalised to data units, whose log-determinant is the normaliser's. On a manifold densities are with
 * respect to its volume.
 *
 * The network takes columns that never change for standard normal ones, independent of the others: at 0 their share of
 * the log-density is that of the source, and is left out. */
#include "flow/likelihood.h"
#include "flow/jumping.h"

#include "solve/sampler.h"

#include <math.h>

/* Log-density of the flow's beginning at x: that of the source, scaled. x is used up. */
static double begin_log_density(const tw_flow *flow, double scale, int columns, double *x)
{
    if (!flow->space.flat) return tw_space_log_density(&flow->space, flow->model.source, x);
    for (int j = 0; j < columns; j++) x[j] /= scale;
    return tw_source_log_density(flow->model.source, columns, x) - columns * log(scale);
}

/* What one column at 0 has there. */
static double begin_of_constant(const tw_flow *flow, double scale)
{
    double zero = 0;
    return begin_log_density(flow, scale, 1, &zero);
}

tw_status tw_flow_check_density(const tw_flow *flow, const tw_ode_desc *solver)
{
    if (tw_sampler_find(solver->method))
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "solver %s draws samples and follows no density; a likelihood needs another, such as dopri5",
                       solver->method);
    const tw_source_rules *source = tw_source_rules_of(flow->model.source);
    if (!(flow->space.flat ? source->log_density != NULL : source->factor_log_density != NULL))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "no likelihood: the density of the flow's source is not known");
    for (int j = 0; j < flow->desc.columns && !source->independent; j++)
        if (flow->constant[j])
            return tw_fail(
                flow->ctx, TW_ERR_UNSUPPORTED,
                "no likelihood: column '%s' never changed in training, and source '%s' does not part it from "
                "the others",
                flow->desc.names[j], flow->desc.source);
    return TW_OK;
}

void tw_flow_begin_densities(const tw_flow *flow, int64_t n, double *rows, double *out)
{
    int columns = flow->space.numbers, constant = 0;
    double scale = tw_journey_scale(flow), log_jacobian = tw_normaliser_log_jacobian(&flow->normaliser);
    for (int k = 0; k < flow->desc.columns; k++) constant += flow->constant[k];
    double beside = constant > 0 ? constant * begin_of_constant(flow, scale) : 0;
    for (int64_t i = 0; i < n; i++) {
        double *row = rows + i * columns;
        for (int k = 0; k < columns && constant > 0; k++)
            if (flow->constant[k]) row[k] = 0;
        out[i] = begin_log_density(flow, scale, columns, row) + log_jacobian - beside;
        for (int k = 0; k < columns; k++) row[k] *= scale; /* as it was */
    }
}

/* --- from data to source -------------------------------------------------------------------------------------------
 */

tw_status tw_likelihood_solver(tw_flow *flow, const tw_sample_desc *desc, tw_ode_desc *out_solver)
{
    tw_ode_desc solver = tw_journey_solver(desc);
    tw_status status = TW_OK;
    TW_TRY(tw_flow_check_density(flow, &solver));
    if (solver.t0 != 0 || !(solver.t1 > 0 && solver.t1 <= 1))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID,
                       "a likelihood needs the whole way from 0 to a time up to 1, not %g to %g", solver.t0,
                       solver.t1));
    solver.t0 = solver.t1;
    solver.t1 = 0;
    TW_TRY(tw_flow_use_schedule(flow, desc ? desc->schedule : NULL));
    tw_journey_hold(flow, &solver);
    *out_solver = solver;
done:
    return status;
}

tw_status tw_likelihood_give(const tw_journey *j, const double *x)
{
    return tw_flow_from_data_units(j->flow, j->n, x, j->crew->columns, j->state);
}

/* A row that has another value in a column that never changes is impossible. */
static double density_beside_constants(const tw_flow *flow, double scale, const double *x, double log_density)
{
    for (int j = 0; j < flow->desc.columns; j++) {
        if (!flow->constant[j]) continue;
        if (x[j] != flow->normaliser.shift[j]) return -(double)INFINITY;
        log_density -= begin_of_constant(flow, scale);
    }
    return log_density;
}

void tw_likelihood_take(const tw_journey *j, const double *x, double *out)
{
    const tw_flow *flow = j->flow;
    int columns = flow->desc.columns, numbers = flow->space.numbers;
    double scale = tw_journey_scale(flow), log_jacobian = tw_normaliser_log_jacobian(&flow->normaliser);
    /* integrated from 1 back to 0, the column behind x holds minus the integral from 0 to 1 */
    for (int64_t i = 0; i < j->n; i++) {
        double *row = j->state + i * j->crew->columns;
        double source = begin_log_density(flow, scale, numbers, row);
        double log_density = source + row[numbers] + log_jacobian;
        out[i] = density_beside_constants(flow, scale, x + i * columns, log_density);
        for (int k = 0; k < numbers; k++) row[k] *= scale; /* as it was */
    }
}

/* Beyond it a density is zero to any number of digits. */
static const double far = 1e6;

static bool is_far(int columns, double scale, const double *row)
{
    for (int k = 0; k < columns; k++)
        if (fabs(row[k]) > far * scale) return true;
    return false;
}

/* Where every row that did not arrive had gone far, as networks lead rows that are unlike all they have seen, their
 * densities are zero. False: one failed for another reason. */
static bool lose_far(const tw_journey *j, double end, double *out)
{
    int columns = j->flow->space.numbers;
    double scale = tw_journey_scale(j->flow);
    for (int64_t i = 0; i < j->n; i++) {
        if (j->ends[i] == end) continue;
        if (!is_far(columns, scale, j->state + i * j->crew->columns)) return false;
        out[i] = -(double)INFINITY;
    }
    return true;
}

tw_status tw_log_density(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc, double *out,
                         tw_ode_stats *out_stats)
{
    tw_journey j = {0};
    tw_ode_desc solver;
    tw_status status = TW_OK;
    bool mixed = tw_space_is_mixed(&flow->space);
    if (desc && desc->jumps != 0)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED,
                       "jumps have no density that can be followed: that of the flow is without them, jumps 0");
    if (mixed && flow->space.moving > 0)
        return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "rows of numbers and tokens have no density of one kind");
    if (flow->space.ragged) return tw_edits_bound(flow, n, x, desc, out, out_stats);
    if (mixed || flow->space.symbols > 0) return tw_tokens_bound(flow, n, x, desc, out, out_stats);
    TW_TRY(tw_likelihood_solver(flow, desc, &solver));
    TW_TRY(tw_journey_begin(flow, desc, TW_FLOW_DIVERGENCE, n, NULL, &j));
    TW_TRY(tw_likelihood_give(&j, x));
    j.ends = tw_alloc(flow->ctx, (size_t)n, sizeof *j.ends);
    if (!j.ends) TW_TRY(tw_fail_memory(flow->ctx, (size_t)n * sizeof *j.ends));
    for (int64_t i = 0; i < n; i++) j.ends[i] = solver.t0;
    status = tw_journey_travel(&j, &solver, NULL, desc);
    if (status == TW_OK || status == TW_ERR_NUMERIC) tw_likelihood_take(&j, x, out);
    if (status == TW_ERR_NUMERIC && lose_far(&j, solver.t1, out)) status = TW_OK;
    if (out_stats) *out_stats = j.stats;
done:
    tw_free(flow->ctx, j.ends);
    tw_journey_end(&j);
    return status;
}

void tw_likelihood_slope(const tw_journey *j, double *state)
{
    const tw_flow *flow = j->flow;
    int columns = flow->desc.columns;
    double scale = tw_journey_scale(flow);
    for (int64_t i = 0; i < j->n; i++) {
        double *row = state + i * j->crew->columns;
        for (int k = 0; k < columns; k++) row[k] /= scale;
        tw_source_rules_of(flow->model.source)->score(flow->model.source->value, columns, row, row);
        for (int k = 0; k < columns; k++) row[k] /= scale;
        row[columns] = 1;
        for (int k = columns + 1; k < j->crew->columns; k++) row[k] = 0;
    }
}
