/* quality.h - the quality report of tables: synthetic rows beside held-out and training rows, as text, JSON and one
 * HTML page with its pictures inside. */
#ifndef THALWEG_CLI_QUALITY_H
#define THALWEG_CLI_QUALITY_H

#include "model.h"

#include "eval/quality.h"

typedef struct quality_report {
    const tw_schema *schema; /* by which the rows were read, the caller's */
    tw_records held, training, samples;
    char title[MODEL_PATH];       /* "samples.csv against test.csv" */
    char floor_words[MODEL_PATH]; /* what the floors are */
    int target;                   /* -1: none */
    tw_quality found;
    double seconds;
    char text_path[MODEL_PATH], json_path[MODEL_PATH], page_path[MODEL_PATH], marginals_path[MODEL_PATH],
        associations_path[MODEL_PATH];
} quality_report;

/* Measures what stands in held, training, samples and title, by --target and --seed; writes report.txt, report.json,
 * report.html and their pictures into the folder and says the text. */
TW_NODISCARD tw_status quality_make(cli *c, quality_report *q, const char *folder);
void quality_free(cli *c, quality_report *q);
/* What --json prints. */
cJSON *quality_json(const quality_report *q);

/* `thalweg eval RUN` of a model of a table: exit status. */
int eval_table(cli *c, model *m);
/* `thalweg eval REAL.csv --samples FILE`: exit status. */
int eval_files(cli *c);
/* Whether a path is that of a file that is no model. */
bool is_file_of_rows(const char *path);

/* --- between quality.c and quality_page.c --- */

/* A number of the report; sd NaN: none. */
typedef struct quality_line {
    char name[96];
    tw_beside value, sd;
    const char *best; /* how to read it */
} quality_line;
enum { QUALITY_LINES = 10 };
int quality_lines(const quality_report *q, quality_line *out_lines);
/* "0.0213 +- 0.001". */
void quality_number(double value, double sd, char *out, size_t size);
void quality_page(const quality_report *q, const char *marginals, size_t marginals_size, const char *associations,
                  size_t associations_size, tw_text *out);

#endif
