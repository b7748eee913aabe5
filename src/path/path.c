/* path/path.c - conditional paths and their velocities. */
#include "path/path.h"

#include "graph/node.h"

static tw_val affine_point(const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t)
{
    tw_val column = tw_expand_dim(t, 1);
    return tw_add(tw_mul(tw_schedule_alpha(schedule, column), x1), tw_mul(tw_schedule_sigma(schedule, column), x0));
}

static tw_val encoder_decoder_point(const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t)
{
    const double pi = 3.14159265358979323846;
    tw_val column = tw_expand_dim(t, 1), early = tw_lt(column, tw_full_like(column, 0.5));
    (void)schedule;
    return tw_mul(tw_square(tw_cos(tw_muls(column, pi))), tw_select(early, x0, x1));
}

static const tw_path paths[] = {
#define TW_PATH(name, about, source) {{#name, about, source, NULL}, name##_point},
#include "path/paths.def"
};

const tw_piece_info *tw_path_list(int index)
{
    return index >= 0 && index < TW_COUNT(paths) ? &paths[index].info : NULL;
}

void tw_path_at(const tw_path *path, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t, tw_val *out_xt,
                tw_val *out_ut)
{
    tw_val point = path->point(schedule, x0, x1, t);
    *out_xt = *out_ut = TW_NONE;
    if (!tw_is_none(point) && tw_slopes(t, 1, &point, out_ut)) *out_xt = point;
}
