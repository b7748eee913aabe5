/* cpu/eigen.h - eigenvalues of symmetric matrices, in double: with vectors for small ones, alone for some thousand
 * rows.
 * */
#ifndef TW_CPU_EIGEN_H
#define TW_CPU_EIGEN_H

/* Eigenvalues (n) and eigenvectors of a symmetric matrix a (n,n), which is used up: column k of vectors (n,n) belongs
 * to value k. Cyclic Jacobi rotations (Golub, Van Loan 2013, section 8.5). */
void tw_eigen_symmetric(int n, double *a, double *values, double *vectors);

/* Eigenvalues (n) alone, in no order; of a (n,n), which is used up, only the lower triangle is read. `spare` has n
 * numbers, n > 0. Householder reflections to a tridiagonal matrix, then implicit QR steps with shifts (Golub, Van Loan
 * 2013, algorithms 8.3.1 and 8.3.2), about 4/3 n^3 operations: seconds for 2000 rows, so that no library is needed. */
void tw_eigenvalues_symmetric(int n, double *a, double *values, double *spare);

#endif
