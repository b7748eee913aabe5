/* flow/dflow.c - D-Flow: source points found by descending through the solver (Ben-Hamu et al. 2024). The penalty keeps
 * them as long as normal vectors are: the length r of one in D dimensions has the density r^(D-1) exp(-r^2 / 2), whose
 * largest value is at r^2 = D - 1. */
#include "flow/gradient.h"
#include "solve/lbfgs.h"

#include <float.h>
#include <math.h>
#include <string.h>

typedef struct search {
    tw_two_way way;
    double lambda, loss; /* that of the last place */
    int64_t columns;
} search;

/* lambda times the sum over rows of |x|^2 / 2 - (D - 1) log |x|; its derivative is added to g. */
static double penalty(const search *s, const double *x, double *g)
{
    double sum = 0;
    for (int64_t i = 0; i < s->way.n && s->lambda > 0; i++, x += s->columns, g += s->columns) {
        double square = DBL_MIN;
        for (int64_t j = 0; j < s->columns; j++) square += x[j] * x[j];
        double rest = (double)(s->columns - 1);
        sum += square / 2 - rest * log(square) / 2;
        for (int64_t j = 0; j < s->columns; j++) g[j] += s->lambda * (x[j] - rest * x[j] / square);
    }
    return s->lambda * sum;
}

static tw_status objective(void *user, const double *x0, double *out_value, double *out_gradient)
{
    search *s = user;
    tw_status status = tw_two_way_run(&s->way, x0, out_value, out_gradient, NULL);
    s->loss = *out_value;
    *out_value += penalty(s, x0, out_gradient);
    return status;
}

tw_status tw_source_search(tw_flow *flow, const tw_source_search_desc *desc, int64_t n, double *x0, double *out_x1,
                           tw_source_search_result *out_result)
{
    search s = {.lambda = desc->lambda, .columns = flow->desc.columns};
    double *gradient = NULL, value;
    tw_lbfgs_desc lbfgs = {.size = n * flow->desc.columns,
                           .history = desc->history,
                           .iterations = desc->iterations,
                           .tolerance = desc->tolerance > 0 ? desc->tolerance : 1e-6,
                           .target = desc->target};
    tw_lbfgs_result found;
    tw_status status = TW_OK;
    if (!(desc->lambda >= 0 && desc->lambda < HUGE_VAL) || !(desc->tolerance >= 0))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "lambda %g, tolerance %g: expected numbers that are not negative",
                       desc->lambda, desc->tolerance));
    TW_TRY(tw_two_way_open(flow, &desc->gradient, false, n, false, &s.way));
    TW_TRY(tw_lbfgs(flow->ctx, &lbfgs, objective, &s, x0, &found));
    gradient = tw_alloc(flow->ctx, (size_t)tw_max_i64(lbfgs.size, 1), sizeof *gradient);
    if (!gradient) TW_TRY(tw_fail_memory(flow->ctx, (size_t)lbfgs.size * sizeof *gradient));
    TW_TRY(objective(&s, x0, &value, gradient)); /* the last place looked at need not be the best */
    if (out_x1) memcpy(out_x1, s.way.x1, (size_t)lbfgs.size * sizeof *out_x1);
    if (out_result)
        *out_result = (tw_source_search_result){.loss = s.loss,
                                                .iterations = found.iterations,
                                                .evaluations = found.evaluations + 1,
                                                .reached = found.reached};
done:
    tw_free(flow->ctx, gradient);
    if (s.way.flow) tw_two_way_close(&s.way);
    return status;
}
