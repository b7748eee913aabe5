/* nn/piece.c - pieces by name, and the parameters behind it: see piece.h. */
#include "nn/piece.h"

#include "base/text.h"
#include "io/csv.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

/* "a, b, c" into a fixed space; what does not fit is left out. */
static void join_names(tw_piece_at at, char *text, size_t size)
{
    size_t length = 0;
    text[0] = '\0';
    for (int i = 0; at(i); i++) {
        size_t more = strlen(at(i)->name) + (i > 0 ? 2 : 0);
        if (length + more + 1 > size) return;
        if (i > 0) memcpy(text + length, ", ", 2);
        memcpy(text + length + (i > 0 ? 2 : 0), at(i)->name, strlen(at(i)->name) + 1);
        length += more;
    }
}

tw_status tw_piece_find(tw_context *ctx, const char *kind, const char *name, tw_piece_at at,
                        const tw_piece_info **out_piece)
{
    const char *names[64];
    int count = 0;
    for (int i = 0; at(i); i++) {
        if (strcmp(at(i)->name, name) == 0) {
            *out_piece = at(i);
            return TW_OK;
        }
        if (count < TW_COUNT(names)) names[count++] = at(i)->name;
    }
    const char *nearest = tw_nearest_name(name, names, count);
    if (nearest) return tw_fail(ctx, TW_ERR_INVALID, "unknown %s '%s': did you mean '%s'?", kind, name, nearest);
    char all[400];
    join_names(at, all, sizeof(all));
    return tw_fail(ctx, TW_ERR_INVALID, "unknown %s '%s': there are %s", kind, name, all);
}

/* --- parameters -------------------------------------------------------------------------------------------------- */

typedef struct reading {
    tw_context *ctx;
    const char *kind;
    tw_piece *piece;
    int64_t capacity;
} reading;

static int parameters_of(const tw_piece_info *info)
{
    int count = 0;
    while (info->parameters && info->parameters[count].name) count++;
    return count;
}

static bool takes_many(const tw_piece_info *info)
{
    return info->parameters && info->parameters[0].name && info->parameters[0].many;
}

static tw_status refuse(const reading *r, const char *what, const char *given)
{
    char wanted[200] = "";
    size_t used = 0;
    const tw_piece_info *info = r->piece->info;
    for (int i = 0; i < parameters_of(info) && used < sizeof(wanted); i++)
        used +=
            (size_t)snprintf(wanted + used, sizeof(wanted) - used, "%s%s", i > 0 ? ", " : "", info->parameters[i].name);
    return tw_fail(r->ctx, TW_ERR_INVALID, "%s '%s': %s '%.60s', expected %s%s", r->kind, info->name, what, given,
                   used > 0 ? "at most " : "no parameters", wanted);
}

/* One number with its parameter's range. */
static tw_status read_number(const reading *r, const tw_piece_parameter *p, const char *text, size_t length,
                             double *out_value)
{
    double value;
    if (tw_parse_double(text, length, &value) && value >= p->low && value <= p->high) {
        *out_value = value;
        return TW_OK;
    }
    char range[80];
    if (isinf(p->low) && isinf(p->high))
        snprintf(range, sizeof(range), "a number");
    else if (isinf(p->high))
        snprintf(range, sizeof(range), "a number, at least %g", p->low);
    else
        snprintf(range, sizeof(range), "a number from %g to %g", p->low, p->high);
    return tw_fail(r->ctx, TW_ERR_INVALID, "%s '%s': %s is '%.*s', expected %s", r->kind, r->piece->info->name, p->name,
                   (int)(length > 40 ? 40 : length), text, range);
}

static tw_status append(reading *r, double value)
{
    tw_piece *piece = r->piece;
    tw_status status = tw_grow(r->ctx, &piece->value, &r->capacity, piece->count + 1, sizeof(double));
    if (status == TW_OK) piece->value[piece->count++] = value;
    return status;
}

/* Rows of a file of numbers, one behind another; a first row without any number is a header. */
static tw_status append_row(void *user, int64_t row, int64_t line, int count, const tw_csv_field *fields)
{
    reading *r = user;
    const tw_piece_parameter *p = r->piece->info->parameters;
    double value;
    tw_status status = TW_OK;
    if (row == 0 && !tw_parse_double(fields[0].text, fields[0].length, &value)) return TW_OK;
    for (int i = 0; i < count && status == TW_OK; i++) {
        if (!tw_parse_double(fields[i].text, fields[i].length, &value))
            return tw_fail(r->ctx, TW_ERR_FORMAT, "%s '%s': line %lld, field %d is '%.40s', expected a number", r->kind,
                           r->piece->info->name, (long long)line, i + 1, fields[i].text);
        status = read_number(r, p, fields[i].text, fields[i].length, &value);
        if (status == TW_OK) status = append(r, value);
    }
    return status;
}

static tw_status read_many(reading *r, const char *text)
{
    const tw_piece_parameter *p = r->piece->info->parameters;
    tw_status status = TW_OK;
    if (*text == '@') return tw_csv_read(r->ctx, text + 1, &(tw_csv_desc){0}, append_row, r, NULL);
    if (!*text && p->standard != 0) return TW_OK;
    if (!*text)
        return tw_fail(r->ctx, TW_ERR_INVALID, "%s '%s': it needs numbers, as in %s:0,1 or %s:@FILE", r->kind,
                       r->piece->info->name, r->piece->info->name, r->piece->info->name);
    for (bool more = true; more && status == TW_OK;) {
        size_t length = strcspn(text, ",");
        double value = 0;
        status = read_number(r, p, text, length, &value);
        if (status == TW_OK) status = append(r, value);
        more = text[length] == ',';
        text += length + 1;
    }
    return status;
}

/* Which parameter "beta_max=10" or the next plain number is; moves past the name. */
static tw_status choose(const reading *r, const char **item, size_t *length, int *next, int *out_index)
{
    const tw_piece_info *info = r->piece->info;
    int count = parameters_of(info);
    const char *equals = memchr(*item, '=', *length);
    char name[64];
    *out_index = (*next)++;
    if (!equals) {
        snprintf(name, sizeof(name), "%.*s", (int)tw_min_i64((int64_t)*length, 60), *item);
        return *out_index < count ? TW_OK : refuse(r, "there is no parameter for", name);
    }
    snprintf(name, sizeof(name), "%.*s", (int)tw_min_i64(equals - *item, 60), *item);
    for (int i = 0; i < count; i++) {
        if (strcmp(info->parameters[i].name, name) != 0) continue;
        *length -= (size_t)(equals + 1 - *item);
        *item = equals + 1;
        *next = count; /* plain numbers come first */
        *out_index = i;
        return TW_OK;
    }
    return refuse(r, "no parameter", name);
}

static tw_status read_parameters(reading *r, const char *text)
{
    const tw_piece_info *info = r->piece->info;
    int count = parameters_of(info), next = 0, index = 0;
    tw_status status = TW_OK;
    for (int i = 0; i < count && status == TW_OK; i++) status = append(r, info->parameters[i].standard);
    for (bool more = *text; more && status == TW_OK;) {
        size_t whole = strcspn(text, ","), length = whole;
        const char *item = text;
        status = choose(r, &item, &length, &next, &index);
        if (status == TW_OK) status = read_number(r, &info->parameters[index], item, length, &r->piece->value[index]);
        more = text[whole] == ',';
        text += whole + 1;
    }
    return status;
}

/* "vp:beta_min=0.1,beta_max=20", "table:0,0,1,1,1,0", "condot" */
static tw_status write_text(tw_context *ctx, tw_piece *piece)
{
    tw_text text = tw_text_new(ctx);
    tw_text_add(&text, "%s", piece->info->name);
    for (int64_t i = 0; i < piece->count; i++) {
        tw_text_add(&text, "%s", i == 0 ? ":" : ",");
        if (!takes_many(piece->info)) tw_text_add(&text, "%s=", piece->info->parameters[i].name);
        tw_text_add_double(&text, piece->value[i], false);
    }
    tw_status status = tw_text_check(&text);
    if (status == TW_OK)
        piece->text = text.data;
    else
        tw_text_free(&text);
    return status;
}

tw_status tw_piece_read(tw_context *ctx, const char *kind, const char *text, tw_piece_at at, tw_piece *out_piece)
{
    tw_piece piece = {0};
    reading r = {.ctx = ctx, .kind = kind, .piece = &piece};
    size_t length = strcspn(text, ":");
    const char *rest = text[length] ? text + length + 1 : "";
    char name[64];
    tw_status status = TW_OK;
    snprintf(name, sizeof(name), "%.*s", (int)tw_min_i64((int64_t)length, 60), text);
    TW_TRY(tw_piece_find(ctx, kind, name, at, &piece.info));
    while (at(piece.row) != piece.info) piece.row++;
    TW_TRY(takes_many(piece.info) ? read_many(&r, rest) : read_parameters(&r, rest));
    TW_TRY(write_text(ctx, &piece));
    *out_piece = piece;
    piece = (tw_piece){0};
done:
    tw_piece_free(ctx, &piece);
    return status;
}

void tw_piece_free(tw_context *ctx, tw_piece *piece)
{
    tw_free(ctx, piece->value);
    tw_free(ctx, piece->text);
    *piece = (tw_piece){0};
}
