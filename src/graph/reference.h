/* graph/reference.h - the reference interpreter: every op by its plainest loop, in double precision.
 *
 * It is what fast kernels are compared with. Each value of a graph is an array of doubles; u32, i32 and bool values are
 * held exactly. f32 graphs are therefore evaluated without f32 rounding. */
#ifndef TW_GRAPH_REFERENCE_H
#define TW_GRAPH_REFERENCE_H

#include "graph/function.h"

/* values[i] holds the elements of inputs[i]; results[k] receives those of outputs[k] (caller's memory). */
TW_NODISCARD tw_status tw_reference_run(tw_context *ctx, int inputs_count, const tw_val *inputs,
                                        const double *const *values, int outputs_count, const tw_val *outputs,
                                        double *const *results);
/* A function with a body: its outputs one after another in `out`. */
TW_NODISCARD tw_status tw_reference_function(const tw_function *f, const double *const *args, double *out);
#endif
