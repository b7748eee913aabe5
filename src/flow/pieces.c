/* flow/pieces.c - see pieces.h. */
#include "flow/pieces.h"

#include "flow/diffusion.h"
#include "flow/guidance.h"
#include "flow/inverse.h"
#include "flow/operator.h"
#include "flow/probe.h"
#include "method/method.h"
#include "path/density.h"
#include "path/gamma.h"
#include "path/grid.h"

#include <thalweg/coupling.h>
#include <thalweg/import.h>

#include <math.h>
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
    if (strcmp(kind, "probes") == 0) return tw_probes_list(index);
    if (strcmp(kind, "guidances") == 0) return tw_guidance_list(index);
    if (strcmp(kind, "inverses") == 0) return tw_inverse_list(index);
    if (strcmp(kind, "operators") == 0) return tw_operator_list(index);
    if (strcmp(kind, "architectures") == 0) return tw_architecture_list(index);
    return strcmp(kind, "networks") == 0 ? tw_network_list(index) : NULL;
}

const char **tw_flow_piece_name(tw_flow_desc *desc, int index)
{
    return (const char **)((char *)desc + rows[index].in_desc);
}

/* Texts of defaults that depend on the method's parameters. */
typedef struct default_texts {
    char coupling[64], source[64];
} default_texts;

static tw_flow_desc defaults_of(const tw_piece *piece, default_texts *text)
{
    const tw_method_rules *rules = ((const tw_method *)piece->info)->rules;
    const tw_method_defaults *d = &rules->defaults;
    if (rules->coupling_epsilon)
        snprintf(text->coupling, sizeof(text->coupling), "%s:epsilon=%.9g", d->coupling,
                 rules->coupling_epsilon(piece));
    if (rules->source_parameter)
        snprintf(text->source, sizeof(text->source), "%s:%.9g", d->source, rules->source_parameter(piece));
    return (tw_flow_desc){.source = rules->source_parameter ? text->source : d->source,
                          .gamma = d->gamma,
                          .path = d->path,
                          .schedule = d->schedule,
                          .coupling = rules->coupling_epsilon ? text->coupling : d->coupling,
                          .predict = d->predict,
                          .loss = d->loss,
                          .weight = d->weight,
                          .time_density = d->time_density};
}

/* Whether the space of a piece has tokens beside other factors, as its text tells. */
static bool is_mixed(const tw_piece *space)
{
    return strcmp(space->info->name, "product") == 0 && strstr(space->text, "tokens") != NULL;
}

/* Numbers that move along geodesics beside tokens that are masked or mixed, and what says so. */
static tw_status check_mixed(tw_context *ctx, const tw_piece *piece)
{
    const tw_path *path = (const tw_path *)piece[TW_PIECE_path].info;
    const tw_method *method = (const tw_method *)piece[TW_PIECE_method].info;
    const char *source = piece[TW_PIECE_source].info->name, *coupling = piece[TW_PIECE_coupling].info->name;
    const tw_flow_piece first[] = {TW_PIECE_predict, TW_PIECE_loss, TW_PIECE_weight, TW_PIECE_gamma};
    tw_flow_piece wrong = TW_PIECE_COUNT;
    for (int i = 0; i < TW_COUNT(first); i++)
        if (piece[first[i]].row != 0) wrong = first[i];
    if (strcmp(coupling, "independent") != 0) wrong = TW_PIECE_coupling;
    if (strcmp(source, "mask") != 0 && strcmp(source, "uniform") != 0) wrong = TW_PIECE_source;
    if (!path->everywhere) wrong = TW_PIECE_path;
    if (!method->rules->mixed) wrong = TW_PIECE_method;
    if (wrong != TW_PIECE_COUNT)
        return tw_fail(ctx, TW_ERR_INVALID, "%s '%s' is not for a product with tokens", rows[wrong].field,
                       piece[wrong].info->name);
    if (tw_schedule_is_convex(&piece[TW_PIECE_schedule])) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID, "schedule '%s': tokens need one with alpha + sigma = 1, alpha from 0 to 1",
                   piece[TW_PIECE_schedule].text);
}

/* What rows are made of, as sets of them. */
enum { OF_NUMBERS = 1, OF_TOKENS = 2, OF_SEQUENCES = 4 };

static int kind_of_space(const char *space)
{
    return strcmp(space, "tokens") == 0 ? OF_TOKENS : strcmp(space, "sequences") == 0 ? OF_SEQUENCES : OF_NUMBERS;
}

static int kind_of(bool tokens, bool sequences)
{
    return tokens || sequences ? (tokens ? OF_TOKENS : 0) | (sequences ? OF_SEQUENCES : 0) : OF_NUMBERS;
}

/* Sources live on several. */
static int kinds_of_source(const tw_piece *source)
{
    const char *name = source->info->name;
    if (strcmp(name, "mask") == 0) return OF_TOKENS;
    if (strcmp(name, "empty") == 0) return OF_SEQUENCES;
    return tw_source_rules_of(source)->tokens ? OF_NUMBERS | OF_TOKENS | OF_SEQUENCES : OF_NUMBERS;
}

/* What is of tokens or sequences goes with what is of them. */
static tw_status check_kinds(tw_context *ctx, const tw_piece *piece)
{
    const tw_path *path = (const tw_path *)piece[TW_PIECE_path].info;
    const tw_method_rules *method = ((const tw_method *)piece[TW_PIECE_method].info)->rules;
    const char *space = piece[TW_PIECE_space].info->name, *loss = piece[TW_PIECE_loss].info->name;
    int kind = kind_of_space(space);
    const struct {
        tw_flow_piece which;
        int kinds;
    } of[] = {{TW_PIECE_method, kind_of(method->tokens, method->sequences)},
              {TW_PIECE_path, kind_of(path->tokens, path->sequences)},
              {TW_PIECE_loss, kind_of(tw_loss_of_tokens(&piece[TW_PIECE_loss]), strcmp(loss, "generalised_kl") == 0)},
              {TW_PIECE_source, kinds_of_source(&piece[TW_PIECE_source])}};
    for (int i = 0; i < TW_COUNT(of); i++) {
        const char *field = rows[of[i].which].field, *name = piece[of[i].which].info->name;
        if (of[i].kinds & kind) continue;
        if (kind != OF_NUMBERS) return tw_fail(ctx, TW_ERR_INVALID, "%s '%s' is not of space '%s'", field, name, space);
        return tw_fail(ctx, TW_ERR_INVALID, "%s '%s' is of space '%s', and the space is '%s'", field, name,
                       of[i].kinds & OF_TOKENS ? "tokens" : "sequences", space);
    }
    return TW_OK;
}

static tw_status check_tokens(tw_context *ctx, const tw_piece *piece)
{
    const tw_path *path = (const tw_path *)piece[TW_PIECE_path].info;
    const char *space = piece[TW_PIECE_space].info->name, *source = piece[TW_PIECE_source].info->name;
    const char *coupling = piece[TW_PIECE_coupling].info->name, *loss = piece[TW_PIECE_loss].info->name;
    bool metric = strcmp(path->info.name, "metric") == 0;
    tw_status status = check_kinds(ctx, piece);
    if (status != TW_OK || kind_of_space(space) == OF_NUMBERS) return status;
    if (((const tw_method *)piece[TW_PIECE_method].info)->rules->ordered &&
        (strcmp(source, "mask") != 0 || metric || piece[TW_PIECE_path].value[0] > 0 ||
         strcmp(loss, "cross_entropy") != 0))
        return tw_fail(ctx, TW_ERR_INVALID,
                       "method '%s' draws tokens one after another: source 'mask', path 'mixture' and loss "
                       "'cross_entropy', no others",
                       piece[TW_PIECE_method].info->name);
    if (metric && strcmp(source, "uniform") != 0)
        return tw_fail(ctx, TW_ERR_INVALID, "path 'metric' begins at source 'uniform', not at '%s'", source);
    if (!metric && !tw_schedule_is_convex(&piece[TW_PIECE_schedule]))
        return tw_fail(ctx, TW_ERR_INVALID,
                       "schedule '%s': path '%s' needs one with alpha + sigma = 1, alpha from 0 to 1",
                       piece[TW_PIECE_schedule].text, path->info.name);
    if (piece[TW_PIECE_coupling].row != 0 && strcmp(coupling, "given") != 0)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "coupling '%s' is not for tokens: expected 'independent' or 'given'",
                       coupling);
    if (piece[TW_PIECE_weight].row != 0)
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "weight '%s' is not for tokens: expected 'none'",
                       piece[TW_PIECE_weight].info->name);
    if (strcmp(loss, "generalised_kl") == 0 && path->tokens && (metric || piece[TW_PIECE_path].value[0] > 0))
        return tw_fail(ctx, TW_ERR_UNSUPPORTED, "loss 'generalised_kl' is for path 'mixture' without noise, not '%s'",
                       piece[TW_PIECE_path].text);
    return TW_OK;
}

/* A geodesic is a way from x_0 itself to x_1 itself, of which alpha / (alpha + sigma) has been gone. */
static tw_status check_ends(tw_context *ctx, const tw_piece *schedule)
{
    const double rounding = 1e-9;
    double begin = tw_schedule_at(schedule, 0).alpha, end = tw_schedule_at(schedule, 1).sigma;
    if (fabs(begin) < rounding && fabs(end) < rounding) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID,
                   "schedule '%s': on a manifold alpha must be 0 at t = 0 and sigma 0 at t = 1, not %g and %g",
                   schedule->text, begin, end);
}

/* What a manifold has no meaning for. */
static tw_status check_space(tw_context *ctx, const tw_piece *piece)
{
    const tw_method *method = (const tw_method *)piece[TW_PIECE_method].info;
    const tw_path *path = (const tw_path *)piece[TW_PIECE_path].info;
    const tw_source_rules *source = tw_source_rules_of(&piece[TW_PIECE_source]);
    const tw_flow_piece flat[] = {TW_PIECE_predict, TW_PIECE_gamma};
    const char *space = piece[TW_PIECE_space].info->name, *weight = piece[TW_PIECE_weight].info->name;
    tw_flow_piece wrong = TW_PIECE_COUNT;
    if (is_mixed(&piece[TW_PIECE_space])) return check_mixed(ctx, piece);
    if (method->rules->mixed)
        return tw_fail(ctx, TW_ERR_INVALID, "method '%s' is of products with tokens, and the space is '%s'",
                       method->info.name, space);
    tw_status status = check_tokens(ctx, piece);
    if (status != TW_OK) return status;
    bool tokens = kind_of_space(space) != OF_NUMBERS;
    if (piece[TW_PIECE_space].row == 0) {
        if (path->premetric)
            return tw_fail(ctx, TW_ERR_INVALID, "path '%s' is of space 'mesh', not of 'euclidean'", path->info.name);
        if (!source->place || source->draw) return TW_OK;
        return tw_fail(ctx, TW_ERR_INVALID, "source '%s' is of manifolds, not of space 'euclidean'",
                       piece[TW_PIECE_source].info->name);
    }
    for (int i = 0; i < TW_COUNT(flat); i++)
        if (piece[flat[i]].row != 0) wrong = flat[i];
    if (strcmp(weight, "none") != 0 && strcmp(weight, "learned") != 0) wrong = TW_PIECE_weight;
    bool mesh = strcmp(space, "mesh") == 0;
    if (mesh != path->premetric && !tokens)
        return tw_fail(ctx, TW_ERR_INVALID,
                       "path '%s' on space '%s': on space 'mesh' paths are 'biharmonic', 'commute' or 'diffusion', "
                       "and those nowhere else",
                       path->info.name, space);
    if (mesh && strcmp(piece[TW_PIECE_source].info->name, "wrapped") == 0)
        return tw_fail(ctx, TW_ERR_INVALID, "source 'wrapped' has no origin on a mesh: expected 'uniform' or 'data'");
    if (source->draw) wrong = TW_PIECE_source;
    if (!path->everywhere && !mesh && !tokens) wrong = TW_PIECE_path;
    if (!method->rules->everywhere && !tokens) wrong = TW_PIECE_method;
    if (wrong == TW_PIECE_COUNT) return tokens ? TW_OK : check_ends(ctx, &piece[TW_PIECE_schedule]);
    return tw_fail(ctx, TW_ERR_INVALID, "%s '%s' is of space 'euclidean', not of '%s'", rows[wrong].field,
                   piece[wrong].info->name, space);
}

/* Jumps are known of one path only. */
static tw_status check_jumps(tw_context *ctx, const tw_piece *piece)
{
    const tw_piece_info *method = piece[TW_PIECE_method].info;
    const tw_flow_piece first[] = {TW_PIECE_source, TW_PIECE_path, TW_PIECE_schedule, TW_PIECE_coupling};
    for (int i = 0; i < TW_COUNT(first); i++)
        if (((const tw_method *)method)->rules->jumps && piece[first[i]].row != 0)
            return tw_fail(
                ctx, TW_ERR_INVALID,
                "method '%s' knows the jumps of source 'normal', path 'affine', schedule 'condot' and coupling "
                "'independent', not of %s '%s'",
                method->name, rows[first[i]].field, piece[first[i]].info->name);
    return TW_OK;
}

/* Of a method that goes its own way, what it does not ask for. */
static tw_status check_own_path(tw_context *ctx, const tw_piece *piece)
{
    const tw_method *method = (const tw_method *)piece[TW_PIECE_method].info;
    const tw_flow_piece first[] = {TW_PIECE_schedule, TW_PIECE_coupling, TW_PIECE_loss, TW_PIECE_weight};
    const char *source = piece[TW_PIECE_source].info->name, *path = piece[TW_PIECE_path].info->name;
    const bool flat = piece[TW_PIECE_space].row == 0;
    tw_flow_piece wrong = TW_PIECE_COUNT;
    if (!method->rules->own_path) return TW_OK;
    for (int i = 0; i < TW_COUNT(first); i++)
        if (piece[first[i]].row != 0) wrong = first[i];
    if (strcmp(path, flat ? "affine" : "geodesic") != 0) wrong = TW_PIECE_path;
    if (strcmp(source, flat ? "normal" : "uniform") != 0) wrong = TW_PIECE_source;
    if (wrong == TW_PIECE_COUNT) return TW_OK;
    return tw_fail(ctx, TW_ERR_INVALID, "method '%s' goes its own way from source '%s': %s '%s' is not for it",
                   method->info.name, flat ? "normal" : "uniform", rows[wrong].field, piece[wrong].info->name);
}

static tw_status check_together(tw_context *ctx, const tw_piece *piece)
{
    tw_status status = tw_schedule_check(ctx, &piece[TW_PIECE_schedule]);
    if (status == TW_OK) status = check_space(ctx, piece);
    if (status == TW_OK) status = check_jumps(ctx, piece);
    if (status == TW_OK) status = check_own_path(ctx, piece);
    if (status != TW_OK) return status;
    const tw_method *method = (const tw_method *)piece[TW_PIECE_method].info;
    const tw_piece *source = &piece[TW_PIECE_source];
    if (piece[TW_PIECE_path].row != 0 && piece[TW_PIECE_space].row == 0 && !method->rules->velocity_only)
        return tw_fail(ctx, TW_ERR_INVALID, "method '%s' goes along path 'affine', not '%s'", method->info.name,
                       piece[TW_PIECE_path].info->name);
    if (piece[TW_PIECE_gamma].row != 0 && !method->rules->gamma)
        return tw_fail(ctx, TW_ERR_INVALID, "method '%s' has no gamma: it is '%s', expected 'none'", method->info.name,
                       piece[TW_PIECE_gamma].info->name);
    if (piece[TW_PIECE_predict].row == TW_PREDICT_score && source->row != 0)
        return tw_fail(ctx, TW_ERR_INVALID, "the score is told by x_0 of source 'normal' only, not '%s'",
                       source->info->name);
    if (strcmp(piece[TW_PIECE_schedule].info->name, "kinetic") == 0 &&
        (source->row != 0 || piece[TW_PIECE_coupling].row != 0))
        return tw_fail(ctx, TW_ERR_INVALID,
                       "schedule 'kinetic' is of least energy for source 'normal' and coupling 'independent', not '%s' "
                       "and '%s'",
                       source->info->name, piece[TW_PIECE_coupling].info->name);
    const tw_piece *space = &piece[TW_PIECE_space];
    int64_t last = space->count - 1; /* the parameter that counts, of those that have some */
    if (last >= 0 && space->value[last] != (double)(int64_t)space->value[last])
        return tw_fail(ctx, TW_ERR_INVALID, "space '%s': %s is %g, expected a whole number", space->info->name,
                       space->info->parameters[last].name, space->value[last]);
    for (int64_t i = 0; i < source->count && tw_source_rules_of(source)->whole; i++)
        if (source->value[i] != (double)(int64_t)source->value[i])
            return tw_fail(ctx, TW_ERR_INVALID, "source '%s': %s is %g, expected a whole number", source->info->name,
                           source->info->parameters[i].name, source->value[i]);
    if (method->rules->velocity_only && piece[TW_PIECE_predict].row != TW_PREDICT_velocity)
        return tw_fail(ctx, TW_ERR_INVALID, "method '%s' predicts the velocity, not '%s'", method->info.name,
                       piece[TW_PIECE_predict].info->name);
    return TW_OK;
}

/* The method that goes with a space, NULL: any. */
static const char *method_of(const char *space)
{
    if (space && strncmp(space, "sequences", 9) == 0) return "edit";
    if (!space || !strstr(space, "tokens")) return NULL;
    return strpbrk(space, "*+") ? "gm" : "dfm";
}

tw_status tw_flow_pieces_read(tw_context *ctx, const tw_flow_desc *desc, tw_piece *piece)
{
    tw_flow_desc asked = *desc, defaults = {0};
    default_texts texts;
    tw_status status = TW_OK;
    memset(piece, 0, TW_PIECE_COUNT * sizeof(*piece));
    for (int i = 0; i < TW_COUNT(rows); i++) {
        const char *name = *tw_flow_piece_name(&asked, i);
        if (!name) name = *tw_flow_piece_name(&defaults, i);
        if (!name && i == TW_PIECE_method) name = method_of(asked.space);
        if (!name) name = rows[i].at(0)->name;
        TW_TRY(i == TW_PIECE_space ? tw_space_piece_read(ctx, name, &piece[i])
                                   : tw_piece_read(ctx, rows[i].field, name, rows[i].at, &piece[i]));
        if (i == TW_PIECE_method) defaults = defaults_of(&piece[i], &texts);
        bool tokens = i == TW_PIECE_space && kind_of_space(piece[i].info->name) != OF_NUMBERS;
        if (tokens && asked.path && strncmp(asked.path, "metric", 6) == 0) defaults.source = "uniform";
        if (i == TW_PIECE_space && piece[i].row != 0 && !tokens && !is_mixed(&piece[i])) {
            if (!defaults.source) defaults.source = "uniform";
            defaults.path = strcmp(piece[i].info->name, "mesh") == 0 ? "biharmonic" : "geodesic";
        }
    }
    TW_TRY(check_together(ctx, piece));
done:
    for (int i = 0; status != TW_OK && i < TW_PIECE_COUNT; i++) tw_piece_free(ctx, &piece[i]);
    return status;
}
