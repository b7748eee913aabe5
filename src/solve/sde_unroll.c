/* solve/sde_unroll.c - the steps of a stochastic Runge-Kutta table as a graph: a scan whose body is one step. Times,
 * the noise of each step and what it is told run beside the state; the divergence from another drift (Girsanov; Li et
 * al. 2020, eq. 10) is carried along. Its reverse mode is the discrete gradient of sde_gradient.c. */
#include "graph/function.h"
#include "solve/sde.h"

#include <math.h>
#include <string.h>

enum { GIVEN = 16 };

typedef struct unrolled {
    const tw_sde_unroll_desc *desc;
    const tw_sde_tableau *tableau;
    double h;
    bool kl;
    tw_val control[TW_CONTROLS]; /* of the step */
    tw_sde_fields at[TW_SDE_STAGES];
} unrolled;

/* out + weight v, with none for a sum that has not begun */
static tw_val plus(tw_val out, double weight, tw_val v)
{
    return weight == 0 ? out : tw_is_none(out) ? tw_muls(v, weight) : tw_add(out, tw_muls(v, weight));
}

/* x + h sum a_j f_j + sum_j g_j sum_k b_jk control_k */
static tw_val combine(const unrolled *u, const tw_sde_weights *weights, tw_val x)
{
    for (int j = 0; j < TW_SDE_STAGES; j++) {
        tw_val sum = TW_NONE;
        x = plus(x, u->h * weights->a[j], u->at[j].drift);
        for (int k = 0; k < TW_CONTROLS; k++)
            if (weights->b[j][k] != 0) sum = plus(sum, weights->b[j][k], u->control[k]);
        if (!tw_is_none(sum)) x = tw_add(x, tw_mul(u->at[j].diffusion, sum));
    }
    return x;
}

/* What diffusions are multiplied by, from standard normal numbers. */
static void make_controls(unrolled *u, tw_val noise)
{
    double root = sqrt(u->h);
    tw_val w = tw_muls(noise, root), *control = u->control;
    control[TW_CONTROL_W] = w;
    control[TW_CONTROL_ROOT] = tw_full(noise.graph, tw_dtype_at(noise), tw_shape_at(noise), root);
    tw_val square = u->desc->sense == TW_SDE_ITO ? tw_adds(tw_square(w), -u->h) : tw_square(w);
    control[TW_CONTROL_W2] = tw_muls(square, 1 / (2 * root));
}

static void write_step(unrolled *u, tw_val t, tw_val x, tw_val noise, const tw_val *given, tw_val *out_x,
                       tw_val *out_kl)
{
    const tw_sde_tableau *tableau = u->tableau;
    make_controls(u, noise);
    for (int s = 0; s < tableau->stages; s++) {
        tw_val state = s > 0 ? combine(u, &tableau->stage[s].from, x) : x;
        tw_val time = tw_adds(t, tableau->stage[s].c * u->h);
        u->at[s] = (tw_sde_fields){.other_drift = TW_NONE};
        u->desc->fields(u->desc->user, time, state, given, &u->at[s]);
    }
    *out_x = combine(u, &tableau->end, x);
    if (!u->kl) return;
    const tw_sde_fields *begin = &u->at[0];
    tw_val apart = tw_div(tw_sub(begin->drift, begin->other_drift), begin->diffusion);
    *out_kl = tw_add(*out_kl, tw_muls(tw_sum_axis(tw_square(apart), 1), 0.5 * u->h));
}

static tw_val row_of(tw_graph *g, const char *name, tw_val rows)
{
    tw_shape shape = tw_shape_at(rows);
    return tw_input(g, name, tw_dtype_at(rows), tw_shape_make(shape.rank - 1, shape.dim + 1));
}

static void scan(tw_graph *g, unrolled *u, int64_t steps, tw_val x, tw_val noise, tw_val *out_states, tw_val *out_kl)
{
    enum { CARRIES = 2, BESIDE = 2 };
    const tw_sde_unroll_desc *d = u->desc;
    int xs_count = BESIDE + d->given_count, carries = u->kl ? 2 : 1;
    tw_dtype dtype = tw_dtype_at(x);
    tw_val init[CARRIES] = {x, tw_full(g, dtype, tw_shape_of(tw_dim(x, 0)), 0)}, ends[CARRIES];
    tw_val begin = tw_muls(tw_iota(g, dtype, tw_shape_of(steps), 0), u->h);
    tw_val xs[BESIDE + GIVEN] = {tw_adds(begin, d->t0), noise}, inputs[CARRIES + BESIDE + GIVEN];
    tw_val outputs[CARRIES + 1];
    for (int i = 0; i < d->given_count; i++) xs[BESIDE + i] = d->given[i];
    for (int i = 0; i < carries; i++) inputs[i] = tw_input(g, "carry", dtype, tw_shape_at(init[i]));
    for (int i = 0; i < xs_count; i++) inputs[carries + i] = row_of(g, "given", xs[i]);
    outputs[1] = inputs[1]; /* kl so far, where it is carried */
    write_step(u, inputs[carries], inputs[0], inputs[carries + 1], inputs + carries + BESIDE, &outputs[0], &outputs[1]);
    outputs[carries] = outputs[0];
    tw_closure body = {
        .inputs_count = carries + xs_count, .inputs = inputs, .outputs_count = carries + 1, .outputs = outputs};
    if (!tw_closure_open(&body, g)) return;
    tw_val states = TW_NONE;
    tw_scan(g,
            &(tw_scan_desc){.consts_count = body.captures_count,
                            .consts = body.args,
                            .carries_count = carries,
                            .init = init,
                            .xs_count = xs_count,
                            .xs = xs,
                            .ys_count = 1,
                            .segment = d->segment,
                            .body = tw_closure_body,
                            .user = &body},
            ends, &states);
    tw_closure_close(&body, g);
    if (out_states) *out_states = states;
    if (out_kl) *out_kl = ends[1];
}

static void refuse(tw_graph *g, const tw_sde_unroll_desc *d, const tw_sde_method *m, const char *name, int64_t steps,
                   tw_val x, tw_val noise)
{
    tw_shape state = tw_shape_at(x), of_noise = tw_shape_at(noise);
    bool can = m && m->tableau && !m->info.needs_integrals && m->info.noise[TW_SDE_DIAGONAL] &&
               (d->sense == TW_SDE_ITO ? m->info.ito : m->info.stratonovich);
    if (!can)
        tw_graph_fail(g, TW_ERR_UNSUPPORTED, "'%s' is no method to unroll an SDE in %s's sense with", name,
                      d->sense == TW_SDE_ITO ? "Ito" : "Stratonovich");
    else if (state.rank != 2 || of_noise.rank != 3 || of_noise.dim[0] != steps || of_noise.dim[1] != state.dim[0] ||
             of_noise.dim[2] != state.dim[1])
        tw_graph_fail(g, TW_ERR_SHAPE, "an unrolled SDE goes from (rows, columns) with noise (%lld, rows, columns)",
                      (long long)steps);
    else if (d->given_count < 0 || d->given_count > GIVEN)
        tw_graph_fail(g, TW_ERR_INVALID, "a step of an unrolled SDE is told 0 to %d things, not %d", GIVEN,
                      d->given_count);
}

void tw_sde_unroll(tw_graph *g, const tw_sde_unroll_desc *desc, tw_val x, tw_val noise, tw_val *out_states,
                   tw_val *out_kl)
{
    const char *name = desc->method ? desc->method : desc->sense == TW_SDE_ITO ? "euler" : "midpoint";
    const tw_sde_method *method = tw_sde_method_find(name);
    double t1 = desc->t0 == 0 && desc->t1 == 0 ? 1 : desc->t1;
    int64_t steps = desc->steps > 0 ? desc->steps : 100;
    if (out_states) *out_states = TW_NONE;
    if (out_kl) *out_kl = TW_NONE;
    if (g->status != TW_OK) return;
    if (!(t1 > desc->t0)) tw_graph_fail(g, TW_ERR_INVALID, "an SDE is unrolled forwards, not to t=%g", t1);
    refuse(g, desc, method, name, steps, x, noise);
    if (g->status != TW_OK) return;
    unrolled u = {.desc = desc, .tableau = method->tableau, .h = (t1 - desc->t0) / (double)steps, .kl = out_kl != NULL};
    scan(g, &u, steps, x, noise, out_states, out_kl);
}
