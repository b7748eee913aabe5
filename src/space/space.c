/* space/space.c - the tables of spaces and sources; a space by its piece; draws and densities of sources on it. */
#include "space/space.h"

#include "base/text.h"
#include "space/forms.h"

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
        status = spaces[piece->row].form(&c);
    }
    if (status == TW_OK)
        *out_space = s;
    else
        tw_space_free(ctx, &s);
    return status;
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
    tw_factor one = *f;
    double number;
    for (int i = f->column; f->symbols > 0 && i < f->column + f->columns; i++) { /* the token that is none */
        one = (tw_factor){.form = f->form, .symbols = f->symbols, .column = i, .columns = 1, .numbers = 1};
        if (!one.form->read(&one, columns + i, &number)) break;
    }
    f = &one;
    tw_text text = tw_text_new(ctx);
    if (row >= 0)
        tw_text_add(&text, "row %lld: ", (long long)row + 1);
    else
        tw_text_add(&text, "a row with ");
    for (int i = f->column; i < f->column + f->columns; i++)
        tw_text_add(&text, "%s%s=%g", i > f->column ? ", " : "", names[i], columns[i]);
    tw_status status = tw_text_check(&text);
    if (status == TW_OK) status = tw_fail(ctx, TW_ERR_INVALID, "%s: expected %s", text.data, f->form->expected);
    tw_text_free(&text);
    return status;
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
