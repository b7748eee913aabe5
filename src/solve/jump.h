/* solve/jump.h - Markov chains of tokens, simulated: rows of tokens move along a token path towards what a model says
 * of x_1 (Gat et al. 2024, Discrete flow matching; Campbell et al. 2022).
 *
 * A run may stop at any t and its rows then have the law of the path there. Rows are independent; every random number
 * is a function of seed, row, token and step. Probabilities are kept and drawn in double: in single, draws by noise of
 * limited range behave like a lower temperature (Zheng et al. 2024). */
#ifndef TW_SOLVE_JUMP_H
#define TW_SOLVE_JUMP_H

#include "path/token_path.h"

/* What the model says of x_1: logits (rows, tokens, symbols) for rows x (rows, tokens) at t (rows), which are the
 * caller's rows number row[0], ... */
typedef tw_status (*tw_logits_fn)(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                  float *out_logits);

const tw_piece_info *tw_jump_list(int index); /* NULL past the end */

typedef struct tw_jump_desc {
    const char *method;        /* NULL: "euler" */
    const tw_token_path *path; /* used until the end */
    double tolerance; /* of euler, in (0,1): every row chooses its steps, so that a token jumps in one with at most this
                         probability; 0: steps as given */
    double temperature; /* of the logits, 0: 1 */
    int top_k;          /* x_1 is one of the k most likely symbols, 0: any */
    double top_p;       /* or of the fewest that are together this likely, 0: 1 */
    bool argmax;        /* a step that ends at t = 1 takes the most likely x_1 */
    /* Corrector: tokens are drawn anew from p_t(. | x_1) at rate refresh(t) tau'(t) / (1 - e^-tau), refresh = c t^a
     * (1 - t)^b, which leaves p_t as it is; for mixtures that is the divergence-free part alpha - 1 = beta of Gat et
     * al., eq. 27. */
    double refresh[3]; /* c, a, b; c = 0: without */
    double remask;     /* probability that a token known is masked again in a step, as far as p_t can bear it (Wang et
                          al. 2025, ReMDM, cap) */
    bool stratified;   /* rows share out the numbers their tokens are drawn by: means over rows vary less, each row has
                          the same law */
    uint64_t seed;
} tw_jump_desc;

typedef struct tw_jump tw_jump;

/* For blocks of up to `rows` rows of `tokens`. Names, ranges and pieces that do not go together are errors. */
TW_NODISCARD tw_status tw_jump_create(tw_context *ctx, const tw_jump_desc *desc, int64_t rows, int tokens,
                                      tw_jump **out_jump);
void tw_jump_destroy(tw_jump *jump);

/* What random numbers are told apart by has room for so many steps of a leg, and legs. */
enum { TW_JUMP_STEPS = 1 << 19, TW_JUMP_LEGS = 1 << 12 };

typedef struct tw_jump_leg {
    double t0, t1;     /* 0 <= t0 <= t1 <= 1 */
    int64_t steps;     /* equal ones; not for a tolerance and first_hitting */
    int number;        /* of this leg of a longer way, below TW_JUMP_LEGS: each has its own random numbers */
    int64_t first_row; /* number of x's first row */
} tw_jump_leg;

typedef struct tw_jump_stats {
    int64_t nfe;         /* evaluations of a row, the most of any */
    int64_t evaluations; /* of all rows together */
    int64_t calls;
} tw_jump_stats;

/* Moves x (rows, tokens) in place; does not allocate. held (rows, tokens), NULL: none: tokens that stay as they are.
 * Adds to *stats. Logits that are not numbers fail with TW_ERR_NUMERIC, TW_JUMP_STEPS steps or more of a row with
 * TW_ERR_UNSUPPORTED, and what the model fails with is handed on. */
tw_status tw_jump_run(tw_jump *jump, const tw_jump_leg *leg, tw_logits_fn model, void *user, int64_t rows, int32_t *x,
                      const unsigned char *held, tw_jump_stats *stats);

typedef struct tw_bound_desc {
    const tw_token_path *path;
    const tw_token_path *each; /* (tokens): instead a path of each, which differ in their symbols alone, and so do logits,
                                  one token's behind another's; NULL: all are alike */
    int draws;     /* of the time, a row */
    int64_t block; /* rows the model is asked for at once */
    uint64_t seed;
    int64_t first_row;
} tw_bound_desc;

/* Estimates of a bound on -log p(x_1) of rows x1 (rows, tokens), nats a row: the ELBO of the chain the model makes in
 * continuous time. Exact posteriors make it tight for masks; other paths' chains given x_1 take no detours, which the
 * marginal one does, and keep what that costs. out (rows). Logits that are not numbers fail with TW_ERR_NUMERIC. */
tw_status tw_token_bound(const tw_bound_desc *desc, tw_logits_fn model, void *user, int64_t rows, int tokens,
                         const int32_t *x1, void *memory, double *out);
/* The same where what the model says of a token depends on those before it alone: -log p(x_1) itself, by one
 * evaluation; desc->draws does not matter. */
tw_status tw_token_chain_rule(const tw_bound_desc *desc, tw_logits_fn model, void *user, int64_t rows, int tokens,
                              const int32_t *x1, void *memory, double *out);
/* Bytes of work memory both take, aligned for any scalar. */
size_t tw_token_bound_bytes(const tw_bound_desc *desc, int tokens);

/* Tokens of the source for rows first.. of a seed: the mask, or uniform symbols (rows, tokens). */
void tw_token_source(const tw_token_path *path, uint64_t seed, int64_t first_row, int64_t rows, int tokens,
                     int32_t *out);

#endif
