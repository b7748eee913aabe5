/* flow/jumping.h - flows that jump, of tokens, of sequences of them and of numbers: what the network says as a program,
 * workers that run it, and what solvers of chains make of it (solve/jump.h, solve/edit_run.h, solve/together.h,
 * solve/superposition.h).
 *
 * As in flow/crew.h a block of rows stays with one thread through all steps; blocks are cut by shape alone. */
#ifndef TW_FLOW_JUMPING_H
#define TW_FLOW_JUMPING_H

#include "flow/flow.h"
#include "solve/edit_run.h"
#include "solve/jump.h"

/* tw_sample of a flow of tokens: rows are whole numbers; a mask that is left at t1 < 1 is the number behind the last
 * symbol. */
TW_NODISCARD tw_status tw_tokens_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out,
                                        double *out_frames, tw_ode_stats *out_stats);
/* tw_log_density of one: a bound from below. */
TW_NODISCARD tw_status tw_tokens_bound(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc,
                                       double *out, tw_ode_stats *out_stats);

/* The same of sequences (flow/edit_score.c). */
TW_NODISCARD tw_status tw_edits_bound(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc,
                                      double *out, tw_ode_stats *out_stats);

/* tw_sample with desc->jumps of a method that has jumps of numbers (flow/superposition.c). */
TW_NODISCARD tw_status tw_superposition_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out,
                                               tw_ode_stats *out_stats);

/* tw_sample of a product with tokens (flow/together.c): columns are numbers and whole numbers. */
TW_NODISCARD tw_status tw_together_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out,
                                          tw_ode_stats *out_stats);

/* --- shared ------------------------------------------------------------------------------------------------------ */

/* Conditions of every row as the network takes them, to be freed; NULL when there are none. */
TW_NODISCARD tw_status tw_tokens_conditions(const tw_flow *flow, const tw_sample_desc *desc, int64_t n, double **out);
/* Rows of data that are points of the space: tokens each of its own symbols, sequences. */
TW_NODISCARD tw_status tw_tokens_check_rows(const tw_flow *flow, int64_t n, const double *x);
/* What flows that jump have of desc, or a sentence; its guidance is what programs are made with from here on. */
TW_NODISCARD tw_status tw_tokens_take_desc(tw_flow *flow, const tw_sample_desc *desc);

/* --- the inside -------------------------------------------------------------------------------------------------- */

typedef struct tw_token_worker {
    const struct tw_token_crew *crew;
    tw_state *state;
    const void **inputs;
    float *x, *t, *told;             /* one block of the program */
    int32_t *tokens;                 /* one block of rows */
    unsigned char *known;            /* and what of them is known, */
    tw_jump *jump;                   /* to sample, */
    tw_edit_chain *chain;            /* to sample sequences, */
    void *memory;                    /* or to score */
    double *bound, *point;           /* point: a row of the source */
    int32_t *held;                   /* of sequences: how many tokens are given */
    const tw_token_options *options; /* of the call; their predictor is asked about one block of */
    float *predicted;                /* (rows, answers), */
    int64_t *row, first;             /* rows of these numbers, the first of the block under way `first` */
    const double *conditions;        /* (rows, told) of the block under way, or NULL */
} tw_token_worker;

typedef struct tw_token_crew {
    tw_flow *flow;
    tw_graph *graph;
    tw_params *params, *guide_params; /* of the guide, NULL: none */
    tw_program *program;
    int64_t rows; /* of a block */
    int width;    /* numbers of a row that the program takes: tokens, in a product also which numbers are known */
    int answers;  /* numbers of a row that it gives: logits, in a product velocities before them, of sequences what
                     is expected of their slots, of jumps of numbers what solve/superposition.h asks */
    int inputs_count, count;
    tw_token_worker *worker;
} tw_token_crew;

/* Made when first asked for and kept with the flow, until its weights change. */
TW_NODISCARD tw_status tw_token_crew_get(tw_flow *flow, tw_token_crew **out_crew);
void tw_token_crew_destroy(tw_token_crew *crew);
/* One block of rows, `begin` and on, of a call on many: its worker's conditions are set. `stats` starts from zeros. */
typedef tw_status (*tw_token_block)(void *user, tw_token_worker *worker, int64_t begin, int64_t rows,
                                    tw_jump_stats *stats);
/* All n rows, as many blocks at once as there are workers; progress as desc has it. conditions: (n, told) or NULL. Adds
 * to *total. */
TW_NODISCARD tw_status tw_token_crew_run(tw_token_crew *crew, const tw_sample_desc *desc, int64_t n,
                                         const double *conditions, tw_token_block block, void *user,
                                         tw_ode_stats *total);
/* The worker's x, t and told, which hold `count` rows, go through the program. */
tw_status tw_token_worker_ask(tw_token_worker *w, int64_t count, float *out);
/* Conditions of rows number row[0].. of the block under way become the worker's. */
void tw_token_worker_tell(tw_token_worker *w, int64_t count, const int64_t *row);
/* Memory for what a predictor says. */
TW_NODISCARD tw_status tw_token_worker_predicts(tw_token_worker *w);
/* tw_logits_fn, `user` a worker. */
tw_status tw_token_worker_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                                 float *out);

#endif
