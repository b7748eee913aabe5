/* run.h - the folder of a training run: its files, its settings, what an earlier run left there. */
#ifndef THALWEG_CLI_RUN_H
#define THALWEG_CLI_RUN_H

#include "model.h"

typedef struct run_files {
    char folder[MODEL_PATH], model[MODEL_PATH], checkpoint[MODEL_PATH], previous[MODEL_PATH], config[MODEL_PATH],
        loss_png[MODEL_PATH], loss_csv[MODEL_PATH], samples_png[MODEL_PATH];
} run_files;

/* Where the run lives: --out, or runs/NAME of the data. With --resume the settings of the folder are taken below the
 * ones given; *out_resume tells whether there is a checkpoint to go on from, *out_finished that the run is already
 * done. Exit status. */
int run_locate(cli *c, run_files *out_files, bool *out_resume, bool *out_finished);
/* Whether the folder holds a run that is done. */
bool run_is_finished(const char *folder);
/* The first setting of the run in the folder that is another than in `now`, OPT_COUNT: none is, or there is no run.
 * What `now` does not give counts only for `whole`, as its standard. A sentence of it is left in `why`. */
option_id run_differs(const char *folder, const settings *now, bool whole, char *why, size_t size);
/* Refuses to replace the model of other data, or an unfinished run, without --force. */
TW_NODISCARD tw_status run_check_earlier(cli *c, const run_files *files);
/* Makes the folder, removes half-written files and, unless resuming, old checkpoints; writes config.yaml. That of a
 * resumed run stays: a checkpoint takes no other settings. */
TW_NODISCARD tw_status run_begin(cli *c, const run_files *files, bool resumed);
/* Removes the checkpoints of a finished run. */
void run_end(const run_files *files);
/* A fact of a model that is a number; NAN: it has none such. */
double fact_number(const tw_flow *flow, const char *name);
/* --resume of a finished run: says so, from the facts in its model. Exit status. */
int run_tell_finished(cli *c, const run_files *files);

#endif
