/* report.h - what eval found out, and how it is written down. */
#ifndef THALWEG_CLI_REPORT_H
#define THALWEG_CLI_REPORT_H

#include "distances.h"
#include "fid.h"
#include "lines.h"
#include "score.h"

typedef struct column_summary {
    double mean, sd, quantile[3]; /* 5, 50, 95 % */
} column_summary;

enum { COUNTED_ORDER = 5 };

typedef struct report {
    const model *m;
    const held_out *held;
    score score;
    double exact;   /* mean negative log-density of the exact density, NaN */
    double counted; /* of texts: the same of n-grams of COUNTED_ORDER, counted in the training part; NaN */
    const comparison *compared;
    const char *units;
    const column_summary *of_samples, *of_data; /* (columns), NULL for pictures */
    const judgement *judged;                    /* of pictures, else NULL */
    const fid *fid;                             /* likewise */
    const lines *lines;                         /* of tokens, else NULL */
    double seconds;
    const char *report_path, *clouds_path, *flow_path, *density_path, *samples_path; /* NULL where there is none */
} report;

/* mean, sd and quantiles of each column of (rows, columns) into out (columns). */
TW_NODISCARD tw_status summarise(tw_context *ctx, int columns, int64_t rows, const double *values, column_summary *out);

void report_text(const report *r, tw_text *out);
/* To be deleted by the caller. */
cJSON *report_json(const report *r);

#endif
