/* fid.c - see fid.h. */
#include "fid.h"

#include "score.h"
#include "signals.h"

#include <thalweg/eval.h>

#include <math.h>

enum { DRAW_HELD = 1, DRAW_TRAINING = 3 }; /* as those of the classifier's features */

tw_status fid_open(cli *c, const model *m, fid *out)
{
    *out = (fid){.file = opt_text(&c->set, OPT_INCEPTION)};
    if (!out->file) return TW_OK;
    return tw_inception_open(c->ctx, out->file, m->about->image, TW_INCEPTION_SIDE, &out->network);
}

void fid_close(fid *f)
{
    tw_inception_close(f->network);
    f->network = NULL;
}

typedef struct watch {
    cli *c;
    int64_t before, all; /* pictures of earlier sets, of all */
} watch;

static int on_pictures(void *user, int64_t done, int64_t total)
{
    watch *w = user;
    char detail[96];
    (void)total;
    snprintf(detail, sizeof detail, "picture %lld of %lld", (long long)(w->before + done), (long long)w->all);
    progress_show(&w->c->progress, "Inception", (double)(w->before + done) / (double)w->all, detail, false);
    return signals_caught() != 0;
}

/* Features of each set of n pictures, one behind another. */
static tw_status features_of(cli *c, tw_inception *network, int sets, int64_t n, double *const *pictures,
                             double *const *features)
{
    watch w = {.c = c, .all = sets * n};
    tw_status status = TW_OK;
    progress_begin(&c->progress);
    signals_watch();
    for (int k = 0; k < sets; k++, w.before += n)
        TW_TRY(tw_inception_run(network, n, pictures[k], on_pictures, &w, features[k]));
done:
    signals_release();
    progress_clear(&c->progress);
    return status;
}

tw_status fid_measure(const comparison *d, fid *f)
{
    if (!f->file) return TW_OK;
    cli *c = d->c;
    const held_out *h = d->held;
    int64_t n = f->pairs = d->pairs;
    bool floor_known = h->training && tw_dataset_rows(h->training, TW_PART_TRAIN) >= n;
    int sets = floor_known ? 3 : 2, width = tw_inception_features(f->network);
    double *pictures[3] = {d->samples}, *features[3] = {NULL};
    tw_status status = TW_OK;
    pictures[1] = random_rows(c, DRAW_HELD, h->columns, h->rows, h->values, n);
    if (floor_known) pictures[2] = random_rows_of(c, DRAW_TRAINING, h->training, TW_PART_TRAIN, n);
    for (int k = 0; k < sets; k++) {
        features[k] = tw_alloc(c->ctx, (size_t)n, (size_t)width * sizeof *features[k]);
        if (!pictures[k] || !features[k]) TW_TRY(tw_fail_memory(c->ctx, (size_t)n * (size_t)width * sizeof(double)));
    }
    TW_TRY(features_of(c, f->network, sets, n, pictures, features));
    fid_close(f);
    f->distance.floor = (double)NAN;
    TW_TRY(tw_frechet_distance(c->ctx, width, n, features[0], n, features[1], &f->distance.value));
    if (floor_known) TW_TRY(tw_frechet_distance(c->ctx, width, n, features[2], n, features[1], &f->distance.floor));
done:
    tw_free(c->ctx, pictures[1]);
    tw_free(c->ctx, pictures[2]);
    for (int k = 0; k < 3; k++) tw_free(c->ctx, features[k]);
    return status;
}

void fid_text(const fid *f, tw_text *out)
{
    char count[32];
    if (!f->file) return;
    tw_text_add(out, "\nFID (Inception features of %s), %s pictures on each side\n", f->file,
                human_count((double)f->pairs, count, sizeof count));
    judged_pair_head(out);
    judged_pair_text(out, "FID", f->distance, true);
    tw_text_add(out, "  published ones are of 10,000 to 50,000 pictures, and lower the more there are\n");
}

void fid_json(const fid *f, cJSON *object)
{
    if (!f->file) return;
    judged_pair_json(object, "fid", f->distance);
    json_int(object, "fid_pictures", f->pairs);
    json_text(object, "inception", f->file);
}
