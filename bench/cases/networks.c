/* bench/cases/networks.c - images and tokens: training steps, forward passes, a forward derivative. Images and tokens
 * are synthetic: only speed is asked. */
#include "bench.h"

#include "graph/node.h"
#include "nn/network.h"
#include "nn/transformer.h"
#include "nn/unet.h"

#include <string.h>

/* --- images: the UNets of torchcfm's MNIST and CIFAR-10 examples ------------------------------------------------- */

static const tw_unet_desc mnist = {
    .width = 32, .levels = 3, .mult = {1, 2, 2}, .attend = {true}, .blocks = 1, .heads = 1};
static const tw_unet_desc cifar = {
    .width = 128, .levels = 4, .mult = {1, 2, 2, 2}, .attend = {false, true}, .blocks = 2, .head_channels = 64};

static bool is_cifar(const bench_case *c)
{
    return strcmp(c->network, "cifar") == 0;
}

static tw_shape image_shape(const bench_case *c)
{
    return is_cifar(c) ? tw_shape_of(c->batch, 32, 32, 3) : tw_shape_of(c->batch, 28, 28, 1);
}

/* The networks of images by name; our own is as large as it comes. */
static tw_val unet(tw_scope root, const bench_case *c, tw_val x, tw_val t)
{
    tw_network_desc ours = {.kind = "patch_unet", .image = {28, 28, 1}};
    if (c->recompute) tw_params_train(root.params, (tw_training){TW_NONE, TW_NONE, true});
    if (strcmp(c->network, "patch") == 0) {
        bench_check(x.graph->ctx, tw_network_complete(x.graph->ctx, &ours, &ours));
        return tw_network_patch_unet(root, &ours, x, t, TW_NONE, 1);
    }
    return tw_unet(root, is_cifar(c) ? &cifar : &mnist, x, t, TW_NONE, tw_last_dim(x));
}

static tw_val filled_input(bench_program *p, const char *name, tw_shape shape)
{
    void *memory;
    tw_val v = bench_input(p, name, TW_DTYPE_F32, shape, &memory);
    for (int64_t i = 0; i < tw_shape_size(shape); i++) ((float *)memory)[i] = bench_number(7, (uint32_t)i);
    return v;
}

static tw_val image_loss(bench_program *p, const bench_draws *d, const bench_case *c)
{
    tw_shape shape = image_shape(c);
    tw_val x1 = filled_input(p, "images", shape), x0 = bench_normal(d, 1, shape);
    tw_val t = bench_uniform(d, 2, tw_shape_of(c->batch)), dx = tw_sub(x1, x0);
    tw_val xt = tw_add(x0, tw_mul(tw_reshape(t, tw_shape_of(c->batch, 1, 1, 1)), dx));
    tw_val square = tw_square(tw_sub(unet(tw_scope_root(p->params), c, xt, t), dx));
    return tw_mean_axis(
        tw_muls(tw_sum(square, 3, (const int[]){1, 2, 3}), (double)c->batch / (double)tw_shape_size(shape)), 0);
}

void bench_unet_step(bench *b, const bench_case *c)
{
    bench_train(b, c, image_loss, 0);
}

static void forward_run(bench *b)
{
    bench_program_run(b->state);
}

/* A program of the network alone: run with fixed arguments. */
static void finish(bench *b, bench_program *p)
{
    bench_compile(p);
    b->flops = bench_program_flops(p);
    b->state = b->program = p;
    b->run = forward_run;
}

void bench_unet_forward(bench *b, const bench_case *c)
{
    bench_program *p = bench_program_new(b->ctx);
    tw_val x = filled_input(p, "x", image_shape(c)), t = filled_input(p, "t", tw_shape_of(c->batch));
    tw_val u = unet(tw_scope_root(p->params), c, x, t);
    (void)bench_bind_parameters(p);
    (void)bench_output(p, u, -1);
    finish(b, p);
}

/* u and its derivative along (v, 1). */
void bench_unet_jvp(bench *b, const bench_case *c)
{
    bench_program *p = bench_program_new(b->ctx);
    tw_val in[2] = {filled_input(p, "x", image_shape(c)), filled_input(p, "t", tw_shape_of(c->batch))};
    tw_val tangent[2] = {filled_input(p, "v", image_shape(c)), tw_ones_like(in[1])}, du;
    tw_val u = unet(tw_scope_root(p->params), c, in[0], in[1]);
    bench_check(b->ctx, tw_graph_check(p->graph));
    (void)bench_bind_parameters(p);
    bench_check(b->ctx, tw_jvp(2, in, tangent, 1, &u, &du));
    (void)bench_output(p, u, -1);
    (void)bench_output(p, du, -1);
    finish(b, p);
}

/* --- tokens ------------------------------------------------------------------------------------------------------ */

enum { SYMBOLS = 28, LENGTH = 256 };

static const tw_transformer_desc text = {.symbols = SYMBOLS, .width = 256, .depth = 6, .heads = 4};

static tw_val token_input(bench_program *p, const bench_case *c)
{
    void *memory;
    tw_shape shape = tw_shape_of(c->batch, LENGTH);
    tw_val v = bench_input(p, "tokens", TW_DTYPE_I32, shape, &memory);
    for (int64_t i = 0; i < tw_shape_size(shape); i++)
        ((int32_t *)memory)[i] = (int32_t)((bench_number(8, (uint32_t)i) + 1) / 2 * (SYMBOLS - 1));
    return v;
}

static tw_val token_loss(bench_program *p, const bench_draws *d, const bench_case *c)
{
    tw_val x1 = token_input(p, c);
    tw_val t = tw_expand_dim(bench_uniform(d, 2, tw_shape_of(c->batch)), 1);
    tw_val shown = tw_lt(bench_uniform(d, 1, tw_shape_at(x1)), tw_broadcast_to(t, tw_shape_at(x1)));
    tw_val xt = tw_select(shown, x1, tw_full(p->graph, TW_DTYPE_I32, tw_shape_at(x1), SYMBOLS - 1));
    tw_val rows = tw_cross_entropy(tw_transformer(tw_scope_root(p->params), &text, xt), x1, -1);
    return tw_mean_axis(tw_mean_axis(rows, 1), 0);
}

void bench_text_step(bench *b, const bench_case *c)
{
    bench_train(b, c, token_loss, 0.01);
}

void bench_text_forward(bench *b, const bench_case *c)
{
    bench_program *p = bench_program_new(b->ctx);
    tw_val logits = tw_transformer(tw_scope_root(p->params), &text, token_input(p, c));
    (void)bench_bind_parameters(p);
    (void)bench_output(p, logits, -1);
    finish(b, p);
}
