/* thalweg/exec.h - from a graph to a program: planned once, run with no allocation.
 *
 * A program is read-only after compilation and may run on many threads at once, each with its own tw_state. */
#ifndef THALWEG_EXEC_H
#define THALWEG_EXEC_H

#include <thalweg/graph.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct tw_program tw_program;
typedef struct tw_state tw_state;

/* What products (dot_general) and convolutions of f32 values multiply. */
typedef enum tw_products {
    TW_PRODUCTS_F32, /* the values */
    TW_PRODUCTS_BF16 /* the values rounded to bf16 (nearest, ties to even), summed in f32: up to twice as fast where the
                      * processor has instructions for it. f64 products stay as they are; so do convolutions that
                      * no library can do in bf16. */
} tw_products;

typedef struct tw_program_desc {
    const char *name; /* for profiles and dumps, e.g. "training step"; copied, may be NULL */
    int inputs_count;
    const tw_val *inputs;
    int outputs_count;
    const tw_val *outputs;
    /* For each output the number of the input whose buffer it may overwrite (same shape and dtype), or -1.
     * NULL: none. The caller then passes the same pointer for both. */
    const int *overwrites;
    /* Nonzero: axis 0 of this length is the row axis; the program can be run on fewer rows. */
    int64_t rows;
    /* Which inputs have that row axis; NULL: every input whose axis 0 has the length `rows`. Say so when a weight
     * matrix might have as many rows by chance. */
    const bool *row_inputs;
    int64_t block_rows; /* rows a block of work holds; 0: chosen from the memory the block needs */
    tw_products products;
    /* Which inputs hold the same bytes in every run of a state, as weights of a trained network do: what can be
     * prepared of them is, once. With an output that overwrites it: those the last run wrote, as weights under training
     * do. NULL: none. */
    const bool *constants;
    bool unplanned; /* every value gets memory of its own (tests: planned and unplanned must agree) */
} tw_program_desc;

TW_NODISCARD TW_API tw_status tw_program_compile(tw_context *ctx, const tw_program_desc *desc,
                                                 tw_program **out_program);
TW_API void tw_program_destroy(tw_program *program);

/* Bytes a state needs when up to `threads` threads work in it; known before anything runs. */
TW_API size_t tw_program_bytes(const tw_program *program, int threads);
/* The compiled stages as text, to be freed with tw_string_free. */
TW_NODISCARD TW_API tw_status tw_program_print(const tw_program *program, char **out_text);

/* Scratch memory for one running program. threads 0: the context's pool works on each run; 1: runs stay on the
 * calling thread, and several states may run at once from different threads. */
TW_NODISCARD TW_API tw_status tw_state_create(tw_program *program, int threads, tw_state **out_state);
TW_API void tw_state_destroy(tw_state *state);

/* Runs on whole arrays. inputs and outputs are in the order of the description, contiguous, row-major; 64-byte
 * alignment is faster but not needed. rows: 0 or the described count for all, fewer to process the first `rows` rows
 * only. Does not allocate. The same inputs give the same bits for any number of threads. */
TW_NODISCARD TW_API tw_status tw_program_run(tw_state *state, const void *const *inputs, void *const *outputs,
                                             int64_t rows);

#ifdef __cplusplus
}
#endif
#endif
