/* solve/edit_run.c - see edit_run.h. */
#include "solve/edit_run.h"

#include "solve/jump_draw.h"

#include <math.h>
#include <string.h>

struct tw_edit_chain {
    tw_context *ctx;
    tw_edit_path path;
    double tolerance;
    tw_jump_shape shape;
    uint64_t seed;
    int64_t rows;
    int width;
    /* per row */
    double *left, *t; /* left: 1 - kappa; t: of those that are asked for, as row, x and said are */
    int64_t *row;
    int32_t *x;
    float *said;
    /* of one row: what tw_edit_step takes, where it writes, and probabilities of tokens */
    float *rate[TW_EDIT_KINDS], *weight[2];
    int32_t *next;
    double *p, *scratch;
};

tw_status tw_edit_chain_create(tw_context *ctx, const tw_edit_chain_desc *desc, int64_t rows, int width,
                               tw_edit_chain **out_chain)
{
    tw_status status = TW_OK;
    tw_edit_chain *c = NULL;
    if (!(desc->tolerance >= 0 && desc->tolerance < 1))
        return tw_fail(ctx, TW_ERR_INVALID, "edits: a tolerance of %g, expected 0 to 1", desc->tolerance);
    if (!(desc->temperature >= 0) || !(desc->top_p >= 0 && desc->top_p <= 1) || desc->top_k < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "edits: temperature %g, top_k %d, top_p %g: expected numbers from 0 on",
                       desc->temperature, desc->top_k, desc->top_p);
    c = tw_alloc(ctx, 1, sizeof *c);
    if (!c) return tw_fail_memory(ctx, sizeof *c);
    size_t slots = (size_t)width + 1, symbols = (size_t)desc->path->symbols, count = (size_t)rows;
    *c = (tw_edit_chain){.ctx = ctx,
                         .path = *desc->path,
                         .tolerance = desc->tolerance,
                         .shape = {.temperature = desc->temperature > 0 ? desc->temperature : 1,
                                   .top_p = desc->top_p > 0 ? desc->top_p : 1,
                                   .top_k = desc->top_k},
                         .seed = desc->seed,
                         .rows = rows,
                         .width = width};
    size_t said = count * slots * (size_t)tw_edit_outputs(desc->path);
    bool there = (c->left = tw_alloc(ctx, count, sizeof(double))) && (c->t = tw_alloc(ctx, count, sizeof(double))) &&
                 (c->row = tw_alloc(ctx, count, sizeof(int64_t))) &&
                 (c->x = tw_alloc(ctx, count * (size_t)width, sizeof(int32_t))) &&
                 (c->said = tw_alloc(ctx, said, sizeof(float))) && (c->next = tw_alloc(ctx, slots, sizeof(int32_t))) &&
                 (c->p = tw_alloc(ctx, symbols, sizeof(double))) &&
                 (c->scratch = tw_alloc(ctx, symbols, sizeof(double)));
    for (int i = 0; there && i < TW_EDIT_KINDS; i++) there = (c->rate[i] = tw_alloc(ctx, slots, sizeof(float))) != NULL;
    for (int i = 0; there && i < 2; i++) there = (c->weight[i] = tw_alloc(ctx, slots * symbols, sizeof(float))) != NULL;
    if (!there) TW_TRY(tw_fail_memory(ctx, said * sizeof(float)));
    *out_chain = c;
    c = NULL;
done:
    tw_edit_chain_destroy(c);
    return status;
}

void tw_edit_chain_destroy(tw_edit_chain *c)
{
    if (!c) return;
    tw_context *ctx = c->ctx;
    tw_free(ctx, c->left);
    tw_free(ctx, c->t);
    tw_free(ctx, c->row);
    tw_free(ctx, c->x);
    tw_free(ctx, c->said);
    for (int i = 0; i < TW_EDIT_KINDS; i++) tw_free(ctx, c->rate[i]);
    for (int i = 0; i < 2; i++) tw_free(ctx, c->weight[i]);
    tw_free(ctx, c->next);
    tw_free(ctx, c->p);
    tw_free(ctx, c->scratch);
    tw_free(ctx, c);
}

static int32_t length_of(const tw_edit_chain *c, const int32_t *x)
{
    int32_t length = 0;
    while (length < c->width && x[length] < c->path.symbols) length++;
    return length;
}

/* --- one row ------------------------------------------------------------------------------------------------------ */

/* What is expected of a slot, by kinds; tokens that are held stay. False when it is no number. */
static bool expected_of(const tw_edit_chain *c, const float *said, int64_t slot, int32_t held, double out[TW_EDIT_KINDS])
{
    bool fine = true;
    for (int kind = 0; kind < TW_EDIT_KINDS; kind++) {
        bool never = kind == TW_EDIT_INSERT ? slot < held : slot <= held; /* slot 0 holds no token */
        out[kind] = kind < tw_edit_kinds(&c->path) && !never ? exp((double)said[kind]) : 0;
        fine = fine && isfinite(out[kind]);
    }
    return fine;
}

/* The rate by which something happens within a unit of time with this probability. */
static float rate_of(double probability)
{
    const double surely = 60;
    return (float)(probability < 1 ? fmin(-log1p(-probability), surely) : surely);
}

/* What tokens are drawn by at a slot; false where no logit is a number. */
static bool weigh(tw_edit_chain *c, const float *logits, float *out)
{
    double sum = tw_jump_probabilities(&c->shape, c->path.symbols, logits, c->p, c->scratch);
    for (int k = 0; k < c->path.symbols; k++) out[k] = (float)(c->p[k] / sum);
    return sum > 0;
}

typedef struct row_move {
    const float *said; /* (length + 1, outputs) */
    int32_t *x;
    int32_t length, held;
    int64_t step, number; /* number: of the row */
} row_move;

/* Sum of what is expected of a row. */
static tw_status expect(tw_edit_chain *c, const row_move *m, double *out)
{
    const int64_t outputs = tw_edit_outputs(&c->path);
    *out = 0;
    for (int64_t slot = 0; slot <= m->length; slot++) {
        double expected[TW_EDIT_KINDS];
        if (!expected_of(c, m->said + slot * outputs, slot, m->held, expected)) return TW_ERR_NUMERIC;
        for (int kind = 0; kind < TW_EDIT_KINDS; kind++) *out += expected[kind];
    }
    return TW_OK;
}

/* A token may go or become another, one of both: that it does is decided together. */
static tw_status fill_rates(tw_edit_chain *c, const row_move *m, double share)
{
    const int kinds = tw_edit_kinds(&c->path), symbols = c->path.symbols;
    for (int64_t slot = 0; slot <= m->length; slot++) {
        double expected[TW_EDIT_KINDS];
        const float *said = m->said + slot * tw_edit_outputs(&c->path);
        if (!expected_of(c, said, slot, m->held, expected)) return TW_ERR_NUMERIC;
        double gone = expected[TW_EDIT_DELETE], other = expected[TW_EDIT_SUBSTITUTE], both = gone + other;
        float changed = rate_of(both * share);
        c->rate[TW_EDIT_INSERT][slot] = rate_of(expected[TW_EDIT_INSERT] * share);
        c->rate[TW_EDIT_DELETE][slot] = both > 0 ? changed * (float)(gone / both) : 0;
        c->rate[TW_EDIT_SUBSTITUTE][slot] = both > 0 ? changed * (float)(other / both) : 0;
        if (!weigh(c, said + kinds, c->weight[0] + slot * symbols)) return TW_ERR_NUMERIC;
        if (kinds > 1 && !weigh(c, said + kinds + symbols, c->weight[1] + slot * symbols)) return TW_ERR_NUMERIC;
    }
    return TW_OK;
}

static tw_status move_row(tw_edit_chain *c, const row_move *m, double share, int32_t *edits)
{
    tw_status status = fill_rates(c, m, share);
    if (status != TW_OK) return status;
    int32_t length = m->length, made = 0;
    tw_sequences from = {1, c->width, m->x, &length}, to = {1, c->width, c->next, &made};
    tw_edit_rates rates = {.symbols = c->path.symbols,
                           .insert = c->rate[TW_EDIT_INSERT],
                           .remove = c->rate[TW_EDIT_DELETE],
                           .substitute = c->rate[TW_EDIT_SUBSTITUTE],
                           .insert_weight = c->weight[0],
                           .substitute_weight = tw_edit_kinds(&c->path) > 1 ? c->weight[1] : NULL};
    tw_edit_stats stats = {0};
    status = tw_edit_step(c->ctx, &rates, 1, c->seed, m->step, m->number, &from, &to, &stats);
    if (status != TW_OK) return status;
    for (int64_t i = 0; i < c->width; i++) m->x[i] = i < made ? c->next[i] : c->path.symbols;
    for (int kind = 0; edits && kind < TW_EDIT_KINDS; kind++) *edits += (int32_t)stats.edits[kind];
    return TW_OK;
}

/* A step towards the time at which `goal` is left, as far as the tolerance lets it go. What is left when next to nothing
 * is comes at once: a model may expect edits for ever. */
static tw_status advance(tw_edit_chain *c, const row_move *m, double goal, double *left, int32_t *edits)
{
    const double next_to_nothing = 1e-9;
    double expected, share = 1 - goal / *left;
    tw_status status = expect(c, m, &expected);
    if (status != TW_OK) return status;
    bool limited = c->tolerance > 0 && expected * share > c->tolerance && *left > next_to_nothing;
    if (limited) share = c->tolerance / expected;
    *left = limited ? *left * (1 - share) : goal;
    return move_row(c, m, share, edits);
}

/* --- a block ------------------------------------------------------------------------------------------------------ */

/* The time at which so much is left. */
static double time_of(const tw_edit_chain *c, double left)
{
    const tw_token_path mixture = {.symbols = 1, .states = 2, .schedule = c->path.schedule};
    return tw_token_time(&mixture, -log(left));
}

/* Asks the model about the rows of which more is left than at the end; *out_count of them. */
static tw_status ask(tw_edit_chain *c, double end, double t, tw_logits_fn model, void *user, int64_t rows,
                     const int32_t *x, int64_t *out_count, tw_jump_stats *stats)
{
    int64_t count = 0;
    for (int64_t r = 0; r < rows; r++) {
        if (c->left[r] <= end) continue;
        c->row[count] = r;
        c->t[count] = c->tolerance > 0 ? time_of(c, c->left[r]) : t;
        memcpy(c->x + count * c->width, x + r * c->width, (size_t)c->width * sizeof *x);
        count++;
    }
    *out_count = count;
    if (count == 0) return TW_OK;
    stats->nfe++;
    stats->calls++;
    stats->evaluations += count;
    return model(user, count, c->row, c->t, c->x, c->said);
}

tw_status tw_edit_chain_run(tw_edit_chain *c, const tw_jump_leg *leg, tw_logits_fn model, void *user, int64_t rows,
                            int32_t *x, const int32_t *held, int32_t *edits, tw_jump_stats *stats)
{
    const int64_t said = (int64_t)(c->width + 1) * tw_edit_outputs(&c->path);
    const double begin = tw_schedule_at(c->path.schedule, leg->t0).sigma;
    const double end = leg->t1 < 1 ? tw_schedule_at(c->path.schedule, leg->t1).sigma : 0;
    double t = leg->t0;
    for (int64_t r = 0; r < rows; r++) c->left[r] = begin;
    for (int64_t step = 0;; step++) {
        int64_t count, steps = leg->steps;
        bool last = c->tolerance == 0 && step + 1 >= steps;
        double next = last ? leg->t1 : leg->t0 + (leg->t1 - leg->t0) * (double)(step + 1) / (double)steps;
        double goal = c->tolerance > 0 || last ? end : tw_schedule_at(c->path.schedule, next).sigma;
        if (step >= TW_JUMP_STEPS) return TW_ERR_UNSUPPORTED;
        tw_status status = ask(c, end, t, model, user, rows, x, &count, stats);
        if (status != TW_OK || count == 0) return status;
        for (int64_t i = 0; i < count; i++) {
            int64_t r = c->row[i];
            row_move m = {.said = c->said + i * said,
                          .x = x + r * c->width,
                          .length = length_of(c, x + r * c->width),
                          .held = held ? held[r] : 0,
                          .step = (int64_t)leg->number * TW_JUMP_STEPS + step,
                          .number = leg->first_row + r};
            status = advance(c, &m, goal, &c->left[r], edits ? &edits[r] : NULL);
            if (status != TW_OK) return status;
        }
        t = next;
    }
}
