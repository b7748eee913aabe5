/* train/optimiser.c - see optimiser.h. */
#include "train/optimiser.h"

tw_val tw_square_of_all(int count, const tw_val *gradients)
{
    tw_val square = TW_NONE;
    for (int i = 0; i < count; i++) {
        tw_val own = tw_sum_all(tw_square(gradients[i]));
        square = i == 0 ? own : tw_add(square, own);
    }
    return square;
}

tw_val tw_clip_scale(tw_val square, double clip)
{
    if (clip < 0) return tw_ones_like(square);
    /* the small number keeps a gradient of zero from dividing by zero and is far below f32 resolution elsewhere */
    tw_val norm = tw_sqrt(tw_adds(square, 1e-30));
    return tw_min(tw_ones_like(square), tw_muls(tw_div(tw_ones_like(norm), norm), clip));
}

/* rate x old + (1 - rate) x new, written so that equal arguments come back unchanged */
static tw_val blend(tw_val old, tw_val new, double rate)
{
    return tw_add(old, tw_muls(tw_sub(new, old), 1 - rate));
}

tw_moments tw_adamw_update(const tw_adamw *a, tw_moments old, tw_val gradient)
{
    tw_val g = tw_mul(gradient, a->scale);
    tw_val first = blend(old.first, g, a->beta1);
    tw_val second = blend(old.second, tw_square(g), a->beta2);
    tw_val direction =
        tw_div(tw_mul(first, a->correction1), tw_adds(tw_sqrt(tw_mul(second, a->correction2)), a->epsilon));
    if (tw_shape_at(old.weight).rank > 1 && a->weight_decay != 0)
        direction = tw_add(direction, tw_muls(old.weight, a->weight_decay));
    tw_val weight = tw_sub(old.weight, tw_mul(direction, a->rate));
    tw_val average = tw_add(weight, tw_mul(tw_sub(old.average, weight), a->average));
    return (tw_moments){.weight = tw_select(a->go, weight, old.weight),
                        .first = tw_select(a->go, first, old.first),
                        .second = tw_select(a->go, second, old.second),
                        .average = tw_select(a->go, average, old.average)};
}
