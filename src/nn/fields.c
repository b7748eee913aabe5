/* nn/fields.c - see fields.h. */
#include "nn/fields.h"

#include "base/text.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

const tw_network_field tw_network_fields[TW_FIELD_COUNT] = {
#define TW_NETWORK_FIELD(field, option, type, low, high, about)                                                        \
    [TW_FIELD_##field] = {#field, TW_FIELD_##type, low, high, offsetof(tw_network_desc, field)},
#include "nn/network_fields.def"
};

static int count_of(const tw_network_field *f)
{
    return f->type == TW_FIELD_LIST ? TW_NETWORK_LEVELS : 1;
}

static double get(const tw_network_desc *desc, const tw_network_field *f, int index)
{
    const char *at = (const char *)desc + f->in_desc;
    return f->type == TW_FIELD_NUMBER ? *(const double *)(const void *)at : ((const int *)(const void *)at)[index];
}

static void set(tw_network_desc *desc, const tw_network_field *f, int index, double value)
{
    char *at = (char *)desc + f->in_desc;
    if (f->type == TW_FIELD_NUMBER)
        *(double *)(void *)at = value;
    else
        ((int *)(void *)at)[index] = (int)value;
}

/* "time features" of time_features. */
static const char *words(const tw_network_field *f, char out[32])
{
    snprintf(out, 32, "%s", f->name);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = ' ';
    return out;
}

static tw_status out_of_range(tw_context *ctx, const tw_network_field *f, const char *given)
{
    char name[32];
    const char *noun = f->type == TW_FIELD_NUMBER ? "a number"
                       : f->type == TW_FIELD_EVEN ? "an even number"
                       : f->type == TW_FIELD_LIST ? "whole numbers"
                                                  : "a whole number";
    return tw_fail(ctx, TW_ERR_INVALID, "network %s is %.40s, expected %s from %g to %g", words(f, name), given, noun,
                   f->low, f->high);
}

static bool is_in_range(const tw_network_field *f, double value)
{
    bool whole = f->type == TW_FIELD_NUMBER || value == floor(value);
    return value >= f->low && value <= f->high && whole && (f->type != TW_FIELD_EVEN || fmod(value, 2) == 0);
}

void tw_field_write(const tw_network_desc *desc, int field, char *out)
{
    const tw_network_field *f = &tw_network_fields[field];
    size_t used = 0;
    if (f->type == TW_FIELD_LIST && get(desc, f, 0) < 0) {
        snprintf(out, TW_FIELD_TEXT, "none");
        return;
    }
    for (int i = 0; i < count_of(f) && (i == 0 || get(desc, f, i) != 0); i++)
        used += (size_t)snprintf(out + used, TW_FIELD_TEXT - used, "%s%.9g", i ? "," : "", get(desc, f, i));
}

tw_status tw_field_read(tw_context *ctx, int field, const char *text, tw_network_desc *desc)
{
    const tw_network_field *f = &tw_network_fields[field];
    double value[TW_NETWORK_LEVELS] = {0};
    const char *at = text;
    int count = 0;
    bool none = f->type == TW_FIELD_LIST && strcmp(text, "none") == 0;
    if (none) value[0] = -1;
    while (!none) {
        size_t length = strcspn(at, ",");
        if (count == count_of(f) || !tw_parse_double(at, length, &value[count]) || !is_in_range(f, value[count]))
            return out_of_range(ctx, f, text);
        count++;
        at += length;
        if (*at++ == '\0') break;
    }
    for (int i = 0; i < count_of(f); i++) set(desc, f, i, value[i]);
    return TW_OK;
}

static const tw_field_default *find(int field, int count, const tw_field_default *fields)
{
    for (int i = 0; i < count; i++)
        if ((int)fields[i].field == field) return &fields[i];
    return NULL;
}

static tw_status complete(tw_context *ctx, const char *kind, const tw_network_field *f, const tw_field_default *own,
                          tw_network_desc *desc)
{
    char text[TW_FIELD_TEXT], name[32];
    bool given = get(desc, f, 0) != 0, none = f->type == TW_FIELD_LIST && get(desc, f, 0) == -1;
    if (given && !own) return tw_fail(ctx, TW_ERR_INVALID, "network '%s' has no %s", kind, words(f, name));
    for (int i = 0; own && !given && i < count_of(f); i++) set(desc, f, i, own->value[i]);
    for (int i = 0; given && !none && i < count_of(f) && (i == 0 || get(desc, f, i) != 0); i++) {
        if (is_in_range(f, get(desc, f, i))) continue;
        snprintf(text, sizeof text, "%.9g", get(desc, f, i));
        return out_of_range(ctx, f, text);
    }
    return TW_OK;
}

tw_status tw_fields_complete(tw_context *ctx, const char *kind, int count, const tw_field_default *fields,
                             tw_network_desc *desc)
{
    for (int i = 0; i < TW_FIELD_COUNT; i++) {
        tw_status status = complete(ctx, kind, &tw_network_fields[i], find(i, count, fields), desc);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}
