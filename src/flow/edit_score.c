/* flow/edit_score.c - scoring flows of sequences: rows against draws of the source, aligned as in training, and the
 * mean of what they cost (solve/edit_bound.h). -log p(x_1) is at most the mean over x_0 of -log p(x_1 | x_0). */
#include "flow/jumping.h"

#include "base/philox.h"
#include "base/streams.h"
#include "solve/edit_bound.h"

#include <math.h>
#include <string.h>

enum { DRAWS = 64 }; /* a row, unless told */

typedef struct edit_score {
    tw_token_crew *crew;
    const double *x;
    double *out;
    uint64_t seed;
    int64_t draws;
} edit_score;

/* What one worker draws and aligns: `pairs` at most of x_0 and x_1, z_0 and z_1. */
typedef struct lot {
    const edit_score *score;
    int64_t pairs, width;
    int32_t *token, *length; /* (4, pairs, width), (4, pairs) */
    double *place, *u, *cost;
    int64_t *row;
    void *work;
} lot;

static bool lot_make(const edit_score *score, lot *l)
{
    const tw_flow *flow = score->crew->flow;
    tw_context *ctx = flow->ctx;
    *l = (lot){.score = score, .pairs = score->crew->rows, .width = flow->space.numbers};
    size_t pairs = (size_t)l->pairs, places = pairs * (size_t)l->width;
    l->token = tw_alloc(ctx, 4 * places, sizeof(int32_t));
    l->length = tw_alloc(ctx, 4 * pairs, sizeof(int32_t));
    l->place = tw_alloc(ctx, pairs, sizeof(double));
    l->u = tw_alloc(ctx, places, sizeof(double));
    l->cost = tw_alloc(ctx, pairs, sizeof(double));
    l->row = tw_alloc(ctx, pairs, sizeof(int64_t));
    l->work = tw_alloc(ctx, tw_edit_bound_bytes(&flow->edits, l->pairs, l->width), 1);
    return l->token && l->length && l->place && l->u && l->cost && l->row && l->work;
}

static void lot_free(lot *l)
{
    tw_context *ctx = l->score->crew->flow->ctx;
    tw_free(ctx, l->token);
    tw_free(ctx, l->length);
    tw_free(ctx, l->place);
    tw_free(ctx, l->u);
    tw_free(ctx, l->cost);
    tw_free(ctx, l->row);
    tw_free(ctx, l->work);
}

/* The k-th of the four kinds of sequences, `count` rows. */
static tw_sequences sequences_of(const lot *l, int k, int64_t count)
{
    return (tw_sequences){count, l->width, l->token + k * l->pairs * l->width, l->length + k * l->pairs};
}

/* Tokens of a row of numbers, and how many there are. */
static int32_t take(const tw_flow *flow, int64_t count, const double *numbers, int32_t *out)
{
    int32_t length = 0;
    while (length < count && numbers[length] < flow->space.symbols) out[length] = (int32_t)numbers[length], length++;
    return length;
}

/* Pair number `at` of the lot: draw number `draw` of a row, by its own random numbers. */
static void draw_pair(lot *l, tw_token_worker *w, int64_t at, int64_t row, int64_t draw)
{
    const edit_score *s = l->score;
    const tw_flow *flow = s->crew->flow;
    uint64_t number = (uint64_t)row * (uint64_t)s->draws + (uint64_t)draw;
    tw_random random = {.seed = s->seed, .stream = TW_STREAM_JUMP + (3u << 8)};
    random.index = number * 2 * ((uint64_t)l->width + 1);
    tw_sequences x0 = sequences_of(l, 0, l->pairs), x1 = sequences_of(l, 1, l->pairs);
    l->place[at] = fmax(((double)draw + tw_random_uniform(&random)) / (double)s->draws, 1e-12);
    for (int64_t i = 0; i < l->width; i++) l->u[at * l->width + i] = tw_random_uniform(&random);
    tw_space_draw_row(&flow->space, flow->model.source, s->seed, TW_STREAM_SAMPLE, (int64_t)number, w->point);
    x0.length[at] = take(flow, l->width, w->point, x0.token + at * l->width);
    x1.length[at] = take(flow, flow->desc.columns, s->x + row * flow->desc.columns, x1.token + at * l->width);
}

/* Aligned and filled up with blanks; the number of the first pair makes the alignments' ties and places its own. */
static tw_status align(lot *l, int64_t count, int64_t first)
{
    const tw_flow *flow = l->score->crew->flow;
    tw_align_desc desc = {.kind = flow->edits.alignment, .draw_ties = true, .seed = l->score->seed, .step = first};
    tw_sequences s[4];
    for (int k = 0; k < 4; k++) s[k] = sequences_of(l, k, count);
    tw_status status = tw_edit_align(flow->ctx, &desc, &s[0], &s[1], &s[2], &s[3]);
    for (int k = 2; status == TW_OK && k < 4; k++)
        for (int64_t i = 0; i < count * l->width; i++)
            if (i % l->width >= s[k].length[i / l->width]) s[k].token[i] = TW_BLANK;
    return status;
}

static tw_status score_lot(lot *l, tw_token_worker *w, int64_t count, int64_t begin, int64_t first)
{
    tw_edit_bound_desc desc = {.path = &l->score->crew->flow->edits,
                               .fastest = TW_EDIT_FASTEST,
                               .pairs = count,
                               .width = l->width,
                               .z0 = sequences_of(l, 2, count).token,
                               .z1 = sequences_of(l, 3, count).token,
                               .row = l->row,
                               .place = l->place,
                               .u = l->u};
    tw_status status = align(l, count, first);
    if (status == TW_OK) status = tw_edit_bound(&desc, tw_token_worker_logits, w, l->work, l->cost);
    for (int64_t i = 0; status == TW_OK && i < count; i++)
        l->score->out[begin + l->row[i]] -= l->cost[i] / (double)l->score->draws;
    return status;
}

static tw_status score_block(void *user, tw_token_worker *w, int64_t begin, int64_t rows, tw_jump_stats *stats)
{
    edit_score *s = user;
    int64_t all = rows * s->draws;
    tw_status status = TW_OK;
    lot l;
    if (!lot_make(s, &l)) status = TW_ERR_MEMORY;
    for (int64_t i = 0; i < rows; i++) s->out[begin + i] = 0;
    for (int64_t first = 0; first < all && status == TW_OK; first += l.pairs) {
        int64_t count = tw_min_i64(l.pairs, all - first);
        for (int64_t i = 0; i < count; i++) {
            l.row[i] = (first + i) / s->draws;
            draw_pair(&l, w, i, begin + l.row[i], (first + i) % s->draws);
        }
        status = score_lot(&l, w, count, begin, begin * s->draws + first);
    }
    lot_free(&l);
    *stats = (tw_jump_stats){.nfe = s->draws, .evaluations = all};
    return status;
}

tw_status tw_edits_bound(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc, double *out,
                         tw_ode_stats *out_stats)
{
    static const tw_sample_desc nothing;
    const tw_sample_desc *d = desc ? desc : &nothing;
    edit_score s = {.x = x, .out = out, .seed = d->seed, .draws = d->solver.steps > 0 ? d->solver.steps : DRAWS};
    tw_ode_stats total = {0};
    double *conditions = NULL;
    tw_status status = TW_OK;
    TW_TRY(tw_tokens_take_desc(flow, d));
    if (s.draws > 1 << 20) s.draws = 1 << 20;
    TW_TRY(tw_tokens_check_rows(flow, n, x));
    if (!tw_space_draws(&flow->space, flow->model.source))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "no likelihood: the law of the flow's source is not known"));
    TW_TRY(tw_token_crew_get(flow, &s.crew));
    TW_TRY(tw_tokens_conditions(flow, d, n, &conditions));
    TW_TRY(tw_token_crew_run(s.crew, d, n, conditions, score_block, &s, &total));
    if (out_stats) *out_stats = total;
done:
    tw_free(flow->ctx, conditions);
    return status;
}
