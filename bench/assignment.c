/* bench/assignment.c - exact assignment of squared distances: normal points to eight clusters on a ring (2-D) and to
 * shifted normal points (64-D), one thread. Arguments: sizes. */
#include "coupling/assignment.h"

#include "base/philox.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* Seconds of this thread: other work on the machine does not count. */
static double cpu_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static double square(double v)
{
    return v * v;
}

static void measure(tw_context *ctx, int64_t n, int dimensions)
{
    tw_random r = {.seed = 7, .stream = 1};
    double *a = calloc((size_t)(n * dimensions), sizeof *a), *b = calloc((size_t)(n * dimensions), sizeof *b);
    double *cost = calloc((size_t)(n * n), sizeof *cost), best = 1e9, total = 0;
    int64_t *column = calloc((size_t)n, sizeof *column);
    for (int64_t i = 0; i < n * dimensions; i++) a[i] = tw_random_normal(&r);
    for (int64_t i = 0; i < n; i++) {
        double angle = 0.785398163397448 * (double)tw_random_below(&r, 8);
        double centre[2] = {5 * cos(angle), 5 * sin(angle)};
        for (int c = 0; c < dimensions; c++)
            b[i * dimensions + c] = dimensions == 2 ? centre[c] + 0.5 * tw_random_normal(&r) : 1 + tw_random_normal(&r);
    }
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < n; j++)
            for (int c = 0; c < dimensions; c++)
                cost[i * n + j] += square(a[i * dimensions + c] - b[j * dimensions + c]);
    for (int again = 0; again < (n > 1024 ? 1 : 5); again++) {
        double begin = cpu_clock();
        if (tw_assignment_solve(ctx, n, cost, column, NULL, NULL) != TW_OK) printf("%s\n", tw_context_error(ctx));
        best = fmin(best, cpu_clock() - begin);
    }
    for (int64_t i = 0; i < n; i++) total += cost[i * n + column[i]];
    printf("%2d-D n %5lld: %10.3f ms, total %.12g\n", dimensions, (long long)n, 1e3 * best, total);
    free(a), free(b), free(cost), free(column);
}

int main(int count, char **arguments)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    for (int k = 1; ctx && k < count; k++) {
        measure(ctx, atoll(arguments[k]), 2);
        measure(ctx, atoll(arguments[k]), 64);
    }
    tw_context_destroy(ctx);
    return 0;
}
