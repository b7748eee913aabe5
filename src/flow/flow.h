/* flow/flow.h - the inside of a flow: pieces by name, weights, normaliser, facts, and programs compiled when first
 * needed. */
#ifndef TW_FLOW_FLOW_H
#define TW_FLOW_FLOW_H

#include "base/base.h"
#include "data/normaliser.h"
#include "flow/condition.h"
#include "flow/guidance.h"
#include "flow/mixture.h"
#include "flow/pieces.h"
#include "flow/probe.h"
#include "method/method.h"

#include <thalweg/exec.h>
#include <thalweg/flow.h>

enum { TW_FLOW_FORMAT_VERSION = 2, TW_FLOW_MAX_COLUMNS = 65536 };

typedef struct tw_fact {
    char *name, *value;
} tw_fact;

/* What a program computes beside u (rows,D). */
typedef enum tw_flow_second {
    TW_FLOW_ALONE,
    TW_FLOW_DIVERGENCE,   /* (rows) */
    TW_FLOW_SCORE,        /* (rows,D) */
    TW_FLOW_SHARED,       /* nothing: u of two rows side by side, (rows,2D) told (rows,2K), where the network takes the
                             values of its attention for the first from the second (flow/editing.c) */
    TW_FLOW_PUSH,         /* in place of u, from one more input v (rows,D): du/dx v (rows,D) */
    TW_FLOW_PUSH_DENSITY, /* and of div u (rows) */
    TW_FLOW_PULL,         /* in place of u, from one more input w (rows,D): w' du/dx (rows,D) */
    TW_FLOW_PULL_ALL,     /* likewise, and w' du/dtheta summed over the rows for every parameter */
    TW_FLOW_PULL_DENSITY, /* the two of (u, div u) in place of u: w (rows,D+1), whose last is the divergence's */
    TW_FLOW_PULL_DENSITY_ALL,
    TW_FLOW_SECONDS
} tw_flow_second;
static inline bool tw_flow_pushes(tw_flow_second second)
{
    return second == TW_FLOW_PUSH || second == TW_FLOW_PUSH_DENSITY;
}
static inline bool tw_flow_pulls(tw_flow_second second)
{
    return second >= TW_FLOW_PULL;
}
static inline bool tw_flow_pulls_weights(tw_flow_second second)
{
    return second == TW_FLOW_PULL_ALL || second == TW_FLOW_PULL_DENSITY_ALL;
}
static inline bool tw_flow_diverges(tw_flow_second second) /* the state has a column for the divergence's integral */
{
    return second == TW_FLOW_DIVERGENCE || second == TW_FLOW_PUSH_DENSITY || second >= TW_FLOW_PULL_DENSITY;
}

/* u(x,t) and what is wanted beside it, in f32 or f64, for blocks of `rows` rows. Inputs: the parameters, then x
 * (rows,numbers), t (rows) and, when there are, conditions (rows,told). */
typedef struct tw_flow_program {
    tw_graph *graph;
    tw_params *params, *guide_params; /* of the guide, NULL: none */
    tw_program *program;
    int64_t rows;
    int numbers, told; /* of a row: D and K, or twice as many */
    tw_flow_second second;
    bool wide;
    void *weights, *guide_weights; /* copies in double when wide */
    const void **inputs;           /* parameters in place, those behind them left to the caller */
    int inputs_count, outputs_count;
    struct tw_crew *crew; /* threads that run it (flow/crew.h), NULL until needed */
} tw_flow_program;

/* What guidance leads away from, as programs know it; it may be gone, or another, when next asked for. */
typedef struct tw_flow_guide {
    const tw_flow *flow; /* NULL: none */
    const float *weights;
    uint64_t checksum;
} tw_flow_guide;

struct tw_flow {
    tw_context *ctx;
    tw_flow_desc desc; /* every name filled in, texts of the pieces; names and decimals owned */
    tw_piece piece[TW_PIECE_COUNT];
    tw_space space;          /* of the columns: states are rows of space.numbers */
    tw_premetric *premetric; /* of paths on its mesh, desc.mesh; NULL: none */
    tw_piece other_schedule; /* sampled with instead of the trained one; info NULL: none */
    tw_guidance guidance;    /* solved with */
    tw_flow_guide guide;
    const tw_mixture *mixture; /* its velocity instead of the network's, NULL: none */
    tw_probes probes;          /* of the divergence */
    float *moving;             /* (columns): 0 of those that are held, else 1; NULL: all move */
    int shared_layers;         /* of attention, the last ones, 0: all; of TW_FLOW_SHARED */
    const tw_method *method;
    tw_model model;  /* without the network, which needs a graph: tw_flow_model */
    tw_graph *graph; /* the network once, for the layout of its parameters */
    tw_params *params;
    float *weights; /* averaged weights, flat, 64-byte aligned */
    tw_normaliser normaliser;
    int *constant; /* per column: 1 when it never changed in training. The network sees noise there, samples hold its
                      value, and the density is that of the other columns */
    tw_fact *facts;
    int64_t facts_count, facts_capacity;
    tw_token_path tokens;                         /* of a flow of tokens: flow/jumping.h */
    tw_piece *factor_schedule;                    /* (factors of the space) of products, NULL: one for all */
    double *factor_weight;                        /* likewise, of their losses */
    double *token_distance;                       /* of its path, NULL: a mixture */
    tw_edit_path edits;                           /* of a flow of sequences, likewise */
    struct tw_token_crew *token_crew;             /* NULL until needed */
    tw_flow_program *program[TW_FLOW_SECONDS][2]; /* [second][wide], NULL until needed */
    double *curve_step, *curve_loss;              /* of the last training */
    int64_t curve_count;
};

/* Ties a model's network to the parameters of a graph. */
typedef struct tw_flow_binding {
    tw_params *params;
    const tw_flow *flow;
    tw_val condition;              /* features (B, width), TW_NONE: none */
    struct tw_flow_binding *guide; /* NULL: none */
} tw_flow_binding;
/* The flow's pieces with a network whose parameters are made in `binding`, which must outlive the model. */
tw_model tw_flow_model(const tw_flow *flow, tw_flow_binding *binding);

/* A flow without weights (NULL): what loading fills. */
TW_NODISCARD tw_status tw_flow_create_empty(tw_context *ctx, const tw_flow_desc *desc, tw_flow **out_flow);
TW_NODISCARD tw_status tw_flow_alloc_weights(tw_flow *flow);

/* The schedule solvers go by: the one trained, or another (NULL: the trained one), for which the programs are made
 * anew. */
TW_NODISCARD tw_status tw_flow_use_schedule(tw_flow *flow, const char *schedule);
const tw_schedule *tw_flow_schedule(const tw_flow *flow);
/* Where the flow can be solved along it: [0,1] but for ends that tw_prediction_interval leaves out. A source point
 * begins there as sigma(low) times itself. */
void tw_flow_interval(const tw_flow *flow, double *out_low, double *out_high);
/* The guidance of desc that programs are made with; they are made anew when it changes. */
TW_NODISCARD tw_status tw_flow_use_guidance(tw_flow *flow, const tw_sample_desc *desc);
/* Probes of the divergence, likewise. */
TW_NODISCARD tw_status tw_flow_use_probes(tw_flow *flow, const tw_sample_desc *desc);
/* Columns that are held (NULL: none), likewise. */
TW_NODISCARD tw_status tw_flow_use_held(tw_flow *flow, const bool *held);
/* What the network of `whose`, the flow or its guide, says of points, as a graph. */
typedef tw_val (*tw_flow_answer)(const tw_flow *flow, const tw_flow *whose, const tw_model *model, tw_val x, tw_val t);
/* The flow's answer (B,D), led away from a worse one as flow->guidance says. */
tw_val tw_flow_guided(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t, tw_flow_answer of);
/* A guide's network in the graph of the flow's own, told the same (raw conditions, TW_NONE: none) or, when it was
 * trained so, nothing. */
TW_NODISCARD tw_status tw_flow_bind_guide(const tw_flow *guide, tw_graph *graph, tw_dtype dtype, tw_val condition,
                                          tw_flow_binding *out_binding, tw_params **out_params);
/* Points the parameter inputs of a program at a flow's weights, or at a copy in double, which is then the caller's. */
TW_NODISCARD tw_status tw_flow_bind_weights(const tw_flow *flow, const tw_params *params, bool wide, void **copy,
                                            const void **inputs);
/* Velocity and score along it, as graphs: what programs are made from. */
tw_val tw_flow_velocity(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t);
tw_val tw_flow_score(const tw_flow *flow, const tw_model *model, tw_val x, tw_val t);
/* Of two rows side by side, x (B,2D): the first as the flow is solved with, by values of attention of the second, which
 * is told `told` (features) and not guided. */
tw_val tw_flow_shared_velocity(const tw_flow *flow, const tw_model *model, tw_val told, tw_val x, tw_val t);

/* Fails where `what` is for flows on R^D only, and this one is not. */
TW_NODISCARD tw_status tw_flow_need_flat(const tw_flow *flow, const char *what);

/* Takes n states, as the source draws them, to the data's end, in place; of desc what tw_sample reads but
 * frames, grid, from and diffusion. */
TW_NODISCARD tw_status tw_flow_carry(tw_flow *flow, const tw_sample_desc *desc, int64_t n, double *rows);

TW_NODISCARD tw_status tw_flow_program_get(tw_flow *flow, tw_flow_second second, bool wide,
                                           tw_flow_program **out_program);
/* To be called when weights change. */
void tw_flow_programs_drop(tw_flow *flow);

#endif
