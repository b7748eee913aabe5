/* Layers: product, bias and activation are one product and one pass behind it, strip by strip, and what they compute is
 * the formula. */
#include "exec/program.h"
#include "graph/reference.h"

#include <thalweg/nn.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { ROWS = 300, INPUTS = 24, WIDTH = 40 };

static tw_val relu(tw_val x)
{
    return tw_max(x, tw_zeros_like(x));
}

static const struct {
    tw_activation activation;
    double at_one; /* activation(1) */
} cases[] = {{tw_silu, 0.7310585786300049},
             {tw_gelu, 0.8413447460685429},
             {tw_gelu_tanh, 0.8411919906082768},
             {tw_softplus, 1.3132616875182228},
             {tw_tanh, 0.7615941559557649},
             {relu, 1.0},
             {NULL, 1.0}};

static tw_context *ctx;
static tw_graph *graph;
static tw_params *params;

static tw_val begin(int kind, tw_val *out_x)
{
    ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    assert_int_equal(tw_graph_create(ctx, &graph), TW_OK);
    assert_int_equal(tw_params_create(ctx, graph, TW_DTYPE_F32, &params), TW_OK);
    *out_x = tw_input(graph, "x", TW_DTYPE_F32, tw_shape_of(ROWS, INPUTS));
    return tw_dense(tw_in(tw_scope_root(params), "layer"), *out_x, WIDTH, cases[kind].activation);
}

static void end(void)
{
    tw_params_destroy(params);
    tw_graph_destroy(graph);
    tw_context_destroy(ctx);
}

/* Two instructions a region: the product, whose result lives for a strip, and one tile program of bias and activation
 * that writes the output. */
static void one_group(void **state)
{
    (void)state;
    for (int k = 0; k < TW_COUNT(cases); k++) {
        tw_val x, y = begin(k, &x);
        tw_program_desc desc = {.inputs_count = 3,
                                .inputs = (tw_val[]){x, tw_params_value(params, 0), tw_params_value(params, 1)},
                                .outputs_count = 1,
                                .outputs = &y};
        tw_program *program = NULL;
        char *text = NULL;
        assert_int_equal(tw_program_compile(ctx, &desc, &program), TW_OK);
        assert_int_equal(program->regions_count, 1);
        assert_int_equal(program->insts_count, 2);
        assert_int_equal(program->insts[0].dst.home, TW_HOME_LOCAL);
        assert_int_equal(program->finals_count, 0);
        assert_int_equal(tw_program_print(program, &text), TW_OK);
        const char *product = strstr(text, "    gemm"), *tile = strstr(text, "    tile");
        assert_true(product && tile && product < tile);
        assert_true(strstr(tile, "=add") && strstr(tile, " out0"));
        tw_string_free(ctx, text);
        tw_program_destroy(program);
        end();
    }
}

/* A bias of one and weights of zero: the activation of one, whatever x is. */
static void values(void **state)
{
    (void)state;
    static double x[ROWS * INPUTS], weight[INPUTS * WIDTH], bias[WIDTH], out[ROWS * WIDTH];
    for (int i = 0; i < ROWS * INPUTS; i++) x[i] = sin(i);
    for (int j = 0; j < WIDTH; j++) bias[j] = 1.0;
    for (int k = 0; k < TW_COUNT(cases); k++) {
        tw_val in, y = begin(k, &in);
        const tw_val inputs[3] = {in, tw_params_value(params, 0), tw_params_value(params, 1)};
        assert_string_equal(tw_params_name(params, 0), "layer.weight");
        assert_int_equal(
            tw_reference_run(ctx, 3, inputs, (const double *[]){x, weight, bias}, 1, &y, (double *[]){out}), TW_OK);
        for (int i = 0; i < ROWS * WIDTH; i++) assert_true(fabs(out[i] - cases[k].at_one) < 1e-12);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(one_group), cmocka_unit_test(values)};
    return cmocka_run_group_tests_name("nn/layers", tests, NULL, NULL);
}
