/* density_map.h - the density of a flow on a closed surface, as a picture: the globe, a torus of two angles, or a mesh. */
#ifndef THALWEG_CLI_DENSITY_MAP_H
#define THALWEG_CLI_DENSITY_MAP_H

#include "distances.h"

/* Whether the flow lives on one, and its density is known. */
bool has_density_map(const model *m);
/* Scores a grid of places and draws it with held-out rows, on a torus beside samples. */
TW_NODISCARD tw_status draw_density_map(cli *c, const model *m, const tw_ode_desc *solver, const held_out *held,
                                        int64_t samples_count, const double *samples, const char *path);

#endif
