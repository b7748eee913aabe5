/* flow/condition.c - see condition.h. */
#include "flow/condition.h"

#include <math.h>
#include <stdio.h>

tw_status tw_conditions_take(tw_context *ctx, int count, const tw_condition *conditions, int64_t row,
                             const double *values, double *out)
{
    for (int i = 0; i < count; i++) {
        const tw_condition *c = &conditions[i];
        double v = values ? values[i] : (double)NAN;
        out[i] = isnan(v) ? TW_UNTOLD : v;
        if (isnan(v)) continue;
        char where[32] = "a row";
        if (row >= 0) snprintf(where, sizeof where, "row %lld", (long long)row + 1);
        if (c->classes > 0 && !(v >= 0 && v < c->classes && v == floor(v)))
            return tw_fail(ctx, TW_ERR_INVALID, "%s: condition '%s' is %g: expected a class from 0 to %d", where,
                           c->name, v, c->classes - 1);
        if (!(fabs(v) < 1e29))
            return tw_fail(ctx, TW_ERR_INVALID, "%s: condition '%s' is %g: expected a finite number", where, c->name,
                           v);
    }
    return TW_OK;
}

int64_t tw_conditions_width(int count, const tw_condition *conditions)
{
    int64_t width = 0;
    for (int i = 0; i < count; i++) width += conditions[i].classes > 0 ? conditions[i].classes : 2;
    return width;
}

/* One condition of the rows, (B,1) -> (B, its width). */
static tw_val features_of(const tw_condition *c, tw_val value)
{
    tw_dtype dtype = tw_dtype_at(value);
    int64_t rows = tw_shape_at(value).dim[0];
    if (c->classes > 0)
        return tw_cast(tw_eq(value, tw_iota(value.graph, dtype, tw_shape_of(rows, c->classes), 1)), dtype);
    tw_val told = tw_gt(value, tw_full(value.graph, dtype, TW_SCALAR, TW_UNTOLD / 2)), zero = tw_zeros_like(value);
    tw_val standard = tw_muls(tw_adds(value, -c->mean), 1 / c->scale);
    return tw_concat2(1, tw_select(told, standard, zero), tw_cast(told, dtype));
}

tw_val tw_conditions_features(int count, const tw_condition *conditions, tw_val raw)
{
    tw_val all = TW_NONE;
    if (tw_is_none(raw)) return raw;
    for (int i = 0; i < count; i++) {
        tw_val one = features_of(&conditions[i],
                                 tw_slice(raw, 1, i, i + 1));
        all = i == 0 ? one : tw_concat2(1, all, one);
    }
    return all;
}
