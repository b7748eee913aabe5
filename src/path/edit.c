/* path/edit.c - the path of edit flows on the host: alignments, the point between two of them, the edits that remain
 * (Havasi et al. 2025, Edit flows, section 3). Distances: Wagner, Fischer 1974, The string-to-string correction
 * problem. */
#include <thalweg/edit.h>

#include "base/base.h"
#include "base/philox.h"
#include "base/streams.h"

#include <string.h>

/* Draws of a row: its own stretch of the stream. */
static tw_random row_random(uint64_t seed, uint32_t stream, int64_t step, int64_t rows, int64_t row)
{
    return (tw_random){.seed = seed, .stream = stream, .index = (uint64_t)(step * rows + row) << 24};
}

/* --- alignments --------------------------------------------------------------------------------------------------- */

enum { KEEP = 1, REMOVE = 2, INSERT = 4 }; /* moves that lead to a cell with fewest edits; KEEP also substitutes */

/* Fills the table of best moves, (n0 + 1, n1 + 1), and returns the distance; `last` and `here` are rows of n1 + 1.
 * moves NULL: the distance alone. */
static int64_t fill_moves(int64_t n0, const int32_t *x0, int64_t n1, const int32_t *x1, uint8_t *moves, int64_t *last,
                          int64_t *here)
{
    for (int64_t j = 0; j <= n1; j++) {
        here[j] = j;
        if (moves) moves[j] = INSERT;
    }
    for (int64_t i = 1; i <= n0; i++) {
        int64_t *swap = last;
        last = here;
        here = swap;
        here[0] = i;
        if (moves) moves[i * (n1 + 1)] = REMOVE;
        for (int64_t j = 1; j <= n1; j++) {
            int64_t keep = last[j - 1] + (x0[i - 1] != x1[j - 1]), remove = last[j] + 1, insert = here[j - 1] + 1;
            int64_t best = tw_min_i64(keep, tw_min_i64(remove, insert));
            here[j] = best;
            if (moves)
                moves[i * (n1 + 1) + j] = (uint8_t)((keep == best ? KEEP : 0) | (remove == best ? REMOVE : 0) |
                                                    (insert == best ? INSERT : 0));
        }
    }
    return here[n1];
}

static int choose(int moves, tw_random *random)
{
    if (!random) return moves & KEEP ? KEEP : moves & REMOVE ? REMOVE : INSERT;
    int options[3], count = 0;
    for (int move = KEEP; move <= INSERT; move *= 2)
        if (moves & move) options[count++] = move;
    return options[count > 1 ? tw_random_below(random, count) : 0];
}

static void reverse(int64_t length, int32_t *z)
{
    for (int64_t i = 0; i < length / 2; i++) {
        int32_t swap = z[i];
        z[i] = z[length - 1 - i];
        z[length - 1 - i] = swap;
    }
}

/* From the end of both back to their beginnings along best moves. */
static int64_t walk_back(int64_t n0, const int32_t *x0, int64_t n1, const int32_t *x1, const uint8_t *moves,
                         tw_random *random, int32_t *z0, int32_t *z1)
{
    int64_t i = n0, j = n1, length = 0;
    for (; i > 0 || j > 0; length++) {
        int move = choose(moves[i * (n1 + 1) + j], random);
        z0[length] = move == INSERT ? TW_BLANK : x0[--i];
        z1[length] = move == REMOVE ? TW_BLANK : x1[--j];
    }
    reverse(length, z0);
    reverse(length, z1);
    return length;
}

/* x with blanks in front of tokens drawn so that every choice of places is as likely as any other (Knuth's selection
 * sampling). */
static void pad(int64_t n, const int32_t *x, int64_t length, tw_random *random, int32_t *z)
{
    int64_t blanks = length - n, taken = 0;
    for (int64_t i = 0; i < length; i++) {
        bool blank = blanks > 0 && tw_random_below(random, length - i) < blanks;
        z[i] = blank ? TW_BLANK : x[taken];
        blanks -= blank;
        taken += !blank;
    }
}

static int64_t longest(const tw_sequences *s)
{
    int64_t length = 0;
    for (int64_t r = 0; r < s->rows; r++) length = tw_max_i64(length, s->length[r]);
    return length;
}

static tw_status check_align(tw_context *ctx, const tw_align_desc *desc, const tw_sequences *x0, const tw_sequences *x1,
                             const tw_sequences *z0, const tw_sequences *z1)
{
    int64_t n0 = longest(x0), n1 = longest(x1), need = desc->kind == TW_ALIGN_PADDING ? tw_max_i64(n0, n1) : n0 + n1;
    if (x1->rows != x0->rows || z0->rows != x0->rows || z1->rows != x0->rows)
        return tw_fail(ctx, TW_ERR_SHAPE, "alignment: rows %lld, %lld, %lld and %lld, expected as many of each",
                       (long long)x0->rows, (long long)x1->rows, (long long)z0->rows, (long long)z1->rows);
    if (tw_min_i64(z0->width, z1->width) < need)
        return tw_fail(ctx, TW_ERR_SHAPE, "alignment: rows of %lld and %lld tokens need a width of %lld, not %lld",
                       (long long)n0, (long long)n1, (long long)need, (long long)tw_min_i64(z0->width, z1->width));
    return TW_OK;
}

tw_status tw_edit_align(tw_context *ctx, const tw_align_desc *desc, const tw_sequences *x0, const tw_sequences *x1,
                        tw_sequences *z0, tw_sequences *z1)
{
    tw_status status = check_align(ctx, desc, x0, x1, z0, z1);
    if (status != TW_OK) return status;
    bool shortest = desc->kind == TW_ALIGN_LEVENSHTEIN;
    int64_t n0 = longest(x0), n1 = longest(x1);
    uint8_t *moves = shortest ? tw_alloc(ctx, (size_t)(n0 + 1), (size_t)(n1 + 1)) : NULL;
    int64_t *costs = shortest ? tw_alloc(ctx, (size_t)(n1 + 1), 2 * sizeof(int64_t)) : NULL;
    if (shortest && (!moves || !costs)) {
        status = tw_fail_memory(ctx, (size_t)(n0 + 1) * (size_t)(n1 + 1));
        goto done;
    }
    for (int64_t r = 0; r < x0->rows; r++) {
        int64_t a = x0->length[r], b = x1->length[r], length = tw_max_i64(a, b);
        const int32_t *from = x0->token + r * x0->width, *to = x1->token + r * x1->width;
        int32_t *out0 = z0->token + r * z0->width, *out1 = z1->token + r * z1->width;
        tw_random random = row_random(desc->seed, TW_STREAM_ALIGN, desc->step, x0->rows, r);
        if (shortest) {
            fill_moves(a, from, b, to, moves, costs, costs + n1 + 1);
            length = walk_back(a, from, b, to, moves, desc->draw_ties ? &random : NULL, out0, out1);
        } else {
            pad(a, from, length, &random, out0);
            pad(b, to, length, &random, out1);
        }
        z0->length[r] = z1->length[r] = (int32_t)length;
    }
done:
    tw_free(ctx, moves);
    tw_free(ctx, costs);
    return status;
}

tw_status tw_edit_distance(tw_context *ctx, int64_t a_length, const int32_t *a, int64_t b_length, const int32_t *b,
                           int64_t *out_distance)
{
    int64_t *costs = tw_alloc(ctx, (size_t)(b_length + 1), 2 * sizeof(int64_t));
    if (!costs) return tw_fail_memory(ctx, (size_t)(b_length + 1) * 2 * sizeof(int64_t));
    *out_distance = fill_moves(a_length, a, b_length, b, NULL, costs, costs + b_length + 1);
    tw_free(ctx, costs);
    return TW_OK;
}

/* --- the path ----------------------------------------------------------------------------------------------------- */

void tw_edit_mix(uint64_t seed, int64_t step, const double *kappa, const tw_sequences *z0, const tw_sequences *z1,
                 tw_sequences *zt)
{
    for (int64_t r = 0; r < z0->rows; r++) {
        tw_random random = row_random(seed, TW_STREAM_EDIT_POINT, step, z0->rows, r);
        const int32_t *a = z0->token + r * z0->width, *b = z1->token + r * z1->width;
        int32_t *out = zt->token + r * zt->width;
        for (int64_t i = 0; i < z0->length[r]; i++) out[i] = tw_random_uniform(&random) < kappa[r] ? b[i] : a[i];
        zt->length[r] = z0->length[r];
    }
}

void tw_edit_strip(const tw_sequences *z, tw_sequences *x)
{
    for (int64_t r = 0; r < z->rows; r++) {
        const int32_t *from = z->token + r * z->width;
        int32_t *out = x->token + r * x->width, kept = 0;
        for (int64_t i = 0; i < z->length[r]; i++)
            if (from[i] != TW_BLANK && kept < x->width) out[kept++] = from[i];
        x->length[r] = kept;
    }
}

int64_t tw_edit_list(int64_t length, const int32_t *z_from, const int32_t *z_to, tw_edit *out_edits)
{
    int64_t count = 0;
    int32_t slot = 0;
    for (int64_t i = 0; i < length; i++) {
        slot += z_from[i] != TW_BLANK;
        if (z_from[i] == z_to[i]) continue;
        tw_edit_kind kind = z_from[i] == TW_BLANK ? TW_EDIT_INSERT
                            : z_to[i] == TW_BLANK ? TW_EDIT_DELETE
                                                  : TW_EDIT_SUBSTITUTE;
        out_edits[count++] = (tw_edit){kind, slot, z_to[i]};
    }
    return count;
}

int64_t tw_edit_apply(int64_t length, const int32_t *x, int64_t count, const tw_edit *edits, int64_t capacity,
                      int32_t *out)
{
    int64_t made = 0, at = 0;
    for (int64_t slot = 0; slot <= length; slot++) {
        bool gone = slot == 0;
        int32_t token = slot ? x[slot - 1] : TW_BLANK;
        /* a token's own edit stands among the insertions behind it; those come after the token */
        for (int64_t k = at; k < count && edits[k].slot == slot; k++) {
            if (edits[k].kind == TW_EDIT_DELETE) gone = true;
            if (edits[k].kind == TW_EDIT_SUBSTITUTE) token = edits[k].token;
        }
        if (!gone && made++ < capacity) out[made - 1] = token;
        for (; at < count && edits[at].slot == slot; at++)
            if (edits[at].kind == TW_EDIT_INSERT && made++ < capacity) out[made - 1] = edits[at].token;
    }
    return made;
}
