/* Widths that rows are drawn around with: shares of the distance to the fifth other place, by hand on a line and on the
 * sphere; what is refused; and that few rows are not learned by heart. */
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

static void test_by_hand_on_a_line(void **state)
{
    const tw_space flat = {.flat = true};
    /* column 2 is noise that stands for a constant; 10 is there twice */
    const float x[][2] = {{0, 3}, {1, -2}, {3, 0}, {6, 9}, {10, 1}, {10, -4}, {15, 2}, {100, 5}};
    const int ignored[2] = {0, 1};
    /* the fifth other place: distances 1 3 6 10 10 | of 0, ... */
    const double expected[] = {10, 9, 7, 6, 10, 10, 14, 97};
    float *width = NULL;
    assert_int_equal(tw_widths_make(*state, &flat, ignored, 8, 2, x[0], 0.5, NULL, NULL, &width), TW_OK);
    for (int i = 0; i < 8; i++)
        if (fabs((double)width[i] - 0.5 * expected[i]) > 1e-6) fail_msg("row %d: %g", i, (double)width[i]);
    tw_free_aligned(*state, width);

    /* fewer places than five, and none at all */
    const float few[][2] = {{0, 0}, {2, 0}, {2, 0}}, one[][2] = {{4, 4}, {4, 4}};
    assert_int_equal(tw_widths_make(*state, &flat, NULL, 3, 2, few[0], 1, NULL, NULL, &width), TW_OK);
    assert_true(width[0] == 2 && width[1] == 2 && width[2] == 2);
    tw_free_aligned(*state, width);
    assert_int_equal(tw_widths_make(*state, &flat, NULL, 2, 2, one[0], 1, NULL, NULL, &width), TW_OK);
    assert_true(width[0] == 0 && width[1] == 0);
    tw_free_aligned(*state, width);
}

/* Places on the equator: distances are angles. */
static void test_by_hand_on_the_sphere(void **state)
{
    enum { PLACES = 9 };
    tw_piece piece = {0};
    tw_space space;
    float x[PLACES * 3], *width = NULL;
    for (int i = 0; i < PLACES; i++) {
        x[3 * i] = (float)cos(0.01 * i * i);
        x[3 * i + 1] = (float)sin(0.01 * i * i);
        x[3 * i + 2] = 0;
    }
    assert_int_equal(tw_space_piece_read(*state, "sphere", &piece), TW_OK);
    assert_int_equal(tw_space_make(*state, &piece, 2, NULL, &space), TW_OK);
    assert_int_equal(tw_widths_make(*state, &space, NULL, PLACES, 3, x, 1, NULL, NULL, &width), TW_OK);
    assert_true(fabs((double)width[0] - 0.25) < 1e-6);
    assert_true(fabs((double)width[8] - 0.55) < 1e-6); /* 64 - 9 */
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_by_hand_on_a_line),
        cmocka_unit_test(test_by_hand_on_the_sphere),
        cmocka_unit_test(test_a_search_is_stopped),
        cmocka_unit_test(test_what_is_refused),
        cmocka_unit_test(test_few_rows_are_not_learned_by_heart),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
