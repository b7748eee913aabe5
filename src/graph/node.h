/* graph/node.h - the inside of a graph: nodes, attributes, the op table.
 *
 * One row of ops.def declares an op: enum, name, arity, flags, and the functions for shape inference, forward
 * derivative, transpose and reference evaluation are all taken from it. A node is never changed after it was made.
 */
#ifndef TW_GRAPH_NODE_H
#define TW_GRAPH_NODE_H

#include "base/base.h"

#include <thalweg/graph.h>

typedef enum tw_op {
#define TW_OP(name, arity, flags, infer, jvp, transpose, evaluate)                TW_OP_##name,
#define TW_COMPOSITE(name, arity, flags, linear, infer, jvp, transpose, evaluate) TW_OP_##name,
#define TW_PRODUCER(name, arity, flags, infer, results, jvp, transpose, produce)  TW_OP_##name,
#include "graph/ops.def"
    TW_OP_COUNT
} tw_op;

enum {
    TW_OPF_ELEMENTWISE = 1, /* output element i depends on element i of each argument (all of one shape) */
    TW_OPF_LINEAR = 2,      /* linear in every argument together (add, sub, neg, shape ops, sums); indices aside */
    TW_OPF_BILINEAR = 4,    /* linear in each argument alone (mul, dot_general) */
    TW_OPF_COMMUTES = 8,    /* arguments may be swapped: sorted by id when made */
    TW_OPF_NO_DERIVATIVE = 16,
    TW_OPF_LEAF = 32,
    TW_OPF_COMPOSITE = 64, /* has a body; compilation replaces it by that where it has no kernel for it */
    TW_OPF_ATTR = 128,     /* carries attributes: tw_node_attr is not NULL */
    TW_OPF_PRODUCER = 256, /* makes several results, each projected by a node of op `part` (part.c) */
};

#define TW_MAX_ARGS 4

/* Attributes, by op (all else zero):
 *   input        name (offset into graph->names), number (unique)
 *   const        data (offset into graph->data); scalars and arrays alike
 *   iota, argmax, cumsum, reverse, concat, softmax...   axis[0] = the axis
 *   take_along_axis, scatter_add_along_axis   axis[0]
 *   argsort      axis[0], number: 1 in falling order; the shape says how many
 *   fft          axis_mask, number: 1 inverse, value = factor
 *   rfft, irfft  axis[0], value = factor; irfft's shape says how many points
 *   triangular_solve   number = form (graph/linalg.h)
 *   random_bits  number = stream
 *   broadcast    none: argument has the rank of the result, dims equal or 1
 *   transpose    axis[] = permutation
 *   sum, reduce_max   axis_mask = axes reduced away
 *   slice        begin[], stride[] (ends follow from the shape)
 *   pad          begin[] = low, end[] = high, stride[] = interior, value
 *   dot_general  batch_count, contract_count, axis[] = batch axes of a then contracted axes of a, axis_b[] likewise of
 * b
 *   conv, conv_input, conv_weights   per axis of space: stride[], begin[] = low and end[] = high padding, dilation[];
 * number = groups
 *   part         number = which result
 *   call, custom_call, scan, cond, while   function[] (function.h); scan, while: consts, carries; scan: length,
 *                reversed; call: recompute
 *   cross_entropy...   value = class that does not count
 *   normalise...       axis[0] = first of the axes, number = groups, option = 1 mean taken off, 2 scale first, value =
 * epsilon rotary             axis[0] = axis of positions, option = tw_rotary_layout scatter_add_rows, reshape, cast:
 * the node's own shape and dtype say it all
 */
typedef struct tw_attr {
    int64_t begin[TW_MAX_RANK];
    int64_t end[TW_MAX_RANK];
    int64_t stride[TW_MAX_RANK];
    int64_t dilation[TW_MAX_SPATIAL];
    int8_t axis[TW_MAX_RANK];
    int8_t axis_b[TW_MAX_RANK];
    int8_t batch_count, contract_count;
    uint32_t axis_mask;
    uint32_t number;
    uint32_t option; /* a choice between ways: see the op */
    int64_t data;
    int64_t name;
    double value;
    int32_t function[2]; /* numbers in graph->functions */
    int32_t consts, carries;
    int64_t length;
    bool reversed, recompute;
} tw_attr;

typedef struct tw_draft tw_draft;
/* What a node is to be instead of itself (none: as it stands), given its completed draft. */
typedef tw_val (*tw_rewrite_fn)(const tw_draft *draft);

typedef struct tw_node {
    uint8_t op;
    uint8_t dtype;
    int32_t args_count; /* may exceed TW_MAX_ARGS (concat): then args[0] is an offset into graph->extra */
    int32_t args[TW_MAX_ARGS];
    int32_t attr; /* number in graph->attrs, or -1 */
    uint32_t hash;
    tw_shape shape;
} tw_node;

struct tw_graph {
    tw_context *ctx;
    tw_node *nodes;
    int64_t count, capacity;
    tw_attr *attrs;
    int64_t attrs_count, attrs_capacity;
    int32_t *extra; /* long argument lists */
    int64_t extra_count, extra_capacity;
    char *names; /* zero-terminated input names, one after another */
    int64_t names_count, names_capacity;
    unsigned char *data; /* constants, each 16-byte aligned within */
    int64_t data_count, data_capacity;
    int32_t *table; /* hash table of node ids, open addressing, -1 empty */
    int64_t table_size;
    uint32_t inputs_count;
    struct tw_function **functions; /* held: called by nodes */
    int64_t functions_count, functions_capacity;
    tw_val *parsed;        /* arrays handed out by tw_graph_parse */
    tw_rewrite_fn rewrite; /* while set: asked for every new node, after inference */
    tw_status status;      /* first error */
    char place[128];       /* where in a network the builder is, e.g. "block.3.weight"; named by errors */
    char error[512];
};

typedef struct tw_op_info tw_op_info;

/* What a new node would be: filled by the builder, completed (dtype, shape) and checked by inference. */
struct tw_draft {
    tw_graph *graph;
    tw_op op;
    int count;
    const tw_val *args;
    tw_attr attr;
    tw_dtype dtype;
    tw_shape shape;
};

/* Completes and checks a draft; on error calls tw_graph_fail and returns false. */
typedef bool (*tw_infer_fn)(tw_draft *draft);
/* The tangent of `node` given its arguments' tangents (none = zero; at least one is present). */
typedef tw_val (*tw_jvp_fn)(tw_val node, const tw_val *args, const tw_val *tangents);
/* Cotangents for the arguments marked linear (`wanted[i]`), written to out[i] (none = zero). */
typedef void (*tw_transpose_fn)(tw_val node, const tw_val *args, const bool *wanted, tw_val cotangent, tw_val *out);

/* Reference kernel: plain loops over doubles, whatever the dtype (u32 and bool are exact in a double). */
typedef void (*tw_evaluate_fn)(const tw_graph *g, const tw_node *node, const double *const *args, double *out);

/* A composite in other ops: its value for the arguments and attributes of the draft. */
typedef tw_val (*tw_body_fn)(const tw_draft *call);

/* A number type and a shape. */
typedef struct tw_type {
    tw_dtype dtype;
    tw_shape shape;
} tw_type;

/* How many results a producer has; the type of result k goes to *out_type (NULL: only count). */
typedef int (*tw_results_fn)(const tw_graph *g, const tw_node *node, int k, tw_type *out_type);
/* Reference evaluation of a producer: all results one after another in `out`. */
typedef tw_status (*tw_produce_fn)(tw_graph *g, const tw_node *node, const double *const *args, double *out);

struct tw_op_info {
    const char *name;
    int arity; /* -1: any */
    unsigned flags;
    unsigned linear; /* composites: bit k where linear in argument k, in all such arguments together */
    tw_infer_fn infer;
    tw_jvp_fn jvp;             /* NULL: linear ops apply themselves to the tangents, or no derivative */
    tw_transpose_fn transpose; /* NULL: not linear in anything */
    tw_evaluate_fn evaluate;   /* reference kernel (graph/reference.h); NULL: the body is run */
    tw_body_fn body;           /* composites */
    tw_results_fn results;     /* producers only, as `produce` */
    tw_produce_fn produce;
};

extern const tw_op_info tw_op_table[TW_OP_COUNT];

static inline const tw_node *tw_node_at(tw_val v)
{
    return &v.graph->nodes[v.id];
}
static inline const tw_node *tw_node_of(const tw_graph *g, int32_t id)
{
    return &g->nodes[id];
}
static inline const int32_t *tw_node_args(const tw_graph *g, const tw_node *n)
{
    return n->args_count <= TW_MAX_ARGS ? n->args : g->extra + n->args[0];
}
static inline const tw_attr *tw_node_attr(const tw_graph *g, const tw_node *n)
{
    return n->attr < 0 ? NULL : &g->attrs[n->attr];
}
/* Bytes of a constant node, in its dtype. */
static inline const void *tw_node_data(const tw_graph *g, const tw_node *n)
{
    return g->data + g->attrs[n->attr].data;
}
/* True when the node is a constant all of whose elements equal `value` (looks through broadcasts). */
bool tw_node_is_full_of(const tw_graph *g, int32_t id, double value);

/* If the node is a constant all of whose elements are equal (looks through broadcasts and reshapes), that element. */
bool tw_node_full_value(const tw_graph *g, int32_t id, double *out_value);
/* Element i of a constant node as a double (every dtype but f64 is narrower). */
double tw_const_element(const tw_graph *g, const tw_node *node, int64_t i);
/* Element i of an array of `dtype` as a double. */
double tw_load_element(const void *data, tw_dtype dtype, int64_t i);
/* The nearest bf16, ties to even, infinities beyond its range. */
uint16_t tw_bf16_round(float x);
/* Stores `value` as element i of an array of `dtype`, rounded or wrapped into it. */
void tw_store_element(void *data, tw_dtype dtype, int64_t i, double value);

/* A sum or product in double as a number of `dtype`: whole numbers stay in their 32 bits, reals are as they are. */
double tw_wrap(tw_dtype dtype, double value);

/* Says where in a network the builder is (copied, cut when long); "" for nowhere. */
void tw_graph_set_place(tw_graph *g, const char *path);

/* The one way a node comes to be: inference, simplification, hash-consing, append. */
tw_val tw_graph_append(tw_draft *draft);
/* The same without simplification: what the parser does, so that text says exactly which nodes there are. */
tw_val tw_graph_append_as_is(tw_draft *draft);
/* The node's op with the same attributes, dtype and shape on other arguments. */
tw_val tw_graph_remake(tw_val node, const tw_val *args);
/* Writes the arguments of node `id`, replaced by map[] (node -> node), to args; did any change? */
bool tw_map_args(tw_graph *g, int32_t id, const int32_t *map, tw_val *args);
/* A draft with the op, attributes, dtype and shape of a node. */
tw_draft tw_draft_of(tw_val node, const tw_val *args);
/* The value a simpler graph already has or can have for this (inferred) draft; none when there is nothing to gain. */
tw_val tw_simplify(const tw_draft *draft);

/* The outputs with every node between the inputs and them replaced as `rewrite` says; out_outputs may be outputs. */
TW_NODISCARD tw_status tw_rewrite(tw_rewrite_fn rewrite, int inputs_count, const tw_val *inputs, int outputs_count,
                                  const tw_val *outputs, tw_val *out_outputs);
/* For tw_rewrite: composites become their bodies, down to primitives. */
tw_val tw_write_out(const tw_draft *draft);

/* Appends `size` bytes to the constants (16-byte aligned; data NULL: zeros) and returns their offset, or -1. */
int64_t tw_graph_store(tw_graph *g, const void *data, int64_t size);
/* Appends an input name and returns its offset, or -1. */
int64_t tw_graph_store_name(tw_graph *g, const char *name);

/* Marks reach[id] = true for every node that depends on one of the inputs. `reach` has graph->count entries, zeroed. */
void tw_mark_dependent(const tw_graph *g, int count, const tw_val *inputs, bool *reach);
/* Marks need[id] = true for every node an output depends on. */
void tw_mark_needed(const tw_graph *g, int count, const tw_val *outputs, bool *need);
/* The same, but what the inputs themselves depend on is not needed. */
void tw_mark_between(const tw_graph *g, int inputs_count, const tw_val *inputs, int outputs_count,
                     const tw_val *outputs, bool *need);
/* The longest argument list of the graph, at least 1. */
int32_t tw_graph_max_args(const tw_graph *g);
/* Checks that every value belongs to one graph and returns its state; the graph goes to *out_graph. */
TW_NODISCARD tw_status tw_graph_of(const char *who, int count, const tw_val *values, tw_graph **out_graph);

/* Checks every invariant of a graph (tests, and after parsing): TW_ERR_INTERNAL with a sentence when one is broken. */
TW_NODISCARD tw_status tw_graph_verify(tw_graph *g);

/* --- small things every rule uses --- */
/* What arithmetic is done in. */
static inline bool tw_dtype_is_real(tw_dtype dtype)
{
    return dtype == TW_DTYPE_F32 || dtype == TW_DTYPE_F64;
}
/* Do values of this type move when what they depend on moves? */
static inline bool tw_dtype_has_tangent(tw_dtype dtype)
{
    return tw_dtype_is_real(dtype) || dtype == TW_DTYPE_BF16;
}
/* The type of their tangents: a rounded number moves among all numbers. */
static inline tw_dtype tw_dtype_tangent(tw_dtype dtype)
{
    return dtype == TW_DTYPE_BF16 ? TW_DTYPE_F32 : dtype;
}
static inline tw_val tw_val_of(tw_graph *g, int32_t id)
{
    return (tw_val){g, id};
}
bool tw_shape_is_valid(tw_shape shape); /* rank in [0, 8], no negative dims, size far from overflow */
/* "(2,3)", for sentences. */
typedef struct tw_shape_text {
    char text[TW_MAX_RANK * 21 + 3];
} tw_shape_text;
tw_shape_text tw_shape_show(tw_shape shape);
/* The place of element i of a row-major array along each axis, and back. */
void tw_shape_unravel(tw_shape shape, int64_t i, int64_t *index);
int64_t tw_shape_ravel(tw_shape shape, const int64_t *index);
/* a + b where either may be none, which is zero */
tw_val tw_sum_present(tw_val a, tw_val b);
/* The tangent (or cotangent) of v that is zero, and the one at hand or that. */
tw_val tw_tangent_zeros(tw_val v);
tw_val tw_tangent_or_zeros(tw_val tangent, tw_val v);
/* sum over the axes of a bit mask */
tw_val tw_sum_mask(tw_val x, uint32_t mask);
/* reshape and broadcast a reduced value back: the reduced axes of `shape` return as 1 and are stretched */
tw_val tw_spread(tw_val reduced, uint32_t mask, tw_shape shape);
tw_val tw_full_like(tw_val v, double value);
/* the unit vectors of the last axis for every row of (R,D): (R,D,D) */
tw_val tw_unit_vectors(tw_val x);
/* an elementwise op of two arguments brought to one shape */
tw_val tw_elementwise2(tw_op op, tw_val a, tw_val b);
tw_val tw_slice_given(tw_val x, const int64_t *begin, const int64_t *stride, tw_shape shape);
tw_val tw_transpose_axes(tw_val x, const int8_t *permutation);

#endif
