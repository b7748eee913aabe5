/* method/dirichlet.c - flow matching of shares along Dirichlet laws (Stark, Jing, Wang, Corso, Berger, Barzilay,
 * Jaakkola 2024, Dirichlet flow matching with applications to DNA sequence design).
 *
 * A point goes straight from x_0 to x_1, and how far it still has to go is drawn, too:
 *
 *   x_t = r x_0 + (1 - r) x_1,   r ~ Beta(n, kappa),   kappa = scale n (alpha / sigma)^2
 *
 * Where x_0 is uniform (source 'shares') and x_1 a corner, x_t has the Dirichlet law 1 + kappa x_1, the paper's path: a
 * Dirichlet law of the sum of two parameters is two of either, mixed by a Beta law (Sethuraman 1994, A constructive
 * definition of Dirichlet priors, lemma 3.1). Straight lines by one clock leave all corners but their own behind, at
 * times that tell which corner it is; this law is nowhere 0 before t = 1. x_1 need be no corner here.
 *
 * r follows a row through time: 1 - r = exp(-sum E_i / (kappa + i)), i < n, with exponential E_i that stay the same, as
 * the logarithm of Beta(kappa, n) is such a sum. The field that is learned, the mean velocity at a place, is that of
 * the laws whatever a row's own way; of a corner it points there, and so is the paper's. */
#include "method/dirichlet.h"

#include "graph/node.h"

static const double least = 1e-4; /* of alpha and sigma: times nearer to the ends have the velocity of no change */

static const double nothing = 1e-14; /* of shares */

/* Roots of shares (B,numbers) of a factor, by the squares of alpha and sigma (B,1). */
static tw_val point_of(const tw_factor *f, const tw_draws *d, tw_val alpha, tw_val sigma, double scale)
{
    int begin = f->number, end = f->number + f->numbers;
    tw_val each = tw_exponential_rows(tw_slice(d->z, 1, begin, end));
    if (tw_is_none(each)) return TW_NONE;
    tw_val i = tw_iota(each.graph, tw_dtype_at(each), tw_shape_at(each), 1);
    tw_val rates = tw_div(tw_mul(each, sigma), tw_add(tw_muls(alpha, scale * f->numbers), tw_mul(i, sigma)));
    tw_val sum = tw_neg(tw_expand_dim(tw_sum_axis(rates, 1), 1)), left = tw_neg(tw_expm1(sum));
    tw_val from = tw_square(tw_slice(d->x0, 1, begin, end)), to = tw_square(tw_slice(d->x1, 1, begin, end));
    tw_val shares = tw_add(tw_mul(left, from), tw_mul(tw_exp(sum), to));
    return tw_sqrt(tw_clamp(shares, nothing, 2)); /* a share that is 0 from begin to end does not move */
}

void tw_dirichlet_at(const tw_model *model, const tw_draws *d, tw_val *out_xt, tw_val *out_ut)
{
    tw_val t = tw_expand_dim(d->t, 1), point = TW_NONE;
    tw_val alpha = tw_square(tw_clamp(tw_schedule_alpha(model->schedule, t), least, 1));
    tw_val sigma = tw_square(tw_clamp(tw_schedule_sigma(model->schedule, t), least, 1));
    *out_xt = *out_ut = TW_NONE;
    for (int i = 0; i < model->space->count; i++) {
        tw_val part = point_of(&model->space->factor[i], d, alpha, sigma, model->method->value[0]);
        point = i == 0 ? part : tw_concat2(1, point, part);
    }
    if (!tw_is_none(point) && tw_slopes(d->t, 1, &point, out_ut)) *out_xt = point;
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt, target;
    tw_dirichlet_at(model, d, &xt, &target);
    return tw_is_none(xt) ? TW_NONE : tw_model_regress(model, xt, d->t, target);
}

const tw_method_rules tw_method_dirichlet = {.defaults = {.source = "shares"},
                                             .noise = 1,
                                             .everywhere = true,
                                             .velocity_only = true,
                                             .covers = tw_space_is_shares,
                                             .takes = "shares",
                                             .row_loss = row_loss};
