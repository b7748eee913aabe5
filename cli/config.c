/* config.c - settings from YAML files and back: the keys are the names of the options.
 *
 * What a run used is written beside its model, so that `thalweg train --config FOLDER/config.yaml` does it again. Left
 * out is what says only where and how fast (folder, threads, checkpoints, output). */
#include "cli.h"

#include "base/text.h"
#include "io/yaml.h"

#include <string.h>

/* Options that make no sense inside a file. */
static bool only_typed(option_id id)
{
    return id == OPT_CONFIG || id == OPT_SET || id == OPT_HELP;
}

static int take_setting(settings *s, const char *label, const tw_setting *item, origin from)
{
    char error[512];
    option_id id = option_find(s->verb, item->key);
    if (id == OPT_COUNT || only_typed(id)) {
        option_unknown(s->verb, item->key, "", error, sizeof error);
        return cli_usage("%s:%d:%d: %s", label, item->line, item->column, error);
    }
    if (!settings_set(s, id, item->value, from, error, sizeof error))
        return cli_usage("%s:%d:%d: %s", label, item->line, item->column, error);
    return EXIT_DONE;
}

static int read_settings(settings *s, const char *label, const char *text, origin from)
{
    tw_context *ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    if (!ctx) {
        cli_complain("out of memory");
        return EXIT_FAILED;
    }
    tw_settings list = {0};
    int result = EXIT_DONE;
    tw_status status = text ? tw_yaml_parse(ctx, label, text, strlen(text), &list) : tw_yaml_read(ctx, label, &list);
    if (status != TW_OK) {
        cli_complain("%s", tw_context_error(ctx));
        result = status == TW_ERR_FORMAT ? EXIT_USAGE : EXIT_FAILED;
    }
    for (int i = 0; i < list.count && result == EXIT_DONE; i++) result = take_setting(s, label, &list.item[i], from);
    tw_settings_free(ctx, &list);
    tw_context_destroy(ctx);
    return result;
}

int config_read(settings *s, const char *path, origin from)
{
    return read_settings(s, path, NULL, from);
}

int config_parse(settings *s, const char *label, const char *text, origin from)
{
    return read_settings(s, label, text, from);
}

bool config_keeps(const settings *s, option_id id)
{
    const option *o = &option_table[id];
    if (!strchr(o->verbs, s->verb)) return false;
    return id == OPT_DATA || id == OPT_SEED || o->group == GROUP_DATA || o->group == GROUP_FLOW ||
           o->group == GROUP_TRAINING;
}

void config_write(const settings *s, const char *data, tw_text *out)
{
    for (int i = 0; i < OPT_COUNT; i++) {
        const option *o = &option_table[i];
        const char *value = i == OPT_DATA ? data : opt_text(s, (option_id)i);
        if (!config_keeps(s, (option_id)i) || !value) continue;
        tw_text_add(out, "%s: ", o->name);
        if (o->type == TYPE_TEXT || o->type == TYPE_SEPARATOR || o->type == TYPE_SPLIT || o->type == TYPE_LEVELS ||
            o->type == TYPE_LIST)
            tw_text_add_json_string(out, value); /* a JSON string is a YAML string too */
        else
            tw_text_add(out, "%s", value);
        tw_text_add(out, "\n");
    }
}
