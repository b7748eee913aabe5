/* graph/attr.h - attributes as named fields: what print.c writes between braces and parse.c reads. */
#ifndef TW_GRAPH_ATTR_H
#define TW_GRAPH_ATTR_H

#include "graph/node.h"

typedef enum tw_field_kind {
    TW_FIELD_AXIS,
    TW_FIELD_PERMUTATION,
    TW_FIELD_MASK,
    TW_FIELD_BEGIN,
    TW_FIELD_END,
    TW_FIELD_STRIDE,
    TW_FIELD_NUMBER,
    TW_FIELD_OPTION,
    TW_FIELD_VALUE,
    TW_FIELD_BATCH_A,
    TW_FIELD_BATCH_B,
    TW_FIELD_CONTRACT_A,
    TW_FIELD_CONTRACT_B,
    TW_FIELD_SPACE_STRIDE, /* of a convolution: one number for each axis between the first and the last */
    TW_FIELD_SPACE_LOW,
    TW_FIELD_SPACE_HIGH,
    TW_FIELD_SPACE_DILATION,
    TW_FIELD_FUNCTION_A,
    TW_FIELD_FUNCTION_B,
    TW_FIELD_CONSTS,
    TW_FIELD_CARRIES,
    TW_FIELD_LENGTH,
    TW_FIELD_REVERSED,
    TW_FIELD_RECOMPUTE,
    TW_FIELD_KINDS
} tw_field_kind;

typedef struct tw_field {
    tw_op op;
    const char *name;
    tw_field_kind kind;
    bool is_list;
} tw_field;

/* The fields of all ops, those of one op together and in the order they are printed. */
extern const tw_field tw_fields[];
extern const int tw_fields_count;

/* Functions are written @0, @1, ...: the printer and the parser know which they are. */
static inline bool tw_field_is_function(tw_field_kind kind)
{
    return kind == TW_FIELD_FUNCTION_A || kind == TW_FIELD_FUNCTION_B;
}

/* A field as numbers: a list of up to TW_MAX_RANK whole ones, or (number, value) one. */
typedef struct tw_field_value {
    bool present;
    int count;
    int64_t list[TW_MAX_RANK];
    double number;
} tw_field_value;

tw_field_value tw_field_get(const tw_attr *attr, tw_field_kind kind, int rank);
/* Attributes from all fields of an op (indexed by kind); false when a number is out of range or counts disagree. `rank`
 * is that of the result. */
bool tw_attr_from_fields(const tw_field_value *values, tw_op op, int rank, tw_attr *out_attr);

#endif
