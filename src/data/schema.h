/* data/schema.h - what the columns of a table hold, found in the file and kept with a model: kinds, levels, how values
 * are written, what is missing; cells as numbers, and rows of cells as codes for a model.
 *
 *   text of a cell   "Private", "2174", "2024-02-29", ""        as the file has it
 *   cell             a double: a number, days since 1970, the number of a level; NaN: missing
 *   code             what a model learns: numbers of standard normal size, degrees, and tokens
 *
 * A column of numbers becomes one code that is a number, unless a few values are all of it; values that stand out
 * (spikes, such as many zeros) and gaps are levels of a token beside it, whose level 0 says "a number". So nothing is
 * filled in: where the token says that there is none, the number is NaN. */
#ifndef TW_DATA_SCHEMA_H
#define TW_DATA_SCHEMA_H

#include "base/text.h"

#include "data/date.h"
#include "data/quantile.h"
#include "data/table.h"

typedef enum tw_column_kind {
#define TW_KIND(name, sort, about) TW_KIND_##name,
#include "data/kinds.def"
    TW_KIND_COUNT
} tw_column_kind;

typedef enum tw_kind_sort { TW_SORT_OF_NUMBERS, TW_SORT_OF_CYCLES, TW_SORT_OF_LEVELS, TW_SORT_OF_NOTHING } tw_kind_sort;

typedef struct tw_kind_info {
    const char *name;
    tw_kind_sort sort;
    const char *about;
} tw_kind_info;
const tw_kind_info *tw_kind_list(int index); /* in the order of tw_column_kind, NULL past the end */

typedef struct tw_schema_column {
    char *name;
    tw_column_kind kind;
    char *why;      /* of a column left out or of an uncommon choice; NULL: none */
    int64_t values; /* how many were seen, */
    int64_t gaps;   /* and how many cells without one; 0: none are ever missing */
    char *gap;      /* how the file writes it, "" mostly */
    /* of levels */
    int levels;
    char **level;  /* (levels) sorted */
    double *share; /* (levels) of the values; of numbers, of the spikes */
    /* of numbers and cycles */
    double low, high, distinct; /* of the values seen */
    bool heavy;                 /* tails far beyond the middle half */
    int spikes;                 /* values that stand out, or all there are, rising */
    double *spike;
    bool open;   /* there are values beside the spikes */
    double step; /* those are `low_open` and so many steps, 0: any numbers */
    double low_open, high_open;
    int decimals; /* digits behind the point, -1: written as short as can be */
    bool padded;  /* always so many, with zeros */
    tw_date_form date;
    char between;           /* of a date's day and time */
    tw_quantiles quantiles; /* of numbers beside spikes: to normal scores (tw_schema_fit) */
    /* Columns that make one point together, a place on the globe or the parts of a whole: the one that speaks for them,
     * and which of them this one is, from 0, which speaks; -1: it is alone. */
    int group, rank;
    double total; /* of shares: their sum */
    /* where its codes are, -1: it has none such. Those of a group are side by side by rank, longitude before latitude,
     * and its token is the speaker's */
    int number, token, symbols;
} tw_schema_column;

typedef struct tw_schema {
    tw_context *ctx;
    int columns;
    tw_schema_column *column;
    bool header; /* the file has one */
    char separator;
    int codes, numbers; /* of a row: first `numbers` numbers, then tokens */
} tw_schema;

/* A file as cells. */
typedef struct tw_cells {
    tw_context *ctx;
    int64_t rows;
    int columns;
    double *value; /* (rows, columns), of columns left out NaN */
    int64_t *line; /* (rows) where a row begins in the file */
    tw_notes notes;
} tw_cells;

/* Reads a file and finds what its columns hold; desc as for tw_dataset_open, of which header and separator matter.
 * `kinds` overrules: "age=integer, city=category, id=skip", NULL: nothing. Errors name file, line and column. */
TW_NODISCARD tw_status tw_schema_find(tw_context *ctx, const char *path, const tw_dataset_desc *desc, const char *kinds,
                                      tw_schema *out_schema, tw_cells *out_cells);
/* Reads a file that has (at least) the columns of a schema: by name, or without header by place. Levels and texts that
 * the schema does not know are errors, or, with `lenient`, missing and told in the notes. */
TW_NODISCARD tw_status tw_schema_read(const tw_schema *schema, const char *path, const tw_dataset_desc *desc,
                                      bool lenient, tw_cells *out_cells);
void tw_schema_free(tw_schema *schema);
void tw_cells_free(tw_cells *cells);

/* The number of a column, or -1. */
int tw_schema_column_of(const tw_schema *schema, const char *name);
/* A cell by its text; false: it cannot be one. */
bool tw_schema_parse(const tw_schema_column *column, const char *text, double *out_cell);
/* A cell as the file writes it, with quotes where needed; a line of names. Columns left out are not written. */
void tw_schema_write_cell(const tw_schema *schema, int column, double cell, tw_text *text);
void tw_schema_write_row(const tw_schema *schema, const double *cells, tw_text *text);
void tw_schema_write_header(const tw_schema *schema, tw_text *text);
/* What was found, a line a column, for people to read. */
void tw_schema_describe(const tw_schema *schema, tw_text *text);

/* As JSON, and back. */
void tw_schema_save(const tw_schema *schema, tw_text *text);
TW_NODISCARD tw_status tw_schema_load(tw_context *ctx, const char *json, tw_schema *out_schema);

/* --- codes ------------------------------------------------------------------------------------------------------- */

/* Fits the normal scores by the first `rows` rows. */
TW_NODISCARD tw_status tw_schema_fit(tw_schema *schema, const tw_cells *cells, int64_t rows, uint64_t seed);
/* A row of cells (columns) as codes (codes). Numbers of equal steps are spread over their step by the seed and the
 * number of the row. With `unknown` a missing cell is not known, all its codes are NaN; else it is missing. */
void tw_schema_encode(const tw_schema *schema, const double *cells, uint64_t seed, int64_t row, bool unknown,
                      double *out_codes);
void tw_schema_decode(const tw_schema *schema, const double *codes, double *out_cells);
/* Parts of a whole that `known` (columns) lacks are scaled to what its others leave, in `cells` and in whole steps. */
void tw_schema_agree(const tw_schema *schema, const double *known, double *cells);
/* Gives every column the places of its codes; done by all that make a schema. */
void tw_schema_lay_out(tw_schema *schema);
/* How many columns make a point with this one that speaks, itself counted. */
int tw_schema_group_size(const tw_schema *schema, int column);
/* Name of a code, for messages: that of its column. */
const char *tw_schema_code_name(const tw_schema *schema, int code);
/* The state space of codes as --space takes it, "euclidean*3 + sphere*2 + tokens:7". */
void tw_schema_space(const tw_schema *schema, tw_text *text);

#endif
