/* solve/sde_adaptive.c - steps chosen for each row by its own error: that between a step and its two halves, which go
 * on.
 *
 * The controller is PI (Hairer, Wanner: Solving ODEs II, IV.2; small powers, as errors of a stochastic step are noisy),
 * but the step it asks for is rounded down to a half of a half ... of a given one, and doubled only where both halves
 * of the longer one begin. So the times of all steps tried are nested, whatever was rejected; where they are not, steps
 * that know the path ahead can lead to another equation's solution (Gaines, Lyons 1997; Foster, Jelincic 2024,
 * theorem 2.1 and the counterexample in section 1). For the same reason the terms of a step must not favour an area:
 * Euler-Maruyama's do unless noise is additive. W at the times tried comes from the motion's tree, a row at a time. */
#include "solve/sde.h"

#include <math.h>
#include <string.h>

enum { LEVELS = 40, MOST_STEPS = 100000 };
static const double P_COEFF = 0.1, I_COEFF = 0.6, SAFETY = 0.9, LEAST = 0.1, MOST = 4;

/* Where a row stands: `place` halvings of level `level` behind the beginning of the segment under way, which ends on a
 * given step's end or on a time asked for. */
typedef struct standing {
    int64_t row, given, asked; /* in the block; number of the given step; of the next time asked for */
    double begin, end;         /* of the segment */
    double wish, before;       /* step the controller asks for; error of the step before over the tolerance */
    int64_t place, steps, tries;
    int level;
    bool fresh, leaving;
} standing;

struct tw_sde_walk {
    double rtol, atol, exponent; /* 1 / power of the step in its error */
    int64_t max_steps;
    standing *rows;             /* (block) active ones first */
    double *y, *whole, *middle; /* (block, columns): states before, behind the step, behind its first half */
    double *from, *at, *to;     /* (block) times of these */
    double *w[2], *area[2];     /* (block, noises) of both halves */
    void *memory;
};

tw_status tw_sde_walk_create(tw_sde *sde, const tw_sde_desc *d)
{
    tw_context *ctx = sde->ctx;
    const tw_sde_method_info *info = &sde->method->info;
    tw_sde_noise noise = sde->equation.noise;
    if (!(d->rtol >= 0 && d->atol >= 0 && isfinite(d->rtol) && isfinite(d->atol)) || d->max_steps < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "tolerances of an SDE are rtol %g and atol %g, steps at most %lld", d->rtol,
                       d->atol, (long long)d->max_steps);
    if (!sde->tableau || (sde->tableau == tw_sde_euler_tableau() && noise != TW_SDE_ADDITIVE))
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "steps of %s cannot be chosen by their error with this noise%s",
                       info->name, sde->tableau ? ": they would lead to another solution" : "");
    tw_sde_walk *walk = sde->walk = tw_alloc(ctx, 1, sizeof *walk);
    if (!walk) return tw_fail_memory(ctx, sizeof *walk);
    walk->rtol = d->rtol;
    walk->atol = d->atol;
    walk->max_steps = d->max_steps ? d->max_steps : MOST_STEPS;
    walk->exponent = 1 / (info->strong[noise] + 0.5);
    int64_t states = sde->block * sde->columns, motions = sde->block * sde->noises;
    size_t bytes = (size_t)(3 * states + 4 * motions + 3 * sde->block) * sizeof(double);
    double *at = walk->memory = tw_alloc_aligned(ctx, bytes);
    walk->rows = tw_alloc(ctx, (size_t)sde->block, sizeof *walk->rows);
    if (!at || !walk->rows) return tw_fail_memory(ctx, bytes);
    double **of_states[] = {&walk->y, &walk->whole, &walk->middle};
    double **of_motions[] = {&walk->w[0], &walk->w[1], &walk->area[0], &walk->area[1]};
    double **of_rows[] = {&walk->from, &walk->at, &walk->to};
    for (int i = 0; i < TW_COUNT(of_states); i++, at += states) *of_states[i] = at;
    for (int i = 0; i < TW_COUNT(of_motions); i++, at += motions) *of_motions[i] = at;
    for (int i = 0; i < TW_COUNT(of_rows); i++, at += sde->block) *of_rows[i] = at;
    return TW_OK;
}

void tw_sde_walk_destroy(tw_context *ctx, tw_sde_walk *walk)
{
    if (!walk) return;
    tw_free_aligned(ctx, walk->memory);
    tw_free(ctx, walk->rows);
    tw_free(ctx, walk);
}

int64_t tw_sde_row(const tw_sde *sde, int64_t at)
{
    return sde->walk ? sde->walk->rows[at].row : at;
}

/* --- where rows stand --------------------------------------------------------------------------------------------- */

static double time_of(const standing *s, int64_t place)
{
    int64_t all = (int64_t)1 << s->level;
    return place == all ? s->end : s->begin + (s->end - s->begin) * ((double)place / (double)all);
}

static double length_of(const standing *s, int level)
{
    return fabs(s->end - s->begin) / (double)((int64_t)1 << level);
}

/* To steps no longer than wished. Doubled only where it began, so that they stay nested. */
static void plan(standing *s)
{
    while (s->level > 0 && s->place % 2 == 0 && length_of(s, s->level - 1) <= s->wish) s->level--, s->place /= 2;
    while (s->level <= LEVELS && length_of(s, s->level) > s->wish) s->level++, s->place *= 2;
}

/* Begins a segment where the last one ended; the row leaves when there is none. */
static void next_segment(const tw_sde *sde, const tw_sde_out *out, standing *s)
{
    double direction = sde->times[sde->steps] < sde->times[0] ? -1 : 1;
    s->place = s->level = 0;
    s->begin = s->end;
    if (s->begin == sde->times[s->given + 1] && ++s->given == sde->steps) {
        s->leaving = true;
        return;
    }
    s->end = sde->times[s->given + 1];
    if (s->asked < out->times_count && direction * (s->end - out->times[s->asked]) > 0) s->end = out->times[s->asked];
    plan(s);
}

/* States asked for where a segment ends. */
static void save(const tw_sde *sde, const tw_sde_out *out, int64_t first, int64_t total, standing *s, const double *x)
{
    for (; s->asked < out->times_count && out->times[s->asked] == s->end; s->asked++)
        memcpy(out->states + (s->asked * total + first + s->row) * sde->columns, x,
               (size_t)sde->columns * sizeof(double));
}

/* --- a step and its halves -----------------------------------------------------------------------------------------
 */

static void find_noise(tw_sde *sde, bool areas)
{
    tw_sde_walk *walk = sde->walk;
    for (int64_t a = 0; a < sde->rows; a++) {
        const standing *s = &walk->rows[a];
        int64_t at = a * sde->noises, row = sde->row + s->row;
        walk->from[a] = time_of(s, s->place);
        walk->to[a] = time_of(s, s->place + 1);
        walk->at[a] = walk->from[a] + 0.5 * (walk->to[a] - walk->from[a]);
        const double ends[] = {walk->from[a], walk->at[a], walk->to[a]};
        for (int half = 0; half < 2; half++)
            tw_brownian_increment(sde->brownian, row, 1, ends[half], ends[half + 1], walk->w[half] + at,
                                  areas ? walk->area[half] + at : NULL);
    }
}

/* From `from` to `to`, driven by w and areas, to sde->z. */
static tw_status step(tw_sde *sde, const bool needed[TW_CONTROLS], const double *from, const double *to,
                      const double *x)
{
    sde->from = from;
    sde->to = to;
    for (int64_t a = 0; a < sde->rows; a++)
        tw_sde_fill_controls(sde, needed, to[a] - from[a], a * sde->noises, sde->noises);
    tw_status status = tw_sde_step(sde, 0, 0, x);
    sde->from = sde->to = NULL;
    return status;
}

/* The whole step to walk->whole, both halves to sde->z. */
static tw_status try_steps(tw_sde *sde)
{
    tw_sde_walk *walk = sde->walk;
    int64_t motions = sde->rows * sde->noises, states = sde->rows * sde->columns;
    double *w = sde->control[TW_CONTROL_W], *area = sde->control[TW_CONTROL_AREA];
    bool needed[TW_CONTROLS];
    tw_status status = TW_OK;
    tw_sde_needs(sde, sde->tableau, needed);
    bool areas = needed[TW_CONTROL_AREA];
    find_noise(sde, areas);
    for (int64_t i = 0; i < motions; i++) w[i] = walk->w[0][i] + walk->w[1][i];
    for (int64_t i = 0; areas && i < motions; i++)
        area[i] = (walk->w[0][i] - walk->w[1][i]) / 4 + (walk->area[0][i] + walk->area[1][i]) / 2;
    TW_TRY(step(sde, needed, walk->from, walk->to, walk->y));
    memcpy(walk->whole, sde->z, (size_t)states * sizeof(double));
    for (int half = 0; half < 2; half++) {
        memcpy(w, walk->w[half], (size_t)motions * sizeof(double));
        if (areas) memcpy(area, walk->area[half], (size_t)motions * sizeof(double));
        if (half == 0)
            TW_TRY(step(sde, needed, walk->from, walk->at, walk->y));
        else
            TW_TRY(step(sde, needed, walk->at, walk->to, walk->middle));
        if (half == 0) memcpy(walk->middle, sde->z, (size_t)states * sizeof(double));
    }
done:
    return status;
}

/* Root mean square of the difference over the tolerance. */
static double error_ratio(const tw_sde *sde, int64_t a)
{
    const tw_sde_walk *walk = sde->walk;
    double sum = 0;
    for (int64_t i = a * sde->columns; i < (a + 1) * sde->columns; i++) {
        double size = fmax(fabs(walk->y[i]), fabs(sde->z[i]));
        double off = walk->whole[i] - sde->z[i]; /* 0 of a size of 0 at atol = 0 is no error */
        double r = off == 0 ? 0 : off / (walk->atol + walk->rtol * size);
        sum += r * r + 0 * sde->z[i];
    }
    return sqrt(sum / sde->columns);
}

static void judge(tw_sde *sde, int64_t a)
{
    tw_sde_walk *walk = sde->walk;
    standing *s = &walk->rows[a];
    double ratio = error_ratio(sde, a), factor = LEAST, power = walk->exponent;
    s->tries++;
    s->fresh = ratio <= 1;
    if (s->fresh) {
        s->steps++;
        factor = SAFETY * pow(fmax(ratio, 1e-12), -(P_COEFF + I_COEFF) * power) * pow(s->before, P_COEFF * power);
        factor = fmin(MOST, fmax(LEAST, factor));
        s->before = fmax(ratio, 1e-4);
    } else if (isfinite(ratio)) {
        factor = fmin(0.5, fmax(LEAST, SAFETY * pow(ratio, -power)));
    }
    s->wish = length_of(s, s->level) * factor;
}

/* --- all -----------------------------------------------------------------------------------------------------------
 */

static void give_up(tw_sde *sde, const standing *s, double t)
{
    if (s->level > LEVELS)
        tw_sde_break(sde, s->row, t, "a step too small to go on");
    else
        tw_sde_break(sde, s->row, t, "max_steps reached");
}

/* Goes on with the rows that are not done. */
static void compact(tw_sde *sde, double *x)
{
    tw_sde_walk *walk = sde->walk;
    size_t bytes = (size_t)sde->columns * sizeof(double);
    int64_t kept = 0;
    for (int64_t a = 0; a < sde->rows; a++) {
        const standing *s = &walk->rows[a];
        if (s->leaving) {
            memcpy(x + s->row * sde->columns, walk->y + a * sde->columns, bytes);
            sde->stats.steps = tw_max_i64(sde->stats.steps, s->steps);
            sde->stats.accepted += s->steps;
            sde->stats.rejected += s->tries - s->steps;
        } else if (kept++ < a) {
            walk->rows[kept - 1] = *s;
            memmove(walk->y + (kept - 1) * sde->columns, walk->y + a * sde->columns, bytes);
        }
    }
    sde->rows = kept;
}

tw_status tw_sde_walk_block(tw_sde *sde, const tw_sde_out *out, int64_t first, int64_t total, double *x)
{
    tw_sde_walk *walk = sde->walk;
    int64_t rows = sde->rows, columns = sde->columns;
    tw_status status = TW_OK;
    memcpy(walk->y, x, (size_t)(rows * columns) * sizeof(double));
    for (int64_t r = 0; r < rows; r++) {
        standing *s = &walk->rows[r];
        *s = (standing){.row = r, .given = -1, .end = sde->times[0], .wish = INFINITY, .before = 1};
        save(sde, out, first, total, s, walk->y + r * columns);
        next_segment(sde, out, s);
    }
    while (sde->rows > 0) {
        TW_TRY(try_steps(sde));
        for (int64_t a = 0; a < sde->rows; a++) {
            standing *s = &walk->rows[a];
            double t = walk->from[a];
            judge(sde, a);
            if (s->fresh) {
                memcpy(walk->y + a * columns, sde->z + a * columns, (size_t)columns * sizeof(double));
                s->place++;
            }
            if (s->place == (int64_t)1 << s->level) {
                save(sde, out, first, total, s, walk->y + a * columns);
                next_segment(sde, out, s);
            } else {
                plan(s);
            }
            if (s->leaving || (s->level <= LEVELS && s->tries < walk->max_steps)) continue;
            give_up(sde, s, t);
            s->leaving = true;
        }
        compact(sde, x);
    }
done:
    sde->rows = rows;
    return status;
}
