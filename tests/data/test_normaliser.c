/* The normaliser: known means and deviations, identities, constant columns, values where a naive formula fails. */
#include "data/normaliser.h"

#include "base/philox.h"
#include "support/limited_memory.h"

#include <math.h>
#include <string.h>

static void knows_small_cases(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_normaliser n;
    /* 2 4 4 4 5 5 7 9: mean 5, deviation 2; a constant; -1 and 1 in turn */
    static const double x[24] = {2, 0.1, -1, 4, 0.1, 1, 4, 0.1, -1, 4, 0.1, 1,
                                 5, 0.1, -1, 5, 0.1, 1, 7, 0.1, -1, 9, 0.1, 1};
    assert_int_equal(tw_normaliser_fit(ctx, 8, 3, x, &n), TW_OK);
    assert_true(fabs(n.shift[0] - 5) < 1e-14 && fabs(n.scale[0] - 2) < 1e-14);
    assert_true(n.shift[1] == 0.1 && n.scale[1] == 1); /* exactly, whatever its value */
    assert_true(fabs(n.shift[2]) < 1e-15 && fabs(n.scale[2] - 1) < 1e-15);
    assert_true(fabs(tw_normaliser_log_jacobian(&n) + log(2)) < 1e-14);
    double z[24], back[24];
    tw_normaliser_apply(&n, 8, x, z);
    assert_true(fabs(z[0] + 1.5) < 1e-14 && z[1] == 0 && fabs(z[21] - 2) < 1e-14);
    tw_normaliser_undo(&n, 8, z, back);
    for (int i = 0; i < 24; i++) assert_true(fabs(back[i] - x[i]) < 1e-14);
    tw_normaliser_apply(&n, 8, back, back); /* in place */
    for (int i = 0; i < 24; i++) assert_true(fabs(back[i] - z[i]) < 1e-14);
    tw_normaliser_free(ctx, &n);
    tw_context_destroy(ctx);
}

/* Standardised rows have mean 0 and deviation 1, also where mean / deviation is 1e8 and sums of squares would cancel.
 */
static void standardises(void **state)
{
    (void)state;
    enum { ROWS = 5000 };
    static double x[ROWS * 3], z[ROWS * 3];
    tw_random random = {.seed = 3, .stream = 99};
    for (int r = 0; r < ROWS; r++) {
        x[3 * r] = 1e8 + tw_random_normal(&random);
        x[3 * r + 1] = 1e-150 * tw_random_normal(&random);
        x[3 * r + 2] = -40 + 1e6 * tw_random_uniform(&random);
    }
    tw_context *ctx = tw_context_create(NULL);
    tw_normaliser n;
    assert_int_equal(tw_normaliser_fit(ctx, ROWS, 3, x, &n), TW_OK);
    tw_normaliser_apply(&n, ROWS, x, z);
    for (int c = 0; c < 3; c++) {
        double mean = 0, square = 0;
        for (int r = 0; r < ROWS; r++) {
            mean += z[3 * r + c] / ROWS;
            square += z[3 * r + c] * z[3 * r + c] / ROWS;
        }
        /* 1e8 is known to 1.5e-8 in double, so the mean of 5000 such values is no better than about 1e-8 */
        assert_true(fabs(mean) < 2e-8);
        assert_true(fabs(square - 1) < 1e-7);
    }
    tw_normaliser_free(ctx, &n);
    tw_context_destroy(ctx);
}

static void takes_a_single_row(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_normaliser n;
    static const double x[2] = {3, -7};
    assert_int_equal(tw_normaliser_fit(ctx, 1, 2, x, &n), TW_OK);
    assert_true(n.shift[0] == 3 && n.shift[1] == -7 && n.scale[0] == 1 && n.scale[1] == 1);
    assert_true(tw_normaliser_log_jacobian(&n) == 0);
    tw_normaliser_free(ctx, &n);
    tw_context_destroy(ctx);
}

static void refuses_what_has_no_scale(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_normaliser n = {0};
    static const double huge[4] = {1, -1e308, 2, 1e308};
    assert_int_equal(tw_normaliser_fit(ctx, 2, 2, huge, &n), TW_ERR_NUMERIC);
    assert_string_equal(tw_context_error(ctx),
                        "column 2: its values are too large or not finite: it cannot be standardised");
    assert_int_equal(tw_normaliser_fit(ctx, 0, 2, huge, &n), TW_ERR_INVALID);
    assert_null(n.shift);
    tw_context_destroy(ctx);
}

static tw_status fit(tw_context *ctx, void *user)
{
    tw_normaliser n;
    tw_status status = tw_normaliser_fit(ctx, 2, 2, user, &n);
    if (status == TW_OK) tw_normaliser_free(ctx, &n);
    return status;
}

static void survives_lack_of_memory(void **state)
{
    (void)state;
    double x[4] = {1, 2, 3, 4};
    run_with_limited_memory(fit, x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_small_cases),       cmocka_unit_test(standardises),
        cmocka_unit_test(takes_a_single_row),      cmocka_unit_test(refuses_what_has_no_scale),
        cmocka_unit_test(survives_lack_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
