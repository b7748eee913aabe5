/* space/space.c - the tables of spaces and sources; a space by its piece; draws and densities of sources on it. */
#include "space/space.h"

#include "base/text.h"
#include "space/forms.h"

#include <string.h>

static const struct {
    tw_piece_info info;
    tw_status (*form)(tw_columns *columns);
} spaces[] = {
#define TW_SPACE(name, about, source, parameters) {{#name, about, source, parameters}, tw_form_##name},
#include "space/spaces.def"
};

static const tw_source sources[] = {
#define TW_SOURCE(name, about, source, parameters) {{#name, about, source, parameters}, &tw_source_##name},
#include "space/sources.def"
};

const tw_piece_info *tw_space_list(int index)
{
    return index >= 0 && index < TW_COUNT(spaces) ? &spaces[index].info : NULL;
}

const tw_piece_info *tw_source_list(int index)
{
    return index >= 0 && index < TW_COUNT(sources) ? &sources[index].info : NULL;
}

/* --- products ----------------------------------------------------------------------------------------------------- */

static bool is_product(const char *text)
{
    return strpbrk(text, "*+") != NULL;
}

tw_status tw_space_piece_read(tw_context *ctx, const char *text, tw_piece *out_piece)
{
    if (!is_product(text)) return tw_piece_read(ctx, "space", text, tw_space_list, out_piece);
    tw_piece piece = {.text = tw_strdup(ctx, text)};
    if (!piece.text) return tw_fail_memory(ctx, strlen(text) + 1);
    while (strcmp(tw_space_list(piece.row)->name, "product") != 0) piece.row++;
    piece.info = tw_space_list(piece.row);
    *out_piece = piece;
    return TW_OK;
}

/* The factors of one term behind those there are. */
static tw_status append(tw_context *ctx, tw_space *whole, const tw_space *part)
{
    for (int i = 0; i < part->count; i++) {
        tw_factor f = part->factor[i];
        bool token = f.symbols > 0;
        if (f.surface)
            return tw_fail(ctx, TW_ERR_UNSUPPORTED, "space: a mesh is a space of its own, and no factor of a product");
        if (!token && whole->moving < whole->count)
            return tw_fail(ctx, TW_ERR_INVALID, "space: in a product tokens come last");
        if (token) { /* the network sees ones among zeros, a mask among them, and gives logits */
            f.features = f.numbers * (f.symbols + 1);
            f.outputs = f.numbers * f.symbols;
        }
        f.column += whole->columns;
        f.number += whole->numbers;
        f.output = whole->outputs;
        whole->outputs += f.outputs;
        whole->features += f.features;
        whole->moving += !token;
        whole->factor[whole->count++] = f;
        if (i + 1 < part->count) continue;
        whole->columns += part->columns;
        whole->numbers += part->numbers;
        whole->dims += token ? 0 : part->dims;
    }
    return TW_OK;
}

/* "torus:360,0*2": the last star parts the columns; without one it is one column. */
static tw_status append_term(tw_columns *c, char *term)
{
    char *star = strrchr(term, '*');
    int64_t count = star ? 0 : 1;
    tw_piece piece = {0};
    tw_space part = {0};
    tw_status status = TW_OK;
    term += strspn(term, " ");
    if (star) *star = 0;
    if ((star && !tw_parse_int(star + 1, &count)) || count < 1 || count > c->count)
        return tw_fail(c->ctx, TW_ERR_INVALID,
                       "space: '%s%s%s': expected a space and how many columns it takes, such as "
                       "euclidean*3, of %d",
                       term, star ? "*" : "", star ? star + 1 : "", c->count);
    TW_TRY(tw_piece_read(c->ctx, "space", term, tw_space_list, &piece));
    if (c->space->columns + count > c->count)
        TW_TRY(tw_fail(c->ctx, TW_ERR_SHAPE, "space '%s': its factors take more columns than the %d there are",
                       c->piece->text, c->count));
    tw_columns own = {.ctx = c->ctx,
                      .name = piece.info->name,
                      .piece = &piece,
                      .count = (int)count,
                      .names = c->names ? c->names + c->space->columns : NULL,
                      .space = &part};
    part.factor = tw_alloc(c->ctx, (size_t)count, sizeof(tw_factor));
    if (!part.factor) TW_TRY(tw_fail_memory(c->ctx, (size_t)count * sizeof(tw_factor)));
    TW_TRY(spaces[piece.row].form(&own));
    TW_TRY(append(c->ctx, c->space, &part));
done:
    tw_space_free(c->ctx, &part);
    tw_piece_free(c->ctx, &piece);
    return status;
}

static tw_status make_product(tw_columns *c)
{
    tw_status status = TW_OK;
    char *text = tw_strdup(c->ctx, c->piece->text), *rest = text;
    if (!text) return tw_fail_memory(c->ctx, strlen(c->piece->text) + 1);
    while (rest) {
        char *term = rest, *plus = strchr(rest, '+');
        if (plus) *plus = 0;
        rest = plus ? plus + 1 : NULL;
        for (size_t n = strlen(term); n > 0 && term[n - 1] == ' '; n--) term[n - 1] = 0;
        TW_TRY(append_term(c, term));
    }
    if (c->space->columns != c->count)
        status = tw_fail(c->ctx, TW_ERR_SHAPE, "space '%s': its factors take %d columns: there are %d", c->piece->text,
                         c->space->columns, c->count);
done:
    tw_free(c->ctx, text);
    return status;
}

tw_space tw_space_of_moving(const tw_space *space)
{
    tw_space s = {.factor = space->factor, .count = space->moving, .moving = space->moving};
    for (int i = 0; i < s.count; i++) {
        const tw_factor *f = &s.factor[i];
        s.columns += f->columns;
        s.numbers += f->numbers;
        s.features += f->features;
        s.outputs += f->outputs;
    }
    s.dims = space->dims;
    return s;
}

tw_space tw_space_of_factor(const tw_factor *factor, tw_factor *room)
{
    *room = *factor;
    room->column = room->number = room->output = 0;
    return (tw_space){.factor = room,
                      .count = 1,
                      .moving = factor->symbols == 0,
                      .columns = room->columns,
                      .numbers = room->numbers,
                      .features = room->features,
                      .outputs = room->outputs};
}

/* --- spaces ------------------------------------------------------------------------------------------------------- */

tw_status tw_space_make(tw_context *ctx, const tw_piece *piece, int columns, const char *const *names,
                        tw_space *out_space)
{
    tw_space s = {.flat = piece->row == 0};
    tw_status status = TW_OK;
    if (s.flat) {
        s.columns = s.numbers = s.features = s.outputs = s.dims = columns;
    } else {
        tw_columns c = {
            .ctx = ctx, .name = piece->info->name, .piece = piece, .count = columns, .names = names, .space = &s};
        s.factor = tw_alloc(ctx, (size_t)columns, sizeof(tw_factor));
        if (!s.factor) return tw_fail_memory(ctx, (size_t)columns * sizeof(tw_factor));
        bool product = is_product(piece->text);
        status = product ? make_product(&c) : spaces[piece->row].form(&c);
        if (!product) s.moving = s.symbols > 0 ? 0 : s.count;
    }
    if (status == TW_OK)
        *out_space = s;
    else
        tw_space_free(ctx, &s);
    return status;
}

void tw_space_on_mesh(tw_space *space, const tw_mesh *mesh, const tw_premetric *premetric)
{
    space->factor[0].mesh = mesh;
    space->factor[0].premetric = premetric;
}

void tw_space_widen(tw_space *space)
{
    space->numbers = space->factor[0].numbers = 2 * space->columns;
}

void tw_space_free(tw_context *ctx, tw_space *space)
{
    tw_free(ctx, space->factor);
    *space = (tw_space){0};
}

void tw_space_keep_units(const tw_space *space, double *shift, double *scale)
{
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        bool own = f->manifold != TW_MANIFOLD_euclidean || f->symbols > 0 || f->chart;
        for (int j = f->column; own && j < f->column + f->columns; j++) {
            shift[j] = 0;
            scale[j] = 1;
        }
    }
}

tw_status tw_space_refuse(tw_context *ctx, const tw_factor *f, int64_t row, const double *columns,
                          const char *const *names)
{
    enum { MOST_TOLD = 16 };
    tw_factor one = *f;
    double number;
    for (int i = f->column; f->symbols > 0 && !f->ragged && i < f->column + f->columns;
         i++) { /* the token that is none */
        one = (tw_factor){.form = f->form, .symbols = f->symbols, .column = i, .columns = 1, .numbers = 1};
        if (!one.form->read(&one, columns + i, &number)) break;
    }
    f = &one;
    tw_text text = tw_text_new(ctx);
    if (row >= 0)
        tw_text_add(&text, "row %lld: ", (long long)row + 1);
    else
        tw_text_add(&text, "a row with ");
    int told = (int)tw_min_i64(f->columns, MOST_TOLD);
    for (int i = f->column; i < f->column + told; i++)
        tw_text_add(&text, "%s%s=%g", i > f->column ? ", " : "", names[i], columns[i]);
    if (told < f->columns) tw_text_add(&text, " and %d more", f->columns - told);
    tw_status status = tw_text_check(&text);
    if (status == TW_OK) status = tw_fail(ctx, TW_ERR_INVALID, "%s: expected %s", text.data, f->form->expected);
    tw_text_free(&text);
    return status;
}

bool tw_space_is_shares(const tw_space *space)
{
    for (int i = 0; i < space->count; i++)
        if (!tw_factor_is_shares(&space->factor[i])) return false;
    return space->count > 0;
}

/* --- sources ------------------------------------------------------------------------------------------------------ */

bool tw_space_draws(const tw_space *space, const tw_piece *source)
{
    const tw_source_rules *rules = tw_source_rules_of(source);
    return space->flat ? rules->draw != NULL : rules->place != NULL;
}

tw_val tw_space_draw(const tw_space *space, const tw_piece *source, tw_val key, tw_val counter, uint32_t stream,
                     int64_t rows, tw_dtype dtype)
{
    tw_shape shape = tw_shape_of(rows, space->numbers);
    if (space->flat) return tw_source_draw(source, key, counter, stream, shape, dtype);
    tw_val z = tw_source_normal.draw(NULL, key, counter, stream, shape, dtype), out = TW_NONE;
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_val part = tw_slice(z, 1, f->number, f->number + f->numbers);
        part = tw_source_rules_of(source)->place_rows(source->value, f, part);
        out = i == 0 ? part : tw_concat2(1, out, part);
    }
    return out;
}

void tw_space_draw_row(const tw_space *space, const tw_piece *source, uint64_t seed, uint32_t stream, int64_t row,
                       double *out)
{
    if (space->flat) {
        tw_source_row(source, seed, stream, row, space->numbers, out);
        return;
    }
    tw_source_normal.draw_row(NULL, seed, stream, row, space->numbers, out);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        tw_source_rules_of(source)->place(source->value, f, out + f->number, out + f->number);
    }
}

double tw_space_log_density(const tw_space *space, const tw_piece *source, const double *x)
{
    double sum = 0;
    if (space->flat) return tw_source_log_density(source, space->numbers, x);
    for (int i = 0; i < space->count; i++) {
        const tw_factor *f = &space->factor[i];
        sum += tw_source_rules_of(source)->factor_log_density(source->value, f, x + f->number);
    }
    return sum;
}
