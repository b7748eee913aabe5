/* data/reading.h - a CSV file half read: what table_csv.c gathers row by row and header.c judges at the end. */
#ifndef TW_DATA_READING_H
#define TW_DATA_READING_H

#include "data/table.h"

#include "io/csv.h"

/* A row kept as text. */
typedef struct tw_text_row {
    int64_t line;
    int count;
    tw_csv_field *field;
    char *bytes;
} tw_text_row;

typedef struct tw_reading {
    tw_context *ctx;
    const char *path;
    const tw_dataset_desc *desc;
    size_t limit;
    bool cells; /* every text is kept */
    double fraction;
    tw_text_row comment; /* the last line that began with # before the table */
    int64_t comments;
    tw_text_row preamble; /* a first line with fewer fields than the rest */
    tw_text_row first;    /* the first line with as many fields as the rest: header or row */
    tw_table table;       /* its rows: those after `first`; one place in front is reserved for it */
    int64_t capacity;
} tw_reading;

typedef enum tw_sort { TW_SORT_NUMBER, TW_SORT_GAP, TW_SORT_TEXT } tw_sort;

/* What a field is; *out_value is NaN for gaps and texts. */
tw_sort tw_field_sort(const tw_csv_field *field, double *out_value);
/* Parses a row's fields into `out` (stored columns only) and the columns' statistics. */
TW_NODISCARD tw_status tw_reading_take(tw_table *table, const tw_csv_field *fields, int64_t line, double *out);

tw_status tw_text_row_keep(tw_context *ctx, tw_text_row *row, int64_t line, int count, const tw_csv_field *fields);
void tw_text_row_free(tw_context *ctx, tw_text_row *row);

/* Whether `first` is a header as far as it alone can tell: 1 yes, 0 no, -1 the rest of the file decides. */
int tw_header_early(const tw_reading *reading);
/* Ends reading: header or not, names, notes. */
TW_NODISCARD tw_status tw_header_settle(tw_reading *reading);

#endif
