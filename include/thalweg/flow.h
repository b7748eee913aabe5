/* thalweg/flow.h - the flow object: space, source, path, network and normaliser; sampling, likelihood, save and load.
 *
 * All points cross this interface in the units of the data, as rows of doubles; standardisation is inside. A model is
 * one .safetensors file whose metadata holds everything needed. */
#ifndef THALWEG_FLOW_H
#define THALWEG_FLOW_H

#include <thalweg/data.h>
#include <thalweg/mesh.h>
#include <thalweg/nn.h>
#include <thalweg/solve.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a flow is made of; NULL and 0 mean what the method asks for, else the defaults named. Pieces may carry
 * parameters: "vp:0.1,20" (tw_piece_info). Unknown names are errors that name the nearest right one. */
typedef struct tw_flow_desc {
    const char *method;       /* "fm" (thalweg list methods) */
    const char *space;        /* "euclidean"; a product by its factors' columns, "euclidean*3 + tokens:7*2" */
    const char *source;       /* "normal" */
    const char *path;         /* "affine" */
    const char *schedule;     /* "condot" */
    const char *coupling;     /* "independent" */
    const char *predict;      /* what the network predicts, "velocity" (list predictions) */
    const char *loss;         /* "mse" */
    const char *weight;       /* of the loss over time, "none" */
    const char *time_density; /* of training times, "uniform" */
    const char *gamma;        /* size of the path's own noise, for methods that have it: "none" */
    /* Of products with tokens (method "gm"), for each factor of the space, joined by +: schedules instead of
     * `schedule`, "condot + polynomial:2"; weights of the loss, "1 + 0.5", or "learned", by which each counts as much
     * whatever its size. NULL: the same for all */
    const char *factor_schedules, *factor_weights;
    tw_network_desc network; /* "mlp"; of pictures "patch_unet", of tokens "token_mlp" or "ddit", by their size */
    int columns;             /* dimension D of the data, at least 1 */
    tw_image image;          /* what rows are, when they are pictures of `columns` numbers */
    tw_mesh *mesh;           /* of space "mesh", which the flow shares and a model file holds; NULL of others */
    /* (symbols, width): places of the symbols of tokens, between which path "metric" takes distances, in units of the
     * mean distance of a symbol from its nearest; copied, and a model file holds them. NULL: 0, 1, 2, ... on a line */
    const double *embedding;
    int embedding_symbols, embedding_width;
    const char *const *names;       /* column names, NULL: x1.. */
    const int *decimals;            /* digits written per column, -1 or NULL: all */
    const tw_condition *conditions; /* what the flow is told, copied; tw_dataset_condition */
    int conditions_count;
    uint64_t seed; /* of the initial weights */
} tw_flow_desc;

typedef struct tw_flow tw_flow;

TW_NODISCARD TW_API tw_status tw_flow_create(tw_context *ctx, const tw_flow_desc *desc, tw_flow **out_flow);
TW_API void tw_flow_destroy(tw_flow *flow);

/* Writes the model, whole or not at all. Loading refuses other files, damaged ones and newer formats with a sentence.
 */
TW_NODISCARD TW_API tw_status tw_flow_save(tw_flow *flow, const char *path);
TW_NODISCARD TW_API tw_status tw_flow_load(tw_context *ctx, const char *path, tw_flow **out_flow);

/* What it is made of: every name filled in, with its parameters. Valid as long as the flow. */
TW_API const tw_flow_desc *tw_flow_about(const tw_flow *flow);
TW_API int64_t tw_flow_parameters(const tw_flow *flow);
/* Numbers of a point as the flow moves it: the columns in R^D, other numbers on manifolds (space/space.h). */
TW_API int tw_flow_numbers(const tw_flow *flow);
/* How far rows a (n, columns) of data are from rows b (m, columns), out (n, m): in R^D in standard deviations of the
 * training rows, on a manifold along geodesics, in a product the root of the sum of squares of its factors' distances,
 * on a mesh that of its paths. Fails where a row is no point of the space, and of tokens. */
TW_NODISCARD TW_API tw_status tw_flow_distances(const tw_flow *flow, int64_t n, const double *a, int64_t m,
                                                const double *b, double *out);
/* Whether a column never changed in training: samples hold its value, other values are impossible. */
TW_API bool tw_flow_is_constant(const tw_flow *flow, int column);
/* Training facts kept in the model by name ("steps", "seconds", "loss", "data", "version", "split", ...); NULL when
 * absent. */
TW_API const char *tw_flow_fact(const tw_flow *flow, const char *name);
TW_NODISCARD TW_API tw_status tw_flow_set_fact(tw_flow *flow, const char *name, const char *value);

/* Samplers by index, NULL past the end: multistep rules that use alpha and sigma of an affine path, besides the methods
 * of tw_ode_method_list(). They take steps, step_size or a grid, and reach the end of the path exactly. */
TW_API const tw_ode_method_info *tw_sampler_list(int index);

/* How tokens jump, for flows on spaces "tokens" and "sequences"; zeros mean the defaults in brackets. Sequences take
 * tolerance, temperature, top_k, top_p, and as `known` tokens at their beginning. On a product of numbers and tokens,
 * "euclidean*3 + tokens:7*2", temperature, known columns - numbers among them - and `never` are taken. */
/* What is known about tokens beside a flow of them, for predictor guidance. For rows number row[0].. of a call, x
 * (rows, tokens) at t (rows), masks the number behind the last symbol: out (rows, tokens, symbols) gets log p(y | x_t,
 * x_1^i = k), how likely it is that what is wanted holds when token i ends as k, up to a number of each token;
 * -INFINITY: it cannot. Called by several threads at once; anything but TW_OK ends the sampling with it. */
typedef tw_status (*tw_token_predictor_fn)(void *user, int64_t rows, const int64_t *row, const double *t,
                                           const int32_t *x, float *out);

typedef struct tw_token_options {
    double tolerance; /* of method "euler": every row chooses its steps, so that a token jumps in one with at most this
                         probability, of sequences at most so many edits are expected in one [0: steps as given] */
    double temperature; /* of the probabilities [1] */
    int top_k;          /* only so many symbols, the likeliest [all] */
    double top_p;       /* only the fewest that are together this likely [1] */
    bool argmax;        /* what is left at t = 1 becomes the likeliest symbol */
    /* Tokens are drawn anew, without changing what is sampled, at rate c t^a (1 - t)^b alpha' / (alpha (1 - alpha)):
     * c, a, b (Gat et al. 2024) [0: never] */
    double refresh[3];
    double remask;       /* probability that a token is masked again in a step (Wang et al. 2025, ReMDM) [0] */
    bool stratified;     /* rows share out the numbers they are drawn by: means over rows vary less */
    const double *known; /* (n, columns): tokens that are given, NaN where they are not [none] */
    bool same_known;     /* one row of them for all */
    const int *never;    /* (tokens) of a product: a symbol that each does not become, -1: none [NULL: none] */
    /* Of rows of one length and one alphabet: `predictor_strength` [1] times what it says is added to what the network
     * says of x_1, which at 1 is then the posterior given y, and the chain that of the data for which y holds (Nisonoff
     * et al. 2024, Unlocking guidance for discrete state-space diffusion and flow models). NULL: none */
    tw_token_predictor_fn predictor;
    void *predictor_user;
    double predictor_strength;
    int32_t *edits; /* (n), of sequences: gets how many edits made each [not wanted] */
} tw_token_options;

typedef struct tw_sample_desc {
    tw_ode_desc solver; /* zeros: dopri5 from 0 to 1 at 1e-5; from 1 to 0 it inverts: rows of data (from) become those
                           of the source. method: of tw_ode_method_list() or tw_sampler_list() */
    uint64_t seed;      /* row i of a seed is the same whatever n */
    int frames; /* > 1: also keep `frames` states at equal times from source to data; the solver stops at each of them
                 */
    bool double_precision; /* evaluate the network in f64 */
    const char *grid; /* times at which the steps end, solver.steps of them (thalweg list grids); NULL: equal steps */
    /* What each row is told: (n, conditions_count), or one row for all; the number of a class, or a number in data
     * units, NaN: nothing. NULL: nothing at all. */
    const double *conditions;
    bool same_conditions; /* one row for all */
    /* w of guidance, u + w (u - worse): away from the flow told nothing (classifier-free) or from `guide`, a worse
     * model told the same (autoguidance; same columns, units, source and schedule). 0: off. Often written s = 1 + w. */
    double guidance;
    const char *guidance_kind; /* how the two are combined, and when (list guidances); NULL: "cfg" */
    const tw_flow *guide;      /* NULL: none */
    const double *from;        /* (n, columns): begin at these rows, in data units, instead of at draws of the source */
    /* (columns): which of them stand still from beginning to end, as `from` has them, while the others move
     * (in-painting; Janner et al. 2022, Planning with diffusion). It means the others given these to a flow that
     * learned from pairs which have them in common (coupling "given"). For methods of tw_ode_method_list() along the
     * trained schedule, without diffusion or log-densities; `from` is then not where samples go. NULL: none */
    const bool *held;
    const char *schedule; /* go along another schedule than the trained one, to the same distribution; NULL: that one */
    /* Sample with noise, by dx = (u + w/2 s) dt + sqrt(w) dW with the score s: w by name and scale (list diffusions),
     * "sigma", "constant:0.5", ...; the same distribution whatever w. Methods are then those of tw_sde_method_list()
     * (NULL: "heun"), for steps, step_size (100 steps) or tolerances, and from t0 < t1 only. NULL: without. w is
     * lowered where a step (of 100, with tolerances) could not resolve it: near the data, where what is left of the
     * source is less than noise. */
    const char *diffusion;
    double *log_prob; /* (steps, n), with diffusion and method "euler": log-density of every step, in normalised units;
                         with frames, steps are rounded up to a multiple of frames - 1. NULL: not wanted */
    /* How divergences are found: 0 exactly, by D tangents a row; else Hutchinson's estimate from so many random signs a
     * row, unbiased and the same for a whole solve (Grathwohl et al. 2019, FFJORD, eq. 7). */
    int probes;
    const char *probe_kind; /* "signs", "gaussian", new ones at every time by "signs:fresh=1" (thalweg list probes), for
                               solvers with fixed steps, over which they average; NULL: "signs" */
    const tw_token_options *tokens; /* for flows of tokens; NULL: the defaults */
    /* Of a method with jumps (thalweg list methods: jump): their share, 0..1, the rest is the flow's; 0: the flow
     * alone. Any share has the same distribution. Above 0 rows go by solver.steps (100) of "euler" from draws of the
     * source, and have no density found on the way; that of tw_log_density is the flow's. */
    double jumps;
    double *log_density; /* (n), tw_sample: the log-density of each sample in data units, found on the way; NULL */
    /* with frames: called when all rows have come to number `frame` of them, which is in out_frames then */
    void (*on_frame)(void *user, int frame);
    /* called between blocks with rows done, once around for every frame; non-zero stops with TW_ERR_CANCELLED */
    int (*on_progress)(void *user, int64_t done, int64_t total);
    void *user;
} tw_sample_desc;

/* Samplers of tokens by index, NULL past the end. */
TW_API const tw_piece_info *tw_token_solver_list(int index);

/* Draws n rows: out (n, columns) caller's memory. out_frames (frames, n, columns) only when desc->frames > 1. The same
 * bits for any number of threads. A flow of tokens takes 128 steps of "euler" unless told (tw_token_solver_list); rows
 * that stop before t = 1 may hold masks, the number behind the last symbol. */
TW_NODISCARD TW_API tw_status tw_sample(tw_flow *flow, int64_t n, const tw_sample_desc *desc, double *out,
                                        double *out_frames, tw_ode_stats *out_stats);

/* What rows of data are made into by tw_flow_edit. */
typedef struct tw_flow_edit_desc {
    /* Told on the way forth: (n, conditions_count) or one row for all, as in tw_sample_desc. */
    const double *conditions;
    bool same_conditions;
    double share; /* until this time on that way, 0 to 1, attention takes its values from the row as it was [never] */
    int share_layers; /* in the last so many layers of attention [all] */
} tw_flow_edit_desc;

/* Edits rows of data, desc->from (n, columns), that are what desc->conditions say: each goes back to the source told
 * this, and forth told edit->conditions, both ways by the solver and grid of desc, whose times are left 0; guidance is
 * that of the way forth. Out (n, columns). With edit->share, for flows whose network has attention, a row keeps its
 * composition: the network sees at each time the row as it was there and hands the values of its attention, not its
 * scores, to the edited one (Wang, Pu, Qi, Guo, Ma, Huang, Chen, Li, Shan 2024, Taming rectified flow for inversion and
 * editing, RF-Edit, where N of so many steps are shared and here a part of the time). Such an evaluation costs two;
 * no features are stored, so every solver will do and memory is that of two states. Told the same, rows come back as
 * far as the solver is exact, whatever is shared. Of desc, diffusion, frames, log_density, held and tokens are refused.
 */
TW_NODISCARD TW_API tw_status tw_flow_edit(tw_flow *flow, int64_t n, const tw_sample_desc *desc,
                                           const tw_flow_edit_desc *edit, double *out, tw_ode_stats *out_stats);

/* `between` points on the way from each of `rows` points of the source to the next, the points themselves included: out
 * ((rows - 1) (between + 1) + 1, columns), which may not be `points`. Both as tw_sample has them going back and as
 * `from`: in data units. Along the sphere for a normal source, on a manifold along its geodesics,
 * else straight; there is nothing between two tokens. */
TW_NODISCARD TW_API tw_status tw_interpolate(tw_flow *flow, int64_t rows, const double *points, int64_t between,
                                             double *out);

/* Log-density (nats, in data units) of rows x (n, columns) by the instantaneous change of variables (Chen et al. 2018,
 * eq. 8), with exact divergence - all D tangents of a row in one forward-mode sweep - or an estimate (desc->probes).
 * With solver.t1 < 1 the density of the flow at that time. Of tokens and sequences: an estimate of a bound from
 * below on the log-probability, by solver.steps times drawn a row (0: 64); of sequences, of the chain in continuous
 * time whose rates stop growing when a thousandth is left to do. out (n): -INFINITY where the way back leads beyond a
 * million standard deviations and the solver gives up, as it can for rows unlike all that was seen in training. */
TW_NODISCARD TW_API tw_status tw_log_density(tw_flow *flow, int64_t n, const double *x, const tw_sample_desc *desc,
                                             double *out, tw_ode_stats *out_stats);

/* u_t(x) in normalised coordinates, (n, tw_flow_numbers) each; t (n); schedule, conditions, guidance and precision of
 * desc, which may be NULL. For tests and studies. */
TW_NODISCARD TW_API tw_status tw_velocity(tw_flow *flow, int64_t n, const double *t, const double *x,
                                          const tw_sample_desc *desc, double *out);

/* Pieces a flow can be made of: kind "methods", "spaces", "sources", "paths", "schedules", "couplings", "predictions",
 * "losses", "weights", "time-densities", "gammas", "grids", "diffusions", "probes", "guidances", "inverses",
 * "operators", "networks", "architectures". NULL past the end, and for another kind. */
TW_API const tw_piece_info *tw_piece_list(const char *kind, int index);

#ifdef __cplusplus
}
#endif
#endif
