/* solve/description.c - checking what a caller asks of an ODE solver, and filling in what he leaves open. */
#include "solve/ode.h"

#include "base/text.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

static tw_status unknown_method(tw_context *ctx, const char *name)
{
    const char *names[32];
    int count = 0;
    tw_text list = tw_text_new(ctx);
    for (const tw_ode_method_info *m; count < TW_COUNT(names) && (m = tw_ode_method_list(count)); count++) {
        names[count] = m->name;
        tw_text_add(&list, "%s%s", count ? ", " : "", m->name);
    }
    const char *near = tw_nearest_name(name, names, count);
    tw_status status = tw_text_check(&list);
    if (status == TW_OK && near)
        status = tw_fail(ctx, TW_ERR_INVALID, "no ODE method is called '%s'; did you mean '%s'?", name, near);
    else if (status == TW_OK)
        status = tw_fail(ctx, TW_ERR_INVALID, "no ODE method is called '%s'; there are: %s", name, list.data);
    tw_text_free(&list);
    return status;
}

/* Numbers of a description that must be finite and not negative, and what zero stands for. */
static const struct {
    const char *name;
    size_t offset;
    double standard;
} numbers[] = {
    {"rtol", offsetof(tw_ode_desc, rtol), 1e-5},
    {"atol", offsetof(tw_ode_desc, atol), 1e-5},
    {"step_size", offsetof(tw_ode_desc, step_size), 0},
    {"first_step", offsetof(tw_ode_desc, first_step), 0},
    {"pcoeff", offsetof(tw_ode_desc, pcoeff), 0},
    {"icoeff", offsetof(tw_ode_desc, icoeff), 0},
    {"dcoeff", offsetof(tw_ode_desc, dcoeff), 0},
    {"safety", offsetof(tw_ode_desc, safety), 0.86},
    {"min_factor", offsetof(tw_ode_desc, min_factor), 0.2},
    {"max_factor", offsetof(tw_ode_desc, max_factor), 10},
    {"min_step", offsetof(tw_ode_desc, min_step), 0},
    {"max_step", offsetof(tw_ode_desc, max_step), 0},
    {"difference", offsetof(tw_ode_desc, difference), 0},
};

static tw_status check_numbers(tw_context *ctx, tw_ode_desc *d)
{
    for (int i = 0; i < TW_COUNT(numbers); i++) {
        double *value = (double *)(void *)((char *)d + numbers[i].offset);
        if (!isfinite(*value) || *value < 0)
            return tw_fail(ctx, TW_ERR_INVALID, "%s of the ODE solver must be finite and not negative, not %g",
                           numbers[i].name, *value);
        if (*value == 0) *value = numbers[i].standard;
    }
    if (d->steps < 0 || d->max_steps < 0 || d->krylov < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "steps, max_steps and krylov of the ODE solver must not be negative");
    if (d->max_steps == 0) d->max_steps = 100000;
    if (!(d->min_factor < 1 && d->safety < 1 && d->max_factor > 1))
        return tw_fail(ctx, TW_ERR_INVALID, "an ODE solver needs min_factor and safety below 1 and max_factor above");
    if (d->max_step > 0 && d->max_step < d->min_step)
        return tw_fail(ctx, TW_ERR_INVALID, "max_step %g of the ODE solver is below min_step %g", d->max_step,
                       d->min_step);
    if (d->pcoeff == 0 && d->icoeff == 0 && d->dcoeff == 0) {
        d->pcoeff = 0.1;
        d->icoeff = 0.9;
    }
    return TW_OK;
}

static tw_status count_steps(tw_context *ctx, tw_ode *ode)
{
    const tw_ode_desc *d = &ode->desc;
    double steps = d->steps > 0 ? d->steps : 50;
    /* A last step shorter than a millionth of the others is rounding of t1 - t0 over step_size, not wanted. */
    if (d->step_size > 0) steps = fmax(1, ceil(ode->span / d->step_size - 1e-6));
    if (d->time_grid) steps = (double)d->time_grid_count - 1;
    if (steps > (double)d->max_steps)
        return tw_fail(ctx, TW_ERR_INVALID, "%.0f steps from t=%g to t=%g are more than max_steps %lld", steps, d->t0,
                       d->t1, (long long)d->max_steps);
    ode->fixed_steps = (int64_t)steps;
    return TW_OK;
}

/* Times must go from t0 to t1: strictly where they are steps. */
static tw_status check_times(tw_context *ctx, const tw_ode *ode, const char *name, const double *times, int64_t count,
                             bool strictly)
{
    const tw_ode_desc *d = &ode->desc;
    for (int64_t i = 0; i < count; i++) {
        double t = times[i], before = i > 0 ? times[i - 1] : d->t0;
        bool forward = strictly && i > 0 ? (t - before) * ode->direction > 0 : (t - before) * ode->direction >= 0;
        if (!forward || !((d->t1 - t) * ode->direction >= 0))
            return tw_fail(ctx, TW_ERR_INVALID, "%s of the ODE solver must go from t0=%g to t1=%g; number %lld is %g",
                           name, d->t0, d->t1, (long long)i, t);
    }
    return TW_OK;
}

static tw_status check_span(tw_context *ctx, tw_ode *ode)
{
    tw_status status = TW_OK;
    tw_ode_desc *d = &ode->desc;
    if (d->time_grid) {
        if (d->time_grid_count < 2)
            return tw_fail(ctx, TW_ERR_INVALID, "time_grid of the ODE solver needs two times at least, not %lld",
                           (long long)d->time_grid_count);
        d->t0 = d->time_grid[0];
        d->t1 = d->time_grid[d->time_grid_count - 1];
    } else if (d->t0 == 0 && d->t1 == 0) {
        d->t1 = 1;
    }
    if (!isfinite(d->t0) || !isfinite(d->t1))
        return tw_fail(ctx, TW_ERR_INVALID, "an ODE needs finite times, not t0=%g, t1=%g", d->t0, d->t1);
    ode->direction = d->t1 < d->t0 ? -1 : 1;
    ode->span = fabs(d->t1 - d->t0);
    if (d->time_grid) TW_TRY(check_times(ctx, ode, "time_grid", d->time_grid, d->time_grid_count, true));
    if (d->times_count < 0 || (d->times_count > 0 && !d->times))
        return tw_fail(ctx, TW_ERR_INVALID, "%lld times without an array", (long long)d->times_count);
    TW_TRY(check_times(ctx, ode, "times", d->times, d->times_count, false));
done:
    return status;
}

static tw_status check_events(tw_context *ctx, const tw_ode_desc *d)
{
    if (d->events_count < 0 || (d->events_count > 0 && !d->events))
        return tw_fail(ctx, TW_ERR_INVALID, "%d events without an array", d->events_count);
    for (int e = 0; e < d->events_count; e++)
        if (!d->events[e].g || d->events[e].limit < 0)
            return tw_fail(ctx, TW_ERR_INVALID, "event %d needs a function g and a limit that is not negative", e);
    return TW_OK;
}

/* Interpolants and implicit equations are those of vectors. */
static tw_status check_chart(tw_context *ctx, tw_ode *ode)
{
    tw_ode_desc *d = &ode->desc;
    if (!d->chart) return TW_OK;
    if (!d->chart->go || !d->chart->pull) return tw_fail(ctx, TW_ERR_INVALID, "a chart needs both of its functions");
    if (ode->table->kind != TW_TABLEAU_EXPLICIT)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "method %s steps among vectors: on a manifold expected an explicit Runge-Kutta method, such as "
                       "dopri5",
                       d->method);
    if (d->times_count > 0 || d->events_count > 0)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "states at times and events are not to be had on a manifold");
    ode->chart = *d->chart;
    d->chart = &ode->chart;
    return TW_OK;
}

/* The columns whose error counts, and the runs of them that count each by itself. */
static tw_status fill_parts(tw_context *ctx, tw_ode *ode)
{
    const tw_ode_desc *d = &ode->desc;
    int64_t all = d->error_columns;
    bool wrong = d->error_columns < 0;
    for (int i = 0; i < TW_COUNT(ode->part); i++) {
        ode->part[i] = d->error_parts[i];
        wrong |= d->error_parts[i] < 0 || (d->error_parts[i] > 0 && d->error_columns > 0);
        all += d->error_parts[i];
    }
    if (wrong || all > ode->columns)
        return tw_fail(ctx, TW_ERR_INVALID, "error_columns or error_parts of the ODE solver are %lld, of %d columns",
                       (long long)all, ode->columns);
    ode->error_columns = all ? (int)all : ode->columns;
    if (ode->error_columns != all || d->error_columns > 0) ode->part[0] = ode->error_columns;
    return TW_OK;
}

tw_status tw_ode_describe(tw_context *ctx, const tw_ode_desc *desc, tw_ode *ode)
{
    tw_status status = TW_OK;
    tw_ode_desc *d = &ode->desc;
    *d = *desc;
    if (!d->method) d->method = "dopri5";
    ode->table = tw_tableau_find(d->method);
    if (!ode->table) return unknown_method(ctx, d->method);
    d->method = ode->table->info.name;
    TW_TRY(check_numbers(ctx, d));
    TW_TRY(check_span(ctx, ode));
    TW_TRY(check_events(ctx, d));
    TW_TRY(check_chart(ctx, ode));
    if ((d->steps > 0) + (d->step_size > 0) + (d->time_grid != NULL) > 1)
        return tw_fail(ctx, TW_ERR_INVALID, "give the ODE solver steps, step_size or time_grid, not both");
    TW_TRY(fill_parts(ctx, ode));
    ode->adaptive = ode->table->info.adaptive && d->steps == 0 && d->step_size == 0 && !d->time_grid;
    ode->looks = d->times_count > 0 || d->events_count > 0;
    ode->error_power = ode->table->error_power ? ode->table->error_power : ode->table->info.order;
    ode->exponent[0] = -(d->pcoeff + d->icoeff + d->dcoeff) / ode->error_power;
    ode->exponent[1] = (d->pcoeff + 2 * d->dcoeff) / ode->error_power;
    ode->exponent[2] = -d->dcoeff / ode->error_power;
    if (!ode->adaptive) TW_TRY(count_steps(ctx, ode));
done:
    return status;
}
