/* graph/rules.h - the functions ops.def names, declared from the table itself. */
#ifndef TW_GRAPH_RULES_H
#define TW_GRAPH_RULES_H

#include "graph/node.h"

#define TW_OP(name, arity, flags, infer, jvp, transpose, evaluate)                                                     \
    bool tw_infer_##infer(tw_draft *d);                                                                                \
    tw_val tw_jvp_##jvp(tw_val node, const tw_val *args, const tw_val *tangents);                                      \
    void tw_transpose_##transpose(tw_val node, const tw_val *args, const bool *wanted, tw_val cotangent, tw_val *out); \
    void tw_eval_##evaluate(const tw_graph *g, const tw_node *node, const double *const *args, double *out);
#define TW_COMPOSITE(name, jvp)                                                                                        \
    tw_val tw_body_##name(tw_val x);                                                                                   \
    tw_val tw_jvp_##jvp(tw_val node, const tw_val *args, const tw_val *tangents);
#include "graph/ops.def"

#endif
