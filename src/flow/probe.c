/* flow/probe.c - see probe.h. */
#include "flow/probe.h"

#include "base/philox.h"
#include "base/streams.h"

#include <string.h>

enum { FRESH, MOST = 1024 };

static void put(void *out, bool wide, int64_t at, double value)
{
    if (wide)
        ((double *)out)[at] = value;
    else
        ((float *)out)[at] = (float)value;
}

/* --- kinds: vector number `index` of those there are ----------------------------------------------------------------
 */

static void draw_signs(tw_random random, uint64_t index, int columns, bool wide, int64_t at, void *out)
{
    uint32_t bits = 0;
    random.index = index * (uint64_t)((columns + 31) / 32);
    for (int j = 0; j < columns; j++) {
        if (j % 32 == 0) bits = tw_random_u32(&random);
        put(out, wide, at + j, bits >> j % 32 & 1 ? 1 : -1);
    }
}

static void draw_gaussian(tw_random random, uint64_t index, int columns, bool wide, int64_t at, void *out)
{
    enum { WORDS_OF_NORMAL = 4 };
    random.index = index * (uint64_t)columns * WORDS_OF_NORMAL;
    for (int j = 0; j < columns; j++) put(out, wide, at + j, tw_random_normal(&random));
}

static const struct {
    tw_piece_info info;
    void (*draw)(tw_random random, uint64_t index, int columns, bool wide, int64_t at, void *out);
} kinds[] = {
#define TW_PROBES(name, about, source)                                                                                 \
    {{#name, about, source, TW_PARAMETERS(TW_P(fresh, 0, 0, 1))}, draw_##name},
#include "flow/probes.def"
};

const tw_piece_info *tw_probes_list(int index)
{
    return index >= 0 && index < TW_COUNT(kinds) ? &kinds[index].info : NULL;
}

tw_status tw_probes_read(tw_context *ctx, const char *kind, int count, uint64_t seed, tw_probes *out_probes)
{
    tw_piece piece = {0};
    tw_status status = TW_OK;
    if (count < 0 || count > MOST)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "%d probes of a divergence: expected 0 (exact) to %d", count, MOST));
    TW_TRY(tw_piece_read(ctx, "probes", kind ? kind : "signs", tw_probes_list, &piece));
    if (piece.value[FRESH] != 0 && piece.value[FRESH] != 1)
        TW_TRY(tw_fail(ctx, TW_ERR_INVALID, "probes: fresh=%g: expected 0 or 1", piece.value[FRESH]));
    *out_probes = (tw_probes){.count = count, .kind = piece.row, .fresh = piece.value[FRESH] == 1, .seed = seed};
done:
    tw_piece_free(ctx, &piece);
    return status;
}

void tw_probes_draw(const tw_probes *p, int64_t row, double t, int columns, bool wide, void *out)
{
    tw_random random = {.seed = p->seed, .stream = TW_STREAM_PROBE};
    uint64_t moment;
    memcpy(&moment, &t, sizeof moment);
    if (p->fresh) random.seed ^= (moment + 1) * 0x9E3779B97F4A7C15u; /* odd: times differ as seeds do */
    for (int k = 0; k < p->count; k++)
        kinds[p->kind].draw(random, (uint64_t)row * (uint64_t)p->count + (uint64_t)k, columns, wide,
                            (int64_t)k * columns, out);
}
