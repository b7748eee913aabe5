/* path/path.c - conditional paths and their velocities. */
#include "path/path.h"

#include "graph/node.h"

static tw_val affine_point(const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t)
{
    (void)space;
    tw_val column = tw_expand_dim(t, 1);
    return tw_add(tw_mul(tw_schedule_alpha(schedule, column), x1), tw_mul(tw_schedule_sigma(schedule, column), x0));
}

static tw_val encoder_decoder_point(const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t)
{
    const double pi = 3.14159265358979323846;
    tw_val column = tw_expand_dim(t, 1), early = tw_lt(column, tw_full_like(column, 0.5));
    (void)schedule, (void)space;
    return tw_mul(tw_square(tw_cos(tw_muls(column, pi))), tw_select(early, x0, x1));
}

/* alpha / (alpha + sigma) of the way (B,1), which is t for condot. */
static tw_val share_of(const tw_schedule *schedule, tw_val t)
{
    tw_val column = tw_expand_dim(t, 1), alpha = tw_schedule_alpha(schedule, column);
    return tw_div(alpha, tw_add(alpha, tw_schedule_sigma(schedule, column)));
}

static tw_val geodesic_point(const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t)
{
    return tw_space_between(space, x0, x1, share_of(schedule, t));
}

static void premetric_at(const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t,
                         tw_val *out_xt, tw_val *out_ut)
{
    tw_val share = share_of(schedule, t), slope, velocity;
    *out_xt = *out_ut = TW_NONE;
    if (tw_is_none(share) || !tw_slopes(t, 1, &share, &slope)) return;
    tw_premetric_rows(space->factor[0].premetric, x0, x1, share, out_xt, &velocity);
    if (!tw_is_none(velocity)) *out_ut = tw_mul(velocity, slope);
}

static const tw_path paths[] = {
#define TW_PATH(name, everywhere_, about, source)                                                                      \
    {.info = {#name, about, source, NULL}, .point = name##_point, .everywhere = everywhere_},
#define TW_PREMETRIC_PATH(name, kind, about, source, parameters)                                                       \
    {.info = {#name, about, source, parameters}, .premetric = true, .spectral = TW_SPECTRAL_##kind},
#define TW_TOKEN_PATH(name, about, source, parameters) {.info = {#name, about, source, parameters}, .tokens = true},
#define TW_SEQUENCE_PATH(name, alignment_, about, source)                                                              \
    {.info = {#name, about, source, NULL}, .sequences = true, .alignment = alignment_},
#include "path/paths.def"
};

const tw_piece_info *tw_path_list(int index)
{
    return index >= 0 && index < TW_COUNT(paths) ? &paths[index].info : NULL;
}

void tw_path_at(const tw_path *path, const tw_space *space, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t,
                tw_val *out_xt, tw_val *out_ut)
{
    if (path->premetric) {
        premetric_at(space, schedule, x0, x1, t, out_xt, out_ut);
        return;
    }
    tw_val point = path->point(space, schedule, x0, x1, t);
    *out_xt = *out_ut = TW_NONE;
    if (!tw_is_none(point) && tw_slopes(t, 1, &point, out_ut)) *out_xt = point;
}
