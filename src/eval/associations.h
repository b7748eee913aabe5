/* eval/associations.h - how strongly each two columns of a set of records depend on each other. */
#ifndef TW_EVAL_ASSOCIATIONS_H
#define TW_EVAL_ASSOCIATIONS_H

#include "eval/boost.h"

/* The matrix (columns, columns) of associations, 1 on the diagonal: of two columns of numbers Spearman's correlation of
 * ranks, -1 to 1; of numbers with categories the correlation ratio of their ranks, 0 to 1 (its square is Kruskal's and
 * Wallis's H over n - 1); of two columns of categories Cramer's V, 0 to 1. A constant column has none. Rows that lack a
 * number count for no pair of that column; a missing category is one more category. `bins` say which categories are
 * taken together: those of all sets that are compared. */
TW_NODISCARD tw_status tw_associations(const tw_records *records, const tw_binning *bins, double *out_matrix);

/* Mean absolute difference of two such matrices over the pairs of columns, and the pair that differs most; NaN and
 * columns 0, 0 when there is but one column. */
double tw_associations_distance(int columns, const double *a, const double *b, int out_worst[2]);

#endif
