/* train/plan.c - see plan.h. */
#include "train/plan.h"

#include <math.h>

/* Shares of the budget at which the number of steps is decided: the first as soon as a speed can be told; each by the
 * speed since the one before. */
static const double decision_share[] = {0.02, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.96};
enum { FIRST_DECISION_STEPS = 5, DEFAULT_WARMUP_LIMIT = 500 };

static int64_t default_warmup(int64_t total)
{
    return tw_max_i64(1, tw_min_i64(total / 20, DEFAULT_WARMUP_LIMIT));
}

tw_plan tw_plan_make(int64_t steps, double seconds, int64_t warmup, double peak)
{
    tw_plan plan = {.budget = seconds, .total = steps, .asked_warmup = warmup, .peak = peak};
    if (seconds > 0) plan.total = INT64_MAX / 4; /* until the first decision */
    plan.warmup = warmup > 0 ? warmup : default_warmup(plan.total);
    return plan;
}

double tw_plan_fraction(const tw_plan *plan, int64_t step)
{
    if (step >= plan->total) return 1;
    return plan->fraction +
           (1 - plan->fraction) * ((double)(step - plan->anchor) / (double)(plan->total - plan->anchor));
}

double tw_plan_rate(const tw_plan *plan, int64_t step)
{
    double warm = fmin(1, (double)(step + 1) / (double)plan->warmup);
    return plan->peak * warm * 0.5 * (1 + cos(3.14159265358979323846 * tw_plan_fraction(plan, step)));
}

void tw_plan_revise(tw_plan *plan, int64_t step, double seconds)
{
    if (!(plan->budget > 0) || plan->decisions >= TW_COUNT(decision_share)) return;
    if (seconds < decision_share[plan->decisions] * plan->budget || step < plan->anchor + FIRST_DECISION_STEPS) return;
    double speed = (double)(step - plan->anchor) / fmax(seconds - plan->seconds, 1e-6);
    double left = fmax(plan->budget - seconds, 0);
    plan->fraction = tw_plan_fraction(plan, step);
    plan->anchor = step;
    plan->seconds = seconds;
    plan->total = step + tw_max_i64(1, llround(fmin(speed * left, 1e15)));
    if (plan->decisions == 0 && plan->asked_warmup == 0) plan->warmup = default_warmup(plan->total);
    while (plan->decisions < TW_COUNT(decision_share) && seconds >= decision_share[plan->decisions] * plan->budget)
        plan->decisions++;
}

double tw_average_decay(double decay, int64_t n)
{
    return fmin(decay, (double)n / (double)(n + 9));
}

int tw_validations_due(double fraction)
{
    const double equal = 40;
    int due = (int)floor(fraction * equal + 1e-9);
    for (double early = equal * 2; early <= equal * 8; early *= 2) due += fraction * early >= 1 ? 1 : 0;
    return due;
}

int64_t tw_validation_draws(int64_t steps, int batch, int64_t spacing, int64_t most)
{
    const double share = 0.05, forwards = 1.0 / 3, fewest = 256;
    double times = fmin(tw_validations_due(1), (double)(steps / spacing + 1));
    return (int64_t)fmin((double)most, fmax(fewest, share / forwards * (double)steps * batch / times));
}
