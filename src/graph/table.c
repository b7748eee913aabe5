/* graph/table.c - the op table itself, filled in from ops.def. */
#include "graph/rules.h"

#define tw_jvp_none       NULL
#define tw_transpose_none NULL
#define tw_eval_none      NULL

const tw_op_info tw_op_table[TW_OP_COUNT] = {
#define TW_OP(name_, arity_, flags_, infer_, jvp_, transpose_, evaluate_)                                              \
    [TW_OP_##name_] = {.name = #name_,                                                                                 \
                       .arity = arity_,                                                                                \
                       .flags = flags_,                                                                                \
                       .infer = tw_infer_##infer_,                                                                     \
                       .jvp = tw_jvp_##jvp_,                                                                           \
                       .transpose = tw_transpose_##transpose_,                                                         \
                       .evaluate = tw_eval_##evaluate_},
#define TW_COMPOSITE(name_, arity_, flags_, linear_, infer_, jvp_, transpose_, evaluate_)                              \
    [TW_OP_##name_] = {.name = #name_,                                                                                 \
                       .arity = arity_,                                                                                \
                       .flags = (flags_) | TW_OPF_COMPOSITE,                                                           \
                       .linear = linear_,                                                                              \
                       .infer = tw_infer_##infer_,                                                                     \
                       .jvp = tw_jvp_##jvp_,                                                                           \
                       .transpose = tw_transpose_##transpose_,                                                         \
                       .evaluate = tw_eval_##evaluate_,                                                                \
                       .body = tw_body_##name_},
#define TW_PRODUCER(name_, arity_, flags_, infer_, results_, jvp_, transpose_, produce_)                               \
    [TW_OP_##name_] = {.name = #name_,                                                                                 \
                       .arity = arity_,                                                                                \
                       .flags = (flags_) | TW_OPF_PRODUCER,                                                            \
                       .infer = tw_infer_##infer_,                                                                     \
                       .jvp = tw_jvp_##jvp_,                                                                           \
                       .transpose = tw_transpose_##transpose_,                                                         \
                       .results = tw_results_##results_,                                                               \
                       .produce = tw_produce_##produce_},
#include "graph/ops.def"
};
