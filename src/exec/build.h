/* exec/build.h - what the passes of compilation share while a program is being made.
 *
 * lower.c    the graph again, without dead nodes and composites, products in a form GEMM takes
 * regions.c  rows, stages and regions of every node; depths inside a region
 * emit.c     instructions of a region; tile.c those of its elementwise groups
 * plan.c     memory: what lives where, and for how long; in_place.c results in the place of arguments
 */
#ifndef TW_EXEC_BUILD_H
#define TW_EXEC_BUILD_H

#include "exec/program.h"

typedef enum tw_row_kind {
    TW_ROW_SLICED, /* rows of the result need the same rows of some arguments and the whole of others */
    TW_ROW_SUMS,   /* the result sums over the rows of its arguments */
    TW_ROW_WHOLE   /* needs everything at once */
} tw_row_kind;

/* How a node reads one of its arguments, seen through reshapes and broadcasts. */
typedef struct tw_view {
    int32_t source;  /* node that owns the bytes: computed, input or const */
    int32_t stretch; /* broadcast node read as an index map, or -1 */
    int32_t slice;   /* slice of the source's last axis that is read in place, or -1 */
    bool whole;      /* every row of the source may be needed */
} tw_view;

typedef struct tw_value {
    bool computed; /* makes bytes of its own */
    bool in_place; /* a slice that all its readers take from where it lies */
    bool stored;   /* has a place; false inside tile groups */
    bool output;
    bool in_tile; /* a reduction of the last axes that the tile program of its argument does at once */
    bool kept;    /* local, but for the whole block: a late instruction reads it */
    int64_t rows;
    int32_t stage, region, depth;
    bool sums, batch;
    bool pieced;         /* whole, but computed in pieces: what is there before its stage ends is not rows */
    bool alone;          /* runs on the calling thread, in a region of its own kind */
    int32_t uses;        /* reads by computed nodes and outputs */
    int32_t first, last; /* instructions of the region between which a local value lives */
    int32_t host;        /* local value whose place it takes over, or -1 */
    bool hosts;          /* another value takes over its place */
    int32_t until;       /* last instruction of those that share its place */
    int32_t last_stage;
    tw_place place;
} tw_value;

typedef struct tw_build {
    tw_context *ctx;
    tw_program *p;
    tw_graph *g; /* lowered */
    int32_t n;
    tw_val *inputs, *outputs;
    const bool *row_inputs;
    const int *overwrites;
    const bool *constants;
    bool unplanned;
    bool thrifty; /* there are checkpoints: nothing is kept for a whole block so that sums over rows may come late */
    int64_t asked_block_rows;
    int32_t *base;  /* node -> node that owns its bytes (reshape, stop_gradient, barrier) */
    int32_t *after; /* node -> the barrier it reads those bytes through, or -1 */
    tw_value *value;
    int32_t *input_number; /* node -> number of the input, or -1 */
    int64_t regions_capacity, insts_capacity, tiles_capacity, loads_capacity, places_capacity, combines_capacity,
        finals_capacity, prepacks_capacity, controls_capacity, children_capacity;
} tw_build;

TW_NODISCARD tw_status tw_lower(tw_context *ctx, const tw_program_desc *desc, tw_graph **out_graph, tw_val *inputs,
                                tw_val *outputs);
TW_NODISCARD tw_status tw_build_regions(tw_build *b);
TW_NODISCARD tw_status tw_build_storage(tw_build *b); /* homes that need no offsets yet: inputs, outputs, constants */
TW_NODISCARD tw_status tw_emit_region(tw_build *b, int32_t number);
/* nodes: `count` elementwise ones, then `reductions` of their values. */
TW_NODISCARD tw_status tw_emit_tile(tw_build *b, tw_region *region, int32_t count, int32_t reductions,
                                    const int32_t *nodes);
/* Lets results of elementwise programs take over the places of arguments that die there; after live ranges are known.
 */
void tw_share_places(tw_build *b, int32_t number);
/* Offsets of values that took over a place, once those of the others are known. */
void tw_settle_shared(tw_build *b, int32_t number);
TW_NODISCARD tw_status tw_plan_region(tw_build *b, int32_t number);
TW_NODISCARD tw_status tw_plan_global(tw_build *b);

static inline const tw_node *tw_at_id(const tw_build *b, int32_t id)
{
    return &b->g->nodes[id];
}
static inline int64_t tw_last(tw_shape shape)
{
    return shape.rank > 0 ? shape.dim[shape.rank - 1] : 1;
}
static inline int64_t tw_node_size(const tw_build *b, int32_t id)
{
    return tw_shape_size(b->g->nodes[id].shape);
}
static inline int64_t tw_node_bytes(const tw_build *b, int32_t id)
{
    return tw_node_size(b, id) * (int64_t)tw_dtype_size((tw_dtype)b->g->nodes[id].dtype);
}
static inline bool tw_is_elementwise(const tw_build *b, int32_t id)
{
    return (tw_op_table[b->g->nodes[id].op].flags & TW_OPF_ELEMENTWISE) != 0;
}
static inline bool tw_is_leaf(const tw_build *b, int32_t id)
{
    int op = b->g->nodes[id].op;
    return op == TW_OP_input || op == TW_OP_const;
}

/* Elements of the lines of a sum or maximum over the last axes; 0: it is none. */
int64_t tw_line_of(const tw_build *b, int32_t id);

/* How `node` reads argument k. */
tw_view tw_view_of(const tw_build *b, int32_t id, int k);
tw_row_kind tw_row_kind_of(const tw_graph *g, const tw_node *node);
/* A row-sliced reader needs only the same rows of argument k. */
bool tw_row_arg_sliced(const tw_graph *g, const tw_node *node, int k);

/* The shape of a product after lowering: a is (batch, m, k) or (batch, k, m) when ta; b (batch, k, n) or (batch, n, k)
 * when tb. */
typedef struct tw_dot {
    bool ta, tb, regular; /* not regular: needs transposes first */
    int64_t batch, m, n, k;
} tw_dot;
tw_dot tw_dot_of(const tw_graph *g, const tw_node *node);

/* The place of a value as the instructions of `region` see it. */
tw_place tw_place_in(const tw_build *b, const tw_region *region, int32_t source, bool whole);

/* One more place of the program: its number, -1 when memory is out (the sentence is set). */
int32_t tw_new_place(tw_build *b, tw_place place);

/* Work item for the interval packer: bytes live from first to last (inclusive). */
typedef struct tw_lease {
    int64_t bytes, offset;
    int32_t first, last;
    int32_t tag;
} tw_lease;
/* Largest first, lowest gap that fits; returns the bytes needed. Sorts `leases`. */
int64_t tw_pack(int32_t count, tw_lease *leases, bool apart);

#endif
