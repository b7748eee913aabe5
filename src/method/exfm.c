/* method/exfm.c - explicit flow matching (Ryzhakov et al. 2024, Explicit flow matching: on the theory of flow matching
 * algorithms with applications; the same of scores: Xu, Tong, Jaakkola 2023, Stable target field): the network
 * regresses not the velocity of one path but the mean over the paths to all data x_j, or all of the batch where they
 * are many (method/kernels.h), that lead through the point,
 *
 *   u(x, t) = sum_j w_j u(x | x_j),   w_j ~ p_t(x | x_j),   x = x_t of one of them
 *
 * Its minimiser is flow matching's, over batches, too, as these are as likely to have led to x as their x_j are; the
 * target has less noise, of few data none. Paths are those of path/contraction.h, which end as kernels around the data
 * of a width s = w, `width` or by `smooth` each row's own (train/widths.h), so that few data are not learned by heart.
 * At t all that is still to be gone is about as far as width^t, and the network says velocities in shares of that:
 * errors count alike at all scales. */
#include "method/kernels.h"
#include "path/contraction.h"

#include <math.h>

enum { WIDTH }; /* parameter */

/* width^t, or with a sign of -1 one over it, (B,1). */
static tw_val scale(const tw_model *model, tw_val t, double sign)
{
    return tw_is_none(t) ? t : tw_exp(tw_muls(tw_expand_dim(t, 1), sign * log(model->method->value[WIDTH])));
}

static tw_val velocity(const tw_model *model, tw_val x, tw_val t)
{
    return tw_mul(tw_model_predict(model, x, t), scale(model, t, 1));
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    const tw_space *space = model->space;
    tw_kernels k = tw_kernels_at(d, d->t, model->method->value[WIDTH]);
    tw_val x = tw_contraction_point(space, d->x0, d->x1, k.own, d->x0); /* no shares, which want normal numbers */
    tw_val share = tw_softmax(tw_contraction_log_density(space, x, k.data, k.s), 1);
    tw_val target = tw_contraction_towards(space, x, k.data, tw_mul(share, tw_neg(k.log_width)));
    return tw_is_none(target) ? TW_NONE : tw_model_regress(model, x, d->t, tw_mul(target, scale(model, d->t, -1)));
}

const tw_method_rules tw_method_exfm = {.everywhere = true,
                                        .velocity_only = true,
                                        .own_path = true,
                                        .covers = tw_contraction_moves,
                                        .takes = "numbers, angles and unit vectors",
                                        .row_loss = row_loss,
                                        .velocity = velocity};
