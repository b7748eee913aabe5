/* coupling/cost.c - squared distances in double: by differences for few columns, by a matrix product for many.
 *
 * |a|^2 + |b|^2 - 2 ab loses the digits of distances that are short against the points' norms. The points are centred
 * first, and distances that still came out short are computed again by differences, so that every entry has a relative
 * error of about 2^-52 / SHORT * columns at most. */
#include "coupling/cost.h"

#include "coupling/couple.h"
#include "coupling/scan.h"
#include "cpu/cpu.h"

#include <math.h>

enum { FEW = 16, STRIP = 64 };
#define SHORT 0x1p-12

/* Row-major copies for the product; for few columns `sources` is stored column by column. */
typedef struct points {
    int64_t n, columns;
    double *data, *sources, *data_norm, *source_norm, *mean, *strip;
    void *product;
} points;

static points place(int64_t n, int64_t columns, void *work)
{
    char *at = work;
    points p = {.n = n, .columns = columns};
    size_t row = (size_t)n * sizeof(double), all = row * (size_t)columns;
    p.data = tw_work_take(&at, all);
    p.sources = tw_work_take(&at, all);
    p.data_norm = tw_work_take(&at, row);
    p.source_norm = tw_work_take(&at, row);
    p.mean = tw_work_take(&at, (size_t)columns * sizeof(double));
    p.strip = tw_work_take(&at, STRIP * row);
    p.product = at;
    return p;
}

size_t tw_cost_bytes(int64_t n, int64_t columns)
{
    size_t row = (size_t)n * sizeof(double);
    return (2 * (size_t)columns + 2 + STRIP) * row + (size_t)columns * sizeof(double) + TW_GEMM_WORKSPACE + 8 * 64;
}

static void write_row(int64_t n, const double *row, double weight, bool add, double *out)
{
    if (add)
        for (int64_t j = 0; j < n; j++) out[j] += weight * row[j];
    else
        for (int64_t j = 0; j < n; j++) out[j] = weight * row[j];
}

static void by_differences(points *p, const float *source, const float *data, double weight, bool add, double *cost)
{
    const tw_scan_loops *scan = tw_scan_best();
    int64_t n = p->n, columns = p->columns;
    for (int64_t j = 0; j < n; j++)
        for (int64_t c = 0; c < columns; c++) p->sources[c * n + j] = (double)source[j * columns + c];
    for (int64_t i = 0; i < n * columns; i++) p->data[i] = (double)data[i];
    for (int64_t i = 0; i < n; i++) {
        bool plain = !add && weight == 1;
        double *row = plain ? cost + i * n : p->strip;
        scan->squares(n, columns, p->sources, p->data + i * columns, row);
        if (!plain) write_row(n, row, weight, add, cost + i * n);
    }
}

/* Both sets less the mean of the data. */
static void centre(points *p, const float *source, const float *data)
{
    int64_t n = p->n, columns = p->columns;
    double *mean = p->mean;
    for (int64_t c = 0; c < columns; c++) mean[c] = 0;
    for (int64_t i = 0; i < n; i++)
        for (int64_t c = 0; c < columns; c++) mean[c] += (double)data[i * columns + c];
    for (int64_t c = 0; c < columns; c++) mean[c] /= (double)n;
    for (int64_t i = 0; i < n; i++) {
        double *d = p->data + i * columns, *s = p->sources + i * columns;
        for (int64_t c = 0; c < columns; c++) d[c] = (double)data[i * columns + c] - mean[c];
        for (int64_t c = 0; c < columns; c++) s[c] = (double)source[i * columns + c] - mean[c];
        p->data_norm[i] = tw_scan_best()->dot(columns, d, d);
        p->source_norm[i] = tw_scan_best()->dot(columns, s, s);
    }
}

static double squares_of(int64_t columns, const double *a, const double *b)
{
    double sum = 0;
    for (int64_t c = 0; c < columns; c++) sum += (a[c] - b[c]) * (a[c] - b[c]);
    return sum;
}

/* From inner products to squared distances, in place. */
static void finish_row(const points *p, int64_t i, double *row)
{
    int64_t columns = p->columns;
    double norm = p->data_norm[i];
    for (int64_t j = 0; j < p->n; j++) row[j] = norm + p->source_norm[j] - 2 * row[j];
    for (int64_t j = 0; j < p->n; j++)
        if (row[j] < SHORT * (norm + p->source_norm[j]))
            row[j] = squares_of(columns, p->data + i * columns, p->sources + j * columns);
}

static void by_product(points *p, double weight, bool add, double *cost)
{
    const tw_product *product = tw_cpu_product(TW_PRODUCT_F64);
    int64_t n = p->n, columns = p->columns;
    for (int64_t first = 0; first < n; first += STRIP) {
        int64_t rows = tw_min_i64(STRIP, n - first);
        product->run(false, true, rows, n, columns, p->data + first * columns, columns, p->sources, columns, NULL,
                     false, p->strip, n, p->product, NULL);
        for (int64_t i = 0; i < rows; i++) {
            finish_row(p, first + i, p->strip + i * n);
            write_row(n, p->strip + i * n, weight, add, cost + (first + i) * n);
        }
    }
}

void tw_cost_squares(int64_t n, int64_t columns, const float *source, const float *data, double weight, bool add,
                     void *work, double *cost)
{
    points p = place(n, columns, work);
    if (columns <= FEW) {
        by_differences(&p, source, data, weight, add, cost);
    } else {
        centre(&p, source, data);
        by_product(&p, weight, add, cost);
    }
}
