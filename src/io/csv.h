/* io/csv.h - tables as text: CSV and TSV, plain or gzip, read once from front to back by libcsv.
 *
 * The reader hands out rows of fields as text with the line they start on; what a field means is data/'s business. */
#ifndef TW_IO_CSV_H
#define TW_IO_CSV_H

#include "base/base.h"

typedef struct tw_csv_desc {
    char separator; /* 0: guessed among , ; tab | and blanks from the first lines */
    char quote;     /* 0: '"' */
} tw_csv_desc;

/* One field; text is zero-terminated, surrounding blanks removed when it was not quoted. */
typedef struct tw_csv_field {
    const char *text;
    size_t length;
    bool quoted;
} tw_csv_field;

/* Receives row `row` (from 0) that starts on line `line` (from 1); blank lines are skipped. A failure stops reading and is returned. */
typedef tw_status (*tw_csv_row_fn)(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields);

/* Streams the file: memory does not grow with its length. Errors: missing, directory, empty ("x.csv: empty file"), not UTF-8 text (line,
 * column and byte), a zero byte, an unclosed quote (line where it opened). A UTF-8 byte order mark is skipped;
 * UTF-16 is refused by name. */
TW_NODISCARD tw_status tw_csv_read(tw_context *ctx, const char *path, const tw_csv_desc *desc, tw_csv_row_fn on_row,
                                   void *user, tw_csv_desc *out_used);

/* Appends one field to text, quoted when it must be. */
struct tw_text;
#endif
