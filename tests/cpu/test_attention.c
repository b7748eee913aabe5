/* Attention kernels: the forward kernel and its tangent against plain loops over dual numbers in long double, the
 * gradient against the tangent by <w, J d> = <J'w, d>; awkward shapes, masks, tokens apart, large scores; the same bits
 * for every instruction set; nothing read that was not written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

#include "base/philox.h"
#include "cpu/kernels.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct problem {
    tw_attention_shape a;
    int64_t length;
    bool masked;
    double size;   /* of q and k: 1, or large */
    int64_t apart; /* elements between the tokens of q, k and v */
    uint8_t visible[600];
    double *x[3], *d[3], *dy; /* q, k, v; their directions; cotangents of y */
} problem;

static int64_t tokens_of(const problem *p, int k)
{
    return k == 0 ? p->a.queries : p->a.keys;
}
static int64_t size_of(const problem *p, int k)
{
    return k == 2 ? p->a.width : p->a.depth;
}
static int64_t step_of(const problem *p, int k)
{
    return p->a.heads * size_of(p, k) + p->apart;
}
static int64_t y_step(const problem *p)
{
    return p->a.heads * (p->a.width + 1);
}
static int64_t g_step(const problem *p)
{
    return p->a.heads * (2 * p->a.depth + p->a.width);
}
static int64_t most_tokens(const problem *p)
{
    return p->a.queries > p->a.keys ? p->a.queries : p->a.keys;
}

static double *numbers(tw_random *random, int64_t n, double size)
{
    double *x = malloc((size_t)(n + 1) * sizeof *x);
    assert_non_null(x);
    for (int64_t i = 0; i < n; i++) x[i] = (double)(float)(size * tw_random_normal(random));
    return x;
}

static void make(problem *p, tw_random *random)
{
    for (int k = 0; k < 3; k++) {
        p->x[k] = numbers(random, tokens_of(p, k) * step_of(p, k), k < 2 ? p->size : 1.0);
        p->d[k] = numbers(random, tokens_of(p, k) * step_of(p, k), 1.0);
    }
    p->dy = numbers(random, p->a.queries * y_step(p), 1.0);
    for (int64_t j = 0; j < p->a.keys; j++) p->visible[j] = tw_random_below(random, 3) != 0;
}

static void drop(problem *p)
{
    for (int k = 0; k < 3; k++) free(p->x[k]), free(p->d[k]);
    free(p->dy);
}

/* --- plain loops -------------------------------------------------------------------------------------------------- */

typedef struct dual {
    long double x, d;
} dual;

static dual times(dual a, dual b)
{
    return (dual){a.x * b.x, a.d * b.x + a.x * b.d};
}

static dual element(const problem *p, int k, int64_t token, int64_t head, int64_t i)
{
    int64_t at = token * step_of(p, k) + head * size_of(p, k) + i;
    return (dual){(long double)p->x[k][at], (long double)p->d[k][at]};
}

static bool sees(const problem *p, int64_t i, int64_t j)
{
    return j < p->length && (!p->a.causal || j <= i) && (!p->masked || p->visible[j]);
}

/* y and its tangent, laid out as the kernels do. */
static void plain(const problem *p, double *y, double *dy)
{
    dual *s = malloc((size_t)(p->a.keys + 1) * sizeof *s);
    for (int64_t h = 0; h < p->a.heads; h++)
        for (int64_t i = 0; i < p->a.queries; i++) {
            long double most = -INFINITY;
            for (int64_t j = 0; j < p->a.keys; j++) {
                s[j] = (dual){0, 0};
                for (int64_t e = 0; e < p->a.depth; e++) {
                    dual t = times(element(p, 0, i, h, e), element(p, 1, j, h, e));
                    s[j].x += t.x * (long double)p->a.scale;
                    s[j].d += t.d * (long double)p->a.scale;
                }
                if (sees(p, i, j) && s[j].x > most) most = s[j].x;
            }
            dual sum = {0, 0};
            for (int64_t j = 0; j < p->a.keys; j++) {
                long double e = sees(p, i, j) ? expl(s[j].x - most) : 0;
                s[j] = (dual){e, e * s[j].d};
                sum.x += s[j].x;
                sum.d += s[j].d;
            }
            bool none = sum.x <= 0;
            int64_t lse = i * y_step(p) + p->a.heads * p->a.width + h;
            y[lse] = none ? 0.0 : (double)(most + logl(sum.x));
            dy[lse] = none ? 0.0 : (double)(sum.d / sum.x);
            for (int64_t e = 0; e < p->a.width; e++) {
                dual o = {0, 0};
                for (int64_t j = 0; j < p->a.keys; j++) {
                    dual t = times(s[j], element(p, 2, j, h, e));
                    o.x += t.x;
                    o.d += t.d;
                }
                int64_t at = i * y_step(p) + h * p->a.width + e;
                y[at] = none ? 0.0 : (double)(o.x / sum.x);
                dy[at] = none ? 0.0 : (double)((o.d - o.x * sum.d / sum.x) / sum.x);
            }
        }
    free(s);
}

/* --- the kernels ----------------------------------------------------------------------------------------------------
 */

static void *narrowed(const double *x, int64_t n, bool wide)
{
    void *out = malloc((size_t)(n + 1) * 8);
    assert_non_null(out);
    for (int64_t i = 0; i < n; i++)
        if (wide)
            ((double *)out)[i] = x[i];
        else
            ((float *)out)[i] = (float)x[i];
    return out;
}

static double get(const void *x, int64_t i, bool wide)
{
    return wide ? ((const double *)x)[i] : (double)((const float *)x)[i];
}

typedef struct results {
    void *y, *dy, *g; /* of the dtype */
    int64_t y_count, g_count;
} results;

static void *space(size_t bytes)
{
    void *block = aligned_alloc(64, (bytes + 127) / 64 * 64);
    assert_non_null(block);
    memset(block, 0xFF, bytes);
    return block;
}

static void call(const tw_cpu *cpu, const problem *p, tw_attention_kind kind, bool wide, tw_attention_row row)
{
    size_t bytes = tw_attention_scratch(&p->a, kind, wide ? 8 : 4);
    unsigned char *scratch = space(bytes + 64);
    memset(scratch + bytes, 0x5A, 64);
    row.scratch = scratch;
    cpu->attention[kind][wide](&p->a, &row);
    for (int i = 0; i < 64; i++) assert_int_equal(scratch[bytes + (size_t)i], 0x5A);
    free(scratch);
}

static results run(const tw_cpu *cpu, const problem *p, bool wide, const bool *moves, bool outputs_only)
{
    size_t size = wide ? 8 : 4;
    results r = {.y_count = p->a.queries * y_step(p), .g_count = most_tokens(p) * g_step(p)};
    r.y = space((size_t)r.y_count * size);
    r.dy = space((size_t)r.y_count * size);
    r.g = space((size_t)r.g_count * size);
    void *x[3], *d[3], *w = narrowed(p->dy, r.y_count, wide);
    for (int k = 0; k < 3; k++) {
        x[k] = narrowed(p->x[k], tokens_of(p, k) * step_of(p, k), wide);
        d[k] = narrowed(p->d[k], tokens_of(p, k) * step_of(p, k), wide);
    }
    tw_attention_row row = {.q = {x[0], step_of(p, 0), size_of(p, 0)},
                            .k = {x[1], step_of(p, 1), size_of(p, 1)},
                            .v = {x[2], step_of(p, 2), size_of(p, 2)},
                            .dq = {moves[0] ? d[0] : NULL, step_of(p, 0), size_of(p, 0)},
                            .dk = {moves[1] ? d[1] : NULL, step_of(p, 1), size_of(p, 1)},
                            .dv = {moves[2] ? d[2] : NULL, step_of(p, 2), size_of(p, 2)},
                            .dy = {w, y_step(p), p->a.width},
                            .outputs_only = outputs_only,
                            .visible = p->masked ? p->visible : NULL,
                            .length = p->length,
                            .heads = p->a.heads,
                            .out = r.y,
                            .out_step = y_step(p)};
    call(cpu, p, TW_ATTENTION_FORWARD, wide, row);
    row.y = (tw_tokens){r.y, y_step(p), p->a.width};
    row.out = r.dy;
    call(cpu, p, TW_ATTENTION_TANGENT, wide, row);
    row.out = r.g;
    row.out_step = g_step(p);
    call(cpu, p, TW_ATTENTION_GRADIENT, wide, row);
    for (int k = 0; k < 3; k++) free(x[k]), free(d[k]);
    free(w);
    return r;
}

static void drop_results(results *r)
{
    free(r->y), free(r->dy), free(r->g);
}

static void check_near(const char *what, const void *have, const double *want, int64_t n, bool wide, double tolerance)
{
    double scale = 1e-3;
    for (int64_t i = 0; i < n; i++) scale = fmax(scale, fabs(want[i]));
    for (int64_t i = 0; i < n; i++)
        if (!(fabs(get(have, i, wide) - want[i]) <= tolerance * scale))
            fail_msg("%s %s at %lld: %.9g, not %.9g", what, wide ? "f64" : "f32", (long long)i, get(have, i, wide),
                     want[i]);
}

/* <w, J d> and <J'w, d> */
static void check_transpose(const problem *p, const results *r, const bool *moves, bool outputs_only)
{
    double left = 0.0, right = 0.0, size = 0.0;
    int64_t outputs = p->a.heads * p->a.width, offset = 0;
    for (int64_t i = 0; i < r->y_count; i++) {
        if (outputs_only && i % y_step(p) >= outputs) continue;
        left += p->dy[i] * get(r->dy, i, true);
        size += fabs(p->dy[i] * get(r->dy, i, true));
    }
    for (int k = 0; k < 3; offset += p->a.heads * size_of(p, k), k++)
        for (int64_t t = 0; t < most_tokens(p); t++)
            for (int64_t e = 0; e < p->a.heads * size_of(p, k); e++) {
                double g = get(r->g, t * g_step(p) + offset + e, true);
                if (t >= tokens_of(p, k)) {
                    assert_true(g == 0.0);
                    continue;
                }
                assert_true(isfinite(g));
                if (moves[k]) right += g * p->d[k][t * step_of(p, k) + e];
                if (moves[k]) size += fabs(g * p->d[k][t * step_of(p, k) + e]);
            }
    /* with one key everything cancels: what is left is the rounding of terms of size 1 */
    assert_true(fabs(left - right) <= 1e-12 * size + 1e-12);
}

static void check_problem(problem p, tw_random *random)
{
    const tw_cpu *variants[3];
    int count = tw_cpu_variants(variants);
    const bool all[3] = {true, true, true};
    make(&p, random);
    double *y = malloc((size_t)(p.a.queries * y_step(&p) + 1) * sizeof *y);
    double *dy = malloc((size_t)(p.a.queries * y_step(&p) + 1) * sizeof *dy);
    plain(&p, y, dy);
    /* a score of size s is known to s * 2^-24 only, and so is its exponential */
    double known = fmax(1.0, p.size * p.size / 4);
    results first[2] = {{.y = NULL}, {.y = NULL}};
    for (int v = 0; v < count; v++)
        for (int wide = 0; wide < 2; wide++) {
            results r = run(variants[v], &p, wide, all, false);
            if (v == 0) {
                first[wide] = r;
                continue;
            }
            size_t size = wide ? 8 : 4;
            assert_memory_equal(r.y, first[wide].y, (size_t)r.y_count * size);
            assert_memory_equal(r.dy, first[wide].dy, (size_t)r.y_count * size);
            assert_memory_equal(r.g, first[wide].g, (size_t)r.g_count * size);
            drop_results(&r);
        }
    for (int wide = 0; wide < 2; wide++) {
        check_near("y", first[wide].y, y, first[wide].y_count, wide, known * (wide ? 1e-14 : 2e-6));
        check_near("dy", first[wide].dy, dy, first[wide].y_count, wide, known * (wide ? 1e-13 : 5e-6));
    }
    check_near("g", first[0].g, first[1].g, first[0].g_count, false, known * 5e-6);
    check_transpose(&p, &first[1], all, false);
    for (int k = 0; k < 4; k++) { /* one argument moves; none */
        bool moves[3] = {k == 0, k == 1, k == 2};
        results r = run(variants[0], &p, true, moves, true);
        check_transpose(&p, &r, moves, true);
        drop_results(&r);
    }
    free(y), free(dy);
    drop_results(&first[0]), drop_results(&first[1]);
    drop(&p);
}

static const struct {
    int64_t queries, keys, heads, depth, width;
} shapes[] = {
    {1, 1, 1, 1, 1},    {1, 7, 2, 3, 5},      {5, 1, 1, 4, 2},     {13, 13, 3, 8, 8},   {14, 32, 1, 16, 16},
    {17, 67, 2, 31, 9}, {113, 29, 1, 33, 40}, {64, 64, 2, 64, 64}, {3, 400, 1, 12, 20}, {230, 390, 1, 8, 4},
};

static void test_against_loops(void **state)
{
    tw_random random = {.seed = 31, .stream = 5};
    (void)state;
    for (int s = 0; s < (int)(sizeof shapes / sizeof *shapes); s++)
        for (int mask = 0; mask < 4; mask++) {
            problem p = {.a = {shapes[s].queries, shapes[s].keys, shapes[s].heads, shapes[s].depth, shapes[s].width,
                               1.0 / sqrt((double)shapes[s].depth), mask == 1},
                         .length = mask == 2 ? shapes[s].keys * 2 / 3 : shapes[s].keys,
                         .masked = mask == 3,
                         .size = 1.0,
                         .apart = mask * 3};
            check_problem(p, &random);
        }
}

static void test_masks_together(void **state)
{
    tw_random random = {.seed = 32, .stream = 5};
    (void)state;
    for (int64_t length = 0; length <= 60; length += 20) /* causal, masked and cut at once; no key at all */
        check_problem((problem){.a = {41, 60, 2, 5, 6, 0.7, true}, .length = length, .masked = true, .size = 1.0},
                      &random);
}

/* Scores of +-1e4: nothing overflows, and a single key takes all. */
static void test_large_scores(void **state)
{
    tw_random random = {.seed = 33, .stream = 5};
    problem p = {.a = {45, 450, 1, 16, 8, 1.0, false}, .length = 450, .size = 50.0};
    const tw_cpu *variants[3];
    const bool all[3] = {true, true, true};
    (void)state;
    (void)tw_cpu_variants(variants);
    make(&p, &random);
    results r = run(variants[0], &p, false, all, false);
    for (int64_t i = 0; i < r.y_count; i++) {
        bool is_lse = i % y_step(&p) >= 8;
        assert_true(is_lse ? fabs(get(r.y, i, false)) > 1e3 : fabs(get(r.y, i, false)) < 6.0);
        assert_true(isfinite(get(r.dy, i, false)));
    }
    for (int64_t i = 0; i < r.g_count; i++) assert_true(isfinite(get(r.g, i, false)));
    drop_results(&r);
    drop(&p);
    check_problem((problem){.a = {9, 40, 1, 16, 8, 1.0, false}, .length = 40, .size = 8.0}, &random);
}

/* A NaN in one query stays with it; one in a key reaches every query that sees it. */
static void test_not_a_number(void **state)
{
    tw_random random = {.seed = 34, .stream = 5};
    problem p = {.a = {20, 40, 1, 8, 8, 1.0, true}, .length = 40, .size = 1.0};
    const tw_cpu *variants[3];
    const bool all[3] = {true, true, true};
    (void)state;
    (void)tw_cpu_variants(variants);
    make(&p, &random);
    p.x[0][3 * 8] = NAN;
    p.x[1][10 * 8] = NAN;
    results r = run(variants[0], &p, false, all, false);
    for (int64_t i = 0; i < 20; i++) assert_true(!isnan(get(r.y, i * 9, false)) == (i != 3 && i < 10));
    drop_results(&r);
    drop(&p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_against_loops), cmocka_unit_test(test_masks_together),
                                       cmocka_unit_test(test_large_scores), cmocka_unit_test(test_not_a_number)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
