/* method/edit_flow.c - edit flows: sequences that grow and shrink by insertions, deletions and substitutions (Havasi,
 * Karrer, Gat, Chen 2025, Edit flows: flow matching with edit operations).
 *
 * x_0 and x_1 come aligned with blanks, z_0 and z_1, as many places as a state has numbers; z_t has the place of z_1
 * with probability kappa, else that of z_0, and x_t is z_t without its blanks. With u = tau'(t) e^h for what the
 * network says, the loss of the paper (eq. 23) is, up to a constant,
 *
 *   tau'(t) ( sum over all edits of x_t of e^h - sum over places where z_t is not z_1 of (1 + h of that edit) ) /
 * columns,
 *
 * the generalised Kullback-Leibler divergence of rates. From an empty source its mean over t bounds -log p(x_1) a
 * column: an order of insertions and the places they fill tell each other. */
#include "method/method.h"

#include "graph/node.h"

/* z_t by the noise of the row, whose normal numbers are made uniform. */
static tw_val point(const tw_edit_path *path, const tw_draws *d)
{
    tw_val uniform = tw_normal_share_rows(d->z);
    tw_val left = tw_schedule_sigma(path->schedule, tw_expand_dim(d->t, 1));
    return tw_select(tw_lt(uniform, left), d->x0, d->x1);
}

static tw_val is_token(const tw_edit_path *path, tw_val z)
{
    return tw_lt(z, tw_full_like(z, path->symbols));
}

/* Rows without their blanks, filled up with them. */
static tw_val strip(const tw_edit_path *path, tw_val z)
{
    tw_val blank = tw_cast(tw_not(is_token(path, z)), TW_DTYPE_I32);
    return tw_take_along_axis(z, tw_argsort(blank, 1, false), 1);
}

tw_val tw_model_edits(const tw_model *model, tw_val x, tw_val t)
{
    const tw_edit_path *path = model->edits;
    const double never = -1e9;
    if (tw_is_none(x) || tw_is_none(t)) return TW_NONE;
    tw_val begin = tw_full(x.graph, tw_dtype_at(x), tw_shape_of(tw_dim(x, 0), 1), path->symbols + 1);
    tw_val slots = tw_concat2(1, begin, x);
    tw_val y = model->network(model->user, slots, t);
    if (path->inserts_only || tw_is_none(y)) return y;
    /* a token is not put in its own place */
    int own = tw_edit_kinds(path) + path->symbols;
    tw_val output = tw_iota(x.graph, tw_dtype_at(x), tw_shape_of(1, 1, tw_edit_outputs(path)), 2);
    tw_val same = tw_eq(output, tw_adds(tw_expand_dim(slots, 2), own));
    return tw_select(same, tw_full_like(y, never), y);
}

/* Of every slot (B,N+1): 1 where it is one of the row's, of kinds other than insertions a token. */
static tw_val slots_of(const tw_edit_path *path, tw_val x, tw_edit_kind kind)
{
    tw_val begin = tw_full(x.graph, tw_dtype_at(x), tw_shape_of(tw_dim(x, 0), 1), kind == TW_EDIT_INSERT);
    return tw_concat2(1, begin, tw_cast(is_token(path, x), tw_dtype_at(x)));
}

static tw_val kind_of(tw_val y, tw_edit_kind kind)
{
    return tw_reshape(tw_slice(y, 2, (int64_t)kind, (int64_t)kind + 1), tw_shape_of(tw_dim(y, 0), tw_dim(y, 1)));
}

/* sum of e^h over the edits of a row (B). */
static tw_val all_edits(const tw_edit_path *path, tw_val x, tw_val y)
{
    tw_val sum = TW_NONE;
    for (int kind = 0; kind < tw_edit_kinds(path); kind++) {
        tw_val counts = slots_of(path, x, (tw_edit_kind)kind);
        tw_val expected = tw_sum_axis(tw_mul(tw_exp(kind_of(y, (tw_edit_kind)kind)), counts), 1);
        sum = kind == 0 ? expected : tw_add(sum, expected);
    }
    return sum;
}

/* sum of 1 + h over the edits of a kind that lead from z to z_1 (B), at: what is said of each place's slot
 * (B,N,outputs); law: where the logits of its token are among these, -1: it has none. */
static tw_val edits_left(const tw_edit_path *path, tw_val at, tw_edit_kind kind, tw_val made, tw_val z1, int law)
{
    tw_val h = tw_adds(kind_of(at, kind), 1);
    if (law >= 0) {
        tw_val token = tw_select(made, z1, tw_full_like(z1, path->symbols)); /* of none the entropy is 0 */
        tw_val logits = tw_slice(at, 2, law, law + path->symbols);
        h = tw_sub(h, tw_cross_entropy(logits, tw_cast(token, TW_DTYPE_I32), -1));
    }
    return tw_sum_axis(tw_mul(h, tw_cast(made, tw_dtype_at(h))), 1);
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    /* Of the pace: its square times the chance that something is still to be done grows like 1 / (1 - t). Larger
     * weights would make rare rows outweigh all others (a small world of six lines, 600 steps: TV 0.20 with 100, 0.10
     * with 10, 0.17 with 3), and which times count more does not change what is learned. */
    const double largest = 10;
    const tw_edit_path *path = model->edits;
    tw_val z = point(path, d);
    if (tw_is_none(z)) return TW_NONE;
    tw_val token = is_token(path, z), goal = is_token(path, d->x1), x = strip(path, z);
    tw_val y = tw_model_edits(model, x, d->t);
    if (tw_is_none(y)) return TW_NONE;
    tw_val slot = tw_cast(tw_cumsum(tw_cast(token, TW_DTYPE_F32), 1), TW_DTYPE_I32);
    tw_val at = tw_take_along_axis(y, tw_expand_dim(slot, 2), 1);
    int law = tw_edit_kinds(path);
    tw_val left = edits_left(path, at, TW_EDIT_INSERT, tw_and(tw_not(token), goal), d->x1, law);
    if (!path->inserts_only) {
        tw_val other = tw_and(tw_and(token, goal), tw_not(tw_eq(z, d->x1)));
        left = tw_add(left, edits_left(path, at, TW_EDIT_DELETE, tw_and(token, tw_not(goal)), d->x1, -1));
        left = tw_add(left, edits_left(path, at, TW_EDIT_SUBSTITUTE, other, d->x1, law + path->symbols));
    }
    tw_schedule_values now = tw_schedule_values_at(path->schedule, d->t);
    tw_val pace = tw_div(now.d_alpha, now.sigma);
    pace = tw_min(pace, tw_full_like(pace, largest));
    return tw_muls(tw_mul(pace, tw_sub(all_edits(path, x, y), left)), 1.0 / model->space->columns);
}

static int64_t outputs(const tw_model *model)
{
    return tw_edit_outputs(model->edits);
}

const tw_method_rules tw_method_edit = {
    .defaults = {.source = "empty", .path = "levenshtein", .schedule = "polynomial:3", .loss = "generalised_kl"},
    .noise = true,
    .sequences = true,
    .token_outputs = outputs,
    .row_loss = row_loss,
    .logits = tw_model_edits,
};
