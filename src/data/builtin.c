/* data/builtin.c - two-dimensional sets that need no file, each as a peer library or paper draws it, so that pictures
 * and numbers can be compared. Row i is a pure function of (seed, i): sets of different lengths agree where they
 * overlap. */
#include "data/dataset.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

#define PI            3.14159265358979323846
#define DRAWS_PER_ROW 32 /* words of the stream set aside for a row */

static tw_random stream_at(uint64_t seed, int64_t row)
{
    return (tw_random){.seed = seed, .stream = TW_STREAM_SYNTHETIC, .index = (uint64_t)row * DRAWS_PER_ROW};
}

static int draw_checkerboard(uint64_t seed, int64_t row, double out[2])
{
    tw_random r = stream_at(seed, row);
    double x = 4 * tw_random_uniform(&r) - 2;
    double y = tw_random_uniform(&r);
    int64_t low = tw_random_below(&r, 2);
    y -= 2 * (double)low;
    y += fabs(fmod(floor(x), 2));
    out[0] = x / TW_CHECKERBOARD_SCALE;
    out[1] = y / TW_CHECKERBOARD_SCALE;
    return 2 * ((int)floor(x) + 2) + (int)low;
}

static int draw_8gaussians(uint64_t seed, int64_t row, double out[2])
{
    tw_random r = stream_at(seed, row);
    int64_t bump = tw_random_below(&r, 8);
    double angle = PI / 4 * (double)bump;
    out[0] = TW_8GAUSSIANS_RADIUS * cos(angle) + sqrt(TW_8GAUSSIANS_VARIANCE) * tw_random_normal(&r);
    out[1] = TW_8GAUSSIANS_RADIUS * sin(angle) + sqrt(TW_8GAUSSIANS_VARIANCE) * tw_random_normal(&r);
    return (int)bump;
}

static int draw_moons(uint64_t seed, int64_t row, double out[2])
{
    tw_random r = stream_at(seed, row);
    bool inner = tw_random_below(&r, 2) == 1;
    double angle = PI * tw_random_uniform(&r);
    out[0] = (inner ? 1 - cos(angle) : cos(angle)) + TW_MOONS_NOISE * tw_random_normal(&r);
    out[1] = (inner ? 0.5 - sin(angle) : sin(angle)) + TW_MOONS_NOISE * tw_random_normal(&r);
    return inner;
}

static int draw_spirals(uint64_t seed, int64_t row, double out[2])
{
    tw_random r = stream_at(seed, row);
    double sign = tw_random_below(&r, 2) ? -1 : 1;
    double n = sqrt(tw_random_uniform(&r)) * TW_SPIRALS_END;
    double x = -cos(n) * n + TW_SPIRALS_JITTER * tw_random_uniform(&r);
    double y = sin(n) * n + TW_SPIRALS_JITTER * tw_random_uniform(&r);
    out[0] = sign * x / TW_SPIRALS_SHRINK + TW_SPIRALS_NOISE * tw_random_normal(&r);
    out[1] = sign * y / TW_SPIRALS_SHRINK + TW_SPIRALS_NOISE * tw_random_normal(&r);
    return sign < 0;
}

static int draw_pinwheel(uint64_t seed, int64_t row, double out[2])
{
    tw_random r = stream_at(seed, row);
    int64_t blade = tw_random_below(&r, TW_PINWHEEL_ARMS);
    double arm = 2 * PI / TW_PINWHEEL_ARMS * (double)blade;
    double f0 = 1 + TW_PINWHEEL_RADIAL * tw_random_normal(&r), f1 = TW_PINWHEEL_TANGENTIAL * tw_random_normal(&r);
    double angle = arm + TW_PINWHEEL_RATE * exp(f0);
    out[0] = TW_PINWHEEL_SCALE * (f0 * cos(angle) + f1 * sin(angle));
    out[1] = TW_PINWHEEL_SCALE * (f1 * cos(angle) - f0 * sin(angle));
    return (int)blade;
}

static int draw_wrapped(uint64_t seed, int64_t row, double out[2])
{
    tw_random r = stream_at(seed, row);
    double u = tw_random_normal(&r), v = tw_random_normal(&r);
    out[0] = TW_WRAPPED_MIDDLE_0 + TW_WRAPPED_SPREAD_0 * u;
    out[1] = TW_WRAPPED_MIDDLE_1 + TW_WRAPPED_SHARED * u + TW_WRAPPED_SPREAD_1 * v;
    for (int i = 0; i < 2; i++) out[i] -= 2 * PI * floor(out[i] / (2 * PI) + 0.5);
    return 0;
}

/* Entropies: the checkerboard's is log(8 / 0.45^2); the others are -sum p log p over a fine grid of the exact density.
 */
static const tw_builtin builtins[] = {
    {{"checkerboard", "eight unit squares of a 4 x 4 board, divided by 0.45",
      "facebookresearch/flow_matching, examples/2d_flow_matching.ipynb"},
     3.67645693397247,
     8,
     draw_checkerboard,
     tw_density_checkerboard},
    {{"8gaussians", "eight normal bumps of variance 0.1 on a circle of radius 5",
      "Tong et al., Improving and generalizing flow-based generative models, TMLR 2024 (torchcfm)"},
     2.614733510701,
     8,
     draw_8gaussians,
     tw_density_8gaussians},
    {{"moons", "two interleaving half circles of radius 1 with normal noise 0.1",
      "scikit-learn, make_moons, with uniform angles"},
     1.007584834846,
     2,
     draw_moons,
     tw_density_moons},
    {{"spirals", "two spiral arms of one and a half turns with noise",
      "Grathwohl et al., FFJORD, ICLR 2019 (the set 2spirals of its toy data)"},
     2.6454502836,
     2,
     draw_spirals,
     tw_density_spirals},
    {{"pinwheel", "five normal blades, bent the more the further out",
      "Johnson et al., Composing graphical models with neural networks, NeurIPS 2016; numbers of FFJORD's toy data"},
     2.317788053,
     TW_PINWHEEL_ARMS,
     draw_pinwheel,
     tw_density_pinwheel},
    {{"wrapped", "two angles in radians: a correlated normal distribution wrapped round both (train --space radians)",
      "Chen, Lipman 2024, Flow matching on general geometries, section 5.2"},
     2.25779359435,
     1,
     draw_wrapped,
     tw_density_wrapped},
};

const tw_builtin *tw_builtin_find(const char *name)
{
    for (int i = 0; i < TW_COUNT(builtins); i++)
        if (strcmp(builtins[i].info.name, name) == 0) return &builtins[i];
    return NULL;
}

const tw_builtin_info *tw_builtin_list(int index)
{
    return index >= 0 && index < TW_COUNT(builtins) ? &builtins[index].info : NULL;
}
