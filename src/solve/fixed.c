/* solve/fixed.c - equal steps, the same for every row. Times are computed from the step number, not summed, and the
 * last step ends on t1 itself. A row that stops being finite leaves with its last finite state. */
#include "solve/ode.h"

#include <math.h>
#include <string.h>

static double time_at(const tw_ode *ode, int64_t n)
{
    const tw_ode_desc *d = &ode->desc;
    if (n >= ode->fixed_steps) return d->t1;
    if (d->step_size > 0) return d->t0 + (double)n * (ode->direction * d->step_size);
    return d->t0 + (d->t1 - d->t0) * ((double)n / (double)ode->fixed_steps);
}

/* True when every new state is finite; 0 * inf and 0 * nan are not zero. */
static bool all_finite(const double *z, int64_t count)
{
    double sum[4] = {0};
    int64_t i = 0;
    for (; i + 4 <= count; i += 4)
        for (int j = 0; j < 4; j++) sum[j] += 0 * z[i + j];
    for (; i < count; i++) sum[0] += 0 * z[i];
    return sum[0] + sum[1] + sum[2] + sum[3] == 0;
}

/* Fails the rows whose new state is not finite and moves the others on one by one, so that the gaps can be closed. */
static void drop_broken_rows(tw_ode *ode)
{
    int64_t columns = ode->columns;
    for (int64_t a = 0; a < ode->active; a++) {
        if (all_finite(ode->z + a * columns, columns))
            memcpy(ode->y + a * columns, ode->z + a * columns, (size_t)columns * sizeof(double));
        else
            tw_ode_fail_row(ode, a, "a value that is not finite");
    }
    tw_ode_compact(ode);
}

tw_status tw_ode_run_fixed(tw_ode *ode)
{
    tw_status status = TW_OK;
    for (int64_t n = 0; n < ode->fixed_steps && ode->active; n++) {
        double t = time_at(ode, n), next = time_at(ode, n + 1);
        for (int64_t a = 0; a < ode->active; a++) {
            ode->t[a] = t;
            ode->t_next[a] = next;
            ode->h[a] = next - t;
            ode->wish[a] = fabs(next - t);
            ode->nfe[a] += ode->stages;
        }
        ode->weightless = !ode->weighs[0];
        TW_TRY(tw_ode_call(ode, ode->active, ode->t, ode->y, ode->k[0]));
        TW_TRY(tw_ode_step(ode));
        if (all_finite(ode->z, ode->active * ode->columns)) {
            double *y = ode->y;
            ode->y = ode->z;
            ode->z = y;
        } else {
            drop_broken_rows(ode);
        }
        ode->stats.accepted += ode->active;
    }
    memset(ode->leaving, 1, (size_t)ode->active);
    tw_ode_compact(ode);
done:
    ode->weightless = false;
    return status;
}
