/* space/spd.h - symmetric matrices as numbers, for the space of the positive definite ones: the lower triangle row by
 * row, what is off the diagonal times the root of two, so that products of numbers are those of matrices, tr(A B).
 *
 * The affine-invariant metric at X = L L' is that of the whitened L^-1 V L^-T (Pennec, Fillard, Ayache 2006, A
 * Riemannian framework for tensor computing). Functions of a matrix are those of its eigenvalues; their derivatives
 * have divided differences in place of slopes (Daleckii, Krein 1965). */
#ifndef TW_SPACE_SPD_H
#define TW_SPACE_SPD_H

#include "nn/piece.h"

enum { TW_SPD_MOST = 32, TW_SPD_NUMBERS = 528 };

/* e^a - 1 and log(1 + a), which are exact near 0; the last two on the host only. */
typedef enum tw_spd_function { TW_SPD_EXPM1, TW_SPD_LOG1P, TW_SPD_EXP, TW_SPD_LOG } tw_spd_function;

int tw_spd_side(int n); /* rows of matrices of n numbers; of other n one too many */
/* From a triangle without the factors, and to one. */
void tw_spd_from_triangle(int n, const double *triangle, double *out);
void tw_spd_to_triangle(int n, const double *x, double *out);
void tw_spd_identity(int n, double *out);
bool tw_spd_is_positive(int n, const double *x);

/* --- on the host: n numbers each, out may be any of the arguments ------------------------------------------------- */
void tw_spd_map(tw_spd_function f, int n, const double *a, double *out); /* f(A) */
/* Of the first two: f'(A)[D], linear in D, and its inverse. */
void tw_spd_along(tw_spd_function f, int n, const double *a, const double *d, double *out);
void tw_spd_undo(tw_spd_function f, int n, const double *a, const double *d, double *out);
void tw_spd_whiten(int n, const double *x, const double *v, double *out);  /* L^-1 V L^-T */
void tw_spd_colour(int n, const double *x, const double *v, double *out);  /* L V L' */
void tw_spd_between(int n, const double *a, const double *v, double *out); /* A V A */
double tw_spd_log_length(int n, const double *a); /* |log(1 + A)| */
double tw_spd_log_spread(int n, const double *a); /* log |det| of exp's derivative at A, seen whitened */

/* --- on a graph: rows (B,n) ----------------------------------------------------------------------------------------
 */
tw_val tw_spd_map_rows(tw_spd_function f, tw_val a);
tw_val tw_spd_whiten_rows(tw_val x, tw_val v);
tw_val tw_spd_colour_rows(tw_val x, tw_val v);
tw_val tw_spd_between_rows(tw_val a, tw_val v);
tw_val tw_spd_identity_rows(tw_val like);
/* What tells X = L L' in numbers that grow as its distance does: row by row asinh(L_ij / L_ii), then log L_ii. */
tw_val tw_spd_root_rows(tw_val x);
tw_val tw_spd_trace_rows(tw_val a); /* (B) */

#endif
