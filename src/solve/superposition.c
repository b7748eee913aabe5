/* solve/superposition.c - see superposition.h. */
#include "solve/superposition.h"

#include "solve/jump_draw.h"

#include <math.h>

/* One step of all of them. */
typedef struct step {
    double rest;   /* 1 - t */
    double keep;   /* k */
    double share;  /* of the jumps */
    double travel; /* along the velocity */
} step;

static step step_of(const tw_superposition *d, double t, double s)
{
    step e = {.rest = 1 - t, .keep = (1 - s) / (1 - t), .share = d->share};
    e.travel = (1 - pow(e.keep, 1 - d->share)) * e.rest;
    return e;
}

/* Moves a row's number j; false when what is said of it is no number. */
static bool go(const step *e, const tw_jump_dice *dice, int columns, int j, const float *answer, double *x)
{
    static const tw_jump_shape plain = {.temperature = 1, .top_p = 1};
    double velocity = (double)answer[j], intensity = (double)answer[columns + j], p[TW_JUMP_BINS];
    const float *lengths = answer + 2 * (int64_t)columns + (int64_t)j * TW_JUMP_BINS;
    if (!isfinite(velocity) || !(intensity >= 0) || !isfinite(intensity)) return false;
    double stays = pow(e->keep, e->share * intensity);
    if (tw_jump_uniform(dice, (uint32_t)j, TW_JUMP_STAY) < stays) {
        *x += e->travel * velocity;
        return true;
    }
    double sum = tw_jump_probabilities(&plain, TW_JUMP_BINS, lengths, p, NULL);
    if (!(sum > 0) || !isfinite(sum)) return false;
    *x += e->rest * tw_jump_kernel_length(p, sum, tw_jump_uniform(dice, (uint32_t)j, TW_JUMP_TARGET));
    return true;
}

tw_status tw_superposition_run(const tw_superposition *d, tw_superposition_fn model, void *user, int64_t rows, double *x,
                               float *answer)
{
    tw_status status = TW_OK;
    int answers = tw_superposition_answers(d->columns);
    double span = d->t1 - d->t0;
    for (int64_t n = 0; n < d->steps && status == TW_OK; n++) {
        double t = d->t0 + span * (double)n / (double)d->steps;
        double s = n + 1 == d->steps ? d->t1 : d->t0 + span * (double)(n + 1) / (double)d->steps;
        step e = step_of(d, t, s);
        status = model(user, rows, t, x, answer);
        for (int64_t i = 0; i < rows && status == TW_OK; i++) {
            tw_jump_dice dice = {.seed = d->seed, .row = d->first_row + i, .step = (uint32_t)n};
            for (int j = 0; j < d->columns; j++)
                if (!go(&e, &dice, d->columns, j, answer + i * answers, &x[i * d->columns + j])) status = TW_ERR_NUMERIC;
        }
    }
    return status;
}
