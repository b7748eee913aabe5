/* cpu/eigen.h - eigenvalues of small symmetric matrices, in double. */
#ifndef TW_CPU_EIGEN_H
#define TW_CPU_EIGEN_H

/* Eigenvalues (n) and eigenvectors of a symmetric matrix a (n,n), which is used up: column k of vectors (n,n) belongs
 * to value k. Cyclic Jacobi rotations (Golub, Van Loan 2013, section 8.5). */
void tw_eigen_symmetric(int n, double *a, double *values, double *vectors);

#endif
