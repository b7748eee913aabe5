/* solve/ode.c - checking a description, making the work memory once, and running blocks of rows through a driver. */
#include "solve/ode.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* tw_ode_solve holds at most this many elements of every array at once, so that its memory stays in tens of MiB. */
enum { BLOCK_ELEMENTS = 1 << 18 };

static tw_status unknown_method(tw_context *ctx, const char *name)
{
    const char *names[32];
    int count = 0;
    tw_text list = tw_text_new(ctx);
    for (const tw_ode_method_info *m; count < TW_COUNT(names) && (m = tw_ode_method_list(count)); count++) {
        names[count] = m->name;
        tw_text_add(&list, "%s%s", count ? ", " : "", m->name);
    }
    const char *near = tw_nearest_name(name, names, count);
    tw_status status = tw_text_check(&list);
    if (status == TW_OK && near)
        status = tw_fail(ctx, TW_ERR_INVALID, "no ODE method is called '%s'; did you mean '%s'?", name, near);
    else if (status == TW_OK)
        status = tw_fail(ctx, TW_ERR_INVALID, "no ODE method is called '%s'; there are: %s", name, list.data);
    tw_text_free(&list);
    return status;
}

static tw_status check_number(tw_context *ctx, const char *name, double value)
{
    if (isfinite(value) && value >= 0) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID, "%s of the ODE solver must be finite and not negative, not %g", name, value);
}

static tw_status count_steps(tw_context *ctx, tw_ode *ode)
{
    const tw_ode_desc *d = &ode->desc;
    double steps = d->steps > 0 ? d->steps : 50;
    /* A last step shorter than a millionth of the others is rounding of t1 - t0 over step_size, not wanted. */
    if (d->step_size > 0) steps = fmax(1, ceil(ode->span / d->step_size - 1e-6));
    if (steps > (double)d->max_steps)
        return tw_fail(ctx, TW_ERR_INVALID, "step_size %g makes %.0f steps from t=%g to t=%g, more than max_steps %lld",
                       d->step_size, steps, d->t0, d->t1, (long long)d->max_steps);
    ode->fixed_steps = (int64_t)steps;
    return TW_OK;
}

static tw_status fill_desc(tw_context *ctx, const tw_ode_desc *desc, tw_ode *ode)
{
    tw_status status = TW_OK;
    tw_ode_desc *d = &ode->desc;
    *d = *desc;
    if (!d->method) d->method = "dopri5";
    ode->table = tw_tableau_find(d->method);
    if (!ode->table) return unknown_method(ctx, d->method);
    d->method = ode->table->info.name;
    if (d->t0 == 0 && d->t1 == 0) d->t1 = 1;
    if (!isfinite(d->t0) || !isfinite(d->t1))
        return tw_fail(ctx, TW_ERR_INVALID, "an ODE needs finite times, not t0=%g, t1=%g", d->t0, d->t1);
    TW_TRY(check_number(ctx, "rtol", d->rtol));
    TW_TRY(check_number(ctx, "atol", d->atol));
    TW_TRY(check_number(ctx, "step_size", d->step_size));
    TW_TRY(check_number(ctx, "first_step", d->first_step));
    TW_TRY(check_number(ctx, "steps", d->steps));
    TW_TRY(check_number(ctx, "max_steps", (double)d->max_steps));
    if (d->steps > 0 && d->step_size > 0)
        return tw_fail(ctx, TW_ERR_INVALID, "give the ODE solver steps or step_size, not both");
    if (d->error_columns < 0 || d->error_columns > ode->columns)
        return tw_fail(ctx, TW_ERR_INVALID, "error_columns of the ODE solver is %d, of %d columns", d->error_columns,
                       ode->columns);
    if (d->rtol == 0) d->rtol = 1e-5;
    if (d->atol == 0) d->atol = 1e-5;
    if (d->max_steps == 0) d->max_steps = 100000;
    ode->error_columns = d->error_columns ? d->error_columns : ode->columns;
    ode->direction = d->t1 < d->t0 ? -1 : 1;
    ode->span = fabs(d->t1 - d->t0);
    ode->adaptive = ode->table->info.adaptive && d->steps == 0 && d->step_size == 0;
    if (!ode->adaptive) TW_TRY(count_steps(ctx, ode));
done:
    return status;
}

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

static void fill_terms(tw_ode *ode)
{
    const tw_tableau *table = ode->table;
    int stages = table->info.stages;
    ode->solution = terms_of(table->b, stages);
    ode->error = terms_of(table->e, stages);
    for (int s = 0; s < stages; s++) ode->stage[s] = terms_of(table->a[s], s);
    ode->stages = ode->adaptive ? stages : ode->solution.stage[ode->solution.count - 1] + 1;
    for (int i = 0; i < ode->solution.count; i++) ode->weighs[ode->solution.stage[i]] = true;
    /* the last stage of one step is the first of the next */
    if (ode->adaptive && table->fsal) ode->weighs[stages - 1] = true;
}

/* All arrays in one block: doubles first, then 64-bit integers, then bytes. */
static tw_status make_memory(tw_context *ctx, tw_ode *ode)
{
    int64_t elements = 0, total = 0, of_all_rows = 0, bytes = 0;
    int per_element = ode->stages + 4 + (ode->stages == 1), per_row = 10; /* 6 doubles, 3 integers, 3 bytes */
    if (__builtin_mul_overflow(ode->block, (int64_t)ode->columns, &elements) ||
        __builtin_mul_overflow(elements, per_element, &total) ||
        __builtin_mul_overflow(ode->block, per_row * (int64_t)sizeof(double), &of_all_rows) ||
        __builtin_mul_overflow(total, (int64_t)sizeof(double), &bytes) ||
        __builtin_add_overflow(bytes, of_all_rows, &bytes))
        return tw_fail(ctx, TW_ERR_MEMORY, "an ODE over %lld rows of %d columns does not fit in memory",
                       (long long)ode->block, ode->columns);
    double *d = ode->memory = tw_alloc_aligned(ctx, (size_t)bytes);
    if (!d) return tw_fail_memory(ctx, (size_t)bytes);
    double **of_elements[] = {&ode->y, &ode->z, &ode->step, &ode->square};
    double **of_rows[] = {&ode->t, &ode->t_next, &ode->t_stage, &ode->h, &ode->wish, &ode->last};
    int64_t **of_integers[] = {&ode->index, &ode->tries, &ode->nfe};
    unsigned char **of_bytes[] = {&ode->leaving, &ode->fresh, &ode->bad};
    for (int i = 0; i < TW_COUNT(of_elements); i++, d += elements) *of_elements[i] = d;
    for (int i = 0; i < ode->stages + (ode->stages == 1); i++, d += elements) ode->k[i] = d;
    for (int i = 0; i < TW_COUNT(of_rows); i++, d += ode->block) *of_rows[i] = d;
    int64_t *n = (int64_t *)(void *)d;
    for (int i = 0; i < TW_COUNT(of_integers); i++, n += ode->block) *of_integers[i] = n;
    unsigned char *b = (unsigned char *)n;
    for (int i = 0; i < TW_COUNT(of_bytes); i++, b += ode->block) *of_bytes[i] = b;
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
    TW_TRY(fill_desc(ctx, desc ? desc : &(tw_ode_desc){0}, ode));
    fill_terms(ode);
    TW_TRY(make_memory(ctx, ode));
    *out_ode = ode;
    ode = NULL;
done:
    tw_ode_destroy(ode);
    return status;
}

void tw_ode_destroy(tw_ode *ode)
{
    if (!ode) return;
    tw_free_aligned(ode->ctx, ode->memory);
    tw_free(ode->ctx, ode);
}

static tw_status run_block(tw_ode *ode, int64_t first, int64_t rows, double *x)
{
    ode->x = x + first * ode->columns;
    ode->first_row = first;
    ode->active = rows;
    memcpy(ode->y, ode->x, (size_t)(rows * ode->columns) * sizeof(double));
    for (int64_t a = 0; a < rows; a++) {
        ode->index[a] = a;
        ode->t[a] = ode->desc.t0;
        ode->wish[a] = 0;
        ode->tries[a] = ode->nfe[a] = 0;
        ode->leaving[a] = ode->fresh[a] = ode->bad[a] = 0;
    }
    tw_status status = ode->adaptive ? tw_ode_run_adaptive(ode) : tw_ode_run_fixed(ode);
    /* When the field failed, rows under way are handed back where they stand. */
    memset(ode->leaving, 1, (size_t)ode->active);
    tw_ode_compact(ode);
    return status;
}

tw_status tw_ode_run(tw_ode *ode, tw_field_fn field, void *user, int64_t rows, double *x, tw_ode_stats *out_stats,
                     char *error, size_t size)
{
    tw_status status = TW_OK;
    const char *name = ode->desc.method;
    ode->field = field;
    ode->user = user;
    ode->stats = (tw_ode_stats){0};
    ode->failure = (tw_ode_failure){0};
    bool idle = rows <= 0 || ode->columns == 0 || ode->span == 0;
    for (int64_t first = 0; first < rows && !idle && status == TW_OK; first += ode->block)
        status = run_block(ode, first, tw_min_i64(ode->block, rows - first), x);
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

tw_status tw_ode_solve(tw_context *ctx, const tw_ode_desc *desc, tw_field_fn field, void *user, int64_t rows,
                       int columns, double *x, tw_ode_stats *out_stats)
{
    tw_status status = TW_OK;
    tw_ode *ode = NULL;
    char error[sizeof ctx->error];
    if (rows < 0 || columns < 0 || !field || (!x && rows > 0 && columns > 0))
        return tw_fail(ctx, TW_ERR_INVALID, "an ODE needs a field and %lld rows of %d columns to start from",
                       (long long)rows, columns);
    int64_t block = tw_max_i64(1, BLOCK_ELEMENTS / tw_max_i64(1, columns));
    TW_TRY(tw_ode_create(ctx, desc, tw_min_i64(rows, block), columns, &ode));
    ctx->error[0] = 0;
    status = tw_ode_run(ode, field, user, rows, x, out_stats, error, sizeof error);
    /* A field that shares this context has already said what went wrong. */
    if (status != TW_OK && ctx->error[0] == 0) tw_fail(ctx, status, "%s", error);
done:
    tw_ode_destroy(ode);
    return status;
}
