/* Fifty steps of AdamW in single precision: losses as PyTorch's. tests/golden/make_torch.py made the files. */
#include "io/safetensors.h"
#include "support/golden_networks.h"
#include "train/optimiser.h"

#include <thalweg/exec.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { STEPS = 50, MOST = 80 };

typedef struct trainer {
    tw_context *ctx;
    tw_graph *graph;
    tw_params *params;
    int ins, outs, over[3 * MOST + 1];
    tw_val in[4 * MOST], out[3 * MOST + 1];
    void *from[4 * MOST], *to[3 * MOST + 1];
} trainer;

static float *add_input(trainer *t, tw_val v)
{
    t->in[t->ins] = v;
    return t->from[t->ins++] = calloc((size_t)tw_shape_size(tw_shape_at(v)) + 1, sizeof(float));
}

/* An input filled with the values of its name. */
static tw_val add_named(trainer *t, const char *name, tw_val v)
{
    float *array = add_input(t, v);
    tw_shape shape = tw_shape_at(v);
    for (int64_t i = 0; i < tw_shape_size(shape); i++) array[i] = (float)golden_value(name, shape, i);
    return v;
}

static void add_output(trainer *t, tw_val v, int over)
{
    t->out[t->outs] = v;
    t->over[t->outs] = over;
    t->to[t->outs++] = over >= 0 ? t->from[over] : malloc(sizeof(float));
}

static tw_val loss_of(trainer *t, const golden_network *g)
{
    tw_val in[2] = {TW_NONE, TW_NONE};
    if (g->rank == 0) {
        in[0] = golden_tokens(t->graph, g);
    } else {
        in[0] = add_named(t, "x", tw_input(t->graph, "x", TW_DTYPE_F32, golden_shape(g)));
        in[1] = add_named(t, "t", tw_input(t->graph, "t", TW_DTYPE_F32, tw_shape_of(g->size[0])));
    }
    tw_val out = g->build(tw_scope_root(t->params), in);
    assert_int_equal(tw_graph_check(t->graph), TW_OK);
    tw_val target = add_named(t, "target", tw_input(t->graph, "target", TW_DTYPE_F32, tw_shape_at(out)));
    return tw_mean_all(tw_square(tw_sub(out, target)));
}

static void add_updates(trainer *t, const tw_update *adamw, tw_val loss)
{
    tw_val weight[MOST], gradient[MOST];
    int count = tw_params_count(t->params);
    assert_true(count <= MOST);
    for (int i = 0; i < count; i++) weight[i] = tw_params_value(t->params, i);
    assert_int_equal(tw_grad(loss, count, weight, gradient), TW_OK);
    for (int i = 0; i < count; i++) {
        tw_shape shape = tw_shape_at(weight[i]);
        int at = t->ins;
        add_named(t, tw_params_name(t->params, i), weight[i]);
        tw_val first = tw_input(t->graph, "first", TW_DTYPE_F32, shape);
        tw_val second = tw_input(t->graph, "second", TW_DTYPE_F32, shape);
        add_input(t, first);
        add_input(t, second);
        tw_moments old = {.weight = weight[i], .first = first, .second = second, .average = weight[i]};
        tw_moments new = tw_optimiser_update(tw_optimiser_at(0), adamw, old, gradient[i]);
        add_output(t, new.weight, at);
        add_output(t, new.first, at + 1);
        add_output(t, new.second, at + 2);
    }
}

static void run(trainer *t, float *correction1, float *correction2, const double *want)
{
    tw_program *program = NULL;
    tw_state *state = NULL;
    tw_program_desc desc = {
        .inputs_count = t->ins, .inputs = t->in, .outputs_count = t->outs, .outputs = t->out, .overwrites = t->over};
    tw_status compiled = tw_program_compile(t->ctx, &desc, &program);
    assert_int_equal(compiled, TW_OK);
    assert_int_equal(tw_state_create(program, 0, &state), TW_OK);
    for (int step = 0; step < STEPS; step++) {
        *correction1 = (float)(1 / (1 - pow(0.9, step + 1)));
        *correction2 = (float)(1 / (1 - pow(0.999, step + 1)));
        assert_int_equal(tw_program_run(state, (const void *const *)t->from, (void *const *)t->to, 0), TW_OK);
        double loss = (double)*(float *)t->to[0];
        if (!(fabs(loss - want[step]) < 1e-4 * want[step]))
            fail_msg("step %d: %.9g, PyTorch %.9g", step, loss, want[step]);
    }
    tw_state_destroy(state);
    tw_program_destroy(program);
}

static void check_training(void **argument)
{
    const golden_network *g = *argument;
    trainer *t = calloc(1, sizeof *t);
    char path[400];
    tw_tensor_file file = {0};
    const void *want = NULL;
    t->ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    snprintf(path, sizeof path, "%s/tests/golden/%s.safetensors", TW_SOURCE_DIR, g->name);
    assert_int_equal(tw_safetensors_read(t->ctx, path, &file), TW_OK);
    assert_int_equal(tw_safetensors_get(t->ctx, &file, path, "losses", "F64", STEPS, &want), TW_OK);
    assert_int_equal(tw_graph_create(t->ctx, &t->graph), TW_OK);
    assert_int_equal(tw_params_create(t->ctx, t->graph, TW_DTYPE_F32, &t->params), TW_OK);
    tw_update adamw = {.beta1 = 0.9,
                       .beta2 = 0.999,
                       .epsilon = 1e-8,
                       .weight_decay = 0.01,
                       .rate = tw_const(t->graph, TW_DTYPE_F32, g->rank == 4 ? 1e-4 : 1e-3), /* as in make_torch.py */
                       .correction1 = tw_input(t->graph, "correction1", TW_DTYPE_F32, TW_SCALAR),
                       .correction2 = tw_input(t->graph, "correction2", TW_DTYPE_F32, TW_SCALAR),
                       .average = tw_const(t->graph, TW_DTYPE_F32, 0),
                       .scale = tw_const(t->graph, TW_DTYPE_F32, 1),
                       .go = tw_const(t->graph, TW_DTYPE_BOOL, 1)};
    float *correction1 = add_input(t, adamw.correction1), *correction2 = add_input(t, adamw.correction2);
    tw_val loss = loss_of(t, g);
    add_output(t, loss, -1);
    add_updates(t, &adamw, loss);
    run(t, correction1, correction2, want);
    for (int i = 0; i < t->ins; i++) free(t->from[i]);
    free(t->to[0]);
    tw_safetensors_free(t->ctx, &file);
    tw_params_destroy(t->params);
    tw_graph_destroy(t->graph);
    tw_context_destroy(t->ctx);
    free(t);
}

int main(void)
{
    struct CMUnitTest tests[TW_COUNT(golden_networks)];
    size_t count = 0;
    for (int i = 0; i < TW_COUNT(golden_networks); i++)
        if (golden_networks[i].whole)
            tests[count++] = (struct CMUnitTest){golden_networks[i].name, check_training, NULL, NULL,
                                                 (void *)(uintptr_t)&golden_networks[i]};
    return _cmocka_run_group_tests("steps", tests, count, NULL, NULL);
}
