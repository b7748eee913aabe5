/* solve/ode.c - making the work memory once, and running blocks of rows through the loop. */
#include "solve/ode.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* tw_ode_solve holds at most this many elements of every array at once, so that its memory stays in tens of MiB. */
enum { BLOCK_ELEMENTS = 1 << 18 };

static tw_ode_terms terms_of(const double *weights, int count)
{
    tw_ode_terms terms = {0};
    for (int i = 0; i < count; i++) {
        if (weights[i] == 0) continue;
        terms.stage[terms.count] = i;
        terms.weight[terms.count++] = weights[i];
    }
    return terms;
}

static bool all_zero(const double *weights, int count)
{
    return terms_of(weights, count).count == 0;
}

static void fill_interpolant(tw_ode *ode)
{
    const tw_interpolant *way = ode->table->interpolant;
    if (!way || !ode->looks) return;
    ode->nodes = way->nodes;
    ode->betweens = way->terms;
    for (int n = 0; n < way->nodes; n++) ode->node[n] = terms_of(way->a[n], TW_TABLEAU_SLOTS);
    for (int k = 0; k < way->terms; k++) ode->between[k] = terms_of(way->d[k], TW_TABLEAU_SLOTS);
}

static void fill_terms(tw_ode *ode)
{
    const tw_tableau *table = ode->table;
    int stages = table->info.stages;
    ode->begin = 0;
    ode->end = table->fsal ? stages - 1 : stages;
    ode->stages = stages;
    for (int i = 0; i < TW_TABLEAU_SLOTS; i++) ode->weighs[i] = ode->looks || table->kind != TW_TABLEAU_EXPLICIT;
    fill_interpolant(ode);
    if (table->kind == TW_TABLEAU_ADAMS) {
        ode->end = TW_ADAMS_END;
        ode->stages = TW_ADAMS_END;
        return;
    }
    ode->solution = terms_of(table->b, stages);
    ode->error = terms_of(table->e, stages);
    for (int s = 0; s < stages; s++) ode->stage[s] = terms_of(table->a[s], stages);
    if (!ode->adaptive) ode->stages = ode->solution.stage[ode->solution.count - 1] + 1;
    for (int i = 0; i < ode->solution.count; i++) ode->weighs[ode->solution.stage[i]] = true;
    ode->ends_known = table->fsal && (ode->adaptive || table->kind == TW_TABLEAU_IMPLICIT);
    /* the last stage of one step is the first of the next */
    if (ode->ends_known) ode->weighs[stages - 1] = true;
    if (table->kind == TW_TABLEAU_IMPLICIT && !all_zero(table->a[0], stages)) ode->begin = TW_TABLEAU_SLOTS - 1;
}

static bool uses_slot(const tw_ode *ode, int slot)
{
    bool ends = ode->looks || ode->ends_known;
    return slot < ode->stages || slot == ode->begin || (ends && slot == ode->end) || (ode->adaptive && slot == 1) ||
           (slot > ode->end && slot <= ode->end + ode->nodes);
}

static void lay_out(tw_ode *ode, tw_layout *l)
{
    const tw_ode_desc *d = &ode->desc;
    const size_t real = sizeof(double);
    int64_t block = ode->block, columns = ode->columns, events = d->events_count;
    double **of_elements[] = {&ode->y, &ode->z, &ode->step, &ode->square, &ode->packed_x, &ode->packed_dx};
    double **of_rows[] = {&ode->t,    &ode->t_next, &ode->t_stage, &ode->h,       &ode->packed_t, &ode->wish,
                          &ode->last, &ode->before, &ode->past[0], &ode->past[1], &ode->past[2],  &ode->g};
    int64_t **of_integers[] = {&ode->index, &ode->tries, &ode->nfe, &ode->taken, &ode->place, &ode->asked, &ode->cause};
    unsigned char **of_bytes[] = {&ode->leaving, &ode->bad,   &ode->marked,  &ode->fresh,
                                  &ode->stale,   &ode->known, &ode->history, &ode->anew};
    for (int i = 0; i < TW_COUNT(of_elements); i++) *of_elements[i] = tw_layout_take(l, block, columns, real);
    ode->way = tw_layout_take(l, d->chart ? block : 0, columns, real);
    ode->raw = tw_layout_take(l, d->chart ? block : 0, columns, real);
    for (int i = 0; i < TW_TABLEAU_SLOTS; i++)
        if (uses_slot(ode, i)) ode->k[i] = tw_layout_take(l, block, columns, real);
    for (int i = 0; i < TW_COUNT(of_rows); i++) *of_rows[i] = tw_layout_take(l, block, 1, real);
    for (int i = 0; i < TW_COUNT(of_integers); i++) *of_integers[i] = tw_layout_take(l, block, 1, sizeof(int64_t));
    for (int i = 0; i < TW_COUNT(of_bytes); i++) *of_bytes[i] = tw_layout_take(l, block, 1, 1);
    ode->grid = tw_layout_take(l, d->time_grid ? d->time_grid_count : 0, 1, real);
    ode->times = tw_layout_take(l, d->times_count, 1, real);
    ode->events = tw_layout_take(l, events, 1, sizeof(tw_ode_event));
    ode->fired = tw_layout_take(l, block, events, sizeof(int64_t));
    ode->looked = tw_layout_take(l, block, events * TW_ODE_LOOKS, real);
    ode->there = tw_layout_take(l, events ? columns : 0, 1, real);
    ode->probe = tw_layout_take(l, events ? columns : 0, 2, real);
    ode->passing = tw_layout_take(l, events, 1, real);
    ode->side = tw_layout_take(l, block, events, 1);
    ode->side_next = tw_layout_take(l, events, 1, 1);
}

static void copy_array(void *to, const void **from, size_t bytes)
{
    if (bytes > 0) memcpy(to, *from, bytes);
    *from = bytes > 0 ? to : NULL;
}

static tw_status make_memory(tw_context *ctx, tw_ode *ode)
{
    tw_ode_desc *d = &ode->desc;
    tw_layout l = {0};
    lay_out(ode, &l);
    if (l.overflow)
        return tw_fail(ctx, TW_ERR_MEMORY, "an ODE over %lld rows of %d columns does not fit in memory",
                       (long long)ode->block, ode->columns);
    ode->memory = tw_alloc_aligned(ctx, (size_t)l.used);
    if (!ode->memory) return tw_fail_memory(ctx, (size_t)l.used);
    l = (tw_layout){.base = ode->memory};
    lay_out(ode, &l);
    copy_array(ode->grid, (const void **)&d->time_grid, d->time_grid ? (size_t)d->time_grid_count * sizeof(double) : 0);
    copy_array(ode->times, (const void **)&d->times, (size_t)d->times_count * sizeof(double));
    copy_array(ode->events, (const void **)&d->events, (size_t)d->events_count * sizeof(tw_ode_event));
    return TW_OK;
}

tw_status tw_ode_create(tw_context *ctx, const tw_ode_desc *desc, int64_t max_rows, int columns, tw_ode **out_ode)
{
    tw_status status = TW_OK;
    tw_ode *ode = NULL;
    if (columns < 0 || max_rows < 0)
        return tw_fail(ctx, TW_ERR_INVALID, "an ODE over %lld rows of %d columns", (long long)max_rows, columns);
    ode = tw_alloc(ctx, 1, sizeof *ode);
    if (!ode) return tw_fail_memory(ctx, sizeof *ode);
    ode->ctx = ctx;
    ode->columns = columns;
    ode->block = tw_max_i64(max_rows, 1);
    TW_TRY(tw_ode_describe(ctx, desc ? desc : &(tw_ode_desc){0}, ode));
    fill_terms(ode);
    TW_TRY(make_memory(ctx, ode));
    if (ode->table->kind == TW_TABLEAU_IMPLICIT) TW_TRY(tw_newton_create(ode));
    *out_ode = ode;
    ode = NULL;
done:
    tw_ode_destroy(ode);
    return status;
}

void tw_ode_destroy(tw_ode *ode)
{
    if (!ode) return;
    tw_newton_destroy(ode->ctx, ode->newton);
    tw_free_aligned(ode->ctx, ode->memory);
    tw_free(ode->ctx, ode);
}

/* States that a row does not reach stay NaN. */
static void blank_states(const tw_ode *ode, int64_t first, int64_t rows)
{
    int64_t columns = ode->columns;
    for (int64_t i = 0; i < ode->desc.times_count; i++) {
        double *out = ode->output->states + (i * ode->rows + first) * columns;
        for (int64_t j = 0; j < rows * columns; j++) out[j] = (double)NAN;
    }
}

static tw_status run_block(tw_ode *ode, int64_t first, int64_t rows, double *x)
{
    size_t counts = (size_t)rows * sizeof(int64_t), flags = (size_t)rows;
    int64_t *const integers[] = {ode->tries, ode->nfe, ode->taken, ode->place, ode->asked};
    unsigned char *const bytes[] = {ode->leaving, ode->bad, ode->fresh, ode->known, ode->history};
    ode->x = x + first * ode->columns;
    ode->first_row = first;
    ode->active = rows;
    memcpy(ode->y, ode->x, (size_t)(rows * ode->columns) * sizeof(double));
    for (int i = 0; i < TW_COUNT(integers); i++) memset(integers[i], 0, counts);
    for (int i = 0; i < TW_COUNT(bytes); i++) memset(bytes[i], 0, flags);
    memset(ode->anew, 1, flags);
    memset(ode->fired, 0, counts * (size_t)ode->desc.events_count);
    for (int64_t a = 0; a < rows; a++) {
        ode->index[a] = a;
        ode->t[a] = ode->desc.t0;
        ode->wish[a] = 0;
        ode->cause[a] = -1;
    }
    if (ode->desc.times_count > 0) blank_states(ode, first, rows);
    tw_status status = tw_ode_drive(ode);
    /* When the field failed, rows under way are handed back where they stand. */
    memset(ode->leaving, 1, (size_t)ode->active);
    tw_ode_compact(ode);
    return status;
}

/* A journey without length, or rows without columns: every time asked for is the start. */
static void stand_still(const tw_ode *ode, int64_t rows, const double *x)
{
    const tw_ode_output *out = ode->output;
    size_t count = (size_t)rows;
    if (!out) return;
    for (int64_t i = 0; i < ode->desc.times_count && ode->columns > 0; i++)
        memcpy(out->states + i * rows * ode->columns, x, count * (size_t)ode->columns * sizeof(double));
    for (int64_t r = 0; r < rows && out->ends; r++) out->ends[r] = ode->desc.t1;
    int64_t *const counts[] = {out->nfe, out->accepted, out->rejected};
    for (int i = 0; i < TW_COUNT(counts); i++)
        if (counts[i]) memset(counts[i], 0, count * sizeof(int64_t));
}

tw_status tw_ode_run_output(tw_ode *ode, tw_field_fn field, void *user, int64_t rows, double *x, tw_ode_output *output,
                            tw_ode_stats *out_stats, char *error, size_t size)
{
    tw_status status = TW_OK;
    const char *name = ode->desc.method;
    if (ode->desc.times_count > 0 && (!output || !output->states)) {
        if (error) snprintf(error, size, "%s: states at times are asked for, and no array to write them to", name);
        return TW_ERR_INVALID;
    }
    ode->field = field;
    ode->user = user;
    ode->output = output;
    ode->rows = rows;
    ode->stats = (tw_ode_stats){0};
    ode->failure = (tw_ode_failure){0};
    if (output) output->events_count = 0;
    if (rows > 0 && (ode->columns == 0 || ode->span == 0)) {
        stand_still(ode, rows, x);
    } else {
        for (int64_t first = 0; first < rows && status == TW_OK; first += ode->block)
            status = run_block(ode, first, tw_min_i64(ode->block, rows - first), x);
    }
    if (rows > 0) ode->stats.nfe_mean = (double)ode->stats.evaluations / (double)rows;
    if (out_stats) *out_stats = ode->stats;
    if (status != TW_OK) {
        if (error) snprintf(error, size, "%s: the field could not be evaluated (%s)", name, tw_status_text(status));
    } else if (ode->stats.failed) {
        const tw_ode_failure *f = &ode->failure;
        status = TW_ERR_NUMERIC;
        if (error)
            snprintf(error, size,
                     "%s could not finish %lld of %lld rows; the first is row %lld at t=%.6g, step %.3g: %s", name,
                     (long long)ode->stats.failed, (long long)rows, (long long)f->row, f->t, f->step, f->why);
    }
    return status;
}

tw_status tw_ode_run(tw_ode *ode, tw_field_fn field, void *user, int64_t rows, double *x, tw_ode_stats *out_stats,
                     char *error, size_t size)
{
    return tw_ode_run_output(ode, field, user, rows, x, NULL, out_stats, error, size);
}

/* Rows that tw_ode_solve holds at once: matrices of implicit methods count. */
static int64_t rows_at_once(const tw_ode_desc *desc, int columns)
{
    const tw_tableau *table = desc && desc->method ? tw_tableau_find(desc->method) : NULL;
    int64_t weight = tw_max_i64(1, columns);
    if (table && table->info.implicit) weight *= tw_min_i64(64, weight * table->info.stages);
    return tw_max_i64(1, BLOCK_ELEMENTS / weight);
}

tw_status tw_ode_solve_output(tw_context *ctx, const tw_ode_desc *desc, tw_field_fn field, void *user, int64_t rows,
                              int columns, double *x, tw_ode_output *output, tw_ode_stats *out_stats)
{
    tw_status status = TW_OK;
    tw_ode *ode = NULL;
    char error[sizeof ctx->error];
    if (rows < 0 || columns < 0 || !field || (!x && rows > 0 && columns > 0))
        return tw_fail(ctx, TW_ERR_INVALID, "an ODE needs a field and %lld rows of %d columns to start from",
                       (long long)rows, columns);
    TW_TRY(tw_ode_create(ctx, desc, tw_min_i64(rows, rows_at_once(desc, columns)), columns, &ode));
    ctx->error[0] = 0;
    status = tw_ode_run_output(ode, field, user, rows, x, output, out_stats, error, sizeof error);
    /* A field that shares this context has already said what went wrong. */
    if (status != TW_OK && ctx->error[0] == 0) tw_fail(ctx, status, "%s", error);
done:
    tw_ode_destroy(ode);
    return status;
}

tw_status tw_ode_solve(tw_context *ctx, const tw_ode_desc *desc, tw_field_fn field, void *user, int64_t rows,
                       int columns, double *x, tw_ode_stats *out_stats)
{
    return tw_ode_solve_output(ctx, desc, field, user, rows, columns, x, NULL, out_stats);
}
