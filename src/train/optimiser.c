/* train/optimiser.c - see optimiser.h. */
#include "train/optimiser.h"

#include "base/text.h"

#include <math.h>
#include <thalweg/train.h>

#include <string.h>

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

/* --- the rules --- */

/* Algorithm 2 of the paper, first and second moments corrected for their start at zero. */
static tw_val tw_direction_adamw(const tw_update *u, const tw_moments *old, tw_val g, tw_moments *new)
{
    new->first = blend(old->first, g, u->beta1);
    new->second = blend(old->second, tw_square(g), u->beta2);
    return tw_div(tw_mul(new->first, u->correction1),
                  tw_adds(tw_sqrt(tw_mul(new->second, u->correction2)), u->epsilon));
}

/* v = beta1 v + g */
static tw_val tw_direction_sgd(const tw_update *u, const tw_moments *old, tw_val g, tw_moments *new)
{
    return new->first = tw_add(tw_muls(old->first, u->beta1), g);
}

/* The gradient and the momentum after it: where the weights are going. */
static tw_val tw_direction_nesterov(const tw_update *u, const tw_moments *old, tw_val g, tw_moments *new)
{
    new->first = tw_add(tw_muls(old->first, u->beta1), g);
    return tw_add(g, tw_muls(new->first, u->beta1));
}

/* Algorithm 2 of the paper: the step looks back by beta1, the memory by beta2. */
static tw_val tw_direction_lion(const tw_update *u, const tw_moments *old, tw_val g, tw_moments *new)
{
    new->first = blend(old->first, g, u->beta2);
    return tw_sign(blend(old->first, g, u->beta1));
}

/* --- the table --- */

static const tw_optimiser optimisers[] = {
#define TW_OPTIMISER(name_, rule_, moments_, bits_, lr_, beta1_, beta2_, weight_decay_, about_, source_)               \
    {.name = #name_,                                                                                                   \
     .about = about_,                                                                                                  \
     .source = source_,                                                                                                \
     .moments = moments_,                                                                                              \
     .bits = bits_,                                                                                                    \
     .lr = lr_,                                                                                                        \
     .beta1 = beta1_,                                                                                                  \
     .beta2 = beta2_,                                                                                                  \
     .weight_decay = weight_decay_,                                                                                    \
     .direction = tw_direction_##rule_},
#include "train/optimisers.def"
};

float tw_update_correction(double beta, int64_t number)
{
    return (float)(1 / -expm1((double)number * log(beta)));
}

const tw_optimiser *tw_optimiser_at(int index)
{
    return index >= 0 && index < TW_COUNT(optimisers) ? &optimisers[index] : NULL;
}

const tw_optimiser_info *tw_optimiser_list(int index)
{
    static const tw_optimiser_info list[] = {
#define TW_OPTIMISER(name_, rule_, moments_, bits_, lr_, beta1_, beta2_, weight_decay_, about_, source_)               \
    {#name_, about_, source_},
#include "train/optimisers.def"
    };
    return index >= 0 && index < TW_COUNT(list) ? &list[index] : NULL;
}

tw_status tw_optimiser_find(tw_context *ctx, const char *name, const tw_optimiser **out_optimiser)
{
    const char *names[TW_COUNT(optimisers)];
    *out_optimiser = &optimisers[0];
    if (!name || !name[0]) return TW_OK;
    for (int i = 0; i < TW_COUNT(optimisers); i++) {
        names[i] = optimisers[i].name;
        if (strcmp(names[i], name) != 0) continue;
        *out_optimiser = &optimisers[i];
        return TW_OK;
    }
    const char *near = tw_nearest_name(name, names, TW_COUNT(optimisers));
    return tw_fail(ctx, TW_ERR_INVALID, "there is no optimiser called %.60s%s%s%s", name, near ? ": did you mean " : "",
                   near ? near : "", near ? "?" : "");
}

/* --- the update --- */

tw_val tw_optimiser_state(const tw_optimiser *optimiser, const char *name, tw_val weight)
{
    tw_shape shape = tw_shape_at(weight);
    bool coded = optimiser->bits == 8 && tw_moment8_fits(shape);
    return tw_input(weight.graph, name, coded ? TW_DTYPE_U32 : tw_dtype_at(weight),
                    coded ? tw_moment8_shape(shape) : shape);
}

/* A moment as numbers, and back to what it is kept as. */
static tw_val read_moment(const tw_update *u, int which, tw_val kept, tw_val weight)
{
    bool coded = !tw_is_none(kept) && tw_dtype_at(kept) == TW_DTYPE_U32;
    return coded ? tw_moment8_read(&u->coded[which], kept, weight) : kept;
}

static tw_val keep_moment(const tw_update *u, int which, tw_val new, tw_val kept)
{
    if (tw_is_none(kept)) return TW_NONE;
    bool coded = tw_dtype_at(kept) == TW_DTYPE_U32;
    return tw_select(u->go, coded ? tw_moment8_keep(&u->coded[which], new) : new, kept);
}

tw_moments tw_optimiser_update(const tw_optimiser *optimiser, const tw_update *u, tw_moments old, tw_val gradient)
{
    tw_moments new = {.weight = TW_NONE, .first = TW_NONE, .second = TW_NONE, .average = TW_NONE}, plain = old;
    plain.first = read_moment(u, 0, old.first, old.weight);
    plain.second = read_moment(u, 1, old.second, old.weight);
    tw_val direction = optimiser->direction(u, &plain, tw_mul(gradient, u->scale), &new);
    if (tw_shape_at(old.weight).rank > 1 && u->weight_decay != 0)
        direction = tw_add(direction, tw_muls(old.weight, u->weight_decay));
    tw_val weight = tw_sub(old.weight, tw_mul(direction, u->rate));
    tw_val average = tw_add(weight, tw_mul(tw_sub(old.average, weight), u->average));
    new.weight = tw_select(u->go, weight, old.weight);
    new.average = tw_select(u->go, average, old.average);
    new.first = keep_moment(u, 0, new.first, old.first);
    new.second = keep_moment(u, 1, new.second, old.second);
    return new;
}
