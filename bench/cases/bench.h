/* bench/cases/bench.h - our side of the comparison with PyTorch: one case a process, asked over a pipe.
 *
 * bench_cases CASE prepares a case and answers lines on standard input (main.c); bench/table.py asks it and the peers
 * in turns. Failures end the process with the library's sentence. */
#ifndef BENCH_CASES_H
#define BENCH_CASES_H

#include "base/base.h"
#include "base/file.h"

#include <thalweg/exec.h>
#include <thalweg/flow.h>
#include <thalweg/nn.h>

#include <stdio.h>
#include <stdlib.h>

typedef struct bench {
    tw_context *ctx;
    double flops; /* of one run: products and convolutions only */
    void (*run)(struct bench *b);
    void *state;                   /* of the case */
    struct bench_program *program; /* what it runs, when that is one program: told about by a profile */
    const float *loss;             /* of the last run, or NULL */
} bench;

typedef struct bench_case {
    const char *name;
    void (*prepare)(bench *b, const struct bench_case *c);
    /* read by prepare */
    const char *network; /* kind of the network */
    const char *solver;  /* of adaptive sampling; NULL: dopri5 */
    int batch, width, depth, steps;
    bool low;       /* products in bf16 */
    bool recompute; /* activations on the way back */
} bench_case;

void bench_mlp_step(bench *b, const bench_case *c);
void bench_sample(bench *b, const bench_case *c);     /* fixed steps; adaptive when steps is 0 */
void bench_scalar(bench *b, const bench_case *c);     /* x' = -x, one row */
void bench_likelihood(bench *b, const bench_case *c); /* midpoint */
void bench_sde(bench *b, const bench_case *c);        /* steps of Euler-Maruyama */
void bench_unet_step(bench *b, const bench_case *c);
void bench_unet_forward(bench *b, const bench_case *c);
void bench_unet_jvp(bench *b, const bench_case *c);
void bench_text_step(bench *b, const bench_case *c);
void bench_text_forward(bench *b, const bench_case *c);
void bench_peak(bench *b, const bench_case *c);

/* Ends the process when status is not TW_OK. */
void bench_check(tw_context *ctx, tw_status status);
/* A number in (-1,1) that depends on p and i alone and that the peer computes too (bench/peers/common.py). */
float bench_number(uint32_t p, uint32_t i);

/* --- a program under construction: graph, parameters, arrays behind inputs and outputs --------------------------- */

typedef struct bench_program {
    tw_context *ctx;
    tw_graph *graph;
    tw_params *params;
    tw_val *in, *out;
    const void **from;
    void **to;
    int *over;
    bool low; /* products in bf16 */
    int64_t ins, outs, in_capacity, out_capacity, from_capacity, to_capacity, over_capacity;
    tw_program *program;
    tw_state *state;
} bench_program;

bench_program *bench_program_new(tw_context *ctx);
/* An input with zeroed memory behind it. */
tw_val bench_input(bench_program *p, const char *name, tw_dtype dtype, tw_shape shape, void **out_memory);
/* An input that already is in the graph; returns its number. */
int bench_bind(bench_program *p, tw_val v, const void *memory);
/* A result with memory of its own, or (over >= 0) written over the input of that number. Returns its memory. */
void *bench_output(bench_program *p, tw_val v, int over);
/* Makes every parameter an input; fills them with initial values. Returns the number of the first. */
int bench_bind_parameters(bench_program *p);
void bench_compile(bench_program *p);
void bench_program_run(bench_program *p);
/* Multiply-adds times two of the compiled program's products and convolutions. */
double bench_program_flops(const bench_program *p);

/* --- a training step: draws, loss, gradients, AdamW -----------------------------------------------------------------
 */

typedef struct bench_draws {
    tw_val key, counter;
} bench_draws;
tw_val bench_uniform(const bench_draws *d, uint32_t stream, tw_shape shape);
tw_val bench_normal(const bench_draws *d, uint32_t stream, tw_shape shape);

/* The loss as a scalar; parameters are made at the program's root. */
typedef tw_val (*bench_loss)(bench_program *p, const bench_draws *d, const bench_case *c);
/* Adam with rate 1e-3 and betas 0.9, 0.999 as torch.optim's; weight_decay decoupled. */
void bench_train(bench *b, const bench_case *c, bench_loss loss, double weight_decay);

#endif
