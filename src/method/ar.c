/* method/ar.c - autoregression, the other way to draw tokens, to compare with: p(x) = prod_i p(x_i | x_1 ... x_{i-1})
 * (Bengio et al. 2003, A neural probabilistic language model; Vaswani et al. 2017, Attention is all you need).
 *
 * The network, causal, sees the tokens moved by one place, a mask in front, and says of every place what stands there.
 * The loss is the cross-entropy, which is -log p itself and no bound. There is no time: the network is told t = 0, by
 * which its adaptive norms have constant scales. A row on the way is its first tokens and masks behind. */
#include "method/method.h"

#include "graph/node.h"

/* -> logits (B,T,symbols), place i told x before i alone. */
static tw_val logits_of(const tw_model *model, tw_val x, tw_val t)
{
    if (tw_is_none(x)) return x;
    tw_val first = tw_full_like(tw_slice(x, 1, 0, 1), model->tokens->symbols);
    tw_val before = tw_dim(x, 1) > 1 ? tw_concat2(1, first, tw_slice(x, 1, 0, -1)) : first;
    return model->network(model->user, before, tw_zeros_like(t));
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val logits = logits_of(model, d->x1, d->t);
    if (tw_is_none(logits)) return TW_NONE;
    return tw_mean_axis(tw_cross_entropy(logits, tw_cast(d->x1, TW_DTYPE_I32), -1), 1);
}

const tw_method_rules tw_method_ar = {
    .defaults = {.source = "mask", .path = "mixture", .loss = "cross_entropy"},
    .tokens = true,
    .ordered = true,
    .logits = logits_of,
    .row_loss = row_loss,
};
