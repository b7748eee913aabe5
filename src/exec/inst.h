/* exec/inst.h - what the families of instructions (op_*.c) share: the table of ops, emitting, and what a running
 * instruction sees.
 *
 * An op is one row of tw_exec_table (ops.c): how its rows depend on those of its arguments, and the function that emits
 * its instructions. An instruction carries a pointer to its kind: name, function, what it costs. Adding one is a file
 * of its own and a row of the table. */
#ifndef TW_EXEC_INST_H
#define TW_EXEC_INST_H

#include "base/text.h"
#include "exec/build.h"

#include <string.h>

/* A block of rows being worked on, as an instruction sees it. */
struct tw_block {
    const tw_program *p;
    const tw_region *region;
    int64_t row, rows, chunk; /* of a strip, or of the block for late instructions */
    int64_t block_row;        /* first row of the block */
    bool first;               /* of its chunk: sums start here */
    const void *const *in;
    void *const *out;
    unsigned char *global, *local, *registers;
    void *scratch; /* as many bytes as the instruction asked for, 64-byte aligned */
    unsigned char **pointer;
    tw_state *const *children; /* of the program's children, one running at a time */
    unsigned char *control;    /* what the loop at hand keeps between its steps */
};

/* The address of a place for this block. */
void *tw_block_at(const tw_block *b, const tw_place *place);

struct tw_inst_kind {
    const char *name;
    void (*run)(const tw_block *b, const tw_inst *inst);
    void (*print)(const tw_inst *inst, tw_text *text); /* numbers worth showing; may be NULL */
    void (*destroy)(tw_context *ctx, tw_inst *inst);   /* of what `plan` holds; may be NULL */
    bool light; /* bound by memory: blocks of a region of only such are sized by cache */
};

extern const tw_inst_kind tw_tile_kind;

/* --- the table: one row an op; elementwise ops are sliced and become tile programs without one --- */

typedef struct tw_exec_op {
    tw_row_kind (*rows)(const tw_graph *g, const tw_node *node); /* NULL: row-sliced */
    bool (*sliced)(const tw_graph *g, const tw_node *node,
                   int k); /* needs only the same rows of argument k; NULL: of all */
    /* pieces, at least 1, in which a whole node can be computed by different threads: the rows of its region */
    int64_t (*pieces)(const tw_graph *g, const tw_node *node);
    /* can read argument k in place when it is (a reshape of) this slice of a wider last axis; NULL: never */
    bool (*strided)(const tw_graph *g, const tw_node *node, int k, const tw_node *slice);
    tw_status (*emit)(tw_build *b, tw_region *region, int32_t node); /* NULL: no instruction of its own */
    bool late;  /* its sums over rows want many rows at a time: they run once a block, after all else */
    bool alone; /* not by a thread of the pool: it needs the pool, or an order */
    bool tile;  /* a composite that is one instruction of tile programs */
    bool (*keeps)(const tw_draft *draft); /* composites with an instruction: for such arguments; NULL: for all */
} tw_exec_op;

extern const tw_exec_op tw_exec_table[TW_OP_COUNT];

/* True when a composite has an instruction for such arguments and needs not be replaced by its body. */
bool tw_exec_keeps(const tw_draft *draft);

static inline bool tw_is_late(const tw_build *b, int32_t id)
{
    return !b->thrifty && b->value[id].sums && tw_exec_table[tw_at_id(b, id)->op].late;
}

tw_row_kind tw_rows_whole(const tw_graph *g, const tw_node *node);
bool tw_sliced_none(const tw_graph *g, const tw_node *node, int k);

/* --- emitting --- */

/* A new instruction at the end of the region, its result placed; NULL when memory is out (the sentence is set). */
tw_inst *tw_new_inst(tw_build *b, tw_region *region, int32_t node, const tw_inst_kind *kind);
/* Where the instructions of `region` find argument k of `node`. */
tw_place tw_arg_place(const tw_build *b, const tw_region *region, int32_t node, int k);
/* Strides of a contiguous array, in elements. */
void tw_contiguous(tw_shape shape, int64_t *stride);
/* An instruction of a producer: places of its arguments, then of its results (control.h). */
tw_status tw_emit_producer(tw_build *b, tw_region *region, int32_t id, const tw_inst_kind *kind,
                           struct tw_control **out_control);
/* The node that is written over input `number`, or -1. */
int32_t tw_writer_over(const tw_build *b, int number);
/* Instructions that pack the rows of a constant input anew (op_product.c) as `writer`, which is written over it, makes
 * them. */
tw_status tw_emit_packing(tw_build *b, tw_region *region, int32_t writer);
/* Elements of the axes before, in and after the run of axes in `mask`. */
void tw_split_axes(tw_shape shape, uint32_t mask, int64_t *outer, int64_t *middle, int64_t *inner);

/* What an instruction does, in a line without places or node numbers: equal work is described alike. */
void tw_inst_describe(const tw_program *p, const tw_inst *inst, tw_text *text);

/* --- running --- */

/* dst[0..n) = the value of `size` bytes */
void tw_fill(void *dst, const void *value, int64_t n, size_t size);

#endif
