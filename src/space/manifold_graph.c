/* space/manifold_graph.c - manifolds on a graph: the source of space/manifolds.inc with rows (B,n) for vectors and
 * columns (B,1) for numbers. */
#include "space/manifold.h"

#include "graph/node.h"
#include "space/spd.h"

static tw_val numbers_dot(tw_val a, tw_val b)
{
    return tw_expand_dim(tw_sum_axis(tw_mul(a, b), 1), 1);
}

/* Unit vector number `i`, for all rows. */
static tw_val axis(tw_val like, int i)
{
    double one[TW_MANIFOLD_MOST] = {0};
    if (tw_is_none(like)) return like;
    one[i] = 1;
    tw_val row = tw_const_data(like.graph, TW_DTYPE_F64, tw_shape_of(1, tw_last_dim(like)), one);
    return tw_broadcast_to(tw_cast(row, tw_dtype_at(like)), tw_shape_at(like));
}

static const double full_turn = 6.28318530717958647693;
static tw_val wrapped(tw_val a)
{
    return tw_sub(a, tw_muls(tw_round(tw_muls(a, 1 / full_turn)), full_turn));
}
static tw_val turned(tw_val a)
{
    return tw_sub(a, tw_muls(tw_floor(tw_muls(a, 1 / full_turn)), full_turn));
}

static tw_val g_lts(tw_val a, double b)
{
    return tw_lt(a, tw_full_like(a, b));
}
static tw_val g_gts(tw_val a, double b)
{
    return tw_gt(a, tw_full_like(a, b));
}
static tw_val g_ges(tw_val a, double b)
{
    return tw_ge(a, tw_full_like(a, b));
}
static tw_val g_mins(tw_val a, double b)
{
    return tw_min(a, tw_full_like(a, b));
}
#define g_ones   tw_ones_like
#define g_zeros  tw_zeros_like
#define g_add    tw_add
#define g_sub    tw_sub
#define g_mul    tw_mul
#define g_div    tw_div
#define g_neg    tw_neg
#define g_not    tw_not
#define g_or     tw_or
#define g_select tw_select
#define g_adds   tw_adds
#define g_muls   tw_muls
#define g_sqrt   tw_sqrt
#define g_sin    tw_sin
#define g_cos    tw_cos
#define g_sinh   tw_sinh
#define g_cosh   tw_cosh
#define g_atan2  tw_atan2
#define g_log1p  tw_log1p

#define V     tw_val
#define S     tw_val
#define TRUTH tw_val
#define FN
#define UNUSED        0
#define CALL(f, ...)  f(__VA_ARGS__)
#define N(op)         g_##op
#define ADD(a, b)     tw_add(a, b)
#define SUB(a, b)     tw_sub(a, b)
#define SCALE(a, s)   tw_mul(a, s)
#define DOT(a, b)     numbers_dot(a, b)
#define AXIS(like, i) axis(like, i)
#define PICK(c, a, b) tw_select(c, a, b)
#define WRAP(a)       wrapped(a)
#define TURN(a)       turned(a)
#define WHITEN(x, v)  tw_spd_whiten_rows(x, v)
#define COLOUR(x, v)  tw_spd_colour_rows(x, v)
#define MATRIX(f, a)  tw_spd_map_rows(TW_SPD_##f, a)
#define BETWEEN(a, v) tw_spd_between_rows(a, v)
#define IDENTITY(a)   tw_spd_identity_rows(a)
#define LEAST         1e-18 /* its square is a float */
#define RULES         graph_rules
#include "space/manifolds.inc"

tw_val tw_manifold_exp_rows(tw_manifold m, tw_val x, tw_val v)
{
    return rules[m].exp(x, v);
}
tw_val tw_manifold_log_rows(tw_manifold m, tw_val x, tw_val y)
{
    return rules[m].log(x, y);
}
tw_val tw_manifold_distance_rows(tw_manifold m, tw_val x, tw_val y)
{
    return tw_sum_axis(rules[m].distance(x, y), 1);
}
tw_val tw_manifold_carry_rows(tw_manifold m, tw_val x, tw_val y, tw_val v)
{
    return rules[m].carry(x, y, v);
}
tw_val tw_manifold_project_rows(tw_manifold m, tw_val x)
{
    return rules[m].project(x);
}
tw_val tw_manifold_tangent_rows(tw_manifold m, tw_val x, tw_val v)
{
    return rules[m].tangent(x, v);
}
tw_val tw_manifold_frame_rows(tw_manifold m, tw_val x, tw_val v)
{
    return rules[m].frame(x, v);
}
