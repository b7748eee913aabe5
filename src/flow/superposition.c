/* flow/superposition.c - sampling a flow on R^D together with the jumps it has learned (method/jump.c): rows of the
 * source, block by block, through all steps of solve/superposition.h. */
#include "solve/superposition.h"

#include "flow/journey.h"
#include "flow/jumping.h"

#include "base/streams.h"

#include <string.h>

enum { STEPS = 100 }; /* unless told */

typedef struct superposition_run {
    tw_token_crew *crew;
    tw_superposition how; /* but for the first row */
    double *out;
} superposition_run;

/* One worker's block. */
typedef struct block {
    tw_token_worker *worker;
    float *answer; /* (rows, answers) */
    int64_t *row;  /* (rows) their numbers in the block */
} block;

static tw_status ask(void *user, int64_t rows, double t, const double *x, float *out_answer)
{
    const block *b = user;
    tw_token_worker *w = b->worker;
    for (int64_t i = 0; i < rows; i++) w->t[i] = (float)t;
    for (int64_t i = 0; i < rows * w->crew->width; i++) w->x[i] = (float)x[i];
    tw_token_worker_tell(w, rows, b->row);
    return tw_token_worker_ask(w, rows, out_answer);
}

static tw_status sample_block(void *user, tw_token_worker *w, int64_t begin, int64_t rows, tw_jump_stats *stats)
{
    const superposition_run *run = user;
    const tw_flow *flow = run->crew->flow;
    tw_context *ctx = flow->ctx;
    int64_t columns = flow->desc.columns;
    double *x = run->out + begin * columns;
    tw_superposition how = run->how;
    tw_status status = TW_ERR_MEMORY;
    block b = {.worker = w,
               .answer = tw_alloc_aligned(ctx, (size_t)(rows * run->crew->answers) * sizeof(float)),
               .row = tw_alloc(ctx, (size_t)rows, sizeof(int64_t))};
    if (!b.answer || !b.row) goto done;
    for (int64_t i = 0; i < rows; i++) {
        b.row[i] = i;
        tw_space_draw_row(&flow->space, flow->model.source, how.seed, TW_STREAM_SAMPLE, begin + i, x + i * columns);
    }
    how.first_row = begin;
    status = tw_superposition_run(&how, ask, &b, rows, x, b.answer);
    tw_flow_to_data_units(flow, rows, x, x);
    *stats = (tw_jump_stats){.nfe = how.steps, .evaluations = how.steps * rows, .calls = how.steps};
done:
    tw_free_aligned(ctx, b.answer);
    tw_free(ctx, b.row);
    return status;
}

/* What is asked of flows, and steps with jumps do not have. */
static tw_status check(const tw_flow *flow, const tw_sample_desc *d)
{
    const tw_ode_desc *s = &d->solver;
    const char *wrong = NULL;
    if (!flow->method->rules->jumps)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "jumps: a flow trained by method '%s' has learned none (method jump has)",
                       flow->method->info.name);
    if (!(d->jumps > 0 && d->jumps <= 1))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "a share of jumps of %g: expected 0 to 1", d->jumps);
    if (s->method && strcmp(s->method, "euler") != 0) wrong = "another solver than 'euler'";
    if (s->t0 != 0 || (s->t1 != 0 && s->t1 != 1)) wrong = "times other than from 0 to 1";
    if (s->step_size != 0 || s->rtol != 0 || s->atol != 0) wrong = "a step size or tolerances (steps are counted)";
    if (d->grid || s->time_grid) wrong = "a grid of times";
    if (s->steps < 0 || s->steps >= TW_JUMP_STEPS) wrong = "so many steps";
    if (d->from || d->held) wrong = "rows to begin at, or held columns";
    if (d->frames > 1) wrong = "frames";
    if (d->double_precision) wrong = "double precision";
    if (d->schedule) wrong = "another schedule";
    if (d->diffusion || d->log_prob) wrong = "noise";
    if (d->guidance != 0 || d->guide) wrong = "guidance";
    if (d->tokens) wrong = "options of tokens";
    if (d->log_density) wrong = "log-densities, which only the flow alone has";
    if (d->conditions && flow->desc.conditions_count == 0) wrong = "conditions: the flow was trained without any";
    return wrong ? tw_fail(flow->ctx, TW_ERR_UNSUPPORTED, "sampling with jumps does not take %s", wrong) : TW_OK;
}

tw_status tw_superposition_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out,
                                  tw_ode_stats *out_stats)
{
    superposition_run run = {.out = out};
    tw_ode_stats total = {0};
    double *conditions = NULL;
    tw_status status = TW_OK;
    if (n < 0) return tw_fail(flow->ctx, TW_ERR_INVALID, "%lld rows asked for", (long long)n);
    TW_TRY(check(flow, desc));
    run.how = (tw_superposition){.columns = flow->desc.columns,
                                 .share = desc->jumps,
                                 .t1 = 1,
                                 .steps = desc->solver.steps > 0 ? desc->solver.steps : STEPS,
                                 .seed = desc->seed};
    TW_TRY(tw_token_crew_get(flow, &run.crew));
    TW_TRY(tw_tokens_conditions(flow, desc, n, &conditions));
    TW_TRY(tw_token_crew_run(run.crew, desc, n, conditions, sample_block, &run, &total));
    if (out_stats) *out_stats = total;
done:
    tw_free(flow->ctx, conditions);
    return status;
}
