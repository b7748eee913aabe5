/* bench/cases/program.c - programs with memory behind every input and output, and training steps made of them. */
#include "bench.h"

#include "exec/build.h"
#include "graph/conv.h"
#include "train/optimiser.h"

#include <math.h>
#include <string.h>

static void *memory(bench_program *p, tw_dtype dtype, tw_shape shape)
{
    size_t bytes = (size_t)tw_shape_size(shape) * tw_dtype_size(dtype);
    void *block = tw_alloc_aligned(p->ctx, bytes ? bytes : 1);
    if (!block) bench_check(p->ctx, tw_fail_memory(p->ctx, bytes));
    return block;
}

bench_program *bench_program_new(tw_context *ctx)
{
    bench_program *p = tw_alloc(ctx, 1, sizeof *p);
    if (!p) bench_check(ctx, tw_fail_memory(ctx, sizeof *p));
    p->ctx = ctx;
    bench_check(ctx, tw_graph_create(ctx, &p->graph));
    bench_check(ctx, tw_params_create(ctx, p->graph, TW_DTYPE_F32, &p->params));
    return p;
}

int bench_bind(bench_program *p, tw_val v, const void *from)
{
    bench_check(p->ctx, tw_grow(p->ctx, &p->in, &p->in_capacity, p->ins + 1, sizeof *p->in));
    bench_check(p->ctx, tw_grow(p->ctx, &p->from, &p->from_capacity, p->ins + 1, sizeof *p->from));
    p->in[p->ins] = v;
    p->from[p->ins] = from;
    return (int)p->ins++;
}

tw_val bench_input(bench_program *p, const char *name, tw_dtype dtype, tw_shape shape, void **out_memory)
{
    tw_val v = tw_input(p->graph, name, dtype, shape);
    *out_memory = memory(p, dtype, shape);
    (void)bench_bind(p, v, *out_memory);
    return v;
}

void *bench_output(bench_program *p, tw_val v, int over)
{
    bench_check(p->ctx, tw_graph_check(p->graph));
    bench_check(p->ctx, tw_grow(p->ctx, &p->out, &p->out_capacity, p->outs + 1, sizeof *p->out));
    bench_check(p->ctx, tw_grow(p->ctx, &p->to, &p->to_capacity, p->outs + 1, sizeof *p->to));
    bench_check(p->ctx, tw_grow(p->ctx, &p->over, &p->over_capacity, p->outs + 1, sizeof *p->over));
    p->out[p->outs] = v;
    p->over[p->outs] = over;
    p->to[p->outs] = over >= 0 ? (void *)(uintptr_t)p->from[over] : memory(p, tw_dtype_at(v), tw_shape_at(v));
    return p->to[p->outs++];
}

int bench_bind_parameters(bench_program *p)
{
    float *flat = memory(p, TW_DTYPE_F32, tw_shape_of(tw_params_size(p->params)));
    tw_params_init(p->params, 1, flat);
    int first = (int)p->ins;
    for (int i = 0; i < tw_params_count(p->params); i++)
        (void)bench_bind(p, tw_params_value(p->params, i), flat + tw_params_offset(p->params, i));
    return first;
}

void bench_compile(bench_program *p)
{
    tw_program_desc desc = {.inputs_count = (int)p->ins,
                            .inputs = p->in,
                            .outputs_count = (int)p->outs,
                            .outputs = p->out,
                            .overwrites = p->over,
                            .products = p->low ? TW_PRODUCTS_BF16 : TW_PRODUCTS_F32};
    bool *constants = tw_alloc(p->ctx, (size_t)p->ins, sizeof *constants); /* what outputs overwrite, as in training */
    if (!constants) bench_check(p->ctx, tw_fail_memory(p->ctx, (size_t)p->ins));
    for (int64_t o = 0; o < p->outs; o++)
        if (p->over[o] >= 0) constants[p->over[o]] = true;
    desc.constants = constants;
    bench_check(p->ctx, tw_program_compile(p->ctx, &desc, &p->program));
    tw_free(p->ctx, constants);
    bench_check(p->ctx, tw_state_create(p->program, 0, &p->state));
}

void bench_program_run(bench_program *p)
{
    bench_check(p->ctx, tw_program_run(p->state, p->from, p->to, 0));
}

static double conv_flops(tw_conv_sizes s)
{
    double flops = 2.0 * (double)s.n * (double)s.c * (double)s.o / (double)s.groups;
    for (int i = 0; i < TW_MAX_SPATIAL; i++) flops *= (double)s.kernel[i] * (double)s.result[i];
    return flops;
}

/* Scores, probabilities times values; the tangent and the gradient: three products of the one kind, two of the other.
 */
static double attention_flops(const tw_graph *g, const tw_node *node)
{
    const int32_t *args = tw_node_args(g, node);
    tw_shape q = tw_node_of(g, args[0])->shape, v = tw_node_of(g, args[2])->shape;
    double scores = 2.0 * (double)q.dim[0] * (double)q.dim[1] * (double)q.dim[2] * (double)v.dim[1];
    double depth = (double)q.dim[3], width = (double)v.dim[3];
    return scores * (node->op == TW_OP_attention ? depth + width : 3 * depth + 2 * width);
}

double bench_program_flops(const bench_program *p)
{
    const tw_graph *g = p->program->graph;
    double flops = 0;
    for (int64_t i = 0; i < g->count; i++) {
        const tw_node *node = tw_node_of(g, (int32_t)i);
        if (node->op == TW_OP_dot_general) {
            tw_dot dot = tw_dot_of(g, node);
            flops += 2.0 * (double)dot.batch * (double)dot.m * (double)dot.n * (double)dot.k;
        } else if (node->op == TW_OP_conv || node->op == TW_OP_conv_input || node->op == TW_OP_conv_weights) {
            flops += conv_flops(tw_conv_sizes_of(g, node));
        } else if (node->op == TW_OP_attention || node->op == TW_OP_attention_tangent ||
                   node->op == TW_OP_attention_gradient) {
            flops += attention_flops(g, node);
        }
    }
    return flops;
}

/* --- training steps -------------------------------------------------------------------------------------------------
 */

tw_val bench_uniform(const bench_draws *d, uint32_t stream, tw_shape shape)
{
    return tw_bits_to_uniform(tw_random_bits(d->key, d->counter, stream, shape), TW_DTYPE_F32);
}

tw_val bench_normal(const bench_draws *d, uint32_t stream, tw_shape shape)
{
    return tw_bits_to_normal(tw_random_bits(d->key, d->counter, stream, shape), TW_DTYPE_F32);
}

typedef struct trainer {
    bench_program *p;
    uint32_t *counter;
    float *correction1, *correction2;
    double updates;
} trainer;

static void train_run(bench *b)
{
    trainer *t = b->state;
    t->counter[0]++;
    t->updates++;
    *t->correction1 = (float)(1 / (1 - pow(0.9, t->updates)));
    *t->correction2 = (float)(1 / (1 - pow(0.999, t->updates)));
    bench_program_run(t->p);
}

/* AdamW as torch.optim has it; no clipping and no averaged weights, which the peer does not keep either. */
static void update(trainer *t, int first, const tw_val *gradient, double weight_decay)
{
    bench_program *p = t->p;
    void *block;
    tw_val c1 = bench_input(p, "correction1", TW_DTYPE_F32, TW_SCALAR, (void **)&t->correction1);
    tw_val c2 = bench_input(p, "correction2", TW_DTYPE_F32, TW_SCALAR, (void **)&t->correction2);
    for (int i = 0; i < tw_params_count(p->params); i++) {
        tw_val w = p->in[first + i], g = gradient[i];
        int at = (int)p->ins;
        tw_val m = bench_input(p, "first", TW_DTYPE_F32, tw_shape_at(w), &block);
        tw_val v = bench_input(p, "second", TW_DTYPE_F32, tw_shape_at(w), &block);
        m = tw_add(tw_muls(m, 0.9), tw_muls(g, 0.1));
        v = tw_add(tw_muls(v, 0.999), tw_muls(tw_square(g), 0.001));
        tw_val step = tw_div(tw_mul(m, c1), tw_adds(tw_sqrt(tw_mul(v, c2)), 1e-8));
        if (weight_decay != 0) step = tw_add(step, tw_muls(w, weight_decay));
        (void)bench_output(p, tw_sub(w, tw_muls(step, 1e-3)), first + i);
        (void)bench_output(p, m, at);
        (void)bench_output(p, v, at + 1);
    }
}

void bench_train(bench *b, const bench_case *c, bench_loss loss, double weight_decay)
{
    trainer *t = tw_alloc(b->ctx, 1, sizeof *t);
    if (!t) bench_check(b->ctx, tw_fail_memory(b->ctx, sizeof *t));
    bench_program *p = t->p = bench_program_new(b->ctx);
    p->low = c->low;
    void *key;
    bench_draws d = {.key = bench_input(p, "key", TW_DTYPE_U32, tw_shape_of(2), &key),
                     .counter = bench_input(p, "counter", TW_DTYPE_U32, tw_shape_of(2), (void **)&t->counter)};
    tw_val value = loss(p, &d, c);
    bench_check(b->ctx, tw_graph_check(p->graph));
    int first = bench_bind_parameters(p), count = tw_params_count(p->params);
    tw_val *gradient = tw_alloc(b->ctx, (size_t)count, sizeof *gradient);
    if (!gradient) bench_check(b->ctx, tw_fail_memory(b->ctx, (size_t)count * sizeof *gradient));
    bench_check(b->ctx, tw_grad(value, count, p->in + first, gradient));
    b->loss = bench_output(p, value, -1);
    update(t, first, gradient, weight_decay);
    tw_free(b->ctx, gradient);
    bench_compile(p);
    b->flops = bench_program_flops(p);
    b->state = t;
    b->program = p;
    b->run = train_run;
}
