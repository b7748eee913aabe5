/* measure_flow.c - measures of a trained flow: distances, likelihood, and what its paths cost.
 *
 * Straightness and path energy are those of Liu, Gong, Liu 2023 (eq. 7) and Tong et al. 2023 (section 5.1), of the flow
 * as it is: paths are followed with the measure's solver through FRAMES times, whatever that solver costs. */
#include "measures.h"

#include "begin.h"
#include "distances.h"

#include <math.h>
#include <string.h>

enum { FRAMES = 65, PATHS = 2000 };

static tw_status take_distance(const subject *s, distance_kind kind, measured *out)
{
    comparison d = {.c = s->c, .m = &s->m, .held = &s->h, .solver = s->solver};
    tw_status status = TW_OK;
    TW_TRY(comparison_draw(&d));
    TW_TRY(comparison_measure(&d, 1u << kind));
    *out = (measured){d.of[kind].value, d.of[kind].floor};
done:
    comparison_free(&d);
    return status;
}

tw_status measure_energy(const subject *s, measured *out)
{
    return take_distance(s, DISTANCE_ENERGY, out);
}

tw_status measure_w2(const subject *s, measured *out)
{
    return take_distance(s, DISTANCE_W2, out);
}

tw_status measure_sliced_w2(const subject *s, measured *out)
{
    return take_distance(s, DISTANCE_SLICED, out);
}

/* Held-out rows and how likely they are, both to be freed with tw_free; without noise. */
tw_status score_held_out(const subject *s, int64_t *out_n, double **out_rows, score *out_score)
{
    cli *c = s->c;
    const held_out *h = &s->h;
    const tw_ode_desc solver = solver_without_noise(c, &s->solver);
    int64_t n = tw_min_i64(opt_int(&c->set, OPT_N_EVAL), h->rows);
    tw_status status = TW_OK;
    double *rows = random_rows(c, 0, h->columns, h->rows, h->values, n);
    double *conditions = random_conditions(c, 0, h, s->m.about, n);
    double *log_density = tw_alloc(c->ctx, (size_t)n, sizeof *log_density);
    if (!rows || !log_density || (h->conditions && !conditions))
        TW_TRY(tw_fail_memory(c->ctx, (size_t)n * sizeof *rows));
    TW_TRY(score_rows(c, &s->m, &solver, n, rows, conditions, log_density, out_score));
    *out_n = n;
    *out_rows = rows;
    rows = NULL;
done:
    tw_free(c->ctx, rows);
    tw_free(c->ctx, conditions);
    tw_free(c->ctx, log_density);
    return status;
}

tw_status measure_nll(const subject *s, measured *out)
{
    score found;
    int64_t n;
    double *rows;
    tw_status status = score_held_out(s, &n, &rows, &found);
    if (status != TW_OK) return status;
    *out = (measured){found.nll, exact_nll(s->h.data, n, s->h.columns, rows)};
    tw_free(s->c->ctx, rows);
    return TW_OK;
}

tw_status measure_bits(const subject *s, measured *out)
{
    score found;
    int64_t n;
    double *rows;
    tw_status status = score_held_out(s, &n, &rows, &found);
    if (status != TW_OK) return status;
    tw_free(s->c->ctx, rows);
    if (found.draws == 0)
        return tw_fail(s->c->ctx, TW_ERR_INVALID, "bits are of whole numbers with noise: dequantise: N");
    *out = (measured){found.bits_per_dim, (double)NAN};
    return TW_OK;
}

tw_status measure_loss(const subject *s, measured *out)
{
    const char *text = tw_flow_fact(s->m.flow, "validation");
    out->floor = (double)NAN;
    if (!text || !tw_parse_double(text, strlen(text), &out->value))
        return tw_fail(s->c->ctx, TW_ERR_INVALID, "the flow in '%s' was trained without held-out rows", s->folder);
    return TW_OK;
}

/* Paths of the flow at FRAMES equal times: states (FRAMES, PATHS, columns), divided by the spread of their ends. */
static tw_status follow(const subject *s, int *out_columns, double **out_states)
{
    cli *c = s->c;
    const held_out *h = &s->h;
    tw_normaliser scale = {0};
    begin b = {0};
    tw_status status = TW_OK;
    size_t row = (size_t)h->columns * sizeof(double);
    double *rows = tw_alloc(c->ctx, PATHS, row), *states = tw_alloc(c->ctx, (size_t)FRAMES * PATHS, row);
    tw_sample_desc desc = {.seed = opt_seed(&c->set, OPT_SEED),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .frames = FRAMES,
                           .solver = solver_without_noise(c, &s->solver)};
    if (!rows || !states) TW_TRY(tw_fail_memory(c->ctx, (size_t)FRAMES * PATHS * row));
    TW_TRY(begin_open(c, &s->m, h, PATHS, &b));
    begin_set(&b, &desc);
    TW_TRY(tw_sample(s->m.flow, PATHS, &desc, rows, states, NULL));
    TW_TRY(tw_normaliser_fit(c->ctx, h->rows, h->columns, h->values, &scale));
    tw_normaliser_apply(&scale, (int64_t)FRAMES * PATHS, states, states);
    *out_columns = h->columns;
    *out_states = states;
    states = NULL;
done:
    tw_free(c->ctx, rows);
    tw_free(c->ctx, states);
    begin_close(c, &b);
    tw_normaliser_free(c->ctx, &scale);
    return status;
}

/* Mean over paths and times of |dx/dt|^2 and of |dx/dt - (x(1) - x(0))|^2. */
static tw_status path_costs(const subject *s, double *out_energy, double *out_bend)
{
    int columns;
    double *x, energy = 0, bend = 0;
    tw_status status = follow(s, &columns, &x);
    if (status != TW_OK) return status;
    int64_t frame = (int64_t)PATHS * columns, last = (FRAMES - 1) * frame;
    for (int k = 0; k + 1 < FRAMES; k++)
        for (int64_t i = 0; i < frame; i++) {
            double speed = (x[(k + 1) * frame + i] - x[k * frame + i]) * (FRAMES - 1), chord = x[last + i] - x[i];
            energy += speed * speed;
            bend += (speed - chord) * (speed - chord);
        }
    *out_energy = energy / (PATHS * (double)(FRAMES - 1));
    *out_bend = bend / (PATHS * (double)(FRAMES - 1));
    tw_free(s->c->ctx, x);
    return TW_OK;
}

tw_status measure_path_energy(const subject *s, measured *out)
{
    double bend;
    out->floor = (double)NAN;
    return path_costs(s, &out->value, &bend);
}

/* What is left of the energy without the bends: the chord is the mean of the velocity. */
tw_status measure_transport(const subject *s, measured *out)
{
    double energy, bend;
    tw_status status = path_costs(s, &energy, &bend);
    if (status == TW_OK) *out = (measured){energy - bend, (double)NAN};
    return status;
}

tw_status measure_straightness(const subject *s, measured *out)
{
    double energy;
    out->floor = 0;
    return path_costs(s, &energy, &out->value);
}

tw_status measure_nfe(const subject *s, measured *out)
{
    cli *c = s->c;
    tw_ode_stats stats;
    begin b = {0};
    tw_sample_desc desc = {.seed = opt_seed(&c->set, OPT_SEED),
                           .schedule = opt_text(&c->set, OPT_OTHER_SCHEDULE),
                           .solver = solver_without_noise(c, &s->solver)};
    tw_status status = TW_OK;
    double *rows = tw_alloc(c->ctx, PATHS, (size_t)s->h.columns * sizeof *rows);
    if (!rows) TW_TRY(tw_fail_memory(c->ctx, PATHS * (size_t)s->h.columns * sizeof *rows));
    TW_TRY(begin_open(c, &s->m, &s->h, PATHS, &b));
    begin_set(&b, &desc);
    TW_TRY(tw_sample(s->m.flow, PATHS, &desc, rows, NULL, &stats));
    *out = (measured){(double)stats.nfe, (double)NAN};
done:
    tw_free(c->ctx, rows);
    begin_close(c, &b);
    return status;
}
