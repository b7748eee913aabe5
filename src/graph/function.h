/* graph/function.h - functions as values: a graph of its own with inputs and outputs, called by nodes of other graphs.
 *
 * A function never changes once closed and is counted: every graph that calls it holds it. Its body sees its inputs
 * only; what it needs of the calling graph is handed over as an argument. Nodes that call functions have several
 * results and are therefore producers (ops.def); `part` nodes project them. */
#ifndef TW_GRAPH_FUNCTION_H
#define TW_GRAPH_FUNCTION_H

#include "graph/node.h"

typedef struct tw_function {
    tw_context *ctx;
    int32_t references;
    int32_t depth;   /* 1, or one more than the deepest function it calls */
    tw_graph *graph; /* NULL: a custom function, described by `custom` */
    int inputs_count, outputs_count;
    tw_val *inputs, *outputs; /* one array */
    tw_custom custom;
} tw_function;

/* Functions in functions: printing, lowering and running recurse that deep. */
enum { TW_FUNCTION_DEPTH_MAX = 64 };

void tw_function_release(tw_function *f);
/* Makes `f` one of the functions of `g`; returns its number there, or -1 when memory is short. */
int32_t tw_graph_adopt(tw_graph *g, tw_function *f);
/* Function `number` of g, or NULL. */
tw_function *tw_graph_function(const tw_graph *g, int32_t number);
/* Function i of a node that calls functions; inference has seen that it exists. */
tw_function *tw_node_function(const tw_graph *g, const tw_node *node, int i);

/* Takes the graph of a body whose outputs depend on these inputs only. The graph belongs to the function, and is
 * destroyed on failure. */
TW_NODISCARD tw_status tw_function_close(tw_graph *body, int inputs_count, const tw_val *inputs, int outputs_count,
                                         const tw_val *outputs, tw_function **out_function);
/* The same for rules that work on a graph `g`: an empty body graph (NULL when g has failed), and its function's number
 * in g, -1 with g failed and the sentence begun by `who` otherwise. */
tw_graph *tw_body_begin(tw_graph *g);
int32_t tw_body_end(tw_graph *g, const char *who, tw_graph *body, int inputs_count, const tw_val *inputs,
                    int outputs_count, const tw_val *outputs);
/* A function written by a callback on inputs of these types, as number of g. */
int32_t tw_body_write(tw_graph *g, const char *who, tw_build_fn body, void *user, int inputs_count,
                      const tw_type *inputs, int outputs_count);

/* A function of values that stand in a graph: `outputs` (one at least) as a function of `inputs`, which are stand-ins
 * made by tw_input, and of what else they need, the captures. */
typedef struct tw_closure {
    int inputs_count, outputs_count, captures_count;
    const tw_val *inputs;
    tw_val *outputs;
    tw_val *args; /* captures, then inputs */
} tw_closure;
/* Finds the captures; false with g failed when that cannot be. The caller sets inputs and outputs, and closes. */
bool tw_closure_open(tw_closure *c, tw_graph *g);
void tw_closure_close(tw_closure *c, const tw_graph *g);
/* The tw_build_fn of a closure, `user`: its inputs are the captures, then those of the closure. */
void tw_closure_body(void *user, tw_graph *g, const tw_val *inputs, tw_val *outputs);

/* Writes the body into `to` with other inputs; false and `to` failed when that cannot be. */
bool tw_function_inline(const tw_function *f, tw_graph *to, const tw_val *args, tw_val *out);
/* Writes body and forward derivative into `to`: out[k] is the tangent of output k, or none. tangents[i] may be none. */
bool tw_function_tangents(const tw_function *f, tw_graph *to, const tw_val *args, const tw_val *tangents, tw_val *out);
/* Writes body and transpose into `to`: placeholders stand in for the wanted inputs (args[i] is replaced), cotangents[k]
 * of output k may be none; out[i] is the cotangent of a wanted input, or none. */
bool tw_function_cotangents(const tw_function *f, tw_graph *to, tw_val *args, const bool *wanted,
                            const tw_val *cotangents, tw_val *out);
/* Node `id` of `from` once more in `to`, on arguments of `to`; functions it calls are adopted. */
tw_val tw_transplant(tw_graph *to, const tw_graph *from, int32_t id, const tw_val *args);
/* Functions a draft copied from a node of `from` calls become functions of `to`. */
void tw_adopt_functions(tw_graph *to, const tw_graph *from, tw_draft *d);
/* varies[k] = output k has a derivative in the inputs named by active[i] (not through whole numbers, stop_gradient...).
 */
bool tw_function_varies(const tw_function *f, const bool *active, bool *varies);
/* used[i] = an output depends on input i. */
bool tw_function_uses(tw_graph *body, int inputs_count, const tw_val *inputs, int outputs_count, const tw_val *outputs,
                      bool *used);

/* (T,...) for T rows of a shape; of rank -1, which no node can have, when that is one axis too many. */
tw_shape tw_stacked(tw_shape shape, int64_t count);
tw_type tw_type_of(tw_val v);
bool tw_type_equal(tw_type a, tw_type b);
static inline tw_type tw_function_input(const tw_function *f, int i)
{
    return tw_type_of(f->inputs[i]);
}
static inline tw_type tw_function_output(const tw_function *f, int k)
{
    return tw_type_of(f->outputs[k]);
}
/* The argument types of a function called by argument `first` and following ones; false and g failed otherwise. */
bool tw_infer_arguments(tw_draft *d, const tw_function *f, int first);

/* --- producers and their parts --- */
/* Result k of a producer. */
tw_val tw_part_at(tw_val producer, int k);
int tw_results_count(tw_val producer);
tw_type tw_result_type(tw_val producer, int k);
/* Elements of all results together. */
int64_t tw_results_size(const tw_graph *g, const tw_node *node);
/* A producer of given values. */
tw_val tw_tuple(tw_graph *g, int count, const tw_val *values);
/* Part k of a tangent or cotangent tuple, none when it is zero. */
tw_val tw_part_or_none(tw_val tuple, int k);
/* What a producer itself is: no elements. Returns true, so that inference may end with it. */
bool tw_infer_nothing(tw_draft *d);
/* Appends a producer whose attributes are given and hands out its first `count` parts. */
tw_val tw_produce(tw_graph *g, tw_op op, const tw_attr *attr, int args_count, const tw_val *args);
void tw_parts(tw_val producer, int count, tw_val *out);
/* Every value none. */
void tw_no_values(tw_graph *g, int count, tw_val *out);
/* tw_scan of more steps than a segment has (segments.c). */
void tw_scan_segments(tw_graph *g, const tw_scan_desc *desc, int64_t length, tw_val *out_carries, tw_val *out_ys);

#endif
