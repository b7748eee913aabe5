/* method/pfgmpp.c - PFGM++: the data as charges in N + D dimensions, of whose field only the distance r in the D extra
 * ones is followed (Xu et al. 2023, PFGM++: unlocking the potential of physics-inspired generative models). With r =
 * sigma sqrt(D) it is EDM in all but the noise: that is Student's t with D degrees of freedom (space/student.c), and
 *
 *   dx/dsigma = (x - E[y | x, sigma]) / sigma                                       (ibid., eq. 4 and 11)
 *
 * which is the velocity of the affine path whatever the law of its noise. D to infinity is EDM.
 *
 * For small D far points make the mean of squares heavy-tailed, for D <= 2 without end. Rows are weighted by
 * 2 / (1 + |c_in x_t|^2 / N), about 1 for points of usual size: a function of what the network sees changes how errors
 * count, not what is best. */
#include "method/method.h"

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    tw_val xt, ut, loss = tw_method_fm.row_loss(model, d);
    tw_path_at(model->path, model->space, model->schedule, d->x0, d->x1, d->t, &xt, &ut);
    if (tw_is_none(loss) || tw_is_none(xt)) return TW_NONE;
    tw_val alpha = tw_schedule_alpha(model->schedule, d->t), sigma = tw_schedule_sigma(model->schedule, d->t);
    tw_val usual = tw_add(tw_square(alpha), tw_square(sigma));
    tw_val square = tw_div(tw_mean_axis(tw_square(xt), 1), usual);
    return tw_muls(tw_div(loss, tw_adds(square, 1)), 2);
}

static double freedom(const tw_piece *method)
{
    return method->value[0];
}

const tw_method_rules tw_method_pfgmpp = {
    .defaults = {.source = "student", .schedule = "edm", .predict = "v", .time_density = "skewed"},
    .source_parameter = freedom,
    .row_loss = row_loss};
