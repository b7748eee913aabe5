/* path/kinetic.c - see kinetic.h. */
#include "path/kinetic.h"

#include "base/order.h"
#include "base/philox.h"
#include "base/streams.h"
#include "base/text.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ANGLES = TW_KINETIC_ANGLES, REFERENCES = 2048, QUERIES = 256, FEW_QUERIES = 32 };

static const double half_pi = 1.57079632679489661923;
static const double least_gamma = 0.01, degenerate_gamma = 0.05;

static double angle_at(int k)
{
    return half_pi * (k + 0.5) / ANGLES;
}

/* --- separation of data ------------------------------------------------------------------------------------------- */

/* 1 - lambda(s) is the mean of tr Var(x_1 | x) over its value at s = 0, where it is the variance of all rows: exact at
 * both ends, and of little noise between. With a_j = |y_j - x_1|^2 and b_j = (y_j - x_1) x_0, rows y_j have the weights
 * exp(s b_j - s^2 a_j / 2) given x = x_1 + x_0 / s. Both signs of x_0, whose errors at small s cancel. */
typedef struct query {
    int columns;
    const float *data;
    int64_t references;
    int64_t *reference; /* rows y_j */
    float *a, *b;
    double *x0, *mean; /* (columns) */
} query;

static const float *row_of(const query *q, int64_t j)
{
    return q->data + q->reference[j] * q->columns;
}

static double variance_given(const query *q, double s, double sign)
{
    const double far = -30;
    double largest = -INFINITY, sum = 0, squares = 0, square_of_mean = 0;
    for (int64_t j = 0; j < q->references; j++)
        largest = fmax(largest, s * (sign * (double)q->b[j] - 0.5 * s * (double)q->a[j]));
    memset(q->mean, 0, (size_t)q->columns * sizeof *q->mean);
    for (int64_t j = 0; j < q->references; j++) {
        double exponent = s * (sign * (double)q->b[j] - 0.5 * s * (double)q->a[j]) - largest;
        if (exponent < far) continue;
        const float *y = row_of(q, j);
        double weight = exp(exponent);
        sum += weight;
        for (int c = 0; c < q->columns; c++) {
            q->mean[c] += weight * (double)y[c];
            squares += weight * (double)y[c] * (double)y[c];
        }
    }
    for (int c = 0; c < q->columns; c++) square_of_mean += q->mean[c] * q->mean[c] / (sum * sum);
    return fmax(0, squares / sum - square_of_mean);
}

static void compare(query *q, int64_t own)
{
    const float *x1 = row_of(q, own);
    for (int64_t j = 0; j < q->references; j++) {
        const float *y = row_of(q, j);
        double a = 0, b = 0;
        for (int c = 0; c < q->columns; c++) {
            double off = (double)y[c] - (double)x1[c];
            a += off * off;
            b += off * q->x0[c];
        }
        q->a[j] = (float)a;
        q->b[j] = (float)b;
    }
}

static tw_status query_open(tw_context *ctx, int64_t rows, int columns, const float *data, tw_random *random, query *q)
{
    *q = (query){.columns = columns, .data = data, .references = tw_min_i64(rows, REFERENCES)};
    size_t count = (size_t)q->references, width = (size_t)columns;
    q->reference = tw_alloc(ctx, count, sizeof(int64_t));
    q->a = tw_alloc(ctx, count, sizeof(float));
    q->b = tw_alloc(ctx, count, sizeof(float));
    q->x0 = tw_alloc(ctx, width, sizeof(double));
    q->mean = tw_alloc(ctx, width, sizeof(double));
    if (!q->reference || !q->a || !q->b || !q->x0 || !q->mean) return tw_fail_memory(ctx, count * sizeof(int64_t));
    for (int64_t j = 0; j < q->references; j++)
        q->reference[j] = q->references < rows ? tw_random_below(random, rows) : j;
    return TW_OK;
}

static void query_close(tw_context *ctx, query *q)
{
    tw_free(ctx, q->reference);
    tw_free(ctx, q->a);
    tw_free(ctx, q->b);
    tw_free(ctx, q->x0);
    tw_free(ctx, q->mean);
}

static void grow(double lambda[ANGLES])
{
    for (int k = 0; k < ANGLES; k++) {
        double before = k > 0 ? lambda[k - 1] : 0;
        lambda[k] = fmin(1, fmax(before, lambda[k]));
    }
}

tw_status tw_kinetic_separation(tw_context *ctx, int64_t rows, int columns, const float *data, uint64_t seed,
                                double out_lambda[ANGLES])
{
    double spread[ANGLES] = {0};
    tw_random random = {.seed = seed, .stream = TW_STREAM_KINETIC};
    query q = {.columns = columns};
    /* means over columns need fewer draws; many columns cost more */
    int64_t queries = tw_max_i64(FEW_QUERIES, tw_min_i64(QUERIES, 8 * QUERIES / columns));
    tw_status status = TW_OK;
    TW_TRY(query_open(ctx, rows, columns, data, &random, &q));
    for (int64_t i = 0; i < queries; i++) {
        for (int c = 0; c < columns; c++) q.x0[c] = tw_random_normal(&random);
        compare(&q, tw_random_below(&random, q.references));
        for (int k = 0; k < ANGLES; k++)
            for (int sign = -1; sign <= 1; sign += 2) spread[k] += variance_given(&q, tan(angle_at(k)), sign);
    }
    double whole = 2 * (double)queries * variance_given(&q, 0, 1);
    for (int k = 0; k < ANGLES; k++) out_lambda[k] = whole > 0 ? 1 - spread[k] / whole : 1;
    grow(out_lambda);
done:
    query_close(ctx, &q);
    return status;
}

/* --- energy ------------------------------------------------------------------------------------------------------- */

static double gamma_at(const double lambda[ANGLES], int k)
{
    double c = cos(angle_at(k));
    return fmin(1, fmax(0, 1 - (1 - lambda[k]) / (c * c)));
}

double tw_kinetic_energy(const tw_schedule *schedule, const double lambda[ANGLES])
{
    enum { STEPS = 4096 };
    double sum = 0;
    for (int i = 0; i < STEPS; i++) {
        tw_schedule_point p = tw_schedule_at(schedule, (i + 0.5) / STEPS);
        double r2 = p.alpha * p.alpha + p.sigma * p.sigma;
        double outwards = p.alpha * p.d_alpha + p.sigma * p.d_sigma, around = p.d_alpha * p.sigma - p.alpha * p.d_sigma;
        double place = atan2(p.alpha, p.sigma) / half_pi * ANGLES - 0.5;
        int k = (int)fmin(fmax(place, 0), ANGLES - 2);
        double share = fmin(fmax(place - k, 0), 1);
        double gamma = (1 - share) * gamma_at(lambda, k) + share * gamma_at(lambda, k + 1);
        sum += (outwards * outwards + around * around * gamma) / r2;
    }
    return sum / STEPS;
}

/* --- the best schedule -------------------------------------------------------------------------------------------- */

/* phi at the edges of the cells of angles, theta_k = pi/2 k / ANGLES. */
static void fill_phi(const double lambda[ANGLES], double phi[ANGLES + 1])
{
    phi[0] = 0;
    for (int k = 0; k < ANGLES; k++)
        phi[k + 1] = phi[k] + sqrt(fmax(gamma_at(lambda, k), least_gamma)) * half_pi / ANGLES;
}

/* Where the straight line from (1, 0) to (1, Phi) has its share t behind it: the angle, and back. */
static double phi_of_time(double whole, double t)
{
    return atan2(t * sin(whole), 1 - t + t * cos(whole));
}
static double time_of_phi(double whole, double phi)
{
    return sin(phi) / (sin(phi) + sin(whole - phi));
}

static void point_at(const double phi[ANGLES + 1], double t, double *alpha, double *sigma)
{
    double whole = phi[ANGLES], at = phi_of_time(whole, t), b = 2 - 2 * cos(whole), r = sqrt(1 - b * t + b * t * t);
    int k = 0;
    while (k < ANGLES - 1 && phi[k + 1] < at) k++;
    double theta = half_pi / ANGLES * (k + fmin(1, (at - phi[k]) / (phi[k + 1] - phi[k])));
    *alpha = r * sin(theta);
    *sigma = r * cos(theta);
}

static bool is_degenerate(const double lambda[ANGLES])
{
    double gamma[ANGLES];
    for (int k = 0; k < ANGLES; k++) gamma[k] = gamma_at(lambda, k);
    qsort(gamma, ANGLES, sizeof *gamma, tw_by_value);
    return gamma[ANGLES / 2] < degenerate_gamma;
}

/* Rows of the table at equal steps of time and of angle, none closer than a 256th to the one before. */
static int times_of_rows(const double phi[ANGLES + 1], double time[ANGLES + 1])
{
    enum { HALF = ANGLES / 2 };
    double wanted[2 * HALF + 1];
    int count = 0, kept = 1;
    for (int k = 1; k < HALF; k++) wanted[count++] = (double)k / HALF;
    for (int k = 1; k < HALF; k++) wanted[count++] = time_of_phi(phi[ANGLES], phi[2 * k]);
    qsort(wanted, (size_t)count, sizeof *wanted, tw_by_value);
    time[0] = 0;
    for (int i = 0; i < count; i++)
        if (wanted[i] - time[kept - 1] > 1.0 / 256 && wanted[i] < 1 - 1.0 / 256) time[kept++] = wanted[i];
    time[kept++] = 1;
    return kept;
}

/* Six digits are kept: what a table needs, and no more text in files. */
static double rounded(double x)
{
    return round(x * 1e6) / 1e6;
}

tw_status tw_kinetic_schedule(tw_context *ctx, const double lambda[ANGLES], tw_schedule *out_schedule,
                              bool *out_degenerate)
{
    double phi[ANGLES + 1], time[ANGLES + 1];
    tw_text text = tw_text_new(ctx);
    tw_status status = TW_OK;
    *out_degenerate = is_degenerate(lambda);
    fill_phi(lambda, phi);
    for (int k = 0; *out_degenerate && k <= ANGLES; k++) phi[k] = 1e-3 * k / ANGLES; /* an arc as good as straight */
    int rows = times_of_rows(phi, time);
    tw_text_add(&text, "kinetic:0,0,1");
    for (int i = 1; i < rows - 1; i++) {
        double alpha, sigma, t = rounded(time[i]);
        point_at(phi, t, &alpha, &sigma);
        tw_text_add(&text, ",%.6f,%.6f,%.6f", t, rounded(alpha), rounded(sigma));
    }
    tw_text_add(&text, ",1,1,0");
    TW_TRY(tw_text_check(&text));
    TW_TRY(tw_piece_read(ctx, "schedule", text.data, tw_schedule_list, out_schedule));
    TW_TRY(tw_schedule_check(ctx, out_schedule));
done:
    tw_text_free(&text);
    return status;
}
