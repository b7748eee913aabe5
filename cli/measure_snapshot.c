/* measure_snapshot.c - measures between two snapshots: points at a time on the way (--until) against rows that were
 * seen at that time (--data) and that no training saw.
 *
 * The question of single-cell data: cells are destroyed by looking at them, so that one knows sets of cells at a few
 * times and no cell twice. One set is left out, and what joins its neighbours is compared with it (Tong et al. 2020,
 * TrajectoryNet, section 5.2; Tong et al. 2024, OT-CFM, section 5.3). Two nulls stand beside a flow: the set before,
 * as if nothing had moved, and straight lines between optimally paired rows (McCann 1997), which learn nothing. The
 * floor is the distance of one half of the rows left out to the other. */
#include "measures.h"

#include "distances.h"

#include <string.h>

enum { DRAW_NULL = 1 << 16 /* and up, two a repeat: beyond the draws of distances */ };

typedef struct snapshot {
    tw_dataset *before, *behind; /* what the flow begins at and ends at; of nulls only */
    comparison d;
} snapshot;

static tw_status snapshot_open(const subject *s, bool null, snapshot *out)
{
    cli *c = s->c;
    tw_status status = TW_OK;
    out->d = (comparison){.c = c, .m = &s->m, .held = &s->h, .halves = true, .solver = s->solver};
    if (null) TW_TRY(model_open_source(c, &s->m, &out->before));
    if (null) TW_TRY(model_open_data(c, &s->m, &out->behind));
done:
    return status;
}

static void snapshot_close(snapshot *n)
{
    comparison_free(&n->d);
    tw_dataset_destroy(n->before);
    tw_dataset_destroy(n->behind);
}

static tw_status measure_samples(snapshot *n, distance_kind kind, measured *out)
{
    tw_status status = comparison_measure(&n->d, 1u << kind);
    *out = (measured){n->d.of[kind].value, n->d.of[kind].floor};
    return status;
}

static tw_status take_flow(const subject *s, distance_kind kind, measured *out)
{
    snapshot n = {0};
    tw_status status = TW_OK;
    TW_TRY(snapshot_open(s, false, &n));
    TW_TRY(comparison_draw(&n.d));
    TW_TRY(measure_samples(&n, kind, out));
done:
    snapshot_close(&n);
    return status;
}

tw_status measure_snapshot_w1(const subject *s, measured *out)
{
    return take_flow(s, DISTANCE_W1, out);
}

tw_status measure_snapshot_w2(const subject *s, measured *out)
{
    return take_flow(s, DISTANCE_W2, out);
}

/* --- nulls ----------------------------------------------------------------------------------------------------------
 */

/* The share `t` of the way from each row of `from` to the row of `to` that is paired with it, into `from`. */
static tw_status go_straight(cli *c, double t, int64_t pairs, int columns, const double *to, double *from)
{
    double distance_between;
    int64_t *paired = tw_alloc(c->ctx, (size_t)pairs, sizeof *paired);
    if (!paired) return tw_fail_memory(c->ctx, (size_t)pairs * sizeof *paired);
    tw_status status = tw_wasserstein2(c->ctx, columns, pairs, from, to, paired, &distance_between);
    for (int64_t i = 0; status == TW_OK && i < pairs * columns; i++) {
        double end = to[paired[i / columns] * columns + i % columns];
        from[i] += t * (end - from[i]);
    }
    tw_free(c->ctx, paired);
    return status;
}

/* One repeat's rows of a null; t = 0 leaves the rows where they were before. */
static tw_status null_rows(snapshot *n, int repeat, double t, double *out)
{
    cli *c = n->d.c;
    int columns = n->d.held->columns;
    uint64_t draw = DRAW_NULL + 2 * (uint64_t)repeat;
    tw_status status = TW_OK;
    double *from = random_rows(c, draw, columns, tw_dataset_rows(n->before, TW_PART_ALL),
                               tw_dataset_values(n->before, TW_PART_ALL), n->d.pairs);
    double *to = random_rows(c, draw + 1, columns, tw_dataset_rows(n->behind, TW_PART_ALL),
                             tw_dataset_values(n->behind, TW_PART_ALL), n->d.pairs);
    if (!from || !to) TW_TRY(tw_fail_memory(c->ctx, (size_t)(n->d.pairs * columns) * sizeof *from));
    if (t > 0) TW_TRY(go_straight(c, t, n->d.pairs, columns, to, from));
    memcpy(out, from, (size_t)(n->d.pairs * columns) * sizeof *out);
done:
    tw_free(c->ctx, from);
    tw_free(c->ctx, to);
    return status;
}

static tw_status take_null(const subject *s, double t, distance_kind kind, measured *out)
{
    snapshot n = {0};
    tw_status status = TW_OK;
    TW_TRY(snapshot_open(s, true, &n));
    int64_t most = tw_min_i64(tw_dataset_rows(n.before, TW_PART_ALL), tw_dataset_rows(n.behind, TW_PART_ALL));
    TW_TRY(comparison_settle(&n.d, most));
    int64_t numbers = n.d.pairs * s->h.columns;
    n.d.samples = tw_alloc(s->c->ctx, (size_t)(numbers * n.d.repeats), sizeof(double));
    if (!n.d.samples) TW_TRY(tw_fail_memory(s->c->ctx, (size_t)(numbers * n.d.repeats) * sizeof(double)));
    for (int k = 0; k < n.d.repeats; k++) TW_TRY(null_rows(&n, k, t, n.d.samples + k * numbers));
    TW_TRY(measure_samples(&n, kind, out));
done:
    snapshot_close(&n);
    return status;
}

tw_status measure_still_w1(const subject *s, measured *out)
{
    return take_null(s, 0, DISTANCE_W1, out);
}

tw_status measure_still_w2(const subject *s, measured *out)
{
    return take_null(s, 0, DISTANCE_W2, out);
}

tw_status measure_straight_w1(const subject *s, measured *out)
{
    return take_null(s, opt_number(&s->c->set, OPT_UNTIL), DISTANCE_W1, out);
}

tw_status measure_straight_w2(const subject *s, measured *out)
{
    return take_null(s, opt_number(&s->c->set, OPT_UNTIL), DISTANCE_W2, out);
}
