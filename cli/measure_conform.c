/* measure_conform.c - measures of whether all ways of saying a flow say the same one: every schedule, every prediction.
 *
 * The flow is that to eight bumps of measure_sampler.c, known exactly; what is told of it is turned into a velocity as
 * a network's answer would be, in double. Whatever is predicted and whatever schedule is gone along, a point of the
 * source has one end (Lipman et al. 2024, Flow matching guide and code, sections 4.6 and 4.8). */
#include "measures.h"

#include "flow/mixture.h"

#include <math.h>
#include <string.h>

enum { POINTS = 256 };

typedef struct conformance {
    tw_context *ctx;
    tw_mixture mixture;
    double centre[2 * BUMPS];
    tw_sample_desc desc;        /* with the solver measured */
    double *from, *end, *other; /* (POINTS, 2) */
} conformance;

static void conformance_close(conformance *c)
{
    tw_free(c->ctx, c->from);
    tw_free(c->ctx, c->end);
    tw_free(c->ctx, c->other);
}

static tw_status conformance_open(const subject *s, conformance *c)
{
    double **arrays[] = {&c->from, &c->end, &c->other};
    *c = (conformance){.ctx = s->c->ctx};
    c->desc = (tw_sample_desc){.seed = opt_seed(&s->c->set, OPT_SEED), .double_precision = true};
    if (!solver_of(s->c, &c->desc.solver)) return tw_fail(c->ctx, TW_ERR_INVALID, "the solver cannot be measured");
    bumps_mixture(c->centre, &c->mixture);
    for (int i = 0; i < TW_COUNT(arrays); i++)
        if (!(*arrays[i] = tw_alloc(c->ctx, POINTS, 2 * sizeof(double))))
            return tw_fail_memory(c->ctx, POINTS * 2 * sizeof(double));
    return TW_OK;
}

/* Points `from` (NULL: of the source) taken from t0 to t1 by a flow of this schedule that knows `predict`, gone along
 * `along` (NULL: its own schedule). */
static tw_status go(conformance *c, const char *schedule, const char *predict, const char *along, double t0, double t1,
                    const double *from, double *out)
{
    tw_flow *flow = NULL;
    tw_sample_desc desc = c->desc;
    desc.solver.t0 = t0;
    desc.solver.t1 = t1;
    desc.from = from;
    desc.schedule = along;
    c->mixture.predict = predict;
    tw_status status = tw_flow_create_exact(c->ctx, &c->mixture, schedule, &flow);
    if (status == TW_OK) status = tw_sample(flow, POINTS, &desc, out, NULL, NULL);
    tw_flow_destroy(flow);
    return status;
}

static double farthest(const conformance *c)
{
    double worst = 0;
    for (int i = 0; i < POINTS; i++)
        worst = fmax(worst, hypot(c->end[2 * i] - c->other[2 * i], c->end[2 * i + 1] - c->other[2 * i + 1]));
    return worst;
}

/* By name alone: a table has no curve without its rows, kinetic is one of the others until it is fitted. */
static const char *schedule_name(int index)
{
    const tw_piece_info *info = tw_piece_list("schedules", index);
    if (!info) return NULL;
    return strcmp(info->name, "table") == 0 || strcmp(info->name, "kinetic") == 0 ? "condot" : info->name;
}

/* Between the times at which every prediction tells the velocity. */
tw_status measure_predictions_agree(const subject *s, measured *out)
{
    const double low = TW_POLE_MARGIN, high = 1 - TW_POLE_MARGIN;
    const char *schedule;
    conformance c;
    tw_status status = TW_OK;
    *out = (measured){0, 0};
    TW_TRY(conformance_open(s, &c));
    for (int i = 0; (schedule = schedule_name(i)); i++) {
        TW_TRY(go(&c, schedule, "velocity", NULL, 0, low, NULL, c.from));
        TW_TRY(go(&c, schedule, "velocity", NULL, low, high, c.from, c.end));
        for (int p = 0; tw_prediction_list(p); p++) {
            TW_TRY(go(&c, schedule, tw_prediction_list(p)->name, NULL, low, high, c.from, c.other));
            out->value = fmax(out->value, farthest(&c));
        }
    }
done:
    conformance_close(&c);
    return status;
}

/* Whether a schedule begins at nothing but the source and ends at nothing but the data; `steep`: and is left before an
 * end where a slope is unbounded, or is not. */
static tw_status is_whole(tw_context *ctx, const char *name, bool steep, bool *out_whole)
{
    double low, high;
    tw_schedule schedule;
    tw_status status = tw_piece_read(ctx, "schedule", name, tw_schedule_list, &schedule);
    if (status != TW_OK) return status;
    tw_schedule_interval(&schedule, &low, &high);
    *out_whole = tw_schedule_at(&schedule, 0).alpha == 0 && tw_schedule_at(&schedule, 1).sigma == 0 &&
                 steep == (low > 0 || high < 1);
    tw_piece_free(ctx, &schedule);
    return TW_OK;
}

static tw_status take_schedules(const subject *s, bool steep, measured *out)
{
    const char *along;
    bool whole;
    conformance c;
    tw_status status = TW_OK;
    *out = (measured){0, 0};
    TW_TRY(conformance_open(s, &c));
    TW_TRY(go(&c, "condot", NULL, NULL, 0, 1, NULL, c.end));
    for (int i = 0; (along = schedule_name(i)); i++) {
        TW_TRY(is_whole(c.ctx, along, steep, &whole));
        if (!whole) continue;
        TW_TRY(go(&c, "condot", NULL, along, 0, 1, NULL, c.other)); /* changed after training */
        out->value = fmax(out->value, farthest(&c));
        TW_TRY(go(&c, along, NULL, NULL, 0, 1, NULL, c.other)); /* trained so */
        out->value = fmax(out->value, farthest(&c));
    }
done:
    conformance_close(&c);
    return status;
}

tw_status measure_schedules_agree(const subject *s, measured *out)
{
    return take_schedules(s, false, out);
}

tw_status measure_steep_schedules_agree(const subject *s, measured *out)
{
    return take_schedules(s, true, out);
}
