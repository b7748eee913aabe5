/* path/density.h - densities of training times, as maps from uniform numbers: a grid of strata stays one. */
#ifndef TW_PATH_DENSITY_H
#define TW_PATH_DENSITY_H

#include "path/schedule.h"

const tw_piece_info *tw_density_list(int index); /* NULL past the end */

/* Times with the density from uniform numbers in (0,1), elementwise; 1 - u gives the time as far from the other end
 * where the density is symmetric. They fill the interval of the schedule (tw_schedule_interval), which the unit
 * interval is shrunk to. */
tw_val tw_density_times(const tw_piece *density, const tw_schedule *schedule, tw_val uniform);

#endif
