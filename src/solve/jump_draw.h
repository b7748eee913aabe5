/* solve/jump_draw.h - the random numbers of jumping tokens, and draws from what a model says. */
#ifndef TW_SOLVE_JUMP_DRAW_H
#define TW_SOLVE_JUMP_DRAW_H

#include "base/base.h"

/* What a number is for. */
typedef enum tw_jump_purpose {
    TW_JUMP_STAY,   /* whether a token jumps, */
    TW_JUMP_DATA,   /* the x_1 it goes to, */
    TW_JUMP_TARGET, /* where on the way to it */
    TW_JUMP_RENEW,  /* whether the corrector draws it anew, */
    TW_JUMP_RENEWED /* and as what */
} tw_jump_purpose;

typedef struct tw_jump_dice {
    uint64_t seed;
    bool stratified;
    int64_t row;
    uint32_t step; /* stages of two-stage methods count on their own */
} tw_jump_dice;

/* Uniform in (0,1), 52 bits, a function of everything named. Stratified: for the rows 0..2^k - 1 it is one in each of
 * 2^k equal parts, in an order of its own for every token, step and purpose. */
double tw_jump_uniform(const tw_jump_dice *dice, uint32_t token, tw_jump_purpose purpose);

typedef struct tw_jump_shape {
    double temperature, top_p; /* above 0; up to 1 */
    int top_k;                 /* 0: all */
} tw_jump_shape;

/* Probabilities from logits (count), not normalised; returns their sum, NaN when a logit is not a number or none is
 * finite. scratch (count) is used with top_k and top_p. */
double tw_jump_probabilities(const tw_jump_shape *shape, int count, const float *logits, double *out, double *scratch);
/* The index at which the running sum passes uniform times sum. */
int tw_jump_pick(int count, const double *p, double sum, double uniform);
int tw_jump_most(int count, const double *p);

#endif
