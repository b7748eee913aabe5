/* travel.c - `thalweg import` and `thalweg export`: networks of other programs. */
#include "files.h"
#include "model.h"
#include "network.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>

/* "28x28"; false when it is something else. */
static bool parse_size(const char *text, tw_image *out)
{
    const char *by = strchr(text, 'x');
    int64_t height, width;
    char first[16];
    if (!by || by - text > 15) return false;
    snprintf(first, sizeof first, "%.*s", (int)(by - text), text);
    if (!tw_parse_int(first, &height) || !tw_parse_int(by + 1, &width)) return false;
    if (height < 1 || height > 65536 || width < 1 || width > 65536) return false;
    *out = (tw_image){.height = (int)height, .width = (int)width};
    return true;
}

/* runs/NAME of weights/NAME.pt. */
static void default_folder(const char *file, char *out, size_t size)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file, *dot = strrchr(name, '.');
    snprintf(out, size, "runs/%.*s", dot && dot > name ? (int)(dot - name) : (int)strlen(name), name);
}

static tw_status read_flow(cli *c, tw_flow **out_flow)
{
    const settings *s = &c->set;
    const char *size = opt_text(s, OPT_IMAGE), *values = opt_text(s, OPT_VALUES);
    tw_import_desc desc = {.as = opt_text(s, OPT_AS),
                           .flow = {.schedule = opt_text(s, OPT_SCHEDULE), .predict = opt_text(s, OPT_PREDICT)},
                           .prefix = opt_text(s, OPT_PREFIX)};
    if (values) desc.scale = strcmp(values, "pixels") == 0 ? 127.5 : 1;
    if (values) desc.shift = strcmp(values, "pixels") == 0 ? 127.5 : 0;
    if (size) (void)parse_size(size, &desc.flow.image);
    tw_status status = network_options(c->ctx, s, &desc.flow.network);
    return status == TW_OK ? tw_flow_import(c->ctx, opt_text(s, OPT_WEIGHTS), &desc, out_flow) : status;
}

static int tell_import(cli *c, const tw_flow *flow, const char *path, const char *folder)
{
    const tw_flow_desc *about = tw_flow_about(flow);
    char count[32], network[NETWORK_TEXT], word[MODEL_PATH + 16];
    int classes = about->conditions_count > 0 ? about->conditions[0].classes : 0;
    if (c->json) {
        cJSON *object = cJSON_CreateObject();
        json_text(object, "model", path);
        json_text(object, "architecture", opt_text(&c->set, OPT_AS));
        cJSON_AddItemToObject(object, "network", network_json(&about->network));
        json_int(object, "parameters", tw_flow_parameters(flow));
        json_int(object, "height", about->image.height);
        json_int(object, "width", about->image.width);
        json_int(object, "channels", about->image.channels);
        json_int(object, "classes", classes);
        return json_print(object);
    }
    cli_say(c, "network: %s, %s parameters", network_text(&about->network, network),
            human_count((double)tw_flow_parameters(flow), count, sizeof count));
    cli_say(c, "images:  %d x %d pixels, %d %s, %d classes", about->image.height, about->image.width,
            about->image.channels, about->image.channels == 1 ? "channel" : "channels", classes);
    cli_say(c, "model    %s", path);
    shell_word(word, sizeof word, folder);
    cli_say(c, "\nNext: thalweg sample %s -n 16", word);
    return EXIT_DONE;
}

int run_import(cli *c)
{
    const settings *s = &c->set;
    const char *file = opt_text(s, OPT_WEIGHTS), *given = opt_text(s, OPT_OUT_FOLDER), *size = opt_text(s, OPT_IMAGE);
    char folder[MODEL_PATH], path[MODEL_PATH];
    tw_flow *flow = NULL;
    tw_image image;
    if (!file) return cli_usage("import needs a FILE of weights (thalweg import --help)");
    if (!opt_given(s, OPT_AS)) return cli_usage("import needs --as: whose network it is (thalweg list architectures)");
    if (size && !parse_size(size, &image))
        return cli_usage("--image: '%s' given, expected HEIGHTxWIDTH, such as 28x28", size);
    if (given)
        snprintf(folder, sizeof folder, "%s", given);
    else
        default_folder(file, folder, sizeof folder);
    if (!path_join(path, sizeof path, folder, MODEL_FILE)) return cli_usage("'%s': the path is too long", folder);
    if (file_exists(path) && !opt_flag(s, OPT_FORCE)) {
        cli_complain("'%s' holds a model already; --force replaces it", folder);
        return EXIT_FAILED;
    }
    int result = EXIT_DONE;
    tw_status status = cli_start(c);
    if (status == TW_OK) status = read_flow(c, &flow);
    if (status == TW_OK) status = tw_make_folder(c->ctx, folder);
    if (status == TW_OK) status = tw_flow_save(flow, path);
    if (status == TW_OK) result = tell_import(c, flow, path, folder);
    if (status != TW_OK) result = cli_exit(c, status);
    tw_flow_destroy(flow);
    return result;
}

/* Weights that were exported lack what a model needs. */
static bool is_model(cli *c, const char *path)
{
    tw_flow *flow = NULL;
    bool is = file_exists(path) && tw_flow_load(c->ctx, path, &flow) == TW_OK;
    tw_flow_destroy(flow);
    return is;
}

int run_export(cli *c)
{
    const char *as = opt_text(&c->set, OPT_AS), *path = opt_text(&c->set, OPT_OUT_WEIGHTS);
    model m = {0};
    if (!as) return cli_usage("export needs --as: whose names the weights have (thalweg list architectures)");
    if (!opt_text(&c->set, OPT_MODEL))
        return cli_usage("export needs a MODEL: a run's folder or a .safetensors file "
                         "(thalweg export --help)");
    if (!has_ending(path, ".safetensors"))
        return cli_usage("--out: '%s' given, expected a name that ends in .safetensors", path);
    tw_status status = cli_start(c);
    if (status != TW_OK) return cli_exit(c, status);
    int result = model_open(c, &m);
    if (result == EXIT_DONE && is_model(c, path)) {
        cli_complain("'%s' is a model of thalweg's own, which weights would replace: name another file", path);
        result = EXIT_FAILED;
    }
    if (result == EXIT_DONE && (status = tw_flow_export(m.flow, as, path)) != TW_OK) result = cli_exit(c, status);
    if (result == EXIT_DONE && c->json) {
        cJSON *object = cJSON_CreateObject();
        json_text(object, "weights", path);
        json_text(object, "architecture", as);
        result = json_print(object);
    } else if (result == EXIT_DONE) {
        cli_say(c, "weights  %s, as %s names them", path, as);
    }
    model_close(&m);
    return result;
}
