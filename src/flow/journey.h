/* flow/journey.h - what every journey of rows through a flow needs, whatever is wanted of it: a solver within the times
 * at which the flow can be solved, the rows as the solver's state, and the way from and to data units. */
#ifndef TW_FLOW_JOURNEY_H
#define TW_FLOW_JOURNEY_H

#include "flow/crew.h"

/* The solver's state of n rows: x, one more column for the divergence when it is integrated, then what each row is
 * told.
 */
typedef struct tw_journey {
    tw_flow *flow;
    tw_crew *crew;
    int64_t n;
    double *state; /* (n, crew->columns); owned unless it is the caller's (n, numbers of the space) */
    bool owned;
    double *ends; /* (n) where each row's way ended, or NULL; the caller's */
    tw_ode_stats stats;
} tw_journey;

/* The solver of a description (NULL: the default), from 0 to 1 unless it says otherwise; refuses other times, and
 * samplers where the path has no alpha and sigma. */
tw_ode_desc tw_journey_solver(const tw_sample_desc *desc);
TW_NODISCARD tw_status tw_journey_check(tw_flow *flow, const tw_ode_desc *solver);
/* For journeys in parts: a fixed-step method without a number of steps gets the default one, which is then shared out
 * and not repeated. */
void tw_journey_count_steps(tw_ode_desc *solver);
/* Keeps a solver within the times at which the flow can be solved. */
void tw_journey_hold(const tw_flow *flow, tw_ode_desc *solver);
/* What a source point is multiplied by where the flow begins. */
double tw_journey_scale(const tw_flow *flow);

/* Programs and state for the conditions, guidance and precision of desc. The state is `out` (n, numbers) when nothing
 * rides along with x. */
TW_NODISCARD tw_status tw_journey_begin(tw_flow *flow, const tw_sample_desc *desc, tw_flow_second second, int64_t n,
                                        double *out, tw_journey *journey);
void tw_journey_end(tw_journey *journey);
TW_NODISCARD tw_status tw_journey_travel(tw_journey *journey, const tw_ode_desc *solver, const tw_crew_noise *noise,
                                         const tw_sample_desc *desc);
/* Rows of x between the state and an array of their own, which may be the state. */
void tw_journey_take(const tw_journey *journey, double *out);
void tw_journey_give(const tw_journey *journey, const double *x);

/* Rows of the data, (n, columns), as states (n, numbers), and back: normalised on R^D, where columns that never change
 * are 0 to the flow and what they are to others. Fails where a row is no point of the space. States are
 * `stride` numbers apart; on the way back `out` may be the same array on R^D only. */
TW_NODISCARD tw_status tw_flow_from_data_units(const tw_flow *flow, int64_t n, const double *x, int64_t stride,
                                               double *out);
void tw_flow_to_data_units(const tw_flow *flow, int64_t n, const double *z, double *out);

#endif
