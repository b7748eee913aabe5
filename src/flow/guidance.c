/* flow/guidance.c - see guidance.h. */
#include "flow/guidance.h"

#include "path/convert.h"

typedef struct situation {
    const double *value; /* parameters of the piece */
    const tw_schedule_values *at;
    tw_val x, t;
} situation;

/* <a, b> of every row, (B,D) -> (B,1). */
static tw_val inner(tw_val a, tw_val b)
{
    return tw_expand_dim(tw_sum_axis(tw_mul(a, b), 1), 1);
}

/* Never 0, so that directions without length have no part instead of no value. */
static tw_val guarded(tw_val length)
{
    return tw_max(length, tw_const(length.graph, tw_dtype_at(length), 1e-30));
}

static tw_val number(tw_val like, double value)
{
    return tw_const(like.graph, tw_dtype_at(like), value);
}

/* --- what is added w times --------------------------------------------------------------------------------------- */

static tw_val cfg_push(const situation *s, tw_val better, tw_val worse)
{
    (void)s;
    return tw_sub(better, worse);
}

/* The paper's rule is for predictions of the data; their difference is that of the velocities times a number. */
static tw_val apg_push(const situation *s, tw_val better, tw_val worse)
{
    enum { ETA, NORM };
    tw_val push = tw_sub(better, worse), x1, x0;
    if (s->value[NORM] > 0) {
        tw_val gain = tw_prediction_gain(TW_PREDICT_velocity, TW_PREDICT_x1, s->at);
        tw_val length = tw_mul(gain, tw_sqrt(inner(push, push))), most = number(length, s->value[NORM]);
        push = tw_mul(push, tw_min(tw_ones_like(length), tw_div(most, guarded(length))));
    }
    tw_prediction_split(TW_PREDICT_velocity, s->at, s->x, better, &x1, &x0);
    tw_val along = tw_mul(x1, tw_div(inner(push, x1), guarded(inner(x1, x1))));
    return tw_sub(push, tw_muls(along, 1 - s->value[ETA]));
}

static tw_val cfg_zero_push(const situation *s, tw_val better, tw_val worse)
{
    (void)s;
    tw_val scale = tw_div(inner(better, worse), guarded(inner(worse, worse)));
    return tw_sub(better, tw_mul(scale, worse));
}

static const struct {
    tw_piece_info info;
    tw_val (*push)(const situation *s, tw_val better, tw_val worse);
} guidances[] = {
#define TW_GUIDANCE(name, about, source, parameters) {{#name, about, source, parameters}, name##_push},
#include "flow/guidances.def"
};

enum {
#define TW_GUIDANCE(name, about, source, parameters) GUIDANCE_##name,
#include "flow/guidances.def"
};

const tw_piece_info *tw_guidance_list(int index)
{
    return index >= 0 && index < TW_COUNT(guidances) ? &guidances[index].info : NULL;
}

tw_val tw_guidance_apply(const tw_guidance *guidance, const tw_schedule_values *at, tw_val x, tw_val t, tw_val better,
                         tw_val worse)
{
    const tw_piece *piece = &guidance->piece;
    const situation s = {piece->value, at, x, tw_expand_dim(t, 1)};
    double from = piece->value[piece->count - 2], to = piece->value[piece->count - 1];
    tw_val push = guidances[piece->row].push(&s, better, worse);
    tw_val guided = tw_add(better, tw_muls(push, guidance->strength));
    if (from > 0) guided = tw_select(tw_ge(s.t, number(t, from)), guided, better);
    if (to < 1) guided = tw_select(tw_le(s.t, number(t, to)), guided, better);
    if (piece->row != GUIDANCE_cfg_zero || piece->value[0] == 0) return guided;
    return tw_select(tw_ge(s.t, number(t, piece->value[0])), guided, tw_zeros_like(guided));
}
