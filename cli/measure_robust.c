/* measure_robust.c - measures of flows whose weights are not quite what was learned: shaken by noise, or kept in few
 * bits (Xu et al. 2023, PFGM++, section 5, asks both of models of several D). */
#include "measures.h"

#include "base/philox.h"
#include "flow/flow.h"

#include <math.h>

enum { STREAM = 78, LEVELS = 63 };
static const double SHAKE = 0.05;

static void shake(uint64_t seed, int64_t first, int64_t count, float *w)
{
    tw_random random = {.seed = seed, .stream = STREAM, .index = 4 * (uint64_t)first};
    double square = 0;
    for (int64_t i = 0; i < count; i++) square += pow((double)w[i], 2);
    double size = SHAKE * sqrt(square / (double)count);
    for (int64_t i = 0; i < count; i++) w[i] += (float)(size * tw_random_normal(&random));
}

static void round_off(uint64_t seed, int64_t first, int64_t count, float *w)
{
    float low = w[0], high = w[0];
    (void)seed;
    (void)first;
    for (int64_t i = 0; i < count; i++) low = fminf(low, w[i]), high = fmaxf(high, w[i]);
    float level = (high - low) / (LEVELS - 1);
    for (int64_t i = 0; i < count && level > 0; i++) w[i] = low + level * roundf((w[i] - low) / level);
}

/* Every array of the weights is changed in place: the flow is this measure's own. */
static tw_status take_energy(const subject *s, void (*change)(uint64_t, int64_t, int64_t, float *), measured *out)
{
    tw_flow *flow = s->m.flow;
    for (int i = 0; i < tw_params_count(flow->params); i++) {
        int64_t first = tw_params_offset(flow->params, i);
        int64_t count = tw_shape_size(tw_shape_at(tw_params_value(flow->params, i)));
        change(opt_seed(&s->c->set, OPT_SEED), first, count, flow->weights + first);
    }
    return measure_energy(s, out);
}

tw_status measure_shaken_energy(const subject *s, measured *out)
{
    return take_energy(s, shake, out);
}

tw_status measure_rounded_energy(const subject *s, measured *out)
{
    return take_energy(s, round_off, out);
}
