/* solve/brownian.c - Brownian motion as a tree of bridges, a pure function of seed, element and time.
 *
 * A node knows the increment w of W over its interval [s,e] (h = e - s) and, with integrals, its space-time area H. At
 * m = s + p h, q = 1 - p, the halves follow by Gaussian conditioning; with independent standard normal y, z
 *
 *   without areas:  w_l = p w + sqrt(p q h) y
 *   with areas:     w_l = p w + 6 p q H + a y,   a = sqrt(p q h (1 - 3 p q)),
 *                   H_l = p^2 H + b y + c z,     b = -p^3 q h / (2 a),  c^2 = p h (1 - p^3) / 12 - b^2
 *
 * (for p = 1/2 Foster, Lyons, Oberhauser 2020, thm 3.6), and the right half from w = w_l + w_r and
 * H = (q w_l - p w_r)/2 + p H_l + q H_r. The upper tree halves the range of cells, so N cells have N nodes, and a walk
 * in order, which keeps the way from the root, makes each of them once: one normal number a cell. */
#include "solve/brownian.h"

#include "base/streams.h"

#include <math.h>
#include <string.h>

enum {
    TILE = 512,       /* numbers drawn at once: whole runs of the Philox kernel, in the first cache */
    HALVINGS = 40,    /* of a cell */
    CELL_LEVELS = 23, /* of the tree over the cells, at most: with the halvings, places are numbers of 64 bits */
    MOST_CELLS = 1 << CELL_LEVELS
};

/* One level of the way from the root: the split of its node. Arrays (elements): increments and areas of both halves,
 * W and its integral at the split. */
typedef struct split {
    int64_t low, high, middle; /* cells of the node; high 0: not made */
    double *left, *right, *at, *left_area, *right_area, *integral;
} split;

/* A node: its interval, its name among the counters, and where its numbers are. */
typedef struct node {
    double begin, end;
    uint32_t level;
    uint64_t position;
    const double *w, *area, *start, *start_integral;
} node;

struct tw_brownian {
    tw_context *ctx;
    const tw_cpu *cpu;
    int64_t cells, max_rows;
    int columns, levels;
    uint32_t stream;
    uint64_t seed;
    bool integrals;
    double *times;
    void *memory;
    double *zero, *root, *root_area; /* numbers of the root */
    double *last_w, *last_integral;  /* at `last`, the end of the increment asked for last; NaN: none */
    double *next_w, *next_integral;
    double last;
    int64_t row, rows;               /* the block that the numbers in memory belong to; rows 0: none */
    split level[CELL_LEVELS], below; /* the way through the cells; within one */
    double *spare, *spare_integral;  /* change places with below.at, below.integral */
};

/* --- drawing ----------------------------------------------------------------------------------------------------- */

static void swap(double **a, double **b)
{
    double *c = *a;
    *a = *b;
    *b = c;
}

/* Numbers of elements [begin, begin + count). The generator counts 2^34 of them; those behind have keys of their own.
 */
static void draw(const tw_brownian *b, const node *n, uint32_t which, int64_t begin, int count, double *out)
{
    const int64_t lap = (int64_t)1 << 34, left = lap - begin % lap;
    if (left < count) {
        draw(b, n, which, begin + left, count - (int)left, out + left);
        count = (int)left;
    }
    uint32_t bits[TILE];
    const uint64_t seed = b->seed + (uint64_t)(begin / lap) * 0x9E3779B97F4A7C15u;
    const uint32_t key[2] = {(uint32_t)seed, (uint32_t)(seed >> 32)};
    const uint32_t counter[2] = {(uint32_t)n->position, (uint32_t)(n->position >> 32)};
    b->cpu->philox(key, counter, b->stream | (n->level | which) << 8, begin % lap, count, bits);
    b->cpu->bits_to_normal[TW_DTYPE_F64](out, bits, NULL, NULL, count);
}

enum { FIRST = 0, SECOND = 128 }; /* the two numbers of a node; levels are below 128 */

/* Splits a node's increment; arrays of `s` are written, or overwritten in place where they are the node's own. */
static void split_plain(const tw_brownian *b, const node *n, double middle, split *s)
{
    double h = n->end - n->begin, p = (middle - n->begin) / h, spread = sqrt(p * (1 - p) * h), y[TILE];
    int64_t count = b->rows * b->columns, offset = b->row * b->columns;
    for (int64_t begin = 0; begin < count; begin += TILE) {
        int size = (int)tw_min_i64(TILE, count - begin);
        draw(b, n, FIRST, offset + begin, size, y);
        for (int i = 0; i < size; i++) {
            double w = n->w[begin + i], left = p * w + spread * y[i];
            s->at[begin + i] = n->start[begin + i] + left;
            s->left[begin + i] = left;
            s->right[begin + i] = w - left;
        }
    }
}

static void split_with_areas(const tw_brownian *b, const node *n, double middle, split *s)
{
    double h = n->end - n->begin, p = (middle - n->begin) / h, q = 1 - p, y[TILE], z[TILE];
    double a1 = sqrt(p * q * h * (1 - 3 * p * q)), b1 = -p * p * p * q * h / (2 * a1);
    double c1 = sqrt(fmax(0, p * h * (1 - p * p * p) / 12 - b1 * b1)), length = middle - n->begin;
    int64_t count = b->rows * b->columns, offset = b->row * b->columns;
    for (int64_t begin = 0; begin < count; begin += TILE) {
        int size = (int)tw_min_i64(TILE, count - begin);
        draw(b, n, FIRST, offset + begin, size, y);
        draw(b, n, SECOND, offset + begin, size, z);
        for (int i = 0; i < size; i++) {
            int64_t at = begin + i;
            double w = n->w[at], area = n->area[at], start = n->start[at];
            double left = p * w + 6 * p * q * area + a1 * y[i], right = w - left;
            double left_area = p * p * area + b1 * y[i] + c1 * z[i];
            s->integral[at] = n->start_integral[at] + length * (start + 0.5 * left + left_area);
            s->at[at] = start + left;
            s->left[at] = left;
            s->right[at] = right;
            s->left_area[at] = left_area;
            s->right_area[at] = (area - 0.5 * (q * left - p * right) - p * left_area) / q;
        }
    }
}

static void make_split(const tw_brownian *b, const node *n, double middle, split *s)
{
    (b->integrals ? split_with_areas : split_plain)(b, n, middle, s);
}

/* Steps down to the left or right half. The counter of a child names it by level and place. */
static void descend(node *n, const split *s, double middle, bool right)
{
    n->w = right ? s->right : s->left;
    n->area = right ? s->right_area : s->left_area;
    if (right) n->start = s->at;
    if (right) n->start_integral = s->integral;
    *(right ? &n->begin : &n->end) = middle;
    n->level++;
    n->position = n->position * 2 + right;
}

/* Makes the root of another block of rows; the way below it is forgotten. */
static void take_block(tw_brownian *b, int64_t row, int64_t rows)
{
    if (b->row == row && b->rows == rows) return;
    b->row = row;
    b->rows = rows;
    b->last = (double)NAN;
    for (int l = 0; l < b->levels; l++) b->level[l].high = 0;
    double h = b->times[b->cells] - b->times[0], scale = sqrt(h), area_scale = sqrt(h / 12);
    const node root = {.position = 0};
    int64_t count = rows * b->columns, offset = row * b->columns;
    for (int64_t begin = 0; begin < count; begin += TILE) {
        int size = (int)tw_min_i64(TILE, count - begin);
        draw(b, &root, FIRST, offset + begin, size, b->root + begin);
        for (int64_t i = begin; i < begin + size; i++) b->root[i] *= scale;
        if (!b->integrals) continue;
        draw(b, &root, SECOND, offset + begin, size, b->root_area + begin);
        for (int64_t i = begin; i < begin + size; i++) b->root_area[i] *= area_scale;
    }
}

/* --- asking ------------------------------------------------------------------------------------------------------ */

/* Down to the cell that holds t, or to the split at t itself, which is returned then. */
static const split *find_cell(tw_brownian *b, double t, node *n)
{
    int64_t low = 0, high = b->cells;
    for (int l = 0; high - low > 1; l++) {
        split *s = &b->level[l];
        if (s->low != low || s->high != high) {
            s->low = low;
            s->high = high;
            s->middle = low + (high - low) / 2;
            make_split(b, n, b->times[s->middle], s);
        }
        double middle = b->times[s->middle];
        if (t == middle) return s;
        descend(n, s, middle, t > middle);
        *(t > middle ? &low : &high) = s->middle;
    }
    return NULL;
}

/* Halves a cell until a split falls on t; NULL when none does. One level's arrays are written over again and again,
 * each element read before it is written; only where a node starts must outlive the splits of it. */
static const split *halve(tw_brownian *b, double t, node *n)
{
    split *s = &b->below;
    for (int i = 0; i < HALVINGS; i++) {
        double middle = n->begin + 0.5 * (n->end - n->begin);
        if (!(middle > n->begin && middle < n->end)) return NULL;
        if (n->start == s->at) {
            swap(&s->at, &b->spare);
            swap(&s->integral, &b->spare_integral);
        }
        make_split(b, n, middle, s);
        if (t == middle) return s;
        descend(n, s, middle, t > middle);
    }
    return NULL;
}

/* On a straight line within a node. */
static void interpolate(const tw_brownian *b, const node *n, double t, double *out_w, double *out_integral)
{
    double length = t - n->begin, p = length / (n->end - n->begin);
    int64_t count = b->rows * b->columns;
    for (int64_t i = 0; out_integral && i < count; i++)
        out_integral[i] = n->start_integral[i] + length * (n->start[i] + 0.5 * p * n->w[i]);
    for (int64_t i = 0; i < count; i++) out_w[i] = n->start[i] + p * n->w[i];
}

/* At the end of the whole interval. */
static void finish(const tw_brownian *b, double *out_w, double *out_integral)
{
    double h = b->times[b->cells] - b->times[0];
    int64_t count = b->rows * b->columns;
    for (int64_t i = 0; out_integral && i < count; i++) out_integral[i] = h * (0.5 * b->root[i] + b->root_area[i]);
    memcpy(out_w, b->root, (size_t)count * sizeof *out_w);
}

void tw_brownian_at(tw_brownian *b, int64_t row, int64_t rows, double t, double *out_w, double *out_integral)
{
    take_block(b, row, rows);
    size_t bytes = (size_t)(rows * b->columns) * sizeof *out_w;
    if (!b->integrals) out_integral = NULL;
    if (!(t > b->times[0])) {
        memset(out_w, 0, bytes);
        if (out_integral) memset(out_integral, 0, bytes);
        return;
    }
    if (t >= b->times[b->cells]) {
        finish(b, out_w, out_integral);
        return;
    }
    node n = {.begin = b->times[0],
              .end = b->times[b->cells],
              .level = 1, /* the root drew its own numbers from level 0 */
              .w = b->root,
              .area = b->root_area,
              .start = b->zero,
              .start_integral = b->zero};
    const split *s = find_cell(b, t, &n);
    if (!s) s = halve(b, t, &n);
    if (s) memcpy(out_w, s->at, bytes);
    if (s && out_integral) memcpy(out_integral, s->integral, bytes);
    if (!s) interpolate(b, &n, t, out_w, out_integral);
}

void tw_brownian_increment(tw_brownian *b, int64_t row, int64_t rows, double from, double to, double *out_dw,
                           double *out_area)
{
    int64_t count = rows * b->columns;
    double h = to - from;
    if (!b->integrals) out_area = NULL;
    take_block(b, row, rows);
    if (b->last != from) tw_brownian_at(b, row, rows, from, b->last_w, b->last_integral);
    tw_brownian_at(b, row, rows, to, b->next_w, b->next_integral);
    for (int64_t i = 0; i < count; i++) out_dw[i] = b->next_w[i] - b->last_w[i];
    for (int64_t i = 0; out_area && i < count; i++)
        out_area[i] = (b->next_integral[i] - b->last_integral[i]) / h - b->last_w[i] - 0.5 * out_dw[i];
    if (out_area && h == 0) memset(out_area, 0, (size_t)count * sizeof *out_area);
    swap(&b->last_w, &b->next_w);
    swap(&b->last_integral, &b->next_integral);
    b->last = to;
}

/* --- making ------------------------------------------------------------------------------------------------------ */

static tw_status check(tw_context *ctx, const tw_brownian_desc *d, int64_t cells, int64_t max_rows)
{
    if (d->columns < 1 || max_rows < 1)
        return tw_fail(ctx, TW_ERR_INVALID, "a Brownian motion of %lld rows of %d columns", (long long)max_rows,
                       d->columns);
    if (cells < 1 || cells > MOST_CELLS)
        return tw_fail(ctx, TW_ERR_INVALID, "a Brownian motion over %lld cells: 1 to %d can be had", (long long)cells,
                       MOST_CELLS);
    if (d->stream < 0 || d->stream > 65535)
        return tw_fail(ctx, TW_ERR_INVALID, "stream %d of a Brownian motion: 0 to 65535 can be had", d->stream);
    for (int64_t i = 0; d->times && i < cells; i++)
        if (!(d->times[i] < d->times[i + 1]))
            return tw_fail(ctx, TW_ERR_INVALID,
                           "times of a Brownian motion must increase: %g, %g are numbers %lld, %lld", d->times[i],
                           d->times[i + 1], (long long)i + 1, (long long)i + 2);
    double t0 = d->times ? d->times[0] : d->t0, t1 = d->times ? d->times[cells] : d->t1;
    if (!isfinite(t0) || !isfinite(t1) || !(t0 < t1 || (t0 == 0 && t1 == 0)))
        return tw_fail(ctx, TW_ERR_INVALID, "a Brownian motion from t=%g to t=%g: finite times in order", t0, t1);
    return TW_OK;
}

static void split_arrays(split *s, double **at, int64_t elements, bool integrals)
{
    double **plain[] = {&s->left, &s->right, &s->at}, **more[] = {&s->left_area, &s->right_area, &s->integral};
    for (int i = 0; i < 3; i++, *at += elements) *plain[i] = *at;
    for (int i = 0; integrals && i < 3; i++, *at += elements) *more[i] = *at;
}

static tw_status make_memory(tw_brownian *b)
{
    int64_t elements = 0, total = 0, arrays = (b->levels + 1) * (b->integrals ? 6 : 3) + (b->integrals ? 9 : 5);
    if (__builtin_mul_overflow(b->max_rows, (int64_t)b->columns, &elements) ||
        __builtin_mul_overflow(elements, arrays, &total) || total > INT64_MAX / 16)
        return tw_fail(b->ctx, TW_ERR_MEMORY, "a Brownian motion of %lld rows of %d columns does not fit in memory",
                       (long long)b->max_rows, b->columns);
    double *at = b->memory = tw_alloc_aligned(b->ctx, (size_t)total * sizeof *at);
    if (!at) return tw_fail_memory(b->ctx, (size_t)total * sizeof *at);
    double **plain[] = {&b->zero, &b->root, &b->last_w, &b->next_w, &b->spare};
    double **more[] = {&b->root_area, &b->last_integral, &b->next_integral, &b->spare_integral};
    for (int i = 0; i < TW_COUNT(plain); i++, at += elements) *plain[i] = at;
    for (int i = 0; b->integrals && i < TW_COUNT(more); i++, at += elements) *more[i] = at;
    for (int l = 0; l < b->levels; l++) split_arrays(&b->level[l], &at, elements, b->integrals);
    split_arrays(&b->below, &at, elements, b->integrals);
    return TW_OK;
}

tw_status tw_brownian_create(tw_context *ctx, const tw_brownian_desc *desc, int64_t max_rows,
                             tw_brownian **out_brownian)
{
    tw_status status = TW_OK;
    tw_brownian *b = NULL;
    int64_t cells = desc->cells ? desc->cells : 1;
    TW_TRY(check(ctx, desc, cells, max_rows));
    b = tw_alloc(ctx, 1, sizeof *b);
    if (!b) TW_TRY(tw_fail_memory(ctx, sizeof *b));
    *b = (tw_brownian){.ctx = ctx,
                       .cpu = tw_cpu_best(),
                       .cells = cells,
                       .max_rows = max_rows,
                       .columns = desc->columns,
                       .stream = TW_STREAM_NOISE | (uint32_t)desc->stream << 16,
                       .seed = desc->seed,
                       .integrals = desc->integrals,
                       .last = (double)NAN};
    while ((int64_t)1 << b->levels < cells) b->levels++;
    b->times = tw_alloc(ctx, (size_t)cells + 1, sizeof *b->times);
    if (!b->times) TW_TRY(tw_fail_memory(ctx, ((size_t)cells + 1) * sizeof *b->times));
    double t1 = desc->t0 == 0 && desc->t1 == 0 ? 1 : desc->t1;
    for (int64_t i = 0; i <= cells; i++)
        b->times[i] = desc->times ? desc->times[i] : tw_grid_time(desc->t0, t1, i, cells);
    TW_TRY(make_memory(b));
    *out_brownian = b;
    b = NULL;
done:
    tw_brownian_destroy(b);
    return status;
}

tw_brownian_facts tw_brownian_about(const tw_brownian *b)
{
    return (tw_brownian_facts){.t0 = b->times[0],
                               .t1 = b->times[b->cells],
                               .max_rows = b->max_rows,
                               .columns = b->columns,
                               .integrals = b->integrals};
}

void tw_brownian_destroy(tw_brownian *b)
{
    if (!b) return;
    tw_free_aligned(b->ctx, b->memory);
    tw_free(b->ctx, b->times);
    tw_free(b->ctx, b);
}
