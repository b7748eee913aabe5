/* train/plan.h - how long training lasts and how the learning rate moves on the way.
 *
 * Progress is a fraction in [0,1] that grows by a straight line in steps. With a given number of steps that is all.
 * With a time budget the line is bent about ten times, at set shares of the budget, to end where the measured speed
 * says; between these decisions everything is a function of the step, and the decisions are kept in the checkpoint. */
#ifndef TW_TRAIN_PLAN_H
#define TW_TRAIN_PLAN_H

#include "base/base.h"

typedef struct tw_plan {
    double budget;        /* seconds; 0: the number of steps was given */
    int64_t total;        /* steps planned */
    int64_t warmup;       /* steps of linear warm-up */
    int64_t asked_warmup; /* 0: chosen with the total */
    double peak;          /* learning rate */
    /* the last decision: at this step and fraction, this many seconds in */
    int64_t anchor;
    double fraction, seconds;
    int64_t decisions;
} tw_plan;

/* steps or seconds, the other 0. */
tw_plan tw_plan_make(int64_t steps, double seconds, int64_t warmup, double peak);
/* Fraction done before step number `step`; 1 at the end. */
double tw_plan_fraction(const tw_plan *plan, int64_t step);
/* Learning rate of step number `step`: linear warm-up to the peak, then half a cosine to zero. */
double tw_plan_rate(const tw_plan *plan, int64_t step);
/* With a budget: decides again where that is due, `step` steps and `seconds` seconds after the start. */
void tw_plan_revise(tw_plan *plan, int64_t step, double seconds);

/* Decay of the averaged weights at update n (from 1): grows to `decay`, so that the first weights are soon forgotten.
 */
double tw_average_decay(double decay, int64_t n);

/* How many of the points of training at which the validation loss is taken lie at or before a fraction: 40 equal steps,
 * and a few early ones, where small tables are at their best. */
int tw_validations_due(double fraction);
/* How many draws such a validation of pictures may have, whose networks are slow: all of them together cost about a
 * twentieth of a training of so many steps of `batch` rows, validated `spacing` steps apart at the nearest; at least a
 * few hundred, at most `most`. A draw forwards costs a third of one trained on. */
int64_t tw_validation_draws(int64_t steps, int batch, int64_t spacing, int64_t most);

#endif
