/* method/dfm.c - discrete flow matching: the network says which x_1 a token at x_t goes to, p_{1|t}, and the chain's
 * rates are the mean of the path's over it (Gat et al. 2024, Discrete flow matching, eq. 24; Campbell et al. 2024;
 * general paths: Shaul et al. 2024).
 *
 *   cross_entropy    -log p(x_1 | x_t)
 *   generalised_kl   tau'(t) (1 - p(x_1 | x_t)) where x_t = x_1, tau'(t) (-p(x_t | x_t) - log p(x_1 | x_t)) elsewhere:
 * a bound on -log p(x_1) (Lou, Meng, Ermon 2024, eq. 5; Lipman et al. 2024, eq. 7.30)
 *
 * both as means over the tokens. A token that a mask has left is what it is: only masked ones count then. */
#include "method/method.h"

#include "graph/node.h"
#include "path/token_path.h"

/* x_t by the noise of the row, whose normal numbers are made uniform. */
static tw_val point(const tw_model *model, const tw_draws *d)
{
    tw_val uniform = tw_normal_share_rows(d->z);
    return tw_token_point(model->tokens, d->x0, d->x1, d->t, uniform);
}

/* Which tokens count (B,T), in the network's numbers. */
static tw_val masked(const tw_token_path *path, tw_val xt)
{
    if (tw_is_none(xt)) return xt;
    return tw_cast(tw_ge(xt, tw_full_like(xt, path->symbols)), tw_dtype_at(xt));
}

/* p(x_t | x_t), 0 for a mask. */
static tw_val own_probability(tw_val logits, tw_val xt)
{
    tw_val index = tw_cast(xt, TW_DTYPE_I32);
    return tw_exp(tw_neg(tw_cross_entropy(logits, index, -1)));
}

/* The network's, and what each token says of itself. */
static tw_val logits_of(const tw_model *model, tw_val x, tw_val t)
{
    tw_val evidence = tw_token_evidence(model->tokens, x, t);
    tw_val logits = model->network(model->user, x, t);
    return tw_is_none(evidence) ? logits : tw_add(logits, evidence);
}

static tw_val entropy_of(const tw_draws *d, tw_val logits)
{
    return tw_cross_entropy(logits, tw_cast(d->x1, TW_DTYPE_I32), -1);
}

tw_val tw_token_loss_cross_entropy(const tw_model *model, const tw_draws *d, tw_val xt, tw_val logits)
{
    const tw_token_path *path = model->tokens;
    tw_val entropy = entropy_of(d, logits);
    return path->states > path->symbols && path->noise == 0 ? tw_mul(entropy, masked(path, xt)) : entropy;
}

tw_val tw_token_loss_generalised_kl(const tw_model *model, const tw_draws *d, tw_val xt, tw_val logits)
{
    const tw_token_path *path = model->tokens;
    const double largest = 1e4; /* of the pace, which is unbounded at t = 1 */
    tw_val pace = tw_token_pace_at(path, d->t), entropy = entropy_of(d, logits);
    pace = tw_expand_dim(tw_min(pace, tw_full_like(pace, largest)), 1);
    if (path->states > path->symbols) return tw_mul(pace, tw_mul(entropy, masked(path, xt)));
    tw_val own = own_probability(logits, xt), arrived = tw_eq(xt, d->x1);
    return tw_mul(pace, tw_select(arrived, tw_adds(tw_neg(own), 1), tw_sub(entropy, own)));
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt = point(model, d);
    if (tw_is_none(xt)) return TW_NONE;
    return tw_mean_axis(tw_model_token_loss(model, d, xt, logits_of(model, xt, d->t)), 1);
}

const tw_method_rules tw_method_dfm = {
    .defaults = {.source = "mask", .path = "mixture", .loss = "cross_entropy"},
    .noise = 1,
    .tokens = true,
    .logits = logits_of,
    .row_loss = row_loss,
};
