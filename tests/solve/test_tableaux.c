/* Order conditions of every table, from rooted trees: for a tree [t1 ... tk] the stage weight is the product over the
 * children of sum_j a_ij weight_j(child), the density is its size times the densities of its children, and a method of
 * order p has sum_i b_i weight_i(tree) = 1/density for every tree of at most p nodes (Butcher 1963). */
#include "solve/tableau.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_ORDER = 8, MAX_TREES = 256, STAGES = TW_TABLEAU_STAGES, SLOTS = TW_TABLEAU_SLOTS };

/* A tree is an earlier tree with one more earlier tree grafted onto its root; grafting in ascending order makes each
 * tree once. Number 0 is the single node. */
typedef struct tree {
    int order, last; /* last: number of the greatest child, -1 for the single node */
    double density;
    double product_of_children; /* of their densities */
    double weight[SLOTS];       /* product over children, per stage */
    double magnitude[SLOTS];    /* the same with absolute values: what rounding is measured against */
} tree;

static tree forest[MAX_TREES];
static int trees;

/* The rows of a table's slots: of stages, of the end of the step, of the interpolant's nodes. */
static int rows_of(const tw_tableau *t, const double **rows)
{
    int stages = t->info.stages, count = stages;
    for (int s = 0; s < stages; s++) rows[s] = t->a[s];
    if (!t->fsal) rows[count++] = t->b;
    for (int n = 0; t->interpolant && n < t->interpolant->nodes; n++) rows[count++] = t->interpolant->a[n];
    return count;
}

static double entry(const tw_tableau *t, const double *row, int s, int k)
{
    int width = s < t->info.stages || (!t->fsal && s == t->info.stages) ? STAGES : SLOTS;
    return k < width ? row[k] : 0;
}

static void grow_forest(const tw_tableau *t, int max_order)
{
    const double *rows[SLOTS];
    int slots = rows_of(t, rows);
    trees = 1;
    forest[0] = (tree){.order = 1, .last = -1, .density = 1, .product_of_children = 1};
    for (int s = 0; s < slots; s++) forest[0].weight[s] = forest[0].magnitude[s] = 1;
    for (int order = 2; order <= max_order; order++) {
        int known = trees;
        for (int i = 0; i < known; i++)
            for (int j = forest[i].last < 0 ? 0 : forest[i].last; j < known; j++) {
                if (forest[i].order + forest[j].order != order) continue;
                assert_true(trees < MAX_TREES);
                tree *n = &forest[trees++];
                n->order = order;
                n->last = j;
                n->product_of_children = forest[i].product_of_children * forest[j].density;
                n->density = order * n->product_of_children;
                for (int s = 0; s < slots; s++) {
                    double sum = 0, size = 0;
                    for (int k = 0; k < slots; k++) {
                        sum += entry(t, rows[s], s, k) * forest[j].weight[k];
                        size += fabs(entry(t, rows[s], s, k)) * forest[j].magnitude[k];
                    }
                    n->weight[s] = forest[i].weight[s] * sum;
                    n->magnitude[s] = forest[i].magnitude[s] * size;
                }
            }
    }
}

/* Largest residual over trees of one order: absolute, and relative to the size of the terms (rounding is 1.1e-16). */
static double residual(const tw_tableau *t, const double *b, int order, double *out_scaled)
{
    double worst = 0, scaled = 0;
    for (int i = 0; i < trees; i++) {
        if (forest[i].order != order) continue;
        double sum = -1 / forest[i].density, size = 1 / forest[i].density;
        for (int s = 0; s < t->info.stages; s++) {
            sum += b[s] * forest[i].weight[s];
            size += fabs(b[s]) * forest[i].magnitude[s];
        }
        worst = fmax(worst, fabs(sum));
        scaled = fmax(scaled, fabs(sum) / size);
    }
    *out_scaled = scaled;
    return worst;
}

static void trees_are_counted_right(void **state)
{
    (void)state;
    static const int counts[] = {0, 1, 1, 2, 4, 9, 20, 48, 115}; /* Cayley: rooted trees of n nodes */
    grow_forest(tw_tableau_at(0), MAX_ORDER);
    int found[MAX_ORDER + 1] = {0};
    for (int i = 0; i < trees; i++) found[forest[i].order]++;
    for (int n = 1; n <= MAX_ORDER; n++) assert_int_equal(found[n], counts[n]);
}

static void order_conditions_hold(void **state)
{
    (void)state;
    for (int m = 0; tw_tableau_at(m); m++) {
        const tw_tableau *t = tw_tableau_at(m);
        if (t->kind == TW_TABLEAU_ADAMS) continue;
        grow_forest(t, t->info.order + 1 <= MAX_ORDER ? t->info.order + 1 : MAX_ORDER);
        for (int order = 1; order <= t->info.order; order++) {
            double scaled = 0, absolute = residual(t, t->b, order, &scaled);
            if (!(absolute < 1e-14)) print_error("%s order %d: %g\n", t->info.name, order, absolute);
            assert_true(absolute < 1e-14);
            assert_true(scaled < 4e-16);
        }
        double scaled = 0;
        if (t->info.order < MAX_ORDER) assert_true(residual(t, t->b, t->info.order + 1, &scaled) > 1e-5);
    }
}

/* The error row weighs nothing before its power of the step. A derivative at the start (filter) is one more stage. */
static void error_rows_begin_at_their_power(void **state)
{
    (void)state;
    for (int m = 0; tw_tableau_at(m); m++) {
        const tw_tableau *t = tw_tableau_at(m);
        int power = t->error_power ? t->error_power : t->info.order;
        if (!t->info.adaptive) {
            for (int s = 0; s < STAGES; s++) assert_true(t->e[s] == 0);
            continue;
        }
        grow_forest(t, power);
        for (int order = 1; order <= power; order++) {
            double worst = 0;
            for (int i = 0; i < trees; i++) {
                if (forest[i].order != order) continue;
                double sum = order == 1 ? -t->filter : 0;
                for (int s = 0; s < t->info.stages; s++) sum += t->e[s] * forest[i].weight[s];
                worst = fmax(worst, fabs(sum));
            }
            if (order < power) assert_true(worst < 1e-14);
            if (order == power) assert_true(worst > 1e-8);
        }
    }
}

/* Weights of slots at theta. */
static void weights_between(const tw_tableau *t, double theta, double *w)
{
    int stages = t->info.stages, end = t->fsal ? stages - 1 : stages;
    double rest = 1 - theta, bump = theta * theta * rest * rest;
    memset(w, 0, SLOTS * sizeof *w);
    for (int s = 0; s < STAGES; s++) w[s] = theta * theta * (3 - 2 * theta) * t->b[s];
    w[0] += theta * rest * rest;
    w[end] -= theta * theta * rest;
    for (int k = 0; t->interpolant && k < t->interpolant->terms; k++, bump *= theta)
        for (int s = 0; s < SLOTS; s++) w[s] += bump * t->interpolant->d[k][s];
}

/* sum_i w_i(theta) weight_i(tree) = theta^order / density, up to the order of the interpolant and not beyond. */
static void interpolants_have_their_order(void **state)
{
    (void)state;
    for (int m = 0; tw_tableau_at(m); m++) {
        const tw_tableau *t = tw_tableau_at(m);
        int stated = t->info.dense_order < t->info.order ? t->info.dense_order : t->info.order;
        if (t->kind != TW_TABLEAU_EXPLICIT) continue; /* Hermite, whose derivative at the start is no stage */
        grow_forest(t, stated + 1);
        for (double theta = 0.15; theta < 1; theta += 0.35) {
            double w[SLOTS], worst[MAX_ORDER + 2] = {0};
            weights_between(t, theta, w);
            for (int i = 0; i < trees; i++) {
                double sum = -pow(theta, forest[i].order) / forest[i].density;
                for (int s = 0; s < SLOTS; s++) sum += w[s] * forest[i].weight[s];
                worst[forest[i].order] = fmax(worst[forest[i].order], fabs(sum));
            }
            for (int order = 1; order <= stated; order++) {
                if (!(worst[order] < 2e-14)) print_error("%s order %d: %g\n", t->info.name, order, worst[order]);
                assert_true(worst[order] < 2e-14);
            }
            assert_true(worst[stated + 1] > 1e-7);
        }
    }
}

static void rows_are_consistent(void **state)
{
    (void)state;
    for (int m = 0; tw_tableau_at(m); m++) {
        const tw_tableau *t = tw_tableau_at(m);
        int n = t->info.stages;
        if (t->kind == TW_TABLEAU_ADAMS) continue;
        assert_true(n <= STAGES);
        assert_ptr_equal(tw_tableau_find(t->info.name), t);
        assert_true(t->info.about[0] && t->info.source[0]);
        for (int s = 0; s < n; s++) {
            double sum = 0;
            for (int k = 0; k < STAGES; k++) {
                if (k >= s && t->kind == TW_TABLEAU_EXPLICIT) assert_true(t->a[s][k] == 0);
                sum += t->a[s][k];
            }
            assert_true(fabs(sum - t->c[s]) < 2e-15);
            assert_true(t->c[s] >= 0 && t->c[s] <= 1); /* never evaluates outside its step */
            if (t->fsal && s == n - 1) {
                assert_true(t->c[s] == 1);
                if (t->kind == TW_TABLEAU_EXPLICIT) assert_true(t->b[s] == 0);
                for (int k = 0; k < n; k++) assert_true(t->a[s][k] == t->b[k]);
            }
        }
    }
    assert_null(tw_tableau_find("dopri6"));
    assert_null(tw_tableau_at(-1));
    assert_null(tw_ode_method_list(1000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trees_are_counted_right),
        cmocka_unit_test(order_conditions_hold),
        cmocka_unit_test(error_rows_begin_at_their_power),
        cmocka_unit_test(interpolants_have_their_order),
        cmocka_unit_test(rows_are_consistent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
