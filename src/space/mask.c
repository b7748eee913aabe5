/* space/mask.c - the source of tokens that are all masked: the state behind the last symbol. Factors beside them that
 * move begin at the uniform source. */
#include "graph/node.h"
#include "space/space.h"

static void place(const double *p, const tw_factor *f, const double *z, double *out)
{
    if (f->symbols == 0) tw_source_uniform.place(p, f, z, out);
    for (int i = 0; f->symbols > 0 && i < f->numbers; i++) out[i] = f->symbols;
}

static tw_val place_rows(const double *p, const tw_factor *f, tw_val z)
{
    if (tw_is_none(z)) return z;
    return f->symbols > 0 ? tw_full_like(z, f->symbols) : tw_source_uniform.place_rows(p, f, z);
}

const tw_source_rules tw_source_mask = {.place = place, .place_rows = place_rows, .tokens = true};
