/* network.c - see network.h. */
#include "network.h"

#include "nn/fields.h"

#include <stdlib.h>
#include <string.h>

static option_id option_of(int field)
{
    return (option_id)(OPT_NETWORK_width + field);
}

tw_status network_options(tw_context *ctx, const settings *s, tw_network_desc *desc)
{
    for (int i = 0; i < TW_FIELD_COUNT; i++) {
        option_id id = option_of(i);
        const char *text = opt_text(s, id);
        if (!text) continue;
        if (tw_network_fields[i].type == TW_FIELD_FLAG) text = opt_flag(s, id) ? "1" : "0";
        tw_status status = tw_field_read(ctx, i, text, desc);
        if (status != TW_OK) return status;
    }
    return TW_OK;
}

/* "time features" of time_features. */
static const char *words(const char *name, char out[32])
{
    snprintf(out, 32, "%s", name);
    for (char *c = out; *c; c++)
        if (*c == '_') *c = ' ';
    return out;
}

const char *network_text(const tw_network_desc *desc, char *out)
{
    int count;
    const tw_field_default *fields = tw_network_fields_of(desc->kind, &count);
    size_t used = (size_t)snprintf(out, NETWORK_TEXT, "%s", desc->kind);
    for (int i = 0; i < count && used < NETWORK_TEXT; i++) {
        const tw_network_field *f = &tw_network_fields[fields[i].field];
        char text[TW_FIELD_TEXT], name[32];
        tw_field_write(desc, (int)fields[i].field, text);
        if (strcmp(text, "0") == 0) continue; /* switched off */
        bool flag = f->type == TW_FIELD_FLAG;
        used += (size_t)snprintf(out + used, NETWORK_TEXT - used, ", %s%s%s", words(f->name, name), flag ? "" : " ",
                                 flag ? "" : text);
    }
    return out;
}

cJSON *network_json(const tw_network_desc *desc)
{
    int count;
    const tw_field_default *fields = tw_network_fields_of(desc->kind, &count);
    cJSON *object = cJSON_CreateObject();
    json_text(object, "kind", desc->kind);
    for (int i = 0; i < count; i++) {
        const tw_network_field *f = &tw_network_fields[fields[i].field];
        char text[TW_FIELD_TEXT];
        tw_field_write(desc, (int)fields[i].field, text);
        if (f->type == TW_FIELD_LIST)
            json_text(object, f->name, text);
        else
            json_number(object, f->name, strtod(text, NULL));
    }
    return object;
}

const char *network_option_text(const char *kind, char *out)
{
    int count;
    const tw_field_default *fields = tw_network_fields_of(kind, &count);
    size_t used = 0;
    out[0] = 0;
    for (int i = 0; i < count && used < NETWORK_TEXT; i++) {
        const option *o = &option_table[option_of((int)fields[i].field)];
        const double *v = fields[i].value;
        used += (size_t)snprintf(out + used, NETWORK_TEXT - used, "%s--%s", i ? " " : "", o->name);
        if (o->type == TYPE_FLAG || (o->type == TYPE_LIST && v[0] == 0)) continue;
        for (int k = 0; k < TW_NETWORK_LEVELS && (k == 0 || v[k] != 0) && used < NETWORK_TEXT; k++)
            used += (size_t)snprintf(out + used, NETWORK_TEXT - used, "%s%g", k ? "," : " ", v[k]);
    }
    return out;
}
