/* Widths that rows are drawn around with: shares of the mean distance to six other places, by hand on a line and on the
 * sphere; what is refused; that few rows are not learned by heart; and what methods of kernels learn of them. */
#include "base/philox.h"
#include "data/dataset.h"
#include "flow/flow.h"
#include "support/context.h"
#include "train/widths.h"

#include <thalweg/train.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static double mean_of(const double apart[6])
{
    double product = 1;
    for (int i = 0; i < 6; i++) product *= apart[i];
    return pow(product, 1.0 / 6);
}

static void test_by_hand_on_a_line(void **state)
{
    const tw_space flat = {.flat = true};
    /* column 2 is noise that stands for a constant; 10 is there twice */
    const float x[][2] = {{0, 3}, {1, -2}, {3, 0}, {6, 9}, {10, 1}, {10, -4}, {15, 2}, {100, 5}};
    const int ignored[2] = {0, 1};
    /* distances to the six nearest other places */
    const double apart[][6] = {{1, 3, 6, 10, 10, 15}, {1, 2, 5, 9, 9, 14},     {2, 3, 3, 7, 7, 12},
                               {3, 4, 4, 5, 6, 9},    {4, 5, 7, 9, 10, 90},    {4, 5, 7, 9, 10, 90},
                               {5, 5, 9, 12, 14, 15}, {85, 90, 90, 94, 97, 99}};
    float *width = NULL;
    assert_int_equal(tw_widths_make(*state, &flat, ignored, 8, 2, x[0], 0.5, NULL, NULL, &width), TW_OK);
    for (int i = 0; i < 8; i++)
        if (fabs((double)width[i] / (0.5 * mean_of(apart[i])) - 1) > 1e-6) fail_msg("row %d: %g", i, (double)width[i]);
    tw_free_aligned(*state, width);

    /* fewer places than six, and none at all */
    const float few[][2] = {{0, 0}, {2, 0}, {2, 0}}, one[][2] = {{4, 4}, {4, 4}};
    assert_int_equal(tw_widths_make(*state, &flat, NULL, 3, 2, few[0], 1, NULL, NULL, &width), TW_OK);
    for (int i = 0; i < 3; i++) assert_true(fabs((double)width[i] - 2) < 1e-6);
    tw_free_aligned(*state, width);
    assert_int_equal(tw_widths_make(*state, &flat, NULL, 2, 2, one[0], 1, NULL, NULL, &width), TW_OK);
    assert_true(width[0] == 0 && width[1] == 0);
    tw_free_aligned(*state, width);
}

/* Places on the equator: distances are angles. */
static void test_by_hand_on_the_sphere(void **state)
{
    enum { ALONG = 9 };
    tw_piece piece = {0};
    tw_space space;
    float x[ALONG * 3], *width = NULL;
    for (int i = 0; i < ALONG; i++) {
        x[3 * i] = (float)cos(0.01 * i * i);
        x[3 * i + 1] = (float)sin(0.01 * i * i);
        x[3 * i + 2] = 0;
    }
    assert_int_equal(tw_space_piece_read(*state, "sphere", &piece), TW_OK);
    assert_int_equal(tw_space_make(*state, &piece, 2, NULL, &space), TW_OK);
    assert_int_equal(tw_widths_make(*state, &space, NULL, ALONG, 3, x, 1, NULL, NULL, &width), TW_OK);
    const double squares[6] = {0.01, 0.04, 0.09, 0.16, 0.25, 0.36}, last[6] = {0.15, 0.28, 0.39, 0.48, 0.55, 0.6};
    assert_true(fabs((double)width[0] - mean_of(squares)) < 1e-6);
    assert_true(fabs((double)width[8] - mean_of(last)) < 1e-6); /* 64 - 49, 64 - 36, ... */
    tw_free_aligned(*state, width);
    tw_space_free(*state, &space);
    tw_piece_free(*state, &piece);
}

static int never(void *user, int64_t done, int64_t rows)
{
    *(int64_t *)user += done < rows;
    return 1;
}

static void test_a_search_is_stopped(void **state)
{
    const tw_space flat = {.flat = true};
    static const float x[2000];
    float *width = NULL;
    int64_t asked = 0;
    assert_int_equal(tw_widths_make(*state, &flat, NULL, 2000, 1, x, 1, never, &asked, &width), TW_ERR_CANCELLED);
    assert_int_equal(asked, 1);
    tw_free_aligned(*state, width);
}

static void test_what_is_refused(void **state)
{
    static const float x[TW_WIDTHS_ROWS + 1];
    const tw_space flat = {.flat = true};
    float *width = NULL;
    assert_int_equal(tw_widths_make(*state, &flat, NULL, TW_WIDTHS_ROWS + 1, 1, x, 1, NULL, NULL, &width),
                     TW_ERR_UNSUPPORTED);
    assert_string_equal(tw_context_error(*state), "smooth is for few rows: 50001 are more than 50000");

    double tokens[20] = {0};
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    assert_int_equal(tw_dataset_from_memory(*state, 10, 2, tokens, NULL, NULL, &data), TW_OK);
    assert_int_equal(tw_flow_create(*state, &(tw_flow_desc){.columns = 2, .space = "tokens:3"}, &flow), TW_OK);
    assert_int_equal(tw_train(flow, data, &(tw_train_desc){.steps = 1, .smooth = 0.5}, NULL), TW_ERR_UNSUPPORTED);
    assert_string_equal(tw_context_error(*state), "smooth: rows of tokens and points of a mesh are not spread");
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
}

/* Nats of fresh rows under a flow of few. */
static double trained(tw_context *ctx, double smooth)
{
    enum { FEW = 20, FRESH = 400 };
    tw_dataset *data = NULL, *fresh = NULL;
    tw_flow *flow = NULL;
    static double density[FRESH];
    double sum = 0;
    const tw_dataset_desc few = {.rows = FEW, .seed = 3, .split = {1, 0, 0}}, others = {.rows = FRESH, .seed = 4};
    assert_int_equal(tw_dataset_open(ctx, "moons", &few, &data), TW_OK);
    assert_int_equal(tw_dataset_open(ctx, "moons", &others, &fresh), TW_OK);
    assert_int_equal(
        tw_flow_create(ctx, &(tw_flow_desc){.columns = 2, .network = {.width = 64, .depth = 2}, .seed = 1}, &flow),
        TW_OK);
    const tw_train_desc options = {.steps = 2500, .batch = 64, .lr = 5e-3, .seed = 2, .smooth = smooth};
    assert_int_equal(tw_train(flow, data, &options, NULL), TW_OK);
    assert_int_equal(tw_log_density(flow, FRESH, tw_dataset_values(fresh, TW_PART_ALL), NULL, density, NULL), TW_OK);
    for (int i = 0; i < FRESH; i++) sum -= density[i] / FRESH;
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
    tw_dataset_destroy(fresh);
    return sum;
}

static void test_few_rows_are_not_learned_by_heart(void **state)
{
    double heart = trained(*state, 0), smooth = trained(*state, 0.5);
    print_message("twenty rows of moons: %.3f nats, smoothed %.3f\n", heart, smooth);
    assert_true(smooth < heart - 0.4);
}

/* --- methods that know the law around each row -------------------------------------------------------------------- */

enum { PLACES = 24 };

/* Longitudes and latitudes of places in three crowds of different sizes. */
static void crowds(double out[PLACES * 2])
{
    for (int i = 0; i < PLACES; i++) {
        double size = i % 3 == 0 ? 4 : i % 3 == 1 ? 10 : 20;
        out[2 * i] = 120 * (i % 3) - 120 + size * sin(2.4 * i);
        out[2 * i + 1] = 30 * (i % 3) - 30 + size * cos(1.7 * i);
    }
}

/* x (n,3) from the mean of spherical Cauchy laws around `data` - a uniform point, of which stereographic coordinates
 * about a row are times its s -, and how many nats they have by it. */
static double draw_kernels(const float *data, const float *width, int64_t n, double *x)
{
    const double pi = 3.14159265358979323846;
    double mean = 0, sum = 0, s[PLACES];
    tw_random random = {.seed = 5, .stream = 1};
    for (int j = 0; j < PLACES; j++) mean += log((double)width[j]) / PLACES;
    for (int j = 0; j < PLACES; j++) s[j] = exp(mean + 0.8 * (log((double)width[j]) - mean));
    for (int64_t i = 0; i < n; i++) {
        const int from = (int)(i % PLACES);
        double z[3], length = 0, cosine = 0, p = 0, *out = x + 3 * i;
        for (int k = 0; k < 3; k++) z[k] = tw_random_normal(&random), length += z[k] * z[k];
        for (int k = 0; k < 3; k++) cosine += (z[k] /= sqrt(length)) * (double)data[3 * from + k];
        double far = s[from] * s[from] * (1 - cosine), near = 1 + cosine;
        for (int k = 0; k < 3; k++) {
            double row = (double)data[3 * from + k];
            out[k] = ((near - far) * row + 2 * s[from] * (z[k] - cosine * row)) / (near + far);
        }
        for (int j = 0; j < PLACES; j++) {
            double c = 0;
            for (int k = 0; k < 3; k++) c += out[k] * (double)data[3 * j + k];
            p += pow(2 * s[j] / ((1 - s[j] * s[j]) * (1 - c) + 2 * s[j] * s[j]), 2) / (4 * pi * PLACES);
        }
        sum -= log(p) / (double)n;
    }
    return sum;
}

/* In batches of which none has half of the rows the flow learns the mean of the kernels around all. */
static void test_kernels_are_those_of_all_rows(void **state)
{
    enum { POINTS = 1000 };
    tw_dataset *data = NULL;
    tw_flow *flow = NULL;
    static double at[POINTS * 2], x[POINTS * 3], density[POINTS];
    double place[PLACES * 2], sum = 0;
    float rows[PLACES * 3], *width = NULL;
    const tw_factor *wrong;
    crowds(place);
    const tw_flow_desc desc = {
        .columns = 2, .space = "sphere:2", .method = "ppd", .network = {.width = 64, .depth = 2}, .seed = 1};
    const tw_train_desc how = {.steps = 4000, .batch = 10, .lr = 3e-3, .smooth = 0.5, .seed = 2};
    const tw_dataset_desc all = {.split = {1, 0, 0}};
    assert_int_equal(tw_dataset_from_memory(*state, PLACES, 2, place, NULL, &all, &data), TW_OK);
    assert_int_equal(tw_flow_create(*state, &desc, &flow), TW_OK);
    assert_int_equal(tw_train(flow, data, &how, NULL), TW_OK);
    for (int i = 0; i < PLACES; i++) {
        double to[3];
        assert_true(tw_space_read(&flow->space, place + 2 * i, to, &wrong));
        for (int k = 0; k < 3; k++) rows[3 * i + k] = (float)to[k];
    }
    assert_int_equal(tw_widths_make(*state, &flow->space, NULL, PLACES, 3, rows, 0.5, NULL, NULL, &width), TW_OK);
    double known = draw_kernels(rows, width, POINTS, x);
    for (int i = 0; i < POINTS; i++) tw_space_write(&flow->space, x + 3 * i, at + 2 * i);
    assert_int_equal(tw_log_density(flow, POINTS, at, NULL, density, NULL), TW_OK);
    for (int i = 0; i < POINTS; i++) sum -= density[i] / POINTS;
    print_message("what kernels draw has %.3f nats by them, by the flow %.3f\n", known, sum);
    assert_true(fabs(sum - known) < 0.005); /* 0.010 by means over batches */
    tw_free_aligned(*state, width);
    tw_flow_destroy(flow);
    tw_dataset_destroy(data);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand_on_a_line),
        cmocka_unit_test(test_by_hand_on_the_sphere),
        cmocka_unit_test(test_a_search_is_stopped),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_few_rows_are_not_learned_by_heart),
        cmocka_unit_test(test_kernels_are_those_of_all_rows),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
