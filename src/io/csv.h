/* io/csv.h - tables as text: CSV and TSV, plain or gzip, read once from front to back by libcsv.
 *
 * The reader hands out rows of fields as text with the line they start on; what a field means is data/'s business. */
#ifndef TW_IO_CSV_H
#define TW_IO_CSV_H

#include "base/base.h"
#include "base/text.h"

typedef struct tw_csv_desc {
    char separator;   /* 0: guessed among , ; tab | and blanks (' ': runs of blanks and tabs) from the first lines */
    char quote;       /* 0: '"' */
    double *fraction; /* when given, kept at the share of the file read so far (0 when it cannot be told) */
} tw_csv_desc;

/* One field; text is zero-terminated, surrounding blanks removed when it was not quoted. */
typedef struct tw_csv_field {
    const char *text;
    size_t length;
    bool quoted;
} tw_csv_field;

/* Receives row `row` (from 0) that starts on line `line` (from 1); blank lines are skipped. A failure stops reading and
 * is returned. The fields are valid during the call only. */
typedef tw_status (*tw_csv_row_fn)(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields);

/* Limits that keep memory bounded whatever the file holds. */
#define TW_CSV_MAX_FIELDS    100000
#define TW_CSV_MAX_ROW_BYTES (16u << 20)

/* Streams the file: memory does not grow with its length. Errors: missing, directory, empty ("x.csv: empty file"), not
 * UTF-8 text (line, column and byte), a zero byte, an unclosed quote (line where it opened), a row beyond the limits
 * above. A UTF-8 byte order mark is skipped; UTF-16 is refused by name. out_used (may be NULL) tells the separator and
 * quote used. */
TW_NODISCARD tw_status tw_csv_read(tw_context *ctx, const char *path, const tw_csv_desc *desc, tw_csv_row_fn on_row,
                                   void *user, tw_csv_desc *out_used);
/* The same from memory (never gzip); `label` names it in errors. */
TW_NODISCARD tw_status tw_csv_parse(tw_context *ctx, const char *label, const void *bytes, size_t size,
                                    const tw_csv_desc *desc, tw_csv_row_fn on_row, void *user, tw_csv_desc *out_used);

/* The separator among , ; tab | and ' ' that cuts the first lines of `bytes` into rows most evenly (',' when none
 * does). */
char tw_csv_guess_separator(const char *bytes, size_t size, char quote);

/* The place from 0 of the column that `wanted` names by a field of the first row, a header, or by its number from 1;
 * -1: there is none. */
int tw_csv_find_column(int count, const tw_csv_field *first, const char *wanted, bool header);

/* Appends one field, quoted when the separator, a quote, a line end or surrounding blanks make it necessary. */
void tw_csv_add_field(tw_text *text, const char *value, char separator);

#endif
