/* flow/likelihood.h - densities of a flow, in data units: where it begins, and behind the integral of the divergence.
 */
#ifndef TW_FLOW_LIKELIHOOD_H
#define TW_FLOW_LIKELIHOOD_H

#include "flow/journey.h"

/* Whether the flow has densities and the solver follows them; says why not. */
TW_NODISCARD tw_status tw_flow_check_density(const tw_flow *flow, const tw_ode_desc *solver);
/* Log-densities of the states (n, numbers) where the flow begins, in data units. A column that never changes
 * is put to 0, as in rows to be scored: its share of the density is left out. */
void tw_flow_begin_densities(const tw_flow *flow, int64_t n, double *rows, double *out);

/* The way of a likelihood, from data to source: the solver that takes it, and the rows x (n, columns), in data units,
 * as the state of a journey whose crew has the divergence. */
TW_NODISCARD tw_status tw_likelihood_solver(tw_flow *flow, const tw_sample_desc *desc, tw_ode_desc *out_solver);
TW_NODISCARD tw_status tw_likelihood_give(const tw_journey *journey, const double *x);
/* Log-densities of the rows x whose journey has ended. */
void tw_likelihood_take(const tw_journey *journey, const double *x, double *out);
/* Their derivatives with respect to that end: `state` of a journey, all but x and the divergence 0. */
void tw_likelihood_slope(const tw_journey *journey, double *state);

#endif
