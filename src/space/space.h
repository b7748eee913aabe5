/* space/space.h - state spaces, and the source distributions p_0 that live on them.
 *
 * A source knows three things: draws inside a training program, draws on the host when sampling (a pure function of
 * seed and row), and its density. */
#ifndef TW_SPACE_SPACE_H
#define TW_SPACE_SPACE_H

#include "nn/piece.h"

typedef struct tw_space {
    tw_piece_info info;
} tw_space;

/* p: the source's parameters. All NULL: points come as rows from outside. */
typedef struct tw_source_rules {
    /* x_0 (rows, columns) of `dtype` from a Philox stream */
    tw_val (*draw)(const double *p, tw_val key, tw_val counter, uint32_t stream, tw_shape shape, tw_dtype dtype);
    /* row `row` of the draws of a seed (columns), whatever other rows are drawn */
    void (*draw_row)(const double *p, uint64_t seed, uint32_t stream, int64_t row, int columns, double *out);
    double (*log_density)(const double *p, int columns, const double *x);
    void (*score)(const double *p, int columns, const double *x, double *out); /* its derivative in x */
    tw_val (*density)(const double *p, tw_val x);                              /* the same as a graph: x (B,D) -> (B) */
    bool independent;                                                          /* columns of each other */
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

const tw_piece_info *tw_space_list(int index); /* NULL past the end; each is the head of a tw_space */
const tw_piece_info *tw_source_list(int index);

#define TW_SOURCE(name, about, source, parameters) extern const tw_source_rules tw_source_##name;
#include "space/sources.def"

#endif
