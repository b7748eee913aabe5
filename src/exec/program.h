/* exec/program.h - the inside of a program: how a graph becomes stages of row-parallel regions.
 *
 * Every computed node belongs to a region: a set of nodes that share a number of rows R and can be computed for a
 * block of rows [r0, r1) alone. Values that live only inside a region exist for one block at a time, in the running
 * thread's cache-resident scratch memory; sums over rows are accumulated per chunk of blocks and added in a fixed order
 * afterwards. Within a block most instructions go strip by strip of fewer rows, so that what one writes the next finds
 * in its cache; sums of outer products come last and take the whole block, since each pass over their result costs.
 * Blocks and chunks depend on shapes only, so results are the same bits for any number of threads. Regions that do not
 * depend on each other form a stage; the pool joins once per stage, not once per node.
 */
#ifndef TW_EXEC_PROGRAM_H
#define TW_EXEC_PROGRAM_H

#include "cpu/conv.h"
#include "cpu/cpu.h"
#include "cpu/gemm.h"
#include "graph/node.h"

#include <thalweg/exec.h>

/* Where bytes are. Rows of a row-sliced value follow each other at row_bytes; 0: the whole array is meant. */
typedef enum tw_home {
    TW_HOME_NONE,
    TW_HOME_INPUT,   /* caller's array number `index` */
    TW_HOME_OUTPUT,  /* caller's array number `index` */
    TW_HOME_CONST,   /* the program's copy of constants; index -1: made for an instruction, at its offset */
    TW_HOME_GLOBAL,  /* the state's shared arena: outlives its region */
    TW_HOME_LOCAL,   /* the running thread's arena: one strip of rows */
    TW_HOME_BLOCK,   /* the running thread's arena: one block of rows, for the late instructions */
    TW_HOME_PARTIAL, /* accumulator of a sum over rows: in the shared arena, one copy a chunk */
    TW_HOME_PACKED   /* operand number `index` of products or convolutions, packed beforehand: in the shared arena */
} tw_home;

typedef struct tw_place {
    tw_home home;
    int32_t index;
    int64_t offset;      /* bytes */
    int64_t skip;        /* bytes: where a part of a wider last axis begins */
    int64_t row_bytes;   /* how far one row of the region is from the next; 0 for whole arrays */
    int64_t chunk_bytes; /* TW_HOME_PARTIAL: how far one chunk's copy is from the next */
} tw_place;

/* A broadcast as an index map: collapsed dims, outermost first, with the argument's strides in elements. */
typedef struct tw_stretch {
    int rank;
    int64_t dim[TW_MAX_RANK]; /* dim[0] is that of one region row times the rows of a block, filled at run time */
    int64_t stride[TW_MAX_RANK];
} tw_stretch;

/* One instruction of a tile program; operands are registers (slots of the thread's scratch) or memory. */
typedef struct tw_tile_operand {
    int32_t slot;  /* >= 0: register */
    int32_t place; /* >= 0: number in the region's places, element i of the block is element i of the tile run */
    uint8_t size;  /* bytes of an element */
} tw_tile_operand;

typedef void (*tw_line_fn)(const void *x, int64_t m, int64_t n, void *out);

typedef struct tw_tile_inst {
    tw_tile_fn fn;
    tw_line_fn reduce; /* instead: each line of the tile to one element */
    int32_t node;      /* for printing */
    tw_tile_operand dst, arg[3];
} tw_tile_inst;

/* Fills register `slot` from a stretched operand before the instructions of each tile; once when that is the same for
 * all (steady: a number, a short row). */
typedef struct tw_tile_load {
    int32_t slot, place;
    bool steady;
    uint8_t size;
    tw_stretch stretch;
} tw_tile_load;

typedef struct tw_inst_kind tw_inst_kind; /* exec/inst.h */
typedef struct tw_block tw_block;

enum { TW_INST_ARGS = 8 };

typedef struct tw_inst {
    const tw_inst_kind *kind;
    int32_t node;
    int32_t depth;
    tw_place dst, arg[TW_INST_ARGS];
    int32_t places_begin,
        places_count;      /* more places than `arg` holds, among the program's; producers: their results */
    int32_t control;       /* number in the program's controls (control.h) */
    double work;           /* rough number of flops, over all rows */
    int64_t height;        /* rows of products in one row of the region (tokens, pixels); 0: one */
    int64_t scratch_bytes; /* memory of the running thread it needs while it runs */
    uint8_t dtype;
    /* Products: m, n, k, batch of one row of the region (tw_dot). Reductions: m outer, k reduced, n inner elements.
     * Tables: m rows of n elements, k indices a row. Other families: as they say. */
    bool ta, tb;
    int64_t m, n, k, batch;
    int64_t lda; /* products: elements between the rows of A, when it is a part of wider ones; else 0 */
    /* COPY: dims and strides in elements; dim[0] is per row and multiplied by the rows of the block */
    int rank;
    int64_t dim[TW_MAX_RANK], src_stride[TW_MAX_RANK], dst_stride[TW_MAX_RANK];
    int64_t src_offset, dst_offset; /* elements, within a row when the value is sliced */
    double value;
    uint32_t stream;
    void *plan; /* made while compiling, by families that need it */
    /* TILE */
    int64_t per_row; /* elements of a row */
    int64_t line;    /* elements of a line of its reductions: tiles are whole lines; 1 without any */
    int32_t tile_begin, tile_count, load_begin, load_count, slots;
} tw_inst;

typedef struct tw_region {
    int32_t stage;
    int64_t rows;       /* R */
    bool batch;         /* may be run on fewer rows */
    bool sums;          /* holds sums over rows */
    bool pieces;        /* its rows are pieces of whole nodes */
    bool alone;         /* instructions that run programs of their own: on the calling thread, with the pool free */
    int64_t grain;      /* rows of blocks and strips are multiples of it, when not 0 */
    int64_t block_rows; /* rows of a block, the last one of a chunk may be shorter */
    int64_t strip_rows; /* rows the instructions see at a time, but for the last `late` of them: those see the block */
    int32_t late;
    int64_t chunk_rows, chunks;
    int64_t local_bytes;
    int32_t inst_begin, inst_count;
    double work; /* rough number of flops, decides whether the pool is woken */
} tw_region;

/* A finished sum over rows: partial copies of `chunks` chunks to be added into dst. */
typedef struct tw_combine {
    int32_t stage, region;
    tw_place src, dst;
    int64_t elements;
    uint8_t dtype;
} tw_combine;

/* The second operand of products, or the weights of a convolution, packed once before a stage for all its blocks. */
typedef struct tw_prepack {
    const tw_product *product;
    const tw_conv_plan *conv; /* NULL: of products */
    tw_place src;
    int32_t node, stage, last_stage;
    bool tb, constant; /* constant: packed once in a state's life */
    int64_t n, k, offset, bytes;
} tw_prepack;

/* Copies made after the last stage (an output that is an input, a constant, or could not be written in place). */
typedef struct tw_final_copy {
    tw_place src, dst;
    int64_t bytes;
} tw_final_copy;

typedef struct tw_profile tw_profile; /* exec/profile.h */

struct tw_program {
    tw_context *ctx;
    char name[48];
    tw_profile *profile; /* NULL: nothing is measured */
    tw_graph *graph;     /* the lowered graph: composites replaced, dead nodes gone */
    const tw_cpu *cpu;
    const tw_gemm *gemm;
    const tw_product *product[2]; /* of f32, f64 */
    bool bf16;                    /* operands of products in f32 are rounded to bf16 */
    int inputs_count, outputs_count;
    int64_t *input_bytes, *output_bytes;
    int64_t rows; /* row axis, 0: none */
    int32_t stages_count;
    tw_region *regions;
    int32_t regions_count;
    tw_inst *insts;
    int32_t insts_count;
    tw_tile_inst *tiles;
    int32_t tiles_count;
    tw_tile_load *loads;
    int32_t loads_count;
    tw_place *places;
    int32_t places_count;
    tw_combine *combines;
    int32_t combines_count;
    tw_prepack *prepacks;
    int32_t prepacks_count;
    tw_final_copy *finals;
    int32_t finals_count;
    int64_t global_bytes;
    int64_t local_bytes;    /* per thread: largest region */
    int64_t register_bytes; /* per thread: tile registers */
    int64_t scratch_bytes;  /* per thread: the most an instruction asks for */
    tw_program **children;  /* bodies of loops and branches */
    int32_t children_count;
    struct tw_control *controls;
    int32_t controls_count;
    int64_t control_bytes; /* the most a running loop keeps between its steps */
};

/* Constant inputs have other values in the next run than the last one left. */
void tw_state_forget(tw_state *state);
/* Fills a state's scratch memory with NaNs: a program must not read what it has not written (tests). */
void tw_state_poison(tw_state *state);

#endif
