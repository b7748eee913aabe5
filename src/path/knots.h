/* path/knots.h - a schedule given as a table of (t, alpha, sigma): rows joined smoothly in polar form.
 *
 * With alpha = r sin(pi y/2), sigma = r cos(pi y/2) the place y on the quarter circle grows from row to row, and with
 * it the signal-to-noise ratio: y is joined by monotone rational quadratics, whose inverse is a quadratic's root
 * (Gregory, Delbourgo 1982; Durkan et al. 2019, Neural spline flows), r by cubics that stay between their rows
 * (Fritsch, Butland 1984). This is the form in which kinetic-optimal schedules are found, too (Shaul et al. 2023). */
#ifndef TW_PATH_KNOTS_H
#define TW_PATH_KNOTS_H

#include "path/schedule.h"

/* What one bin between two rows needs: its first t and width, its first y and rise, slopes of y at both rows, then r at
 * both rows and its slopes. */
enum {
    TW_BIN_T,
    TW_BIN_WIDTH,
    TW_BIN_Y,
    TW_BIN_RISE,
    TW_BIN_DY0,
    TW_BIN_DY1,
    TW_BIN_R0,
    TW_BIN_R1,
    TW_BIN_DR0,
    TW_BIN_DR1,
    TW_BIN_NUMBERS
};

static inline int64_t tw_knots_bins(const tw_schedule *s)
{
    return s->count / 3 - 1;
}
void tw_knots_bin(const tw_schedule *schedule, int64_t bin, double out[TW_BIN_NUMBERS]);
/* The bin in which t lies, or the place y. */
int64_t tw_knots_find(const tw_schedule *schedule, bool by_place, double value);

#endif
