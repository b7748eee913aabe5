/* measure_planning.c - measures of a flow that plans (Zheng, Le, Shaul, Lipman, Grover, Chen 2023, Guided flows for
 * generative modeling and decision making; with the planner of Ajay et al. 2023, Is conditional generative modeling all
 * you need for decision making?).
 *
 * The flow draws the next HORIZON states of a point mass (point_mass.h), told the return to go. The first of them is
 * the present one, which is held as it is at every evaluation, and in every pair of training: were it brought in along
 * the path instead, the others, as noisy and many, would outvote it. A network that has learned which push leads from a
 * state to the next turns the first two of a plan into an action; then all is planned anew. An evaluation that is
 * guided asks the network twice, told and not.
 *
 * What is learned from are windows of what drivers of all kinds did; what is asked for is a return to go, discounted
 * and over the sum of the discounts, that one window in twenty reaches. Returns of episodes are mean rewards, from 0,
 * never near the goal, to 1, so that ratios of them mean something. */
#include "measures.h"
#include "point_mass.h"

#include "base/order.h"
#include "train/learner.h"

#include <thalweg/thalweg.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { HORIZON = 12, COLUMNS = HORIZON * POINT_STATE, ROW = COLUMNS + 1, STREAM = 74 };
enum { DRIVERS = 6000, LENGTH = 60, EVERY = 4, WINDOWS = 10, ROWS = DRIVERS * WINDOWS }; /* of the data */
enum { EPISODES = 128, EPISODE = 40 };
static const double DISCOUNT = 0.95, ASKED = 0.95, GUIDANCE = 1;

/* --- what a push does, learned ------------------------------------------------------------------------------------ */

/* One graph for batches of EPISODES states and those that follow. */
typedef struct dynamics {
    tw_graph *graph;
    tw_params *params;
    tw_learner *learner;
    tw_program *program;
    tw_state *run;
    tw_val now, next, push;
    const void **inputs;
} dynamics;

static void dynamics_close(tw_context *ctx, dynamics *d)
{
    tw_state_destroy(d->run);
    tw_program_destroy(d->program);
    tw_learner_destroy(d->learner);
    tw_params_destroy(d->params);
    tw_graph_destroy(d->graph);
    tw_free(ctx, d->inputs);
}

/* Sees where it is, and by how much it moves in a second. */
static tw_status dynamics_open(tw_context *ctx, dynamics *d)
{
    tw_shape states = tw_shape_of(EPISODES, POINT_STATE);
    tw_status status = TW_OK;
    TW_TRY(tw_graph_create(ctx, &d->graph));
    TW_TRY(tw_params_create(ctx, d->graph, TW_DTYPE_F32, &d->params));
    d->now = tw_input(d->graph, "now", TW_DTYPE_F32, states);
    d->next = tw_input(d->graph, "next", TW_DTYPE_F32, states);
    tw_scope root = tw_scope_root(d->params);
    tw_val seen = tw_concat2(1, d->now, tw_muls(tw_sub(d->next, d->now), 1 / POINT_STEP));
    tw_val hidden = tw_dense(tw_in(root, "in"), seen, 64, tw_silu);
    d->push = tw_linear(tw_in(root, "out"), hidden, POINT_PUSH);
done:
    return status;
}

/* rows (count, 2 POINT_STATE + POINT_PUSH): a state, the next one, the push between them. */
static tw_status dynamics_learn(tw_context *ctx, dynamics *d, int64_t count, const float *rows, uint64_t seed)
{
    enum { WIDE = 2 * POINT_STATE + POINT_PUSH, STEPS = 2000 };
    tw_random random = {.seed = seed, .stream = STREAM + 1};
    float batch[3][EPISODES * POINT_STATE], loss;
    tw_val push = tw_input(d->graph, "push", TW_DTYPE_F32, tw_shape_of(EPISODES, POINT_PUSH));
    const tw_val inputs[] = {d->now, d->next, push};
    const void *fed[] = {batch[0], batch[1], batch[2]};
    const tw_learner_desc desc = {.params = d->params,
                                  .loss = tw_mean_all(tw_square(tw_sub(d->push, push))),
                                  .inputs_count = TW_COUNT(inputs),
                                  .inputs = inputs,
                                  .seed = seed};
    tw_status status = TW_OK;
    TW_TRY(tw_learner_create(ctx, &desc, &d->learner));
    for (int n = 0; n < STEPS; n++) {
        for (int b = 0; b < EPISODES; b++) {
            const float *row = rows + tw_random_below(&random, count) * WIDE;
            memcpy(batch[0] + b * POINT_STATE, row, POINT_STATE * sizeof *row);
            memcpy(batch[1] + b * POINT_STATE, row + POINT_STATE, POINT_STATE * sizeof *row);
            memcpy(batch[2] + b * POINT_PUSH, row + 2 * POINT_STATE, POINT_PUSH * sizeof *row);
        }
        TW_TRY(tw_learner_step(d->learner, 0.01 * (1 - (double)n / STEPS), fed, NULL, &loss));
    }
done:
    return status;
}

static tw_status dynamics_compile(tw_context *ctx, dynamics *d)
{
    int n = tw_params_count(d->params);
    tw_val *inputs = tw_alloc(ctx, (size_t)n + 2, sizeof *inputs);
    d->inputs = tw_alloc(ctx, (size_t)n + 2, sizeof *d->inputs);
    tw_program_desc desc = {
        .name = "inverse dynamics", .inputs_count = n + 2, .inputs = inputs, .outputs_count = 1, .outputs = &d->push};
    tw_status status = TW_OK;
    if (!inputs || !d->inputs) TW_TRY(tw_fail_memory(ctx, ((size_t)n + 2) * sizeof *inputs));
    for (int i = 0; i < n; i++) {
        inputs[i] = tw_params_value(d->params, i);
        d->inputs[i] = tw_learner_weights(d->learner) + tw_params_offset(d->params, i);
    }
    inputs[n] = d->now, inputs[n + 1] = d->next;
    TW_TRY(tw_program_compile(ctx, &desc, &d->program));
    TW_TRY(tw_state_create(d->program, 1, &d->run));
done:
    tw_free(ctx, inputs);
    return status;
}

/* push (EPISODES, POINT_PUSH) that leads along plans (EPISODES, COLUMNS). */
static tw_status dynamics_ask(dynamics *d, const double *plan, double *push)
{
    float states[2][EPISODES * POINT_STATE], said[EPISODES * POINT_PUSH];
    int n = tw_params_count(d->params);
    for (int i = 0; i < EPISODES * POINT_STATE; i++)
        for (int k = 0; k < 2; k++)
            states[k][i] = (float)plan[i / POINT_STATE * COLUMNS + k * POINT_STATE + i % POINT_STATE];
    d->inputs[n] = states[0], d->inputs[n + 1] = states[1];
    tw_status status = tw_program_run(d->run, d->inputs, (void *[]){said}, 0);
    for (int i = 0; i < EPISODES * POINT_PUSH; i++) push[i] = (double)said[i];
    return status;
}

/* --- what is learned from ----------------------------------------------------------------------------------------- */

typedef struct world {
    tw_context *ctx;
    uint64_t seed;
    double *window;                           /* (ROWS, ROW): the return to go, and states from the present on */
    double *begin;                            /* (ROWS, COLUMNS): the first state, and noise for the others */
    float *pushed;                            /* (ROWS, 2 POINT_STATE + POINT_PUSH): see dynamics_learn */
    double mean[COLUMNS], deviation[COLUMNS]; /* of the states in windows */
    double data_return, asked;                /* of drivers; to go, asked of plans */
    tw_dataset *data, *source;
    tw_flow *flow;
    dynamics push;
} world;

static void world_close(world *w)
{
    dynamics_close(w->ctx, &w->push);
    tw_flow_destroy(w->flow);
    tw_dataset_destroy(w->source);
    tw_dataset_destroy(w->data);
    tw_free(w->ctx, w->window);
    tw_free(w->ctx, w->begin);
    tw_free(w->ctx, w->pushed);
}

/* The windows of one driver's journey. */
static void drive(world *w, tw_random *random, int64_t row)
{
    const point_driver driver = point_driver_any(random);
    double state[LENGTH + 1][POINT_STATE], push[LENGTH][POINT_PUSH], to_go[LENGTH + 1] = {0}, whole = 0;
    point_place(random, state[0]);
    for (int i = 0; i < LENGTH; i++) {
        memcpy(state[i + 1], state[i], sizeof state[i]);
        point_drive(&driver, state[i], random, push[i]);
        point_step(push[i], POINT_SHAKE, random, state[i + 1]);
        if (i < EPISODE) w->data_return += point_reward(state[i + 1]) / ((double)DRIVERS * EPISODE);
    }
    for (int i = LENGTH - 1; i >= 0; i--) {
        whole = 1 + DISCOUNT * whole;
        to_go[i] = to_go[i + 1] + (point_reward(state[i + 1]) - to_go[i + 1]) / whole;
    }
    for (int k = 0; k < WINDOWS; k++, row++) {
        const double *from = state[(ptrdiff_t)k * EVERY];
        float *pushed = w->pushed + row * (2 * POINT_STATE + POINT_PUSH);
        w->window[row * ROW] = to_go[k * EVERY];
        memcpy(w->window + row * ROW + 1, from, COLUMNS * sizeof *from);
        for (int j = 0; j < 2 * POINT_STATE; j++) pushed[j] = (float)from[j];
        for (int j = 0; j < POINT_PUSH; j++) pushed[2 * POINT_STATE + j] = (float)push[k * EVERY][j];
    }
}

/* Noise for all states but the first, in the units of the data. */
static void begin_row(const world *w, const double *first, tw_random *random, double *out)
{
    memcpy(out, first, POINT_STATE * sizeof *out);
    for (int j = POINT_STATE; j < COLUMNS; j++) out[j] = w->mean[j] + w->deviation[j] * tw_random_normal(random);
}

static tw_status world_make(world *w)
{
    tw_random random = {.seed = w->seed, .stream = STREAM}, noise = {.seed = w->seed, .stream = STREAM + 2};
    const tw_dataset_desc states = {.split = {1, 0, 0}, .seed = w->seed};
    tw_dataset_desc told = states;
    told.conditions = "1";
    double *to_go = tw_alloc(w->ctx, ROWS, sizeof *to_go);
    tw_status status = TW_OK;
    w->window = tw_alloc(w->ctx, ROWS, ROW * sizeof(double));
    w->begin = tw_alloc(w->ctx, ROWS, COLUMNS * sizeof(double));
    w->pushed = tw_alloc(w->ctx, ROWS, (2 * POINT_STATE + POINT_PUSH) * sizeof(float));
    if (!to_go || !w->window || !w->begin || !w->pushed) TW_TRY(tw_fail_memory(w->ctx, ROWS * ROW * sizeof(double)));
    for (int64_t i = 0; i < DRIVERS; i++) drive(w, &random, i * WINDOWS);
    for (int64_t i = 0; i < ROWS; i++) {
        const double *row = w->window + i * ROW + 1;
        for (int j = 0; j < COLUMNS; j++) w->mean[j] += row[j] / ROWS, w->deviation[j] += row[j] * row[j] / ROWS;
        to_go[i] = row[-1];
    }
    for (int j = 0; j < COLUMNS; j++) w->deviation[j] = sqrt(w->deviation[j] - w->mean[j] * w->mean[j]);
    for (int64_t i = 0; i < ROWS; i++) begin_row(w, w->window + i * ROW + 1, &noise, w->begin + i * COLUMNS);
    qsort(to_go, ROWS, sizeof *to_go, tw_by_value);
    w->asked = to_go[(int64_t)(ASKED * ROWS)];
    TW_TRY(tw_dataset_from_memory(w->ctx, ROWS, ROW, w->window, NULL, &told, &w->data));
    TW_TRY(tw_dataset_from_memory(w->ctx, ROWS, COLUMNS, w->begin, NULL, &states, &w->source));
done:
    tw_free(w->ctx, to_go);
    return status;
}

static tw_status world_learn(world *w, int64_t steps)
{
    const tw_flow_desc desc = {.source = "data",
                               .coupling = "given",
                               .columns = COLUMNS,
                               .conditions = tw_dataset_condition(w->data, 0),
                               .conditions_count = 1,
                               .network = {.width = 192, .depth = 3, .time_features = 16},
                               .seed = w->seed};
    const tw_train_desc how = {.steps = steps, .batch = 256, .source = w->source, .seed = w->seed};
    tw_status status = TW_OK;
    TW_TRY(tw_flow_create(w->ctx, &desc, &w->flow));
    TW_TRY(tw_train(w->flow, w->data, &how, NULL));
    TW_TRY(dynamics_open(w->ctx, &w->push));
    TW_TRY(dynamics_learn(w->ctx, &w->push, ROWS, w->pushed, w->seed));
    TW_TRY(dynamics_compile(w->ctx, &w->push));
done:
    return status;
}

/* --- planning ----------------------------------------------------------------------------------------------------- */

/* Mean return of EPISODES episodes at once, the same beginnings and the same luck whoever plans: by plans of so many
 * evaluations of the velocity, told what is asked or nothing; by the good driver for 0. */
static tw_status play(world *w, int evaluations, bool told, double guidance, double *out)
{
    enum { STATES = EPISODES * POINT_STATE, PLANS = EPISODES * COLUMNS };
    tw_random random = {.seed = w->seed, .stream = STREAM + 3}, noise = {.seed = w->seed, .stream = STREAM + 4};
    const point_driver good = point_driver_good();
    bool held[COLUMNS] = {true, true, true, true};
    double state[STATES], push[EPISODES * POINT_PUSH], *from = tw_alloc(w->ctx, 2 * PLANS, sizeof(double));
    double *plan = from + PLANS, sum = 0;
    const tw_sample_desc desc = {.solver = {.method = "euler", .steps = evaluations},
                                 .from = from,
                                 .held = held,
                                 .conditions = told ? &w->asked : NULL,
                                 .same_conditions = true,
                                 .guidance = guidance};
    tw_status status = TW_OK;
    if (!from) return tw_fail_memory(w->ctx, 2 * PLANS * sizeof(double));
    for (int i = 0; i < EPISODES; i++) point_place(&random, state + i * POINT_STATE);
    for (int n = 0; n < EPISODE; n++) {
        for (int i = 0; i < EPISODES; i++) {
            if (evaluations > 0) begin_row(w, state + i * POINT_STATE, &noise, from + i * COLUMNS);
            if (evaluations == 0) point_drive(&good, state + i * POINT_STATE, &noise, push + i * POINT_PUSH);
        }
        if (evaluations > 0) TW_TRY(tw_sample(w->flow, EPISODES, &desc, plan, NULL, NULL));
        if (evaluations > 0) TW_TRY(dynamics_ask(&w->push, plan, push));
        for (int i = 0; i < EPISODES; i++) {
            double *at = state + i * POINT_STATE;
            point_step(push + i * POINT_PUSH, POINT_SHAKE, &random, at);
            sum += point_reward(at) / ((double)EPISODES * EPISODE);
        }
    }
    *out = sum;
done:
    tw_free(w->ctx, from);
    return status;
}

enum { DATA, GOOD, FEW, MANY, UNGUIDED, UNTOLD };

/* All measures come from one training. */
static tw_status planning(const subject *s, finding *out)
{
    static const char name[] = "planning";
    world w = {.ctx = s->c->ctx, .seed = opt_seed(&s->c->set, OPT_SEED)};
    finding found = {.of = name, .seed = w.seed, .steps = opt_int(&s->c->set, OPT_SOLVER_STEPS)};
    tw_status status = TW_OK;
    const finding *known = finding_of(s->found, name, found.seed, found.steps);
    if (known) return *out = *known, TW_OK;
    if (found.steps < 1) return tw_fail(w.ctx, TW_ERR_INVALID, "steps: how many a planner is trained for");
    TW_TRY(world_make(&w));
    TW_TRY(world_learn(&w, found.steps));
    found.value[DATA] = w.data_return;
    TW_TRY(play(&w, 0, false, 0, &found.value[GOOD]));
    TW_TRY(play(&w, 10, true, GUIDANCE, &found.value[FEW]));
    TW_TRY(play(&w, 100, true, GUIDANCE, &found.value[MANY]));
    TW_TRY(play(&w, 10, true, 0, &found.value[UNGUIDED]));
    TW_TRY(play(&w, 10, false, 0, &found.value[UNTOLD]));
    *out = *finding_keep(s->found, &found);
done:
    world_close(&w);
    return status;
}

/* One return over another, beside what the good driver's would be over it. */
static tw_status compare(const subject *s, int of, int over, measured *out)
{
    finding found;
    tw_status status = planning(s, &found);
    if (status == TW_OK) *out = (measured){found.value[of] / found.value[over], found.value[GOOD] / found.value[over]};
    return status;
}

tw_status measure_planning_few(const subject *s, measured *out)
{
    tw_status status = compare(s, FEW, MANY, out);
    if (status == TW_OK) out->floor = (double)NAN;
    return status;
}

tw_status measure_planning_gain(const subject *s, measured *out)
{
    return compare(s, FEW, DATA, out);
}

tw_status measure_planning_guided(const subject *s, measured *out)
{
    return compare(s, FEW, UNGUIDED, out);
}

tw_status measure_planning_told(const subject *s, measured *out)
{
    return compare(s, FEW, UNTOLD, out);
}

/* Pushed steadily, it goes along a parabola, whatever the step. */
tw_status measure_point_mass_error(const subject *s, measured *out)
{
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM + 5};
    double state[POINT_STATE], begin[POINT_STATE], error = 0;
    const double push[POINT_PUSH] = {0.3, -0.7}, time = EPISODE * POINT_STEP;
    point_place(&random, begin);
    memcpy(state, begin, sizeof state);
    for (int n = 0; n < EPISODE; n++) point_step(push, 0, &random, state);
    for (int k = 0; k < POINT_PUSH; k++) {
        double v = begin[POINT_PUSH + k], x = begin[k] + time * (v + time * push[k] / 2);
        error = fmax(error, fmax(fabs(state[k] - x), fabs(state[POINT_PUSH + k] - v - time * push[k])));
    }
    *out = (measured){error, (double)NAN};
    return TW_OK;
}
