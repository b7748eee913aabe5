/* solve/together.c - see together.h. */
#include "solve/together.h"

#include "solve/jump_draw.h"

#include <math.h>
#include <string.h>

typedef struct run {
    const tw_together *desc;
    tw_space moving;
    int64_t rows;
    int numbers, moves, logits_count, most; /* of a row, of those that move; logits; most symbols of a token */
    const unsigned char *held;
    double *middle, *first, *second; /* (rows, numbers): the point in the middle; (rows, moves): velocities */
    double *way, *p;                 /* of one row; of one token */
    float *logits;                   /* (rows, logits_count) */
} run;

static run measure(const tw_space *space, int64_t rows)
{
    run r = {.moving = tw_space_of_moving(space), .rows = rows, .numbers = space->numbers};
    r.moves = r.moving.numbers;
    for (int i = space->moving; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        r.logits_count += f->outputs;
        if (f->symbols > r.most) r.most = f->symbols;
    }
    return r;
}

size_t tw_together_bytes(const tw_space *space, int64_t rows)
{
    run r = measure(space, rows);
    size_t doubles = (size_t)rows * (size_t)(r.numbers + 2 * r.moves) + (size_t)(2 * r.moves + r.most);
    return doubles * sizeof(double) + (size_t)rows * (size_t)r.logits_count * sizeof(float);
}

static void lay_out(run *r, void *memory)
{
    r->middle = memory;
    r->first = r->middle + r->rows * r->numbers;
    r->second = r->first + r->rows * r->moves;
    r->way = r->second + r->rows * r->moves;
    r->p = r->way + 2 * r->moves;
    r->logits = (float *)(r->p + r->most);
}

/* --- numbers ----------------------------------------------------------------------------------------------------- */

/* What is held does not move. */
static tw_status settle(const run *r, double *velocity)
{
    for (int64_t i = 0; i < r->rows; i++)
        for (int j = 0; j < r->moves; j++) {
            double *v = &velocity[i * r->moves + j];
            if (r->held && r->held[i * r->numbers + j]) *v = 0;
            if (!isfinite(*v)) return TW_ERR_NUMERIC;
        }
    return TW_OK;
}

/* From x along h times its velocity: to the middle of a step. */
static void go_half(const run *r, double half, const double *x)
{
    for (int64_t i = 0; i < r->rows; i++) {
        for (int j = 0; j < r->moves; j++) r->way[j] = half * r->first[i * r->moves + j];
        tw_space_exp(&r->moving, x + i * r->numbers, r->way, r->middle + i * r->numbers);
    }
}

/* From x along h times the velocity in the middle, brought back to x. */
static void go_whole(const run *r, double h, double *x)
{
    double *pulled = r->way + r->moves;
    for (int64_t i = 0; i < r->rows; i++) {
        double *at = x + i * r->numbers;
        for (int j = 0; j < r->moves; j++) r->way[j] = 0.5 * h * r->first[i * r->moves + j];
        tw_space_pull(&r->moving, at, r->way, r->middle + i * r->numbers, r->second + i * r->moves, pulled);
        for (int j = 0; j < r->moves; j++) pulled[j] *= h;
        tw_space_exp(&r->moving, at, pulled, at);
    }
}

/* --- tokens ------------------------------------------------------------------------------------------------------ */

/* One token's jump from t to s; false when what is said of it is no number. */
static bool jump(const run *r, const tw_token_path *path, const tw_jump_dice *dice, int token, double t, double s,
                 float *logits, double *x)
{
    const tw_together *d = r->desc;
    const tw_jump_shape shape = {.temperature = d->temperature > 0 ? d->temperature : 1, .top_p = 1};
    int symbols = path->symbols;
    bool masks = path->states > symbols;
    if (masks && *x < symbols) return true; /* it is what it is */
    int never = d->never ? d->never[token] : -1;
    if (never >= 0 && symbols > 1) logits[never] = -(float)INFINITY;
    double sum = tw_jump_probabilities(&shape, symbols, logits, r->p, NULL);
    if (!(sum > 0) || !isfinite(sum)) return false;
    int x1 = tw_jump_pick(symbols, r->p, sum, tw_jump_uniform(dice, (uint32_t)token, TW_JUMP_DATA));
    *x = tw_token_move(path, t, s, 1, (int)*x, x1, tw_jump_uniform(dice, (uint32_t)token, TW_JUMP_STAY),
                       tw_jump_uniform(dice, (uint32_t)token, TW_JUMP_TARGET));
    return true;
}

static tw_status jump_all(const run *r, double t, double s, uint32_t step, double *x)
{
    const tw_space *space = r->desc->space;
    for (int64_t i = 0; i < r->rows; i++) {
        tw_jump_dice dice = {.seed = r->desc->seed, .row = r->desc->first_row + i, .step = step};
        float *logits = r->logits + i * r->logits_count;
        for (int k = space->moving; k < space->count; k++) {
            const tw_factor *f = &space->factor[k];
            for (int j = f->number; j < f->number + f->numbers; j++, logits += f->symbols) {
                if (r->held && r->held[i * r->numbers + j]) continue;
                if (!jump(r, &r->desc->path[k - space->moving], &dice, j - r->moves, t, s, logits,
                          &x[i * r->numbers + j]))
                    return TW_ERR_NUMERIC;
            }
        }
    }
    return TW_OK;
}

/* --- steps ------------------------------------------------------------------------------------------------------- */

tw_status tw_together_run(const tw_together *desc, tw_together_fn model, void *user, int64_t rows, double *x,
                          const unsigned char *held, void *memory)
{
    run r = measure(desc->space, rows);
    tw_status status = TW_OK;
    r.desc = desc;
    r.held = held;
    lay_out(&r, memory);
    size_t row_tokens = (size_t)(r.numbers - r.moves) * sizeof(double);
    for (int64_t n = 0; n < desc->steps; n++) {
        double span = desc->t1 - desc->t0, t = desc->t0 + span * (double)n / (double)desc->steps;
        double s = n + 1 == desc->steps ? desc->t1 : desc->t0 + span * (double)(n + 1) / (double)desc->steps;
        double middle = 0.5 * (t + s);
        TW_TRY(model(user, rows, t, x, r.first, r.logits));
        TW_TRY(settle(&r, r.first));
        go_half(&r, 0.5 * (s - t), x);
        TW_TRY(jump_all(&r, t, middle, (uint32_t)(2 * n), x));
        for (int64_t i = 0; i < rows; i++) /* tokens are in the middle, too */
            memcpy(r.middle + i * r.numbers + r.moves, x + i * r.numbers + r.moves, row_tokens);
        TW_TRY(model(user, rows, middle, r.middle, r.second, r.logits));
        TW_TRY(settle(&r, r.second));
        go_whole(&r, s - t, x);
        TW_TRY(jump_all(&r, middle, s, (uint32_t)(2 * n + 1), x));
    }
done:
    return status;
}
