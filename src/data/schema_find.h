/* data/schema_find.h - a column half judged: its different texts and what they could be. */
#ifndef TW_DATA_SCHEMA_FIND_H
#define TW_DATA_SCHEMA_FIND_H

#include "data/reading.h"
#include "data/schema.h"

/* One of the different texts of a column. */
typedef struct tw_seen_text {
    const char *text;
    int64_t count, line; /* of the first */
    tw_sort sort;
    double value; /* of a number, of a date in days */
    bool date;
    tw_date_form form;
    char between;
} tw_seen_text;

typedef struct tw_seen {
    const tw_table *table;
    int index; /* of the column */
    int64_t count;
    tw_seen_text *text;
    bool many;                           /* more different texts than are kept */
    int64_t numbers, dates, texts, gaps; /* cells; dates are texts, too */
    int64_t distinct_texts;
} tw_seen;

/* What the cells of a column are; free *out_seen->text. */
TW_NODISCARD tw_status tw_seen_gather(const tw_table *table, int index, tw_seen *out_seen);
/* The kind that fits best; out_why (memory of the context, may stay NULL) says why a column is left out. */
TW_NODISCARD tw_status tw_seen_kind(const tw_seen *seen, tw_column_kind *out_kind, char **out_why);
/* Fails where the cells of a column cannot be of a kind that was asked for. */
TW_NODISCARD tw_status tw_seen_check(const tw_seen *seen, tw_column_kind kind);
/* Fills in what a column of its kind is like: levels, or how numbers are written, their steps and spikes. */
TW_NODISCARD tw_status tw_seen_levels(const tw_seen *seen, tw_schema_column *column);
TW_NODISCARD tw_status tw_seen_numbers(const tw_seen *seen, tw_schema_column *column);

/* Reads column `index` again as a kind. */
typedef tw_status (*tw_schema_again_fn)(tw_schema *schema, const tw_table *table, int index, int kind);
/* Columns side by side that are parts of a whole, of 1 or 100 in every row, become shares, and so do those that were
 * asked to be (asked: kinds, -1: none), whatever their sum (data/schema_shares.c). */
TW_NODISCARD tw_status tw_schema_find_shares(tw_schema *schema, const tw_table *table, const int *asked,
                                             tw_schema_again_fn again);

#endif
