/* thalweg/graph.h - mathematics as a graph: build it, differentiate it, print it, read it back.
 *
 * A graph is an append-only list of nodes; a tw_val names one node of one graph. Equal nodes are made once
 * (hash-consing), constants are folded and x+0, x*1, x*0 vanish as nodes are made, so repeated derivatives stay small.
 * Append order is a topological order.
 *
 * Errors: builders never fail in place. The first error (with both shapes and the scope path) is kept in the
 * graph, every later value is invalid, and tw_graph_check() - called by every transform and by compilation -
 * reports it. Forty lines of model code need no checks.
 *
 * Shapes are row-major; binary builders broadcast as NumPy does (right-aligned, 1 stretches).
 */
#ifndef THALWEG_GRAPH_H
#define THALWEG_GRAPH_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TW_MAX_RANK 8

/* bf16 is for keeping numbers (the upper half of an f32): it is moved about, cast, and multiplied in products, which
 * take two bf16 operands, add up in f32 and give f32. Anything else wants a cast first. Its tangents are f32. */
typedef enum tw_dtype { TW_DTYPE_F32, TW_DTYPE_F64, TW_DTYPE_I32, TW_DTYPE_U32, TW_DTYPE_BOOL, TW_DTYPE_BF16 } tw_dtype;
#define TW_DTYPE_COUNT 6

/* Bytes of one element; bool is one byte. */
TW_API size_t tw_dtype_size(tw_dtype dtype);
/* "f32", "f64", "i32", "u32", "bool", "bf16". */
TW_API const char *tw_dtype_name(tw_dtype dtype);

typedef struct tw_shape {
    int32_t rank; /* 0: a scalar */
    int64_t dim[TW_MAX_RANK];
} tw_shape;

/* tw_shape_of(2, 3) is the shape [2,3]. */
#define tw_shape_of(...)                                                                                               \
    tw_shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
TW_API tw_shape tw_shape_make(int rank, const int64_t *dim);
#define TW_SCALAR ((tw_shape){0, {0}})
TW_API int64_t tw_shape_size(tw_shape shape); /* number of elements */
TW_API bool tw_shape_equal(tw_shape a, tw_shape b);

typedef struct tw_graph tw_graph;

/* A value: node `id` of `graph`. id < 0 is invalid (after an error), or "none" where documented; so is all zeros. */
typedef struct tw_val {
    tw_graph *graph;
    int32_t id;
} tw_val;
#define TW_NONE ((tw_val){NULL, -1})
static inline bool tw_is_none(tw_val v)
{
    return v.id < 0 || !v.graph;
}

TW_NODISCARD TW_API tw_status tw_graph_create(tw_context *ctx, tw_graph **out_graph);
TW_API void tw_graph_destroy(tw_graph *graph);
/* TW_OK, or the first error of building, its sentence set in the context. */
TW_NODISCARD TW_API tw_status tw_graph_check(tw_graph *graph);
/* Reports an error found by code that builds on the graph (networks, paths); the first one stays. Returns an invalid
 * value. */
TW_API tw_val tw_graph_fail(tw_graph *graph, tw_status status, const char *format, ...) TW_PRINTF(3, 4);

TW_API tw_shape tw_shape_at(tw_val v);
TW_API tw_dtype tw_dtype_at(tw_val v);
TW_API int64_t tw_dim(tw_val v, int axis); /* negative axes count from the end */
TW_API int64_t tw_last_dim(tw_val v);

/* --- leaves ------------------------------------------------------------------------------------------- */
/* Inputs are never merged; names are copied and need not be unique. */
TW_API tw_val tw_input(tw_graph *g, const char *name, tw_dtype dtype, tw_shape shape);
TW_API tw_val tw_const(tw_graph *g, tw_dtype dtype, double value);                          /* a scalar */
TW_API tw_val tw_const_data(tw_graph *g, tw_dtype dtype, tw_shape shape, const void *data); /* copied */
TW_API tw_val tw_full(tw_graph *g, tw_dtype dtype, tw_shape shape, double value);
TW_API tw_val tw_zeros_like(tw_val v);
TW_API tw_val tw_ones_like(tw_val v);
TW_API tw_val tw_iota(tw_graph *g, tw_dtype dtype, tw_shape shape, int axis); /* counts 0,1,.. along axis */
TW_API tw_val tw_eye(tw_graph *g, tw_dtype dtype, int64_t n);                 /* ones on the diagonal of (n,n) */

/* --- random bits: pure functions of (key, counter) ------------------------------------------------------ */
/* u32 [shape]: element i is word i%4 of Philox4x32-10 at counter (i/4, stream, counter[0], counter[1]) under key;
 * key, counter u32 [2]. */
TW_API tw_val tw_random_bits(tw_val key, tw_val counter, uint32_t stream, tw_shape shape);
/* (0,1), never the ends: f32 (bits >> 9 + 1/2) 2^-23, f64 (bits + 1/2) 2^-32. */
TW_API tw_val tw_bits_to_uniform(tw_val bits, tw_dtype dtype);
/* Inverse normal distribution function; |z| < 6.5. The top bit is the sign, the others count cells of 2^-32 from the
 * median. */
TW_API tw_val tw_bits_to_normal(tw_val bits, tw_dtype dtype);

/* --- elementwise ---------------------------------------------------------------------------------------- */
TW_API tw_val tw_neg(tw_val x);
TW_API tw_val tw_exp(tw_val x);
TW_API tw_val tw_expm1(tw_val x);
TW_API tw_val tw_log(tw_val x);
TW_API tw_val tw_log1p(tw_val x);
TW_API tw_val tw_sin(tw_val x);
TW_API tw_val tw_cos(tw_val x);
TW_API tw_val tw_tanh(tw_val x);
TW_API tw_val tw_erf(tw_val x);
TW_API tw_val tw_sqrt(tw_val x);
TW_API tw_val tw_rsqrt(tw_val x);
TW_API tw_val tw_abs(tw_val x);
TW_API tw_val tw_sigmoid(tw_val x);
TW_API tw_val tw_sign(tw_val x);
TW_API tw_val tw_floor(tw_val x);
TW_API tw_val tw_is_finite(tw_val x); /* bool */
TW_API tw_val tw_not(tw_val x);
TW_API tw_val tw_square(tw_val x); /* x * x */
TW_API tw_val tw_tan(tw_val x);
TW_API tw_val tw_sinh(tw_val x);
TW_API tw_val tw_cosh(tw_val x);
TW_API tw_val tw_asin(tw_val x);
TW_API tw_val tw_acos(tw_val x);
TW_API tw_val tw_atan(tw_val x);
TW_API tw_val tw_exp2(tw_val x); /* 2^x, exact for whole x */
TW_API tw_val tw_log2(tw_val x); /* exact for powers of two */
TW_API tw_val tw_erfinv(tw_val x);
TW_API tw_val tw_lgamma(tw_val x); /* log|gamma(x)| */
TW_API tw_val tw_digamma(tw_val x);
/* (order+1)-th derivative of lgamma, order 0 to 30. At the poles infinity where both sides agree, else NaN. */
TW_API tw_val tw_polygamma(int order, tw_val x);
TW_API tw_val tw_round(tw_val x); /* to the nearest whole number, halves to the even one */
TW_API tw_val tw_ceil(tw_val x);
TW_API tw_val tw_trunc(tw_val x); /* towards zero */
TW_API tw_val tw_atan2(tw_val y, tw_val x);
TW_API tw_val tw_rem(tw_val a, tw_val b); /* a - b trunc(a/b), exactly: the sign of a */
TW_API tw_val tw_clamp(tw_val x, double low, double high);
TW_API tw_val tw_bitcast(tw_val x, tw_dtype dtype); /* the bits of f32, i32 or u32 as another of them */
TW_API tw_val tw_add(tw_val a, tw_val b);
TW_API tw_val tw_sub(tw_val a, tw_val b);
TW_API tw_val tw_mul(tw_val a, tw_val b);
TW_API tw_val tw_div(tw_val a, tw_val b);
TW_API tw_val tw_pow(tw_val a, tw_val b); /* a > 0 where b is not a whole constant */
TW_API tw_val tw_max(tw_val a, tw_val b);
TW_API tw_val tw_min(tw_val a, tw_val b);
TW_API tw_val tw_lt(tw_val a, tw_val b); /* bool */
TW_API tw_val tw_eq(tw_val a, tw_val b); /* bool */
TW_API tw_val tw_gt(tw_val a, tw_val b);
TW_API tw_val tw_le(tw_val a, tw_val b);
TW_API tw_val tw_ge(tw_val a, tw_val b);
TW_API tw_val tw_ne(tw_val a, tw_val b); /* true where either is NaN, unlike the others */
TW_API tw_val tw_or(tw_val a, tw_val b);
TW_API tw_val tw_and(tw_val a, tw_val b); /* bool or bits of u32/i32 */
TW_API tw_val tw_xor(tw_val a, tw_val b);
TW_API tw_val tw_select(tw_val condition, tw_val yes, tw_val no);
TW_API tw_val tw_cast(tw_val x, tw_dtype dtype);
TW_API tw_val tw_stop_gradient(tw_val x);
/* the same with a number instead of the second value */
TW_API tw_val tw_adds(tw_val a, double b);
TW_API tw_val tw_muls(tw_val a, double b);
TW_API tw_val tw_pows(tw_val a, double b);

/* --- shape ---------------------------------------------------------------------------------------------- */
TW_API tw_val tw_reshape(tw_val x, tw_shape shape);                     /* one dim may be -1 */
TW_API tw_val tw_transpose(tw_val x, const int *permutation);           /* output axis i is input axis permutation[i] */
TW_API tw_val tw_broadcast_to(tw_val x, tw_shape shape);                /* NumPy rules */
TW_API tw_val tw_expand_dim(tw_val x, int axis);                        /* inserts a dim of 1 */
TW_API tw_val tw_slice(tw_val x, int axis, int64_t begin, int64_t end); /* [begin, end); negative from the end */
TW_API tw_val tw_slice_strided(tw_val x, const int64_t *begin, const int64_t *end, const int64_t *stride);
/* per axis: low and high padding (negative crops) and zeros between elements */
TW_API tw_val tw_pad(tw_val x, double value, const int64_t *low, const int64_t *high, const int64_t *interior);
TW_API tw_val tw_reverse(tw_val x, int axis);
TW_API tw_val tw_concat(int axis, int count, const tw_val *parts);
TW_API tw_val tw_concat2(int axis, tw_val a, tw_val b);

/* --- reductions; axes as a list, kept axes close up ------------------------------------------------------- */
TW_API tw_val tw_sum(tw_val x, int count, const int *axes);
TW_API tw_val tw_sum_axis(tw_val x, int axis);
TW_API tw_val tw_sum_all(tw_val x);
TW_API tw_val tw_mean_axis(tw_val x, int axis);
TW_API tw_val tw_mean_all(tw_val x);
TW_API tw_val tw_reduce_max(tw_val x, int count, const int *axes);
TW_API tw_val tw_reduce_min(tw_val x, int count, const int *axes);
TW_API tw_val tw_reduce_prod(tw_val x, int count, const int *axes); /* derivatives are right at zeros, too */
TW_API tw_val tw_any(tw_val x, int count, const int *axes);         /* of bool; false of none */
TW_API tw_val tw_all(tw_val x, int count, const int *axes);
TW_API tw_val tw_argmax(tw_val x, int axis); /* i32, first of equals */
TW_API tw_val tw_cumsum(tw_val x, int axis);

/* --- triangles of the last two axes: zero above (below) the given diagonal, 0 the main one, 1 the next above ---- */
TW_API tw_val tw_tril(tw_val x, int diagonal);
TW_API tw_val tw_triu(tw_val x, int diagonal);

/* --- complex numbers as a last axis of 2: real and imaginary part ------------------------------------------ */
TW_API tw_val tw_complex(tw_val re, tw_val im); /* two (...) -> (...,2) */
TW_API tw_val tw_real(tw_val z);                /* (...,2) -> (...) */
TW_API tw_val tw_imag(tw_val z);
TW_API tw_val tw_complex_mul(tw_val a, tw_val b);
TW_API tw_val tw_complex_conj(tw_val z);
TW_API tw_val tw_complex_abs2(tw_val z); /* (...,2) -> (...), |z|^2 */

/* --- contraction, indexing --------------------------------------------------------------------------------- */
/* General product: batch axes first, then a's free axes, then b's. */
TW_API tw_val tw_dot_general(tw_val a, tw_val b, int batches, const int *batch_a, const int *batch_b, int contractions,
                             const int *contract_a, const int *contract_b);
TW_API tw_val tw_matmul(tw_val a, tw_val b); /* (...,M,K) x (K,N) or (...,M,K) x (...,K,N) */
/* (N,...),(B) i32 or u32 -> (B,...); the index is clamped to the table, in scatter_add_rows too. */
TW_API tw_val tw_take_rows(tw_val table, tw_val index);
TW_API tw_val tw_scatter_add_rows(tw_val rows, tw_val index, int64_t count); /* (B,...),(B) -> (count,...) */
/* The element of x at index (i32, u32; clamped) along one axis; the other axes stretch to each other. The transpose
 * adds each element of x into `count` places along the axis. */
TW_API tw_val tw_take_along_axis(tw_val x, tw_val index, int axis);
TW_API tw_val tw_scatter_add_along_axis(tw_val x, tw_val index, int axis, int64_t count);
/* The window of `shape` that begins at start (i32, one number an axis), moved so far that it fits. */
TW_API tw_val tw_dynamic_slice(tw_val x, tw_val start, tw_shape shape);
TW_API tw_val tw_dynamic_update_slice(tw_val x, tw_val update, tw_val start); /* x with that window replaced */
/* Positions (i32) in rising or falling order along the axis; equals keep their order, NaN counts as the largest. */
TW_API tw_val tw_argsort(tw_val x, int axis, bool falling);
TW_API tw_val tw_sort(tw_val x, int axis, bool falling);
/* The k largest along the axis, falling, and their positions (i32). */
TW_API void tw_top_k(tw_val x, int axis, int64_t k, tw_val *out_values, tw_val *out_index);

/* --- Fourier transforms: complex numbers are a last axis of 2 ------------------------------------------------ */
/* (...,2) -> (...,2) over `axes` (NULL: all but the last; counted without it): sum of z_j e^(-2 pi i jk/n), the inverse
 * with + and divided by the number of points, so that one undoes the other. */
TW_API tw_val tw_fft(tw_val z, int count, const int *axes);
TW_API tw_val tw_ifft(tw_val z, int count, const int *axes);
/* The same of real x (...): the highest of the axes keeps its first n/2 + 1 coefficients, the others follow from them.
 * (Of one axis the imaginary part of the first is 0 and, with n even, of the last: of NaN and infinities, too.) irfft
 * goes back to n points along it (0: an even number, twice the coefficients less two); it does not read the imaginary
 * parts of what must be real, the first coefficient and with n even the last. */
TW_API tw_val tw_rfft(tw_val x, int count, const int *axes);
TW_API tw_val tw_irfft(tw_val z, int count, const int *axes, int64_t n);

/* --- linear algebra: matrices in the last two axes, the others a batch --------------------------------------- */
/* Lower L with A = L L^T of a symmetric positive definite A, of which the lower half is read; zeros above. All NaN on
 * and below the diagonal when A is not positive definite. */
TW_API tw_val tw_cholesky(tw_val a);
/* X of op(A) X = B, or X op(A) = B when `right`; A (n,n) is lower triangular or `upper` - the other half is not read -,
 * op(A) is A^T when `transposed`, and the diagonal counts as 1 when `unit`. Zeros on the diagonal give infinities or
 * NaN. Linear in B. */
TW_API tw_val tw_triangular_solve(tw_val a, tw_val b, bool right, bool upper, bool transposed, bool unit);
/* LU with partial pivoting: factors (n,n) hold U and, below its diagonal, L (whose diagonal is 1); order (n), i32: row
 * i of L U is row order[i] of A. A singular A gives a zero on the diagonal of U. */
TW_API void tw_lu(tw_val a, tw_val *out_factors, tw_val *out_order);
/* Sign and logarithm of |det A|; of a singular matrix 0 and -infinity. */
TW_API void tw_slogdet(tw_val a, tw_val *out_sign, tw_val *out_log);
TW_API tw_val tw_solve(tw_val a, tw_val b); /* A^-1 B: (...,n,n),(...,n,k) -> (...,n,k) */
TW_API tw_val tw_inverse(tw_val a);
TW_API tw_val tw_diagonal(tw_val x); /* (...,n,n) -> (...,n) */

/* --- convolution: images (N, space..., C), weights (space..., C/groups, O), results (N, space..., O); 1 to 3 axes of
 * space. All three are bilinear and each other's transposes. ------------------------------------------------------- */
#define TW_MAX_SPATIAL 3
typedef struct tw_conv_desc {         /* per axis of space; {0} or NULL: step 1, no padding, no gaps, one group */
    int64_t stride[TW_MAX_SPATIAL];   /* pixels from one result to the next; 0 is 1 */
    int64_t low[TW_MAX_SPATIAL];      /* zeros before the image */
    int64_t high[TW_MAX_SPATIAL];     /* and after it */
    int64_t dilation[TW_MAX_SPATIAL]; /* pixels from one weight to the next; 0 is 1 */
    int64_t groups;                   /* channels are split into so many independent groups; 0 is 1 */
} tw_conv_desc;
/* y[n,p,o] = sum over k, c of x[n, p*stride + k*dilation - low, c] w[k,c,o]. The result has
 * (size + low + high - (kernel-1)*dilation - 1) / stride + 1 pixels along an axis. */
TW_API tw_val tw_conv(tw_val x, tw_val w, const tw_conv_desc *desc);
/* Transposed convolution: from y and w an image of the given shape - one that tw_conv would bring to y's; TW_SCALAR:
 * the smallest such. */
TW_API tw_val tw_conv_input(tw_val y, tw_val w, const tw_conv_desc *desc, tw_shape shape);
/* From x and y weights of the given shape. */
TW_API tw_val tw_conv_weights(tw_val x, tw_val y, const tw_conv_desc *desc, tw_shape shape);
/* --- control: functions as values ------------------------------------------------------------------------------- */
/* Writes a function: outputs from inputs, in graph g. That graph is the function's own: a value of the calling graph is
 * used by handing it over as an argument, and the callback may be called only during the builder it is given to. */
typedef void (*tw_build_fn)(void *user, tw_graph *g, const tw_val *inputs, tw_val *outputs);

/* results = body(args). */
TW_API void tw_call(tw_graph *g, tw_build_fn body, void *user, int args_count, const tw_val *args, int results_count,
                    tw_val *out_results);
/* The same results and derivatives, but reverse mode keeps the arguments only and computes the body again: memory for
 * time (Griewank and Walther, 2000). */
TW_API void tw_checkpoint(tw_graph *g, tw_build_fn body, void *user, int args_count, const tw_val *args,
                          int results_count, tw_val *out_results);
/* condition ? yes(args) : no(args); condition is one bool, both functions have the same results. Only one is run. */
TW_API void tw_cond(tw_graph *g, tw_val condition, tw_build_fn yes, tw_build_fn no, void *user, int args_count,
                    const tw_val *args, int results_count, tw_val *out_results);

/* A loop of known length: (carry, y_t) = body(consts, carry, x_t) for t = 0..length-1. */
typedef struct tw_scan_desc {
    int consts_count, carries_count, xs_count, ys_count;
    const tw_val *consts; /* the same in every step: weights */
    const tw_val *init;   /* the carry before the first step */
    const tw_val *xs;     /* (length,...) each: step t takes row t */
    int64_t length;       /* steps; looked at when there are no xs */
    bool reversed;        /* t = length-1..0 */
    int64_t segment;      /* steps; see below [1] */
    tw_build_fn body;     /* inputs: consts, carries, rows of xs; outputs: carries of the same types, ys */
    void *user;
} tw_scan_desc;
/* The carry after the last step, and the ys stacked to (length,...). Reverse mode keeps the carry of every step and
 * computes each step again on the way back. With segments it keeps the carry of each `segment` steps only, goes through
 * a segment once more to find those between, and then back: about sqrt(length) steps a segment take the least memory,
 * twice their number of carries. */
TW_API void tw_scan(tw_graph *g, const tw_scan_desc *desc, tw_val *out_carries, tw_val *out_ys);
/* carry = body(consts, carry) while condition(consts, carry), one bool, holds. Forward mode only: the number of steps
 * is not known, so reverse mode is an error (a scan can be reversed). */
TW_API void tw_while(tw_graph *g, tw_build_fn condition, tw_build_fn body, void *user, int consts_count,
                     const tw_val *consts, int carries_count, const tw_val *init, tw_val *out_carries);

/* x, computed after `token`: what reads it is never merged with what reads x itself. Derivatives pass through. */
TW_API tw_val tw_barrier(tw_val x, tw_val token);
/* The sum of x over the processes of a group (tw_context_desc.all_reduce); x when there is one. */
TW_API tw_val tw_all_reduce_sum(tw_val x);

/* An array a custom function reads or writes: contiguous, row-major. */
typedef struct tw_array {
    tw_dtype dtype;
    tw_shape shape;
    void *data;
} tw_array;

enum { TW_CUSTOM_MAX = 16 }; /* arguments and results of a custom function, each */

/* A function in C with derivatives of its own. All callbacks get `user`; they, `user` and `name` must stay valid as
 * long as graphs and programs that call it. */
typedef struct tw_custom {
    const char *name; /* "sinkhorn": one meaning within a graph */
    void *user;
    int results_count;
    /* dtype and shape of the results from those of the arguments (no data); false refuses them. A pure function. */
    bool (*infer)(void *user, int args_count, const tw_array *args, tw_array *results);
    /* Computes the results: a pure function, called from any thread. Reals are f32 or f64 as inferred, in the reference
     * interpreter always f64. Cannot fail: what cannot be computed is NaN. */
    void (*evaluate)(void *user, int args_count, const tw_array *args, const tw_array *results);
    /* NULL: no derivative. tangents[i] of argument i, none = zero; sets tangents of results, none = zero; must be
     * linear in the tangents. */
    void (*jvp)(void *user, tw_graph *g, int args_count, const tw_val *args, const tw_val *results,
                const tw_val *tangents, tw_val *out_tangents);
    /* NULL: not linear. Sets cotangents of the wanted arguments from those of the results, none = zero both. */
    void (*transpose)(void *user, tw_graph *g, int args_count, const tw_val *args, const bool *wanted,
                      const tw_val *cotangents, tw_val *out_cotangents);
    /* Row r of every result (axis 0) depends on row r of the arguments with as many rows, and on the whole of others:
     * it may be called for a block of rows. */
    bool by_rows;
} tw_custom;
TW_API void tw_custom_call(tw_graph *g, const tw_custom *custom, int args_count, const tw_val *args,
                           tw_val *out_results);
/* Lets graph text name it. */
TW_NODISCARD TW_API tw_status tw_custom_declare(tw_graph *g, const tw_custom *custom);

/* --- composites: written in the primitives above, one node until compilation, where a kernel may do them at once ---
 */
TW_API tw_val tw_silu(tw_val x);
TW_API tw_val tw_gelu(tw_val x);      /* erf form */
TW_API tw_val tw_gelu_tanh(tw_val x); /* tanh form */
TW_API tw_val tw_softplus(tw_val x);
TW_API tw_val tw_softmax(tw_val x, int axis);
TW_API tw_val tw_log_softmax(tw_val x, int axis);
TW_API tw_val tw_logsumexp(tw_val x, int axis);
/* Scores (...,C), classes i32 or u32 (...) -> (...): -log softmax(scores) at the class; 0, with derivative 0, where the
 * class is `ignored` (-1: none is) or not one of C. */
TW_API tw_val tw_cross_entropy(tw_val scores, tw_val classes, int64_t ignored);
/* (x - mean) / sqrt(var + epsilon) * scale + shift over the trailing axes that scale and shift have; either may be
 * TW_NONE, without both the last axis is meant. */
TW_API tw_val tw_layernorm(tw_val x, tw_val scale, tw_val shift, double epsilon);
/* x / sqrt(mean of squares + epsilon) * scale, likewise. */
TW_API tw_val tw_rmsnorm(tw_val x, tw_val scale, double epsilon);
/* x (B,...,C): every sample and group of C/groups channels is normalised by itself; scale, shift (C) or TW_NONE. */
TW_API tw_val tw_groupnorm(tw_val x, int64_t groups, tw_val scale, tw_val shift, double epsilon);
/* Rotary position embedding of x (...,T,...,D), T at `axis`: features in pairs turned by position * base^(-2i/D), pair
 * i being features (i, i + D/2) or (2i, 2i + 1). positions (T), whole or real; TW_NONE: 0, 1, 2... */
typedef enum tw_rotary_layout { TW_ROTARY_HALF, TW_ROTARY_INTERLEAVED } tw_rotary_layout;
TW_API tw_val tw_rotary(tw_val x, tw_val positions, int axis, double base, tw_rotary_layout layout);
/* Zero with this probability, else x / (1 - probability); by tw_random_bits(key, counter, stream). */
TW_API tw_val tw_dropout(tw_val x, double probability, tw_val key, tw_val counter, uint32_t stream);

typedef struct tw_attention_options {
    double scale; /* of the scores; 0: 1/sqrt(D) */
    bool causal;  /* query i sees keys 0..i only */
    tw_val mask;  /* which keys count: i32 (B) the first so many, or bool (B,Tk); TW_NONE or zeros: all */
    tw_val bias;  /* added to the scaled scores, of a shape that stretches to (B,H,Tq,Tk); likewise. Scores are then
                     stored as a whole */
} tw_attention_options;
/* Scaled dot-product attention, softmax(scale q k') v per head: q (B,Tq,H,D), k (B,Tk,H,D), v (B,Tk,H,E) ->
 * (B,Tq,H,E); zeros for a query that sees no key. Memory grows with Tq + Tk, never with their product, in first
 * derivatives too. options NULL: none. */
TW_API tw_val tw_attention(tw_val q, tw_val k, tw_val v, const tw_attention_options *options);
/* q, k and v (B,T,H,D) of one projection (B,T,3*H*D): all q, then all k, then all v; or, by_head, q, k and v of each
 * head together (guided-diffusion's QKVAttentionLegacy). */
TW_API void tw_qkv_split(tw_val qkv, int64_t heads, bool by_head, tw_val out[3]);

/* --- transforms: append to the same graph -------------------------------------------------------------------- */
/* Forward mode: out_tangents[k] = sum_i d outputs[k]/d inputs[i] tangents[i]. A none tangent is zero; a
 * none result means "zero". */
TW_NODISCARD TW_API tw_status tw_jvp(int inputs_count, const tw_val *inputs, const tw_val *tangents, int outputs_count,
                                     const tw_val *outputs, tw_val *out_tangents);
/* Transpose of the linear map from `inputs` to `outputs` (what depends on inputs must be linear in them):
 * out_cotangents[i] = sum_k (d outputs[k]/d inputs[i])^T cotangents[k]. */
TW_NODISCARD TW_API tw_status tw_linear_transpose(int inputs_count, const tw_val *inputs, int outputs_count,
                                                  const tw_val *outputs, const tw_val *cotangents,
                                                  tw_val *out_cotangents);
/* Reverse mode, made from the two above: vjp = jvp + linearize + transpose. None results are returned as zeros. */
TW_NODISCARD TW_API tw_status tw_vjp(int inputs_count, const tw_val *inputs, int outputs_count, const tw_val *outputs,
                                     const tw_val *cotangents, tw_val *out_cotangents);
/* Gradient of a scalar. */
TW_NODISCARD TW_API tw_status tw_grad(tw_val scalar, int inputs_count, const tw_val *inputs, tw_val *out_gradients);
/* value = body(args), one real number, with its gradient in every argument; zeros for whole numbers. */
TW_NODISCARD TW_API tw_status tw_value_and_grad(tw_graph *g, tw_build_fn body, void *user, int args_count,
                                                const tw_val *args, tw_val *out_value, tw_val *out_gradients);
/* Hessian-vector product of a scalar: jvp of grad. */
TW_NODISCARD TW_API tw_status tw_hvp(tw_val scalar, int inputs_count, const tw_val *inputs, const tw_val *vectors,
                                     tw_val *out_products);
/* Re-expresses `outputs` as functions of `replacements` (of the same shapes) in place of `inputs`; nodes that do not
 * depend on inputs are shared. */
TW_NODISCARD TW_API tw_status tw_substitute(int inputs_count, const tw_val *inputs, const tw_val *replacements,
                                            int outputs_count, const tw_val *outputs, tw_val *out_outputs);
/* Batching: a function written for one sample, of K samples at once. Each listed input (...) has a replacement (K,...);
 * inputs not listed are the same for all samples. Every output gets the axis K in front; one that does not depend on
 * the inputs is repeated. Random bits are the same for all samples unless their key or counter is batched - then every
 * sample draws under its own, at the cost of K nodes. Ops that cannot be batched are refused by name. */
TW_NODISCARD TW_API tw_status tw_vmap(int inputs_count, const tw_val *inputs, const tw_val *replacements,
                                      int outputs_count, const tw_val *outputs, tw_val *out_outputs);
/* Batching behind the row axis: given row-wise functions (axis 0 of every dependent node is the same row axis R), each
 * replacement carries one more axis K at position 1 - (R,K,...) for an input (R,...) - and so do the results. */
TW_NODISCARD TW_API tw_status tw_vmap_rows(int inputs_count, const tw_val *inputs, const tw_val *replacements,
                                           int outputs_count, const tw_val *outputs, tw_val *out_outputs);

/* --- whole derivatives: one derivative along a stand-in, batched over unit vectors or probes ---------------------- */
/* forward: a tangent for every input element; reverse: a cotangent for every output element; auto: the fewer. */
typedef enum tw_mode { TW_MODE_AUTO, TW_MODE_FORWARD, TW_MODE_REVERSE } tw_mode;
/* d output (Y...) / d input (X...) -> (Y...,X...). */
TW_NODISCARD TW_API tw_status tw_jacobian(tw_mode mode, tw_val input, tw_val output, tw_val *out_jacobian);
/* The same for every row of a row-wise function (R,D) -> (R,E) alone -> (R,E,D). */
TW_NODISCARD TW_API tw_status tw_jacobian_rows(tw_mode mode, tw_val input, tw_val output, tw_val *out_jacobian);
/* Second derivatives of a scalar in an input (X...) -> (X...,X...): forward over reverse. */
TW_NODISCARD TW_API tw_status tw_hessian(tw_val scalar, tw_val input, tw_val *out_hessian);
/* The same for a scalar of every row, (R,D) -> (R), -> (R,D,D). */
TW_NODISCARD TW_API tw_status tw_hessian_rows(tw_val scalars, tw_val input, tw_val *out_hessian);
/* Trace of the Hessian of every row -> (R): forward over reverse, or forward over forward (mode forward: no adjoints to
 * keep, best for few columns). */
TW_NODISCARD TW_API tw_status tw_laplacian(tw_mode mode, tw_val scalars, tw_val input, tw_val *out_laplacian);

typedef enum tw_trace { TW_TRACE_EXACT, TW_TRACE_HUTCHINSON, TW_TRACE_HUTCHPP } tw_trace;
typedef enum tw_probe { TW_PROBE_RADEMACHER, TW_PROBE_GAUSSIAN } tw_probe;
/* How a divergence is found. Estimates take `probes` Jacobian-vector products a row, all rows and probes independent:
 * Hutchinson any number, Hutch++ a multiple of 3 (a third of them, k, span the part found exactly; k >= D is exact) and
 * about 4 k^2 D flops a row for orthonormal vectors. Probes are drawn under (key, counter), u32 [2] each, and stream:
 * they stay for a whole solve when the counter does. `vectors` (R,probes,D), (R,2 probes/3,D) for Hutch++, are used
 * instead when given. */
typedef struct tw_divergence_desc {
    tw_trace trace;
    tw_probe probe;
    int probes;
    uint32_t stream;
    tw_val key, counter;
    tw_val vectors;
} tw_divergence_desc;
/* Trace of the Jacobian of every row of a row-wise field (R,D) -> (R,D), -> (R). NULL desc: exact, D tangents a row. */
TW_NODISCARD TW_API tw_status tw_divergence(tw_val x, tw_val field, const tw_divergence_desc *desc,
                                            tw_val *out_divergence);
/* Independent probes of mean 0 and variance 1: signs, or normal numbers. */
TW_API tw_val tw_probe_vectors(tw_probe probe, tw_dtype dtype, tw_val key, tw_val counter, uint32_t stream,
                               tw_shape shape);

/* --- text --------------------------------------------------------------------------------------------------------- */
/* A function as text, one node a line: `%7 = dot_general(%3, %5) {...} f32[64,128]`. Free with tw_string_free. */
TW_NODISCARD TW_API tw_status tw_graph_print(tw_context *ctx, int inputs_count, const tw_val *inputs, int outputs_count,
                                             const tw_val *outputs, char **out_text);
/* Reads such a text into an empty graph, node by node without simplification; errors name line and column. *out_inputs
 * (the input lines in order) and *out_outputs are arrays of the graph, valid until it is destroyed. */
TW_NODISCARD TW_API tw_status tw_graph_parse(tw_graph *graph, const char *text, int *out_inputs_count,
                                             const tw_val **out_inputs, int *out_outputs_count,
                                             const tw_val **out_outputs);
TW_API void tw_string_free(tw_context *ctx, char *text);

#ifdef __cplusplus
}
#endif
#endif
