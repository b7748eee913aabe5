/* bench/cases/mlp.c - flow matching of a two-dimensional checkerboard as in the usual example: a step, sampling,
 * likelihood. The step draws its data as the peer does; sampling and likelihood go through the library's front door. */
#include "bench.h"

#include "flow/flow.h"

#include <math.h>

/* Points of the checkerboard: a column uniform in [-2,2), then one of the two dark squares in it; (B,2). */
static tw_val checkerboard(const bench_draws *d, int64_t batch)
{
    tw_shape shape = tw_shape_of(batch);
    tw_val x = tw_adds(tw_muls(bench_uniform(d, 1, shape), 4), -2);
    tw_val low = tw_floor(tw_muls(bench_uniform(d, 2, shape), 2)), column = tw_floor(x);
    tw_val odd = tw_sub(column, tw_muls(tw_floor(tw_muls(column, 0.5)), 2));
    tw_val y = tw_add(tw_sub(bench_uniform(d, 3, shape), tw_muls(low, 2)), odd);
    return tw_muls(tw_concat2(1, tw_expand_dim(x, 1), tw_expand_dim(y, 1)), 1 / 0.45);
}

static tw_val flow_matching(bench_program *p, const bench_draws *d, const bench_case *c)
{
    tw_val x1 = checkerboard(d, c->batch);
    tw_val x0 = bench_normal(d, 4, tw_shape_of(c->batch, 2));
    tw_val t = bench_uniform(d, 5, tw_shape_of(c->batch)), dx = tw_sub(x1, x0);
    tw_val xt = tw_add(x0, tw_mul(tw_expand_dim(t, 1), dx));
    tw_network_desc desc = {.kind = c->network, .width = c->width, .depth = c->depth};
    tw_val u = tw_network(tw_scope_root(p->params), &desc, xt, t, TW_NONE, 2);
    return tw_mean_axis(tw_mean_axis(tw_square(tw_sub(u, dx)), 1), 0);
}

void bench_mlp_step(bench *b, const bench_case *c)
{
    bench_train(b, c, flow_matching, 0);
}

/* --- sampling and likelihood ----------------------------------------------------------------------------------------
 */

typedef struct use {
    tw_flow *flow;
    tw_sample_desc desc;
    int64_t n;
    double *x, *log_density;
} use;

/* Weights as the peer has them. Small networks are doubled so that the adaptive solver has something to do. */
static void fill_weights(tw_flow *flow, float gain)
{
    float scale = 1;
    for (int i = 0; i < tw_params_count(flow->params); i++) {
        tw_shape shape = tw_shape_at(tw_params_value(flow->params, i));
        if (shape.rank == 2) scale = gain / sqrtf((float)shape.dim[0]);
        float *w = flow->weights + tw_params_offset(flow->params, i);
        for (int64_t k = 0; k < tw_shape_size(shape); k++) w[k] = scale * bench_number((uint32_t)i, (uint32_t)k);
    }
}

static double forward_flops(const bench_case *c)
{
    double w = c->width;
    return 2 * (3 * w + (c->depth - 1) * w * w + 2 * w);
}

static use *make_flow(bench *b, const bench_case *c)
{
    use *u = tw_alloc(b->ctx, 1, sizeof *u);
    tw_flow_desc desc = {.columns = 2, .network = {.kind = c->network, .width = c->width, .depth = c->depth}};
    if (!u) bench_check(b->ctx, tw_fail_memory(b->ctx, sizeof *u));
    bench_check(b->ctx, tw_flow_create(b->ctx, &desc, &u->flow));
    fill_weights(u->flow, c->steps ? 1 : 2);
    u->n = c->batch;
    u->x = tw_alloc(b->ctx, (size_t)c->batch, 2 * sizeof(double));
    u->log_density = tw_alloc(b->ctx, (size_t)c->batch, sizeof(double));
    if (!u->x || !u->log_density) bench_check(b->ctx, tw_fail_memory(b->ctx, (size_t)c->batch * 16));
    u->desc.solver = c->steps ? (tw_ode_desc){.method = "midpoint", .steps = c->steps}
                              : (tw_ode_desc){.method = c->solver, .rtol = 1e-5, .atol = 1e-5};
    b->state = u;
    return u;
}

static void sample_run(bench *b)
{
    use *u = b->state;
    tw_ode_stats stats;
    bench_check(b->ctx, tw_sample(u->flow, u->n, &u->desc, u->x, NULL, &stats));
}

void bench_sample(bench *b, const bench_case *c)
{
    use *u = make_flow(b, c);
    tw_ode_stats stats;
    bench_check(b->ctx, tw_sample(u->flow, u->n, &u->desc, u->x, NULL, &stats));
    b->flops = forward_flops(c) * (double)stats.evaluations;
    b->run = sample_run;
}

static void likelihood_run(bench *b)
{
    use *u = b->state;
    bench_check(b->ctx, tw_log_density(u->flow, u->n, u->x, &u->desc, u->log_density, NULL));
}

void bench_likelihood(bench *b, const bench_case *c)
{
    use *u = make_flow(b, c);
    for (int64_t i = 0; i < u->n * 2; i++) u->x[i] = 3 * (double)bench_number(99, (uint32_t)i);
    /* midpoint uses the divergence at its second stage only: 2 evaluations and 2 tangents a step */
    b->flops = forward_flops(c) * 4 * c->steps * c->batch;
    b->run = likelihood_run;
}
