/* graph/reference_linalg.c - reference kernels of linear algebra: the textbook's loops, one entry after another. */
#include "graph/linalg.h"
#include "graph/rules.h"

#include <math.h>

static int64_t matrices(tw_shape shape)
{
    int64_t count = 1;
    for (int i = 0; i + 2 < shape.rank; i++) count *= shape.dim[i];
    return count;
}

/* Column by column (Cholesky-Crout), where the kernel goes by rows and blocks. */
static void cholesky(int64_t n, const double *a, double *l)
{
    bool definite = true;
    for (int64_t i = 0; i < n * n; i++) l[i] = 0.0;
    for (int64_t j = 0; j < n; j++) {
        double rest = a[j * n + j];
        for (int64_t k = 0; k < j; k++) rest -= l[j * n + k] * l[j * n + k];
        definite = definite && rest > 0.0;
        l[j * n + j] = sqrt(rest);
        for (int64_t i = j + 1; i < n; i++) {
            double sum = a[i * n + j];
            for (int64_t k = 0; k < j; k++) sum -= l[i * n + k] * l[j * n + k];
            l[i * n + j] = sum / l[j * n + j];
        }
    }
    for (int64_t i = 0; i < n && !definite; i++)
        for (int64_t j = 0; j <= i; j++) l[i * n + j] = (double)NAN;
}

void tw_eval_cholesky(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int64_t size = n->shape.dim[n->shape.rank - 1];
    (void)g;
    for (int64_t i = 0; i < matrices(n->shape); i++) cholesky(size, a[0] + i * size * size, out + i * size * size);
}

/* Crout's order: entry (i, j) is finished at once from the row of L and the column of U. */
static void lu(int64_t n, const double *a, double *out)
{
    double *order = out + n * n;
    for (int64_t i = 0; i < n * n; i++) out[i] = a[i];
    for (int64_t i = 0; i < n; i++) order[i] = (double)i;
    for (int64_t j = 0; j < n; j++) {
        for (int64_t i = 0; i < n; i++)
            for (int64_t k = 0; k < (i < j ? i : j); k++) out[i * n + j] -= out[i * n + k] * out[k * n + j];
        int64_t pivot = j;
        for (int64_t i = j + 1; i < n; i++)
            if (fabs(out[i * n + j]) > fabs(out[pivot * n + j])) pivot = i;
        for (int64_t k = 0; k < n && pivot != j; k++) {
            double turn = out[j * n + k];
            out[j * n + k] = out[pivot * n + k];
            out[pivot * n + k] = turn;
        }
        double turn = order[j];
        order[j] = order[pivot];
        order[pivot] = turn;
        for (int64_t i = j + 1; i < n && out[j * n + j] != 0.0; i++) out[i * n + j] /= out[j * n + j];
    }
}

void tw_eval_lu(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int64_t size = n->shape.dim[n->shape.rank - 1];
    (void)g;
    for (int64_t i = 0; i < matrices(n->shape); i++) lu(size, a[0] + i * size * size, out + i * size * (size + 1));
}

/* Entry (i, j) of op(A), of which only the named half is read. */
static double entry(int form, int64_t n, const double *a, int64_t i, int64_t j)
{
    if (form & TW_SOLVE_TRANSPOSED) {
        int64_t turn = i;
        i = j;
        j = turn;
    }
    if (i == j) return form & TW_SOLVE_UNIT ? 1.0 : a[i * n + j];
    return (form & TW_SOLVE_UPPER ? j > i : j < i) ? a[i * n + j] : 0.0;
}

/* One line x of the unknowns, `step` apart: sum_j m(i, j) x_j = b_i by substitution in the order the triangle allows.
 */
static void substitute(int form, int64_t n, const double *a, int64_t step, double *x)
{
    bool right = form & TW_SOLVE_RIGHT;
    bool lower = ((form & TW_SOLVE_UPPER) != 0) == (right != ((form & TW_SOLVE_TRANSPOSED) != 0));
    for (int64_t k = 0; k < n; k++) {
        int64_t i = lower ? k : n - 1 - k;
        double rest = x[i * step];
        for (int64_t j = lower ? 0 : i + 1; j < (lower ? i : n); j++)
            rest -= (right ? entry(form, n, a, j, i) : entry(form, n, a, i, j)) * x[j * step];
        x[i * step] = rest / entry(form, n, a, i, i);
    }
}

void tw_eval_triangular_solve(const tw_graph *g, const tw_node *n, const double *const *a, double *out)
{
    int form = (int)tw_node_attr(g, n)->number, rank = n->shape.rank;
    int64_t rows = n->shape.dim[rank - 2], columns = n->shape.dim[rank - 1];
    int64_t size = form & TW_SOLVE_RIGHT ? columns : rows, lines = form & TW_SOLVE_RIGHT ? rows : columns;
    for (int64_t i = 0, all = tw_shape_size(n->shape); i < all; i++) out[i] = a[1][i];
    for (int64_t m = 0; m < matrices(n->shape); m++)
        for (int64_t c = 0; c < lines; c++) {
            double *x = out + m * rows * columns + (form & TW_SOLVE_RIGHT ? c * columns : c);
            substitute(form, size, a[0] + m * size * size, form & TW_SOLVE_RIGHT ? 1 : columns, x);
        }
}
