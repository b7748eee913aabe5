/* measure_steering.c - measures of guidance and of inverse problems: on flows known exactly (flow/mixture.h), and of
 * rows whose gaps a trained flow fills in.
 *
 * The mixtures have their components on a circle and unit variance in every column, as standardised data do, except for
 * FlowChef's, which is that of its experiment: deviation 0.3 at radius 4. */
#include "measures.h"

#include "distances.h"
#include "observe.h"

#include "base/philox.h"
#include "cpu/eigen.h"
#include "flow/mixture.h"
#include "flow/observation.h"

#include <thalweg/steer.h>

#include <math.h>
#include <string.h>

enum { ROWS = 4000, STREAM = 70 };

static const double eighth = 0.78539816339744830962;

typedef struct bumps {
    tw_mixture mixture;
    double centre[2 * BUMPS];
    int class_of[BUMPS]; /* neighbours share a class of four */
    tw_flow *flow;
} bumps;

static tw_status bumps_open(const subject *s, double radius, double deviation, bool classes, bumps *b)
{
    b->flow = NULL;
    for (int k = 0; k < BUMPS; k++) {
        b->centre[2 * k] = radius * cos(eighth * k);
        b->centre[2 * k + 1] = radius * sin(eighth * k);
        b->class_of[k] = k / 4;
    }
    b->mixture = (tw_mixture){.columns = 2,
                              .components = BUMPS,
                              .deviation = deviation,
                              .centre = b->centre,
                              .classes = classes ? 2 : 0,
                              .class_of = classes ? b->class_of : NULL};
    return tw_flow_create_exact(s->c->ctx, &b->mixture, NULL, &b->flow);
}

/* Unit variance in each column: radius^2 / 2 + deviation^2 = 1. */
static double unit_radius(double deviation)
{
    return sqrt(2 * (1 - deviation * deviation));
}

/* Draws of components with these weights, seed and number of the draw; column 0 has its own mean and deviation. */
static void draw_bumps(const bumps *b, const double *weight, const double *mean0, double deviation0, uint64_t seed,
                       int number, double *out)
{
    tw_random random = {.seed = seed, .stream = (uint32_t)(STREAM + (number << 8))};
    for (int i = 0; i < ROWS; i++) {
        double u = tw_random_uniform(&random);
        int k = 0;
        while (k + 1 < BUMPS && (u -= weight[k]) >= 0) k++;
        out[2 * i] = mean0[k] + deviation0 * tw_random_normal(&random);
        out[2 * i + 1] = b->centre[2 * k + 1] + b->mixture.deviation * tw_random_normal(&random);
    }
}

/* Distance of `got` to draws, over that of draws to draws. */
static tw_status compare(const subject *s, const bumps *b, const double *weight, const double *mean0, double deviation0,
                         const double *got, measured *out)
{
    enum { PROJECTIONS = 100 };
    tw_context *ctx = s->c->ctx;
    uint64_t seed = opt_seed(&s->c->set, OPT_SEED);
    tw_status status = TW_OK;
    double *draws = tw_alloc(ctx, 4 * (size_t)ROWS, sizeof(double)), *others = draws + 2 * ROWS;
    if (!draws) return tw_fail_memory(ctx, 4 * ROWS * sizeof(double));
    draw_bumps(b, weight, mean0, deviation0, seed, 0, draws);
    draw_bumps(b, weight, mean0, deviation0, seed, 1, others);
    TW_TRY(tw_sliced_wasserstein2(ctx, 2, ROWS, got, ROWS, draws, PROJECTIONS, seed, &out->value));
    TW_TRY(tw_sliced_wasserstein2(ctx, 2, ROWS, others, ROWS, draws, PROJECTIONS, seed, &out->floor));
done:
    tw_free(ctx, draws);
    return status;
}

/* --- guidance ---------------------------------------------------------------------------------------------------- */

static tw_status draw_guided(const subject *s, const bumps *b, double strength, double *out)
{
    const double class = 0;
    const tw_sample_desc desc = {
        .seed = opt_seed(&s->c->set, OPT_SEED), .conditions = &class, .same_conditions = true, .guidance = strength};
    return tw_sample(b->flow, ROWS, &desc, out, NULL, NULL);
}

tw_status measure_told_w2(const subject *s, measured *out)
{
    double got[2 * ROWS];
    double weight[BUMPS], mean[BUMPS];
    bumps b;
    tw_status status = TW_OK;
    TW_TRY(bumps_open(s, unit_radius(0.4), 0.4, true, &b));
    for (int k = 0; k < BUMPS; k++) {
        weight[k] = b.class_of[k] == 0 ? 0.25 : 0;
        mean[k] = b.centre[2 * k];
    }
    TW_TRY(draw_guided(s, &b, 0, got));
    TW_TRY(compare(s, &b, weight, mean, b.mixture.deviation, got, out));
done:
    tw_flow_destroy(b.flow);
    return status;
}

/* Mean posterior probability of class 0. */
static double purity(const bumps *b, const double *x)
{
    double sum = 0;
    for (int i = 0; i < ROWS; i++) {
        double of[2] = {0, 0};
        for (int k = 0; k < BUMPS; k++) {
            double far2 = pow(x[2 * i] - b->centre[2 * k], 2) + pow(x[2 * i + 1] - b->centre[2 * k + 1], 2);
            of[b->class_of[k]] += exp(-far2 / (2 * b->mixture.deviation * b->mixture.deviation));
        }
        sum += of[0] / (of[0] + of[1]);
    }
    return sum / ROWS;
}

tw_status measure_guided_purity(const subject *s, measured *out)
{
    double got[2 * ROWS];
    const double strengths[] = {-1, -0.5, 0, 0.5, 1, 2};
    double before = 0;
    bumps b;
    tw_status status = TW_OK;
    TW_TRY(bumps_open(s, unit_radius(0.4), 0.4, true, &b));
    *out = (measured){INFINITY, (double)NAN};
    for (int i = 0; i < TW_COUNT(strengths); i++) {
        TW_TRY(draw_guided(s, &b, strengths[i], got));
        double pure = purity(&b, got);
        if (i > 0) out->value = fmin(out->value, pure - before);
        before = pure;
    }
done:
    tw_flow_destroy(b.flow);
    return status;
}

/* --- inverse problems -------------------------------------------------------------------------------------------- */

static tw_status solve(const subject *s, const bumps *b, const char *method, int steps, double y, double noise,
                       double *out)
{
    const double seen[2] = {y, (double)NAN};
    int asked = (int)opt_int(&s->c->set, OPT_SOLVER_STEPS);
    const tw_sample_desc desc = {.seed = opt_seed(&s->c->set, OPT_SEED), .solver.steps = asked ? asked : steps};
    const tw_inverse_desc inverse = {.method = method, .observed = seen, .same_observed = true, .noise = noise};
    return tw_flow_inverse(b->flow, ROWS, &desc, &inverse, out, NULL);
}

/* The posterior of a mixture given its first column with noise is a mixture too. */
tw_status measure_ot_ode_w2(const subject *s, measured *out)
{
    double got[2 * ROWS];
    const double y = 0.5, noise = 0.3, deviation = 0.4;
    double weight[BUMPS], mean[BUMPS], sum = 0, v = deviation * deviation + noise * noise;
    bumps b;
    tw_status status = TW_OK;
    TW_TRY(bumps_open(s, unit_radius(deviation), deviation, false, &b));
    for (int k = 0; k < BUMPS; k++) {
        double off = y - b.centre[2 * k];
        sum += weight[k] = exp(-off * off / (2 * v));
        mean[k] = b.centre[2 * k] + deviation * deviation / v * off;
    }
    for (int k = 0; k < BUMPS; k++) weight[k] /= sum;
    TW_TRY(solve(s, &b, "ot_ode", 200, y, noise, got));
    TW_TRY(compare(s, &b, weight, mean, deviation * noise / sqrt(v), got, out));
done:
    tw_flow_destroy(b.flow);
    return status;
}

static tw_status flowchef(const subject *s, double *out_misfit, double *out_inside)
{
    double x[2 * ROWS];
    bumps b;
    tw_status status = TW_OK;
    *out_misfit = *out_inside = 0;
    TW_TRY(bumps_open(s, 4, 0.3, false, &b));
    TW_TRY(solve(s, &b, "flowchef:0.05", 50, 2.8, 1e-9, x));
    for (int i = 0; i < ROWS; i++) {
        double nearest = INFINITY;
        for (int k = 0; k < BUMPS; k++)
            nearest = fmin(nearest, hypot(x[2 * i] - b.centre[2 * k], x[2 * i + 1] - b.centre[2 * k + 1]));
        *out_misfit += pow(x[2 * i] - 2.8, 2) / ROWS;
        *out_inside += nearest <= 0.9 ? 1.0 / ROWS : 0;
    }
done:
    tw_flow_destroy(b.flow);
    return status;
}

tw_status measure_flowchef_misfit(const subject *s, measured *out)
{
    double inside;
    out->floor = 0;
    return flowchef(s, &out->value, &inside);
}

tw_status measure_flowchef_inside(const subject *s, measured *out)
{
    double misfit;
    out->floor = (double)NAN;
    return flowchef(s, &misfit, &out->value);
}

/* --- Gaussian data ------------------------------------------------------------------------------------------------ */

enum { COLUMNS = 10, MEASURES = 6, DRAWS = 20000 };

/* KL of the normal fitted to x from the posterior of N(0, I) given A x = y with noise. In the basis of A A' the
 * posterior is independent, but for rounding: directions f_k = a_k / |a_k| have mean |a_k| y_k / (|a_k|^2 + noise^2),
 * variance noise^2 / (|a_k|^2 + noise^2), and what is orthogonal to them stays N(0, 1). So x is first made standard. */
static tw_status posterior_kl(const subject *s, const tw_observation *o, double *x, double *out)
{
    double mean[COLUMNS] = {0}, c[COLUMNS * COLUMNS] = {0}, value[COLUMNS], vectors[COLUMNS * COLUMNS], kl = 0;
    (void)s;
    for (int i = 0; i < DRAWS; i++)
        for (int k = 0; k < o->width; k++) {
            double *row = x + i * COLUMNS, l2 = o->length2[k], dot = 0;
            const double *a = o->row + k * COLUMNS;
            for (int j = 0; j < COLUMNS; j++) dot += a[j] * row[j];
            double along = dot / sqrt(l2), v = o->variance[k] / (l2 + o->variance[k]);
            double standard = (along - sqrt(l2) * o->y[k] / (l2 + o->variance[k])) / sqrt(v);
            for (int j = 0; j < COLUMNS; j++) row[j] += (standard - along) * a[j] / sqrt(l2);
        }
    for (int i = 0; i < DRAWS; i++)
        for (int j = 0; j < COLUMNS; j++) mean[j] += x[i * COLUMNS + j] / DRAWS;
    for (int i = 0; i < DRAWS; i++)
        for (int j = 0; j < COLUMNS; j++)
            for (int k = 0; k < COLUMNS; k++)
                c[j * COLUMNS + k] += (x[i * COLUMNS + j] - mean[j]) * (x[i * COLUMNS + k] - mean[k]) / DRAWS;
    tw_eigen_symmetric(COLUMNS, c, value, vectors);
    for (int j = 0; j < COLUMNS; j++) kl += 0.5 * (value[j] - 1 - log(value[j]) + mean[j] * mean[j]);
    *out = kl;
    return TW_OK;
}

tw_status measure_ot_ode_kl(const subject *s, measured *out)
{
    const tw_mixture gauss = {.columns = COLUMNS, .components = 1, .deviation = 1};
    tw_context *ctx = s->c->ctx;
    uint64_t seed = opt_seed(&s->c->set, OPT_SEED);
    int asked = (int)opt_int(&s->c->set, OPT_SOLVER_STEPS);
    tw_random random = {.seed = seed, .stream = STREAM};
    double matrix[MEASURES * COLUMNS], y[MEASURES];
    const tw_sample_desc desc = {.seed = seed, .solver.steps = asked ? asked : 400};
    const tw_inverse_desc inverse = {
        .observed = y, .same_observed = true, .measures = MEASURES, .matrix = matrix, .noise = 0.5};
    tw_flow *flow = NULL;
    tw_observation o = {0};
    tw_status status = TW_OK;
    double *x = tw_alloc(ctx, (size_t)DRAWS * COLUMNS, sizeof(double));
    if (!x) return tw_fail_memory(ctx, (size_t)DRAWS * COLUMNS * sizeof(double));
    for (int i = 0; i < MEASURES * COLUMNS; i++) matrix[i] = tw_random_normal(&random) / sqrt(COLUMNS);
    for (int i = 0; i < MEASURES; i++) y[i] = tw_random_normal(&random);
    TW_TRY(tw_flow_create_exact(ctx, &gauss, NULL, &flow));
    TW_TRY(tw_flow_inverse(flow, DRAWS, &desc, &inverse, x, NULL));
    TW_TRY(tw_observation_make(flow, DRAWS, &inverse, &o));
    TW_TRY(posterior_kl(s, &o, x, &out->value));
    out->floor = COLUMNS * (COLUMNS + 3) / (4.0 * DRAWS);
done:
    tw_observation_free(ctx, &o);
    tw_flow_destroy(flow);
    tw_free(ctx, x);
    return status;
}

/* --- gaps filled in by a trained flow ------------------------------------------------------------------------------
 */

/* Every other column hidden, in turns. */
static void hide(int columns, int64_t n, const double *rows, double *out)
{
    for (int64_t i = 0; i < n * columns; i++) out[i] = (i / columns + i % columns) % 2 ? (double)NAN : rows[i];
}

/* n held-out rows like that, drawn, and again from the first when there are fewer. */
static double *with_gaps(const subject *s, const held_out *h, int64_t n)
{
    enum { DRAW = 1000 }; /* beyond those of the distances */
    int64_t drawn = tw_min_i64(n, h->rows);
    double *rows = random_rows(s->c, DRAW, h->columns, h->rows, h->values, drawn);
    double *out = rows ? tw_alloc(s->c->ctx, (size_t)n, (size_t)h->columns * sizeof(double)) : NULL;
    if (out) repeat_rows(n, h->columns, drawn, rows, out);
    if (out) hide(h->columns, n, out, out);
    tw_free(s->c->ctx, rows);
    return out;
}

static tw_status fill(const subject *s, const model *m, int64_t n, const double *seen, const char *method, double *out)
{
    const tw_sample_desc desc = {.seed = opt_seed(&s->c->set, OPT_SEED),
                                 .solver.steps = (int)opt_int(&s->c->set, OPT_SOLVER_STEPS)};
    const tw_inverse_desc inverse = {.method = method, .observed = seen};
    return tw_flow_inverse(m->flow, n, &desc, &inverse, out, NULL);
}

static tw_status take_filled(const subject *s, const char *method, measured *out)
{
    const held_out *h = &s->h;
    comparison d = {.c = s->c, .m = &s->m, .held = h, .solver = s->solver};
    tw_status status = TW_OK;
    double *seen = NULL;
    TW_TRY(comparison_draw(&d)); /* how many; the rows are replaced */
    if (!(seen = with_gaps(s, h, d.samples_count)))
        TW_TRY(tw_fail_memory(s->c->ctx, (size_t)(d.samples_count * h->columns) * sizeof(double)));
    TW_TRY(fill(s, &s->m, d.samples_count, seen, method, d.samples));
    TW_TRY(comparison_measure(&d, 1u << DISTANCE_ENERGY));
    *out = (measured){d.of[DISTANCE_ENERGY].value, d.of[DISTANCE_ENERGY].floor};
done:
    tw_free(s->c->ctx, seen);
    comparison_free(&d);
    return status;
}

tw_status measure_filled_ot_ode(const subject *s, measured *out)
{
    return take_filled(s, "ot_ode", out);
}

tw_status measure_filled_flowchef(const subject *s, measured *out)
{
    return take_filled(s, "flowchef", out);
}

tw_status measure_filled_dps(const subject *s, measured *out)
{
    return take_filled(s, "dps", out);
}

/* By how many decibels filled-in values miss the true ones less than the means of training rows do. */
static tw_status take_gain(const subject *s, const char *method, measured *out)
{
    const held_out *h = &s->h;
    tw_normaliser means = {0};
    tw_status status = TW_OK;
    double by_flow = 0, by_mean = 0;
    int64_t n = tw_min_i64(ROWS, h->rows), count = n * h->columns;
    double *filled = tw_alloc(s->c->ctx, (size_t)count, sizeof(double));
    double *seen = tw_alloc(s->c->ctx, (size_t)count, sizeof(double));
    if (!filled || !seen) TW_TRY(tw_fail_memory(s->c->ctx, (size_t)count * sizeof(double)));
    hide(h->columns, n, h->values, seen);
    TW_TRY(fill(s, &s->m, n, seen, method, filled));
    const tw_dataset *training = h->training ? h->training : h->data;
    tw_part part = h->training ? TW_PART_TRAIN : TW_PART_ALL;
    TW_TRY(tw_normaliser_fit(s->c->ctx, tw_dataset_rows(training, part), h->columns, tw_dataset_values(training, part),
                             &means));
    for (int64_t i = 0; i < count; i++) {
        if (!isnan(seen[i])) continue;
        by_flow += pow(filled[i] - h->values[i], 2);
        by_mean += pow(means.shift[i % h->columns] - h->values[i], 2);
    }
    *out = (measured){10 * log10(by_mean / by_flow), (double)NAN};
done:
    tw_free(s->c->ctx, seen);
    tw_free(s->c->ctx, filled);
    tw_normaliser_free(s->c->ctx, &means);
    return status;
}

tw_status measure_gain_ot_ode(const subject *s, measured *out)
{
    return take_gain(s, "ot_ode", out);
}

tw_status measure_gain_flowchef(const subject *s, measured *out)
{
    return take_gain(s, "flowchef", out);
}

tw_status measure_gain_dps(const subject *s, measured *out)
{
    return take_gain(s, "dps", out);
}

tw_status measure_skipping(const subject *s, measured *out)
{
    const held_out *h = &s->h;
    tw_normaliser scale = {0};
    tw_context *ctx = s->c->ctx;
    tw_status status = TW_OK;
    double sum = 0;
    int64_t count = (int64_t)ROWS * h->columns;
    double *seen = with_gaps(s, h, ROWS);
    double *skipped = tw_alloc(ctx, (size_t)count, sizeof(double));
    double *through = tw_alloc(ctx, (size_t)count, sizeof(double));
    if (!seen || !skipped || !through) TW_TRY(tw_fail_memory(ctx, (size_t)count * sizeof(double)));
    TW_TRY(fill(s, &s->m, ROWS, seen, "flowchef", skipped));
    TW_TRY(fill(s, &s->m, ROWS, seen, "descent", through));
    TW_TRY(tw_normaliser_fit(ctx, h->rows, h->columns, h->values, &scale));
    for (int64_t i = 0; i < count; i++) sum += pow((skipped[i] - through[i]) / scale.scale[i % h->columns], 2);
    *out = (measured){sqrt(sum / ROWS), 0};
done:
    tw_free(ctx, seen);
    tw_free(ctx, skipped);
    tw_free(ctx, through);
    tw_normaliser_free(ctx, &scale);
    return status;
}
