/* thalweg/data.h - data sets: a table of numbers with names, or pictures, split into parts, standardised.
 *
 * A data set comes from a file (CSV, TSV, NPY, NPZ; gzip too), from memory, or from a built-in density. Its rows are
 * split by seed into training, validation and test parts; the normaliser is fitted on the training part alone.
 * Pictures (IDX files and folders of MNIST's kind, CIFAR's binary files, folders of PNG and JPEG files, arrays of bytes
 * (N,H,W), (N,H,W,C) or (N,C,H,W)) are rows of height x width x channels numbers, kept
 * as bytes; their label is the condition "class", and files set apart for testing are the test part. */
#ifndef THALWEG_DATA_H
#define THALWEG_DATA_H

#include <thalweg/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum tw_missing {
    TW_MISSING_AUTO,   /* drop rows with gaps when they are at most 5 % of the rows (and say so), else an error */
    TW_MISSING_ERROR,  /* refuse the file, naming the first gap */
    TW_MISSING_DROP,   /* drop rows with gaps */
    TW_MISSING_MEDIAN, /* fill with the column's median over the training part */
    TW_MISSING_KEEP    /* tw_dataset_open_like: leave them, as NaN */
} tw_missing;

/* Whether a file is read as a table of mixed columns: kinds are found, texts are levels, gaps a part of the data, and
 * the rows of the data set are codes of numbers and tokens, for a flow on their product. */
typedef enum tw_mixed {
    TW_MIXED_NO,
    TW_MIXED_AUTO, /* when a column is a category, yes/no, a date, an angle or a place, or has gaps or few values */
    TW_MIXED_YES
} tw_mixed;

typedef enum tw_header { TW_HEADER_AUTO, TW_HEADER_YES, TW_HEADER_NO } tw_header;

typedef enum tw_part { TW_PART_TRAIN, TW_PART_VALIDATION, TW_PART_TEST, TW_PART_ALL } tw_part;

/* A column that a flow is told, beside those it draws: a class or a number. */
typedef struct tw_condition {
    const char *name;
    int classes;              /* how many; 0: a number */
    const char *const *level; /* (classes) their texts, in order */
    double mean, scale;       /* of a number: the network sees (value - mean) / scale */
} tw_condition;

/* Bins of equal width, which make whole numbers, 0 to count - 1, of any. */
typedef struct tw_bins {
    int count;
    double low, high;
} tw_bins;
/* The bin a number lies in; the outermost ones have what lies beyond. */
TW_API int tw_bin_of(const tw_bins *bins, double value);
TW_API double tw_bin_middle(const tw_bins *bins, int bin);

typedef struct tw_dataset_desc {
    const char *columns; /* "a,b,c" or numbers from 1 "1,3-5"; NULL: every column of numbers */
    const char *drop;    /* columns left out, same form */
    /* Columns that are conditions and no data, same form. Texts are classes, and so are numbers when they are whole and
     * at most 64 different ones; built-in sets have "class". NULL: of pictures with labels their "class", else none;
     * "none": none. */
    const char *conditions;
    const tw_condition *known_conditions; /* for testing: those of the model, all to be found in the file */
    int known_conditions_count;
    bool for_testing; /* tw_dataset_from_tokens: all rows are, in the order of the file; tw_dataset_open_like does so */
    tw_header header;
    char separator; /* 0: guessed */
    tw_missing missing;
    double split[3];    /* shares of training, validation, test; all 0: 0.8, 0.1, 0.1 */
    uint64_t seed;      /* of the split, and of the draws of built-in sets */
    int64_t rows;       /* built-in sets: rows to draw, 0: 500000 */
    const char *array;  /* NPZ: name of the member, NULL: the only one */
    int size;           /* pictures are cut to a square in the middle and made size x size; 0: as they are */
    const char *labels; /* of pictures: CSV file with the name of a file and its class in each row; NULL: by folders */
    bool strict;        /* a damaged picture is an error; else it is left out and said */
    tw_bins bins; /* count above 0: numbers of a table become the bins they lie in; low and high both 0: from the least
                     number to the greatest. Not for pictures */
    tw_mixed mixed;
    const char *kinds;    /* of mixed columns, overruling what is found: "age=integer,city=category,id=skip"; NULL */
    tw_image known_image; /* tw_dataset_open_like: what the model's pictures are */
    /* Rows follow each other, as pieces of one text do: training has the first of them, validation those behind, tests
     * the last, in their order; a training on tokens takes rows that begin anywhere in between. */
    bool runs_on;
} tw_dataset_desc;

typedef struct tw_dataset tw_dataset;

/* Opens a file or a built-in set ("checkerboard", "8gaussians", "moons", "spirals", "pinwheel"; tw_builtin_list; a file
 * of such a name is opened as "./moons"). The kind of file is told by its first bytes. Without `columns`, columns that
 * hold text (fewer than half of their values are numbers) are left out and said in the notes. Gaps: nothing, NA, N/A,
 * NaN, null, ?, -. Validation and test get their shares of the rows rounded down, training the rest, which is never
 * empty. Errors name file, line and column. */
TW_NODISCARD TW_API tw_status tw_dataset_open(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                              tw_dataset **out_dataset);
/* From memory: values (rows, columns), copied; names may be NULL ("x1", "x2", ...). */
TW_NODISCARD TW_API tw_status tw_dataset_from_memory(tw_context *ctx, int64_t rows, int columns, const double *values,
                                                     const char *const *names, const tw_dataset_desc *desc,
                                                     tw_dataset **out_dataset);
/* A file read with a model's columns (scoring): all rows, in their order, in TW_PART_ALL and TW_PART_TEST; no split.
 * Columns are found by name when the file has a header, else by position. `columns`, `drop` and `split` of desc do not
 * matter; TW_MISSING_MEDIAN is refused, as there are no training rows. */
TW_NODISCARD TW_API tw_status tw_dataset_open_like(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                                   int columns, const char *const *names, tw_dataset **out_dataset);
TW_API void tw_dataset_destroy(tw_dataset *dataset);

TW_API int tw_dataset_columns(const tw_dataset *dataset);
TW_API const char *tw_dataset_name(const tw_dataset *dataset, int column);
TW_API int64_t tw_dataset_rows(const tw_dataset *dataset, tw_part part);
/* Rows of a part, (rows, columns) row-major doubles, original units; valid as long as the data set. Parts lie one
 * behind the other, so TW_PART_ALL is contiguous too. NULL for pictures, which are kept as bytes: tw_dataset_read. */
TW_API const double *tw_dataset_values(const tw_dataset *dataset, tw_part part);
/* `count` rows of a part from row `first` on, of tables and of pictures: out (count, columns). */
TW_NODISCARD TW_API tw_status tw_dataset_read(const tw_dataset *dataset, tw_part part, int64_t first, int64_t count,
                                              double *out);
/* What the rows are when they are pictures; NULL when they are not. */
TW_API const tw_image *tw_dataset_image(const tw_dataset *dataset);
/* Sentences worth telling the user once: columns left out, rows dropped, constant columns, preamble skipped. */
TW_API int tw_dataset_notes_count(const tw_dataset *dataset);
TW_API const char *tw_dataset_note(const tw_dataset *dataset, int index);
/* Digits after the decimal point that write column values as the file had them (largest seen, at most 17; -1 unknown).
 */
TW_API int tw_dataset_decimals(const tw_dataset *dataset, int column);

/* The bins that numbers were put into, with their range; NULL: none. */
TW_API const tw_bins *tw_dataset_bins(const tw_dataset *dataset);

/* Conditions: how many, what they are (NULL past the end), and their values (rows, count) beside those of the same
 * part: the number of a class, or a number as it stands in the data. Valid as long as the data set. */
TW_API int tw_dataset_conditions_count(const tw_dataset *dataset);
TW_API const tw_condition *tw_dataset_condition(const tw_dataset *dataset, int index);
TW_API const double *tw_dataset_condition_values(const tw_dataset *dataset, tw_part part);

/* Exact log-density (nats) of a built-in set at x (columns), -infinity where it vanishes or is below the range of
 * numbers; false when the set has none or this is a file. Of bins it is the log-probability. */
TW_API bool tw_dataset_log_density(const tw_dataset *dataset, const double *x, double *out_log_density);
/* Exact differential entropy (nats) where known; not of bins. */
TW_API bool tw_dataset_entropy(const tw_dataset *dataset, double *out_entropy);

/* Built-in sets: name, one line about, source. NULL past the end. */
typedef struct tw_builtin_info {
    const char *name, *about, *source;
} tw_builtin_info;
TW_API const tw_builtin_info *tw_builtin_list(int index);

#ifdef __cplusplus
}
#endif
#endif
