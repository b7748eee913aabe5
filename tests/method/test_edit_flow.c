/* The loss of edit flows: equal to a sum over the list of edits written on the host, least at what the posterior of an
 * enumerable world expects, and blind to where blanks stand. */
#include "method/method.h"

#include "graph/reference.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/philox.h"
#include "support/edit_world.h"
#include "support/own_context.h"

/* Rows: a choice of every pair of a world each, at one time. */
enum { N = WORLD_PLACES, SLOTS = N + 1, TABLE = 4096, MOST_ROWS = WORLD_PAIRS << N };
static const double TIME = 0.6;

typedef struct problem {
    edit_world world;
    int rows;
    double x0[MOST_ROWS * N], x1[MOST_ROWS * N], z[MOST_ROWS * N], t[MOST_ROWS], weight[MOST_ROWS];
    double says[TABLE * SLOTS * WORLD_OUTPUTS], bent[TABLE * SLOTS * WORLD_OUTPUTS];
} problem;

static problem p;
static tw_val table; /* what the network says of every row of tokens */

static void check(tw_status status)
{
    if (status != TW_OK) fail_msg("%s", tw_context_error(ctx));
}

/* Rows of tokens, filled up, as numbers to the base 4. */
static tw_val look_up(void *user, tw_val x, tw_val t)
{
    (void)t;
    int outputs = *(const int *)user;
    double power[SLOTS] = {0}, four = 1; /* the first slot is the beginning */
    for (int i = 1; i < SLOTS; i++, four *= 4) power[i] = four;
    assert_int_equal(tw_dim(x, 1), SLOTS);
    tw_val number = tw_sum_axis(tw_mul(x, tw_const_data(x.graph, TW_DTYPE_F64, tw_shape_of(SLOTS), power)), 1);
    tw_val rows = tw_take_rows(table, tw_cast(number, TW_DTYPE_I32));
    return tw_reshape(rows, tw_shape_of(tw_dim(x, 0), SLOTS, outputs));
}

static void make(tw_schedule *schedule, bool empty, tw_alignment alignment)
{
    static slot_sums sums[WORLD_STATES];
    world_make(ctx, schedule, empty, alignment, &p.world);
    double kappa = tw_schedule_at(schedule, TIME).alpha;
    int outputs = tw_edit_outputs(&p.world.path);
    p.rows = 0;
    for (int i = 0; i < p.world.pairs; i++)
        for (int chosen = 0; chosen < 1 << p.world.pair[i].length; chosen++, p.rows++) {
            int32_t z[N];
            const world_pair *pair = &p.world.pair[i];
            p.weight[p.rows] = world_mix(pair, chosen, kappa, z);
            p.t[p.rows] = TIME;
            for (int k = 0; k < N; k++) {
                bool there = k < pair->length;
                p.x0[p.rows * N + k] = there && pair->z0[k] >= 0 ? pair->z0[k] : WORLD_SYMBOLS;
                p.x1[p.rows * N + k] = there && pair->z1[k] >= 0 ? pair->z1[k] : WORLD_SYMBOLS;
                p.z[p.rows * N + k] = chosen >> k & 1 ? 9 : -9; /* far on either side */
            }
        }
    world_sums(&p.world, kappa, sums);
    for (int number = 0; number < TABLE; number++) {
        int32_t x[N];
        int length = 0;
        for (int k = 0, rest = number; k < N; k++, rest /= 4) x[k] = rest % 4;
        while (length < N && x[length] < WORLD_SYMBOLS) length++;
        float says[SLOTS * WORLD_OUTPUTS];
        world_says(&p.world, &sums[world_state(length, x)], says);
        for (int k = 0; k < SLOTS * outputs; k++) p.says[number * SLOTS * outputs + k] = (double)says[k];
    }
}

/* Losses of the rows by a table, and the derivative of their weighted sum in it (NULL: not wanted). */
static double losses(const double *says, double *out_rows, double *out_gradient)
{
    int outputs = tw_edit_outputs(&p.world.path);
    tw_graph *graph = NULL;
    check(tw_graph_create(ctx, &graph));
    tw_shape points = tw_shape_of(p.rows, N), times = tw_shape_of(p.rows);
    tw_val in[6] = {tw_input(graph, "x0", TW_DTYPE_F64, points),    tw_input(graph, "x1", TW_DTYPE_F64, points),
                    tw_input(graph, "z", TW_DTYPE_F64, points),     tw_input(graph, "t", TW_DTYPE_F64, times),
                    tw_input(graph, "weight", TW_DTYPE_F64, times),
                    tw_input(graph, "table", TW_DTYPE_F64, tw_shape_of(TABLE, SLOTS * outputs))};
    const tw_space space = {.columns = 1, .numbers = N, .ragged = true};
    const tw_model model = {.space = &space, .edits = &p.world.path, .network = look_up, .user = &outputs};
    const tw_draws draws = {.x0 = in[0], .x1 = in[1], .z = in[2], .t = in[3]};
    table = in[5];
    tw_val rows = tw_method_edit.row_loss(&model, &draws), out[3] = {rows, tw_sum_all(tw_mul(rows, in[4]))};
    check(tw_graph_check(graph));
    check(tw_grad(out[1], 1, &table, &out[2]));
    const double *values[6] = {p.x0, p.x1, p.z, p.t, p.weight, says};
    static double each[MOST_ROWS], gradient[TABLE * SLOTS * WORLD_OUTPUTS];
    double sum;
    double *results[3] = {out_rows ? out_rows : each, &sum, out_gradient ? out_gradient : gradient};
    check(tw_reference_run(ctx, 6, in, values, 3, out, results));
    tw_graph_destroy(graph);
    return sum;
}

static double log_softmax(const double *logits, int token)
{
    return logits[token] - log(exp(logits[0]) + exp(logits[1]));
}

/* The same from the list of edits. */
static double by_hand(int row)
{
    const tw_edit_path *path = &p.world.path;
    int outputs = tw_edit_outputs(path), kinds = tw_edit_kinds(path);
    int32_t z[N], z1[N], x[N], length = N, kept;
    tw_edit edits[N];
    double pace = 3 * TIME * TIME / (1 - TIME * TIME * TIME), sum = 0, number = 0;
    for (int k = N - 1; k >= 0; k--) {
        double from = p.x0[row * N + k], to = p.x1[row * N + k], now = p.z[row * N + k] > 0 ? to : from;
        z[k] = now < WORLD_SYMBOLS ? (int32_t)now : TW_BLANK;
        z1[k] = to < WORLD_SYMBOLS ? (int32_t)to : TW_BLANK;
    }
    tw_sequences from = {1, N, z, &length}, stripped = {1, N, x, &kept};
    tw_edit_strip(&from, &stripped);
    for (int k = N - 1; k >= 0; k--) number = 4 * number + (k < kept ? x[k] : WORLD_SYMBOLS);
    const double *says = p.bent + (int)number * SLOTS * outputs;
    for (int slot = 0; slot <= kept; slot++)
        for (int kind = 0; kind < kinds; kind++)
            if (kind == TW_EDIT_INSERT || slot > 0) sum += exp(says[slot * outputs + kind]);
    int64_t count = tw_edit_list(N, z, z1, edits);
    for (int64_t e = 0; e < count; e++) {
        const double *s = says + edits[e].slot * outputs;
        sum -= 1 + s[edits[e].kind];
        if (edits[e].kind == TW_EDIT_INSERT) sum -= log_softmax(s + kinds, edits[e].token);
        /* of two symbols the other one is certain */
    }
    return pace * sum;
}

static const struct {
    bool empty;
    tw_alignment alignment;
} worlds[] = {{true, TW_ALIGN_LEVENSHTEIN}, {false, TW_ALIGN_LEVENSHTEIN}, {false, TW_ALIGN_PADDING}};

static void test_loss(void **state)
{
    (void)state;
    static double rows[MOST_ROWS], gradient[TABLE * SLOTS * WORLD_OUTPUTS];
    tw_schedule schedule;
    check(tw_piece_read(ctx, "schedule", "polynomial:3", tw_schedule_list, &schedule));
    for (int i = 0; i < TW_COUNT(worlds); i++) {
        make(&schedule, worlds[i].empty, worlds[i].alignment);
        int numbers = TABLE * SLOTS * tw_edit_outputs(&p.world.path);
        double least = losses(p.says, NULL, gradient), steepest = 0;
        for (int k = 0; k < numbers; k++) steepest = fmax(steepest, fabs(gradient[k]));
        if (!(steepest < 1e-7)) fail_msg("world %d: slope %g at the posterior", i, steepest); /* it is told in f32 */
        for (int draw = 0; draw < 3; draw++) {
            tw_random random = {.seed = 5, .stream = (uint32_t)draw};
            for (int k = 0; k < numbers; k++)
                p.bent[k] = fmax(p.says[k], -8) + 0.3 * tw_random_normal(&random);
            double more = losses(p.bent, rows, NULL);
            if (!(more > least + 1e-3)) fail_msg("world %d: %g, and %g at the posterior", i, more, least);
            for (int r = 0; r < p.rows; r++) {
                double want = by_hand(r);
                if (!(fabs(rows[r] - want) < 1e-9 * (1 + fabs(want)))) fail_msg("row %d: %.12g, by hand %.12g", r, rows[r], want);
            }
        }
    }
    tw_piece_free(ctx, &schedule);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_loss)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
