/* data/table.h - a table being made: numbers in rows, and for each column what its values looked like.
 *
 * Readers fill it (CSV, arrays), then data/dataset.c chooses columns, treats gaps and splits, all in place: the numbers
 * exist once. Gaps are NaN. A first row that may turn out to be a header keeps a reserved place in front. */
#ifndef TW_DATA_TABLE_H
#define TW_DATA_TABLE_H

#include "data/conditions.h"
#include "data/levels.h"

#include <thalweg/data.h>

typedef struct tw_notes {
    char **item;
    int64_t count, capacity;
} tw_notes;

tw_status tw_note(tw_context *ctx, tw_notes *notes, const char *format, ...) TW_PRINTF(3, 4);
void tw_notes_free(tw_context *ctx, tw_notes *notes);

typedef struct tw_table_column {
    char *name;
    int64_t numbers, texts, gaps;         /* values of each sort; infinities count as numbers */
    int64_t quoted;                       /* numbers that stood in quotes */
    int64_t text_at, gap_at, infinite_at; /* line (or row) of the first of each sort, 0: none */
    char text[64], infinite[32];          /* the first of each, cut to fit */
    int decimals;                         /* most digits after the point; -1: an exponent was seen, or unknown */
    int slot;                             /* place in a stored row, -1: not stored */
    tw_levels levels;                     /* texts, when the table keeps them: stored values are their numbers */
    tw_levels cells;                      /* every text, when the table keeps its cells */
} tw_table_column;

typedef struct tw_table {
    tw_context *ctx;
    char *path;      /* what errors call it */
    bool has_lines;  /* places are lines of a text file; else rows, from 1 */
    bool has_header; /* names come from the file */
    char separator;  /* of a text file */
    bool keeps_texts;
    int columns, stride;
    int64_t rows;
    tw_table_column *column;
    double *storage; /* owned */
    double *values;  /* (rows, stride) inside storage */
    bool keeps_cells;
    int32_t *cell_storage; /* when it keeps its cells: beside storage, the numbers of their texts, -1: one too many */
    int64_t *line_storage; /* likewise a row, the line it begins at */
    tw_notes notes;
} tw_table;

void tw_table_free(tw_table *table);
/* Sets path and `columns` columns, every one stored, unnamed. */
tw_status tw_table_init(tw_table *table, tw_context *ctx, const char *path, int columns);
/* Counts one value into a column's statistics; `at` is its line or row. */
void tw_table_count(tw_table_column *column, double value, int64_t at);

/* Reads CSV text. Header, preamble and comments are understood here; see data/header.c for the rules. */
TW_NODISCARD tw_status tw_table_read_csv(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                         tw_table *out_table);
/* The same from memory, with a limit in bytes on the table (0: the default). */
TW_NODISCARD tw_status tw_table_parse_csv(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                          const tw_dataset_desc *desc, size_t limit, tw_table *out_table);
/* The same with every cell's text kept, tw_table_column.cells. */
TW_NODISCARD tw_status tw_table_read_cells(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                           tw_table *out_table);
/* From an array (rows, columns); takes `values` over (memory of the context), whether it succeeds or not. names may be
 * NULL. */
TW_NODISCARD tw_status tw_table_take_array(tw_context *ctx, const char *label, int64_t rows, int columns,
                                           double *values, const char *const *names, tw_table *out_table);

/* "x.csv:12" or "x.npy: row 12", for the front of an error. The result lives in `buffer`. */
typedef struct tw_place {
    char text[512];
} tw_place;
tw_place tw_table_place(const tw_table *table, int64_t at);

/* Bytes a table may take: 4 GiB or what the machine has free, whichever is less. */
size_t tw_table_limit(void);
tw_status tw_table_fail_size(tw_context *ctx, const char *path, double bytes, size_t limit);

/* --- columns: which of `count` columns the texts `columns` and `drop` of tw_dataset_desc choose, in the order they ask
 * for. *out_list (tw_free) holds numbers from 0. --- */
TW_NODISCARD tw_status tw_columns_choose(tw_context *ctx, const char *path, const char *columns, const char *drop,
                                         int count, const char *const *names, int **out_list, int *out_count);
/* The columns that the text of one option names. */
TW_NODISCARD tw_status tw_columns_find(tw_context *ctx, const char *path, const char *option, const char *text,
                                       int count, const char *const *names, int **out_list, int *out_count);
/* The names of all columns (tw_free), which stay the table's; NULL: no memory. The column of a name, -1: there is none.
 */
const char **tw_table_names(const tw_table *table);
int tw_table_column_of(const tw_table *table, const char *name);
/* "no column 'agee', which the model needs: did you mean 'age'?"; `why` stands behind the name. */
tw_status tw_table_fail_no_column(const tw_table *table, const char *name, const char *why);
/* Names made unique and not empty, with notes; takes texts as a file gave them. */
TW_NODISCARD tw_status tw_columns_name(tw_table *table, const char *const *texts);

/* --- the steps after reading, in order --- */
/* Keeps the data columns that desc asks for, or all of numbers, and behind them the conditions, which it counts. */
TW_NODISCARD tw_status tw_table_choose(tw_table *table, const tw_dataset_desc *desc, int *out_conditions);
/* Keeps the columns of these names; without a header by their place. The last `conditions` of them are told, not drawn.
 */
TW_NODISCARD tw_status tw_table_choose_like(tw_table *table, int columns, int conditions, const char *const *names,
                                            tw_missing missing);
/* Keeps the columns of `list`, in that order. */
TW_NODISCARD tw_status tw_table_keep(tw_table *table, const int *list, int count);
/* Errors or drops rows by the policy; TW_MISSING_MEDIAN leaves the gaps for tw_table_fill. */
TW_NODISCARD tw_status tw_table_treat_gaps(tw_table *table, tw_missing policy);
/* Fills gaps by the medians over the first `train` rows. */
TW_NODISCARD tw_status tw_table_fill(tw_table *table, int64_t train);
/* Puts rows in an order drawn from seed and tells how many belong to each part. */
TW_NODISCARD tw_status tw_table_split(tw_table *table, const double share[3], uint64_t seed, int64_t out_rows[3]);
/* Puts rows of `width` bytes in the order that seed draws: the same for any width. */
TW_NODISCARD tw_status tw_split_order(tw_context *ctx, void *data, int64_t rows, size_t width, uint64_t seed);
/* Parts of n rows: validation and test are their shares rounded down, the rest is for training; never empty. */
TW_NODISCARD tw_status tw_split_sizes(tw_context *ctx, int64_t rows, const double share[3], int64_t out_rows[3]);

/* --- conditions (data/conditions.c) --- */
/* Which columns `desc->conditions` names: *out_list (tw_free) holds numbers from 0. */
TW_NODISCARD tw_status tw_conditions_choose(const tw_table *table, const tw_dataset_desc *desc, int **out_list,
                                            int *out_count);
/* Whether the columns of the list can be conditions, or a sentence. */
TW_NODISCARD tw_status tw_conditions_check(const tw_table *table, tw_missing missing, const int *list, int count);
/* Takes the last `count` columns of a table, whose rows are in their final order, out of it as conditions. Numbers are
 * standardised by the first `train` rows. `like` (count of them) are a model's, whose classes must not be exceeded;
 * NULL: found here. */
TW_NODISCARD tw_status tw_conditions_split(tw_table *table, int count, int64_t train, const tw_condition *like,
                                           tw_conditions *out_conditions);

#endif
