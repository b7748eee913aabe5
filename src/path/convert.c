/* path/convert.c - see convert.h. */
#include "path/convert.h"

#include "graph/node.h"

#include <math.h>

/* y = a x_1 + b x_0. */
typedef struct parts {
    tw_val a, b;
} parts;

static tw_val is_zero(tw_val x)
{
    return tw_eq(x, tw_full_like(x, 0));
}

/* a / b, and `otherwise` where b = 0 */
static tw_val divide(tw_val a, tw_val b, tw_val otherwise)
{
    tw_val none = is_zero(b), quotient = tw_div(a, tw_select(none, tw_full_like(b, 1), b));
    return tw_select(none, otherwise, quotient);
}

static tw_val size_squared(const tw_schedule_values *at)
{
    return tw_add(tw_square(at->alpha), tw_square(at->sigma));
}

static parts velocity_parts(const tw_schedule_values *at)
{
    return (parts){at->d_alpha, at->d_sigma};
}
static parts x1_parts(const tw_schedule_values *at)
{
    return (parts){tw_full_like(at->alpha, 1), tw_full_like(at->alpha, 0)};
}
static parts x0_parts(const tw_schedule_values *at)
{
    return (parts){tw_full_like(at->alpha, 0), tw_full_like(at->alpha, 1)};
}
static parts score_parts(const tw_schedule_values *at)
{
    tw_val zero = tw_full_like(at->sigma, 0);
    return (parts){zero, divide(tw_full_like(at->sigma, -1), at->sigma, zero)};
}
static parts v_parts(const tw_schedule_values *at)
{
    tw_val size = tw_sqrt(size_squared(at));
    return (parts){tw_neg(tw_div(at->sigma, size)), tw_div(at->alpha, size)};
}

static const struct {
    tw_piece_info info;
    parts (*parts)(const tw_schedule_values *at);
} predictions[] = {
#define TW_PREDICTION(name, about, source) {{#name, about, source, NULL}, name##_parts},
#include "path/predictions.def"
};

const tw_piece_info *tw_prediction_list(int index)
{
    return index >= 0 && index < TW_COUNT(predictions) ? &predictions[index].info : NULL;
}

/* alpha b - sigma a: 0 where y and x_t say the same. */
static tw_val determinant(const tw_schedule_values *at, parts p)
{
    return tw_sub(tw_mul(at->alpha, p.b), tw_mul(at->sigma, p.a));
}

tw_val tw_prediction_of(tw_prediction kind, const tw_schedule_values *at, tw_val x1, tw_val x0)
{
    if (kind == TW_PREDICT_x1) return x1;
    if (kind == TW_PREDICT_x0) return x0;
    parts p = predictions[kind].parts(at);
    return tw_add(tw_mul(p.a, x1), tw_mul(p.b, x0));
}

/* A point that is known, or known but for a factor, leaves a division by the other's coefficient; the rest is Cramer's
 * rule. */
void tw_prediction_split(tw_prediction kind, const tw_schedule_values *at, tw_val xt, tw_val y, tw_val *out_x1,
                         tw_val *out_x0)
{
    tw_val size = size_squared(at);
    tw_val least_x1 = tw_div(tw_mul(at->alpha, xt), size), least_x0 = tw_div(tw_mul(at->sigma, xt), size);
    if (kind == TW_PREDICT_x1) {
        *out_x1 = y;
        *out_x0 = divide(tw_sub(xt, tw_mul(at->alpha, y)), at->sigma, least_x0);
        return;
    }
    if (kind == TW_PREDICT_x0 || kind == TW_PREDICT_score) {
        tw_val x0 = kind == TW_PREDICT_x0 ? y : tw_neg(tw_mul(at->sigma, y));
        *out_x0 = x0;
        *out_x1 = divide(tw_sub(xt, tw_mul(at->sigma, x0)), at->alpha, least_x1);
        return;
    }
    parts p = predictions[kind].parts(at);
    tw_val d = determinant(at, p);
    *out_x1 = divide(tw_sub(tw_mul(p.b, xt), tw_mul(at->sigma, y)), d, least_x1);
    *out_x0 = divide(tw_sub(tw_mul(at->alpha, y), tw_mul(p.a, xt)), d, least_x0);
}

tw_val tw_prediction_convert(tw_prediction from, tw_prediction to, const tw_schedule_values *at, tw_val xt, tw_val y)
{
    tw_val x1, x0;
    if (from == to) return y;
    tw_prediction_split(from, at, xt, y, &x1, &x0);
    return tw_prediction_of(to, at, x1, x0);
}

tw_val tw_prediction_gain(tw_prediction from, tw_prediction to, const tw_schedule_values *at)
{
    if (from == to) return tw_full_like(at->alpha, 1);
    tw_val down = determinant(at, predictions[from].parts(at)), up = determinant(at, predictions[to].parts(at));
    return tw_abs(divide(up, down, tw_full_like(up, 0)));
}

void tw_prediction_interval(tw_prediction kind, const tw_schedule *schedule, double *out_low, double *out_high)
{
    double low, high;
    tw_schedule_interval(schedule, &low, &high);
    bool noise = kind == TW_PREDICT_x0 || kind == TW_PREDICT_score;
    if (kind == TW_PREDICT_x1 && tw_schedule_at(schedule, 1).sigma == 0) high = fmin(high, 1 - TW_POLE_MARGIN);
    if (noise && tw_schedule_at(schedule, 0).alpha == 0) low = fmax(low, TW_POLE_MARGIN);
    *out_low = low;
    *out_high = high;
}
