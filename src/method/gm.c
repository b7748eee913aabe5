/* method/gm.c - generator matching on a product of numbers that move and tokens that jump (Holderrieth et al. 2024,
 * Generator matching, section 6: the generator of a product is the sum of its factors', each told the whole point). One
 * network says the velocity of the numbers and, of every token, which x_1 it becomes:
 *
 *   loss(row) = (sum over numbers |v - dx_t/dt|^2 + w sum over tokens -log p(x_1 | x_t)) / (numbers + tokens)
 *
 * Factors may have schedules and weights of their own. Weights that are learned make every factor's loss count by what
 * it lacks of its present size: e^-s L + n s for a loss L of n numbers, which is least where e^s = L / n (Kendall, Gal,
 * Cipolla 2018, Multi-task learning using uncertainty to weigh losses).
 *
 * Some rows are told a part of themselves: a random share of their factors stands at x_1 from the start, and the
 * network is told which numbers do. So it learns every conditional law as well (arbitrary conditioning: Ivanov et al.
 * 2019, VAEAC), and what is known when sampling is simply held.
 *
 * A number that a row does not have (NaN) is noise drawn anew in every batch, so that the row is a draw of a law on the
 * product like any other; a token beside it says that there is none. */
#include "method/method.h"

#include "graph/node.h"

enum { KNOWN, TOKENS }; /* parameters */

/* Parts of z: what points are drawn by, what is known, and in the third one number for the row. */
enum { FOR_POINTS, FOR_KNOWN, FOR_ROWS, PARTS };

static tw_val join(tw_val whole, tw_val part)
{
    return tw_is_none(whole) ? part : tw_concat2(1, whole, part);
}

tw_token_path tw_model_token_path(const tw_model *model, const tw_factor *f)
{
    bool masks = tw_source_rules_of(model->source) == &tw_source_mask;
    return (tw_token_path){.symbols = f->symbols,
                           .states = f->symbols + masks,
                           .schedule = tw_model_factor_schedule(model, f),
                           .uniform = !masks};
}

const tw_schedule *tw_model_factor_schedule(const tw_model *model, const tw_factor *f)
{
    return model->factor_schedule ? &model->factor_schedule[f - model->space->factor] : model->schedule;
}

/* --- what is drawn ----------------------------------------------------------------------------------------------- */

/* Which numbers are known (B,D), as ones among zeros: of some rows a share that is uniform itself. */
static tw_val draw_known(const tw_model *model, const tw_draws *d)
{
    const tw_space *space = model->space;
    int numbers = space->numbers;
    double part = model->method->value[KNOWN];
    tw_val own = tw_slice(d->z, 1, FOR_KNOWN * numbers, (FOR_KNOWN + 1) * numbers), grouped = TW_NONE;
    if (part <= 0) return tw_zeros_like(own);
    tw_val row = tw_muls(tw_normal_share_rows(tw_slice(d->z, 1, FOR_ROWS * numbers, FOR_ROWS * numbers + 1)), 1 / part);
    tw_val share = tw_select(tw_lt(row, tw_full_like(row, 1)), row, tw_zeros_like(row));
    for (int i = 0; i < space->count; i++) { /* the numbers of one point are known together */
        const tw_factor *f = &space->factor[i];
        tw_val z = tw_slice(own, 1, f->number, f->number + f->numbers);
        if (!tw_factor_is_apart(f)) z = tw_broadcast_to(tw_slice(z, 1, 0, 1), tw_shape_at(z));
        grouped = join(grouped, z);
    }
    tw_val known = tw_lt(tw_normal_share_rows(grouped), tw_broadcast_to(share, tw_shape_at(grouped)));
    return tw_cast(known, tw_dtype_at(own));
}

/* Points for numbers that rows do not have. */
static tw_val stand_ins(const tw_model *model, const tw_space *moving, tw_val z)
{
    tw_val out = TW_NONE;
    for (int i = 0; i < moving->count; i++) {
        const tw_factor *f = &moving->factor[i];
        tw_val part = tw_slice(z, 1, f->number, f->number + f->numbers);
        out = join(out, tw_source_rules_of(model->source)->place_rows(model->source->value, f, part));
    }
    return out;
}

/* A batch on its way: numbers x_t with their velocity, tokens x_t, and which are known. */
typedef struct on_the_way {
    tw_space moving;
    tw_val known, known_numbers; /* (B,D), (B,M) as ones */
    tw_val numbers, velocity;    /* (B,M) */
    tw_val tokens;               /* (B,D-M) */
} on_the_way;

static void draw_numbers(const tw_model *model, const tw_draws *d, on_the_way *w)
{
    int count = w->moving.numbers;
    w->known_numbers = w->numbers = w->velocity = TW_NONE;
    if (count == 0) return;
    tw_val x0 = tw_slice(d->x0, 1, 0, count), x1 = tw_slice(d->x1, 1, 0, count);
    tw_val known = tw_slice(w->known, 1, 0, count), missing = tw_ne(x1, x1);
    known = tw_select(missing, tw_zeros_like(known), known);
    x1 = tw_select(missing, stand_ins(model, &w->moving, tw_slice(d->z, 1, 0, count)), x1);
    for (int i = 0; i < w->moving.count; i++) {
        const tw_factor *f = &w->moving.factor[i];
        int begin = f->number, end = begin + f->numbers;
        tw_factor room;
        const tw_space one = tw_space_of_factor(f, &room);
        tw_val xt, velocity;
        tw_path_at(model->path, &one, tw_model_factor_schedule(model, f), tw_slice(x0, 1, begin, end),
                   tw_slice(x1, 1, begin, end), d->t, &xt, &velocity);
        w->numbers = join(w->numbers, xt);
        w->velocity = join(w->velocity, velocity);
    }
    if (tw_is_none(w->numbers) || tw_is_none(w->velocity)) return;
    w->numbers = tw_select(tw_gt(known, tw_zeros_like(known)), x1, w->numbers);
    w->known_numbers = known;
}

static void draw_tokens(const tw_model *model, const tw_draws *d, on_the_way *w)
{
    const tw_space *space = model->space;
    w->tokens = TW_NONE;
    for (int i = w->moving.count; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        int begin = f->number, end = begin + f->numbers;
        tw_token_path path = tw_model_token_path(model, f);
        tw_val x1 = tw_slice(d->x1, 1, begin, end), known = tw_slice(w->known, 1, begin, end);
        tw_val xt = tw_token_point(&path, tw_slice(d->x0, 1, begin, end), x1, d->t,
                                   tw_normal_share_rows(tw_slice(d->z, 1, begin, end)));
        w->tokens = join(w->tokens, tw_select(tw_gt(known, tw_zeros_like(known)), x1, xt));
    }
}

/* --- what is said ------------------------------------------------------------------------------------------------ */

/* Logits of a factor in an answer (B,T,K). */
static tw_val logits_of(const tw_space *space, int numbers, const tw_factor *f, tw_val answer)
{
    int shift = numbers - tw_space_of_moving(space).outputs, begin = f->output + shift;
    tw_val flat = tw_slice(answer, 1, begin, begin + f->outputs);
    return tw_reshape(flat, tw_shape_of(tw_dim(answer, 0), f->numbers, f->symbols));
}

tw_val tw_model_answer(const tw_model *model, tw_val x, tw_val t)
{
    const tw_space *space = model->space;
    tw_val y = model->network(model->user, x, t);
    if (tw_is_none(y) || tw_source_rules_of(model->source) == &tw_source_mask) return y;
    int numbers = tw_space_of_moving(space).numbers;
    tw_val out = numbers > 0 ? tw_slice(y, 1, 0, numbers) : TW_NONE;
    for (int i = space->moving; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_token_path path = tw_model_token_path(model, f);
        tw_val evidence = tw_token_evidence(&path, tw_slice(x, 1, f->number, f->number + f->numbers), t);
        tw_val logits = tw_add(logits_of(space, numbers, f, y), evidence);
        out = join(out, tw_reshape(logits, tw_shape_of(tw_dim(y, 0), f->outputs)));
    }
    return out;
}

/* --- what it costs ----------------------------------------------------------------------------------------------- */

/* Losses of a factor's numbers (B,n), of which those that are open count, added to the sum (B) by its weight. */
static tw_val add_loss(const tw_model *model, const tw_factor *f, tw_val balance, tw_val sum, tw_val loss, tw_val open)
{
    int64_t place = f - model->space->factor, rows = tw_dim(loss, 0);
    tw_val part = tw_sum_axis(tw_mul(loss, open), 1);
    if (model->factor_weight) part = tw_muls(part, model->factor_weight[place]);
    if (!tw_is_none(balance)) {
        tw_val s = tw_broadcast_to(tw_slice(balance, 0, place, place + 1), tw_shape_of(rows));
        part = tw_add(tw_mul(part, tw_exp(tw_neg(s))), tw_mul(tw_sum_axis(open, 1), s));
    }
    return tw_is_none(sum) ? part : tw_add(sum, part);
}

/* Squared errors of the numbers that are not known. */
static tw_val loss_of_numbers(const tw_model *model, const on_the_way *w, tw_val balance, tw_val answer)
{
    tw_val v = tw_slice(answer, 1, 0, w->moving.numbers), sum = TW_NONE;
    tw_val error =
        tw_sub(tw_space_frame(&w->moving, w->numbers, v), tw_space_frame(&w->moving, w->numbers, w->velocity));
    tw_val loss = tw_square(error), open = tw_adds(tw_neg(w->known_numbers), 1);
    for (int i = 0; i < w->moving.count; i++) {
        const tw_factor *f = &w->moving.factor[i];
        int begin = f->number, end = begin + f->numbers;
        sum = add_loss(model, f, balance, sum, tw_slice(loss, 1, begin, end), tw_slice(open, 1, begin, end));
    }
    return sum;
}

/* Entropies of the tokens that are not known. One that a mask has left is what it is. */
static tw_val loss_of_tokens(const tw_model *model, const tw_draws *d, const on_the_way *w, tw_val balance,
                             tw_val answer)
{
    const tw_space *space = model->space;
    int numbers = w->moving.numbers;
    tw_val sum = TW_NONE;
    for (int i = w->moving.count; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        int begin = f->number, end = begin + f->numbers;
        tw_token_path path = tw_model_token_path(model, f);
        tw_val xt = tw_slice(w->tokens, 1, begin - numbers, end - numbers), x1 = tw_slice(d->x1, 1, begin, end);
        tw_val entropy = tw_cross_entropy(logits_of(space, numbers, f, answer), tw_cast(x1, TW_DTYPE_I32), -1);
        tw_val open = tw_adds(tw_neg(tw_slice(w->known, 1, begin, end)), 1);
        if (path.states > path.symbols)
            open = tw_mul(open, tw_cast(tw_ge(xt, tw_full_like(xt, path.symbols)), tw_dtype_at(xt)));
        sum = add_loss(model, f, balance, sum, entropy, open);
    }
    return sum;
}

static tw_val row_loss(const tw_model *model, const tw_draws *d)
{
    const tw_space *space = model->space;
    on_the_way w = {.moving = tw_space_of_moving(space), .known = draw_known(model, d)};
    draw_numbers(model, d, &w);
    draw_tokens(model, d, &w);
    if (tw_is_none(w.tokens) || (w.moving.numbers > 0 && tw_is_none(w.numbers))) return TW_NONE;
    tw_val x = w.tokens;
    if (w.moving.numbers > 0) x = tw_concat(1, 3, (const tw_val[]){w.numbers, w.tokens, w.known_numbers});
    tw_val answer = tw_model_answer(model, x, d->t);
    tw_val balance = model->balanced ? model->balance(model->user, space->count) : TW_NONE;
    tw_val sum = tw_muls(loss_of_tokens(model, d, &w, balance, answer), model->method->value[TOKENS]);
    if (w.moving.numbers > 0) sum = tw_add(sum, loss_of_numbers(model, &w, balance, answer));
    return tw_muls(sum, 1.0 / space->numbers);
}

const tw_method_rules tw_method_gm = {
    .defaults = {.source = "mask", .path = "geodesic"},
    .noise = PARTS,
    .everywhere = true,
    .mixed = true,
    .velocity_only = true,
    .row_loss = row_loss,
};
