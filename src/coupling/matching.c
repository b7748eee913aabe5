/* coupling/matching.c - couplings that are permutations: independent, exact, stable, heuristic.
 *
 * Stable: Gale and Shapley's deferred acceptance, data points proposing. Both sides rank by the cost, so no lists are
 * sorted: a point proposes to the cheapest source that would still take it, and what a source holds only gets cheaper.
 * Heuristic (Pooladian et al. 2023, section 4): cyclical monotonicity between pairs, that is no two pairs would be
 * cheaper exchanged; reached from the stable matching by exchanges, each of which lowers the total. */
#include "coupling/assignment.h"
#include "coupling/couple.h"
#include "coupling/scan.h"

#include <math.h>

size_t tw_couple_independent_bytes(int64_t n)
{
    (void)n;
    return 0;
}

tw_status tw_couple_independent(const tw_block *block)
{
    for (int64_t i = 0; i < block->n; i++) block->source[i] = i;
    return TW_OK;
}

size_t tw_couple_given_bytes(int64_t n)
{
    return tw_couple_independent_bytes(n);
}

/* The rows were drawn together already. */
tw_status tw_couple_given(const tw_block *block)
{
    return tw_couple_independent(block);
}

size_t tw_couple_ot_bytes(int64_t n)
{
    return tw_assignment_bytes(n);
}

tw_status tw_couple_ot(const tw_block *block)
{
    tw_assignment_run(block->n, block->cost, block->work, block->source, NULL, NULL);
    return TW_OK;
}

size_t tw_couple_stable_bytes(int64_t n)
{
    return 2 * (((size_t)n * sizeof(double) + 63) & ~(size_t)63);
}

tw_status tw_couple_stable(const tw_block *block)
{
    int64_t n = block->n, *data_of;
    char *at = block->work;
    double *held = tw_work_take(&at, (size_t)n * sizeof *held);
    data_of = tw_work_take(&at, (size_t)n * sizeof *data_of);
    const tw_scan_loops *scan = tw_scan_best();
    for (int64_t j = 0; j < n; j++) {
        held[j] = HUGE_VAL;
        data_of[j] = -1;
    }
    for (int64_t next = 0; next < n; next++)
        for (int64_t i = next; i >= 0;) { /* who was sent away proposes again at once */
            const double *row = block->cost + i * n;
            int64_t j = scan->least_below(n, row, held), sent = data_of[j];
            held[j] = row[j];
            data_of[j] = i;
            block->source[i] = j;
            i = sent;
        }
    return TW_OK;
}

size_t tw_couple_heuristic_bytes(int64_t n)
{
    return tw_couple_stable_bytes(n);
}

/* One pass over all pairs of pairs; whether anything was exchanged. Gains below a rounding error do not count, or
 * equal costs might be exchanged for ever. */
static bool exchange(const tw_block *block)
{
    int64_t n = block->n, *source = block->source;
    bool changed = false;
    for (int64_t i = 0; i < n; i++)
        for (int64_t k = i + 1; k < n; k++) {
            const double *a = block->cost + i * n, *b = block->cost + k * n;
            double now = a[source[i]] + b[source[k]], then = a[source[k]] + b[source[i]];
            if (!(then < now - 0x1p-50 * (fabs(now) + fabs(then)))) continue;
            int64_t kept = source[i];
            source[i] = source[k];
            source[k] = kept;
            changed = true;
        }
    return changed;
}

tw_status tw_couple_heuristic(const tw_block *block)
{
    tw_status status = tw_couple_stable(block);
    for (int pass = 0; pass < 1000 && exchange(block); pass++) {}
    return status;
}
