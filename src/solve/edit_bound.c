/* solve/edit_bound.c - see edit_bound.h. */
#include "solve/edit_bound.h"

#include "path/token_path.h"

#include <math.h>

/* Laid out one behind another, doubles first. */
typedef struct memory {
    double *t;       /* (pairs) */
    tw_edit *edit;   /* (width), of one pair */
    float *said;     /* (pairs, width + 1, outputs) */
    int32_t *x, *zt; /* (pairs, width): z_t without its blanks; of one pair z_t, then z_1 */
} memory;

static memory lay_out(const tw_edit_path *path, int64_t pairs, int64_t width, void *base)
{
    memory m = {.t = base};
    m.said = (float *)(m.t + pairs);
    m.edit = (tw_edit *)(m.said + pairs * (width + 1) * tw_edit_outputs(path));
    m.x = (int32_t *)(m.edit + width);
    m.zt = m.x + pairs * width;
    return m;
}

size_t tw_edit_bound_bytes(const tw_edit_path *path, int64_t pairs, int64_t width)
{
    int64_t said = pairs * (width + 1) * tw_edit_outputs(path);
    return (size_t)pairs * sizeof(double) + (size_t)said * sizeof(float) + (size_t)width * sizeof(tw_edit) +
           (size_t)((pairs + 2) * width) * sizeof(int32_t);
}

/* z_t and z_1 with TW_BLANK for blanks, and x_t, filled up. Returns how long x_t is. */
static int32_t draw(const tw_edit_bound_desc *d, int64_t pair, int32_t *zt, int32_t *z1, int32_t *x)
{
    const int symbols = d->path->symbols;
    double left = d->place[pair] * d->place[pair];
    int32_t length = 0;
    for (int64_t i = 0, at = pair * d->width; i < d->width; i++, at++) {
        int32_t now = d->u[at] < left ? d->z0[at] : d->z1[at], goal = d->z1[at];
        zt[i] = now < symbols && now >= 0 ? now : TW_BLANK;
        z1[i] = goal < symbols && goal >= 0 ? goal : TW_BLANK;
        if (zt[i] != TW_BLANK) x[length++] = zt[i];
    }
    for (int64_t i = length; i < d->width; i++) x[i] = symbols;
    return length;
}

/* log softmax of one of them, in double. */
static double log_probability(int count, const float *logits, int which)
{
    double most = (double)logits[0], sum = 0;
    for (int k = 1; k < count; k++) most = fmax(most, (double)logits[k]);
    for (int k = 0; k < count; k++) sum += exp((double)logits[k] - most);
    return (double)logits[which] - most - log(sum);
}

/* What is expected of all slots of a row together. */
static double all_edits(const tw_edit_path *path, int32_t length, const float *said)
{
    double sum = 0;
    for (int32_t slot = 0; slot <= length; slot++)
        for (int kind = 0; kind < tw_edit_kinds(path); kind++)
            if (kind == TW_EDIT_INSERT || slot > 0) sum += exp((double)said[slot * tw_edit_outputs(path) + kind]);
    return sum;
}

/* The logarithm of what is expected of one edit. */
static double log_of_edit(const tw_edit_path *path, const tw_edit *edit, const float *said)
{
    const float *slot = said + edit->slot * tw_edit_outputs(path), *law = slot + tw_edit_kinds(path);
    double h = (double)slot[edit->kind];
    if (edit->kind == TW_EDIT_DELETE) return h;
    return h + log_probability(path->symbols, edit->kind == TW_EDIT_INSERT ? law : law + path->symbols, edit->token);
}

tw_status tw_edit_bound(const tw_edit_bound_desc *d, tw_logits_fn model, void *user, void *work, double *out)
{
    const tw_token_path mixture = {.symbols = 1, .states = 2, .schedule = d->path->schedule};
    const int64_t answers = (d->width + 1) * tw_edit_outputs(d->path);
    memory m = lay_out(d->path, d->pairs, d->width, work);
    int32_t *zt = m.zt, *z1 = zt + d->width;
    for (int64_t p = 0; p < d->pairs; p++) {
        m.t[p] = tw_token_time(&mixture, -2 * log(d->place[p]));
        draw(d, p, zt, z1, m.x + p * d->width);
    }
    tw_status status = model(user, d->pairs, d->row, m.t, m.x, m.said);
    if (status != TW_OK) return status;
    for (int64_t p = 0; p < d->pairs; p++) {
        const float *said = m.said + p * answers;
        double left = d->place[p] * d->place[p], rate = fmin(1 / left, d->fastest), sum = 0;
        int32_t length = draw(d, p, zt, z1, m.x + p * d->width);
        int64_t count = tw_edit_list(d->width, zt, z1, m.edit);
        for (int64_t i = 0; i < count; i++) sum += 1 + log_of_edit(d->path, &m.edit[i], said) + log(rate * left);
        out[p] = 2 * d->place[p] * (rate * all_edits(d->path, length, said) - sum / left);
        if (!isfinite(out[p])) return TW_ERR_NUMERIC;
    }
    return TW_OK;
}
