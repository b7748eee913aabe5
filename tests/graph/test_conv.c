/* The three sides of a convolution: the reference kernel against values worked out by hand and against the definition
 * as shifted sums, shapes that do not fit, batching. Derivatives are tested with every other op (test_ops). */
#include "graph/node.h"
#include "graph/support.h"
#include "support/context.h"

/* y = x correlated with w, by hand:
 *   x = 1 2 3      w = 1 0     y = 1+5*2 2+6*2      = 11 14
 *       4 5 6          0 2         4+8*2 5+9*2        20 23
 *       7 8 9 */
static void by_hand(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_val in[2] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(1, 3, 3, 1)),
                    tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(2, 2, 1, 1))};
    double x[] = {1, 2, 3, 4, 5, 6, 7, 8, 9}, w[] = {1, 0, 0, 2}, *values[] = {x, w};
    const double plain[] = {11, 14, 20, 23};
    /* stride 2, one row of zeros above and one column to the right: rows at 1 (x row 0 meets w row 1), 3 (out) */
    const double strided[] = {2 * 2, 0, 4 + 8 * 2, 6};
    tw_conv_desc desc = {.stride = {2, 2}, .low = {1, 0}, .high = {0, 1}};
    double *a = evaluate(2, in, values, tw_conv(in[0], in[1], NULL));
    double *b = evaluate(2, in, values, tw_conv(in[0], in[1], &desc));
    for (int i = 0; i < 4; i++) assert_near(a[i], plain[i], 0.0, "plain");
    for (int i = 0; i < 4; i++) assert_near(b[i], strided[i], 0.0, "strided");
    free(a);
    free(b);
    tw_graph_destroy(g);
}

/* Every kernel position as a padded image, sliced in steps and multiplied with its weights: dilation, stride, padding
 * and groups by other ops. */
static tw_val by_shifts(tw_val x, tw_val w, int64_t stride, int64_t low, int64_t high, int64_t dilation, int64_t groups)
{
    int64_t height = (tw_dim(x, 1) + low + high - (tw_dim(w, 0) - 1) * dilation - 1) / stride + 1;
    int64_t width = (tw_dim(x, 2) + low + high - (tw_dim(w, 1) - 1) * dilation - 1) / stride + 1;
    int64_t before[] = {0, low, low, 0}, after[] = {0, high, high, 0}, cs = tw_dim(w, 2), os = tw_dim(w, 3) / groups;
    tw_val padded = tw_pad(x, 0.0, before, after, NULL), parts[8];
    for (int64_t k = 0; k < groups; k++) {
        parts[k] = TW_NONE;
        for (int64_t i = 0; i < tw_dim(w, 0); i++)
            for (int64_t j = 0; j < tw_dim(w, 1); j++) {
                int64_t begin[] = {0, i * dilation, j * dilation, k * cs}, step[] = {1, stride, stride, 1};
                int64_t end[] = {tw_dim(x, 0), begin[1] + (height - 1) * stride + 1,
                                 begin[2] + (width - 1) * stride + 1, (k + 1) * cs};
                tw_val tap = tw_slice(tw_slice(tw_slice(w, 0, i, i + 1), 1, j, j + 1), 3, k * os, (k + 1) * os);
                tw_val term =
                    tw_matmul(tw_slice_strided(padded, begin, end, step), tw_reshape(tap, tw_shape_of(cs, os)));
                parts[k] = tw_is_none(parts[k]) ? term : tw_add(parts[k], term);
            }
    }
    return tw_concat(3, (int)groups, parts);
}

static void as_shifts(void **state)
{
    static const struct {
        int64_t x[4], w[4], stride, low, high, dilation, groups;
    } cases[] = {
        {{2, 6, 5, 3}, {3, 3, 3, 4}, 1, 1, 1, 1, 1}, {{1, 7, 8, 4}, {3, 2, 2, 6}, 2, 0, 2, 1, 2},
        {{2, 9, 8, 2}, {3, 3, 2, 2}, 3, 2, 1, 2, 1}, {{1, 5, 5, 6}, {2, 2, 1, 6}, 1, 1, 0, 1, 6},
        {{1, 3, 2, 2}, {5, 4, 2, 3}, 1, 2, 2, 1, 1},
    };
    tw_random random = {.seed = 5};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_graph *g = new_graph(*state);
        tw_val in[2] = {tw_input(g, "x", TW_DTYPE_F64, tw_shape_make(4, cases[i].x)),
                        tw_input(g, "w", TW_DTYPE_F64, tw_shape_make(4, cases[i].w))};
        tw_conv_desc desc = {.stride = {cases[i].stride, cases[i].stride},
                             .low = {cases[i].low, cases[i].low},
                             .high = {cases[i].high, cases[i].high},
                             .dilation = {cases[i].dilation, cases[i].dilation},
                             .groups = cases[i].groups};
        tw_val made = tw_conv(in[0], in[1], &desc);
        tw_val wanted =
            by_shifts(in[0], in[1], cases[i].stride, cases[i].low, cases[i].high, cases[i].dilation, cases[i].groups);
        check_ok(g);
        assert_true(tw_shape_equal(tw_shape_at(made), tw_shape_at(wanted)));
        double *values[2];
        for (int k = 0; k < 2; k++) values[k] = random_array(&random, TW_DTYPE_F64, size_at(in[k]), -1.0, 1.0);
        double *a = evaluate(2, in, values, made), *b = evaluate(2, in, values, wanted);
        /* at most 50 terms of order one in another order */
        for (int64_t k = 0; k < size_at(made); k++) assert_near(a[k], b[k], 1e-13, "shifts");
        for (int k = 0; k < 2; k++) free(values[k]);
        free(a);
        free(b);
        tw_graph_destroy(g);
    }
}

/* <conv(x, w), y> = <x, conv_input(y, w)> = <w, conv_weights(x, y)>, and the smallest image is the right one. */
static void one_form(void **state)
{
    tw_graph *g = new_graph(*state);
    tw_conv_desc desc = {.stride = {2, 1}, .low = {1, 0}, .high = {0, 1}, .dilation = {1, 2}, .groups = 2};
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(2, 6, 5, 4)),
           w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(3, 2, 2, 6)), like = tw_conv(x, w, &desc),
           y = tw_input(g, "y", TW_DTYPE_F64, tw_shape_at(like)), in[] = {x, w, y};
    tw_val sums[] = {tw_sum_all(tw_mul(like, y)), tw_sum_all(tw_mul(x, tw_conv_input(y, w, &desc, tw_shape_at(x)))),
                     tw_sum_all(tw_mul(w, tw_conv_weights(x, y, &desc, tw_shape_at(w))))};
    check_ok(g);
    tw_random random = {.seed = 6};
    double *values[3], found[3];
    for (int k = 0; k < 3; k++) values[k] = random_array(&random, TW_DTYPE_F64, size_at(in[k]), -1.0, 1.0);
    for (int k = 0; k < 3; k++) {
        double *sum = evaluate(3, in, values, sums[k]);
        found[k] = *sum;
        free(sum);
    }
    assert_near(found[0], found[1], 1e-11, "in x"); /* some 2000 terms of order one */
    assert_near(found[0], found[2], 1e-11, "in w");
    /* (6 + 1 - 3) / 2 + 1 = 3 rows come from at least 2*2 + 3 - 1 = 6, all 5 columns are needed */
    assert_true(tw_shape_equal(tw_shape_at(tw_conv_input(y, w, &desc, TW_SCALAR)), tw_shape_at(x)));
    for (int k = 0; k < 3; k++) free(values[k]);
    tw_graph_destroy(g);
}

static void sentences(void **state)
{
    static const struct {
        int rank;
        int64_t x[5], w[5];
        tw_conv_desc desc;
        tw_status status;
        const char *text;
    } cases[] = {
        {4,
         {1, 5, 5, 3},
         {3, 3, 2, 4},
         {.groups = 1},
         TW_ERR_SHAPE,
         "conv: images (1,5,5,3) and weights (3,3,2,4) do not fit in 1 group: 3 channels, weights for 2 and 4 results"},
        {4,
         {1, 5, 5, 4},
         {3, 3, 2, 3},
         {.groups = 2},
         TW_ERR_SHAPE,
         "conv: images (1,5,5,4) and weights (3,3,2,3) do not fit in 2 groups"},
        {4,
         {1, 2, 5, 4},
         {3, 3, 4, 3},
         {.groups = 1},
         TW_ERR_SHAPE,
         "conv: weights (3,3,4,3) do not fit into images (1,2,5,4): along axis 1, 3 of them 1 apart, padding 0 and 0"},
        {4, {1, 5, 5, 4}, {0, 3, 4, 3}, {.groups = 1}, TW_ERR_SHAPE, "conv: weights (0,3,4,3) do not fit into images"},
        {4,
         {1, 5, 5, 4},
         {3, 3, 4, 3},
         {.stride = {-1}},
         TW_ERR_INVALID,
         "conv: stride, dilation and groups are at least 1, padding at least 0"},
        {4, {1, 5, 5, 4}, {3, 3, 4, 3}, {.low = {0, -1}}, TW_ERR_INVALID, "padding at least 0"},
        {4, {1, 5, 5, 4}, {3, 3, 4, 3}, {.groups = -2}, TW_ERR_INVALID, "groups are at least 1"},
        {4, {1, 5, 5, 4}, {3, 3, 4, 3}, {.dilation = {INT64_MAX}}, TW_ERR_INVALID, "below 2^31"},
        {2, {5, 4}, {4, 3}, {.groups = 1}, TW_ERR_SHAPE, "conv: (5,4) and (4,3) must both have 3 to 5 axes"},
    };
    for (int i = 0; i < TW_COUNT(cases); i++) {
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_make(cases[i].rank, cases[i].x)),
               w = tw_input(g, "w", TW_DTYPE_F32, tw_shape_make(cases[i].rank, cases[i].w));
        assert_true(tw_is_none(tw_conv(x, w, &cases[i].desc)));
        assert_int_equal(tw_graph_check(g), cases[i].status);
        if (!strstr(tw_context_error(g->ctx), cases[i].text)) fail_msg("case %d: %s", i, tw_context_error(g->ctx));
        tw_graph_destroy(g);
    }
}

static void sentences_of_the_others(void **state)
{
    static const char *text[] = {
        "conv_input: images (1,6,5,2) and weights (3,3,2,4) make (1,4,3,4), not (1,3,3,4)",
        "conv_weights: images (1,5,5,2) and weights (2,3,2,4) make (1,4,3,4), not (1,3,3,4)",
        "conv_input: a result of shape () from (1,3,3,4) and (3,3,2)",
        "conv: f32(1,5,5,2) and f64(3,3,2,4) must both be f32 or both f64",
    };
    for (int i = 0; i < TW_COUNT(text); i++) {
        tw_graph *g = new_graph(*state);
        tw_val x = tw_input(g, "x", TW_DTYPE_F32, tw_shape_of(1, 5, 5, 2)),
               w = tw_input(g, "w", i == 3 ? TW_DTYPE_F64 : TW_DTYPE_F32, tw_shape_of(3, 3, 2, 4)),
               y = tw_input(g, "y", TW_DTYPE_F32, tw_shape_of(1, 3, 3, 4));
        tw_val flat = tw_input(g, "w", TW_DTYPE_F32, tw_shape_of(3, 3, 2));
        if (i == 0) tw_conv_input(y, w, NULL, tw_shape_of(1, 6, 5, 2));
        if (i == 1) tw_conv_weights(x, y, NULL, tw_shape_of(2, 3, 2, 4));
        if (i == 2) tw_conv_input(y, flat, NULL, TW_SCALAR);
        if (i == 3) tw_conv(x, w, NULL);
        assert_int_not_equal(tw_graph_check(g), TW_OK);
        if (i == 2)
            assert_non_null(strstr(tw_context_error(g->ctx), "(1,3,3,4) and (3,3,2) must both have 3 to 5"));
        else if (!strstr(tw_context_error(g->ctx), text[i]))
            fail_msg("case %d: %s", i, tw_context_error(g->ctx));
        tw_graph_destroy(g);
    }
}

/* K tangents a row: the batched function at (r, k) is the function at the k-th replacement. */
static void batched(void **state)
{
    enum { R = 3, K = 2 };
    tw_graph *g = new_graph(*state);
    tw_conv_desc desc = {.stride = {2, 1}, .low = {1, 1}, .high = {1, 1}};
    tw_val x = tw_input(g, "x", TW_DTYPE_F64, tw_shape_of(R, 5, 4, 2)),
           w = tw_input(g, "w", TW_DTYPE_F64, tw_shape_of(3, 3, 2, 3)),
           many = tw_input(g, "many", TW_DTYPE_F64, tw_shape_of(R, K, 5, 4, 2)), there = tw_conv(x, w, &desc),
           back = tw_conv_input(tw_sin(there), w, &desc, tw_shape_at(x)), out = TW_NONE;
    check_status(g, tw_vmap_rows(1, &x, &many, 1, &back, &out));
    assert_true(tw_shape_equal(tw_shape_at(out), tw_shape_at(many)));
    tw_random random = {.seed = 7};
    tw_val in[] = {w, many};
    double *values[2];
    for (int k = 0; k < 2; k++) values[k] = random_array(&random, TW_DTYPE_F64, size_at(in[k]), -1.0, 1.0);
    double *all = evaluate(2, in, values, out);
    enum { ONE = 5 * 4 * 2 };
    for (int k = 0; k < K; k++) {
        double slice[R * ONE], *at[] = {values[0], slice};
        for (int i = 0; i < R * ONE; i++) slice[i] = values[1][(i / ONE * K + k) * ONE + i % ONE];
        double *one = evaluate(2, (tw_val[]){w, x}, at, back);
        for (int i = 0; i < R * ONE; i++) assert_near(one[i], all[(i / ONE * K + k) * ONE + i % ONE], 0.0, "batched");
        free(one);
    }
    for (int k = 0; k < 2; k++) free(values[k]);
    free(all);
    /* three rows, and a kernel of three rows made from them */
    tw_val kernel = tw_slice(tw_reshape(tw_slice(x, 1, 0, 3), tw_shape_of(R, 3, 2, 4)), 3, 0, 3), grown = TW_NONE;
    tw_val mixed = tw_conv(tw_input(g, "c", TW_DTYPE_F64, tw_shape_of(R, 5, 4, 2)), kernel, &desc);
    assert_int_equal(tw_vmap_rows(1, &x, &many, 1, &mixed, &grown), TW_ERR_UNSUPPORTED);
    assert_non_null(strstr(tw_context_error(g->ctx), "conv mixes the rows"));
    tw_graph_destroy(g);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),   cmocka_unit_test(as_shifts), cmocka_unit_test(one_form),
        cmocka_unit_test(sentences), cmocka_unit_test(batched),   cmocka_unit_test(sentences_of_the_others),
    };
    return cmocka_run_group_tests_name("graph/conv", tests, open_context, close_context);
}
