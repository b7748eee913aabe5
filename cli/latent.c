/* latent.c - see latent.h. */
#include "latent.h"

#include <thalweg/sde.h>

#include <math.h>
#include <string.h>

enum { WIDTH = 64, STREAM_START = 1, STREAM_POSTERIOR, STREAM_PRIOR, STREAM_PRIOR_START };

static tw_scope root(const latent *m)
{
    return tw_scope_root(m->params);
}

static tw_val normal(const latent *m, uint32_t stream, tw_shape shape)
{
    return tw_bits_to_normal(tw_random_bits(m->key, m->counter, stream, shape), TW_DTYPE_F32);
}

/* Differences of observations, and from them, in units that a network likes. */
static tw_val eased(const latent *m, tw_val difference)
{
    return tw_muls(difference, 0.1 / m->desc.noise);
}

/* --- the fields --------------------------------------------------------------------------------------------------- */

static tw_val diffusion_scale(const latent *m)
{
    int64_t scales = m->desc.geometric ? 1 : m->desc.columns;
    return tw_exp(tw_adds(tw_param(root(m), "diffusion", tw_shape_of(scales), TW_INIT_ZERO, 0), -1.5));
}

static tw_val prior_drift(const latent *m, tw_val z)
{
    tw_scope scope = tw_in(root(m), "prior");
    if (m->desc.geometric) return tw_mul(z, tw_param(scope, "growth", tw_shape_of(1), TW_INIT_ZERO, 0));
    tw_val hidden = tw_dense(tw_in(scope, "in"), z, WIDTH, tw_silu);
    hidden = tw_dense(tw_in(scope, "middle"), hidden, WIDTH, tw_silu);
    return tw_muls(tw_linear(tw_in(scope, "out"), hidden, m->desc.columns), 10);
}

static tw_val diffusion_at(const latent *m, tw_val z)
{
    tw_val scale = diffusion_scale(m);
    return m->desc.geometric ? tw_mul(z, scale) : tw_broadcast_to(scale, tw_shape_at(z));
}

/* Two corrections of the bridge for each column, zero in the beginning. */
static tw_val corrections(const latent *m, tw_val z, tw_val ahead, tw_val further, tw_val left)
{
    tw_scope scope = tw_in(root(m), "posterior");
    tw_val share = tw_broadcast_to(tw_muls(left, 1 / m->desc.interval), tw_shape_of(tw_dim(z, 0), 1));
    tw_val seen[] = {z, eased(m, tw_sub(ahead, z)), eased(m, tw_sub(further, ahead)), share};
    tw_val hidden = tw_dense(tw_in(scope, "in"), tw_concat(1, 4, seen), WIDTH, tw_silu);
    hidden = tw_dense(tw_in(scope, "middle"), hidden, WIDTH, tw_silu);
    return tw_linear_init(tw_in(scope, "out"), hidden, 2 * m->desc.columns, TW_INIT_ZERO, 0);
}

/* given: the observation ahead, the one behind it, and the time left to the first. */
static void both_fields(void *user, tw_val t, tw_val z, const tw_val *given, tw_sde_fields *out)
{
    const latent *m = user;
    int64_t columns = m->desc.columns;
    tw_val h = prior_drift(m, z), s = diffusion_at(m, z), left = given[2];
    (void)t;
    *out = (tw_sde_fields){.drift = h, .diffusion = s, .other_drift = h};
    if (m->desc.coincide) return;
    tw_val by = corrections(m, z, given[0], given[1], left);
    tw_val odds = tw_muls(tw_mul(tw_square(s), left), 1 / (m->desc.noise * m->desc.noise));
    tw_val w = tw_sigmoid(tw_add(tw_log(tw_adds(odds, 1e-8)), tw_slice(by, 1, 0, columns)));
    tw_val bridge = tw_sub(tw_div(tw_sub(given[0], z), left), h);
    out->drift = tw_add(tw_add(h, tw_mul(w, bridge)), tw_mul(s, tw_slice(by, 1, columns, 2 * columns)));
}

static void prior_fields(void *user, tw_val t, tw_val z, const tw_val *given, tw_sde_fields *out)
{
    const latent *m = user;
    (void)t, (void)given;
    *out = (tw_sde_fields){.drift = prior_drift(m, z), .diffusion = diffusion_at(m, z), .other_drift = TW_NONE};
}

/* --- the bound ---------------------------------------------------------------------------------------------------- */

/* Where a series begins: a normal distribution for all, and one for each that has seen the first observations. */
typedef struct start {
    tw_val mean, log_deviation;
} start;

static start prior_start(const latent *m)
{
    tw_scope scope = tw_in(root(m), "start");
    tw_shape shape = tw_shape_of(m->desc.columns);
    return (start){.mean = tw_param(scope, "mean", shape, TW_INIT_ZERO, 0),
                   .log_deviation = tw_param(scope, "log_deviation", shape, TW_INIT_ZERO, 0)};
}

static tw_val observed(const latent *m, int64_t from, int64_t count)
{
    return tw_slice(m->y, 0, from, from + count);
}

static tw_val one_observed(const latent *m, int64_t i)
{
    return tw_reshape(observed(m, i, 1), tw_shape_of(m->desc.rows, m->desc.columns));
}

static start posterior_start(const latent *m)
{
    tw_scope scope = tw_in(root(m), "start");
    int64_t columns = m->desc.columns;
    tw_val y[3] = {one_observed(m, 0), one_observed(m, 1), one_observed(m, 2)};
    tw_val seen[] = {y[0], eased(m, tw_sub(y[1], y[0])), eased(m, tw_sub(y[2], y[1]))};
    tw_val hidden = tw_dense(tw_in(scope, "in"), tw_concat(1, 3, seen), WIDTH, tw_silu);
    tw_val out = tw_linear_init(tw_in(scope, "out"), hidden, 2 * columns, TW_INIT_ZERO, 0);
    return (start){.mean = tw_add(y[0], tw_muls(tw_slice(out, 1, 0, columns), m->desc.noise)),
                   .log_deviation = tw_adds(tw_slice(out, 1, columns, 2 * columns), log(m->desc.noise))};
}

static tw_val start_divergence(start q, start p)
{
    tw_val ratio = tw_sub(q.log_deviation, p.log_deviation);
    tw_val apart = tw_mul(tw_sub(q.mean, p.mean), tw_exp(tw_neg(p.log_deviation)));
    tw_val twice = tw_sub(tw_add(tw_square(apart), tw_exp(tw_muls(ratio, 2))), tw_muls(ratio, 2));
    return tw_muls(tw_sum_axis(tw_adds(twice, -1), 1), 0.5);
}

/* Each interval's row for all of its steps. */
static tw_val for_substeps(const latent *m, tw_val rows)
{
    const latent_desc *d = &m->desc;
    tw_shape all = tw_shape_of(d->intervals, d->substeps, d->rows, d->columns);
    return tw_reshape(tw_broadcast_to(tw_expand_dim(rows, 1), all),
                      tw_shape_of(d->intervals * d->substeps, d->rows, d->columns));
}

/* What the steps are told. */
static void tell(const latent *m, tw_val given[3])
{
    const latent_desc *d = &m->desc;
    tw_val last = observed(m, d->intervals, 1);
    given[0] = for_substeps(m, observed(m, 1, d->intervals));
    given[1] = for_substeps(m, tw_concat2(0, observed(m, 2, d->intervals - 1), last));
    tw_val within = tw_iota(m->graph, TW_DTYPE_F32, tw_shape_of(d->intervals, d->substeps), 1);
    tw_val left = tw_adds(tw_muls(within, -d->interval / d->substeps), d->interval);
    given[2] = tw_reshape(left, tw_shape_of(d->intervals * d->substeps, 1));
}

static void write_bound(latent *m)
{
    const latent_desc *d = &m->desc;
    int64_t steps = d->intervals * d->substeps;
    start q = posterior_start(m), p = prior_start(m);
    tw_val given[3], path, divergence;
    tw_val begin =
        tw_add(q.mean, tw_mul(tw_exp(q.log_deviation), normal(m, STREAM_START, tw_shape_of(d->rows, d->columns))));
    tell(m, given);
    const tw_sde_unroll_desc desc = {.t1 = (double)d->intervals * d->interval,
                                     .steps = (int)steps,
                                     .given_count = 3,
                                     .given = given,
                                     .fields = both_fields,
                                     .user = m};
    tw_sde_unroll(m->graph, &desc, begin, normal(m, STREAM_POSTERIOR, tw_shape_of(steps, d->rows, d->columns)), &path,
                  &divergence);
    path = tw_reshape(path, tw_shape_of(d->intervals, d->substeps, d->rows, d->columns));
    path = tw_reshape(tw_slice(path, 1, d->substeps - 1, d->substeps), tw_shape_of(d->intervals, d->rows, d->columns));
    m->states = tw_concat2(0, tw_expand_dim(begin, 0), path);
    tw_val misfit = tw_muls(tw_sum_all(tw_square(tw_sub(m->y, m->states))), 0.5 / (d->noise * d->noise));
    tw_val apart = tw_add(tw_sum_all(divergence), tw_sum_all(start_divergence(q, p)));
    tw_val whole = tw_add(misfit, tw_mul(apart, m->weight));
    m->loss = tw_muls(whole, 1 / (double)((d->intervals + 1) * d->rows * d->columns));
    m->divergence = tw_mean_all(divergence);
    m->diffusion = diffusion_scale(m);
}

tw_status latent_open(tw_context *ctx, const latent_desc *desc, latent *m)
{
    tw_status status = TW_OK;
    *m = (latent){.desc = *desc, .ctx = ctx};
    TW_TRY(tw_graph_create(ctx, &m->graph));
    TW_TRY(tw_params_create(ctx, m->graph, TW_DTYPE_F32, &m->params));
    m->y = tw_input(m->graph, "y", TW_DTYPE_F32, tw_shape_of(desc->intervals + 1, desc->rows, desc->columns));
    m->key = tw_input(m->graph, "key", TW_DTYPE_U32, tw_shape_of(2));
    m->counter = tw_input(m->graph, "counter", TW_DTYPE_U32, tw_shape_of(2));
    m->weight = tw_input(m->graph, "weight", TW_DTYPE_F32, TW_SCALAR);
    write_bound(m);
    TW_TRY(tw_graph_check(m->graph));
done:
    return status;
}

void latent_close(latent *m)
{
    tw_params_destroy(m->params);
    tw_graph_destroy(m->graph);
}

/* --- what is learned ---------------------------------------------------------------------------------------------- */

tw_val latent_prior(latent *m, int64_t rows, int steps)
{
    const latent_desc *d = &m->desc;
    start p = prior_start(m);
    tw_val states = TW_NONE;
    tw_val begin =
        tw_add(p.mean, tw_mul(tw_exp(p.log_deviation), normal(m, STREAM_PRIOR_START, tw_shape_of(rows, d->columns))));
    const tw_sde_unroll_desc desc = {
        .t1 = steps * d->interval / d->substeps, .steps = steps, .fields = prior_fields, .user = m};
    tw_sde_unroll(m->graph, &desc, begin, normal(m, STREAM_PRIOR, tw_shape_of(steps, rows, d->columns)), &states, NULL);
    return states;
}

tw_status latent_evaluate(const latent *m, tw_val value, const float *weights, const float *y, uint64_t seed,
                          float *out)
{
    enum { HEAD = 3 };
    tw_context *ctx = m->ctx;
    int n = tw_params_count(m->params), count = n + HEAD + (y ? 1 : 0);
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)}, counter[2] = {UINT32_MAX, UINT32_MAX};
    const float weight = 1;
    tw_program *program = NULL;
    tw_state *state = NULL;
    tw_status status = TW_OK;
    tw_val *inputs = tw_alloc(ctx, (size_t)count, sizeof *inputs);
    const void **from = tw_alloc(ctx, (size_t)count, sizeof *from);
    if (!inputs || !from) TW_TRY(tw_fail_memory(ctx, (size_t)count * sizeof *inputs));
    for (int i = 0; i < n; i++) {
        inputs[i] = tw_params_value(m->params, i);
        from[i] = weights + tw_params_offset(m->params, i);
    }
    const tw_val head[] = {m->key, m->counter, m->weight, m->y};
    const void *of_head[] = {key, counter, &weight, y};
    memcpy(inputs + n, head, (size_t)(count - n) * sizeof *head);
    memcpy(from + n, of_head, (size_t)(count - n) * sizeof *of_head);
    TW_TRY(tw_program_compile(ctx,
                              &(tw_program_desc){.name = "a latent equation",
                                                 .inputs_count = count,
                                                 .inputs = inputs,
                                                 .outputs_count = 1,
                                                 .outputs = &value},
                              &program));
    TW_TRY(tw_state_create(program, 0, &state));
    TW_TRY(tw_program_run(state, from, (void *[]){out}, 0));
done:
    tw_state_destroy(state);
    tw_program_destroy(program);
    tw_free(ctx, inputs);
    tw_free(ctx, from);
    return status;
}
