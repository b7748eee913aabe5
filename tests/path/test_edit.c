/* Edit flows on the host: distances against every sequence of edits, alignments that are shortest and complete, what is
 * drawn where it is drawn, edits that lead from one sequence to the other. */
#include <thalweg/edit.h>

#include "base/base.h"
#include "base/philox.h"
#include "support/context.h"
#include "support/limited_memory.h"

#include <math.h>
#include <string.h>

/* By the recursion of its definition, without a table. */
static int64_t plain_distance(int64_t n, const int32_t *a, int64_t m, const int32_t *b)
{
    if (n == 0 || m == 0) return n + m;
    if (a[0] == b[0]) return plain_distance(n - 1, a + 1, m - 1, b + 1);
    int64_t change = plain_distance(n - 1, a + 1, m - 1, b + 1), remove = plain_distance(n - 1, a + 1, m, b);
    int64_t insert = plain_distance(n, a, m - 1, b + 1);
    return 1 + tw_min_i64(change, tw_min_i64(remove, insert));
}

static int64_t distance(tw_context *ctx, int64_t n, const int32_t *a, int64_t m, const int32_t *b)
{
    int64_t d = -1;
    assert_int_equal(tw_edit_distance(ctx, n, a, m, b, &d), TW_OK);
    return d;
}

/* All sequences of two tokens by how many single edits they are away: breadth first over lengths up to 6. */
static void distances_are_numbers_of_edits(void **state)
{
    enum { LONGEST = 6, ALL = 1 << (LONGEST + 1) };
    /* a sequence is a number: 1, then its tokens as bits */
    for (int start = 1; start < 1 << 4; start++) {
        int away[ALL], queue[ALL], head = 0, tail = 0;
        for (int i = 0; i < ALL; i++) away[i] = -1;
        away[start] = 0;
        queue[tail++] = start;
        while (head < tail) {
            int s = queue[head++], length = 31 - __builtin_clz((unsigned)s);
            for (int place = 0; place <= length; place++) {
                int low = s & ((1 << place) - 1), high = s >> place, next[4];
                next[0] = (high << (place + 1)) | low;
                next[1] = (((high << 1) | 1) << place) | low;
                next[2] = place < length ? ((high >> 1) << place) | low : s;
                next[3] = place < length ? s ^ 1 << place : s;
                for (int k = 0; k < 4; k++) {
                    if (next[k] >= ALL || away[next[k]] >= 0) continue;
                    away[next[k]] = away[s] + 1;
                    queue[tail++] = next[k];
                }
            }
        }
        for (int end = 1; end < ALL; end++) {
            int32_t a[8], b[8];
            int n = 31 - __builtin_clz((unsigned)start), m = 31 - __builtin_clz((unsigned)end);
            for (int i = 0; i < n; i++) a[i] = start >> i & 1;
            for (int i = 0; i < m; i++) b[i] = end >> i & 1;
            assert_int_equal(distance(*state, n, a, m, b), away[end]);
        }
    }
}

static void distances_by_definition(void **state)
{
    tw_random random = {.seed = 5, .stream = 1};
    for (int round = 0; round < 300; round++) {
        int32_t a[8], b[8];
        int64_t n = tw_random_below(&random, 8), m = tw_random_below(&random, 8);
        for (int i = 0; i < 8; i++)
            a[i] = (int32_t)tw_random_below(&random, 3), b[i] = (int32_t)tw_random_below(&random, 3);
        assert_int_equal(distance(*state, n, a, m, b), plain_distance(n, a, m, b));
        assert_int_equal(distance(*state, n, a, n, a), 0);
        assert_int_equal(distance(*state, n, a, m, b), distance(*state, m, b, n, a));
    }
}

enum { ROWS = 200, WIDTH = 12 };

typedef struct batch {
    int32_t token[ROWS * 2 * WIDTH], length[ROWS];
} batch;

static tw_sequences rows_of(batch *b, int64_t width)
{
    return (tw_sequences){ROWS, width, b->token, b->length};
}

static void draw_rows(batch *b, uint64_t seed)
{
    tw_random random = {.seed = seed, .stream = 2};
    for (int r = 0; r < ROWS; r++) {
        b->length[r] = (int32_t)tw_random_below(&random, WIDTH + 1);
        for (int i = 0; i < WIDTH; i++) b->token[r * WIDTH + i] = (int32_t)tw_random_below(&random, 4);
    }
}

/* Stripped, aligned rows are the rows; they are equally long, never blank in both; as many edits as the distance, which
 * make x1 of x0. */
static void check_alignment(tw_context *ctx, const tw_align_desc *desc, batch *x0, batch *x1, batch *z0, batch *z1)
{
    static batch stripped;
    tw_sequences a = rows_of(x0, WIDTH), b = rows_of(x1, WIDTH), za = rows_of(z0, 2 * WIDTH),
                 zb = rows_of(z1, 2 * WIDTH);
    tw_sequences s = rows_of(&stripped, 2 * WIDTH);
    assert_int_equal(tw_edit_align(ctx, desc, &a, &b, &za, &zb), TW_OK);
    for (int side = 0; side < 2; side++) {
        const batch *x = side ? x1 : x0;
        tw_edit_strip(side ? &zb : &za, &s);
        assert_memory_equal(stripped.length, x->length, sizeof x->length);
        for (int r = 0; r < ROWS; r++)
            assert_memory_equal(stripped.token + r * 2 * WIDTH, x->token + r * WIDTH, (size_t)x->length[r] * 4);
    }
    for (int r = 0; r < ROWS; r++) {
        const int32_t *from = z0->token + r * 2 * WIDTH, *to = z1->token + r * 2 * WIDTH;
        int32_t out[2 * WIDTH];
        tw_edit edits[2 * WIDTH];
        int64_t length = z0->length[r], kinds[TW_EDIT_KINDS] = {0};
        assert_int_equal(z1->length[r], length);
        for (int64_t i = 0; i < length; i++) assert_false(from[i] == TW_BLANK && to[i] == TW_BLANK);
        int64_t count = tw_edit_list(length, from, to, edits);
        for (int64_t k = 0; k < count; k++) kinds[edits[k].kind]++;
        const int32_t *x = x0->token + r * WIDTH, *y = x1->token + r * WIDTH;
        if (desc->kind == TW_ALIGN_LEVENSHTEIN)
            assert_int_equal(count, distance(ctx, x0->length[r], x, x1->length[r], y));
        else
            assert_int_equal(kinds[TW_EDIT_INSERT] * kinds[TW_EDIT_DELETE], 0);
        assert_int_equal(kinds[TW_EDIT_INSERT] - kinds[TW_EDIT_DELETE], x1->length[r] - x0->length[r]);
        assert_int_equal(tw_edit_apply(x0->length[r], x, count, edits, 2 * WIDTH, out), x1->length[r]);
        assert_memory_equal(out, y, (size_t)x1->length[r] * 4);
    }
}

static void alignments(void **state)
{
    static batch x0, x1, z0, z1, again0, again1;
    for (int kind = 0; kind < 2; kind++) {
        for (int ties = 0; ties < 2; ties++) {
            tw_align_desc desc = {(tw_alignment)kind, ties, 9, 3};
            draw_rows(&x0, 1);
            draw_rows(&x1, 2);
            check_alignment(*state, &desc, &x0, &x1, &z0, &z1);
            check_alignment(*state, &desc, &x0, &x1, &again0, &again1); /* drawn by seed, step and row */
            assert_memory_equal(z0.length, again0.length, sizeof z0.length);
            desc.step = 4;
            check_alignment(*state, &desc, &x0, &x1, &again0, &again1);
            bool same = memcmp(z0.length, again0.length, sizeof z0.length) == 0;
            for (int r = 0; r < ROWS && same; r++)
                same = memcmp(z0.token + r * 2 * WIDTH, again0.token + r * 2 * WIDTH, (size_t)z0.length[r] * 4) == 0 &&
                       memcmp(z1.token + r * 2 * WIDTH, again1.token + r * 2 * WIDTH, (size_t)z1.length[r] * 4) == 0;
            assert_int_equal(same, kind == TW_ALIGN_LEVENSHTEIN && !ties);
        }
    }
}

/* The same at both ends: nothing to do on the way. */
static void equal_ends_have_no_edits(void **state)
{
    static batch x0, z0, z1, zt;
    for (int kind = 0; kind < 2; kind++) {
        tw_align_desc desc = {(tw_alignment)kind, true, 9, 0};
        draw_rows(&x0, 7);
        check_alignment(*state, &desc, &x0, &x0, &z0, &z1);
        double kappa[ROWS];
        for (int r = 0; r < ROWS; r++) kappa[r] = r / (double)ROWS;
        tw_sequences a = rows_of(&z0, 2 * WIDTH), b = rows_of(&z1, 2 * WIDTH), t = rows_of(&zt, 2 * WIDTH);
        tw_edit_mix(1, 2, kappa, &a, &b, &t);
        for (int r = 0; r < ROWS; r++) {
            tw_edit edits[2 * WIDTH];
            assert_int_equal(z0.length[r], x0.length[r]);
            assert_int_equal(tw_edit_list(z0.length[r], zt.token + r * 2 * WIDTH, z1.token + r * 2 * WIDTH, edits), 0);
        }
    }
}

static void known_alignment(void **state)
{
    int32_t kitten[] = {'k', 'i', 't', 't', 'e', 'n'}, sitting[] = {'s', 'i', 't', 't', 'i', 'n', 'g'}, z[2][13];
    int32_t n = 6, m = 7, lengths[2];
    tw_sequences x0 = {1, 6, kitten, &n}, x1 = {1, 7, sitting, &m}, z0 = {1, 13, z[0], lengths},
                 z1 = {1, 13, z[1], lengths + 1};
    assert_int_equal(distance(*state, 6, kitten, 7, sitting), 3);
    assert_int_equal(tw_edit_align(*state, &(tw_align_desc){0}, &x0, &x1, &z0, &z1), TW_OK);
    tw_edit edits[13];
    assert_int_equal(tw_edit_list(lengths[0], z[0], z[1], edits), 3);
    assert_int_equal(edits[0].kind, TW_EDIT_SUBSTITUTE);
    assert_int_equal(edits[0].slot, 1);
    assert_int_equal(edits[0].token, 's');
    assert_int_equal(edits[1].slot, 5);
    assert_int_equal(edits[2].kind, TW_EDIT_INSERT);
    assert_int_equal(edits[2].slot, 6);
    assert_int_equal(edits[2].token, 'g');
    tw_sequences narrow = {1, 12, z[0], lengths};
    assert_int_equal(tw_edit_align(*state, &(tw_align_desc){0}, &x0, &x1, &narrow, &z1), TW_ERR_SHAPE);
    assert_string_equal(tw_context_error(*state), "alignment: rows of 6 and 7 tokens need a width of 13, not 12");
}

/* "ab" in place of "b": which of the two is new is a tie that is drawn evenly; blanks of a padding stand anywhere. */
static void ties_and_blanks_are_even(void **state)
{
    enum { DRAWS = 4000 };
    static int32_t x[DRAWS], y[2 * DRAWS], za[3 * DRAWS], zb[3 * DRAWS], n[DRAWS], m[DRAWS], la[DRAWS], lb[DRAWS];
    for (int r = 0; r < DRAWS; r++) n[r] = 1, m[r] = 2;
    tw_sequences x0 = {DRAWS, 1, x, n}, x1 = {DRAWS, 2, y, m}, z0 = {DRAWS, 3, za, la}, z1 = {DRAWS, 3, zb, lb};
    for (int kind = 0; kind < 2; kind++) {
        assert_int_equal(tw_edit_align(*state, &(tw_align_desc){(tw_alignment)kind, true, 4, 0}, &x0, &x1, &z0, &z1),
                         TW_OK);
        int first = 0;
        for (int r = 0; r < DRAWS; r++) first += za[3 * r] == TW_BLANK;
        /* half of them, within four deviations */
        assert_true(fabs(first - DRAWS / 2.0) < 4 * sqrt(DRAWS / 4.0));
    }
}

/* Each place of the point is that of z1 with probability kappa: counted, within four deviations. */
static void points_are_mixed(void **state)
{
    (void)state;
    static batch z0, z1, zt;
    double kappa[ROWS];
    int64_t ones = 0, all = 0;
    for (int i = 0; i < ROWS * 2 * WIDTH; i++) z0.token[i] = 0, z1.token[i] = 1;
    for (int r = 0; r < ROWS; r++) z0.length[r] = 2 * WIDTH, kappa[r] = r < 100 ? 0.3 : r & 1;
    tw_sequences a = rows_of(&z0, 2 * WIDTH), b = rows_of(&z1, 2 * WIDTH), t = rows_of(&zt, 2 * WIDTH);
    for (int step = 0; step < 20; step++) {
        tw_edit_mix(3, step, kappa, &a, &b, &t);
        for (int r = 0; r < ROWS; r++)
            for (int i = 0; i < 2 * WIDTH; i++) {
                int32_t token = zt.token[r * 2 * WIDTH + i];
                if (r >= 100) assert_int_equal(token, r & 1);
                if (r < 100) ones += token, all++;
            }
    }
    assert_true(fabs((double)ones - 0.3 * (double)all) < 4 * sqrt(0.21 * (double)all));
}

static void edits_past_the_end(void **state)
{
    (void)state;
    int32_t x[] = {1, 2, 3}, out[8];
    tw_edit edits[] = {{TW_EDIT_INSERT, 0, 7}, {TW_EDIT_INSERT, 0, 8},     {TW_EDIT_DELETE, 2, TW_BLANK},
                       {TW_EDIT_INSERT, 2, 9}, {TW_EDIT_SUBSTITUTE, 3, 5}, {TW_EDIT_INSERT, 9, 4}};
    assert_int_equal(tw_edit_apply(3, x, 6, edits, 8, out), 5);
    assert_memory_equal(out, ((int32_t[]){7, 8, 1, 9, 5}), 20);
    out[2] = 0;
    assert_int_equal(tw_edit_apply(3, x, 6, edits, 2, out), 5);
    assert_memory_equal(out, ((int32_t[]){7, 8, 0}), 12);
}

static tw_status align_in_little_memory(tw_context *ctx, void *user)
{
    int32_t a[] = {1, 2, 3}, b[] = {2, 3}, z[2][5], n = 3, m = 2, lengths[2];
    int64_t d;
    (void)user;
    tw_status status = tw_edit_distance(ctx, 3, a, 2, b, &d);
    tw_sequences x0 = {1, 3, a, &n}, x1 = {1, 2, b, &m}, z0 = {1, 5, z[0], lengths}, z1 = {1, 5, z[1], lengths + 1};
    return status == TW_OK ? tw_edit_align(ctx, &(tw_align_desc){0}, &x0, &x1, &z0, &z1) : status;
}

static void little_memory(void **state)
{
    (void)state;
    run_with_limited_memory(align_in_little_memory, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(distances_are_numbers_of_edits),
        cmocka_unit_test(distances_by_definition),
        cmocka_unit_test(alignments),
        cmocka_unit_test(equal_ends_have_no_edits),
        cmocka_unit_test(known_alignment),
        cmocka_unit_test(ties_and_blanks_are_even),
        cmocka_unit_test(points_are_mixed),
        cmocka_unit_test(edits_past_the_end),
        cmocka_unit_test(little_memory),
    };
    return cmocka_run_group_tests(tests, open_context, close_context);
}
