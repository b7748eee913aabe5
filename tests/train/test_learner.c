/* Learning any loss: steps of AdamW by hand, a fit to the least squares, what is not finite, memory that runs out. */
#include "support/limited_memory.h"
#include "support/own_context.h"
#include "train/learner.h"

#include <math.h>
#include <string.h>

enum { ROWS = 4 };

/* mean (x w + b - y)^2 over 4 rows */
typedef struct problem {
    tw_graph *graph;
    tw_params *params;
    tw_val x, y, misfit, loss;
} problem;

static tw_status make(tw_context *c, problem *p)
{
    tw_status status = TW_OK;
    *p = (problem){0};
    TW_TRY(tw_graph_create(c, &p->graph));
    TW_TRY(tw_params_create(c, p->graph, TW_DTYPE_F32, &p->params));
    p->x = tw_input(p->graph, "x", TW_DTYPE_F32, tw_shape_of(ROWS, 2));
    p->y = tw_input(p->graph, "y", TW_DTYPE_F32, tw_shape_of(ROWS, 1));
    p->misfit = tw_sub(tw_linear_init(tw_scope_root(p->params), p->x, 1, TW_INIT_ZERO, 0), p->y);
    p->loss = tw_mean_all(tw_square(p->misfit));
done:
    return status;
}

static void destroy(problem *p)
{
    tw_params_destroy(p->params);
    tw_graph_destroy(p->graph);
}

static const float xs[ROWS][2] = {{1, 2}, {-1, 0.5f}, {3, -1}, {0.25f, 1}}, ys[ROWS] = {1, 2, -3, 0.5f};

static tw_learner *learner_of(const problem *p, double clip)
{
    tw_learner *l = NULL;
    tw_val inputs[] = {p->x, p->y};
    const tw_learner_desc desc = {.params = p->params,
                                  .loss = p->loss,
                                  .inputs_count = 2,
                                  .inputs = inputs,
                                  .watched_count = 1,
                                  .watched = &p->misfit,
                                  .clip = clip};
    assert_int_equal(tw_learner_create(ctx, &desc, &l), TW_OK);
    return l;
}

/* Weight by weight from Loshchilov, Hutter 2019, algorithm 2, without decay. */
static void steps_are_those_of_adamw(void **state)
{
    (void)state;
    problem p;
    assert_int_equal(make(ctx, &p), TW_OK);
    tw_learner *l = learner_of(&p, -1);
    double w[3] = {0}, m[3] = {0}, v[3] = {0};
    for (int n = 1; n <= 5; n++) {
        float loss = 0, misfit[ROWS];
        double g[3] = {0}, sum = 0, rate = 0.1 / n;
        for (int i = 0; i < ROWS; i++) {
            double miss = (double)xs[i][0] * w[0] + (double)xs[i][1] * w[1] + w[2] - (double)ys[i];
            sum += miss * miss / ROWS;
            for (int k = 0; k < 2; k++) g[k] += 2 * miss * (double)xs[i][k] / ROWS;
            g[2] += 2 * miss / ROWS;
        }
        assert_int_equal(tw_learner_step(l, rate, (const void *[]){xs, ys}, (void *[]){misfit}, &loss), TW_OK);
        assert_true(fabs((double)loss - sum) < 1e-5);
        double seen = 0;
        for (int i = 0; i < ROWS; i++) seen += (double)(misfit[i] * misfit[i]) / ROWS;
        assert_true(fabs(seen - sum) < 1e-5);
        for (int k = 0; k < 3; k++) {
            m[k] = 0.9 * m[k] + 0.1 * g[k];
            v[k] = 0.999 * v[k] + 0.001 * g[k] * g[k];
            w[k] -= rate * m[k] / (1 - pow(0.9, n)) / (sqrt(v[k] / (1 - pow(0.999, n))) + 1e-8);
        }
        const float *got = tw_learner_weights(l), *bias = got + tw_params_offset(p.params, 1);
        assert_true(fabs((double)got[0] - w[0]) < 1e-5 && fabs((double)got[1] - w[1]) < 1e-5);
        assert_true(fabs((double)bias[0] - w[2]) < 1e-5);
    }
    tw_learner_destroy(l);
    destroy(&p);
}

static void what_is_not_finite_changes_nothing(void **state)
{
    (void)state;
    problem p;
    const float broken[ROWS] = {1, 2, (float)NAN, 0};
    float loss = 0, misfit[ROWS], before[2];
    assert_int_equal(make(ctx, &p), TW_OK);
    tw_learner *l = learner_of(&p, 0);
    assert_int_equal(tw_learner_step(l, 0.1, (const void *[]){xs, ys}, (void *[]){misfit}, NULL), TW_OK);
    memcpy(before, tw_learner_weights(l), sizeof before);
    assert_true(before[0] != 0);
    assert_int_equal(tw_learner_step(l, 0.1, (const void *[]){xs, broken}, (void *[]){misfit}, &loss), TW_OK);
    assert_true(isnan(loss));
    assert_memory_equal(before, tw_learner_weights(l), sizeof before);
    /* nor is it counted: the next step is the second one */
    tw_learner *other = learner_of(&p, 0);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tw_learner_step(other, 0.1, (const void *[]){xs, ys}, (void *[]){misfit}, NULL), TW_OK);
    assert_int_equal(tw_learner_step(l, 0.1, (const void *[]){xs, ys}, (void *[]){misfit}, NULL), TW_OK);
    assert_memory_equal(tw_learner_weights(other), tw_learner_weights(l), sizeof before);
    tw_learner_destroy(other);
    tw_learner_destroy(l);
    tw_val many[TW_LEARNER_VALUES + 1] = {{0}};
    const tw_learner_desc desc = {
        .params = p.params, .loss = p.loss, .inputs_count = TW_LEARNER_VALUES + 1, .inputs = many};
    assert_int_equal(tw_learner_create(ctx, &desc, &l), TW_ERR_INVALID);
    destroy(&p);
}

static tw_status learn(tw_context *c, void *user)
{
    problem p;
    tw_learner *l = NULL;
    tw_status status = TW_OK;
    (void)user;
    TW_TRY(make(c, &p));
    tw_val inputs[] = {p.x, p.y};
    const tw_learner_desc desc = {.params = p.params, .loss = p.loss, .inputs_count = 2, .inputs = inputs};
    TW_TRY(tw_learner_create(c, &desc, &l));
    TW_TRY(tw_learner_step(l, 0.1, (const void *[]){xs, ys}, NULL, NULL));
done:
    tw_learner_destroy(l);
    destroy(&p);
    return status;
}

static void memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(learn, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(steps_are_those_of_adamw),
        cmocka_unit_test(what_is_not_finite_changes_nothing),
        cmocka_unit_test(memory_running_out),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
