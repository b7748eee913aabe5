/* bench/cases/sde.c - a stochastic equation with fields that cost nothing, so that the solver and its noise are what is
 * measured: dx = -x/2 dt + 3/10 x dW on [0,1], Euler-Maruyama, a new path every time. */
#include "bench.h"

#include <thalweg/sde.h>

typedef struct use {
    tw_sde_equation equation;
    tw_sde_desc desc;
    int64_t rows;
    double *x;
} use;

static tw_status scaled(int64_t count, double factor, const double *x, double *out)
{
    for (int64_t i = 0; i < count; i++) out[i] = factor * x[i];
    return TW_OK;
}
static tw_status drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)t;
    return scaled(rows * *(int *)user, -0.5, x, out);
}
static tw_status diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)t;
    return scaled(rows * *(int *)user, 0.3, x, out);
}

static void run(bench *b)
{
    use *u = b->state;
    u->desc.seed++;
    for (int64_t i = 0; i < u->rows * u->equation.columns; i++) u->x[i] = 1;
    bench_check(b->ctx, tw_sde_solve(b->ctx, &u->equation, &u->desc, u->rows, u->x, NULL, NULL));
}

void bench_sde(bench *b, const bench_case *c)
{
    use *u = tw_alloc(b->ctx, 1, sizeof *u);
    if (!u) bench_check(b->ctx, tw_fail_memory(b->ctx, sizeof *u));
    u->equation = (tw_sde_equation){.columns = c->width, .drift = drift, .diffusion = diffusion};
    u->equation.user = &u->equation.columns;
    u->desc = (tw_sde_desc){.method = "euler", .steps = c->steps};
    u->rows = c->batch;
    u->x = tw_alloc(b->ctx, (size_t)c->batch * (size_t)c->width, sizeof(double));
    if (!u->x) bench_check(b->ctx, tw_fail_memory(b->ctx, (size_t)c->batch * 16));
    b->state = u;
    b->run = run;
}
