/* info.c - `thalweg info`: what this program is built from, or what a model is made of. */
#include "model.h"
#include "sequences.h"
#include "tokens.h"
#include "network.h"
#include "pictures.h"
#include "tables.h"

#include "base/pool.h"
#include "cpu/gemm.h"
#include "io/picture.h"

#include <cairo.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>
#include <zlib.h>

static cJSON *features_json(void)
{
    cJSON *features = cJSON_CreateObject();
    json_text(features, "gemm", tw_gemm_best()->name);
    json_text(features, "cpu", tw_cpu_best()->name);
    json_int(features, "threads", tw_cpus_available());
    json_text(features, "cairo", cairo_version_string());
    json_text(features, "libyaml", yaml_get_version_string());
    json_text(features, "zlib", zlibVersion());
    json_text(features, "cjson", cJSON_Version());
    for (int i = 0; tw_picture_kind_at(i).name; i++)
        json_text(features, tw_picture_kind_at(i).name, tw_picture_kind_at(i).library);
    return features;
}

static int program_info(cli *c)
{
    if (c->json) {
        cJSON *object = cJSON_CreateObject();
        json_text(object, "version", tw_version());
        cJSON_AddItemToObject(object, "features", features_json());
        return json_print(object);
    }
    cli_say(c, "thalweg %s", tw_version());
    cli_say(c, "  kernels          %s", tw_cpu_best()->name);
    cli_say(c, "  matrix products  %s", tw_gemm_best()->name);
    cli_say(c, "  threads          %d", tw_cpus_available());
    cli_say(c, "  libraries        cairo %s, libyaml %s, zlib %s, cJSON %s", cairo_version_string(),
            yaml_get_version_string(), zlibVersion(), cJSON_Version());
    for (int i = 0; tw_picture_kind_at(i).name; i++)
        cli_say(c, "  %-5s files      %s", tw_picture_kind_at(i).name,
                tw_picture_kind_at(i).library ? tw_picture_kind_at(i).library
                                              : "cannot be read: the library was not there when this was built");
    return EXIT_DONE;
}

/* Facts of training, in the order people ask for them. */
static const struct {
    const char *name, *label;
} facts[] = {{FACT_DATA, "data"},
             {FACT_ROWS, "rows of data"},
             {"steps", "steps trained"},
             {"seconds", "seconds trained"},
             {"loss", "training loss"},
             {"validation", "validation loss"},
             {"version", "made by version"},
             {"imported", "imported, as"}};

static void json_fact(cJSON *object, const char *name, const char *value)
{
    double number;
    if (value && tw_parse_double(value, strlen(value), &number))
        json_number(object, name, number);
    else
        json_text(object, name, value);
}

static int model_json(const model *m)
{
    const tw_flow_desc *about = m->about;
    cJSON *object = cJSON_CreateObject(), *columns = cJSON_CreateArray();
    json_text(object, "version", tw_version());
    cJSON_AddItemToObject(object, "features", features_json());
    json_text(object, "model", m->path);
    json_text(object, "space", about->space);
    json_text(object, "method", about->method);
    json_text(object, "source", about->source);
    json_text(object, "path", about->path);
    json_text(object, "schedule", about->schedule);
    json_text(object, "factor_schedules", about->factor_schedules);
    json_text(object, "factor_weights", about->factor_weights);
    json_text(object, "coupling", about->coupling);
    json_text(object, "gamma", about->gamma);
    json_text(object, "predict", about->predict);
    json_text(object, "loss_function", about->loss);
    json_text(object, "weight", about->weight);
    json_text(object, "time_density", about->time_density);
    cJSON_AddItemToObject(object, "network", network_json(&about->network));
    json_int(object, "parameters", tw_flow_parameters(m->flow));
    json_seed(object, "seed", about->seed);
    if (about->image.height > 0) {
        const int sides[] = {about->image.height, about->image.width, about->image.channels};
        cJSON_AddItemToObject(object, "image", cJSON_CreateIntArray(sides, TW_COUNT(sides)));
    }
    for (int i = 0; i < about->columns; i++) cJSON_AddItemToArray(columns, cJSON_CreateString(about->names[i]));
    cJSON_AddItemToObject(object, "columns", columns);
    for (int i = 0; i < TW_COUNT(facts); i++) {
        const char *value = tw_flow_fact(m->flow, facts[i].name);
        if (value && !cJSON_GetObjectItem(object, facts[i].name)) json_fact(object, facts[i].name, value);
    }
    const char *schema = tw_flow_fact(m->flow, FACT_SCHEMA);
    if (schema) cJSON_AddItemToObject(object, "table", cJSON_Parse(schema));
    json_text(object, "settings", tw_flow_fact(m->flow, FACT_SETTINGS));
    return json_print(object);
}

/* Names behind each other, as far as there is room. */
static void say_names(cli *c, const char *what, int count, const char *const *names)
{
    tw_text text = tw_text_new(c->ctx);
    for (int i = 0; i < count && text.length < 400; i++) tw_text_add(&text, "%s%s", i ? ", " : "", names[i]);
    if (text.length >= 400) tw_text_add(&text, ", ...");
    cli_say(c, "  %-16s %d: %s", what, count, text.data ? text.data : "");
    tw_text_free(&text);
}

/* Of a table what was found in its columns. */
static bool say_table(cli *c, const model *m)
{
    tw_schema schema;
    if (!is_table(m) || table_schema(c, m, &schema) != TW_OK) return false;
    cli_say(c, "  %-16s %d columns", "table", schema.columns);
    bool said = say_reading(c, &schema) == TW_OK;
    tw_schema_free(&schema);
    return said;
}

static void say_columns(cli *c, const model *m)
{
    const tw_flow_desc *about = m->about;
    if (say_table(c, m)) return;
    const tw_image *image = &about->image;
    if (shows_pictures(m))
        cli_say(c, "  %-16s %d x %d pixels, %s", "pictures", image->height, image->width,
                image->channels == 3 ? "colour" : "grey");
    else if (image->height > 0)
        cli_say(c, "  %-16s %d x %d pixels, %d %s of numbers", "images", image->height, image->width, image->channels,
                image->channels == 1 ? "channel" : "channels");
    else
        say_names(c, "columns", about->columns, about->names);
    for (int i = 0; i < about->conditions_count; i++) {
        const tw_condition *told = &about->conditions[i];
        char label[64];
        snprintf(label, sizeof label, "told %s", told->name);
        if (told->classes > 0)
            say_names(c, label, told->classes, told->level);
        else
            cli_say(c, "  %-16s a number", label);
    }
}

static int model_info(cli *c, const model *m)
{
    const tw_flow_desc *about = m->about;
    char count[32], network[NETWORK_TEXT];
    if (c->json) return model_json(m);
    cli_say(c, "%s", m->path);
    cli_say(c, "  method           %s", about->method);
    cli_say(c, "  space            %s, source %s", about->space, about->source);
    const int most = 60; /* of a table */
    bool more = strlen(about->schedule) > (size_t)most;
    cli_say(c, "  path             %s, schedule %.*s%s, coupling %s, gamma %s", about->path, most, about->schedule,
            more ? "..." : "", about->coupling, about->gamma);
    if (about->factor_schedules || about->factor_weights)
        cli_say(c, "  of each factor   schedule %s; weight %s",
                about->factor_schedules ? about->factor_schedules : about->schedule,
                about->factor_weights ? about->factor_weights : "1");
    cli_say(c, "  predicts         %s; loss %s, weight %s, times %s",
            is_sequences(m) ? "edits"
            : is_tokens(m)  ? "x_1"
                            : about->predict,
            about->loss, about->weight, about->time_density);
    cli_say(c, "  network          %s, %s parameters", network_text(&about->network, network),
            human_count((double)tw_flow_parameters(m->flow), count, sizeof count));
    say_columns(c, m);
    for (int i = 0; i < TW_COUNT(facts); i++) {
        const char *value = tw_flow_fact(m->flow, facts[i].name);
        if (value) cli_say(c, "  %-16s %s", facts[i].label, value);
    }
    cli_say(c, "\nNext: thalweg sample %s%s", m->shown, shows_pictures(m) ? "" : " -n 1000 -o samples.csv");
    return EXIT_DONE;
}

int run_info(cli *c)
{
    model m = {0};
    if (!opt_text(&c->set, OPT_MODEL)) return program_info(c);
    c->ctx = tw_context_create(&(tw_context_desc){.threads = 1});
    if (!c->ctx) return cli_exit(c, TW_ERR_MEMORY);
    int result = model_open(c, &m);
    if (result == EXIT_DONE) result = model_info(c, &m);
    model_close(&m);
    return result;
}
