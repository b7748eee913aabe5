/* A step of insertions, deletions and substitutions: over sequences of two tokens, no longer than two, the chain has
 * seven states, so that what is simulated can be held against the matrix exponential of its rates, and one step against
 * the product of what its slots do. */
#include <thalweg/edit.h>

#include "base/base.h"
#include "base/philox.h"
#include "support/context.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <math.h>

#include <cmocka.h>

enum { STATES = 7, SLOTS = 3, SYMBOLS = 2 };

/* Empty, a, b, aa, ab, ba, bb. */
static int state_of(int32_t length, const int32_t *token)
{
    return length == 0 ? 0 : length == 1 ? 1 + token[0] : 3 + 2 * token[0] + token[1];
}

static int32_t tokens_of(int state, int32_t *token)
{
    if (state == 0) return 0;
    if (state < 3) {
        token[0] = state - 1;
        return 1;
    }
    token[0] = (state - 3) / 2;
    token[1] = (state - 3) % 2;
    return 2;
}

/* Rates of every state, drawn once. Sequences of two do not grow. */
typedef struct chain {
    float insert[STATES][SLOTS], remove[STATES][SLOTS], substitute[STATES][SLOTS];
    float insert_weight[STATES][SLOTS][SYMBOLS], substitute_weight[STATES][SLOTS][SYMBOLS];
    double q[STATES][STATES]; /* rate from row to column; rows add up to zero */
} chain;

static double draw(tw_random *random, double low, double high)
{
    return low + (high - low) * tw_random_uniform(random);
}

static void add_rate(chain *c, int from, int32_t length, const int32_t *token, double rate)
{
    int to = state_of(length, token);
    if (to == from) return;
    c->q[from][to] += rate;
    c->q[from][from] -= rate;
}

static void make_chain(chain *c)
{
    tw_random random = {.seed = 11, .stream = 1};
    memset(c, 0, sizeof *c);
    for (int s = 0; s < STATES; s++) {
        int32_t token[3];
        int32_t length = tokens_of(s, token);
        for (int slot = 0; slot <= length; slot++) {
            c->insert[s][slot] = length < 2 ? (float)draw(&random, 0.3, 1.5) : 0;
            c->remove[s][slot] = (float)draw(&random, 0.1, 1);
            c->substitute[s][slot] = (float)draw(&random, 0.1, 1);
            double sums[2] = {0};
            for (int k = 0; k < SYMBOLS; k++) {
                sums[0] += (double)(c->insert_weight[s][slot][k] = (float)draw(&random, 0.2, 3));
                sums[1] += (double)(c->substitute_weight[s][slot][k] = (float)draw(&random, 0.2, 3));
            }
            for (int32_t k = 0; k < SYMBOLS; k++) {
                int32_t longer[4], other[4];
                memcpy(longer, token, sizeof(int32_t) * (size_t)slot);
                longer[slot] = k;
                for (int i = slot; i < length; i++) longer[i + 1] = token[i];
                if (length < 2)
                    add_rate(c, s, length + 1, longer,
                             (double)c->insert[s][slot] * (double)c->insert_weight[s][slot][k] / sums[0]);
                memcpy(other, token, sizeof token);
                if (slot) other[slot - 1] = k;
                if (slot)
                    add_rate(c, s, length, other,
                             (double)c->substitute[s][slot] * (double)c->substitute_weight[s][slot][k] / sums[1]);
            }
            int32_t shorter[3] = {0};
            for (int i = 0, n = 0; i < length; i++)
                if (i + 1 != slot) shorter[n++] = token[i];
            if (slot) add_rate(c, s, length - 1, shorter, (double)c->remove[s][slot]);
        }
    }
}

/* The law at time 1 of a chain that begins at `start`: the first row of exp(Q), by steps of a 64th of its Taylor
 * series. */
static void exact_law(const chain *c, int start, double law[STATES])
{
    memset(law, 0, STATES * sizeof *law);
    law[start] = 1;
    for (int step = 0; step < 64; step++) {
        double term[STATES], next[STATES];
        memcpy(term, law, sizeof term);
        for (int order = 1; order < 20; order++) {
            memset(next, 0, sizeof next);
            for (int i = 0; i < STATES; i++)
                for (int j = 0; j < STATES; j++) next[j] += term[i] * c->q[i][j] / (64.0 * order);
            memcpy(term, next, sizeof term);
            for (int j = 0; j < STATES; j++) law[j] += term[j];
        }
    }
}

enum { ROWS = 20000, WIDTH = 2 };

typedef struct rates {
    float insert[ROWS][SLOTS], remove[ROWS][SLOTS], substitute[ROWS][SLOTS];
    float insert_weight[ROWS][SLOTS][SYMBOLS], substitute_weight[ROWS][SLOTS][SYMBOLS];
} rates;

static void simulate(tw_context *ctx, const chain *c, int start, int steps, double h, uint64_t seed, double law[STATES],
                     tw_edit_stats *stats)
{
    static rates r;
    static int32_t token[2][ROWS * WIDTH], length[2][ROWS];
    tw_edit_rates view = {SYMBOLS,
                          &r.insert[0][0],
                          &r.remove[0][0],
                          &r.substitute[0][0],
                          &r.insert_weight[0][0][0],
                          &r.substitute_weight[0][0][0]};
    for (int row = 0; row < ROWS; row++) length[0][row] = tokens_of(start, token[0] + row * WIDTH);
    for (int step = 0; step < steps; step++) {
        tw_sequences from = {ROWS, WIDTH, token[step & 1], length[step & 1]};
        tw_sequences to = {ROWS, WIDTH, token[~step & 1], length[~step & 1]};
        for (int row = 0; row < ROWS; row++) {
            int s = state_of(from.length[row], from.token + row * WIDTH);
            memcpy(r.insert[row], c->insert[s], sizeof r.insert[row]);
            memcpy(r.remove[row], c->remove[s], sizeof r.remove[row]);
            memcpy(r.substitute[row], c->substitute[s], sizeof r.substitute[row]);
            memcpy(r.insert_weight[row], c->insert_weight[s], sizeof r.insert_weight[row]);
            memcpy(r.substitute_weight[row], c->substitute_weight[s], sizeof r.substitute_weight[row]);
        }
        assert_int_equal(tw_edit_step(ctx, &view, h, seed, step, 0, &from, &to, stats), TW_OK);
    }
    memset(law, 0, STATES * sizeof *law);
    for (int row = 0; row < ROWS; row++)
        law[state_of(length[steps & 1][row], token[steps & 1] + row * WIDTH)] += 1.0 / ROWS;
}

static double total_variation(const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < STATES; i++) sum += fabs(a[i] - b[i]) / 2;
    return sum;
}

/* Steps of h: an error of order h, beside the noise of 5 times 20,000 rows - a TV of 7 states near
 * sqrt(7 / (2 pi n)) = 0.0033. */
static void law_is_the_matrix_exponential(void **state)
{
    static chain c;
    make_chain(&c);
    for (int start = 0; start < STATES; start += 4) {
        double exact[STATES], error[2];
        exact_law(&c, start, exact);
        for (int k = 0; k < 2; k++) {
            int steps = k ? 128 : 8;
            double law[STATES] = {0}, one[STATES];
            tw_edit_stats stats = {0};
            for (uint64_t seed = 0; seed < 5; seed++) {
                simulate(*state, &c, start, steps, 1.0 / steps, seed, one, &stats);
                for (int i = 0; i < STATES; i++) law[i] += one[i] / 5;
            }
            error[k] = total_variation(law, exact);
        }
        assert_true(error[1] < 0.008);
        assert_true(error[0] > 3 * error[1] && error[0] < 0.15);
    }
}

/* One long step from "b": insertion left and right and the token's own fate are independent, and what is drawn has the
 * probabilities of its weights. */
static void slots_are_independent(void **state)
{
    static chain c;
    make_chain(&c);
    double law[STATES], expected[STATES] = {0}, h = 0.7;
    int start = 2;
    tw_edit_stats stats = {0};
    simulate(*state, &c, start, 1, h, 5, law, &stats);
    double left = -expm1(-h * (double)c.insert[2][0]), right = -expm1(-h * (double)c.insert[2][1]);
    double gone = (double)c.remove[2][1], other = (double)c.substitute[2][1], change = -expm1(-h * (gone + other));
    double fate[3] = {1 - change, change * gone / (gone + other), change * other / (gone + other)};
    double first[2], second[2], to_a;
    for (int k = 0; k < 2; k++) {
        const float *a = c.insert_weight[2][0], *b = c.insert_weight[2][1];
        first[k] = (double)a[k] / ((double)a[0] + (double)a[1]);
        second[k] = (double)b[k] / ((double)b[0] + (double)b[1]);
    }
    const float *w = c.substitute_weight[2][1];
    to_a = (double)w[0] / ((double)w[0] + (double)w[1]);
    double token[2] = {fate[2] * to_a, fate[0] + fate[2] * (1 - to_a)};
    expected[0] = fate[1] * (1 - left) * (1 - right);
    for (int32_t k = 0; k < 2; k++) {
        expected[1 + k] += token[k] * (1 - left) * (1 - right) +
                           fate[1] * (left * (1 - right) * first[k] + (1 - left) * right * second[k]);
        for (int32_t l = 0; l < 2; l++) {
            expected[3 + 2 * k + l] += fate[1] * left * right * first[k] * second[l];
            expected[3 + 2 * k + l] += token[l] * left * first[k] * (1 - right);
            expected[3 + 2 * k + l] += token[k] * right * second[l] * (1 - left);
            /* both insert beside a token that stays: three do not fit, the right one is refused */
            expected[3 + 2 * k + l] += token[l] * left * first[k] * right;
        }
    }
    double sum = 0, chi = 0;
    for (int i = 0; i < STATES; i++) {
        sum += expected[i];
        chi += ROWS * (law[i] - expected[i]) * (law[i] - expected[i]) / expected[i];
    }
    assert_true(fabs(sum - 1) < 1e-12);
    assert_true(chi < 22.5); /* 6 degrees of freedom, one in a thousand */
    assert_true(stats.refused > 0);
}

static void counts_and_errors(void **state)
{
    int32_t token[] = {0, 1, 0, 1}, length[] = {2, 1}, out[8], out_length[2];
    float rate[2][3] = {{0}}, large[2][3] = {{1e9f, 1e9f, 1e9f}, {1e9f, 1e9f, 1e9f}};
    tw_sequences from = {2, 2, token, length}, to = {2, 4, out, out_length};
    tw_edit_stats stats = {0};
    /* nothing happens at rate zero; at a very large one everything does */
    tw_edit_rates none = {2, &rate[0][0], &rate[0][0], &rate[0][0], NULL, NULL},
                  grow = {2, &large[0][0], NULL, NULL, NULL, NULL}, shrink = {2, NULL, &large[0][0], NULL, NULL, NULL};
    assert_int_equal(tw_edit_step(*state, &none, 1, 1, 0, 0, &from, &to, &stats), TW_OK);
    assert_memory_equal(out_length, length, sizeof length);
    assert_memory_equal(out, token, 2 * sizeof *token);
    assert_int_equal(stats.edits[TW_EDIT_INSERT] + stats.edits[TW_EDIT_DELETE] + stats.edits[TW_EDIT_SUBSTITUTE], 0);
    assert_int_equal(tw_edit_step(*state, &grow, 1, 1, 0, 0, &from, &to, &stats), TW_OK);
    assert_memory_equal(out_length, ((int32_t[]){4, 3}), sizeof out_length);
    assert_int_equal(stats.edits[TW_EDIT_INSERT], 4);
    assert_int_equal(stats.refused, 1);
    assert_int_equal(tw_edit_step(*state, &shrink, 1, 1, 0, 0, &from, &to, &stats), TW_OK);
    assert_memory_equal(out_length, ((int32_t[]){0, 0}), sizeof out_length);
    assert_int_equal(stats.edits[TW_EDIT_DELETE], 3);
    rate[1][1] = -1;
    assert_int_equal(tw_edit_step(*state, &none, 1, 1, 0, 0, &from, &to, &stats), TW_ERR_NUMERIC);
    assert_string_equal(tw_context_error(*state), "edits: a rate of -1 at row 1, slot 1");
    to.rows = 1;
    assert_int_equal(tw_edit_step(*state, &none, 1, 1, 0, 0, &from, &to, &stats), TW_ERR_SHAPE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(law_is_the_matrix_exponential),
        cmocka_unit_test(slots_are_independent),
        cmocka_unit_test(counts_and_errors),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
