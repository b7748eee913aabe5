/* bench/coupling.c - couplings of one batch beside POT; bench/peers/coupling.py talks to it (bench/coupling.sh).
 *
 * Arguments: n, D, a file of 2 n D floats (sources, then data). Each line of standard input names what to do once more:
 * assignment, simplex (of a matrix of costs that is there), or a kind of coupling (from the points); the answer is
 * the seconds of this thread and the total cost of the pairs. */
#include <thalweg/coupling.h>

#include "coupling/assignment.h"
#include "coupling/network_simplex.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct batch {
    int64_t n, columns;
    float *source, *data;
    double *cost;
    int64_t *pairs, *rows, *ones;
    tw_move *moves;
} batch;

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool read_batch(batch *b, const char *path)
{
    size_t n = (size_t)b->n, floats = n * (size_t)b->columns;
    b->source = malloc(2 * floats * sizeof(float));
    b->data = b->source + floats;
    b->cost = malloc(n * n * sizeof(double));
    b->pairs = malloc(n * sizeof(int64_t)), b->rows = malloc(n * sizeof(int64_t)),
    b->ones = malloc(n * sizeof(int64_t));
    b->moves = malloc(2 * n * sizeof(tw_move));
    FILE *file = fopen(path, "rb");
    bool whole = file && fread(b->source, sizeof(float), 2 * floats, file) == 2 * floats;
    if (file) fclose(file);
    for (int64_t i = 0; i < b->n * b->n; i++) {
        b->cost[i] = 0;
        for (int64_t c = 0; c < b->columns; c++) {
            double d = (double)b->data[i / b->n * b->columns + c] - (double)b->source[i % b->n * b->columns + c];
            b->cost[i] += d * d;
        }
    }
    for (int64_t i = 0; i < b->n; i++) b->ones[i] = 1, b->rows[i] = i;
    return whole;
}

static double total_of(const batch *b)
{
    double total = 0;
    for (int64_t k = 0; k < b->n; k++) total += b->cost[b->rows[k] * b->n + b->pairs[k]];
    return total;
}

static tw_status by_simplex(tw_context *ctx, batch *b)
{
    int64_t count;
    tw_transport t = {.n = b->n, .m = b->n, .supply = b->ones, .demand = b->ones, .cost = b->cost};
    tw_status status = tw_transport_solve(ctx, &t, b->moves, NULL, NULL, &count);
    for (int64_t k = 0; status == TW_OK && k < count; k++) b->pairs[b->moves[k].row] = b->moves[k].column;
    return status;
}

static tw_status once(tw_context *ctx, batch *b, const char *what, double *out_seconds)
{
    tw_coupler *coupler = NULL;
    tw_coupling_desc desc = {.kind = what, .most_points = b->n, .columns = b->columns};
    tw_coupling_batch points = {.points = b->n, .source = b->source, .data = b->data};
    bool solver = strcmp(what, "assignment") == 0 || strcmp(what, "simplex") == 0;
    if (!solver && tw_coupler_create(ctx, &desc, &coupler) != TW_OK) return TW_ERR_INVALID;
    double begin = seconds();
    tw_status status = coupler          ? tw_coupler_pair(coupler, &points, b->pairs, b->rows)
                       : what[0] == 'a' ? tw_assignment_solve(ctx, b->n, b->cost, b->pairs, NULL, NULL)
                                        : by_simplex(ctx, b);
    *out_seconds = seconds() - begin;
    tw_coupler_destroy(coupler);
    return status;
}

int main(int count, char **arguments)
{
    if (count != 4) return fprintf(stderr, "usage: bench_coupling N D FILE\n"), 2;
    batch b = {.n = atoll(arguments[1]), .columns = atoll(arguments[2])};
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    char what[64];
    double spent;
    if (!ctx || b.n < 1 || b.columns < 1 || !read_batch(&b, arguments[3])) return fprintf(stderr, "no batch\n"), 1;
    while (scanf("%63s", what) == 1) {
        if (once(ctx, &b, what, &spent) != TW_OK) return fprintf(stderr, "%s\n", tw_context_error(ctx)), 1;
        printf("%.9g %.17g\n", spent, total_of(&b));
        fflush(stdout);
    }
    tw_context_destroy(ctx);
    free(b.source), free(b.cost), free(b.pairs), free(b.rows), free(b.ones), free(b.moves);
    return 0;
}
