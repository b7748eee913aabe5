/* train/learner.c - see learner.h. Parameters and both moments are flat arrays laid out alike, of which the program
 * reads and overwrites its pieces. */
#include "train/learner.h"

#include "train/optimiser.h"

enum { WEIGHTS, FIRST, SECOND, FLATS };
enum { RATE, CORRECTION1, CORRECTION2, SCALARS };
enum { LOSS, FINITE, SAID };

struct tw_learner {
    tw_context *ctx;
    const tw_optimiser *optimiser;
    tw_params *params;
    int fed, watched; /* numbers of inputs and of what is watched */
    tw_program *program;
    tw_state *state;
    float *flat[FLATS];
    float scalar[SCALARS], said[SAID];
    int64_t updates;     /* made */
    const void **inputs; /* scalars, fed, pieces of the flat arrays */
    void **outputs;      /* loss and whether the gradient is finite, watched, pieces */
};

/* Values of the graph in the order of inputs and outputs. */
typedef struct step {
    tw_val *inputs, *outputs, *gradients;
    int *overwrites;
    int inputs_count, outputs_count;
} step;

/* The graph of one update, from the loss. */
static tw_status write_update(const tw_learner *l, const tw_learner_desc *d, step *s)
{
    int n = tw_params_count(l->params), in = SCALARS + d->inputs_count, out = SAID + d->watched_count;
    tw_graph *g = d->loss.graph;
    tw_status status = TW_OK;
    for (int i = 0; i < n; i++) s->gradients[i] = tw_params_value(l->params, i);
    TW_TRY(tw_grad(d->loss, n, s->gradients, s->gradients));
    for (int i = 0; i < SCALARS; i++) s->inputs[i] = tw_input(g, "scalar", TW_DTYPE_F32, TW_SCALAR);
    for (int i = 0; i < d->inputs_count; i++) s->inputs[SCALARS + i] = d->inputs[i];
    tw_val square = tw_square_of_all(n, s->gradients), go = tw_is_finite(square);
    s->outputs[LOSS] = d->loss;
    s->outputs[FINITE] = tw_cast(go, TW_DTYPE_F32);
    for (int i = 0; i < d->watched_count; i++) s->outputs[SAID + i] = d->watched[i];
    const tw_update update = {.beta1 = l->optimiser->beta1,
                              .beta2 = l->optimiser->beta2,
                              .epsilon = 1e-8,
                              .rate = s->inputs[RATE],
                              .correction1 = s->inputs[CORRECTION1],
                              .correction2 = s->inputs[CORRECTION2],
                              .average = tw_const(g, TW_DTYPE_F32, 0),
                              .scale = tw_clip_scale(square, d->clip != 0 ? d->clip : 1),
                              .go = go};
    for (int i = 0; i < n; i++) {
        tw_val weight = tw_params_value(l->params, i);
        tw_moments old = {.weight = weight,
                          .first = tw_optimiser_state(l->optimiser, "first", weight),
                          .second = tw_optimiser_state(l->optimiser, "second", weight),
                          .average = weight};
        tw_moments new = tw_optimiser_update(l->optimiser, &update, old, s->gradients[i]);
        const tw_val before[FLATS] = {old.weight, old.first, old.second},
                     after[FLATS] = {new.weight, new.first, new.second};
        for (int kind = 0; kind < FLATS; kind++) {
            s->inputs[in + kind * n + i] = before[kind];
            s->outputs[out + kind * n + i] = after[kind];
            s->overwrites[out + kind * n + i] = in + kind * n + i;
        }
    }
    for (int i = 0; i < out; i++) s->overwrites[i] = -1;
    TW_TRY(tw_graph_check(g));
done:
    return status;
}

static tw_status compile(tw_learner *l, const tw_learner_desc *d)
{
    tw_context *ctx = l->ctx;
    int pieces = FLATS * tw_params_count(l->params);
    step s = {.inputs_count = SCALARS + d->inputs_count + pieces, .outputs_count = SAID + d->watched_count + pieces};
    tw_status status = TW_OK;
    s.inputs = tw_alloc(ctx, (size_t)s.inputs_count, sizeof *s.inputs);
    s.outputs = tw_alloc(ctx, (size_t)s.outputs_count, sizeof *s.outputs);
    s.gradients = tw_alloc(ctx, (size_t)pieces, sizeof *s.gradients);
    s.overwrites = tw_alloc(ctx, (size_t)s.outputs_count, sizeof *s.overwrites);
    l->inputs = tw_alloc(ctx, (size_t)s.inputs_count, sizeof *l->inputs);
    l->outputs = tw_alloc(ctx, (size_t)s.outputs_count, sizeof *l->outputs);
    if (!s.inputs || !s.outputs || !s.gradients || !s.overwrites || !l->inputs || !l->outputs)
        TW_TRY(tw_fail_memory(ctx, (size_t)s.inputs_count * sizeof *s.inputs));
    TW_TRY(write_update(l, d, &s));
    const tw_program_desc program = {.name = "a learner's step",
                                     .inputs_count = s.inputs_count,
                                     .inputs = s.inputs,
                                     .outputs_count = s.outputs_count,
                                     .outputs = s.outputs,
                                     .overwrites = s.overwrites};
    TW_TRY(tw_program_compile(ctx, &program, &l->program));
    TW_TRY(tw_state_create(l->program, 0, &l->state));
done:
    tw_free(ctx, s.inputs);
    tw_free(ctx, s.outputs);
    tw_free(ctx, s.gradients);
    tw_free(ctx, s.overwrites);
    return status;
}

static tw_status bind(tw_learner *l, uint64_t seed)
{
    int n = tw_params_count(l->params), in = SCALARS + l->fed, out = SAID + l->watched;
    size_t bytes = (size_t)tw_params_size(l->params) * sizeof(float);
    for (int i = 0; i < SCALARS; i++) l->inputs[i] = &l->scalar[i];
    for (int i = 0; i < SAID; i++) l->outputs[i] = &l->said[i];
    for (int kind = 0; kind < FLATS; kind++) {
        l->flat[kind] = tw_alloc_aligned(l->ctx, bytes);
        if (!l->flat[kind]) return tw_fail_memory(l->ctx, bytes);
        for (int i = 0; i < n; i++)
            l->inputs[in + kind * n + i] = l->outputs[out + kind * n + i] =
                l->flat[kind] + tw_params_offset(l->params, i);
    }
    tw_params_init(l->params, seed, l->flat[WEIGHTS]);
    return TW_OK;
}

tw_status tw_learner_create(tw_context *ctx, const tw_learner_desc *desc, tw_learner **out_learner)
{
    tw_status status = TW_OK;
    tw_learner *l = tw_alloc(ctx, 1, sizeof *l);
    if (!l) return tw_fail_memory(ctx, sizeof *l);
    *l = (tw_learner){.ctx = ctx,
                      .optimiser = tw_optimiser_at(0),
                      .params = desc->params,
                      .fed = desc->inputs_count,
                      .watched = desc->watched_count};
    if (l->fed < 0 || l->fed > TW_LEARNER_VALUES || l->watched < 0 || l->watched > TW_LEARNER_VALUES)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "a learner is fed and watched at most %d values", TW_LEARNER_VALUES));
    TW_TRY(tw_graph_check(desc->loss.graph));
    TW_TRY(compile(l, desc));
    TW_TRY(bind(l, desc->seed));
    *out_learner = l;
    l = NULL;
done:
    tw_learner_destroy(l);
    return status;
}

void tw_learner_destroy(tw_learner *l)
{
    if (!l) return;
    tw_state_destroy(l->state);
    tw_program_destroy(l->program);
    for (int kind = 0; kind < FLATS; kind++) tw_free_aligned(l->ctx, l->flat[kind]);
    tw_free(l->ctx, l->inputs);
    tw_free(l->ctx, l->outputs);
    tw_free(l->ctx, l);
}

tw_status tw_learner_step(tw_learner *l, double rate, const void *const *inputs, void *const *watched, float *out_loss)
{
    l->scalar[RATE] = (float)rate;
    l->scalar[CORRECTION1] = tw_update_correction(l->optimiser->beta1, l->updates + 1);
    l->scalar[CORRECTION2] = tw_update_correction(l->optimiser->beta2, l->updates + 1);
    for (int i = 0; i < l->fed; i++) l->inputs[SCALARS + i] = inputs[i];
    for (int i = 0; i < l->watched; i++) l->outputs[SAID + i] = watched[i];
    tw_status status = tw_program_run(l->state, l->inputs, l->outputs, 0);
    l->updates += status == TW_OK && l->said[FINITE] > 0;
    if (out_loss) *out_loss = l->said[LOSS];
    return status;
}

const float *tw_learner_weights(const tw_learner *l)
{
    return l->flat[WEIGHTS];
}
