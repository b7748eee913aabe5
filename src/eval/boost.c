/* eval/boost.c - rounds of trees, each fitted to the slopes of the loss at the sum of those before: see boost.h. */
#include "eval/boost.h"

#include "eval/boost_tree.h"

#include <math.h>
#include <string.h>

enum { ROUNDS = 100, LEAVES = 31, FEWEST = 20 };
static const double standard_rate = 0.1;

struct tw_boost {
    tw_context *ctx;
    int classes, outputs, trees; /* trees: of all outputs together, round after round */
    double *start;               /* (outputs) */
    tw_tree_node *node;
    int64_t *root; /* (trees) */
};

/* What training holds beside the trees. */
typedef struct training {
    int64_t count;
    const int64_t *row;
    const double *target;
    double *prediction; /* (count, outputs): before the link */
    double *spare;      /* (count, outputs), of more than two classes their probabilities */
    tw_slope *slope;    /* (count) */
} training;

int tw_boost_outputs(const tw_boost *boost)
{
    return boost->outputs;
}

void tw_boost_destroy(tw_boost *boost)
{
    if (!boost) return;
    tw_context *ctx = boost->ctx;
    tw_free(ctx, boost->start);
    tw_free(ctx, boost->node);
    tw_free(ctx, boost->root);
    tw_free(ctx, boost);
}

static double target_of(const training *t, int64_t i)
{
    return t->target[t->row ? t->row[i] : i];
}

/* --- losses ---------------------------------------------------------------------------------------------------------
 */

static double sigmoid(double x)
{
    return x >= 0 ? 1 / (1 + exp(-x)) : exp(x) / (1 + exp(x));
}

static void softmax(int count, const double *x, double *out)
{
    double most = x[0], sum = 0;
    for (int k = 1; k < count; k++) most = fmax(most, x[k]);
    for (int k = 0; k < count; k++) sum += out[k] = exp(x[k] - most);
    for (int k = 0; k < count; k++) out[k] /= sum;
}

/* Where predictions begin: the mean, or the logarithms of how often classes are. */
static void start_at(const tw_boost *b, const training *t, double *start)
{
    double n = (double)t->count, least = 1e-15; /* of a class that is not among the rows */
    memset(start, 0, (size_t)b->outputs * sizeof *start);
    if (b->classes <= 2) {
        for (int64_t i = 0; i < t->count; i++) start[0] += target_of(t, i) / n;
        double p = fmin(fmax(start[0], least), 1 - least);
        if (b->classes == 2) start[0] = log(p / (1 - p));
        return;
    }
    for (int64_t i = 0; i < t->count; i++) start[(int)target_of(t, i)] += 1 / n;
    for (int k = 0; k < b->outputs; k++) start[k] = log(fmax(start[k], least));
}

/* Slopes of the loss by output k. */
static void slopes_of(const tw_boost *b, const training *t, int k)
{
    for (int64_t i = 0; i < t->count; i++) {
        double y = target_of(t, i), p;
        if (b->classes == 0) {
            t->slope[i] = (tw_slope){t->prediction[i] - y, 1};
            continue;
        }
        if (b->classes == 2)
            p = sigmoid(t->prediction[i]);
        else
            p = t->spare[i * b->outputs + k], y = y == k;
        t->slope[i] = (tw_slope){p - y, p * (1 - p)};
    }
}

/* --- training -------------------------------------------------------------------------------------------------------
 */

static tw_status check(tw_context *ctx, const tw_boost_desc *d, const training *t)
{
    if (t->count < 1 || t->count > INT32_MAX)
        return tw_fail(ctx, TW_ERR_INVALID, "boosted trees from %lld rows: expected 1 to 2^31 - 1",
                       (long long)t->count);
    if (d->classes < 0 || d->classes == 1 || d->rounds < 0 || d->leaves < 0 || d->leaves == 1 || d->fewest < 0 ||
        !(d->rate >= 0))
        return tw_fail(
            ctx, TW_ERR_INVALID,
            "boosted trees: classes %d, rounds %d, leaves %d: expected none or 2 and more classes, 2 and more "
            "leaves",
            d->classes, d->rounds, d->leaves);
    for (int64_t i = 0; i < t->count; i++) {
        double y = target_of(t, i);
        if (!isfinite(y) || (d->classes && (y < 0 || y >= d->classes || y != floor(y))))
            return tw_fail(ctx, TW_ERR_INVALID, "boosted trees: row %lld has the target %g, not %s", (long long)i + 1,
                           y, d->classes ? "the number of a class" : "a number");
    }
    return TW_OK;
}

static tw_status make(tw_context *ctx, const tw_boost_desc *d, tw_boost **out)
{
    tw_boost *b = tw_alloc(ctx, 1, sizeof *b);
    if (!b) return tw_fail_memory(ctx, sizeof *b);
    int outputs = d->classes > 2 ? d->classes : 1;
    size_t trees = (size_t)d->rounds * (size_t)outputs, nodes = trees * (2 * (size_t)d->leaves - 1);
    *b = (tw_boost){.ctx = ctx, .classes = d->classes, .outputs = outputs};
    b->start = tw_alloc(ctx, (size_t)outputs, sizeof *b->start);
    b->node = tw_alloc(ctx, nodes, sizeof *b->node);
    b->root = tw_alloc(ctx, trees, sizeof *b->root);
    if (!b->start || !b->node || !b->root) {
        tw_boost_destroy(b);
        return tw_fail_memory(ctx, nodes * sizeof *b->node);
    }
    *out = b;
    return TW_OK;
}

static void run_rounds(tw_boost *b, int rounds, const training *t, tw_grower *grower)
{
    int64_t nodes = 0;
    start_at(b, t, b->start);
    for (int64_t i = 0; i < t->count; i++)
        memcpy(t->prediction + i * b->outputs, b->start, (size_t)b->outputs * sizeof *b->start);
    for (int round = 0; round < rounds; round++) {
        for (int64_t i = 0; b->classes > 2 && i < t->count; i++)
            softmax(b->outputs, t->prediction + i * b->outputs, t->spare + i * b->outputs);
        for (int k = 0; k < b->outputs; k++) {
            slopes_of(b, t, k);
            b->root[b->trees++] = nodes;
            nodes += tw_grower_grow(grower, t->slope, t->prediction + k, b->outputs, b->node + nodes);
        }
    }
}

tw_status tw_boost_train(tw_context *ctx, const tw_boost_desc *desc, const tw_binning *bins, int64_t rows,
                         const uint8_t *codes, int64_t count, const int64_t *row, const double *target,
                         tw_boost **out_boost)
{
    tw_boost_desc d = *desc;
    training t = {.count = count, .row = row, .target = target};
    tw_boost *b = NULL;
    tw_grower *grower = NULL;
    tw_status status = TW_OK;
    TW_TRY(check(ctx, &d, &t));
    if (!d.rounds) d.rounds = ROUNDS;
    if (!d.leaves) d.leaves = LEAVES;
    if (!d.fewest) d.fewest = FEWEST;
    if (!(d.rate > 0)) d.rate = standard_rate;
    TW_TRY(make(ctx, &d, &b));
    size_t numbers = (size_t)count * (size_t)b->outputs;
    t.prediction = tw_alloc(ctx, numbers, sizeof *t.prediction);
    t.spare = b->classes > 2 ? tw_alloc(ctx, numbers, sizeof *t.spare) : NULL;
    t.slope = tw_alloc(ctx, (size_t)count, sizeof *t.slope);
    if (!t.prediction || (b->classes > 2 && !t.spare) || !t.slope)
        TW_TRY(tw_fail_memory(ctx, numbers * sizeof *t.prediction));
    TW_TRY(tw_grower_make(ctx, &d, bins, rows, codes, count, row, &grower));
    run_rounds(b, d.rounds, &t, grower);
    *out_boost = b;
    b = NULL;
done:
    tw_grower_destroy(grower);
    tw_boost_destroy(b);
    tw_free(ctx, t.prediction);
    tw_free(ctx, t.spare);
    tw_free(ctx, t.slope);
    return status;
}

/* --- predicting -----------------------------------------------------------------------------------------------------
 */

static double value_at(const tw_tree_node *node, int64_t rows, const uint8_t *codes, int64_t row)
{
    const tw_tree_node *at = node;
    while (at->column >= 0) at = node + at->left + !tw_bin_set_has(&at->goes_left, codes[at->column * rows + row]);
    return at->value;
}

void tw_boost_predict(const tw_boost *b, int64_t rows, const uint8_t *codes, int64_t count, const int64_t *row,
                      double *out)
{
    for (int64_t i = 0; i < count; i++) {
        double *p = out + i * b->outputs;
        memcpy(p, b->start, (size_t)b->outputs * sizeof *p);
        for (int k = 0; k < b->trees; k++)
            p[k % b->outputs] += value_at(b->node + b->root[k], rows, codes, row ? row[i] : i);
        if (b->classes == 2) p[0] = sigmoid(p[0]);
        if (b->classes > 2) softmax(b->outputs, p, p);
    }
}
