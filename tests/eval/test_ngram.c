/* n-grams: by hand, as a law, against another program's numbers, and on a chain whose entropy is known. */
#include "base/base.h"
#include "base/philox.h"
#include "support/limited_memory.h"

#include <thalweg/eval.h>

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static tw_context *ctx;

static int setup(void **state)
{
    (void)state;
    ctx = tw_context_create(NULL);
    return ctx == NULL;
}

static int teardown(void **state)
{
    (void)state;
    tw_context_destroy(ctx);
    return 0;
}

static tw_ngram *counted(int order, int symbols, int64_t rows, int columns, const double *tokens)
{
    tw_ngram *m = NULL;
    if (tw_ngram_create(ctx, order, symbols, rows, columns, tokens, &m) != TW_OK) fail_msg("%s", tw_context_error(ctx));
    return m;
}

static void near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, expected %.17g", got, want);
}

/* "a b a a" of three symbols. c() = 4, T() = 2: p(a) = (3 + 2/3)/6 = 11/18, p(b) = (1 + 2/3)/6 = 5/18, p(c) = 1/9.
 * After a came b and a: c(a) = 2, T(a) = 2: p(b | a) = (1 + 2 * 5/18)/4 = 7/18. After c came nothing. */
static void by_hand(void **state)
{
    (void)state;
    const double row[] = {0, 1, 0, 0}, ab[] = {0, 1}, cb[] = {2, 1};
    tw_ngram *m = counted(2, 3, 1, 4, row);
    near(tw_ngram_nll(m, 1, ab), -log(11.0 / 18), 1e-14);
    near(tw_ngram_nll(m, 2, ab), -log(11.0 / 18 * 7 / 18), 1e-14);
    near(tw_ngram_nll(m, 2, cb), -log(1.0 / 9 * 5 / 18), 1e-14);
    tw_ngram_destroy(m);
}

/* A chain of five symbols that mostly go on to the next one. */
static void draw_chain(uint64_t seed, int columns, double *out)
{
    tw_random random = {.seed = seed, .stream = 1};
    int at = 0;
    for (int i = 0; i < columns; i++) {
        at = tw_random_uniform(&random) < 0.8 ? (at + 1) % 5 : (int)tw_random_below(&random, 5);
        out[i] = at;
    }
}

/* Rows of three tokens have probabilities that add up to 1, whatever was counted. */
static void is_a_law(void **state)
{
    (void)state;
    static double chain[400];
    draw_chain(1, 400, chain);
    for (int order = 1; order <= 5; order++) {
        tw_ngram *m = counted(order, 5, 10, 40, chain);
        double sum = 0;
        for (int i = 0; i < 125; i++) sum += exp(-tw_ngram_nll(m, 3, (double[]){i / 25, i / 5 % 5, i % 5}));
        near(sum, 1, 1e-12);
        tw_ngram_destroy(m);
    }
}

/* Two tokens are enough to know all of a chain of Markov: 0.84 and four times 0.04. One token knows nothing of it. */
static void finds_the_entropy_of_a_chain(void **state)
{
    (void)state;
    enum { N = 100000 };
    static double chain[2 * N];
    const double entropy = -0.84 * log(0.84) - 4 * 0.04 * log(0.04);
    draw_chain(2, 2 * N, chain);
    for (int order = 1; order <= 3; order++) {
        tw_ngram *m = counted(order, 5, 1, N, chain);
        near(tw_ngram_nll(m, N, chain + N) / N, order == 1 ? log(5) : entropy, 0.012);
        tw_ngram_destroy(m);
    }
}

static tw_status count_many(tw_context *small, void *user)
{
    static double many[4000];
    tw_ngram *m = NULL;
    (void)user;
    for (int i = 0; i < 4000; i++) many[i] = i;
    tw_status status = tw_ngram_create(small, 2, 4000, 1, 4000, many, &m);
    tw_ngram_destroy(m);
    return status;
}

static void refuses_and_runs_out_of_memory(void **state)
{
    (void)state;
    const double row[] = {0, 1};
    tw_ngram *m = NULL;
    assert_int_equal(tw_ngram_create(ctx, 0, 2, 1, 2, row, &m), TW_ERR_INVALID);
    assert_int_equal(tw_ngram_create(ctx, 17, 2, 1, 2, row, &m), TW_ERR_INVALID);
    run_with_limited_memory(count_many, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(by_hand),
        cmocka_unit_test(is_a_law),
        cmocka_unit_test(finds_the_entropy_of_a_chain),
        cmocka_unit_test(refuses_and_runs_out_of_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
