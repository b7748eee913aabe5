/* thalweg/coupling.h - which source point is joined with which data point of a batch.
 *
 * A coupler keeps the work memory of one kind of coupling. Pairing a batch allocates nothing and is a pure function of
 * the batch, the seed and the step, so that a training can be stopped and resumed exactly. A coupler belongs to one
 * thread at a time, like the context it was made with: a thread that prepares batches brings a context of its own. */
#ifndef THALWEG_COUPLING_H
#define THALWEG_COUPLING_H

#include <thalweg/base.h>
#include <thalweg/nn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Fills out_cost (n,n), row-major: the cost of data point i with source point j in row i, column j, finite and at most
 * 1e100 in size. source and data are (n,columns). */
typedef void (*tw_coupling_cost_fn)(void *user, int64_t n, int64_t columns, const float *source, const float *data,
                                    double *out_cost);

/* Zeros mean the defaults. Parameters that a kind does not use are ignored. */
typedef struct tw_coupling_desc {
    const char *kind;    /* "independent", or with parameters "sinkhorn:reg=0.1", which stand where a field is zero */
    int64_t most_points; /* no batch has more; at most 2^20 */
    int64_t columns;     /* D of the points */
    int64_t condition_columns; /* of the condition rows, 0: there are none */
    double condition_weight;   /* adds this times the squared distance of the conditions to the cost (C2OT) */
    uint64_t seed;             /* of what is drawn */
    tw_coupling_cost_fn cost;  /* NULL: the squared Euclidean distance */
    void *cost_user;
    double reg;        /* entropic regularisation, in units of the batch's mean cost: 0.05 */
    double epsilon;    /* the same as a number that does not depend on the batch, in place of reg (SB-CFM: 2 sigma^2) */
    double tau;        /* weight of the marginals' KL divergences, in the same units as the regularisation: 1 */
    double mass;       /* the fraction of the batch that is paired, in (0,1]: 0.9 */
    double tolerance;  /* L1 distance of the plan's marginals from uniform where Sinkhorn's iteration ends: 1e-6 */
    double iterations; /* and the most it makes, for each regularisation on the way down: 1000 */
} tw_coupling_desc;

/* One batch of `points` sources and as many data points, row i of both drawn independently of each other. */
typedef struct tw_coupling_batch {
    int64_t points;
    uint64_t step;              /* batches of different steps draw different numbers */
    const float *source, *data; /* (points, columns) */
    /* Points are paired within equal labels only; NULL: no labels. A source that has none of its own (noise) takes
     * those of the data row it was drawn with: source_label NULL. Every label must occur equally often in both. */
    const int64_t *data_label, *source_label;
    /* (points, condition_columns), when the description has some; source_condition NULL: those of the data rows. */
    const float *data_condition, *source_condition;
} tw_coupling_batch;

typedef struct tw_coupler tw_coupler;

/* Looks the kind up, checks the parameters, makes the work memory: at most 16 most_points^2 bytes and some
 * hundreds and those of the rows themselves a point. */
TW_NODISCARD TW_API tw_status tw_coupler_create(tw_context *ctx, const tw_coupling_desc *desc,
                                                tw_coupler **out_coupler);
TW_API void tw_coupler_destroy(tw_coupler *coupler);

/* Pair k is source row out_source[k] with data row out_data[k], k < points. Kinds that keep the data
 * (tw_coupling_keeps_data) give out_data[k] = k, and out_data may be NULL; `partial`, `entropic_partial` and `unbalanced`
 * leave points out and take others more than once. Numbers that are not finite are refused with their row and column. */
TW_NODISCARD TW_API tw_status tw_coupler_pair(tw_coupler *coupler, const tw_coupling_batch *batch, int64_t *out_source,
                                              int64_t *out_data);
TW_API bool tw_coupling_keeps_data(const tw_coupler *coupler);

typedef tw_piece_info tw_coupling_info;
TW_API const tw_coupling_info *tw_coupling_list(int index); /* NULL past the end */

#ifdef __cplusplus
}
#endif
#endif
