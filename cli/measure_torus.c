/* measure_torus.c - a flow of angles beside a mixture of wrapped normal distributions (eval/wrapped_mixture.h). */
#include "measures.h"

#include "eval/wrapped_mixture.h"
#include "flow/flow.h"

#include <math.h>

enum { MOST_ROWS = 3000 };

/* What a number of the data is in radians; 0 after a complaint. */
static double radians_of(const subject *s)
{
    const tw_space *space = &s->m.flow->space;
    bool angles = !space->flat;
    for (int i = 0; i < space->count && angles; i++)
        angles = space->factor[i].manifold == TW_MANIFOLD_torus && space->factor[i].period == space->factor[0].period;
    if (angles) return 6.283185307179586 / space->factor[0].period;
    (void)tw_fail(s->c->ctx, TW_ERR_INVALID, "wrapped normals are for angles of one unit, not space '%s'",
                  s->m.about->space);
    return 0;
}

/* The mixture of as many components as are best on a fifth of the rows, of 1, 2, 4, ... */
static tw_status choose(const subject *s, int64_t n, const double *rows, tw_wrapped_mixture *out)
{
    uint64_t seed = opt_seed(&s->c->set, OPT_SEED);
    int columns = s->h.columns;
    int64_t kept = n - n / 5;
    double best = -INFINITY;
    tw_status status = TW_OK;
    for (int k = 1; k <= TW_WRAPPED_MOST; k *= 2) {
        tw_wrapped_mixture m;
        TW_TRY(tw_wrapped_mixture_fit(s->c->ctx, columns, kept, rows, k, seed, &m));
        double likely = tw_wrapped_mixture_score(&m, n - kept, rows + kept * columns);
        if (likely > best) {
            best = likely;
            tw_wrapped_mixture other = *out;
            *out = m;
            m = other;
        }
        tw_wrapped_mixture_free(&m);
    }
done:
    return status;
}

tw_status measure_over_wrapped_mixture(const subject *s, measured *out)
{
    cli *c = s->c;
    const held_out *h = &s->h;
    score found;
    int64_t n, seen = tw_min_i64(MOST_ROWS, tw_dataset_rows(h->training, TW_PART_TRAIN));
    double *rows = NULL, *training = NULL, unit = radians_of(s);
    tw_wrapped_mixture mixture = {0};
    tw_status status = TW_OK;
    if (unit == 0) return TW_ERR_INVALID;
    TW_TRY(score_held_out(s, &n, &rows, &found));
    training = random_rows_of(c, 0, h->training, TW_PART_TRAIN, seen);
    if (!training) TW_TRY(tw_fail_memory(c->ctx, (size_t)(seen * h->columns) * sizeof *training));
    for (int64_t i = 0; i < seen * h->columns; i++) training[i] *= unit;
    for (int64_t i = 0; i < n * h->columns; i++) rows[i] *= unit;
    TW_TRY(choose(s, seen, training, &mixture));
    *out = (measured){found.nll + tw_wrapped_mixture_score(&mixture, n, rows), (double)NAN};
done:
    tw_wrapped_mixture_free(&mixture);
    tw_free(c->ctx, rows);
    tw_free(c->ctx, training);
    return status;
}
