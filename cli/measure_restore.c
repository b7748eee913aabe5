/* measure_restore.c - measures of pictures restored by a flow that was trained for nothing of the kind: denoised, with
 * a box in the middle filled in, at twice the resolution. One method, one noise and one number of steps for all three
 * (Pokle et al. 2023, Training-free linear image inverses via flows).
 *
 * What was seen is y = A x + noise. Rows of each A are orthogonal and equally long, A A' = c I, so that what one would
 * draw without a flow is A'y, or A'y / c, the pseudo-inverse: pictures as they were seen, empty boxes, coarse pixels.
 */
#include "measures.h"

#include "base/philox.h"

#include <thalweg/steer.h>

#include <math.h>

enum { PICTURES = 500, STREAM = 71 };
static const double NOISE = 0.125; /* of the range of values */

typedef enum damage { NOISY, BOXED, COARSE } damage;

/* Row of A for measure k of pictures of side x side; false: there is no such measure. */
static bool measure_row(damage kind, int side, int k, double *row)
{
    int across = kind == COARSE ? side / 2 : side, i = k / across, j = k % across, quarter = side / 4;
    for (int c = 0; c < side * side; c++) {
        bool in = kind == COARSE ? c / side / 2 == i && c % side / 2 == j : c == k;
        row[c] = !in ? 0 : kind == COARSE ? 0.25 : 1;
    }
    bool inside = i >= quarter && i < side - quarter && j >= quarter && j < side - quarter;
    return kind != BOXED || !inside;
}

static int make_matrix(damage kind, int side, double *out)
{
    int measures = 0, most = kind == COARSE ? side * side / 4 : side * side;
    for (int k = 0; k < most; k++) measures += measure_row(kind, side, k, out + (int64_t)measures * side * side);
    return measures;
}

/* What of pictures was seen, and A'y. */
static void see(int measures, int columns, const double *matrix, int64_t n, const double *x, double noise,
                tw_random *random, double *y, double *back)
{
    for (int64_t i = 0; i < n; i++, x += columns, back += columns, y += measures) {
        for (int c = 0; c < columns; c++) back[c] = 0;
        for (int k = 0; k < measures; k++) {
            const double *row = matrix + (int64_t)k * columns;
            y[k] = noise * tw_random_normal(random);
            for (int c = 0; c < columns; c++) y[k] += row[c] * x[c];
            for (int c = 0; c < columns; c++) back[c] += row[c] * y[k];
        }
    }
}

static double squares(int64_t count, const double *x, double scale, const double *y)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) sum += (x[i] * scale - y[i]) * (x[i] * scale - y[i]);
    return sum;
}

static double range_of(int64_t count, const double *x)
{
    double low = x[0], high = x[0];
    for (int64_t i = 0; i < count; i++) low = fmin(low, x[i]), high = fmax(high, x[i]);
    return high - low;
}

/* Decibels by which the flow's pictures are nearer the true ones than the nearer of A'y and the pseudo-inverse's. */
static tw_status take_gain(const subject *s, damage kind, const char *method, double relative_noise, measured *out)
{
    tw_context *ctx = s->c->ctx;
    const held_out *h = &s->h;
    int columns = h->columns, side = (int)lround(sqrt(columns));
    int64_t n = tw_min_i64(PICTURES, h->rows), count = n * columns;
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM};
    tw_status status = TW_OK;
    double *y = NULL, *matrix = NULL, *memory = NULL, *back, *got, length2 = 0;
    if (side * side != columns || side % 4 != 0 || n < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "rows of %d columns are no square pictures with a side of 4, 8, ... pixels",
                       columns);
    memory = tw_alloc(ctx, 3 * (size_t)count + (size_t)columns * (size_t)columns, sizeof(double));
    if (!memory) return tw_fail_memory(ctx, 3 * (size_t)count * sizeof(double));
    y = memory, back = y + count, got = back + count, matrix = got + count;
    int measures = make_matrix(kind, side, matrix);
    double noise = relative_noise * range_of(count, h->values);
    see(measures, columns, matrix, n, h->values, noise, &random, y, back);
    for (int c = 0; c < columns; c++) length2 += matrix[c] * matrix[c];
    const tw_sample_desc desc = {.seed = random.seed, .solver.steps = (int)opt_int(&s->c->set, OPT_SOLVER_STEPS)};
    const tw_inverse_desc inverse = {
        .method = method, .observed = y, .measures = measures, .matrix = matrix, .noise = noise};
    TW_TRY(tw_flow_inverse(s->m.flow, n, &desc, &inverse, got, NULL));
    double plain = fmin(squares(count, back, 1, h->values), squares(count, back, 1 / length2, h->values));
    *out = (measured){10 * log10(plain / squares(count, got, 1, h->values)), (double)NAN};
done:
    tw_free(ctx, memory);
    return status;
}

tw_status measure_restored_noisy(const subject *s, measured *out)
{
    return take_gain(s, NOISY, "ot_ode", NOISE, out);
}

tw_status measure_restored_boxed(const subject *s, measured *out)
{
    return take_gain(s, BOXED, "ot_ode", NOISE, out);
}

tw_status measure_restored_coarse(const subject *s, measured *out)
{
    return take_gain(s, COARSE, "ot_ode", NOISE, out);
}

tw_status measure_steered_coarse(const subject *s, measured *out)
{
    return take_gain(s, COARSE, "flowchef", 0, out);
}
