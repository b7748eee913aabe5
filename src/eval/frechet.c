/* eval/frechet.c - the Frechet distance of sets of points, of thousands of columns too: eigenvalues of one symmetric
 * matrix instead of the root of a product of two.
 *
 * With A = L L', A B has the eigenvalues of L' B L, and tr (A B)^(1/2) is the sum of their roots. L comes from
 * Cholesky's factorisation that takes the row with the largest rest first (Higham 1990; Harbrecht, Peters, Schneider
 * 2012): it stops at the rank of A, at most one less than there are points, so that few points of many columns cost
 * little and nothing is taken of a matrix that has no inverse. Rows stay where they are: L need not be a triangle.
 *
 * Products are cut into rows of their results: the same bits for any number of threads. */
#include <thalweg/eval.h>

#include "base/pool.h"
#include "cpu/eigen.h"
#include "cpu/gemm.h"
#include "eval/sets.h"

#include <math.h>
#include <string.h>

/* --- products ---------------------------------------------------------------------------------------------------- */

enum { BLOCK = 128, CHUNK = 512, MOST_COLUMNS = 8192 };

/* c (m,n) = a b, with transposes, or added to c; rows of c in blocks. Symmetric: of each block what is right of the
 * diagonal's is left out. */
typedef struct product {
    bool ta, tb, accumulate, symmetric;
    int64_t m, n, k;
    const double *a, *b;
    int64_t lda, ldb;
    double *c;
    const tw_gemm *gemm;
    char *workspace; /* gemm->workspace for each thread */
} product;

static void multiply_rows(void *user, int64_t item, int thread)
{
    const product *p = user;
    int64_t first = item * BLOCK, rows = tw_min_i64(BLOCK, p->m - first);
    p->gemm->enter_thread();
    p->gemm->f64(p->ta, p->tb, rows, p->symmetric ? first + rows : p->n, p->k, p->a + first * (p->ta ? 1 : p->lda),
                 p->lda, p->b, p->ldb, p->accumulate, p->c + first * p->n, p->n,
                 p->workspace + (size_t)thread * p->gemm->workspace);
}

static void multiply(tw_context *ctx, product *p)
{
    tw_pool_run(ctx->pool, (p->m + BLOCK - 1) / BLOCK, multiply_rows, p);
}

/* --- covariances ------------------------------------------------------------------------------------------------- */

typedef struct work {
    tw_context *ctx;
    int64_t columns;
    const tw_gemm *gemm;
    char *workspace;
    double *memory;
    double *centred; /* (CHUNK, columns) */
    double *mean[2]; /* (columns) */
    double *of[2];   /* covariances (columns, columns) */
    double *factor;  /* L' (rank, columns), and L' B */
    double *by_b;
    double *rest; /* (columns): of the diagonal; then eigenvalues */
} work;

static void measure(work *w, int which, int64_t n, const double *x)
{
    int64_t d = w->columns;
    double *mean = w->mean[which], *of = w->of[which];
    for (int64_t i = 0; i < n; i++)
        for (int64_t j = 0; j < d; j++) mean[j] += x[i * d + j];
    for (int64_t j = 0; j < d; j++) mean[j] /= (double)n;
    product p = {.ta = true,
                 .accumulate = true,
                 .symmetric = true,
                 .m = d,
                 .n = d,
                 .a = w->centred,
                 .b = w->centred,
                 .lda = d,
                 .ldb = d,
                 .c = of,
                 .gemm = w->gemm,
                 .workspace = w->workspace};
    for (int64_t first = 0; first < n; first += p.k) {
        p.k = tw_min_i64(CHUNK, n - first);
        for (int64_t i = 0; i < p.k; i++)
            for (int64_t j = 0; j < d; j++) w->centred[i * d + j] = x[(first + i) * d + j] - mean[j];
        multiply(w->ctx, &p);
    }
    for (int64_t j = 0; j < d; j++)
        for (int64_t k = 0; k <= j; k++) of[k * d + j] = of[j * d + k] /= (double)(n - 1);
}

/* The first covariance as L L', L' row by row; returns the rank. What is left of a diagonal beyond 14 digits is
 * rounding. */
static int64_t factorise(work *w, int64_t most)
{
    int64_t d = w->columns, rank = 0;
    const double *a = w->of[0];
    double largest = 0;
    for (int64_t j = 0; j < d; j++) {
        w->rest[j] = a[j * d + j];
        largest = fmax(largest, w->rest[j]);
    }
    for (; rank < most; rank++) {
        double *row = w->factor + rank * d;
        int64_t p = 0;
        for (int64_t j = 1; j < d; j++)
            if (w->rest[j] > w->rest[p]) p = j;
        if (!(w->rest[p] > 1e-14 * largest)) break;
        memcpy(row, a + p * d, (size_t)d * sizeof *row);
        for (int64_t i = 0; i < rank; i++) {
            const double *before = w->factor + i * d, s = before[p];
            for (int64_t j = 0; j < d; j++) row[j] -= s * before[j];
        }
        double root = sqrt(w->rest[p]);
        for (int64_t j = 0; j < d; j++) {
            row[j] /= root;
            w->rest[j] -= row[j] * row[j];
        }
        w->rest[p] = 0;
    }
    return rank;
}

/* tr (A B)^(1/2) for A of at most this rank; A is used up. */
static double trace_of_root(work *w, int64_t most_rank)
{
    int64_t d = w->columns, rank = factorise(w, most_rank);
    if (rank == 0) return 0;
    product by_b = {.m = rank,
                    .n = d,
                    .k = d,
                    .a = w->factor,
                    .b = w->of[1],
                    .lda = d,
                    .ldb = d,
                    .c = w->by_b,
                    .gemm = w->gemm,
                    .workspace = w->workspace};
    multiply(w->ctx, &by_b);
    product by_l = {.tb = true,
                    .symmetric = true,
                    .m = rank,
                    .n = rank,
                    .k = d,
                    .a = w->by_b,
                    .b = w->factor,
                    .lda = d,
                    .ldb = d,
                    .c = w->of[0],
                    .gemm = w->gemm,
                    .workspace = w->workspace};
    multiply(w->ctx, &by_l);
    double sum = 0;
    tw_eigenvalues_symmetric((int)rank, w->of[0], w->rest, w->centred);
    for (int64_t k = 0; k < rank; k++) sum += sqrt(fmax(0, w->rest[k]));
    return sum;
}

/* --- all --------------------------------------------------------------------------------------------------------- */

static tw_status reserve(work *w, int64_t most_rank)
{
    size_t d = (size_t)w->columns, rank = (size_t)most_rank, count = (CHUNK + 3 + 2 * d + 2 * rank) * d;
    size_t workspace = w->gemm->workspace * (size_t)tw_pool_threads(w->ctx->pool);
    w->memory = tw_alloc(w->ctx, count, sizeof *w->memory);
    w->workspace = tw_alloc_aligned(w->ctx, workspace);
    if (!w->memory || !w->workspace) return tw_fail_memory(w->ctx, count * sizeof *w->memory);
    w->centred = w->memory;
    w->mean[0] = w->centred + CHUNK * d;
    w->mean[1] = w->mean[0] + d;
    w->rest = w->mean[1] + d;
    w->of[0] = w->rest + d;
    w->of[1] = w->of[0] + d * d;
    w->factor = w->of[1] + d * d;
    w->by_b = w->factor + rank * d;
    return TW_OK;
}

tw_status tw_frechet_distance(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m, const double *b,
                              double *out_distance)
{
    tw_status status = tw_check_sets(ctx, columns, n, a, m, b);
    if (status != TW_OK) return status;
    if (columns > MOST_COLUMNS || n < 2 || m < 2)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "a Frechet distance takes two points on each side and at most %d columns, not %lld, %lld and %d",
                       MOST_COLUMNS, (long long)n, (long long)m, columns);
    if (n > m) return tw_frechet_distance(ctx, columns, m, b, n, a, out_distance); /* the lower rank is factorised */
    int64_t most_rank = tw_min_i64(columns, n - 1);
    work w = {.ctx = ctx, .columns = columns, .gemm = tw_gemm_best()};
    double sum = 0;
    TW_TRY(reserve(&w, most_rank));
    measure(&w, 0, n, a);
    measure(&w, 1, m, b);
    for (int64_t j = 0; j < columns; j++) {
        double apart = w.mean[0][j] - w.mean[1][j];
        sum += apart * apart + w.of[0][j * columns + j] + w.of[1][j * columns + j];
    }
    *out_distance = fmax(0, sum - 2 * trace_of_root(&w, most_rank)); /* rounding may fall below */
done:
    tw_free(ctx, w.memory);
    tw_free_aligned(ctx, w.workspace);
    return status;
}
