/* What edits cost: in a small world, by sums over all places and choices, the bound is -log p where it is tight, and
 * never below -log p of the chain itself, whose law at the end is found by its differential equation over all
 * sequences. */
#include "solve/edit_bound.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/base.h"
#include "support/edit_world.h"
#include "support/own_context.h"

enum { CELLS = 200, CHOICES = 1 << WORLD_PLACES, GOALS = TW_COUNT(world_goals), STARTS = TW_COUNT(world_starts) };

static tw_schedule schedule_of(const char *text)
{
    tw_schedule s;
    if (tw_piece_read(ctx, "schedule", text, tw_schedule_list, &s) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return s;
}

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, expected %.17g", got, want);
}

/* An oracle that is wrong: more is expected here, less there, and other tokens. */
static bool distorted;

static tw_status answer(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x, float *out)
{
    const world_oracle *o = user;
    int outputs = tw_edit_outputs(&o->world->path), kinds = tw_edit_kinds(&o->world->path), slots = o->world->width + 1;
    tw_status status = world_ask(user, rows, row, t, x, out);
    for (int64_t i = 0; distorted && i < rows * slots; i++)
        for (int k = 0; k < outputs; k++)
            out[i * outputs + k] += k < kinds ? 0.3f * sinf((float)(1 + 3 * (i % slots))) : 0.4f * (float)((i + k) % 2);
    return status;
}

/* The cost of a pair at a place, its mean over all choices of what is done by then. */
static double mean_cost(const edit_world *w, const world_pair *pair, double place, double fastest)
{
    static world_oracle o;
    static int32_t z0[CHOICES * WORLD_PLACES], z1[CHOICES * WORLD_PLACES];
    static double u[CHOICES * WORLD_PLACES], places[CHOICES], cost[CHOICES];
    static int64_t row[CHOICES];
    int choices = 1 << pair->length, width = w->width;
    double left = place * place, sum = 0;
    for (int c = 0; c < choices; c++) {
        places[c] = place;
        row[c] = c;
        for (int i = 0; i < width; i++) {
            z0[c * width + i] = i < pair->length ? pair->z0[i] : TW_BLANK;
            z1[c * width + i] = i < pair->length ? pair->z1[i] : WORLD_SYMBOLS; /* a blank, too */
            u[c * width + i] = c >> i & 1 ? 0.5 * (1 + left) : 0.5 * left;
        }
    }
    if (o.world != w) o.t = -1;
    o.world = w;
    tw_edit_bound_desc desc = {.path = &w->path,
                               .fastest = fastest,
                               .pairs = choices,
                               .width = width,
                               .z0 = z0,
                               .z1 = z1,
                               .row = row,
                               .place = places,
                               .u = u};
    void *work = malloc(tw_edit_bound_bytes(&w->path, choices, width));
    assert_non_null(work);
    assert_int_equal(tw_edit_bound(&desc, answer, &o, work, cost), TW_OK);
    free(work);
    for (int c = 0; c < choices; c++) {
        double p = 1;
        for (int i = 0; i < pair->length; i++) p *= c >> i & 1 ? 1 - left : left;
        sum += p * cost[c];
    }
    return sum;
}

/* Bounds of all pairs, by the midpoint rule. */
static void bounds(const edit_world *w, double fastest, double *out)
{
    memset(out, 0, (size_t)w->pairs * sizeof *out);
    for (int c = 0; c < CELLS; c++)
        for (int i = 0; i < w->pairs; i++) out[i] += mean_cost(w, &w->pair[i], (c + 0.5) / CELLS, fastest) / CELLS;
}

/* --- the chain itself -----------------------------------------------------------------------------------------------
 */

enum { SHORT = 15 /* sequences of up to three tokens */ };

static void sequence_of(int state, int32_t *length, int32_t *x)
{
    *length = 0;
    while (state >= (2 << *length) - 1) ++*length;
    int number = state - ((1 << *length) - 1);
    for (int32_t i = 0; i < WORLD_LONGEST; i++) x[i] = i < *length ? number >> (*length - 1 - i) & 1 : WORLD_SYMBOLS;
}

/* dp / dkappa; what grows beyond three tokens is lost. */
static void flow_of(const edit_world *w, double kappa, double fastest, const double *p, double *out)
{
    static world_oracle o;
    double rate = fmin(1 / (1 - kappa), fastest), t = pow(kappa, 0.5); /* of the schedule t^2 */
    int32_t length, x[WORLD_LONGEST];
    if (o.world != w) o.t = -1;
    o.world = w;
    memset(out, 0, SHORT * sizeof *out);
    for (int state = 0; state < SHORT; state++) {
        float said[(WORLD_PLACES + 1) * WORLD_OUTPUTS];
        sequence_of(state, &length, x);
        answer(&o, 1, NULL, &t, x, said);
        for (int32_t slot = 0; slot <= length; slot++) {
            const float *s = said + slot * 3;
            double all = exp((double)s[1]) + exp((double)s[2]);
            for (int k = 0; k < WORLD_SYMBOLS; k++) {
                double flux = p[state] * rate * exp((double)s[0]) * exp((double)s[1 + k]) / all;
                out[state] -= flux;
                if (length == WORLD_LONGEST) continue;
                int32_t y[WORLD_LONGEST];
                memcpy(y, x, (size_t)slot * sizeof *y);
                y[slot] = k;
                memcpy(y + slot + 1, x + slot, (size_t)(length - slot) * sizeof *y);
                out[world_state(length + 1, y)] += flux;
            }
        }
    }
}

/* The law at kappa = 1, by Runge and Kutta's method. */
static void end_of(const edit_world *w, double fastest, double *p)
{
    enum { STEPS = 800 };
    const double h = 1.0 / STEPS;
    double k[4][SHORT], at[SHORT];
    memset(p, 0, SHORT * sizeof *p);
    p[0] = 1;
    for (int n = 0; n < STEPS; n++)
        for (int stage = 0; stage < 5; stage++) {
            const double part = stage == 0 ? 0 : stage == 3 ? 1 : 0.5;
            for (int i = 0; i < SHORT; i++) {
                at[i] = p[i] + (stage > 0 && stage < 4 ? h * part * k[stage - 1][i] : 0);
                if (stage == 4) p[i] += h / 6 * (k[0][i] + 2 * k[1][i] + 2 * k[2][i] + k[3][i]);
            }
            /* just before the end, where a rate that grows for ever is none */
            if (stage < 4) flow_of(w, fmin((n + part) * h, 1 - 1e-9), fastest, at, k[stage]);
        }
}

static int state_of(int goal)
{
    return world_state(world_goals[goal].length, world_goals[goal].token);
}

/* --- tests
 * ------------------------------------------------------------------------------------------------------------ */

/* From nothing, with what the posterior expects: -log p, sequence by sequence. */
static void test_tight(void **state)
{
    (void)state;
    tw_schedule square = schedule_of("polynomial:2");
    edit_world w;
    double bound[GOALS];
    world_make(ctx, &square, true, TW_ALIGN_LEVENSHTEIN, &w);
    bounds(&w, 1e12, bound);
    for (int i = 0; i < GOALS; i++) near(bound[i], -log(world_goals[i].p), 1e-3);
    tw_piece_free(ctx, &square);
}

/* Whatever a model says, the bound is of the chain that it makes, and with rates that stop growing. */
static void test_bounds_the_chain(void **state)
{
    (void)state;
    tw_schedule square = schedule_of("polynomial:2");
    edit_world w;
    double bound[GOALS], end[SHORT];
    world_make(ctx, &square, true, TW_ALIGN_LEVENSHTEIN, &w);
    for (int wrong = 0; wrong < 2; wrong++) {
        distorted = wrong;
        bounds(&w, 20, bound);
        end_of(&w, 20, end);
        for (int i = 0; i < GOALS; i++) {
            double gap = bound[i] + log(end[state_of(i)]);
            if (!(gap > -1e-3 && gap < 0.35)) fail_msg("wrong %d, goal %d: bound %g, gap %g", wrong, i, bound[i], gap);
        }
    }
    distorted = false;
    tw_piece_free(ctx, &square);
}

/* From other sequences, with deletions and substitutions: the chain of the posterior ends with the law of the goals,
 * the bound is above it; and there is nothing to pay where both ends are certain. */
static void test_from_other_sequences(void **state)
{
    (void)state;
    tw_schedule square = schedule_of("polynomial:2");
    static const tw_alignment alignments[] = {TW_ALIGN_LEVENSHTEIN, TW_ALIGN_PADDING};
    for (int k = 0; k < TW_COUNT(alignments); k++) {
        edit_world w, one;
        double bound[WORLD_PAIRS], certain;
        world_make(ctx, &square, false, alignments[k], &w);
        bounds(&w, 1e12, bound);
        for (int goal = 0; goal < GOALS; goal++) {
            double mean = 0;
            for (int start = 0; start < STARTS; start++) mean += world_starts[start].p * bound[start * GOALS + goal];
            double gap = mean + log(world_goals[goal].p);
            if (!(gap > -1e-3 && gap < 3)) fail_msg("goal %d: bound %g, gap %g", goal, mean, gap);
        }
        one = w;
        one.pairs = 1;
        one.pair[0] = w.pair[2 * GOALS + 3];
        one.pair[0].p = 1;
        bounds(&one, 1e12, &certain);
        near(certain, 0, 1e-3);
    }
    tw_piece_free(ctx, &square);
}

static tw_status says_nothing(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                              float *out)
{
    (void)user, (void)row, (void)t, (void)x;
    for (int64_t i = 0; i < rows * 6; i++) out[i] = (float)NAN;
    return TW_OK;
}

static void test_no_numbers(void **state)
{
    (void)state;
    tw_schedule square = schedule_of("polynomial:2");
    const tw_edit_path path = {.symbols = 2, .inserts_only = true, .schedule = &square};
    const int32_t z0 = TW_BLANK, z1 = 1;
    const int64_t row = 0;
    const double half = 0.5;
    double out;
    tw_edit_bound_desc desc = {.path = &path,
                               .fastest = 1e3,
                               .pairs = 1,
                               .width = 1,
                               .z0 = &z0,
                               .z1 = &z1,
                               .row = &row,
                               .place = &half,
                               .u = &half};
    void *work = malloc(tw_edit_bound_bytes(&path, 1, 1));
    assert_non_null(work);
    assert_int_equal(tw_edit_bound(&desc, says_nothing, NULL, work, &out), TW_ERR_NUMERIC);
    free(work);
    tw_piece_free(ctx, &square);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tight), cmocka_unit_test(test_bounds_the_chain),
                                       cmocka_unit_test(test_from_other_sequences), cmocka_unit_test(test_no_numbers)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
