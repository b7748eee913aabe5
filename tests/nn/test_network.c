/* Parameters, scopes, layers and the residual MLP: against plain loops written here, and what is refused. */
#include <thalweg/nn.h>

#include "graph/reference.h"
#include "support/limited_memory.h"
#include "nn/network.h"
#include "nn/own_params.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* A product that does not fit says where in the network it is. */
static void test_errors_name_the_place(void **state)
{
    (void)state;
    tw_scope block = tw_at(tw_in(tw_scope_root(params), "net"), "block", 3);
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(4, 7));
    tw_val w = tw_param(block, "weight", tw_shape_of(8, 2), TW_INIT_ZERO, 0);
    assert_true(tw_is_none(tw_matmul(x, w)));
    assert_int_equal(tw_graph_check(graph), TW_ERR_SHAPE);
    assert_non_null(strstr(tw_context_error(ctx), "(near net.block.3.weight)"));
}

static void test_names_and_offsets(void **state)
{
    (void)state;
    tw_scope root = tw_scope_root(params), block = tw_at(tw_in(root, "net"), "block", 3);
    tw_val a = tw_param(root, "alpha", tw_shape_of(3, 5), TW_INIT_ONE, 0);
    tw_val b = tw_param(block, "weight", tw_shape_of(16), TW_INIT_ZERO, 0);
    tw_val c = tw_param(block, "bias", TW_SCALAR, TW_INIT_ZERO, 0);
    assert_int_equal(tw_graph_check(graph), TW_OK);
    assert_int_equal(tw_params_count(params), 3);
    assert_string_equal(tw_params_name(params, 0), "alpha");
    assert_string_equal(tw_params_name(params, 1), "net.block.3.weight");
    assert_string_equal(tw_params_name(params, 2), "net.block.3.bias");
    assert_int_equal(tw_params_offset(params, 0), 0);
    assert_int_equal(tw_params_offset(params, 1), 16); /* 15 numbers, rounded up to 16 */
    assert_int_equal(tw_params_offset(params, 2), 32);
    assert_int_equal(tw_params_size(params), 48);
    assert_int_equal(tw_params_parameters(params), 15 + 16 + 1);
    assert_int_equal(tw_params_value(params, 0).id, a.id);
    assert_int_equal(tw_params_value(params, 1).id, b.id);
    assert_int_equal(tw_params_value(params, 2).id, c.id);
}

static void test_sharing(void **state)
{
    (void)state;
    tw_scope scope = tw_in(tw_scope_root(params), "a");
    tw_val first = tw_param(scope, "w", tw_shape_of(2, 2), TW_INIT_ONE, 0);
    tw_val again = tw_param(tw_in(tw_scope_root(params), "a"), "w", tw_shape_of(2, 2), TW_INIT_ONE, 0);
    assert_int_equal(first.id, again.id);
    assert_int_equal(tw_params_count(params), 1);
    tw_val other = tw_param(scope, "w", tw_shape_of(4), TW_INIT_ONE, 0);
    assert_true(tw_is_none(other));
    assert_int_equal(tw_graph_check(graph), TW_ERR_SHAPE);
    assert_non_null(strstr(tw_context_error(ctx), "a.w"));
}

static void test_init(void **state)
{
    (void)state;
    enum { N = 20000 };
    static float flat[3 * N + 64], other[3 * N + 64];
    tw_scope root = tw_scope_root(params);
    tw_param(root, "u", tw_shape_of(N), TW_INIT_UNIFORM, 0.5);
    tw_param(root, "n", tw_shape_of(N), TW_INIT_NORMAL, 2);
    tw_param(root, "v", tw_shape_of(N), TW_INIT_UNIFORM, 0.5);
    tw_params_init(params, 7, flat);
    double sum = 0, square = 0, normal = 0, cross = 0;
    const float *n = flat + tw_params_offset(params, 1), *v = flat + tw_params_offset(params, 2);
    for (int i = 0; i < N; i++) {
        assert_true(fabs((double)flat[i]) <= 0.5);
        sum += (double)flat[i];
        square += (double)flat[i] * (double)flat[i];
        normal += (double)n[i] * (double)n[i];
        cross += (double)flat[i] * (double)v[i];
    }
    /* five standard errors: of a mean of sd 0.2887; of squares of sd 0.0745 and 4 sqrt(2); of products of sd 1/12 */
    assert_true(fabs(sum / N) < 5 * 0.2887 / sqrt(N));
    assert_true(fabs(square / N - 1.0 / 12) < 5 * 0.0745 / sqrt(N));
    assert_true(fabs(normal / N - 4) < 5 * 5.657 / sqrt(N));
    assert_true(fabs(cross / N) < 5 * (1.0 / 12) / sqrt(N)); /* parameters have streams of their own */
    tw_params_init(params, 7, other);
    assert_memory_equal(flat, other, sizeof(flat));
    tw_params_init(params, 8, other);
    assert_memory_not_equal(flat, other, sizeof(flat));
}

static void test_time_features(void **state)
{
    (void)state;
    double t[2] = {0, 0.37}, out[2 * 6];
    tw_val in = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(2));
    tw_val features = tw_time_features(in, 6);
    assert_int_equal(tw_reference_run(ctx, 1, &in, (const double *[]){t}, 1, &features, (double *[]){out}), TW_OK);
    const double w[3] = {1, sqrt(30.0), 30};
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < 3; k++) {
            assert_true(fabs(out[6 * i + k] - sin(w[k] * t[i])) < 1e-13);
            assert_true(fabs(out[6 * i + 3 + k] - cos(w[k] * t[i])) < 1e-13);
        }
    assert_true(tw_is_none(tw_time_features(in, 5)));
    assert_int_equal(tw_graph_check(graph), TW_ERR_INVALID);
}

/* --- the MLP as plain loops -------------------------------------------------------------------------------------- */

enum { D = 3, W = 5, DEPTH = 2, F = 4, B = 4, O = 2 };

static double silu(double x)
{
    return x / (1 + exp(-x));
}

static const double *piece(const double *flat, const char *name)
{
    for (int i = 0; i < tw_params_count(params); i++)
        if (strcmp(tw_params_name(params, i), name) == 0) return flat + tw_params_offset(params, i);
    fail_msg("no parameter %s", name);
    return NULL;
}

static void plain_mlp(const double *flat, const double *x, double t, double *out)
{
    double h[W], next[W], features[F] = {sin(t), sin(30 * t), cos(t), cos(30 * t)};
    for (int j = 0; j < W; j++) {
        h[j] = piece(flat, "in.bias")[j];
        for (int k = 0; k < D; k++) h[j] += x[k] * piece(flat, "in.weight")[k * W + j];
        for (int k = 0; k < F; k++) h[j] += features[k] * piece(flat, "time.weight")[k * W + j];
    }
    for (int i = 0; i < DEPTH; i++) {
        char weight[32], bias[32];
        snprintf(weight, sizeof(weight), "block.%d.weight", i);
        snprintf(bias, sizeof(bias), "block.%d.bias", i);
        for (int j = 0; j < W; j++) {
            next[j] = h[j] + piece(flat, bias)[j];
            for (int k = 0; k < W; k++) next[j] += silu(h[k]) * piece(flat, weight)[k * W + j];
        }
        memcpy(h, next, sizeof(h));
    }
    for (int j = 0; j < O; j++) {
        out[j] = piece(flat, "out.bias")[j];
        for (int k = 0; k < W; k++) out[j] += silu(h[k]) * piece(flat, "out.weight")[k * O + j];
    }
}

static void test_mlp_equals_plain_loops(void **state)
{
    (void)state;
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
           t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B));
    tw_val u = tw_network(tw_scope_root(params), &(tw_network_desc){.width = W, .depth = DEPTH, .time_features = F}, x,
                          t, TW_NONE, O);
    assert_int_equal(tw_graph_check(graph), TW_OK);
    static double flat[1024];
    assert_true(tw_params_size(params) <= 1024);
    for (int i = 0; i < 1024; i++) flat[i] = sin(1.7 * i + 0.3);
    double xs[B * D], ts[B], got[B * O], want[O];
    for (int i = 0; i < B * D; i++) xs[i] = cos(0.9 * i);
    for (int i = 0; i < B; i++) ts[i] = i / 3.0;
    tw_val inputs[32];
    const double *values[32];
    int count = tw_params_count(params);
    for (int i = 0; i < count; i++) {
        inputs[i] = tw_params_value(params, i);
        values[i] = flat + tw_params_offset(params, i);
    }
    inputs[count] = x;
    values[count] = xs;
    inputs[count + 1] = t;
    values[count + 1] = ts;
    assert_int_equal(tw_reference_run(ctx, count + 2, inputs, values, 1, &u, (double *[]){got}), TW_OK);
    for (int i = 0; i < B; i++) {
        plain_mlp(flat, xs + i * D, ts[i], want);
        for (int j = 0; j < O; j++) assert_true(fabs(got[i * O + j] - want[j]) < 1e-11);
    }
}

/* Two points through one hidden layer of two units, by hand. */
static void test_plain_networks(void **state)
{
    (void)state;
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(2, 1)),
           t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(2));
    tw_val u[2] = {tw_network(tw_in(tw_scope_root(params), "a"),
                              &(tw_network_desc){.kind = "plain", .width = 2, .depth = 1}, x, t, TW_NONE, 1),
                   tw_network(tw_in(tw_scope_root(params), "a"),
                              &(tw_network_desc){.kind = "selu", .width = 2, .depth = 1}, x, t, TW_NONE, 1)};
    assert_int_equal(tw_graph_check(graph), TW_OK);
    assert_int_equal(tw_params_count(params), 4);
    const char *names[4] = {"a.main.0.weight", "a.main.0.bias", "a.main.2.weight", "a.main.2.bias"};
    const double w1[4] = {0.5, -1, 2, 0.25}, b1[2] = {0.1, -0.2}, w2[2] = {1.5, -0.75}, b2 = 0.3;
    const double xs[2] = {0.7, -1.2}, ts[2] = {0.25, 0.9};
    tw_val inputs[6];
    const double *values[6] = {w1, b1, w2, &b2, xs, ts};
    for (int i = 0; i < 4; i++) {
        assert_string_equal(tw_params_name(params, i), names[i]);
        inputs[i] = tw_params_value(params, i);
    }
    inputs[4] = x;
    inputs[5] = t;
    double got[2][2];
    assert_int_equal(tw_reference_run(ctx, 6, inputs, values, 2, u, (double *[]){got[0], got[1]}), TW_OK);
    for (int i = 0; i < 2; i++) {
        double h[2], want[2] = {b2, b2};
        for (int j = 0; j < 2; j++) {
            h[j] = xs[i] * w1[j] + ts[i] * w1[2 + j] + b1[j];
            want[0] += silu(h[j]) * w2[j];
            /* constants of Klambauer et al. 2017, section 2 */
            want[1] += w2[j] * (h[j] > 0 ? 1.0507009873554805 * h[j] : 1.7580993408473766 * (exp(h[j]) - 1));
        }
        for (int k = 0; k < 2; k++) assert_true(fabs(got[k][i] - want[k]) < 1e-14);
    }
}

static void test_building_twice_shares_weights(void **state)
{
    (void)state;
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
           t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B));
    tw_network_desc desc = {.width = W, .depth = DEPTH, .time_features = F};
    tw_val a = tw_network(tw_scope_root(params), &desc, x, t, TW_NONE, O),
           b = tw_network(tw_scope_root(params), &desc, x, t, TW_NONE, O);
    assert_int_equal(a.id, b.id);
    assert_int_equal(tw_params_parameters(params), D * W + W + F * W + DEPTH * (W * W + W) + W * O + O);
}

/* Zeros say nothing; a class shifts the first layer by its row, which a bias can do as well. */
static void test_conditions(void **state)
{
    (void)state;
    static const char *const kinds[] = {"mlp", "plain", "selu"};
    enum { C = 3 };
    for (int kind = 0; kind < TW_COUNT(kinds); kind++) {
        tw_network_desc desc = {.kind = kinds[kind], .width = W, .depth = DEPTH, .time_features = kind ? 0 : F};
        tw_scope scope = tw_in(tw_scope_root(params), kinds[kind]), alone = tw_in(tw_scope_root(params), "alone");
        tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
               t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B)),
               c = tw_input(graph, "c", TW_DTYPE_F64, tw_shape_of(B, C));
        int before = tw_params_count(params);
        tw_val told = tw_network(scope, &desc, x, t, c, O);
        int with = tw_params_count(params) - before;
        tw_val plain = tw_network(tw_in(alone, kinds[kind]), &desc, x, t, TW_NONE, O);
        assert_int_equal(tw_graph_check(graph), TW_OK);
        static double flat[4096];
        double xs[B * D], ts[B], cs[B * C] = {0}, first[B * O], got[B * O];
        for (int i = 0; i < 4096; i++) flat[i] = sin(1.7 * i + 0.3);
        for (int i = 0; i < B * D; i++) xs[i] = cos(0.9 * i);
        for (int i = 0; i < B; i++) ts[i] = i / 3.0;
        tw_val inputs[64] = {x, t, c};
        const double *values[64] = {xs, ts, cs};
        int count = 3;
        for (int i = before; i < before + with; i++, count++) {
            inputs[count] = tw_params_value(params, i);
            values[count] = flat + tw_params_offset(params, i) - tw_params_offset(params, before);
        }
        /* the same weights without those of the condition: a row more of the first layer, or a parameter of its own */
        for (int i = before + with, from = 3; i < tw_params_count(params); i++, count++, from++) {
            if (strstr(tw_params_name(params, before + from - 3), "condition")) from++;
            inputs[count] = tw_params_value(params, i);
            values[count] = values[from];
        }
        tw_val both[] = {told, plain};
        assert_int_equal(tw_reference_run(ctx, count, inputs, values, 2, both, (double *[]){got, first}), TW_OK);
        for (int i = 0; i < B * O; i++) assert_true(fabs(got[i] - first[i]) < 1e-13);
        for (int i = 0; i < B; i++) cs[C * i + i % C] = 1;
        assert_int_equal(tw_reference_run(ctx, count, inputs, values, 2, both, (double *[]){got, first}), TW_OK);
        for (int i = 0; i < B; i++) assert_true(fabs(got[O * i] - first[O * i]) > 1e-6);
    }
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
           t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B)),
           c = tw_input(graph, "c", TW_DTYPE_F64, tw_shape_of(B + 1, 2));
    assert_true(tw_is_none(tw_network(tw_scope_root(params), &(tw_network_desc){0}, x, t, c, O)));
    assert_int_equal(tw_graph_check(graph), TW_ERR_SHAPE);
}

/* A transformer of tokens says the same of a row of four whatever fills it up to seven, and where nothing does. */
static void test_rows_that_are_filled_up(void **state)
{
    (void)state;
    enum { SHORT = 4, LONG = 7, OUTPUTS = 3, BLANK = 5, MOST = 64 };
    tw_network_desc desc = {.kind = "ddit", .width = 8, .depth = 2, .heads = 2, .states = 7}, ragged = desc;
    ragged.blank = BLANK;
    tw_scope scope = tw_scope_root(params);
    tw_val t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(1));
    tw_val few = tw_input(graph, "few", TW_DTYPE_F64, tw_shape_of(1, SHORT));
    tw_val many = tw_input(graph, "many", TW_DTYPE_F64, tw_shape_of(1, LONG));
    tw_val out[2] = {tw_network(scope, &desc, few, t, TW_NONE, OUTPUTS),
                     tw_network(scope, &ragged, many, t, TW_NONE, OUTPUTS)};
    assert_int_equal(tw_graph_check(graph), TW_OK);
    static double flat[1 << 14];
    const double time = 0.4, x[LONG] = {6, 0, 3, 1, BLANK, BLANK, BLANK};
    double got[LONG * OUTPUTS], plain[SHORT * OUTPUTS], spread = 0;
    tw_val inputs[MOST];
    const double *values[MOST];
    int count = tw_params_count(params);
    assert_true(count + 3 <= MOST && tw_params_size(params) <= TW_COUNT(flat));
    for (int i = 0; i < TW_COUNT(flat); i++) flat[i] = 0.4 * sin(1.7 * i + 0.3);
    for (int i = 0; i < count; i++) {
        inputs[i] = tw_params_value(params, i);
        values[i] = flat + tw_params_offset(params, i);
    }
    inputs[count] = t, inputs[count + 1] = few, inputs[count + 2] = many;
    values[count] = &time, values[count + 1] = values[count + 2] = x;
    assert_int_equal(tw_reference_run(ctx, count + 3, inputs, values, 2, out, (double *[]){plain, got}), TW_OK);
    for (int i = 0; i < SHORT * OUTPUTS; i++) {
        spread = fmax(spread, fabs(plain[i] - plain[0]));
        if (!(fabs(got[i] - plain[i]) < 1e-12)) fail_msg("%d: %.17g, without blanks %.17g", i, got[i], plain[i]);
    }
    assert_true(spread > 1e-3);
}

static void test_refusals(void **state)
{
    (void)state;
    tw_network_desc full;
    assert_int_equal(tw_network_complete(ctx, &(tw_network_desc){.kind = "mpl"}, &full), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "'mlp'"));
    assert_int_equal(tw_network_complete(ctx, &(tw_network_desc){.width = -1}, &full), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "width is -1"));
    assert_int_equal(tw_network_complete(ctx, &(tw_network_desc){.depth = 100000}, &full), TW_ERR_INVALID);
    assert_int_equal(tw_network_complete(ctx, &(tw_network_desc){.time_features = 7}, &full), TW_ERR_INVALID);
    assert_int_equal(tw_network_complete(ctx, &(tw_network_desc){.kind = "plain", .time_features = 8}, &full),
                     TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "'plain' has no time features"));
    assert_int_equal(tw_network_complete(ctx, &(tw_network_desc){.kind = "unet"}, &full), TW_ERR_INVALID);
    assert_non_null(strstr(tw_context_error(ctx), "pictures"));
    tw_params *bad = NULL;
    assert_int_equal(tw_params_create(ctx, graph, TW_DTYPE_I32, &bad), TW_ERR_DTYPE);
    tw_val x = tw_input(graph, "x", TW_DTYPE_F64, tw_shape_of(B, D)),
           t = tw_input(graph, "t", TW_DTYPE_F64, tw_shape_of(B + 1));
    assert_true(tw_is_none(tw_network(tw_scope_root(params), &(tw_network_desc){0}, x, t, TW_NONE, O)));
    assert_int_equal(tw_graph_check(graph), TW_ERR_SHAPE);
}

static void test_list(void **state)
{
    (void)state;
    assert_non_null(tw_network_list(0));
    for (int i = 0; tw_network_list(i); i++) {
        assert_true(strlen(tw_network_list(i)->name) > 0 && strlen(tw_network_list(i)->about) > 0);
        assert_true(strlen(tw_network_list(i)->source) > 0);
    }
    assert_null(tw_network_list(-1));
}

static tw_status build_network(tw_context *c, void *user)
{
    tw_graph *g = NULL;
    tw_params *p = NULL;
    (void)user;
    tw_status status = tw_graph_create(c, &g);
    if (status == TW_OK) status = tw_params_create(c, g, TW_DTYPE_F32, &p);
    if (status == TW_OK) {
        tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(2, 3)),
               t = tw_input(g, "t", TW_DTYPE_F32, tw_shape_of(2));
        tw_network(tw_in(tw_scope_root(p), "network"), &(tw_network_desc){.width = 8, .depth = 2}, x, t, TW_NONE, 3);
        status = tw_graph_check(g);
    }
    tw_params_destroy(p);
    tw_graph_destroy(g);
    return status;
}

static void test_memory_running_out(void **state)
{
    (void)state;
    run_with_limited_memory(build_network, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_errors_name_the_place, setup, teardown),
        cmocka_unit_test_setup_teardown(test_names_and_offsets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sharing, setup, teardown),
        cmocka_unit_test_setup_teardown(test_init, setup, teardown),
        cmocka_unit_test_setup_teardown(test_time_features, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mlp_equals_plain_loops, setup, teardown),
        cmocka_unit_test_setup_teardown(test_plain_networks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_building_twice_shares_weights, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rows_that_are_filled_up, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list, setup, teardown),
        cmocka_unit_test(test_memory_running_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
