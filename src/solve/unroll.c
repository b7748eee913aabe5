/* solve/unroll.c - the steps of a Runge-Kutta method as a graph: a scan whose body is one step. It carries the states;
 * the times of the steps run beside it. Its reverse mode is the exact gradient of tape.c with states kept, and its
 * derivatives can be differentiated again. */
#include "graph/function.h"
#include "solve/ode.h"

#include <thalweg/adjoint.h>

typedef struct unrolled {
    const tw_ode_unroll_desc *desc;
    const tw_ode *ode; /* of the same description: its terms */
    int states;
    double h;
    tw_val slope[TW_TABLEAU_STAGES][TW_UNROLL_STATES];
} unrolled;

/* state + h sum of weight slope */
static tw_val combine(const unrolled *u, const tw_ode_terms *terms, tw_val state, int i)
{
    tw_val sum = TW_NONE;
    for (int j = 0; j < terms->count; j++) {
        tw_val term = tw_muls(u->slope[terms->stage[j]][i], terms->weight[j] * u->h);
        sum = j == 0 ? term : tw_add(sum, term);
    }
    return terms->count ? tw_add(state, sum) : state;
}

static void write_step(unrolled *u, tw_val t, const tw_val *states, tw_val *out)
{
    const tw_ode *ode = u->ode;
    for (int s = 0; s < ode->stages; s++) {
        tw_val at[TW_UNROLL_STATES];
        for (int i = 0; i < u->states; i++) at[i] = combine(u, &ode->stage[s], states[i], i);
        u->desc->field(u->desc->user, tw_adds(t, ode->table->c[s] * u->h), at, u->slope[s]);
    }
    for (int i = 0; i < u->states; i++) out[i] = combine(u, &ode->solution, states[i], i);
}

/* Where the steps begin, as they come out of the solver's own rule. */
static tw_val start_times(tw_graph *g, const tw_ode *ode, tw_dtype dtype)
{
    tw_val count = tw_iota(g, dtype, tw_shape_of(ode->fixed_steps), 0);
    double length = ode->desc.t1 - ode->desc.t0;
    return tw_adds(tw_muls(count, length / (double)ode->fixed_steps), ode->desc.t0);
}

static void scan(tw_graph *g, unrolled *u, tw_dtype dtype, const tw_val *states, tw_val *out_states)
{
    tw_val inputs[TW_UNROLL_STATES + 1], outputs[TW_UNROLL_STATES];
    for (int i = 0; i < u->states; i++)
        inputs[i] = tw_input(g, "state", tw_dtype_at(states[i]), tw_shape_at(states[i]));
    tw_val t = inputs[u->states] = tw_input(g, "t", dtype, TW_SCALAR);
    write_step(u, t, inputs, outputs);
    tw_closure body = {.inputs_count = u->states + 1, .inputs = inputs, .outputs_count = u->states, .outputs = outputs};
    if (!tw_closure_open(&body, g)) return;
    tw_val times = start_times(g, u->ode, dtype);
    tw_scan(g,
            &(tw_scan_desc){.consts_count = body.captures_count,
                            .consts = body.args,
                            .carries_count = u->states,
                            .init = states,
                            .xs_count = 1,
                            .xs = &times,
                            .segment = u->desc->segment,
                            .body = tw_closure_body,
                            .user = &body},
            out_states, NULL);
    tw_closure_close(&body, g);
}

void tw_ode_unroll(tw_graph *g, const tw_ode_unroll_desc *desc, const tw_val *states, tw_val *out_states)
{
    tw_ode *ode = NULL;
    int count = desc->states_count;
    tw_val given[TW_UNROLL_STATES];
    if (count < 1 || count > TW_UNROLL_STATES) {
        tw_graph_fail(g, TW_ERR_INVALID, "an unrolled solution has 1 to %d states, not %d", TW_UNROLL_STATES, count);
        return;
    }
    for (int i = 0; i < count; i++) given[i] = states[i];
    tw_no_values(g, count, out_states);
    if (g->status != TW_OK) return;
    tw_ode_desc solver = {.method = desc->method ? desc->method : "rk4",
                          .t0 = desc->t0,
                          .t1 = desc->t1,
                          .steps = desc->steps > 0 ? desc->steps : 50};
    tw_status status = tw_ode_create(g->ctx, &solver, 1, 1, &ode);
    if (status != TW_OK)
        tw_graph_fail(g, status, "%s", tw_context_error(g->ctx));
    else if (ode->table->kind != TW_TABLEAU_EXPLICIT)
        tw_graph_fail(g, TW_ERR_UNSUPPORTED, "only explicit Runge-Kutta methods are unrolled, not %s", solver.method);
    if (g->status == TW_OK) {
        unrolled u = {.desc = desc, .ode = ode, .states = count};
        u.h = (ode->desc.t1 - ode->desc.t0) / (double)ode->fixed_steps;
        scan(g, &u, tw_dtype_at(given[0]), given, out_states);
    }
    tw_ode_destroy(ode);
}
