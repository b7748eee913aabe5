/* solve/fixed.c - steps of given sizes, the same for every row. Times are computed from the step number, not summed,
 * and the last step ends on t1 itself. A row that stops being finite leaves with its last finite state. */
#include "solve/ode.h"

#include <math.h>
#include <string.h>

static double time_at(const tw_ode *ode, int64_t n)
{
    const tw_ode_desc *d = &ode->desc;
    if (n >= ode->fixed_steps) return d->t1;
    if (d->time_grid) return d->time_grid[n];
    if (d->step_size > 0) return d->t0 + (double)n * (ode->direction * d->step_size);
    return d->t0 + (d->t1 - d->t0) * ((double)n / (double)ode->fixed_steps);
}

void tw_fixed_plan(tw_ode *ode, int64_t a)
{
    bool same = a > 0 && ode->place[a] == ode->place[a - 1];
    double next = same ? ode->t_next[a - 1] : time_at(ode, ode->place[a] + 1);
    if (ode->t[a] == next) { /* an event fell on the end of its step */
        ode->place[a]++;
        next = time_at(ode, ode->place[a] + 1);
    }
    ode->t_next[a] = next;
    ode->h[a] = next - ode->t[a];
    ode->wish[a] = fabs(ode->h[a]);
}

void tw_fixed_judge(tw_ode *ode)
{
    int64_t columns = ode->columns, accepted = ode->active;
    bool all = tw_ode_finite(ode->z, ode->active * columns);
    for (int64_t a = 0; a < ode->active; a++) {
        ode->tries[a]++;
        ode->fresh[a] = all || tw_ode_finite(ode->z + a * columns, columns);
        if (ode->fresh[a]) continue;
        bool unsolved = ode->bad[a] == TW_ODE_NO_SOLUTION;
        tw_ode_fail_row(ode, a, unsolved ? "Newton's iteration did not converge" : "a value that is not finite");
        accepted--;
    }
    ode->stats.accepted += accepted;
}
