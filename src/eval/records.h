/* eval/records.h - rows whose columns are numbers or categories, column after column: what tables are judged by.
 *
 * A number is a double, a category the number of its level; both are NaN where the value is missing. Columns of two
 * sets of records that are compared have the same sorts and the same levels. */
#ifndef TW_EVAL_RECORDS_H
#define TW_EVAL_RECORDS_H

#include "data/schema.h"

typedef struct tw_record_column {
    const char *name;
    int levels;               /* how many categories; 0: a column of numbers */
    const double *value;      /* (rows) */
    const char *const *level; /* (levels) their names, NULL: none */
} tw_record_column;

typedef struct tw_records {
    tw_context *ctx;
    int64_t rows;
    int columns;
    tw_record_column *column; /* owned */
    double *storage;          /* (columns, rows), owned; NULL: the values belong to somebody else */
} tw_records;

void tw_records_free(tw_records *records);

/* Fails unless there are rows and columns, numbers are finite or missing and categories are numbers of levels; `which`
 * names the set in the sentence. */
TW_NODISCARD tw_status tw_records_check(tw_context *ctx, const char *which, const tw_records *records);
/* Fails unless both have the same columns. */
TW_NODISCARD tw_status tw_records_check_alike(tw_context *ctx, const tw_records *a, const tw_records *b);

/* Rows of cells (rows, columns of the schema) as records; columns that the schema leaves out are none, names belong to
 * the schema. */
TW_NODISCARD tw_status tw_records_of_cells(const tw_schema *schema, int64_t rows, const double *cells, tw_records *out);
/* A copy of `count` rows, in the order of `row`; NULL: the first ones. */
TW_NODISCARD tw_status tw_records_take(const tw_records *from, int64_t count, const int64_t *row, tw_records *out);
/* A copy of a's rows, then b's. */
TW_NODISCARD tw_status tw_records_stack(const tw_records *a, const tw_records *b, tw_records *out);
/* All columns but one; the values stay `from`'s. */
TW_NODISCARD tw_status tw_records_without(const tw_records *from, int column, tw_records *out);

#endif
