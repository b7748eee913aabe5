/* method/cnf.c - continuous normalising flows by maximum likelihood (Chen et al. 2018, Neural ordinary differential
 * equations, eq. 8; Grathwohl et al. 2019, FFJORD): a data point goes back to the source through the solver, and the
 * divergence along its way tells its density,
 *
 *   loss(row) = -log p_1(x_1) = -log p_0(x(0)) + int_0^1 div u_t(x(t)) dt
 *
 * in nats. The solver is `steps` steps of the classic Runge-Kutta method, unrolled, so that the gradient is that of
 * what is computed. The divergence is exact, or with `probe` one of FFJORD's estimates for each row and step of
 * training from one random sign a column, the same all the way. */
#include "method/method.h"

#include <thalweg/adjoint.h>

static void field(void *user, tw_val t, const tw_val *state, tw_val *out)
{
    const tw_model *model = ((void **)user)[0];
    const tw_val *signs = ((void **)user)[1];
    tw_val x = state[0];
    out[0] = out[1] = TW_NONE;
    if (tw_is_none(x)) return;
    out[0] = tw_model_predict(model, x, tw_broadcast_to(t, tw_shape_of(tw_dim(x, 0))));
    const tw_divergence_desc along = {.trace = TW_TRACE_HUTCHINSON, .probes = 1, .vectors = *signs};
    if (tw_divergence(x, out[0], tw_is_none(*signs) ? NULL : &along, &out[1]) != TW_OK) out[1] = TW_NONE;
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    enum { STEPS, PROBE };
    tw_val x = d->x1, signs = TW_NONE;
    if (tw_is_none(x)) return TW_NONE;
    if (!model->source->rules->density)
        return tw_graph_fail(x.graph, TW_ERR_UNSUPPORTED, "method 'cnf' needs a source whose density is known");
    if (model->method->value[PROBE] > 0) signs = tw_expand_dim(tw_sign(d->z), 1);
    const void *user[] = {model, &signs};
    tw_val state[2] = {x, tw_zeros_like(tw_sum_axis(x, 1))};
    tw_ode_unroll_desc desc = {
        .t0 = 1, .t1 = 0, .steps = (int)model->method->value[STEPS], .states_count = 2, .field = field, .user = user};
    tw_ode_unroll(x.graph, &desc, state, state);
    return tw_neg(tw_add(model->source->rules->density(state[0]), state[1]));
}

const tw_method_rules tw_method_cnf = {.noise = true, .velocity_only = true, .row_loss = row_loss};
