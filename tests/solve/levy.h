/* tests/solve/levy.h - Levy's area: dx = dW_1, dy = x dW_2, motions that do not commute. */
#ifndef TESTS_SOLVE_LEVY_H
#define TESTS_SOLVE_LEVY_H

#include <thalweg/sde.h>

#include <string.h>

static tw_status no_drift(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t, (void)x;
    memset(out, 0, (size_t)rows * 2 * sizeof *out);
    return TW_OK;
}
static tw_status levy_diffusion(void *user, int64_t rows, const double *t, const double *x, double *out)
{
    (void)user, (void)t;
    for (int64_t r = 0; r < rows; r++) {
        const double g[4] = {1, 0, 0, x[2 * r]};
        memcpy(out + 4 * r, g, sizeof g);
    }
    return TW_OK;
}

#endif
