/* space/empty.c - the source of sequences that are empty: rows of what fills up, the number behind the last symbol. */
#include "graph/node.h"
#include "space/space.h"

static void place(const double *p, const tw_factor *f, const double *z, double *out)
{
    (void)p, (void)z;
    for (int i = 0; i < f->numbers; i++) out[i] = f->symbols;
}

static tw_val place_rows(const double *p, const tw_factor *f, tw_val z)
{
    (void)p;
    return tw_is_none(z) ? z : tw_full_like(z, f->symbols);
}

const tw_source_rules tw_source_empty = {.place = place, .place_rows = place_rows};
