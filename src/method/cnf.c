/* method/cnf.c - continuous normalising flows by maximum likelihood (Chen et al. 2018, Neural ordinary differential
 * equations, eq. 8; Grathwohl et al. 2019, FFJORD): a data point goes back to the source through the solver, and the
 * divergence along its way tells its density,
 *
 *   loss(row) = -log p_1(x_1) = -log p_0(x(0)) + int_0^1 div u_t(x(t)) dt
 *
 * in nats. The solver is `steps` steps of the classic Runge-Kutta method, unrolled. Its gradient is that of these
 * steps, or with `adjoint` that of the adjoint equation, solved the other way in as many steps and in memory that does
 * not grow with them. The divergence is exact, or with `probe` one of FFJORD's estimates for each row and step of
 * training from one random sign a column, the same all the way. */
#include "graph/function.h"
#include "method/method.h"

#include <thalweg/adjoint.h>

#include <string.h>

enum { STEPS, PROBE, ADJOINT }; /* parameters */

typedef struct likelihood {
    const tw_model *model;
    tw_val signs;   /* (B,1,D), none: exact divergences */
    int count;      /* of values that the field depends on beside x and t */
    tw_val *depend; /* those, to be differentiated by the adjoint */
} likelihood;

/* u (B,D) and its divergence (B) at x (B,D), a scalar t. */
static void field(void *user, tw_val t, const tw_val *state, tw_val *out)
{
    const likelihood *l = user;
    tw_val x = state[0];
    out[0] = out[1] = TW_NONE;
    if (tw_is_none(x)) return;
    out[0] = tw_model_predict(l->model, x, tw_broadcast_to(t, tw_shape_of(tw_dim(x, 0))));
    const tw_divergence_desc along = {.trace = TW_TRACE_HUTCHINSON, .probes = 1, .vectors = l->signs};
    if (tw_divergence(x, out[0], tw_is_none(l->signs) ? NULL : &along, &out[1]) != TW_OK) out[1] = TW_NONE;
}

static tw_ode_unroll_desc solver(likelihood *l)
{
    return (tw_ode_unroll_desc){
        .t0 = 1, .t1 = 0, .steps = (int)l->model->method->value[STEPS], .states_count = 2, .field = field, .user = l};
}

/* --- the adjoint equation ------------------------------------------------------------------------------------------
 */

/* States x, a, and an integral for every value depended on: u, -dH/dx and -dH/dtheta of H = a . u - div u, as the loss
 * falls by the integral of the divergence that is gone through backwards. */
static void adjoint_field(void *user, tw_val t, const tw_val *state, tw_val *out)
{
    const likelihood *l = user;
    /* theta has led to the states of later stages, too, which is none of H's business */
    tw_val slope[2], x = tw_stop_gradient(state[0]), a = tw_stop_gradient(state[1]);
    int count = l->count;
    field(user, t, &x, slope);
    for (int i = 0; i < count + 2; i++) out[i] = TW_NONE;
    if (tw_is_none(slope[1])) return;
    tw_val energy = tw_sub(tw_sum_all(tw_mul(a, slope[0])), tw_sum_all(slope[1]));
    out[0] = slope[0];
    out[1] = x;
    for (int i = 0; i < count; i++) out[2 + i] = l->depend[i];
    if (tw_grad(energy, count + 1, out + 1, out + 1) != TW_OK) return;
    for (int i = 1; i < count + 2; i++) out[i] = tw_neg(out[i]);
}

static bool is_real(tw_val v)
{
    return tw_dtype_at(v) == TW_DTYPE_F32 || tw_dtype_at(v) == TW_DTYPE_F64;
}

/* Finds what the field depends on; the closure stays open. */
static bool find_dependences(tw_graph *g, likelihood *l, tw_val x, tw_closure *c, tw_val inputs[2], tw_val outputs[2])
{
    inputs[0] = tw_input(g, "x", tw_dtype_at(x), tw_shape_at(x));
    inputs[1] = tw_input(g, "t", tw_dtype_at(x), TW_SCALAR);
    field(l, inputs[1], inputs, outputs);
    *c = (tw_closure){.inputs_count = 2, .inputs = inputs, .outputs_count = 2, .outputs = outputs};
    if (!tw_closure_open(c, g)) return false;
    l->depend = c->args;
    for (int i = 0; i < c->captures_count; i++)
        if (is_real(c->args[i])) l->depend[l->count++] = c->args[i];
    if (l->count <= TW_UNROLL_STATES - 2) return true;
    tw_graph_fail(g, TW_ERR_UNSUPPORTED, "the adjoint of method 'cnf' takes a network of at most %d parameter arrays",
                  TW_UNROLL_STATES - 2);
    tw_closure_close(c, g);
    return false;
}

/* Zero whose derivative is that of the sum of the loss over the rows, whose ends are x: sum of theta . q less itself.
 */
static tw_val adjoint_slope(tw_graph *g, likelihood *l, tw_val x)
{
    tw_closure c;
    tw_val inputs[2], outputs[2], state[TW_UNROLL_STATES], sum = TW_NONE;
    if (!find_dependences(g, l, x, &c, inputs, outputs)) return TW_NONE;
    tw_val density = tw_sum_all(tw_neg(tw_source_density(l->model->source, x)));
    state[0] = x;
    if (tw_grad(density, 1, &x, &state[1]) == TW_OK) {
        for (int i = 0; i < l->count; i++) state[2 + i] = tw_zeros_like(l->depend[i]);
        tw_ode_unroll_desc desc = solver(l);
        desc.t0 = 0;
        desc.t1 = 1;
        desc.states_count = 2 + l->count;
        desc.field = adjoint_field;
        tw_ode_unroll(g, &desc, state, state);
        for (int i = 0; i < l->count; i++) {
            tw_val term = tw_sum_all(tw_mul(l->depend[i], tw_stop_gradient(state[2 + i])));
            sum = i == 0 ? term : tw_add(sum, term);
        }
    }
    tw_closure_close(&c, g);
    return tw_is_none(sum) ? sum : tw_sub(sum, tw_stop_gradient(sum));
}

/* --- the loss ------------------------------------------------------------------------------------------------------
 */

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val x = d->x1;
    likelihood l = {.model = model, .signs = TW_NONE};
    if (tw_is_none(x)) return TW_NONE;
    tw_graph *g = x.graph;
    if (!tw_source_rules_of(model->source)->density)
        return tw_graph_fail(g, TW_ERR_UNSUPPORTED, "method 'cnf' needs a source whose density is known");
    if (model->method->value[PROBE] > 0) l.signs = tw_expand_dim(tw_sign(d->z), 1);
    tw_val state[2] = {x, tw_zeros_like(tw_sum_axis(x, 1))};
    tw_ode_unroll_desc desc = solver(&l);
    tw_ode_unroll(g, &desc, state, state);
    tw_val loss = tw_neg(tw_add(tw_source_density(model->source, state[0]), state[1]));
    if (tw_is_none(loss) || !(model->method->value[ADJOINT] > 0)) return loss;
    tw_val slope = adjoint_slope(g, &l, tw_stop_gradient(state[0]));
    if (tw_is_none(slope)) return slope;
    return tw_add(tw_stop_gradient(loss), tw_muls(slope, 1 / (double)tw_dim(x, 0)));
}

const tw_method_rules tw_method_cnf = {.noise = 1, .velocity_only = true, .row_loss = row_loss};
