/* three_normals.c - see three_normals.h. */
#include "three_normals.h"

#include "base/base.h"

#include <math.h>

enum { PARTS = 3, ROWS = 200000 };

static const double weight[PARTS] = {0.3, 0.4, 0.3}, centre[PARTS] = {-1.2, 0, 1.2}, size[PARTS] = {0.25, 0.5, 0.25};
static const double unit = 1.0007497189607402; /* root of 0.6 (1.2^2 + 0.25^2) + 0.4 0.5^2 */

double three_normals_draw(tw_random *random)
{
    double u = tw_random_uniform(random);
    int k = u < weight[0] ? 0 : u < weight[0] + weight[1] ? 1 : 2;
    return (centre[k] + size[k] * tw_random_normal(random)) / unit;
}

double three_normals_quantile(double share)
{
    double low = -8, high = 8;
    while (high - low > 1e-9) {
        double x = 0.5 * (low + high), below = 0;
        for (int k = 0; k < PARTS; k++)
            below += weight[k] * 0.5 * erfc(-(x * unit - centre[k]) / size[k] * 0.70710678118654752440);
        if (below < share)
            low = x;
        else
            high = x;
    }
    return 0.5 * (low + high);
}

double three_normals_density(const three_normals_law *law, double x, double *out_slope_x, double *out_slope_t)
{
    const double turn = 6.28318530717958647693;
    double sum = 0, in_x = 0, in_t = 0;
    for (int k = 0; k < PARTS; k++) {
        double mean = (centre[k] / unit - law->shift) / law->scale, deviation = size[k] / unit / law->scale;
        double square = deviation * deviation;
        double variance = law->shrink * law->shrink * square + law->sigma * law->sigma;
        double rate = 2 * (law->shrink * law->shrink_rate * square + law->sigma * law->sigma_rate);
        double off = x - law->shrink * mean;
        double p = weight[k] * exp(-0.5 * off * off / variance) / sqrt(turn * variance);
        sum += p;
        in_x -= p * off / variance;
        in_t += p * (off * law->shrink_rate * mean / variance + 0.5 * rate / variance * (off * off / variance - 1));
    }
    *out_slope_x = sum > 0 ? in_x / sum : 0;
    *out_slope_t = sum > 0 ? in_t / sum : 0;
    return sum;
}

tw_status three_normals_learn(tw_context *ctx, const tw_flow_desc *desc, const tw_train_desc *how, uint32_t stream,
                              three_normals_law *out_law, tw_flow **out_flow)
{
    tw_random random = {.seed = how->seed, .stream = stream};
    double mean = 0, square = 0;
    tw_dataset *set = NULL;
    tw_flow *flow = NULL;
    tw_status status = TW_OK;
    double *rows = tw_alloc(ctx, ROWS, sizeof *rows);
    if (!rows) return tw_fail_memory(ctx, ROWS * sizeof *rows);
    for (int i = 0; i < ROWS; i++) rows[i] = three_normals_draw(&random);
    if (out_law) {
        for (int i = 0; i < ROWS; i++) mean += rows[i] / ROWS;
        for (int i = 0; i < ROWS; i++) square += (rows[i] - mean) * (rows[i] - mean) / ROWS;
        for (int i = 0; i < ROWS; i++) rows[i] = (rows[i] - mean) / sqrt(square);
        *out_law = (three_normals_law){.shift = mean, .scale = sqrt(square)};
    }
    TW_TRY(tw_dataset_from_memory(ctx, ROWS, 1, rows, NULL, NULL, &set));
    TW_TRY(tw_flow_create(ctx, desc, &flow));
    TW_TRY(tw_train(flow, set, how, NULL));
    *out_flow = flow;
    flow = NULL;
done:
    tw_flow_destroy(flow);
    tw_dataset_destroy(set);
    tw_free(ctx, rows);
    return status;
}
