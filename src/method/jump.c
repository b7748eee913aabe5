/* method/jump.c - generator matching of jumps and a flow on R^D (Holderrieth et al. 2024, Generator matching): one
 * network tells the velocity and, of every coordinate by itself given all of them, how often it jumps and how far. Either
 * process has the marginals of the straight path from a normal source, and so has any superposition of their generators,
 * whose share is chosen when sampling (solve/superposition.h).
 *
 *   loss(row) = distance(v, dx_t/dt) + mean over coordinates  q - k log q - k sum_b J_b log p_b
 *
 * k, J: intensity and law of the jumps to x_1 (path/jump_kernel.h); q, p: what the network says. The second part is the
 * generalised Kullback-Leibler divergence of the rates q p_b from k J_b, up to what no network changes: a Bregman
 * divergence, whose gradient is that of the marginal rates (ibid., proposition 2). */
#include "method/method.h"

#include "path/jump_kernel.h"

enum { VELOCITY, INTENSITY, LENGTHS, HEADS = LENGTHS + TW_JUMP_BINS };

typedef struct heads {
    tw_val velocity, intensity; /* (B,D) */
    tw_val lengths;             /* logits (B,D,TW_JUMP_BINS) */
} heads;

static heads ask(const tw_model *model, tw_val x, tw_val t)
{
    tw_val y = tw_model_predict(model, x, t);
    if (tw_is_none(y)) return (heads){TW_NONE, TW_NONE, TW_NONE};
    int64_t columns = tw_last_dim(y) / HEADS;
    tw_val lengths = tw_slice(y, 1, LENGTHS * columns, HEADS * columns);
    return (heads){.velocity = tw_model_head(y, HEADS, VELOCITY),
                   .intensity = tw_softplus(tw_model_head(y, HEADS, INTENSITY)),
                   .lengths = tw_reshape(lengths, tw_shape_of(tw_dim(y, 0), columns, TW_JUMP_BINS))};
}

/* Of jumps that stand at u = x_0, the draw of the source, and go to x_1. */
static tw_val loss_of_jumps(const tw_draws *d, const heads *said)
{
    const double least = 1e-9; /* a logarithm's argument, far below any intensity that matters */
    tw_val rate = tw_jump_kernel_intensities(d->x0, d->x1), mass = tw_jump_kernel_masses_of(d->x0, d->x1);
    tw_val entropy = tw_neg(tw_sum_axis(tw_mul(mass, tw_log_softmax(said->lengths, 2)), 2));
    tw_val missed = tw_sub(entropy, tw_log(tw_adds(said->intensity, least)));
    return tw_mean_axis(tw_add(said->intensity, tw_mul(rate, missed)), 1);
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt, ut;
    tw_path_at(model->path, model->space, model->schedule, d->x0, d->x1, d->t, &xt, &ut);
    if (tw_is_none(xt)) return TW_NONE;
    heads said = ask(model, xt, d->t);
    if (tw_is_none(said.velocity)) return TW_NONE;
    return tw_add(tw_model_loss(model, d->t, said.velocity, ut), loss_of_jumps(d, &said));
}

static tw_val velocity(const tw_model *model, tw_val x, tw_val t)
{
    return tw_model_head(tw_model_predict(model, x, t), HEADS, VELOCITY);
}

static tw_val jumps(const tw_model *model, tw_val x, tw_val t)
{
    heads said = ask(model, x, t);
    if (tw_is_none(said.velocity)) return TW_NONE;
    int64_t rows = tw_dim(said.velocity, 0), lengths = tw_last_dim(said.velocity) * TW_JUMP_BINS;
    tw_val flat = tw_reshape(said.lengths, tw_shape_of(rows, lengths));
    return tw_concat(1, 3, (const tw_val[]){said.velocity, said.intensity, flat});
}

const tw_method_rules tw_method_jump = {
    .velocity_only = true, .heads = HEADS, .row_loss = row_loss, .velocity = velocity, .jumps = jumps};
