/* Numbers that flow while tokens jump: with the exact answers of a small world - a token of three symbols, and a number
 * that is normal about a place the token tells, so that each is told by the other - samples have its law, what is held
 * stays, and the error shrinks with the steps. */
#include "solve/together.h"

#include "base/philox.h"
#include "support/context.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { K = 3, ROWS = 20000 };
static const double share[K] = {0.5, 0.3, 0.2}, place[K] = {-2, 0.5, 2}, spread = 0.4;

typedef struct world {
    tw_piece space, schedule;
    tw_space s;
    tw_token_path path;
} world;

static void make_world(tw_context *ctx, world *w)
{
    *w = (world){0};
    assert_int_equal(tw_space_piece_read(ctx, "euclidean*1 + tokens:3*1", &w->space), TW_OK);
    assert_int_equal(tw_space_make(ctx, &w->space, 2, NULL, &w->s), TW_OK);
    assert_int_equal(tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &w->schedule), TW_OK);
    w->path = (tw_token_path){.symbols = K, .states = K + 1, .schedule = &w->schedule};
}

static void free_world(tw_context *ctx, world *w)
{
    tw_space_free(ctx, &w->s);
    tw_piece_free(ctx, &w->space);
    tw_piece_free(ctx, &w->schedule);
}

/* x_t = (1 - t) x_0 + t x_1 given symbol k is normal, of mean t place and variance (1-t)^2 + t^2 spread^2. */
static tw_status exact(void *user, int64_t rows, double t, const double *x, double *velocity, float *logits)
{
    const bool *known = user; /* whether the number is x_1 already; NULL: it is not */
    double variance = (1 - t) * (1 - t) + t * t * spread * spread;
    for (int64_t i = 0; i < rows; i++) {
        double at = x[2 * i], sum = 0, mean = 0, p[K];
        int token = (int)x[2 * i + 1];
        for (int k = 0; k < K; k++) {
            double center = known ? place[k] : t * place[k], width = known ? spread * spread : variance;
            double off = at - center;
            p[k] = token < K ? token == k : share[k] * exp(-0.5 * off * off / width);
            sum += p[k];
            logits[i * K + k] = (float)log(p[k] + 1e-300);
            /* E[x_1 - x_0 | x_t, k] */
            mean += p[k] * (place[k] + (t * spread * spread - (1 - t)) / variance * (at - t * place[k]));
        }
        velocity[i] = mean / sum;
    }
    return TW_OK;
}

/* Largest difference of a probability from the law's: of symbols, and of the number's halves given each. */
static double worst(const double *x)
{
    double count[K] = {0}, below[K] = {0}, most = 0;
    for (int i = 0; i < ROWS; i++) {
        int k = (int)x[2 * i + 1];
        assert_in_range(k, 0, K - 1);
        count[k]++;
        below[k] += x[2 * i] < place[k] + spread; /* Phi(1) of them */
    }
    for (int k = 0; k < K; k++) {
        most = fmax(most, fabs(count[k] / ROWS - share[k]));
        most = fmax(most, fabs(below[k] / count[k] - 0.8413447460685429) * sqrt(share[k]));
    }
    return most;
}

static void sample(tw_context *ctx, world *w, int64_t steps, double *x, const unsigned char *held, bool *known)
{
    tw_random r = {.seed = 4, .stream = 1};
    void *memory = tw_alloc(ctx, tw_together_bytes(&w->s, ROWS), 1);
    for (int i = 0; i < ROWS; i++) {
        double z = tw_random_normal(&r);
        if (!held || !held[2 * i]) x[2 * i] = z;
        if (!held || !held[2 * i + 1]) x[2 * i + 1] = K;
    }
    tw_together desc = {.space = &w->s, .path = &w->path, .t1 = 1, .steps = steps, .seed = 9};
    assert_int_equal(tw_together_run(&desc, exact, known, ROWS, x, held, memory), TW_OK);
    tw_free(ctx, memory);
}

static void has_the_law(void **state)
{
    tw_context *ctx = *state;
    world w;
    static double x[2 * ROWS];
    make_world(ctx, &w);
    sample(ctx, &w, 2, x, NULL, NULL);
    double few = worst(x);
    sample(ctx, &w, 64, x, NULL, NULL);
    double many = worst(x);
    /* four deviations of a share of 20,000 are 0.014 */
    if (!(many < 0.014 && few > 2 * many)) fail_msg("errors %g of 2 steps and %g of 64", few, many);
    free_world(ctx, &w);
}

/* A held symbol: the number is normal about its place. A held number: symbols by Bayes' rule. */
static void holds_what_is_known(void **state)
{
    tw_context *ctx = *state;
    world w;
    static double x[2 * ROWS];
    static unsigned char held[2 * ROWS];
    double mean = 0, square = 0, count[K] = {0}, p[K], sum = 0;
    make_world(ctx, &w);
    for (int i = 0; i < ROWS; i++) x[2 * i + 1] = 2, held[2 * i + 1] = 1;
    sample(ctx, &w, 64, x, held, NULL);
    for (int i = 0; i < ROWS; i++) {
        assert_true(x[2 * i + 1] == 2);
        mean += x[2 * i] / ROWS;
    }
    for (int i = 0; i < ROWS; i++) square += (x[2 * i] - mean) * (x[2 * i] - mean) / ROWS;
    assert_true(fabs(mean - place[2]) < 4 * spread / sqrt(ROWS) + 1e-3);
    assert_true(fabs(sqrt(square) / spread - 1) < 4 / sqrt(2.0 * ROWS) + 2e-3);
    bool known = true;
    for (int i = 0; i < ROWS; i++) x[2 * i] = 1.2, held[2 * i] = 1, held[2 * i + 1] = 0;
    sample(ctx, &w, 8, x, held, &known);
    for (int i = 0; i < ROWS; i++) {
        assert_true(x[2 * i] == 1.2);
        count[(int)x[2 * i + 1]] += 1.0 / ROWS;
    }
    for (int k = 0; k < K; k++) sum += p[k] = share[k] * exp(-0.5 * pow((1.2 - place[k]) / spread, 2));
    for (int k = 0; k < K; k++) assert_true(fabs(count[k] - p[k] / sum) < 4 * sqrt(0.25 / ROWS));
    free_world(ctx, &w);
}

/* A symbol that is never drawn leaves the others their shares. */
static void leaves_out_a_symbol(void **state)
{
    tw_context *ctx = *state;
    world w;
    static double x[2 * ROWS];
    make_world(ctx, &w);
    tw_random r = {.seed = 4, .stream = 1};
    void *memory = tw_alloc(ctx, tw_together_bytes(&w.s, ROWS), 1);
    for (int i = 0; i < ROWS; i++) x[2 * i] = tw_random_normal(&r), x[2 * i + 1] = K;
    const int never = 0;
    tw_together desc = {.space = &w.s, .path = &w.path, .t1 = 1, .steps = 16, .seed = 9, .never = &never};
    assert_int_equal(tw_together_run(&desc, exact, NULL, ROWS, x, NULL, memory), TW_OK);
    for (int i = 0; i < ROWS; i++) assert_true(x[2 * i + 1] == 1 || x[2 * i + 1] == 2);
    tw_free(ctx, memory);
    free_world(ctx, &w);
}

static void reads_products(void **state)
{
    tw_context *ctx = *state;
    static const struct {
        const char *text, *sentence;
        int columns;
    } bad[] = {
        {"euclidean*2 + tokens:3*x",
         "space: 'tokens:3*x': expected a space and how many columns it takes, such as "
         "euclidean*3, of 3",
         3},
        {"tokens:3*1 + euclidean*2", "space: in a product tokens come last", 3},
        {"euclidean*2 + tokens:3*2",
         "space 'euclidean*2 + tokens:3*2': its factors take more columns than the 3 "
         "there are",
         3},
        {"euclidean*1 + tokens:3*1", "space 'euclidean*1 + tokens:3*1': its factors take 2 columns: there are 3", 3},
        {"sphere*3 + tokens:3*1", "space 'sphere' takes pairs of columns, longitude and latitude: there are 3", 4}};
    tw_piece piece;
    tw_space s;
    for (int i = 0; i < TW_COUNT(bad); i++) {
        assert_int_equal(tw_space_piece_read(ctx, bad[i].text, &piece), TW_OK);
        assert_int_not_equal(tw_space_make(ctx, &piece, bad[i].columns, NULL, &s), TW_OK);
        assert_string_equal(tw_context_error(ctx), bad[i].sentence);
        tw_piece_free(ctx, &piece);
    }
    assert_int_equal(tw_space_piece_read(ctx, "euclidean*70 + sphere:2*2 + so3*4 + tokens:3*2 + tokens:5", &piece),
                     TW_OK);
    assert_int_equal(tw_space_make(ctx, &piece, 79, NULL, &s), TW_OK);
    assert_int_equal(s.count, 6); /* the plane in two */
    assert_int_equal(s.moving, 4);
    assert_int_equal(s.numbers, 70 + 3 + 4 + 3);
    assert_int_equal(s.outputs, 70 + 3 + 3 + 6 + 5);
    assert_int_equal(s.features, 70 + 3 * 5 + 9 + 8 + 6);
    tw_space_free(ctx, &s);
    tw_piece_free(ctx, &piece);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(has_the_law), cmocka_unit_test(holds_what_is_known),
                                       cmocka_unit_test(leaves_out_a_symbol), cmocka_unit_test(reads_products)};
    return cmocka_run_group_tests(tests, open_context, close_context);
}
