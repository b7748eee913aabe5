/* tables.h - models of tables with mixed columns: rows in the file's own format, drawn or filled in. */
#ifndef THALWEG_CLI_TABLES_H
#define THALWEG_CLI_TABLES_H

#include "model.h"

#include "data/schema.h"

/* What was found in the columns, as JSON, in a model of a table. */
#define FACT_SCHEMA "schema"

bool is_table(const model *m);
/* Reads it; the schema is the caller's to free. */
TW_NODISCARD tw_status table_schema(cli *c, const model *m, tw_schema *out_schema);
/* Tells what was found, a line a column. */
TW_NODISCARD tw_status say_reading(cli *c, const tw_schema *schema);
/* The rows of a file as codes of the model, in their order. */
TW_NODISCARD tw_status table_rows(cli *c, const model *m, const char *path, tw_dataset **out_data);
/* `thalweg sample` of such a model. Exit status. */
int sample_table(cli *c, model *m);

#endif
