/* tests/solve/token_problems.h - small worlds of tokens whose posteriors are known, and laws to compare with. */
#ifndef TESTS_SOLVE_TOKEN_PROBLEMS_H
#define TESTS_SOLVE_TOKEN_PROBLEMS_H

#include "solve/jump.h"

#include <math.h>
#include <string.h>

/* p_t(x | x_1), x_0 drawn from the source: out[x][x1]. At t = 0, where a token held in advance is impossible, as just
 * behind it. */
enum { TOKEN_STATES = 16 };
typedef double token_likelihoods[TOKEN_STATES][TOKEN_STATES];
static inline void likelihoods(const tw_token_path *path, double t, token_likelihoods out)
{
    double law[TOKEN_STATES];
    for (int x1 = 0; x1 < path->symbols; x1++) {
        tw_token_law(path, fmax(t, 1e-9), -1, x1, law, NULL);
        for (int x = 0; x < path->states; x++) out[x][x1] = law[x];
    }
}

/* Two tokens with probabilities p (K,K): what x_t says of each, exactly. */
typedef struct pair_world {
    const tw_token_path *path;
    const double *p;
    bool made;
    double t; /* of what was computed last: rows often share it */
    token_likelihoods at;
} pair_world;

static inline tw_status pair_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                    float *out)
{
    pair_world *world = user;
    int K = world->path->symbols;
    (void)row;
    for (int64_t r = 0; r < rows; r++) {
        if (!world->made || world->t != t[r]) likelihoods(world->path, t[r], world->at);
        world->made = true;
        world->t = t[r];
        const double *first = world->at[x[2 * r]], *second = world->at[x[2 * r + 1]];
        for (int i = 0; i < 2; i++)
            for (int a = 0; a < K; a++) {
                double sum = 0, own = i ? second[a] : first[a];
                for (int b = 0; b < K; b++) sum += i ? world->p[b * K + a] * first[b] : world->p[a * K + b] * second[b];
                out[(2 * r + i) * K + a] = own * sum > 0 ? logf((float)(own * sum)) : -1e30f;
            }
    }
    return TW_OK;
}

/* p_t (states, states) of such a pair. */
static inline void pair_law(const tw_token_path *path, const double *p, double t, double *out)
{
    int K = path->symbols, S = path->states;
    double first[64], second[64];
    memset(out, 0, (size_t)(S * S) * sizeof(double));
    for (int a = 0; a < K; a++)
        for (int b = 0; b < K; b++) {
            tw_token_law(path, t, -1, a, first, NULL);
            tw_token_law(path, t, -1, b, second, NULL);
            for (int x = 0; x < S; x++)
                for (int y = 0; y < S; y++) out[x * S + y] += p[a * K + b] * first[x] * second[y];
        }
}

/* Shares of the states of rows (rows, 2), (states, states). */
static inline void pair_histogram(int states, int64_t rows, const int32_t *x, double *out)
{
    memset(out, 0, (size_t)(states * states) * sizeof(double));
    for (int64_t r = 0; r < rows; r++) out[x[2 * r] * states + x[2 * r + 1]] += 1 / (double)rows;
}

static inline double total_variation(int count, const double *a, const double *b)
{
    double sum = 0;
    for (int i = 0; i < count; i++) sum += 0.5 * fabs(a[i] - b[i]);
    return sum;
}

/* Pearson's statistic of rows counts, as a normal number (Wilson, Hilferty 1931); infinite where what cannot be was
 * seen. */
static inline double chi_square_normal(int count, int64_t rows, const double *got, const double *want)
{
    double sum = 0;
    int cells = -1;
    for (int i = 0; i < count; i++) {
        if (!(want[i] > 0)) {
            if (got[i] > 0) return (double)INFINITY;
            continue;
        }
        cells++;
        sum += (double)rows * (got[i] - want[i]) * (got[i] - want[i]) / want[i];
    }
    double spread = 2.0 / (9 * cells);
    return (cbrt(sum / cells) - (1 - spread)) / sqrt(spread);
}

/* out = e^(length Q) applied to a law, Q (n,n) with Q[x][y] the rate from x to y: steps so small that a Taylor series
 * of 20 terms is exact. */
static inline void follow_rates(int n, const double *Q, double length, double *law)
{
    double term[256], next[256];
    int steps = 1 + (int)(4 * length);
    for (int s = 0; s < steps; s++) {
        memcpy(term, law, (size_t)n * sizeof(double));
        for (int k = 1; k <= 20; k++) {
            for (int y = 0; y < n; y++) {
                next[y] = 0;
                for (int x = 0; x < n; x++) next[y] += term[x] * Q[x * n + y] * length / steps / k;
            }
            memcpy(term, next, (size_t)n * sizeof(double));
            for (int y = 0; y < n; y++) law[y] += term[y];
        }
    }
}

#endif
