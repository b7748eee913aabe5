/* space/space.h - state spaces: products of factors, each a manifold whose points are written in columns of the data in
 * a form of its own; and the source distributions p_0 that live on them.
 *
 * A row of data (columns) becomes a state (numbers), the network sees features of it and its outputs become a tangent
 * vector (numbers again). On R^D all four are the same D numbers, and `flat` says so: nothing is computed then. */
#ifndef TW_SPACE_SPACE_H
#define TW_SPACE_SPACE_H

#include "space/fold.h"
#include "space/manifold.h"
#include "space/premetric.h"

typedef struct tw_factor tw_factor;

/* How a factor's points are written. */
typedef struct tw_form {
    /* False where the columns are no point; the numbers are then any. */
    bool (*read)(const tw_factor *f, const double *columns, double *out);
    void (*write)(const tw_factor *f, const double *x, double *out_columns);
    const char *expected; /* of columns that are read, for a sentence */
    bool joint;           /* columns make a point together only: rounded one by one they may be none */
} tw_form;

struct tw_factor {
    tw_manifold manifold;
    const tw_form *form;
    int column, columns; /* the first one and how many, likewise */
    int number, numbers;
    int features;
    int output, outputs;
    bool swapped;                  /* latitude comes before longitude */
    int symbols;                   /* of tokens: how many there are; 0 of others */
    bool ragged;                   /* and rows of different lengths, filled up with the number behind the last symbol */
    double period, low;            /* of angles and boxes: they go from low to low + period */
    tw_fold fold;                  /* the part of the manifold that points are in */
    bool chart;                    /* Euclidean numbers that are no columns: not standardised */
    bool surface;                  /* of a mesh: Euclidean numbers that are on it, */
    const tw_mesh *mesh;           /* the mesh; NULL until tw_space_on_mesh */
    const tw_premetric *premetric; /* the distance of its paths; NULL: none */
    int waves;                     /* octaves of sines of coordinates that the network sees beside them */
    int harmonics;                 /* of angles: sines and cosines up to how many times them it sees */
};

/* Whether each of its columns is a point of its own, and not all together one. */
static inline bool tw_factor_is_apart(const tw_factor *f)
{
    return f->manifold == TW_MANIFOLD_torus || (f->manifold == TW_MANIFOLD_euclidean && !f->chart);
}

typedef struct tw_space {
    bool flat; /* R^D, without a factor */
    int count;
    tw_factor *factor; /* side by side in columns, numbers, features and outputs */
    int columns, numbers, features, outputs, dims;
    int symbols; /* of tokens, whose points do not move but jump: path/token_path.h; 0: of others */
    int moving;  /* factors that move, which come first; in a product there may be tokens behind them */
    bool ragged; /* and rows of different lengths, whose points are edited: path/edit_path.h */
} tw_space;

/* Whether numbers that move and tokens that jump are side by side, or tokens of several alphabets. */
static inline bool tw_space_is_mixed(const tw_space *space)
{
    return space->symbols == 0 && space->moving < space->count;
}
/* Whether a factor is a simplex, as roots of shares; whether all are. */
static inline bool tw_factor_is_shares(const tw_factor *f)
{
    return f->manifold == TW_MANIFOLD_sphere && f->fold == TW_FOLD_POSITIVE;
}
bool tw_space_is_shares(const tw_space *space);
/* The factors that move as a space of their own; it lives as long as the whole. */
tw_space tw_space_of_moving(const tw_space *space);
/* One factor as a space of its own: `room`, which it takes, lives as long. */
tw_space tw_space_of_factor(const tw_factor *factor, tw_factor *room);
/* Reads the piece of a space, "torus:360,0" or a product of such with their columns, "euclidean*3 + tokens:7*2". */
TW_NODISCARD tw_status tw_space_piece_read(tw_context *ctx, const char *text, tw_piece *out_piece);

/* The space of a piece for these columns; names (NULL: none) may tell what they are. Errors say which columns it
 * takes. */
TW_NODISCARD tw_status tw_space_make(tw_context *ctx, const tw_piece *piece, int columns, const char *const *names,
                                     tw_space *out_space);
/* The mesh of a space 'mesh' and the distance of its paths (NULL: none), which must outlive it. */
void tw_space_on_mesh(tw_space *space, const tw_mesh *mesh, const tw_premetric *premetric);
/* Room for two sequences beside each other in a state of ragged rows: an alignment may need as much. */
void tw_space_widen(tw_space *space);
void tw_space_free(tw_context *ctx, tw_space *space);
const tw_piece_info *tw_space_list(int index); /* NULL past the end */

/* Standardising is for Euclidean columns: shift and scale (columns) of the others become 0 and 1. */
void tw_space_keep_units(const tw_space *space, double *shift, double *scale);

/* --- on the host, a row at a time; of spaces that are not flat --------------------------------------------------- */
/* False where a factor's columns are no point of it: *out_factor. */
bool tw_space_read(const tw_space *space, const double *columns, double *out, const tw_factor **out_factor);
/* The same where columns may be missing (NaN): all numbers of such a factor are NaN, too. */
bool tw_space_read_known(const tw_space *space, const double *columns, double *out, const tw_factor **out_factor);
/* The sentence of it: row number `row` (from 0; below: a row of no number the caller knows) of columns called `names`.
 */
tw_status tw_space_refuse(tw_context *ctx, const tw_factor *factor, int64_t row, const double *columns,
                          const char *const *names);
void tw_space_write(const tw_space *space, const double *x, double *out_columns);
/* As those of space/manifold.h, factor by factor; the distance is the root of the sum of squares. */
void tw_space_exp(const tw_space *space, const double *x, const double *v, double *out);
void tw_space_log(const tw_space *space, const double *x, const double *y, double *out);
void tw_space_project(const tw_space *space, const double *x, double *out);
void tw_space_pull(const tw_space *space, const double *x, const double *v, const double *z, const double *k,
                   double *out);
double tw_space_distance(const tw_space *space, const double *x, const double *y);

/* --- on a graph: rows (B,numbers); of a flat space what they are given ------------------------------------------- */
tw_val tw_space_project_rows(const tw_space *space, tw_val x);
tw_val tw_space_features(const tw_space *space, tw_val x);            /* (B,features) */
tw_val tw_space_lift(const tw_space *space, tw_val x, tw_val output); /* (B,outputs) -> tangent at x (B,numbers) */
/* A tangent vector as numbers whose squares add up to the metric's. */
tw_val tw_space_frame(const tw_space *space, tw_val x, tw_val v);
/* What a divergence of numbers, sum du_i / dx_i, lacks of that of the volume, u . grad log(volume of dx) (B); TW_NONE:
 * nothing. */
tw_val tw_space_compression(const tw_space *space, tw_val x, tw_val u);
/* A share (B,1) of the way from x0 to x1 on the shortest geodesic. */
tw_val tw_space_between(const tw_space *space, tw_val x0, tw_val x1, tw_val share);
/* Whether points can be spread: not those of meshes, nor tokens. */
bool tw_space_spreads(const tw_space *space);
/* Where geodesics from x lead whose velocities are z (B,numbers) in a frame of unit vectors there: normal numbers make
 * a wrapped normal distribution about x. */
tw_val tw_space_spread(const tw_space *space, tw_val x, tw_val z);

/* --- sources ----------------------------------------------------------------------------------------------------- */

/* p: the source's parameters. All NULL: points come as rows from outside. */
typedef struct tw_source_rules {
    /* On R^D. x_0 (rows, columns) of `dtype` from a Philox stream */
    tw_val (*draw)(const double *p, tw_val key, tw_val counter, uint32_t stream, tw_shape shape, tw_dtype dtype);
    /* row `row` of the draws of a seed (columns), whatever other rows are drawn */
    void (*draw_row)(const double *p, uint64_t seed, uint32_t stream, int64_t row, int columns, double *out);
    double (*log_density)(const double *p, int columns, const double *x);
    void (*score)(const double *p, int columns, const double *x, double *out); /* its derivative in x */
    tw_val (*density)(const double *p, tw_val x);                              /* the same as a graph: x (B,D) -> (B) */
    bool independent;                                                          /* columns of each other */
    bool whole;                                                                /* parameters are whole numbers */
    bool tokens;                                                               /* draws tokens, too */
    bool simplex;                                                              /* of simplices alone */
    /* On a factor: where standard normal z, as many numbers as a point has, lead; and the density there. */
    void (*place)(const double *p, const tw_factor *f, const double *z, double *out);
    tw_val (*place_rows)(const double *p, const tw_factor *f, tw_val z);
    double (*factor_log_density)(const double *p, const tw_factor *f, const double *x);
} tw_source_rules;

typedef struct tw_source {
    tw_piece_info info;
    const tw_source_rules *rules;
} tw_source;

/* A source with its parameters settled, as a flow has it: read with tw_source_list. */
static inline const tw_source_rules *tw_source_rules_of(const tw_piece *source)
{
    return ((const tw_source *)source->info)->rules;
}
static inline tw_val tw_source_draw(const tw_piece *source, tw_val key, tw_val counter, uint32_t stream, tw_shape shape,
                                    tw_dtype dtype)
{
    return tw_source_rules_of(source)->draw(source->value, key, counter, stream, shape, dtype);
}
static inline void tw_source_row(const tw_piece *source, uint64_t seed, uint32_t stream, int64_t row, int columns,
                                 double *out)
{
    tw_source_rules_of(source)->draw_row(source->value, seed, stream, row, columns, out);
}
static inline double tw_source_log_density(const tw_piece *source, int columns, const double *x)
{
    return tw_source_rules_of(source)->log_density(source->value, columns, x);
}
static inline tw_val tw_source_density(const tw_piece *source, tw_val x)
{
    return tw_source_rules_of(source)->density(source->value, x);
}

/* Whether a source has draws on a space at all (else it is rows from outside, or lives elsewhere). */
bool tw_space_draws(const tw_space *space, const tw_piece *source);
/* The same on any space: (rows, numbers); one row; with respect to the volumes of the factors. */
tw_val tw_space_draw(const tw_space *space, const tw_piece *source, tw_val key, tw_val counter, uint32_t stream,
                     int64_t rows, tw_dtype dtype);
void tw_space_draw_row(const tw_space *space, const tw_piece *source, uint64_t seed, uint32_t stream, int64_t row,
                       double *out);
double tw_space_log_density(const tw_space *space, const tw_piece *source, const double *x);

/* The origin of a factor (space/wrapped.c), as rows (B,numbers) like others, and what numbers of a tangent vector are
 * divided by for its length to be theirs. */
tw_val tw_factor_origin_rows(const tw_factor *factor, tw_val like);
double tw_factor_unit(const tw_factor *factor);

/* The share of standard normal numbers that are below z, uniform for such a z; and standard exponential numbers by it,
 * elementwise. */
double tw_normal_share(double z);
tw_val tw_normal_share_rows(tw_val z);
tw_val tw_exponential_rows(tw_val z);

const tw_piece_info *tw_source_list(int index);

#define TW_SOURCE(name, about, source, parameters) extern const tw_source_rules tw_source_##name;
#include "space/sources.def"

#endif
