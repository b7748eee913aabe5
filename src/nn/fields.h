/* nn/fields.h - what describes a network beside its kind, in one table (nn/network_fields.def), so that completion,
 * files, checkpoints, options and what is shown cannot forget a field. */
#ifndef TW_NN_FIELDS_H
#define TW_NN_FIELDS_H

#include "base/base.h"

#include <thalweg/nn.h>

typedef enum tw_network_field_id {
#define TW_NETWORK_FIELD(field, option, type, low, high, about) TW_FIELD_##field,
#include "nn/network_fields.def"
    TW_FIELD_COUNT
} tw_network_field_id;

typedef enum tw_field_type { TW_FIELD_INT, TW_FIELD_EVEN, TW_FIELD_LIST, TW_FIELD_NUMBER, TW_FIELD_FLAG } tw_field_type;

typedef struct tw_network_field {
    const char *name;
    tw_field_type type;
    double low, high;
    size_t in_desc; /* offset in tw_network_desc */
} tw_network_field;

extern const tw_network_field tw_network_fields[TW_FIELD_COUNT];

/* A field of a kind and what stands for zero there. */
typedef struct tw_field_default {
    tw_network_field_id field;
    double value[TW_NETWORK_LEVELS];
} tw_field_default;

enum { TW_FIELD_TEXT = 128 };
/* The field as text, "1,2,2" or "none": what files keep, and what tw_field_read reads. out holds TW_FIELD_TEXT. */
void tw_field_write(const tw_network_desc *desc, int field, char *out);
/* Sets a field of desc; failures name it and what was expected. */
TW_NODISCARD tw_status tw_field_read(tw_context *ctx, int field, const char *text, tw_network_desc *desc);

/* The fields of a kind behind one another: `count` of them; NULL for an unknown kind. */
const tw_field_default *tw_network_fields_of(const char *kind, int *out_count);

/* The fields that `fields` lists: zeros become defaults, ranges are checked; fields of other kinds must be zero. */
TW_NODISCARD tw_status tw_fields_complete(tw_context *ctx, const char *kind, int count, const tw_field_default *fields,
                                          tw_network_desc *desc);

#endif
