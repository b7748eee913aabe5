/* solve/edit_bound.h - what a model of edits costs: a bound on -log p(x_1 | x_0) of the chain it makes in continuous
 * time (Havasi et al. 2025, Edit flows, section 3.2 and eq. 23; Campbell et al. 2022, A continuous time framework for
 * discrete denoising models, for the divergence of two chains).
 *
 * Given x_0, x_1 and an alignment of them, every place that is to change does so once, at a rate 1 / (1 - kappa) per
 * unit of kappa; a path of such changes and its edits - kind, slot, token - tell each other. So
 *
 *   -log p(x_1 | x_0) <= KL(that chain | the model's)
 *                      = int_0^1 E[ r sum_all e^h - sum_left (1 + h + log p + log(r (1 - kappa))) / (1 - kappa) ]
 * dkappa
 *
 * over all edits of z_t, and those that are left to make. A network cannot say that nothing is left, so rates r e^h
 * that grew like 1 / (1 - kappa) would make edits for ever: the model's chain has r = min(1 / (1 - kappa),
 * TW_EDIT_FASTEST). From an empty source, with what the posterior expects and r unbounded, the bound is tight: a path
 * tells x_1 and its own law needs no memory. Elsewhere what different x_0, alignments and paths have in common is
 * counted more than once. */
#ifndef TW_SOLVE_EDIT_BOUND_H
#define TW_SOLVE_EDIT_BOUND_H

#include "path/edit_path.h"
#include "solve/jump.h"

#define TW_EDIT_FASTEST 1e3

typedef struct tw_edit_bound_desc {
    const tw_edit_path *path;
    double fastest; /* most of r */
    int64_t pairs, width;
    const int32_t *z0, *z1; /* (pairs, width) aligned, blanks are K or below 0 */
    const int64_t *row;     /* (pairs) which of its rows each is, for the model */
    const double *place;    /* (pairs) in (0, 1]: kappa = 1 - place^2 */
    const double *u;        /* (pairs, width) in (0, 1): z_t is still z_0 below 1 - kappa */
} tw_edit_bound_desc;

/* One estimate for each pair, the integrand at its kappa in units of `place`: their mean over uniform places and u is
 * the bound, in nats. The model says (pairs, width + 1, tw_edit_outputs) of rows of width places. work:
 * tw_edit_bound_bytes. What is said and is no number fails with TW_ERR_NUMERIC. */
tw_status tw_edit_bound(const tw_edit_bound_desc *desc, tw_logits_fn model, void *user, void *work, double *out);
size_t tw_edit_bound_bytes(const tw_edit_path *path, int64_t pairs, int64_t width);

#endif
