/* measure_interpolant.c - measures of what a stochastic interpolant learns between two mixtures of Gaussians, in 2 and
 * in 8 columns, where velocity and score have closed forms (Albergo, Boffi, Vanden-Eijnden 2023, appendix A); and of
 * what an error of the velocity does to samples, in one column.
 *
 * Given components i and j, x_t is normal with mean m = (1-t) a_i + t b_j and per column variance
 * V = (1-t)^2 s_0^2 + t^2 s_1^2 + gamma^2, gamma^2 = t (1-t), so that over the weights w_ij(x) ~ N(x; m, V)
 *
 *   b = sum w (m' + V' / 2V (x - m)),   s = -sum w (x - m) / V
 *
 * Errors are relative, of both as functions on the path: sqrt(E|b_theta - b|^2 / E|b|^2), t in [0.05, 0.95], as the
 * score has no bound at the ends. */
#include "measures.h"

#include "base/philox.h"
#include "flow/flow.h"

#include <thalweg/sde.h>
#include <thalweg/thalweg.h>

#include <math.h>
#include <string.h>

enum { ROWS = 500000, POINTS = 4000, COMPONENTS = 4, MOST = 8, STREAM = 72 };
static const double SIZE[2] = {0.7, 0.6};

typedef struct world {
    tw_context *ctx;
    int columns;
    uint64_t seed;
    double centre[2][COMPONENTS][MOST];
    double *rows[2]; /* of source and data */
    tw_dataset *set[2];
    tw_flow *flow;
    tw_normaliser units; /* in which velocity and score are: the flow's, or {0}: those of the mixtures */
} world;

/* Centres two from the middle, in directions of their own on either side: the same in every run. */
static void place(world *w)
{
    tw_random random = {.seed = 1, .stream = STREAM};
    for (int side = 0; side < 2; side++)
        for (int k = 0; k < COMPONENTS; k++) {
            double length = 0, *c = w->centre[side][k];
            for (int d = 0; d < w->columns; d++) length += pow(c[d] = tw_random_normal(&random), 2);
            for (int d = 0; d < w->columns; d++) c[d] *= 2.5 / sqrt(length);
        }
}

static void draw(const world *w, int side, tw_random *random, double *out)
{
    const double *c = w->centre[side][tw_random_below(random, COMPONENTS)];
    for (int d = 0; d < w->columns; d++) out[d] = c[d] + SIZE[side] * tw_random_normal(random);
}

static tw_status train(world *w, int64_t steps)
{
    tw_flow_desc desc = {.method = "si",
                         .source = "data",
                         .columns = w->columns,
                         .seed = w->seed,
                         .network = {.width = w->columns == 2 ? 128 : 192, .depth = 3, .time_features = 16}};
    tw_status status = TW_OK;
    for (int side = 0; side < 2; side++) {
        tw_random random = {.seed = w->seed, .stream = (uint32_t)(STREAM + 1 + side)};
        if (!(w->rows[side] = tw_alloc(w->ctx, ROWS, (size_t)w->columns * sizeof(double))))
            TW_TRY(tw_fail_memory(w->ctx, ROWS * (size_t)w->columns * sizeof(double)));
        for (int64_t i = 0; i < ROWS; i++) draw(w, side, &random, w->rows[side] + i * w->columns);
        TW_TRY(tw_dataset_from_memory(w->ctx, ROWS, w->columns, w->rows[side], NULL, NULL, &w->set[side]));
    }
    TW_TRY(tw_flow_create(w->ctx, &desc, &w->flow));
    const tw_train_desc how = {.steps = steps > 0 ? steps : 8000,
                               .batch = w->columns == 2 ? 512 : 1024,
                               .seed = w->seed,
                               .source = w->set[0],
                               .lr = 3e-3};
    TW_TRY(tw_train(w->flow, w->set[1], &how, NULL));
    w->units = w->flow->normaliser;
done:
    return status;
}

static void world_close(world *w)
{
    tw_flow_destroy(w->flow);
    for (int side = 0; side < 2; side++) {
        tw_dataset_destroy(w->set[side]);
        tw_free(w->ctx, w->rows[side]);
    }
}

static double shift_of(const world *w, int column)
{
    return w->units.shift ? w->units.shift[column] : 0;
}

static double scale_of(const world *w, int column)
{
    return w->units.scale ? w->units.scale[column] : 1;
}

/* Velocity and score at x, in the world's units. */
static void exact(const world *w, double t, const double *x, double *b, double *s)
{
    double weight[COMPONENTS * COMPONENTS], most = -INFINITY, sum = 0;
    for (int pass = 0; pass < 2; pass++)
        for (int k = 0; k < COMPONENTS * COMPONENTS; k++) {
            const double *from = w->centre[0][k / COMPONENTS], *to = w->centre[1][k % COMPONENTS];
            double exponent = 0, share = pass ? exp(weight[k] - most) / sum : 0;
            for (int d = 0; d < w->columns; d++) {
                double unit = scale_of(w, d), a = (from[d] - shift_of(w, d)) / unit,
                       c = (to[d] - shift_of(w, d)) / unit;
                double v0 = pow(SIZE[0] / unit, 2), v1 = pow(SIZE[1] / unit, 2);
                double v = (1 - t) * (1 - t) * v0 + t * t * v1 + t * (1 - t);
                double dv = -2 * (1 - t) * v0 + 2 * t * v1 + 1 - 2 * t, off = x[d] - (1 - t) * a - t * c;
                exponent -= off * off / (2 * v) + 0.5 * log(v);
                if (pass && k == 0) b[d] = s[d] = 0;
                if (pass) b[d] += share * (c - a + dv / (2 * v) * off), s[d] -= share * off / v;
            }
            if (!pass) most = fmax(most, weight[k] = exponent);
            for (int i = 0; !pass && k + 1 == COMPONENTS * COMPONENTS && i <= k; i++) sum += exp(weight[i] - most);
        }
}

/* Points of the path at times spread over (0.05, 0.95), in the world's units. */
static void points(const world *w, double *t, double *x)
{
    tw_random random = {.seed = w->seed, .stream = STREAM + 3};
    double a[MOST], b[MOST];
    for (int i = 0; i < POINTS; i++) {
        t[i] = 0.05 + 0.9 * (i + 0.5) / POINTS;
        draw(w, 0, &random, a);
        draw(w, 1, &random, b);
        for (int d = 0; d < w->columns; d++)
            x[i * w->columns + d] = ((1 - t[i]) * a[d] + t[i] * b[d] - shift_of(w, d)) / scale_of(w, d) +
                                    sqrt(t[i] * (1 - t[i])) * tw_random_normal(&random);
    }
}

/* What the network says, both at once. */
static tw_status learned(const world *w, double *t, double *x, double *b, double *s)
{
    tw_flow_program *program = NULL;
    tw_state *run = NULL;
    const void **inputs = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_flow_program_get(w->flow, TW_FLOW_SCORE, true, &program));
    TW_TRY(tw_state_create(program->program, 1, &run));
    inputs = tw_alloc(w->ctx, (size_t)program->inputs_count, sizeof *inputs);
    if (!inputs) TW_TRY(tw_fail_memory(w->ctx, (size_t)program->inputs_count * sizeof *inputs));
    memcpy(inputs, program->inputs, (size_t)(program->inputs_count - 2) * sizeof *inputs);
    for (int64_t i = 0; i < POINTS; i += program->rows) {
        inputs[program->inputs_count - 2] = x + i * w->columns;
        inputs[program->inputs_count - 1] = t + i;
        void *outputs[] = {b + i * w->columns, s + i * w->columns};
        TW_TRY(tw_program_run(run, inputs, outputs, tw_min_i64(program->rows, POINTS - i)));
    }
done:
    tw_state_destroy(run);
    tw_free(w->ctx, inputs);
    return status;
}

static tw_status compare(const world *w, double error[2])
{
    size_t wide = (size_t)w->columns, count = POINTS * (3 * wide + 1);
    double off[2] = {0}, size[2] = {0}, field[2][MOST];
    tw_status status = TW_OK;
    double *t = tw_alloc(w->ctx, count, sizeof(double)), *x = t + POINTS, *got[2];
    if (!t) return tw_fail_memory(w->ctx, count * sizeof(double));
    got[0] = x + POINTS * wide;
    got[1] = got[0] + POINTS * wide;
    points(w, t, x);
    TW_TRY(learned(w, t, x, got[0], got[1]));
    for (size_t i = 0; i < POINTS; i++) {
        exact(w, t[i], x + i * wide, field[0], field[1]);
        for (int of = 0; of < 2; of++)
            for (size_t d = 0; d < wide; d++) {
                off[of] += pow(got[of][i * wide + d] - field[of][d], 2);
                size[of] += pow(field[of][d], 2);
            }
    }
    for (int of = 0; of < 2; of++) error[of] = sqrt(off[of] / size[of]);
done:
    tw_free(w->ctx, t);
    return status;
}

/* Both errors of one training: kept for the measure that asks for the other. */
static tw_status find(const subject *s, int columns, int of, measured *out)
{
    const char *name = columns == 2 ? "interpolant 2" : "interpolant 8";
    world w = {.ctx = s->c->ctx, .columns = columns, .seed = opt_seed(&s->c->set, OPT_SEED)};
    int64_t steps = opt_int(&s->c->set, OPT_SOLVER_STEPS);
    tw_status status = TW_OK;
    const finding *known = finding_of(s->found, name, w.seed, steps);
    finding now = {.of = name, .seed = w.seed, .steps = steps};
    if (!known) {
        place(&w);
        TW_TRY(train(&w, steps));
        TW_TRY(compare(&w, now.value));
        known = finding_keep(s->found, &now);
    }
    *out = (measured){known->value[of], (double)NAN};
done:
    world_close(&w);
    return status;
}

tw_status measure_interpolant_velocity_2(const subject *s, measured *out)
{
    return find(s, 2, 0, out);
}

tw_status measure_interpolant_score_2(const subject *s, measured *out)
{
    return find(s, 2, 1, out);
}

tw_status measure_interpolant_velocity_8(const subject *s, measured *out)
{
    return find(s, 8, 0, out);
}

tw_status measure_interpolant_score_8(const subject *s, measured *out)
{
    return find(s, 8, 1, out);
}

/* --- an error of the velocity --------------------------------------------------------------------------------------
 *
 * Of b + delta in place of b the equation dX = (b + delta + eps s) dt + sqrt(2 eps) dW ends in a law no farther from
 * the data than KL <= 1/(4 eps) int E|delta(t, x_t)|^2 dt (section 2.4: theorem 23 there, by Girsanov), of whatever
 * shape delta is. A flow has no such bound: what counts there is how delta squeezes space. Here delta is a ripple,
 * small and steep, of which the equation knows nothing and the flow makes needles. */

enum { PARTICLES = 20000, RIPPLE_STEPS = 100, BINS = 50 };
static const double RIPPLE_SIZE = 0.5, RIPPLE_WAVES = 20, EDGE = 5;

typedef struct rippled {
    const world *w;
    double diffusion; /* eps */
} rippled;

static tw_status rippled_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const rippled *r = user;
    for (int64_t i = 0; i < rows; i++) {
        double b, s;
        exact(r->w, t[i], x + i, &b, &s);
        out[i] = b + RIPPLE_SIZE * sin(RIPPLE_WAVES * x[i]) + r->diffusion * s;
    }
    return TW_OK;
}

static tw_status rippled_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const rippled *r = user;
    (void)t;
    (void)x;
    for (int64_t i = 0; i < rows; i++) out[i] = sqrt(2 * r->diffusion);
    return TW_OK;
}

/* KL(data | samples) over bins, one of them for all beyond; half a sample more in each. */
static double divergence(const world *w, const double *x)
{
    double share[BINS + 1], all = 0, kl = 0;
    for (int k = 0; k <= BINS; k++) share[k] = 0.5 / (PARTICLES + 0.5 * (BINS + 1));
    for (int64_t i = 0; i < PARTICLES; i++) {
        int bin = fabs(x[i]) < EDGE ? (int)((x[i] + EDGE) * BINS / (2 * EDGE)) : BINS;
        share[bin] += 1 / (PARTICLES + 0.5 * (BINS + 1));
    }
    for (int k = 0; k <= BINS; k++) {
        double from = 2 * EDGE * k / BINS - EDGE, to = from + 2 * EDGE / BINS, p = 0;
        for (int c = 0; c < COMPONENTS && k < BINS; c++) {
            double centre = w->centre[1][c][0], size = SIZE[1] * sqrt(2);
            p += (erf((to - centre) / size) - erf((from - centre) / size)) / 2 / COMPONENTS;
        }
        all += k < BINS ? p : 0;
        if (k == BINS) p = fmax(1 - all, 1e-12);
        kl += p > 0 ? p * log(p / share[k]) : 0;
    }
    return kl;
}

/* The divergence of samples taken with this diffusion, and the integral of E delta^2. */
static tw_status ripple(const subject *s, double diffusion, double *out_kl, double *out_size)
{
    world w = {.ctx = s->c->ctx, .columns = 1, .seed = opt_seed(&s->c->set, OPT_SEED)};
    rippled r = {&w, diffusion};
    const tw_sde_equation equation = {
        .noise = TW_SDE_DIAGONAL, .columns = 1, .drift = rippled_drift, .diffusion = rippled_diffusion, .user = &r};
    const tw_sde_desc how = {.method = "euler", .steps = RIPPLE_STEPS, .seed = w.seed, .stream = STREAM + 4};
    tw_random random = {.seed = w.seed, .stream = STREAM + 5};
    tw_status status = TW_OK;
    double *x = tw_alloc(w.ctx, PARTICLES + 2 * (size_t)POINTS, sizeof(double)), *t = x + PARTICLES, *on = t + POINTS;
    if (!x) return tw_fail_memory(w.ctx, (PARTICLES + 2 * (size_t)POINTS) * sizeof(double));
    place(&w);
    for (int i = 0; i < PARTICLES; i++) draw(&w, 0, &random, x + i);
    TW_TRY(tw_sde_solve(w.ctx, &equation, &how, PARTICLES, x, NULL, NULL));
    *out_kl = divergence(&w, x);
    points(&w, t, on);
    *out_size = 0;
    for (int i = 0; i < POINTS; i++) *out_size += pow(RIPPLE_SIZE * sin(RIPPLE_WAVES * on[i]), 2) / POINTS;
done:
    tw_free(w.ctx, x);
    return status;
}

/* What finite samples of the data itself would have. */
static const double RIPPLE_FLOOR = BINS / (2.0 * PARTICLES);

tw_status measure_ripple_noise(const subject *s, measured *out)
{
    const double diffusion[] = {0.25, 1, 4};
    tw_status status = TW_OK;
    *out = (measured){0, 0};
    for (int i = 0; i < TW_COUNT(diffusion); i++) {
        double kl, size;
        TW_TRY(ripple(s, diffusion[i], &kl, &size));
        double bound = size / (4 * diffusion[i]);
        out->value = fmax(out->value, kl / bound);
        out->floor = fmax(out->floor, RIPPLE_FLOOR / bound);
    }
done:
    return status;
}

tw_status measure_ripple_flow(const subject *s, measured *out)
{
    double kl, size;
    tw_status status = ripple(s, 0, &kl, &size);
    if (status == TW_OK) *out = (measured){kl / (size / 4), RIPPLE_FLOOR / (size / 4)};
    return status;
}
