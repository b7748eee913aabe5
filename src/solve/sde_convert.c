/* solve/sde_convert.c - an equation of Ito's sense as the same one in Stratonovich's, whose rules are those of ordinary
 * calculus: its drift is f - c with c = 1/2 sum_k (dg_k/dx) g_k over the motions k. The derivative along g_k is a
 * central difference, which the transposed derivative goes through as it stands, so that it is that of what is
 * computed:
 *
 *   c = sum_k (g_k(x + e g_k(x)) - g_k(x - e g_k(x))) / 4e
 *
 * One difference serves all motions of diagonal noise, as each changes its own column alone. */
#include "solve/sde_convert.h"

#include <string.h>

/* Relative to states and diffusions of size 1: errors of e^2 and 1e-16 / e. */
static const double e = 1e-5;

struct tw_sde_converted {
    tw_sde_equation given;
    int64_t width; /* of what the diffusion writes for a row */
    int motions;   /* differences taken */
    double *g, *at_g, *dg, *x, *dx, *v;
    void *memory;
};

static bool by_columns(const tw_sde_converted *c)
{
    return c->given.noise == TW_SDE_DIAGONAL || c->given.noise == TW_SDE_SCALAR;
}

/* Column k of g among `width` numbers a row, and a column of zeros but it. */
static double *entry(const tw_sde_converted *c, double *g, int64_t row, int column, int k)
{
    return g + row * c->width + (by_columns(c) ? column : column * c->given.noises + k);
}

/* x + by g_k(x), with g there. */
static void move(const tw_sde_converted *c, int64_t rows, const double *x, int k, double by)
{
    int columns = c->given.columns;
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < columns; i++) c->x[r * columns + i] = x[r * columns + i] + by * *entry(c, c->g, r, i, k);
}

static tw_status drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    tw_sde_converted *c = user;
    int columns = c->given.columns;
    tw_status status = TW_OK;
    TW_TRY(c->given.drift(c->given.user, rows, t, x, out));
    TW_TRY(c->given.diffusion(c->given.user, rows, t, x, c->g));
    for (int k = 0; k < c->motions; k++)
        for (int side = -1; side <= 1; side += 2) {
            move(c, rows, x, k, side * e);
            TW_TRY(c->given.diffusion(c->given.user, rows, t, c->x, c->at_g));
            for (int64_t r = 0; r < rows; r++)
                for (int i = 0; i < columns; i++) out[r * columns + i] -= side * *entry(c, c->at_g, r, i, k) / (4 * e);
        }
done:
    return status;
}

static tw_status diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    tw_sde_converted *c = user;
    return c->given.diffusion(c->given.user, rows, t, x, out);
}

/* dg of motion k alone: by v. */
static void only(const tw_sde_converted *c, int64_t rows, int k, double by, const double *v)
{
    int columns = c->given.columns;
    memset(c->dg, 0, (size_t)(rows * c->width) * sizeof(double));
    for (int64_t r = 0; r < rows; r++)
        for (int i = 0; i < columns; i++) *entry(c, c->dg, r, i, k) = by * v[r * columns + i];
}

static tw_status vjp(void *user, int64_t rows, const double *t, const double *x, const double *df, const double *dg,
                     double *out_dx, double *dparams)
{
    tw_sde_converted *c = user;
    const tw_sde_equation *q = &c->given;
    int64_t count = rows * q->columns;
    tw_status status = TW_OK;
    TW_TRY(q->vjp(q->user, rows, t, x, df, dg, out_dx, dparams));
    TW_TRY(q->diffusion(q->user, rows, t, x, c->g));
    memset(c->v, 0, (size_t)count * sizeof(double));
    for (int k = 0; k < c->motions; k++)
        for (int side = -1; side <= 1; side += 2) {
            const double *none = c->v;
            move(c, rows, x, k, side * e);
            only(c, rows, k, -side / (4 * e), df);
            TW_TRY(q->vjp(q->user, rows, t, c->x, none, c->dg, c->dx, dparams));
            for (int64_t i = 0; i < count; i++) out_dx[i] += c->dx[i];
            only(c, rows, k, side * e, c->dx); /* the place itself moves with g_k */
            TW_TRY(q->vjp(q->user, rows, t, x, none, c->dg, c->dx, dparams));
            for (int64_t i = 0; i < count; i++) out_dx[i] += c->dx[i];
        }
done:
    return status;
}

tw_status tw_sde_convert(tw_context *ctx, const tw_sde_equation *equation, int64_t max_rows,
                         tw_sde_converted **out_converted, tw_sde_equation *out_equation)
{
    tw_sde_converted *c = tw_alloc(ctx, 1, sizeof *c);
    int64_t rows = max_rows, states = 0, diffusions = 0;
    if (!c) return tw_fail_memory(ctx, sizeof *c);
    bool matrix = equation->noise == TW_SDE_ADDITIVE || equation->noise == TW_SDE_GENERAL;
    c->given = *equation;
    c->motions = equation->noise == TW_SDE_ADDITIVE ? 0 : matrix ? equation->noises : 1;
    c->width = (int64_t)equation->columns * (matrix ? equation->noises : 1);
    if (!__builtin_mul_overflow(rows, (int64_t)equation->columns, &states) &&
        !__builtin_mul_overflow(rows, c->width, &diffusions) && diffusions < INT64_MAX / 128 &&
        states < INT64_MAX / 128)
        c->memory = tw_alloc_aligned(ctx, (size_t)(3 * (states + diffusions)) * sizeof(double));
    if (!c->memory) {
        tw_free(ctx, c);
        return tw_fail_memory(ctx, (size_t)(diffusions < INT64_MAX / 128 ? diffusions : 0) * sizeof(double));
    }
    c->g = c->memory;
    c->at_g = c->g + diffusions;
    c->dg = c->at_g + diffusions;
    c->x = c->dg + diffusions;
    c->dx = c->x + states;
    c->v = c->dx + states;
    *out_equation = *equation;
    out_equation->sense = TW_SDE_STRATONOVICH;
    out_equation->drift = drift;
    out_equation->diffusion = diffusion;
    out_equation->vjp = vjp;
    out_equation->derivative = NULL;
    out_equation->user = c;
    *out_converted = c;
    return TW_OK;
}

void tw_sde_converted_destroy(tw_context *ctx, tw_sde_converted *c)
{
    if (!c) return;
    tw_free_aligned(ctx, c->memory);
    tw_free(ctx, c);
}
