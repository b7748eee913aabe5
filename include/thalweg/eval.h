/* thalweg/eval.h - distances between two sets of points (rows of doubles, row-major). */
#ifndef THALWEG_EVAL_H
#define THALWEG_EVAL_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Energy distance 2 E|X-Y| - E|X-X'| - E|Y-Y'| (Szekely, Rizzo 2013), over all pairs (V-statistic: >= 0). a (n,
 * columns), b (m, columns). O((n+m)^2 columns). */
TW_NODISCARD TW_API tw_status tw_energy_distance(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m,
                                                 const double *b, double *out_distance);

/* Exact 2-Wasserstein distance between equally weighted sets of equal size n, by optimal assignment. O(n^3) at worst; n
 * at most 4096. out_assignment (n, may be NULL) receives the row of b for each row of a. */
TW_NODISCARD TW_API tw_status tw_wasserstein2(tw_context *ctx, int columns, int64_t n, const double *a, const double *b,
                                              int64_t *out_assignment, double *out_distance);

/* Exact Wasserstein distance of power 1 or 2, the infimum of (E |X - Y|^power)^(1/power), between equally weighted sets
 * a (n, columns) and b (m, columns) of any sizes up to 32768, by the network simplex. Memory for the costs only while n
 * m is at most 4096^2. */
TW_NODISCARD TW_API tw_status tw_wasserstein(tw_context *ctx, int power, int columns, int64_t n, const double *a,
                                             int64_t m, const double *b, double *out_distance);

/* Sliced 2-Wasserstein distance: root mean over `projections` random directions of the squared 1-D distance (exact for
 * n != m as well). Directions are a pure function of seed. */
TW_NODISCARD TW_API tw_status tw_sliced_wasserstein2(tw_context *ctx, int columns, int64_t n, const double *a,
                                                     int64_t m, const double *b, int projections, uint64_t seed,
                                                     double *out_distance);

/* Frechet distance between the normal distributions that have the means and covariances of a (n, columns) and b (m,
 * columns): |mean - mean|^2 + tr(A + B - 2 (A B)^(1/2)) (Dowson, Landau 1982), a square, as pictures are compared by
 * (Heusel et al. 2017). It shrinks as sets grow: compare it for equal sizes only. O((n + m) columns^2 + columns^3) by
 * blocked products, and four matrices (columns, columns): 2048 columns, those of FID, take seconds. */
TW_NODISCARD TW_API tw_status tw_frechet_distance(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m,
                                                  const double *b, double *out_distance);

/* Which k rows of b (m, columns) are nearest to each row of a (n, columns), and how far: out_index and out_distance (n,
 * k), nearest first. */
TW_NODISCARD TW_API tw_status tw_nearest_rows(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m,
                                              const double *b, int k, int64_t *out_index, double *out_distance);

/* Shares of the points a (n, columns) that lie among b (m, columns), precision, and of b among a, recall: within the
 * distance of any point of the other set to its k-th neighbour there (Kynkaanniemi et al. 2019, Improved precision and
 * recall metric for assessing generative models; they take k = 3). O((n + m)^2 columns). */
TW_NODISCARD TW_API tw_status tw_precision_recall(tw_context *ctx, int columns, int64_t n, const double *a, int64_t m,
                                                  const double *b, int k, double *out_precision, double *out_recall);

/* Sequences of tokens told by counts, to compare learned models with: interpolated n-grams (Witten, Bell 1991), the
 * contexts within rows. order 1 to 16; tokens (rows, columns) from 0 to symbols - 1. */
typedef struct tw_ngram tw_ngram;
TW_NODISCARD TW_API tw_status tw_ngram_create(tw_context *ctx, int order, int symbols, int64_t rows, int columns,
                                              const double *tokens, tw_ngram **out_ngram);
TW_API void tw_ngram_destroy(tw_ngram *ngram);
/* -log p of a row (columns), nats. */
TW_API double tw_ngram_nll(const tw_ngram *ngram, int columns, const double *row);

#ifdef __cplusplus
}
#endif
#endif
