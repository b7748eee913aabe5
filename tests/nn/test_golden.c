/* Whole networks against PyTorch: forward, every gradient, a Hessian-vector product and a forward derivative, in double
 * precision, by the interpreter and by the compiled program. tests/golden/make_torch.py made the files; its head says
 * what is in them. */
#include <thalweg/exec.h>
#include <thalweg/nn.h>

#include "graph/reference.h"
#include "io/safetensors.h"
#include "support/golden_networks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { MOST = 160 };

typedef struct run {
    tw_context *ctx;
    tw_graph *graph;
    tw_params *params;
    tw_tensor_file file;
    int count, outs; /* values derivatives are taken for: parameters, then inputs */
    const char *name[MOST];
    tw_val value[MOST], direction[MOST], in[2 * MOST], out[2 * MOST + 3];
    double *from[2 * MOST], *along[MOST], *to[2 * MOST + 3];
} run;

static double *array(tw_shape shape)
{
    return calloc((size_t)tw_shape_size(shape) + 1, sizeof(double));
}

static void add_value(run *r, const char *name, tw_val v)
{
    char direction[160];
    tw_shape shape = tw_shape_at(v);
    int i = r->count++;
    assert_true(i < MOST);
    snprintf(direction, sizeof direction, "direction.%s", name);
    r->name[i] = name;
    r->value[i] = v;
    r->direction[i] = tw_input(r->graph, direction, TW_DTYPE_F64, shape);
    r->from[i] = array(shape);
    r->along[i] = array(shape);
    for (int64_t k = 0; k < tw_shape_size(shape); k++) {
        r->from[i][k] = golden_value(name, shape, k);
        r->along[i][k] = golden_number(direction, k);
    }
}

static void add_output(run *r, tw_val v)
{
    r->out[r->outs] = v;
    r->to[r->outs++] = array(tw_shape_at(v));
}

static tw_val build_network(run *r, const golden_network *g)
{
    tw_val in[2] = {TW_NONE, TW_NONE};
    if (g->rank == 0) in[0] = golden_tokens(r->graph, g);
    if (g->rank > 0) in[0] = tw_input(r->graph, "x", TW_DTYPE_F64, golden_shape(g));
    if (g->rank > 0) in[1] = tw_input(r->graph, "t", TW_DTYPE_F64, tw_shape_of(g->size[0]));
    tw_val out = g->build(tw_scope_root(r->params), in);
    assert_int_equal(tw_graph_check(r->graph), TW_OK);
    for (int i = 0; i < tw_params_count(r->params); i++)
        add_value(r, tw_params_name(r->params, i), tw_params_value(r->params, i));
    if (g->rank > 0) add_value(r, "x", in[0]);
    if (g->rank > 0) add_value(r, "t", in[1]);
    return out;
}

/* Out, loss, jvp, then gradients, then products with the Hessian. */
static void build(run *r, const golden_network *g)
{
    tw_val jvp, gradient[MOST], product[MOST], out = build_network(r, g);
    tw_shape shape = tw_shape_at(out);
    double *wanted = array(shape);
    for (int64_t k = 0; k < tw_shape_size(shape); k++) wanted[k] = golden_value("target", shape, k);
    tw_val loss = tw_mean_all(tw_square(tw_sub(out, tw_const_data(r->graph, TW_DTYPE_F64, shape, wanted))));
    free(wanted);
    assert_int_equal(tw_jvp(r->count, r->value, r->direction, 1, &out, &jvp), TW_OK);
    assert_int_equal(tw_grad(loss, r->count, r->value, gradient), TW_OK);
    assert_int_equal(tw_hvp(loss, r->count, r->value, r->direction, product), TW_OK);
    add_output(r, out);
    add_output(r, loss);
    add_output(r, jvp);
    for (int i = 0; i < r->count; i++) add_output(r, gradient[i]);
    for (int i = 0; i < r->count; i++) add_output(r, product[i]);
    for (int i = 0; i < r->count; i++) {
        r->in[i] = r->value[i];
        r->in[r->count + i] = r->direction[i];
        r->from[r->count + i] = r->along[i];
    }
}

static void interpret(run *r)
{
    assert_int_equal(tw_reference_run(r->ctx, 2 * r->count, r->in, (const double *const *)r->from, r->outs, r->out,
                                      (double *const *)r->to),
                     TW_OK);
}

static void compile_and_run(run *r)
{
    tw_program *program = NULL;
    tw_state *state = NULL;
    tw_program_desc desc = {.inputs_count = 2 * r->count, .inputs = r->in, .outputs_count = r->outs, .outputs = r->out};
    assert_int_equal(tw_program_compile(r->ctx, &desc, &program), TW_OK);
    assert_int_equal(tw_state_create(program, 0, &state), TW_OK);
    assert_int_equal(tw_program_run(state, (const void *const *)r->from, (void *const *)r->to, 0), TW_OK);
    tw_state_destroy(state);
    tw_program_destroy(program);
}

/* Largest difference as a share of the largest number of the array. Some gradients vanish by symmetry (a bias before a
 * norm of one channel a group): there the rounding of sums of order one remains. */
static void compare(const run *r, const char *kind, const char *name, const double *got, int64_t n)
{
    char full[200];
    const void *data = NULL;
    double largest = 0, off = 0;
    snprintf(full, sizeof full, "%s%s", kind, name);
    assert_int_equal(tw_safetensors_get(r->ctx, &r->file, "golden", full, "F64", n, &data), TW_OK);
    const double *want = data;
    for (int64_t i = 0; i < n; i++) {
        largest = fmax(largest, fabs(want[i]));
        off = fmax(off, fabs(got[i] - want[i]));
        if (!(fabs(got[i] - want[i]) < 1e300)) off = INFINITY;
    }
    if (!(off <= 1e-10 * largest + 1e-14)) fail_msg("%s is off by %g of %g", full, off, largest);
}

static void compare_derivative(const run *r, const golden_network *g, const char *kind, int i, const double *got)
{
    int64_t n = tw_shape_size(tw_shape_at(r->value[i]));
    if (g->whole) {
        compare(r, kind, r->name[i], got, n);
        return;
    }
    double sums[2] = {0, 0};
    for (int64_t k = 0; k < n; k++) {
        sums[0] += got[k] * got[k];
        sums[1] += got[k] * r->along[i][k];
    }
    compare(r, kind, r->name[i], sums, 2);
}

static void compare_all(const run *r, const golden_network *g)
{
    compare(r, "out", "", r->to[0], tw_shape_size(tw_shape_at(r->out[0])));
    compare(r, "loss", "", r->to[1], 1);
    compare(r, "jvp", "", r->to[2], tw_shape_size(tw_shape_at(r->out[2])));
    for (int i = 0; i < r->count; i++) {
        compare_derivative(r, g, "grad.", i, r->to[3 + i]);
        compare_derivative(r, g, "hvp.", i, r->to[3 + r->count + i]);
    }
}

static void check_network(void **state)
{
    const golden_network *g = *state;
    run *r = calloc(1, sizeof *r);
    char path[400];
    r->ctx = tw_context_create(&(tw_context_desc){.threads = 2});
    assert_int_equal(tw_graph_create(r->ctx, &r->graph), TW_OK);
    assert_int_equal(tw_params_create(r->ctx, r->graph, TW_DTYPE_F64, &r->params), TW_OK);
    snprintf(path, sizeof path, "%s/tests/golden/%s.safetensors", TW_SOURCE_DIR, g->name);
    assert_int_equal(tw_safetensors_read(r->ctx, path, &r->file), TW_OK);
    build(r, g);
    interpret(r);
    compare_all(r, g);
    compile_and_run(r);
    compare_all(r, g);
    for (int i = 0; i < r->outs; i++) free(r->to[i]);
    for (int i = 0; i < 2 * r->count; i++) free(r->from[i]);
    tw_safetensors_free(r->ctx, &r->file);
    tw_params_destroy(r->params);
    tw_graph_destroy(r->graph);
    tw_context_destroy(r->ctx);
    free(r);
}

typedef struct place {
    tw_context *ctx;
    tw_graph *graph;
    tw_params *params;
} place;

static tw_val make_unet(place *p, const tw_unet_desc *desc, int64_t height, int64_t width, int64_t channels)
{
    p->ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    assert_int_equal(tw_graph_create(p->ctx, &p->graph), TW_OK);
    assert_int_equal(tw_params_create(p->ctx, p->graph, TW_DTYPE_F32, &p->params), TW_OK);
    tw_val x = tw_input(p->graph, "x", TW_DTYPE_F32, tw_shape_of(2, height, width, channels));
    tw_val t = tw_input(p->graph, "t", TW_DTYPE_F32, tw_shape_of(2));
    return tw_unet(tw_scope_root(p->params), desc, x, t, TW_NONE, channels);
}

static void leave(place *p)
{
    tw_params_destroy(p->params);
    tw_graph_destroy(p->graph);
    tw_context_destroy(p->ctx);
}

/* What torchcfm's examples train has so many parameters. */
static void test_parameters_of_the_unets(void **state)
{
    (void)state;
    static const struct {
        tw_unet_desc desc;
        int64_t size, channels, parameters;
    } cases[] = {
        {{.width = 32, .levels = 3, .mult = {1, 2, 2}, .attend = {true}, .blocks = 1, .heads = 1}, 28, 1, 1075361},
        {{.width = 128, .levels = 4, .mult = {1, 2, 2, 2}, .attend = {false, true}, .blocks = 2, .head_channels = 64},
         32,
         3,
         35746307},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        place p = {0};
        tw_val u = make_unet(&p, &cases[i].desc, cases[i].size, cases[i].size, cases[i].channels);
        assert_int_equal(tw_graph_check(p.graph), TW_OK);
        assert_true(tw_shape_equal(tw_shape_at(u), tw_shape_of(2, cases[i].size, cases[i].size, cases[i].channels)));
        assert_int_equal(tw_params_parameters(p.params), cases[i].parameters);
        leave(&p);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const words[] = {"halved", "32 groups", "levels"};
    for (int i = 0; i < 3; i++) {
        place p = {0};
        tw_unet_desc desc = {.width = i == 1 ? 48 : 32, .levels = i == 2 ? 9 : 3, .mult = {1, 2, 2}, .blocks = 1};
        assert_true(tw_is_none(make_unet(&p, &desc, i ? 28 : 30, 28, 1)));
        assert_int_not_equal(tw_graph_check(p.graph), TW_OK);
        assert_non_null(strstr(tw_context_error(p.ctx), words[i]));
        leave(&p);
    }
}

int main(void)
{
    struct CMUnitTest tests[TW_COUNT(golden_networks) + 2] = {
        cmocka_unit_test(test_parameters_of_the_unets),
        cmocka_unit_test(test_refusals),
    };
    for (int i = 0; i < TW_COUNT(golden_networks); i++)
        tests[2 + i] = (struct CMUnitTest){golden_networks[i].name, check_network, NULL, NULL,
                                           (void *)(uintptr_t)&golden_networks[i]};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
