/* path/schedule.c - schedules alpha(t), sigma(t) of affine paths. */
#include "path/path.h"

static tw_val condot_alpha(tw_val t)
{
    return t;
}
static tw_val condot_sigma(tw_val t)
{
    return tw_adds(tw_neg(t), 1);
}

static const tw_schedule schedules[] = {
#define TW_SCHEDULE(name, about, source) {{#name, about, source}, name##_alpha, name##_sigma},
#include "path/schedules.def"
};

const tw_piece_info *tw_schedule_list(int index)
{
    return index >= 0 && index < TW_COUNT(schedules) ? &schedules[index].info : NULL;
}
