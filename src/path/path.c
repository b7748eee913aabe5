/* path/path.c - conditional paths and their velocities. */
#include "path/path.h"

static tw_val affine_point(const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t)
{
    tw_val column = tw_expand_dim(t, 1);
    return tw_add(tw_mul(schedule->alpha(column), x1), tw_mul(schedule->sigma(column), x0));
}

static const tw_path paths[] = {
#define TW_PATH(name, about, source) {{#name, about, source}, name##_point},
#include "path/paths.def"
};

const tw_piece_info *tw_path_list(int index)
{
    return index >= 0 && index < TW_COUNT(paths) ? &paths[index].info : NULL;
}

void tw_path_at(const tw_path *path, const tw_schedule *schedule, tw_val x0, tw_val x1, tw_val t, tw_val *out_xt,
                tw_val *out_ut)
{
    tw_val point = path->point(schedule, x0, x1, t), tangent = tw_ones_like(t), velocity = TW_NONE;
    *out_xt = *out_ut = TW_NONE;
    if (tw_is_none(point)) return;
    /* a failure stays in the graph and is told when the program is compiled */
    if (tw_jvp(1, &t, &tangent, 1, &point, &velocity) != TW_OK) return;
    *out_xt = point;
    *out_ut = tw_is_none(velocity) ? tw_zeros_like(point) : velocity;
}
