/* measures.c - the table of measures. */
#include "measures.h"

#include <string.h>

const finding *finding_of(const findings *all, const char *of, uint64_t seed, int64_t steps)
{
    for (int i = 0; i < FINDINGS; i++) {
        const finding *f = &all->last[i];
        if (f->of && strcmp(f->of, of) == 0 && f->seed == seed && f->steps == steps) return f;
    }
    return NULL;
}

const finding *finding_keep(findings *all, const finding *found)
{
    finding *place = &all->last[all->next];
    all->next = (all->next + 1) % FINDINGS;
    *place = *found;
    return place;
}

static tw_status open_flow(subject *s, const measure *what)
{
    cli *c = s->c;
    char error[256];
    if (what->of == MEASURE_OF_SNAPSHOT && !opt_given(&c->set, OPT_DATA))
        return tw_fail(c->ctx, TW_ERR_INVALID, "a snapshot is compared with a file of rows: data: FILE");
    if (!settings_set(&c->set, OPT_MODEL, s->folder, ORIGIN_COMMAND, error, sizeof error))
        return tw_fail(c->ctx, TW_ERR_INTERNAL, "%s", error);
    if (!solver_of(c, &s->solver) || model_open(c, &s->m) != EXIT_DONE)
        return tw_fail(c->ctx, TW_ERR_INVALID, "the flow in '%s' cannot be measured", s->folder);
    tw_status status = solver_suit(c, &s->m, &s->solver);
    if (status != TW_OK) return status;
    return held_out_open(c, &s->m, what->of == MEASURE_OF_TRAINING, &s->h);
}

tw_status measure_take(const measure *what, subject *now, measured *out)
{
    tw_status status = TW_OK;
    if (what->of != MEASURE_OF_NOTHING) TW_TRY(open_flow(now, what));
    TW_TRY(what->take(now, out));
done:
    held_out_close(&now->h);
    model_close(&now->m);
    return status;
}

static const measure measures[] = {
#define MEASURE(name, of, about) {#name, about, MEASURE_OF_##of, measure_##name},
#include "measures.def"
};

const measure *measure_list(int index)
{
    return index >= 0 && index < TW_COUNT(measures) ? &measures[index] : NULL;
}

const measure *measure_find(const char *name)
{
    for (int i = 0; i < TW_COUNT(measures); i++)
        if (strcmp(measures[i].name, name) == 0) return &measures[i];
    return NULL;
}
