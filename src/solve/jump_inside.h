/* solve/jump_inside.h - the inside of a solver of jumping tokens: one block of rows, those under way first. */
#ifndef TW_SOLVE_JUMP_INSIDE_H
#define TW_SOLVE_JUMP_INSIDE_H

#include "solve/jump.h"
#include "solve/jump_draw.h"

typedef struct tw_jump_method {
    tw_piece_info info;
    int evaluations; /* a step */
    bool one_by_one; /* a step unmasks one token */
    /* Moves the first `active` rows from t to s by their logits; the second stage asks for its own. */
    tw_status (*step)(tw_jump *jump);
} tw_jump_method;

struct tw_jump {
    tw_context *ctx;
    tw_jump_desc desc;
    const tw_jump_method *method;
    tw_token_path path;
    tw_jump_shape shape;
    int tokens;
    int64_t block;
    bool waits;       /* which tokens jump is known without the model: rows ask for it only when one does */
    double end_clock; /* of a tolerance: what is left then is less than that many jumps a row */

    /* Per row (block) and token. */
    int32_t *x, *half;      /* state; state of the second stage */
    unsigned char *held;    /* does not move */
    float *logits, *early;  /* (block, tokens, symbols); those of the first stage */
    double *t, *s, *t_half; /* where the rows are, where this step ends, and the second stage */
    int64_t *index, *row;   /* of the caller's rows: in the block, and of all */
    int64_t *nfe;
    uint32_t *step;          /* steps made */
    double *p, *q, *scratch; /* (states), (states), (3 states) */

    /* The run under way. */
    const tw_jump_leg *leg;
    tw_logits_fn model;
    void *user;
    int32_t *out;
    int64_t first, active; /* number of the caller's first row of the block */
    tw_jump_stats stats;
};

/* Logits for the first `active` rows of x at t. */
tw_status tw_jump_ask(tw_jump *jump, const double *t, const int32_t *x, float *out_logits);
static inline tw_jump_dice tw_jump_dice_of(const tw_jump *jump, int64_t a, int stage)
{
    const tw_jump_leg *leg = jump->leg;
    return (tw_jump_dice){.seed = jump->desc.seed,
                          .stratified = jump->desc.stratified,
                          .row = leg->first_row + jump->first + jump->index[a],
                          .step = (uint32_t)leg->number << 20 | (jump->step[a] * 2 + (uint32_t)stage)};
}
/* Whether nothing the model says of a token matters: it is held, or was unmasked and stays what it is. */
static inline bool tw_jump_known(const tw_jump *jump, int64_t a, int i, const int32_t *x)
{
    int64_t at = a * jump->tokens + i;
    bool unmasked = jump->path.states > jump->path.symbols && jump->path.noise == 0 && x[at] < jump->path.symbols;
    return jump->held[at] || unmasked;
}
/* Probability that a token is drawn anew at the end of a step from t to s. */
double tw_jump_renewal(const tw_jump *jump, double t, double s);
/* Sets the end s of every row's step by the tolerance. */
tw_status tw_jump_choose_steps(tw_jump *jump);

#define TW_JUMP(name, about, source, evaluations, one_by_one) tw_status tw_jump_##name(tw_jump *jump);
#include "solve/jumps.def"

#endif
