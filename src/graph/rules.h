/* graph/rules.h - the functions ops.def names, declared from the table itself. */
#ifndef TW_GRAPH_RULES_H
#define TW_GRAPH_RULES_H

#include "graph/node.h"

#define TW_OP(name, arity, flags, infer, jvp, transpose, evaluate)                                                     \
    bool tw_infer_##infer(tw_draft *d);                                                                                \
    tw_val tw_jvp_##jvp(tw_val node, const tw_val *args, const tw_val *tangents);                                      \
    void tw_transpose_##transpose(tw_val node, const tw_val *args, const bool *wanted, tw_val cotangent, tw_val *out); \
    void tw_eval_##evaluate(const tw_graph *g, const tw_node *node, const double *const *args, double *out);
#define TW_COMPOSITE(name, arity, flags, linear, infer, jvp, transpose, evaluate)                                      \
    tw_val tw_body_##name(const tw_draft *call);                                                                       \
    TW_OP(name, arity, flags, infer, jvp, transpose, evaluate)
#define TW_PRODUCER(name, arity, flags, infer, results, jvp, transpose, produce)                                       \
    bool tw_infer_##infer(tw_draft *d);                                                                                \
    int tw_results_##results(const tw_graph *g, const tw_node *node, int k, tw_type *out_type);                        \
    tw_val tw_jvp_##jvp(tw_val node, const tw_val *args, const tw_val *tangents);                                      \
    void tw_transpose_##transpose(tw_val node, const tw_val *args, const bool *wanted, tw_val cotangent, tw_val *out); \
    tw_status tw_produce_##produce(tw_graph *g, const tw_node *node, const double *const *args, double *out);
#include "graph/ops.def"

/* The rules derived from a body, for composites that have better ones for a part of their arguments. */
bool tw_infer_body(tw_draft *d);
tw_val tw_jvp_body(tw_val node, const tw_val *args, const tw_val *tangents);
void tw_transpose_body(tw_val node, const tw_val *args, const bool *wanted, tw_val cotangent, tw_val *out);

#endif
