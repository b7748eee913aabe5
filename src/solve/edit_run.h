/* solve/edit_run.h - chains of edits: sequences move along a path of edits towards what a model says is still to be done
 * (Havasi et al. 2025, Edit flows, section 3.3).
 *
 * A step from t to s makes an edit that is expected with probability E (path/edit_path.h) with probability E rho, rho =
 * (kappa(s) - kappa(t)) / (1 - kappa(t)) the chance that what was left at t is done by s: for a token to be deleted or
 * another to be inserted that is exact, and the last step ends at t = 1. What is not exact is that edits of a step do not
 * know of each other. Every random number is a function of seed, row, slot and step. */
#ifndef TW_SOLVE_EDIT_RUN_H
#define TW_SOLVE_EDIT_RUN_H

#include "path/edit_path.h"
#include "solve/jump.h"

typedef struct tw_edit_chain_desc {
    const tw_edit_path *path; /* used until the end */
    double tolerance;   /* in (0,1): every row chooses its steps, so that at most so many edits are expected in one; 0:
                           steps as given */
    double temperature; /* of the logits of tokens, 0: 1 */
    int top_k;          /* a token is one of the k most likely, 0: any */
    double top_p;       /* or of the fewest that are together this likely, 0: 1 */
    uint64_t seed;
} tw_edit_chain_desc;

typedef struct tw_edit_chain tw_edit_chain;

/* For blocks of up to `rows` rows of `width` tokens. */
TW_NODISCARD tw_status tw_edit_chain_create(tw_context *ctx, const tw_edit_chain_desc *desc, int64_t rows, int width,
                                            tw_edit_chain **out_chain);
void tw_edit_chain_destroy(tw_edit_chain *chain);

/* Moves x (rows, width), filled up with the number behind the last symbol, in place; does not allocate. The model says
 * (rows, width + 1, tw_edit_outputs) of such rows. held (rows), NULL: so many tokens at the beginning of each stay as
 * they are. edits (rows), NULL: gets how many were made of each, added to what is there. Fails as tw_jump_run does. */
tw_status tw_edit_chain_run(tw_edit_chain *chain, const tw_jump_leg *leg, tw_logits_fn model, void *user, int64_t rows,
                            int32_t *x, const int32_t *held, int32_t *edits, tw_jump_stats *stats);

#endif
