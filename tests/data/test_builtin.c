/* Built-in sets: densities integrate to one, draws follow them cell by cell, entropies agree with -log density of the
 * draws. */
#include <thalweg/data.h>
#include <thalweg/graph.h>
#include <thalweg/tokens.h>

#include "data/dataset.h"
#include "support/limited_memory.h"

#include <math.h>
#include <string.h>

typedef struct set {
    const char *name;
    double half; /* the square [-half, half]^2 holds all but 1e-9 of it */
} set;

static const set sets[] = {{"checkerboard", 4.5}, {"8gaussians", 8}, {"moons", 3.2},
                           {"spirals", 5},        {"pinwheel", 8},   {"wrapped", 3.14159265358979}};

/* And those of other spaces, which follow in the list; poses have no density. */
static const char *const curved[] = {"rotations", "poses", "disc", "angles"};

static tw_dataset *open_set(tw_context *ctx, const char *name, int64_t rows, uint64_t seed)
{
    tw_dataset *d = NULL;
    if (tw_dataset_open(ctx, name, &(tw_dataset_desc){.rows = rows, .seed = seed}, &d) != TW_OK)
        fail_msg("%s", tw_context_error(ctx));
    return d;
}

static double density_at(const tw_dataset *d, double x, double y)
{
    double value;
    assert_true(tw_dataset_log_density(d, (double[2]){x, y}, &value));
    return exp(value);
}

static void lists_all(void **state)
{
    (void)state;
    for (int i = 0; i < TW_COUNT(sets); i++) {
        const tw_builtin_info *info = tw_builtin_list(i);
        assert_string_equal(info->name, sets[i].name);
        assert_true(strlen(info->about) > 10 && strlen(info->source) > 10);
    }
    for (int i = 0; i < TW_COUNT(curved); i++)
        assert_string_equal(tw_builtin_list(TW_COUNT(sets) + i)->name, curved[i]);
    assert_null(tw_builtin_list(TW_COUNT(sets) + TW_COUNT(curved)));
    assert_null(tw_builtin_list(-1));
}

/* The trapezoid rule on a fine grid; for smooth densities its error falls faster than any power, 1e-5 leaves room for
 * the pinwheel's sharp blades. The checkerboard's edges (at multiples of 1 / 0.45) are met by midpoints of a matching
 * grid. */
static void densities_integrate_to_one(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    for (int i = 0; i < TW_COUNT(sets); i++) {
        tw_dataset *d = open_set(ctx, sets[i].name, 1, 0);
        bool board = i == 0;
        double h = board ? 0.1 / 0.45 : 0.1, half = board ? 2 / 0.45 : sets[i].half, sum = 0, entropy = 0, known;
        int n = (int)ceil(2 * half / h - 1e-9);
        h = 2 * half / n; /* a whole turn of an angle */
        for (int a = 0; a < n; a++)
            for (int b = 0; b < n; b++) {
                double p = density_at(d, -half + (a + 0.5) * h, -half + (b + 0.5) * h);
                sum += p * h * h;
                if (p > 0) entropy -= p * log(p) * h * h;
            }
        assert_true(fabs(sum - 1) < 1e-5);
        assert_true(tw_dataset_entropy(d, &known));
        assert_true(fabs(entropy - known) < 1e-4); /* -p log p is less smooth where p is tiny */
        tw_dataset_destroy(d);
    }
    tw_context_destroy(ctx);
}

/* Integral of the density over a cell by 3-point Gauss in each direction on 2 x 2 parts of it. */
static double cell_mass(const tw_dataset *d, double x, double y, double h)
{
    static const double at[3] = {-0.774596669241483377, 0, 0.774596669241483377},
                        weight[3] = {5.0 / 18, 4.0 / 9, 5.0 / 18};
    double sum = 0, part = h / 2;
    for (int a = 0; a < 6; a++)
        for (int b = 0; b < 6; b++)
            sum += weight[a % 3] * weight[b % 3] *
                   density_at(d, x + part * (a / 3 + 0.5 + at[a % 3] / 2), y + part * (b / 3 + 0.5 + at[b % 3] / 2));
    return sum * part * part;
}

/* Pearson's chi-square over cells that expect at least 20 draws, the rest pooled; mean k - 1, variance 2 (k - 1). */
static void draws_follow_densities(void **state)
{
    (void)state;
    enum { CELLS = 40, ROWS = 100000 };
    tw_context *ctx = tw_context_create(NULL);
    for (int i = 0; i < TW_COUNT(sets); i++) {
        tw_dataset *d = open_set(ctx, sets[i].name, ROWS, 11);
        const double *x = tw_dataset_values(d, TW_PART_ALL);
        double half = i == 0 ? 2 / 0.45 : sets[i].half, h = 2 * half / CELLS, chi = 0;
        static int64_t count[CELLS * CELLS];
        memset(count, 0, sizeof count);
        int64_t outside = 0;
        for (int64_t r = 0; r < ROWS; r++) {
            int a = (int)floor((x[2 * r] + half) / h), b = (int)floor((x[2 * r + 1] + half) / h);
            if (a < 0 || a >= CELLS || b < 0 || b >= CELLS)
                outside++;
            else
                count[a * CELLS + b]++;
        }
        double rest = ROWS, rest_count = ROWS;
        int cells = 0;
        for (int a = 0; a < CELLS; a++)
            for (int b = 0; b < CELLS; b++) {
                double expected = ROWS * cell_mass(d, -half + a * h, -half + b * h, h);
                if (expected < 20) continue;
                double seen = (double)count[a * CELLS + b];
                chi += (seen - expected) * (seen - expected) / expected;
                rest -= expected;
                rest_count -= seen;
                cells++;
            }
        assert_true(outside <= 1);
        assert_true(cells > 100);
        if (rest > 5) chi += (rest_count - rest) * (rest_count - rest) / rest;
        double degrees = cells - 1 + (rest > 5);
        if (fabs(chi - degrees) > 4 * sqrt(2 * degrees))
            fail_msg("%s: chi-square %g over %g", sets[i].name, chi, degrees);
        tw_dataset_destroy(d);
    }
    tw_context_destroy(ctx);
}

/* The mean of -log density over draws is the entropy, within 4.5 standard errors. */
static void check_entropy(tw_context *ctx, const char *name)
{
    int64_t rows = 20000;
    tw_dataset *d = open_set(ctx, name, rows, 5);
    const double *x = tw_dataset_values(d, TW_PART_ALL);
    double mean = 0, square = 0, entropy, value;
    for (int64_t r = 0; r < rows; r++) {
        assert_true(tw_dataset_log_density(d, x + tw_dataset_columns(d) * r, &value));
        mean -= value / (double)rows;
        square += value * value / (double)rows;
    }
    assert_true(tw_dataset_entropy(d, &entropy));
    double error = sqrt(fmax(square - mean * mean, 0) / (double)rows);
    if (fabs(mean - entropy) > 4.5 * error + 1e-9) fail_msg("%s: %.6f, not %.6f", name, mean, entropy);
    tw_dataset_destroy(d);
}

static void entropies_agree_with_draws(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    for (int i = 0; i < TW_COUNT(sets); i++) check_entropy(ctx, sets[i].name);
    for (int i = 0; i < TW_COUNT(curved); i++)
        if (strcmp(curved[i], "poses") != 0) check_entropy(ctx, curved[i]);
    tw_context_destroy(ctx);
}

/* --- other spaces ---------------------------------------------------------------------------------------------------- */

/* Their densities are with respect to the volume of their space: that of all rotations is 8 pi^2, here by a lattice of
 * quaternions in Hopf's coordinates; that of the disc 4 / (1 - |x|^2)^2 of the plane's. */
static void densities_of_other_spaces_integrate_to_one(void **state)
{
    (void)state;
    enum { SHARES = 400, CELLS = 50, FINE = 1500 };
    const double pi = 3.14159265358979323846;
    double sum = 0, value;
    for (int a = 0; a < SHARES; a++)
        for (int b = 0; b < CELLS; b++)
            for (int c = 0; c < CELLS; c++) {
                double share = (a + 0.5) / SHARES, u = 2 * pi * (b + 0.5) / CELLS, v = 2 * pi * (c + 0.5) / CELLS;
                double low = sqrt(1 - share), high = sqrt(share);
                const double q[4] = {low * cos(u), low * sin(u), high * cos(v), high * sin(v)};
                sum += exp(tw_density_rotations(q)) * 8 * pi * pi / SHARES / CELLS / CELLS;
            }
    assert_true(fabs(sum - 1) < 1e-3);
    sum = 0;
    for (int a = 0; a < FINE; a++)
        for (int b = 0; b < FINE; b++) {
            const double x[2] = {2 * (a + 0.5) / FINE - 1, 2 * (b + 0.5) / FINE - 1};
            double inside = 1 - x[0] * x[0] - x[1] * x[1];
            if (inside > 1e-4)
                sum += exp(tw_density_disc(x)) * 4 / (inside * inside) * 4 / ((double)FINE * FINE);
        }
    assert_true(fabs(sum - 1) < 1e-4);
    assert_true(tw_density_disc((const double[]){0.8, 0.6}) == (double)-INFINITY);
    sum = 0;
    for (int a = 0; a < FINE; a++) {
        double x = 2 * pi * (a + 0.5) / FINE - pi;
        sum += exp(tw_density_angles(&x)) * 2 * pi / FINE;
    }
    assert_true(fabs(sum - 1) < 1e-9);
    assert_true(isfinite(value = tw_density_rotations((const double[]){1, 0, 0, 0})));
    assert_true(fabs(value - tw_density_rotations((const double[]){-1, 0, 0, 0})) < 1e-12);
}

/* Points of their spaces, columns by name, and of many angles any few. */
static void rows_of_other_spaces(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = open_set(ctx, "poses", 500, 2);
    const double *x = tw_dataset_values(d, TW_PART_ALL);
    assert_int_equal(tw_dataset_columns(d), 7);
    assert_string_equal(tw_dataset_name(d, 3), "qw");
    for (int r = 0; r < 500; r++) {
        const double *q = x + 7 * r + 3;
        assert_true(fabs(q[0] * q[0] + q[1] * q[1] + q[2] * q[2] + q[3] * q[3] - 1) < 1e-12);
        assert_true(fabs(hypot(x[7 * r], x[7 * r + 1]) - 2) < 0.6);
    }
    assert_false(tw_dataset_log_density(d, x, &(double){0}));
    assert_false(tw_dataset_entropy(d, &(double){0}));
    tw_dataset_destroy(d);
    d = open_set(ctx, "disc", 500, 2);
    x = tw_dataset_values(d, TW_PART_ALL);
    for (int r = 0; r < 500; r++) assert_true(hypot(x[2 * r], x[2 * r + 1]) < 1);
    tw_dataset_destroy(d);
    double entropy, density, known;
    assert_int_equal(tw_dataset_open(ctx, "angles", &(tw_dataset_desc){.rows = 20, .columns = "3,7-8"}, &d), TW_OK);
    assert_int_equal(tw_dataset_columns(d), 3);
    assert_string_equal(tw_dataset_name(d, 1), "x7");
    assert_true(tw_dataset_entropy(d, &entropy));
    assert_true(fabs(entropy - 3 * 0.725791351631657) < 1e-12);
    assert_true(tw_dataset_log_density(d, (const double[]){1, 1, 1}, &density));
    known = -3 * log(0.5 * sqrt(2 * 3.14159265358979323846));
    assert_true(fabs(density - known) < 1e-9);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

static void knows_the_checkerboard(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = open_set(ctx, "checkerboard", 1, 0);
    double entropy;
    assert_true(tw_dataset_entropy(d, &entropy));
    assert_true(fabs(entropy - 3.676456934) < 1e-9); /* log(8 / 0.45^2) */
    assert_true(fabs(density_at(d, 0.1, 0.1) - 0.0253125) < 1e-15);
    assert_true(fabs(density_at(d, -4.4, -4.4) - 0.0253125) < 1e-15);
    assert_true(density_at(d, 0.1, -0.1) == 0);
    assert_true(density_at(d, 4.5, 4.4) == 0);
    tw_dataset_destroy(d);
    tw_context_destroy(ctx);
}

/* Far from the arcs: finite logs at any distance, falling like -(distance to the nearest arc)^2 / (2 s^2). */
static void moons_have_tails(void **state)
{
    (void)state;
    double far = tw_density_moons((double[2]){0, 21}), further = tw_density_moons((double[2]){0, 31});
    assert_true(isfinite(far) && isfinite(further));
    /* from distance 20 to 30 of the upper arc: (900 - 400) / 0.02 = 25000, but for a logarithm of the radius */
    assert_true(fabs(far - further - 25000) < 1);
    /* mirror symmetry through (0.5, 0.25) */
    for (int i = 0; i < 50; i++) {
        double x[2] = {-3 + 0.13 * i, 2 - 0.11 * i}, y[2] = {1 - x[0], 0.5 - x[1]};
        assert_true(fabs(tw_density_moons(x) - tw_density_moons(y)) < 1e-9 * fabs(tw_density_moons(x)));
    }
    /* below the half circle, where both of its ends are near: continuous across the axis */
    double left = tw_density_moons((double[2]){-1e-9, -3}), right = tw_density_moons((double[2]){1e-9, -3});
    assert_true(fabs(left - right) < 1e-5);
}

static void pinwheel_has_five_blades(void **state)
{
    (void)state;
    for (int i = 0; i < 40; i++) {
        double r = 0.2 + 0.1 * i, a = 0.37 * i, turn = 2 * 3.14159265358979323846 / 5;
        double p = tw_density_pinwheel((double[2]){r * cos(a), r * sin(a)});
        double q = tw_density_pinwheel((double[2]){r * cos(a + turn), r * sin(a + turn)});
        assert_true(fabs(p - q) < 1e-7 * fabs(p) + 1e-9);
    }
    assert_true(tw_density_pinwheel((double[2]){17, 0}) == (double)-INFINITY);
    assert_true(isfinite(tw_density_pinwheel((double[2]){0, 0})));
}

static tw_dataset *open_bins(tw_context *ctx, const char *name, int64_t rows, tw_bins bins)
{
    tw_dataset *d = NULL;
    if (tw_dataset_open(ctx, name, &(tw_dataset_desc){.rows = rows, .bins = bins}, &d) != TW_OK)
        fail_msg("%s", tw_context_error(ctx));
    return d;
}

/* The pinwheel in tenths is the table discrete_pinwheel_pmf.csv of facebookresearch/semi-discrete-flow, counts of many
 * draws, whose entropy is 6.942540. That of the bumps is from products of normal distribution functions (SciPy). */
static void bins_have_the_mass_of_their_cells(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        tw_bins bins;
        double entropy, tolerance;
    } cases[] = {{"pinwheel", {91, -4.55, 4.55}, 6.942540, 5e-4},
                 {"8gaussians", {91, -7.1942, 7.1942}, 6.324227249722597, 1e-6},
                 {"checkerboard", {16, -2 / 0.45, 2 / 0.45}, 4.852030263919617 /* log 128 */, 1e-12}};
    tw_context *ctx = tw_context_create(NULL);
    for (int k = 0; k < TW_COUNT(cases); k++) {
        int n = cases[k].bins.count;
        tw_dataset *d = open_bins(ctx, cases[k].name, 1, cases[k].bins);
        double sum = 0, entropy = 0, value;
        for (int i = 0; i < n * n; i++) {
            assert_true(tw_dataset_log_density(d, (double[2]){i / n, i % n}, &value));
            sum += exp(value);
            if (isfinite(value)) entropy -= exp(value) * value;
        }
        if (fabs(sum - 1) > 2e-5 || fabs(entropy - cases[k].entropy) > cases[k].tolerance)
            fail_msg("%s: sum %.7f, entropy %.7f", cases[k].name, sum, entropy);
        assert_true(tw_dataset_log_density(d, (double[2]){-1, 0}, &value) && value == (double)-INFINITY);
        assert_false(tw_dataset_entropy(d, &value));
        tw_dataset_destroy(d);
    }
    tw_context_destroy(ctx);
}

/* Each row lies in its bin, those beyond in the outermost; without a range from the least to the greatest number. */
static void rows_become_bins(void **state)
{
    (void)state;
    enum { ROWS = 2000 };
    tw_context *ctx = tw_context_create(NULL);
    const tw_bins asked[] = {{7, -0.5, 0.75}, {7, 0, 0}};
    tw_dataset *plain = open_set(ctx, "moons", ROWS, 0);
    const double *x = tw_dataset_values(plain, TW_PART_ALL);
    for (int k = 0; k < TW_COUNT(asked); k++) {
        tw_dataset *d = open_bins(ctx, "moons", ROWS, asked[k]);
        const tw_bins *bins = tw_dataset_bins(d);
        const double *bin = tw_dataset_values(d, TW_PART_ALL);
        double low = (double)INFINITY, high = -low;
        for (int i = 0; i < 2 * ROWS; i++) low = fmin(low, x[i]), high = fmax(high, x[i]);
        if (k == 1) assert_true(bins->low == low && bins->high == high);
        for (int i = 0; i < 2 * ROWS; i++) {
            double width = (bins->high - bins->low) / 7, from = bins->low + width * bin[i];
            assert_true(bin[i] == floor(bin[i]) && bin[i] >= 0 && bin[i] < 7);
            assert_true(bin[i] == 0 || x[i] > from - 1e-12);
            assert_true(bin[i] == 6 || x[i] < from + width + 1e-12);
        }
        assert_true(fabs(tw_bin_middle(bins, 3) - (bins->low + bins->high) / 2) < 1e-12);
        tw_dataset_destroy(d);
    }
    assert_null(tw_dataset_bins(plain));
    tw_dataset_destroy(plain);
    const tw_bins bad[] = {{1, 0, 1}, {-3, 0, 1}, {1 << 17, 0, 1}, {4, 1, -1}, {4, 0, (double)INFINITY}};
    for (int k = 0; k < TW_COUNT(bad); k++) {
        tw_dataset *d = NULL;
        assert_int_equal(tw_dataset_open(ctx, "moons", &(tw_dataset_desc){.rows = 10, .bins = bad[k]}, &d),
                         TW_ERR_INVALID);
        assert_non_null(strstr(tw_context_error(ctx), "level"));
    }
    tw_context_destroy(ctx);
}

/* Row i depends on seed and i alone: a longer draw begins with the shorter one; another seed shares nothing. */
static void rows_are_pure_functions(void **state)
{
    (void)state;
    for (int i = 0; i < TW_COUNT(sets); i++) {
        const tw_builtin *b = tw_builtin_find(sets[i].name);
        double first[2], again[2], other[2], next[2];
        tw_builtin_draw(b, 4, 1000, first);
        tw_builtin_draw(b, 4, 1000, again);
        tw_builtin_draw(b, 5, 1000, other);
        tw_builtin_draw(b, 4, 1001, next);
        assert_memory_equal(first, again, sizeof first);
        assert_true(first[0] != other[0] && first[0] != next[0]);
    }
}

static void opens_by_name(void **state)
{
    (void)state;
    tw_context *ctx = tw_context_create(NULL);
    tw_dataset *d = open_set(ctx, "moons", 1000, 3);
    assert_int_equal(tw_dataset_rows(d, TW_PART_TRAIN), 800);
    assert_int_equal(tw_dataset_rows(d, TW_PART_TEST), 100);
    assert_int_equal(tw_dataset_columns(d), 2);
    assert_string_equal(tw_dataset_name(d, 1), "x2");
    assert_int_equal(tw_dataset_decimals(d, 0), -1);
    tw_dataset_destroy(d);
    d = NULL;
    assert_int_equal(tw_dataset_open(ctx, "moons", &(tw_dataset_desc){.rows = -1}, &d), TW_ERR_INVALID);
    assert_string_equal(tw_context_error(ctx), "moons: -1 rows cannot be drawn");
    assert_int_equal(tw_dataset_open(ctx, "moons", &(tw_dataset_desc){.rows = INT64_MAX}, &d), TW_ERR_MEMORY);
    assert_int_equal(tw_dataset_open(ctx, "moons", &(tw_dataset_desc){.columns = "1"}, &d), TW_ERR_INVALID);
    assert_null(d);
    tw_context_destroy(ctx);
}

/* Lines obey their rules, do not depend on how many are drawn, and words of brackets are equally likely: five of three
 * pairs. */
static void texts_obey_their_rules(void **state)
{
    (void)state;
    enum { LINES = 20000 };
    static const char *const words[] = {"((()))", "(()())", "(())()", "()(())", "()()()"};
    tw_context *ctx = tw_context_create(NULL);
    double count[5] = {0}, chi = 0, all = 0;
    for (int i = 0; tw_builtin_text_list(i); i++) {
        const char *name = tw_builtin_text_list(i)->name;
        char *text = NULL, *few = NULL;
        size_t size, few_size;
        bool holds, ruled = tw_builtin_text_holds(name, "", &holds);
        assert_int_equal(tw_builtin_text(ctx, name, LINES, 5, &text, &size), TW_OK);
        assert_int_equal(tw_builtin_text(ctx, name, 7, 5, &few, &few_size), TW_OK);
        assert_memory_equal(text, few, few_size);
        int lines = 0;
        for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n"), lines++) {
            if (ruled) assert_true(tw_builtin_text_holds(name, line, &holds) && holds);
            for (int k = 0; k < 5; k++) count[k] += strcmp(line, words[k]) == 0;
        }
        assert_int_equal(lines, LINES);
        tw_string_free(ctx, text);
        tw_string_free(ctx, few);
    }
    for (int k = 0; k < 5; k++) all += count[k];
    for (int k = 0; k < 5; k++) chi += 5 * (count[k] - all / 5) * (count[k] - all / 5) / all;
    assert_true(all > 1700 && all < 2300 && chi < 18.5); /* a tenth; 4 degrees of freedom, one in a thousand */
    static const struct {
        const char *name, *line;
        bool holds;
    } cases[] = {{"brackets", "()", true},       {"brackets", "", false},          {"brackets", "())(", false},
                 {"brackets", "(()", false},     {"brackets", "(a)", false},       {"sorted_digits", "0", true},
                 {"sorted_digits", "0119", true}, {"sorted_digits", "10", false},  {"sorted_digits", "1a", false},
                 {"sorted_digits", "", false}};
    for (int i = 0; i < TW_COUNT(cases); i++) {
        bool holds;
        assert_true(tw_builtin_text_holds(cases[i].name, cases[i].line, &holds));
        assert_int_equal(holds, cases[i].holds);
    }
    bool holds;
    char *text = NULL;
    size_t size;
    assert_false(tw_builtin_text_holds("digit_slips", "1", &holds));
    assert_int_equal(tw_builtin_text(ctx, "nothing", 1, 0, &text, &size), TW_ERR_INVALID);
    assert_int_equal(tw_builtin_text(ctx, "brackets", 0, 0, &text, &size), TW_ERR_INVALID);
    tw_context_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_all),
        cmocka_unit_test(densities_integrate_to_one),
        cmocka_unit_test(draws_follow_densities),
        cmocka_unit_test(entropies_agree_with_draws),
        cmocka_unit_test(densities_of_other_spaces_integrate_to_one),
        cmocka_unit_test(rows_of_other_spaces),
        cmocka_unit_test(knows_the_checkerboard),
        cmocka_unit_test(moons_have_tails),
        cmocka_unit_test(pinwheel_has_five_blades),
        cmocka_unit_test(bins_have_the_mass_of_their_cells),
        cmocka_unit_test(rows_become_bins),
        cmocka_unit_test(rows_are_pure_functions),
        cmocka_unit_test(opens_by_name),
        cmocka_unit_test(texts_obey_their_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
