/* flow/interpolate.c - points between points of the source. Standard normal points of many columns lie near a sphere,
 * and a straight line between two of them cuts through where hardly any are: so the way is along the sphere, lengths
 * changing evenly with the angle (Shoemake 1985, Animating rotation with quaternion curves; White 2016, Sampling
 * generative networks). Between rows of another source the way is straight. */
#include "flow/journey.h"

#include <math.h>
#include <string.h>

/* Shares of a and b at the part s of the way. */
static void shares(int columns, bool sphere, const double *a, const double *b, double s, double *out_a, double *out_b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int j = 0; j < columns; j++) {
        ab += a[j] * b[j];
        aa += a[j] * a[j];
        bb += b[j] * b[j];
    }
    *out_a = 1 - s;
    *out_b = s;
    double cosine = ab / sqrt(aa * bb), angle = acos(fmin(fmax(cosine, -1), 1)), sine = sin(angle);
    if (!sphere || !(sine > 1e-6)) return; /* one direction, opposite ones, or none */
    *out_a = sin((1 - s) * angle) / sine;
    *out_b = sin(s * angle) / sine;
}

/* On a manifold the way is its geodesic. */
static tw_status along_geodesics(tw_flow *flow, int64_t rows, const double *points, int64_t between, double *out)
{
    const tw_space *space = &flow->space;
    size_t numbers = (size_t)space->numbers;
    int64_t columns = flow->desc.columns, stride = between + 1;
    tw_status status = TW_OK;
    double *a = tw_alloc(flow->ctx, 4 * numbers, sizeof(double));
    if (!a) return tw_fail_memory(flow->ctx, 4 * numbers * sizeof(double));
    double *b = a + numbers, *v = b + numbers, *at = v + numbers;
    for (int64_t r = 0; r + 1 < rows; r++) {
        TW_TRY(tw_flow_from_data_units(flow, 1, points + r * columns, space->numbers, a));
        TW_TRY(tw_flow_from_data_units(flow, 1, points + (r + 1) * columns, space->numbers, b));
        tw_space_log(space, a, b, v);
        for (int64_t k = 0; k <= stride; k++) {
            for (size_t j = 0; j < numbers; j++) b[j] = v[j] * (double)k / (double)stride;
            tw_space_exp(space, a, b, at);
            tw_flow_to_data_units(flow, 1, at, out + (r * stride + k) * columns);
        }
    }
done:
    tw_free(flow->ctx, a);
    return status;
}

tw_status tw_interpolate(tw_flow *flow, int64_t rows, const double *points, int64_t between, double *out)
{
    int64_t columns = flow->desc.columns, stride = between + 1;
    bool sphere = strcmp(flow->desc.source, "normal") == 0;
    if (rows < 2 || between < 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%lld points between %lld rows: it takes two rows at least",
                       (long long)between, (long long)rows);
    if (flow->space.symbols > 0 || tw_space_is_mixed(&flow->space))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "a flow of tokens: there is nothing between two tokens");
    if (flow->desc.mesh) return tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "points between others: not on a mesh");
    if (!flow->space.flat) return along_geodesics(flow, rows, points, between, out);
    for (int64_t r = 0; r < rows; r++)
        tw_normaliser_apply(&flow->normaliser, 1, points + r * columns, out + r * stride * columns);
    for (int64_t r = 0; r + 1 < rows; r++) {
        const double *a = out + r * stride * columns, *b = a + stride * columns;
        for (int64_t k = 1; k <= between; k++) {
            double of_a, of_b, *point = out + (r * stride + k) * columns;
            shares((int)columns, sphere, a, b, (double)k / (double)stride, &of_a, &of_b);
            for (int64_t j = 0; j < columns; j++) point[j] = of_a * a[j] + of_b * b[j];
        }
    }
    tw_normaliser_undo(&flow->normaliser, (rows - 1) * stride + 1, out, out);
    return TW_OK;
}
