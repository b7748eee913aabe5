/* solve/jump.c - making, running and freeing a solver of jumping tokens: see jump.h. */
#include "solve/jump_inside.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

static const tw_jump_method methods[] = {
#define TW_JUMP(name, about, source, evaluations, one_by_one)                                                          \
    {{#name, about, source, NULL}, evaluations, one_by_one, tw_jump_##name},
#include "solve/jumps.def"
};

const tw_piece_info *tw_jump_list(int index)
{
    return index >= 0 && index < TW_COUNT(methods) ? &methods[index].info : NULL;
}

/* --- what is asked for ------------------------------------------------------------------------------------------- */

static tw_status check_range(tw_context *ctx, const char *what, double value, double low, double high)
{
    if (value >= low && value <= high) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID, "%s is %g, expected %g to %g", what, value, low, high);
}

static tw_status check_together(tw_context *ctx, const tw_jump *jump)
{
    const tw_jump_desc *d = &jump->desc;
    const tw_token_path *path = &jump->path;
    const char *name = jump->method->info.name;
    bool masks = path->states > path->symbols, renews = d->refresh[0] > 0 || d->remask > 0;
    if (jump->method->one_by_one && (!masks || path->noise > 0 || renews))
        return tw_fail(ctx, TW_ERR_INVALID,
                       "solver %s unmasks token by token: it needs a source that masks, and no noise and no corrector",
                       name);
    if (jump->method->step == tw_jump_tau_leaping && renews)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "solver tau_leaping has no corrector: euler, midpoint and trapezoidal have");
    if (d->tolerance > 0 && jump->method->step != tw_jump_euler)
        return tw_fail(ctx, TW_ERR_INVALID, "solver %s takes steps, not a tolerance; euler does", name);
    if (d->remask > 0 && !masks)
        return tw_fail(ctx, TW_ERR_INVALID, "remasking needs a source that masks; other sources have a refresh rate");
    return TW_OK;
}

/* Ranges, defaults, and what follows from them. */
static tw_status describe(tw_context *ctx, const tw_jump_desc *desc, tw_jump *jump)
{
    const tw_piece_info *info = NULL;
    tw_status status = TW_OK;
    jump->desc = *desc;
    jump->path = *desc->path;
    TW_TRY(tw_piece_find(ctx, "solver", desc->method ? desc->method : methods[0].info.name, tw_jump_list, &info));
    jump->method = (const tw_jump_method *)info;
    jump->shape = (tw_jump_shape){.temperature = desc->temperature == 0 ? 1 : desc->temperature,
                                  .top_p = desc->top_p == 0 ? 1 : desc->top_p,
                                  .top_k = desc->top_k};
    TW_TRY(check_range(ctx, "temperature", jump->shape.temperature, 1e-3, 1e3));
    TW_TRY(check_range(ctx, "top_p", jump->shape.top_p, 1e-9, 1));
    TW_TRY(check_range(ctx, "top_k", desc->top_k, 0, INT32_MAX));
    TW_TRY(check_range(ctx, "the tolerance of jumps", desc->tolerance, 0, 0.999));
    TW_TRY(check_range(ctx, "the refresh rate", desc->refresh[0], 0, 1e6));
    TW_TRY(check_range(ctx, "the power of t in the refresh rate", desc->refresh[1], 0, 100));
    TW_TRY(check_range(ctx, "the power of 1 - t in the refresh rate", desc->refresh[2], 0, 100));
    TW_TRY(check_range(ctx, "the probability of remasking", desc->remask, 0, 1));
    TW_TRY(check_together(ctx, jump));
    jump->waits = !jump->path.distance && jump->method->step == tw_jump_euler && desc->tolerance == 0 &&
                  desc->refresh[0] == 0 && desc->remask == 0;
    double jumps = jump->tokens / fmax(desc->tolerance, 1e-12), least = tw_token_least_distance(&jump->path);
    jump->end_clock = (jump->path.distance ? log(jumps * jump->path.symbols) : log(jumps)) / least;
done:
    return status;
}

/* --- memory ------------------------------------------------------------------------------------------------------ */

static tw_status alloc(tw_jump *jump)
{
    tw_context *ctx = jump->ctx;
    size_t rows = (size_t)jump->block, elements = rows * (size_t)jump->tokens, states = (size_t)jump->path.states;
    size_t answers = elements * (size_t)jump->path.symbols;
    bool two = jump->method->evaluations > 1;
    jump->x = tw_alloc(ctx, elements, sizeof(int32_t));
    jump->half = tw_alloc(ctx, two ? elements : 1, sizeof(int32_t));
    jump->held = tw_alloc(ctx, elements, 1);
    jump->logits = tw_alloc(ctx, answers, sizeof(float));
    jump->early = tw_alloc(ctx, two ? answers : 1, sizeof(float));
    jump->t = tw_alloc(ctx, rows, sizeof(double));
    jump->s = tw_alloc(ctx, rows, sizeof(double));
    jump->t_half = tw_alloc(ctx, rows, sizeof(double));
    jump->index = tw_alloc(ctx, rows, sizeof(int64_t));
    jump->row = tw_alloc(ctx, rows, sizeof(int64_t));
    jump->nfe = tw_alloc(ctx, rows, sizeof(int64_t));
    jump->step = tw_alloc(ctx, rows, sizeof(uint32_t));
    jump->p = tw_alloc(ctx, states, sizeof(double));
    jump->q = tw_alloc(ctx, states, sizeof(double));
    jump->scratch = tw_alloc(ctx, 3 * states, sizeof(double));
    bool made = jump->x && jump->half && jump->held && jump->logits && jump->early && jump->t && jump->s &&
                jump->t_half && jump->index && jump->row && jump->nfe && jump->step && jump->p && jump->q &&
                jump->scratch;
    return made ? TW_OK : tw_fail_memory(ctx, answers * sizeof(float));
}

tw_status tw_jump_create(tw_context *ctx, const tw_jump_desc *desc, int64_t rows, int tokens, tw_jump **out_jump)
{
    tw_status status = TW_OK;
    tw_jump *jump = tw_alloc(ctx, 1, sizeof(*jump));
    if (!jump) return tw_fail_memory(ctx, sizeof(*jump));
    jump->ctx = ctx;
    jump->block = rows;
    jump->tokens = tokens;
    TW_TRY(describe(ctx, desc, jump));
    TW_TRY(alloc(jump));
    *out_jump = jump;
    jump = NULL;
done:
    tw_jump_destroy(jump);
    return status;
}

void tw_jump_destroy(tw_jump *jump)
{
    if (!jump) return;
    void *const memory[] = {jump->x,   jump->half, jump->held,   jump->logits, jump->early,
                            jump->t,   jump->s,    jump->t_half, jump->index,  jump->row,
                            jump->nfe, jump->step, jump->p,      jump->q,      jump->scratch};
    for (int i = 0; i < TW_COUNT(memory); i++) tw_free(jump->ctx, memory[i]);
    tw_free(jump->ctx, jump);
}

/* --- a run ------------------------------------------------------------------------------------------------------- */

tw_status tw_jump_ask(tw_jump *jump, const double *t, const int32_t *x, float *out_logits)
{
    for (int64_t a = 0; a < jump->active; a++) jump->row[a] = jump->first + jump->index[a];
    tw_status status = jump->model(jump->user, jump->active, jump->row, t, x, out_logits);
    jump->stats.calls++;
    jump->stats.evaluations += jump->active;
    for (int64_t a = 0; a < jump->active; a++) {
        jump->nfe[a]++;
        jump->stats.nfe = tw_max_i64(jump->stats.nfe, jump->nfe[a]);
    }
    return status;
}

/* The integral of the rate over a step, for refresh held at its middle, is c log(expm1 tau(s) / expm1 tau(t)): finite
 * or not, a probability. Clocks may be too large for expm1. */
double tw_jump_renewal(const tw_jump *jump, double t, double s)
{
    const double *c = jump->desc.refresh;
    double middle = 0.5 * (t + s), keeps = 1;
    if (c[0] > 0) {
        double weight = c[0] * pow(middle, c[1]) * pow(1 - middle, c[2]);
        double before = tw_token_clock(&jump->path, t), after = tw_token_clock(&jump->path, s);
        if (after > before) keeps = pow(exp(before - after) * expm1(-before) / expm1(-after), weight);
    }
    if (jump->desc.remask > 0) keeps *= 1 - fmin(jump->desc.remask * exp(tw_token_clock(&jump->path, s)), 1);
    return 1 - keeps;
}

static double step_end(const tw_jump *jump, uint32_t step)
{
    const tw_jump_leg *leg = jump->leg;
    int64_t next = (int64_t)step + 1;
    if (next >= leg->steps) return leg->t1;
    return leg->t0 + (leg->t1 - leg->t0) * (double)next / (double)leg->steps;
}

/* When the first of the tokens left is due: each is after an exponential length of clock. From left to right it is when
 * as many are left on average. */
static double next_hit(const tw_jump *jump, int64_t a, int left)
{
    tw_jump_dice dice = tw_jump_dice_of(jump, a, 0);
    if (jump->method->step == tw_jump_left_to_right)
        return tw_token_time(&jump->path, log((double)jump->tokens / left));
    double wait = -log(tw_jump_uniform(&dice, UINT32_MAX, TW_JUMP_STAY)) / left;
    return tw_token_time(&jump->path, tw_token_clock(&jump->path, jump->t[a]) + wait);
}

static bool any_jumps(const tw_jump *jump, int64_t a)
{
    double stay = tw_token_stay(&jump->path, jump->t[a], jump->s[a]);
    tw_jump_dice dice = tw_jump_dice_of(jump, a, 0);
    for (int i = 0; i < jump->tokens; i++)
        if (!tw_jump_known(jump, a, i, jump->x) && tw_jump_uniform(&dice, (uint32_t)i, TW_JUMP_STAY) >= stay)
            return true;
    return false;
}

/* Goes on until the model is needed; false: the row has arrived. */
static bool plan(tw_jump *jump, int64_t a)
{
    double end = jump->leg->t1;
    if (jump->method->one_by_one) {
        int left = 0;
        for (int i = 0; i < jump->tokens; i++) left += !tw_jump_known(jump, a, i, jump->x);
        if (left == 0) return false;
        jump->s[a] = next_hit(jump, a, left);
        /* there the model is asked */
        jump->t[a] = jump->s[a] < 1 ? jump->s[a] : nextafter(1, 0);
        return jump->s[a] < end || end >= 1;
    }
    while (jump->t[a] < end) {
        if (jump->desc.tolerance > 0) return true;
        jump->s[a] = step_end(jump, jump->step[a]);
        if (!jump->waits || any_jumps(jump, a)) return true;
        jump->t[a] = jump->s[a];
        jump->step[a]++;
    }
    return false;
}

static void move_row(tw_jump *jump, int64_t from, int64_t to)
{
    size_t tokens = (size_t)jump->tokens;
    if (from == to) return;
    memmove(jump->x + to * jump->tokens, jump->x + from * jump->tokens, tokens * sizeof(int32_t));
    memmove(jump->held + to * jump->tokens, jump->held + from * jump->tokens, tokens);
    jump->t[to] = jump->t[from];
    jump->s[to] = jump->s[from];
    jump->index[to] = jump->index[from];
    jump->nfe[to] = jump->nfe[from];
    jump->step[to] = jump->step[from];
}

/* Rows that have arrived are written out, the others close up. */
static void plan_rows(tw_jump *jump)
{
    int64_t kept = 0;
    for (int64_t a = 0; a < jump->active; a++) {
        if (plan(jump, a)) {
            move_row(jump, a, kept++);
            continue;
        }
        memcpy(jump->out + (jump->first + jump->index[a]) * jump->tokens, jump->x + a * jump->tokens,
               (size_t)jump->tokens * sizeof(int32_t));
    }
    jump->active = kept;
}

static tw_status run_block(tw_jump *jump, int64_t rows, const unsigned char *held)
{
    int64_t elements = rows * jump->tokens, begin = jump->first * jump->tokens;
    tw_status status = TW_OK;
    memcpy(jump->x, jump->out + begin, (size_t)elements * sizeof(int32_t));
    if (held)
        memcpy(jump->held, held + begin, (size_t)elements);
    else
        memset(jump->held, 0, (size_t)elements);
    for (int64_t a = 0; a < rows; a++) {
        jump->t[a] = jump->leg->t0;
        jump->index[a] = a;
        jump->nfe[a] = 0;
        jump->step[a] = 0;
    }
    jump->active = rows;
    for (plan_rows(jump); jump->active > 0; plan_rows(jump)) {
        TW_TRY(tw_jump_ask(jump, jump->t, jump->x, jump->logits));
        if (jump->desc.tolerance > 0) TW_TRY(tw_jump_choose_steps(jump));
        TW_TRY(jump->method->step(jump));
        for (int64_t a = 0; a < jump->active; a++) {
            jump->t[a] = jump->s[a];
            if (++jump->step[a] >= TW_JUMP_STEPS) return TW_ERR_UNSUPPORTED;
        }
    }
done:
    return status;
}

tw_status tw_jump_run(tw_jump *jump, const tw_jump_leg *leg, tw_logits_fn model, void *user, int64_t rows, int32_t *x,
                      const unsigned char *held, tw_jump_stats *stats)
{
    tw_status status = TW_OK;
    jump->leg = leg;
    jump->model = model;
    jump->user = user;
    jump->out = x;
    jump->stats = (tw_jump_stats){0};
    for (jump->first = 0; status == TW_OK && jump->first < rows; jump->first += jump->block)
        status = run_block(jump, tw_min_i64(jump->block, rows - jump->first), held);
    stats->nfe += jump->stats.nfe;
    stats->evaluations += jump->stats.evaluations;
    stats->calls += jump->stats.calls;
    return status;
}

void tw_token_source(const tw_token_path *path, uint64_t seed, int64_t first_row, int64_t rows, int tokens,
                     int32_t *out)
{
    tw_random random = {.seed = seed, .stream = TW_STREAM_JUMP + (1u << 8)};
    random.index = (uint64_t)first_row * (uint64_t)tokens * 2; /* words a uniform number takes */
    for (int64_t i = 0; i < rows * tokens; i++)
        out[i] = path->states > path->symbols
                     ? path->symbols
                     : (int32_t)fmin(tw_random_uniform(&random) * path->symbols, path->symbols - 1);
}
