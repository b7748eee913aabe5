/* measure_latent.c - measures of latent stochastic equations (latent.h), learned from series of which everything is
 * known (Li, Wong, Chen, Duvenaud 2020, Scalable gradients for stochastic differential equations, section 9):
 *
 *   geometric motion   dx = x dt + x/2 dW from 0.1 + N(0, 0.03^2), 51 observations over a unit of time with deviation
 *                      0.01: the diffusion is learned
 *   Lorenz's system    sigma 10, rho 28, beta 8/3, with noise of 0.15 in each coordinate, standardised, seen every 0.02
 *                      with deviation 0.01: observations are smoothed, and the prior goes round both lobes */
#include "latent.h"
#include "measures.h"

#include "base/philox.h"
#include "train/learner.h"

#include <math.h>
#include <string.h>

enum { SERIES = 1024, BATCH = 64, INTERVALS = 50, STREAM = 62, SIDES = 2 };
static const double INTERVAL = 0.02, NOISE = 0.01;

/* --- the series --------------------------------------------------------------------------------------------------- */

/* Writes `columns` numbers at INTERVALS + 1 times. */
typedef void (*path_fn)(tw_random *random, int intervals, double *out);

static void geometric_path(tw_random *random, int intervals, double *out)
{
    const double growth = 1, diffusion = 0.5;
    double x = 0.1 + 0.03 * tw_random_normal(random);
    for (int i = 0; i <= intervals; i++) {
        out[i] = x;
        x *= exp((growth - diffusion * diffusion / 2) * INTERVAL +
                 diffusion * sqrt(INTERVAL) * tw_random_normal(random));
    }
}

/* Units in which its coordinates have mean 0 and deviation 1. */
static const double LORENZ_MIDDLE[3] = {0, 0, 23.5}, LORENZ_SIZE[3] = {8, 9, 8.6};

static void lorenz_step(tw_random *random, double h, double noise, double x[3])
{
    double d[3] = {10 * (x[1] - x[0]), x[0] * (28 - x[2]) - x[1], x[0] * x[1] - 8.0 / 3 * x[2]};
    for (int k = 0; k < 3; k++) x[k] += h * d[k] + (noise > 0 ? noise * sqrt(h) * tw_random_normal(random) : 0);
}

/* From somewhere on the attractor. */
static void lorenz_path(tw_random *random, int intervals, double *out)
{
    enum { FINE = 20, BEFORE = 1000 };
    double x[3];
    for (int k = 0; k < 3; k++) x[k] = 1 + tw_random_normal(random);
    for (int i = 0; i < BEFORE; i++) lorenz_step(random, 0.005, 0, x);
    for (int i = 0; i <= intervals; i++) {
        for (int k = 0; k < 3; k++) out[3 * i + k] = (x[k] - LORENZ_MIDDLE[k]) / LORENZ_SIZE[k];
        for (int f = 0; f < FINE; f++) lorenz_step(random, INTERVAL / FINE, 0.15, x);
    }
}

/* Series to learn from, one more batch held out, and what that was before noise was added. */
typedef struct world {
    int columns;
    float *seen;             /* (SERIES, INTERVALS + 1, columns) */
    float *held_out, *truth; /* (INTERVALS + 1, BATCH, columns) */
    float *batch;            /* the same, of what is learned from */
} world;

static tw_status world_open(tw_context *ctx, path_fn path, int columns, tw_random *random, world *w)
{
    enum { TIMES = INTERVALS + 1 };
    double one[TIMES * 3];
    size_t batch = (size_t)(BATCH * TIMES * columns);
    *w = (world){.columns = columns};
    w->seen = tw_alloc(ctx, (size_t)(SERIES * TIMES * columns), sizeof(float));
    w->held_out = tw_alloc(ctx, batch, sizeof(float));
    w->truth = tw_alloc(ctx, batch, sizeof(float));
    w->batch = tw_alloc(ctx, batch, sizeof(float));
    if (!w->seen || !w->held_out || !w->truth || !w->batch) return tw_fail_memory(ctx, batch * sizeof(float));
    for (int s = 0; s < SERIES + BATCH; s++) {
        path(random, INTERVALS, one);
        for (int i = 0; i < TIMES * columns; i++) {
            float seen = (float)(one[i] + NOISE * tw_random_normal(random));
            int64_t at = ((int64_t)(i / columns) * BATCH + s - SERIES) * columns + i % columns;
            if (s < SERIES)
                w->seen[(int64_t)s * TIMES * columns + i] = seen;
            else
                w->held_out[at] = seen, w->truth[at] = (float)one[i];
        }
    }
    return TW_OK;
}

static void world_close(tw_context *ctx, world *w)
{
    tw_free(ctx, w->seen);
    tw_free(ctx, w->held_out);
    tw_free(ctx, w->truth);
    tw_free(ctx, w->batch);
}

static void draw_batch(world *w, tw_random *random)
{
    enum { TIMES = INTERVALS + 1 };
    for (int b = 0; b < BATCH; b++) {
        int64_t s = (int64_t)(tw_random_uniform(random) * SERIES);
        for (int i = 0; i < TIMES; i++)
            memcpy(w->batch + (i * BATCH + b) * w->columns, w->seen + (s * TIMES + i) * w->columns,
                   (size_t)w->columns * sizeof(float));
    }
}

/* --- learning ----------------------------------------------------------------------------------------------------- */

static latent_desc describe(bool geometric)
{
    return (latent_desc){.columns = geometric ? 1 : 3,
                         .rows = BATCH,
                         .intervals = INTERVALS,
                         .substeps = geometric ? 10 : 2,
                         .interval = INTERVAL,
                         .noise = NOISE,
                         .geometric = geometric};
}

/* The rate falls to nothing; divergences begin to count within the first steps. */
static tw_status learn(const subject *s, latent *m, world *w, tw_random *random, tw_learner **out_learner)
{
    enum { ANNEALED = 50 };
    int64_t steps = opt_int(&s->c->set, OPT_SOLVER_STEPS);
    uint64_t seed = opt_seed(&s->c->set, OPT_SEED);
    uint32_t key[2] = {(uint32_t)seed, STREAM}, counter[2] = {0};
    float weight = 0;
    tw_learner *l = NULL;
    tw_status status = TW_OK;
    const tw_val inputs[] = {m->y, m->key, m->counter, m->weight};
    const void *fed[] = {w->batch, key, counter, &weight};
    const tw_learner_desc desc = {
        .params = m->params, .loss = m->loss, .inputs_count = TW_COUNT(inputs), .inputs = inputs, .seed = seed};
    if (steps < 1) return tw_fail(s->c->ctx, TW_ERR_INVALID, "steps: how many a latent equation is trained for");
    TW_TRY(tw_learner_create(s->c->ctx, &desc, &l));
    for (int64_t n = 0; n < steps; n++) {
        double left = 1 - (double)n / (double)steps;
        float loss;
        counter[0] = (uint32_t)n;
        weight = fminf(1, (float)(n + 1) / ANNEALED);
        draw_batch(w, random);
        TW_TRY(tw_learner_step(l, 0.01 * left, fed, NULL, &loss));
    }
    *out_learner = l;
    l = NULL;
done:
    tw_learner_destroy(l);
    return status;
}

tw_status measure_latent_sigma(const subject *s, measured *out)
{
    const latent_desc desc = describe(true);
    tw_context *ctx = s->c->ctx;
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM};
    float diffusion;
    latent m = {0};
    world w = {0};
    tw_learner *l = NULL;
    tw_status status = TW_OK;
    TW_TRY(world_open(ctx, geometric_path, 1, &random, &w));
    TW_TRY(latent_open(ctx, &desc, &m));
    TW_TRY(learn(s, &m, &w, &random, &l));
    TW_TRY(latent_evaluate(&m, m.diffusion, tw_learner_weights(l), NULL, 0, &diffusion));
    *out = (measured){fabs((double)diffusion / 0.5 - 1), 0};
done:
    tw_learner_destroy(l);
    latent_close(&m);
    world_close(ctx, &w);
    return status;
}
/* The same graph with one drift: what is left is the sum of zeros. */
tw_status measure_latent_coincide(const subject *s, measured *out)
{
    latent_desc desc = describe(true);
    tw_context *ctx = s->c->ctx;
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM};
    float divergence, *weights = NULL;
    latent m = {0};
    world w = {0};
    tw_status status = TW_OK;
    desc.coincide = true;
    TW_TRY(world_open(ctx, geometric_path, 1, &random, &w));
    TW_TRY(latent_open(ctx, &desc, &m));
    weights = tw_alloc(ctx, (size_t)tw_params_size(m.params), sizeof *weights);
    if (!weights) TW_TRY(tw_fail_memory(ctx, (size_t)tw_params_size(m.params) * sizeof *weights));
    tw_params_init(m.params, random.seed, weights);
    TW_TRY(latent_evaluate(&m, m.divergence, weights, w.held_out, random.seed, &divergence));
    *out = (measured){(double)divergence, 0};
done:
    tw_free(ctx, weights);
    latent_close(&m);
    world_close(ctx, &w);
    return status;
}

/* --- Lorenz's system ---------------------------------------------------------------------------------------------- */

enum { PATHS = 20, PATH_INTERVALS = 200 };

/* The smaller share of paths (steps, PATHS, 3), standardised, that go round one centre, or the other: through the plane
 * of the centres, z = 27, farther out than they are. */
static double both_lobes(int64_t steps, const float *paths)
{
    const double out = sqrt(72) / LORENZ_SIZE[0], height = (27 - LORENZ_MIDDLE[2]) / LORENZ_SIZE[2];
    double share[SIDES] = {0};
    for (int p = 0; p < PATHS; p++) {
        bool round[SIDES] = {false};
        for (int64_t n = 0; n + 1 < steps; n++) {
            const float *now = paths + (n * PATHS + p) * 3, *next = now + (int64_t)PATHS * 3;
            bool passes = ((double)now[2] < height) != ((double)next[2] < height);
            round[0] |= passes && (double)now[0] > out;
            round[1] |= passes && (double)now[0] < -out;
        }
        for (int side = 0; side < SIDES; side++) share[side] += round[side] ? 1.0 / PATHS : 0;
    }
    return fmin(share[0], share[1]);
}

static void true_paths(tw_random *random, float *out)
{
    double one[(PATH_INTERVALS + 1) * 3];
    for (int p = 0; p < PATHS; p++) {
        lorenz_path(random, PATH_INTERVALS, one);
        for (int i = 0; i < PATH_INTERVALS; i++)
            for (int k = 0; k < 3; k++) out[(i * PATHS + p) * 3 + k] = (float)one[3 * i + k];
    }
}

enum { MISFIT, LOBES, TRUE_LOBES };

/* Both measures come from one training. */
static tw_status lorenz(const subject *s, finding *out)
{
    static const char name[] = "lorenz";
    const latent_desc desc = describe(false);
    tw_context *ctx = s->c->ctx;
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM};
    finding found = {.of = name, .seed = random.seed, .steps = opt_int(&s->c->set, OPT_SOLVER_STEPS)};
    int64_t steps = (int64_t)PATH_INTERVALS * desc.substeps, states = (INTERVALS + 1) * BATCH * 3;
    float *path = NULL, *state = NULL;
    latent m = {0};
    world w = {0};
    tw_learner *l = NULL;
    tw_status status = TW_OK;
    const finding *known = finding_of(s->found, name, found.seed, found.steps);
    if (known) return *out = *known, TW_OK;
    path = tw_alloc(ctx, (size_t)(steps * PATHS * 3), sizeof *path);
    state = tw_alloc(ctx, (size_t)states, sizeof *state);
    if (!path || !state) TW_TRY(tw_fail_memory(ctx, (size_t)(steps * PATHS * 3) * sizeof *path));
    TW_TRY(world_open(ctx, lorenz_path, 3, &random, &w));
    TW_TRY(latent_open(ctx, &desc, &m));
    tw_val prior = latent_prior(&m, PATHS, (int)steps);
    TW_TRY(learn(s, &m, &w, &random, &l));
    const float *weights = tw_learner_weights(l);
    TW_TRY(latent_evaluate(&m, m.states, weights, w.held_out, random.seed, state));
    for (int64_t i = 0; i < states; i++) {
        double miss = (double)(state[i] - w.truth[i]);
        found.value[MISFIT] += miss * miss / (NOISE * NOISE * (double)states);
    }
    TW_TRY(latent_evaluate(&m, prior, weights, NULL, random.seed, path));
    found.value[LOBES] = both_lobes(steps, path);
    true_paths(&random, path);
    found.value[TRUE_LOBES] = both_lobes(PATH_INTERVALS, path);
    *out = *finding_keep(s->found, &found);
done:
    tw_learner_destroy(l);
    latent_close(&m);
    world_close(ctx, &w);
    tw_free(ctx, path);
    tw_free(ctx, state);
    return status;
}

tw_status measure_latent_misfit(const subject *s, measured *out)
{
    finding found;
    tw_status status = lorenz(s, &found);
    if (status == TW_OK) *out = (measured){found.value[MISFIT], (double)NAN};
    return status;
}

tw_status measure_latent_lobes(const subject *s, measured *out)
{
    finding found;
    tw_status status = lorenz(s, &found);
    if (status == TW_OK) *out = (measured){found.value[LOBES], found.value[TRUE_LOBES]};
    return status;
}
