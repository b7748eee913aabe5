/* path/gamma.c - see gamma.h. */
#include "path/gamma.h"

static tw_val rest(tw_val t)
{
    return tw_adds(tw_neg(t), 1);
}

static tw_val none_gamma(const double *p, tw_val t)
{
    (void)p;
    return tw_zeros_like(t);
}
static tw_val brownian_gamma(const double *p, tw_val t)
{
    return tw_sqrt(tw_muls(tw_mul(t, rest(t)), p[0]));
}
static tw_val quadratic_gamma(const double *p, tw_val t)
{
    return tw_muls(tw_mul(t, rest(t)), p[0]);
}
static tw_val sine_gamma(const double *p, tw_val t)
{
    const double pi = 3.14159265358979323846;
    tw_val nearer = tw_min(t, rest(t)); /* 0 at both ends, to the last bit */
    return tw_muls(tw_square(tw_sin(tw_muls(nearer, pi))), p[0]);
}

static const struct {
    tw_piece_info info;
    tw_val (*gamma)(const double *p, tw_val t);
} gammas[] = {
#define TW_GAMMA(name, about, source, parameters) {{#name, about, source, parameters}, name##_gamma},
#include "path/gammas.def"
};

const tw_piece_info *tw_gamma_list(int index)
{
    return index >= 0 && index < TW_COUNT(gammas) ? &gammas[index].info : NULL;
}

tw_val tw_gamma_at(const tw_piece *gamma, tw_val t)
{
    return gammas[gamma->row].gamma(gamma->value, t);
}

tw_val tw_gamma_score(tw_val gamma, tw_val noise)
{
    tw_val some = tw_gt(gamma, tw_zeros_like(gamma));
    return tw_select(some, tw_neg(tw_div(noise, tw_select(some, gamma, tw_ones_like(gamma)))), tw_zeros_like(noise));
}
