/* model.h - the model a verb works on, and the data it was trained on. */
#ifndef THALWEG_CLI_MODEL_H
#define THALWEG_CLI_MODEL_H

#include "cli.h"

enum { MODEL_PATH = 4096 };

/* Of rows of built-in sets that a model cannot have seen. */
#define FRESH_SEED UINT64_C(0x66726573)

/* Names of a run's files. */
#define MODEL_FILE      "model.safetensors"
#define CHECKPOINT_FILE "checkpoint.safetensors"
#define CONFIG_FILE     "config.yaml"
/* Facts the program keeps in a model beside those of training. */
#define FACT_DATA     "data"     /* its name, without folders */
#define FACT_SETTINGS "settings" /* config.yaml */
#define FACT_ROWS     "data_rows"
#define FACT_LEVELS   "levels" /* as --levels, with its range */

typedef struct model {
    char path[MODEL_PATH];   /* of the file */
    char folder[MODEL_PATH]; /* it lies in */
    char shown[MODEL_PATH];  /* as the user would name it: the run's folder, else the file */
    tw_flow *flow;
    const tw_flow_desc *about;
} model;

/* Opens --model, a run's folder or a file. EXIT_DONE, or complains. */
int model_open(cli *c, model *out_model);
/* The same with a folder or file that is named; complains of nothing. */
TW_NODISCARD tw_status model_open_at(tw_context *ctx, const char *given, model *out_model);
void model_close(model *m);

/* The settings of its training, to be freed with settings_free. */
TW_NODISCARD tw_status model_settings(tw_context *ctx, const model *m, settings *out);
/* What `settings` say about reading data. */
tw_dataset_desc dataset_desc_of(const settings *s, double split_memory[3]);

/* The bins that the model's tokens are of --levels; count 0: none. Then numbers become bins in place, gaps stay, and
 * bins become their middles, those yet masked NaN; values NULL: nothing. */
tw_bins model_bins(const model *m);
void model_to_bins(const model *m, int64_t count, double *values);
void model_from_bins(const model *m, int64_t count, double *values);

/* The data the model was trained on, with the same parts, when it is still there unchanged; else a sentence why not in
 * the context and TW_ERR_IO. */
TW_NODISCARD tw_status model_open_data(cli *c, const model *m, tw_dataset **out_data);

/* Rows of a file or a built-in set, or drawn on a mesh. */
TW_NODISCARD tw_status open_rows(tw_context *ctx, const settings *s, const char *path, const tw_dataset_desc *desc,
                                 tw_dataset **out_data);
/* The data a flow begins at, by --source-data, read and split as the data itself; nothing without that. */
TW_NODISCARD tw_status open_source(tw_context *ctx, const settings *s, tw_dataset **out_source);
/* That of the model's training, when it is still there. */
TW_NODISCARD tw_status model_open_source(cli *c, const model *m, tw_dataset **out_source);

/* All rows of a part as doubles: those of a table as they lie there, pictures read into *out_read (tw_free), which is
 * NULL for tables. */
TW_NODISCARD tw_status part_values(cli *c, const tw_dataset *data, tw_part part, double **out_read,
                                   const double **out_values);

/* Rows to compare the model with: --data, or the test part of its training data. */
typedef struct held_out {
    tw_context *ctx;
    tw_dataset *data;         /* owns what follows */
    tw_dataset *training;     /* the training data, NULL when it cannot be had; may be the same object as data */
    const double *values;     /* (rows, columns) */
    double *read;             /* owned: they were read from pictures; else NULL */
    const double *conditions; /* (rows, conditions of the model), NULL: none */
    int64_t rows;
    int columns;
    char label[MODEL_PATH]; /* "test part of housing.csv" */
} held_out;
TW_NODISCARD tw_status held_out_open(cli *c, const model *m, bool need_training, held_out *out_held);
void held_out_close(held_out *h);

bool is_builtin(const char *name);
/* Solvers by name, samplers among them; NULL when there is none. */
const tw_ode_method_info *ode_method(const char *name);
const tw_sde_method_info *sde_method(const char *name);
/* The solver part of --solver, --steps, --rtol ...; false after a complaint about options that do not go together. With
 * --sde the method is one of stochastic equations. */
bool solver_of(const cli *c, tw_ode_desc *out_solver);
/* Tolerances nobody gave become those that suit the model: of pictures 1e-3, by which bytes change by less than one on
 * average and bits per dimension in the fourth digit, for 40 % of the evaluations; but not on a way back and forth. One
 * of tokens has methods of its own, and no tolerances of this kind. */
TW_NODISCARD tw_status solver_suit(const cli *c, const model *m, tw_ode_desc *solver);
/* The solver for what has no noise - likelihoods, pictures, paths: that one, or the default with --sde. */
tw_ode_desc solver_without_noise(const cli *c, const tw_ode_desc *solver);
/* Notes of a data set, once. */
void show_notes(cli *c, const tw_dataset *data);

/* A progress bar over rows that stops for signals: give &bar as the user of tw_sample_desc. Rows may be gone through
 * several times (once between frames): the bar counts the rounds. */
typedef struct row_bar {
    cli *c;
    const char *label;
    int rounds; /* 0: one */
    int round;  /* done so far */
    int64_t last;
} row_bar;
int on_rows(void *user, int64_t done, int64_t total);

#endif
