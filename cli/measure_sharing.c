/* measure_sharing.c - measures of pictures edited from class to class with values of attention from the pictures as
 * they were (Wang et al. 2024, RF-Edit): how far they move, and whether they become what they are told.
 *
 * A held-out picture is told another class, drawn for it. Distances are root mean squares over those of the same edits
 * without sharing. A judge that knows no flow says what an edited picture is: the class of the nearest training
 * picture. */
#include "measures.h"

#include "pictures.h"

#include "base/philox.h"

#include <thalweg/eval.h>

#include <math.h>
#include <string.h>

enum { PICTURES = 150, STREAM = 74 };

typedef struct edits {
    const subject *s;
    int64_t n;
    int told, class;            /* conditions, and which of them is the class */
    const double *was;          /* (n, told) */
    double *memory, *got, *now; /* what pictures become (n, columns), what they are told then */
} edits;

static tw_status edits_open(const subject *s, edits *e)
{
    tw_context *ctx = s->c->ctx;
    const held_out *h = &s->h;
    tw_random random = {.seed = opt_seed(&s->c->set, OPT_SEED), .stream = STREAM};
    *e = (edits){.s = s,
                 .n = tw_min_i64(PICTURES, h->rows),
                 .told = s->m.about->conditions_count,
                 .class = class_condition(s->m.about),
                 .was = h->conditions};
    if (e->class < 0 || !h->conditions)
        return tw_fail(ctx, TW_ERR_INVALID, "pictures are edited between classes, and the flow is told none");
    size_t columns = (size_t)h->columns, told = (size_t)e->told;
    e->memory = tw_alloc(ctx, (size_t)e->n * (columns + told), sizeof(double));
    if (!e->memory) return tw_fail_memory(ctx, (size_t)e->n * (columns + told) * sizeof(double));
    e->got = e->memory;
    e->now = e->got + (size_t)e->n * columns;
    memcpy(e->now, e->was, (size_t)e->n * told * sizeof(double));
    int classes = s->m.about->conditions[e->class].classes;
    for (int64_t i = 0; i < e->n; i++) {
        int other = 1 + (int)tw_random_below(&random, classes - 1);
        double *class = &e->now[i * e->told + e->class];
        *class = ((int)*class + other) % classes;
    }
    return TW_OK;
}

static void edits_close(const edits *e)
{
    tw_free(e->s->c->ctx, e->memory);
}

/* Root of the mean squared distance that pictures go. */
static tw_status move(edits *e, double share, const double *now, double *out)
{
    const held_out *h = &e->s->h;
    const tw_sample_desc desc = {.solver = e->s->solver, .from = h->values, .conditions = e->was};
    const tw_flow_edit_desc edit = {.conditions = now, .share = share};
    tw_status status = tw_flow_edit(e->s->m.flow, e->n, &desc, &edit, e->got, NULL);
    double sum = 0;
    for (int64_t i = 0; status == TW_OK && i < e->n * h->columns; i++)
        sum += (e->got[i] - h->values[i]) * (e->got[i] - h->values[i]);
    *out = sqrt(sum / (double)e->n);
    return status;
}

static tw_status take_moved(const subject *s, double share, bool same, measured *out)
{
    edits e = {0};
    double moved, unshared;
    tw_status status = TW_OK;
    TW_TRY(edits_open(s, &e));
    TW_TRY(move(&e, share, same ? e.was : e.now, &moved));
    TW_TRY(move(&e, 0, e.now, &unshared));
    *out = (measured){moved / unshared, (double)NAN};
done:
    edits_close(&e);
    return status;
}

tw_status measure_edit_returned(const subject *s, measured *out)
{
    return take_moved(s, 1, true, out);
}

tw_status measure_edit_moved_half(const subject *s, measured *out)
{
    return take_moved(s, 0.5, false, out);
}

tw_status measure_edit_moved_whole(const subject *s, measured *out)
{
    return take_moved(s, 1, false, out);
}

static tw_status take_reached(const subject *s, double share, measured *out)
{
    edits e = {0};
    double *training = NULL, *far = NULL, moved, hits = 0;
    int64_t *nearest = NULL;
    const tw_dataset *data = s->h.training;
    int columns = s->h.columns;
    tw_status status = TW_OK;
    if (!data) return tw_fail(s->c->ctx, TW_ERR_INVALID, "the judge needs the training pictures, which are gone");
    int64_t count = tw_dataset_rows(data, TW_PART_TRAIN);
    const double *told = tw_dataset_condition_values(data, TW_PART_TRAIN);
    TW_TRY(edits_open(s, &e));
    TW_TRY(move(&e, share, e.now, &moved));
    training = tw_alloc(s->c->ctx, (size_t)count, (size_t)columns * sizeof *training);
    if (!training) TW_TRY(tw_fail_memory(s->c->ctx, (size_t)count * (size_t)columns * sizeof *training));
    nearest = tw_alloc(s->c->ctx, (size_t)e.n, sizeof *nearest);
    far = tw_alloc(s->c->ctx, (size_t)e.n, sizeof *far);
    if (!nearest || !far) TW_TRY(tw_fail_memory(s->c->ctx, (size_t)e.n * sizeof *far));
    TW_TRY(tw_dataset_read(data, TW_PART_TRAIN, 0, count, training));
    TW_TRY(tw_nearest_rows(s->c->ctx, columns, e.n, e.got, count, training, 1, nearest, far));
    for (int64_t i = 0; i < e.n; i++) hits += told[nearest[i] * e.told + e.class] == e.now[i * e.told + e.class];
    *out = (measured){hits / (double)e.n, (double)NAN};
done:
    tw_free(s->c->ctx, training);
    tw_free(s->c->ctx, nearest);
    tw_free(s->c->ctx, far);
    edits_close(&e);
    return status;
}

tw_status measure_edit_reached(const subject *s, measured *out)
{
    return take_reached(s, 0, out);
}

tw_status measure_edit_reached_half(const subject *s, measured *out)
{
    return take_reached(s, 0.5, out);
}
