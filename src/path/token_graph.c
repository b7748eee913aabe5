/* path/token_graph.c - token paths on a graph: points drawn for training, and the pace of the clock. */
#include "path/token_path.h"

#include "graph/node.h"

/* A number of [0, symbols) from one in [0, 1). */
static tw_val symbol_of(const tw_token_path *path, tw_val place)
{
    tw_val scaled = tw_floor(tw_muls(place, path->symbols));
    return tw_min(tw_max(scaled, tw_full_like(scaled, 0)), tw_full_like(scaled, path->symbols - 1));
}

static tw_val mixture_point(const tw_token_path *path, tw_val x0, tw_val x1, tw_val t, tw_val uniform)
{
    tw_val data = tw_schedule_alpha(path->schedule, t), rest = tw_schedule_sigma(path->schedule, t);
    if (path->noise == 0) return tw_select(tw_lt(uniform, rest), x0, x1);
    tw_val source = tw_mul(rest, tw_adds(tw_muls(data, -path->noise), 1));
    tw_val noise = tw_muls(tw_mul(rest, data), path->noise);
    tw_val symbol = symbol_of(path, tw_div(tw_sub(uniform, source), noise));
    tw_val changed = tw_select(tw_lt(uniform, tw_add(source, noise)), symbol, x1);
    return tw_select(tw_lt(uniform, source), x0, changed);
}

/* beta, with 1 - t not below what an f32 can tell from 0 */
static tw_val beta_of(const tw_token_path *path, tw_val t)
{
    const double least = 1e-7;
    tw_val rest = tw_adds(tw_neg(t), 1);
    return tw_muls(tw_pows(tw_div(t, tw_max(rest, tw_full_like(rest, least))), path->power), path->scale);
}

/* d(., x) of every token (B,T,K), or d(x, .). */
static tw_val distances_of(const tw_token_path *path, bool from, tw_val x)
{
    int64_t symbols = path->symbols;
    tw_val table = tw_const_data(x.graph, TW_DTYPE_F64, tw_shape_of(symbols, symbols), path->distance);
    if (from) table = tw_transpose(table, (const int[]){1, 0}); /* rows are those of x_1 */
    tw_val rows = tw_cast(tw_reshape(x, tw_shape_of(-1)), TW_DTYPE_I32);
    tw_val distance = tw_take_rows(tw_cast(table, tw_dtype_at(x)), rows);
    return tw_reshape(distance, tw_shape_of(tw_dim(x, 0), tw_dim(x, 1), symbols));
}

/* How many of the sums p(0), p(0) + p(1), ... lie at or below the uniform number. */
static tw_val metric_point(const tw_token_path *path, tw_val x1, tw_val t, tw_val uniform)
{
    int64_t symbols = path->symbols;
    tw_dtype dtype = tw_dtype_at(x1);
    tw_val p = tw_softmax(tw_neg(tw_mul(tw_expand_dim(beta_of(path, t), 2), distances_of(path, false, x1))), 2);
    tw_val passed = tw_le(tw_cumsum(p, 2), tw_expand_dim(uniform, 2));
    tw_val count = tw_sum_axis(tw_cast(passed, dtype), 2);
    return tw_min(count, tw_full_like(count, (double)symbols - 1));
}

tw_val tw_token_point(const tw_token_path *path, tw_val x0, tw_val x1, tw_val t, tw_val uniform)
{
    if (tw_is_none(x1) || tw_is_none(t)) return TW_NONE;
    t = tw_expand_dim(t, 1);
    return path->distance ? metric_point(path, x1, t, uniform) : mixture_point(path, x0, x1, t, uniform);
}

/* A symbol was kept, or came by chance: log(1 + K kappa / (1 - kappa)) for x itself, with noise between masks and data
 * 1 / (noise (1 - kappa)) in place of the ratio. */
tw_val tw_token_evidence(const tw_token_path *path, tw_val x, tw_val t)
{
    const double least = 1e-7; /* what an f32 can tell from 0 */
    bool masks = path->states > path->symbols;
    if (tw_is_none(x) || tw_is_none(t)) return TW_NONE;
    t = tw_expand_dim(tw_expand_dim(t, 1), 2);
    if (path->distance) return tw_neg(tw_mul(beta_of(path, t), distances_of(path, true, x)));
    if (masks ? path->noise == 0 : !path->uniform) return TW_NONE;
    tw_val data = tw_schedule_alpha(path->schedule, t), rest = tw_schedule_sigma(path->schedule, t);
    rest = tw_max(rest, tw_full_like(rest, least));
    tw_val ratio = masks ? tw_div(tw_full_like(rest, 1 / path->noise), rest) : tw_div(data, rest);
    tw_val says = tw_log1p(tw_muls(ratio, path->symbols));
    tw_val symbol = tw_iota(x.graph, tw_dtype_at(x), tw_shape_of(1, 1, path->symbols), 2);
    return tw_mul(says, tw_cast(tw_eq(tw_expand_dim(x, 2), symbol), tw_dtype_at(x)));
}

tw_val tw_token_pace_at(const tw_token_path *path, tw_val t)
{
    if (tw_is_none(t)) return t;
    if (path->distance) {
        tw_val beta = beta_of(path, t), slope;
        return tw_slopes(t, 1, &beta, &slope) ? slope : TW_NONE;
    }
    tw_schedule_values at = tw_schedule_values_at(path->schedule, t);
    tw_val pace = tw_div(at.d_alpha, at.sigma);
    if (path->noise == 0) return pace;
    tw_val more = tw_adds(tw_muls(at.alpha, -path->noise), 1);
    return tw_add(pace, tw_div(tw_muls(at.d_alpha, path->noise), more));
}
