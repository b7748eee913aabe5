/* measure_jumps.c - measures of jumps of numbers (Holderrieth et al. 2024, Generator matching): of those to a known
 * point, whose law is known at every time, and of what is learned of a mixture of three normal distributions in one
 * column: the flow, the jumps, and both by halves. */
#include "measures.h"
#include "three_normals.h"

#include "base/order.h"
#include "solve/superposition.h"

#include <thalweg/thalweg.h>

#include <math.h>
#include <stdlib.h>

enum { STREAM = 76 };

static double normal_below(double x)
{
    return 0.5 * erfc(-x * 0.70710678118654752440);
}

/* --- to a known point ----------------------------------------------------------------------------------------------- */

enum { STEPS = 400 /* from 0 to 1, unless told */, BLOCK = 1000 };

/* The jumps to user's point; there is no flow. */
static tw_status to_point(void *user, int64_t rows, double t, const double *x, float *out)
{
    double z = *(const double *)user, mass[TW_JUMP_BINS];
    for (int64_t i = 0; i < rows; i++, out += tw_superposition_answers(1)) {
        double u = (x[i] - t * z) / (1 - t);
        out[0] = 0;
        out[1] = (float)tw_jump_kernel_intensity(u, z);
        if (out[1] > 0) tw_jump_kernel_masses(u, z, mass); /* else nobody asks */
        for (int b = 0; b < TW_JUMP_BINS && out[1] > 0; b++) out[2 + b] = (float)log(fmax(mass[b], 1e-300));
    }
    return TW_OK;
}

/* Largest distance of the distribution function of n numbers, which are sorted, from that of N(mean, sd^2). */
static double distance_to_normal(int64_t n, double *x, double mean, double sd)
{
    double most = 0;
    qsort(x, (size_t)n, sizeof *x, tw_by_value);
    for (int64_t i = 0; i < n; i++) {
        double below = normal_below((x[i] - mean) / sd);
        most = fmax(most, fmax(fabs(below - (double)i / (double)n), fabs(below - (double)(i + 1) / (double)n)));
    }
    return most;
}

tw_status measure_jump_law(const subject *s, measured *out)
{
    const double times[] = {0, 0.25, 0.5, 0.75};
    double z = 1.5; /* beyond the bulk of the source */
    tw_context *ctx = s->c->ctx;
    int64_t n = opt_int(&s->c->set, OPT_N_EVAL), steps = opt_int(&s->c->set, OPT_SOLVER_STEPS);
    uint64_t seed = opt_seed(&s->c->set, OPT_SEED);
    tw_random random = {.seed = seed, .stream = STREAM};
    float answer[BLOCK * (2 + TW_JUMP_BINS)];
    tw_status status = TW_OK;
    double *x = tw_alloc(ctx, (size_t)n, sizeof *x);
    if (!x) return tw_fail_memory(ctx, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) x[i] = tw_random_normal(&random);
    *out = (measured){0, 0.87 / sqrt((double)n)}; /* the mean of Kolmogorov's distribution */
    for (int k = 1; k < TW_COUNT(times); k++) {
        tw_superposition how = {.columns = 1, .share = 1, .t0 = times[k - 1], .t1 = times[k], .seed = seed + (uint64_t)k};
        how.steps = tw_max_i64(1, (steps > 0 ? steps : STEPS) / 4);
        for (int64_t i = 0; i < n; i += BLOCK) {
            how.first_row = i;
            TW_TRY(tw_superposition_run(&how, to_point, &z, tw_min_i64(BLOCK, n - i), x + i, answer));
        }
        out->value = fmax(out->value, distance_to_normal(n, x, times[k] * z, 1 - times[k]));
    }
done:
    tw_free(ctx, x);
    return status;
}

/* --- a mixture ------------------------------------------------------------------------------------------------------ */

enum { SAMPLES = 20000, MANY = 50, FEW = 10 };
enum { FLOW, JUMPS, BOTH, FEW_FLOW, FEW_JUMPS, FEW_BOTH, FLOOR, FOUND };

/* Mean distance of quantiles. */
static double distance_to_mixture(double *x)
{
    double sum = 0;
    qsort(x, SAMPLES, sizeof *x, tw_by_value);
    for (int i = 0; i < SAMPLES; i++) sum += fabs(x[i] - three_normals_quantile((i + 0.5) / SAMPLES)) / SAMPLES;
    return sum;
}

static tw_status train(tw_context *ctx, uint64_t seed, int64_t steps, tw_flow **out_flow)
{
    const tw_flow_desc desc = {
        .method = "jump", .columns = 1, .seed = seed, .network = {.width = 96, .depth = 3, .time_features = 16}};
    const tw_train_desc how = {.steps = steps > 0 ? steps : 8000, .batch = 512, .seed = seed, .lr = 2e-3};
    return three_normals_learn(ctx, &desc, &how, STREAM + 1, NULL, out_flow);
}

static tw_status sample(tw_context *ctx, tw_flow *flow, uint64_t seed, double out[FOUND])
{
    const double share[] = {0, 1, 0.5};
    tw_random random = {.seed = seed, .stream = STREAM + 2};
    tw_status status = TW_OK;
    double *x = tw_alloc(ctx, SAMPLES, sizeof *x);
    if (!x) return tw_fail_memory(ctx, SAMPLES * sizeof *x);
    for (int i = 0; i < FLOOR; i++) {
        tw_sample_desc how = {
            .solver = {.method = "euler", .steps = i < FEW_FLOW ? MANY : FEW}, .jumps = share[i % FEW_FLOW], .seed = seed};
        if (i == FLOW) how.solver = (tw_ode_desc){.method = "rk4", .steps = 20};
        TW_TRY(tw_sample(flow, SAMPLES, &how, x, NULL, NULL));
        out[i] = distance_to_mixture(x);
    }
    for (int i = 0; i < SAMPLES; i++) x[i] = three_normals_draw(&random);
    out[FLOOR] = distance_to_mixture(x);
done:
    tw_free(ctx, x);
    return status;
}

/* All of one training: kept for the measures that ask for the others. */
static tw_status find(const subject *s, int of, measured *out)
{
    tw_context *ctx = s->c->ctx;
    finding now = {.of = "jumps", .seed = opt_seed(&s->c->set, OPT_SEED), .steps = opt_int(&s->c->set, OPT_SOLVER_STEPS)};
    const finding *known = finding_of(s->found, now.of, now.seed, now.steps);
    tw_flow *flow = NULL;
    tw_status status = TW_OK;
    _Static_assert(FOUND <= TW_COUNT(now.value), "what is found has a place");
    if (!known) {
        TW_TRY(train(ctx, now.seed, now.steps, &flow));
        TW_TRY(sample(ctx, flow, now.seed, now.value));
        known = finding_keep(s->found, &now);
    }
    *out = (measured){known->value[of], known->value[FLOOR]};
done:
    tw_flow_destroy(flow);
    return status;
}

tw_status measure_mixture_flow(const subject *s, measured *out)
{
    return find(s, FLOW, out);
}

tw_status measure_mixture_jumps(const subject *s, measured *out)
{
    return find(s, JUMPS, out);
}

tw_status measure_mixture_both(const subject *s, measured *out)
{
    return find(s, BOTH, out);
}

tw_status measure_mixture_few_flow(const subject *s, measured *out)
{
    return find(s, FEW_FLOW, out);
}

tw_status measure_mixture_few_jumps(const subject *s, measured *out)
{
    return find(s, FEW_JUMPS, out);
}

tw_status measure_mixture_few_both(const subject *s, measured *out)
{
    return find(s, FEW_BOTH, out);
}
