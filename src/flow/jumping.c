/* flow/jumping.c - sampling and scoring flows of tokens: see jumping.h. */
#include "flow/jumping.h"

#include "base/streams.h"

#include <math.h>
#include <string.h>

enum { STEPS = 128, DRAWS = 64 }; /* of a sample, of a score, unless told */

/* One call on all rows. */
typedef struct token_run {
    tw_token_crew *crew;
    const tw_sample_desc *desc;
    int64_t n;
    int32_t *state;      /* (n, tokens), to be sampled, */
    const double *x;     /* or rows to be scored, */
    tw_token_path *each; /* of a product a path of each token, else NULL */
    double *out;
    int draws; /* so often */
    double t0, t1;
    int64_t steps; /* of a leg */
    int legs;
    tw_jump_leg leg; /* under way, but for the first row */
} token_run;

static const tw_sample_desc nothing;

static tw_status refuse(const tw_flow *flow, const char *what)
{
    return tw_fail(flow->ctx, TW_ERR_INVALID, "%s: a flow of tokens has none", what);
}

/* The rest is of a flow in R^D, and has no meaning here. What a network says of tokens are logits, of edits logarithms
 * of rates: that guidance adds differences of them multiplies probabilities and rates (Nisonoff et al. 2024, Unlocking
 * guidance for discrete state-space diffusion and flow models; of masks Schiff et al. 2024, Simple guidance mechanisms
 * for discrete diffusion models). */
tw_status tw_tokens_take_desc(tw_flow *flow, const tw_sample_desc *d)
{
    if (d->diffusion) return refuse(flow, "sampling with noise");
    if (d->schedule) return refuse(flow, "another schedule");
    if (d->held) return refuse(flow, "columns that are held");
    if (d->log_density) return refuse(flow, "log-densities found on the way");
    if (d->solver.rtol != 0 || d->solver.atol != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "rtol and atol are for differential equations; the tolerance of jumps "
                       "is for tokens");
    if (d->log_prob) return refuse(flow, "log-densities of steps");
    if (d->grid || d->solver.time_grid) return refuse(flow, "a grid of sampling times");
    if (d->conditions && flow->desc.conditions_count == 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "conditions for a flow that was trained without any");
    tw_status status = tw_flow_use_guidance(flow, d);
    if (status == TW_OK && flow->guidance.strength != 0 && strcmp(flow->guidance.piece.info->name, "cfg") != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "guidance '%s' is for velocities: tokens have 'cfg'",
                       flow->guidance.piece.info->name);
    return status;
}

/* Whole numbers below `states`. */
static tw_status check_rows(const tw_flow *flow, int64_t n, const double *x, int states, bool gaps)
{
    int columns = flow->desc.columns;
    for (int64_t i = 0; i < n * columns; i++) {
        if (gaps && isnan(x[i])) continue;
        if (!(x[i] >= 0 && x[i] < states) || x[i] != floor(x[i]))
            return tw_fail(flow->ctx, TW_ERR_INVALID, "row %lld: %s=%g: expected a whole number from 0 to %d",
                           (long long)(i / columns) + 1, flow->desc.names[i % columns], x[i], states - 1);
    }
    return TW_OK;
}

/* Conditions of every row as the network takes them, to be freed. */
tw_status tw_tokens_conditions(const tw_flow *flow, const tw_sample_desc *d, int64_t n, double **out)
{
    int told = flow->desc.conditions_count;
    tw_status status = TW_OK;
    if (told == 0 || !d->conditions) return TW_OK;
    double *taken = tw_alloc(flow->ctx, (size_t)tw_max_i64(n, 1) * (size_t)told, sizeof(double));
    if (!taken) return tw_fail_memory(flow->ctx, (size_t)n * (size_t)told * sizeof(double));
    for (int64_t i = 0; i < n && status == TW_OK; i++)
        status = tw_conditions_take(flow->ctx, told, flow->desc.conditions, i,
                                    d->conditions + (d->same_conditions ? 0 : i * told), taken + i * told);
    if (status != TW_OK)
        tw_free(flow->ctx, taken);
    else
        *out = taken;
    return status;
}

/* --- the blocks -------------------------------------------------------------------------------------------------- */

/* The source's draw of a row. */
static void draw_row(const token_run *run, tw_token_worker *w, int64_t row, int32_t *out)
{
    const tw_flow *flow = run->crew->flow;
    int64_t numbers = flow->space.numbers;
    if (!flow->space.ragged) {
        tw_token_source(&flow->tokens, run->desc->seed, row, 1, (int)numbers, out);
        return;
    }
    tw_space_draw_row(&flow->space, flow->model.source, run->desc->seed, TW_STREAM_SAMPLE, row, w->point);
    for (int64_t k = 0; k < numbers; k++) out[k] = (int32_t)w->point[k];
}

/* Where a row begins: a draw of the source or a given row. */
static void begin_row(const token_run *run, tw_token_worker *w, int64_t row, int32_t *out)
{
    const tw_flow *flow = run->crew->flow;
    int64_t columns = flow->desc.columns;
    if (!run->desc->from) {
        draw_row(run, w, row, out);
        return;
    }
    for (int64_t k = 0; k < flow->space.numbers; k++)
        out[k] = k < columns ? (int32_t)run->desc->from[row * columns + k] : flow->space.symbols;
}

/* What is known of the rows, in place. A sequence that is shorter than what is known of its beginning grows to it. */
static void put_known(const token_run *run, tw_token_worker *w, int64_t begin, int64_t rows)
{
    const tw_flow *flow = run->crew->flow;
    const tw_token_options *o = run->desc->tokens;
    int64_t tokens = flow->space.numbers, columns = flow->desc.columns;
    for (int64_t r = 0; r < rows; r++) {
        w->held[r] = 0;
        for (int64_t k = 0; k < columns; k++) {
            double value = o && o->known ? o->known[(o->same_known ? 0 : begin + r) * columns + k] : (double)NAN;
            bool known = !isnan(value);
            w->known[r * tokens + k] = known;
            w->held[r] += known;
            if (known) run->state[(begin + r) * tokens + k] = (int32_t)value;
        }
    }
}

static tw_status begin_block(void *user, tw_token_worker *w, int64_t begin, int64_t rows, tw_jump_stats *stats)
{
    token_run *run = user;
    const tw_token_options *o = run->desc->tokens;
    (void)stats;
    for (int64_t r = begin; r < begin + rows; r++) {
        begin_row(run, w, r, run->state + r * run->crew->flow->space.numbers);
        if (o && o->edits) o->edits[r] = 0;
    }
    put_known(run, w, begin, rows);
    return TW_OK;
}

/* What the network says, and `strength` times what the predictor does. */
static tw_status ask_both(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x, float *out)
{
    tw_token_worker *w = user;
    const tw_token_crew *crew = w->crew;
    const tw_token_options *o = w->options;
    double strength = o->predictor_strength != 0 ? o->predictor_strength : 1;
    int64_t tokens = crew->flow->space.numbers;
    tw_status status = tw_token_worker_logits(w, rows, row, t, x, out);
    for (int64_t begin = 0; status == TW_OK && begin < rows; begin += crew->rows) {
        int64_t count = tw_min_i64(crew->rows, rows - begin);
        float *logits = out + begin * crew->answers;
        for (int64_t i = 0; i < count; i++) w->row[i] = w->first + row[begin + i];
        status = o->predictor(o->predictor_user, count, w->row, t + begin, x + begin * tokens, w->predicted);
        for (int64_t i = 0; i < count * crew->answers; i++) logits[i] += (float)(strength * (double)w->predicted[i]);
    }
    return status;
}

static tw_status sample_block(void *user, tw_token_worker *w, int64_t begin, int64_t rows, tw_jump_stats *stats)
{
    token_run *run = user;
    const tw_token_options *o = run->desc->tokens;
    int32_t *x = run->state + begin * run->crew->flow->space.numbers;
    tw_jump_leg leg = run->leg;
    leg.first_row = begin;
    put_known(run, w, begin, rows);
    w->options = o;
    w->first = begin;
    tw_logits_fn said = o && o->predictor ? ask_both : tw_token_worker_logits;
    if (!w->chain) return tw_jump_run(w->jump, &leg, said, w, rows, x, w->known, stats);
    return tw_edit_chain_run(w->chain, &leg, tw_token_worker_logits, w, rows, x, w->held,
                             o && o->edits ? o->edits + begin : NULL, stats);
}

static tw_bound_desc bound_of(const token_run *run, int64_t begin)
{
    return (tw_bound_desc){.path = &run->crew->flow->tokens,
                           .each = run->each,
                           .draws = run->draws,
                           .block = run->crew->rows,
                           .seed = run->desc->seed,
                           .first_row = begin};
}

static tw_status score_block(void *user, tw_token_worker *w, int64_t begin, int64_t rows, tw_jump_stats *stats)
{
    token_run *run = user;
    const tw_flow *flow = run->crew->flow;
    int64_t tokens = flow->space.numbers;
    tw_bound_desc desc = bound_of(run, begin);
    for (int64_t i = 0; i < rows * tokens; i++) w->tokens[i] = (int32_t)run->x[begin * tokens + i];
    tw_status status = (flow->method->rules->ordered ? tw_token_chain_rule : tw_token_bound)(
        &desc, tw_token_worker_logits, w, rows, (int)tokens, w->tokens, w->memory, w->bound);
    for (int64_t i = 0; i < rows; i++) run->out[begin + i] = -w->bound[i];
    *stats = (tw_jump_stats){.nfe = run->draws, .evaluations = run->draws * rows};
    return status;
}

const tw_piece_info *tw_token_solver_list(int index)
{
    return tw_jump_list(index);
}

/* --- sampling ---------------------------------------------------------------------------------------------------- */

static const char in_order[] = "left_to_right";

static tw_jump_desc jump_of(const tw_flow *flow, const tw_sample_desc *d)
{
    const tw_token_options *o = d->tokens;
    tw_jump_desc jump = {.method = d->solver.method, .path = &flow->tokens, .seed = d->seed};
    if (flow->method->rules->ordered && !jump.method) jump.method = in_order;
    if (!o) return jump;
    jump.tolerance = o->tolerance;
    jump.temperature = o->temperature;
    jump.top_k = o->top_k;
    jump.top_p = o->top_p;
    jump.argmax = o->argmax;
    memcpy(jump.refresh, o->refresh, sizeof(jump.refresh));
    jump.remask = o->remask;
    jump.stratified = o->stratified;
    return jump;
}

static tw_edit_chain_desc chain_of(const tw_flow *flow, const tw_sample_desc *d)
{
    const tw_token_options *o = d->tokens;
    tw_edit_chain_desc chain = {.path = &flow->edits, .seed = d->seed};
    if (!o) return chain;
    chain.tolerance = o->tolerance;
    chain.temperature = o->temperature;
    chain.top_k = o->top_k;
    chain.top_p = o->top_p;
    return chain;
}

/* A solver for every worker. */
static tw_status make_solvers(tw_token_crew *crew, const tw_sample_desc *d)
{
    const tw_flow *flow = crew->flow;
    tw_status status = TW_OK;
    for (int i = 0; i < crew->count && status == TW_OK; i++) {
        tw_token_worker *w = &crew->worker[i];
        tw_jump_destroy(w->jump);
        tw_edit_chain_destroy(w->chain);
        w->jump = NULL;
        w->chain = NULL;
        if (d->tokens && d->tokens->predictor) TW_TRY(tw_token_worker_predicts(w));
        if (flow->space.ragged) {
            tw_edit_chain_desc chain = chain_of(flow, d);
            status = tw_edit_chain_create(flow->ctx, &chain, crew->rows, flow->space.numbers, &w->chain);
        } else {
            tw_jump_desc jump = jump_of(flow, d);
            status = tw_jump_create(flow->ctx, &jump, crew->rows, flow->space.numbers, &w->jump);
        }
    }
done:
    return status;
}

/* Times and steps, shared out over the legs. */
static tw_status plan(const tw_flow *flow, token_run *run)
{
    const tw_ode_desc *s = &run->desc->solver;
    run->t0 = s->t0;
    run->t1 = s->t0 == 0 && s->t1 == 0 ? 1 : s->t1;
    run->legs = run->desc->frames > 1 ? run->desc->frames - 1 : 1;
    if (!(run->t0 >= 0 && run->t0 < run->t1 && run->t1 <= 1))
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "tokens go from a time to a later one within 0 to 1, not from %g to %g", run->t0, run->t1);
    if (run->t0 > 0 && !run->desc->from)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "from t=%g: it needs rows to begin at", run->t0);
    if (run->legs >= TW_JUMP_LEGS)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%d frames of tokens: expected at most %d", run->desc->frames,
                       TW_JUMP_LEGS);
    if (!(s->steps >= 0 && s->step_size >= 0))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%lld steps of size %g of tokens", (long long)s->steps, s->step_size);
    double steps = s->steps > 0 ? (double)s->steps : STEPS;
    if (s->steps == 0 && s->step_size > 0) steps = fmax(1, ceil((run->t1 - run->t0) / s->step_size - 1e-9));
    steps = ceil(steps / run->legs);
    if (!(steps < TW_JUMP_STEPS))
        return tw_fail(flow->ctx, TW_ERR_INVALID, "%g steps: expected less than %d", steps, TW_JUMP_STEPS);
    run->steps = (int64_t)steps;
    return TW_OK;
}

/* Where tokens are told those before them alone, what is known of a row is its beginning. */
static tw_status check_order(const tw_flow *flow, int64_t n, const double *x)
{
    int columns = flow->space.numbers;
    for (int64_t i = 1; x && i < n * columns; i++) {
        bool known = x[i] < flow->tokens.symbols, before = x[i - 1] < flow->tokens.symbols;
        if (i % columns && known && !before)
            return tw_fail(flow->ctx, TW_ERR_INVALID,
                           "row %lld: %s is known and %s is not: method '%s' goes on from the beginning of a row",
                           (long long)(i / columns) + 1, flow->desc.names[i % columns],
                           flow->desc.names[i % columns - 1], flow->method->info.name);
    }
    return TW_OK;
}

tw_status tw_tokens_check_rows(const tw_flow *flow, int64_t n, const double *x)
{
    const tw_factor *bad = NULL;
    int columns = flow->desc.columns;
    tw_status status = TW_OK;
    if (!flow->space.ragged && flow->space.symbols > 0) return check_rows(flow, n, x, flow->space.symbols, false);
    double *point = tw_alloc(flow->ctx, (size_t)flow->space.numbers, sizeof *point);
    if (!point) return tw_fail_memory(flow->ctx, (size_t)flow->space.numbers * sizeof *point);
    for (int64_t i = 0; i < n && status == TW_OK; i++)
        if (!tw_space_read(&flow->space, x + i * columns, point, &bad))
            status = tw_space_refuse(flow->ctx, bad, i, x + i * columns, flow->desc.names);
    tw_free(flow->ctx, point);
    return status;
}

/* Sequences, and of what is known of them the beginning only. */
static tw_status check_sequences(const tw_flow *flow, int64_t n, const tw_sample_desc *d)
{
    const tw_token_options *o = d->tokens;
    int columns = flow->desc.columns;
    tw_status status = d->from ? tw_tokens_check_rows(flow, n, d->from) : TW_OK;
    if (status != TW_OK || !o || !o->known) return status;
    TW_TRY(check_rows(flow, o->same_known ? 1 : n, o->known, flow->space.symbols, true));
    for (int64_t i = 0; i < (o->same_known ? 1 : n) * columns; i++)
        if (i % columns > 0 && isnan(o->known[i - 1]) && !isnan(o->known[i]))
            TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID,
                           "of a sequence the beginning can be given, and %s is behind what is not",
                           flow->desc.names[i % columns]));
done:
    return status;
}

/* What chains of edits have no meaning for. */
static tw_status check_edits(const tw_flow *flow, int64_t n, const tw_sample_desc *d)
{
    const tw_token_options *o = d->tokens;
    const char *method = d->solver.method;
    if (method && strcmp(method, "euler") != 0)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "there is no solver '%s' of sequences: expected 'euler'", method);
    if (o && o->predictor)
        return tw_fail(flow->ctx, TW_ERR_INVALID, "a predictor is for rows of one length, not for sequences");
    if (o && (o->argmax || o->refresh[0] > 0 || o->remask > 0 || o->stratified))
        return tw_fail(flow->ctx, TW_ERR_INVALID,
                       "a flow of sequences has no argmax, refreshed, masked or stratified tokens");
    return check_sequences(flow, n, d);
}

static tw_status check_beginning(const tw_flow *flow, int64_t n, const tw_sample_desc *d)
{
    const tw_token_options *o = d->tokens;
    bool ragged = flow->space.ragged;
    tw_status status = TW_OK;
    if (flow->method->rules->ordered) {
        if (d->solver.method && strcmp(d->solver.method, in_order) != 0)
            TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID, "solver '%s': method '%s' has '%s' only", d->solver.method,
                           flow->method->info.name, in_order));
        TW_TRY(check_order(flow, n, d->from));
        if (o) TW_TRY(check_order(flow, o->same_known ? 1 : n, o->known));
    }
    if (ragged) TW_TRY(check_edits(flow, n, d));
    if (!ragged && o && o->edits) TW_TRY(refuse(flow, "counts of edits"));
    if (!ragged && d->from) /* some may be masked yet */
        TW_TRY(check_rows(flow, n, d->from, flow->tokens.states, false));
    if (!ragged && o && o->known) TW_TRY(check_rows(flow, o->same_known ? 1 : n, o->known, flow->tokens.symbols, true));
    if (!d->from && !tw_space_draws(&flow->space, flow->model.source))
        TW_TRY(tw_fail(flow->ctx, TW_ERR_INVALID,
                       "the flow begins at rows of another data set: it needs such rows to begin at"));
done:
    return status;
}

/* Rows of data: of a sequence as many tokens as there are columns. */
static void keep(const token_run *run, double *out)
{
    int64_t tokens = run->crew->flow->space.numbers, columns = run->crew->flow->desc.columns;
    for (int64_t i = 0; i < run->n * columns; i++) out[i] = (double)run->state[i / columns * tokens + i % columns];
}

static void keep_frame(const token_run *run, int frame, double *frames)
{
    if (run->desc->frames < 2 || !frames) return;
    keep(run, frames + frame * run->n * run->crew->flow->desc.columns);
    if (run->desc->on_frame) run->desc->on_frame(run->desc->user, frame);
}

/* All rows through one leg after another. */
static tw_status travel(token_run *run, const double *conditions, double *out_frames, tw_ode_stats *total)
{
    tw_sample_desc quiet = *run->desc;
    tw_status status = TW_OK;
    quiet.on_progress = NULL;
    TW_TRY(tw_token_crew_run(run->crew, &quiet, run->n, conditions, begin_block, run, total));
    keep_frame(run, 0, out_frames);
    for (int i = 0; i < run->legs; i++) {
        double span = run->t1 - run->t0;
        run->leg = (tw_jump_leg){.t0 = run->t0 + span * i / run->legs,
                                 .t1 = i + 1 == run->legs ? run->t1 : run->t0 + span * (i + 1) / run->legs,
                                 .steps = run->steps,
                                 .number = i};
        TW_TRY(tw_token_crew_run(run->crew, run->desc, run->n, conditions, sample_block, run, total));
        keep_frame(run, i + 1, out_frames);
    }
done:
    return status;
}

tw_status tw_tokens_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out, double *out_frames,
                           tw_ode_stats *out_stats)
{
    token_run run = {.desc = desc ? desc : &nothing, .n = n};
    size_t numbers = (size_t)flow->space.numbers * sizeof(int32_t);
    tw_ode_stats total = {0};
    double *conditions = NULL;
    tw_status status = TW_OK;
    if (n < 0) return tw_fail(flow->ctx, TW_ERR_INVALID, "%lld rows asked for", (long long)n);
    TW_TRY(tw_tokens_take_desc(flow, run.desc));
    TW_TRY(check_beginning(flow, n, run.desc));
    TW_TRY(plan(flow, &run));
    TW_TRY(tw_token_crew_get(flow, &run.crew));
    TW_TRY(make_solvers(run.crew, run.desc));
    TW_TRY(tw_tokens_conditions(flow, run.desc, n, &conditions));
    run.state = tw_alloc(flow->ctx, (size_t)tw_max_i64(n, 1), numbers);
    if (!run.state) TW_TRY(tw_fail_memory(flow->ctx, (size_t)n * numbers));
    TW_TRY(travel(&run, conditions, out_frames, &total));
    keep(&run, out);
    if (out_stats) *out_stats = total;
done:
    tw_free(flow->ctx, run.state);
    tw_free(flow->ctx, conditions);
    return status;
}

/* --- scoring ----------------------------------------------------------------------------------------------------- */

/* A path of each token of a product. */
static tw_status make_paths(const tw_flow *flow, tw_token_path **out)
{
    const tw_space *space = &flow->space;
    if (!tw_space_is_mixed(space)) return TW_OK;
    tw_token_path *each = tw_alloc(flow->ctx, (size_t)space->numbers, sizeof *each);
    if (!each) return tw_fail_memory(flow->ctx, (size_t)space->numbers * sizeof *each);
    for (int i = 0; i < space->count; i++)
        for (int k = 0; k < space->factor[i].numbers; k++)
            each[space->factor[i].number + k] = tw_model_token_path(&flow->model, &space->factor[i]);
    *out = each;
    return TW_OK;
}

static tw_status make_memory(token_run *run)
{
    tw_context *ctx = run->crew->flow->ctx;
    tw_bound_desc desc = bound_of(run, 0);
    size_t bytes = tw_token_bound_bytes(&desc, run->crew->flow->space.numbers);
    for (int i = 0; i < run->crew->count; i++) {
        tw_token_worker *w = &run->crew->worker[i];
        if (!w->memory) w->memory = tw_alloc(ctx, bytes, 1);
        if (!w->memory) return tw_fail_memory(ctx, bytes);
    }
    return TW_OK;
}

tw_status tw_tokens_bound(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc, double *out,
                          tw_ode_stats *out_stats)
{
    tw_context *ctx = flow->ctx;
    token_run run = {.desc = desc ? desc : &nothing, .n = n, .out = out, .x = x};
    tw_ode_stats total = {0};
    double *conditions = NULL;
    tw_status status = TW_OK;
    run.draws = flow->method->rules->ordered ? 1
                : run.desc->solver.steps > 0 ? (int)tw_min_i64(run.desc->solver.steps, 1 << 20)
                                             : DRAWS;
    TW_TRY(tw_tokens_take_desc(flow, run.desc));
    TW_TRY(tw_tokens_check_rows(flow, n, x));
    if (!tw_space_draws(&flow->space, flow->model.source))
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "no likelihood: the law of the flow's source is not known"));
    TW_TRY(make_paths(flow, &run.each));
    TW_TRY(tw_token_crew_get(flow, &run.crew));
    TW_TRY(make_memory(&run));
    TW_TRY(tw_tokens_conditions(flow, run.desc, n, &conditions));
    TW_TRY(tw_token_crew_run(run.crew, run.desc, n, conditions, score_block, &run, &total));
    if (out_stats) *out_stats = total;
done:
    tw_free(ctx, run.each);
    tw_free(ctx, conditions);
    return status;
}
