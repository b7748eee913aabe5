/* bench/ode.c - what the ODE solver costs beside the field: y' = -y from 0 to 100 at rtol 1e-9, one row and many, and
 * the overhead of fixed steps. Build: cc -O3 -Iinclude -Isrc bench/ode.c -lthalweg -lm. */
#include <thalweg/solve.h>

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static tw_status decay(void *user, int64_t rows, const double *t, const double *x, double *out_dx)
{
    int columns = *(int *)user;
    (void)t;
    for (int64_t i = 0; i < rows * columns; i++) out_dx[i] = -x[i];
    return TW_OK;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void measure(tw_context *ctx, tw_ode_desc desc, int64_t rows, int columns)
{
    size_t count = (size_t)(rows * columns);
    double *x = malloc(count * sizeof *x), best = 1e9;
    tw_ode *ode = NULL;
    tw_ode_stats stats = {0};
    if (!x || tw_ode_create(ctx, &desc, rows, columns, &ode) != TW_OK) {
        printf("%s\n", tw_context_error(ctx));
        free(x);
        return;
    }
    for (int again = 0; again < 9; again++) {
        for (size_t i = 0; i < count; i++) x[i] = 1 + (double)i / (double)count;
        double begin = now();
        char error[256] = "";
        if (tw_ode_run(ode, decay, &columns, rows, x, &stats, error, sizeof error) != TW_OK) printf("%s\n", error);
        double seconds = now() - begin;
        if (seconds < best) best = seconds;
    }
    double evaluations = (double)stats.evaluations;
    printf("%-8s rows %6lld columns %3d: nfe %6lld, %9.3f ms, %8.4f us per evaluation of a row, %7.3f ns per element\n",
           desc.method, (long long)rows, columns, (long long)stats.nfe, 1e3 * best, 1e6 * best / evaluations,
           1e9 * best / (evaluations * columns));
    tw_ode_destroy(ode);
    free(x);
}

int main(void)
{
    static const char *const adaptive[] = {"dopri5", "tsit5", "bosh3", "dopri8"};
    static const char *const fixed[] = {"euler", "midpoint", "rk4", "dopri5"};
    static const struct {
        int64_t rows;
        int columns;
    } sizes[] = {{1, 1}, {256, 2}, {4096, 2}, {256, 64}};
    tw_context *ctx = tw_context_create(NULL);
    if (!ctx) return 1;
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        for (size_t m = 0; m < sizeof adaptive / sizeof *adaptive; m++) {
            tw_ode_desc desc = {.method = adaptive[m], .t1 = s ? 10 : 100, .rtol = 1e-9, .atol = 1e-9};
            if (m == 2) desc.rtol = desc.atol = 1e-6;
            measure(ctx, desc, sizes[s].rows, sizes[s].columns);
        }
        for (size_t m = 0; m < sizeof fixed / sizeof *fixed; m++)
            measure(ctx, (tw_ode_desc){.method = fixed[m], .steps = 200}, sizes[s].rows, sizes[s].columns);
    }
    tw_context_destroy(ctx);
    return 0;
}
