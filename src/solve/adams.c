/* solve/adams.c - Adams methods on any grid: the polynomial through the last four derivatives, where they were taken,
 * is integrated over the step, so an uneven grid or a short last step keeps the order (Hairer, Norsett, Wanner: Solving
 * ODEs I, III.5). The implicit one predicts so, evaluates, and corrects once with the derivative there as a fifth.
 *
 * The first three steps, and three behind every jump, are Runge-Kutta steps of order 4. Slots: 0 the derivative at the
 * start, 1 to 3 older ones, 4 to 6 for the stages of those steps and the predicted end. */
#include "solve/ode.h"

#include <string.h>

enum { PAST = 3, SCRATCH = 4 };

/* weights[i] of the values at `nodes` in the integral from 0 to 1 of the polynomial through them: its degree is at most
 * 4, for which Gauss's three points are exact. */
static void integral_weights(int count, const double *nodes, double *weights)
{
    static const double place[] = {0.11270166537925831148, 0.5, 0.88729833462074168852};
    static const double share[] = {5.0 / 18, 4.0 / 9, 5.0 / 18};
    for (int i = 0; i < count; i++) {
        weights[i] = 0;
        for (int q = 0; q < 3; q++) {
            double basis = share[q];
            for (int j = 0; j < count; j++)
                if (j != i) basis *= (place[q] - nodes[j]) / (nodes[i] - nodes[j]);
            weights[i] += basis;
        }
    }
}

/* Places of the derivatives at hand in row a's step, and which slots they are in. */
static int places(const tw_ode *ode, int64_t a, bool correct, double *nodes, int *slots)
{
    int count = 0;
    for (int j = 0; j <= PAST; j++) {
        slots[count] = j;
        nodes[count++] = j ? (ode->past[j - 1][a] - ode->t[a]) / ode->h[a] : 0;
    }
    if (correct) {
        slots[count] = SCRATCH;
        nodes[count++] = 1;
    }
    return count;
}

/* z of the marked rows by the polynomial. Rows of one grid share their weights. */
static void integrate(tw_ode *ode, bool correct)
{
    double nodes[PAST + 2] = {0}, last[PAST + 2] = {0}, weights[PAST + 2] = {0};
    int slots[PAST + 2];
    for (int64_t a = 0; a < ode->active; a++) {
        if (!ode->marked[a]) continue;
        int count = places(ode, a, correct, nodes, slots);
        if (memcmp(nodes, last, (size_t)count * sizeof *nodes) != 0) integral_weights(count, nodes, weights);
        memcpy(last, nodes, sizeof last);
        for (int64_t i = a * ode->columns; i < (a + 1) * ode->columns; i++) {
            double sum = 0;
            for (int j = 0; j < count; j++) sum += weights[j] * ode->k[slots[j]][i];
            ode->z[i] = ode->y[i] + ode->h[a] * sum;
        }
    }
}

/* The rule of three eighths for marked rows; others' z is of no meaning. */
static tw_status runge_kutta(tw_ode *ode)
{
    tw_status status = TW_OK;
    static const double c[] = {1.0 / 3, 2.0 / 3, 1};
    static const tw_ode_terms stage[] = {
        {1, {0}, {1.0 / 3}},
        {2, {0, SCRATCH}, {-1.0 / 3, 1}},
        {3, {0, SCRATCH, SCRATCH + 1}, {1, -1, 1}},
        {4, {0, SCRATCH, SCRATCH + 1, SCRATCH + 2}, {1.0 / 8, 3.0 / 8, 3.0 / 8, 1.0 / 8}},
    };
    for (int s = 0; s < 3; s++) {
        tw_ode_combine(ode, &stage[s], ode->z);
        for (int64_t a = 0; a < ode->active; a++)
            ode->t_stage[a] = tw_ode_node(ode->t[a], c[s], ode->h[a], ode->t_next[a]);
        TW_TRY(tw_ode_call_some(ode, ode->marked, ode->t_stage, ode->z, ode->k[SCRATCH + s]));
    }
    tw_ode_combine(ode, &stage[3], ode->z);
done:
    return status;
}

tw_status tw_ode_step_adams(tw_ode *ode)
{
    tw_status status = TW_OK;
    int64_t young = 0;
    for (int64_t a = 0; a < ode->active; a++) {
        ode->marked[a] = ode->history[a] < PAST;
        young += ode->marked[a];
    }
    if (young) TW_TRY(runge_kutta(ode));
    for (int64_t a = 0; a < ode->active; a++) ode->marked[a] = !ode->marked[a];
    integrate(ode, false);
    if (ode->table->info.stages == 2) {
        TW_TRY(tw_ode_call_some(ode, ode->marked, ode->t_next, ode->z, ode->k[SCRATCH]));
        integrate(ode, true);
    }
done:
    return status;
}

void tw_adams_remember(tw_ode *ode)
{
    double *oldest = ode->k[PAST];
    for (int j = PAST; j > 0; j--) ode->k[j] = ode->k[j - 1];
    ode->k[0] = oldest;
    for (int64_t a = 0; a < ode->active; a++) {
        for (int j = PAST - 1; j > 0; j--) ode->past[j][a] = ode->past[j - 1][a];
        ode->past[0][a] = ode->t[a];
        if (ode->history[a] == TW_ADAMS_FORGET)
            ode->history[a] = 0;
        else if (ode->history[a] < PAST)
            ode->history[a]++;
    }
}
