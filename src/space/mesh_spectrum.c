/* space/mesh_spectrum.c - the Laplace-Beltrami operator of a mesh and its first eigenpairs.
 *
 * L phi = lambda M phi with L_ij = -(cot a + cot b) / 2, a and b the angles opposite edge ij, rows of sum 0, and M a
 * third of the areas around each vertex. For s > 0 the matrix L + s M is positive definite; with A = M^(1/2) (L + s
 * M)^-1 M^(1/2) the pairs wanted are those of the largest eigenvalues 1 / (lambda + s) of A, which ARPACK finds
 * (implicitly restarted Lanczos; Lehoucq, Sorensen, Yang 1998) from products with A alone: those are solved by a sparse
 * LDL' (Davis 2005), whose rows AMD orders (Amestoy, Davis, Duff 1996). */
#include "space/mesh.h"

#include "base/philox.h"
#include "space/vector3.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* --- the matrices ----------------------------------------------------------------------------------------------------
 */

typedef struct entry {
    int column, row;
    double value;
} entry;

static int by_place(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    if (x->column != y->column) return x->column < y->column ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

/* Half the cotangent of the angle at a corner. */
static double half_cotangent(const tw_mesh *m, int64_t face, int corner)
{
    double a[3], b[3];
    v3_sub(tw_mesh_corner(m, face, (corner + 1) % 3), tw_mesh_corner(m, face, corner), a);
    v3_sub(tw_mesh_corner(m, face, (corner + 2) % 3), tw_mesh_corner(m, face, corner), b);
    return v3_dot(a, b) / (4 * tw_mesh_area(m, face));
}

void tw_mesh_matrices_free(tw_context *ctx, tw_mesh_matrices *m)
{
    tw_free(ctx, m->begin);
    tw_free(ctx, m->row);
    tw_free(ctx, m->value);
    tw_free(ctx, m->mass);
    *m = (tw_mesh_matrices){0};
}

/* Entries of equal places, which are sorted, become one. */
static void merge(int64_t count, const entry *entries, tw_mesh_matrices *out)
{
    int at = -1;
    for (int64_t i = 0; i < count; i++) {
        const entry *e = &entries[i];
        if (i == 0 || e->column != e[-1].column || e->row != e[-1].row) {
            out->row[++at] = e->row;
            out->begin[e->column + 1] = at + 1;
        }
        out->value[at] += e->value;
    }
}

tw_status tw_mesh_laplacian(const tw_mesh *mesh, tw_mesh_matrices *out)
{
    tw_context *ctx = mesh->ctx;
    int64_t faces = mesh->info.faces, count = 12 * faces, at = 0;
    tw_mesh_matrices m = {.n = (int)mesh->info.vertices};
    entry *entries = tw_alloc(ctx, (size_t)count, sizeof *entries);
    m.begin = tw_alloc(ctx, (size_t)m.n + 1, sizeof(int));
    m.row = tw_alloc(ctx, (size_t)count, sizeof(int));
    m.value = tw_alloc(ctx, (size_t)count, sizeof(double));
    m.mass = tw_alloc(ctx, (size_t)m.n, sizeof(double));
    if (!entries || !m.begin || !m.row || !m.value || !m.mass) {
        tw_free(ctx, entries);
        tw_mesh_matrices_free(ctx, &m);
        return tw_fail_memory(ctx, (size_t)count * sizeof *entries);
    }
    for (int64_t f = 0; f < faces; f++)
        for (int i = 0; i < 3; i++) {
            int a = mesh->face[3 * f + (i + 1) % 3], b = mesh->face[3 * f + (i + 2) % 3];
            double weight = half_cotangent(mesh, f, i);
            entries[at++] = (entry){a, a, weight};
            entries[at++] = (entry){b, b, weight};
            entries[at++] = (entry){a, b, -weight};
            entries[at++] = (entry){b, a, -weight};
            m.mass[mesh->face[3 * f + i]] += tw_mesh_area(mesh, f) / 3;
        }
    qsort(entries, (size_t)count, sizeof *entries, by_place);
    merge(count, entries, &m);
    tw_free(ctx, entries);
    *out = m;
    return TW_OK;
}

#ifndef TW_HAVE_ARPACK

bool tw_mesh_has_solver(void)
{
    return false;
}

tw_status tw_mesh_find_eigenpairs(tw_mesh *mesh, int64_t count)
{
    if (count <= mesh->info.eigenpairs) return TW_OK;
    return tw_fail(mesh->ctx, TW_ERR_UNSUPPORTED,
                   "eigenfunctions of a mesh: this program was built without ARPACK, AMD and LDL (libarpack2-dev, "
                   "libsuitesparse-dev)");
}

#else

#include <amd.h>
#include <arpack/arpack.h>
#include <ldl.h>
#include <pthread.h>

bool tw_mesh_has_solver(void)
{
    return true;
}

/* --- solving ---------------------------------------------------------------------------------------------------------
 */

/* P (L + s M) P' = K D K' */
typedef struct factor {
    int n;
    int *order, *inverse, *parent, *begin, *count, *row, *flag, *pattern;
    double *value, *diagonal, *work;
} factor;

static void factor_free(tw_context *ctx, factor *f)
{
    void *all[] = {f->order, f->inverse, f->parent, f->begin,    f->count, f->row,
                   f->flag,  f->pattern, f->value,  f->diagonal, f->work};
    for (int i = 0; i < TW_COUNT(all); i++) tw_free(ctx, all[i]);
    *f = (factor){0};
}

static bool factor_alloc(tw_context *ctx, int n, factor *f)
{
    int **whole[] = {&f->order, &f->inverse, &f->parent, &f->count, &f->flag, &f->pattern};
    f->n = n;
    for (int i = 0; i < TW_COUNT(whole); i++) *whole[i] = tw_alloc(ctx, (size_t)n, sizeof(int));
    f->begin = tw_alloc(ctx, (size_t)n + 1, sizeof(int));
    f->diagonal = tw_alloc(ctx, (size_t)n, sizeof(double));
    f->work = tw_alloc(ctx, (size_t)n, sizeof(double));
    for (int i = 0; i < TW_COUNT(whole); i++)
        if (!*whole[i]) return false;
    return f->begin && f->diagonal && f->work;
}

static tw_status factorise(tw_context *ctx, tw_mesh_matrices *m, double s, factor *f)
{
    if (!factor_alloc(ctx, m->n, f)) return tw_fail_memory(ctx, (size_t)m->n * sizeof(double));
    for (int j = 0; j < m->n; j++)
        for (int k = m->begin[j]; k < m->begin[j + 1]; k++)
            if (m->row[k] == j) m->value[k] += s * m->mass[j];
    if (amd_order(m->n, m->begin, m->row, f->order, NULL, NULL) < 0)
        return tw_fail(ctx, TW_ERR_MEMORY, "eigenfunctions of a mesh: no order of rows could be found");
    ldl_symbolic(m->n, m->begin, m->row, f->begin, f->parent, f->count, f->flag, f->order, f->inverse);
    size_t entries = (size_t)f->begin[m->n];
    f->row = tw_alloc(ctx, entries, sizeof(int));
    f->value = tw_alloc(ctx, entries, sizeof(double));
    if (!f->row || !f->value) return tw_fail_memory(ctx, entries * sizeof(double));
    int done = ldl_numeric(m->n, m->begin, m->row, m->value, f->begin, f->parent, f->count, f->row, f->value,
                           f->diagonal, f->work, f->pattern, f->flag, f->order, f->inverse);
    if (done == m->n) return TW_OK;
    return tw_fail(ctx, TW_ERR_NUMERIC, "eigenfunctions of a mesh: its matrix could not be factorised at row %d",
                   done + 1);
}

/* y = A x; root: of masses */
static void apply(factor *f, const double *root, const double *x, double *y)
{
    for (int i = 0; i < f->n; i++) y[i] = root[i] * x[i];
    ldl_perm(f->n, f->work, y, f->order);
    ldl_lsolve(f->n, f->work, f->begin, f->row, f->value);
    ldl_dsolve(f->n, f->work, f->diagonal);
    ldl_ltsolve(f->n, f->work, f->begin, f->row, f->value);
    ldl_permt(f->n, y, f->work, f->order);
    for (int i = 0; i < f->n; i++) y[i] *= root[i];
}

/* --- eigenpairs ------------------------------------------------------------------------------------------------------
 */

typedef struct lanczos {
    int n, wanted, kept; /* rows, pairs, vectors kept between restarts */
    double *start, *vectors, *at, *inside, *value;
    int *select;
} lanczos;

static pthread_mutex_t arpack_turn = PTHREAD_MUTEX_INITIALIZER; /* its state is one for the whole process */

static bool lanczos_alloc(tw_context *ctx, lanczos *l)
{
    size_t n = (size_t)l->n, kept = (size_t)l->kept;
    l->start = tw_alloc(ctx, n, sizeof(double));
    l->vectors = tw_alloc(ctx, n * kept, sizeof(double));
    l->at = tw_alloc(ctx, 3 * n, sizeof(double));
    l->inside = tw_alloc(ctx, kept * (kept + 8), sizeof(double));
    l->value = tw_alloc(ctx, kept, sizeof(double));
    l->select = tw_alloc(ctx, kept, sizeof(int));
    return l->start && l->vectors && l->at && l->inside && l->value && l->select;
}

static void lanczos_free(tw_context *ctx, lanczos *l)
{
    void *all[] = {l->start, l->vectors, l->at, l->inside, l->value, l->select};
    for (int i = 0; i < TW_COUNT(all); i++) tw_free(ctx, all[i]);
}

/* The largest eigenvalues, ascending, and their vectors one after another in l->vectors. */
static int run_arpack(lanczos *l, factor *f, const double *root)
{
    enum { RESTARTS = 1000, STANDARD = 1 };
    int ask = 0, info = 1, inside = l->kept * (l->kept + 8), pointer[11] = {0};
    int settings[11] = {1, 0, RESTARTS, 1, 0, 0, STANDARD};
    tw_random random = {.seed = 1};
    for (int i = 0; i < l->n; i++) l->start[i] = tw_random_uniform(&random) - 0.5;
    for (;;) {
        dsaupd_c(&ask, "I", l->n, "LA", l->wanted, 0, l->start, l->kept, l->vectors, l->n, settings, pointer, l->at,
                 l->inside, inside, &info);
        if (ask != 1 && ask != -1) break;
        apply(f, root, l->at + pointer[0] - 1, l->at + pointer[1] - 1);
    }
    if (info != 0) return info;
    dseupd_c(1, "A", l->select, l->value, l->vectors, l->n, 0, "I", l->n, "LA", l->wanted, 0, l->start, l->kept,
             l->vectors, l->n, settings, pointer, l->at, l->inside, inside, &info);
    return info;
}

/* All but the first as functions, of which the largest value is positive. */
static void take_pairs(const lanczos *l, const double *root, double s, double *value, double *function)
{
    int count = l->wanted - 1;
    for (int k = 0; k < count; k++) {
        const double *vector = l->vectors + (int64_t)(l->wanted - 2 - k) * l->n;
        double most = 0;
        value[k] = 1 / l->value[l->wanted - 2 - k] - s;
        for (int i = 0; i < l->n; i++) {
            double x = vector[i] / root[i];
            function[(int64_t)i * count + k] = x;
            if (fabs(x) > fabs(most) * (1 + 1e-9)) most = x;
        }
        for (int i = 0; most < 0 && i < l->n; i++) function[(int64_t)i * count + k] *= -1;
    }
}

tw_status tw_mesh_find_eigenpairs(tw_mesh *mesh, int64_t count)
{
    tw_context *ctx = mesh->ctx;
    int64_t n = mesh->info.vertices;
    double *value = NULL, *function = NULL;
    tw_mesh_matrices m = {0};
    factor f = {0};
    lanczos l = {.n = (int)n};
    tw_status status = TW_OK;
    if (count <= mesh->info.eigenpairs) return TW_OK;
    if (count > n - 2)
        return tw_fail(ctx, TW_ERR_INVALID, "mesh: %lld eigenfunctions of %lld vertices: there are at most %lld",
                       (long long)count, (long long)n, (long long)n - 2);
    l.wanted = (int)count + 1;
    l.kept = (int)tw_min_i64(n, 2 * count + 20);
    double s = 1 / mesh->info.area;
    TW_TRY(tw_mesh_laplacian(mesh, &m));
    TW_TRY(factorise(ctx, &m, s, &f));
    value = tw_alloc(ctx, (size_t)count, sizeof(double));
    function = tw_alloc(ctx, (size_t)(count * n), sizeof(double));
    if (!lanczos_alloc(ctx, &l) || !value || !function)
        TW_TRY(tw_fail_memory(ctx, (size_t)(count * n) * sizeof(double)));
    for (int i = 0; i < m.n; i++) m.mass[i] = sqrt(m.mass[i]);
    pthread_mutex_lock(&arpack_turn);
    int info = run_arpack(&l, &f, m.mass);
    pthread_mutex_unlock(&arpack_turn);
    if (info != 0) TW_TRY(tw_fail(ctx, TW_ERR_NUMERIC, "eigenfunctions of a mesh: ARPACK gave up (%d)", info));
    take_pairs(&l, m.mass, s, value, function);
    status = tw_mesh_set_eigenpairs(mesh, count, value, function);
done:
    lanczos_free(ctx, &l);
    factor_free(ctx, &f);
    tw_mesh_matrices_free(ctx, &m);
    tw_free(ctx, value);
    tw_free(ctx, function);
    return status;
}

#endif
