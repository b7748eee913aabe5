/* solve/jump_bound.c - what a model of tokens costs: a bound on -log p(x_1), the ELBO (see jump.h).
 *
 *   -log p(x_1) <= int_0^inf E sum_i D_i dtau,     D_i = tw_token_divergence of token i at x_t(tau), per unit of clock
 *
 * With q = e^-tau, the share of tokens that are still noise, that is the mean of sum_i D_i / q over q uniform in (0,1).
 * Where a mask is all the noise there is, D_i is the cross-entropy of a masked token and 0 of the others: the number m
 * of masked tokens is then uniform in 1..T, and given m the mean is T / m times their sum, which varies far less
 * (Hoogeboom et al. 2022, Autoregressive diffusion models, eq. 4). Both q and m are drawn one in each of equal parts.
 */
#include "solve/jump_inside.h"

#include "base/philox.h"
#include "base/streams.h"

#include <math.h>
#include <string.h>

/* Uniform numbers of draw `draw` of a row: one for the draw, then one a token. */
static tw_random random_of(const tw_bound_desc *desc, int64_t row, int draw, int tokens)
{
    tw_random random = {.seed = desc->seed, .stream = TW_STREAM_JUMP + (2u << 8)};
    uint64_t number = (uint64_t)row * (uint64_t)desc->draws + (uint64_t)draw;
    random.index = number * 2 * ((uint64_t)tokens + 1);
    return random;
}

/* The m-th smallest of n numbers. */
static double nth_smallest(int n, const double *u, int m)
{
    double low = 0, high = 1;
    for (int round = 0; round < 80; round++) { /* down to the last bit */
        double middle = 0.5 * (low + high);
        int below = 0;
        for (int i = 0; i < n; i++) below += u[i] <= middle;
        if (below >= m)
            high = middle;
        else
            low = middle;
    }
    return high;
}

typedef struct drawn {
    double t, weight; /* of the sum of divergences */
} drawn;

static const tw_token_path *path_of(const tw_bound_desc *desc, int token)
{
    return desc->each ? &desc->each[token] : desc->path;
}

/* Logits of a row. */
static int64_t answers_of(const tw_bound_desc *desc, int tokens)
{
    int64_t answers = 0;
    for (int i = 0; i < tokens; i++) answers += path_of(desc, i)->symbols;
    return answers;
}

static int64_t most_states(const tw_bound_desc *desc, int tokens)
{
    int64_t most = 0;
    for (int i = 0; i < tokens; i++) most = tw_max_i64(most, path_of(desc, i)->states);
    return most;
}

/* A share q of noise at random, x at the time that has it, and what the divergences there count. */
static drawn draw_noisy(const tw_bound_desc *desc, int64_t row, int draw, int tokens, const int32_t *x1, double *u,
                        int32_t *x)
{
    const tw_token_path *path = path_of(desc, 0);
    tw_random random = random_of(desc, row, draw, tokens);
    double place = ((double)draw + tw_random_uniform(&random)) / desc->draws, least = tw_token_least_distance(path);
    for (int i = 0; i < tokens; i++) u[i] = tw_random_uniform(&random);
    if (path->states > path->symbols && path->noise == 0) {
        int masked = 1 + (int)fmin(place * tokens, tokens - 1);
        double q = nth_smallest(tokens, u, masked);
        for (int i = 0; i < tokens; i++) x[i] = u[i] <= q ? path_of(desc, i)->symbols : x1[i];
        return (drawn){tw_token_time(path, -log(q)), (double)tokens / masked};
    }
    double t = tw_token_time(path, -2 * log(place) / least);
    for (int i = 0; i < tokens; i++) x[i] = tw_token_draw(path_of(desc, i), t, -1, x1[i], u[i]);
    return (drawn){t, 2 / (place * least)};
}

/* log softmax of logits, in double. */
static void log_probabilities(int count, const float *logits, double *out)
{
    double most = (double)logits[0], sum = 0;
    for (int k = 1; k < count; k++) most = fmax(most, (double)logits[k]);
    for (int k = 0; k < count; k++) sum += exp((double)logits[k] - most);
    for (int k = 0; k < count; k++) out[k] = (double)logits[k] - most - log(sum);
}

static double divergence_of_row(const tw_bound_desc *desc, double t, int tokens, const int32_t *x, const int32_t *x1,
                                const float *logits, double *log_p, double *scratch)
{
    double sum = 0;
    for (int i = 0; i < tokens; i++) {
        const tw_token_path *path = path_of(desc, i);
        const float *own = logits;
        logits += path->symbols;
        if (path->states > path->symbols && path->noise == 0 && x[i] < path->symbols) continue; /* no mask any more */
        log_probabilities(path->symbols, own, log_p);
        sum += tw_token_divergence(path, t, x[i], x1[i], log_p, scratch);
    }
    return sum;
}

/* Laid out one behind another, doubles first. */
typedef struct memory {
    double *t, *weight, *uniform, *log_p, *scratch;
    int64_t *row;
    float *logits;
    int32_t *x;
} memory;

static memory lay_out(const tw_bound_desc *desc, int tokens, void *base)
{
    int64_t states = most_states(desc, tokens), block = desc->block;
    memory m = {.t = base};
    m.weight = m.t + block;
    m.uniform = m.weight + block;
    m.log_p = m.uniform + tokens;
    m.scratch = m.log_p + states;
    m.row = (int64_t *)(m.scratch + 3 * states);
    m.logits = (float *)(m.row + block);
    m.x = (int32_t *)(m.logits + block * answers_of(desc, tokens));
    return m;
}

size_t tw_token_bound_bytes(const tw_bound_desc *desc, int tokens)
{
    int64_t block = desc->block, doubles = 3 * block + tokens + 4 * most_states(desc, tokens);
    return (size_t)doubles * sizeof(double) + (size_t)(block * answers_of(desc, tokens)) * sizeof(float) +
           (size_t)(block * tokens) * sizeof(int32_t);
}

tw_status tw_token_bound(const tw_bound_desc *desc, tw_logits_fn model, void *user, int64_t rows, int tokens,
                         const int32_t *x1, void *work, double *out)
{
    int64_t block = desc->block, answers = answers_of(desc, tokens);
    memory m = lay_out(desc, tokens, work);
    for (int64_t r = 0; r < rows; r++) out[r] = 0;
    for (int64_t begin = 0, all = rows * desc->draws; begin < all; begin += block) {
        int64_t count = tw_min_i64(block, all - begin);
        for (int64_t k = 0; k < count; k++) {
            int64_t row = m.row[k] = (begin + k) / desc->draws;
            drawn d = draw_noisy(desc, desc->first_row + row, (int)((begin + k) % desc->draws), tokens,
                                 x1 + row * tokens, m.uniform, m.x + k * tokens);
            m.t[k] = d.t;
            m.weight[k] = d.weight;
        }
        tw_status status = model(user, count, m.row, m.t, m.x, m.logits);
        if (status != TW_OK) return status;
        for (int64_t k = 0; k < count; k++) {
            double sum = divergence_of_row(desc, m.t[k], tokens, m.x + k * tokens, x1 + m.row[k] * tokens,
                                           m.logits + k * answers, m.log_p, m.scratch);
            if (isnan(sum)) return TW_ERR_NUMERIC;
            out[m.row[k]] += m.weight[k] * sum / desc->draws;
        }
    }
    return TW_OK;
}

tw_status tw_token_chain_rule(const tw_bound_desc *desc, tw_logits_fn model, void *user, int64_t rows, int tokens,
                              const int32_t *x1, void *work, double *out)
{
    const tw_token_path *path = desc->path;
    memory m = lay_out(desc, tokens, work);
    for (int64_t begin = 0; begin < rows; begin += desc->block) {
        int64_t count = tw_min_i64(desc->block, rows - begin);
        for (int64_t k = 0; k < count; k++) m.row[k] = begin + k, m.t[k] = 0;
        tw_status status = model(user, count, m.row, m.t, x1 + begin * tokens, m.logits);
        if (status != TW_OK) return status;
        for (int64_t k = 0; k < count; k++) {
            double sum = 0;
            for (int64_t i = k * tokens; i < (k + 1) * tokens; i++) {
                log_probabilities(path->symbols, m.logits + i * path->symbols, m.log_p);
                sum -= m.log_p[x1[begin * tokens + i]];
            }
            if (isnan(sum)) return TW_ERR_NUMERIC;
            out[begin + k] = sum;
        }
    }
    return TW_OK;
}
