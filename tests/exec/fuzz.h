/* tests/exec/fuzz.h - random functions: a pool of values that grows by random ops on random members, then derivatives
 * and batches of some of them.
 *
 * Half of the ops suit the shapes at hand (elementwise with broadcasting, products, reductions, moving); the others are
 * taken from the cases every op of the table has (tests/graph/op_cases.h), fed with values of the pool brought to the
 * shapes and intervals of the case - so an op of the table is in the pool as soon as it has a case. Everything is a
 * function of the seed. */
#ifndef TW_TESTS_EXEC_FUZZ_H
#define TW_TESTS_EXEC_FUZZ_H

#include "exec/inst.h"
#include "graph/op_cases.h"

enum { FUZZ_INPUTS = 96, FUZZ_POOL = 40, FUZZ_OUTPUTS = 24, FUZZ_ELEMENTS = 6000 };

typedef struct fuzz {
    tw_graph *g;
    tw_random r;
    tw_dtype real;
    const bool (*runs)[TW_OP_COUNT]; /* fuzz_probe */
    int inputs_count, base_count;    /* the first base_count are real and what derivatives are taken in */
    tw_val inputs[FUZZ_INPUTS];
    double low[FUZZ_INPUTS], high[FUZZ_INPUTS]; /* of whole numbers; real ones are normal */
    int pool_count;
    tw_val pool[FUZZ_POOL];
    int outputs_count;
    tw_val outputs[FUZZ_OUTPUTS];
} fuzz;

static inline int fuzz_below(fuzz *f, int64_t n)
{
    return (int)tw_random_below(&f->r, n);
}

static inline tw_val fuzz_pick(fuzz *f)
{
    return f->pool[fuzz_below(f, f->pool_count)];
}

static inline tw_val fuzz_input(fuzz *f, tw_dtype dtype, tw_shape shape, double low, double high)
{
    f->low[f->inputs_count] = low;
    f->high[f->inputs_count] = high;
    return f->inputs[f->inputs_count++] = tw_input(f->g, "x", dtype, shape);
}

static inline void fuzz_out(fuzz *f, tw_val v)
{
    if (f->outputs_count < FUZZ_OUTPUTS && !tw_is_none(v)) f->outputs[f->outputs_count++] = v;
}

/* --- ops that suit their arguments --- */

static inline bool fuzz_broadcasts(tw_shape a, tw_shape b)
{
    bool fits = a.rank == b.rank;
    for (int i = 0; fits && i < a.rank; i++) fits = a.dim[i] == b.dim[i] || a.dim[i] == 1 || b.dim[i] == 1;
    return fits;
}

static inline tw_val fuzz_unary(fuzz *f, tw_val a)
{
    switch (fuzz_below(f, 8)) {
    case 0:
        return tw_tanh(a);
    case 1:
        return tw_silu(a);
    case 2:
        return tw_sigmoid(a);
    case 3:
        return tw_muls(tw_sin(a), 0.5);
    case 4:
        return tw_exp(tw_neg(tw_square(a)));
    case 5:
        return tw_softplus(tw_muls(a, 0.3));
    case 6:
        return tw_gelu(a);
    default:
        return tw_rsqrt(tw_adds(tw_square(a), 1.0));
    }
}

static inline tw_val fuzz_pair(fuzz *f, tw_val a, tw_val b)
{
    switch (fuzz_below(f, 5)) {
    case 0:
        return tw_mul(tw_tanh(a), b);
    case 1:
        return tw_sub(tw_mul(a, tw_sin(a)), b);
    case 2:
        return tw_div(a, tw_adds(tw_square(b), 0.7));
    case 3:
        return tw_select(tw_lt(a, tw_full_like(a, 0.1234)), tw_muls(a, 0.3), b);
    default:
        return tw_add(a, b);
    }
}

/* Two members as a product of matrices when some pair of axes fits. */
static inline tw_val fuzz_product(fuzz *f, tw_val a, tw_val b)
{
    tw_shape sa = tw_shape_at(a), sb = tw_shape_at(b);
    int first = sa.rank ? fuzz_below(f, sa.rank) : 0;
    for (int k = 0; k < sb.rank && sa.rank > 0 && sa.rank + sb.rank <= 5; k++)
        if (sa.dim[first] == sb.dim[k]) return tw_tanh(tw_dot_general(a, b, 0, NULL, NULL, 1, &first, &k));
    if (sa.rank >= 2 && sb.rank == sa.rank && sa.dim[0] == sb.dim[0] && sa.dim[1] == sb.dim[1])
        return tw_tanh(tw_dot_general(a, b, 1, (int[]){0}, (int[]){0}, 1, (int[]){1}, (int[]){1}));
    return fuzz_unary(f, a);
}

static inline tw_val fuzz_moved(fuzz *f, tw_val a)
{
    tw_shape shape = tw_shape_at(a);
    int axis = fuzz_below(f, shape.rank), permutation[TW_MAX_RANK];
    int64_t size = shape.dim[axis], low = fuzz_below(f, size + 1);
    switch (fuzz_below(f, 7)) {
    case 0:
        for (int i = 0; i < shape.rank; i++) permutation[i] = (i + axis) % shape.rank;
        return tw_transpose(a, permutation);
    case 1:
        return tw_slice(a, axis, low < size ? low : 0, size);
    case 2:
        return tw_concat2(axis, a, fuzz_unary(f, a));
    case 3:
        return tw_reverse(a, axis);
    case 4:
        return tw_reshape(a, tw_shape_of(tw_shape_size(shape)));
    case 5:
        return shape.rank < 4 ? tw_expand_dim(a, axis) : a;
    default:
        return tw_reshape(a, tw_shape_of(size, -1));
    }
}

static inline tw_val fuzz_reduced(fuzz *f, tw_val a)
{
    tw_shape shape = tw_shape_at(a);
    int axis = fuzz_below(f, shape.rank), axes[2] = {axis, (axis + 1) % shape.rank};
    switch (fuzz_below(f, 5)) {
    case 0:
        return tw_muls(tw_cumsum(a, axis), 1.0 / (double)shape.dim[axis]);
    case 1:
        return tw_softmax(a, axis);
    case 2:
        return tw_logsumexp(a, axis);
    case 3:
        return tw_tanh(tw_sum(a, shape.rank > 1 ? 2 : 1, axes));
    default:
        return tw_mean_axis(a, axis);
    }
}

static inline tw_val fuzz_suited(fuzz *f)
{
    tw_val a = fuzz_pick(f), b = fuzz_pick(f);
    int64_t size = size_at(a);
    bool axes = tw_shape_at(a).rank > 0 && size > 0;
    int pick = fuzz_below(f, 10);
    if (pick < 4 && fuzz_broadcasts(tw_shape_at(a), tw_shape_at(b))) return fuzz_pair(f, a, b);
    if (pick < 5 && axes) return fuzz_product(f, a, b);
    if (pick < 7 && axes && size < FUZZ_ELEMENTS / 2) return fuzz_moved(f, a);
    if (pick < 9 && axes) return fuzz_reduced(f, a);
    return fuzz_unary(f, a);
}

/* --- ops of the table --- */

/* An op is drawn when its cases compile in this number type: not inputs, nor what has no instruction. */
static inline bool fuzz_compiles(tw_context *ctx, tw_op op, tw_dtype real)
{
    tw_shape shapes[SHAPES_MAX];
    int shapes_count = shape_list(shapes), cases = 0;
    bool runs = op != TW_OP_input;
    for (int n = 0; n < shapes_count * 2 && runs; n++) {
        tw_graph *g = new_graph(ctx);
        tw_program *program = NULL;
        test_case c;
        if (build_case(g, op, real, shapes[n % shapes_count], n / shapes_count, &c) && g->status == TW_OK) {
            tw_program_desc desc = {
                .inputs_count = c.count, .inputs = c.inputs, .outputs_count = 1, .outputs = &c.output};
            runs = tw_program_compile(ctx, &desc, &program) == TW_OK;
            cases++;
        }
        tw_program_destroy(program);
        tw_graph_destroy(g);
    }
    return runs && cases > 0;
}

/* runs[f64][op]; returns the number of ops that do not in f64. */
static inline int fuzz_probe(tw_context *ctx, bool runs[2][TW_OP_COUNT])
{
    int missing = 0;
    for (int op = 0; op < TW_OP_COUNT; op++) {
        for (int wide = 0; wide < 2; wide++)
            runs[wide][op] = fuzz_compiles(ctx, (tw_op)op, wide ? TW_DTYPE_F64 : TW_DTYPE_F32);
        missing += !runs[1][op];
    }
    return missing;
}

/* Comparing and counting in f32 differs from the reference wherever a rounded number meets a border. */
static inline bool fuzz_jumps(const fuzz *f, tw_op op, const test_case *c)
{
    bool reads = false;
    for (int i = 0; i < c->count; i++) reads = reads || tw_dtype_is_real(tw_dtype_at(c->inputs[i]));
    bool flat = (tw_op_table[op].flags & TW_OPF_NO_DERIVATIVE) || !tw_dtype_is_real(tw_dtype_at(c->output));
    return f->real == TW_DTYPE_F32 && reads && flat;
}

/* A member's elements, repeated or cut, in another shape. */
static inline tw_val fuzz_fit(tw_val v, tw_shape shape)
{
    int64_t have = size_at(v), want = tw_shape_size(shape);
    if (tw_shape_equal(tw_shape_at(v), shape)) return v;
    if (have == 0) return tw_full(v.graph, tw_dtype_at(v), shape, 0.25);
    v = tw_reshape(v, tw_shape_of(1, have));
    if (have < want) v = tw_broadcast_to(v, tw_shape_of((want + have - 1) / have, have));
    v = tw_reshape(v, tw_shape_of(size_at(v)));
    return tw_reshape(tw_slice(v, 0, 0, want), shape);
}

/* A member brought to a shape and interval. Zero is mapped where no op jumps; what compares elements with each other is
 * given no equal ones, so that rounding decides nothing. */
static inline tw_val fuzz_argument(fuzz *f, tw_op op, tw_shape shape, double low, double high)
{
    tw_val v = tw_adds(fuzz_fit(fuzz_pick(f), shape), 0.371);
    if (op == TW_OP_argmax || op == TW_OP_reduce_max) {
        double *pattern = calloc((size_t)tw_shape_size(shape) + 1, sizeof *pattern);
        for (int64_t i = 0; i < tw_shape_size(shape); i++)
            tw_store_element(pattern, f->real, i, tw_random_normal(&f->r));
        v = tw_add(tw_muls(v, 0.2), tw_const_data(f->g, f->real, shape, pattern));
        free(pattern);
    }
    return tw_adds(tw_muls(tw_sigmoid(v), high - low), low);
}

/* Any result as real numbers of order one. */
static inline tw_val fuzz_real(fuzz *f, tw_val v)
{
    tw_dtype dtype = tw_dtype_at(v);
    if (dtype == f->real || tw_is_none(v)) return v;
    v = tw_cast(v, f->real);
    return dtype == TW_DTYPE_U32 ? tw_muls(v, 0x1p-31) : tw_dtype_is_real(dtype) ? v : tw_tanh(tw_muls(v, 0.1));
}

/* One case of one op; none when the draw has no case. */
static inline tw_val fuzz_case(fuzz *f)
{
    tw_shape shapes[SHAPES_MAX];
    int shapes_count = shape_list(shapes), count = 0;
    tw_op op = (tw_op)fuzz_below(f, TW_OP_COUNT);
    tw_shape shape = fuzz_below(f, 2) ? tw_shape_at(fuzz_pick(f)) : shapes[fuzz_below(f, shapes_count)];
    int variant = fuzz_below(f, fuzz_below(f, 2) ? 3 : VARIANTS_MAX);
    test_case c;
    if (!f->runs[f->real == TW_DTYPE_F64][op] || shape.rank > 4 || f->inputs_count + CASE_INPUTS > FUZZ_INPUTS)
        return TW_NONE;
    /* rounding decides: a cast to f32, x = sin x near 0 */
    if (op == TW_OP_cast && f->real == TW_DTYPE_F64 && variant == 0) return TW_NONE;
    if (op == TW_OP_eq && variant == 1) return TW_NONE;
    if (!build_case(f->g, op, f->real, shape, variant, &c) || tw_is_none(c.output)) return TW_NONE;
    if (size_at(c.output) > FUZZ_ELEMENTS || fuzz_jumps(f, op, &c)) return TW_NONE;
    tw_val inputs[CASE_INPUTS], values[CASE_INPUTS], made = c.output;
    for (int i = 0; i < c.count; i++) {
        tw_dtype dtype = tw_dtype_at(c.inputs[i]);
        tw_shape at = tw_shape_at(c.inputs[i]);
        inputs[count] = c.inputs[i];
        values[count++] = tw_dtype_is_real(dtype) ? fuzz_argument(f, op, at, c.low[i], c.high[i])
                                                  : fuzz_input(f, dtype, at, c.low[i], c.high[i]);
    }
    if (tw_substitute(count, inputs, values, 1, &c.output, &made) != TW_OK) return TW_NONE;
    if (op == TW_OP_while) made = tw_stop_gradient(made); /* it has no gradient */
    return fuzz_real(f, made);
}

/* --- whole functions --- */

static inline void fuzz_grow(fuzz *f, int members)
{
    for (int tries = 0; f->pool_count < members && tries < 10 * members; tries++) {
        tw_val v = fuzz_below(f, 2) ? fuzz_case(f) : fuzz_suited(f);
        if (f->g->status != TW_OK) return;
        if (!tw_is_none(v) && tw_shape_at(v).rank <= 5 && size_at(v) <= FUZZ_ELEMENTS) f->pool[f->pool_count++] = v;
    }
}

static inline void fuzz_base(fuzz *f, tw_shape shape)
{
    f->pool[f->pool_count++] = fuzz_input(f, f->real, shape, 0, 0);
    f->base_count = f->inputs_count;
}

static inline tw_val fuzz_scalar(fuzz *f)
{
    tw_val sum = tw_const(f->g, f->real, 0.0);
    for (int i = 0; i < 3; i++) {
        tw_val v = f->pool[f->pool_count - 1 - i];
        if (size_at(v) > 0) sum = tw_add(sum, tw_mean_all(tw_tanh(v)));
    }
    return sum;
}

/* Members, a gradient, a tangent, a Hessian product, a batch. */
static inline tw_status fuzz_derive(fuzz *f)
{
    tw_val scalar = fuzz_scalar(f), direction[8], made[8], some[3];
    tw_status status = TW_OK;
    for (int i = 0; i < 4; i++) fuzz_out(f, fuzz_pick(f));
    fuzz_out(f, scalar);
    for (int i = 0; i < f->base_count; i++) direction[i] = tw_sin(f->inputs[i]);
    for (int i = 0; i < 3; i++) some[i] = fuzz_pick(f);
    TW_TRY(tw_graph_check(f->g));
    if (fuzz_below(f, 2)) {
        TW_TRY(tw_grad(scalar, f->base_count, f->inputs, made));
        for (int i = 0; i < f->base_count; i++) fuzz_out(f, made[i]);
    }
    if (fuzz_below(f, 4) == 0) {
        TW_TRY(tw_jvp(f->base_count, f->inputs, direction, 3, some, made));
        for (int i = 0; i < 3; i++) fuzz_out(f, made[i]);
    }
    if (fuzz_below(f, 8) == 0) {
        TW_TRY(tw_hvp(scalar, f->base_count, f->inputs, direction, made));
        for (int i = 0; i < f->base_count; i++) fuzz_out(f, made[i]);
    }
done:
    return status;
}

/* A function of a few arrays. */
static inline tw_status fuzz_make(fuzz *f)
{
    static const int64_t sizes[] = {1, 2, 3, 7, 16, 33, 50};
    int64_t rows = sizes[fuzz_below(f, 7)], columns = sizes[fuzz_below(f, 7)];
    if (fuzz_below(f, 30) == 0) rows = 300;
    fuzz_base(f, tw_shape_of(rows, columns));
    fuzz_base(f, tw_shape_of(rows, columns));
    fuzz_base(f, tw_shape_of(columns, columns));
    fuzz_base(f, tw_shape_of(rows, 1));
    fuzz_base(f, tw_shape_of(columns));
    fuzz_grow(f, 12 + fuzz_below(f, 20));
    return fuzz_derive(f);
}

/* A function of one sample, of `rows` samples at once: row-wise in the first *out_batched inputs. */
static inline tw_status fuzz_make_rows(fuzz *f, int64_t rows, int *out_batched)
{
    static const int64_t sizes[] = {1, 2, 3, 5, 8};
    int64_t size = sizes[fuzz_below(f, 5)];
    tw_val wide[3], all[FUZZ_OUTPUTS];
    tw_status status = TW_OK;
    fuzz_base(f, tw_shape_of(size));
    fuzz_base(f, tw_shape_of(size, 2));
    fuzz_base(f, tw_shape_of(size, size));
    fuzz_grow(f, 8 + fuzz_below(f, 8));
    TW_TRY(fuzz_derive(f));
    int batched = 1 + fuzz_below(f, 2);
    for (int i = 0; i < batched; i++) {
        tw_shape shape = tw_shape_at(f->inputs[i]),
                 many = {.rank = shape.rank + 1, .dim = {rows, shape.dim[0], shape.dim[1]}};
        wide[i] = tw_input(f->g, "wide", f->real, many);
    }
    TW_TRY(tw_vmap(batched, f->inputs, wide, f->outputs_count, f->outputs, all));
    for (int i = 0; i < batched; i++) f->inputs[i] = wide[i];
    for (int i = 0; i < f->outputs_count; i++) f->outputs[i] = all[i];
    *out_batched = batched;
done:
    return status;
}

#endif
