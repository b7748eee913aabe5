/* The table of tests/golden/quality.py, made again: what scikit-learn and scipy were asked about. */
#ifndef TW_TESTS_QUALITY_DATA_H
#define TW_TESTS_QUALITY_DATA_H

#include "eval/records.h"
#include "support/golden.h"

#include <math.h>

enum { GOLDEN_TRAIN = 800, GOLDEN_TEST = 400, GOLDEN_ROWS = GOLDEN_TRAIN + GOLDEN_TEST };

typedef struct golden_table {
    double x[4][GOLDEN_ROWS]; /* numbers of 33 values, the third with gaps; a category of 12 levels */
    double number[GOLDEN_ROWS], binary[GOLDEN_ROWS], classes[GOLDEN_ROWS], odd[GOLDEN_ROWS];
    bool is_binary[GOLDEN_ROWS], is_odd[GOLDEN_ROWS];
} golden_table;

static inline double golden_filled(double x)
{
    return isnan(x) ? 0.7 : x;
}

static inline void golden_table_fill(golden_table *t)
{
    for (int64_t i = 0; i < GOLDEN_ROWS; i++) {
        const char *const name[3] = {"x0", "x1", "x2"};
        for (int c = 0; c < 3; c++) t->x[c][i] = floor(16 * golden_number(name[c], i)) / 16;
        if (golden_number("gap", i) > 0.6) t->x[2][i] = (double)NAN;
        double half = 0.5 + 0.5 * golden_number("category", i);
        t->x[3][i] = floor(12 * (half * half));
        double x0 = t->x[0][i], x1 = t->x[1][i], x2 = golden_filled(t->x[2][i]), flip = golden_number("flip", i);
        t->number[i] = sin(3 * x0) + x1 * x2 + 0.2 * golden_number("noise", i);
        t->is_binary[i] = (x0 * x1 > 0) != (flip > 0.8);
        t->classes[i] = fmin(fmax(floor(1.5 + x0 + x2 + 0.5 * golden_number("blur", i)), 0), 2);
        t->is_odd[i] = (int)t->x[3][i] * 7 % 5 + 2 * x0 + flip > 2;
        t->binary[i] = t->is_binary[i];
        t->odd[i] = t->is_odd[i];
    }
}

/* Columns of the first `columns` of the table and `target` behind them (NULL: none), `levels` of it; rows from first.
 */
static inline tw_records golden_records(tw_context *ctx, const golden_table *t, tw_record_column *column, int columns,
                                        const double *target, int levels, int64_t first, int64_t rows)
{
    for (int c = 0; c < columns; c++) column[c] = (tw_record_column){"x", c == 3 ? 12 : 0, t->x[c] + first, NULL};
    if (target) column[columns] = (tw_record_column){"target", levels, target + first, NULL};
    return (tw_records){.ctx = ctx, .rows = rows, .columns = columns + (target != NULL), .column = column};
}

#endif
