/* solve/jump_step.c - the methods of jumps.def: how the rows of a block get from t to s.
 *
 * All of them draw an x_1 for a token from what the model says and move the token along the path given x_1; summed over
 * x_1 these are the rates of the marginal chain. They differ in where the model is asked. */
#include "solve/jump_inside.h"

#include <math.h>

static const float *logits_of(const tw_jump *jump, const float *logits, int64_t a, int i)
{
    return logits + (a * jump->tokens + i) * jump->path.symbols;
}

/* Which x_1 a token goes to; -1 when the model says no numbers. */
static int draw_data(tw_jump *jump, const tw_jump_dice *dice, const float *logits, int i, bool most)
{
    double sum = tw_jump_probabilities(&jump->shape, jump->path.symbols, logits, jump->p, jump->scratch);
    if (!(sum > 0)) return -1;
    if (most) return tw_jump_most(jump->path.symbols, jump->p);
    return tw_jump_pick(jump->path.symbols, jump->p, sum, tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_DATA));
}

/* One token of one row, from x to what is returned; -1 when the model says no numbers. */
static int move_token(tw_jump *jump, const tw_jump_dice *dice, const float *logits, bool known, double t, double s,
                      double stay, double renewal, int i, int x)
{
    double uniform = tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_STAY);
    bool renews = renewal > 0 && s < 1 && tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_RENEW) < renewal;
    if (!renews && (known || uniform < stay)) return x;
    int x1 = known ? x : draw_data(jump, dice, logits, i, jump->desc.argmax && s >= 1), y = x;
    if (x1 < 0) return -1;
    if (!known && uniform >= stay)
        y = tw_token_move(&jump->path, t, s, 1, x, x1, uniform, tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_TARGET));
    if (!renews) return y;
    return tw_token_draw(&jump->path, s, -1, x1, tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_RENEWED));
}

/* The rows' tokens from x at t to out at s by logits; a stage of a method. */
static tw_status move_rows(tw_jump *jump, int stage, const double *t, const double *s, const float *logits, bool renews,
                           const int32_t *x, int32_t *out)
{
    for (int64_t a = 0; a < jump->active; a++) {
        tw_jump_dice dice = tw_jump_dice_of(jump, a, stage);
        double stay = tw_token_stay(&jump->path, t[a], s[a]), renewal = renews ? tw_jump_renewal(jump, t[a], s[a]) : 0;
        for (int i = 0; i < jump->tokens; i++) {
            int64_t at = a * jump->tokens + i;
            out[at] = x[at];
            if (jump->held[at]) continue;
            int moved = move_token(jump, &dice, logits_of(jump, logits, a, i), tw_jump_known(jump, a, i, x), t[a], s[a],
                                   stay, renewal, i, x[at]);
            if (moved < 0) return TW_ERR_NUMERIC;
            out[at] = moved;
        }
    }
    return TW_OK;
}

tw_status tw_jump_euler(tw_jump *jump)
{
    return move_rows(jump, 0, jump->t, jump->s, jump->logits, true, jump->x, jump->x);
}

/* --- two stages -------------------------------------------------------------------------------------------------- */

/* To the middle of every step, where the model is asked again. */
static tw_status half_step(tw_jump *jump, float *logits)
{
    for (int64_t a = 0; a < jump->active; a++) jump->t_half[a] = 0.5 * (jump->t[a] + jump->s[a]);
    tw_status status = move_rows(jump, 0, jump->t, jump->t_half, jump->logits, false, jump->x, jump->half);
    return status == TW_OK ? tw_jump_ask(jump, jump->t_half, jump->half, logits) : status;
}

tw_status tw_jump_midpoint(tw_jump *jump)
{
    tw_status status = half_step(jump, jump->logits);
    if (status != TW_OK) return status;
    return move_rows(jump, 1, jump->t, jump->s, jump->logits, true, jump->x, jump->x);
}

/* [a late - b early]_+ of the normalised probabilities into q; their sum, NaN for no numbers. With theta the part of
 * the step before the middle, by the clock: a = 1 / (2 theta (1 - theta)), b = a - 1. */
static double extrapolate(tw_jump *jump, const float *early, const float *late, double theta)
{
    int symbols = jump->path.symbols;
    double a = 0.5 / (theta * (1 - theta)), b = a - 1, sum = 0;
    double before = tw_jump_probabilities(&jump->shape, symbols, early, jump->p, jump->scratch);
    double after = tw_jump_probabilities(&jump->shape, symbols, late, jump->q, jump->scratch);
    for (int k = 0; k < symbols; k++) sum += jump->q[k] = fmax(a * jump->q[k] / after - b * jump->p[k] / before, 0);
    return before > 0 && after > 0 ? sum : (double)NAN;
}

static tw_status trapezoidal_row(tw_jump *jump, int64_t a, double theta)
{
    double t = jump->t_half[a], s = jump->s[a], renewal = tw_jump_renewal(jump, jump->t[a], s);
    tw_jump_dice dice = tw_jump_dice_of(jump, a, 1);
    for (int i = 0; i < jump->tokens; i++) {
        int64_t at = a * jump->tokens + i;
        int x = jump->half[at], x1 = x;
        if (jump->held[at]) continue;
        if (!tw_jump_known(jump, a, i, jump->half)) {
            double mass =
                extrapolate(jump, logits_of(jump, jump->early, a, i), logits_of(jump, jump->logits, a, i), theta);
            if (!(mass > 0)) return TW_ERR_NUMERIC;
            x1 = tw_jump_pick(jump->path.symbols, jump->q, mass, tw_jump_uniform(&dice, (uint32_t)i, TW_JUMP_DATA));
            x = tw_token_move(&jump->path, t, s, mass, x, x1, tw_jump_uniform(&dice, (uint32_t)i, TW_JUMP_STAY),
                              tw_jump_uniform(&dice, (uint32_t)i, TW_JUMP_TARGET));
        }
        if (renewal > 0 && s < 1 && tw_jump_uniform(&dice, (uint32_t)i, TW_JUMP_RENEW) < renewal)
            x = tw_token_draw(&jump->path, s, -1, x1, tw_jump_uniform(&dice, (uint32_t)i, TW_JUMP_RENEWED));
        jump->x[at] = x;
    }
    return TW_OK;
}

/* A step that ends at 1 has no end of its clock to extrapolate to: what the middle says is drawn. All rows have the
 * same steps. */
tw_status tw_jump_trapezoidal(tw_jump *jump)
{
    float *early = jump->logits;
    tw_status status = half_step(jump, jump->early);
    if (status != TW_OK || jump->active == 0) return status;
    jump->logits = jump->early;
    jump->early = early;
    if (jump->s[0] >= 1) return move_rows(jump, 1, jump->t_half, jump->s, jump->logits, false, jump->half, jump->x);
    double from = tw_token_clock(&jump->path, jump->t[0]), to = tw_token_clock(&jump->path, jump->s[0]);
    double theta = (tw_token_clock(&jump->path, jump->t_half[0]) - from) / (to - from);
    for (int64_t a = 0; status == TW_OK && a < jump->active; a++) status = trapezoidal_row(jump, a, theta);
    return status;
}

/* --- rates held -------------------------------------------------------------------------------------------------- */

/* Jumps at rate q for a length of clock: Poisson in number, and only one is made. */
static int leap(tw_jump *jump, const tw_jump_dice *dice, const float *logits, double t, double length, int i, int x)
{
    double sum = tw_jump_probabilities(&jump->shape, jump->path.symbols, logits, jump->p, jump->scratch), rate = 0;
    if (!(sum > 0)) return -1;
    for (int k = 0; k < jump->path.symbols; k++) jump->p[k] /= sum;
    tw_token_rates_mean(&jump->path, t, x, jump->p, jump->q);
    for (int k = 0; k < jump->path.states; k++) rate += jump->q[k];
    double mean = rate * length, uniform = tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_STAY), none = exp(-mean);
    if (uniform < none || uniform >= none * (1 + mean)) return x;
    return tw_jump_pick(jump->path.states, jump->q, rate, tw_jump_uniform(dice, (uint32_t)i, TW_JUMP_TARGET));
}

/* At t = 1 rates are unbounded: the last step draws what is left, as euler does. */
tw_status tw_jump_tau_leaping(tw_jump *jump)
{
    if (jump->active > 0 && jump->s[0] >= 1) return tw_jump_euler(jump);
    for (int64_t a = 0; a < jump->active; a++) {
        tw_jump_dice dice = tw_jump_dice_of(jump, a, 0);
        double length = tw_token_clock(&jump->path, jump->s[a]) - tw_token_clock(&jump->path, jump->t[a]);
        for (int i = 0; i < jump->tokens; i++) {
            int64_t at = a * jump->tokens + i;
            if (tw_jump_known(jump, a, i, jump->x)) continue;
            int x = leap(jump, &dice, logits_of(jump, jump->logits, a, i), jump->t[a], length, i, jump->x[at]);
            if (x < 0) return TW_ERR_NUMERIC;
            jump->x[at] = x;
        }
    }
    return TW_OK;
}

/* --- one at a time ----------------------------------------------------------------------------------------------- */

static tw_status unmask(tw_jump *jump, int64_t a, int i, bool most)
{
    tw_jump_dice dice = tw_jump_dice_of(jump, a, 0);
    int x1 = draw_data(jump, &dice, logits_of(jump, jump->logits, a, i), i, most);
    if (x1 < 0) return TW_ERR_NUMERIC;
    jump->x[a * jump->tokens + i] = x1;
    return TW_OK;
}

/* s is when the next token is due; which one it is does not depend on when. */
tw_status tw_jump_first_hitting(tw_jump *jump)
{
    const uint32_t nobody = UINT32_MAX; /* a number of the row, not of a token */
    tw_status status = TW_OK;
    for (int64_t a = 0; a < jump->active && status == TW_OK; a++) {
        tw_jump_dice dice = tw_jump_dice_of(jump, a, 0);
        int left = 0, chosen = 0;
        for (int i = 0; i < jump->tokens; i++) left += !tw_jump_known(jump, a, i, jump->x);
        int count = (int)(tw_jump_uniform(&dice, nobody, TW_JUMP_TARGET) * left);
        for (int i = 0; i < jump->tokens; i++)
            if (!tw_jump_known(jump, a, i, jump->x) && count-- == 0) chosen = i;
        status = unmask(jump, a, chosen, false);
    }
    return status;
}

tw_status tw_jump_left_to_right(tw_jump *jump)
{
    tw_status status = TW_OK;
    for (int64_t a = 0; a < jump->active && status == TW_OK; a++) {
        int i = 0;
        while (tw_jump_known(jump, a, i, jump->x)) i++;
        status = unmask(jump, a, i, jump->desc.argmax);
    }
    return status;
}

/* How far the likeliest symbol is ahead of the second, as the model says it; NaN for no numbers. */
static double margin_of(tw_jump *jump, const float *logits)
{
    const tw_jump_shape plain = {.temperature = 1, .top_p = 1};
    double sum = tw_jump_probabilities(&plain, jump->path.symbols, logits, jump->p, jump->scratch), first = 0,
           second = 0;
    for (int k = 0; k < jump->path.symbols; k++) {
        second = fmax(second, fmin(first, jump->p[k]));
        first = fmax(first, jump->p[k]);
    }
    return sum > 0 ? (first - second) / sum : (double)NAN;
}

/* Exact posteriors make the law of x_1 in any order, also in one that depends on what is there. */
tw_status tw_jump_margin(tw_jump *jump)
{
    tw_status status = TW_OK;
    for (int64_t a = 0; a < jump->active && status == TW_OK; a++) {
        double most = -1;
        int chosen = -1;
        for (int i = 0; i < jump->tokens; i++) {
            if (tw_jump_known(jump, a, i, jump->x)) continue;
            double margin = margin_of(jump, logits_of(jump, jump->logits, a, i));
            if (margin > most) most = margin, chosen = i;
        }
        status = chosen < 0 ? TW_ERR_NUMERIC : unmask(jump, a, chosen, jump->desc.argmax);
    }
    return status;
}

/* --- steps by a tolerance ---------------------------------------------------------------------------------------- */

/* The largest rate of a row's tokens and the sum of all, by what the model says; false: no numbers. */
static bool rates_of(tw_jump *jump, int64_t a, double *out_most, double *out_sum)
{
    *out_most = *out_sum = 0;
    for (int i = 0; i < jump->tokens; i++) {
        if (tw_jump_known(jump, a, i, jump->x)) continue;
        const float *logits = logits_of(jump, jump->logits, a, i);
        int x = jump->x[a * jump->tokens + i];
        double sum = tw_jump_probabilities(&jump->shape, jump->path.symbols, logits, jump->p, jump->scratch), rate = 0;
        if (!(sum > 0)) return false;
        for (int k = 0; k < jump->path.symbols; k++) jump->p[k] /= sum;
        tw_token_rates_mean(&jump->path, jump->t[a], x, jump->p, jump->q);
        for (int k = 0; k < jump->path.states; k++) rate += jump->q[k];
        *out_most = fmax(*out_most, rate);
        *out_sum += rate;
    }
    return true;
}

tw_status tw_jump_choose_steps(tw_jump *jump)
{
    const double nothing = 1e-12;
    for (int64_t a = 0; a < jump->active; a++) {
        double most, sum, clock = tw_token_clock(&jump->path, jump->t[a]), end = jump->leg->t1;
        if (!rates_of(jump, a, &most, &sum)) return TW_ERR_NUMERIC;
        double next = clock - log1p(-jump->desc.tolerance) / fmax(most, nothing);
        bool last = next > jump->end_clock || sum < nothing;
        jump->s[a] = last ? end : fmin(tw_token_time(&jump->path, next), end);
        if (!(jump->s[a] > jump->t[a])) jump->s[a] = end;
    }
    return TW_OK;
}
