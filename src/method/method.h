/* method/method.h - a method: which loss trains the network, and which velocity the trained network means.
 *
 * A method sees a flow as its pieces and builds graphs from them; it knows nothing of optimisers, files or solvers.
 * Most methods are one row of methods.def and a dozen lines: the helpers below do what they share. */
#ifndef TW_METHOD_METHOD_H
#define TW_METHOD_METHOD_H

#include "path/convert.h"
#include "path/edit_path.h"
#include "path/path.h"
#include "path/token_path.h"
#include "space/space.h"

/* D is the number of numbers of a point in the space's coordinates. */
typedef struct tw_model {
    const tw_space *space;
    const tw_piece *source; /* with tw_source_draw and its like */
    const tw_path *path;
    const tw_schedule *schedule;
    const tw_piece *method;        /* its parameters */
    const tw_piece *loss, *weight; /* NULL: the first of their tables */
    const tw_piece *gamma;         /* of the path's own noise; NULL: none */
    tw_prediction predict;
    const tw_token_path *tokens; /* of flows of tokens, whose x are whole numbers; NULL: of others */
    const tw_schedule
        *factor_schedule; /* of products with tokens one for each factor of the space; NULL: `schedule` for all */
    const double *factor_weight; /* of them, of the loss of each factor; NULL: 1 */
    bool balanced;               /* these are learned: see balance */
    const tw_edit_path *edits;   /* of flows of sequences, rows of tokens that are filled up; NULL: of others */
    /* the network: x (B,D), t (B) -> (B, heads D), on a manifold tangent at x, of tokens logits
     * (B,D,symbols), of sequences what is said of slots (B,D,outputs); of a product with tokens x and which of the M
     * numbers that move are known (B,D+M) -> the velocity of these and then the logits of every token (B,M+..);
     * building twice shares weights */
    tw_val (*network)(void *user, tw_val x, tw_val t);
    /* the learned logarithm of the loss at t (B) -> (B), for the weight that asks for it */
    tw_val (*uncertainty)(void *user, tw_val t);
    /* learned logarithms of the losses of `count` factors (count) */
    tw_val (*balance)(void *user, int64_t count);
    void *user;
} tw_model;

/* What a training step draws: pairs x0, x1 (B,D) from the coupling, times t (B), standard normal z (B,D) for methods
 * that say so, and for those of kernels their widths around x1 (B,1), none where nothing is smoothed. Where data are
 * few these methods see all of them, too: data (N,D) and all_widths (N,1). */
typedef struct tw_draws {
    tw_val x0, x1, t, z, width;
    tw_val data, all_widths;
} tw_draws;

/* Pieces a method asks for when none is named; NULL: the first of their table. */
typedef struct tw_method_defaults {
    const char *source, *path, *schedule, *coupling, *predict, *loss, *weight, *time_density, *gamma;
} tw_method_defaults;

typedef struct tw_method_rules {
    tw_method_defaults defaults;
    /* entropic regularisation that the default coupling needs for this method's parameters; NULL: the coupling's own */
    double (*coupling_epsilon)(const tw_piece *method);
    /* parameter of the default source, likewise */
    double (*source_parameter)(const tw_piece *method);
    int noise;       /* how many z it draws, side by side (B, noise D); 0: none */
    bool gamma;      /* its noise has the size of the piece gamma */
    bool everywhere; /* on any space, not on R^D alone */
    bool tokens;     /* of tokens, and of nothing else */
    bool ordered;    /* of them: each is told those before it alone, by a causal network, and drawn in that order */
    bool mixed;      /* of products with tokens, and of nothing else */
    bool sequences;  /* of sequences, likewise */
    bool own_path;   /* it goes along path/contraction.h and measures itself: such pieces are not asked for; smoothed,
                        data have widths (method/kernels.h) and stay where they are */
    bool (*covers)(const tw_space *space); /* whether it is of all factors, */
    const char *takes;                     /* and what those are, for a sentence; NULL: of all that `everywhere` says */
    bool velocity_only; /* its point may be another than the affine path's: other predictions make no sense */
    int heads;          /* outputs of the network per column; 0: one */
    int64_t (*token_outputs)(const tw_model *model); /* the same of tokens; NULL: as many as there are symbols */
    /* loss of every row (B) */
    tw_val (*row_loss)(const tw_model *model, const tw_draws *draws);
    /* of tokens: what is said of x_1, logits (B,D,symbols) at x (B,D), t (B); of sequences, of their slots */
    tw_val (*logits)(const tw_model *model, tw_val x, tw_val t);
    /* of methods with jumps of numbers: velocities (B,D), intensities (B,D) and logits of lengths (B,D bins) side by
     * side (path/jump_kernel.h); NULL: none */
    tw_val (*jumps)(const tw_model *model, tw_val x, tw_val t);
    /* velocity (B,D) of the generating flow at x (B,D), t (B); NULL: what the prediction means */
    tw_val (*velocity)(const tw_model *model, tw_val x, tw_val t);
    /* score (B,D) of the density of the flow at t; NULL: what the prediction means, or none with velocity_only */
    tw_val (*score)(const tw_model *model, tw_val x, tw_val t);
} tw_method_rules;

typedef struct tw_method {
    tw_piece_info info;
    const tw_method_rules *rules;
} tw_method;

const tw_piece_info *tw_method_list(int index); /* NULL past the end; each is the head of a tw_method */

#define TW_METHOD(name, about, source, parameters) extern const tw_method_rules tw_method_##name;
#include "method/methods.def"

/* --- what solvers ask, whatever was trained ---------------------------------------------------------------------- */

tw_val tw_method_velocity(const tw_method *method, const tw_model *model, tw_val x, tw_val t);
/* Of tokens: what is said of x_1, logits (B,D,symbols). */
tw_val tw_method_logits(const tw_method *method, const tw_model *model, tw_val x, tw_val t);
/* Fails in the graph when the method has no score. */
tw_val tw_method_score(const tw_method *method, const tw_model *model, tw_val x, tw_val t);

/* --- what methods share ------------------------------------------------------------------------------------------ */

/* The network's answer at x (B,D), t (B) -> (B, heads D). Where the schedule makes points larger than the data (ve,
 * edm) it sees x / sqrt(alpha^2 + sigma^2). */
tw_val tw_model_predict(const tw_model *model, tw_val x, tw_val t);
/* Of a product with tokens: velocities and logits (B,M+..), as the network gives them, and what each token says of
 * itself. */
tw_val tw_model_answer(const tw_model *model, tw_val x, tw_val t);
/* The schedule and, of tokens, the path of a factor of a product, one of model->space. */
const tw_schedule *tw_model_factor_schedule(const tw_model *model, const tw_factor *factor);
tw_token_path tw_model_token_path(const tw_model *model, const tw_factor *factor);
/* Of sequences x (B,N), which are filled up, at t (B): what is said of their slots, the beginning and each of the
 * places (B,N+1,tw_edit_outputs). */
tw_val tw_model_edits(const tw_model *model, tw_val x, tw_val t);
/* Part `head` of it, (B,D). */
tw_val tw_model_head(tw_val y, int heads, int head);
/* The model's loss of predictions against targets (B,D), weighted by time -> (B). */
tw_val tw_model_loss(const tw_model *model, tw_val t, tw_val prediction, tw_val target);
/* That of the network's answer at x (B,D), in the metric of the space there. */
tw_val tw_model_regress(const tw_model *model, tw_val x, tw_val t, tw_val target);

const tw_piece_info *tw_loss_list(int index); /* NULL past the end */
bool tw_loss_of_tokens(const tw_piece *loss);
/* The loss of each token by logits (B,D,symbols) at x_t (B,D) -> (B,D). */
tw_val tw_model_token_loss(const tw_model *model, const tw_draws *draws, tw_val xt, tw_val logits);
#define TW_LOSS(name, about, source, parameters)
#define TW_TOKEN_LOSS(name, about, source)                                                                             \
    tw_val tw_token_loss_##name(const tw_model *model, const tw_draws *draws, tw_val xt, tw_val logits);
#include "method/losses.def"

const tw_piece_info *tw_weight_list(int index);

#endif
