/* measure_ppd.c - measures of flows matched to a path of densities (Ben-Hamu et al. 2022, Matching normalizing flows and
 * probability paths on manifolds): how far what a learned flow makes is from the path's end, beside the bound that its
 * own loss is, both by sums over a grid, of three normal distributions in one column. */
#include "measures.h"
#include "three_normals.h"

#include <thalweg/thalweg.h>

#include <math.h>

enum { STREAM = 92, CELLS = 3000, TIMES = 200 };
enum { VARIATION, BOUND };
static const double width = 0.1, reach = 6;

static tw_status train(tw_context *ctx, uint64_t seed, int64_t steps, three_normals_law *out_law, tw_flow **out_flow)
{
    const tw_flow_desc desc = {
        .method = "ppd:width=0.1,power=1", .columns = 1, .seed = seed, .network = {.width = 64, .depth = 3}};
    const tw_train_desc how = {.steps = steps > 0 ? steps : 4000, .batch = 512, .seed = seed, .lr = 2e-3};
    return three_normals_learn(ctx, &desc, &how, STREAM, out_law, out_flow);
}

static double place(int64_t i)
{
    return reach * (2 * ((double)i + 0.5) / CELLS - 1);
}

/* The path at t. */
static void go_to(double t, three_normals_law *law)
{
    double s = pow(width, t), rate = s * log(width);
    law->sigma = s;
    law->sigma_rate = rate;
    law->shrink = 1 - s;
    law->shrink_rate = -rate;
}

/* Half of the mean over t of E |r|, u' by differences; u (CELLS) and x are work memory. */
static tw_status bound_of(tw_flow *flow, three_normals_law law, double *x, double *t, double *u, double *out)
{
    const double cell = 2 * reach / CELLS;
    tw_status status = TW_OK;
    *out = 0;
    for (int n = 0; n < TIMES && status == TW_OK; n++) {
        for (int64_t i = 0; i < CELLS; i++) x[i] = place(i), t[i] = (n + 0.5) / TIMES;
        status = tw_velocity(flow, CELLS, t, x, NULL, u);
        go_to(t[0], &law);
        for (int64_t i = 1; status == TW_OK && i < CELLS - 1; i++) {
            double slope_x, slope_t, p = three_normals_density(&law, x[i], &slope_x, &slope_t);
            double left = slope_t + slope_x * u[i] + (u[i + 1] - u[i - 1]) / (2 * cell);
            *out += 0.5 * p * fabs(left) * cell / TIMES;
        }
    }
    return status;
}

static tw_status variation_of(tw_flow *flow, three_normals_law law, double *x, double *log_q, double *out)
{
    const double cell = 2 * reach / CELLS;
    for (int64_t i = 0; i < CELLS; i++) x[i] = place(i);
    tw_status status = tw_log_density(flow, CELLS, x, NULL, log_q, NULL);
    go_to(1, &law);
    *out = 0;
    for (int64_t i = 0; status == TW_OK && i < CELLS; i++) {
        double slope_x, slope_t;
        *out += 0.5 * fabs(three_normals_density(&law, x[i], &slope_x, &slope_t) - exp(log_q[i])) * cell;
    }
    return status;
}

static tw_status find(const subject *s, int of, double *out)
{
    tw_context *ctx = s->c->ctx;
    finding now = {.of = "ppd", .seed = opt_seed(&s->c->set, OPT_SEED), .steps = opt_int(&s->c->set, OPT_SOLVER_STEPS)};
    const finding *known = finding_of(s->found, now.of, now.seed, now.steps);
    three_normals_law law;
    tw_flow *flow = NULL;
    tw_status status = TW_OK;
    double *work = tw_alloc(ctx, CELLS, 3 * sizeof *work);
    if (!work) return tw_fail_memory(ctx, CELLS * 3 * sizeof *work);
    if (!known) {
        TW_TRY(train(ctx, now.seed, now.steps, &law, &flow));
        TW_TRY(variation_of(flow, law, work, work + CELLS, &now.value[VARIATION]));
        TW_TRY(bound_of(flow, law, work, work + CELLS, work + 2 * CELLS, &now.value[BOUND]));
        known = finding_keep(s->found, &now);
    }
    *out = known->value[of];
done:
    tw_flow_destroy(flow);
    tw_free(ctx, work);
    return status;
}

tw_status measure_ppd_variation(const subject *s, measured *out)
{
    *out = (measured){.floor = 0};
    return find(s, VARIATION, &out->value);
}

tw_status measure_ppd_bound(const subject *s, measured *out)
{
    *out = (measured){.floor = 0};
    return find(s, BOUND, &out->value);
}
