/* solve/sde.c - checking an equation against a method, and work memory made once. */
#include "solve/sde.h"

#include "base/text.h"

#include <math.h>
#include <string.h>

static const char *const noise_names[] = {"diagonal", "scalar", "additive", "general"};

/* --- checking ----------------------------------------------------------------------------------------------------- */

static tw_status unknown_method(tw_context *ctx, const char *name)
{
    const char *names[32];
    int count = 0;
    tw_text list = tw_text_new(ctx);
    for (const tw_sde_method_info *m; count < TW_COUNT(names) && (m = tw_sde_method_list(count)); count++) {
        names[count] = m->name;
        tw_text_add(&list, "%s%s", count ? ", " : "", m->name);
    }
    const char *near = tw_nearest_name(name, names, count);
    tw_status status = tw_text_check(&list);
    if (status == TW_OK && near)
        status = tw_fail(ctx, TW_ERR_INVALID, "no SDE method is called '%s'; did you mean '%s'?", name, near);
    else if (status == TW_OK)
        status = tw_fail(ctx, TW_ERR_INVALID, "no SDE method is called '%s'; there are: %s", name, list.data);
    tw_text_free(&list);
    return status;
}

static bool can(const tw_sde_method_info *m, const tw_sde_equation *e)
{
    return m->noise[e->noise] && (e->sense == TW_SDE_ITO ? m->ito : m->stratonovich);
}

static tw_status cannot(tw_context *ctx, const tw_sde_method_info *m, const tw_sde_equation *e)
{
    int count = 0;
    tw_text list = tw_text_new(ctx);
    const char *sense = e->sense == TW_SDE_ITO ? "Ito" : "Stratonovich";
    for (int i = 0; tw_sde_method_list(i); i++)
        if (can(tw_sde_method_list(i), e)) tw_text_add(&list, "%s%s", count++ ? ", " : "", tw_sde_method_list(i)->name);
    tw_status status = tw_text_check(&list);
    if (status == TW_OK)
        status =
            tw_fail(ctx, TW_ERR_UNSUPPORTED, "%s cannot solve equations in %s's sense with %s noise; these can: %s",
                    m->name, sense, noise_names[e->noise], list.data);
    tw_text_free(&list);
    return status;
}

static tw_status check_equation(tw_context *ctx, const tw_sde_equation *e)
{
    bool matrix = e->noise == TW_SDE_ADDITIVE || e->noise == TW_SDE_GENERAL;
    if (!e->drift || !e->diffusion || e->columns < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "an SDE needs a drift, a diffusion and at least one column, not %d",
                       e->columns);
    if ((unsigned)e->noise > TW_SDE_GENERAL || (unsigned)e->sense > TW_SDE_STRATONOVICH)
        return tw_fail(ctx, TW_ERR_INVALID, "sense %d or noise %d of an SDE is none", (int)e->sense, (int)e->noise);
    if (matrix ? e->noises < 1 : e->noises != 0)
        return tw_fail(ctx, TW_ERR_INVALID, "noises of an SDE is %d: %s", e->noises,
                       matrix ? "additive and general noise need at least 1" : "0 for diagonal and scalar noise");
    if (e->derivative && matrix)
        return tw_fail(ctx, TW_ERR_INVALID, "the derivative of %s noise is not used: give none", noise_names[e->noise]);
    return TW_OK;
}

static tw_status choose_method(tw_context *ctx, const char *name, tw_sde *sde)
{
    const tw_sde_equation *e = &sde->equation;
    if (!name && e->sense == TW_SDE_STRATONOVICH) name = "midpoint";
    if (!name) name = e->noise == TW_SDE_GENERAL ? "euler" : "srk";
    sde->method = tw_sde_method_find(name);
    if (!sde->method) return unknown_method(ctx, name);
    if (!can(&sde->method->info, e)) return cannot(ctx, &sde->method->info, e);
    sde->tableau = sde->method->tableau;
    if (e->noise == TW_SDE_ADDITIVE && sde->method->additive) sde->tableau = sde->method->additive;
    if (strcmp(name, "milstein") != 0) sde->equation.derivative = NULL;
    if (sde->equation.derivative) sde->tableau = tw_sde_euler_tableau();
    return TW_OK;
}

/* The times of the steps, equal ones with the same bits backwards. */
static tw_status make_times(tw_context *ctx, const tw_sde_desc *d, tw_sde *sde)
{
    double t0 = d->t0, t1 = d->t0 == 0 && d->t1 == 0 ? 1 : d->t1;
    if (d->steps < 0 || d->steps >= INT32_MAX)
        return tw_fail(ctx, TW_ERR_INVALID, "%lld steps of an SDE", (long long)d->steps);
    sde->steps = d->steps ? d->steps : d->rtol != 0 || d->atol != 0 ? 10 : 100;
    if (d->times && d->steps == 0)
        return tw_fail(ctx, TW_ERR_INVALID, "times of the steps of an SDE are given, but not how many steps");
    sde->times = tw_alloc(ctx, (size_t)sde->steps + 1, sizeof *sde->times);
    if (!sde->times) return tw_fail_memory(ctx, ((size_t)sde->steps + 1) * sizeof *sde->times);
    for (int64_t i = 0; i <= sde->steps; i++)
        sde->times[i] = d->times  ? d->times[i]
                        : t0 < t1 ? tw_grid_time(t0, t1, i, sde->steps)
                                  : tw_grid_time(t1, t0, sde->steps - i, sde->steps);
    double direction = sde->times[sde->steps] < sde->times[0] ? -1 : 1;
    for (int64_t i = 0; i < sde->steps; i++)
        if (!(direction * (sde->times[i + 1] - sde->times[i]) > 0) || !isfinite(sde->times[i + 1] - sde->times[i]))
            return tw_fail(ctx, TW_ERR_INVALID, "step %lld of an SDE leads from t=%g to t=%g: finite times in order",
                           (long long)i + 1, sde->times[i], sde->times[i + 1]);
    if (direction < 0 && sde->equation.sense == TW_SDE_ITO)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED,
                       "an SDE in Ito's sense runs forwards only, not from t=%g to t=%g; backwards it is another "
                       "equation: put it in Stratonovich's sense",
                       sde->times[0], sde->times[sde->steps]);
    return TW_OK;
}

/* --- memory ------------------------------------------------------------------------------------------------------- */

static tw_status make_brownian(tw_context *ctx, const tw_sde_desc *d, tw_sde *sde)
{
    tw_status status = TW_OK;
    double *sorted = NULL;
    const double *times = sde->times;
    if (times[0] > times[sde->steps]) {
        sorted = tw_alloc(ctx, (size_t)sde->steps + 1, sizeof *sorted);
        if (!sorted) TW_TRY(tw_fail_memory(ctx, ((size_t)sde->steps + 1) * sizeof *sorted));
        for (int64_t i = 0; i <= sde->steps; i++) sorted[i] = times[sde->steps - i];
        times = sorted;
    }
    tw_brownian_desc desc = {.cells = sde->steps,
                             .times = times,
                             .columns = sde->noises,
                             .seed = d->seed,
                             .stream = d->stream,
                             .integrals = sde->method->info.needs_integrals};
    TW_TRY(tw_brownian_create(ctx, &desc, sde->block, &sde->own));
    sde->brownian = sde->own;
done:
    tw_free(ctx, sorted);
    return status;
}

/* A motion of the caller's. */
static tw_status check_brownian(tw_context *ctx, const tw_sde *sde)
{
    tw_brownian_facts facts = tw_brownian_about(sde->brownian);
    double t0 = sde->times[0], t1 = sde->times[sde->steps];
    if (facts.columns != sde->noises || facts.max_rows < sde->block)
        return tw_fail(ctx, TW_ERR_SHAPE,
                       "the motion has memory for %lld rows of %d columns; the SDE needs %lld rows of %d",
                       (long long)facts.max_rows, facts.columns, (long long)sde->block, sde->noises);
    if (fmin(t0, t1) < facts.t0 || fmax(t0, t1) > facts.t1)
        return tw_fail(ctx, TW_ERR_INVALID, "the motion is known from t=%g to t=%g, the SDE goes from t=%g to t=%g",
                       facts.t0, facts.t1, t0, t1);
    if (sde->method->info.needs_integrals && !facts.integrals)
        return tw_fail(ctx, TW_ERR_INVALID, "%s needs a motion that knows its integrals", sde->method->info.name);
    return TW_OK;
}

static tw_status make_memory(tw_context *ctx, tw_sde *sde)
{
    int stages = sde->tableau ? sde->tableau->stages : 1;
    int64_t of_states = sde->columns, of_diffusions = sde->width, of_controls = sde->noises, total = 0;
    int64_t per_row = (stages + 4) * of_states + stages * of_diffusions + (TW_CONTROLS + 1) * of_controls + 3;
    if (__builtin_mul_overflow(sde->block, per_row, &total) || total > INT64_MAX / 16)
        return tw_fail(ctx, TW_ERR_MEMORY, "an SDE over %lld rows of %d columns does not fit in memory",
                       (long long)sde->block, sde->columns);
    bool matrix = sde->equation.noise == TW_SDE_ADDITIVE || sde->equation.noise == TW_SDE_GENERAL;
    int64_t of_matrix = matrix ? (int64_t)sde->columns * sde->columns : 0;
    total += of_matrix;
    double *at = sde->memory = tw_alloc_aligned(ctx, (size_t)total * sizeof *at);
    if (!at) return tw_fail_memory(ctx, (size_t)total * sizeof *at);
    double **states[] = {&sde->z, &sde->other, &sde->v, &sde->mate};
    for (int i = 0; i < TW_COUNT(states); i++, at += sde->block * of_states) *states[i] = at;
    for (int i = 0; i < stages; i++, at += sde->block * of_states) sde->f[i] = at;
    for (int i = 0; i < stages; i++, at += sde->block * of_diffusions) sde->g[i] = at;
    for (int i = 0; i < TW_CONTROLS; i++, at += sde->block * of_controls) sde->control[i] = at;
    sde->sum = at;
    sde->t = at + sde->block * of_controls;
    sde->rate = sde->t + sde->block;
    sde->matrix = sde->rate + sde->block;
    sde->broken = (unsigned char *)(sde->matrix + of_matrix);
    return TW_OK;
}

tw_status tw_sde_create(tw_context *ctx, const tw_sde_equation *equation, const tw_sde_desc *desc, int64_t max_rows,
                        tw_sde **out_sde)
{
    const tw_sde_desc d = desc ? *desc : (tw_sde_desc){0};
    const tw_sde_equation *e = equation;
    tw_sde *sde = NULL;
    tw_status status = TW_OK;
    if (max_rows < 0) TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "an SDE over %lld rows", (long long)max_rows));
    TW_TRY(check_equation(ctx, e));
    sde = tw_alloc(ctx, 1, sizeof *sde);
    if (!sde) TW_TRY(tw_fail_memory(ctx, sizeof *sde));
    sde->ctx = ctx;
    sde->equation = *e;
    sde->block = tw_max_i64(max_rows, 1);
    sde->columns = e->columns;
    sde->noises = e->noise == TW_SDE_DIAGONAL ? e->columns : e->noise == TW_SDE_SCALAR ? 1 : e->noises;
    if (d.rtol != 0 || d.atol != 0) sde->equation.derivative = NULL; /* a difference serves rows of different steps */
    TW_TRY(choose_method(ctx, d.method, sde));
    if (__builtin_mul_overflow(e->columns, e->noises ? e->noises : 1, &sde->width))
        TW_TRY(tw_fail(ctx, TW_ERR_MEMORY, "a diffusion of %d by %d numbers a row", e->columns, e->noises));
    TW_TRY(make_times(ctx, &d, sde));
    sde->brownian = d.brownian;
    if (d.brownian)
        TW_TRY(check_brownian(ctx, sde));
    else
        TW_TRY(make_brownian(ctx, &d, sde));
    TW_TRY(make_memory(ctx, sde));
    if (d.rtol != 0 || d.atol != 0) TW_TRY(tw_sde_walk_create(sde, &d));
    *out_sde = sde;
    sde = NULL;
done:
    tw_sde_destroy(sde);
    return status;
}

void tw_sde_destroy(tw_sde *sde)
{
    if (!sde) return;
    tw_sde_walk_destroy(sde->ctx, sde->walk);
    tw_brownian_destroy(sde->own);
    tw_free_aligned(sde->ctx, sde->memory);
    tw_free(sde->ctx, sde->times);
    tw_free(sde->ctx, sde);
}
