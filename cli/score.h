/* score.h - likelihood of rows, as score and eval need it. */
#ifndef THALWEG_CLI_SCORE_H
#define THALWEG_CLI_SCORE_H

#include "model.h"

typedef struct score {
    int64_t n;
    double nll, error;   /* nats a row: mean and its standard error */
    double bits_per_dim; /* NaN unless every value is a whole number */
    double bits_error;   /* its standard error, likewise */
    int64_t draws;       /* of noise that whole numbers were scored with; 0: none */
    double seconds;
    tw_ode_stats stats;
} score;

/* How many rows are worth scoring when nothing is said: networks see a row of pictures or tokens as many places. */
int64_t scored_rows(const model *m);
/* log_density (rows); conditions of the rows, or NULL. Shows a bar, stops for signals. With --dequantise, and pictures
 * without being asked, the mean over draws of noise. */
TW_NODISCARD tw_status score_rows(cli *c, const model *m, const tw_ode_desc *solver, int64_t rows, const double *values,
                                  const double *conditions, double *out_log_density, score *out_score);
/* Mean negative log-density of the rows under the exact density of a built-in set; NaN where there is none. */
double exact_nll(const tw_dataset *data, int64_t rows, int columns, const double *values);
void score_json(cJSON *object, const score *s, double exact);

/* Probes of a divergence: --probes, else as many as suit the model. */
int probes_of(const cli *c, const model *m);

/* A copy of `count` different rows, all in order when count == rows, else by chance: a pure function of --seed and
 * `draw`. NULL: no memory. To be freed with tw_free. */
double *random_rows(cli *c, uint64_t draw, int columns, int64_t rows, const double *values, int64_t count);
/* The same of a part of a data set, of pictures, too. */
double *random_rows_of(cli *c, uint64_t draw, const tw_dataset *data, tw_part part, int64_t count);
/* The conditions of the held-out rows that the same draw gives; NULL without any. */
double *random_conditions(cli *c, uint64_t draw, const held_out *held, const tw_flow_desc *about, int64_t count);

#endif
