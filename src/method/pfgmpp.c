/* method/pfgmpp.c - PFGM++: the data as charges in N + D dimensions, of whose field only the distance r in the D extra
 * ones is followed (Xu et al. 2023, PFGM++: unlocking the potential of physics-inspired generative models). With r =
 * sigma sqrt(D) it is EDM in all but the noise: that is Student's t with D degrees of freedom (space/student.c), and
 *
 *   dx/dsigma = (x - E[y | x, sigma]) / sigma                                       (ibid., eq. 4 and 11)
 *
 * which is the velocity of the affine path whatever the law of its noise. D to infinity is EDM. */
#include "method/method.h"

static tw_val row_loss(const tw_model *model, const tw_draws *draws)
{
    return tw_method_fm.row_loss(model, draws);
}

static double freedom(const tw_piece *method)
{
    return method->value[0];
}

const tw_method_rules tw_method_pfgmpp = {
    .defaults = {.source = "student", .schedule = "edm", .predict = "v", .time_density = "skewed"},
    .source_parameter = freedom,
    .row_loss = row_loss};
