/* tests/support/edit_world.h - a small world of sequences of up to three tokens of two symbols: pairs with their
 * probabilities and alignments, so that laws of x_t and what is expected of every slot are sums over all places and all
 * choices. */
#ifndef TESTS_SUPPORT_EDIT_WORLD_H
#define TESTS_SUPPORT_EDIT_WORLD_H

#include "path/edit_path.h"

#include <math.h>
#include <string.h>

enum { WORLD_SYMBOLS = 2, WORLD_LONGEST = 3, WORLD_PLACES = 6, WORLD_STATES = 127, WORLD_OUTPUTS = 7, WORLD_PAIRS = 30 };

typedef struct world_pair {
    double p;
    int32_t length; /* of the alignment */
    int32_t z0[WORLD_PLACES], z1[WORLD_PLACES];
} world_pair;

typedef struct edit_world {
    tw_edit_path path;
    int pairs, width; /* width: of rows */
    world_pair pair[WORLD_PAIRS];
} edit_world;

/* What is expected of the slots of a sequence, and how likely the sequence is. */
typedef struct slot_sums {
    double p, insert[WORLD_PLACES + 1][WORLD_SYMBOLS], remove[WORLD_PLACES + 1],
        substitute[WORLD_PLACES + 1][WORLD_SYMBOLS];
} slot_sums;

/* Sequences by length, then as binary numbers. */
static inline int world_state(int32_t length, const int32_t *x)
{
    int number = 0;
    for (int32_t i = 0; i < length; i++) number = 2 * number + x[i];
    return (1 << length) - 1 + number;
}

static const struct {
    double p;
    int32_t length, token[WORLD_LONGEST];
} world_goals[] = {{0.1, 0, {0}},          {0.15, 1, {1}},          {0.25, 2, {0, 1}},
                   {0.2, 3, {0, 0, 1}},    {0.05, 3, {1, 0, 0}},    {0.25, 3, {1, 1, 1}}},
  world_starts[] = {{0.2, 0, {0}}, {0.2, 1, {0}}, {0.3, 2, {1, 0}}, {0.2, 3, {1, 1, 0}}, {0.1, 3, {0, 0, 1}}};

/* From nothing, or from five sequences, whatever the goal. */
static inline void world_make(tw_context *ctx, const tw_schedule *schedule, bool empty, tw_alignment alignment,
                              edit_world *w)
{
    *w = (edit_world){.path = {WORLD_SYMBOLS, empty, schedule, alignment}, .width = empty ? WORLD_LONGEST : WORLD_PLACES};
    for (int a = 0; a < (empty ? 1 : TW_COUNT(world_starts)); a++)
        for (int b = 0; b < TW_COUNT(world_goals); b++) {
            world_pair *pair = &w->pair[w->pairs++];
            int32_t from[3], to[3], length[4] = {world_starts[a].length, world_goals[b].length, 0, 0};
            memcpy(from, world_starts[a].token, sizeof from);
            memcpy(to, world_goals[b].token, sizeof to);
            tw_sequences x0 = {1, 3, from, &length[0]}, x1 = {1, 3, to, &length[1]};
            tw_sequences z0 = {1, WORLD_PLACES, pair->z0, &length[2]}, z1 = {1, WORLD_PLACES, pair->z1, &length[3]};
            tw_align_desc desc = {.kind = alignment, .seed = 7, .step = w->pairs};
            if (tw_edit_align(ctx, &desc, &x0, &x1, &z0, &z1) != TW_OK) fail_msg("%s", tw_context_error(ctx));
            pair->length = length[2];
            pair->p = (empty ? 1 : world_starts[a].p) * world_goals[b].p;
        }
}

/* Place by place: of z_1 where `chosen` has its bit. Returns the probability of the choice, and of the pair. */
static inline double world_mix(const world_pair *pair, int chosen, double kappa, int32_t *z)
{
    double p = pair->p;
    for (int i = 0; i < pair->length; i++) {
        bool goal = chosen >> i & 1;
        z[i] = goal ? pair->z1[i] : pair->z0[i];
        p *= goal ? kappa : 1 - kappa;
    }
    return p;
}

/* Sums for all states at once; table (WORLD_STATES). */
static inline void world_sums(const edit_world *w, double kappa, slot_sums *table)
{
    memset(table, 0, WORLD_STATES * sizeof *table);
    for (int i = 0; i < w->pairs; i++)
        for (int chosen = 0; chosen < 1 << w->pair[i].length; chosen++) {
            int32_t z[WORLD_PLACES], x[WORLD_PLACES], length = w->pair[i].length, kept;
            double p = world_mix(&w->pair[i], chosen, kappa, z);
            tw_sequences from = {1, WORLD_PLACES, z, &length}, to = {1, WORLD_PLACES, x, &kept};
            tw_edit edits[WORLD_PLACES];
            tw_edit_strip(&from, &to);
            slot_sums *s = &table[world_state(kept, x)];
            int64_t count = tw_edit_list(length, z, w->pair[i].z1, edits);
            s->p += p;
            for (int64_t k = 0; k < count; k++) {
                if (edits[k].kind == TW_EDIT_INSERT) s->insert[edits[k].slot][edits[k].token] += p;
                if (edits[k].kind == TW_EDIT_DELETE) s->remove[edits[k].slot] += p;
                if (edits[k].kind == TW_EDIT_SUBSTITUTE) s->substitute[edits[k].slot][edits[k].token] += p;
            }
        }
}

static inline float world_log(double x)
{
    return x > 1e-13 ? (float)log(x) : -30;
}

/* What a network that has learned everything says of a state, all slots (WORLD_PLACES + 1, outputs). */
static inline void world_says(const edit_world *w, const slot_sums *s, float *out)
{
    int outputs = tw_edit_outputs(&w->path), kinds = tw_edit_kinds(&w->path);
    double p = s->p > 0 ? s->p : 1;
    for (int slot = 0; slot <= WORLD_PLACES; slot++) {
        const double *insert = s->insert[slot], *other = s->substitute[slot];
        float *o = out + slot * outputs;
        o[TW_EDIT_INSERT] = world_log((insert[0] + insert[1]) / p);
        for (int k = 0; k < WORLD_SYMBOLS; k++) o[kinds + k] = world_log(insert[k] / p);
        if (w->path.inserts_only) continue;
        o[TW_EDIT_DELETE] = world_log(s->remove[slot] / p);
        o[TW_EDIT_SUBSTITUTE] = world_log((other[0] + other[1]) / p);
        for (int k = 0; k < WORLD_SYMBOLS; k++) o[kinds + WORLD_SYMBOLS + k] = world_log(other[k] / p);
    }
}

/* The exact answers at the times asked for last. */
typedef struct world_oracle {
    const edit_world *world;
    double t;
    float says[WORLD_STATES][(WORLD_PLACES + 1) * WORLD_OUTPUTS];
} world_oracle;

static inline void world_look_up(world_oracle *o, double t)
{
    static slot_sums sums[WORLD_STATES];
    if (o->t == t) return;
    o->t = t;
    world_sums(o->world, tw_schedule_at(o->world->path.schedule, t).alpha, sums);
    for (int i = 0; i < WORLD_STATES; i++) world_says(o->world, &sums[i], o->says[i]);
}

static inline int32_t world_length(const int32_t *x, int width)
{
    int32_t length = 0;
    while (length < width && x[length] < WORLD_SYMBOLS) length++;
    return length;
}

static inline tw_status world_ask(void *user, int64_t rows, const int64_t *row, const double *t, const int32_t *x, float *out)
{
    world_oracle *o = user;
    int width = o->world->width;
    size_t said = (size_t)(width + 1) * (size_t)tw_edit_outputs(&o->world->path);
    (void)row;
    for (int64_t r = 0; r < rows; r++) {
        world_look_up(o, t[r]);
        memcpy(out + (size_t)r * said, o->says[world_state(world_length(x + r * width, width), x + r * width)],
               said * sizeof *out);
    }
    return TW_OK;
}

#endif
