/* solve/sampler.h - samplers of affine paths x_t = alpha x_1 + sigma x_0: multistep rules that use the schedule.
 *
 * They take equal or given steps, the same for all rows, either way along the path. What they would divide by at an end
 * of the path is never divided by: a step that begins or ends there is x_t = alpha x_1 + sigma x_0 with what the
 * network says of both, which is exact at the end. */
#ifndef TW_SOLVE_SAMPLER_H
#define TW_SOLVE_SAMPLER_H

#include "path/schedule.h"

#include <thalweg/solve.h>

/* Samplers by index, NULL past the end. */
const tw_ode_method_info *tw_sampler_at(int index);
const tw_ode_method_info *tw_sampler_find(const char *name);
/* Whether it never asks for the velocity where a journey ends, so that this may be an end of the path itself. */
bool tw_sampler_lands(const tw_ode_method_info *sampler);

typedef struct tw_sampler tw_sampler;

/* For blocks of up to `rows` rows of `columns` numbers, of which the first `moving` move. From solver: method, t0, t1
 * and steps, step_size or time_grid, as for tw_ode_create (50 steps). Of a sampler that lands the last step ends on
 * `end` instead of t1, to which the velocity can be asked. `schedule` is used until the end. */
TW_NODISCARD tw_status tw_sampler_create(tw_context *ctx, const tw_ode_desc *solver, const tw_schedule *schedule,
                                         double end, int64_t rows, int moving, int columns, tw_sampler **out_sampler);
void tw_sampler_destroy(tw_sampler *sampler);

/* Moves x (rows, columns) in place; does not allocate. Rows that do not stay finite are counted and told by
 * TW_ERR_NUMERIC; the sentence of a failure goes to `error` (size bytes). */
tw_status tw_sampler_run(tw_sampler *sampler, tw_field_fn field, void *user, int64_t rows, double *x,
                         tw_ode_stats *out_stats, char *error, size_t size);

#endif
