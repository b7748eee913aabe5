/* flow/distances.c - how far rows of data are from each other in the space a flow moves in. */
#include "flow/journey.h"

#include "base/pool.h"

#include <math.h>

typedef struct pairs {
    const tw_space *space;
    int numbers;
    int64_t m;
    const double *a, *b; /* states */
    double *out;         /* (n, m) */
} pairs;

static double straight(int numbers, const double *a, const double *b)
{
    double sum = 0;
    for (int k = 0; k < numbers; k++) sum += (a[k] - b[k]) * (a[k] - b[k]);
    return sqrt(sum);
}

static void find_row(void *user, int64_t i, int thread)
{
    const pairs *p = user;
    const double *from = p->a + i * p->numbers;
    (void)thread;
    for (int64_t j = 0; j < p->m; j++) {
        const double *to = p->b + j * p->numbers;
        p->out[i * p->m + j] =
            p->space->flat ? straight(p->numbers, from, to) : tw_space_distance(p->space, from, to);
    }
}

tw_status tw_flow_distances(const tw_flow *flow, int64_t n, const double *a, int64_t m, const double *b, double *out)
{
    tw_context *ctx = flow->ctx;
    const int numbers = flow->space.numbers;
    tw_status status = TW_OK;
    double *states = NULL;
    if (n < 1 || m < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "distances of %lld rows from %lld: expected one at least", (long long)n,
                       (long long)m);
    if (flow->space.symbols > 0 || tw_space_is_mixed(&flow->space))
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "symbols of space '%s' have no distance",
                       flow->piece[TW_PIECE_space].text);
    states = tw_alloc(ctx, (size_t)(n + m), (size_t)numbers * sizeof *states);
    if (!states) return tw_fail_memory(ctx, (size_t)(n + m) * (size_t)numbers * sizeof *states);
    pairs p = {.space = &flow->space, .numbers = numbers, .m = m, .a = states, .b = states + n * numbers, .out = out};
    TW_TRY(tw_flow_from_data_units(flow, n, a, numbers, states));
    TW_TRY(tw_flow_from_data_units(flow, m, b, numbers, states + n * numbers));
    tw_pool_run(ctx->pool, n, find_row, &p);
done:
    tw_free(ctx, states);
    return status;
}
