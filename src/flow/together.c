/* flow/together.c - sampling a product of numbers and tokens: rows of columns in and out, blocks of rows through all
 * steps of solve/together.h. Columns that are known stay what they are, and the network is told which: it has learned
 * the law of the others given any of them (method/gm.c). */
#include "flow/jumping.h"

#include "base/streams.h"
#include "solve/together.h"

#include <math.h>
#include <string.h>

enum { STEPS = 64 }; /* unless told */

typedef struct together_run {
    tw_token_crew *crew;
    const tw_sample_desc *desc;
    tw_together how;     /* but for the first row */
    const double *known; /* (n, numbers) or one row for all, NaN where nothing is known; NULL: nothing */
    bool same;
    double *out;
} together_run;

/* One worker's block: what tw_together_run works on. */
typedef struct block {
    tw_token_worker *worker;
    double *x;           /* (rows, numbers) */
    unsigned char *held; /* (rows, numbers) */
    float *answer;       /* (rows, answers) */
    int64_t *row;        /* (rows) their numbers in the block */
    void *memory;
} block;

/* --- the network ------------------------------------------------------------------------------------------------- */

static tw_status answer(void *user, int64_t rows, double t, const double *x, double *velocity, float *logits)
{
    block *b = user;
    tw_token_worker *w = b->worker;
    const tw_token_crew *crew = w->crew;
    int64_t numbers = crew->flow->space.numbers, moves = crew->width - numbers, rest = crew->answers - moves;
    for (int64_t i = 0; i < rows; i++) {
        float *at = w->x + i * crew->width;
        w->t[i] = (float)t;
        for (int64_t j = 0; j < numbers; j++) at[j] = (float)x[i * numbers + j];
        for (int64_t j = 0; j < moves; j++) at[numbers + j] = b->held[i * numbers + j];
    }
    tw_token_worker_tell(w, rows, b->row);
    tw_status status = tw_token_worker_ask(w, rows, b->answer);
    for (int64_t i = 0; status == TW_OK && i < rows; i++) {
        const float *said = b->answer + i * crew->answers;
        for (int64_t j = 0; j < moves; j++) velocity[i * moves + j] = (double)said[j];
        memcpy(logits + i * rest, said + moves, (size_t)rest * sizeof(float));
    }
    return status;
}

/* --- blocks ------------------------------------------------------------------------------------------------------ */

static bool block_make(tw_token_worker *w, block *b)
{
    const tw_token_crew *crew = w->crew;
    tw_context *ctx = crew->flow->ctx;
    size_t rows = (size_t)crew->rows, numbers = rows * (size_t)crew->flow->space.numbers;
    *b = (block){.worker = w};
    b->x = tw_alloc(ctx, numbers, sizeof(double));
    b->held = tw_alloc(ctx, numbers, 1);
    b->answer = tw_alloc_aligned(ctx, rows * (size_t)crew->answers * sizeof(float));
    b->row = tw_alloc(ctx, rows, sizeof(int64_t));
    b->memory = tw_alloc(ctx, tw_together_bytes(&crew->flow->space, crew->rows), 1);
    for (size_t i = 0; b->row && i < rows; i++) b->row[i] = (int64_t)i;
    return b->x && b->held && b->answer && b->row && b->memory;
}

static void block_free(tw_context *ctx, block *b)
{
    tw_free(ctx, b->x);
    tw_free(ctx, b->held);
    tw_free_aligned(ctx, b->answer);
    tw_free(ctx, b->row);
    tw_free(ctx, b->memory);
}

/* Draws of the source, and what is known in place. */
static void begin_block(const together_run *run, block *b, int64_t begin, int64_t rows)
{
    const tw_flow *flow = run->crew->flow;
    int64_t numbers = flow->space.numbers;
    for (int64_t i = 0; i < rows; i++) {
        double *x = b->x + i * numbers;
        const double *known = run->known ? run->known + (run->same ? 0 : (begin + i) * numbers) : NULL;
        tw_space_draw_row(&flow->space, flow->model.source, run->desc->seed, TW_STREAM_SAMPLE, begin + i, x);
        for (int64_t j = 0; j < numbers; j++) {
            bool held = known && !isnan(known[j]);
            b->held[i * numbers + j] = held;
            if (held) x[j] = known[j];
        }
    }
}

static tw_status sample_block(void *user, tw_token_worker *worker, int64_t begin, int64_t rows, tw_jump_stats *stats)
{
    together_run *run = user;
    const tw_flow *flow = run->crew->flow;
    tw_together how = run->how;
    tw_status status = TW_ERR_MEMORY;
    block b;
    if (block_make(worker, &b)) {
        begin_block(run, &b, begin, rows);
        how.first_row = begin;
        status = tw_together_run(&how, answer, &b, rows, b.x, b.held, b.memory);
        for (int64_t i = 0; i < rows; i++)
            tw_space_write(&flow->space, b.x + i * flow->space.numbers, run->out + (begin + i) * flow->desc.columns);
    }
    block_free(flow->ctx, &b);
    *stats = (tw_jump_stats){.nfe = 2 * how.steps, .evaluations = 2 * how.steps * rows, .calls = 2 * how.steps};
    return status;
}

/* --- what is asked ----------------------------------------------------------------------------------------------- */

static tw_status check(tw_flow *flow, const tw_sample_desc *d)
{
    const tw_token_options *o = d->tokens;
    const char *wrong = NULL;
    tw_status status = tw_tokens_take_desc(flow, d);
    if (status != TW_OK) return status;
    if (d->solver.method && strcmp(d->solver.method, "midpoint") != 0) wrong = "another solver than 'midpoint'";
    if (d->solver.t0 != 0 || (d->solver.t1 != 0 && d->solver.t1 != 1)) wrong = "times other than from 0 to 1";
    if (d->solver.step_size != 0) wrong = "a step size (steps are counted)";
    if (d->from) wrong = "rows to begin at";
    if (d->frames > 1) wrong = "frames";
    if (o && (o->tolerance != 0 || o->top_k != 0 || (o->top_p != 0 && o->top_p != 1) || o->argmax ||
              o->refresh[0] != 0 || o->remask != 0 || o->stratified || o->predictor))
        wrong = "options of tokens but temperature and known columns";
    if (d->solver.steps < 0 || d->solver.steps >= TW_JUMP_STEPS / 2) wrong = "so many steps";
    return wrong
               ? tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "sampling numbers and tokens together does not take %s", wrong)
               : TW_OK;
}

/* Known columns as states, to be freed. */
static tw_status take_known(const tw_flow *flow, const tw_token_options *o, int64_t n, double **out)
{
    int64_t rows = o->same_known ? 1 : n, columns = flow->desc.columns, numbers = flow->space.numbers;
    const tw_factor *bad;
    double *known = tw_alloc(flow->ctx, (size_t)tw_max_i64(rows, 1), (size_t)numbers * sizeof(double));
    tw_status status = TW_OK;
    if (!known) return tw_fail_memory(flow->ctx, (size_t)(rows * numbers) * sizeof(double));
    for (int64_t i = 0; i < rows && status == TW_OK; i++)
        if (!tw_space_read_known(&flow->space, o->known + i * columns, known + i * numbers, &bad))
            status = tw_space_refuse(flow->ctx, bad, i, o->known + i * columns, flow->desc.names);
    if (status == TW_OK)
        *out = known;
    else
        tw_free(flow->ctx, known);
    return status;
}

tw_status tw_together_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out, tw_ode_stats *out_stats)
{
    static const tw_sample_desc nothing;
    tw_context *ctx = flow->ctx;
    const tw_space *space = &flow->space;
    together_run run = {.desc = desc ? desc : &nothing, .out = out};
    tw_ode_stats total = {0};
    const tw_token_options *o = run.desc->tokens;
    double *known = NULL, *conditions = NULL;
    tw_token_path *path = NULL;
    tw_status status = TW_OK;
    if (n < 0) return tw_fail(ctx, TW_ERR_INVALID, "%lld rows asked for", (long long)n);
    TW_TRY(check(flow, run.desc));
    path = tw_alloc(ctx, (size_t)(space->count - space->moving), sizeof *path);
    if (!path) TW_TRY(tw_fail_memory(ctx, (size_t)space->count * sizeof *path));
    for (int i = space->moving; i < space->count; i++)
        path[i - space->moving] = tw_model_token_path(&flow->model, &space->factor[i]);
    run.how = (tw_together){.space = space,
                            .path = path,
                            .t1 = 1,
                            .steps = run.desc->solver.steps > 0 ? run.desc->solver.steps : STEPS,
                            .temperature = o ? o->temperature : 0,
                            .never = o ? o->never : NULL,
                            .seed = run.desc->seed};
    if (o && o->known) TW_TRY(take_known(flow, o, n, &known));
    run.known = known;
    run.same = o && o->same_known;
    TW_TRY(tw_token_crew_get(flow, &run.crew));
    TW_TRY(tw_tokens_conditions(flow, run.desc, n, &conditions));
    TW_TRY(tw_token_crew_run(run.crew, run.desc, n, conditions, sample_block, &run, &total));
    if (out_stats) *out_stats = total;
done:
    tw_free(ctx, path);
    tw_free(ctx, known);
    tw_free(ctx, conditions);
    return status;
}
