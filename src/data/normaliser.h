/* data/normaliser.h - x -> (x - shift) / scale per column: fitted on training rows, kept in the model, undone on
 * output. */
#ifndef TW_DATA_NORMALISER_H
#define TW_DATA_NORMALISER_H

#include "base/base.h"

typedef struct tw_normaliser {
    int columns;
    double *shift; /* means */
    double *scale; /* standard deviations; 1 for a constant column */
} tw_normaliser;

/* Mean and standard deviation per column in one stable pass (Welford) over values (rows, columns). */
TW_NODISCARD tw_status tw_normaliser_fit(tw_context *ctx, int64_t rows, int columns, const double *values,
                                         tw_normaliser *out_normaliser);
/* Pictures are brought to [-1,1], every pixel alike: shift and scale of theirs. */
#define TW_PIXEL_MIDDLE 127.5

/* The same shift and scale in every column. */
TW_NODISCARD tw_status tw_normaliser_make(tw_context *ctx, int columns, double shift, double scale,
                                          tw_normaliser *out_normaliser);
void tw_normaliser_free(tw_context *ctx, tw_normaliser *normaliser);
void tw_normaliser_apply(const tw_normaliser *normaliser, int64_t rows, const double *x, double *out);
void tw_normaliser_undo(const tw_normaliser *normaliser, int64_t rows, const double *z, double *out);
/* log |det dz/dx| = -sum log scale: added to a log-density in z to give one in x. */
double tw_normaliser_log_jacobian(const tw_normaliser *normaliser);

#endif
