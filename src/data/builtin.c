/* data/builtin.c - sets that need no file, most of two columns, each as a peer library or paper draws it, so that pictures
 * and numbers can be compared. Row i is a pure function of (seed, i): sets of different lengths agree where they
 * overlap. */
#include "data/dataset.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

#define PI 3.14159265358979323846
static int draw_checkerboard(tw_random *r, double *out)
{
    double x = 4 * tw_random_uniform(r) - 2;
    double y = tw_random_uniform(r);
    int64_t low = tw_random_below(r, 2);
    y -= 2 * (double)low;
    y += fabs(fmod(floor(x), 2));
    out[0] = x / TW_CHECKERBOARD_SCALE;
    out[1] = y / TW_CHECKERBOARD_SCALE;
    return 2 * ((int)floor(x) + 2) + (int)low;
}

static int draw_8gaussians(tw_random *r, double *out)
{
    int64_t bump = tw_random_below(r, 8);
    double angle = PI / 4 * (double)bump;
    out[0] = TW_8GAUSSIANS_RADIUS * cos(angle) + sqrt(TW_8GAUSSIANS_VARIANCE) * tw_random_normal(r);
    out[1] = TW_8GAUSSIANS_RADIUS * sin(angle) + sqrt(TW_8GAUSSIANS_VARIANCE) * tw_random_normal(r);
    return (int)bump;
}

static int draw_moons(tw_random *r, double *out)
{
    bool inner = tw_random_below(r, 2) == 1;
    double angle = PI * tw_random_uniform(r);
    out[0] = (inner ? 1 - cos(angle) : cos(angle)) + TW_MOONS_NOISE * tw_random_normal(r);
    out[1] = (inner ? 0.5 - sin(angle) : sin(angle)) + TW_MOONS_NOISE * tw_random_normal(r);
    return inner;
}

static int draw_spirals(tw_random *r, double *out)
{
    double sign = tw_random_below(r, 2) ? -1 : 1;
    double n = sqrt(tw_random_uniform(r)) * TW_SPIRALS_END;
    double x = -cos(n) * n + TW_SPIRALS_JITTER * tw_random_uniform(r);
    double y = sin(n) * n + TW_SPIRALS_JITTER * tw_random_uniform(r);
    out[0] = sign * x / TW_SPIRALS_SHRINK + TW_SPIRALS_NOISE * tw_random_normal(r);
    out[1] = sign * y / TW_SPIRALS_SHRINK + TW_SPIRALS_NOISE * tw_random_normal(r);
    return sign < 0;
}

static int draw_pinwheel(tw_random *r, double *out)
{
    int64_t blade = tw_random_below(r, TW_PINWHEEL_ARMS);
    double arm = 2 * PI / TW_PINWHEEL_ARMS * (double)blade;
    double f0 = 1 + TW_PINWHEEL_RADIAL * tw_random_normal(r), f1 = TW_PINWHEEL_TANGENTIAL * tw_random_normal(r);
    double angle = arm + TW_PINWHEEL_RATE * exp(f0);
    out[0] = TW_PINWHEEL_SCALE * (f0 * cos(angle) + f1 * sin(angle));
    out[1] = TW_PINWHEEL_SCALE * (f1 * cos(angle) - f0 * sin(angle));
    return (int)blade;
}

static int draw_wrapped(tw_random *r, double *out)
{
    double u = tw_random_normal(r), v = tw_random_normal(r);
    out[0] = TW_WRAPPED_MIDDLE_0 + TW_WRAPPED_SPREAD_0 * u;
    out[1] = TW_WRAPPED_MIDDLE_1 + TW_WRAPPED_SHARED * u + TW_WRAPPED_SPREAD_1 * v;
    for (int i = 0; i < 2; i++) out[i] -= 2 * PI * floor(out[i] / (2 * PI) + 0.5);
    return 0;
}

/* Entropies: the checkerboard's is log(8 / 0.45^2); the others are -sum p log p over a fine grid of the exact
 * density.
 */
static const tw_builtin builtins[] = {
    {.info = {"checkerboard", "eight unit squares of a 4 x 4 board, divided by 0.45",
      "facebookresearch/flow_matching, examples/2d_flow_matching.ipynb"},
     .entropy = 3.67645693397247,
     .classes = 8,
     .draw = draw_checkerboard,
     .log_density = tw_density_checkerboard},
    {.info = {"8gaussians", "eight normal bumps of variance 0.1 on a circle of radius 5",
      "Tong et al., Improving and generalizing flow-based generative models, TMLR 2024 (torchcfm)"},
     .entropy = 2.614733510701,
     .classes = 8,
     .draw = draw_8gaussians,
     .log_density = tw_density_8gaussians},
    {.info = {"moons", "two interleaving half circles of radius 1 with normal noise 0.1",
      "scikit-learn, make_moons, with uniform angles"},
     .entropy = 1.007584834846,
     .classes = 2,
     .draw = draw_moons,
     .log_density = tw_density_moons},
    {.info = {"spirals", "two spiral arms of one and a half turns with noise",
      "Grathwohl et al., FFJORD, ICLR 2019 (the set 2spirals of its toy data)"},
     .entropy = 2.6454502836,
     .classes = 2,
     .draw = draw_spirals,
     .log_density = tw_density_spirals},
    {.info = {"pinwheel", "five normal blades, bent the more the further out",
      "Johnson et al., Composing graphical models with neural networks, NeurIPS 2016; numbers of FFJORD's toy data"},
     .entropy = 2.317788053,
     .classes = TW_PINWHEEL_ARMS,
     .draw = draw_pinwheel,
     .log_density = tw_density_pinwheel},
    {.info = {"wrapped", "two angles in radians: a correlated normal distribution wrapped round both (train --space radians)",
      "Chen, Lipman 2024, Flow matching on general geometries, section 5.2"},
     .entropy = 2.25779359435,
     .classes = 1,
     .draw = draw_wrapped,
     .log_density = tw_density_wrapped},
    {.info = {"rotations", "quaternions w, x, y, z near four of them, 0.3 radians off (train --space so3)",
      "Leach et al. 2022, Denoising diffusion probabilistic models on SO(3) for rotational alignment (mixtures like theirs)"},
     .entropy = 2.00860631592884,
     .classes = 4,
     .draw = tw_draw_rotations,
     .log_density = tw_density_rotations,
     .columns = 4,
     .names = (const char *const[]){"w", "x", "y", "z"}},
    {.info = {"poses", "a body on a loop in space, turned as far as it has come: a place and a quaternion (train --space se3)",
      "Yim et al. 2023, SE(3) diffusion model with application to protein backbone generation (rigid bodies like theirs)"},
     .entropy = (double)NAN,
     .classes = 1,
     .draw = tw_draw_poses,
     .log_density = NULL,
     .columns = 7,
     .names = (const char *const[]){"x", "y", "z", "qw", "qx", "qy", "qz"}},
    {.info = {"disc", "three wrapped normals of the hyperbolic plane, in the unit disc (train --space poincare)",
      "Nagano et al. 2019, A wrapped normal distribution on hyperbolic space for gradient-based learning"},
     .entropy = 2.15518645998344,
     .classes = 3,
     .draw = tw_draw_disc,
     .log_density = tw_density_disc},
    {.info = {"angles", "a hundred independent angles in radians, wrapped normal; fewer by --columns 1-10 (train --space radians)",
      "Chen, Lipman 2024, Flow matching on general geometries, section 5.2"},
     .entropy = 0.725791351631657,
     .classes = 1,
     .draw = tw_draw_angles,
     .log_density = tw_density_angles,
     .columns = TW_ANGLES,
     .separable = true},
};

int tw_builtin_draw(const tw_builtin *b, uint64_t seed, int64_t row, double *out)
{
    const uint64_t words = b->separable ? 1024 : 32; /* of the stream, set aside for a row */
    tw_random r = {.seed = seed, .stream = TW_STREAM_SYNTHETIC, .index = (uint64_t)row * words};
    return b->draw(&r, out);
}

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
