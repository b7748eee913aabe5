/* Chains of edits: with what the posterior expects, known by enumeration, rows have the law of the path at every time they
 * stop at, edits are as many as the alignments have, and what is held, counted and refused is what was said. */
#include "solve/edit_run.h"

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

static void check(tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

enum { ROWS = 8000 };

/* Rows at the beginning: nothing, or the starts in their shares. */
static void begin(const edit_world *w, int64_t first, int64_t rows, int32_t *x)
{
    for (int64_t i = 0; i < rows * w->width; i++) x[i] = WORLD_SYMBOLS;
    for (int64_t r = 0; r < rows && !w->path.inserts_only; r++) {
        double place = fmod((double)(first + r) * 0.6180339887498949, 1);
        int which = 0;
        while ((place -= world_starts[which].p) > 0 && which < TW_COUNT(world_starts) - 1) which++;
        memcpy(x + r * w->width, world_starts[which].token, (size_t)world_starts[which].length * sizeof *x);
    }
}

/* Total variation from the exact law at t; edits a row. */
static double error_at(edit_world *w, double t, int64_t steps, double tolerance, int64_t rows, double *out_edits,
                       tw_jump_stats *stats)
{
    static int32_t x[ROWS * WORLD_PLACES], edits[ROWS];
    static slot_sums exact[WORLD_STATES];
    static world_oracle o;
    double law[WORLD_STATES] = {0}, sum = 0, made = 0;
    tw_edit_chain *chain = NULL;
    tw_edit_chain_desc desc = {.path = &w->path, .tolerance = tolerance, .seed = 5};
    tw_jump_leg leg = {.t1 = t, .steps = steps};
    o.world = w;
    o.t = -1;
    begin(w, 0, rows, x);
    memset(edits, 0, sizeof edits);
    check(tw_edit_chain_create(ctx, &desc, rows, w->width, &chain));
    check(tw_edit_chain_run(chain, &leg, world_ask, &o, rows, x, NULL, edits, stats));
    tw_edit_chain_destroy(chain);
    world_sums(w, tw_schedule_at(w->path.schedule, t).alpha, exact);
    for (int64_t r = 0; r < rows; r++) {
        law[world_state(world_length(x + r * w->width, w->width), x + r * w->width)] += 1.0 / (double)rows;
        made += (double)edits[r] / (double)rows;
    }
    for (int i = 0; i < WORLD_STATES; i++) sum += 0.5 * fabs(law[i] - exact[i].p);
    if (out_edits) *out_edits = made;
    return sum;
}

static double edits_of_alignments(const edit_world *w)
{
    double sum = 0;
    tw_edit edits[WORLD_PLACES];
    for (int i = 0; i < w->pairs; i++)
        sum += w->pair[i].p * (double)tw_edit_list(w->pair[i].length, w->pair[i].z0, w->pair[i].z1, edits);
    return sum;
}

static const struct {
    bool empty;
    tw_alignment alignment;
} worlds[] = {{true, TW_ALIGN_LEVENSHTEIN}, {false, TW_ALIGN_LEVENSHTEIN}, {false, TW_ALIGN_PADDING}};

/* 8000 rows leave a TV of sqrt(states / (2 pi n)): 0.011 of six states, 0.03 of the fifty there are on the way. Two
 * edits of a step do not know of each other: an error of order 1 in the step. */
static void test_laws(void **state)
{
    (void)state;
    tw_schedule schedule;
    check(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule));
    for (int i = 0; i < TW_COUNT(worlds); i++) {
        edit_world w;
        tw_jump_stats stats = {0};
        double made, most = 0;
        world_make(ctx, &schedule, worlds[i].empty, worlds[i].alignment, &w);
        double middle = error_at(&w, 0.7, 96, 0, ROWS, NULL, &stats), end = error_at(&w, 1, 96, 0, ROWS, &made, &stats);
        double coarse = error_at(&w, 1, 3, 0, ROWS, NULL, &stats);
        most = edits_of_alignments(&w);
        if (getenv("SHOW")) printf("%d: %g %g %g edits %g of %g\n", i, middle, end, coarse, made, most);
        if (!(middle < 0.05 && end < 0.035)) fail_msg("world %d: TV %g at 0.7, %g at 1", i, middle, end);
        if (!(coarse > 3 * end && coarse < 0.4)) fail_msg("world %d: TV %g by three steps", i, coarse);
        if (!(fabs(made / most - 1) < 0.02)) fail_msg("world %d: %g edits of %g", i, made, most);
    }
    tw_piece_free(ctx, &schedule);
}

/* Steps as long as they may be: the same laws for about edits / tolerance evaluations. */
static void test_tolerance(void **state)
{
    (void)state;
    tw_schedule schedule;
    check(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule));
    for (int i = 0; i < 2; i++) {
        edit_world w;
        tw_jump_stats stats = {0};
        world_make(ctx, &schedule, worlds[i].empty, worlds[i].alignment, &w);
        double end = error_at(&w, 1, 0, 0.1, 4000, NULL, &stats), middle = error_at(&w, 0.5, 0, 0.1, 4000, NULL, &stats);
        if (getenv("SHOW")) printf("%d: %g %g nfe %lld mean %g\n", i, end, middle, (long long)stats.nfe, (double)stats.evaluations / 8000);
        if (!(end < 0.05 && middle < 0.06)) fail_msg("world %d: TV %g at 1, %g at 0.5", i, end, middle);
        assert_true(stats.evaluations < 8000 * 40);
    }
    tw_piece_free(ctx, &schedule);
}

/* What is held stays at the beginning; rows are the same whichever block they are in. */
static void test_held_and_blocks(void **state)
{
    (void)state;
    enum { N = 200 };
    static int32_t x[N * WORLD_PLACES], y[N * WORLD_PLACES], held[N];
    static world_oracle o;
    tw_schedule schedule;
    edit_world w;
    tw_jump_stats stats = {0};
    tw_edit_chain *chain = NULL;
    check(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule));
    world_make(ctx, &schedule, false, TW_ALIGN_LEVENSHTEIN, &w);
    tw_edit_chain_desc desc = {.path = &w.path, .seed = 9};
    o.world = &w;
    o.t = -1;
    check(tw_edit_chain_create(ctx, &desc, N, w.width, &chain));
    begin(&w, 0, N, x);
    memcpy(y, x, sizeof x);
    check(tw_edit_chain_run(chain, &(tw_jump_leg){.t1 = 1, .steps = 8}, world_ask, &o, N, x, NULL, NULL, &stats));
    assert_int_equal(stats.nfe, 8);
    for (int part = 0; part < 2; part++) {
        tw_jump_leg leg = {.t1 = 1, .steps = 8, .first_row = part * 130};
        check(tw_edit_chain_run(chain, &leg, world_ask, &o, part ? N - 130 : 130, y + leg.first_row * w.width, NULL, NULL, &stats));
    }
    assert_memory_equal(x, y, sizeof x);
    for (int i = 0; i < N; i++) {
        for (int k = 0; k < w.width; k++) x[i * w.width + k] = k < 2 ? 1 - k : WORLD_SYMBOLS; /* one of the starts */
        held[i] = 1;
    }
    check(tw_edit_chain_run(chain, &(tw_jump_leg){.t1 = 1, .steps = 8}, world_ask, &o, N, x, held, NULL, &stats));
    int moved = 0;
    for (int i = 0; i < N; i++) {
        assert_true(x[i * w.width] == 1);
        moved += x[i * w.width + 1] != 0;
    }
    assert_true(moved > N / 4);
    tw_edit_chain_destroy(chain);
    tw_piece_free(ctx, &schedule);
}

/* What a model must not say, and what cannot be asked for. */
typedef struct broken {
    float rate, logit;
    int64_t said;
} broken;

static tw_status say(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x, float *out)
{
    const broken *b = user;
    (void)row, (void)t, (void)x;
    for (int64_t i = 0; i < rows * b->said; i++) out[i] = i % 3 ? b->logit : b->rate;
    return TW_OK;
}

static void test_refused(void **state)
{
    (void)state;
    tw_schedule schedule;
    tw_edit_chain *chain = NULL;
    tw_jump_stats stats = {0};
    check(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &schedule));
    tw_edit_path path = {WORLD_SYMBOLS, true, &schedule, TW_ALIGN_LEVENSHTEIN};
    const tw_edit_chain_desc bad[] = {{.path = &path, .tolerance = 1},
                                      {.path = &path, .tolerance = (double)NAN},
                                      {.path = &path, .temperature = -1},
                                      {.path = &path, .top_p = 1.5},
                                      {.path = &path, .top_k = -1}};
    for (int i = 0; i < TW_COUNT(bad); i++)
        assert_int_equal(tw_edit_chain_create(ctx, &bad[i], 1, 3, &chain), TW_ERR_INVALID);
    const tw_edit_chain_desc plain = {.path = &path}, fine = {.path = &path, .tolerance = 1e-6};
    const float nan = (float)NAN;
    broken says[] = {{nan, 0, 12}, {800, 0, 12}, {0, nan, 12}};
    check(tw_edit_chain_create(ctx, &plain, 1, 3, &chain));
    for (int i = 0; i < TW_COUNT(says); i++) {
        int32_t x[3] = {2, 2, 2};
        assert_int_equal(tw_edit_chain_run(chain, &(tw_jump_leg){.t1 = 1, .steps = 4}, say, &says[i], 1, x, NULL, NULL, &stats),
                         TW_ERR_NUMERIC);
    }
    tw_edit_chain_destroy(chain);
    check(tw_edit_chain_create(ctx, &fine, 1, 3, &chain));
    broken busy = {1, 0, 12};
    int32_t x[3] = {2, 2, 2};
    assert_int_equal(tw_edit_chain_run(chain, &(tw_jump_leg){.t1 = 1}, say, &busy, 1, x, NULL, NULL, &stats), TW_ERR_UNSUPPORTED);
    tw_edit_chain_destroy(chain);
    tw_piece_free(ctx, &schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_laws),
        cmocka_unit_test(test_tolerance),
        cmocka_unit_test(test_held_and_blocks),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
