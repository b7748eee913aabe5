/* solve/tape.c - recording a solution and finding its states again on the way back.
 *
 * On the way there the states behind every step are kept; when memory is full, every other one is forgotten and twice
 * the stride is kept from then on. On the way back states between two kept ones are computed again, and kept in the
 * places that have become free: where, is the binomial schedule (Griewank, Walther 2000, Algorithm 799: Revolve), by
 * which l steps with s places are made at most r times over when l <= (s + r)! / (s! r!). A step computed again has the
 * bits it had, so the gradient does not depend on the memory. */
#include "solve/tape.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- making one ----------------------------------------------------------------------------------------------------
 */

static tw_status check(tw_context *ctx, const tw_ode *ode, const tw_ode_equation *e)
{
    if (!e->field || !e->vjp || e->params < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "a gradient through an ODE needs its field and its vjp");
    if (ode->table->kind != TW_TABLEAU_EXPLICIT)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "the exact gradient is that of explicit Runge-Kutta methods, not of %s; the adjoint takes any",
                       ode->desc.method);
    for (int i = 0; i < ode->desc.events_count; i++) {
        const tw_ode_event *event = &ode->desc.events[i];
        if (!event->g_vjp || (event->jump && !event->jump_vjp))
            return tw_fail(ctx, TW_ERR_INVALID, "a gradient through event %d needs its %s", i,
                           event->g_vjp ? "jump_vjp" : "g_vjp");
    }
    return TW_OK;
}

/* The method of the tape without a control of its own. */
static tw_ode_desc replayed(const tw_ode *ode)
{
    tw_ode_desc desc = ode->desc;
    desc.time_grid = NULL;
    desc.time_grid_count = 0;
    desc.step_size = 0;
    desc.steps = 1;
    return desc;
}

static tw_status make_memory(tw_ode_tape *tape, int64_t max_rows)
{
    const tw_ode *replay = tape->replay;
    int64_t elements = max_rows * tape->equation.columns, count = 3;
    for (int s = 0; s < TW_TABLEAU_SLOTS; s++) count += replay->k[s] != NULL;
    tape->taken = tw_alloc(tape->ctx, (size_t)max_rows, sizeof *tape->taken);
    tape->order = tw_alloc(tape->ctx, (size_t)max_rows, sizeof *tape->order);
    tape->rank = tw_alloc(tape->ctx, (size_t)max_rows, sizeof *tape->rank);
    size_t bytes = (size_t)(count * elements + TW_COUNT(tape->spot) * tape->equation.columns) * sizeof(double);
    double *at = tape->memory = tw_alloc_aligned(tape->ctx, bytes);
    if (!at || !tape->taken || !tape->order || !tape->rank) return tw_fail_memory(tape->ctx, bytes);
    double **of_states[] = {&tape->a, &tape->y, &tape->dx};
    for (int i = 0; i < TW_COUNT(of_states); i++, at += elements) *of_states[i] = at;
    for (int s = 0; s < TW_TABLEAU_SLOTS; s++)
        if (replay->k[s]) tape->k[s] = at, at += elements;
    for (int i = 0; i < TW_COUNT(tape->spot); i++, at += tape->equation.columns) tape->spot[i] = at;
    return TW_OK;
}

tw_status tw_ode_tape_create(tw_context *ctx, const tw_ode_desc *desc, const tw_ode_equation *equation,
                             int64_t max_rows, size_t memory, tw_ode_tape **out_tape)
{
    tw_status status = TW_OK;
    max_rows = tw_max_i64(max_rows, 1);
    tw_ode_tape *tape = tw_alloc(ctx, 1, sizeof *tape);
    if (!tape) return tw_fail_memory(ctx, sizeof *tape);
    *tape = (tw_ode_tape){.ctx = ctx, .equation = *equation, .most = INT64_MAX};
    TW_TRY(tw_ode_create(ctx, desc, max_rows, equation->columns, &tape->forward));
    if (tape->forward->desc.chart) TW_TRY(tw_fail(ctx, TW_ERR_UNSUPPORTED, "no gradients of solutions on a manifold"));
    TW_TRY(check(ctx, tape->forward, equation));
    tape->forward->tape = tape;
    tw_ode_desc led = replayed(tape->forward);
    TW_TRY(tw_ode_create(ctx, &led, max_rows, equation->columns, &tape->replay));
    TW_TRY(make_memory(tape, max_rows));
    size_t state = (size_t)max_rows * (size_t)equation->columns * sizeof(double);
    if (memory > 0 && state > 0) tape->most = tw_max_i64(1, (int64_t)(memory / state));
    *out_tape = tape;
    tape = NULL;
done:
    tw_ode_tape_destroy(tape);
    return status;
}

void tw_ode_tape_destroy(tw_ode_tape *tape)
{
    if (!tape) return;
    tw_context *ctx = tape->ctx;
    tw_ode_destroy(tape->forward);
    tw_ode_destroy(tape->replay);
    tw_free(ctx, tape->taken);
    tw_free(ctx, tape->order);
    tw_free(ctx, tape->rank);
    tw_free(ctx, tape->event);
    tw_free(ctx, tape->around);
    tw_free(ctx, tape->times);
    tw_free(ctx, tape->states);
    tw_free(ctx, tape->number);
    tw_free_aligned(ctx, tape->memory);
    tw_free(ctx, tape);
}

/* --- the way there -------------------------------------------------------------------------------------------------
 */

tw_status tw_tape_room(tw_context *ctx, void *array, int64_t *capacity, int64_t need, int64_t most, size_t size)
{
    void *old, *grown;
    if (need <= *capacity) return TW_OK;
    int64_t target = tw_min_i64(most, tw_max_i64(need, tw_max_i64(16, 2 * *capacity)));
    memcpy(&old, array, sizeof old);
    if (size == 0 || target > (int64_t)(PTRDIFF_MAX / size)) return size ? TW_ERR_MEMORY : TW_OK;
    grown = tw_resize(ctx, old, (size_t)target, size);
    if (!grown) return TW_ERR_MEMORY;
    memcpy(array, &grown, sizeof grown);
    *capacity = target;
    return TW_OK;
}

static size_t state_bytes(const tw_ode_tape *tape)
{
    return (size_t)(tape->rows * tape->equation.columns) * sizeof(double);
}

static double *state(const tw_ode_tape *tape, int64_t place)
{
    return tape->states + place * tape->rows * tape->equation.columns;
}

/* Room for a state in that place. */
static tw_status make_place(tw_ode_tape *tape, int64_t place)
{
    tw_status status =
        tw_tape_room(tape->ctx, &tape->states, &tape->states_capacity, place + 1, tape->most, state_bytes(tape));
    if (status != TW_OK) return status;
    return tw_tape_room(tape->ctx, &tape->number, &tape->number_capacity, place + 1, tape->most, sizeof *tape->number);
}

/* Forgets every other state. */
static void thin_out(tw_ode_tape *tape)
{
    tape->stride *= 2;
    tape->kept = (tape->kept + 1) / 2;
    for (int64_t i = 1; i < tape->kept; i++) memcpy(state(tape, i), state(tape, 2 * i), state_bytes(tape));
}

static tw_status keep(tw_ode_tape *tape, const tw_ode *ode, int64_t a)
{
    int64_t row = ode->index[a], n = ode->taken[a] + 1, columns = ode->columns;
    while (n % tape->stride == 0 && n / tape->stride >= tape->most) thin_out(tape);
    if (n % tape->stride != 0) return TW_OK;
    int64_t place = n / tape->stride;
    tw_status status = make_place(tape, place);
    if (status != TW_OK) return status;
    tape->kept = tw_max_i64(tape->kept, place + 1);
    memcpy(state(tape, place) + row * columns, ode->z + a * columns, (size_t)columns * sizeof(double));
    return TW_OK;
}

tw_status tw_tape_record(tw_ode *ode)
{
    tw_ode_tape *tape = ode->tape;
    tw_status status = TW_OK;
    for (int64_t a = 0; a < ode->active; a++) {
        if (!ode->fresh[a]) continue;
        int64_t n = ode->taken[a], row = ode->index[a];
        TW_TRY(tw_tape_room(tape->ctx, &tape->times, &tape->times_capacity, n + 1, INT64_MAX,
                            (size_t)tape->width * sizeof(double)));
        tape->times[n * tape->width + (tape->width > 1 ? row : 0)] = ode->t_next[a];
        tape->taken[row] = n + 1;
        TW_TRY(keep(tape, ode, a));
    }
done:
    return status;
}

/* Rows by falling number of steps, by counting; those with the same number stay in order. */
static tw_status sort_rows(tw_ode_tape *tape)
{
    tape->longest = 0;
    for (int64_t i = 0; i < tape->rows; i++) tape->longest = tw_max_i64(tape->longest, tape->taken[i]);
    int64_t *place = tw_alloc(tape->ctx, (size_t)tape->longest + 2, sizeof *place);
    if (!place) return TW_ERR_MEMORY;
    for (int64_t i = 0; i < tape->rows; i++) place[tape->longest - tape->taken[i] + 1]++;
    for (int64_t n = 0; n <= tape->longest; n++) place[n + 1] += place[n];
    for (int64_t i = 0; i < tape->rows; i++) {
        tape->rank[i] = place[tape->longest - tape->taken[i]]++;
        tape->order[tape->rank[i]] = i;
    }
    tw_free(tape->ctx, place);
    return TW_OK;
}

tw_status tw_ode_tape_run(tw_ode_tape *tape, int64_t rows, double *x, tw_ode_output *output, tw_ode_stats *out_stats,
                          char *error, size_t size)
{
    tw_status status = TW_OK;
    tape->told = false;
    if (rows < 0 || rows > tape->forward->block) {
        if (error)
            snprintf(error, size, "%lld rows on a tape made for %lld", (long long)rows,
                     (long long)tape->forward->block);
        return TW_ERR_INVALID;
    }
    /* places of another number of rows are of another size */
    tape->states_capacity = rows == tape->rows ? tape->states_capacity : 0;
    tape->times_capacity = rows == tape->rows ? tape->times_capacity : 0;
    tape->rows = rows;
    tape->width = tape->forward->adaptive || tape->forward->desc.events_count > 0 ? tw_max_i64(rows, 1) : 1;
    tape->stride = tape->kept = 1;
    tape->events = 0;
    memset(tape->taken, 0, (size_t)rows * sizeof *tape->taken);
    TW_TRY(make_place(tape, 0));
    if (state_bytes(tape) > 0) memcpy(tape->states, x, state_bytes(tape));
    TW_TRY(tw_ode_run_output(tape->forward, tape->equation.field, tape->equation.user, rows, x, output, out_stats,
                             error, size));
    TW_TRY(sort_rows(tape));
    tw_tape_sort_events(tape);
    for (int64_t i = 0; i < tape->kept; i++) tape->number[i] = i * tape->stride;
    tape->told = true;
done:
    if (status == TW_ERR_MEMORY && error)
        snprintf(error, size, "out of memory while %lld rows were remembered", (long long)rows);
    return status;
}

/* --- the way back --------------------------------------------------------------------------------------------------
 */

int64_t tw_tape_rows(const tw_ode_tape *tape, int64_t n)
{
    int64_t low = 0, high = tape->rows; /* rows before low have it, those from high on have not */
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        if (tape->taken[tape->order[middle]] > n)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The rows of a state kept, or of the last one computed, that have a step number n. */
static void load(tw_ode_tape *tape, int64_t place)
{
    tw_ode *ode = tape->replay;
    size_t columns = (size_t)ode->columns;
    const double *from = state(tape, place);
    ode->active = tw_tape_rows(tape, tape->number[place]);
    for (int64_t a = 0; a < ode->active; a++)
        memcpy(ode->y + a * ode->columns, from + tape->order[a] * ode->columns, columns * sizeof(double));
}

static void save(tw_ode_tape *tape, int64_t n)
{
    const tw_ode *ode = tape->replay;
    size_t columns = (size_t)ode->columns;
    double *to = state(tape, tape->kept);
    for (int64_t a = 0; a < ode->active; a++)
        memcpy(to + tape->order[a] * ode->columns, ode->y + a * ode->columns, columns * sizeof(double));
    tape->number[tape->kept++] = n;
}

tw_status tw_tape_step(tw_ode_tape *tape, int64_t n)
{
    tw_ode *ode = tape->replay;
    ode->active = tw_tape_rows(tape, n);
    for (int64_t a = 0; a < ode->active; a++) {
        const double *end = tape->times + n * tape->width + (tape->width > 1 ? tape->order[a] : 0);
        ode->t[a] = n > 0 ? end[-tape->width] : ode->desc.t0;
        ode->t_next[a] = *end;
        ode->h[a] = *end - ode->t[a];
    }
    int64_t count = 0;
    const tw_tape_event *event = tw_tape_events(tape, n, &count);
    for (int64_t i = 0; i < count; i++) {
        int64_t a = tape->rank[event[i].row];
        ode->t_next[a] = event[i].until;
        ode->h[a] = event[i].until - ode->t[a];
    }
    tw_status status = tw_ode_call(ode, ode->active, ode->t, ode->y, ode->k[0]);
    return status == TW_OK ? tw_ode_step(ode) : status;
}

/* Of `steps` steps from a kept state, with room for `places` more: behind how many the next state is kept. */
static int64_t binomial_split(int64_t steps, int64_t places)
{
    /* before and both: steps that r - 1 and r times over can undo with a place more, C(places + r, r - 1) and
     * C(places + 1 + r, r) */
    int64_t before = 1, both = places + 2;
    for (int64_t r = 1; both < steps; r++) {
        before = both;
        if (__builtin_mul_overflow(both, places + 2 + r, &both)) return before;
        both /= r + 1;
    }
    return before;
}

tw_status tw_tape_seek(tw_ode_tape *tape, int64_t n)
{
    tw_ode *ode = tape->replay;
    tw_status status = TW_OK;
    while (tape->number[tape->kept - 1] > n) tape->kept--;
    int64_t at = tape->number[tape->kept - 1], next = at;
    load(tape, tape->kept - 1);
    while (at < n) {
        int64_t places = tw_min_i64(tape->most - tape->kept, n); /* more would lie idle */
        next = places > 0 ? tw_min_i64(n, at + binomial_split(n + 1 - at, places)) : n;
        for (; at < next; at++) {
            TW_TRY(tw_tape_step(tape, at));
            tw_tape_land(tape, at);
            double *turn = ode->y;
            ode->y = ode->z;
            ode->z = turn;
        }
        ode->active = tw_tape_rows(tape, at);
        if (places == 0) break;
        TW_TRY(make_place(tape, tape->kept));
        save(tape, at);
    }
done:
    return status;
}
