/* solve/gmres.c - linear systems of many unknowns by GMRES (Saad, Schultz 1986): products of J with a vector of every
 * row at once, each row with its own Krylov space, rows leaving as they are done. What a row's vectors do not reach is
 * left to the next of Newton's iterations. */
#include "solve/newton.h"

#include <math.h>
#include <string.h>

/* of the residual: each of Newton's iterations then gains four digits at least where it can */
static const double reduction = 1e-4;

static double dot(const double *x, const double *y, int64_t size)
{
    double sum = 0;
    for (int64_t i = 0; i < size; i++) sum += x[i] * y[i];
    return sum;
}

/* Starts every row of the list with its right side as first vector; zero ones are solved. */
static int64_t begin(tw_newton *n, int64_t size)
{
    int64_t open = 0;
    for (int64_t i = 0; i < n->count; i++) {
        const double *b = n->right + i * size;
        double *v = n->basis + i * (n->vectors + 1) * size, norm = sqrt(dot(b, b, size));
        n->used[i] = 0;
        n->residual[i * (n->vectors + 1)] = norm;
        if (norm == 0 || !isfinite(norm)) continue;
        for (int64_t c = 0; c < size; c++) v[c] = b[c] / norm;
        n->open[open++] = i;
    }
    return open;
}

/* (1 - h A x J) of each open row's newest vector, behind it. */
static tw_status next_vectors(tw_ode *ode, tw_stage_square square, int64_t open, int64_t *rows)
{
    tw_status status = TW_OK;
    tw_newton *n = ode->newton;
    int64_t columns = ode->columns, size = square.size * columns;
    for (int64_t k = 0; k < open; k++) {
        int64_t i = n->open[k];
        const double *v = n->basis + (i * (n->vectors + 1) + n->used[i]) * size;
        rows[k] = n->list[i];
        memcpy(n->step + k * size, v, (size_t)size * sizeof(double));
    }
    TW_TRY(tw_newton_product(ode, open, rows, square.size));
    for (int64_t k = 0; k < open; k++) {
        int64_t i = n->open[k];
        double *v = n->basis + (i * (n->vectors + 1) + n->used[i]) * size, h = ode->h[n->list[i]];
        for (int s = 0; s < square.size; s++)
            for (int64_t c = 0; c < columns; c++) {
                double sum = 0;
                for (int j = 0; j < square.size; j++)
                    sum += square.a[s * TW_TABLEAU_STAGES + j] * n->image[k * size + j * columns + c];
                v[size + s * columns + c] = v[s * columns + c] - h * sum;
            }
    }
done:
    return status;
}

/* Makes row i's newest vector orthogonal and turns the new column of the Hessenberg matrix into one of R; true when the
 * residual is small enough. */
static bool extend(tw_newton *n, int64_t i, int64_t size)
{
    int m = n->used[i], most = n->vectors;
    double *basis = n->basis + i * (most + 1) * size, *w = basis + (m + 1) * size;
    double *column = n->upper + (i * most + m) * (most + 1);
    double *cosine = n->cosine + i * (most + 1), *sine = n->sine + i * (most + 1);
    double *residual = n->residual + i * (most + 1);
    for (int j = 0; j <= m; j++) {
        column[j] = dot(w, basis + j * size, size);
        for (int64_t c = 0; c < size; c++) w[c] -= column[j] * basis[j * size + c];
    }
    double norm = sqrt(dot(w, w, size));
    for (int j = 0; j < m; j++) {
        double above = cosine[j] * column[j] + sine[j] * column[j + 1];
        column[j + 1] = cosine[j] * column[j + 1] - sine[j] * column[j];
        column[j] = above;
    }
    double length = hypot(column[m], norm);
    cosine[m] = length > 0 ? column[m] / length : 1;
    sine[m] = length > 0 ? norm / length : 0;
    column[m] = length;
    residual[m + 1] = -sine[m] * residual[m];
    residual[m] *= cosine[m];
    n->used[i] = m + 1;
    for (int64_t c = 0; c < size && norm > 0; c++) w[c] /= norm;
    double first = 0;
    for (int j = 0; j <= m + 1; j++) first += residual[j] * residual[j];
    return norm == 0 || fabs(residual[m + 1]) <= reduction * sqrt(first) || !isfinite(norm);
}

/* The combination of row i's vectors that leaves least, in place of its right side. */
static void combine(tw_newton *n, int64_t i, int64_t size)
{
    int m = n->used[i], most = n->vectors;
    const double *basis = n->basis + i * (most + 1) * size, *upper = n->upper + i * most * (most + 1);
    double *y = n->residual + i * (most + 1), *x = n->right + i * size;
    if (m == 0) return; /* zero, or not finite */
    for (int r = m - 1; r >= 0; r--) {
        for (int j = r + 1; j < m; j++) y[r] -= upper[j * (most + 1) + r] * y[j];
        y[r] = upper[r * (most + 1) + r] != 0 ? y[r] / upper[r * (most + 1) + r] : 0;
    }
    for (int64_t c = 0; c < size; c++) {
        double sum = 0;
        for (int j = 0; j < m; j++) sum += y[j] * basis[j * size + c];
        x[c] = sum;
    }
}

tw_status tw_gmres_solve(tw_ode *ode, tw_stage_square square)
{
    tw_status status = TW_OK;
    tw_newton *n = ode->newton;
    int64_t size = (int64_t)square.size * ode->columns, open = begin(n, size);
    while (open > 0) {
        int64_t left = 0;
        TW_TRY(next_vectors(ode, square, open, n->rows));
        for (int64_t k = 0; k < open; k++) {
            int64_t i = n->open[k];
            if (!extend(n, i, size) && n->used[i] < n->vectors) n->open[left++] = i;
        }
        open = left;
    }
    for (int64_t i = 0; i < n->count; i++) combine(n, i, size);
done:
    return status;
}
