/* solve/sde_convert.h - from Ito's sense to Stratonovich's. */
#ifndef TW_SOLVE_SDE_CONVERT_H
#define TW_SOLVE_SDE_CONVERT_H

#include "solve/sde.h"

typedef struct tw_sde_converted tw_sde_converted;

/* The same equation in Stratonovich's sense, for up to max_rows rows; out_equation belongs to out_converted. Its vjp
 * asks for that of `equation`, its other drift is not converted. */
TW_NODISCARD tw_status tw_sde_convert(tw_context *ctx, const tw_sde_equation *equation, int64_t max_rows,
                                      tw_sde_converted **out_converted, tw_sde_equation *out_equation);
void tw_sde_converted_destroy(tw_context *ctx, tw_sde_converted *converted);

#endif
