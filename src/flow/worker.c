/* flow/worker.c - see worker.h: rows of the state into a program's inputs and its outputs back, and the memory of it.
 */
#include "flow/worker.h"

#include "solve/ode.h"
#include "solve/sampler.h"

#include <string.h>

/* --- evaluating --------------------------------------------------------------------------------------------------- */

void tw_worker_take(const tw_worker *w, int64_t rows, int64_t stride, int64_t first, int64_t columns,
                    const double *state, void *out)
{
    for (int64_t i = 0; i < rows; i++) {
        const double *row = state + i * stride + first;
        if (w->program->wide)
            memcpy((double *)out + i * columns, row, (size_t)columns * sizeof(double));
        else
            for (int64_t j = 0; j < columns; j++) ((float *)out)[i * columns + j] = (float)row[j];
    }
}

static void unpack(const tw_worker *w, bool divergence, int64_t rows, int64_t stride, double *out)
{
    for (int64_t i = 0; i < rows; i++) {
        double *row = out + i * stride;
        for (int64_t j = 0; j < w->columns; j++) row[j] = tw_worker_number(w, w->u, i * w->columns + j);
        if (tw_flow_diverges(w->program->second)) row[w->columns] = divergence ? tw_worker_number(w, w->second, i) : 0;
        for (int64_t j = stride - w->conditions - (w->vectors != NULL); j < stride; j++) row[j] = 0;
    }
}

/* Of every row at its time; its number rides in the state behind the divergence. */
static void draw_probes(const tw_worker *w, int64_t rows, int64_t stride, const double *t, const double *state)
{
    size_t size = (size_t)w->probes.count * (size_t)w->columns * (w->program->wide ? sizeof(double) : sizeof(float));
    for (int64_t i = 0; i < rows; i++)
        tw_probes_draw(&w->probes, (int64_t)state[i * stride + w->columns + 1], t[i], w->columns, w->program->wide,
                       (char *)w->vectors + (size_t)i * size);
}

static int64_t stride_of(const tw_worker *w)
{
    return w->columns + tw_flow_diverges(w->program->second) + (w->vectors != NULL) + w->conditions;
}

/* `count` rows of the state into the program's inputs: x, t and what rides along. */
static void take_rows(const tw_worker *w, int64_t count, const double *t, const double *x)
{
    int64_t told = w->conditions, stride = stride_of(w);
    tw_worker_take(w, count, 1, 0, 1, t, w->t);
    tw_worker_take(w, count, stride, 0, w->columns, x, w->x);
    if (told > 0) tw_worker_take(w, count, stride, stride - told, told, x, w->condition);
}

tw_status tw_worker_field(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    tw_worker *w = user;
    int64_t stride = stride_of(w);
    void *outputs[2] = {w->u, w->second};
    bool bare = w->bare && w->ode && w->ode->weightless;
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        take_rows(w, count, t + begin, x + begin * stride);
        if (w->vectors && !bare) draw_probes(w, count, stride, t + begin, x + begin * stride);
        tw_status status =
            tw_program_run(bare ? w->bare_state : w->state, bare ? w->bare_inputs : w->inputs, outputs, count);
        if (status != TW_OK) return status;
        unpack(w, !bare, count, stride, out_dx + begin * stride);
    }
    return TW_OK;
}

tw_status tw_worker_push(void *user, int64_t rows, const double *t, const double *x, const double *v, double *out_jv)
{
    tw_worker *w = ((tw_worker *)user)->push;
    void *outputs[2] = {w->u, w->second};
    int64_t stride = stride_of(w);
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        take_rows(w, count, t + begin, x + begin * stride);
        tw_worker_take(w, count, stride, 0, w->columns, v + begin * stride, w->along);
        if (w->vectors) draw_probes(w, count, stride, t + begin, x + begin * stride);
        tw_status status = tw_program_run(w->state, w->inputs, outputs, count);
        if (status != TW_OK) return status;
        unpack(w, true, count, stride, out_jv + begin * stride);
    }
    return TW_OK;
}

/* Adds the parameters' gradients of a block. */
static void add_gradients(const tw_worker *w, double *dweights)
{
    const tw_params *params = w->program->params;
    for (int i = 0; i < tw_params_count(params); i++) {
        int64_t at = tw_params_offset(params, i), size = tw_shape_size(tw_shape_at(tw_params_value(params, i)));
        for (int64_t j = at; j < at + size; j++) dweights[j] += tw_worker_number(w, w->gradients, j);
    }
}

tw_status tw_worker_pull(void *user, int64_t rows, const double *t, const double *x, const double *w, double *out_dx,
                         double *dweights)
{
    tw_worker *worker = user;
    int64_t stride = stride_of(worker), pulled = worker->columns + tw_flow_diverges(worker->program->second);
    for (int64_t begin = 0; begin < rows; begin += worker->program->rows) {
        int64_t count = tw_min_i64(rows - begin, worker->program->rows);
        take_rows(worker, count, t + begin, x + begin * stride);
        tw_worker_take(worker, count, stride, 0, pulled, w + begin * stride, worker->along);
        if (worker->vectors) draw_probes(worker, count, stride, t + begin, x + begin * stride);
        tw_status status = tw_program_run(worker->state, worker->inputs, worker->outputs, count);
        if (status != TW_OK) return status;
        unpack(worker, false, count, stride, out_dx + begin * stride);
        if (dweights) add_gradients(worker, dweights);
    }
    return TW_OK;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

void tw_worker_drop_solver(tw_context *ctx, tw_worker *w)
{
    tw_ode_destroy(w->ode);
    tw_sampler_destroy(w->sampler);
    tw_sde_destroy(w->sde);
    tw_free(ctx, w->rows);
    w->ode = NULL;
    w->sampler = NULL;
    w->sde = NULL;
    w->rows = NULL;
}

void tw_worker_free(tw_context *ctx, tw_worker *w)
{
    tw_worker_drop_solver(ctx, w);
    tw_state_destroy(w->state);
    tw_state_destroy(w->bare_state);
    tw_free_aligned(ctx, w->x);
    tw_free_aligned(ctx, w->u);
    tw_free_aligned(ctx, w->t);
    tw_free_aligned(ctx, w->second);
    tw_free_aligned(ctx, w->along);
    tw_free_aligned(ctx, w->condition);
    tw_free_aligned(ctx, w->vectors);
    tw_free(ctx, w->inputs);
    tw_free(ctx, w->bare_inputs);
    tw_free_aligned(ctx, w->gradients);
    tw_free(ctx, w->outputs);
    *w = (tw_worker){0};
}

/* The program's inputs with the worker's x, t and conditions behind the parameters; NULL when memory is used up. */
static const void **inputs_of(tw_context *ctx, const tw_worker *w, const tw_flow_program *program)
{
    bool along = tw_flow_pushes(program->second) || tw_flow_pulls(program->second);
    const void *probes = tw_flow_diverges(program->second) ? w->vectors : NULL;
    int parameters = program->inputs_count - 2 - (w->conditions > 0) - along - (probes != NULL);
    const void **inputs = tw_alloc(ctx, (size_t)program->inputs_count, sizeof(void *));
    if (!inputs) return NULL;
    memcpy(inputs, program->inputs, (size_t)parameters * sizeof(void *));
    inputs[parameters] = w->x;
    inputs[parameters + 1] = w->t;
    if (w->conditions > 0) inputs[parameters + 2] = w->condition;
    if (along) inputs[parameters + 2 + (w->conditions > 0)] = w->along;
    if (probes) inputs[program->inputs_count - 1] = probes;
    return inputs;
}

/* Where a program that pulls writes: u, then the parameters' gradients. */
static tw_status make_outputs(tw_context *ctx, const tw_flow_program *program, tw_worker *w)
{
    size_t element = program->wide ? sizeof(double) : sizeof(float);
    size_t bytes = (size_t)tw_params_size(program->params) * element;
    w->outputs = tw_alloc(ctx, (size_t)program->outputs_count, sizeof(void *));
    if (!w->outputs) return tw_fail_memory(ctx, (size_t)program->outputs_count * sizeof(void *));
    w->outputs[0] = w->u;
    if (program->outputs_count == 1) return TW_OK;
    w->gradients = tw_alloc_aligned(ctx, bytes);
    if (!w->gradients) return tw_fail_memory(ctx, bytes);
    for (int i = 0; i + 1 < program->outputs_count; i++)
        w->outputs[i + 1] = (char *)w->gradients + (size_t)tw_params_offset(program->params, i) * element;
    return TW_OK;
}

tw_status tw_worker_make(tw_flow *flow, const tw_flow_program *program, const tw_flow_program *bare, tw_worker *w)
{
    tw_context *ctx = flow->ctx;
    if (w->program) return TW_OK;
    size_t rows = (size_t)program->rows, columns = (size_t)program->numbers;
    size_t element = program->wide ? sizeof(double) : sizeof(float);
    tw_status status = TW_OK;
    size_t told = (size_t)program->told;
    *w = (tw_worker){.bare = bare, .columns = program->numbers, .conditions = (int)told};
    TW_TRY(tw_state_create(program->program, 1, &w->state));
    if (bare) TW_TRY(tw_state_create(bare->program, 1, &w->bare_state));
    w->x = tw_alloc_aligned(ctx, rows * columns * element);
    w->u = tw_alloc_aligned(ctx, rows * columns * element);
    w->t = tw_alloc_aligned(ctx, rows * element);
    bool along = tw_flow_pushes(program->second) || tw_flow_pulls(program->second);
    if (program->second) w->second = tw_alloc_aligned(ctx, rows * element * columns);
    if (along) w->along = tw_alloc_aligned(ctx, rows * element * (columns + 1));
    if (told > 0) w->condition = tw_alloc_aligned(ctx, rows * told * element);
    size_t probes = tw_flow_diverges(program->second) ? (size_t)flow->probes.count : 0;
    if (probes > 0 && !(w->vectors = tw_alloc_aligned(ctx, rows * probes * columns * element)))
        TW_TRY(tw_fail_memory(ctx, rows * probes * columns * element));
    w->inputs = inputs_of(ctx, w, program);
    if (bare) w->bare_inputs = inputs_of(ctx, w, bare);
    if (!w->x || !w->u || !w->t || !w->inputs || (program->second && !w->second) || (along && !w->along) ||
        (bare && !w->bare_inputs) || (told > 0 && !w->condition))
        TW_TRY(tw_fail_memory(ctx, rows * columns * element));
    if (tw_flow_pulls(program->second)) TW_TRY(make_outputs(ctx, program, w));
    w->program = program;
done:
    if (status != TW_OK) tw_worker_free(ctx, w);
    return status;
}