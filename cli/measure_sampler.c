/* measure_sampler.c - measures of solvers for flows: how far they are off where the flow itself leads, and what they
 * lose on the way from data to the source and back.
 *
 * Two flows are known and computed in double, along --schedule from a standard normal source (flow/mixture.h): to eight
 * normal bumps of deviation 0.3 on a circle of radius 4, and to the eight cells of a checkerboard of unit variance,
 * each a normal distribution of the cell's own variance. */
#include "measures.h"

#include "begin.h"

#include "base/philox.h"
#include "data/normaliser.h"
#include "flow/flow.h"
#include "flow/mixture.h"

#include <math.h>
#include <string.h>

enum { POINTS = 4000 };

void bumps_mixture(double centre[2 * BUMPS], tw_mixture *out)
{
    const double eighth = 0.78539816339744830962;
    for (int b = 0; b < BUMPS; b++) {
        centre[2 * b] = 4 * cos(eighth * b);
        centre[2 * b + 1] = 4 * sin(eighth * b);
    }
    *out = (tw_mixture){.columns = 2, .components = BUMPS, .deviation = 0.3, .centre = centre};
}

enum { CELLS = 8 };

static void cells_mixture(double centre[2 * CELLS], tw_mixture *out)
{
    const double variance = 16.0 / 12; /* of the square of side 4; a cell has side 1 */
    int cell = 0;
    for (int i = 0; i < 16; i++) {
        if ((i / 4 + i % 4) % 2) continue;
        centre[2 * cell] = (i / 4 - 1.5) / sqrt(variance);
        centre[2 * cell++ + 1] = (i % 4 - 1.5) / sqrt(variance);
    }
    *out = (tw_mixture){.columns = 2, .components = CELLS, .deviation = sqrt(1 / 12.0 / variance), .centre = centre};
}

/* Root of the mean squared distance of rows. */
static double rms(int64_t rows, int columns, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t i = 0; i < rows * columns; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)rows);
}

typedef struct known {
    tw_flow *flow;
    tw_mixture mixture;
    double centre[2 * CELLS];
    tw_sample_desc by;       /* the solver measured */
    double *from, *to, *got; /* (POINTS, 2) where points begin, where they end, where the solver ends */
} known;

static void known_close(const subject *s, known *k)
{
    tw_flow_destroy(k->flow);
    tw_free(s->c->ctx, k->from);
    tw_free(s->c->ctx, k->to);
    tw_free(s->c->ctx, k->got);
}

static tw_status move(known *k, const tw_ode_desc *solver, double t0, double t1, const double *from, double *out)
{
    tw_sample_desc desc = k->by;
    desc.solver = *solver;
    desc.solver.t0 = t0;
    desc.solver.t1 = t1;
    desc.from = from;
    return tw_sample(k->flow, POINTS, &desc, out, NULL, NULL);
}

static const tw_ode_desc exact = {.method = "dopri8", .rtol = 1e-11, .atol = 1e-11};

/* Points at t0 (NULL: draws of the source, at 0) and where they are at t1. */
static tw_status known_open(const subject *s, void (*mixture)(double *centre, tw_mixture *out), double t0, double t1,
                            known *k)
{
    tw_context *ctx = s->c->ctx;
    double **arrays[] = {&k->from, &k->to, &k->got};
    tw_status status = TW_OK;
    k->by = (tw_sample_desc){.seed = opt_seed(&s->c->set, OPT_SEED), .double_precision = true};
    if (!solver_of(s->c, &k->by.solver)) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "the solver cannot be measured"));
    mixture(k->centre, &k->mixture);
    TW_TRY(tw_flow_create_exact(ctx, &k->mixture, opt_text(&s->c->set, OPT_OTHER_SCHEDULE), &k->flow));
    for (int i = t0 > 0 ? 0 : 1; i < TW_COUNT(arrays); i++)
        if (!(*arrays[i] = tw_alloc(ctx, POINTS, 2 * sizeof(double))))
            TW_TRY(tw_fail_memory(ctx, POINTS * 2 * sizeof(double)));
    if (t0 > 0) TW_TRY(move(k, &exact, 0, t0, NULL, k->from));
    TW_TRY(move(k, &exact, t0, t1, k->from, k->to));
done:
    return status;
}

static tw_status error_of(const subject *s, void (*mixture)(double *centre, tw_mixture *out), measured *out)
{
    known k = {0};
    tw_status status = TW_OK;
    TW_TRY(known_open(s, mixture, 0, 1, &k));
    TW_TRY(move(&k, &k.by.solver, 0, 1, NULL, k.got));
    *out = (measured){rms(POINTS, 2, k.got, k.to), (double)NAN};
done:
    known_close(s, &k);
    return status;
}

tw_status measure_bumps_error(const subject *s, measured *out)
{
    return error_of(s, bumps_mixture, out);
}

tw_status measure_cells_error(const subject *s, measured *out)
{
    return error_of(s, cells_mixture, out);
}

tw_status measure_bumps_order(const subject *s, measured *out)
{
    const double t0 = 0.1, t1 = 0.9;
    double error[2];
    known k = {0};
    tw_status status = TW_OK;
    TW_TRY(known_open(s, bumps_mixture, t0, t1, &k));
    if (k.by.solver.steps == 0) k.by.solver.steps = 50;
    for (int i = 0; i < 2; i++, k.by.solver.steps *= 2) {
        TW_TRY(move(&k, &k.by.solver, t0, t1, k.from, k.got));
        error[i] = rms(POINTS, 2, k.got, k.to);
    }
    *out = (measured){log2(error[0] / error[1]), (double)NAN};
done:
    known_close(s, &k);
    return status;
}

tw_status measure_bumps_inversion(const subject *s, measured *out)
{
    known k = {0};
    tw_status status = TW_OK;
    TW_TRY(known_open(s, bumps_mixture, 0, 1, &k));
    TW_TRY(move(&k, &k.by.solver, 1, 0, k.to, k.got));
    TW_TRY(move(&k, &k.by.solver, 0, 1, k.got, k.got));
    *out = (measured){rms(POINTS, 2, k.got, k.to), (double)NAN};
done:
    known_close(s, &k);
    return status;
}

/* --- of a trained flow ---------------------------------------------------------------------------------------------
 */

tw_status measure_solver_error(const subject *s, measured *out)
{
    cli *c = s->c;
    int columns = s->h.columns;
    tw_normaliser scale = {0};
    begin b = {0};
    tw_sample_desc desc = {.seed = opt_seed(&c->set, OPT_SEED),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .double_precision = true};
    tw_status status = TW_OK;
    double *rows = tw_alloc(c->ctx, 2 * POINTS, (size_t)columns * sizeof *rows), *other = rows + POINTS * columns;
    if (!rows) TW_TRY(tw_fail_memory(c->ctx, 2 * POINTS * (size_t)columns * sizeof *rows));
    TW_TRY(begin_open(c, &s->m, &s->h, POINTS, &b));
    begin_set(&b, &desc);
    desc.solver = solver_without_noise(c, &s->solver);
    TW_TRY(tw_sample(s->m.flow, POINTS, &desc, rows, NULL, NULL));
    desc.solver = exact;
    desc.solver.rtol = desc.solver.atol = 1e-8; /* of a network's weights, which are floats */
    TW_TRY(tw_sample(s->m.flow, POINTS, &desc, other, NULL, NULL));
    TW_TRY(tw_normaliser_fit(c->ctx, s->h.rows, columns, s->h.values, &scale));
    tw_normaliser_apply(&scale, 2 * POINTS, rows, rows);
    *out = (measured){rms(POINTS, columns, rows, other), 0};
done:
    tw_free(c->ctx, rows);
    begin_close(c, &b);
    tw_normaliser_free(c->ctx, &scale);
    return status;
}

tw_status measure_inversion(const subject *s, measured *out)
{
    cli *c = s->c;
    const held_out *h = &s->h;
    tw_normaliser scale = {0};
    tw_status status = TW_OK;
    int64_t n = tw_min_i64(opt_int(&c->set, OPT_N_EVAL), h->rows);
    double *rows = random_rows(c, 0, h->columns, h->rows, h->values, n);
    double *conditions = random_conditions(c, 0, h, s->m.about, n);
    double *back = tw_alloc(c->ctx, (size_t)n, (size_t)h->columns * sizeof *back);
    if (!rows || !back || (h->conditions && !conditions)) TW_TRY(tw_fail_memory(c->ctx, (size_t)n * sizeof *rows));
    tw_sample_desc desc = {.conditions = conditions, .from = rows, .solver = solver_without_noise(c, &s->solver)};
    desc.solver.t0 = 1;
    desc.solver.t1 = 0;
    TW_TRY(tw_sample(s->m.flow, n, &desc, back, NULL, NULL));
    desc.solver.t0 = 0;
    desc.solver.t1 = 1;
    desc.from = back;
    TW_TRY(tw_sample(s->m.flow, n, &desc, back, NULL, NULL));
    TW_TRY(tw_normaliser_fit(c->ctx, h->rows, h->columns, h->values, &scale));
    tw_normaliser_apply(&scale, n, rows, rows);
    tw_normaliser_apply(&scale, n, back, back);
    *out = (measured){rms(n, h->columns, rows, back), 0};
done:
    tw_free(c->ctx, rows);
    tw_free(c->ctx, back);
    tw_free(c->ctx, conditions);
    tw_normaliser_free(c->ctx, &scale);
    return status;
}

/* --- what a flow saves of its coupling ------------------------------------------------------------------------------
 */

/* Mean squares of what pairs, independent draws of both ends, go, and of what is left of that without the velocity. */
static tw_status look_at_pairs(const subject *s, known *k, double *out_all, double *out_varying)
{
    enum { STREAM = 73 };
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM};
    double *x = k->from, *way = k->to, *v = k->got, t[POINTS];
    tw_status status = TW_OK;
    *out_all = *out_varying = 0;
    for (int i = 0; i < POINTS; i++) {
        const double *centre = k->centre + 2 * tw_random_below(&random, BUMPS);
        t[i] = (i + 0.5) / POINTS;
        for (int j = 2 * i; j < 2 * i + 2; j++) {
            double x0 = tw_random_normal(&random),
                   x1 = centre[j % 2] + k->mixture.deviation * tw_random_normal(&random);
            x[j] = (1 - t[i]) * x0 + t[i] * x1;
            way[j] = x1 - x0;
        }
    }
    TW_TRY(tw_velocity(k->flow, POINTS, t, x, &k->by, v));
    for (int j = 0; j < 2 * POINTS; j++) {
        *out_all += way[j] * way[j] / POINTS;
        *out_varying += (way[j] - v[j]) * (way[j] - v[j]) / POINTS;
    }
done:
    return status;
}

/* Mean squares of what the flow goes, and of what its velocity differs from that on the way, by the trapezoidal rule.
 */
static tw_status look_at_paths(known *k, double *out_transport, double *out_bent)
{
    enum { FRAMES = 101 };
    double *path = tw_alloc(k->flow->ctx, FRAMES, 2 * POINTS * sizeof(double)), t[POINTS];
    tw_sample_desc desc = k->by;
    tw_status status = TW_OK;
    *out_transport = *out_bent = 0;
    if (!path) return tw_fail_memory(k->flow->ctx, (size_t)FRAMES * 2 * POINTS * sizeof(double));
    desc.solver = exact;
    desc.frames = FRAMES;
    TW_TRY(tw_sample(k->flow, POINTS, &desc, k->to, path, NULL));
    for (int f = 0; f < FRAMES; f++) {
        double share = (f == 0 || f == FRAMES - 1 ? 0.5 : 1) / (FRAMES - 1) / POINTS;
        for (int i = 0; i < POINTS; i++) t[i] = (double)f / (FRAMES - 1);
        TW_TRY(tw_velocity(k->flow, POINTS, t, path + (int64_t)f * 2 * POINTS, &k->by, k->got));
        for (int j = 0; j < 2 * POINTS; j++) *out_bent += share * pow(k->to[j] - path[j] - k->got[j], 2);
    }
    for (int j = 0; j < 2 * POINTS; j++) *out_transport += pow(k->to[j] - path[j], 2) / POINTS;
done:
    tw_free(k->flow->ctx, path);
    return status;
}

tw_status measure_rectification(const subject *s, measured *out)
{
    double all, varying, transport, bent;
    known k = {0};
    tw_status status = TW_OK;
    TW_TRY(known_open(s, bumps_mixture, 0.1, 0.9, &k));
    TW_TRY(look_at_pairs(s, &k, &all, &varying));
    TW_TRY(look_at_paths(&k, &transport, &bent));
    *out = (measured){fabs(transport + bent + varying - all) / all, 0};
done:
    known_close(s, &k);
    return status;
}
