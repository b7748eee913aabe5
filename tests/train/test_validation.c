/* Validation's draws: few of them are spread over all held-out rows, many have each row equally often, pairs that are
 * given stay pairs, and rows tell nothing of times. */
#include "train/validation.h"

#include "flow/flow.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/own_context.h"

static void check(tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

/* Held-out row i is i, source row i is -i. */
static void make(int64_t rows, bool given, tw_flow **flow, tw_validation *v)
{
    float *row = malloc((size_t)rows * sizeof *row), *source = malloc((size_t)rows * sizeof *source);
    assert_true(row && source);
    for (int64_t i = 0; i < rows; i++) row[i] = (float)i, source[i] = -(float)i;
    const tw_table_set held = {
        .rows = rows, .source_rows = given ? rows : 0, .feed = {[TW_FEED_DATA] = row, [TW_FEED_SOURCE] = source}};
    const tw_batch_desc batch = {.batch = 32,
                                 .columns = 1,
                                 .rows = rows,
                                 .source_rows = held.source_rows,
                                 .given = given,
                                 .dtype = TW_DTYPE_F32};
    const tw_flow_desc desc = {.columns = 1,
                               .network = {.width = 8, .depth = 1},
                               .source = given ? "data" : NULL,
                               .coupling = given ? "given" : NULL};
    check(tw_flow_create(ctx, &desc, flow));
    check(tw_validation_create(*flow, &held, &batch, 7, v));
    free(row);
    free(source);
}

static void test_spread(void **state)
{
    (void)state;
    static const int64_t lengths[] = {1, 2, 7, 100, 435, 1000, 4096, 6001};
    for (int l = 0; l < TW_COUNT(lengths); l++) {
        int64_t rows = lengths[l], least = INT64_MAX, most = 0;
        tw_flow *flow = NULL;
        tw_validation v;
        make(rows, false, &flow, &v);
        int64_t *count = calloc((size_t)rows, sizeof *count);
        assert_non_null(count);
        for (int64_t i = 0; i < v.draws; i++) count[(int64_t)v.x1[i]]++;
        for (int64_t i = 0; i < rows; i++) {
            least = count[i] < least ? count[i] : least;
            most = count[i] > most ? count[i] : most;
        }
        assert_true(v.draws >= rows && most - least <= 1);
        for (int64_t few = 64; few <= rows; few *= 2) { /* each tenth of the rows has its share of the first ones */
            int64_t tenth[10] = {0};
            for (int64_t i = 0; i < few; i++) tenth[(int64_t)v.x1[i] * 10 / rows]++;
            for (int k = 0; k < 10; k++)
                if (fabs((double)tenth[k] - (double)few / 10) > log2((double)few)) /* as of golden strides */
                    fail_msg("%lld rows: %lld of the first %lld in tenth %d", (long long)rows, (long long)tenth[k],
                             (long long)few, k);
        }
        double sum[5] = {0};
        for (int64_t i = 0; i < v.draws; i++) { /* correlation of rows and times */
            double a = (double)v.x1[i], b = (double)v.u[i];
            sum[0] += a, sum[1] += b, sum[2] += a * a, sum[3] += b * b, sum[4] += a * b;
        }
        double n = (double)v.draws, cov = sum[4] / n - sum[0] / n * sum[1] / n;
        double spread = sqrt((sum[2] / n - pow(sum[0] / n, 2)) * (sum[3] / n - pow(sum[1] / n, 2)));
        assert_true(rows < 7 || fabs(cov) < 0.05 * spread);
        free(count);
        tw_validation_destroy(&v);
        tw_flow_destroy(flow);
    }
}

static void test_pairs(void **state)
{
    (void)state;
    tw_flow *flow = NULL;
    tw_validation v;
    make(435, true, &flow, &v);
    for (int64_t i = 0; i < v.draws; i++) assert_true(v.x0[i] == -v.x1[i]);
    tw_validation_destroy(&v);
    tw_flow_destroy(flow);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_spread), cmocka_unit_test(test_pairs)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
