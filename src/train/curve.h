/* train/curve.h - the loss as it went: a curve of at most TW_CURVE_POINTS means, and the mean of the last steps.
 *
 * When the curve is full, neighbours are joined and each point then stands for twice as many steps: a run of any length
 * has a curve of bounded size that does not depend on when it was stopped and resumed. */
#ifndef TW_TRAIN_CURVE_H
#define TW_TRAIN_CURVE_H

#include "base/base.h"

enum { TW_CURVE_POINTS = 2000, TW_CURVE_RECENT = 100 };

/* Doubles and int64 only: it is kept in checkpoints as it is. */
typedef struct tw_curve {
    int64_t count, stride; /* points; steps a point stands for */
    int64_t open;          /* steps in the point being made */
    double open_sum;
    int64_t seen;                   /* steps in all */
    double recent[TW_CURVE_RECENT]; /* ring */
    double step[TW_CURVE_POINTS];   /* last step of the point, from 1 */
    double loss[TW_CURVE_POINTS];
} tw_curve;

void tw_curve_add(tw_curve *curve, double loss);
double tw_curve_recent(const tw_curve *curve); /* NaN before the first step */

#endif
