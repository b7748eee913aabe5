/* solve/edit_step.c - a step of a chain that inserts, deletes and substitutes: every slot on its own (tau-leaping;
 * Havasi et al. 2025, Edit flows, section 3.3, whose probabilities h rate are the first terms of ours). */
#include <thalweg/edit.h>

#include "base/base.h"
#include "base/philox.h"
#include "base/streams.h"

#include <math.h>

enum { DRAWS = 4 * 2 }; /* of 32 bits, of each slot: insert? which? change? which? */

/* A symbol drawn by weight. */
static int32_t draw_symbol(const float *weight, int symbols, double u)
{
    if (!weight) return (int32_t)(u * symbols);
    double sum = 0;
    for (int k = 0; k < symbols; k++) sum += (double)weight[k];
    double left = u * sum;
    int32_t last = 0;
    for (int32_t k = 0; k < symbols; k++) {
        if (!(weight[k] > 0)) continue;
        last = k;
        left -= (double)weight[k];
        if (left < 0) break;
    }
    return last;
}

static double rate_at(const float *rate, int64_t at)
{
    return rate ? (double)rate[at] : 0;
}

static bool happens(double rate, double h, double u)
{
    return u < -expm1(-h * rate);
}

/* A row being written. */
typedef struct output {
    int32_t *token;
    int64_t count, width;
} output;

static tw_status check_rate(tw_context *ctx, double rate, int64_t row, int64_t slot)
{
    if (rate >= 0 && isfinite(rate)) return TW_OK;
    return tw_fail(ctx, TW_ERR_NUMERIC, "edits: a rate of %g at row %lld, slot %lld", rate, (long long)row,
                   (long long)slot);
}

/* What becomes of the token of a slot: TW_BLANK when it goes. */
static int32_t change(const tw_edit_rates *rates, int64_t at, double h, tw_random random, int32_t token,
                      tw_edit_stats *stats)
{
    double gone = rate_at(rates->remove, at), other = rate_at(rates->substitute, at);
    if (!happens(gone + other, h, tw_random_uniform(&random))) return token;
    double which = tw_random_uniform(&random) * (gone + other);
    if (which < gone) {
        stats->edits[TW_EDIT_DELETE]++;
        return TW_BLANK;
    }
    /* what is left of the draw is uniform again */
    double u = other > 0 ? fmin((which - gone) / other, 1 - 0x1p-53) : 0;
    const float *weight = rates->substitute_weight ? rates->substitute_weight + at * rates->symbols : NULL;
    int32_t drawn = draw_symbol(weight, rates->symbols, u);
    stats->edits[TW_EDIT_SUBSTITUTE] += drawn != token;
    return drawn;
}

/* Draws of a row in a step. */
static tw_random row_random(uint64_t seed, int64_t step, int64_t row)
{
    tw_philox_block key = {{(uint32_t)row, (uint32_t)((uint64_t)row >> 32), (uint32_t)step, TW_STREAM_EDIT}};
    key = tw_philox(key, (uint32_t)seed, (uint32_t)(seed >> 32));
    return (tw_random){.seed = (uint64_t)key.word[1] << 32 | key.word[0], .stream = TW_STREAM_EDIT};
}

tw_status tw_edit_step(tw_context *ctx, const tw_edit_rates *rates, double h, uint64_t seed, int64_t step,
                       int64_t first_row, const tw_sequences *from, tw_sequences *to, tw_edit_stats *stats)
{
    if (to->rows != from->rows || rates->symbols < 1)
        return tw_fail(ctx, TW_ERR_SHAPE, "edits: %lld rows over %d symbols into %lld rows", (long long)from->rows,
                       rates->symbols, (long long)to->rows);
    for (int64_t r = 0; r < from->rows; r++) {
        output out = {to->token + r * to->width, 0, to->width};
        for (int64_t slot = 0; slot <= from->length[r]; slot++) {
            int64_t at = r * (from->width + 1) + slot;
            double insert = rate_at(rates->insert, at);
            tw_random random = row_random(seed, step, first_row + r);
            random.index = (uint64_t)slot * DRAWS;
            tw_status status = check_rate(ctx, insert, r, slot);
            if (status == TW_OK && slot)
                status = check_rate(ctx, rate_at(rates->remove, at) + rate_at(rates->substitute, at), r, slot);
            if (status != TW_OK) return status;
            bool inserts = happens(insert, h, tw_random_uniform(&random));
            double which = tw_random_uniform(&random);
            if (slot) {
                int32_t token = change(rates, at, h, random, from->token[r * from->width + slot - 1], stats);
                if (token != TW_BLANK && out.count < out.width) out.token[out.count++] = token;
            }
            if (!inserts) continue;
            /* tokens that are there go first: room is kept for those that still follow */
            if (out.count + from->length[r] - slot >= out.width) {
                stats->refused++;
                continue;
            }
            const float *weight = rates->insert_weight ? rates->insert_weight + at * rates->symbols : NULL;
            out.token[out.count++] = draw_symbol(weight, rates->symbols, which);
            stats->edits[TW_EDIT_INSERT]++;
        }
        to->length[r] = (int32_t)out.count;
    }
    return TW_OK;
}
