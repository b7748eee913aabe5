/* coupling/sinkhorn.c - entropic plans, balanced, unbalanced and partial, and pairs drawn from them.
 *
 * The plan is P_ij = exp((f_i + g_j - C_ij) / epsilon) / n^2 with marginals 1/n, or with marginals held by tau
 * KL(.,1/n) only (Chizat et al. 2018), or of a given mass with marginals of at most 1/n: then f_i, g_j <= 0 beside a
 * level that all entries share, one for each condition, and updating them in turn is Dykstra's method of Benamou et
 * al. (2015, prop. 5), whose plan POT's entropic_partial_wasserstein finds as well. Iterated are factors u, v beside a kernel K that already holds the potentials:
 * whenever they have grown they are taken into f and g and K is made again (Schmitzer: Stabilized sparse scaling
 * algorithms for entropy regularized transport problems, SIAM J. Sci. Comput. 41, 2019), so nothing over- or
 * underflows, as in the log domain, at the price of a product with a matrix. K is read once an iteration: u_i needs row
 * i and v sums of rows. The regularisation comes down by fours from the spread of the costs, each plan starting from
 * the one before. */
#include "coupling/sinkhorn.h"

#include "coupling/scan.h"
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

/* Factors between e^-GROWN and e^GROWN times kernels of at most that stay far from the ends of double. */
#define GROWN 40.0

typedef struct plan {
    int64_t n;
    const double *cost;
    const tw_scan_loops *scan;
    tw_tile_fn exp_of;
    tw_entropic_kind kind;
    double epsilon, keep; /* keep: tau / (tau + epsilon), the exponent of the marginals' update; 1 when balanced */
    double tau;           /* infinite unless unbalanced */
    double whole;         /* the plan's mass when partial */
    double level, w;      /* potential and factor of all entries; 0 and 1 unless partial */
    double iterations;
    double *kernel, *f, *g, *u, *v, *sums, *mass;
} plan;

static double at_least(double value)
{
    return value > 1e-300 ? value : 1e-300;
}

/* K from the potentials; factors start at one. */
static void make_kernel(plan *p)
{
    int64_t n = p->n;
    double scale = 1 / p->epsilon;
    for (int64_t i = 0; i < n; i++) {
        double *row = p->kernel + i * n, f = p->f[i] + p->level;
        const double *cost = p->cost + i * n, *g = p->g;
        for (int64_t j = 0; j < n; j++) row[j] = (f + g[j] - cost[j]) * scale;
        p->exp_of(row, row, NULL, NULL, n);
        p->u[i] = p->v[i] = 1;
    }
    p->w = 1;
}

/* The factor that makes a marginal's condition hold, given the sum of its row of K with the other side's factors, over
 * n: the update of the whole potential, keep * (potential - epsilon log sum), less the potential; of a partial plan
 * none above 0. */
static double factor(const plan *p, double sum, double potential)
{
    if (p->kind == TW_ENTROPIC_PARTIAL) return fmin(1 / at_least(p->w * sum), exp(-potential / p->epsilon));
    if (p->keep == 1) return 1 / at_least(sum);
    return exp(-p->keep * log(at_least(sum)) - (1 - p->keep) * potential / p->epsilon);
}

/* One iteration of both sides; returns the L1 distance of the row marginals from what they ought to be, before it. */
static double iterate(plan *p)
{
    int64_t n = p->n;
    double error = 0, share = 1 / (double)n;
    memset(p->sums, 0, (size_t)n * sizeof *p->sums);
    for (int64_t i = 0; i < n; i++) {
        const double *row = p->kernel + i * n;
        double now = factor(p, share * p->scan->dot(n, row, p->v), p->f[i]);
        error += fabs(p->u[i] / now - 1);
        p->u[i] = now;
        p->scan->add_scaled(n, now, row, p->sums);
    }
    for (int64_t j = 0; j < n; j++) p->v[j] = factor(p, share * p->sums[j], p->g[j]);
    if (p->kind == TW_ENTROPIC_PARTIAL) {
        double now = p->whole / at_least(share * share * p->scan->dot(n, p->sums, p->v));
        error += (double)n * fabs(p->w / now - 1);
        p->w = now;
    }
    return error * share;
}

static bool grown(const plan *p)
{
    double most = fabs(log(p->w));
    for (int64_t i = 0; i < p->n; i++) most = fmax(most, fmax(fabs(log(p->u[i])), fabs(log(p->v[i]))));
    return most > GROWN;
}

static void absorb(plan *p)
{
    for (int64_t i = 0; i < p->n; i++) {
        p->f[i] += p->epsilon * log(p->u[i]);
        p->g[i] += p->epsilon * log(p->v[i]);
    }
    p->level += p->epsilon * log(p->w);
}

/* Iterations at one regularisation until the marginals are within the tolerance. */
static void solve(plan *p, double epsilon, double tolerance, double most_iterations)
{
    p->epsilon = epsilon;
    p->keep = isinf(p->tau) ? 1 : p->tau / (p->tau + epsilon);
    make_kernel(p);
    for (double k = 0; k < most_iterations; k++) {
        p->iterations++;
        if (!(iterate(p) > tolerance)) break; /* not a number: there is no mass left to count */
        if (!grown(p)) continue;
        absorb(p);
        make_kernel(p);
    }
}

/* The mean cost, how far costs reach above the least of their row at most, and those least ones as first potentials;
 * of a partial plan, whose rows may stay below their marginals, the least of all as the first level. */
static double measure(plan *p, double *out_spread)
{
    int64_t n = p->n;
    double sum = 0, spread = 0, least_of_all = HUGE_VAL;
    for (int64_t i = 0; i < n; i++) {
        const double *cost = p->cost + i * n;
        double least = cost[0], most = least, row = 0;
        for (int64_t j = 0; j < n; j++) {
            least = cost[j] < least ? cost[j] : least;
            most = cost[j] > most ? cost[j] : most;
            row += cost[j];
        }
        sum += row / (double)n;
        spread = most - least > spread ? most - least : spread;
        p->f[i] = p->kind == TW_ENTROPIC_PARTIAL ? 0 : least;
        p->g[i] = 0;
        least_of_all = fmin(least_of_all, least);
    }
    if (p->kind == TW_ENTROPIC_PARTIAL) p->level = least_of_all;
    *out_spread = spread;
    return sum / (double)n;
}

size_t tw_couple_sinkhorn_bytes(int64_t n)
{
    return ((size_t)n * (size_t)n + 6 * (size_t)n) * sizeof(double) + 7 * 64;
}

static plan place(const tw_block *block, tw_entropic_kind kind)
{
    int64_t n = block->n;
    size_t row = (size_t)n * sizeof(double);
    char *at = block->work;
    plan p = {.n = n, .cost = block->cost, .scan = tw_scan_best(), .kind = kind, .w = 1};
    p.exp_of = tw_cpu_best()->tile[TW_TILE_EXP][TW_DTYPE_F64];
    p.kernel = tw_work_take(&at, row * (size_t)n);
    p.f = tw_work_take(&at, row);
    p.g = tw_work_take(&at, row);
    p.u = tw_work_take(&at, row);
    p.v = tw_work_take(&at, row);
    p.sums = tw_work_take(&at, row);
    p.mass = tw_work_take(&at, row);
    return p;
}

/* The plan of a block in its work memory. Costs that do not differ give the uniform plan whatever the unit. The first
 * regularisation is a quarter of the spread or more: exponents from -4 on. The potentials of each leave exponents of at
 * most four times log n^2 for the next, and a row's greatest near nought, so no kernel under- or overflows. */
static plan make_plan(const tw_block *block, tw_entropic_kind kind)
{
    const tw_coupling_desc *desc = block->desc;
    plan p = place(block, kind);
    double spread, mean = fabs(measure(&p, &spread)), unit = desc->epsilon > 0 ? 1 : mean;
    if (!(unit > 0)) unit = spread > 0 ? spread : 1;
    p.tau = kind == TW_ENTROPIC_UNBALANCED ? desc->tau * unit : HUGE_VAL;
    p.whole = desc->mass;
    double last = desc->epsilon > 0 ? desc->epsilon : desc->reg * unit, rough = fmax(desc->tolerance, 0.01);
    double epsilon = last;
    while (epsilon < 0.25 * spread) epsilon *= 4;
    for (; epsilon > last * 1.5; epsilon /= 4) {
        solve(&p, epsilon, rough, desc->iterations);
        absorb(&p);
    }
    solve(&p, last, desc->tolerance, desc->iterations);
    for (int64_t i = 0; i < p.n; i++) p.u[i] *= p.w;
    return p;
}

tw_entropic_plan tw_entropic_plan_make(const tw_block *block, tw_entropic_kind kind)
{
    plan p = make_plan(block, kind);
    return (tw_entropic_plan){p.n, p.kernel, p.u, p.v, p.epsilon, p.iterations};
}

/* A column drawn with the weights of a row of the plan, whose sum is `sum`: one walk, nothing kept. */
static int64_t draw_column(const plan *p, int64_t i, double sum, tw_random *random)
{
    const double *row = p->kernel + i * p->n;
    double left = tw_random_uniform(random) * sum;
    int64_t last = 0;
    for (int64_t j = 0; j < p->n; j++) {
        double weight = row[j] * p->v[j];
        if (!(weight > 0)) continue;
        last = j;
        left -= weight;
        if (left < 0) break;
    }
    return last;
}

tw_status tw_couple_sinkhorn(const tw_block *block)
{
    plan p = make_plan(block, TW_ENTROPIC_BALANCED);
    for (int64_t i = 0; i < p.n; i++)
        block->source[i] = draw_column(&p, i, p.scan->dot(p.n, p.kernel + i * p.n, p.v), block->random);
    return TW_OK;
}

/* Rows are drawn by their mass with one random number for all (systematic sampling), so that a row of mass m comes
 * floor(nm) or ceil(nm) times. False: there is no mass. */
static bool draw_by_mass(const plan *p, const tw_block *block)
{
    int64_t n = p->n, k = 0;
    double total = 0, reached = 0;
    for (int64_t i = 0; i < n; i++) total += p->mass[i] = p->u[i] * p->scan->dot(n, p->kernel + i * n, p->v);
    if (!(total > 0)) return false;
    double step = total / (double)n, next = step * tw_random_uniform(block->random);
    for (int64_t i = 0; i < n && k < n; i++) {
        reached += p->mass[i];
        for (; k < n && (next < reached || i == n - 1); next += step, k++) {
            block->data[k] = i;
            block->source[k] = draw_column(p, i, p->mass[i] / p->u[i], block->random);
        }
    }
    return true;
}

size_t tw_couple_unbalanced_bytes(int64_t n)
{
    return tw_couple_sinkhorn_bytes(n);
}

tw_status tw_couple_unbalanced(const tw_block *block)
{
    plan p = make_plan(block, TW_ENTROPIC_UNBALANCED);
    if (draw_by_mass(&p, block)) return TW_OK;
    return tw_fail(block->ctx, TW_ERR_NUMERIC, "the unbalanced plan holds no mass: tau %g is too little for these costs",
                   block->desc->tau);
}

size_t tw_couple_entropic_partial_bytes(int64_t n)
{
    return tw_couple_sinkhorn_bytes(n);
}

tw_status tw_couple_entropic_partial(const tw_block *block)
{
    plan p = make_plan(block, block->desc->mass == 1 ? TW_ENTROPIC_BALANCED : TW_ENTROPIC_PARTIAL);
    if (draw_by_mass(&p, block)) return TW_OK;
    return tw_fail(block->ctx, TW_ERR_NUMERIC, "the partial plan holds no mass: the costs are too far apart");
}
