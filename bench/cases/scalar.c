/* bench/cases/scalar.c - the solver alone: x' = -x from 0 to 100 at 1e-9, one row of one column. */
#include "bench.h"

static tw_status decay(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    (void)user, (void)t;
    for (int64_t i = 0; i < rows; i++) out_dx[i] = -x[i];
    return TW_OK;
}

static void run(bench *b)
{
    double x = 1;
    bench_check(b->ctx, tw_ode_run(b->state, decay, NULL, 1, &x, NULL, NULL, 0));
}

void bench_scalar(bench *b, const bench_case *c)
{
    tw_ode *ode = NULL;
    tw_ode_desc desc = {.method = c->solver, .t1 = 100, .rtol = 1e-9, .atol = 1e-9};
    bench_check(b->ctx, tw_ode_create(b->ctx, &desc, 1, 1, &ode));
    b->state = ode;
    b->run = run;
}
