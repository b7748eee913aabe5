/* run.c - see run.h. A run is finished when its model is newer than its config.yaml and no checkpoint is left. */
#include "run.h"

#include "files.h"

#include "base/file.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static bool name_files(const char *folder, run_files *f)
{
    char previous[64];
    snprintf(f->folder, sizeof f->folder, "%s", folder);
    snprintf(previous, sizeof previous, "%s.prev", CHECKPOINT_FILE);
    return path_join(f->model, sizeof f->model, folder, MODEL_FILE) &&
           path_join(f->checkpoint, sizeof f->checkpoint, folder, CHECKPOINT_FILE) &&
           path_join(f->previous, sizeof f->previous, folder, previous) &&
           path_join(f->config, sizeof f->config, folder, CONFIG_FILE) &&
           path_join(f->loss_png, sizeof f->loss_png, folder, "loss.png") &&
           path_join(f->samples_png, sizeof f->samples_png, folder, "samples.png") &&
           path_join(f->loss_csv, sizeof f->loss_csv, folder, "loss.csv");
}

static bool has_checkpoint(const run_files *f)
{
    return file_exists(f->checkpoint) || file_exists(f->previous);
}

static bool is_finished(const run_files *f)
{
    struct stat model_stat, config_stat;
    if (has_checkpoint(f) || stat(f->model, &model_stat) != 0 || stat(f->config, &config_stat) != 0) return false;
    if (model_stat.st_mtim.tv_sec != config_stat.st_mtim.tv_sec)
        return model_stat.st_mtim.tv_sec > config_stat.st_mtim.tv_sec;
    return model_stat.st_mtim.tv_nsec >= config_stat.st_mtim.tv_nsec;
}

bool run_is_finished(const char *folder)
{
    run_files f;
    return name_files(folder, &f) && is_finished(&f);
}

/* A data file by its full path, so that a run can be resumed from any folder. */
static const char *full_path(const char *data, char *out)
{
    if (is_builtin(data) || !realpath(data, out)) snprintf(out, PATH_MAX, "%s", data);
    return out;
}

/* The same text, files by their full path; --levels alone are completed by the range that was found. */
static bool is_same(option_id id, const char *now, const char *then)
{
    char full_now[PATH_MAX], full_then[PATH_MAX];
    if (!now || !then) return now == then;
    if (id == OPT_DATA || id == OPT_SOURCE_DATA || id == OPT_TEACHER || id == OPT_EMBEDDING || id == OPT_VOCABULARY)
        return strcmp(full_path(now, full_now), full_path(then, full_then)) == 0;
    size_t count = strcspn(then, ",");
    if (id == OPT_LEVELS && !strchr(now, ',')) return strlen(now) == count && strncmp(now, then, count) == 0;
    return strcmp(now, then) == 0;
}

option_id run_differs(const char *folder, const settings *now, bool whole, char *why, size_t size)
{
    char config[MODEL_PATH];
    settings run = {.verb = 'T'};
    int id = OPT_COUNT;
    if (path_join(config, sizeof config, folder, CONFIG_FILE) && file_exists(config) &&
        config_read(&run, config, ORIGIN_RUN) == EXIT_DONE)
        for (id = 0; id < OPT_COUNT; id++) {
            const char *wanted = opt_text(now, (option_id)id), *used = opt_text(&run, (option_id)id);
            if (!config_keeps(now, (option_id)id) || (!whole && !opt_given(now, (option_id)id))) continue;
            if (is_same((option_id)id, wanted, used)) continue;
            snprintf(why, size, "with %s %s, not %s", option_table[id].name, used ? used : "unsaid",
                     wanted ? wanted : "unsaid");
            break;
        }
    settings_free(&run);
    return (option_id)id;
}

static int locate_resumed(cli *c, const run_files *f, bool *out_resume, bool *out_finished)
{
    char why[2 * PATH_MAX];
    *out_finished = is_finished(f);
    *out_resume = has_checkpoint(f);
    if (*out_finished && run_differs(f->folder, &c->set, false, why, sizeof why) != OPT_COUNT) {
        cli_complain("the run in '%s' is finished, %s; choose another --out, or --force to replace it", f->folder, why);
        return EXIT_FAILED;
    }
    if (!file_exists(f->config)) {
        if (!opt_given(&c->set, OPT_DATA)) {
            cli_complain("nothing to resume in '%s': there is no %s in it", f->folder, CONFIG_FILE);
            return EXIT_FAILED;
        }
        return EXIT_DONE;
    }
    return config_read(&c->set, f->config, ORIGIN_RUN);
}

int run_locate(cli *c, run_files *out_files, bool *out_resume, bool *out_finished)
{
    const char *data = opt_text(&c->set, OPT_DATA), *out = opt_text(&c->set, OPT_OUT_FOLDER);
    bool resume = opt_flag(&c->set, OPT_RESUME);
    char folder[MODEL_PATH], stem[256];
    if (!data && !(resume && out))
        return cli_usage(
            "train needs a FILE or a built-in set, such as: thalweg train checkerboard (thalweg train --help)");
    if (out) {
        snprintf(folder, sizeof folder, "%s", out);
    } else {
        path_stem(stem, sizeof stem, data);
        snprintf(folder, sizeof folder, "runs/%s", stem);
    }
    if (!name_files(folder, out_files)) {
        cli_complain("'%s': the path is too long", folder);
        return EXIT_FAILED;
    }
    if (!resume) return EXIT_DONE;
    return locate_resumed(c, out_files, out_resume, out_finished);
}

tw_status run_check_earlier(cli *c, const run_files *f)
{
    bool resume = opt_flag(&c->set, OPT_RESUME);
    if (resume && !has_checkpoint(f)) cli_note(c, "no checkpoint in %s yet: starting at the beginning", f->folder);
    if (!has_checkpoint(f) && !file_exists(f->model)) return TW_OK;
    char now[PATH_MAX], then[PATH_MAX] = "";
    settings earlier = {.verb = 'T'};
    if (file_exists(f->config) && config_read(&earlier, f->config, ORIGIN_RUN) == EXIT_DONE &&
        opt_given(&earlier, OPT_DATA))
        snprintf(then, sizeof then, "%s", opt_text(&earlier, OPT_DATA));
    settings_free(&earlier);
    full_path(opt_text(&c->set, OPT_DATA), now);
    if (!resume && opt_flag(&c->set, OPT_FORCE)) return TW_OK;
    if (*then && strcmp(now, then) != 0)
        return tw_fail(c->ctx, TW_ERR_INVALID, "'%s' holds a run on other data (%s); choose another --out%s", f->folder,
                       then, resume ? "" : ", or --force to replace it");
    if (!resume && has_checkpoint(f))
        return tw_fail(c->ctx, TW_ERR_INVALID,
                       "'%s' holds an unfinished run: --resume continues it, --force starts anew", f->folder);
    return TW_OK;
}

/* Half-written files (NAME.tmp-PID) of runs that were killed; one of a living process is left alone. */
static void sweep(const run_files *f)
{
    static const char *const own[] = {"model.", "checkpoint.", "config.", "loss."};
    DIR *folder = opendir(f->folder);
    const struct dirent *entry;
    while (folder && (entry = readdir(folder))) {
        const char *mark = strstr(entry->d_name, ".tmp-");
        char path[MODEL_PATH];
        bool ours = false;
        for (int i = 0; i < TW_COUNT(own); i++) ours |= strncmp(entry->d_name, own[i], strlen(own[i])) == 0;
        int64_t pid = 0;
        if (!ours || !mark || !tw_parse_int(mark + 5, &pid) || pid < 1 || pid > INT_MAX) continue;
        if (kill((pid_t)pid, 0) != 0 && errno == ESRCH && path_join(path, sizeof path, f->folder, entry->d_name))
            unlink(path);
    }
    if (folder) closedir(folder);
}

static tw_status write_config(cli *c, const run_files *f)
{
    char data[PATH_MAX], error[512];
    static const option_id beside[] = {OPT_SOURCE_DATA, OPT_TEACHER, OPT_EMBEDDING, OPT_VOCABULARY};
    tw_status status = TW_OK;
    tw_writer writer = {0};
    tw_text text = tw_text_new(c->ctx);
    for (int i = 0; i < TW_COUNT(beside); i++)
        if (opt_given(&c->set, beside[i]) &&
            !settings_set(&c->set, beside[i], full_path(opt_text(&c->set, beside[i]), data),
                          c->set.value[beside[i]].from, error, sizeof error))
            TW_TRY(tw_fail(c->ctx, TW_ERR_INTERNAL, "%s", error));
    tw_text_add(&text, "# what this run used; thalweg train --config FILE uses it again\n");
    config_write(&c->set, full_path(opt_text(&c->set, OPT_DATA), data), &text);
    TW_TRY(tw_text_check(&text));
    TW_TRY(tw_writer_open(c->ctx, f->config, &writer));
    TW_TRY(tw_writer_write(&writer, text.data, text.length));
    TW_TRY(tw_writer_commit(&writer));
done:
    tw_writer_abandon(&writer);
    tw_text_free(&text);
    return status;
}

tw_status run_begin(cli *c, const run_files *f, bool resumed)
{
    tw_status status = tw_make_folder(c->ctx, f->folder);
    if (status != TW_OK) return status;
    sweep(f);
    if (!resumed) run_end(f); /* or a later --resume would take up the run that is being replaced */
    return resumed && file_exists(f->config) ? TW_OK : write_config(c, f);
}

void run_end(const run_files *f)
{
    char fresh[MODEL_PATH];
    unlink(f->checkpoint);
    unlink(f->previous);
    if (path_join(fresh, sizeof(fresh), f->folder, CHECKPOINT_FILE ".new")) unlink(fresh);
}

double fact_number(const tw_flow *flow, const char *name)
{
    const char *text = tw_flow_fact(flow, name);
    double value;
    return text && tw_parse_double(text, strlen(text), &value) ? value : (double)NAN;
}

int run_tell_finished(cli *c, const run_files *f)
{
    tw_flow *flow = NULL;
    tw_status status = tw_flow_load(c->ctx, f->model, &flow);
    if (status != TW_OK) return cli_exit(c, status);
    cli_say(c, "nothing to resume: the run in %s is finished, its model is %s", f->folder, f->model);
    int result = EXIT_DONE;
    if (c->json) {
        cJSON *object = cJSON_CreateObject();
        const char *const numbers[] = {"steps", "seconds", "loss", "validation", "steps_per_second", "peak_bytes"};
        json_text(object, "model", f->model);
        for (int i = 0; i < TW_COUNT(numbers); i++) json_number(object, numbers[i], fact_number(flow, numbers[i]));
        cJSON_AddBoolToObject(object, "finished", true);
        result = json_print(object);
    }
    tw_flow_destroy(flow);
    return result;
}
