/* flow/pieces.c - see pieces.h. */
#include "flow/pieces.h"

#include "flow/diffusion.h"
#include "flow/guidance.h"
#include "flow/inverse.h"
#include "method/method.h"
#include "path/density.h"
#include "path/grid.h"

#include <thalweg/coupling.h>

#include <stdio.h>
#include <string.h>

static const tw_flow_piece_row rows[] = {
#define TW_FLOW_PIECE(field, kinds, list) {#field, kinds, list, offsetof(tw_flow_desc, field)},
#include "flow/pieces.def"
};

const tw_flow_piece_row *tw_flow_piece_at(int index)
{
    return index >= 0 && index < TW_COUNT(rows) ? &rows[index] : NULL;
}

const tw_piece_info *tw_piece_list(const char *kind, int index)
{
    for (int i = 0; i < TW_COUNT(rows); i++)
        if (strcmp(rows[i].kinds, kind) == 0) return rows[i].at(index);
    if (strcmp(kind, "grids") == 0) return tw_grid_list(index);
    if (strcmp(kind, "diffusions") == 0) return tw_diffusion_list(index);
    if (strcmp(kind, "guidances") == 0) return tw_guidance_list(index);
    if (strcmp(kind, "inverses") == 0) return tw_inverse_list(index);
    return strcmp(kind, "networks") == 0 ? tw_network_list(index) : NULL;
}

const char **tw_flow_piece_name(tw_flow_desc *desc, int index)
{
    return (const char **)((char *)desc + rows[index].in_desc);
}

/* `coupling`: room for the text of the default coupling. */
static tw_flow_desc defaults_of(const tw_piece *piece, char *coupling, size_t size)
{
    const tw_method_rules *rules = ((const tw_method *)piece->info)->rules;
    const tw_method_defaults *d = &rules->defaults;
    if (rules->coupling_epsilon)
        snprintf(coupling, size, "%s:epsilon=%.9g", d->coupling, rules->coupling_epsilon(piece));
    return (tw_flow_desc){.path = d->path,
                          .schedule = d->schedule,
                          .coupling = rules->coupling_epsilon ? coupling : d->coupling,
                          .predict = d->predict,
                          .loss = d->loss,
                          .weight = d->weight,
                          .time_density = d->time_density};
}

static tw_status check_together(tw_context *ctx, const tw_piece *piece)
{
    const tw_method *method = (const tw_method *)piece[TW_PIECE_method].info;
    if (method->rules->velocity_only && piece[TW_PIECE_predict].row != TW_PREDICT_velocity)
        return tw_fail(ctx, TW_ERR_INVALID, "method '%s' predicts the velocity, not '%s'", method->info.name,
                       piece[TW_PIECE_predict].info->name);
    return tw_schedule_check(ctx, &piece[TW_PIECE_schedule]);
}

tw_status tw_flow_pieces_read(tw_context *ctx, const tw_flow_desc *desc, tw_piece *piece)
{
    tw_flow_desc asked = *desc, defaults = {0};
    char coupling[64];
    tw_status status = TW_OK;
    memset(piece, 0, TW_PIECE_COUNT * sizeof(*piece));
    for (int i = 0; i < TW_COUNT(rows); i++) {
        const char *name = *tw_flow_piece_name(&asked, i);
        if (!name) name = *tw_flow_piece_name(&defaults, i);
        if (!name) name = rows[i].at(0)->name;
        TW_TRY(tw_piece_read(ctx, rows[i].field, name, rows[i].at, &piece[i]));
        if (i == TW_PIECE_method) defaults = defaults_of(&piece[i], coupling, sizeof(coupling));
    }
    TW_TRY(check_together(ctx, piece));
done:
    for (int i = 0; status != TW_OK && i < TW_PIECE_COUNT; i++) tw_piece_free(ctx, &piece[i]);
    return status;
}
