/* measure_tokens.c - measures of flows of tokens: chains that are told the exact posterior, and what a learned one
 * lacks.
 *
 * The known data are a board of 128 x 128 cells, uniform on every other square of 32 x 32 (the checkerboard of Gat et
 * al. 2024, Discrete flow matching). Nothing tells the cells of a square apart, neither in the data nor in a chain that
 * is told its posterior: every law is constant on squares, and total variation is that of 16 squares, free of most of
 * the noise that counting 16384 cells would have. */
#include "measures.h"

#include "begin.h"
#include "signals.h"

#include "solve/jump.h"

#include <math.h>
#include <string.h>

enum { SIDE = 128, SQUARE = 32, SQUARES = SIDE / SQUARE, BOARD_STATES = SIDE + 1 };

typedef struct board {
    tw_schedule schedule;
    tw_token_path path;
    int64_t rows;
    int32_t *x; /* (rows, 2) */
} board;

static bool is_filled(int a, int b)
{
    return (a / SQUARE + b / SQUARE) % 2 == 0;
}

/* The exact posterior. What a token says of its own x_1 takes two values, what the other says two: four logarithms. */
static tw_status board_logits(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x,
                              float *out)
{
    const board *b = user;
    bool masks = b->path.states > SIDE;
    (void)row;
    for (int64_t i = 0; i < 2 * rows; i++) {
        double data = fmax(t[i / 2], 1e-9), source = masks ? 0 : (1 - data) / SIDE;
        int own = x[i], other = x[i ^ 1];
        double told = own == SIDE ? 1 : data + source, untold = own == SIDE ? 1 : source;
        double filled = other == SIDE ? 1 : 2 * data / SIDE + source, empty = other == SIDE ? 1 : source;
        const float value[2][2] = {
            {(float)log(fmax(untold * empty, 1e-300)), (float)log(fmax(untold * filled, 1e-300))},
            {(float)log(fmax(told * empty, 1e-300)), (float)log(fmax(told * filled, 1e-300))}};
        for (int a = 0; a < SIDE; a++) out[i * SIDE + a] = value[a == own][other == SIDE || is_filled(a, other)];
    }
    return TW_OK;
}

static tw_status board_open(const subject *s, bool masks, board *b)
{
    tw_context *ctx = s->c->ctx;
    *b = (board){.rows = opt_int(&s->c->set, OPT_N_EVAL)};
    tw_status status = tw_piece_read(ctx, "schedule", "condot", tw_schedule_list, &b->schedule);
    if (status != TW_OK) return status;
    b->path = (tw_token_path){.symbols = SIDE, .states = SIDE + masks, .schedule = &b->schedule, .uniform = !masks};
    b->x = tw_alloc(ctx, (size_t)b->rows, 2 * sizeof *b->x);
    return b->x ? TW_OK : tw_fail_memory(ctx, (size_t)b->rows * 2 * sizeof *b->x);
}

static void board_close(const subject *s, board *b)
{
    tw_piece_free(s->c->ctx, &b->schedule);
    tw_free(s->c->ctx, b->x);
}

/* Moves the rows from leg->t0 on, block by block. */
static tw_status board_run(const subject *s, board *b, const tw_jump_leg *leg)
{
    enum { BLOCK = 1024 };
    tw_jump *jump = NULL;
    tw_jump_stats stats = {0};
    tw_jump_desc desc = {.method = opt_given(&s->c->set, OPT_SOLVER) ? opt_text(&s->c->set, OPT_SOLVER) : NULL,
                         .path = &b->path,
                         .stratified = true,
                         .seed = opt_seed(&s->c->set, OPT_SEED)};
    tw_status status = tw_jump_create(s->c->ctx, &desc, BLOCK, 2, &jump);
    for (int64_t first = 0; first < b->rows && status == TW_OK; first += BLOCK) {
        tw_jump_leg part = *leg;
        int64_t count = tw_min_i64(BLOCK, b->rows - first);
        part.first_row = first;
        if (leg->t0 == 0) tw_token_source(&b->path, desc.seed, first, count, 2, b->x + 2 * first);
        status = tw_jump_run(jump, &part, board_logits, b, count, b->x + 2 * first, NULL, &stats);
        if (status == TW_OK && signals_caught()) status = tw_fail(s->c->ctx, TW_ERR_CANCELLED, "stopped");
    }
    tw_jump_destroy(jump);
    return status;
}

/* --- order ---------------------------------------------------------------------------------------------------------
 */

/* Total variation of the rows from the data. */
static double board_distance(const board *b)
{
    double share[SQUARES * SQUARES] = {0}, sum = 0;
    for (int64_t i = 0; i < b->rows; i++)
        share[b->x[2 * i] / SQUARE * SQUARES + b->x[2 * i + 1] / SQUARE] += 1 / (double)b->rows;
    for (int i = 0; i < SQUARES * SQUARES; i++)
        sum += fabs(share[i] - (is_filled(i / SQUARES * SQUARE, i % SQUARES * SQUARE) ? 1.0 / 8 : 0)) / 2;
    return sum;
}

static tw_status take_order(const subject *s, bool masks, measured *out)
{
    board b;
    double error[2];
    tw_status status = TW_OK;
    tw_jump_leg leg = {.t1 = 1, .steps = tw_max_i64(1, opt_int(&s->c->set, OPT_SOLVER_STEPS))};
    TW_TRY(board_open(s, masks, &b));
    for (int i = 0; i < 2; i++, leg.steps *= 2) {
        TW_TRY(board_run(s, &b, &leg));
        error[i] = board_distance(&b);
    }
    *out = (measured){log2(error[0] / error[1]), (double)NAN};
done:
    board_close(s, &b);
    return status;
}

tw_status measure_masked_order(const subject *s, measured *out)
{
    return take_order(s, true, out);
}

tw_status measure_uniform_order(const subject *s, measured *out)
{
    return take_order(s, false, out);
}

/* --- the law on the way --------------------------------------------------------------------------------------------
 */

static double board_law(const board *b, double t, int x, int y)
{
    double both = x < SIDE && y < SIDE && is_filled(x, y) ? t * t * 2 / (SIDE * SIDE) : 0;
    if (b->path.states > SIDE) {
        if (x == SIDE && y == SIDE) return (1 - t) * (1 - t);
        return x == SIDE || y == SIDE ? t * (1 - t) / SIDE : both;
    }
    return both + (1 - t * t) / (SIDE * SIDE);
}

/* Pearson's statistic of all cells as a normal number (Wilson, Hilferty 1931). */
static double board_chi_square(const board *b, double t, double *counts)
{
    int states = b->path.states, cells = -1;
    double sum = 0;
    memset(counts, 0, (size_t)(states * states) * sizeof *counts);
    for (int64_t i = 0; i < b->rows; i++) counts[b->x[2 * i] * states + b->x[2 * i + 1]]++;
    for (int i = 0; i < states * states; i++) {
        double wanted = (double)b->rows * board_law(b, t, i / states, i % states);
        if (wanted == 0 && counts[i] > 0) return (double)INFINITY;
        if (wanted == 0) continue;
        cells++;
        sum += (counts[i] - wanted) * (counts[i] - wanted) / wanted;
    }
    double spread = 2.0 / (9 * cells);
    return (cbrt(sum / cells) - (1 - spread)) / sqrt(spread);
}

static tw_status take_law(const subject *s, bool masks, measured *out)
{
    board b;
    double *counts = NULL, worst = -(double)INFINITY;
    tw_status status = TW_OK;
    TW_TRY(board_open(s, masks, &b));
    counts = tw_alloc(s->c->ctx, BOARD_STATES * BOARD_STATES, sizeof *counts);
    if (!counts) TW_TRY(tw_fail_memory(s->c->ctx, BOARD_STATES * BOARD_STATES * sizeof *counts));
    for (int i = 0; i < 3; i++) {
        tw_jump_leg leg = {.t0 = i / 4.0,
                           .t1 = (i + 1) / 4.0,
                           .steps = tw_max_i64(1, opt_int(&s->c->set, OPT_SOLVER_STEPS) / 4),
                           .number = i};
        TW_TRY(board_run(s, &b, &leg));
        worst = fmax(worst, board_chi_square(&b, leg.t1, counts));
    }
    *out = (measured){worst, (double)NAN};
done:
    tw_free(s->c->ctx, counts);
    board_close(s, &b);
    return status;
}

tw_status measure_masked_law(const subject *s, measured *out)
{
    return take_law(s, true, out);
}

tw_status measure_uniform_law(const subject *s, measured *out)
{
    return take_law(s, false, out);
}

/* --- learned flows -------------------------------------------------------------------------------------------------
 */

tw_status measure_lack(const subject *s, measured *out)
{
    score found;
    int64_t n;
    double *rows;
    tw_status status = score_held_out(s, &n, &rows, &found);
    if (status != TW_OK) return status;
    *out = (measured){found.nll - exact_nll(s->h.data, n, s->h.columns, rows), 0};
    tw_free(s->c->ctx, rows);
    if (!isfinite(out->value))
        return tw_fail(s->c->ctx, TW_ERR_INVALID, "%s: its exact density is not known", s->h.label);
    return TW_OK;
}

/* Samples of the flow as bins, and how many came of each pair (count, count). */
static tw_status count_samples(const subject *s, int64_t n, const tw_bins *bins, double *counts)
{
    cli *c = s->c;
    row_bar bar = {.c = c, .label = "sample"};
    tw_sample_desc desc = {
        .solver = s->solver, .seed = opt_seed(&c->set, OPT_SEED), .on_progress = on_rows, .user = &bar};
    double *rows = tw_alloc(c->ctx, (size_t)n, 2 * sizeof *rows);
    if (!rows) return tw_fail_memory(c->ctx, (size_t)n * 2 * sizeof *rows);
    progress_begin(&c->progress);
    signals_watch();
    tw_status status = tw_sample(s->m.flow, n, &desc, rows, NULL, NULL);
    signals_release();
    progress_clear(&c->progress);
    for (int64_t i = 0; status == TW_OK && i < n; i++) counts[(int)rows[2 * i] * bins->count + (int)rows[2 * i + 1]]++;
    tw_free(c->ctx, rows);
    return status;
}

tw_status measure_histogram_kl(const subject *s, measured *out)
{
    cli *c = s->c;
    const tw_bins *bins = tw_dataset_bins(s->h.data);
    int64_t n = opt_int(&c->set, OPT_N_EVAL), support = 0;
    double *counts = NULL, sum = 0, log_mass;
    tw_status status = TW_OK;
    if (!bins || !tw_dataset_log_density(s->h.data, (const double[]){0, 0}, &log_mass))
        TW_TRY(
            tw_fail(c->ctx, TW_ERR_INVALID, "histogram_kl is of a built-in set with --levels, not of %s", s->h.label));
    size_t cells = (size_t)bins->count * (size_t)bins->count;
    counts = tw_alloc(c->ctx, cells, sizeof *counts);
    if (!counts) TW_TRY(tw_fail_memory(c->ctx, cells * sizeof *counts));
    memset(counts, 0, cells * sizeof *counts);
    TW_TRY(count_samples(s, n, bins, counts));
    for (size_t i = 0; i < cells; i++) {
        const double bin[2] = {(double)(i / (size_t)bins->count), (double)(i % (size_t)bins->count)};
        tw_dataset_log_density(s->h.data, bin, &log_mass);
        if (!isfinite(log_mass)) continue;
        support++;
        sum += exp(log_mass) * (log_mass - log(counts[i] / (double)n));
    }
    *out = (measured){sum, (double)(support - 1) / (2 * (double)n)};
done:
    tw_free(c->ctx, counts);
    return status;
}
