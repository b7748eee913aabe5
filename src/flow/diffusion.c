/* flow/diffusion.c - see diffusion.h. */
#include "flow/diffusion.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

#define TW_DIFFUSION(name, about, source, w)                                                                           \
    static double name##_w(double s, double t, tw_schedule_point p)                                                    \
    {                                                                                                                  \
        (void)t, (void)p;                                                                                              \
        return w;                                                                                                      \
    }
#include "flow/diffusions.def"

static const struct {
    tw_piece_info info;
    double (*w)(double scale, double t, tw_schedule_point p);
} diffusions[] = {
#define TW_DIFFUSION(name, about, source, w) {{#name, about, source, TW_PARAMETERS(TW_P(scale, 1, 0, 1000))}, name##_w},
#include "flow/diffusions.def"
};

const tw_piece_info *tw_diffusion_list(int index)
{
    return index >= 0 && index < TW_COUNT(diffusions) ? &diffusions[index].info : NULL;
}

double tw_diffusion_at(const tw_diffusion *d, double t)
{
    tw_schedule_point p = tw_schedule_at(d->schedule, t);
    double scale = d->piece.value[0], most = p.sigma * p.sigma / d->step;
    if (scale == 0) return 0;
    double w = diffusions[d->piece.row].w(scale, t, p);
    /* not a number where infinite slopes meet zeros: as much as can be */
    return w < most ? fmax(w, 0) : most;
}
