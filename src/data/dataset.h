/* data/dataset.h - the inside of a data set, and the built-in ones. */
#ifndef TW_DATA_DATASET_H
#define TW_DATA_DATASET_H

#include "base/philox.h"
#include "data/pictures.h"
#include "data/schema.h"
#include "data/table.h"

/* A density one can draw from and, mostly, evaluate. */
typedef struct tw_builtin {
    tw_builtin_info info;
    double entropy; /* nats; of a separable set those of a column */
    int classes;    /* squares, bumps, arms */
    /* A row and which of its classes it is of, by the words of the stream that are set aside for it. */
    int (*draw)(tw_random *random, double *out);
    double (*log_density)(const double *x); /* with respect to the volume of its space; NULL: not known. Of a separable
                                               set that of one column */
    int columns;                            /* 0: two */
    const char *const *names;               /* of the columns; NULL: x1, x2, ... */
    bool separable;                         /* columns are independent of each other, so that any of them are a set */
} tw_builtin;

static inline int tw_builtin_columns(const tw_builtin *b)
{
    return b->columns ? b->columns : 2;
}
/* Row `row` of the set that `seed` names, and its class: a pure function of both. */
int tw_builtin_draw(const tw_builtin *b, uint64_t seed, int64_t row, double *out);
const tw_builtin *tw_builtin_find(const char *name);

/* data/builtin.c draws, data/density.c evaluates; of spaces that are not flat data/builtin_manifold.c does both. */
enum { TW_ANGLES = 100 };
int tw_draw_rotations(tw_random *r, double *out);
int tw_draw_poses(tw_random *r, double *out);
int tw_draw_disc(tw_random *r, double *out);
int tw_draw_angles(tw_random *r, double *out);
double tw_density_rotations(const double *x);
double tw_density_disc(const double *x);
double tw_density_angles(const double *x);
double tw_density_checkerboard(const double *x);
double tw_density_8gaussians(const double *x);
double tw_density_moons(const double *x);
double tw_density_wrapped(const double *x);
double tw_density_spirals(const double *x);
double tw_density_pinwheel(const double *x);

/* The numbers of the sets, shared by drawing and density. */
#define TW_CHECKERBOARD_SCALE 0.45
#define TW_8GAUSSIANS_RADIUS  5.0
#define TW_8GAUSSIANS_VARIANCE                                                                                         \
    0.1 /* as its authors say; their code takes 0.1 for a squared variance and draws 0.316                             \
         */
#define TW_MOONS_NOISE         0.1
#define TW_SPIRALS_END         (3.0 * 3.14159265358979323846)
#define TW_SPIRALS_JITTER      0.5
#define TW_SPIRALS_SHRINK      3.0
#define TW_SPIRALS_NOISE       0.1
#define TW_WRAPPED_MIDDLE_0    2.5
#define TW_WRAPPED_MIDDLE_1    (-2.0)
#define TW_WRAPPED_SPREAD_0    0.7
#define TW_WRAPPED_SPREAD_1    0.8
#define TW_WRAPPED_SHARED      0.5
#define TW_PINWHEEL_ARMS       5
#define TW_PINWHEEL_RADIAL     0.3
#define TW_PINWHEEL_TANGENTIAL 0.1
#define TW_PINWHEEL_RATE       0.25
#define TW_PINWHEEL_SCALE      2.0

/* The first `columns` numbers of every row become bins (data/bins.c); a range that was not given is found. */
TW_NODISCARD tw_status tw_table_bin(tw_table *table, int columns, tw_bins *bins);
/* log of the probability of a pair of bins of a set of two columns. */
double tw_bin_log_mass(const tw_bins *bins, const tw_builtin *builtin, const double bin[2]);

/* An exact density of rows that were not drawn here, with memory of its own. */
typedef struct tw_known_density {
    double (*log_density)(const void *user, const double *x);
    void (*free)(tw_context *ctx, void *user);
    void *user;
} tw_known_density;
/* The data set owns it from now on. */
void tw_dataset_know_density(tw_dataset *dataset, const tw_known_density *known);

struct tw_dataset {
    tw_context *ctx;
    tw_known_density known; /* log_density NULL: none */
    tw_bins bins;           /* that the numbers were put into; count 0: none */
    tw_table table;         /* of pictures: names and notes alone, no values */
    int64_t part_rows[3];
    bool runs_on;              /* rows follow each other */
    const tw_builtin *builtin; /* NULL for files and memory */
    tw_conditions conditions;
    tw_schema schema;     /* of mixed columns, whose codes are the table; columns 0: rows are no such */
    tw_cells cells;       /* and its cells, in the order of the rows */
    tw_pictures pictures; /* image.height 0: rows are no pictures, they are in the table; so are those of levels */
};

/* A table of tokens, which it takes over, as a data set; its last `told` columns are conditions. */
TW_NODISCARD tw_status tw_dataset_of_tokens(tw_context *ctx, tw_table *table, int told, const tw_dataset_desc *desc,
                                            tw_dataset **out_dataset);

typedef enum tw_file_kind { TW_FILE_TEXT, TW_FILE_NPY, TW_FILE_NPZ } tw_file_kind;
/* By the first bytes, not the name. Kinds that look like data but are not read here are refused by name. */
TW_NODISCARD tw_status tw_file_kind_tell(tw_context *ctx, const char *path, tw_file_kind *out_kind);
/* All columns of a file of any of these kinds; an unknown name is told which built-in set it may mean. */
TW_NODISCARD tw_status tw_table_read(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                     tw_table *out_table);
/* desc->rows rows of a built-in set, drawn by desc->seed, and behind them their classes where conditions are asked for.
 */
TW_NODISCARD tw_status tw_builtin_table(tw_context *ctx, const tw_builtin *builtin, const tw_dataset_desc *desc,
                                        tw_table *out_table);
/* Reads a file of numbers (CSV, NPY, NPZ) and chooses its columns; rows keep their order, gaps are refused. */
TW_NODISCARD tw_status tw_table_open(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                     tw_table *out_table);
/* Makes a data set of pictures, which it takes over, whether it succeeds or not. With `names` the rows are for a model
 * of these columns, conditions last, and all for testing; of a set with files for testing, those. */
TW_NODISCARD tw_status tw_picture_set_make(tw_context *ctx, tw_pictures *pictures, const tw_dataset_desc *desc,
                                           int columns, const char *const *names, tw_dataset **out_dataset);
/* A file of mixed columns as a data set of codes (data/mixed.c). *out_dataset stays NULL when desc->mixed is
 * TW_MIXED_AUTO and every column holds numbers alone. */
TW_NODISCARD tw_status tw_dataset_open_mixed(tw_context *ctx, const char *path, const tw_dataset_desc *desc,
                                             tw_dataset **out_dataset);
/* What was found in mixed columns, NULL for other data; and the cells of a part, (rows, columns of the schema). */
const tw_schema *tw_dataset_schema(const tw_dataset *dataset);
const double *tw_dataset_cells(const tw_dataset *dataset, tw_part part);
/* Rows of pictures as they are kept: row `first` of a part and its followers, `*out_stride` bytes apart. NULL for
 * tables. */
const uint8_t *tw_dataset_bytes(const tw_dataset *dataset, tw_part part, size_t *out_stride);

#endif
