/* measure_dflow.c - measures of gradients through a trained flow and of source points found by them (D-Flow, Ben-Hamu
 * et al. 2024): against differences, an observation that is not linear, whether what is found is still data, and what
 * is found where that has a closed form. */
#include "measures.h"

#include "base/philox.h"
#include "flow/flow.h"
#include "flow/mixture.h"
#include "flow/observation.h"

#include <thalweg/gradient.h>

#include <math.h>
#include <string.h>

enum { POINTS = 24, STREAM = 60 };

/* What is observed of a row, and how well a row fits: sum of (what(x) - y)^2 / (2 deviation^2). */
typedef struct observation {
    int columns;
    bool length; /* |x|^2, else the first column */
    double deviation;
    const double *y; /* (n) */
} observation;

static double observe(const observation *o, const double *x)
{
    double square = 0;
    if (!o->length) return x[0];
    for (int j = 0; j < o->columns; j++) square += x[j] * x[j];
    return square;
}

static tw_status misfit(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    const observation *o = user;
    double scale = 1 / (o->deviation * o->deviation);
    *out_loss = 0;
    for (int64_t i = 0; i < n; i++, x += o->columns, out_dx += o->columns) {
        double miss = observe(o, x) - o->y[i];
        *out_loss += scale * miss * miss / 2;
        for (int j = 0; j < o->columns; j++)
            out_dx[j] = o->length ? 2 * scale * miss * x[j] : j == 0 ? scale * miss : 0;
    }
    return TW_OK;
}

/* A flow, POINTS held-out rows, what is observed of them, and source points to begin at. */
typedef struct problem {
    const subject *s;
    double *rows, *x0, *x1, y[POINTS];
    observation seen;
    tw_sample_desc sample;
} problem;

static tw_status open_problem(const subject *s, bool length, problem *p)
{
    cli *c = s->c;
    tw_status status = TW_OK;
    *p = (problem){.s = s, .sample = {.double_precision = true, .solver = solver_without_noise(c, &s->solver)}};
    size_t numbers = (size_t)POINTS * (size_t)s->h.columns;
    if (s->h.rows < POINTS) TW_TRY(tw_fail(c->ctx, TW_ERR_INVALID, "%d held-out rows are needed", POINTS));
    p->rows = random_rows(c, 0, p->s->h.columns, p->s->h.rows, p->s->h.values, POINTS);
    p->x0 = tw_alloc(c->ctx, numbers, sizeof(double));
    p->x1 = tw_alloc(c->ctx, numbers, sizeof(double));
    if (!p->rows || !p->x0 || !p->x1) TW_TRY(tw_fail_memory(c->ctx, numbers * sizeof(double)));
    tw_random random = {.seed = opt_seed(&c->set, OPT_SEED), .stream = STREAM};
    for (size_t i = 0; i < numbers; i++) p->x0[i] = tw_random_normal(&random);
    p->seen = (observation){.columns = p->s->h.columns, .length = length, .deviation = 0.05, .y = p->y};
    for (int i = 0; i < POINTS; i++) p->y[i] = observe(&p->seen, p->rows + i * p->s->h.columns);
done:
    return status;
}

static void close_problem(problem *p)
{
    tw_context *ctx = p->s->c->ctx;
    tw_free(ctx, p->rows);
    tw_free(ctx, p->x0);
    tw_free(ctx, p->x1);
}

static tw_flow_gradient_desc gradient_of(problem *p)
{
    return (tw_flow_gradient_desc){.sample = &p->sample, .loss = misfit, .user = &p->seen};
}

/* Largest difference from central differences over the largest entry, of the derivative in all source points. */
static tw_status compare(problem *p, double *out_error)
{
    const double step = 1e-5;
    tw_flow_gradient_desc desc = gradient_of(p);
    int64_t count = (int64_t)POINTS * p->s->h.columns;
    double worst = 0, largest = 0, loss[3];
    tw_status status = TW_OK;
    double *slope = tw_alloc(p->s->c->ctx, 2 * (size_t)count, sizeof *slope), *other = slope + count;
    if (!slope) return tw_fail_memory(p->s->c->ctx, 2 * (size_t)count * sizeof *slope);
    TW_TRY(tw_flow_gradient(p->s->m.flow, &desc, POINTS, p->x0, NULL, &loss[0], slope, NULL, NULL));
    for (int64_t i = 0; i < count; i++) {
        double keep = p->x0[i];
        for (int side = 1; side < 3; side++) {
            p->x0[i] = keep + (side == 1 ? step : -step);
            TW_TRY(tw_flow_gradient(p->s->m.flow, &desc, POINTS, p->x0, NULL, &loss[side], other, NULL, NULL));
        }
        p->x0[i] = keep;
        worst = fmax(worst, fabs(slope[i] - (loss[1] - loss[2]) / (2 * step)));
        largest = fmax(largest, fabs(slope[i]));
    }
    *out_error = worst / largest;
done:
    tw_free(p->s->c->ctx, slope);
    return status;
}

tw_status measure_gradient_error(const subject *s, measured *out)
{
    problem p;
    tw_status status = open_problem(s, true, &p);
    out->floor = 0;
    if (status == TW_OK) status = compare(&p, &out->value);
    close_problem(&p);
    return status;
}

/* Finds source points whose samples show what was observed. */
static tw_status search(problem *p)
{
    tw_source_search_desc desc = {.gradient = gradient_of(p), .lambda = 1e-2};
    return tw_source_search(p->s->m.flow, &desc, POINTS, p->x0, p->x1, NULL);
}

tw_status measure_dflow_residual(const subject *s, measured *out)
{
    problem p;
    double worst = 0;
    tw_status status = open_problem(s, true, &p);
    if (status == TW_OK) status = search(&p);
    for (int i = 0; i < POINTS && status == TW_OK; i++)
        worst = fmax(worst, fabs(observe(&p.seen, p.x1 + i * s->h.columns) - p.y[i]) / p.seen.deviation);
    *out = (measured){worst, 0};
    close_problem(&p);
    return status;
}

/* How much less likely rows are than held-out ones, nats a row; far ones count as 100. */
static tw_status lack_of_density(const problem *p, const double *x, double *out)
{
    double typical = 0, found = 0, log_density;
    for (int64_t i = 0; i < p->s->h.rows; i++) {
        if (!tw_dataset_log_density(p->s->h.data, p->s->h.values + i * p->s->h.columns, &log_density))
            return tw_fail(p->s->c->ctx, TW_ERR_INVALID, "the density of '%s' is not known", p->s->h.label);
        typical += log_density / (double)p->s->h.rows;
    }
    for (int i = 0; i < POINTS; i++) {
        tw_dataset_log_density(p->s->h.data, x + i * p->s->h.columns, &log_density);
        found += fmax(log_density, typical - 100) / POINTS;
    }
    *out = typical - found;
    return TW_OK;
}

tw_status measure_dflow_lack(const subject *s, measured *out)
{
    problem p;
    tw_status status = open_problem(s, false, &p);
    out->floor = 0;
    if (status == TW_OK) status = search(&p);
    if (status == TW_OK) status = lack_of_density(&p, p.x1, &out->value);
    close_problem(&p);
    return status;
}

/* The same observations made to hold by moving the samples themselves: the first column becomes what it should be. */
tw_status measure_direct_lack(const subject *s, measured *out)
{
    problem p;
    double loss;
    double *slope = NULL;
    tw_status status = open_problem(s, false, &p);
    out->floor = 0;
    if (status != TW_OK) goto done;
    tw_flow_gradient_desc desc = gradient_of(&p);
    slope = tw_alloc(s->c->ctx, (size_t)POINTS * (size_t)s->h.columns, sizeof *slope);
    if (!slope) TW_TRY(tw_fail_memory(s->c->ctx, (size_t)POINTS * (size_t)s->h.columns * sizeof *slope));
    TW_TRY(tw_flow_gradient(s->m.flow, &desc, POINTS, p.x0, p.x1, &loss, slope, NULL, NULL));
    for (int i = 0; i < POINTS; i++) p.x1[i * s->h.columns] = p.y[i];
    TW_TRY(lack_of_density(&p, p.x1, &out->value));
done:
    tw_free(s->c->ctx, slope);
    close_problem(&p);
    return status;
}

/* --- linear observations of normal data ----------------------------------------------------------------------------
 *
 * The exact flow of N(0, s^2 I) takes x0 to s x0, its columns have units of their own, and of x six numbers A x are
 * known. Descending from x0 moves along the rows of A in the flow's units alone, so that without a penalty the end is
 * x0's projection, in those units, on what was observed: not the data's nearest point. */

enum { WIDE = 10, SEEN = 6, STARTS = 8 };
static const double LINEAR_DEVIATION = 0.7;

typedef struct linear {
    double matrix[SEEN * WIDE], y[SEEN];
    tw_flow *flow;
    double start[STARTS * WIDE], x0[STARTS * WIDE], x1[STARTS * WIDE];
} linear;

static double miss_of(const linear *l, int k, const double *x)
{
    double miss = -l->y[k];
    for (int j = 0; j < WIDE; j++) miss += l->matrix[k * WIDE + j] * x[j];
    return miss;
}

static tw_status linear_misfit(void *user, int64_t n, const double *x, double *out_loss, double *out_dx)
{
    const linear *l = user;
    *out_loss = 0;
    memset(out_dx, 0, (size_t)(n * WIDE) * sizeof *out_dx);
    for (int64_t i = 0; i < n * SEEN; i++) {
        int k = (int)(i % SEEN);
        double miss = miss_of(l, k, x + i / SEEN * WIDE);
        *out_loss += miss * miss / 2;
        for (int j = 0; j < WIDE; j++) out_dx[i / SEEN * WIDE + j] += miss * l->matrix[k * WIDE + j];
    }
    return TW_OK;
}

static const tw_mixture normal_data = {.columns = WIDE, .components = 1, .deviation = LINEAR_DEVIATION};

static tw_status linear_open(const subject *s, linear *l)
{
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM + 1};
    tw_status status = tw_flow_create_exact(s->c->ctx, &normal_data, NULL, &l->flow);
    for (int i = 0; i < SEEN * WIDE; i++) l->matrix[i] = tw_random_normal(&random) / sqrt(WIDE);
    for (int i = 0; i < SEEN; i++) l->y[i] = tw_random_normal(&random);
    for (int i = 0; i < STARTS * WIDE; i++) l->start[i] = tw_random_normal(&random);
    for (int j = 0; j < WIDE && status == TW_OK; j++) {
        l->flow->normaliser.shift[j] = 0.1 * j;
        l->flow->normaliser.scale[j] = 0.5 + 0.2 * j;
    }
    return status;
}

static tw_status linear_search(double penalty, linear *l)
{
    const tw_sample_desc sample = {.double_precision = true, .solver = {.rtol = 1e-9, .atol = 1e-9}};
    const tw_source_search_desc desc = {.gradient = {.sample = &sample, .loss = linear_misfit, .user = l},
                                        .lambda = penalty,
                                        .iterations = 1000,
                                        .tolerance = 1e-9};
    memcpy(l->x0, l->start, sizeof l->x0);
    return tw_source_search(l->flow, &desc, STARTS, l->x0, l->x1, NULL);
}

tw_status measure_dflow_linear_order(const subject *s, measured *out)
{
    linear l = {.flow = NULL};
    const double penalty[2] = {1e-3, 1e-5};
    double square[2] = {0};
    tw_status status = TW_OK;
    TW_TRY(linear_open(s, &l));
    for (int of = 0; of < 2; of++) {
        TW_TRY(linear_search(penalty[of], &l));
        for (int i = 0; i < STARTS * SEEN; i++) square[of] += pow(miss_of(&l, i % SEEN, l.x1 + i / SEEN * WIDE), 2);
    }
    *out = (measured){log(square[0] / square[1]) / 2 / log(penalty[0] / penalty[1]), (double)NAN};
done:
    tw_flow_destroy(l.flow);
    return status;
}

tw_status measure_dflow_projection(const subject *s, measured *out)
{
    linear l = {.flow = NULL};
    tw_observation o = {0};
    tw_status status = TW_OK;
    double off = 0, way = 0;
    TW_TRY(linear_open(s, &l));
    TW_TRY(linear_search(0, &l));
    const tw_inverse_desc seen = {.observed = l.y, .same_observed = true, .measures = SEEN, .matrix = l.matrix};
    TW_TRY(tw_observation_make(l.flow, STARTS, &seen, &o));
    for (int i = 0; i < STARTS; i++) {
        double at[WIDE];
        memcpy(at, l.start + i * WIDE, sizeof at);
        for (int k = 0; k < SEEN; k++) {
            const double *row = o.row + k * WIDE;
            double miss = o.y[k] / LINEAR_DEVIATION;
            for (int j = 0; j < WIDE; j++) miss -= row[j] * l.start[i * WIDE + j];
            for (int j = 0; j < WIDE; j++) at[j] += miss / o.length2[k] * row[j];
        }
        for (int j = 0; j < WIDE; j++) {
            off += pow(l.x0[i * WIDE + j] - at[j], 2);
            way += pow(l.start[i * WIDE + j] - at[j], 2);
        }
    }
    *out = (measured){sqrt(off / way), 0};
done:
    tw_observation_free(s->c->ctx, &o);
    tw_flow_destroy(l.flow);
    return status;
}
