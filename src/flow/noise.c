/* flow/noise.c - see noise.h: dx = (u + w/2 s) dt + sqrt(w) dW, by the solvers of solve/sde.h. Conditions stay outside
 * the solver's state, where they would be columns without noise and have no density. */
#include "flow/noise.h"

#include "solve/sde.h"

#include <math.h>
#include <string.h>

/* What the rows a solver asks about are told: of a block under way whose rows have steps of their own, some are done.
 */
static void take_told(const tw_worker *w, int64_t first, int64_t count)
{
    int64_t told = w->conditions, stride = w->columns + told;
    size_t bytes = (size_t)told * (w->program->wide ? sizeof(double) : sizeof(float));
    for (int64_t i = 0; i < count && told > 0; i++)
        tw_worker_take(w, 1, stride, 0, told, w->told + tw_sde_row(w->sde, first + i) * stride,
                       (char *)w->condition + (size_t)i * bytes);
}

/* w at the times of rows, most of which are one. */
static double diffusion_at(const tw_worker *w, const double *t, int64_t i, double before)
{
    return i > 0 && t[i] == t[i - 1] ? before : tw_diffusion_at(w->diffusion, t[i]);
}

/* u + w/2 s. Without noise the score, which may be beyond numbers, has no part in it. */
static tw_status drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    tw_worker *w = user;
    void *outputs[2] = {w->u, w->second};
    int64_t columns = w->columns;
    double noise = 0;
    w->evaluated += rows;
    for (int64_t begin = 0; begin < rows; begin += w->program->rows) {
        int64_t count = tw_min_i64(rows - begin, w->program->rows);
        tw_worker_take(w, count, 1, 0, 1, t + begin, w->t);
        tw_worker_take(w, count, columns, 0, columns, x + begin * columns, w->x);
        take_told(w, begin, count);
        tw_status status = tw_program_run(w->state, w->inputs, outputs, count);
        if (status != TW_OK) return status;
        for (int64_t i = 0; i < count; i++) {
            noise = diffusion_at(w, t, begin + i, noise);
            double *row = out + (begin + i) * columns;
            for (int64_t j = 0; j < columns; j++) {
                double pull = noise > 0 ? 0.5 * noise * tw_worker_number(w, w->second, i * columns + j) : 0;
                row[j] = tw_worker_number(w, w->u, i * columns + j) + pull;
            }
        }
    }
    return TW_OK;
}

static tw_status spread(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    const tw_worker *w = user;
    double noise = 0;
    (void)x;
    for (int64_t i = 0; i < rows; i++) {
        noise = diffusion_at(w, t, i, noise);
        double root = sqrt(noise);
        for (int64_t j = 0; j < w->columns; j++) out[i * w->columns + j] = root;
    }
    return TW_OK;
}

tw_status tw_noise_ready(tw_context *ctx, tw_worker *w, const tw_crew_noise *noise, int64_t rows)
{
    tw_status status = TW_OK;
    /* the noise does not depend on x: both senses are one, and any method can */
    const tw_sde_method *method = tw_sde_method_find(noise->solver.method);
    tw_sde_equation equation = {.sense = method && !method->info.ito ? TW_SDE_STRATONOVICH : TW_SDE_ITO,
                                .columns = w->columns,
                                .drift = drift,
                                .diffusion = spread,
                                .user = w};
    w->diffusion = noise->diffusion;
    TW_TRY(tw_sde_create(ctx, &equation, &noise->solver, rows, &w->sde));
    if (w->conditions > 0) {
        w->rows = tw_alloc(ctx, (size_t)rows * (size_t)w->columns, sizeof(double));
        if (!w->rows) TW_TRY(tw_fail_memory(ctx, (size_t)rows * (size_t)w->columns * sizeof(double)));
    }
done:
    return status;
}

/* Rows of x between the state and an array without conditions. */
static void copy_rows(int64_t rows, int64_t columns, int64_t from_stride, const double *from, int64_t to_stride,
                      double *to)
{
    for (int64_t i = 0; i < rows; i++)
        memcpy(to + i * to_stride, from + i * from_stride, (size_t)columns * sizeof(double));
}

tw_status tw_noise_run(tw_worker *w, const tw_crew_noise *noise, int64_t begin, int64_t rows, int64_t total,
                       int64_t stride, double *state, tw_ode_stats *out_stats, char *error, size_t size)
{
    tw_sde_stats s = {0};
    int64_t columns = w->columns;
    double *x = w->rows ? w->rows : state;
    const tw_sde_out out = {.stride = total, .log_prob = noise->log_prob ? noise->log_prob + begin : NULL};
    bool chosen = noise->solver.rtol != 0 || noise->solver.atol != 0;
    w->told = state + columns;
    w->evaluated = 0;
    if (x != state) copy_rows(rows, columns, stride, state, columns, x);
    tw_status status = tw_sde_run(w->sde, begin, rows, x, &out, &s, error, size);
    if (x != state) copy_rows(rows, columns, columns, x, stride, state);
    *out_stats = (tw_ode_stats){.nfe = s.drift_evaluations, /* the last row to end is in every call */
                                .nfe_mean = (double)w->evaluated / (double)rows,
                                .evaluations = w->evaluated,
                                .calls = s.drift_evaluations,
                                .accepted = chosen ? s.accepted : s.steps * rows,
                                .rejected = s.rejected,
                                .failed = s.failed};
    return status;
}
